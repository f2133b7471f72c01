//! Ruling 31 and 32: what is too long, too much, or of the wrong kind costs its sender only.

use hookswitch_dialect::call_api::{Admission, Config, MAX_MESSAGE, Mode, SessionId, TooManySessions};
use serde_json::json;

use crate::rig::{NOW, Rig, events, request, start_text};

#[test]
fn a_message_of_64_kib_passes_and_a_longer_one_closes() {
    let frame = request("Echo", &json!({"x": ""})).len();
    let text = request("Echo", &json!({"x": "y".repeat(MAX_MESSAGE - frame)}));
    assert_eq!(text.len(), MAX_MESSAGE);
    let mut rig = Rig::new(Mode::Original);
    rig.hub.open(SessionId(2), Admission::open(Mode::Original)).unwrap();
    rig.start("running");
    assert_eq!(events(&rig.send(&text)), ["Started", "Reply", "Ended"]);
    assert!(rig.send(&format!("{text} ")).is_empty());
    assert_eq!(rig.closed, [(SessionId(1), 1009)]);
    assert!(rig.send(&text).is_empty());
    assert_eq!(events(&rig.send_on(2, &text)), ["Started", "Reply", "Ended"]);
    assert_eq!(rig.hub.running(), 1);
}

#[test]
fn commands_in_flight_are_limited_but_can_always_be_ended() {
    let config = Config { max_in_flight: 2, ..Config::default() };
    for (mode, code) in [(Mode::Original, 32000), (Mode::Strict, -32000)] {
        let mut rig = Rig::with(mode, config.clone());
        let first = rig.start("a");
        rig.start("b");
        let heard = rig.send(&start_text("c"));
        assert_eq!(heard[0]["error"]["message"], "too many commands in flight");
        assert_eq!(heard[0]["error"]["code"], code);
        let end = request("CallEnd", &json!({"callid": "a"}));
        assert_eq!(events(&rig.send(&end)), ["Started"]);
        assert_eq!(events(&rig.send(&end)), ["Started"]);
        assert_eq!(events(&rig.send(&end)), ["error"]);
        rig.settle(first, Ok(()));
        rig.hub.open(SessionId(2), Admission::open(mode)).unwrap();
        assert_eq!(events(&rig.send_on(2, &start_text("c"))), ["Started"]);
    }
}

#[test]
fn sessions_are_limited() {
    let mut rig = Rig::with(Mode::Original, Config { max_sessions: 2, ..Config::default() });
    assert_eq!(rig.hub.open(SessionId(2), Admission::open(Mode::Original)), Ok(()));
    assert_eq!(rig.hub.open(SessionId(3), Admission::open(Mode::Original)), Err(TooManySessions(2)));
    assert!(rig.send_on(3, "x").is_empty());
    rig.hub.closed(SessionId(2));
    assert_eq!(rig.hub.open(SessionId(3), Admission::open(Mode::Original)), Ok(()));
}

#[test]
fn binary_is_text_to_the_original_and_an_offence_to_the_strict() {
    let text = request("Echo", &json!({}));
    let mut rig = Rig::new(Mode::Original);
    rig.hub.binary(NOW, SessionId(1), text.as_bytes());
    assert_eq!(rig.drain().len(), 3);
    rig.hub.binary(NOW, SessionId(1), b"\xff\xfe");
    assert!(rig.drain().is_empty());
    let mut strict = Rig::new(Mode::Strict);
    strict.hub.binary(NOW, SessionId(1), text.as_bytes());
    assert!(strict.drain().is_empty());
    assert_eq!((rig.closed[0].1, strict.closed[0].1), (1007, 1003));
}

/// Without a token too, each connection for itself.
#[test]
fn requests_in_a_second_are_limited_per_connection() {
    let echo = request("Echo", &json!({}));
    let config = Config { rate: Some(10), ..Config::default() };
    for (mode, code) in [(Mode::Original, 32000), (Mode::Strict, -32002)] {
        let mut rig = Rig::with(mode, config.clone());
        rig.hub.open(SessionId(2), Admission::open(mode)).unwrap();
        let passed = |rig: &mut Rig, session| (0..50).filter(|_| rig.send_on(session, &echo).len() == 3).count();
        assert_eq!((passed(&mut rig, 1), passed(&mut rig, 2)), (20, 20));
        let heard = rig.send(&echo);
        assert_eq!(heard[0]["error"]["code"], code);
        assert_eq!(heard[0]["error"]["message"], "too many requests");
        rig.now += std::time::Duration::from_secs(1);
        assert_eq!(passed(&mut rig, 1), 10);
    }
    // Nothing is limited that was not configured.
    let mut rig = Rig::new(Mode::Original);
    assert!((0..10_000).all(|_| rig.send(&echo).len() == 3));
}

#[test]
fn the_length_of_a_message_can_be_configured() {
    let text = request("Echo", &json!({"x": "y".repeat(100)}));
    let mut rig = Rig::with(Mode::Original, Config { max_message: text.len(), ..Config::default() });
    assert_eq!(rig.send(&text).len(), 3);
    assert!(rig.send(&format!("{text} ")).is_empty());
    assert_eq!(rig.closed, [(SessionId(1), 1009)]);
}
