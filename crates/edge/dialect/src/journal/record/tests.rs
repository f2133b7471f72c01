use hookswitch_call::{Fault, Kind, RecordEnd};

use super::*;

const CALL: CallId = CallId(0x1f);

fn sec(seconds: u64) -> Time {
    Duration::from_secs(1_795_366_000 + seconds)
}

fn say(records: &mut Records, at: u64, event: Event) {
    records.told(&Told { at: sec(at), seq: 0, call: CALL, owner: None, event });
}

fn begun() -> Records {
    let mut records = Records::default();
    let parties = [Address::from("sip:alice@x.test"), Address::from("sip:bob@x.test")];
    records.begin(sec(0), CALL, parties.each_ref(), Some(&"a@1".into()));
    records
}

fn dialing(leg: u16) -> Event {
    Event::Dialing { leg: LegId(leg), party: Party::Callee, wire_id: "b@2".into(), to: "sip:bob@192.0.2.7".into() }
}

fn ended() -> Event {
    Event::Ended { cause: Cause::hangup(), talked: Duration::from_millis(61_500) }
}

/// A call that was answered and is over.
fn talk(records: &mut Records) {
    say(records, 1, dialing(1));
    let text = "Ringing".into();
    say(records, 2, Event::Progress { leg: LegId(1), party: Party::Callee, status: 180, text });
    say(records, 3, Event::Answered { leg: LegId(1), party: Party::Callee });
    say(records, 3, Event::Bridged);
    records.ended_by(CALL, Ender::Party(Party::Caller));
    say(records, 64, Event::LegEnded { leg: LegId(0), party: Party::Caller, cause: Cause::hangup() });
    say(records, 64, Event::LegEnded { leg: LegId(1), party: Party::Callee, cause: Cause::hangup() });
    say(records, 65, ended());
}

fn recorded(file: &str) -> Recorded {
    Recorded { size: 44, ..Recorded::nothing(&file.into(), RecordEnd::Closed) }
}

#[test]
fn a_call_without_audio_of_ours_has_its_record_at_its_end() {
    let mut records = begun();
    talk(&mut records);
    let detail = records.poll().expect("a record");
    assert_eq!((detail.started, detail.ringing, detail.answered), (sec(0), Some(sec(2)), Some(sec(3))));
    assert_eq!((detail.ended, detail.talked), (sec(65), Duration::from_millis(61_500)));
    assert_eq!(detail.ended_by, Ender::Party(Party::Caller));
    let legs: Vec<_> = detail.legs.iter().map(|leg| (leg.wire_id.as_deref(), leg.answered, leg.ended)).collect();
    assert_eq!(legs, [(Some("a@1"), None, Some(sec(64))), (Some("b@2"), Some(sec(3)), Some(sec(64)))]);
    assert_eq!((records.poll(), records.open(), records.poll_timeout()), (None, 0, None));
}

#[test]
fn a_record_waits_for_the_audio_and_for_the_recordings() {
    let mut records = begun();
    records.anchored(CALL);
    records.records(CALL, RecordingId(0), &"2026-11-22/1f.wav".into());
    talk(&mut records);
    assert_eq!(records.poll(), None);
    assert_eq!(records.without_audio().collect::<Vec<_>>(), [CALL]);
    records.audio(CALL, Some(&CallAudio::default()), &[]);
    assert_eq!(records.poll(), None);
    records.recorded(CALL, RecordingId(0), &recorded("/r/2026-11-22/1f.wav"));
    let detail = records.poll().expect("a record");
    assert!(detail.audio.is_some());
    assert_eq!(detail.recordings[0].finished.as_ref().map(|file| file.size), Some(44));
    assert_eq!((records.open(), records.poll_timeout()), (0, None));
}

#[test]
fn nobody_is_waited_for_for_ever() {
    let mut records = begun();
    records.anchored(CALL);
    talk(&mut records);
    assert_eq!(records.poll_timeout(), Some(sec(65) + SETTLE));
    records.handle_timeout(sec(65) + SETTLE - Duration::from_millis(1));
    assert_eq!(records.poll(), None);
    records.handle_timeout(sec(65) + SETTLE);
    let detail = records.poll().expect("a record");
    assert_eq!(detail.audio, None);
    // What comes later changes nothing, and makes no second one.
    records.audio(CALL, Some(&CallAudio::default()), &[]);
    say(&mut records, 90, ended());
    assert_eq!((records.poll(), records.open()), (None, 0));
}

