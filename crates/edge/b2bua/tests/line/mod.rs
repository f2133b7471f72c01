//! A switch without a core: tests give the orders of the core and read its reports, and the phones at the other ends
//! are written out as text.

#![allow(dead_code)]

use std::time::Duration;

use hookswitch_b2bua::{B2bua, B2buaConfig, Step};
use hookswitch_call::directory::{Directory, Layer, Secret};
use hookswitch_call::port::Backend;
use hookswitch_call::{Address, CallId, Dial, LegId, Op, Report, Sdp, Target, Time};
use hookswitch_sip::{EndpointConfig, Flow, Input, Listen, Network, Transport};
use hookswitch_sip_msg::{HeaderName, Message};

/// Alice has called in.
pub const ALICE: (CallId, LegId) = (CallId(1), LegId(0));
/// Bob was called.
pub const BOB: (CallId, LegId) = (CallId(2), LegId(1));

pub const ALICES: &str = "10.0.0.2:5060";
pub const BOBS: &str = "10.0.0.3:5060";

pub struct Line {
    pub now: Time,
    pub b2bua: B2bua,
    /// Every message sent, and where to.
    pub sent: Vec<(String, Message)>,
    pub reports: Vec<Report>,
}

pub fn flow(remote: &str) -> Flow {
    Flow::udp("10.0.0.1:5060".parse().unwrap(), remote.parse().unwrap())
}

impl Line {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut B2buaConfig)) -> Self {
        let listen = Listen { transport: Transport::Udp, address: "10.0.0.1:5060".parse().unwrap(), advertise: None };
        let endpoint = EndpointConfig { listen: vec![listen], ..EndpointConfig::default() };
        let trusted = vec![Network { addr: "10.0.0.0".parse().unwrap(), prefix: 8 }];
        let mut config = B2buaConfig { endpoint, trusted, ..B2buaConfig::default() };
        change(&mut config);
        let mut directory = Directory::new();
        for domain in ["x.test", "y.test"] {
            let users = ["alice", "bob", "carol"].map(|name| (name.into(), Secret::new(&format!("{name}-pw"))));
            directory.configure(domain, Layer { users: users.into(), ..Layer::default() }).unwrap();
        }
        let b2bua = B2bua::new(config, directory, [3; 32]);
        Self { now: Time::from_secs(1_700_000_000), b2bua, sent: Vec::new(), reports: Vec::new() }
    }

    fn drain(&mut self) {
        loop {
            while let Some(report) = self.b2bua.poll_report() {
                self.reports.push(report);
            }
            match self.b2bua.step(self.now) {
                Some(Step::Send { flow, bytes }) => {
                    let message = Message::parse(bytes).expect("what we write can be read");
                    message.validate().expect("and is whole");
                    self.sent.push((flow.remote.to_string(), message));
                }
                Some(Step::Close { .. } | Step::Lookup { .. } | Step::AskUser(_) | Step::Handled) => {}
                None => break,
            }
        }
    }

    pub fn op(&mut self, op: Op) {
        self.b2bua.perform(self.now, op);
        self.drain();
    }

    pub fn hear(&mut self, from: &str, text: &str) {
        self.input(Input::Datagram { flow: flow(from), bytes: text.to_owned().into() });
    }

    pub fn input(&mut self, input: Input) {
        self.b2bua.handle_input(self.now, input);
        self.drain();
    }

    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.b2bua.poll_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.b2bua.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    /// Methods and statuses sent, in order.
    pub fn words(&self) -> Vec<String> {
        let word = |(_, message): &(String, Message)| match message.method() {
            Some(method) => method.as_str().to_owned(),
            None => message.status().unwrap_or_default().to_string(),
        };
        self.sent.iter().map(word).collect()
    }

    /// The same, forgetting them and the reports.
    pub fn take(&mut self) -> (Vec<String>, Vec<Report>) {
        let words = self.words();
        self.sent.clear();
        (words, std::mem::take(&mut self.reports))
    }

    #[track_caller]
    pub fn last(&self) -> &Message {
        &self.sent.last().expect("something was sent").1
    }

    /// What was sent last with this method or status.
    #[track_caller]
    pub fn sent(&self, word: &str) -> Message {
        let at = self.words().iter().rposition(|one| one == word);
        let at = at.unwrap_or_else(|| panic!("no {word}: {:?}", self.words()));
        self.sent[at].1.clone()
    }

    /// Alice calls in and is answered; returns our tag.
    pub fn alice(&mut self) -> String {
        let invite =
            alices("INVITE", 1, "", "Contact: <sip:alice@10.0.0.2>\r\nContent-Type: application/sdp\r\n", "a1");
        self.hear(ALICES, &invite);
        let Some(Report::Incoming(incoming)) = self.reports.pop() else { panic!("{:?}", self.words()) };
        self.op(Op::Adopt { handle: incoming.handle, call: ALICE.0, leg: ALICE.1 });
        self.op(Op::Answer { call: ALICE.0, leg: ALICE.1, sdp: Sdp::from("s1") });
        let tag = self.last().to().unwrap().tag().expect("our tag").to_owned();
        self.hear(ALICES, &alices("ACK", 1, &tag, "", ""));
        assert!(matches!(self.reports.pop(), Some(Report::Confirmed { .. })));
        self.take();
        tag
    }

    /// Bob is called and answers; returns the INVITE.
    pub fn bob(&mut self) -> Message {
        let target = Target::new(Address::from("sip:bob@10.0.0.3"), None, None);
        let dial =
            Dial::new(target, Address::from("sip:alice@x.test"), Address::from("sip:bob@x.test"), Some("s1".into()));
        self.op(Op::Dial { call: BOB.0, leg: BOB.1, dial: Box::new(dial) });
        let invite = self.last().clone();
        let more = "Contact: <sip:bob@10.0.0.3>\r\nContent-Type: application/sdp\r\n";
        self.hear(BOBS, &answer(&invite, "200 OK", more, "b1"));
        self.op(Op::Confirm { call: BOB.0, leg: BOB.1, sdp: None });
        assert_eq!(self.words(), ["INVITE", "ACK"]);
        self.take();
        invite
    }
}

