//! One endpoint against a scripted other side.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_sip::{ConnId, Counts, Endpoint, EndpointConfig, Event, Flow, Input, Invite, Output, Time, Transport};
use hookswitch_sip_msg::{HeaderName, Message, Method};

use super::{HERE, START, THERE, addr, config};

/// One message the endpoint has sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub at: Duration,
    pub flow: Flow,
    pub text: String,
    pub message: Message,
}

impl Sent {
    pub fn header(&self, name: HeaderName) -> &str {
        self.message.header_str(name).unwrap_or_default()
    }

    pub fn status(&self) -> u16 {
        self.message.status().unwrap_or_default()
    }

    /// Request method, or status code.
    pub fn word(&self) -> String {
        match self.message.method() {
            Some(method) => method.as_str().to_owned(),
            None => self.status().to_string(),
        }
    }

    pub fn to_tag(&self) -> String {
        self.message.to().ok().and_then(|to| to.tag()).unwrap_or_default().to_owned()
    }

    pub fn tag_of_from(&self) -> String {
        self.message.from().expect("a From").tag().unwrap_or_default().to_owned()
    }
}

/// One endpoint, its clock, and everything it has sent and told.
pub struct Lone {
    /// The first INVITE sent, kept beyond [`Lone::forget`].
    pub invite: Option<Message>,
    pub endpoint: Endpoint,
    pub now: Time,
    pub sent: Vec<Sent>,
    pub raw: Vec<(Flow, Bytes)>,
    pub events: Vec<Event>,
    pub closed: Vec<Flow>,
    pub flow: Flow,
}

impl Lone {
    pub fn new(transport: Transport) -> Lone {
        Lone::with(transport, config(addr(HERE)))
    }

    pub fn with(transport: Transport, config: EndpointConfig) -> Lone {
        let conn = transport.reliable().then_some(ConnId(1));
        let flow = Flow { transport, conn, ..Flow::udp(addr(HERE), addr(THERE)) };
        let mut lone = Lone {
            invite: None,
            endpoint: Endpoint::new(config, [7; 32]),
            now: START,
            sent: Vec::new(),
            raw: Vec::new(),
            events: Vec::new(),
            closed: Vec::new(),
            flow,
        };
        if transport.reliable() {
            lone.input(Input::Opened { flow });
        }
        lone
    }

    /// Takes everything out, as a driver must after every touch.
    pub fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Send { flow, bytes } => match Message::parse(bytes.clone()) {
                    Ok(message) => {
                        let text = String::from_utf8_lossy(&bytes).into_owned();
                        self.sent.push(Sent { at: self.now - START, flow, text, message });
                    }
                    Err(_) => self.raw.push((flow, bytes)),
                },
                Output::Close { flow } => self.closed.push(flow),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    pub fn input(&mut self, input: Input) {
        self.endpoint.handle_input(self.now, input);
        self.drain();
    }

    /// The other side sends this; line ends are made right.
    pub fn hear(&mut self, text: &str) {
        let flow = self.flow;
        self.hear_on(flow, text);
    }

    pub fn hear_on(&mut self, flow: Flow, text: &str) {
        let bytes = wire(text);
        self.input(match flow.transport {
            Transport::Udp => Input::Datagram { flow, bytes },
            Transport::Tcp | Transport::Tls => Input::Stream { flow, bytes },
            Transport::Ws | Transport::Wss => Input::Message { flow, bytes },
        });
    }

    /// Lets time pass, with every timer at its time.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.endpoint.poll_timeout().filter(|next| *next <= until) {
            // The next wake-up may lie behind: the wheel then only moves timers down.
            self.now = self.now.max(next);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    /// Lets time pass until nothing is waited for.
    pub fn settle(&mut self) {
        while let Some(next) = self.endpoint.poll_timeout() {
            self.now = self.now.max(next);
            self.endpoint.handle_timeout(self.now);
            self.drain();
            assert!(self.now < START + Duration::from_secs(86_400), "does not end");
        }
    }

    /// When messages with that method or status were sent, in milliseconds since the start.
    pub fn times(&self, word: &str) -> Vec<u128> {
        self.sent.iter().filter(|sent| sent.word() == word).map(|sent| sent.at.as_millis()).collect()
    }

    /// The last message with that method or status.
    pub fn last(&self, word: &str) -> &Sent {
        self.sent
            .iter()
            .rev()
            .find(|sent| sent.word() == word)
            .unwrap_or_else(|| panic!("no {word} was sent: {:?}", self.words()))
    }

    pub fn words(&self) -> Vec<String> {
        self.sent.iter().map(Sent::word).collect()
    }

