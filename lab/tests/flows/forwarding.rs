//! Calls that go to somebody else: RFC 5359, 2.7 to 2.9.

use hookswitch_call::directory::{Forwarding, Layer, Secret};
use hookswitch_call::{Address, Forwards};
use hookswitch_lab::{DOMAIN, PhoneId, SwitchConfig, USERS, seconds};
use hookswitch_phone::AnswerPolicy;
use hookswitch_sip_msg::HeaderName;

use crate::page::{Flow, Page};

/// Bob's calls go elsewhere.
fn forwards(switch: &mut SwitchConfig, forwarding: Forwarding) {
    let users = USERS.map(|name| (name.into(), Secret::new(&format!("{name}-pw"))));
    let layer = Layer { users: users.into(), forwards: [("bob".into(), forwarding)].into(), ..Layer::default() };
    switch.shard.directory.configure(DOMAIN, layer).expect("a forwarding that can be used");
}

fn carol() -> Option<Address> {
    Some(Address::from("sip:carol@x.test"))
}

fn otherwise(forwards: Forwards) -> Forwarding {
    Forwarding { otherwise: forwards, ..Forwarding::default() }
}

fn stage(page: Page, forwarding: Forwarding) -> (Flow, [PhoneId; 3]) {
    let mut flow = Flow::on(page, |switch| forwards(switch, forwarding));
    let phones = flow.phones(["alice", "bob", "carol"], |_, _| {});
    (flow, phones)
}

/// Alice has called bob, and is to talk to carol now, who is told why.
fn assert_forwarded(mut flow: Flow, [alice, bob, carol]: [PhoneId; 3], reason: &str) {
    let [diversion, history] = [HeaderName::Diversion, HeaderName::HistoryInfo];
    let shown = flow.show(carol, "INVITE", &[diversion, history]);
    assert!(shown[0].contains("sip:bob@x.test") && shown[0].contains(reason), "{shown:?}");
    assert!(shown[1].contains("sip:bob@x.test"), "{shown:?}");
    assert!(!flow.lab.in_call(bob));
    flow.assert_talking(alice, carol);
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn always() {
    let page = [
        "rfc5359-2.7-forward-always",
        "Forwarded always (RFC 5359, 2.7)",
        "Bob's calls go to Carol. Bob's phone is not called at all; Alice is told that her call is forwarded (181).",
    ];
    let (mut flow, phones) = stage(page, Forwarding { always: carol(), ..Forwarding::default() });
    flow.lab.dial(phones[0], "bob");
    flow.lab.pass(seconds(1));
    assert_forwarded(flow, phones, "unconditional");
}

#[test]
fn when_busy() {
    let page = [
        "rfc5359-2.8-forward-busy",
        "Forwarded when busy (RFC 5359, 2.8)",
        "Bob is busy, and his calls go to Carol then.",
    ];
    let (mut flow, phones) = stage(page, otherwise(Forwards { busy: carol(), ..Forwards::default() }));
    flow.lab.set_answer(phones[1], AnswerPolicy::BUSY);
    flow.lab.dial(phones[0], "bob");
    flow.lab.pass(seconds(1));
    assert_forwarded(flow, phones, "user-busy");
}

#[test]
fn when_nobody_answers() {
    let page = [
        "rfc5359-2.9-forward-no-answer",
        "Forwarded without an answer (RFC 5359, 2.9)",
        "Bob's phone rings for ten seconds, then it is Carol's turn.",
    ];
    let no_answer = Forwards { no_answer: carol(), no_answer_after: Some(seconds(10)), ..Forwards::default() };
    let (mut flow, phones) = stage(page, otherwise(no_answer));
    flow.lab.set_answer(phones[1], AnswerPolicy::Ring);
    flow.lab.dial(phones[0], "bob");
    flow.lab.pass(seconds(12));
    assert_forwarded(flow, phones, "no-answer");
}

#[test]
fn when_the_phone_cannot_be_reached() {
    let page = [
        "forward-unreachable",
        "Forwarded when nobody can be reached",
        "Bob has taken his registration back, so there is nobody to ring, and the call goes to Carol.",
    ];
    let (mut flow, phones) = stage(page, otherwise(Forwards { unreachable: carol(), ..Forwards::default() }));
    flow.lab.unregister(phones[1]);
    flow.lab.pass(seconds(1));
    flow.lab.begin_ladder();
    flow.lab.dial(phones[0], "bob");
    flow.lab.pass(seconds(1));
    assert_forwarded(flow, phones, "unavailable");
}
