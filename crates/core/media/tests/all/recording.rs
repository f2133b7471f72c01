//! Calls that are recorded: which side stands where, what is in time, and how a recording ends.

use std::collections::HashMap;
use std::time::Duration;

use crate::stage::{self, ALICE, BOB, CALL, CALLEE_LEG, NEW_LEG, NEW_SEAT, Stage, parse, phone, with_g722};
use hookswitch_call::{
    MediaOp, MediaReport, Party, RecordEnd, RecordNews, RecordOrder, RecordPlan, Recorded, RecordingId, Source, Tracks,
};
use hookswitch_codec::pcmu;
use hookswitch_media::{FileId, FileOrder, FileReport, MAX_RECORDINGS_PER_PARTY, Written};
use hookswitch_rtp::Header;

const FIRST: RecordingId = RecordingId(1);
const SECOND: RecordingId = RecordingId(2);

/// What each party says all the time: a byte of µ-law for each sample.
const ALICES: u8 = 0x20;
const BOBS: u8 = 0x45;
const CAROLS: u8 = 0x5a;

fn sample(byte: u8) -> i16 {
    let mut out = [0];
    pcmu().decoder().expect("audio").decode(&[byte], &mut out);
    out[0]
}

fn packet(ssrc: u32, n: u16, byte: u8) -> Vec<u8> {
    let header =
        Header { marker: false, payload_type: 0, sequence: n, timestamp: u32::from(n).wrapping_mul(160), ssrc };
    let mut packet = vec![byte; 172];
    packet[..12].copy_from_slice(&header.to_bytes());
    packet
}

/// A disk that keeps everything, and a call.
struct Studio {
    stage: Stage,
    n: u16,
    files: HashMap<FileId, File>,
    by_name: HashMap<String, FileId>,
    told: Vec<(RecordingId, RecordNews)>,
}

#[derive(Default, Debug)]
struct File {
    channels: u16,
    rate: u32,
    samples: Vec<i16>,
    length: Option<u64>,
}

fn plan(name: &str) -> RecordPlan {
    RecordPlan::both_sides(name.into())
}

impl Studio {
    fn talking() -> Self {
        Self::with(Stage::talking())
    }

    fn with(stage: Stage) -> Self {
        Self { stage, n: 0, files: HashMap::new(), by_name: HashMap::new(), told: Vec::new() }
    }

    fn order(&mut self, party: Party, recording: RecordingId, order: RecordOrder) -> &mut Self {
        self.stage.perform(MediaOp::Record { call: CALL, party, recording, order });
        self.work();
        self
    }

    fn begin(&mut self, plan: RecordPlan) -> &mut Self {
        self.order(Party::Caller, FIRST, RecordOrder::Begin(Box::new(plan)))
    }

    /// The disk does what it is told, and so does the clock.
    fn work(&mut self) {
        self.stage.run(0);
        let now = self.stage.now;
        while let Some(order) = self.stage.engine.poll_file() {
            match order {
                FileOrder::CreateRecording { file, name, channels, rate } => {
                    self.by_name.insert(name.to_string(), file);
                    self.files.insert(file, File { channels, rate, ..File::default() });
                    self.stage.engine.file_done(now, FileReport::RecordingOpen { file });
                }
                FileOrder::AppendRecording { file, at, samples } => {
                    let kept = self.files.get_mut(&file).expect("an open file");
                    assert_eq!(at * u64::from(kept.channels), kept.samples.len() as u64, "piece follows on piece");
                    let most = kept.rate as usize * usize::from(kept.channels);
                    assert!(samples.len() < most, "less than a second at a time, whatever has piled up");
                    kept.samples.extend(samples);
                }
                FileOrder::FinishRecording { file, length, keep } => {
                    let kept = self.files.get_mut(&file).expect("an open file");
                    assert_eq!(length * u64::from(kept.channels), kept.samples.len() as u64);
                    kept.length = Some(length);
                    let size = if keep { 44 + 2 * kept.samples.len() as u64 } else { 0 };
                    let path = keep.then(|| "/r/a.wav".into());
                    let written = Written { path, length, lost: 0, size, failed: None };
                    self.stage.engine.file_done(now, FileReport::RecordingOver { file, written });
                }
                other => panic!("nothing is played: {other:?}"),
            }
        }
        self.stage.reports();
        for news in self.stage.take_news() {
            if let MediaReport::Recorded { call, recording, news } = news {
                assert_eq!(call, CALL);
                self.told.push((recording, news));
            }
        }
    }

