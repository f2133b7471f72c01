//! Requests that must not be carried out twice: what was answered under which key.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::Time;
use sha2::{Digest, Sha256};

use super::params::Params;

/// How long a key is remembered.
pub const KEEP_KEYS: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest `idempotency_key`, in bytes.
pub const MAX_KEY: usize = 255;

/// What an entry takes beside its two texts, roughly: its places in both tables.
const ENTRY_BYTES: usize = 192;

/// The keys of one token.
#[derive(Debug)]
pub(crate) struct Keys {
    known: HashMap<CompactString, Answered, ahash::RandomState>,
    /// All keys, oldest first.
    ages: VecDeque<(Time, CompactString)>,
    bytes: usize,
}

/// What a request is: two with the same print ask for the same.
pub(crate) type Print = [u8; 16];

#[derive(Debug)]
struct Answered {
    print: Print,
    cmd_id: CompactString,
}

/// How much may be remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) keys: usize,
    pub(crate) bytes: usize,
}

/// What is known of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Known {
    /// Nothing: carry the request out, and [`Keys::remember`] it.
    New,
    /// It came before; the command had this `cmd_id`.
    Same(CompactString),
    /// It came before with another request.
    Other,
    /// Nothing, and nothing more can be remembered until the oldest key is forgotten.
    Full,
}

impl Keys {
    pub(crate) fn new(state: ahash::RandomState) -> Self {
        Self { known: HashMap::with_hasher(state), ages: VecDeque::new(), bytes: 0 }
    }

    /// What is known of this key, now.
    pub(crate) fn look(&mut self, now: Time, key: &str, print: &Print, room: Room) -> Known {
        self.forget_old(now);
        match self.known.get(key) {
            Some(answered) if answered.print == *print => Known::Same(answered.cmd_id.clone()),
            Some(_) => Known::Other,
            None if self.known.len() >= room.keys || self.bytes >= room.bytes => Known::Full,
            None => Known::New,
        }
    }

    pub(crate) fn remember(&mut self, now: Time, key: CompactString, print: Print, cmd_id: CompactString) {
        self.bytes += size(&key, &cmd_id);
        self.ages.push_back((now, key.clone()));
        self.known.insert(key, Answered { print, cmd_id });
    }

    fn forget_old(&mut self, now: Time) {
        while self.ages.front().is_some_and(|(since, _)| *since + KEEP_KEYS <= now) {
            if let Some((_, key)) = self.ages.pop_front()
                && let Some(answered) = self.known.remove(&key)
            {
                self.bytes -= size(&key, &answered.cmd_id);
            }
        }
    }
}

fn size(key: &str, cmd_id: &str) -> usize {
    2 * key.len() + cmd_id.len() + ENTRY_BYTES
}

/// The print of a request.
pub(crate) fn print(method: &str, params: &Params) -> Print {
    let mut hash = Sha256::new();
    let mut take = |text: &str| {
        hash.update(text.len().to_be_bytes());
        hash.update(text);
    };
    take(method);
    for (name, value) in params.iter() {
        take(name);
        take(value.as_written());
    }
    let mut print = Print::default();
    print.copy_from_slice(&hash.finalize()[..16]);
    print
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call_api::ids::Ids;

    const ROOM: Room = Room { keys: 3, bytes: 100_000 };
    const DAY: Duration = Duration::from_secs(86_400);

    fn keys() -> Keys {
        Keys::new(Ids::new([1; 32]).hash_state())
    }

    fn remember(keys: &mut Keys, now: Time, key: &str) {
        keys.remember(now, key.into(), [7; 16], "c".into());
    }

    #[test]
    fn a_key_is_known_for_a_day() {
        let mut keys = keys();
        remember(&mut keys, DAY, "k");
        assert_eq!(keys.look(DAY, "k", &[7; 16], ROOM), Known::Same("c".into()));
        assert_eq!(keys.look(DAY, "k", &[8; 16], ROOM), Known::Other);
        assert_eq!(keys.look(DAY, "l", &[7; 16], ROOM), Known::New);
        let last = 2 * DAY - Duration::from_millis(1);
        assert_eq!(keys.look(last, "k", &[7; 16], ROOM), Known::Same("c".into()));
        assert_eq!(keys.look(2 * DAY, "k", &[7; 16], ROOM), Known::New);
        assert_eq!((keys.known.len(), keys.ages.len(), keys.bytes), (0, 0, 0));
    }

    #[test]
    fn what_is_known_is_kept_and_the_new_must_wait() {
        let mut keys = keys();
        for (hour, key) in ["a", "b", "c"].into_iter().enumerate() {
            remember(&mut keys, DAY + Duration::from_secs(3_600) * u32::try_from(hour).unwrap(), key);
        }
        let later = DAY + Duration::from_secs(10_000);
        assert_eq!(keys.look(later, "d", &[7; 16], ROOM), Known::Full);
        assert_eq!(keys.look(later, "a", &[7; 16], ROOM), Known::Same("c".into()));
        assert_eq!(keys.look(2 * DAY, "d", &[7; 16], ROOM), Known::New);
        let few_bytes = Room { keys: 100, bytes: 2 * ENTRY_BYTES };
        assert_eq!(keys.look(2 * DAY, "d", &[7; 16], few_bytes), Known::Full);
    }
}
