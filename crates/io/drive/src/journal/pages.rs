//! Pages of events from the disk, for readers that are far behind: read by a thread that may wait for it, once for all who
//! are at the same place.
//!
//! ```text
//!   Reader ── held? ──▶ held pages; those that nobody has used for longest go
//!      │ no                  ▲
//!      └─ asks, waits ──▶ asked ── thread: from the oldest page that is asked for to the newest, and again
//! ```
//!
//! Pages end at fixed numbers: readers that begin anywhere want the same pages from their second one on, and a thousand that
//! have lost their connections together cost the disk as much as one. Whoever is further behind gathers the others on the
//! thread's way through the log, and nobody waits for longer than one such way.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hookswitch_dialect::journal::{EventId, Logged};
use hookswitch_store::{EventLog, StoreError};
use tokio::sync::watch;

use super::ring::Segment;

/// A page ends before a number that this divides.
pub(super) const PAGE: u64 = 1_024;

/// Bytes of one page, or one event.
const PAGE_BYTES: usize = 1024 * 1024;

/// Pages that are held for whoever wants them next.
pub(super) const MAX_HELD: usize = 64;

/// Bytes of their events, or one page.
pub(super) const MAX_HELD_BYTES: usize = 32 * 1024 * 1024;

/// Pages are held for so long after the last one was asked for.
const FORGET_AFTER: Duration = Duration::from_secs(10);

/// Pages that may be asked for at once; whoever asks for one more has to come again.
const MAX_ASKED: usize = 4_096;

/// What a reader gets.
pub(super) enum Read {
    /// The page with the event that it wants next.
    Page(Arc<Segment>),
    /// The log begins here by now.
    Begins(u64),
    /// The disk fails, or too many ask: to be tried again after a pause.
    Later,
    /// The thread has ended.
    Ended,
}

/// What has become of a page that was asked for: from where to where it goes; none if the disk has failed.
type Answer = Option<(u64, u64)>;

/// The pages that are held, and the way to the thread.
#[derive(Default)]
pub(super) struct Pages {
    state: Mutex<State>,
    changed: Condvar,
    reads: AtomicU64,
}

#[derive(Default)]
struct State {
    held: Held,
    /// Pages that somebody waits for, by their first number, until they are read.
    asked: BTreeMap<u64, watch::Sender<Option<Answer>>>,
    /// How far the thread is on its way through the log.
    place: u64,
    stopping: bool,
}

enum Look {
    Held(Arc<Segment>),
    Asked(watch::Receiver<Option<Answer>>),
    Full,
    Ended,
}

impl Pages {
    pub(super) fn start(log: Arc<EventLog>) -> io::Result<(Arc<Self>, JoinHandle<()>)> {
        Self::start_with(log, FORGET_AFTER)
    }

