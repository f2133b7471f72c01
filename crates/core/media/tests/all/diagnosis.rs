//! What the engine knows of the way that audio takes, and when it tells of it by itself.

use std::time::Duration;

use crate::stage::{self, ALICE, BOB, CALL, Stage, at, config, phone, rtp};
use hookswitch_call::diagnosis::{Finding, Silence, findings};
use hookswitch_call::{AudioNews, CallAudio, CallId, MediaOp, MediaReport, Party, Source, Strange};

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;
const PRIVATE: &str = "192.168.1.5:4000";
const NATTED: &str = "192.0.2.200:31000";

/// What was told of the audio since the last time, and why.
fn told(stage: &mut Stage) -> Vec<(AudioNews, CallAudio)> {
    stage.reports();
    let news = stage.take_news().into_iter().filter_map(|report| match report {
        MediaReport::Audio { call, news, audio } => {
            assert_eq!(call, CALL);
            Some((news, *audio.expect("the call is here")))
        }
        _ => None,
    });
    news.collect()
}

fn look(stage: &mut Stage) -> Vec<(AudioNews, CallAudio)> {
    let now = stage.now;
    stage.engine.report_quiet(now);
    told(stage)
}

fn inspect(stage: &mut Stage) -> CallAudio {
    stage.perform(MediaOp::Inspect { call: CALL });
    let [(AudioNews::Asked, audio)] = &told(stage)[..] else { panic!("one answer") };
    audio.clone()
}

/// Both have spoken for a second; Bob still does for `more` ms.
fn both_then_bob(stage: &mut Stage, more: u64) {
    for n in 0..50 {
        stage.wait(20);
        stage.send(CALLER, ALICE, &mut rtp(0, n, 1));
        stage.send(CALLEE, BOB, &mut rtp(0, n, 2));
    }
    for n in 0..u16::try_from(more / 20).unwrap() {
        stage.wait(20);
        stage.send(CALLEE, BOB, &mut rtp(0, 50 + n, 2));
    }
}

#[test]
fn both_sides_of_each_end_are_known() {
    let mut stage = Stage::talking();
    let begun = stage.now;
    both_then_bob(&mut stage, 0);
    let audio = inspect(&mut stage);
    let alice = audio.of(CALLER);
    assert_eq!((alice.said, alice.source), (Some(at(ALICE)), Some(at(ALICE))));
    assert_eq!(alice.ours, Some(at(&format!("{}:{}", stage::SWITCH, stage.our_port[&CALLER]))));
    assert_eq!(alice.codec.as_deref(), Some("PCMU"));
    assert_eq!((alice.first, alice.last), (Some(begun + Duration::from_millis(20)), Some(stage.now)));
    assert_eq!((alice.received, alice.sent, alice.moves), (50, 50, 0));
    assert_eq!((alice.received_octets, alice.agreed), (50 * 172, Some(begun)));
    assert!(alice.sends && alice.listens && !alice.held);
    assert!(findings(&audio, CALLER).is_empty() && findings(&audio, CALLEE).is_empty());
}

#[test]
fn a_call_that_is_not_here_is_answered_as_well() {
    let mut stage = Stage::talking();
    let asked = MediaOp::Inspect { call: CallId(99) };
    stage.perform(asked);
    let expected = MediaReport::Audio { call: CallId(99), news: AudioNews::Asked, audio: None };
    assert_eq!(stage.take_news(), [expected]);
}

#[test]
fn a_party_that_falls_silent_is_told_once_and_again_after_ever_longer_times() {
    let mut stage = Stage::talking();
    both_then_bob(&mut stage, 4_980);
    assert!(look(&mut stage).is_empty(), "five seconds are not over");
    let mut at_seconds = Vec::new();
    let since = stage.now - Duration::from_millis(4_980);
    for n in 0..4_000_u16 {
        stage.wait(20);
        stage.send(CALLEE, BOB, &mut rtp(0, 300 + n, 2));
        for (news, audio) in look(&mut stage) {
            assert_eq!(news, AudioNews::Quiet(CALLER));
            let [Finding::Silent { since: told, heard_before: true, why: Silence::Lost }] =
                findings(&audio, CALLER)[..]
            else {
                panic!("{audio:?}")
            };
            assert_eq!(told, since);
            at_seconds.push((stage.now - since).as_secs());
        }
    }
    assert_eq!(at_seconds, [5, 10, 20, 40, 80]);
}

#[test]
fn one_that_is_back_is_told_of_once() {
    let mut stage = Stage::talking();
    both_then_bob(&mut stage, 6_000);
    assert_eq!(look(&mut stage).len(), 1);
    stage.send(CALLER, ALICE, &mut rtp(0, 400, 1));
    let news: Vec<_> = look(&mut stage).into_iter().map(|(news, _)| news).collect();
    assert_eq!(news, [AudioNews::Back(CALLER)]);
    assert!(look(&mut stage).is_empty());
}

