//! An application starts and ends calls over the Call API.

use hookswitch_lab::{App, Lab, millis, seconds};
use hookswitch_phone::{AnswerPolicy, EndCause};
use hookswitch_sip::Transport;
use serde_json::json;

/// Waits until a command has said something.
fn until_said(lab: &mut Lab, app: hookswitch_lab::AppId, cmd_id: &str, event: &str) {
    lab.until(event, |lab| lab.heard_by(app).events(cmd_id).contains(&event));
}

/// The statuses that `TransferPending` told.
fn pending(app: &App, cmd_id: &str) -> Vec<String> {
    let extra = |data: Option<&serde_json::Value>| data.map(|data| data["extra"].as_str().unwrap_or("").to_owned());
    app.events(cmd_id)
        .iter()
        .filter(|event| **event == "TransferPending")
        .take(1)
        .filter_map(|_| extra(app.data(cmd_id, "TransferPending")))
        .collect()
}

#[test]
fn the_caller_hears_ringing_and_then_the_callee() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut lab = Lab::new();
        let [alice, bob] = lab.registered_with(["alice", "bob"], |phone| phone.transport = transport);
        lab.set_answer(bob, AnswerPolicy::Answer { after: seconds(2) });
        let app = lab.app();
        lab.start_call(app, "c1", "alice", "bob");
        until_said(&mut lab, app, "c1", "TransferPending");
        assert!(lab.talks(alice) && lab.rings(bob));
        // One second of tone, four of silence.
        lab.pass(millis(900));
        let ringing = lab.heard(alice, lab.now() - millis(650), lab.now());
        assert!(ringing.len() >= 2 && ringing.iter().all(|heard| heard.is_tone(425.0, -30.0)), "{ringing:?}");
        lab.pass(seconds(3));
        lab.assert_talking(alice, bob);

        let heard = lab.heard_by(app);
        let expected = [
            "Started",
            "CallerAnswered",
            "Transferring",
            "TransferStart",
            "TransferPending",
            "CalleeAnswered",
            "Ended",
        ];
        assert_eq!(heard.events("c1"), expected);
        assert_eq!(pending(heard, "c1"), ["180 Ringing"]);
        let callid = heard.data("c1", "TransferStart").unwrap()["callid"].as_str().unwrap().to_owned();
        assert_eq!(Some(&callid), lab.call_id_of(bob).as_ref());
        assert_eq!(lab.call_id_of(alice).as_deref(), Some("c1"), "the first leg has the command's name");
        lab.end_call(app, "e1", &callid);
        lab.pass(seconds(1));
        assert!(!lab.in_call(alice) && !lab.in_call(bob));
        assert_eq!(lab.heard_by(app).events("e1"), ["Started", "Ended"]);
        lab.finish();
    }
}

#[test]
fn it_can_be_ended_before_the_callee_answers() {
    for name in ["first leg", "second leg"] {
        let mut lab = Lab::new();
        let [alice, bob] = lab.registered(["alice", "bob"]);
        lab.set_answer(bob, AnswerPolicy::Ring);
        let app = lab.app();
        lab.start_call(app, "c1", "alice", "bob");
        until_said(&mut lab, app, "c1", "TransferPending");
        let second = lab.heard_by(app).data("c1", "TransferStart").unwrap()["callid"].as_str().unwrap().to_owned();
        lab.end_call(app, "e1", if name == "first leg" { "c1" } else { &second });
        lab.pass(seconds(1));
        assert!(!lab.in_call(alice) && !lab.in_call(bob), "{name}");
        let heard = lab.heard_by(app);
        assert_eq!(heard.events("e1"), ["Started", "Ended"]);
        assert_eq!(heard.events("c1").last(), Some(&"Ended"));
        assert!(heard.events("c1").contains(&"Error"));
        assert_eq!(lab.end_of(bob), Some(&EndCause::Cancelled));
        lab.finish();
    }
}

#[test]
fn it_can_be_ended_while_the_caller_still_rings() {
    let mut lab = Lab::new();
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.set_answer(alice, AnswerPolicy::Ring);
    let app = lab.app();
    lab.start_call(app, "c1", "alice", "bob");
    lab.pass(seconds(1));
    lab.end_call(app, "e1", "c1");
    lab.pass(seconds(1));
    assert!(!lab.in_call(alice) && !lab.in_call(bob));
    let error = lab.heard_by(app).data("c1", "Error").cloned();
    assert_eq!(error, Some(json!("failed to establish initial call: 487 Request Terminated")));
    lab.finish();
}

