//! What `CallHold`, `CallUnhold` and the transfers ask of the switch, and what clients hear when it
//! cannot.

use hookswitch_call::{Address, CallRef, Cause, Command, Event, Failure, Notes, Party, Refused, Stage, Upstream};
use hookswitch_dialect::call_api::Mode;
use serde_json::{Value, json};

use crate::rig::{Rig, dialing, errors, events, request};

fn wire(name: &str) -> CallRef {
    CallRef::Wire(name.into())
}

fn notes(pairs: &[(&str, &str)]) -> Notes {
    Notes(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
}

#[test]
fn parties_and_notes_of_a_hold() {
    let mut rig = Rig::new(Mode::Strict);
    let headers = json!(["Reason: hold", {"name": "X-Music", "value": "jazz"}]);
    for (method, params, party, expected) in [
        ("CallHold", json!({"callid": "x"}), None, notes(&[])),
        ("CallUnhold", json!({"callid": "x", "leg": "callee"}), Some(Party::Callee), notes(&[])),
        (
            "CallHold",
            json!({"callid": "x", "leg": "caller", "headers": "Reason: hold\r\nX-Music: jazz\r\n"}),
            Some(Party::Caller),
            notes(&[("Reason", "hold"), ("X-Music", "jazz")]),
        ),
        (
            "CallUnhold",
            json!({"callid": "x", "headers": headers}),
            None,
            notes(&[("Reason", "hold"), ("X-Music", "jazz")]),
        ),
    ] {
        assert_eq!(events(&rig.send(&request(method, &params))), ["Started"]);
        let (call, notes) = (wire("x"), expected);
        let expected = if method == "CallHold" {
            Command::Hold { call, party, notes }
        } else {
            Command::Unhold { call, party, notes }
        };
        assert_eq!(rig.submitted.last(), Some(&expected));
    }
}

#[test]
fn parties_of_a_transfer() {
    let mut rig = Rig::new(Mode::Original);
    rig.send(&request("CallBlindTransfer", &json!({"callid": "x", "leg": "caller", "destination": "sip:c@d"})));
    let to = Address::from("sip:c@d");
    let expected = Command::Transfer { call: wire("x"), party: Party::Caller, to: to.clone(), by: None };
    assert_eq!(rig.submitted.last(), Some(&expected));
    for destination in [None, Some(to)] {
        let mut params = json!({"callidA": "x", "legA": "caller", "callidB": "y", "legB": "callee"});
        if let Some(to) = &destination {
            params["destination"] = to.0.as_str().into();
        }
        rig.send(&request("CallAttendedTransfer", &params));
        let expected = Command::Join {
            call: wire("x"),
            party: Party::Caller,
            other: wire("y"),
            other_party: Party::Callee,
            to: destination,
            by: None,
        };
        assert_eq!(rig.submitted.last(), Some(&expected));
    }
}

/// The first leg of a running `CallStart` can be held by the command's name (section 1.4).
#[test]
fn the_cmd_id_of_a_running_start_names_its_call() {
    let mut rig = Rig::new(Mode::Original);
    let start = rig.start("x");
    rig.tell(Some(start), dialing(Party::Caller, "x"));
    rig.send(&request("CallHold", &json!({"callid": "x"})));
    let Some(Command::Hold { call, .. }) = rig.submitted.last() else { panic!("not a hold") };
    assert_eq!(call, &CallRef::Ticket(start));
}

fn requests() -> [(&'static str, Value); 4] {
    [
        ("CallHold", json!({"callid": "x"})),
        ("CallUnhold", json!({"callid": "x"})),
        ("CallBlindTransfer", json!({"callid": "x", "leg": "caller", "destination": "sip:c@d"})),
        ("CallAttendedTransfer", json!({"callidA": "x", "legA": "caller", "callidB": "y", "legB": "callee"})),
    ]
}

/// Ruling 38, and everything else for which the carrier does not take a command.
#[test]
fn a_command_that_is_not_taken() {
    for (refused, data, stage, fault) in [
        (Refused::NoSuchCall, "404 Dialog not found", None, "controller"),
        (Refused::Ending, "404 Dialog not found", None, "controller"),
        (
            Refused::CarrierDown("OpenSIPS is not answering".into()),
            "503 OpenSIPS is not answering",
            Some("backend"),
            "upstream",
        ),
        (
            Refused::Unsupported("this is an old OpenSIPS".into()),
            "501 this is an old OpenSIPS",
            Some("backend"),
            "server",
        ),
        (Refused::TooManyCommands(7), "503 Service Unavailable", Some("backend"), "server"),
        (Refused::Draining, "503 Service Unavailable", Some("backend"), "server"),
        (Refused::AddressTooLong, "400 Invalid ruri", Some("request"), "controller"),
    ] {
        for (method, params) in requests() {
            let mut rig = Rig::new(Mode::Original);
            rig.answers.push_back(refused.clone());
            let heard = rig.send(&request(method, &params));
            assert_eq!(events(&heard), ["Started", "Error", "Ended"]);
            assert_eq!(errors(&heard), [data], "{method}");
            let reason = &heard[1]["params"]["reason"];
            let own = match method {
                "CallHold" => "hold",
                "CallUnhold" => "unhold",
                _ => "transfer",
            };
            assert_eq!(reason["stage"], stage.unwrap_or(own), "{method}");
            assert_eq!(reason["fault"], fault, "{method}");
            assert_eq!(reason["text"], refused.to_string(), "{method}");
        }
    }
}

/// Section 1.6: what OpenSIPS answers is passed on as `"<code> <message>"`; `reason` explains it.
#[test]
fn the_words_of_opensips() {
    for (code, text) in
        [(491, "Request Pending"), (410, "Dialog not ready"), (-32000, "Server error"), (-32601, "Method not found")]
    {
        for (method, params) in requests() {
            let mut rig = Rig::new(Mode::Strict);
            rig.send(&request(method, &params));
            let cause = Cause::from_status(491, "a transfer of this call was tried before");
            let upstream = Some(Upstream { code, text: text.into() });
            let failure = Failure { upstream, ..Failure::new(Stage::Transfer, cause) };
            let heard = rig.settle(rig.ticket, Err(failure));
            assert_eq!(events(&heard), ["Error", "Ended"]);
            assert_eq!(errors(&heard), [format!("{code} {text}")]);
            assert_eq!(heard[0]["params"]["reason"]["code"], code);
            assert_eq!(heard[0]["params"]["reason"]["text"], "a transfer of this call was tried before");
        }
    }
}

/// Ruling 20: one party takes part, the command ends with it.
#[test]
fn one_party_alone() {
    let mut rig = Rig::new(Mode::Original);
    let mut heard = rig.send(&request("CallUnhold", &json!({"callid": "x", "leg": "caller"})));
    let owner = Some(rig.ticket);
    heard.extend(rig.tell(owner, Event::HoldAccepted { hold: false }));
    heard.extend(rig.tell(owner, Event::HoldAsked { party: Party::Caller, hold: false }));
    heard.extend(rig.settle(rig.ticket, Ok(())));
    assert_eq!(events(&heard), ["Started", "CallUnholding", "CallUnholdStart", "CallUnholdSuccessful", "Ended"]);
    assert_eq!(heard[3]["params"]["data"], json!({"leg": "caller"}));
}

/// Ruling 21: events belong to the command whose ticket they carry.
#[test]
fn two_holds_do_not_hear_each_other() {
    let mut rig = Rig::new(Mode::Original);
    for callid in ["x", "y"] {
        rig.send(&request("CallHold", &json!({"callid": callid, "cmd_id": callid})));
    }
    let heard = rig.tell(Some(rig.ticket), Event::Held { party: Party::Caller, hold: true });
    assert!(heard.iter().all(|message| message["params"]["cmd_id"] == "y"));
    assert_eq!(heard.len(), 3);
}

/// Nothing but header fields of one's own, one a line, reaches the carrier.
#[test]
fn bad_headers() {
    for (headers, says) in [
        (json!("Via: x"), "Via belongs to the dialog"),
        (json!("X-A: b\r\nm: <sip:evil@x>"), "m belongs to the dialog"),
        (json!("X-A"), "lines of the form"),
        (json!("X-A: b\r\n\tfolded: x"), "not the name of a header field"),
        (json!("X-A: b\u{0}"), "control character"),
        (json!("X-A: b\\r\\nVia: c"), "backslash"),
        (json!("X-A: b\n".repeat(17)), "at most 16"),
        (json!("x".repeat(5_000)), "at most 4096 bytes"),
    ] {
        let text = request("CallHold", &json!({"callid": "x", "headers": headers}));
        let mut rig = Rig::new(Mode::Original);
        let heard = rig.send(&text);
        assert_eq!(events(&heard), ["Started", "Error", "Ended"], "{headers}");
        assert!(errors(&heard)[0].contains(says), "{heard:?}");
        assert_eq!(heard[1]["params"]["reason"]["param"], "headers");
        assert!(rig.submitted.is_empty());
        let heard = Rig::new(Mode::Strict).send(&text);
        assert_eq!(heard[0]["error"]["code"], -32602);
        assert!(heard[0]["error"]["message"].as_str().unwrap().contains(says), "{heard:?}");
    }
    for headers in [json!([5]), json!({"X-A": "b"}), json!(["X-A: b\r\nVia: c"]), json!(null)] {
        let heard = Rig::new(Mode::Strict).send(&request("CallHold", &json!({"callid": "x", "headers": headers})));
        assert_eq!(heard[0]["error"]["code"], -32602, "{headers}");
        assert_eq!(heard[0]["error"]["data"]["reason"]["param"], "headers");
    }
}
