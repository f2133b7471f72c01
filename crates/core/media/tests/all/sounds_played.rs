//! Sounds that are played to a party.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::stage::{self, ALICE, BOB, CALL, Sent, Stage, at, parse, phone, rtp};
use hookswitch_call::{
    Audience, Form, MAX_SOUNDS, MediaOp, MediaReport, Party, PlayControl, PlayEnd, PlayId, PlayNews, Plays, Sound,
    SoundKind, Soup, Source,
};
use hookswitch_codec::g711::linear_from_ulaw;
use hookswitch_codec::measure;
use hookswitch_media::{FileError, FileId, FileOrder, FileReport, MAX_STALL_MS};
use hookswitch_rtp::{Header, TelephoneEvent};

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;
const PLAY: PlayId = PlayId(1);

/// Files whose samples all stand for one byte of µ-law.
#[derive(Default)]
struct Disk {
    files: HashMap<&'static str, (u8, u64)>,
    open: BTreeMap<u32, (FileId, u8, u64, u64)>,
    /// Everything that was opened, in order: which, at which rate, from where.
    opened: Vec<(String, u32, u128)>,
    /// It answers nothing.
    stands_still: bool,
    waiting: Vec<FileOrder>,
}

impl Disk {
    /// A file of so many milliseconds.
    fn with(mut self, name: &'static str, byte: u8, ms: u64) -> Self {
        self.files.insert(name, (byte, ms));
        self
    }

    fn serve(&mut self, stage: &mut Stage) {
        self.waiting.extend(std::iter::from_fn(|| stage.engine.poll_file()));
        if self.stands_still {
            return;
        }
        for order in std::mem::take(&mut self.waiting) {
            let file = match order {
                FileOrder::OpenSound { file, name, rate, from, .. } => {
                    self.opened.push((name.to_string(), rate, from.as_millis()));
                    let Some((byte, ms)) = self.files.get(&*name) else {
                        let report = FileReport::SoundFailed { file, why: FileError::NotFound };
                        stage.engine.file_done(stage.now, report);
                        continue;
                    };
                    let per_ms = u64::from(rate / 1_000);
                    let left = ms.saturating_sub(from.as_millis() as u64) * per_ms;
                    self.open.insert(file.serial, (file, *byte, left, u64::from(rate)));
                    file
                }
                FileOrder::ReadSound { file } => file,
                FileOrder::CloseSound { file } => {
                    self.open.remove(&file.serial).expect("only what is open is closed");
                    continue;
                }
                other => panic!("nothing is recorded: {other:?}"),
            };
            let (_, byte, left, rate) = self.open.get_mut(&file.serial).expect("only what is open is read");
            let count = (*left).min(*rate);
            *left -= count;
            let samples = vec![linear_from_ulaw(*byte); count as usize].into();
            let last = *left == 0;
            if last {
                self.open.remove(&file.serial);
            }
            stage.engine.file_done(stage.now, FileReport::Sound { file, samples, last });
        }
    }

    /// Lets time pass, a beat at a time.
    fn run(&mut self, stage: &mut Stage, ms: u64) -> Vec<Sent> {
        let mut sent = Vec::new();
        self.serve(stage);
        for _ in 0..ms / 20 {
            sent.extend(stage.run(20).into_iter().filter(|packet| packet.to == at(ALICE)));
            self.serve(stage);
        }
        sent
    }
}

/// A caller that is connected to nobody but us.
fn service(formats: &str) -> Stage {
    let mut stage = Stage::with(stage::with_g722(), 8);
    stage.open(Some(&phone(ALICE, formats)));
    stage.make_answer(CALLER).expect("an answer");
    stage.hear(CALLER, Source::Sounds);
    stage
}

fn file(name: &str) -> Sound {
    Sound::of(SoundKind::Wav, name)
}

fn soup(sounds: impl IntoIterator<Item = Sound>) -> Soup {
    Soup { sounds: sounds.into_iter().collect(), ..Soup::default() }
}

fn play(stage: &mut Stage, play: PlayId, soup: Soup) {
    let (soup, to) = (Arc::new(soup), Audience::Party);
    let reports = stage.perform(MediaOp::Play { call: CALL, party: CALLER, play, soup, to });
    assert!(reports.iter().all(|report| matches!(report, MediaReport::Played { .. })), "{reports:?}");
    stage.news.extend(reports);
}

