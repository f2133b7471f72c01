//! Something is played to a party and what it says is recorded, without a gap in between.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::stage::{self, ALICE, CALL, Stage, phone};
use hookswitch_call::{
    AfterPlay, Audience, BargeIn, MediaOp, MediaReport, Party, PlayControl, PlayEnd, PlayId, PlayNews, RecordEnd,
    RecordNews, RecordOrder, RecordPlan, Recorded, RecordingId, Silence, Sound, SoundKind, Soup, Source, Tracks,
};
use hookswitch_codec::pcmu;
use hookswitch_media::{FileId, FileOrder, FileReport, Written};
use hookswitch_rtp::Header;

const CALLER: Party = Party::Caller;
const PLAY: PlayId = PlayId(7);
const MESSAGE: RecordingId = RecordingId(1);

/// Bytes of µ-law that stand for silence, for a loud voice, and for another one.
const SILENCE: u8 = 0xff;
const LOUD: u8 = 0x20;
const OTHER: u8 = 0x25;

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// A caller who is connected to nobody but us, and a disk.
struct Studio {
    stage: Stage,
    n: u16,
    files: HashMap<FileId, Vec<i16>>,
    finished: Vec<Recorded>,
    ended: Vec<PlayEnd>,
    created: Vec<String>,
}

impl Studio {
    fn new() -> Self {
        let mut stage = Stage::with(stage::with_g722(), 8);
        stage.open(Some(&phone(ALICE, "0")));
        stage.make_answer(CALLER).expect("an answer");
        stage.hear(CALLER, Source::Sounds);
        let (files, finished) = (HashMap::new(), Vec::new());
        Self { stage, n: 0, files, finished, ended: Vec::new(), created: Vec::new() }
    }

    fn op(&mut self, op: MediaOp) -> &mut Self {
        let reports = self.stage.perform(op);
        self.stage.news.extend(reports);
        self.work();
        self
    }

    /// A tone of so many milliseconds is played, which a key ends or not.
    fn play(&mut self, time: u64, interrupt: bool) -> &mut Self {
        let sound = Sound { stop: Some(ms(time)), ..Sound::of(SoundKind::Tone, "425:1000") };
        let soup = Arc::new(Soup { sounds: vec![sound], interrupt, ..Soup::default() });
        self.op(MediaOp::Play { call: CALL, party: CALLER, play: PLAY, soup, to: Audience::Party })
    }

    fn order(&mut self, order: RecordOrder) -> &mut Self {
        self.op(MediaOp::Record { call: CALL, party: CALLER, recording: MESSAGE, order })
    }

    fn record(&mut self, plan: RecordPlan) -> &mut Self {
        self.order(RecordOrder::Begin(Box::new(plan)))
    }

    fn work(&mut self) {
        let now = self.stage.now;
        while let Some(order) = self.stage.engine.poll_file() {
            match order {
                FileOrder::CreateRecording { file, name, channels, rate } => {
                    assert_eq!((channels, rate), (1, 8_000));
                    self.created.push(name.to_string());
                    self.files.insert(file, Vec::new());
                    self.stage.engine.file_done(now, FileReport::RecordingOpen { file });
                }
                FileOrder::AppendRecording { file, at, samples } => {
                    let kept = self.files.get_mut(&file).expect("an open file");
                    assert_eq!(at, kept.len() as u64, "piece follows on piece");
                    kept.extend(samples);
                }
                FileOrder::FinishRecording { file, length, keep } => {
                    assert_eq!(length, self.files[&file].len() as u64);
                    let size = if keep { 44 + 2 * length } else { 0 };
                    let path = keep.then(|| "/r/a.wav".into());
                    let written = Written { path, length, lost: 0, size, failed: None };
                    self.stage.engine.file_done(now, FileReport::RecordingOver { file, written });
                }
                other => panic!("no sound is a file: {other:?}"),
            }
        }
        let more = self.stage.reports();
        for news in self.stage.take_news().into_iter().chain(more) {
            match news {
                MediaReport::Recorded { recording: MESSAGE, news: RecordNews::Finished(end), .. } => {
                    self.finished.push(*end);
                }
                MediaReport::Played { play: PLAY, news: PlayNews::Ended(end), .. } => self.ended.push(end),
                _ => {}
            }
        }
    }

