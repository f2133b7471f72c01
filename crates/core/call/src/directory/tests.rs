//! The layers of the directory.

use super::*;
use crate::words::{Address, Forwards};

fn layer(users: &[&str]) -> Layer {
    Layer {
        control: Some("http://127.0.0.1:9001".into()),
        users: users.iter().map(|u| (CompactString::from(*u), Secret::new("pw"))).collect(),
        forwards: BTreeMap::new(),
        limits: BTreeMap::new(),
        record: BTreeMap::new(),
    }
}

#[test]
fn put_replaces_and_patch_merges() {
    let mut dir = Directory::new();
    dir.put("Example.Test", layer(&["1000", "1001"])).unwrap();
    dir.put("example.test", layer(&["1002"])).unwrap();
    assert_eq!(dir.users("example.test").unwrap(), ["1002"]);
    dir.patch("example.test", layer(&["1003"]), UnnamedControl::Stays).unwrap();
    assert_eq!(dir.users("example.test").unwrap(), ["1002", "1003"]);
    let elsewhere = dir.patch("other.test", layer(&[]), UnnamedControl::Stays);
    assert_eq!(elsewhere, Err(DirectoryError::NoSuchDomain("other.test".into())));
}

#[test]
fn a_patch_names_a_controller_or_leaves_it_or_takes_it_away() {
    let mut dir = Directory::new();
    let named = |control: Option<&str>| Layer { control: control.map(Into::into), ..Layer::default() };
    dir.put("a.test", layer(&["1"])).unwrap();
    for (control, unnamed, expected) in [
        (None, UnnamedControl::Stays, Some("http://127.0.0.1:9001")),
        (Some("http://b"), UnnamedControl::Stays, Some("http://b")),
        (None, UnnamedControl::Goes, None),
        (None, UnnamedControl::Stays, None),
        (Some("http://c"), UnnamedControl::Goes, Some("http://c")),
    ] {
        dir.patch("a.test", named(control), unnamed).unwrap();
        assert_eq!(dir.control("a.test"), expected, "{control:?} {unnamed:?}");
        assert_eq!(dir.users("a.test").unwrap(), ["1"]);
    }
}

#[test]
fn the_tree_lists_users_labels_and_never_secrets() {
    let mut dir = Directory::new();
    dir.put("bling.babble.test", layer(&["1003"])).unwrap();
    dir.put("babble.test", layer(&[])).unwrap();
    let root = dir.describe("").unwrap();
    assert_eq!(root.domains, ["test"]);
    assert_eq!(dir.describe("test").unwrap().domains, ["babble"]);
    let babble = dir.describe("babble.test").unwrap();
    assert_eq!(babble.domains, ["bling"]);
    assert_eq!(dir.describe("bling.babble.test").unwrap().users, ["1003"]);
    assert_eq!(dir.describe("ling.babble.test"), None);
    assert!(!format!("{dir:?}").contains("\"pw\""));
}

#[test]
fn configured_entries_stay_and_pushed_ones_hide_them() {
    let mut dir = Directory::new();
    dir.configure("a.test", layer(&["alice"])).unwrap();
    assert_eq!(dir.remove("a.test"), Err(DirectoryError::Configured("a.test".into())));
    let mut pushed = layer(&[]);
    pushed.users.insert("alice".into(), Secret::new("new"));
    dir.put("a.test", pushed).unwrap();
    assert_eq!(dir.secret("a.test", "alice").unwrap().reveal(), "new");
    dir.remove("a.test").unwrap();
    assert_eq!(dir.secret("a.test", "alice").unwrap().reveal(), "pw");
}

#[test]
fn numbers_and_localhost_mean_the_default_domain() {
    let mut dir = Directory::new();
    dir.configure("a.test", layer(&[])).unwrap();
    dir.alias("pbx.local", "a.test").unwrap();
    for host in ["A.test", "localhost", "127.0.0.1:5060", "[::1]", "PBX.local"] {
        assert_eq!(dir.resolve(host), Some("a.test"), "{host}");
    }
    assert_eq!(dir.resolve("b.test"), None);
}

