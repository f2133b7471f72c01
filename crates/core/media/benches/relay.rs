//! What the engine itself costs, without system calls: a relayed packet, a transcoded one, a tone, a negotiation.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hookswitch_call::{CallId, LegId, MediaOp, MediaReport, Party, RecordOrder, RecordPlan, RecordingId, Sdp, Source};
use hookswitch_codec::by_static_payload_type;
use hookswitch_media::{AddressPolicy, Engine, EngineConfig, Forward, PortPair, Ports, SocketIx};
use hookswitch_rtp::Header;

const NOW: Duration = Duration::from_secs(1_800_000_000);
const CALLER_LEG: LegId = LegId(0);
const CALLEE_LEG: LegId = LegId(1);

/// Socket numbers that count up; the two ends of call `n` get 4n to 4n+3.
struct Counting(u32);

impl Ports for Counting {
    fn take(&mut self, _v6: bool) -> Option<PortPair> {
        let first = self.0;
        self.0 += 2;
        Some(PortPair { rtp: SocketIx(first), rtcp: SocketIx(first + 1), port: 10_000 + (first % 50_000) as u16 })
    }

    fn give_back(&mut self, _pair: PortPair) {}
}

/// What both phones of most calls have.
const FORMATS: &str = "0 8";

fn phone(port: u16, formats: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=call\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio {port} RTP/AVP {formats} 101\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

fn source(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), port)
}

/// Ports of the two phones of a call.
fn phones(call: u32) -> (u16, u16) {
    let base = 2_000 + (call % 15_000) as u16 * 4;
    (base, base + 2)
}

fn perform(engine: &mut Engine, ports: &mut Counting, op: MediaOp) {
    engine.perform(NOW, op, ports);
    while let Some(report) = engine.poll_report() {
        assert!(matches!(report, MediaReport::Local { .. } | MediaReport::Audio { .. }), "{report:?}");
    }
}

fn set_up(engine: &mut Engine, ports: &mut Counting, call: u32) {
    set_up_with(engine, ports, call, [FORMATS; 2]);
}

/// A call of two phones that have these formats.
fn set_up_with(engine: &mut Engine, ports: &mut Counting, call: u32, [caller, callee]: [&str; 2]) {
    let (a, b) = phones(call);
    let call = CallId(u64::from(call));
    let offer = Some((Party::Caller, Sdp::from(phone(a, caller).as_str())));
    perform(engine, ports, MediaOp::Open { call, offer, codecs: None, near: None, room: None });
    perform(engine, ports, MediaOp::MakeOffer { call, seat: Party::Callee.into(), leg: CALLEE_LEG, near: None });
    let sdp = Sdp::from(phone(b, callee).as_str());
    perform(engine, ports, MediaOp::Accept { call, seat: Party::Callee.into(), leg: CALLEE_LEG, sdp });
    perform(engine, ports, MediaOp::MakeAnswer { call, seat: Party::Caller.into(), leg: CALLER_LEG });
    perform(engine, ports, MediaOp::Hear { call, seat: Party::Caller.into(), source: Source::Peer });
    perform(engine, ports, MediaOp::Hear { call, seat: Party::Callee.into(), source: Source::Peer });
}

fn engine_with(calls: u32) -> (Engine, Counting) {
    let mut engine = new_engine();
    let mut ports = Counting(0);
    for call in 0..calls {
        set_up(&mut engine, &mut ports, call);
    }
    (engine, ports)
}

fn new_engine() -> Engine {
    let fallback = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));
    let mut config = EngineConfig::new(AddressPolicy::Auto { fallback });
    config.codecs.extend(by_static_payload_type(9));
    config.max_calls = 100_000;
    Engine::new(config, 1)
}

/// Bytes of a packet of 20 ms of G.711, or of G.722.
const LEN: usize = 172;