    /// So many frames of 20 ms pass, in which the caller's phone sends this byte.
    fn say(&mut self, frames: u16, byte: u8) -> &mut Self {
        for _ in 0..frames {
            let timestamp = u32::from(self.n).wrapping_mul(160);
            let header = Header { marker: false, payload_type: 0, sequence: self.n, timestamp, ssrc: 1 };
            let mut packet = vec![byte; 172];
            // Half of it with the other sign: a constant is no voice.
            for byte in packet.iter_mut().skip(1).step_by(2) {
                *byte ^= 0x80;
            }
            packet[..12].copy_from_slice(&header.to_bytes());
            self.stage.send(CALLER, ALICE, &mut packet);
            self.n = self.n.wrapping_add(1);
            self.stage.run(20);
            self.work();
        }
        self
    }

    fn samples(&self) -> &[i16] {
        assert_eq!(self.files.len(), 1, "one file");
        self.files.values().next().expect("a file")
    }

    fn only_end(&self) -> &Recorded {
        assert_eq!(self.finished.len(), 1, "{:?}", self.finished);
        &self.finished[0]
    }
}

/// A recording of what the caller says after what is played.
fn message(keep: u64) -> RecordPlan {
    let after = AfterPlay { play: PLAY, keep: ms(keep), barge_in: None };
    RecordPlan { tracks: Tracks::Incoming, after: Some(after), ..RecordPlan::both_sides("m.wav".into()) }
}

fn by_speaking(above: u16, average: u16, plan: RecordPlan) -> RecordPlan {
    let after = plan.after.map(|after| AfterPlay { barge_in: Some(BargeIn { above, average }), ..after });
    RecordPlan { after, ..plan }
}

fn value(byte: u8) -> i16 {
    let mut out = [0];
    pcmu().decoder().expect("audio").decode(&[byte], &mut out);
    out[0].abs()
}

/// Of how many samples this is how loud they are.
fn count(samples: &[i16], byte: u8) -> usize {
    samples.iter().filter(|sample| sample.abs() == value(byte)).count()
}

#[test]
fn the_recording_begins_with_the_end_of_what_is_played_and_misses_nothing() {
    let mut studio = Studio::new();
    studio.play(1_000, false).record(message(0)).say(40, OTHER);
    assert_eq!(studio.created, [""; 0], "there is no file yet");
    studio.say(10, OTHER).say(50, LOUD).order(RecordOrder::Finish);
    assert_eq!(studio.ended, [PlayEnd::Completed]);
    let (said, before) = (count(studio.samples(), LOUD), count(studio.samples(), OTHER));
    assert_eq!(said, 50 * 160, "every sample since");
    // The last of the sound is sent at one beat and heard until the next.
    assert!(before <= 2 * 160, "{before} samples of the time before");
    let end = studio.only_end();
    assert_eq!((&end.reason, end.size > 0), (&RecordEnd::Requested, true));
}

#[test]
fn what_was_said_meanwhile_stands_at_the_beginning_as_far_as_it_is_kept() {
    for (keep, expected) in [(0, 0), (100, 5), (1_000, 50), (60_000, 75)] {
        let mut studio = Studio::new();
        studio.play(1_500, false).record(message(keep)).say(75, OTHER).say(25, LOUD).order(RecordOrder::Finish);
        let samples = studio.samples();
        assert_eq!(count(samples, LOUD), 25 * 160, "{keep} ms are kept");
        let before = count(samples, OTHER);
        assert!(before.abs_diff(expected * 160) <= 2 * 160, "{keep} ms are kept: {before} samples");
        let (first, last) = (&samples[..before], &samples[samples.len() - 160..]);
        assert!(count(first, OTHER) == first.len() && count(last, LOUD) == 160, "in the order of time");
    }
}

