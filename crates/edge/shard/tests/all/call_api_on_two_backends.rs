//! The commands of the Call API behave the same on our own switch and on an OpenSIPS: one table, two
//! backends. What differs is listed in docs/call-api.md, and marked here.

use std::collections::VecDeque;
use std::time::Duration;

use hookswitch_call::switchboard::{Output as Said, Switchboard};
use hookswitch_call::*;
use hookswitch_dialect::call_api::{Admission, Config, Hub, HubOutput, Mode, SessionId};
use hookswitch_opensips::{Input, OpenSips, Output};
use serde_json::{Value, json};

/// What happens beyond the backend.
#[derive(Clone, Copy, Debug)]
enum Fact {
    CallerAnswers,
    CalleeRings,
    CalleeAnswers,
    /// A party agrees to be held, or to be taken off.
    Agrees(Party),
    /// It does not.
    Refuses(Party),
    TargetRings,
    TargetAnswers,
    TargetIsBusy,
    /// The party of the second call comes to the first.
    Joined,
}

/// A backend that carries the calls `a` and `b`, both answered, and what becomes of them.
trait Backend {
    fn submit(&mut self, now: Time, command: Command) -> Result<Ticket, Refused>;
    fn happens(&mut self, now: Time, fact: Fact);
    /// What is to be told, and what has ended.
    /// Time has passed.
    fn rest(&mut self, now: Time);
    fn next(&mut self) -> Option<Result<Told, Outcome>>;
}

// Our own switch.

struct Own {
    board: Switchboard,
    said: VecDeque<Result<Told, Outcome>>,
    calls: [CallId; 2],
    /// Legs that were dialled and those that owe an answer to a change.
    dialled: Vec<(CallId, LegId)>,
    changing: Vec<(CallId, LegId)>,
    sought: Option<CallId>,
}

impl Own {
    fn new(now: Time) -> Self {
        let board = Switchboard::new(Limits::default(), 1);
        let mut own = Self {
            board,
            said: VecDeque::new(),
            calls: [CallId(1), CallId(2)],
            dialled: Vec::new(),
            changing: Vec::new(),
            sought: None,
        };
        for (name, call) in [("a", CallId(1)), ("b", CallId(2))] {
            let (from, to) = (Address::from("sip:x@x"), Address::from("sip:y@x"));
            let offer = Some(Sdp::from("offer"));
            let incoming = Incoming::new(Handle(call.0), name.into(), from, to, offer);
            own.tell(now, Report::Incoming(Box::new(incoming)));
            own.locate(now, call, "sip:y@10.0.0.11");
            own.tell(now, Report::Answered { call, leg: LegId(1), sdp: Some(Sdp::from("answer")) });
            own.tell(now, Report::Confirmed { call, leg: LegId(0), sdp: None });
        }
        own.said.clear();
        own.dialled.clear();
        own
    }

    fn tell(&mut self, now: Time, report: Report) {
        self.board.tell(now, report);
        self.work(now);
    }

    fn locate(&mut self, now: Time, call: CallId, contact: &str) {
        let found = Found::Targets(vec![Target::new(Address::from(contact), None, None)]);
        self.tell(now, Report::Located { call, found, codecs: None, forwards: None });
    }

    fn work(&mut self, now: Time) {
        while let Some(output) = self.board.poll_output() {
            match output {
                Said::Event(told) => self.said.push_back(Ok(told)),
                Said::Outcome(outcome) => self.said.push_back(Err(outcome)),
                Said::Media(MediaOp::MakeOffer { call, seat, leg, .. } | MediaOp::MakeAnswer { call, seat, leg }) => {
                    self.board.tell_media(now, MediaReport::Local { call, seat, leg, sdp: Sdp::from("ours") });
                }
                Said::Media(_) => {}
                Said::Op(Op::Locate { call, .. }) => self.sought = Some(call),
                Said::Op(Op::Dial { call, leg, dial }) => {
                    self.dialled.push((call, leg));
                    let wire_id = dial.wire_id.clone().unwrap_or_else(|| "new".into());
                    self.board.tell(now, Report::Dialed { call, leg, wire_id });
                }
                Said::Op(Op::Reoffer { call, leg, .. }) => self.changing.push((call, leg)),
                Said::Op(_) => {}
                // Nobody leads these calls.
                Said::StepWanted(wanted) => panic!("{wanted:?}"),
            }
        }
    }

