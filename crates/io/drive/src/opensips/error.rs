//! Why a front did not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use hookswitch_net::NetError;

use super::address::{EventsAddress, MiAddress};
use super::events::BoundEvents;
use crate::web::WebError;

/// Why a front of OpenSIPS did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The name of OpenSIPS's host leads nowhere.
    #[error("MI: cannot find the host of {mi}: {source}")]
    Resolve {
        /// As configured.
        mi: MiAddress,
        /// What the system said.
        source: io::Error,
    },
    /// OpenSIPS's datagram module knows no IPv6.
    #[error("MI: {0} has no IPv4 address, and mi_datagram speaks IPv4 only: use mi_http or a UNIX socket")]
    MiNeedsIpv4(MiAddress),
    /// OpenSIPS's datagram module knows no IPv6.
    #[error("EVI: event_datagram speaks IPv4 only, which {0} does not fit: use tcp or a UNIX socket")]
    EventsNeedIpv4(EventsAddress),
    /// Packets find no way to OpenSIPS's host, so nobody can tell which of our addresses it could send events to.
    #[error("EVI: no way to {to}: {source}")]
    NoWay {
        /// OpenSIPS's address.
        to: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The socket for replies over a UNIX socket.
    #[error("MI: {0}")]
    Mi(NetError),
    /// The socket for events.
    #[error("EVI: {0}")]
    Events(NetError),
    /// What is to be advertised is not of the kind of what is bound, or not an address.
    #[error("EVI: OpenSIPS cannot be told to send events for {bound} to {advertise:?}")]
    Advertise {
        /// As configured.
        advertise: String,
        /// What is bound.
        bound: BoundEvents,
    },
    /// The file of further certificate authorities.
    #[error("MI: {}: {why}", file.display())]
    Authorities {
        /// As configured.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The HTTP client: the system's certificates cannot be read, for example.
    #[error("MI: {0}")]
    Http(String),
    /// The Call API or HTTP.
    #[error(transparent)]
    Web(#[from] WebError),
    /// The system does not give us threads, descriptors or memory.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}
