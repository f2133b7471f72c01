//! What commands do to the audio of a party: sounds, recordings, keys, its part in a conference.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Desk, sec};
use hookswitch_call::*;

fn soup(name: &str) -> Arc<Soup> {
    Arc::new(Soup { sounds: vec![Sound::of(SoundKind::Wav, name)], ..Soup::default() })
}

fn play(name: &str) -> AudioOrder {
    AudioOrder::Play { soup: soup(name), update: false, to: Audience::Party }
}

/// Two keys, or fewer and `#`; the first within 5 s, the next within 2 s.
fn collect(prompt: Option<&str>) -> AudioOrder {
    let collect = Collect { most: 2, terminator: Some('#'), pattern: None, first: sec(5), next: sec(2) };
    AudioOrder::Collect { collect: Box::new(collect), prompt: prompt.map(soup) }
}

fn record() -> AudioOrder {
    AudioOrder::Record(Box::new(RecordPlan::both_sides("a.wav".into())))
}

/// The same from the end of a prompt on, which a voice may end, and a key if that is said.
fn record_after(prompt: Soup, interrupt: bool) -> AudioOrder {
    let (prompt, plan) = (Arc::new(Soup { interrupt, ..prompt }), Box::new(RecordPlan::both_sides("a.wav".into())));
    AudioOrder::RecordAfter { prompt, barge_in: Some(BargeIn::louder_than(900)), plan }
}

fn order(desk: &mut Desk, call: CallId, order: AudioOrder) -> Result<Ticket, Refused> {
    desk.submit(Command::Audio { call: CallRef::Id(call), party: Party::Caller, order })
}

/// The name of what is played last.
fn played(desk: &Desk) -> PlayId {
    let name = |op: &MediaOp| if let MediaOp::Play { play, .. } = op { Some(*play) } else { None };
    desk.media.iter().rev().find_map(name).expect("something is played")
}

fn tell(desk: &mut Desk, call: CallId, play: PlayId, news: PlayNews) {
    desk.tell_media(MediaReport::Played { call, party: Party::Caller, play, news, position: sec(1) });
}

fn over(desk: &mut Desk, call: CallId, end: PlayEnd) {
    let play = played(desk);
    tell(desk, call, play, PlayNews::Ended(end));
}

fn press(desk: &mut Desk, call: CallId, keys: &str) {
    for key in keys.chars() {
        let digit = Digit { key, time: Duration::from_millis(100) };
        desk.tell_media(MediaReport::Digit { call, party: Party::Caller, digit, passed: false });
    }
}

/// What was collected, and whether it was complete.
fn keys(desk: &mut Desk) -> Vec<(String, bool)> {
    let events = desk.events.drain(..).filter_map(|told| match told.event {
        Event::Audio { news: OrderNews::Collected { keys, complete }, .. } => Some((keys.to_string(), complete)),
        _ => None,
    });
    events.collect()
}

fn codes(desk: &mut Desk) -> Vec<u16> {
    desk.results().into_iter().map(|result| result.map_or_else(|failure| failure.cause.code, |()| 200)).collect()
}

#[test]
fn a_command_that_plays_is_over_when_the_sounds_are() {
    for (end, code) in [
        (PlayEnd::Completed, 200),
        (PlayEnd::TelephoneEvent, 200),
        (PlayEnd::Stopped, 200),
        (PlayEnd::Closed, 487),
        (PlayEnd::Failed, 404),
    ] {
        let mut desk = Desk::new(Limits::default());
        let call = desk.talking();
        let ticket = order(&mut desk, call, play("hello")).expect("accepted");
        let name = played(&desk);
        tell(&mut desk, call, name, PlayNews::Started);
        assert_eq!(codes(&mut desk), [0; 0]);
        over(&mut desk, call, end);
        assert_eq!(codes(&mut desk), [code], "{end:?}");
        let owners: Vec<_> = desk.events.iter().map(|told| told.owner).collect();
        assert_eq!(owners, [Some(ticket), Some(ticket)]);
        over(&mut desk, call, end);
        assert_eq!((desk.events.len(), desk.outcomes.len()), (2, 0), "an end is told once");
    }
}

