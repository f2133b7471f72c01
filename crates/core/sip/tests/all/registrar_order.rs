//! Requests that overtake each other (RFC 3261 section 10.3, steps 6 and 7).

use crate::registrar_phone::*;
use hookswitch_sip::registrar::Refusal;

#[test]
fn an_overtaken_removal_does_not_undo_the_newer_registration() {
    let mut registrar = registrar();
    send(&mut registrar, at(0), 3, &["Contact: <sip:a@h>"]);
    let outcome = send(&mut registrar, at(1), 2, &["Contact: <sip:a@h>;expires=0"]);
    assert_eq!((outcome.status, outcome.result), (500, Err(Refusal::OutOfOrder)));
    assert_eq!(reach(&registrar, at(1)), ["sip:a@h"]);
}

#[test]
fn the_same_request_twice_is_refused() {
    let mut registrar = registrar();
    send(&mut registrar, at(0), 3, &["Contact: <sip:a@h>"]);
    assert_status(&send(&mut registrar, at(40), 3, &["Contact: <sip:a@h>"]), 500);
    assert_status(&send(&mut registrar, at(40), 4, &["Contact: <sip:a@h>"]), 200);
}

#[test]
fn another_call_id_starts_anew() {
    let mut registrar = registrar();
    send(&mut registrar, at(0), 300, &["Contact: <sip:a@h>"]);
    let rebooted = register("phone-1-rebooted", 1, &["Contact: <sip:a@h>"]);
    assert_status(&registrar.register(at(1), ALICE, &rebooted, udp(1)), 200);
    assert_eq!(only(&registrar, at(1)).cseq, 1);
}

#[test]
fn one_overtaken_contact_spoils_the_whole_request() {
    let mut registrar = registrar();
    send(&mut registrar, at(0), 3, &["Contact: <sip:a@h>"]);
    let outcome = send(&mut registrar, at(1), 2, &["Contact: <sip:b@h>, <sip:a@h>"]);
    assert_status(&outcome, 500);
    assert_eq!(reach(&registrar, at(1)), ["sip:a@h"]);
}

#[test]
fn order_matters_per_binding_only() {
    let mut registrar = registrar();
    send(&mut registrar, at(0), 3, &["Contact: <sip:a@h>"]);
    assert_status(&send(&mut registrar, at(1), 2, &["Contact: <sip:b@h>"]), 200);
    assert_eq!(registrar.count().bindings, 2);
}
