//! Hold: a party is kept waiting, by a command or by the other party's phone.
//!
//! ```text
//!  asked ── our offer is sent: HoldAsked ── Reaccepted ──► done: Held ──┬── everybody is ──► Ok
//!    │                                                                  │ somebody is not
//!    └── refused, or silent for CHANGE_TIME ──────────────► refused ────┴─► the others put back ──► Err
//! ```
//!
//! Both kinds of hold count for themselves: the audio flows when a party is on neither.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::operation::{Doing, Whose};
use crate::cause::{Cause, Fault, Kind};
use crate::machine::{Call, Scene, State};
use crate::words::{Event, Failure, LegId, MediaOp, Notes, Outcome, Party, Refused, Sdp, Stage, Ticket};

/// How long a party may take to answer a change of its session: longer than the 32 s after which a
/// SIP transaction gives up, so that the carrier has the first word.
pub const CHANGE_TIME: Duration = Duration::from_secs(35);

/// Some of the two ends of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ends {
    caller: bool,
    callee: bool,
}

impl Ends {
    pub(crate) const fn has(self, party: Party) -> bool {
        match party {
            Party::Caller => self.caller,
            Party::Callee => self.callee,
        }
    }

    pub(crate) const fn set(&mut self, party: Party, has: bool) {
        match party {
            Party::Caller => self.caller = has,
            Party::Callee => self.callee = has,
        }
    }
}

/// Who is kept waiting.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Holds {
    /// Who was put on hold by a command.
    pub commanded: Ends,
    /// Whose phone has put the other one on hold.
    pub pressed: Ends,
}

impl Holds {
    /// Whether somebody is on hold, at whose wish ever.
    pub(crate) fn any(&self) -> bool {
        [Party::Caller, Party::Callee].into_iter().any(|end| self.commanded.has(end) || self.pressed.has(end))
    }
}

/// Parties on their way to hold, or off it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Hold {
    on: bool,
    notes: Notes,
    caller: Step,
    callee: Step,
    /// Who refused first, and why.
    failure: Option<(Party, Cause)>,
    put_back: bool,
    /// Of whom it was told that it is asked.
    told: Ends,
}

/// How far one party is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    /// It takes no part, or has been put back.
    Out,
    /// It is asked.
    Asked,
    /// It did what it was asked.
    Done,
    /// It did not.
    Refused,
    /// It did, and is asked to undo it.
    Back,
}

impl Hold {
    pub(crate) const fn stage(&self) -> Stage {
        if self.on { Stage::Hold } else { Stage::Unhold }
    }

    /// What a party is told with our offer; nothing with one that takes the first back.
    pub(crate) fn notes(&self, party: Party) -> Notes {
        if self.at(party) == Step::Asked { self.notes.clone() } else { Notes::default() }
    }

    pub(crate) const fn awaits(&self, party: Party) -> bool {
        matches!(self.at(party), Step::Asked | Step::Back)
    }

    const fn at(&self, party: Party) -> Step {
        match party {
            Party::Caller => self.caller,
            Party::Callee => self.callee,
        }
    }

    const fn put(&mut self, party: Party, step: Step) {
        match party {
            Party::Caller => self.caller = step,
            Party::Callee => self.callee = step,
        }
    }

    /// The parties at this step. Hold begins with the caller, resuming with the callee.
    fn all(&self, step: Step) -> impl Iterator<Item = Party> + use<> {
        let all = order(self.on).map(|party| (party, self.at(party)));
        all.into_iter().filter(move |(_, at)| *at == step).map(|(party, _)| party)
    }
}

const fn order(on: bool) -> [Party; 2] {
    if on { [Party::Caller, Party::Callee] } else { [Party::Callee, Party::Caller] }
}

impl Call {
    /// Whether a command has put this party on hold.
    #[must_use]
    pub const fn is_held(&self, party: Party) -> bool {
        self.holds.commanded.has(party)
    }

    pub(crate) fn may_hold(&self, party: Option<Party>) -> Result<(), Refused> {
        self.may_operate()?;
        if !self.anchored {
            return Err(Refused::Unsupported(UNANCHORED.into()));
        }
        if party.is_some_and(|party| self.service(party).is_some()) {
            return Err(Refused::Unsupported(SERVICE.into()));
        }
        Ok(())
    }