#[test]
fn a_key_that_is_signalled_ends_what_may_be_interrupted_as_one_in_the_audio_does() {
    let interrupted = |name| {
        let soup = Arc::new(Soup { interrupt: true, ..Soup::clone(&soup(name)) });
        AudioOrder::Play { soup, update: false, to: Audience::Party }
    };
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    let signal = |desk: &mut Desk| {
        desk.since();
        desk.tell(Report::Digit { call, leg: LegId(0), digit: Digit { key: '5', time: sec(0) } });
        desk.since().into_iter().filter(|said| said.starts_with("Stop")).count()
    };
    order(&mut desk, call, play("to its end")).expect("accepted");
    assert_eq!(signal(&mut desk), 0, "it may not be interrupted");
    order(&mut desk, call, interrupted("welcome")).expect("accepted");
    desk.tell(Report::Digit { call, leg: LegId(1), digit: Digit { key: '5', time: sec(0) } });
    assert_eq!(desk.since().iter().filter(|said| said.starts_with("Stop")).count(), 0, "it was the other party");
    assert_eq!(signal(&mut desk), 1);
    over(&mut desk, call, PlayEnd::Stopped);
    let is_told = |told: &Told| match &told.event {
        Event::Audio { news: OrderNews::Play { news, .. }, .. } => *news == PlayNews::Ended(PlayEnd::TelephoneEvent),
        _ => false,
    };
    assert!(desk.events.last().is_some_and(is_told), "{:?}", desk.events.last());
    assert_eq!(codes(&mut desk), [200]);
    assert_eq!(signal(&mut desk), 0, "it is over");
    // What a command stops is told as such.
    order(&mut desk, call, interrupted("once more")).expect("accepted");
    order(&mut desk, call, AudioOrder::ControlPlay(PlayControl::Stop)).expect("accepted");
    over(&mut desk, call, PlayEnd::Stopped);
    assert!(!desk.events.last().is_some_and(is_told));
}

#[test]
fn a_second_play_replaces_the_first_and_an_update_goes_on_with_it() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    order(&mut desk, call, play("one")).expect("accepted");
    let first = played(&desk);
    order(&mut desk, call, play("two")).expect("accepted");
    let second = played(&desk);
    assert_ne!(first, second);
    // Before the engine has told of the first.
    order(&mut desk, call, AudioOrder::Play { soup: soup("three"), update: true, to: Audience::Party })
        .expect("accepted");
    assert_eq!(played(&desk), second);
    assert_eq!(codes(&mut desk), [200], "that of the second");
    tell(&mut desk, call, first, PlayNews::Ended(PlayEnd::Replaced));
    assert_eq!(codes(&mut desk), [200], "that of the first");
    tell(&mut desk, call, second, PlayNews::Ended(PlayEnd::Completed));
    assert_eq!(codes(&mut desk), [200]);
    let control = AudioOrder::ControlPlay(PlayControl::Pause);
    assert!(matches!(order(&mut desk, call, control), Err(Refused::Impossible(_))));
}

#[test]
fn what_is_played_can_be_paused_moved_and_stopped() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    order(&mut desk, call, play("one")).expect("accepted");
    let name = played(&desk);
    for wanted in [PlayControl::Pause, PlayControl::Seek(sec(3)), PlayControl::Gain(-6), PlayControl::Stop] {
        order(&mut desk, call, AudioOrder::ControlPlay(wanted)).expect("accepted");
        assert_eq!(codes(&mut desk), [200]);
        let MediaOp::ControlPlay { play, control, .. } = desk.media.last().expect("asked") else {
            panic!("{wanted:?}")
        };
        assert_eq!((*play, *control), (name, wanted));
    }
}

#[test]
fn keys_are_collected_after_a_prompt_that_the_first_ends() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    order(&mut desk, call, collect(Some("pin"))).expect("accepted");
    desk.pass(sec(60));
    assert_eq!(codes(&mut desk), [0; 0], "while it is played nothing is waited for");
    desk.since();
    press(&mut desk, call, "4");
    let said = desk.since();
    assert!(said.len() == 1 && said[0].starts_with("Stop"), "the other party gets no key: {said:?}");
    over(&mut desk, call, PlayEnd::Stopped);
    press(&mut desk, call, "2");
    assert_eq!((keys(&mut desk), codes(&mut desk)), (vec![("42".into(), true)], vec![200]));
    press(&mut desk, call, "9");
    let Some(MediaOp::Digit { party: Party::Callee, digit, .. }) = desk.media.last() else {
        panic!("from now on the other party has them")
    };
    assert_eq!(digit.key, '9');
}

