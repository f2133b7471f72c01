//! Messages that cross on the way, and what comes in one piece that should have come in two.

use crate::support::*;

use crate::support::raw::{Raw, answer, request, tcp, trusting_config, udp};

use hookswitch_b2bua::route::Route;
use hookswitch_call::{Event as CallEvent, Limits};
use hookswitch_shard::Counts;
use hookswitch_sip::{Body, Event, Flow, Listen, Response, Transport};
use hookswitch_sip_msg::Method;

fn ends(world: &World) -> usize {
    world.told.iter().filter(|told| matches!(told.event, CallEvent::Ended { .. })).count()
}

#[test]
fn a_cancel_that_crosses_the_answer_ends_the_call_on_both_sides() {
    // Either message may be the first at the switch.
    for answer_first in [true, false] {
        let mut world = World::trusting();
        world.register(1);
        let call = world.invite(0, "sip:bob@x.test", Some("a"));
        world.respond(1, 180, None);
        let (callee, _) = world.called(1).unwrap();
        let now = world.now;
        let answer = Response::new(200).with_body(Body::sdp("b"));
        if answer_first {
            world.agents[1].endpoint.respond(now, callee, answer);
            world.run();
            world.agents[0].endpoint.cancel(now, call, None);
        } else {
            world.agents[0].endpoint.cancel(now, call, None);
            world.agents[1].endpoint.respond(now, callee, answer);
        }
        world.run();
        if answer_first {
            // The caller has been answered: its CANCEL comes too late and it hangs up.
            world.ack(0, call, None);
            world.bye(0, call);
        } else {
            assert_eq!(world.failure(0), Some(487));
        }
        assert!(world.has(1, |event| matches!(event, Event::Ended { .. })), "bob is hung up ({answer_first})");
        world.assert_clean();
        assert_eq!(ends(&world), 1);
    }
}

#[test]
fn an_answer_that_crosses_the_time_out_is_acknowledged_and_hung_up() {
    let mut config = shard_config();
    config.b2bua.trusted = vec![hookswitch_sip::Network { addr: "10.0.0.0".parse().unwrap(), prefix: 8 }];
    config.limits = Limits { ring_time: sec(30), anchor: false, ..Limits::default() };
    let mut world = World::new(config);
    world.register(1);
    world.invite(0, "sip:bob@x.test", Some("a"));
    world.respond(1, 180, None);
    world.pass(sec(30) - std::time::Duration::from_millis(1));
    let (callee, _) = world.called(1).unwrap();
    world.now += std::time::Duration::from_millis(1);
    let now = world.now;
    world.agents[1].endpoint.respond(now, callee, Response::new(200).with_body(Body::sdp("b")));
    world.shard.handle_timeout(now);
    world.run();
    assert_eq!(world.failure(0), Some(408));
    assert!(world.has(1, |event| matches!(event, Event::Acked { .. })));
    assert!(world.has(1, |event| matches!(event, Event::Ended { .. })));
    world.assert_clean();
    assert_eq!(ends(&world), 1);
}

/// A switch with one TCP connection to a proxy that both parties are behind.
fn proxied() -> (Raw, Flow) {
    let mut config = trusting_config();
    config.b2bua.endpoint.listen = vec![Listen { transport: Transport::Tcp, address: at(SWITCH), advertise: None }];
    config.b2bua.routes = vec![Route::new("sip:*", "sip:10.0.0.9:5060;transport=tcp").unwrap()];
    let flow = tcp("10.0.0.9:5060", 1);
    let mut raw = Raw::new(config);
    raw.input(hookswitch_sip::Input::Opened { flow });
    (raw, flow)
}

#[test]
fn an_answer_right_behind_a_cancel_in_one_read_is_acknowledged_and_hung_up() {
    let (mut raw, proxy) = proxied();
    raw.hear(proxy, &request("INVITE", "sip:bob@x.test", 1, "", "a"));
    let invite = raw.last("INVITE").1.clone();
    raw.hear(proxy, &answer(&invite, "180 Ringing", "b", ""));
    let both = request("CANCEL", "sip:bob@x.test", 1, "", "") + &answer(&invite, "200 OK", "b", "b-sdp");
    raw.hear(proxy, &both);
    assert_eq!(raw.last("ACK").1.to().unwrap().tag(), Some("b"));
    let bye = raw.last("BYE").1.clone();
    raw.hear(proxy, &answer(&bye, "200 OK", "b", ""));
    raw.pass(sec(40));
    assert_eq!(raw.shard.counts(), Counts { connections: 1, ..Counts::default() });
}

#[test]
fn two_answers_of_a_fork_in_one_read_make_one_call() {
    let (mut raw, proxy) = proxied();
    raw.hear(proxy, &request("INVITE", "sip:bob@x.test", 1, "", "a"));
    let invite = raw.last("INVITE").1.clone();
    let both = answer(&invite, "200 OK", "b", "b-sdp") + &answer(&invite, "200 OK", "c", "c-sdp");
    raw.hear(proxy, &both);
    let acks = raw.sent.iter().filter(|(_, message)| message.method() == Some(&Method::Ack));
    let mut tags: Vec<_> = acks.map(|(_, ack)| ack.to().unwrap().tag().unwrap().to_owned()).collect();
    tags.sort();
    assert_eq!(tags, ["b", "c"]);
    assert_eq!(raw.last("BYE").1.to().unwrap().tag(), Some("c"), "the second one is ended");
    assert_eq!(raw.shard.counts().legs, 2);
}

#[test]
fn a_bye_in_the_early_dialog_is_as_good_as_a_cancel() {
    let mut raw = Raw::new(trusting_config());
    let (alice, bob) = (udp("10.0.0.2:5060"), udp("10.0.0.3:5060"));
    raw.hear(alice, &request("INVITE", "sip:bench-1@x.test", 1, "", "a"));
    let invite = raw.last("INVITE").1.clone();
    raw.hear(bob, &answer(&invite, "180 Ringing", "b", ""));
    let tag = raw.last("180").1.to().unwrap().tag().unwrap().to_owned();
    raw.hear(alice, &request("BYE", "sip:bench-1@x.test", 2, &tag, ""));
    assert_eq!(raw.last("200").0.remote, alice.remote);
    assert_eq!(raw.last("487").0.remote, alice.remote);
    assert_eq!(raw.last("CANCEL").0.remote, bob.remote);
    let cancel = raw.last("CANCEL").1.clone();
    raw.hear(bob, &answer(&cancel, "200 OK", "b", ""));
    raw.hear(bob, &answer(&invite, "487 Request Terminated", "b", ""));
    raw.pass(sec(40));
    assert_eq!(raw.shard.counts(), Counts::default());
}

#[test]
fn an_answer_with_a_description_of_absurd_size_ends_the_call_on_both_sides() {
    let (mut raw, proxy) = proxied();
    raw.hear(proxy, &request("INVITE", "sip:bob@x.test", 1, "", "a"));
    let invite = raw.last("INVITE").1.clone();
    raw.hear(proxy, &answer(&invite, "200 OK", "b", &"x".repeat(hookswitch_b2bua::MAX_SDP + 1)));
    let bye = raw.last("BYE").1.clone();
    assert_eq!(raw.last("488").1.to().unwrap().uri_str(), Some("sip:bob@x.test"));
    raw.hear(proxy, &answer(&bye, "200 OK", "b", ""));
    raw.pass(sec(40));
    assert_eq!(raw.shard.counts(), Counts { connections: 1, ..Counts::default() });
}