    /// So many frames of 20 ms pass, in which those speak who are named.
    fn talk(&mut self, frames: u16, alice: bool, bob: bool) -> &mut Self {
        for _ in 0..frames {
            if alice {
                self.stage.send(Party::Caller, ALICE, &mut packet(1, self.n, ALICES));
            }
            if bob {
                self.stage.send(Party::Callee, BOB, &mut packet(2, self.n, BOBS));
            }
            self.n = self.n.wrapping_add(1);
            self.stage.run(20);
            self.work();
        }
        self
    }

    fn finish(&mut self) -> &mut Self {
        self.order(Party::Caller, FIRST, RecordOrder::Finish)
    }

    fn file(&self, name: &str) -> &File {
        &self.files[&self.by_name[name]]
    }

    /// What a file of two channels has on the left and on the right.
    fn sides(&self, name: &str) -> (Vec<i16>, Vec<i16>) {
        let file = self.file(name);
        assert_eq!(file.channels, 2);
        file.samples.chunks(2).map(|pair| (pair[0], pair[1])).unzip()
    }

    fn ends(&self) -> Vec<(RecordingId, &Recorded)> {
        let ends = self.told.iter().filter_map(|(id, news)| match news {
            RecordNews::Finished(recorded) => Some((*id, &**recorded)),
            RecordNews::Begun | RecordNews::Loud => None,
        });
        ends.collect()
    }

    fn only_end(&self) -> &Recorded {
        let ends = self.ends();
        assert_eq!(ends.len(), 1, "{:?}", self.told);
        ends[0].1
    }
}

/// Which byte most of these samples are of.
fn mostly(samples: &[i16]) -> Option<u8> {
    [ALICES, BOBS, CAROLS].into_iter().find(|byte| {
        let count = samples.iter().filter(|found| **found == sample(*byte)).count();
        count * 10 > samples.len() * 8
    })
}

#[test]
fn stereo_has_the_party_on_the_left_and_what_it_hears_on_the_right() {
    let mut studio = Studio::talking();
    studio.begin(plan("a.wav")).talk(100, true, true).finish();
    let (left, right) = studio.sides("a.wav");
    assert_eq!((left.len(), right.len()), (16_000, 16_000), "as long as it was");
    assert!(left.iter().all(|found| *found == sample(ALICES)), "sample for sample");
    assert!(right.iter().all(|found| *found == sample(BOBS)), "sample for sample");
    let end = studio.only_end();
    assert_eq!((&*end.file, end.size, &end.reason), ("/r/a.wav", 44 + 64_000, &RecordEnd::Requested));
    assert_eq!((end.duration, end.lost), (Duration::from_secs(2), Duration::ZERO));
    assert_eq!(studio.told[0], (FIRST, RecordNews::Begun));
}

#[test]
fn one_channel_has_either_side_or_both() {
    let mut studio = Studio::talking();
    for (id, name, tracks) in [(1, "in", Tracks::Incoming), (2, "out", Tracks::Outgoing), (3, "both", Tracks::Mixed)] {
        let order = RecordOrder::Begin(Box::new(RecordPlan { tracks, ..plan(name) }));
        studio.order(Party::Caller, RecordingId(id), order);
    }
    studio.talk(50, true, true);
    for id in 1..=3 {
        studio.order(Party::Caller, RecordingId(id), RecordOrder::Finish);
    }
    for (name, value) in
        [("in", sample(ALICES)), ("out", sample(BOBS)), ("both", sample(ALICES).saturating_add(sample(BOBS)))]
    {
        let file = studio.file(name);
        assert_eq!((file.channels, file.samples.len()), (1, 8_000), "{name}");
        assert!(file.samples.iter().all(|found| *found == value), "{name}");
    }
}

