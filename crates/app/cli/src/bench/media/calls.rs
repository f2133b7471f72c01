//! Calls as the switchboard would open them, and the sockets of their phones.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context as _, bail};
use hookswitch_call::{
    Audience, CallId, LegId, MediaOp, MediaReport, Part, Party, PlayId, Plays, RecordNews, RecordOrder, RecordPlan,
    RecordingId, Room, Sdp, Seat, Sound, SoundKind, Soup, Source,
};
use hookswitch_codec::{Codec, by_label};
use hookswitch_drive::{Clock, MediaConfig, MediaIo, MediaPlane};
use hookswitch_media::{AddressPolicy, EngineConfig};
use hookswitch_net::PortRange;
use hookswitch_sdp::SessionDescription;

use super::folder::{Folder, SOUND, SOUND_SECONDS};
use super::kinds::Company;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// How long the media thread may take for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What phones that are not two and two speak.
pub(super) const TELEPHONY: &str = "PCMU";

/// A call of which the only party is the caller.
pub(super) const CALLER: Seat = Seat::Of(Party::Caller);

/// One party of a call.
pub(super) struct Phone {
    pub(super) socket: UdpSocket,
    pub(super) codec: &'static Codec,
    /// The number that it is to send under, and where to.
    pub(super) payload_type: u8,
    pub(super) to: SocketAddr,
    pub(super) says: Says,
    pub(super) hears: Hears,
}

/// What a phone says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// A tone, all the time.
    Tone,
    /// Half a second of a tone, and half a second next to nothing.
    Bursts,
    /// Next to nothing, which nobody leaves out.
    Murmur,
    Nothing,
}

/// What a phone hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hears {
    /// The packets of this phone, by their numbers.
    Phone(usize),
    /// A room in which this phone talks in bursts.
    Room(usize),
    /// Something that no phone has said.
    Sound,
}

/// All calls of a run, and the thread that they are on.
pub(super) struct Table {
    pub(super) plane: MediaPlane,
    pub(super) phones: Vec<Phone>,
    reports: Receiver<MediaReport>,
    /// Calls that are recorded.
    recorded: u16,
    _folder: Folder,
}

impl Table {
    pub(super) fn set_up(company: Company, calls: u16, ports: PortRange, io: MediaIo) -> anyhow::Result<Self> {
        let codecs = match company {
            Company::Pairs { codecs: [caller, callee], .. } => [codec(caller)?, codec(callee)?],
            Company::Rooms(_) | Company::Listeners => [codec(TELEPHONY)?; 2],
        };
        let folder = Folder::new()?;
        let mut engine = EngineConfig::new(AddressPolicy::Fixed(HERE));
        engine.codecs = codecs.to_vec();
        engine.room_members = usize::from(u16::MAX);
        let mut config = MediaConfig { threads: 1, ports, io, ..MediaConfig::new(engine) };
        config.files.sounds = vec![folder.path().to_owned()];
        config.files.recordings = Some(folder.path().to_owned());
        let (report, reports) = channel();
        let sink = Arc::new(move |news| {
            // What nobody waits for, such as that a phone which listens says nothing, would pile up for hours.
            let is_awaited =
                matches!(news, MediaReport::Local { .. } | MediaReport::Refused { .. } | MediaReport::Recorded { .. });
            if is_awaited {
                // Whoever gives up listening has failed already.
                let _ = report.send(news);
            }
        });
        let plane = MediaPlane::start(&config, Clock::start(), 1, sink).context("start a media thread")?;
        let mut table = Self { plane, phones: Vec::new(), reports, recorded: 0, _folder: folder };
        match company {
            Company::Pairs { recorded, .. } => {
                for call in 0..calls {
                    table.pair(call, codecs).with_context(|| format!("set up call {call}"))?;
                }
                if recorded {
                    table.record(calls);
                }
            }
            Company::Rooms(members) => table.single(2 * calls, codecs[0], Some(members))?,
            Company::Listeners => table.single(2 * calls, codecs[0], None)?,
        }
        Ok(table)
    }

