//! Forking: the places of a party are called in groups, those of one group together, the groups one
//! after the other.
//!
//! ```text
//!   Locate ──► found ──► group ──► every place after its `after` ──► ringing ──► answered: the others lose
//!     ▲                    ▲                                            │
//!     │                    │ all of the group have failed,              │ 6xx, nobody left, time is out
//!     │                    │ another is waiting                         ▼
//!     └── forward.rs ──────┴─────────────────────────────────────── the best failure of all
//! ```
//!
//! A [`Hunt`] is the look for one party. It is there from the look-up until somebody answers or
//! nobody is left; its branches are the legs of that party which are not answered yet.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::flow::Gathering;
use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Alarm, Call, LegState, Purpose, Scene, State};
use crate::words::{
    Address, Diversion, Forwards, LegId, MAX_BRANCHES, MediaOp, Op, Orderer, Party, Sdp, Seat, Target, Time,
};

/// Most places that are called in one look for a party, over all groups and diversions.
pub(crate) const MAX_PLACES: u8 = 50;

/// The look for one party.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Hunt {
    /// Which end whoever answers will be.
    pub party: Party,
    /// Whose seat the media engine offers.
    pub seat: Seat,
    /// Who is looked for now: after diversions not who was dialled.
    pub to: Address,
    /// The address need not be one of ours.
    pub anywhere: bool,
    /// Who was to be called before, oldest first.
    pub diversions: Vec<Diversion>,
    /// On whose behalf (Referred-By).
    pub referred_by: Option<Address>,
    /// Whose limits it counts against.
    pub by: Orderer,
    /// The branch whose early media is heard.
    pub heard: Option<LegId>,
    pub(super) forwards: Option<Box<Forwards>>,
    /// The best failure of whoever is looked for now.
    pub(super) failure: Option<Cause>,
    /// The best failure of all who were looked for before.
    pub(super) earlier: Option<Cause>,
    /// A phone of whoever is looked for now has rung.
    pub(super) rang: bool,
    /// Whom phones name instead of themselves, not called yet.
    pub(super) redirects: VecDeque<Address>,
    /// Whose limits they count against: those of whoever's phones have named them.
    pub(super) named_by: Orderer,
    /// One of those has been called: nobody else is named.
    pub(super) redirected: bool,
    located: bool,
    /// Not called yet, the next one last.
    waiting: Vec<Target>,
    group: u8,
    began: Time,
    called: u8,
    /// How long whoever is looked for may ring, where somebody has said so.
    pub(super) ring_time: Option<Duration>,
    /// It is for several addresses, of which some are still to be looked up.
    pub(super) gathering: Option<Gathering>,
    /// Our offer: every branch that sees us at the same address gets the same one.
    offer: Option<(Option<IpAddr>, Sdp)>,
}

impl Hunt {
    pub(crate) fn new(party: Party, seat: Seat, to: Address, anywhere: bool) -> Box<Self> {
        Box::new(Self {
            party,
            seat,
            to,
            anywhere,
            diversions: Vec::new(),
            referred_by: None,
            by: Orderer::default(),
            heard: None,
            forwards: None,
            failure: None,
            earlier: None,
            rang: false,
            redirects: VecDeque::new(),
            named_by: Orderer::default(),
            redirected: false,
            located: false,
            waiting: Vec::new(),
            group: 0,
            began: Time::ZERO,
            called: 0,
            ring_time: None,
            gathering: None,
            offer: None,
        })
    }

    /// Somebody else may be called yet.
    pub(super) fn may_go_on(&self) -> bool {
        !self.waiting.is_empty() || self.forwards.is_some()
    }

    /// The next place, if it belongs to the group that is called now.
    fn next_of_group(&self) -> Option<&Target> {
        self.waiting.last().filter(|place| place.group == self.group)
    }
}

