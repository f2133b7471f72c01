//! Calls that a rule has recorded: which ones, from when on, and where it is said.

use crate::support::*;

use std::sync::Arc;
use std::time::Duration;

use hookswitch_call::directory::{Directory, Forwarding, Layer, Secret};
use hookswitch_call::{
    Attendant, CallId, Forwards, MediaReport, Message, RecordEnd, RecordNews, RecordPlan, Recorded, RecordingId, Sound,
    SoundKind, Soup, Then, Tracks,
};
use hookswitch_shard::{BY_RULE, Input, RecordReport, RecordRule};
use hookswitch_sip::DialogId;
use serde_json::Value;

fn world(rule: RecordRule) -> World {
    let mut config = shard_config();
    config.limits.anchor = true;
    config.record = rule;
    let mut world = World { described: Some(0), ..World::new(config) };
    world.register(1);
    world
}

fn these(users: &[&str]) -> RecordRule {
    RecordRule::These(users.iter().map(|user| (user.trim_start_matches('!').into(), !user.starts_with('!'))).collect())
}

/// Alice calls Bob, who answers.
fn talk(world: &mut World) -> DialogId {
    let call = world.invite(0, "sip:bob@x.test", Some("a"));
    assert!(world.ordered.is_empty(), "nobody is recorded before the answer");
    world.respond(1, 200, Some("b"));
    world.ack(0, call, None);
    call
}

fn file() -> Recorded {
    Recorded {
        file: "/r/a.wav".into(),
        duration: Duration::from_secs(3),
        lost: Duration::ZERO,
        size: 96_044,
        reason: RecordEnd::Closed,
        mailbox: None,
        undecoded: None,
    }
}

fn tell(world: &mut World, call: CallId, news: RecordNews) {
    world.shard.handle(world.now, Input::Media(MediaReport::Recorded { call, recording: BY_RULE, news }));
    world.run();
}

fn page(world: &mut World, call: CallId) -> Value {
    let path = format!("/calls/{call}");
    let (status, body) = world.http("GET", Box::leak(path.into_boxed_str()), "");
    assert_eq!(status, 200);
    serde_json::from_str(&body).expect("JSON")
}

#[test]
fn everybodys_calls_are_recorded_from_the_answer_on_in_a_file_named_by_day_and_call() {
    let mut world = world(RecordRule::Everybody);
    talk(&mut world);
    let (call, plan) = world.ordered.pop().expect("a recording");
    assert_eq!(plan.file, format!("2023-11-14/{call}.wav"));
    assert_eq!((plan.tracks, plan.start_above, plan.finish_below), (Tracks::Stereo, None, None));
    assert!(world.ordered.is_empty());
}

#[test]
fn those_who_are_listed_are_recorded_whether_they_call_or_are_called() {
    for (rule, expected) in [
        (these(&["alice@x.test"]), 1),
        (these(&["bob@x.test"]), 1),
        (these(&["x.test"]), 1),
        (these(&["carol@x.test", "test", "alice"]), 0),
        (these(&["x.test", "!alice@x.test"]), 1),
        (these(&["x.test", "!alice@x.test", "!bob@x.test"]), 0),
        (RecordRule::Nobody, 0),
    ] {
        let mut world = world(rule.clone());
        talk(&mut world);
        assert_eq!(world.ordered.len(), expected, "{rule:?}");
    }
}

#[test]
fn a_call_whose_audio_passes_by_is_told_of_as_not_recorded() {
    let mut config = shard_config();
    config.record = RecordRule::Everybody;
    let mut world = World::new(config);
    world.register(1);
    talk(&mut world);
    assert!(world.ordered.is_empty());
    let [RecordReport { news: RecordNews::Finished(recorded), .. }] = &*world.recorded else { panic!("one report") };
    assert!(matches!(&recorded.reason, RecordEnd::Failed(why) if why.contains("does not run through the switch")));
}

#[test]
fn what_becomes_of_a_recording_is_told_and_stands_on_the_page_of_the_call() {
    let mut world = world(RecordRule::Everybody);
    let dialog = talk(&mut world);
    let (call, _) = world.ordered.pop().expect("a recording");
    tell(&mut world, call, RecordNews::Begun);
    world.bye(0, dialog);
    // The file is complete when the call is over.
    tell(&mut world, call, RecordNews::Finished(Box::new(file())));
    let told: Vec<_> = world.recorded.iter().map(|report| (report.call, &report.news)).collect();
    assert_eq!(told, [(call, &RecordNews::Begun), (call, &RecordNews::Finished(Box::new(file())))]);
    let page = page(&mut world, call);
    assert_eq!(page["state"], "ended");
    let recording = &page["recordings"][0];
    assert_eq!((&recording["file"], &recording["reason"]), (&"/r/a.wav".into(), &"closed".into()));
    assert_eq!((&recording["size"], &recording["duration"]), (&96_044.into(), &3.0.into()));
    world.assert_clean();
}

