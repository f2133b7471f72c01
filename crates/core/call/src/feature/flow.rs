//! A call that is led from outside, step by step. By whom, and what for, is not known here.
//!
//! ```text
//!   located: a flow ──▶ AwaitStep ◀─── nobody answers ───┐
//!                        │  │  │                         │
//!               Divert ◀─┘  │  └─ Dial ──▶ AwaitLocation, AwaitAnswer ──▶ Talking with whoever has answered
//!       (led no more)       │ Answer                                            │         ▲
//!                           ▼                                                   │         │ answers
//!                   AwaitDescription ──▶ Talking with a stand-in ◀── hangs up ──┘         │
//!                                             │ Dial ──▶ a transfer (transfer.rs) ────────┤
//!                                             └──────────────────◀── nobody answers ──────┘
//! ```
//!
//! The stand-in is a leg of ours that no carrier knows, as that of every service. Whatever else gives the party somebody
//! else to talk to, a transfer by command or by a phone, ends the leading.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fork::Hunt;
use super::forward::MAX_DIVERSIONS;
use super::operation::Whose;
use super::transfer::MAX_LEGS;
use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Call, LegState, Scene, State};
use crate::words::{
    Address, Dialled, Diversion, Diverting, Failure, Flow, Found, MAX_ADDRESS, MAX_DIALLED, MAX_GROUPS, MediaOp, Op,
    Outcome, Party, Refused, Sdp, Seat, Service, Stage, Step, StepWanted, Target, Ticket,
};

/// Ringing (RFC 3261 section 21.1.2).
const RINGING: u16 = 180;

/// Who leads the call, and how far that is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Led {
    flow: Flow,
    /// Which end is led.
    party: Party,
    /// The address under which the flow was called.
    at: Address,
    /// The step under way.
    step: Option<Ticket>,
    /// Who was to be called before.
    diversions: Vec<Diversion>,
    /// On whose behalf.
    referred_by: Option<Address>,
}

/// Several addresses that one look for a party is for: they are looked up one after the other.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Gathering {
    /// Not looked up yet, each with its group.
    left: VecDeque<(u8, Address)>,
    /// The group of what is looked up now.
    group: u8,
    /// Where the first place of that group stands among all.
    base: u8,
    found: Vec<Target>,
    /// Those who have named somebody else.
    diverted: usize,
    /// How long all groups together may ring.
    ring_time: Duration,
}

impl Call {
    /// Whether the leader's step can be taken now.
    pub(crate) fn may_step(&self, step: &Step) -> Result<(), Refused> {
        let Some(led) = &self.led else {
            return Err(Refused::Impossible("nobody leads this call".into()));
        };
        if self.state == State::AwaitEnds {
            return Err(Refused::Ending);
        }
        let stands_in =
            self.state == State::Talking && matches!(self.service(led.party.other()), Some(Service::Flow(_)));
        match step {
            Step::Dial(dialled) => {
                may_dial(dialled)?;
                if stands_in {
                    return self.may_transfer(led.party).and_then(|()| self.may_bridge());
                }
            }
            Step::Divert(to) if to.0.len() > MAX_ADDRESS => return Err(Refused::AddressTooLong),
            Step::Ring | Step::Answer | Step::Divert(_) if stands_in => {
                return Err(Refused::Impossible("the call is answered".into()));
            }
            Step::Ring | Step::Answer | Step::Divert(_) => {}
        }
        match self.state == State::AwaitStep {
            true => self.may_grow(),
            false => Err(Refused::Pending("the call waits for no step".into())),
        }
    }

    /// Does what the leader asks for; [`Call::may_step`] has been asked.
    pub(crate) fn step(&mut self, scene: &mut Scene<'_>, ticket: Ticket, step: Step) {
        match step {
            Step::Ring => {
                self.await_step(scene);
                if self.ring_status != RINGING
                    && let Some(leg) = self.caller_leg()
                {
                    self.ring_status = RINGING;
                    scene.out.op(Op::Ring { call: self.id, leg, status: RINGING, sdp: None });
                }
                scene.out.outcome(Outcome { ticket, result: Ok(()) });
            }
            Step::Answer => self.answer_step(scene, ticket),
            Step::Dial(dialled) => self.dial_step(scene, ticket, *dialled),
            Step::Divert(to) => {
                let Some(led) = self.led.take() else { return };
                let mut hunt = Hunt::new(Party::Callee, Seat::Of(Party::Callee), led.at, true);
                hunt.diversions = led.diversions;
                hunt.referred_by = led.referred_by;
                hunt.by.leg = self.caller_leg();
                self.hunt = Some(hunt);
                scene.out.outcome(Outcome { ticket, result: Ok(()) });
                self.divert(scene, to, Diverting::Always, true);
            }
        }
    }

