//! RFC 5407: requests and answers that cross on their way.

use hookswitch_lab::{PhoneId, millis, seconds};
use hookswitch_phone::{AnswerPolicy, Hold, PhoneConfig};

use serde_json::json;

use crate::page::Flow;

/// How long a packet is on its way in clear weather.
const WAY: u64 = 5;

fn pair(page: [&'static str; 3], change: impl Fn(&str, &mut PhoneConfig)) -> (Flow, [PhoneId; 2]) {
    Flow::with(page, ["alice", "bob"], change)
}

fn talking(page: [&'static str; 3]) -> (Flow, [PhoneId; 2]) {
    let (mut flow, [alice, bob]) = pair(page, |_, _| {});
    flow.lab.dial(alice, "bob");
    flow.lab.pass(seconds(1));
    flow.assert_talking(alice, bob);
    (flow, [alice, bob])
}

/// Loses the first ACK that a caller sends for an answer of the switch.
fn lose_first_ack(flow: &mut Flow) {
    let mut lost = false;
    flow.lab.lose(move |letter| {
        let loses = !lost && letter.begins("ACK sip:") && letter.bytes.windows(9).any(|part| part == b"@10.0.0.1");
        lost |= loses;
        loses
    });
}

fn assert_over(flow: &Flow, phones: &[PhoneId]) {
    for phone in phones {
        assert!(!flow.lab.in_call(*phone), "{:?}", flow.lab.handset(*phone).events);
    }
}

#[test]
fn an_invite_is_repeated_behind_its_answer() {
    let (mut flow, [alice, bob]) = pair(
        [
            "rfc5407-3.1.1-invite-again",
            "An INVITE again, behind its answer (RFC 5407, 3.1.1)",
            "The 200 is lost. The caller repeats its INVITE and the switch its answer: there is one call.",
        ],
        |_, _| {},
    );
    let mut lost = 0;
    flow.lab.lose(move |letter| {
        let is_answer =
            letter.begins("SIP/2.0 200") && letter.from.port() == 5060 && letter.from.ip().to_string() == "10.0.0.1";
        let loses = is_answer && lost == 0;
        lost += u32::from(loses);
        loses
    });
    flow.lab.dial(alice, "bob");
    flow.lab.pass(seconds(2));
    flow.assert_talking(alice, bob);
    assert_eq!(flow.lab.calls().len(), 1);
    flow.lab.hang_up(alice);
    flow.lab.pass(seconds(1));
    flow.finish();
}

#[test]
fn a_cancel_crosses_the_answer() {
    let (mut flow, [alice, bob]) = pair(
        [
            "rfc5407-3.1.2-cancel-crosses-answer",
            "CANCEL crosses the answer (RFC 5407, 3.1.2)",
            "The caller gives up while the answer is on its way. It acknowledges the answer and hangs up.",
        ],
        |_, config| config.answer = AnswerPolicy::Ring,
    );
    flow.lab.dial(alice, "bob");
    flow.lab.pass(seconds(1));
    flow.lab.answer(bob);
    flow.lab.pass(millis(WAY + 2));
    flow.lab.hang_up(alice);
    flow.lab.pass(seconds(1));
    assert_over(&flow, &[alice, bob]);
    flow.finish();
}

#[test]
fn a_change_comes_before_the_ack() {
    let (mut flow, [alice, bob]) = pair(
        [
            "rfc5407-3.1.4-change-before-ack",
            "re-INVITE before the ACK (RFC 5407, 3.1.4)",
            "The ACK is lost and the caller holds at once. Who sends a re-INVITE has got the answer: it is accepted.",
        ],
        |_, _| {},
    );
    lose_first_ack(&mut flow);
    flow.lab.dial(alice, "bob");
    flow.lab.pass(millis(40));
    flow.lab.hold(alice, Hold::On);
    flow.lab.pass(seconds(1));
    flow.assert_apart(alice, bob);
    flow.lab.hang_up(alice);
    flow.lab.pass(seconds(1));
    flow.finish();
}

#[test]
fn a_change_comes_before_the_ack_that_owes_an_answer() {
    let (mut flow, [alice, bob]) = pair(
        [
            "rfc5407-3.1.5-change-before-answer",
            "re-INVITE before the ACK with the answer (RFC 5407, 3.1.5)",
            "The same where the ACK carries the answer to the switch's offer: a second offer has to wait (491).",
        ],
        |user, config| config.late_offer = user == "alice",
    );
    lose_first_ack(&mut flow);
    flow.lab.dial(alice, "bob");
    flow.lab.pass(millis(40));
    flow.lab.hold(alice, Hold::On);
    flow.lab.pass(seconds(6));
    flow.assert_apart(alice, bob);
    flow.lab.hang_up(alice);
    flow.lab.pass(seconds(1));
    flow.finish();
}

#[test]
fn a_bye_comes_before_the_ack() {
    let (mut flow, [alice, bob]) = pair(
        [
            "rfc5407-3.1.6-bye-before-ack",
            "BYE before the ACK (RFC 5407, 3.1.6)",
            "The ACK is lost and the caller hangs up at once. The call is over, and no answer is repeated any more.",
        ],
        |_, _| {},
    );
    lose_first_ack(&mut flow);
    flow.lab.dial(alice, "bob");
    flow.lab.pass(millis(40));
    flow.lab.hang_up(alice);
    flow.lab.pass(seconds(2));
    assert_over(&flow, &[alice, bob]);
    flow.finish();
}

#[test]
fn a_bye_crosses_a_bye() {
    let (mut flow, [alice, bob]) = talking([
        "rfc5407-3.2.1-bye-crosses-bye",
        "BYE crosses BYE (RFC 5407, 3.2.1)",
        "Both hang up at the same moment.",
    ]);
    flow.lab.hang_up(alice);
    flow.lab.hang_up(bob);
    flow.lab.pass(seconds(1));
    assert_over(&flow, &[alice, bob]);
    flow.finish();
}

#[test]
fn the_answer_to_a_change_crosses_a_bye() {
    let (mut flow, [alice, bob]) = talking([
        "rfc5407-3.2.3-answer-crosses-bye",
        "The answer to a re-INVITE crosses BYE (RFC 5407, 3.2.3)",
        "The caller holds and hangs up before the answer has come.",
    ]);
    flow.lab.hold(alice, Hold::On);
    flow.lab.hang_up(alice);
    flow.lab.pass(seconds(1));
    assert_over(&flow, &[alice, bob]);
    flow.finish();
}

#[test]
fn an_ack_crosses_a_bye() {
    let (mut flow, [alice, bob]) = pair(
        [
            "rfc5407-3.2.4-ack-crosses-bye",
            "ACK crosses BYE (RFC 5407, 3.2.4)",
            "The callee answers and hangs up before the ACK has come.",
        ],
        |_, config| config.answer = AnswerPolicy::Ring,
    );
    flow.lab.dial(alice, "bob");
    flow.lab.pass(seconds(1));
    flow.lab.answer(bob);
    flow.lab.pass(millis(WAY + 1));
    flow.lab.hang_up(bob);
    flow.lab.pass(seconds(2));
    assert_over(&flow, &[alice, bob]);
    flow.finish();
}

#[test]
fn a_refer_crosses_a_bye() {
    let (mut flow, [alice, bob]) = talking([
        "rfc5407-3.3.3-refer-crosses-bye",
        "REFER crosses BYE (RFC 5407, 3.3.3)",
        "The caller transfers at the moment at which the callee has hung up: the REFER finds no call any more.",
    ]);
    flow.lab.hang_up(bob);
    flow.lab.pass(millis(WAY));
    flow.lab.phone_acts(alice, |phone, now| phone.refer(now, "sip:carol@x.test")).unwrap();
    flow.lab.pass(seconds(1));
    assert_over(&flow, &[alice, bob]);
    flow.finish();
}

#[test]
fn a_change_crosses_a_bye() {
    let (mut flow, [alice, bob]) = talking([
        "rfc5407-3.2.2-change-crosses-bye",
        "re-INVITE crosses BYE (RFC 5407, 3.2.2)",
        "An application holds the call at the moment at which the caller hangs up. The change is refused, the call \
         ends, and the application is told once.",
    ]);
    let app = flow.lab.app();
    let callid = flow.lab.call_id_of(alice).expect("alice has a call");
    flow.lab.ask(app, "hold", "CallHold", json!({ "callid": callid }));
    flow.lab.hang_up(alice);
    flow.lab.pass(seconds(1));
    assert_over(&flow, &[alice, bob]);
    assert!(flow.lab.heard_by(app).running().is_empty());
    flow.finish();
}

#[test]
fn a_change_crosses_a_change() {
    let (mut flow, [alice, bob]) = talking([
        "rfc5407-3.3.1-change-crosses-change",
        "re-INVITE crosses re-INVITE (RFC 5407, 3.3.1)",
        "An application takes the call on hold while the caller's phone does the same. Both are refused with 491 and \
         tried again after different times.",
    ]);
    let app = flow.lab.app();
    let callid = flow.lab.call_id_of(alice).expect("alice has a call");
    flow.lab.ask(app, "hold", "CallHold", json!({ "callid": callid, "leg": "caller" }));
    flow.lab.hold(alice, Hold::On);
    flow.lab.pass(seconds(8));
    assert!(flow.lab.heard_by(app).running().is_empty());
    assert_eq!(flow.lab.heard_by(app).data("hold", "Error"), None);
    flow.assert_apart(alice, bob);
    flow.lab.hang_up(alice);
    flow.lab.pass(seconds(1));
    flow.finish();
}
