//! Limits of calls that leave the switch: whoever orders one pays, whichever way it is ordered.

use crate::support::*;

use hookswitch_b2bua::route::Route;
use hookswitch_b2bua::toll::{TollClass, TollConfig};
use hookswitch_b2bua::trunk::{NumberRule, Trunk};
use hookswitch_call::directory::{Directory, Forwarding, Layer, Secret, TollLimits, UserLimits};
use hookswitch_call::{Address, CallId, Forwards, LegId, MediaReport, Party, Sdp, Seat};
use hookswitch_shard::{Input, ShardConfig};
use hookswitch_sip::{DialogId, Event, Header, Network, RequestOut};
use hookswitch_sip_msg::{HeaderName, Method};

const ALICE: usize = 0;
const BOB: usize = 1;
/// The host of the trunk.
const CARRIER: usize = 3;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\n";

fn calls(calls: u32) -> TollLimits {
    TollLimits { calls: Some(calls), ..TollLimits::default() }
}

fn blocked() -> TollLimits {
    TollLimits { blocked: Some(true), ..TollLimits::default() }
}

fn class(name: &str, start: &str, users: TollLimits) -> TollClass {
    TollClass { name: name.into(), numbers: vec![start.into()], users, ..TollClass::default() }
}

/// Numbers with 0 go to the trunk; `+881` is called by nobody, and of the others every user may have one call.
fn config() -> ShardConfig {
    let mut config = shard_config();
    config.limits.anchor = true;
    config.b2bua.trunks = vec![Trunk::new("carrier", "sip:10.0.0.5")];
    config.b2bua.routes =
        vec![Route::new("sip:0*", "trunk:carrier").unwrap(), Route::new("sip:112@*", "trunk:carrier").unwrap()];
    config.b2bua.toll = TollConfig {
        emergency: vec!["112".into()],
        called: vec![NumberRule::new("00*", "+*").unwrap(), NumberRule::new("0*", "+49*").unwrap()],
        classes: vec![class("abroad", "+", calls(1)), class("premium", "+881", blocked())],
        ..TollConfig::default()
    };
    config
}

fn world(config: ShardConfig) -> World {
    let mut world = World { described: Some(0), ..World::new(config) };
    for phone in [ALICE, BOB] {
        assert_eq!(world.register(phone), 200);
    }
    world
}

fn call(world: &mut World, from: usize, to: &str) -> DialogId {
    world.invite(from, &format!("sip:{to}@x.test"), Some(SDP))
}

/// A call that is answered.
fn talk(world: &mut World, from: usize, to: &str, answers: usize) -> DialogId {
    let dialog = call(world, from, to);
    world.respond(answers, 200, Some(SDP));
    world.ack(from, dialog, None);
    dialog
}

/// The numbers that the trunk was called for.
fn carried(world: &World) -> Vec<String> {
    let events = world.agents[CARRIER].events.iter();
    let invites =
        events.filter_map(|event| if let Event::Invite { request, .. } = event { Some(request) } else { None });
    invites.filter_map(|request| Some(request.request_uri()?.split(['@', ':']).nth(1)?.to_owned())).collect()
}

/// The phrase of the last refusal.
fn phrase(world: &World, agent: usize) -> String {
    let to = world.agents[agent].address;
    let last = world.wire.iter().rev().find(|(_, other, message)| *other == to && message.status() >= Some(400));
    last.map(|(_, _, message)| String::from_utf8_lossy(message.reason()).into_owned()).unwrap_or_default()
}

fn limits(world: &mut World) -> String {
    world.http("GET", "/limits", "").1
}

/// A blind transfer by the phone in a call; the status of what comes of it.
fn refer(world: &mut World, agent: usize, dialog: DialogId, to: &str) {
    let mut refer = RequestOut::inside(dialog, Method::Refer);
    refer.headers = vec![Header::new(HeaderName::ReferTo, format!("<sip:{to}@x.test>"))];
    world.agents[agent].endpoint.request(world.now, refer).unwrap();
    world.run();
}

/// The dialog in which an agent was called last.
fn callee(world: &World, agent: usize) -> DialogId {
    world.called(agent).expect("it was called").0
}

#[test]
fn a_blocked_class_is_refused_however_its_number_is_written() {
    let mut world = world(config());
    for number in ["00881123", "0-0.8(8)1-123", "00881123;phone-context=x", "00%38%381123"] {
        call(&mut world, ALICE, number);
        assert_eq!(world.failure(ALICE), Some(403), "{number}");
        assert_eq!(phrase(&world, ALICE), "Calls Of This Class Are Not Allowed");
    }
    assert!(carried(&world).is_empty());
    world.assert_clean();
}

