//! Registered phones call each other by dialling and hear each other, in every pairing of transports.

use hookswitch_lab::{Lab, seconds};

#[test]
fn over_udp() {
    let mut lab = Lab::new();
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.dial(alice, "bob");
    lab.pass(seconds(3));
    lab.assert_talking(alice, bob);
    lab.hang_up(bob);
    lab.finish();
}