#[test]
fn what_came_while_the_machine_stood_still_stands_where_it_belongs_however_much_of_it_is_read_before_a_turn() {
    // How long it stands still, and how many of the packets that have piled up are read first.
    for (packets, first) in [(150, 150), (150, 75), (150, 1), (150, 0), (30, 0), (10, 0)] {
        let mut studio = Studio::talking();
        studio.begin(plan("a.wav")).talk(60, true, true);
        studio.stage.now += Duration::from_millis(20 * packets);
        for n in 0..packets {
            if n == first {
                studio.work();
            }
            studio.stage.send(Party::Caller, ALICE, &mut packet(1, studio.n, ALICES));
            studio.stage.send(Party::Callee, BOB, &mut packet(2, studio.n, BOBS));
            studio.n += 1;
        }
        studio.talk(40, true, true).finish();
        let (left, right) = studio.sides("a.wav");
        let all = (100 + packets as usize) * 160;
        assert_eq!((left.len(), right.len()), (all, all), "{packets}, {first}");
        assert!(left.iter().all(|found| *found == sample(ALICES)), "sample for sample: {packets}, {first}");
        assert!(right.iter().all(|found| *found == sample(BOBS)), "sample for sample: {packets}, {first}");
    }
}

#[test]
fn recordings_that_waited_together_for_the_machine_do_not_have_their_turns_together_from_then_on() {
    let mut studio = Studio::talking();
    studio.begin(plan("a.wav")).talk(10, true, true);
    studio.order(Party::Caller, SECOND, RecordOrder::Begin(Box::new(plan("b.wav"))));
    studio.talk(50, true, true);
    // Everything stands still, and then all of it is due.
    studio.stage.now += Duration::from_secs(3);
    studio.work();
    let lengths = |studio: &Studio| ["a.wav", "b.wav"].map(|name| studio.file(name).samples.len());
    let mut turns = [0; 2];
    for _ in 0..100 {
        let before = lengths(&studio);
        studio.talk(1, true, true);
        let after = lengths(&studio);
        let had = [0, 1].map(|file| usize::from(after[file] > before[file]));
        assert_ne!(had, [1, 1], "both at once");
        turns = [turns[0] + had[0], turns[1] + had[1]];
    }
    assert!(turns.iter().all(|turns| (3..=4).contains(turns)), "every half second: {turns:?}");
}

#[test]
fn silence_and_a_hold_are_as_long_as_they_were() {
    let mut studio = Studio::talking();
    studio.begin(plan("a.wav")).talk(25, true, true).talk(50, false, false).talk(25, true, false).finish();
    let (left, right) = studio.sides("a.wav");
    assert_eq!(left.len(), 16_000);
    assert_eq!((mostly(&left[..4_000]), mostly(&left[12_000..])), (Some(ALICES), Some(ALICES)));
    assert!(left[4_000..12_000].iter().all(|found| *found == 0));
    assert!(right[4_000..].iter().all(|found| *found == 0));
}

#[test]
fn what_a_party_hears_that_is_made_here_is_on_the_right() {
    let mut studio = Studio::talking();
    studio.stage.hear(Party::Caller, Source::Reference);
    studio.begin(plan("a.wav")).talk(100, true, true).finish();
    let (left, right) = studio.sides("a.wav");
    assert_eq!(mostly(&left), Some(ALICES));
    let heard = hookswitch_codec::measure(&right[8_000..], 8_000);
    assert!(heard.dominant_hz.is_some_and(|hz| (hz - 1_004.0).abs() < 5.0), "{heard:?}");
}

