//! Phones that are registered and not there: OPTIONS finds out, and calls go past them.

use std::cell::Cell;
use std::rc::Rc;

use hookswitch_lab::{Lab, PhoneId, seconds};
use hookswitch_shard::BindingEvent::{Refreshed, Registered, Removed, Revived, Stale};
use hookswitch_sip::Transport;
use hookswitch_sip::registrar::{RemovedWhy, StaleWhy};

/// A lab whose switch pings every 30 s.
fn pinging() -> Lab {
    Lab::with_switch(|switch| switch.shard.b2bua.registrar.options_ping = seconds(30))
}

fn registration(lab: &mut Lab, user: &str) -> serde_json::Value {
    let (status, body) = lab.http("GET", &format!("/reg/{}/{user}", hookswitch_lab::DOMAIN), "");
    assert_eq!(status, 200);
    let report: serde_json::Value = serde_json::from_str(&body).expect("the switch writes JSON");
    report["users"][user].clone()
}

/// Counts the INVITEs sent to a phone from now on.
fn invites_to(lab: &mut Lab, phone: PhoneId) -> Rc<Cell<usize>> {
    let (count, to) = (Rc::new(Cell::new(0)), lab.handset(phone).phone.config().local);
    let counter = Rc::clone(&count);
    lab.lose(move |letter| {
        counter.set(counter.get() + usize::from(letter.to == to && letter.begins("INVITE")));
        false
    });
    count
}

/// Takes everybody's leave first: pings do not end by themselves.
#[track_caller]
fn finish(mut lab: Lab, phones: &[PhoneId]) {
    for phone in phones {
        lab.unregister(*phone);
    }
    lab.finish();
}

#[test]
fn a_phone_that_vanished_is_not_called_while_the_other_one_is_there_and_called_again_when_it_is_back() {
    let mut lab = pinging();
    let [alice, desk, mobile] = lab.registered(["alice", "bob", "bob"]);
    assert_eq!(lab.binding_news("bob"), [Registered, Registered]);
    lab.vanish(mobile);
    lab.pass(seconds(60 * 3));
    assert_eq!(lab.binding_news("bob"), [Stale(StaleWhy::Silent)]);
    let invites = invites_to(&mut lab, mobile);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, desk);
    assert_eq!(invites.get(), 0);
    lab.hang_up(alice);

    lab.reappear(mobile);
    lab.pass(seconds(60 * 2));
    assert_eq!(lab.binding_news("bob"), [Revived]);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    assert_eq!(invites.get(), 1);
    lab.hang_up(alice);
    finish(lab, &[alice, desk, mobile]);
}

#[test]
fn a_stale_phone_is_called_when_it_is_the_only_one() {
    let mut lab = pinging();
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.vanish(bob);
    lab.pass(seconds(60 * 3));
    let state = registration(&mut lab, "bob");
    assert!(state["outstandingping"].as_u64() >= Some(2), "{state}");
    assert!(state["epochs"]["stale"].as_u64() > state["epochs"]["registered"].as_u64(), "{state}");
    // The switch cannot know that it is back before the next ping.
    lab.reappear(bob);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.hang_up(alice);
    lab.pass(seconds(60 * 2));
    let state = registration(&mut lab, "bob");
    assert_eq!((&state["outstandingping"], &state["epochs"]["stale"]), (&0.into(), &serde_json::Value::Null));
    finish(lab, &[alice, bob]);
}

#[test]
fn whoever_stays_silent_is_gone() {
    let mut lab = pinging();
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.vanish(bob);
    lab.pass(seconds(60 * 9));
    assert_eq!(lab.binding_news("bob"), [Registered, Stale(StaleWhy::Silent), Removed(RemovedWhy::Unreachable)]);
    assert_eq!(registration(&mut lab, "bob"), serde_json::json!({"registered": false}));
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    assert_eq!(lab.refusal_of(alice), Some(480));
    finish(lab, &[alice]);
}

#[test]
fn phones_that_answer_stay_and_are_told_of_in_order() {
    let mut lab = pinging();
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.pass(seconds(60 * 20));
    lab.register(bob);
    lab.pass(seconds(1));
    lab.unregister(bob);
    lab.pass(seconds(1));
    assert_eq!(lab.binding_news("bob"), [Registered, Refreshed, Removed(RemovedWhy::Unregistered)]);
    assert_eq!(lab.binding_news("alice"), [Registered]);
    assert_eq!(registration(&mut lab, "alice")["outstandingping"], 0);
    finish(lab, &[alice]);
}

#[test]
fn a_phone_behind_a_nat_is_stale_when_its_connection_is_reset() {
    let mut lab = Lab::new();
    let alice = lab.phone_behind_nat("alice", |phone| phone.transport = Transport::Tcp);
    lab.register(alice);
    lab.break_streams(alice.into());
    lab.pass(seconds(1));
    assert_eq!(lab.binding_news("alice"), [Registered, Stale(StaleWhy::FlowLost)]);
    lab.register(alice);
    lab.pass(seconds(1));
    assert_eq!(lab.binding_news("alice"), [Refreshed, Revived]);
    lab.finish();
}
