//! Audio through real sockets: what one phone sends the other receives, and nobody else gets in between.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::harness::{LOOPBACK, PATIENCE, media};
use hookswitch_call::{CallId, LegId, MediaOp, MediaReport, Party, Sdp, Source};
use hookswitch_drive::{Clock, MediaConfig, MediaIo, MediaPlane};
use hookswitch_sdp::SessionDescription;

const LEG: LegId = LegId(0);

struct Bench {
    plane: MediaPlane,
    reports: Receiver<MediaReport>,
}

struct Phone {
    rtp: UdpSocket,
    sequence: u16,
    source: u32,
}

impl Phone {
    fn new(source: u32) -> Self {
        let rtp = UdpSocket::bind(LOOPBACK).unwrap();
        rtp.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { rtp, sequence: 100, source }
    }

    fn sdp(&self) -> Sdp {
        let port = self.rtp.local_addr().unwrap().port();
        let text = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
        );
        Sdp::from(text.as_str())
    }

    fn packet(&mut self, payload: &[u8]) -> Vec<u8> {
        self.sequence += 1;
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend_from_slice(&self.source.to_be_bytes());
        packet.extend_from_slice(payload);
        packet
    }

    fn send(&mut self, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
        let packet = self.packet(payload);
        self.rtp.send_to(&packet, to).unwrap();
        packet
    }

    fn receive(&self) -> Vec<u8> {
        let mut buffer = [0; 2_048];
        let (len, _) = self.rtp.recv_from(&mut buffer).unwrap();
        buffer[..len].to_vec()
    }

    fn hears_nothing(&self) -> bool {
        self.rtp.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let heard = self.rtp.recv_from(&mut [0; 2_048]).is_ok();
        self.rtp.set_read_timeout(Some(PATIENCE)).unwrap();
        !heard
    }
}

/// Ports of its own for each way, since tests run at once.
fn media_by(io: MediaIo, first_port: u16) -> MediaConfig {
    let first_port = if io == MediaIo::Epoll { first_port } else { first_port - 6_000 };
    MediaConfig { io, ..media(first_port) }
}

impl Bench {
    fn new(io: MediaIo, first_port: u16) -> Self {
        Self::start(&media_by(io, first_port))
    }

    fn start(config: &MediaConfig) -> Self {
        let (tell, reports) = channel();
        let tell = Mutex::new(tell);
        let sink = Arc::new(move |report| {
            let _ = tell.lock().unwrap().send(report);
        });
        let plane = MediaPlane::start(config, Clock::start(), 7, sink).unwrap();
        Self { plane, reports }
    }

