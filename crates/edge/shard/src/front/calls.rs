//! The calls that an OpenSIPS carries, as applications see them.
//!
//! OpenSIPS makes a call of two dialogs: in the first one the caller is only asked to make the second one, in which it talks
//! to the callee. The backend, and the Call API, have them as two calls. Everybody else has one, with a leg for each:
//!
//! ```text
//!   started ──▶ locating ── Dialing ──▶ ringing ── the command is done: Bridged ──▶ talking ── the second dialog is over ─┐
//!                   └─────────────────────┴────── the command has failed ─────────────────────────────────────────────┴▶ Ended
//!
//!   noticed ──▶ ringing ── its dialog is answered: Bridged ──▶ talking ── its dialog is over ──▶ Ended
//!      └── OpenSIPS says who they are: Started
//! ```
//!
//! A phone that is transferred makes another call, which is noticed as those of strangers are: see [`made`](super::made).

use std::collections::{BTreeMap, VecDeque};

use ahash::{AHashMap, AHashSet};
use compact_str::CompactString;
use hookswitch_call::{
    Address, CallId, CallRef, Cause, Command, Event, Fault, Kind, LegId, Outcome, Party, Refused, Ticket, Time, Told,
};
use hookswitch_dialect::rest::{CallView, LegView};
use hookswitch_opensips::Learned;

use super::made::Made;

/// Most legs that are shown of a call, the first ones.
const MAX_LEGS: usize = 16;

/// How far a call is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// A command makes it, and nobody has been called.
    Locating(Ticket),
    /// A command makes it, and somebody is called.
    Ringing(Ticket),
    /// A command has made it.
    Talking,
    /// The backend knows.
    Noticed,
}

/// One call. The backend knows as many at most.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) caller: Address,
    pub(super) callee: Address,
    began: Time,
    answered: Option<Time>,
    pub(super) wire_id: Option<CompactString>,
    legs: Vec<Leg>,
    /// How many events have been told.
    pub(super) seq: u32,
    pub(super) stage: Stage,
    /// A command ends it.
    is_ending: bool,
    /// Nobody has told when it ended.
    is_gone: bool,
    /// The backend's name of its second dialog.
    second: Option<CallId>,
    /// To whom a party of it is being transferred, as far as that is known.
    transfer_to: Option<Address>,
    /// Which one.
    transferred: Option<Party>,
}

#[derive(Debug)]
struct Leg {
    id: LegId,
    party: Party,
    wire_id: CompactString,
    target: Address,
    state: &'static str,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    pub(super) calls: BTreeMap<CallId, Carried>,
    /// Whose second dialog it is.
    second: AHashMap<CallId, CallId>,
    /// The commands that make calls and those that end them, until they are over.
    starts: AHashMap<Ticket, CallId>,
    ends: AHashMap<Ticket, CallId>,
    /// Calls of strangers that have turned out to be the second dialog of one that a command makes, until that is told.
    parts: AHashSet<CallId>,
    made: Made,
    /// Those that no command makes, by Call-ID.
    noticed: AHashMap<CompactString, CallId>,
    out: VecDeque<Told>,
}

impl Calls {
    /// A command makes a call, which the backend has given this name.
    pub(crate) fn started(&mut self, now: Time, ticket: Ticket, call: CallId, [caller, callee]: [Address; 2]) {
        self.starts.insert(ticket, call);
        let event = Event::Started { caller: caller.clone(), callee: callee.clone() };
        self.calls.insert(call, Carried::new(now, [caller, callee], Stage::Locating(ticket)));
        self.say(now, call, Some(ticket), event);
    }

    /// A command ends what the backend calls so.
    pub(crate) fn ending(&mut self, ticket: Ticket, dialog: CallId) -> Option<CallId> {
        let call = self.whose(dialog);
        self.calls.get_mut(&call)?.is_ending = true;
        self.ends.insert(ticket, call);
        Some(call)
    }

    /// Takes what the backend tells; what it means is in [`Calls::poll`].
    pub(crate) fn told(&mut self, told: &Told) {
        let Told { at, call: dialog, owner, ref event, .. } = *told;
        if let Event::Noticed { wire_id } = event
            && !self.second.contains_key(&dialog)
        {
            self.noticed(at, dialog, wire_id);
        }
        if let (Event::TransferStarted { wire_id, to }, Some(ticket)) = (event, owner) {
            self.phone_calls(ticket, self.whose(dialog), wire_id, to.as_ref());
        }
        if let Some(call) = owner.and_then(|ticket| self.starts.get(&ticket).copied()) {
            self.second_dialog(at, call, dialog);
        }
        if let Event::Ended { cause, talked } = event {
            return self.dialog_over(at, dialog, owner, (cause, *talked));
        }
        let call = self.whose(dialog);
        self.say(at, call, owner, if call == dialog { event.clone() } else { in_second(event.clone()) });
        if let Event::Noticed { wire_id } = event
            && self.made.is_answered(wire_id)
        {
            self.say(at, dialog, None, Event::Bridged);
        }
    }

