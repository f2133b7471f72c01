//! Finding a party, calling all its contacts at once, and hearing them ring.

use compact_str::CompactString;
use smallvec::SmallVec;

use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Call, LegState, Purpose, Scene, State};
use crate::words::{
    Codecs, Dial, Event, Forwards, Found, LegId, MAX_BRANCHES, MediaOp, Op, Party, Sdp, Service, Source, Target,
};

impl Call {
    pub(crate) fn located(
        &mut self,
        scene: &mut Scene<'_>,
        found: Found,
        codecs: Option<Codecs>,
        _forwards: Option<Box<Forwards>>,
    ) {
        let State::AwaitLocation(party) = self.state else {
            return;
        };
        // The first domain with wishes decides: media opens before the second party is looked up.
        self.codecs = self.codecs.take().or(codecs);
        match (found, party) {
            (Found::Targets(targets), _) if !targets.is_empty() => {
                self.ring(scene, party, targets);
            }
            (Found::Service(service), Party::Callee) => self.connect_service(scene, service),
            // A service cannot be rung up and asked to call somebody.
            (Found::Service(_), Party::Caller) | (Found::Targets(_), _) => {
                let cause = Cause::new(Kind::NotFound, Fault::Controller);
                self.end(scene, cause);
            }
            (Found::Nowhere(cause), _) => self.end(scene, cause),
            (Found::Diverted { .. }, _) => self.end(scene, Cause::new(Kind::Unsupported, Fault::Server)),
        }
    }

    fn ring(&mut self, scene: &mut Scene<'_>, party: Party, targets: Vec<Target>) {
        self.state = State::AwaitAnswer(party);
        self.best_failure = None;
        self.wait(scene, scene.limits.ring_time);
        if self.anchored {
            self.open_media(scene);
        }
        let mut branches: SmallVec<[LegId; 4]> = SmallVec::new();
        for target in targets.into_iter().take(MAX_BRANCHES) {
            let leg = self.add_leg(party, LegState::AwaitOffer);
            if let Some(leg) = self.leg_mut(leg) {
                leg.target = Some(target);
                leg.purpose = Some(Purpose::Dial);
            }
            branches.push(leg);
        }
        for leg in branches {
            if self.anchored {
                let near = self.leg(leg).and_then(|l| l.target.as_ref()?.near);
                scene.out.media(MediaOp::MakeOffer { call: self.id, seat: party.into(), leg, near });
            } else {
                self.dial(scene, leg, self.caller_offer.clone());
            }
        }
    }

    /// Sends the request of a branch whose offer is ready.
    pub(crate) fn dial(&mut self, scene: &mut Scene<'_>, id: LegId, offer: Option<Sdp>) {
        let wire_id = self.wanted_wire_id.take();
        let (caller, callee) = (self.caller.clone(), self.callee.clone());
        let (call, hops) = (self.id, self.hops);
        let Some(leg) = self.leg_mut(id) else { return };
        let Some(target) = leg.target.clone() else {
            return;
        };
        leg.state = LegState::AwaitAnswer;
        leg.purpose = None;
        leg.owes_answer = offer.is_none();
        // A caller that is rung up on somebody's behalf is shown whom it will talk to.
        let (from, to) = match leg.party {
            Party::Caller => (callee, caller),
            Party::Callee => (caller, callee),
        };
        let dial = Dial { wire_id, hops, ..Dial::new(target, from, to, offer) };
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
        let Some(leg) = self.leg(id) else { return };
        if leg.state != LegState::AwaitAnswer || self.state != State::AwaitAnswer(leg.party) {
            return;
        }
        let party = leg.party;
        let event = Event::Progress { leg: id, party, status, text };
        self.event(scene, event);
        if party == Party::Callee {
            match sdp {
                Some(sdp) => self.early_media(scene, id, status, sdp),
                None => self.tell_caller_of_ringing(scene, status),
            }
        }
    }

    fn tell_caller_of_ringing(&mut self, scene: &mut Scene<'_>, status: u16) {
        let has_early_media = self.legs.iter().any(|l| l.early_media);
        if self.third_party {
            if status == 180 && !has_early_media && self.ring_status != 180 {
                self.ring_status = 180;
                self.hear(scene, Party::Caller, Source::Ringback);
            }
            return;
        }
        // Several branches ring as one.
        if self.ring_status == status {
            return;
        }
        self.ring_status = status;
        if let Some(leg) = self.caller_leg() {
            scene.out.op(Op::Ring { call: self.id, leg, status, sdp: None });
        }
    }

    /// The first branch that plays something is heard until one answers.
    fn early_media(&mut self, scene: &mut Scene<'_>, id: LegId, status: u16, sdp: Sdp) {
        let Some(caller) = self.caller_leg() else {
            return;
        };
        if self.legs.iter().any(|l| l.early_media) {
            self.tell_caller_of_ringing(scene, status);
            return;
        }
        if let Some(leg) = self.leg_mut(id) {
            leg.early_media = true;
        }
        let call = self.id;
        if !self.anchored {
            self.ring_status = status;
            // It serves for the answer if that brings none of its own.
            if let Some(leg) = self.leg_mut(caller) {
                leg.local = Some(sdp.clone());
            }
            scene.out.op(Op::Ring { call, leg: caller, status, sdp: Some(sdp) });
            return;
        }
        let party = Party::Callee;
        scene.out.media(MediaOp::Accept { call, seat: party.into(), leg: id, sdp });
        self.hear(scene, Party::Caller, Source::Peer);
        self.hear(scene, Party::Callee, Source::Peer);
        if self.third_party {
            return;
        }
        if self.late_offer {
            // Without the caller's offer there is nothing to answer before our 200.
            self.tell_caller_of_ringing(scene, status);
        } else {
            self.ring_status = status;
            self.describe_caller(scene, caller, Purpose::EarlyMedia);
        }
    }

    /// A branch is over before it was answered.
    pub(crate) fn branch_failed(&mut self, scene: &mut Scene<'_>, party: Party, cause: Cause) {
        let final_for_all = cause.code >= 600;
        let better = self.best_failure.as_ref().is_none_or(|best| cause.fork_rank() < best.fork_rank());
        if better {
            self.best_failure = Some(cause);
        }
        let left = self.live_legs(party);
        if left.is_empty() || final_for_all {
            let cause = self.best_failure.take();
            let cause = cause.unwrap_or_else(|| Cause::new(Kind::Unreachable, Fault::Peer));
            self.end(scene, cause);
        }
    }

    fn connect_service(&mut self, scene: &mut Scene<'_>, service: Service) {
        self.anchored = true;
        self.open_media(scene);
        let id = self.add_leg(Party::Callee, LegState::Up);
        if let Some(leg) = self.leg_mut(id) {
            leg.service = Some(service);
        }
        let Some(caller) = self.caller_leg() else {
            return;
        };
        if self.third_party {
            self.join(scene, id);
        } else {
            self.state = State::AwaitDescription;
            self.wait(scene, scene.limits.setup_time);
            self.describe_caller(scene, caller, Purpose::Answer);
        }
    }
}
