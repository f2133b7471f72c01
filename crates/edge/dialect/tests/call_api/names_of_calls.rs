//! How clients name calls: `cmd_id`, the Call-ID of a leg, the `callid` they were given.

use hookswitch_call::{CallId, CallRef, Command, LegId, Party, Refused, Stage};
use hookswitch_dialect::call_api::{Admission, Mode, SessionId};

use crate::rig::{Rig, answered, connecting, dialing, errors, events, failure, over, request, start_text};

fn end(callid: &str) -> String {
    request("CallEnd", &serde_json::json!({"callid": callid}))
}

fn target(rig: &Rig) -> &CallRef {
    match rig.submitted.last() {
        Some(Command::End { call, .. }) => call,
        other => panic!("not the end of a call: {other:?}"),
    }
}

/// Ruling 22.
#[test]
fn a_cmd_id_is_free_again_after_its_command() {
    let mut rig = Rig::new(Mode::Original);
    let ticket = rig.start("x");
    let echo = request("Echo", &serde_json::json!({"cmd_id": "x"}));
    for text in [echo.as_str(), &start_text("x")] {
        let heard = rig.send(text);
        assert_eq!(heard[0]["error"]["message"], "cmd_id is in use");
        assert_eq!(heard[0]["error"]["code"], 32000);
    }
    rig.hub.open(SessionId(2), Admission::open(Mode::Strict)).unwrap();
    assert_eq!(events(&rig.send_on(2, &start_text("x"))), ["Started"]);
    assert_eq!(rig.send_on(2, &echo)[0]["error"]["code"], -32602);

    rig.settle(ticket, Ok(()));
    assert_eq!(events(&rig.send(&echo)), ["Started", "Reply", "Ended"]);
}

/// Ruling 25.
#[test]
fn ending_a_running_start_cancels_it() {
    let mut rig = Rig::new(Mode::Original);
    let start = rig.start("x");
    rig.tell(Some(start), dialing(Party::Caller, "x"));
    assert_eq!(events(&rig.send(&end("x"))), ["Started"]);
    assert_eq!(target(&rig), &CallRef::Ticket(start));
    let ticket = rig.ticket;
    let heard = rig.settle(start, failure(Stage::Caller, 487, "Request Terminated"));
    assert_eq!(errors(&heard), ["failed to establish initial call: 487 Request Terminated"]);
    assert_eq!(events(&heard), ["Error", "Ended"]);
    assert_eq!(events(&rig.settle(ticket, Ok(()))), ["Ended"]);
}

#[test]
fn strict_clients_cancel_by_cmd_id() {
    let cancel = |cmd_id: &str| request("CallCancel", &serde_json::json!({"cmd_id": cmd_id}));
    let mut rig = Rig::new(Mode::Strict);
    let start = rig.start("x");
    let heard = rig.send(&cancel("x"));
    assert_eq!(events(&heard), ["Started"]);
    assert_ne!(heard[0]["result"]["cmd_id"], "x");
    assert_eq!(target(&rig), &CallRef::Ticket(start));

    let submitted = rig.submitted.len();
    let heard = rig.send(&cancel("y"));
    assert_eq!(events(&heard), ["Started", "Error", "Ended"]);
    assert_eq!(rig.submitted.len(), submitted);

    let mut rig = Rig::new(Mode::Original);
    assert_eq!(rig.send(&cancel("x"))[0]["error"]["message"], "unknown JSON-RPC method");
}

/// A `cmd_id` is the client's own: another session means a Call-ID by the same text.
#[test]
fn other_sessions_name_calls_by_call_id() {
    let mut rig = Rig::new(Mode::Original);
    rig.start("x");
    rig.hub.open(SessionId(2), Admission::open(Mode::Original)).unwrap();
    rig.send_on(2, &end("x"));
    assert_eq!(target(&rig), &CallRef::Wire("x".into()));
}

/// The `callid` of `TransferStart` stays good though the leg of that Call-ID lost the race.
#[test]
fn the_callid_given_is_good_to_the_end_of_the_call() {
    let mut rig = Rig::new(Mode::Original);
    let start = rig.start("x");
    let owner = Some(start);
    for event in [answered(Party::Caller), connecting(), dialing(Party::Callee, "fork-1")] {
        rig.tell_of(9, owner, event);
    }
    rig.tell_of(9, owner, dialing(Party::Callee, "fork-2"));
    rig.tell_of(9, owner, hookswitch_call::Event::Answered { leg: LegId(2), party: Party::Callee });
    rig.settle(start, Ok(()));

    rig.hub.open(SessionId(2), Admission::open(Mode::Original)).unwrap();
    rig.send_on(2, &end("fork-1"));
    assert_eq!(target(&rig), &CallRef::Id(CallId(9)));
    rig.tell_of(9, owner, over());
    rig.answers.push_back(Refused::NoSuchCall);
    assert_eq!(errors(&rig.send_on(2, &end("fork-1"))), ["404 Requested Dialog not found"]);
    assert_eq!(target(&rig), &CallRef::Wire("fork-1".into()));
}

/// With a carrier beyond us the second leg is a call of its own: the name is that call's, also if it
/// was told of before the caller had answered.
#[test]
fn the_callid_given_is_the_second_call_of_a_carrier_beyond() {
    for early in [false, true] {
        let mut rig = Rig::new(Mode::Original);
        let start = rig.start("x");
        let owner = Some(start);
        rig.tell_of(8, owner, dialing(Party::Caller, "x"));
        if early {
            rig.tell_of(9, owner, dialing(Party::Callee, "new"));
            rig.tell_of(8, owner, answered(Party::Caller));
        } else {
            rig.tell_of(8, owner, answered(Party::Caller));
            rig.tell_of(9, owner, dialing(Party::Callee, "new"));
        }
        rig.settle(start, Ok(()));
        rig.tell_of(8, None, over());
        rig.send(&end("new"));
        assert_eq!(target(&rig), &CallRef::Id(CallId(9)));
    }
}

/// A `cmd_id` that is somebody's Call-ID gives no hold on that call.
#[test]
fn a_cmd_id_never_takes_the_place_of_a_strangers_call_id() {
    let mut rig = Rig::new(Mode::Original);
    rig.answers.push_back(Refused::WireIdInUse("victim".into()));
    rig.send(&start_text("victim"));
    let owner = Some(rig.ticket);
    rig.tell(owner, answered(Party::Caller));
    rig.tell(owner, answered(Party::Callee));
    rig.settle(rig.ticket, Ok(()));
    rig.send(&end("victim"));
    assert_eq!(target(&rig), &CallRef::Wire("victim".into()));
}
