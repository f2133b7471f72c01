//! What happens to a session after its answer: the acknowledgement, and changes of one side.

use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Call, Leg, LegState, Purpose, Scene, State};
use crate::words::{LegId, MediaOp, Op, Party, Sdp};

impl Call {
    pub(crate) fn confirmed(&mut self, scene: &mut Scene<'_>, id: LegId, sdp: Option<Sdp>) {
        let call = self.id;
        let Some(leg) = self.leg_mut(id) else { return };
        if !leg.live() {
            return;
        }
        let early = leg.state == LegState::Offered;
        if leg.state == LegState::AwaitConfirm {
            leg.state = LegState::Up;
        }
        if !std::mem::take(&mut leg.owes_answer) {
            self.change_over(scene, id);
            return;
        }
        let Some(sdp) = sdp else {
            let cause = Cause::new(Kind::NotAcceptable, Fault::Peer).with_text("Offer was never answered");
            self.end(scene, cause);
            return;
        };
        if self.anchored {
            scene.out.media(MediaOp::Accept { call, seat: self.seat(id), leg: id, sdp });
            self.change_over(scene, id);
        } else {
            self.confirm_other(scene, id, sdp);
        }
        if early {
            self.answered_early(scene, id);
        }
    }

    /// The other party made the offer and waits for this answer in its acknowledgement.
    fn confirm_other(&mut self, scene: &mut Scene<'_>, id: LegId, sdp: Sdp) {
        let call = self.id;
        let Some(party) = self.leg(id).map(|leg| leg.party) else { return };
        let waits = |leg: &&mut Leg| match leg.state {
            LegState::Up => true,
            LegState::AwaitAnswer => leg.owes_answer && leg.early.is_some(),
            LegState::AwaitOffer
            | LegState::Offered
            | LegState::AwaitConfirm
            | LegState::AwaitEnd
            | LegState::Ended => false,
        };
        let other = self.legs.iter_mut().filter(|leg| leg.party == party.other()).find(waits);
        if let Some(other) = other {
            other.owes_answer = false;
            let leg = other.id;
            scene.out.op(Op::Confirm { call, leg, sdp: Some(sdp) });
        }
    }

    /// A party wants another address, port, codec or direction, after the answer or before it. The
    /// other party is not bothered: its own session with us does not change.
    pub(crate) fn reoffered(&mut self, scene: &mut Scene<'_>, id: LegId, sdp: Option<Sdp>) {
        let call = self.id;
        let (anchored, state) = (self.anchored, self.state);
        let Some(leg) = self.leg_mut(id) else { return };
        if !leg.live() {
            return;
        }
        if leg.state == LegState::AwaitConfirm {
            // Whoever changes the session has got our answer; the acknowledgement was lost on the way.
            leg.state = LegState::Up;
        }
        if !anchored && state != State::AwaitEnds {
            self.relay_offer(scene, id, sdp);
            return;
        }
        let unheard =
            leg.state == LegState::AwaitAnswer && self.hunt.as_ref().is_none_or(|hunt| hunt.heard != Some(id));
        self.let_theirs_pass(scene, id);
        let Some(leg) = self.leg_mut(id) else { return };
        let refusal = if unheard {
            // The branches of a fork share a channel, and another one has it.
            Some(Cause::new(Kind::Other, Fault::Server).with_text("Another Branch Is Heard"))
        } else if matches!(leg.purpose, Some(Purpose::Reoffer | Purpose::Reaccept)) {
            // Both sides change the session at once (RFC 3261 section 14.2).
            Some(Cause::new(Kind::Pending, Fault::Peer))
        } else if leg.purpose.is_some() {
            // The party took a change back and made another one, while the engine still describes the first.
            Some(Cause::new(Kind::Other, Fault::Peer).with_text("Another Change Is Pending"))
        } else if state == State::AwaitEnds {
            Some(Cause::new(Kind::NotAcceptable, Fault::Server))
        } else {
            None
        };
        if let Some(cause) = refusal {
            scene.out.op(Op::Reanswer { call, leg: id, sdp: Err(cause) });
            return;
        }
        leg.purpose = Some(Purpose::Reanswer);
        leg.asked = true;
        if leg.state == LegState::AwaitAnswer {
            leg.early = sdp.clone().or(leg.early.take());
        }
        if let Some(sdp) = sdp {
            let seat = self.seat(id);
            scene.out.media(MediaOp::Offered { call, seat, sdp });
            scene.out.media(MediaOp::MakeAnswer { call, seat, leg: id });
        } else {
            leg.owes_answer = true;
            let seat = self.seat(id);
            scene.out.media(MediaOp::MakeOffer { call, seat, leg: id, near: None });
        }
    }

    /// Asks whether a party is still there: it is not heard, or has not been heard of for long.
    pub(crate) fn probe(&self, scene: &mut Scene<'_>, party: Party) {
        if self.state != State::Talking {
            return;
        }
        let up =
            self.legs.iter().filter(|l| l.party == party && !l.spare && l.state == LegState::Up && l.service.is_none());
        for leg in up {
            scene.out.op(Op::Probe { call: self.id, leg: leg.id });
        }
    }

    /// Nobody says anything any more, whatever phones answer for them.
    pub(crate) fn idle(&mut self, scene: &mut Scene<'_>) {
        if self.state == State::Talking {
            self.end(scene, Cause::new(Kind::Idle, Fault::Peer));
        }
    }

    pub(crate) fn media_refused(&mut self, scene: &mut Scene<'_>, id: LegId, cause: Cause) {
        let call = self.id;
        let Some(leg) = self.leg_mut(id) else { return };
        if !leg.live() {
            return;
        }
        match leg.purpose.take() {
            Some(Purpose::Reanswer) => {
                leg.owes_answer = false;
                scene.out.op(Op::Reanswer { call, leg: id, sdp: Err(cause) });
                self.change_over(scene, id);
            }
            Some(Purpose::Dial) => self.offer_refused(scene, id, cause),
            Some(Purpose::Join) => self.join_refused(scene, id, cause),
            Some(Purpose::Seat) => self.target_lost(scene, cause),
            Some(Purpose::Replace) => self.refuse_newcomer(scene, cause),
            Some(Purpose::Reoffer) => self.reoffer_refused(scene, id, cause),
            // About an answer of before, which is about to be replaced.
            Some(waits @ (Purpose::Reaccept | Purpose::Relay | Purpose::Relayed)) => leg.purpose = Some(waits),
            // Early media is a courtesy: without it the call goes on.
            Some(Purpose::EarlyMedia) => {}
            None if leg.state == LegState::AwaitAnswer => self.early_media_refused(scene, id),
            Some(Purpose::Answer) | None => self.end(scene, cause),
        }
    }
}
