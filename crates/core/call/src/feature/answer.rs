//! A party answers: the other branches lose, the descriptions meet, and the two are joined.

use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Call, LegState, Purpose, Scene, State};
use crate::words::{Event, LegId, MediaOp, Op, Party, Sdp, Service, Source};

impl Call {
    pub(crate) fn answered(&mut self, scene: &mut Scene<'_>, id: LegId, sdp: Option<Sdp>) {
        let Some(leg) = self.leg_mut(id) else { return };
        let party = leg.party;
        if leg.state != LegState::AwaitAnswer {
            return;
        }
        leg.state = LegState::Up;
        let (owes_answer, early) = (leg.owes_answer, leg.early_media);
        if self.state != State::AwaitAnswer(party) {
            self.hang_up(scene, id, Cause::new(Kind::AnsweredElsewhere, Fault::Nobody));
            return;
        }
        self.cancel_branches(scene, party, id);
        let call = self.id;
        if !owes_answer || sdp.is_none() {
            // With a late offer the acknowledgement waits for the caller's answer.
            scene.out.op(Op::Confirm { call, leg: id, sdp: None });
        }
        if sdp.is_none() && !early {
            let cause = Cause::new(Kind::NotAcceptable, Fault::Peer).with_text("Answer without session description");
            self.end(scene, cause);
            return;
        }
        if self.anchored
            && let Some(sdp) = sdp.clone()
        {
            scene.out.media(MediaOp::Accept { call, seat: party.into(), leg: id, sdp });
        }
        match (party, self.third_party) {
            (Party::Caller, _) => {
                self.event(scene, Event::Answered { leg: id, party });
                let to = self.callee.clone();
                self.event(scene, Event::Connecting { to });
                self.locate(scene, Party::Callee);
            }
            (Party::Callee, true) => self.join(scene, id),
            (Party::Callee, false) => self.answer_caller(scene, sdp),
        }
    }

    fn cancel_branches(&mut self, scene: &mut Scene<'_>, party: Party, winner: LegId) {
        for leg in self.live_legs(party) {
            if leg != winner {
                let cause = Cause::new(Kind::AnsweredElsewhere, Fault::Nobody);
                self.hang_up(scene, leg, cause);
            }
        }
    }

    /// The callee has answered a call that came in: now the caller is.
    fn answer_caller(&mut self, scene: &mut Scene<'_>, callee_sdp: Option<Sdp>) {
        let Some(caller) = self.caller_leg() else {
            return;
        };
        self.state = State::AwaitDescription;
        self.wait(scene, scene.limits.setup_time);
        if !self.anchored {
            if let Some(sdp) = callee_sdp.or_else(|| self.leg(caller)?.local.clone()) {
                self.send_answer(scene, caller, sdp);
            }
            return;
        }
        let leg = self.leg(caller);
        match leg.map(|l| (l.local.clone(), l.purpose)) {
            Some((Some(sdp), _)) => self.send_answer(scene, caller, sdp),
            // Asked for early media, and not here yet: it serves for the answer.
            Some((None, Some(_))) => {
                if let Some(leg) = self.leg_mut(caller) {
                    leg.purpose = Some(Purpose::Answer);
                }
            }
            _ => self.describe_caller(scene, caller, Purpose::Answer),
        }
    }

    /// Asks the media engine for the description that the caller is sent.
    pub(crate) fn describe_caller(&mut self, scene: &mut Scene<'_>, caller: LegId, purpose: Purpose) {
        let (call, party) = (self.id, Party::Caller);
        let near = self.caller_near;
        let late_offer = self.late_offer;
        let Some(leg) = self.leg_mut(caller) else {
            return;
        };
        leg.purpose = Some(purpose);
        scene.out.media(if late_offer {
            MediaOp::MakeOffer { call, seat: party.into(), leg: caller, near }
        } else {
            MediaOp::MakeAnswer { call, seat: party.into(), leg: caller }
        });
    }

    /// A description is ready; the leg remembers what it was wanted for.
    pub(crate) fn described(&mut self, scene: &mut Scene<'_>, id: LegId, sdp: Sdp) {
        let Some(leg) = self.leg_mut(id) else { return };
        if !leg.live() {
            return;
        }
        let call = self.id;
        let Some(leg) = self.leg_mut(id) else { return };
        match leg.purpose.take() {
            Some(Purpose::Dial) => self.dial(scene, id, Some(sdp)),
            Some(Purpose::EarlyMedia) => {
                leg.local = Some(sdp.clone());
                let status = self.ring_status;
                scene.out.op(Op::Ring {
                    call,
                    leg: id,
                    // Ringing with a description is progress, or phones would not listen to it.
                    status: if status == 180 { 183 } else { status },
                    sdp: Some(sdp),
                });
            }
            Some(Purpose::Answer) => self.send_answer(scene, id, sdp),
            Some(Purpose::Reanswer) => {
                scene.out.op(Op::Reanswer { call, leg: id, sdp: Ok(sdp) });
            }
            None => {}
        }
    }

    fn send_answer(&mut self, scene: &mut Scene<'_>, caller: LegId, sdp: Sdp) {
        let late_offer = self.late_offer;
        let Some(leg) = self.leg_mut(caller) else {
            return;
        };
        leg.local = Some(sdp.clone());
        leg.state = LegState::AwaitConfirm;
        leg.owes_answer = late_offer;
        scene.out.op(Op::Answer { call: self.id, leg: caller, sdp });
        let callee = self.legs.iter().find(|l| l.party == Party::Callee && matches!(l.state, LegState::Up));
        if let Some(callee) = callee.map(|l| l.id) {
            self.join(scene, callee);
        }
    }

    /// Both parties are on the line.
    pub(crate) fn join(&mut self, scene: &mut Scene<'_>, callee: LegId) {
        self.state = State::Talking;
        let may_vanish = !self.anchored && !scene.limits.probe_time.is_zero();
        self.deadline = may_vanish.then(|| scene.now + scene.limits.probe_time);
        self.joined = Some(scene.now);
        let service = self.leg(callee).and_then(|l| l.service);
        let heard_by_caller = match service {
            Some(Service::Echo) => Source::Echo,
            Some(Service::Tone) => Source::Reference,
            None => Source::Peer,
        };
        self.hear(scene, Party::Caller, heard_by_caller);
        if service.is_none() {
            self.hear(scene, Party::Callee, Source::Peer);
        }
        let party = Party::Callee;
        self.event(scene, Event::Answered { leg: callee, party });
        self.event(scene, Event::Bridged);
        self.settle(scene, Ok(()));
    }
}
