//! Registered phones call each other by dialling and hear each other, in every pairing of transports.

use hookswitch_lab::{Audio, Lab, seconds};
use hookswitch_sip::Transport::{self, Tcp, Udp};

fn call(caller: Transport, callee: Transport) {
    let mut lab = Lab::new();
    lab.set_audio(Audio::Heard);
    let alice = lab.phone_with("alice", |phone| phone.transport = caller);
    let bob = lab.phone_with("bob", |phone| phone.transport = callee);
    lab.register(alice);
    lab.register(bob);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    lab.hang_up(alice);
    lab.pass(seconds(1));
    lab.dial(bob, "alice");
    lab.pass(seconds(2));
    lab.assert_talking(alice, bob);
    // Whoever was called may end the call as well.
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn over_udp() {
    call(Udp, Udp);
}

#[test]
fn over_tcp() {
    call(Tcp, Tcp);
}

#[test]
fn from_one_to_the_other() {
    call(Udp, Tcp);
}
