//! Calls in which nobody speaks: their phones answer for them, and they end all the same.

use hookswitch_lab::{Lab, seconds};
use hookswitch_phone::{EndCause, Hold, Sound};
use serde_json::json;

/// Phones that send no audio.
fn mute(lab: &mut Lab) -> [hookswitch_lab::PhoneId; 2] {
    lab.registered_with(["alice", "bob"], |phone| phone.sound = Sound::Nothing)
}

#[test]
fn a_call_in_which_nobody_speaks_ends_in_its_time_for_both_and_says_why() {
    let mut lab = Lab::with_switch(|switch| switch.media.rtp_timeout = seconds(20));
    let [alice, bob] = mute(&mut lab);
    let app = lab.app();
    let uri = |user: &str| format!("sip:{user}@{}", hookswitch_lab::DOMAIN);
    let params = json!({"caller": uri("alice"), "callee": uri("bob"), "cmd_id": "c1", "notify_end": "true"});
    lab.say(app, json!({"jsonrpc": "2.0", "id": 1, "method": "CallStart", "params": params}).to_string());
    lab.pass(seconds(295));
    assert!(lab.talks(alice) && lab.talks(bob), "they answer whenever they are asked");
    lab.pass(seconds(15));
    for phone in [alice, bob] {
        let end = lab.end_of(phone);
        let reason = match end {
            Some(EndCause::PeerHungUp { reason }) => reason.as_deref(),
            _ => None,
        };
        assert!(reason.is_some_and(|reason| reason.starts_with("Q.850;cause=102")), "{end:?}");
    }
    let ended = lab.heard_by(app).data("c1", "CallEnded").expect("it is told").clone();
    assert_eq!(ended["cause"], "408 Media Timeout");
    assert_eq!(lab.counts().calls, 0);
    lab.finish();
}

#[test]
fn a_party_that_listens_to_music_and_says_nothing_is_left_alone() {
    let mut lab = Lab::new();
    let [alice, bob] = mute(&mut lab);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.hold(alice, Hold::On);
    lab.pass(seconds(1_000));
    assert!(lab.in_call(alice) && lab.in_call(bob), "the original ends a call like this after 20 s");
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn a_caller_that_listens_to_a_service_and_says_nothing_is_left_alone_unless_that_only_waits_for_it() {
    let mut lab = Lab::new();
    let [alice, bob] = mute(&mut lab);
    lab.dial(alice, "tone");
    lab.pass(seconds(1_000));
    assert!(lab.in_call(alice), "it hears a tone");
    lab.hang_up(alice);
    lab.dial(bob, "echo");
    lab.pass(seconds(320));
    assert!(!lab.in_call(bob), "an echo of nothing is a call of nobody");
    lab.finish();
}
