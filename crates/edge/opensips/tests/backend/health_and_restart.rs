//! OpenSIPS is lost, comes back, or restarts unseen.

use hookswitch_call::{Command, Refused};
use hookswitch_opensips::{Input, Link, MiError};
use serde_json::json;

use crate::rig::{Rig, VERSION, answered, config, millis, seconds, wire};

const DOWN: &str = "failed Backend: 503 OpenSIPS is not answering (Upstream)";

fn hold() -> Command {
    Command::Hold { call: wire("a"), party: None, notes: Default::default() }
}

#[test]
fn it_is_asked_every_ten_seconds() {
    let mut rig = Rig::up();
    let before = rig.core.counts().requests_sent;
    rig.pass(seconds(20));
    // Version and subscribers, twice.
    assert_eq!(rig.core.counts().requests_sent, before + 4);
    assert!(rig.health.is_empty(), "nothing has changed");
}

#[test]
fn silence_is_a_loss_and_everybody_is_told_at_once() {
    let mut rig = Rig::up();
    rig.hold("a");
    rig.call_start("one");
    rig.accept("t_uac_dlg", answered());
    rig.read();
    rig.is_answering = false;
    rig.pass(config().mi_timeout * 2);
    let story = rig.read();
    assert_eq!(story.iter().filter(|line| *line == DOWN).count(), 2, "{story:?}");
    assert!(rig.core.health().mi.is_down() && rig.core.health().events.is_down());
    assert_eq!(rig.health.len(), 1);
    assert_eq!(rig.core.counts().losses, 1);
    assert_eq!(rig.submit(hold()), Err(Refused::CarrierDown("OpenSIPS is not answering".into())));
}

#[test]
fn a_refused_datagram_is_a_loss_at_once() {
    for error in [MiError::Refused, MiError::Unauthorized, MiError::Status(404), MiError::Tls("expired".into())] {
        let mut rig = Rig::up();
        rig.hold("a");
        rig.handle(Input::MiDown(error));
        assert_eq!(rig.read().pop().unwrap(), DOWN);
    }
    for error in [MiError::Timeout, MiError::Other("reset".into())] {
        let mut rig = Rig::up();
        rig.hold("a");
        rig.is_answering = false;
        rig.handle(Input::MiDown(error));
        assert!(rig.outcomes.is_empty());
        rig.take("version");
    }
}

#[test]
fn one_that_was_never_there_fails_what_waits() {
    let mut rig = Rig::new(config(), [1; 32]);
    rig.is_answering = false;
    rig.start();
    rig.submit(hold()).unwrap();
    rig.pass(config().mi_timeout);
    rig.expect(&[DOWN]);
    assert_eq!(rig.core.counts().calls, 0);
}

#[test]
fn it_comes_back_by_itself() {
    let mut rig = Rig::up();
    rig.handle(Input::MiDown(MiError::Refused));
    rig.is_answering = false;
    rig.pass(seconds(2));
    rig.accept("version", json!({"Server": VERSION}));
    assert_eq!(rig.core.health().mi, Link::Up);
    for _ in 0..3 {
        rig.accept("event_subscribe", json!("OK"));
    }
    assert_eq!(rig.core.health().events, Link::Up);
    assert_eq!(rig.core.counts().subscriptions_remade, 3);
    rig.submit(hold()).unwrap();
    rig.take("call_hold");
}

#[test]
fn while_it_is_lost_it_is_asked_more_often_and_said_once() {
    let mut rig = Rig::up();
    rig.is_answering = false;
    rig.handle(Input::MiDown(MiError::Refused));
    rig.pass(seconds(60));
    assert_eq!(rig.health.len(), 1);
    let probes = rig.sent.iter().filter(|sent| sent.method == "version").count();
    assert!((15..=60).contains(&probes), "{probes}");
    rig.is_answering = true;
    rig.pass(seconds(5));
    assert_eq!(rig.core.health().events, Link::Up);
}

