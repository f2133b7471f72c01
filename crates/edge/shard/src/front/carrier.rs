//! An OpenSIPS, its calls as applications see them, and their records.

use compact_str::CompactString;
use hookswitch_call::{Address, CallId, CallRef, Command, Event, Refused, Ticket, Time, Told};
use hookswitch_dialect::journal::record::{Ender, Records};
use hookswitch_dialect::rest::{CallView, OPENSIPS};
use hookswitch_opensips::OpenSips;

use super::calls::Calls;

/// What carries the calls of a front.
pub(crate) struct Carrier {
    pub(crate) opensips: OpenSips,
    pub(crate) calls: Calls,
    pub(crate) records: Records,
}

impl Carrier {
    /// Takes a command about a call that stands there by our own name for it, or by none.
    pub(crate) fn submit_named(&mut self, now: Time, command: Command) -> Result<Ticket, Refused> {
        let command = self.calls.addressed(command)?;
        let parties = if let Command::Start { caller, callee, .. } = &command { Some((caller, callee)) } else { None };
        if parties.is_some_and(|(caller, callee)| !callable(&caller.0) || !callable(&callee.0)) {
            // It would be accepted, and fail without ever having been a call.
            return Err(Refused::Impossible("OpenSIPS does not take these addresses".into()));
        }
        self.submit(now, command)
    }

    /// Takes a command as the backend has the names of calls.
    pub(crate) fn submit(&mut self, now: Time, command: Command) -> Result<Ticket, Refused> {
        let parties = if let Command::Start { caller, callee, .. } = &command {
            Some([caller.clone(), callee.clone()])
        } else {
            None
        };
        let transfer = self.transfer(&command);
        let ends = if let Command::End { call, .. } = &command { self.opensips.find(call) } else { None };
        let ticket = self.opensips.submit(now, command)?;
        if let (Some(parties), Some(call)) = (parties, self.opensips.find(&CallRef::Ticket(ticket))) {
            self.calls.started(now, ticket, call, parties);
        }
        if let Some((call, to)) = transfer {
            self.calls.transferring(call, to);
        }
        if let Some(call) = ends.and_then(|dialog| self.calls.ending(ticket, dialog)) {
            self.records.ended_by(call, Ender::Application);
        }
        Ok(ticket)
    }

    /// Which call a command transfers, and to whom, as far as that is known.
    fn transfer(&self, command: &Command) -> Option<(CallId, Option<Address>)> {
        if let Command::Transfer { call, to, .. } = command {
            return Some((self.opensips.find(call)?, Some(to.clone())));
        }
        let Command::Join { call, other, other_party, .. } = command else { return None };
        let to = self.opensips.find(other).and_then(|other| self.calls.party(other, *other_party));
        Some((self.opensips.find(call)?, to.cloned()))
    }

    /// Notes what is told of a call for its record. Who talks in one that no command has made is known later, or never.
    pub(crate) fn note(&mut self, told: &Told) {
        if let Event::Noticed { wire_id } = &told.event {
            let nobody = Address(CompactString::default());
            self.records.begin(told.at, told.call, [&nobody, &nobody], Some(wire_id));
            self.records.carried(told.call, OPENSIPS);
        }
        if let Event::Started { caller, callee } = &told.event {
            self.records.begin(told.at, told.call, [caller, callee], None);
            self.records.parties(told.call, [caller, callee]);
            self.records.carried(told.call, OPENSIPS);
        }
        if let (Event::Bridged, Some(since)) = (&told.event, self.calls.answered(told.call)) {
            self.records.answered(told.call, since);
        }
        self.records.told(told);
    }

    /// A call, as far as requests concern it.
    pub(crate) fn view(&self, call: CallId) -> Option<CallView<'_>> {
        self.calls.view(call, |dialog| self.opensips.is_answered(dialog))
    }
}

fn callable(text: &str) -> bool {
    hookswitch_opensips::is_address(text)
}
