//! Where requests inside a dialog go: loose and strict routes, target refresh, names, NAT.

use crate::support;

use crate::support::addr;
use crate::support::lone::{Lone, invite, request};
use hookswitch_sip::{DialogId, Event, Flow, Response, Transport};
use hookswitch_sip_msg::HeaderName;

fn bye(lone: &mut Lone, id: DialogId) {
    lone.endpoint.bye(lone.now, id, Vec::new());
    lone.drain();
}

fn answered(more: &str) -> (Lone, DialogId) {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.invite();
    lone.answer("INVITE", 200, "bob", more);
    lone.endpoint.ack(lone.now, id, None);
    lone.drain();
    (lone, id)
}

#[test]
fn the_calling_side_reverses_the_recorded_routes() {
    let (mut lone, id) =
        answered("Record-Route: <sip:10.0.0.9:5070;lr>, <sip:10.0.0.8;lr>\nContact: <sip:bob@10.0.0.2:5077>\n");
    bye(&mut lone, id);
    for word in ["ACK", "BYE"] {
        let sent = lone.last(word);
        assert_eq!(sent.message.request_uri(), Some("sip:bob@10.0.0.2:5077"));
        let routes: Vec<_> = sent.message.values(HeaderName::Route).collect();
        assert_eq!(routes, [&b"<sip:10.0.0.8;lr>"[..], b"<sip:10.0.0.9:5070;lr>"]);
        assert_eq!(sent.flow.remote, addr("10.0.0.8:5060"));
    }
}

#[test]
fn the_called_side_keeps_their_order_and_repeats_them_in_its_answer() {
    let mut lone = Lone::new(Transport::Udp);
    let routes = "Record-Route: <sip:10.0.0.9:5070;lr>\nRecord-Route: <sip:10.0.0.8;lr>\n";
    lone.hear(&invite("z9hG4bK-in", 1, "alice", routes));
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(200));
    lone.drain();
    assert!(lone.last("200").text.contains(&routes.replace('\n', "\r\n")));
    let tag = lone.last("200").to_tag();
    lone.hear(&request("ACK", "z9hG4bK-a", 1, "alice", &tag, ""));
    bye(&mut lone, id);
    let sent = lone.last("BYE");
    let set: Vec<_> = sent.message.values(HeaderName::Route).collect();
    assert_eq!(set, [&b"<sip:10.0.0.9:5070;lr>"[..], b"<sip:10.0.0.8;lr>"]);
    assert_eq!(sent.flow.remote, addr("10.0.0.9:5070"));
    assert_eq!(sent.header(HeaderName::CSeq), "1 BYE");
    assert_eq!(sent.tag_of_from(), tag);
}

#[test]
fn a_strict_router_gets_itself_as_request_uri_and_the_target_last() {
    let (mut lone, id) =
        answered("Record-Route: <sip:10.0.0.9;lr>, <sip:10.0.0.8:5062>\nContact: <sip:bob@10.0.0.2:5077>\n");
    bye(&mut lone, id);
    for word in ["ACK", "BYE"] {
        let sent = lone.last(word);
        assert_eq!(sent.message.request_uri(), Some("sip:10.0.0.8:5062"));
        let routes: Vec<_> = sent.message.values(HeaderName::Route).collect();
        assert_eq!(routes, [&b"<sip:10.0.0.9;lr>"[..], b"<sip:bob@10.0.0.2:5077>"]);
        assert_eq!(sent.flow.remote, addr("10.0.0.8:5062"));
    }
}

#[test]
fn preloaded_routes_are_sent_with_the_first_invite() {
    let mut lone = Lone::new(Transport::Udp);
    let mut call = support::lone::call(lone.flow);
    call.routes = vec!["<sip:10.0.0.2;lr>".into(), "<sip:edge.example.test;lr>".into()];
    lone.endpoint.invite(lone.now, call).unwrap();
    lone.drain();
    let sent = lone.last("INVITE");
    assert_eq!(sent.message.request_uri(), Some("sip:bob@10.0.0.2"));
    assert_eq!(sent.message.values(HeaderName::Route).count(), 2);
}

#[test]
fn a_reinvite_with_another_contact_moves_the_target() {
    let mut lone = Lone::new(Transport::Udp);
    let id = lone.call_in();
    let tag = lone.last("200").to_tag();
    lone.hear(&request("INVITE", "z9hG4bK-re", 2, "alice", &tag, "Contact: <sip:alice@10.0.0.7:5099>\n"));
    lone.endpoint.respond(lone.now, id, Response::new(200));
    lone.drain();
    lone.hear(&request("ACK", "z9hG4bK-re-ack", 2, "alice", &tag, ""));
    bye(&mut lone, id);
    let sent = lone.last("BYE");
    assert_eq!(sent.message.request_uri(), Some("sip:alice@10.0.0.7:5099"));
    assert_eq!(sent.flow.remote, addr("10.0.0.7:5099"));
}

