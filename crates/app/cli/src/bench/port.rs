//! One socket of the load generator.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use hookswitch_net::{RecvBatch, SendQueue, UdpOptions, UdpSocket};
use mio::{Interest, Poll, Token};

/// Batches taken from one socket before the others get their turn.
const TURNS: usize = 16;

pub(super) struct Port {
    socket: UdpSocket,
    queue: SendQueue,
    /// Datagrams that the system did not take.
    pub(super) dropped: u64,
}

impl Port {
    pub(super) fn bind(poll: &Poll, token: Token, address: SocketAddr, stamps: bool) -> anyhow::Result<Port> {
        let mut socket = UdpSocket::bind(address, UdpOptions { stamps, ..UdpOptions::default() })?;
        poll.registry().register(&mut socket, token, Interest::READABLE)?;
        Ok(Port { socket, queue: SendQueue::new(), dropped: 0 })
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.socket.local()
    }

    /// Sends from `local`, which counts where the socket is bound to every address.
    pub(super) fn send(&mut self, local: SocketAddr, to: SocketAddr, bytes: Bytes) {
        if !self.queue.push(local, to, bytes) {
            self.dropped += 1;
        }
    }

    pub(super) fn flush(&mut self) {
        let dropped = &mut self.dropped;
        // A server that is not there is seen from the calls that fail.
        self.queue.flush(&self.socket, |_| *dropped += 1);
    }

    /// Takes what is there; true when there may be more.
    pub(super) fn receive(&mut self, batch: &mut RecvBatch, mut each: impl FnMut(&RecvBatch)) -> io::Result<bool> {
        for _ in 0..TURNS {
            if self.socket.receive(batch)? == 0 {
                return Ok(false);
            }
            each(batch);
        }
        Ok(true)
    }
}