impl Call {
    /// Begins to look for a party, or goes on with somebody else.
    pub(crate) fn look_up(&mut self, scene: &mut Scene<'_>, mut hunt: Box<Hunt>) {
        hunt.located = false;
        hunt.waiting.clear();
        hunt.forwards = None;
        hunt.rang = false;
        if let Some(cause) = hunt.failure.take() {
            hunt.earlier = Some(better(hunt.earlier.take(), cause));
        }
        if let Seat::Of(party) = hunt.seat {
            self.state = State::AwaitLocation(party);
            self.clear_alarm(Alarm::Stage);
        }
        self.clear_alarm(Alarm::Place);
        self.set_alarm(scene.now + scene.limits.setup_time, Alarm::Hunt);
        let (to, by) = (hunt.to.clone(), hunt.by.clone());
        scene.out.op(Op::Locate { call: self.id, to, anywhere: hunt.anywhere, by });
        self.hunt = Some(hunt);
    }

    /// Whether an answer to [`Op::Locate`] is awaited.
    pub(crate) fn awaits_location(&self) -> bool {
        self.hunt.as_ref().is_some_and(|hunt| !hunt.located)
    }

    /// The end that is looked for, if this leg is one of its branches.
    pub(crate) fn branch_of_hunt(&self, id: LegId) -> Option<Party> {
        let leg = self.leg(id)?;
        let unanswered = matches!(leg.state, LegState::AwaitOffer | LegState::AwaitAnswer);
        self.hunt.as_ref().map(|hunt| hunt.party).filter(|party| unanswered && *party == leg.party)
    }

    /// The unanswered legs of the party that is looked for.
    pub(crate) fn branches(&self) -> SmallVec<[LegId; 4]> {
        self.legs.iter().map(|leg| leg.id).filter(|id| self.branch_of_hunt(*id).is_some()).collect()
    }

    /// The places are known: the first group is called.
    pub(super) fn ring(&mut self, scene: &mut Scene<'_>, targets: Vec<Target>, ring_time: Duration) {
        if self.anchored {
            self.open_media(scene);
        }
        let Some(hunt) = self.hunt.as_mut() else { return };
        hunt.located = true;
        hunt.waiting = in_order(targets);
        if let Seat::Of(party) = hunt.seat {
            self.state = State::AwaitAnswer(party);
        }
        self.set_alarm(scene.now + ring_time, Alarm::Hunt);
        self.next_group(scene);
    }

    fn next_group(&mut self, scene: &mut Scene<'_>) {
        let Some(hunt) = self.hunt.as_mut() else { return };
        if let Some(place) = hunt.waiting.last() {
            hunt.group = place.group;
            hunt.began = scene.now;
            self.call_places(scene);
        }
    }

    /// Calls every place of the group whose time has come.
    pub(crate) fn call_places(&mut self, scene: &mut Scene<'_>) {
        let Some(hunt) = self.hunt.as_mut() else { return };
        let (party, spare, began) = (hunt.party, hunt.seat == Seat::Spare, hunt.began);
        let mut due: SmallVec<[Target; 4]> = SmallVec::new();
        while hunt.next_of_group().is_some_and(|place| began + place.after <= scene.now) {
            due.extend(hunt.waiting.pop());
        }
        let room = MAX_PLACES - hunt.called;
        due.truncate(usize::from(room));
        hunt.called += u8::try_from(due.len()).unwrap_or(room);
        if hunt.called == MAX_PLACES {
            hunt.waiting.clear();
        }
        let next = hunt.next_of_group().map(|place| began + place.after);
        match next {
            Some(at) => self.set_alarm(at, Alarm::Place),
            None => self.clear_alarm(Alarm::Place),
        }
        if due.is_empty() {
            self.go_on_hunting(scene);
            return;
        }
        let mut branches: SmallVec<[LegId; 4]> = SmallVec::new();
        for target in due {
            let leg = self.add_leg(party, LegState::AwaitOffer);
            if let Some(leg) = self.leg_mut(leg) {
                leg.target = Some(target);
                leg.spare = spare;
            }
            branches.push(leg);
        }
        self.make_offers(scene, &branches);
    }

