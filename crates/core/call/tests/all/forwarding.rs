//! Somebody else is called than was dialled.

use crate::support::*;

use hookswitch_call::*;

fn address(text: &str) -> Option<Address> {
    Some(Address::from(text))
}

fn all() -> Forwards {
    Forwards {
        busy: address("sip:busy@x"),
        no_answer: address("sip:away@x"),
        no_answer_after: Some(sec(20)),
        unreachable: address("sip:off@x"),
    }
}

/// A call that rings at bob, who has named others; looked at from there on.
fn ringing(forwards: Forwards) -> (Desk, CallId) {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.found(call, vec![target("sip:b1@x")], Some(forwards));
    desk.since();
    (desk, call)
}

#[test]
fn a_user_that_is_always_forwarded_is_never_called() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.since();
    desk.diverted(call, "sip:carol@x");
    assert_eq!(desk.since(), ["locate sip:carol@x", "ring 181"]);
    desk.located(call, &["sip:c1@x"]);
    assert_eq!(desk.since(), ["dial 1 sip:c1@x our-offer"]);
    let Some(Op::Dial { dial, .. }) = desk.ops.last() else { panic!("dialled") };
    assert_eq!(dial.to, Address::from("sip:carol@x"));
    assert_eq!(dial.diversions, [Diversion { from: Address::from("sip:bob@x"), why: Diverting::Always }]);
    assert_eq!(dial.hops, 68, "the turn counts as a hop");
    desk.answered(call, 1, Some("c"));
    assert_eq!(
        desk.event_names(),
        [
            "incoming",
            "connecting",
            "diverted sip:bob@x sip:carol@x Always",
            "dialing Callee 1",
            "answered Callee",
            "bridged"
        ]
    );
}

#[test]
fn each_failure_leads_to_whom_it_names() {
    for (status, expected) in [(486, "busy"), (600, "busy"), (603, "busy"), (480, "off"), (503, "off")] {
        let (mut desk, call) = ringing(all());
        desk.progress(call, 1, 180, None);
        desk.since();
        desk.ended(call, 1, Cause::from_status(status, ""));
        assert_eq!(desk.since(), [format!("locate sip:{expected}@x"), "ring 181".into()], "{status}");
    }
    // What the user could not mend by being somewhere else.
    for status in [404, 488, 500] {
        let (mut desk, call) = ringing(all());
        desk.ended(call, 1, Cause::from_status(status, ""));
        assert!(desk.since()[0].starts_with(&format!("hangup 0 {status}")), "{status}");
    }
}

#[test]
fn a_user_without_phones_is_forwarded_as_unreachable() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.since();
    let found = Found::Nowhere(Cause::new(Kind::Unreachable, Fault::Peer));
    desk.tell(Report::Located { call, found, codecs: None, forwards: Some(Box::new(all())) });
    assert_eq!(desk.since(), ["locate sip:off@x", "ring 181"]);
}

#[test]
fn who_does_not_answer_is_forwarded_after_its_own_time() {
    let (mut desk, call) = ringing(all());
    desk.progress(call, 1, 180, None);
    desk.since();
    desk.pass(sec(19));
    assert_eq!(desk.since(), [""; 0]);
    desk.pass(sec(1));
    assert_eq!(desk.since(), ["hangup 1 408 Request Timeout", "locate sip:away@x", "ring 181"]);
    // The late answer of a phone that was told to stop does not count.
    desk.answered(call, 1, Some("b"));
    desk.located(call, &["sip:c1@x"]);
    desk.progress(call, 2, 180, None);
    assert_eq!(desk.since(), ["dial 2 sip:c1@x our-offer", "ring 180"], "and the caller hears it ring again");
    desk.pass(sec(60));
    assert_eq!(desk.since(), [""; 0], "whoever is called instead rings its own time");
}

#[test]
fn phones_from_which_nothing_comes_are_unreachable_rather_than_unanswered() {
    let (mut desk, _) = ringing(all());
    desk.pass(sec(20));
    assert_eq!(desk.since()[1], "locate sip:off@x");
    let (mut desk, _) = ringing(Forwards { unreachable: None, ..all() });
    desk.pass(sec(20));
    assert_eq!(desk.since()[1], "locate sip:away@x", "if nobody is named for that, it has not answered");
}

