//! Transfer: one end of an answered call stays, somebody else takes the place of the other.
//!
//! ```text
//!          Locate, Dial (fork.rs, at the spare seat)      first 2xx
//!  begun ───────────────────────────────────────► rings ───────────► swapped: the two talk, the
//!    │ OpenSpare                                    │                old leg is hung up
//!    │                                              │ nobody answers
//!    └─ who stays hears the target ring, the other ─┴──────────────► as it was before
//!       one nothing
//! ```
//!
//! Whoever transfers may hang up meanwhile: the transfer goes on, and only its failure ends the
//! call. When who stays hangs up, the call is over.

use std::time::Duration;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::fork::{Hunt, MAX_PLACES};
use super::operation::{Doing, Whose};
use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Call, LegState, Purpose, Scene};
use crate::words::{Address, Alerting, Event, Failure, LegId, MediaOp, Party, Refused, Seat, Service, Source, Stage};

/// Most legs that a call ever has, those included which have ended: every transfer adds some.
pub const MAX_LEGS: usize = 1_000;

/// How long a phone that has transferred its party may take to hang up by itself (RFC 5589 section
/// 6.1) before it is hung up.
pub const PART_TIME: Duration = Duration::from_secs(2);

/// An end on its way to somebody else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Bridge {
    /// The end that stays.
    pub stays: Party,
    /// The target rings, and who stays hears that.
    rings: bool,
    /// The target plays something, and who stays hears it: the seats are changed already.
    pub swapped: bool,
    /// The beginning of the new leg has been told.
    started: bool,
    /// Who has answered, and by which address, while the media engine looks at the answer.
    answered: Option<(LegId, Address)>,
}

impl Bridge {
    /// What an end hears meanwhile.
    pub(crate) fn audio(&self, party: Party) -> Option<Source> {
        match (self.swapped, self.stays == party) {
            (true, _) => Some(Source::Peer),
            (false, true) => self.rings.then_some(Source::Ringback),
            (false, false) => Some(Source::Silence),
        }
    }
}

impl Call {
    /// Whether this end can stay and be connected with somebody else.
    pub(crate) fn may_transfer(&self, stays: Party) -> Result<(), Refused> {
        self.may_operate()?;
        if self.service(stays).is_some() {
            return Err(Refused::Unsupported(SERVICE.into()));
        }
        self.may_grow()
    }

    /// Whether there is room for the legs of another change of parties.
    pub(crate) fn may_grow(&self) -> Result<(), Refused> {
        if self.legs.len() + usize::from(MAX_PLACES) > MAX_LEGS {
            return Err(Refused::Unsupported(TOO_MANY_LEGS.into()));
        }
        Ok(())
    }

    /// Whether the switch itself can put somebody in another's place.
    pub(crate) fn may_bridge(&self) -> Result<(), Refused> {
        if self.anchored { Ok(()) } else { Err(Refused::Unsupported(UNANCHORED.into())) }
    }

    /// Connects one end with whoever is at an address; [`Call::may_transfer`] and
    /// [`Call::may_bridge`] have been asked.
    pub(crate) fn transfer(&mut self, scene: &mut Scene<'_>, whose: Whose, stays: Party, (to, by): (Address, By)) {
        let mut hunt = Hunt::new(stays.other(), Seat::Spare, to, by.is_controller);
        hunt.referred_by = by.referred_by;
        hunt.by.leg = match whose {
            Whose::Phone(asker) => Some(asker.leg),
            Whose::Command(_) | Whose::Nobody => by.payer,
        };
        self.transfer_to(scene, whose, stays, hunt);
    }

    /// The same with whoever is found in a look of its own, which is for the other end at the spare seat.
    pub(super) fn transfer_to(&mut self, scene: &mut Scene<'_>, whose: Whose, stays: Party, hunt: Box<Hunt>) {
        let (party, to) = (stays.other(), hunt.to.clone());
        let before = self.heard();
        self.begin(
            scene,
            whose,
            Doing::Bridge(Bridge { stays, rings: false, swapped: false, started: false, answered: None }),
        );
        self.op_event(scene, Event::Transferring { party: stays, to: Some(to) });
        self.retune(scene, before);
        self.media(scene, MediaOp::OpenSpare { call: self.id, party, near: None });
        if let Some(origin) = &mut self.origin {
            // How the first callee was to be alerted is not how this one is.
            origin.alerting = Alerting::default();
        }
        self.look_up(scene, hunt);
    }

    /// A branch is on the wire.
    pub(crate) fn target_dialed(&mut self, scene: &mut Scene<'_>, leg: LegId, wire_id: CompactString, to: Address) {
        let Some(party) = self.leg(leg).map(|leg| leg.party) else { return };
        self.op_event(scene, Event::Dialing { leg, party, wire_id: wire_id.clone(), to: to.clone() });
        let Some(bridge) = self.bridge_op() else { return };
        if !std::mem::replace(&mut bridge.started, true) {
            self.op_event(scene, Event::TransferStarted { wire_id, to: Some(to) });
        }
    }

