//! Times that run out: refreshes of sessions, ringing, and calls that may not last longer.

use hookswitch_lab::{SwitchConfig, millis, sdp, seconds};
use hookswitch_phone::AnswerPolicy;
use hookswitch_sip_msg::HeaderName;

use crate::page::Flow;

/// Sessions last so long without a refresh; nobody is asked for any other reason whether it is there.
fn refreshed_every(switch: &mut SwitchConfig, seconds: u64) {
    switch.shard.b2bua.endpoint.session_expires = hookswitch_lab::seconds(seconds);
    switch.media.rtp_timeout = hookswitch_lab::seconds(3_600);
}

#[test]
fn a_session_is_refreshed_by_the_phone_on_one_side_and_by_the_switch_on_the_other() {
    let page = [
        "session-timer-refresh",
        "A session is refreshed (RFC 4028)",
        "With `sip.session_expires: 90` each side is refreshed after 45 seconds: Alice's by her phone, which called, \
         and Bob's by the switch, which called him.",
    ];
    let mut flow = Flow::on(page, |switch| refreshed_every(switch, 90));
    let [alice, bob] = flow.phones(["alice", "bob"], |_, _| {});
    flow.talk(alice, bob);
    let answered = flow.show(alice, "SIP/2.0 200", &[HeaderName::SessionExpires]);
    let offered = flow.show(bob, "INVITE", &[HeaderName::SessionExpires, HeaderName::MinSe]);
    assert_eq!((&*answered[0], &*offered[0]), ("90;refresher=uac", "90"));
    flow.lab.pass(seconds(50));
    flow.assert_talking(alice, bob);
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn a_caller_that_asks_for_too_little_is_told_so() {
    let page = [
        "session-timer-too-short",
        "A session timer that is too short (RFC 4028, 422)",
        "Frank wants a refresh every 90 seconds, and `sip.min_se` is 300: he is told, and asks for 300.",
    ];
    let mut flow = Flow::on(page, |switch| switch.shard.b2bua.endpoint.min_se = seconds(300));
    let frank = flow.lab.agent_with("frank", |config| config.session_expires = seconds(90));
    let [bob] = flow.phones(["bob"], |_, _| {});
    let rtp = flow.lab.agent_rtp(frank, 4000);
    let dialog = flow.lab.agent_invites(frank, "bob", Some(sdp(rtp, "sendrecv")));
    flow.lab.pass(seconds(1));
    assert_eq!(flow.show(frank, "SIP/2.0 422", &[HeaderName::MinSe]), ["300"]);
    assert_eq!(flow.show(frank, "SIP/2.0 200", &[HeaderName::SessionExpires]), ["300;refresher=uac"]);
    flow.lab.agent_acts(frank, |endpoint, now| endpoint.ack(now, dialog, None));
    flow.lab.pass(seconds(1));
    assert!(flow.lab.talks(bob));
    flow.lab.agent_acts(frank, |endpoint, now| endpoint.bye(now, dialog, Vec::new()));
    flow.lab.pass(seconds(1));
    flow.finish();
}

#[test]
fn a_callee_that_is_asked_for_too_little_is_asked_again() {
    let page = [
        "session-timer-too-short-for-callee",
        "A callee that wants longer sessions (RFC 4028, 422)",
        "The switch asks Bob for a refresh every 90 seconds, which is too often for him: it asks again for what he \
         wants. Alice hears nothing of it.",
    ];
    let mut flow = Flow::on(page, |switch| refreshed_every(switch, 90));
    let bob = flow.lab.agent_with("bob", |config| config.min_se = seconds(300));
    flow.lab.register_agent(bob);
    let [alice] = flow.phones(["alice"], |_, _| {});
    flow.lab.dial(alice, "bob");
    flow.lab.pass(millis(500));
    let rtp = flow.lab.agent_rtp(bob, 4000);
    flow.lab.agent_responds(bob, 200, Some(sdp(rtp, "sendrecv")));
    flow.lab.pass(seconds(1));
    assert_eq!(flow.show(bob, "INVITE", &[HeaderName::SessionExpires, HeaderName::MinSe])[1], "300");
    assert!(flow.lab.talks(alice));
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn a_session_that_nobody_refreshes_ends_for_both() {
    let page = [
        "session-timer-expired",
        "A session that nobody refreshes (RFC 4028)",
        "Alice's phone has lost its cable, so it does not refresh. The switch ends both sides shortly before the \
         session's time is over.",
    ];
    let mut flow = Flow::on(page, |switch| {
        refreshed_every(switch, 90);
        switch.shard.limits.probe_time = seconds(0);
    });
    let [alice, bob] = flow.phones(["alice", "bob"], |_, _| {});
    flow.talk(alice, bob);
    flow.lab.vanish(alice);
    flow.lab.pass(seconds(61));
    assert!(!flow.lab.in_call(bob));
    flow.lab.pass(seconds(32));
    flow.finish();
}

#[test]
fn a_phone_rings_only_so_long() {
    let page = [
        "ring-time-over",
        "Nobody answers in time",
        "`calls.ring_time` is 20 seconds: then Bob's phone stops and Alice is told.",
    ];
    let mut flow = Flow::on(page, |switch| switch.shard.limits.ring_time = seconds(20));
    let [alice, bob] = flow.phones(["alice", "bob"], |_, config| config.answer = AnswerPolicy::Ring);
    flow.lab.dial(alice, "bob");
    flow.lab.pass(seconds(22));
    assert_eq!(flow.lab.refusal_of(alice), Some(408));
    assert!(!flow.lab.in_call(bob));
    flow.finish();
}

#[test]
fn an_invite_without_a_final_answer_is_not_kept_for_ever() {
    let page = [
        "timer-c",
        "Timer C (RFC 3261, 16.6)",
        "Even where somebody may ring for an hour, no INVITE goes without a final answer for more than five minutes: \
         whoever rings is cancelled, and the caller is told that nobody can be reached.",
    ];
    let mut flow = Flow::on(page, |switch| switch.shard.limits.ring_time = seconds(3_600));
    let [alice, bob] = flow.phones(["alice", "bob"], |_, config| config.answer = AnswerPolicy::Ring);
    flow.lab.dial(alice, "bob");
    flow.lab.pass(seconds(299));
    assert!(flow.lab.rings(alice) && flow.lab.rings(bob));
    flow.lab.pass(seconds(3));
    assert_eq!(flow.lab.refusal_of(alice), Some(480));
    assert!(!flow.lab.in_call(bob));
    flow.finish();
}

#[test]
fn a_call_lasts_only_so_long() {
    let page = [
        "max-duration",
        "The longest duration of a call",
        "`calls.max_duration` is 30 seconds. Both parties are hung up then.",
    ];
    let mut flow = Flow::on(page, |switch| switch.shard.limits.max_duration = seconds(30));
    let [alice, bob] = flow.phones(["alice", "bob"], |_, _| {});
    flow.talk(alice, bob);
    flow.lab.pass(seconds(31));
    assert!(!flow.lab.in_call(alice) && !flow.lab.in_call(bob));
    flow.finish();
}
