//! What the tests of projectrtp pin down of recordings: lengths to the sample, and what is told in which order.

use std::time::Duration;

use crate::originals::{Disk, begin, record, says, told_of_recordings};
use crate::stage::{self, ALICE, BOB, CALL, Stage, phone};
use hookswitch_call::{Party, RecordNews, RecordOrder, RecordPlan, Source, Tracks};
use hookswitch_codec::g711::{linear_from_ulaw, ulaw_from_linear};

const CALLER: Party = Party::Caller;

/// Alice, who hears herself, and what the disk has.
fn echo() -> (Stage, Disk) {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0 101")));
    stage.make_answer(CALLER).expect("an answer");
    stage.hear(CALLER, Source::Echo);
    (stage, Disk::default())
}

/// The recording in two channels: what she says, and what she hears.
fn plan(name: &str) -> RecordPlan {
    RecordPlan::both_sides(name.into())
}

/// She says these packets, one every 20 ms.
fn say(stage: &mut Stage, disk: &mut Disk, packets: impl IntoIterator<Item = Vec<u8>>) {
    for mut packet in packets {
        stage.send(CALLER, ALICE, &mut packet);
        disk.run(stage, 20);
    }
}

/// Packets of which each says its own number.
fn numbered(numbers: std::ops::Range<u16>) -> impl Iterator<Item = Vec<u8>> {
    numbers.map(|n| says(0, n, 25, n as u8))
}

/// A tone of 100 Hz at this amplitude, in packets of these numbers.
fn tone(numbers: std::ops::Range<u16>, amplitude: f64) -> impl Iterator<Item = Vec<u8>> {
    numbers.map(move |n| {
        let mut packet = says(0, n, 25, 0);
        for (place, byte) in packet[12..].iter_mut().enumerate() {
            let angle = std::f64::consts::TAU * 100.0 * (usize::from(n) * 160 + place) as f64 / 8_000.0;
            *byte = ulaw_from_linear((amplitude * angle.sin()) as i16);
        }
        packet
    })
}

fn finish(stage: &mut Stage, disk: &mut Disk, recording: u16) {
    record(stage, CALL, CALLER, recording, RecordOrder::Finish);
    disk.run(stage, 40);
}

/// What was told, and of an end the reason and the milliseconds.
fn told(stage: &mut Stage) -> Vec<(u16, &'static str, u128)> {
    let name = |(recording, news)| match news {
        RecordNews::Begun => (recording, "begun", 0),
        RecordNews::Loud => (recording, "loud", 0),
        RecordNews::Finished(end) => (recording, end.reason.name(), end.duration.as_millis()),
    };
    told_of_recordings(stage).into_iter().map(name).collect()
}

#[test]
fn a_second_of_two_channels_is_a_file_of_32_044_bytes_with_every_sample_in_its_place() {
    let (mut stage, mut disk) = echo();
    begin(&mut stage, CALL, CALLER, 1, plan("a.wav"));
    say(&mut stage, &mut disk, numbered(0..50));
    finish(&mut stage, &mut disk, 1);
    let tape = &disk.tapes["a.wav"];
    assert_eq!((tape.channels, tape.rate, tape.bytes(), tape.is_finished), (2, 8_000, 32_044, true));
    let (said, heard) = tape.sides();
    let expected: Vec<i16> = (0..50).flat_map(|n| [linear_from_ulaw(n); 160]).collect();
    assert!(said == expected && heard == expected, "she says it on the left, and hears it on the right");
    assert_eq!(told(&mut stage), [(1, "begun", 0), (1, "requested", 1_000)]);
}

#[test]
fn the_end_of_the_call_is_the_end_of_the_file_at_once() {
    let (mut stage, mut disk) = echo();
    begin(&mut stage, CALL, CALLER, 1, plan("a.wav"));
    say(&mut stage, &mut disk, numbered(0..50));
    stage.close();
    let closed = stage.now;
    disk.serve(&mut stage);
    assert!(disk.tapes["a.wav"].is_finished && stage.now == closed, "no time has to pass");
    assert_eq!(disk.tapes["a.wav"].bytes(), 32_044);
    assert_eq!(told(&mut stage), [(1, "begun", 0), (1, "closed", 1_000)]);
    stage.run(1_000);
    assert_eq!((disk.open_files(), stage.engine.next_tick()), (0, None), "and nothing is left to do");
}

#[test]
fn a_recording_that_is_paused_at_400_ms_has_400_ms() {
    let (mut stage, mut disk) = echo();
    begin(&mut stage, CALL, CALLER, 1, RecordPlan { tracks: Tracks::Incoming, ..plan("a.wav") });
    say(&mut stage, &mut disk, numbered(0..20));
    record(&mut stage, CALL, CALLER, 1, RecordOrder::Pause);
    say(&mut stage, &mut disk, numbered(20..50));
    finish(&mut stage, &mut disk, 1);
    let tape = &disk.tapes["a.wav"];
    assert_eq!((tape.channels, tape.ms(), tape.bytes()), (1, 400, 6_444));
    assert_eq!(told(&mut stage), [(1, "begun", 0), (1, "requested", 400)], "a pause is not told");
}

