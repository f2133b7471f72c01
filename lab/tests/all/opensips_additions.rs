//! What ours adds to the original's commands, in front of an OpenSIPS: the end of one's own call, requests that are
//! not carried out twice, one party on hold.

use hookswitch_lab::opensips::OpenSipsLab;
use hookswitch_lab::seconds;
use hookswitch_shard::{Mode, SessionId};
use serde_json::{Value, json};

const DAVE: &str = "sip:dave@127.0.0.1:5080";
const ERIN: &str = "sip:erin@127.0.0.1:5080";

fn say(lab: &mut OpenSipsLab, session: SessionId, id: u64, method: &str, params: &Value) {
    let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    lab.say(session, &request.to_string());
}

/// What a session has heard of one command.
fn heard(lab: &OpenSipsLab, session: SessionId, cmd_id: &str) -> Vec<Value> {
    let messages = lab.client(session).heard.iter().map(|heard| &heard.message);
    let mine = messages.filter(|message| message["params"]["cmd_id"] == cmd_id);
    mine.map(|message| message["params"].clone()).filter(|params| params["event"] != "TransferPending").collect()
}

fn events(params: &[Value]) -> Vec<&str> {
    params.iter().map(|params| params["event"].as_str().expect("an event")).collect()
}

const STANDS: [&str; 4] = ["CallerAnswered", "Transferring", "TransferStart", "CalleeAnswered"];

fn start(lab: &mut OpenSipsLab, session: SessionId) -> String {
    let params = json!({"caller": DAVE, "callee": ERIN, "cmd_id": "x", "notify_end": "true"});
    say(lab, session, 1, "CallStart", &params);
    lab.pass(seconds(20));
    let told = heard(lab, session, "x");
    assert_eq!(events(&told), STANDS);
    told[3]["data"]["callid"].as_str().expect("a callid").to_owned()
}

#[test]
fn the_end_of_ones_own_call() {
    // By the name of the call, and by that of the command.
    for by_callid in [true, false] {
        let mut lab = OpenSipsLab::default();
        let session = lab.open(Mode::Original);
        let callid = start(&mut lab, session);
        let name = if by_callid { callid.as_str() } else { "x" };
        say(&mut lab, session, 2, "CallEnd", &json!({"callid": name, "cmd_id": "e"}));
        lab.pass(seconds(20));
        assert_eq!(events(&heard(&lab, session, "e")), ["Ended"]);
        let told = heard(&lab, session, "x");
        assert_eq!(events(&told)[4..], ["CallEnded", "Ended"]);
        assert_eq!(told[4]["data"]["callid"], callid);
        assert_eq!(told[4]["data"]["cause"], "200 OK");
    }
}

#[test]
fn a_start_that_is_sent_again_calls_nobody_twice() {
    let mut lab = OpenSipsLab::default();
    let session = lab.open(Mode::Original);
    let params = json!({"caller": DAVE, "callee": ERIN, "cmd_id": "x", "idempotency_key": "k"});
    say(&mut lab, session, 1, "CallStart", &params);
    lab.pass(seconds(20));
    let calls = lab.sim().calls().count();
    let again = lab.open(Mode::Original);
    say(&mut lab, again, 2, "CallStart", &params);
    lab.pass(seconds(20));
    assert_eq!(lab.client(again).heard.len(), 1);
    assert_eq!(lab.client(again).heard[0].message["result"], json!({"cmd_id": "x", "event": "Started"}));
    assert_eq!(lab.sim().calls().count(), calls);
}

/// OpenSIPS asks both parties again, whoever is put on hold.
#[test]
fn one_party_on_hold() {
    let mut lab = OpenSipsLab::default();
    let session = lab.open(Mode::Strict);
    let callid = start(&mut lab, session);
    for (method, step) in [("CallHold", "CallHold"), ("CallUnhold", "CallUnhold")] {
        let params = json!({"callid": callid, "leg": "caller", "headers": ["X-Why: lunch"], "cmd_id": method});
        say(&mut lab, session, 2, method, &params);
        lab.pass(seconds(60));
        let told = heard(&lab, session, method);
        assert_eq!(events(&told).first(), Some(&format!("{step}ing").as_str()), "{told:?}");
        assert_eq!(events(&told).last(), Some(&"Ended"));
        assert!(!events(&told).contains(&"Error"), "{told:?}");
    }
}
