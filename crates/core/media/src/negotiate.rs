//! Offer and answer (RFC 3264) as pure functions from descriptions to descriptions.
//!
//! We stand between two parties. Best is one codec for both: what the other party can use is offered
//! first, and what it has agreed to is what we answer. Where that fails each gets a codec of its own,
//! as long as we can turn one into the other. Payload types are those of the other party, so that
//! packets pass as they are; where a party insists on numbers of its own, the relay rewrites one byte.

use std::net::{IpAddr, SocketAddr};

use hookswitch_call::{Cause, Fault, Kind};
use hookswitch_codec::{COMFORT_NOISE, Codec, comfort_noise, telephone_event_at};
use hookswitch_sdp::{Address, Direction, Format, Media, SdpError, SessionDescription};
use smallvec::SmallVec;
use thiserror::Error;

use crate::describe::{Draft, Stream};
use crate::formats::knows_events;
pub use crate::formats::{Formats, Peer};

/// Payload type under which we offer telephone-event to a party whose peer is not known yet.
pub const EVENT_PAYLOAD_TYPE: u8 = 101;

/// Why there will be no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The description cannot be read.
    #[error(transparent)]
    Unreadable(#[from] SdpError),
    /// No audio stream in it.
    #[error("no audio stream")]
    NoAudio,
    /// Audio is declined: port 0.
    #[error("the audio stream is declined")]
    Declined,
    /// Audio only over SRTP or another transport than plain RTP.
    #[error("no audio stream over plain RTP")]
    Transport,
    /// Nothing that we and this party know, or nothing that can be turned into what the other party has.
    #[error("no common codec")]
    NoCommonCodec,
    /// No connection address, or a multicast one.
    #[error("no usable media address")]
    BadAddress,
    /// An address of a family in which we do not talk with this party.
    #[error("the media address is of another family than ours")]
    WrongFamily,
    /// There is no offer to answer, or no offer of ours that this would answer.
    #[error("no offer is outstanding")]
    NoOffer,
    /// No free ports.
    #[error("no free media ports")]
    NoPorts,
    /// The limit of calls is reached.
    #[error("the limit of calls is reached")]
    TooManyCalls,
    /// The call was never opened here, or is closed.
    #[error("no such call")]
    NoSuchCall,
    /// No spare seat is open in the call.
    #[error("no spare seat is open")]
    NoSpareSeat,
}

impl Refusal {
    /// What the party is told.
    #[must_use]
    pub fn cause(self) -> Cause {
        match self {
            Self::Unreadable(_)
            | Self::NoAudio
            | Self::Declined
            | Self::Transport
            | Self::NoCommonCodec
            | Self::BadAddress
            | Self::WrongFamily => Cause::new(Kind::NotAcceptable, Fault::Peer),
            Self::NoPorts | Self::TooManyCalls => Cause::new(Kind::Overloaded, Fault::Server),
            Self::NoOffer | Self::NoSuchCall | Self::NoSpareSeat => Cause::new(Kind::Other, Fault::Server),
        }
    }
}

/// Payload type numbers of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadTypes {
    /// Of the audio codec.
    pub audio: u8,
    /// Of telephone-event, if it was agreed.
    pub event: Option<u8>,
    /// Of comfort noise, if it was agreed.
    pub noise: Option<u8>,
}

/// What a packet holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The agreed codec.
    Audio,
    /// Telephone events.
    Event,
    /// What the background is like while the party says nothing, and sends nothing else (RFC 3389).
    Noise,
}

/// What has been agreed with one party.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// What both send.
    pub codec: &'static Codec,
    /// The numbers in the party's description: what we send.
    pub send: PayloadTypes,
    /// The numbers in our description: what we receive.
    pub receive: PayloadTypes,
    /// Where the party wants media; `None` when it is on hold at `0.0.0.0` or names a host.
    pub rtp: Option<SocketAddr>,
    /// Where the party wants reports.
    pub rtcp: Option<SocketAddr>,
    /// Whether reports come and go where media does (RFC 5761). The party may ask for that; we do not.
    pub rtcp_mux: bool,
    /// Which way media flows, as the party sees it.
    pub direction: Direction,
    /// Which of the m-lines it is, from 0.
    pub audio_index: usize,
    /// Milliseconds per packet that the party asks for, if it does.
    pub ptime: Option<u8>,
}

