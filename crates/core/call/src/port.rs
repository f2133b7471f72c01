//! What the outside must offer: whoever carries the legs, and whoever relays the audio.
//!
//! Both are asked with words and answer with words, later, so that either may be a function call,
//! another thread or another machine.

use crate::words::{MediaOp, MediaReport, Op, Report, Time};

/// Carries legs: our own SIP stack, or a SIP server beyond us.
pub trait Backend {
    /// Does what it is asked, as far as it can; the result comes as reports.
    fn perform(&mut self, now: Time, op: Op);
    /// The next report, in order. Drained until `None` after every touch.
    fn poll_report(&mut self) -> Option<Report>;
}

/// Relays the audio of calls that are anchored.
pub trait MediaLink {
    /// Carries out one op; ops of one call are carried out in order.
    fn perform(&mut self, now: Time, op: MediaOp);
    /// The next report. Drained until `None` after every touch.
    fn poll_report(&mut self) -> Option<MediaReport>;
}
