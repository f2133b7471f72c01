//! Somebody who watches others by SUBSCRIBE.

use hookswitch_shard::ShardConfig;
use hookswitch_sip::Flow;
use hookswitch_sip::auth::{Credentials, authorize};
use hookswitch_sip_msg::{Message, Method};

use super::raw::{Raw, answer, request, trusting_config, udp};
use super::sec;

pub const OFFER: &str =
    "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\n";

/// A SUBSCRIBE of carol at 10.0.0.5, and where its NOTIFYs stand.
pub struct Watch {
    pub raw: Raw,
    pub flow: Flow,
    pub cseq: u32,
    pub tag: String,
}

impl Watch {
    /// Carol may subscribe without digest, and bob is registered.
    pub fn new() -> Watch {
        Watch::with(trusting_config())
    }

    pub fn with(config: ShardConfig) -> Watch {
        let mut raw = Raw::new(config);
        let bob = Credentials::new("bob", "bob-pw");
        assert_eq!(raw.register(udp("10.0.0.3:5060"), "sip:bob@x.test", &bob, "Contact: <sip:bob@10.0.0.3>\r\n"), 200);
        Watch { raw, flow: udp("10.0.0.5:5060"), cseq: 0, tag: String::new() }
    }

    pub fn text(&mut self, from: &str, to: &str, event: &str, expires: &str) -> String {
        self.cseq += 1;
        let tag = if self.tag.is_empty() { String::new() } else { format!(";tag={}", self.tag) };
        format!(
            "SUBSCRIBE {to} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK-s{0};rport\r\nMax-Forwards: 70\r\n\
             From: <{from}>;tag=c\r\nTo: <{to}>{tag}\r\nCall-ID: lamp\r\nCSeq: {0} SUBSCRIBE\r\n\
             Contact: <sip:carol@10.0.0.5>\r\nEvent: {event}\r\n{expires}Content-Length: 0\r\n\r\n",
            self.cseq
        )
    }

    /// Subscribes; the status of the answer.
    pub fn ask(&mut self, from: &str, to: &str, event: &str, expires: &str) -> u16 {
        let text = self.text(from, to, event, expires);
        self.raw.sent.clear();
        self.raw.hear(self.flow, &text);
        let answer = self.raw.sent.iter().find_map(|(_, message)| Some((message.status()?, message.clone())));
        let (status, answer) = answer.expect("an answer");
        if status == 200 {
            self.tag = answer.to().expect("To").tag().expect("a tag").to_owned();
        }
        status
    }

    /// The same again, with the password that the last answer asks for.
    pub fn ask_as(&mut self, who: &Credentials, from: &str, to: &str, event: &str, expires: &str) -> u16 {
        let challenge = self.raw.last("401").1.clone();
        let (name, value) = authorize(&challenge, &Method::Subscribe, to, b"", who, "c", 1).expect("a challenge");
        let text = self.text(from, to, event, expires);
        let text = text.replace("Content-Length", &format!("{}: {value}\r\nContent-Length", name.as_str()));
        self.raw.sent.clear();
        self.raw.hear(self.flow, &text);
        self.raw.sent.iter().find_map(|(_, message)| message.status()).expect("an answer")
    }

    pub fn subscribe(&mut self) {
        assert_eq!(self.ask("sip:carol@x.test", "sip:bob@x.test", "dialog", "Expires: 600\r\n"), 200);
    }

    /// The NOTIFY that has been sent meanwhile, which is answered.
    #[track_caller]
    pub fn notify(&mut self) -> Message {
        let found = self.raw.sent.iter().position(|(_, message)| message.method() == Some(&Method::Notify));
        let (flow, notify) = self.raw.sent.remove(found.unwrap_or_else(|| panic!("no NOTIFY: {:?}", self.raw.words())));
        assert!(self.raw.sent.iter().all(|(_, other)| other.method() != Some(&Method::Notify)), "one at a time");
        self.raw.hear(flow, &answer(&notify, "200 OK", "", ""));
        notify
    }

    /// The document of the next NOTIFY, which comes within its gap.
    #[track_caller]
    pub fn document(&mut self) -> String {
        self.raw.pass(sec(1));
        body(&self.notify())
    }

    #[track_caller]
    pub fn silence(&mut self) {
        self.raw.pass(sec(2));
        assert!(!self.raw.words().iter().any(|word| word == "NOTIFY"), "{:?}", self.raw.words());
    }

    /// Alice calls bob, whose phone rings.
    pub fn ring(&mut self) -> Message {
        self.raw.hear(udp("10.0.0.2:5060"), &request("INVITE", "sip:bob@x.test", 1, "", OFFER));
        let (flow, invite) = self.raw.last("INVITE").clone();
        self.raw.hear(flow, &answer(&invite, "180 Ringing", "b", ""));
        invite
    }
}

pub fn body(message: &Message) -> String {
    String::from_utf8(message.body().to_vec()).expect("UTF-8")
}

/// What stands between two marks.
#[track_caller]
pub fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let rest = text.split_once(from).unwrap_or_else(|| panic!("no {from} in {text}")).1;
    rest.split_once(to).unwrap_or_else(|| panic!("no {to} in {rest}")).0
}
