//! Limits against toll fraud: calls that leave the switch cost somebody something, by the class of the number.
//!
//! ```text
//!  Op::Locate{by} ──► class of the number ──► accounts of whoever orders ──► allowed? ─── no ──► Found::Nowhere, 403
//!                                                                              │ yes: a call has begun
//!                                                                              ▼
//!                             Target.toll ──► Op::Dial ──► at the same time? ─── no ──► Report::Ended, 403
//!                                                              │ yes: counted by its leg
//!                                                              ▼
//!                                               Report::Answered ──► Report::Ended: its talk is added
//! ```
//!
//! Whoever orders a call pays: the caller; the party that transfers, whoever is transferred; the user whose directory
//! entry or phone names somebody else. What there is at a time is counted by the legs that there are, under the name
//! that they have in their calls. What a controller orders costs nobody anything: its token says what it may do.
//!
//! | file | what |
//! |---|---|
//! | `config.rs` | classes, and the number as they know it |
//! | `count.rs` | how much has been called |
//! | `admit.rs` | who pays, and whether that is allowed |
//! | `status.rs` | who has called how much |

mod admit;
mod config;
mod count;
mod status;

use std::collections::VecDeque;

use compact_str::CompactString;
use hookswitch_call::{CallId, Report, Time};
use serde::Serialize;

pub use config::{MAX_TOLL_CLASSES, MAX_TOLL_NUMBERS, TollClass, TollConfig, TollError, check_toll};
pub use count::MAX_COUNTED;
pub use status::TollStatus;

use config::Classes;
use count::Counts;

/// Why a call is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TollWhy {
    /// Numbers of this class are not called.
    Blocked,
    /// Not at this time of the day.
    Hours,
    /// There are as many calls of the class as allowed.
    Calls,
    /// There are as many to this number.
    CallsToNumber,
    /// So many were begun in this minute.
    PerMinute,
    /// In this hour.
    PerHour,
    /// In this day.
    PerDay,
    /// So long was talked in this day.
    MinutesPerDay,
    /// Whoever has ordered the call has gone, and nobody is left against whom it could count.
    Nobody,
    /// [`MAX_COUNTED`].
    Full,
}

impl TollWhy {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::Blocked,
        Self::Hours,
        Self::Calls,
        Self::CallsToNumber,
        Self::PerMinute,
        Self::PerHour,
        Self::PerDay,
        Self::MinutesPerDay,
        Self::Nobody,
        Self::Full,
    ];

    /// As it is called in logs, metrics and over HTTP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Hours => "hours",
            Self::Calls => "calls",
            Self::CallsToNumber => "calls_to_number",
            Self::PerMinute => "per_minute",
            Self::PerHour => "per_hour",
            Self::PerDay => "per_day",
            Self::MinutesPerDay => "minutes_per_day",
            Self::Nobody => "nobody",
            Self::Full => "full",
        }
    }

    /// The phrase of the refusal.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Blocked => "Calls Of This Class Are Not Allowed",
            Self::Hours => "Calls Of This Class Not At This Hour",
            Self::Calls => "Too Many Calls Of This Class",
            Self::CallsToNumber => "Too Many Calls To This Number",
            Self::PerMinute => "Too Many Calls Of This Class In A Minute",
            Self::PerHour => "Too Many Calls Of This Class In An Hour",
            Self::PerDay => "Too Many Calls Of This Class In A Day",
            Self::MinutesPerDay => "Too Many Minutes Of This Class In A Day",
            Self::Nobody => "Whoever Has Ordered This Call Has Gone",
            Self::Full => "Too Many Callers To Be Counted",
        }
    }
}

/// A call was not made, for logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TollNews {
    /// In this call.
    pub call: CallId,
    /// Whose limit it was; empty if nobody's.
    pub account: CompactString,
    /// The class.
    pub class: CompactString,
    /// The number, as classes know it.
    pub number: CompactString,
    /// Why.
    pub why: TollWhy,
}

/// The classes, and what is counted of them.
pub(crate) struct Tolls {
    config: TollConfig,
    classes: Classes,
    pub counts: Counts,
    refused: [u64; TollWhy::ALL.len()],
    news: VecDeque<TollNews>,
}

impl Tolls {
    pub fn new(config: TollConfig) -> Self {
        Self {
            classes: Classes::new(&config),
            counts: Counts::default(),
            refused: [0; TollWhy::ALL.len()],
            news: VecDeque::new(),
            config,
        }
    }

    /// Other classes and limits; what was counted counts on under the names of classes and accounts.
    pub fn reload(&mut self, config: TollConfig) {
        (self.classes, self.config) = (Classes::new(&config), config);
    }

    /// The latest time.
    pub fn at(&mut self, now: Time) {
        self.counts.now = self.counts.now.max(now);
    }

    /// What a report says of a leg that is counted.
    pub fn reported(&mut self, report: &Report) {
        match report {
            Report::Answered { call, leg, .. } => self.counts.answered((*call, *leg)),
            Report::Ended { call, leg, .. } => self.counts.remove((*call, *leg)),
            Report::Incoming(_)
            | Report::Located { .. }
            | Report::Dialed { .. }
            | Report::Progress { .. }
            | Report::Redirected { .. }
            | Report::Confirmed { .. }
            | Report::Reoffered { .. }
            | Report::Withdrawn { .. }
            | Report::Reaccepted { .. }
            | Report::ReferAsked { .. }
            | Report::ReferAnswered { .. }
            | Report::ReferProgress { .. }
            | Report::Brought { .. }
            | Report::Delivered { .. }
            | Report::Digit { .. } => {}
        }
    }
}