/// A request of alice; `tag` is ours.
pub fn alices(method: &str, cseq: u32, tag: &str, more: &str, body: &str) -> String {
    let tag = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
    format!(
        "{method} sip:bob@x.test SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK-{cseq}-{method}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@x.test>;tag=a\r\nTo: <sip:bob@x.test>{tag}\r\nCall-ID: one\r\n\
         CSeq: {cseq} {method}\r\n{more}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A request of bob inside the dialog that `invite` has made.
pub fn bobs(invite: &Message, method: &str, cseq: u32, more: &str, body: &str) -> String {
    let line = |name| String::from_utf8_lossy(invite.header(name).unwrap()).into_owned();
    format!(
        "{method} sip:10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.3;branch=z9hG4bK-{cseq}-{method}\r\n\
         Max-Forwards: 70\r\nFrom: {};tag=b\r\nTo: {}\r\nCall-ID: {}\r\n\
         CSeq: {cseq} {method}\r\n{more}Content-Length: {}\r\n\r\n{body}",
        line(HeaderName::To),
        line(HeaderName::From),
        line(HeaderName::CallId),
        body.len()
    )
}

/// A response to a request of ours.
pub fn answer(request: &Message, status: &str, more: &str, body: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for (name, line) in request.lines() {
        let line = String::from_utf8_lossy(line);
        match name {
            HeaderName::Via | HeaderName::From | HeaderName::CallId | HeaderName::CSeq => {
                text.push_str(&format!("{line}\r\n"));
            }
            HeaderName::To if line.contains(";tag=") => text.push_str(&format!("{line}\r\n")),
            HeaderName::To => text.push_str(&format!("{line};tag=b\r\n")),
            _ => {}
        }
    }
    text + &format!("{more}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// Where the sender of a description is, and that it is one.
pub const SDP: &str = "Contact: <sip:bob@10.0.0.3>\r\nContent-Type: application/sdp\r\n";
