//! Client transaction of any method but INVITE: RFC 3261 17.1.2.
//!
//! ```text
//!                  E: repeat, doubling up to T2          E: repeat every T2
//!                  ┌──┐                                  ┌──┐
//!                  ▼  │                                  ▼  │
//!  request ──▶  Trying ────────── 1xx ───────────▶  Proceeding ◀─┐ 1xx
//!                │  │                                │  │ └──────┘
//!                │  └── F ──▶ Over (timeout) ◀── F ──┘  │
//!             200-699                                200-699
//!                └─────────▶ Completed ◀────────────────┘
//!                                └── K ──▶ Over
//! ```

use super::{Fired, Heard, earlier};
use crate::Time;
use crate::timers::Timers;
use crate::transport::Transport;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Awaits any response.
    Trying { repeat_at: Option<Time>, interval: Time, until: Time },
    /// Awaits a final response.
    Proceeding { repeat_at: Option<Time>, until: Time },
    /// Awaits repeats of the final response.
    Completed { until: Time },
}

/// One request that we sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    state: State,
    transport: Transport,
}

impl Client {
    pub(crate) fn start(now: Time, timers: &Timers, transport: Transport) -> Client {
        let interval = timers.e();
        let repeat_at = (!transport.reliable()).then_some(now + interval);
        Client { state: State::Trying { repeat_at, interval, until: now + timers.f() }, transport }
    }

    pub(crate) fn awaits_final(&self) -> bool {
        matches!(self.state, State::Trying { .. } | State::Proceeding { .. })
    }

    pub(crate) fn on_response(&mut self, now: Time, timers: &Timers, status: u16) -> Heard {
        match (self.state, status) {
            (State::Trying { repeat_at, until, .. }, 100..=199) => {
                self.state = State::Proceeding { repeat_at: repeat_at.map(|_| now + timers.t2), until };
                Heard::News
            }
            (State::Proceeding { .. }, 100..=199) => Heard::News,
            (State::Trying { .. } | State::Proceeding { .. }, _) => {
                self.state = State::Completed { until: now + timers.k(self.transport) };
                Heard::News
            }
            (State::Completed { .. }, _) => Heard::Nothing,
        }
    }

    pub(crate) fn on_time(&mut self, now: Time, timers: &Timers) -> Fired {
        match &mut self.state {
            State::Trying { until, .. } | State::Proceeding { until, .. } if *until <= now => Fired::GiveUp,
            State::Trying { repeat_at: Some(at), interval, .. } if *at <= now => {
                *interval = timers.next(*interval);
                *at = now + *interval;
                Fired::Repeat
            }
            State::Proceeding { repeat_at: Some(at), .. } if *at <= now => {
                *at = now + timers.t2;
                Fired::Repeat
            }
            State::Completed { until } if *until <= now => Fired::Over,
            State::Trying { .. } | State::Proceeding { .. } | State::Completed { .. } => Fired::Nothing,
        }
    }

    pub(crate) fn deadline(&self) -> Time {
        match self.state {
            State::Trying { repeat_at, until, .. } | State::Proceeding { repeat_at, until } => {
                earlier(repeat_at, until)
            }
            State::Completed { until } => until,
        }
    }
}
