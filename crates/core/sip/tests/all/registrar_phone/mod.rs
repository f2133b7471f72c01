//! Phones that register, without transactions or passwords.
#![allow(dead_code, reason = "each test uses its own part")]

use hookswitch_sip::registrar::{Binding, Change, RegisterOutcome, Registrar, RegistrarConfig};
use hookswitch_sip::{ConnId, Flow, Time, Transport};
use hookswitch_sip_msg::{HeaderName, Message};

pub const ALICE: &str = "alice@example.test";

/// Start of every test.
pub fn at(seconds: u64) -> Time {
    Time::from_secs(1_795_000_000 + seconds)
}

pub fn registrar() -> Registrar {
    Registrar::new(RegistrarConfig::default())
}

pub fn udp(port: u16) -> Flow {
    Flow::udp("192.0.2.1:5060".parse().expect("an address"), ([198, 51, 100, 7], port).into())
}

pub fn tcp(connection: u64) -> Flow {
    let (local, remote) = ("192.0.2.1:5060", "198.51.100.7:40000");
    let [local, remote] = [local, remote].map(|text| text.parse().expect("an address"));
    Flow::connection(Transport::Tcp, local, remote, ConnId(connection))
}

/// A REGISTER with a Call-ID, a CSeq and any further header lines.
pub fn register(call_id: &str, cseq: u32, lines: &[&str]) -> Message {
    let mut text = format!(
        "REGISTER sip:example.test SIP/2.0\r\n\
         Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK{call_id}{cseq}\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:alice@example.test>;tag=1\r\n\
         To: <sip:alice@example.test>\r\n\
         Call-ID: {call_id}\r\n\
         CSeq: {cseq} REGISTER\r\n"
    );
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str("Content-Length: 0\r\n\r\n");
    Message::parse(text.into_bytes().into()).expect("a well-formed request")
}

/// Registers for alice from a UDP flow; the Call-ID is that of one phone.
pub fn send(registrar: &mut Registrar, now: Time, cseq: u32, lines: &[&str]) -> RegisterOutcome {
    registrar.register(now, ALICE, &register("phone-1", cseq, lines), udp(5060))
}

/// Values of a header of the answer.
pub fn values(outcome: &RegisterOutcome, name: HeaderName) -> Vec<&str> {
    outcome.headers.iter().filter(|(n, _)| *n == name).map(|(_, value)| value.as_str()).collect()
}

pub fn contacts(outcome: &RegisterOutcome) -> Vec<&str> {
    values(outcome, HeaderName::Contact)
}

/// Contact URIs of alice's bindings in the order of preference.
pub fn reach(registrar: &Registrar, now: Time) -> Vec<String> {
    registrar.bindings(now, ALICE).map(|binding| binding.contact.to_string()).collect()
}

/// The only binding of alice.
pub fn only(registrar: &Registrar, now: Time) -> Binding {
    let bindings: Vec<&Binding> = registrar.bindings(now, ALICE).collect();
    assert_eq!(bindings.len(), 1, "{bindings:?}");
    bindings[0].clone()
}

/// Everything that waits in the queue of changes.
pub fn changes(registrar: &mut Registrar) -> Vec<Change> {
    std::iter::from_fn(|| registrar.poll_change()).collect()
}

#[track_caller]
pub fn assert_status(outcome: &RegisterOutcome, status: u16) {
    assert_eq!(outcome.status, status, "{outcome:?}");
    assert_eq!(outcome.result.is_ok(), status == 200, "{outcome:?}");
}
