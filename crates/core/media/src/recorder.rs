//! One recording: two [`Track`]s, put together as the file wants them, and the [`Gate`] that lets them through.
//!
//! ```text
//!   packets from the party ──▶ Track ─┐                   ┌── Gate ──▶ Piece, twice a second
//!   packets to the party ────▶ Track ─┴─ frames of 20 ms ─┘
//! ```
//!
//! A recording keeps the time of the wall: silence, a hold and lost packets are as long in the file as they were, and
//! only what is paused, or waited for by the gate, is left out.

use std::time::Duration;

use hookswitch_call::{PlayEnd, PlayId, RecordEnd, RecordPlan, RecordingId, Time, Tracks};
use hookswitch_codec::Codec;

use crate::config::FRAME;
use crate::files::FileId;
use crate::power::{Gate, Verdict};
use crate::prelude::Prelude;
use crate::sounds::samples_in;
use crate::track::{PATIENCE, Track};

/// Time between two pieces of a recording: so much is lost of it, and [`PATIENCE`], when the process is killed.
pub const PIECE: Duration = Duration::from_millis(500);

/// Rates of files, in Hz.
const RATES: [u32; 2] = [8_000, 16_000];

/// Which way a packet goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// From the party.
    In,
    /// To the party.
    Out,
}

/// One recording.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub id: RecordingId,
    pub file: FileId,
    tracks: Tracks,
    incoming: Option<Track>,
    outgoing: Option<Track>,
    pub rate: u32,
    gate: Gate,
    /// It has not begun: something is played first.
    prelude: Option<Box<Prelude>>,
    /// The least that has to be said, in samples.
    least: u64,
    /// Whether the gate was seen open.
    begun: bool,
    paused: bool,
    /// Samples of each channel that were given away.
    length: u64,
    /// When the next piece is.
    pub due: Time,
}

/// A part of a recording.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Samples of each channel before it.
    pub at: u64,
    /// Those of two channels in turn.
    pub samples: Box<[i16]>,
}

/// What a turn has brought.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub piece: Option<Piece>,
    /// The party was loud enough, for the first time.
    pub loud: bool,
    pub end: Option<RecordEnd>,
}

impl Recorder {
    /// `native` is the rate of the party's codec, as far as one is agreed.
    pub fn new(now: Time, id: RecordingId, file: FileId, plan: &RecordPlan, native: Option<u32>) -> Self {
        let wide = native.is_some_and(|native| native >= RATES[1]);
        let rate = plan.rate.filter(|rate| RATES.contains(rate)).unwrap_or(RATES[usize::from(wide)]);
        let gate = Gate::new(plan, rate);
        let (has_in, has_out) = match plan.tracks {
            Tracks::Stereo | Tracks::Mixed => (true, true),
            Tracks::Incoming => (true, false),
            Tracks::Outgoing => (gate.hears(), true),
        };
        let channels = if plan.tracks == Tracks::Stereo { 2 } else { 1 };
        Self {
            id,
            file,
            prelude: plan.after.map(|after| Box::new(Prelude::new(after, rate, channels))),
            least: samples_in(plan.least, rate),
            tracks: plan.tracks,
            incoming: has_in.then(|| Track::new(now, rate)),
            outgoing: has_out.then(|| Track::new(now, rate)),
            rate,
            begun: gate.is_open(),
            gate,
            paused: false,
            length: 0,
            due: now + PATIENCE + PIECE,
        }
    }

    pub fn channels(&self) -> u16 {
        if self.tracks == Tracks::Stereo { 2 } else { 1 }
    }

    /// Samples of each channel that were given away.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether enough was said for it to be worth a file.
    pub fn is_worth_it(&self) -> bool {
        self.least == 0 || self.gate.spoken() >= self.least
    }

    /// Whether it waits for the end of something that is played.
    pub fn waits(&self) -> bool {
        self.prelude.is_some()
    }

    /// Something that was played to the party is over: whether this is to begin now, or not at all.
    pub fn play_over(&mut self, play: PlayId, end: PlayEnd) -> bool {
        self.prelude.as_mut().is_some_and(|prelude| prelude.play_over(play, end))
    }

    /// Why what it has waited for is over.
    pub fn prelude_end(&self) -> Option<PlayEnd> {
        self.prelude.as_ref()?.end()
    }

