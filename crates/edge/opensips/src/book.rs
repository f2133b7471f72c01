//! The calls that have come to our notice: those that commands deal with, and those that OpenSIPS tells of.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ahash::{AHashMap, AHashSet};
use compact_str::CompactString;
use hookswitch_call::{CallId, Ticket, Time};

/// After how long without a sign of life OpenSIPS is asked whether a call still exists.
pub const AUDIT_AFTER: Duration = Duration::from_secs(300);

/// Most calls that are remembered after their end, so that a late event does not raise them from the dead.
const MAX_ENDED: usize = 4_096;

/// All calls.
#[derive(Debug)]
pub(crate) struct Book {
    calls: BTreeMap<CallId, Call>,
    names: AHashMap<CompactString, CallId>,
    made_by: BTreeMap<Ticket, CallId>,
    audits: BTreeSet<(Time, CallId)>,
    ended: VecDeque<CompactString>,
    is_ended: AHashSet<CompactString>,
    next: u64,
}

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    /// Its Call-ID.
    pub(crate) wire: CompactString,
    /// How many events have been told.
    pub(crate) seq: u32,
    /// Whether its first event has been told.
    pub(crate) introduced: bool,
    /// The command that makes or made it.
    pub(crate) made_by: Option<Ticket>,
    /// Its dialog is over; what that means is up to the command that makes it.
    pub(crate) is_over: bool,
    /// Whether its dialog has been seen answered.
    pub(crate) is_answered: bool,
    /// Whether it has been told who talks in it.
    pub(crate) has_parties: bool,
    /// Since when both parties are joined.
    pub(crate) joined: Option<Time>,
    /// How many commands deal with it.
    pub(crate) users: u32,
    /// The new call of its transfer, when that is over.
    pub(crate) transferred: Option<CompactString>,
    /// How often OpenSIPS could not say whether it exists.
    pub(crate) unknown: u8,
    audit_at: Time,
}

impl Book {
    pub(crate) fn new(first: u64) -> Self {
        Self {
            calls: BTreeMap::new(),
            names: AHashMap::new(),
            made_by: BTreeMap::new(),
            audits: BTreeSet::new(),
            ended: VecDeque::new(),
            is_ended: AHashSet::new(),
            next: first,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(crate) fn named(&self, wire: &str) -> Option<CallId> {
        self.names.get(wire).copied()
    }

    pub(crate) fn made_by(&self, ticket: Ticket) -> Option<CallId> {
        self.made_by.get(&ticket).copied()
    }

    pub(crate) fn get(&self, id: CallId) -> Option<&Call> {
        self.calls.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: CallId) -> Option<&mut Call> {
        self.calls.get_mut(&id)
    }

    /// Whether a call of this name has ended not long ago.
    pub(crate) fn was_ended(&self, wire: &str) -> bool {
        self.is_ended.contains(wire)
    }

    /// Finds the call of this name or enters it.
    pub(crate) fn open(&mut self, now: Time, wire: &CompactString, made_by: Option<Ticket>) -> CallId {
        if let Some(id) = self.named(wire) {
            return id;
        }
        let id = CallId(self.next);
        self.next += 1;
        let call = Call {
            wire: wire.clone(),
            seq: 0,
            introduced: made_by.is_some(),
            made_by,
            is_over: false,
            is_answered: false,
            has_parties: false,
            joined: None,
            users: 0,
            transferred: None,
            unknown: 0,
            audit_at: now + AUDIT_AFTER,
        };
        self.enter(id, call);
        if let Some(ticket) = made_by {
            self.made_by.insert(ticket, id);
        }
        id
    }

    /// Enters a call of before the start, by the name that it had. One whose Call-ID is known already stays as it is.
    pub(crate) fn take_back(&mut self, now: Time, id: CallId, wire: &CompactString, is_answered: bool) -> bool {
        if self.named(wire).is_some() || self.calls.contains_key(&id) {
            return false;
        }
        let call = Call {
            wire: wire.clone(),
            // It has been told of.
            seq: 1,
            introduced: true,
            made_by: None,
            is_over: false,
            is_answered,
            has_parties: false,
            joined: None,
            users: 0,
            transferred: None,
            unknown: 0,
            audit_at: now,
        };
        self.enter(id, call);
        true
    }

    fn enter(&mut self, id: CallId, call: Call) {
        self.names.insert(call.wire.clone(), id);
        self.audits.insert((call.audit_at, id));
        self.calls.insert(id, call);
    }

    /// A command makes this call too.
    pub(crate) fn claim(&mut self, id: CallId, ticket: Ticket) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.made_by = Some(ticket);
            call.introduced = true;
        }
    }

