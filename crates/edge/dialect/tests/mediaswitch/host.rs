//! A friendly host and the switch it talks to.

use std::collections::BTreeMap;

use compact_str::CompactString;
use hookswitch_call::directory::{Directory, Layer, Secret};
use hookswitch_dialect::mediaswitch::{Registration, Registrations, Request, Response, handle};
use serde_json::Value;

pub struct Host {
    pub directory: Directory,
    pub phones: Phones,
}

/// Registrations by domain and user.
#[derive(Default)]
pub struct Phones(pub BTreeMap<(String, String), Registration>);

impl Registrations for Phones {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn of(&self, domain: &str, user: &str) -> Option<Registration> {
        self.0.get(&(domain.to_owned(), user.to_owned())).cloned()
    }

    fn users(&self, domain: &str) -> Vec<CompactString> {
        self.0.keys().filter(|(of, _)| of == domain).map(|(_, user)| user.as_str().into()).collect()
    }
}

impl Host {
    pub fn new() -> Self {
        Self { directory: Directory::new(), phones: Phones::default() }
    }

    /// With `a.test` of the configuration file, whose user is alice.
    pub fn configured() -> Self {
        let mut host = Self::new();
        let users = [("alice".into(), Secret::new("configured-secret"))].into();
        host.directory.configure("a.test", Layer { users, ..Layer::default() }).unwrap();
        host
    }

    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> Response {
        self.ask_bytes(method, path, body.as_bytes())
    }

    pub fn ask_bytes(&mut self, method: &str, path: &str, body: &[u8]) -> Response {
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        let response = handle(Request { method, path, query, body }, &mut self.directory, &self.phones);
        assert_eq!(response.content_type, "text/json");
        assert!(response.body.is_empty() || serde_json::from_str::<Value>(&response.body).is_ok());
        assert!(!response.body.contains("secret-"), "a secret is told: {}", response.body);
        response
    }

    /// The status and the body of a request without one.
    pub fn get(&mut self, path: &str) -> (u16, String) {
        let response = self.ask("GET", path, "");
        (response.status, response.body)
    }

    pub fn secret(&self, domain: &str, user: &str) -> Option<&str> {
        self.directory.secret(domain, user).map(Secret::reveal)
    }
}

/// Status, error and place of a refusal.
pub fn refusal(response: &Response) -> (u16, String, String) {
    let body: Value = serde_json::from_str(&response.body).unwrap();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (response.status, text("error"), text("where"))
}
