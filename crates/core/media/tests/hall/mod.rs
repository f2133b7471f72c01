//! Members of a room, who each say one tone.

// Not every test uses all of it.
#![allow(dead_code)]

use std::time::Duration;

use hookswitch_call::{CallId, LegId, MediaOp, MediaReport, Part, Party, Role, Room, RoomNews, Sdp, Source};
use hookswitch_codec::{Codec, by_label, by_static_payload_type, frequency_level};
use hookswitch_media::{EngineConfig, Forward, SocketIx};
use hookswitch_rtp::{CompoundWriter, Header, ReportBlock};

use crate::stage::{self, Stage, at, parse};

/// Under this number our phones send Opus.
pub const OPUS: u8 = 111;

const LEG: LegId = LegId(0);
pub const PARTY: Party = Party::Caller;

/// So much louder is a tone that is there than one that is not, in dB.
const CLEAR: f32 = 25.0;

/// Somebody in a room, who says one tone of its own.
pub struct Member {
    pub call: CallId,
    from: String,
    codec: &'static Codec,
    payload_type: u8,
    pub hz: f64,
    pub amplitude: f64,
    sequence: u16,
    encoder: hookswitch_codec::Encoder,
    said: usize,
    /// What it was sent, with when.
    pub heard: Vec<(Duration, Vec<u8>)>,
}

pub struct Hall {
    pub stage: Stage,
    pub members: Vec<Member>,
    pub news: Vec<(CallId, RoomNews)>,
    /// What else was told.
    pub others: Vec<MediaReport>,
}

pub fn room() -> Room {
    Room::from("conference-a@example.com")
}

impl Hall {
    pub fn new() -> Self {
        Self::with(stage::with_g722(), 8)
    }

    pub fn with(config: EngineConfig, pairs: u32) -> Self {
        Self { stage: Stage::with(config, pairs), members: Vec::new(), news: Vec::new(), others: Vec::new() }
    }

    pub fn perform(&mut self, op: MediaOp) {
        self.stage.engine.perform(self.stage.now, op, &mut self.stage.ports);
        let others = self.collect();
        self.others.extend(others);
    }

    pub fn collect(&mut self) -> Vec<MediaReport> {
        let mut others = Vec::new();
        while let Some(report) = self.stage.engine.poll_report() {
            match report {
                MediaReport::Room { call, news, .. } => self.news.push((call, news)),
                other => others.push(other),
            }
        }
        others
    }

    /// Somebody calls who is to be in the room; where it is among the members.
    pub fn calls(&mut self, payload_type: u8, hz: f64) -> usize {
        let place = self.members.len();
        let call = CallId(place as u64 + 1);
        let from = format!("198.51.100.{}:4000", place + 1);
        let codec = if payload_type == OPUS { by_label("opus") } else { by_static_payload_type(payload_type) };
        let codec = codec.expect("a codec");
        let offer = phone(&from, codec, payload_type);
        let near = None;
        let (sdp, room) = (Sdp::from(offer.as_str()), Some(room()));
        self.perform(MediaOp::Open { call, offer: Some((PARTY, sdp)), codecs: None, near, room });
        self.stage.engine.perform(
            self.stage.now,
            MediaOp::MakeAnswer { call, seat: PARTY.into(), leg: LEG },
            &mut self.stage.ports,
        );
        let reports = self.collect();
        assert!(matches!(reports[..], [MediaReport::Local { .. }]), "{reports:?}");
        let encoder = codec.encoder().expect("audio");
        let (sequence, said, heard) = (1, 0, Vec::new());
        let amplitude = 6_000.0;
        self.members.push(Member { call, from, codec, payload_type, hz, amplitude, sequence, encoder, said, heard });
        place
    }

    pub fn joins(&mut self, payload_type: u8, hz: f64, part: Part) -> usize {
        let place = self.calls(payload_type, hz);
        let call = self.members[place].call;
        self.perform(MediaOp::Join { call, party: PARTY, room: room(), part });
        self.perform(MediaOp::Hear { call, seat: PARTY.into(), source: Source::Room });
        place
    }

    pub fn joins_as(&mut self, hz: f64, role: Role) -> usize {
        self.joins(0, hz, Part { role, ..Part::default() })
    }

    pub fn leaves(&mut self, place: usize) {
        self.perform(MediaOp::Leave { call: self.members[place].call, party: PARTY, room: room() });
    }

