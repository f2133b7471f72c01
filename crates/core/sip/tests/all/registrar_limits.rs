//! Every limit, reached.

use crate::registrar_phone::*;
use hookswitch_sip::registrar::{
    MAX_CALL_ID_BYTES, MAX_CONTACT_BYTES, MAX_CONTACTS_PER_REQUEST, MAX_INSTANCE_BYTES, MAX_USER_AGENT_BYTES, Refusal,
    Registrar, RegistrarConfig,
};
use hookswitch_sip_msg::HeaderName;

#[test]
fn a_user_may_have_so_many_bindings_and_no_more() {
    let mut registrar = Registrar::new(RegistrarConfig { max_bindings_per_aor: 2, ..RegistrarConfig::default() });
    send(&mut registrar, at(0), 1, &["Contact: <sip:a@h>, <sip:b@h>;expires=60"]);
    let outcome = send(&mut registrar, at(1), 2, &["Contact: <sip:c@h>"]);
    assert_eq!((outcome.status, outcome.result), (403, Err(Refusal::TooManyBindings)));
    assert_status(&send(&mut registrar, at(1), 3, &["Contact: <sip:a@h>"]), 200);
    assert_status(&send(&mut registrar, at(60), 4, &["Contact: <sip:c@h>"]), 200);
}

#[test]
fn a_user_may_have_a_limit_of_its_own() {
    let mut registrar = Registrar::new(RegistrarConfig { max_bindings_per_aor: 2, ..RegistrarConfig::default() });
    let three = register("c", 1, &["Contact: <sip:a@h>, <sip:b@h>, <sip:c@h>"]);
    let outcome = registrar.register_within(at(0), ALICE, &three, udp(1), 3);
    assert_status(&outcome, 200);
    let more = register("c", 2, &["Contact: <sip:d@h>"]);
    let outcome = registrar.register_within(at(0), ALICE, &more, udp(1), 3);
    assert_eq!((outcome.status, outcome.result), (403, Err(Refusal::TooManyBindings)));
    let bindings: Vec<_> = registrar.bindings(at(0), ALICE).cloned().collect();
    let mut second = Registrar::new(RegistrarConfig { max_bindings_per_aor: 2, ..RegistrarConfig::default() });
    let kept: Vec<bool> = bindings.into_iter().map(|binding| second.restore_within(binding, 3)).collect();
    assert_eq!(kept, [true, true, true], "and keeps them over a restart");
    let none = register("d", 1, &["Contact: <sip:a@h>"]);
    assert_status(&Registrar::new(RegistrarConfig::default()).register_within(at(0), ALICE, &none, udp(1), 0), 403);
}

#[test]
fn a_full_registrar_says_when_to_come_back() {
    let mut registrar = Registrar::new(RegistrarConfig { max_bindings: 2, ..RegistrarConfig::default() });
    send(&mut registrar, at(0), 1, &["Contact: <sip:a@h>, <sip:b@h>"]);
    let bob = register("bob", 1, &["Contact: <sip:bob@h>"]);
    let outcome = registrar.register(at(1), "bob@example.test", &bob, udp(2));
    assert_eq!((outcome.status, outcome.result), (503, Err(Refusal::Full)));
    assert_eq!(values(&outcome, HeaderName::RetryAfter), ["60"]);
    assert_status(&send(&mut registrar, at(1), 2, &["Contact: <sip:a@h>"]), 200);
}

#[test]
fn a_request_may_have_so_many_contacts() {
    let mut registrar = Registrar::new(RegistrarConfig { max_bindings_per_aor: 100, ..RegistrarConfig::default() });
    let line = |count: usize| {
        let contacts: Vec<String> = (0..count).map(|number| format!("<sip:{number}@h>")).collect();
        format!("Contact: {}", contacts.join(", "))
    };
    assert_status(&send(&mut registrar, at(0), 1, &[&line(MAX_CONTACTS_PER_REQUEST)]), 200);
    let outcome = send(&mut registrar, at(0), 2, &[&line(MAX_CONTACTS_PER_REQUEST + 1)]);
    assert_eq!((outcome.status, outcome.result), (400, Err(Refusal::TooManyContacts)));
}

#[test]
fn long_values_are_refused() {
    let mut registrar = registrar();
    let contact = |length: usize| format!("Contact: <sip:{}@h>", "a".repeat(length - "sip:@h".len()));
    assert_status(&send(&mut registrar, at(0), 1, &[&contact(MAX_CONTACT_BYTES)]), 200);
    let outcome = send(&mut registrar, at(0), 2, &[&contact(MAX_CONTACT_BYTES + 1)]);
    assert_eq!((outcome.status, outcome.result), (400, Err(Refusal::TooLong("Contact"))));

    let instance = |length: usize| format!("Contact: <sip:a@h>;+sip.instance=\"{}\"", "i".repeat(length));
    assert_status(&send(&mut registrar, at(0), 3, &[&instance(MAX_INSTANCE_BYTES)]), 200);
    let outcome = send(&mut registrar, at(0), 4, &[&instance(MAX_INSTANCE_BYTES + 1)]);
    assert_eq!(outcome.result, Err(Refusal::TooLong("+sip.instance")));

    let long_id = "c".repeat(MAX_CALL_ID_BYTES + 1);
    let outcome = registrar.register(at(0), ALICE, &register(&long_id, 1, &["Contact: <sip:b@h>"]), udp(1));
    assert_eq!(outcome.result, Err(Refusal::TooLong("Call-ID")));
}

#[test]
fn a_long_user_agent_is_cut_between_letters() {
    let mut registrar = registrar();
    let line = format!("User-Agent: x{}", "é".repeat(200));
    send(&mut registrar, at(0), 1, &["Contact: <sip:a@h>", &line]);
    let user_agent = only(&registrar, at(0)).user_agent.expect("a user agent");
    assert_eq!(user_agent.len(), MAX_USER_AGENT_BYTES - 1);
    assert!(user_agent.ends_with('é'));
}

#[test]
fn contacts_that_are_no_sip_uris_are_refused() {
    for contact in ["<mailto:a@h>", "<tel:+3212>", "<http://h>"] {
        let outcome = send(&mut registrar(), at(0), 1, &[&format!("Contact: {contact}")]);
        assert_eq!((outcome.status, outcome.result), (400, Err(Refusal::ContactScheme)), "{contact}");
    }
}

#[test]
fn what_cannot_be_read_is_a_bad_request() {
    for contact in ["<sip:a@h", "<>", "<sip:>", "nonsense", "<sip:a@h>;+sip.instance=\"\\\"\""] {
        let outcome = send(&mut registrar(), at(0), 1, &[&format!("Contact: {contact}")]);
        assert_status(&outcome, 400);
    }
}
