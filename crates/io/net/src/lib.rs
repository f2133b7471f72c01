//! Sockets: UDP, TCP, RTP port pool.
