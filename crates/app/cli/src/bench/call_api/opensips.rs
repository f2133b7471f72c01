//! The simulated OpenSIPS of a measurement: the same thread as the applications, so that one clock sees both ends.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use hookswitch_drive::Clock;
use hookswitch_net::{RecvBatch, SendQueue, UdpOptions};
use hookswitch_opensips_sim::{Answer, Behaviour, Oddities, PeerId, Sim, SimConfig, SimOutput};
use mio::{Interest, Registry, Token};

/// Who answers at once.
pub(super) const QUICK: &str = "quick";
/// Who answers when the measurement is over.
pub(super) const LATE: &str = "late";
/// Whom both are connected with.
pub(super) const CALLEE: &str = "callee";

/// Something was seen on the wire.
pub(super) enum Seen {
    /// The daemon asks for the first leg of this command.
    Dialed { command: usize, at: Duration },
    /// OpenSIPS reports the new call of this command; stamped before it is sent.
    Reported { command: usize, at: Duration },
}

pub(super) struct OpenSips {
    socket: hookswitch_net::UdpSocket,
    batch: RecvBatch,
    events: UdpSocket,
    sim: Sim,
    clock: Clock,
    /// What the names of commands begin with.
    name: String,
    daemon: Option<SocketAddr>,
    pub(super) seen: Vec<Seen>,
    /// Events that could not be sent.
    pub(super) lost: u64,
}

impl OpenSips {
    /// An OpenSIPS in which nothing happens by chance. Its late phone answers after `patience`.
    pub(super) fn open(
        at: SocketAddr,
        clock: Clock,
        patience: Duration,
        registry: &Registry,
        token: Token,
    ) -> anyhow::Result<Self> {
        let bound = hookswitch_net::UdpSocket::bind(at, UdpOptions { stamps: true, ..UdpOptions::default() });
        let mut socket = bound.context("nowhere to take requests")?;
        registry.register(&mut socket, token, Interest::READABLE)?;
        let config = SimConfig {
            fr_inv_timeout: patience * 10,
            spread: Duration::ZERO,
            hop: Duration::from_micros(50),
            oddities: Oddities { early_notify: 0, ..Oddities::default() },
            ..SimConfig::default()
        };
        let mut sim = Sim::new(config, [7; 32]);
        for (user, after) in [(QUICK, Duration::ZERO), (LATE, patience), (CALLEE, Duration::ZERO)] {
            sim.phone(user, Behaviour::scripted(user, "127.0.0.1:5062").answering(Answer::After(after)));
        }
        let events = UdpSocket::bind((at.ip(), 0))?;
        Ok(Self {
            socket,
            batch: RecvBatch::new(),
            events,
            sim,
            clock,
            name: String::new(),
            daemon: None,
            seen: Vec::new(),
            lost: 0,
        })
    }

    /// Looks for commands whose names begin like this, from now on.
    pub(super) fn begin(&mut self, name: &str) {
        self.name = name.to_owned();
        self.lost = 0;
    }

    /// Whether the daemon has subscribed to what is going to happen.
    pub(super) fn is_subscribed(&self) -> bool {
        self.sim.live_subscriptions(self.clock.now()) >= 2
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        self.sim.poll_timeout()
    }

    /// Lets time pass.
    pub(super) fn handle_timeout(&mut self) {
        self.sim.handle_timeout(self.clock.now());
        self.carry_out();
    }

    /// Takes the requests that have arrived.
    pub(super) fn receive(&mut self) {
        while self.socket.take_errors(drop) {}
        loop {
            let received = self.socket.receive(&mut self.batch);
            let clock = self.clock;
            let requests = self.batch.datagrams().map(|one| {
                // As the system saw it: that this thread wakes up late is not the daemon's doing.
                let late = one.arrived.map_or(Duration::ZERO, |arrived| clock.since(arrived));
                (one.from, clock.now().saturating_sub(late), Bytes::copy_from_slice(one.bytes))
            });
            let requests: Vec<_> = requests.collect();
            if requests.is_empty() || received.is_err() {
                return;
            }
            for (from, at, bytes) in &requests {
                if !self.name.is_empty()
                    && has(bytes, b"uac_dlg\"")
                    && let Some(command) = number_after(bytes, self.name.as_bytes())
                {
                    self.seen.push(Seen::Dialed { command, at: *at });
                }
                self.daemon = Some(*from);
            }
            for (_, _, bytes) in &requests {
                self.sim.handle_mi(self.clock.now(), PeerId(1), bytes);
                self.carry_out();
            }
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.sim.poll_output() {
            match output {
                SimOutput::MiReply { bytes, .. } => {
                    let Some(daemon) = self.daemon else { continue };
                    let mut queue = SendQueue::new();
                    let fits = queue.push(self.socket.local(), daemon, bytes);
                    let mut failed = u64::from(!fits);
                    queue.flush(&self.socket, |_| failed += 1);
                    self.lost += failed;
                }
                SimOutput::Event { socket, bytes } => self.report(&socket, &bytes),
            }
        }
    }

    fn report(&mut self, socket: &str, bytes: &[u8]) {
        if has(bytes, b"\"state\":\"start\"")
            && let Some(command) = number_after(bytes, self.name.as_bytes())
        {
            self.seen.push(Seen::Reported { command, at: self.clock.now() });
        }
        let sent = socket.strip_prefix("udp:").map(|at| self.events.send_to(bytes, at));
        if !matches!(sent, Some(Ok(_))) {
            self.lost += 1;
        }
    }
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The number that follows the first occurrence of `name`.
fn number_after(bytes: &[u8], name: &[u8]) -> Option<usize> {
    let at = bytes.windows(name.len()).position(|window| window == name)? + name.len();
    let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&bytes[at..at + digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_known_by_the_number_in_their_name() {
        let bytes = br#"{"headers":"Call-Id: bench-1x-42\r\n","method":"INVITE"}"#;
        assert_eq!(number_after(bytes, b"bench-1x-"), Some(42));
        assert_eq!(number_after(bytes, b"bench-2x-"), None);
        assert_eq!(number_after(b"bench-1x-", b"bench-1x-"), None);
        assert!(has(bytes, b"INVITE") && !has(bytes, b"BYE"));
    }
}
