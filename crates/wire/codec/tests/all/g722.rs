//! G.722 against another implementation of ITU-T G.722, bit for bit, and what is heard.
//!
//! The sums are those of what ffmpeg 5.1 makes of the same input, made with
//! `ffmpeg -f s16le -ar 16000 -ac 1 -i IN -c:a g722 -f g722 OUT` and `ffmpeg -f g722 -i OUT -f s16le BACK`.

use hookswitch_codec::g722::{Decoder, Encoder};

/// A row of random numbers of 31 bits.
struct Row(u32);

impl Row {
    fn next(&mut self) -> u32 {
        self.0 = (u64::from(self.0) * 1_103_515_245 + 12_345) as u32 & 0x7fff_ffff;
        self.0
    }
}

/// Two and a half seconds of what is hard to follow.
fn samples() -> Vec<i16> {
    let mut row = Row(12_345);
    let mut samples: Vec<i16> = (0..8000).map(|_| ((row.next() >> 15) as i32 - 32_768) as i16).collect();
    let mut phase = 0i32;
    for i in 0..16_000 {
        phase = (phase + 2 * i) & 0xffff;
        let triangle = if phase < 32_768 { phase } else { 65_535 - phase };
        samples.push(((triangle - 16_384) * 3).div_euclid(2) as i16);
    }
    samples.extend([0; 4000]);
    samples.extend((0..4000).map(|i| if i / 37 % 2 == 1 { 32_767 } else { -32_768 }));
    samples.extend((0..4000).map(|i| if i % 500 == 0 { 20_000 } else { 0 }));
    samples.extend((0..4000).map(|_| (((row.next() >> 15) & 63) as i16) - 32));
    samples
}

/// For each part: its name, its bytes, and the sums (FNV-1a) of what is encoded and of what is decoded.
const PARTS: [(&str, std::ops::Range<usize>, u64, u64); 6] = [
    ("noise", 0..4_000, 0x989b_d042_b68c_4831, 0xbdc0_56cf_3980_8230),
    ("a rising tone", 4_000..12_000, 0x5c4b_67a4_d5fd_67ed, 0x0210_676e_52eb_ccc4),
    ("silence", 12_000..14_000, 0x39d1_2596_be79_c8d3, 0xf241_e180_451d_94fd),
    ("a square", 14_000..16_000, 0xeb55_d43f_eb55_7cfd, 0x9fa8_e3b2_83bb_765e),
    ("clicks", 16_000..18_000, 0x8856_6f7a_8c57_2b34, 0xaa38_d0f9_0f55_2124),
    ("a whisper", 18_000..20_000, 0x5fc1_b9e3_4cbb_ebd5, 0xcfe4_f68b_f3ed_adbc),
];

fn sum(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn sum_of_samples(samples: &[i16]) -> u64 {
    sum(samples.iter().flat_map(|sample| sample.to_le_bytes()))
}

fn encode(samples: &[i16], packet: usize) -> Vec<u8> {
    let mut encoder = Encoder::default();
    let mut bytes = vec![0; samples.len() / 2];
    for (samples, bytes) in samples.chunks(2 * packet).zip(bytes.chunks_mut(packet)) {
        assert_eq!(encoder.encode(samples, bytes), bytes.len());
    }
    bytes
}

fn decode(bytes: &[u8], packet: usize) -> Vec<i16> {
    let mut decoder = Decoder::default();
    let mut samples = vec![0; 2 * bytes.len()];
    for (bytes, samples) in bytes.chunks(packet).zip(samples.chunks_mut(2 * packet)) {
        assert_eq!(decoder.decode(bytes, samples), samples.len());
    }
    samples
}

#[test]
fn encodes_what_another_encoder_does() {
    let bytes = encode(&samples(), 160);
    for (name, range, encoded, _) in PARTS {
        assert_eq!(sum(bytes[range].iter().copied()), encoded, "{name}");
    }
}

#[test]
fn decodes_what_another_decoder_does() {
    let samples = decode(&encode(&samples(), 160), 160);
    for (name, range, _, decoded) in PARTS {
        assert_eq!(sum_of_samples(&samples[2 * range.start..2 * range.end]), decoded, "{name}");
    }
}

#[test]
fn decodes_bytes_that_no_encoder_makes() {
    let mut row = Row(1);
    let bytes: Vec<u8> = (0..8000).map(|_| (row.next() >> 16) as u8).collect();
    assert_eq!(sum_of_samples(&decode(&bytes, 160)), 0x2eff_a09c_9f87_6fab);
}

#[test]
fn the_size_of_packets_makes_no_difference() {
    let samples = samples();
    let bytes = encode(&samples, 160);
    let heard = decode(&bytes, 160);
    for packet in [1, 7, 40, 80, 1000] {
        assert!(encode(&samples, packet) == bytes, "{packet} bytes in a packet");
        assert!(decode(&bytes, packet) == heard, "{packet} bytes in a packet");
    }
}

#[test]
fn silence_is_heard_as_silence() {
    let heard = decode(&encode(&[0; 32_000], 160), 160);
    assert!(heard.iter().all(|sample| sample.abs() <= 8), "{:?}", heard.iter().max());
}

#[test]
fn short_slices_are_used_as_far_as_they_go() {
    let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
    assert_eq!(encoder.encode(&[], &mut [0; 4]), 0);
    assert_eq!(encoder.encode(&[1], &mut [0; 4]), 0, "half a pair");
    assert_eq!(encoder.encode(&[1; 9], &mut [0; 4]), 4);
    assert_eq!(encoder.encode(&[1; 9], &mut [0; 2]), 2);
    assert_eq!(decoder.decode(&[], &mut [0; 4]), 0);
    assert_eq!(decoder.decode(&[0; 9], &mut [0; 5]), 4);
    assert_eq!(decoder.decode(&[0; 2], &mut [0; 50]), 4);
}

/// No row of bytes may bring the arithmetic beyond its bits: tests are compiled with overflow checks.
#[test]
fn the_states_at_the_limits_do_not_overflow() {
    for byte in 0..=255u8 {
        let mut decoder = Decoder::default();
        let mut out = [0; 2 * 160];
        for _ in 0..60 {
            decoder.decode(&[byte; 160], &mut out);
            decoder.decode(&[!byte; 3], &mut out);
        }
    }
    for (high, low, half) in [(i16::MAX, i16::MIN, 1), (i16::MAX, i16::MIN, 2), (i16::MIN, i16::MIN, 3)] {
        let loud: Vec<i16> = (0..32_000).map(|i| if i / half % 2 == 0 { high } else { low }).collect();
        encode(&loud, 160);
    }
}