    /// Whoever was looked for is led from outside: the call waits, and is not answered.
    pub(super) fn led_by(&mut self, scene: &mut Scene<'_>, flow: Flow) {
        let Some(hunt) = self.hunt_over() else { return };
        // What is played to the caller has to come from here.
        self.anchored = true;
        let led = Led {
            flow,
            party: Party::Caller,
            at: hunt.to,
            step: None,
            diversions: hunt.diversions,
            referred_by: hunt.referred_by,
        };
        self.led = Some(Box::new(led));
        self.await_step(scene);
        self.want_step(scene);
    }

    /// A caller without an answer is not kept waiting for ever.
    fn await_step(&mut self, scene: &mut Scene<'_>) {
        self.state = State::AwaitStep;
        self.wait(scene, scene.limits.ring_time);
    }

    fn want_step(&self, scene: &mut Scene<'_>) {
        let Some(led) = &self.led else { return };
        let answered = self.state == State::Talking;
        scene.out.step_wanted(StepWanted { call: self.id, flow: led.flow.clone(), party: led.party, answered });
    }

    /// No step has come for as long as a party may ring.
    pub(super) fn no_step(&mut self, scene: &mut Scene<'_>) {
        self.end(scene, Cause::new(Kind::NoAnswer, Fault::Server));
    }

    fn answer_step(&mut self, scene: &mut Scene<'_>, ticket: Ticket) {
        let Some(led) = &mut self.led else { return };
        led.step = Some(ticket);
        let flow = led.flow.clone();
        self.open_media(scene);
        let id = self.add_leg(Party::Callee, LegState::Up);
        if let Some(leg) = self.leg_mut(id) {
            leg.service = Some(Box::new(Service::Flow(flow)));
        }
        // The stand-in has no description, and media of our own needs none.
        self.answer_caller(scene, Sdp::from(""));
    }

    fn dial_step(&mut self, scene: &mut Scene<'_>, ticket: Ticket, dialled: Dialled) {
        let Some(led) = &mut self.led else { return };
        led.step = Some(ticket);
        let (stays, talks) = (led.party, self.state == State::Talking);
        let party = stays.other();
        let mut left: VecDeque<(u8, Address)> = VecDeque::new();
        for (group, addresses) in (0..).zip(dialled.groups) {
            left.extend(addresses.into_iter().map(|address| (group, address)));
        }
        let Some((_, first)) = left.pop_front() else { return };
        let seat = if talks { Seat::Spare } else { Seat::Of(party) };
        let mut hunt = Hunt::new(party, seat, first, true);
        hunt.ring_time = dialled.ring_time;
        if !left.is_empty() {
            let groups = left.back().map_or(1, |(group, _)| u32::from(*group) + 1);
            let each = dialled.ring_time.unwrap_or(scene.limits.ring_time);
            hunt.gathering = Some(Gathering { left, ring_time: each * groups, ..Gathering::default() });
        }
        if talks {
            // Whose call it is, pays for it.
            hunt.by.leg = self.end_of(stays);
            self.transfer_to(scene, Whose::Command(ticket), stays, hunt);
        } else {
            hunt.diversions.clone_from(&led.diversions);
            hunt.referred_by.clone_from(&led.referred_by);
            hunt.by.leg = self.caller_leg();
            self.look_up(scene, hunt);
        }
    }

    /// An address of several is found, or leads nowhere: the next one is looked up, or all that were found are called.
    pub(super) fn gathered(&mut self, scene: &mut Scene<'_>, found: Found) {
        let Some(hunt) = self.hunt.as_mut() else { return };
        let Some(gathering) = hunt.gathering.as_mut() else { return };
        match found {
            Found::Targets(targets) => {
                let base = gathering.base;
                let ring_time = hunt.ring_time;
                gathering.found.extend(targets.into_iter().map(|mut target| {
                    target.group = target.group.saturating_add(base);
                    target.ring_time = target.ring_time.or(ring_time);
                    target
                }));
            }
            Found::Diverted { to, .. } if gathering.diverted < MAX_DIVERSIONS => {
                gathering.diverted += 1;
                gathering.left.push_front((gathering.group, to));
            }
            Found::Nowhere(cause) => hunt.failure = Some(cause),
            // What answers at once would leave nobody else a chance.
            Found::Service(_) => {
                let cause = Cause::new(Kind::Unsupported, Fault::Controller).with_text("A Service In A Group");
                hunt.failure = Some(cause);
            }
            Found::Diverted { .. } => hunt.failure = Some(Cause::new(Kind::TooManyHops, Fault::Peer)),
        }
        let Some((group, to)) = gathering.left.pop_front() else {
            let (found, ring_time) = (std::mem::take(&mut gathering.found), gathering.ring_time);
            // Whoever is called was dialled under the name of all.
            if let Some(led) = &self.led {
                hunt.to = led.at.clone();
            }
            if found.is_empty() {
                self.nobody_answers(scene);
            } else {
                self.ring(scene, found, ring_time);
            }
            return;
        };
        if group != gathering.group {
            gathering.group = group;
            gathering.base = gathering.found.iter().map(|target| target.group + 1).max().unwrap_or(0);
        }
        hunt.to = to;
        if let Some(hunt) = self.hunt_over() {
            self.look_up(scene, hunt);
        }
    }