    /// Puts parties on hold, or takes them off; [`Call::may_hold`] has been asked.
    pub(crate) fn hold(&mut self, scene: &mut Scene<'_>, ticket: Ticket, on: bool, party: Option<Party>, notes: Notes) {
        let mut hold = Hold {
            on,
            notes,
            caller: Step::Out,
            callee: Step::Out,
            failure: None,
            put_back: false,
            told: Ends::default(),
        };
        let takes_part = |one| party.is_none_or(|party| party == one) && self.service(one).is_none();
        let asked = order(on).into_iter().filter(|one| takes_part(*one) && self.is_held(*one) != on);
        let asked: Vec<Party> = asked.collect();
        if asked.is_empty() {
            let failure = Failure { held: self.held(), ..Failure::new(hold.stage(), nothing_to_do(on, party)) };
            scene.out.outcome(Outcome { ticket, result: Err(failure) });
            return;
        }
        for party in &asked {
            hold.put(*party, Step::Asked);
        }
        self.begin(scene, Whose::Command(ticket), Doing::Hold(hold));
        self.op_wait(scene, CHANGE_TIME);
        self.op_event(scene, Event::HoldAccepted { hold: on });
        for party in asked {
            self.ask_to_hold(scene, party);
        }
    }

    fn ask_to_hold(&mut self, scene: &mut Scene<'_>, party: Party) {
        if let Some(leg) = self.end_of(party) {
            self.reoffer(scene, leg);
        }
    }

    /// What a party is to be offered now.
    fn hold_wish(&mut self, id: LegId) -> Option<(Party, bool)> {
        let party = self.leg(id)?.party;
        let hold = self.hold_op()?;
        match hold.at(party) {
            Step::Asked => Some((party, hold.on)),
            Step::Back => Some((party, !hold.on)),
            Step::Out | Step::Done | Step::Refused => None,
        }
    }

    /// A party is about to be offered a session on hold, or off it.
    pub(crate) fn hold_ready(&mut self, scene: &mut Scene<'_>, id: LegId) {
        if let Some((party, on)) = self.hold_wish(id) {
            self.media(scene, MediaOp::Hold { call: self.id, party, on });
        }
    }

    /// The offer that a party was to get is made anew later.
    pub(crate) fn hold_unready(&mut self, scene: &mut Scene<'_>, id: LegId) {
        if let Some((party, on)) = self.hold_wish(id) {
            self.media(scene, MediaOp::Hold { call: self.id, party, on: !on });
        }
    }

    /// Our offer to a party is on its way.
    pub(crate) fn hold_sent(&mut self, scene: &mut Scene<'_>, id: LegId) {
        let Some((party, on)) = self.hold_wish(id) else { return };
        let Some(hold) = self.hold_op().filter(|hold| !hold.told.has(party)) else { return };
        hold.told.set(party, true);
        self.op_event(scene, Event::HoldAsked { party, hold: on });
    }

    /// A party has answered our offer.
    pub(crate) fn hold_answered(&mut self, scene: &mut Scene<'_>, id: LegId, sdp: Result<Sdp, Cause>) {
        let (call, party) = (self.id, self.leg(id).map(|leg| leg.party));
        let (Some(party), Some(hold)) = (party, self.hold_op()) else { return };
        let (asked, on) = (hold.at(party) == Step::Asked, hold.on);
        match sdp {
            Ok(sdp) => {
                hold.put(party, if asked { Step::Done } else { Step::Out });
                let now = asked == on;
                self.accept(scene, id, sdp);
                let before = self.heard();
                self.holds.commanded.set(party, now);
                self.retune(scene, before);
                self.watch_held(scene);
                self.op_event(scene, Event::Held { party, hold: now });
            }
            Err(cause) => {
                if asked {
                    hold.failure.get_or_insert((party, cause));
                }
                hold.put(party, if asked { Step::Refused } else { Step::Out });
                self.media(scene, MediaOp::Hold { call, party, on: asked != on });
            }
        }
        self.conclude_hold(scene);
    }

