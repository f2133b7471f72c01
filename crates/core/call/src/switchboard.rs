//! All calls of one shard: commands and reports find their call here, and words come out.
//!
//! One thread owns a switchboard; `&mut self` is the only lock. After every touch the owner drains
//! [`Switchboard::poll_output`] until it is empty.

mod answered;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use ahash::AHashMap;
use compact_str::CompactString;
use smallvec::smallvec;

use crate::cause::{Cause, Fault, Kind};
use crate::feature::join::Letter;
use crate::machine::{Call, Leg, LegState, Origin, Scene, State};
use crate::words::{
    Address, By, CallId, CallRef, Command, Event, Incoming, LegId, MAX_ADDRESS, MediaOp, MediaReport, Op, Outcome,
    Party, Refused, Report, StepWanted, Ticket, Time, Told,
};

/// What a switchboard holds at most, and for how long it waits.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most calls at once. Default 20,000.
    pub calls: usize,
    /// How long a party may ring. Default 120 s.
    pub ring_time: Duration,
    /// How long a look-up or the media engine may take. Default 10 s.
    pub setup_time: Duration,
    /// How long the legs of an ended call may take to end; longer than the 32 s after which a SIP
    /// transaction gives up. Default 40 s.
    pub end_time: Duration,
    /// How often the parties of a call whose audio does not run through this host are asked whether
    /// they are still there; zero never asks. Default 60 s. Of anchored calls the media engine says
    /// who is silent.
    pub probe_time: Duration,
    /// Hops that a call started here may take (Max-Forwards, RFC 3261 section 8.1.1.6). Default 70.
    pub hops: u8,
    /// Whether the audio of calls runs through the media engine. Default true. Calls that the
    /// switch itself starts and calls to its services always do.
    pub anchor: bool,
    /// Whether the phone that [`Command::Start`] rings up first is asked to answer by itself.
    /// Default false.
    pub auto_answer: bool,
    /// How transfers are done if a command does not say, and those that phones ask for: by the
    /// switch, or by the phones themselves. Default [`By::Bridge`]. Calls whose audio does not run
    /// through the media engine are always transferred by the phones.
    pub transfers: By,
    /// Whether whomever a called phone names instead of itself (3xx) is called, once in a call.
    /// Default false.
    pub follow_redirects: bool,
    /// How long a call may last from its answer; zero sets no limit. Default zero.
    pub max_duration: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 20_000,
            ring_time: Duration::from_secs(120),
            setup_time: Duration::from_secs(10),
            end_time: Duration::from_secs(40),
            probe_time: Duration::from_secs(60),
            hops: 70,
            anchor: true,
            auto_answer: false,
            transfers: By::Bridge,
            follow_redirects: false,
            max_duration: Duration::ZERO,
        }
    }
}

/// Room for so many calls is kept when there are none.
const IDLE_CALLS: usize = 1_024;

/// What a switchboard wants said or done.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Ask the backend.
    Op(Op),
    /// Ask the media engine.
    Media(MediaOp),
    /// Tell whoever is subscribed.
    Event(Told),
    /// Tell the controller whose command it was.
    Outcome(Outcome),
    /// Tell whoever leads the call.
    StepWanted(StepWanted),
}

/// Where the machines put their words; order is the order of things.
#[derive(Default)]
pub(crate) struct Outbox {
    outputs: VecDeque<Output>,
    /// What calls write to each other.
    letters: VecDeque<Letter>,
}

impl Outbox {
    pub(crate) fn letter(&mut self, letter: Letter) {
        self.letters.push_back(letter);
    }
    fn next_letter(&mut self) -> Option<Letter> {
        self.letters.pop_front()
    }
    pub(crate) fn op(&mut self, op: Op) {
        self.outputs.push_back(Output::Op(op));
    }
    pub(crate) fn media(&mut self, op: MediaOp) {
        self.outputs.push_back(Output::Media(op));
    }
    pub(crate) fn event(&mut self, told: Told) {
        self.outputs.push_back(Output::Event(told));
    }
    pub(crate) fn step_wanted(&mut self, wanted: StepWanted) {
        self.outputs.push_back(Output::StepWanted(wanted));
    }
    pub(crate) fn outcome(&mut self, outcome: Outcome) {
        self.outputs.push_back(Output::Outcome(outcome));
    }
}

