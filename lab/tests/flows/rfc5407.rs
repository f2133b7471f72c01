//! RFC 5407: requests and answers that cross on their way.

use hookswitch_lab::{PhoneId, millis, sdp, seconds, switch_sip};
use hookswitch_phone::{AnswerPolicy, Hold, Phone, PhoneConfig};
use hookswitch_sip_msg::HeaderName;

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
    assert!(flow.lab.in_call(alice) && flow.lab.in_call(bob), "{:?}", flow.lab.end_of(alice));
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
    assert!(flow.lab.in_call(alice) && flow.lab.in_call(bob), "{:?}", flow.lab.end_of(alice));
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
            "The ACK is lost and the caller hangs up at once. The call is over; the answer is repeated until it has its ACK.",
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
    assert!(flow.lab.in_call(alice) && flow.lab.in_call(bob), "{:?}", flow.lab.end_of(alice));
    flow.assert_apart(alice, bob);
    flow.lab.hang_up(alice);
    flow.lab.pass(seconds(1));
    flow.finish();
}

#[test]
fn a_bye_of_the_early_dialog_crosses_the_answer() {
    let page = [
        "rfc5407-3.1.3-early-bye-crosses-answer",
        "BYE of an early dialog crosses the answer (RFC 5407, 3.1.3)",
        "Frank gives up by BYE while Bob's phone rings, and Bob answers at that moment. The BYE is accepted, the \
         answer is repeated until Frank has acknowledged it, and Bob is hung up.",
    ];
    let mut flow = Flow::on(page, |_| {});
    let frank = flow.lab.agent("frank");
    let [bob] = flow.phones(["bob"], |_, config| config.answer = AnswerPolicy::Ring);
    // Every word of his is written here.
    flow.lab.vanish(frank);
    flow.lab.begin_ladder();
    let (from, body) = (flow.lab.agent_rtp(frank, 5060), sdp(flow.lab.agent_rtp(frank, 4000), "sendrecv"));
    let say = |flow: &mut Flow, method: &str, cseq: u8, to: &str, body: &str| {
        let text = format!(
            "{method} sip:bob@x.test SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{method}\r\nMax-Forwards: 70\r\n\
             From: <sip:frank@x.test>;tag=f\r\nTo: {to}\r\nCall-ID: early\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:frank@{from}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        flow.lab.throw(from, switch_sip(), text);
    };
    say(&mut flow, "INVITE", 1, "<sip:bob@x.test>", &body);
    flow.lab.pass(seconds(1));
    let ringing = flow.last(frank, "SIP/2.0 180");
    let to = ringing.header_str(HeaderName::To).expect("a To").to_owned();
    flow.lab.answer(bob);
    flow.lab.pass(millis(2));
    say(&mut flow, "BYE", 2, &to, "");
    flow.lab.pass(millis(600));
    assert!(flow.last(frank, "SIP/2.0 200").header_str(HeaderName::CSeq).is_some(), "both are answered");
    say(&mut flow, "ACK", 1, &to, "");
    flow.lab.pass(seconds(2));
    assert_over(&flow, &[bob]);
    flow.finish();
}

#[test]
fn an_update_crosses_a_change() {
    let (mut flow, [alice, bob]) = talking([
        "rfc5407-3.3.2-update-crosses-change",
        "UPDATE crosses re-INVITE (RFC 5407, 3.3.2)",
        "An application puts Alice on hold while her phone offers its session by UPDATE. Both offers are refused with \
         491 and made again after different times.",
    ]);
    let app = flow.lab.app();
    let callid = flow.lab.call_id_of(alice).expect("alice has a call");
    flow.lab.ask(app, "hold", "CallHold", json!({ "callid": callid, "leg": "caller" }));
    flow.lab.phone_acts(alice, Phone::update).expect("the switch takes UPDATE");
    flow.lab.pass(seconds(8));
    assert!(flow.lab.heard_by(app).running().is_empty());
    assert_eq!(flow.lab.heard_by(app).data("hold", "Error"), None);
    assert!(flow.lab.in_call(alice) && flow.lab.in_call(bob), "{:?}", flow.lab.end_of(alice));
    flow.assert_apart(alice, bob);
    flow.lab.hang_up(alice);
    flow.lab.pass(seconds(1));
    flow.finish();
}

#[test]
fn a_change_crosses_a_change_and_the_phone_is_first_to_try_again() {
    let (mut flow, [alice, bob]) = talking([
        "rfc5407-3.3.1-change-crosses-change-of-callee",
        "re-INVITE crosses re-INVITE, towards the callee (RFC 5407, 3.3.1)",
        "The same on the side that the switch has called: there the phone waits the shorter time. Its second attempt \
         is refused as well, since the application's hold is still to be asked for; its third one is accepted.",
    ]);
    let app = flow.lab.app();
    let callid = flow.lab.call_id_of(alice).expect("alice has a call");
    flow.lab.ask(app, "hold", "CallHold", json!({ "callid": callid, "leg": "callee" }));
    flow.lab.hold(bob, Hold::On);
    flow.lab.pass(seconds(8));
    assert!(flow.lab.heard_by(app).running().is_empty());
    assert_eq!(flow.lab.heard_by(app).data("hold", "Error"), None);
    assert!(flow.lab.in_call(alice) && flow.lab.in_call(bob), "{:?}", flow.lab.end_of(bob));
    flow.assert_apart(alice, bob);
    flow.lab.hang_up(alice);
    flow.lab.pass(seconds(1));
    flow.finish();
}
