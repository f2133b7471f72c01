//! When something runs out, the caller is told that it may try again later.

use crate::support::*;

use hookswitch_call::*;

fn overloaded() -> Cause {
    Cause::new(Kind::Overloaded, Fault::Server)
}

#[test]
fn without_a_free_port_the_caller_is_told_503_and_nobody_is_called() {
    let mut desk = Desk::new(Limits::default());
    desk.silent_media = true;
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x", "sip:b2@x"]);
    desk.since();
    for leg in [1, 2] {
        let refused = MediaReport::Refused { call, seat: Party::Callee.into(), leg: LegId(leg), cause: overloaded() };
        desk.board.tell_media(desk.now, refused);
        desk.drain();
    }
    assert_eq!(desk.since(), ["hangup 0 503 Service Unavailable"]);
    desk.ended(call, 0, overloaded());
    assert_eq!(desk.board.live(), 0);
}

#[test]
fn without_a_port_for_the_caller_whoever_answered_is_hung_up() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x"]);
    desk.silent_media = true;
    desk.answered(call, 1, Some("b"));
    desk.since();
    let refused = MediaReport::Refused { call, seat: Party::Caller.into(), leg: LegId(0), cause: overloaded() };
    desk.board.tell_media(desk.now, refused);
    desk.drain();
    assert_eq!(desk.since(), ["hangup 0 503 Service Unavailable", "hangup 1 503 Service Unavailable"]);
}

#[test]
fn a_request_that_cannot_be_sent_counts_like_a_place_that_failed() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.located(call, &["sip:b1@x", "sip:b2@x"]);
    desk.since();
    desk.ended(call, 1, overloaded());
    assert_eq!(desk.since(), [""; 0], "the other one rings");
    desk.ended(call, 2, overloaded());
    assert_eq!(desk.since(), ["hangup 0 503 Service Unavailable"]);
}

#[test]
fn a_started_call_without_room_is_refused_and_without_ports_fails() {
    let mut desk = Desk::new(Limits { calls: 0, ..Limits::default() });
    let start = || Command::Start { caller: "sip:a@x".into(), callee: "sip:b@x".into(), wire_id: None };
    assert_eq!(desk.board.submit(desk.now, start()), Err(Refused::TooManyCalls(0)));

    let mut desk = Desk::new(Limits::default());
    desk.silent_media = true;
    desk.start();
    let call = desk.board.calls().next().unwrap().id;
    desk.located(call, &["sip:a1@x"]);
    let refused = MediaReport::Refused { call, seat: Party::Caller.into(), leg: LegId(0), cause: overloaded() };
    desk.board.tell_media(desk.now, refused);
    desk.drain();
    let Err(failure) = &desk.outcomes[0].result else { panic!("must fail") };
    assert_eq!((failure.stage, failure.cause.code, failure.cause.fault), (Stage::Caller, 503, Fault::Server));
    assert_eq!(desk.board.live(), 0);
}
