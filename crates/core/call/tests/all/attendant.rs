//! Services that play something, and menus.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Desk, sec};
use hookswitch_call::*;

fn soup(name: &str) -> Arc<Soup> {
    Arc::new(Soup { sounds: vec![Sound::of(SoundKind::Wav, name)], ..Soup::default() })
}

fn announcement(then: Then) -> Attendant {
    Attendant { play: soup("hello"), menu: None, record: None, then }
}

/// `1` leads to sales, `22` to support, and what matches a pattern, if there is one, to whoever has that number.
fn office(pattern: Option<&str>) -> Attendant {
    let choices = [("1", "sip:sales@x"), ("22", "sip:support@x")];
    let menu = Menu {
        collect: Collect {
            most: if pattern.is_some() { 4 } else { 2 },
            terminator: Some('#'),
            pattern: pattern.map(|text| Pattern::parse(text).expect("a pattern")),
            first: sec(5),
            next: sec(2),
        },
        choices: choices.map(|(keys, to)| (keys.into(), Address::from(to))).to_vec(),
        others: pattern.map(|_| Address::from("sip:{keys}@x")),
        invalid: Some(soup("invalid")),
        tries: 2,
    };
    Attendant { play: soup("menu"), menu: Some(menu), record: None, then: Then::Hangup }
}

/// Alice has called it.
fn calls(attendant: Attendant) -> (Desk, CallId) {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    let found = Found::Service(Service::Attendant(Arc::new(attendant)));
    desk.tell(Report::Located { call, found, codecs: None, forwards: None });
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    (desk, call)
}

fn over(desk: &mut Desk, call: CallId, play: u32, end: PlayEnd) {
    let same = |op: &MediaOp| match op {
        MediaOp::Play { play: named, .. } => Some(*named).filter(|named| named.0 % 511 == play),
        _ => None,
    };
    let play = desk.media.iter().rev().find_map(same).expect("it is played");
    let (news, position) = (PlayNews::Ended(end), sec(3));
    desk.tell_media(MediaReport::Played { call, party: Party::Caller, play, news, position });
}

/// Alice presses keys, each as an event in the audio.
fn press(desk: &mut Desk, call: CallId, keys: &str) {
    for key in keys.chars() {
        let digit = Digit { key, time: Duration::from_millis(100) };
        desk.tell_media(MediaReport::Digit { call, party: Party::Caller, digit, passed: false });
    }
}

#[test]
fn an_announcement_is_played_and_the_call_ends() {
    let (mut desk, call) = calls(announcement(Then::Hangup));
    assert_eq!(desk.since()[2..], ["answer 0 our-answer", "Caller hears Sounds", "play 1 to Caller: hello"]);
    desk.tell_media(MediaReport::Played {
        call,
        party: Party::Caller,
        play: PlayId(1),
        news: PlayNews::Started,
        position: sec(0),
    });
    press(&mut desk, call, "1");
    desk.pass(sec(60));
    assert_eq!(desk.since(), [""; 0], "it is played to its end, however long that takes");
    over(&mut desk, call, 1, PlayEnd::Completed);
    assert_eq!(desk.since(), ["hangup 0 200 OK"]);
    desk.ended(call, 0, Cause::hangup());
    assert_eq!(desk.board.live(), 0);
}

#[test]
fn one_that_cannot_be_played_ends_the_same_way() {
    let (mut desk, call) = calls(announcement(Then::Hangup));
    desk.since();
    over(&mut desk, call, 1, PlayEnd::Failed);
    assert_eq!(desk.since(), ["hangup 0 200 OK"]);
}

#[test]
fn an_announcement_may_be_interrupted_by_a_key_that_comes_as_info() {
    for interrupt in [true, false] {
        let play = Soup { interrupt, ..Soup::clone(&soup("hello")) };
        let (mut desk, call) = calls(Attendant { play: Arc::new(play), ..announcement(Then::Hangup) });
        desk.since();
        let digit = Digit { key: '5', time: Duration::from_millis(100) };
        desk.tell(Report::Digit { call, leg: LegId(0), digit });
        let expected: &[&str] = if interrupt { &["Stop 1"] } else { &[] };
        assert_eq!(desk.since(), expected);
    }
}

