//! An application whose connection is lost: its calls go on, and nobody is told about them.

use hookswitch_dialect::call_api::OnDisconnect;
use hookswitch_lab::{Lab, millis, seconds};
use hookswitch_phone::AnswerPolicy;

#[test]
fn a_call_in_the_making_is_made_all_the_same() {
    for gone_after in [0, 3, 10, 15, 25, 500, 1_500] {
        let mut lab = Lab::new();
        let [alice, bob] = lab.registered(["alice", "bob"]);
        lab.set_answer(bob, AnswerPolicy::Answer { after: seconds(1) });
        let app = lab.app();
        lab.start_call(app, "c1", "alice", "bob");
        lab.pass(millis(gone_after));
        lab.disconnect(app);
        lab.pass(seconds(3));
        lab.assert_talking(alice, bob);
        // Another application finds it by the name it was given.
        let other = lab.app();
        lab.end_call(other, "e1", "c1");
        lab.pass(seconds(1));
        assert!(!lab.in_call(alice) && !lab.in_call(bob));
        lab.finish();
    }
}

#[test]
fn or_is_ended_where_the_configuration_wants_that() {
    for gone_after in [0, 3, 10, 15, 25, 500] {
        let mut lab = Lab::with_switch(|switch| switch.shard.call_api.on_disconnect = OnDisconnect::End);
        let [alice, bob] = lab.registered(["alice", "bob"]);
        lab.set_answer(bob, AnswerPolicy::Answer { after: seconds(1) });
        let app = lab.app();
        lab.start_call(app, "c1", "alice", "bob");
        lab.pass(millis(gone_after));
        lab.disconnect(app);
        lab.pass(seconds(2));
        assert!(!lab.in_call(alice) && !lab.in_call(bob), "after {gone_after} ms");
        lab.finish();
    }
}

#[test]
fn a_call_that_stands_is_not_touched() {
    let mut lab = Lab::with_switch(|switch| switch.shard.call_api.on_disconnect = OnDisconnect::End);
    let [alice, bob] = lab.registered(["alice", "bob"]);
    let app = lab.app();
    lab.start_call(app, "c1", "alice", "bob");
    lab.pass(seconds(2));
    lab.disconnect(app);
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn many_that_come_and_go_leave_nothing() {
    let mut lab = Lab::new();
    let [_alice, bob] = lab.registered(["alice", "bob"]);
    for round in 0..50 {
        let app = lab.app();
        lab.start_call(app, "c1", "alice", "bob");
        lab.pass(millis(round));
        lab.disconnect(app);
        lab.pass(millis(300));
        lab.hang_up(bob);
        lab.pass(millis(300));
    }
    lab.finish();
}
