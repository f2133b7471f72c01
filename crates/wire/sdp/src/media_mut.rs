//! Rewriting one medium, line by line.

use core::fmt;
use core::net::IpAddr;

use crate::address::InAddress;
use crate::{Attribute, Direction, Format, Media, SessionDescription, static_payload_type};

/// Attributes that speak of one payload type; they go when it goes.
const PER_FORMAT: [&str; 4] = ["rtpmap", "fmtp", "rtcp-fb", "imageattr"];

/// One medium of a description, to be changed. Every line that a method does not speak of stays as it is.
pub struct MediaMut<'a> {
    sdp: &'a mut SessionDescription,
    index: usize,
}

impl<'a> MediaMut<'a> {
    pub(crate) fn new(sdp: &'a mut SessionDescription, index: usize) -> Self {
        Self { sdp, index }
    }

    /// The medium as it is now.
    #[must_use]
    pub fn view(&self) -> Media<'_> {
        Media::new(self.sdp, self.index)
    }

    /// Sets the port; 0 declines the medium. A number of ports (`/2`) is dropped.
    pub fn set_port(&mut self, port: u16) -> &mut Self {
        self.rewrite_media_line(Some(port), None, None)
    }

    /// Sets the transport protocol.
    pub fn set_proto(&mut self, proto: &str) -> &mut Self {
        self.rewrite_media_line(None, Some(proto), None)
    }

    /// Sets the address, in this medium's own c= line, which is added if there is none.
    pub fn set_connection(&mut self, address: IpAddr) -> &mut Self {
        let range = self.sdp.media_range(self.index);
        let start = range.start;
        let found = self.sdp.lines_in(range).position(|line| line.kind == b'c');
        let value = InAddress(address);
        if let Some(offset) = found {
            self.sdp.replace_line(start + offset, b'c', format_args!("{value}"));
        } else {
            let titles = self.view().lines().skip(1).take_while(|line| line.kind == b'i').count();
            self.sdp.insert_line(start + 1 + titles, b'c', format_args!("{value}"));
        }
        self
    }

    /// Removes this medium's own c= lines, so that the session's counts.
    pub fn remove_connection(&mut self) -> &mut Self {
        self.remove_lines(|line_kind, _| line_kind == b'c')
    }

    /// Sets the direction. The first line that says one is replaced, others are removed; without any,
    /// one is added, also for `sendrecv`, since the session may say something else.
    pub fn set_direction(&mut self, direction: Direction) -> &mut Self {
        self.set_property(|a| Direction::from_attribute(a.name).is_some(), format_args!("{direction}"))
    }

    /// Sets `a=ptime`, in milliseconds.
    pub fn set_ptime(&mut self, milliseconds: u32) -> &mut Self {
        self.set_property(|a| a.name == "ptime", format_args!("ptime:{milliseconds}"))
    }

    /// Sets or adds an attribute; others of that name are removed. An empty value makes a property
    /// attribute. Line ends within the value become spaces.
    pub fn set_attribute(&mut self, name: &str, value: &str) -> &mut Self {
        if value.is_empty() {
            self.set_property(|a| a.name == name, format_args!("{name}"))
        } else {
            self.set_property(|a| a.name == name, format_args!("{name}:{value}"))
        }
    }

    /// Adds an attribute at the end of this medium, whether or not there is one of that name.
    pub fn add_attribute(&mut self, name: &str, value: &str) -> &mut Self {
        if value.is_empty() { self.append(format_args!("{name}")) } else { self.append(format_args!("{name}:{value}")) }
    }

    /// Removes all attributes of that name.
    pub fn remove_attribute(&mut self, name: &str) -> &mut Self {
        self.remove_attributes(|attribute| attribute.name == name)
    }

    /// Removes the attributes chosen.
    pub fn remove_attributes(&mut self, mut which: impl FnMut(Attribute<'_>) -> bool) -> &mut Self {
        self.remove_lines(|_, attribute| attribute.is_some_and(&mut which))
    }

    /// Keeps only the payload types chosen, in their order, and drops what the others' `a=rtpmap`,
    /// `a=fmtp` and `a=rtcp-fb` lines said. Keeping none leaves the formats alone and sets port 0,
    /// since an m= line needs at least one (RFC 3264 section 6).
    pub fn retain_payload_types(&mut self, mut keep: impl FnMut(u8) -> bool) -> &mut Self {
        let kept: Vec<u8> = self.view().payload_types().filter(|pt| keep(*pt)).collect();
        if kept.is_empty() {
            return self.set_port(0);
        }
        self.rewrite_media_line(None, None, Some(&kept));
        self.remove_attributes(|a| about_payload_type(a).is_some_and(|pt| !kept.contains(&pt)))
    }

    /// Replaces all formats by these, with an `a=rtpmap` for each and an `a=fmtp` where there are
    /// parameters. They stand where the old ones began, before the other attributes.
    pub fn set_codecs(&mut self, formats: &[Format<'_>]) -> &mut Self {
        let old = |a: Attribute<'_>| PER_FORMAT.contains(&a.name);
        let range = self.sdp.media_range(self.index);
        let place = self.view().lines().position(|line| line.kind == b'a').unwrap_or(range.len());
        self.remove_attributes(old);
        let payload_types: Vec<u8> = formats.iter().map(|f| f.payload_type).collect();
        self.rewrite_media_line(None, None, Some(&payload_types));
        let mut at = range.start + place;
        for format in formats {
            let Format { payload_type, name, clock_rate, channels, fmtp } = *format;
            if channels == 1 {
                self.sdp.insert_line(at, b'a', format_args!("rtpmap:{payload_type} {name}/{clock_rate}"));
            } else {
                let value = format_args!("rtpmap:{payload_type} {name}/{clock_rate}/{channels}");
                self.sdp.insert_line(at, b'a', value);
            }
            at += 1;
            if let Some(fmtp) = fmtp {
                self.sdp.insert_line(at, b'a', format_args!("fmtp:{payload_type} {fmtp}"));
                at += 1;
            }
        }
        self
    }

    fn rewrite_media_line(&mut self, port: Option<u16>, proto: Option<&str>, formats: Option<&[u8]>) -> &mut Self {
        let start = self.sdp.media_range(self.index).start;
        let value = {
            let media = self.view();
            let count = media.port_count().filter(|_| port.is_none());
            let head = MediaHead { kind: media.kind_name(), port: port.unwrap_or(media.port()), count };
            let proto = proto.unwrap_or(media.proto());
            match formats {
                Some(list) => format!("{head} {proto}{}", Spaced(list)),
                None if media.format_list().is_empty() => format!("{head} {proto}"),
                None => format!("{head} {proto} {}", media.format_list()),
            }
        };
        self.sdp.replace_line(start, b'm', format_args!("{value}"));
        self
    }

    fn set_property(&mut self, is_it: impl Fn(Attribute<'_>) -> bool, value: fmt::Arguments<'_>) -> &mut Self {
        let range = self.sdp.media_range(self.index);
        let found = self.view().lines().position(|line| line.attribute().is_some_and(&is_it));
        let Some(offset) = found else {
            return self.append(value);
        };
        let first = range.start + offset;
        for index in (first + 1..range.end).rev() {
            if self.sdp.line(index).attribute().is_some_and(&is_it) {
                self.sdp.remove_line(index);
            }
        }
        self.sdp.replace_line(first, b'a', value);
        self
    }

    fn append(&mut self, value: fmt::Arguments<'_>) -> &mut Self {
        let range = self.sdp.media_range(self.index);
        // Blank lines at the end stay at the end.
        let blank = self.view().lines().rev().take_while(|line| line.kind == 0).count();
        self.sdp.insert_line(range.end - blank, b'a', value);
        self
    }

    fn remove_lines(&mut self, mut which: impl FnMut(u8, Option<Attribute<'_>>) -> bool) -> &mut Self {
        for index in self.sdp.media_range(self.index).skip(1).rev() {
            let line = self.sdp.line(index);
            if which(line.kind, line.attribute()) {
                self.sdp.remove_line(index);
            }
        }
        self
    }
}

/// The payload type that an attribute speaks of, if it is one that speaks of one.
fn about_payload_type(attribute: Attribute<'_>) -> Option<u8> {
    if !PER_FORMAT.contains(&attribute.name) {
        return None;
    }
    attribute.value?.split_ascii_whitespace().next()?.parse().ok()
}

impl<'a> Format<'a> {
    /// A format with a static payload type, under its registered name.
    #[must_use]
    pub fn fixed(payload_type: u8) -> Option<Format<'static>> {
        let row = static_payload_type(payload_type)?;
        let (name, clock_rate, channels) = (row.name, row.clock_rate, row.channels);
        Some(Format { payload_type, name, clock_rate, channels, fmtp: None })
    }

    /// telephone-event at 8 kHz with the sixteen DTMF events (RFC 4733 section 2.4.1).
    #[must_use]
    pub fn telephone_event(payload_type: u8) -> Format<'static> {
        Format { payload_type, name: "telephone-event", clock_rate: 8000, channels: 1, fmtp: Some("0-16") }
    }

    /// The same format under another payload type.
    #[must_use]
    pub fn with_payload_type(self, payload_type: u8) -> Format<'a> {
        Format { payload_type, ..self }
    }
}

struct MediaHead<'a> {
    kind: &'a str,
    port: u16,
    count: Option<u16>,
}

impl fmt::Display for MediaHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.port)?;
        self.count.map_or(Ok(()), |count| write!(f, "/{count}"))
    }
}

struct Spaced<'a>(&'a [u8]);

impl fmt::Display for Spaced<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|number| write!(f, " {number}"))
    }
}
