//! Transfers beyond those of RFC 5359: by an application, by REFER to the phone, without a subscription, refused, and
//! what Replaces and Join may do.

use hookswitch_call::By;
use hookswitch_lab::{PhoneId, millis, sdp, seconds};
use hookswitch_phone::{AnswerPolicy, EndCause, Event, Hold, Line, ReferPolicy};
use hookswitch_sip::{Header, RequestOut};
use hookswitch_sip_msg::{HeaderName, Method};
use serde_json::json;

use crate::page::{Flow, Page};

const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// Alice and bob talk; carol is there too.
fn talking(page: Page, by: By) -> (Flow, [PhoneId; 3]) {
    let mut flow = Flow::on(page, |switch| switch.shard.limits.transfers = by);
    let [alice, bob, carol] = flow.phones(["alice", "bob", "carol"], |_, _| {});
    flow.talk(alice, bob);
    (flow, [alice, bob, carol])
}

fn blind(flow: &mut Flow, alice: PhoneId) -> hookswitch_lab::AppId {
    let app = flow.lab.app();
    let callid = flow.lab.call_id_of(alice).expect("alice has a call");
    let params = json!({ "callid": callid, "leg": "caller", "destination": "sip:carol@x.test" });
    flow.lab.ask(app, "transfer", "CallBlindTransfer", params);
    app
}

#[test]
fn the_phone_is_asked_to_call() {
    let page = [
        "transfer-by-application-refer",
        "Transfer by an application, done by the phone (REFER)",
        "With `calls.transfers: refer` Alice's phone is asked to call Carol, and reports how far it has come. When it \
         is done its first call is ended.",
    ];
    let (mut flow, [alice, bob, carol]) = talking(page, By::Refer);
    let app = blind(&mut flow, alice);
    flow.lab.pass(seconds(3));
    assert_eq!(flow.lab.heard_by(app).data("transfer", "Error"), None);
    assert!(flow.lab.heard_by(app).running().is_empty());
    assert!(!flow.lab.in_call(bob));
    flow.assert_talking(alice, carol);
    flow.hang_up(&[carol]);
    flow.finish();
}

