//! How much a user, a trunk or a source may call numbers of one class of cost.

use std::fmt;
use std::str::FromStr;

use compact_str::{CompactString, ToCompactString as _};
use serde::{Deserialize, Serialize};

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Limits for one class of cost; what is not said is not limited. Days, hours and minutes begin with the first call that
/// is counted.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TollLimits {
    /// No calls at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<bool>,
    /// Calls may begin only in these hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// Most calls at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u32>,
    /// Most calls at a time to one number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_to_number: Option<u32>,
    /// Most calls that are begun in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<u32>,
    /// The same in an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<u32>,
    /// The same in a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_day: Option<u32>,
    /// Minutes of talk in a day after which no other call begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes_per_day: Option<u32>,
}

impl TollLimits {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        Self { blocked: self.blocked.filter(|blocked| *blocked), ..self.clone() } == Self::default()
    }

    /// These limits, and where they say nothing the other ones.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            blocked: self.blocked.or(other.blocked),
            hours: self.hours.or(other.hours),
            calls: self.calls.or(other.calls),
            calls_to_number: self.calls_to_number.or(other.calls_to_number),
            per_minute: self.per_minute.or(other.per_minute),
            per_hour: self.per_hour.or(other.per_hour),
            per_day: self.per_day.or(other.per_day),
            minutes_per_day: self.minutes_per_day.or(other.minutes_per_day),
        }
    }
}

/// Hours of every day, `08:00-18:30`; they may go over midnight.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "CompactString", into = "CompactString")]
pub struct Hours {
    from: u16,
    to: u16,
}

impl Hours {
    /// Whether the minute of the day, counted from midnight, is one of them.
    #[must_use]
    pub const fn has(self, minute: u16) -> bool {
        if self.from < self.to {
            self.from <= minute && minute < self.to
        } else {
            self.from <= minute || minute < self.to
        }
    }
}

/// What is no time of a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("hours are written 08:00-18:30, from 00:00 to 24:00")]
pub struct BadHours;

impl FromStr for Hours {
    type Err = BadHours;

    fn from_str(text: &str) -> Result<Self, BadHours> {
        let minute = |text: &str| {
            let (hours, minutes) = text.trim().split_once(':')?;
            let is_number = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            let (hours, minutes): (u16, u16) = (is_number(hours) && is_number(minutes))
                .then(|| Some((hours.parse().ok()?, minutes.parse().ok()?)))??;
            let minute = hours * 60 + minutes;
            (minutes < 60 && minute <= DAY).then_some(minute)
        };
        let (from, to) = text.split_once('-').ok_or(BadHours)?;
        let (from, to) = (minute(from).ok_or(BadHours)?, minute(to).ok_or(BadHours)?);
        // From a moment to the same one is either always or never: whoever means one of them says so otherwise.
        if from == to { Err(BadHours) } else { Ok(Self { from, to }) }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}-{:02}:{:02}", self.from / 60, self.from % 60, self.to / 60, self.to % 60)
    }
}

impl TryFrom<CompactString> for Hours {
    type Error = BadHours;

    fn try_from(text: CompactString) -> Result<Self, BadHours> {
        text.parse()
    }
}

impl From<Hours> for CompactString {
    fn from(hours: Hours) -> Self {
        hours.to_compact_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_those_of_a_day_or_go_over_midnight() {
        let hours = |text: &str| text.parse::<Hours>().unwrap();
        for (text, minute, expected) in [
            ("08:00-18:30", 480, true),
            ("08:00-18:30", 479, false),
            ("08:00-18:30", 1_109, true),
            ("08:00-18:30", 1_110, false),
            ("22:00-06:00", 0, true),
            ("22:00-06:00", 360, false),
            ("22:00-06:00", 1_320, true),
            ("00:00-24:00", 1_439, true),
        ] {
            assert_eq!(hours(text).has(minute), expected, "{text} {minute}");
        }
        assert_eq!(hours(" 22:00 - 06:00").to_string(), "22:00-06:00");
        for text in
            ["", "8:00-18:00", "08:00", "08:60-09:00", "24:01-01:00", "08:00-08:00", "aa:bb-cc:dd", "+8:00-18:00"]
        {
            assert_eq!(text.parse::<Hours>(), Err(BadHours), "{text}");
        }
    }

    #[test]
    fn own_limits_go_before_those_for_everybody() {
        let own = TollLimits { calls: Some(5), blocked: Some(false), ..TollLimits::default() };
        let all = TollLimits { calls: Some(1), per_day: Some(7), blocked: Some(true), ..TollLimits::default() };
        let both = own.or(&all);
        assert_eq!((both.calls, both.per_day, both.blocked), (Some(5), Some(7), Some(false)));
        assert!(!both.is_empty() && TollLimits { blocked: Some(false), ..TollLimits::default() }.is_empty());
    }
}
