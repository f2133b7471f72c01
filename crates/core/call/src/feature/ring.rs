//! Finding a party, calling it, and hearing it ring.

use compact_str::CompactString;

use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Alarm, Call, LegState, Scene};
use crate::words::{Codecs, Dial, Event, Forwards, Found, LegId, Op, Party, Sdp, Seat, Service, Source};

use super::fork::Hunt;
use super::forward::FORWARDED;

/// Ringing (RFC 3261 section 21.1.2).
const RINGING: u16 = 180;

impl Call {
    /// Looks for one end of the call.
    pub(crate) fn locate(&mut self, scene: &mut Scene<'_>, party: Party) {
        let to = match party {
            Party::Caller => self.caller.clone(),
            Party::Callee => self.callee.clone(),
        };
        let mut hunt = Hunt::new(party, Seat::Of(party), to, self.third_party);
        if party == Party::Callee
            && let Some(origin) = self.origin.as_mut()
        {
            hunt.diversions = std::mem::take(&mut origin.diversions);
            hunt.referred_by = origin.referred_by.take();
        }
        if party == Party::Callee && !self.third_party {
            hunt.by.leg = self.caller_leg();
        }
        self.look_up(scene, hunt);
    }

    pub(crate) fn located(
        &mut self,
        scene: &mut Scene<'_>,
        found: Found,
        codecs: Option<Codecs>,
        forwards: Option<Box<Forwards>>,
    ) {
        if !self.awaits_location() {
            return;
        }
        let in_a_step = self.is_in_a_step();
        let Some(hunt) = self.hunt.as_mut() else { return };
        // The first domain with wishes decides: media opens before the second party is looked up.
        self.codecs = self.codecs.take().or(codecs);
        if hunt.gathering.is_some() {
            self.gathered(scene, found);
            return;
        }
        let no_answer_after = forwards.as_ref().filter(|f| f.no_answer.is_some()).and_then(|f| f.no_answer_after);
        hunt.forwards = forwards;
        let (seat, ring_time) = (hunt.seat, hunt.ring_time);
        match found {
            Found::Targets(targets) if !targets.is_empty() => {
                let times = [no_answer_after, ring_time].into_iter().flatten();
                let ring_time = times.min().unwrap_or(scene.limits.ring_time);
                self.ring(scene, targets, ring_time);
            }
            // Two leaders at a time it cannot have; one may pass it to the other.
            Found::Service(Service::Flow(_)) if in_a_step => {
                let cause = Cause::new(Kind::Unsupported, Fault::Controller).with_text("A Flow Cannot Be Dialled");
                self.hunt_failed(scene, cause);
            }
            Found::Service(Service::Flow(flow)) if seat == Seat::Of(Party::Callee) && !self.third_party => {
                self.led_by(scene, flow);
            }
            Found::Service(service) if seat == Seat::Of(Party::Callee) => self.connect_service(scene, service),
            Found::Service(service) if seat == Seat::Spare => self.target_is_service(scene, service),
            // A service cannot be rung up and asked to call somebody.
            Found::Service(_) | Found::Targets(_) => {
                let cause = Cause::new(Kind::NotFound, Fault::Controller);
                self.hunt_failed(scene, cause);
            }
            Found::Nowhere(cause) => {
                hunt.failure = Some(cause);
                self.nobody_answers(scene);
            }
            Found::Diverted { to, why } => self.divert(scene, to, why, true),
        }
    }

