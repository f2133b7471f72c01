//! SIP messages as a ladder: one column per party, one line per message, written as they happen.
//!
//! ```text
//!                  alice                            switch
//!             127.0.0.1:40001                   127.0.0.1:5060
//!     0.0 ms        │──── INVITE sip:bob@a.test (SDP) ────▶│
//!     0.4 ms        │◀─────── 180 Ringing (INVITE) ────────│
//! ```

use core::fmt::Write as _;
use core::hash::{BuildHasher, Hasher};
use core::time::Duration;
use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use hookswitch_sip_msg::Message;

/// Characters between the lines of two neighbouring columns.
const GAP: usize = 42;

/// Characters before the first column: half of its name.
const MARGIN: usize = 10;

/// Most columns; what comes from or goes to further addresses is drawn at the last one.
pub const MAX_COLUMNS: usize = 16;

/// Messages remembered to tell repeats.
const REMEMBERED: usize = 512;

const TIME_WIDTH: usize = 10;

/// How a ladder looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// With ANSI colours, for terminals.
    pub colour: bool,
}

#[derive(Debug)]
struct Column {
    name: String,
    addresses: Vec<SocketAddr>,
}

impl Column {
    /// An address with port 0 stands for all ports of its host.
    fn has(&self, address: SocketAddr) -> bool {
        self.addresses.iter().any(|known| *known == address || (known.port() == 0 && known.ip() == address.ip()))
    }

    fn named(&self, address: SocketAddr) -> bool {
        self.addresses.contains(&address)
    }
}

/// Draws messages as they happen. Each function returns text with its line ends, to be printed as it is.
#[derive(Debug, Default)]
pub struct Ladder {
    style: Style,
    columns: Vec<Column>,
    /// The columns have changed since their names were last written.
    stale: bool,
    start: Option<Duration>,
    hasher: std::collections::hash_map::RandomState,
    recent: VecDeque<u64>,
}

impl Ladder {
    /// A ladder without columns; addresses that nobody has named get one of their own when they appear.
    #[must_use]
    pub fn new(style: Style) -> Ladder {
        Ladder { style, stale: true, ..Ladder::default() }
    }

    /// Names an address. A name that stands already gets one more address; port 0 means every port of that host that
    /// has no name of its own.
    pub fn party(&mut self, name: &str, address: SocketAddr) -> &mut Ladder {
        match self.columns.iter_mut().find(|column| column.name == name) {
            Some(column) => column.addresses.push(address),
            None => {
                self.columns.push(Column { name: name.into(), addresses: vec![address] });
                self.stale = true;
            }
        }
        self
    }