    fn local(&self) -> SocketAddr {
        loop {
            match self.reports.recv_timeout(PATIENCE).unwrap() {
                MediaReport::Local { sdp, .. } => return audio_address(&sdp),
                // The last words about a call before.
                MediaReport::Audio { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// A call between two phones that has been answered; returns where each of them sends its audio.
    fn connect(&self, call: CallId, caller: &Phone, callee: &Phone) -> (SocketAddr, SocketAddr) {
        let near = Some(LOOPBACK.ip());
        let offer = Some((Party::Caller, caller.sdp()));
        self.plane.perform(MediaOp::Open { call, offer, codecs: None, near, room: None });
        self.plane.perform(MediaOp::MakeOffer { call, seat: Party::Callee.into(), leg: LEG, near });
        let for_callee = self.local();
        self.plane.perform(MediaOp::Accept { call, seat: Party::Callee.into(), leg: LEG, sdp: callee.sdp() });
        self.plane.perform(MediaOp::MakeAnswer { call, seat: Party::Caller.into(), leg: LEG });
        let for_caller = self.local();
        for party in [Party::Caller, Party::Callee] {
            self.plane.perform(MediaOp::Hear { call, seat: party.into(), source: Source::Peer });
        }
        // Orders of a call are carried out in order: when this is answered, all before has been done.
        assert!(self.plane.stats(call).is_some());
        (for_caller, for_callee)
    }

    fn ports_taken(&self) -> usize {
        self.plane.totals().iter().map(|totals| totals.ports_taken).sum()
    }

    fn until(&self, mut done: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < end);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn audio_address(sdp: &Sdp) -> SocketAddr {
    let description = SessionDescription::parse(&*sdp.0).unwrap();
    let text = description.to_string();
    let port = text.lines().find_map(|line| line.strip_prefix("m=audio ")).unwrap();
    let port = port.split(' ').next().unwrap().parse().unwrap();
    SocketAddr::new(LOOPBACK.ip(), port)
}

fn every_packet_goes_through_unchanged_both_ways(io: MediaIo) {
    let bench = Bench::new(io, 18_400);
    let (mut caller, mut callee) = (Phone::new(1), Phone::new(2));
    let call = CallId(40);
    let (for_caller, for_callee) = bench.connect(call, &caller, &callee);
    for round in 0..200_u8 {
        let said = caller.send(for_caller, &[round; 160]);
        assert_eq!(callee.receive(), said);
        let said = callee.send(for_callee, &[255 - round; 160]);
        assert_eq!(caller.receive(), said);
    }
    let stats = bench.plane.stats(call).unwrap();
    assert_eq!((stats.caller.received_packets, stats.callee.sent_packets), (200, 200));
    assert_eq!((stats.callee.received_packets, stats.caller.sent_packets), (200, 200));
}

fn a_burst_larger_than_one_turn_loses_nothing(io: MediaIo) {
    let bench = Bench::new(io, 18_600);
    let (mut caller, callee) = (Phone::new(1), Phone::new(2));
    let (for_caller, _) = bench.connect(CallId(1), &caller, &callee);
    let sent: Vec<_> = (0..100_u8).map(|index| caller.send(for_caller, &[index; 20])).collect();
    for packet in sent {
        assert_eq!(callee.receive(), packet);
    }
}

fn strangers_and_oversized_packets_are_dropped(io: MediaIo) {
    let bench = Bench::new(io, 18_800);
    let (mut caller, callee) = (Phone::new(1), Phone::new(2));
    let call = CallId(5);
    let (for_caller, _) = bench.connect(call, &caller, &callee);
    let said = caller.send(for_caller, &[1; 160]);
    assert_eq!(callee.receive(), said);
    let mut stranger = Phone::new(9);
    for _ in 0..20 {
        stranger.send(for_caller, &[9; 160]);
    }
    caller.send(for_caller, &[7; 4_000]);
    assert!(callee.hears_nothing());
    let stats = bench.plane.stats(call).unwrap();
    assert_eq!(stats.caller.dropped_total(), 20);
    let said = caller.send(for_caller, &[2; 160]);
    assert_eq!(callee.receive(), said);
}

fn a_closed_call_gives_back_its_ports_at_once(io: MediaIo) {
    let bench = Bench::new(io, 19_000);
    let (caller, callee) = (Phone::new(1), Phone::new(2));
    for round in 0..200 {
        let call = CallId(round);
        let (for_caller, for_callee) = bench.connect(call, &caller, &callee);
        assert_eq!(bench.ports_taken(), 2);
        bench.plane.perform(MediaOp::Close { call });
        bench.until(|bench| bench.ports_taken() == 0);
        // The sockets are really closed: anybody may have the ports now.
        for port in [for_caller.port(), for_callee.port()] {
            drop(UdpSocket::bind(("0.0.0.0", port)).unwrap());
        }
    }
}

fn when_the_ports_run_out_calls_are_refused_and_none_is_lost(io: MediaIo) {
    let bench = Bench::new(io, 19_200);
    let near = Some(LOOPBACK.ip());
    let pairs: usize = bench.plane.totals().iter().map(|totals| totals.ports).sum();
    assert_eq!(pairs, 100);
    let calls: Vec<_> = (0..120).map(CallId).collect();
    for call in &calls {
        bench.plane.perform(MediaOp::Open { call: *call, offer: None, codecs: None, near, room: None });
        bench.plane.perform(MediaOp::MakeOffer { call: *call, seat: Party::Caller.into(), leg: LEG, near });
    }
    let reports: Vec<_> = calls.iter().map(|_| bench.reports.recv_timeout(PATIENCE).unwrap()).collect();
    let refused = reports.iter().filter_map(|report| match report {
        MediaReport::Refused { cause, .. } => Some(cause.code),
        MediaReport::Local { .. }
        | MediaReport::Silent { .. }
        | MediaReport::Idle { .. }
        | MediaReport::Direction { .. }
        | MediaReport::Audio { .. }
        | MediaReport::Played { .. }
        | MediaReport::Room { .. }
        | MediaReport::Digit { .. }
        | MediaReport::Recorded { .. }
        | MediaReport::Moved { .. } => None,
    });
    assert_eq!(refused.collect::<Vec<_>>(), [503; 20]);
    for call in calls {
        bench.plane.perform(MediaOp::Close { call });
    }
    bench.until(|bench| bench.ports_taken() == 0);
}

fn tones_are_played_in_time(io: MediaIo) {
    let bench = Bench::new(io, 19_400);
    let phone = Phone::new(1);
    let call = CallId(3);
    let near = Some(LOOPBACK.ip());
    bench.plane.perform(MediaOp::Open {
        call,
        offer: Some((Party::Caller, phone.sdp())),
        codecs: None,
        near,
        room: None,
    });
    bench.plane.perform(MediaOp::MakeAnswer { call, seat: Party::Caller.into(), leg: LEG });
    bench.local();
    bench.plane.perform(MediaOp::Hear { call, seat: Party::Caller.into(), source: Source::Reference });
    let first = phone.receive();
    let started = Instant::now();
    for _ in 0..25 {
        assert_eq!(phone.receive().len(), first.len());
    }
    let took = started.elapsed();
    assert!((Duration::from_millis(400)..Duration::from_secs(2)).contains(&took), "{took:?}");
}

fn a_party_that_falls_silent_is_reported_and_one_that_speaks_is_not(io: MediaIo) {
    let mut config = media_by(io, 17_600);
    config.engine.rtp_timeout = Duration::from_millis(300);
    let bench = Bench::start(&config);
    let (mut caller, callee) = (Phone::new(1), Phone::new(2));
    let call = CallId(8);
    let (for_caller, _) = bench.connect(call, &caller, &callee);
    let end = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < end);
        caller.send(for_caller, &[1; 160]);
        match bench.reports.recv_timeout(Duration::from_millis(20)) {
            Ok(MediaReport::Silent { call: of, party }) => {
                assert_eq!((of, party), (call, Party::Callee));
                return;
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => {}
        }
    }
}

fn a_call_in_which_nobody_speaks_is_reported_and_one_that_somebody_speaks_in_is_not(io: MediaIo) {
    let mut config = media_by(io, 16_600);
    config.engine.idle_after = Duration::from_millis(300);
    config.engine.quiet_after = Duration::ZERO;
    let bench = Bench::start(&config);
    let (mut caller, callee) = (Phone::new(1), Phone::new(2));
    let (for_caller, _) = bench.connect(CallId(8), &caller, &callee);
    let silent = [Phone::new(3), Phone::new(4)];
    bench.connect(CallId(9), &silent[0], &silent[1]);
    let end = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < end);
        caller.send(for_caller, &[1; 160]);
        match bench.reports.recv_timeout(Duration::from_millis(20)) {
            // A machine that stands still may have kept the first one from speaking.
            Ok(MediaReport::Idle { call: CallId(8), .. }) | Err(_) => {}
            Ok(MediaReport::Idle { call, silence }) => {
                assert_eq!(call, CallId(9));
                assert!(silence >= Duration::from_millis(300));
                return;
            }
            Ok(other) => panic!("{other:?}"),
        }
    }
}

impl Bench {
    fn direct_lines(&self) -> usize {
        self.plane.totals().iter().map(|totals| totals.direct).sum()
    }

    /// Lets both talk for so long that each is sent its audio directly, where packets come through a ring; says so.
    fn talk_at_length(&self, caller: &mut Phone, callee: &mut Phone, at: (SocketAddr, SocketAddr)) -> bool {
        for round in 0..120_u8 {
            let said = caller.send(at.0, &[round; 160]);
            assert_eq!(callee.receive(), said);
            let said = callee.send(at.1, &[round; 160]);
            assert_eq!(caller.receive(), said);
        }
        let direct = self.direct_lines();
        assert!(direct == 2 || direct == 0, "{direct}");
        direct == 2
    }
}

/// Whether a media thread of this kind opens direct lines here.
fn expects_direct_lines(io: MediaIo) -> bool {
    io != MediaIo::Epoll && hookswitch_net::UdpRing::new(1).is_ok()
}

fn a_long_talk_still_counts_strangers_and_lets_nobody_in(io: MediaIo) {
    let bench = Bench::new(io, 17_200);
    let (mut caller, mut callee) = (Phone::new(1), Phone::new(2));
    let call = CallId(11);
    let at = bench.connect(call, &caller, &callee);
    assert_eq!(bench.talk_at_length(&mut caller, &mut callee, at), expects_direct_lines(io));
    let mut stranger = Phone::new(9);
    for _ in 0..20 {
        stranger.send(at.0, &[9; 160]);
    }
    assert!(callee.hears_nothing());
    assert_eq!(bench.plane.stats(call).unwrap().caller.dropped_total(), 20);
    let said = caller.send(at.0, &[2; 160]);
    assert_eq!(callee.receive(), said);
    bench.plane.perform(MediaOp::Close { call });
    bench.until(|bench| bench.ports_taken() == 0);
    assert_eq!(bench.direct_lines(), 0);
    for port in [at.0.port(), at.1.port()] {
        drop(UdpSocket::bind(("0.0.0.0", port)).unwrap());
    }
}

fn a_phone_that_moves_after_a_long_talk_is_heard_and_hears(io: MediaIo) {
    let mut config = media_by(io, 17_000);
    config.engine.latch.relatch_after = Duration::from_millis(50);
    let bench = Bench::start(&config);
    let (mut caller, mut callee) = (Phone::new(1), Phone::new(2));
    let call = CallId(12);
    let at = bench.connect(call, &caller, &callee);
    let direct = bench.talk_at_length(&mut caller, &mut callee, at);
    // The caller falls silent, and goes on from another port.
    std::thread::sleep(Duration::from_millis(100));
    let mut moved = Phone { rtp: Phone::new(1).rtp, sequence: caller.sequence, source: 1 };
    for _ in 0..10 {
        moved.send(at.0, &[3; 160]);
    }
    assert!(!callee.receive().is_empty(), "whoever has moved is heard");
    let said = callee.send(at.1, &[4; 160]);
    assert_eq!(moved.receive(), said);
    assert!(caller.hears_nothing());
    assert_eq!(bench.direct_lines(), usize::from(direct), "only the callee's is left");
    // Nothing was lost, and the new place gets a line of its own in time.
    for round in 0..120_u8 {
        let said = callee.send(at.1, &[round; 160]);
        assert_eq!(moved.receive(), said);
    }
    assert_eq!(bench.direct_lines(), 2 * usize::from(direct));
}

fn a_phone_that_was_gone_after_a_long_talk_hears_again_when_it_is_back(io: MediaIo) {
    let bench = Bench::new(io, 16_800);
    let (mut caller, mut callee) = (Phone::new(1), Phone::new(2));
    let at = bench.connect(CallId(13), &caller, &callee);
    bench.talk_at_length(&mut caller, &mut callee, at);
    let place = callee.rtp.local_addr().unwrap();
    drop(std::mem::replace(&mut callee.rtp, UdpSocket::bind(LOOPBACK).unwrap()));
    for round in 0..20_u8 {
        caller.send(at.0, &[round; 160]);
        std::thread::sleep(Duration::from_millis(2));
    }
    callee.rtp = UdpSocket::bind(place).unwrap();
    callee.rtp.set_read_timeout(Some(PATIENCE)).unwrap();
    for round in 0..20_u8 {
        let said = caller.send(at.0, &[round; 160]);
        // On a busy machine what was said while it was gone may still be on its way.
        let mut heard = callee.receive();
        while round == 0 && heard != said {
            heard = callee.receive();
        }
        assert_eq!(heard, said);
    }
    let said = callee.send(at.1, &[7; 160]);
    assert_eq!(caller.receive(), said);
}

/// Every test once by epoll, and once by io_uring where the system has it.
macro_rules! by_epoll_and_by_ring {
    ($($name:ident),* $(,)?) => {
        mod by_epoll {
            $(#[test] fn $name() { super::$name(super::MediaIo::Epoll); })*
        }
        mod by_ring {
            $(#[test] fn $name() { super::$name(super::MediaIo::Auto); })*
        }
    };
}

by_epoll_and_by_ring! {
    every_packet_goes_through_unchanged_both_ways,
    a_burst_larger_than_one_turn_loses_nothing,
    strangers_and_oversized_packets_are_dropped,
    a_closed_call_gives_back_its_ports_at_once,
    when_the_ports_run_out_calls_are_refused_and_none_is_lost,
    tones_are_played_in_time,
    a_party_that_falls_silent_is_reported_and_one_that_speaks_is_not,
    a_call_in_which_nobody_speaks_is_reported_and_one_that_somebody_speaks_in_is_not,
    a_long_talk_still_counts_strangers_and_lets_nobody_in,
    a_phone_that_moves_after_a_long_talk_is_heard_and_hears,
    a_phone_that_was_gone_after_a_long_talk_hears_again_when_it_is_back,
}