    /// Everybody speaks and hears for so many milliseconds.
    pub fn pass(&mut self, ms: usize) {
        for _ in 0..ms / 20 {
            for place in 0..self.members.len() {
                let packet = self.members[place].packet();
                let Some(mut packet) = packet else { continue };
                let (place, from) = (place as u16, at(&self.members[place].from));
                let socket = self.stage.ports.socket(10_000 + 2 * place);
                let len = packet.len();
                let forward = self.stage.engine.handle_packet(self.stage.now, socket, from, &mut packet, len);
                assert!(matches!(forward, Forward::Drop(_)), "{forward:?}");
            }
            for sent in self.stage.run(20) {
                let member = self.members.iter_mut().find(|member| at(&member.from) == sent.to);
                if let Some(member) = member {
                    member.heard.push((sent.at, sent.bytes));
                }
            }
            let others = self.collect();
            self.others.extend(others);
        }
    }

    /// Says how it receives what it is sent.
    pub fn reports(&mut self, place: usize, block: ReportBlock) {
        let mut packet = [0; 64];
        let mut writer = CompoundWriter::new(&mut packet);
        writer.receiver_report(1, &[block]).and_then(|writer| writer.cname(1, b"a phone")).expect("room");
        let len = writer.len();
        let socket = self.stage.ports.socket(10_000 + 2 * place as u16);
        let from = self.members[place].from.replace(":4000", ":4001");
        let (socket, from) = (SocketIx(socket.0 + 1), at(&from));
        self.stage.engine.handle_packet(self.stage.now, socket, from, &mut packet, len);
    }

    pub fn forget(&mut self) {
        self.members.iter_mut().for_each(|member| member.heard.clear());
    }

    /// What a member has heard since the last time that all was forgotten, and its rate.
    pub fn sound(&self, place: usize) -> (Vec<i16>, u32) {
        let member = &self.members[place];
        let mut decoder = member.codec.decoder().expect("audio");
        let mut samples = Vec::new();
        let mut block = [0; 5_760];
        for (_, bytes) in &member.heard {
            let count = decoder.decode(parse(bytes).payload(), &mut block);
            samples.extend_from_slice(&block[..count]);
        }
        (samples, member.codec.sample_rate)
    }

    /// How loud one member's tone is in what another has heard, in dB.
    pub fn level(&self, hearer: usize, speaker: usize) -> f32 {
        let (samples, rate) = self.sound(hearer);
        // A decoder that begins in the middle needs a moment.
        let settled = samples.get(rate as usize / 5..).filter(|samples| !samples.is_empty());
        frequency_level(settled.expect("something heard"), rate, self.members[speaker].hz as f32)
    }

    /// Who hears whom: for each hearer the places of those whose tones it hears.
    pub fn matrix(&mut self) -> Vec<Vec<usize>> {
        self.pass(400);
        self.forget();
        self.pass(1_000);
        let own = 20.0 * (6_000.0f32 / 32_768.0).log10();
        let hears = |hearer: usize, speaker: usize| self.level(hearer, speaker) > own - CLEAR;
        let count = self.members.len();
        (0..count).map(|hearer| (0..count).filter(|speaker| hears(hearer, *speaker)).collect()).collect()
    }

    pub fn news(&mut self) -> Vec<(u64, RoomNews)> {
        self.news.drain(..).map(|(call, news)| (call.0, news)).collect()
    }
}

impl Member {
    fn packet(&mut self) -> Option<Vec<u8>> {
        if self.amplitude == 0.0 {
            return None;
        }
        let codec = self.codec;
        let rate = f64::from(codec.sample_rate);
        let (hz, amplitude) = (self.hz, self.amplitude);
        let sample = |place: usize| (amplitude * (std::f64::consts::TAU * hz * place as f64 / rate).sin()) as i16;
        let samples: Vec<i16> = (self.said..self.said + codec.samples_in(20)).map(sample).collect();
        self.said += samples.len();
        let mut payload = [0; 1_500];
        let count = self.encoder.encode(&samples, &mut payload);
        let (payload_type, sequence) = (self.payload_type, self.sequence);
        self.sequence += 1;
        let timestamp = u32::from(sequence) * codec.ticks_in(20);
        let header = Header { marker: false, payload_type, sequence, timestamp, ssrc: 1 };
        let mut packet = vec![0; 12 + count];
        header.write_packet(&payload[..count], &mut packet).expect("room");
        Some(packet)
    }
}

/// The description of a phone that has this codec alone.
fn phone(address: &str, codec: &Codec, payload_type: u8) -> String {
    let channels = if codec.channels == 1 { String::new() } else { format!("/{}", codec.channels) };
    let address = at(address);
    let (ip, port, name, clock) = (address.ip(), address.port(), codec.name, codec.clock_rate);
    format!(
        "v=0\r\no=phone 1 1 IN IP4 {ip}\r\ns=call\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {payload_type}\r\n\
         a=rtpmap:{payload_type} {name}/{clock}{channels}\r\na=fmtp:{payload_type} useinbandfec=1\r\n"
    )
}
