//! Numbers of events, within the log and within a call, also across a restart.

use hookswitch_call::{CallId, Event};
use hookswitch_dialect::journal::{
    Batch, CommandName, ENDED_KEPT, Entry, EventId, Journal, MAX_DOMAINS, MAX_STORY, OpenCall,
};
use serde_json::Value;

use crate::told::{AT, CALL, ended, incoming, of, told};

fn batch(journal: &mut Journal, entries: impl IntoIterator<Item = Entry>) -> Batch {
    entries.into_iter().for_each(|entry| journal.take(entry));
    journal.drain()
}

fn numbers(batch: &Batch) -> Vec<(u64, Option<u32>)> {
    batch.events.iter().map(|event| (event.id.0, event.seq)).collect()
}

#[test]
fn each_call_counts_by_itself_and_the_log_counts_them_all() {
    let mut journal = Journal::new(EventId(7));
    let other = CallId(2);
    let batch = batch(
        &mut journal,
        [told(incoming()), of(other, incoming()), told(Event::Bridged), of(other, ended()), told(ended())],
    );
    assert_eq!(numbers(&batch), [(7, Some(0)), (8, Some(0)), (9, Some(1)), (10, Some(1)), (11, Some(2))]);
    assert_eq!(batch.events[3].call, Some(other));
    assert_eq!(journal.open_calls(), 0);
}

#[test]
fn what_is_told_of_a_call_after_its_end_goes_on_with_its_numbers() {
    let mut journal = Journal::new(EventId(1));
    batch(&mut journal, [told(incoming()), told(ended())]);
    let command =
        |call| Entry::Command { at: AT, command: "cmd_1".into(), kind: "end", call: Some(call), result: Ok(()) };
    let late = batch(&mut journal, [command(CALL)]);
    assert_eq!(numbers(&late), [(3, Some(2))]);
    // It concerns whom the call concerned.
    assert_eq!(late.events[0].domains, ["a.test", "[2001:db8::1]"]);
    for call in 0..ENDED_KEPT as u64 {
        batch(&mut journal, [of(CallId(call + 1_000), ended())]);
    }
    let forgotten = batch(&mut journal, [command(CALL)]);
    assert_eq!((forgotten.events[0].seq, forgotten.events[0].domains.len()), (None, 0));
    assert_eq!(journal.open_calls(), 0);
}

#[test]
fn a_call_concerns_the_domains_of_all_who_take_part_and_not_more_than_eight() {
    let mut journal = Journal::new(EventId(1));
    batch(&mut journal, [told(Event::Incoming { from: "sip:1@a.test".into(), to: "tel:+49301".into() })]);
    let after = batch(
        &mut journal,
        [told(Event::Transferring { party: hookswitch_call::Party::Caller, to: Some("sip:x@B.test?y".into()) })],
    );
    assert_eq!(after.events[0].domains, ["a.test", "b.test"]);
    let many = (0..20).map(|n| told(Event::Connecting { to: format!("sip:{n}.test").as_str().into() }));
    let last = batch(&mut journal, many).events.pop().unwrap();
    assert_eq!(last.domains.len(), MAX_DOMAINS);
    for not in ["sip:", "alice", "sip:@", "mailto:a@b.test", "sip:a@[::1"] {
        let mut journal = Journal::new(EventId(1));
        let only = batch(&mut journal, [told(Event::Connecting { to: not.into() })]);
        assert_eq!(only.events[0].domains.len(), 0, "{not}");
    }
}

#[test]
fn what_is_open_goes_with_each_batch_and_is_told_to_be_over_after_a_restart() {
    let mut journal = Journal::new(EventId(1));
    let first = batch(&mut journal, [told(incoming()), of(CallId(2), incoming())]);
    let mut open = first.open;
    open.sort_by_key(|(call, _)| *call);
    let line =
        OpenCall { next: 1, domains: vec!["a.test".into(), "[2001:db8::1]".into()], webhook: None, story: Vec::new() };
    assert_eq!(open, [(CallId(2), Some(line.clone())), (CALL, Some(line.clone()))]);
    assert_eq!(batch(&mut journal, [of(CallId(2), ended())]).open, [(CallId(2), None)]);
    assert!(batch(&mut journal, []).open.is_empty());

    let mut again = Journal::new(EventId(4));
    again.start(AT, vec![(CALL, line)]);
    let told = again.drain();
    assert_eq!(numbers(&told), [(4, None), (5, Some(1))]);
    let read: Vec<Value> = told.events.iter().map(|event| serde_json::from_str(&event.text).unwrap()).collect();
    assert_eq!(read[0]["type"], "log.started");
    assert_eq!(read[0]["data"], serde_json::json!({ "lost": 1, "calls": ["call_0000000000ab"] }));
    assert_eq!(read[1]["type"], "call.ended");
    assert_eq!(read[1]["data"]["cause"]["text"], "The Switch Was Restarted");
    assert_eq!(read[1]["data"]["cause"]["fault"], "server");
    assert_eq!(read[1]["data"]["talked_seconds"], Value::Null);
    assert_eq!(read[1]["domains"][0], "a.test");
    assert_eq!(told.open, [(CALL, None)]);
}

