//! Two processes on one OpenSIPS: each sees the other's events where they concern the same call, and no replies.

use crate::rig::{Rig, config};

#[test]
fn each_leaves_the_others_replies_and_subscriptions_alone() {
    let mut one = Rig::new(config(), [1; 32]);
    let mut other =
        Rig::new(hookswitch_opensips::Config { event_socket: "udp:127.0.0.1:2".into(), ..config() }, [2; 32]);
    one.start();
    other.start();
    one.hold("a");
    other.hold("b");
    let to_other = other.take("call_hold");
    one.error(&to_other, 404, "Dialog not found");
    assert!(one.outcomes.is_empty());
    assert_eq!(one.core.counts().replies_late, 1);
    other.core.stop(other.now);
    other.reply_text("");
    assert!(other.core.stopped(), "its own are ended");
    assert_eq!(one.core.health().events, hookswitch_opensips::Link::Up);
}

#[test]
fn the_others_command_on_another_call_goes_unheard() {
    let mut rig = Rig::up();
    rig.hold("a");
    rig.transfer("t");
    rig.read();
    rig.hold_event("b", "caller", "hold", "ok");
    rig.hold_event("b", "callee", "hold", "fail");
    rig.transfer_event("c", "new", "ok", "200 OK");
    rig.expect(&[]);
    assert_eq!(rig.core.counts().events_foreign, 3);
}

#[test]
fn the_others_command_on_the_same_call_does_not_hide_a_refusal() {
    let mut rig = Rig::up();
    rig.hold("a");
    let hold = rig.take("call_hold");
    rig.hold_event("a", "caller", "hold", "start");
    rig.refuse(&hold, 480, "Both dialog legs are on hold");
    assert_eq!(rig.outcomes.len(), 1);
    rig.hold_event("a", "caller", "hold", "ok");
    assert_eq!(rig.outcomes.len(), 1);
    rig.transfer("t");
    let transfer = rig.take("call_transfer");
    rig.transfer_event("t", "new", "start", "");
    rig.refuse(&transfer, 491, "Request Pending");
    assert_eq!(rig.outcomes.len(), 2);
}
