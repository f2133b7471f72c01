//! Phones that die without a word: the other party is let go, and other calls never notice.

use hookswitch_lab::{Audio, Lab, PhoneId, Place, millis, seconds};
use hookswitch_phone::{AnswerPolicy, EndCause, PhoneConfig, Sound};
use hookswitch_sip::Transport;

const TRANSPORTS: [Transport; 2] = [Transport::Udp, Transport::Tcp];

/// The ways to die: killed by the system, or cut off.
const DEATHS: [fn(&mut Lab, PhoneId); 2] = [|lab, phone| lab.kill(phone), |lab, phone| lab.vanish(phone)];

fn over(transport: Transport) -> impl Fn(&mut PhoneConfig) {
    move |phone| phone.transport = transport
}

#[test]
fn in_the_middle_of_a_call_the_survivor_can_hang_up() {
    for transport in TRANSPORTS {
        for die in DEATHS {
            let mut lab = Lab::new();
            let [alice, bob] = lab.registered_with(["alice", "bob"], over(transport));
            lab.dial(alice, "bob");
            lab.pass(seconds(2));
            lab.assert_talking(alice, bob);
            die(&mut lab, bob);
            lab.pass(seconds(1));
            lab.hang_up(alice);
            lab.pass(seconds(1));
            assert!(!lab.in_call(alice), "the survivor does not wait for the dead");
            lab.finish();
        }
    }
}

#[test]
fn in_the_middle_of_a_call_it_ends_by_itself_when_nobody_hangs_up() {
    for die in DEATHS {
        for dead in [1, 2] {
            let mut lab = Lab::with_switch(|switch| switch.media.rtp_timeout = seconds(5));
            let phones = lab.registered(["alice", "bob"]);
            lab.dial(phones[0], "bob");
            lab.pass(seconds(2));
            lab.assert_talking(phones[0], phones[1]);
            phones.into_iter().rev().take(dead).for_each(|phone| die(&mut lab, phone));
            // Silence is looked for every five seconds, and a question goes unanswered for 32.
            lab.pass(seconds(5 + 5 + 33));
            assert_eq!(lab.counts().calls, 0, "{dead} dead");
            lab.finish();
        }
    }
}

