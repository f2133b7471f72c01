//! What a gate does not accept.

use crate::auth_conversation::*;
use hookswitch_sip::auth::{Credentials, GateConfig, Identity, RejectedWhy, Secret, Verdict, Which};
use hookswitch_sip_msg::digest::Algorithm;
use hookswitch_sip_msg::{HeaderName, Method};

#[test]
fn a_wrong_password_is_forbidden() {
    let mut gate = gate();
    let mut phone = Phone::with(Credentials::new("alice", "looking-glass"), &mut gate, at(0));
    assert_rejected(&phone.register(&mut gate, at(1)), (403, RejectedWhy::BadCredentials));
}

#[test]
fn an_unknown_user_cannot_be_told_from_a_wrong_password() {
    let attempt = |user: &str, later: u64| {
        let mut gate = gate();
        Phone::with(Credentials::new(user, "guess"), &mut gate, at(0)).register(&mut gate, at(later))
    };
    assert_eq!(attempt("alice", 1), attempt("nobody", 1));
    assert_eq!(attempt("alice", 301), attempt("nobody", 301));
}

#[test]
fn an_algorithm_that_was_not_offered_is_challenged_again() {
    // The downgrade: the phone answers with MD5 although only SHA-256 is good enough for this realm.
    let mut lenient = gate();
    let md5 = Phone::challenged_by(&mut lenient, at(0)).answer();
    assert!(md5.contains("algorithm=MD5"));
    let mut strict = gate_with(offering(&[Algorithm::Sha256]));
    assert_challenge(&send(&mut strict, at(1), md5.clone()), false);
    let relabelled = md5.replace("algorithm=MD5", "algorithm=SHA-256");
    assert_rejected(&send(&mut strict, at(1), relabelled), (403, RejectedWhy::BadCredentials));
    assert_challenge(&send(&mut strict, at(1), md5.replace(", algorithm=MD5", "")), false);
    assert_challenge(&send(&mut strict, at(1), md5.replace("algorithm=MD5", "algorithm=ROT13")), false);
}

#[test]
fn credentials_for_another_resource_are_refused() {
    let mut gate = gate();
    let answer = Phone::challenged_by(&mut gate, at(0)).answer();
    for uri in ["sip:bob@example.test", "sip:other.test", "sips:example.test"] {
        let moved = request_to("REGISTER", uri, &[(HeaderName::Authorization, answer.clone())]);
        let verdict = gate.check(at(1), &moved, REALM, Which::Www, directory);
        assert_rejected(&verdict, (400, RejectedWhy::UriMismatch));
    }
}

#[test]
fn the_signed_uri_may_be_written_differently() {
    for (signed, requested) in [
        ("sip:example.test", "sip:EXAMPLE.test;transport=udp"),
        ("sip:example.test", "sip:example.test:5060"),
        ("sip:%61lice@example.test", "sip:alice@example.test"),
    ] {
        let mut gate = gate();
        let mut phone = Phone::challenged_by(&mut gate, at(0));
        let header = phone.session.authorize(&Method::Register, signed, b"", &phone.credentials, CNONCE);
        let request = request_to("REGISTER", requested, &[header]);
        assert_accepted(gate.check(at(1), &request, REALM, Which::Www, directory));
    }
}

#[test]
fn the_uri_check_can_be_switched_off_behind_a_rewriting_proxy() {
    let mut gate = gate_with(GateConfig { check_uri: false, ..GateConfig::default() });
    let answer = Phone::challenged_by(&mut gate, at(0)).answer();
    let moved = request_to("REGISTER", "sip:10.0.0.1", &[(HeaderName::Authorization, answer)]);
    assert_accepted(gate.check(at(1), &moved, REALM, Which::Www, directory));
}

#[test]
fn credentials_for_another_method_are_refused() {
    let mut gate = gate();
    let answer = Phone::challenged_by(&mut gate, at(0)).answer();
    let invite = request_to("INVITE", URI, &[(HeaderName::Authorization, answer)]);
    let verdict = gate.check(at(1), &invite, REALM, Which::Www, directory);
    assert_rejected(&verdict, (403, RejectedWhy::BadCredentials));
}