    fn target(&mut self, now: Time) -> (CallId, LegId) {
        if let Some(call) = self.sought.take() {
            self.locate(now, call, "sip:cindy@10.0.0.12:5060");
        }
        *self.dialled.last().expect("somebody is called")
    }
}

impl Backend for Own {
    fn submit(&mut self, now: Time, command: Command) -> Result<Ticket, Refused> {
        let answer = self.board.submit(now, command);
        self.work(now);
        answer
    }

    fn happens(&mut self, now: Time, fact: Fact) {
        let answer = |(call, leg)| Report::Answered { call, leg, sdp: Some(Sdp::from("answer")) };
        let text = |text: &str| text.into();
        match fact {
            Fact::CallerAnswers | Fact::CalleeAnswers | Fact::TargetAnswers => {
                let leg = self.target(now);
                self.tell(now, answer(leg));
            }
            Fact::CalleeRings | Fact::TargetRings => {
                let (call, leg) = self.target(now);
                self.tell(now, Report::Progress { call, leg, status: 180, text: text("Ringing"), sdp: None });
            }
            Fact::TargetIsBusy => {
                let (call, leg) = self.target(now);
                self.tell(now, Report::Ended { call, leg, cause: Cause::from_status(486, "Busy Here") });
            }
            Fact::Agrees(party) | Fact::Refuses(party) => {
                let leg = LegId(if party == Party::Caller { 0 } else { 1 });
                let call = self.calls[0];
                self.changing.retain(|name| *name != (call, leg));
                let refused = Cause::from_status(500, "re-INVITE refused");
                let agrees = matches!(fact, Fact::Agrees(_));
                let sdp = if agrees { Ok(Some(Sdp::from("answer"))) } else { Err(refused) };
                self.tell(now, Report::Reaccepted { call, leg, sdp });
                // Whoever had agreed before is put back, and agrees to that.
                if !agrees {
                    for (call, leg) in std::mem::take(&mut self.changing) {
                        let sdp = Ok(Some(Sdp::from("answer")));
                        self.tell(now, Report::Reaccepted { call, leg, sdp });
                    }
                }
            }
            Fact::Joined => {
                let (call, leg) = self.changing.pop().expect("a leg is offered another session");
                self.tell(now, Report::Reaccepted { call, leg, sdp: Ok(Some(Sdp::from("answer"))) });
            }
        }
    }

    fn rest(&mut self, now: Time) {
        self.board.handle_timeout(now);
        self.work(now);
    }

    fn next(&mut self) -> Option<Result<Told, Outcome>> {
        self.said.pop_front()
    }
}

// OpenSIPS, whose side of MI and EVI is played here.

struct Beyond {
    core: OpenSips,
    said: VecDeque<Result<Told, Outcome>>,
    /// Requests that nobody has answered: their id.
    asked: VecDeque<(String, String)>,
    /// The last hold was one, or took one off.
    action: &'static str,
    /// The first leg of a call that is being started, or the call that is transferred.
    callid: &'static str,
    held: [bool; 2],
}

const SOCKET: &str = "udp:127.0.0.1:49136";

impl Beyond {
    fn new(now: Time) -> Self {
        let config = hookswitch_opensips::Config { event_socket: SOCKET.into(), ..Default::default() };
        let core = OpenSips::new(config, [7; 32]);
        let (said, asked) = (VecDeque::new(), VecDeque::new());
        let mut beyond = Self { core, said, asked, action: "hold", callid: "a", held: [false; 2] };
        beyond.core.start(now);
        beyond.work(now);
        beyond
    }

