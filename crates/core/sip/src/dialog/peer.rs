//! What the other side says about itself: methods it takes, extensions it knows, and its wishes about the session.

use hookswitch_sip_msg::{HeaderName, Message, Method};
use serde::{Deserialize, Serialize};

/// What the other side of a dialog can do, by its Allow and Supported headers; the last ones count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Peer {
    /// One bit for each of [`Method::KNOWN`], see [`method_bit_of`].
    methods: u16,
    /// One bit for each of [`EXTENSIONS`].
    extensions: u8,
}

/// Option tags that matter to somebody who holds a dialog.
const EXTENSIONS: [&str; 5] = ["100rel", "timer", "replaces", "norefersub", "join"];

const RELIABLE: u8 = 1;
const TIMER: u8 = 2;

impl Peer {
    /// Its Allow lists that method.
    pub(crate) fn allows(self, method: &Method) -> bool {
        self.methods & method_bit(method) != 0
    }

    /// Its Supported lists that option tag, which is one of [`EXTENSIONS`].
    pub(crate) fn supports(self, tag: &str) -> bool {
        self.extensions & extension_bit(tag.as_bytes()) != 0
    }

    /// It has answered that it does not take that method, whatever its Allow says.
    pub(crate) fn refuses(&mut self, method: &Method) {
        self.methods &= !method_bit(method);
    }

    /// It has sent a request with that method, which says as much as its Allow.
    pub(crate) fn uses(&mut self, method: &Method) {
        self.methods |= method_bit(method);
    }

    /// Takes what a message says.
    pub(crate) fn hear(&mut self, said: &Said) {
        if let Some(methods) = said.allow {
            self.methods = methods;
        }
        if let Some(extensions) = said.supported {
            self.extensions = extensions;
        }
    }
}

fn method_bit(method: &Method) -> u16 {
    method_bit_of(method.as_str().as_bytes())
}

/// Read for every call, so without a search through all names.
fn method_bit_of(name: &[u8]) -> u16 {
    let bit = match name {
        b"INVITE" => 0,
        b"ACK" => 1,
        b"BYE" => 2,
        b"CANCEL" => 3,
        b"REGISTER" => 4,
        b"OPTIONS" => 5,
        b"INFO" => 6,
        b"UPDATE" => 7,
        b"PRACK" => 8,
        b"REFER" => 9,
        b"NOTIFY" => 10,
        b"SUBSCRIBE" => 11,
        b"PUBLISH" => 12,
        b"MESSAGE" => 13,
        _ => return 0,
    };
    1 << bit
}

fn extension_bit(tag: &[u8]) -> u8 {
    EXTENSIONS.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(tag)).map_or(0, |at| 1 << at)
}

/// Who keeps a session alive (RFC 4028): the sender of the request that says so, or its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Keeper {
    /// `uac`.
    Sender,
    /// `uas`.
    Receiver,
}

/// What one message says about its sender, read in one pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Said {
    allow: Option<u16>,
    supported: Option<u8>,
    required: u8,
    /// Session-Expires in seconds, and its `refresher`.
    pub(crate) session_expires: Option<(u32, Option<Keeper>)>,
    /// Min-SE in seconds.
    pub(crate) min_se: Option<u32>,
    rseq: Option<u32>,
}

impl Said {
    pub(crate) fn by(message: &Message) -> Said {
        let mut said = Said::default();
        for (name, _, value) in message.all_headers() {
            match name {
                HeaderName::Allow => *said.allow.get_or_insert(0) |= bits(value, method_bit_of),
                HeaderName::Supported => {
                    *said.supported.get_or_insert(0) |= bits(value, |token| u16::from(extension_bit(token))) as u8;
                }
                HeaderName::Require => said.required |= bits(value, |token| u16::from(extension_bit(token))) as u8,
                HeaderName::SessionExpires => said.session_expires = session_expires(value),
                HeaderName::MinSe => said.min_se = leading_number(value).map(|(number, _)| number),
                HeaderName::RSeq => said.rseq = leading_number(value).map(|(number, _)| number),
                _ => {}
            }
        }
        said
    }

    /// It insists on reliable provisional responses.
    pub(crate) fn requires_reliable(&self) -> bool {
        self.required & RELIABLE != 0
    }

    /// It can acknowledge provisional responses.
    pub(crate) fn takes_reliable(&self) -> bool {
        self.requires_reliable() || self.supported.is_some_and(|known| known & RELIABLE != 0)
    }

    /// It knows session timers.
    pub(crate) fn knows_timer(&self) -> bool {
        (self.required | self.supported.unwrap_or(0)) & TIMER != 0
    }