    fn start_with(log: Arc<EventLog>, forget_after: Duration) -> io::Result<(Arc<Self>, JoinHandle<()>)> {
        let pages = Arc::new(Self::default());
        let serving = Arc::clone(&pages);
        let thread = thread::Builder::new().name("event-pages".to_owned());
        let thread = thread.spawn(move || serving.serve(&log, forget_after))?;
        Ok((pages, thread))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The page with the event of this number, which is older than what is in memory.
    pub(super) async fn read(&self, number: u64) -> Read {
        let mut exactly = false;
        loop {
            let mut told = match self.look(number, exactly) {
                Look::Held(page) => return Read::Page(page),
                Look::Asked(told) => told,
                Look::Full => return Read::Later,
                Look::Ended => return Read::Ended,
            };
            let answer = told.wait_for(Option::is_some).await.map(|answer| *answer);
            match answer {
                Ok(Some(Some((first, _)))) if first > number => return Read::Begins(first),
                // There is nothing at this number, which cannot be while the log is whole.
                Ok(Some(Some((_, next)))) if exactly && next <= number => return Read::Later,
                // It is held now. If it ends before this number, the one that begins here is asked for.
                Ok(Some(Some((_, next)))) => exactly = next <= number,
                Ok(_) => return Read::Later,
                Err(_) => return Read::Ended,
            }
        }
    }

    /// The page with this number if it is held; else it is asked for: from that number on, or from where others are likely
    /// to want it too.
    fn look(&self, number: u64, exactly: bool) -> Look {
        let mut state = self.lock();
        if state.stopping {
            return Look::Ended;
        }
        if let Some(page) = state.held.find(number) {
            return Look::Held(page);
        }
        let start = if exactly { number } else { state.held.start(number) };
        match state.ask(start) {
            Some(told) => {
                drop(state);
                self.changed.notify_one();
                Look::Asked(told)
            }
            None => Look::Full,
        }
    }

    /// How many pages were read from the disk.
    pub(super) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// How many pages are held, and how many bytes of events.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        let state = self.lock();
        (state.held.pages.len(), state.held.bytes)
    }

    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.changed.notify_one();
    }

    fn serve(&self, log: &EventLog, forget_after: Duration) {
        while let Some(start) = self.turn(forget_after) {
            self.reads.fetch_add(1, Ordering::Relaxed);
            let page = page(log, start);
            if let Err(error) = &page {
                tracing::warn!(%error, "old events cannot be read");
            }
            self.lock().answer(start, page.ok().map(Arc::new));
        }
        // Whoever waits is told by that.
        self.lock().asked.clear();
    }

    /// Waits for a page to read. None when it is time to stop.
    fn turn(&self, forget_after: Duration) -> Option<u64> {
        let mut state = self.lock();
        loop {
            if state.stopping {
                return None;
            }
            if let Some(start) = state.turn() {
                return Some(start);
            }
            if state.held.pages.is_empty() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let waited = self.changed.wait_timeout(state, forget_after);
            let (again, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            state = again;
            if waited.timed_out() && state.asked.is_empty() {
                state.held = Held::default();
            }
        }
    }
}

impl State {
    /// Waits for the page that begins at this number with whoever does so already. None if too many pages are asked for.
    fn ask(&mut self, start: u64) -> Option<watch::Receiver<Option<Answer>>> {
        if self.asked.len() >= MAX_ASKED && !self.asked.contains_key(&start) {
            self.asked.retain(|_, told| told.receiver_count() > 0);
            if self.asked.len() >= MAX_ASKED {
                return None;
            }
        }
        Some(self.asked.entry(start).or_default().subscribe())
    }

    /// The page to read now: the next one on the way through the log that anybody still waits for.
    fn turn(&mut self) -> Option<u64> {
        loop {
            let (start, told) = self.asked.range(self.place..).next().or_else(|| self.asked.first_key_value())?;
            let (start, is_wanted) = (*start, told.receiver_count() > 0);
            if is_wanted {
                self.place = start + 1;
                return Some(start);
            }
            self.asked.remove(&start);
        }
    }

    fn answer(&mut self, start: u64, page: Option<Arc<Segment>>) {
        let answer = page.as_ref().map(|page| (page.first(), page.next()));
        if let Some(page) = page {
            self.held.add(page);
        }
        if let Some(told) = self.asked.remove(&start) {
            told.send_replace(Some(answer));
        }
    }
}

/// Pages in memory, with when each was last used.
#[derive(Default)]
struct Held {
    pages: Vec<(u64, Arc<Segment>)>,
    bytes: usize,
    uses: u64,
}

impl Held {
    /// The page with this number.
    fn find(&mut self, number: u64) -> Option<Arc<Segment>> {
        let (used, page) = self.pages.iter_mut().find(|(_, page)| page.first() <= number && number < page.next())?;
        self.uses += 1;
        *used = self.uses;
        Some(Arc::clone(page))
    }

