//! What the relay does to each packet.

use core::time::Duration;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use hookswitch_rtp::{Header, Packet, PacketMut, SequenceTracker, classify};

fn rtp(c: &mut Criterion) {
    let mut group = c.benchmark_group("rtp");
    let header = Header { marker: false, payload_type: 0, sequence: 1, timestamp: 160, ssrc: 0x1234_5678 };
    let mut packet = [0u8; 172];
    let length = header.write_packet(&[0xff; 160], &mut packet).expect("it fits");
    assert_eq!(length, packet.len());

    group.bench_function("parse", |b| b.iter(|| Packet::parse(black_box(&packet))));
    group.bench_function("classify_parse_track", |b| {
        let mut tracker = SequenceTracker::new(8000);
        let mut sequence = 0u16;
        b.iter(|| {
            black_box(classify(&packet));
            let parsed = Packet::parse(black_box(&packet)).expect("a good packet");
            sequence = sequence.wrapping_add(1);
            let now = Duration::from_millis(20 * u64::from(sequence));
            tracker.packet(now, sequence, parsed.timestamp())
        });
    });
    group.bench_function("rewrite_in_place", |b| {
        b.iter(|| {
            let mut packet = PacketMut::parse(black_box(&mut packet)).expect("a good packet");
            packet.set_payload_type(8);
            packet.set_sequence(7);
            packet.set_timestamp(1120);
            packet.set_ssrc(42);
        });
    });
    group.bench_function("write_packet", |b| {
        let mut out = [0u8; 1500];
        b.iter(|| black_box(header).write_packet(&[0xff; 160], &mut out));
    });
    group.finish();
}

criterion_group!(benches, rtp);
criterion_main!(benches);
