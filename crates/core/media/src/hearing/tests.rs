//! One listener and what a network may do to it.

use std::time::Duration;

use hookswitch_codec::{Encoder, by_label, by_static_payload_type, measure, pcmu};
use hookswitch_rtp::Header;
use proptest::prelude::*;

use super::*;

const BEGIN: Time = Duration::from_secs(1_800_000_000);
const HZ: f64 = 440.0;

/// How much older sound may be than the jitter and a step of what is known of it ask for, in milliseconds: what the last
/// packet of a frame may have to spare, and that this frame may begin in the one before.
const OLDEST: f64 = (SPARE_MS + FRAME_MS as i64) as f64;

/// Somebody who says one long tone, packet by packet.
struct Speaker {
    codec: &'static Codec,
    encoder: Encoder,
    ms: u32,
    header: Header,
    said: usize,
}

impl Speaker {
    fn new(payload_type: u8, ms: u32) -> Self {
        let codec = by_static_payload_type(payload_type).expect("a codec");
        Self::of(codec, codec.encoder().expect("audio"), ms)
    }

    fn of(codec: &'static Codec, encoder: Encoder, ms: u32) -> Self {
        let payload_type = codec.static_payload_type.unwrap_or(111);
        // Both wrap soon.
        let header = Header { payload_type, sequence: 65_500, timestamp: u32::MAX - 9_000, ssrc: 7, marker: false };
        Self { codec, encoder, ms, header, said: 0 }
    }

    /// Opus for somebody who has said that it loses packets, and makes use of what is sent twice; or not.
    fn opus(lossy: bool) -> Self {
        let codec = by_label("opus").expect("Opus");
        let mut encoder = codec.encoder_at(48_000, Some("useinbandfec=1")).expect("audio");
        encoder.expect_loss(if lossy { 20 } else { 0 });
        Self::of(codec, encoder, 20)
    }

    fn samples(&mut self, count: usize) -> Vec<i16> {
        let rate = f64::from(self.codec.sample_rate);
        let sine = |place: usize| 8_000.0 * (std::f64::consts::TAU * HZ * place as f64 / rate).sin();
        let samples = (self.said..self.said + count).map(|place| sine(place) as i16).collect();
        self.said += count;
        samples
    }

    fn packet(&mut self) -> Vec<u8> {
        let samples = self.samples(self.codec.samples_in(self.ms));
        let mut payload = vec![0; samples.len()];
        let count = self.encoder.encode(&samples, &mut payload);
        let mut bytes = vec![0; 12 + count];
        self.header.write_packet(&payload[..count], &mut bytes).expect("room");
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(self.codec.ticks_in(self.ms));
        bytes
    }

    /// Says nothing for a while.
    fn pause(&mut self, ms: u32) {
        self.said += self.codec.samples_in(ms);
        self.header.timestamp = self.header.timestamp.wrapping_add(self.codec.ticks_in(ms));
    }
}

/// What comes when, in milliseconds after the beginning.
type Coming = Vec<(f64, Vec<u8>)>;

fn at(ms: f64) -> Time {
    BEGIN + Duration::from_nanos((ms * 1e6) as u64)
}

/// A listener, the frames that it has heard, and how old each was when it was played: milliseconds after it could
/// have come at best.
struct Listener {
    hearing: Hearing,
    frames: Vec<(Heard, Vec<i16>)>,
    ages: Vec<f64>,
}

impl Listener {
    /// Hears all that comes, at a beat that begins seven milliseconds after the first packet.
    fn hears(mut coming: Coming, codec: &'static Codec) -> Self {
        coming.sort_by(|a, b| a.0.total_cmp(&b.0));
        let hearing = Hearing::new(codec.sample_rate);
        let mut listener = Self { hearing, frames: Vec::new(), ages: Vec::new() };
        let mut beat = 7.0;
        let end = coming.last().map_or(0.0, |(ms, _)| *ms);
        let mut coming = coming.into_iter().peekable();
        while beat < end + 40.0 {
            while let Some((ms, bytes)) = coming.next_if(|(ms, _)| *ms <= beat) {
                let packet = Packet::parse(&bytes).expect("a packet");
                listener.hearing.put(at(ms), &packet, codec);
            }
            listener.beat(at(beat));
            beat += 20.0;
        }
        listener
    }

