//! Joining two calls (attended transfer): an end of another call takes the place of an end of this
//! one. The two calls never touch each other; they write letters, which the switchboard delivers.
//!
//! ```text
//!  this call (Join)                                       the other call (Lend)
//!  begun ────────────────── Want ───────────────────────►  AwaitAnswer, if it still rings
//!  Ready ◄───────────────── Ready ──────────────────────   on the line
//!    │ OpenSpare, MakeOffer
//!  Offer ────────────────── Offer ──────────────────────►  Op::Reoffer to the leg
//!  Seat  ◄───────────────── Sent, Answer ───────────────   Reaccepted: it waits
//!    │ Accept; the media engine has taken the answer
//!  Take  ────────────────── Take ───────────────────────►  Op::Move; the call ends
//!  Lent  ◄───────────────── Lent ───────────────────────
//!    │ Swap
//!  transferred
//! ```
//!
//! Either side gives up with `Withdraw` or `Refused`; then the other call offers its leg its own
//! session again, if it had been offered another. A leg that has taken that and refuses to come back
//! sends its audio to nobody, so that its call ends. Until the media engine has taken the answer,
//! nobody has changed places: what it cannot use leaves everybody where they are.

use std::net::IpAddr;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::hold::CHANGE_TIME;
use super::operation::{Doing, Whose};
use crate::cause::{Cause, Fault, Kind};
use crate::machine::{At, Call, LegState, Purpose, Scene, State};
use crate::words::{Address, CallId, Event, Failure, LegId, MediaOp, Notes, Op, Party, Sdp, Seat, Source, Stage};

/// What one call writes to another.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Letter {
    pub from: CallId,
    pub to: CallId,
    pub says: Says,
}

/// What a letter says.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Says {
    /// I want your leg at this end.
    Want { party: Party },
    /// It is on the line, and sees us at this address.
    Ready { near: Option<IpAddr> },
    /// Offer it this session; it becomes this leg of mine.
    Offer { leg: LegId, sdp: Sdp },
    /// It has been offered.
    Sent { wire_id: CompactString, who: Address },
    /// It has accepted with this, and waits for your word.
    Answer { sdp: Sdp },
    /// I can use that: give it to me.
    Take,
    /// It is yours; whether its phone holds whoever it talks to comes along.
    Lent { leg: LegId, wire_id: Option<CompactString>, who: Address, holds: bool },
    /// You do not get it.
    Refused { cause: Cause },
    /// I do not want it any more.
    Withdraw,
}

/// An end on its way to an end of another call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Join {
    /// The end that stays.
    pub stays: Party,
    other: CallId,
    /// What the leg that comes is called here.
    leg: Option<LegId>,
    /// The other call still rings, and who stays hears that.
    rings: bool,
    /// It has accepted, and the media engine looks at its answer.
    answered: bool,
}

/// A leg on its way to another call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Lend {
    /// The end that goes.
    pub party: Party,
    pub to: CallId,
    /// What it is offered, and what it is called there.
    offer: Option<(LegId, Sdp)>,
    /// The offer is on its way.
    pub sent: bool,
    /// It has accepted, and the other call has not taken it yet.
    answered: bool,
}

impl Join {
    /// What an end hears meanwhile.
    pub(crate) fn audio(&self, party: Party) -> Option<Source> {
        match (self.rings, self.stays == party) {
            (true, true) => Some(Source::Ringback),
            (true, false) => Some(Source::Silence),
            (false, _) => None,
        }
    }
}

impl Call {
    /// Connects one end with an end of another call; both have been asked whether they may.
    pub(crate) fn join_with(
        &mut self,
        scene: &mut Scene<'_>,
        whose: Whose,
        stays: Party,
        (other, party, rings): (CallId, Party, bool),
    ) {
        let before = self.heard();
        self.begin(scene, whose, Doing::Join(Join { stays, other, leg: None, rings, answered: false }));
        self.op_event(scene, Event::Transferring { party: stays, to: None });
        self.retune(scene, before);
        let time = if rings { scene.limits.ring_time } else { scene.limits.setup_time };
        self.op_wait(scene, time);
        self.write(scene, other, Says::Want { party });
    }

