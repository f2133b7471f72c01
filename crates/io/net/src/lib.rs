//! Sockets, and nothing that knows what they carry: UDP in batches, TCP connections with limits and
//! TLS and WebSockets upon them,
//! datagrams over UNIX sockets, the pool of RTP ports, and the addresses of this host.
//!
//! Everything here is non-blocking and driven by somebody else's [`mio::Poll`]; no thread is
//! started. Unsafe code lives in two small modules (`sys`, `ring`), behind safe functions.

mod error;
mod interfaces;
mod ports;
mod ring;
mod sys;
mod task;
mod tcp;
mod udp;
mod unix;

pub use error::NetError;
pub use interfaces::{Interface, interfaces, local_address_towards};
pub use ports::{BadPortRange, PortPair, PortPool, PortRange, connect_beside};
pub use ring::{Arrival, Happened, MAX_RING_PACKET, UdpRing};
pub use sys::{
    ClockState, allowed_cpus, clock_state, pin_current_thread, prefer_current_thread, raise_descriptor_limit,
    read_stamped, stamp_arrivals, thread_cpu_time, without_huge_pages,
};
pub use task::TaskPoll;
pub use tcp::{
    AcceptOutcome, CloseReason, Connections, ConnectionsConfig, Distrust, HANDSHAKES_A_TURN, Listener, MAX_CONNECTIONS,
    MAX_NAME, MAX_NAMES, MAX_UPGRADE, MAX_WEBSOCKET_MESSAGE, MAX_WRITE_QUEUE, StreamKind, StreamSetup, TcpEvent,
    Towards,
};
pub use udp::{
    BATCH, Datagram, MAX_DATAGRAM, MAX_SEND_QUEUE, RecvBatch, SendOutcome, SendQueue, SocketError, UdpOptions,
    UdpSocket,
};
pub use unix::{MAX_UNIX_PATH, PrivateFolder, UnixSocket};