#[test]
fn afterwards_the_caller_may_be_connected_with_somebody() {
    let (mut desk, call) = calls(announcement(Then::To(Address::from("sip:bob@x"))));
    desk.since();
    over(&mut desk, call, 1, PlayEnd::Completed);
    assert_eq!(desk.since(), ["spare seat for Callee", "locate sip:bob@x"]);
    let payer = desk.ops.iter().rev().find_map(|op| match op {
        Op::Locate { by, anywhere, .. } => Some((by.leg, *anywhere)),
        _ => None,
    });
    assert_eq!(payer, Some((Some(LegId(0)), false)), "the caller pays, and calls nobody whom it could not call itself");
    desk.located(call, &["sip:b1@x"]);
    desk.progress(call, 2, 180, None);
    assert_eq!(desk.since(), ["dial 2 sip:b1@x our-offer", "Caller hears Ringback"]);
    desk.answered(call, 2, Some("b"));
    let said = desk.since();
    assert!(said.contains(&"Caller hears Peer".to_owned()), "{said:?}");
    press(&mut desk, call, "1");
    assert!(desk.since().iter().all(|said| said.starts_with("deliver 2")), "keys are for the other party now");
    desk.ended(call, 2, Cause::hangup());
    desk.ended(call, 0, Cause::hangup());
    assert_eq!(desk.board.live(), 0);
}

#[test]
fn nobody_there_ends_the_call_with_the_reason() {
    let (mut desk, call) = calls(announcement(Then::To(Address::from("sip:bob@x"))));
    over(&mut desk, call, 1, PlayEnd::Completed);
    desk.nowhere(call, Kind::Busy);
    assert!(desk.since().last().expect("a word").starts_with("hangup 0 486"));
}

#[test]
fn keys_lead_to_people_and_cut_the_prompt_short() {
    let (mut desk, call) = calls(office(None));
    assert_eq!(desk.since().last().expect("a prompt"), "play 1 to Caller: menu");
    press(&mut desk, call, "1");
    assert_eq!(desk.since(), ["Stop 1", "spare seat for Callee", "locate sip:sales@x"]);
    over(&mut desk, call, 1, PlayEnd::Stopped);
    press(&mut desk, call, "2");
    assert_eq!(desk.since(), [""; 0], "whoever is called is called");
}

#[test]
fn several_keys_are_awaited_where_they_may_mean_more() {
    let (mut desk, call) = calls(office(None));
    over(&mut desk, call, 1, PlayEnd::Completed);
    desk.pass(sec(4));
    press(&mut desk, call, "2");
    desk.since();
    desk.pass(Duration::from_millis(1_900));
    assert_eq!(desk.since(), [""; 0]);
    press(&mut desk, call, "2");
    assert_eq!(desk.since().last().expect("a look-up"), "locate sip:support@x");
}

#[test]
fn a_terminator_and_time_end_the_keys() {
    for ends in ["#", ""] {
        let (mut desk, call) = calls(office(Some("^3..$")));
        press(&mut desk, call, "1");
        desk.since();
        press(&mut desk, call, ends);
        if ends.is_empty() {
            assert_eq!(desk.since(), [""; 0], "more might follow");
            desk.pass(sec(2));
        }
        assert_eq!(desk.since().last().expect("a look-up"), "locate sip:sales@x");
    }
}