    /// OpenSIPS has said more of a call than its events do.
    pub(crate) fn learned(&mut self, at: Time, call: CallId, learned: Learned) {
        if learned == Learned::Gone {
            let whole = self.whose(call);
            if let Some(carried) = self.calls.get_mut(&whole).filter(|carried| carried.counts(whole) == call) {
                carried.is_gone = true;
            }
            return;
        }
        let Some(carried) = self.calls.get_mut(&call).filter(|carried| carried.stage == Stage::Noticed) else { return };
        match learned {
            Learned::Parties([caller, callee]) if carried.caller.0.is_empty() => {
                (carried.caller, carried.callee) = (caller.clone(), callee.clone());
                self.say(at, call, None, Event::Started { caller, callee });
            }
            // A phone that was transferred makes it, and its command has said to whom.
            Learned::Parties(_) | Learned::Gone => {}
            Learned::Answered { since } => {
                // Of the call of a transferred phone its command says that it is answered.
                if !carried.wire_id.as_ref().is_some_and(|wire_id| self.made.knows(wire_id)) {
                    // The clock of OpenSIPS may be another one.
                    carried.answered = Some(since.max(carried.began).min(at));
                    self.say(at, call, None, Event::Bridged);
                }
            }
        }
    }

    /// Since when both parties of a call talk.
    pub(crate) fn answered(&self, call: CallId) -> Option<Time> {
        self.calls.get(&call)?.answered
    }

    /// Whether this tells the end of what was no call of its own. Said once.
    pub(crate) fn was_part(&mut self, told: &Told) -> bool {
        matches!(told.event, Event::Ended { .. }) && self.parts.remove(&told.call)
    }

    /// A command has ended.
    pub(crate) fn outcome(&mut self, now: Time, outcome: &Outcome) {
        if let Some(call) = self.ends.remove(&outcome.ticket)
            && outcome.result.is_err()
            && let Some(carried) = self.calls.get_mut(&call)
        {
            carried.is_ending = false;
        }
        let owner = Some(outcome.ticket);
        if let Some(made) = self.made.outcome(outcome) {
            self.say(now, made, owner, Event::Bridged);
        }
        let Some(call) = self.starts.remove(&outcome.ticket) else { return };
        match &outcome.result {
            Ok(()) => self.say(now, call, owner, Event::Bridged),
            // Nothing of it has come to be, so that the backend has told of no end.
            Err(failure) => self.end(now, call, owner, (&failure.cause, Time::ZERO)),
        }
    }

    /// What is to be told next.
    pub(crate) fn poll(&mut self) -> Option<Told> {
        self.out.pop_front()
    }

    /// The same command, with the names that the backend has for calls in place of ours.
    ///
    /// # Errors
    /// There is no such call, or it is not so far.
    pub(crate) fn addressed(&self, mut command: Command) -> Result<Command, Refused> {
        match &mut command {
            Command::Start { .. } => {}
            Command::End { call, .. } | Command::Audio { call, .. } | Command::Step { call, .. } => {
                self.address(call, false)?;
            }
            Command::Hold { call, .. } | Command::Unhold { call, .. } | Command::Transfer { call, .. } => {
                self.address(call, true)?;
            }
            Command::Join { call, other, .. } => {
                self.address(call, true)?;
                self.address(other, true)?;
            }
        }
        Ok(command)
    }

    fn address(&self, call: &mut CallRef, wants_answer: bool) -> Result<(), Refused> {
        let CallRef::Id(id) = call else { return Ok(()) };
        let carried = self.calls.get(id).ok_or(Refused::NoSuchCall)?;
        if carried.is_ending {
            return Err(Refused::Ending);
        }
        match carried.stage {
            Stage::Locating(_) | Stage::Ringing(_) if wants_answer => return Err(Refused::NotAnswered),
            // It is ended by its first dialog until the second one has taken its place.
            Stage::Locating(_) | Stage::Ringing(_) | Stage::Noticed => {}
            Stage::Talking => *id = carried.second.unwrap_or(*id),
        }
        Ok(())
    }

    /// The call that a running command makes.
    pub(crate) fn made_by(&self, ticket: Ticket) -> Option<CallId> {
        self.starts.get(&ticket).copied()
    }