    pub(crate) fn read(&mut self, scene: &mut Scene<'_>, letter: Letter) {
        let from = letter.from;
        match letter.says {
            Says::Want { party } => self.wanted(scene, from, party),
            Says::Offer { leg, sdp } => self.lend_offer(scene, from, leg, sdp),
            Says::Withdraw => {
                if self.lend_op().is_some_and(|lend| lend.to == from) {
                    self.take_back(scene);
                }
            }
            Says::Take => self.give_leg(scene, from),
            Says::Lent { leg, wire_id, who, holds } => {
                let party = self.leg(leg).map(|leg| leg.party);
                if self.lent(scene, (from, leg), wire_id, who)
                    && let Some(party) = party.filter(|_| holds)
                {
                    self.direction_changed(scene, party, false, false);
                }
            }
            Says::Ready { .. } | Says::Sent { .. } | Says::Answer { .. } | Says::Refused { .. }
                if self.join_op().is_none_or(|join| join.other != from) => {}
            Says::Ready { near } => self.ask_for_leg(scene, near),
            Says::Sent { wire_id, who } => {
                self.op_event(scene, Event::TransferStarted { wire_id, to: Some(who) });
            }
            Says::Answer { sdp } => self.look_at_answer(scene, sdp),
            Says::Refused { cause } => self.join_failed(scene, cause),
        }
    }

    fn write(&self, scene: &mut Scene<'_>, to: CallId, says: Says) {
        scene.out.letter(Letter { from: self.id, to, says });
    }

    // The call that wants a leg.

    /// The other call's leg is on the line: it is offered a session with this one.
    fn ask_for_leg(&mut self, scene: &mut Scene<'_>, near: Option<IpAddr>) {
        let call = self.id;
        let Some(join) = self.join_op() else { return };
        let party = join.stays.other();
        if join.leg.is_some() {
            return;
        }
        let id = self.add_leg(party, LegState::AwaitOffer);
        if let Some(leg) = self.leg_mut(id) {
            leg.spare = true;
            leg.purpose = Some(Purpose::Join);
        }
        if let Some(join) = self.join_op() {
            join.leg = Some(id);
        }
        self.op_wait(scene, scene.limits.setup_time);
        self.media(scene, MediaOp::OpenSpare { call, party, near });
        self.media(scene, MediaOp::MakeOffer { call, seat: Seat::Spare, leg: id, near: None });
    }

    /// The media engine has described it: our offer to it is ready, or its answer to that is taken.
    pub(crate) fn comer_described(&mut self, scene: &mut Scene<'_>, leg: LegId, sdp: Sdp) {
        let Some(join) = self.join_op().filter(|join| join.leg == Some(leg)) else { return };
        let (other, answered) = (join.other, join.answered);
        self.op_wait(scene, CHANGE_TIME);
        self.write(scene, other, if answered { Says::Take } else { Says::Offer { leg, sdp } });
    }

    /// It has accepted our offer.
    fn look_at_answer(&mut self, scene: &mut Scene<'_>, sdp: Sdp) {
        let call = self.id;
        let Some(join) = self.join_op().filter(|join| !join.answered) else { return };
        let Some(id) = join.leg else { return };
        join.answered = true;
        if let Some(leg) = self.leg_mut(id) {
            leg.purpose = Some(Purpose::Join);
        }
        self.op_wait(scene, scene.limits.setup_time);
        self.media(scene, MediaOp::Accept { call, seat: Seat::Spare, leg: id, sdp });
        // The engine works in order: whoever can be described anew has its session.
        self.media(scene, MediaOp::MakeOffer { call, seat: Seat::Spare, leg: id, near: None });
    }

    /// No offer can be made to it, or its answer cannot be used.
    pub(crate) fn join_refused(&mut self, scene: &mut Scene<'_>, leg: LegId, cause: Cause) {
        let Some(join) = self.join_op().filter(|join| join.leg == Some(leg)) else { return };
        let other = join.other;
        self.write(scene, other, Says::Withdraw);
        self.join_failed(scene, cause);
    }

    /// It is ours. False if it has come too late.
    fn lent(
        &mut self,
        scene: &mut Scene<'_>,
        (from, id): (CallId, LegId),
        wire_id: Option<CompactString>,
        who: Address,
    ) -> bool {
        let call = self.id;
        if self.join_op().is_none_or(|join| join.other != from || join.leg != Some(id)) {
            // Nobody here wants it any more, and it belongs to nobody else.
            scene.out.op(Op::Hangup { call, leg: id, cause: Cause::hangup() });
            return false;
        }
        if let Some(leg) = self.leg_mut(id) {
            leg.state = LegState::Up;
            leg.purpose = None;
            leg.wire_id = wire_id;
        }
        self.transferred(scene, id, who);
        true
    }