#[test]
fn altered_credentials_are_refused() {
    let mut gate = gate();
    let answer = Phone::challenged_by(&mut gate, at(0)).answer();
    for (from, to) in [("nc=00000001", "nc=00000002"), (CNONCE, "0a4f113c"), ("response=\"", "response=\"0")] {
        let altered = answer.replace(from, to);
        assert_ne!(altered, answer);
        assert_rejected(&send(&mut gate, at(1), altered), (403, RejectedWhy::BadCredentials));
    }
    assert_accepted(send(&mut gate, at(1), answer));
}

#[test]
fn broken_credentials_are_bad_requests() {
    let mut gate = gate();
    let answer = Phone::challenged_by(&mut gate, at(0)).answer();
    for (from, to) in [
        ("nc=00000001", "nc=1"),
        ("nc=00000001", "nc=0000000g"),
        (", nc=00000001", ""),
        ("qop=auth", "qop=auth-int"),
        ("qop=auth", "qop=sideways"),
        (", cnonce=\"0a4f113b\"", ""),
        ("cnonce=\"0a4f113b\"", "cnonce=\"\""),
    ] {
        let broken = answer.replace(from, to);
        assert_ne!(broken, answer);
        assert_rejected(&send(&mut gate, at(1), broken), (400, RejectedWhy::Malformed));
    }
}

#[test]
fn credentials_with_a_part_missing_count_as_none() {
    let mut gate = gate();
    let answer = Phone::challenged_by(&mut gate, at(0)).answer();
    for part in ["username", "realm", "nonce", "uri", "response"] {
        let without = answer.replace(&format!("{part}="), "x-something=");
        assert_ne!(without, answer);
        assert_challenge(&send(&mut gate, at(1), without), false);
    }
}

#[test]
fn a_count_of_zero_is_a_replay() {
    let mut gate = gate();
    let phone = Phone::challenged_by(&mut gate, at(0));
    let challenge = challenged(&mut gate, at(0));
    let (_, zero) =
        hookswitch_sip::auth::authorize(&challenge, &Method::Register, URI, b"", &phone.credentials, CNONCE, 0)
            .expect("an answer");
    assert_challenge(&send(&mut gate, at(1), zero), true);
}

#[test]
fn a_user_name_with_its_realm_is_understood() {
    let mut gate = gate();
    let mut phone = Phone::with(Credentials::new("alice@example.test", "wonderland"), &mut gate, at(0));
    assert_accepted(phone.register(&mut gate, at(1)));
}

#[test]
fn a_realm_with_a_port_is_understood() {
    let mut gate = gate();
    let challenge = challenged(&mut gate, at(0));
    let text = String::from_utf8(challenge.as_bytes().to_vec()).expect("ASCII");
    let with_port = text.replace("realm=\"example.test\"", "realm=\"example.test:5060\"");
    let with_port = hookswitch_sip_msg::Message::parse(with_port.into_bytes().into()).expect("a response");
    let (_, answer) = hookswitch_sip::auth::authorize(&with_port, &Method::Register, URI, b"", &alice(), CNONCE, 1)
        .expect("an answer");
    assert!(answer.contains("realm=\"example.test:5060\""));
    assert_accepted(send(&mut gate, at(1), answer));
}

#[test]
fn the_password_is_looked_up_at_most_once() {
    let mut gate = gate();
    let answer = Phone::challenged_by(&mut gate, at(0)).answer();
    let lines = vec![(HeaderName::Authorization, answer); 8];
    let mut asked = Vec::new();
    let verdict = gate.check(at(1), &request(&lines), REALM, Which::Www, |user: &str, realm: &str| {
        asked.push((user.to_owned(), realm.to_owned()));
        Some(Secret::Password("wonderland"))
    });
    assert_eq!(verdict, Verdict::Accepted(Identity { user: "alice".into(), realm: REALM.into() }));
    assert_eq!(asked, [("alice".to_owned(), REALM.to_owned())]);
}
