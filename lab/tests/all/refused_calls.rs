//! Calls that do not come to be: the caller is told why, and nothing stays behind.

use hookswitch_lab::{Lab, PhoneId, millis, seconds};
use hookswitch_phone::{AnswerPolicy, EndCause};
use hookswitch_sip::Transport;

fn refused(lab: &mut Lab, alice: PhoneId, who: &str) -> Option<u16> {
    lab.dial(alice, who);
    lab.pass(seconds(2));
    lab.refusal_of(alice)
}

#[test]
fn busy_and_declined() {
    for (policy, status) in [(AnswerPolicy::BUSY, 486), (AnswerPolicy::DECLINE, 603)] {
        for transport in [Transport::Udp, Transport::Tcp] {
            let mut lab = Lab::new();
            let [alice, bob] = lab.registered_with(["alice", "bob"], |phone| phone.transport = transport);
            lab.set_answer(bob, policy);
            assert_eq!(refused(&mut lab, alice, "bob"), Some(status));
            assert_eq!(lab.end_of(bob), Some(&EndCause::Declined { status }));
            lab.finish();
        }
    }
}

#[test]
fn a_second_call_is_busy_and_the_first_goes_on() {
    let mut lab = Lab::new();
    let [alice, bob, carol] = lab.registered(["alice", "bob", "carol"]);
    lab.dial(alice, "bob");
    lab.pass(seconds(1));
    assert_eq!(refused(&mut lab, carol, "bob"), Some(486));
    lab.assert_talking(alice, bob);
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn nobody_answers_in_time() {
    let mut lab = Lab::with_switch(|switch| switch.shard.limits.ring_time = seconds(20));
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.set_answer(bob, AnswerPolicy::Ring);
    lab.dial(alice, "bob");
    lab.pass(seconds(19));
    assert!(lab.rings(alice) && lab.rings(bob));
    lab.pass(seconds(2));
    assert_eq!(lab.refusal_of(alice), Some(408));
    assert_eq!(lab.end_of(bob), Some(&EndCause::Cancelled));
    lab.finish();
}

#[test]
fn unknown_unregistered_elsewhere_and_expired() {
    let mut lab = Lab::new();
    let [alice, bob] = lab.registered(["alice", "bob"]);
    assert_eq!(refused(&mut lab, alice, "nobody"), Some(404));
    assert_eq!(refused(&mut lab, alice, "carol"), Some(480));
    assert_eq!(refused(&mut lab, alice, "sip:bob@elsewhere.test"), Some(404));
    lab.unregister(bob);
    lab.pass(seconds(1));
    assert_eq!(refused(&mut lab, alice, "bob"), Some(480));
    let brief = lab.phone_with("dave", |phone| phone.expires = seconds(60));
    lab.register(brief);
    lab.vanish(brief);
    lab.pass(seconds(61));
    assert_eq!(refused(&mut lab, alice, "dave"), Some(480));
    lab.finish();
}

#[test]
fn a_caller_without_the_secret() {
    let mut lab = Lab::new();
    let [bob] = lab.registered(["bob"]);
    let stranger = lab.phone_with("alice", |phone| phone.credentials = None);
    assert_eq!(refused(&mut lab, stranger, "bob"), Some(401));
    let guesser = lab.phone_with("alice", |phone| {
        phone.credentials = Some(hookswitch_sip::auth::Credentials::new("alice", "guessed"));
    });
    assert!(matches!(refused(&mut lab, guesser, "bob"), Some(401 | 403)));
    let pretender = lab.phone_with("alice", |phone| {
        phone.credentials = Some(hookswitch_sip::auth::Credentials::new("carol", "carol-pw"));
    });
    assert_eq!(refused(&mut lab, pretender, "bob"), Some(403));
    assert!(
        lab.handset(bob).events.iter().all(|(_, event)| !matches!(event, hookswitch_phone::Event::Incoming { .. }))
    );
    lab.finish();
}

#[test]
fn no_codec_in_common() {
    let mut lab = Lab::new();
    let alice = lab.phone_with("alice", |phone| phone.codecs = vec![hookswitch_codec::pcmu()]);
    let bob =
        lab.phone_with("bob", |phone| phone.codecs = hookswitch_codec::by_label("L16/8000").into_iter().collect());
    lab.register(alice);
    lab.register(bob);
    assert_eq!(refused(&mut lab, alice, "bob"), Some(488));
    lab.finish();
}

#[test]
fn no_media_ports_left() {
    for left in 0..2 {
        let mut lab = Lab::new();
        let [alice, bob] = lab.registered(["alice", "bob"]);
        let taken = lab.occupy_ports(left);
        assert_eq!(refused(&mut lab, alice, "bob"), Some(503), "with {left} left");
        lab.vacate_ports(taken);
        lab.dial(alice, "bob");
        lab.pass(seconds(2));
        lab.assert_talking(alice, bob);
        lab.hang_up(bob);
        lab.finish();
    }
}

#[test]
fn the_limit_of_calls() {
    let mut lab = Lab::with_switch(|switch| switch.shard.limits.calls = 1);
    let [alice, bob, carol] = lab.registered(["alice", "bob", "carol"]);
    lab.dial(alice, "echo");
    lab.pass(millis(500));
    assert_eq!(refused(&mut lab, carol, "bob"), Some(503));
    lab.hang_up(alice);
    lab.pass(millis(500));
    lab.dial(carol, "bob");
    lab.pass(seconds(2));
    lab.assert_talking(carol, bob);
    lab.hang_up(carol);
    lab.finish();
}

#[test]
fn the_limit_of_media_calls() {
    let mut lab = Lab::with_switch(|switch| switch.media.max_calls = 1);
    let [alice, _bob, carol] = lab.registered(["alice", "bob", "carol"]);
    lab.dial(alice, "echo");
    lab.pass(millis(500));
    assert_eq!(refused(&mut lab, carol, "bob"), Some(503));
    assert_eq!(refused(&mut lab, carol, "echo"), Some(503));
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn a_switch_that_is_shutting_down() {
    let mut lab = Lab::new();
    let [alice, bob, carol] = lab.registered(["alice", "bob", "carol"]);
    lab.dial(alice, "bob");
    lab.pass(seconds(1));
    lab.drain_calls();
    assert_eq!(refused(&mut lab, carol, "echo"), Some(503));
    lab.assert_talking(alice, bob);
    lab.hang_up(bob);
    lab.finish();
}
