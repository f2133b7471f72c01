//! A party has several places: which are called when, and what their answers mean together.

use crate::support::*;

use hookswitch_call::*;

/// A place in a group, called `after` seconds, ringing `ring` seconds at most.
fn place(address: &str, group: u8, after: u64, ring: Option<u64>) -> Target {
    Target { group, after: sec(after), ring_time: ring.map(sec), ..target(address) }
}

/// An incoming call whose callee has these places; looked at from there on.
fn forked(limits: Limits, places: Vec<Target>) -> (Desk, CallId) {
    let mut desk = Desk::new(limits);
    let call = desk.incoming(Some("a"));
    desk.since();
    desk.found(call, places, None);
    (desk, call)
}

#[test]
fn a_group_is_called_together_and_the_next_one_when_all_of_it_has_failed() {
    let places = vec![place("sip:b3@x", 2, 0, None), place("sip:b1@x", 1, 0, None), place("sip:b2@x", 1, 0, None)];
    let (mut desk, call) = forked(Limits::default(), places);
    assert_eq!(desk.since(), ["dial 1 sip:b1@x our-offer", "dial 2 sip:b2@x our-offer"]);
    desk.ended(call, 1, Cause::from_status(486, ""));
    assert_eq!(desk.since(), [""; 0]);
    desk.ended(call, 2, Cause::from_status(480, ""));
    assert_eq!(desk.since(), ["dial 3 sip:b3@x our-offer"]);
    desk.ended(call, 3, Cause::from_status(404, ""));
    assert_eq!(desk.since(), ["hangup 0 486 Busy Here"], "the best failure of all groups");
}

#[test]
fn a_place_rings_no_longer_than_it_may_and_the_next_group_follows() {
    let places = vec![place("sip:b1@x", 0, 0, Some(15)), place("sip:b2@x", 1, 0, None)];
    let (mut desk, call) = forked(Limits::default(), places);
    desk.progress(call, 1, 180, None);
    desk.since();
    desk.pass(sec(16));
    assert_eq!(desk.since(), ["hangup 1 408 Request Timeout", "dial 2 sip:b2@x our-offer"]);
    desk.ended(call, 1, Cause::from_status(487, ""));
    desk.answered(call, 2, Some("b"));
    assert_eq!(desk.since()[0], "confirm 2");
    assert_eq!(desk.board.call(call).unwrap().state, machine::State::Talking);
    assert_eq!(desk.board.poll_timeout(), None, "no time of the set-up is left");
}

#[test]
fn a_place_joins_its_group_after_its_time() {
    let places = vec![place("sip:b1@x", 0, 0, None), place("sip:b3@x", 0, 20, None), place("sip:b2@x", 0, 10, None)];
    let (mut desk, call) = forked(Limits::default(), places);
    assert_eq!(desk.since(), ["dial 1 sip:b1@x our-offer"]);
    desk.pass(sec(10));
    assert_eq!(desk.since(), ["dial 2 sip:b2@x our-offer"]);
    desk.pass(sec(9));
    assert_eq!(desk.since(), [""; 0]);
    desk.pass(sec(1));
    assert_eq!(desk.since(), ["dial 3 sip:b3@x our-offer"]);
    desk.answered(call, 1, Some("b"));
    let said = desk.since();
    assert_eq!(said[..2], ["hangup 2 200 Call completed elsewhere", "hangup 3 200 Call completed elsewhere"]);
}

#[test]
fn nobody_waits_for_the_time_of_a_place_while_nothing_rings() {
    let places = vec![place("sip:b1@x", 0, 0, None), place("sip:b2@x", 0, 10, None), place("sip:b3@x", 0, 12, None)];
    let (mut desk, call) = forked(Limits::default(), places);
    desk.since();
    desk.ended(call, 1, Cause::from_status(486, ""));
    assert_eq!(desk.since(), ["dial 2 sip:b2@x our-offer"]);
    desk.pass(sec(2));
    assert_eq!(desk.since(), ["dial 3 sip:b3@x our-offer"], "the others keep their distance");
}

#[test]
fn an_answer_before_all_have_begun_leaves_the_rest_uncalled() {
    let places = vec![place("sip:b1@x", 0, 0, None), place("sip:b2@x", 0, 10, None), place("sip:b3@x", 1, 0, None)];
    let (mut desk, call) = forked(Limits::default(), places);
    desk.answered(call, 1, Some("b"));
    desk.since();
    desk.pass(sec(100));
    assert_eq!(desk.since(), [""; 0]);
}

