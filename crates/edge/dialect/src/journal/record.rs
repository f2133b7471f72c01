//! Call detail records: one for every call, made of what is told of it.
//!
//! ```text
//!   begin ── told … told(Ended) ─┬─ the audio's last report ─┐
//!                                └─ its recordings' ends ────┴──▶ poll: the record, once
//!                                        │
//!                                        └─ nothing more for SETTLE: as it is
//! ```
//!
//! A call is over before its audio is: the engine tells of the audio when its channels are closed, and a recording is
//! complete when its file is. The record waits for both, and not for long.

mod written;

use std::collections::VecDeque;
use std::time::Duration;

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_call::diagnosis::Finding;
use hookswitch_call::{
    Address, CallAudio, CallId, Cause, Diverting, Event, LegId, Party, Recorded, RecordingId, Time, Told,
};

pub use written::{CSV_HEADER, date_time};

/// How long the record of a call that is over waits for its audio and its recordings.
pub const SETTLE: Duration = Duration::from_secs(10);

/// Most legs that stand in one record; the first ones.
pub const MAX_LEGS: usize = 64;

/// Most diversions, transfers, replacements and recordings that stand in one record, of each kind; the first ones.
pub const MAX_EACH: usize = 16;

/// Who ended a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ender {
    /// A party: it hung up, gave up, refused, or was lost.
    Party(Party),
    /// A command.
    Application,
    /// The switch: a time was up, a limit was reached, nobody could be called, it was stopped.
    Switch,
    /// A server beyond us carried the call, and does not say who ended it.
    Unknown,
}

/// Everything that is known of a call that is over.
#[derive(Clone, PartialEq, Debug)]
pub struct CallDetail {
    /// Which call.
    pub call: CallId,
    /// Who carried it: `switch` is this switch.
    pub carrier: &'static str,
    /// A command made it; else its caller has called in.
    pub by_command: bool,
    /// The calling party, as it was at the beginning.
    pub caller: Address,
    /// The called party, as it was dialled or commanded.
    pub callee: Address,
    /// When it began.
    pub started: Time,
    /// When a phone of the called party first rang.
    pub ringing: Option<Time>,
    /// When both parties were joined.
    pub answered: Option<Time>,
    /// When it was over.
    pub ended: Time,
    /// How long both parties were joined.
    pub talked: Duration,
    /// Who ended it.
    pub ended_by: Ender,
    /// Why it ended: the first cause.
    pub cause: Cause,
    /// The dialogues with its parties and the attempts at them, in the order in which they were told of.
    pub legs: Vec<LegDetail>,
    /// To whom else it went before it was answered.
    pub diversions: Vec<Diverted>,
    /// Transfers, those that failed too.
    pub transfers: Vec<TransferDetail>,
    /// Who took the place of a party.
    pub replacements: Vec<Replacement>,
    /// What was recorded of it.
    pub recordings: Vec<RecordingDetail>,
    /// How its audio was; none where it did not run through the switch, or the switch was stopped too fast.
    pub audio: Option<Box<CallAudio>>,
    /// What that shows.
    pub findings: Vec<(Party, Finding)>,
    /// There were more legs, diversions, transfers, replacements or recordings than are kept.
    pub truncated: bool,
}

/// One leg of a call that is over.
#[derive(Clone, PartialEq, Debug)]
pub struct LegDetail {
    /// Its name within the call.
    pub leg: LegId,
    /// Which end it was, or would have been.
    pub party: Party,
    /// The carrier's name for it: the SIP Call-ID.
    pub wire_id: Option<CompactString>,
    /// Where it was called; none for a party that has called in.
    pub to: Option<Address>,
    /// When it was called, or called in.
    pub started: Time,
    /// When it answered.
    pub answered: Option<Time>,
    /// When it was over; none if that was never told before the call was.
    pub ended: Option<Time>,
    /// Why.
    pub cause: Option<Cause>,
}

