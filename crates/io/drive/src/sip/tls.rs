//! TLS and WebSockets of the SIP sockets: certificates by name, whom we believe, and both read again when files change.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use hookswitch_net::StreamSetup;
use jiff::Timestamp;
use rustls::client::{Resumption, verify_server_name};
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::validity::validity;
use crate::web::tls::{
    FileStamp, TlsError, TlsFiles, client_verifier, file_stamp, forget_sessions, load, load_certificates, provider,
    roots,
};

/// How often it is looked whether a file has changed.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Whether phones have to prove who they are by a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ClientCertificates {
    /// They are not asked.
    #[default]
    Off,
    /// They are asked; one that has none gets in, one whose certificate is not good does not.
    Asked,
    /// Only who has one gets in.
    Required,
}

/// TLS and WebSockets of the SIP sockets.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SipTls {
    /// Our certificates. Whoever asks for a name gets the first that is good for it; all others, the first one. That is
    /// also the one we show to those we connect to.
    pub identities: Vec<TlsFiles>,
    /// Whether those who connect have to have one.
    pub clients: ClientCertificates,
    /// PEM: authorities that those are signed by. Needed unless `clients` is off.
    pub client_ca: Option<PathBuf>,
    /// PEM: authorities that those we connect to are signed by. Default: those of the system.
    pub ca: Option<PathBuf>,
    /// Pages that may open a WebSocket, by Origin; empty lets all.
    pub origins: Vec<String>,
}

impl SipTls {
    /// Reads every file and says what is wrong, expired certificates included.
    ///
    /// # Errors
    /// [`TlsError`] names the file.
    pub fn check(&self) -> Result<(), TlsError> {
        self.setup()?;
        self.identities.iter().try_for_each(|files| in_time(files, Timestamp::now()))
    }

    /// Connects as the switch would: by TCP and TLS, to a server that has to prove that it is `name`, a host name or an
    /// address. Each step may take `patience`. What is shown to a server that asks who we are is left out.
    ///
    /// # Errors
    /// The system's; of kind [`io::ErrorKind::InvalidData`] what is wrong with the certificate or its name.
    pub fn try_connect(&self, address: SocketAddr, name: &str, patience: Duration) -> io::Result<()> {
        let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        let config = self.client(&[]).map_err(io::Error::other)?;
        let mut session = rustls::ClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        Ok(())
    }

    /// What new connections need. Certificates whose time is over are used all the same, and told in the log: some
    /// phones do not look, and the others find out.
    pub(crate) fn setup(&self) -> Result<StreamSetup, TlsError> {
        let origins = self.origins.as_slice().into();
        if self.identities.is_empty() {
            return Ok(StreamSetup { server: None, client: None, origins });
        }
        let keys = self.identities.iter().map(|files| load(files).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
        Ok(StreamSetup { server: Some(self.server(&keys)?), client: Some(self.client(&keys)?), origins })
    }

    fn server(&self, keys: &[Arc<CertifiedKey>]) -> Result<Arc<ServerConfig>, TlsError> {
        // The provider has cipher suites for both versions, which is all that this could complain about.
        let versions = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs serves TLS 1.2 and 1.3");
        let config = match (self.clients, &self.client_ca) {
            (ClientCertificates::Off, _) | (_, None) => versions.with_no_client_auth(),
            (ClientCertificates::Asked, Some(file)) => {
                versions.with_client_cert_verifier(client_verifier(file, false)?)
            }
            (ClientCertificates::Required, Some(file)) => {
                versions.with_client_cert_verifier(client_verifier(file, true)?)
            }
        };
        let mut config = config.with_cert_resolver(Arc::new(ByName(keys.to_vec())));
        if self.clients != ClientCertificates::Off {
            forget_sessions(&mut config);
        }
        Ok(Arc::new(config))
    }

    fn client(&self, keys: &[Arc<CertifiedKey>]) -> Result<Arc<ClientConfig>, TlsError> {
        let roots = match &self.ca {
            Some(file) => roots(file)?,
            None => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                roots
            }
        };
        let versions = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs serves TLS 1.2 and 1.3");
        let config = versions.with_root_certificates(roots);
        let mut config = match keys.first() {
            Some(own) => config.with_client_cert_resolver(Arc::new(Own(Arc::clone(own)))),
            None => config.with_no_client_auth(),
        };
        // Here too who the other side is is looked at each time.
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }

