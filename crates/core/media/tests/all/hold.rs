//! Holding a party, being held by one, and both at once.

use std::time::Duration;

use crate::stage::{
    self, ALICE, BOB, CALL, CALLEE_LEG, CALLER_LEG, Stage, at, is_sent, parse, phone, phone_with, rtp, sent_to,
};
use hookswitch_call::{LegId, MediaReport, Party, Source};
use hookswitch_media::{DropReason, Forward};
use hookswitch_rtp::is_rtcp;
use hookswitch_sdp::{Direction, SessionDescription};

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;

fn direction_in(sdp: &str) -> Direction {
    let parsed = SessionDescription::parse(sdp).expect("a description");
    let (_, audio) = parsed.first_audio().expect("an audio stream");
    audio.direction()
}

fn version_in(sdp: &str) -> u64 {
    let parsed = SessionDescription::parse(sdp).expect("a description");
    parsed.origin().and_then(|origin| origin.version_number()).expect("a version")
}

fn saying(party: Party, sends: bool, listens: bool) -> MediaReport {
    let leg = if party == Party::Caller { CALLER_LEG } else { CALLEE_LEG };
    MediaReport::Direction { call: CALL, party, leg, sends, listens }
}

/// Bob's description with another direction.
fn bob(direction: &str) -> String {
    phone_with(BOB, "0 101", &format!("a={direction}\r\n"))
}

/// Alice's in the style of RFC 2543: nobody's address, and everything else as it was.
fn alice_nowhere() -> String {
    phone(ALICE, "0 8 101").replace("c=IN IP4 198.51.100.1", "c=IN IP4 0.0.0.0")
}

/// Bob is on hold, and has agreed.
fn bob_is_held() -> Stage {
    let mut stage = Stage::talking();
    stage.hold(CALLEE, true);
    stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    stage.accept(CALLEE, CALLEE_LEG, &bob("recvonly")).expect("agreed");
    stage.take_news();
    stage
}

#[test]
fn a_held_party_is_told_that_we_send_at_most_and_its_audio_goes_nowhere() {
    let mut stage = Stage::talking();
    let before = stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    assert_eq!(direction_in(&before), Direction::SendRecv);
    stage.hold(CALLEE, true);
    // At once, not only when it has agreed.
    assert_eq!(stage.send(CALLEE, BOB, &mut rtp(0, 1, 2)), Forward::Drop(DropReason::Held));
    let offer = stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    assert_eq!(direction_in(&offer), Direction::SendOnly);
    assert_eq!(version_in(&offer), version_in(&before) + 1);
    // Not even if it does as if it had not understood.
    stage.accept(CALLEE, CALLEE_LEG, &bob("sendrecv")).expect("agreed");
    assert_eq!(stage.send(CALLEE, BOB, &mut rtp(0, 2, 2)), Forward::Drop(DropReason::Held));
    assert!(is_sent(&stage.send(CALLER, ALICE, &mut rtp(0, 1, 1))), "what it hears is not for hold to say");
}

#[test]
fn a_repeated_hold_changes_nothing() {
    let mut stage = bob_is_held();
    stage.hold(CALLEE, true);
    let first = stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    stage.accept(CALLEE, CALLEE_LEG, &bob("recvonly")).expect("agreed");
    let second = stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    assert_eq!(first, second);
    assert_eq!(direction_in(&first), Direction::SendOnly);
    assert_eq!(stage.take_news(), []);
}

#[test]
fn off_hold_both_speak_again_and_the_source_has_stayed_known() {
    let natted = "192.0.2.200:31000";
    let mut stage = Stage::talking();
    stage.stream(CALLEE, natted, 2, 0, 5);
    stage.hold(CALLEE, true);
    stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    stage.accept(CALLEE, CALLEE_LEG, &bob("recvonly")).expect("agreed");
    stage.wait(600_000).hold(CALLEE, false);
    // A stranger has no chance while the phone is on its way back.
    let fates = stage.stream(CALLEE, "203.0.113.66:666", 9, 0, 20);
    assert!(fates.iter().all(|fate| !is_sent(fate)));
    let offer = stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    assert_eq!(direction_in(&offer), Direction::SendRecv);
    stage.accept(CALLEE, CALLEE_LEG, &bob("sendrecv")).expect("agreed");
    assert!(is_sent(&stage.send(CALLEE, natted, &mut rtp(0, 5, 2))));
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut rtp(0, 1, 1))), at(natted));
}

