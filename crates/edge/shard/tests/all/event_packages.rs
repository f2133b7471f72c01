//! The packages `reg` (RFC 3680), `message-summary` (RFC 3842) and `presence` (RFC 3856), and PUBLISH (RFC 3903).

use crate::support::raw::{answer, trusting_config, udp};
use crate::support::sec;
use crate::support::watch::{Watch, body};
use hookswitch_shard::{Change, HttpId, Input, MAX_MAILBOX, Output, Shard, Stored};
use hookswitch_sip::auth::Credentials;
use hookswitch_sip::publication::MAX_DOCUMENT;
use hookswitch_sip_msg::{HeaderName, Message};

const BOB: &str = "sip:bob@x.test";

/// Bob watches himself.
fn watch(event: &str) -> (Watch, String) {
    let mut watch = Watch::new();
    assert_eq!(watch.ask(BOB, BOB, event, "Expires: 600\r\n"), 200);
    let text = body(&watch.notify());
    watch.raw.pass(sec(6));
    (watch, text)
}

/// A REGISTER of bob; the number makes it another one.
fn register(watch: &mut Watch, number: u8, contact: &str) {
    let bob = Credentials::new("bob", "bob-pw");
    watch.raw.sent.clear();
    let to = format!("{BOB};n={number}");
    assert_eq!(watch.raw.register(udp("10.0.0.7:5060"), &to, &bob, contact), 200);
}

/// The answer to an HTTP request; NOTIFYs are sent.
fn http(watch: &mut Watch, method: &str, path: &str, text: &str) -> (u16, String) {
    let (method, path, body) = (method.into(), path.to_owned(), text.to_owned().into());
    watch.raw.shard.handle(watch.raw.now, Input::Http { id: HttpId(1), method, path, body });
    let mut answer = None;
    while let Some(output) = watch.raw.shard.poll_output() {
        match output {
            Output::Http { status, body, .. } => answer = Some((status, body)),
            Output::Send { flow, bytes } => watch.raw.sent.push((flow, Message::parse(bytes).expect("a message"))),
            Output::Store(change) => {
                assert!(answer.is_none() || !matches!(change, Change::Mailbox(_)), "stored before it is answered");
                watch.raw.stored.push(change);
            }
            _ => {}
        }
    }
    answer.expect("an answer")
}

#[test]
fn a_user_sees_which_phones_are_registered() {
    let (mut watch, text) = watch("reg");
    assert!(text.contains("<registration aor=\"sip:bob@x.test\" id=\"r\" state=\"active\">"), "{text}");
    assert!(text.contains("version=\"0\"") && text.contains("event=\"registered\""), "{text}");
    assert!(text.contains("<uri>sip:bob@10.0.0.3</uri>"), "{text}");
    register(&mut watch, 1, "Contact: <sip:bob@10.0.0.7>;q=0.5;expires=120\r\n");
    let text = body(&watch.notify());
    assert!(text.matches("<contact ").count() == 2 && text.contains("expires=\"120\" q=\"0.500\""), "{text}");
    watch.raw.pass(sec(6));
    register(&mut watch, 2, "Contact: <sip:bob@10.0.0.7>;expires=120\r\n");
    watch.silence();
    register(&mut watch, 3, "Contact: <sip:bob@10.0.0.7>;expires=0\r\n");
    let text = body(&watch.notify());
    assert!(text.contains("state=\"terminated\" event=\"unregistered\"><uri>sip:bob@10.0.0.7</uri>"), "{text}");
    watch.raw.pass(sec(6));
    register(&mut watch, 4, "Contact: *\r\nExpires: 0\r\n");
    let text = body(&watch.notify());
    assert!(text.contains("id=\"r\" state=\"terminated\"") && !text.contains("10.0.0.7"), "told once: {text}");
    assert_eq!(watch.ask(BOB, BOB, "reg", "Expires: 600\r\n"), 200);
    assert!(body(&watch.notify()).contains("id=\"r\" state=\"init\"/>"));
}

#[test]
fn what_concerns_oneself_is_nobody_elses() {
    let mut config = trusting_config();
    config.b2bua.trusted.clear();
    for (event, own) in [("reg", 200), ("message-summary", 200), ("presence", 200)] {
        let mut watch = Watch::with(config.clone());
        for (user, expected) in [("bob", own), ("carol", if event == "presence" { 200 } else { 403 })] {
            watch.tag.clear();
            let from = format!("sip:{user}@x.test");
            assert_eq!(watch.ask(&from, BOB, event, ""), 401);
            let credentials = Credentials::new(user, format!("{user}-pw"));
            assert_eq!(watch.ask_as(&credentials, &from, BOB, event, ""), expected, "{user} {event}");
        }
    }
}