#[test]
fn a_recording_that_fails_harms_no_call_and_is_kept_with_it() {
    let mut world = world(RecordRule::Everybody);
    let dialog = talk(&mut world);
    let (call, _) = world.ordered.pop().expect("a recording");
    let undecoded = Some("G729".into());
    let full = Recorded { reason: RecordEnd::Failed("the disk is full".into()), undecoded, ..file() };
    tell(&mut world, call, RecordNews::Finished(Box::new(full)));
    assert_eq!(world.shard.counts().calls, 1);
    assert_eq!(page(&mut world, call)["recordings"][0]["failed"], "the disk is full");
    assert_eq!(page(&mut world, call)["recordings"][0]["undecoded"], "G729");
    world.bye(0, dialog);
    assert_eq!(page(&mut world, call)["recordings"][0]["failed"], "the disk is full");
    world.assert_clean();
    assert!(world.shard.has_no_inquiries());
}

/// Bob is at none of his phones; who calls him is asked for a message, and so is who calls the service itself.
fn with_voice_mail(mailbox: &str) -> World {
    let mut config = shard_config();
    config.limits.anchor = true;
    let otherwise = Forwards { unreachable: Some("sip:mail@x.test".into()), ..Forwards::default() };
    let forwards = [("bob".into(), Forwarding { always: None, otherwise })].into();
    let users = ["alice", "bob"].map(|name| (name.into(), Secret::new(&format!("{name}-pw")))).into();
    config.directory = Directory::new();
    config.directory.configure("x.test", Layer { users, forwards, ..Layer::default() }).expect("a domain");
    let message = Message {
        file: "{domain}/{user}/{day}-{call}.wav".into(),
        mailbox: Some(mailbox.into()),
        most: Duration::from_secs(60),
        least: Duration::ZERO,
        silence: None,
        terminator: None,
        barge_in: None,
    };
    let play = Arc::new(Soup { sounds: vec![Sound::of(SoundKind::Tone, "425:100")], ..Soup::default() });
    let service = Attendant { play, menu: None, record: Some(message), then: Then::Hangup };
    config.b2bua.services.insert("mail".into(), hookswitch_b2bua::Configured::Attendant(Arc::new(service)));
    World { described: Some(0), ..World::new(config) }
}

/// Alice calls somebody and hears the service; the order of its recording.
fn leave_message(world: &mut World, to: &str) -> (DialogId, CallId, RecordPlan) {
    let dialog = world.invite(0, to, Some("a"));
    world.ack(0, dialog, None);
    let (call, plan) = world.ordered.pop().expect("a recording");
    (dialog, call, plan)
}

fn waiting(world: &mut World) -> u64 {
    let (status, body) = world.http("GET", "/mailbox/x.test/bob", "");
    assert_eq!(status, 200);
    serde_json::from_str::<Value>(&body).expect("JSON")["new"].as_u64().expect("a number")
}

#[test]
fn a_message_is_named_by_who_was_called_and_lights_that_ones_lamp() {
    for (to, mailbox, user) in
        [("sip:bob@x.test", "{user}@{domain}", "bob"), ("sip:mail@x.test", "bob@{domain}", "mail")]
    {
        let mut world = with_voice_mail(mailbox);
        let (dialog, call, plan) = leave_message(&mut world, to);
        assert_eq!(plan.file, format!("x.test/{user}/2023-11-14-{call}.wav"));
        assert_eq!(plan.mailbox.as_deref(), Some("bob@x.test"));
        world.bye(0, dialog);
        let left = Recorded { mailbox: plan.mailbox, ..file() };
        let nothing = Recorded { size: 0, ..left.clone() };
        let stranger = Recorded { mailbox: Some("nobody@x.test".into()), ..left.clone() };
        for (recorded, expected) in [(nothing, 0), (left.clone(), 1), (stranger, 1), (left, 2)] {
            let (recording, news) = (RecordingId(1), RecordNews::Finished(Box::new(recorded)));
            world.shard.handle(world.now, Input::Media(MediaReport::Recorded { call, recording, news }));
            world.run();
            assert_eq!(waiting(&mut world), expected);
        }
        assert_eq!(page(&mut world, call)["recordings"][0]["file"], "/r/a.wav");
    }
}

#[test]
fn a_pushed_user_says_itself_whether_it_is_recorded_but_where_everybody_is() {
    for (rule, record, expected) in [
        (RecordRule::Nobody, "\"always\"", 1),
        (RecordRule::Nobody, "\"never\"", 0),
        (these(&["bob@x.test"]), "\"never\"", 0),
        (these(&["bob@x.test"]), "null", 1),
        (these(&["alice@x.test"]), "\"never\"", 1),
        (RecordRule::Everybody, "\"never\"", 1),
    ] {
        let mut world = world(rule.clone());
        let body = format!(r#"{{"secret":"bob-pw","record":{record}}}"#);
        assert_eq!(world.http("PUT", "/dir/x.test/bob", Box::leak(body.into_boxed_str())).0, 200);
        talk(&mut world);
        assert_eq!(world.ordered.len(), expected, "{rule:?} {record}");
    }
}
