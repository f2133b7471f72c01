//! What is noted of calls beside what the switchboard has of them: who is in them, what is recorded of them, and how
//! the last ones have ended.

use std::collections::VecDeque;
use std::time::Duration;

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_call::{
    Address, CallAudio, CallId, Cause, Event, OrderNews, Party, RecordEnd, RecordNews, Recorded, RecordingId, Time,
    Told,
};
use serde::{Deserialize, Serialize};

/// Ended calls that are remembered; the oldest is forgotten first.
pub const ENDED_KEPT: usize = 1_000;

/// Recordings that are remembered of one call.
pub const RECORDINGS_KEPT: usize = 64;

/// A recording of a call.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Recording {
    pub(super) recording: RecordingId,
    /// Of which party, where a command has ordered it.
    pub(super) party: Option<Party>,
    /// None until its file is open, and where that was not noted.
    #[serde(default)]
    pub(super) begun: Option<Begun>,
    /// What has become of it; none while it runs.
    pub(super) recorded: Option<Recorded>,
    /// The media node that has its file, where audio is on other nodes.
    pub(super) node: Option<CompactString>,
}

impl Recording {
    /// One of which nothing is known yet.
    pub(super) const fn new(recording: RecordingId) -> Self {
        Self { recording, party: None, begun: None, recorded: None, node: None }
    }

    /// Whether it is over and has a file, as far as is known here: one that was interrupted on a media node has been begun
    /// there.
    pub(super) fn has_file(&self) -> bool {
        let is_there = |over: &Recorded| over.size > 0 || over.reason == RecordEnd::Interrupted && self.node.is_some();
        self.recorded.as_ref().is_some_and(is_there)
    }
}

/// The file of a recording, when it was opened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) at: Time,
    /// As it was ordered, below the folder of recordings of whoever writes it.
    pub(super) file: CompactString,
}

/// What is noted of a call.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Known {
    pub(super) call: CallId,
    pub(super) caller: Address,
    pub(super) callee: Address,
    pub(super) began: Time,
    pub(super) answered: Option<Time>,
    pub(super) recordings: Vec<Recording>,
    /// Recordings that are ordered and have not begun: of which party, where a command has ordered it, and its file.
    ordered: VecDeque<(RecordingId, Option<Party>, CompactString)>,
}

impl Known {
    /// The file of a recording is open.
    fn begin(&mut self, now: Time, recording: RecordingId) {
        let ordered = self.ordered.iter().position(|(ordered, ..)| *ordered == recording);
        let one = note(&mut self.recordings, recording);
        if let Some((_, party, file)) = ordered.and_then(|place| self.ordered.remove(place)) {
            // Another one may have had its number before.
            (one.begun, one.party, one.recorded) = (Some(Begun { at: now, file }), party, None);
        }
    }
}

/// A call that is over.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Ended {
    /// Counts those that have ended.
    pub(super) place: u64,
    pub(super) known: Known,
    pub(super) at: Time,
    pub(super) cause: Cause,
    pub(super) talked: Duration,
    pub(super) audio: Option<Box<CallAudio>>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct KnownCalls {
    live: AHashMap<CallId, Known>,
    ended: VecDeque<Ended>,
    places: u64,
}

impl KnownCalls {
    /// A call begins, or it is told who talks in it.
    fn begin(&mut self, told: &Told, [caller, callee]: [Address; 2]) {
        let new = || Known {
            call: told.call,
            caller: Address(CompactString::default()),
            callee: Address(CompactString::default()),
            began: told.at,
            answered: None,
            recordings: Vec::new(),
            ordered: VecDeque::new(),
        };
        let known = self.live.entry(told.call).or_insert_with(new);
        (known.caller, known.callee) = (caller, callee);
    }

    /// It was no call of its own.
    pub(super) fn forget(&mut self, call: CallId) {
        self.live.remove(&call);
    }

