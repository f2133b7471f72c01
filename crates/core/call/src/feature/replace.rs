//! Replaces (RFC 3891): somebody who calls in takes the place of a leg, on the line or still
//! ringing.
//!
//! ```text
//!  Incoming{replaces} ── OpenSpare, MakeAnswer ──► Op::Answer, Swap ──┬─ its leg was on the line: hung up
//!                                                                     └─ it rang: cancelled, and the call
//!                                                                        is answered by the newcomer
//! ```

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::operation::{Doing, Whose};
use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Call, Leg, LegState, Purpose, Scene, State};
use crate::words::{Address, Handle, Incoming, LegId, MediaOp, Op, Party, Replaces, Sdp, Seat};

/// Somebody on the way to the place of an end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Replace {
    /// The newcomer.
    pub leg: LegId,
    who: Address,
    late_offer: bool,
    /// The leg whose place it wants, and whether only while that rings.
    old: LegId,
    early_only: bool,
}

impl Call {
    /// Why a leg of this call cannot be taken over, as the newcomer is told.
    pub(crate) fn may_replace(&self, replaces: Replaces) -> Result<(), Cause> {
        let gone = || Cause::from_status(481, "Call/Transaction Does Not Exist");
        let Some(leg) = self.leg(replaces.leg).filter(|leg| !leg.spare && leg.service.is_none()) else {
            return Err(gone());
        };
        match leg.state {
            // RFC 3891 section 3: what has ended is declined, what is answered is too late for a pickup.
            LegState::AwaitEnd | LegState::Ended => return Err(Cause::new(Kind::Declined, Fault::Peer)),
            LegState::Up | LegState::AwaitConfirm if replaces.early_only => {
                return Err(Cause::new(Kind::Busy, Fault::Peer));
            }
            LegState::Up | LegState::AwaitConfirm if self.state != State::Talking => {
                return Err(Cause::new(Kind::Pending, Fault::Peer));
            }
            LegState::Up | LegState::AwaitConfirm => {}
            // We have called that party: its phone may be picked up.
            LegState::AwaitAnswer if self.branch_of_hunt(leg.id).is_some() => {}
            // An early dialogue that the other side began cannot be replaced by us.
            LegState::AwaitOffer | LegState::AwaitAnswer | LegState::Offered => return Err(gone()),
        }
        if self.is_leaving() || self.op.as_ref().is_some_and(|op| !matches!(op.doing, Doing::Part(_))) {
            return Err(Cause::new(Kind::Pending, Fault::Peer));
        }
        if !self.anchored || self.may_grow().is_err() {
            return Err(Cause::new(Kind::Unsupported, Fault::Server));
        }
        Ok(())
    }

    /// Somebody calls in to take the place of a leg; [`Call::may_replace`] has been asked. The name
    /// of the new leg is what the backend calls it from now on.
    pub(crate) fn replace(&mut self, scene: &mut Scene<'_>, replaces: Replaces, incoming: Incoming) {
        let Some(party) = self.leg(replaces.leg).map(|leg| leg.party) else { return };
        let Incoming { handle, wire_id, from, offer, .. } = incoming;
        let call = self.id;
        let leg = self.adopt(scene, handle, party, wire_id);
        let replace =
            Replace { leg, who: from, late_offer: offer.is_none(), old: replaces.leg, early_only: replaces.early_only };
        self.begin(scene, Whose::Nobody, Doing::Replace(replace));
        self.op_wait(scene, scene.limits.setup_time);
        self.media(scene, MediaOp::OpenSpare { call, party, near: incoming.near });
        match offer {
            Some(sdp) => {
                self.media(scene, MediaOp::Offered { call, seat: Seat::Spare, sdp });
                self.media(scene, MediaOp::MakeAnswer { call, seat: Seat::Spare, leg });
            }
            None => self.media(scene, MediaOp::MakeOffer { call, seat: Seat::Spare, leg, near: incoming.near }),
        }
    }

    fn adopt(&mut self, scene: &mut Scene<'_>, handle: Handle, party: Party, wire_id: CompactString) -> LegId {
        let id = self.add_leg(party, LegState::Offered);
        if let Some(leg) = self.leg_mut(id) {
            *leg = Leg { spare: true, purpose: Some(Purpose::Replace), wire_id: Some(wire_id), ..leg.clone() };
        }
        scene.out.op(Op::Adopt { handle, call: self.id, leg: id });
        id
    }

    /// The newcomer's description is ready: it takes its place, if that is still there.
    pub(crate) fn seat_newcomer(&mut self, scene: &mut Scene<'_>, id: LegId, sdp: Sdp) {
        let call = self.id;
        let Some(replace) = self.replace_op() else { return };
        let (who, late_offer) = (replace.who.clone(), replace.late_offer);
        let (old, early_only) = (replace.old, replace.early_only);
        let Some(party) = self.leg(id).map(|leg| leg.party) else { return };
        let rings = self.branch_of_hunt(old).is_some();
        if !rings && (early_only || self.end_of(party) != Some(old)) {
            self.refuse_newcomer(scene, Cause::new(Kind::Declined, Fault::Peer));
            return;
        }
        self.take_op();
        if let Some(leg) = self.leg_mut(id) {
            leg.state = LegState::AwaitConfirm;
            leg.owes_answer = late_offer;
        }
        scene.out.op(Op::Answer { call, leg: id, sdp: sdp.clone() });
        if rings {
            self.end_branches(scene, &Cause::new(Kind::AnsweredElsewhere, Fault::Nobody));
            self.hunt_over();
        }
        let old = self.take_place(scene, (id, false), Whose::Nobody, who);
        self.let_go(scene, old);
        if rings {
            self.party_answered(scene, id, sdp);
        }
    }

    /// No description can be made for the newcomer.
    pub(crate) fn refuse_newcomer(&mut self, scene: &mut Scene<'_>, cause: Cause) {
        let Some(leg) = self.replace_op().map(|replace| replace.leg) else { return };
        self.take_op();
        self.let_go_with(scene, leg, cause);
    }

    fn let_go_with(&mut self, scene: &mut Scene<'_>, leg: LegId, cause: Cause) {
        self.hang_up(scene, leg, cause);
        self.media(scene, MediaOp::CloseSpare { call: self.id });
    }

    /// The newcomer has given up.
    pub(crate) fn newcomer_gone(&mut self, scene: &mut Scene<'_>) {
        self.take_op();
        self.media(scene, MediaOp::CloseSpare { call: self.id });
    }

    pub(crate) fn replace_timed_out(&mut self, scene: &mut Scene<'_>) {
        self.refuse_newcomer(scene, Cause::new(Kind::Other, Fault::Server).with_text("Setup Timeout"));
    }

    fn replace_op(&mut self) -> Option<&mut Replace> {
        if let Doing::Replace(replace) = &mut self.op.as_mut()?.doing { Some(replace) } else { None }
    }
}
