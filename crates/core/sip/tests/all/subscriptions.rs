//! Subscriptions from the notifier's side: who is told when, in which order, and how they end.

use std::time::Duration;

use crate::support::lone::Lone;
use crate::support::{HERE, addr, config};
use hookswitch_sip::subscription::{
    Change, End, Key, Outcome, RETRY_AFTER, Refused, SEQ_BLOCK, Subscription, SubscriptionConfig, Subscriptions, Topic,
    WAKE_BATCH, WAKE_GAP,
};
use hookswitch_sip::{Event, FailCause, Response, Transport, TxnId};
use hookswitch_sip_msg::{HeaderName, Message, Method};

const GAP: Duration = Duration::from_secs(1);
const OK: Outcome = Outcome::Answered(200, FailCause::Response);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn lamp(user: &str) -> Topic {
    Topic { package: "dialog".into(), resource: format!("{user}@x.test").into() }
}

/// A notifier with its endpoint.
struct Rig {
    lone: Lone,
    it: Subscriptions,
}

impl Rig {
    fn new(limits: SubscriptionConfig) -> Rig {
        let mut config = config(addr(HERE));
        config.allow.push(Method::Subscribe);
        Rig { lone: Lone::with(Transport::Udp, config), it: Subscriptions::new(limits) }
    }

    /// A SUBSCRIBE arrives.
    fn hear(&mut self, call: u32, cseq: u32, tag: &str, more: &str) -> Option<(TxnId, Message)> {
        let tag = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
        self.lone.hear(&format!(
            "SUBSCRIBE sip:bob@x.test SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK-{call}-{cseq}\n\
             Max-Forwards: 70\nFrom: <sip:alice@x.test>;tag=a\nTo: <sip:bob@x.test>{tag}\nCall-ID: s{call}\n\
             CSeq: {cseq} SUBSCRIBE\nContact: <sip:alice@10.0.0.2>\nEvent: dialog\n{more}Content-Length: 0\n\n"
        ));
        match self.lone.events.pop() {
            Some(Event::Request { txn, dialog: None, request, .. }) => Some((txn, request)),
            _ => None,
        }
    }

    fn open(&mut self, call: u32, granted: Duration) -> Key {
        let (txn, request) = self.hear(call, 1, "", "").expect("a SUBSCRIBE");
        let dialog = self.lone.endpoint.dialog_of(&request, self.lone.flow).expect("a dialog");
        self.lone.endpoint.reply_in(self.lone.now, txn, &dialog, Response::new(200));
        self.lone.drain();
        self.it.open(self.lone.now, Subscription::new(lamp("bob"), None, "alice@x.test", dialog), granted)
    }

    /// Sends what is due: the state that each NOTIFY tells.
    fn tell(&mut self) -> Vec<(Key, String)> {
        let mut told = Vec::new();
        while let Some(key) = self.it.poll() {
            let Some(notice) = self.it.begin(self.lone.now, key, GAP) else { continue };
            let dialog = self.it.dialog_mut(key).expect("it is there");
            let sent = self.lone.endpoint.request_in(self.lone.now, dialog, Method::Notify, &[], None);
            self.it.sent(self.lone.now, key, sent.map(drop).map_err(|_| Outcome::NotSent));
            told.push((key, notice.state.to_string()));
        }
        self.lone.drain();
        told
    }

    fn pass(&mut self, time: Duration) -> Vec<(Key, String)> {
        let until = self.lone.now + time;
        let mut told = Vec::new();
        while let Some(at) = self.it.poll_timeout().filter(|at| *at <= until) {
            self.lone.now = self.lone.now.max(at);
            self.it.handle_timeout(self.lone.now);
            told.extend(self.tell());
        }
        self.lone.now = until;
        told
    }

    fn stored(&mut self) -> Vec<Change> {
        std::iter::from_fn(|| self.it.poll_change()).collect()
    }
}

fn rig() -> Rig {
    Rig::new(SubscriptionConfig::default())
}

#[test]
fn a_subscription_is_answered_and_told_at_once_in_one_dialog() {
    let mut rig = rig();
    let (txn, request) = rig.hear(1, 1, "", "Record-Route: <sip:10.0.0.9;lr>\n").expect("a SUBSCRIBE");
    let dialog = rig.lone.endpoint.dialog_of(&request, rig.lone.flow).expect("a dialog");
    let tag = dialog.local_tag().to_owned();
    rig.lone.endpoint.reply_in(rig.lone.now, txn, &dialog, Response::new(200));
    let key = rig.it.open(rig.lone.now, Subscription::new(lamp("bob"), None, "alice@x.test", dialog), secs(600));
    assert_eq!(rig.tell(), [(key, "active;expires=600".to_owned())]);
    let [answer, notify] = &rig.lone.sent[..] else { panic!("{:?}", rig.lone.sent) };
    assert_eq!((answer.status(), answer.to_tag()), (200, tag.clone()));
    assert_eq!(answer.header(HeaderName::RecordRoute), "<sip:10.0.0.9;lr>");
    assert!(answer.header(HeaderName::Contact).starts_with("<sip:bob@"), "{}", answer.text);
    assert_eq!(notify.word(), "NOTIFY");
    assert_eq!(notify.message.request_uri(), Some("sip:alice@10.0.0.2"));
    assert_eq!(notify.header(HeaderName::Route), "<sip:10.0.0.9;lr>");
    assert_eq!((notify.tag_of_from(), notify.to_tag()), (tag, "a".to_owned()));
    assert_eq!((notify.header(HeaderName::CallId), notify.header(HeaderName::CSeq)), ("s1", "1 NOTIFY"));
    assert!(notify.flow.remote == addr("10.0.0.9:5060"), "{:?}", notify.flow);
}