#[test]
fn keys_of_a_party_are_collected_while_the_other_one_is_on_hold_which_gets_none_of_them() {
    for by_phone in [false, true] {
        let mut desk = Desk::new(Limits::default());
        let call = desk.talking();
        if by_phone {
            // Who holds hears as little.
            desk.presses_hold(call, Party::Callee, true);
        } else {
            desk.hold(call, true, Some(Party::Callee)).expect("accepted");
            desk.reaccepted(call, 1, "b-held");
            assert_eq!(codes(&mut desk), [200]);
        }
        order(&mut desk, call, collect(None)).expect("accepted");
        press(&mut desk, call, "4");
        desk.tell(Report::Digit { call, leg: LegId(0), digit: Digit { key: '2', time: sec(0) } });
        assert_eq!((keys(&mut desk), codes(&mut desk)), (vec![("42".into(), true)], vec![200]), "in either form");
        press(&mut desk, call, "7");
        desk.tell(Report::Digit { call, leg: LegId(0), digit: Digit { key: '8', time: sec(0) } });
        let told = desk.events.iter().filter(|told| matches!(told.event, Event::Audio { news: OrderNews::Key(_), .. }));
        assert_eq!(told.count(), 2);
        assert!(!desk.media.iter().any(|op| matches!(op, MediaOp::Digit { .. })), "{:?}", desk.media);
    }
}

#[test]
fn keys_end_with_their_terminator_and_with_time() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    order(&mut desk, call, collect(None)).expect("accepted");
    press(&mut desk, call, "7#");
    assert_eq!((keys(&mut desk), codes(&mut desk)), (vec![("7".into(), true)], vec![200]));
    order(&mut desk, call, collect(None)).expect("accepted");
    desk.pass(Duration::from_millis(4_900));
    press(&mut desk, call, "7");
    desk.pass(Duration::from_millis(1_900));
    assert_eq!(keys(&mut desk), []);
    desk.pass(Duration::from_millis(200));
    assert_eq!((keys(&mut desk), codes(&mut desk)), (vec![("7".into(), false)], vec![200]));
    order(&mut desk, call, collect(Some("pin"))).expect("accepted");
    over(&mut desk, call, PlayEnd::Completed);
    desk.pass(Duration::from_millis(5_100));
    assert_eq!((keys(&mut desk), codes(&mut desk)), (vec![(String::new(), false)], vec![200]));
    order(&mut desk, call, collect(Some("pin"))).expect("accepted");
    over(&mut desk, call, PlayEnd::Failed);
    assert_eq!((keys(&mut desk), codes(&mut desk)), (vec![], vec![404]), "nobody answers what nobody has heard");
}

#[test]
fn a_key_that_went_on_in_the_audio_is_told_and_not_sent_again() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    let digit = Digit { key: '5', time: Duration::from_millis(80) };
    desk.tell_media(MediaReport::Digit { call, party: Party::Caller, digit, passed: true });
    assert_eq!(desk.since(), [""; 0]);
    assert_eq!(desk.events.last().map(|told| told.event.clone()), {
        Some(Event::Audio { party: Party::Caller, news: OrderNews::Key(digit) })
    });
}

#[test]
fn one_thing_at_a_time_is_played_and_collected() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    order(&mut desk, call, collect(Some("pin"))).expect("accepted");
    for second in [play("x"), collect(None)] {
        assert!(matches!(order(&mut desk, call, second), Err(Refused::Pending(_))));
    }
    // The other party is its own.
    let order = Command::Audio { call: CallRef::Id(call), party: Party::Callee, order: play("x") };
    desk.submit(order).expect("accepted");
}

