//! A party is in a room: the other end of its call is a conference.

use crate::support::Desk;
use hookswitch_call::*;

fn call_of(desk: &Desk) -> CallId {
    desk.board.calls().next().expect("one call").id
}

fn room(name: &str) -> Found {
    Found::Service(Service::Conference(Room::from(name)))
}

fn located(desk: &mut Desk, call: CallId, found: Found) {
    desk.tell(Report::Located { call, found, codecs: None, forwards: None });
}

fn refused(call: CallId, name: &str) -> MediaReport {
    let news = RoomNews::Refused(Cause::new(Kind::Busy, Fault::Server).with_text("Conference Full"));
    MediaReport::Room { call, party: Party::Caller, room: Room::from(name), news }
}

#[test]
fn who_calls_a_conference_is_in_its_room_before_it_is_answered() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.since();
    located(&mut desk, call, room("a"));
    assert_eq!(desk.since(), ["focus of 0 true", "Caller joins a", "answer 0 our-answer", "Caller hears Room"]);
    let opened = desk.media.iter().find_map(|op| if let MediaOp::Open { room, .. } = op { room.clone() } else { None });
    assert_eq!(opened, Some(Room::from("a")), "so that it is carried where the others are");
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    desk.tell_media(MediaReport::Room {
        call,
        party: Party::Caller,
        room: Room::from("a"),
        news: RoomNews::Speaks(true),
    });
    desk.ended(call, 0, Cause::hangup());
    assert_eq!(desk.since(), ["Caller leaves a", "media closed"]);
    assert_eq!(desk.board.live(), 0);
    let names = desk.event_names();
    assert_eq!(
        names[2..],
        [
            "Caller in a: Joined(1)",
            "answered Callee",
            "bridged",
            "Caller in a: Speaks(true)",
            "leg 0 ended 200",
            "Caller in a: Left",
            "ended 200"
        ]
    );
}

#[test]
fn a_full_conference_refuses_the_call_before_it_is_answered() {
    let mut desk = Desk::new(Limits::default());
    desk.silent_media = true;
    let call = desk.incoming(Some("a"));
    located(&mut desk, call, room("a"));
    desk.since();
    desk.tell_media(refused(call, "a"));
    assert_eq!(desk.since(), ["hangup 0 486 Conference Full", "Caller leaves a"]);
    desk.ended(call, 0, Cause::new(Kind::Busy, Fault::Server));
    assert_eq!(desk.board.live(), 0);
}

#[test]
fn a_conference_that_never_answers_ends_the_call_in_time() {
    let mut desk = Desk::new(Limits::default());
    desk.silent_media = true;
    let call = desk.incoming(Some("a"));
    located(&mut desk, call, room("a"));
    desk.since();
    desk.pass(Limits::default().setup_time);
    assert_eq!(desk.since()[0], "hangup 0 500 Setup Timeout");
}

#[test]
fn a_command_calls_a_party_into_a_conference() {
    let mut desk = Desk::new(Limits::default());
    desk.start();
    let call = call_of(&desk);
    desk.located(call, &["sip:a1@x"]);
    desk.answered(call, 0, Some("a"));
    desk.since();
    located(&mut desk, call, room("a"));
    assert_eq!(desk.since(), ["focus of 0 true", "Caller joins a", "Caller hears Room"]);
    assert_eq!(desk.outcomes[0].result, Ok(()));
}

#[test]
fn a_command_fails_when_the_conference_is_full() {
    let mut desk = Desk::new(Limits::default());
    desk.start();
    let call = call_of(&desk);
    desk.located(call, &["sip:a1@x"]);
    desk.answered(call, 0, Some("a"));
    desk.silent_media = true;
    located(&mut desk, call, room("a"));
    assert_eq!(desk.outcomes.len(), 0);
    desk.tell_media(refused(call, "a"));
    let failure = desk.outcomes[0].result.clone().unwrap_err();
    assert_eq!((failure.stage, failure.cause.code), (Stage::Callee, 486));
}

#[test]
fn who_is_transferred_into_a_conference_is_in_it_and_who_is_transferred_out_of_it_is_not() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    let transfer = |to: &str| Command::Transfer {
        call: CallRef::Id(call),
        party: Party::Caller,
        to: Address::from(to),
        by: Some(By::Bridge),
    };
    desk.submit(transfer("sip:conference-a@x")).unwrap();
    located(&mut desk, call, room("a"));
    let said = desk.since();
    let place = |text: &str| said.iter().position(|said| said == text).unwrap_or_else(|| panic!("{text}: {said:?}"));
    assert!(place("focus of 0 true") < place("Caller joins a"));
    assert!(place("Caller joins a") < place("Caller hears Room"));
    desk.ended(call, 1, Cause::hangup());
    desk.since();
    // From one conference to another.
    desk.submit(transfer("sip:conference-b@x")).unwrap();
    located(&mut desk, call, room("b"));
    let said = desk.since();
    let place = |text: &str| said.iter().position(|said| said == text).unwrap_or_else(|| panic!("{text}: {said:?}"));
    assert!(place("Caller joins b") < place("Caller leaves a"), "{said:?}");
    assert!(!said.contains(&"focus of 0 false".to_owned()), "{said:?}");
    // And out of it.
    desk.submit(transfer("sip:carol@x")).unwrap();
    desk.located(call, &["sip:c1@x"]);
    let leg = desk.board.call(call).unwrap().legs.last().unwrap().id.0;
    desk.answered(call, leg, Some("c"));
    let said = desk.since();
    for expected in ["Caller leaves b", "focus of 0 false", "Caller hears Peer"] {
        assert!(said.contains(&expected.to_owned()), "{expected}: {said:?}");
    }
    let rooms: Vec<_> = desk.event_names().into_iter().filter(|name| name.contains(" in ")).collect();
    assert_eq!(rooms, ["Caller in a: Joined(1)", "Caller in a: Left", "Caller in b: Joined(1)", "Caller in b: Left"]);
}