    fn beat(&mut self, now: Time) {
        let mut out = vec![0; (self.hearing.rate * FRAME_MS / 1_000) as usize];
        let heard = self.hearing.frame(now, &mut out);
        let hearing = &self.hearing;
        let played = hearing.stamp - hearing.in_ticks(hearing.ready.len()) - hearing.jitter.in_ticks(20);
        self.ages.push(hearing.jitter.age(now, played) as f64 * 1e3 / f64::from(hearing.clock_rate()));
        self.frames.push((heard, out));
    }

    fn count(&self, wanted: Heard) -> usize {
        self.frames.iter().filter(|(heard, _)| *heard == wanted).count()
    }

    fn sound(&self, from: usize) -> Vec<i16> {
        self.frames[from..].iter().flat_map(|(_, frame)| frame.iter().copied()).collect()
    }

    /// The largest step between two samples, from a frame on, as a part of what the tone itself takes. Where something
    /// is made up for it is another matter.
    fn roughness(&self, from: usize) -> f64 {
        let step = |sound: &[i16]| sound.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap_or_default();
        let whole = |pair: &&[(Heard, Vec<i16>)]| pair.iter().all(|(heard, _)| *heard == Heard::Sound);
        let pairs = self.frames[from..].windows(2).filter(whole);
        let largest = pairs.map(|pair| step(&[&*pair[0].1, &*pair[1].1].concat())).max();
        let own = 8_000.0 * std::f64::consts::TAU * HZ / f64::from(self.hearing.rate);
        f64::from(largest.unwrap_or_default()) / own
    }
}

/// A linear congruence is random enough for a network.
fn dice(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1u32 << 31)
    }
}

fn spoken(speaker: &mut Speaker, count: usize, mut delay: impl FnMut(usize) -> Option<f64>) -> Coming {
    let ms = f64::from(speaker.ms);
    let mut coming = Coming::new();
    for n in 0..count {
        let packet = speaker.packet();
        coming.extend(delay(n).map(|delay| (n as f64 * ms + delay, packet)));
    }
    coming
}

#[test]
fn an_even_stream_waits_for_the_beat_and_no_longer() {
    for (payload_type, ms) in [(0, 20), (8, 10), (0, 30), (0, 60), (9, 20)] {
        let mut speaker = Speaker::new(payload_type, ms);
        let coming = spoken(&mut speaker, (20_000 / ms) as usize, |_| Some(0.0));
        let codec = speaker.codec;
        let listener = Listener::hears(coming, codec);
        assert!(listener.count(Heard::Sound) >= 995, "{ms} ms: {}", listener.count(Heard::Sound));
        // Of two packets in a frame the second decides, and that there are two is not known at first.
        assert_eq!(listener.hearing.counts.slips, [0, u64::from(ms < FRAME_MS)], "{ms} ms");
        let age = listener.ages[500];
        // Of a packet of 60 ms the beginning has waited for its end.
        assert!(age <= if ms < FRAME_MS { 36.0 } else { 26.0 }, "{ms} ms: played after {age} ms");
        if payload_type != 9 {
            let heard = measure(&listener.sound(10)[..8_000], 8_000);
            assert!(heard.purity > 0.99, "{ms} ms: {}", heard.purity);
        }
    }
}

#[test]
fn what_comes_out_of_order_is_played_in_order() {
    let mut speaker = Speaker::new(0, 20);
    let coming = spoken(&mut speaker, 1_000, |n| Some(if n % 5 == 3 { 30.0 } else { 0.0 }));
    let listener = Listener::hears(coming, pcmu());
    let heard = listener.sound(100);
    assert!(measure(&heard[..80_000], 8_000).purity > 0.998);
    assert!(listener.hearing.counts.concealed < 5, "{:?}", listener.hearing.counts);
    assert!(listener.ages[900] <= 30.0 + 5.0 + OLDEST, "{}", listener.ages[900]);
}

