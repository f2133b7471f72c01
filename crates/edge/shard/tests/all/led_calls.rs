//! Calls that are led by a web server: what it is asked, and what its verbs do on the wire.

use crate::support::*;

use hookswitch_b2bua::Configured;
use hookswitch_call::{
    Digit, FIRST_ORDERED, MediaReport, Party, PlayEnd, PlayId, PlayNews, RecordEnd, RecordNews, Recorded,
};
use hookswitch_dialect::flow::{Document, FlowTerms, Note};
use hookswitch_shard::Input;
use hookswitch_sip::{DialogId, Event};
use serde_json::Value;

/// `sip:sales@x.test` is a flow.
fn world(fallback: Option<&str>) -> World {
    let mut config = shard_config();
    config.limits.anchor = true;
    config.b2bua.trusted = vec![hookswitch_sip::Network { addr: "10.0.0.0".parse().unwrap(), prefix: 8 }];
    config.b2bua.services.insert("sales".into(), Configured::Flow);
    let fallback = fallback.map(|text| Document::read(text.as_bytes()).expect(text).verbs);
    config.flows.insert("sales".into(), FlowTerms { has_url: true, fallback });
    let mut world = World { described: Some(0), ..World::new(config) };
    world.register(1);
    world.register(3);
    world
}

/// Alice calls it.
fn calls(world: &mut World) -> DialogId {
    world.invite(0, "sip:sales@x.test", Some("a"))
}

fn posted(world: &World) -> Value {
    serde_json::from_str(&world.questions.last().expect("a question").body).expect("JSON")
}

fn reply(world: &mut World, verbs: &str) {
    let id = world.questions.last().expect("a question").id;
    let document = Document::read(format!("{{\"verbs\":[{verbs}]}}").as_bytes()).expect(verbs);
    world.shard.handle(world.now, Input::Flow { id, reply: Ok(document) });
    world.run();
}

fn fails(world: &mut World) {
    let id = world.questions.last().expect("a question").id;
    world.shard.handle(world.now, Input::Flow { id, reply: Err("status 500".into()) });
    world.run();
}

fn media(world: &mut World, report: MediaReport) {
    world.shard.handle(world.now, Input::Media(report));
    world.run();
}

/// What the first `nth` sound of the call, counted from 1, came to.
fn played(world: &mut World, nth: u32, end: PlayEnd) {
    let call = world.shard.calls().next().expect("a call");
    let (party, play, news) = (Party::Caller, PlayId(u32::MAX - nth), PlayNews::Ended(end));
    media(world, MediaReport::Played { call, party, play, news, position: sec(1) });
}

/// Nothing is left of the flow either.
fn over(mut world: World) {
    assert_eq!(world.shard.flow_counts(), (0, 0));
    assert_eq!(posted(&world)["event"], "ended");
    let ends = world.questions.iter().filter(|question| question.last).count();
    assert_eq!(ends, 1, "the end is told once");
    world.assert_clean();
}

