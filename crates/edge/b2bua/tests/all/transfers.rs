//! REFER both ways, calls that take over a leg, and what parties send each other: what goes over the wire and what the
//! core is told.

use crate::line::*;

use std::time::Duration;

use hookswitch_b2bua::{MAX_PARCEL, MAX_PARCELS};
use hookswitch_call::{Address, CallId, Cause, Fault, Kind, LegId, Op, Parcel, ParcelKind, ReferTo, Report};
use hookswitch_sip_msg::{HeaderName, Message};

/// What alice asks for with these headers: a report, or the status of its refusal.
fn asked(line: &mut Line, tag: &str, cseq: u32, more: &str) -> Result<Report, u16> {
    line.take();
    line.hear(ALICES, &alices("REFER", cseq, tag, &format!("Contact: <sip:alice@10.0.0.2>\r\n{more}\r\n"), ""));
    match line.reports.pop() {
        Some(report) => Ok(report),
        None => Err(line.last().status().expect("a refusal")),
    }
}

fn agree(line: &mut Line, result: Result<(), Cause>) {
    line.op(Op::AnswerRefer { call: ALICE.0, leg: ALICE.1, result });
}

fn tell(line: &mut Line, status: u16, text: &str) {
    line.op(Op::TellRefer { call: ALICE.0, leg: ALICE.1, status, text: text.into() });
}

/// Event, Subscription-State and body of a NOTIFY.
fn news(notify: &Message) -> (String, String, String) {
    let text = |name| notify.header_str(name).expect("it is there").to_owned();
    let body = String::from_utf8(notify.body_bytes().to_vec()).unwrap();
    assert_eq!(text(HeaderName::ContentType), "message/sipfrag;version=2.0");
    (text(HeaderName::Event), text(HeaderName::SubscriptionState), body)
}

fn accept_notify(line: &mut Line) {
    let notify = line.sent("NOTIFY");
    line.take();
    line.hear(ALICES, &answer(&notify, "200 OK", "", ""));
}

#[test]
fn a_phone_that_asks_for_a_transfer_is_told_how_it_goes() {
    let mut line = Line::new();
    let tag = line.alice();
    let report = asked(
        &mut line,
        &tag,
        2,
        "Refer-To: <sip:carol@x.test;method=INVITE?Subject=x>\r\nReferred-By: <sip:alice@x.test>",
    );
    let Ok(Report::ReferAsked { call, leg, to: ReferTo::Address(to), by }) = report else { panic!("{report:?}") };
    assert_eq!(((call, leg), to), (ALICE, Address::from("sip:carol@x.test")));
    assert_eq!(by, Some(Address::from("sip:alice@x.test")));
    assert_eq!(line.words(), [""; 0], "the core decides");
    agree(&mut line, Ok(()));
    assert_eq!(line.words(), ["202", "NOTIFY"]);
    let expected = ("refer".into(), "active;expires=600".into(), "SIP/2.0 100 Trying\r\n".into());
    assert_eq!(news(line.last()), expected);
    // Words that come while a NOTIFY is under way are told together, the latest only.
    tell(&mut line, 180, "Ringing");
    tell(&mut line, 183, "Session\r\nProgress");
    assert_eq!(line.words(), ["202", "NOTIFY"]);
    accept_notify(&mut line);
    assert_eq!(line.words(), ["NOTIFY"]);
    assert_eq!(news(line.last()).2, "SIP/2.0 183 Session  Progress\r\n");
    accept_notify(&mut line);
    assert_eq!(line.words(), [""; 0]);
    tell(&mut line, 200, "OK");
    let expected = ("refer".into(), "terminated;reason=noresource".into(), "SIP/2.0 200 OK\r\n".into());
    assert_eq!(news(line.last()), expected);
    tell(&mut line, 486, "Busy Here");
    accept_notify(&mut line);
    assert_eq!(line.words(), [""; 0], "that was the last word");
    // The next subscription of the dialog has a name.
    assert!(asked(&mut line, &tag, 7, "r: <sip:bob@x.test>").is_ok());
    agree(&mut line, Ok(()));
    assert_eq!(news(line.last()).0, "refer;id=7");
}

