//! Sessions that change before the call is answered (RFC 3311), and offers that are answered in a PRACK (RFC 3262).

use crate::line::*;

use hookswitch_b2bua::Reliable;
use hookswitch_call::{Address, Cause, Dial, Fault, Kind, Notes, Op, Report, Sdp, Target};
use hookswitch_sip_msg::{HeaderName, Message, Method};

const ABLE: &str = "Contact: <sip:alice@10.0.0.2>\r\nSupported: 100rel\r\nAllow: INVITE, UPDATE\r\n";
const ALICES_SDP: &str = "Contact: <sip:alice@10.0.0.2>\r\nContent-Type: application/sdp\r\n";

fn line_that_is(reliable: Reliable) -> Line {
    Line::with(|config| config.reliable = reliable)
}

/// Alice calls and is shown a description before the answer; returns our tag and the PRACK that is due.
fn alice_hears(line: &mut Line, offer: &str) -> (String, String) {
    let kind = if offer.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    line.hear(ALICES, &alices("INVITE", 1, "", &format!("{ABLE}{kind}"), offer));
    let Some(Report::Incoming(incoming)) = line.reports.pop() else { panic!("{:?}", line.words()) };
    assert_eq!(incoming.answers_early, offer.is_empty());
    line.op(Op::Adopt { handle: incoming.handle, call: ALICE.0, leg: ALICE.1 });
    line.op(Op::Ring { call: ALICE.0, leg: ALICE.1, status: 183, sdp: Some("s1".into()) });
    let ringing = line.sent("183");
    let tag = ringing.to().unwrap().tag().expect("our tag").to_owned();
    let rseq = String::from_utf8_lossy(ringing.header(HeaderName::RSeq).expect("it is reliable")).into_owned();
    line.take();
    (tag, format!("RAck: {rseq} 1 INVITE\r\n"))
}

fn answer_alice(line: &mut Line) {
    line.op(Op::Answer { call: ALICE.0, leg: ALICE.1, sdp: "s1".into() });
}

fn reanswer(sdp: Result<&str, Kind>) -> Op {
    let sdp = sdp.map(Sdp::from).map_err(|kind| Cause::new(kind, Fault::Server));
    Op::Reanswer { call: ALICE.0, leg: ALICE.1, sdp }
}

/// Bob is called and announces a session reliably; returns the INVITE.
fn bob_plays(line: &mut Line, offer: Option<&str>) -> Message {
    let target = Target::new(Address::from("sip:bob@10.0.0.3"), None, None);
    let (from, to) = (Address::from("sip:alice@x.test"), Address::from("sip:bob@x.test"));
    let dial = Dial { answers_early: offer.is_none(), ..Dial::new(target, from, to, offer.map(Sdp::from)) };
    line.op(Op::Dial { call: BOB.0, leg: BOB.1, dial: Box::new(dial) });
    let invite = line.last().clone();
    line.take();
    line.hear(BOBS, &answer(&invite, "183 Session Progress", &format!("{RELIABLY}RSeq: 7\r\n"), "b1"));
    invite
}

const RELIABLY: &str = "Contact: <sip:bob@10.0.0.3>\r\nContent-Type: application/sdp\r\nRequire: 100rel\r\n\
                        Allow: INVITE, UPDATE\r\n";

/// The descriptions in the reports since the last look.
fn told(line: &mut Line) -> Vec<String> {
    let text = |report| match report {
        Report::Progress { sdp, .. } => format!("progress {}", sdp.map_or("-".into(), |sdp| sdp.0.to_string())),
        Report::Answered { sdp, .. } => format!("answered {}", sdp.map_or("-".into(), |sdp| sdp.0.to_string())),
        Report::Confirmed { sdp, .. } => format!("confirmed {}", sdp.map_or("-".into(), |sdp| sdp.0.to_string())),
        Report::Reoffered { sdp, .. } => format!("reoffered {}", sdp.map_or("-".into(), |sdp| sdp.0.to_string())),
        Report::Reaccepted { sdp, .. } => match sdp {
            Ok(sdp) => format!("reaccepted {}", sdp.map_or("-".into(), |sdp| sdp.0.to_string())),
            Err(cause) => format!("refused {}", cause.code),
        },
        other => format!("{other:?}"),
    };
    line.reports.drain(..).map(text).collect()
}

