//! Requests that must not be carried out twice: what was answered under which `Idempotency-Key`.
//!
//! The keys of everybody stand in one table, those of each holder apart. They are stored before the answer goes out, so
//! that a request which is sent again after a restart gets the answer of before.

use std::collections::BTreeSet;
use std::time::Duration;

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_call::Time;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::problem::{Code, Problem};
use super::{JSON, Request, Response};

/// How long a key is remembered.
pub const KEEP_KEYS: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest key, in bytes.
pub const MAX_KEY: usize = 255;

/// Where a key stands in a request.
const HEADER: &str = "Idempotency-Key";

/// For how long after the first answer another one waits for the disk as that did. The disk is quicker.
const STORING: Duration = Duration::from_secs(60);

/// What an entry takes beside its texts, roughly.
const ENTRY_BYTES: usize = 320;

/// Names a key.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct KeyName {
    /// Whose: the name of its grant.
    pub holder: CompactString,
    /// As it was sent.
    pub key: CompactString,
}

/// A key and what was answered under it, as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoredKey {
    /// Which.
    pub name: KeyName,
    /// When it came first.
    pub at: Time,
    /// What the request was: two with the same print ask for the same.
    print: [u8; 16],
    status: u16,
    location: Option<String>,
    etag: Option<String>,
    body: String,
}

impl StoredKey {
    fn size(&self) -> usize {
        let headers = [&self.location, &self.etag].map(|header| header.as_ref().map_or(0, String::len));
        2 * (self.name.holder.len() + self.name.key.len()) + self.body.len() + headers[0] + headers[1] + ENTRY_BYTES
    }

    /// The answer of before.
    fn response(&self) -> Response {
        let location = self.location.clone().map(|value| ("location", value));
        let etag = self.etag.clone().map(|value| ("etag", value));
        let headers = location.into_iter().chain(etag).collect();
        let response =
            Response { status: self.status, content_type: JSON, headers, body: self.body.clone(), file: None };
        response.with("idempotency-replayed", "true")
    }
}

/// How many keys are remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Room {
    pub(super) keys: usize,
    pub(super) bytes: usize,
}

/// All keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    known: AHashMap<KeyName, StoredKey>,
    /// Oldest first.
    ages: BTreeSet<(Time, KeyName)>,
    bytes: usize,
    /// Those whose request another desk carries out now; as many as it is asked at once.
    lent: AHashMap<KeyName, [u8; 16]>,
}

/// A request under a key that is new.
pub(super) struct Fresh {
    name: KeyName,
    print: [u8; 16],
}

/// What is known of a request's key.
pub(super) enum Seen {
    /// It has none, or a new one.
    New(Option<Fresh>),
    /// It was answered before; the key has to be stored again if its answer may still be waiting for that.
    Before(Response, Option<Box<StoredKey>>),
}

impl Keys {
    /// Looks at a request's key.
    ///
    /// # Errors
    /// It is none, came with another request, or there is no room for it.
    pub(super) fn look(&self, now: Time, request: &Request, room: Room) -> Result<Seen, Problem> {
        let Some(key) = &request.headers.idempotency_key else { return Ok(Seen::New(None)) };
        if !(1..=MAX_KEY).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let detail = "the Idempotency-Key cannot be remembered";
            let problem = Problem::new(Code::InvalidKey, detail).at(HEADER);
            return Err(problem.expected("1 to 255 visible characters of ASCII"));
        }
        let (name, print) = (KeyName { holder: request.grant.name.clone(), key: key.clone() }, print(request));
        match self.known.get(&name) {
            Some(known) if known.print == print => {
                let stored = (now < known.at + STORING).then(|| Box::new(known.clone()));
                Ok(Seen::Before(known.response(), stored))
            }
            Some(_) => Err(reused()),
            None if let Some(lent) = self.lent.get(&name) => Err(being_used(*lent == print)),
            None if self.known.len() + self.lent.len() >= room.keys || self.bytes >= room.bytes => {
                Err(Problem::new(Code::TooManyKeys, "the oldest key is forgotten a day after it came"))
            }
            None => Ok(Seen::New(Some(Fresh { name, print }))),
        }
    }

    /// Keeps a key for a request that another desk carries out.
    pub(super) fn lend(&mut self, fresh: Option<Fresh>) {
        self.lent.extend(fresh.map(|fresh| (fresh.name, fresh.print)));
    }

    /// Takes the key back; none where the request has none.
    pub(super) fn give_back(&mut self, request: &Request) -> Option<Fresh> {
        let key = request.headers.idempotency_key.clone()?;
        let (name, print) = self.lent.remove_entry(&KeyName { holder: request.grant.name.clone(), key })?;
        Some(Fresh { name, print })
    }

    /// Remembers what was answered.
    pub(super) fn remember(&mut self, now: Time, fresh: Fresh, response: &Response) -> Box<StoredKey> {
        let header =
            |wanted: &str| response.headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
        let stored = StoredKey {
            name: fresh.name,
            at: now,
            print: fresh.print,
            status: response.status,
            location: header("location"),
            etag: header("etag"),
            body: response.body.clone(),
        };
        self.restore(stored.clone());
        Box::new(stored)
    }

    /// Takes back a key that was stored.
    pub(super) fn restore(&mut self, stored: StoredKey) {
        self.bytes += stored.size();
        self.ages.insert((stored.at, stored.name.clone()));
        if let Some(before) = self.known.insert(stored.name.clone(), stored) {
            self.bytes -= before.size();
        }
    }

    /// Forgets the next key whose time is over.
    pub(super) fn forget_one(&mut self, now: Time) -> Option<KeyName> {
        self.ages.first().filter(|(at, _)| *at + KEEP_KEYS <= now)?;
        let (_, name) = self.ages.pop_first()?;
        if let Some(known) = self.known.remove(&name) {
            self.bytes -= known.size();
        }
        Some(name)
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

fn reused() -> Problem {
    let problem = Problem::new(Code::KeyReused, "the key belongs to a request with another method, path or body");
    problem.at(HEADER).expected("a key that is new, or the request that it came with")
}

fn being_used(by_the_same: bool) -> Problem {
    match by_the_same {
        true => Problem::new(Code::Pending, "the request that came first under this key is being carried out"),
        false => reused(),
    }
}

fn print(request: &Request) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in [request.method.as_bytes(), request.path.as_bytes(), request.query.as_deref().unwrap_or("").as_bytes()]
    {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.update(&request.body);
    let mut print = [0; 16];
    print.copy_from_slice(&hash.finalize()[..16]);
    print
}
