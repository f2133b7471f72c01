//! Making, refreshing, listing and removing bindings.

use crate::registrar_phone::*;
use hookswitch_sip::Time;
use hookswitch_sip::registrar::{Registered, Registrar, RegistrarConfig};
use hookswitch_sip_msg::HeaderName;

#[test]
fn a_binding_is_made_listed_and_found() {
    let mut registrar = registrar();
    let outcome =
        send(&mut registrar, at(0), 1, &["Contact: <sip:alice@198.51.100.7:5060>", "User-Agent: Testphone 1.0"]);
    assert_status(&outcome, 200);
    assert_eq!(outcome.reason, "OK");
    assert_eq!(contacts(&outcome), ["<sip:alice@198.51.100.7:5060>;expires=3600"]);
    assert_eq!(outcome.result, Ok(Registered { added: 1, refreshed: 0, removed: 0, total: 1 }));

    let binding = only(&registrar, at(0));
    assert_eq!(&*binding.aor, ALICE);
    assert_eq!(&*binding.contact, "sip:alice@198.51.100.7:5060");
    assert_eq!(binding.flow, Some(udp(5060)));
    assert_eq!(binding.user_agent.as_deref(), Some("Testphone 1.0"));
    assert_eq!((binding.q, binding.instance, binding.reg_id), (1000, None, None));
    assert_eq!((&*binding.call_id, binding.cseq), ("phone-1", 1));
    assert!(registrar.is_registered(at(0), ALICE));
    assert!(!registrar.is_registered(at(0), "bob@example.test"));
}

#[test]
fn a_refresh_gives_more_time_and_keeps_the_rest() {
    let mut registrar = registrar();
    let contact = "Contact: <sip:alice@198.51.100.7>;expires=100";
    send(&mut registrar, at(0), 1, &[contact]);
    let first = only(&registrar, at(0));
    let outcome = send(&mut registrar, at(60), 2, &[contact]);
    assert_eq!(contacts(&outcome), ["<sip:alice@198.51.100.7>;expires=100"]);
    assert_eq!(outcome.result, Ok(Registered { added: 0, refreshed: 1, removed: 0, total: 1 }));
    let second = only(&registrar, at(120));
    assert_eq!((second.id, second.registered_at, second.refreshed_at), (first.id, at(0), at(60)));
    assert_eq!((second.expires_at, second.cseq), (at(160), 2));
}

#[test]
fn the_answer_counts_down() {
    let mut registrar = registrar();
    send(&mut registrar, at(0), 1, &["Contact: <sip:alice@198.51.100.7>;expires=100"]);
    assert_eq!(contacts(&send(&mut registrar, at(99), 2, &[])), ["<sip:alice@198.51.100.7>;expires=1"]);
    let almost_over = at(99) + Time::from_millis(999);
    assert_eq!(contacts(&send(&mut registrar, almost_over, 3, &[])), ["<sip:alice@198.51.100.7>;expires=1"]);
    assert!(contacts(&send(&mut registrar, at(100), 4, &[])).is_empty());
}

#[test]
fn a_fetch_changes_nothing() {
    let mut registrar = registrar();
    send(&mut registrar, at(0), 1, &["Contact: <sip:alice@198.51.100.7>"]);
    changes(&mut registrar);
    // Even with an old CSeq: there is nothing to undo.
    let outcome = send(&mut registrar, at(10), 1, &["Expires: 7"]);
    assert_status(&outcome, 200);
    assert_eq!(contacts(&outcome), ["<sip:alice@198.51.100.7>;expires=3590"]);
    assert!(changes(&mut registrar).is_empty());
}

#[test]
fn the_contact_parameter_outranks_the_header_and_the_header_the_default() {
    for (lines, granted) in [
        (&["Contact: <sip:a@h>;expires=100", "Expires: 200"][..], 100),
        (&["Contact: <sip:a@h>", "Expires: 200"], 200),
        (&["Contact: sip:a@h;expires=100"], 100),
        (&["Contact: <sip:a@h>"], 3_600),
        (&["Contact: <sip:a@h>;expires=soon", "Expires: 200"], 3_600),
        (&["Contact: <sip:a@h>", "Expires: soon"], 3_600),
        (&["Contact: <sip:a@h>", "Expires: 99999999999999999999"], 7_200),
        (&["Contact: <sip:a@h>;expires=7201"], 7_200),
    ] {
        let mut registrar = registrar();
        let outcome = send(&mut registrar, at(0), 1, lines);
        assert_eq!(contacts(&outcome), [format!("<sip:a@h>;expires={granted}")], "{lines:?}");
    }
}

