//! Sessions that change before the answer, a change that is taken back, and texts outside of calls.

use hookswitch_b2bua::Reliable;
use hookswitch_lab::{AgentId, millis, sdp, seconds, switch_sip};
use hookswitch_phone::AnswerPolicy;
use hookswitch_sip::{Body, Event, Flow as Way, RequestOut, Response};
use hookswitch_sip_msg::{HeaderName, Method};

use crate::page::{Flow, Page};

fn reliable(page: Page) -> Flow {
    Flow::on(page, |switch| switch.shard.b2bua.reliable = Reliable::Offered)
}

fn told(flow: &Flow, agent: AgentId, wanted: impl Fn(&Event) -> bool) -> usize {
    flow.lab.agent_events(agent).iter().filter(|(_, event)| wanted(event)).count()
}

#[test]
fn a_callee_moves_its_audio_before_it_answers() {
    let page = [
        "update-before-answer-callee",
        "UPDATE before the answer, by the callee (RFC 3311)",
        "Bob's side plays something, and moves to another port while it still rings. The switch answers; Alice's phone \
         does not notice.",
    ];
    let mut flow = reliable(page);
    let bob = flow.lab.registered_agent("bob");
    let [alice] = flow.phones(["alice"], |_, _| {});
    let [first, second] = [4000, 6000].map(|port| flow.lab.agent_rtp(bob, port));
    flow.lab.dial(alice, "bob");
    flow.lab.pass(millis(100));
    let (dialog, _) = flow.lab.agent_called(bob).expect("bob is called");
    let ringing = Response::new(183).with_body(Body::sdp(sdp(first, "sendrecv"))).reliably();
    flow.lab.agent_acts(bob, |endpoint, now| endpoint.respond(now, dialog, ringing));
    flow.lab.pass(millis(500));
    let offer = Some(Body::sdp(sdp(second, "sendrecv")));
    let sent = flow.lab.agent_acts(bob, |endpoint, now| endpoint.update(now, dialog, 0, offer, Vec::new()));
    sent.expect("its first description is acknowledged");
    flow.lab.pass(millis(500));
    assert_eq!(told(&flow, bob, |event| matches!(event, Event::Updated { .. })), 1);
    assert!(!flow.lab.talks(alice), "nobody has answered");
    flow.lab.agent_responds(bob, 200, None);
    flow.lab.pass(seconds(1));
    assert!(flow.lab.talks(alice));
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn a_caller_moves_its_audio_before_the_answer() {
    let page = [
        "update-before-answer-caller",
        "UPDATE before the answer, by the caller (RFC 3311)",
        "Frank hears what Bob's side plays, reliably announced, and moves to another port before Bob answers. The \
         switch answers his UPDATE; Bob's phone does not notice.",
    ];
    let mut flow = reliable(page);
    let frank = flow.lab.agent("frank");
    let [bob] = flow.phones(["bob"], |_, config| {
        config.answer = AnswerPolicy::Answer { after: seconds(1) };
        config.early_media = true;
    });
    let [first, second] = [4000, 6000].map(|port| flow.lab.agent_rtp(frank, port));
    let dialog = flow.lab.agent_invites(frank, "bob", Some(sdp(first, "sendrecv")));
    flow.lab.pass(millis(500));
    let offer = Some(Body::sdp(sdp(second, "sendrecv")));
    let sent = flow.lab.agent_acts(frank, |endpoint, now| endpoint.update(now, dialog, 0, offer, Vec::new()));
    sent.expect("its offer is answered");
    flow.lab.pass(millis(300));
    assert_eq!(told(&flow, frank, |event| matches!(event, Event::Updated { .. })), 1);
    assert!(!flow.lab.talks(bob));
    flow.lab.pass(seconds(1));
    assert!(flow.lab.talks(bob));
    flow.lab.agent_acts(frank, |endpoint, now| endpoint.ack(now, dialog, None));
    flow.lab.pass(seconds(1));
    flow.lab.agent_acts(frank, |endpoint, now| endpoint.bye(now, dialog, Vec::new()));
    flow.lab.pass(seconds(1));
    flow.finish();
}

#[test]
fn a_caller_offers_anew_when_it_acknowledges_ringing() {
    let page = [
        "prack-with-offer",
        "PRACK with a new offer (RFC 3262)",
        "Frank's phone acknowledges the early audio of Bob and offers another port in the same request. The switch \
         answers in the 200 to it.",
    ];
    let mut flow = reliable(page);
    let frank = flow.lab.agent("frank");
    let [bob] = flow.phones(["bob"], |_, config| {
        config.answer = AnswerPolicy::Answer { after: seconds(1) };
        config.early_media = true;
    });
    // Every word of his is written here.
    flow.lab.vanish(frank);
    flow.lab.begin_ladder();
    let from = flow.lab.agent_rtp(frank, 5060);
    let [first, second] = [4000, 6000].map(|port| sdp(flow.lab.agent_rtp(frank, port), "sendrecv"));
    let say = |flow: &mut Flow, method: &str, cseq: u8, to: &str, more: &str, body: &str| {
        let text = format!(
            "{method} sip:bob@x.test SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{method}\r\nMax-Forwards: 70\r\n\
             From: <sip:frank@x.test>;tag=f\r\nTo: {to}\r\nCall-ID: prack\r\nCSeq: {cseq} {method}\r\n{more}\
             Contact: <sip:frank@{from}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        flow.lab.throw(from, switch_sip(), text);
    };
    say(&mut flow, "INVITE", 1, "<sip:bob@x.test>", "Supported: 100rel\r\n", &first);
    flow.lab.pass(millis(100));
    let ringing = flow.last(frank, "SIP/2.0 183");
    let [to, seq] = [HeaderName::To, HeaderName::RSeq].map(|name| ringing.header_str(name).expect("it has").to_owned());
    say(&mut flow, "PRACK", 2, &to, &format!("RAck: {seq} 1 INVITE\r\n"), &second);
    flow.lab.pass(millis(500));
    let accepted = flow.last(frank, "SIP/2.0 200");
    assert_eq!(accepted.header_str(HeaderName::CSeq), Some("2 PRACK"));
    assert!(!accepted.body_bytes().is_empty(), "our answer");
    flow.lab.pass(millis(600));
    say(&mut flow, "ACK", 1, &to, "", "");
    flow.lab.pass(seconds(1));
    assert!(flow.lab.talks(bob));
    say(&mut flow, "BYE", 3, &to, "", "");
    flow.lab.pass(seconds(1));
    assert!(!flow.lab.in_call(bob));
    flow.finish();
}

#[test]
fn a_change_is_taken_back_at_the_other_phone() {
    let page = [
        "change-direct-taken-back",
        "A re-INVITE that is taken back, audio direct between the phones",
        "With `media.anchor: false` Frank's change is offered to Bob, who thinks about it. Frank takes it back by \
         CANCEL, and so does the switch at Bob's side; the call goes on as it was.",
    ];
    let mut flow = Flow::on(page, |switch| switch.shard.limits.anchor = false);
    let (frank, bob) = (flow.lab.agent("frank"), flow.lab.registered_agent("bob"));
    flow.lab.begin_ladder();
    let [franks, bobs] = [frank, bob].map(|agent| flow.lab.agent_rtp(agent, 4000));
    let dialog = flow.lab.agent_invites(frank, "bob", Some(sdp(franks, "sendrecv")));
    flow.lab.pass(millis(100));
    flow.lab.agent_responds(bob, 200, Some(sdp(bobs, "sendrecv")));
    flow.lab.pass(millis(100));
    flow.lab.agent_acts(frank, |endpoint, now| endpoint.ack(now, dialog, None));
    flow.lab.pass(millis(300));
    let offer = Some(Body::sdp(sdp(flow.lab.agent_rtp(frank, 6000), "sendrecv")));
    let sent = flow.lab.agent_acts(frank, |endpoint, now| endpoint.reinvite(now, dialog, offer, Vec::new()));
    sent.expect("the call stands");
    flow.lab.pass(seconds(1));
    flow.lab.agent_acts(frank, |endpoint, now| endpoint.cancel(now, dialog, None));
    flow.lab.pass(seconds(1));
    assert_eq!(told(&flow, bob, |event| matches!(event, Event::ReinviteCancelled { .. })), 1);
    assert_eq!(told(&flow, frank, |event| matches!(event, Event::ReinviteFailed { status: 487, .. })), 1);
    flow.lab.agent_acts(frank, |endpoint, now| endpoint.bye(now, dialog, Vec::new()));
    flow.lab.pass(seconds(1));
    assert_eq!(told(&flow, bob, |event| matches!(event, Event::Ended { .. })), 1);
    flow.finish();
}

/// Frank writes to somebody.
fn writes(flow: &mut Flow, frank: AgentId, to: &str) {
    let way = Way::udp(flow.lab.agent_rtp(frank, 5060), switch_sip());
    let mut text = RequestOut::new(Method::Message, to, "<sip:frank@x.test>".to_owned(), format!("<{to}>"), way);
    text.body = Some(Body { content_type: "text/plain".into(), bytes: "coffee?".into() });
    flow.lab.agent_acts(frank, |endpoint, now| endpoint.request(now, text)).expect("a request that can be sent");
    flow.lab.pass(millis(100));
}

fn answers(flow: &Flow, agent: AgentId) -> Vec<u16> {
    let events = flow.lab.agent_events(agent).iter();
    let answers = events.filter_map(|(_, event)| match event {
        Event::Response { status, .. } => Some(*status),
        _ => None,
    });
    answers.collect()
}

#[test]
fn a_text_outside_of_a_call_is_delivered() {
    let page = [
        "message-outside",
        "A text outside of a call (MESSAGE, RFC 3428)",
        "Frank writes to Bob without calling. The text goes where a call would, and Bob's answer comes back.",
    ];
    let mut flow = Flow::on(page, |_| {});
    let frank = flow.lab.agent("frank");
    let bob = flow.lab.agent_with("bob", |config| config.allow.push(Method::Message));
    flow.lab.register_agent(bob);
    flow.lab.begin_ladder();
    writes(&mut flow, frank, "sip:bob@x.test");
    let asked = flow.lab.agent_events(bob).iter().find_map(|(_, event)| match event {
        Event::Request { txn, request, .. } => Some((*txn, request.body_bytes().to_vec())),
        _ => None,
    });
    let (txn, body) = asked.expect("the text");
    assert_eq!(body, b"coffee?");
    assert!(answers(&flow, frank).is_empty(), "nobody has answered yet");
    flow.lab.agent_acts(bob, |endpoint, now| endpoint.reply(now, txn, Response::new(200)));
    flow.lab.pass(seconds(1));
    assert_eq!(answers(&flow, frank), [200]);
    flow.finish();
}

#[test]
fn a_text_to_somebody_who_is_not_there_is_refused() {
    let page = [
        "message-outside-nobody",
        "A text to somebody who is not there (MESSAGE, RFC 3428)",
        "Bob has no phone registered: Frank is told 480 at once, and nothing is stored. To a user whom nobody knows it \
         is 404.",
    ];
    let mut flow = Flow::on(page, |_| {});
    let frank = flow.lab.agent("frank");
    let [bob] = flow.phones(["bob"], |_, _| {});
    flow.lab.unregister(bob);
    flow.lab.pass(millis(100));
    flow.lab.begin_ladder();
    writes(&mut flow, frank, "sip:bob@x.test");
    writes(&mut flow, frank, "sip:nobody@x.test");
    assert_eq!(answers(&flow, frank), [480, 404]);
    flow.finish();
}
