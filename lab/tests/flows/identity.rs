//! Who is told who calls, and phones that are to answer by themselves.

use hookswitch_b2bua::route::Route;
use hookswitch_lab::{millis, sdp, seconds, switch_sip};
use hookswitch_sip::{Body, Flow as Way, Header, Invite};
use hookswitch_sip_msg::HeaderName;

use crate::page::Flow;

const ASSERTED: HeaderName = HeaderName::PAssertedIdentity;

#[test]
fn a_caller_that_wishes_to_stay_unknown() {
    let page = [
        "identity-anonymous",
        "A caller that wishes to stay unknown (RFC 3323, RFC 3325)",
        "Frank comes from a trusted network, which asserts who he is, and asks for privacy. Bob's phone is not told; \
         a trusted route is.",
    ];
    let mut flow = Flow::on(page, |switch| {
        let route = Route::new("sip:9*", "sip:10.200.0.2:5060").expect("a route");
        switch.shard.b2bua.routes.push(route.trusted(true));
    });
    let [frank, gateway] = ["frank", "gateway"].map(|user| flow.lab.agent(user));
    let [bob] = flow.phones(["bob"], |_, _| {});
    let way = Way::udp(flow.lab.agent_rtp(frank, 5060), switch_sip());
    let rtp = flow.lab.agent_rtp(frank, 4000);
    let call = |flow: &mut Flow, to: &str| {
        let mut invite = Invite::new(to, "\"Frank\" <sip:frank@x.test>", format!("<{to}>"), way);
        invite.headers.push(Header::new(ASSERTED, "\"Frank\" <sip:+4930123@x.test>"));
        invite.headers.push(Header::new(HeaderName::Privacy, "id"));
        invite.body = Some(Body::sdp(sdp(rtp, "sendrecv")));
        let dialog = flow.lab.agent_acts(frank, |endpoint, now| endpoint.invite(now, invite)).expect("room for a call");
        flow.lab.pass(millis(500));
        dialog
    };
    let dialog = call(&mut flow, "sip:bob@x.test");
    let shown = flow.show(bob, "INVITE", &[HeaderName::From, ASSERTED, HeaderName::Privacy]);
    assert!(shown[0].contains("anonymous.invalid") && shown[1].is_empty(), "{shown:?}");
    flow.lab.agent_acts(frank, |endpoint, now| endpoint.bye(now, dialog, Vec::new()));
    flow.lab.pass(seconds(1));
    call(&mut flow, "sip:99@x.test");
    let shown = flow.show(gateway, "INVITE", &[HeaderName::From, ASSERTED, HeaderName::Privacy]);
    assert!(shown[0].contains("anonymous.invalid") && shown[1].contains("+4930123"), "{shown:?}");
    flow.lab.agent_responds(gateway, 486, None);
    flow.lab.pass(seconds(1));
    flow.finish();
}

#[test]
fn what_a_phone_asserts_of_itself_is_not_believed() {
    let page = [
        "identity-not-believed",
        "An asserted identity of a phone",
        "Alice's phone proves by its password who it is, and claims to be somebody else. The trusted route is told \
         what was proved.",
    ];
    let mut flow = Flow::on(page, |switch| {
        let route = Route::new("sip:9*", "sip:10.200.0.1:5060").expect("a route");
        switch.shard.b2bua.routes.push(route.trusted(true));
    });
    let gateway = flow.lab.agent("gateway");
    let [alice] = flow.phones(["alice"], |_, _| {});
    let claim = vec![Header::new(ASSERTED, "<sip:boss@x.test>")];
    flow.lab.phone_acts(alice, |phone, now| phone.call_with(now, "sip:99@x.test", claim)).expect("a free line");
    flow.lab.pass(millis(500));
    let shown = flow.show(gateway, "INVITE", &[HeaderName::From, ASSERTED]);
    assert!(shown[1].contains("sip:alice@x.test") && !shown[1].contains("boss"), "{shown:?}");
    flow.lab.agent_responds(gateway, 486, None);
    flow.lab.pass(seconds(1));
    flow.finish();
}

#[test]
fn the_phone_of_whoever_clicked_is_to_answer_by_itself() {
    let page = [
        "auto-answer",
        "A phone that is to answer by itself",
        "With `calls.click_to_dial_auto_answer` the phone that an application rings up first is asked to answer by \
         itself, in all ways that are common. The second one rings as ever.",
    ];
    let mut flow = Flow::on(page, |switch| switch.shard.limits.auto_answer = true);
    let [alice, bob] = flow.phones(["alice", "bob"], |_, _| {});
    let app = flow.lab.app();
    flow.lab.start_call(app, "click", "alice", "bob");
    flow.lab.pass(seconds(1));
    let headers = [HeaderName::AlertInfo, HeaderName::CallInfo, HeaderName::AnswerMode];
    let first = flow.show(alice, "INVITE", &headers);
    let second = flow.show(bob, "INVITE", &headers);
    assert!(first.iter().all(|value| !value.is_empty()) && second.iter().all(String::is_empty), "{first:?} {second:?}");
    flow.assert_talking(alice, bob);
    flow.hang_up(&[alice]);
    flow.finish();
}
