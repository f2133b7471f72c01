//! A flood from one address while others call: they never notice, and nothing is left of it.

use std::net::SocketAddr;

use hookswitch_lab::{Lab, PhoneId, millis, seconds, switch_sip};

/// Messages of the flood in each millisecond.
const PER_MILLISECOND: u32 = 6;

fn flooder() -> SocketAddr {
    "198.51.100.99:5060".parse().unwrap()
}

fn request(method: &str, number: u32) -> String {
    format!(
        "{method} sip:bob@x.test SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.99:5060;branch=z9hG4bKf{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:eve@x.test>;tag=t{number}\r\nTo: <sip:bob@x.test>\r\n\
         Call-ID: flood{number}@lab\r\nCSeq: 1 {method}\r\nContact: <sip:eve@198.51.100.99>\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

fn assert_undisturbed(method: &str) {
    let mut lab = Lab::new();
    let [alice, bob, carol, dave] = lab.registered(["alice", "bob", "carol", "dave"]);
    lab.dial(alice, "bob");
    lab.pass(seconds(1));
    let mut number = 0;
    let mut flood = |lab: &mut Lab, milliseconds: u32| {
        for _ in 0..milliseconds {
            for _ in 0..PER_MILLISECOND {
                number += 1;
                lab.throw(flooder(), switch_sip(), request(method, number));
            }
            lab.pass(millis(1));
        }
    };
    let phones: [PhoneId; 4] = [alice, bob, carol, dave];
    flood(&mut lab, 100);
    lab.dial(phones[2], "dave");
    flood(&mut lab, 600);
    lab.assert_talking(alice, bob);
    lab.assert_talking(carol, dave);
    lab.hang_up(alice);
    lab.hang_up(dave);
    flood(&mut lab, 50);
    assert!(phones.iter().all(|phone| !lab.in_call(*phone)));
    lab.finish();
}

#[test]
fn of_invites() {
    assert_undisturbed("INVITE");
}

#[test]
fn of_registers() {
    assert_undisturbed("REGISTER");
}

#[test]
fn of_options() {
    assert_undisturbed("OPTIONS");
}

#[test]
fn of_hangups_of_nothing() {
    assert_undisturbed("BYE");
}