impl Negotiated {
    /// What a packet from the party holds; `None` if nothing was agreed under that number. Parties
    /// that send with the numbers of their own description instead of ours are understood as well, and those that send
    /// comfort noise without a word.
    #[inline]
    #[must_use]
    pub fn content(&self, payload_type: u8) -> Option<Content> {
        if payload_type == self.receive.audio {
            return Some(Content::Audio);
        }
        if self.receive.event == Some(payload_type) {
            return Some(Content::Event);
        }
        if payload_type == self.send.audio {
            return Some(Content::Audio);
        }
        if self.send.event == Some(payload_type) {
            return Some(Content::Event);
        }
        let fixed = (self.codec.clock_rate == comfort_noise().clock_rate).then_some(COMFORT_NOISE);
        let noise = [self.receive.noise, self.send.noise, fixed];
        noise.contains(&Some(payload_type)).then_some(Content::Noise)
    }

    /// The number to send such a packet under; `None` if the party does not take it.
    #[inline]
    #[must_use]
    pub fn number_for(&self, content: Content) -> Option<u8> {
        match content {
            Content::Audio => Some(self.send.audio),
            Content::Event => self.send.event,
            Content::Noise => self.send.noise,
        }
    }
}

/// Our end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// Where the party shall send.
    pub address: IpAddr,
    /// The port for RTP; RTCP is one above.
    pub port: u16,
    /// Milliseconds per packet that we ask for, where the other party says nothing.
    pub ptime: u32,
    /// Which way we let media flow, as we see it.
    pub direction: Direction,
    /// Whether keys of a party without telephone events are heard in its sound, and made into sounds for it.
    pub sounds: bool,
}

