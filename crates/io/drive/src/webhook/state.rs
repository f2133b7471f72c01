//! What endpoints have to remember, as entries of the store.
//!
//! A key is the name of the endpoint, a zero byte, a letter, and for a letter that waits (`w`) or is dead (`x`) the number
//! of its event, for a call (`m`) that of the call. They are in the order in which they are given back.

use std::collections::BTreeMap;

use compact_str::CompactString;
use hookswitch_call::Time;
use hookswitch_dialect::journal::EventId;
use hookswitch_dialect::webhook::{Change, Stored};
use hookswitch_store::{Store, StoreError, Table, Write};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::WebhookUrl;

const CURSOR: u8 = b'c';
const CALL: u8 = b'm';
const OFF: u8 = b'o';
/// Where that of calls goes.
const TARGET: u8 = b't';
const WAITING: u8 = b'w';
const DEAD: u8 = b'x';

/// An endpoint that its target has switched off: which target that was. Another URL is another target.
#[derive(Serialize, Deserialize)]
struct Off {
    since: Time,
    url: String,
}

/// The target of a webhook that calls have of their own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct TargetOfCalls {
    pub(super) url: WebhookUrl,
    /// It begins after this event.
    pub(super) after: EventId,
    /// The types of events that are posted; none stands for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) events: Vec<CompactString>,
    /// What it is signed with, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<CompactString>,
}

/// A target is taken on.
pub(super) fn taken_on(name: &str, target: &TargetOfCalls) -> Result<Write, serde_json::Error> {
    Ok(Write::put(Table::Webhooks, &key(name, TARGET, None), serde_json::to_vec(target)?))
}

/// A target is let go: what is removed of one of which nothing waits, is dead, or goes on.
pub(super) fn let_go(name: &str) -> [Write; 3] {
    // The target last: what is left of one without it is nobody's.
    [CURSOR, OFF, TARGET].map(|what| Write::remove(Table::Webhooks, &key(name, what, None)))
}

fn key(name: &str, what: u8, event: Option<EventId>) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 10);
    key.extend_from_slice(name.as_bytes());
    key.extend_from_slice(&[0, what]);
    if let Some(event) = event {
        key.extend_from_slice(&event.0.to_be_bytes());
    }
    key
}

/// A change as a write.
pub(super) fn encode(name: &str, url: &Url, change: &Change) -> Result<Write, serde_json::Error> {
    let put = |key: Vec<u8>, value| Write::put(Table::Webhooks, &key, value);
    let remove = |key: Vec<u8>| Write::remove(Table::Webhooks, &key);
    Ok(match change {
        Change::Cursor(at) => put(key(name, CURSOR, None), serde_json::to_vec(at)?),
        Change::Waiting(letter) => put(key(name, WAITING, Some(letter.id)), serde_json::to_vec(letter)?),
        Change::Left(event) => remove(key(name, WAITING, Some(*event))),
        Change::Dead(dead) => put(key(name, DEAD, Some(dead.letter.id)), serde_json::to_vec(dead)?),
        Change::Buried(event) => remove(key(name, DEAD, Some(*event))),
        Change::Off(Some(since)) => {
            let off = Off { since: *since, url: url.as_str().to_owned() };
            put(key(name, OFF, None), serde_json::to_vec(&off)?)
        }
        Change::Off(None) => remove(key(name, OFF, None)),
        Change::Call(call, true) => put(key(name, CALL, Some(EventId(call.0))), serde_json::to_vec(call)?),
        Change::Call(call, false) => remove(key(name, CALL, Some(EventId(call.0)))),
    })
}

/// A key and its value.
type Entry = (Box<[u8]>, Box<[u8]>);

/// Everything that is stored, by the names of endpoints. Whatever cannot be read is told to the log and left out.
pub(super) struct Kept(Vec<Entry>);

impl Kept {
    pub(super) fn load(store: &mut dyn Store) -> Result<Self, StoreError> {
        let mut all = Vec::new();
        store.load(Table::Webhooks, &mut |key, value| all.push((key.into(), value.into())))?;
        Ok(Self(all))
    }

    /// What is known of one endpoint.
    pub(super) fn of(&self, name: &str, url: &Url) -> Vec<Stored> {
        let prefix = key(name, CURSOR, None);
        let prefix = &prefix[..prefix.len() - 1];
        let mine = self.0.iter().filter_map(|(key, value)| Some((*key.strip_prefix(prefix)?.first()?, value)));
        let read = mine.filter_map(|(what, value)| match decode(what, value, url) {
            Ok(stored) => stored,
            Err(error) => {
                tracing::error!(endpoint = name, %error, "an entry of the store about a webhook cannot be read");
                None
            }
        });
        read.collect()
    }

    /// The targets that calls have named, by name.
    pub(super) fn targets(&self) -> BTreeMap<CompactString, TargetOfCalls> {
        let all = self.0.iter().filter_map(|(key, value)| {
            let name = std::str::from_utf8(key.strip_suffix(&[0, TARGET])?).ok()?;
            match serde_json::from_slice(value) {
                Ok(target) => Some((name.into(), target)),
                Err(error) => {
                    tracing::error!(endpoint = name, %error, "the stored target of a webhook of calls cannot be read");
                    None
                }
            }
        });
        all.collect()
    }

    /// The names that are not among these.
    pub(super) fn strangers<'a>(&'a self, known: impl Fn(&str) -> bool + 'a) -> Vec<String> {
        let names = self.0.iter().filter_map(|(key, _)| key.split(|byte| *byte == 0).next());
        let mut names: Vec<String> = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        names.dedup();
        names.retain(|name| !known(name));
        names
    }
}

fn decode(what: u8, value: &[u8], url: &Url) -> Result<Option<Stored>, serde_json::Error> {
    Ok(match what {
        CURSOR => Some(Stored::Cursor(serde_json::from_slice(value)?)),
        WAITING => Some(Stored::Waiting(serde_json::from_slice(value)?)),
        DEAD => Some(Stored::Dead(serde_json::from_slice(value)?)),
        OFF => {
            let off: Off = serde_json::from_slice(value)?;
            Some(Stored::Off(off.since)).filter(|_| off.url == url.as_str())
        }
        CALL => Some(Stored::Call(serde_json::from_slice(value)?)),
        // Where it goes is known by now, or it is of a later program.
        _ => None,
    })
}
