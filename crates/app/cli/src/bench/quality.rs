//! `hookswitch bench quality`: what becomes of sound on its way through the media engine, as a WAV file to be judged.
//!
//! ```text
//!   WAV ─ encoder of one phone ─▶ engine: relay, transcoding or a room ─▶ decoder of the other ─ WAV
//! ```
//!
//! The engine is the one that carries calls, on a clock of this command's own: nothing is lost and nothing comes late,
//! so what is heard is what the codecs, the changes of rate and the mixer do, the same in every run.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use hookswitch_call::{CallId, LegId, MediaOp, MediaReport, Part, Party, Room, Sdp, Source, Time};
use hookswitch_codec::wav::{MAX_HEADER_LEN, WavFormat, WavHeader, encode_pcm};
use hookswitch_codec::{Codec, Decoder, Resampler, by_label};
use hookswitch_media::{AddressPolicy, Engine, EngineConfig, Forward, PortPair, Ports, SocketIx};
use hookswitch_rtp::{HEADER_LEN, Header, Packet};
use hookswitch_sdp::SessionDescription;

/// Longest file that is carried, in bytes: ten minutes at 48 kHz.
const MAX_FILE: u64 = 60 * 1024 * 1024;

/// Milliseconds in a packet.
const FRAME_MS: u32 = 20;
const FRAME: Duration = Duration::from_millis(FRAME_MS as u64);

/// Packets after the last of the file, in which the end of it comes out.
const TAIL: usize = 10;

/// Room for any packet, and what may be made of it.
const BUFFER: usize = 2_048;

/// Most samples of one packet: 120 ms at 48 kHz.
const MAX_SAMPLES: usize = 5_760;

/// Addresses of phones that there are not.
const NETWORK: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 0);

/// From where to where sound is carried.
#[derive(Debug, Clone, Args)]
pub(super) struct QualityArgs {
    /// A WAV file with what one phone says
    said: PathBuf,
    /// The WAV file to write with what the other hears, at the rate of its codec
    heard: PathBuf,
    /// The codec of the phone that speaks
    #[arg(long, value_name = "CODEC", default_value = "PCMU", value_parser = codec)]
    from: Chosen,
    /// The codec of the phone that listens
    #[arg(long, value_name = "CODEC", default_value = "PCMU", value_parser = codec)]
    to: Chosen,
    /// Through a conference of so many members, of which the others say nothing [default: a call of two]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=100))]
    room: Option<u16>,
}

