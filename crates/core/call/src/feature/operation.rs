//! What is being done to an answered call: one thing at a time, by a command or at a party's wish.
//!
//! The call itself stays in [`State::Talking`] meanwhile. Whatever is being done says so once when
//! it is over, to the command ([`Outcome`]) or to the phone that asked (NOTIFY), and a call that
//! ends takes it along.

use std::time::Duration;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::hold::Hold;
use super::join::{Join, Lend};
use super::refer::Refer;
use super::replace::Replace;
use super::transfer::Bridge;
use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Alarm, Call, LegState, Scene, State};
use crate::words::{
    Event, Failure, LegId, MediaOp, Op, Outcome, Party, Refused, Seat, Service, Source, Stage, Ticket, Told,
};

/// Something that is being done to an answered call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub whose: Whose,
    pub doing: Doing,
}

/// At whose wish something is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Whose {
    Command(Ticket),
    Phone(Asker),
    Nobody,
}

/// A phone that has asked for something and is told how it goes (REFER and NOTIFY).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Asker {
    pub leg: LegId,
    /// It has been told that we do it.
    pub accepted: bool,
    /// The status that it was told last.
    told: u16,
}

impl Asker {
    pub(crate) const fn new(leg: LegId) -> Self {
        Self { leg, accepted: false, told: 0 }
    }

    /// One that has been told that we do it, and that we try.
    pub(crate) const fn accepted(leg: LegId) -> Self {
        Self { leg, accepted: true, told: 100 }
    }
}

/// What is being done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Doing {
    /// Parties are put on hold, or taken off.
    Hold(Hold),
    /// An end is connected with whoever is at an address.
    Bridge(Bridge),
    /// An end is connected with an end of another call.
    Join(Join),
    /// An end is about to pass to another call.
    Lend(Lend),
    /// An end's phone is asked to call somebody else.
    Refer(Refer),
    /// Somebody who calls in takes the place of an end.
    Replace(Replace),
    /// This leg has transferred its party and is to hang up.
    Part(LegId),
}

impl Doing {
    /// What another command is told meanwhile; nothing if it need not wait.
    const fn in_words(&self) -> Option<&'static str> {
        match self {
            Self::Hold(_) => Some("parties are being put on hold or taken off"),
            Self::Bridge(_) | Self::Join(_) | Self::Lend(_) | Self::Refer(_) => Some("the call is being transferred"),
            Self::Replace(_) => Some("a party is being replaced"),
            Self::Part(_) => None,
        }
    }

    /// What has failed when the call ends.
    const fn stage(&self) -> Stage {
        match self {
            Self::Hold(hold) => hold.stage(),
            Self::Bridge(_) | Self::Join(_) | Self::Lend(_) | Self::Replace(_) | Self::Part(_) => Stage::Callee,
            Self::Refer(refer) => refer.stage(),
        }
    }
}

impl Call {
    /// Whether something may be done to this call now.
    pub(crate) fn may_operate(&self) -> Result<(), Refused> {
        match self.state {
            State::AwaitEnds => return Err(Refused::Ending),
            State::Talking => {}
            State::AwaitLocation(_) | State::AwaitAnswer(_) | State::AwaitStep | State::AwaitDescription => {
                return Err(Refused::NotAnswered);
            }
        }
        if self.is_leaving() {
            return Err(Refused::Ending);
        }
        match self.op.as_ref().and_then(|op| op.doing.in_words()) {
            Some(what) => Err(Refused::Pending(what.into())),
            None => Ok(()),
        }
    }

    /// The party has been transferred to another call by its phone, and this one waits to be hung up.
    pub(crate) fn is_leaving(&self) -> bool {
        match self.op.as_ref().map(|op| &op.doing) {
            Some(Doing::Part(leg)) => self.leg(*leg).is_some_and(|leg| !leg.spare),
            _ => false,
        }
    }

    /// Begins something; [`Call::may_operate`] has been asked.
    pub(crate) fn begin(&mut self, scene: &mut Scene<'_>, whose: Whose, doing: Doing) {
        self.part_now(scene);
        self.op = Some(Box::new(Operation { whose, doing }));
    }

    /// Sets the time of what is being done.
    pub(crate) fn op_wait(&mut self, scene: &Scene<'_>, time: Duration) {
        self.set_alarm(scene.now + time, Alarm::Operation);
    }

    pub(crate) fn take_op(&mut self) -> Option<Box<Operation>> {
        self.clear_alarm(Alarm::Operation);
        self.op.take()
    }

    /// What was being done is over.
    pub(crate) fn op_done(&mut self, scene: &mut Scene<'_>, result: Result<(), Failure>) {
        if let Some(op) = self.take_op() {
            self.report(scene, op.whose, result);
        }
    }

