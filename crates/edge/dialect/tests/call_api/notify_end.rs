//! `notify_end`: a `CallStart` that lasts as long as its call.

use hookswitch_call::{CallId, CallRef, Command, Party, Stage};
use hookswitch_dialect::call_api::{Config, Mode, OnDisconnect, SessionId};
use serde_json::{Value, json};

use crate::rig::{ALICE, BOB, Rig, answered, connecting, dialing, errors, events, failure, over, request, start_text};

fn start(cmd_id: &str, notify_end: &Value) -> String {
    let params = json!({"caller": ALICE, "callee": BOB, "cmd_id": cmd_id, "notify_end": notify_end});
    request("CallStart", &params)
}

/// A call that stands: its second leg is call 9, as a carrier beyond us names it.
fn stand(rig: &mut Rig, cmd_id: &str) {
    rig.send(&start(cmd_id, &"true".into()));
    let owner = Some(rig.ticket);
    rig.tell_of(8, owner, dialing(Party::Caller, cmd_id));
    rig.tell_of(8, owner, answered(Party::Caller));
    rig.tell_of(8, owner, connecting());
    rig.tell_of(9, owner, dialing(Party::Callee, "b-leg"));
    rig.tell_of(9, owner, answered(Party::Callee));
    assert!(rig.settle(rig.ticket, Ok(())).is_empty());
}

#[test]
fn the_end_of_the_call_is_told_before_ended() {
    let mut rig = Rig::new(Mode::Original);
    stand(&mut rig, "x");
    assert_eq!(rig.hub.running(), 1);
    // The leg that the caller was first called on is over, and so is somebody else's call.
    assert!(rig.tell_of(8, None, over()).is_empty());
    assert!(rig.tell_of(10, None, over()).is_empty());
    let heard = rig.tell_of(9, None, over());
    assert_eq!(events(&heard), ["CallEnded", "Ended"]);
    assert_eq!(heard[0]["method"], "CallStart");
    let data = json!({"callee": BOB, "caller": ALICE, "callid": "b-leg", "cause": "200 OK", "talked": 3000});
    assert_eq!(heard[0]["params"]["data"], data);
    assert!(rig.tell_of(9, None, over()).is_empty());
    assert_eq!(rig.hub.running(), 0);
}

/// Ruling 34: who did not ask hears nothing new.
#[test]
fn nobody_else_is_told() {
    for text in [start_text("x"), start("x", &"false".into())] {
        let mut rig = Rig::new(Mode::Original);
        rig.send(&text);
        rig.tell_of(9, Some(rig.ticket), answered(Party::Caller));
        rig.tell_of(9, Some(rig.ticket), answered(Party::Callee));
        assert_eq!(events(&rig.settle(rig.ticket, Ok(()))), ["Ended"]);
        assert!(rig.tell_of(9, None, over()).is_empty());
    }
}

#[test]
fn a_call_that_is_over_before_the_command_is() {
    let mut rig = Rig::new(Mode::Strict);
    rig.send(&start("x", &true.into()));
    let owner = Some(rig.ticket);
    rig.tell_of(9, owner, answered(Party::Caller));
    rig.tell_of(9, owner, answered(Party::Callee));
    assert!(rig.tell_of(9, None, over()).is_empty());
    assert_eq!(events(&rig.settle(rig.ticket, Ok(()))), ["CallEnded", "Ended"]);
    assert_eq!(rig.hub.running(), 0);
}

#[test]
fn a_start_that_fails_has_no_call_to_end() {
    let mut rig = Rig::new(Mode::Strict);
    rig.send(&start("x", &true.into()));
    let owner = Some(rig.ticket);
    rig.tell_of(9, owner, answered(Party::Caller));
    rig.tell_of(9, owner, dialing(Party::Callee, "b-leg"));
    rig.tell_of(9, owner, over());
    let heard = rig.settle(rig.ticket, failure(Stage::Callee, 486, "Busy Here"));
    assert_eq!(events(&heard), ["Error", "Ended"]);
    assert!(rig.tell_of(9, None, over()).is_empty());
}

#[test]
fn its_cmd_id_names_the_call_while_it_lasts() {
    let mut rig = Rig::new(Mode::Original);
    stand(&mut rig, "x");
    assert_eq!(rig.send(&start_text("x"))[0]["error"]["message"], "cmd_id is in use");
    rig.send(&request("CallEnd", &json!({"callid": "x"})));
    assert!(matches!(rig.submitted.last(), Some(Command::End { call: CallRef::Id(CallId(9)), .. })));
    let ticket = rig.ticket;
    assert_eq!(events(&rig.tell_of(9, None, over())), ["CallEnded", "Ended"]);
    assert_eq!(events(&rig.settle(ticket, Ok(()))), ["Ended"]);
    assert_eq!(events(&rig.send(&start_text("x"))), ["Started"]);
}

/// With the connection the command goes, the call stays: also where calls in the making are ended.
#[test]
fn a_lost_connection_drops_it() {
    for on_disconnect in [OnDisconnect::Keep, OnDisconnect::End] {
        let config = Config { on_disconnect, ..Config::default() };
        let mut rig = Rig::with(Mode::Original, config);
        stand(&mut rig, "x");
        rig.hub.closed(SessionId(1));
        assert!(rig.drain().is_empty());
        assert_eq!((rig.hub.running(), rig.submitted.len()), (0, 1));
        assert!(rig.tell_of(9, None, over()).is_empty());
    }
    // Also if the call stands only afterwards.
    let mut rig = Rig::new(Mode::Original);
    rig.send(&start("x", &"true".into()));
    rig.hub.closed(SessionId(1));
    rig.tell_of(9, Some(rig.ticket), answered(Party::Callee));
    rig.settle(rig.ticket, Ok(()));
    assert_eq!(rig.hub.running(), 0);
}

#[test]
fn it_counts_as_in_flight() {
    let config = Config { max_in_flight: 1, ..Config::default() };
    let mut rig = Rig::with(Mode::Original, config);
    stand(&mut rig, "x");
    assert_eq!(rig.send(&start_text("y"))[0]["error"]["message"], "too many commands in flight");
    rig.tell_of(9, None, over());
    assert_eq!(events(&rig.send(&start_text("y"))), ["Started"]);
}

#[test]
fn it_is_true_or_false() {
    let heard = Rig::new(Mode::Original).send(&start("x", &"yes".into()));
    assert_eq!(events(&heard), ["Started", "Error", "Ended"]);
    assert_eq!(errors(&heard), ["notify_end must be true or false"]);
    assert_eq!(heard[1]["params"]["reason"]["param"], "notify_end");
    let heard = Rig::new(Mode::Original).send(&start("x", &true.into()));
    assert_eq!(heard[0]["error"]["message"], "bad JSON-RPC parameters");
    for bad in [json!("yes"), json!(1), json!(null)] {
        let heard = Rig::new(Mode::Strict).send(&start("x", &bad));
        assert_eq!(heard[0]["error"]["code"], -32602);
        assert_eq!(heard[0]["error"]["data"]["reason"]["param"], "notify_end");
    }
}
