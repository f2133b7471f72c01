//! The log of events while it runs: who reads what, how far back, and what a restart keeps.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hookswitch_call::{CallId, Cause, Event, Told};
use hookswitch_dialect::journal::{Entry, EventId, Filter, Logged, TrunkWord};
use hookswitch_drive::journal::{READ_AT_ONCE, RING_EVENTS, Reader};
use hookswitch_drive::{JournalConfig, JournalHandle, JournalThread};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

fn start(folder: Option<&Path>) -> JournalThread {
    JournalThread::start(&JournalConfig::new(folder.map(Path::to_owned))).unwrap()
}

fn told(call: u64, event: Event) -> Entry {
    Entry::Call(Told { at: now(), seq: 0, call: CallId(call), owner: None, event }, None)
}

fn now() -> Duration {
    std::time::UNIX_EPOCH.elapsed().unwrap()
}

fn incoming(call: u64, domain: &str) -> Entry {
    let from = format!("sip:alice@{domain}");
    told(call, Event::Incoming { from: from.as_str().into(), to: "tel:1".into() })
}

fn ended(call: u64) -> Entry {
    told(call, Event::Ended { cause: Cause::hangup(), talked: Duration::ZERO })
}

async fn read(reader: &mut Reader, count: usize) -> Vec<Arc<Logged>> {
    let mut events = Vec::new();
    while events.len() < count {
        let more = timeout(PATIENCE, reader.next()).await.expect("nothing comes").unwrap();
        assert!(!more.is_empty() && more.len() <= READ_AT_ONCE);
        events.extend(more);
    }
    assert_eq!(events.len(), count, "more came than was told");
    events
}

fn ids(events: &[Arc<Logged>]) -> Vec<u64> {
    events.iter().map(|event| event.id.0).collect()
}

/// The name of an event before all that follow: one of a trunk, after everything that was told before.
async fn here(journal: &JournalHandle) -> EventId {
    let trunk = Filter { kinds: vec!["trunk.left".into()], ..Filter::default() };
    let mut reader = journal.reader(None, trunk);
    let (trunk, text) = ("marker".into(), "".into());
    journal.push(Entry::Trunk { at: now(), trunk, what: TrunkWord::Left, text });
    read(&mut reader, 1).await[0].id
}

#[tokio::test]
async fn a_reader_gets_what_comes_after_its_place_in_order() {
    for in_memory in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let thread = start((!in_memory).then(|| folder.path()));
        let journal = thread.handle();
        let start = here(&journal).await;
        let mut from_now = journal.reader(None, Filter::default());
        for call in 0..600 {
            journal.push(incoming(call, "a.test"));
        }
        let mut after = journal.reader(Some(start), Filter::default());
        let expected: Vec<u64> = (start.0 + 1..=start.0 + 600).collect();
        assert_eq!(ids(&read(&mut after, 600).await), expected);
        assert_eq!(ids(&read(&mut from_now, 600).await), expected);
        assert_eq!(after.position(), EventId(start.0 + 600));
        assert!(timeout(Duration::from_millis(20), after.next()).await.is_err(), "there is nothing more");
        journal.push(ended(3));
        assert_eq!(read(&mut after, 1).await[0].kind, "call.ended");
        assert_eq!(journal.readers(), 2);
        drop((after, from_now));
        assert_eq!(journal.readers(), 0);
    }
}

#[tokio::test]
async fn a_filter_leaves_out_the_rest() {
    let thread = start(None);
    let journal = thread.handle();
    let start = here(&journal).await;
    for call in 0..1_000 {
        journal.push(incoming(call, if call % 10 == 0 { "a.test" } else { "b.test" }));
        journal.push(ended(call));
    }
    let reader = |filter| journal.reader(Some(start), filter);
    let mut domain = reader(Filter { domains: vec!["a.test".into()], ..Filter::default() });
    assert!(read(&mut domain, 200).await.iter().all(|event| event.domains[0] == "a.test"));
    let mut call = reader(Filter { calls: vec![CallId(7)], ..Filter::default() });
    assert_eq!(
        read(&mut call, 2).await.iter().map(|event| &*event.kind).collect::<Vec<_>>(),
        ["call.incoming", "call.ended"]
    );
    let mut ends = reader(Filter { kinds: vec!["call.ended".into()], ..Filter::default() });
    assert_eq!(read(&mut ends, 1_000).await.len(), 1_000);
}

