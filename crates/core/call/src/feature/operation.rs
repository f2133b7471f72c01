//! What is being done to an answered call: one thing at a time, by a command or at a party's wish.
//!
//! The call itself stays in [`State::Talking`] meanwhile. Whatever is being done says so once when
//! it is over, to the command ([`Outcome`]) or to the phone that asked, and a call that ends takes
//! it along.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::hold::Hold;
use crate::cause::{Cause, Kind};
use crate::machine::{Alarm, Call, LegState, Scene, State};
use crate::words::{
    Event, Failure, LegId, MediaOp, Outcome, Party, Refused, Seat, Service, Source, Ticket, Told,
};

/// Something that is being done to an answered call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Operation {
    /// The command, if it was one.
    pub ticket: Option<Ticket>,
    pub doing: Doing,
}

/// What is being done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Doing {
    Hold(Hold),
}

impl Doing {
    /// What another command is told meanwhile.
    const fn in_words(&self) -> &'static str {
        match self {
            Self::Hold(_) => "parties are being put on hold or taken off",
        }
    }
}

impl Call {
    /// Whether something may be done to this call now.
    pub(crate) fn may_operate(&self) -> Result<(), Refused> {
        match self.state {
            State::AwaitEnds => return Err(Refused::Ending),
            State::Talking => {}
            State::AwaitLocation(_) | State::AwaitAnswer(_) | State::AwaitDescription => {
                return Err(Refused::NotAnswered);
            }
        }
        match &self.op {
            Some(op) => Err(Refused::Pending(op.doing.in_words().into())),
            None => Ok(()),
        }
    }

    pub(crate) fn begin(&mut self, scene: &Scene<'_>, ticket: Option<Ticket>, time: Duration, doing: Doing) {
        self.op = Some(Box::new(Operation { ticket, doing }));
        self.op_wait(scene, time);
    }

    /// Sets the time of what is being done.
    pub(crate) fn op_wait(&mut self, scene: &Scene<'_>, time: Duration) {
        self.set_alarm(scene.now + time, Alarm::Operation);
    }

    /// An event that belongs to what is being done.
    pub(crate) fn op_event(&mut self, scene: &mut Scene<'_>, event: Event) {
        let owner = self.op.as_ref().and_then(|op| op.ticket);
        self.event_of(scene, owner, event);
    }

    /// An event that belongs to this command, or to none.
    pub(crate) fn event_of(&mut self, scene: &mut Scene<'_>, owner: Option<Ticket>, event: Event) {
        let told = Told { at: scene.now, seq: self.seq, call: self.id, owner, event };
        self.seq += 1;
        scene.out.event(told);
    }

    /// What was being done is over.
    pub(crate) fn op_done(&mut self, scene: &mut Scene<'_>, result: Result<(), Failure>) {
        let Some(op) = self.op.take() else { return };
        self.clear_alarm(Alarm::Operation);
        if let Some(ticket) = op.ticket {
            scene.out.outcome(Outcome { ticket, result });
        }
    }

    pub(crate) fn op_timed_out(&mut self, scene: &mut Scene<'_>) {
        let Some(op) = &self.op else { return };
        match op.doing {
            Doing::Hold(_) => self.hold_timed_out(scene),
        }
    }

    /// The call ends, and with it what was being done.
    pub(crate) fn abandon(&mut self, scene: &mut Scene<'_>, cause: &Cause) {
        let Some(op) = &self.op else { return };
        let cause = Cause::new(Kind::Cancelled, cause.fault).with_text("the call has ended");
        let stage = match &op.doing {
            Doing::Hold(hold) => hold.stage(),
        };
        self.op_done(scene, Err(Failure::new(stage, cause)));
    }

    // Where everybody sits, and what they hear.

    /// The seat of a leg's audio.
    pub(crate) fn seat(&self, id: LegId) -> Seat {
        self.leg(id).map_or(Seat::Spare, |leg| leg.party.into())
    }

    /// The leg that is one end of the call.
    pub(crate) fn end_of(&self, party: Party) -> Option<LegId> {
        let is_end = |state| matches!(state, LegState::Up | LegState::AwaitConfirm);
        self.legs.iter().find(|leg| leg.party == party && is_end(leg.state)).map(|leg| leg.id)
    }

    /// The service that is one end of the call.
    pub(crate) fn service(&self, party: Party) -> Option<Service> {
        self.leg(self.end_of(party)?)?.service
    }

    /// What a party of an answered call is to hear as things stand.
    pub(crate) fn audio(&self, party: Party) -> Source {
        let other = party.other();
        if self.service(party).is_some() {
            return Source::Silence;
        }
        if self.holds.commanded.has(party) || self.holds.pressed.has(other) {
            return Source::Hold;
        }
        if self.holds.commanded.has(other) || self.holds.pressed.has(party) {
            return Source::Silence;
        }
        match self.service(other) {
            Some(Service::Echo) => Source::Echo,
            Some(Service::Tone) => Source::Reference,
            None => Source::Peer,
        }
    }

    /// Changes something, and says what the parties hear from now on that they did not hear before.
    pub(crate) fn tuned(&mut self, scene: &mut Scene<'_>, change: impl FnOnce(&mut Self)) {
        let all = [Party::Caller, Party::Callee];
        let before = all.map(|party| self.audio(party));
        change(self);
        if self.state != State::Talking {
            return;
        }
        for (party, before) in all.into_iter().zip(before) {
            let source = self.audio(party);
            if source != before {
                self.hear(scene, party, source);
            }
        }
    }

    pub(crate) fn media(&self, scene: &mut Scene<'_>, op: MediaOp) {
        if self.media_open {
            scene.out.media(op);
        }
    }
}
