//! A phone's hold key: the other party hears music, whatever an application does besides.

use crate::support::*;

use hookswitch_call::*;

#[test]
fn the_other_party_hears_music_until_it_is_taken_back() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.presses_hold(call, Party::Callee, true);
    assert_eq!(desk.since(), ["Caller hears Hold", "Callee hears Silence"]);
    desk.presses_hold(call, Party::Callee, true);
    assert_eq!(desk.since(), [""; 0], "said again, nothing new");
    desk.presses_hold(call, Party::Callee, false);
    assert_eq!(desk.since(), ["Caller hears Peer", "Callee hears Peer"]);
    assert!(desk.events.iter().all(|told| told.owner.is_none()));
    assert_eq!(desk.event_names(), ["hold true by Callee", "hold false by Callee"]);
}

#[test]
fn each_holds_the_other() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.presses_hold(call, Party::Callee, true);
    desk.presses_hold(call, Party::Caller, true);
    assert_eq!(desk.since(), ["Caller hears Hold", "Callee hears Silence", "Callee hears Hold"]);
    desk.presses_hold(call, Party::Callee, false);
    assert_eq!(desk.since(), ["Caller hears Silence"]);
    desk.presses_hold(call, Party::Caller, false);
    assert_eq!(desk.since(), ["Caller hears Peer", "Callee hears Peer"]);
}

#[test]
fn audio_flows_only_when_phone_and_application_have_both_let_go() {
    for phone_first in [false, true] {
        let mut desk = Desk::new(Limits::default());
        let call = desk.talking();
        desk.presses_hold(call, Party::Callee, true);
        desk.hold(call, true, Some(Party::Caller)).unwrap();
        desk.reaccepted(call, 0, "a-held");
        desk.since();
        let mut heard = Vec::new();
        for step in [phone_first, !phone_first] {
            if step {
                desk.presses_hold(call, Party::Callee, false);
            } else {
                desk.hold(call, false, Some(Party::Caller)).unwrap();
                desk.reaccepted(call, 0, "a");
            }
            heard.push(desk.since().into_iter().filter(|line| line.contains("hears")).collect::<Vec<_>>());
        }
        assert_eq!(heard, [vec![], vec!["Caller hears Peer".to_owned(), "Callee hears Peer".into()]]);
    }
}

#[test]
fn a_hold_from_before_the_answer_is_told_with_the_answer() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.presses_hold(call, Party::Caller, true);
    desk.located(call, &["sip:b1@x"]);
    assert!(!desk.since().iter().any(|line| line.contains("hears")), "there is nobody yet whom it holds");
    desk.answered(call, 1, Some("b"));
    let said = desk.since();
    assert_eq!(said[said.len() - 2..], ["Caller hears Silence", "Callee hears Hold"]);
    assert_eq!(desk.event_names()[4..], ["bridged", "hold true by Caller"]);
    desk.presses_hold(call, Party::Caller, false);
    assert_eq!(desk.since(), ["Caller hears Peer", "Callee hears Peer"]);
}

#[test]
fn a_party_that_agrees_to_our_hold_by_doing_nothing_holds_nobody() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.hold(call, true, Some(Party::Caller)).unwrap();
    desk.reaccepted(call, 0, "a-inactive");
    desk.since();
    desk.events.clear();
    desk.presses_hold(call, Party::Caller, true);
    assert_eq!(desk.since(), [""; 0]);
    assert!(desk.event_names().is_empty());
    // It answers the end of our hold with one of its own.
    desk.hold(call, false, Some(Party::Caller)).unwrap();
    desk.reaccepted(call, 0, "a-sendonly");
    desk.since();
    desk.presses_hold(call, Party::Caller, true);
    assert_eq!(desk.since(), ["Caller hears Silence", "Callee hears Hold"]);
    assert_eq!(desk.event_names().last().unwrap(), "hold true by Caller");
}

#[test]
fn a_party_on_hold_may_hold_the_other_one_by_its_own_key() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    desk.hold(call, true, Some(Party::Caller)).unwrap();
    desk.reaccepted(call, 0, "a-held");
    desk.event_names();
    desk.tell(Report::Reoffered { call, leg: LegId(0), sdp: Some(Sdp::from("a-holds")) });
    desk.presses_hold(call, Party::Caller, true);
    assert_eq!(desk.event_names(), ["hold true by Caller"]);
}

#[test]
fn parties_of_a_call_on_hold_are_asked_whether_they_are_still_there() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    assert_eq!(desk.board.poll_timeout(), None, "while they talk the audio tells");
    desk.presses_hold(call, Party::Callee, true);
    desk.since();
    desk.pass(sec(60));
    assert_eq!(desk.since(), ["probe 0", "probe 1"]);
    desk.pass(sec(60));
    assert_eq!(desk.since(), ["probe 0", "probe 1"]);
    desk.presses_hold(call, Party::Callee, false);
    desk.since();
    desk.pass(sec(60));
    assert_eq!((desk.since(), desk.board.poll_timeout()), (vec![], None));
}

#[test]
fn the_hold_key_of_a_party_that_has_just_lost_its_place_says_nothing_of_the_newcomer() {
    let mut desk = Desk::new(Limits::default());
    let (a, b) = desk.two_calls();
    let (call, other) = (CallRef::Id(a), CallRef::Id(b));
    let join = Command::Join { call, party: Party::Caller, other, other_party: Party::Callee, to: None, by: None };
    desk.submit(join).unwrap();
    desk.reaccepted(b, 1, "z");
    desk.events.clear();
    let late =
        |leg| MediaReport::Direction { call: a, party: Party::Callee, leg: LegId(leg), sends: true, listens: false };
    desk.tell_media(late(1));
    assert!(desk.event_names().is_empty());
    desk.tell_media(late(2));
    assert_eq!(desk.event_names(), ["hold true by Callee"]);
}
