//! Many readers that are far behind: what that costs the disk and the memory, and that each gets its events once and in
//! order.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hookswitch_dialect::journal::{EventId, Filter, Logged};
use hookswitch_store::{EventLog, LogBatch, LogEntry, LogKeeps};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::pages::{MAX_HELD, MAX_HELD_BYTES, PAGE};
use super::{JournalConfig, JournalThread, Reader};

const PATIENCE: Duration = Duration::from_secs(60);

/// The first number of a log; a page does not begin there.
const FIRST: u64 = 1_000_000;

/// An event of one of so many domains, in turns, with a text of so many bytes.
fn event(id: u64, domains: u64, bytes: usize) -> Logged {
    Logged {
        id: EventId(id),
        at: std::time::UNIX_EPOCH.elapsed().unwrap(),
        kind: "call.bridged".into(),
        call: None,
        seq: None,
        webhook: None,
        domains: vec![domain(id, domains)],
        text: "x".repeat(bytes).into(),
    }
}

fn domain(id: u64, domains: u64) -> compact_str::CompactString {
    compact_str::format_compact!("{}.test", id % domains)
}

/// Starts with a log of these entries, none of which is in memory.
fn start(folder: &Path, entries: Vec<LogEntry>) -> JournalThread {
    let log = EventLog::open(folder, FIRST).unwrap();
    let keeps = LogKeeps { since: 0, entries: u64::MAX, bytes: u64::MAX };
    let mut batches = vec![LogBatch::default()];
    let mut bytes = 0;
    for entry in entries {
        bytes += entry.bytes.len();
        if bytes > 1 << 20 {
            batches.push(LogBatch::default());
            bytes = 0;
        }
        batches.last_mut().unwrap().entries.push(entry);
    }
    batches.into_iter().for_each(|batch| log.append(&Arc::new(batch), &keeps).unwrap());
    log.close();
    JournalThread::start(&JournalConfig::new(Some(folder.to_owned()))).unwrap()
}

fn entries(count: u64, domains: u64, bytes: usize) -> Vec<LogEntry> {
    (FIRST..FIRST + count).map(|id| entry(&event(id, domains, bytes))).collect()
}

fn entry(event: &Logged) -> LogEntry {
    LogEntry { id: event.id.0, at: event.at.as_millis() as u64, bytes: event.to_bytes().into() }
}

/// Reads what was there before the start.
async fn read(mut reader: Reader, end: u64) -> Vec<u64> {
    let mut ids = Vec::new();
    while reader.position().0 + 1 < end {
        let events = timeout(PATIENCE, reader.next()).await.expect("nothing comes").unwrap();
        ids.extend(events.iter().map(|event| event.id.0).filter(|id| *id < end));
        if events.iter().any(|event| event.id.0 >= end) {
            break;
        }
    }
    ids
}

/// Has one reader for each domain read everything at the same time, the Nth from the Nth event on, and looks whether it was
/// right. Returns how many pages were read from the disk.
async fn read_all(thread: &JournalThread, readers: u64, count: u64) -> u64 {
    let (journal, mut tasks, end) = (thread.handle(), JoinSet::new(), FIRST + count);
    for reader in 0..readers {
        // What the start tells is of no domain and ends the reading.
        let filter = Filter { domains: vec![domain(reader, readers)], ..Filter::default() };
        let place = FIRST + reader;
        let mut expected = (place..end).skip_while(move |id| id % readers != reader).step_by(readers as usize);
        let (last, opened) = (expected.clone().last(), journal.reader(Some(EventId(place - 1)), filter));
        tasks.spawn(async move {
            let read = read(opened, last.map_or(place, |last| last + 1)).await;
            assert!(read.iter().copied().eq(&mut expected), "reader {reader}: {read:?}");
        });
    }
    tasks.join_all().await;
    journal.pages_read()
}

#[tokio::test]
async fn a_thousand_readers_that_come_back_together_cost_the_disk_as_much_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let count = 20 * PAGE;
    let thread = start(folder.path(), entries(count, 1_000, 300));
    let pages = (FIRST + count).div_ceil(PAGE) - FIRST / PAGE;
    assert_eq!(read_all(&thread, 1_000, count).await, pages);
    // Nor does one who comes later, as long as the pages are held.
    let everything = thread.handle().reader(Some(EventId(FIRST - 1)), Filter::default());
    assert_eq!(read(everything, FIRST + count).await, (FIRST..FIRST + count).collect::<Vec<_>>());
    assert_eq!(thread.handle().pages_read(), pages);
}

#[tokio::test]
async fn readers_further_behind_than_pages_are_held_go_through_the_log_together() {
    let folder = tempfile::tempdir().unwrap();
    let pages = 2 * MAX_HELD as u64;
    let thread = start(folder.path(), entries(pages * PAGE, 100, 10));
    let read = read_all(&thread, 100, pages * PAGE).await;
    // Alone each would have to read them all.
    assert!(read >= pages && read < 2 * pages, "{read} pages were read, of {pages}");
    let held = thread.handle().shared.pages.as_ref().unwrap().held();
    assert!(held.0 == MAX_HELD && held.1 <= MAX_HELD_BYTES, "{held:?}");
}

#[tokio::test]
async fn events_of_which_few_have_room_on_a_page_come_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    // Five have room on a page, and all are between two fixed ends.
    let (count, readers) = (100, 7);
    let thread = start(folder.path(), entries(count, readers, 200_000));
    let read = read_all(&thread, readers, count).await;
    let held = thread.handle().shared.pages.as_ref().unwrap().held();
    assert!(held.1 <= MAX_HELD_BYTES, "{held:?}");
    assert!(read < 2 * count / 5, "{read} pages were read");
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_left_out_and_costs_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut damaged = entries(100, 1, 300);
    damaged[40].bytes = Box::from(*b"?");
    let thread = start(folder.path(), damaged);
    for place in [FIRST, FIRST + 40, FIRST + 41] {
        let reader = thread.handle().reader(Some(EventId(place - 1)), Filter::default());
        let expected: Vec<u64> = (place..FIRST + 100).filter(|id| *id != FIRST + 40).collect();
        assert_eq!(read(reader, FIRST + 100).await, expected);
    }
    assert_eq!(thread.handle().pages_read(), 1);
}
