//! An engine on a stage: ports that are only numbers, a clock that tests move, and two phones.

#![allow(dead_code, reason = "each test file uses its own part of the stage")]

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hookswitch_call::{CallId, Cause, Digit, LegId, MediaOp, MediaReport, Party, Sdp, Seat, Source};
use hookswitch_codec::by_static_payload_type;
use hookswitch_media::{AddressPolicy, DropReason, Engine, EngineConfig, Forward, PortPair, Ports, SocketIx};
use hookswitch_rtp::{Header, Packet};
use hookswitch_sdp::SessionDescription;

pub const CALL: CallId = CallId(1);
pub const CALLER_LEG: LegId = LegId(0);
pub const CALLEE_LEG: LegId = LegId(1);
pub const NEW_LEG: LegId = LegId(2);
pub const NEW_SEAT: Seat = Seat::Spare;
pub const SWITCH: &str = "192.0.2.10";
pub const SWITCH_V6: &str = "2001:db8::10";
pub const ALICE: &str = "198.51.100.1:4000";
pub const BOB: &str = "203.0.113.2:5000";
pub const CAROL: &str = "203.0.113.3:7000";

/// Room for a packet of any length.
pub const ROOM: usize = 2_048;

pub fn at(text: &str) -> SocketAddr {
    text.parse().expect("a test address")
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("a test address")
}

/// Ports that are only numbers.
pub struct PaperPorts {
    free_v4: Vec<PortPair>,
    free_v6: Vec<PortPair>,
    first_v6: SocketIx,
    pub taken: Vec<PortPair>,
    pub farewells: Vec<(SocketIx, SocketAddr, Vec<u8>)>,
}

impl PaperPorts {
    pub fn new(pairs: u32) -> Self {
        let pair = |first: u32, n: u32| PortPair {
            rtp: SocketIx(first + 2 * n),
            rtcp: SocketIx(first + 2 * n + 1),
            port: 10_000 + 2 * u16::try_from(n).expect("few pairs"),
        };
        Self {
            free_v4: (0..pairs).rev().map(|n| pair(0, n)).collect(),
            free_v6: (0..pairs).rev().map(|n| pair(2 * pairs, n)).collect(),
            first_v6: SocketIx(2 * pairs),
            taken: Vec::new(),
            farewells: Vec::new(),
        }
    }

    pub fn free(&self) -> usize {
        self.free_v4.len() + self.free_v6.len()
    }

    /// The RTP socket on a port.
    pub fn socket(&self, port: u16) -> SocketIx {
        let pair = self.taken.iter().find(|pair| pair.port == port);
        pair.expect("a port that is in use").rtp
    }
}

impl Ports for PaperPorts {
    fn take(&mut self, v6: bool) -> Option<PortPair> {
        let pair = if v6 { &mut self.free_v6 } else { &mut self.free_v4 }.pop()?;
        self.taken.push(pair);
        Some(pair)
    }

    fn give_back(&mut self, pair: PortPair) {
        let place = self.taken.iter().position(|taken| *taken == pair);
        self.taken.remove(place.expect("only what was taken is given back"));
        if pair.rtp >= self.first_v6 { &mut self.free_v6 } else { &mut self.free_v4 }.push(pair);
    }

    fn send(&mut self, socket: SocketIx, to: SocketAddr, packet: &[u8]) {
        self.farewells.push((socket, to, packet.to_vec()));
    }
}

/// What the engine sent by itself.
pub struct Sent {
    pub at: Duration,
    pub socket: SocketIx,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

pub struct Stage {
    pub engine: Engine,
    pub ports: PaperPorts,
    pub now: Duration,
    /// The port that each party was told last.
    pub our_port: HashMap<Party, u16>,
    /// The port each party was told last, as a description.
    pub told: HashMap<Party, String>,
    /// The port that whoever is in the spare seat was told last.
    pub spare_port: u16,
    /// What was told of parties, and not as an answer: directions and keys.
    pub news: Vec<MediaReport>,
}

impl Stage {
    pub fn new() -> Self {
        Self::with(config(), 8)
    }

    pub fn with(config: EngineConfig, pairs: u32) -> Self {
        Self {
            engine: Engine::new(config, 7),
            ports: PaperPorts::new(pairs),
            now: Duration::from_secs(1_800_000_000),
            our_port: HashMap::new(),
            told: HashMap::new(),
            spare_port: 0,
            news: Vec::new(),
        }
    }

