//! REFER: a phone asks for a transfer, or is asked to make one.
//!
//! ```text
//!  Op::Refer ── ReferAnswered ──► its call ── ReferProgress… ──► the last word
//!      │ refused, or no answer       │ refused, or no last word
//!      └──► Stage::Transfer          └──► Stage::Callee
//! ```
//!
//! What a phone asks for is done by the switch ([`Call::transfer`], [`Call::join_with`]), or passed
//! on to the phone of the other party, whose words are passed back.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::hold::CHANGE_TIME;
use super::operation::{Asker, Doing, Whose};
use super::transfer::{By as Word, PART_TIME};
use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Call, Scene};
use crate::words::{Address, By, CallId, Event, Failure, LegId, Op, Party, Refused, Stage};

/// An end's phone that is asked to call somebody else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Refer {
    /// The leg that is asked.
    leg: LegId,
    /// It does as it is asked.
    accepted: bool,
}

impl Refer {
    pub(crate) const fn stage(&self) -> Stage {
        if self.accepted { Stage::Callee } else { Stage::Transfer }
    }
}

/// With whom an end is to be connected.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Goal {
    /// Whoever is at this address.
    Address(Address),
    /// An end of another call.
    End {
        call: CallId,
        party: Party,
        /// The leg at the other end, whose place is to be taken.
        replaced: Option<LegId>,
        at: Address,
        /// The other call still rings.
        rings: bool,
    },
}

impl Call {
    /// A phone asks us to connect its party with somebody else.
    pub(crate) fn refer_asked(
        &mut self,
        scene: &mut Scene<'_>,
        leg: LegId,
        goal: Result<Goal, Cause>,
        by: Option<Address>,
    ) {
        if self.leg(leg).is_none_or(|leg| !leg.is_carried() || !leg.live()) {
            return;
        }
        let goal = goal.and_then(|goal| self.may_be_referred(leg, &goal).map(|stays| (stays, goal)));
        let (stays, goal) = match goal {
            Ok(goal) => goal,
            Err(cause) => return self.answer_refer(scene, leg, Err(cause)),
        };
        let by = by.or_else(|| Some(self.address_of(leg)));
        if scene.limits.transfers == By::Refer || !self.anchored {
            return self.refer(scene, Whose::Phone(Asker::new(leg)), stays, goal, by);
        }
        let whose = Whose::Phone(Asker::accepted(leg));
        self.answer_refer(scene, leg, Ok(()));
        self.tell_trying(scene, leg);
        match goal {
            Goal::Address(to) => {
                self.transfer(scene, whose, stays, (to, Word { is_controller: false, referred_by: by, payer: None }));
            }
            Goal::End { call, party, rings, .. } => self.join_with(scene, whose, stays, (call, party, rings)),
        }
    }

    /// The subscription that comes with a REFER begins with a NOTIFY (RFC 3515 section 2.4.4).
    fn tell_trying(&self, scene: &mut Scene<'_>, leg: LegId) {
        scene.out.op(Op::TellRefer { call: self.id, leg, status: 100, text: "Trying".into() });
    }

    /// Which end stays when this leg transfers it.
    fn may_be_referred(&self, leg: LegId, goal: &Goal) -> Result<Party, Cause> {
        let Some(party) = self.leg(leg).map(|leg| leg.party) else {
            return Err(Cause::new(Kind::NotFound, Fault::Peer));
        };
        let stays = party.other();
        let refusal = |why: Refused| match why {
            Refused::Pending(_) => Cause::new(Kind::Pending, Fault::Peer),
            Refused::NoSuchCall
            | Refused::Ending
            | Refused::WireIdInUse(_)
            | Refused::TooManyCalls(_)
            | Refused::Draining
            | Refused::NotAnswered
            | Refused::AddressTooLong
            | Refused::Impossible(_)
            | Refused::Unsupported(_)
            | Refused::CarrierDown(_)
            | Refused::TooManyCommands(_) => Cause::new(Kind::Declined, Fault::Server).with_text(why.to_string()),
        };
        self.may_transfer(stays).map_err(refusal)?;
        if self.end_of(party) != Some(leg) || self.end_of(stays).is_none() {
            return Err(Cause::new(Kind::Declined, Fault::Peer));
        }
        match goal {
            Goal::End { call, .. } if *call == self.id => Err(Cause::new(Kind::Declined, Fault::Peer)),
            Goal::Address(_) | Goal::End { .. } => Ok(stays),
        }
    }