    /// The number of a provisional response that must be acknowledged (RFC 3262 4).
    pub(crate) fn reliable_number(&self) -> Option<u32> {
        self.rseq.filter(|rseq| self.requires_reliable() && *rseq > 0)
    }
}

fn bits(value: &[u8], bit: impl Fn(&[u8]) -> u16) -> u16 {
    value.split(|byte| *byte == b',').fold(0, |sum, token| sum | bit(token.trim_ascii()))
}

fn session_expires(value: &[u8]) -> Option<(u32, Option<Keeper>)> {
    let (seconds, params) = leading_number(value)?;
    let keeper = params.split(|byte| *byte == b';').find_map(|param| {
        let equals = param.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (param[..equals].trim_ascii(), param[equals + 1..].trim_ascii());
        match name.eq_ignore_ascii_case(b"refresher") {
            true if value.eq_ignore_ascii_case(b"uac") => Some(Keeper::Sender),
            true if value.eq_ignore_ascii_case(b"uas") => Some(Keeper::Receiver),
            _ => None,
        }
    });
    Some((seconds, keeper))
}

/// A number at the start of a value, and what follows it; numbers too large count as the largest.
fn leading_number(value: &[u8]) -> Option<(u32, &[u8])> {
    let value = value.trim_ascii();
    let end = value.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
    let (digits, rest) = value.split_at(end);
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().fold(0_u32, |sum, digit| sum.saturating_mul(10).saturating_add(u32::from(digit - b'0')));
    Some((number, rest))
}

/// What a PRACK acknowledges (RFC 3262 7.2): the number of the response, and that of the INVITE. `None` when it is
/// malformed or about something else than an INVITE.
pub(crate) fn acknowledged_by(prack: &Message) -> Option<(u32, u32)> {
    let (rseq, rest) = leading_number(prack.header(HeaderName::RAck)?)?;
    let (cseq, method) = leading_number(rest)?;
    (method.trim_ascii() == b"INVITE").then_some((rseq, cseq))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(headers: &str) -> Message {
        let text = format!("OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n{headers}Content-Length: 0\r\n\r\n");
        Message::parse(text.into_bytes().into()).unwrap()
    }

    #[test]
    fn lists_are_read_across_lines_and_in_any_case() {
        let said =
            Said::by(&message("Allow: INVITE , UPDATE\r\nAllow: BYE\r\nk: TIMER, 100rel\r\nSupported: replaces\r\n"));
        let mut peer = Peer::default();
        peer.hear(&said);
        assert!(peer.allows(&Method::Update) && peer.allows(&Method::Bye) && !peer.allows(&Method::Refer));
        assert!(peer.supports("100REL") && peer.supports("replaces") && !peer.supports("join"));
        assert!(said.knows_timer() && said.takes_reliable() && !said.requires_reliable());
        peer.hear(&Said::by(&message("")));
        assert!(peer.allows(&Method::Update), "a message that says nothing changes nothing");
        peer.refuses(&Method::Update);
        assert!(!peer.allows(&Method::Update) && peer.allows(&Method::Bye));
        assert!(!peer.allows(&Method::Other("FOO".into())));
    }

    #[test]
    fn every_known_method_has_a_bit() {
        let bits: Vec<u16> = Method::KNOWN.iter().map(method_bit).collect();
        assert!(bits.iter().all(|bit| bit.count_ones() == 1), "{bits:?}");
        assert_eq!(bits.iter().fold(0, |all, bit| all | bit).count_ones() as usize, bits.len());
    }

    #[test]
    fn numbers_and_their_parameters_are_read() {
        let said = Said::by(&message("x: 1800 ; Refresher = UAS\r\nMin-SE: 120;x=y\r\nRSeq: 7\r\nRequire: 100rel\r\n"));
        assert_eq!(said.session_expires, Some((1800, Some(Keeper::Receiver))));
        assert_eq!((said.min_se, said.reliable_number()), (Some(120), Some(7)));
        let said = Said::by(&message("Session-Expires: 99999999999;refresher=me\r\nMin-SE: soon\r\nRSeq: 7\r\n"));
        assert_eq!(said.session_expires, Some((u32::MAX, None)));
        assert_eq!((said.min_se, said.reliable_number()), (None, None));
        assert_eq!(acknowledged_by(&message("RAck: 776656 1 INVITE\r\n")), Some((776_656, 1)));
        for bad in ["RAck: 1 2 UPDATE\r\n", "RAck: 1\r\n", "RAck: x 2 INVITE\r\n", ""] {
            assert_eq!(acknowledged_by(&message(bad)), None, "{bad}");
        }
    }
}
