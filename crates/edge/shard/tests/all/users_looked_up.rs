//! Users who are in no directory and are asked for when they are needed: to register, to call, and to be called.

use crate::support::*;

use std::time::Duration;

use bytes::Bytes;
use hookswitch_b2bua::route::Route;
use hookswitch_call::directory::{LookupConfig, LookupNews};
use hookswitch_shard::{Input, ShardConfig, UserReply};
use hookswitch_sip::guard::{GuardConfig, Offence};
use hookswitch_sip::{Event, Flow, Header, Network, RequestOut};
use hookswitch_sip_msg::{HeaderName, Message, Method};

const FIRST: usize = 0;
const SECOND: usize = 1;
const THIRD: usize = 2;
const CAROL: usize = 3;

fn config(lookup: LookupConfig) -> ShardConfig {
    let mut config = shard_config();
    config.directory.look_up(lookup).unwrap();
    config
}

fn world() -> World {
    World::new(config(LookupConfig::default()))
}

/// The users who are asked for and not answered yet, in order.
fn asked(world: &World) -> Vec<&str> {
    world.asked.iter().map(|question| question.user.as_str()).collect()
}

fn document(body: &str) -> UserReply {
    UserReply::Document { body: Bytes::copy_from_slice(body.as_bytes()), max_age: None }
}

fn nobody() -> UserReply {
    UserReply::Nobody { max_age: None }
}

/// Answers the only question about that user.
fn reply(world: &mut World, user: &str, reply: UserReply) {
    let at = world.asked.iter().position(|question| question.user == user).expect("asked for");
    let id = world.asked.remove(at).id;
    world.shard.handle(world.now, Input::User { id, reply });
    world.run();
}