#[test]
fn too_brief_an_interval_is_answered_with_the_minimum() {
    let mut registrar = registrar();
    for lines in [&["Contact: <sip:a@h>", "Expires: 59"][..], &["Contact: <sip:b@h>", "Contact: <sip:a@h>;expires=1"]] {
        let outcome = send(&mut registrar, at(0), 1, lines);
        assert_status(&outcome, 423);
        assert_eq!(outcome.reason, "Interval Too Brief");
        assert_eq!(values(&outcome, HeaderName::MinExpires), ["60"]);
    }
    assert_eq!(registrar.count().bindings, 0);
    assert_status(&send(&mut registrar, at(0), 1, &["Contact: <sip:a@h>", "Expires: 60"]), 200);
}

#[test]
fn an_hour_is_never_too_brief() {
    let config = RegistrarConfig {
        min_expires: Time::from_secs(7_200),
        max_expires: Time::from_secs(7_200),
        ..RegistrarConfig::default()
    };
    let mut registrar = Registrar::new(config);
    assert_status(&send(&mut registrar, at(0), 1, &["Contact: <sip:a@h>;expires=3599"]), 423);
    assert_status(&send(&mut registrar, at(0), 1, &["Contact: <sip:a@h>;expires=3600"]), 200);
}

#[test]
fn two_phones_of_one_user_live_side_by_side() {
    let mut registrar = registrar();
    let desk = register("desk", 1, &["Contact: <sip:alice@198.51.100.7>"]);
    let mobile = register("mobile", 1, &["Contact: <sip:alice@203.0.113.9>"]);
    registrar.register(at(0), ALICE, &desk, udp(1));
    let outcome = registrar.register(at(1), ALICE, &mobile, udp(2));
    assert_eq!(contacts(&outcome), ["<sip:alice@203.0.113.9>;expires=3600", "<sip:alice@198.51.100.7>;expires=3599"]);
    let gone = register("desk", 2, &["Contact: <sip:alice@198.51.100.7>", "Expires: 0"]);
    registrar.register(at(2), ALICE, &gone, udp(1));
    assert_eq!(reach(&registrar, at(2)), ["sip:alice@203.0.113.9"]);
}

#[test]
fn the_preferred_phone_comes_first() {
    let mut registrar = registrar();
    let lines = [
        "Contact: <sip:last@h>;q=0, <sip:half@h>;q=0.5, <sip:none@h>",
        "Contact: <sip:most@h>;q=0.999, <sip:bad@h>;q=seven",
    ];
    let outcome = send(&mut registrar, at(0), 1, &lines);
    let order = reach(&registrar, at(0));
    assert_eq!(order, ["sip:bad@h", "sip:none@h", "sip:most@h", "sip:half@h", "sip:last@h"]);
    let listed = contacts(&outcome);
    assert_eq!(listed[2], "<sip:most@h>;expires=3600;q=0.999");
    assert_eq!(listed[3], "<sip:half@h>;expires=3600;q=0.5");
    assert_eq!(listed[4], "<sip:last@h>;expires=3600;q=0");
}

#[test]
fn of_equally_preferred_phones_the_latest_comes_first() {
    let mut registrar = registrar();
    send(&mut registrar, at(0), 1, &["Contact: <sip:one@h>"]);
    send(&mut registrar, at(1), 2, &["Contact: <sip:two@h>"]);
    assert_eq!(reach(&registrar, at(1)), ["sip:two@h", "sip:one@h"]);
    send(&mut registrar, at(2), 3, &["Contact: <sip:one@h>"]);
    assert_eq!(reach(&registrar, at(2)), ["sip:one@h", "sip:two@h"]);
}

#[test]
fn a_contact_written_differently_is_the_same_binding() {
    let mut registrar = registrar();
    send(&mut registrar, at(0), 1, &["Contact: <sip:%61lice@PHONE.example.test;Transport=UDP;ob>"]);
    let outcome = send(&mut registrar, at(1), 2, &["Contact: <sip:alice@phone.EXAMPLE.test;transport=udp>"]);
    assert_eq!(contacts(&outcome), ["<sip:alice@phone.EXAMPLE.test;transport=udp>;expires=3600"]);
    let outcome = send(&mut registrar, at(2), 3, &["Contact: <sip:alice@phone.example.test:5060;transport=udp>"]);
    assert_eq!(contacts(&outcome).len(), 2, "a port that is written differs from one that is not");
}

#[test]
fn a_contact_that_equals_two_bindings_replaces_both() {
    let mut registrar = registrar();
    send(&mut registrar, at(0), 1, &["Contact: <sip:a@h;line=1>, <sip:a@h;line=2>"]);
    let outcome = send(&mut registrar, at(1), 2, &["Contact: <sip:a@h>"]);
    assert_eq!(contacts(&outcome), ["<sip:a@h>;expires=3600"]);
    assert_eq!(registrar.count().bindings, 1);
}

