//! Calls of which nobody says anything any more, and those who only listen.

use std::time::Duration;

use crate::stage::{self, ALICE, BOB, CALL, CALLEE_LEG, NEW_LEG, NEW_SEAT, Stage, config, phone, phone_with, rtp};
use hookswitch_call::{MediaReport, Party, Source};
use hookswitch_media::EngineConfig;
use hookswitch_rtp::CompoundWriter;

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;
const SHORT_MS: u64 = 300_000;
const LONG_MS: u64 = 7_200_000;

/// The silence that is reported now, in milliseconds.
fn idle(stage: &mut Stage) -> Option<u128> {
    stage.engine.report_idle(stage.now);
    match stage.reports()[..] {
        [] => None,
        [MediaReport::Idle { call: CALL, silence }] => Some(silence.as_millis()),
        ref other => panic!("{other:?}"),
    }
}

/// A call that is over after so much silence from now on, and not a millisecond before.
fn assert_over_after(stage: &mut Stage, ms: u64, what: &str) {
    assert_eq!(idle(stage.wait(ms - 1)), None, "{what}");
    assert_eq!(idle(stage.wait(1)), Some(u128::from(ms)), "{what}");
}

#[test]
fn a_call_of_which_nothing_comes_is_reported_after_five_minutes_and_again_while_it_lasts() {
    let mut stage = Stage::talking();
    assert_over_after(&mut stage, SHORT_MS, "from the agreement on");
    assert_eq!(idle(stage.wait(1_000)), Some(u128::from(SHORT_MS) + 1_000));
}

#[test]
fn one_packet_of_either_party_begins_the_time_anew_and_a_strangers_does_not() {
    for (party, from) in [(CALLER, ALICE), (CALLEE, BOB)] {
        let mut stage = Stage::talking();
        stage.wait(200_000).send(party, from, &mut rtp(0, 1, 1));
        assert_eq!(idle(stage.wait(SHORT_MS - 2)), None);
        stage.send(party, "203.0.113.66:666", &mut rtp(0, 1, 2));
        stage.send(party, from, &mut rtp(77, 2, 1));
        assert_eq!(idle(stage.wait(1)), None);
        assert_eq!(idle(stage.wait(1)), Some(u128::from(SHORT_MS)), "from the packet on");
    }
}

#[test]
fn reports_of_a_party_that_sends_no_audio_keep_its_call() {
    let mut stage = Stage::talking();
    let mut buffer = [0; 64];
    let mut writer = CompoundWriter::new(&mut buffer);
    writer.receiver_report(1, &[]).expect("room");
    writer.cname(1, b"a").expect("room");
    let len = writer.len();
    stage.wait(250_000).send_report(CALLER, "198.51.100.1:4001", &mut buffer[..len].to_vec());
    assert_over_after(&mut stage, SHORT_MS, "from the report on");
}

#[test]
fn who_holds_is_held_only_listens_or_is_served_has_two_hours() {
    type Change = fn(&mut Stage);
    let changes: [(&str, Change); 9] = [
        ("Bob holds", |stage| drop(stage.reoffer(CALLEE, &phone_with(BOB, "0", "a=sendonly\r\n")))),
        ("neither sends", |stage| drop(stage.reoffer(CALLEE, &phone_with(BOB, "0", "a=inactive\r\n")))),
        ("Bob only listens", |stage| drop(stage.reoffer(CALLEE, &phone_with(BOB, "0", "a=recvonly\r\n")))),
        ("Bob is on hold", |stage| {
            stage.hold(CALLEE, true);
        }),
        ("Bob hears music", |stage| {
            stage.hear(CALLEE, Source::Hold);
        }),
        ("Bob hears a tone", |stage| {
            stage.hear(CALLEE, Source::Reference);
        }),
        ("Bob hears ringing", |stage| {
            stage.hear(CALLEE, Source::Ringback);
        }),
        ("Bob hears sounds", |stage| {
            stage.hear(CALLEE, Source::Sounds);
        }),
        ("Bob is in a conference", |stage| {
            stage.hear(CALLEE, Source::Room);
        }),
    ];
    for (what, change) in changes {
        let mut stage = Stage::talking();
        change(&mut stage);
        assert_over_after(&mut stage, LONG_MS, what);
    }
}

#[test]
fn who_comes_off_hold_has_five_minutes_to_speak_again() {
    let mut stage = Stage::talking();
    stage.hold(CALLEE, true);
    assert_eq!(idle(stage.wait(3_600_000)), None);
    stage.hold(CALLEE, false);
    assert_over_after(&mut stage, SHORT_MS, "off hold");
}

#[test]
fn a_phone_that_refreshes_its_session_and_says_nothing_does_not_keep_the_call() {
    let mut stage = Stage::talking();
    stage.wait(SHORT_MS - 1).reoffer(CALLER, &phone(ALICE, "0 8 101")).expect("an answer");
    assert_eq!(idle(&mut stage), None);
    assert_eq!(idle(stage.wait(1)), Some(u128::from(SHORT_MS)), "the same once more is nothing new");
}

#[test]
fn an_echo_that_nobody_speaks_to_is_over_and_a_call_that_rings_is_not() {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0")));
    assert_eq!(idle(stage.wait(LONG_MS)), None, "there is no session yet");
    stage.make_answer(CALLER).expect("an answer");
    stage.hear(CALLER, Source::Echo);
    assert_over_after(&mut stage, SHORT_MS, "an echo");
}

#[test]
fn whoever_speaks_beside_the_table_keeps_the_call_as_well() {
    let mut stage = Stage::talking();
    stage.open_spare(CALLEE);
    stage.make_offer(NEW_SEAT, NEW_LEG).expect("an offer");
    stage.wait(200_000).accept(NEW_SEAT, NEW_LEG, &phone(stage::CAROL, "0")).expect("usable");
    assert_over_after(&mut stage, SHORT_MS, "from the last agreement on");
    stage.send_spare(stage::CAROL, &mut rtp(0, 1, 1));
    assert_over_after(&mut stage, SHORT_MS, "from the packet on");
}

#[test]
fn times_are_configured_and_zero_is_never() {
    let with = |short: u64, long: u64| EngineConfig {
        idle_after: Duration::from_millis(short),
        idle_held_after: Duration::from_millis(long),
        ..config()
    };
    let talking = |config| {
        let mut stage = Stage::with(config, 8);
        stage.connect(&phone(ALICE, "0"), &phone(BOB, "0"));
        stage
    };
    assert_over_after(&mut talking(with(20_000, 0)), 20_000, "as in the original");
    let mut stage = talking(with(0, 60_000));
    assert_eq!(idle(stage.wait(10 * LONG_MS)), None, "nobody holds");
    stage.hold(CALLEE, true).make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    assert_eq!(idle(&mut stage), Some(10 * u128::from(LONG_MS)), "now somebody does");
}
