//! The timers of RFC 3261 (table 4 in its appendix A) and RFC 6026, all derived from three values.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::transport::Transport;

/// Round-trip estimate, T1: RFC 3261 17.1.1.1.
pub const T1: Duration = Duration::from_millis(500);

/// Longest interval between repeats of non-INVITE requests and of INVITE responses, T2.
pub const T2: Duration = Duration::from_secs(4);

/// Longest time a message stays in the network, T4.
pub const T4: Duration = Duration::from_secs(5);

/// A provisional response other than 100 is repeated this often while a call rings (RFC 3261 13.3.1.1).
pub const PROVISIONAL_REFRESH: Duration = Duration::from_secs(60);

/// How many T1 a transaction waits before it gives up.
const PATIENCE: u32 = 64;

/// The three values everything else follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timers {
    /// Round-trip estimate; default 500 ms.
    pub t1: Duration,
    /// Cap of the repeat interval; default 4 s.
    pub t2: Duration,
    /// Longest life of a message in the network; default 5 s.
    pub t4: Duration,
}

impl Default for Timers {
    fn default() -> Timers {
        Timers { t1: T1, t2: T2, t4: T4 }
    }
}

impl Timers {
    /// First repeat of an INVITE; doubles each time, without a cap.
    pub fn a(&self) -> Duration {
        self.t1
    }

    /// An INVITE without any response fails.
    pub fn b(&self) -> Duration {
        self.t1 * PATIENCE
    }

    /// How long an answered client INVITE absorbs repeated final responses.
    pub fn d(&self, transport: Transport) -> Duration {
        // "At least 32 seconds" whatever T1 is (RFC 3261 17.1.1.2), but a test network with a small T1 scales it.
        linger(transport, self.t1 * PATIENCE)
    }

    /// First repeat of a non-INVITE request; doubles up to T2.
    pub fn e(&self) -> Duration {
        self.t1
    }

    /// A non-INVITE request without a final response fails.
    pub fn f(&self) -> Duration {
        self.t1 * PATIENCE
    }

    /// First repeat of a final INVITE response; doubles up to T2.
    pub fn g(&self) -> Duration {
        self.t1
    }

    /// A final INVITE response without ACK is given up.
    pub fn h(&self) -> Duration {
        self.t1 * PATIENCE
    }

    /// How long a server INVITE absorbs repeated ACKs.
    pub fn i(&self, transport: Transport) -> Duration {
        linger(transport, self.t4)
    }

    /// How long a server transaction repeats its final response to repeated requests.
    pub fn j(&self, transport: Transport) -> Duration {
        linger(transport, self.t1 * PATIENCE)
    }

    /// How long a client transaction absorbs repeated final responses.
    pub fn k(&self, transport: Transport) -> Duration {
        linger(transport, self.t4)
    }

    /// How long a server INVITE that was accepted absorbs repeats, and how long its 2xx is repeated (RFC 6026 7.1).
    pub fn l(&self) -> Duration {
        self.t1 * PATIENCE
    }

    /// How long a client INVITE that was accepted takes further 2xx (RFC 6026 7.2).
    pub fn m(&self) -> Duration {
        self.t1 * PATIENCE
    }

    /// The interval after `interval` where T2 caps it.
    pub fn next(&self, interval: Duration) -> Duration {
        (interval * 2).min(self.t2)
    }
}

/// Waiting for stragglers makes sense only where the network can double or delay messages.
fn linger(transport: Transport, time: Duration) -> Duration {
    if transport.reliable() { Duration::ZERO } else { time }
}