    /// What a command has made is this call, and no other.
    pub(crate) fn credit(&mut self, id: CallId, ticket: Ticket) {
        self.made_by.insert(ticket, id);
    }

    /// A sign of life, or a reason to ask for one by then.
    pub(crate) fn audit_at(&mut self, id: CallId, at: Time) {
        if let Some(call) = self.calls.get_mut(&id) {
            self.audits.remove(&(call.audit_at, id));
            call.audit_at = at;
            self.audits.insert((at, id));
        }
    }

    /// A call that nothing has been heard of for long.
    pub(crate) fn next_audit(&self, now: Time) -> Option<CallId> {
        self.audits.first().filter(|(at, _)| *at <= now).map(|(_, id)| *id)
    }

    /// Forgets a call.
    pub(crate) fn close(&mut self, id: CallId) -> Option<Call> {
        let call = self.calls.remove(&id)?;
        self.audits.remove(&(call.audit_at, id));
        if let Some(ticket) = call.made_by
            && self.made_by.get(&ticket) == Some(&id)
        {
            self.made_by.remove(&ticket);
        }
        self.names.remove(&call.wire);
        if call.introduced {
            self.bury(call.wire.clone());
        }
        Some(call)
    }

    /// Remembers that a call of this name is over.
    pub(crate) fn bury(&mut self, wire: CompactString) {
        if self.is_ended.insert(wire.clone()) {
            self.ended.push_back(wire);
        }
        if self.ended.len() > MAX_ENDED
            && let Some(oldest) = self.ended.pop_front()
        {
            self.is_ended.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_made_is_found_by_its_ticket_until_it_is_over() {
        let mut book = Book::new(1);
        let now = Time::ZERO;
        let first = book.open(now, &"a".into(), Some(Ticket(7)));
        assert_eq!(book.open(now, &"a".into(), None), first);
        let second = book.open(now, &"b".into(), None);
        book.claim(second, Ticket(7));
        assert_eq!(book.made_by(Ticket(7)), Some(first));
        book.credit(second, Ticket(7));
        book.close(first);
        assert_eq!((book.named("a"), book.made_by(Ticket(7))), (None, Some(second)));
        book.close(second);
        assert_eq!((book.named("b"), book.made_by(Ticket(7)), book.len()), (None, None, 0));
        assert!(book.was_ended("a") && book.was_ended("b") && book.audits.is_empty());
    }

    #[test]
    fn the_ended_are_not_remembered_for_ever() {
        let mut book = Book::new(1);
        for number in 0..MAX_ENDED + 10 {
            let id = book.open(Time::ZERO, &compact_str::format_compact!("{number}"), Some(Ticket(0)));
            book.close(id);
        }
        assert_eq!((book.ended.len(), book.is_ended.len()), (MAX_ENDED, MAX_ENDED));
        assert!(!book.was_ended("0"));
    }

    #[test]
    fn a_sign_of_life_puts_the_audit_off() {
        let mut book = Book::new(1);
        let id = book.open(Time::ZERO, &"a".into(), None);
        assert_eq!(book.next_audit(AUDIT_AFTER), Some(id));
        book.audit_at(id, AUDIT_AFTER * 2);
        assert_eq!(book.next_audit(AUDIT_AFTER), None);
        assert_eq!(book.audits.len(), 1);
    }
}