fn packet() -> Vec<u8> {
    let mut buffer = vec![0x55; LEN];
    let header = Header { payload_type: 0, sequence: 1, timestamp: 160, ssrc: 1, marker: false };
    buffer[..12].copy_from_slice(&header.to_bytes());
    buffer
}

/// Gives a packet the next sequence number and timestamp, as a phone would.
fn advance(packet: &mut [u8], n: u32) {
    packet[2..4].copy_from_slice(&(n as u16).to_be_bytes());
    packet[4..8].copy_from_slice(&n.wrapping_mul(160).to_be_bytes());
    // Where the stream is ours, the relay has put its own here.
    packet[8..12].copy_from_slice(&1u32.to_be_bytes());
}

fn relay(c: &mut Criterion) {
    let mut group = c.benchmark_group("relay");
    group.throughput(Throughput::Elements(1));
    for calls in [1u32, 1_000, 10_000] {
        let (mut engine, _ports) = engine_with(calls);
        let mut buffer = packet();
        let (mut call, mut round) = (0, 0);
        group.bench_function(format!("one packet, {calls} calls in turn"), |b| {
            b.iter(|| {
                (call, round) = if call + 1 == calls { (0, round + 1) } else { (call + 1, round) };
                advance(&mut buffer, round);
                // The callee's pair is taken first.
                let forward =
                    engine.handle_packet(NOW, SocketIx(4 * call + 2), source(phones(call).0), &mut buffer, LEN);
                assert!(matches!(forward, Forward::Send { .. }));
                black_box(forward)
            });
        });
    }
    let (mut engine, mut ports) = engine_with(1_000);
    ring_first(&mut engine, &mut ports);
    let mut buffer = packet();
    let (mut call, mut round) = (0, 0);
    group.bench_function("one packet, 1000 calls in turn that have rung", |b| {
        b.iter(|| {
            (call, round) = if call + 1 == 1_000 { (0, round + 1) } else { (call + 1, round) };
            advance(&mut buffer, round);
            let forward = engine.handle_packet(NOW, SocketIx(4 * call), source(phones(call).1), &mut buffer, LEN);
            assert!(matches!(forward, Forward::Send { .. }));
            black_box(forward)
        });
    });
    let (mut engine, _ports) = engine_with(1_000);
    let mut buffer = packet();
    group.bench_function("one packet from a stranger", |b| {
        b.iter(|| black_box(engine.handle_packet(NOW, SocketIx(2), source(9), &mut buffer, LEN)));
    });
    group.finish();
}