/// All calls of one shard.
pub struct Switchboard {
    limits: Limits,
    calls: AHashMap<CallId, Call>,
    by_wire: AHashMap<CompactString, CallId>,
    by_ticket: AHashMap<Ticket, CallId>,
    deadlines: BTreeSet<(Time, CallId)>,
    next_call: u64,
    next_ticket: u64,
    /// No new calls, for good.
    stopping: bool,
    /// The same, until that is taken back.
    draining: bool,
    out: Outbox,
}

impl Switchboard {
    /// An empty switchboard whose first call gets the name `first_call`. Choose one that no
    /// earlier process of this node can have used (its start time, say).
    #[must_use]
    pub fn new(limits: Limits, first_call: u64) -> Self {
        Self {
            limits,
            calls: AHashMap::new(),
            by_wire: AHashMap::new(),
            by_ticket: AHashMap::new(),
            deadlines: BTreeSet::new(),
            next_call: first_call,
            next_ticket: 1,
            stopping: false,
            draining: false,
            out: Outbox::default(),
        }
    }

    /// Other limits from now on. Timers that run, and calls beyond the new limit, stay.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Asks for something. On `Ok` exactly one [`Outcome`] with this ticket follows, and until
    /// then its events carry it.
    ///
    /// # Errors
    /// [`Refused`] says why nothing has changed.
    pub fn submit(&mut self, now: Time, command: Command) -> Result<Ticket, Refused> {
        match command {
            Command::Start { caller, callee, wire_id } => self.start(now, caller, callee, wire_id),
            Command::End { call, cause } => self.end(now, &call, cause),
            Command::Hold { call, party, notes } => self.hold(now, &call, true, (party, notes)),
            Command::Unhold { call, party, notes } => self.hold(now, &call, false, (party, notes)),
            Command::Transfer { call, party, to, by } => self.transfer(now, &call, party, (to, by)),
            Command::Join { call, party, other, other_party, to, by } => {
                self.join(now, (&call, party), (&other, other_party), (to, by))
            }
            Command::Audio { call, party, order } => self.order(now, &call, party, order),
            Command::Step { call, step } => self.step(now, &call, step),
        }
    }

    /// Tells what a carrier reports. A report about a call or leg that is gone is ignored.
    pub fn tell(&mut self, now: Time, report: Report) {
        let id = match &report {
            Report::Incoming(_) => return self.incoming(now, report),
            Report::ReferAsked { call, leg, to, by } => {
                let (to, by) = (to.clone(), by.clone());
                return self.refer_asked(now, (*call, *leg), to, by);
            }
            Report::Dialed { call, wire_id, .. } => {
                if self.calls.contains_key(call) {
                    self.by_wire.insert(wire_id.clone(), *call);
                }
                *call
            }
            Report::Located { call, .. }
            | Report::Progress { call, .. }
            | Report::Redirected { call, .. }
            | Report::Answered { call, .. }
            | Report::Confirmed { call, .. }
            | Report::Reoffered { call, .. }
            | Report::Withdrawn { call, .. }
            | Report::Reaccepted { call, .. }
            | Report::ReferAnswered { call, .. }
            | Report::ReferProgress { call, .. }
            | Report::Brought { call, .. }
            | Report::Delivered { call, .. }
            | Report::Digit { call, .. }
            | Report::Ended { call, .. } => *call,
        };
        self.touch(now, id, |call, scene| call.tell(scene, report));
    }

    /// Tells what the media engine reports.
    pub fn tell_media(&mut self, now: Time, report: MediaReport) {
        let call = report.call();
        self.touch(now, call, |call, scene| call.tell_media(scene, report));
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(&(at, id)) = self.deadlines.first()
            && at <= now
        {
            self.touch(now, id, |call, scene| call.timed_out(scene));
        }
    }