#[test]
fn a_recording_begins_pauses_and_is_finished() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    let told = |desk: &mut Desk, recording, news| desk.tell_media(MediaReport::Recorded { call, recording, news });
    let finished = || RecordNews::Finished(Box::new(Recorded::nothing(&"a.wav".into(), RecordEnd::Requested)));
    order(&mut desk, call, record()).expect("accepted");
    assert_eq!(codes(&mut desk), [0; 0]);
    told(&mut desk, FIRST_ORDERED, RecordNews::Begun);
    assert_eq!(codes(&mut desk), [200]);
    let begun = Event::Audio { party: Party::Caller, news: OrderNews::Recording(FIRST_ORDERED) };
    assert_eq!(desk.events.last().map(|told| &told.event), Some(&begun));
    for (control, wanted) in [
        (RecordControl::Pause, RecordOrder::Pause),
        (RecordControl::Resume, RecordOrder::Resume),
        (RecordControl::Finish, RecordOrder::Finish),
    ] {
        order(&mut desk, call, AudioOrder::ControlRecording(FIRST_ORDERED, control)).expect("accepted");
        let MediaOp::Record { order, recording, .. } = desk.media.last().expect("asked") else { panic!("{control:?}") };
        assert_eq!((order, *recording), (&wanted, FIRST_ORDERED));
        assert_eq!(desk.results().len(), usize::from(control != RecordControl::Finish));
    }
    told(&mut desk, FIRST_ORDERED, finished());
    assert_eq!(codes(&mut desk), [200]);
    let again = AudioOrder::ControlRecording(FIRST_ORDERED, RecordControl::Finish);
    assert!(matches!(order(&mut desk, call, again), Err(Refused::Impossible(_))));
    // One that cannot be made, and as many as there may be.
    order(&mut desk, call, record()).expect("accepted");
    told(&mut desk, RecordingId(FIRST_ORDERED.0 + 1), finished());
    assert_eq!(codes(&mut desk), [500]);
    for _ in 0..MAX_RECORDINGS {
        order(&mut desk, call, record()).expect("accepted");
    }
    assert!(matches!(order(&mut desk, call, record()), Err(Refused::Impossible(_))));
}

#[test]
fn a_recording_begins_where_its_prompt_ends_and_its_command_is_over_then() {
    let recording = FIRST_ORDERED;
    let told = |desk: &mut Desk, call, news| desk.tell_media(MediaReport::Recorded { call, recording, news });
    for (end, as_told) in [
        (PlayEnd::Completed, PlayEnd::Completed),
        (PlayEnd::Interrupted, PlayEnd::Interrupted),
        (PlayEnd::Stopped, PlayEnd::TelephoneEvent),
        (PlayEnd::Failed, PlayEnd::Failed),
    ] {
        let mut desk = Desk::new(Limits::default());
        let call = desk.talking();
        let ticket = order(&mut desk, call, record_after(Soup::clone(&soup("beep")), true)).expect("accepted");
        let prompt = played(&desk);
        let begun = desk.media.last();
        let Some(MediaOp::Record { order: RecordOrder::Begin(plan), .. }) = begun else { panic!("{begun:?}") };
        let after = plan.after.expect("it follows on the prompt");
        assert_eq!((after.play, after.keep, after.barge_in), (prompt, sec(1), Some(BargeIn::louder_than(900))));
        if end == PlayEnd::Stopped {
            desk.since();
            press(&mut desk, call, "5");
            assert_eq!(desk.since().len(), 1, "a key in the audio ends it when it is over");
        }
        over(&mut desk, call, end);
        assert_eq!(codes(&mut desk), [0; 0], "{end:?}");
        let news = OrderNews::Play { news: PlayNews::Ended(as_told), position: sec(1) };
        let ended = Event::Audio { party: Party::Caller, news };
        assert_eq!(desk.events.last().map(|told| (told.owner, &told.event)), Some((Some(ticket), &ended)));
        told(&mut desk, call, RecordNews::Begun);
        assert_eq!(codes(&mut desk), [200], "{end:?}");
    }
    // Who cannot be recorded need not hear what for.
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    order(&mut desk, call, record_after(Soup::clone(&soup("beep")), false)).expect("accepted");
    desk.since();
    press(&mut desk, call, "5");
    assert_eq!(desk.since(), [""; 0], "no key ends it");
    let none = Recorded::nothing(&"a.wav".into(), RecordEnd::Closed);
    told(&mut desk, call, RecordNews::Finished(Box::new(none)));
    assert_eq!((codes(&mut desk), desk.since().len()), (vec![500], 1), "it is stopped");
    over(&mut desk, call, PlayEnd::Stopped);
    assert_eq!(codes(&mut desk), [0; 0]);
}

