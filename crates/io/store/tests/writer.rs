//! Changes are gathered into commits, acknowledged, tried again, and bounded.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hookswitch_store::{
    Committed, LAZY, MAX_PENDING, PACE, QueueFull, Store, StoreError, Table, Ticket, Write, Writer,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// A store whose every commit waits for a word from the test.
struct Gated {
    verdicts: Receiver<Result<(), StoreError>>,
    started: Sender<()>,
    commits: Arc<Mutex<Vec<Vec<Write>>>>,
}

struct Bench {
    verdicts: Sender<Result<(), StoreError>>,
    started: Receiver<()>,
    commits: Arc<Mutex<Vec<Vec<Write>>>>,
    acknowledged: Receiver<Committed>,
    writer: Writer,
}

impl Store for Gated {
    fn load(&mut self, _: Table, _: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        Ok(())
    }

    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        self.commits.lock().unwrap().push(writes.to_vec());
        self.started.send(()).unwrap();
        // A test that has ended asks for nothing more.
        self.verdicts.recv().unwrap_or(Ok(()))
    }
}

fn bench() -> Bench {
    let (verdicts, verdicts_in) = channel();
    let (started_out, started) = channel();
    let (acknowledge, acknowledged) = channel();
    let commits = Arc::new(Mutex::new(Vec::new()));
    let store = Gated { verdicts: verdicts_in, started: started_out, commits: Arc::clone(&commits) };
    let committed = move |committed| {
        let _ = acknowledge.send(committed);
    };
    let writer = Writer::start(Box::new(store), committed).unwrap();
    Bench { verdicts, started, commits, acknowledged, writer }
}

fn put(key: &str, value: &str) -> Write {
    Write::put(Table::Directory, key.as_bytes(), value.as_bytes().to_vec())
}

#[test]
fn what_is_queued_during_a_commit_shares_the_next_one() {
    let bench = bench();
    let first = bench.writer.push(put("a", "1")).unwrap();
    bench.started.recv_timeout(PATIENCE).unwrap();
    let mut last = first;
    for index in 0..100 {
        last = bench.writer.push(put(&format!("key {index}"), "1")).unwrap();
    }
    // Two changes of one entry: only the newer one is worth writing.
    bench.writer.push(put("b", "old")).unwrap();
    last = last.max(bench.writer.push(put("b", "new")).unwrap());
    bench.verdicts.send(Ok(())).unwrap();
    let done = bench.acknowledged.recv_timeout(PATIENCE).unwrap();
    assert_eq!(done.up_to, first);
    bench.verdicts.send(Ok(())).unwrap();
    let done = bench.acknowledged.recv_timeout(PATIENCE).unwrap();
    assert_eq!(done.up_to, last);
    let commits = bench.commits.lock().unwrap();
    assert_eq!(commits.iter().map(Vec::len).collect::<Vec<_>>(), [1, 101]);
    assert!(commits[1].contains(&put("b", "new")));
}

#[test]
fn what_can_wait_is_gathered_for_a_while() {
    let bench = bench();
    let began = Instant::now();
    bench.writer.push_lazily(put("b", "1")).unwrap();
    bench.writer.push_lazily(put("a", "1")).unwrap();
    bench.started.recv_timeout(PATIENCE).unwrap();
    assert!(began.elapsed() >= LAZY);
    assert_eq!(bench.commits.lock().unwrap()[0], [put("a", "1"), put("b", "1")], "in the order of their keys");
}

#[test]
fn what_cannot_wait_takes_along_what_can() {
    let bench = bench();
    bench.writer.push(put("first", "")).unwrap();
    bench.started.recv_timeout(PATIENCE).unwrap();
    bench.writer.push_lazily(put("a", "1")).unwrap();
    let last = bench.writer.push(put("b", "1")).unwrap();
    bench.verdicts.send(Ok(())).unwrap();
    bench.acknowledged.recv_timeout(PATIENCE).unwrap();
    bench.started.recv_timeout(PATIENCE).unwrap();
    bench.verdicts.send(Ok(())).unwrap();
    assert_eq!(bench.acknowledged.recv_timeout(PATIENCE).unwrap().up_to, last);
    assert_eq!(bench.commits.lock().unwrap()[1].len(), 2);
}

