//! What a gate asks for.

use crate::auth_conversation::*;
use hookswitch_sip::auth::{GateConfig, Verdict, Which};
use hookswitch_sip_msg::digest::Algorithm;
use hookswitch_sip_msg::{AuthParams, HeaderName};

fn algorithms(verdict: &Verdict) -> Vec<String> {
    let Verdict::Challenge { headers, .. } = verdict else { panic!("expected a challenge, not {verdict:?}") };
    let read = |value: &String| {
        let params = AuthParams::parse(value.as_bytes()).expect("a readable challenge");
        params.get("algorithm").expect("an algorithm").into_owned()
    };
    headers.iter().map(|(_, value)| read(value)).collect()
}

#[test]
fn md5_comes_first_for_old_phones() {
    let verdict = gate().check(at(0), &request(&[]), REALM, Which::Www, directory);
    assert_eq!(algorithms(&verdict), ["MD5", "SHA-256"]);
}

#[test]
fn the_order_is_configurable() {
    let config = offering(&[Algorithm::Sha512_256, Algorithm::Sha256, Algorithm::Md5Sess]);
    let verdict = gate_with(config).check(at(0), &request(&[]), REALM, Which::Www, directory);
    assert_eq!(algorithms(&verdict), ["SHA-512-256", "SHA-256", "MD5-sess"]);
}

#[test]
fn a_challenge_has_all_that_is_needed_to_answer_it() {
    let Verdict::Challenge { status, headers, stale, .. } =
        gate().check(at(0), &request(&[]), REALM, Which::Www, directory)
    else {
        panic!("expected a challenge");
    };
    assert_eq!((status, stale), (401, false));
    for (name, value) in headers {
        assert_eq!(name, HeaderName::WwwAuthenticate);
        let params = AuthParams::parse(value.as_bytes()).expect("a readable challenge");
        assert_eq!(params.get("realm").as_deref(), Some(REALM));
        assert_eq!(params.get("qop").as_deref(), Some("auth"));
        assert!(params.get("nonce").is_some_and(|nonce| nonce.len() >= 32));
        assert!(params.get("opaque").is_some_and(|opaque| !opaque.is_empty()));
    }
}

#[test]
fn a_proxy_asks_with_407_and_reads_proxy_authorization() {
    let mut gate = gate();
    let Verdict::Challenge { status, headers, .. } =
        gate.check(at(0), &request_to("INVITE", "sip:bob@example.test", &[]), REALM, Which::Proxy, directory)
    else {
        panic!("expected a challenge");
    };
    assert_eq!(status, 407);
    assert!(headers.iter().all(|(name, _)| *name == HeaderName::ProxyAuthenticate));

    let uri = "sip:bob@example.test";
    let answer = hookswitch_sip::auth::authorize(
        &response(407, &headers),
        &hookswitch_sip_msg::Method::Invite,
        uri,
        b"",
        &alice(),
        CNONCE,
        1,
    )
    .expect("an answer");
    assert_eq!(answer.0, HeaderName::ProxyAuthorization);
    let invite = request_to("INVITE", uri, &[answer]);
    assert_accepted(gate.check(at(1), &invite, REALM, Which::Proxy, directory));
    assert_challenge(&gate.check(at(2), &invite, REALM, Which::Www, directory), false);
}

#[test]
fn credentials_for_other_realms_are_skipped() {
    let mut gate = gate();
    let mut phone = Phone::challenged_by(&mut gate, at(0));
    let foreign = phone.answer().replace(REALM, "elsewhere.test");
    let basic = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".to_owned();
    let unreadable = "Digest".to_owned();
    let lines = [basic, unreadable, foreign, phone.answer()].map(|value| (HeaderName::Authorization, value)).to_vec();
    assert_accepted(gate.check(at(1), &request(&lines), REALM, Which::Www, directory));
}

#[test]
fn credentials_for_another_realm_only_are_answered_with_our_challenge() {
    let mut gate = gate();
    let wrong_realm = Phone::challenged_by(&mut gate, at(0)).answer().replace(REALM, "elsewhere.test");
    assert_challenge(&send(&mut gate, at(1), wrong_realm), false);
}

#[test]
fn a_longer_realm_is_not_ours() {
    let mut gate = gate();
    let longer =
        Phone::challenged_by(&mut gate, at(0)).answer().replace("realm=\"example.test\"", "realm=\"example.tester\"");
    assert_challenge(&send(&mut gate, at(1), longer), false);
}

#[test]
fn no_more_than_the_limit_of_credentials_is_looked_at() {
    let mut gate = gate();
    let good = Phone::challenged_by(&mut gate, at(0)).answer();
    let foreign = good.replace(REALM, "elsewhere.test");
    let mut lines = vec![(HeaderName::Authorization, foreign); 16];
    lines.push((HeaderName::Authorization, good));
    assert_challenge(&gate.check(at(1), &request(&lines), REALM, Which::Www, directory), false);
    lines.remove(0);
    assert_accepted(gate.check(at(1), &request(&lines), REALM, Which::Www, directory));
}

#[test]
fn a_realm_with_quotes_is_escaped() {
    let mut gate = gate_with(GateConfig::default());
    let Verdict::Challenge { headers, .. } = gate.challenge(at(0), "the \"inner\" realm", Which::Www, false) else {
        panic!("expected a challenge");
    };
    let params = AuthParams::parse(headers[0].1.as_bytes()).expect("a readable challenge");
    assert_eq!(params.get("realm").as_deref(), Some("the \"inner\" realm"));
}
