//! G.711 and tones, in frames of 20 ms at 8 kHz.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use hookswitch_codec::{Tone, ToneGenerator, g711, g722, measure};

fn codec(c: &mut Criterion) {
    let mut group = c.benchmark_group("codec");
    let mut samples = [0i16; 160];
    let tone = Arc::new(Tone::parse("350+440*0.25:1000").expect("a good tone"));
    ToneGenerator::new(Arc::clone(&tone), 8000).fill(&mut samples);
    let mut bytes = [0u8; 160];
    let mut back = [0i16; 160];

    group.bench_function("ulaw_encode_160", |b| {
        b.iter(|| g711::encode_ulaw(black_box(&samples), black_box(&mut bytes)));
    });
    group.bench_function("ulaw_decode_160", |b| {
        b.iter(|| g711::decode_ulaw(black_box(&bytes), black_box(&mut back)));
    });
    group.bench_function("alaw_encode_160", |b| {
        b.iter(|| g711::encode_alaw(black_box(&samples), black_box(&mut bytes)));
    });
    group.bench_function("alaw_decode_160", |b| {
        b.iter(|| g711::decode_alaw(black_box(&bytes), black_box(&mut back)));
    });
    let mut wide = [0i16; 320];
    ToneGenerator::new(Arc::clone(&tone), 16_000).fill(&mut wide);
    let (mut encoder, mut decoder) = (g722::Encoder::default(), g722::Decoder::default());
    group.bench_function("g722_encode_320", |b| {
        b.iter(|| encoder.encode(black_box(&wide), black_box(&mut bytes)));
    });
    group.bench_function("g722_decode_160", |b| {
        b.iter(|| decoder.decode(black_box(&bytes), black_box(&mut wide)));
    });
    let (mut encoder, mut decoder) = (g722::Encoder::narrow(), g722::Decoder::narrow());
    group.bench_function("g722_encode_160_of_8_khz", |b| {
        b.iter(|| encoder.encode(black_box(&samples), black_box(&mut bytes)));
    });
    group.bench_function("g722_decode_160_to_8_khz", |b| {
        b.iter(|| decoder.decode(black_box(&bytes), black_box(&mut back)));
    });
    group.bench_function("tone_two_frequencies_160", |b| {
        let mut generator = ToneGenerator::new(Arc::clone(&tone), 8000);
        b.iter(|| generator.fill(black_box(&mut back)));
    });
    let mut second = vec![0i16; 8000];
    ToneGenerator::new(tone, 8000).fill(&mut second);
    group.bench_function("measure_one_second", |b| b.iter(|| measure(black_box(&second), 8000)));
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