#[tokio::test]
async fn what_has_left_the_memory_is_read_from_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let thread = start(Some(folder.path()));
    let journal = thread.handle();
    let start = here(&journal).await;
    let count = RING_EVENTS + 5_000;
    let mut newest = journal.reader(None, Filter::default());
    for call in 0..count as u64 {
        journal.push(incoming(call, "a.test"));
        if call % 1_000 == 0 {
            tokio::task::yield_now().await;
        }
        if call % 4_096 == 0 {
            // No more than the queue takes.
            while journal.newest().0 + 8_192 < start.0 + call {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
    let mut slow = journal.reader(Some(start), Filter::default());
    let expected: Vec<u64> = (start.0 + 1..=start.0 + count as u64).collect();
    assert_eq!(ids(&read(&mut slow, count).await), expected);
    assert_eq!(ids(&read(&mut newest, count).await), expected);
    let rare = Filter { calls: vec![CallId(5)], ..Filter::default() };
    let mut rare = journal.reader(Some(start), rare);
    assert_eq!(ids(&read(&mut rare, 1).await), [start.0 + 6]);
}

#[tokio::test]
async fn a_reader_that_is_dropped_while_it_waits_for_the_disk_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let thread = start(Some(folder.path()));
    let journal = thread.handle();
    let start = here(&journal).await;
    let count = 3 * RING_EVENTS as u64;
    for call in 0..count {
        journal.push(incoming(call, if call % 100 == 0 { "rare.test" } else { "a.test" }));
        while call % 1_000 == 0 && journal.newest().0 + 8_192 < start.0 + call {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    while journal.newest().0 < start.0 + count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Few of a page are wanted, so that one answer takes many pages: somebody else has something to say meanwhile.
    let rare = Filter { domains: vec!["rare.test".into()], ..Filter::default() };
    let mut reader = journal.reader(Some(start), rare);
    let (mut random, mut seen, mut dropped) = (StdRng::seed_from_u64(2), Vec::new(), 0);
    while seen.len() < count.div_ceil(100) as usize {
        match timeout(Duration::from_millis(random.random_range(1..10)), reader.next()).await {
            Ok(events) => seen.extend(events.unwrap()),
            Err(_) => dropped += 1,
        }
    }
    let expected: Vec<u64> = (0..count).step_by(100).map(|call| start.0 + 1 + call).collect();
    assert_eq!(ids(&seen), expected, "it was dropped {dropped} times");
}

#[tokio::test]
async fn a_reader_of_a_quiet_domain_is_woken_by_its_own_events_and_has_missed_none() {
    let folder = tempfile::tempdir().unwrap();
    let config = JournalConfig { max_events: 1_000, ..JournalConfig::new(Some(folder.path().to_owned())) };
    let thread = JournalThread::start(&config).unwrap();
    let journal = thread.handle();
    let start = here(&journal).await;
    let of = |domain: &str| Filter { domains: vec![domain.into()], ..Filter::default() };
    let (mut quiet, mut busy) = (journal.reader(None, of("quiet.test")), journal.reader(None, of("busy.test")));
    assert!(timeout(Duration::from_millis(20), quiet.next()).await.is_err(), "nothing has happened");
    // So much that the quiet one's place is in the log no more.
    let count = RING_EVENTS as u64 + 10_000;
    for call in 0..count {
        journal.push(incoming(call, "busy.test"));
        if call % 100 == 99 {
            read(&mut busy, 100).await;
        }
    }
    assert!(journal.oldest() > start);
    assert!(timeout(Duration::from_millis(20), quiet.next()).await.is_err(), "nothing was about it");
    for call in [count, count + 1] {
        journal.push(incoming(call, "quiet.test"));
        assert_eq!(ids(&read(&mut quiet, 1).await), [start.0 + 1 + call]);
    }
    assert_eq!(quiet.position(), journal.newest());
}

#[tokio::test]
async fn a_restart_goes_on_with_the_numbers_and_ends_the_calls_that_it_has_cost() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(Some(folder.path()));
    let before = here(&first.handle()).await;
    for entry in [incoming(1, "a.test"), incoming(2, "b.test"), ended(2)] {
        first.handle().push(entry);
    }
    first.stop();

    let second = start(Some(folder.path()));
    let journal = second.handle();
    let mut reader = journal.reader(Some(before), Filter::default());
    let events = read(&mut reader, 5).await;
    assert_eq!(ids(&events), (before.0 + 1..=before.0 + 5).collect::<Vec<_>>());
    let kinds: Vec<&str> = events.iter().map(|event| &*event.kind).collect();
    assert_eq!(kinds, ["call.incoming", "call.incoming", "call.ended", "log.started", "call.ended"]);
    assert!(events[3].text.contains(r#""calls":["call_000000000001"]"#), "{}", events[3].text);
    assert_eq!((events[4].call, events[4].seq), (Some(CallId(1)), Some(1)));
    second.stop();
    // Whose end was told is not told again.
    let third = start(Some(folder.path()));
    let mut reader = third.handle().reader(Some(EventId(before.0 + 5)), Filter::default());
    assert!(read(&mut reader, 1).await[0].text.contains(r#""lost":0"#));
}

#[tokio::test]
async fn a_place_that_is_too_old_or_of_another_log_is_an_error_that_names_the_oldest() {
    let folder = tempfile::tempdir().unwrap();
    let config = JournalConfig { max_events: 1_000, ..JournalConfig::new(Some(folder.path().to_owned())) };
    let thread = JournalThread::start(&config).unwrap();
    let journal = thread.handle();
    let start = here(&journal).await;
    let mut reader = journal.reader(None, Filter::default());
    // The ring in memory forgets whole batches, so it is filled as well.
    let count = RING_EVENTS as u64 + 10_000;
    for call in 0..count {
        journal.push(incoming(call, "a.test"));
        while call % 1_000 == 0 && journal.newest().0 + 8_192 < start.0 + call {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    // What is in memory can be read in any case.
    let is_trimmed = || journal.newest().0 - journal.oldest().0 < RING_EVENTS as u64;
    let trimmed = async {
        while journal.newest().0 < start.0 + count || !is_trimmed() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, trimmed).await.unwrap();
    let expired = timeout(PATIENCE, reader.next()).await.unwrap().unwrap_err();
    assert_eq!((expired.after, expired.oldest), (start, journal.oldest()));
    assert!(journal.oldest() > start);
    for place in [EventId(1), EventId(journal.newest().0 + 1), EventId(u64::MAX)] {
        let expired = journal.reader(Some(place), Filter::default()).next().await.unwrap_err();
        assert_eq!(expired.oldest, journal.oldest());
    }
    let mut newest = journal.reader(Some(journal.newest()), Filter::default());
    assert!(timeout(Duration::from_millis(20), newest.next()).await.is_err());
}

#[tokio::test]
async fn a_new_log_never_gives_the_numbers_of_one_that_was_lost() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(Some(folder.path()));
    let last = here(&first.handle()).await;
    first.stop();
    std::fs::remove_file(folder.path().join("events.redb")).unwrap();
    let second = start(Some(folder.path()));
    let journal = second.handle();
    here(&journal).await;
    assert!(journal.oldest() > last);
    let expired = journal.reader(Some(last), Filter::default()).next().await.unwrap_err();
    assert_eq!(expired.oldest, journal.oldest());
}

/// One who reads what he wants, goes away at any moment, and comes back after the last event that he has seen.
struct Wanderer {
    filter: Filter,
    reader: Option<Reader>,
    last: EventId,
    seen: Vec<Arc<Logged>>,
}

impl Wanderer {
    async fn turn(&mut self, journal: &JournalHandle, random: &mut StdRng) {
        match self.reader.take() {
            None => self.reader = Some(journal.reader(Some(self.last), self.filter.clone())),
            Some(mut reader) if random.random_ratio(2, 3) => {
                let events = reader.ready(random.random_range(1..=READ_AT_ONCE)).await.unwrap();
                // Nothing wanted up to here: he may as well come back to this place.
                self.last = reader.position();
                self.seen.extend(events);
                self.reader = Some(reader);
            }
            Some(_) => {}
        }
    }
}

#[tokio::test]
async fn readers_that_come_and_go_in_any_mix_get_what_they_want_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = StdRng::seed_from_u64(20_261_122);
    let mut thread = start(Some(folder.path()));
    let first = here(&thread.handle()).await;
    let mut wanderers: Vec<Wanderer> = (0..60)
        .map(|_| {
            let mut any = |all: &[&str]| -> Vec<compact_str::CompactString> {
                all.iter().filter(|_| random.random_ratio(1, 3)).map(|one| (*one).into()).collect()
            };
            let (domains, kinds) = (any(&["a.test", "b.test", "c.test"]), any(&["call.*", "call.ended", "log.*"]));
            let filter = Filter { domains, kinds, ..Filter::default() };
            Wanderer { filter, reader: None, last: first, seen: Vec::new() }
        })
        .collect();
    for round in 0..40 {
        let journal = thread.handle();
        for _ in 0..random.random_range(0..400) {
            let call = round * 1_000 + random.random_range(0..50);
            let domain = ["a.test", "b.test", "c.test"][random.random_range(0..3)];
            journal.push(if random.random_ratio(1, 2) { incoming(call, domain) } else { ended(call) });
        }
        for wanderer in &mut wanderers {
            wanderer.turn(&journal, &mut random).await;
        }
        if round % 13 == 12 {
            wanderers.iter_mut().for_each(|wanderer| wanderer.reader = None);
            thread.stop();
            thread = start(Some(folder.path()));
            here(&thread.handle()).await;
        }
    }
    // A log that is opened anew has everything.
    wanderers.iter_mut().for_each(|wanderer| wanderer.reader = None);
    thread.stop();
    let thread = start(Some(folder.path()));
    let journal = thread.handle();
    here(&journal).await;
    let everything = everything(&journal, first).await;
    for mut wanderer in wanderers {
        let mut reader = journal.reader(Some(wanderer.last), wanderer.filter.clone());
        while reader.position() < journal.newest() {
            wanderer.seen.extend(reader.ready(READ_AT_ONCE).await.unwrap());
        }
        let expected: Vec<_> = everything.iter().filter(|event| wanderer.filter.wants(event)).cloned().collect();
        assert_eq!(wanderer.seen, expected, "{:?}", wanderer.filter);
    }
}

async fn everything(journal: &JournalHandle, after: EventId) -> Vec<Arc<Logged>> {
    let mut reader = journal.reader(Some(after), Filter::default());
    let mut all = Vec::new();
    while reader.position() < journal.newest() {
        all.extend(reader.ready(READ_AT_ONCE).await.unwrap());
    }
    assert_eq!(ids(&all), (after.0 + 1..=journal.newest().0).collect::<Vec<_>>());
    all
}