#[test]
fn a_refusal_of_a_transfer_does_not_take_the_call_with_it() {
    let mut line = Line::new();
    let tag = line.alice();
    for (n, (kind, status)) in [
        (Kind::Forbidden, 403),
        (Kind::Busy, 486),
        (Kind::NotFound, 603),
        (Kind::Unsupported, 603),
        (Kind::Unreachable, 603),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(asked(&mut line, &tag, 10 + n as u32, "Refer-To: <sip:carol@x.test>").is_ok());
        agree(&mut line, Err(Cause::new(kind, Fault::Server)));
        assert_eq!(line.last().status(), Some(status), "{kind:?}");
        tell(&mut line, 200, "OK");
        assert_eq!(line.words().len(), 1, "nobody is notified");
    }
}

#[test]
fn what_cannot_be_referred_to_is_refused() {
    let mut line = Line::new();
    let tag = line.alice();
    let unknown = "<sip:b@x.test?Replaces=nobody%3Bto-tag%3D1%3Bfrom-tag%3D2>";
    for (n, (refer_to, status)) in [
        ("X-None: 1", 400),
        ("Refer-To: <sip:a@h>\r\nRefer-To: <sip:b@h>", 400),
        ("Refer-To: <sip:a@h>, <sip:b@h>", 400),
        ("Refer-To: <sip:a@h?Replaces=x>", 400),
        ("Refer-To: <http://x.test>", 603),
        ("Refer-To: <sips:a@x.test>", 603),
        ("Refer-To: <sip:a@x.test;method=BYE>", 603),
        (&format!("Refer-To: {unknown}"), 603),
        ("Refer-To: <sip:a@x.test>\r\nRequire: tdialog", 420),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(asked(&mut line, &tag, 10 + n as u32, refer_to).err(), Some(status), "{refer_to}");
    }
    assert!(asked(&mut line, &tag, 30, "Refer-To: <sip:carol@x.test>").is_ok());
    assert_eq!(asked(&mut line, &tag, 31, "Refer-To: <sip:bob@x.test>").err(), Some(491), "one at a time");
    // Without a call there is nobody to be connected.
    line.take();
    line.hear(ALICES, &alices("REFER", 1, "", "Contact: <sip:alice@10.0.0.2>\r\nRefer-To: <sip:bob@x.test>\r\n", ""));
    assert_eq!((line.words(), line.reports.len()), (vec!["403".to_owned()], 0));
}

#[test]
fn who_wants_to_hear_nothing_is_told_nothing() {
    let mut line = Line::new();
    let tag = line.alice();
    let more = "Refer-To: <sip:carol@x.test>\r\nRefer-Sub: false\r\nRequire: norefersub";
    assert!(asked(&mut line, &tag, 2, more).is_ok());
    agree(&mut line, Ok(()));
    assert_eq!(line.words(), ["200"]);
    assert_eq!(line.last().header_str(HeaderName::ReferSub), Some("false"));
    tell(&mut line, 180, "Ringing");
    tell(&mut line, 200, "OK");
    assert_eq!(line.words(), ["200"]);
    assert!(asked(&mut line, &tag, 3, "Refer-To: <sip:carol@x.test>").is_ok(), "that one is over");
}

#[test]
fn a_phone_that_knows_of_no_subscription_is_left_alone() {
    let mut line = Line::new();
    let tag = line.alice();
    asked(&mut line, &tag, 2, "Refer-To: <sip:carol@x.test>").unwrap();
    agree(&mut line, Ok(()));
    let notify = line.sent("NOTIFY");
    line.hear(ALICES, &answer(&notify, "481 No Subscription", "", ""));
    line.take();
    tell(&mut line, 200, "OK");
    assert_eq!(line.words(), [""; 0]);
    assert_eq!(line.b2bua.live_legs(), 1, "the call goes on");
}

