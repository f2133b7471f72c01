//! Whoever is not heard, or not reached: the switch says so, and why.

use std::cell::Cell;
use std::rc::Rc;

use hookswitch_call::diagnosis::{Finding, Silence};
use hookswitch_call::{AudioNews, Kind, Party};
use hookswitch_lab::{Lab, PhoneId, seconds};
use hookswitch_sip::Transport;
use serde_json::Value;

/// The number of the only call there is, as the pages know it.
fn only_call(lab: &mut Lab) -> String {
    let (status, body) = lab.http("GET", "/calls", "");
    let page: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &page["count"]), (200, &1.into()), "{page}");
    page["calls"][0]["call"].as_str().unwrap().to_owned()
}

/// Audio of this phone is lost from now on, until the answer is set to false.
fn lose_audio_of(lab: &mut Lab, phone: PhoneId) -> Rc<Cell<bool>> {
    let host = lab.handset(phone).phone.config().local.ip();
    let lost = Rc::new(Cell::new(true));
    let now = Rc::clone(&lost);
    lab.lose(move |letter| now.get() && letter.from.ip() == host && letter.bytes.first() == Some(&0x80));
    lost
}

#[test]
fn a_talk_shows_what_each_side_said_and_where_its_packets_come_from() {
    let mut lab = Lab::new();
    let alice = lab.phone_behind_nat("alice", |phone| phone.transport = Transport::Udp);
    lab.register(alice);
    let [bob] = lab.registered(["bob"]);
    lab.dial(alice, "bob");
    lab.pass(seconds(8));
    let call = only_call(&mut lab);
    let (status, page) = lab.call_page(&call);
    assert_eq!((status, &page["state"]), (200, &"talking".into()), "{page}");
    let caller = &page["audio"]["caller"];
    assert_ne!(caller["sdp"], caller["source"], "{page}");
    assert!(caller["received"]["packets"].as_u64() > Some(300), "{page}");
    assert_eq!(caller["findings"][0]["finding"], "behind_nat", "{page}");
    assert_eq!(caller["findings"][0]["trouble"], false, "{page}");
    assert_eq!(page["audio"]["callee"]["findings"], Value::Array(Vec::new()), "{page}");
    // A leg's Call-ID names the call as well.
    let name = page["legs"][0]["call_id"].as_str().unwrap().to_owned();
    assert_eq!(lab.call_page(&name).1["call"], page["call"]);
    lab.hang_up(bob);
    lab.pass(seconds(1));
    // The record of a call outlives it.
    let (status, page) = lab.call_page_now(&call);
    assert_eq!((status, &page["state"], &page["cause"]["code"]), (200, &"ended".into(), &200.into()), "{page}");
    assert_eq!(page["audio"]["caller"]["findings"][0]["finding"], "behind_nat", "{page}");
    assert_eq!(lab.call_page_now("ffff").0, 404);
    let news = lab.audio_news();
    assert!(matches!(news[..], [ref last] if last.news == AudioNews::Closed), "{news:?}");
    lab.finish();
}

#[test]
fn a_party_that_is_not_heard_is_told_of_and_so_is_that_it_is_back() {
    let mut lab = Lab::new();
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    let lost = lose_audio_of(&mut lab, bob);
    lab.pass(seconds(7));
    let [told] = &lab.audio_news()[..] else { panic!("one party is silent") };
    assert_eq!(told.news, AudioNews::Quiet(Party::Callee));
    let [(Party::Callee, finding)] = told.findings[..] else { panic!("{told:?}") };
    assert!(matches!(finding, Finding::Silent { heard_before: true, why: Silence::Lost, .. }), "{finding:?}");
    let call = only_call(&mut lab);
    let page = lab.call_page(&call).1;
    assert_eq!(page["audio"]["callee"]["findings"][0]["why"], "lost", "{page}");
    assert!(page["audio"]["callee"]["findings"][0]["advice"].is_string(), "{page}");
    lost.set(false);
    lab.pass(seconds(2));
    let [back] = &lab.audio_news()[..] else { panic!("it is back") };
    assert_eq!(back.news, AudioNews::Back(Party::Callee));
    lab.hang_up(alice);
    lab.pass(seconds(1));
    let [closed] = &lab.audio_news()[..] else { panic!("it is over") };
    assert_eq!((closed.news, &closed.findings[..]), (AudioNews::Closed, &[][..]), "that is past");
    lab.finish();
}

#[test]
fn the_record_of_a_call_says_who_was_silent_to_its_end() {
    let mut lab = Lab::new();
    let [alice, _] = lab.registered(["alice", "bob"]);
    let lost = lose_audio_of(&mut lab, alice);
    lab.dial(alice, "bob");
    lab.pass(seconds(8));
    lost.set(false);
    lab.hang_up(alice);
    lab.pass(seconds(1));
    let news = lab.audio_news();
    let kinds: Vec<_> = news.iter().map(|told| told.news).collect();
    assert_eq!(kinds, [AudioNews::Quiet(Party::Caller), AudioNews::Closed]);
    let [(Party::Caller, Finding::Silent { heard_before: false, .. })] = news[1].findings[..] else {
        panic!("{news:?}")
    };
    // Not finished as others are: that would listen for what was lost.
}

#[test]
fn a_phone_that_nobody_can_reach_is_named() {
    let mut lab = Lab::new();
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.vanish(bob);
    lab.dial(alice, "bob");
    lab.pass(seconds(40));
    let unreached = lab.unreached();
    let [one] = &unreached[..] else { panic!("one leg: {unreached:?}") };
    assert_eq!((one.party, one.cause.kind), (Party::Callee, Kind::NoAnswer));
    assert!(one.to.as_ref().is_some_and(|to| to.0.contains("bob")), "{one:?}");
    assert!(one.advice().contains("options_ping"));
    let (status, page) = lab.call_page_now(&one.call.to_string());
    assert_eq!((status, &page["unreached"][0]["code"]), (200, &408.into()), "{page}");
    lab.reappear(bob);
    lab.finish();
}
