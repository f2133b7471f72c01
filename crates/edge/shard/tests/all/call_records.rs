//! The record of each call: once, complete, and with who ended it.

use crate::support::*;

use hookswitch_call::{AudioNews, CallAudio, CallId, MediaOp, MediaReport, Party, RecordEnd, RecordNews, Recorded};
use hookswitch_dialect::journal::record::{CallDetail, Ender, SETTLE};
use hookswitch_shard::{Admission, BY_RULE, Input, Mode, Output, RecordRule, SessionId};

fn world() -> World {
    let mut world = World::new(shard_config());
    world.register(1);
    world
}

/// The one record that there is.
#[track_caller]
fn record(world: &mut World) -> CallDetail {
    let record = world.records.pop().expect("a record");
    assert!(world.records.is_empty(), "one record for one call");
    record
}

#[test]
fn a_call_that_its_caller_ends_has_one_record_with_its_legs_and_times() {
    let mut world = world();
    let call = world.invite(0, "sip:bob@x.test", Some("a"));
    world.pass(sec(2));
    world.respond(1, 180, None);
    world.pass(sec(3));
    world.respond(1, 200, Some("b"));
    world.ack(0, call, None);
    world.pass(sec(60));
    world.bye(0, call);
    let record = record(&mut world);
    assert_eq!(record.ended_by, Ender::Party(Party::Caller));
    assert_eq!((record.by_command, record.cause.code, record.cause.q850), (false, 200, Some(16)));
    assert!(record.caller.0.contains("alice@x.test") && record.callee.0.contains("bob@x.test"), "{record:?}");
    assert_eq!(record.ringing, Some(record.started + sec(2)));
    assert_eq!((record.answered, record.talked), (Some(record.started + sec(5)), sec(60)));
    let legs: Vec<_> = record.legs.iter().map(|leg| (leg.party, leg.ended.is_some())).collect();
    assert_eq!(legs, [(Party::Caller, true), (Party::Callee, true)]);
    assert!(record.legs.iter().all(|leg| leg.wire_id.as_ref().is_some_and(|wire_id| !wire_id.is_empty())));
    assert_eq!(record.audio, None, "it did not run through the switch");
    world.assert_clean();
    assert_eq!(world.shard.open_records(), 0);
}

#[test]
fn who_ended_a_call_is_who_did_it_first() {
    for (status, ender, code) in [(486, Ender::Party(Party::Callee), 486), (603, Ender::Party(Party::Callee), 603)] {
        let mut world = world();
        world.invite(0, "sip:bob@x.test", Some("a"));
        world.respond(1, status, None);
        let record = record(&mut world);
        assert_eq!((record.ended_by, record.cause.code, record.answered), (ender, code, None));
    }
    let mut world = world();
    world.invite(0, "sip:nobody@x.test", Some("a"));
    let record = record(&mut world);
    assert_eq!((record.ended_by, record.cause.code), (Ender::Switch, 404));
}

