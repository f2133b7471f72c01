//! A typed view of one m= line and the lines that belong to it.

use core::net::{IpAddr, SocketAddr};

use crate::description::Line;
use crate::{
    Address, Attribute, Candidate, Connection, Crypto, Direction, Format, RtpMap, SessionDescription,
    static_payload_type,
};

/// Kinds of media (RFC 8866 section 5.14 and registered since).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// `audio`
    Audio,
    /// `video`
    Video,
    /// `text`
    Text,
    /// `application`
    Application,
    /// `message`
    Message,
    /// `image`, which is T.38 fax.
    Image,
    /// Any other.
    Other,
}

impl MediaKind {
    fn from_name(name: &str) -> Self {
        match name {
            "audio" => Self::Audio,
            "video" => Self::Video,
            "text" => Self::Text,
            "application" => Self::Application,
            "message" => Self::Message,
            "image" => Self::Image,
            _ => Self::Other,
        }
    }
}

/// The fields of an m= line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MediaLine<'a> {
    kind: &'a str,
    port: u16,
    port_count: Option<u16>,
    proto: &'a str,
    formats: &'a str,
}

impl<'a> MediaLine<'a> {
    /// A list of formats may be missing: phones that decline a stream leave it out.
    pub(crate) fn parse(value: &'a str) -> Option<Self> {
        let (kind, rest) = next_word(value)?;
        let (port, rest) = next_word(rest)?;
        let (proto, rest) = next_word(rest)?;
        let (port, port_count) = match port.split_once('/') {
            Some((port, count)) => (port, Some(count.parse().ok()?)),
            None => (port, None),
        };
        Some(Self { kind, port: port.parse().ok()?, port_count, proto, formats: rest.trim_ascii() })
    }

    const NONE: MediaLine<'static> = MediaLine { kind: "", port: 0, port_count: None, proto: "", formats: "" };
}

fn next_word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_ascii_start();
    let end = text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (!word.is_empty()).then_some((word, rest))
}

/// One medium of a description.
#[derive(Clone, Copy)]
pub struct Media<'a> {
    sdp: &'a SessionDescription,
    index: usize,
    line: MediaLine<'a>,
}

impl<'a> Media<'a> {
    pub(crate) fn new(sdp: &'a SessionDescription, index: usize) -> Self {
        let value = sdp.line(sdp.media_range(index).start).text();
        // Every m= line was parsed once before, or written by us.
        let line = value.and_then(MediaLine::parse).unwrap_or(MediaLine::NONE);
        Self { sdp, index, line }
    }

    /// Its position among the m-lines, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// What is transported.
    #[must_use]
    pub fn kind(&self) -> MediaKind {
        MediaKind::from_name(self.line.kind)
    }

