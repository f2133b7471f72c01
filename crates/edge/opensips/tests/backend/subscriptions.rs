//! One subscription per kind of event, for the whole process, kept as long as the process lives.

use hookswitch_call::{Command, Refused};
use hookswitch_opensips::{Config, Link, STOP_WITHIN};
use serde_json::json;

use crate::rig::{Rig, SOCKET, config, millis, seconds, wire};

fn silent() -> Rig {
    let mut rig = Rig::new(config(), [1; 32]);
    rig.is_answering = false;
    rig.start();
    rig
}

fn subscribed() -> Rig {
    let mut rig = silent();
    rig.accept("version", json!({"Server": crate::rig::VERSION}));
    for _ in 0..3 {
        rig.accept("event_subscribe", json!("OK"));
    }
    rig
}

#[test]
fn each_event_is_subscribed_to_once_for_two_minutes() {
    let mut rig = silent();
    for event in ["E_CALL_TRANSFER", "E_CALL_HOLD", "E_DLG_STATE_CHANGED"] {
        let sent = rig.take("event_subscribe");
        assert_eq!(sent.params, json!({"event": event, "expire": 120, "socket": SOCKET}));
        rig.result(&sent, json!("OK"));
    }
    rig.accept("version", json!({"Server": crate::rig::VERSION}));
    for number in 0..10 {
        rig.hold(&format!("{number}"));
        rig.transfer(&format!("x{number}"));
    }
    assert!(rig.try_take("event_subscribe").is_none(), "commands do not subscribe");

    let mut without = Rig::new(Config { dialog_events: false, ..config() }, [1; 32]);
    without.is_answering = false;
    without.start();
    assert_eq!(without.methods(), ["event_subscribe", "event_subscribe", "version"]);
}

#[test]
fn they_are_repeated_every_forty_seconds() {
    let mut rig = subscribed();
    rig.is_answering = true;
    let before = rig.core.counts().requests_sent;
    rig.pass(seconds(40) - millis(1));
    rig.is_answering = false;
    rig.pass(millis(1));
    let events: Vec<_> = rig.sent.iter().filter(|sent| sent.method == "event_subscribe").collect();
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|sent| sent.params["expire"] == 120));
    assert!(rig.core.counts().requests_sent > before);
}

#[test]
fn a_lost_subscription_request_is_asked_again_until_it_is_answered() {
    let mut rig = silent();
    rig.accept("version", json!({"Server": crate::rig::VERSION}));
    rig.sent.clear();
    rig.pass(seconds(3));
    // Three sendings each in three seconds, and a new request after that.
    let asked: Vec<_> = rig.sent.iter().filter(|sent| sent.method == "event_subscribe").collect();
    assert_eq!(asked.len(), 9);
    let Link::Down { why, .. } = rig.core.health().events else { panic!("events are lost") };
    assert_eq!(why, "E_CALL_TRANSFER: no answer");
    rig.accept("version", json!({"Server": crate::rig::VERSION}));
    for sent in rig.sent.drain(..).filter(|sent| sent.method == "event_subscribe").collect::<Vec<_>>() {
        rig.result(&sent, json!("OK"));
    }
    assert_eq!(rig.core.health().events, Link::Up);
}

#[test]
fn commands_wait_for_the_subscriptions_and_then_run_in_order() {
    let mut rig = silent();
    rig.hold("a");
    rig.hold("b");
    rig.accept("version", json!({"Server": crate::rig::VERSION}));
    assert!(rig.try_take("call_hold").is_none());
    for _ in 0..3 {
        rig.accept("event_subscribe", json!("OK"));
    }
    let asked: Vec<_> = [rig.take("call_hold"), rig.take("call_hold")].map(|sent| sent.params).into();
    assert_eq!(asked, [json!({"callid": "a"}), json!({"callid": "b"})]);
}

#[test]
fn a_refused_subscription_refuses_the_commands_that_need_it() {
    let mut rig = silent();
    rig.hold("waiting");
    rig.accept("version", json!({"Server": crate::rig::VERSION}));
    for _ in 0..3 {
        let sent = rig.take("event_subscribe");
        if sent.params["event"] == "E_CALL_HOLD" {
            rig.error(&sent, 400, "Bad parameter value");
        } else {
            rig.result(&sent, json!("OK"));
        }
    }
    rig.expect(&["failed Backend: 503 Could not subscribe for event (Upstream)"]);
    let Link::Down { why, .. } = rig.core.health().events else { panic!("events are lost") };
    assert_eq!(why, "E_CALL_HOLD: 400 Bad parameter value");
    let hold = Command::Hold { call: wire("a"), party: None, notes: Default::default() };
    assert_eq!(rig.submit(hold.clone()), Err(Refused::CarrierDown("Could not subscribe for event".into())));
    rig.transfer("b");
    // Tried again, and accepted at last.
    rig.is_answering = true;
    rig.pass(seconds(40));
    assert_eq!(rig.core.health().events, Link::Up);
    rig.submit(hold).unwrap();
}

#[test]
fn without_dialog_events_the_rest_works() {
    let mut rig = silent();
    rig.accept("version", json!({"Server": crate::rig::VERSION}));
    for _ in 0..3 {
        let sent = rig.take("event_subscribe");
        if sent.params["event"] == "E_DLG_STATE_CHANGED" {
            rig.error(&sent, 400, "Bad parameter value");
        } else {
            rig.result(&sent, json!("OK"));
        }
    }
    assert_eq!(rig.core.health().events, Link::Up);
    rig.call_start("one");
    rig.take("t_uac_dlg");
}

