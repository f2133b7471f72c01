//! RFC 5359: services that people know from their telephones.

use hookswitch_lab::{PhoneId, millis, seconds};
use hookswitch_phone::{AnswerPolicy, Event, Hold, Line, Phone};
use serde_json::json;

use crate::page::Flow;

fn talking<const N: usize>(page: [&'static str; 3], users: [&str; N]) -> (Flow, [PhoneId; N]) {
    let (mut flow, phones) = Flow::with(page, users, |_, _| {});
    flow.lab.dial(phones[0], users[1]);
    flow.lab.pass(seconds(1));
    flow.assert_talking(phones[0], phones[1]);
    (flow, phones)
}

fn hang_up_all(flow: &mut Flow, phones: &[PhoneId]) {
    for phone in phones {
        while flow.lab.in_call(*phone) {
            flow.lab.hang_up(*phone);
            flow.lab.pass(millis(500));
        }
    }
}

#[test]
fn call_hold() {
    let (mut flow, [alice, bob]) = talking(
        [
            "rfc5359-2.1-call-hold",
            "Call hold (RFC 5359, 2.1)",
            "The callee's phone puts the caller on hold, and takes it back. The switch answers for the other side, \
             which hears music meanwhile.",
        ],
        ["alice", "bob"],
    );
    flow.lab.hold(bob, Hold::On);
    flow.lab.pass(seconds(1));
    flow.assert_apart(alice, bob);
    flow.lab.hold(bob, Hold::Off);
    flow.lab.pass(seconds(1));
    flow.assert_talking(alice, bob);
    hang_up_all(&mut flow, &[bob]);
    flow.finish();
}

#[test]
fn hold_in_the_two_other_styles() {
    for (name, title, style) in [
        ("rfc5359-2.1-call-hold-inactive", "Call hold with `inactive` (RFC 5359, 2.1)", Hold::Silent),
        ("rfc5359-2.1-call-hold-rfc2543", "Call hold with `0.0.0.0` (RFC 3264, 8.4)", Hold::Nowhere),
    ] {
        let about = "A phone puts the other side on hold in its own style, and takes it back.";
        let (mut flow, [alice, bob]) = talking([name, title, about], ["alice", "bob"]);
        flow.lab.hold(alice, style);
        flow.lab.pass(seconds(1));
        flow.assert_apart(alice, bob);
        flow.lab.hold(alice, Hold::Off);
        flow.lab.pass(seconds(1));
        flow.assert_talking(alice, bob);
        hang_up_all(&mut flow, &[alice]);
        flow.finish();
    }
}

#[test]
fn consultation_hold() {
    let (mut flow, [alice, bob, carol]) = talking(
        [
            "rfc5359-2.2-consultation-hold",
            "Consultation hold (RFC 5359, 2.2)",
            "Bob holds Alice, calls Carol, comes back to Alice.",
        ],
        ["alice", "bob", "carol"],
    );
    flow.lab.hold(bob, Hold::On);
    flow.lab.pass(seconds(1));
    flow.lab.dial(bob, "carol");
    flow.lab.pass(seconds(1));
    flow.assert_talking(bob, carol);
    flow.lab.hang_up(bob);
    flow.lab.pass(seconds(1));
    flow.lab.hold(bob, Hold::Off);
    flow.lab.pass(seconds(1));
    flow.assert_talking(alice, bob);
    assert!(!flow.lab.in_call(carol));
    hang_up_all(&mut flow, &[bob]);
    flow.finish();
}

#[test]
fn transfer_by_an_application() {
    let (mut flow, [alice, bob, carol]) = talking(
        [
            "rfc5359-2.4-transfer-by-application",
            "Transfer by an application",
            "An application transfers the caller to Carol. The switch calls Carol, joins the two and lets Bob go.",
        ],
        ["alice", "bob", "carol"],
    );
    let app = flow.lab.app();
    let callid = flow.lab.call_id_of(alice).expect("alice has a call");
    let destination = "sip:carol@x.test";
    let params = json!({ "callid": callid, "leg": "caller", "destination": destination });
    flow.lab.ask(app, "transfer", "CallBlindTransfer", params);
    flow.lab.pass(seconds(2));
    flow.assert_talking(alice, carol);
    assert!(!flow.lab.in_call(bob));
    hang_up_all(&mut flow, &[carol]);
    flow.finish();
}

#[test]
fn find_me() {
    let page = [
        "rfc5359-2.12-find-me",
        "Find-me (RFC 5359, 2.12)",
        "Two phones of one user ring together. One is picked up, and the other stops.",
    ];
    let mut flow = Flow::new(page[0], page[1], page[2]);
    let alice = flow.phone("alice", |_| {});
    let after = |time| AnswerPolicy::Answer { after: millis(time) };
    let desk = flow.phone("bob", |config| config.answer = after(2_000));
    let pocket = flow.phone("bob", |config| config.answer = after(1_000));
    [alice, desk, pocket].into_iter().for_each(|phone| flow.lab.register(phone));
    flow.lab.begin_ladder();
    flow.lab.dial(alice, "bob");
    flow.lab.pass(seconds(3));
    assert!(!flow.lab.in_call(desk));
    flow.assert_talking(alice, pocket);
    hang_up_all(&mut flow, &[alice]);
    flow.finish();
}

#[test]
fn click_to_dial() {
    let page = [
        "rfc5359-2.18-click-to-dial",
        "Click to dial (RFC 5359, 2.18)",
        "An application connects two users: the switch calls the one, and when it answers the other.",
    ];
    let (mut flow, [alice, bob]) = Flow::with(page, ["alice", "bob"], |_, config| {
        config.answer = AnswerPolicy::Answer { after: millis(500) };
    });
    let app = flow.lab.app();
    flow.lab.start_call(app, "click", "alice", "bob");
    flow.lab.pass(seconds(2));
    flow.assert_talking(alice, bob);
    let _ = flow.lab.phone_acts(bob, Phone::hang_up);
    flow.lab.pass(seconds(1));
    flow.finish();
}

#[test]
fn music_on_hold() {
    let (mut flow, [alice, bob]) = talking(
        [
            "rfc5359-2.3-music-on-hold",
            "Hold by an application, with music (RFC 5359, 2.3)",
            "An application puts both parties on hold and takes them back. The switch plays the music; nobody else is \
             asked for it.",
        ],
        ["alice", "bob"],
    );
    let app = flow.lab.app();
    let callid = flow.lab.call_id_of(alice).expect("alice has a call");
    flow.lab.ask(app, "hold", "CallHold", json!({ "callid": callid.clone() }));
    flow.lab.pass(seconds(1));
    flow.assert_apart(alice, bob);
    flow.lab.ask(app, "unhold", "CallUnhold", json!({ "callid": callid }));
    flow.lab.pass(seconds(1));
    flow.assert_talking(alice, bob);
    assert!(flow.lab.heard_by(app).running().is_empty());
    hang_up_all(&mut flow, &[bob]);
    flow.finish();
}

#[test]
fn transfer_unattended() {
    let (mut flow, [alice, bob, carol]) = talking(
        [
            "rfc5359-2.4-transfer-unattended",
            "Transfer, unattended (RFC 5359, 2.4)",
            "Bob transfers Alice to Carol by REFER. The switch calls Carol and joins the two; Alice need do nothing.",
        ],
        ["alice", "bob", "carol"],
    );
    flow.lab.phone_acts(bob, |phone, now| phone.refer(now, "sip:carol@x.test")).unwrap();
    flow.lab.pass(seconds(2));
    flow.assert_talking(alice, carol);
    assert!(!flow.lab.in_call(bob));
    hang_up_all(&mut flow, &[carol]);
    flow.finish();
}

#[test]
fn transfer_unattended_to_somebody_busy() {
    let (mut flow, [alice, bob, carol]) = talking(
        [
            "rfc5359-2.4-transfer-busy",
            "Transfer to somebody busy (RFC 5359, 2.4)",
            "Bob transfers Alice to Carol, who is busy: Bob is told, and he and Alice talk on.",
        ],
        ["alice", "bob", "carol"],
    );
    flow.lab.set_answer(carol, AnswerPolicy::BUSY);
    flow.lab.phone_acts(bob, |phone, now| phone.refer(now, "sip:carol@x.test")).unwrap();
    flow.lab.pass(seconds(2));
    let told = Event::ReferProgress { status: 486, is_last: true };
    assert!(flow.lab.handset(bob).events.iter().any(|(_, event)| *event == told));
    flow.assert_talking(alice, bob);
    hang_up_all(&mut flow, &[bob]);
    flow.finish();
}

#[test]
fn transfer_attended() {
    let (mut flow, [alice, bob, carol]) = talking(
        [
            "rfc5359-2.5-transfer-attended",
            "Transfer, attended (RFC 5359, 2.5)",
            "Bob holds Alice, talks to Carol, and connects the two: the REFER names the call with Carol as the one to \
             be replaced.",
        ],
        ["alice", "bob", "carol"],
    );
    flow.lab.hold(bob, Hold::On);
    flow.lab.pass(seconds(1));
    flow.lab.dial(bob, "carol");
    flow.lab.pass(seconds(1));
    let joined =
        flow.lab.phone_acts(bob, |phone, now| phone.choose(Line(0)).and_then(|()| phone.refer_to_line(now, Line(1))));
    joined.unwrap();
    flow.lab.pass(seconds(2));
    flow.assert_talking(alice, carol);
    assert!(!flow.lab.in_call(bob));
    hang_up_all(&mut flow, &[carol]);
    flow.finish();
}

#[test]
fn call_pickup() {
    let page = [
        "rfc5359-2.16-call-pickup",
        "Call pickup (RFC 5359, 2.16)",
        "Alice calls Bob, whose phone rings. Carol takes the call: her INVITE replaces Bob's.",
    ];
    let (mut flow, [alice, bob, carol]) = Flow::with(page, ["alice", "bob", "carol"], |user, config| {
        config.answer = if user == "bob" { AnswerPolicy::Ring } else { config.answer };
    });
    flow.lab.dial(alice, "bob");
    flow.lab.pass(seconds(1));
    let replaces = flow.lab.handset(bob).phone.replaces(Line(0)).expect("bob's phone rings");
    let header = hookswitch_sip::Header::new(hookswitch_sip_msg::HeaderName::Replaces, replaces.to_string());
    flow.lab.phone_acts(carol, |phone, now| phone.call_with(now, "sip:bob@x.test", vec![header])).unwrap();
    flow.lab.pass(seconds(2));
    assert!(!flow.lab.in_call(bob));
    flow.assert_talking(alice, carol);
    hang_up_all(&mut flow, &[alice]);
    flow.finish();
}