#[test]
fn a_party_whose_codec_cannot_be_decoded_is_silent_and_that_is_told() {
    let mut config = stage::with_g722();
    config.codecs = ["G729", "PCMU"].map(|label| hookswitch_codec::by_label(label).expect("a codec")).to_vec();
    let mut stage = Stage::with(config, 8);
    stage.open(Some(&phone(ALICE, "18")));
    stage.make_offer(Party::Callee, CALLEE_LEG).expect("an offer");
    stage.accept(Party::Callee, CALLEE_LEG, &phone(BOB, "18")).expect("agreed");
    stage.make_answer(Party::Caller).expect("an answer");
    stage.hear(Party::Caller, Source::Peer);
    stage.hear(Party::Callee, Source::Peer);
    let mut studio = Studio::with(stage);
    studio.begin(plan("a.wav"));
    for n in 0..50 {
        let mut voice = packet(1, n, ALICES)[..32].to_vec();
        voice[1] = 18;
        studio.stage.send(Party::Caller, ALICE, &mut voice);
        studio.stage.run(20);
        studio.work();
    }
    studio.finish();
    let (left, right) = studio.sides("a.wav");
    assert!(left.iter().chain(&right).all(|sample| *sample == 0));
    assert_eq!(studio.only_end().undecoded.as_deref(), Some("G729"));
    let mut studio = Studio::talking();
    studio.begin(plan("a.wav")).talk(20, true, true).finish();
    assert_eq!(studio.only_end().undecoded, None);
}

#[test]
fn what_comes_from_a_party_on_hold_is_not_recorded() {
    let mut studio = Studio::talking();
    studio.stage.hold(Party::Caller, true);
    studio.begin(plan("a.wav")).talk(50, true, true).finish();
    assert!(studio.sides("a.wav").0.iter().all(|found| *found == 0));
}

#[test]
fn keys_that_are_no_sound_are_silence() {
    let mut studio = Studio::talking();
    studio.begin(plan("a.wav"));
    for n in 0..10 {
        let mut press = packet(1, n, 0);
        press[1] = 101;
        studio.stage.send(Party::Caller, ALICE, &mut press);
        studio.stage.run(20);
    }
    studio.finish();
    assert!(studio.sides("a.wav").0.iter().all(|found| *found == 0));
}

#[test]
fn a_pause_is_left_out() {
    let mut studio = Studio::talking();
    studio.begin(plan("a.wav")).talk(20, true, true);
    studio.order(Party::Caller, FIRST, RecordOrder::Pause).talk(100, true, false);
    studio.order(Party::Caller, FIRST, RecordOrder::Resume).talk(30, false, true).finish();
    let (left, right) = studio.sides("a.wav");
    assert_eq!(left.len(), 8_000);
    assert_eq!((mostly(&left[..3_200]), mostly(&right[3_200..])), (Some(ALICES), Some(BOBS)));
    assert!(left[3_200..].iter().all(|found| *found == 0));
    assert_eq!(studio.only_end().duration, Duration::from_secs(1));
}

#[test]
fn two_recordings_of_one_party_do_not_know_each_other() {
    let mut studio = Studio::talking();
    studio.begin(plan("a.wav")).talk(25, true, true);
    studio.order(Party::Caller, SECOND, RecordOrder::Begin(Box::new(plan("b.wav")))).talk(25, true, true);
    studio.finish().talk(25, true, true);
    studio.order(Party::Caller, SECOND, RecordOrder::Finish);
    assert_eq!(studio.sides("a.wav").0.len(), 8_000);
    assert_eq!(studio.sides("b.wav").0.len(), 8_000);
    assert_eq!(studio.ends().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [FIRST, SECOND]);
}

