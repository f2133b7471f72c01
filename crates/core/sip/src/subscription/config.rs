//! How many subscriptions there may be, and for how long.

use core::time::Duration;

/// Longest `id` of an Event header, in bytes.
pub const MAX_EVENT_ID: usize = 64;

/// When a NOTIFY is tried again for which there was no room.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How many restored subscribers are told at a time.
pub const WAKE_BATCH: usize = 50;

/// How long after that the next are.
pub const WAKE_GAP: Duration = Duration::from_millis(100);

/// Limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionConfig {
    /// Most subscriptions in total; more are answered 503. Default 50,000.
    pub max_subscriptions: usize,
    /// Most subscriptions of one user; more are answered 403. Default 500: a panel of keys takes one for each.
    pub max_per_user: usize,
    /// Shortest subscription; less is answered 423. Default 60 s; more than an hour counts as an hour.
    pub min_expires: Duration,
    /// Where the subscriber does not say. Default one hour.
    pub default_expires: Duration,
    /// Longest subscription; more is cut down. Default one hour.
    pub max_expires: Duration,
}

impl Default for SubscriptionConfig {
    fn default() -> SubscriptionConfig {
        SubscriptionConfig {
            max_subscriptions: 50_000,
            max_per_user: 500,
            min_expires: Duration::from_secs(60),
            default_expires: Duration::from_secs(3_600),
            max_expires: Duration::from_secs(3_600),
        }
    }
}