    /// One message, sent at `at`.
    pub fn message(&mut self, at: Duration, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> String {
        let (from, to) = (self.column(from), self.column(to));
        let mut text = String::new();
        if core::mem::take(&mut self.stale) {
            self.head(&mut text);
        }
        let (mut label, kind) = describe(bytes);
        if self.repeats(from, to, bytes) {
            label.insert_str(0, "again: ");
        }
        self.time(at, &mut text);
        self.arrow(from, to, &label, kind, &mut text);
        text.push('\n');
        text
    }

    /// A remark between messages, such as what an application asked for.
    pub fn note(&mut self, at: Duration, remark: &str) -> String {
        let mut text = String::new();
        self.time(at, &mut text);
        let _ = writeln!(text, "  {}", remark.trim_end());
        text
    }

    fn column(&mut self, address: SocketAddr) -> usize {
        let exact = self.columns.iter().position(|column| column.named(address));
        if let Some(found) = exact.or_else(|| self.columns.iter().position(|column| column.has(address))) {
            return found;
        }
        if self.columns.len() < MAX_COLUMNS {
            self.columns.push(Column { name: String::new(), addresses: vec![address] });
            self.stale = true;
        }
        self.columns.len() - 1
    }

    fn head(&self, text: &mut String) {
        let names = self.columns.iter().map(|column| column.name.clone());
        let addresses = self.columns.iter().map(|column| match column.addresses.as_slice() {
            [address, ..] if address.port() == 0 => address.ip().to_string(),
            [address, ..] => address.to_string(),
            [] => String::new(),
        });
        for labels in [names.collect::<Vec<_>>(), addresses.collect()] {
            let mut line = String::new();
            for (index, label) in labels.iter().enumerate() {
                let centre = TIME_WIDTH + MARGIN + index * (GAP + 1);
                let start = centre.saturating_sub(label.chars().count() / 2);
                let filled = line.chars().count();
                line.extend(core::iter::repeat_n(' ', start.saturating_sub(filled).max(usize::from(filled > 0))));
                line.push_str(label);
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }

    fn time(&mut self, at: Duration, text: &mut String) {
        let start = *self.start.get_or_insert(at);
        let passed = at.saturating_sub(start).as_secs_f64() * 1e3;
        let width = TIME_WIDTH - 3;
        let _ = write!(text, "{passed:>width$.1} ms");
    }

    fn arrow(&self, from: usize, to: usize, label: &str, kind: Kind, text: &mut String) {
        let (left, right) = (from.min(to), from.max(to));
        text.extend(core::iter::repeat_n(' ', MARGIN));
        for index in 0..self.columns.len() {
            let last = index + 1 == self.columns.len();
            if index == left && left != right {
                let width = (right - left) * (GAP + 1) - 1;
                self.shaft(from < to, width, label, kind, text);
                continue;
            }
            if index > left && index < right {
                continue;
            }
            text.push('│');
            if index == left {
                let _ = write!(text, " {label} (to itself)");
                return;
            }
            if !last {
                text.extend(core::iter::repeat_n(' ', GAP));
            }
        }
        let trimmed = text.trim_end().len();
        text.truncate(trimmed);
    }

    /// The bar of the left column and the arrow to the bar of the right one.
    fn shaft(&self, rightwards: bool, width: usize, label: &str, kind: Kind, text: &mut String) {
        // Two spaces around the label, the head, and a dash at each end.
        let room = width.saturating_sub(6);
        let label = shortened(label, room);
        let dashes = width.saturating_sub(label.chars().count() + 3);
        let (before, after) = (dashes / 2, dashes - dashes / 2);
        text.push('│');
        if !rightwards {
            text.push('◀');
        }
        text.extend(core::iter::repeat_n('─', before));
        text.push(' ');
        match (self.style.colour, kind.colour()) {
            (true, Some(colour)) => {
                let _ = write!(text, "\x1b[{colour}m{label}\x1b[0m");
            }
            _ => text.push_str(&label),
        }
        text.push(' ');
        text.extend(core::iter::repeat_n('─', after));
        if rightwards {
            text.push('▶');
        }
    }

    /// Whether the same bytes went the same way not long ago.
    fn repeats(&mut self, from: usize, to: usize, bytes: &[u8]) -> bool {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return false;
        }
        let mut hasher = self.hasher.build_hasher();
        hasher.write_usize(from);
        hasher.write_usize(to);
        hasher.write(bytes);
        let hash = hasher.finish();
        if self.recent.contains(&hash) {
            return true;
        }
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(hash);
        false
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Request,
    Response(u16),
    Other,
}

impl Kind {
    /// The parameter of an ANSI colour sequence.
    fn colour(self) -> Option<&'static str> {
        match self {
            Kind::Request => Some("1"),
            Kind::Response(..200) => Some("33"),
            Kind::Response(200..300) => Some("32"),
            Kind::Response(_) => Some("31"),
            Kind::Other => None,
        }
    }
}

/// The first line of a message in few words, and what there is in its body.
fn describe(bytes: &[u8]) -> (String, Kind) {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return ("keep-alive".into(), Kind::Other);
    }
    let Ok(message) = Message::parse(Bytes::copy_from_slice(bytes)) else {
        let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        return (format!("not SIP: {}", printable(&String::from_utf8_lossy(line))), Kind::Other);
    };
    let mut label = String::new();
    let kind = match (message.method(), message.status()) {
        (Some(method), _) => {
            let uri = String::from_utf8_lossy(message.request_uri_bytes().unwrap_or_default());
            let _ = write!(label, "{method} {}", printable(&uri));
            Kind::Request
        }
        (None, Some(status)) => {
            let _ = write!(label, "{status} {}", printable(&String::from_utf8_lossy(message.reason())));
            if let Ok(cseq) = message.cseq() {
                let _ = write!(label, " ({})", cseq.method);
            }
            Kind::Response(status)
        }
        (None, None) => Kind::Other,
    };
    let body = message.body_bytes();
    if !body.is_empty() {
        let is_sdp = message.content_type().is_some_and(|kind| kind.to_ascii_lowercase().contains("sdp"));
        label.push_str(if is_sdp { " (SDP)" } else { " (body)" });
    }
    (label, kind)
}

/// Nothing that a terminal would take for an order.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '·' } else { c }).collect()
}

fn shortened(label: &str, room: usize) -> String {
    let length = label.chars().count();
    if length <= room {
        return label.into();
    }
    // What stands at the end, such as "(SDP)", says more than the middle of a URI.
    let tail: String = label.chars().skip(length - 6.min(room)).collect();
    let head: String = label.chars().take(room.saturating_sub(7)).collect();
    format!("{head}…{tail}")
}
