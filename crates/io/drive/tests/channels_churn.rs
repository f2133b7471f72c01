//! Calls that come and go by the hundred over real sockets and a real disk, while one talks that must not notice.

mod harness;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use harness::{LOOPBACK, PATIENCE, media};
use hookswitch_call::{
    Audience, CallId, LegId, MediaOp, MediaReport, Party, PlayId, Plays, RecordNews, RecordOrder, RecordPlan,
    RecordingId, Sdp, Sound, SoundKind, Soup, Source,
};
use hookswitch_drive::{Clock, MediaIo, MediaPlane};
use hookswitch_rtp::is_rtcp;
use hookswitch_sdp::SessionDescription;

const LEG: LegId = LegId(0);
const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;

/// Calls that come and go in all.
const GUESTS: u64 = 200;

/// Of them at most so many at once.
const AT_ONCE: usize = 20;

struct Phone {
    rtp: UdpSocket,
    sequence: u16,
}

impl Phone {
    fn new() -> Self {
        let rtp = UdpSocket::bind(LOOPBACK).unwrap();
        rtp.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { rtp, sequence: 100 }
    }

    fn sdp(&self) -> Sdp {
        let port = self.rtp.local_addr().unwrap().port();
        let text = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
        );
        Sdp::from(text.as_str())
    }

    fn send(&mut self, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend_from_slice(&[0, 0, 0, 9]);
        packet.extend_from_slice(payload);
        self.rtp.send_to(&packet, to).unwrap();
        packet
    }

    /// The next packet of audio. This port may be the one above that of somebody else, where its reports go.
    fn receive(&self) -> Vec<u8> {
        let mut buffer = [0; 2_048];
        loop {
            let (len, _) = self.rtp.recv_from(&mut buffer).unwrap();
            if !is_rtcp(&buffer[..len]) {
                return buffer[..len].to_vec();
            }
        }
    }
}

struct House {
    plane: MediaPlane,
    reports: Receiver<MediaReport>,
    /// Recordings that have begun, and those that are over.
    begun: u64,
    recorded: u64,
}

impl House {
    /// The next port that a call is told; ends of recordings are counted on the way.
    fn local(&mut self) -> SocketAddr {
        loop {
            let report = self.reports.recv_timeout(PATIENCE).unwrap();
            if let MediaReport::Local { sdp, .. } = &report {
                let parsed = SessionDescription::parse(sdp.0.as_bytes()).unwrap();
                let (_, audio) = parsed.first_audio().unwrap();
                return SocketAddr::new(LOOPBACK.ip(), audio.port());
            }
            self.note(&report);
        }
    }

    fn note(&mut self, report: &MediaReport) {
        match report {
            MediaReport::Recorded { news: RecordNews::Finished(end), .. } => {
                assert_eq!(end.reason.name(), "closed", "{end:?}");
                self.recorded += 1;
            }
            MediaReport::Recorded { news: RecordNews::Begun, .. } => self.begun += 1,
            MediaReport::Refused { .. } => panic!("{report:?}"),
            _ => {}
        }
    }

    fn ports_taken(&self) -> usize {
        self.plane.totals().iter().map(|totals| totals.ports_taken).sum()
    }

    /// Somebody comes, is played to and recorded, and says something; who came.
    fn one_comes(&mut self, n: u64, phone: &mut Phone) -> CallId {
        let (call, near) = (CallId(100 + n), Some(LOOPBACK.ip()));
        let offer = Some((CALLER, phone.sdp()));
        self.plane.perform(MediaOp::Open { call, offer, codecs: None, near, room: None });
        self.plane.perform(MediaOp::MakeAnswer { call, seat: CALLER.into(), leg: LEG });
        let port = self.local();
        self.plane.perform(MediaOp::Hear { call, seat: CALLER.into(), source: Source::Sounds });
        let plan = RecordPlan::both_sides(format!("{n}.wav").as_str().into());
        let (party, recording, order) = (CALLER, RecordingId(1), RecordOrder::Begin(Box::new(plan)));
        self.plane.perform(MediaOp::Record { call, party, recording, order });
        let sounds = vec![Sound::of(SoundKind::Pcmu, "flat.ul"), Sound::of(SoundKind::Pcmu, "missing.ul")];
        let soup = Arc::new(Soup { sounds, plays: Plays::Forever, interrupt: false });
        self.plane.perform(MediaOp::Play { call, party: CALLER, play: PlayId(1), soup, to: Audience::Party });
        phone.send(port, &[0x31; 160]);
        // The disk sets the pace, so that nothing is turned away.
        while self.begun <= n {
            let report = self.reports.recv_timeout(PATIENCE).unwrap();
            self.note(&report);
        }
        call
    }
}