#[test]
fn the_2xx_to_our_reinvite_moves_the_target() {
    let (mut lone, id) = answered("Contact: <sip:bob@10.0.0.2:5060>\n");
    lone.endpoint.reinvite(lone.now, id, None, Vec::new()).unwrap();
    lone.drain();
    lone.answer("INVITE", 200, "bob", "Contact: <sip:bob@10.0.0.6:5060>\n");
    assert!(matches!(lone.events.last(), Some(Event::Reanswered { .. })));
    lone.endpoint.ack(lone.now, id, None);
    lone.drain();
    assert_eq!(lone.last("ACK").message.request_uri(), Some("sip:bob@10.0.0.6:5060"));
    assert_eq!(lone.last("ACK").header(HeaderName::CSeq), "2 ACK");
}

#[test]
fn a_target_that_is_a_name_stays_on_the_flow_it_was_heard_on() {
    let (mut lone, id) = answered("Contact: <sip:bob@phone.example.test>\n");
    bye(&mut lone, id);
    assert_eq!(lone.last("BYE").message.request_uri(), Some("sip:bob@phone.example.test"));
    assert_eq!(lone.last("BYE").flow, lone.flow);
}

#[test]
fn a_phone_behind_a_nat_is_reached_through_its_flow() {
    let mut lone = Lone::new(Transport::Udp);
    lone.flow.remote = addr("198.51.100.7:31000");
    lone.hear(
        &invite("z9hG4bK-in", 1, "alice", "Contact: <sip:alice@192.168.1.9:5060>\n")
            .replace("10.0.0.2:5060;branch=z9hG4bK-in", "192.168.1.9:5060;rport;branch=z9hG4bK-in"),
    );
    let id = lone.invited();
    lone.endpoint.respond(lone.now, id, Response::new(200));
    lone.drain();
    assert_eq!(lone.last("200").flow.remote, addr("198.51.100.7:31000"));
    let tag = lone.last("200").to_tag();
    lone.hear(&request("ACK", "z9hG4bK-a", 1, "alice", &tag, ""));
    bye(&mut lone, id);
    assert_eq!(lone.last("BYE").message.request_uri(), Some("sip:alice@192.168.1.9:5060"));
    assert_eq!(lone.last("BYE").flow.remote, addr("198.51.100.7:31000"));
}

/// Calls somebody at `uri` over another address, is answered with this Contact, and says where the ACK went.
fn acked(lone: &mut Lone, uri: &str, contact: &str) -> Flow {
    let mut call = support::lone::call(lone.flow);
    call.uri = uri.into();
    let id = lone.endpoint.invite(lone.now, call).unwrap();
    lone.drain();
    lone.answer("INVITE", 200, "bob", &format!("Contact: <{contact}>\n"));
    lone.endpoint.ack(lone.now, id, None);
    lone.drain();
    lone.last("ACK").flow
}

#[test]
fn a_binding_called_through_its_flow_is_reached_there_afterwards() {
    let mut lone = Lone::new(Transport::Udp);
    assert_eq!(acked(&mut lone, "sip:bob@10.9.9.9:5066", "sip:bob@10.9.9.9:5066"), lone.flow);
}

#[test]
fn a_phone_behind_a_nat_whose_outside_is_private_too_is_not_called_back_at_another_port() {
    let mut lone = Lone::new(Transport::Udp);
    lone.flow.remote = addr("10.77.5.2:31000");
    assert_eq!(acked(&mut lone, "sip:bob@192.168.3.2:41000", "sip:bob@192.168.3.2:5060"), lone.flow);
}

#[test]
fn a_folded_record_route_cannot_add_lines_to_our_requests() {
    let (mut lone, id) = answered("Record-Route: <sip:10.0.0.9;lr>;a=b\n ;c=d\nContact: <sip:bob@10.0.0.2>\n");
    bye(&mut lone, id);
    assert_eq!(lone.last("BYE").header(HeaderName::Route), "<sip:10.0.0.9;lr>;a=b ;c=d");
}

#[test]
fn a_dialog_can_be_stored_and_taken_over() {
    let (lone, id) = answered("Record-Route: <sip:10.0.0.8;lr>\nContact: <sip:bob@10.0.0.2:5077>\n");
    let dialog = lone.endpoint.dialog(id).unwrap();
    let text = serde_json::to_string(dialog).unwrap();
    let stored: hookswitch_sip::Dialog = serde_json::from_str(&text).unwrap();
    assert_eq!(stored, *dialog);
    assert_eq!(dialog.remote_target(), "sip:bob@10.0.0.2:5077");

    let mut other = Lone::new(Transport::Udp);
    let id = other.endpoint.adopt(stored).unwrap();
    bye(&mut other, id);
    let sent = other.last("BYE");
    assert_eq!(sent.header(HeaderName::CSeq), "2 BYE");
    assert_eq!(sent.flow.remote, addr("10.0.0.8:5060"));
    let early = lone.endpoint.dialog(id);
    assert!(early.is_none_or(|dialog| dialog.remote_tag() == "bob"));
    other.answer("BYE", 200, "", "");
    other.settle();
    other.assert_nothing_left();
}
