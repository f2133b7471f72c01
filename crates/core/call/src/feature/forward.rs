//! Forwarding: somebody else is called than was dialled, always or because the party is busy, does
//! not answer or cannot be reached.

use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Call, Scene};
use crate::words::{Address, Diversion, Diverting, Event, LegId, MAX_ADDRESS, Seat};

/// Most diversions of one call, those included which it brought along.
pub const MAX_DIVERSIONS: usize = 10;

/// Most addresses that the phones of one party may name instead of themselves.
pub const MAX_REDIRECTS: usize = 5;

impl Call {
    /// Nobody of whom was looked for answers: whoever is named for that case is called, if anybody.
    pub(super) fn nobody_answers(&mut self, scene: &mut Scene<'_>) {
        let Some(hunt) = self.hunt.as_mut() else { return };
        let cause = hunt.failure.clone().unwrap_or_else(|| Cause::new(Kind::Unreachable, Fault::Peer));
        if let Some(to) = hunt.redirects.pop_front() {
            hunt.redirected = true;
            self.end_branches(scene, &cause);
            self.divert(scene, to, Diverting::Always, false);
        } else if let Some((to, why)) = self.forward_for(&cause) {
            self.end_branches(scene, &cause);
            self.divert(scene, to, why, true);
        } else {
            self.hunt_failed(scene, cause);
        }
    }

    /// A phone names others, who are called when nobody else is left.
    pub(crate) fn redirected(&mut self, scene: &mut Scene<'_>, id: LegId, to: Vec<Address>) {
        if !scene.limits.follow_redirects || self.branch_of_hunt(id).is_none() {
            return;
        }
        let Some(hunt) = self.hunt.as_mut().filter(|hunt| !hunt.redirected) else { return };
        hunt.named_by = hunt.by.clone();
        hunt.named_by.forwarders.push(hunt.to.clone());
        let room = MAX_REDIRECTS.saturating_sub(hunt.redirects.len());
        hunt.redirects.extend(to.into_iter().filter(|to| to.0.len() <= MAX_ADDRESS).take(room));
    }

    /// Whom the party names for such a failure.
    fn forward_for(&mut self, cause: &Cause) -> Option<(Address, Diverting)> {
        let hunt = self.hunt.as_mut()?;
        let rang = hunt.rang;
        let forwards = hunt.forwards.take()?;
        let no_answer = forwards.no_answer.map(|to| (to, Diverting::NoAnswer));
        let unreachable = forwards.unreachable.map(|to| (to, Diverting::Unreachable));
        match cause.kind {
            Kind::Busy | Kind::Declined => forwards.busy.map(|to| (to, Diverting::Busy)),
            Kind::NoAnswer if rang => no_answer,
            // Nothing at all has come from its phones.
            Kind::NoAnswer => unreachable.or(no_answer),
            Kind::Unreachable | Kind::Overloaded => unreachable,
            Kind::Hangup
            | Kind::Cancelled
            | Kind::AnsweredElsewhere
            | Kind::NotFound
            | Kind::BadAddress
            | Kind::NotAcceptable
            | Kind::Forbidden
            | Kind::NotAcknowledged
            | Kind::TooManyHops
            | Kind::Expired
            | Kind::Idle
            | Kind::Pending
            | Kind::Unsupported
            | Kind::Other => None,
        }
    }

    /// Somebody else is looked for, `anywhere` if whoever keeps the directory named it and not a phone.
    /// Whoever has been on the way before is not called again.
    pub(super) fn divert(&mut self, scene: &mut Scene<'_>, to: Address, why: Diverting, anywhere: bool) {
        let Some(hunt) = self.hunt.as_mut() else { return };
        let loops = to == hunt.to || hunt.diversions.iter().any(|passed| passed.from == to);
        if loops || hunt.diversions.len() >= MAX_DIVERSIONS || self.hops == 0 {
            let failure = hunt.failure.take().or_else(|| hunt.earlier.take());
            let too_far = || Cause::new(Kind::TooManyHops, Fault::Peer);
            let cause = failure.unwrap_or_else(|| if loops { Cause::loop_detected() } else { too_far() });
            self.hunt_failed(scene, cause);
            return;
        }
        let Some(mut hunt) = self.hunt_over() else { return };
        self.hops -= 1;
        let from = std::mem::replace(&mut hunt.to, to.clone());
        hunt.diversions.push(Diversion { from: from.clone(), why });
        if anywhere {
            hunt.by.forwarders.push(from.clone());
        } else {
            // Not whoever was tried first of those that a phone has named.
            hunt.by = hunt.named_by.clone();
        }
        hunt.anywhere = anywhere;
        match hunt.heard.take() {
            Some(_) if hunt.seat == Seat::Spare => self.target_silent(scene),
            Some(_) => self.rings_again(scene, hunt.party),
            None => {}
        }
        self.event(scene, Event::Diverted { from, to, why });
        self.look_up(scene, hunt);
        self.tell_ringing(scene, FORWARDED);
    }
}

/// Call Is Being Forwarded (RFC 3261 section 21.1.3).
pub(super) const FORWARDED: u16 = 181;