    /// Tells whoever wished it how it has ended.
    pub(crate) fn report(&mut self, scene: &mut Scene<'_>, whose: Whose, result: Result<(), Failure>) {
        match (whose, result) {
            (Whose::Command(ticket), result) => scene.out.outcome(Outcome { ticket, result }),
            (Whose::Phone(asker), Ok(())) => self.tell_leg(scene, asker, 200, "OK".into()),
            (Whose::Phone(asker), Err(failure)) => {
                let cause = failure.cause;
                if asker.accepted {
                    // What the target said is told as it is: nobody acts on it but the phone (RFC 3515 section 2.4.5).
                    let (status, text) = if cause.code == 503 { (503, &*cause.text) } else { cause.refusal() };
                    self.tell_leg(scene, asker, status, text.into());
                } else {
                    self.answer_refer(scene, asker.leg, Err(cause.clone()));
                }
                self.event_of(scene, None, Event::TransferFailed { cause });
            }
            (Whose::Nobody, _) => {}
        }
    }

    /// Tells the phone that asked, if one did, how far it is.
    pub(crate) fn tell_asker(&mut self, scene: &mut Scene<'_>, status: u16, text: CompactString) {
        if let Some(op) = self.op.as_mut()
            && let Whose::Phone(asker) = &mut op.whose
            && std::mem::replace(&mut asker.told, status) != status
        {
            let asker = *asker;
            self.tell_leg(scene, asker, status, text);
        }
    }

    fn tell_leg(&self, scene: &mut Scene<'_>, asker: Asker, status: u16, text: CompactString) {
        if self.leg(asker.leg).is_some_and(|leg| leg.live()) {
            scene.out.op(Op::TellRefer { call: self.id, leg: asker.leg, status, text });
        }
    }

    pub(crate) fn answer_refer(&self, scene: &mut Scene<'_>, leg: LegId, result: Result<(), Cause>) {
        if self.leg(leg).is_some_and(|leg| leg.live()) {
            scene.out.op(Op::AnswerRefer { call: self.id, leg, result });
        }
    }

    /// An event that belongs to what is being done.
    pub(crate) fn op_event(&mut self, scene: &mut Scene<'_>, event: Event) {
        let whose = self.op.as_ref().map_or(Whose::Nobody, |op| op.whose);
        self.event_for(scene, whose, event);
    }

    pub(crate) fn event_for(&mut self, scene: &mut Scene<'_>, whose: Whose, event: Event) {
        let owner = match whose {
            Whose::Command(ticket) => Some(ticket),
            Whose::Phone(_) | Whose::Nobody => None,
        };
        self.event_of(scene, owner, event);
    }

    /// An event that belongs to this command, or to none.
    pub(crate) fn event_of(&mut self, scene: &mut Scene<'_>, owner: Option<Ticket>, event: Event) {
        let told = Told { at: scene.now, seq: self.seq, call: self.id, owner, event };
        self.seq += 1;
        scene.out.event(told);
    }

    pub(crate) fn op_timed_out(&mut self, scene: &mut Scene<'_>) {
        let Some(op) = &self.op else { return };
        match &op.doing {
            Doing::Hold(_) => self.hold_timed_out(scene),
            // The look for the target has times of its own; here it is the media engine that is silent.
            Doing::Bridge(_) => {
                let cause = Cause::new(Kind::Other, Fault::Server).with_text("Setup Timeout");
                self.target_lost(scene, cause);
            }
            Doing::Join(_) => self.join_timed_out(scene),
            Doing::Lend(_) => self.take_back(scene),
            Doing::Refer(_) => self.refer_timed_out(scene),
            Doing::Replace(_) => self.replace_timed_out(scene),
            Doing::Part(_) => self.part_now(scene),
        }
    }

    /// The call ends, and with it what was being done.
    pub(crate) fn abandon(&mut self, scene: &mut Scene<'_>, cause: &Cause) {
        let Some(op) = self.take_op() else { return };
        let cause = Cause::new(Kind::Cancelled, cause.fault).with_text("the call has ended");
        match &op.doing {
            Doing::Join(join) => self.withdraw(scene, join),
            Doing::Lend(lend) => self.refuse_to_lend(scene, lend.to, cause.clone()),
            Doing::Hold(_) | Doing::Bridge(_) | Doing::Refer(_) | Doing::Replace(_) | Doing::Part(_) => {}
        }
        self.report(scene, op.whose, Err(Failure::new(op.doing.stage(), cause)));
    }

