//! Which nodes there are, what they have to know, and who is registered where.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use compact_str::{CompactString, format_compact};
use hookswitch_call::{Cause, Fault, Kind};
use hookswitch_mediaswitch::escaped;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answered::{Sent, Tag};
use super::registered::{Named, Phones};
use super::{Lane, Legs};
use crate::{Load, NodeId, PlaceNews, PulseNews};

/// What is still to be told to nodes.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// Domains that a node is being told of.
    telling: BTreeSet<(NodeId, CompactString)>,
    /// Domains that have changed since, or could not be told.
    stale: BTreeSet<(NodeId, CompactString)>,
    /// Nodes that are to be asked what they have.
    unlisted: BTreeSet<NodeId>,
}

#[derive(Deserialize)]
struct Listed {
    dialogs: Vec<Dialog>,
}

#[derive(Deserialize)]
struct Dialog {
    callid: CompactString,
    control: CompactString,
}

#[derive(Deserialize)]
struct Registered {
    users: BTreeMap<CompactString, State>,
}

#[derive(Deserialize)]
struct State {
    registered: bool,
    #[serde(flatten)]
    named: Named,
}

/// The body of a good answer.
fn good<'a, T: Deserialize<'a>>(result: Option<&'a (u16, Bytes)>) -> Option<T> {
    let (_, body) = result.filter(|(status, _)| *status == 200)?;
    serde_json::from_slice(body).ok()
}

impl Legs {
    /// Asks nodes how they are that have not been asked for a while.
    pub(super) fn beat(&mut self) {
        while let Some(node) = self.places.poll(self.now) {
            let asked = self.orders.push(&Lane::Node(node), (node, "GET"), "/dialog".into(), String::new(), Tag::Beat);
            if asked.is_err() {
                self.heard(node, None);
            }
        }
    }

    /// What a node has said of itself, if it has.
    pub(super) fn heard(&mut self, node: NodeId, load: Option<Load>) {
        let answered = load.is_some();
        let news = self.places.answered(self.now, node, load);
        let is_new = news.contains(&PlaceNews::There(node));
        for news in news {
            match news {
                PlaceNews::There(node) => {
                    self.news.push_back((node, PulseNews::There));
                    self.greet(node);
                }
                PlaceNews::Lost(node) => {
                    self.news.push_back((node, PulseNews::Lost));
                    self.lost(node);
                }
                PlaceNews::Forgot(node) => {
                    self.lost(node);
                    if !is_new {
                        self.greet(node);
                    }
                }
                // What is there stays there to its end.
                PlaceNews::Drains(_) => {}
            }
        }
        if answered {
            self.pay(node);
        }
    }

    /// All that a node has to know, and what we have to know of it.
    fn greet(&mut self, node: NodeId) {
        let domains: Vec<CompactString> = self.domains.keys().cloned().collect();
        for domain in domains {
            self.tell_domain(node, domain);
        }
        self.list(node);
    }

    /// What a node could not be told or asked before.
    fn pay(&mut self, node: NodeId) {
        if self.owed.unlisted.remove(&node) {
            self.list(node);
        }
        let stale: Vec<CompactString> =
            self.owed.stale.iter().filter(|(at, _)| *at == node).map(|(_, domain)| domain.clone()).collect();
        for domain in stale {
            self.tell_domain(node, domain);
        }
    }

    /// Its legs are over, and nobody is reached there.
    fn lost(&mut self, node: NodeId) {
        let mut gone: Vec<CompactString> =
            self.legs.iter().filter(|(_, leg)| leg.node == node).map(|(callid, _)| callid.clone()).collect();
        gone.sort();
        for callid in gone {
            self.ended(&callid, Cause::new(Kind::Overloaded, Fault::Server).with_text("Node Lost"));
        }
        self.registered.lost(node);
    }

    /// Asks a node which dialogs it has: those that nobody here knows are ended.
    pub(super) fn list(&mut self, node: NodeId) {
        let path = "/dialog/list".to_owned();
        if self.orders.push(&Lane::Node(node), (node, "GET"), path, String::new(), Tag::List).is_err() {
            self.owed.unlisted.insert(node);
        }
    }

