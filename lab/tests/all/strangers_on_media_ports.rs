//! Packets of strangers: never heard, and never able to lead a call's audio elsewhere.

use std::net::SocketAddr;

use hookswitch_lab::{Lab, PhoneId, millis, seconds};

const STRANGER_HZ: f32 = 3_000.0;

fn stranger() -> SocketAddr {
    "198.51.100.66:4000".parse().unwrap()
}

/// All media ports of the switch in use, as a scanner finds them.
fn ports(lab: &Lab) -> Vec<SocketAddr> {
    let pairs = lab.ports_in_use() as u16;
    (0..pairs * 2).map(|port| SocketAddr::new(hookswitch_lab::SWITCH, 10_000 + port)).collect()
}

fn assert_undisturbed(lab: &Lab, alice: PhoneId, bob: PhoneId) {
    lab.assert_talking(alice, bob);
    lab.assert_never_heard(alice, STRANGER_HZ);
    lab.assert_never_heard(bob, STRANGER_HZ);
    assert_eq!(lab.ear(stranger()).packets_since(seconds(0)), 0, "a stranger is told nothing");
}

#[test]
fn in_the_middle_of_a_call() {
    let mut lab = Lab::new();
    lab.listen(stranger());
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.dial(alice, "bob");
    lab.pass(seconds(1));
    let mouths: Vec<_> = ports(&lab).into_iter().map(|port| lab.speak(stranger(), port, STRANGER_HZ)).collect();
    lab.pass(seconds(3));
    assert_undisturbed(&lab, alice, bob);
    mouths.into_iter().for_each(|mouth| lab.hush(mouth));
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn who_wait_for_the_call_to_begin() {
    let mut lab = Lab::new();
    lab.listen(stranger());
    let [alice, bob] = lab.registered(["alice", "bob"]);
    // They cannot know the port, so they try them all.
    for port in 0..8 {
        lab.speak(stranger(), SocketAddr::new(hookswitch_lab::SWITCH, 10_000 + port), STRANGER_HZ);
    }
    lab.dial(alice, "bob");
    lab.pass(seconds(3));
    assert_undisturbed(&lab, alice, bob);
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn who_knock_while_a_phone_behind_a_translator_is_learned() {
    let mut lab = Lab::new();
    lab.listen(stranger());
    let alice = lab.phone_behind_nat("alice", |_| {});
    lab.register(alice);
    let [bob] = lab.registered(["bob"]);
    lab.dial(alice, "bob");
    // Single packets, each from another place: none of them makes a row.
    for round in 0..150_u32 {
        let from = SocketAddr::from(([198, 51, 100, (round % 250) as u8], 4000));
        let mut packet = vec![0x80, 0, 0, round as u8, 0, 0, 0, round as u8, 1, 2, 3, round as u8];
        packet.extend([0x55; 160]);
        for port in ports(&lab) {
            lab.throw(from, port, packet.clone());
        }
        lab.pass(millis(15));
    }
    assert_undisturbed(&lab, alice, bob);
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn who_send_no_rtp_at_all() {
    let mut lab = Lab::new();
    lab.listen(stranger());
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.dial(alice, "bob");
    lab.pass(seconds(1));
    for length in 0..300_usize {
        for port in ports(&lab) {
            let garbage: Vec<u8> = (0..length).map(|i| (i * 31 + length * 7) as u8).collect();
            lab.throw(stranger(), port, garbage.clone());
            // In the phones' own name it gets further, and harms no more.
            lab.throw("10.0.1.1:4000".parse().unwrap(), port, garbage);
        }
        lab.pass(millis(5));
    }
    assert_undisturbed(&lab, alice, bob);
    lab.hang_up(bob);
    lab.finish();
}
