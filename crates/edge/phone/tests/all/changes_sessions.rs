//! Sessions that stand are changed by either side, and go back to what they were when the change is refused.

use std::time::Duration;

use crate::line::{Line, config, seconds, tones};
use hookswitch_codec::{pcma, pcmu, telephone_event};
use hookswitch_phone::{Event, Hold, Line as Number, PhoneConfig, PhoneError, Sound};

fn talking() -> Line {
    let with = |name, hz| PhoneConfig { sound: Sound::tone(hz), ..config(name) };
    let mut line = Line::new(with("alice", 440.0), with("bob", 800.0));
    line.dial().pass(seconds(1));
    line
}

fn changes(events: &[Event]) -> Vec<(bool, bool)> {
    let changed = events.iter().filter_map(|event| match event {
        Event::Changed { sends, receives } => Some((*sends, *receives)),
        _ => None,
    });
    changed.collect()
}

#[test]
fn each_style_of_hold_is_answered_as_it_must_be() {
    // What alice asks, what she then does (sends, receives), and what bob does.
    let styles = [
        (Hold::On, (true, false), (false, true)),
        (Hold::Silent, (false, false), (false, false)),
        (Hold::Nowhere, (true, false), (false, true)),
    ];
    for (style, alice, bob) in styles {
        let mut line = talking();
        line.alice.hold(line.now, style).unwrap();
        line.pass(seconds(1));
        assert_eq!(changes(&line.alice_heard), [alice], "{style:?}");
        assert_eq!(changes(&line.bob_heard), [bob], "{style:?}");
        line.alice.hold(line.now, Hold::Off).unwrap();
        line.pass(seconds(1));
        assert_eq!(changes(&line.alice_heard).last(), Some(&(true, true)), "{style:?}");
        assert_eq!(changes(&line.bob_heard).last(), Some(&(true, true)), "{style:?}");
    }
}

#[test]
fn an_old_hold_says_0_0_0_0_and_the_two_new_ones_say_a_direction() {
    for (style, says) in [(Hold::On, "a=sendonly"), (Hold::Silent, "a=inactive"), (Hold::Nowhere, "c=IN IP4 0.0.0.0")] {
        let mut line = talking();
        line.alice.hold(line.now, style).unwrap();
        line.collect();
        let last = line.sent.last().unwrap();
        assert!(last.starts_with("INVITE") && last.contains(says), "{last}");
    }
}

#[test]
fn audio_that_has_moved_is_heard_at_its_new_port_only() {
    let mut line = talking();
    line.alice.move_audio(line.now).unwrap();
    line.pass(seconds(1));
    let before = tones(&line.alice_heard).len();
    assert_eq!(line.alice.calls().next().unwrap().local.port(), 4002);
    assert_eq!(line.bob.calls().next().unwrap().remote, Some("10.0.0.1:4002".parse().unwrap()));
    line.pass(seconds(2));
    assert!(tones(&line.alice_heard).len() >= before + 9);
}

#[test]
fn another_codec_is_agreed_and_a_refused_one_changes_nothing() {
    let mut line = talking();
    line.alice.prefer(line.now, &[pcma(), telephone_event()]).unwrap();
    line.pass(seconds(1));
    assert_eq!(line.bob.calls().next().unwrap().codec, Some("PCMA"));
    assert_eq!(line.alice.calls().next().unwrap().codec, Some("PCMA"));

    let only = |name| PhoneConfig { codecs: vec![pcmu()], ..config(name) };
    let mut line = Line::new(config("alice"), only("bob"));
    line.dial().pass(seconds(1));
    line.alice.prefer(line.now, &[pcma()]).unwrap();
    line.pass(seconds(1));
    assert!(line.alice_heard.contains(&Event::ChangeFailed { status: 488 }), "{:?}", line.alice_heard);
    line.alice.hold(line.now, Hold::On).unwrap();
    line.pass(seconds(1));
    assert_eq!(line.alice.calls().next().unwrap().codec, Some("PCMU"), "the wish for PCMA is forgotten");
}

#[test]
fn a_late_offer_in_a_standing_call_is_answered_in_the_ack() {
    let mut line = talking();
    line.alice.reoffer_late(line.now).unwrap();
    line.pass(seconds(1));
    assert_eq!(changes(&line.alice_heard), [(true, true)]);
    assert_eq!(changes(&line.bob_heard), [(true, true)]);
    assert!(line.drawn.contains("ACK sip:bob@10.0.0.2:5060 (SDP)"), "{}", line.drawn);
}