#[test]
fn a_caller_that_gives_up_leaves_the_rest_uncalled() {
    let places = vec![place("sip:b1@x", 0, 0, None), place("sip:b2@x", 0, 10, None), place("sip:b3@x", 1, 0, None)];
    let (mut desk, call) = forked(Limits::default(), places);
    desk.since();
    desk.ended(call, 0, Cause::new(Kind::Cancelled, Fault::Nobody));
    desk.pass(sec(30));
    assert_eq!(desk.since(), ["hangup 1 487 Request Terminated"]);
    desk.ended(call, 1, Cause::from_status(487, ""));
    assert_eq!(desk.board.live(), 0);
}

#[test]
fn a_decline_for_the_whole_person_ends_groups_that_have_not_begun() {
    let places = vec![place("sip:b1@x", 0, 0, None), place("sip:b2@x", 1, 0, None)];
    let (mut desk, call) = forked(Limits::default(), places);
    desk.since();
    desk.ended(call, 1, Cause::from_status(603, ""));
    assert_eq!(desk.since(), ["hangup 0 603 Decline"]);
}

#[test]
fn the_time_to_ring_is_that_of_all_groups_together() {
    let places = vec![place("sip:b1@x", 0, 0, Some(20)), place("sip:b2@x", 1, 0, None), place("sip:b3@x", 2, 0, None)];
    let (mut desk, _) = forked(Limits { ring_time: sec(30), ..Limits::default() }, places);
    desk.since();
    desk.pass(sec(29));
    assert_eq!(desk.since(), ["hangup 1 408 Request Timeout", "dial 2 sip:b2@x our-offer"]);
    desk.pass(sec(2));
    assert_eq!(desk.since(), ["hangup 0 408 Request Timeout", "hangup 2 408 Request Timeout"]);
}

#[test]
fn an_answer_that_comes_after_the_place_rang_out_does_not_count() {
    let places = vec![place("sip:b1@x", 0, 0, Some(5)), place("sip:b2@x", 1, 0, None)];
    let (mut desk, call) = forked(Limits::default(), places);
    desk.pass(sec(6));
    desk.since();
    desk.answered(call, 1, Some("b"));
    assert_eq!(desk.since(), [""; 0], "the backend hangs up what it was told to end");
    desk.answered(call, 2, Some("b"));
    assert_eq!(desk.since()[0], "confirm 2");
}

#[test]
fn more_places_than_may_be_called_at_once_are_left_out() {
    let many = |groups: u8| -> Vec<Target> {
        (0..groups).flat_map(|g| (0..12).map(move |n| place(&format!("sip:b{g}-{n}@x"), g, 0, None))).collect()
    };
    let (mut desk, call) = forked(Limits::default(), many(1));
    assert_eq!(desk.since().len(), MAX_BRANCHES);
    desk.ended(call, 0, Cause::new(Kind::Cancelled, Fault::Nobody));

    // Twelve groups, each of which fails at once: fifty places in all, and no more.
    let (mut desk, call) = forked(Limits::default(), many(12));
    let mut dialed = 0;
    loop {
        let new = desk.since().iter().filter(|said| said.starts_with("dial")).count();
        if new == 0 {
            break;
        }
        assert!(new <= MAX_BRANCHES);
        for leg in dialed + 1..=dialed + new {
            desk.ended(call, u16::try_from(leg).unwrap(), Cause::from_status(480, ""));
        }
        dialed += new;
    }
    assert_eq!(dialed, 50);
    assert_eq!(desk.board.call(call).unwrap().state, machine::State::AwaitEnds);
}

#[test]
fn branches_that_see_us_at_the_same_address_share_one_offer() {
    let seen = |address: &str, near: [u8; 4]| Target { near: Some(near.into()), ..target(address) };
    let mut places: Vec<Target> = (0..9).map(|n| seen(&format!("sip:b{n}@x"), [10, 0, 0, 1])).collect();
    places.push(seen("sip:far@x", [192, 0, 2, 1]));
    let (mut desk, _) = forked(Limits::default(), places);
    let offers = desk.media.iter().filter(|op| matches!(op, MediaOp::MakeOffer { .. })).count();
    assert_eq!(offers, 2);
    assert_eq!(desk.since().len(), 10);
}

#[test]
fn the_first_party_of_a_started_call_forks_as_well() {
    let mut desk = Desk::new(Limits::default());
    desk.start();
    let call = desk.board.calls().next().unwrap().id;
    desk.found(call, vec![place("sip:a1@x", 0, 0, None), place("sip:a2@x", 1, 0, None)], None);
    desk.ended(call, 0, Cause::from_status(480, ""));
    desk.answered(call, 1, Some("a"));
    assert_eq!(
        desk.since(),
        [
            "locate sip:alice@x",
            "dial 0 sip:a1@x our-offer",
            "dial 1 sip:a2@x our-offer",
            "confirm 1",
            "locate sip:bob@x"
        ]
    );
}
