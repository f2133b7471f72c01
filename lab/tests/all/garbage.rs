//! Garbage on the SIP port, as datagrams and as streams: it costs its sender and nobody else.

use std::net::SocketAddr;

use hookswitch_lab::{Dice, Lab, PhoneId, millis, seconds, switch_sip};
use hookswitch_sip::Transport;

fn stranger(number: u8) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, number], 5060))
}

fn talking() -> (Lab, PhoneId, PhoneId) {
    let mut lab = Lab::new();
    let alice = lab.phone("alice");
    let bob = lab.phone_with("bob", |phone| phone.transport = Transport::Tcp);
    lab.register(alice);
    lab.register(bob);
    lab.dial(alice, "bob");
    lab.pass(seconds(1));
    (lab, alice, bob)
}

/// A whole INVITE of somebody who may call.
fn invite(number: u32) -> String {
    format!(
        "INVITE sip:bob@x.test SIP/2.0\r\nVia: SIP/2.0/UDP 10.200.9.9:5060;branch=z9hG4bKg{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:frank@x.test>;tag=t{number}\r\nTo: <sip:bob@x.test>\r\n\
         Call-ID: garbage{number}@lab\r\nCSeq: 1 INVITE\r\nContact: <sip:frank@10.200.9.9>\r\n\
         Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
    )
}

#[test]
fn datagrams_of_any_bytes() {
    let (mut lab, alice, bob) = talking();
    let mut dice = Dice::new(lab.seed());
    for number in 0..600_u32 {
        let length = dice.below(if number % 50 == 0 { 60_000 } else { 400 }) as usize;
        let mut bytes: Vec<u8> = (0..length).map(|_| dice.roll() as u8).collect();
        if number % 3 == 0 {
            // Nearer to the truth: a message with some bytes changed.
            bytes = invite(number).into_bytes();
            for _ in 0..1 + dice.below(8) {
                let at = dice.below(bytes.len() as u64) as usize;
                bytes[at] = dice.roll() as u8;
            }
        }
        lab.throw(stranger(dice.below(250) as u8), switch_sip(), bytes);
        lab.pass(millis(1));
    }
    lab.pass(seconds(1));
    lab.assert_talking(alice, bob);
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn requests_cut_anywhere() {
    let (mut lab, alice, bob) = talking();
    let whole = invite(1);
    for length in 0..whole.len() {
        lab.throw(stranger(7), switch_sip(), whole.as_bytes()[..length].to_vec());
    }
    lab.pass(seconds(1));
    lab.assert_talking(alice, bob);
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn streams_cut_anywhere() {
    let (mut lab, alice, bob) = talking();
    let whole = invite(1).replace("/UDP", "/TCP");
    for length in (0..whole.len()).step_by(5) {
        let connection = lab.intrude(SocketAddr::from(([198, 51, 100, 7], 20_000 + length as u16)));
        lab.intrude_with(connection, &whole.as_bytes()[..length]);
        lab.pass(millis(2));
        lab.leave(connection);
    }
    lab.pass(seconds(1));
    lab.assert_talking(alice, bob);
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn streams_that_stop_in_the_middle_of_a_message_are_closed() {
    let (mut lab, alice, bob) = talking();
    let whole = invite(1).replace("/UDP", "/TCP");
    let connections = [1, 20, whole.len() / 2, whole.len() - 1].map(|length| {
        let connection = lab.intrude(SocketAddr::from(([198, 51, 100, 7], 20_000 + length as u16)));
        lab.intrude_with(connection, &whole.as_bytes()[..length]);
        connection
    });
    lab.pass(seconds(30));
    assert!(connections.iter().all(|connection| lab.is_open(*connection)), "the rest may still come");
    lab.pass(seconds(5));
    assert!(!connections.iter().any(|connection| lab.is_open(*connection)));
    lab.assert_talking(alice, bob);
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn streams_of_any_bytes() {
    let (mut lab, alice, bob) = talking();
    let mut dice = Dice::new(lab.seed());
    let mut open = Vec::new();
    for number in 0..200_u16 {
        let connection = lab.intrude(SocketAddr::from(([198, 51, 100, 8], 20_000 + number)));
        let length = dice.below(3_000);
        let garbage: Vec<u8> = (0..length).map(|_| dice.roll() as u8).collect();
        lab.intrude_with(connection, &garbage);
        // Some leave, some stay and are shown the door.
        if number % 2 == 0 {
            lab.leave(connection);
        } else {
            open.push(connection);
        }
        lab.pass(millis(2));
    }
    lab.pass(seconds(40));
    let left = open.iter().filter(|connection| lab.is_open(**connection)).count();
    assert_eq!(left, 0);
    lab.assert_talking(alice, bob);
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn bodies_and_heads_without_an_end() {
    let (mut lab, alice, bob) = talking();
    let endless_head = lab.intrude(SocketAddr::from(([198, 51, 100, 9], 20_000)));
    lab.intrude_with(endless_head, b"INVITE sip:bob@x.test SIP/2.0\r\n");
    let endless_body = lab.intrude(SocketAddr::from(([198, 51, 100, 9], 20_001)));
    lab.intrude_with(endless_body, b"INVITE sip:bob@x.test SIP/2.0\r\nContent-Length: 4000000000\r\n\r\n");
    for round in 0..400 {
        if lab.is_open(endless_head) {
            lab.intrude_with(endless_head, format!("X-Header-{round}: {}\r\n", "x".repeat(1_000)).as_bytes());
        }
        if lab.is_open(endless_body) {
            lab.intrude_with(endless_body, &[b'x'; 1_000]);
        }
        lab.pass(millis(10));
    }
    assert!(!lab.is_open(endless_head) && !lab.is_open(endless_body), "a limit closes what has none");
    lab.assert_talking(alice, bob);
    lab.hang_up(bob);
    lab.finish();
}

#[test]
fn responses_and_requests_to_nothing() {
    let (mut lab, alice, bob) = talking();
    for status in [100, 180, 200, 302, 401, 487, 500, 699] {
        for method in ["INVITE", "BYE", "REGISTER", "CANCEL"] {
            let response = format!(
                "SIP/2.0 {status} So\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKnone\r\nFrom: <sip:a@x>;tag=1\r\n\
                 To: <sip:b@x>;tag=2\r\nCall-ID: none\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
            );
            lab.throw(stranger(1), switch_sip(), response);
        }
    }
    for method in ["ACK", "BYE", "CANCEL", "UPDATE", "PRACK", "INFO", "REFER", "NOTIFY", "WHATEVER"] {
        let request = format!(
            "{method} sip:bob@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK{method}\r\n\
             From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>;tag=2\r\nCall-ID: none\r\nCSeq: 1 {method}\r\n\
             Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        lab.throw(stranger(1), switch_sip(), request);
    }
    lab.pass(seconds(1));
    lab.assert_talking(alice, bob);
    lab.hang_up(bob);
    lab.finish();
}
