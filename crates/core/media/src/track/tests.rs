use hookswitch_codec::{by_static_payload_type, pcmu, telephone_event};
use hookswitch_rtp::Header;

use super::*;

const BEGAN: Time = Duration::from_secs(1_800_000_000);
const RATE: u32 = 8_000;
/// Of 20 ms at 8 kHz.
const FRAME: i64 = 160;

struct Tape {
    track: Track,
    now: Time,
}

impl Tape {
    fn new() -> Self {
        Self { track: Track::new(BEGAN, RATE), now: BEGAN }
    }

    fn at(&mut self, ms: u64) -> &mut Self {
        self.now = BEGAN + Duration::from_millis(ms);
        self
    }

    /// A packet of 20 ms whose samples all have the value that belongs to `byte`.
    fn packet(&mut self, ssrc: u32, sequence: u16, timestamp: u32, byte: u8) -> &mut Self {
        let header = Header { marker: false, payload_type: 0, sequence, timestamp, ssrc };
        let mut packet = vec![byte; 12 + 160];
        packet[..12].copy_from_slice(&header.to_bytes());
        self.track.put(self.now, pcmu(), &packet);
        self
    }

    /// The packet of that number of a stream that begins at zero.
    fn nth(&mut self, n: u16) -> &mut Self {
        self.packet(1, n, u32::from(n) * 160, value(n))
    }

    /// All there is up to a moment, frame by frame: which packet each is of, where all its samples are of one.
    fn frames(&mut self, until_ms: u64) -> Vec<Option<i16>> {
        let limit = until_ms as i64 * i64::from(RATE) / 1_000;
        self.track.render(limit);
        let samples = self.track.take(limit);
        assert_eq!(self.track.from(), limit);
        let whole = samples.chunks(FRAME as usize).map(|frame| {
            let first = frame.first().copied()?;
            frame.iter().all(|sample| *sample == first).then_some(first)
        });
        whole.collect()
    }
}

/// Another byte for each of sixteen packets, none of them silence.
fn value(n: u16) -> u8 {
    0x10 + (n % 16) as u8
}

fn sample(n: u16) -> Option<i16> {
    let mut out = [0];
    pcmu().decoder()?.decode(&[value(n)], &mut out);
    Some(out[0])
}

const SILENCE: Option<i16> = Some(0);

#[test]
fn packets_stand_where_their_timestamps_say_whenever_they_come() {
    let mut tape = Tape::new();
    // Jitter, but for the first.
    for (n, late) in [(0, 0), (1, 35), (2, 17), (3, 60), (4, 41)] {
        tape.at(20 * u64::from(n) + late).nth(n);
    }
    assert_eq!(tape.frames(100), [0, 1, 2, 3, 4].map(sample));
}

#[test]
fn a_packet_that_was_overtaken_finds_its_place_and_one_that_comes_twice_counts_once() {
    let mut tape = Tape::new();
    for n in [0, 2, 1, 1, 4, 3, 4] {
        tape.at(100).nth(n);
    }
    let frames = tape.frames(200);
    assert_eq!(frames[..5], [SILENCE; 5]);
    assert_eq!(frames[5..], [0, 1, 2, 3, 4].map(sample));
}

/// All samples up to a moment, in two turns.
fn samples(tape: &mut Tape, turn_ms: i64, until_ms: i64) -> Vec<i16> {
    let mut all = Vec::new();
    for limit in [turn_ms * 8, until_ms * 8] {
        tape.track.render(limit);
        all.extend(tape.track.take(limit));
    }
    all
}

