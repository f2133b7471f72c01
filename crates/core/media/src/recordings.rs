//! The recordings of an engine: who is recorded, where it goes, and what is told of it.
//!
//! ```text
//!   MediaOp::Record ──▶ Recorder, on the party's channel ──▶ FileOrder: create, append, finish
//!                            │ every PIECE, from tick()             │
//!   MediaReport::Recorded ◀──┴──────────── Entry ◀── FileReport ◀───┘
//! ```
//!
//! A recording belongs to the place of an end: whoever takes that place by a transfer is recorded from then on.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::{
    CallId, MediaReport, Party, PlayEnd, PlayId, RecordEnd, RecordNews, RecordOrder, RecordPlan, Recorded, RecordingId,
    Time,
};
use hookswitch_codec::{Codec, comfort_noise};
use slab::Slab;

use crate::channel::{Call, Channel};
use crate::engine::Engine;
use crate::files::{FileId, FileOrder};
use crate::negotiate::Content;
use crate::recorder::{Piece, Recorder, Turn, Way};

/// Most recordings of one party at a time.
pub const MAX_RECORDINGS_PER_PARTY: usize = 8;

/// Most recordings of one engine, those that are being written to their end included.
pub const MAX_RECORDINGS: usize = 20_000;

/// Those who record one party, and what it has just interrupted.
#[derive(Debug, Default)]
pub(crate) struct Tape(Vec<Recorder>, Option<PlayId>);

/// The recordings that are not over yet.
#[derive(Debug, Default)]
pub(crate) struct Recordings {
    entries: Slab<Entry>,
    /// When each has its turn.
    turns: BinaryHeap<Reverse<(Time, FileId)>>,
}

#[derive(Debug)]
struct Entry {
    serial: u32,
    call: CallId,
    /// The call's place in the engine, as long as it is recorded.
    index: u32,
    party: Party,
    recording: RecordingId,
    rate: u32,
    name: CompactString,
    /// For whom it is a message.
    mailbox: Option<CompactString>,
    channels: u16,
    /// Its file has been ordered.
    created: bool,
    /// A codec that could not be decoded.
    undecoded: Option<&'static Codec>,
    /// Why it is over; then only its file is still open.
    end: Option<RecordEnd>,
}

/// A recording that goes on in another engine.
#[derive(Debug)]
pub(crate) struct Moving {
    /// Its name where it comes from.
    pub file: FileId,
    entry: Entry,
}

impl Recordings {
    fn get(&self, file: FileId) -> Option<&Entry> {
        self.entries.get(file.owner as usize).filter(|entry| entry.serial == file.serial)
    }

    fn get_mut(&mut self, file: FileId) -> Option<&mut Entry> {
        self.entries.get_mut(file.owner as usize).filter(|entry| entry.serial == file.serial)
    }

    fn remove(&mut self, file: FileId) -> Option<Entry> {
        self.get(file)?;
        self.entries.try_remove(file.owner as usize)
    }

    /// When the next recording has its turn.
    pub fn deadline(&self) -> Option<Time> {
        self.turns.peek().map(|Reverse((due, _))| *due)
    }

    fn next_turn(&mut self, now: Time) -> Option<(Time, FileId)> {
        self.turns.peek().filter(|Reverse((due, _))| *due <= now)?;
        self.turns.pop().map(|Reverse(turn)| turn)
    }
}

impl Channel {
    /// Shows a packet to whoever records the party. Keys leave no trace.
    #[inline]
    pub(crate) fn tape(&mut self, now: Time, way: Way, content: Content, codec: &'static Codec, packet: &[u8]) {
        if let Some(tape) = &mut self.tape {
            let codec = match content {
                Content::Audio => codec,
                Content::Noise => comfort_noise(),
                Content::Event => return,
            };
            for recorder in &mut tape.0 {
                tape.1 = recorder.hear(now, way, codec, packet).or(tape.1);
            }
        }
    }

    /// What the party has interrupted by speaking, since this was asked last.
    pub(crate) fn barged_in(&mut self) -> Option<PlayId> {
        self.tape.as_mut()?.1.take()
    }
}

