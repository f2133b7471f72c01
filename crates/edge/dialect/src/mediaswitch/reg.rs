//! `/reg[/<domain>[/<user>]]`: who is registered.

use std::collections::BTreeMap;
use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::Time;
use hookswitch_call::directory::{Directory, DirectoryError};
use serde::Serialize;

use super::failure::Failure;
use super::{Request, Response};

const ALLOW: &str = "GET, HEAD";

/// Whoever knows the registrations.
pub trait Registrations {
    /// How many there are, in all domains: of a user with two phones, two.
    fn count(&self) -> usize;
    /// A user's registration, if there is one; the newest of several.
    fn of(&self, domain: &str, user: &str) -> Option<Registration>;
    /// The users of a domain who have one, in any order.
    fn users(&self, domain: &str) -> Vec<CompactString>;
}

/// One registration, as far as a friendly host is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registration {
    /// Address of the phone, as its packets come from.
    pub host: CompactString,
    /// Port of the phone.
    pub port: u16,
    /// Its `User-Agent`, if it sent one.
    pub agent: Option<CompactString>,
    /// Keep-alive requests in a row that it has not answered.
    pub outstanding_pings: u32,
    /// Since when it is registered.
    pub registered: Time,
    /// Since when its phone is silent or cannot be reached; none while all is well.
    pub stale: Option<Time>,
    /// A name for each of the user's phones that can be reached, the same at every switch where that phone is registered, and how
    /// long ago it has registered or refreshed last.
    pub phones: Vec<(CompactString, Duration)>,
}

pub(super) fn answer(
    request: Request<'_>,
    path: &[String],
    directory: &Directory,
    registrations: &dyn Registrations,
) -> Result<Response, Failure> {
    if !matches!(request.method, "GET" | "HEAD") {
        return Err(Failure::method(ALLOW));
    }
    match path {
        [] => Ok(Response::json(200, &Count { count: registrations.count() })),
        [domain] => report(directory, registrations, domain, None),
        [domain, user] => report(directory, registrations, domain, Some(user)),
        _ => Err(Failure::path(400, "Path wrong length: /reg/<domain>/<user> is the longest".to_owned())),
    }
}

fn report(
    directory: &Directory,
    registrations: &dyn Registrations,
    asked: &str,
    user: Option<&str>,
) -> Result<Response, Failure> {
    let unknown = || Failure::directory(&DirectoryError::NoSuchDomain(asked.into()), 404, "path");
    let domain = directory.resolve(asked).ok_or_else(unknown)?;
    // Users who were looked up stand in no layer of the directory.
    let mut users = directory.users(domain).unwrap_or_default();
    users.extend(registrations.users(domain));
    users.sort();
    users.dedup();
    let count = users.len();
    let users: BTreeMap<_, _> = users
        .into_iter()
        .filter(|name| user.is_none_or(|user| user == name))
        .map(|name| {
            let state = State::of(registrations.of(domain, &name));
            (name, state)
        })
        .collect();
    let registered = users.values().filter(|state| state.registered).count();
    Ok(Response::json(200, &Report { domain, count, registered, users }))
}

#[derive(Serialize)]
struct Count {
    count: usize,
}

#[derive(Serialize)]
struct Report<'a> {
    domain: &'a str,
    /// Users of the domain, whichever were asked for.
    count: usize,
    /// Registered ones among those asked for.
    registered: usize,
    users: BTreeMap<CompactString, State>,
}

#[derive(Serialize)]
struct State {
    registered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    outstandingping: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote: Option<Remote>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epochs: Option<Epochs>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    phones: Vec<CompactString>,
    /// In seconds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ages: Vec<f64>,
}

#[derive(Serialize)]
struct Remote {
    host: CompactString,
    port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<CompactString>,
}

#[derive(Serialize)]
struct Epochs {
    registered: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale: Option<u64>,
}

impl State {
    fn of(registration: Option<Registration>) -> Self {
        let Some(registration) = registration else {
            let (phones, ages) = (Vec::new(), Vec::new());
            return Self { registered: false, outstandingping: None, remote: None, epochs: None, phones, ages };
        };
        let Registration { host, port, agent, outstanding_pings, registered, stale, phones } = registration;
        let (phones, ages) = phones.into_iter().map(|(name, age)| (name, age.as_millis() as f64 / 1_000.0)).unzip();
        Self {
            registered: true,
            outstandingping: Some(outstanding_pings),
            remote: Some(Remote { host, port, agent }),
            epochs: Some(Epochs { registered: registered.as_secs(), stale: stale.map(|at| at.as_secs()) }),
            phones,
            ages,
        }
    }
}
