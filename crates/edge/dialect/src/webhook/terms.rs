//! What is configured of an endpoint.

use std::time::Duration;

/// How an endpoint is served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Most attempts at a time.
    pub parallel: usize,
    /// Most events in memory that are not delivered; the others stay in the log.
    pub window: usize,
    /// How long after it has happened an event is still tried. Each is tried once in any case.
    pub retry_time: Duration,
    /// Pause after the first failure. It doubles with every other, and half of it is left to chance.
    pub first_pause: Duration,
    /// Longest pause.
    pub longest_pause: Duration,
    /// Whether there is a second URL.
    pub has_fallback: bool,
    /// After how many failures in a row of the first URL the second is tried.
    pub fallback_after: u32,
    /// Most dead letters that are kept; then the oldest is dropped.
    pub dead_kept: usize,
    /// How long a dead letter is kept.
    pub dead_time: Duration,
    /// Whether 410 switches the endpoint off. Otherwise the event that was answered so is dead at once, and no other.
    pub gone_ends: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            parallel: 64,
            window: 10_000,
            retry_time: Duration::from_secs(24 * 3_600),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(600),
            has_fallback: false,
            fallback_after: 3,
            dead_kept: 10_000,
            dead_time: Duration::from_secs(14 * 86_400),
            gone_ends: true,
        }
    }
}
