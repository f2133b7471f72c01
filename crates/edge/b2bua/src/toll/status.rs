//! Who has called how much of what, and what would become of a call.

use std::fmt::Write as _;

use compact_str::{CompactString, format_compact};
use hookswitch_call::directory::TollLimits;
use hookswitch_call::{Address, Time};
use serde::Serialize;

use super::admit::{SOURCE, TRUNK, USER};
use super::{TollNews, TollWhy};
use crate::B2bua;

/// What an account has called of a class in the last day.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TollStatus {
    /// `user:NAME@DOMAIN`, `trunk:NAME` or `source:ADDRESS`.
    pub account: CompactString,
    /// The class.
    pub class: CompactString,
    /// Calls that there are.
    pub calls: u32,
    /// Calls of the minute that goes on.
    pub in_minute: u32,
    /// Of the hour.
    pub in_hour: u32,
    /// Of the day.
    pub in_day: u32,
    /// Talk of the day, in whole minutes.
    pub minutes: u64,
    /// The limit by which the next call would be refused, if it would be.
    pub reached: Option<TollWhy>,
    /// The limits.
    pub limits: TollLimits,
}

impl B2bua {
    /// What users, trunks and sources with limits have called in the last day, by account and class.
    #[must_use]
    pub fn toll_status(&mut self, now: Time) -> Vec<TollStatus> {
        self.tolls.at(now);
        let counts = &self.tolls.counts;
        let all = counts.accounts().into_iter();
        let known = all.filter_map(|(account, class)| {
            let place = self.tolls.config.classes.iter().position(|known| known.name == class)?;
            let limits = self.toll_limits(account, u8::try_from(place).ok()?).into_owned();
            let [in_minute, in_hour, in_day] = counts.spent(account, class).begun(counts.now);
            let reached = self.tolls.reached(account, class, &limits);
            let (calls, minutes) = (counts.calls(account, class), counts.talk(account, class).as_secs() / 60);
            let (account, class) = (account.into(), class.into());
            Some(TollStatus { account, class, calls, in_minute, in_hour, in_day, minutes, reached, limits })
        });
        known.collect()
    }

    /// Forgets what an account has begun and talked in the last day: it may call again. Calls that there are count on.
    /// `false` if nothing was counted.
    pub fn reset_toll(&mut self, account: &str) -> bool {
        self.tolls.counts.reset(account)
    }

    /// How many calls were not made, by reason in the order of [`TollWhy::ALL`].
    #[must_use]
    pub fn toll_refused(&self) -> [u64; TollWhy::ALL.len()] {
        self.tolls.refused
    }

    /// The next call that was not made; to be called until `None` after every other call.
    pub fn poll_toll_news(&mut self) -> Option<TollNews> {
        self.tolls.news.pop_front()
    }

    /// How many legs are counted against limits of classes: none when no call is left.
    #[must_use]
    pub fn toll_legs(&self) -> usize {
        self.tolls.counts.legs()
    }

    /// What the classes say of a call.
    pub(crate) fn explain_toll(&self, text: &mut String, (from, to): (&Address, &Address), trunk: Option<&str>) {
        // Writing to a string cannot fail.
        if self.tolls.is_emergency(to) {
            let _ = writeln!(text, "an emergency number: no limit of a class holds");
            return;
        }
        let Some(classed) = self.tolls.class_of(to) else { return };
        let class = &self.tolls.config.classes[usize::from(classed.class)].name;
        let start = if classed.start.is_empty() { "every other number" } else { &classed.start };
        let _ = writeln!(text, "where it leaves the switch, {} is of class {class} ({start})", classed.number);
        let account = match trunk {
            Some(trunk) => Some(format_compact!("{TRUNK}{trunk}")),
            None => self.user_at(&from.0).map(|aor| format_compact!("{USER}{aor}")),
        };
        let source = trunk.is_none().then(|| format_compact!("{SOURCE}its address"));
        for account in account.into_iter().chain(source) {
            let limits = self.toll_limits(&account, classed.class);
            let what = said(&limits);
            let _ = match limits.blocked {
                Some(true) => writeln!(text, "  {account}: 403 {}", TollWhy::Blocked.phrase()),
                _ if what.is_empty() => writeln!(text, "  {account}: no limit"),
                _ => writeln!(text, "  {account}: {what}; 403 else"),
            };
        }
    }
}

impl super::Tolls {
    /// The limit by which the next call of the class would be refused.
    fn reached(&self, account: &str, class: &str, limits: &TollLimits) -> Option<TollWhy> {
        if limits.blocked == Some(true) {
            return Some(TollWhy::Blocked);
        }
        if !self.is_open(limits) {
            return Some(TollWhy::Hours);
        }
        let nobody = hookswitch_call::CallId(u64::MAX);
        self.counts.check((account, class, ""), limits, nobody).err()
    }
}

/// The limits in words.
fn said(limits: &TollLimits) -> String {
    let mut all: Vec<String> = Vec::new();
    all.extend(limits.hours.map(|hours| format!("from {}", hours.to_string().replace('-', " to "))));
    for (most, what) in [
        (limits.calls, "calls at a time"),
        (limits.calls_to_number, "of them to one number"),
        (limits.per_minute, "in a minute"),
        (limits.per_hour, "in an hour"),
        (limits.per_day, "in a day"),
        (limits.minutes_per_day, "minutes in a day"),
    ] {
        all.extend(most.map(|most| format!("at most {most} {what}")));
    }
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_said_in_words() {
        assert_eq!(said(&TollLimits::default()), "");
        let limits = TollLimits {
            hours: "08:00-18:00".parse().ok(),
            calls: Some(2),
            minutes_per_day: Some(30),
            ..TollLimits::default()
        };
        assert_eq!(said(&limits), "from 08:00 to 18:00, at most 2 calls at a time, at most 30 minutes in a day");
    }
}
