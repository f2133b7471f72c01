//! An event as bytes of the durable log: its head, so that nobody has to read JSON to know whether he wants it, and its
//! text.
//!
//! ```text
//!   at (8, ms) | call + 1 (8) | seq + 1 (8) | length and kind (1 + n) | count of domains (1) | length and domain (1 + n) … | text
//! ```
//!
//! Numbers are in network order; 0 stands for none. The highest bit of the count says that the webhook of the call follows
//! the domains, with its length: entries of programs that knew of none are read as before.

use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::CallId;

use super::{EventId, Logged};

/// In the count of domains: a webhook follows them.
const HAS_WEBHOOK: u8 = 0x80;

/// Domains that are kept of one event at most.
const MAX_KEPT: usize = (HAS_WEBHOOK - 1) as usize;

impl Logged {
    /// The event as bytes; its name is not among them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 + self.text.len());
        let at = u64::try_from(self.at.as_millis()).unwrap_or(u64::MAX);
        for number in [at, self.call.map_or(0, |call| call.0 + 1), self.seq.map_or(0, |seq| u64::from(seq) + 1)] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        put_short(&mut bytes, &self.kind);
        let domains = &self.domains[..self.domains.len().min(MAX_KEPT)];
        bytes.push(domains.len() as u8 | if self.webhook.is_some() { HAS_WEBHOOK } else { 0 });
        domains.iter().chain(&self.webhook).for_each(|text| put_short(&mut bytes, text));
        bytes.extend_from_slice(self.text.as_bytes());
        bytes
    }

    /// The event of these bytes; none if they are not what [`Logged::to_bytes`] makes.
    #[must_use]
    pub fn from_bytes(id: EventId, bytes: &[u8]) -> Option<Self> {
        let (at, bytes) = take_number(bytes)?;
        let (call, bytes) = take_number(bytes)?;
        let (seq, bytes) = take_number(bytes)?;
        let (kind, bytes) = take_short(bytes)?;
        let (count, mut bytes) = bytes.split_first()?;
        let mut domains = Vec::with_capacity(usize::from(*count));
        for _ in 0..*count & !HAS_WEBHOOK {
            let (domain, rest) = take_short(bytes)?;
            domains.push(domain);
            bytes = rest;
        }
        let mut webhook = None;
        if count & HAS_WEBHOOK != 0 {
            let (name, rest) = take_short(bytes)?;
            webhook = Some(name);
            bytes = rest;
        }
        let seq = seq.checked_sub(1).map(u32::try_from).transpose().ok()?;
        let text = Arc::from(str::from_utf8(bytes).ok()?);
        let call = call.checked_sub(1).map(CallId);
        Some(Self { id, at: Duration::from_millis(at), kind, call, seq, domains, webhook, text })
    }
}

/// Domains and types are far shorter than 255 bytes: RFC 1035 section 2.3.4. What is longer is cut off.
fn put_short(bytes: &mut Vec<u8>, text: &str) {
    let mut end = text.len().min(usize::from(u8::MAX));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    bytes.push(end as u8);
    bytes.extend_from_slice(&text.as_bytes()[..end]);
}

fn take_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), rest))
}

fn take_short(bytes: &[u8]) -> Option<(CompactString, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((CompactString::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(call: Option<u64>, seq: Option<u32>, domains: &[&str]) -> Logged {
        Logged {
            id: EventId(9),
            at: Duration::from_millis(1_795_367_109_120),
            kind: "call.answered".into(),
            call: call.map(CallId),
            seq,
            domains: domains.iter().map(|domain| (*domain).into()).collect(),
            webhook: None,
            text: "{\"id\":\"9\"}".into(),
        }
    }

    #[test]
    fn an_event_comes_back_as_it_was() {
        for event in [
            event(None, None, &[]),
            event(Some(0), Some(0), &["a.test"]),
            event(Some(u64::MAX - 1), Some(u32::MAX), &["a.test", "", "\u{fc}.test"]),
            Logged { webhook: Some("call.0123456789abcdef".into()), ..event(Some(7), Some(0), &[]) },
            Logged { webhook: Some(String::new().into()), ..event(Some(7), Some(0), &["a.test"]) },
        ] {
            assert_eq!(Logged::from_bytes(event.id, &event.to_bytes()).as_ref(), Some(&event));
        }
    }

    #[test]
    fn an_entry_of_a_program_that_knew_of_no_webhooks_is_read() {
        let mut bytes = vec![0; 24];
        bytes.extend_from_slice(b"\x0acall.ended\x01\x06a.test{}");
        let read = Logged::from_bytes(EventId(9), &bytes).unwrap();
        assert_eq!((&*read.kind, &*read.domains[0], read.webhook, &*read.text), ("call.ended", "a.test", None, "{}"));
    }

    #[test]
    fn bytes_that_are_cut_off_are_no_event() {
        let whole = Logged { webhook: Some("call.1".into()), ..event(Some(7), Some(1), &["a.test"]) }.to_bytes();
        let head = whole.len() - "{\"id\":\"9\"}".len();
        for length in 0..head {
            assert_eq!(Logged::from_bytes(EventId(9), &whole[..length]), None, "{length}");
        }
        let mut other = whole;
        *other.last_mut().unwrap() = 0xff;
        assert_eq!(Logged::from_bytes(EventId(9), &other), None);
    }

    #[test]
    fn a_domain_that_is_too_long_is_cut_between_two_letters() {
        let long = "\u{fc}".repeat(200);
        let back = Logged::from_bytes(EventId(9), &event(None, None, &[&long]).to_bytes()).unwrap();
        assert_eq!(back.domains[0], "\u{fc}".repeat(127));
    }
}