    fn work(&mut self, now: Time) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Event(told) => self.said.push_back(Ok(told)),
                Output::Outcome(outcome) => self.said.push_back(Err(outcome)),
                Output::Health(_) | Output::Learned { .. } => {}
                Output::Mi { bytes, .. } => self.asked(now, &serde_json::from_slice(&bytes).expect("JSON")),
            }
        }
    }

    fn asked(&mut self, now: Time, request: &Value) {
        let id = request["id"].as_str().expect("ids are strings").to_owned();
        let method = request["method"].as_str().expect("a method").to_owned();
        let unknown = ["callid", "dialog_id", "transfer_callid"].iter().any(|name| request["params"][*name] == "gone");
        let not_found = |text| Err(json!({"code": 404, "message": text}));
        let answer = match method.as_str() {
            "version" => Ok(json!({"Server": "OpenSIPS (4.1.0-dev (x86_64/linux))"})),
            "event_subscribe" => Ok(json!("OK")),
            "subscribers_list" => Ok(json!({"Event": {"name": "E_CALL_TRANSFER", "id": 6, "Subscribers": [
                {"socket": SOCKET, "expire": 120, "ttl": 80}]}})),
            "dlg_end_dlg" if unknown => not_found("Requested Dialog not found"),
            "call_transfer" if request["params"]["transfer_callid"] == "gone" => not_found("Transfer dialog not found"),
            _ if unknown => not_found("Dialog not found"),
            "dlg_end_dlg" => Ok(json!("OK")),
            "call_transfer" => Ok(json!("Accepted")),
            "call_hold" | "call_unhold" => {
                let on = method == "call_hold";
                self.action = if on { "hold" } else { "unhold" };
                if self.held == [on; 2] {
                    let text = if on { "Both dialog legs are on hold" } else { "No dialog legs on hold" };
                    Err(json!({"code": 480, "message": text}))
                } else {
                    self.reply(now, &id, Ok(json!("OK")));
                    for leg in if on { ["caller", "callee"] } else { ["callee", "caller"] } {
                        self.hold(now, leg, "start");
                    }
                    return;
                }
            }
            _ => return self.asked.push_back((id, method)),
        };
        self.reply(now, &id, answer);
    }

    fn reply(&mut self, now: Time, id: &str, answer: Result<Value, Value>) {
        let text = match answer {
            Ok(result) => json!({"jsonrpc": "2.0", "result": result, "id": id}),
            Err(error) => json!({"jsonrpc": "2.0", "error": error, "id": id}),
        };
        self.core.handle(now, Input::Reply(text.to_string().into()));
        self.work(now);
    }

    fn event(&mut self, now: Time, method: &str, params: Value) {
        let text = json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string();
        self.core.handle(now, Input::Event(text.into()));
        self.work(now);
    }

    fn hold(&mut self, now: Time, leg: &str, state: &str) {
        let action = self.action;
        self.event(now, "E_CALL_HOLD", json!({"callid": "a", "leg": leg, "action": action, "state": state}));
    }

    fn transfer(&mut self, now: Time, state: &str, status: &str) {
        let to = if state == "notify" { "" } else { "sip:cindy@10.0.0.12:5060" };
        let callid = self.callid;
        let params = json!({"callid": callid, "leg": null, "transfer_callid": "new", "destination": to,
                            "state": state, "status": status});
        self.event(now, "E_CALL_TRANSFER", params);
    }
}

impl Backend for Beyond {
    fn submit(&mut self, now: Time, command: Command) -> Result<Ticket, Refused> {
        self.callid = if matches!(command, Command::Start { .. }) { "start" } else { "a" };
        let answer = self.core.submit(now, command);
        self.work(now);
        answer
    }

    fn happens(&mut self, now: Time, fact: Fact) {
        match fact {
            Fact::CallerAnswers => {
                let (id, method) = self.asked.pop_front().expect("the caller is called");
                assert_eq!(method, "t_uac_dlg");
                let answer = json!({"Status": "200 Answering", "RURI": "sip:alice@127.0.0.11:5060", "Message": "..."});
                self.reply(now, &id, Ok(answer));
                let params = json!({"id": "4d.e7806df5", "callid": "start", "old_state": 3, "new_state": 4});
                self.event(now, "E_DLG_STATE_CHANGED", params);
                self.transfer(now, "start", "");
            }
            Fact::CalleeRings => self.transfer(now, "notify", "180 Ringing"),
            Fact::CalleeAnswers | Fact::TargetAnswers => self.transfer(now, "ok", "200 OK"),
            Fact::TargetRings => {
                self.transfer(now, "start", "");
                self.transfer(now, "notify", "180 Ringing");
            }
            Fact::TargetIsBusy => self.transfer(now, "fail", "486 Busy Here"),
            Fact::Joined => {
                self.transfer(now, "start", "");
                self.transfer(now, "ok", "200 OK");
            }
            Fact::Agrees(party) | Fact::Refuses(party) => {
                let agrees = matches!(fact, Fact::Agrees(_));
                let (at, leg) = if party == Party::Caller { (0, "caller") } else { (1, "callee") };
                if agrees {
                    self.held[at] = self.action == "hold";
                }
                self.hold(now, leg, if agrees { "ok" } else { "fail" });
            }
        }
    }