#[test]
fn a_call_keeps_its_webhook_until_its_last_event_and_across_a_restart() {
    let mut journal = Journal::new(EventId(1));
    let given = |webhook: &str| Entry::Webhook { at: AT, call: CALL, webhook: webhook.into() };
    let webhooks = |batch: &Batch| -> Vec<(String, Option<String>)> {
        batch.events.iter().map(|one| (one.kind.to_string(), one.webhook.as_ref().map(ToString::to_string))).collect()
    };
    let of_call = |kind: &str, webhook: &str| (kind.to_owned(), Some(webhook.to_owned()));
    // One that nothing has been told of has it from its first event on.
    let first = batch(&mut journal, [given("call.1"), told(incoming()), of(CallId(2), incoming())]);
    assert_eq!(webhooks(&first), [of_call("call.incoming", "call.1"), ("call.incoming".into(), None)]);
    let line = first.open.iter().find(|(call, _)| *call == CALL).unwrap().1.clone().unwrap();
    assert_eq!(serde_json::to_value(&line).unwrap()["w"], "call.1");
    // One that goes on is given another, and tells it there.
    let second = batch(&mut journal, [given("call.2"), told(ended()), given("call.3")]);
    assert_eq!(webhooks(&second), [of_call("call.webhook", "call.2"), of_call("call.ended", "call.2")]);
    assert!(second.events[0].text.contains(r#""data":{"webhook":"call.2"}"#), "{}", second.events[0].text);
    let command = Entry::Command { at: AT, command: "cmd_1".into(), kind: "end", call: Some(CALL), result: Ok(()) };
    assert_eq!(webhooks(&batch(&mut journal, [command])), [of_call("command.ended", "call.2")]);

    let mut again = Journal::new(EventId(9));
    again.start(AT, vec![(CALL, line)]);
    assert_eq!(webhooks(&again.drain()), [("log.started".into(), None), of_call("call.ended", "call.1")]);
}

#[test]
fn an_event_says_which_command_it_comes_of() {
    let mut journal = Journal::new(EventId(1));
    let Entry::Call(first, _) = told(incoming()) else { unreachable!() };
    let rest = CommandName::Rest("cmd_00000000001f".into());
    let call_api = CommandName::CallApi { session: 4, cmd_id: "mine \"1\"".into() };
    let batch = batch(
        &mut journal,
        [
            Entry::Call(first.clone(), Some(rest)),
            Entry::Call(first, Some(call_api)),
            told(Event::Bridged),
            Entry::Command { at: AT, command: "cmd_2".into(), kind: "end", call: Some(CALL), result: Ok(()) },
            told(ended()),
        ],
    );
    let read: Vec<Value> = batch.events.iter().map(|event| serde_json::from_str(&event.text).unwrap()).collect();
    let named: Vec<_> = read.iter().map(|one| [&one["command"], &one["session"], &one["cmd_id"]]).collect();
    let (null, end) = (&Value::Null, &serde_json::json!("cmd_2"));
    assert_eq!(
        named,
        [
            [&serde_json::json!("cmd_00000000001f"), null, null],
            [null, &serde_json::json!(4), &serde_json::json!("mine \"1\"")],
            [null; 3],
            [end, null, null],
            [null; 3],
        ]
    );
}

#[test]
fn a_gap_is_an_event() {
    let mut journal = Journal::new(EventId(1));
    journal.missed(AT, 12);
    let batch = journal.drain();
    assert_eq!(batch.events[0].kind, "log.gap");
    assert!(batch.events[0].text.contains(r#""data":{"missed":12}"#));
}

#[test]
fn a_call_that_a_server_beyond_us_carries_goes_on_after_a_restart() {
    let beyond = CallId(CallId::FIRST_BEYOND.0 | 7);
    let mut journal = Journal::new(EventId(1));
    let noticed = Event::Noticed { wire_id: "x".into() };
    let dialing = || Event::Dialing {
        leg: hookswitch_call::LegId(0),
        party: hookswitch_call::Party::Caller,
        wire_id: "x".into(),
        to: "sip:a@b.test".into(),
    };
    let held = Event::Held { party: hookswitch_call::Party::Caller, hold: true };
    let mut told_of = vec![of(beyond, noticed.clone()), told(incoming()), of(beyond, held)];
    told_of.extend((0..MAX_STORY + 5).map(|_| of(beyond, dialing())));
    told_of.extend([of(beyond, Event::Bridged), of(beyond, Event::Bridged)]);
    let last = batch(&mut journal, told_of);
    let mut open: Vec<(CallId, OpenCall)> =
        last.open.into_iter().filter_map(|(call, open)| Some((call, open?))).collect();
    assert_eq!(open.len(), 2);
    let mut after = Journal::new(EventId(100));
    let left = after.go_on(&mut open);
    assert_eq!((left.len(), left[0].call, open.len()), (1, beyond, 1), "ours is over");
    // No more than that is kept, and that they talk, once.
    let story: Vec<&Event> = left[0].story.iter().map(|chapter| &chapter.event).collect();
    assert_eq!((story.len(), story[0], story[MAX_STORY]), (MAX_STORY + 1, &noticed, &Event::Bridged));
    after.start(AT, open);
    let first = after.drain();
    assert_eq!(first.events.iter().map(|event| event.call).collect::<Vec<_>>(), [None, Some(CALL)]);
    assert!(first.events[0].text.contains(r#""lost":1"#), "{}", first.events[0].text);
    // Its numbers go on.
    let next = batch(&mut after, [of(beyond, ended())]);
    assert_eq!((next.events[0].seq, next.open), (Some(33), vec![(beyond, None)]));
}
