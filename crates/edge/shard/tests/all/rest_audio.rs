//! The native REST plays to parties, records them, and collects and sends keys.

use crate::support::*;

use std::time::Duration;

use hookswitch_call::{
    BargeIn, CallId, Digit, FIRST_ORDERED, MediaReport, Party, PlayEnd, PlayId, PlayNews, RecordEnd, RecordNews,
    Recorded, RecordingId, Tracks,
};
use hookswitch_dialect::access::{Grant, Scope};
use hookswitch_dialect::rest::{FileAct, Headers, Response};
use hookswitch_shard::{Input, Stored};
use serde_json::{Value, json};

fn document(response: &Response) -> Value {
    serde_json::from_str(&response.body).expect(&response.body)
}

/// A call of which both parties are on the line.
fn talk() -> (World, CallId, String) {
    let mut world = World::anchoring();
    world.register(0);
    world.register(1);
    let answer = world.rest("POST", "/v1/calls", r#"{"from":"sip:alice@x.test","to":"sip:bob@x.test"}"#);
    for agent in [0, 1] {
        world.respond(agent, 200, Some("s"));
    }
    let call = world.shard.calls().next().expect("a call");
    assert_eq!(document(&answer)["id"], format!("call_{call}"));
    world.commands.clear();
    (world, call, format!("/v1/calls/call_{call}"))
}

fn tell(world: &mut World, report: MediaReport) {
    world.shard.handle(world.now, Input::Media(report));
    world.run();
}

/// The command that an answer tells of, as it is now.
fn command(world: &mut World, answer: &Response) -> Value {
    assert_eq!(answer.status, 202, "{}", answer.body);
    let path = format!("/v1/commands/{}", document(answer)["id"].as_str().unwrap());
    document(&world.rest("GET", &path, ""))
}

/// The first thing that a command plays.
const FIRST_PLAY: PlayId = PlayId(u32::MAX - 1);

#[test]
fn a_play_ends_when_its_sounds_are_over() {
    let (mut world, call, path) = talk();
    let body = r#"{"party":"callee","sounds":[{"file":"welcome.wav"},{"tone":"440","stop_seconds":1.5}],"times":2}"#;
    let play = world.rest("POST", &format!("{path}/play"), body);
    assert_eq!(command(&mut world, &play)["status"], "running");
    let louder =
        world.rest("POST", &format!("{path}/play/control"), r#"{"party":"callee","action":"gain","decibels":-6}"#);
    assert_eq!(command(&mut world, &louder)["status"], "done");
    let nothing = world.rest("POST", &format!("{path}/play/control"), r#"{"party":"caller","action":"stop"}"#);
    assert_eq!((nothing.status, document(&nothing)["code"].clone()), (409, "impossible".into()));
    let news = PlayNews::Ended(PlayEnd::Completed);
    let party = Party::Callee;
    tell(&mut world, MediaReport::Played { call, party, play: FIRST_PLAY, news, position: Duration::from_secs(3) });
    assert_eq!(command(&mut world, &play)["status"], "done");

    let missing = world.rest("POST", &format!("{path}/play"), r#"{"party":"caller","sounds":[{"file":"no.wav"}]}"#);
    let (party, news) = (Party::Caller, PlayNews::Ended(PlayEnd::Failed));
    let play = PlayId(FIRST_PLAY.0 - 1);
    tell(&mut world, MediaReport::Played { call, party, play, news, position: Duration::ZERO });
    let failed = command(&mut world, &missing);
    assert_eq!((&failed["status"], &failed["cause"]["stage"]), (&"failed".into(), &"audio".into()));
    assert_eq!(failed["cause"]["text"], "nothing of it could be played");
}

#[test]
fn a_sound_that_is_none_is_told_with_its_place() {
    let (mut world, _, path) = talk();
    for (body, field) in [
        (r#"{"party":"caller","sounds":[]}"#, "/sounds"),
        (r#"{"party":"caller","sounds":[{"file":"a"},{}]}"#, "/sounds/1"),
        (r#"{"party":"caller","sounds":[{"file":"a","tone":"b"}]}"#, "/sounds/0"),
        (r#"{"party":"caller","sounds":[{"file":"a","g722":"b"}]}"#, "/sounds/0/file"),
        (r#"{"party":"caller","sounds":[{"mp3":"a"}]}"#, "/sounds/0/mp3"),
        (r#"{"party":"caller","sounds":[{"file":"a","start_seconds":2,"stop_seconds":1}]}"#, "/sounds/0/stop_seconds"),
        (r#"{"sounds":[{"file":"a"}]}"#, "/party"),
    ] {
        let answer = world.rest("POST", &format!("{path}/play"), body);
        assert_eq!((answer.status, document(&answer)["field"].as_str().unwrap_or("")), (422, field), "{body}");
    }
    let seek = world.rest("POST", &format!("{path}/play/control"), r#"{"party":"caller","action":"seek"}"#);
    assert_eq!((seek.status, document(&seek)["field"].clone()), (422, "/seconds".into()));
}

#[test]
fn a_member_that_means_nothing_beside_the_others_is_refused() {
    let (mut world, call, path) = talk();
    for (command, body, field, expected) in [
        (
            "play",
            r#"{"party":"caller","sounds":[{"file":"a"}],"times":2,"forever":true}"#,
            "/times",
            "either `times` or `forever`",
        ),
        (
            "play",
            r#"{"party":"caller","sounds":[{"file":"a"},{"file":"b","times":2,"forever":true}]}"#,
            "/sounds/1/times",
            "either `times` or `forever`",
        ),
        (
            "play/control",
            r#"{"party":"caller","action":"pause","seconds":1}"#,
            "/seconds",
            "`action`: `seek` beside it",
        ),
        (
            "play/control",
            r#"{"party":"caller","action":"seek","seconds":1,"decibels":1}"#,
            "/decibels",
            "`action`: `gain` beside it",
        ),
        ("record", r#"{"party":"caller","silence_below":9}"#, "/silence_below", "`silence_seconds` beside it"),
        ("record", r#"{"party":"caller","min_seconds":9}"#, "/min_seconds", "`finish_below` beside it"),
        (
            "record",
            r#"{"party":"caller","average_seconds":1}"#,
            "/average_seconds",
            "`start_above` or `finish_below` beside it",
        ),
        ("record", r#"{"party":"caller","interrupt":true}"#, "/interrupt", "`prompt` beside it"),
        ("record", r#"{"party":"caller","barge_in":900}"#, "/barge_in", "`prompt` beside it"),
    ] {
        let refused = world.rest("POST", &format!("{path}/{command}"), body);
        let problem = document(&refused);
        assert_eq!((refused.status, problem["code"].as_str()), (422, Some("invalid_field")), "{body}");
        assert_eq!((problem["field"].as_str(), problem["expected"].as_str()), (Some(field), Some(expected)), "{body}");
    }
    let listener = format!(r#"{{"party":"caller","role":"listen","whisper_to":"call_{call}"}}"#);
    let listener = world.rest("POST", &format!("{path}/conference"), &listener);
    assert_eq!((listener.status, document(&listener)["field"].clone()), (422, "/whisper_to".into()));
    assert!(world.ordered.is_empty(), "nothing was begun");
    let once = r#"{"party":"caller","sounds":[{"file":"a","times":2,"forever":false}],"times":2,"forever":false}"#;
    assert_eq!(world.rest("POST", &format!("{path}/play"), once).status, 202);
    let ended = r#"{"party":"caller","silence_seconds":3,"silence_below":9,"finish_below":9,"min_seconds":9}"#;
    assert_eq!(world.rest("POST", &format!("{path}/record"), ended).status, 202);
    let begun = r#"{"party":"caller","start_above":500,"average_seconds":0.5}"#;
    assert_eq!(world.rest("POST", &format!("{path}/record"), begun).status, 202);
    let averages: Vec<u16> = world.ordered.iter().map(|(_, plan)| plan.average).collect();
    assert_eq!(averages, [1, 25], "frames of 20 ms");
}

#[test]
fn a_recording_is_begun_listed_and_finished() {
    let (mut world, call, path) = talk();
    let body = r#"{"party":"callee","tracks":"mixed","rate":"16000","max_seconds":60}"#;
    let begun = world.rest("POST", &format!("{path}/record"), body);
    let (of, plan) = world.ordered.pop().expect("an order to the engine");
    assert_eq!((of, plan.tracks, plan.rate, plan.max), (call, Tracks::Mixed, Some(16_000), sec(60)));
    assert!(plan.file.starts_with(&format!("2023-11-14/{call}-")), "{}", plan.file);
    let recording = FIRST_ORDERED;
    tell(&mut world, MediaReport::Recorded { call, recording, news: RecordNews::Begun });
    assert_eq!(command(&mut world, &begun)["status"], "done");
    let listed = document(&world.rest("GET", "/v1/recordings?state=running", ""));
    assert_eq!(
        (&listed["recordings"][0]["recording"], &listed["recordings"][0]["party"]),
        (&256.into(), &"callee".into())
    );

    let control = format!("{path}/recordings/256");
    let paused = world.rest("POST", &control, r#"{"action":"pause"}"#);
    assert_eq!(command(&mut world, &paused)["status"], "done");
    let finished = world.rest("POST", &control, r#"{"action":"finish"}"#);
    assert_eq!(command(&mut world, &finished)["status"], "running", "until the file is complete");
    let recorded = Recorded { size: 44, duration: sec(2), ..Recorded::nothing(&plan.file, RecordEnd::Requested) };
    tell(&mut world, MediaReport::Recorded { call, recording, news: RecordNews::Finished(Box::new(recorded)) });
    assert_eq!(command(&mut world, &finished)["status"], "done");
    let shown = document(&world.rest("GET", &path, ""));
    assert_eq!((&shown["recordings"][0]["state"], &shown["recordings"][0]["bytes"]), (&"finished".into(), &44.into()));
    for number in ["256", "257", "x"] {
        let gone = world.rest("POST", &format!("{path}/recordings/{number}"), r#"{"action":"pause"}"#);
        assert_eq!((gone.status, document(&gone)["code"].clone()), (404, "no_such_recording".into()), "{number}");
    }
    for file in ["../x.wav", "/x.wav", "a//b"] {
        let body = format!(r#"{{"party":"caller","file":"{file}"}}"#);
        assert_eq!(world.rest("POST", &format!("{path}/record"), &body).status, 422, "{file}");
    }
    assert_ne!(FIRST_ORDERED, RecordingId(257));
}

#[test]
fn a_recording_may_begin_where_its_prompt_ends() {
    let (mut world, call, path) = talk();
    let body = r#"{"party":"callee","prompt":[{"file":"a.wav"},{"tone":"900:300"}],"interrupt":true,"barge_in":900}"#;
    let record = world.rest("POST", &format!("{path}/record"), body);
    let (_, plan) = world.ordered.pop().expect("an order to the engine");
    let after = plan.after.expect("it follows on the prompt");
    assert_eq!((after.play, after.barge_in), (FIRST_PLAY, Some(BargeIn::louder_than(900))));
    let (party, news) = (Party::Callee, PlayNews::Ended(PlayEnd::Interrupted));
    tell(&mut world, MediaReport::Played { call, party, play: FIRST_PLAY, news, position: sec(1) });
    assert_eq!(command(&mut world, &record)["status"], "running");
    tell(&mut world, MediaReport::Recorded { call, recording: FIRST_ORDERED, news: RecordNews::Begun });
    assert_eq!(command(&mut world, &record)["status"], "done");
    let nothing = world.rest("POST", &format!("{path}/record"), r#"{"party":"callee","prompt":[{"file":"a"},{}]}"#);
    assert_eq!((nothing.status, document(&nothing)["field"].clone()), (422, "/prompt/1".into()));
}

/// A recording by command, that has begun.
fn record(world: &mut World, call: CallId, path: &str) {
    assert_eq!(world.rest("POST", &format!("{path}/record"), r#"{"party":"caller"}"#).status, 202);
    tell(world, MediaReport::Recorded { call, recording: FIRST_ORDERED, news: RecordNews::Begun });
}

/// Its file is complete, or there is none.
fn finish(world: &mut World, call: CallId, size: u64) {
    let recorded = Recorded { size, ..Recorded::nothing(&"/r/day/a.wav".into(), RecordEnd::Requested) };
    let news = RecordNews::Finished(Box::new(recorded));
    tell(world, MediaReport::Recorded { call, recording: FIRST_ORDERED, news });
}

#[test]
fn the_audio_of_a_recording_is_a_file_when_it_is_over() {
    let (mut world, call, path) = talk();
    record(&mut world, call, &path);
    let name = format!("/v1/recordings/rec_{call}_256");
    assert_eq!(document(&world.rest("GET", &name, ""))["state"], "running");
    for (method, target) in [("GET", format!("{name}/audio")), ("DELETE", name.clone())] {
        let early = world.rest(method, &target, "");
        assert_eq!((early.status, document(&early)["code"].clone()), (409, "still_recording".into()), "{method}");
        assert!(early.file.is_none() && early.headers.iter().any(|(name, _)| *name == "retry-after"));
    }
    finish(&mut world, call, 44);
    let listed = document(&world.rest("GET", "/v1/recordings", ""));
    assert_eq!(listed["recordings"][0]["id"], format!("rec_{call}_256"));
    let known = document(&world.rest("GET", &name, ""));
    assert_eq!((&known["bytes"], &known["call"]), (&44.into(), &format!("call_{call}").into()));
    for (method, target, act) in
        [("GET", format!("{name}/audio"), FileAct::Send), ("DELETE", name.clone(), FileAct::Remove)]
    {
        let file = world.rest(method, &target, "").file.expect("a file");
        assert_eq!((file.file.as_str(), file.size, file.node, file.act), ("/r/day/a.wav", Some(44), None, act));
    }
    for other in
        [format!("rec_{call}_257"), format!("rec_{call}"), "rec_0000000000ff_256".into(), "..%2F..%2Fetc".into()]
    {
        for target in [format!("/v1/recordings/{other}"), format!("/v1/recordings/{other}/audio")] {
            let unknown = world.rest("GET", &target, "");
            assert_eq!(
                (unknown.status, document(&unknown)["code"].clone()),
                (404, "no_such_recording".into()),
                "{other}"
            );
        }
    }
}

#[test]
fn a_recording_without_a_file_is_gone_and_cannot_be_removed_twice() {
    let (mut world, call, path) = talk();
    record(&mut world, call, &path);
    finish(&mut world, call, 0);
    let name = format!("/v1/recordings/rec_{call}_256");
    let gone = world.rest("GET", &format!("{name}/audio"), "");
    assert_eq!((gone.status, document(&gone)["code"].clone()), (410, "gone".into()));
    let removed = world.rest("DELETE", &name, "");
    assert_eq!((removed.status, removed.file), (204, None));
}

#[test]
fn a_recording_is_heard_by_those_who_may_see_its_call() {
    let (mut world, call, path) = talk();
    record(&mut world, call, &path);
    finish(&mut world, call, 44);
    let name = format!("/v1/recordings/rec_{call}_256");
    let mut ask = |method: &str, target: &str, scopes: &[Scope], domain: &str| {
        let grant = Grant { scopes: scopes.to_vec(), domains: vec![domain.into()], ..Grant::everything() };
        world.rest_with(method, target, "", Headers::default(), grant).status
    };
    let audio = format!("{name}/audio");
    assert_eq!(ask("GET", &audio, &[Scope::Read], "x.test"), 200);
    assert_eq!(ask("GET", &audio, &[Scope::Read], "y.test"), 404, "as if it were not there");
    assert_eq!(ask("GET", &audio, &[Scope::Control, Scope::Admin], "x.test"), 403);
    assert_eq!(ask("DELETE", &name, &[Scope::Read, Scope::Control], "x.test"), 403);
    assert_eq!(ask("DELETE", &name, &[Scope::Admin], "y.test"), 404);
    assert_eq!(ask("DELETE", &name, &[Scope::Admin], "x.test"), 204);
}

#[test]
fn removing_is_not_remembered_under_a_key_since_it_may_fail() {
    let (mut world, call, path) = talk();
    record(&mut world, call, &path);
    finish(&mut world, call, 44);
    for _ in 0..2 {
        let headers = Headers { idempotency_key: Some("once".into()), ..Headers::default() };
        let name = format!("/v1/recordings/rec_{call}_256");
        let answer = world.rest_with("DELETE", &name, "", headers, Grant::everything());
        assert!(answer.file.is_some(), "it is tried again");
    }
}

#[test]
fn keys_are_collected_and_sent() {
    let (mut world, call, path) = talk();
    let body = r##"{"party":"callee","most":4,"terminator":"#","first_seconds":5}"##;
    let collect = world.rest("POST", &format!("{path}/collect"), body);
    for key in "12#".chars() {
        let digit = Digit { key, time: Duration::from_millis(100) };
        tell(&mut world, MediaReport::Digit { call, party: Party::Callee, digit, passed: false });
    }
    assert_eq!(command(&mut world, &collect)["status"], "done");
    let told = format!("{:?}", world.told.last());
    assert!(told.contains("Collected") && told.contains("\"12\""), "{told}");
    let late = world.rest("POST", &format!("{path}/collect"), r#"{"party":"callee","most":1,"first_seconds":1}"#);
    world.pass(sec(2));
    assert_eq!(command(&mut world, &late)["status"], "done", "no key is an outcome too");

    let sent = world.rest("POST", &format!("{path}/digits"), r#"{"party":"caller","digits":"1a#"}"#);
    assert_eq!(command(&mut world, &sent)["status"], "done");
    for body in [r#"{"party":"caller","digits":"1x"}"#, r#"{"party":"caller","digits":""}"#] {
        assert_eq!(world.rest("POST", &format!("{path}/digits"), body).status, 422, "{body}");
    }
    for pattern in ["(", "x*"] {
        let body = format!(r#"{{"party":"callee","most":4,"pattern":"{pattern}"}}"#);
        let bad = world.rest("POST", &format!("{path}/collect"), &body);
        assert_eq!((bad.status, document(&bad)["field"].clone()), (422, "/pattern".into()), "{pattern}");
    }
}

#[test]
fn who_is_in_no_conference_takes_no_part_in_one() {
    let (mut world, _, path) = talk();
    let outside = world.rest("POST", &format!("{path}/conference"), r#"{"party":"caller","muted":true}"#);
    assert_eq!((outside.status, document(&outside)["code"].clone()), (409, "impossible".into()));
    let whom = world.rest("POST", &format!("{path}/conference"), r#"{"party":"caller","role":"whisper"}"#);
    assert_eq!((whom.status, document(&whom)["field"].clone()), (422, "/whisper_to".into()));
}

#[test]
fn commands_that_a_call_outlives_not_end_with_it() {
    let (mut world, _, path) = talk();
    let play =
        world.rest("POST", &format!("{path}/play"), r#"{"party":"caller","forever":true,"sounds":[{"file":"a"}]}"#);
    assert_eq!(world.rest("DELETE", &path, "").status, 202);
    assert_eq!(command(&mut world, &play)["status"], "failed");
    let mut ends: Vec<_> = world.commands.iter().map(|end| (end.kind, end.result.is_ok())).collect();
    ends.sort_unstable();
    assert_eq!(ends, [("end", true), ("play", false)], "each once");
}

#[test]
fn a_recording_is_found_when_its_call_is_long_forgotten_and_after_a_restart() {
    let (mut world, call, path) = talk();
    record(&mut world, call, &path);
    finish(&mut world, call, 44);
    assert_eq!(world.kept.iter().map(|kept| kept.is_over()).collect::<Vec<_>>(), [false, true]);
    // Its end stands for it.
    world.kept.remove(0);
    let told = RecordingId(0);
    for (size, kept) in [(0, 1), (52, 2)] {
        let recorded = Recorded { size, ..Recorded::nothing(&"/r/day/b.wav".into(), RecordEnd::Closed) };
        let news = RecordNews::Finished(Box::new(recorded));
        tell(&mut world, MediaReport::Recorded { call, recording: told, news });
        assert_eq!(world.kept.len(), kept, "what has no file is not found later");
    }
    let stored = serde_json::to_string(&world.kept).unwrap();
    let restored: Vec<hookswitch_dialect::rest::KeptRecording> = serde_json::from_str(&stored).unwrap();
    let before = document(&world.rest("GET", "/v1/recordings", ""));

    let mut later = World::anchoring();
    for kept in restored {
        later.shard.handle(later.now, Input::Restore(Stored::Recording(Box::new(kept))));
    }
    let listed = |world: &mut World, query: &str| document(&world.rest("GET", &format!("/v1/recordings{query}"), ""));
    assert_eq!(listed(&mut later, ""), before, "nothing is lost of what is known");
    let name = format!("/v1/recordings/rec_{call}_256");
    let file = later.rest("GET", &format!("{name}/audio"), "").file.expect("a file");
    assert_eq!((file.file.as_str(), file.size), ("/r/day/a.wav", Some(44)));
    let mut seen = |domain: &str| {
        let grant = Grant { domains: vec![domain.into()], ..Grant::everything() };
        let one = later.rest_with("GET", &name, "", Headers::default(), grant.clone()).status;
        let all = later.rest_with("GET", "/v1/recordings", "", Headers::default(), grant);
        (one, document(&all)["recordings"].as_array().map(Vec::len))
    };
    assert_eq!((seen("x.test"), seen("y.test")), ((200, Some(2)), (404, Some(0))));
    assert_eq!(listed(&mut later, "?state=running")["recordings"], json!([]));
    assert_eq!(listed(&mut later, &format!("?call=call_{call}"))["recordings"].as_array().map(Vec::len), Some(2));
    assert_eq!(listed(&mut later, "?call=call_0000000000ff")["recordings"], json!([]));
    let first = listed(&mut later, "?limit=1");
    assert_eq!(first["recordings"][0]["id"], format!("rec_{call}_0"));
    let after = first["next"].as_str().expect("another page");
    let second = listed(&mut later, &format!("?limit=1&after={after}"));
    assert_eq!((&second["recordings"][0]["id"], &second["next"]), (&format!("rec_{call}_256").into(), &Value::Null));
}

#[test]
fn the_beginning_of_a_recording_is_noted_and_its_end_even_if_it_has_no_file() {
    let (mut world, call, path) = talk();
    record(&mut world, call, &path);
    let (_, plan) = world.ordered.pop().expect("an order to the engine");
    let name = format!("/v1/recordings/rec_{call}_256");
    let running = document(&world.rest("GET", &name, ""));
    assert_eq!((&running["state"], &running["started"]), (&"running".into(), &"2023-11-14T22:13:20.000Z".into()));
    let noted = world.kept.pop().expect("a note");
    assert_eq!((noted.is_over(), noted.file_here()), (false, Some(&*plan.file)));

    // The next process finds out what became of it.
    let mut later = World::anchoring();
    let file = format!("/r/{}", plan.file);
    let cut_off = Box::new(noted.cut_off(Some((file.as_str(), 8_044, Duration::from_millis(500)))));
    later.shard.handle(later.now, Input::Restore(Stored::Recording(cut_off)));
    let expected = json!({
        "id": format!("rec_{call}_256"), "recording": 256, "party": "caller", "state": "finished",
        "started": running["started"], "file": file, "duration_seconds": 0.5, "lost_seconds": 0.0, "bytes": 8_044,
        "reason": "interrupted", "failure": null, "call": format!("call_{call}"),
    });
    assert_eq!(document(&later.rest("GET", &name, "")), expected);
    assert!(later.rest("GET", &format!("{name}/audio"), "").file.is_some());

    finish(&mut world, call, 0);
    let noted = world.kept.pop().expect("another note");
    assert!(noted.is_over() && !noted.has_file(), "so that it is not looked for");
    assert_eq!(world.rest("GET", &format!("{name}/audio"), "").status, 410);
}

#[test]
fn of_a_recording_that_its_node_was_lost_in_that_one_is_asked_how_long_it_is_when_somebody_wants_to_know() {
    let mut world = World::anchoring();
    let begun = json!({
        "call": 7, "domains": ["x.test"], "recording": 0, "party": null, "node": "http://m:9002", "recorded": null,
        "begun": { "at": { "secs": 1, "nanos": 0 }, "file": "day/a.wav" },
    });
    let begun: hookswitch_dialect::rest::KeptRecording = serde_json::from_value(begun).unwrap();
    let cut_off = Stored::Recording(Box::new(begun.cut_off(None)));
    world.shard.handle(world.now, Input::Restore(cut_off));
    let listed = world.rest("GET", "/v1/recordings", "");
    assert_eq!(listed.file, None, "nobody is asked for a list");
    let one = document(&listed)["recordings"][0].clone();
    assert_eq!((&one["reason"], one.get("bytes")), (&"interrupted".into(), None));
    let asked = world.rest("GET", &format!("/v1/recordings/{}", one["id"].as_str().unwrap()), "");
    let file = asked.file.clone().expect("its file is looked at");
    assert_eq!(
        (file.file.as_str(), file.size, file.node.as_deref(), file.act),
        ("day/a.wav", None, Some("http://m:9002"), FileAct::Measure)
    );
    assert_eq!(document(&asked), one, "which is what is answered where the node does not say");
    let text = hookswitch_dialect::rest::measured(asked.body.as_bytes(), 80_044, Duration::from_millis(5_000)).unwrap();
    let measured: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&measured["bytes"], &measured["duration_seconds"]), (&80_044.into(), &5.0.into()));
    assert_eq!((&measured["id"], measured.get("lost_seconds")), (&one["id"], None));
    assert_eq!(hookswitch_dialect::rest::measured(b"[]", 1, Duration::ZERO), None);
}
