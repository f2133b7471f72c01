//! Path (RFC 3327): the proxies between the registrar and the phone.

use crate::registrar_phone::*;
use hookswitch_sip::registrar::{Refusal, Registrar, RegistrarConfig};
use hookswitch_sip_msg::HeaderName;

#[test]
fn path_is_kept_in_order_and_sent_back() {
    let mut registrar = registrar();
    let lines = ["Contact: <sip:a@h>", "Path: <sip:p2.test;lr>,<sip:p1.test;lr;ob>", "Path: \"Edge\" <sip:p0.test;lr>"];
    let outcome = send(&mut registrar, at(0), 1, &lines);
    let expected = ["<sip:p2.test;lr>", "<sip:p1.test;lr;ob>", "\"Edge\" <sip:p0.test;lr>"];
    assert_eq!(values(&outcome, HeaderName::Path), expected);
    assert_eq!(values(&outcome, HeaderName::Supported), ["path"]);
    let stored: Vec<String> = only(&registrar, at(0)).path.iter().map(|hop| hop.to_string()).collect();
    assert_eq!(stored, expected);
}

#[test]
fn a_refresh_without_path_forgets_it() {
    let mut registrar = registrar();
    send(&mut registrar, at(0), 1, &["Contact: <sip:a@h>", "Path: <sip:p.test;lr>"]);
    let outcome = send(&mut registrar, at(1), 2, &["Contact: <sip:a@h>"]);
    assert!(values(&outcome, HeaderName::Path).is_empty());
    assert!(values(&outcome, HeaderName::Supported).is_empty());
    assert!(only(&registrar, at(1)).path.is_empty());
}

#[test]
fn a_path_that_cannot_be_a_route_is_refused() {
    for path in ["sip:p.test;lr", "<tel:+32>", "<sip:p.test", "<>", "<sip:p test>"] {
        let mut registrar = registrar();
        let outcome = send(&mut registrar, at(0), 1, &["Contact: <sip:a@h>", &format!("Path: {path}")]);
        assert_status(&outcome, 400);
        assert_eq!(registrar.count().bindings, 0);
    }
}

#[test]
fn a_folded_path_becomes_one_line() {
    let mut registrar = registrar();
    let outcome = send(&mut registrar, at(0), 1, &["Contact: <sip:a@h>", "Path: <sip:p.test;lr>\r\n ;x=1"]);
    assert_eq!(values(&outcome, HeaderName::Path).len(), 1);
    assert!(!values(&outcome, HeaderName::Path)[0].contains(['\r', '\n']));
}

#[test]
fn a_long_path_is_refused() {
    let mut registrar = registrar();
    let hops = |count: usize| format!("Path: {}", vec!["<sip:p.test;lr>"; count].join(","));
    assert_status(&send(&mut registrar, at(0), 1, &["Contact: <sip:a@h>", &hops(8)]), 200);
    assert_status(&send(&mut registrar, at(0), 2, &["Contact: <sip:a@h>", &hops(9)]), 400);
    let wide = format!("Path: <sip:{}.test;lr>", "p".repeat(1_024));
    assert_status(&send(&mut registrar, at(0), 3, &["Contact: <sip:a@h>", &wide]), 400);
}

#[test]
fn a_path_that_the_phone_does_not_understand_is_refused_where_that_is_wanted() {
    let strict = || Registrar::new(RegistrarConfig { path_must_be_understood: true, ..RegistrarConfig::default() });
    let lines = ["Contact: <sip:a@h>", "Path: <sip:p.test;lr>"];
    let outcome = send(&mut strict(), at(0), 1, &lines);
    assert_eq!((outcome.status, outcome.result), (420, Err(Refusal::PathNotUnderstood)));
    assert_eq!(values(&outcome, HeaderName::Unsupported), ["path"]);
    assert_status(&send(&mut strict(), at(0), 1, &[lines[0], lines[1], "Supported: path"]), 200);
    assert_status(&send(&mut strict(), at(0), 1, &lines[..1]), 200);
}

#[test]
fn the_way_to_us_is_told_in_its_order() {
    let route = ["<sip:edge.test;lr>", "<sip:pbx.test;lr>"];
    let config = RegistrarConfig { service_route: route.map(Into::into).into(), ..RegistrarConfig::default() };
    let mut registrar = Registrar::new(config);
    let outcome = send(&mut registrar, at(0), 1, &["Contact: <sip:a@h>"]);
    assert_eq!(values(&outcome, HeaderName::ServiceRoute), route);
    let refused = send(&mut registrar, at(0), 2, &["Contact: <sip:"]);
    assert!(values(&refused, HeaderName::ServiceRoute).is_empty());
}