#[test]
fn a_party_that_holds_us_is_held_with_inactive() {
    let mut stage = Stage::talking();
    stage.reoffer(CALLEE, &bob("sendonly")).expect("an answer");
    stage.hold(CALLEE, true);
    let offer = stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    assert_eq!(direction_in(&offer), Direction::Inactive);
    stage.accept(CALLEE, CALLEE_LEG, &bob("inactive")).expect("agreed");
    // It takes back its hold: ours lasts.
    let answer = stage.reoffer(CALLEE, &bob("sendrecv")).expect("an answer");
    assert_eq!(direction_in(&answer), Direction::SendOnly);
    // And ours ends before its own.
    stage.reoffer(CALLEE, &bob("sendonly")).expect("an answer");
    stage.hold(CALLEE, false);
    let offer = stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    assert_eq!(direction_in(&offer), Direction::SendRecv, "it may say for itself that it holds");
}

#[test]
fn a_held_partys_own_offers_are_answered_with_what_hold_leaves() {
    for (offered, answered) in [
        ("sendrecv", Direction::SendOnly),
        ("recvonly", Direction::SendOnly),
        ("sendonly", Direction::Inactive),
        ("inactive", Direction::Inactive),
    ] {
        let mut stage = bob_is_held();
        let answer = stage.reoffer(CALLEE, &bob(offered)).expect("an answer");
        assert_eq!(direction_in(&answer), answered, "{offered}");
        assert_eq!(stage.send(CALLEE, BOB, &mut rtp(0, 1, 2)), Forward::Drop(DropReason::Held));
    }
}

#[test]
fn every_style_of_hold_is_told_once_and_so_is_its_end() {
    let session = phone(ALICE, "0 8 101");
    let nowhere = alice_nowhere();
    let media =
        phone_with(ALICE, "0 8 101", "").replace("RTP/AVP 0 8 101\r\n", "RTP/AVP 0 8 101\r\nc=IN IP4 0.0.0.0\r\n");
    let nobody_v6 = session.replace("c=IN IP4 198.51.100.1", "c=IN IP6 ::");
    for (style, held, sends) in [
        ("sendonly", phone_with(ALICE, "0 8 101", "a=sendonly\r\n"), true),
        ("inactive", phone_with(ALICE, "0 8 101", "a=inactive\r\n"), false),
        ("no address", nowhere.clone(), true),
        ("no address for this stream", media, true),
        ("no address, IPv6", nobody_v6, true),
        ("no address and inactive", nowhere + "a=inactive\r\n", false),
    ] {
        let mut stage = Stage::talking();
        assert_eq!(stage.take_news(), [], "the first agreement is no change");
        stage.reoffer(CALLER, &held).expect("an answer");
        assert_eq!(stage.take_news(), [saying(CALLER, sends, false)], "{style}");
        // A refresh of the session in between.
        stage.reoffer(CALLER, &held).expect("an answer");
        assert_eq!(stage.take_news(), [], "{style}");
        assert_eq!(stage.send(CALLEE, BOB, &mut rtp(0, 1, 2)), Forward::Drop(DropReason::Held), "{style}");
        stage.reoffer(CALLER, &session).expect("an answer");
        assert_eq!(stage.take_news(), [saying(CALLER, true, true)], "{style}");
        assert_eq!(sent_to(stage.send(CALLEE, BOB, &mut rtp(0, 2, 2))), at(ALICE), "{style}");
    }
}

#[test]
fn what_a_held_party_answers_is_told_as_well() {
    let mut stage = Stage::talking();
    stage.hold(CALLEE, true);
    stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    stage.accept(CALLEE, CALLEE_LEG, &bob("recvonly")).expect("agreed");
    assert_eq!(stage.take_news(), [saying(CALLEE, false, true)]);
    stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    stage.accept(CALLEE, CALLEE_LEG, &bob("inactive")).expect("agreed");
    assert_eq!(stage.take_news(), [saying(CALLEE, false, false)]);
}

#[test]
fn a_call_that_begins_on_hold_and_another_branch_that_answers_are_no_change() {
    let mut stage = Stage::new();
    stage.open(Some(&phone_with(ALICE, "0", "a=sendonly\r\n")));
    stage.make_offer(CALLEE, LegId(1)).expect("an offer");
    stage.make_offer(CALLEE, LegId(2)).expect("an offer");
    stage.accept(CALLEE, LegId(1), &phone_with(BOB, "0", "a=sendonly\r\n")).expect("early media of one");
    stage.make_answer(CALLER).expect("an answer");
    stage.accept(CALLEE, LegId(2), &phone(stage::CAROL, "0")).expect("the answer of another");
    assert_eq!(stage.take_news(), []);
}