#[test]
fn a_call_is_refused_with_the_status_of_the_document() {
    let mut world = world(None);
    calls(&mut world);
    assert_eq!((&posted(&world)["from"], &posted(&world)["event"]), (&"sip:alice@x.test".into(), &"incoming".into()));
    assert_eq!(world.failure(0), None, "it waits");
    reply(&mut world, r#"{"ring":{}},{"reject":{"status":404,"reason":"No Such Department"}}"#);
    assert_eq!(world.failure(0), Some(404));
    over(world);
}

#[test]
fn an_attendant_collects_a_key_and_connects_the_caller_who_comes_back_afterwards() {
    let mut world = world(None);
    let dialog = calls(&mut world);
    reply(&mut world, r#"{"collect":{"prompt":["menu.wav"],"then":"/key"}}"#);
    assert!(world.has(0, |event| matches!(event, Event::Answered { .. })), "what needs it, answers");
    world.ack(0, dialog, None);
    let call = world.shard.calls().next().expect("a call");
    let digit = Digit { key: '2', time: sec(0) };
    media(&mut world, MediaReport::Digit { call, party: Party::Caller, digit, passed: false });
    assert_eq!((&posted(&world)["event"], &posted(&world)["collected"]["keys"]), (&"collected".into(), &"2".into()));
    assert_eq!(world.questions.last().expect("one").url.as_deref(), Some("/key"));

    reply(&mut world, r#"{"dial":{"to":[["bob"],["carol"]],"seconds":20,"then":"/dialed"}}"#);
    world.respond(1, 180, None);
    assert!(world.called(3).is_none(), "carol is in the second group");
    world.respond(1, 486, None);
    world.respond(3, 200, Some("c"));
    world.pass(sec(7));
    let (carol, _) = world.called(3).expect("called");
    world.bye(3, carol);
    assert_eq!((&posted(&world)["event"], &posted(&world)["dialed"]["answered"]), (&"dialed".into(), &true.into()));
    assert_eq!(posted(&world)["dialed"]["seconds"], 7.0);
    reply(&mut world, r#"{"play":{"sounds":["bye.wav"]}}"#);
    played(&mut world, 2, PlayEnd::Completed);
    assert!(world.has(0, |event| matches!(event, Event::Ended { .. })), "all is done");
    over(world);
}

#[test]
fn nobody_who_answers_leaves_the_caller_unanswered_for_the_next_verb() {
    let mut world = world(None);
    let dialog = calls(&mut world);
    reply(&mut world, r#"{"dial":{"to":"bob"}},{"redirect":{"to":"carol"}}"#);
    world.respond(1, 603, None);
    assert_eq!(world.failure(0), None);
    world.respond(3, 200, Some("c"));
    assert!(world.has(0, |event| matches!(event, Event::Answered { .. })));
    world.ack(0, dialog, None);
    let (carol, invite) = world.called(3).expect("called");
    let text = String::from_utf8(invite.as_bytes().to_vec()).expect("text");
    assert!(text.contains("sip:sales@x.test") && text.contains("Diversion"), "{text}");
    world.bye(3, carol);
    assert!(world.has(0, |event| matches!(event, Event::Ended { .. })), "a redirected call is led no more");
    over(world);
}

#[test]
fn without_a_good_answer_the_configuration_says_what_is_done() {
    let mut world = world(Some(r#"{"verbs":[{"dial":{"to":"bob"}}]}"#));
    calls(&mut world);
    fails(&mut world);
    assert_eq!(world.flow_news, [Note::Unanswered("status 500".into()), Note::FellBack]);
    assert!(world.called(1).is_some());
    world.respond(1, 486, None);
    assert_eq!(world.failure(0), Some(480));
    over(world);

    let mut world = self::world(None);
    calls(&mut world);
    fails(&mut world);
    assert_eq!(world.failure(0), Some(500));
    over(world);
}

#[test]
fn a_server_that_never_answers_holds_nobody_for_ever() {
    let mut world = world(Some(r#"{"verbs":[{"reject":{"status":480}}]}"#));
    calls(&mut world);
    world.pass(sec(80));
    assert_eq!(world.failure(0), Some(480));
    over(world);
}

#[test]
fn a_caller_who_gives_up_in_the_middle_ends_the_flow_whatever_it_waits_for() {
    for verbs in ["", r#"{"ring":{}},{"pause":{"seconds":60}}"#, r#"{"dial":{"to":"bob"}}"#] {
        let mut world = world(None);
        let dialog = calls(&mut world);
        if !verbs.is_empty() {
            reply(&mut world, verbs);
        }
        // Before it has heard anything it may not cancel (RFC 3261 section 9.1).
        world.pass(sec(1));
        world.cancel(0, dialog);
        assert_eq!(world.failure(0), Some(487), "{verbs}");
        over(world);
    }
    for verbs in
        [r#"{"play":{"sounds":["a"]}}"#, r#"{"record":{}}"#, r#"{"collect":{}}"#, r#"{"answer":{}},{"ask":{}}"#]
    {
        let mut world = world(None);
        let dialog = calls(&mut world);
        reply(&mut world, verbs);
        world.ack(0, dialog, None);
        world.bye(0, dialog);
        over(world);
    }
}

#[test]
fn a_message_is_recorded_and_posted() {
    let mut world = world(None);
    let dialog = calls(&mut world);
    reply(&mut world, r#"{"play":{"sounds":["speak.wav"]}},{"record":{"then":"/recorded"}}"#);
    world.ack(0, dialog, None);
    played(&mut world, 1, PlayEnd::Failed);
    assert!(matches!(world.flow_news.as_slice(), [Note::Failed { .. }]), "{:?}", world.flow_news);
    let (call, plan) = world.ordered.pop().expect("an order to the engine");
    assert_eq!(plan.file, format!("2023-11-14/{call}-flow-1.wav"));
    let recording = FIRST_ORDERED;
    media(&mut world, MediaReport::Recorded { call, recording, news: RecordNews::Begun });
    let recorded = Recorded { size: 44, duration: sec(2), ..Recorded::nothing(&plan.file, RecordEnd::BelowPower) };
    media(&mut world, MediaReport::Recorded { call, recording, news: RecordNews::Finished(Box::new(recorded)) });
    let expected = serde_json::json!({ "file": plan.file, "seconds": 2.0, "bytes": 44, "reason": "below_power" });
    assert_eq!((&posted(&world)["event"], &posted(&world)["recorded"]), (&"recorded".into(), &expected));
    assert_eq!(posted(&world)["failure"]["verb"], "play", "what went wrong before is told once");
    reply(&mut world, r#"{"hangup":{}}"#);
    over(world);
}

#[test]
fn a_caller_is_bridged_to_one_who_waits() {
    let mut world = world(None);
    let first = calls(&mut world);
    reply(&mut world, r#"{"play":{"sounds":["music.wav"],"times":1000}}"#);
    world.ack(0, first, None);
    let waiting = world.shard.calls().next().expect("a call");
    let agent = world.invite(1, "sip:sales@x.test", Some("b"));
    reply(&mut world, &format!(r#"{{"bridge":{{"call":"call_{waiting}"}}}}"#));
    world.ack(1, agent, None);
    world.pass(sec(1));
    // The sessions of the two meet by re-INVITE; whoever is asked, agrees.
    for agent in [0, 1] {
        assert!(!world.has(agent, |event| matches!(event, Event::Failed { .. })));
    }
    assert_eq!(world.shard.flow_counts().1, 0, "nobody is asked for anything");
}
