//! Who a caller is, and who is told so.
//!
//! | | from a trusted peer | from anybody else | to a trusted peer | to anybody else |
//! |---|---|---|---|---|
//! | From | as it is | as it is: digest has proved it | as it is; anonymous if the caller wishes so | the same |
//! | P-Asserted-Identity, Remote-Party-ID | read | ignored; From counts, being proved | written | never |
//! | Privacy | read | read | written | written |
//! | Diversion, History-Info | read | ignored | written | written |
//! | Alert-Info, answering by itself | read | ignored | written | written |
//! | Referred-By | read | read | written | written |
//!
//! Trusted is who is in the networks of [`B2buaConfig::trusted`](crate::B2buaConfig::trusted); as a party that is
//! called also who is reached by a [trusted route](crate::route::Route::trusted) (RFC 3325 section 5).

use std::sync::Arc;

use bytes::Bytes;
use compact_str::{CompactString, format_compact};
use hookswitch_call::{Address, Alerting, Dial, Diversion, Diverting, Identity, MAX_ADDRESS};
use hookswitch_sip::Header;
use hookswitch_sip_msg::{HeaderName, Message, NameAddr, Uri};

use crate::leg::display_of;
use crate::outbound::{name_addr, request_uri};

/// Most diversions that are taken from a message, the most recent ones.
pub const MAX_DIVERSIONS: usize = 10;

/// Longest Alert-Info that is carried on, in bytes.
pub const MAX_TONE: usize = 512;

/// Longest time after which a phone may be asked to answer by itself, in seconds.
pub const MAX_ANSWER_AFTER: u16 = 3_600;

/// What stands in From when the caller wishes to stay unknown (RFC 3323 section 4.1.1.3).
const ANONYMOUS: &[u8] = b"\"Anonymous\" <sip:anonymous@anonymous.invalid>";

/// What an INVITE says of its caller beside From and To.
pub(crate) type Seen = (Identity, Vec<Diversion>, Alerting, Option<Address>);

/// Reads who calls, over whom, and how the called party is to be alerted. `trusted` is whether the sender may say all
/// that; one that may not has proved its From by digest.
pub(crate) fn read(message: &Message, trusted: bool) -> Seen {
    let remote = trusted.then(|| remote_party(message)).flatten();
    let asserted = if trusted {
        let said = first_uri(message, HeaderName::PAssertedIdentity);
        said.or_else(|| remote.as_ref().map(|(address, _)| address.clone()))
    } else {
        first_uri(message, HeaderName::From)
    };
    let private = is_private(message) || remote.is_some_and(|(_, private)| private);
    let identity = Identity { display: display_of(message).map(Arc::from), asserted, private };
    // A phone that was asked to call by another says so itself; nothing depends on it (RFC 3892 section 5).
    let referred_by = first_uri(message, HeaderName::ReferredBy);
    if !trusted {
        return (identity, Vec::new(), Alerting::default(), referred_by);
    }
    (identity, diversions(message), alerting(message), referred_by)
}

/// The first address of a header that can be called, or `None` if it is none or too long.
fn first_uri(message: &Message, name: HeaderName) -> Option<Address> {
    message.values(name).find_map(|value| address_of(&NameAddr::parse(value).ok()?))
}

/// The address of a header that can be called, without headers of its own.
pub(crate) fn address_of(address: &NameAddr<'_>) -> Option<Address> {
    let text = address.uri_str()?;
    let uri = address.uri().ok()?;
    let is_known = uri.is_sip() || uri.scheme_text().eq_ignore_ascii_case("tel");
    (is_known && is_sendable(text)).then(|| Address::from(request_uri(text)))
}

/// Whether an address can stand between angle brackets and is no longer than any address may be.
fn is_sendable(address: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"<>\"".contains(&byte) || byte >= 0x80;
    !address.is_empty() && address.len() <= MAX_ADDRESS && address.bytes().all(fits) && Uri::parse(address).is_ok()
}

