//! How many contacts and calls a user may have.

use crate::support::raw::{Raw, answer, request, udp};
use crate::support::*;

use hookswitch_call::directory::{Directory, Layer, Secret, UserLimits};
use hookswitch_shard::ShardConfig;
use hookswitch_sip::auth::Credentials;
use hookswitch_sip::{DialogId, Network};
use hookswitch_sip_msg::HeaderName;

const ALICE: usize = 0;
const BOB: usize = 1;
const BOB_TOO: usize = 2;
const CAROL: usize = 3;

/// Everybody may have so many calls at a time, and carol has limits of her own.
fn config(everybody: u32, carol: UserLimits) -> ShardConfig {
    let mut config = shard_config();
    let users = ["alice", "bob", "carol"].map(|name| (name.into(), Secret::new(&format!("{name}-pw"))));
    let layer = Layer { users: users.into(), limits: [("carol".into(), carol)].into(), ..Layer::default() };
    config.directory = Directory::new();
    config.directory.configure("x.test", layer).unwrap();
    config.b2bua.max_calls_per_user = everybody;
    config
}

fn call(world: &mut World, from: usize, to: &str) -> DialogId {
    world.invite(from, to, Some("v=0"))
}

#[test]
fn a_user_with_a_call_is_busy_and_may_make_no_other() {
    let mut world = World::new(config(1, UserLimits::default()));
    for agent in [ALICE, BOB, BOB_TOO, CAROL] {
        assert_eq!(world.register(agent), 200);
    }
    let first = call(&mut world, ALICE, "sip:bob@x.test");
    assert!(world.called(BOB).is_some() && world.called(BOB_TOO).is_some(), "both phones of one user, for one call");
    world.respond(BOB, 200, Some("v=0"));
    world.ack(ALICE, first, None);
    call(&mut world, CAROL, "sip:bob@x.test");
    assert_eq!(world.failure(CAROL), Some(486), "whoever calls bob");
    call(&mut world, ALICE, "sip:carol@x.test");
    assert_eq!(world.failure(ALICE), Some(403), "and alice may call nobody else");
    world.bye(ALICE, first);
    let second = call(&mut world, CAROL, "sip:bob@x.test");
    world.respond(BOB_TOO, 200, Some("v=0"));
    world.ack(CAROL, second, None);
    world.bye(CAROL, second);
    world.assert_clean();
}

#[test]
fn a_limit_of_its_own_takes_the_place_of_the_one_for_everybody() {
    let mut world = World::new(config(1, UserLimits { calls: Some(2), ..UserLimits::default() }));
    for agent in [ALICE, BOB, CAROL] {
        assert_eq!(world.register(agent), 200);
    }
    for from in [ALICE, BOB] {
        let dialog = call(&mut world, from, "sip:carol@x.test");
        world.respond(CAROL, 200, Some("v=0"));
        world.ack(from, dialog, None);
    }
    assert_eq!(world.shard.counts().calls, 2);
    call(&mut world, CAROL, "sip:tone@x.test");
    assert_eq!(world.failure(CAROL), Some(403));
}

#[test]
fn none_at_all_is_a_limit_too() {
    let mut world = World::new(config(0, UserLimits { calls: Some(0), contacts: Some(0), ..UserLimits::default() }));
    assert_eq!(world.register(CAROL), 403, "no contact");
    assert_eq!(world.register(ALICE), 200);
    call(&mut world, CAROL, "sip:alice@x.test");
    assert_eq!(world.failure(CAROL), Some(403));
    call(&mut world, ALICE, "sip:carol@x.test");
    assert_eq!(world.failure(ALICE), Some(486));
}

#[test]
fn texts_are_no_calls_and_trusted_servers_no_users() {
    let mut config = config(1, UserLimits::default());
    config.b2bua.trusted = vec![Network { addr: "10.0.0.0".parse().unwrap(), prefix: 8 }];
    let mut raw = Raw::new(config);
    let (alice, bob) = (udp("10.0.0.2:5060"), udp("10.0.0.3:5060"));
    let contact = "Contact: <sip:bob@10.0.0.3:5060>\r\n";
    assert_eq!(raw.register(bob, "sip:bob@x.test", &Credentials::new("bob", "bob-pw"), contact), 200);
    raw.hear(alice, &request("INVITE", "sip:bob@x.test", 1, "", "a"));
    let invite = raw.last("INVITE").1.clone();
    raw.hear(bob, &answer(&invite, "180 Ringing", "b", ""));
    // Another one from the same server, in the same name.
    raw.hear(alice, &request("INVITE", "sip:bench-1@x.test", 2, "", "a").replace("one", "two"));
    assert!(
        raw.last("INVITE").1.request_uri().unwrap().starts_with("sip:bench-1"),
        "alice is whoever that server says"
    );
    raw.hear(alice, &request("INVITE", "sip:bob@x.test", 3, "", "a").replace("one", "three"));
    assert_eq!(raw.last("486").1.call_id().unwrap(), "three");
    let text = request("MESSAGE", "sip:bob@x.test", 4, "", "hi").replace("application/sdp", "text/plain");
    raw.hear(alice, &text.replace("one", "four"));
    let (to, message) = raw.last("MESSAGE");
    assert_eq!((*to, message.header_str(HeaderName::ContentType)), (bob, Some("text/plain")));
}
