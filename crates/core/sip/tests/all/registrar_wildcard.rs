//! `Contact: *`.

use crate::registrar_phone::*;
use hookswitch_sip::registrar::{Change, Refusal, RemovedWhy};

#[test]
fn the_wildcard_removes_all_bindings_of_the_user() {
    let mut registrar = registrar();
    send(&mut registrar, at(0), 1, &["Contact: <sip:a@h>, <sip:b@h>"]);
    let bob = "bob@example.test";
    registrar.register(at(0), bob, &register("bob", 1, &["Contact: <sip:bob@h>"]), udp(9));
    changes(&mut registrar);
    let outcome = send(&mut registrar, at(1), 2, &["Contact: *", "Expires: 0"]);
    assert_status(&outcome, 200);
    assert!(contacts(&outcome).is_empty());
    assert!(!registrar.is_registered(at(1), ALICE));
    assert!(registrar.is_registered(at(1), bob));
    let removed = changes(&mut registrar);
    assert_eq!(removed.len(), 2);
    assert!(removed.iter().all(|change| matches!(change, Change::Removed { why: RemovedWhy::Unregistered, .. })));
}

#[test]
fn the_wildcard_needs_an_expires_header_of_zero_and_no_company() {
    let mut registrar = registrar();
    send(&mut registrar, at(0), 1, &["Contact: <sip:a@h>"]);
    for lines in [
        &["Contact: *"][..],
        &["Contact: *", "Expires: 60"],
        &["Contact: *", "Expires: now"],
        &["Contact: *, <sip:b@h>", "Expires: 0"],
        &["Contact: <sip:b@h>;expires=0", "Contact: *", "Expires: 0"],
        &["Contact: *", "Contact: *", "Expires: 0"],
    ] {
        let outcome = send(&mut registrar, at(1), 2, lines);
        assert_eq!(outcome.result, Err(Refusal::Wildcard), "{lines:?}");
        assert_eq!(outcome.status, 400);
    }
    assert_eq!(reach(&registrar, at(1)), ["sip:a@h"]);
}

#[test]
fn the_wildcard_with_parameters_is_no_wildcard() {
    let mut registrar = registrar();
    let outcome = send(&mut registrar, at(0), 1, &["Contact: *;expires=0", "Expires: 0"]);
    assert_status(&outcome, 400);
}

#[test]
fn an_overtaken_wildcard_removes_nothing() {
    let mut registrar = registrar();
    registrar.register(at(0), ALICE, &register("desk", 1, &["Contact: <sip:desk@h>"]), udp(1));
    send(&mut registrar, at(0), 5, &["Contact: <sip:a@h>"]);
    let outcome = send(&mut registrar, at(1), 4, &["Contact: *", "Expires: 0"]);
    assert_eq!(outcome.result, Err(Refusal::OutOfOrder));
    assert_eq!(registrar.count().bindings, 2);
}

#[test]
fn a_wildcard_without_bindings_is_fine() {
    assert_status(&send(&mut registrar(), at(0), 1, &["Contact: *", "Expires: 0"]), 200);
}