    /// Gives each branch its offer. The media engine is asked once for all that see us at the same
    /// address, since they share a channel.
    fn make_offers(&mut self, scene: &mut Scene<'_>, branches: &[LegId]) {
        let mut asked: SmallVec<[Option<IpAddr>; 2]> = SmallVec::new();
        for leg in branches {
            if !self.anchored {
                self.dial(scene, *leg, self.caller_offer.clone());
                continue;
            }
            let near = self.near_of(*leg);
            let Some(hunt) = self.hunt.as_ref() else { return };
            match &hunt.offer {
                Some((seen_at, offer)) if *seen_at == near => self.dial(scene, *leg, Some(offer.clone())),
                _ if asked.contains(&near) => {}
                _ => {
                    asked.push(near);
                    self.ask_for_offer(scene, *leg, near);
                }
            }
        }
    }

    fn ask_for_offer(&mut self, scene: &mut Scene<'_>, leg: LegId, near: Option<IpAddr>) {
        let call = self.id;
        let seat = self.seat(leg);
        if let Some(leg) = self.leg_mut(leg) {
            leg.purpose = Some(Purpose::Dial);
        }
        scene.out.media(MediaOp::MakeOffer { call, seat, leg, near });
    }

    fn near_of(&self, leg: LegId) -> Option<IpAddr> {
        self.leg(leg)?.target.as_ref()?.near
    }

    /// The branches that wait for the same offer as this one.
    fn sharers(&self, leg: LegId) -> SmallVec<[LegId; 4]> {
        let near = self.near_of(leg);
        let waits = |id: &LegId| {
            let other = self.leg(*id).filter(|other| other.state == LegState::AwaitOffer && other.purpose.is_none());
            *id != leg && other.is_some() && self.near_of(*id) == near
        };
        self.branches().into_iter().filter(waits).collect()
    }

    /// Our offer for a branch is ready, and with it that of all which wait for the same one.
    pub(super) fn offer_ready(&mut self, scene: &mut Scene<'_>, id: LegId, sdp: Sdp) {
        if self.branch_of_hunt(id).is_none() {
            return;
        }
        let near = self.near_of(id);
        if let Some(hunt) = self.hunt.as_mut() {
            hunt.offer = Some((near, sdp.clone()));
        }
        let sharers = self.sharers(id);
        self.dial(scene, id, Some(sdp.clone()));
        for leg in sharers {
            self.dial(scene, leg, Some(sdp.clone()));
        }
    }

    /// No offer can be made for a branch, which fails; whoever waited for the same one asks anew.
    pub(super) fn offer_refused(&mut self, scene: &mut Scene<'_>, id: LegId, cause: Cause) {
        let near = self.near_of(id);
        let next = self.sharers(id).first().copied();
        if let Some(leg) = self.leg_mut(id) {
            leg.state = LegState::Ended;
        }
        if let Some(next) = next {
            self.ask_for_offer(scene, next, near);
        }
        self.branch_failed(scene, id, cause);
    }

    /// A branch has rung as long as it may.
    pub(crate) fn branch_rang_out(&mut self, scene: &mut Scene<'_>, id: LegId) {
        if self.branch_of_hunt(id).is_some() {
            let cause = Cause::new(Kind::NoAnswer, Fault::Peer);
            self.hang_up(scene, id, cause.clone());
            self.branch_failed(scene, id, cause);
        }
    }