#[test]
fn a_pattern_is_complete_at_once_and_leads_to_the_number() {
    let (mut desk, call) = calls(office(Some("^3[0-9]{2}$|^\\*#$")));
    press(&mut desk, call, "347");
    assert_eq!(desk.since().last().expect("a look-up"), "locate sip:347@x");
    let menu = office(Some("^3[0-9]{2}$|^\\*0#$")).menu.expect("a menu");
    assert_eq!(menu.choice("*0#"), Some(Address::from("sip:*0%23@x")), "written so that a SIP URI may have it");
    assert_eq!(menu.choice("3470"), None);
}

#[test]
fn keys_that_lead_nowhere_are_told_so_and_the_prompt_comes_again_as_often_as_allowed() {
    let (mut desk, call) = calls(office(None));
    desk.since();
    press(&mut desk, call, "9");
    assert_eq!(desk.since(), ["Stop 1", "play 2 to Caller: invalid"]);
    over(&mut desk, call, 1, PlayEnd::Stopped);
    assert_eq!(desk.since(), [""; 0], "the end of the prompt is no news any more");
    over(&mut desk, call, 2, PlayEnd::Completed);
    assert_eq!(desk.since(), ["play 3 to Caller: menu"]);
    over(&mut desk, call, 3, PlayEnd::Completed);
    desk.pass(sec(5));
    assert_eq!(desk.since(), ["hangup 0 200 OK"], "twice is often enough");
}

#[test]
fn without_a_key_the_prompt_comes_again() {
    let (mut desk, call) = calls(office(None));
    over(&mut desk, call, 1, PlayEnd::Completed);
    desk.since();
    desk.pass(Duration::from_millis(4_990));
    assert_eq!(desk.since(), [""; 0]);
    desk.pass(Duration::from_millis(10));
    assert_eq!(desk.since(), ["play 2 to Caller: menu"]);
    press(&mut desk, call, "1");
    assert_eq!(desk.since().last().expect("a look-up"), "locate sip:sales@x");
}

#[test]
fn whoever_does_not_answer_leads_back_to_the_menu() {
    let (mut desk, call) = calls(office(None));
    press(&mut desk, call, "1");
    desk.since();
    desk.nowhere(call, Kind::Unreachable);
    assert_eq!(desk.since(), ["spare seat closed", "play 2 to Caller: menu"]);
    press(&mut desk, call, "22");
    desk.since();
    desk.nowhere(call, Kind::Unreachable);
    assert_eq!(desk.since().last().expect("the end"), "hangup 0 200 OK");
}

#[test]
fn a_service_may_lead_to_another_one() {
    let (mut desk, call) = calls(announcement(Then::To(Address::from("sip:office@x"))));
    over(&mut desk, call, 1, PlayEnd::Completed);
    desk.since();
    let found = Found::Service(Service::Attendant(Arc::new(office(None))));
    desk.tell(Report::Located { call, found, codecs: None, forwards: None });
    let said = desk.since();
    assert!(said.contains(&"play 1 to Caller: menu".to_owned()), "{said:?}");
    press(&mut desk, call, "1");
    assert_eq!(desk.since().last().expect("a look-up"), "locate sip:sales@x");
    desk.ended(call, 0, Cause::hangup());
    assert_eq!(desk.board.live(), 0);
}

#[test]
fn services_that_lead_to_each_other_come_to_an_end() {
    let (mut desk, call) = calls(announcement(Then::To(Address::from("sip:again@x"))));
    let mut rounds = 0;
    while desk.board.call(call).expect("the call").state == machine::State::Talking {
        over(&mut desk, call, 1, PlayEnd::Failed);
        let again = Service::Attendant(Arc::new(announcement(Then::To(Address::from("sip:again@x")))));
        desk.tell(Report::Located { call, found: Found::Service(again), codecs: None, forwards: None });
        rounds += 1;
        assert!(rounds < 2_000);
    }
    assert!(desk.since().iter().any(|said| said.starts_with("hangup 0")));
}