impl Engine {
    /// How many recordings are not over, those included that are being written to their end.
    #[must_use]
    pub fn recordings(&self) -> usize {
        self.recordings.entries.len()
    }

    pub(crate) fn order_recording(
        &mut self,
        now: Time,
        id: CallId,
        party: Party,
        recording: RecordingId,
        order: RecordOrder,
    ) {
        let Ok(index) = self.index_of(id) else { return };
        let found = self.recorded_as(index, recording);
        match (order, found) {
            (RecordOrder::Begin(plan), None) => self.begin_recording(now, (id, index, party), recording, &plan),
            (RecordOrder::Pause, Some(file)) => self.recorder_turn(file, |recorder| recorder.pause(now)),
            (RecordOrder::Resume, Some(file)) => self.recorder_turn(file, |recorder| {
                recorder.resume(now);
                Turn::default()
            }),
            (RecordOrder::Finish, Some(file)) => self.end_recording(now, file, RecordEnd::Requested),
            (RecordOrder::Begin(_), Some(_))
            | (RecordOrder::Pause | RecordOrder::Resume | RecordOrder::Finish, None) => {}
        }
    }

    /// The file of a call's recording of that name.
    fn recorded_as(&self, index: u32, recording: RecordingId) -> Option<FileId> {
        let call = self.calls.get(index as usize)?;
        recorders(call).find(|recorder| recorder.id == recording).map(|recorder| recorder.file)
    }

    fn begin_recording(
        &mut self,
        now: Time,
        (id, index, party): (CallId, u32, Party),
        recording: RecordingId,
        plan: &RecordPlan,
    ) {
        let room = self.recordings.entries.len() < MAX_RECORDINGS;
        let Some(call) = self.calls.get_mut(index as usize) else { return };
        let channel = call.end_mut(party);
        let native = channel.session.map(|session| session.codec.sample_rate);
        let played = channel.player.and_then(|key| self.players.get(key as usize)).map(|player| player.play);
        let mut plan = plan.clone();
        plan.after = plan.after.filter(|after| played == Some(after.play));
        if !room || channel.tape.as_ref().is_some_and(|tape| tape.0.len() >= MAX_RECORDINGS_PER_PARTY) {
            let reason = RecordEnd::Failed("too many recordings at once".into());
            return self.tell_recorded(
                id,
                recording,
                RecordNews::Finished(Box::new(Recorded::nothing(&plan.file, reason))),
            );
        }
        let slot = self.recordings.entries.vacant_entry();
        // Fewer than MAX_RECORDINGS.
        let file = self.file_orders.name(slot.key() as u32);
        let recorder = Recorder::new(now, recording, file, &plan, native);
        let (rate, channels, due, waits) = (recorder.rate, recorder.channels(), recorder.due, recorder.waits());
        slot.insert(Entry {
            serial: file.serial,
            call: id,
            index,
            party,
            recording,
            rate,
            name: plan.file,
            mailbox: plan.mailbox,
            channels,
            created: false,
            undecoded: None,
            end: None,
        });
        channel.tape.get_or_insert_default().0.push(recorder);
        self.recordings.turns.push(Reverse((due, file)));
        if !waits {
            self.create_file(file);
        }
    }

    fn create_file(&mut self, file: FileId) {
        let Some(entry) = self.recordings.get_mut(file) else { return };
        entry.created = true;
        let (name, channels, rate) = (entry.name.clone(), entry.channels, entry.rate);
        self.file_orders.push(FileOrder::CreateRecording { file, name, channels, rate });
    }

    /// Something that was played to a party is over. Recordings that wait for that have their turn at once.
    pub(crate) fn prompt_over(&mut self, index: u32, party: Party, play: PlayId, end: PlayEnd) {
        let Some(tape) = self.calls.get_mut(index as usize).and_then(|call| call.end_mut(party).tape.as_mut()) else {
            return;
        };
        for recorder in &mut tape.0 {
            if recorder.play_over(play, end) {
                recorder.due = Time::ZERO;
                self.recordings.turns.push(Reverse((recorder.due, recorder.file)));
            }
        }
    }

