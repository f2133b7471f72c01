//! What the tests of projectrtp and of project-rtp pin down of sounds that are played, packet for packet.

use std::time::Duration;

use crate::originals::{Disk, byte_of, file, play, plays_ended, says, soup};
use crate::stage::{self, ALICE, CALL, Sent, Stage, parse, phone, with_g722};
use hookswitch_call::{Form, MediaOp, Party, PlayControl, PlayEnd, PlayId, Plays, Sound, SoundKind, Soup, Source};
use hookswitch_codec::{by_static_payload_type, frequency_level};
use hookswitch_media::Forward;

const CALLER: Party = Party::Caller;
const PLAY: PlayId = PlayId(1);

/// The bytes that the originals' flat files have: 228, 223 and 220 as they count them.
const FLAT: u8 = 0x99;
const FLAT_2: u8 = 0x31;
const FLAT_3: u8 = 0x45;

/// Alice, to whom nobody but us speaks, and a disk with flat sounds of a second.
fn service(formats: &str) -> (Stage, Disk) {
    let mut stage = Stage::with(with_g722(), 8);
    stage.open(Some(&phone(ALICE, formats)));
    stage.make_answer(CALLER).expect("an answer");
    stage.hear(CALLER, Source::Sounds);
    let disk = Disk::default().with("flat", FLAT, 1_000).with("flat2", FLAT_2, 1_000).with("flat3", FLAT_3, 1_000);
    (stage, disk)
}

/// The bytes of packets, each once and how often in a row.
fn rows(sent: &[Sent]) -> Vec<(u8, usize)> {
    let mut rows: Vec<(u8, usize)> = Vec::new();
    for byte in sent.iter().map(|packet| byte_of(&packet.bytes)) {
        match rows.last_mut() {
            Some((last, count)) if *last == byte => *count += 1,
            _ => rows.push((byte, 1)),
        }
    }
    rows
}

#[test]
fn a_soup_of_nothing_and_one_of_missing_sounds_fail_and_send_nothing() {
    for sounds in [vec![], vec![file("missing")], vec![file("missing"), file("gone")]] {
        let (mut stage, mut disk) = service("0");
        play(&mut stage, CALL, CALLER, PLAY, soup(sounds));
        assert!(disk.run(&mut stage, 500).is_empty());
        assert_eq!(plays_ended(&mut stage), [(1, PlayEnd::Failed, 0)]);
    }
}

#[test]
fn a_sound_of_a_second_is_fifty_packets_of_it() {
    let (mut stage, mut disk) = service("0");
    play(&mut stage, CALL, CALLER, PLAY, soup([file("flat")]));
    assert_eq!(rows(&disk.run(&mut stage, 3_000)), [(FLAT, 50)]);
    assert_eq!(plays_ended(&mut stage), [(1, PlayEnd::Completed, 1_000)]);
}

#[test]
fn what_goes_round_for_ever_does_so_whether_the_soup_says_it_or_the_sound() {
    let round = Sound { plays: Plays::Forever, ..file("flat") };
    let of_sound = soup([round, file("flat2")]);
    let of_soup = Soup { plays: Plays::Forever, ..soup([file("flat")]) };
    for soup in [of_sound, of_soup] {
        let (mut stage, mut disk) = service("0");
        play(&mut stage, CALL, CALLER, PLAY, soup);
        // Longer than the sound more than four times over: it went round.
        assert_eq!(rows(&disk.run(&mut stage, 4_400)), [(FLAT, 220)]);
        assert_eq!(plays_ended(&mut stage), []);
    }
}

#[test]
fn what_is_to_be_played_twice_is_a_hundred_packets() {
    let (mut stage, mut disk) = service("0");
    play(&mut stage, CALL, CALLER, PLAY, Soup { plays: Plays::Times(2), ..soup([file("flat")]) });
    assert_eq!(rows(&disk.run(&mut stage, 4_000)), [(FLAT, 100)]);
    assert_eq!(plays_ended(&mut stage), [(1, PlayEnd::Completed, 2_000)]);
}

#[test]
fn loops_within_loops_and_pieces_of_sounds_come_in_their_order() {
    let (mut stage, mut disk) = service("0");
    let twice = Sound { plays: Plays::Times(2), ..file("flat") };
    let piece = Sound {
        start: Duration::from_millis(40),
        stop: Some(Duration::from_millis(100)),
        plays: Plays::Times(2),
        ..file("flat2")
    };
    let sounds = soup([twice, piece, file("flat"), file("flat3")]);
    play(&mut stage, CALL, CALLER, PLAY, Soup { plays: Plays::Times(2), ..sounds });
    let once = [(FLAT, 100), (FLAT_2, 6), (FLAT, 50), (FLAT_3, 50)];
    assert_eq!(rows(&disk.run(&mut stage, 10_000)), [once, once].concat());
    assert_eq!(plays_ended(&mut stage), [(1, PlayEnd::Completed, 2 * 4_120)]);
}

