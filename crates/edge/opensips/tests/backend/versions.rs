//! What each version of OpenSIPS can do, and how it is found out.

use hookswitch_call::{Command, Notes, Party, Refused};
use serde_json::json;

use crate::rig::{Rig, VERSION, config, wire};

const OLD: &str = "OpenSIPS (3.4.9 (x86_64/linux))";

fn hold(party: Option<Party>, notes: &[(&str, &str)]) -> Command {
    let notes = Notes(notes.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect());
    Command::Hold { call: wire("a"), party, notes }
}

#[test]
fn one_party_is_held_and_told_why_from_4_0() {
    let mut rig = Rig::with(config(), VERSION);
    rig.submit(hold(Some(Party::Caller), &[])).unwrap();
    assert_eq!(rig.take("call_hold").params, json!({"callid": "a", "leg": "caller"}));
    rig.submit(hold(None, &[("X-Reason", "lunch")])).unwrap();
    let params = rig.take("call_hold").params;
    assert_eq!(params, json!({"callid": "a", "headers": "X-Reason: lunch\r\n", "leg": "both"}));
}

#[test]
fn before_that_it_is_refused_with_the_version() {
    let mut rig = Rig::with(config(), OLD);
    assert_eq!(
        rig.submit(hold(Some(Party::Caller), &[])),
        Err(Refused::Unsupported("holding one leg is not supported by this OpenSIPS (3.4.9)".into()))
    );
    assert_eq!(
        rig.submit(hold(None, &[("X-Reason", "lunch")])),
        Err(Refused::Unsupported("header fields in a hold are not supported by this OpenSIPS (3.4.9)".into()))
    );
    rig.submit(hold(None, &[])).unwrap();
    assert_eq!(rig.take("call_hold").params, json!({"callid": "a"}));
}

#[test]
fn a_command_that_came_before_the_version_fails_when_it_is_known() {
    let mut rig = Rig::new(config(), [1; 32]);
    rig.is_answering = false;
    rig.start();
    rig.submit(hold(Some(Party::Caller), &[])).unwrap();
    rig.accept("version", json!({"Server": OLD}));
    for _ in 0..3 {
        rig.accept("event_subscribe", json!("OK"));
    }
    let expected = "failed Hold: 501 holding one leg is not supported by this OpenSIPS (3.4.9) (Upstream)";
    rig.expect(&[expected]);
    assert!(rig.try_take("call_hold").is_none());
}

#[test]
fn the_newer_name_is_tried_when_the_older_is_not_known() {
    for code in [-32601, -32001] {
        let mut rig = Rig::new(config(), [1; 32]);
        rig.is_answering = false;
        rig.start();
        let old = rig.take("version");
        rig.error(&old, code, "Method not found");
        rig.accept("core:version", json!({"Server": VERSION}));
        assert_eq!(rig.core.health().version.unwrap(), "4.1.0-dev");
    }
}

#[test]
fn an_opensips_that_will_not_say_its_version_is_up_and_asked_for_everything() {
    let mut rig = Rig::new(config(), [1; 32]);
    rig.is_answering = false;
    rig.start();
    for name in ["version", "core:version"] {
        let request = rig.take(name);
        rig.error(&request, -32601, "Method not found");
    }
    for _ in 0..3 {
        rig.accept("event_subscribe", json!("OK"));
    }
    assert_eq!(rig.core.health().mi, hookswitch_opensips::Link::Up);
    rig.submit(hold(Some(Party::Caller), &[])).unwrap();
    rig.take("call_hold");
}
