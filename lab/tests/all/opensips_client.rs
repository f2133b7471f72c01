//! A client as somebody writes one who has read nothing but the project's readme and slides: JSON-RPC requests with
//! method and params, a reply with a `cmd_id`, notifications named like the command, with `cmd_id`, `event` and `data`
//! in their params, and `Ended` when it is over.

use hookswitch_lab::opensips::OpenSipsLab;
use hookswitch_lab::opensips_cast::scripted;
use hookswitch_lab::{millis, seconds};
use hookswitch_opensips_sim::{Answer, Reaction};
use hookswitch_shard::{Mode, SessionId};
use serde_json::{Value, json};

/// What such a client keeps of a command.
#[derive(Debug)]
struct Command {
    method: &'static str,
    cmd_id: String,
}

struct Client {
    lab: OpenSipsLab,
    session: SessionId,
    requests: u64,
}

impl Client {
    fn new() -> Self {
        let mut lab = OpenSipsLab::default();
        let session = lab.open(Mode::Original);
        Self { lab, session, requests: 0 }
    }

    /// Sends a request and waits for its reply, which comes at once.
    fn run(&mut self, method: &'static str, params: Value) -> Command {
        self.requests += 1;
        let id = format!("831717ed97e{}", self.requests);
        let request = json!({"method": method, "params": params, "id": id, "jsonrpc": "2.0"});
        self.lab.say(self.session, &request.to_string());
        let heard = &self.lab.client(self.session).heard;
        let reply = heard.iter().map(|heard| &heard.message).find(|message| message["id"] == *id).expect("a reply");
        let cmd_id = reply["result"]["cmd_id"].as_str().expect("a cmd_id").to_owned();
        Command { method, cmd_id }
    }

    /// Waits for the end; gives back the notifications before it.
    fn wait(&mut self, command: &Command) -> Vec<(String, Value)> {
        self.lab.settle(seconds(200));
        let messages = self.lab.client(self.session).heard.iter().map(|heard| &heard.message);
        let mine = messages.filter(|message| message["params"]["cmd_id"] == *command.cmd_id);
        let mut told: Vec<(String, Value)> = mine
            .map(|message| {
                assert_eq!(message["method"], command.method);
                assert_eq!(message["jsonrpc"], "2.0");
                assert!(message.get("id").is_none());
                let params = &message["params"];
                (params["event"].as_str().expect("an event").to_owned(), params["data"].clone())
            })
            .collect();
        assert_eq!(told.pop(), Some(("Ended".to_owned(), Value::Null)));
        told
    }

    fn done(&mut self, method: &'static str, params: Value) -> Vec<(String, Value)> {
        let command = self.run(method, params);
        let told = self.wait(&command);
        assert!(told.iter().all(|(event, _)| event != "Error"), "{told:?}");
        told
    }

    fn error(&mut self, method: &'static str, params: Value) -> String {
        let command = self.run(method, params);
        let (event, data) = self.wait(&command).pop().expect("an error");
        assert_eq!(event, "Error");
        data.as_str().expect("a text").to_owned()
    }

    /// A call between two people; its name.
    fn call(&mut self) -> String {
        let told = self.done("CallStart", json!({"caller": DAVE, "callee": ERIN}));
        told.last().expect("the last event").1["callid"].as_str().expect("a callid").to_owned()
    }
}

const DAVE: &str = "sip:dave@127.0.0.1:5080";
const ERIN: &str = "sip:erin@127.0.0.1:5080";
const FRANK: &str = "sip:frank@127.0.0.1:5080";

fn names(told: &[(String, Value)]) -> Vec<&str> {
    told.iter().map(|(event, _)| event.as_str()).filter(|event| *event != "TransferPending").collect()
}

#[test]
fn call_start_connects_two_people() {
    let mut client = Client::new();
    let told = client.done("CallStart", json!({"caller": DAVE, "callee": ERIN}));
    assert_eq!(names(&told), ["CallerAnswered", "Transferring", "TransferStart", "CalleeAnswered"]);
    assert_eq!(told[0].1, json!({"caller": DAVE, "callee": ERIN}));
    let now = client.lab.now() + millis(1);
    client.lab.sim().handle_timeout(now);
    let callid = told.last().unwrap().1["callid"].as_str().unwrap().to_owned();
    assert!(client.lab.sim().calls().any(|call| call == callid));
}

#[test]
fn call_start_fails_with_a_text() {
    let mut client = Client::new();
    let fails = |client: &mut Client, user: &str, answer: Answer, text: &str| {
        client.lab.sim().phone(user, scripted(user).answering(answer));
        assert_eq!(client.error("CallStart", json!({"caller": DAVE, "callee": ERIN})), text);
        client.lab.sim().phone(user, scripted(user));
    };
    fails(&mut client, "dave", Answer::Refuses(486, millis(0)), "failed to establish initial call: 486 Busy Here");
    fails(&mut client, "dave", Answer::Rings, "failed to establish initial call: 408 Request Timeout");
    fails(&mut client, "erin", Answer::Refuses(486, millis(0)), "transfer failed with status 486 Busy Here");
    fails(&mut client, "erin", Answer::Silent, "transfer failed with status 408 Request Timeout");
    assert_eq!(client.error("CallStart", json!({"callee": ERIN})), "caller not specified");
    assert_eq!(client.error("CallStart", json!({"caller": DAVE})), "callee not specified");
    assert_eq!(client.error("CallStart", json!({"caller": "not a uri", "callee": ERIN})), "400 Invalid ruri");
}

