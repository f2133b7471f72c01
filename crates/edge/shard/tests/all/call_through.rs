//! Phones register, one dials the other, and either hangs up.

use crate::support::*;

use hookswitch_call::Event as CallEvent;
use hookswitch_sip::{Event, Flow, Invite};
use hookswitch_sip_msg::HeaderName;

#[test]
fn two_registered_phones_talk_and_nothing_is_left() {
    let mut world = World::new(shard_config());
    assert_eq!((world.register(0), world.register(1)), (200, 200));
    let call = world.invite(0, "sip:bob@x.test", Some("a-offer"));
    let (_, request) = world.called(1).expect("bob is called");
    assert_eq!(request.body_bytes(), b"a-offer");
    world.respond(1, 180, None);
    world.respond(1, 200, Some("b-answer"));
    assert!(world.has(0, |event| matches!(event, Event::Progress { .. })));
    let answered = world.agents[0].events.iter().find_map(|event| match event {
        Event::Answered { response, .. } => Some(response.clone()),
        _ => None,
    });
    assert_eq!(answered.expect("answered").body_bytes(), b"b-answer");
    world.ack(0, call, None);
    assert!(world.has(1, |event| matches!(event, Event::Acked { .. })));
    world.bye(0, call);
    assert!(world.has(1, |event| matches!(event, Event::Ended { .. })));
    world.assert_clean();
}

#[test]
fn the_sides_share_no_name_and_the_display_goes_through() {
    let mut world = World::trusting();
    world.register(1);
    world.invite(0, "sip:bob@x.test", Some("a"));
    let outer = world.wire.iter().find(|(from, _, m)| *from == at("10.0.0.2:5060") && m.is_request()).unwrap();
    let (_, inner) = world.called(1).unwrap();
    assert_ne!(outer.2.call_id().unwrap(), inner.call_id().unwrap());
    let (from_outer, from_inner) = (outer.2.from().unwrap(), inner.from().unwrap());
    assert_ne!(from_outer.tag(), from_inner.tag());
    assert_eq!(from_inner.display, Some(b"The Caller".as_slice()));
    assert_eq!(inner.max_forwards().unwrap(), Some(69));
    assert_eq!(inner.count(HeaderName::Via), 1, "the caller's path is not shown");
}

#[test]
fn a_caller_without_the_secret_is_refused_and_bob_never_rings() {
    let mut world = World::new(shard_config());
    world.register(1);
    let flow = Flow::udp(at("10.0.0.2:5060"), at(SWITCH));
    let invite = Invite::new("sip:bob@x.test", "<sip:alice@x.test>", "<sip:bob@x.test>", flow);
    let now = world.now;
    world.agents[0].endpoint.invite(now, invite).unwrap();
    world.run();
    assert_eq!(world.failure(0), Some(401));
    // Proving to be alice does not make one bob.
    let mut invite = Invite::new("sip:bob@x.test", "<sip:carol@x.test>", "<sip:bob@x.test>", flow);
    invite.credentials = World::credentials("alice");
    world.agents[0].endpoint.invite(now, invite).unwrap();
    world.run();
    assert_eq!(world.failure(0), Some(403));
    // A stranger from another domain is not even challenged.
    let invite = Invite::new("sip:bob@x.test", "<sip:eve@elsewhere.test>", "<sip:bob@x.test>", flow);
    world.agents[0].endpoint.invite(now, invite).unwrap();
    world.run();
    assert_eq!(world.failure(0), Some(403));
    assert!(world.called(1).is_none());
    world.assert_clean();
}

#[test]
fn registering_takes_the_secret_of_that_user() {
    let mut world = World::trusting();
    assert_eq!(world.register_as(0, "alice", None, 600), 401, "trust does not extend to bindings");
    assert_eq!(world.register_as(0, "bob", World::credentials("alice"), 600), 403);
    assert_eq!(world.register_as(0, "alice", World::credentials("alice"), 10), 423);
    assert_eq!(world.register_as(0, "alice", World::credentials("alice"), 600), 200);
    assert_eq!(world.stored.len(), 1, "and is remembered");
    assert_eq!(world.register_as(0, "alice", World::credentials("alice"), 0), 200);
    assert_eq!(world.shard.counts().bindings, 0);
}