    pub fn wait(&mut self, ms: u64) -> &mut Self {
        self.now += Duration::from_millis(ms);
        self
    }

    pub fn perform(&mut self, op: MediaOp) -> Vec<MediaReport> {
        self.engine.perform(self.now, op, &mut self.ports);
        let reports = self.reports();
        for report in &reports {
            if let MediaReport::Local { seat, sdp, .. } = report {
                let parsed = SessionDescription::parse(sdp.0.as_bytes()).expect("our own description");
                let (_, audio) = parsed.first_audio().expect("audio");
                if let Seat::Of(party) = seat {
                    self.our_port.insert(*party, audio.port());
                    self.told.insert(*party, sdp.0.to_string());
                } else {
                    self.spare_port = audio.port();
                }
            }
        }
        reports
    }

    /// What the engine has to say. Directions, keys and what is known of the audio are put aside, as news.
    pub fn reports(&mut self) -> Vec<MediaReport> {
        let is_news = |report: &MediaReport| {
            matches!(
                report,
                MediaReport::Direction { .. }
                    | MediaReport::Digit { .. }
                    | MediaReport::Audio { .. }
                    | MediaReport::Recorded { .. }
            )
        };
        let reports = std::iter::from_fn(|| self.engine.poll_report());
        let (news, answers): (Vec<_>, Vec<_>) = reports.partition(is_news);
        self.news.extend(news);
        answers
    }

    fn ask(&mut self, op: MediaOp) -> Result<String, Cause> {
        match self.perform(op).as_slice() {
            [MediaReport::Local { sdp, .. }] => Ok(sdp.0.to_string()),
            [MediaReport::Refused { cause, .. }] => Err(cause.clone()),
            other => panic!("one report expected, not {other:?}"),
        }
    }

    pub fn open(&mut self, offer: Option<&str>) -> &mut Self {
        let offer = offer.map(|sdp| (Party::Caller, Sdp::from(sdp)));
        let reports = self.perform(MediaOp::Open { call: CALL, offer, codecs: None, near: None, room: None });
        assert!(reports.is_empty(), "opening has no report");
        self
    }

    pub fn make_offer(&mut self, seat: impl Into<Seat>, leg: LegId) -> Result<String, Cause> {
        self.ask(MediaOp::MakeOffer { call: CALL, seat: seat.into(), leg, near: None })
    }

    pub fn make_answer(&mut self, seat: impl Into<Seat>) -> Result<String, Cause> {
        let seat = seat.into();
        let leg = match seat {
            Seat::Of(Party::Caller) => CALLER_LEG,
            Seat::Of(Party::Callee) => CALLEE_LEG,
            Seat::Spare => NEW_LEG,
        };
        self.ask(MediaOp::MakeAnswer { call: CALL, seat, leg })
    }

    pub fn accept(&mut self, seat: impl Into<Seat>, leg: LegId, sdp: &str) -> Result<(), Cause> {
        let sdp = Sdp::from(sdp);
        match self.perform(MediaOp::Accept { call: CALL, seat: seat.into(), leg, sdp }).as_slice() {
            [] => Ok(()),
            [MediaReport::Refused { cause, .. }] => Err(cause.clone()),
            other => panic!("no report or a refusal expected, not {other:?}"),
        }
    }

    pub fn reoffer(&mut self, seat: impl Into<Seat>, sdp: &str) -> Result<String, Cause> {
        let (seat, sdp) = (seat.into(), Sdp::from(sdp));
        self.perform(MediaOp::Offered { call: CALL, seat, sdp });
        self.make_answer(seat)
    }

    pub fn hear(&mut self, seat: impl Into<Seat>, source: Source) -> &mut Self {
        self.quietly(MediaOp::Hear { call: CALL, seat: seat.into(), source })
    }

    pub fn hold(&mut self, party: Party, on: bool) -> &mut Self {
        self.quietly(MediaOp::Hold { call: CALL, party, on })
    }

    pub fn open_spare(&mut self, party: Party) -> &mut Self {
        self.quietly(MediaOp::OpenSpare { call: CALL, party, near: None })
    }

    /// Whoever has the spare seat and this party change places.
    pub fn swap(&mut self, party: Party) -> &mut Self {
        if let Some(port) = self.our_port.get_mut(&party) {
            std::mem::swap(port, &mut self.spare_port);
        }
        self.quietly(MediaOp::Swap { call: CALL })
    }