#[test]
fn two_cadences_of_british_ringing_take_six_seconds_of_which_four_are_from_the_first_burst_to_the_last() {
    let (mut stage, mut disk) = service("0");
    let ringing = Form { kind: SoundKind::Tone, name: "400+450*0.5/0/400+450*0.5/0:400/200/400/2000".into() };
    let sound = Sound { forms: vec![ringing], stop: Some(Duration::from_millis(6_000)), ..file("flat") };
    play(&mut stage, CALL, CALLER, PLAY, soup([sound]));
    let sent = disk.run(&mut stage, 8_000);
    assert_eq!(sent.len(), 300);
    let (samples, rate) = stage::heard(0, &sent.iter().collect::<Vec<_>>());
    let is_loud =
        |frame: &[i16]| frequency_level(frame, rate, 400.0) > -30.0 && frequency_level(frame, rate, 450.0) > -30.0;
    let loud: Vec<bool> = samples.chunks(800).map(is_loud).collect();
    let burst = |from: usize| (from..from + 4).collect::<Vec<_>>();
    let expected: Vec<usize> = [0, 6, 30, 36].into_iter().flat_map(burst).collect();
    assert_eq!((0..60).filter(|tenth| loud[*tenth]).collect::<Vec<_>>(), expected);
    assert_eq!(plays_ended(&mut stage), [(1, PlayEnd::Completed, 6_000)]);
}

#[test]
fn a_long_sound_is_played_to_its_end_after_and_before_a_short_one() {
    let (mut stage, disk) = service("9");
    let mut disk = disk.with("long", FLAT, 52_000);
    play(&mut stage, CALL, CALLER, PLAY, soup([file("flat2"), file("long"), file("flat2")]));
    let sent = disk.run(&mut stage, 60_000);
    assert_eq!(sent.len(), 54 * 50, "to the packet");
    assert_eq!(plays_ended(&mut stage), [(1, PlayEnd::Completed, 54_000)]);
    assert_eq!(disk.open_files(), 0);
}

#[test]
fn twenty_sounds_that_replace_each_other_at_once_leave_only_the_last() {
    let (mut stage, mut disk) = service("0");
    for n in 0..20 {
        play(&mut stage, CALL, CALLER, PlayId(n), soup([file(if n == 19 { "flat" } else { "flat2" })]));
        // Now and then the disk has had time to open one.
        if n % 3 == 0 {
            disk.serve(&mut stage);
        }
    }
    assert_eq!(rows(&disk.run(&mut stage, 2_000)), [(FLAT, 50)]);
    let ended = plays_ended(&mut stage);
    let expected: Vec<_> =
        (0..19).map(|n| (n, PlayEnd::Replaced, 0)).chain([(19, PlayEnd::Completed, 1_000)]).collect();
    assert_eq!((ended, disk.open_files()), (expected, 0));
}

#[test]
fn ten_short_pieces_follow_on_each_other() {
    let (mut stage, mut disk) = service("0");
    let piece = |n: u64| Sound {
        start: Duration::from_millis(100 * n),
        stop: Some(Duration::from_millis(100 * n + 60)),
        ..file(if n.is_multiple_of(2) { "flat" } else { "flat2" })
    };
    play(&mut stage, CALL, CALLER, PLAY, soup((0..10).map(piece)));
    let expected: Vec<_> = (0..10).map(|n| (if n % 2 == 0 { FLAT } else { FLAT_2 }, 3)).collect();
    assert_eq!(rows(&disk.run(&mut stage, 1_000)), expected);
}

#[test]
fn ten_calls_that_end_while_they_are_played_to_leave_nothing_open() {
    for _ in 0..10 {
        let (mut stage, mut disk) = service("0");
        play(&mut stage, CALL, CALLER, PLAY, Soup { plays: Plays::Forever, ..soup([file("flat")]) });
        assert_eq!(disk.run(&mut stage, 200).len(), 10);
        let told = stage.perform(MediaOp::Close { call: CALL });
        stage.news.extend(told);
        assert_eq!(plays_ended(&mut stage), [(1, PlayEnd::Closed, 200)]);
        assert!(disk.run(&mut stage, 1_000).is_empty());
        assert_eq!((disk.open_files(), stage.engine.next_tick(), stage.ports.free()), (0, None, 16));
    }
}

#[test]
fn silence_that_goes_round_is_silent_and_sent() {
    let (mut stage, mut disk) = service("0");
    let silence = Form { kind: SoundKind::Tone, name: "0:1000".into() };
    let sound = Sound { forms: vec![silence], plays: Plays::Forever, ..file("flat") };
    play(&mut stage, CALL, CALLER, PLAY, soup([sound]));
    assert_eq!(rows(&disk.run(&mut stage, 3_000)), [(0xff, 150)]);
}