#[test]
fn the_wait_is_what_the_jitter_asks_for_and_ends_with_it() {
    let mut random = dice(1);
    let mut speaker = Speaker::new(0, 20);
    // A quiet network, a restless one, and a quiet one again.
    let coming = spoken(&mut speaker, 4_500, |n| {
        let most = if (1_000..2_500).contains(&n) { 100.0 } else { 2.0 };
        Some(random() * most)
    });
    let listener = Listener::hears(coming, pcmu());
    let (quiet, restless, again) = (listener.ages[900], listener.ages[2_400], listener.ages[4_400]);
    assert!(quiet <= 30.0, "{quiet} ms");
    assert!((80.0..140.0).contains(&restless), "{restless} ms");
    assert!(again <= 40.0, "{again} ms");
    let late = listener.hearing.packets().late;
    assert!(late <= 60, "{late} of 1,500 came too late while it had to be learned");
}

#[test]
fn half_a_second_of_jitter_is_survived() {
    let mut random = dice(2);
    let mut speaker = Speaker::new(0, 20);
    let coming = spoken(&mut speaker, 3_000, |_| Some(random() * 480.0));
    let listener = Listener::hears(coming, pcmu());
    let later = &listener.frames[1_000..2_900];
    let sound = later.iter().filter(|(heard, _)| *heard == Heard::Sound).count();
    assert!(sound > 1_800, "{sound} of 1,900 frames");
}

#[test]
fn a_third_of_all_packets_lost_delays_nothing() {
    let mut random = dice(3);
    let mut speaker = Speaker::new(0, 20);
    let coming = spoken(&mut speaker, 3_000, |_| (random() > 0.3).then_some(0.0));
    let listener = Listener::hears(coming, pcmu());
    assert!(listener.ages[2_900] <= 46.0, "{}", listener.ages[2_900]);
    let made_up = listener.count(Heard::MadeUp);
    assert!((800..1_000).contains(&made_up), "{made_up} of 3,000");
    assert_eq!(listener.hearing.packets().late, 0);
}

#[test]
fn a_clock_that_runs_away_for_an_hour_neither_delays_nor_clicks() {
    for ppm in [200.0, -200.0] {
        let mut speaker = Speaker::new(0, 20);
        let mut random = dice(4);
        // Ahead of ours: its packets come a little sooner than every 20 ms.
        let coming = spoken(&mut speaker, 180_000, |n| Some(n as f64 * 20.0 * -ppm / 1e6 + random() * 3.0 + 800.0));
        let listener = Listener::hears(coming, pcmu());
        let (soon, late) = (listener.ages[1_000], listener.ages[179_000]);
        assert!((late - soon).abs() < OLDEST, "{ppm} ppm: {soon} ms, then {late} ms");
        let [shorter, longer] = listener.hearing.counts.slips;
        let slips = if ppm > 0.0 { shorter } else { longer };
        // 720 ms in pieces of 5 to 15.
        assert!((45..180).contains(&slips), "{ppm} ppm: {shorter} shorter, {longer} longer");
        assert!(listener.hearing.counts.concealed < 20, "{ppm} ppm: {:?}", listener.hearing.counts);
        assert!(listener.roughness(100) < 1.6, "{ppm} ppm: {}", listener.roughness(100));
    }
}

#[test]
fn a_pause_is_silence_and_what_follows_comes_as_soon_as_before() {
    let mut speaker = Speaker::new(0, 20);
    let mut coming = Coming::new();
    for burst in 0..20 {
        for n in 0..100 {
            coming.push((f64::from(burst * 3_000 + n * 20), speaker.packet()));
        }
        speaker.pause(1_000);
    }
    let listener = Listener::hears(coming, pcmu());
    assert!(listener.count(Heard::Sound) >= 1_990, "{}", listener.count(Heard::Sound));
    // What fades at the end of each.
    assert!(listener.count(Heard::MadeUp) <= 20 * 7, "{}", listener.count(Heard::MadeUp));
    assert_eq!(listener.hearing.packets(), JitterCounts::default());
    assert!(listener.ages[2_940] <= 26.0);
}