    fn join_failed(&mut self, scene: &mut Scene<'_>, cause: Cause) {
        let Some(join) = self.join_op() else { return };
        let (party, leg) = (join.stays.other(), join.leg);
        if let Some(leg) = leg.and_then(|leg| self.leg_mut(leg)) {
            // It has never been on any wire under this name.
            leg.state = LegState::Ended;
            leg.purpose = None;
        }
        self.transfer_failed(scene, party, Failure::new(Stage::Callee, cause));
    }

    pub(crate) fn join_timed_out(&mut self, scene: &mut Scene<'_>) {
        let Some(join) = self.join_op() else { return };
        let (other, answered) = (join.other, join.answered);
        self.write(scene, other, Says::Withdraw);
        let cause = if answered {
            Cause::new(Kind::Other, Fault::Server).with_text("Setup Timeout")
        } else {
            Cause::new(Kind::NoAnswer, Fault::Peer)
        };
        self.join_failed(scene, cause);
    }

    /// This call ends; the other one keeps its leg.
    pub(crate) fn withdraw(&mut self, scene: &mut Scene<'_>, join: &Join) {
        if let Some(leg) = join.leg.and_then(|leg| self.leg_mut(leg)) {
            leg.state = LegState::Ended;
        }
        self.write(scene, join.other, Says::Withdraw);
    }

    // The call that has it.

    fn wanted(&mut self, scene: &mut Scene<'_>, from: CallId, party: Party) {
        self.part_now(scene);
        let rings = matches!(
            self.state,
            State::AwaitLocation(_) | State::AwaitAnswer(_) | State::AwaitStep | State::AwaitDescription
        );
        let there = self.end_of(party).is_some() && self.service(party).is_none();
        let may = self.op.is_none() && (rings || self.state == State::Talking && there);
        if !may {
            self.refuse_to_lend(scene, from, Cause::new(Kind::Pending, Fault::Controller));
            return;
        }
        self.begin(
            scene,
            Whose::Nobody,
            Doing::Lend(Lend { party, to: from, offer: None, sent: false, answered: false }),
        );
        // Whoever wants it says when that has taken too long; this is for one that says nothing.
        self.op_wait(scene, scene.limits.ring_time + CHANGE_TIME * 2);
        self.lend_ready(scene);
    }

    /// The call is answered: if a leg of it is wanted, it can be had now.
    pub(crate) fn lend_ready(&mut self, scene: &mut Scene<'_>) {
        let talks = self.state == State::Talking;
        let Some(lend) = self.lend_op().filter(|_| talks) else { return };
        let (to, party) = (lend.to, lend.party);
        if self.service(party).is_some() || !self.anchored {
            self.take_op();
            self.refuse_to_lend(scene, to, Cause::new(Kind::Unsupported, Fault::Server));
        } else {
            let near = self.end_of(party).and_then(|leg| self.seen_by(leg));
            self.write(scene, to, Says::Ready { near });
        }
    }

    fn lend_offer(&mut self, scene: &mut Scene<'_>, from: CallId, leg: LegId, sdp: Sdp) {
        match self.lend_op().filter(|lend| lend.to == from && lend.offer.is_none()) {
            Some(lend) => lend.offer = Some((leg, sdp)),
            None => return self.refuse_to_lend(scene, from, Cause::new(Kind::Pending, Fault::Controller)),
        }
        self.send_offer_of_other(scene);
    }

    /// Sends the other call's offer as soon as no other change of the leg is under way.
    pub(crate) fn send_offer_of_other(&mut self, scene: &mut Scene<'_>) {
        let Some(lend) = self.lend_op().filter(|lend| !lend.sent) else { return };
        let (party, to, Some((_, sdp))) = (lend.party, lend.to, lend.offer.clone()) else { return };
        let call = self.id;
        let Some(id) = self.end_of(party) else { return };
        if self.leg(id).is_none_or(|leg| leg.is_changing()) {
            return;
        }
        let who = self.address_of(id);
        let Some(leg) = self.leg_mut(id) else { return };
        leg.purpose = Some(Purpose::Reaccept);
        leg.at = At::Invited;
        let wire_id = leg.wire_id.clone().unwrap_or_default();
        if let Some(lend) = self.lend_op() {
            lend.sent = true;
        }
        scene.out.op(Op::Reoffer { call, leg: id, sdp: Some(sdp), notes: Notes::default() });
        self.write(scene, to, Says::Sent { wire_id, who });
    }