#[test]
fn calls_at_a_time_are_counted_until_they_are_over() {
    let mut world = world(config());
    let first = talk(&mut world, ALICE, "00441", CARRIER);
    call(&mut world, ALICE, "00442");
    assert_eq!(phrase(&world, ALICE), "Too Many Calls Of This Class");
    call(&mut world, BOB, "00443");
    assert_eq!(carried(&world), ["00441", "00443"], "bob has a limit of his own");
    assert!(limits(&mut world).contains(r#""account":"user:alice@x.test","class":"abroad","calls":1"#));
    world.bye(ALICE, first);
    call(&mut world, ALICE, "00444");
    assert_eq!(carried(&world).last().map(String::as_str), Some("00444"));
}

#[test]
fn many_calls_at_once_are_no_more_than_allowed() {
    let mut world = world(config());
    // The media engine is slow: all of them are looked up before the first is sent on.
    world.described = None;
    for n in 0..5 {
        call(&mut world, ALICE, &format!("0044{n}"));
    }
    let waiting: Vec<CallId> = world.shard.calls().collect();
    assert_eq!((waiting.len(), carried(&world).len()), (5, 0));
    for call in waiting {
        let (seat, leg, sdp) = (Seat::Of(Party::Callee), LegId(1), Sdp::from("s"));
        world.shard.handle(world.now, Input::Media(MediaReport::Local { call, seat, leg, sdp }));
        world.run();
    }
    assert_eq!(carried(&world).len(), 1);
    assert_eq!(world.shard.toll_refused().iter().sum::<u64>(), 4);
    world.respond(CARRIER, 486, None);
    world.assert_clean();
}

#[test]
fn emergency_numbers_are_never_refused() {
    let mut config = config();
    config.b2bua.toll.classes.push(class("all", "", blocked()));
    config.b2bua.toll.classes[0].numbers.push("112".into());
    config.b2bua.max_calls_per_user = 1;
    let mut world = world(config);
    let help = talk(&mut world, ALICE, "112", CARRIER);
    call(&mut world, ALICE, "112");
    assert_eq!(carried(&world), ["112", "112"], "also beyond the calls of a user");
    world.bye(ALICE, help);
}

#[test]
fn who_transfers_pays_and_not_who_is_transferred() {
    let mut world = world(config());
    let dialog = talk(&mut world, ALICE, "bob", BOB);
    let at_bob = callee(&world, BOB);
    refer(&mut world, BOB, at_bob, "00881");
    assert_eq!(phrase(&world, BOB), "Calls Of This Class Are Not Allowed", "and the call goes on");
    assert!(carried(&world).is_empty());
    refer(&mut world, BOB, at_bob, "00441");
    assert_eq!(carried(&world), ["00441"]);
    world.respond(CARRIER, 200, Some(SDP));
    world.pass(sec(3));
    let page = limits(&mut world);
    assert!(
        page.contains(r#""account":"user:bob@x.test","class":"abroad","calls":1"#),
        "bob has gone, and pays: {page}"
    );
    assert!(!page.contains("alice"), "{page}");
    call(&mut world, BOB, "00442");
    assert_eq!(world.failure(BOB), Some(403), "as long as it goes on");
    world.bye(ALICE, dialog);
    call(&mut world, BOB, "00443");
    assert_eq!(carried(&world), ["00441", "00443"]);
}

#[test]
fn who_has_calls_forwarded_pays_for_them() {
    let mut config = config();
    let bob = Forwarding {
        otherwise: Forwards { busy: Some(Address::from("sip:00441@x.test")), ..Forwards::default() },
        always: None,
    };
    let users = ["alice", "bob", "carol"].map(|name| (name.into(), Secret::new(&format!("{name}-pw"))));
    let layer = Layer { users: users.into(), forwards: [("bob".into(), bob)].into(), ..Layer::default() };
    config.directory = Directory::new();
    config.directory.configure("x.test", layer).unwrap();
    let mut world = world(config);
    call(&mut world, ALICE, "bob");
    world.respond(BOB, 486, None);
    assert_eq!(carried(&world), ["00441"]);
    let page = limits(&mut world);
    assert!(page.contains(r#""account":"user:bob@x.test""#) && !page.contains("alice"), "{page}");
    call(&mut world, CARRIER, "bob");
    world.respond(BOB, 486, None);
    assert_eq!(carried(&world), ["00441"], "bob has one already");
}

#[test]
fn whose_phone_names_somebody_else_pays() {
    let mut config = config();
    config.limits.follow_redirects = true;
    config.b2bua.toll.classes[0].users = TollLimits { per_day: Some(1), ..TollLimits::default() };
    let mut world = world(config);
    for expected in [1, 1] {
        call(&mut world, ALICE, "bob");
        let dialog = callee(&world, BOB);
        let mut moved = hookswitch_sip::Response::new(302);
        moved.headers = vec![Header::new(HeaderName::Contact, "<sip:00441@x.test>")];
        world.agents[BOB].endpoint.respond(world.now, dialog, moved);
        world.run();
        assert_eq!(carried(&world).len(), expected);
        world.respond(CARRIER, 486, None);
    }
    assert_eq!(phrase(&world, ALICE), "Too Many Calls Of This Class In A Day");
    assert!(limits(&mut world).contains(r#""account":"user:bob@x.test","class":"abroad","calls":0,"in_minute":1"#));
}

#[test]
fn a_trunk_that_calls_out_again_and_a_trusted_address_have_limits_too() {
    let mut config = config();
    config.b2bua.trusted = vec![Network { addr: at("10.0.0.4:0").ip(), prefix: 32 }];
    config.b2bua.trunks.push(Trunk::new("customer", "sip:10.0.0.2"));
    config.b2bua.trunks[1].inbound.networks = vec![Network { addr: at("10.0.0.2:0").ip(), prefix: 32 }];
    let abroad = &mut config.b2bua.toll.classes[0];
    abroad.trunks = TollLimits { per_hour: Some(1), ..TollLimits::default() };
    abroad.sources = TollLimits { per_minute: Some(1), ..TollLimits::default() };
    let mut world = World { described: Some(0), ..World::new(config) };
    for (agent, account, phrased) in [
        (ALICE, "trunk:customer", "Too Many Calls Of This Class In An Hour"),
        (2, "source:10.0.0.4", "Too Many Calls Of This Class In A Minute"),
    ] {
        let before = carried(&world).len();
        call(&mut world, agent, "00441");
        world.respond(CARRIER, 486, None);
        call(&mut world, agent, "00441");
        assert_eq!((carried(&world).len(), phrase(&world, agent)), (before + 1, phrased.to_owned()));
        assert!(limits(&mut world).contains(&format!(r#""account":"{account}""#)), "{}", limits(&mut world));
    }
}

#[test]
fn a_user_may_have_limits_of_its_own_and_hours_are_kept() {
    let mut config = config();
    let own = UserLimits { classes: [("abroad".into(), calls(2))].into(), ..UserLimits::default() };
    let users = ["alice", "bob"].map(|name| (name.into(), Secret::new(&format!("{name}-pw"))));
    let layer = Layer { users: users.into(), limits: [("alice".into(), own)].into(), ..Layer::default() };
    config.directory = Directory::new();
    config.directory.configure("x.test", layer).unwrap();
    // It is 22:13:20 UTC.
    let open = TollLimits { hours: "22:00-22:20".parse().ok(), ..calls(1) };
    config.b2bua.toll.classes[0].users = open;
    let mut world = world(config);
    for number in ["00441", "00442", "00443"] {
        call(&mut world, ALICE, number);
    }
    assert_eq!(carried(&world), ["00441", "00442"]);
    world.pass(sec(600));
    call(&mut world, BOB, "00444");
    assert_eq!(phrase(&world, BOB), "Calls Of This Class Not At This Hour");
}

#[test]
fn what_is_counted_can_be_seen_and_forgotten() {
    let mut config = config();
    config.b2bua.toll.classes[0].users = TollLimits { per_day: Some(1), ..TollLimits::default() };
    let mut world = world(config);
    let first = talk(&mut world, ALICE, "00441", CARRIER);
    world.pass(sec(120));
    world.bye(ALICE, first);
    call(&mut world, ALICE, "00441");
    assert_eq!(world.failure(ALICE), Some(403));
    let page = limits(&mut world);
    assert!(page.contains(r#""in_day":1,"minutes":2,"reached":"per_day","limits":{"per_day":1}"#), "{page}");
    assert_eq!(world.http("DELETE", "/limits/user%3Aalice@x.test", "").0, 204);
    assert_eq!(world.http("DELETE", "/limits/user:alice@x.test", "").0, 404);
    assert_eq!(world.http("PUT", "/limits/user:alice@x.test", "").0, 405);
    assert_eq!(world.http("PUT", "/limits", "").0, 405);
    assert_eq!(limits(&mut world), "[]");
    call(&mut world, ALICE, "00442");
    assert_eq!(carried(&world), ["00441", "00442"]);
}