#[test]
fn a_first_leg_that_was_left_behind_is_ended_when_it_is_back() {
    let mut rig = Rig::up();
    rig.call_start("one");
    rig.accept("t_uac_dlg", answered());
    rig.handle(Input::MiDown(MiError::Refused));
    assert!(rig.try_take("dlg_end_dlg").is_none(), "nobody listens");
    assert_eq!(rig.core.counts().leftovers, 1);
    rig.pass(seconds(5));
    assert_eq!(rig.take("dlg_end_dlg").params, json!({"dialog_id": "one"}));
}

#[test]
fn a_caller_that_was_ringing_is_cancelled_when_it_is_back() {
    let mut rig = Rig::up();
    rig.call_start("one");
    rig.take("t_uac_dlg");
    rig.handle(Input::MiDown(MiError::Refused));
    rig.pass(seconds(5));
    let cancel = rig.take("t_uac_cancel");
    rig.error(&cancel, 481, "No such transaction");
    let end = rig.take("dlg_end_dlg");
    rig.error(&end, 404, "Requested Dialog not found");
    assert_eq!(rig.core.counts().leftovers, 0);
}

#[test]
fn one_lost_reply_is_no_loss_of_opensips() {
    let mut rig = Rig::up();
    rig.hold("a");
    rig.pass(config().mi_timeout);
    assert_eq!(rig.core.health().mi, Link::Up);
    assert!(rig.health.is_empty());
}

#[test]
fn after_an_unseen_restart_calls_that_are_gone_are_told() {
    let mut rig = Rig::up();
    rig.pass(seconds(10));
    rig.call_start("one");
    let first = rig.take("t_uac_dlg");
    rig.dialog_event("one", 2);
    rig.call_start("two");
    rig.accept("t_uac_dlg", answered());
    rig.dialog_event("two", 4);
    rig.accept("call_transfer", json!("Accepted"));
    rig.transfer_event("two", "new", "start", "");
    rig.transfer("three");
    rig.take("call_transfer");
    rig.read();
    // OpenSIPS restarts between two looks.
    rig.socket = "udp:somebody:1".into();
    rig.pass(seconds(3));
    while let Some(lookup) = rig.try_take("dlg_list") {
        rig.error(&lookup, 404, "Dialog not found");
    }
    rig.pass(seconds(7));
    while let Some(lookup) = rig.try_take("dlg_list") {
        rig.error(&lookup, 404, "Dialog not found");
    }
    assert_eq!(rig.outcomes.len(), 3, "{:?}", rig.read());
    rig.result(&first, answered());
    assert_eq!(rig.outcomes.len(), 3);
}

#[test]
fn after_an_unseen_restart_calls_that_live_go_on() {
    let mut rig = Rig::up();
    rig.pass(seconds(9));
    rig.transfer("a");
    rig.accept("call_transfer", json!("Accepted"));
    rig.transfer_event("a", "new", "start", "");
    rig.pass(seconds(1));
    rig.socket = "udp:somebody:1".into();
    rig.pass(seconds(10));
    rig.accept("dlg_list", crate::rig::dialog(2));
    assert!(rig.outcomes.is_empty());
    // Another one had been answered, and the word of it was lost.
    rig.transfer_event("a", "new", "ok", "200 OK");
    assert_eq!(rig.read().pop().unwrap(), "ok");
}

#[test]
fn a_record_of_a_command_is_plain_data() {
    let mut rig = Rig::up();
    let start = rig.call_start("one");
    let hold = rig.hold("a");
    rig.accept("t_uac_dlg", answered());
    rig.dialog_event("one", 4);
    rig.accept("call_transfer", json!("Accepted"));
    rig.transfer_event("one", "two", "start", "");
    rig.pass(millis(5));
    for ticket in [start, hold] {
        let record = rig.core.record(ticket).unwrap();
        let text = serde_json::to_string(&record).unwrap();
        let again: hookswitch_opensips::Record = serde_json::from_str(&text).unwrap();
        assert_eq!(again, record);
    }
    assert_eq!(rig.core.record(hookswitch_call::Ticket(99)), None);
}