    /// A command transfers a party of this call to somebody, or to a party of another one.
    pub(crate) fn transferring(&mut self, dialog: CallId, to: Option<Address>) {
        let call = self.whose(dialog);
        if let Some(carried) = self.calls.get_mut(&call) {
            carried.transfer_to = to;
        }
    }

    /// A party of a call; none where only its carrier knows.
    pub(crate) fn party(&self, dialog: CallId, party: Party) -> Option<&Address> {
        let carried = self.calls.get(&self.whose(dialog))?;
        let address = match party {
            Party::Caller => &carried.caller,
            Party::Callee => &carried.callee,
        };
        Some(address).filter(|address| !address.0.is_empty())
    }

    /// The call that a running command ends.
    pub(crate) fn ended_by(&self, ticket: Ticket) -> Option<CallId> {
        self.ends.get(&ticket).copied()
    }

    /// All, the newest first.
    pub(crate) fn names(&self) -> impl Iterator<Item = CallId> {
        self.calls.keys().rev().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// One of them. `is_answered` says of a dialog of the backend whether it has been seen answered.
    pub(crate) fn view(&self, id: CallId, is_answered: impl Fn(CallId) -> bool) -> Option<CallView<'_>> {
        let carried = self.calls.get(&id)?;
        let state = match carried.stage {
            _ if carried.is_ending => "ending",
            Stage::Locating(_) => "locating",
            Stage::Ringing(_) => "ringing",
            Stage::Noticed if !is_answered(id) => "ringing",
            Stage::Talking | Stage::Noticed => "talking",
        };
        Some(CallView {
            id,
            state,
            caller: &carried.caller,
            callee: &carried.callee,
            anchored: false,
            began: carried.began,
            answered: carried.answered,
            wire_id: carried.wire_id.as_ref(),
        })
    }

    /// The legs of one of them.
    pub(crate) fn legs(&self, call: CallId) -> impl Iterator<Item = LegView<'_>> {
        self.calls.get(&call).into_iter().flat_map(|carried| &carried.legs).map(|leg| LegView {
            id: leg.id,
            party: leg.party,
            state: leg.state,
            wire_id: Some(&leg.wire_id),
            target: Some(&leg.target),
        })
    }

    /// A call that no command has made, but perhaps a transferred phone.
    fn noticed(&mut self, at: Time, call: CallId, wire_id: &CompactString) {
        let nobody = || Address(CompactString::default());
        let parties = self.made.noticed(wire_id, call);
        let noticed = Carried::new(at, parties.clone().unwrap_or_else(|| [nobody(), nobody()]), Stage::Noticed);
        self.calls.entry(call).or_insert(Carried { wire_id: Some(wire_id.clone()), ..noticed });
        self.noticed.insert(wire_id.clone(), call);
        if let Some([caller, callee]) = parties {
            self.say(at, call, None, Event::Started { caller, callee });
        }
    }

    /// The phone of a transferred party begins to call somebody else, whose contact that is.
    fn phone_calls(&mut self, ticket: Ticket, call: CallId, wire_id: &CompactString, contact: Option<&Address>) {
        let Some(carried) = self.calls.get(&call) else { return };
        let to = carried.transfer_to.as_ref().or(contact).cloned();
        let stays = carried.transferred.and_then(|party| self.party(call, party)).cloned();
        // Of one that has come to notice before, OpenSIPS says who talks in it.
        if let (Some(caller), Some(callee)) = (stays, to)
            && !self.noticed.contains_key(wire_id)
        {
            self.made.begin(ticket, wire_id, [caller, callee]);
        }
    }

    /// The call that a dialog of the backend belongs to.
    fn whose(&self, dialog: CallId) -> CallId {
        self.second.get(&dialog).copied().unwrap_or(dialog)
    }

    /// What comes of a command that makes a call is about one of its two dialogs.
    fn second_dialog(&mut self, at: Time, call: CallId, dialog: CallId) {
        if dialog == call || self.second.contains_key(&dialog) {
            return;
        }
        let Some(carried) = self.calls.get_mut(&call) else { return };
        carried.second = Some(dialog);
        // Its own events may have overtaken what says whose it is, and then it was a call of strangers until now.
        let cause = Cause::hangup().with_text("The Dialog Is Part Of A Call That A Command Makes");
        if self.calls.contains_key(&dialog) {
            self.parts.insert(dialog);
        }
        self.end(at, dialog, None, (&cause, Time::ZERO));
        self.second.insert(dialog, call);
    }

    /// One of the dialogs of a call is over, and with it the call if it was the one that counts.
    fn dialog_over(&mut self, at: Time, dialog: CallId, owner: Option<Ticket>, end: (&Cause, Time)) {
        let call = self.whose(dialog);
        let Some(carried) = self.calls.get(&call) else { return };
        let (leg, party) = if dialog == call { (LegId(0), Party::Caller) } else { (LegId(1), Party::Callee) };
        if dialog == carried.counts(call) {
            let cause = self.why(call, end.0);
            self.end(at, call, owner, (&cause, end.1));
        } else {
            self.say(at, call, owner, Event::LegEnded { leg, party, cause: end.0.clone() });
        }
    }

    /// Why a call is over. Of those that no command makes OpenSIPS tells that they are, and nothing more.
    fn why(&self, call: CallId, told: &Cause) -> Cause {
        if self.calls.get(&call).is_some_and(|carried| carried.is_gone && !carried.is_ending) {
            return Cause { fault: Fault::Upstream, ..Cause::hangup() }.with_text("The End Was Not Told");
        }
        let is_stranger = |carried: &&Carried| {
            let is_made = carried.wire_id.as_ref().is_some_and(|wire_id| self.made.knows(wire_id));
            carried.stage == Stage::Noticed && !is_made && told.kind == Kind::Hangup
        };
        match self.calls.get(&call).filter(is_stranger) {
            Some(carried) if carried.is_ending => Cause::new(Kind::Cancelled, Fault::Controller),
            Some(_) => Cause::new(Kind::NoAnswer, Fault::Peer).with_text("Not Answered"),
            None => told.clone(),
        }
    }

    /// A call is over; nothing follows.
    pub(super) fn end(&mut self, at: Time, call: CallId, owner: Option<Ticket>, (cause, talked): (&Cause, Time)) {
        // The backend does not know since when the parties of a call talk that a phone has made.
        let since = self.calls.get(&call).and_then(|carried| carried.answered).filter(|_| talked.is_zero());
        let talked = since.map_or(talked, |since| at.saturating_sub(since));
        self.say(at, call, owner, Event::Ended { cause: cause.clone(), talked });
        let Some(carried) = self.calls.remove(&call) else { return };
        if let Some(second) = carried.second {
            self.second.remove(&second);
        }
        if let Some(wire_id) = carried.wire_id {
            self.made.over(&wire_id);
            self.noticed.remove(&wire_id);
        }
    }

    fn say(&mut self, at: Time, call: CallId, owner: Option<Ticket>, event: Event) {
        let Some(carried) = self.calls.get_mut(&call) else { return };
        carried.goes_on(at, &event);
        self.out.push_back(Told { at, seq: carried.seq, call, owner, event });
        carried.seq += 1;
    }
}