/// A call that went to somebody else than was dialled.
#[derive(Clone, PartialEq, Debug)]
pub struct Diverted {
    /// When.
    pub at: Time,
    /// To whom.
    pub to: Address,
    /// Why.
    pub why: Diverting,
}

/// A transfer, and what came of it.
#[derive(Clone, PartialEq, Debug)]
pub struct TransferDetail {
    /// When it was asked for.
    pub at: Time,
    /// The end that was to stay.
    pub party: Party,
    /// Whom it was to be connected with; none in an attended transfer.
    pub to: Option<Address>,
    /// What came of it; none if the call was over before that was known.
    pub result: Option<Result<(), Cause>>,
}

/// Somebody who took the place of a party.
#[derive(Clone, PartialEq, Debug)]
pub struct Replacement {
    /// When.
    pub at: Time,
    /// Whose place.
    pub party: Party,
    /// Who.
    pub by: Address,
}

/// What was recorded of a call.
#[derive(Clone, PartialEq, Debug)]
pub struct RecordingDetail {
    /// Which recording of the call.
    pub recording: RecordingId,
    /// The file as it was ordered, below the folder of recordings.
    pub ordered: CompactString,
    /// What became of it; none if that was not known in time.
    pub finished: Option<Recorded>,
}

/// A call whose record is being made.
#[derive(Debug)]
struct Open {
    detail: Box<CallDetail>,
    /// It is told that the call is over.
    is_over: bool,
    /// The engine is to tell how its audio was.
    owes_audio: bool,
}

impl Open {
    fn is_complete(&self) -> bool {
        let recorded = || self.detail.recordings.iter().all(|recording| recording.finished.is_some());
        self.is_over && !self.owes_audio && recorded()
    }
}

/// The records of all calls that there are.
#[derive(Debug, Default)]
pub struct Records {
    open: AHashMap<CallId, Open>,
    /// Calls that are over, by when they are waited for no longer: soonest first. Those that are complete before stay
    /// here until then.
    due: VecDeque<(Time, CallId)>,
    ready: VecDeque<Box<CallDetail>>,
}

impl Records {
    /// A call that there is since `at`. One that is known already stays as it is. `wire_id` is the carrier's name for the
    /// leg of a party that has called in; a call without it was made by a command.
    pub fn begin(&mut self, at: Time, call: CallId, [caller, callee]: [&Address; 2], wire_id: Option<&CompactString>) {
        self.open.entry(call).or_insert_with(|| {
            let first = wire_id.map(|wire_id| LegDetail {
                leg: LegId(0),
                party: Party::Caller,
                wire_id: Some(wire_id.clone()),
                to: None,
                started: at,
                answered: None,
                ended: None,
                cause: None,
            });
            let detail = CallDetail {
                call,
                carrier: "switch",
                by_command: wire_id.is_none(),
                caller: caller.clone(),
                callee: callee.clone(),
                started: at,
                ringing: None,
                answered: None,
                ended: at,
                talked: Duration::ZERO,
                ended_by: Ender::Switch,
                cause: Cause::hangup(),
                legs: first.into_iter().collect(),
                diversions: Vec::new(),
                transfers: Vec::new(),
                replacements: Vec::new(),
                recordings: Vec::new(),
                audio: None,
                findings: Vec::new(),
                truncated: false,
            };
            Open { detail: Box::new(detail), is_over: false, owes_audio: false }
        });
    }

    /// A server beyond us carries this call, which does not say who ends it.
    pub fn carried(&mut self, call: CallId, carrier: &'static str) {
        if let Some(open) = self.open.get_mut(&call) {
            (open.detail.carrier, open.detail.ended_by) = (carrier, Ender::Unknown);
        }
    }

    /// Who talks in this call, where that was not known when it began.
    pub fn parties(&mut self, call: CallId, [caller, callee]: [&Address; 2]) {
        if let Some(open) = self.open.get_mut(&call) {
            (open.detail.caller, open.detail.callee) = (caller.clone(), callee.clone());
        }
    }

