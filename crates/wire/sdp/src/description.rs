//! The description as a whole: text, and where its lines are.

use core::fmt;
use core::net::IpAddr;
use core::ops::Range;

use smallvec::SmallVec;

use crate::address::InAddress;
use crate::{
    Attribute, Connection, Direction, Format, MAX_LINES, MAX_MEDIA, MAX_SDP_BYTES, Malformed, Media, MediaMut, Origin,
    OwnOrigin, SdpError,
};

/// How a line ended in the text it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Eol {
    None,
    /// A CRLF cut in half by the end of the text.
    Cr,
    Lf,
    CrLf,
}

impl Eol {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::None => b"",
            Self::Cr => b"\r",
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }
}

/// Where a line stands in the text buffer, its end not counted.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
    eol: Eol,
}

/// A session description: the text as it came, and the changes made to it since.
///
/// Two descriptions are equal when their texts are.
#[derive(Clone, Default)]
pub struct SessionDescription {
    /// The original text; rewritten lines are appended and their spans moved there.
    text: Vec<u8>,
    lines: SmallVec<[Span; 24]>,
    /// Indices of the m= lines, ascending.
    media: SmallVec<[u32; 4]>,
}

/// One line: its type letter and value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// The letter before the equals sign; 0 for a blank line.
    pub kind: u8,
    /// What follows the equals sign, in whatever character set it was written.
    pub value: &'a [u8],
}

impl<'a> Line<'a> {
    /// The value as text. `None` if it is not UTF-8, which only free-text lines have a right to be.
    #[must_use]
    pub fn text(self) -> Option<&'a str> {
        core::str::from_utf8(self.value).ok()
    }

    /// The value, if this is the attribute of that name; empty for a property attribute. Compares bytes
    /// first: most lines asked are not the one wanted.
    pub(crate) fn attribute_value(self, name: &str) -> Option<&'a str> {
        let rest = match self.kind {
            b'a' => self.value.strip_prefix(name.as_bytes())?,
            _ => return None,
        };
        match rest {
            [b':', value @ ..] => core::str::from_utf8(value).ok(),
            _ => rest.trim_ascii_end().is_empty().then_some(""),
        }
    }

    pub(crate) fn direction(self) -> Option<Direction> {
        // The four names have eight bytes; nothing else of that length costs more than a comparison.
        let name = match (self.kind, self.value.trim_ascii_end()) {
            (b'a', name) if name.len() == 8 => core::str::from_utf8(name).ok()?,
            _ => return None,
        };
        Direction::from_attribute(name)
    }

    pub(crate) fn attribute(self) -> Option<Attribute<'a>> {
        if self.kind != b'a' {
            return None;
        }
        self.text().map(Attribute::parse)
    }
}

