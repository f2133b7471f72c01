//! How long a call may last.

use crate::support::*;

use hookswitch_call::*;

#[test]
fn a_call_that_lasts_too_long_ends_for_both() {
    let mut desk = Desk::new(Limits { max_duration: sec(3_600), ..Limits::default() });
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.pass(sec(20));
    desk.answered(call, 1, Some("b"));
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    desk.since();
    desk.pass(sec(3_599));
    assert_eq!(desk.since(), [""; 0], "the time counts from the answer");
    desk.pass(sec(1));
    assert_eq!(desk.since(), ["hangup 0 408 Session Expired", "hangup 1 408 Session Expired"]);
    desk.ended(call, 0, Cause::hangup());
    desk.ended(call, 1, Cause::hangup());
    let last = desk.events.last().map(|told| told.event.clone());
    let expected = Event::Ended { cause: Cause::new(Kind::Expired, Fault::Nobody), talked: sec(3_600) };
    assert_eq!(last, Some(expected));
}

#[test]
fn a_call_without_limit_waits_for_nothing_but_its_end() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.answered(call, 1, Some("b"));
    assert_eq!(desk.board.poll_timeout(), None);
}
