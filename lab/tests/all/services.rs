//! Services of the switch itself: sip:echo and sip:tone.

use hookswitch_lab::{Lab, millis, seconds};
use hookswitch_sip::Transport;

/// The reference tone: 1004 Hz at -16 dBm0, which is -19.17 dB below full scale.
const REFERENCE_HZ: f32 = 1_004.0;
const REFERENCE_DBFS: f32 = -19.17;

#[test]
fn echo_sends_back_what_it_hears() {
    let mut lab = Lab::new();
    let [alice] = lab.registered(["alice"]);
    lab.dial(alice, "echo");
    lab.pass(seconds(2));
    lab.assert_hears(alice, alice);
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn echo_over_tcp_for_several_at_once() {
    let mut lab = Lab::new();
    let phones = lab.registered_with(["alice", "bob", "carol"], |phone| phone.transport = Transport::Tcp);
    phones.iter().for_each(|phone| lab.dial(*phone, "echo"));
    lab.pass(seconds(2));
    phones.iter().for_each(|phone| lab.assert_hears(*phone, *phone));
    phones.iter().for_each(|phone| lab.hang_up(*phone));
    lab.finish();
}

#[test]
fn tone_plays_the_reference_until_the_caller_hangs_up() {
    let mut lab = Lab::new();
    let [alice] = lab.registered(["alice"]);
    lab.dial(alice, "tone");
    lab.pass(seconds(2));
    let heard = lab.heard(alice, lab.now() - seconds(1), lab.now());
    assert!(heard.len() >= 4, "{heard:?}");
    let is_reference = |dbfs: f32| (dbfs - REFERENCE_DBFS).abs() < 0.5;
    assert!(
        heard.iter().all(|heard| heard.is_tone(REFERENCE_HZ, -20.0) && is_reference(heard.level_dbfs)),
        "{heard:?}"
    );
    lab.hang_up(alice);
    let silent_from = lab.now() + millis(30);
    lab.pass(seconds(1));
    assert!(lab.heard(alice, silent_from, lab.now()).is_empty());
    lab.finish();
}

#[test]
fn an_application_can_connect_a_phone_with_a_service() {
    for service in ["echo", "tone"] {
        let mut lab = Lab::new();
        let [alice] = lab.registered(["alice"]);
        let app = lab.app();
        lab.start_call(app, "c1", "alice", service);
        lab.pass(seconds(2));
        match service {
            "echo" => lab.assert_hears(alice, alice),
            _ => assert!(lab.heard(alice, lab.now() - seconds(1), lab.now())[0].is_tone(REFERENCE_HZ, -20.0)),
        }
        let events = lab.heard_by(app).events("c1");
        assert_eq!(events.last(), Some(&"Ended"), "{events:?}");
        assert!(events.contains(&"CalleeAnswered"), "{events:?}");
        lab.hang_up(alice);
        lab.finish();
    }
}