#[test]
fn a_subscription_is_prolonged_and_ended_within_the_dialog() {
    let mut line = Line::new();
    let tag = line.alice();
    let subscribe = |line: &mut Line, cseq, more: &str| {
        line.take();
        let more = format!("Contact: <sip:alice@10.0.0.2>\r\n{more}\r\n");
        line.hear(ALICES, &alices("SUBSCRIBE", cseq, &tag, &more, ""));
        line.words()
    };
    assert_eq!(subscribe(&mut line, 2, "Event: refer"), ["481"]);
    assert_eq!(subscribe(&mut line, 3, "Event: dialog"), ["489"]);
    asked(&mut line, &tag, 4, "Refer-To: <sip:carol@x.test>").unwrap();
    agree(&mut line, Ok(()));
    accept_notify(&mut line);
    assert_eq!(subscribe(&mut line, 5, "Event: refer;id=4\r\nExpires: 60"), ["200", "NOTIFY"]);
    assert_eq!(line.sent("200").header_str(HeaderName::Expires), Some("60"));
    assert_eq!(news(line.last()).1, "active;expires=60");
    accept_notify(&mut line);
    assert_eq!(subscribe(&mut line, 6, "Event: refer\r\nExpires: 0"), ["200", "NOTIFY"]);
    assert_eq!(news(line.last()).1, "terminated;reason=timeout");
    tell(&mut line, 200, "OK");
    assert_eq!(line.words(), ["200", "NOTIFY"]);
}

#[test]
fn the_last_word_goes_before_the_bye() {
    let mut line = Line::new();
    let tag = line.alice();
    asked(&mut line, &tag, 2, "Refer-To: <sip:carol@x.test>").unwrap();
    agree(&mut line, Ok(()));
    tell(&mut line, 200, "OK");
    line.take();
    line.op(Op::Hangup { call: ALICE.0, leg: ALICE.1, cause: Cause::hangup() });
    assert_eq!(line.words(), ["NOTIFY", "BYE"]);
    assert_eq!(news(&line.sent("NOTIFY")).2, "SIP/2.0 200 OK\r\n");
    // A phone that hangs up by itself is told nothing any more.
    let mut line = Line::new();
    let tag = line.alice();
    asked(&mut line, &tag, 2, "Refer-To: <sip:carol@x.test>").unwrap();
    agree(&mut line, Ok(()));
    line.hear(ALICES, &alices("BYE", 3, &tag, "", ""));
    line.take();
    tell(&mut line, 200, "OK");
    assert_eq!((line.words(), line.b2bua.live_legs()), (vec![], 0));
    line.pass(Duration::from_secs(60));
    assert_eq!(line.b2bua.endpoint().counts().dialogs, 0);
}

/// The Replaces with which alice's call is named by whoever knows its tags.
fn alices_dialog(tag: &str) -> String {
    format!("one;to-tag={tag};from-tag=a")
}

#[test]
fn an_attended_transfer_names_the_other_leg() {
    let mut line = Line::new();
    let tag = line.alice();
    let invite = line.bob();
    let ours = invite.from().unwrap().tag().unwrap().to_owned();
    let call_id = invite.call_id().unwrap().replace('@', "%40");
    let more = format!("Refer-To: <sip:bob@x.test?Replaces={call_id}%3Bto-tag%3D{ours}%3Bfrom-tag%3Db>");
    let report = asked(&mut line, &tag, 2, &more);
    assert!(
        matches!(report, Ok(Report::ReferAsked { to: ReferTo::Leg(call, leg), .. }) if (call, leg) == BOB),
        "{report:?}"
    );
}

fn refer(line: &mut Line, to: &str, replaces: Option<(CallId, LegId)>) {
    line.op(Op::Refer { call: BOB.0, leg: BOB.1, to: to.into(), replaces, by: Some("sip:alice@x.test".into()) });
}

fn notify(line: &mut Line, invite: &Message, cseq: u32, state: &str, body: &str) -> u16 {
    let more = format!(
        "Contact: <sip:bob@10.0.0.3>\r\nEvent: refer\r\nSubscription-State: {state}\r\n\
         Content-Type: message/sipfrag;version=2.0\r\n"
    );
    line.hear(BOBS, &bobs(invite, "NOTIFY", cseq, &more, body));
    line.last().status().expect("an answer")
}