#[test]
fn after_a_pause_the_same_file_goes_on_where_it_was() {
    let (mut stage, mut disk) = echo();
    begin(&mut stage, CALL, CALLER, 1, RecordPlan { tracks: Tracks::Incoming, ..plan("a.wav") });
    say(&mut stage, &mut disk, numbered(0..10));
    record(&mut stage, CALL, CALLER, 1, RecordOrder::Pause);
    say(&mut stage, &mut disk, numbered(10..20));
    record(&mut stage, CALL, CALLER, 1, RecordOrder::Resume);
    say(&mut stage, &mut disk, numbered(20..30));
    finish(&mut stage, &mut disk, 1);
    let expected: Vec<i16> = (0..10).chain(20..30).flat_map(|n| [linear_from_ulaw(n); 160]).collect();
    assert_eq!(disk.tapes["a.wav"].samples, expected);
}

#[test]
fn a_recording_with_levels_is_as_long_as_somebody_is_loud() {
    let (mut stage, mut disk) = echo();
    let average = 20;
    begin(
        &mut stage,
        CALL,
        CALLER,
        1,
        RecordPlan { start_above: Some(40), finish_below: Some(80), average, ..plan("a.wav") },
    );
    // Two seconds of silence, two of a tone, and two of silence.
    say(&mut stage, &mut disk, tone(0..100, 0.0));
    assert!(disk.tapes["a.wav"].samples.is_empty(), "nothing yet");
    say(&mut stage, &mut disk, tone(100..200, 15_000.0));
    say(&mut stage, &mut disk, tone(200..300, 0.0));
    let told = told(&mut stage);
    let [(1, "begun", 0), (1, "loud", 0), (1, "below_power", ms)] = told[..] else { panic!("{told:?}") };
    // The mean of 20 packets falls below the level as the last loud one leaves it.
    assert_eq!(ms, 2_000 + 20 * u128::from(average));
    assert_eq!(disk.tapes["a.wav"].ms() as u128, ms);
}

#[test]
fn the_longest_time_counts_from_the_first_loud_packet() {
    let (mut stage, mut disk) = echo();
    let max = Duration::from_millis(500);
    begin(
        &mut stage,
        CALL,
        CALLER,
        1,
        RecordPlan { start_above: Some(40), finish_below: Some(80), average: 50, max, ..plan("a.wav") },
    );
    say(&mut stage, &mut disk, tone(0..100, 0.0));
    say(&mut stage, &mut disk, tone(100..200, 15_000.0));
    let tape = &disk.tapes["a.wav"];
    assert_eq!((tape.ms(), tape.bytes()), (500, 16_044));
    assert_eq!(told(&mut stage), [(1, "begun", 0), (1, "loud", 0), (1, "timeout", 500)]);
}

#[test]
fn of_two_recordings_one_waits_for_a_level_and_the_other_has_everything() {
    let (mut stage, mut disk) = echo();
    begin(&mut stage, CALL, CALLER, 1, plan("all.wav"));
    begin(
        &mut stage,
        CALL,
        CALLER,
        2,
        RecordPlan { start_above: Some(40), finish_below: Some(200), average: 10, ..plan("loud.wav") },
    );
    say(&mut stage, &mut disk, tone(0..100, 0.0));
    say(&mut stage, &mut disk, tone(100..200, 15_000.0));
    say(&mut stage, &mut disk, tone(200..250, 0.0));
    stage.close();
    disk.serve(&mut stage);
    assert_eq!((disk.tapes["all.wav"].ms(), disk.tapes["loud.wav"].ms()), (5_000, 2_200));
    let told = told(&mut stage);
    let events: Vec<_> = told.iter().map(|(recording, what, _)| (*recording, *what)).collect();
    assert_eq!(events, [(1, "begun"), (2, "begun"), (2, "loud"), (2, "below_power"), (1, "closed")]);
}

#[test]
fn a_talk_between_two_laws_and_widths_is_recorded_on_both_sides() {
    let mut stage = Stage::with(stage::with_g722(), 8);
    stage.connect(&phone(ALICE, "0 101"), &phone(BOB, "9 101"));
    let mut disk = Disk::default();
    begin(&mut stage, CALL, CALLER, 1, plan("narrow.wav"));
    begin(&mut stage, CALL, Party::Callee, 2, plan("wide.wav"));
    let mut encoder = hookswitch_codec::by_static_payload_type(9).and_then(|codec| codec.encoder()).expect("G.722");
    for (n, mut from_alice) in (0..100).zip(tone(0..100, 8_000.0)) {
        let wide: Vec<i16> = (0..320)
            .map(|place| {
                let angle = std::f64::consts::TAU * 400.0 * f64::from(u32::from(n) * 320 + place) / 16_000.0;
                (8_000.0 * angle.sin()) as i16
            })
            .collect();
        let mut from_bob = says(9, n, 6, 0);
        encoder.encode(&wide, &mut from_bob[12..]);
        stage.send(CALLER, ALICE, &mut from_alice);
        stage.pass(Party::Callee, BOB, &from_bob);
        disk.run(&mut stage, 20);
    }
    for (party, recording) in [(CALLER, 1), (Party::Callee, 2)] {
        record(&mut stage, CALL, party, recording, RecordOrder::Finish);
    }
    disk.run(&mut stage, 40);
    for (name, rate, said, heard) in [("narrow.wav", 8_000, 100.0, 400.0), ("wide.wav", 16_000, 400.0, 100.0)] {
        let tape = &disk.tapes[name];
        assert_eq!((tape.channels, tape.rate), (2, rate), "{name}");
        let (left, right) = tape.sides();
        for (side, hz, other) in [(left, said, heard), (right, heard, said)] {
            let settled = &side[rate as usize / 4..rate as usize * 7 / 4];
            let level = |hz| hookswitch_codec::frequency_level(settled, rate, hz);
            assert!(level(hz) > -15.0 && level(other) < -40.0, "{name}: {} dB and {} dB", level(hz), level(other));
        }
    }
}
