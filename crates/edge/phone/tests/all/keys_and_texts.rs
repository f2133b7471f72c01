//! Keys and texts reach the other side, each once.

use crate::line::{Line, config, end, seconds};
use hookswitch_codec::pcmu;
use hookswitch_phone::{AnswerPolicy, Event, Keys, PhoneConfig, PhoneError};

fn digits(events: &[Event]) -> Vec<(char, Keys)> {
    let digits = events.iter().filter_map(|event| match event {
        Event::Digit { digit, by } => Some((*digit, *by)),
        _ => None,
    });
    digits.collect()
}

#[test]
fn a_key_is_heard_once_however_it_travels() {
    for by in [Keys::Info, Keys::Rtp] {
        let mut line = Line::new(config("alice"), config("bob"));
        line.dial().pass(seconds(1));
        for digit in ['5', '#'] {
            line.alice.press(line.now, digit, by).unwrap();
            line.pass(seconds(1));
        }
        assert_eq!(digits(&line.bob_heard), [('5', by), ('#', by)]);
        assert_eq!(digits(&line.alice_heard), []);
    }
}

#[test]
fn lost_packets_do_not_lose_the_key() {
    let mut line = Line::new(config("alice"), config("bob"));
    line.dial().pass(seconds(1));
    line.lose_rtp = Some(2);
    line.alice.press(line.now, '7', Keys::Rtp).unwrap();
    line.pass(seconds(1));
    assert_eq!(digits(&line.bob_heard), [('7', Keys::Rtp)]);
}

#[test]
fn who_takes_no_telephone_events_gets_none() {
    let mut line = Line::new(config("alice"), PhoneConfig { codecs: vec![pcmu()], ..config("bob") });
    line.dial().pass(seconds(1));
    assert_eq!(line.alice.press(line.now, '1', Keys::Rtp), Err(PhoneError::Unsendable));
    assert_eq!(line.alice.press(line.now, 'x', Keys::Info), Err(PhoneError::Unsendable));
}

#[test]
fn a_text_arrives_and_its_sender_is_told() {
    let mut line = Line::new(config("alice"), config("bob"));
    line.dial().pass(seconds(1));
    line.bob.text(line.now, "grüß dich").unwrap();
    line.pass(seconds(1));
    assert!(line.alice_heard.contains(&Event::Text { text: "grüß dich".into() }));
    assert!(line.bob_heard.contains(&Event::Delivered { status: 200 }));
}

#[test]
fn early_media_comes_with_183_and_is_repeated_in_the_answer() {
    let bob = PhoneConfig { early_media: true, answer: AnswerPolicy::Answer { after: seconds(1) }, ..config("bob") };
    let mut line = Line::new(config("alice"), bob);
    line.dial().pass(seconds(2));
    assert!(line.alice_heard.contains(&Event::Ringing { status: 183, early_media: true }), "{:?}", line.alice_heard);
    assert!(line.drawn.contains("200 OK (INVITE) (SDP)"));
    assert!(line.alice.calls().all(|call| call.sends && call.receives));
}

#[test]
fn who_is_silent_says_trying_and_no_more() {
    let mut line = Line::new(config("alice"), PhoneConfig { answer: AnswerPolicy::Silent, ..config("bob") });
    line.dial().pass(seconds(20));
    assert_eq!(line.alice_heard, []);
    assert!(line.drawn.contains("100 Trying"));
    line.alice.hang_up(line.now).unwrap();
    line.pass(seconds(1));
    assert!(end(&line.alice_heard).is_some() && end(&line.bob_heard).is_some());
}

#[test]
fn a_reliable_ringing_is_acknowledged_before_the_answer() {
    let answer = AnswerPolicy::Answer { after: seconds(1) };
    let bob = PhoneConfig { early_media: true, reliable: true, answer, ..config("bob") };
    let mut line = Line::new(config("alice"), bob);
    line.dial().pass(seconds(2));
    let (prack, answer) = (line.drawn.find("PRACK sip:").unwrap(), line.drawn.find("200 OK (INVITE)").unwrap());
    assert!(prack < answer, "{}", line.drawn);
    assert!(line.alice.calls().chain(line.bob.calls()).all(|call| call.sends && call.receives));
}