    /// Sends the request of a branch whose offer is ready.
    pub(super) fn dial(&mut self, scene: &mut Scene<'_>, id: LegId, offer: Option<Sdp>) {
        let (caller, callee) = (self.caller.clone(), self.callee.clone());
        let (call, hops, third_party) = (self.id, self.hops, self.third_party);
        let Some(hunt) = self.hunt.as_ref() else { return };
        let to = hunt.to.clone();
        let (diversions, referred_by) = (hunt.diversions.clone(), hunt.referred_by.clone());
        // Only one party can make the offer that the caller answers.
        let alone = !hunt.may_go_on() && self.legs.iter().filter(|leg| leg.party == Party::Callee).count() == 1;
        let answers_early = offer.is_none() && self.late_offer && self.answers_early && alone;
        let Some(leg) = self.legs.get_mut(usize::from(id.0)) else { return };
        let Some(target) = leg.target.clone() else { return };
        leg.state = LegState::AwaitAnswer;
        leg.purpose = None;
        leg.owes_answer = offer.is_none();
        // A caller that is rung up on somebody's behalf is shown whom it will talk to.
        let from = match leg.party {
            Party::Caller => callee,
            Party::Callee => caller,
        };
        let mut dial = Dial { hops, diversions, referred_by, answers_early, ..Dial::new(target, from, to, offer) };
        dial.wire_id = self.wanted_wire_id.take().map(|wire_id| *wire_id);
        dial.meets = (leg.party == Party::Caller && third_party).then(|| dial.from.clone());
        match (leg.party, self.origin.as_ref()) {
            (Party::Callee, Some(origin)) => {
                dial.identity = origin.identity.clone();
                dial.alerting = origin.alerting.clone();
            }
            (Party::Caller, _) if third_party && !leg.spare && scene.limits.auto_answer => {
                dial.alerting.answer_after = Some(0)
            }
            (Party::Caller | Party::Callee, _) => {}
        }
        if let Some(time) = dial.target.ring_time {
            self.set_alarm(scene.now + time, Alarm::Ring(id));
        }
        scene.out.op(Op::Dial { call, leg: id, dial: Box::new(dial) });
    }

    pub(crate) fn dialed(&mut self, scene: &mut Scene<'_>, id: LegId, wire_id: CompactString) {
        let Some(leg) = self.leg_mut(id) else { return };
        leg.wire_id = Some(wire_id.clone());
        let party = leg.party;
        let Some(target) = leg.target.as_ref() else {
            return;
        };
        let to = target.address.clone();
        if leg.spare {
            self.target_dialed(scene, id, wire_id, to);
            return;
        }
        let event = Event::Dialing { leg: id, party, wire_id, to };
        self.event(scene, event);
    }

    pub(crate) fn progressed(
        &mut self,
        scene: &mut Scene<'_>,
        id: LegId,
        (status, text): (u16, CompactString),
        sdp: Option<Sdp>,
    ) {
        let Some(party) = self.branch_of_hunt(id) else { return };
        if let Some(hunt) = self.hunt.as_mut() {
            hunt.rang = true;
        }
        if self.hunts_spare() {
            self.target_progressed(scene, status, text);
        } else {
            self.event(scene, Event::Progress { leg: id, party, status, text });
        }
        if party == Party::Callee || self.hunts_spare() {
            match sdp {
                Some(sdp) => self.early_media(scene, id, status, sdp),
                None => self.tell_ringing(scene, status),
            }
        }
    }

    /// Tells the other end how far the look for a party has come.
    pub(crate) fn tell_ringing(&mut self, scene: &mut Scene<'_>, status: u16) {
        let Some(hunt) = self.hunt.as_ref() else { return };
        let heard = hunt.heard.is_some();
        if self.hunts_spare() {
            if status == RINGING && !heard {
                self.target_rings(scene);
            }
            return;
        }
        if self.third_party {
            if status == RINGING && !heard && self.ring_status != RINGING {
                self.ring_status = RINGING;
                self.hear(scene, Party::Caller, Source::Ringback);
            }
            return;
        }
        // Several branches ring as one.
        if self.ring_status == status && status != FORWARDED {
            return;
        }
        self.ring_status = status;
        if let Some(leg) = self.caller_leg() {
            scene.out.op(Op::Ring { call: self.id, leg, status, sdp: None });
        }
    }

    /// Whether the party that is looked for is to take somebody's place: everybody else is on the line.
    pub(super) fn hunts_spare(&self) -> bool {
        self.hunt.as_ref().is_some_and(|hunt| hunt.seat == Seat::Spare)
    }
}
