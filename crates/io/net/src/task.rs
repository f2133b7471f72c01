//! Waiting for a [`mio::Poll`] in a task, beside other tasks of the same thread.

use std::io;
use std::time::Duration;

use mio::{Events, Poll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Sockets that a task waits for.
pub struct TaskPoll(AsyncFd<Poll>);

impl TaskPoll {
    /// Takes a poll with its sockets; more may be registered later, through a clone of its registry.
    ///
    /// # Errors
    /// What the system says.
    ///
    /// # Panics
    /// Outside of a runtime that serves sockets.
    pub fn new(poll: Poll) -> io::Result<Self> {
        // SAFETY: a `Poll` owns one epoll descriptor from its making to its end, always names that one, and belongs to
        // the `AsyncFd` from here on.
        let sockets = unsafe { AsyncFd::register_with_interest(poll, Interest::READABLE) };
        Ok(Self(sockets?))
    }

    /// Waits until sockets are ready, and says which: perhaps none. May be dropped and called again.
    ///
    /// # Errors
    /// What the system says.
    pub async fn ready(&mut self, events: &mut Events) -> io::Result<()> {
        let mut guard = self.0.readable_mut().await?;
        if let Err(error) = guard.get_inner_mut().poll(events, Some(Duration::ZERO)) {
            return if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) };
        }
        // Each socket is told of once, so fewer than there is room for are all there were. What becomes ready from now
        // on makes the poll itself ready anew.
        if events.iter().nth(events.capacity() - 1).is_none() {
            guard.clear_ready();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket as System;

    use mio::net::UdpSocket;
    use mio::{Interest as Of, Token};

    use super::*;

    #[tokio::test]
    async fn whatever_becomes_ready_while_nobody_or_somebody_waits_is_told_of() {
        const SOCKETS: usize = 20;
        let poll = Poll::new().unwrap();
        let registry = poll.registry().try_clone().unwrap();
        let mut task = TaskPoll::new(poll).unwrap();
        let sender = System::bind("127.0.0.1:0").unwrap();
        let mut sockets: Vec<UdpSocket> =
            (0..SOCKETS).map(|_| UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap()).collect();
        for (at, socket) in sockets.iter_mut().enumerate() {
            registry.register(socket, Token(at), Of::READABLE).unwrap();
        }
        // Fewer places than sockets, so that several looks are needed.
        let mut events = Events::with_capacity(8);
        for round in 0..3 {
            for socket in &sockets {
                sender.send_to(b"x", socket.local_addr().unwrap()).unwrap();
            }
            let mut heard = [false; SOCKETS];
            while heard.contains(&false) {
                let ready = tokio::time::timeout(Duration::from_secs(5), task.ready(&mut events));
                ready.await.unwrap_or_else(|_| panic!("round {round}: {heard:?}")).unwrap();
                for event in &events {
                    let Token(at) = event.token();
                    let mut bytes = [0; 4];
                    while sockets[at].recv(&mut bytes).is_ok() {
                        heard[at] = true;
                    }
                }
            }
        }
        let quiet = tokio::time::timeout(Duration::from_millis(50), async {
            loop {
                task.ready(&mut events).await.unwrap();
                assert!(events.is_empty());
            }
        });
        assert!(quiet.await.is_err());
    }
}
