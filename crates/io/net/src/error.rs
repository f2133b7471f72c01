//! What can go wrong when a socket is opened.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Somebody else listens there already.
    #[error("{transport}:{address} is in use by another program")]
    AddressInUse {
        /// `udp` or `tcp`.
        transport: &'static str,
        /// What was to be bound.
        address: SocketAddr,
    },
    /// The address is not one of this host, or needs a privilege, or anything else.
    #[error("cannot listen on {transport}:{address}: {source}")]
    Bind {
        /// `udp` or `tcp`.
        transport: &'static str,
        /// What was to be bound.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else listens to this UNIX socket already.
    #[error("unix:{} is in use by another program", path.display())]
    PathInUse {
        /// What was to be bound.
        path: PathBuf,
    },
    /// Something else has the name that a UNIX socket was to get.
    #[error("unix:{} exists and is no socket", path.display())]
    NotASocket {
        /// What was to be bound.
        path: PathBuf,
    },
    /// A UNIX socket cannot be bound there: the folder does not exist, a permission is missing, the path is too long.
    #[error("cannot listen on unix:{}: {source}", path.display())]
    Path {
        /// What was to be bound.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl NetError {
    pub(crate) fn bind(transport: &'static str, address: SocketAddr, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::AddrInUse {
            Self::AddressInUse { transport, address }
        } else {
            Self::Bind { transport, address, source }
        }
    }

    /// Whether another program has the address: the one case in which trying the next port helps.
    #[must_use]
    pub const fn is_in_use(&self) -> bool {
        matches!(self, Self::AddressInUse { .. } | Self::PathInUse { .. })
    }
}
