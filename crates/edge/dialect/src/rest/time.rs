//! Times and lengths as the documents write them.

use std::time::Duration;

use hookswitch_call::Time;
use serde_json::Value;

use crate::journal::record::date_time;

/// A moment as RFC 3339 writes it, as events have it.
pub(super) fn moment(at: Time) -> String {
    date_time(at)
}

/// The same, where there may be none.
pub(super) fn moment_or_null(at: Option<Time>) -> Value {
    at.map_or(Value::Null, |at| moment(at).into())
}

/// Seconds, to the millisecond.
pub(super) fn seconds(length: Duration) -> f64 {
    length.as_millis() as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_in_utc_to_the_millisecond() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (1_795_300_000_007, "2026-11-21T22:26:40.007Z"),
        ] {
            assert_eq!(moment(Duration::from_millis(millis)), expected);
        }
    }
}
