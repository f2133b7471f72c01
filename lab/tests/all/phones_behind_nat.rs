//! Phones behind symmetric address translators: their descriptions and contacts name private
//! addresses, and everything comes from elsewhere.

use hookswitch_lab::{Lab, PhoneId, millis, seconds};
use hookswitch_sip::Transport;

fn behind(lab: &mut Lab, user: &str, transport: Transport) -> PhoneId {
    let phone = lab.phone_behind_nat(user, |phone| phone.transport = transport);
    lab.register(phone);
    phone
}

#[test]
fn one_behind_and_one_not() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut lab = Lab::new();
        let alice = behind(&mut lab, "alice", transport);
        let [bob] = lab.registered(["bob"]);
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
fn both_behind_different_ones() {
    let mut lab = Lab::new();
    let alice = behind(&mut lab, "alice", Transport::Udp);
    let bob = behind(&mut lab, "bob", Transport::Tcp);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn started_by_an_application() {
    let mut lab = Lab::new();
    let alice = behind(&mut lab, "alice", Transport::Udp);
    let bob = behind(&mut lab, "bob", Transport::Udp);
    let app = lab.app();
    lab.start_call(app, "c1", "alice", "bob");
    lab.pass(seconds(3));
    lab.assert_talking(alice, bob);
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn the_echo_reaches_it_as_well() {
    let mut lab = Lab::new();
    let alice = behind(&mut lab, "alice", Transport::Udp);
    lab.dial(alice, "echo");
    lab.pass(seconds(2));
    lab.assert_hears(alice, alice);
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn a_router_that_forgets_in_the_middle_of_a_call() {
    let mut lab = Lab::new();
    let alice = behind(&mut lab, "alice", Transport::Udp);
    let [bob] = lab.registered(["bob"]);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    // From now on the phone's packets come from another port.
    lab.reset_nat(alice);
    lab.pass(seconds(3));
    lab.pass(millis(700));
    lab.assert_talking(alice, bob);
    lab.hang_up(alice);
    lab.finish();
}