fn control(stage: &mut Stage, control: PlayControl) {
    let reports = stage.perform(MediaOp::ControlPlay { call: CALL, party: CALLER, play: PLAY, control });
    stage.news.extend(reports);
}

/// What was told of what is played: which, what, after how many milliseconds of it.
fn told(stage: &mut Stage) -> Vec<(u32, PlayNews, u128)> {
    let more = stage.reports();
    let all = std::mem::take(&mut stage.news).into_iter().chain(more);
    all.filter_map(|report| match report {
        MediaReport::Played { play, news, position, .. } => Some((play.0, news, position.as_millis())),
        _ => None,
    })
    .collect()
}

fn ended(play: u32, end: PlayEnd, position: u128) -> (u32, PlayNews, u128) {
    (play, PlayNews::Ended(end), position)
}

fn started(play: u32) -> (u32, PlayNews, u128) {
    (play, PlayNews::Started, 0)
}

/// What is heard, as runs of equal bytes and their lengths in milliseconds.
fn runs(sent: &[Sent]) -> Vec<(u8, usize)> {
    let mut runs: Vec<(u8, usize)> = Vec::new();
    for byte in sent.iter().flat_map(|packet| parse(&packet.bytes).payload().to_vec()) {
        match runs.last_mut() {
            Some((last, count)) if *last == byte => *count += 1,
            _ => runs.push((byte, 1)),
        }
    }
    runs.into_iter().map(|(byte, count)| (byte, count / 8)).collect()
}

/// What fills the last frame.
const SILENCE: u8 = 0xff;

#[test]
fn sounds_follow_each_other_without_a_gap_between_samples() {
    let mut disk = Disk::default().with("a", 0x10, 1_230).with("b", 0x20, 2_510).with("c", 0x30, 5);
    let mut stage = service("0 101");
    play(&mut stage, PLAY, soup([file("a"), file("b"), file("c"), file("a")]));
    let sent = disk.run(&mut stage, 6_000);
    assert_eq!(runs(&sent), [(0x10, 1_230), (0x20, 2_510), (0x30, 5), (0x10, 1_230), (SILENCE, 5)]);
    assert_eq!(told(&mut stage), [started(1), ended(1, PlayEnd::Completed, 4_975)]);
    assert!(disk.open.is_empty() && stage.engine.next_tick().is_none_or(|at| at > stage.now + Duration::from_secs(1)));
    for (n, packet) in sent.iter().enumerate() {
        let first = parse(&sent[0].bytes);
        let packet = parse(&packet.bytes);
        assert_eq!(packet.sequence(), first.sequence().wrapping_add(n as u16));
        assert_eq!(packet.timestamp(), first.timestamp().wrapping_add(160 * n as u32));
        assert_eq!((packet.ssrc(), packet.marker()), (first.ssrc(), n == 0));
    }
}

#[test]
fn sounds_and_the_whole_soup_are_repeated() {
    let mut disk = Disk::default().with("a", 0x10, 100).with("b", 0x20, 60);
    let mut stage = service("0");
    let twice = Sound { plays: Plays::Times(2), ..file("a") };
    play(&mut stage, PLAY, Soup { sounds: vec![twice, file("b")], plays: Plays::Times(2), interrupt: false });
    let sent = disk.run(&mut stage, 1_000);
    assert_eq!(runs(&sent), [(0x10, 200), (0x20, 60), (0x10, 200), (0x20, 60)]);
    assert_eq!(told(&mut stage), [started(1), ended(1, PlayEnd::Completed, 520)]);
}

#[test]
fn what_is_repeated_for_ever_goes_on_until_somebody_stops_it() {
    let mut disk = Disk::default().with("a", 0x10, 100).with("b", 0x20, 40);
    let mut stage = service("0");
    play(&mut stage, PLAY, Soup { plays: Plays::Forever, ..soup([file("a"), file("b")]) });
    let sent = disk.run(&mut stage, 14_000);
    let expected: Vec<_> = std::iter::repeat_n([(0x10, 100), (0x20, 40)], 100).flatten().collect();
    assert_eq!(runs(&sent), expected);
    control(&mut stage, PlayControl::Stop);
    assert!(disk.run(&mut stage, 200).is_empty());
    assert_eq!(told(&mut stage), [started(1), ended(1, PlayEnd::Stopped, 14_000)]);
    assert!(disk.open.is_empty());
}