#[test]
fn call_hold_and_unhold_both_parties() {
    let mut client = Client::new();
    let callid = client.call();
    let told = client.done("CallHold", json!({"callid": callid}));
    assert_eq!(told[0].0, "CallHolding");
    for leg in ["caller", "callee"] {
        for event in ["CallHoldStart", "CallHoldSuccessful"] {
            assert!(told.contains(&(event.to_owned(), json!({"leg": leg}))), "{told:?}");
        }
    }
    assert_eq!(client.error("CallHold", json!({"callid": callid})), "480 Both dialog legs are on hold");
    let told = client.done("CallUnhold", json!({"callid": callid}));
    assert_eq!((told[0].0.as_str(), told.len()), ("CallUnholding", 5));
    assert_eq!(client.error("CallUnhold", json!({"callid": callid})), "480 No dialog legs on hold");
    assert_eq!(client.error("CallHold", json!({"callid": "nope"})), "404 Dialog not found");
    assert_eq!(client.error("CallHold", json!({})), "callid not specified");
    client.lab.sim().phone("erin", scripted("erin").reinvited(Reaction::Refuses(488)));
    assert!(client.error("CallHold", json!({"callid": callid})).starts_with("hold failed on leg callee: "));
}

#[test]
fn call_blind_transfer_connects_one_party_with_somebody_else() {
    let mut client = Client::new();
    let callid = client.call();
    let told = client.done("CallBlindTransfer", json!({"callid": callid, "leg": "caller", "destination": FRANK}));
    assert_eq!(names(&told), ["Transferring", "TransferStart", "TransferSuccessful"]);
    assert_eq!(told[0].1, json!({"destination": FRANK}));
    let new = told.last().unwrap().1["callid"].clone();
    client.lab.pass(seconds(2));
    assert_eq!(client.lab.sim().calls().collect::<Vec<_>>(), [new.as_str().unwrap()], "the old call is over");
    let next = client.call();
    let nobody = json!({"callid": next, "leg": "callee", "destination": "sip:nobody@127.0.0.1:5080"});
    assert_eq!(client.error("CallBlindTransfer", nobody), "transfer failed with status 404 Not Found");
    let bad_leg = json!({"callid": next, "leg": "both", "destination": FRANK});
    assert_eq!(client.error("CallBlindTransfer", bad_leg), "-32000 Server error");
    assert_eq!(
        client.error("CallBlindTransfer", json!({"callid": next, "leg": "caller"})),
        "destination not specified"
    );
}

#[test]
fn call_attended_transfer_joins_two_calls() {
    let mut client = Client::new();
    let now = client.lab.now();
    client.lab.sim().call(now, "b", "frank", "grace");
    let callid = client.call();
    let params = json!({"callidA": callid, "legA": "caller", "callidB": "b", "legB": "callee"});
    let told = client.done("CallAttendedTransfer", params);
    assert_eq!(names(&told), ["Transferring", "TransferStart", "TransferSuccessful"]);
    let new = told.last().unwrap().1["callid"].clone();
    client.lab.pass(seconds(2));
    assert_eq!(client.lab.sim().calls().collect::<Vec<_>>(), [new.as_str().unwrap()], "both old calls are over");
    let unknown = json!({"callidA": new, "legA": "caller", "callidB": "nope", "legB": "callee"});
    assert_eq!(client.error("CallAttendedTransfer", unknown), "404 Transfer dialog not found");
}

#[test]
fn call_end_ends_a_call() {
    let mut client = Client::new();
    let callid = client.call();
    assert_eq!(client.done("CallEnd", json!({"callid": callid})), []);
    client.lab.pass(seconds(1));
    assert_eq!(client.lab.sim().counts().dialogs, 0);
    assert_eq!(client.error("CallEnd", json!({"callid": callid})), "404 Requested Dialog not found");
}

#[test]
fn echo_says_what_it_was_told() {
    let mut client = Client::new();
    assert_eq!(client.done("Echo", json!({"hello": "world"})), [("Reply".to_owned(), json!({"hello": "world"}))]);
}

#[test]
fn one_connection_runs_many_commands_at_once() {
    let mut client = Client::new();
    let commands: Vec<Command> =
        (0..10).map(|_| client.run("CallStart", json!({"caller": DAVE, "callee": ERIN}))).collect();
    for command in &commands {
        assert_eq!(client.wait(command).last().unwrap().0, "CalleeAnswered");
    }
}