#[test]
fn a_stop_makes_the_record_of_every_call_once() {
    let mut records = begun();
    say(&mut records, 3, Event::Bridged);
    let parties = [Address::from("sip:c@x.test"), Address::from("sip:d@x.test")];
    records.begin(sec(5), CallId(2), parties.each_ref(), None);
    let cause = Cause::new(Kind::Overloaded, Fault::Server).with_text("Server Is Stopping");
    records.finish(sec(10), &cause);
    let found: Vec<_> = std::iter::from_fn(|| records.poll()).collect();
    let told: Vec<_> = found.iter().map(|one| (one.call, one.talked.as_secs(), one.ended, one.by_command)).collect();
    assert_eq!(told, [(CallId(2), 0, sec(10), true), (CALL, 7, sec(10), false)]);
    assert!(found.iter().all(|one| one.cause == cause && one.ended_by == Ender::Switch));
    records.finish(sec(11), &cause);
    assert_eq!(records.poll(), None);
}

#[test]
fn a_record_has_limits_and_says_when_they_are_reached() {
    let mut records = begun();
    for leg in 1..=MAX_LEGS as u16 {
        say(&mut records, 1, dialing(leg));
    }
    for _ in 0..=MAX_EACH {
        say(&mut records, 2, Event::Transferring { party: Party::Caller, to: None });
        let by = Address::from("sip:c@x.test");
        say(&mut records, 2, Event::Replaced { leg: LegId(1), party: Party::Callee, by: by.clone() });
        let (from, why) = (by.clone(), Diverting::Busy);
        say(&mut records, 2, Event::Diverted { from, to: by, why });
    }
    for recording in 0..=MAX_EACH as u16 {
        records.records(CALL, RecordingId(recording), &"a.wav".into());
        records.recorded(CALL, RecordingId(recording), &recorded("a.wav"));
    }
    say(&mut records, 3, ended());
    let detail = records.poll().expect("a record");
    let counts = [detail.transfers.len(), detail.replacements.len(), detail.diversions.len(), detail.recordings.len()];
    assert_eq!((detail.legs.len(), counts, detail.truncated), (MAX_LEGS, [MAX_EACH; 4], true));
}

#[test]
fn a_record_as_it_is_written() {
    let mut records = begun();
    records.anchored(CALL);
    records.records(CALL, RecordingId(0), &"a.wav".into());
    say(&mut records, 3, Event::Transferring { party: Party::Caller, to: Some("sip:c@x.test".into()) });
    say(&mut records, 4, Event::TransferFailed { cause: Cause::from_status(486, "") });
    talk(&mut records);
    records.recorded(CALL, RecordingId(0), &recorded("/r/a.wav"));
    let mut audio = CallAudio::default();
    (audio.caller.codec, audio.caller.received) = (Some("pcmu".into()), 3_000);
    audio.caller.quality.jitter = Duration::from_micros(2_500);
    audio.caller.quality.opinion = Some(441);
    let source = "203.0.113.1:4000".parse().unwrap();
    records.audio(CALL, Some(&audio), &[(Party::Caller, Finding::Moved { times: 1, source })]);
    let detail = records.poll().expect("a record");

    let json = detail.json();
    assert_eq!(json["call"], "call_00000000001f");
    assert_eq!(json["started"], "2026-11-22T16:46:40.000Z");
    assert_eq!((&json["talked_seconds"], &json["ended_by"]), (&61.5.into(), &"caller".into()));
    assert_eq!((&json["cause"]["code"], &json["cause"]["q850"]), (&200.into(), &16.into()));
    assert_eq!(json["legs"][1]["call_id"], "b@2");
    assert_eq!(json["transfers"][0]["result"], "failed");
    assert_eq!(json["transfers"][0]["cause"]["kind"], "busy");
    assert_eq!(
        (&json["recordings"][0]["file"], &json["recordings"][0]["reason"]),
        (&"/r/a.wav".into(), &"closed".into())
    );
    let caller = &json["quality"]["caller"];
    assert_eq!(
        (&caller["mos"], &caller["jitter_ms"], &caller["findings"][0]),
        (&4.41.into(), &2.5.into(), &"moved".into())
    );
    assert!(json["quality"]["callee"]["mos"].is_null());

    let line = detail.csv();
    assert_eq!(line.split(',').count(), CSV_HEADER.split(',').count(), "{line}");
    let cell = |name: &str| {
        let column = CSV_HEADER.split(',').position(|column| column == name).expect("a column");
        line.split(',').nth(column).expect("a cell").to_owned()
    };
    for (name, expected) in [
        ("call", "call_00000000001f"),
        ("origin", "incoming"),
        ("caller", "sip:alice@x.test"),
        ("talked_seconds", "61.5"),
        ("kind", "hangup"),
        ("callee_call_id", "b@2"),
        ("transfers", "1"),
        ("recordings", "/r/a.wav"),
        ("caller_mos", "4.41"),
        ("caller_findings", "moved"),
        ("callee_mos", ""),
        ("callee_findings", ""),
    ] {
        assert_eq!(cell(name), expected, "{name} of {line}");
    }
}
