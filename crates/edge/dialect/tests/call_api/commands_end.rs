//! Every command ends: the other commands of the table, and what comes too late.

use hookswitch_call::{Party, Refused, Stage};
use hookswitch_dialect::call_api::{COMMANDS, Kind, Mode};
use serde_json::{Map, Value};

use crate::rig::{Rig, answered, errors, events, failure, request};

/// Parameters that a row accepts.
fn good_params(row: &hookswitch_dialect::call_api::CommandRow) -> Map<String, Value> {
    let value = |kind| match kind {
        Kind::Uri => "sip:carol@example.test",
        Kind::CallId => "some-call",
        Kind::Leg => "caller",
        Kind::CommandId => "other",
        Kind::Headers => "X-Note: lunch",
        Kind::Flag => "true",
        Kind::EventId => "1",
        Kind::Calls => "call_1",
        Kind::Types => "call.ended",
        Kind::Domains => "example.test",
    };
    row.params.iter().map(|param| (param.name.to_owned(), value(param.kind).into())).collect()
}

/// Ruling 13, for each row of the table: whatever happens, `Started` first and `Ended` last.
#[test]
fn every_command_starts_and_ends() {
    for row in COMMANDS {
        for mode in [Mode::Original, Mode::Strict].into_iter().filter(|mode| row.modes.has(*mode)) {
            let mut rig = Rig::new(mode);
            let mut heard = rig.send(&request(row.name, &good_params(row).into()));
            if row.name == "Subscribe" {
                let cmd_id = heard[0]["result"]["cmd_id"].clone();
                let params = serde_json::json!({"cmd_id": cmd_id});
                heard.extend(rig.send(&request("Unsubscribe", &params)));
                heard.retain(|message| message["result"]["cmd_id"] == cmd_id || message["params"]["cmd_id"] == cmd_id);
            } else if rig.hub.running() == 1 {
                heard.extend(rig.settle(rig.ticket, failure(Stage::End, 500, "x")));
            }
            let names = events(&heard);
            assert_eq!(names.first(), Some(&"Started"), "{}", row.name);
            assert_eq!(names.last(), Some(&"Ended"), "{}", row.name);
            assert_eq!(names.iter().filter(|name| **name == "Ended").count(), 1, "{}", row.name);
            assert_eq!(rig.hub.running(), 0, "{}", row.name);
        }
    }
}

/// A carrier that cannot do it, such as our own switch, says so.
#[test]
fn hold_and_transfer_may_not_be_supported() {
    for name in ["CallHold", "CallUnhold", "CallBlindTransfer", "CallAttendedTransfer"] {
        let row = COMMANDS.iter().find(|row| row.name == name).unwrap();
        let mut rig = Rig::new(Mode::Original);
        rig.answers.push_back(Refused::Unsupported("this is not supported by this switch".into()));
        let heard = rig.send(&request(name, &good_params(row).into()));
        assert_eq!(events(&heard), ["Started", "Error", "Ended"]);
        assert_eq!(errors(&heard), ["501 this is not supported by this switch"]);
        let reason = &heard[1]["params"]["reason"];
        assert_eq!((&reason["stage"], &reason["code"]), (&"backend".into(), &501.into()));
    }
}

/// Ruling 11.
#[test]
fn a_leg_is_caller_or_callee() {
    let params = serde_json::json!({"callid": "x", "leg": "both", "destination": "sip:a@b"});
    let text = request("CallBlindTransfer", &params);
    let heard = Rig::new(Mode::Original).send(&text);
    assert_eq!(events(&heard), ["Started", "Error", "Ended"]);
    assert_eq!(errors(&heard), ["-32000 Server error"]);
    assert_eq!(heard[1]["params"]["reason"]["text"], "leg must be caller or callee");
    let heard = Rig::new(Mode::Strict).send(&text);
    assert_eq!(heard[0]["error"]["code"], -32602);
    assert_eq!(heard[0]["error"]["message"], "leg must be caller or callee");
}

#[test]
fn a_call_that_is_ending_cannot_be_ended_again() {
    let mut rig = Rig::new(Mode::Original);
    rig.answers.push_back(Refused::Ending);
    let heard = rig.send(&request("CallEnd", &serde_json::json!({"callid": "x"})));
    assert_eq!(errors(&heard), ["404 Requested Dialog not found"]);
    assert_eq!(heard[1]["params"]["reason"]["text"], "the call is ending");
}

/// Nothing is said after `Ended`; what would have been is counted.
#[test]
fn late_words_are_dropped_and_counted() {
    let mut rig = Rig::new(Mode::Original);
    let ticket = rig.start("x");
    rig.settle(ticket, Ok(()));
    assert!(rig.settle(ticket, Ok(())).is_empty());
    assert!(rig.tell(Some(ticket), answered(Party::Callee)).is_empty());
    assert_eq!(rig.hub.counts().late, 1);
    assert_eq!(rig.hub.running(), 0);
}

/// Ruling 14 and its switch.
#[test]
fn the_reason_can_be_switched_off() {
    let config = hookswitch_dialect::call_api::Config { reason: false, ..Default::default() };
    let mut rig = Rig::with(Mode::Original, config);
    let heard = rig.send(&request("CallEnd", &serde_json::json!({})));
    assert_eq!(heard[1]["params"].to_string(), {
        let cmd_id = &heard[0]["result"]["cmd_id"];
        format!(r#"{{"cmd_id":{cmd_id},"data":"callid not specified","event":"Error"}}"#)
    });
    let heard = rig.send("x");
    assert_eq!(
        heard[0].to_string(),
        r#"{"error":{"code":32000,"message":"failed to parse JSON-RPC request"},"id":"","jsonrpc":"2.0"}"#
    );
}