#[test]
fn the_prompt_of_a_recording_is_one_thing_that_is_played() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    let empty = order(&mut desk, call, record_after(Soup::default(), true));
    assert!(matches!(empty, Err(Refused::Impossible(_))));
    order(&mut desk, call, record_after(Soup::clone(&soup("beep")), true)).expect("accepted");
    let prompt = played(&desk);
    order(&mut desk, call, AudioOrder::ControlPlay(PlayControl::Gain(-6))).expect("accepted");
    assert_eq!(codes(&mut desk), [200]);
    // It is not another version of it.
    order(&mut desk, call, AudioOrder::Play { soup: soup("x"), update: true, to: Audience::Party }).expect("accepted");
    assert_ne!(played(&desk), prompt);
    tell(&mut desk, call, prompt, PlayNews::Ended(PlayEnd::Replaced));
    assert_eq!(codes(&mut desk), [0; 0], "the recording has not begun");
    over(&mut desk, call, PlayEnd::Completed);
    assert_eq!(codes(&mut desk), [200], "the play");
    order(&mut desk, call, collect(None)).expect("accepted");
    let late = order(&mut desk, call, record_after(Soup::clone(&soup("beep")), true));
    assert!(matches!(late, Err(Refused::Pending(_))));
    desk.ended(call, 0, Cause::hangup());
    assert_eq!(codes(&mut desk), [487, 487], "the wait for keys and the recording, each once");
}

#[test]
fn keys_are_sent_one_after_the_other_and_what_is_none_is_refused() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    order(&mut desk, call, AudioOrder::SendKeys("1#a".into())).expect("accepted");
    let key = |op: &MediaOp| if let MediaOp::Digit { digit, .. } = op { Some(digit.key) } else { None };
    assert_eq!(desk.media.iter().filter_map(key).collect::<String>(), "1#A");
    assert_eq!(codes(&mut desk), [200]);
    for wrong in ["", "12x", &"1".repeat(MAX_KEYS + 1)] {
        let refused = order(&mut desk, call, AudioOrder::SendKeys(wrong.into()));
        assert!(matches!(refused, Err(Refused::Impossible(_))), "{wrong}");
    }
}

#[test]
fn a_member_of_a_conference_takes_part_in_another_way() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    let found = Found::Service(Service::Conference("sales".into()));
    desk.tell(Report::Located { call, found, codecs: None, forwards: None });
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    let part = Part { muted: true, ..Part::default() };
    order(&mut desk, call, AudioOrder::TakePart(part)).expect("accepted");
    let MediaOp::Join { part: told, .. } = desk.media.last().expect("asked") else { panic!("no word of it") };
    assert_eq!((*told, codes(&mut desk)), (part, vec![200]));
    let other = desk.talking();
    assert!(matches!(order(&mut desk, other, AudioOrder::TakePart(part)), Err(Refused::Impossible(_))));
}

#[test]
fn what_cannot_be_is_refused() {
    let mut desk = Desk::new(Limits { anchor: false, ..Limits::default() });
    let unanchored = desk.talking();
    assert!(matches!(order(&mut desk, unanchored, play("x")), Err(Refused::Unsupported(_))));
    let mut desk = Desk::new(Limits::default());
    let ringing = desk.incoming(Some("a"));
    assert_eq!(order(&mut desk, ringing, play("x")), Err(Refused::NotAnswered));
    let call = desk.talking();
    let empty = AudioOrder::Play { soup: Arc::new(Soup::default()), update: false, to: Audience::Party };
    assert!(matches!(order(&mut desk, call, empty), Err(Refused::Impossible(_))));
    for most in [0, MAX_KEYS as u8 + 1] {
        let collect = Collect { most, terminator: None, pattern: None, first: sec(5), next: sec(2) };
        let collect = AudioOrder::Collect { collect: Box::new(collect), prompt: None };
        assert!(matches!(order(&mut desk, call, collect), Err(Refused::Impossible(_))));
    }
    desk.end(CallRef::Id(call)).expect("accepted");
    assert_eq!(order(&mut desk, call, play("x")), Err(Refused::Ending));
    assert_eq!(desk.media.iter().filter(|op| matches!(op, MediaOp::Play { .. })).count(), 0);
}