#[test]
fn the_end_of_the_call_ends_its_recordings_with_all_that_was_said() {
    let mut studio = Studio::talking();
    studio.begin(plan("a.wav")).order(Party::Callee, SECOND, RecordOrder::Begin(Box::new(plan("b.wav"))));
    studio.talk(33, true, true);
    studio.stage.close();
    studio.work();
    assert_eq!(studio.sides("a.wav").0.len(), 33 * 160);
    assert_eq!(mostly(&studio.sides("b.wav").0), Some(BOBS));
    assert!(studio.ends().iter().all(|(_, end)| end.reason == RecordEnd::Closed));
    assert_eq!((studio.ends().len(), studio.stage.engine.recordings()), (2, 0));
    studio.stage.run(1_000);
    assert_eq!(studio.stage.engine.next_tick(), None, "nothing is left to do");
}

#[test]
fn a_recording_begins_when_somebody_speaks_and_ends_when_nobody_does_any_more() {
    let mut studio = Studio::talking();
    // Something that is not only an offset.
    let level = 500;
    studio.begin(RecordPlan { start_above: Some(level), finish_below: Some(level), average: 3, ..plan("a.wav") });
    let voice = |n: u16| {
        let mut voice = packet(1, n, 0x20);
        voice[12..].iter_mut().step_by(2).for_each(|byte| *byte = 0xa0);
        voice
    };
    for n in 0..200 {
        if (50..100).contains(&n) {
            studio.stage.send(Party::Caller, ALICE, &mut voice(n));
        }
        studio.stage.run(20);
        studio.work();
    }
    let end = studio.only_end();
    assert_eq!(end.reason, RecordEnd::BelowPower);
    assert!((980..=1_060).contains(&end.duration.as_millis()), "{:?}", end.duration);
    assert_eq!(studio.told.iter().filter(|(_, news)| *news == RecordNews::Loud).count(), 1);
}

#[test]
fn a_recording_ends_when_it_is_as_long_as_it_may_be() {
    let mut studio = Studio::talking();
    studio.begin(RecordPlan { max: Duration::from_millis(730), ..plan("a.wav") }).talk(100, true, true);
    let end = studio.only_end();
    assert_eq!((&end.reason, end.duration), (&RecordEnd::Timeout, Duration::from_millis(730)));
    assert_eq!(studio.sides("a.wav").0.len(), 5_840);
}

#[test]
fn a_file_is_as_wide_as_the_codec_unless_it_is_told() {
    let mut stage = Stage::with(with_g722(), 8);
    stage.connect(&phone(ALICE, "9 101"), &phone(BOB, "9 101"));
    let mut studio = Studio::with(stage);
    studio.begin(plan("wide.wav"));
    studio.order(
        Party::Caller,
        SECOND,
        RecordOrder::Begin(Box::new(RecordPlan { rate: Some(8_000), ..plan("narrow.wav") })),
    );
    for n in 0..50 {
        let mut said = packet(1, n, 0x55);
        said[1] = 9;
        studio.stage.send(Party::Caller, ALICE, &mut said);
        studio.stage.run(20);
        studio.work();
    }
    studio.finish().order(Party::Caller, SECOND, RecordOrder::Finish);
    for (name, rate) in [("wide.wav", 16_000), ("narrow.wav", 8_000)] {
        let file = studio.file(name);
        assert_eq!((file.rate, file.samples.len()), (rate, 2 * rate as usize), "{name}");
    }
}

#[test]
fn who_takes_the_place_of_a_party_is_recorded_from_then_on() {
    let mut studio = Studio::talking();
    studio.order(Party::Callee, FIRST, RecordOrder::Begin(Box::new(plan("a.wav")))).talk(50, true, true);
    studio.stage.open_spare(Party::Callee);
    studio.stage.make_offer(NEW_SEAT, NEW_LEG).expect("an offer");
    studio.stage.accept(NEW_SEAT, NEW_LEG, &phone(stage::CAROL, "0 101")).expect("usable");
    studio.stage.swap(Party::Callee);
    for n in 0..50 {
        studio.stage.send(Party::Callee, stage::CAROL, &mut packet(9, n, CAROLS));
        studio.stage.send_spare(BOB, &mut packet(2, 500 + n, BOBS));
        studio.stage.run(20);
        studio.work();
    }
    studio.stage.close_spare();
    studio.order(Party::Callee, FIRST, RecordOrder::Finish);
    let (left, _) = studio.sides("a.wav");
    assert_eq!((mostly(&left[..8_000]), mostly(&left[8_000..])), (Some(BOBS), Some(CAROLS)));
    assert_eq!(left.len(), 16_000);
}