#[test]
fn a_sound_begins_and_ends_where_it_is_told_to() {
    let mut disk = Disk::default().with("a", 0x10, 5_000).with("b", 0x20, 3_000);
    let mut stage = service("0");
    let slice = |name, start, stop: Option<u64>| Sound {
        start: Duration::from_millis(start),
        stop: stop.map(Duration::from_millis),
        ..file(name)
    };
    play(&mut stage, PLAY, soup([slice("a", 1_000, Some(1_250)), slice("b", 2_900, None), slice("a", 0, Some(2_100))]));
    let sent = disk.run(&mut stage, 4_000);
    assert_eq!(runs(&sent), [(0x10, 250), (0x20, 100), (0x10, 2_100), (SILENCE, 10)]);
    assert_eq!(disk.opened.iter().map(|(_, _, from)| *from).collect::<Vec<_>>(), [1_000, 2_900, 0]);
    assert!(disk.open.is_empty(), "what is not read to its end is closed");
}

#[test]
fn a_missing_sound_is_told_once_and_left_out() {
    let mut disk = Disk::default().with("a", 0x10, 100);
    let mut stage = service("0");
    let often = Sound { plays: Plays::Forever, ..file("none") };
    play(&mut stage, PLAY, Soup { plays: Plays::Times(3), ..soup([file("a"), often]) });
    let sent = disk.run(&mut stage, 1_000);
    assert_eq!(runs(&sent), [(0x10, 300)]);
    let told = told(&mut stage);
    let [first, (_, PlayNews::Missing { sound, why }, 100), last] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((&**sound, &**why), ("none", "there is no such file"));
    assert_eq!([first, last], [&started(1), &ended(1, PlayEnd::Completed, 300)]);
}

#[test]
fn a_soup_of_which_nothing_can_be_played_fails_and_does_not_go_round() {
    for plays in [Plays::ONCE, Plays::Forever] {
        let mut disk = Disk::default().with("empty", 0x10, 0);
        let mut stage = service("0");
        let bad_tone = Sound::of(SoundKind::Tone, "nonsense");
        play(&mut stage, PLAY, Soup { plays, ..soup([file("none"), file("empty"), bad_tone]) });
        assert!(disk.run(&mut stage, 400).is_empty());
        let told = told(&mut stage);
        assert_eq!(told.len(), 4, "{told:?}");
        assert_eq!(told[3], ended(1, PlayEnd::Failed, 0));
    }
    let mut stage = service("0");
    play(&mut stage, PLAY, Soup::default());
    Disk::default().run(&mut stage, 100);
    assert_eq!(told(&mut stage), [ended(1, PlayEnd::Failed, 0)]);
}

#[test]
fn the_form_that_suits_the_codec_is_played() {
    use SoundKind::{G722, Ilbc, L168k, L1616k, Pcma, Pcmu, Wav};
    let all = [Wav, Ilbc, L168k, G722, L1616k, Pcma, Pcmu];
    let name = |kind: SoundKind| match kind {
        Pcmu => "pcmu",
        Pcma => "pcma",
        G722 => "g722",
        L168k => "l168k",
        L1616k => "l1616k",
        _ => "other",
    };
    let orders = [
        ("0", ["pcmu", "pcma", "l168k", "l1616k", "g722"]),
        ("8", ["pcma", "pcmu", "l168k", "l1616k", "g722"]),
        ("9", ["g722", "l1616k", "l168k", "pcma", "pcmu"]),
    ];
    for (formats, order) in orders {
        let mut disk = Disk::default();
        let mut stage = service(formats);
        let forms = all.map(|kind| Form { kind, name: name(kind).into() }).to_vec();
        play(&mut stage, PLAY, soup([Sound { forms, ..file("") }]));
        disk.run(&mut stage, 400);
        let rate = if formats == "9" { 16_000 } else { 8_000 };
        let expected: Vec<_> = order.iter().map(|name| ((*name).to_owned(), rate, 0)).collect();
        assert_eq!(disk.opened[..5], expected, "each is tried when the better ones are not there");
        assert!(matches!(told(&mut stage).as_slice(), [(_, PlayNews::Missing { .. }, _), _]), "told once");
    }
}