#[test]
fn waiting_messages_are_told_and_outlive_the_switch() {
    let (mut watch, text) = watch("message-summary");
    let none = "Messages-Waiting: no\r\nMessage-Account: sip:bob@x.test\r\nVoice-Message: 0/0 (0/0)\r\n";
    assert_eq!(text, none);
    let path = "/mailbox/x.test/bob";
    assert_eq!(http(&mut watch, "PUT", path, r#"{"new":2,"old":8,"urgent_old":1}"#).0, 204);
    let text = body(&watch.notify());
    assert!(text.starts_with("Messages-Waiting: yes\r\n") && text.ends_with("Voice-Message: 2/8 (0/1)\r\n"), "{text}");
    assert_eq!(http(&mut watch, "PUT", path, r#"{"new":2,"old":8,"urgent_old":1}"#).0, 204);
    watch.silence();
    let shown = r#"{"new":2,"old":8,"urgent_new":0,"urgent_old":1}"#;
    assert_eq!(http(&mut watch, "GET", path, ""), (200, shown.to_owned()));
    let large = "x".repeat(MAX_MAILBOX + 1);
    for (method, path, text, status) in [
        ("PUT", path, "{\"new\":-1}", 400),
        ("PUT", path, "{\"many\":1}", 400),
        ("PUT", path, "[1,2]", 400),
        ("PUT", path, "", 400),
        ("PUT", path, large.as_str(), 413),
        ("PUT", "/mailbox/x.test/nobody", "{}", 404),
        ("PUT", "/mailbox/x.test", "{}", 404),
        ("POST", path, "{}", 405),
    ] {
        assert_eq!(http(&mut watch, method, path, text).0, status, "{method} {path} {text:.20}");
    }
    let kept: Vec<_> = watch.raw.stored.iter().filter(|change| matches!(change, Change::Mailbox(_))).collect();
    let [Change::Mailbox(change)] = &kept[..] else { panic!("{kept:?}") };
    let entry = Stored::Mailbox(change.aor.clone(), change.mailbox.expect("it is there"));
    let mut next = Watch::new();
    next.raw.shard = Shard::new(trusting_config(), [8; 32]);
    next.raw.shard.handle(next.raw.now, Input::Restore(entry));
    assert_eq!(http(&mut next, "GET", path, "").1, shown);
    assert_eq!(http(&mut next, "DELETE", path, "").0, 204);
    assert!(http(&mut next, "GET", path, "").1.contains("\"new\":0"));
}

#[test]
fn presence_says_whether_a_phone_is_there_and_in_a_call() {
    let (mut watch, text) = watch("presence");
    assert!(text.contains("entity=\"sip:bob@x.test\"") && text.contains("<basic>open</basic>"), "{text}");
    assert!(!text.contains("on-the-phone"), "{text}");
    let invite = watch.ring();
    assert!(body(&watch.notify()).contains("<rpid:on-the-phone/>"));
    watch.raw.hear(udp("10.0.0.3:5060"), &answer(&invite, "486 Busy Here", "b", ""));
    watch.raw.pass(sec(5));
    assert!(!body(&watch.notify()).contains("on-the-phone"));
    watch.raw.pass(sec(6));
    register(&mut watch, 5, "Contact: *\r\nExpires: 0\r\n");
    assert!(body(&watch.notify()).contains("<basic>closed</basic>"));
}

/// A PUBLISH of bob: the answer's status and tag.
fn publish(watch: &mut Watch, number: u32, more: &str, text: &str) -> (u16, String) {
    watch.raw.sent.clear();
    let has_type = more.contains("Content-Type") || text.is_empty();
    let kind = if has_type { "" } else { "Content-Type: application/pidf+xml\r\n" };
    let event = if more.contains("Event:") { "" } else { "Event: presence\r\n" };
    watch.raw.hear(
        udp("10.0.0.3:5060"),
        &format!(
            "PUBLISH {BOB} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.3;branch=z9hG4bK-p{number}\r\nMax-Forwards: 70\r\n\
             From: <{BOB}>;tag=p\r\nTo: <{BOB}>\r\nCall-ID: publish\r\nCSeq: {number} PUBLISH\r\n{event}{more}{kind}\
             Content-Length: {}\r\n\r\n{text}",
            text.len()
        ),
    );
    let (_, answer) = watch.raw.sent.iter().find(|(_, message)| message.status().is_some()).expect("an answer");
    (answer.status().unwrap(), answer.header_str(HeaderName::SipEtag).unwrap_or_default().to_owned())
}

#[test]
fn what_is_published_is_passed_on_until_it_ends() {
    let (mut watch, _) = watch("presence");
    let (status, tag) = publish(&mut watch, 1, "Expires: 60\r\n", "<away/>");
    assert_eq!(status, 200);
    assert_eq!(body(&watch.notify()), "<away/>");
    watch.raw.pass(sec(6));
    let (status, next) = publish(&mut watch, 2, &format!("Expires: 60\r\nSIP-If-Match: {tag}\r\n"), "");
    assert!(status == 200 && next != tag, "{status} {next}");
    watch.silence();
    assert_eq!(publish(&mut watch, 3, &format!("SIP-If-Match: {tag}\r\n"), "<x/>").0, 412);
    watch.raw.pass(sec(58));
    assert!(body(&watch.notify()).contains("<basic>open</basic>"), "as if nobody had published");
    watch.raw.pass(sec(6));
    let (_, tag) = publish(&mut watch, 4, "", "<busy/>");
    assert_eq!(body(&watch.notify()), "<busy/>");
    watch.raw.pass(sec(6));
    assert_eq!(publish(&mut watch, 5, &format!("Expires: 0\r\nSIP-If-Match: {tag}\r\n"), "").0, 200);
    assert!(body(&watch.notify()).contains("<basic>open</basic>"));
}

#[test]
fn what_cannot_be_published_is_refused() {
    let (mut watch, _) = watch("presence");
    let large = "x".repeat(MAX_DOCUMENT + 1);
    for (number, (more, text, status)) in [
        ("Event: dialog\r\n", "<x/>", 489),
        ("Content-Type: text/plain\r\n", "x", 415),
        ("Expires: 1\r\n", "<x/>", 423),
        ("", "", 400),
        ("", large.as_str(), 413),
        ("SIP-If-Match: never\r\n", "<x/>", 412),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(publish(&mut watch, number as u32 + 1, more, text).0, status, "{more}");
    }
    watch.silence();
}