#[test]
fn a_refused_offer_tells_nothing() {
    let mut stage = Stage::talking();
    stage.reoffer(CALLER, &phone_with(ALICE, "18", "a=sendonly\r\n")).expect_err("no common codec");
    assert_eq!(stage.take_news(), []);
    assert!(is_sent(&stage.send(CALLEE, BOB, &mut rtp(0, 1, 2))), "the old session is in force");
}

#[test]
fn nothing_is_sent_to_a_party_that_does_not_listen_but_reports() {
    for held in [phone_with(ALICE, "0", "a=sendonly\r\n"), phone_with(ALICE, "0", "a=inactive\r\n"), alice_nowhere()] {
        let mut stage = Stage::talking();
        stage.send(CALLER, ALICE, &mut rtp(0, 1, 1));
        let mut report = [0x80, 201, 0, 1, 0, 0, 0, 7];
        stage.send_report(CALLER, "198.51.100.1:4001", &mut report);
        stage.hear(CALLER, Source::Hold).press(CALLER, '5', 100);
        stage.run(1_000);
        stage.reoffer(CALLER, &held).expect("an answer");
        stage.press(CALLER, '5', 100);
        let sent = stage.run(20_000);
        assert!(sent.iter().all(|packet| is_rtcp(&packet.bytes)), "{held}");
        assert!(sent.iter().any(|packet| packet.to == at("198.51.100.1:4001")), "{held}");
    }
}

#[test]
fn a_held_party_hears_music_and_goes_on_in_one_stream_afterwards() {
    let mut stage = Stage::talking();
    let mut packet = rtp(0, 100, 1);
    stage.send(CALLER, ALICE, &mut packet);
    let before = parse(&packet).header();
    stage.hold(CALLEE, true).hear(CALLEE, Source::Hold).hear(CALLER, Source::Silence);
    stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    stage.accept(CALLEE, CALLEE_LEG, &bob("recvonly")).expect("agreed");
    let sent = stage.run(1_000);
    assert_eq!(sent.iter().filter(|packet| !is_rtcp(&packet.bytes)).count(), 50);
    let first = parse(&sent[0].bytes).header();
    assert_eq!((first.ssrc, first.sequence), (before.ssrc, before.sequence + 1));
    let last = parse(&sent.iter().rfind(|packet| !is_rtcp(&packet.bytes)).expect("music").bytes).header();
    stage.hold(CALLEE, false).hear(CALLEE, Source::Peer).hear(CALLER, Source::Peer);
    stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    stage.accept(CALLEE, CALLEE_LEG, &bob("sendrecv")).expect("agreed");
    let mut packet = rtp(0, 151, 1);
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut packet)), at(BOB));
    let after = parse(&packet).header();
    assert_eq!((after.ssrc, after.sequence), (last.ssrc, last.sequence.wrapping_add(1)));
    assert!(after.timestamp.wrapping_sub(last.timestamp) < 800);
}

#[test]
fn nobody_on_hold_is_reported_as_silent() {
    let mut stage = bob_is_held();
    // It says that it sends, against what it was asked: we would not hear it.
    stage.accept(CALLEE, CALLEE_LEG, &bob("sendrecv")).expect("agreed");
    stage.wait(600_000).send(CALLER, ALICE, &mut rtp(0, 1, 1));
    assert_eq!(stage.engine.silent(stage.now).count(), 0);
    stage.hold(CALLEE, false).wait(59_000).send(CALLER, ALICE, &mut rtp(0, 2, 1));
    assert_eq!(stage.engine.silent(stage.now).count(), 0, "it is given time to speak again");
    stage.now += Duration::from_secs(1);
    assert_eq!(stage.engine.silent(stage.now).collect::<Vec<_>>(), [(CALL, CALLEE)]);
}

#[test]
fn a_party_may_be_put_on_hold_before_it_has_answered() {
    let mut stage = Stage::new();
    stage.open(None);
    stage.hold(CALLER, true);
    let offer = stage.make_offer(CALLER, CALLER_LEG).expect("an offer");
    assert_eq!(direction_in(&offer), Direction::SendOnly);
}