/// A codec that can be made and read here.
#[derive(Debug, Clone, Copy)]
struct Chosen(&'static Codec);

fn codec(text: &str) -> Result<Chosen, String> {
    let found = by_label(text).filter(|codec| codec.has_coder());
    found.map(Chosen).ok_or_else(|| format!("this program neither makes nor reads {text}"))
}

/// Carries the sound. The text says how long it was.
pub(super) fn run(args: &QualityArgs) -> anyhow::Result<String> {
    let (Chosen(from), Chosen(to)) = (args.from, args.to);
    let said = read(&args.said, from.sample_rate)?;
    let heard = Table::new(from, to, args.room)?.carry(&said)?;
    write(&args.heard, &heard, to.sample_rate)?;
    let seconds = heard.len() as f64 / f64::from(to.sample_rate);
    Ok(format!("{} to {}: {seconds:.2} s at {} Hz\n", from.label, to.label, to.sample_rate))
}

fn read(path: &Path, rate: u32) -> anyhow::Result<Vec<i16>> {
    let name = path.display();
    let length = std::fs::metadata(path).with_context(|| format!("cannot read {name}"))?.len();
    ensure!(length <= MAX_FILE, "{name} is longer than {} MiB", MAX_FILE >> 20);
    let file = std::fs::read(path).with_context(|| format!("cannot read {name}"))?;
    let header = WavHeader::parse(&file).with_context(|| format!("cannot use {name}"))?;
    let data = header.data(&file);
    let mut samples = vec![0; data.len() / header.format.frame_len().max(1)];
    let count = header.format.decode_mono(data, &mut samples);
    samples.truncate(count);
    let mut resampled = Vec::new();
    Resampler::for_file(header.format.sample_rate, rate)
        .with_context(|| name.to_string())?
        .process(&samples, &mut resampled);
    Ok(resampled)
}

fn write(path: &Path, samples: &[i16], rate: u32) -> anyhow::Result<()> {
    let mut file = vec![0; MAX_HEADER_LEN + 2 * samples.len()];
    let data_len = u32::try_from(2 * samples.len()).context("too long for a WAV file")?;
    let head = WavFormat::mono_pcm(rate).write_header(data_len, &mut file)?;
    let end = head + encode_pcm(samples, &mut file[head..]);
    file.truncate(end);
    std::fs::write(path, file).with_context(|| format!("cannot write {}", path.display()))
}

/// Sockets that are only numbers.
#[derive(Default)]
struct Numbers(HashMap<u16, PortPair>);

impl Ports for Numbers {
    fn take(&mut self, _v6: bool) -> Option<PortPair> {
        let count = u32::try_from(self.0.len()).ok()?;
        let port = u16::try_from(10_000 + 2 * count).ok()?;
        let pair = PortPair { rtp: SocketIx(2 * count), rtcp: SocketIx(2 * count + 1), port };
        self.0.insert(port, pair);
        Some(pair)
    }

    fn give_back(&mut self, _pair: PortPair) {}
}

/// A phone that has one codec.
struct Phone {
    codec: &'static Codec,
    at: SocketAddr,
    /// Where its packets go, and under which number.
    to: SocketIx,
    payload_type: u8,
}

/// An engine with a call of two, or a room.
struct Table {
    engine: Engine,
    now: Time,
    speaker: Phone,
    listener: Phone,
}

impl Table {
    fn new(from: &'static Codec, to: &'static Codec, room: Option<u16>) -> anyhow::Result<Self> {
        let mut config = EngineConfig::new(AddressPolicy::Fixed(IpAddr::V4(NETWORK)));
        config.codecs = vec![from, to, hookswitch_codec::pcmu()];
        config.codecs.dedup();
        let mut hall = Hall { engine: Engine::new(config, 1), ports: Numbers::default(), now: Time::ZERO };
        let (speaker, listener) = match room {
            None => hall.call(from, to)?,
            Some(members) => {
                let speaker = hall.joins(0, from)?;
                let listener = hall.joins(1, to)?;
                for member in 2..members {
                    hall.joins(member, hookswitch_codec::pcmu())?;
                }
                (speaker, listener)
            }
        };
        Ok(Self { engine: hall.engine, now: hall.now, speaker, listener })
    }

    /// Sends the samples packet by packet, and gives back what the listener has heard.
    fn carry(mut self, said: &[i16]) -> anyhow::Result<Vec<i16>> {
        let codec = self.speaker.codec;
        let mut encoder = codec.encoder().context("nothing makes its packets")?;
        let mut decoder = self.listener.codec.decoder().context("nothing reads its packets")?;
        let mut heard = Vec::new();
        let mut packet = [0; BUFFER];
        let frames = said.chunks_exact(codec.samples_in(FRAME_MS)).map(Some).chain(std::iter::repeat_n(None, TAIL));
        for (number, frame) in (0u32..).zip(frames) {
            let length = frame.map_or(0, |frame| encoder.encode(frame, &mut packet[HEADER_LEN..]));
            if length > 0 {
                let header = Header {
                    marker: number == 0,
                    payload_type: self.speaker.payload_type,
                    sequence: number as u16,
                    timestamp: number.wrapping_mul(codec.ticks_in(FRAME_MS)),
                    ssrc: 1,
                };
                header.write(&mut packet)?;
                self.pass_on(&mut packet, HEADER_LEN + length, &mut decoder, &mut heard);
            }
            self.wait(&mut decoder, &mut heard);
        }
        ensure!(!heard.is_empty(), "nothing was heard");
        Ok(heard)
    }

    fn pass_on(&mut self, packet: &mut [u8; BUFFER], length: usize, decoder: &mut Decoder, heard: &mut Vec<i16>) {
        let listener = self.listener.at;
        let forward = self.engine.handle_packet(self.now, self.speaker.to, self.speaker.at, packet, length);
        self.engine.send_ready(&mut |_, to, bytes| hear(to == listener, bytes, decoder, heard));
        if let Forward::Send { to, len, .. } = forward {
            hear(to == listener, &packet[..len], decoder, heard);
        }
    }

    /// Until the next packet is due.
    fn wait(&mut self, decoder: &mut Decoder, heard: &mut Vec<i16>) {
        let (listener, end) = (self.listener.at, self.now + FRAME);
        while let Some(due) = self.engine.next_tick().filter(|due| *due < end) {
            self.engine.tick(due.max(self.now), &mut |_, to, bytes| hear(to == listener, bytes, decoder, heard));
        }
        while self.engine.poll_report().is_some() {}
        self.now = end;
    }
}

/// Decodes a packet, if it is for the listener.
fn hear(is_for_it: bool, bytes: &[u8], decoder: &mut Decoder, heard: &mut Vec<i16>) {
    if let Some(packet) = Packet::parse(bytes).ok().filter(|_| is_for_it) {
        let mut samples = [0; MAX_SAMPLES];
        let count = decoder.decode(packet.payload(), &mut samples);
        heard.extend_from_slice(&samples[..count]);
    }
}

/// Where calls are set up.
struct Hall {
    engine: Engine,
    ports: Numbers,
    now: Time,
}

impl Hall {
    /// A call between two phones.
    fn call(&mut self, from: &'static Codec, to: &'static Codec) -> anyhow::Result<(Phone, Phone)> {
        let (call, legs) = (CallId(0), [LegId(0), LegId(1)]);
        let ends = [(from, address(0)), (to, address(1))];
        let [caller, callee] = ends.map(|(codec, at)| describe(at, codec));
        self.perform(MediaOp::Open {
            call,
            offer: Some((Party::Caller, caller)),
            codecs: None,
            near: None,
            room: None,
        });
        let seat = Party::Callee.into();
        self.perform(MediaOp::MakeOffer { call, seat, leg: legs[1], near: None });
        let offer = self.described()?;
        self.perform(MediaOp::Accept { call, seat, leg: legs[1], sdp: callee });
        self.perform(MediaOp::MakeAnswer { call, seat: Party::Caller.into(), leg: legs[0] });
        let answer = self.described()?;
        for party in [Party::Caller, Party::Callee] {
            self.perform(MediaOp::Hear { call, seat: party.into(), source: Source::Peer });
        }
        Ok((self.phone(from, address(0), &answer)?, self.phone(to, address(1), &offer)?))
    }

    /// A phone calls, and is in the room.
    fn joins(&mut self, number: u16, codec: &'static Codec) -> anyhow::Result<Phone> {
        let (call, party, at) = (CallId(number.into()), Party::Caller, address(number));
        let room = Room::from("quality");
        let offer = Some((party, describe(at, codec)));
        self.perform(MediaOp::Open { call, offer, codecs: None, near: None, room: Some(room.clone()) });
        self.perform(MediaOp::MakeAnswer { call, seat: party.into(), leg: LegId(0) });
        let answer = self.described()?;
        self.perform(MediaOp::Join { call, party, room, part: Part::default() });
        self.perform(MediaOp::Hear { call, seat: party.into(), source: Source::Room });
        self.phone(codec, at, &answer)
    }

    fn perform(&mut self, op: MediaOp) {
        self.engine.perform(self.now, op, &mut self.ports);
    }

    /// The description that was asked for last.
    fn described(&mut self) -> anyhow::Result<Sdp> {
        while let Some(report) = self.engine.poll_report() {
            match report {
                MediaReport::Local { sdp, .. } => return Ok(sdp),
                MediaReport::Refused { cause, .. } => bail!("it is refused: {cause:?}"),
                _ => {}
            }
        }
        bail!("the engine does not answer")
    }

    fn phone(&self, codec: &'static Codec, at: SocketAddr, told: &Sdp) -> anyhow::Result<Phone> {
        let told = SessionDescription::parse(told.0.as_bytes())?;
        let (_, audio) = told.first_audio().context("a description without audio")?;
        let mut formats = audio.codecs();
        let found = formats.find(|format| format.is_encoding(codec.name, codec.clock_rate, codec.channels));
        let payload_type = found.context("the description lacks what was asked for")?.payload_type;
        let to = self.ports.0.get(&audio.port()).context("a port that was never taken")?.rtp;
        Ok(Phone { codec, at, to, payload_type })
    }
}

/// Where a phone would be.
fn address(number: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), 4_000 + 2 * number)
}

