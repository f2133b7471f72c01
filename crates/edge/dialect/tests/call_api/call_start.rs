//! What a client hears of a `CallStart` on our own switch.

use hookswitch_call::{Cause, Command, Failure, LegId, Party, Refused, Stage};
use hookswitch_dialect::call_api::Mode;

use crate::rig::{Rig, answered, connecting, dialing, errors, events, failure, over, request, ringing, start_text};

/// Rulings 12 and 34: this order, these names, nothing about legs and bridges.
#[test]
fn a_whole_call() {
    for mode in [Mode::Original, Mode::Strict] {
        let mut rig = Rig::new(mode);
        let owner = Some(rig.start("order-1"));
        let mut heard = Vec::new();
        for event in [
            dialing(Party::Caller, "order-1"),
            answered(Party::Caller),
            connecting(),
            dialing(Party::Callee, "b-leg"),
            ringing(180, "Ringing"),
            ringing(183, "Session Progress"),
            answered(Party::Callee),
            hookswitch_call::Event::Bridged,
        ] {
            heard.extend(rig.tell(owner, event));
        }
        heard.extend(rig.settle(rig.ticket, Ok(())));
        heard.extend(rig.tell(owner, over()));
        assert_eq!(
            events(&heard),
            [
                "CallerAnswered",
                "Transferring",
                "TransferStart",
                "TransferPending",
                "TransferPending",
                "CalleeAnswered",
                "Ended"
            ]
        );
        for message in &heard {
            assert_eq!(message["method"], "CallStart");
            assert_eq!(message["params"]["cmd_id"], "order-1");
        }
        assert_eq!(heard[2]["params"]["data"]["callid"], "b-leg");
        assert_eq!(heard[4]["params"]["data"]["extra"], "183 Session Progress");
    }
}

#[test]
fn a_callee_that_is_a_service_of_the_switch_has_the_callers_call_id() {
    let mut rig = Rig::new(Mode::Original);
    let ticket = rig.start("a-leg");
    let owner = Some(ticket);
    rig.tell(owner, dialing(Party::Caller, "a-leg"));
    rig.tell(owner, answered(Party::Caller));
    assert_eq!(events(&rig.tell(owner, connecting())), ["Transferring"]);
    let heard = rig.tell(owner, answered(Party::Callee));
    assert_eq!(events(&heard), ["TransferStart", "CalleeAnswered"]);
    for message in &heard {
        assert_eq!(message["params"]["data"]["callid"], "a-leg");
    }
    // Nor need anybody say that it answered.
    let mut rig = Rig::new(Mode::Original);
    let ticket = rig.start("a-leg");
    rig.tell(Some(ticket), answered(Party::Caller));
    let heard = rig.settle(ticket, Ok(()));
    assert_eq!(events(&heard), ["Transferring", "TransferStart", "CalleeAnswered", "Ended"]);
}

/// The name of the call is settled once, whichever of several phones answers.
#[test]
fn one_call_id_for_a_forked_callee() {
    let mut rig = Rig::new(Mode::Original);
    let owner = Some(rig.start("x"));
    rig.tell(owner, answered(Party::Caller));
    rig.tell(owner, connecting());
    rig.tell(owner, dialing(Party::Callee, "fork-1"));
    assert!(rig.tell(owner, dialing(Party::Callee, "fork-2")).is_empty());
    let heard = rig.tell(owner, hookswitch_call::Event::Answered { leg: LegId(2), party: Party::Callee });
    assert_eq!(heard[0]["params"]["data"]["callid"], "fork-1");
}

