//! Media before the answer, and several branches on one channel.

use crate::stage::{ALICE, BOB, CALL, SWITCH_V6, Stage, at, formats_in, ip, phone, rtp, sent_to};
use hookswitch_call::{LegId, MediaOp, MediaReport, Party, Source};
use hookswitch_media::{DropReason, Forward};

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;
const CAROL: &str = "203.0.113.3:7000";

#[test]
fn early_media_flows_and_the_answer_changes_nothing() {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0 8 101")));
    stage.make_offer(CALLEE, LegId(1)).expect("an offer");
    stage.accept(CALLEE, LegId(1), &phone(BOB, "8 101")).expect("the 183");
    let early = stage.make_answer(CALLER).expect("for the 183");
    stage.hear(CALLER, Source::Peer).hear(CALLEE, Source::Peer);
    assert_eq!(sent_to(stage.send(CALLEE, BOB, &mut rtp(8, 1, 1))), at(ALICE));
    stage.accept(CALLEE, LegId(1), &phone(BOB, "8 101")).expect("the 200");
    let answer = stage.make_answer(CALLER).expect("for the 200");
    assert_eq!(early, answer, "the same description, version included");
    assert_eq!(sent_to(stage.send(CALLEE, BOB, &mut rtp(8, 2, 1))), at(ALICE));
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut rtp(8, 1, 2))), at(BOB));
}

#[test]
fn ringback_gives_way_to_the_other_party() {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0 8 101")));
    stage.make_offer(CALLEE, LegId(1)).expect("an offer");
    stage.make_answer(CALLER).expect("answered early");
    stage.hear(CALLER, Source::Ringback);
    assert!(stage.run(200).len() >= 10);
    stage.accept(CALLEE, LegId(1), &phone(BOB, "8 0 101")).expect("has what the caller was told");
    stage.hear(CALLER, Source::Peer).hear(CALLEE, Source::Peer);
    assert_eq!(stage.engine.next_tick(), None);
    assert_eq!(sent_to(stage.send(CALLEE, BOB, &mut rtp(0, 1, 1))), at(ALICE));
}

#[test]
fn forked_legs_share_one_port_and_one_description() {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0 8 101")));
    let offers: Vec<_> = (1..=10).map(|leg| stage.make_offer(CALLEE, LegId(leg)).expect("an offer")).collect();
    assert!(offers.iter().all(|offer| *offer == offers[0]));
    assert_eq!(stage.ports.taken.len(), 2, "one for each end");
    // Early media of one branch, answer of another.
    stage.accept(CALLEE, LegId(2), &phone(BOB, "0 101")).expect("the 183");
    stage.make_answer(CALLER).expect("an answer");
    stage.hear(CALLER, Source::Peer).hear(CALLEE, Source::Peer);
    assert_eq!(sent_to(stage.send(CALLEE, BOB, &mut rtp(0, 1, 1))), at(ALICE));
    stage.accept(CALLEE, LegId(5), &phone(CAROL, "0 101")).expect("the 200");
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut rtp(0, 1, 2))), at(CAROL));
    assert_eq!(sent_to(stage.send(CALLEE, CAROL, &mut rtp(0, 1, 3))), at(ALICE));
    assert_eq!(stage.send(CALLEE, BOB, &mut rtp(0, 2, 1)), Forward::Drop(DropReason::Source));
}

#[test]
fn branches_of_both_families_get_a_pair_each() {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0")));
    let v4 = stage.make_offer(CALLEE, LegId(1)).expect("an offer");
    let op = MediaOp::MakeOffer { call: CALL, seat: CALLEE.into(), leg: LegId(2), near: Some(ip(SWITCH_V6)) };
    let reports = stage.perform(op);
    let [MediaReport::Local { sdp: v6, leg, .. }] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!(*leg, LegId(2));
    assert!(v4.contains("c=IN IP4 192.0.2.10") && v6.0.contains("c=IN IP6 2001:db8::10"));
    assert_eq!(stage.ports.taken.len(), 3);
    let bob = "[2001:db8:2::b]:5000";
    stage.accept(CALLEE, LegId(2), &phone(bob, "0")).expect("usable");
    stage.make_answer(CALLER).expect("an answer");
    stage.hear(CALLEE, Source::Peer);
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut rtp(0, 1, 1))), at(bob));
    stage.close();
    assert!(stage.ports.taken.is_empty());
}

#[test]
fn a_branch_may_agree_to_another_codec_than_the_caller_was_told() {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0 8 101")));
    stage.make_offer(CALLEE, LegId(1)).expect("an offer");
    stage.make_offer(CALLEE, LegId(2)).expect("an offer");
    stage.accept(CALLEE, LegId(1), &phone(BOB, "0 101")).expect("the 183");
    stage.make_answer(CALLER).expect("an answer");
    stage.accept(CALLEE, LegId(2), &phone(CAROL, "8 101")).expect("PCMA is turned into PCMU");
    assert_eq!(stage.engine.audio(stage.now, CALL).expect("the call").callee.codec.as_deref(), Some("PCMA"));
    stage.accept(CALLEE, LegId(2), &phone(CAROL, "8 0 101")).expect("PCMU, though not first");
    assert_eq!(stage.engine.audio(stage.now, CALL).expect("the call").callee.codec.as_deref(), Some("PCMU"));
    assert_eq!(formats_in(&stage.told[&CALLER]), "0 101");
}

#[test]
fn the_caller_is_told_what_the_answering_branch_chose_if_it_was_told_nothing_yet() {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0 8 101")));
    stage.make_offer(CALLEE, LegId(1)).expect("an offer");
    stage.make_offer(CALLEE, LegId(2)).expect("an offer");
    stage.accept(CALLEE, LegId(1), &phone(BOB, "0 101")).expect("not passed on");
    stage.accept(CALLEE, LegId(2), &phone(CAROL, "8 101")).expect("the 200");
    assert_eq!(formats_in(&stage.make_answer(CALLER).expect("an answer")), "8 101");
}

#[test]
fn a_new_offer_of_the_callee_moves_its_media() {
    let mut stage = Stage::talking();
    stage.reoffer(CALLEE, &phone(CAROL, "0 8 101")).expect("an answer");
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut rtp(0, 1, 1))), at(CAROL));
    assert_eq!(stage.send(CALLEE, BOB, &mut rtp(0, 1, 1)), Forward::Drop(DropReason::Source));
}

#[test]
fn an_offer_that_is_not_answered_yet_changes_nothing() {
    let mut stage = Stage::talking();
    let sdp = phone(CAROL, "0 8 101").as_str().into();
    stage.perform(MediaOp::Offered { call: CALL, seat: CALLEE.into(), sdp });
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut rtp(0, 1, 1))), at(BOB));
}
