//! Calls that go nowhere: no hop left, round in circles, no room.

use hookswitch_b2bua::route::Route;
use hookswitch_lab::{SWITCH, sdp, seconds, switch_sip};
use hookswitch_phone::AnswerPolicy;
use hookswitch_sip::{Body, Flow as Way, Invite, Network};
use hookswitch_sip_msg::HeaderName;

use crate::page::Flow;

#[test]
fn a_call_without_a_hop_left_is_refused() {
    let page = [
        "max-forwards",
        "No hop left (Max-Forwards)",
        "An INVITE that may go no further is refused with 483, whoever it is for.",
    ];
    let mut flow = Flow::on(page, |_| {});
    let frank = flow.lab.agent("frank");
    let [_] = flow.phones(["bob"], |_, _| {});
    let way = Way::udp(flow.lab.agent_rtp(frank, 5060), switch_sip());
    let mut invite = Invite::new("sip:bob@x.test", "<sip:frank@x.test>", "<sip:bob@x.test>", way);
    invite.body = Some(Body::sdp(sdp(flow.lab.agent_rtp(frank, 4000), "sendrecv")));
    invite.max_forwards = 0;
    flow.lab.agent_acts(frank, |endpoint, now| endpoint.invite(now, invite)).expect("room for a call");
    flow.lab.pass(seconds(1));
    flow.show(frank, "SIP/2.0 483", &[]);
    assert!(flow.lab.calls().is_empty());
    flow.finish();
}

#[test]
fn a_call_that_comes_back_for_the_same_address_is_a_loop() {
    let page = [
        "loop",
        "A loop",
        "A route leads back to the switch itself. The call that comes back is recognised as our own for the same \
         address, and refused with 482.",
    ];
    let mut flow = Flow::on(page, |switch| {
        switch.shard.b2bua.routes.push(Route::new("sip:9*", "sip:10.0.0.1:5060").expect("a route"));
        switch.shard.b2bua.trusted.push(Network { addr: SWITCH, prefix: 32 });
    });
    let [alice] = flow.phones(["alice"], |_, _| {});
    flow.lab.dial(alice, "99");
    flow.lab.pass(seconds(1));
    assert_eq!(flow.lab.refusal_of(alice), Some(482));
    flow.finish();
}

#[test]
fn a_call_beyond_the_limit_is_told_when_to_come_back() {
    let page = [
        "no-room",
        "No room: 503 with Retry-After",
        "`calls.max` is one call, and there is one. Carol is told when to try again; the call that stands does not \
         notice.",
    ];
    let mut flow = Flow::on(page, |switch| switch.shard.limits.calls = 1);
    let [alice, bob, carol] = flow.phones(["alice", "bob", "carol"], |_, _| {});
    flow.talk(alice, bob);
    flow.lab.dial(carol, "bob");
    flow.lab.pass(seconds(1));
    assert_eq!(flow.lab.refusal_of(carol), Some(503));
    let again = flow.show(carol, "SIP/2.0 503", &[HeaderName::RetryAfter]);
    assert!(again[0].parse::<u32>().is_ok_and(|seconds| seconds > 0), "{again:?}");
    flow.assert_talking(alice, bob);
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn somebody_who_is_called_by_two_at_once_is_busy_for_one() {
    let page = [
        "two-callers",
        "Two callers at once",
        "Bob's phone has one line: the second caller is told that it is busy, and the first one rings on.",
    ];
    let mut flow = Flow::on(page, |_| {});
    let [alice, bob, carol] = flow.phones(["alice", "bob", "carol"], |_, config| {
        config.lines = 1;
        config.answer = AnswerPolicy::Ring;
    });
    flow.lab.dial(alice, "bob");
    flow.lab.pass(seconds(1));
    flow.lab.dial(carol, "bob");
    flow.lab.pass(seconds(1));
    assert_eq!(flow.lab.refusal_of(carol), Some(486));
    flow.lab.answer(bob);
    flow.lab.pass(seconds(1));
    flow.assert_talking(alice, bob);
    flow.hang_up(&[alice]);
    flow.finish();
}
