//! Which challenge a client answers, and how.

use crate::auth_conversation::*;
use hookswitch_sip::auth::{AuthError, Credentials, Session, authorize};
use hookswitch_sip_msg::digest::{Algorithm, Protection, ha1, ha2_with_body, response as digest_response};
use hookswitch_sip_msg::{AuthParams, HeaderName, Message, Method};

fn asked(challenges: &[&str]) -> Message {
    let lines: Vec<_> = challenges.iter().map(|text| (HeaderName::WwwAuthenticate, (*text).to_owned())).collect();
    response(401, &lines)
}

fn answer(challenges: &[&str], credentials: &Credentials) -> Result<String, AuthError> {
    authorize(&asked(challenges), &Method::Register, URI, b"v=0", credentials, CNONCE, 7).map(|(_, value)| value)
}

const MD5: &str = r#"Digest realm="example.test", nonce="n1", qop="auth", algorithm=MD5"#;
const SHA: &str = r#"Digest realm="example.test", nonce="n1", qop="auth", algorithm=SHA-256"#;
const UNKNOWN: &str = r#"Digest realm="example.test", nonce="n1", qop="auth", algorithm=SHA3-512"#;
const OTHER: &str = r#"Digest realm="carrier.test", nonce="n2", qop="auth", algorithm=MD5"#;
const BASIC: &str = r#"Basic realm="example.test""#;

#[test]
fn the_topmost_known_algorithm_is_used() {
    assert!(answer(&[SHA, MD5], &alice()).expect("an answer").contains("algorithm=SHA-256"));
    assert!(answer(&[MD5, SHA], &alice()).expect("an answer").contains("algorithm=MD5"));
    assert!(answer(&[BASIC, UNKNOWN, SHA], &alice()).expect("an answer").contains("algorithm=SHA-256"));
}

#[test]
fn the_realm_chooses_the_challenge() {
    let credentials = alice().for_realm("carrier.test");
    assert!(answer(&[MD5, OTHER], &credentials).expect("an answer").contains("realm=\"carrier.test\""));
    assert_eq!(answer(&[MD5, SHA], &credentials), Err(AuthError::OtherRealm));
}

#[test]
fn what_cannot_be_answered_says_why() {
    assert_eq!(answer(&[], &alice()), Err(AuthError::NoChallenge));
    assert_eq!(answer(&[BASIC], &alice()), Err(AuthError::NoChallenge));
    assert_eq!(answer(&[UNKNOWN], &alice()), Err(AuthError::Unsupported));
    assert_eq!(answer(&[r#"Digest realm="r", nonce="n", qop="auth-hmac""#], &alice()), Err(AuthError::Unsupported));
    let busy = response(486, &[(HeaderName::WwwAuthenticate, MD5.to_owned())]);
    assert_eq!(Session::new(&busy, &alice()), Err(AuthError::NoChallenge));
}

#[test]
fn the_count_has_eight_hexadecimal_digits() {
    assert!(answer(&[MD5], &alice()).expect("an answer").contains("nc=00000007"));
    let mut session = Session::new(&asked(&[MD5]), &alice()).expect("a challenge to answer");
    for expected in 1..=17 {
        let (_, value) = session.authorize(&Method::Register, URI, b"", &alice(), CNONCE);
        assert!(value.contains(&format!("nc={expected:08x}")), "{value}");
    }
}

#[test]
fn the_body_is_protected_when_nothing_less_is_offered() {
    let value = answer(&[r#"Digest realm="r", nonce="n", qop="auth-int""#], &alice()).expect("an answer");
    let params = AuthParams::parse(value.as_bytes()).expect("readable credentials");
    assert_eq!(params.get("qop").as_deref(), Some("auth-int"));
    let protection = Protection { qop: "auth-int", cnonce: CNONCE, nc: "00000007" };
    let secret = ha1(Algorithm::Md5, "alice", "r", "wonderland");
    let request = ha2_with_body(Algorithm::Md5, "REGISTER", URI, b"v=0");
    let expected = digest_response(Algorithm::Md5, secret.as_str(), "n", Some(protection), request.as_str());
    assert_eq!(params.get("response").as_deref(), Some(expected.as_str()));
}

#[test]
fn auth_is_preferred_to_auth_int() {
    let value = answer(&[r#"Digest realm="r", nonce="n", qop="auth-int,auth""#], &alice()).expect("an answer");
    assert!(value.contains("qop=auth,"), "{value}");
}

#[test]
fn special_characters_are_escaped() {
    let challenge = r#"Digest realm="a \"b\" \\c", nonce="n\"", qop="auth", opaque="\"""#;
    let value = answer(&[challenge], &Credentials::new("al\"ice", "x")).expect("an answer");
    let params = AuthParams::parse(value.as_bytes()).expect("readable credentials");
    assert_eq!(params.get("username").as_deref(), Some("al\"ice"));
    assert_eq!(params.get("realm").as_deref(), Some(r#"a "b" \c"#));
    assert_eq!(params.get("nonce").as_deref(), Some("n\""));
    assert_eq!(params.get("opaque").as_deref(), Some("\""));
}

#[test]
fn passwords_are_not_printed() {
    assert!(!format!("{:?}", alice()).contains("wonderland"));
}
