//! Server transaction of any method but INVITE: RFC 3261 17.2.2.
//!
//! ```text
//!   request ──▶ Trying ──── 1xx ────▶ Proceeding ◀─┐ 1xx
//!                │  │                  │  │ └──────┘
//!                │  └─ F ──▶ Over ◀─ F ┘  │    request: last 1xx again
//!             200-699                  200-699
//!                └─────▶ Completed ◀──────┘    request: final response again
//!                            └── J ──▶ Over
//! ```
//!
//! After 64·T1 the client has given up (its timer F), so an answer would find nobody: RFC 4320 4.2.

use super::{Fired, Repeated};
use crate::Time;
use crate::timers::Timers;
use crate::transport::Transport;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Awaits our user's answer.
    Trying { until: Time },
    /// Awaits our user's final answer.
    Proceeding { until: Time },
    /// Awaits repeats of the request.
    Completed { until: Time },
}

/// One request that we received.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Server {
    state: State,
    transport: Transport,
}

impl Server {
    pub(crate) fn start(now: Time, timers: &Timers, transport: Transport) -> Server {
        Server { state: State::Trying { until: now + timers.f() }, transport }
    }

    pub(crate) fn awaits_final(&self) -> bool {
        matches!(self.state, State::Trying { .. } | State::Proceeding { .. })
    }

    /// We send this response; false when a final one has been sent already.
    pub(crate) fn on_send(&mut self, now: Time, timers: &Timers, status: u16) -> bool {
        let (State::Trying { until } | State::Proceeding { until }) = self.state else {
            return false;
        };
        self.state = match status {
            100..=199 => State::Proceeding { until },
            _ => State::Completed { until: now + timers.j(self.transport) },
        };
        true
    }

    pub(crate) fn on_repeat(&self) -> Repeated {
        match self.state {
            State::Trying { .. } => Repeated::Absorb,
            State::Proceeding { .. } | State::Completed { .. } => Repeated::Answer,
        }
    }

    pub(crate) fn on_time(&mut self, now: Time) -> Fired {
        match self.state {
            State::Trying { until } | State::Proceeding { until } if until <= now => Fired::GiveUp,
            State::Completed { until } if until <= now => Fired::Over,
            State::Trying { .. } | State::Proceeding { .. } | State::Completed { .. } => Fired::Nothing,
        }
    }

    pub(crate) fn deadline(&self) -> Time {
        match self.state {
            State::Trying { until } | State::Proceeding { until } | State::Completed { until } => until,
        }
    }
}
