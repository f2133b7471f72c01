//! Whatever arrives, nothing panics, nothing is held for ever, and calls that stand are not touched by it.

use crate::support::lone::{Lone, invite, request, response, wire};
use crate::support::{Dice, ms};
use bytes::Bytes;
use hookswitch_sip::{ConnId, Event, Flow, Input, Response, Transport};

/// Messages that mean something to the endpoint, to be damaged.
fn material(lone: &Lone) -> Vec<Vec<u8>> {
    let tag = lone.sent.iter().rev().map(|sent| sent.to_tag()).find(|tag| !tag.is_empty()).unwrap_or_default();
    let mut all = vec![
        invite("z9hG4bK-n1", 1, "n", "Record-Route: <sip:r;lr>, <sip:s>\n"),
        request("ACK", "z9hG4bK-n1", 1, "n", &tag, ""),
        request("CANCEL", "z9hG4bK-n1", 1, "n", "", ""),
        request("BYE", "z9hG4bK-n2", 9, "n", &tag, ""),
        request("INFO", "z9hG4bK-n3", 2, "alice", &tag, "Require: a,b\n"),
        request("REGISTER", "z9hG4bK-n4", 2, "n", "", "Expires: 5\n"),
        request("OPTIONS", "", 2, "n", "", ""),
    ];
    for sent in lone.sent.iter().rev().take(8).filter(|sent| sent.message.is_request() && sent.word() != "ACK") {
        for status in [100, 180, 200, 302, 401, 487, 491] {
            all.push(response(&sent.message, status, "n", "Contact: <sip:n@10.0.0.2>\nRecord-Route: <sip:r>\n"));
        }
    }
    all.iter().map(|text| wire(text).to_vec()).collect()
}

fn damage(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..dice.below(6) {
        if bytes.is_empty() {
            return;
        }
        let at = dice.below(bytes.len() as u64) as usize;
        match dice.below(5) {
            0 => bytes[at] = dice.next() as u8,
            1 => bytes.truncate(at),
            2 => drop(bytes.remove(at)),
            3 => bytes.insert(at, b"\r\n;,:<>\"@ \0"[dice.below(11) as usize]),
            _ => {
                let tail = bytes[at..].to_vec();
                bytes.extend(tail);
            }
        }
    }
}

#[test]
fn damaged_messages_do_no_harm() {
    for seed in 1..=8 {
        let mut dice = Dice::new(seed);
        let transport = if seed % 2 == 0 { Transport::Tcp } else { Transport::Udp };
        let mut lone = Lone::new(transport);
        let standing = lone.call_in();
        lone.invite();
        for round in 0..4_000 {
            let all = material(&lone);
            let mut bytes = all[dice.below(all.len() as u64) as usize].clone();
            damage(&mut dice, &mut bytes);
            let flow = Flow { conn: lone.flow.conn.map(|_| ConnId(1 + dice.below(3))), ..lone.flow };
            let bytes = Bytes::from(bytes);
            lone.input(match transport {
                Transport::Udp => Input::Datagram { flow, bytes },
                _ => Input::Stream { flow, bytes },
            });
            if round % 50 == 0 {
                lone.pass(ms(dice.below(3_000)));
                lone.invite();
                lone.sent.drain(..lone.sent.len() - 1);
            }
            answer_everything(&mut lone);
        }
        let _ = standing;
        lone.settle();
        let counts = lone.endpoint.counts();
        assert_eq!((counts.transactions, counts.timers), (0, 0), "seed {seed}");
    }
}

fn answer_everything(lone: &mut Lone) {
    for event in std::mem::take(&mut lone.events) {
        match event {
            Event::Invite { dialog, .. } | Event::Reinvite { dialog, .. } => {
                lone.endpoint.respond(lone.now, dialog, Response::new(200));
            }
            Event::Answered { dialog, .. } | Event::Reanswered { dialog, .. } => {
                lone.endpoint.ack(lone.now, dialog, None);
            }
            Event::Request { txn, .. } => lone.endpoint.reply(lone.now, txn, Response::new(200)),
            _ => {}
        }
        lone.drain();
    }
}

#[test]
fn pure_noise_is_dropped() {
    let mut dice = Dice::new(99);
    let mut lone = Lone::new(Transport::Udp);
    for _ in 0..5_000 {
        let length = dice.below(300);
        let bytes: Vec<u8> = (0..length).map(|_| dice.next() as u8).collect();
        lone.input(Input::Datagram { flow: lone.flow, bytes: bytes.into() });
    }
    assert!(lone.sent.is_empty() && lone.events.is_empty());
    lone.assert_nothing_left();
}
