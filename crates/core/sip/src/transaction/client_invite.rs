//! Client INVITE transaction: RFC 3261 17.1.1 with the Accepted state of RFC 6026 7.2.
//!
//! ```text
//!                      A: repeat INVITE, doubling (datagrams only)
//!                      ┌──┐
//!                      ▼  │
//!   INVITE ───────▶ Calling ── B ─────────────────────────────▶ Over (timeout)
//!                   │  │  │                                       ▲
//!               1xx │  │  └── 2xx ─────▶ Accepted ── M ──────────┤
//!                   ▼  │                 ▲  └─ 2xx: to the user   │
//!       1xx ┌─ Proceeding ────── 2xx ────┘                        │
//!           └─▶ │  │ │ └── limit ──────────────────────▶ Over (timeout)
//!               │  │                                              │
//!               └──┴─ 300-699: ACK ──▶ Completed ── D ────────────┘
//!                                       └─ 300-699: ACK again
//! ```
//!
//! The limit in Proceeding is the user's: how long a call may ring, and 64·T1 once it has been cancelled (RFC 3261 9.1).

use super::{Fired, Heard, earlier};
use crate::Time;
use crate::timers::Timers;
use crate::transport::Transport;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Awaits any response.
    Calling { repeat_at: Option<Time>, interval: Time, until: Time },
    /// Awaits a final response.
    Proceeding { until: Time },
    /// Awaits repeats of the refusal.
    Completed { until: Time },
    /// Awaits further 2xx.
    Accepted { until: Time },
}

/// One INVITE that we sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientInvite {
    state: State,
    transport: Transport,
}

impl ClientInvite {
    pub(crate) fn start(now: Time, timers: &Timers, transport: Transport) -> ClientInvite {
        let interval = timers.a();
        let repeat_at = (!transport.reliable()).then_some(now + interval);
        ClientInvite { state: State::Calling { repeat_at, interval, until: now + timers.b() }, transport }
    }

    pub(crate) fn is_calling(&self) -> bool {
        matches!(self.state, State::Calling { .. })
    }

    pub(crate) fn awaits_final(&self) -> bool {
        matches!(self.state, State::Calling { .. } | State::Proceeding { .. })
    }

    /// `ring_until` is the limit that applies once a provisional response has come.
    pub(crate) fn on_response(&mut self, now: Time, timers: &Timers, status: u16, ring_until: Time) -> Heard {
        match (self.state, status) {
            (State::Calling { .. }, 100..=199) => {
                self.state = State::Proceeding { until: ring_until };
                Heard::News
            }
            (State::Proceeding { .. }, 100..=199) => Heard::News,
            (State::Calling { .. } | State::Proceeding { .. }, 200..=299) => {
                self.state = State::Accepted { until: now + timers.m() };
                Heard::News
            }
            (State::Accepted { .. }, 200..=299) => Heard::News,
            (State::Calling { .. } | State::Proceeding { .. }, _) => {
                self.state = State::Completed { until: now + timers.d(self.transport) };
                Heard::Refusal
            }
            (State::Completed { .. }, 300..) => Heard::Again,
            (State::Completed { .. } | State::Accepted { .. }, _) => Heard::Nothing,
        }
    }

    /// Shortens or moves the limit of Proceeding.
    pub(crate) fn limit(&mut self, until: Time) {
        if let State::Proceeding { until: limit } = &mut self.state {
            *limit = until;
        }
    }

    pub(crate) fn on_time(&mut self, now: Time) -> Fired {
        match &mut self.state {
            State::Calling { until, .. } | State::Proceeding { until } if *until <= now => Fired::GiveUp,
            State::Calling { repeat_at: Some(at), interval, .. } if *at <= now => {
                *interval *= 2;
                *at = now + *interval;
                Fired::Repeat
            }
            State::Completed { until } | State::Accepted { until } if *until <= now => Fired::Over,
            State::Calling { .. } | State::Proceeding { .. } | State::Completed { .. } | State::Accepted { .. } => {
                Fired::Nothing
            }
        }
    }

    pub(crate) fn deadline(&self) -> Time {
        match self.state {
            State::Calling { repeat_at, until, .. } => earlier(repeat_at, until),
            State::Proceeding { until } | State::Completed { until } | State::Accepted { until } => until,
        }
    }
}