    pub(crate) fn hold_timed_out(&mut self, scene: &mut Scene<'_>) {
        let Some(hold) = self.hold_op() else { return };
        let silent: Vec<Party> = hold.all(Step::Asked).chain(hold.all(Step::Back)).collect();
        for party in silent {
            let Some(leg) = self.end_of(party) else { continue };
            self.give_up_reoffer(leg);
            self.hold_answered(scene, leg, Err(Cause::new(Kind::NoAnswer, Fault::Peer)));
        }
    }

    /// Ends when every party that was asked has answered; after a refusal, when the others are
    /// back where they were.
    fn conclude_hold(&mut self, scene: &mut Scene<'_>) {
        let Some(hold) = self.hold_op() else { return };
        if hold.all(Step::Asked).chain(hold.all(Step::Back)).next().is_some() {
            return;
        }
        let stage = hold.stage();
        let Some((party, cause)) = hold.failure.clone() else {
            return self.op_done(scene, Ok(()));
        };
        let done: Vec<Party> = hold.all(Step::Done).collect();
        if done.is_empty() || std::mem::replace(&mut hold.put_back, true) {
            let failure = Failure { party: Some(party), held: self.held(), ..Failure::new(stage, cause) };
            return self.op_done(scene, Err(failure));
        }
        for party in &done {
            hold.put(*party, Step::Back);
            hold.told.set(*party, false);
        }
        self.op_wait(scene, CHANGE_TIME);
        for party in done {
            self.ask_to_hold(scene, party);
        }
    }

    fn hold_op(&mut self) -> Option<&mut Hold> {
        if let Doing::Hold(hold) = &mut self.op.as_mut()?.doing { Some(hold) } else { None }
    }

    fn held(&self) -> Vec<Party> {
        [Party::Caller, Party::Callee].into_iter().filter(|party| self.is_held(*party)).collect()
    }

    /// A party's phone has changed what it sends and hears: one that does not listen has put the
    /// other party on hold.
    pub(crate) fn direction_changed(&mut self, scene: &mut Scene<'_>, party: Party, _sends: bool, listens: bool) {
        let hold = !listens;
        // A party may agree to our hold by neither sending nor listening (RFC 3264 section 6.1), which is no wish of its
        // own; one that has such a wish says so again when it is taken off.
        let asked = self.end_of(party).and_then(|id| self.leg(id)).is_some_and(|leg| leg.asked);
        if self.holds.pressed.has(party) == hold || hold && self.is_held(party) && !asked {
            return;
        }
        let before = self.heard();
        self.holds.pressed.set(party, hold);
        match self.state {
            State::Talking => {
                self.retune(scene, before);
                self.event_of(scene, None, Event::HeldBy { party, hold });
            }
            // Told when there is somebody whom it holds.
            State::AwaitLocation(_)
            | State::AwaitAnswer(_)
            | State::AwaitStep
            | State::AwaitDescription
            | State::AwaitEnds => {}
        }
    }

    /// A party on hold sends nothing, so the media engine cannot tell whether it is still there.
    pub(crate) fn watch_held(&mut self, scene: &Scene<'_>) {
        let every = scene.limits.probe_time;
        if self.state == State::Talking && self.anchored && self.holds.any() && !every.is_zero() {
            self.wait(scene, every);
        }
    }

    /// Whose phone held the other one before that one was there.
    pub(crate) fn tell_pressed(&mut self, scene: &mut Scene<'_>) {
        for party in [Party::Caller, Party::Callee] {
            if self.holds.pressed.has(party) {
                self.event_of(scene, None, Event::HeldBy { party, hold: true });
            }
        }
    }
}

/// Nobody is left to be asked: in the words of OpenSIPS where it has some.
fn nothing_to_do(on: bool, party: Option<Party>) -> Cause {
    let text = match (on, party) {
        (true, None) => "Both dialog legs are on hold",
        (false, None) => "No dialog legs on hold",
        (true, Some(_)) => "Dialog leg is on hold",
        (false, Some(_)) => "Dialog leg is not on hold",
    };
    Cause::new(Kind::Unreachable, Fault::Controller).with_text(text)
}

const UNANCHORED: &str = "the audio of this call does not run through this switch, so nobody can be put on hold";
const SERVICE: &str = "a service of the switch cannot be put on hold";