#[test]
fn names_and_numbers_have_limits() {
    let mut dir = Directory::new();
    assert!(dir.put("a b", layer(&[])).is_err());
    assert!(dir.put("", layer(&[])).is_err());
    assert!(dir.put("a.test", layer(&["bad\r\nname"])).is_err());
    let many = Layer {
        control: None,
        users: (0..=MAX_USERS).map(|n| (compact_str::format_compact!("{n}"), Secret::new(""))).collect(),
        ..Layer::default()
    };
    assert_eq!(dir.put("a.test", many), Err(DirectoryError::TooManyUsers));
    assert_eq!(dir.poll_change(), None);
    for n in 0..MAX_DOMAINS {
        dir.put(&format!("d{n}.test"), Layer::default()).unwrap();
    }
    assert_eq!(dir.put("one.more", Layer::default()), Err(DirectoryError::TooManyDomains));
}

#[test]
fn changes_are_told_and_restore_is_silent() {
    let mut dir = Directory::new();
    dir.restore("a.test", layer(&["1"])).unwrap();
    assert_eq!(dir.poll_change(), None);
    dir.remove_user("a.test", "1").unwrap();
    let Some(DirectoryChange::Put(domain, left)) = dir.poll_change() else { panic!("no change told") };
    assert_eq!((domain.as_str(), left.users.len()), ("a.test", 0));
    dir.remove("a.test").unwrap();
    assert_eq!(dir.poll_change(), Some(DirectoryChange::Removed("a.test".into())));
}

fn busy_to(address: &str) -> Forwarding {
    let otherwise = Forwards { busy: Some(Address::from(address)), ..Forwards::default() };
    Forwarding { otherwise, ..Forwarding::default() }
}

#[test]
fn forwards_come_and_go_with_their_user() {
    let mut dir = Directory::new();
    let mut configured = layer(&["alice", "bob"]);
    configured.forwards.insert("alice".into(), busy_to("sip:1@a.test"));
    dir.configure("a.test", configured).unwrap();
    assert_eq!(dir.forwards("a.test", "alice"), Some(&busy_to("sip:1@a.test")));
    assert_eq!(dir.forwards("a.test", "bob"), None);
    let mut pushed = layer(&["bob"]);
    pushed.forwards.insert("bob".into(), busy_to("tel:+4930"));
    dir.put("a.test", pushed).unwrap();
    assert_eq!(dir.forwards("a.test", "bob"), Some(&busy_to("tel:+4930")));
    assert_eq!(dir.forwards("a.test", "alice"), Some(&busy_to("sip:1@a.test")));
    // Whoever is pushed without forwards has none, whatever was pushed or configured before.
    dir.patch("a.test", layer(&["alice", "bob"]), UnnamedControl::Stays).unwrap();
    assert_eq!((dir.forwards("a.test", "alice"), dir.forwards("a.test", "bob")), (None, None));
    dir.remove_user("a.test", "alice").unwrap();
    assert!(dir.forwards("a.test", "alice").is_some());
}

#[test]
fn forwards_are_stored_and_old_layers_without_them_can_be_read() {
    let mut with = layer(&["bob"]);
    with.forwards.insert("bob".into(), busy_to("sip:1@a.test"));
    let stored = serde_json::to_string(&with).unwrap();
    assert_eq!(serde_json::from_str::<Layer>(&stored).unwrap(), with);
    let old: Layer = serde_json::from_str(r#"{"users":{"bob":"pw"}}"#).unwrap();
    assert!(old.forwards.is_empty());
}

#[test]
fn a_forward_that_cannot_be_used_or_belongs_to_nobody_changes_nothing() {
    let mut dir = Directory::new();
    for (user, expected) in [
        ("bob", DirectoryError::BadForward { user: "bob".into(), member: "busy", why: "" }),
        ("carol", DirectoryError::BadName("carol".into())),
    ] {
        let mut with = layer(&["bob"]);
        with.forwards.insert(user.into(), busy_to(if user == "bob" { "1002" } else { "sip:a@c" }));
        let error = dir.put("a.test", with).unwrap_err();
        assert_eq!(std::mem::discriminant(&error), std::mem::discriminant(&expected), "{error}");
    }
    assert_eq!(dir.poll_change(), None);
}
