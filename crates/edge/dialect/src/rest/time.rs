//! Times and lengths as the documents write them.

use std::time::Duration;

use hookswitch_call::Time;
use serde_json::Value;

/// A moment as RFC 3339 writes it, in UTC and to the millisecond.
pub(super) fn moment(at: Time) -> String {
    let (year, month, day) = date(at.as_secs() / 86_400);
    let second = at.as_secs() % 86_400;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", at.subsec_millis())
}

/// The same, where there may be none.
pub(super) fn moment_or_null(at: Option<Time>) -> Value {
    at.map_or(Value::Null, |at| moment(at).into())
}

/// Seconds, to the millisecond.
pub(super) fn seconds(length: Duration) -> f64 {
    length.as_millis() as f64 / 1_000.0
}

/// The date of a day since the epoch, in the Gregorian calendar: of years that begin in March, so that the odd day is
/// the last one.
const fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * era + year + next, month, date)
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
