//! Texts outside of a call (MESSAGE, RFC 3428).

use crate::line::*;

use std::time::Duration;

use hookswitch_b2bua::route::Route;
use hookswitch_b2bua::{MAX_PARCEL, MAX_TEXTS};
use hookswitch_sip::auth::{Credentials, authorize};
use hookswitch_sip_msg::{HeaderName, Message, Method};

/// Where numbers lead.
const CARRIER: &str = "10.0.0.9:5060";

fn line_with_routes() -> Line {
    Line::with(|config| {
        config.routes = vec![
            Route::new("sip:0*@*", "sip:10.0.0.9").unwrap(),
            Route::new("sip:round*@*", "sip:bob@10.0.0.1").unwrap(),
        ];
    })
}

/// A text of alice to somebody.
fn text(to: &str, number: u32, more: &str, body: &str) -> String {
    format!(
        "MESSAGE {to} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK-text-{number}\r\nMax-Forwards: 9\r\n\
         From: \"Alice\" <sip:alice@x.test>;tag=a{number}\r\nTo: <{to}>\r\nCall-ID: text-{number}\r\nCSeq: 1 MESSAGE\r\n\
         {more}Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Registers a phone of bob's.
fn bob_at(line: &mut Line, address: &str) {
    let register = format!(
        "REGISTER sip:x.test SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK-r1-{address}\r\nMax-Forwards: 70\r\n\
         From: <sip:bob@x.test>;tag=r\r\nTo: <sip:bob@x.test>\r\nCall-ID: r-{address}\r\nCSeq: 1 REGISTER\r\n\
         Contact: <sip:bob@{address}>\r\nContent-Length: 0\r\n\r\n"
    );
    line.hear(address, &register);
    let credentials = Credentials::new("bob", "bob-pw".to_owned());
    let challenge = line.last().clone();
    let (name, value) = authorize(&challenge, &Method::Register, "sip:x.test", b"", &credentials, "c", 1).unwrap();
    let again = register
        .replace("CSeq: 1 ", "CSeq: 2 ")
        .replace("bK-r1-", "bK-r2-")
        .replace("Content-Length", &format!("{}: {value}\r\nContent-Length", name.as_str()));
    line.hear(address, &again);
    assert_eq!(line.last().status(), Some(200));
    line.take();
}

/// The MESSAGEs that were sent, and where to.
fn branches(line: &Line) -> Vec<(String, Message)> {
    let is_message = |(_, message): &&(String, Message)| message.method() == Some(&Method::Message);
    line.sent.iter().filter(is_message).cloned().collect()
}

/// What alice was answered.
fn answers(line: &Line) -> Vec<u16> {
    line.sent.iter().filter(|(to, _)| to == ALICES).filter_map(|(_, message)| message.status()).collect()
}

#[test]
fn a_text_reaches_every_phone_of_a_user_and_the_first_that_takes_it_is_the_answer() {
    let mut line = Line::new();
    let phones = ["10.0.0.3:5060", "10.0.0.4:5060"];
    for phone in phones {
        bob_at(&mut line, phone);
    }
    line.hear(ALICES, &text("sip:bob@x.test", 1, "Subject: lunch\r\nX-Secret: no\r\n", "hello"));
    let sent = branches(&line);
    let mut reached: Vec<_> = sent.iter().map(|(to, _)| to.as_str()).collect();
    reached.sort_unstable();
    assert_eq!(reached, phones);
    let (_, message) = &sent[0];
    assert_eq!(message.body_bytes(), b"hello");
    assert_eq!(message.header_str(HeaderName::ContentType), Some("text/plain"));
    assert_eq!(message.header_str(HeaderName::Subject), Some("lunch"));
    assert_eq!(message.header_by_name("X-Secret").next(), None);
    assert_eq!(message.max_forwards().unwrap(), Some(8));
    assert!(message.header_str(HeaderName::From).unwrap().starts_with("\"Alice\" <sip:alice@x.test>;tag="));
    assert_ne!(message.call_id().unwrap(), "text-1");
    assert!(message.header(HeaderName::Contact).is_none(), "there is no dialog (RFC 3428 section 4)");
    line.hear(&sent[0].0, &answer(&sent[0].1, "486 Busy Here", "", ""));
    assert_eq!(answers(&line), Vec::<u16>::new(), "the other one may take it");
    line.hear(&sent[1].0, &answer(&sent[1].1, "202 Accepted", "", ""));
    assert_eq!(answers(&line), [202]);
    assert_eq!((line.b2bua.live_texts(), line.reports.len()), (0, 0), "of no concern to any call");
}

#[test]
fn of_refusals_the_best_one_comes_back() {
    for (first, second, expected) in [
        ("404 Not Found", "486 Busy Here", 486),
        ("603 Decline", "404 Not Found", 603),
        ("503 Service Unavailable", "404 Not Found", 404),
        ("503 Service Unavailable", "503 Service Unavailable", 500),
        ("401 Unauthorized", "500 Oops", 403),
    ] {
        let mut line = Line::new();
        for phone in ["10.0.0.3:5060", "10.0.0.4:5060"] {
            bob_at(&mut line, phone);
        }
        line.hear(ALICES, &text("sip:bob@x.test", 1, "", "hello"));
        let sent = branches(&line);
        for ((to, message), status) in sent.iter().zip([first, second]) {
            line.hear(to, &answer(message, status, "", ""));
        }
        assert_eq!(answers(&line), [expected], "{first}, {second}");
    }
}

#[test]
fn a_phone_that_takes_no_texts_says_what_it_takes() {
    for (status, more, name) in [
        ("405 Method Not Allowed", "Allow: INVITE, BYE\r\n", HeaderName::Allow),
        ("415 Unsupported Media Type", "Accept: text/html\r\n", HeaderName::Accept),
    ] {
        let mut line = line_with_routes();
        line.hear(ALICES, &text("sip:030@x.test", 1, "", "hello"));
        let (to, message) = branches(&line).remove(0);
        line.hear(&to, &answer(&message, status, more, ""));
        assert_eq!(answers(&line), [status[..3].parse::<u16>().unwrap()]);
        assert_eq!(line.last().header(name), Some(more.trim_end().split_once(": ").unwrap().1.as_bytes()));
    }
}

#[test]
fn a_text_follows_a_route() {
    let mut line = line_with_routes();
    line.hear(ALICES, &text("sip:030@x.test", 1, "", "hello"));
    let sent = branches(&line);
    assert_eq!((sent.len(), sent[0].0.as_str()), (1, CARRIER));
    // Nobody answers: the sender has given up at the same time, and is sent no 408 (RFC 4320 section 4.2).
    line.pass(Duration::from_secs(33));
    assert_eq!(answers(&line), Vec::<u16>::new());
    assert_eq!(line.b2bua.live_texts(), 0);
}

#[test]
fn for_nobody_there_is_no_text() {
    let mut line = Line::new();
    for (number, to, status) in [
        (1, "sip:nobody@x.test", 404),
        (2, "sip:bob@x.test", 480),
        (3, "sip:bob@elsewhere.test", 404),
        (4, "sip:echo@x.test", 488),
    ] {
        line.hear(ALICES, &text(to, number, "", "hello"));
        assert_eq!((line.words(), line.b2bua.live_texts()), (vec![status.to_string()], 0), "{to}");
        line.take();
    }
}

#[test]
fn whoever_may_not_call_may_not_write() {
    let mut line = Line::with(|config| config.trusted.clear());
    bob_at(&mut line, "10.0.0.3:5060");
    let first = text("sip:bob@x.test", 1, "", "hello");
    line.hear(ALICES, &first);
    assert_eq!((line.words(), line.b2bua.live_texts()), (vec!["401".to_owned()], 0));
    let credentials = Credentials::new("alice", "alice-pw".to_owned());
    let challenge = line.last().clone();
    let (name, value) =
        authorize(&challenge, &Method::Message, "sip:bob@x.test", b"hello", &credentials, "c", 1).unwrap();
    let again = first
        .replace("CSeq: 1 ", "CSeq: 2 ")
        .replace("text-1", "text-2")
        .replace("Content-Length", &format!("{}: {value}\r\nContent-Length", name.as_str()));
    line.take();
    line.hear(ALICES, &again);
    assert_eq!(line.words(), ["MESSAGE"]);
    line.take();
    line.hear(ALICES, &text("sip:bob@x.test", 3, "", "hello").replace("alice@x.test", "alice@elsewhere.test"));
    assert_eq!(line.words(), ["403"]);
}

#[test]
fn a_text_is_limited_in_length_and_hops() {
    let mut line = line_with_routes();
    line.hear(ALICES, &text("sip:030@x.test", 1, "", &"x".repeat(MAX_PARCEL)));
    assert_eq!(line.words(), ["MESSAGE"]);
    line.take();
    line.hear(ALICES, &text("sip:030@x.test", 2, "", &"x".repeat(MAX_PARCEL + 1)));
    assert_eq!(line.words(), ["513"]);
    line.take();
    line.hear(ALICES, &text("sip:030@x.test", 3, "", "hello").replace("Max-Forwards: 9", "Max-Forwards: 0"));
    assert_eq!(line.words(), ["483"]);
}

#[test]
fn no_more_than_so_many_are_on_their_way() {
    let mut line = line_with_routes();
    for number in 0..MAX_TEXTS as u32 {
        line.hear(ALICES, &text("sip:030@x.test", number, "", "hello"));
    }
    assert_eq!(line.b2bua.live_texts(), MAX_TEXTS);
    line.take();
    line.hear(ALICES, &text("sip:030@x.test", 9_999, "", "hello"));
    assert_eq!(line.words(), ["503"]);
    assert!(line.last().header(HeaderName::RetryAfter).is_some());
    line.pass(Duration::from_secs(40));
    assert_eq!(line.b2bua.live_texts(), 0);
    line.take();
    line.hear(ALICES, &text("sip:030@x.test", 10_000, "", "hello"));
    assert_eq!(line.words(), ["MESSAGE"]);
}

#[test]
fn a_text_of_ours_that_comes_back_is_a_loop() {
    let mut line = line_with_routes();
    line.hear(ALICES, &text("sip:round@x.test", 1, "", "hello"));
    let (_, sent) = branches(&line).remove(0);
    line.take();
    let call_id = format!("Call-ID: {}", sent.call_id().unwrap());
    line.hear("10.0.0.1:5060", &text("sip:round@x.test", 2, "", "hello").replace("Call-ID: text-2", &call_id));
    assert_eq!(line.words(), ["482"]);
    line.take();
    // For somebody else it goes on.
    line.hear("10.0.0.1:5060", &text("sip:030@x.test", 3, "", "hello").replace("Call-ID: text-3", &call_id));
    assert_eq!(line.words(), ["MESSAGE"]);
}

#[test]
fn whoever_is_asked_what_it_can_do_answers_for_itself() {
    let mut line = Line::with(|config| config.trusted.clear());
    for (number, to) in [(1, "sip:bob@x.test"), (2, "sip:nobody@x.test"), (3, "sip:x.test")] {
        line.hear(ALICES, &text(to, number, "", "").replace("MESSAGE", "OPTIONS"));
        assert_eq!(line.words(), ["200"], "who has an account is told nobody: {to}");
        assert!(line.last().header_str(HeaderName::Allow).is_some_and(|allow| allow.contains("MESSAGE")));
        line.take();
    }
}