#[test]
fn a_call_started_by_an_application_is_served_as_well() {
    let mut desk = Desk::new(Limits::default());
    desk.start();
    let call = desk.events.first().map(|told| told.call).or_else(|| {
        desk.ops.iter().find_map(|op| match op {
            Op::Locate { call, .. } => Some(*call),
            _ => None,
        })
    });
    let call = call.expect("a call");
    desk.located(call, &["sip:a1@x"]);
    desk.answered(call, 0, Some("a"));
    let found = Found::Service(Service::Attendant(Arc::new(announcement(Then::Hangup))));
    desk.tell(Report::Located { call, found, codecs: None, forwards: None });
    assert_eq!(desk.since().last().expect("a prompt"), "play 1 to Caller: hello");
    assert_eq!(desk.results(), [Ok(())]);
}

#[test]
fn somebody_who_is_called_away_hears_no_more_of_it() {
    let (mut desk, call) = calls(office(None));
    desk.since();
    let (to, by) = (Address::from("sip:carol@x"), None);
    desk.submit(Command::Transfer { call: CallRef::Id(call), party: Party::Caller, to, by }).expect("accepted");
    desk.located(call, &["sip:c1@x"]);
    desk.answered(call, 2, Some("c"));
    assert!(desk.since().contains(&"Stop 1".to_owned()));
    desk.pass(sec(100));
    let said = desk.since();
    assert!(!said.iter().any(|said| said.starts_with("play")), "{said:?}");
}

#[test]
fn keys_are_collected_by_count_terminator_and_pattern() {
    let collect = |most, terminator, pattern: Option<&str>| Collect {
        most,
        terminator,
        pattern: pattern.map(|text| Pattern::parse(text).expect("a pattern")),
        first: sec(1),
        next: sec(1),
    };
    let collected = |collect: &Collect, keys: &str| {
        let mut taken = compact_str::CompactString::default();
        let complete = keys.chars().position(|key| collect.take(&mut taken, key) == Collected::Complete);
        (taken.to_string(), complete)
    };
    let by_count = |keys| collected(&collect(3, None, None), keys);
    assert_eq!(by_count("12"), ("12".into(), None));
    assert_eq!(by_count("123").1, Some(2));
    assert_eq!(collected(&collect(9, Some('#'), None), "12#"), ("12".into(), Some(2)));
    assert_eq!(
        collected(&collect(9, None, Some("[0-9]{4}")), "*1234"),
        ("1234".into(), Some(4)),
        "anywhere among them"
    );
    let most = collect(200, None, None);
    assert_eq!(collected(&most, &"1".repeat(MAX_KEYS)).1, Some(MAX_KEYS - 1));
}

#[test]
fn patterns_have_limits() {
    assert_eq!(Pattern::parse(&"1".repeat(MAX_PATTERN + 1)), Err(BadPattern::TooLong));
    assert!(matches!(Pattern::parse("("), Err(BadPattern::Syntax(_))));
    assert!(matches!(Pattern::parse("(((1{90}){90}){90})"), Err(BadPattern::Syntax(_))), "too large when compiled");
    assert_eq!(Pattern::parse("1*"), Err(BadPattern::MatchesNothing));
    let pattern = Pattern::parse("^[0-9#*]{2,}$").expect("a pattern");
    let stored = serde_json::to_string(&pattern).expect("text");
    assert_eq!(serde_json::from_str::<Pattern>(&stored).expect("the same"), pattern);
    serde_json::from_str::<Pattern>("\"(\"").expect_err("no pattern");
}

