//! A switchboard's legs and the node they are on, without sockets between them: what one asks the other hears at once.

#![allow(dead_code, reason = "each test file uses a part of this")]

use std::collections::VecDeque;
use std::time::Duration;

use hookswitch_call::directory::Directory;
use hookswitch_call::port::Backend as _;
use hookswitch_call::{Address, CallId, Dial, Found, Handle, Incoming, LegId, Op, Report, Sdp, Target, Time};
use hookswitch_mediaswitch::{Arrival, Config, Dialogs, Note, Output, Party, Request, RequestId, Seen, user_of};
use hookswitch_nodes::{Answer, Ask, Half as _, Legs, LegsHalf as _, NodeId, Told};

pub const NODE: NodeId = NodeId(0);
pub const CALL: CallId = CallId(1);
pub const LEG: LegId = LegId(0);
pub const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\na=z:1\r\na=b:2\r\n";
pub const ANSWER: &str =
    "v=0\r\no=- 7 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8\r\n";

pub fn sdp(text: &str) -> Sdp {
    Sdp::from(text)
}

/// Both sides, what each wants of the rest of its switch, and what passes between them.
pub struct Pair {
    pub now: Time,
    pub legs: Legs,
    pub node: Dialogs,
    pub directory: Directory,
    /// What the switchboard is told.
    pub reports: Vec<Report>,
    /// What the node wants of its SIP stack.
    pub ops: VecDeque<Op>,
    /// What the node is told of domains: method, path, body.
    pub pushed: Vec<(String, String, String)>,
    /// What it says who is registered.
    pub registered: String,
    /// It answers nothing and says nothing.
    pub dead: bool,
    /// What it says is not heard.
    pub deaf: bool,
    /// What came of the last thing that the node told.
    pub taken: Option<u16>,
}

impl Pair {
    pub fn new() -> Self {
        let mut pair = Self {
            now: Time::from_secs(1_000),
            legs: Legs::new(1, "http://c:9001", [1; 32]),
            node: Dialogs::new(Config::default(), [2; 32]),
            directory: Directory::new(),
            reports: Vec::new(),
            ops: VecDeque::new(),
            pushed: Vec::new(),
            registered: r#"{"users":{}}"#.to_owned(),
            dead: false,
            deaf: false,
            taken: None,
        };
        pair.pass(Duration::ZERO);
        pair
    }

    /// Lets time pass, second by second.
    pub fn pass(&mut self, time: Duration) {
        for _ in 0..=time.as_secs() {
            self.legs.handle_timeout(self.now);
            self.node.handle_timeout(self.now);
            self.run();
            if !time.is_zero() {
                self.now += Duration::from_secs(1);
            }
        }
    }

    /// Carries everything until nobody has anything to say.
    pub fn run(&mut self) {
        loop {
            let mut idle = true;
            while let Some(report) = self.legs.poll_report() {
                self.reports.push(report);
            }
            while let Some(ask) = self.legs.poll_ask() {
                idle = false;
                self.carry(ask);
            }
            while let Some(output) = self.node.poll_output() {
                idle = false;
                match output {
                    Output::Op(op) => self.ops.push_back(op),
                    Output::Answer(RequestId(id), response) => {
                        let answer = Answer {
                            id: hookswitch_nodes::AskId(id),
                            result: Some((response.status, response.body.into())),
                        };
                        self.legs.answered(self.now, answer);
                    }
                    Output::Note(note) => self.tell(note),
                    Output::Manner(..) => {}
                }
            }
            if idle {
                return;
            }
        }
    }

    fn carry(&mut self, ask: Ask) {
        let result = match ask.path.strip_prefix("/dialog") {
            _ if self.dead => None,
            Some(action) => {
                let action = action.trim_start_matches('/');
                let request = Request { method: ask.method, action, body: ask.body.as_bytes() };
                return self.node.request(self.now, RequestId(ask.id.0), request, &self.directory);
            }
            None if ask.path.starts_with("/reg/") => Some((200, self.registered.clone().into())),
            None => {
                self.pushed.push((ask.method.to_owned(), ask.path, ask.body));
                Some((201, bytes::Bytes::new()))
            }
        };
        self.legs.answered(self.now, Answer { id: ask.id, result });
    }

