//! One who reads events, at his own pace.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use hookswitch_dialect::journal::{EventId, Filter, Logged};
use tokio::sync::watch;

use super::Shared;
use super::pages::Read;
use super::ring::Segment;
use super::waiters::Told;

/// Events that a reader gets at once at most.
pub const READ_AT_ONCE: usize = 256;

/// Pages of the disk in which nothing is wanted that are read for one answer of [`Reader::ready`].
const PAGES_AT_ONCE: usize = 16;

/// Pause before a disk that fails, or that too many ask, is asked again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The events after a reader's place are not in the log: too old, or of another log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the event {after} is not in the log any more, or never was: the oldest is {oldest}", after = after.0, oldest = oldest.0)]
pub struct Expired {
    /// After this one it wanted to read.
    pub after: EventId,
    /// The oldest event there is, or the next one if there is none.
    pub oldest: EventId,
}

/// Reads events in order, each once.
pub struct Reader {
    shared: Arc<Shared>,
    told: watch::Receiver<Told>,
    filter: Filter,
    /// The number of the next event to look at.
    at: u64,
    /// Wanted, looked at and not handed out yet: whoever waits for the disk may be dropped.
    found: Vec<Arc<Logged>>,
    /// Whether the place that it was given is known to be in the log.
    placed: bool,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, from: Option<EventId>, filter: Filter) -> Self {
        let told = shared.waiters.join(&filter, || shared.next());
        let at = from.map_or_else(|| shared.next(), |from| from.0.saturating_add(1));
        shared.counted.readers.fetch_add(1, Ordering::Relaxed);
        Self { shared, told, filter, at, found: Vec::new(), placed: false }
    }

    /// The last event that it has looked at, wanted or not: a reader after this one goes on where this is.
    #[must_use]
    pub const fn position(&self) -> EventId {
        EventId(self.at - 1)
    }

    /// The next events that are wanted, at least one and at most [`READ_AT_ONCE`]; waits for them, when the log has ended
    /// for ever. May be dropped and called again, and nothing is lost.
    ///
    /// # Errors
    /// [`Expired`].
    pub async fn next(&mut self) -> Result<Vec<Arc<Logged>>, Expired> {
        if !self.placed {
            self.check()?;
            self.placed = true;
        }
        loop {
            let told = *self.told.borrow_and_update();
            if self.at >= told.after {
                self.at = self.at.max(told.from);
            }
            if self.at < told.next || !self.found.is_empty() {
                let events = self.ready(READ_AT_ONCE).await?;
                if !events.is_empty() {
                    return Ok(events);
                }
                continue;
            }
            if self.told.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// The next events that are wanted, at most so many. It waits for nobody but the disk, and gives up looking after a
    /// while: that there are none does not mean that all were looked at ([`Reader::position`]).
    ///
    /// # Errors
    /// [`Expired`].
    pub async fn ready(&mut self, most: usize) -> Result<Vec<Arc<Logged>>, Expired> {
        for _ in 0..PAGES_AT_ONCE {
            if self.found.len() >= most {
                break;
            }
            if let Some(segments) = self.in_memory() {
                for segment in segments {
                    self.at = segment.collect(self.at, &self.filter, most, &mut self.found);
                    if self.found.len() >= most {
                        break;
                    }
                }
                break;
            }
            self.check()?;
            self.read_disk(most).await?;
        }
        let rest = self.found.split_off(self.found.len().min(most));
        Ok(std::mem::replace(&mut self.found, rest))
    }

    /// Whether the log goes on where this reader is.
    ///
    /// # Errors
    /// [`Expired`].
    pub fn check(&self) -> Result<(), Expired> {
        let (first, next) = self.shared.extent();
        // A number that nobody has been given yet comes from another log.
        if self.at < first || self.at > next {
            return Err(Expired { after: self.position(), oldest: EventId(first) });
        }
        Ok(())
    }

    fn in_memory(&self) -> Option<Vec<Arc<Segment>>> {
        self.shared.ring.read().unwrap_or_else(PoisonError::into_inner).from(self.at)
    }

    /// Looks at one page.
    async fn read_disk(&mut self, most: usize) -> Result<(), Expired> {
        let Some(pages) = &self.shared.pages else { return Ok(()) };
        match pages.read(self.at).await {
            Read::Page(page) => self.at = page.collect(self.at, &self.filter, most, &mut self.found),
            // What comes next was thrown out while the page was read.
            Read::Begins(first) => {
                return Err(Expired { after: self.position(), oldest: EventId(first) });
            }
            Read::Later => tokio::time::sleep(RETRY_AFTER).await,
            Read::Ended => std::future::pending().await,
        }
        Ok(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.counted.readers.fetch_sub(1, Ordering::Relaxed);
        self.shared.waiters.leave(&self.filter);
    }
}