    /// Forgets what has been sent and told so far.
    pub fn forget(&mut self) {
        self.sent.clear();
        self.events.clear();
    }

    pub fn invite(&mut self) -> hookswitch_sip::DialogId {
        let id = self.endpoint.invite(self.now, call(self.flow)).expect("room for a call");
        self.drain();
        self.invite = Some(self.last("INVITE").message.clone());
        id
    }

    /// Another response to the INVITE of a call that was started by [`Lone::invite`].
    pub fn hear_repeat(&mut self, status: u16, tag: &str) {
        let invite = self.invite.clone().expect("a call was started");
        self.hear(&response(&invite, status, tag, "Contact: <sip:bob@10.0.0.2:5060>\n"));
    }

    /// A response of the other side to the last request of that method.
    pub fn answer(&mut self, method: &str, status: u16, tag: &str, more: &str) {
        let text = response(&self.last(method).message, status, tag, more);
        self.hear(&text);
    }

    /// Calls, is answered, and acknowledges.
    pub fn call_out(&mut self) -> hookswitch_sip::DialogId {
        let id = self.invite();
        self.answer("INVITE", 200, "bob", "Contact: <sip:bob@10.0.0.2:5060>\n");
        self.endpoint.ack(self.now, id, None);
        self.drain();
        id
    }

    /// Is called, answers, and is acknowledged.
    pub fn call_in(&mut self) -> hookswitch_sip::DialogId {
        self.hear(&invite("z9hG4bK-in", 1, "alice", ""));
        let id = self.invited();
        self.endpoint.respond(self.now, id, hookswitch_sip::Response::new(200));
        self.drain();
        let tag = self.last("200").to_tag();
        self.hear(&request("ACK", "z9hG4bK-ack", 1, "alice", &tag, ""));
        id
    }

    pub fn invited(&self) -> hookswitch_sip::DialogId {
        self.events
            .iter()
            .rev()
            .find_map(|event| match event {
                Event::Invite { dialog, .. } => Some(*dialog),
                _ => None,
            })
            .unwrap_or_else(|| panic!("no call came in: {:?}", self.events))
    }

    #[track_caller]
    pub fn assert_nothing_left(&self) {
        let connections = self.endpoint.counts().connections;
        assert_eq!(self.endpoint.counts(), Counts { connections, ..Counts::default() });
    }
}

/// Makes line ends right and adds Content-Length and the empty line where they are missing.
pub fn wire(text: &str) -> Bytes {
    let mut text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    if !text.contains("\r\n\r\n") {
        if !text.contains("Content-Length") {
            text.push_str("Content-Length: 0\r\n");
        }
        text.push_str("\r\n");
    }
    text.into()
}

pub fn call(flow: Flow) -> Invite {
    Invite::new("sip:bob@10.0.0.2", "<sip:alice@10.0.0.1>", "<sip:bob@10.0.0.2>", flow)
}

/// An INVITE of the other side that starts a call.
pub fn invite(branch: &str, cseq: u32, tag: &str, more: &str) -> String {
    request("INVITE", branch, cseq, tag, "", more)
}

/// A request of the other side; `more` are header lines, `ours` the tag of the To.
pub fn request(method: &str, branch: &str, cseq: u32, tag: &str, ours: &str, more: &str) -> String {
    let to = if ours.is_empty() { String::new() } else { format!(";tag={ours}") };
    let contact = if more.contains("Contact:") { "" } else { "Contact: <sip:alice@10.0.0.2:5060>\n" };
    let hops = if more.contains("Max-Forwards:") { "" } else { "Max-Forwards: 70\n" };
    format!(
        "{method} sip:bob@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch={branch}\n\
         From: <sip:alice@10.0.0.2>;tag={tag}\nTo: <sip:bob@10.0.0.1>{to}\nCall-ID: call-1\n\
         CSeq: {cseq} {method}\n{hops}{contact}{more}"
    )
}

/// A response to a request of the endpoint.
pub fn response(request: &Message, status: u16, tag: &str, more: &str) -> String {
    let mut text = format!("SIP/2.0 {status} Whatever\n");
    for (name, line) in request.lines() {
        let line = String::from_utf8_lossy(line);
        match name {
            HeaderName::Via | HeaderName::From | HeaderName::CallId | HeaderName::CSeq => {
                text.push_str(&format!("{line}\n"));
            }
            HeaderName::To if line.contains(";tag=") || tag.is_empty() => text.push_str(&format!("{line}\n")),
            HeaderName::To => text.push_str(&format!("{line};tag={tag}\n")),
            _ => {}
        }
    }
    assert_ne!(request.method(), Some(&Method::Ack), "nobody answers an ACK");
    text.push_str(more);
    text
}