    /// When [`Switchboard::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The next thing to say or do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.outputs.pop_front()
    }

    /// Takes no new calls from now on. Running ones go on.
    pub fn drain(&mut self) {
        self.stopping = true;
    }

    /// Takes no new calls, until that is taken back. After [`Switchboard::drain`] that changes nothing.
    pub fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// Whether new calls are refused for good.
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.stopping
    }

    /// Whether new calls are refused.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.stopping || self.draining
    }

    /// How many calls there are, ending ones included.
    #[must_use]
    pub fn live(&self) -> usize {
        self.calls.len()
    }

    /// For how many calls there is memory, used or not.
    #[must_use]
    pub fn room_kept(&self) -> usize {
        self.calls.capacity()
    }

    /// The record of a call.
    #[must_use]
    pub fn call(&self, id: CallId) -> Option<&Call> {
        self.calls.get(&id)
    }

    /// Takes a call out, to be stored or carried on elsewhere.
    pub fn take(&mut self, id: CallId) -> Option<Call> {
        let call = self.calls.remove(&id)?;
        if let Some(at) = call.deadline() {
            self.deadlines.remove(&(at, id));
        }
        self.forget(&call);
        Some(call)
    }

    /// Takes over a call that was taken out of a switchboard, this one or another. Its names must
    /// not be in use here.
    pub fn put(&mut self, call: Call) {
        let names = call.legs.iter().filter_map(|leg| leg.wire_id.as_ref()).chain(call.wanted_wire_id.as_deref());
        for wire_id in names.cloned().collect::<Vec<_>>() {
            self.name(&wire_id, call.id);
        }
        if let Some(at) = call.deadline() {
            self.deadlines.insert((at, call.id));
        }
        if let Some(ticket) = call.owner {
            self.by_ticket.insert(ticket, call.id);
        }
        self.calls.insert(call.id, call);
    }

    /// All calls, in no order.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.values()
    }

    /// The call that has a leg of this name on the wire.
    #[must_use]
    pub fn by_wire(&self, wire_id: &str) -> Option<CallId> {
        self.by_wire.get(wire_id).copied()
    }

    /// The call that a command has made, as long as there is that call.
    #[must_use]
    pub fn made_by(&self, ticket: Ticket) -> Option<CallId> {
        self.by_ticket.get(&ticket).copied()
    }

    fn room(&self) -> Result<(), Refused> {
        if self.draining() {
            return Err(Refused::Draining);
        }
        if self.calls.len() >= self.limits.calls {
            return Err(Refused::TooManyCalls(self.limits.calls));
        }
        Ok(())
    }

    fn start(
        &mut self,
        now: Time,
        caller: Address,
        callee: Address,
        wire_id: Option<CompactString>,
    ) -> Result<Ticket, Refused> {
        self.room()?;
        if caller.0.len() > MAX_ADDRESS || callee.0.len() > MAX_ADDRESS {
            return Err(Refused::AddressTooLong);
        }
        if let Some(wire_id) = &wire_id
            && self.by_wire.contains_key(wire_id)
        {
            return Err(Refused::WireIdInUse(wire_id.clone()));
        }
        let ticket = self.ticket();
        let id = self.insert(now, caller, callee);
        self.by_ticket.insert(ticket, id);
        if let Some(wire_id) = &wire_id {
            self.by_wire.insert(wire_id.clone(), id);
        }
        self.touch(now, id, |call, scene| {
            call.owner = Some(ticket);
            call.settled = false;
            call.third_party = true;
            // Two offers must meet in the middle, so the middle has to have media.
            call.anchored = true;
            call.wanted_wire_id = wire_id.map(Box::new);
            let (caller, callee) = (call.caller.clone(), call.callee.clone());
            call.event(scene, Event::Started { caller, callee });
            call.locate(scene, Party::Caller);
        });
        Ok(ticket)
    }

    fn end(&mut self, now: Time, which: &CallRef, cause: Cause) -> Result<Ticket, Refused> {
        let call = self.find(which)?;
        if call.state == State::AwaitEnds {
            return Err(Refused::Ending);
        }
        let id = call.id;
        let ticket = self.ticket();
        self.touch(now, id, |call, scene| call.end(scene, cause));
        self.out.outcome(Outcome { ticket, result: Ok(()) });
        Ok(ticket)
    }

    fn incoming(&mut self, now: Time, report: Report) {
        let Report::Incoming(incoming) = report else {
            return;
        };
        if let Some(replaces) = incoming.replaces {
            return self.takes_over(now, replaces, *incoming);
        }
        let Incoming { handle, wire_id, from, to, offer, answers_early, hops, near, identity, .. } = *incoming;
        let Incoming { diversions, alerting, referred_by, .. } = *incoming;
        let origin = Origin { identity, diversions, alerting, referred_by };
        let too_long = from.0.len() > MAX_ADDRESS || to.0.len() > MAX_ADDRESS;
        let cause = match self.room() {
            _ if too_long => Some(Cause::new(Kind::BadAddress, Fault::Peer)),
            Err(_) => Some(Cause::new(Kind::Overloaded, Fault::Server)),
            Ok(()) if self.goes_in_circles(&wire_id, &to) => Some(Cause::loop_detected()),
            Ok(()) => None,
        };
        if let Some(cause) = cause {
            self.out.op(Op::Refuse { handle, cause });
            return;
        }
        let id = self.insert(now, from.clone(), to.clone());
        self.name(&wire_id, id);
        let leg = LegId(0);
        self.out.op(Op::Adopt { handle, call: id, leg });
        self.touch(now, id, |call, scene| {
            call.hops = hops;
            call.late_offer = offer.is_none();
            call.answers_early = answers_early;
            call.caller_offer = offer;
            call.caller_near = near;
            call.origin = (origin != Origin::default()).then(|| Box::new(origin));
            call.legs = smallvec![Leg::incoming(leg, wire_id)];
            call.event(scene, Event::Incoming { from, to: to.clone() });
            call.event(scene, Event::Connecting { to });
            call.locate(scene, Party::Callee);
        });
    }

    /// A caller chooses its own name; that of a running call it cannot take away.
    fn name(&mut self, wire_id: &CompactString, id: CallId) {
        let taken = self.by_wire(wire_id).and_then(|other| self.calls.get(&other));
        if taken.is_none_or(|other| other.state == State::AwaitEnds) {
            self.by_wire.insert(wire_id.clone(), id);
        }
    }

    /// Whether a request is one of our own which has come back, and the call that it belongs to, or
    /// one further back, was for the same address: a loop. For another address it is a spiral, and
    /// may go on (RFC 5393 section 3); the hops that it has left bound that.
    fn goes_in_circles(&self, wire_id: &str, to: &Address) -> bool {
        let mut wire_id = wire_id;
        for _ in 0..u8::MAX {
            let Some(call) = self.by_wire(wire_id).and_then(|id| self.calls.get(&id)) else { return false };
            let sent = |leg: &Leg| leg.target.is_some() && leg.wire_id.as_deref() == Some(wire_id);
            if call.state == State::AwaitEnds || !call.legs.iter().any(sent) {
                return false;
            }
            if call.callee == *to {
                return true;
            }
            let Some(earlier) = call.legs.first().filter(|leg| leg.target.is_none()) else { return false };
            let Some(name) = earlier.wire_id.as_deref() else { return false };
            wire_id = name;
        }
        false
    }

    fn ticket(&mut self) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        ticket
    }

    fn insert(&mut self, now: Time, caller: Address, callee: Address) -> CallId {
        let id = CallId(self.next_call);
        self.next_call += 1;
        let scene = Scene { now, limits: &self.limits, out: &mut self.out };
        let call = Call::new(id, caller, callee, &scene);
        self.calls.insert(id, call);
        id
    }

    /// Runs one call's machine, and those of the calls that it writes to.
    fn touch(&mut self, now: Time, id: CallId, act: impl FnOnce(&mut Call, &mut Scene<'_>)) {
        self.touch_one(now, id, act);
        self.deliver(now);
    }

    /// Runs one call's machine and keeps the indexes true to it.
    fn touch_one(&mut self, now: Time, id: CallId, act: impl FnOnce(&mut Call, &mut Scene<'_>)) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let before = call.deadline();
        let mut scene = Scene { now, limits: &self.limits, out: &mut self.out };
        act(call, &mut scene);
        let over = call.is_over();
        if over {
            call.finish(&mut scene);
        }
        let after = call.deadline().filter(|_| !over);
        if before != after {
            if let Some(at) = before {
                self.deadlines.remove(&(at, id));
            }
            if let Some(at) = after {
                self.deadlines.insert((at, id));
            }
        }
        if over && let Some(call) = self.calls.remove(&id) {
            self.forget(&call);
        }
    }

    fn forget(&mut self, call: &Call) {
        let named = call.legs.iter().filter_map(|l| l.wire_id.as_ref());
        for wire_id in named.chain(call.wanted_wire_id.as_deref()) {
            // A name may have passed to a younger call by now.
            if self.by_wire.get(wire_id) == Some(&call.id) {
                self.by_wire.remove(wire_id);
            }
        }
        if let Some(ticket) = call.owner {
            self.by_ticket.remove(&ticket);
        }
        // A storm gives its memory back once it is over.
        if self.calls.is_empty() && self.calls.capacity() > IDLE_CALLS {
            self.calls.shrink_to(IDLE_CALLS);
            self.by_wire.shrink_to(IDLE_CALLS);
            self.by_ticket.shrink_to(IDLE_CALLS);
        }
    }
}

impl Leg {
    fn incoming(id: LegId, wire_id: CompactString) -> Self {
        Self { wire_id: Some(wire_id), ..Self::blank(id, Party::Caller, LegState::Offered) }
    }
}
