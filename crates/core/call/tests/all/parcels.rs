//! What parties send each other within a call.

use crate::support::*;

use hookswitch_call::*;

fn talking(limits: Limits) -> (Desk, CallId) {
    let mut desk = Desk::new(limits);
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.answered(call, 1, Some("b"));
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    desk.since();
    (desk, call)
}

fn text(words: &str) -> Parcel {
    Parcel { kind: ParcelKind::Message, content_type: "text/plain".into(), body: words.as_bytes().into() }
}

fn brought(desk: &mut Desk, call: CallId, leg: u16, receipt: u64) {
    desk.tell(Report::Brought { call, leg: LegId(leg), receipt, parcel: text("hello") });
}

/// What was last to be delivered: to whom, under which receipt, and what.
fn delivery(desk: &Desk) -> (LegId, u64, Parcel) {
    let found = desk.ops.iter().rev().find_map(|op| match op {
        Op::Deliver { leg, receipt, parcel, .. } => Some((*leg, *receipt, parcel.clone())),
        _ => None,
    });
    found.expect("something is delivered")
}

fn digit(key: char) -> Digit {
    Digit { key, time: std::time::Duration::from_millis(160) }
}

#[test]
fn a_parcel_reaches_the_other_party_and_its_answer_comes_back() {
    for (from, to) in [(0, 1), (1, 0)] {
        let (mut desk, call) = talking(Limits::default());
        brought(&mut desk, call, from, 7);
        let (leg, receipt, parcel) = delivery(&desk);
        assert_eq!((leg, parcel), (LegId(to), text("hello")));
        desk.since();
        desk.tell(Report::Delivered { call, leg, receipt, status: 202 });
        assert_eq!(desk.since(), [format!("receipt {from} 7 202")]);
        desk.tell(Report::Delivered { call, leg, receipt, status: 200 });
        assert_eq!(desk.since(), [""; 0], "once");
    }
}

#[test]
fn nobody_who_could_take_it_is_told_as_such() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.since();
    brought(&mut desk, call, 0, 1);
    assert_eq!(desk.since(), ["receipt 0 1 480"], "it still rings");

    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.tell(Report::Located { call, found: Found::Service(Service::Echo), codecs: None, forwards: None });
    desk.since();
    brought(&mut desk, call, 0, 1);
    assert_eq!(desk.since(), ["receipt 0 1 488"], "a service takes none");
}

#[test]
fn parcels_under_way_have_a_limit() {
    let (mut desk, call) = talking(Limits::default());
    for receipt in 0..MAX_PARCELS as u64 {
        brought(&mut desk, call, 0, receipt);
    }
    assert!(desk.since().iter().all(|said| said.starts_with("deliver 1")));
    brought(&mut desk, call, 0, 99);
    assert_eq!(desk.since(), ["receipt 0 99 503"]);
    let (leg, receipt, _) = delivery(&desk);
    desk.tell(Report::Delivered { call, leg, receipt, status: 200 });
    desk.since();
    brought(&mut desk, call, 0, 100);
    assert!(desk.since()[0].starts_with("deliver 1"), "each answer makes room");
}

#[test]
fn the_sender_is_told_when_the_addressee_goes() {
    let (mut desk, call) = talking(Limits::default());
    brought(&mut desk, call, 0, 5);
    let (leg, receipt, _) = delivery(&desk);
    desk.since();
    desk.ended(call, 1, Cause::hangup());
    assert_eq!(desk.since(), ["receipt 0 5 480", "hangup 0 200 OK"]);
    desk.tell(Report::Delivered { call, leg, receipt, status: 200 });
    assert_eq!(desk.since(), [""; 0]);
}

#[test]
fn a_key_that_is_signalled_is_played_to_the_other_party() {
    let (mut desk, call) = talking(Limits::default());
    desk.tell(Report::Digit { call, leg: LegId(1), digit: digit('5') });
    let played = MediaOp::Digit { call, party: Party::Caller, digit: digit('5') };
    assert_eq!(desk.media.last(), Some(&played));
}

#[test]
fn a_key_is_signalled_where_the_audio_does_not_run_through_here() {
    let (mut desk, call) = talking(Limits { anchor: false, ..Limits::default() });
    desk.tell(Report::Digit { call, leg: LegId(0), digit: digit('#') });
    let (leg, receipt, parcel) = delivery(&desk);
    assert_eq!(
        (leg, parcel.kind, parcel.content_type.as_str()),
        (LegId(1), ParcelKind::Info, "application/dtmf-relay")
    );
    assert_eq!(&*parcel.body, b"Signal=#\r\nDuration=160\r\n");
    desk.since();
    desk.tell(Report::Delivered { call, leg, receipt, status: 200 });
    assert_eq!(desk.since(), [""; 0], "nobody waits for it");
}

#[test]
fn a_key_that_the_other_party_has_no_event_for_is_sent_to_it_as_a_sound() {
    let (mut desk, call) = talking(Limits::default());
    desk.board
        .tell_media(desk.now, MediaReport::Digit { call, party: Party::Caller, digit: digit('1'), passed: false });
    desk.drain();
    assert_eq!(desk.media.last(), Some(&MediaOp::Digit { call, party: Party::Callee, digit: digit('1') }));
}

#[test]
fn keys_pressed_before_the_answer_or_after_the_end_go_nowhere() {
    for anchor in [true, false] {
        let mut desk = Desk::new(Limits { anchor, ..Limits::default() });
        let call = desk.incoming(Some("a"));
        desk.located(call, &["sip:b1@x"]);
        desk.since();
        desk.tell(Report::Digit { call, leg: LegId(0), digit: digit('1') });
        desk.ended(call, 0, Cause::hangup());
        desk.tell(Report::Digit { call, leg: LegId(1), digit: digit('1') });
        assert_eq!(desk.since(), ["hangup 1 200 OK"]);
        assert!(!desk.media.iter().any(|op| matches!(op, MediaOp::Digit { .. })));
    }
}