    /// Since when both parties are joined, where that is told later.
    pub fn answered(&mut self, call: CallId, since: Time) {
        if let Some(open) = self.open.get_mut(&call) {
            open.detail.answered.get_or_insert(since);
        }
    }

    /// It was no call of its own: it has no record.
    pub fn forget(&mut self, call: CallId) {
        self.open.remove(&call);
    }

    /// What subscribers are told. Of a call that was not begun nothing is kept.
    pub fn told(&mut self, told: &Told) {
        let Some(open) = self.open.get_mut(&told.call).filter(|open| !open.is_over) else { return };
        open.detail.told(told.at, &told.event);
        if matches!(told.event, Event::Ended { .. }) {
            open.is_over = true;
            self.due.push_back((told.at + SETTLE, told.call));
            self.settle(told.call);
        }
    }

    /// Who ends this call: the first word counts, and it is the switch if nothing is said. To be said before the call is
    /// told to be over.
    pub fn ended_by(&mut self, call: CallId, who: Ender) {
        let is_said = |open: &Open| !matches!(open.detail.ended_by, Ender::Switch | Ender::Unknown);
        if let Some(open) = self.open.get_mut(&call).filter(|open| !is_said(open)) {
            open.detail.ended_by = who;
        }
    }

    /// The audio of this call runs through the switch: there will be a report of it at the end.
    pub fn anchored(&mut self, call: CallId) {
        if let Some(open) = self.open.get_mut(&call) {
            open.owes_audio = true;
        }
    }

    /// The last report of a call's audio; none if there is nothing to be told of it.
    pub fn audio(&mut self, call: CallId, audio: Option<&CallAudio>, findings: &[(Party, Finding)]) {
        let Some(open) = self.open.get_mut(&call) else { return };
        if let Some(audio) = audio {
            open.detail.audio = Some(Box::new(audio.clone()));
            open.detail.findings = findings.to_vec();
        }
        open.owes_audio = false;
        self.settle(call);
    }

    /// A recording of this call is ordered.
    pub fn records(&mut self, call: CallId, recording: RecordingId, file: &CompactString) {
        let Some(open) = self.open.get_mut(&call) else { return };
        let detail = &mut open.detail;
        if detail.recordings.iter().any(|known| known.recording == recording && known.finished.is_none()) {
            return;
        }
        let ordered = RecordingDetail { recording, ordered: file.clone(), finished: None };
        detail.truncated |= !keep(&mut detail.recordings, MAX_EACH, ordered);
    }

    /// What has become of a recording, also of one that came to nothing before it was ordered.
    pub fn recorded(&mut self, call: CallId, recording: RecordingId, recorded: &Recorded) {
        self.records(call, recording, &recorded.file);
        let Some(open) = self.open.get_mut(&call) else { return };
        let mut known = open.detail.recordings.iter_mut();
        if let Some(known) = known.find(|known| known.recording == recording && known.finished.is_none()) {
            known.finished = Some(recorded.clone());
        }
        self.settle(call);
    }

    /// When [`Records::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.due.front().map(|(at, _)| *at)
    }

    /// Records that have waited long enough are ready as they are.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some((_, call)) = self.due.pop_front_if(|(at, _)| *at <= now) {
            self.ready.extend(self.open.remove(&call).map(|open| open.detail));
        }
    }

    /// The switch stops: every record is ready now, those of calls that are not over too, which end with this cause.
    pub fn finish(&mut self, now: Time, cause: &Cause) {
        self.due.clear();
        let mut rest: Vec<Open> = self.open.drain().map(|(_, open)| open).collect();
        rest.sort_unstable_by_key(|open| open.detail.call);
        for mut open in rest {
            if !open.is_over {
                let detail = &mut *open.detail;
                (detail.ended, detail.cause) = (now, cause.clone());
                detail.talked = detail.answered.map_or(Duration::ZERO, |since| now.saturating_sub(since));
            }
            self.ready.push_back(open.detail);
        }
    }

    /// The next record that is complete, each call's once.
    pub fn poll(&mut self) -> Option<Box<CallDetail>> {
        self.ready.pop_front()
    }

    /// Calls whose audio is still to be told of.
    pub fn without_audio(&self) -> impl Iterator<Item = CallId> {
        self.open.iter().filter(|(_, open)| open.owes_audio).map(|(call, _)| *call)
    }

    /// Calls whose record is not complete.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.len()
    }

    fn settle(&mut self, call: CallId) {
        if self.open.get(&call).is_some_and(Open::is_complete) {
            self.ready.extend(self.open.remove(&call).map(|open| open.detail));
        }
        // Whoever is complete is not waited for, so that a deadline does not wake for nothing.
        while self.due.pop_front_if(|(_, call)| !self.open.contains_key(call)).is_some() {}
    }
}