impl SessionDescription {
    /// Reads a description. Lines may end in CRLF or LF, the last one in neither; unknown line types
    /// and attributes are kept. Missing `o=`, `s=` and `t=` lines are tolerated, as phones omit them.
    ///
    /// # Errors
    /// When a limit is exceeded, the text does not begin with `v=0`, a line has no type letter, or an
    /// m= or c= line cannot be understood: without those there is no knowing where media goes.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, SdpError> {
        let text = text.as_ref();
        if text.len() > MAX_SDP_BYTES {
            return Err(SdpError::at(0, Malformed::TooLong));
        }
        let mut sdp = Self { text: Vec::with_capacity(text.len() + 128), ..Self::default() };
        sdp.text.extend_from_slice(text);
        let mut start = 0;
        while start < text.len() {
            let rest = text.get(start..).unwrap_or_default();
            let (length, eol) = split_line(rest);
            let line = rest.get(..length).unwrap_or_default();
            sdp.add_parsed_line(line, start, eol)?;
            start += length + eol.bytes().len();
        }
        if !sdp.lines().any(|line| line.kind != 0) {
            return Err(SdpError::at(0, Malformed::Empty));
        }
        Ok(sdp)
    }

    fn add_parsed_line(&mut self, line: &[u8], start: usize, eol: Eol) -> Result<(), SdpError> {
        let number = self.lines.len() + 1;
        let refuse = |what| Err(SdpError::at(number, what));
        if number > MAX_LINES {
            return refuse(Malformed::TooManyLines);
        }
        if memchr::memchr2(0, b'\r', line).is_some() {
            return refuse(Malformed::ControlCharacter);
        }
        if !line.is_empty() {
            let parsed = as_line(line);
            let first = self.lines().all(|line| line.kind == 0);
            if parsed.kind == 0 {
                return refuse(Malformed::NotALine);
            }
            if first && (parsed.kind != b'v' || parsed.value.trim_ascii() != b"0") {
                return refuse(Malformed::Version);
            }
            if parsed.kind == b'c' && parsed.text().and_then(Connection::parse).is_none() {
                return refuse(Malformed::Connection);
            }
            if parsed.kind == b'm' {
                if parsed.text().and_then(crate::media::MediaLine::parse).is_none() {
                    return refuse(Malformed::Media);
                }
                if self.media.len() == MAX_MEDIA {
                    return refuse(Malformed::TooManyMedia);
                }
                self.media.push(self.lines.len() as u32);
            }
        }
        // Both fit: the text is no longer than MAX_SDP_BYTES.
        self.lines.push(Span { start: start as u32, end: (start + line.len()) as u32, eol });
        Ok(())
    }

    /// Begins a description of our own: `v=`, `o=`, `s=`, `c=` with the origin's address, and `t=0 0`.
    #[must_use]
    pub fn new(origin: &OwnOrigin<'_>, session_name: &str) -> Self {
        let mut sdp = Self::default();
        sdp.append_line(b'v', format_args!("0"));
        sdp.append_line(b'o', format_args!("{origin}"));
        sdp.append_line(b's', format_args!("{}", if session_name.is_empty() { "-" } else { session_name }));
        sdp.append_line(b'c', format_args!("{}", InAddress(origin.address)));
        sdp.append_line(b't', format_args!("0 0"));
        sdp
    }

    /// All lines, in order.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = Line<'_>> + ExactSizeIterator {
        self.lines.iter().map(|span| as_line(self.slice(*span)))
    }

    /// The lines before the first m= line.
    pub fn session_lines(&self) -> impl DoubleEndedIterator<Item = Line<'_>> {
        self.lines_in(self.session_range())
    }

    /// All media, in order, rejected ones included.
    pub fn media(&self) -> impl DoubleEndedIterator<Item = Media<'_>> + ExactSizeIterator {
        (0..self.media.len()).map(|index| Media::new(self, index))
    }

    /// How many m-lines there are.
    #[must_use]
    pub fn media_count(&self) -> usize {
        self.media.len()
    }

    /// The m-line at this position, counted from 0.
    #[must_use]
    pub fn media_at(&self, index: usize) -> Option<Media<'_>> {
        (index < self.media.len()).then(|| Media::new(self, index))
    }

    /// The m-line at this position, to be rewritten.
    #[must_use]
    pub fn media_mut(&mut self, index: usize) -> Option<MediaMut<'_>> {
        (index < self.media.len()).then(|| MediaMut::new(self, index))
    }

    /// The first audio stream over RTP that is not rejected, and its position.
    #[must_use]
    pub fn first_audio(&self) -> Option<(usize, Media<'_>)> {
        self.media().enumerate().find(|(_, media)| media.is_audio() && !media.is_rejected())
    }

    /// The o= line. `None` when it is missing or incomplete.
    #[must_use]
    pub fn origin(&self) -> Option<Origin<'_>> {
        self.session_value(b'o').and_then(Origin::parse)
    }

    /// The s= line.
    #[must_use]
    pub fn session_name(&self) -> Option<&str> {
        self.session_value(b's')
    }

    /// The c= line of the session; media may have their own.
    #[must_use]
    pub fn connection(&self) -> Option<Connection<'_>> {
        self.session_value(b'c').and_then(Connection::parse)
    }

    /// The direction written at session level, which media without one of their own take.
    #[must_use]
    pub fn direction(&self) -> Option<Direction> {
        self.session_lines().find_map(Line::direction)
    }

    /// The attributes of the session, those of media not among them.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'_>> {
        self.session_lines().filter_map(Line::attribute)
    }

    /// The value of a session attribute: `Some("")` for a property attribute, `None` without one.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.session_lines().find_map(|line| line.attribute_value(name))
    }

    /// Replaces the o= line, or puts one after `v=`. Everything else stays.
    pub fn set_origin(&mut self, origin: &OwnOrigin<'_>) {
        self.set_session_line(b'o', b"v", format_args!("{origin}"));
    }

    /// Replaces the s= line, or puts one after `o=`.
    pub fn set_session_name(&mut self, name: &str) {
        self.set_session_line(b's', b"vo", format_args!("{}", if name.is_empty() { "-" } else { name }));
    }

    /// Replaces the address of the session's c= line, or adds one. Media with a c= line of their own
    /// are not touched.
    pub fn set_connection(&mut self, address: IpAddr) {
        self.set_session_line(b'c', b"vosiuep", format_args!("{}", InAddress(address)));
    }

    /// Replaces every c= line, the session's and the media's, and adds none unless there is none at all.
    /// Streams on hold at an unspecified address are moved as well.
    pub fn set_all_connections(&mut self, address: IpAddr) {
        let mut found = false;
        for index in 0..self.lines.len() {
            if self.line(index).kind == b'c' {
                self.replace_line(index, b'c', format_args!("{}", InAddress(address)));
                found = true;
            }
        }
        if !found {
            self.set_connection(address);
        }
    }

    /// Adds an m-line with its formats, `a=rtpmap` and `a=fmtp` lines, and gives it back for more.
    ///
    /// # Errors
    /// [`Malformed::TooManyMedia`] when there are [`MAX_MEDIA`] already.
    pub fn push_media(
        &mut self,
        kind: &str,
        port: u16,
        proto: &str,
        formats: &[Format<'_>],
    ) -> Result<MediaMut<'_>, SdpError> {
        self.push_media_line(format_args!("{kind} {port} {proto}"))?;
        let index = self.media.len() - 1;
        let mut media = MediaMut::new(self, index);
        media.set_codecs(formats);
        Ok(media)
    }

    /// Adds the m-line that declines an offered one: same kind, protocol and formats, port 0.
    ///
    /// # Errors
    /// [`Malformed::TooManyMedia`] when there are [`MAX_MEDIA`] already.
    pub fn push_rejected(&mut self, offered: Media<'_>) -> Result<(), SdpError> {
        let (kind, proto, formats) = (offered.kind_name(), offered.proto(), offered.format_list());
        self.push_media_line(format_args!("{kind} 0 {proto} {}", if formats.is_empty() { "0" } else { formats }))
    }

    fn push_media_line(&mut self, value: fmt::Arguments<'_>) -> Result<(), SdpError> {
        if self.media.len() == MAX_MEDIA {
            return Err(SdpError::at(self.lines.len() + 1, Malformed::TooManyMedia));
        }
        // At most MAX_LINES and a few, so it fits.
        let index = self.lines.len() as u32;
        self.append_line(b'm', value);
        self.media.push(index);
        Ok(())
    }

    /// The length of the text in bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.lines.iter().map(|span| (span.end - span.start) as usize + span.eol.bytes().len()).sum()
    }

    /// Appends the text to a buffer.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.byte_len());
        for span in &self.lines {
            out.extend_from_slice(self.slice(*span));
            out.extend_from_slice(span.eol.bytes());
        }
    }

    /// The text.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_to(&mut out);
        out
    }
}