    /// What a recording has waited for is over.
    fn after_prompt(&mut self, now: Time, file: FileId, end: PlayEnd) {
        match end {
            // Nobody is there any more to say anything.
            PlayEnd::Closed => self.close_recording(file, RecordEnd::Closed),
            PlayEnd::Completed
            | PlayEnd::Replaced
            | PlayEnd::TelephoneEvent
            | PlayEnd::Interrupted
            | PlayEnd::Stopped
            | PlayEnd::Failed => {
                self.create_file(file);
                self.recorder_turn(file, |recorder| recorder.begin(now));
            }
        }
    }

    /// Writes what is due of every recording whose turn it is.
    pub(crate) fn write_recordings(&mut self, now: Time) {
        while let Some((due, file)) = self.recordings.next_turn(now) {
            let Some(recorder) = self.recorder_mut(file) else { continue };
            // One that had a turn in between has another one.
            if recorder.due != due {
                continue;
            }
            match recorder.prelude_end() {
                Some(end) => self.after_prompt(now, file, end),
                None => self.recorder_turn(file, |recorder| recorder.turn(now)),
            }
            if let Some(due) = self.recorder_mut(file).map(|recorder| recorder.due) {
                self.recordings.turns.push(Reverse((due, file)));
            }
        }
    }

    fn recorder_mut(&mut self, file: FileId) -> Option<&mut Recorder> {
        let entry = self.recordings.get(file).filter(|entry| entry.end.is_none())?;
        let channel = self.calls.get_mut(entry.index as usize)?.end_mut(entry.party);
        channel.tape.as_mut()?.0.iter_mut().find(|recorder| recorder.file == file)
    }

    /// Lets a recording go on, and passes on what that has brought.
    fn recorder_turn(&mut self, file: FileId, advance: impl FnOnce(&mut Recorder) -> Turn) {
        let Some(recorder) = self.recorder_mut(file) else { return };
        let turn = advance(recorder);
        if turn.loud
            && let Some((call, recording)) = self.recordings.get(file).map(|entry| (entry.call, entry.recording))
        {
            self.tell_recorded(call, recording, RecordNews::Loud);
        }
        self.append(file, turn.piece);
        if let Some(end) = turn.end {
            self.close_recording(file, end);
        }
    }

    fn append(&mut self, file: FileId, piece: Option<Piece>) {
        if let Some(Piece { at, samples }) = piece {
            self.file_orders.push(FileOrder::AppendRecording { file, at, samples });
        }
    }

    /// Ends a recording with all that was said up to now.
    fn end_recording(&mut self, now: Time, file: FileId, end: RecordEnd) {
        self.recorder_turn(file, |recorder| recorder.pause(now));
        self.close_recording(file, end);
    }

    /// Nothing is taken any more; unless it is over already.
    fn close_recording(&mut self, file: FileId, end: RecordEnd) {
        let Some(recorder) = self.recorder_mut(file) else { return };
        let (length, keep, undecoded) = (recorder.length(), recorder.is_worth_it(), recorder.undecoded());
        self.forget_recorder(file);
        let Some(entry) = self.recordings.get_mut(file) else { return };
        if entry.created {
            (entry.end, entry.undecoded) = (Some(end), undecoded);
            self.file_orders.push(FileOrder::FinishRecording { file, length, keep });
        } else if let Some(entry) = self.recordings.remove(file) {
            let recorded = Recorded { mailbox: entry.mailbox, ..Recorded::nothing(&entry.name, end) };
            self.tell_recorded(entry.call, entry.recording, RecordNews::Finished(Box::new(recorded)));
        }
    }

    fn forget_recorder(&mut self, file: FileId) {
        let Some(entry) = self.recordings.get(file).filter(|entry| entry.end.is_none()) else { return };
        let Some(call) = self.calls.get_mut(entry.index as usize) else { return };
        let tape = &mut call.end_mut(entry.party).tape;
        if let Some(recorders) = tape.as_mut().map(|tape| &mut tape.0) {
            recorders.retain(|recorder| recorder.file != file);
            if recorders.is_empty() {
                *tape = None;
            }
        }
    }

