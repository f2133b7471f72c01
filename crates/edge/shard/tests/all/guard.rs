//! Who is not listened to: scanners and guessers, but never a registered phone, and whoever is banned by order.

use crate::support::raw::{Raw, request_with, udp};
use crate::support::{at, sec, shard_config};
use hookswitch_shard::{Change, HttpId, Input, Output, ShardConfig, Stored};
use hookswitch_sip::Network;
use hookswitch_sip::auth::{Credentials, authorize};
use hookswitch_sip::guard::{GuardConfig, Offence};
use hookswitch_sip_msg::{HeaderName, Method};

const PHONE: &str = "10.0.0.2:5060";
/// Behind the same address.
const GUESSER: &str = "10.0.0.2:40000";

fn guarded() -> ShardConfig {
    let mut config = shard_config();
    config.b2bua.endpoint.guard = GuardConfig { enabled: true, ..GuardConfig::default() };
    config
}

fn who(user: &str, password: &str) -> Credentials {
    Credentials { user: user.into(), secret: password.into(), realm: None }
}

fn contact(at: &str) -> String {
    format!("Contact: <sip:alice@{at}>\r\n")
}

fn offences(raw: &Raw, offence: Offence) -> u64 {
    raw.shard.guard_counts(raw.now).0.offences[offence as usize]
}

fn bans(raw: &Raw) -> usize {
    raw.shard.guard_counts(raw.now).1
}

/// One guess of a password; it is not answered by who is banned.
fn guess(raw: &mut Raw, from: &str, user: &str, password: &str) {
    let to = format!("sip:{user}@x.test");
    if raw.shard.admits(raw.now, at(from)) {
        raw.register(udp(from), &to, &who(user, password), &contact(from));
    }
}

fn asks(raw: &mut Raw, method: &str, path: &str, body: &'static str) -> (u16, String) {
    let (id, method) = (HttpId(1), method.into());
    raw.shard.handle(raw.now, Input::Http { id, method, path: path.into(), body: body.into() });
    let answers = std::iter::from_fn(|| raw.shard.poll_output());
    let answer = answers.filter_map(|output| match output {
        Output::Http { status, body, .. } => Some((status, body)),
        _ => None,
    });
    answer.last().expect("an answer")
}

#[test]
fn guessing_passwords_ends_and_the_registered_phone_behind_the_same_address_calls_on() {
    let mut raw = Raw::new(guarded());
    let right = who("alice", "alice-pw");
    assert_eq!(raw.register(udp(PHONE), "sip:alice@x.test", &right, &contact(PHONE)), 200);
    for n in 0..100 {
        guess(&mut raw, GUESSER, "bob", &format!("guess-{n}"));
    }
    assert_eq!((bans(&raw), offences(&raw, Offence::WrongPassword)), (1, 10));
    assert!(!raw.shard.admits(raw.now, at(GUESSER)) && raw.shard.admits(raw.now, at(PHONE)));
    // Nothing of it is answered; and the phone goes on.
    let before = raw.sent.len();
    raw.hear(udp(GUESSER), &request_with("OPTIONS", "sip:x.test", 1, "", "From: <sip:b@x.test>;tag=a\r\n", ""));
    assert_eq!(raw.sent.len(), before);
    raw.hear(udp(PHONE), &request_with("INVITE", "sip:bob@x.test", 9, "", "From: <sip:alice@x.test>;tag=a\r\n", ""));
    let (flow, answer) = raw.sent.last().expect("an answer");
    assert_eq!((raw.sent.len(), flow.remote.ip(), answer.status()), (before + 1, at(PHONE).ip(), Some(401)));
}