#[test]
fn the_first_phone_of_a_user_that_answers_wins() {
    let mut world = World::trusting();
    world.register(1);
    world.register(2);
    let call = world.invite(0, "sip:bob@x.test", Some("a"));
    world.respond(1, 180, None);
    world.respond(2, 180, None);
    world.respond(2, 200, Some("b"));
    world.ack(0, call, None);
    assert!(world.has(1, |event| matches!(event, Event::Cancelled { .. })));
    let cancel = world
        .wire
        .iter()
        .find(|(_, to, m)| *to == at("10.0.0.3:5060") && m.method() == Some(&hookswitch_sip_msg::Method::Cancel));
    let reason = cancel.expect("a CANCEL").2.header_str(HeaderName::Reason).unwrap_or_default().to_owned();
    assert!(reason.contains("cause=200"), "the loser shows no missed call: {reason}");
    world.bye(0, call);
    world.assert_clean();
}

#[test]
fn the_callees_refusal_reaches_the_caller() {
    for (given, expected) in [(486, 486), (603, 603), (480, 480), (302, 480), (500, 500)] {
        let mut world = World::trusting();
        world.register(1);
        world.invite(0, "sip:bob@x.test", Some("a"));
        world.respond(1, given, None);
        assert_eq!(world.failure(0), Some(expected));
        world.assert_clean();
    }
}

#[test]
fn users_unknown_unregistered_and_silent() {
    let mut world = World::trusting();
    world.invite(0, "sip:nobody@x.test", Some("a"));
    assert_eq!(world.failure(0), Some(404));
    world.invite(0, "sip:bob@x.test", Some("a"));
    assert_eq!(world.failure(0), Some(480));
    world.invite(0, "sip:bob@other.test", Some("a"));
    assert_eq!(world.failure(0), Some(404));
    world.register(1);
    world.mute = Some(at("10.0.0.3:5060"));
    world.invite(0, "sip:bob@x.test", Some("a"));
    world.pass(sec(40));
    assert_eq!(world.failure(0), Some(408));
    world.mute = None;
    // The silent phone was never heard, so nobody could cancel it; it gives up by itself.
    world.pass(sec(310));
    world.assert_clean();
}

#[test]
fn a_cancel_reaches_the_ringing_phone() {
    let mut world = World::trusting();
    world.register(1);
    let call = world.invite(0, "sip:bob@x.test", Some("a"));
    world.respond(1, 180, None);
    world.cancel(0, call);
    assert!(world.has(1, |event| matches!(event, Event::Cancelled { .. })));
    assert_eq!(world.failure(0), Some(487));
    world.assert_clean();
}

#[test]
fn a_missing_ack_ends_both_sides() {
    let mut world = World::trusting();
    world.register(1);
    world.invite(0, "sip:bob@x.test", Some("a"));
    world.respond(1, 200, Some("b"));
    world.pass(sec(33));
    assert!(world.has(1, |event| matches!(event, Event::Ended { .. })), "bob is hung up");
    assert!(world.has(0, |event| matches!(event, Event::Ended { .. })), "alice is sent a BYE");
    world.assert_clean();
}

#[test]
fn byes_that_cross_end_the_call_once() {
    let mut world = World::trusting();
    world.register(1);
    let call = world.invite(0, "sip:bob@x.test", Some("a"));
    world.respond(1, 200, Some("b"));
    world.ack(0, call, None);
    let (other, _) = world.called(1).unwrap();
    let now = world.now;
    world.agents[0].endpoint.bye(now, call, Vec::new());
    world.agents[1].endpoint.bye(now, other, Vec::new());
    world.run();
    world.assert_clean();
    let ends = world.told.iter().filter(|told| matches!(told.event, CallEvent::Ended { .. })).count();
    assert_eq!(ends, 1);
}

#[test]
fn a_route_comes_before_the_users() {
    let mut world = World::trusting();
    world.invite(0, "sip:bench-7@x.test", Some("a"));
    let (_, request) = world.called(1).expect("routed to 10.0.0.3");
    assert_eq!(request.request_uri(), Some("sip:bench-7@10.0.0.3:5060"));
}

#[test]
fn a_phone_that_dies_in_the_call_does_not_keep_the_other() {
    let mut world = World::trusting();
    world.register(1);
    let call = world.invite(0, "sip:bob@x.test", Some("a"));
    world.respond(1, 200, Some("b"));
    world.ack(0, call, None);
    world.mute = Some(at("10.0.0.3:5060"));
    world.bye(0, call);
    // Nobody answers the BYE at bob's side; the leg ends by its timer.
    world.pass(sec(40));
    assert_eq!(world.shard.counts().calls, 0);
    world.mute = None;
    let (other, _) = world.called(1).unwrap();
    world.bye(1, other);
    world.assert_clean();
}