#[test]
fn one_that_has_nothing_to_say_is_left_alone() {
    let mut lab = Lab::with_switch(|switch| switch.media.rtp_timeout = seconds(5));
    let [alice, bob] = lab.registered_with(["alice", "bob"], |phone| phone.sound = Sound::Nothing);
    lab.dial(alice, "bob");
    lab.pass(seconds(60));
    assert!(lab.talks(alice) && lab.talks(bob));
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn one_that_was_started_again_does_not_keep_its_old_call() {
    let mut lab = Lab::with_switch(|switch| switch.media.rtp_timeout = seconds(5));
    lab.set_audio(Audio::Unchecked);
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.kill(bob);
    lab.revive(bob);
    lab.register(bob);
    lab.pass(seconds(12));
    assert!(!lab.in_call(alice), "bob's phone knows nothing of the call and says so");
    lab.finish();
}

#[test]
fn a_callee_that_dies_while_it_rings() {
    for transport in TRANSPORTS {
        for die in DEATHS {
            let mut lab = Lab::with_switch(|switch| switch.shard.limits.ring_time = seconds(20));
            let [alice, bob] = lab.registered_with(["alice", "bob"], over(transport));
            lab.set_answer(bob, AnswerPolicy::Ring);
            lab.dial(alice, "bob");
            lab.pass(seconds(1));
            die(&mut lab, bob);
            lab.pass(seconds(22));
            assert!(lab.refusal_of(alice).is_some(), "{:?}", lab.end_of(alice));
            lab.finish();
        }
    }
}

#[test]
fn a_caller_that_dies_while_it_rings() {
    for transport in TRANSPORTS {
        for die in DEATHS {
            let mut lab = Lab::with_switch(|switch| switch.shard.limits.ring_time = seconds(20));
            let [alice, bob] = lab.registered_with(["alice", "bob"], over(transport));
            lab.set_answer(bob, AnswerPolicy::Ring);
            lab.dial(alice, "bob");
            lab.pass(seconds(1));
            die(&mut lab, alice);
            lab.pass(seconds(22));
            assert!(!lab.in_call(bob));
            lab.finish();
        }
    }
}

#[test]
fn a_callee_that_is_dead_already() {
    for transport in TRANSPORTS {
        for (die, within) in DEATHS.into_iter().zip([1, 33]) {
            let mut lab = Lab::new();
            let [alice, bob] = lab.registered_with(["alice", "bob"], over(transport));
            die(&mut lab, bob);
            lab.pass(seconds(1));
            lab.dial(alice, "bob");
            lab.pass(seconds(within));
            assert!(matches!(lab.refusal_of(alice), Some(408 | 480)), "{transport}: {:?}", lab.end_of(alice));
            lab.finish();
        }
    }
}

#[test]
fn a_caller_that_dies_before_it_acknowledges() {
    for die in DEATHS {
        let mut lab = Lab::new();
        lab.set_audio(Audio::Unchecked);
        let [alice, bob] = lab.registered(["alice", "bob"]);
        lab.set_answer(bob, AnswerPolicy::Answer { after: seconds(1) });
        lab.dial(alice, "bob");
        lab.pass(millis(990));
        die(&mut lab, alice);
        lab.pass(seconds(40));
        assert!(!lab.in_call(bob));
        lab.finish();
    }
}

#[test]
fn a_party_of_an_applications_call() {
    for die in DEATHS {
        for who in [0, 1] {
            let mut lab = Lab::new();
            let phones = lab.registered(["alice", "bob"]);
            let app = lab.app();
            lab.start_call(app, "c1", "alice", "bob");
            lab.pass(seconds(2));
            die(&mut lab, phones[who]);
            lab.pass(seconds(1));
            lab.end_call(app, "e1", "c1");
            lab.pass(seconds(1));
            assert!(!lab.in_call(phones[1 - who]));
            assert_eq!(lab.heard_by(app).events("e1").last(), Some(&"Ended"));
            lab.finish();
        }
    }
}

#[test]
fn started_again_it_registers_and_can_be_called() {
    for transport in TRANSPORTS {
        let mut lab = Lab::new();
        lab.set_audio(Audio::Unchecked);
        let [alice, bob] = lab.registered_with(["alice", "bob"], over(transport));
        lab.dial(alice, "bob");
        lab.pass(seconds(1));
        lab.kill(bob);
        lab.hang_up(alice);
        lab.pass(seconds(1));
        lab.revive(bob);
        lab.register(bob);
        lab.dial(alice, "bob");
        lab.pass(seconds(2));
        lab.assert_talking(alice, bob);
        lab.hang_up(bob);
        lab.finish();
    }
}

#[test]
fn one_that_was_cut_off_for_a_while_finds_its_call_ended() {
    let mut lab = Lab::new();
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.vanish(bob);
    lab.pass(seconds(1));
    lab.hang_up(alice);
    lab.pass(seconds(40));
    lab.reappear(bob);
    assert!(lab.in_call(bob));
    lab.hang_up(bob);
    lab.pass(seconds(1));
    assert_eq!(lab.end_of(bob), Some(&EndCause::HungUp));
    lab.finish();
}

#[test]
fn other_calls_never_notice() {
    let mut lab = Lab::new();
    let [alice, bob, carol, dave] = lab.registered(["alice", "bob", "carol", "dave"]);
    lab.dial(alice, "bob");
    lab.dial(carol, "dave");
    lab.pass(seconds(2));
    lab.vanish(bob);
    lab.hang_up(alice);
    for _ in 0..5 {
        lab.pass(seconds(1));
        lab.assert_talking(carol, dave);
    }
    lab.pause(Place::Switch, millis(300));
    lab.pass(seconds(2));
    lab.assert_talking(carol, dave);
    lab.hang_up(dave);
    lab.finish();
}
