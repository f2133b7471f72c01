//! Transfers that phones ask for, and calls that are picked up: whole calls through the switch.

use crate::support::*;

use hookswitch_sip::{Body, DialogId, Event, Flow, Header, Invite, RequestOut, Response};
use hookswitch_sip_msg::{HeaderName, Method};

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 3;

/// Alice calls somebody, who answers.
fn talk(world: &mut World, to: &str, agent: usize) -> DialogId {
    let call = world.invite(ALICE, to, Some("a"));
    world.respond(agent, 180, None);
    world.respond(agent, 200, Some("b"));
    world.ack(ALICE, call, None);
    call
}

/// Alice and bob talk; carol has a phone.
fn talking() -> (World, DialogId) {
    let mut world = World::anchoring();
    world.register(BOB);
    world.register(CAROL);
    let call = talk(&mut world, "sip:bob@x.test", BOB);
    (world, call)
}

/// Alice asks for a transfer; returns the status of the answer.
fn refer(world: &mut World, call: DialogId, to: &str) -> u16 {
    let mut refer = RequestOut::inside(call, Method::Refer);
    refer.headers.push(Header::new(HeaderName::ReferTo, to.to_owned()));
    world.agents[ALICE].endpoint.request(world.now, refer).expect("the dialog stands");
    world.run();
    let status = world.agents[ALICE].events.iter().rev().find_map(|event| match event {
        Event::Response { status, .. } => Some(*status),
        _ => None,
    });
    status.expect("an answer")
}

/// What alice was told of her transfer.
fn news(world: &World) -> Vec<String> {
    let notifies = world
        .wire
        .iter()
        .filter(|(_, to, message)| *to == at("10.0.0.2:5060") && message.method() == Some(&Method::Notify));
    let line = |body: &[u8]| String::from_utf8_lossy(body).trim_end().to_owned();
    notifies.map(|(_, _, message)| line(message.body_bytes())).collect()
}

fn ended(world: &World, agent: usize) -> usize {
    world.agents[agent].events.iter().filter(|event| matches!(event, Event::Ended { .. })).count()
}

#[test]
fn a_phone_transfers_its_party_blind() {
    let (mut world, call) = talking();
    assert_eq!(refer(&mut world, call, "<sip:carol@x.test>"), 202);
    assert_eq!(news(&world), ["SIP/2.0 100 Trying"]);
    assert!(world.called(CAROL).is_some(), "carol is called");
    world.respond(CAROL, 180, None);
    world.respond(CAROL, 200, Some("c"));
    assert_eq!(news(&world), ["SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK"]);
    world.pass(sec(5));
    assert_eq!((ended(&world, ALICE), ended(&world, BOB), ended(&world, CAROL)), (1, 0, 0), "alice has left");
    let (carols, _) = world.called(CAROL).unwrap();
    world.bye(CAROL, carols);
    assert_eq!(ended(&world, BOB), 1);
    world.assert_clean();
}

#[test]
fn after_a_transfer_that_fails_the_two_talk_on() {
    let (mut world, call) = talking();
    assert_eq!(refer(&mut world, call, "<sip:carol@x.test>"), 202);
    world.respond(CAROL, 486, None);
    assert_eq!(news(&world).last().map(String::as_str), Some("SIP/2.0 486 Busy Here"));
    world.pass(sec(5));
    assert_eq!((ended(&world, ALICE), ended(&world, BOB)), (0, 0));
    // And may be transferred again.
    assert_eq!(refer(&mut world, call, "<sip:nobody@x.test>"), 202);
    assert_eq!(news(&world).last().map(String::as_str), Some("SIP/2.0 404 Not Found"));
    world.bye(ALICE, call);
    assert_eq!(ended(&world, BOB), 1);
    world.assert_clean();
}

#[test]
fn a_phone_connects_its_two_parties() {
    let (mut world, call) = talking();
    let other = talk(&mut world, "sip:carol@x.test", CAROL);
    let dialog = world.agents[ALICE].endpoint.dialog(other).unwrap();
    let replaces = hookswitch_sip_msg::Replaces {
        call_id: dialog.call_id(),
        to_tag: dialog.remote_tag(),
        from_tag: dialog.local_tag(),
        early_only: false,
    };
    let to = format!("<sip:carol@x.test?Replaces={}>", replaces.escaped());
    assert_eq!(refer(&mut world, call, &to), 202);
    let asked = world.agents[CAROL].events.iter().rev().find_map(|event| match event {
        Event::Reinvite { dialog, request } => Some((*dialog, request.clone())),
        _ => None,
    });
    let (carols, reinvite) = asked.expect("carol is offered the session with bob");
    assert!(reinvite.body_bytes().starts_with(b"s"));
    let now = world.now;
    world.agents[CAROL].endpoint.respond(now, carols, Response::new(200).with_body(Body::sdp("c2")));
    world.run();
    assert_eq!(news(&world).last().map(String::as_str), Some("SIP/2.0 200 OK"));
    world.pass(sec(5));
    assert_eq!((ended(&world, ALICE), ended(&world, BOB), ended(&world, CAROL)), (2, 0, 0), "alice has left both");
    assert_eq!(world.shard.counts().calls, 1);
    let (bobs, _) = world.called(BOB).unwrap();
    world.bye(BOB, bobs);
    assert_eq!(ended(&world, CAROL), 1);
    world.assert_clean();
}

#[test]
fn a_ringing_phone_is_picked_up_by_another() {
    let mut world = World::anchoring();
    world.register(BOB);
    let call = world.invite(ALICE, "sip:bob@x.test", Some("a"));
    world.respond(BOB, 180, None);
    let (bobs, _) = world.called(BOB).unwrap();
    let dialog = world.agents[BOB].endpoint.dialog(bobs).unwrap();
    let replaces =
        format!("{};to-tag={};from-tag={};early-only", dialog.call_id(), dialog.remote_tag(), dialog.local_tag());
    let flow = Flow::udp(at("10.0.0.5:5060"), at(SWITCH));
    let mut invite = Invite::new("sip:bob@x.test", "<sip:carol@x.test>", "<sip:bob@x.test>", flow);
    invite.headers.push(Header::new(HeaderName::Replaces, replaces));
    invite.body = Some(Body::sdp("c"));
    let now = world.now;
    let carols = world.agents[CAROL].endpoint.invite(now, invite).unwrap();
    world.run();
    assert!(world.has(CAROL, |event| matches!(event, Event::Answered { .. })), "carol has the call");
    assert!(world.has(ALICE, |event| matches!(event, Event::Answered { .. })), "alice is answered");
    assert!(world.has(BOB, |event| matches!(event, Event::Cancelled { .. })), "bob's phone is silent");
    world.ack(CAROL, carols, None);
    world.ack(ALICE, call, None);
    world.bye(ALICE, call);
    assert_eq!(ended(&world, CAROL), 1);
    world.assert_clean();
}