    /// How far the target is.
    pub(crate) fn target_progressed(&mut self, scene: &mut Scene<'_>, status: u16, text: CompactString) {
        self.op_event(scene, Event::TransferProgress { status, text: text.clone() });
        self.tell_asker(scene, status, text);
    }

    /// The target rings, or does so again.
    pub(crate) fn target_rings(&mut self, scene: &mut Scene<'_>) {
        let before = self.heard();
        if let Some(bridge) = self.bridge_op() {
            bridge.rings = true;
        }
        self.retune(scene, before);
    }

    /// The target plays something.
    pub(crate) fn target_plays(&mut self, scene: &mut Scene<'_>) {
        let call = self.id;
        let Some(bridge) = self.bridge_op() else { return };
        if !std::mem::replace(&mut bridge.swapped, true) {
            self.media(scene, MediaOp::Swap { call });
            self.hear_all(scene);
        }
    }

    /// It plays nothing any more.
    pub(crate) fn target_silent(&mut self, scene: &mut Scene<'_>) {
        let Some(bridge) = self.bridge_op() else { return };
        bridge.rings = true;
        if std::mem::replace(&mut bridge.swapped, false) {
            let party = bridge.stays.other();
            self.swap_back(scene, party);
        }
    }

    /// Whoever was beside the table comes back to its place, or has hung up meanwhile.
    fn swap_back(&self, scene: &mut Scene<'_>, party: Party) {
        // A channel hears at its new place what was heard there.
        self.hear(scene, party, self.audio(party));
        self.media(scene, MediaOp::Swap { call: self.id });
        self.hear(scene, party.other(), self.audio(party.other()));
    }

    /// The target is a service of the switch: it is there at once, and has no leg on any wire.
    pub(crate) fn target_is_service(&mut self, scene: &mut Scene<'_>, service: Service) {
        let Some(hunt) = self.hunt_over() else { return };
        let (party, to) = (hunt.party, hunt.to);
        let room = service.room().cloned();
        let id = self.add_leg(party, LegState::Up);
        if let Some(leg) = self.leg_mut(id) {
            leg.spare = true;
            leg.service = Some(Box::new(service));
        }
        if let Some(room) = room {
            self.enter(scene, party.other(), room);
        }
        // The new pair goes by the name of the leg that stays.
        let stays = self.end_of(party.other()).and_then(|leg| self.leg(leg)?.wire_id.clone());
        if let Some(wire_id) = stays {
            self.op_event(scene, Event::TransferStarted { wire_id, to: Some(to.clone()) });
        }
        self.transferred(scene, id, to);
    }

    /// The target has answered. Nobody changes places before the media engine has taken that answer: what it cannot use
    /// leaves everybody where they are.
    pub(crate) fn target_answered(&mut self, scene: &mut Scene<'_>, id: LegId, to: Address) {
        let (call, seat) = (self.id, self.seat(id));
        let Some(bridge) = self.bridge_op() else { return };
        bridge.answered = Some((id, to));
        if let Some(leg) = self.leg_mut(id) {
            leg.purpose = Some(Purpose::Seat);
        }
        self.op_wait(scene, scene.limits.setup_time);
        // The engine works in order: whoever can be described anew has its session.
        self.media(scene, MediaOp::MakeOffer { call, seat, leg: id, near: None });
    }

    /// The session of whoever has answered is there.
    pub(crate) fn target_ready(&mut self, scene: &mut Scene<'_>) {
        let answered = self.bridge_op().and_then(|bridge| bridge.answered.take());
        if let Some((id, to)) = answered {
            self.transferred(scene, id, to);
        }
    }

    /// There is no session with whoever has answered, or it has gone again.
    pub(crate) fn target_lost(&mut self, scene: &mut Scene<'_>, cause: Cause) {
        let answered = self.bridge_op().and_then(|bridge| bridge.answered.take());
        let Some((id, _)) = answered else { return };
        let Some(party) = self.leg(id).map(|leg| leg.party) else { return };
        self.hang_up(scene, id, cause.clone());
        self.target_failed(scene, party, cause);
    }

    /// Somebody has come to take the place of an end: it is done.
    pub(crate) fn transferred(&mut self, scene: &mut Scene<'_>, id: LegId, by: Address) {
        let swapped = self.bridge_op().is_some_and(|bridge| bridge.swapped);
        let Some(op) = self.take_op() else { return };
        let old = self.take_place(scene, (id, swapped), op.whose, by);
        self.event_for(scene, op.whose, Event::Transferred);
        self.report(scene, op.whose, Ok(()));
        match (op.whose, old) {
            // A phone that has transferred its party hangs up by itself when it has been told.
            (Whose::Phone(asker), Some(old)) if asker.leg == old => {
                self.begin(scene, Whose::Nobody, Doing::Part(old));
                self.op_wait(scene, PART_TIME);
            }
            (Whose::Command(_) | Whose::Phone(_) | Whose::Nobody, old) => self.let_go(scene, old),
        }
    }