    fn pair(&mut self, number: u16, codecs: [&'static Codec; 2]) -> anyhow::Result<()> {
        let sockets = [socket()?, socket()?];
        let sdp = |end: usize| anyhow::Ok(Sdp::from(describe(sockets[end].local_addr()?, codecs[end]).as_str()));
        let (call, callee) = (CallId(number.into()), Seat::Of(Party::Callee));
        let (legs, plane) = ([LegId(0), LegId(1)], &self.plane);
        let offer = Some((Party::Caller, sdp(0)?));
        plane.perform(MediaOp::Open { call, offer, codecs: None, near: None, room: None });
        plane.perform(MediaOp::MakeOffer { call, seat: callee, leg: legs[1], near: None });
        let offer = described(&self.reports)?;
        plane.perform(MediaOp::Accept { call, seat: callee, leg: legs[1], sdp: sdp(1)? });
        plane.perform(MediaOp::MakeAnswer { call, seat: CALLER, leg: legs[0] });
        let answer = described(&self.reports)?;
        for seat in [CALLER, callee] {
            plane.perform(MediaOp::Hear { call, seat, source: Source::Peer });
        }
        for ((socket, codec), told) in sockets.into_iter().zip(codecs).zip([answer, offer]) {
            let hears = Hears::Phone(self.phones.len() ^ 1);
            self.phones.push(Phone::new(socket, codec, &told, Says::Tone, hears)?);
        }
        Ok(())
    }

    /// So many calls of one party each, by themselves or so many in each room.
    fn single(&mut self, calls: u16, codec: &'static Codec, members: Option<usize>) -> anyhow::Result<()> {
        for index in 0..usize::from(calls) {
            // Rooms are whole as far as calls go.
            let room = members.map(|members| index / members.max(1));
            let talker = members.map_or(index, |members| index - index % members.max(1));
            let (says, hears) = match members {
                None => (Says::Nothing, Hears::Sound),
                Some(_) if talker == index => (Says::Bursts, Hears::Room(talker)),
                Some(_) => (Says::Murmur, Hears::Room(talker)),
            };
            let socket = socket()?;
            let (call, sdp) = (CallId(index as u64), Sdp::from(describe(socket.local_addr()?, codec).as_str()));
            let room = room.map(|room| Room::from(format!("room {room}").as_str()));
            let (offer, near) = (Some((Party::Caller, sdp)), None);
            self.plane.perform(MediaOp::Open { call, offer, codecs: None, near, room: room.clone() });
            self.plane.perform(MediaOp::MakeAnswer { call, seat: CALLER, leg: LegId(0) });
            let told = described(&self.reports).with_context(|| format!("set up call {index}"))?;
            self.phones.push(Phone::new(socket, codec, &told, says, hears)?);
            if let Some(room) = room {
                self.plane.perform(MediaOp::Join { call, party: Party::Caller, room, part: Part::default() });
                self.plane.perform(MediaOp::Hear { call, seat: CALLER, source: Source::Room });
            } else {
                self.plane.perform(MediaOp::Hear { call, seat: CALLER, source: Source::Sounds });
                let (play, soup) = (PlayId(0), Arc::new(soup(index)));
                self.plane.perform(MediaOp::Play { call, party: Party::Caller, to: Audience::Party, play, soup });
            }
        }
        Ok(())
    }

    /// Records all calls.
    fn record(&mut self, calls: u16) {
        for call in 0..calls {
            let plan = RecordPlan::both_sides(format!("{call}.wav").as_str().into());
            self.order(call, RecordOrder::Begin(Box::new(plan)));
        }
        self.recorded = calls;
    }

    fn order(&self, call: u16, order: RecordOrder) {
        let (call, recording) = (CallId(call.into()), RecordingId(0));
        self.plane.perform(MediaOp::Record { call, party: Party::Caller, recording, order });
    }

    /// What the media thread has told, if it has.
    pub(super) fn next_report(&self) -> Option<MediaReport> {
        self.reports.try_recv().ok()
    }

    /// The same, once it has.
    pub(super) fn report_within(&self, time: Duration) -> Option<MediaReport> {
        self.reports.recv_timeout(time).ok()
    }

    /// Port pairs in use.
    pub(super) fn ports_taken(&self) -> usize {
        self.plane.totals().iter().map(|totals| totals.ports_taken).sum()
    }

    /// Ends what is recorded, and says how much of it the disk has not taken.
    pub(super) fn finish_recordings(&self) -> anyhow::Result<Duration> {
        for call in 0..self.recorded {
            self.order(call, RecordOrder::Finish);
        }
        let (mut open, mut lost) = (self.recorded, Duration::ZERO);
        while open > 0 {
            let report = self.reports.recv_timeout(PATIENCE).context("a recording does not end")?;
            if let MediaReport::Recorded { news: RecordNews::Finished(recorded), .. } = report {
                lost += recorded.lost;
                open -= 1;
            }
        }
        Ok(lost)
    }
}

impl Phone {
    fn new(socket: UdpSocket, codec: &'static Codec, told: &Sdp, says: Says, hears: Hears) -> anyhow::Result<Self> {
        let (payload_type, to) = found_in(told, codec).context("the description lacks what was asked for")?;
        Ok(Self { socket, codec, payload_type, to, says, hears })
    }
}

/// A codec of this program.
pub(super) fn codec(label: &str) -> anyhow::Result<&'static Codec> {
    by_label(label).with_context(|| format!("this program has no {label}"))
}

pub(super) fn socket() -> anyhow::Result<UdpSocket> {
    let socket = UdpSocket::bind((HERE, 0)).context("open a socket")?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The sound again and again, for each phone from another place.
pub(super) fn soup(index: usize) -> Soup {
    let start = Duration::from_millis(index as u64 * 40 % u64::from(SOUND_SECONDS * 500));
    let sound = Sound { start, plays: Plays::Forever, ..Sound::of(SoundKind::Wav, SOUND) };
    Soup { sounds: vec![sound], ..Soup::default() }
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
pub(super) fn describe(at: SocketAddr, codec: &Codec) -> String {
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