#[test]
fn speaking_ends_what_is_played_and_the_words_that_did_it_are_recorded() {
    let mut studio = Studio::new();
    studio.play(60_000, true).record(by_speaking(1_000, 5, message(500))).say(50, SILENCE);
    assert_eq!(studio.ended, [], "silence is no reason");
    studio.say(50, LOUD).order(RecordOrder::Finish);
    assert_eq!(studio.ended, [PlayEnd::Interrupted]);
    assert_eq!(count(studio.samples(), LOUD), 50 * 160);
}

#[test]
fn a_click_and_whoever_may_not_interrupt_end_nothing() {
    let mut studio = Studio::new();
    studio.play(60_000, true).record(by_speaking(6_000, 20, message(0))).say(20, SILENCE).say(1, LOUD).say(40, SILENCE);
    assert_eq!(studio.ended, []);
    let mut studio = Studio::new();
    studio.play(60_000, true).record(message(0)).say(200, LOUD);
    assert_eq!(studio.ended, []);
}

#[test]
fn stopping_what_is_played_begins_the_recording_and_what_is_over_already_is_not_waited_for() {
    let stop = |call| MediaOp::ControlPlay { call, party: CALLER, play: PLAY, control: PlayControl::Stop };
    let mut studio = Studio::new();
    studio.play(60_000, true).record(message(0)).say(10, OTHER).op(stop(CALL)).say(10, LOUD);
    studio.order(RecordOrder::Finish);
    assert_eq!((studio.ended.as_slice(), count(studio.samples(), LOUD)), ([PlayEnd::Stopped].as_slice(), 1_600));
    let mut studio = Studio::new();
    studio.record(message(0)).say(10, LOUD).order(RecordOrder::Finish);
    assert_eq!(count(studio.samples(), LOUD), 1_600);
}

#[test]
fn one_that_is_finished_or_closed_before_it_began_has_no_file() {
    let mut studio = Studio::new();
    let plan = RecordPlan { mailbox: Some("alice@x.test".into()), ..message(500) };
    studio.play(60_000, false).record(plan.clone()).say(10, LOUD).order(RecordOrder::Finish);
    let end = studio.only_end();
    assert_eq!((&*end.file, end.size, &end.reason), ("m.wav", 0, &RecordEnd::Requested));
    assert_eq!(end.mailbox.as_deref(), Some("alice@x.test"));
    let mut studio = Studio::new();
    studio.play(60_000, false).record(plan).say(10, LOUD).op(MediaOp::Close { call: CALL });
    assert_eq!((studio.only_end().size, &studio.only_end().reason), (0, &RecordEnd::Closed));
    assert!(studio.files.is_empty());
    assert_eq!(studio.stage.engine.recordings(), 0);
}

#[test]
fn silence_ends_it_also_where_nobody_has_said_anything_and_that_is_thrown_away() {
    let silence = Some(Silence { below: 200, time: ms(1_000) });
    let plan = RecordPlan { silence, least: ms(300), ..message(0) };
    for (words, kept) in [(0, false), (10, false), (50, true)] {
        let mut studio = Studio::new();
        studio.play(200, false).record(plan.clone()).say(12, SILENCE).say(words, LOUD).say(100, SILENCE);
        let end = studio.only_end();
        assert_eq!((&end.reason, end.size > 0), (&RecordEnd::BelowPower, kept), "{words} frames");
    }
}

#[test]
fn a_pause_while_something_is_played_is_left_out_of_what_is_kept() {
    let mut studio = Studio::new();
    studio.play(1_000, false).record(message(5_000)).say(20, OTHER).order(RecordOrder::Pause);
    studio.say(40, LOUD).order(RecordOrder::Resume).say(20, OTHER).order(RecordOrder::Finish);
    assert_eq!(count(studio.samples(), LOUD), 0);
    assert!(count(studio.samples(), OTHER).abs_diff(40 * 160) <= 160);
}