    fn stamps(&self) -> Vec<FileStamp> {
        let own = self.identities.iter().flat_map(|files| [&files.certificate, &files.key]);
        own.chain(&self.client_ca).chain(&self.ca).map(|file| file_stamp(file)).collect()
    }

    fn complain_of_time(&self) {
        for files in &self.identities {
            if let Err(error) = in_time(files, Timestamp::now()) {
                tracing::error!(%error, "many will not connect");
            }
        }
    }
}

/// Whether the time of a certificate has come and is not over.
fn in_time(files: &TlsFiles, now: Timestamp) -> Result<(), TlsError> {
    let chain = load_certificates(&files.certificate)?;
    match chain.first().and_then(|certificate| validity(certificate)) {
        Some((from, until)) if now < from || until < now => {
            Err(TlsError::NotNow { file: files.certificate.clone(), from, until })
        }
        Some(_) => Ok(()),
        None => Err(TlsError::Bad(files.certificate.clone(), "says not how long it is valid".to_owned())),
    }
}

/// Certificates, by the name that is asked for.
#[derive(Debug)]
struct ByName(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let fits = |key: &&Arc<CertifiedKey>| {
            let parsed = key.end_entity_cert().and_then(ParsedCertificate::try_from);
            parsed.is_ok_and(|own| name.as_ref().is_some_and(|name| verify_server_name(&own, name).is_ok()))
        };
        // With one, there is nothing to choose.
        let chosen = if self.0.len() > 1 { self.0.iter().find(fits) } else { None };
        chosen.or(self.0.first()).map(Arc::clone)
    }
}

/// What we show to whoever we connect to and who asks.
#[derive(Debug)]
struct Own(Arc<CertifiedKey>);

impl rustls::client::ResolvesClientCert for Own {
    fn resolve(&self, _: &[&[u8]], schemes: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.key.choose_scheme(schemes).map(|_| Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Reads the files again when they change, on a thread of its own: they may lie far away.
pub(crate) struct Watch {
    ask: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// `tell` is told what new connections need from then on.
    pub(crate) fn start(tls: SipTls, tell: impl Fn(StreamSetup) + Send + 'static) -> std::io::Result<Self> {
        tls.complain_of_time();
        let (ask, asked) = channel();
        let mut seen = tls.stamps();
        let thread = std::thread::Builder::new().name("certificates".to_owned()).spawn(move || {
            loop {
                let forced = match asked.recv_timeout(LOOK_EVERY) {
                    Ok(()) => true,
                    Err(RecvTimeoutError::Timeout) => false,
                    Err(RecvTimeoutError::Disconnected) => return,
                };
                let stamps = tls.stamps();
                if !forced && stamps == seen {
                    continue;
                }
                seen = stamps;
                match tls.setup() {
                    Ok(setup) => {
                        tls.complain_of_time();
                        tell(setup);
                        tracing::info!("the certificates of SIP were read again");
                    }
                    Err(error) => tracing::error!(%error, "the new certificates cannot be used: the old ones stay"),
                }
            }
        })?;
        Ok(Self { ask: Some(ask), thread: Some(thread) })
    }

    /// Reads the files now, changed or not.
    pub(crate) fn reload(&self) {
        if let Some(ask) = &self.ask {
            // It only ends when we do.
            let _ = ask.send(());
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.ask.take());
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the thread of certificates had panicked");
        }
    }
}