/// Packets of a key that the caller presses.
fn press(stage: &mut Stage, digit: char) {
    let event = TelephoneEvent::event_of(digit).expect("a key");
    for n in 0..3u16 {
        let payload = TelephoneEvent { event, end: n == 2, volume: 10, duration: 160 * (n + 1) };
        let header = Header { marker: n == 0, payload_type: 101, sequence: 500 + n, timestamp: 7, ssrc: 99 };
        let mut packet = vec![0; 16];
        let room = header.write(&mut packet).expect("room");
        payload.write(room).expect("room");
        stage.send(CALLER, ALICE, &mut packet);
    }
}

#[test]
fn a_key_interrupts_what_may_be_interrupted() {
    for interrupt in [true, false] {
        let mut disk = Disk::default().with("a", 0x10, 10_000);
        let mut stage = service("0 101");
        play(&mut stage, PLAY, Soup { interrupt, ..soup([file("a")]) });
        disk.run(&mut stage, 1_000);
        assert_eq!(told(&mut stage), [started(1)]);
        press(&mut stage, '5');
        let sent = disk.run(&mut stage, 1_000);
        let told = told(&mut stage);
        if interrupt {
            assert!(sent.is_empty());
            assert_eq!(told, [ended(1, PlayEnd::TelephoneEvent, 1_000)]);
            assert!(disk.open.is_empty());
        } else {
            assert_eq!(runs(&sent), [(0x10, 1_000)]);
            assert_eq!(told, []);
        }
    }
}

#[test]
fn keys_are_told_where_nobody_else_could_take_them() {
    let mut stage = service("0 101");
    press(&mut stage, '#');
    stage.reports();
    let keys = stage.take_news();
    let [MediaReport::Digit { party: CALLER, digit, .. }] = keys.as_slice() else { panic!("{keys:?}") };
    assert_eq!((digit.key, digit.time), ('#', Duration::from_millis(60)));
    stage.hear(CALLER, Source::Echo);
    press(&mut stage, '1');
    stage.reports();
    assert_eq!(stage.take_news(), [], "who hears itself hears its keys");
}

#[test]
fn another_version_of_a_soup_does_not_jump() {
    let mut disk = Disk::default().with("hold", 0x10, 4_000).with("two", 0x20, 100).with("one", 0x30, 100);
    let mut stage = service("0");
    let forever = |last| Soup { plays: Plays::Forever, ..soup([file("hold"), file(last)]) };
    play(&mut stage, PLAY, forever("two"));
    let mut sent = disk.run(&mut stage, 1_000);
    play(&mut stage, PLAY, forever("one"));
    sent.extend(disk.run(&mut stage, 3_500));
    assert_eq!(runs(&sent), [(0x10, 4_000), (0x30, 100), (0x10, 400)]);
    play(&mut stage, PLAY, soup([file("two")]));
    assert_eq!(runs(&disk.run(&mut stage, 200)), [(0x20, 100)], "another sound begins at once");
    assert_eq!(told(&mut stage), [started(1), ended(1, PlayEnd::Completed, 4_600)]);
}

#[test]
fn what_is_played_next_replaces_what_is_played() {
    let mut disk = Disk::default().with("a", 0x10, 4_000).with("b", 0x20, 100);
    let mut stage = service("0");
    for n in 0..20 {
        play(&mut stage, PlayId(n), soup([file("a")]));
        if n % 2 == 0 {
            disk.run(&mut stage, 20);
        }
    }
    play(&mut stage, PlayId(20), soup([file("b")]));
    let sent = disk.run(&mut stage, 1_000);
    assert_eq!(runs(&sent), [(0x20, 100)]);
    let told = told(&mut stage);
    let ends = |n| told.iter().filter(|(play, news, _)| *play == n && matches!(news, PlayNews::Ended(_))).count();
    assert!((0..=20).all(|n| ends(n) == 1), "each has its end, once");
    assert_eq!(told.last(), Some(&ended(20, PlayEnd::Completed, 100)));
    assert!(disk.open.is_empty());
}

