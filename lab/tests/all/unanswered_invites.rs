//! Ten thousand calls that nobody answers and nobody acknowledges: then nothing is left of them.

use std::net::SocketAddr;

use hookswitch_lab::{Lab, PhoneId, SIP_PORT, millis, sdp, seconds, switch_sip};

const CALLS: u32 = 10_000;

fn invite(number: u32, from: SocketAddr) -> String {
    let body = sdp(SocketAddr::new(from.ip(), 4000), "sendrecv");
    format!(
        "INVITE sip:bob@x.test SIP/2.0\r\nVia: SIP/2.0/UDP {from};rport;branch=z9hG4bKu{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:crowd{number}@x.test>;tag=t{number}\r\nTo: <sip:bob@x.test>\r\n\
         Call-ID: unanswered{number}@lab\r\nCSeq: 1 INVITE\r\nContact: <sip:crowd@{from}>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Everybody is in the trusted network, so nothing but the calls themselves stops them.
fn throng(lab: &mut Lab, calls: u32, sources: u32) {
    for number in 0..calls {
        let source = number % sources;
        let from = SocketAddr::from(([10, 200, (source / 250) as u8, (source % 250) as u8], SIP_PORT));
        lab.throw(from, switch_sip(), invite(number, from));
        if number % 100 == 0 {
            lab.pass(millis(10));
        }
    }
}

fn lab_with_a_silent_bob() -> (Lab, PhoneId) {
    let mut lab = Lab::with_switch(|switch| switch.port_pairs = 21_000);
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.vanish(bob);
    (lab, alice)
}

#[test]
fn from_many() {
    let (mut lab, alice) = lab_with_a_silent_bob();
    throng(&mut lab, CALLS, 1_000);
    lab.pass(millis(100));
    assert_eq!(lab.counts().calls, CALLS as usize);
    assert_eq!(lab.ports_in_use(), CALLS as usize * 2, "a pair for each party");
    // In the middle of all this, others are served.
    lab.dial(alice, "echo");
    lab.pass(seconds(2));
    lab.assert_hears(alice, alice);
    lab.hang_up(alice);
    lab.pass(seconds(33));
    assert_eq!(lab.counts().calls, 0, "nobody waits longer than a transaction may take");
    lab.finish();
}

#[test]
fn from_one_they_are_limited() {
    let (mut lab, alice) = lab_with_a_silent_bob();
    throng(&mut lab, 2_500, 1);
    lab.pass(millis(100));
    let calls = lab.counts().calls;
    assert!(calls <= 2_000, "{calls} calls of one source");
    lab.dial(alice, "echo");
    lab.pass(seconds(2));
    lab.assert_hears(alice, alice);
    lab.hang_up(alice);
    lab.finish();
}
