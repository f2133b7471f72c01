//! `kill -9` of the switch and a new start: phones stay reachable, and no call haunts anybody.

use hookswitch_lab::{Audio, Lab, millis, seconds};
use hookswitch_phone::{AnswerPolicy, PhoneConfig};
use hookswitch_sip::Transport;

#[test]
fn registered_phones_can_call_and_be_called() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut lab = Lab::new();
        let [alice, bob] = lab.registered_with(["alice", "bob"], |phone| phone.transport = transport);
        lab.restart_switch();
        lab.pass(seconds(1));
        assert_eq!(lab.counts().bindings, 2);
        lab.dial(alice, "bob");
        lab.pass(seconds(2));
        lab.assert_talking(alice, bob);
        lab.hang_up(bob);
        lab.pass(seconds(1));
        lab.dial(bob, "alice");
        lab.pass(seconds(2));
        lab.assert_talking(alice, bob);
        lab.hang_up(bob);
        lab.finish();
    }
}

#[test]
fn connections_of_before_are_not_taken_for_those_of_others() {
    let mut lab = Lab::new();
    let tcp = |phone: &mut PhoneConfig| phone.transport = Transport::Tcp;
    let [alice, bob] = lab.registered_with(["alice", "bob"], tcp);
    lab.restart_switch();
    lab.pass(seconds(1));
    // The first connection of the new switch has the name that alice's had before.
    let carol = lab.phone_with("carol", tcp);
    lab.register(carol);
    lab.dial(bob, "alice");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.hang_up(alice);
    lab.pass(seconds(1));
    lab.dial(carol, "bob");
    lab.pass(seconds(2));
    lab.assert_talking(carol, bob);
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn a_phone_behind_a_translator_as_well() {
    let mut lab = Lab::new();
    let alice = lab.phone_behind_nat("alice", |_| {});
    lab.register(alice);
    let [bob] = lab.registered(["bob"]);
    lab.restart_switch();
    lab.dial(bob, "alice");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn an_application_can_start_calls_at_once() {
    let mut lab = Lab::new();
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.restart_switch();
    let app = lab.app();
    lab.start_call(app, "c1", "alice", "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn calls_of_before_end_when_somebody_hangs_up() {
    let broken = |phone: &mut PhoneConfig| phone.transport = Transport::Udp;
    let mut lab = Lab::new();
    let [alice, bob] = lab.registered_with(["alice", "bob"], broken);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.restart_switch();
    lab.pass(seconds(1));
    lab.hang_up(alice);
    lab.hang_up(bob);
    lab.pass(seconds(1));
    assert!(!lab.in_call(alice) && !lab.in_call(bob), "the new switch knows nothing of them and says so");
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn a_phone_that_rang_and_answers_later() {
    let mut lab = Lab::new();
    lab.set_audio(Audio::Unchecked);
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.set_answer(bob, AnswerPolicy::Answer { after: seconds(2) });
    lab.dial(alice, "bob");
    lab.pass(seconds(1));
    lab.restart_switch();
    // The answer meets a switch that never asked; bob gives up when nobody acknowledges.
    lab.pass(seconds(40));
    lab.hang_up(alice);
    lab.pass(seconds(40));
    assert!(!lab.in_call(alice) && !lab.in_call(bob));
    lab.finish();
}

#[test]
fn what_had_expired_or_been_removed_is_not_restored() {
    let mut lab = Lab::new();
    let [_alice, bob] = lab.registered(["alice", "bob"]);
    let brief = lab.phone_with("carol", |phone| phone.expires = seconds(60));
    lab.register(brief);
    lab.vanish(brief);
    lab.unregister(bob);
    lab.pass(millis(200));
    lab.pass(seconds(61));
    lab.restart_switch();
    assert_eq!(lab.counts().bindings, 1);
    lab.finish();
}

#[test]
fn pushed_users_are_still_there() {
    let mut lab = Lab::new();
    let domain =
        r#"{"control":"","users":[{"username":"zoe","secret":"zoe-pw"},{"username":"yan","secret":"yan-pw"}]}"#;
    assert_eq!(lab.http("PUT", "/dir/y.test", domain).0, 201);
    assert_eq!(lab.http("DELETE", "/dir/y.test/yan", "").0, 200);
    let zoe = lab.phone_with("zoe", |phone| phone.domain = "y.test".into());
    lab.register(zoe);
    let [alice] = lab.registered(["alice"]);
    lab.restart_switch();
    assert_eq!(lab.http("GET", "/dir/y.test", ""), (200, r#"{"users":["zoe"]}"#.to_owned()));
    assert!(lab.http("GET", "/reg/y.test/zoe", "").1.contains(r#""registered":true"#));
    lab.dial(alice, "sip:zoe@y.test");
    lab.pass(seconds(2));
    lab.assert_talking(alice, zoe);
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn again_and_again() {
    let mut lab = Lab::new();
    let [alice, bob] = lab.registered(["alice", "bob"]);
    for _ in 0..5 {
        lab.restart_switch();
        lab.dial(alice, "bob");
        lab.pass(seconds(2));
        lab.assert_talking(alice, bob);
        lab.hang_up(alice);
        lab.pass(seconds(1));
    }
    lab.finish();
}