impl Carried {
    pub(super) fn new(began: Time, [caller, callee]: [Address; 2], stage: Stage) -> Self {
        Self {
            caller,
            callee,
            began,
            answered: None,
            wire_id: None,
            legs: Vec::new(),
            seq: 0,
            stage,
            is_ending: false,
            is_gone: false,
            second: None,
            transfer_to: None,
            transferred: None,
        }
    }

    pub(super) fn goes_on(&mut self, at: Time, event: &Event) {
        if let Event::Dialing { leg, party, wire_id, to } = event {
            if let Stage::Locating(ticket) = self.stage {
                self.stage = Stage::Ringing(ticket);
            }
            if self.legs.len() < MAX_LEGS {
                let (wire_id, target) = (wire_id.clone(), to.clone());
                self.legs.push(Leg { id: *leg, party: *party, wire_id, target, state: "ringing" });
            }
        }
        if let Event::Transferring { party, .. } = event {
            self.transferred = Some(*party);
        }
        if let Event::Answered { leg, .. } = event {
            self.leg_is(*leg, "answered");
        }
        if let Event::LegEnded { leg, .. } = event {
            self.leg_is(*leg, "ended");
        }
        if let Event::Bridged = event {
            self.stage = Stage::Talking;
            self.answered.get_or_insert(at);
            self.legs.iter_mut().filter(|leg| leg.state == "answered").for_each(|leg| leg.state = "talking");
        }
    }

    /// The dialog whose end is the end of this call.
    fn counts(&self, call: CallId) -> CallId {
        match self.stage {
            Stage::Locating(_) | Stage::Ringing(_) | Stage::Noticed => call,
            Stage::Talking => self.second.unwrap_or(call),
        }
    }

    fn leg_is(&mut self, leg: LegId, state: &'static str) {
        if let Some(leg) = self.legs.iter_mut().find(|known| known.id == leg) {
            leg.state = state;
        }
    }
}

/// The legs of the second dialog come after that of the first.
fn in_second(mut event: Event) -> Event {
    if let Event::Dialing { leg, .. } | Event::Progress { leg, .. } | Event::Answered { leg, .. } = &mut event {
        leg.0 += 1;
    }
    event
}