#[test]
fn a_disk_that_stands_still_makes_a_pause_and_nothing_is_lost() {
    let mut disk = Disk::default().with("a", 0x10, 5_000);
    let mut stage = service("0");
    play(&mut stage, PLAY, soup([file("a")]));
    disk.run(&mut stage, 500);
    disk.stands_still = true;
    let heard = disk.run(&mut stage, 3_000);
    assert_eq!(runs(&heard), [(0x10, 1_500)], "a second is read ahead of the one that is played");
    disk.stands_still = false;
    let mut rest = disk.run(&mut stage, 3_200);
    assert_eq!(runs(&rest), [(0x10, 3_000)]);
    let first = rest.remove(0);
    assert!(parse(&first.bytes).marker());
    let gap = parse(&first.bytes).timestamp().wrapping_sub(parse(&heard.last().unwrap().bytes).timestamp());
    assert!((8 * 1_500..8 * 1_600).contains(&gap), "the clock went on: {gap}");
    assert_eq!(told(&mut stage), [started(1), ended(1, PlayEnd::Completed, 5_000)]);
}

#[test]
fn a_sound_that_never_comes_is_left_out() {
    let mut disk = Disk { stands_still: true, ..Disk::default() };
    let mut stage = service("0");
    play(&mut stage, PLAY, soup([file("a"), Sound::of(SoundKind::Tone, "425:100")]));
    disk.run(&mut stage, u64::from(MAX_STALL_MS) + 500);
    let told = told(&mut stage);
    let [(1, PlayNews::Missing { why, .. }, 0), _, last] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(&**why, "it did not come in time");
    assert_eq!(last, &ended(1, PlayEnd::Completed, 100));
    assert!(matches!(disk.waiting.as_slice(), [FileOrder::OpenSound { .. }, FileOrder::CloseSound { .. }]));
}

#[test]
fn playing_pauses_seeks_and_changes_its_volume() {
    let mut disk = Disk::default().with("a", 0x10, 10_000);
    let mut stage = service("0");
    play(&mut stage, PLAY, soup([file("a")]));
    disk.run(&mut stage, 1_000);
    control(&mut stage, PlayControl::Pause);
    assert!(disk.run(&mut stage, 2_000).is_empty());
    control(&mut stage, PlayControl::Resume);
    assert_eq!(runs(&disk.run(&mut stage, 1_000)), [(0x10, 1_000)]);
    control(&mut stage, PlayControl::Gain(-6));
    let [(quiet, 1_000)] = runs(&disk.run(&mut stage, 1_000))[..] else { panic!("another level, and no gap") };
    let ratio = f32::from(linear_from_ulaw(quiet)) / f32::from(linear_from_ulaw(0x10));
    assert!((ratio - 0.5).abs() < 0.03, "{ratio}");
    control(&mut stage, PlayControl::Gain(i8::MIN));
    assert_eq!(runs(&disk.run(&mut stage, 1_000)), [(SILENCE, 1_000)]);
    control(&mut stage, PlayControl::Gain(0));
    control(&mut stage, PlayControl::Seek(Duration::from_millis(9_500)));
    assert_eq!(runs(&disk.run(&mut stage, 1_000)), [(0x10, 500)]);
    assert_eq!(disk.opened.last(), Some(&("a".to_owned(), 8_000, 9_500)));
    assert_eq!(told(&mut stage), [started(1), ended(1, PlayEnd::Completed, 4_500)]);
    assert!(disk.open.is_empty());
    control(&mut stage, PlayControl::Stop);
    assert_eq!(told(&mut stage), [], "it is over already");
}