#[test]
fn a_source_that_begins_anew_is_heard_at_once() {
    let mut speaker = Speaker::new(0, 20);
    let mut coming = Coming::new();
    for n in 0..500 {
        match n {
            100 => speaker.header.ssrc = 8,
            // As a phone that was restarted counts: the second packet confirms it.
            200 => speaker.header.sequence = 30_000,
            300 => speaker.header.timestamp = 5,
            400 => (speaker.header.sequence, speaker.header.timestamp) = (1, 1),
            _ => {}
        }
        coming.push((f64::from(n * 20), speaker.packet()));
    }
    let listener = Listener::hears(coming, pcmu());
    assert!(listener.count(Heard::Sound) >= 485, "{}", listener.count(Heard::Sound));
    for frame in [150, 250, 350, 450] {
        assert!(listener.ages[frame] <= 26.0, "frame {frame}: {}", listener.ages[frame]);
    }
}

#[test]
fn what_comes_twice_too_late_or_too_much_is_counted_and_not_played() {
    let mut speaker = Speaker::new(0, 20);
    let mut coming = Coming::new();
    for n in 0..200 {
        let packet = speaker.packet();
        let ms = f64::from(n * 20);
        if n == 50 {
            coming.push((ms + 1.0, packet.clone()));
        }
        coming.push((if n == 100 { ms + 300.0 } else { ms }, packet));
    }
    let listener = Listener::hears(coming, pcmu());
    assert_eq!(listener.hearing.packets(), JitterCounts { duplicates: 1, late: 1, overflows: 0, strays: 0 });
    let made_up = listener.frames[..199].iter().filter(|(heard, _)| *heard == Heard::MadeUp);
    assert_eq!(made_up.count(), 1);

    let mut hearing = Hearing::new(8_000);
    for _ in 0..1_000 {
        let bytes = speaker.packet();
        hearing.put(BEGIN, &Packet::parse(&bytes).expect("a packet"), pcmu());
    }
    assert_eq!(hearing.packets().overflows, 1_000 - crate::jitter::MAX_WAITING as u64);
}

#[test]
fn another_codec_goes_on_where_the_first_has_ended() {
    let (mut narrow, mut wide) = (Speaker::new(0, 20), Speaker::new(9, 20));
    let mut hearing = Hearing::new(16_000);
    let mut silent = 0;
    for n in 0..200u32 {
        let speaker = if n < 100 { &mut narrow } else { &mut wide };
        (speaker.header.sequence, speaker.header.timestamp) = (n as u16, n * 160);
        let bytes = speaker.packet();
        let now = at(f64::from(n) * 20.0);
        hearing.put(now, &Packet::parse(&bytes).expect("a packet"), speaker.codec);
        let mut out = [0; 320];
        silent += usize::from(hearing.frame(now + Duration::from_millis(7), &mut out) == Heard::Silence);
    }
    assert!(silent <= 1, "{silent} frames");
}

/// How far what was heard is from what was said: noise below the sound in dB, in the frames from one on, at the place
/// where both fit best.
fn distance(said: &[i16], heard: &[i16]) -> f64 {
    let power = |samples: &mut dyn Iterator<Item = f64>| samples.map(|sample| sample * sample).sum::<f64>();
    let signal = power(&mut said[..heard.len()].iter().map(|sample| f64::from(*sample)));
    let noise = |shift: usize| {
        let pairs = said[shift..].iter().zip(heard);
        power(&mut pairs.map(|(said, heard)| f64::from(*said) - f64::from(*heard)))
    };
    let least = (0..said.len() - heard.len()).map(noise).fold(f64::INFINITY, f64::min);
    10.0 * (signal / least).log10()
}

/// A tone that rises: of the packet before nobody can tell what a lost one held.
fn rising(count: usize) -> Vec<i16> {
    let angle = |place: usize| {
        let at = place as f64 / 48_000.0;
        std::f64::consts::TAU * (400.0 * at + 300.0 * at * at)
    };
    (0..count).map(|place| (8_000.0 * angle(place).sin()) as i16).collect()
}

