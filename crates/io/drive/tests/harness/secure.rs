//! Certificates, and switches that have some.

use std::fs;
use std::path::Path;

use hookswitch_drive::{SipListen, SipTls, SwitchConfig, TlsFiles};
use hookswitch_sip::Transport;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;

use super::{LOOPBACK, config};

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    /// Writes a certificate for that name, and its key.
    pub fn issue(&self, folder: &Path, name: &str) -> TlsFiles {
        self.issue_with(folder, name, |_| {})
    }

    pub fn issue_with(&self, folder: &Path, name: &str, change: impl FnOnce(&mut CertificateParams)) -> TlsFiles {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let made = params.signed_by(&key, &self.issuer).unwrap();
        let files =
            TlsFiles { certificate: folder.join(format!("{name}.crt")), key: folder.join(format!("{name}.key")) };
        fs::write(&files.key, key.serialize_pem()).unwrap();
        fs::write(&files.certificate, made.pem()).unwrap();
        files
    }

    pub fn file(&self, folder: &Path) -> std::path::PathBuf {
        let file = folder.join("authority.pem");
        fs::write(&file, self.issuer.pem()).unwrap();
        file
    }

    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        roots
    }
}

/// Everything on the loopback, with these certificates.
pub fn secure(first_port: u16, tls: SipTls) -> SwitchConfig {
    let mut config = config(first_port);
    let more = [Transport::Tls, Transport::Ws, Transport::Wss];
    config.sip.extend(more.map(|transport| SipListen { transport, address: LOOPBACK }));
    config.tls = tls;
    config
}