    /// The leg has answered the other call's offer.
    pub(crate) fn lend_answered(&mut self, scene: &mut Scene<'_>, id: LegId, sdp: Result<Sdp, Cause>) {
        let Some(lend) = self.lend_op() else { return };
        let (to, party) = (lend.to, lend.party);
        match sdp {
            Ok(sdp) => {
                let first = !std::mem::replace(&mut lend.answered, true);
                if let Some(leg) = self.leg_mut(id) {
                    // The change is not over before the other call has taken it.
                    leg.purpose = Some(Purpose::Reaccept);
                }
                if first {
                    self.write(scene, to, Says::Answer { sdp });
                }
            }
            Err(cause) => {
                self.take_op();
                self.refuse_to_lend(scene, to, cause.clone());
                self.end_if_alone(scene, party, cause);
            }
        }
    }

    /// The other call can use the answer of the leg: it is its leg from now on.
    fn give_leg(&mut self, scene: &mut Scene<'_>, to: CallId) {
        let call = self.id;
        let lend = self.lend_op().filter(|lend| lend.to == to && lend.answered);
        let lent = lend.and_then(|lend| Some((lend.party, lend.offer.as_ref()?.0)));
        let Some((id, party, name)) = lent.and_then(|(party, name)| Some((self.end_of(party)?, party, name))) else {
            return self.refuse_to_lend(scene, to, Cause::new(Kind::Pending, Fault::Controller));
        };
        self.take_op();
        let who = self.address_of(id);
        scene.out.op(Op::Move { from: (call, id), to: (to, name) });
        let mut wire_id = None;
        if let Some(leg) = self.leg_mut(id) {
            leg.state = LegState::Ended;
            wire_id = leg.wire_id.take();
        }
        let holds = self.holds.pressed.has(party);
        self.write(scene, to, Says::Lent { leg: name, wire_id, who, holds });
        self.end(scene, Cause::hangup());
    }

    pub(crate) fn refuse_to_lend(&self, scene: &mut Scene<'_>, to: CallId, cause: Cause) {
        self.write(scene, to, Says::Refused { cause });
    }

    /// Nobody wants the leg any more: if it has been offered another session, it is offered its own
    /// again.
    pub(crate) fn take_back(&mut self, scene: &mut Scene<'_>) {
        let Some(lend) = self.lend_op() else { return };
        let (party, answered) = (lend.party, lend.answered);
        self.take_op();
        let leg = self.end_of(party);
        if let Some(leg) = leg {
            if answered && let Some(leg) = self.leg_mut(leg) {
                leg.purpose = None;
            }
            self.give_up_reoffer(leg);
        }
        self.end_if_alone(scene, party, Cause::hangup());
        if let Some(leg) = leg.filter(|_| answered) {
            self.reoffer(scene, leg);
        }
    }

    /// The other party may have gone meanwhile.
    fn end_if_alone(&mut self, scene: &mut Scene<'_>, party: Party, cause: Cause) {
        if self.state == State::Talking && self.end_of(party.other()).is_none() {
            self.end(scene, cause);
        }
    }

    /// Who is at the other side of a leg, as a carrier would be told.
    pub(crate) fn address_of(&self, id: LegId) -> Address {
        let leg = self.leg(id);
        let contact = leg.and_then(|leg| Some(leg.target.as_ref()?.address.clone()));
        contact.unwrap_or_else(|| self.address(leg.map_or(Party::Caller, |leg| leg.party)).clone())
    }

    /// Our address as a leg sees it, as far as is known.
    fn seen_by(&self, id: LegId) -> Option<IpAddr> {
        match self.leg(id)?.target.as_ref() {
            Some(target) => target.near,
            None if id == LegId(0) => self.caller_near,
            None => None,
        }
    }

    /// Who is at an end.
    pub(crate) const fn address(&self, party: Party) -> &Address {
        match party {
            Party::Caller => &self.caller,
            Party::Callee => &self.callee,
        }
    }

    fn join_op(&mut self) -> Option<&mut Join> {
        if let Doing::Join(join) = &mut self.op.as_mut()?.doing { Some(join) } else { None }
    }

    pub(crate) fn lend_op(&mut self) -> Option<&mut Lend> {
        if let Doing::Lend(lend) = &mut self.op.as_mut()?.doing { Some(lend) } else { None }
    }
}
