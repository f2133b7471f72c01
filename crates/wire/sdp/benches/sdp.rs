//! Parsing an offer, reading what negotiation reads, and anchoring it.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hookswitch_sdp::{Direction, OwnOrigin, SessionDescription};

const OFFER: &str = "v=0\r\n\
    o=- 3912345678 3912345678 IN IP4 192.0.2.10\r\n\
    s=phone\r\n\
    c=IN IP4 192.0.2.10\r\n\
    t=0 0\r\n\
    m=audio 49170 RTP/AVP 0 8 9 18 101\r\n\
    a=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:9 G722/8000\r\n\
    a=rtpmap:18 G729/8000\r\n\
    a=fmtp:18 annexb=no\r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-16\r\n\
    a=ptime:20\r\n\
    a=sendrecv\r\n";

fn sdp(c: &mut Criterion) {
    let mut group = c.benchmark_group("sdp");
    group.throughput(Throughput::Bytes(OFFER.len() as u64));
    group.bench_function("parse", |b| b.iter(|| SessionDescription::parse(black_box(OFFER))));

    let offer = SessionDescription::parse(OFFER).expect("a good offer");
    group.bench_function("resolve_codecs", |b| {
        b.iter(|| {
            let (_, audio) = black_box(&offer).first_audio().expect("audio");
            black_box((audio.rtp_address(), audio.direction(), audio.codecs().count()))
        });
    });

    let address = "198.51.100.1".parse().expect("an address");
    let origin = OwnOrigin { username: "-", session_id: 1, session_version: 1, address };
    group.bench_function("parse_anchor_write", |b| {
        b.iter(|| {
            let mut sdp = SessionDescription::parse(black_box(OFFER)).expect("a good offer");
            sdp.set_origin(&origin);
            sdp.set_all_connections(address);
            let mut audio = sdp.media_mut(0).expect("one m-line");
            audio.set_port(20_000).set_direction(Direction::SendRecv);
            audio.retain_payload_types(|pt| matches!(pt, 0 | 8 | 101));
            sdp.to_bytes()
        });
    });
    group.finish();
}

criterion_group!(benches, sdp);
criterion_main!(benches);