/// Remote-Party-ID of the calling party, and whether it is to stay unknown (draft-ietf-sip-privacy-04).
fn remote_party(message: &Message) -> Option<(Address, bool)> {
    message.values(HeaderName::RemotePartyId).find_map(|value| {
        let party = NameAddr::parse(value).ok()?;
        let is_calling = party.param("party").is_none_or(|party| party.eq_ignore_ascii_case("calling"));
        let privacy = party.param("privacy").unwrap_or("off");
        let private = ["full", "uri"].iter().any(|word| privacy.eq_ignore_ascii_case(word));
        is_calling.then(|| address_of(&party)).flatten().map(|address| (address, private))
    })
}

/// Whether the caller wishes that the called party does not learn who it is (RFC 3323 section 4.2, RFC 3325 section
/// 9.3): that is for everybody to ask.
fn is_private(message: &Message) -> bool {
    let privacy = message.header_str(HeaderName::Privacy).unwrap_or_default();
    privacy
        .split([';', ','])
        .map(str::trim)
        .any(|word| ["id", "user", "full"].iter().any(|w| word.eq_ignore_ascii_case(w)))
}

/// Diversion (RFC 5806), else History-Info (RFC 7044); oldest first. What is to stay unknown is left out.
fn diversions(message: &Message) -> Vec<Diversion> {
    let mut found: Vec<Diversion> = message.values(HeaderName::Diversion).filter_map(diversion).collect();
    if found.is_empty() {
        found = history(message);
        found.reverse();
    }
    // Now the most recent one comes first.
    found.truncate(MAX_DIVERSIONS);
    found.reverse();
    found
}

fn diversion(value: &[u8]) -> Option<Diversion> {
    let diversion = NameAddr::parse(value).ok()?;
    let privacy = diversion.param("privacy").unwrap_or("off");
    if ["full", "uri"].iter().any(|word| privacy.eq_ignore_ascii_case(word)) {
        return None;
    }
    let why = match diversion.param("reason").unwrap_or_default().to_ascii_lowercase().as_str() {
        "user-busy" | "do-not-disturb" => Diverting::Busy,
        "no-answer" | "away" => Diverting::NoAnswer,
        "unavailable" | "out-of-service" => Diverting::Unreachable,
        _ => Diverting::Always,
    };
    Some(Diversion { from: address_of(&diversion)?, why })
}

/// The entries from which a call was diverted: those before one whose URI says why (RFC 4458).
fn history(message: &Message) -> Vec<Diversion> {
    let entries = message.values(HeaderName::HistoryInfo).filter_map(|value| NameAddr::parse(value).ok());
    let mut found = Vec::new();
    let mut before: Option<Address> = None;
    for entry in entries {
        let Ok(uri) = entry.uri() else { continue };
        let why = match uri.param("cause") {
            Some("302" | "480" | "487") => Some(Diverting::Always),
            Some("486") => Some(Diverting::Busy),
            Some("408") => Some(Diverting::NoAnswer),
            Some("404" | "503") => Some(Diverting::Unreachable),
            _ => None,
        };
        let is_secret = uri.headers.is_some_and(|headers| headers.to_ascii_lowercase().contains("privacy=history"));
        if let (Some(from), Some(why)) = (before.take(), why) {
            found.push(Diversion { from, why });
        }
        before = if is_secret { None } else { address_of(&entry).map(|address| without_cause(&address)) };
    }
    found
}

fn without_cause(address: &Address) -> Address {
    let parts = address.0.split(';').filter(|part| !part.to_ascii_lowercase().starts_with("cause="));
    Address(parts.collect::<Vec<_>>().join(";").into())
}