/// Ruling 15: original clients see the status as progress first, strict ones only the error.
#[test]
fn a_failing_callee() {
    let run = |mode| {
        let mut rig = Rig::new(mode);
        let ticket = rig.start("x");
        rig.tell(Some(ticket), answered(Party::Caller));
        rig.tell(Some(ticket), connecting());
        rig.settle(ticket, failure(Stage::Callee, 486, "Busy Here"))
    };
    let heard = run(Mode::Original);
    assert_eq!(events(&heard), ["TransferStart", "TransferPending", "Error", "Ended"]);
    assert_eq!(heard[1]["params"]["data"]["extra"], "486 Busy Here");
    let heard = run(Mode::Strict);
    assert_eq!(events(&heard), ["Error", "Ended"]);
    assert_eq!(errors(&heard), ["transfer failed with status 486 Busy Here"]);
    let reason = &heard[0]["params"]["reason"];
    assert_eq!(reason.to_string(), r#"{"code":486,"fault":"peer","stage":"callee","text":"Busy Here"}"#);
}

#[test]
fn the_switch_has_no_room() {
    for (refused, data, text) in [
        (Refused::Draining, "503 Service Unavailable", "shutting down"),
        (Refused::TooManyCalls(5), "503 Service Unavailable", "limit of 5 calls"),
    ] {
        let mut rig = Rig::new(Mode::Original);
        rig.answers.push_back(refused);
        let heard = rig.send(&start_text("x"));
        assert_eq!(events(&heard), ["Started", "Error", "Ended"]);
        assert_eq!(errors(&heard), [format!("failed to establish initial call: {data}")]);
        let reason = &heard[1]["params"]["reason"];
        assert_eq!(reason["fault"], "server");
        assert!(reason["text"].as_str().unwrap().contains(text));
    }
    let mut rig = Rig::new(Mode::Original);
    rig.answers.push_back(Refused::AddressTooLong);
    assert_eq!(errors(&rig.send(&start_text("x"))), ["400 Invalid ruri"]);
}

/// Ruling 23: the `cmd_id` becomes the Call-ID where it can be one and nobody has it.
#[test]
fn the_cmd_id_becomes_the_call_id() {
    let wire_id = |rig: &Rig, index: usize| match &rig.submitted[index] {
        Command::Start { wire_id, .. } => wire_id.as_deref().map(ToOwned::to_owned),
        other => panic!("not a start: {other:?}"),
    };
    let mut rig = Rig::new(Mode::Original);
    rig.start("order-4711");
    rig.start("order 4711");
    assert_eq!(wire_id(&rig, 0).as_deref(), Some("order-4711"));
    assert_eq!(wire_id(&rig, 1), None);

    rig.answers.push_back(Refused::WireIdInUse("taken".into()));
    assert_eq!(events(&rig.send(&start_text("taken"))), ["Started"]);
    assert_eq!(wire_id(&rig, 2).as_deref(), Some("taken"));
    assert_eq!(wire_id(&rig, 3), None);

    let params = serde_json::json!({"caller": "sip:a@b", "callee": "sip:c@d"});
    let heard = rig.send(&request("CallStart", &params));
    assert_eq!(wire_id(&rig, 4).as_deref(), heard[0]["result"]["cmd_id"].as_str());
}

/// Ruling 24.
#[test]
fn nothing_but_one_uri_reaches_the_switch() {
    for bad in ["sip:a@b\r\nX-Evil: 1", "Alice <sip:a@b>", "sip:a@b,sip:c@d", "", "mailto:a@b"] {
        for [caller, callee] in [[bad, "sip:bob@b"], ["sip:bob@b", bad]] {
            let text = request("CallStart", &serde_json::json!({"caller": caller, "callee": callee}));
            let mut rig = Rig::new(Mode::Original);
            let heard = rig.send(&text);
            assert_eq!(events(&heard), ["Started", "Error", "Ended"]);
            assert_eq!(errors(&heard), ["400 Invalid ruri"]);
            let param = if caller == bad { "caller" } else { "callee" };
            assert_eq!(heard[1]["params"]["reason"]["param"], param);

            let mut rig = Rig::new(Mode::Strict);
            let heard = rig.send(&text);
            assert_eq!(heard[0]["error"]["code"], -32602);
            assert_eq!(heard[0]["error"]["data"]["reason"]["param"], param);
            assert!(rig.submitted.is_empty());
        }
    }
}

/// A peer's 484 is the peer's word about the call, not ours about the address.
#[test]
fn only_our_own_word_about_an_address_is_invalid_ruri() {
    let mut rig = Rig::new(Mode::Original);
    let ticket = rig.start("x");
    let cause = Cause::from_status(484, "Address Incomplete");
    let heard = rig.settle(ticket, Err(Failure::new(Stage::Caller, cause)));
    assert_eq!(errors(&heard), ["failed to establish initial call: 484 Address Incomplete"]);
}