    pub(super) fn listed(&mut self, node: NodeId, result: Option<(u16, Bytes)>) {
        let Some(Listed { dialogs }) = good(result.as_ref()) else {
            self.owed.unlisted.insert(node);
            return;
        };
        let ours = self.control_of(node);
        for Dialog { callid, control } in dialogs {
            if control != ours || self.legs.contains_key(&callid) {
                continue;
            }
            let cause = Cause::new(Kind::Overloaded, Fault::Server).with_text("Controller Restarted");
            let body = json!({ "callid": callid, "cause": cause }).to_string();
            let path = "/dialog/hangup".to_owned();
            let tag = Tag::Command(Sent::Hangup);
            if self.orders.push(&Lane::Leg(callid), (node, "PUT"), path, body, tag).is_err() {
                // The rest of them another time.
                self.owed.unlisted.insert(node);
                return;
            }
        }
    }

    /// A domain of ours is new, has changed, or (without users) is gone.
    pub(super) fn tell_of_domain(&mut self, name: &str, users: Option<String>) {
        match users {
            Some(users) => drop(self.domains.insert(name.into(), users)),
            None => drop(self.domains.remove(name)),
        }
        let there: Vec<NodeId> = self.places.there().collect();
        for node in there {
            self.tell_domain(node, name.into());
        }
    }

    fn tell_domain(&mut self, node: NodeId, domain: CompactString) {
        let key = (node, domain);
        self.owed.stale.remove(&key);
        if self.owed.telling.contains(&key) {
            // As it is then, when the one before is answered.
            self.owed.stale.insert(key);
            return;
        }
        let (_, domain) = &key;
        let path = format!("/dir/{}", escaped(domain));
        let (method, body) = match self.domains.get(domain) {
            // The list is JSON already.
            Some(users) => {
                ("PUT", format!("{{\"control\":{},\"users\":{users}}}", Value::from(self.control_of(node).as_str())))
            }
            None => ("DELETE", String::new()),
        };
        match self.orders.push(&Lane::Domain(node, domain.clone()), (node, method), path, body, Tag::Domain) {
            Ok(()) => self.owed.telling.insert(key),
            Err(_) => self.owed.stale.insert(key),
        };
    }

    pub(super) fn domain_told(&mut self, node: NodeId, domain: &CompactString, result: Option<(u16, Bytes)>) {
        let key = (node, domain.clone());
        self.owed.telling.remove(&key);
        match result.map(|(status, _)| status) {
            // What it does not take now it will not take the next time either.
            Some(200..=499) => {}
            Some(_) | None => {
                self.owed.stale.insert(key);
                return;
            }
        }
        if self.owed.stale.contains(&key) {
            return self.tell_domain(node, domain.clone());
        }
        if self.domains.contains_key(domain) {
            let path = format!("/reg/{}", escaped(domain));
            // Whoever registers from now on is told anyway.
            let lane = Lane::Domain(node, domain.clone());
            let _ = self.orders.push(&lane, (node, "GET"), path, String::new(), Tag::Registered);
        }
    }

    pub(super) fn registrations(&mut self, node: NodeId, domain: &CompactString, result: Option<(u16, Bytes)>) {
        match good::<Registered>(result.as_ref()) {
            Some(Registered { users }) => {
                for (user, state) in users {
                    match state.registered {
                        true => self.registered_at(node, domain, &user, state.named.at(self.now)),
                        false => self.unregistered_at(node, domain, &user),
                    };
                }
            }
            // With the domain again.
            None => drop(self.owed.stale.insert((node, domain.clone()))),
        }
    }

    /// A user has registered at a node, with these phones. The status of our answer.
    pub(super) fn registered_at(&mut self, node: NodeId, domain: &str, user: &str, phones: Phones) -> u16 {
        if self.registered.enter(format_compact!("{user}@{domain}"), node, phones) { 200 } else { 507 }
    }

    /// A user is not registered at a node any more. The status of our answer.
    pub(super) fn unregistered_at(&mut self, node: NodeId, domain: &str, user: &str) -> u16 {
        self.registered.remove(&format_compact!("{user}@{domain}"), node);
        200
    }
}
