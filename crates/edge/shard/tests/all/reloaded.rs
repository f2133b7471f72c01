//! The configuration is read again while two people talk.

use crate::support::*;

use hookswitch_b2bua::route::Route;
use hookswitch_call::Limits;
use hookswitch_call::directory::{Directory, Layer, MAX_DOMAINS, Secret};
use hookswitch_shard::{RecordRule, ShardConfig};

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 3;

fn with_users(users: &[&str]) -> ShardConfig {
    let mut config = shard_config();
    let users = users.iter().map(|name| ((*name).into(), Secret::new(&format!("{name}-pw"))));
    config.directory = Directory::new();
    config.directory.configure("x.test", Layer { users: users.collect(), ..Layer::default() }).unwrap();
    config
}

#[test]
fn a_call_goes_on_while_its_users_go_and_new_ones_come() {
    let mut world = World::new(with_users(&["alice", "bob"]));
    assert_eq!((world.register(ALICE), world.register(BOB), world.register(CAROL)), (200, 200, 403));
    let call = world.invite(ALICE, "sip:bob@x.test", Some("a"));
    world.respond(BOB, 200, Some("b"));
    world.ack(ALICE, call, None);
    world.shard.reload(world.now, with_users(&["alice", "carol"])).unwrap();
    world.run();
    assert_eq!(world.shard.counts().calls, 1, "bob talks on");
    assert_eq!(world.shard.counts().bindings, 1, "and is registered no more");
    assert_eq!((world.register(CAROL), world.register(BOB)), (200, 403));
    world.bye(ALICE, call);
    let gone = world.invite(ALICE, "sip:bob@x.test", Some("a"));
    assert_eq!(world.failure(ALICE), Some(404), "{gone:?}");
    let second = world.invite(ALICE, "sip:carol@x.test", Some("a"));
    world.respond(CAROL, 200, Some("c"));
    world.ack(ALICE, second, None);
    world.bye(ALICE, second);
    world.assert_clean();
}

#[test]
fn new_routes_limits_and_rules_count_for_new_calls() {
    let mut world = World::new(with_users(&["alice", "bob", "carol"]));
    for agent in [ALICE, BOB, CAROL] {
        world.register(agent);
    }
    let call = world.invite(ALICE, "sip:bob@x.test", Some("a"));
    world.respond(BOB, 200, Some("b"));
    world.ack(ALICE, call, None);
    let mut fresh = with_users(&["alice", "bob", "carol"]);
    fresh.limits = Limits { calls: 1, ..fresh.limits };
    fresh.b2bua.routes = vec![Route::new("sip:77@*", "sip:carol@x.test").unwrap()];
    fresh.record = RecordRule::Everybody;
    world.shard.reload(world.now, fresh.clone()).unwrap();
    world.invite(CAROL, "sip:bob@x.test", Some("a"));
    assert_eq!(world.failure(CAROL), Some(503), "there is one call already");
    fresh.limits.calls = 5;
    world.shard.reload(world.now, fresh).unwrap();
    assert_eq!(world.shard.counts().bindings, 3);
    let routed = world.invite(ALICE, "sip:77@x.test", Some("a"));
    assert!(world.called(CAROL).is_some(), "the new route leads to carol");
    world.respond(CAROL, 486, None);
    assert!(world.failure(ALICE).is_some(), "{routed:?}");
    world.bye(ALICE, call);
    world.assert_clean();
}

#[test]
fn too_many_domains_change_nothing() {
    let mut world = World::new(with_users(&["alice"]));
    assert_eq!(world.http("PUT", "/dir/pushed.test", r#"{"control":"","users":[]}"#).0 / 100, 2);
    let mut fresh = with_users(&["bob"]);
    for n in 1..MAX_DOMAINS {
        fresh.directory.configure(&format!("d{n}.test"), Layer::default()).unwrap();
    }
    assert!(world.shard.reload(world.now, fresh).is_err());
    assert_eq!((world.register(ALICE), world.register(BOB)), (200, 403));
}