    pub fn close_spare(&mut self) -> &mut Self {
        self.quietly(MediaOp::CloseSpare { call: CALL })
    }

    pub fn press(&mut self, party: Party, key: char, ms: u64) -> &mut Self {
        let digit = Digit { key, time: Duration::from_millis(ms) };
        self.quietly(MediaOp::Digit { call: CALL, party, digit })
    }

    /// Performs what has no report.
    fn quietly(&mut self, op: MediaOp) -> &mut Self {
        let reports = self.perform(op);
        assert!(reports.is_empty(), "no report expected, not {reports:?}");
        self
    }

    /// Somebody's packet to the port that the newcomer was told.
    pub fn send_spare(&mut self, from: &str, packet: &mut [u8]) -> Forward {
        let socket = self.ports.socket(self.spare_port);
        self.handle(socket, from, packet)
    }

    /// What is longer than the packet was is cut off; [`Stage::pass`] shows all of it.
    fn handle(&mut self, socket: SocketIx, from: &str, packet: &mut [u8]) -> Forward {
        let len = packet.len();
        self.engine.handle_packet(self.now, socket, at(from), packet, len)
    }

    /// What has become known since the last time that somebody asked.
    pub fn take_news(&mut self) -> Vec<MediaReport> {
        std::mem::take(&mut self.news)
    }

    pub fn close(&mut self) -> &mut Self {
        self.perform(MediaOp::Close { call: CALL });
        self
    }

    /// Alice has called Bob, both offer and answer PCMU, PCMA and events, and both hear each other.
    pub fn talking() -> Self {
        let mut stage = Self::new();
        stage.connect(&phone(ALICE, "0 8 101"), &phone(BOB, "0 8 101"));
        stage
    }

    pub fn connect(&mut self, caller: &str, callee: &str) -> &mut Self {
        self.open(Some(caller));
        self.make_offer(Party::Callee, CALLEE_LEG).expect("an offer");
        self.accept(Party::Callee, CALLEE_LEG, callee).expect("a usable answer");
        self.make_answer(Party::Caller).expect("an answer");
        self.hear(Party::Caller, Source::Peer).hear(Party::Callee, Source::Peer)
    }

    /// Somebody's packet to the port that a party was told.
    pub fn send(&mut self, party: Party, from: &str, packet: &mut [u8]) -> Forward {
        let socket = self.ports.socket(self.our_port[&party]);
        self.handle(socket, from, packet)
    }

    /// Somebody's packet to the port that a party was told, and all that is made of it: to whom, and what.
    pub fn pass(&mut self, party: Party, from: &str, packet: &[u8]) -> Vec<(SocketAddr, Vec<u8>)> {
        let socket = self.ports.socket(self.our_port[&party]);
        let mut buffer = [0; ROOM];
        buffer[..packet.len()].copy_from_slice(packet);
        let forward = self.engine.handle_packet(self.now, socket, at(from), &mut buffer, packet.len());
        let mut sent = Vec::new();
        self.engine.send_ready(&mut |_, to, bytes| sent.push((to, bytes.to_vec())));
        if let Forward::Send { to, len, .. } = forward {
            sent.push((to, buffer[..len].to_vec()));
        }
        sent
    }

    /// The same for RTCP.
    pub fn send_report(&mut self, party: Party, from: &str, packet: &mut [u8]) -> Forward {
        let socket = self.ports.socket(self.our_port[&party]);
        let socket = SocketIx(socket.0 + 1);
        self.handle(socket, from, packet)
    }

    /// Sends `count` packets of a stream 20 ms apart, and says what became of each.
    pub fn stream(&mut self, party: Party, from: &str, ssrc: u32, first: u16, count: u16) -> Vec<Forward> {
        (0..count)
            .map(|n| {
                self.wait(20);
                let sequence = first.wrapping_add(n);
                self.send(party, from, &mut rtp(0, sequence, ssrc))
            })
            .collect()
    }

    /// Lets time pass tick by tick, and collects what the engine sends.
    pub fn run(&mut self, ms: u64) -> Vec<Sent> {
        let mut sent = Vec::new();
        let end = self.now + Duration::from_millis(ms);
        while let Some(due) = self.engine.next_tick().filter(|due| *due < end) {
            let now = due.max(self.now);
            self.now = now;
            self.engine.tick(now, &mut |socket, to, bytes| {
                sent.push(Sent { at: now, socket, to, bytes: bytes.to_vec() });
            });
        }
        self.now = end;
        sent
    }