    /// Nobody has answered before the call is: it waits for another step.
    pub(super) fn falls_back_to_its_leader(&mut self, scene: &mut Scene<'_>, cause: &Cause) -> bool {
        let Some(step) = self.led.as_mut().and_then(|led| led.step.take()) else { return false };
        self.end_branches(scene, cause);
        if self.hunt_over().is_some_and(|hunt| hunt.heard.is_some()) {
            self.rings_again(scene, Party::Callee);
        }
        self.await_step(scene);
        let result = Err(Failure::new(Stage::Callee, cause.clone()));
        scene.out.outcome(Outcome { ticket: step, result });
        true
    }

    /// The parties of the call are joined: that was the step, or the flow was called by somebody who is on the line.
    pub(super) fn led_parties_joined(&mut self, scene: &mut Scene<'_>) {
        if let Some(ticket) = self.led.as_mut().and_then(|led| led.step.take()) {
            scene.out.outcome(Outcome { ticket, result: Ok(()) });
            return;
        }
        if self.led.is_some() {
            return;
        }
        for party in [Party::Caller, Party::Callee] {
            if let Some(Service::Flow(flow)) = self.service(party.other()) {
                let at = self.address(party.other()).clone();
                let (flow, diversions) = (flow.clone(), Vec::new());
                self.led = Some(Box::new(Led { flow, party, at, step: None, diversions, referred_by: None }));
                self.want_step(scene);
            }
        }
    }

    /// Whoever is looked for just now is so by a step of the leader.
    pub(super) fn is_in_a_step(&self) -> bool {
        self.led.as_ref().is_some_and(|led| led.step.is_some())
    }

    /// Nobody has come to the party that is on the line: the step is over.
    pub(super) fn step_failed(&mut self, whose: Whose) {
        if let Some(led) = self.led.as_mut().filter(|led| led.step.map(Whose::Command) == Some(whose)) {
            led.step = None;
        }
    }

    /// Somebody takes the place of an end: unless that is the leader's own step, the call is led no more.
    pub(super) fn leader_loses(&mut self, whose: Whose) {
        if let Some(led) = &mut self.led {
            match (led.step.take(), whose) {
                (Some(step), Whose::Command(ticket)) if step == ticket => {}
                (_, Whose::Command(_) | Whose::Phone(_) | Whose::Nobody) => self.led = None,
            }
        }
    }

    /// Whoever talked with the party that is led has hung up: the stand-in takes the place, and the party is led again.
    pub(super) fn comes_back_to_its_leader(&mut self, scene: &mut Scene<'_>, gone: Party) -> bool {
        let stays = gone.other();
        let there = self.end_of(stays).is_some() && self.legs.len() < MAX_LEGS;
        let led = self.led.take_if(|led| self.state == State::Talking && led.party == stays && there);
        let Some(led) = led else { return false };
        let call = self.id;
        self.media(scene, MediaOp::OpenSpare { call, party: gone, near: None });
        let id = self.add_leg(gone, LegState::Up);
        if let Some(leg) = self.leg_mut(id) {
            leg.spare = true;
            leg.service = Some(Box::new(Service::Flow(led.flow)));
        }
        self.take_place(scene, (id, false), Whose::Nobody, led.at);
        self.media(scene, MediaOp::CloseSpare { call });
        true
    }

    /// The call ends, and with it the step under way.
    pub(super) fn abandon_step(&mut self, scene: &mut Scene<'_>, cause: &Cause) {
        let Some(ticket) = self.led.take().and_then(|led| led.step) else { return };
        // What is being done to an answered call has said so by itself.
        if self.joined.is_none() {
            let cause = Cause::new(Kind::Cancelled, cause.fault).with_text("the call has ended");
            scene.out.outcome(Outcome { ticket, result: Err(Failure::new(Stage::Callee, cause)) });
        }
    }
}

fn may_dial(dialled: &Dialled) -> Result<(), Refused> {
    let addresses: usize = dialled.groups.iter().map(Vec::len).sum();
    let all_have_some = dialled.groups.iter().all(|group| !group.is_empty());
    if !(1..=MAX_GROUPS).contains(&dialled.groups.len()) || !all_have_some || addresses > MAX_DIALLED {
        let why =
            compact_str::format_compact!("1 to {MAX_GROUPS} groups with up to {MAX_DIALLED} addresses are called");
        return Err(Refused::Impossible(why));
    }
    match dialled.groups.iter().flatten().any(|address| address.0.len() > MAX_ADDRESS) {
        true => Err(Refused::AddressTooLong),
        false => Ok(()),
    }
}