/// Alert-Info, and the ways in which phones are told to answer by themselves.
fn alerting(message: &Message) -> Alerting {
    let mut alerting = Alerting::default();
    for value in message.values(HeaderName::AlertInfo) {
        let Ok(text) = std::str::from_utf8(value) else { continue };
        let lower = text.to_ascii_lowercase();
        let params = lower.rsplit_once('>').map_or(lower.as_str(), |(_, params)| params);
        let param = |name| params.split(';').find_map(|param| param.trim().strip_prefix(name));
        if param("info=").is_some_and(|info| info.contains("autoanswer") || info.contains("auto-answer")) {
            alerting.answer_after = Some(seconds(param("delay=").or_else(|| param("answer-after="))));
        } else if let Some(after) = param("answer-after=") {
            alerting.answer_after = Some(seconds(Some(after)));
        } else if text.len() <= MAX_TONE && alerting.tone.is_none() {
            alerting.tone = Some(text.trim().into());
        }
    }
    for value in message.values(HeaderName::CallInfo) {
        let after = std::str::from_utf8(value).ok().and_then(|text| {
            let params = text.rsplit_once('>')?.1;
            params.split(';').find_map(|param| param.trim().strip_prefix("answer-after="))
        });
        if after.is_some() {
            alerting.answer_after = Some(seconds(after));
        }
    }
    let mode = message.header_str(HeaderName::AnswerMode).unwrap_or_default();
    if mode.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("auto") {
        alerting.answer_after.get_or_insert(0);
    }
    alerting
}

/// A number of seconds; what is none means at once.
fn seconds(text: Option<&str>) -> u16 {
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0).min(MAX_ANSWER_AFTER)
}

/// Writes From and everything else that says who calls, over whom, and how the party is to be alerted.
pub(crate) fn write(dial: &Dial, trusted: bool) -> (Bytes, Vec<Header>) {
    let mut headers = Vec::new();
    let display = dial.identity.display.as_deref();
    let private = dial.identity.private;
    let from = if private { Bytes::from_static(ANONYMOUS) } else { name_addr(display, &dial.from.0) };
    if let Some(asserted) = dial.identity.asserted.as_ref().filter(|address| trusted && is_sendable(&address.0)) {
        let value = name_addr(display, &asserted.0);
        let privacy =
            if private { &b";party=calling;screen=yes;privacy=full"[..] } else { b";party=calling;screen=yes" };
        headers.push(Header::new(HeaderName::RemotePartyId, [&value, privacy].concat()));
        headers.push(Header::new(HeaderName::PAssertedIdentity, value));
    }
    if private {
        headers.push(Header::new(HeaderName::Privacy, "id"));
    }
    write_diversions(&mut headers, dial);
    write_alerting(&mut headers, &dial.alerting);
    if let Some(by) = dial.referred_by.as_ref().filter(|address| is_sendable(&address.0)) {
        headers.push(Header::new(HeaderName::ReferredBy, ["<", &by.0, ">"].concat()));
    }
    (from, headers)
}

/// Diversion, the most recent first (RFC 5806 section 5), and History-Info, the oldest first (RFC 7044 section 7).
fn write_diversions(headers: &mut Vec<Header>, dial: &Dial) {
    let sendable = dial.diversions.iter().filter(|diversion| is_sendable(&diversion.from.0));
    let mut known: Vec<&Diversion> = sendable.collect();
    known.drain(..known.len().saturating_sub(MAX_DIVERSIONS));
    if known.is_empty() {
        return;
    }
    for Diversion { from, why } in known.iter().rev() {
        let reason = match why {
            Diverting::Always => "unconditional",
            Diverting::Busy => "user-busy",
            Diverting::NoAnswer => "no-answer",
            Diverting::Unreachable => "unavailable",
        };
        let value = ["<", &from.0, ">;reason=", reason, ";counter=1"].concat();
        headers.push(Header::new(HeaderName::Diversion, value));
    }
    let mut index = CompactString::const_new("1");
    let mut why = None;
    let last = is_sendable(&dial.to.0).then_some((&dial.to, None));
    for (address, next) in known.iter().map(|diversion| (&diversion.from, Some(diversion.why))).chain(last) {
        let uri = request_uri(&address.0);
        let value = match why {
            None => format!("<{uri}>;index={index}"),
            Some(why) => {
                let parent = index.clone();
                index = format_compact!("{parent}.1");
                // Only a SIP URI has such a parameter.
                let cause = if uri.starts_with("sip") { cause_of(why) } else { "" };
                format!("<{uri}{cause}>;index={index};mp={parent}")
            }
        };
        headers.push(Header::new(HeaderName::HistoryInfo, value));
        why = next;
    }
}