    /// Where the page with this number begins, as far as can be said before it is read: at its fixed place, or after what is
    /// held of that already, since a page was full before or the log ended there.
    fn start(&self, number: u64) -> u64 {
        let fixed = number - number % PAGE;
        let ends = self.pages.iter().map(|(_, page)| page.next());
        ends.filter(|end| (fixed..=number).contains(end)).max().unwrap_or(fixed)
    }

    /// Holds a page if there is anything on it, and lets go of others at the limits.
    fn add(&mut self, page: Arc<Segment>) {
        if page.first() == page.next() {
            return;
        }
        self.uses += 1;
        self.bytes += page.bytes();
        self.pages.push((self.uses, page));
        while self.pages.len() > MAX_HELD || self.bytes > MAX_HELD_BYTES && self.pages.len() > 1 {
            let oldest = self.pages.iter().enumerate().min_by_key(|(_, (used, _))| *used);
            let Some((place, _)) = oldest else { return };
            let (_, oldest) = self.pages.swap_remove(place);
            self.bytes -= oldest.bytes();
        }
    }
}

/// Reads the page that begins at this number, or where the log begins by now.
fn page(log: &EventLog, start: u64) -> Result<Segment, StoreError> {
    // Asked first: what comes while the page is read is not on it.
    let end = log.extent().next;
    let until = start - start % PAGE + PAGE;
    let mut entries = log.read(start.saturating_sub(1), (until - start) as usize, PAGE_BYTES)?;
    let first = entries.first().map_or(end, |entry| entry.id);
    // Where the log has lost its beginning meanwhile, so many entries go beyond the page.
    entries.retain(|entry| entry.id < until);
    let next = entries.last().map_or(first, |last| last.id + 1);
    let events = entries.into_iter().filter_map(|entry| {
        let event = Logged::from_bytes(EventId(entry.id), &entry.bytes);
        if event.is_none() {
            tracing::error!(id = entry.id, "an event in the log cannot be read and is left out");
        }
        event
    });
    Ok(Segment::new(events.collect(), first, next))
}

#[cfg(test)]
mod tests {
    use hookswitch_store::{LogBatch, LogEntry, LogKeeps};

    use super::*;

    /// A page with these numbers, and an event of so many bytes on it.
    fn page(first: u64, next: u64, bytes: usize) -> Arc<Segment> {
        let event = Logged {
            id: EventId(first),
            at: Duration::ZERO,
            kind: "call.bridged".into(),
            call: None,
            seq: None,
            webhook: None,
            domains: Vec::new(),
            text: "x".repeat(bytes).into(),
        };
        Arc::new(Segment::new(vec![event], first, next))
    }

    fn nth(number: u64, bytes: usize) -> Arc<Segment> {
        page(number * PAGE, (number + 1) * PAGE, bytes)
    }

    #[test]
    fn the_pages_that_nobody_has_used_for_longest_go_at_the_limits() {
        let mut held = Held::default();
        (0..MAX_HELD as u64).for_each(|number| held.add(nth(number, 100)));
        assert!(held.find(PAGE - 1).is_some_and(|page| page.first() == 0));
        held.add(nth(100, 100));
        assert_eq!((held.pages.len(), held.bytes), (MAX_HELD, 100 * MAX_HELD));
        assert!(held.find(0).is_some() && held.find(PAGE).is_none() && held.find(2 * PAGE).is_some());
        (200..240).for_each(|number| held.add(nth(number, 1 << 20)));
        assert!(held.bytes <= MAX_HELD_BYTES && held.bytes > MAX_HELD_BYTES - (1 << 20), "{}", held.bytes);
        assert!(held.find(239 * PAGE).is_some());
        // One alone may be larger.
        held.add(nth(300, MAX_HELD_BYTES + 1));
        assert_eq!((held.pages.len(), held.bytes), (1, MAX_HELD_BYTES + 1));
        held.add(page(301 * PAGE, 301 * PAGE, 1));
        assert_eq!(held.pages.len(), 1, "nothing is on that page");
    }

