//! Digest arithmetic against published vectors, and a challenge answered and verified.

use hookswitch_sip_msg::AuthParams;
use hookswitch_sip_msg::digest::{
    Algorithm, Challenge, ChallengeAnswer, Credentials, Protection, Quoted, ha1, ha2, ha2_with_body, response,
    session_ha1,
};

const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
const PROTECTION: Protection<'_> = Protection { qop: "auth", cnonce: CNONCE, nc: "00000001" };

/// The first two are RFC 7616 3.9.1; the others apply its request to the other algorithms, summed by another program.
const VECTORS: [(Algorithm, &str); 6] = [
    (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
    (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    (Algorithm::Md5Sess, "e783283f46242139c486a698fec7211d"),
    (Algorithm::Sha256Sess, "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7"),
    (Algorithm::Sha512_256, "430d05014cecc49cab6fbe03176d41a1da86cbfe24a16580e22aaad928d960d0"),
    (Algorithm::Sha512_256Sess, "3f2a34f923c38b0fb26dce2fdfc2ce326c23cecf86fbb1444f3e51fbbc2cb92e"),
];

#[test]
fn rfc_7616_vectors() {
    for (algorithm, expected) in VECTORS {
        let plain = ha1(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life");
        let secret = match algorithm.is_session() {
            true => session_ha1(algorithm, plain.as_str(), NONCE, CNONCE),
            false => plain,
        };
        let request = ha2(algorithm, "GET", "/dir/index.html");
        let sum = response(algorithm, secret.as_str(), NONCE, Some(PROTECTION), request.as_str());
        assert_eq!(sum.as_str(), expected, "{algorithm}");
    }
}

#[test]
fn rfc_2617_vectors() {
    let md5 = Algorithm::Md5;
    let nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
    let secret = ha1(md5, "Mufasa", "testrealm@host.com", "Circle Of Life");
    let sum = |protection, request: &str| response(md5, secret.as_str(), nonce, protection, request).to_string();
    let with = |qop| Some(Protection { qop, cnonce: "0a4f113b", nc: "00000001" });
    let request = ha2(md5, "GET", "/dir/index.html");
    assert_eq!(sum(with("auth"), request.as_str()), "6629fae49393a05397450978507c4ef1");
    assert_eq!(sum(None, request.as_str()), "670fd8c2df070c60b045671b8b24ff02");
    let request = ha2_with_body(md5, "GET", "/dir/index.html", b"hello");
    assert_eq!(sum(with("auth-int"), request.as_str()), "4b9dff6a3247bddd2fed3d63a302e8dc");
}

fn challenge(text: &str) -> Option<Challenge<'_>> {
    Challenge::read(&AuthParams::parse(text.as_bytes()).ok()?)
}

fn credentials(text: &str) -> Option<Credentials<'_>> {
    Credentials::read(&AuthParams::parse(text.as_bytes()).ok()?)
}

#[test]
fn an_answered_challenge_verifies_for_every_algorithm_and_qop() {
    for algorithm in Algorithm::ALL {
        for qop in ["", ", qop=\"auth\"", ", qop=\"auth,auth-int\""] {
            let text =
                format!("Digest realm=\"a \\\"b\\\" c\", nonce=\"n1\", opaque=\"o\\\\p\", algorithm={algorithm}{qop}");
            let challenge = challenge(&text).unwrap();
            assert_eq!(challenge.realm, "a \"b\" c");
            let answer = challenge.answer(&ChallengeAnswer {
                username: "al\"ice",
                password: "pass:word",
                method: "REGISTER",
                uri: "sip:example.test",
                cnonce: "c1",
                nc: 10,
            });
            let given = credentials(&answer).unwrap();
            assert_eq!((given.username.as_ref(), given.opaque.as_deref()), ("al\"ice", Some("o\\p")));
            assert_eq!(given.nonce_count(), (!qop.is_empty()).then_some(10));
            let stored = ha1(algorithm.base(), "al\"ice", "a \"b\" c", "pass:word");
            assert!(given.verify(stored.as_str(), "REGISTER", b""), "{answer}");
            assert!(!given.verify(stored.as_str(), "INVITE", b""), "another method");
            let wrong = ha1(algorithm.base(), "al\"ice", "a \"b\" c", "guess");
            assert!(!given.verify(wrong.as_str(), "REGISTER", b""), "another password");
        }
    }
}

#[test]
fn a_challenge_is_read_whatever_its_spelling() {
    let text = "DIGEST  Realm = \"r,1\" ,nonce=\"n\",stale=TRUE , ALGORITHM=sha-256,qop=\"auth-int , auth\",x=y";
    let read = challenge(text).unwrap();
    assert_eq!((read.realm.as_ref(), read.stale, read.algorithm), ("r,1", true, Algorithm::Sha256));
    assert!(read.qop_auth && read.qop_auth_int);
    assert_eq!(challenge("Digest realm=\"r\", nonce=\"n\"").unwrap().algorithm, Algorithm::Md5);
    assert_eq!(challenge("Digest realm=\"r\", nonce=\"n\", algorithm=SHA-3"), None, "cannot be answered");
    assert_eq!(challenge("Basic realm=\"r\""), None);
    assert_eq!(challenge("Digest nonce=\"n\""), None);
}

#[test]
fn responses_are_compared_whole_and_without_case() {
    let sum = Algorithm::Md5.hash(&[b"a", b"b"]);
    let text = sum.as_str().to_owned();
    assert!(sum.matches(&text) && sum.matches(&text.to_ascii_uppercase()));
    for wrong in ["", "0", &text[1..], &format!("{text}0"), &"f".repeat(200), "é"] {
        assert!(!sum.matches(wrong), "{wrong}");
    }
    assert_eq!(format!("{sum:?}"), "HexDigest(..)");
}

#[test]
fn incomplete_or_foreign_credentials_never_verify() {
    let secret = ha1(Algorithm::Md5, "a", "r", "p");
    let base = "Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"sip:x\", response=\"0\"";
    for tail in ["", ", qop=auth", ", qop=auth, cnonce=\"c\"", ", qop=token, cnonce=\"c\", nc=00000001"] {
        assert!(!credentials(&format!("{base}{tail}")).unwrap().verify(secret.as_str(), "INVITE", b""), "{tail}");
    }
    let session = format!("{base}, algorithm=MD5-sess");
    assert!(!credentials(&session).unwrap().verify(secret.as_str(), "INVITE", b""), "no cnonce to make HA1 from");
    assert!(credentials("Digest username=\"a\", realm=\"r\"").is_none());
    assert!(credentials("Digest username=\"\u{e4}\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"0\"").is_some());
    let odd = format!("{base}, nc=1");
    assert_eq!(credentials(&odd).unwrap().nonce_count(), None);
}

#[test]
fn quoting_escapes_what_would_end_the_string() {
    assert_eq!(Quoted("plain").to_string(), "\"plain\"");
    assert_eq!(Quoted("a\"b\\c\"").to_string(), r#""a\"b\\c\"""#);
    assert_eq!(Quoted("").to_string(), "\"\"");
}