#[test]
fn nobody_is_told_of_who_is_not_in_a_talk_or_not_to_speak() {
    for quiet in [
        |stage: &mut Stage| {
            stage.hear(CALLEE, Source::Hold);
        },
        |stage: &mut Stage| {
            stage.hear(CALLER, Source::Ringback);
        },
        |stage: &mut Stage| {
            stage.hold(CALLER, true).hold(CALLEE, true);
        },
    ] {
        let mut stage = Stage::talking();
        quiet(&mut stage);
        stage.wait(60_000);
        assert!(look(&mut stage).is_empty());
    }
}

#[test]
fn zero_never_tells() {
    let mut quiet = config();
    quiet.quiet_after = Duration::ZERO;
    let mut stage = Stage::with(quiet, 8);
    stage.connect(&phone(ALICE, "0"), &phone(BOB, "0")).wait(600_000);
    assert!(look(&mut stage).is_empty());
    // Whoever asks is told all the same.
    let audio = inspect(&mut stage);
    assert!(matches!(findings(&audio, CALLER)[..], [Finding::Silent { heard_before: false, .. }]));
}

#[test]
fn a_nat_shows_by_the_source_and_a_second_one_by_the_move() {
    let mut stage = Stage::new();
    stage.connect(&phone(PRIVATE, "0"), &phone(BOB, "0"));
    stage.stream(CALLER, NATTED, 1, 0, 20);
    let audio = inspect(&mut stage);
    let behind = Finding::BehindNat { said: at(PRIVATE), source: at(NATTED) };
    assert_eq!(findings(&audio, CALLER), [behind]);
    // The router forgets, and gives another port.
    let other = "192.0.2.200:32000";
    stage.wait(2_000);
    stage.stream(CALLER, other, 1, 200, 20);
    let audio = inspect(&mut stage);
    let behind = Finding::BehindNat { said: at(PRIVATE), source: at(other) };
    assert_eq!(findings(&audio, CALLER), [behind, Finding::Moved { times: 1, source: at(other) }]);
}

#[test]
fn what_was_not_agreed_explains_a_silence() {
    let cases: [(Vec<u8>, Strange, Silence); 4] = [
        (rtp(18, 1, 1), Strange::PayloadType(18), Silence::OtherCodec { payload_type: 18 }),
        ([&[22, 254, 253][..], &[0; 60]].concat(), Strange::Dtls, Silence::Encrypted),
        ([&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[0; 12]].concat(), Strange::Stun, Silence::Ice),
        (vec![0x55; 40], Strange::Other, Silence::NotRtp),
    ];
    for (packet, kind, why) in cases {
        let mut stage = Stage::talking();
        for _ in 0..300 {
            stage.wait(20);
            stage.send(CALLER, ALICE, &mut packet.clone());
        }
        let audio = inspect(&mut stage);
        assert_eq!(audio.caller.strange_last, Some((stage.now, kind)));
        assert_eq!(audio.caller.strange, 300);
        let found = findings(&audio, CALLER);
        assert!(matches!(found[..], [Finding::Silent { why: told, .. }] if told == why), "{found:?}");
    }
}

#[test]
fn sources_that_are_not_believed_explain_one_too() {
    let mut stage = Stage::talking();
    for n in 0..300 {
        stage.wait(20);
        // Never two in a row.
        stage.send(CALLER, NATTED, &mut rtp(0, n * 7, 1));
    }
    let audio = inspect(&mut stage);
    let found = findings(&audio, CALLER);
    let why = Silence::NotBelieved { source: at(NATTED) };
    assert!(matches!(found[..], [Finding::Silent { why: told, .. }] if told == why), "{found:?}");
}

#[test]
fn a_key_that_the_other_end_takes_no_events_for_is_nothing_strange() {
    let mut stage = Stage::new();
    stage.connect(&phone(ALICE, "0 101"), &phone(BOB, "0 101"));
    stage.hear(CALLEE, Source::Silence);
    stage.send(CALLER, ALICE, &mut rtp(101, 1, 1));
    assert_eq!(inspect(&mut stage).caller.strange, 0);
}

#[test]
fn the_last_word_of_a_call_is_what_is_known_of_its_audio() {
    let mut stage = Stage::talking();
    both_then_bob(&mut stage, 0);
    let before = inspect(&mut stage);
    stage.close();
    assert_eq!(told(&mut stage), [(AudioNews::Closed, before)]);
    // Nobody has agreed to anything here.
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0"))).close();
    assert!(told(&mut stage).is_empty());
}