/// Our offer. `mirror` is the other party's description, whose unknown lines pass on; `earlier` is
/// this party's last description with the position of its audio stream, if it has a session: a new
/// offer has the same m-lines (RFC 3264 section 8).
///
/// What we offer is what `local` says, whatever the other party does: a party's hold is answered here
/// and not passed on, so that nothing has to be undone at the other end when it is over.
#[must_use]
pub fn make_offer(
    local: &Local,
    formats: &Formats,
    mirror: Option<&SessionDescription>,
    earlier: Option<(&SessionDescription, usize)>,
) -> Draft {
    let mirrored = mirror.and_then(|sdp| select_audio(sdp).ok());
    let mut lines = SmallVec::<[Format<'_>; 6]>::new();
    for (codec, number) in &formats.audio {
        lines.push(describe_codec(codec, *number, mirrored));
    }
    for (event, number) in formats.others() {
        lines.push(describe_codec(event, number, mirrored));
    }
    Draft::write(&Stream {
        local,
        proto: "RTP/AVP",
        formats: &lines,
        direction: local.direction,
        rtcp_mux: false,
        mirror,
        mirrored,
        layout: earlier,
    })
}

/// Our answer to an offer. `agreed` is what the other party has agreed to: the codec is that one if the offer has
/// it, else the one that was `present` before the offer, else the first of ours that we can turn into it. As long
/// as the other party has not agreed it is the first of our codecs that the offer has, and the offer of the other
/// party if that waits for an answer as well. `mirror` as in [`make_offer`].
///
/// # Errors
/// When the offer has no audio over plain RTP, or no codec that serves.
pub fn make_answer(
    offer: &SessionDescription,
    codecs: &[&'static Codec],
    agreed: Option<&Negotiated>,
    present: Option<&'static Codec>,
    local: &Local,
    mirror: Option<&SessionDescription>,
) -> Result<(Draft, Negotiated), Refusal> {
    let (audio_index, media) = select_audio(offer)?;
    let mirrored = mirror.and_then(|sdp| select_audio(sdp).ok());
    let codec = choose(media, codecs, agreed, present, mirrored).ok_or(Refusal::NoCommonCodec)?;
    let format = find_format(media, codec).ok_or(Refusal::NoCommonCodec)?;
    // An event that the other party would not understand, and that is not made a sound, is better sent as one.
    let understood = match agreed {
        Some(peer) => peer.send.event.is_some() || (local.sounds && peer.codec.has_coder()),
        None => mirrored.is_none_or(|(_, media)| find_event(media, codec).is_some() || local.sounds),
    };
    let event = if understood { event_of(codecs, media, codec) } else { None };
    // Who is told of no background sends the one there is.
    let passes = match agreed {
        Some(peer) => peer.send.noise.is_some(),
        None => mirrored.is_none_or(|(_, media)| find_noise(media, codec).is_some()),
    };
    let noise = if passes { noise_of(codecs, media, codec) } else { None };
    let numbers = PayloadTypes { audio: format.payload_type, event, noise };
    let remote = Remote::read(media)?;
    let rtcp_mux = media.attributes().any(|attribute| attribute.name == "rtcp-mux");
    let negotiated = Negotiated {
        codec,
        send: numbers,
        receive: numbers,
        rtp: remote.rtp,
        rtcp: if rtcp_mux { remote.rtp } else { remote.rtcp },
        rtcp_mux,
        direction: remote.direction,
        audio_index,
        ptime: remote.ptime,
    };
    let mut lines = SmallVec::<[Format<'_>; 3]>::new();
    lines.push(describe_codec(codec, numbers.audio, mirrored));
    lines.extend(noise.map(|number| describe_codec(comfort_noise(), number, mirrored)));
    if let Some((row, number)) = telephone_event_at(codec.clock_rate).zip(event) {
        lines.push(describe_codec(row, number, mirrored));
    }
    let draft = Draft::write(&Stream {
        local,
        proto: media.proto(),
        formats: &lines,
        direction: remote.direction.answer(local.direction),
        rtcp_mux,
        mirror,
        mirrored,
        layout: Some((offer, audio_index)),
    });
    Ok((draft, negotiated))
}

/// The codec of an answer to an offer of these formats.
fn choose(
    media: Media<'_>,
    codecs: &[&'static Codec],
    agreed: Option<&Negotiated>,
    present: Option<&'static Codec>,
    mirrored: Option<(usize, Media<'_>)>,
) -> Option<&'static Codec> {
    let offered = |codec: &&'static Codec| find_format(media, codec).is_some();
    let mut ours = codecs.iter().copied().filter(|codec| codec.is_audio()).filter(offered);
    let mut ours_coded = present.into_iter().filter(offered).chain(ours.clone()).filter(|codec| codec.has_coder());
    match (agreed, mirrored) {
        (Some(peer), _) if offered(&peer.codec) => Some(peer.codec),
        (Some(peer), _) => ours_coded.next().filter(|_| peer.codec.has_coder()),
        (None, Some((_, theirs))) => {
            let has = |codec: &Codec| find_format(theirs, codec).is_some();
            ours.find(|codec| has(codec)).or_else(|| {
                let codes = codecs.iter().any(|codec| codec.is_audio() && has(codec) && codec.has_coder());
                ours_coded.next().filter(|_| codes)
            })
        }
        (None, None) => ours_coded.next(),
    }
}

/// What an answer to our offer agrees to. `agreed` is what the other party has agreed to: if the answer has it, at
/// whatever place, it is that; else the first one that we can turn into it. As long as the other party has not
/// agreed, it is the answer's first codec that the other party knows, else its first. `audio_index` is where our offer
/// had its audio stream.
///
/// # Errors
/// When the answer declines the stream, has nothing that serves, or is no answer to it.
pub fn accept(
    offered: &Formats,
    audio_index: usize,
    answer: &SessionDescription,
    agreed: Option<&Codec>,
) -> Result<Negotiated, Refusal> {
    let in_place = answer.media_at(audio_index).filter(Media::is_audio);
    let (audio_index, media) = match in_place {
        Some(media) => (audio_index, check_audio(media)?),
        None => select_audio(answer)?,
    };
    let ours = |format: &Format<'_>| {
        let place = offered.audio.iter().position(|(codec, _)| is_format_of(format, codec))?;
        let (codec, number) = *offered.audio.get(place)?;
        Some((place, codec, number))
    };
    let answered = || media.codecs().filter_map(|format| Some((format, ours(&format)?)));
    let is_best =
        |place: usize, codec: &Codec| agreed.map_or(place < usize::from(offered.common), |agreed| agreed == codec);
    let serves = |codec: &Codec| agreed.is_none_or(|agreed| agreed.has_coder() && codec.has_coder());
    let best = answered().find(|(_, (place, codec, _))| is_best(*place, codec));
    let any = || answered().find(|(_, (_, codec, _))| serves(codec));
    let (format, (_, codec, number)) = best.or_else(any).ok_or(Refusal::NoCommonCodec)?;
    let event = offered.event_beside(codec).and_then(|ours| {
        let theirs = find_event(media, codec)?;
        Some((ours, theirs))
    });
    let noise = offered.noise.zip(find_noise(media, codec));
    let remote = Remote::read(media)?;
    let (ours, theirs) = (|pair: (u8, u8)| pair.0, |pair: (u8, u8)| pair.1);
    Ok(Negotiated {
        codec,
        send: PayloadTypes { audio: format.payload_type, event: event.map(theirs), noise: noise.map(theirs) },
        receive: PayloadTypes { audio: number, event: event.map(ours), noise: noise.map(ours) },
        rtp: remote.rtp,
        rtcp: remote.rtcp,
        // Our offers do not have it.
        rtcp_mux: false,
        direction: remote.direction,
        audio_index,
        ptime: remote.ptime,
    })
}

/// The first audio stream that we could use.
pub(crate) fn select_audio(sdp: &SessionDescription) -> Result<(usize, Media<'_>), Refusal> {
    let mut refusal = Refusal::NoAudio;
    for (index, media) in sdp.media().enumerate().filter(|(_, m)| m.is_audio()) {
        match check_audio(media) {
            Ok(media) => return Ok((index, media)),
            // "Declined" says least: a second stream may have said more.
            Err(Refusal::Declined) if refusal != Refusal::NoAudio => {}
            Err(why) => refusal = why,
        }
    }
    Err(refusal)
}

fn check_audio(media: Media<'_>) -> Result<Media<'_>, Refusal> {
    if media.port() == 0 {
        return Err(Refusal::Declined);
    }
    if !media.is_plain_rtp() {
        return Err(Refusal::Transport);
    }
    Ok(media)
}

fn is_format_of(format: &Format<'_>, codec: &Codec) -> bool {
    format.is_encoding(codec.name, codec.clock_rate, codec.channels)
}

pub(crate) fn find_format<'a>(media: Media<'a>, codec: &Codec) -> Option<Format<'a>> {
    media.codecs().find(|format| is_format_of(format, codec))
}

/// Events run on the clock of the audio beside them (RFC 4733 section 2.1).
pub(crate) fn find_event(media: Media<'_>, codec: &Codec) -> Option<u8> {
    let mut formats = media.codecs();
    let found = formats.find(|f| f.is_telephone_event() && f.clock_rate == codec.clock_rate);
    found.map(|format| format.payload_type)
}

/// Comfort noise has the clock of the audio beside it, and only that of 8 kHz is there.
pub(crate) fn find_noise(media: Media<'_>, codec: &Codec) -> Option<u8> {
    let noise = Some(comfort_noise()).filter(|noise| noise.clock_rate == codec.clock_rate)?;
    media.codecs().find(|format| is_format_of(format, noise)).map(|format| format.payload_type)
}

pub(crate) fn noise_of(codecs: &[&'static Codec], media: Media<'_>, codec: &Codec) -> Option<u8> {
    if codecs.contains(&comfort_noise()) { find_noise(media, codec) } else { None }
}

pub(crate) fn event_of(codecs: &[&'static Codec], media: Media<'_>, codec: &Codec) -> Option<u8> {
    if knows_events(codecs) { find_event(media, codec) } else { None }
}

/// A codec under a number, with the parameters that the other party gave it.
fn describe_codec<'a>(codec: &'static Codec, payload_type: u8, mirrored: Option<(usize, Media<'a>)>) -> Format<'a> {
    let theirs = mirrored.and_then(|(_, media)| find_format(media, codec));
    Format {
        payload_type,
        name: codec.name,
        clock_rate: codec.clock_rate,
        channels: codec.channels,
        fmtp: theirs.map_or(codec.fmtp, |format| format.fmtp),
    }
}

/// Where a party wants its media.
struct Remote {
    rtp: Option<SocketAddr>,
    rtcp: Option<SocketAddr>,
    direction: Direction,
    ptime: Option<u8>,
}

impl Remote {
    fn read(media: Media<'_>) -> Result<Self, Refusal> {
        let connection = media.connection().ok_or(Refusal::BadAddress)?;
        let said = media.direction();
        let ptime = media.ptime().and_then(|ms| u8::try_from(ms).ok());
        match connection.address {
            // Hold as RFC 2543 had it.
            address if address.is_unspecified() => {
                Ok(Self { rtp: None, rtcp: None, direction: Direction::new(said.sends(), false), ptime })
            }
            Address::Ip(ip) if !is_one_host(ip) => Err(Refusal::BadAddress),
            Address::Ip(_) => Ok(Self {
                rtp: media.rtp_address(),
                rtcp: media.rtcp_address().filter(|rtcp| is_one_host(rtcp.ip())),
                direction: said,
                ptime,
            }),
            // We resolve no names here. The party's own packets will show where it is.
            Address::Name(_) => Ok(Self { rtp: None, rtcp: None, direction: said, ptime }),
        }
    }
}

fn is_one_host(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !ip.is_multicast() && !ip.is_unspecified() && !broadcast
}
