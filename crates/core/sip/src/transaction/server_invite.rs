//! Server INVITE transaction: RFC 3261 17.2.1 with the Accepted state of RFC 6026 7.1.
//!
//! ```text
//!                  100 after 200 ms without answer; 1xx again every minute
//!                  ┌──┐
//!                  ▼  │   limit
//!   INVITE ──▶ Proceeding ─────────────────────────────────────────▶ Over (nobody answered)
//!              │ │  ▲ └─ INVITE: last 1xx again
//!              │ └──┘ 1xx
//!              │                        G: repeat, doubling up to T2 (datagrams only)
//!              │                        ┌──┐
//!              │                        ▼  │
//!              ├── 300-699 ──────▶ Completed ── H ─────────────────▶ Over (no ACK)
//!              │   INVITE: again ─┘     └─ ACK ──▶ Confirmed ── I ─▶ Over
//!              │                        2xx: repeat, doubling up to T2, until ACK
//!              │                        ┌──┐
//!              │                        ▼  │
//!              └── 2xx ──────────▶ Accepted ── L ──────────────────▶ Over (no ACK, if none came)
//!                  INVITE: absorbed ─┘
//! ```
//!
//! RFC 3261 13.3.1.4 gives the repeats of a 2xx to the user of the transaction, and RFC 6026 keeps the transaction for
//! just as long. Both clocks start with the 2xx and last 64·T1, so one machine runs them here.

use super::{Fired, Repeated, earlier};
use crate::Time;
use crate::timers::{PROVISIONAL_REFRESH, Timers};
use crate::transport::Transport;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Awaits our user's answer, with nothing sent yet.
    Silent { trying_at: Time, until: Time },
    /// Awaits our user's final answer.
    Proceeding { repeat_at: Option<Time>, until: Time },
    /// Awaits the ACK to a refusal.
    Completed { repeat_at: Option<Time>, interval: Time, until: Time },
    /// Awaits repeats of that ACK.
    Confirmed { until: Time },
    /// Awaits the ACK to a 2xx, which is no part of this transaction.
    Accepted { repeat_at: Time, interval: Time, until: Time },
    /// Awaits repeats of the INVITE after that ACK.
    Acknowledged { until: Time },
}

/// One INVITE that we received.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerInvite {
    state: State,
    transport: Transport,
}

impl ServerInvite {
    pub(crate) fn start(trying_at: Time, until: Time, transport: Transport) -> ServerInvite {
        ServerInvite { state: State::Silent { trying_at, until }, transport }
    }

    pub(crate) fn awaits_final(&self) -> bool {
        matches!(self.state, State::Silent { .. } | State::Proceeding { .. })
    }

    /// A 2xx has been sent.
    pub(crate) fn is_accepted(&self) -> bool {
        matches!(self.state, State::Accepted { .. } | State::Acknowledged { .. })
    }

    /// A 2xx has been sent, and is repeated.
    pub(crate) fn awaits_ack(&self) -> bool {
        matches!(self.state, State::Accepted { .. })
    }

    /// We send this response; false when a final one has been sent already.
    pub(crate) fn on_send(&mut self, now: Time, timers: &Timers, status: u16) -> bool {
        let (State::Silent { until, .. } | State::Proceeding { until, .. }) = self.state else {
            return false;
        };
        self.state = match status {
            100 => State::Proceeding { repeat_at: None, until },
            101..=199 => State::Proceeding { repeat_at: Some(now + PROVISIONAL_REFRESH), until },
            200..=299 => State::Accepted { repeat_at: now + timers.t1, interval: timers.t1, until: now + timers.l() },
            _ => {
                let interval = timers.g();
                let repeat_at = (!self.transport.reliable()).then_some(now + interval);
                State::Completed { repeat_at, interval, until: now + timers.h() }
            }
        };
        true
    }

    pub(crate) fn on_repeat(&self) -> Repeated {
        match self.state {
            State::Proceeding { .. } | State::Completed { .. } => Repeated::Answer,
            State::Silent { .. } | State::Confirmed { .. } | State::Accepted { .. } | State::Acknowledged { .. } => {
                Repeated::Absorb
            }
        }
    }

    /// An ACK with this transaction's branch, or the ACK to our 2xx. True when it is the first.
    pub(crate) fn on_ack(&mut self, now: Time, timers: &Timers) -> bool {
        match self.state {
            State::Completed { .. } => {
                self.state = State::Confirmed { until: now + timers.i(self.transport) };
                true
            }
            State::Accepted { until, .. } => {
                self.state = State::Acknowledged { until };
                true
            }
            State::Silent { .. } | State::Proceeding { .. } | State::Confirmed { .. } | State::Acknowledged { .. } => {
                false
            }
        }
    }

    pub(crate) fn on_time(&mut self, now: Time, timers: &Timers) -> Fired {
        match &mut self.state {
            State::Silent { until, .. }
            | State::Proceeding { until, .. }
            | State::Completed { until, .. }
            | State::Accepted { until, .. }
                if *until <= now =>
            {
                Fired::GiveUp
            }
            State::Silent { trying_at, .. } if *trying_at <= now => Fired::Trying,
            State::Proceeding { repeat_at: Some(at), .. } if *at <= now => {
                *at = now + PROVISIONAL_REFRESH;
                Fired::Repeat
            }
            State::Completed { repeat_at: Some(at), interval, .. }
            | State::Accepted { repeat_at: at, interval, .. }
                if *at <= now =>
            {
                *interval = timers.next(*interval);
                *at = now + *interval;
                Fired::Repeat
            }
            State::Confirmed { until } | State::Acknowledged { until } if *until <= now => Fired::Over,
            State::Silent { .. }
            | State::Proceeding { .. }
            | State::Completed { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Acknowledged { .. } => Fired::Nothing,
        }
    }

    pub(crate) fn deadline(&self) -> Time {
        match self.state {
            State::Silent { trying_at, until } => trying_at.min(until),
            State::Proceeding { repeat_at, until } | State::Completed { repeat_at, until, .. } => {
                earlier(repeat_at, until)
            }
            State::Accepted { repeat_at, until, .. } => repeat_at.min(until),
            State::Confirmed { until } | State::Acknowledged { until } => until,
        }
    }
}