#[test]
fn one_change_at_a_time() {
    let mut line = talking();
    line.alice.hold(line.now, Hold::On).unwrap();
    assert_eq!(line.alice.hold(line.now, Hold::Off), Err(PhoneError::Pending));
    assert_eq!(line.alice.reoffer_late(line.now), Err(PhoneError::Pending));
    line.collect();
    line.pass(seconds(1));
    line.alice.hold(line.now, Hold::Off).unwrap();
    line.pass(seconds(1));
    assert_eq!(changes(&line.bob_heard).last(), Some(&(true, true)));
}

#[test]
fn two_lines_have_calls_of_their_own() {
    let two = |name| PhoneConfig { lines: 2, ..config(name) };
    let mut line = Line::new(two("alice"), two("bob"));
    line.dial().pass(seconds(1));
    line.alice.hold(line.now, Hold::On).unwrap();
    line.pass(seconds(1));
    line.dial().pass(seconds(1));
    assert_eq!(line.alice.chosen(), Number(1));
    let ports: Vec<u16> = line.alice.calls().map(|call| call.local.port()).collect();
    assert_eq!(ports, [4000, 4020]);
    assert_eq!(line.alice.call(line.now, "sip:bob@a.test"), Err(PhoneError::InCall));
    line.alice.hang_up(line.now).unwrap();
    line.pass(seconds(1));
    assert_eq!(line.alice.chosen(), Number(0));
    line.alice.hold(line.now, Hold::Off).unwrap();
    line.pass(seconds(1));
    assert!(line.alice.calls().next().is_some_and(|call| call.sends && call.receives));
    assert_eq!(line.alice.choose(Number(1)), Err(PhoneError::NoCall));
}

#[test]
fn an_update_changes_the_session_without_an_ack() {
    let mut line = talking();
    line.alice.update(line.now).unwrap();
    line.pass(seconds(1));
    assert_eq!(changes(&line.alice_heard), [(true, true)]);
    assert_eq!(changes(&line.bob_heard), [(true, true)]);
    assert_eq!((line.requests("UPDATE").len(), line.requests("ACK").len()), (1, 1));
    line.alice.hold(line.now, Hold::On).unwrap();
    line.pass(seconds(1));
    assert_eq!(changes(&line.bob_heard).last(), Some(&(false, true)));
}

#[test]
fn an_update_holds_as_a_reinvite_does() {
    let mut line = talking();
    line.alice.hold_by_update(line.now, Hold::On).unwrap();
    line.pass(seconds(1));
    assert_eq!((changes(&line.alice_heard), changes(&line.bob_heard)), (vec![(true, false)], vec![(false, true)]));
    assert_eq!((line.requests("UPDATE").len(), line.requests("ACK").len()), (1, 1));
}

#[test]
fn a_firm_phone_refuses_every_change_and_keeps_its_call() {
    let mut line = talking();
    line.bob.refuse_changes(Some(488));
    line.alice.hold(line.now, Hold::On).unwrap();
    line.pass(seconds(1));
    line.alice.update(line.now).unwrap();
    line.pass(seconds(1));
    let refused = line.alice_heard.iter().filter(|event| **event == Event::ChangeFailed { status: 488 }).count();
    assert_eq!(refused, 2, "{:?}", line.alice_heard);
    assert!(line.alice.calls().chain(line.bob.calls()).all(|call| call.sends && call.receives));
}

#[test]
fn a_change_that_waits_behind_the_other_sides_is_no_part_of_what_that_is_answered() {
    let mut line = talking();
    line.alice.hold(line.now, Hold::Silent).unwrap();
    line.bob.move_audio(line.now).unwrap();
    // Both are refused with 491; bob, who did not begin the call, is the first to try again (RFC 3261 14.1).
    line.pass(seconds(10));
    assert_eq!(changes(&line.alice_heard), [(true, true), (false, false)]);
    assert_eq!(changes(&line.bob_heard), [(true, true), (false, false)]);
    assert!(line.alice.in_call() && line.bob.in_call());
}

#[test]
fn a_change_that_is_refused_in_the_end_leaves_what_was_answered_meanwhile_in_force() {
    let mut line = talking();
    line.bob.refuse_changes(Some(491));
    line.alice.hold(line.now, Hold::Silent).unwrap();
    line.pass(Duration::from_millis(500));
    line.bob.move_audio(line.now).unwrap();
    line.pass(seconds(20));
    assert!(line.alice_heard.contains(&Event::ChangeFailed { status: 491 }));
    assert_eq!(changes(&line.alice_heard), [(true, true)]);
    assert_eq!(changes(&line.bob_heard), [(true, true)]);
    assert_eq!(line.alice.calls().next().map(|call| (call.hold, call.receives)), Some((Hold::Off, true)));
}