    #[test]
    fn a_page_begins_at_a_fixed_number_or_where_what_is_held_of_it_ends() {
        let mut held = Held::default();
        assert_eq!((held.start(0), held.start(PAGE - 1), held.start(PAGE + 7)), (0, 0, PAGE));
        held.add(page(PAGE, PAGE + 10, 1));
        assert_eq!(held.start(PAGE + 5), PAGE);
        assert_eq!((held.start(PAGE + 10), held.start(PAGE + 99)), (PAGE + 10, PAGE + 10));
        held.add(page(PAGE + 10, PAGE + 20, 1));
        assert_eq!((held.start(PAGE + 99), held.start(2 * PAGE)), (PAGE + 20, 2 * PAGE));
    }

    /// Reads one page in the place of the thread.
    fn turn(state: &mut State) -> Option<u64> {
        let start = state.turn()?;
        state.answer(start, Some(page(start, start + PAGE, 1)));
        Some(start)
    }

    #[test]
    fn the_thread_goes_through_the_log_and_takes_along_who_wants_the_next_page() {
        let mut state = State::default();
        let _far = [9 * PAGE, 3 * PAGE, 5 * PAGE].map(|start| state.ask(start).unwrap());
        assert_eq!(turn(&mut state), Some(3 * PAGE));
        // One who was on that page, and one who is further behind: he is next when the end is reached.
        let _near = [4 * PAGE, PAGE].map(|start| state.ask(start).unwrap());
        let order: Vec<u64> = std::iter::from_fn(|| turn(&mut state)).collect();
        assert_eq!(order, [4 * PAGE, 5 * PAGE, 9 * PAGE, PAGE]);
        assert!(state.asked.is_empty());
    }

    #[test]
    fn all_who_ask_for_a_page_are_told_at_once_and_nobody_else_is_read_for() {
        let mut state = State::default();
        let told = [PAGE; 3].map(|start| state.ask(start).unwrap());
        drop(state.ask(0).unwrap());
        assert_eq!(turn(&mut state), Some(PAGE));
        assert!(told.iter().all(|told| *told.borrow() == Some(Some((PAGE, 2 * PAGE)))));
        assert_eq!(turn(&mut state), None);
        let failed = state.ask(PAGE).unwrap();
        state.answer(PAGE, None);
        assert_eq!(*failed.borrow(), Some(None));
    }

    #[test]
    fn who_asks_for_a_page_too_many_has_to_come_again() {
        let mut state = State::default();
        let mut asking: Vec<_> = (0..MAX_ASKED as u64).map(|page| state.ask(page * PAGE).unwrap()).collect();
        let one_more = MAX_ASKED as u64 * PAGE;
        assert!(state.ask(one_more).is_none() && state.ask(0).is_some());
        // Those who have given up make room.
        asking.truncate(MAX_ASKED / 2);
        assert!(state.ask(one_more).is_some());
        assert_eq!(state.asked.len(), MAX_ASKED / 2 + 1);
    }

    #[tokio::test]
    async fn nothing_is_held_when_nobody_has_asked_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(EventLog::open(folder.path(), 1).unwrap());
        let entries = vec![LogEntry { id: 1, at: 0, bytes: Box::from(*b"?") }];
        let keeps = LogKeeps { since: 0, entries: 9, bytes: 99 };
        log.append(&Arc::new(LogBatch { entries, notes: Vec::new() }), &keeps).unwrap();
        let (pages, thread) = Pages::start_with(log, Duration::from_millis(1)).unwrap();
        for _ in 0..3 {
            let reads = pages.reads();
            assert!(matches!(pages.read(1).await, Read::Page(page) if page.next() == 2));
            assert!(pages.reads() > reads);
            while pages.held() != (0, 0) {
                thread::yield_now();
            }
        }
        pages.stop();
        thread.join().unwrap();
        assert!(matches!(pages.read(1).await, Read::Ended));
    }
}
