//! What users publish about themselves (RFC 3903), from the side of the event state compositor.
//!
//! ```text
//!   publish ──► there (until its end) ── refresh, modify: under another tag ──► there
//!                 └── remove, time over ──► gone
//! ```
//!
//! Nothing of it outlives the process: a phone that refreshes what is not known here is answered 412 and publishes again.

use std::collections::BTreeMap;

use bytes::Bytes;
use compact_str::{CompactString, format_compact};

use crate::Time;

/// Largest document, in bytes; more is answered 413.
pub const MAX_DOCUMENT: usize = 16 * 1_024;

/// Limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationConfig {
    /// Most publications in total; more are answered 503. Default 50,000.
    pub max_publications: usize,
    /// Most publications of one user; more are answered 403. Default 10.
    pub max_per_user: usize,
}

impl Default for PublicationConfig {
    fn default() -> PublicationConfig {
        PublicationConfig { max_publications: 50_000, max_per_user: 10 }
    }
}

/// Why somebody cannot publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpublished {
    /// There is no publication under that tag: 412.
    Unmatched,
    /// Neither a tag nor a document: 400.
    Nothing,
    /// The document is larger than [`MAX_DOCUMENT`]: 413.
    TooLarge,
    /// The user has too many: 403.
    TooMany,
    /// There are too many: 503.
    Full,
}

/// A document, by the tag that names it.
struct Publication {
    tag: CompactString,
    document: Bytes,
    until: Time,
    /// Its place among those that end at the same time.
    number: u64,
    /// The greater, the newer is its document.
    order: u64,
}

/// All publications of one node.
pub struct Publications {
    config: PublicationConfig,
    users: BTreeMap<CompactString, Vec<Publication>>,
    ends: BTreeMap<(Time, u64), CompactString>,
    total: usize,
    next: u64,
}

impl Publications {
    /// None yet.
    #[must_use]
    pub fn new(config: PublicationConfig) -> Publications {
        Publications { config, users: BTreeMap::new(), ends: BTreeMap::new(), total: 0, next: 0 }
    }

    /// Takes a PUBLISH of a user: a new document, or one that refreshes, replaces or, without any time `granted`,
    /// removes what has the tag `matched`. The tag from now on, and whether what others see has changed.
    ///
    /// # Errors
    ///
    /// [`Unpublished`]; nothing has changed then.
    pub fn publish(
        &mut self,
        now: Time,
        user: &str,
        matched: Option<&str>,
        document: Bytes,
        granted: Time,
    ) -> Result<(CompactString, bool), Unpublished> {
        if document.len() > MAX_DOCUMENT {
            return Err(Unpublished::TooLarge);
        }
        let mine = self.users.get(user).map_or(&[][..], Vec::as_slice);
        let place = match matched {
            Some(tag) => {
                Some(mine.iter().position(|it| it.tag == tag && it.until > now).ok_or(Unpublished::Unmatched)?)
            }
            None if document.is_empty() => return Err(Unpublished::Nothing),
            None if mine.len() >= self.config.max_per_user => return Err(Unpublished::TooMany),
            None if self.total >= self.config.max_publications => return Err(Unpublished::Full),
            None => None,
        };
        let changed = !document.is_empty() || granted.is_zero();
        // Time does not repeat itself after a restart, and so neither do tags.
        self.next += 1;
        let tag = format_compact!("{:x}-{:x}", now.as_micros(), self.next);
        let old = place.and_then(|place| self.take(user, place));
        if granted.is_zero() {
            return Ok((tag, changed && old.is_some()));
        }
        let order = if changed { self.next } else { old.as_ref().map_or(self.next, |old| old.order) };
        let document = if document.is_empty() { old.map(|old| old.document).unwrap_or_default() } else { document };
        let it = Publication { tag: tag.clone(), document, until: now + granted, number: self.next, order };
        self.ends.insert((it.until, it.number), user.into());
        self.users.entry(user.into()).or_default().push(it);
        self.total += 1;
        Ok((tag, changed))
    }

    /// The newest document of a user.
    #[must_use]
    pub fn newest(&self, now: Time, user: &str) -> Option<&Bytes> {
        let alive = self.users.get(user)?.iter().filter(|it| it.until > now);
        alive.max_by_key(|it| it.order).map(|it| &it.document)
    }

    /// A user of whom a publication is over; to be called until `None`.
    pub fn poll_over(&mut self, now: Time) -> Option<CompactString> {
        let (_, number) = *self.ends.first_key_value().filter(|((until, _), _)| *until <= now)?.0;
        let (_, user) = self.ends.pop_first()?;
        let place = self.users.get(&user)?.iter().position(|it| it.number == number)?;
        self.take(&user, place);
        Some(user)
    }

    /// When [`Publications::poll_over`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.ends.first_key_value().map(|((until, _), _)| *until)
    }

    /// Forgets what a user has published.
    pub fn forget(&mut self, user: &str) {
        for it in self.users.remove(user).unwrap_or_default() {
            self.ends.remove(&(it.until, it.number));
            self.total -= 1;
        }
    }

    /// The users who have published something.
    pub fn users(&self) -> impl Iterator<Item = &CompactString> {
        self.users.keys()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.total
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    fn take(&mut self, user: &str, place: usize) -> Option<Publication> {
        let mine = self.users.get_mut(user)?;
        let it = mine.remove(place);
        self.ends.remove(&(it.until, it.number));
        if mine.is_empty() {
            self.users.remove(user);
        }
        self.total -= 1;
        Some(it)
    }
}