#[test]
fn a_failed_commit_is_reported_and_tried_again_with_what_is_newer() {
    let bench = bench();
    bench.writer.push(put("a", "old")).unwrap();
    bench.writer.push(put("a", "old")).unwrap();
    bench.started.recv_timeout(PATIENCE).unwrap();
    bench.writer.push(put("a", "new")).unwrap();
    let error = StoreError::Io { path: "/state".into(), source: std::io::ErrorKind::StorageFull.into() };
    bench.verdicts.send(Err(error)).unwrap();
    let failed = bench.acknowledged.recv_timeout(PATIENCE).unwrap();
    assert!(failed.result.is_err());
    bench.verdicts.send(Ok(())).unwrap();
    let done = bench.acknowledged.recv_timeout(PATIENCE).unwrap();
    assert_eq!(done.up_to, Ticket(3));
    assert!(done.result.is_ok());
    assert_eq!(bench.commits.lock().unwrap().last().unwrap(), &[put("a", "new")]);
}

#[test]
fn the_queue_has_a_limit_and_known_entries_still_fit() {
    let bench = bench();
    bench.writer.push(put("first", "")).unwrap();
    bench.started.recv_timeout(PATIENCE).unwrap();
    for index in 0..MAX_PENDING {
        bench.writer.push(put(&index.to_string(), "")).unwrap();
    }
    assert_eq!(bench.writer.push(put("one more", "")), Err(QueueFull));
    assert!(bench.writer.push(put("7", "changed")).is_ok());
    bench.verdicts.send(Ok(())).unwrap();
    bench.acknowledged.recv_timeout(PATIENCE).unwrap();
    bench.started.recv_timeout(PATIENCE).unwrap();
    assert!(bench.writer.push(put("one more", "")).is_ok());
}

#[test]
fn the_queue_has_a_limit_in_bytes_too() {
    let bench = bench();
    bench.writer.push(put("first", "")).unwrap();
    bench.started.recv_timeout(PATIENCE).unwrap();
    let mut full = false;
    for index in 0..20_u8 {
        let large = Write::put(Table::Directory, &[index], vec![0; 16 * 1024 * 1024]);
        full |= bench.writer.push(large).is_err();
    }
    assert!(full);
}

#[test]
fn stopping_commits_what_is_queued() {
    let bench = bench();
    for key in ["a", "b", "c"] {
        bench.writer.push(put(key, "1")).unwrap();
    }
    drop(bench.verdicts);
    bench.writer.stop().unwrap();
    let commits = bench.commits.lock().unwrap();
    assert_eq!(commits.iter().map(Vec::len).sum::<usize>(), 3);
}

#[test]
fn stopping_tells_of_what_could_not_be_stored() {
    let bench = bench();
    let error = || StoreError::Io { path: "/state".into(), source: std::io::ErrorKind::StorageFull.into() };
    bench.writer.push(put("a", "1")).unwrap();
    bench.verdicts.send(Err(error())).unwrap();
    bench.verdicts.send(Err(error())).unwrap();
    assert!(bench.acknowledged.recv_timeout(PATIENCE).unwrap().result.is_err());
    assert!(bench.writer.stop().is_err());
}

/// A store that tells when its commits begin.
struct Timed(Sender<Instant>);

impl Store for Timed {
    fn load(&mut self, _: Table, _: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        Ok(())
    }

    fn commit(&mut self, _: &[Write]) -> Result<(), StoreError> {
        let _ = self.0.send(Instant::now());
        Ok(())
    }
}

#[test]
fn changes_that_come_all_the_time_share_commits_that_have_a_pace() {
    let (began, begins) = channel();
    let writer = Writer::start(Box::new(Timed(began)), |_| {}).unwrap();
    let end = Instant::now() + 20 * PACE;
    let mut changes = 0;
    while Instant::now() < end {
        writer.push(put(&format!("key {}", changes % 100), "1")).unwrap();
        changes += 1;
    }
    writer.stop().unwrap();
    let times: Vec<Instant> = begins.iter().collect();
    assert!(times.len() > 1 && changes > 10 * times.len(), "{changes} changes in {} commits", times.len());
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= PACE), "{times:?}");
}
