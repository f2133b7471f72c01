//! Connections that come and go.

use crate::registrar_phone::*;

#[test]
fn a_closed_connection_leaves_the_binding_to_its_contact() {
    let mut registrar = registrar();
    registrar.register(at(0), ALICE, &register("t", 1, &["Contact: <sip:a@h;transport=tcp>"]), tcp(1));
    registrar.register(at(0), ALICE, &register("u", 1, &["Contact: <sip:b@h;transport=tcp>"]), tcp(2));
    registrar.remove_flow(at(1), tcp(1));
    let flows: Vec<_> =
        registrar.bindings(at(0), ALICE).map(|binding| (binding.contact.as_ref(), binding.flow)).collect();
    assert_eq!(flows, [("sip:b@h;transport=tcp", Some(tcp(2))), ("sip:a@h;transport=tcp", None)]);
    assert_eq!(registrar.count().timers, 2);
}

#[test]
fn the_next_register_brings_a_new_flow() {
    let mut registrar = registrar();
    registrar.register(at(0), ALICE, &register("t", 1, &["Contact: <sip:a@h>"]), tcp(1));
    registrar.remove_flow(at(1), tcp(1));
    registrar.register(at(1), ALICE, &register("t", 2, &["Contact: <sip:a@h>"]), tcp(2));
    assert_eq!(only(&registrar, at(1)).flow, Some(tcp(2)));
    registrar.remove_flow(at(1), tcp(1));
    assert_eq!(only(&registrar, at(1)).flow, Some(tcp(2)), "the end of the old connection comes late");
    registrar.remove_flow(at(1), tcp(2));
    registrar.remove_flow(at(1), tcp(2));
    assert_eq!(only(&registrar, at(1)).flow, None);
}

#[test]
fn many_phones_behind_one_connection_lose_it_together() {
    let mut registrar = registrar();
    for user in 0..1_000 {
        let aor = format!("user{user}@example.test");
        registrar.register(at(0), &aor, &register("c", 1, &["Contact: <sip:a@h>"]), tcp(user % 2));
    }
    registrar.remove_flow(at(1), tcp(1));
    for user in 0..1_000 {
        let aor = format!("user{user}@example.test");
        let binding = registrar.bindings(at(0), &aor).next().expect("a binding");
        assert_eq!(binding.flow.is_some(), user % 2 == 0);
    }
}

#[test]
fn datagram_flows_do_not_close() {
    let mut registrar = registrar();
    send(&mut registrar, at(0), 1, &["Contact: <sip:a@h>"]);
    registrar.remove_flow(at(1), udp(5060));
    assert_eq!(only(&registrar, at(0)).flow, Some(udp(5060)));
}
