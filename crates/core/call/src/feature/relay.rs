//! Changes of a session in a call whose audio does not run through here: what one party offers, the
//! other one answers.
//!
//! ```text
//!   one party        this file              the other party
//!   Reoffered ──────► Relay / Relayed ─────► Reoffer
//!   Reanswer ◄─────── answer or refusal ◄─── Reaccepted
//!   Confirmed ──────► (where the other one made the offer) ──► Confirm
//!   Withdrawn ──────► Withdraw ────────────► Reaccepted Err
//! ```
//!
//! Where a change is taken back and the other party was quicker, that one has a session which is not the first one's: the
//! first is asked what it has, and the other one is offered that.

use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Call, Leg, LegState, Purpose, Scene, State};
use crate::words::{LegId, Notes, Op, Party, Sdp};

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
            if leg.state == LegState::Offered {
                // Whoever is called after the other party has failed is to be offered this.
                leg.early = sdp.clone();
            }
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
        if self.state == State::AwaitAnswer(Party::Callee) && !self.third_party {
            return asks.and_then(|leg| self.early_partner(leg)).ok_or_else(not_yet);
        }
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

    /// The same before the answer: the caller and the party which alone is called have a session once
    /// the early description of that one has been shown.
    fn early_partner(&self, asks: &Leg) -> Option<LegId> {
        let branches = self.branches();
        let [branch] = *branches.as_slice() else { return None };
        let (caller, branch) = (self.leg(self.caller_leg()?)?, self.leg(branch)?);
        let other = match asks.party {
            Party::Caller => branch,
            Party::Callee => caller,
        };
        let shown = caller.local.is_some() && branch.early.is_some();
        let free = caller.purpose.is_none() && branch.purpose.is_none();
        (shown && free && (asks.id == caller.id || asks.id == branch.id)).then_some(other.id)
    }

    /// The other party has answered: so is the one that asked.
    pub(super) fn relay_answered(&mut self, scene: &mut Scene<'_>, id: LegId, sdp: Result<Option<Sdp>, Cause>) {
        let call = self.id;
        let Some(leg) = self.leg_mut(id) else { return };
        leg.purpose = None;
        let given_back = !leg.owes_answer;
        let missing = || Cause::new(Kind::NotAcceptable, Fault::Peer).with_text("Answer without session description");
        let sdp = sdp.and_then(|sdp| sdp.ok_or_else(missing));
        if sdp.is_err() {
            leg.owes_answer = false;
        }
        let party = leg.party.other();
        let asked = |leg: &&mut Leg| leg.party == party && leg.purpose == Some(Purpose::Relay);
        let Some(asker) = self.legs.iter_mut().find(asked) else {
            if let Ok(sdp) = sdp {
                self.took_what_was_withdrawn(scene, id, sdp);
            }
            return;
        };
        asker.purpose = None;
        if std::mem::take(&mut asker.stale) {
            let asker = asker.id;
            if let Ok(sdp) = sdp {
                self.offer_as_it_is(scene, (id, asker), sdp);
            }
            return;
        }
        if asker.owes_answer && given_back {
            // We have asked it what session it has, and this is the answer to that.
            asker.owes_answer = false;
            let leg = asker.id;
            scene.out.op(Op::Confirm { call, leg, sdp: sdp.ok() });
            return;
        }
        if sdp.is_err() {
            asker.owes_answer = false;
        }
        let leg = asker.id;
        let early = if asker.state == LegState::Offered { asker.early.take() } else { None };
        if sdp.is_ok() && early.is_some() {
            self.caller_offer = early;
        }
        scene.out.op(Op::Reanswer { call, leg, sdp });
    }
}

// A change that is taken back.

impl Call {
    /// A party takes back its change. Anchored, nobody else knows of it.
    pub(crate) fn withdrawn(&mut self, scene: &mut Scene<'_>, id: LegId) {
        let Some(leg) = self.leg_mut(id).filter(|leg| leg.purpose == Some(Purpose::Relay)) else { return };
        leg.purpose = None;
        leg.owes_answer = false;
        let party = leg.party.other();
        let asked = |leg: &&Leg| leg.party == party && leg.purpose == Some(Purpose::Relayed);
        if let Some(other) = self.legs.iter().find(asked).map(|leg| leg.id) {
            scene.out.op(Op::Withdraw { call: self.id, leg: other });
        }
    }

    /// A party has answered a change that the other one has taken back meanwhile.
    fn took_what_was_withdrawn(&mut self, scene: &mut Scene<'_>, id: LegId, sdp: Sdp) {
        let call = self.id;
        let other = self.leg(id).and_then(|leg| self.end_of(leg.party.other()));
        let free = |leg: &&Leg| leg.state == LegState::Up && leg.purpose.is_none() && leg.service.is_none();
        let other = other.and_then(|other| self.leg(other)).filter(free).map(|leg| leg.id);
        let late = self.leg(id).is_some_and(|leg| leg.owes_answer);
        match other {
            // It was asked what it has: somebody has to answer that.
            Some(other) if late => self.offer_as_it_is(scene, (id, other), sdp),
            Some(other) => {
                if let Some(leg) = self.leg_mut(id) {
                    leg.purpose = Some(Purpose::Relay);
                    leg.stale = true;
                }
                if let Some(leg) = self.leg_mut(other) {
                    leg.purpose = Some(Purpose::Relayed);
                    leg.owes_answer = true;
                }
                scene.out.op(Op::Reoffer { call, leg: other, sdp: None, notes: Notes::default() });
            }
            None if late => {
                if let Some(leg) = self.leg_mut(id) {
                    leg.owes_answer = false;
                }
                scene.out.op(Op::Confirm { call, leg: id, sdp: None });
            }
            None => {}
        }
    }

    /// One party has said what session it has, and waits for the answer; the other one is offered that.
    fn offer_as_it_is(&mut self, scene: &mut Scene<'_>, (has, other): (LegId, LegId), sdp: Sdp) {
        if let Some(leg) = self.leg_mut(has) {
            leg.purpose = Some(Purpose::Relay);
            leg.owes_answer = true;
        }
        if let Some(leg) = self.leg_mut(other) {
            leg.purpose = Some(Purpose::Relayed);
            leg.owes_answer = false;
        }
        scene.out.op(Op::Reoffer { call: self.id, leg: other, sdp: Some(sdp), notes: Notes::default() });
    }
}

/// There is no session yet that could be changed.
fn not_yet() -> Cause {
    Cause::new(Kind::Other, Fault::Server).with_text("Not Answered Yet")
}