/// Reports about a transfer that bob was asked for, in short.
fn course(line: &mut Line) -> Vec<String> {
    let short = |report: Report| match report {
        Report::ReferAnswered { result: Ok(()), .. } => "agreed".to_owned(),
        Report::ReferAnswered { result: Err(cause), .. } => format!("refused {}", cause.code),
        Report::ReferProgress { status, text, .. } => format!("{status} {text}"),
        other => panic!("{other:?}"),
    };
    line.take().1.into_iter().map(short).collect()
}

#[test]
fn a_phone_that_is_asked_for_a_transfer_tells_how_it_goes() {
    let mut line = Line::new();
    let invite = line.bob();
    assert_eq!(notify(&mut line, &invite, 2, "active", "SIP/2.0 100 Trying"), 481, "nobody has asked");
    line.take();
    refer(&mut line, "sip:carol@x.test", None);
    let request = line.sent("REFER");
    assert_eq!(request.header_str(HeaderName::ReferTo), Some("<sip:carol@x.test>"));
    assert_eq!(request.header_str(HeaderName::ReferredBy), Some("<sip:alice@x.test>"));
    line.hear(BOBS, &answer(&request, "202 Accepted", "Contact: <sip:bob@10.0.0.3>\r\n", ""));
    assert_eq!(notify(&mut line, &invite, 3, "active;expires=60", "SIP/2.0 100 Trying\r\n"), 200);
    notify(&mut line, &invite, 4, "active", "SIP/2.0 180 Ringing\r\n");
    notify(&mut line, &invite, 5, "active", "garbage");
    notify(&mut line, &invite, 6, "terminated;reason=noresource", "SIP/2.0 603 Declined\r\n");
    assert_eq!(course(&mut line), ["agreed", "100 Trying", "180 Ringing", "603 Declined"]);
    assert_eq!(notify(&mut line, &invite, 7, "terminated", "SIP/2.0 200 OK"), 200, "answered, and means nothing");
    assert_eq!(course(&mut line), [""; 0]);
    // Another one may follow.
    refer(&mut line, "sip:carol@x.test", None);
    assert_eq!(line.words(), ["REFER"]);
}

#[test]
fn a_notify_may_come_first_and_may_end_without_a_word() {
    let mut line = Line::new();
    let invite = line.bob();
    refer(&mut line, "sip:carol@x.test", None);
    let request = line.sent("REFER");
    notify(&mut line, &invite, 3, "active", "SIP/2.0 100 Trying\r\n");
    line.hear(BOBS, &answer(&request, "202 Accepted", "Contact: <sip:bob@10.0.0.3>\r\n", ""));
    notify(&mut line, &invite, 4, "terminated;reason=timeout", "SIP/2.0 180 Ringing\r\n");
    assert_eq!(course(&mut line), ["agreed", "100 Trying", "500 No Final Status"]);
    refer(&mut line, "sip:carol@x.test", None);
    line.hear(BOBS, &answer(&line.sent("REFER"), "405 Method Not Allowed", "", ""));
    assert_eq!(course(&mut line), ["refused 405"]);
    assert_eq!(line.b2bua.live_legs(), 1);
}

#[test]
fn a_phone_that_ends_every_notify_and_goes_on_is_heard_to_the_end() {
    let mut line = Line::new();
    let invite = line.bob();
    refer(&mut line, "sip:carol@x.test", None);
    line.hear(BOBS, &answer(&line.sent("REFER"), "202 Accepted", "Contact: <sip:bob@10.0.0.3>\r\n", ""));
    for (seq, told) in (3..).zip(["SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK"]) {
        assert_eq!(notify(&mut line, &invite, seq, "terminated", told), 200, "{told}");
    }
    assert_eq!(course(&mut line), ["agreed", "100 Trying", "180 Ringing", "200 OK"]);
    // A bare end without a word is one.
    refer(&mut line, "sip:carol@x.test", None);
    line.hear(BOBS, &answer(&line.sent("REFER"), "202 Accepted", "Contact: <sip:bob@10.0.0.3>\r\n", ""));
    notify(&mut line, &invite, 6, "terminated", "");
    assert_eq!(course(&mut line), ["agreed", "500 No Final Status"]);
}

