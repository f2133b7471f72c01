//! A phone and a gate that talk to each other.
#![allow(dead_code, reason = "each test uses its own part")]

use hookswitch_sip::Time;
use hookswitch_sip::auth::{Credentials, Gate, GateConfig, Identity, RejectedWhy, Secret, Session, Verdict, Which};
use hookswitch_sip_msg::digest::Algorithm;
use hookswitch_sip_msg::{HeaderName, Message, Method};

pub const REALM: &str = "example.test";
pub const URI: &str = "sip:example.test";
pub const CNONCE: &str = "0a4f113b";

/// Start of every test.
pub fn at(seconds: u64) -> Time {
    Time::from_secs(1_795_000_000 + seconds)
}

pub fn gate_with(config: GateConfig) -> Gate {
    Gate::new(config, [42; 32])
}

pub fn gate() -> Gate {
    gate_with(GateConfig::default())
}

pub fn offering(algorithms: &[Algorithm]) -> GateConfig {
    GateConfig { algorithms: algorithms.to_vec(), ..GateConfig::default() }
}

/// The directory: alice exists, nobody else.
pub fn directory(user: &str, realm: &str) -> Option<Secret<'static>> {
    (user == "alice" && realm == REALM).then_some(Secret::Password("wonderland"))
}

/// A REGISTER of alice, with these header lines added.
pub fn request(lines: &[(HeaderName, String)]) -> Message {
    request_to("REGISTER", URI, lines)
}

pub fn request_to(method: &str, uri: &str, lines: &[(HeaderName, String)]) -> Message {
    let mut text = format!(
        "{method} {uri} SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK776\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:alice@example.test>;tag=49583\r\n\
         To: <sip:alice@example.test>\r\n\
         Call-ID: 843817637684230@998sdasdh09\r\n\
         CSeq: 1826 {method}\r\n"
    );
    for (name, value) in lines {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("Content-Length: 0\r\n\r\n");
    Message::parse(text.into_bytes().into()).expect("a well-formed request")
}

/// The response a challenge becomes.
pub fn response(status: u16, lines: &[(HeaderName, String)]) -> Message {
    let mut text = format!(
        "SIP/2.0 {status} Unauthorized\r\n\
         Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK776\r\n\
         From: <sip:alice@example.test>;tag=49583\r\n\
         To: <sip:alice@example.test>;tag=1\r\n\
         Call-ID: 843817637684230@998sdasdh09\r\n\
         CSeq: 1826 REGISTER\r\n"
    );
    for (name, value) in lines {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("Content-Length: 0\r\n\r\n");
    Message::parse(text.into_bytes().into()).expect("a well-formed response")
}

/// Lets the gate challenge a request without credentials and returns the response.
pub fn challenged(gate: &mut Gate, now: Time) -> Message {
    match gate.check(now, &request(&[]), REALM, Which::Www, directory) {
        Verdict::Challenge { status, headers, stale: false, .. } => response(status, &headers),
        other => panic!("expected a first challenge, not {other:?}"),
    }
}

pub fn alice() -> Credentials {
    Credentials::new("alice", "wonderland")
}

/// A phone that has been challenged.
pub struct Phone {
    pub credentials: Credentials,
    pub session: Session,
}

impl Phone {
    pub fn challenged_by(gate: &mut Gate, now: Time) -> Phone {
        Phone::with(alice(), gate, now)
    }

    pub fn with(credentials: Credentials, gate: &mut Gate, now: Time) -> Phone {
        let session = Session::new(&challenged(gate, now), &credentials).expect("a challenge to answer");
        Phone { credentials, session }
    }

    /// The value of the next Authorization header.
    pub fn answer(&mut self) -> String {
        self.session.authorize(&Method::Register, URI, b"", &self.credentials, CNONCE).1
    }

    /// Sends the next REGISTER with credentials.
    pub fn register(&mut self, gate: &mut Gate, now: Time) -> Verdict {
        send(gate, now, self.answer())
    }
}

/// Sends a REGISTER with this Authorization value.
pub fn send(gate: &mut Gate, now: Time, authorization: String) -> Verdict {
    gate.check(now, &request(&[(HeaderName::Authorization, authorization)]), REALM, Which::Www, directory)
}

#[track_caller]
pub fn assert_accepted(verdict: Verdict) {
    let expected = Identity { user: "alice".into(), realm: REALM.into() };
    assert_eq!(verdict, Verdict::Accepted(expected));
}

#[track_caller]
pub fn assert_challenge(verdict: &Verdict, expect_stale: bool) {
    match verdict {
        Verdict::Challenge { stale, headers, .. } => {
            assert_eq!(*stale, expect_stale, "{verdict:?}");
            assert!(headers.iter().all(|(_, value)| value.contains("stale=true") == expect_stale), "{verdict:?}");
        }
        other => panic!("expected a challenge, not {other:?}"),
    }
}

#[track_caller]
pub fn assert_rejected(verdict: &Verdict, expected: (u16, RejectedWhy)) {
    match verdict {
        Verdict::Rejected { status, why, .. } => assert_eq!((*status, *why), expected),
        other => panic!("expected a rejection, not {other:?}"),
    }
}