fn cause_of(why: Diverting) -> &'static str {
    match why {
        Diverting::Always => ";cause=302",
        Diverting::Busy => ";cause=486",
        Diverting::NoAnswer => ";cause=408",
        Diverting::Unreachable => ";cause=503",
    }
}

/// Phones of different makers look for different headers, and none minds those of the others.
fn write_alerting(headers: &mut Vec<Header>, alerting: &Alerting) {
    if let Some(tone) = alerting.tone.as_ref().filter(|tone| !tone.is_empty() && tone.len() <= MAX_TONE) {
        headers.push(Header::new(HeaderName::AlertInfo, tone.to_string()));
    }
    let Some(after) = alerting.answer_after.map(|after| after.min(MAX_ANSWER_AFTER)) else { return };
    let marker = format!("<http://localhost>;info=alert-autoanswer;delay={after}");
    headers.push(Header::new(HeaderName::AlertInfo, marker));
    headers.push(Header::new(HeaderName::CallInfo, format!("<sip:localhost>;answer-after={after}")));
    if after == 0 {
        // These two know no delay (RFC 5373 section 4.2).
        headers.push(Header::new(HeaderName::AnswerMode, "Auto"));
        headers.push(Header::raw("P-Auto-Answer", "normal"));
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_call::Target;

    use super::*;

    fn seen(lines: &str, trusted: bool) -> Seen {
        let text = format!("INVITE sip:b@h SIP/2.0\r\nFrom: \"Al\u{e9}\" <sip:a@h>;tag=1\r\n{lines}\r\n");
        read(&Message::parse(text.into_bytes().into()).expect("a request"), trusted)
    }

    fn dial() -> Dial {
        let target = Target::new(Address::from("sip:b@h"), None, None);
        Dial::new(target, Address::from("sip:a@x.test"), Address::from("sip:b@x.test"), None)
    }

    fn written(dial: &Dial, trusted: bool) -> String {
        let (from, headers) = write(dial, trusted);
        let mut text = String::from_utf8_lossy(&from).into_owned();
        for header in headers {
            text.push_str(&format!("\n{}: {}", header.name(), String::from_utf8_lossy(header.value())));
        }
        text
    }

    #[test]
    fn asserted_identity_is_believed_of_trusted_peers_only() {
        let lines = "P-Asserted-Identity: \"x\" <sip:boss@h>, <tel:+1>\r\n";
        assert_eq!(seen(lines, true).0.asserted, Some(Address::from("sip:boss@h")));
        // Who has proved to be From is that and nobody else.
        assert_eq!(seen(lines, false).0.asserted, Some(Address::from("sip:a@h")));
        assert_eq!(seen("", true).0.asserted, None);
        let remote = "Remote-Party-ID: <sip:x@h>;party=called, <sip:boss@h>;party=calling;privacy=full\r\n";
        let identity = seen(remote, true).0;
        assert_eq!((identity.asserted, identity.private), (Some(Address::from("sip:boss@h")), true));
        assert!(!seen(remote, false).0.private);
        for bad in ["<http://h>", "<sip:a@h", "junk", &format!("<sip:{}@h>", "a".repeat(MAX_ADDRESS))] {
            assert_eq!(seen(&format!("P-Asserted-Identity: {bad}\r\n"), true).0.asserted, None, "{bad}");
        }
    }

    #[test]
    fn everybody_may_wish_to_stay_unknown() {
        for (privacy, expected) in [
            ("id", true),
            ("user;critical", true),
            ("Header; ID", true),
            ("none", false),
            ("session", false),
            ("", false),
        ] {
            assert_eq!(seen(&format!("Privacy: {privacy}\r\n"), false).0.private, expected, "{privacy}");
        }
    }

    #[test]
    fn a_private_caller_is_anonymous_to_all_and_asserted_to_trusted_targets() {
        let mut dial = dial();
        dial.identity = Identity {
            display: Some(Arc::from("Al\u{e9}".as_bytes())),
            asserted: Some(Address::from("sip:+491@x.test")),
            private: true,
        };
        let anonymous = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
        assert_eq!(written(&dial, false), format!("{anonymous}\nPrivacy: id"));
        let asserted = "\"Al\u{e9}\" <sip:+491@x.test>";
        assert_eq!(
            written(&dial, true),
            format!(
                "{anonymous}\nRemote-Party-ID: {asserted};party=calling;screen=yes;privacy=full\n\
                 P-Asserted-Identity: {asserted}\nPrivacy: id"
            )
        );
        dial.identity.private = false;
        assert_eq!(written(&dial, false), "\"Al\u{e9}\" <sip:a@x.test>");
    }

    #[test]
    fn a_display_name_goes_through_byte_for_byte() {
        let mut dial = dial();
        dial.identity.display = Some(Arc::from(&b"J\xfcrgen \\\"J\\\""[..]));
        let (from, _) = write(&dial, false);
        assert_eq!(&from[..], b"\"J\xfcrgen \\\"J\\\"\" <sip:a@x.test>");
        dial.identity.display = None;
        assert_eq!(&write(&dial, false).0[..], b"<sip:a@x.test>");
    }

    #[test]
    fn diversions_are_read_oldest_first_and_written_back_the_same() {
        let lines = "Diversion: <sip:second@h>;reason=no-answer, <sip:first@h>;reason=user-busy;counter=1\r\n";
        let (_, diversions, ..) = seen(lines, true);
        let expected = [("sip:first@h", Diverting::Busy), ("sip:second@h", Diverting::NoAnswer)];
        let expected = expected.map(|(from, why)| Diversion { from: Address::from(from), why });
        assert_eq!(diversions, expected);
        assert!(seen(lines, false).1.is_empty());
        let dial = Dial { diversions, ..dial() };
        assert_eq!(
            written(&dial, false),
            "<sip:a@x.test>\nDiversion: <sip:second@h>;reason=no-answer;counter=1\n\
             Diversion: <sip:first@h>;reason=user-busy;counter=1\n\
             History-Info: <sip:first@h>;index=1\n\
             History-Info: <sip:second@h;cause=486>;index=1.1;mp=1\n\
             History-Info: <sip:b@x.test;cause=408>;index=1.1.1;mp=1.1"
        );
    }

    #[test]
    fn history_is_read_where_there_is_no_diversion() {
        let lines = "History-Info: <sip:first@h>;index=1\r\n\
                     History-Info: <sip:first@10.0.0.9>;index=1.1;rc=1,<sip:second@h;cause=302>;index=1.2;mp=1\r\n\
                     History-Info: <sip:b@h;cause=503>;index=1.2.1;mp=1.2\r\n";
        let expected = [("sip:first@10.0.0.9", Diverting::Always), ("sip:second@h", Diverting::Unreachable)];
        let expected = expected.map(|(from, why)| Diversion { from: Address::from(from), why });
        assert_eq!(seen(lines, true).1, expected);
    }

    #[test]
    fn what_is_to_stay_unknown_of_a_diversion_is_not_carried_on() {
        assert!(seen("Diversion: <sip:x@h>;reason=user-busy;privacy=full\r\n", true).1.is_empty());
        let lines = "History-Info: <sip:x@h?Privacy=history>;index=1, <sip:b@h;cause=486>;index=1.1\r\n";
        assert!(seen(lines, true).1.is_empty());
    }

    #[test]
    fn of_many_diversions_the_most_recent_ones_are_kept() {
        let lines: String = (0..30).map(|n| format!("Diversion: <sip:d{n}@h>;reason=unconditional\r\n")).collect();
        let (_, diversions, ..) = seen(&lines, true);
        assert_eq!(diversions.len(), MAX_DIVERSIONS);
        assert_eq!(diversions[MAX_DIVERSIONS - 1].from, Address::from("sip:d0@h"));
        let many = (0..30).map(|n| Diversion { from: Address(format_compact!("sip:d{n}@h")), why: Diverting::Busy });
        let text = written(&Dial { diversions: many.collect(), ..dial() }, false);
        assert_eq!(text.matches("Diversion:").count(), MAX_DIVERSIONS);
        assert!(text.contains("<sip:d29@h>") && !text.contains("<sip:d19@h>"), "{text}");
    }

    #[test]
    fn an_address_that_would_say_more_than_an_address_is_left_out() {
        for bad in ["sip:x@h>;evil=1", "sip:x@h\r\nEvil: 1", "sip:\"x\"@h", "junk", ""] {
            let bad = Address::from(bad);
            let diversions = vec![Diversion { from: bad.clone(), why: Diverting::Busy }];
            let identity = Identity { asserted: Some(bad.clone()), ..Identity::default() };
            let dial = Dial { diversions, identity, referred_by: Some(bad.clone()), ..dial() };
            assert_eq!(written(&dial, true), "<sip:a@x.test>", "{bad}");
        }
    }

    #[test]
    fn phones_of_every_maker_are_told_to_answer_by_themselves() {
        let mut dial = dial();
        dial.alerting = Alerting { tone: Some("<http://h/ring.wav>".into()), answer_after: Some(0) };
        assert_eq!(
            written(&dial, false),
            "<sip:a@x.test>\nAlert-Info: <http://h/ring.wav>\n\
             Alert-Info: <http://localhost>;info=alert-autoanswer;delay=0\n\
             Call-Info: <sip:localhost>;answer-after=0\nAnswer-Mode: Auto\nP-Auto-Answer: normal"
        );
        dial.alerting = Alerting { tone: Some("x".repeat(MAX_TONE + 1).into()), answer_after: Some(u16::MAX) };
        let text = written(&dial, false);
        assert!(!text.contains("xxx") && text.contains("answer-after=3600") && !text.contains("Auto\n"), "{text}");
    }

    #[test]
    fn how_to_alert_is_believed_of_trusted_peers_only() {
        for (lines, tone, after) in [
            ("Alert-Info: <http://h/r>\r\n", Some("<http://h/r>"), None),
            ("Alert-Info: <http://h>;info=alert-autoanswer;delay=3\r\n", None, Some(3)),
            ("Alert-Info: info=alert-autoanswer\r\n", None, Some(0)),
            ("Call-Info: <sip:h>;answer-after=7\r\n", None, Some(7)),
            ("Answer-Mode: Auto;require\r\n", None, Some(0)),
            ("Answer-Mode: Manual\r\nCall-Info: <http://h/me.png>;purpose=icon\r\n", None, None),
        ] {
            let alerting = seen(lines, true).2;
            assert_eq!((alerting.tone.as_deref(), alerting.answer_after), (tone, after), "{lines}");
            assert_eq!(seen(lines, false).2, Alerting::default(), "{lines}");
        }
    }

    #[test]
    fn on_whose_behalf_a_party_calls_is_told() {
        let lines = "Referred-By: \"C\" <sip:c@h>;cid=\"1@h\"\r\n";
        assert_eq!(seen(lines, true).3, Some(Address::from("sip:c@h")));
        assert_eq!(seen(lines, false).3, Some(Address::from("sip:c@h")));
        let dial = Dial { referred_by: Some(Address::from("sip:c@h")), ..dial() };
        assert_eq!(written(&dial, false), "<sip:a@x.test>\nReferred-By: <sip:c@h>");
    }
}