#[test]
fn a_first_request_and_a_nonce_that_is_old_are_no_offences() {
    let mut raw = Raw::new(guarded());
    let right = who("alice", "alice-pw");
    assert_eq!(raw.register(udp(PHONE), "sip:alice@x.test", &right, &contact(PHONE)), 200);
    let first = request_with("REGISTER", "sip:x.test", 5, "", "From: <sip:alice@x.test>;tag=r\r\n", "")
        .replace("To: <sip:x", "To: <sip:alice@x");
    raw.hear(udp(GUESSER), &first);
    let challenge = raw.sent.last().expect("a challenge").1.clone();
    raw.pass(sec(400));
    let (name, value) =
        authorize(&challenge, &Method::Register, "sip:x.test", b"", &right, "c", 1).expect("credentials");
    let second = first.replace("CSeq: 5 ", "CSeq: 6 ").replace("-5-", "-6-");
    raw.hear(udp(GUESSER), &second.replace("Content-Length", &format!("{}: {value}\r\nContent-Length", name.as_str())));
    assert!(
        raw.last("401").1.header_str(HeaderName::WwwAuthenticate).is_some_and(|value| value.contains("stale=true"))
    );
    raw.hear(udp(GUESSER), &request_with("OPTIONS", "sip:x.test", 1, "", "From: <sip:b@x.test>;tag=a\r\n", ""));
    raw.hear(udp(GUESSER), &request_with("OPTIONS", "sip:bob@x.test", 2, "", "From: <sip:b@x.test>;tag=a\r\n", ""));
    // An INVITE in the name of one of ours is a call that has yet to prove who it is from.
    raw.hear(udp(GUESSER), &request_with("INVITE", "sip:bob@x.test", 3, "", "From: <sip:bob@x.test>;tag=a\r\n", ""));
    assert_eq!(raw.shard.guard_counts(raw.now).0.offences, [0; 6]);
}

#[test]
fn looking_for_users_is_an_offence_and_is_not_told() {
    let mut raw = Raw::new(guarded());
    let ask = |raw: &mut Raw, method: &str, to: &str, from: &str, cseq: u32| {
        let from = format!("From: <sip:{from}@x.test>;tag=a\r\n");
        raw.hear(udp(GUESSER), &request_with(method, &format!("sip:{to}@x.test"), cseq, "", &from, ""));
        raw.sent.last().expect("an answer").1.status().expect("a status")
    };
    assert_eq!(ask(&mut raw, "INVITE", "bob", "1001", 1), ask(&mut raw, "INVITE", "bob", "alice", 2));
    assert_eq!(offences(&raw, Offence::UnknownUser), 1);
    assert_eq!(ask(&mut raw, "OPTIONS", "1001", "1001", 3), ask(&mut raw, "OPTIONS", "bob", "bob", 4));
    assert_eq!(offences(&raw, Offence::Probe), 1);
    raw.hear(
        udp(GUESSER),
        &request_with("INVITE", "sip:0900@x.test", 5, "", "From: <sip:1@elsewhere.test>;tag=a\r\n", ""),
    );
    assert_eq!((raw.last("403").1.header(HeaderName::CSeq).is_some(), offences(&raw, Offence::UnknownUser)), (true, 2));
    for cseq in 10..100 {
        ask(&mut raw, "INVITE", "bob", "1001", cseq);
    }
    assert_eq!(bans(&raw), 1);
}

#[test]
fn a_guess_with_a_nonce_of_its_own_making_counts_too() {
    let mut raw = Raw::new(guarded());
    let digest = "Authorization: Digest username=\"bob\", realm=\"x.test\", nonce=\"mine\", uri=\"sip:x.test\", \
                  qop=auth, nc=00000001, cnonce=\"c\", response=\"00000000000000000000000000000000\"\r\n";
    for cseq in 1..=10 {
        let from = format!("From: <sip:bob@x.test>;tag=a\r\n{digest}");
        raw.hear(
            udp(GUESSER),
            &request_with("REGISTER", "sip:x.test", cseq, "", &from, "").replace("To: <sip:x", "To: <sip:bob@x"),
        );
    }
    assert_eq!((offences(&raw, Offence::WrongPassword), bans(&raw)), (10, 1));
}

