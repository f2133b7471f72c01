//! Changes of a session: hold by an application, for one party or refused, and UPDATE.

use hookswitch_lab::{millis, seconds};
use hookswitch_phone::{Event, Hold, Phone};
use serde_json::json;

use crate::page::Flow;

#[test]
fn an_application_holds_one_party() {
    let page = [
        "hold-one-party",
        "Hold by an application, one party",
        "An application puts Bob on hold, and only Bob's phone is asked. Alice hears nothing of him, and he hears \
         music.",
    ];
    let (mut flow, [alice, bob]) = Flow::with(page, ["alice", "bob"], |_, _| {});
    flow.talk(alice, bob);
    let app = flow.lab.app();
    let params = json!({ "callid": flow.lab.call_id_of(alice), "leg": "callee" });
    flow.lab.ask(app, "hold", "CallHold", params.clone());
    flow.lab.pass(seconds(1));
    flow.assert_apart(alice, bob);
    flow.lab.ask(app, "again", "CallHold", params.clone());
    flow.lab.pass(millis(100));
    assert_eq!(flow.lab.heard_by(app).data("again", "Error"), Some(&json!("480 Dialog leg is on hold")));
    flow.lab.ask(app, "unhold", "CallUnhold", params);
    flow.lab.pass(seconds(1));
    flow.assert_talking(alice, bob);
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn a_hold_that_one_party_refuses_leaves_both_as_they_were() {
    let page = [
        "hold-refused",
        "Hold by an application, refused",
        "Bob's phone refuses the change. Alice is taken back, the application is told who refused and why, and the \
         two talk on.",
    ];
    let (mut flow, [alice, bob]) = Flow::with(page, ["alice", "bob"], |user, config| {
        config.refuse_changes = (user == "bob").then_some(488);
    });
    flow.talk(alice, bob);
    let app = flow.lab.app();
    flow.lab.ask(app, "hold", "CallHold", json!({ "callid": flow.lab.call_id_of(alice) }));
    flow.lab.pass(seconds(2));
    assert!(flow.lab.heard_by(app).data("hold", "Error").is_some());
    flow.assert_talking(alice, bob);
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn a_phone_offers_by_update() {
    let page = [
        "update-in-call",
        "UPDATE in the middle of a call (RFC 3311)",
        "Bob's phone offers its session once more by UPDATE, which needs no ACK. Alice's side does not notice.",
    ];
    let (mut flow, [alice, bob]) = Flow::with(page, ["alice", "bob"], |_, _| {});
    flow.talk(alice, bob);
    flow.lab.phone_acts(bob, Phone::update).expect("the switch takes UPDATE");
    flow.lab.pass(millis(500));
    flow.assert_talking(alice, bob);
    flow.hang_up(&[alice]);
    flow.finish();
}

#[test]
fn a_change_is_carried_to_the_other_phone() {
    let page = [
        "change-direct",
        "A re-INVITE, audio direct between the phones",
        "With `media.anchor: false` Alice's hold is offered to Bob's phone, and its answer is Alice's.",
    ];
    let mut flow = Flow::on(page, |switch| switch.shard.limits.anchor = false);
    let [alice, bob] = flow.phones(["alice", "bob"], |_, _| {});
    flow.talk(alice, bob);
    flow.lab.hold(alice, Hold::On);
    flow.lab.pass(seconds(1));
    let changed = |(_, event): &(_, Event)| matches!(event, Event::Changed { .. });
    assert!([alice, bob].iter().all(|phone| flow.lab.handset(*phone).events.iter().any(changed)));
    // Whoever holds may play something itself.
    assert_eq!(flow.hearing(&[alice, bob]), [(bob, alice)]);
    flow.lab.hold(alice, Hold::Off);
    flow.lab.pass(seconds(1));
    flow.assert_talking(alice, bob);
    flow.hang_up(&[alice]);
    flow.finish();
}
