//! Names of users, and what is registered under them.

use std::collections::BTreeMap;

use crate::registrar_phone::*;
use hookswitch_sip::registrar::{RegistrarCounts, aor_of};
use hookswitch_sip_msg::Uri;

#[track_caller]
fn assert_aor(uri: &str, expected: Option<&str>) {
    let uri = Uri::parse(uri).expect("a URI");
    assert_eq!(aor_of(&uri).as_deref(), expected, "{}", uri.as_str());
}

#[test]
fn port_parameters_headers_and_password_do_not_count() {
    assert_aor("sip:alice@example.test", Some("alice@example.test"));
    assert_aor("sip:alice:secret@EXAMPLE.Test:5070;transport=tcp?subject=x", Some("alice@example.test"));
    assert_aor("sips:alice@example.test.", Some("alice@example.test"));
    assert_aor("sip:alice@[2001:DB8:0::1]:5060", Some("alice@[2001:db8::1]"));
    assert_aor("sip:alice@192.0.2.1", Some("alice@192.0.2.1"));
}

#[test]
fn the_case_of_users_counts() {
    assert_aor("sip:Alice@example.test", Some("Alice@example.test"));
}

#[test]
fn needless_escapes_are_resolved() {
    assert_aor("sip:%61lic%65@example.test", Some("alice@example.test"));
    assert_aor("sip:J%C3%bcrgen@example.test", Some("Jürgen@example.test"));
    assert_aor("sip:a%40b@example.test", Some("a@b@example.test"));
    assert_aor("sip:a%20b@example.test", Some("a b@example.test"));
}

#[test]
fn different_users_never_share_a_key() {
    assert_aor("sip:a%2541@example.test", Some("a%2541@example.test"));
    assert_aor("sip:a%00@example.test", Some("a%00@example.test"));
    assert_aor("sip:a%2500@example.test", Some("a%2500@example.test"));
    assert_aor("sip:a%0d%0ab@example.test", Some("a%0D%0Ab@example.test"));
    assert_aor("sip:a%ff%fe@example.test", Some("a%FF%FE@example.test"));
}

#[test]
fn other_uris_have_no_address_of_record() {
    assert_aor("sip:example.test", None);
    assert_aor("tel:+3212345", None);
    assert_aor("mailto:alice@example.test", None);
}

#[test]
fn users_are_listed_by_domain() {
    let mut registrar = registrar();
    for (aor, contacts) in [
        ("alice@one.test", "<sip:a@h>, <sip:b@h>;q=0.1"),
        ("bob@one.test", "<sip:a@h>"),
        ("a@b@two.test", "<sip:a@h>;expires=100"),
    ] {
        registrar.register(at(0), aor, &register("c", 1, &[&format!("Contact: {contacts}")]), udp(1));
    }
    assert_eq!(registrar.count(), RegistrarCounts { bindings: 4, users: 3, timers: 4 });
    let mut domains: Vec<&str> = registrar.domains().collect();
    domains.sort();
    assert_eq!(domains, ["one.test", "two.test"]);
    assert_eq!((registrar.users_in("one.test"), registrar.users_in("three.test")), (2, 0));
    let users: BTreeMap<&str, usize> =
        registrar.users_of(at(0), "one.test").map(|(user, bindings)| (user, bindings.len())).collect();
    assert_eq!(users, BTreeMap::from([("alice", 2), ("bob", 1)]));
    let users: Vec<&str> = registrar.users_of(at(0), "two.test").map(|(user, _)| user).collect();
    assert_eq!(users, ["a@b"]);
    assert_eq!(registrar.users_of(at(100), "two.test").count(), 0);
    registrar.handle_timeout(at(100));
    assert_eq!(registrar.domains().collect::<Vec<_>>(), ["one.test"]);
}
