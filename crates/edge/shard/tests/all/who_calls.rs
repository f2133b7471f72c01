//! Who may call and register as whom, and what a name may look like.

use crate::support::raw::{Raw, request_with, trusting_config, udp};
use crate::support::*;

use hookswitch_call::directory::{Directory, Layer, Secret};
use hookswitch_shard::{Counts, ShardConfig};
use hookswitch_sip::auth::{Credentials, authorize};
use hookswitch_sip_msg::{HeaderName, Method};

/// Two domains with users of the same names, one of them with an alias, and users with odd names.
fn config() -> ShardConfig {
    let mut directory = Directory::new();
    for (domain, mark) in [("x.test", "x"), ("y.test", "y")] {
        let users = ["alice", "bob", "o'neil;x=1", "jörg", "100%"];
        let users = users.map(|name| (name.into(), Secret::new(&format!("{mark}-{name}"))));
        directory.configure(domain, Layer { users: users.into(), ..Layer::default() }).unwrap();
    }
    directory.alias("alias.test", "x.test").unwrap();
    let mut config = trusting_config();
    config.b2bua.trusted.clear();
    config.directory = directory;
    config
}

/// What an INVITE from `from` with these credentials comes to.
fn invite(from: &str, user: &str, secret: &str) -> u16 {
    let mut raw = Raw::new(config());
    let alice = udp("10.0.0.2:5060");
    let uri = "sip:nobody@x.test";
    let text = request_with("INVITE", uri, 1, "", &format!("From: <{from}>;tag=a\r\n"), "a");
    raw.hear(alice, &text);
    let challenge = raw.sent.pop().expect("an answer").1;
    let credentials = Credentials::new(user, secret);
    let Ok((name, value)) = authorize(&challenge, &Method::Invite, uri, b"a", &credentials, "c", 1) else {
        return challenge.status().unwrap();
    };
    let from = format!("From: <{from}>;tag=a\r\n{}: {value}\r\n", name.as_str());
    raw.hear(alice, &request_with("INVITE", uri, 2, "", &from, "a"));
    assert_eq!(raw.sent.len(), 1);
    raw.sent[0].1.status().unwrap()
}

#[test]
fn the_user_must_be_the_one_in_from_under_any_name_of_its_domain() {
    // 404 is the answer of the switch to who has been let in: nobody is at home.
    assert_eq!(invite("sip:alice@x.test", "alice", "x-alice"), 404);
    assert_eq!(invite("sip:alice@ALIAS.test:5060;x=y", "alice", "x-alice"), 404);
    assert_eq!(invite("sip:%61lice@x.test", "alice", "x-alice"), 404);
    assert_eq!(invite("sip:alice@x.test", "alice@x.test", "x-alice"), 404);
    assert_eq!(invite("sip:bob@x.test", "alice", "x-alice"), 403, "somebody else");
    assert_eq!(invite("sip:Alice@x.test", "alice", "x-alice"), 403, "the case of users counts");
    assert_eq!(invite("sip:alice@y.test", "alice", "x-alice"), 403, "of another domain");
    assert_eq!(invite("sip:alice@x.test", "alice", "y-alice"), 403);
    assert_eq!(invite("sip:alice@elsewhere.test", "alice", "x-alice"), 403);
    assert_eq!(invite("tel:+4930123456", "alice", "x-alice"), 403);
}

#[test]
fn names_with_odd_characters_are_users_like_others() {
    for (written, user) in
        [("o'neil;x=1", "o'neil;x=1"), ("o%27neil%3bx%3D1", "o'neil;x=1"), ("j%C3%B6rg", "jörg"), ("100%25", "100%")]
    {
        let mut raw = Raw::new(config());
        let bob = udp("10.0.0.3:5060");
        let credentials = Credentials::new(user, format!("y-{user}"));
        let contact = "Contact: <sip:phone@10.0.0.3>\r\n";
        let to = format!("sip:{written}@y.test");
        assert_eq!(raw.register(bob, &to, &credentials, contact), 200, "{written}");
        // Nobody of the same name in the other domain has become reachable.
        assert_eq!(raw.shard.counts().bindings, 1);
        for (domain, rings) in [("y.test", true), ("x.test", false)] {
            let mut config = config();
            config.b2bua.trusted = trusting_config().b2bua.trusted;
            let mut raw = Raw::new(config);
            raw.register(bob, &to, &credentials, contact);
            let from = "From: <sip:alice@x.test>;tag=a\r\n";
            let uri = format!("sip:{}@{domain}", written.to_ascii_lowercase());
            raw.hear(udp("10.0.0.2:5060"), &request_with("INVITE", &uri, 1, "", from, "a"));
            assert_eq!(raw.words().contains(&"INVITE".to_owned()), rings, "{uri}");
        }
    }
}

