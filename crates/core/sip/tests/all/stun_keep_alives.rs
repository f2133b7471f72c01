//! STUN on the socket of SIP (RFC 5626 section 5.4).

use crate::support::lone::{Lone, request, wire};
use bytes::Bytes;
use hookswitch_sip::{Event, Input, Transport};

const BINDING: [u8; 20] = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

fn datagram(lone: &mut Lone, bytes: &[u8]) {
    let flow = lone.flow;
    lone.input(Input::Datagram { flow, bytes: Bytes::copy_from_slice(bytes) });
}

#[test]
fn a_keep_alive_is_answered_where_it_came_from_and_sip_goes_on_beside_it() {
    let mut lone = Lone::new(Transport::Udp);
    datagram(&mut lone, &BINDING);
    let (flow, answer) = lone.raw.pop().expect("an answer");
    assert_eq!(flow, lone.flow);
    assert_eq!((answer.len(), &answer[..4], &answer[8..20]), (32, &[1, 1, 0, 12][..], &BINDING[8..]));
    let options = wire(&request("OPTIONS", "z9hG4bK-1", 1, "a", "", ""));
    datagram(&mut lone, &options);
    assert!(matches!(lone.events[..], [Event::Request { .. }]));
}

#[test]
fn stun_that_is_no_keep_alive_is_dropped_and_counted() {
    let mut lone = Lone::new(Transport::Udp);
    let mut success = BINDING;
    success[0] = 1;
    datagram(&mut lone, &success);
    let mut shared_secret = BINDING;
    shared_secret[1] = 2;
    datagram(&mut lone, &shared_secret);
    assert!(lone.raw.is_empty() && lone.sent.is_empty());
    assert_eq!(lone.endpoint.dropped().garbage, 2);
}