#[test]
fn what_opus_sends_twice_is_heard_though_it_was_lost() {
    let every_tenth = |lossy: bool| {
        let mut speaker = Speaker::opus(lossy);
        let said = rising(150 * 960);
        let mut coming = Coming::new();
        for (n, frame) in said.chunks(960).enumerate() {
            let mut payload = [0; 1_275];
            let count = speaker.encoder.encode(frame, &mut payload);
            let mut bytes = vec![0; 12 + count];
            speaker.header.write_packet(&payload[..count], &mut bytes).expect("room");
            speaker.header.sequence = speaker.header.sequence.wrapping_add(1);
            speaker.header.timestamp = speaker.header.timestamp.wrapping_add(960);
            if n % 10 != 5 {
                coming.push((n as f64 * 20.0, bytes));
            }
        }
        let listener = Listener::hears(coming, speaker.codec);
        // Once it is known that packets are lost, and some of what was said at about that time.
        let (heard, from) = (listener.sound(100), 90 * 960);
        (listener.hearing.counts, distance(&said[from..from + 25 * 960], &heard[..10 * 960]))
    };
    let (counts, with) = every_tenth(true);
    assert!(counts.restored >= 12 && counts.concealed <= 4, "{counts:?}");
    let (_, without) = every_tenth(false);
    assert!(with > without + 3.0, "{with} dB where it was sent twice, {without} dB where not");
}

#[test]
fn a_loss_of_opus_is_made_up_by_its_decoder_without_a_click() {
    let mut speaker = Speaker::opus(false);
    let coming = spoken(&mut speaker, 300, |n| (n % 40 != 20).then_some(0.0));
    let codec = speaker.codec;
    let listener = Listener::hears(coming, codec);
    assert!(listener.hearing.counts.concealed + listener.hearing.counts.restored >= 7);
    let heard = measure(&listener.sound(50)[..192_000], 48_000);
    assert!(heard.purity > 0.95, "{}", heard.purity);
    let step = |sound: &[i16]| sound.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap_or_default();
    let own = 8_000.0 * std::f64::consts::TAU * HZ / 48_000.0;
    assert!(f64::from(step(&listener.sound(50))) < 2.0 * own, "{}", step(&listener.sound(50)));
}

#[test]
fn sound_waits_for_one_packet_more_only_while_opus_loses_some() {
    let mut speaker = Speaker::opus(true);
    let coming = spoken(&mut speaker, 2_500, |n| (!(500..1_500).contains(&n) || n % 10 != 5).then_some(0.0));
    let codec = speaker.codec;
    let listener = Listener::hears(coming, codec);
    let (before, lossy, after) = (listener.ages[450], listener.ages[1_450], listener.ages[2_450]);
    assert!(before <= 26.0, "{before} ms");
    assert!(lossy > before + 5.0 && lossy <= 66.0, "{lossy} ms");
    assert!(after <= 40.0, "{after} ms");
}

#[test]
fn a_pause_sounds_as_the_party_has_said_and_ends_with_it() {
    let mut speaker = Speaker::new(0, 20);
    let mut hearing = Hearing::new(8_000);
    let mut frames = Vec::new();
    for n in 0..150 {
        let now = at(f64::from(n) * 20.0);
        match n {
            50 => {
                let (sequence, timestamp) = (speaker.header.sequence, speaker.header.timestamp);
                let header = Header { payload_type: 13, sequence, timestamp, ssrc: 7, marker: false };
                let mut bytes = [0; 13];
                header.write_packet(&[40], &mut bytes).expect("room");
                hearing.put_noise(&Packet::parse(&bytes).expect("a packet"));
                speaker.header.sequence = sequence.wrapping_add(1);
                speaker.pause(20);
            }
            51..100 => speaker.pause(20),
            _ => {
                let bytes = speaker.packet();
                hearing.put(now, &Packet::parse(&bytes).expect("a packet"), speaker.codec);
            }
        }
        let mut out = [0; 160];
        let heard = hearing.frame(now + Duration::from_millis(7), &mut out);
        frames.push((heard, out));
    }
    let noise: Vec<i16> = frames[53..100].iter().flat_map(|(_, frame)| *frame).collect();
    assert!(frames[53..100].iter().all(|(heard, _)| *heard == Heard::Noise));
    let power = noise.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / noise.len() as f64;
    let level = 10.0 * (power / f64::from(i16::MAX).powi(2)).log10();
    assert!((level + 40.0).abs() < 1.0, "{level} dB instead of -40");
    assert!(frames[102..].iter().all(|(heard, _)| *heard == Heard::Sound), "and then it speaks");
    assert_eq!((hearing.counts.concealed, hearing.packets()), (0, JitterCounts::default()), "nothing was lost");
}