    /// The call is over.
    pub(crate) fn end_recordings(&mut self, now: Time, index: u32) {
        let Some(call) = self.calls.get(index as usize) else { return };
        let files: Vec<_> = recorders(call).map(|recorder| recorder.file).collect();
        for file in files {
            self.end_recording(now, file, RecordEnd::Closed);
        }
    }

    /// Everybody who records somebody in a call that moves; their files are not known here any more.
    pub(crate) fn recordings_of(&mut self, index: u32) -> Vec<Moving> {
        let Some(call) = self.calls.get(index as usize) else { return Vec::new() };
        let files: Vec<_> = recorders(call).map(|recorder| recorder.file).collect();
        let moving = files.into_iter().map(|file| Some(Moving { file, entry: self.recordings.remove(file)? }));
        moving.flatten().collect()
    }

    /// They record it on here; under which names.
    pub(crate) fn go_on_recording(&mut self, index: u32, recordings: Vec<Moving>) -> Vec<FileId> {
        let mut files = Vec::with_capacity(recordings.len());
        for Moving { file: before, entry } in recordings {
            let slot = self.recordings.entries.vacant_entry();
            // About MAX_RECORDINGS.
            let file = self.file_orders.name(slot.key() as u32);
            let party = entry.party;
            slot.insert(Entry { serial: file.serial, index, ..entry });
            let channel = self.calls.get_mut(index as usize).map(|call| call.end_mut(party));
            let tape = channel.and_then(|channel| channel.tape.as_mut());
            if let Some(recorder) = tape.and_then(|tape| tape.0.iter_mut().find(|recorder| recorder.file == before)) {
                recorder.file = file;
                self.recordings.turns.push(Reverse((recorder.due, file)));
            }
            files.push(file);
        }
        files
    }

    /// The file of a recording is open.
    pub(crate) fn recording_open(&mut self, file: FileId) {
        if let Some((call, recording)) = self.recordings.get(file).map(|entry| (entry.call, entry.recording)) {
            self.tell_recorded(call, recording, RecordNews::Begun);
        }
    }

    /// The file of a recording is closed: as it was ordered, or because it cannot be written.
    pub(crate) fn recording_over(&mut self, file: FileId, written: Written) {
        let undecoded = self.recorder_mut(file).and_then(|recorder| recorder.undecoded());
        self.forget_recorder(file);
        let Some(entry) = self.recordings.remove(file) else { return };
        let time = |samples: u64| Duration::from_millis(samples.saturating_mul(1_000) / u64::from(entry.rate.max(1)));
        let reason = match (written.failed, entry.end) {
            (Some(why), _) => RecordEnd::Failed(why),
            (None, end) => end.unwrap_or(RecordEnd::Closed),
        };
        let recorded = Recorded {
            file: written.path.unwrap_or(entry.name),
            duration: time(written.length),
            lost: time(written.lost),
            size: written.size,
            reason,
            mailbox: entry.mailbox,
            undecoded: undecoded.or(entry.undecoded).map(|codec| codec.label.into()),
        };
        self.tell_recorded(entry.call, entry.recording, RecordNews::Finished(Box::new(recorded)));
    }

    fn tell_recorded(&mut self, call: CallId, recording: RecordingId, news: RecordNews) {
        self.reports.push_back(MediaReport::Recorded { call, recording, news });
    }
}

/// What has become of the file of a recording.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Written {
    /// Where it lies; none if it could not be made.
    pub path: Option<CompactString>,
    /// Samples of each channel in it.
    pub length: u64,
    /// How many of them are silence because they found no room on their way to the disk.
    pub lost: u64,
    /// Bytes in it, the header included.
    pub size: u64,
    /// Why it was given up before its end.
    pub failed: Option<CompactString>,
}

/// Everybody who records somebody in a call.
fn recorders(call: &Call) -> impl Iterator<Item = &Recorder> {
    let tapes = [Party::Caller, Party::Callee].map(|party| call.end(party).tape.as_deref());
    tapes.into_iter().flatten().flat_map(|tape| &tape.0)
}