/// For [`Media`] and [`MediaMut`].
impl SessionDescription {
    pub(crate) fn line(&self, index: usize) -> Line<'_> {
        self.lines.get(index).map_or(Line { kind: 0, value: b"" }, |span| as_line(self.slice(*span)))
    }

    pub(crate) fn lines_in(&self, range: Range<usize>) -> impl DoubleEndedIterator<Item = Line<'_>> {
        let spans = self.lines.get(range).unwrap_or_default();
        spans.iter().map(|span| as_line(self.slice(*span)))
    }

    fn session_range(&self) -> Range<usize> {
        0..self.media.first().map_or(self.lines.len(), |first| *first as usize)
    }

    /// The m= line at this position and what follows it, up to the next.
    pub(crate) fn media_range(&self, index: usize) -> Range<usize> {
        let end = self.lines.len();
        let at = |index: usize| self.media.get(index).map_or(end, |line| *line as usize);
        at(index)..at(index + 1)
    }

    pub(crate) fn replace_line(&mut self, index: usize, kind: u8, value: fmt::Arguments<'_>) {
        let (start, end) = self.add_text(kind, value);
        if let Some(span) = self.lines.get_mut(index) {
            (span.start, span.end) = (start, end);
        }
    }

    /// Inserts before the line at `index`, which must not be the m= line of a medium that the new line
    /// shall belong to.
    pub(crate) fn insert_line(&mut self, index: usize, kind: u8, value: fmt::Arguments<'_>) {
        let index = index.min(self.lines.len());
        let eol = self.eol();
        if let Some(previous) = index.checked_sub(1).and_then(|i| self.lines.get_mut(i))
            && matches!(previous.eol, Eol::None | Eol::Cr)
        {
            previous.eol = eol;
        }
        let (start, end) = self.add_text(kind, value);
        self.lines.insert(index, Span { start, end, eol });
        for line in self.media.iter_mut().filter(|line| **line as usize >= index) {
            *line += 1;
        }
    }

    pub(crate) fn remove_line(&mut self, index: usize) {
        if index < self.lines.len() {
            self.lines.remove(index);
            for line in self.media.iter_mut().filter(|line| **line as usize > index) {
                *line -= 1;
            }
        }
    }

    fn append_line(&mut self, kind: u8, value: fmt::Arguments<'_>) {
        self.insert_line(self.lines.len(), kind, value);
    }

    fn set_session_line(&mut self, kind: u8, after: &[u8], value: fmt::Arguments<'_>) {
        let range = self.session_range();
        let present = self.lines_in(range.clone()).position(|line| line.kind == kind);
        if let Some(index) = present {
            return self.replace_line(index, kind, value);
        }
        let last = self.lines_in(range).rposition_of(after);
        self.insert_line(last.map_or(0, |index| index + 1), kind, value);
    }

    pub(crate) fn session_value(&self, kind: u8) -> Option<&str> {
        self.session_lines().find(|line| line.kind == kind).and_then(Line::text)
    }

    /// The line ending in use: that of the first line, CRLF if there is none.
    fn eol(&self) -> Eol {
        match self.lines.first() {
            Some(Span { eol: Eol::Lf, .. }) => Eol::Lf,
            _ => Eol::CrLf,
        }
    }

    /// Puts a line's text into the buffer. Line ends and NUL inside a value become spaces, so that no
    /// value can start a line of its own.
    fn add_text(&mut self, kind: u8, value: fmt::Arguments<'_>) -> (u32, u32) {
        let start = self.text.len();
        self.text.extend_from_slice(&[kind, b'=']);
        // Writing into memory cannot fail.
        let _ = fmt::Write::write_fmt(&mut Sanitized(&mut self.text), value);
        (start as u32, self.text.len() as u32)
    }

    fn slice(&self, span: Span) -> &[u8] {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }
}

