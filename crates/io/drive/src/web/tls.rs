//! Certificates and keys in files; and TLS for the listeners of the web: one certificate, replaced while connections stay.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore, ServerConfig};

/// Longest certificate or key file, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Where certificate and key are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// PEM: the certificate, followed by those that lead to a root.
    pub certificate: PathBuf,
    /// PEM: the private key of the certificate (PKCS #8, PKCS #1 or SEC1).
    pub key: PathBuf,
}

/// What is wrong with a certificate or its key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{file}: {why}", file = .0.display(), why = .1)]
    Unreadable(PathBuf, #[source] io::Error),
    /// Longer than any certificate or key.
    #[error("{file}: longer than {MAX_FILE} bytes", file = .0.display())]
    TooLong(PathBuf),
    /// No certificate in PEM form is in it.
    #[error("{file}: holds no certificate (a block BEGIN CERTIFICATE is expected)", file = .0.display())]
    NoCertificate(PathBuf),
    /// No private key in PEM form is in it.
    #[error(
        "{file}: holds no private key (a block BEGIN PRIVATE KEY is expected; keys with a passphrase cannot be read)",
        file = .0.display()
    )]
    NoKey(PathBuf),
    /// A block is damaged, or the key is of a kind that TLS does not use.
    #[error("{file}: {why}", file = .0.display(), why = .1)]
    Bad(PathBuf, String),
    /// No certificate of an authority in it can be used.
    #[error("{file}: holds no certificate of an authority that can be used", file = .0.display())]
    NoAuthority(PathBuf),
    /// Its time is over, or has not come yet.
    #[error("{file}: the certificate is valid from {from} to {until}", file = .file.display())]
    NotNow {
        /// The certificate's file.
        file: PathBuf,
        /// When its time begins.
        from: jiff::Timestamp,
        /// When its time ends.
        until: jiff::Timestamp,
    },
    /// The key does not belong to the certificate.
    #[error("{key}: is not the key of the certificate in {certificate}",
        key = .key.display(), certificate = .certificate.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
}

/// The certificate in use, and the files it came from.
#[derive(Debug)]
pub(crate) struct Identity {
    files: TlsFiles,
    /// Authorities of clients, who are asked for a certificate where there are some.
    clients: Option<PathBuf>,
    current: RwLock<Arc<ServerConfig>>,
    seen: RwLock<Vec<FileStamp>>,
}

/// How a file is told from a later one of the same name.
pub(crate) type FileStamp = Option<(SystemTime, u64, u64)>;

impl Identity {
    /// Reads the files. With `clients`, authorities as PEM, those who connect are asked for a certificate: they need
    /// none, and one that is not good ends the connection.
    pub(crate) fn open(files: TlsFiles, clients: Option<PathBuf>) -> Result<Arc<Self>, TlsError> {
        let seen = stamps(&files, clients.as_deref());
        let current = read_config(&files, clients.as_deref())?;
        Ok(Arc::new(Self { files, clients, current: RwLock::new(current), seen: RwLock::new(seen) }))
    }

    /// Reads the files again if they have changed, or in any case if `forced`. When they cannot be used, the old
    /// certificate stays in use, and the log says why.
    pub(crate) fn refresh(&self, forced: bool) {
        let stamps = stamps(&self.files, self.clients.as_deref());
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        if !forced && *seen == stamps {
            return;
        }
        *seen = stamps;
        match read_config(&self.files, self.clients.as_deref()) {
            Ok(config) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
                tracing::info!(certificate = %self.files.certificate.display(), "the certificate was read again");
            }
            Err(error) => tracing::error!(%error, "the new certificate cannot be used: the old one stays"),
        }
    }

    /// The TLS side of a new connection.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn read_config(files: &TlsFiles, clients: Option<&Path>) -> Result<Arc<ServerConfig>, TlsError> {
    let key = Arc::new(load(files)?);
    // The provider has cipher suites for both versions, which is all that this could complain about.
    let versions = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs serves TLS 1.2 and 1.3");
    let asked = match clients {
        Some(file) => versions.with_client_cert_verifier(client_verifier(file, false)?),
        None => versions.with_no_client_auth(),
    };
    let mut config = asked.with_cert_resolver(Arc::new(One(key)));
    if clients.is_some() {
        forget_sessions(&mut config);
    }
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Who believes certificates of clients that these authorities have signed; where they are not `required`, clients
/// without one are served as well.
pub(crate) fn client_verifier(authorities: &Path, required: bool) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(authorities)?), provider());
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| TlsError::Bad(authorities.to_owned(), error.to_string()))
}

/// A session that is taken up again brings a certificate that nobody looks at anew: its time may be over.
pub(crate) fn forget_sessions(config: &mut ServerConfig) {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
}

/// The authorities in a file, as PEM.
pub(crate) fn roots(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(load_certificates(file)?);
    if usable == 0 { Err(TlsError::NoAuthority(file.to_owned())) } else { Ok(roots) }
}

#[derive(Debug)]
struct One(Arc<CertifiedKey>);

impl ResolvesServerCert for One {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A link that leads elsewhere, as those of certificate tools do, changes what stands behind the name.
pub(crate) fn file_stamp(file: &Path) -> FileStamp {
    let facts = fs::metadata(file).ok()?;
    let inode = std::os::unix::fs::MetadataExt::ino(&facts);
    Some((facts.modified().ok()?, facts.len(), inode))
}

fn stamps(files: &TlsFiles, clients: Option<&Path>) -> Vec<FileStamp> {
    [Some(files.certificate.as_path()), Some(&files.key), clients].into_iter().flatten().map(file_stamp).collect()
}

/// Reads all certificates of a file.
pub(crate) fn load_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(file)?;
    let read = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let chain = read.map_err(|error| TlsError::Bad(file.to_owned(), error.to_string()))?;
    if chain.is_empty() { Err(TlsError::NoCertificate(file.to_owned())) } else { Ok(chain) }
}

/// Whether a certificate and its key can be read and belong together.
///
/// # Errors
/// [`TlsError`] names the file.
pub fn check_identity(files: &TlsFiles) -> Result<(), TlsError> {
    load(files).map(drop)
}

/// Whether a file holds an authority that can be used.
///
/// # Errors
/// [`TlsError`] names the file.
pub fn check_authorities(file: &Path) -> Result<(), TlsError> {
    roots(file).map(drop)
}

/// Reads a certificate and its key, and checks that they belong together.
pub(crate) fn load(files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
    let (certificate, key) = (&files.certificate, &files.key);
    let chain = load_certificates(certificate)?;
    let secret = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => TlsError::NoKey(key.clone()),
        // What the reader says would quote the file, and this one is secret.
        _ => TlsError::Bad(key.clone(), "the private key is damaged".to_owned()),
    })?;
    let signer = provider().key_provider.load_private_key(secret);
    let signer = signer.map_err(|error| TlsError::Bad(key.clone(), error.to_string()))?;
    let pair = CertifiedKey::new(chain, signer);
    match pair.keys_match() {
        // A key of which the public half is unknown is one of a device; TLS itself will tell.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(pair),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(TlsError::Mismatch { certificate: certificate.clone(), key: key.clone() })
        }
        Err(other) => Err(TlsError::Bad(certificate.clone(), other.to_string())),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |error| TlsError::Unreadable(file.to_owned(), error);
    let facts = fs::metadata(file).map_err(unreadable)?;
    if facts.len() > MAX_FILE {
        return Err(TlsError::TooLong(file.to_owned()));
    }
    fs::read(file).map_err(unreadable)
}