#[test]
fn a_phone_that_refuses_to_be_transferred() {
    let page = [
        "transfer-refused",
        "A phone that refuses REFER",
        "With `calls.transfers: refer` Alice's phone is asked and refuses. The application is told, and the call goes \
         on as it was.",
    ];
    let (mut flow, [alice, bob, carol]) = talking(page, By::Refer);
    flow.lab.phone_acts(alice, |phone, _| phone.set_refer(ReferPolicy::Refuse(603)));
    let app = blind(&mut flow, alice);
    flow.lab.pass(seconds(3));
    assert!(flow.lab.heard_by(app).data("transfer", "Error").is_some());
    assert!(!flow.lab.in_call(carol));
    flow.assert_talking(alice, bob);
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn a_transfer_by_an_application_to_somebody_busy() {
    let page = [
        "transfer-by-application-busy",
        "Transfer by an application, to somebody busy",
        "Carol is busy: the application is told with the status, and Alice and Bob talk on.",
    ];
    let (mut flow, [alice, bob, carol]) = talking(page, By::Bridge);
    flow.lab.set_answer(carol, AnswerPolicy::BUSY);
    let app = blind(&mut flow, alice);
    flow.lab.pass(seconds(2));
    let error = flow.lab.heard_by(app).data("transfer", "Error").cloned();
    assert_eq!(error, Some(json!("transfer failed with status 486 Busy Here")));
    flow.assert_talking(alice, bob);
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn what_a_phone_asks_is_passed_on() {
    let page = [
        "transfer-passed-on",
        "A phone's REFER, passed on to the other phone",
        "With `calls.transfers: refer` Bob's REFER goes to Alice's phone, which calls Carol; what it reports goes back \
         to Bob.",
    ];
    let (mut flow, [alice, bob, carol]) = talking(page, By::Refer);
    flow.lab.phone_acts(bob, |phone, now| phone.refer(now, "sip:carol@x.test")).expect("a call stands");
    flow.lab.pass(seconds(3));
    assert!(!flow.lab.in_call(bob));
    flow.assert_talking(alice, carol);
    flow.hang_up(&[carol]);
    flow.finish();
}

/// Alice talks to bob, carol to dave; an application connects alice with dave.
fn attended(page: Page, by: By) {
    let mut flow = Flow::on(page, |switch| switch.shard.limits.transfers = by);
    let [alice, bob, carol, dave] = flow.phones(USERS, |_, _| {});
    flow.talk(alice, bob);
    flow.talk(carol, dave);
    let app = flow.lab.app();
    let [one, other] = [alice, dave].map(|phone| flow.lab.call_id_of(phone));
    let params = json!({ "callidA": one, "legA": "caller", "callidB": other, "legB": "callee" });
    flow.lab.ask(app, "join", "CallAttendedTransfer", params);
    flow.lab.pass(seconds(3));
    assert_eq!(flow.lab.heard_by(app).data("join", "Error"), None);
    assert!(!flow.lab.in_call(bob) && !flow.lab.in_call(carol));
    flow.assert_talking(alice, dave);
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn an_application_connects_parties_of_two_calls() {
    attended(
        [
            "transfer-attended-by-application",
            "Attended transfer by an application",
            "Alice talks to Bob and Carol to Dave. An application connects Alice with Dave: Dave's phone is offered \
             Alice's session, and Bob and Carol are let go.",
        ],
        By::Bridge,
    );
}

#[test]
fn an_application_connects_parties_of_two_calls_by_their_phones() {
    attended(
        [
            "transfer-attended-by-application-refer",
            "Attended transfer by an application, done by the phone (REFER)",
            "The same with `calls.transfers: refer`: Alice's phone is asked to call Dave in the place of Carol.",
        ],
        By::Refer,
    );
}

#[test]
fn a_transfer_while_the_new_party_still_rings() {
    let page = [
        "transfer-semi-attended",
        "Transfer, semi-attended (RFC 5589, 7.2)",
        "Bob holds Alice and calls Carol, whose phone rings. He does not wait: his REFER names the call that rings. \
         Carol's phone rings on, and when she answers it is Alice whom she hears.",
    ];
    let mut flow = Flow::on(page, |_| {});
    let [alice, bob, carol] = flow.phones(["alice", "bob", "carol"], |user, config| {
        config.answer = if user == "carol" { AnswerPolicy::Ring } else { config.answer };
    });
    flow.talk(alice, bob);
    flow.lab.hold(bob, Hold::On);
    flow.lab.pass(seconds(1));
    flow.lab.dial(bob, "carol");
    flow.lab.pass(seconds(1));
    let replaces = flow.lab.handset(bob).phone.replaces(Line(1)).expect("carol's phone rings");
    let escaped = replaces.replace('@', "%40").replace(';', "%3B").replace('=', "%3D");
    let to = format!("sip:carol@x.test?Replaces={escaped}");
    let asked = flow.lab.phone_acts(bob, |phone, now| phone.choose(Line(0)).and_then(|()| phone.refer(now, &to)));
    asked.expect("a call stands");
    flow.lab.pass(seconds(2));
    if flow.lab.rings(carol) {
        flow.lab.answer(carol);
    }
    flow.lab.pass(seconds(3));
    assert!(!flow.lab.in_call(bob), "{:?}", flow.lab.handset(bob).events);
    flow.assert_talking(alice, carol);
    flow.hang_up(&[carol]);
    flow.finish();
}

#[test]
fn a_transfer_of_which_nobody_wants_to_hear() {
    let page = [
        "transfer-norefersub",
        "Transfer without reports (RFC 4488)",
        "Frank's REFER says that he does not want to hear what comes of it: the switch agrees, sends no NOTIFY, and \
         hangs up when Alice has somebody to talk to.",
    ];
    let mut flow = Flow::on(page, |_| {});
    let frank = flow.lab.agent("frank");
    let [alice, carol] = flow.phones(["alice", "carol"], |_, _| {});
    let rtp = flow.lab.agent_rtp(frank, 4000);
    let dialog = flow.lab.agent_invites(frank, "alice", Some(sdp(rtp, "sendrecv")));
    flow.lab.pass(seconds(1));
    flow.lab.agent_acts(frank, |endpoint, now| endpoint.ack(now, dialog, None));
    let mut refer = RequestOut::inside(dialog, Method::Refer);
    refer.headers.push(Header::new(HeaderName::ReferTo, "<sip:carol@x.test>"));
    refer.headers.push(Header::new(HeaderName::ReferSub, "false"));
    flow.lab.agent_acts(frank, |endpoint, now| endpoint.request(now, refer)).expect("a call stands");
    flow.lab.pass(millis(500));
    assert_eq!(flow.show(frank, "SIP/2.0 200", &[HeaderName::CSeq, HeaderName::ReferSub])[1], "false");
    flow.lab.pass(seconds(4));
    flow.last(frank, "BYE");
    flow.assert_talking(alice, carol);
    flow.hang_up(&[carol]);
    flow.finish();
}

#[test]
fn a_call_that_stands_is_taken_over() {
    let page = [
        "replaces-answered",
        "A call that stands is taken over (RFC 3891)",
        "Alice and Bob talk. Carol's INVITE names Bob's call: she is put in his place, and his phone is hung up.",
    ];
    let (mut flow, [alice, bob, carol]) = talking(page, By::Bridge);
    let replaces = flow.lab.handset(bob).phone.replaces(Line(0)).expect("bob has a call");
    let header = Header::new(HeaderName::Replaces, replaces.to_string());
    flow.lab.phone_acts(carol, |phone, now| phone.call_with(now, "sip:bob@x.test", vec![header])).expect("a free line");
    flow.lab.pass(seconds(1));
    assert!(!flow.lab.in_call(bob));
    flow.assert_talking(alice, carol);
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn replaces_of_a_call_that_there_is_not() {
    let page = [
        "replaces-unknown",
        "Replaces of a call that is not there (RFC 3891)",
        "Carol's INVITE names a call that nobody has: it is refused with 481, and nobody rings.",
    ];
    let mut flow = Flow::on(page, |_| {});
    let [bob, carol] = flow.phones(["bob", "carol"], |_, _| {});
    let header = Header::new(HeaderName::Replaces, "gone@x.test;to-tag=a;from-tag=b");
    flow.lab.phone_acts(carol, |phone, now| phone.call_with(now, "sip:bob@x.test", vec![header])).expect("a free line");
    flow.lab.pass(seconds(1));
    assert_eq!(flow.lab.refusal_of(carol), Some(481));
    assert!(!flow.lab.in_call(bob));
    flow.finish();
}

#[test]
fn nobody_joins_a_call() {
    let page = [
        "join-refused",
        "Join is refused (RFC 3911)",
        "Carol wants to join the call of Alice and Bob. Where her phone requires it, it is told that this is not \
         understood (420); else the header means nothing, and Bob is called like anybody.",
    ];
    let (mut flow, [alice, bob, carol]) = talking(page, By::Bridge);
    let join = |flow: &Flow| {
        let named = flow.lab.handset(bob).phone.replaces(Line(0)).expect("bob has a call");
        Header::new(HeaderName::Join, named.to_string())
    };
    let required = vec![join(&flow), Header::new(HeaderName::Require, "join")];
    flow.lab.phone_acts(carol, |phone, now| phone.call_with(now, "sip:bob@x.test", required)).expect("a free line");
    flow.lab.pass(seconds(1));
    assert_eq!(flow.lab.refusal_of(carol), Some(420));
    flow.show(carol, "SIP/2.0 420", &[HeaderName::Unsupported]);
    let wished = vec![join(&flow)];
    flow.lab.set_answer(bob, AnswerPolicy::BUSY);
    flow.lab.phone_acts(carol, |phone, now| phone.call_with(now, "sip:bob@x.test", wished)).expect("a free line");
    flow.lab.pass(seconds(1));
    assert!(matches!(flow.lab.end_of(carol), Some(EndCause::Refused { status: 486, .. })));
    flow.assert_talking(alice, bob);
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn whoever_is_transferred_hears_that_it_rings() {
    let page = [
        "transfer-no-answer",
        "Transfer to somebody who does not answer",
        "Bob transfers Alice to Carol, whose phone rings until `calls.ring_time` is over. Bob is told what happens \
         all the time, and at the end he has Alice again.",
    ];
    let mut flow = Flow::on(page, |switch| switch.shard.limits.ring_time = seconds(15));
    let [alice, bob, carol] = flow.phones(["alice", "bob", "carol"], |user, config| {
        config.answer = if user == "carol" { AnswerPolicy::Ring } else { config.answer };
    });
    flow.talk(alice, bob);
    flow.lab.phone_acts(bob, |phone, now| phone.refer(now, "sip:carol@x.test")).expect("a call stands");
    flow.lab.pass(seconds(17));
    let reports: Vec<u16> = flow
        .lab
        .handset(bob)
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::ReferProgress { status, .. } => Some(*status),
            _ => None,
        })
        .collect();
    assert_eq!(reports, [100, 180, 408]);
    assert!(!flow.lab.in_call(carol));
    flow.assert_talking(alice, bob);
    flow.hang_up(&[alice]);
    flow.finish();
}
