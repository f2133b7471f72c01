//! A shard against other sides that are written out as text, over UDP and TCP.

use std::time::Duration;

use hookswitch_call::{Time, Told};
use hookswitch_shard::{BindingEvent, Change, Input, Output, Shard, ShardConfig};
use hookswitch_sip::auth::{Credentials, authorize};
use hookswitch_sip::{ConnId, Flow, Listen, Network, Transport};
use hookswitch_sip_msg::{HeaderName, Message, Method};

use super::{SWITCH, at, sec, shard_config};

pub fn udp(remote: &str) -> Flow {
    Flow::udp(at(SWITCH), at(remote))
}

pub fn tcp(remote: &str, connection: u64) -> Flow {
    Flow { conn: Some(ConnId(connection)), ..Flow::tcp(at(SWITCH), at(remote)) }
}

/// UDP and TCP, and everybody in 10.0.0.0/8 may call without digest.
pub fn trusting_config() -> ShardConfig {
    let mut config = shard_config();
    config.b2bua.trusted = vec![Network { addr: "10.0.0.0".parse().unwrap(), prefix: 8 }];
    let tcp = Listen { transport: Transport::Tcp, address: at(SWITCH), advertise: None };
    config.b2bua.endpoint.listen.push(tcp);
    config
}

pub struct Raw {
    pub now: Time,
    pub shard: Shard,
    /// Every message sent, and where to.
    pub sent: Vec<(Flow, Message)>,
    pub told: Vec<Told>,
    /// What has happened to bindings.
    pub bindings: Vec<BindingEvent>,
    /// What is to outlive the switch.
    pub stored: Vec<Change>,
}

impl Raw {
    pub fn new(config: ShardConfig) -> Self {
        Self {
            now: sec(1_700_000_000),
            shard: Shard::new(config, [9; 32]),
            sent: Vec::new(),
            told: Vec::new(),
            bindings: Vec::new(),
            stored: Vec::new(),
        }
    }

    pub fn input(&mut self, input: hookswitch_sip::Input) {
        self.shard.handle(self.now, Input::Sip(input));
        self.drain();
    }

    /// One datagram, or one read of a connection.
    pub fn hear(&mut self, flow: Flow, text: &str) {
        let bytes = text.to_owned().into();
        self.input(match flow.transport {
            Transport::Udp => hookswitch_sip::Input::Datagram { flow, bytes },
            Transport::Tcp | Transport::Tls => hookswitch_sip::Input::Stream { flow, bytes },
            Transport::Ws | Transport::Wss => hookswitch_sip::Input::Message { flow, bytes },
        });
    }

    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.shard.poll_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.shard.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn drain(&mut self) {
        while let Some(output) = self.shard.poll_output() {
            match output {
                Output::Send { flow, bytes } => {
                    self.sent.push((flow, Message::parse(bytes).expect("what we write can be read")));
                }
                Output::Store(change) => self.stored.push(change),
                Output::Binding(news) => self.bindings.push(news.what),
                Output::Told(told, _) => self.told.push(told),
                _ => {}
            }
        }
    }

    /// The last message with this method or status.
    #[track_caller]
    pub fn last(&self, word: &str) -> &(Flow, Message) {
        let is = |(_, message): &&(Flow, Message)| match message.method() {
            Some(method) => method.as_str() == word,
            None => message.status().is_some_and(|status| status.to_string() == word),
        };
        self.sent.iter().rev().find(is).unwrap_or_else(|| panic!("no {word} was sent: {:?}", self.words()))
    }

    pub fn words(&self) -> Vec<String> {
        let word = |(_, message): &(Flow, Message)| match message.method() {
            Some(method) => method.as_str().to_owned(),
            None => message.status().unwrap_or_default().to_string(),
        };
        self.sent.iter().map(word).collect()
    }

    /// Registers with digest; `user` and `to` as written in URIs. Returns the status of the second answer.
    pub fn register(&mut self, flow: Flow, to: &str, credentials: &Credentials, more: &str) -> u16 {
        let uri = "sip:10.0.0.1";
        let first = format!(
            "REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bK-1-{};rport\r\nMax-Forwards: 70\r\n\
             From: <{to}>;tag=r\r\nTo: <{to}>\r\nCall-ID: register-{to}\r\nCSeq: 1 REGISTER\r\n{more}\
             Content-Length: 0\r\n\r\n",
            flow.transport.name(),
            flow.remote,
            self.sent.len() as u128 + self.now.as_millis(),
        );
        self.hear(flow, &first);
        let (_, challenge) = self.sent.last().expect("an answer").clone();
        let (name, value) =
            authorize(&challenge, &Method::Register, uri, b"", credentials, "c", 1).expect("a challenge");
        let text = first
            .replace("CSeq: 1 ", "CSeq: 2 ")
            .replace("z9hG4bK-1", "z9hG4bK-2")
            .replace("Content-Length", &format!("{}: {value}\r\nContent-Length", name.as_str()));
        self.hear(flow, &text);
        // Whoever watches may be told right behind it.
        self.sent.iter().rev().find_map(|(_, message)| message.status()).expect("an answer")
    }
}

/// A request of alice at 10.0.0.2 in her call `one`; `tag` is that of the switch, if it has shown one.
pub fn request(method: &str, uri: &str, cseq: u32, tag: &str, sdp: &str) -> String {
    request_with(method, uri, cseq, tag, "From: <sip:alice@x.test>;tag=a\r\n", sdp)
}

/// The same with a From line, and what else is to be in it.
pub fn request_with(method: &str, uri: &str, cseq: u32, tag: &str, from: &str, sdp: &str) -> String {
    let tag = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
    // A CANCEL has the branch of its INVITE.
    let branch = if method == "CANCEL" { "INVITE" } else { method };
    let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK-{cseq}-{branch}\r\nMax-Forwards: 70\r\n\
         {from}To: <{uri}>{tag}\r\nCall-ID: one\r\nCSeq: {cseq} {method}\r\nContact: <sip:alice@10.0.0.2>\r\n{kind}\
         Content-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
}

/// A response of bob at 10.0.0.3 to a request of the switch.
pub fn answer(request: &Message, status: &str, tag: &str, sdp: &str) -> String {
    answer_with(request, status, tag, "", sdp)
}

/// The same with more header lines.
pub fn answer_with(request: &Message, status: &str, tag: &str, more: &str, sdp: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for (name, line) in request.lines() {
        let line = String::from_utf8_lossy(line);
        match name {
            HeaderName::Via | HeaderName::From | HeaderName::CallId | HeaderName::CSeq => {
                text.push_str(&format!("{line}\r\n"));
            }
            HeaderName::To if line.contains(";tag=") => text.push_str(&format!("{line}\r\n")),
            HeaderName::To => text.push_str(&format!("{line};tag={tag}\r\n")),
            _ => {}
        }
    }
    let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    text + &format!("Contact: <sip:bob@10.0.0.3>\r\n{more}{kind}Content-Length: {}\r\n\r\n{sdp}", sdp.len())
}