#[test]
fn what_is_lost_is_made_up_for_with_what_was_there_for_60_ms_at_most_wherever_a_turn_ends() {
    for turn_ms in [10, 100, 115, 120, 125, 140, 200] {
        let mut tape = Tape::new();
        // Half a second at a time: the voice of five packets, then eight that are lost.
        for n in [0u16, 1, 2, 3, 4, 13, 14] {
            tape.at(20 * u64::from(n)).packet(1, n, u32::from(n) * 160, value(3));
        }
        let samples = samples(&mut tape, turn_ms, 300);
        let voice = sample(3).expect("a sample");
        assert_eq!(samples.len(), 300 * 8, "as long as it was");
        assert!(samples[..110 * 8].iter().all(|sample| *sample == voice), "the first 10 ms as they were: {turn_ms}");
        assert!(samples[110 * 8 + 1..160 * 8].is_sorted_by_key(|sample| -sample.abs()), "softer: {turn_ms}");
        assert!(samples[130 * 8].abs() > voice.abs() / 4 && samples[130 * 8].abs() < voice.abs(), "{turn_ms}");
        assert!(samples[160 * 8..260 * 8].iter().all(|sample| *sample == 0), "and then silence: {turn_ms}");
        assert!(samples[270 * 8..].iter().all(|sample| *sample == voice), "it is back: {turn_ms}");
    }
}

#[test]
fn a_loss_that_is_longer_than_the_wait_and_a_pause_are_silence() {
    let mut tape = Tape::new();
    tape.at(0).nth(0);
    tape.track.render(480);
    tape.at(300).nth(15);
    assert_eq!(tape.frames(320)[1..15], [SILENCE; 14], "nobody knew that something was to come");
    let mut pause = Tape::new();
    pause.at(0).nth(0).at(60).packet(1, 1, 480, value(1));
    assert_eq!(pause.frames(80), [sample(0), SILENCE, SILENCE, sample(1)]);
}

#[test]
fn a_packet_that_comes_after_its_time_was_given_away_moves_nothing() {
    let mut tape = Tape::new();
    tape.at(0).nth(0).at(40).nth(2);
    assert_eq!(tape.frames(60)[0], sample(0));
    tape.at(60).nth(1).nth(3);
    assert_eq!(tape.frames(80), [sample(3)]);
}

#[test]
fn a_talkspurt_after_silence_keeps_the_time_of_the_wall() {
    let mut tape = Tape::new();
    tape.at(0).nth(0).at(200).packet(1, 1, 1_600, value(10));
    let frames = tape.frames(220);
    assert_eq!((frames[0], frames[10]), (sample(0), sample(10)));
    assert!(frames[1..10].iter().all(|frame| *frame == SILENCE));
}

#[test]
fn another_source_begins_where_it_comes() {
    let mut tape = Tape::new();
    tape.at(0).nth(0).at(20).packet(2, 9_000, 77_777, value(7)).at(40).packet(2, 9_001, 77_937, value(8));
    assert_eq!(tape.frames(60), [0, 7, 8].map(sample));
}

#[test]
fn a_clock_that_begins_anew_is_believed_at_the_third_packet() {
    let mut tape = Tape::new();
    tape.at(0).nth(0);
    for n in 1..5u16 {
        tape.at(20 * u64::from(n)).packet(1, n, 1_000_000_000 + u32::from(n) * 160, value(n));
    }
    assert_eq!(tape.frames(100), [sample(0), SILENCE, SILENCE, sample(3), sample(4)]);
}

#[test]
fn packets_that_the_network_held_back_for_too_long_are_left_out_and_move_nothing() {
    for (told_of, at_once) in [(100, true), (100, false), (13, true)] {
        let mut tape = Tape::new();
        for n in 0..50 {
            tape.at(20 * u64::from(n)).nth(n);
        }
        // What was said meanwhile comes when it has been written already.
        let now = 20 * u64::from(50 + told_of);
        let written = now - 40;
        tape.at(now).frames(written);
        for n in 0..told_of {
            let apart = if at_once { 0 } else { u64::from(n) };
            tape.at(now + apart).nth(50 + n);
        }
        for n in 0..100 {
            tape.at(now + 100 + 20 * u64::from(n)).nth(50 + told_of + n);
        }
        // The first two of them came in time.
        let heard = tape.frames(now + 2_000);
        let expected: Vec<_> = (0..102).map(|n| sample(48 + told_of + n)).collect();
        assert_eq!(heard, expected, "{told_of} packets, at once: {at_once}");
    }
}