impl CallDetail {
    fn told(&mut self, at: Time, event: &Event) {
        match event {
            Event::Dialing { leg, party, wire_id, to } => {
                let new = LegDetail {
                    leg: *leg,
                    party: *party,
                    wire_id: Some(wire_id.clone()),
                    to: Some(to.clone()),
                    started: at,
                    answered: None,
                    ended: None,
                    cause: None,
                };
                self.truncated |= !keep(&mut self.legs, MAX_LEGS, new);
            }
            Event::Progress { party: Party::Callee, status: 180..=189, .. } => {
                self.ringing = self.ringing.or(Some(at));
            }
            Event::Answered { leg, .. } => {
                if let Some(leg) = self.leg(*leg) {
                    leg.answered = leg.answered.or(Some(at));
                }
            }
            Event::Bridged => self.answered = self.answered.or(Some(at)),
            Event::Diverted { to, why, .. } => {
                let new = Diverted { at, to: to.clone(), why: *why };
                self.truncated |= !keep(&mut self.diversions, MAX_EACH, new);
            }
            Event::Replaced { party, by, .. } => {
                let new = Replacement { at, party: *party, by: by.clone() };
                self.truncated |= !keep(&mut self.replacements, MAX_EACH, new);
            }
            Event::Transferring { party, to } => {
                let new = TransferDetail { at, party: *party, to: to.clone(), result: None };
                self.truncated |= !keep(&mut self.transfers, MAX_EACH, new);
            }
            Event::Transferred => self.transfer_ended(Ok(())),
            Event::TransferFailed { cause } => self.transfer_ended(Err(cause.clone())),
            Event::LegEnded { leg, cause, .. } => {
                if let Some(leg) = self.leg(*leg) {
                    (leg.ended, leg.cause) = (Some(at), Some(cause.clone()));
                }
            }
            Event::Ended { cause, talked } => {
                (self.ended, self.talked, self.cause) = (at, *talked, cause.clone());
            }
            Event::Incoming { .. }
            | Event::Started { .. }
            | Event::Connecting { .. }
            | Event::Progress { .. }
            | Event::Noticed { .. }
            | Event::HoldAccepted { .. }
            | Event::HoldAsked { .. }
            | Event::Held { .. }
            | Event::HeldBy { .. }
            | Event::TransferStarted { .. }
            | Event::TransferProgress { .. }
            | Event::InRoom { .. }
            | Event::Audio { .. } => {}
        }
    }

    fn leg(&mut self, leg: LegId) -> Option<&mut LegDetail> {
        self.legs.iter_mut().find(|known| known.leg == leg)
    }

    fn transfer_ended(&mut self, result: Result<(), Cause>) {
        if let Some(last) = self.transfers.last_mut() {
            last.result = last.result.take().or(Some(result));
        }
    }
}

/// Keeps one more, unless there are enough.
fn keep<T>(kept: &mut Vec<T>, most: usize, new: T) -> bool {
    let has_room = kept.len() < most;
    if has_room {
        kept.push(new);
    }
    has_room
}

#[cfg(test)]
mod tests;
