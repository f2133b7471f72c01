//! Who is registered.

use std::time::Duration;

use hookswitch_dialect::mediaswitch::Registration;

use crate::host::{Host, refusal};

fn host() -> Host {
    let mut host = Host::new();
    let body = r#"{"control":"","users":[
        {"username":"1000","secret":"secret-1"},{"username":"1001","secret":"secret-2"},{"username":"1003","secret":"secret-3"}]}"#;
    host.ask("PUT", "/dir/bling.example.test", body);
    host.phones.0.insert(
        ("bling.example.test".to_owned(), "1003".to_owned()),
        Registration {
            host: "127.0.0.1".into(),
            port: 42_068,
            agent: Some("Z 5.2.28 rv2.8.114".into()),
            outstanding_pings: 0,
            registered: Duration::from_millis(1_552_507_958_900),
            stale: None,
            phones: Vec::new(),
        },
    );
    host
}

const THIRD: &str = concat!(
    r#""1003":{"registered":true,"outstandingping":0,"#,
    r#""remote":{"host":"127.0.0.1","port":42068,"agent":"Z 5.2.28 rv2.8.114"},"#,
    r#""epochs":{"registered":1552507958}}"#
);

#[test]
fn all_of_them_are_counted() {
    let mut host = host();
    for path in ["/reg", "/reg/"] {
        assert_eq!(host.get(path), (200, r#"{"count":1}"#.to_owned()));
    }
}

#[test]
fn a_domain() {
    let users = format!(r#"{{"1000":{{"registered":false}},"1001":{{"registered":false}},{THIRD}}}"#);
    let expected = format!(r#"{{"domain":"bling.example.test","count":3,"registered":1,"users":{users}}}"#);
    for path in ["/reg/bling.example.test", "/reg/BLING.example.test/", "/reg/localhost"] {
        assert_eq!(host().get(path), (200, expected.clone()), "{path}");
    }
}

#[test]
fn one_user() {
    let expected = |registered: u32, users: &str| {
        format!(r#"{{"domain":"bling.example.test","count":3,"registered":{registered},"users":{{{users}}}}}"#)
    };
    let mut host = host();
    for (user, body) in [
        ("1003", expected(1, THIRD)),
        ("1000", expected(0, r#""1000":{"registered":false}"#)),
        ("nobody", expected(0, "")),
    ] {
        assert_eq!(host.get(&format!("/reg/bling.example.test/{user}")), (200, body));
    }
}

#[test]
fn a_phone_that_does_not_say_what_it_is() {
    let mut host = host();
    for phone in host.phones.0.values_mut() {
        phone.agent = None;
        phone.outstanding_pings = 2;
    }
    let body = host.get("/reg/bling.example.test/1003").1;
    assert!(body.contains(r#""outstandingping":2,"remote":{"host":"127.0.0.1","port":42068}"#), "{body}");
}

#[test]
fn an_unknown_domain() {
    let response = host().ask("GET", "/reg/other.test", "");
    assert_eq!(refusal(&response), (404, "no such domain: other.test".into(), "path".into()));
}