#[test]
fn one_notify_at_a_time_and_the_newest_state_wins() {
    let mut rig = rig();
    let key = rig.open(1, secs(600));
    assert_eq!(rig.tell().len(), 1);
    for _ in 0..3 {
        rig.it.changed(rig.lone.now, &lamp("bob"));
        rig.it.changed(rig.lone.now, &lamp("carol"));
    }
    assert_eq!(rig.pass(secs(5)), [], "the first has no answer yet");
    rig.it.answered(rig.lone.now, key, OK);
    assert_eq!(rig.tell().len(), 1, "three changes are one word");
    rig.it.answered(rig.lone.now, key, OK);
    assert_eq!(rig.pass(secs(5)), [], "nothing new");
}

#[test]
fn words_keep_the_gap_of_their_package() {
    let mut rig = rig();
    let key = rig.open(1, secs(600));
    rig.tell();
    rig.it.answered(rig.lone.now, key, OK);
    rig.it.changed(rig.lone.now, &lamp("bob"));
    assert_eq!(rig.tell(), []);
    assert_eq!(rig.pass(GAP - Duration::from_millis(1)), []);
    assert_eq!(rig.pass(Duration::from_millis(1)).len(), 1);
}

#[test]
fn a_refresh_gives_more_time_and_is_told_at_once() {
    let mut rig = rig();
    let key = rig.open(1, secs(600));
    rig.tell();
    rig.it.answered(rig.lone.now, key, OK);
    rig.pass(secs(500));
    let tag = rig.it.get(key).expect("it").dialog.local_tag().to_owned();
    let (_, request) = rig.hear(1, 2, &tag, "").expect("the SUBSCRIBE comes through although no call has that tag");
    assert_eq!(rig.it.find("s1", &tag, "a", ("Dialog", None)), Some(key));
    assert_eq!(rig.it.find("s1", &tag, "b", ("dialog", None)), None);
    assert_eq!(rig.it.find("s1", &tag, "a", ("presence", None)), None);
    assert_eq!(rig.it.find("s1", &tag, "a", ("dialog", Some("7"))), None);
    let flow = rig.lone.flow;
    let dialog = rig.it.dialog_mut(key).expect("it");
    assert!(dialog.accept(&request, flow));
    assert!(!dialog.accept(&request, flow), "the same number again is out of order");
    rig.it.refresh(rig.lone.now, key, secs(600));
    assert_eq!(rig.tell(), [(key, "active;expires=600".to_owned())]);
    rig.it.answered(rig.lone.now, key, OK);
    assert_eq!(rig.pass(secs(599)), []);
    assert_eq!(rig.pass(secs(1)), [(key, "terminated;reason=timeout".to_owned())]);
    assert!(rig.it.is_empty() && !rig.it.is_watched(&lamp("bob")) && rig.it.poll_timeout().is_none());
}

#[test]
fn a_fetch_is_told_once_and_never_stored() {
    let mut rig = rig();
    let key = rig.open(1, Duration::ZERO);
    assert_eq!(rig.tell(), [(key, "terminated;reason=timeout".to_owned())]);
    assert!(rig.it.is_empty());
    assert_eq!(rig.stored(), [Change::Removed { key, stored: false }]);
}

#[test]
fn an_end_waits_for_the_word_under_way_and_is_the_last() {
    for (why, text) in [
        (End::NoResource, "terminated;reason=noresource"),
        (End::Deactivated, "terminated;reason=deactivated"),
        (End::Probation(30), "terminated;reason=probation;retry-after=30"),
        (End::Rejected, "terminated;reason=rejected"),
    ] {
        let mut rig = rig();
        let key = rig.open(1, secs(600));
        rig.tell();
        rig.it.end_topic(rig.lone.now, &lamp("bob"), why);
        assert_eq!(rig.tell(), []);
        rig.it.answered(rig.lone.now, key, OK);
        assert_eq!(rig.tell(), [(key, text.to_owned())]);
        assert!(rig.it.is_empty());
        rig.it.answered(rig.lone.now, key, OK);
    }
}