#[test]
fn whoever_takes_the_callers_place_hears_the_prompt_from_its_beginning() {
    let (mut desk, call) = calls(office(None));
    desk.since();
    let mut incoming = Incoming::new(
        Handle(9),
        "d-9@phone".into(),
        Address::from("sip:dave@x"),
        Address::from("sip:x@x"),
        Some(Sdp::from("d")),
    );
    incoming.replaces = Some(Replaces { call, leg: LegId(0), early_only: false });
    desk.tell(Report::Incoming(Box::new(incoming)));
    let said = desk.since();
    let place = |text: &str| said.iter().position(|said| said == text).unwrap_or_else(|| panic!("{text}: {said:?}"));
    assert!(place("Stop 1") < place("swap") && place("swap") < place("play 1 to Caller: menu"));
    let names: Vec<PlayId> = desk
        .media
        .iter()
        .filter_map(|op| match op {
            MediaOp::Play { play, .. } => Some(*play),
            _ => None,
        })
        .collect();
    let [first, second] = names[..] else { panic!("{names:?}") };
    assert_ne!(first, second, "the end of the one is not taken for that of the other");
}

#[test]
fn a_name_alone_is_somebody_of_the_domain_that_was_called() {
    let written = Attendant { then: Then::To(Address::from("welcome")), ..office(Some("^3..$")) };
    let menu = written.menu.as_ref().map(|menu| Menu {
        choices: vec![("1".into(), Address::from("sales")), ("2".into(), Address::from("tel:+4930"))],
        others: Some(Address::from("{keys}")),
        ..menu.clone()
    });
    let there = Attendant { menu, ..written }.within("b.test");
    assert_eq!(there.then, Then::To(Address::from("sip:welcome@b.test")));
    let choice = |keys| there.menu.as_ref().and_then(|menu| menu.choice(keys)).map(|to| to.to_string());
    assert_eq!(choice("1").as_deref(), Some("sip:sales@b.test"));
    assert_eq!(choice("2").as_deref(), Some("tel:+4930"));
    assert_eq!(choice("345").as_deref(), Some("sip:345@b.test"));
}

/// A service that takes messages.
fn voice_mail(then: Then) -> Attendant {
    let message = Message {
        file: "messages/{domain}/{user}/{call}.wav".into(),
        mailbox: Some("{user}@{domain}".into()),
        most: sec(60),
        least: sec(2),
        silence: Some(Silence { below: 200, time: sec(5) }),
        terminator: Some('#'),
        barge_in: None,
    };
    Attendant { play: soup("speak"), menu: None, record: Some(message), then }
}

/// The name of the last recording that was begun, and how.
fn begun(desk: &Desk) -> (RecordingId, RecordPlan) {
    let plan = |op: &MediaOp| match op {
        MediaOp::Record { recording, party: Party::Caller, order: RecordOrder::Begin(plan), .. } => {
            Some((*recording, (**plan).clone()))
        }
        _ => None,
    };
    desk.media.iter().rev().find_map(plan).expect("a recording")
}

/// How often its end was ordered.
fn finishes(desk: &Desk) -> usize {
    desk.media.iter().filter(|op| matches!(op, MediaOp::Record { order: RecordOrder::Finish, .. })).count()
}

fn finished(desk: &mut Desk, call: CallId, recording: RecordingId) {
    let over = Recorded::nothing(&"m.wav".into(), RecordEnd::BelowPower);
    let news = RecordNews::Finished(Box::new(over));
    desk.tell_media(MediaReport::Recorded { call, recording, news });
}

#[test]
fn a_message_is_recorded_from_the_end_of_the_prompt_and_then_the_call_ends() {
    let (mut desk, call) = calls(voice_mail(Then::Hangup));
    let (recording, plan) = begun(&desk);
    assert!((1..FIRST_ORDERED.0).contains(&recording.0), "no name of a command's");
    let after = plan.after.expect("it follows on the prompt");
    assert_eq!((after.play.0 % 511, after.keep, after.barge_in), (1, Duration::ZERO, None));
    assert_eq!((plan.tracks, plan.max, plan.least), (Tracks::Incoming, sec(60), sec(2)));
    desk.since();
    over(&mut desk, call, 1, PlayEnd::Completed);
    desk.pass(sec(300));
    press(&mut desk, call, "12");
    assert_eq!(desk.since(), [""; 0], "it is for the recording to end");
    assert_eq!(finishes(&desk), 0);
    finished(&mut desk, call, RecordingId(recording.0 + 1));
    assert_eq!(desk.since(), [""; 0], "that is another one");
    finished(&mut desk, call, recording);
    assert_eq!(desk.since(), ["hangup 0 200 OK"]);
    desk.ended(call, 0, Cause::hangup());
    assert_eq!((desk.board.live(), finishes(&desk)), (0, 0));
}

