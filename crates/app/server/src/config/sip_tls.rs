//! The section `sip.tls`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Tls;

/// Certificates of the SIP sockets `tls` and `wss`, and who is believed. Files that change are read again within
/// seconds, and on SIGHUP at once; connections stay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SipTls {
    /// Our certificates, each with its key. Whoever asks for a name gets the first that is good for it; all others, the
    /// first one, which is also shown to the servers we connect to.
    pub certificates: Vec<Tls>,
    /// Whether phones have to show a certificate: `off`; `asked`, and one that has none gets in all the same;
    /// `required`.
    pub client_certificates: ClientCertificates,
    /// PEM file: authorities that sign those of phones and trunks that connect. Needed unless `client_certificates` is off.
    pub client_ca: Option<PathBuf>,
    /// PEM file: authorities that sign those of servers we connect to. Default: those that the system trusts.
    pub ca: Option<PathBuf>,
}

/// Whether phones have to show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// They are not asked.
    #[default]
    Off,
    /// They are asked and need none.
    Asked,
    /// They need one.
    Required,
}