fn hundreds_come_and_go_and_one_talk_misses_nothing(io: MediaIo, first_port: u16) {
    let (sounds, recordings) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(sounds.path().join("flat.ul"), vec![0x45; 24_000]).unwrap();
    let mut config = media(first_port);
    config.io = io;
    config.files.sounds = vec![sounds.path().into()];
    config.files.recordings = Some(recordings.path().into());
    let (tell, reports) = channel();
    let tell = Mutex::new(tell);
    let sink = Arc::new(move |report| {
        let _ = tell.lock().unwrap().send(report);
    });
    let plane = MediaPlane::start(&config, Clock::start(), 7, sink).unwrap();
    let mut house = House { plane, reports, begun: 0, recorded: 0 };

    let (mut alice, bob) = (Phone::new(), Phone::new());
    let (call, near) = (CallId(1), Some(LOOPBACK.ip()));
    house.plane.perform(MediaOp::Open { call, offer: Some((CALLER, alice.sdp())), codecs: None, near, room: None });
    house.plane.perform(MediaOp::MakeOffer { call, seat: CALLEE.into(), leg: LEG, near });
    house.local();
    house.plane.perform(MediaOp::Accept { call, seat: CALLEE.into(), leg: LEG, sdp: bob.sdp() });
    house.plane.perform(MediaOp::MakeAnswer { call, seat: CALLER.into(), leg: LEG });
    let port = house.local();
    for party in [CALLER, CALLEE] {
        house.plane.perform(MediaOp::Hear { call, seat: party.into(), source: Source::Peer });
    }
    assert!(house.plane.stats(call).is_some());

    let mut guests: Vec<(CallId, Phone)> = Vec::new();
    for n in 0..GUESTS {
        if guests.len() == AT_ONCE {
            // Not the oldest first.
            let (call, _) = guests.swap_remove(n as usize * 7 % AT_ONCE);
            house.plane.perform(MediaOp::Close { call });
        }
        let mut phone = Phone::new();
        let call = house.one_comes(n, &mut phone);
        guests.push((call, phone));
        // Alice says something to Bob all the time, and everything arrives, as it was.
        for round in 0..3 {
            let said = alice.send(port, &[round; 160]);
            assert_eq!(bob.receive(), said);
        }
    }
    for (call, _) in &guests {
        house.plane.perform(MediaOp::Close { call: *call });
    }
    let end = Instant::now() + PATIENCE;
    while house.recorded < GUESTS || house.ports_taken() > 2 {
        assert!(Instant::now() < end, "{} recorded, {} ports", house.recorded, house.ports_taken());
        if let Ok(report) = house.reports.recv_timeout(std::time::Duration::from_millis(10)) {
            house.note(&report);
        }
    }
    let files: Vec<_> = fs::read_dir(recordings.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len() as u64, GUESTS);
    for file in files {
        let bytes = fs::read(&file).unwrap();
        assert!(bytes.starts_with(b"RIFF") && bytes.len() >= 44, "{}", file.display());
        let length = u32::from_le_bytes([bytes[40], bytes[41], bytes[42], bytes[43]]);
        assert_eq!(length as usize + 44, bytes.len(), "{}", file.display());
    }
    let said = alice.send(port, &[9; 160]);
    assert_eq!(bob.receive(), said);
}

#[test]
fn hundreds_come_and_go_by_epoll() {
    hundreds_come_and_go_and_one_talk_misses_nothing(MediaIo::Epoll, 35_000);
}

#[test]
fn hundreds_come_and_go_by_the_better_way_there_is() {
    hundreds_come_and_go_and_one_talk_misses_nothing(MediaIo::Auto, 35_400);
}
