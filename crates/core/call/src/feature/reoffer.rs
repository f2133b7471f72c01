//! A session that we change: described anew, offered, answered.
//!
//! ```text
//!            MakeOffer            Op::Reoffer               Reaccepted
//!  nothing ────────────► Reoffer ────────────► Reaccept ────────────────► nothing
//!     ▲                                            │ given up: stale         │ stale
//!     └─── the party's own change comes first: stale, and once more ◄────────┘
//!          (also while ours waits to be sent again: withdrawn)
//! ```
//!
//! A party that may have taken a change which nobody waits for any more is offered what holds now.

use crate::cause::{Cause, Fault, Kind};
use crate::machine::{At, Call, Leg, LegState, Purpose, Scene};
use crate::words::{LegId, MediaOp, Notes, Op, Sdp};

use super::operation::Doing;

impl Leg {
    /// A change of the session is under way, ours or the party's.
    pub(crate) const fn is_changing(&self) -> bool {
        self.purpose.is_some() || self.owes_answer || self.withdrawn || matches!(self.state, LegState::AwaitConfirm)
    }
}

impl Call {
    /// Offers a party its session anew, as soon as no other change of it is under way. The answer
    /// goes to whatever is being done then.
    pub(crate) fn reoffer(&mut self, scene: &mut Scene<'_>, id: LegId) {
        let (call, seat) = (self.id, self.seat(id));
        let Some(leg) = self.leg_mut(id) else { return };
        if !leg.live() {
            return;
        }
        leg.stale = leg.is_changing();
        if !leg.stale {
            leg.purpose = Some(Purpose::Reoffer);
            // Not before: what the party asks for meanwhile is answered with what holds now.
            self.hold_ready(scene, id);
            scene.out.media(MediaOp::MakeOffer { call, seat, leg: id, near: None });
        }
    }

    /// A change of a session is over.
    pub(crate) fn change_over(&mut self, scene: &mut Scene<'_>, id: LegId) {
        if self.leg(id).is_some_and(|leg| leg.stale && !leg.is_changing()) {
            self.reoffer(scene, id);
        }
        self.send_offer_of_other(scene);
    }

    /// Nobody waits for the change of this leg any more.
    pub(crate) fn give_up_reoffer(&mut self, id: LegId) {
        let Some(leg) = self.leg_mut(id) else { return };
        if leg.purpose == Some(Purpose::Reoffer) {
            leg.purpose = None;
        }
        leg.stale = leg.purpose == Some(Purpose::Reaccept);
    }

    /// Our offer is ready.
    pub(crate) fn send_reoffer(&mut self, scene: &mut Scene<'_>, id: LegId, sdp: Sdp) {
        let call = self.id;
        let party = self.leg(id).map(|leg| leg.party);
        let notes = match (self.op.as_ref().map(|op| &op.doing), party) {
            (Some(Doing::Hold(hold)), Some(party)) => hold.notes(party),
            _ => Notes::default(),
        };
        if let Some(leg) = self.leg_mut(id) {
            leg.purpose = Some(Purpose::Reaccept);
        }
        scene.out.op(Op::Reoffer { call, leg: id, sdp: Some(sdp), notes });
        self.hold_sent(scene, id);
    }

    /// What a party says to our offer.
    pub(crate) fn reaccepted(&mut self, scene: &mut Scene<'_>, id: LegId, sdp: Result<Option<Sdp>, Cause>) {
        let Some(leg) = self.leg_mut(id) else { return };
        if leg.live() && leg.purpose == Some(Purpose::Relayed) {
            self.relay_answered(scene, id, sdp);
            return;
        }
        if leg.live() && std::mem::take(&mut leg.withdrawn) {
            self.change_over(scene, id);
            return;
        }
        if !leg.live() || leg.purpose != Some(Purpose::Reaccept) {
            return;
        }
        leg.purpose = None;
        let missing = || Cause::new(Kind::NotAcceptable, Fault::Peer).with_text("Answer without session description");
        let sdp = sdp.and_then(|sdp| sdp.ok_or_else(missing));
        let stale = std::mem::take(&mut leg.stale);
        leg.at = if sdp.is_ok() { leg.at.answered() } else { leg.at.refused() };
        let away = leg.at == At::Away;
        if stale && (sdp.is_ok() || self.awaits_change(id)) {
            self.reoffer(scene, id);
        } else if !stale || away {
            self.changed(scene, id, sdp);
        }
    }

    /// Takes back our change of a leg whose own change comes first, to offer it anew behind that.
    ///
    /// Ours has met an earlier one of theirs and waits to be sent again: had it been on its way, the carrier would have
    /// refused theirs itself (RFC 3261 section 14.2).
    pub(crate) fn let_theirs_pass(&mut self, scene: &mut Scene<'_>, id: LegId) {
        // What another call has asked to be offered is not ours to make anew.
        let is_lent = matches!(self.op.as_ref().map(|op| &op.doing), Some(Doing::Lend(_))) && self.awaits_change(id);
        let waits = |leg: &Leg| leg.state == LegState::Up && leg.purpose == Some(Purpose::Reaccept);
        if is_lent || !self.leg(id).is_some_and(waits) {
            return;
        }
        if let Some(leg) = self.leg_mut(id) {
            leg.purpose = None;
            leg.withdrawn = true;
            leg.stale = true;
        }
        scene.out.op(Op::Withdraw { call: self.id, leg: id });
        self.hold_unready(scene, id);
    }

    /// No offer can be made.
    pub(crate) fn reoffer_refused(&mut self, scene: &mut Scene<'_>, id: LegId, cause: Cause) {
        self.changed(scene, id, Err(cause));
    }

    fn changed(&mut self, scene: &mut Scene<'_>, id: LegId, sdp: Result<Sdp, Cause>) {
        let awaited = self.awaits_change(id);
        let is_away = self.leg(id).is_some_and(|leg| leg.at == At::Away);
        let lost = sdp.as_ref().err().filter(|_| is_away).cloned();
        match self.op.as_ref().map(|op| &op.doing) {
            Some(Doing::Hold(_)) if awaited => self.hold_answered(scene, id, sdp),
            Some(Doing::Lend(_)) if awaited => self.lend_answered(scene, id, sdp),
            // What holds now was offered, and nobody waits for the answer.
            _ => {
                if let Ok(sdp) = sdp {
                    self.accept(scene, id, sdp);
                }
            }
        }
        if let Some(cause) = lost {
            // Its session stays where it is (RFC 3261 section 14.1), and there is nobody any more.
            self.end(scene, cause);
        }
    }

    fn awaits_change(&self, id: LegId) -> bool {
        let Some(party) = self.leg(id).map(|leg| leg.party) else { return false };
        match self.op.as_ref().map(|op| &op.doing) {
            Some(Doing::Hold(hold)) => hold.awaits(party),
            Some(Doing::Lend(lend)) => lend.sent && lend.party == party,
            _ => false,
        }
    }

    pub(crate) fn accept(&mut self, scene: &mut Scene<'_>, id: LegId, sdp: Sdp) {
        if let Some(leg) = self.leg_mut(id) {
            leg.asked = false;
        }
        self.media(scene, MediaOp::Accept { call: self.id, seat: self.seat(id), leg: id, sdp });
    }
}