struct Sanitized<'a>(&'a mut Vec<u8>);

impl fmt::Write for Sanitized<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.0.extend(s.bytes().map(|byte| if matches!(byte, 0 | b'\r' | b'\n') { b' ' } else { byte }));
        Ok(())
    }
}

trait LastOf {
    fn rposition_of(self, kinds: &[u8]) -> Option<usize>;
}

impl<'a, I: Iterator<Item = Line<'a>>> LastOf for I {
    fn rposition_of(self, kinds: &[u8]) -> Option<usize> {
        self.enumerate().filter(|(_, line)| kinds.contains(&line.kind)).map(|(index, _)| index).last()
    }
}

/// The length of the first line and how it ends.
fn split_line(text: &[u8]) -> (usize, Eol) {
    match memchr::memchr(b'\n', text) {
        None => match text {
            [line @ .., b'\r'] => (line.len(), Eol::Cr),
            _ => (text.len(), Eol::None),
        },
        Some(at) => match text.get(..at) {
            Some([line @ .., b'\r']) => (line.len(), Eol::CrLf),
            _ => (at, Eol::Lf),
        },
    }
}

fn as_line(line: &[u8]) -> Line<'_> {
    match line {
        [kind, b'=', value @ ..] if kind.is_ascii_alphabetic() => Line { kind: *kind, value },
        _ => Line { kind: 0, value: line },
    }
}

impl PartialEq for SessionDescription {
    fn eq(&self, other: &Self) -> bool {
        self.lines.len() == other.lines.len()
            && self.lines.iter().zip(&other.lines).all(|(a, b)| a.eol == b.eol && self.slice(*a) == other.slice(*b))
    }
}

impl Eq for SessionDescription {}

impl fmt::Display for SessionDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for span in &self.lines {
            write!(f, "{}", String::from_utf8_lossy(self.slice(*span)))?;
            write!(f, "{}", String::from_utf8_lossy(span.eol.bytes()))?;
        }
        Ok(())
    }
}

impl fmt::Debug for SessionDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionDescription({:?})", self.to_string())
    }
}

impl core::str::FromStr for SessionDescription {
    type Err = SdpError;

    fn from_str(text: &str) -> Result<Self, SdpError> {
        Self::parse(text)
    }
}