#[test]
fn a_phone_is_given_the_name_of_the_leg_to_replace() {
    let mut line = Line::new();
    let tag = line.alice();
    line.bob();
    refer(&mut line, "sip:alice@x.test;user=phone", Some(ALICE));
    let request = line.sent("REFER");
    let text = request.header_str(HeaderName::ReferTo).unwrap();
    assert_eq!(text, format!("<sip:alice@x.test;user=phone?Replaces=one%3Bto-tag%3D{tag}%3Bfrom-tag%3Da>"));
    // The INVITE that follows from it finds the leg.
    let to = request.refer_to().unwrap().unwrap();
    let more = format!("Contact: <sip:bob@10.0.0.3>\r\nReplaces: {}\r\n", to.replaced().unwrap().unwrap());
    let text = alices("INVITE", 1, "", &more, "")
        .replace("Call-ID: one", "Call-ID: three")
        .replace("branch=", "branch=z9hG4bK-three")
        .replace("sip:alice@x.test>;tag=a", "sip:bob@x.test>;tag=b3");
    line.take();
    line.hear(BOBS, &text);
    let Some(Report::Incoming(incoming)) = line.reports.pop() else { panic!("{:?}", line.words()) };
    assert_eq!(incoming.replaces.map(|leg| (leg.call, leg.leg)), Some(ALICE));
    line.take();
    for (to, replaces) in [("sip:a@h>\r\nEvil: 1", None), ("nobody", None), ("sip:a@h", Some((CallId(77), LegId(0))))] {
        let mut line = Line::new();
        line.bob();
        refer(&mut line, to, replaces);
        assert_eq!(line.words(), [""; 0], "{to}");
        assert_eq!(course(&mut line).len(), 1);
    }
}

/// What comes of carol's call that wants to take over another one.
fn taking_over(line: &mut Line, from: &str, more: &str) -> Result<bool, u16> {
    line.take();
    let text = alices("INVITE", 1, "", &format!("Contact: <sip:carol@10.0.0.4>\r\n{more}\r\n"), "");
    let text = text
        .replace("Call-ID: one", "Call-ID: two")
        .replace("branch=", "branch=z9hG4bK-two")
        .replace("sip:alice@x.test>;tag=a", &format!("{from}>;tag=c"));
    line.hear("10.0.0.4:5060", &text);
    match line.reports.pop() {
        Some(Report::Incoming(incoming)) => {
            line.op(Op::Refuse { handle: incoming.handle, cause: Cause::new(Kind::Busy, Fault::Peer) });
            Ok(incoming.replaces.is_some_and(|leg| (leg.call, leg.leg) == ALICE))
        }
        _ => Err(line.last().status().expect("a refusal")),
    }
}

#[test]
fn who_may_take_over_a_leg() {
    for (replaces, expected) in [
        ("Replaces: {}", Ok(true)),
        ("Require: replaces\r\nReplaces: {}", Ok(true)),
        ("Replaces: {}\r\nReplaces: {}", Err(400)),
        ("Replaces: {}\r\nJoin: {}", Err(400)),
        ("Replaces: one", Err(400)),
        ("Replaces: one;to-tag=x;from-tag=a", Err(481)),
        ("Replaces: {};early-only", Err(486)),
        ("Require: join\r\nJoin: {}", Err(420)),
        ("Join: {}", Ok(false)),
    ] {
        let mut line = Line::new();
        let tag = line.alice();
        let more = replaces.replace("{}", &alices_dialog(&tag));
        assert_eq!(taking_over(&mut line, "sip:carol@x.test", &more), expected, "{replaces}");
    }
    // A call that is being hung up cannot be taken over.
    let mut line = Line::new();
    let tag = line.alice();
    line.op(Op::Hangup { call: ALICE.0, leg: ALICE.1, cause: Cause::hangup() });
    let more = format!("Replaces: {}", alices_dialog(&tag));
    assert_eq!(taking_over(&mut line, "sip:carol@x.test", &more), Err(603));
}

