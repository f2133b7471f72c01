//! A party answers: the other branches lose, the descriptions meet, and the two are joined.

use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Alarm, At, Call, LegState, Purpose, Scene, State};
use crate::words::{Event, LegId, MediaOp, Op, Party, Sdp, Seat};

impl Call {
    pub(crate) fn answered(&mut self, scene: &mut Scene<'_>, id: LegId, sdp: Option<Sdp>) {
        let Some(leg) = self.leg(id) else { return };
        if leg.state != LegState::AwaitAnswer {
            return;
        }
        let wins = self.branch_of_hunt(id).is_some();
        let Some(leg) = self.leg_mut(id) else { return };
        leg.state = LegState::Up;
        let (party, owes_answer, early) = (leg.party, leg.owes_answer, leg.early.take());
        if !wins {
            self.hang_up(scene, id, Cause::new(Kind::AnsweredElsewhere, Fault::Nobody));
            return;
        }
        self.end_branches(scene, &Cause::new(Kind::AnsweredElsewhere, Fault::Nobody));
        let (call, seat) = (self.id, self.seat(id));
        let Some(hunt) = self.hunt_over() else { return };
        if !owes_answer || sdp.is_none() && early.is_none() {
            // With a late offer the acknowledgement waits for the caller's answer.
            scene.out.op(Op::Confirm { call, leg: id, sdp: None });
        }
        // The early media of the branch serves where the answer brings none; of another branch it may be that is
        // heard.
        let heard = hunt.heard == Some(id) && sdp.is_none();
        let Some(sdp) = sdp.or(early) else {
            let cause = Cause::new(Kind::NotAcceptable, Fault::Peer).with_text("Answer without session description");
            if hunt.seat == Seat::Spare {
                self.hang_up(scene, id, cause.clone());
                self.target_failed(scene, party, cause);
            } else {
                self.end(scene, cause);
            }
            return;
        };
        if self.anchored && !heard {
            scene.out.media(MediaOp::Accept { call, seat, leg: id, sdp: sdp.clone() });
        }
        if hunt.heard != Some(id) && hunt.seat != Seat::Spare {
            // If somebody has pressed a hold key, it was another branch.
            self.holds.pressed.set(party, false);
        }
        if hunt.seat == Seat::Spare && self.anchored && !heard {
            self.target_answered(scene, id, hunt.to);
        } else if hunt.seat == Seat::Spare {
            self.transferred(scene, id, hunt.to);
        } else {
            self.party_answered(scene, id, sdp);
        }
    }

    /// A party is on the line: the next one is looked for, or the two are joined.
    pub(crate) fn party_answered(&mut self, scene: &mut Scene<'_>, id: LegId, sdp: Sdp) {
        let Some(party) = self.leg(id).map(|leg| leg.party) else { return };
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

    /// The callee has answered a call that came in: now the caller is.
    pub(super) fn answer_caller(&mut self, scene: &mut Scene<'_>, callee_sdp: Sdp) {
        let Some(caller) = self.caller_leg() else {
            return;
        };
        self.state = State::AwaitDescription;
        self.wait(scene, scene.limits.setup_time);
        let Some(leg) = self.leg_mut(caller) else { return };
        if leg.owes_answer {
            // It has been shown our offer and is about to answer that: in the acknowledgement of the 200 it could not
            // any more.
            leg.purpose = Some(Purpose::Answer);
            return;
        }
        if !self.anchored {
            self.send_answer(scene, caller, callee_sdp);
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
        let (call, late_offer) = (self.id, self.late_offer);
        let Some(leg) = self.leg_mut(id) else { return };
        match leg.purpose.take() {
            Some(Purpose::Dial) => self.offer_ready(scene, id, sdp),
            Some(Purpose::EarlyMedia) => {
                leg.local = Some(sdp.clone());
                leg.owes_answer = late_offer;
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
                if leg.state == LegState::Offered {
                    leg.local = Some(sdp.clone());
                }
                leg.at = At::Home;
                scene.out.op(Op::Reanswer { call, leg: id, sdp: Ok(sdp) });
                self.change_over(scene, id);
            }
            Some(Purpose::Join) => self.comer_described(scene, id, sdp),
            Some(Purpose::Seat) => self.target_ready(scene),
            Some(Purpose::Replace) => self.seat_newcomer(scene, id, sdp),
            Some(Purpose::Reoffer) => self.send_reoffer(scene, id, sdp),
            // Not asked for.
            Some(waits @ (Purpose::Reaccept | Purpose::Relay | Purpose::Relayed)) => leg.purpose = Some(waits),
            None => {}
        }
    }

    /// A caller without an offer has answered ours before its call was answered.
    pub(crate) fn answered_early(&mut self, scene: &mut Scene<'_>, caller: LegId) {
        self.late_offer = false;
        let Some(leg) = self.leg_mut(caller).filter(|leg| leg.purpose == Some(Purpose::Answer)) else { return };
        leg.purpose = None;
        if let Some(sdp) = leg.local.clone() {
            self.send_answer(scene, caller, sdp);
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
        if let Some(callee) = self.end_of(Party::Callee) {
            self.join(scene, callee);
        }
    }

    /// What only the way to the answer needed would otherwise be carried through the whole call.
    fn forget_setup(&mut self) {
        self.caller_offer = None;
        for leg in &mut self.legs {
            leg.local = None;
            leg.early = None;
        }
    }

    /// Both parties are on the line.
    pub(crate) fn join(&mut self, scene: &mut Scene<'_>, callee: LegId) {
        self.state = State::Talking;
        self.clear_alarm(Alarm::Stage);
        if !self.anchored && !scene.limits.probe_time.is_zero() {
            self.wait(scene, scene.limits.probe_time);
        }
        if !scene.limits.max_duration.is_zero() {
            self.set_alarm(scene.now + scene.limits.max_duration, Alarm::Duration);
        }
        self.forget_setup();
        self.joined = Some(scene.now);
        self.hear_all(scene);
        let party = Party::Callee;
        self.event(scene, Event::Answered { leg: callee, party });
        self.event(scene, Event::Bridged);
        self.tell_pressed(scene);
        self.settle(scene, Ok(()));
        self.lend_ready(scene);
        self.serve(scene);
        self.led_parties_joined(scene);
    }
}
