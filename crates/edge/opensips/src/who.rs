//! Who talks in the calls that no command makes.
//!
//! ```text
//!   noticed ──▶ waits ── no more than so many at once ──▶ asked (`dlg_list`) ── From and To ──▶ Learned::Parties
//!                                                               └─ nothing ──▶ the next audit says it, or nobody
//! ```
//!
//! The events of OpenSIPS name a call and nobody in it (seen with 4.1). Its list of dialogs has both parties, as the first INVITE
//! named them, and since when they talk.

use std::collections::VecDeque;

use compact_str::CompactString;
use hookswitch_call::{Address, CallId, Time};

use crate::OpenSips;
use crate::mi::Asker;
use crate::mi::reply::Answer;
use crate::mi::request::Ask;
use crate::port::{Learned, Output};

/// Most calls that are looked up at once because nobody knows who talks in them.
const AT_ONCE: usize = 16;

/// Most calls that wait for that. Those beyond are not looked up.
pub const MAX_UNASKED: usize = 4_096;

/// The calls that are to be looked up.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    waiting: VecDeque<CallId>,
    /// Requests under way.
    pub(crate) asked: usize,
    /// Dialogs of before the start that are to be ended.
    halves: Vec<CompactString>,
}

impl OpenSips {
    /// Nobody knows who talks in this call.
    pub(crate) fn who_talks(&mut self, now: Time, call: CallId) {
        if !self.config.parties || self.book.get(call).is_none_or(|call| call.made_by.is_some()) {
            return;
        }
        if self.strangers.waiting.len() >= MAX_UNASKED {
            self.counts.calls_unasked += 1;
            return;
        }
        self.strangers.waiting.push_back(call);
        self.look_up(now);
    }

    /// Takes back a call of before the start, which may have ended since: it is looked up as soon as OpenSIPS answers. `call` is the
    /// name that it had, which must be less than [`Config::first_call`](crate::Config::first_call). False if another call has its
    /// Call-ID already.
    pub fn take_back(&mut self, now: Time, call: CallId, wire_id: &CompactString, is_answered: bool) -> bool {
        let is_new = self.book.take_back(now, call, wire_id, is_answered);
        // Those beyond the limit are looked up by the audit.
        if is_new && self.strangers.waiting.len() < MAX_UNASKED {
            self.strangers.waiting.push_back(call);
            self.look_up(now);
        }
        is_new
    }

    /// Sees to the end of a dialog that a command of before the start has made and that came to nothing: nobody is left in half a call.
    /// Nothing is told of it.
    pub fn give_up(&mut self, now: Time, wire_id: CompactString) {
        self.book.bury(wire_id.clone());
        self.strangers.halves.push(wire_id);
        if self.is_ready() {
            self.end_halves(now);
        }
    }

    /// Ends what could not be ended before OpenSIPS was found.
    pub(crate) fn end_halves(&mut self, now: Time) {
        for wire_id in std::mem::take(&mut self.strangers.halves) {
            self.leave(now, wire_id, true);
        }
    }

    /// Looks up what waits for it, as long as OpenSIPS can answer.
    pub(crate) fn look_up(&mut self, now: Time) {
        // Its events come first: an end is told to whoever has subscribed before it.
        let can_answer = self.is_ready() && !self.stopping && !self.is_occupied();
        while can_answer && self.strangers.asked < AT_ONCE {
            let Some(id) = self.strangers.waiting.pop_front() else { return };
            // It may be over by now, or a command has said that it is its own.
            let Some(call) = self.book.get(id).filter(|call| call.made_by.is_none()) else { continue };
            let callid = call.wire.clone();
            self.strangers.asked += 1;
            self.send(now, Asker::Parties(id), &Ask::Dialog { callid });
        }
    }

    /// What a look-up of a call says beyond whether it exists.
    pub(crate) fn learn(&mut self, now: Time, id: CallId, answer: &Answer) {
        let Some(dialog) = answer.dialog() else { return };
        let Some(call) = self.book.get_mut(id).filter(|call| call.made_by.is_none()) else { return };
        if let Some(parties) = dialog.parties.filter(|_| self.config.parties)
            && !std::mem::replace(&mut call.has_parties, true)
        {
            let parties = parties.map(Address);
            self.outputs.push_back(Output::Learned { at: now, call: id, what: Learned::Parties(parties) });
        }
        if dialog.is_answered {
            self.is_answered_since(now, id, dialog.since.unwrap_or(now));
        }
    }

    /// The dialog of a call is answered, which is told once and of those calls only that no command makes.
    pub(crate) fn is_answered_since(&mut self, now: Time, id: CallId, since: Time) {
        let Some(call) = self.book.get_mut(id) else { return };
        if !std::mem::replace(&mut call.is_answered, true) && call.made_by.is_none() {
            self.outputs.push_back(Output::Learned { at: now, call: id, what: Learned::Answered { since } });
        }
    }
}
