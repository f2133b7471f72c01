//! Calls that are led by a web server: what it is asked, and what its verbs do on the wire.

use crate::support::*;

use hookswitch_b2bua::Configured;
use hookswitch_call::{
    CallId, Digit, Event as CallEvent, FIRST_ORDERED, MediaReport, Party, PlayEnd, PlayId, PlayNews, RecordEnd,
    RecordNews, Recorded,
};
use hookswitch_dialect::flow::{Document, FlowTerms, Note, Reply};
use hookswitch_shard::Input;
use hookswitch_sip::{Body, DialogId, Event, Response};
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

/// What was asked, and told at the end.
fn asked(world: &World) -> Vec<String> {
    let event = |body: &str| serde_json::from_str::<Value>(body).expect("JSON")["event"].as_str().map(str::to_owned);
    world.questions.iter().filter_map(|question| event(&question.body)).collect()
}

fn reply(world: &mut World, verbs: &str) {
    let asked = world.questions.iter().rev().find(|question| !question.last);
    let id = asked.expect("a question").id;
    let Document { verbs, .. } = Document::read(format!("{{\"verbs\":[{verbs}]}}").as_bytes()).expect(verbs);
    world.shard.handle(world.now, Input::Flow { id, reply: Ok(Reply { verbs, webhook: None }) });
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
    const DIAL: &str = r#"{"dial":{"to":"bob","then":"/next"}},{"ask":{}}"#;
    for verbs in ["", r#"{"ring":{}},{"pause":{"seconds":60}}"#, r#"{"dial":{"to":"bob"}}"#, DIAL] {
        let mut world = world(None);
        let dialog = calls(&mut world);
        if !verbs.is_empty() {
            reply(&mut world, verbs);
        }
        // Before it has heard anything it may not cancel (RFC 3261 section 9.1).
        world.pass(sec(1));
        world.cancel(0, dialog);
        assert_eq!(world.failure(0), Some(487), "{verbs}");
        assert_eq!(asked(&world), ["incoming", "ended"], "{verbs}");
        over(world);
    }
    let answered = |verb: &str| format!(r#"{{"answer":{{}}}},{verb}"#);
    for verbs in [
        r#"{"play":{"sounds":["a"]}}"#,
        r#"{"record":{}}"#,
        r#"{"collect":{}}"#,
        &answered(DIAL),
        &answered(r#"{"redirect":{"to":"bob"}}"#),
    ] {
        let mut world = world(None);
        let dialog = calls(&mut world);
        reply(&mut world, verbs);
        world.ack(0, dialog, None);
        world.pass(sec(1));
        world.bye(0, dialog);
        assert_eq!(world.flow_news, [], "nothing has failed by that: {verbs}");
        assert_eq!(asked(&world), ["incoming", "ended"], "{verbs}");
        over(world);
    }
    let mut world = world(None);
    let dialog = calls(&mut world);
    reply(&mut world, &answered(r#"{"ask":{}}"#));
    world.ack(0, dialog, None);
    world.bye(0, dialog);
    assert_eq!(asked(&world), ["incoming", "next", "ended"]);
    over(world);
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

/// Alice waits with music in a flow, Bob comes and is led to her; her call, and who has called whom.
fn bridged(then: &str) -> (World, CallId, [DialogId; 2]) {
    let mut world = world(None);
    let alice = calls(&mut world);
    reply(&mut world, r#"{"play":{"sounds":["music.wav"],"times":1000}}"#);
    world.ack(0, alice, None);
    let waiting = world.shard.calls().next().expect("a call");
    let bob = world.invite(1, "sip:sales@x.test", Some("b"));
    reply(&mut world, &format!(r#"{{"bridge":{{"call":"call_{waiting}"}}}}{then}"#));
    world.ack(1, bob, None);
    (world, waiting, [alice, bob])
}

/// Alice's phone is offered the session with Bob, and says this.
fn reinvited(world: &mut World, status: u16) {
    let asked = world.agents[0].events.iter().rev().find_map(|event| match event {
        Event::Reinvite { dialog, .. } => Some(*dialog),
        _ => None,
    });
    let mut answer = Response::new(status);
    answer.body = (status == 200).then(|| Body::sdp("a2"));
    world.agents[0].endpoint.respond(world.now, asked.expect("a re-INVITE"), answer);
    world.run();
}

/// What was posted of ends, by call.
fn ends(world: &World) -> Vec<(String, Value)> {
    let last = world.questions.iter().filter(|question| question.last);
    let posted = last.map(|question| serde_json::from_str::<Value>(&question.body).expect("JSON"));
    posted.map(|it| (it["call"].as_str().unwrap_or_default().to_owned(), it["ended"].clone())).collect()
}

#[test]
fn a_caller_is_bridged_to_one_who_waits_and_either_may_hang_up() {
    for gone in [0, 1] {
        let (mut world, waiting, dialogs) = bridged(r#",{"play":{"sounds":["a"]}}"#);
        let call = world.shard.calls().find(|call| *call != waiting).expect("another call");
        assert_eq!((ends(&world).len(), world.shard.flow_counts()), (0, (2, 0)), "nothing is to be asked");
        reinvited(&mut world, 200);
        let expected = serde_json::json!({ "status": 200, "reason": "OK" });
        assert_eq!(ends(&world), [(format!("call_{waiting}"), expected.clone())], "hers is over, and she is not");
        assert_eq!((world.shard.counts().calls, world.shard.flow_counts()), (1, (1, 0)));
        assert!(world.told.iter().any(|told| told.call == call && told.event == CallEvent::Transferred));
        world.pass(sec(60));
        let has_ended = |world: &World, agent| world.has(agent, |event| matches!(event, Event::Ended { .. }));
        assert!(!has_ended(&world, 0) && !has_ended(&world, 1), "they talk");
        world.bye(gone, dialogs[gone]);
        assert!(has_ended(&world, 1 - gone), "and both are gone");
        assert_eq!(ends(&world)[1..], [(format!("call_{call}"), expected)]);
        assert_eq!(world.questions.len(), 4, "two came, two have ended, and nobody was asked in between");
        assert_eq!((world.shard.flow_counts(), world.flow_news.as_slice()), ((0, 0), &[][..]));
        world.assert_clean();
    }
}

#[test]
fn whoever_cannot_be_bridged_goes_on_in_the_flow_and_so_does_the_other() {
    let (mut world, waiting, dialogs) = bridged(r#",{"ask":{}}"#);
    reinvited(&mut world, 488);
    assert!(matches!(&world.flow_news[..], [Note::Failed { verb, .. }] if verb == "bridge"), "{:?}", world.flow_news);
    assert_eq!((&posted(&world)["event"], &posted(&world)["failure"]["verb"]), (&"next".into(), &"bridge".into()));
    assert_eq!((world.shard.counts().calls, ends(&world).len()), (2, 0));
    // The one who is to be reached has gone meanwhile.
    world.bye(0, dialogs[0]);
    reply(&mut world, &format!(r#"{{"bridge":{{"call":"call_{waiting}"}}}},{{"hangup":{{}}}}"#));
    assert_eq!(world.flow_news.len(), 2, "{:?}", world.flow_news);
    assert!(world.has(1, |event| matches!(event, Event::Ended { .. })), "the verb behind it is carried out");
    assert_eq!((ends(&world).len(), world.shard.flow_counts()), (2, (0, 0)));
    world.assert_clean();
}

#[test]
fn a_document_gives_its_call_a_webhook_as_a_request_does() {
    let mut world = world(None);
    let dialog = calls(&mut world);
    let call = world.shard.calls().next().expect("a call");
    let taken_on = |world: &mut World, verbs: &str, name: &str| {
        let id = world.questions.last().expect("a question").id;
        let Document { verbs, .. } = Document::read(format!("{{\"verbs\":[{verbs}]}}").as_bytes()).expect(verbs);
        world.shard.handle(world.now, Input::Flow { id, reply: Ok(Reply { verbs, webhook: Some(name.into()) }) });
        world.run();
    };
    let told = world.told.len();
    taken_on(&mut world, r#"{"answer":{}},{"ask":{}}"#, "call.1");
    assert_eq!(world.webhooks, [(call, "call.1".into(), told)], "before anything that comes of its verbs");
    world.ack(0, dialog, None);
    // The same again is no other one, and neither is that of a request.
    taken_on(&mut world, r#"{"ask":{}}"#, "call.1");
    world.webhook = Some(Ok("call.2".into()));
    let path = format!("/v1/calls/call_{call}/webhook");
    assert_eq!(world.rest("PUT", &path, r#"{"url":"https://hooks.test/others"}"#).status, 409);
    taken_on(&mut world, r#"{"ask":{}}"#, "call.2");
    assert_eq!((world.webhooks.len(), world.flow_news.len()), (1, 1));
    let failure = serde_json::json!({ "verb": "webhook", "why": "the call has the webhook call.1" });
    assert_eq!(posted(&world)["failure"], failure);
    reply(&mut world, r#"{"hangup":{}}"#);
    over(world);
}
