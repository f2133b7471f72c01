//! What our re-INVITEs come to: one report for each, whatever the party does.

use crate::line::*;

use std::time::Duration;

use hookswitch_b2bua::MAX_SDP;
use hookswitch_call::{Cause, Kind, Notes, Op, Report, Sdp};
use hookswitch_sip_msg::HeaderName;

fn reoffer(sdp: Option<&str>) -> Op {
    Op::Reoffer { call: BOB.0, leg: BOB.1, sdp: sdp.map(Sdp::from), notes: Notes::default() }
}

/// The only report, which is about a re-INVITE of bob's leg.
#[track_caller]
fn outcome(line: &mut Line) -> Result<Option<String>, Cause> {
    match line.take().1.as_slice() {
        [Report::Reaccepted { call, leg, sdp }] if (*call, *leg) == BOB => {
            sdp.clone().map(|sdp| sdp.map(|sdp| sdp.0.to_string()))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_accepted_offer_is_acknowledged_at_once() {
    let mut line = Line::new();
    line.bob();
    line.op(reoffer(Some("s2")));
    let invite = line.sent("INVITE");
    assert_eq!(invite.body_bytes(), b"s2");
    assert!(invite.to().unwrap().tag().is_some(), "inside the dialog");
    line.hear(BOBS, &answer(&invite, "200 OK", SDP, "b2"));
    assert_eq!(line.words(), ["INVITE", "ACK"]);
    assert_eq!(outcome(&mut line), Ok(Some("b2".into())));
    // And again.
    line.op(reoffer(Some("s3")));
    line.hear(BOBS, &answer(&line.sent("INVITE"), "200 OK", SDP, "b3"));
    assert_eq!(outcome(&mut line), Ok(Some("b3".into())));
}

#[test]
fn a_party_that_is_asked_for_an_offer_is_acknowledged_with_our_answer() {
    let mut line = Line::new();
    line.bob();
    line.op(reoffer(None));
    let invite = line.sent("INVITE");
    assert_eq!(invite.body_bytes(), b"");
    line.hear(BOBS, &answer(&invite, "200 OK", SDP, "b2"));
    assert_eq!(line.words(), ["INVITE"], "the ACK waits");
    assert_eq!(outcome(&mut line), Ok(Some("b2".into())));
    line.op(Op::Confirm { call: BOB.0, leg: BOB.1, sdp: Some("s2".into()) });
    assert_eq!(line.sent("ACK").body_bytes(), b"s2");
}

#[test]
fn an_answer_without_a_description_leaves_the_session_as_it_was() {
    for offer in [Some("s2"), None] {
        let mut line = Line::new();
        line.bob();
        line.op(reoffer(offer));
        line.hear(BOBS, &answer(&line.sent("INVITE"), "200 OK", "Contact: <sip:bob@10.0.0.3>\r\n", ""));
        assert_eq!(line.words(), ["INVITE", "ACK"]);
        assert_eq!(outcome(&mut line).unwrap_err().kind, Kind::NotAcceptable);
    }
}

#[test]
fn a_refusal_says_why() {
    for (status, kind) in [
        ("488 Not Acceptable Here", Kind::NotAcceptable),
        ("603 Decline", Kind::Declined),
        ("500 Oops", Kind::Other),
        ("501 Not Implemented", Kind::Unsupported),
    ] {
        let mut line = Line::new();
        line.bob();
        line.op(reoffer(Some("s2")));
        line.hear(BOBS, &answer(&line.sent("INVITE"), status, "", ""));
        let cause = outcome(&mut line).unwrap_err();
        assert_eq!(cause.kind, kind);
        assert_eq!(cause.to_string(), status);
        assert_eq!(line.b2bua.live_legs(), 1, "the call goes on");
    }
}

#[test]
fn glare_that_does_not_end_is_reported_as_such() {
    let mut line = Line::new();
    line.bob();
    line.op(reoffer(Some("s2")));
    let mut attempts = 0;
    while line.reports.is_empty() {
        line.hear(BOBS, &answer(&line.sent("INVITE"), "491 Request Pending", "", ""));
        line.pass(Duration::from_secs(5));
        attempts += 1;
        assert!(attempts < 10);
    }
    assert!(attempts > 1, "it is tried again");
    assert_eq!(outcome(&mut line).unwrap_err().kind, Kind::Pending);
}

#[test]
fn a_leg_that_ends_meanwhile_reports_its_end_only() {
    // The party hangs up; it knows of no call; it is silent; we hang up.
    for how in 0..4 {
        let mut line = Line::new();
        let invite = line.bob();
        line.op(reoffer(Some("s2")));
        let ours = line.sent("INVITE");
        match how {
            0 => line.hear(BOBS, &bobs(&invite, "BYE", 7, "", "")),
            1 => line.hear(BOBS, &answer(&ours, "481 Call Does Not Exist", "", "")),
            2 => line.pass(Duration::from_secs(40)),
            _ => {
                line.op(Op::Hangup { call: BOB.0, leg: BOB.1, cause: Cause::hangup() });
                line.hear(BOBS, &answer(&ours, "200 OK", SDP, "b2"));
                assert_eq!(line.words(), ["INVITE", "BYE", "ACK"]);
                line.hear(BOBS, &answer(&line.sent("BYE"), "200 OK", "", ""));
            }
        }
        match line.take().1.as_slice() {
            [Report::Ended { call, leg, .. }] => assert_eq!((*call, *leg), BOB),
            other => panic!("{how}: {other:?}"),
        }
        assert_eq!(line.b2bua.live_legs(), 0);
    }
}

#[test]
fn one_at_a_time_and_only_what_fits() {
    let mut line = Line::new();
    line.bob();
    line.op(reoffer(Some(&"x".repeat(MAX_SDP + 1))));
    assert_eq!(outcome(&mut line).unwrap_err().kind, Kind::NotAcceptable);
    line.op(reoffer(Some("s2")));
    line.op(reoffer(Some("s3")));
    assert_eq!(outcome(&mut line).unwrap_err().kind, Kind::Pending);
    // Of a leg that is over nothing is said.
    line.op(Op::Reoffer { call: ALICE.0, leg: ALICE.1, sdp: None, notes: Notes::default() });
    assert!(line.reports.is_empty());
}

#[test]
fn notes_are_header_fields_and_nothing_else() {
    let mut line = Line::new();
    line.bob();
    let with = |name: &str, value: &str| Op::Reoffer {
        call: BOB.0,
        leg: BOB.1,
        sdp: Some("s2".into()),
        notes: Notes(vec![("X-Good".into(), "1".into()), (name.into(), value.into())]),
    };
    for (name, value) in [("Via", "x"), ("l", "0"), ("X-A", "b\r\nVia: c"), ("X A", "b"), ("Content-Disposition", "x")]
    {
        line.op(with(name, value));
        assert_eq!((line.words(), line.reports.len()), (Vec::new(), 1));
        assert_eq!(outcome(&mut line).unwrap_err().code, 400, "{name}");
    }
    line.op(with("Subject", "lunch"));
    let invite = line.sent("INVITE");
    assert_eq!(invite.header(HeaderName::Subject), Some(&b"lunch"[..]));
    assert_eq!(invite.header_by_name("X-Good").next(), Some(&b"1"[..]));
}

#[test]
fn a_partys_offer_is_answered_once() {
    let mut line = Line::new();
    let tag = line.alice();
    let more = "Contact: <sip:alice@10.0.0.2>\r\nContent-Type: application/sdp\r\n";
    line.hear(ALICES, &alices("INVITE", 2, &tag, more, "a2"));
    assert!(matches!(line.take().1.as_slice(), [Report::Reoffered { sdp: Some(sdp), .. }] if &*sdp.0 == "a2"));
    let reanswer = |sdp: Result<&str, Kind>| Op::Reanswer {
        call: ALICE.0,
        leg: ALICE.1,
        sdp: sdp.map(Sdp::from).map_err(|kind| Cause::new(kind, hookswitch_call::Fault::Peer)),
    };
    line.op(reanswer(Ok("s2")));
    line.op(reanswer(Ok("s3")));
    assert_eq!(line.words(), ["200"]);
    assert_eq!(line.last().body_bytes(), b"s2");
    line.hear(ALICES, &alices("ACK", 2, &tag, "", ""));
    line.take();
    line.hear(ALICES, &alices("INVITE", 3, &tag, more, "a3"));
    line.op(reanswer(Err(Kind::NotAcceptable)));
    assert_eq!(line.words(), ["488"]);
    line.hear(ALICES, &alices("ACK", 3, &tag, "", ""));
    line.take();
    // An answer that cannot be sent is a refusal, and the leg stays.
    line.hear(ALICES, &alices("INVITE", 4, &tag, more, "a4"));
    line.op(reanswer(Ok(&"x".repeat(MAX_SDP + 1))));
    assert_eq!(line.words(), ["488"]);
    assert_eq!(line.b2bua.live_legs(), 1);
}

#[test]
fn an_update_changes_the_session_of_an_answered_leg() {
    let mut line = Line::new();
    let tag = line.alice();
    let more = "Contact: <sip:alice@10.0.0.2>\r\nContent-Type: application/sdp\r\n";
    for (cseq, sdp, status) in [(2, Ok(Sdp::from("s2")), "200"), (3, Err(hookswitch_call::Kind::NotAcceptable), "488")]
    {
        line.hear(ALICES, &alices("UPDATE", cseq, &tag, more, "a2"));
        assert!(matches!(line.take().1.as_slice(), [Report::Reoffered { sdp: Some(sdp), .. }] if &*sdp.0 == "a2"));
        let sdp = sdp.map_err(|kind| Cause::new(kind, hookswitch_call::Fault::Peer));
        line.op(Op::Reanswer { call: ALICE.0, leg: ALICE.1, sdp });
        assert_eq!(line.words(), [status]);
    }
    assert_eq!(line.b2bua.live_legs(), 1);
    line.hear(ALICES, &alices("UPDATE", 4, &tag, "Contact: <sip:alice@10.0.0.2>\r\n", ""));
    assert_eq!((line.last().status(), line.reports.len()), (Some(200), 0), "without an offer it is a sign of life");
    line.hear(ALICES, &alices("UPDATE", 5, &tag, "Contact: <sip:alice@10.0.0.2>\r\nContent-Type: x/y\r\n", "z"));
    assert_eq!((line.last().status(), line.reports.len()), (Some(415), 0));
}

#[test]
fn a_leg_that_is_moved_goes_on_under_its_new_name() {
    let mut line = Line::new();
    let invite = line.bob();
    line.op(reoffer(Some("s2")));
    line.op(Op::Move { from: BOB, to: (hookswitch_call::CallId(9), hookswitch_call::LegId(4)) });
    line.hear(BOBS, &answer(&line.sent("INVITE"), "200 OK", SDP, "b2"));
    line.hear(BOBS, &bobs(&invite, "BYE", 7, "", ""));
    let names: Vec<_> = line
        .take()
        .1
        .iter()
        .map(|report| match report {
            Report::Reaccepted { call, leg, .. } | Report::Ended { call, leg, .. } => (call.0, leg.0),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names, [(9, 4), (9, 4)]);
    assert_eq!(line.b2bua.live_legs(), 0);
}

#[test]
fn what_a_party_takes_back_is_told_and_ours_is_taken_back_by_cancel() {
    let mut line = Line::new();
    let tag = line.alice();
    let more = "Contact: <sip:alice@10.0.0.2>\r\nContent-Type: application/sdp\r\n";
    line.hear(ALICES, &alices("INVITE", 2, &tag, more, "a2"));
    line.take();
    let cancel = alices("CANCEL", 2, &tag, "", "").replace("-CANCEL\r\n", "-INVITE\r\n");
    line.hear(ALICES, &cancel);
    let (words, reports) = line.take();
    assert_eq!(words, ["200", "487"]);
    assert!(matches!(reports.as_slice(), [Report::Withdrawn { call, leg }] if (*call, *leg) == ALICE), "{reports:?}");
    // The other way round.
    line.bob();
    line.op(reoffer(Some("s2")));
    let invite = line.sent("INVITE");
    line.hear(BOBS, &answer(&invite, "100 Trying", "", ""));
    line.op(Op::Withdraw { call: BOB.0, leg: BOB.1 });
    assert_eq!(line.words().last().map(String::as_str), Some("CANCEL"));
    line.hear(BOBS, &answer(&invite, "487 Request Terminated", "", ""));
    assert_eq!(outcome(&mut line).unwrap_err().kind, Kind::Cancelled);
    line.op(Op::Withdraw { call: BOB.0, leg: BOB.1 });
    assert!(line.words().is_empty(), "nothing is under way");
}