#[test]
fn a_key_ends_the_prompt_of_a_message_and_then_the_message() {
    let (mut desk, call) = calls(voice_mail(Then::To(Address::from("sip:thanks@x"))));
    desk.since();
    press(&mut desk, call, "5");
    assert_eq!(desk.since(), [""; 0]);
    press(&mut desk, call, "#");
    assert_eq!(desk.since(), ["Stop 1"]);
    over(&mut desk, call, 1, PlayEnd::Stopped);
    press(&mut desk, call, "#");
    assert_eq!(finishes(&desk), 1);
    let (recording, _) = begun(&desk);
    finished(&mut desk, call, recording);
    assert!(desk.since().contains(&"locate sip:thanks@x".to_owned()));
}

#[test]
fn a_key_that_may_interrupt_the_prompt_of_a_message_does_not_end_the_message_too() {
    let interrupt = Arc::new(Soup { interrupt: true, ..Soup::clone(&soup("speak")) });
    let (mut desk, call) = calls(Attendant { play: interrupt, ..voice_mail(Then::Hangup) });
    let played =
        desk.media.iter().find_map(|op| if let MediaOp::Play { soup, .. } = op { Some(soup.interrupt) } else { None });
    assert_eq!(played, Some(false), "it is ended when the key is told");
    desk.since();
    press(&mut desk, call, "#");
    assert_eq!(desk.since(), ["Stop 1"]);
    over(&mut desk, call, 1, PlayEnd::Stopped);
    assert_eq!(finishes(&desk), 0);
    press(&mut desk, call, "#");
    assert_eq!(finishes(&desk), 1);
}

#[test]
fn without_a_file_no_message_is_waited_for_and_without_a_prompt_one_is() {
    let (mut desk, call) = calls(voice_mail(Then::Hangup));
    let (recording, _) = begun(&desk);
    finished(&mut desk, call, recording);
    desk.since();
    over(&mut desk, call, 1, PlayEnd::Completed);
    assert_eq!(desk.since(), ["hangup 0 200 OK"]);
    let (mut desk, call) = calls(voice_mail(Then::Hangup));
    let (recording, _) = begun(&desk);
    desk.since();
    over(&mut desk, call, 1, PlayEnd::Failed);
    assert_eq!(desk.since(), [""; 0], "who has something to say says it after silence too");
    finished(&mut desk, call, recording);
    assert_eq!(desk.since(), ["hangup 0 200 OK"]);
}

#[test]
fn who_may_speak_into_the_prompt_loses_no_word_of_it() {
    let barge_in = Some(BargeIn { above: 1_000, average: 5 });
    let mut service = voice_mail(Then::Hangup);
    service.record = service.record.map(|message| Message { barge_in, ..message });
    let (desk, _) = calls(service);
    let after = begun(&desk).1.after.expect("it follows on the prompt");
    assert_eq!((after.keep, after.barge_in), (sec(1), barge_in));
}

#[test]
fn a_caller_who_is_led_away_leaves_a_whole_message() {
    let (mut desk, call) = calls(voice_mail(Then::Hangup));
    over(&mut desk, call, 1, PlayEnd::Completed);
    let by_id = CallRef::Id(call);
    let to = Address::from("sip:bob@x");
    desk.submit(Command::Transfer { call: by_id, party: Party::Caller, to, by: None }).expect("it can be");
    desk.located(call, &["sip:b1@x"]);
    desk.progress(call, 2, 180, None);
    desk.answered(call, 2, Some("b"));
    assert_eq!(finishes(&desk), 1);
}