#[test]
fn a_register_is_for_the_user_who_sends_it() {
    let mut raw = Raw::new(config());
    let flow = udp("10.0.0.3:5060");
    let contact = "Contact: <sip:phone@10.0.0.3>\r\n";
    let alice = Credentials::new("alice", "x-alice");
    assert_eq!(raw.register(flow, "sip:alice@alias.test", &alice, contact), 200);
    assert_eq!(raw.register(flow, "sip:alice@y.test", &alice, contact), 403);
    assert_eq!(raw.register(flow, "sip:bob@x.test", &alice, contact), 403);
    assert_eq!(raw.shard.counts().bindings, 1);
}

#[test]
fn strangers_leave_no_trace_however_many_they_are() {
    let mut raw = Raw::new(config());
    let stranger = udp("10.0.0.66:5060");
    for n in 0..1_000 {
        let from = format!("From: <sip:alice@x.test>;tag=a{n}\r\n");
        let text = request_with("INVITE", "sip:bob@x.test", 1, "", &from, "a").replace("one", &format!("call-{n}"));
        raw.hear(stranger, &text);
        raw.hear(stranger, &text.replace("INVITE", "REGISTER"));
    }
    assert_eq!(raw.shard.counts(), Counts::default());
    raw.pass(sec(60));
    assert_eq!(raw.sent.len(), 2_000, "one answer to each, and none is repeated");
    assert!(raw.sent.iter().all(|(_, message)| message.status() == Some(401)));
}

#[test]
fn a_display_name_cannot_add_headers_or_parameters() {
    let mut raw = Raw::new(trusting_config());
    let uri = "sip:bench-1@x.test";
    for (from, expected) in [
        ("\"Alice\r\n Evil: 1\" <sip:alice@x.test>", "\"Alice   Evil: 1\" <sip:alice@x.test>"),
        ("a\\ <sip:alice@x.test>", "<sip:alice@x.test>"),
        ("\"a\\\\\" <sip:alice@x.test>", "\"a\\\\\" <sip:alice@x.test>"),
    ] {
        raw.sent.clear();
        let call_id = format!("Call-ID: {}", from.len());
        let text = request_with("INVITE", uri, 1, "", &format!("From: {from};tag=a\r\n"), "a");
        let text = text.replace("Call-ID: one", &call_id).replace("z9hG4bK-1", &format!("z9hG4bK-{}", from.len()));
        raw.hear(udp("10.0.0.2:5060"), &text);
        let invite = &raw.last("INVITE").1;
        let shown = invite.header_str(HeaderName::From).unwrap();
        assert_eq!(shown.split(";tag=").next(), Some(expected));
        assert!(!invite.lines().any(|(_, line)| line.starts_with(b"Evil")));
    }
}

#[test]
fn what_we_do_not_handle_is_not_promised() {
    let mut raw = Raw::new(trusting_config());
    let alice = udp("10.0.0.2:5060");
    raw.hear(alice, &crate::support::raw::request("OPTIONS", "sip:x.test", 1, "", ""));
    let allow =
        "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, PRACK, UPDATE, INFO, MESSAGE, REFER, NOTIFY, SUBSCRIBE, PUBLISH";
    assert_eq!(raw.last("200").1.header_str(HeaderName::Allow), Some(allow));
    raw.hear(alice, &crate::support::raw::request("INVITE", "sip:bench-1@x.test", 2, "", "a"));
    let invite = raw.last("INVITE").1.clone();
    assert_eq!(invite.header_str(HeaderName::Allow), Some(allow));
    raw.hear(udp("10.0.0.3:5060"), &crate::support::raw::answer(&invite, "200 OK", "b", "b"));
    let tag = raw.last("200").1.to().unwrap().tag().unwrap().to_owned();
    // Nobody publishes in a call.
    raw.hear(alice, &crate::support::raw::request("PUBLISH", "sip:bench-1@x.test", 3, &tag, ""));
    assert_eq!(raw.last("405").1.header_str(HeaderName::Allow), Some(allow));
}
