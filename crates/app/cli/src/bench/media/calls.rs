//! Calls as the switchboard would open them, and the sockets of their phones.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context as _, bail};
use hookswitch_call::{CallId, LegId, MediaOp, MediaReport, Party, Sdp, Seat, Source};
use hookswitch_codec::{Codec, by_label};
use hookswitch_drive::{Clock, MediaConfig, MediaIo, MediaPlane};
use hookswitch_media::{AddressPolicy, EngineConfig};
use hookswitch_net::PortRange;
use hookswitch_sdp::SessionDescription;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// How long the media thread may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// One party of a call.
pub(super) struct Phone {
    pub(super) socket: UdpSocket,
    pub(super) codec: &'static Codec,
    /// The number that it is to send under, and where to.
    pub(super) payload_type: u8,
    pub(super) to: SocketAddr,
}

/// All calls of a run, and the thread that they are on.
pub(super) struct Table {
    pub(super) plane: MediaPlane,
    /// Caller and callee in turns.
    pub(super) phones: Vec<Phone>,
}

impl Table {
    pub(super) fn set_up(labels: [&str; 2], calls: u16, ports: PortRange, io: MediaIo) -> anyhow::Result<Self> {
        let codec = |label: &str| by_label(label).with_context(|| format!("this program has no {label}"));
        let codecs = [codec(labels[0])?, codec(labels[1])?];
        let mut engine = EngineConfig::new(AddressPolicy::Fixed(HERE));
        engine.codecs = codecs.to_vec();
        let config = MediaConfig { threads: 1, ports, io, ..MediaConfig::new(engine) };
        let (report, reports) = channel();
        // Whoever gives up listening has failed already.
        let sink = Arc::new(move |news| drop(report.send(news)));
        let plane = MediaPlane::start(&config, Clock::start(), 1, sink).context("start a media thread")?;
        let mut table = Self { plane, phones: Vec::with_capacity(2 * usize::from(calls)) };
        for call in 0..calls {
            table.call(CallId(call.into()), codecs, &reports).with_context(|| format!("set up call {call}"))?;
        }
        Ok(table)
    }

    fn call(
        &mut self,
        call: CallId,
        codecs: [&'static Codec; 2],
        reports: &Receiver<MediaReport>,
    ) -> anyhow::Result<()> {
        let socket = || {
            let socket = UdpSocket::bind((HERE, 0)).context("open a socket")?;
            socket.set_nonblocking(true)?;
            anyhow::Ok(socket)
        };
        let sockets = [socket()?, socket()?];
        let sdp = |end: usize| anyhow::Ok(Sdp::from(describe(sockets[end].local_addr()?, codecs[end]).as_str()));
        let (caller, callee) = (Seat::Of(Party::Caller), Seat::Of(Party::Callee));
        let (legs, plane) = ([LegId(0), LegId(1)], &self.plane);
        plane.perform(MediaOp::Open {
            call,
            offer: Some((Party::Caller, sdp(0)?)),
            codecs: None,
            near: None,
            room: None,
        });
        plane.perform(MediaOp::MakeOffer { call, seat: callee, leg: legs[1], near: None });
        let offer = described(reports)?;
        plane.perform(MediaOp::Accept { call, seat: callee, leg: legs[1], sdp: sdp(1)? });
        plane.perform(MediaOp::MakeAnswer { call, seat: caller, leg: legs[0] });
        let answer = described(reports)?;
        for seat in [caller, callee] {
            plane.perform(MediaOp::Hear { call, seat, source: Source::Peer });
        }
        for ((socket, codec), told) in sockets.into_iter().zip(codecs).zip([answer, offer]) {
            let (payload_type, to) = found_in(&told, codec).context("the description lacks what was asked for")?;
            self.phones.push(Phone { socket, codec, payload_type, to });
        }
        Ok(())
    }
}

/// The next description of ours.
fn described(reports: &Receiver<MediaReport>) -> anyhow::Result<Sdp> {
    loop {
        let news = reports.recv_timeout(PATIENCE).context("the media thread does not answer")?;
        if let MediaReport::Refused { cause, .. } = &news {
            bail!("it is refused: {cause:?}");
        }
        if let MediaReport::Local { sdp, .. } = news {
            return Ok(sdp);
        }
    }
}

/// A phone that has one codec.
fn describe(at: SocketAddr, codec: &Codec) -> String {
    let Codec { name, clock_rate, channels, .. } = codec;
    let number = codec.static_payload_type.unwrap_or(96);
    let channels = if *channels > 1 { format!("/{channels}") } else { String::new() };
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {number}\r\n\
         a=rtpmap:{number} {name}/{clock_rate}{channels}\r\na=ptime:20\r\n",
        ip = at.ip(),
        port = at.port()
    )
}

/// A codec's number in a description, and where the audio is to go.
fn found_in(told: &Sdp, codec: &Codec) -> Option<(u8, SocketAddr)> {
    let told = SessionDescription::parse(told.0.as_bytes()).ok()?;
    let (_, audio) = told.first_audio()?;
    let mut formats = audio.codecs();
    let format = formats.find(|format| format.is_encoding(codec.name, codec.clock_rate, codec.channels))?;
    Some((format.payload_type, audio.rtp_address()?))
}