#[test]
fn keys_are_told_whoever_writes_them_how() {
    let mut line = Line::new();
    let tag = line.alice();
    for (n, (kind, body, status)) in [
        ("application/dtmf-relay", "Signal=5\r\nDuration=250\r\n", 200),
        ("application/dtmf", "#", 200),
        ("application/dtmf-relay", "Duration=5", 400),
        ("application/dtmf-relay", "Signal=hf", 200),
    ]
    .into_iter()
    .enumerate()
    {
        line.hear(ALICES, &alices("INFO", 10 + n as u32, &tag, &format!("Content-Type: {kind}\r\n"), body));
        assert_eq!(line.last().status(), Some(status), "{body}");
    }
    let keys: Vec<_> = line
        .take()
        .1
        .into_iter()
        .map(|report| match report {
            Report::Digit { digit, .. } => (digit.key, digit.time.as_millis()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(keys, [('5', 250), ('#', 160)]);
    line.hear(ALICES, &alices("INFO", 20, &tag, "", ""));
    assert_eq!(line.last().status(), Some(200), "an empty one asks whether we are there");
    line.hear(ALICES, &alices("INFO", 21, &tag, "Info-Package: foo\r\n", ""));
    assert_eq!(line.last().status(), Some(469));
    assert!(line.reports.is_empty());
}

#[test]
fn what_a_party_sends_is_answered_by_the_other() {
    let mut line = Line::new();
    let tag = line.alice();
    line.hear(ALICES, &alices("MESSAGE", 2, &tag, "Content-Type: text/plain;charset=utf-8\r\n", "hello"));
    assert_eq!(line.words(), [""; 0]);
    let Some(Report::Brought { receipt, parcel, .. }) = line.reports.pop() else { panic!() };
    assert_eq!((parcel.kind, &*parcel.body), (ParcelKind::Message, &b"hello"[..]));
    assert_eq!(parcel.content_type, "text/plain;charset=utf-8");
    let answer =
        |line: &mut Line, receipt, status| line.op(Op::Receipt { call: ALICE.0, leg: ALICE.1, receipt, status });
    answer(&mut line, receipt, 202);
    answer(&mut line, receipt, 500);
    assert_eq!(line.words(), ["202"]);
    // That the other one's dialog is gone says nothing about this one.
    line.hear(ALICES, &alices("INFO", 3, &tag, "Content-Type: x/y\r\n", "z"));
    let Some(Report::Brought { receipt, .. }) = line.reports.pop() else { panic!() };
    answer(&mut line, receipt, 481);
    assert_eq!(line.last().status(), Some(500));
    line.take();
    for cseq in 4..5 + MAX_PARCELS as u32 {
        line.hear(ALICES, &alices("INFO", cseq, &tag, "Content-Type: x/y\r\n", "z"));
    }
    assert_eq!((line.reports.len(), line.words()), (MAX_PARCELS, vec!["503".to_owned()]));
    line.hear(ALICES, &alices("INFO", 20, &tag, "Content-Type: x/y\r\n", &"z".repeat(MAX_PARCEL + 1)));
    assert_eq!(line.last().status(), Some(513));
}

#[test]
fn what_is_brought_to_a_party_is_answered_with_its_status() {
    let mut line = Line::new();
    line.bob();
    let bring = |line: &mut Line, receipt, kind, content_type: &str, body: &str| {
        let parcel = Parcel { kind, content_type: content_type.into(), body: body.as_bytes().into() };
        line.op(Op::Deliver { call: BOB.0, leg: BOB.1, receipt, parcel });
    };
    bring(&mut line, 7, ParcelKind::Message, "text/plain", "hello");
    let message = line.sent("MESSAGE");
    assert_eq!((message.content_type(), message.body_bytes()), (Some("text/plain"), &b"hello"[..]));
    bring(&mut line, 8, ParcelKind::Info, "x/y\r\nEvil: 1", "z");
    let info = line.sent("INFO");
    assert!(info.header_by_name("Evil").next().is_none());
    line.hear(BOBS, &answer(&info, "415 Unsupported Media Type", "", ""));
    line.hear(BOBS, &answer(&message, "200 OK", "", ""));
    bring(&mut line, 9, ParcelKind::Info, "x/y", &"z".repeat(MAX_PARCEL + 1));
    let delivered: Vec<_> = line
        .take()
        .1
        .into_iter()
        .map(|report| match report {
            Report::Delivered { receipt, status, .. } => (receipt, status),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(delivered, [(8, 415), (7, 200), (9, 513)]);
}
