//! Calls that phones make because they are transferred. OpenSIPS tells of them as of those of strangers, but who talks in them is
//! known.
//!
//! ```text
//!   the phone begins to call ──▶ expected ── noticed ──▶ there ── the transfer is done: answered ── over ──▶ forgotten
//!                                   └────────── the transfer is done ── noticed ─────────┘
//! ```

use std::collections::BTreeMap;

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_call::{Address, CallId, Outcome, Ticket};

/// Most of them that are known, there or expected; the oldest is forgotten first. Where events of dialogs are not asked for, none
/// of them is ever noticed.
pub(crate) const MAX_MADE: usize = 4_096;

#[derive(Debug)]
struct One {
    parties: [Address; 2],
    call: Option<CallId>,
    is_answered: bool,
    age: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// By Call-ID.
    known: AHashMap<CompactString, One>,
    ages: BTreeMap<u64, CompactString>,
    last: u64,
    /// By the command that transfers, while it runs.
    commands: AHashMap<Ticket, CompactString>,
}

impl Made {
    /// A command has a phone make this call.
    pub(crate) fn begin(&mut self, ticket: Ticket, wire_id: &CompactString, parties: [Address; 2]) {
        self.over(wire_id);
        if self.known.len() == MAX_MADE
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.known.remove(&oldest);
        }
        self.last += 1;
        self.ages.insert(self.last, wire_id.clone());
        self.known.insert(wire_id.clone(), One { parties, call: None, is_answered: false, age: self.last });
        self.commands.insert(ticket, wire_id.clone());
    }

    /// A call is there. Its parties, if it is one of these.
    pub(crate) fn noticed(&mut self, wire_id: &str, call: CallId) -> Option<[Address; 2]> {
        let one = self.known.get_mut(wire_id)?;
        one.call = Some(call);
        Some(one.parties.clone())
    }

    /// A command has ended. The call that is answered by that, if it is there.
    pub(crate) fn outcome(&mut self, outcome: &Outcome) -> Option<CallId> {
        let wire_id = self.commands.remove(&outcome.ticket)?;
        let one = self.known.get_mut(&wire_id)?;
        one.is_answered = outcome.result.is_ok();
        let call = one.call;
        if !one.is_answered && call.is_none() {
            self.over(&wire_id);
        }
        call.filter(|_| outcome.result.is_ok())
    }

    /// Whether it is one of these.
    pub(crate) fn knows(&self, wire_id: &str) -> bool {
        self.known.contains_key(wire_id)
    }

    /// Whether its parties talk.
    pub(crate) fn is_answered(&self, wire_id: &str) -> bool {
        self.known.get(wire_id).is_some_and(|one| one.is_answered)
    }

    /// It is over.
    pub(crate) fn over(&mut self, wire_id: &str) {
        if let Some(one) = self.known.remove(wire_id) {
            self.ages.remove(&one.age);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_never_noticed_are_not_kept_for_ever() {
        let mut made = Made::default();
        let parties = || [Address::from("sip:a@x.test"), Address::from("sip:b@x.test")];
        let name = |number: usize| compact_str::format_compact!("call-{number}");
        for number in 0..MAX_MADE + 3 {
            made.begin(Ticket(number as u64), &name(number), parties());
            made.outcome(&Outcome { ticket: Ticket(number as u64), result: Ok(()) });
        }
        assert_eq!((made.known.len(), made.ages.len(), made.commands.len()), (MAX_MADE, MAX_MADE, 0));
        assert_eq!(made.noticed(&name(2), CallId(1)), None);
        assert_eq!(made.noticed(&name(3), CallId(1)), Some(parties()));
        made.over(&name(3));
        assert_eq!((made.known.len(), made.ages.len()), (MAX_MADE - 1, MAX_MADE - 1));
    }
}
