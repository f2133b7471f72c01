//! The worked examples of the RFCs, answered by our client side.

use crate::auth_conversation::response;
use hookswitch_sip::auth::{Credentials, authorize};
use hookswitch_sip_msg::{AuthParams, HeaderName, Method};

fn answer(challenge: &str, credentials: &Credentials, uri: &str, cnonce: &str) -> String {
    let challenged = response(401, &[(HeaderName::WwwAuthenticate, challenge.to_owned())]);
    let (name, value) =
        authorize(&challenged, &Method::from("GET"), uri, b"", credentials, cnonce, 1).expect("an answer");
    assert_eq!(name, HeaderName::Authorization);
    value
}

#[track_caller]
fn assert_parameter(header: &str, name: &str, expected: &str) {
    let params = AuthParams::parse(header.as_bytes()).expect("readable credentials");
    assert_eq!(params.get(name).as_deref(), Some(expected), "{name} in {header}");
}

const RFC_7616_CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

fn rfc_7616_challenge(algorithm: &str) -> String {
    format!(
        r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#
    )
}

#[test]
fn rfc_7616_section_3_9_1_with_md5() {
    let mufasa = Credentials::new("Mufasa", "Circle of Life");
    let header = answer(&rfc_7616_challenge("MD5"), &mufasa, "/dir/index.html", RFC_7616_CNONCE);
    assert_parameter(&header, "response", "8ca523f5e9506fed4657c9700eebdbec");
    assert_parameter(&header, "nc", "00000001");
    assert_parameter(&header, "qop", "auth");
    assert_parameter(&header, "opaque", "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS");
}

#[test]
fn rfc_7616_section_3_9_1_with_sha_256() {
    let mufasa = Credentials::new("Mufasa", "Circle of Life");
    let header = answer(&rfc_7616_challenge("SHA-256"), &mufasa, "/dir/index.html", RFC_7616_CNONCE);
    assert_parameter(&header, "response", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    assert_parameter(&header, "algorithm", "SHA-256");
}

#[test]
fn rfc_2617_section_3_5() {
    let mufasa = Credentials::new("Mufasa", "Circle Of Life");
    let challenge = r#"Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#;
    let header = answer(challenge, &mufasa, "/dir/index.html", "0a4f113b");
    assert_parameter(&header, "response", "6629fae49393a05397450978507c4ef1");
}

#[test]
fn rfc_2069_section_2_4_without_qop() {
    // With the response of the RFC's erratum 749.
    let mufasa = Credentials::new("Mufasa", "CircleOfLife");
    let challenge = r#"Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#;
    let header = answer(challenge, &mufasa, "/dir/index.html", "");
    assert_parameter(&header, "response", "1949323746fe6a43ef61f9606e7febea");
    let params = AuthParams::parse(header.as_bytes()).expect("readable credentials");
    assert!(params.get("qop").is_none() && params.get("nc").is_none() && params.get("cnonce").is_none());
}

#[test]
fn rfc_7616_section_3_9_2_with_sha_512_256() {
    // With the response of erratum 4897: the printed one was made with a draft of SHA-512/256.
    let doe = Credentials::new("J\u{e4}s\u{f8}n Doe", "Secret, or not?");
    let challenge = r#"Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true"#;
    let header = answer(challenge, &doe, "/doe.json", "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v");
    assert_parameter(&header, "response", "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5");
}