#[test]
fn seeking_beyond_the_end_of_a_sound_is_its_end() {
    let cut = || Sound { stop: Some(Duration::from_secs(2)), ..file("a") };
    let tone = || Sound::of(SoundKind::Tone, "425:3000");
    for (first, to) in [(cut(), 2), (cut(), 4), (file("a"), 5), (file("a"), 3_600), (tone(), 3), (tone(), 100)] {
        for is_first in [false, true] {
            let mut disk = Disk::default().with("a", 0x10, 5_000).with("b", 0x20, 100);
            let mut stage = service("0");
            let sounds = if is_first { vec![first.clone(), file("b")] } else { vec![first.clone()] };
            play(&mut stage, PLAY, soup(sounds));
            disk.run(&mut stage, 1_000);
            assert_eq!(told(&mut stage), [started(1)]);
            control(&mut stage, PlayControl::Seek(Duration::from_secs(to)));
            let sent = disk.run(&mut stage, 160);
            let (heard, ms): (Vec<(u8, usize)>, u128) =
                if is_first { (vec![(0x20, 100)], 1_100) } else { (vec![], 1_000) };
            assert_eq!(runs(&sent), heard, "{first:?} to {to} s");
            assert_eq!(told(&mut stage), [ended(1, PlayEnd::Completed, ms)], "{first:?} to {to} s");
            assert!(disk.open.is_empty());
        }
    }
}

#[test]
fn a_sound_that_is_to_end_before_it_begins_is_told_at_once() {
    let mut disk = Disk::default().with("a", 0x10, 5_000);
    let mut stage = service("0");
    let (start, stop) = (Duration::from_secs(2), Some(Duration::from_secs(2)));
    play(&mut stage, PLAY, soup([Sound { start, stop, ..file("a") }]));
    assert!(disk.run(&mut stage, 100).is_empty());
    let told = told(&mut stage);
    let [(1, PlayNews::Missing { why, .. }, 0), last] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(&**why, "there is nothing to be heard of it");
    assert_eq!(last, &ended(1, PlayEnd::Failed, 0));
}

#[test]
fn another_form_of_a_sound_begins_where_the_first_was_to_go_on() {
    let mut disk = Disk::default().with("a", 0x10, 10_000);
    let mut stage = service("0");
    let forms = [(SoundKind::Pcmu, "none"), (SoundKind::Wav, "a")];
    let forms = forms.map(|(kind, name)| Form { kind, name: name.into() }).into_iter().collect();
    play(&mut stage, PLAY, soup([Sound { forms, start: Duration::from_secs(1), ..file("a") }]));
    disk.run(&mut stage, 1_000);
    control(&mut stage, PlayControl::Seek(Duration::from_secs(8)));
    disk.run(&mut stage, 3_000);
    let opened: Vec<_> = disk.opened.iter().map(|(name, _, from)| (name.as_str(), *from)).collect();
    assert_eq!(opened, [("none", 1_000), ("a", 1_000), ("none", 8_000), ("a", 8_000)]);
    let told = told(&mut stage);
    assert!(matches!(told.as_slice(), [_, (1, PlayNews::Ended(PlayEnd::Completed), 2_900..=3_000)]), "{told:?}");
}

#[test]
fn tones_are_made_while_they_are_played() {
    let mut stage = service("9 101");
    let tone = Sound { plays: Plays::Times(2), ..Sound::of(SoundKind::Tone, "350+440*0.3/0:400/200") };
    play(
        &mut stage,
        PLAY,
        soup([tone, Sound { stop: Some(Duration::from_secs(1)), ..Sound::of(SoundKind::Tone, "1000*0.3:10") }]),
    );
    let sent = Disk::default().run(&mut stage, 4_000);
    let (samples, rate) = stage::heard(9, &sent.iter().collect::<Vec<_>>());
    assert_eq!((samples.len(), rate), (16 * 2_200, 16_000));
    let part = |from: usize, to: usize| measure(&samples[16 * from..16 * to], rate);
    assert!(!part(20, 390).is_silent() && part(430, 590).level_dbfs < -40.0 && !part(620, 980).is_silent());
    let hz = part(1_300, 2_100).dominant_hz.expect("a tone");
    assert!((hz - 1_000.0).abs() < 3.0, "{hz}");
}

#[test]
fn meanwhile_the_other_party_is_not_heard_and_afterwards_it_is_in_the_same_stream() {
    let mut disk = Disk::default().with("a", 0x10, 200);
    let mut stage = Stage::talking();
    stage.stream(CALLER, ALICE, 1, 1, 10);
    stage.stream(CALLEE, BOB, 2, 1, 10);
    play(&mut stage, PLAY, soup([file("a")]));
    let sent = disk.run(&mut stage, 100);
    assert!(!stage::is_sent(&stage.send(CALLEE, BOB, &mut rtp(0, 11, 2))), "the caller hears what is played");
    assert!(stage::is_sent(&stage.send(CALLER, ALICE, &mut rtp(0, 11, 1))), "the callee hears the caller");
    let rest = disk.run(&mut stage, 200);
    let mut back = rtp(0, 12, 2);
    assert!(stage::is_sent(&stage.send(CALLEE, BOB, &mut back)));
    let last = parse(&rest.last().or(sent.last()).unwrap().bytes);
    assert_eq!(parse(&back).ssrc(), last.ssrc());
    assert_eq!(parse(&back).sequence(), last.sequence().wrapping_add(1));
}

