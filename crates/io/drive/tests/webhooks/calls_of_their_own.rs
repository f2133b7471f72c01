use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::{CallId, Cause, Event, Told};
use hookswitch_dialect::journal::Entry;
use hookswitch_dialect::webhook::{CallWebhook, Terms};
use hookswitch_drive::{CallWebhookError, CallWebhooksConfig};
use hookswitch_sip::Network;

use crate::rig::*;

/// Two at once, to this host.
fn config() -> CallWebhooksConfig {
    CallWebhooksConfig {
        max: 2,
        secrets: vec!["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap()],
        keys: [("crm".into(), vec!["whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=".parse().unwrap()])].into(),
        allow_private: vec![Network { addr: [127, 0, 0, 0].into(), prefix: 8 }],
        authorities: None,
        timeout: Duration::from_millis(500),
        terms: Terms {
            first_pause: Duration::from_millis(20),
            longest_pause: Duration::from_millis(100),
            ..Terms::default()
        },
        linger: Duration::from_millis(200),
    }
}

fn take_on(rig: &Rig, url: &str) -> Result<CompactString, CallWebhookError> {
    take_on_as(rig, &CallWebhook::to(url.to_owned()))
}

fn take_on_as(rig: &Rig, wanted: &CallWebhook) -> Result<CompactString, CallWebhookError> {
    block_on(rig.handle().take_on(wanted))
}

fn event(rig: &Rig, call: u64, event: Event) {
    let at = hookswitch_drive::Clock::start().now();
    rig.journal.handle().push(Entry::Call(Told { at, seq: 0, call: CallId(call), owner: None, event }, None));
}

/// A call begins that has this webhook.
fn begin(rig: &Rig, call: u64, webhook: &CompactString) {
    let at = hookswitch_drive::Clock::start().now();
    rig.journal.handle().push(Entry::Webhook { at, call: CallId(call), webhook: webhook.clone() });
    event(rig, call, Event::Started { caller: "sip:a@a.test".into(), callee: "sip:b@a.test".into() });
}

fn end(rig: &Rig, call: u64) {
    event(rig, call, Event::Ended { cause: Cause::hangup(), talked: Duration::ZERO });
}

fn kinds(posted: &[Posted]) -> Vec<(String, String)> {
    let kind = |one: &Posted| one.json()["type"].as_str().unwrap().to_owned();
    posted.iter().map(|one| (one.call()[5..].trim_start_matches('0').to_owned(), kind(one))).collect()
}

fn of(call: &str, kind: &str) -> (String, String) {
    (call.into(), kind.into())
}

#[test]
fn events_of_a_call_go_where_its_request_said_and_those_of_others_do_not() {
    let (first, second) = (Target::start(|_| answer(200)), Target::start(|_| answer(200)));
    let rig = Rig::for_calls(config(), None);
    let one = take_on(&rig, &first.url()).unwrap();
    let two = take_on(&rig, &second.url()).unwrap();
    assert_eq!(take_on(&rig, &first.url()), Ok(one.clone()), "one URL, one webhook");
    assert_eq!(rig.handle().names().len(), 2);
    begin(&rig, 1, &one);
    begin(&rig, 2, &two);
    begin(&rig, 3, &one);
    event(&rig, 4, Event::Incoming { from: "sip:a@a.test".into(), to: "sip:b@a.test".into() });
    (1..=4).for_each(|call| end(&rig, call));
    let posted = first.wait(4);
    let mut seen = kinds(&posted);
    seen.sort();
    assert_eq!(seen, [of("1", "call.ended"), of("1", "call.started"), of("3", "call.ended"), of("3", "call.started")]);
    assert_ordered(&posted);
    assert!(posted[0].headers["webhook-signature"].starts_with("v1,"));
    assert_eq!(kinds(&second.wait(2)), [of("2", "call.started"), of("2", "call.ended")]);
    assert!(!posted[0].body.contains("webhook"), "where others are told of a call is nobody's business");
}

#[test]
fn so_many_urls_may_be_named_and_one_that_is_needed_no_more_makes_room() {
    let target = Target::start(|_| answer(200));
    let rig = Rig::for_calls(config(), None);
    let url = |path: &str| format!("http://{}/{path}", target.address);
    let [one, _two] = ["a", "b"].map(|path| take_on(&rig, &url(path)).unwrap());
    begin(&rig, 1, &one);
    assert_eq!(take_on(&rig, &url("c")), Err(CallWebhookError::TooMany(2)));
    // The other one was named, and no call came of it.
    until(|| rig.handle().names() == [one.clone()]);
    let three = take_on(&rig, &url("c")).unwrap();
    begin(&rig, 3, &three);
    assert_eq!(take_on(&rig, &url("d")), Err(CallWebhookError::TooMany(2)));
    // A call that goes on keeps its own for as long as it does.
    std::thread::sleep(Duration::from_millis(600));
    end(&rig, 3);
    assert_eq!(kinds(&target.wait(3)).last(), Some(&of("3", "call.ended")));
    assert_eq!(rig.ask(&one, |it| it.summary().calls), 1);
    end(&rig, 1);
    assert_eq!(kinds(&target.wait(4)).last(), Some(&of("1", "call.ended")));
}

#[test]
fn a_call_chooses_its_events_and_the_key_that_signs_them() {
    let target = Target::start(|_| answer(200));
    let rig = Rig::for_calls(config(), None);
    let wanted = CallWebhook { events: Some(vec!["call.end*".into()]), ..CallWebhook::to(target.url()) };
    let signed = CallWebhook { key: Some("crm".into()), ..wanted.clone() };
    let [one, two] = [&wanted, &signed].map(|wanted| take_on_as(&rig, wanted).unwrap());
    assert_ne!(one, two, "one URL, and two that differ in their key");
    begin(&rig, 1, &one);
    begin(&rig, 2, &two);
    event(&rig, 1, Event::Bridged);
    (1..=2).for_each(|call| end(&rig, call));
    let posted = target.wait(2);
    let mut seen = kinds(&posted);
    seen.sort();
    assert_eq!(seen, [of("1", "call.ended"), of("2", "call.ended")]);
    for one in posted {
        let scheme = if one.call().ends_with('1') { "v1," } else { "v1a," };
        assert!(one.headers["webhook-signature"].starts_with(scheme), "{:?}", one.headers);
    }
    let about = rig.handle().about(&two).unwrap();
    assert_eq!((about.key.as_deref(), about.signatures, about.public_keys.len()), (Some("crm"), vec!["v1a"], 1));
    assert_eq!(about.filter.kinds, ["call.end*"]);
    let unknown = CallWebhook { key: Some("CRM".into()), ..wanted };
    assert_eq!(take_on_as(&rig, &unknown), Err(CallWebhookError::NoSuchKey));
}

#[test]
fn its_choice_of_events_and_key_is_known_after_a_restart_and_nothing_is_posted_without_that_key() {
    let folder = tempfile::tempdir().unwrap();
    let works = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&works);
    let target = Target::start(move |_| answer(if seen.load(Ordering::SeqCst) { 200 } else { 500 }));
    let rig = Rig::for_calls(config(), Some(folder.path()));
    let wanted = CallWebhook {
        events: Some(vec!["call.bridged".into(), "call.ended".into()]),
        key: Some("crm".into()),
        ..CallWebhook::to(target.url())
    };
    let name = take_on_as(&rig, &wanted).unwrap();
    begin(&rig, 1, &name);
    event(&rig, 1, Event::Bridged);
    target.wait(1);
    drop(rig);
    works.store(true, Ordering::SeqCst);
    let before = target.posted().len();
    // The key is gone, and is put back.
    let rig = Rig::for_calls(CallWebhooksConfig { keys: Default::default(), ..config() }, Some(folder.path()));
    assert!(rig.handle().names().is_empty());
    drop(rig);
    assert_eq!(target.posted().len(), before);
    let _rig = Rig::for_calls(config(), Some(folder.path()));
    let after = &target.wait(before + 2)[before..];
    assert_eq!(kinds(after), [of("1", "call.bridged"), of("1", "call.ended")]);
    assert!(after.iter().all(|one| one.headers["webhook-signature"].starts_with("v1a,")));
}