    pub(super) fn told(&mut self, told: &Told) {
        if let Event::Incoming { from: caller, to: callee } | Event::Started { caller, callee } = &told.event {
            self.begin(told, [caller.clone(), callee.clone()]);
            return;
        }
        if let Event::Noticed { .. } = &told.event
            && !self.live.contains_key(&told.call)
        {
            // Who talks there is told later, or never.
            return self.begin(told, [Address(CompactString::default()), Address(CompactString::default())]);
        }
        if let Event::Ended { cause, talked } = &told.event {
            let Some(known) = self.live.remove(&told.call) else { return };
            if self.ended.len() == ENDED_KEPT {
                self.ended.pop_front();
            }
            self.places += 1;
            let (at, cause) = (told.at, cause.clone());
            self.ended.push_back(Ended { place: self.places, known, at, cause, talked: *talked, audio: None });
            return;
        }
        let Some(known) = self.live.get_mut(&told.call) else { return };
        if matches!(told.event, Event::Bridged) {
            known.answered.get_or_insert(told.at);
        }
        if let Event::Replaced { party, by, .. } = &told.event {
            match party {
                Party::Caller => known.caller = by.clone(),
                Party::Callee => known.callee = by.clone(),
            }
        }
        if let Event::Audio { party, news: OrderNews::Recording(recording) } = &told.event {
            note(&mut known.recordings, *recording).party = Some(*party);
        }
    }

    /// A call whose recordings may still be told of.
    fn recorded_call(&mut self, call: CallId) -> Option<&mut Known> {
        match self.live.get_mut(&call) {
            Some(known) => Some(known),
            // The file is complete when the call is over already.
            None => self.ended.iter_mut().rev().find(|ended| ended.known.call == call).map(|ended| &mut ended.known),
        }
    }

    /// A recording is ordered, into this file; of this party, if a command has ordered it.
    pub(super) fn ordered(&mut self, call: CallId, recording: RecordingId, party: Option<Party>, file: &CompactString) {
        let Some(known) = self.live.get_mut(&call) else { return };
        if known.ordered.len() == RECORDINGS_KEPT {
            known.ordered.pop_front();
        }
        known.ordered.push_back((recording, party, file.clone()));
    }

    /// The file of a recording lies on this node.
    pub(super) fn lies_at(&mut self, call: CallId, recording: RecordingId, node: &str) {
        if let Some(known) = self.recorded_call(call) {
            note(&mut known.recordings, recording).node = Some(node.into());
        }
    }

    /// Gives the parties and the recording, if it has begun or is over now.
    pub(super) fn recorded(
        &mut self,
        now: Time,
        call: CallId,
        recording: RecordingId,
        news: &RecordNews,
    ) -> Option<([&Address; 2], &Recording)> {
        let known = self.recorded_call(call)?;
        match news {
            RecordNews::Begun => known.begin(now, recording),
            RecordNews::Loud => return None,
            RecordNews::Finished(recorded) => {
                note(&mut known.recordings, recording).recorded = Some((**recorded).clone());
            }
        }
        let one = known.recordings.iter().find(|one| one.recording == recording)?;
        Some(([&known.caller, &known.callee], one))
    }

    pub(super) fn audio(&mut self, call: CallId, audio: &CallAudio) {
        if let Some(ended) = self.ended.iter_mut().rev().find(|ended| ended.known.call == call) {
            ended.audio = Some(Box::new(audio.clone()));
        }
    }

    pub(super) fn live(&self, call: CallId) -> Option<&Known> {
        self.live.get(&call)
    }

    pub(super) fn live_calls(&self) -> impl Iterator<Item = &Known> {
        self.live.values()
    }

    pub(super) fn ended(&self, call: CallId) -> Option<&Ended> {
        self.ended.iter().rev().find(|ended| ended.known.call == call)
    }

    /// The last that have ended, the newest first.
    pub(super) fn ended_calls(&self) -> impl Iterator<Item = &Ended> {
        self.ended.iter().rev()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.live.is_empty()
    }
}

/// The note of a recording, made anew if there is none; the oldest that is over makes room.
fn note(recordings: &mut Vec<Recording>, recording: RecordingId) -> &mut Recording {
    let place = match recordings.iter().position(|one| one.recording == recording) {
        Some(place) => place,
        None => {
            if recordings.len() >= RECORDINGS_KEPT {
                let oldest = recordings.iter().position(|one| one.recorded.is_some()).unwrap_or(0);
                recordings.remove(oldest);
            }
            recordings.push(Recording::new(recording));
            recordings.len() - 1
        }
    };
    &mut recordings[place]
}
