//! Forwarding: somebody else is called than was dialled, always or because the party is busy, does
//! not answer or cannot be reached.

use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Call, Scene};
use crate::words::{Address, Diversion, Diverting, Event, Seat, Source};

/// Most diversions of one call, those included which it brought along.
pub const MAX_DIVERSIONS: usize = 10;

impl Call {
    /// Nobody of whom was looked for answers: whoever is named for that case is called, if anybody.
    pub(super) fn nobody_answers(&mut self, scene: &mut Scene<'_>) {
        let Some(hunt) = self.hunt.as_mut() else { return };
        let cause = hunt.failure.clone().unwrap_or_else(|| Cause::new(Kind::Unreachable, Fault::Peer));
        let Some((to, why)) = self.forward_for(&cause) else {
            self.hunt_failed(scene, cause);
            return;
        };
        self.end_branches(scene, &cause);
        self.divert(scene, to, why);
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
            | Kind::Pending
            | Kind::Unsupported
            | Kind::Other => None,
        }
    }

    /// Somebody else is looked for. Whoever has been on the way before is not called again.
    pub(super) fn divert(&mut self, scene: &mut Scene<'_>, to: Address, why: Diverting) {
        let Some(hunt) = self.hunt.as_mut() else { return };
        let loops = to == hunt.to || hunt.diversions.iter().any(|passed| passed.from == to);
        if loops || hunt.diversions.len() >= MAX_DIVERSIONS || self.hops == 0 {
            let failure = hunt.failure.take().or_else(|| hunt.earlier.take());
            let too_far = Cause::new(Kind::TooManyHops, Fault::Peer);
            let circle = || Cause { code: 482, ..too_far.clone().with_text("Loop Detected") };
            let cause = failure.unwrap_or_else(|| if loops { circle() } else { too_far.clone() });
            self.hunt_failed(scene, cause);
            return;
        }
        let Some(mut hunt) = self.hunt_over() else { return };
        self.hops -= 1;
        let from = std::mem::replace(&mut hunt.to, to.clone());
        hunt.diversions.push(Diversion { from: from.clone(), why });
        hunt.anywhere = true;
        match hunt.heard.take() {
            Some(_) if hunt.seat == Seat::Spare => self.target_silent(scene),
            Some(_) => self.hear(scene, hunt.party.other(), Source::Ringback),
            None => {}
        }
        self.event(scene, Event::Diverted { from, to, why });
        self.look_up(scene, hunt);
        self.tell_ringing(scene, FORWARDED);
    }
}

/// Call Is Being Forwarded (RFC 3261 section 21.1.3).
pub(super) const FORWARDED: u16 = 181;
