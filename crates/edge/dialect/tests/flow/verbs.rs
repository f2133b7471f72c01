//! What each verb orders, and what comes after it.

use hookswitch_call::{
    Address, AudioOrder, BargeIn, Cause, Command, Digit, Event, Fault, Form, Kind, LegId, OrderNews, Party, RecordEnd,
    RecordNews, Recorded, RecordingId, SoundKind, Tracks,
};
use hookswitch_dialect::flow::{FlowTerms, Note, Run};

use super::desk::{CALL, Desk, document, sec};

/// A call whose flow is this document.
fn led(verbs: &str) -> Desk {
    let mut desk = Desk::new(None);
    desk.wanted(false);
    desk.reply(&format!("{{\"verbs\":[{verbs}]}}"));
    desk
}

fn busy() -> Cause {
    Cause::from_status(486, "Busy Here")
}

#[test]
fn verbs_come_one_after_the_other_and_the_call_is_answered_where_it_has_to_be() {
    let mut desk = led(r#"{"ring":{}},{"pause":{"seconds":2}},{"play":{"sounds":["a"]}},{"answer":{}}"#);
    assert_eq!(desk.since(), ["ring"]);
    desk.done(Ok(()));
    assert_eq!(desk.since(), [""; 0]);
    desk.pass(sec(2));
    assert_eq!(desk.since(), ["answer"]);
    desk.done(Ok(()));
    assert_eq!(desk.since(), ["play"]);
    desk.done(Ok(()));
    assert_eq!(desk.since(), ["end 200 OK"], "it is answered already, and that was the last verb");
}

#[test]
fn a_call_is_refused_as_the_document_says() {
    assert_eq!(led(r#"{"reject":{"status":404,"reason":"Who?"}},{"answer":{}}"#).since(), ["end 404 Who?"]);
    assert_eq!(led(r#"{"reject":{}}"#).since(), ["end 486 Busy Here"]);
    assert_eq!(led("").since(), ["end 480 Temporarily Unavailable"]);
    let mut answered = led(r#"{"answer":{}},{"reject":{}}"#);
    answered.done(Ok(()));
    assert_eq!(answered.since(), ["answer", "end 200 OK"]);
}

#[test]
fn names_are_those_of_the_domain_that_was_called() {
    let mut desk = led(r#"{"dial":{"to":[["alice","bob@y.test"],["tel:+49"]],"seconds":7}}"#);
    let [Command::Step { step, .. }] = desk.commands.as_slice() else { panic!("{:?}", desk.commands) };
    assert!(format!("{step:?}").contains("ring_time: Some(7s)"));
    assert_eq!(desk.since(), ["dial sip:alice@x.test+sip:bob@y.test then tel:+49"]);
}

#[test]
fn when_nobody_answers_the_next_verb_comes_and_when_somebody_has_answered_the_call_ends_with_him() {
    let mut desk = led(r#"{"dial":{"to":"alice"}},{"dial":{"to":"bob"}},{"play":{"sounds":["a"]}}"#);
    desk.done(Err(busy()));
    assert_eq!(desk.since(), ["dial sip:alice@x.test", "dial sip:bob@x.test"]);
    desk.done(Ok(()));
    assert_eq!(desk.since(), [""; 0]);
    desk.wanted(true);
    assert_eq!(desk.since(), ["end 200 OK"]);
}

#[test]
fn after_the_talk_comes_what_the_document_says() {
    let mut desk = led(r#"{"dial":{"to":"alice","after":[{"play":{"sounds":["thanks"]}}]}},{"reject":{}}"#);
    desk.done(Ok(()));
    desk.wanted(true);
    assert_eq!(desk.since(), ["dial sip:alice@x.test", "play"]);
    desk.done(Ok(()));
    assert_eq!(desk.since(), ["end 200 OK"]);
}

#[test]
fn whoever_leads_is_asked_how_to_go_on_after_dialling() {
    let mut desk = led(r#"{"dial":{"to":"alice","then":"/dialed"}}"#);
    desk.done(Err(busy()));
    assert_eq!(desk.questions.last().unwrap().url.as_deref(), Some("/dialed"));
    assert_eq!(desk.posted()["event"], "dialed");
    let expected = serde_json::json!({ "answered": false, "seconds": 0.0, "status": 486, "reason": "Busy Here" });
    assert_eq!(desk.posted()["dialed"], expected);
    desk.reply(r#"{"verbs":[{"dial":{"to":"bob","then":"/dialed"}}]}"#);
    desk.done(Ok(()));
    desk.now += sec(9);
    let cause = Cause::hangup();
    desk.told(false, Event::LegEnded { leg: LegId(2), party: Party::Callee, cause });
    desk.told(false, Event::Replaced { leg: LegId(3), party: Party::Callee, by: Address::from("sip:sales@x.test") });
    desk.wanted(true);
    let expected = serde_json::json!({ "answered": true, "seconds": 9.0, "status": 200, "reason": "OK" });
    assert_eq!((&desk.posted()["dialed"], &desk.posted()["answered"]), (&expected, &true.into()));
}

#[test]
fn keys_lead_to_the_verbs_beside_them_and_then_on() {
    let text = r#"{"collect":{"prompt":["menu"],"keys":{"1":[{"play":{"sounds":["one"]}}]},"tries":2,
                   "otherwise":[{"play":{"sounds":["wrong"]}}]}},{"redirect":{"to":"desk"}}"#;
    let mut desk = led(text);
    desk.done(Ok(()));
    desk.collected("1");
    desk.done(Ok(()));
    assert_eq!(desk.since(), ["answer", "collect", "play", "transfer sip:desk@x.test"]);
    let mut desk = led(text);
    desk.done(Ok(()));
    desk.collected("7");
    desk.collected("");
    desk.done(Ok(()));
    assert_eq!(desk.since(), ["answer", "collect", "collect", "play", "transfer sip:desk@x.test"]);
}

#[test]
fn a_sound_may_have_a_form_for_each_codec() {
    let mut desk = led(r#"{"play":{"sounds":["a",{"tone":"425:200"},{"wav":"b.wav","pcma":"b.al","g722":"b.g722"}]}}"#);
    desk.done(Ok(()));
    let Some(Command::Audio { order: AudioOrder::Play { soup, .. }, .. }) = desk.commands.last() else { panic!() };
    let forms: Vec<Vec<_>> = soup.sounds.iter().map(|sound| sound.forms.iter().map(said).collect()).collect();
    assert_eq!(forms[0], [(SoundKind::Wav, "a")]);
    assert_eq!(forms[1], [(SoundKind::Tone, "425:200")]);
    assert_eq!(forms[2], [(SoundKind::Wav, "b.wav"), (SoundKind::Pcma, "b.al"), (SoundKind::G722, "b.g722")]);
}

fn said(form: &Form) -> (SoundKind, &str) {
    (form.kind, form.name.as_str())
}

#[test]
fn keys_are_posted_where_the_document_says() {
    let mut desk = led(r##"{"collect":{"most":4,"terminator":"#","then":"pin"}}"##);
    desk.done(Ok(()));
    let Some(Command::Audio { order: AudioOrder::Collect { collect, prompt }, .. }) = desk.commands.last() else {
        panic!("{:?}", desk.commands)
    };
    assert_eq!((collect.most, collect.terminator, collect.first, prompt), (4, Some('#'), sec(10), &None));
    desk.collected("1234");
    assert_eq!((&desk.posted()["event"], &desk.posted()["collected"]["keys"]), (&"collected".into(), &"1234".into()));
    assert_eq!(desk.posted()["collected"]["complete"], true);
}

#[test]
fn a_message_is_recorded_until_its_end_or_its_key() {
    let mut desk = led(r#"{"record":{"then":"/recorded","seconds":60}},{"reject":{}}"#);
    desk.done(Ok(()));
    let Some(Command::Audio { order: AudioOrder::Record(plan), .. }) = desk.commands.last() else { panic!() };
    assert_eq!((plan.file.as_str(), plan.tracks, plan.max), ("{day}/{call}-flow-1.wav", Tracks::Incoming, sec(60)));
    let (party, recording) = (Party::Caller, RecordingId(256));
    desk.told(true, Event::Audio { party, news: OrderNews::Recording(recording) });
    desk.done(Ok(()));
    desk.since();
    for (key, expected) in [('1', &[][..]), ('#', &["controlrecording"][..])] {
        let digit = Digit { key, time: sec(0) };
        desk.told(false, Event::Audio { party, news: OrderNews::Key(digit) });
        assert_eq!(desk.since(), expected, "{key}");
    }
    let file = "2023-11-14/7-flow-1.wav".into();
    let recorded = Recorded { size: 44, duration: sec(2), ..Recorded::nothing(&file, RecordEnd::Requested) };
    desk.flows.recorded(desk.now, CALL, RecordingId(257), &RecordNews::Finished(Box::new(recorded.clone())));
    assert_eq!(desk.questions.len(), 1, "another recording");
    desk.flows.recorded(desk.now, CALL, recording, &RecordNews::Finished(Box::new(recorded)));
    desk.pass(sec(0));
    let Some(hookswitch_dialect::flow::FlowOutput::Ask(question)) = desk.flows.poll_output() else { panic!() };
    assert!(question.body.contains(r#""recorded":{"bytes":44,"file":"2023-11-14/7-flow-1.wav","reason":"requested""#));
}

#[test]
fn a_prompt_and_the_message_behind_it_are_one_order_and_no_key_before_it_ends_the_message() {
    let mut desk = led(r#"{"record":{"prompt":["say.wav",{"tone":"1000:300"}],"interrupt":true,"barge_in":900}}"#);
    desk.done(Ok(()));
    let Some(Command::Audio { order, .. }) = desk.commands.last() else { panic!("{:?}", desk.commands) };
    let AudioOrder::RecordAfter { prompt, barge_in, plan } = order else { panic!("{order:?}") };
    assert_eq!((prompt.sounds.len(), prompt.interrupt, *barge_in), (2, true, Some(BargeIn::louder_than(900))));
    assert_eq!((plan.tracks, plan.max, plan.after), (Tracks::Incoming, sec(180), None));
    desk.since();
    let (party, key) = (Party::Caller, |key| OrderNews::Key(Digit { key, time: sec(0) }));
    desk.told(false, Event::Audio { party, news: key('#') });
    assert_eq!(desk.since(), [""; 0]);
    desk.told(true, Event::Audio { party, news: OrderNews::Recording(RecordingId(256)) });
    desk.done(Ok(()));
    desk.told(false, Event::Audio { party, news: key('#') });
    assert_eq!(desk.since(), ["controlrecording"]);
}

#[test]
fn a_recording_in_the_background_holds_nothing_up() {
    let mut desk = led(r#"{"record":{"background":true}},{"dial":{"to":"bob"}}"#);
    desk.done(Ok(()));
    let Some(Command::Audio { order: AudioOrder::Record(plan), .. }) = desk.commands.last() else { panic!() };
    assert_eq!((plan.tracks, plan.silence), (Tracks::Stereo, None));
    desk.done(Ok(()));
    assert_eq!(desk.since(), ["answer", "record", "dial sip:bob@x.test"]);
}

#[test]
fn conference_bridge_and_redirect_are_the_end_of_the_flow() {
    for (verb, expected) in [
        (r#"{"conference":{"name":"tea"}}"#, &["answer", "transfer sip:conference-tea@x.test"][..]),
        (r#"{"bridge":{"call":"call_ff"}}"#, &["answer", "join Id(call 0000000000ff) Caller"]),
        (r#"{"redirect":{"to":"bob"}}"#, &["divert sip:bob@x.test"]),
        (r#"{"answer":{}},{"redirect":{"to":"bob"}}"#, &["answer", "transfer sip:bob@x.test"]),
    ] {
        let mut desk = led(&format!("{verb},{{\"play\":{{\"sounds\":[\"a\"]}}}}"));
        (1..expected.len()).for_each(|_| desk.done(Ok(())));
        assert_eq!(desk.since(), expected);
        desk.done(Ok(()));
        desk.pass(sec(600));
        assert_eq!(desk.since(), [""; 0], "{verb}");
    }
}

#[test]
fn a_verb_that_fails_is_told_and_the_next_one_comes() {
    let mut desk = led(r#"{"play":{"sounds":["a"]}},{"conference":{"name":"tea"}},{"ask":{}}"#);
    desk.done(Ok(()));
    desk.done(Err(Cause::from_status(404, "nothing of it could be played")));
    desk.refuses = None;
    desk.done(Err(Cause::from_status(486, "The Room Is Full")));
    let failed = |verb: &str, why: &str| Note::Failed { verb: verb.into(), why: why.into() };
    let expected = [failed("play", "nothing of it could be played"), failed("conference", "The Room Is Full")];
    assert_eq!(desk.notes, expected);
    let expected = serde_json::json!({ "verb": "conference", "why": "The Room Is Full" });
    assert_eq!(desk.posted()["failure"], expected);
}

#[test]
fn a_verb_that_ends_with_the_call_has_not_failed() {
    for verb in [r#"{"play":{"sounds":["a"]}}"#, r#"{"collect":{"tries":2}}"#, r#"{"record":{}}"#] {
        let mut desk = led(&format!("{verb},{{\"ask\":{{}}}}"));
        desk.done(Ok(()));
        desk.since();
        desk.done(Err(Cause::new(Kind::Cancelled, Fault::Nobody).with_text("the call has ended")));
        assert_eq!((desk.since(), desk.notes.len(), desk.questions.len()), (vec![], 0, 1), "{verb}");
        desk.ended();
        assert_eq!((&desk.posted()["event"], desk.posted().get("failure")), (&"ended".into(), None));
    }
}

#[test]
fn whoever_hangs_up_while_somebody_is_dialled_has_left_the_flow_and_nobody_is_asked_what_comes_next() {
    let gone = || Err(Cause::new(Kind::Cancelled, Fault::Nobody).with_text("the call has ended"));
    for verb in [r#"{"dial":{"to":"bob","then":"/next"}}"#, r#"{"redirect":{"to":"bob"}}"#] {
        let mut desk = led(&format!("{verb},{{\"ask\":{{}}}}"));
        desk.since();
        desk.over = true;
        desk.done(gone());
        assert_eq!((desk.since(), desk.notes.len(), desk.questions.len()), (vec![], 0, 1), "{verb}");
        desk.ended();
        assert_eq!((&desk.posted()["event"], desk.posted().get("failure")), (&"ended".into(), None));
    }
    // A phone may say the same of itself, and then the caller is still there.
    let mut desk = led(r#"{"dial":{"to":"bob","then":"/next"}}"#);
    desk.done(Err(Cause::from_status(487, "Request Terminated")));
    assert_eq!((&desk.posted()["event"], &desk.posted()["dialed"]["status"]), (&"dialed".into(), &487.into()));
}

#[test]
fn a_bridge_to_a_call_that_is_just_ending_has_failed_and_the_next_verb_comes() {
    let mut desk = led(r#"{"answer":{}},{"ask":{}}"#);
    desk.done(Ok(()));
    desk.refuses = Some(hookswitch_call::Refused::Ending);
    desk.reply(r#"{"verbs":[{"bridge":{"call":"call_ff"}},{"play":{"sounds":["sorry"]}}]}"#);
    assert_eq!(desk.since(), ["answer", "join Id(call 0000000000ff) Caller", "play"]);
    assert!(matches!(desk.notes.as_slice(), [Note::Failed { verb, .. }] if verb == "bridge"), "{:?}", desk.notes);
    // What else finds the call ending, has found its own.
    desk.done(Ok(()));
    let mut desk = led(r#"{"answer":{}},{"ask":{}}"#);
    desk.done(Ok(()));
    desk.refuses = Some(hookswitch_call::Refused::Ending);
    desk.reply(r#"{"verbs":[{"play":{"sounds":["a"]}},{"play":{"sounds":["b"]}}]}"#);
    assert_eq!((desk.since(), desk.notes.len()), (vec!["answer".to_owned(), "play".to_owned()], 0));
}

#[test]
fn a_command_that_is_refused_has_failed() {
    let mut desk = Desk::new(None);
    desk.wanted(true);
    desk.refuses = Some(hookswitch_call::Refused::Impossible("there is nothing to play".into()));
    desk.reply(r#"{"verbs":[{"play":{"sounds":["a"]}},{"play":{"sounds":["b"]}}]}"#);
    assert_eq!(desk.since(), ["play", "play"]);
    assert_eq!(desk.notes.len(), 1);
}

#[test]
fn whoever_is_led_by_somebody_else_meanwhile_is_left_alone() {
    let mut desk = led(r#"{"play":{"sounds":["a"]}},{"play":{"sounds":["b"]}}"#);
    desk.done(Ok(()));
    desk.told(false, Event::Replaced { leg: LegId(3), party: Party::Callee, by: Address::from("sip:carol@x.test") });
    desk.done(Err(Cause::from_status(487, "")));
    assert_eq!(desk.since(), ["answer", "play"]);
}

#[test]
fn a_flow_may_do_without_a_server() {
    let fallback = Some(document(r#"{"verbs":[{"dial":{"to":"alice"}}]}"#).verbs);
    let mut desk = Desk::with(FlowTerms { has_url: false, fallback });
    desk.wanted(false);
    assert_eq!(desk.since(), ["dial sip:alice@x.test"]);
    desk.ended();
    assert!(desk.questions.is_empty(), "nobody to tell");
    assert_eq!(desk.flows.counts(), (0, 0));
}

#[test]
fn the_record_of_a_run_can_be_stored() {
    let desk = led(r#"{"collect":{"keys":{"1":[{"play":{"sounds":["one"]}}]}}}"#);
    let run = desk.flows.run(CALL).expect("it runs");
    let text = serde_json::to_string(run).expect("plain data");
    assert_eq!(&serde_json::from_str::<Run>(&text).expect("the same"), run);
}
