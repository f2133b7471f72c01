//! Routes to names: the look-up is waited for, silence of a server costs one call, and a dead place gives way.

use hookswitch_b2bua::route::{Destination, Route};
use hookswitch_lab::{Lab, millis, seconds};
use hookswitch_phone::AnswerPolicy;

/// A lab whose switch sends `9…` to these places.
fn lab(to: &[&str]) -> Lab {
    let group = |(group, to): (usize, &&str)| Destination { group: group as u8, ..Destination::new(to) };
    let all = to.iter().enumerate().map(group).collect();
    Lab::with_switch(|switch| switch.shard.b2bua.routes.push(Route::to_all("sip:9*", all).expect("a route")))
}

#[test]
fn a_call_to_a_name_waits_for_its_look_up() {
    let mut lab = lab(&["sip:bob@pbx.test;transport=udp"]);
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.set_answer(bob, AnswerPolicy::Answer { after: seconds(1) });
    let at = lab.reached_at(bob);
    lab.zone().service("_sip._udp.pbx.test", &[(1, 0, at.port(), "host.test")]);
    lab.zone().host("host.test", &[at.ip()]);
    lab.dial(alice, "99");
    lab.pass(seconds(3));
    lab.assert_talking(alice, bob);
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn a_name_that_no_server_answers_for_costs_its_own_caller_time_and_nobody_else() {
    let mut lab = lab(&["sip:bob@silent.test"]);
    let [alice, carol] = lab.registered(["alice", "carol"]);
    lab.zone().silence("silent.test");
    lab.dial(alice, "99");
    lab.dial(carol, "echo");
    lab.pass(seconds(2));
    assert!(lab.in_call(carol) && lab.refusal_of(alice).is_none());
    lab.pass(seconds(9));
    assert_eq!(lab.refusal_of(alice), Some(480));
    lab.hang_up(carol);
    lab.finish();
}

#[test]
fn a_caller_who_gives_up_meanwhile_leaves_nothing_behind() {
    let mut lab = lab(&["sip:bob@silent.test"]);
    let [alice] = lab.registered(["alice"]);
    lab.zone().silence("silent.test");
    lab.dial(alice, "99");
    lab.pass(seconds(1));
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn a_host_that_is_not_there_gives_way_to_the_next_one() {
    let mut lab = lab(&["sip:bob@pbx.test;transport=udp"]);
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.set_answer(bob, AnswerPolicy::Answer { after: millis(500) });
    let at = lab.reached_at(bob);
    lab.zone().service("_sip._udp.pbx.test", &[(1, 0, 5060, "dead.test"), (2, 0, at.port(), "host.test")]);
    lab.zone().host("dead.test", &["10.0.99.99".parse().expect("an address")]);
    lab.zone().host("host.test", &[at.ip()]);
    lab.dial(alice, "99");
    lab.pass(seconds(36));
    lab.assert_talking(alice, bob);
    lab.hang_up(bob);
    lab.finish();
}