    /// A leg is over; whether that is no reason to end the call.
    pub(crate) fn goes_on_without(&mut self, scene: &mut Scene<'_>, id: LegId) -> bool {
        let Some(leg) = self.leg(id) else { return true };
        let (party, spare) = (leg.party, leg.spare);
        if self.is_about_to_sit(id) {
            self.target_lost(scene, Cause::hangup());
            return true;
        }
        match self.op.as_ref().map(|op| &op.doing) {
            Some(Doing::Part(leg)) if *leg == id && spare => {
                self.take_op();
                self.media(scene, MediaOp::CloseSpare { call: self.id });
                true
            }
            Some(Doing::Replace(replace)) if replace.leg == id => {
                self.newcomer_gone(scene);
                true
            }
            // Whoever transfers may go before it is done.
            Some(Doing::Bridge(bridge)) => bridge.stays != party,
            Some(Doing::Join(join)) if join.stays != party => self.falls_silent(scene, party),
            Some(Doing::Lend(lend)) if lend.party != party && self.state == State::Talking => {
                self.falls_silent(scene, party)
            }
            Some(Doing::Join(_) | Doing::Lend(_)) => false,
            Some(Doing::Hold(_) | Doing::Refer(_) | Doing::Replace(_) | Doing::Part(_)) => spare,
            None => spare || self.comes_back_to_its_leader(scene, party),
        }
    }

    /// Whoever was at this end has hung up, and hears nothing more of a call that goes on.
    fn falls_silent(&self, scene: &mut Scene<'_>, party: Party) -> bool {
        self.hear(scene, party, Source::Silence);
        true
    }

    // Where everybody sits, and what they hear.

    /// The seat of a leg's audio.
    pub(crate) fn seat(&self, id: LegId) -> Seat {
        let Some(leg) = self.leg(id) else { return Seat::Spare };
        let swapped = self.is_swapped(leg.party);
        if leg.spare == swapped { leg.party.into() } else { Seat::Spare }
    }

    /// A target that plays something has this end's place, and whoever was there is beside the table.
    fn is_swapped(&self, party: Party) -> bool {
        match self.op.as_ref().map(|op| &op.doing) {
            Some(Doing::Bridge(bridge)) => bridge.swapped && bridge.stays != party,
            Some(
                Doing::Hold(_) | Doing::Join(_) | Doing::Lend(_) | Doing::Refer(_) | Doing::Replace(_) | Doing::Part(_),
            )
            | None => false,
        }
    }

    /// The leg that is one end of the call.
    pub(crate) fn end_of(&self, party: Party) -> Option<LegId> {
        let is_end = |state| matches!(state, LegState::Up | LegState::AwaitConfirm);
        self.legs.iter().find(|leg| leg.party == party && !leg.spare && is_end(leg.state)).map(|leg| leg.id)
    }

    /// The service that is one end of the call.
    pub(crate) fn service(&self, party: Party) -> Option<&Service> {
        self.leg(self.end_of(party)?)?.service.as_deref()
    }

    /// What a party of an answered call is to hear as things stand.
    pub(crate) fn audio(&self, party: Party) -> Source {
        let other = party.other();
        if self.service(party).is_some() || !self.is_taken(party) {
            return Source::Silence;
        }
        if self.holds.commanded.has(party) {
            return Source::Hold;
        }
        let meanwhile = match self.op.as_ref().map(|op| &op.doing) {
            Some(Doing::Bridge(bridge)) => bridge.audio(party),
            Some(Doing::Join(join)) => join.audio(party),
            Some(Doing::Hold(_) | Doing::Lend(_) | Doing::Refer(_) | Doing::Replace(_) | Doing::Part(_)) | None => None,
        };
        if let Some(source) = meanwhile {
            return source;
        }
        if self.holds.pressed.has(other) {
            return Source::Hold;
        }
        if self.holds.commanded.has(other) || self.holds.pressed.has(party) {
            return Source::Silence;
        }
        match self.service(other) {
            Some(Service::Echo) => Source::Echo,
            Some(Service::Tone) => Source::Reference,
            // What commands play makes itself heard.
            Some(Service::Flow(_)) => Source::Silence,
            Some(Service::Attendant(_)) => Source::Sounds,
            Some(Service::Conference(_)) => Source::Room,
            None => Source::Peer,
        }
    }

    /// Somebody is there to hear: a party, or in its place a target that plays something. Who has hung up may use the
    /// port of its phone for another call.
    fn is_taken(&self, party: Party) -> bool {
        self.is_swapped(party) || self.end_of(party).is_some()
    }

    pub(crate) fn heard(&self) -> [Source; 2] {
        ENDS.map(|party| self.audio(party))
    }

    /// Says what the parties hear from now on that they did not hear before.
    pub(crate) fn retune(&self, scene: &mut Scene<'_>, before: [Source; 2]) {
        if self.state != State::Talking {
            return;
        }
        for (party, before) in ENDS.into_iter().zip(before) {
            let source = self.audio(party);
            if source != before {
                self.hear(scene, party, source);
            }
        }
    }

    /// Says what every party hears, after a change of seats.
    pub(crate) fn hear_all(&self, scene: &mut Scene<'_>) {
        if self.state != State::Talking {
            return;
        }
        for party in ENDS {
            if self.service(party).is_none() {
                self.hear(scene, party, self.audio(party));
            }
        }
    }

    pub(crate) fn media(&self, scene: &mut Scene<'_>, op: MediaOp) {
        if self.media_open {
            scene.out.media(op);
        }
    }
}

const ENDS: [Party; 2] = [Party::Caller, Party::Callee];