    fn tell(&mut self, note: Note) {
        let path = note.url.strip_prefix("http://c:9001/sip-node/0").expect("to us").to_owned();
        let told = Told { method: note.method, path: &path, body: note.body.as_bytes() };
        let status = (!self.dead && !self.deaf).then(|| self.legs.told(self.now, NODE, told));
        self.taken = status;
        self.node.noted(self.now, note.id, status);
    }

    pub fn reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// The one thing that the switchboard was told.
    pub fn report(&mut self) -> Report {
        let mut reports = self.reports();
        assert_eq!(reports.len(), 1, "{reports:?}");
        reports.remove(0)
    }

    /// The one thing that the node wants.
    pub fn op(&mut self) -> Op {
        assert_eq!(self.ops.len(), 1, "{:?}", self.ops);
        self.ops.remove(0).expect("one")
    }

    /// The switchboard wants something.
    pub fn order(&mut self, op: Op) {
        self.legs.perform(self.now, op);
        self.run();
    }

    /// Something happens at the node.
    pub fn happen(&mut self, report: Report) {
        self.node.report(self.now, report, Seen::default());
        self.run();
    }

    /// A party calls at the node: its name there.
    pub fn arrive(&mut self, incoming: &Incoming) -> (CallId, LegId) {
        let arrival = Arrival {
            handle: Handle(9),
            wire_id: incoming.wire_id.clone(),
            control: "http://c:9001/sip-node/0".into(),
            domain: "x.test".into(),
            from: user_of(&incoming.from.0),
            to: user_of(&incoming.to.0),
            maxforwards: incoming.hops + 1,
            offer: incoming.offer.clone(),
            replaces: incoming.replaces.map(|replaces| replaces.call),
            party: Party::of(incoming),
        };
        let call = self.node.arrived(self.now, arrival).expect("there is room");
        self.node.introduced(self.now, call, Seen::default());
        self.run();
        assert!(matches!(self.op(), Op::Adopt { .. }));
        (call, LegId(0))
    }

    /// A call that comes in and that the switchboard has taken: its name at the node.
    pub fn adopted(&mut self) -> (CallId, LegId) {
        let there = self.arrive(&incoming());
        let Report::Incoming(here) = self.report() else { panic!("no call") };
        self.order(Op::Adopt { handle: here.handle, call: CALL, leg: LEG });
        there
    }

    /// The same, answered and acknowledged.
    pub fn talking(&mut self) -> (CallId, LegId) {
        let (call, leg) = self.adopted();
        self.order(Op::Answer { call: CALL, leg: LEG, sdp: sdp(ANSWER) });
        assert_eq!(self.op(), Op::Answer { call, leg, sdp: sdp(ANSWER) });
        self.happen(Report::Confirmed { call, leg, sdp: None });
        assert_eq!(self.report(), Report::Confirmed { call: CALL, leg: LEG, sdp: None });
        (call, leg)
    }

    /// A party that the switchboard calls: its name at the node, where it is known where it is.
    pub fn dialing(&mut self, dial: Dial) -> (CallId, LegId) {
        self.order(Op::Dial { call: CALL, leg: LEG, dial: Box::new(dial) });
        let Op::Locate { call, to, .. } = self.op() else { panic!("nobody is called") };
        let found = Found::Targets(vec![Target::new(to, Some(3), None)]);
        self.happen(Report::Located { call, found, codecs: None, forwards: None });
        (call, LegId(0))
    }

    /// Where the switchboard's own directory says that an address is, completed.
    pub fn locate(&mut self, to: &str, user: Option<&str>, found: Found) -> Found {
        self.legs.seek(CALL, to, false, user.map(Into::into));
        self.legs.found(CALL, found)
    }
}

/// alice calls bob.
pub fn incoming() -> Incoming {
    Incoming {
        handle: Handle(9),
        wire_id: "a/b%c@10.0.0.2".into(),
        from: Address::from("sip:alice@x.test"),
        to: Address::from("sip:bob@x.test;user=phone"),
        offer: Some(sdp(OFFER)),
        answers_early: false,
        hops: 69,
        near: None,
        identity: hookswitch_call::Identity::default(),
        diversions: Vec::new(),
        alerting: hookswitch_call::Alerting::default(),
        referred_by: None,
        replaces: None,
    }
}

/// bob is called for alice, on the only node.
pub fn dial() -> Dial {
    let target = Target::new(Address::from("sip:bob@x.test"), Some(0), None);
    Dial {
        hops: 68,
        ..Dial::new(target, Address::from("sip:alice@x.test"), Address::from("sip:bob@x.test"), Some(sdp(OFFER)))
    }
}
