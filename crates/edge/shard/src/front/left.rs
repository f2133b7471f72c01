//! Calls that went on while the program did not run.
//!
//! ```text
//!   LeftCall ─┬─ its parties talk, or others make it ──▶ as it was ── looked up ─┬─ it stands ──▶ goes on, until its end is told
//!             │                                                                  └─ it is gone ──▶ Ended
//!             └─ a command was making it ──▶ Ended, and so is what it has made
//! ```
//!
//! What was told of them is not told again.

use compact_str::CompactString;
use hookswitch_call::{Address, CallId, Cause, Event, Fault, Kind, Time};
use hookswitch_dialect::journal::LeftCall;

use super::Front;
use super::calls::{Calls, Carried, Stage};
use super::carrier::Carrier;

/// What there is of a call.
struct Standing {
    /// The Call-ID of the dialog that is the call, if it can be there still.
    wire_id: Option<CompactString>,
    is_answered: bool,
    /// The Call-IDs of dialogs that have made it, or were to.
    halves: Vec<CompactString>,
}

impl Front {
    pub(super) fn take_left(&mut self, now: Time, left: &[LeftCall]) {
        for left in left {
            self.desk.take_left(left);
            self.carrier.take_left(now, left);
        }
    }
}

impl Carrier {
    fn take_left(&mut self, now: Time, left: &LeftCall) {
        left.told().for_each(|told| self.note(&told));
        let Standing { wire_id, is_answered, halves } = self.calls.take_left(left);
        let stands = wire_id.is_some_and(|wire_id| self.opensips.take_back(now, left.call, &wire_id, is_answered));
        if !stands {
            self.calls.lose(now, left.call);
        }
        halves.into_iter().for_each(|half| self.opensips.give_up(now, half));
    }
}

impl Calls {
    /// A call as it was.
    fn take_left(&mut self, left: &LeftCall) -> Standing {
        let began = left.story.first().map_or(Time::ZERO, |first| first.at);
        let nobody = || Address(CompactString::default());
        let mut carried = Carried::new(began, [nobody(), nobody()], Stage::Noticed);
        let mut dialed = Vec::new();
        for told in left.told() {
            if let Event::Started { caller, callee } = &told.event {
                (carried.caller, carried.callee) = (caller.clone(), callee.clone());
            }
            if let Event::Noticed { wire_id } = &told.event {
                carried.wire_id = Some(wire_id.clone());
            }
            if let Event::Dialing { wire_id, .. } = &told.event {
                dialed.push(wire_id.clone());
            }
            carried.goes_on(told.at, &told.event);
            carried.seq += 1;
        }
        let is_answered = carried.stage == Stage::Talking;
        // Its parties talk in the last one, and the one before has ended or will.
        let talks = if is_answered { dialed.pop() } else { None };
        let wire_id = carried.wire_id.clone().or(talks);
        self.calls.insert(left.call, carried);
        Standing { wire_id, is_answered, halves: dialed }
    }

    /// Nobody makes this call any more.
    fn lose(&mut self, now: Time, call: CallId) {
        let cause = Cause::new(Kind::Overloaded, Fault::Server).with_text("The Switch Was Restarted");
        self.end(now, call, None, (&cause, Time::ZERO));
    }
}
