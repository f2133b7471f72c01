//! Everything has a limit, and reaching it is said.

use hookswitch_call::directory::{MAX_DOMAINS, MAX_USERS};
use hookswitch_dialect::mediaswitch::{MAX_BODY, MAX_PATH};

use crate::host::{Host, refusal};

const EMPTY: &str = r#"{"control":"","users":[]}"#;

#[test]
fn long_bodies_and_paths() {
    let mut host = Host::new();
    let padded = |length: usize| format!("{EMPTY}{}", " ".repeat(length - EMPTY.len()));
    assert_eq!(host.ask("PUT", "/dir/a.test", &padded(MAX_BODY)).status, 201);
    let (status, _, place) = refusal(&host.ask("PUT", "/dir/a.test", &padded(MAX_BODY + 1)));
    assert_eq!((status, place.as_str()), (413, "body"));
    let path = |length: usize| format!("/dir/{}", "x".repeat(length - "/dir/".len()));
    assert_eq!(host.get(&path(MAX_PATH)).0, 404);
    assert_eq!(host.get(&path(MAX_PATH + 1)).0, 414);
}

#[test]
fn many_users() {
    let users = |count: usize| {
        let users: Vec<_> = (0..count).map(|user| format!(r#"{{"username":"{user}","secret":""}}"#)).collect();
        format!(r#"{{"control":"","users":[{}]}}"#, users.join(","))
    };
    let mut host = Host::new();
    assert_eq!(host.ask("PUT", "/dir/a.test", &users(MAX_USERS)).status, 201);
    let one_more = host.ask("PUT", "/dir/a.test/one-more", r#"{"secret":""}"#);
    assert_eq!((refusal(&one_more).0, refusal(&one_more).2.as_str()), (413, "users"));
    assert_eq!(refusal(&host.ask("PUT", "/dir/b.test", &users(MAX_USERS + 1))).0, 413);
}

#[test]
fn many_domains() {
    let mut host = Host::new();
    for domain in 0..MAX_DOMAINS {
        assert_eq!(host.ask("PUT", &format!("/dir/d{domain}.test"), EMPTY).status, 201);
    }
    assert_eq!(refusal(&host.ask("PUT", "/dir/one.more", EMPTY)).0, 507);
    assert_eq!(host.ask("PUT", "/dir/d1.test", EMPTY).status, 201);
}