#[test]
fn the_end_of_the_call_ends_every_command_once() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    order(&mut desk, call, play("x")).expect("accepted");
    order(&mut desk, call, record()).expect("accepted");
    let other = Command::Audio { call: CallRef::Id(call), party: Party::Callee, order: collect(Some("pin")) };
    desk.submit(other).expect("accepted");
    let play = played(&desk);
    desk.ended(call, 0, Cause::hangup());
    assert_eq!(codes(&mut desk), [487, 487, 487]);
    tell(&mut desk, call, play, PlayNews::Ended(PlayEnd::Closed));
    desk.tell_media(MediaReport::Recorded { call, recording: FIRST_ORDERED, news: RecordNews::Begun });
    assert_eq!(codes(&mut desk), [0; 0]);
}

#[test]
fn a_call_with_commands_under_way_is_plain_data() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.talking();
    order(&mut desk, call, collect(None)).expect("accepted");
    press(&mut desk, call, "4");
    let record = desk.board.take(call).expect("a call");
    let text = serde_json::to_string(&record).expect("plain data");
    desk.board.put(serde_json::from_str(&text).expect("the same"));
    press(&mut desk, call, "2");
    assert_eq!((keys(&mut desk), codes(&mut desk)), (vec![("42".into(), true)], vec![200]));
}

#[test]
fn a_conference_is_played_to_through_one_of_its_members_beside_what_that_one_hears() {
    let mut desk = Desk::new(Limits::default());
    let call = desk.incoming(Some("a"));
    let found = Found::Service(Service::Conference("sales".into()));
    desk.tell(Report::Located { call, found, codecs: None, forwards: None });
    desk.tell(Report::Confirmed { call, leg: LegId(0), sdp: None });
    let to_room = |name, update| AudioOrder::Play { soup: soup(name), update, to: Audience::Room };
    let last = |desk: &Desk| match desk.media.last() {
        Some(MediaOp::Play { play, to, .. }) => (*play, *to),
        other => panic!("nothing is played: {other:?}"),
    };
    order(&mut desk, call, play("for one")).expect("accepted");
    let (alone, audience) = last(&desk);
    assert_eq!(audience, Audience::Party);
    order(&mut desk, call, to_room("for all", false)).expect("accepted");
    let (together, audience) = last(&desk);
    assert_eq!(audience, Audience::Room);
    // An update is that of what the same ears hear.
    order(&mut desk, call, to_room("for all, other words", true)).expect("accepted");
    assert_eq!((last(&desk), codes(&mut desk)), ((together, Audience::Room), vec![200]));
    order(&mut desk, call, AudioOrder::Play { soup: soup("x"), update: true, to: Audience::Party }).expect("accepted");
    assert_eq!((last(&desk), codes(&mut desk)), ((alone, Audience::Party), vec![200]));
    tell(&mut desk, call, together, PlayNews::Ended(PlayEnd::Completed));
    tell(&mut desk, call, alone, PlayNews::Ended(PlayEnd::Completed));
    assert_eq!(codes(&mut desk), [200, 200]);
    // Keys of a member are its own affair.
    order(&mut desk, call, collect(None)).expect("accepted");
    assert!(matches!(order(&mut desk, call, play("x")), Err(Refused::Pending(_))));
    order(&mut desk, call, to_room("for all", false)).expect("accepted");
    let nothing = AudioOrder::Play { soup: Arc::new(Soup::default()), update: false, to: Audience::Room };
    assert!(matches!(order(&mut desk, call, nothing), Err(Refused::Impossible(_))));
    // Whoever is in no conference has none to play to.
    let other = desk.talking();
    assert!(matches!(order(&mut desk, other, to_room("x", false)), Err(Refused::Impossible(_))));
}