    /// The first word of the m= line.
    #[must_use]
    pub fn kind_name(&self) -> &'a str {
        self.line.kind
    }

    /// The port to send to; 0 means declined.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.line.port
    }

    /// How many port pairs are asked for, when written (`49170/2`).
    #[must_use]
    pub fn port_count(&self) -> Option<u16> {
        self.line.port_count
    }

    /// The transport protocol: `RTP/AVP`, `RTP/SAVP`, `udptl` …
    #[must_use]
    pub fn proto(&self) -> &'a str {
        self.line.proto
    }

    /// Whether the transport is plain RTP: `RTP/AVP` or `RTP/AVPF`.
    #[must_use]
    pub fn is_plain_rtp(&self) -> bool {
        matches!(self.line.proto, "RTP/AVP" | "RTP/AVPF")
    }

    /// Whether it is audio.
    #[must_use]
    pub fn is_audio(&self) -> bool {
        self.kind() == MediaKind::Audio
    }

    /// Whether it is declined: port 0, unless it rides in a bundle (RFC 9143).
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        self.line.port == 0 && self.attribute("bundle-only").is_none()
    }

    /// The formats as written.
    pub fn formats(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.line.formats.split_ascii_whitespace()
    }

    pub(crate) fn format_list(&self) -> &'a str {
        self.line.formats
    }

    /// The formats that are payload types; of a medium that is not RTP there are none.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> + use<'a> {
        let is_rtp = self.line.proto.contains("RTP/");
        self.formats().filter(move |_| is_rtp).filter_map(|f| f.parse().ok()).filter(|pt| *pt < 128)
    }

    /// The c= line of this medium, else of the session.
    #[must_use]
    pub fn connection(&self) -> Option<Connection<'a>> {
        let own = self.lines().find(|line| line.kind == b'c').and_then(Line::text);
        own.or_else(|| self.sdp.session_value(b'c')).and_then(Connection::parse)
    }

    /// Where RTP is to be sent. `None` when declined or when the address is a host name.
    #[must_use]
    pub fn rtp_address(&self) -> Option<SocketAddr> {
        let ip = self.connection()?.address.ip()?;
        (self.port() != 0).then(|| SocketAddr::new(ip, self.port()))
    }

    /// Where RTCP is to be sent: `a=rtcp` (RFC 3605), else the port above RTP. With
    /// [`rtcp_mux`](Self::rtcp_mux) agreed, it goes to [`rtp_address`](Self::rtp_address) instead.
    #[must_use]
    pub fn rtcp_address(&self) -> Option<SocketAddr> {
        let rtp = self.rtp_address()?;
        let Some(value) = self.attribute("rtcp") else {
            return rtp.port().checked_add(1).map(|port| SocketAddr::new(rtp.ip(), port));
        };
        let mut words = value.split_ascii_whitespace();
        let port = words.next()?.parse().ok()?;
        let ip = words.nth(2).map(Address::parse).and_then(Address::ip);
        Some(SocketAddr::new(ip.unwrap_or(rtp.ip()), port))
    }

    /// Whether RTP and RTCP may share a port (RFC 5761).
    #[must_use]
    pub fn rtcp_mux(&self) -> bool {
        self.attribute("rtcp-mux").is_some()
    }

    /// Which way media flows: written here, else for the session, else both ways.
    #[must_use]
    pub fn direction(&self) -> Direction {
        let own = self.lines().find_map(Line::direction);
        own.or_else(|| self.sdp.direction()).unwrap_or_default()
    }

    /// Whether the writer has put us on hold: it does not want our media, be it said with `sendonly`
    /// or `inactive` (RFC 3264 section 8.4) or with the address `0.0.0.0` (RFC 2543 phones).
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.direction().receives() || self.connection().is_some_and(|c| c.address.is_unspecified())
    }

    /// What a payload type stands for: `a=rtpmap`, else its static meaning.
    #[must_use]
    pub fn rtpmap(&self, payload_type: u8) -> Option<RtpMap<'a>> {
        let written = self.value_for(payload_type, "rtpmap").and_then(RtpMap::parse);
        written.or_else(|| {
            let fixed = static_payload_type(payload_type)?;
            Some(RtpMap { name: fixed.name, clock_rate: fixed.clock_rate, channels: fixed.channels })
        })
    }

    /// The format parameters of a payload type, as written.
    #[must_use]
    pub fn fmtp(&self, payload_type: u8) -> Option<&'a str> {
        self.value_for(payload_type, "fmtp")
    }

    /// The formats whose meaning is known, in order of preference. Payload types that are dynamic and
    /// have no `a=rtpmap` are left out: nobody can know what they are.
    pub fn codecs(&self) -> impl Iterator<Item = Format<'a>> + use<'a> {
        let media = *self;
        self.payload_types().filter_map(move |payload_type| {
            let RtpMap { name, clock_rate, channels } = media.rtpmap(payload_type)?;
            Some(Format { payload_type, name, clock_rate, channels, fmtp: media.fmtp(payload_type) })
        })
    }

    /// How much media the writer wants per packet, in milliseconds.
    #[must_use]
    pub fn ptime(&self) -> Option<u32> {
        self.attribute("ptime").and_then(milliseconds)
    }

    /// How much media a packet to the writer may hold, in milliseconds.
    #[must_use]
    pub fn maxptime(&self) -> Option<u32> {
        self.attribute("maxptime").and_then(milliseconds)
    }

    /// The SDES keys offered (RFC 4568).
    pub fn crypto(&self) -> impl Iterator<Item = Crypto<'a>> + use<'a> {
        self.lines().filter_map(|line| line.attribute_value("crypto")).filter_map(Crypto::parse)
    }

    /// The ICE candidates (RFC 8839).
    pub fn candidates(&self) -> impl Iterator<Item = Candidate<'a>> + use<'a> {
        self.lines().filter_map(|line| line.attribute_value("candidate")).filter_map(Candidate::parse)
    }

    /// The lines of this medium, its m= line first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = Line<'a>> + use<'a> {
        self.sdp.lines_in(self.sdp.media_range(self.index))
    }

    /// The attributes of this medium, those of the session not among them.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        self.lines().filter_map(Line::attribute)
    }

    /// The value of an attribute of this medium: `Some("")` for a property attribute, `None` without one.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        self.lines().find_map(|line| line.attribute_value(name))
    }

    /// The same, where the session may say it for all media: `fingerprint`, `setup`, `ice-ufrag` …
    #[must_use]
    pub fn attribute_or_session(&self, name: &str) -> Option<&'a str> {
        self.attribute(name).or_else(|| self.sdp.attribute(name))
    }

    /// The literal address media goes to, if the connection is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.connection()?.address.ip()
    }

    /// What an attribute such as `a=fmtp:<payload type> <value>` says about one payload type.
    fn value_for(&self, payload_type: u8, name: &str) -> Option<&'a str> {
        self.lines().filter_map(|line| line.attribute_value(name)).find_map(|value| {
            let (number, value) = next_word(value)?;
            (number.parse() == Ok(payload_type)).then(|| value.trim_ascii())
        })
    }
}

impl core::fmt::Debug for Media<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Media").field("index", &self.index).field("line", &self.line).finish_non_exhaustive()
    }
}

/// Some phones write `20.0`; the fraction is nothing we could keep.
fn milliseconds(value: &str) -> Option<u32> {
    let value = value.trim_ascii();
    value.split('.').next()?.parse().ok()
}