#[test]
fn a_phone_that_is_later_for_good_is_placed_when_it_comes() {
    let mut tape = Tape::new();
    for n in 0..50 {
        tape.at(20 * u64::from(n)).nth(n);
    }
    tape.at(1_500).frames(1_300);
    // Its timestamps did not go on while it was silent.
    for n in 0..10 {
        tape.at(1_500 + 20 * u64::from(n)).nth(50 + n);
    }
    let heard = tape.frames(1_700);
    assert_eq!(heard[..12], [SILENCE; 12], "and the first two");
    assert_eq!(heard[12..], [52, 53, 54, 55, 56, 57, 58, 59].map(sample));
}

#[test]
fn timestamps_and_sequence_numbers_wrap() {
    let mut tape = Tape::new();
    for n in 0..4u16 {
        tape.at(20 * u64::from(n));
        tape.packet(1, 65_534u16.wrapping_add(n), (u32::MAX - 200).wrapping_add(u32::from(n) * 160), value(n));
    }
    assert_eq!(tape.frames(80), [0, 1, 2, 3].map(sample));
}

/// How far the place of the last of many packets is from the moment that it came, in milliseconds, if the clock of
/// its phone is this much faster than ours.
fn apart_after(minutes: u64, ppm: i64) -> i64 {
    let mut tape = Tape::new();
    let packets = minutes * 60 * 50;
    let mut given = 0;
    for n in 0..packets {
        let us = 20_000 * n as i64 * (1_000_000 - ppm) / 1_000_000;
        tape.now = BEGAN + Duration::from_micros(us as u64);
        let timestamp = (n as u32).wrapping_mul(160);
        tape.packet(1, n as u16, timestamp, value(n as u16));
        if n % 25 == 0 {
            let limit = tape.track.place_at(tape.now.saturating_sub(PATIENCE)).max(given);
            tape.track.render(limit);
            given += tape.track.take(limit).len() as i64;
        }
    }
    let last = tape.track.waiting.back().expect("the last packet");
    (last.place - tape.track.place_at(tape.now)) * 1_000 / i64::from(RATE)
}

#[test]
fn a_clock_that_runs_apart_is_followed_for_an_hour() {
    for ppm in [-200, 200] {
        let apart = apart_after(60, ppm);
        assert!(apart.abs() <= 10, "{apart} ms at {ppm} ppm");
    }
}

#[test]
fn a_first_packet_that_came_late_does_not_make_all_the_others_late() {
    let mut tape = Tape::new();
    tape.at(150).nth(0);
    for n in 1..4_000u16 {
        tape.at(20 * u64::from(n)).nth(n);
        if n % 25 == 0 {
            tape.frames(20 * u64::from(n).saturating_sub(10));
        }
    }
    let last = tape.track.waiting.back().expect("the last packet");
    let ahead = last.place - tape.track.place_at(tape.now);
    assert!(ahead.abs() <= 40, "{ahead} samples");
}

#[test]
fn the_rate_of_the_file_is_kept_whatever_the_codec() {
    let g722 = by_static_payload_type(9).expect("G.722");
    for (codec, rate) in [(pcmu(), 16_000), (g722, 8_000), (g722, 16_000)] {
        let mut track = Track::new(BEGAN, rate);
        for n in 0..50u16 {
            let now = BEGAN + Duration::from_millis(20 * u64::from(n));
            let header = Header { marker: false, payload_type: 0, sequence: n, timestamp: u32::from(n) * 160, ssrc: 1 };
            let mut packet = vec![0x55; 12 + 160];
            packet[..12].copy_from_slice(&header.to_bytes());
            track.put(now, codec, &packet);
        }
        track.render(0);
        track.render(i64::from(rate));
        assert_eq!(track.samples.len(), rate as usize, "{} in a file of {rate} Hz", codec.name);
    }
}

#[test]
fn a_flood_is_bounded() {
    let mut tape = Tape::new();
    for n in 0..2 * MAX_WAITING as u16 {
        tape.at(0).packet(1, n, u32::from(n) * 8, 1);
    }
    assert_eq!(tape.track.waiting.len(), MAX_WAITING);
    let mut large = Tape::new();
    for n in 0..200u16 {
        let header = Header { marker: false, payload_type: 0, sequence: n, timestamp: u32::from(n), ssrc: 1 };
        let mut packet = vec![0; 12 + 2_000];
        packet[..12].copy_from_slice(&header.to_bytes());
        large.track.put(BEGAN, pcmu(), &packet);
    }
    assert!(large.track.bytes.len() <= MAX_WAITING_BYTES && large.track.waiting.len() > 100);
}

