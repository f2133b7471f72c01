//! Rooms on several media threads: whoever comes into one is carried by its thread from then on.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::harness::{LOOPBACK, PATIENCE, media};
use hookswitch_call::{
    CallId, LegId, MediaOp, MediaReport, Part, Party, RecordEnd, RecordNews, RecordOrder, RecordPlan, RecordingId,
    Room, RoomNews, Sdp, Source,
};
use hookswitch_drive::{Clock, MediaConfig, MediaIo, MediaPlane};
use hookswitch_net::PortRange;

const LEG: LegId = LegId(0);
const PARTY: Party = Party::Caller;

struct Phone {
    rtp: UdpSocket,
    call: CallId,
    to: SocketAddr,
    sequence: u16,
}

struct Hall {
    plane: MediaPlane,
    reports: Receiver<MediaReport>,
}

impl Hall {
    fn new(config: &MediaConfig) -> Self {
        let (tell, reports) = channel();
        let tell = Mutex::new(tell);
        let sink = Arc::new(move |report| {
            let _ = tell.lock().unwrap().send(report);
        });
        Self { plane: MediaPlane::start(config, Clock::start(), 7, sink).unwrap(), reports }
    }

    fn wait_for<T>(&self, mut wanted: impl FnMut(MediaReport) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.reports.recv_timeout(PATIENCE).unwrap()) {
                return found;
            }
        }
    }

    /// A phone has called, and hears music.
    fn calls(&self, call: u64) -> Phone {
        let rtp = UdpSocket::bind(LOOPBACK).unwrap();
        rtp.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let port = rtp.local_addr().unwrap().port();
        let text = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
        );
        let (call, offer) = (CallId(call), Some((PARTY, Sdp::from(text.as_str()))));
        self.plane.perform(MediaOp::Open { call, offer, codecs: None, near: Some(LOOPBACK.ip()), room: None });
        self.plane.perform(MediaOp::MakeAnswer { call, seat: PARTY.into(), leg: LEG });
        self.plane.perform(MediaOp::Hear { call, seat: PARTY.into(), source: Source::Hold });
        let port = self.wait_for(|report| match report {
            MediaReport::Local { sdp, .. } => {
                sdp.0.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse().ok())
            }
            _ => None,
        });
        Phone { rtp, call, to: SocketAddr::new(LOOPBACK.ip(), port), sequence: 0 }
    }

    fn joins(&self, phone: &Phone, room: &str) {
        let (call, room) = (phone.call, Room::from(room));
        self.plane.perform(MediaOp::Join { call, party: PARTY, room, part: Part::default() });
        self.plane.perform(MediaOp::Hear { call, seat: PARTY.into(), source: Source::Room });
        self.wait_for(|report| match report {
            MediaReport::Room { call: told, news: RoomNews::Joined(_), .. } if told == call => Some(()),
            MediaReport::Room { news: RoomNews::Refused(cause), .. } => panic!("{cause:?}"),
            _ => None,
        });
    }

    /// Both speak until each has heard the other.
    fn talk(&self, phones: &mut [Phone; 2]) {
        let end = Instant::now() + PATIENCE;
        let mut heard = [false; 2];
        while heard != [true; 2] {
            assert!(Instant::now() < end, "{heard:?}");
            for phone in phones.iter_mut() {
                phone.speak();
            }
            for (phone, heard) in phones.iter_mut().zip(&mut heard) {
                *heard |= phone.hears_the_other();
            }
        }
    }

    fn ports_taken(&self) -> Vec<usize> {
        self.plane.totals().iter().map(|totals| totals.ports_taken).collect()
    }

    /// The last words of a call are told before its ports are free.
    fn until_all_is_free(&self) {
        let end = Instant::now() + PATIENCE;
        while self.ports_taken() != [0, 0] {
            assert!(Instant::now() < end, "{:?}", self.ports_taken());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Phone {
    /// 20 ms that are loud.
    fn speak(&mut self) {
        self.sequence += 1;
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend_from_slice(&[0, 0, 0, 9]);
        packet.extend_from_slice(&[0x90; 160]);
        self.rtp.send_to(&packet, self.to).unwrap();
    }

    /// Whether one of the packets that come within 20 ms has the other's sound, which no music has.
    fn hears_the_other(&self) -> bool {
        let mut buffer = [0; 512];
        let until = Instant::now() + Duration::from_millis(20);
        let mut hears = false;
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            self.rtp.set_read_timeout(Some(left)).unwrap();
            if let Ok((len, _)) = self.rtp.recv_from(&mut buffer) {
                hears |= buffer[12..len].iter().filter(|byte| **byte == 0x90).count() > 80;
            }
        }
        hears
    }
}

fn config(io: MediaIo, first: u16) -> MediaConfig {
    // Two pairs for each thread: a port that did not come back would be missing soon.
    MediaConfig { io, ports: PortRange { first, last: first + 7 }, ..media(first) }
}

fn calls_move_to_the_thread_of_their_room(io: MediaIo, first: u16) {
    let hall = Hall::new(&config(io, first));
    for round in 0..6 {
        // One after the other, so they are on different threads.
        let mut phones = [hall.calls(2 * round), hall.calls(2 * round + 1)];
        for phone in &mut phones {
            phone.speak();
        }
        for (phone, room) in phones.iter().zip(["a", "a"]) {
            hall.joins(phone, room);
        }
        hall.talk(&mut phones);
        // From one room to another, which may be elsewhere, and back.
        for room in ["b", "c", "a"] {
            phones.iter().for_each(|phone| hall.joins(phone, room));
            hall.talk(&mut phones);
        }
        for phone in &phones {
            assert!(hall.plane.stats(phone.call).is_some());
            hall.plane.perform(MediaOp::Close { call: phone.call });
        }
        hall.until_all_is_free();
    }
}

#[test]
fn calls_move_to_the_thread_of_their_room_by_epoll() {
    calls_move_to_the_thread_of_their_room(MediaIo::Epoll, 13_000);
}

#[test]
fn calls_move_to_the_thread_of_their_room_by_io_uring() {
    calls_move_to_the_thread_of_their_room(MediaIo::Auto, 13_020);
}

#[test]
fn a_recording_is_one_file_wherever_its_call_goes() {
    let folder = std::env::temp_dir().join(format!("hookswitch-media-rooms-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut config = config(MediaIo::Auto, 13_040);
    config.files.recordings = Some(folder.clone());
    let hall = Hall::new(&config);
    let mut phones = [hall.calls(0), hall.calls(1)];
    for phone in &phones {
        let (call, recording) = (phone.call, RecordingId(1));
        let plan = RecordPlan::both_sides(format!("{}.wav", call.0).into());
        let order = RecordOrder::Begin(Box::new(plan));
        hall.plane.perform(MediaOp::Record { call, party: PARTY, recording, order });
    }
    for room in ["a", "b", "c"] {
        phones.iter().for_each(|phone| hall.joins(phone, room));
        hall.talk(&mut phones);
    }
    for phone in &phones {
        hall.plane.perform(MediaOp::Close { call: phone.call });
        let recorded = hall.wait_for(|report| match report {
            MediaReport::Recorded { call, news: RecordNews::Finished(recorded), .. } if call == phone.call => {
                Some(recorded)
            }
            _ => None,
        });
        assert_eq!((&recorded.reason, recorded.lost), (&RecordEnd::Closed, Duration::ZERO));
        assert!(!recorded.duration.is_zero(), "{recorded:?}");
        let size = std::fs::metadata(&*recorded.file).unwrap().len();
        assert_eq!(size, recorded.size);
    }
    hall.until_all_is_free();
    drop(hall);
    std::fs::remove_dir_all(&folder).unwrap();
}
