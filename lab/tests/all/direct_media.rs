//! Signalling only: phones exchange audio directly, and each sees the other's description.

use hookswitch_lab::{Lab, PhoneId, SwitchConfig, millis, sdp, seconds};
use hookswitch_phone::{AnswerPolicy, Event, Hold};
use hookswitch_sip::Transport;

fn unanchored(switch: &mut SwitchConfig) {
    switch.shard.limits.anchor = false;
}

fn assert_direct(lab: &Lab, alice: PhoneId, bob: PhoneId) {
    lab.assert_talking(alice, bob);
    for (listener, speaker) in [(alice, bob), (bob, alice)] {
        let ear = lab.ear(lab.handset(listener).phone_address());
        assert_eq!(ear.sources(), [lab.handset(speaker).phone_address()]);
    }
    assert_eq!(lab.ports_in_use(), 0);
}

#[test]
fn phones_hear_each_other_without_the_switch() {
    for transport in [Transport::Udp, Transport::Tcp] {
        for late_offer in [false, true] {
            let mut lab = Lab::with_switch(unanchored);
            let alice = lab.phone_with("alice", |phone| {
                phone.transport = transport;
                phone.late_offer = late_offer;
            });
            lab.register(alice);
            let [bob] = lab.registered(["bob"]);
            lab.set_answer(bob, AnswerPolicy::Answer { after: millis(300) });
            lab.dial(alice, "bob");
            lab.pass(seconds(2));
            assert_direct(&lab, alice, bob);
            lab.hang_up(bob);
            lab.finish();
        }
    }
}

#[test]
fn services_and_calls_of_applications_run_through_it_all_the_same() {
    let mut lab = Lab::with_switch(unanchored);
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.dial(alice, "echo");
    lab.pass(seconds(2));
    lab.assert_hears(alice, alice);
    lab.hang_up(alice);
    lab.pass(seconds(1));
    let app = lab.app();
    lab.start_call(app, "c1", "alice", "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn a_change_is_carried_to_the_other_party() {
    let mut lab = Lab::with_switch(unanchored);
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.dial(alice, "bob");
    lab.pass(seconds(1));
    lab.hold(alice, Hold::On);
    lab.pass(seconds(1));
    for (phone, who) in [(alice, "alice"), (bob, "bob")] {
        let changed = |(_, event): &(_, Event)| matches!(event, Event::Changed { .. });
        assert!(lab.handset(phone).events.iter().any(changed), "{who}");
    }
    lab.hang_up(bob);
    lab.finish();
}

/// The callee's offer waits for an answer that never comes: it is acknowledged and hung up.
#[test]
fn a_caller_that_leaves_before_it_has_answered_the_callees_offer() {
    let mut lab = Lab::with_switch(unanchored);
    let caller = lab.agent("frank");
    let callee = lab.registered_agent("bob");
    let dialog = lab.agent_invites(caller, "bob", None);
    lab.until("the callee is called", |lab| lab.agent_called(callee).is_some());
    lab.agent_responds(callee, 200, Some(sdp(lab.agent_rtp(callee, 4000), "sendrecv")));
    lab.until("the caller has the offer", |lab| lab.agent_answer(caller).is_some());
    lab.agent_acts(caller, |endpoint, now| endpoint.bye(now, dialog, Vec::new()));
    lab.pass(seconds(1));
    let events = lab.agent_events(callee);
    let was = |wanted: fn(&hookswitch_sip::Event) -> bool| events.iter().any(|(_, event)| wanted(event));
    assert!(was(|event| matches!(event, hookswitch_sip::Event::Acked { .. })), "{events:?}");
    assert!(was(|event| matches!(event, hookswitch_sip::Event::Ended { .. })), "{events:?}");
    lab.finish();
}

#[test]
fn dead_parties_are_found_out() {
    let mut lab = Lab::with_switch(|switch| {
        unanchored(switch);
        switch.shard.limits.probe_time = seconds(10);
    });
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.vanish(alice);
    lab.pass(seconds(10 + 33));
    assert!(!lab.in_call(bob));
    lab.finish();
}
