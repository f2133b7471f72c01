//! What parties send each other within a call: keys, signals of applications (INFO), text (MESSAGE).

use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_call::{CallId, Digit, LegId, Parcel, ParcelKind, Report, Time};
use hookswitch_sip::{Body, DialogId, Header, RequestOut, Response, SipError, TxnId};
use hookswitch_sip_msg::{HeaderName, Message, Method};

use crate::B2bua;
use crate::errand::Errand;

/// Largest body that is carried to the other party, in bytes: more than what people type, less than what a datagram
/// holds.
pub const MAX_PARCEL: usize = 16 * 1_024;

/// Most parcels of one party that wait for an answer at a time; more are answered 503.
pub const MAX_PARCELS: usize = 8;

/// How long a key is taken to be pressed when nobody says so.
const USUAL_PRESS: Duration = Duration::from_millis(160);

/// Longest time a key is taken to be pressed.
const LONGEST_PRESS: Duration = Duration::from_secs(5);

/// Longest body that tells a key, in bytes.
const MAX_DIGIT: usize = 256;

impl B2bua {
    /// INFO and MESSAGE inside a dialog.
    pub(crate) fn brought(&mut self, now: Time, txn: TxnId, dialog: DialogId, kind: ParcelKind, request: &Message) {
        match self.receive(txn, dialog, kind, request) {
            Ok(Received::Waits) => {}
            Ok(Received::Done) => self.endpoint.reply(now, txn, Response::new(200)),
            Err(status) => {
                let mut response = Response::new(status);
                response.headers.extend(match status {
                    469 => Some(Header::new(HeaderName::RecvInfo, "")),
                    503 => Some(Header::new(HeaderName::RetryAfter, "1")),
                    _ => None,
                });
                self.endpoint.reply(now, txn, response);
            }
        }
    }

    /// The status of the refusal, if it is refused.
    fn receive(&mut self, txn: TxnId, dialog: DialogId, kind: ParcelKind, request: &Message) -> Result<Received, u16> {
        let next = self.next_receipt;
        let record = self.legs.get_mut(&dialog).ok_or(481_u16)?;
        let (call, leg) = (record.call, record.leg);
        let body = request.body();
        if kind == ParcelKind::Info {
            // Of no package anything is known here (RFC 6086 section 4.2.2).
            if request.header(HeaderName::InfoPackage).is_some() {
                return Err(469);
            }
            // An empty one asks whether we are still there (RFC 6086 section 4.2.2).
            if body.is_empty() {
                return Ok(Received::Done);
            }
            match digit_of(request.content_type().unwrap_or_default(), &body) {
                Told::Nothing => {}
                Told::Garbage => return Err(400),
                Told::OtherKey => return Ok(Received::Done),
                Told::Key(digit) => {
                    self.report(Report::Digit { call, leg, digit });
                    return Ok(Received::Done);
                }
            }
        }
        if body.len() > MAX_PARCEL {
            return Err(513);
        }
        if !record.answered || record.ending || record.parcels.len() >= MAX_PARCELS {
            // Nobody is there yet, or it is too much: later it may do.
            return Err(503);
        }
        record.parcels.push((next, txn));
        self.next_receipt += 1;
        let content_type =
            if body.is_empty() { "" } else { request.header_str(HeaderName::ContentType).unwrap_or(BYTES) };
        let parcel = Parcel { kind, content_type: on_one_line(content_type), body: body.as_ref().into() };
        self.report(Report::Brought { call, leg, receipt: next, parcel });
        Ok(Received::Waits)
    }

    pub(crate) fn receipt(&mut self, now: Time, (call, leg): (CallId, LegId), receipt: u64, status: u16) {
        let Some(record) = self.record_mut(call, leg) else { return };
        let Some(at) = record.parcels.iter().position(|(number, _)| *number == receipt) else { return };
        let (_, txn) = record.parcels.swap_remove(at);
        // What the other party's dialog is to it must not be taken for the state of this one (RFC 5057 section 5.1).
        let status = match status {
            404 | 408 | 410 | 416 | 480..=485 | 489 | 501 | 502 | 604 => 500,
            200..=699 => status,
            _ => 500,
        };
        self.endpoint.reply(now, txn, Response::new(status));
    }