    /// Asks the phone of one end to call somebody else; [`Call::may_transfer`] has been asked.
    pub(crate) fn refer(&mut self, scene: &mut Scene<'_>, whose: Whose, stays: Party, goal: Goal, by: Option<Address>) {
        let call = self.id;
        let Some(leg) = self.end_of(stays) else { return };
        let (to, wanted, replaces) = match goal {
            Goal::Address(to) => (to.clone(), Some(to), None),
            Goal::End { call, replaced, at, .. } => (at, None, replaced.map(|leg| (call, leg))),
        };
        self.begin(scene, whose, Doing::Refer(Refer { leg, accepted: false }));
        self.op_wait(scene, CHANGE_TIME);
        scene.out.op(Op::Refer { call, leg, to, replaces, by });
        self.op_event(scene, Event::Transferring { party: stays, to: wanted });
    }

    /// Whether the phone does as it is asked.
    pub(crate) fn refer_answered(&mut self, scene: &mut Scene<'_>, leg: LegId, result: Result<(), Cause>) {
        if self.refer_op().is_none_or(|refer| refer.leg != leg || refer.accepted) {
            return;
        }
        match result {
            Ok(()) => self.refer_accepted(scene),
            Err(cause) => self.op_done(scene, Err(Failure::new(Stage::Transfer, cause))),
        }
    }

    fn refer_accepted(&mut self, scene: &mut Scene<'_>) {
        let Some(refer) = self.refer_op() else { return };
        if std::mem::replace(&mut refer.accepted, true) {
            return;
        }
        self.op_wait(scene, scene.limits.ring_time);
        if let Some(op) = self.op.as_mut()
            && let Whose::Phone(asker) = &mut op.whose
        {
            *asker = Asker::accepted(asker.leg);
            let leg = asker.leg;
            self.answer_refer(scene, leg, Ok(()));
            self.tell_trying(scene, leg);
        }
    }

    /// How far the phone has come.
    pub(crate) fn refer_progress(&mut self, scene: &mut Scene<'_>, leg: LegId, status: u16, text: CompactString) {
        if self.refer_op().is_none_or(|refer| refer.leg != leg) {
            return;
        }
        // A phone that tells how far it is has accepted: its answer is late or lost.
        self.refer_accepted(scene);
        match status {
            ..=199 => self.target_progressed(scene, status, text),
            200..=299 => self.refer_succeeded(scene),
            _ => {
                let failure = Failure::new(Stage::Callee, Cause::from_status(status, &text));
                self.op_done(scene, Err(failure));
            }
        }
    }

    /// The party talks to somebody else, in a call of its own: this one is over.
    fn refer_succeeded(&mut self, scene: &mut Scene<'_>) {
        let Some(op) = self.take_op() else { return };
        self.event_for(scene, op.whose, Event::Transferred);
        self.report(scene, op.whose, Ok(()));
        match op.whose {
            // It hangs up by itself when it has been told.
            Whose::Phone(asker) => {
                self.begin(scene, Whose::Nobody, Doing::Part(asker.leg));
                self.op_wait(scene, PART_TIME);
            }
            Whose::Command(_) | Whose::Nobody => self.end(scene, Cause::hangup()),
        }
    }

    pub(crate) fn refer_timed_out(&mut self, scene: &mut Scene<'_>) {
        let Some(refer) = self.refer_op() else { return };
        let failure = Failure::new(refer.stage(), Cause::new(Kind::NoAnswer, Fault::Peer));
        self.op_done(scene, Err(failure));
    }

    fn refer_op(&mut self) -> Option<&mut Refer> {
        if let Doing::Refer(refer) = &mut self.op.as_mut()?.doing { Some(refer) } else { None }
    }
}