#[test]
fn bans_are_listed_made_and_lifted_over_http() {
    let mut raw = Raw::new(guarded());
    assert_eq!(asks(&mut raw, "GET", "/bans", ""), (200, "[]".to_owned()));
    let order = r#"{ "seconds": 60, "reason": "calls at night" }"#;
    assert_eq!(asks(&mut raw, "PUT", "/bans/10.0.0.9", order).0, 204);
    assert_eq!(asks(&mut raw, "PUT", "/bans/2001:db8::1", "").0, 204);
    let shown = asks(&mut raw, "GET", "/bans/", "").1;
    for part in
        ["\"source\":\"10.0.0.9\"", "\"left\":60", "\"reason\":\"calls at night\"", "\"2001:db8::/64\"", "86400"]
    {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(!raw.shard.admits(raw.now, at("10.0.0.9:1")) && !raw.shard.admits(raw.now, at("[2001:db8::2]:1")));
    assert_eq!(asks(&mut raw, "GET", "/bans/10.0.0.9", "").0, 200);
    assert_eq!(asks(&mut raw, "DELETE", "/bans/10.0.0.9", "").0, 204);
    assert_eq!(asks(&mut raw, "DELETE", "/bans/10.0.0.9", "").0, 404);
    assert_eq!(asks(&mut raw, "GET", "/bans/10.0.0.9", "").0, 404);
    assert_eq!(asks(&mut raw, "DELETE", "/bans/2001:db8::%2F64", "").0, 204);
    assert!(raw.shard.admits(raw.now, at("10.0.0.9:1")));
    for (method, path, body, status) in [
        ("PUT", "/bans/10.0.0.0/8", "", 400),
        ("PUT", "/bans/10.0.0.9", "{", 400),
        ("PUT", "/bans/10.0.0.9", r#"{ "minutes": 1 }"#, 400),
        ("PUT", "/bans/10.0.0.9", r#"{ "seconds": 0 }"#, 400),
        ("POST", "/bans/10.0.0.9", "", 405),
        ("DELETE", "/bans", "", 405),
        ("GET", "/bansai", "", 404),
    ] {
        assert_eq!(asks(&mut raw, method, path, body).0, status, "{method} {path} {body}");
    }
    let mut off = Raw::new(shard_config());
    assert_eq!(asks(&mut off, "PUT", "/bans/10.0.0.9", "").0, 409);
}

#[test]
fn bans_and_flows_of_phones_survive_a_restart_and_lists_are_changed_without_one() {
    let mut before = Raw::new(guarded());
    assert_eq!(before.register(udp(PHONE), "sip:alice@x.test", &who("alice", "alice-pw"), &contact(PHONE)), 200);
    for n in 0..20 {
        guess(&mut before, GUESSER, "bob", &format!("guess-{n}"));
    }
    let mut after = Raw::new(guarded());
    for change in std::mem::take(&mut before.stored) {
        let stored = match change {
            Change::BanPut(ban) => Stored::Ban(ban),
            Change::BindingPut(binding) => Stored::Binding(binding),
            _ => continue,
        };
        after.shard.handle(after.now, Input::Restore(stored));
    }
    assert!(after.shard.admits(after.now, at(PHONE)) && !after.shard.admits(after.now, at(GUESSER)));
    let network = |addr: &str| vec![Network { addr: addr.parse().unwrap(), prefix: 32 }];
    after.shard.handle(after.now, Input::Lists { allow: network("10.0.0.2"), drop: network("9.9.9.9") });
    assert!(after.shard.admits(after.now, at(GUESSER)) && !after.shard.admits(after.now, at("9.9.9.9:1")));
    let removed = |output| matches!(output, Output::Store(Change::BanRemoved(_)));
    assert!(std::iter::from_fn(|| after.shard.poll_output()).any(removed));
}