    /// A branch is over before it was answered.
    pub(crate) fn branch_failed(&mut self, scene: &mut Scene<'_>, id: LegId, cause: Cause) {
        self.clear_alarm(Alarm::Ring(id));
        let Some(hunt) = self.hunt.as_mut() else { return };
        let final_for_all = cause.code >= 600;
        hunt.failure = Some(better(hunt.failure.take(), cause));
        if final_for_all {
            hunt.waiting.clear();
            self.nobody_answers(scene);
            return;
        }
        self.early_media_lost(scene, id);
        self.go_on_hunting(scene);
    }

    /// Nobody rings any more: the next place is called, without waiting for its time, which was to
    /// give the others theirs.
    fn go_on_hunting(&mut self, scene: &mut Scene<'_>) {
        if !self.branches().is_empty() {
            return;
        }
        let Some(hunt) = self.hunt.as_mut() else { return };
        let Some(place) = hunt.waiting.last() else {
            self.nobody_answers(scene);
            return;
        };
        if place.group == hunt.group {
            hunt.began = scene.now.saturating_sub(place.after);
            self.call_places(scene);
        } else {
            self.next_group(scene);
        }
    }

    /// The time to look for a party, or to let it ring, is out.
    pub(crate) fn hunt_timed_out(&mut self, scene: &mut Scene<'_>) {
        let Some(hunt) = self.hunt.as_mut() else { return };
        if !hunt.located {
            let cause = Cause::new(Kind::Other, Fault::Server).with_text("Setup Timeout");
            self.hunt_failed(scene, cause);
            return;
        }
        // A branch that failed with something definite says more than the clock.
        let definite = |cause: &Cause| matches!(cause.kind, Kind::Busy | Kind::Declined);
        if !hunt.failure.as_ref().is_some_and(definite) {
            hunt.failure = Some(Cause::new(Kind::NoAnswer, Fault::Peer));
        }
        self.nobody_answers(scene);
    }

    /// Nobody has answered, and nobody is left to be asked: not even whoever the party names.
    pub(crate) fn hunt_failed(&mut self, scene: &mut Scene<'_>, cause: Cause) {
        let earlier = self.hunt.as_mut().and_then(|hunt| hunt.earlier.take());
        let cause = better(earlier, cause);
        let spare = self.hunt.as_ref().filter(|hunt| hunt.seat == Seat::Spare).map(|hunt| hunt.party);
        if let Some(party) = spare {
            self.end_branches(scene, &cause);
            self.hunt_over();
            self.target_failed(scene, party, cause);
        } else if !self.falls_back_to_its_leader(scene, &cause) {
            self.end(scene, cause);
        }
    }

    /// Somebody else is looked for, or nobody any more: the branches end.
    pub(crate) fn end_branches(&mut self, scene: &mut Scene<'_>, cause: &Cause) {
        for leg in self.branches() {
            self.clear_alarm(Alarm::Ring(leg));
            self.hang_up(scene, leg, cause.clone());
        }
    }

    /// Nobody is looked for any more. Whoever rings, rings on until it is told.
    pub(crate) fn hunt_over(&mut self) -> Option<Box<Hunt>> {
        self.alarms.retain(|(_, alarm)| !matches!(alarm, Alarm::Hunt | Alarm::Place | Alarm::Ring(_)));
        self.hunt.take()
    }
}

/// The failure that says more (RFC 3261 section 16.7, step 6); the older one of equals.
fn better(older: Option<Cause>, newer: Cause) -> Cause {
    match older {
        Some(older) if older.fork_rank() <= newer.fork_rank() => older,
        _ => newer,
    }
}

/// Groups in ascending order, places of a group by their time, and so many of each as may be
/// called; the first place comes last.
fn in_order(mut targets: Vec<Target>) -> Vec<Target> {
    targets.sort_by_key(|place| (place.group, place.after));
    let (mut group, mut count) = (None, 0);
    targets.retain(|place| {
        count = if group == Some(place.group) { count + 1 } else { 1 };
        group = Some(place.group);
        count <= MAX_BRANCHES
    });
    targets.truncate(usize::from(MAX_PLACES));
    targets.reverse();
    targets
}