#[test]
fn another_rate_is_reached_without_a_gap() {
    let mut speaker = Speaker::opus(false);
    let mut hearing = Hearing::new(8_000);
    let mut silent = 0;
    for n in 0..300u32 {
        if n % 50 == 25 {
            hearing.set_rate([8_000, 16_000, 48_000][(n / 50 % 3) as usize]);
        }
        let bytes = speaker.packet();
        let now = at(f64::from(n) * 20.0);
        hearing.put(now, &Packet::parse(&bytes).expect("a packet"), speaker.codec);
        let mut out = vec![0; (hearing.rate / 50) as usize];
        silent += usize::from(hearing.frame(now + Duration::from_millis(7), &mut out) == Heard::Silence);
    }
    assert!(silent <= 1, "{silent} frames");
    assert_eq!((hearing.decoded_at, hearing.counts.concealed), (48_000, 0), "never worse than it was");
}

proptest! {
    #[test]
    fn whatever_comes_a_frame_is_a_frame(
        seeds in proptest::collection::vec((0u64..2_000, any::<u16>(), any::<u32>(), 0u32..3, 0usize..400), 1..200),
    ) {
        let mut hearing = Hearing::new(16_000);
        let mut now = BEGIN;
        for (wait, sequence, timestamp, ssrc, length) in seeds {
            let header = Header { payload_type: 0, sequence, timestamp, ssrc, marker: false };
            let mut bytes = vec![0; 12 + length];
            header.write_packet(&vec![0x55; length], &mut bytes).expect("room");
            let opus = by_label("opus").filter(|_| length % 3 == 2);
            let codec = opus.or_else(|| by_static_payload_type(if length % 2 == 0 { 0 } else { 9 })).expect("a codec");
            let packet = Packet::parse(&bytes).expect("a packet");
            if length % 7 == 6 { hearing.put_noise(&packet) } else { hearing.put(now, &packet, codec) }
            now += Duration::from_millis(wait % 50);
            let mut out = [1; 320];
            let heard = hearing.frame(now, &mut out);
            prop_assert!(heard != Heard::Silence || out == [0; 320]);
            prop_assert!(hearing.ready.len() < 16_000, "{} samples wait", hearing.ready.len());
            now += Duration::from_millis(wait);
        }
    }

    #[test]
    fn whatever_the_network_does_the_sound_is_not_older_than_it_has_to_be(
        seed in any::<u64>(), loss in 0.0..0.3f64, jitter in 0.0..150.0f64, drift in -200.0..200.0f64,
    ) {
        let mut random = dice(seed);
        let mut speaker = Speaker::new(0, 20);
        let coming = spoken(&mut speaker, 2_000, |n| {
            (random() >= loss).then(|| n as f64 * 20.0 * drift / 1e6 + random() * jitter + 20.0)
        });
        let listener = Listener::hears(coming, pcmu());
        // The jitter, a step of what is known of it, the beat, and what is tolerated before a slip.
        let allowed = jitter + 5.0 + 20.0 + TOO_OLD_MS as f64;
        let old = listener.ages[1_500..1_990].iter().filter(|age| **age > allowed).count();
        // A gap may be in the way of a slip for some frames.
            prop_assert!(old < 100, "{old} of 490 frames older than {allowed} ms");
    }
}
