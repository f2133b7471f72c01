//! Phones of both address families call each other: the switch has an address in each.

use hookswitch_lab::{Lab, PhoneId, seconds};
use hookswitch_sip::Transport::{self, Tcp, Udp};

fn v6(lab: &mut Lab, user: &str, transport: Transport) -> PhoneId {
    let phone = lab.phone_v6(user, |phone| phone.transport = transport);
    lab.register(phone);
    phone
}

fn call_both_ways(lab: &mut Lab, alice: PhoneId, bob: PhoneId) {
    for (caller, callee) in [(alice, "bob"), (bob, "alice")] {
        lab.dial(caller, callee);
        lab.pass(seconds(2));
        lab.assert_talking(alice, bob);
        lab.hang_up(alice);
        lab.pass(seconds(1));
    }
}

#[test]
fn both_ipv6() {
    for transport in [Udp, Tcp] {
        let mut lab = Lab::new();
        let alice = v6(&mut lab, "alice", transport);
        let bob = v6(&mut lab, "bob", Udp);
        call_both_ways(&mut lab, alice, bob);
        lab.finish();
    }
}

#[test]
fn one_of_each() {
    for transport in [Udp, Tcp] {
        let mut lab = Lab::new();
        let alice = v6(&mut lab, "alice", transport);
        let [bob] = lab.registered(["bob"]);
        call_both_ways(&mut lab, alice, bob);
        lab.finish();
    }
}

#[test]
fn a_user_with_a_phone_of_each() {
    for answers in [0, 1] {
        let mut lab = Lab::new();
        let [alice] = lab.registered(["alice"]);
        let [desk] = lab.registered(["bob"]);
        let mobile = v6(&mut lab, "bob", Udp);
        let bobs = [desk, mobile];
        bobs.iter().for_each(|phone| lab.set_answer(*phone, hookswitch_phone::AnswerPolicy::Ring));
        lab.dial(alice, "bob");
        lab.until("both ring", |lab| bobs.iter().all(|phone| lab.rings(*phone)));
        lab.answer(bobs[answers]);
        lab.pass(seconds(2));
        lab.assert_talking(alice, bobs[answers]);
        lab.hang_up(alice);
        lab.finish();
    }
}

#[test]
fn joined_by_an_application() {
    let mut lab = Lab::new();
    let alice = v6(&mut lab, "alice", Udp);
    let [bob] = lab.registered(["bob"]);
    let app = lab.app();
    lab.start_call(app, "c1", "alice", "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn a_restart_loses_neither() {
    let mut lab = Lab::new();
    let alice = v6(&mut lab, "alice", Tcp);
    let bob = v6(&mut lab, "bob", Udp);
    lab.restart_switch();
    lab.pass(seconds(1));
    call_both_ways(&mut lab, alice, bob);
    lab.finish();
}