    /// A codec in which a party has spoken that is silent in the file.
    pub fn undecoded(&self) -> Option<&'static Codec> {
        self.incoming.iter().chain(&self.outgoing).find_map(Track::undecoded)
    }

    /// Takes a packet of audio or of comfort noise. By audio the party may interrupt what is played to it.
    pub fn hear(&mut self, now: Time, way: Way, codec: &'static Codec, packet: &[u8]) -> Option<PlayId> {
        let track = match way {
            Way::In => &mut self.incoming,
            Way::Out => &mut self.outgoing,
        };
        if let Some(track) = track.as_mut().filter(|_| !self.paused) {
            track.put(now, codec, packet);
        }
        let ear = self.prelude.as_mut().filter(|_| way == Way::In && !self.paused && codec.is_audio());
        ear.and_then(|prelude| prelude.hear(codec, packet))
    }

    /// Begins, after what was played: with what is kept of that time.
    pub fn begin(&mut self, now: Time) -> Turn {
        self.due = now + PIECE;
        self.advance(now.saturating_sub(PATIENCE), false);
        let Some(mut prelude) = self.prelude.take() else { return Turn::default() };
        let most = prelude.most();
        let Some(track) = self.incoming.as_ref().or(self.outgoing.as_ref()) else { return Turn::default() };
        let here = track.place_at(now);
        // What has not been decoded yet is the last of it.
        let waits = usize::try_from(here - track.from()).unwrap_or(0);
        if waits > most {
            let cut = here - most as i64;
            for track in self.incoming.iter_mut().chain(&mut self.outgoing) {
                track.render(cut);
                track.take(cut);
            }
        }
        prelude.keep_last(most.saturating_sub(waits));
        let samples = prelude.into_samples();
        self.length = samples.len() as u64 / u64::from(self.channels());
        let piece = (!samples.is_empty()).then(|| Piece { at: 0, samples: samples.into() });
        Turn { piece, ..Turn::default() }
    }

    /// What is ready of it, some time after it was said, and no more than half a second: what else there is has its turn at once.
    pub fn turn(&mut self, now: Time) -> Turn {
        // However late this one is, because the machine stood still: what was said meanwhile may still be in the socket, so no more
        // is written than if this had come in time, and the next leaves as long to read it as packets are waited for.
        let until = self.due.saturating_sub(PATIENCE);
        let turn = self.advance(until, false);
        if self.ready(until) < self.samples_in(FRAME) || self.paused {
            // That one is when it would have been: recordings that have waited together would else have their turns together
            // from then on, and their memory.
            let missed = (now + PATIENCE).saturating_sub(self.due).as_millis() / PIECE.as_millis();
            self.due += PIECE * u32::try_from(missed + 1).unwrap_or(u32::MAX);
        }
        turn
    }

    fn samples_in(&self, time: Duration) -> usize {
        samples_in(time, self.rate) as usize
    }

    /// Samples of each channel before a moment that were not given away.
    fn ready(&self, until: Time) -> usize {
        let track = self.incoming.as_ref().or(self.outgoing.as_ref());
        track.map_or(0, |track| usize::try_from(track.place_at(until) - track.from()).unwrap_or(0))
    }

    /// Everything up to this moment. Afterwards what comes is left out.
    pub fn pause(&mut self, now: Time) -> Turn {
        let turn = self.advance(now, true);
        self.paused = true;
        turn
    }

    /// Goes on after a pause.
    pub fn resume(&mut self, now: Time) {
        if std::mem::take(&mut self.paused) {
            for track in self.incoming.iter_mut().chain(&mut self.outgoing) {
                track.skip_to(now);
            }
        }
    }

    /// Gives away what was said before a moment: whole frames of at most half a second, or all of it.
    fn advance(&mut self, until: Time, all: bool) -> Turn {
        let (frame, ready) = (self.samples_in(FRAME), self.ready(until));
        let count = if all { ready } else { (ready - ready % frame).min(self.samples_in(PIECE)) };
        let Some(track) = self.incoming.as_ref().or(self.outgoing.as_ref()).filter(|_| !self.paused) else {
            return Turn::default();
        };
        let limit = track.from() + count as i64;
        let [incoming, outgoing] = [&mut self.incoming, &mut self.outgoing].map(|track| {
            let Some(track) = track else { return vec![0; count] };
            track.render(limit);
            track.take(limit)
        });
        if let Some(prelude) = &mut self.prelude {
            let mut samples = Vec::new();
            join(self.tracks, &incoming, &outgoing, &mut samples);
            prelude.keep(&samples);
            return Turn::default();
        }
        self.put_together(&incoming, &outgoing, frame)
    }

    fn put_together(&mut self, incoming: &[i16], outgoing: &[i16], frame: usize) -> Turn {
        let step = if self.gate.hears() { frame } else { incoming.len().max(1) };
        let mut samples = Vec::with_capacity(incoming.len() * usize::from(self.channels()));
        let mut end = None;
        for (incoming, outgoing) in incoming.chunks(step).zip(outgoing.chunks(step)) {
            let count = match self.gate.judge(incoming) {
                Verdict::Wait => continue,
                Verdict::Take(count) => count,
                Verdict::Last(count, why) => {
                    end = Some(why);
                    count
                }
            };
            let [incoming, outgoing] = [incoming, outgoing].map(|side| side.get(..count).unwrap_or_default());
            join(self.tracks, incoming, outgoing, &mut samples);
            if end.is_some() {
                break;
            }
        }
        let loud = self.gate.is_open() && !std::mem::replace(&mut self.begun, self.gate.is_open());
        let at = self.length;
        self.length += samples.len() as u64 / u64::from(self.channels());
        let piece = (!samples.is_empty()).then(|| Piece { at, samples: samples.into() });
        Turn { piece, loud, end }
    }
}

/// Puts two sides together as the file has them.
fn join(tracks: Tracks, incoming: &[i16], outgoing: &[i16], samples: &mut Vec<i16>) {
    let both = incoming.iter().zip(outgoing);
    match tracks {
        Tracks::Stereo => samples.extend(both.flat_map(|(left, right)| [*left, *right])),
        Tracks::Mixed => samples.extend(both.map(|(left, right)| left.saturating_add(*right))),
        Tracks::Incoming => samples.extend(both.map(|(left, _)| left)),
        Tracks::Outgoing => samples.extend(both.map(|(_, right)| right)),
    }
}