#[test]
fn a_callers_update_before_the_answer_is_answered() {
    let mut line = line_that_is(Reliable::Offered);
    let (tag, rack) = alice_hears(&mut line, "a1");
    line.hear(ALICES, &alices("PRACK", 2, &tag, &rack, ""));
    line.hear(ALICES, &alices("UPDATE", 3, &tag, ALICES_SDP, "a2"));
    assert_eq!((told(&mut line), line.words()), (vec!["reoffered a2".to_owned()], vec!["200".to_owned()]));
    line.op(reanswer(Ok("s2")));
    assert_eq!((line.last().status(), line.last().body_bytes()), (Some(200), &b"s2"[..]));
    answer_alice(&mut line);
    let ok = line.sent("200");
    assert_eq!(ok.cseq().unwrap().method, Method::Invite);
    assert_eq!(ok.body_bytes(), b"", "the INVITE was answered long ago (RFC 3261 section 13.2.1)");
    line.hear(ALICES, &alices("ACK", 1, &tag, "", ""));
    assert_eq!(told(&mut line), ["confirmed -"]);
}

#[test]
fn a_refused_update_leaves_the_session_as_it_was() {
    let mut line = line_that_is(Reliable::Offered);
    let (tag, rack) = alice_hears(&mut line, "a1");
    line.hear(ALICES, &alices("PRACK", 2, &tag, &rack, ""));
    for (cseq, kind, status) in [(3, Kind::NotAcceptable, 488), (4, Kind::Pending, 491), (5, Kind::Other, 500)] {
        line.hear(ALICES, &alices("UPDATE", cseq, &tag, ALICES_SDP, "a2"));
        line.op(reanswer(Err(kind)));
        assert_eq!(line.last().status(), Some(status));
        let when = line.last().header_str(HeaderName::RetryAfter).map(|seconds| seconds.parse::<u8>().unwrap());
        assert_eq!(when.is_some_and(|seconds| seconds <= 10), status == 500, "RFC 3311 section 5.2");
    }
    answer_alice(&mut line);
    assert_eq!(line.sent("200").body_bytes(), b"s1");
}

#[test]
fn an_update_that_comes_before_our_description_is_to_be_tried_again() {
    let mut line = line_that_is(Reliable::Off);
    let more = format!("{ABLE}Content-Type: application/sdp\r\n");
    line.hear(ALICES, &alices("INVITE", 1, "", &more, "a1"));
    let Some(Report::Incoming(incoming)) = line.reports.pop() else { panic!() };
    line.op(Op::Adopt { handle: incoming.handle, call: ALICE.0, leg: ALICE.1 });
    line.op(Op::Ring { call: ALICE.0, leg: ALICE.1, status: 180, sdp: None });
    let tag = line.last().to().unwrap().tag().unwrap().to_owned();
    line.hear(ALICES, &alices("UPDATE", 2, &tag, ALICES_SDP, "a2"));
    assert_eq!(line.last().status(), Some(500));
    assert!(line.last().header(HeaderName::RetryAfter).is_some());
    assert!(line.reports.is_empty());
}

#[test]
fn a_prack_may_carry_another_offer_and_the_answer_to_the_call_waits_for_ours() {
    let mut line = line_that_is(Reliable::Offered);
    let (tag, rack) = alice_hears(&mut line, "a1");
    line.hear(ALICES, &alices("PRACK", 2, &tag, &format!("{rack}{ALICES_SDP}"), "a2"));
    assert_eq!((told(&mut line), line.words()), (vec!["reoffered a2".to_owned()], vec![]));
    answer_alice(&mut line);
    assert_eq!(line.words(), Vec::<String>::new(), "not before the PRACK is answered");
    line.op(reanswer(Ok("s2")));
    assert_eq!(line.words(), ["200", "200"]);
    assert_eq!((line.sent[0].1.body_bytes(), line.sent[0].1.cseq().unwrap().method), (&b"s2"[..], Method::Prack));
}