#[test]
fn a_subscriber_that_is_gone_is_forgotten_and_one_in_trouble_is_not() {
    for (status, why, stays) in [
        (481, FailCause::Response, false),
        (489, FailCause::Response, false),
        (408, FailCause::Timeout, false),
        (503, FailCause::Unreachable, false),
        (500, FailCause::Response, true),
        (503, FailCause::Response, true),
        (401, FailCause::Response, true),
    ] {
        let mut rig = rig();
        let key = rig.open(1, secs(600));
        rig.tell();
        rig.it.answered(rig.lone.now, key, Outcome::Answered(status, why));
        assert_eq!(rig.it.get(key).is_some(), stays, "{status} {why:?}");
        assert_eq!(rig.tell(), []);
    }
}

#[test]
fn what_there_was_no_room_for_is_tried_again() {
    let mut rig = rig();
    for granted in [secs(600), Duration::ZERO] {
        let key = rig.open(1 + granted.as_secs() as u32, granted);
        assert_eq!(rig.it.poll(), Some(key));
        assert!(rig.it.begin(rig.lone.now, key, GAP).is_some());
        rig.it.sent(rig.lone.now, key, Err(Outcome::NotSent));
        assert_eq!(rig.tell(), []);
        assert_eq!(rig.pass(RETRY_AFTER).len(), 1);
        rig.it.answered(rig.lone.now, key, OK);
    }
}

#[test]
fn time_and_number_are_limited() {
    let config = SubscriptionConfig { max_subscriptions: 2, max_per_user: 1, ..SubscriptionConfig::default() };
    let mut rig = Rig::new(config);
    assert_eq!(rig.it.grant(None), Ok(secs(3_600)));
    assert_eq!(rig.it.grant(Some(90)), Ok(secs(90)));
    assert_eq!(rig.it.grant(Some(u32::MAX)), Ok(secs(3_600)));
    assert_eq!(rig.it.grant(Some(59)), Err(Refused::TooBrief(secs(60))));
    assert_eq!(rig.it.grant(Some(0)), Ok(Duration::ZERO));
    assert_eq!(rig.it.room("alice@x.test"), Ok(()));
    rig.open(1, secs(600));
    assert_eq!(rig.it.room("alice@x.test"), Err(Refused::TooMany));
    assert_eq!(rig.it.room("bob@x.test"), Ok(()));
    rig.open(2, secs(600));
    assert_eq!(rig.it.room("bob@x.test"), Err(Refused::Full));
}

#[test]
fn a_restart_goes_on_in_the_same_dialog_behind_the_old_numbers() {
    let mut rig = rig();
    let key = rig.open(1, secs(600));
    rig.tell();
    rig.it.answered(rig.lone.now, key, OK);
    // As many words as take the numbers that were stored ahead.
    let mut stored = rig.stored();
    for _ in 0..=SEQ_BLOCK {
        rig.pass(GAP);
        rig.it.changed(rig.lone.now, &lamp("bob"));
        assert_eq!(rig.tell().len(), 1);
        rig.it.answered(rig.lone.now, key, OK);
    }
    stored.extend(rig.stored());
    let [Change::Put(_), Change::Put(last)] = &stored[..] else { panic!("{} writes", stored.len()) };
    let used = rig.it.get(key).expect("it").dialog.local_seq();
    let text = serde_json::to_string(last).expect("plain data");
    let restored: Subscription = serde_json::from_str(&text).expect("what we wrote");
    rig.it = Subscriptions::new(SubscriptionConfig::default());
    assert!(rig.it.restore(restored.clone()) && !rig.it.restore(restored));
    assert_eq!(rig.tell(), [], "not before time passes");
    rig.lone.sent.clear();
    let told = rig.pass(secs(1));
    assert!(told.len() == 1 && told[0].1.starts_with("active;expires="), "{told:?}");
    let [notify] = &rig.lone.sent[..] else { panic!() };
    assert_eq!((notify.header(HeaderName::CallId), notify.to_tag()), ("s1", "a".to_owned()));
    let cseq = notify.message.cseq().expect("CSeq").number;
    assert!(cseq > used, "{cseq} {used}");
}

#[test]
fn a_start_is_no_storm_and_what_ended_meanwhile_is_told() {
    let mut rig = rig();
    let many = WAKE_BATCH + 10;
    for call in 0..many {
        rig.open(call as u32, secs(if call == 0 { 60 } else { 600 }));
    }
    let stored = rig.stored();
    rig.it = Subscriptions::new(SubscriptionConfig::default());
    for change in stored {
        let Change::Put(it) = change else { panic!() };
        assert!(rig.it.restore(*it));
    }
    rig.lone.now += secs(60);
    rig.it.handle_timeout(rig.lone.now);
    let first = rig.tell();
    assert_eq!(first.len(), WAKE_BATCH);
    assert!(first.iter().any(|(_, state)| state == "terminated;reason=timeout"), "{first:?}");
    assert_eq!(rig.pass(WAKE_GAP).len(), 10);
    assert_eq!(rig.it.len(), many - 1);
    let next = rig.it.iter().map(|it| it.key.0).max();
    let new = rig.open(1_000, secs(600));
    assert!(next.is_some_and(|next| new.0 > next), "a new one has a new name");
}
