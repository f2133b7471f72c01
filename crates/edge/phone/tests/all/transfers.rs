//! REFER, NOTIFY and Replaces between two phones.

use crate::line::{Line, config, end, millis, seconds};
use hookswitch_phone::{AnswerPolicy, EndCause, Event, Line as Number, PhoneConfig, PhoneError, ReferPolicy};
use hookswitch_sip::Header;
use hookswitch_sip_msg::HeaderName;

/// Alice has two lines and talks to bob.
fn talking(bob: PhoneConfig) -> Line {
    let mut line = Line::new(PhoneConfig { lines: 2, ..config("alice") }, bob);
    line.dial().pass(seconds(1));
    line
}

fn progress(events: &[Event]) -> Vec<(u16, bool)> {
    let progress = events.iter().filter_map(|event| match event {
        Event::ReferProgress { status, is_last } => Some((*status, *is_last)),
        _ => None,
    });
    progress.collect()
}

#[test]
fn whoever_is_asked_calls_and_tells_how_far_it_has_come() {
    let mut line = talking(config("bob"));
    line.alice.set_answer(AnswerPolicy::Answer { after: millis(500) });
    line.alice.refer(line.now, "sip:alice@a.test").unwrap();
    line.pass(seconds(3));
    assert!(line.alice_heard.contains(&Event::ReferAnswered { status: 202 }), "{}", line.drawn);
    assert!(line.bob_heard.contains(&Event::ReferAsked { to: "sip:alice@a.test".into(), accepted: true }));
    assert_eq!(progress(&line.alice_heard), [(100, false), (180, false), (200, true)]);
    assert_eq!(end(&line.alice_heard), Some(&EndCause::HungUp), "the transferor leaves");
    assert_eq!((line.alice.calls().count(), line.bob.calls().count()), (1, 1));
    assert!(line.requests("INVITE").last().unwrap().contains("Referred-By: <sip:alice@a.test>"));
}

#[test]
fn a_target_that_is_busy_leaves_the_two_where_they_were() {
    let mut line = talking(config("bob"));
    line.alice.set_answer(AnswerPolicy::BUSY);
    line.alice.refer(line.now, "sip:alice@a.test").unwrap();
    line.pass(seconds(3));
    assert_eq!(progress(&line.alice_heard), [(100, false), (486, true)]);
    assert_eq!((line.alice.calls().count(), line.bob.calls().count()), (1, 1));
    line.bob.hang_up(line.now).unwrap();
    line.pass(seconds(1));
    assert!(!line.alice.in_call() && !line.bob.in_call());
}

#[test]
fn a_call_that_still_rings_can_be_what_somebody_is_transferred_to() {
    let mut line = talking(PhoneConfig { lines: 2, ..config("bob") });
    line.bob.set_answer(AnswerPolicy::Ring);
    line.alice.call(line.now, "sip:bob@a.test").unwrap();
    line.collect();
    assert_eq!(line.alice.replaces(Number(1)), None, "nobody has said anything yet");
    line.pass(seconds(1));
    let replaces = line.alice.replaces(Number(1)).expect("an early dialog has both its tags");
    line.alice.choose(Number(0)).unwrap();
    line.alice.refer_to_line(line.now, Number(1)).unwrap();
    line.collect();
    let refer = line.requests("REFER")[0];
    let call_id = replaces.split(';').next().unwrap_or_default();
    assert!(refer.contains(&format!("?Replaces={call_id}%3Bto-tag%3D")), "{refer}");
}

#[test]
fn a_refused_transfer_says_so_once() {
    let mut line = talking(PhoneConfig { refer: ReferPolicy::Refuse(403), ..config("bob") });
    line.alice.refer(line.now, "sip:alice@a.test").unwrap();
    line.pass(seconds(3));
    assert!(line.alice_heard.contains(&Event::ReferAnswered { status: 403 }));
    assert!(line.bob_heard.contains(&Event::ReferAsked { to: "sip:alice@a.test".into(), accepted: false }));
    assert_eq!(progress(&line.alice_heard), []);
    assert!(line.alice.in_call() && line.bob.in_call());
}

#[test]
fn whoever_is_called_with_replaces_changes_over_at_once() {
    let mut line = talking(PhoneConfig { lines: 2, ..config("bob") });
    line.alice.set_answer(AnswerPolicy::Ring);
    let replaces = line.bob.replaces(line.bob.chosen()).unwrap();
    let headers = vec![Header::new(HeaderName::Replaces, replaces.to_string())];
    line.bob.call_with(line.now, "sip:alice@a.test", headers).unwrap();
    line.pass(seconds(1));
    assert_eq!(end(&line.alice_heard), Some(&EndCause::Replaced), "{}", line.drawn);
    assert!(matches!(end(&line.bob_heard), Some(EndCause::PeerHungUp { .. })));
    assert_eq!((line.alice.calls().count(), line.bob.calls().count()), (1, 1));
}

#[test]
fn replaces_of_nothing_is_refused() {
    let mut line = talking(PhoneConfig { lines: 2, ..config("bob") });
    let early = format!("{};early-only", line.bob.replaces(line.bob.chosen()).unwrap());
    for (value, status) in [("x;to-tag=1;from-tag=2", 481), ("x;to-tag=1", 400), (early.as_str(), 486)] {
        let headers = vec![Header::new(HeaderName::Replaces, value.to_owned())];
        line.bob.call_with(line.now, "sip:alice@a.test", headers).unwrap();
        line.pass(seconds(1));
        assert!(
            matches!(line.bob_heard.last(), Some(Event::Ended { cause: EndCause::Refused { status: told, .. }, .. })
            if *told == status)
        );
    }
    assert!(line.alice.in_call());
}

#[test]
fn without_a_call_nobody_is_transferred() {
    let mut line = Line::new(config("alice"), config("bob"));
    assert_eq!(line.alice.refer(line.now, "sip:carol@a.test"), Err(PhoneError::NoCall));
    line.dial();
    assert_eq!(line.alice.refer(line.now, "sip:carol@a.test"), Err(PhoneError::NoCall));
    line.pass(seconds(1));
    assert_eq!(line.alice.refer_to_line(line.now, hookswitch_phone::Line(1)), Err(PhoneError::NoCall));
}

#[test]
fn a_phone_that_says_everything_twice_is_understood_once() {
    let mut line = Line::new(PhoneConfig { doubles: true, ..config("alice") }, config("bob"));
    line.dial().pass(seconds(1));
    line.alice.hang_up(line.now).unwrap();
    line.pass(seconds(40));
    assert_eq!(line.bob_heard.iter().filter(|event| matches!(event, Event::Incoming { .. })).count(), 1);
    assert_eq!(line.requests("INVITE").len(), 2);
    assert_eq!(line.bob.counts(), hookswitch_sip::Counts::default());
}
