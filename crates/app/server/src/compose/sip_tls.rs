//! What `sip.tls` means.

use hookswitch_drive::{SipTls, TlsFiles};

use crate::config::{ClientCertificates, Config, ConfigError, SipTransport};

/// Certificates of the SIP sockets. The files are read when the switch starts, and by `check-config`.
pub(super) fn certificates(config: &Config) -> Result<SipTls, ConfigError> {
    let tls = &config.sip.tls;
    let needs = |transport| matches!(transport, SipTransport::Tls | SipTransport::Wss);
    if tls.certificates.is_empty()
        && let Some(bare) = config.sip.listen.iter().find(|socket| needs(socket.transport))
    {
        return Err(ConfigError::value("sip.tls.certificates", format!("{bare} needs a certificate")));
    }
    let clients = match tls.client_certificates {
        ClientCertificates::Off => hookswitch_drive::ClientCertificates::Off,
        ClientCertificates::Asked => hookswitch_drive::ClientCertificates::Asked,
        ClientCertificates::Required => hookswitch_drive::ClientCertificates::Required,
    };
    if clients != hookswitch_drive::ClientCertificates::Off && tls.client_ca.is_none() {
        return Err(ConfigError::value("sip.tls.client_ca", "is needed to check the certificates of phones"));
    }
    let files = |tls: &crate::config::Tls| TlsFiles { certificate: tls.certificate.clone(), key: tls.key.clone() };
    Ok(SipTls {
        identities: tls.certificates.iter().map(files).collect(),
        clients,
        client_ca: tls.client_ca.clone(),
        ca: tls.ca.clone(),
        origins: config.sip.allowed_origins.clone(),
    })
}