#[test]
fn a_caller_without_an_offer_answers_ours_in_its_prack() {
    let mut line = line_that_is(Reliable::Offered);
    let (tag, rack) = alice_hears(&mut line, "");
    line.hear(ALICES, &alices("PRACK", 2, &tag, &format!("{rack}{ALICES_SDP}"), "a1"));
    assert_eq!((told(&mut line), line.words()), (vec!["confirmed a1".to_owned()], vec!["200".to_owned()]));
    assert_eq!(line.last().body_bytes(), b"");
    line.hear(ALICES, &alices("UPDATE", 3, &tag, ALICES_SDP, "a2"));
    assert_eq!(told(&mut line), ["reoffered a2"], "and may change it then");
    line.op(reanswer(Ok("s2")));
    answer_alice(&mut line);
    assert_eq!(line.sent("200").body_bytes(), b"");
}

#[test]
fn a_caller_without_an_offer_that_cannot_acknowledge_gets_ours_with_the_answer() {
    for (reliable, more) in [(Reliable::Offered, ALICES_SDP), (Reliable::Off, ABLE)] {
        let mut line = line_that_is(reliable);
        line.hear(ALICES, &alices("INVITE", 1, "", more, ""));
        let Some(Report::Incoming(incoming)) = line.reports.pop() else { panic!() };
        assert!(!incoming.answers_early);
        line.op(Op::Adopt { handle: incoming.handle, call: ALICE.0, leg: ALICE.1 });
        line.op(Op::Ring { call: ALICE.0, leg: ALICE.1, status: 183, sdp: Some("s1".into()) });
        assert_eq!(line.sent("183").body_bytes(), b"");
        answer_alice(&mut line);
        assert_eq!(line.sent("200").body_bytes(), b"s1");
    }
}

#[test]
fn a_called_partys_update_before_the_answer_is_answered() {
    let mut line = Line::new();
    let invite = bob_plays(&mut line, Some("s1"));
    assert_eq!((told(&mut line), line.words()), (vec!["progress b1".to_owned()], vec!["PRACK".to_owned()]));
    line.hear(BOBS, &bobs(&invite, "UPDATE", 7, SDP, "b2"));
    assert_eq!(told(&mut line), ["reoffered b2"]);
    line.op(Op::Reanswer { call: BOB.0, leg: BOB.1, sdp: Ok("s2".into()) });
    assert_eq!((line.last().status(), line.last().body_bytes()), (Some(200), &b"s2"[..]));
    line.hear(BOBS, &answer(&invite, "183 Session Progress", &format!("{RELIABLY}RSeq: 8\r\n"), "b1"));
    line.hear(BOBS, &answer(&invite, "200 OK", SDP, "b1"));
    assert_eq!(told(&mut line), ["progress -", "answered -"], "what the session was before is no news");
}

#[test]
fn a_called_partys_update_that_crosses_our_offer_is_refused() {
    let mut line = Line::new();
    let target = Target::new(Address::from("sip:bob@10.0.0.3"), None, None);
    let (from, to) = (Address::from("sip:alice@x.test"), Address::from("sip:bob@x.test"));
    let dial = Dial::new(target, from, to, Some("s1".into()));
    line.op(Op::Dial { call: BOB.0, leg: BOB.1, dial: Box::new(dial) });
    let invite = line.last().clone();
    line.hear(BOBS, &answer(&invite, "180 Ringing", "Contact: <sip:bob@10.0.0.3>\r\n", ""));
    line.take();
    line.hear(BOBS, &bobs(&invite, "UPDATE", 7, SDP, "b2"));
    assert_eq!(
        (line.last().status(), line.reports.len()),
        (Some(491), 0),
        "ours is not answered (RFC 3311 section 5.2)"
    );
}