#[test]
fn a_lost_subscription_is_made_again_and_the_commands_look_after_their_calls() {
    let mut rig = Rig::up();
    rig.pass(seconds(10));
    rig.hold("a");
    rig.accept("call_hold", json!("OK"));
    rig.hold_event("a", "caller", "hold", "start");
    rig.is_answering = false;
    rig.pass(seconds(10));
    rig.accept("version", json!({"Server": crate::rig::VERSION}));
    rig.accept("subscribers_list", json!({"Event": {"name": "E_CALL_TRANSFER", "id": 6}}));
    let subscribed: Vec<_> = rig.sent.iter().filter(|sent| sent.method == "event_subscribe").collect();
    assert_eq!(subscribed.len(), 3);
    assert_eq!(rig.core.counts().subscriptions_remade, 3);
    let lookup = rig.take("dlg_list");
    rig.error(&lookup, 404, "Dialog not found");
    assert_eq!(
        rig.read().pop().unwrap(),
        "failed Backend: 503 OpenSIPS has restarted and knows nothing of the call (Upstream)"
    );
}

#[test]
fn a_list_that_never_showed_us_proves_nothing() {
    let mut rig = subscribed();
    for _ in 0..5 {
        rig.pass(seconds(10));
        rig.accept("version", json!({"Server": crate::rig::VERSION}));
        rig.accept("subscribers_list", json!({"Event": {"Subscribers": [{"socket": "udp:gateway:1"}]}}));
        while let Some(sent) = rig.try_take("event_subscribe") {
            rig.result(&sent, json!("OK"));
        }
    }
    assert_eq!(rig.core.counts().subscriptions_remade, 0);
}

#[test]
fn a_closed_event_stream_is_a_reason_to_look() {
    let mut rig = subscribed();
    rig.handle(hookswitch_opensips::Input::EventClosed { connection: 1 });
    rig.take("subscribers_list");
}

#[test]
fn at_the_stop_they_are_ended() {
    let mut rig = subscribed();
    assert!(!rig.core.stopped());
    rig.core.stop(rig.now);
    rig.pass(seconds(0));
    for event in ["E_CALL_TRANSFER", "E_CALL_HOLD", "E_DLG_STATE_CHANGED"] {
        assert!(!rig.core.stopped());
        // The first touch after a stop hands out what it said.
        let sent = rig.try_take("event_subscribe").unwrap_or_else(|| {
            rig.reply_text("");
            rig.take("event_subscribe")
        });
        assert_eq!(sent.params, json!({"event": event, "expire": 0, "socket": SOCKET}));
        rig.result(&sent, json!("OK"));
    }
    assert!(rig.core.stopped());
    // O14: events may come after the `OK`.
    rig.hold_event("a", "caller", "hold", "start");
    rig.expect(&[]);
}

#[test]
fn a_stop_does_not_wait_for_an_opensips_that_is_gone() {
    let mut rig = subscribed();
    rig.core.stop(rig.now);
    rig.reply_text("");
    rig.pass(seconds(3));
    assert!(rig.core.stopped());
}

#[test]
fn a_stop_ends_every_command_with_an_outcome_and_its_first_leg() {
    let mut rig = Rig::up();
    rig.call_start("one");
    rig.hold("a");
    rig.core.stop(rig.now);
    rig.reply_text("");
    assert_eq!(rig.outcomes.len(), 2);
    assert!(rig.read().last().unwrap().contains("the switch is shutting down"));
    rig.accept("t_uac_cancel", json!("OK"));
    rig.accept("dlg_end_dlg", json!("OK"));
    assert!(rig.core.stopped());
    let start = Command::Start { caller: "sip:a@h".into(), callee: "sip:b@h".into(), wire_id: None };
    assert_eq!(rig.submit(start), Err(Refused::Draining));
}

#[test]
fn draining_refuses_new_calls_only() {
    let mut rig = Rig::up();
    rig.core.drain();
    let start = Command::Start { caller: "sip:a@h".into(), callee: "sip:b@h".into(), wire_id: None };
    assert_eq!(rig.submit(start), Err(Refused::Draining));
    rig.hold("a");
    rig.take("call_hold");
}

#[test]
fn what_waits_does_not_wait_for_ever_for_a_subscription() {
    let mut rig = silent();
    rig.hold("a");
    rig.accept("version", json!({"Server": crate::rig::VERSION}));
    rig.pass(seconds(3));
    rig.expect(&["failed Backend: 503 Could not subscribe for event (Upstream)"]);
}

#[test]
fn a_stop_has_an_end_even_when_a_leftover_has_none() {
    let mut rig = Rig::up();
    rig.call_start("one");
    rig.accept("t_uac_dlg", crate::rig::answered());
    rig.core.stop(rig.now);
    rig.reply_text("");
    let end = rig.take("dlg_end_dlg");
    rig.error(&end, 500, "Operation failed");
    rig.pass(STOP_WITHIN - millis(1));
    assert!(!rig.core.stopped());
    rig.pass(millis(1));
    assert!(rig.core.stopped());
}
