//! Writing our descriptions, with those lines of the other party's that may pass.
//!
//! What passes: bandwidth and title lines, and every attribute that this file does not name. What
//! does not: whatever speaks of addresses, transport, keys or payload types, since all of that ends
//! here, and personal data of the session (`e=`, `p=`, `u=`).

use std::fmt::Write as _;
use std::net::IpAddr;

use hookswitch_sdp::{Attribute, Direction, Format, Line, Media, OwnOrigin, SessionDescription};

use crate::negotiate::Local;

/// Most lines that pass from the other party's description, of session and stream each.
pub const MAX_MIRRORED_LINES: usize = 64;

/// Attributes that end here, in order. Those of ICE are recognised by their beginning instead.
const ENDS_HERE: &[&str] = &[
    "acap",
    "acfg",
    "bundle-only",
    "candidate",
    "cfg",
    "conf",
    "connection",
    "creq",
    "crypto",
    "csup",
    "curr",
    "des",
    "end-of-candidates",
    "fingerprint",
    "fmtp",
    "group",
    "identity",
    "imageattr",
    "inactive",
    "key-mgmt",
    "mid",
    "msid",
    "msid-semantic",
    "pcfg",
    "recvonly",
    "remote-candidates",
    "rtcp",
    "rtcp-fb",
    "rtcp-mux",
    "rtcp-mux-only",
    "rtcp-rsize",
    "rtpmap",
    "sendonly",
    "sendrecv",
    "setup",
    "ssrc",
    "ssrc-group",
    "tcap",
    "tls-id",
    "zrtp-hash",
];

fn passes(attribute: Attribute<'_>) -> bool {
    !attribute.name.starts_with("ice-") && ENDS_HERE.binary_search(&attribute.name).is_err()
}

/// Everything that goes into a description of ours.
pub(crate) struct Stream<'a> {
    pub local: &'a Local,
    pub proto: &'a str,
    pub formats: &'a [Format<'a>],
    pub direction: Direction,
    /// Whether we agree to reports on the port of the media.
    pub rtcp_mux: bool,
    /// The other party's description, and its audio stream.
    pub mirror: Option<&'a SessionDescription>,
    pub mirrored: Option<(usize, Media<'a>)>,
    /// This party's description, whose m-lines we keep, and the position of its audio stream.
    pub layout: Option<(&'a SessionDescription, usize)>,
}

/// A description that lacks its first two lines, because its version depends on whether the rest has
/// changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    body: String,
}

impl Draft {
    pub(crate) fn write(stream: &Stream<'_>) -> Self {
        let mut draft = Self { body: String::with_capacity(384) };
        draft.session(stream);
        match stream.layout {
            None => draft.audio(stream),
            Some((layout, audio)) => {
                for (index, media) in layout.media().enumerate() {
                    if index == audio {
                        draft.audio(stream);
                    } else {
                        draft.declined(media);
                    }
                }
            }
        }
        draft
    }

    fn session(&mut self, stream: &Stream<'_>) {
        self.line(b's', "-");
        let lines = |kind: u8| {
            let lines = stream.mirror.into_iter().flat_map(|sdp| sdp.session_lines());
            lines.filter(move |line| line.kind == kind).take(MAX_MIRRORED_LINES)
        };
        self.mirror_lines(lines(b'i'));
        let (kind, address) = match stream.local.address {
            IpAddr::V4(_) => ("IP4", stream.local.address),
            IpAddr::V6(_) => ("IP6", stream.local.address),
        };
        // Writing into memory cannot fail; so everywhere in this file.
        let _ = write!(self.body, "c=IN {kind} {address}\r\n");
        self.mirror_lines(lines(b'b'));
        self.line(b't', "0 0");
        self.mirror_lines(lines(b'a'));
    }

    fn audio(&mut self, stream: &Stream<'_>) {
        let Local { port, ptime, .. } = *stream.local;
        let _ = write!(self.body, "m=audio {port} {}", stream.proto);
        for format in stream.formats {
            let _ = write!(self.body, " {}", format.payload_type);
        }
        self.body.push_str("\r\n");
        let mirrored = stream.mirrored.map(|(_, media)| media);
        let lines = |kind: u8| {
            let lines = mirrored.into_iter().flat_map(|media| media.lines());
            lines.filter(move |line| line.kind == kind).take(MAX_MIRRORED_LINES)
        };
        self.mirror_lines(lines(b'i'));
        self.mirror_lines(lines(b'b'));
        for format in stream.formats {
            self.format(format);
        }
        self.mirror_lines(lines(b'a'));
        if mirrored.is_none() {
            let _ = write!(self.body, "a=ptime:{ptime}\r\n");
        }
        if stream.rtcp_mux {
            self.line(b'a', "rtcp-mux");
        }
        let _ = write!(self.body, "a={}\r\n", stream.direction);
    }

    fn format(&mut self, format: &Format<'_>) {
        let Format { payload_type, name, clock_rate, channels, fmtp } = *format;
        let _ = write!(self.body, "a=rtpmap:{payload_type} {name}/{clock_rate}");
        if channels != 1 {
            let _ = write!(self.body, "/{channels}");
        }
        self.body.push_str("\r\n");
        if let Some(fmtp) = fmtp {
            let _ = write!(self.body, "a=fmtp:{payload_type} {fmtp}\r\n");
        }
    }

    /// The m-line that declines a stream: same kind, transport and formats, port 0.
    fn declined(&mut self, media: Media<'_>) {
        let _ = write!(self.body, "m={} 0 {}", media.kind_name(), media.proto());
        let before = self.body.len();
        for format in media.formats() {
            let _ = write!(self.body, " {format}");
        }
        if self.body.len() == before {
            self.body.push_str(" 0");
        }
        self.body.push_str("\r\n");
    }

    fn mirror_lines<'a>(&mut self, lines: impl Iterator<Item = Line<'a>>) {
        for line in lines {
            let Some(text) = line.text() else { continue };
            if line.kind != b'a' || passes(attribute(text)) {
                self.line(line.kind, text);
            }
        }
    }

    fn line(&mut self, kind: u8, value: &str) {
        self.body.push(char::from(kind));
        self.body.push('=');
        self.body.push_str(value);
        self.body.push_str("\r\n");
    }

    /// A number that is the same for descriptions that say the same (FNV-1a). It has to be stable
    /// across processes, since it is part of a call's record.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let bytes = self.body.bytes();
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    /// The whole description.
    #[must_use]
    pub fn finish(&self, origin: &OwnOrigin<'_>) -> String {
        let mut text = String::with_capacity(self.body.len() + 64);
        let _ = write!(text, "v=0\r\no={origin}\r\n");
        text.push_str(&self.body);
        text
    }
}

fn attribute(value: &str) -> Attribute<'_> {
    match value.split_once(':') {
        Some((name, value)) => Attribute { name, value: Some(value) },
        None => Attribute { name: value.trim_ascii_end(), value: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_attributes_is_in_order() {
        assert!(ENDS_HERE.is_sorted(), "binary search needs it");
    }

    #[test]
    fn attributes_pass_unless_they_end_here() {
        for name in ["X-vendor:7", "silenceSupp:off - - - -", "ptime:30", "extmap:1 urn:x"] {
            assert!(passes(attribute(name)), "{name}");
        }
        for name in ["crypto:1 A b", "ice-ufrag:x", "sendonly", "rtcp:1", "ice-lite", "mid:0"] {
            assert!(!passes(attribute(name)), "{name}");
        }
    }
}
