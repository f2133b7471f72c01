//! Changes of a session in a call whose audio does not run through here: what one party offers, the
//! other one answers.
//!
//! ```text
//!   one party        this file              the other party
//!   Reoffered ──────► Relay / Relayed ─────► Reoffer
//!   Reanswer ◄─────── answer or refusal ◄─── Reaccepted
//!   Confirmed ──────► (where the other one made the offer) ──► Confirm
//! ```

use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Call, LegState, Purpose, Scene, State};
use crate::words::{LegId, Notes, Op, Sdp};

impl Call {
    /// A party wants another session: the other party is asked.
    pub(super) fn relay_offer(&mut self, scene: &mut Scene<'_>, id: LegId, sdp: Option<Sdp>) {
        let call = self.id;
        let other = match self.leg(id).and_then(|leg| leg.purpose) {
            // Both change the session at once: each of them is told to try again later (RFC 3261 section 14.2).
            Some(_) => Err(Cause::new(Kind::Pending, Fault::Peer)),
            None => self.relay_partner(id),
        };
        let other = match other {
            Ok(other) => other,
            Err(cause) => {
                scene.out.op(Op::Reanswer { call, leg: id, sdp: Err(cause) });
                return;
            }
        };
        let late_offer = sdp.is_none();
        if let Some(leg) = self.leg_mut(id) {
            leg.purpose = Some(Purpose::Relay);
            leg.owes_answer = late_offer;
        }
        if let Some(leg) = self.leg_mut(other) {
            leg.purpose = Some(Purpose::Relayed);
            leg.owes_answer = late_offer;
        }
        scene.out.op(Op::Reoffer { call, leg: other, sdp, notes: Notes::default() });
    }

    /// Whom to ask, or why nobody can be asked now.
    fn relay_partner(&self, id: LegId) -> Result<LegId, Cause> {
        let asks = self.leg(id).filter(|leg| !leg.spare);
        let other = asks.and_then(|leg| self.leg(self.end_of(leg.party.other())?));
        let other = other.filter(|other| other.state == LegState::Up && other.service.is_none());
        match other {
            Some(other) if self.state == State::Talking && other.purpose.is_none() && !other.owes_answer => {
                Ok(other.id)
            }
            // It is being asked or has not acknowledged its own session yet.
            Some(_) | None => Err(Cause::new(Kind::Pending, Fault::Peer)),
        }
    }

    /// The other party has answered: so is the one that asked.
    pub(super) fn relay_answered(&mut self, scene: &mut Scene<'_>, id: LegId, sdp: Result<Option<Sdp>, Cause>) {
        let call = self.id;
        let Some(leg) = self.leg_mut(id) else { return };
        leg.purpose = None;
        let missing = || Cause::new(Kind::NotAcceptable, Fault::Peer).with_text("Answer without session description");
        let sdp = sdp.and_then(|sdp| sdp.ok_or_else(missing));
        if sdp.is_err() {
            leg.owes_answer = false;
        }
        let party = leg.party.other();
        let asked = |leg: &&mut crate::machine::Leg| leg.party == party && leg.purpose == Some(Purpose::Relay);
        let Some(asker) = self.legs.iter_mut().find(asked) else { return };
        asker.purpose = None;
        if sdp.is_err() {
            asker.owes_answer = false;
        }
        let leg = asker.id;
        scene.out.op(Op::Reanswer { call, leg, sdp });
    }
}