#[test]
fn the_last_word_about_a_contact_counts() {
    let mut registrar = registrar();
    let outcome = send(&mut registrar, at(0), 1, &["Contact: <sip:a@h>;expires=100, <sip:a@h>;expires=200"]);
    assert_eq!(contacts(&outcome), ["<sip:a@h>;expires=200"]);
    let outcome = send(&mut registrar, at(0), 2, &["Contact: <sip:a@h>;expires=100, <sip:a@h>;expires=0"]);
    assert!(contacts(&outcome).is_empty());
}

#[test]
fn one_request_may_replace_a_contact_by_another() {
    // What phones do that have learnt their public address from the first answer.
    let config = RegistrarConfig { max_bindings_per_aor: 1, max_bindings: 1, ..RegistrarConfig::default() };
    let mut registrar = Registrar::new(config);
    send(&mut registrar, at(0), 1, &["Contact: <sip:a@10.0.0.5>"]);
    let outcome = send(&mut registrar, at(1), 2, &["Contact: <sip:a@10.0.0.5>;expires=0, <sip:a@198.51.100.7:1024>"]);
    assert_status(&outcome, 200);
    assert_eq!(contacts(&outcome), ["<sip:a@198.51.100.7:1024>;expires=3600"]);
    assert_eq!(outcome.result, Ok(Registered { added: 1, refreshed: 0, removed: 1, total: 1 }));
}

#[test]
fn removing_what_is_not_there_is_no_error() {
    let mut registrar = registrar();
    let outcome = send(&mut registrar, at(0), 1, &["Contact: <sip:a@h>;expires=0"]);
    assert_eq!(outcome.result, Ok(Registered { added: 0, refreshed: 0, removed: 0, total: 0 }));
    assert!(changes(&mut registrar).is_empty());
}

#[test]
fn a_phone_with_an_instance_keeps_its_binding_when_its_address_changes() {
    let mut registrar = registrar();
    let instance = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\";reg-id=1";
    send(&mut registrar, at(0), 1, &[&format!("Contact: <sip:a@10.0.0.5>;{instance}")]);
    let first = only(&registrar, at(0));
    let moved = register("after-reboot", 1, &[&format!("Contact: <sip:a@10.0.0.6>;{instance}")]);
    let outcome = registrar.register(at(1), ALICE, &moved, udp(2));
    assert_eq!(contacts(&outcome), [format!("<sip:a@10.0.0.6>;expires=3600;{instance}")]);
    let second = only(&registrar, at(1));
    assert_eq!((second.id, second.reg_id), (first.id, Some(1)));
    assert_eq!(second.instance.as_deref(), Some("<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"));
}

#[test]
fn two_flows_of_one_instance_are_two_bindings() {
    let mut registrar = registrar();
    let contact = |reg_id: u32| format!("Contact: <sip:a@10.0.0.5>;+sip.instance=\"<urn:uuid:1>\";reg-id={reg_id}");
    registrar.register(at(0), ALICE, &register("flow-1", 1, &[&contact(1)]), udp(1));
    registrar.register(at(0), ALICE, &register("flow-2", 1, &[&contact(2)]), udp(2));
    assert_eq!(registrar.count().bindings, 2);
}

#[test]
fn a_reg_id_without_instance_is_ignored() {
    let mut registrar = registrar();
    send(&mut registrar, at(0), 1, &["Contact: <sip:a@10.0.0.5>;reg-id=1"]);
    assert_eq!(only(&registrar, at(0)).reg_id, None);
}

#[test]
fn the_answer_has_a_date_for_phones_without_a_clock() {
    let outcome = send(&mut registrar(), Time::from_secs(1_795_253_400), 1, &[]);
    assert_eq!(values(&outcome, HeaderName::Date), ["Sat, 21 Nov 2026 09:30:00 GMT"]);
}

#[test]
fn a_refused_request_changes_nothing_at_all() {
    let mut registrar = registrar();
    send(&mut registrar, at(0), 1, &["Contact: <sip:a@h>"]);
    changes(&mut registrar);
    let before = only(&registrar, at(1));
    for bad in [
        "<sip:new@h>, <sip:b@h>;expires=1",
        "<sip:a@h>;expires=0, <mailto:a@h>",
        "<sip:a@h>;expires=0, <sip:a@h",
        "<sip:a@h>;expires=0, *",
        "<sip:a@h>;expires=0, <sip:a b@h>",
        "<sip:a@h>;expires=0, <sip:b@h>;+sip.instance=\"a\\\"b\"",
    ] {
        let outcome = send(&mut registrar, at(1), 2, &[&format!("Contact: {bad}")]);
        assert!(outcome.result.is_err(), "{bad}");
        assert_eq!(only(&registrar, at(1)), before, "{bad}");
    }
    assert!(changes(&mut registrar).is_empty());
}