#[test]
fn a_reinvite_without_anchoring_is_carried_to_the_other_side() {
    let mut world = World::trusting();
    world.register(1);
    let call = world.invite(0, "sip:bob@x.test", Some("a"));
    world.respond(1, 200, Some("b"));
    world.ack(0, call, None);
    for (status, accepted) in [(200, true), (488, false)] {
        let now = world.now;
        let body = hookswitch_sip::Body::sdp("a2");
        world.agents[0].endpoint.reinvite(now, call, Some(body), Vec::new()).unwrap();
        world.run();
        let asked = world.agents[1].events.iter().rev().find_map(|event| match event {
            Event::Reinvite { dialog, request } => Some((*dialog, request.body())),
            _ => None,
        });
        let (bobs, offer) = asked.expect("bob is offered the same");
        assert_eq!(offer, "a2");
        let mut response = hookswitch_sip::Response::new(status);
        response.body = accepted.then(|| hookswitch_sip::Body::sdp("b2"));
        world.agents[1].endpoint.respond(now, bobs, response);
        world.run();
        let answer = world.agents[0].events.iter().rev().find_map(|event| match event {
            Event::Reanswered { response, .. } => Some((200, response.body())),
            Event::ReinviteFailed { status, .. } => Some((*status, bytes::Bytes::new())),
            _ => None,
        });
        assert_eq!(answer, Some((status, if accepted { "b2".into() } else { bytes::Bytes::new() })));
        world.ack(0, call, None);
    }
    world.bye(0, call);
    world.assert_clean();
}

#[test]
fn options_says_what_the_switch_can() {
    let mut world = World::trusting();
    let flow = Flow::udp(at("10.0.0.2:5060"), at(SWITCH));
    let method = hookswitch_sip_msg::Method::Options;
    let options = hookswitch_sip::RequestOut::new(method, "sip:x.test", "<sip:a@x>", "<sip:x.test>", flow);
    let now = world.now;
    world.agents[0].endpoint.request(now, options).unwrap();
    world.run();
    let answer = world.wire.last().unwrap();
    assert_eq!(answer.2.status(), Some(200));
    assert!(answer.2.header_str(HeaderName::Allow).unwrap_or_default().contains("INVITE"));
}

#[test]
fn a_phone_that_dies_without_a_word_is_found_out() {
    let mut world = World::trusting();
    world.register(1);
    let call = world.invite(0, "sip:bob@x.test", Some("a"));
    world.respond(1, 200, Some("b"));
    world.ack(0, call, None);
    world.pass(sec(300));
    assert_eq!(world.shard.counts().calls, 1, "phones that answer OPTIONS stay");
    world.mute = Some(at("10.0.0.3:5060"));
    world.pass(sec(60 + 33));
    assert!(world.has(0, |event| matches!(event, Event::Ended { .. })), "alice is hung up");
    world.pass(sec(40));
    assert_eq!(world.shard.counts().calls, 0);
}

#[test]
fn a_phone_that_came_back_without_its_call_is_found_out() {
    let mut world = World::trusting();
    world.register(1);
    let call = world.invite(0, "sip:bob@x.test", Some("a"));
    world.respond(1, 200, Some("b"));
    world.ack(0, call, None);
    // Bob's phone has been restarted: it answers, but knows of no call.
    let config = endpoint_config("10.0.0.3:5060");
    world.agents[1].endpoint = hookswitch_sip::Endpoint::new(config, [55; 32]);
    world.pass(sec(61));
    assert!(world.has(0, |event| matches!(event, Event::Ended { .. })), "alice is hung up");
    world.assert_clean();
    // Phones answer OPTIONS whether they know the dialog or not, so that is no question to ask.
    let asked = world.wire.iter().filter(|(from, _, message)| *from == at(SWITCH) && message.is_request());
    let methods: Vec<&str> = asked.map(|(_, _, message)| message.method().unwrap().as_str()).collect();
    assert!(methods.contains(&"INFO") && !methods.contains(&"OPTIONS"), "{methods:?}");
}
