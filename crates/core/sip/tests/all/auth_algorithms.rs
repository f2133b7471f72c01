//! Every algorithm, with passwords and with stored hashes, and answers of phones from before qop.

use crate::auth_conversation::*;
use hookswitch_sip::auth::{GateConfig, RejectedWhy, Secret, Which};
use hookswitch_sip_msg::digest::{Algorithm, ha1};
use hookswitch_sip_msg::{HeaderName, Message, Method};

#[test]
fn each_algorithm_works_both_ways() {
    for algorithm in Algorithm::ALL {
        let mut gate = gate_with(offering(&[algorithm]));
        let mut phone = Phone::challenged_by(&mut gate, at(0));
        assert!(phone.answer().contains(&format!("algorithm={algorithm},")));
        assert_accepted(phone.register(&mut gate, at(1)));
        assert_accepted(phone.register(&mut gate, at(2)));
    }
}

#[test]
fn a_stored_hash_serves_its_algorithm_and_sessions() {
    for algorithm in Algorithm::ALL {
        let mut gate = gate_with(offering(&[algorithm]));
        let mut phone = Phone::challenged_by(&mut gate, at(0));
        let stored = ha1(algorithm, "alice", REALM, "wonderland");
        let request = request(&[(HeaderName::Authorization, phone.answer())]);
        let secret = Secret::Ha1 { algorithm: algorithm.base(), hex: stored.as_str() };
        assert_accepted(gate.check(at(1), &request, REALM, Which::Www, |_: &str, _: &str| Some(secret)));
    }
}

#[test]
fn a_stored_hash_of_another_algorithm_opens_nothing() {
    let mut gate = gate();
    let stored = ha1(Algorithm::Sha256, "alice", REALM, "wonderland");
    let request = request(&[(HeaderName::Authorization, Phone::challenged_by(&mut gate, at(0)).answer())]);
    let secret = Secret::Ha1 { algorithm: Algorithm::Sha256, hex: stored.as_str() };
    let verdict = gate.check(at(1), &request, REALM, Which::Www, |_: &str, _: &str| Some(secret));
    assert_rejected(&verdict, (403, RejectedWhy::BadCredentials));
}

#[test]
fn the_second_algorithm_on_offer_is_good_too() {
    let mut gate = gate();
    let text = String::from_utf8(challenged(&mut gate, at(0)).as_bytes().to_vec()).expect("ASCII");
    let modern =
        Message::parse(text.replace("algorithm=MD5", "algorithm=MD6").into_bytes().into()).expect("a response");
    let (_, answer) =
        hookswitch_sip::auth::authorize(&modern, &Method::Register, URI, b"", &alice(), CNONCE, 1).expect("an answer");
    assert!(answer.contains("algorithm=SHA-256"));
    assert_accepted(send(&mut gate, at(1), answer));
}

#[test]
fn no_algorithm_means_md5() {
    let mut gate = gate();
    let answer = Phone::challenged_by(&mut gate, at(0)).answer();
    assert_accepted(send(&mut gate, at(1), answer.replace(", algorithm=MD5", "")));
}

/// An answer as a phone gives it that has never heard of qop.
fn old_answer(challenge: &Message) -> String {
    let text = String::from_utf8(challenge.as_bytes().to_vec()).expect("ASCII");
    let old = Message::parse(text.replace(", qop=\"auth\"", "").into_bytes().into()).expect("a response");
    let (_, answer) =
        hookswitch_sip::auth::authorize(&old, &Method::Register, URI, b"", &alice(), CNONCE, 1).expect("an answer");
    assert!(!answer.contains("qop"));
    answer
}

#[test]
fn an_answer_without_qop_is_challenged_unless_allowed() {
    let mut gate = gate();
    let answer = old_answer(&challenged(&mut gate, at(0)));
    assert_challenge(&send(&mut gate, at(1), answer), false);
}

#[test]
fn an_allowed_answer_without_qop_is_good_once() {
    let mut gate = gate_with(GateConfig { allow_without_qop: true, ..GateConfig::default() });
    let answer = old_answer(&challenged(&mut gate, at(0)));
    assert_accepted(send(&mut gate, at(1), answer.clone()));
    assert_challenge(&send(&mut gate, at(2), answer), true);
}

#[test]
fn leaving_out_qop_does_not_revive_a_used_nonce() {
    let mut gate = gate_with(GateConfig { allow_without_qop: true, ..GateConfig::default() });
    let challenge = challenged(&mut gate, at(0));
    let mut phone = Phone::challenged_by(&mut gate, at(0));
    phone.session = hookswitch_sip::auth::Session::new(&challenge, &phone.credentials).expect("a challenge to answer");
    assert_accepted(phone.register(&mut gate, at(1)));
    assert_challenge(&send(&mut gate, at(2), old_answer(&challenge)), true);
}

#[test]
fn a_session_algorithm_needs_a_cnonce_even_without_qop() {
    let config = GateConfig { allow_without_qop: true, ..offering(&[Algorithm::Md5Sess]) };
    let mut gate = gate_with(config);
    let answer = old_answer(&challenged(&mut gate, at(0)));
    let without = answer.replace(", cnonce=\"0a4f113b\"", "");
    assert_ne!(without, answer);
    assert_rejected(&send(&mut gate, at(1), without), (400, RejectedWhy::Malformed));
    assert_accepted(send(&mut gate, at(1), answer));
}