    pub fn dropped(&self, party: Party, reason: DropReason) -> u64 {
        let stats = self.engine.stats(CALL).expect("the call");
        let counters = match party {
            Party::Caller => stats.caller,
            Party::Callee => stats.callee,
        };
        counters.dropped_for(reason)
    }

    /// Our RTP socket towards a party.
    pub fn socket_of(&self, party: Party) -> SocketIx {
        self.ports.socket(self.our_port[&party])
    }
}

pub fn config() -> EngineConfig {
    EngineConfig::new(AddressPolicy::Auto { fallback: ip(SWITCH) })
}

/// The same with G.722, as the last choice.
pub fn with_g722() -> EngineConfig {
    let mut config = config();
    config.codecs.push(by_static_payload_type(9).expect("G.722"));
    config
}

/// What packets of this payload type hold, one after the other, and its rate.
pub fn heard(payload_type: u8, packets: &[&Sent]) -> (Vec<i16>, u32) {
    let codec = by_static_payload_type(payload_type).expect("a codec");
    let mut decoder = codec.decoder().expect("audio");
    let mut samples = Vec::new();
    for packet in packets {
        let packet = parse(&packet.bytes);
        assert_eq!(packet.payload_type(), payload_type);
        let mut block = vec![0; 2 * packet.payload().len()];
        let count = decoder.decode(packet.payload(), &mut block);
        samples.extend_from_slice(&block[..count]);
    }
    (samples, codec.sample_rate)
}

/// A phone's description: formats by number, `101` being telephone-event.
pub fn phone(address: &str, formats: &str) -> String {
    phone_with(address, formats, "")
}

/// The same with more lines of the audio stream, each ended by CRLF.
pub fn phone_with(address: &str, formats: &str, more: &str) -> String {
    let address = at(address);
    let (ip, port) = (address.ip(), address.port());
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    let mut text = format!(
        "v=0\r\no=phone 1 1 IN {family} {ip}\r\ns=call\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {formats}\r\n"
    );
    for number in formats.split(' ') {
        text += &match number {
            "0" => "a=rtpmap:0 PCMU/8000\r\n".to_owned(),
            "8" => "a=rtpmap:8 PCMA/8000\r\n".to_owned(),
            "9" => "a=rtpmap:9 G722/8000\r\n".to_owned(),
            "18" => "a=rtpmap:18 G729/8000\r\n".to_owned(),
            "13" => "a=rtpmap:13 CN/8000\r\n".to_owned(),
            "107" => "a=rtpmap:107 opus/48000/2\r\n".to_owned(),
            event => format!("a=rtpmap:{event} telephone-event/8000\r\na=fmtp:{event} 0-15\r\n"),
        };
    }
    text + more
}

/// 20 ms of something.
pub fn rtp(payload_type: u8, sequence: u16, ssrc: u32) -> Vec<u8> {
    let header = Header { marker: false, payload_type, sequence, timestamp: u32::from(sequence) * 160, ssrc };
    let payload: Vec<u8> = (0..160u32).map(|n| (n.wrapping_mul(31) ^ ssrc) as u8).collect();
    let mut buffer = vec![0; 12 + payload.len()];
    header.write_packet(&payload, &mut buffer).expect("room");
    buffer
}

/// The lines of a description's audio stream and what the m-line says of formats.
pub fn formats_in(sdp: &str) -> String {
    let parsed = SessionDescription::parse(sdp).expect("a description");
    let (_, audio) = parsed.first_audio().expect("an audio stream");
    audio.formats().collect::<Vec<_>>().join(" ")
}

/// The numbers of a description's formats, and what they stand for.
pub fn numbers_and_names(sdp: &str) -> Vec<String> {
    let parsed = SessionDescription::parse(sdp).expect("a description");
    let (_, audio) = parsed.first_audio().expect("an audio stream");
    audio.codecs().map(|format| format!("{} {}", format.payload_type, format.name)).collect()
}

pub fn is_sent(forward: &Forward) -> bool {
    matches!(forward, Forward::Send { .. })
}

pub fn sent_to(forward: Forward) -> SocketAddr {
    match forward {
        Forward::Send { to, .. } => to,
        Forward::Drop(reason) => panic!("dropped: {reason:?}"),
    }
}

pub fn parse(bytes: &[u8]) -> Packet<'_> {
    Packet::parse(bytes).expect("an RTP packet")
}