#[test]
fn a_key_ends_what_may_be_interrupted_and_nothing_else() {
    for interrupt in [true, false] {
        let (mut stage, mut disk) = service("0 101");
        play(&mut stage, CALL, CALLER, PLAY, Soup { interrupt, ..soup([file("flat")]) });
        disk.run(&mut stage, 200);
        let mut key = says(101, 1, 5, 0);
        key.truncate(16);
        key[12..].copy_from_slice(&[4, 10, 0, 160]);
        let forward = stage.send(CALLER, ALICE, &mut key);
        assert!(matches!(forward, Forward::Drop(_)), "{forward:?}");
        let more = disk.run(&mut stage, 2_000).len();
        let (expected, packets) =
            if interrupt { ((1, PlayEnd::TelephoneEvent, 200), 0) } else { ((1, PlayEnd::Completed, 1_000), 40) };
        assert_eq!((plays_ended(&mut stage), more), (vec![expected], packets));
    }
}

#[test]
fn whatever_is_played_can_be_stopped_by_name() {
    let (mut stage, mut disk) = service("0");
    play(&mut stage, CALL, CALLER, PLAY, soup([file("flat")]));
    assert_eq!(disk.run(&mut stage, 400).len(), 20);
    let op = |control| MediaOp::ControlPlay { call: CALL, party: CALLER, play: PLAY, control };
    let reports = stage.perform(op(PlayControl::Stop));
    stage.news.extend(reports);
    assert!(disk.run(&mut stage, 400).is_empty());
    assert_eq!(plays_ended(&mut stage), [(1, PlayEnd::Stopped, 400)]);
}

/// Every kind of file there is, each under its own name.
fn all_forms() -> Vec<Form> {
    let kinds = [
        (SoundKind::Wav, "wav"),
        (SoundKind::Pcmu, "pcmu"),
        (SoundKind::Pcma, "pcma"),
        (SoundKind::L168k, "l168k"),
        (SoundKind::L1616k, "l1616k"),
        (SoundKind::G722, "g722"),
    ];
    kinds.into_iter().map(|(kind, name)| Form { kind, name: name.into() }).collect()
}

#[test]
fn the_file_that_suits_the_codec_is_taken_in_the_originals_order() {
    let orders = [
        (0, ["pcmu", "pcma", "l168k", "l1616k", "g722", "wav"]),
        (8, ["pcma", "pcmu", "l168k", "l1616k", "g722", "wav"]),
        (9, ["g722", "l1616k", "l168k", "pcma", "pcmu", "wav"]),
    ];
    for (number, order) in orders {
        let mut left = all_forms();
        for (place, best) in order.into_iter().enumerate() {
            let (mut stage, disk) = service(&number.to_string());
            let names = order.into_iter().enumerate();
            // Each says its own place, so that what is heard says which was taken.
            let mut disk = names.fold(disk, |disk, (place, name)| disk.with(name, 0x80 + 8 * place as u8, 400));
            play(&mut stage, CALL, CALLER, PLAY, soup([Sound { forms: left.clone(), ..file("wav") }]));
            let sent = disk.run(&mut stage, 400);
            assert_eq!(sent.len(), 20);
            let (samples, _) = stage::heard(number, &sent.iter().collect::<Vec<_>>());
            let expected = hookswitch_codec::g711::linear_from_ulaw(0x80 + 8 * place as u8);
            let last = samples[samples.len() - 1];
            // G.711 of the other law and G.722 come near it; the next place is further away than that.
            let off = (i32::from(last) - i32::from(expected)).abs();
            assert!(off <= i32::from(expected.abs()) / 16 + 64, "{number}: {best} is {expected} and not {last}");
            left.retain(|form| form.name != best);
        }
        assert!(left.is_empty() && by_static_payload_type(number).is_some());
    }
}

#[test]
fn another_version_of_a_soup_at_the_same_place_goes_on_without_a_jump() {
    let (mut stage, mut disk) = service("0");
    play(&mut stage, CALL, CALLER, PLAY, soup([file("flat"), file("flat2")]));
    let mut sent = disk.run(&mut stage, 400);
    play(&mut stage, CALL, CALLER, PLAY, soup([file("flat"), file("flat3")]));
    sent.extend(disk.run(&mut stage, 3_000));
    assert_eq!(rows(&sent), [(FLAT, 50), (FLAT_3, 50)]);
    let headers: Vec<_> = sent.iter().map(|packet| parse(&packet.bytes).header()).collect();
    assert!(headers.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1)));
}