#[test]
fn what_cannot_be_one_is_refused_before_the_call_is_made() {
    let rig = Rig::for_calls(CallWebhooksConfig { allow_private: Vec::new(), ..config() }, None);
    for url in ["ftp://h.test/", "http://u:p@h.test/", "h.test", ""] {
        assert!(matches!(take_on(&rig, url), Err(CallWebhookError::Url(_))), "{url}");
    }
    for url in ["http://127.0.0.1/", "http://[::1]:8080/x", "https://169.254.169.254/latest", "http://0x7f.1/"] {
        assert!(matches!(take_on(&rig, url), Err(CallWebhookError::Private(_))), "{url}");
    }
    assert!(rig.handle().names().is_empty());
    let without = Rig::start(Vec::new());
    assert_eq!(take_on(&without, "https://h.test/"), Err(CallWebhookError::NotEnabled));
}

#[test]
fn a_restart_tells_the_end_of_the_call_and_whatever_was_not_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let works = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&works);
    let target = Target::start(move |_| answer(if seen.load(Ordering::SeqCst) { 200 } else { 500 }));
    let rig = Rig::for_calls(config(), Some(folder.path()));
    let name = take_on(&rig, &target.url()).unwrap();
    begin(&rig, 1, &name);
    event(&rig, 1, Event::Bridged);
    target.wait(1);
    drop(rig);
    works.store(true, Ordering::SeqCst);
    let before = target.posted().len();
    let rig = Rig::for_calls(config(), Some(folder.path()));
    let after = &target.wait(before + 3)[before..];
    assert_eq!(kinds(after), [of("1", "call.started"), of("1", "call.bridged"), of("1", "call.ended")]);
    assert_eq!(after[2].json()["data"]["cause"]["text"], "The Switch Was Restarted");
    drop(rig);
    // It is known until nothing more is expected of it.
    let rig = Rig::for_calls(config(), Some(folder.path()));
    assert_eq!(rig.handle().names(), [name]);
}

#[test]
fn one_that_was_let_go_is_not_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::start(|_| answer(200));
    let rig = Rig::for_calls(config(), Some(folder.path()));
    take_on(&rig, &target.url()).unwrap();
    until(|| rig.handle().names().is_empty());
    drop(rig);
    let rig = Rig::for_calls(config(), Some(folder.path()));
    assert!(rig.handle().names().is_empty());
}
