//! Attributes (a= lines) that every audio stream has: direction, rtpmap, fmtp.

use core::fmt;

/// An a= line: `a=<name>` or `a=<name>:<value>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// The name, as written. Names are case-sensitive (RFC 8866 section 5.13).
    pub name: &'a str,
    /// What follows the colon; `None` for a property attribute.
    pub value: Option<&'a str>,
}

impl<'a> Attribute<'a> {
    pub(crate) fn parse(value: &'a str) -> Self {
        match value.split_once(':') {
            Some((name, value)) => Self { name, value: Some(value) },
            None => Self { name: value.trim_ascii_end(), value: None },
        }
    }
}

/// Which way media flows, seen from the one who wrote the description (RFC 3264 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// Both ways, which is also what silence means.
    #[default]
    SendRecv,
    /// The writer only sends.
    SendOnly,
    /// The writer only receives.
    RecvOnly,
    /// Neither; RTCP still flows.
    Inactive,
}

impl Direction {
    /// Reads an attribute name. Anything but the four directions is `None`.
    #[must_use]
    pub fn from_attribute(name: &str) -> Option<Self> {
        match name {
            "sendrecv" => Some(Self::SendRecv),
            "sendonly" => Some(Self::SendOnly),
            "recvonly" => Some(Self::RecvOnly),
            "inactive" => Some(Self::Inactive),
            _ => None,
        }
    }

    /// The name of the attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// Builds a direction from its two halves.
    #[must_use]
    pub fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether the writer sends.
    #[must_use]
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the writer receives.
    #[must_use]
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same stream seen from the other end.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// What an answer to this offered direction may say at most, given what the answerer wants
    /// (RFC 3264 section 6.1). Both directions are seen from their own writer.
    #[must_use]
    pub fn answer(self, wanted: Self) -> Self {
        Self::new(self.receives() && wanted.sends(), self.sends() && wanted.receives())
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The value of `a=rtpmap:<payload type> <name>/<clock>[/<channels>]` (RFC 8866 section 6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpMap<'a> {
    /// Encoding name. Compare without regard to case (RFC 4855 section 3).
    pub name: &'a str,
    /// RTP clock in Hz.
    pub clock_rate: u32,
    /// Channels, 1 when not written.
    pub channels: u8,
}

impl<'a> RtpMap<'a> {
    /// Parses the part after the payload type.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.trim_ascii().split('/');
        let name = parts.next().filter(|name| !name.is_empty())?;
        let clock_rate = parts.next()?.trim_ascii().parse().ok()?;
        let channels = match parts.next() {
            None | Some("") => 1,
            Some(text) => text.trim_ascii().parse().ok()?,
        };
        Some(Self { name, clock_rate, channels })
    }

    /// Whether both name the same encoding; case does not count.
    #[must_use]
    pub fn is_same_encoding(&self, name: &str, clock_rate: u32, channels: u8) -> bool {
        self.clock_rate == clock_rate && self.channels == channels && self.name.eq_ignore_ascii_case(name)
    }
}

/// One format of an m-line, with everything that says what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format<'a> {
    /// RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// Encoding name, from `a=rtpmap` or the static table.
    pub name: &'a str,
    /// RTP clock in Hz.
    pub clock_rate: u32,
    /// Audio channels.
    pub channels: u8,
    /// Format parameters as written, if there are any.
    pub fmtp: Option<&'a str>,
}

impl Format<'_> {
    /// Whether both name the same encoding, parameters aside.
    #[must_use]
    pub fn is_encoding(&self, name: &str, clock_rate: u32, channels: u8) -> bool {
        self.clock_rate == clock_rate && self.channels == channels && self.name.eq_ignore_ascii_case(name)
    }

    /// Whether this is telephone-event (RFC 4733), which is no audio of its own.
    #[must_use]
    pub fn is_telephone_event(&self) -> bool {
        self.name.eq_ignore_ascii_case("telephone-event")
    }
}