#[test]
fn a_forward_for_another_case_changes_nothing() {
    let (mut desk, call) = ringing(Forwards { busy: address("sip:busy@x"), ..Forwards::default() });
    desk.progress(call, 1, 180, None);
    desk.since();
    desk.pass(sec(119));
    assert_eq!(desk.since(), [""; 0], "the time is that of the switch");
    desk.pass(sec(1));
    assert_eq!(desk.since()[0], "hangup 0 408 Request Timeout");
}

#[test]
fn the_best_failure_of_all_that_were_called_reaches_the_caller() {
    let (mut desk, call) = ringing(all());
    desk.ended(call, 1, Cause::from_status(486, ""));
    desk.located(call, &["sip:c1@x"]);
    desk.since();
    desk.ended(call, 2, Cause::from_status(408, ""));
    assert_eq!(desk.since(), ["hangup 0 486 Busy Here"]);
}

#[test]
fn two_who_forward_to_each_other_end_in_the_first_failure() {
    let (mut desk, call) = ringing(Forwards { busy: address("sip:carol@x"), ..Forwards::default() });
    desk.ended(call, 1, Cause::from_status(486, ""));
    desk.since();
    desk.diverted(call, "sip:bob@x");
    assert_eq!(desk.since(), ["hangup 0 486 Busy Here"]);

    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.diverted(call, "sip:carol@x");
    desk.since();
    desk.diverted(call, "sip:bob@x");
    assert_eq!(desk.since(), ["hangup 0 482 Loop Detected"], "there was none");
}

#[test]
fn a_chain_of_forwards_has_an_end() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    for n in 0..MAX_DIVERSIONS {
        desk.diverted(call, &format!("sip:n{n}@x"));
        assert_eq!(desk.since().last().unwrap(), "ring 181", "{n}");
    }
    desk.diverted(call, "sip:one-more@x");
    assert_eq!(desk.since(), ["hangup 0 483 Too Many Hops"]);
}

/// Diversions that a call brings along count.
#[test]
fn a_call_that_was_diverted_elsewhere_before_is_not_diverted_for_ever() {
    let passed = |n: usize| Diversion { from: Address::from(format!("sip:p{n}@y").as_str()), why: Diverting::Busy };
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming_with(|incoming| incoming.diversions = (0..MAX_DIVERSIONS).map(passed).collect());
    desk.since();
    desk.diverted(call, "sip:carol@x");
    assert_eq!(desk.since(), ["hangup 0 483 Too Many Hops"]);

    let call = desk.incoming_with(|incoming| incoming.diversions = vec![passed(1)]);
    desk.since();
    desk.diverted(call, "sip:p1@y");
    assert_eq!(desk.since(), ["hangup 0 482 Loop Detected"], "nor back to where it came from");
}

#[test]
fn a_call_without_hops_left_is_not_diverted() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming_with(|incoming| incoming.hops = 0);
    desk.since();
    desk.diverted(call, "sip:carol@x");
    assert_eq!(desk.since(), ["hangup 0 483 Too Many Hops"]);
}

#[test]
fn the_callee_of_a_started_call_is_forwarded_as_well() {
    let mut desk = Desk::new(Limits::default());
    let ticket = desk.start();
    let call = desk.board.calls().next().unwrap().id;
    desk.located(call, &["sip:a1@x"]);
    desk.answered(call, 0, Some("a"));
    desk.found(call, vec![target("sip:b1@x")], Some(all()));
    desk.progress(call, 1, 180, None);
    desk.since();
    desk.ended(call, 1, Cause::from_status(486, ""));
    assert_eq!(desk.since(), ["locate sip:busy@x"], "its phone has answered: it hears the ringing tone and no 181");
    desk.located(call, &["sip:c1@x"]);
    desk.answered(call, 2, Some("c"));
    assert_eq!(desk.outcomes, [Outcome { ticket, result: Ok(()) }]);
}

#[test]
fn a_caller_that_gives_up_during_a_diversion_ends_it() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    desk.diverted(call, "sip:carol@x");
    desk.ended(call, 0, Cause::new(Kind::Cancelled, Fault::Nobody));
    assert_eq!(desk.board.live(), 0);
    desk.located(call, &["sip:c1@x"]);
    assert!(!desk.since().iter().any(|said| said.starts_with("dial")));
}