    pub(crate) fn deliver(&mut self, now: Time, (call, leg): (CallId, LegId), receipt: u64, parcel: &Parcel) {
        let Some(dialog) = self.dialog(call, leg) else { return };
        let method = match parcel.kind {
            ParcelKind::Info => Method::Info,
            ParcelKind::Message => Method::Message,
        };
        let mut request = RequestOut::inside(dialog, method);
        if !parcel.body.is_empty() {
            let content_type = if parcel.content_type.is_empty() { BYTES } else { &parcel.content_type };
            let bytes = Bytes::copy_from_slice(&parcel.body);
            request.body = Some(Body { content_type: on_one_line(content_type), bytes });
        }
        let sent =
            if parcel.body.len() > MAX_PARCEL { Err(SipError::TooLarge) } else { self.endpoint.request(now, request) };
        let status = match sent {
            Ok(id) => return self.send_on(id, dialog, Errand::Parcel(receipt)),
            Err(SipError::TooLarge) => 513,
            Err(SipError::Malformed) => 400,
            Err(SipError::UnknownDialog | SipError::NotEstablished) => 481,
            Err(SipError::Pending | SipError::TransactionLimit | SipError::DialogLimit | SipError::Unsendable) => 503,
        };
        self.report(Report::Delivered { call, leg, receipt, status });
    }
}

/// What a body is that nobody describes.
const BYTES: &str = "application/octet-stream";

enum Received {
    /// The core will say.
    Waits,
    /// That was all.
    Done,
}

/// What a body says about keys.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// It is about something else.
    Nothing,
    /// It is not what it says it is.
    Garbage,
    /// A key that no telephone line carries, such as the hook.
    OtherKey,
    /// This one.
    Key(Digit),
}

/// `application/dtmf-relay` has lines (`Signal=5`, `Duration=160`), `application/dtmf` the key alone; phones mix the two.
fn digit_of(content_type: &str, body: &[u8]) -> Told {
    let is = |kind: &str| content_type.eq_ignore_ascii_case(kind);
    if !is("application/dtmf-relay") && !is("application/dtmf") {
        return Told::Nothing;
    }
    let Some(text) = std::str::from_utf8(body).ok().filter(|text| text.len() <= MAX_DIGIT) else {
        return Told::Garbage;
    };
    let (mut signal, mut time) = (None, USUAL_PRESS);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
            Some((name, value)) if name.eq_ignore_ascii_case("Signal") => signal = signal.or(Some(value)),
            Some((name, value)) if name.eq_ignore_ascii_case("Duration") => {
                let Ok(millis) = value.parse::<u32>() else { return Told::Garbage };
                time = Duration::from_millis(millis.into()).min(LONGEST_PRESS);
            }
            Some(_) => {}
            None => signal = signal.or(Some(line)),
        }
    }
    match signal {
        None => Told::Garbage,
        Some(key) => match key_of(key) {
            Some(key) => Told::Key(Digit { key, time }),
            None if (1..=8).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Told::OtherKey
            }
            None => Told::Garbage,
        },
    }
}

/// Keys by their sign, or by their number among telephone events (RFC 4733 section 3.2).
fn key_of(text: &str) -> Option<char> {
    match text {
        "10" => Some('*'),
        "11" => Some('#'),
        "12" => Some('A'),
        "13" => Some('B'),
        "14" => Some('C'),
        "15" => Some('D'),
        _ => {
            let mut chars = text.chars();
            let key = chars.next()?.to_ascii_uppercase();
            (chars.next().is_none() && matches!(key, '0'..='9' | '*' | '#' | 'A'..='D')).then_some(key)
        }
    }
}

/// A header's value whose folded lines are joined.
pub(crate) fn on_one_line(value: &str) -> CompactString {
    value.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &str, body: &str) -> Option<(char, u128)> {
        match digit_of(kind, body.as_bytes()) {
            Told::Key(digit) => Some((digit.key, digit.time.as_millis())),
            Told::Nothing | Told::Garbage | Told::OtherKey => None,
        }
    }

    #[test]
    fn keys_are_read_as_phones_write_them() {
        for (body, expected) in [
            ("Signal=5\r\nDuration=160\r\n", ('5', 160)),
            ("Signal= #\nDuration = 250", ('#', 250)),
            ("signal=d", ('D', 160)),
            ("Duration=40\r\n\r\nSignal=10", ('*', 40)),
            ("5", ('5', 160)),
            (" 11\r\n", ('#', 160)),
            ("Signal=1\r\nDuration=99999999", ('1', 5_000)),
        ] {
            assert_eq!(key("application/dtmf-relay", body), Some(expected), "{body:?}");
            assert_eq!(key("Application/DTMF", body), Some(expected), "{body:?}");
        }
        assert_eq!(digit_of("application/dtmf-relay", b"Signal=hf"), Told::OtherKey);
        assert_eq!(digit_of("application/dtmf-relay", b"Signal=16"), Told::OtherKey);
        assert_eq!(digit_of("text/plain", b"5"), Told::Nothing);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = format!("Signal=5\r\nX={}", "y".repeat(MAX_DIGIT));
        let bad: [&[u8]; 7] =
            [b"", b"Duration=5", b"Signal=", b"Signal=5\r\nDuration=-1", b"Signal=%%", b"\xff", long.as_bytes()];
        for body in bad {
            assert_eq!(digit_of("application/dtmf-relay", body), Told::Garbage, "{}", String::from_utf8_lossy(body));
        }
    }
}
