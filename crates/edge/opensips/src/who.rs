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

use hookswitch_call::{Address, CallId, Time};

use crate::mi::Asker;
use crate::mi::reply::Answer;
use crate::mi::request::Ask;
use crate::port::{Learned, Output};
use crate::{Link, OpenSips};

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

    /// Looks up what waits for it, as long as OpenSIPS can answer.
    pub(crate) fn look_up(&mut self, now: Time) {
        let can_answer = self.health.mi == Link::Up && !self.stopping && !self.is_occupied();
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