/// Packets of callers on their way to callees that use another codec, and back.
fn transcoding(c: &mut Criterion) {
    let mut group = c.benchmark_group("transcode");
    group.throughput(Throughput::Elements(1));
    for (name, formats, payload_type) in
        [("PCMU to PCMA", ["0", "8"], 0), ("PCMU to G722", ["0", "9"], 0), ("G722 to PCMU", ["9", "0"], 9)]
    {
        let (mut engine, mut ports) = (new_engine(), Counting(0));
        for call in 0..1_000 {
            set_up_with(&mut engine, &mut ports, call, formats);
        }
        // Something that is no silence, made anew for each packet: it is worked on where it lies.
        let speech: Vec<u8> = (0..LEN as u32).map(|n| (n.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
        let mut buffer = packet();
        buffer.resize(2_048, 0);
        let (mut call, mut round) = (0, 0);
        group.bench_function(format!("one packet, {name}, 1000 calls in turn"), |b| {
            b.iter(|| {
                (call, round) = if call + 1 == 1_000 { (0, round + 1) } else { (call + 1, round) };
                buffer[..LEN].copy_from_slice(&speech);
                buffer[..2].copy_from_slice(&[0x80, payload_type]);
                advance(&mut buffer, round);
                let (socket, from) = (SocketIx(4 * call + 2), source(phones(call).0));
                let forward = engine.handle_packet(NOW, socket, from, &mut buffer, LEN);
                assert!(matches!(forward, Forward::Send { len: LEN, .. }));
                black_box(forward)
            });
        });
    }
    group.finish();
}

/// Lets every caller hear a moment of ringing, so that its stream is ours from then on.
fn ring_first(engine: &mut Engine, ports: &mut Counting) {
    for source in [Source::Ringback, Source::Peer] {
        for call in 0..1_000 {
            perform(engine, ports, MediaOp::Hear { call: CallId(call), seat: Party::Caller.into(), source });
        }
        engine.tick(NOW, &mut |_, _, _| {});
    }
}

/// Both parties of 1,000 calls talk: what a packet costs, with all that is made of it until its samples go to the disk.
fn recording(c: &mut Criterion) {
    const CALLS: u32 = 1_000;
    let mut group = c.benchmark_group("record");
    group.throughput(Throughput::Elements(u64::from(CALLS)));
    for (name, recorded) in [("relayed", false), ("relayed and recorded in stereo", true)] {
        let (mut engine, mut ports) = engine_with(CALLS);
        for call in 0..if recorded { CALLS } else { 0 } {
            let order = RecordOrder::Begin(Box::new(RecordPlan::both_sides("a.wav".into())));
            let (call, party, recording) = (CallId(call.into()), Party::Caller, RecordingId(0));
            perform(&mut engine, &mut ports, MediaOp::Record { call, party, recording, order });
        }
        let mut buffer = packet();
        let (mut round, mut now, mut written) = (0u32, NOW, 0);
        group.bench_function(format!("a packet of one party of 1000 calls, {name}"), |b| {
            b.iter(|| {
                // Ten milliseconds, and the parties take turns, so that each sends every twenty.
                now += Duration::from_millis(10);
                let is_caller = round.is_multiple_of(2);
                for call in 0..CALLS {
                    advance(&mut buffer, round / 2);
                    let (port, socket) = (phones(call), 4 * call + if is_caller { 2 } else { 0 });
                    let from = source(if is_caller { port.0 } else { port.1 });
                    black_box(engine.handle_packet(now, SocketIx(socket), from, &mut buffer, LEN));
                }
                round += 1;
                engine.tick(now, &mut |_, _, _| {});
                while let Some(order) = engine.poll_file() {
                    written += 1;
                    black_box(order);
                }
            });
        });
        assert_eq!(written > 0, recorded);
    }
    group.finish();
}

fn tones(c: &mut Criterion) {
    let mut group = c.benchmark_group("tone");
    group.throughput(Throughput::Elements(1_000));
    for (name, source) in [("ringing tones", Source::Ringback), ("parties on hold", Source::Hold)] {
        let (mut engine, mut ports) = engine_with(1_000);
        for call in 0..1_000 {
            let op = MediaOp::Hear { call: CallId(call), seat: Party::Caller.into(), source };
            perform(&mut engine, &mut ports, op);
        }
        let mut now = NOW;
        group.bench_function(format!("one tick of 1000 {name}"), |b| {
            b.iter(|| {
                engine.tick(now, &mut |socket, to, bytes| {
                    black_box((socket, to, bytes));
                });
                now += Duration::from_millis(20);
            });
        });
    }
    group.finish();
}

fn negotiation(c: &mut Criterion) {
    let mut group = c.benchmark_group("negotiate");
    group.bench_function("a whole call: open, offer, accept, answer, hear twice, close", |b| {
        let (mut engine, mut ports) = engine_with(1_000);
        let mut call = 1_000;
        b.iter_batched(
            || {
                call += 1;
                call
            },
            |call| {
                set_up(&mut engine, &mut ports, call);
                perform(&mut engine, &mut ports, MediaOp::Close { call: CallId(u64::from(call)) });
                while engine.poll_closed().is_some() {}
                ports.0 -= 4;
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, relay, transcoding, recording, tones, negotiation);
criterion_main!(benches);