    fn rest(&mut self, now: Time) {
        self.core.handle_timeout(now);
        self.work(now);
    }

    fn next(&mut self) -> Option<Result<Told, Outcome>> {
        self.said.pop_front()
    }
}

// A client.

struct Client {
    hub: Hub,
    now: Time,
    /// What it has read: the event, and its data.
    read: Vec<String>,
}

impl Client {
    fn new(now: Time) -> Self {
        let mut hub = Hub::new(Config::default(), [7; 32]);
        hub.open(SessionId(1), Admission::open(Mode::Original)).expect("room");
        Self { hub, now, read: Vec::new() }
    }

    fn asks(&mut self, backend: &mut dyn Backend, method: &str, params: &Value) {
        let text = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        self.hub.text(self.now, SessionId(1), &text);
        self.hear(backend);
    }

    fn hear(&mut self, backend: &mut dyn Backend) {
        loop {
            while let Some(output) = self.hub.poll_output() {
                match output {
                    HubOutput::Text { text, .. } => self.read.push(line(&text)),
                    HubOutput::Submit { tag, command } => {
                        let answer = backend.submit(self.now, command);
                        self.hub.submitted(tag, answer);
                    }
                    HubOutput::Log { .. } | HubOutput::Close { .. } => panic!("the client is thrown out"),
                }
            }
            match backend.next() {
                Some(Ok(told)) => self.hub.told(&told),
                Some(Err(outcome)) => self.hub.outcome(&outcome),
                None => return,
            }
        }
    }
}

/// `Event {names of its data}`, or `Error text`; the legs that are left on hold differ and are left out.
fn line(text: &str) -> String {
    let message: Value = serde_json::from_str(text).expect("JSON");
    let (params, result) = (&message["params"], &message["result"]);
    let event = params["event"].as_str().or(result["event"].as_str()).expect("an event");
    match &params["data"] {
        Value::Object(data) if event.contains("Hold") || event.contains("hold") => format!("{event} {}", data["leg"]),
        Value::Object(data) => {
            let mut names: Vec<&str> = data.keys().map(String::as_str).collect();
            names.sort_unstable();
            format!("{event} {}", names.join(","))
        }
        Value::String(text) => format!("{event} {text}"),
        _ => event.to_owned(),
    }
}