fn describe(at: SocketAddr, codec: &Codec) -> Sdp {
    let Codec { name, clock_rate, channels, .. } = codec;
    let number = codec.static_payload_type.unwrap_or(96);
    let channels = if *channels > 1 { format!("/{channels}") } else { String::new() };
    let (ip, port) = (at.ip(), at.port());
    let text = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {number}\r\n\
         a=rtpmap:{number} {name}/{clock_rate}{channels}\r\na=ptime:20\r\n"
    );
    Sdp::from(text.as_str())
}

#[cfg(test)]
mod tests {
    use hookswitch_codec::frequency_level;

    use super::*;

    /// A tone of -14 dB below full scale, two seconds long.
    fn tone(hz: f64, rate: u32) -> Vec<i16> {
        let angle = |place: u32| std::f64::consts::TAU * hz * f64::from(place) / f64::from(rate);
        (0..2 * rate).map(|place| (6_540.0 * angle(place).sin()) as i16).collect()
    }

    #[test]
    fn a_tone_comes_through_every_codec_and_a_room_as_loud_as_it_was() {
        for (from, to, room) in
            [("PCMU", "G722", None), ("G722", "opus", None), ("opus", "PCMA", None), ("G722", "opus", Some(3))]
        {
            let [from, to] = [from, to].map(|label| by_label(label).unwrap());
            let heard = Table::new(from, to, room).unwrap().carry(&tone(1_000.0, from.sample_rate)).unwrap();
            let whole = 2.0 * f64::from(to.sample_rate);
            assert!(heard.len() as f64 > 0.9 * whole, "{} to {}: {} samples", from.label, to.label, heard.len());
            let middle = &heard[heard.len() / 4..heard.len() * 3 / 4];
            let level = frequency_level(middle, to.sample_rate, 1_000.0);
            assert!((level + 14.0).abs() < 1.5, "{} to {}: {level} dB", from.label, to.label);
        }
    }

    #[test]
    fn files_of_any_rate_are_read_and_one_of_the_codecs_rate_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let [said, heard] = ["said.wav", "heard.wav"].map(|name| folder.path().join(name));
        write(&said, &tone(1_000.0, 16_000), 16_000).unwrap();
        let (from, to) = (codec("PCMU").unwrap(), codec("G722").unwrap());
        let args = QualityArgs { said, heard: heard.clone(), from, to, room: None };
        assert!(run(&args).unwrap().ends_with("at 16000 Hz\n"));
        let file = std::fs::read(&heard).unwrap();
        assert_eq!(WavHeader::parse(&file).unwrap().format, WavFormat::mono_pcm(16_000));
        assert!(codec("G729").is_err(), "only passed on");
        assert!(run(&QualityArgs { said: folder.path().join("none"), ..args }).is_err());
    }
}