/// The user exists, and its password is the one that its phones have.
fn exists(world: &mut World, user: &str) {
    reply(world, user, document(&format!(r#"{{"secret":"{user}-pw"}}"#)));
}

fn send_register(world: &mut World, agent: usize, user: &str) {
    world.send_register(agent, user, World::credentials(user), 600);
}

/// A phone of a user registers who is then found.
fn register_found(world: &mut World, agent: usize, user: &'static str) {
    world.agents[agent].user = user;
    send_register(world, agent, user);
    exists(world, user);
    assert_eq!(world.last_status(agent), Some(200));
}

fn retry_after(world: &World, status: u16) -> Option<String> {
    let answers = world.wire.iter().rev().map(|(_, _, message)| message);
    let refusal = answers.into_iter().find(|message| message.status() == Some(status)).expect("a refusal");
    refusal.header_str(HeaderName::RetryAfter).map(str::to_owned)
}

fn send_text(world: &mut World, agent: usize, to: &str) {
    let who = &mut world.agents[agent];
    let from = format!("<sip:{}@x.test>", who.user);
    let flow = Flow::udp(who.address, at(SWITCH));
    let mut text = RequestOut::new(Method::Message, to, from, format!("<{to}>"), flow);
    text.credentials = World::credentials(who.user);
    who.endpoint.request(world.now, text).unwrap();
    world.run();
}

fn offences(world: &World, offence: Offence) -> u64 {
    world.shard.guard_counts(world.now).0.offences[offence as usize]
}

#[test]
fn a_phone_waits_for_its_user_and_another_registers_meanwhile() {
    let mut world = world();
    send_register(&mut world, FIRST, "dave");
    assert_eq!((asked(&world), world.last_status(FIRST)), (vec!["dave"], None));
    // Neither one of the directory nor another one who is looked up waits for that.
    assert_eq!(world.register(CAROL), 200);
    register_found(&mut world, SECOND, "erin");
    assert_eq!((asked(&world), world.last_status(FIRST)), (vec!["dave"], None));
    exists(&mut world, "dave");
    assert_eq!(world.last_status(FIRST), Some(200));
    world.asked.clear();
    let page = r#"{"domain":"x.test","count":5,"registered":3,"users":{"alice":{"registered":false}"#;
    let (status, body) = world.http("GET", "/reg/x.test", "");
    assert!(status == 200 && body.starts_with(page) && body.contains(r#""dave":{"registered":true"#), "{body}");
    // From now on it is known, to register again and to be called.
    send_register(&mut world, FIRST, "dave");
    let dialog = world.invite(CAROL, "sip:dave@x.test", Some("v=0"));
    world.respond(FIRST, 200, Some("v=0"));
    world.ack(CAROL, dialog, None);
    assert_eq!((asked(&world), world.shard.counts().calls), (vec![], 1));
    world.bye(CAROL, dialog);
    world.assert_clean();
    assert_eq!(world.shard.user_counts().map(|(_, waiting)| waiting), Some(0));
}

#[test]
fn a_request_without_an_answer_to_our_challenge_asks_for_nobody() {
    let mut world = world();
    world.register_as(FIRST, "dave", None, 600);
    assert_eq!((world.last_status(FIRST), asked(&world)), (Some(401), vec![]));
}

#[test]
fn phones_of_one_user_share_a_question_and_a_repeated_request_is_no_other() {
    let mut world = world();
    send_register(&mut world, FIRST, "dave");
    send_register(&mut world, SECOND, "dave");
    world.pass(sec(2));
    let registers = world.wire.iter().filter(|(_, to, message)| *to == at(SWITCH) && is_register(message)).count();
    assert!(registers > 4, "they repeat what is not answered");
    assert_eq!((asked(&world), world.shard.user_counts().unwrap().1), (vec!["dave"], 2));
    exists(&mut world, "dave");
    assert_eq!((world.last_status(FIRST), world.last_status(SECOND)), (Some(200), Some(200)));
    assert_eq!(world.shard.counts().bindings, 2);
}

fn is_register(message: &Message) -> bool {
    message.method() == Some(&Method::Register)
}

#[test]
fn a_wrong_password_and_nobody_are_refused_alike() {
    let mut world = world();
    send_register(&mut world, FIRST, "dave");
    reply(&mut world, "dave", document(r#"{"secret":"another"}"#));
    send_register(&mut world, SECOND, "erin");
    reply(&mut world, "erin", nobody());
    assert_eq!((world.last_status(FIRST), world.last_status(SECOND)), (Some(403), Some(403)));
    // And what has been said is remembered.
    send_register(&mut world, SECOND, "erin");
    assert_eq!((asked(&world), world.last_status(SECOND)), (vec![], Some(403)));
}

#[test]
fn a_new_password_is_good_although_the_old_one_is_remembered() {
    let mut world = world();
    register_found(&mut world, FIRST, "dave");
    world.pass(sec(60));
    world.send_register(FIRST, "dave", Some(hookswitch_sip::auth::Credentials::new("dave", "new")), 600);
    assert_eq!(asked(&world), ["dave"]);
    reply(&mut world, "dave", document(r#"{"secret":"new"}"#));
    assert_eq!((world.last_status(FIRST), asked(&world)), (Some(200), vec![]));
    // Whoever guesses makes us ask no more often than that.
    world.send_register(SECOND, "dave", Some(hookswitch_sip::auth::Credentials::new("dave", "guess")), 600);
    assert_eq!((world.last_status(SECOND), asked(&world)), (Some(403), vec![]));
}

#[test]
fn an_outage_is_never_a_refusal_for_good() {
    let mut world = world();
    send_register(&mut world, FIRST, "dave");
    reply(&mut world, "dave", UserReply::Failed("status 502".into()));
    assert_eq!((world.last_status(FIRST), retry_after(&world, 503).as_deref()), (Some(503), Some("5")));
    // A call to such a user, and a document that is none, are the same.
    assert_eq!(world.register(CAROL), 200);
    world.invite(CAROL, "sip:erin@x.test", Some("v=0"));
    reply(&mut world, "erin", document(r#"{"password":"x"}"#));
    assert_eq!((world.failure(CAROL), retry_after(&world, 503).is_some()), (Some(503), true));
    send_text(&mut world, CAROL, "sip:frank@x.test");
    reply(&mut world, "frank", UserReply::Failed("status 500".into()));
    assert_eq!(world.last_status(CAROL), Some(503));
    let told: Vec<_> = world.user_news.iter().map(|news| matches!(news, LookupNews::Failing { .. })).collect();
    assert_eq!(told, [true, false, false], "the first is told as what it is");
    // While it lasts nobody is asked again at once; then the phone that comes again is registered.
    send_register(&mut world, FIRST, "dave");
    assert_eq!((asked(&world), world.last_status(FIRST)), (vec![], Some(503)));
    world.pass(sec(5));
    send_register(&mut world, FIRST, "dave");
    exists(&mut world, "dave");
    assert_eq!((world.last_status(FIRST), world.user_news.last()), (Some(200), Some(&LookupNews::Answering)));
}

#[test]
fn who_is_silent_is_waited_for_no_longer_than_that() {
    let mut world = world();
    send_register(&mut world, FIRST, "dave");
    assert_eq!(world.register(CAROL), 200);
    world.invite(CAROL, "sip:erin@x.test", Some("v=0"));
    world.pass(sec(6));
    assert_eq!((world.last_status(FIRST), world.failure(CAROL)), (Some(503), Some(503)));
    exists(&mut world, "dave");
    assert_eq!(world.last_status(FIRST), Some(503), "too late");
    world.assert_clean();
}

#[test]
fn in_an_outage_who_was_known_before_goes_on() {
    let mut world = world();
    register_found(&mut world, FIRST, "dave");
    world.pass(sec(400));
    send_register(&mut world, FIRST, "dave");
    reply(&mut world, "dave", UserReply::Failed("refused".into()));
    assert_eq!(world.last_status(FIRST), Some(200));
    assert_eq!(world.register(CAROL), 200);
    world.invite(CAROL, "sip:dave@x.test", Some("v=0"));
    assert!(world.called(FIRST).is_some() && world.asked.is_empty());
}

#[test]
fn calls_and_texts_find_a_user_who_is_looked_up() {
    let mut world = world();
    register_found(&mut world, FIRST, "dave");
    assert_eq!(world.register(CAROL), 200);
    world.pass(sec(301));
    // Nothing of what is remembered is used once its time is over.
    world.invite(CAROL, "sip:dave@x.test", Some("v=0"));
    assert!(world.called(FIRST).is_none());
    exists(&mut world, "dave");
    assert!(world.called(FIRST).is_some());
    world.invite(CAROL, "sip:erin@x.test", Some("v=0"));
    exists(&mut world, "erin");
    assert_eq!(world.failure(CAROL), Some(480), "exists, and is not at home");
    world.invite(CAROL, "sip:frank@x.test", Some("v=0"));
    reply(&mut world, "frank", nobody());
    assert_eq!(world.failure(CAROL), Some(404));
    send_register(&mut world, FIRST, "dave");
    world.pass(sec(301));
    send_text(&mut world, CAROL, "sip:dave@x.test");
    assert_eq!((asked(&world), world.last_status(CAROL)), (vec!["dave"], Some(200)), "that of its REGISTER");
    let texts = |world: &World| {
        world
            .wire
            .iter()
            .filter(|(_, to, message)| message.method() == Some(&Method::Message) && *to == world.agents[FIRST].address)
            .count()
    };
    assert_eq!(texts(&world), 0);
    exists(&mut world, "dave");
    assert_eq!(texts(&world), 1);
}

#[test]
fn whom_to_call_instead_and_limits_are_in_the_document() {
    let mut world = world();
    for agent in [FIRST, CAROL] {
        assert_eq!(world.register(agent), 200);
    }
    world.invite(CAROL, "sip:dave@x.test", Some("v=0"));
    reply(&mut world, "dave", document(r#"{"secret":"s","forward":{"always":"sip:alice@x.test"}}"#));
    assert!(world.called(FIRST).is_some(), "alice is called instead");
    send_register(&mut world, SECOND, "erin");
    reply(&mut world, "erin", document(r#"{"secret":"erin-pw","limits":{"contacts":1}}"#));
    assert_eq!(world.last_status(SECOND), Some(200));
    send_register(&mut world, THIRD, "erin");
    assert_eq!(world.last_status(THIRD), Some(403), "one contact and no more");
}

#[test]
fn a_route_to_a_user_and_a_service_know_who_is_asked_for() {
    let mut config = config(LookupConfig::default());
    config.b2bua.routes = vec![Route::new("sip:desk@*", "sip:dave@x.test").unwrap()];
    let mut world = World::new(config);
    register_found(&mut world, FIRST, "dave");
    assert_eq!(world.register(CAROL), 200);
    world.pass(sec(301));
    world.invite(CAROL, "sip:desk@x.test", Some("v=0"));
    assert_eq!(asked(&world), ["dave"]);
    exists(&mut world, "dave");
    assert!(world.called(FIRST).is_some());
    world.invite(CAROL, "sip:echo@x.test", Some("v=0"));
    assert_eq!(asked(&world), [""; 0], "services are not looked for elsewhere");
}

#[test]
fn a_caller_who_is_looked_up_may_give_up_before_it_is_known() {
    let mut world = world();
    world.agents[FIRST].user = "dave";
    assert_eq!(world.register(CAROL), 200);
    let dialog = world.invite(FIRST, "sip:carol@x.test", Some("v=0"));
    assert_eq!((asked(&world), world.called(CAROL).is_some()), (vec!["dave"], false));
    world.pass(Duration::from_millis(300));
    world.cancel(FIRST, dialog);
    assert_eq!(world.failure(FIRST), Some(487));
    exists(&mut world, "dave");
    assert!(world.called(CAROL).is_none(), "nobody calls any more");
    // The next call is made by somebody who is known.
    let dialog = world.invite(FIRST, "sip:carol@x.test", Some("v=0"));
    world.respond(CAROL, 200, Some("v=0"));
    world.ack(FIRST, dialog, None);
    world.bye(FIRST, dialog);
    world.assert_clean();
}

#[test]
fn a_caller_is_admitted_when_it_is_known_who_it_is_and_else_refused() {
    let mut world = world();
    assert_eq!(world.register(CAROL), 200);
    for (agent, user) in [(FIRST, "dave"), (SECOND, "erin")] {
        world.agents[agent].user = user;
        world.invite(agent, "sip:carol@x.test", Some("v=0"));
    }
    world.pass(sec(1));
    exists(&mut world, "dave");
    assert!(world.called(CAROL).is_some());
    reply(&mut world, "erin", nobody());
    assert_eq!(world.failure(SECOND), Some(403));
    world.respond(CAROL, 486, None);
    assert_eq!(world.failure(FIRST), Some(486));
    world.assert_clean();
}

#[test]
fn a_user_who_is_no_more_is_not_reachable_either() {
    let mut world = world();
    register_found(&mut world, FIRST, "dave");
    assert_eq!(world.register(CAROL), 200);
    assert_eq!(world.shard.counts().bindings, 2);
    world.pass(sec(301));
    world.invite(CAROL, "sip:dave@x.test", Some("v=0"));
    reply(&mut world, "dave", nobody());
    assert_eq!((world.failure(CAROL), world.shard.counts().bindings), (Some(404), 1));
}

#[test]
fn a_pushed_domain_does_not_end_the_registrations_of_users_who_are_looked_up() {
    let mut world = world();
    register_found(&mut world, FIRST, "dave");
    assert_eq!(world.register(CAROL), 200);
    world.pass(sec(301));
    assert_eq!(world.http("PATCH", "/dir/x.test", r#"{"users":[{"username":"1","secret":"s"}]}"#).0, 200);
    assert_eq!(world.shard.counts().bindings, 2);
    // What is remembered of a user can be taken back.
    world.invite(CAROL, "sip:dave@x.test", Some("v=0"));
    exists(&mut world, "dave");
    assert_eq!(world.http("DELETE", "/dir/x.test/dave", "").0, 200);
    world.invite(CAROL, "sip:dave@x.test", Some("v=0"));
    assert_eq!(asked(&world), ["dave"]);
}

#[test]
fn requests_that_wait_have_a_limit() {
    let mut world = World::new(config(LookupConfig { max_waiting: 2, ..LookupConfig::default() }));
    // All for one user: it is the requests that count as well.
    for agent in [FIRST, SECOND, THIRD] {
        send_register(&mut world, agent, "dave");
    }
    assert_eq!((world.last_status(THIRD), retry_after(&world, 503).as_deref()), (Some(503), Some("5")));
    assert_eq!(world.register(CAROL), 200, "whoever is known is served");
    world.invite(CAROL, "sip:erin@x.test", Some("v=0"));
    assert_eq!((world.failure(CAROL), asked(&world)), (Some(503), vec!["dave"]));
    assert_eq!(world.user_news.len(), 1);
    exists(&mut world, "dave");
    assert_eq!((world.last_status(FIRST), world.last_status(SECOND)), (Some(200), Some(200)));
    send_register(&mut world, THIRD, "dave");
    assert_eq!(world.last_status(THIRD), Some(200));
}

#[test]
fn a_scanner_makes_us_ask_at_a_bounded_rate_and_is_banned() {
    let mut config = config(LookupConfig { max_rate_per_source: 2, ..LookupConfig::default() });
    config.b2bua.endpoint.guard = GuardConfig { enabled: true, ..GuardConfig::default() };
    let mut world = World::new(config);
    // It names users without ever answering a challenge: all alike, and nobody is asked for.
    for n in 0..20 {
        assert_eq!(world.register_as(FIRST, &format!("f{n}"), None, 600), 401);
    }
    assert_eq!((asked(&world), offences(&world, Offence::UnknownUser)), (vec![], 0));
    for n in 20..30 {
        world.register_as(FIRST, &format!("f{n}"), None, 600);
    }
    assert_eq!(offences(&world, Offence::UnknownUser), 10);
    // Another one answers them, under many names; the first to be found out as nobody count as guesses.
    for n in 0..30 {
        send_register(&mut world, SECOND, &format!("g{n}"));
    }
    let questions = world.asked.len();
    assert!((5..=20).contains(&questions), "as many as its rate allows at once: {questions}");
    for question in std::mem::take(&mut world.asked) {
        world.shard.handle(world.now, Input::User { id: question.id, reply: nobody() });
        world.run();
    }
    assert!(offences(&world, Offence::WrongPassword) >= 5);
}

#[test]
fn whoever_is_trusted_is_asked_for_nothing() {
    let mut config = config(LookupConfig::default());
    config.b2bua.trusted = vec![Network { addr: "10.0.0.2".parse().unwrap(), prefix: 32 }];
    let mut world = World::new(config);
    assert_eq!(world.register(CAROL), 200);
    world.agents[FIRST].user = "anybody";
    world.invite(FIRST, "sip:carol@x.test", Some("v=0"));
    assert!(world.called(CAROL).is_some() && world.asked.is_empty());
}

#[test]
fn a_domain_that_is_not_known_is_one_of_ours_when_its_user_is_found() {
    let mut world = World::new(config(LookupConfig { domains: vec!["*.many.test".into()], ..LookupConfig::default() }));
    let who = &mut world.agents[FIRST];
    let aor = "<sip:dave@one.many.test>".to_owned();
    let flow = Flow::udp(who.address, at(SWITCH));
    let mut register = RequestOut::new(Method::Register, "sip:one.many.test", aor.clone(), aor, flow);
    register.contact_user = Some("dave".into());
    register.credentials = World::credentials("dave");
    register.headers.push(Header::new(HeaderName::Expires, "600"));
    who.endpoint.request(world.now, register).unwrap();
    world.run();
    assert_eq!((world.asked[0].domain.as_str(), asked(&world)), ("one.many.test", vec!["dave"]));
    exists(&mut world, "dave");
    assert_eq!(world.last_status(FIRST), Some(200));
    assert_eq!(world.register_as(SECOND, "erin", World::credentials("erin"), 600), 403, "x.test is not one of them");
    assert!(!world.has(FIRST, |event| matches!(event, Event::Failed { .. })));
}