#[test]
fn a_call_that_an_application_ends_says_so() {
    let mut world = world();
    let opened = Input::SessionOpened { session: SessionId(1), admission: Admission::open(Mode::Original) };
    world.shard.handle(world.now, opened);
    let call = world.invite(0, "sip:bob@x.test", Some("a"));
    world.respond(1, 200, Some("b"));
    world.ack(0, call, None);
    let wire_id = world.shard.calls().next().and_then(|id| world.shard.record(id)?.call.legs[0].wire_id.clone());
    let end =
        format!(r#"{{"jsonrpc":"2.0","id":"1","method":"CallEnd","params":{{"callid":"{}"}}}}"#, wire_id.unwrap());
    world.say(&end);
    world.pass(sec(1));
    let record = record(&mut world);
    assert_eq!((record.ended_by, record.cause.code), (Ender::Application, 200));
}

fn anchored() -> World {
    let mut config = shard_config();
    config.limits.anchor = true;
    config.record = RecordRule::Everybody;
    let mut world = World { described: Some(0), ..World::new(config) };
    world.register(1);
    world
}

fn talk(world: &mut World) -> (hookswitch_sip::DialogId, CallId) {
    let dialog = world.invite(0, "sip:bob@x.test", Some("a"));
    world.respond(1, 200, Some("b"));
    world.ack(0, dialog, None);
    let call = world.shard.calls().next().expect("a call");
    (dialog, call)
}

fn tell(world: &mut World, report: MediaReport) {
    world.shard.handle(world.now, Input::Media(report));
    world.run();
}

fn audio(received: u64) -> Option<Box<CallAudio>> {
    let mut audio = CallAudio::default();
    audio.caller.received = received;
    Some(Box::new(audio))
}

#[test]
fn the_record_comes_with_the_quality_of_the_audio_and_with_what_became_of_the_recording() {
    let mut world = anchored();
    let (dialog, call) = talk(&mut world);
    world.bye(0, dialog);
    assert!(world.records.is_empty(), "its audio is not known yet");
    tell(&mut world, MediaReport::Audio { call, news: AudioNews::Closed, audio: audio(250) });
    assert!(world.records.is_empty(), "its file is not complete yet");
    let recorded = Recorded { size: 44, ..Recorded::nothing(&"/r/a.wav".into(), RecordEnd::Closed) };
    let news = RecordNews::Finished(Box::new(recorded));
    tell(&mut world, MediaReport::Recorded { call, recording: BY_RULE, news });
    let record = record(&mut world);
    assert_eq!(record.audio.map(|audio| audio.caller.received), Some(250));
    assert_eq!(record.recordings[0].finished.as_ref().map(|file| file.size), Some(44));
}

#[test]
fn a_media_thread_that_says_nothing_costs_a_record_its_quality_and_no_more() {
    let mut world = anchored();
    let (dialog, _) = talk(&mut world);
    world.bye(0, dialog);
    world.pass(SETTLE);
    let record = record(&mut world);
    assert_eq!((record.audio, record.recordings[0].finished.clone()), (None, None));
}

#[test]
fn a_switch_that_is_stopped_makes_the_record_of_every_call_with_the_audio_until_then() {
    let mut world = anchored();
    let (_, call) = talk(&mut world);
    world.pass(sec(7));
    // The phones do not answer any more.
    world.shard.handle(world.now, Input::EndAll);
    let outputs = std::iter::from_fn(|| world.shard.poll_output());
    let asked = outputs.filter(|output| matches!(output, Output::Media(MediaOp::Inspect { .. }))).count();
    assert_eq!((asked, world.shard.awaits_audio()), (1, true));
    tell(&mut world, MediaReport::Audio { call, news: AudioNews::Asked, audio: audio(350) });
    assert!(!world.shard.awaits_audio());
    assert!(world.records.is_empty());
    world.shard.handle(world.now, Input::Finish);
    world.run();
    let record = record(&mut world);
    assert_eq!((record.ended_by, record.cause.code), (Ender::Switch, 503));
    assert_eq!(record.cause.text, "Server Is Stopping");
    assert_eq!((record.talked, record.audio.map(|audio| audio.caller.received)), (sec(7), Some(350)));
}

#[test]
fn a_call_that_a_command_makes_has_a_record_whatever_becomes_of_it() {
    // Whoever is rung up first is made an offer by the media engine.
    let mut world = anchored();
    let opened = Input::SessionOpened { session: SessionId(1), admission: Admission::open(Mode::Original) };
    world.shard.handle(world.now, opened);
    let start = |caller| {
        format!(
            r#"{{"jsonrpc":"2.0","id":"1","method":"CallStart","params":{{"caller":"{caller}","callee":"sip:alice@x.test"}}}}"#
        )
    };
    world.say(&start("sip:nobody@x.test"));
    let refused = record(&mut world);
    assert_eq!((refused.by_command, refused.ended_by, refused.cause.code), (true, Ender::Switch, 404));
    assert_eq!((&*refused.caller.0, &*refused.callee.0), ("sip:nobody@x.test", "sip:alice@x.test"));
    world.say(&start("sip:bob@x.test"));
    world.respond(1, 486, None);
    world.pass(SETTLE);
    let busy = record(&mut world);
    assert_eq!((busy.by_command, busy.ended_by, busy.cause.code), (true, Ender::Party(Party::Caller), 486));
}