#[test]
fn a_caller_or_callee_that_refuses_is_reported() {
    for (who, error) in [
        ("alice", "failed to establish initial call: 486 Busy Here"),
        ("bob", "transfer failed with status 486 Busy Here"),
    ] {
        let mut lab = Lab::new();
        let phones = lab.registered(["alice", "bob"]);
        lab.set_answer(phones[usize::from(who == "bob")], AnswerPolicy::BUSY);
        let app = lab.app();
        lab.start_call(app, "c1", "alice", "bob");
        lab.pass(seconds(2));
        let heard = lab.heard_by(app);
        assert_eq!(heard.data("c1", "Error"), Some(&json!(error)));
        assert_eq!(heard.events("c1").last(), Some(&"Ended"));
        assert!(phones.iter().all(|phone| !lab.in_call(*phone)), "nobody is left in a silent call");
        lab.finish();
    }
}

#[test]
fn parties_that_cannot_be_called_are_reported() {
    for (caller, callee, error) in [
        ("carol", "bob", "failed to establish initial call: 480 Temporarily Unavailable"),
        ("nobody", "bob", "failed to establish initial call: 404 Not Found"),
        ("alice", "carol", "transfer failed with status 480 Temporarily Unavailable"),
        ("alice", "nobody", "transfer failed with status 404 Not Found"),
        ("echo", "bob", "failed to establish initial call: 404 Not Found"),
    ] {
        let mut lab = Lab::new();
        let [alice, bob] = lab.registered(["alice", "bob"]);
        let app = lab.app();
        lab.start_call(app, "c1", caller, callee);
        lab.pass(seconds(2));
        assert_eq!(lab.heard_by(app).data("c1", "Error"), Some(&json!(error)));
        assert!(!lab.in_call(alice) && !lab.in_call(bob));
        lab.finish();
    }
}

#[test]
fn a_call_that_a_phone_dialled_can_be_ended_by_either_name() {
    for by_caller in [true, false] {
        let mut lab = Lab::new();
        let [alice, bob] = lab.registered(["alice", "bob"]);
        let app = lab.app();
        lab.dial(alice, "bob");
        lab.pass(seconds(2));
        let name = lab.call_id_of(if by_caller { alice } else { bob }).unwrap();
        lab.end_call(app, "e1", &name);
        lab.pass(seconds(1));
        assert!(!lab.in_call(alice) && !lab.in_call(bob));
        lab.end_call(app, "e2", &name);
        assert_eq!(lab.heard_by(app).data("e2", "Error"), Some(&json!("404 Requested Dialog not found")));
        lab.finish();
    }
}

#[test]
fn either_party_may_hang_up_and_the_command_was_over_before() {
    for bob_ends in [true, false] {
        let mut lab = Lab::new();
        let [alice, bob] = lab.registered(["alice", "bob"]);
        let app = lab.app();
        lab.start_call(app, "c1", "alice", "bob");
        lab.pass(seconds(3));
        lab.assert_talking(alice, bob);
        assert!(lab.heard_by(app).running().is_empty());
        lab.hang_up(if bob_ends { bob } else { alice });
        lab.finish();
    }
}

#[test]
fn a_caller_that_hangs_up_before_the_callee_answers_ends_the_command() {
    let mut lab = Lab::new();
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.set_answer(bob, AnswerPolicy::Ring);
    let app = lab.app();
    lab.start_call(app, "c1", "alice", "bob");
    until_said(&mut lab, app, "c1", "TransferPending");
    lab.hang_up(alice);
    lab.pass(seconds(1));
    assert!(!lab.in_call(bob));
    assert_eq!(lab.heard_by(app).events("c1").last(), Some(&"Ended"));
    assert!(lab.heard_by(app).events("c1").contains(&"Error"));
    lab.finish();
}

#[test]
fn one_that_nobody_answers_ends_by_itself() {
    let mut lab = Lab::with_switch(|switch| switch.shard.limits.ring_time = seconds(15));
    let [alice, bob] = lab.registered(["alice", "bob"]);
    lab.set_answer(bob, AnswerPolicy::Ring);
    let app = lab.app();
    lab.start_call(app, "c1", "alice", "bob");
    lab.pass(seconds(17));
    assert!(!lab.in_call(alice) && !lab.in_call(bob));
    assert_eq!(lab.heard_by(app).data("c1", "Error"), Some(&json!("transfer failed with status 408 Request Timeout")));
    lab.finish();
}

#[test]
fn several_at_once_do_not_disturb_each_other() {
    let mut lab = Lab::new();
    let phones = lab.registered(["alice", "bob", "carol", "dave"]);
    let (one, other) = (lab.app(), lab.app());
    lab.start_call(one, "same", "alice", "bob");
    lab.start_call(other, "same", "carol", "dave");
    lab.start_call(one, "third", "alice", "carol");
    lab.pass(seconds(3));
    lab.assert_talking(phones[0], phones[1]);
    lab.assert_talking(phones[2], phones[3]);
    assert!(lab.heard_by(one).data("third", "Error").is_some(), "alice is busy by then");
    lab.hang_up(phones[0]);
    lab.hang_up(phones[3]);
    lab.finish();
}
