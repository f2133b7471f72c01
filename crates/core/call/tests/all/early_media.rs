//! What is heard before the answer, and from which branch.

use crate::support::*;

use hookswitch_call::*;

fn ringing(limits: Limits, offer: Option<&str>, places: &[&str]) -> (Desk, CallId) {
    let mut desk = Desk::new(limits);
    let call = desk.incoming(offer);
    desk.located(call, places);
    desk.since();
    (desk, call)
}

/// What the media engine was told that branches have announced or answered: leg and description.
fn accepted(desk: &Desk) -> Vec<(u16, String)> {
    let ops = desk.media.iter().filter_map(|op| match op {
        MediaOp::Accept { leg, sdp, .. } => Some((leg.0, sdp.0.to_string())),
        _ => None,
    });
    ops.collect()
}

#[test]
fn the_first_branch_that_plays_is_heard_and_the_winner_afterwards() {
    let (mut desk, call) = ringing(Limits::default(), Some("a"), &["sip:b1@x", "sip:b2@x"]);
    desk.progress(call, 1, 183, Some("b1-early"));
    desk.progress(call, 2, 183, Some("b2-early"));
    desk.answered(call, 2, Some("b2-answer"));
    assert_eq!(accepted(&desk), [(1, "b1-early".into()), (2, "b2-answer".into())]);
}

#[test]
fn a_winner_that_was_not_heard_and_answers_without_description_is_heard_as_it_announced() {
    let (mut desk, call) = ringing(Limits::default(), Some("a"), &["sip:b1@x", "sip:b2@x"]);
    desk.progress(call, 1, 183, Some("b1-early"));
    desk.progress(call, 2, 183, Some("b2-early"));
    desk.answered(call, 2, None);
    assert_eq!(accepted(&desk), [(1, "b1-early".into()), (2, "b2-early".into())]);
    assert_eq!(desk.board.call(call).unwrap().state, machine::State::Talking);
}

#[test]
fn when_the_heard_branch_fails_the_next_one_is_heard_and_then_it_rings() {
    let (mut desk, call) = ringing(Limits::default(), Some("a"), &["sip:b1@x", "sip:b2@x", "sip:b3@x"]);
    desk.progress(call, 1, 183, Some("b1-early"));
    desk.progress(call, 2, 183, Some("b2-early"));
    desk.progress(call, 3, 180, None);
    desk.since();
    desk.ended(call, 1, Cause::from_status(486, ""));
    assert_eq!(desk.since(), ["Caller hears Peer", "Callee hears Peer"]);
    assert_eq!(accepted(&desk), [(1, "b1-early".into()), (2, "b2-early".into())]);
    desk.ended(call, 2, Cause::from_status(486, ""));
    assert_eq!(desk.since(), ["Caller hears Ringback", "Callee hears Silence"]);
}

#[test]
fn several_early_dialogs_of_one_branch_are_heard_as_they_come() {
    let (mut desk, call) = ringing(Limits::default(), Some("a"), &["sip:b1@x"]);
    desk.progress(call, 1, 183, Some("announcement"));
    desk.progress(call, 1, 183, Some("announcement"));
    desk.progress(call, 1, 183, Some("mailbox"));
    assert_eq!(accepted(&desk), [(1, "announcement".into()), (1, "mailbox".into())]);
    let described = desk.since().into_iter().filter(|said| said.starts_with("ring 183 ")).count();
    assert_eq!(described, 1, "the caller is described to once");
}

#[test]
fn a_diversion_takes_early_media_away() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    let forwards = Forwards { busy: Some(Address::from("sip:carol@x")), ..Forwards::default() };
    desk.found(call, vec![target("sip:b1@x")], Some(forwards));
    desk.progress(call, 1, 183, Some("b-early"));
    desk.since();
    desk.ended(call, 1, Cause::from_status(486, ""));
    assert_eq!(desk.since(), ["Caller hears Ringback", "Callee hears Silence", "locate sip:carol@x", "ring 181"]);
    desk.located(call, &["sip:c1@x"]);
    desk.progress(call, 2, 183, Some("c-early"));
    assert_eq!(desk.since()[1..], ["Caller hears Peer".to_string(), "Callee hears Peer".into(), "ring 183".into()]);
}

#[test]
fn a_started_call_goes_from_early_media_back_to_the_ringing_tone() {
    let mut desk = Desk::new(Limits::default());
    desk.start();
    let call = desk.board.calls().next().unwrap().id;
    desk.located(call, &["sip:a1@x"]);
    desk.answered(call, 0, Some("a"));
    desk.located(call, &["sip:b1@x", "sip:b2@x"]);
    desk.progress(call, 1, 183, Some("b-early"));
    desk.since();
    desk.ended(call, 1, Cause::from_status(480, ""));
    assert_eq!(desk.since(), ["Caller hears Ringback", "Callee hears Silence"]);
}

#[test]
fn a_late_offer_is_told_of_progress_without_description() {
    for anchor in [true, false] {
        let limits = Limits { anchor, ..Limits::default() };
        let (mut desk, call) = ringing(limits, None, &["sip:b1@x"]);
        desk.progress(call, 1, 183, Some("b-early"));
        assert_eq!(desk.since().last().unwrap(), "ring 183", "our offer comes with the answer");
    }
}

#[test]
fn without_anchoring_nobody_is_shown_the_description_of_one_branch_among_several() {
    let limits = Limits { anchor: false, ..Limits::default() };
    let (mut desk, call) = ringing(limits, Some("a"), &["sip:b1@x", "sip:b2@x"]);
    desk.progress(call, 1, 183, Some("b1-early"));
    desk.progress(call, 2, 183, Some("b2-early"));
    assert_eq!(desk.since(), ["ring 183"]);
    desk.answered(call, 2, None);
    assert_eq!(desk.since()[1..], ["confirm 2", "answer 0 b2-early"], "but that of the winner in the answer");
}

#[test]
fn the_answer_may_differ_from_what_was_announced() {
    for anchor in [true, false] {
        let limits = Limits { anchor, ..Limits::default() };
        let (mut desk, call) = ringing(limits, Some("a"), &["sip:b1@x"]);
        desk.progress(call, 1, 183, Some("b-early"));
        desk.since();
        desk.answered(call, 1, Some("b-answer"));
        if anchor {
            assert_eq!(accepted(&desk), [(1, "b-early".into()), (1, "b-answer".into())]);
        } else {
            assert_eq!(desk.since(), ["confirm 1", "answer 0 b-answer"]);
        }
    }
}
