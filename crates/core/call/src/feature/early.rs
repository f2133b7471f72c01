//! Early media: what a called party plays before it answers, and which branch of a fork is heard.

use crate::machine::{Call, Purpose, Scene};
use crate::words::{LegId, MediaOp, Op, Party, Sdp, Seat, Source};

impl Call {
    /// A branch announces early media. The first one that plays something is heard until one
    /// answers, or until it fails and the next one is.
    pub(super) fn early_media(&mut self, scene: &mut Scene<'_>, id: LegId, status: u16, sdp: Sdp) {
        let Some(leg) = self.leg_mut(id) else { return };
        let known = leg.early.replace(sdp.clone()).is_some_and(|known| known == sdp);
        if !self.anchored {
            self.show_early_media(scene, status, sdp);
            return;
        }
        let heard = self.hunt.as_ref().and_then(|hunt| hunt.heard);
        if heard.is_some_and(|heard| heard != id || known) {
            self.tell_ringing(scene, status);
            return;
        }
        self.listen_to(scene, id, sdp);
        // A caller of ours who is on the line already has a session.
        let Some(caller) = self.caller_leg().filter(|_| !self.third_party && !self.hunts_spare()) else { return };
        let described = self.leg(caller).is_some_and(|leg| leg.local.is_some() || leg.purpose.is_some());
        if self.late_offer && !self.answers_early || described {
            // Without the caller's offer there is nothing to answer before our 200.
            self.tell_ringing(scene, status);
        } else {
            self.ring_status = status;
            self.describe_caller(scene, caller, Purpose::EarlyMedia);
        }
    }

    /// Without media of our own there is one description to show before the answer, and the answer
    /// may not contradict it (RFC 3261 section 13.2.1): that of a party which alone is called.
    fn show_early_media(&mut self, scene: &mut Scene<'_>, status: u16, sdp: Sdp) {
        let alone = self.legs.iter().filter(|leg| leg.party == Party::Callee).count() == 1;
        let (late, answers) = (self.late_offer, self.answers_early);
        let caller = self.caller_leg().and_then(|id| self.leg_mut(id));
        match caller {
            Some(caller) if alone && caller.local.is_none() => {
                let leg = caller.id;
                caller.local = Some(sdp.clone());
                if !late || answers {
                    caller.owes_answer = late;
                    self.ring_status = status;
                    scene.out.op(Op::Ring { call: self.id, leg, status, sdp: Some(sdp) });
                    return;
                }
            }
            _ => {}
        }
        self.tell_ringing(scene, status);
    }

    fn listen_to(&mut self, scene: &mut Scene<'_>, id: LegId, sdp: Sdp) {
        let Some(hunt) = self.hunt.as_mut() else { return };
        let (party, spare) = (hunt.party, hunt.seat == Seat::Spare);
        hunt.heard = Some(id);
        scene.out.media(MediaOp::Accept { call: self.id, seat: self.seat(id), leg: id, sdp });
        if spare {
            self.target_plays(scene);
        } else {
            self.hear(scene, party.other(), Source::Peer);
            self.hear(scene, party, Source::Peer);
        }
    }

    /// What a branch announced cannot be used: a courtesy less, and the call goes on.
    pub(super) fn early_media_refused(&mut self, scene: &mut Scene<'_>, id: LegId) {
        if let Some(leg) = self.leg_mut(id) {
            leg.early = None;
        }
        self.early_media_lost(scene, id);
    }

    /// The branch that was heard is heard no more: another one that plays something is, or it rings.
    pub(super) fn early_media_lost(&mut self, scene: &mut Scene<'_>, id: LegId) {
        let Some(hunt) = self.hunt.as_mut().filter(|hunt| hunt.heard == Some(id)) else { return };
        hunt.heard = None;
        let party = hunt.party;
        let next = self.branches().into_iter().find_map(|leg| Some((leg, self.leg(leg)?.early.clone()?)));
        match next {
            Some((leg, sdp)) => self.listen_to(scene, leg, sdp),
            None if self.hunts_spare() => self.target_silent(scene),
            None => self.rings_again(scene, party),
        }
    }

    /// Nobody plays anything at this end any more, and nobody is there whom it concerns what the other one says.
    pub(super) fn rings_again(&self, scene: &mut Scene<'_>, party: Party) {
        self.hear(scene, party.other(), Source::Ringback);
        self.hear(scene, party, Source::Silence);
    }
}