struct Row {
    name: &'static str,
    /// Commands, each with what happens until it is over.
    steps: Vec<(&'static str, Value, Vec<Fact>)>,
    expected: Vec<&'static str>,
}

const BOTH: [Fact; 2] = [Fact::Agrees(Party::Caller), Fact::Agrees(Party::Callee)];

fn starts_and_ends() -> Vec<Row> {
    let start = json!({"caller": "sip:alice@x.test", "callee": "sip:bob@x.test", "cmd_id": "start"});
    vec![
        Row {
            name: "a call is started",
            steps: vec![("CallStart", start, vec![Fact::CallerAnswers, Fact::CalleeRings, Fact::CalleeAnswers])],
            expected: vec![
                "Started",
                "CallerAnswered callee,caller",
                "Transferring caller,destination",
                "TransferStart callee,caller,callid",
                "TransferPending callee,caller,callid,extra",
                "CalleeAnswered callee,caller,callid",
                "Ended",
            ],
        },
        Row {
            name: "a call is ended",
            steps: vec![("CallEnd", json!({"callid": "a"}), vec![])],
            expected: vec!["Started", "Ended"],
        },
        Row {
            name: "there is no such call",
            steps: vec![
                ("CallEnd", json!({"callid": "gone"}), vec![]),
                ("CallHold", json!({"callid": "gone"}), vec![]),
                ("CallUnhold", json!({"callid": "gone"}), vec![]),
                ("CallBlindTransfer", json!({"callid": "gone", "leg": "caller", "destination": "sip:c@x"}), vec![]),
                (
                    "CallAttendedTransfer",
                    json!({"callidA": "a", "legA": "caller", "callidB": "gone", "legB": "callee"}),
                    vec![],
                ),
            ],
            expected: [
                "404 Requested Dialog not found",
                "404 Dialog not found",
                "404 Dialog not found",
                "404 Dialog not found",
                "404 Transfer dialog not found",
            ]
            .iter()
            .flat_map(|text| ["Started".to_owned(), format!("Error {text}"), "Ended".into()])
            .map(|line| &*line.leak())
            .collect(),
        },
    ]
}

fn holds() -> Vec<Row> {
    let call = || json!({"callid": "a"});
    let hold = ["Started", "CallHolding", "CallHoldStart \"caller\"", "CallHoldStart \"callee\""];
    let held = ["CallHoldSuccessful \"caller\"", "CallHoldSuccessful \"callee\"", "Ended"];
    vec![
        Row {
            name: "both parties are held and taken off again",
            steps: vec![("CallHold", call(), BOTH.to_vec()), ("CallUnhold", call(), BOTH.to_vec())],
            expected: [&hold[..], &held[..]]
                .concat()
                .into_iter()
                .chain([
                    "Started",
                    "CallUnholding",
                    "CallUnholdStart \"callee\"",
                    "CallUnholdStart \"caller\"",
                    "CallUnholdSuccessful \"caller\"",
                    "CallUnholdSuccessful \"callee\"",
                    "Ended",
                ])
                .collect(),
        },
        Row {
            name: "what is done already is not done again",
            steps: vec![
                ("CallUnhold", call(), vec![]),
                ("CallHold", call(), BOTH.to_vec()),
                ("CallHold", call(), vec![]),
            ],
            expected: ["Started", "Error 480 No dialog legs on hold", "Ended"]
                .into_iter()
                .chain(hold)
                .chain(held)
                .chain(["Started", "Error 480 Both dialog legs are on hold", "Ended"])
                .collect(),
        },
        Row {
            name: "a party refuses to be held",
            steps: vec![("CallHold", call(), vec![Fact::Agrees(Party::Caller), Fact::Refuses(Party::Callee)])],
            expected: hold
                .into_iter()
                .chain([
                    "CallHoldSuccessful \"caller\"",
                    "Error hold failed on leg callee: 500 re-INVITE refused",
                    "Ended",
                ])
                .collect(),
        },
    ]
}

fn transfers() -> Vec<Row> {
    let blind = || json!({"callid": "a", "leg": "caller", "destination": "sip:cindy@x.test"});
    let attended = json!({"callidA": "a", "legA": "caller", "callidB": "b", "legB": "callee"});
    let ringing = [
        "Started",
        "Transferring destination",
        "TransferStart callid,destination",
        "TransferPending callid,destination,extra",
    ];
    vec![
        Row {
            name: "a party is transferred",
            steps: vec![("CallBlindTransfer", blind(), vec![Fact::TargetRings, Fact::TargetAnswers])],
            expected: ringing.into_iter().chain(["TransferSuccessful callid,destination", "Ended"]).collect(),
        },
        Row {
            name: "the target is busy",
            steps: vec![("CallBlindTransfer", blind(), vec![Fact::TargetRings, Fact::TargetIsBusy])],
            expected: ringing
                .into_iter()
                .chain([
                    "TransferPending callid,destination,extra",
                    "Error transfer failed with status 486 Busy Here",
                    "Ended",
                ])
                .collect(),
        },
        Row {
            name: "two calls are joined",
            steps: vec![("CallAttendedTransfer", attended, vec![Fact::Joined])],
            expected: vec![
                "Started",
                "Transferring",
                "TransferStart callid,destination",
                "TransferSuccessful callid,destination",
                "Ended",
            ],
        },
    ]
}

#[test]
fn one_table_two_backends() {
    let now = Duration::from_secs(1_795_190_884);
    for row in starts_and_ends().into_iter().chain(holds()).chain(transfers()) {
        let backends: [(&str, Box<dyn Backend>); 2] =
            [("our own switch", Box::new(Own::new(now))), ("OpenSIPS", Box::new(Beyond::new(now)))];
        for (name, mut backend) in backends {
            let mut client = Client::new(now);
            for (method, params, facts) in &row.steps {
                client.asks(backend.as_mut(), method, params);
                for fact in facts {
                    backend.happens(client.now, *fact);
                    client.hear(backend.as_mut());
                }
                // An OpenSIPS is not believed at once where its datagrams may have been doubled.
                client.now += Duration::from_secs(1);
                backend.rest(client.now);
                client.hear(backend.as_mut());
            }
            assert_eq!(client.read, row.expected, "{} on {name}", row.name);
        }
    }
}