#[test]
fn a_file_that_cannot_be_written_ends_the_recording_and_nothing_else() {
    let mut studio = Studio::talking();
    studio.begin(plan("a.wav")).talk(50, true, true);
    let file = studio.by_name["a.wav"];
    let failed = Some("the disk is full".into());
    let written = Written { path: Some("/r/a.wav".into()), length: 100, lost: 0, size: 444, failed };
    studio.stage.engine.file_done(studio.stage.now, FileReport::RecordingOver { file, written });
    let before = studio.file("a.wav").samples.len();
    studio.talk(50, true, true);
    assert_eq!(studio.file("a.wav").samples.len(), before);
    assert_eq!(studio.only_end().reason, RecordEnd::Failed("the disk is full".into()));
    assert_eq!(studio.stage.engine.stats(CALL).expect("the call").caller.sent_packets, 100, "the call goes on");
    // Another one may have the name.
    studio.begin(plan("b.wav")).talk(25, true, true).finish();
    assert_eq!(studio.ends().len(), 2);
}

#[test]
fn a_relayed_packet_is_the_same_whether_it_is_recorded_or_not() {
    let mut studio = Studio::talking();
    studio.begin(plan("a.wav"));
    let mut said = packet(1, 7, ALICES);
    assert!(stage::is_sent(&studio.stage.send(Party::Caller, ALICE, &mut said)));
    assert_eq!(said, packet(1, 7, ALICES));
    assert_eq!(parse(&said).sequence(), 7);
}

#[test]
fn orders_that_mean_nothing_change_nothing() {
    let mut studio = Studio::talking();
    for order in [RecordOrder::Pause, RecordOrder::Resume, RecordOrder::Finish] {
        studio.order(Party::Caller, FIRST, order);
    }
    assert!(studio.told.is_empty() && studio.files.is_empty());
    studio.begin(plan("a.wav")).begin(plan("b.wav")).talk(10, true, true).finish().finish();
    assert_eq!((studio.files.len(), studio.ends().len()), (1, 1));
}

#[test]
fn one_party_has_so_many_recordings_and_no_more() {
    let mut studio = Studio::talking();
    for n in 0..=MAX_RECORDINGS_PER_PARTY as u16 {
        let order = RecordOrder::Begin(Box::new(plan(&format!("{n}.wav"))));
        studio.order(Party::Caller, RecordingId(n), order);
    }
    assert_eq!(studio.files.len(), MAX_RECORDINGS_PER_PARTY);
    let end = studio.only_end();
    assert_eq!(end.reason, RecordEnd::Failed("too many recordings at once".into()));
}

#[test]
fn a_party_that_has_not_answered_is_recorded_as_soon_as_it_is_heard() {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0 101")));
    let mut studio = Studio::with(stage);
    studio.begin(plan("a.wav"));
    studio.stage.make_offer(Party::Callee, CALLEE_LEG).expect("an offer");
    studio.stage.accept(Party::Callee, CALLEE_LEG, &phone(BOB, "0 101")).expect("usable");
    studio.stage.make_answer(Party::Caller).expect("an answer");
    studio.stage.hear(Party::Caller, Source::Peer).hear(Party::Callee, Source::Peer);
    studio.talk(50, true, true).finish();
    assert_eq!(mostly(&studio.sides("a.wav").1), Some(BOBS));
}