    /// Puts a leg from the spare seat in the place of an end, and says who was there.
    pub(crate) fn take_place(
        &mut self,
        scene: &mut Scene<'_>,
        (id, swapped): (LegId, bool),
        whose: Whose,
        by: Address,
    ) -> Option<LegId> {
        let (call, party) = (self.id, self.leg(id)?.party);
        let old = self.end_of(party);
        self.leader_loses(whose);
        self.serve_no_more(scene);
        if !swapped {
            self.media(scene, MediaOp::Swap { call });
        }
        if self.is_held(party) {
            self.media(scene, MediaOp::Hold { call, party, on: false });
        }
        self.holds.commanded.set(party, false);
        let pressed = self.leg(id).is_some_and(|leg| leg.deaf);
        self.holds.pressed.set(party, pressed);
        for (leg, spare) in [(Some(id), false), (old, true)] {
            if let Some(leg) = leg.and_then(|leg| self.leg_mut(leg)) {
                leg.spare = spare;
            }
        }
        match party {
            Party::Caller => {
                self.caller = by.clone();
                // It was the first caller's request that said so.
                self.origin = None;
            }
            Party::Callee => self.callee = by.clone(),
        }
        self.hear_all(scene);
        self.event_for(scene, whose, Event::Replaced { leg: id, party, by });
        if pressed {
            self.event_of(scene, None, Event::HeldBy { party, hold: true });
            self.watch_held(scene);
        }
        self.serve(scene);
        self.led_parties_joined(scene);
        old
    }

    /// Whoever has lost its place goes.
    pub(crate) fn let_go(&mut self, scene: &mut Scene<'_>, old: Option<LegId>) {
        if let Some(old) = old {
            self.hang_up(scene, old, Cause::hangup());
        }
        self.media(scene, MediaOp::CloseSpare { call: self.id });
    }

    /// A phone that has transferred its party has had its time to hang up.
    pub(crate) fn part_now(&mut self, scene: &mut Scene<'_>) {
        let Some(Doing::Part(leg)) = self.op.as_ref().map(|op| &op.doing) else { return };
        let leg = *leg;
        self.take_op();
        if self.leg(leg).is_some_and(|leg| leg.spare) {
            self.let_go(scene, Some(leg));
        } else {
            self.end(scene, Cause::hangup());
        }
    }

    /// Nobody has come to take the place of an end: everybody is where they were, and if the other
    /// one has gone meanwhile, the call is over.
    pub(crate) fn transfer_failed(&mut self, scene: &mut Scene<'_>, party: Party, failure: Failure) {
        let (call, before) = (self.id, self.heard());
        let swapped = self.bridge_op().is_some_and(|bridge| bridge.swapped);
        let Some(op) = self.take_op() else { return };
        if swapped {
            self.swap_back(scene, party);
        } else {
            self.retune(scene, before);
        }
        self.media(scene, MediaOp::CloseSpare { call });
        let cause = failure.cause.clone();
        self.step_failed(op.whose);
        self.report(scene, op.whose, Err(failure));
        if self.end_of(party).is_none() {
            self.end(scene, cause);
        } else if op.whose == Whose::Nobody {
            self.led_nowhere(scene, cause);
        }
    }

    /// Nobody at the address has answered.
    pub(crate) fn target_failed(&mut self, scene: &mut Scene<'_>, party: Party, cause: Cause) {
        let cause = if cause.code < 300 {
            Cause::new(Kind::Other, Fault::Peer).with_text(cause.text.to_string())
        } else {
            cause
        };
        self.transfer_failed(scene, party, Failure::new(Stage::Callee, cause));
    }

    /// Whether a leg has answered and waits for its place.
    pub(crate) fn is_about_to_sit(&self, id: LegId) -> bool {
        let Some(Doing::Bridge(bridge)) = self.op.as_ref().map(|op| &op.doing) else { return false };
        bridge.answered.as_ref().is_some_and(|(answered, _)| *answered == id)
    }

    pub(crate) fn bridge_op(&mut self) -> Option<&mut Bridge> {
        if let Doing::Bridge(bridge) = &mut self.op.as_mut()?.doing { Some(bridge) } else { None }
    }
}

/// On whose word an address is called.
#[derive(Clone, Debug, Default)]
pub(crate) struct By {
    /// A controller's: the address need not be one of ours.
    pub is_controller: bool,
    /// A phone's (Referred-By).
    pub referred_by: Option<Address>,
    /// The party's that it costs, where no phone has asked for it.
    pub payer: Option<LegId>,
}

const SERVICE: &str = "a service of the switch cannot be transferred";
const TOO_MANY_LEGS: &str = "the call has changed parties as often as a call may";
const UNANCHORED: &str =
    "the audio of this call does not run through this switch, so only the phones themselves can transfer it (REFER)";