#[test]
fn what_is_no_rtp_and_what_cannot_be_decoded_is_nothing() {
    let mut tape = Tape::new();
    tape.track.put(BEGAN, pcmu(), &[1, 2, 3]);
    tape.track.put(BEGAN, telephone_event(), &[0x80; 16]);
    assert_eq!(tape.frames(20), [SILENCE]);
}

#[test]
fn a_skip_leaves_out_what_was_before_it() {
    let mut tape = Tape::new();
    tape.at(0).nth(0);
    tape.track.skip_to(BEGAN + Duration::from_millis(20));
    tape.at(20).nth(1);
    tape.track.render(320);
    assert_eq!(tape.track.take(320).len(), 160);
}

/// How loud samples are, in dB below the loudest there is.
fn below_full(samples: &[i16]) -> f64 {
    let square = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64;
    -10.0 * (square / f64::from(i16::MAX).powi(2)).log10()
}

impl Tape {
    /// Comfort noise of a level.
    fn noise(&mut self, sequence: u16, timestamp: u32, level: u8) -> &mut Self {
        let header = Header { marker: false, payload_type: 13, sequence, timestamp, ssrc: 1 };
        let packet = [&header.to_bytes()[..], &[level]].concat();
        self.track.put(self.now, comfort_noise(), &packet);
        self
    }

    fn samples(&mut self, until_ms: u64) -> Vec<i16> {
        let limit = until_ms as i64 * i64::from(RATE) / 1_000;
        self.track.render(limit);
        self.track.take(limit)
    }
}

#[test]
fn a_pause_sounds_as_its_party_says_until_somebody_speaks() {
    let mut tape = Tape::new();
    tape.at(0).nth(0).at(20).noise(1, 160, 50).at(500).noise(2, 4_000, 30);
    tape.at(1_000).packet(1, 3, 8_000, value(3)).at(1_020).packet(1, 4, 8_160, value(4));
    let heard = tape.samples(1_200);
    assert_eq!(heard.len(), 9_600);
    assert_eq!(heard[..160], [sample(0).unwrap(); 160]);
    for (from, to, level) in [(160, 4_000, 50.0), (4_800, 8_000, 30.0)] {
        let found = below_full(&heard[from..to]);
        assert!((found - level).abs() < 1.0, "{found} dB instead of {level} from sample {from} on");
    }
    assert_eq!(heard[8_000..8_160], [sample(3).unwrap(); 160]);
    assert_eq!(heard[8_160..8_320], [sample(4).unwrap(); 160]);
    assert_eq!(heard[8_320..], [0; 1_280], "another pause, of which nothing was said");
}

#[test]
fn a_pause_of_which_nothing_is_said_stays_silence() {
    let mut tape = Tape::new();
    tape.at(0).nth(0).at(20).noise(1, 160, 40);
    let header = Header { marker: false, payload_type: 13, sequence: 2, timestamp: 1_600, ssrc: 1 };
    tape.at(200);
    tape.track.put(tape.now, comfort_noise(), &header.to_bytes());
    let heard = tape.samples(600);
    assert!((below_full(&heard[160..1_600]) - 40.0).abs() < 1.0);
    assert_eq!(heard[1_600..], [0; 3_200], "an empty payload takes it back");
    assert_eq!(tape.track.undecoded(), None);
}

#[test]
fn what_a_burst_took_is_given_back() {
    let mut tape = Tape::new();
    // A machine that stood still finds the packets of four seconds.
    tape.at(4_000);
    for n in 0..200 {
        tape.nth(n);
    }
    tape.samples(4_200);
    for second in 5..7 {
        for n in 0..50 {
            tape.at(second * 1_000 + 20 * u64::from(n)).nth(250 + n);
        }
        tape.samples(second * 1_000 + 1_000);
    }
    let held = (tape.track.bytes.capacity(), tape.track.waiting.capacity(), tape.track.samples.capacity());
    assert!(held.0 <= 8_000 && held.1 <= 64 && held.2 <= 8_000, "{held:?}");
}
