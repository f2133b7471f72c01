//! The loops that join machines to sockets and clocks.
