//! Ruling 5: batches, in strict sessions.

use hookswitch_call::{CallRef, Command};
use hookswitch_dialect::call_api::{MAX_BATCH, Mode};
use serde_json::{Value, json};

use crate::rig::{ALICE, BOB, Rig, event};

fn echo(id: u64) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "Echo", "params": {}})
}

#[test]
fn replies_come_together_and_before_everything_else() {
    let mut rig = Rig::new(Mode::Strict);
    let silent = json!({"jsonrpc": "2.0", "method": "Echo"});
    let heard = rig.send(&json!([echo(1), 5, silent, echo(2)]).to_string());
    let replies = heard[0].as_array().unwrap();
    let ids: Vec<_> = replies.iter().map(|reply| reply["id"].clone()).collect();
    assert_eq!(ids, [json!(1), Value::Null, json!(2)]);
    assert_eq!(replies[1]["error"]["code"], -32600);
    let rest: Vec<_> = heard[1..].iter().map(event).collect();
    assert_eq!(rest, ["Reply", "Ended", "Reply", "Ended", "Reply", "Ended"]);
}

#[test]
fn without_an_answer_to_give_there_is_none() {
    let silent = json!({"jsonrpc": "2.0", "method": "Nope"});
    assert!(Rig::new(Mode::Strict).send(&json!([silent, silent]).to_string()).is_empty());
}

#[test]
fn a_batch_has_a_limit() {
    let batch = |length: usize| Value::from(vec![echo(1); length]).to_string();
    let heard = Rig::new(Mode::Strict).send(&batch(MAX_BATCH));
    assert_eq!(heard[0].as_array().map(Vec::len), Some(MAX_BATCH));
    for length in [0, MAX_BATCH + 1] {
        let heard = Rig::new(Mode::Strict).send(&batch(length));
        assert_eq!((heard.len(), &heard[0]["error"]["code"]), (1, &json!(-32600)));
    }
    let heard = Rig::new(Mode::Original).send(&batch(2));
    assert_eq!(heard[0]["error"]["message"], "failed to parse JSON-RPC request");
}

/// The second request means the command of the first, though both came in one message.
#[test]
fn requests_of_a_batch_know_of_each_other() {
    let params = json!({"caller": ALICE, "callee": BOB, "cmd_id": "x"});
    let start = json!({"jsonrpc": "2.0", "id": 1, "method": "CallStart", "params": params});
    let end = json!({"jsonrpc": "2.0", "id": 2, "method": "CallEnd", "params": {"callid": "x"}});
    let again = json!({"jsonrpc": "2.0", "id": 3, "method": "CallStart", "params": params});
    let mut rig = Rig::new(Mode::Strict);
    let heard = rig.send(&json!([start, end, again]).to_string());
    assert_eq!(heard[0][2]["error"]["message"], "cmd_id is in use");
    assert_eq!(rig.submitted.len(), 2);
    let first = hookswitch_call::Ticket(1);
    assert!(matches!(&rig.submitted[1], Command::End { call, .. } if *call == CallRef::Ticket(first)));
}

/// All replies of a batch come before all notifications, so a name that ends in it is not free in
/// it: nobody could tell whose `Started` came first.
#[test]
fn a_cmd_id_serves_once_in_a_batch() {
    let named =
        |method: &str, cmd_id: &str| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"cmd_id": cmd_id}});
    let mut rig = Rig::new(Mode::Strict);
    rig.send(&named("Subscribe", "s").to_string());
    let batch = [named("Echo", "e"), named("Echo", "e"), named("Unsubscribe", "s"), named("Echo", "s")];
    let heard = rig.send(&json!(batch).to_string());
    let replies: Vec<_> = heard[0].as_array().unwrap().iter().map(event).collect();
    assert_eq!(replies, ["Started", "error", "Started", "error"]);
    for name in ["e", "s"] {
        assert_eq!(event(&rig.send(&named("Echo", name).to_string())[0]), "Started");
    }
}