#[test]
fn music_on_hold_comes_first_and_what_is_played_waits() {
    let mut disk = Disk::default().with("a", 0x10, 500);
    let mut stage = service("0");
    play(&mut stage, PLAY, soup([file("a")]));
    assert_eq!(runs(&disk.run(&mut stage, 200)), [(0x10, 200)]);
    assert_eq!(told(&mut stage), [started(1)]);
    stage.hear(CALLER, Source::Hold);
    let music = disk.run(&mut stage, 5_000);
    assert!(music.len() == 250 && !runs(&music).contains(&(0x10, 300)));
    stage.hear(CALLER, Source::Sounds);
    assert_eq!(runs(&disk.run(&mut stage, 1_000)), [(0x10, 300)]);
    assert_eq!(told(&mut stage), [ended(1, PlayEnd::Completed, 500)]);
}

#[test]
fn another_codec_in_the_middle_goes_on_at_the_same_place() {
    let mut disk = Disk::default().with("a", 0x10, 3_000);
    let mut stage = service("0");
    play(&mut stage, PLAY, soup([file("a")]));
    disk.run(&mut stage, 1_000);
    assert_eq!(told(&mut stage), [started(1)]);
    stage.reoffer(CALLER, &phone(ALICE, "9")).expect("an answer");
    let sent = disk.run(&mut stage, 3_000);
    assert_eq!(disk.opened, [("a".to_owned(), 8_000, 0), ("a".to_owned(), 16_000, 1_000)]);
    assert!((99..=101).contains(&sent.len()), "{}", sent.len());
    assert!(sent.iter().all(|packet| parse(&packet.bytes).payload_type() == 9));
    assert_eq!(told(&mut stage), [ended(1, PlayEnd::Completed, 3_000)]);
}

#[test]
fn the_end_of_the_call_is_the_end_of_it_and_files_are_closed() {
    for ms in [0, 20, 500, 1_500] {
        let mut disk = Disk::default().with("a", 0x10, 10_000);
        let mut stage = service("0");
        play(&mut stage, PLAY, soup([file("a")]));
        disk.run(&mut stage, ms);
        let reports = stage.perform(MediaOp::Close { call: CALL });
        stage.news.extend(reports);
        disk.serve(&mut stage);
        assert_eq!(told(&mut stage).last(), Some(&ended(1, PlayEnd::Closed, u128::from(ms))));
        assert!(disk.open.is_empty());
        assert_eq!(stage.engine.next_tick(), None);
    }
    let mut stage = Stage::new();
    play(&mut stage, PLAY, soup([file("a")]));
    assert_eq!(told(&mut stage), [ended(1, PlayEnd::Closed, 0)], "there is no such call");
}

#[test]
fn nobody_is_played_anything_before_there_is_a_session() {
    let mut disk = Disk::default().with("a", 0x10, 100);
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0")));
    play(&mut stage, PLAY, soup([file("a")]));
    assert!(disk.run(&mut stage, 1_000).is_empty());
    stage.make_answer(CALLER).expect("an answer");
    assert_eq!(runs(&disk.run(&mut stage, 1_000)), [(0x10, 100)]);
}

#[test]
fn a_soup_has_so_many_sounds_and_no_more() {
    let mut stage = service("0");
    let tone = || Sound::of(SoundKind::Tone, "425:20");
    play(&mut stage, PLAY, soup(std::iter::repeat_with(tone).take(MAX_SOUNDS + 10)));
    Disk::default().run(&mut stage, 5_000);
    assert_eq!(told(&mut stage).last(), Some(&ended(1, PlayEnd::Completed, 20 * MAX_SOUNDS as u128)));
}