#[test]
fn what_the_other_party_changed_before_the_answer_is_offered_by_update() {
    let reoffer =
        |sdp: &str| Op::Reoffer { call: BOB.0, leg: BOB.1, sdp: Some(Sdp::from(sdp)), notes: Notes::default() };
    let mut line = Line::new();
    let invite = bob_plays(&mut line, Some("s1"));
    line.hear(BOBS, &answer(&line.sent("PRACK"), "200 OK", "", ""));
    line.take();
    for (status, expected) in [("488 No", "refused 488"), ("200 OK", "reaccepted b2")] {
        line.op(reoffer("s2"));
        let update = line.sent("UPDATE");
        assert_eq!(update.body_bytes(), b"s2");
        let (more, body) = if status == "200 OK" { (SDP, "b2") } else { ("", "") };
        line.hear(BOBS, &answer(&update, status, more, body));
        assert_eq!(told(&mut line), [expected]);
    }
    line.hear(BOBS, &answer(&invite, "200 OK", SDP, "b1"));
    assert_eq!(told(&mut line), ["answered -"]);
    // One that has not announced a session has none that could be changed.
    let mut line = Line::new();
    let target = Target::new(Address::from("sip:bob@10.0.0.3"), None, None);
    let (from, to) = (Address::from("sip:alice@x.test"), Address::from("sip:bob@x.test"));
    line.op(Op::Dial { call: BOB.0, leg: BOB.1, dial: Box::new(Dial::new(target, from, to, Some("s1".into()))) });
    line.take();
    line.op(reoffer("s2"));
    assert_eq!((told(&mut line), line.words()), (vec!["refused 500".to_owned()], vec![]));
}

#[test]
fn an_offer_that_the_called_party_makes_before_it_answers_is_answered_in_the_prack() {
    let mut line = Line::new();
    let invite = bob_plays(&mut line, None);
    assert!(invite.header_str(HeaderName::Supported).unwrap_or_default().contains("100rel"));
    assert_eq!((told(&mut line), line.words()), (vec!["progress b1".to_owned()], vec![]), "the PRACK waits");
    line.op(Op::Confirm { call: BOB.0, leg: BOB.1, sdp: Some("s1".into()) });
    let prack = line.sent("PRACK");
    assert_eq!(prack.body_bytes(), b"s1");
    line.hear(BOBS, &answer(&prack, "200 OK", "", ""));
    line.hear(BOBS, &answer(&invite, "200 OK", "Contact: <sip:bob@10.0.0.3>\r\n", ""));
    assert_eq!(told(&mut line), ["answered -"]);
    line.op(Op::Confirm { call: BOB.0, leg: BOB.1, sdp: None });
    assert_eq!(line.sent("ACK").body_bytes(), b"");
}

#[test]
fn whoever_answers_without_having_waited_gets_our_answer_with_the_acknowledgement() {
    let mut line = Line::new();
    let invite = bob_plays(&mut line, None);
    line.hear(BOBS, &answer(&invite, "200 OK", "Contact: <sip:bob@10.0.0.3>\r\n", ""));
    assert_eq!(told(&mut line), ["progress b1", "answered -"]);
    line.op(Op::Confirm { call: BOB.0, leg: BOB.1, sdp: Some("s1".into()) });
    assert_eq!((line.words(), line.last().body_bytes()), (vec!["ACK".to_owned()], &b"s1"[..]));
}

#[test]
fn whoever_must_acknowledge_and_cannot_takes_no_part() {
    let mut line = line_that_is(Reliable::Required);
    line.hear(ALICES, &alices("INVITE", 1, "", ALICES_SDP, "a1"));
    assert_eq!((line.last().status(), line.reports.len()), (Some(421), 0));
    assert_eq!(line.last().header(HeaderName::Require), Some(&b"100rel"[..]));
    let invite = bob_plays(&mut line, Some("s1"));
    assert!(invite.header_str(HeaderName::Require).unwrap_or_default().contains("100rel"));
}
