//! The only clock of the commands.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time since the UNIX epoch that never goes backwards: the wall clock is read once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    epoch: Duration,
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock { epoch: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(), started: Instant::now() }
    }

    pub(crate) fn now(&self) -> Duration {
        self.epoch + self.started.elapsed()
    }
}
