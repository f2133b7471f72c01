//! The log of events on the disk: what is kept, what is thrown out, and what a crash leaves.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookswitch_store::{
    EventLog, LOG_AHEAD_NAME, LOG_FILE_NAME, LogBatch, LogEntry, LogKeeps, LogNote, StoreError, Trimmed,
};

const FIRST: u64 = 1_000;
const ALL: LogKeeps = LogKeeps { since: 0, entries: u64::MAX, bytes: u64::MAX };

/// Entries differ in length, so that pages split and move.
fn entry(id: u64) -> LogEntry {
    LogEntry { id, at: id, bytes: id.to_string().repeat(1 + (id % 97) as usize).into_bytes().into() }
}

fn entries(ids: std::ops::Range<u64>) -> Vec<LogEntry> {
    ids.map(entry).collect()
}

fn note(key: &str, value: Option<&str>) -> LogNote {
    LogNote { key: key.as_bytes().into(), value: value.map(|value| value.as_bytes().into()) }
}

fn notes(log: &EventLog) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    log.notes(|key, value| all.push((text(key), text(value)))).unwrap();
    all
}

fn append(log: &EventLog, entries: &[LogEntry], notes: &[LogNote], keeps: &LogKeeps) -> Result<(), StoreError> {
    log.append(&Arc::new(LogBatch { entries: entries.to_vec(), notes: notes.to_vec() }), keeps)
}

/// The same, and what it throws out.
fn trim(log: &EventLog, entries: &[LogEntry], keeps: &LogKeeps) -> Trimmed {
    append(log, entries, &[], keeps).unwrap();
    log.settle().unwrap();
    log.take_trimmed()
}

#[test]
fn entries_come_back_in_pages_and_notes_until_they_are_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let log = EventLog::open(folder.path(), FIRST).unwrap();
    assert_eq!((log.extent().first, log.extent().next, log.extent().entries()), (FIRST, FIRST, 0));
    assert!(log.read(0, 10, 1_000).unwrap().is_empty());
    append(&log, &entries(FIRST..FIRST + 50), &[note("a", Some("1")), note("b", Some("2"))], &ALL).unwrap();
    append(&log, &[], &[note("a", None), note("b", Some("3")), note("none", None)], &ALL).unwrap();
    assert_eq!(notes(&log), [("b".to_owned(), "3".to_owned())]);
    assert_eq!(log.read(0, 3, usize::MAX).unwrap(), entries(FIRST..FIRST + 3));
    assert_eq!(log.read(FIRST + 2, 100, usize::MAX).unwrap(), entries(FIRST + 3..FIRST + 50));
    assert!(log.read(FIRST + 49, 100, usize::MAX).unwrap().is_empty());
    // One entry even if it has more bytes than a page.
    assert_eq!(log.read(FIRST, 100, 1).unwrap(), entries(FIRST + 1..FIRST + 2));
    let sizes = entries(FIRST..FIRST + 50).iter().map(|entry| entry.bytes.len() as u64).sum();
    assert_eq!(log.extent().bytes, sizes);
    for name in [LOG_FILE_NAME, LOG_AHEAD_NAME] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn numbers_go_on_after_a_restart_also_of_a_log_that_is_empty_by_then() {
    let folder = tempfile::tempdir().unwrap();
    let log = EventLog::open(folder.path(), FIRST).unwrap();
    append(&log, &entries(FIRST..FIRST + 5), &[], &ALL).unwrap();
    let trimmed = trim(&log, &[], &LogKeeps { since: u64::MAX, ..ALL });
    assert_eq!((trimmed.aged, trimmed.crowded), (5, 0));
    drop(log);
    let log = EventLog::open(folder.path(), 1).unwrap();
    let extent = log.extent();
    assert_eq!((extent.first, extent.next, extent.bytes), (FIRST + 5, FIRST + 5, 0));
    append(&log, &entries(FIRST + 5..FIRST + 6), &[], &ALL).unwrap();
    assert_eq!(log.read(0, 10, 1_000).unwrap(), entries(FIRST + 5..FIRST + 6));
}

#[test]
fn a_gap_is_refused_and_what_was_there_may_be_said_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = EventLog::open(folder.path(), FIRST).unwrap();
    append(&log, &entries(FIRST..FIRST + 5), &[], &ALL).unwrap();
    let before = log.extent();
    let refused = append(&log, &entries(FIRST + 6..FIRST + 7), &[note("x", Some("y"))], &ALL).unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
    assert_eq!((log.extent(), notes(&log).len()), (before, 0));
    // An error may come after the disk has taken it all.
    append(&log, &entries(FIRST..FIRST + 5), &[], &ALL).unwrap();
    assert_eq!(log.extent(), before);
}

#[test]
fn the_oldest_go_by_age_by_number_and_by_bytes_and_not_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = EventLog::open(folder.path(), FIRST).unwrap();
    append(&log, &entries(FIRST..FIRST + 3_000), &[], &ALL).unwrap();
    let young = LogKeeps { since: FIRST + 100, ..ALL };
    let trimmed = trim(&log, &entries(FIRST + 3_000..FIRST + 3_001), &young);
    assert_eq!((trimmed.aged, trimmed.crowded, log.extent().first), (100, 0, FIRST + 100));
    let few = LogKeeps { entries: 10, ..ALL };
    let trimmed = trim(&log, &[], &few);
    assert!(trimmed.crowded > 0 && trimmed.crowded < 2_000, "{trimmed:?}");
    for _ in 0..20 {
        trim(&log, &[], &few);
    }
    assert_eq!(log.extent().entries(), 10);
    let small = LogKeeps { bytes: 500, ..ALL };
    trim(&log, &[], &small);
    assert!(log.extent().bytes <= 500 && log.extent().entries() > 0, "{:?}", log.extent());
    let left = log.read(0, 100, usize::MAX).unwrap();
    assert_eq!(left, entries(log.extent().first..log.extent().next));
}

#[test]
fn one_process_at_a_time_and_files_of_others_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let log = EventLog::open(folder.path(), FIRST).unwrap();
    assert!(matches!(EventLog::open(folder.path(), FIRST), Err(StoreError::InUse { .. })));
    log.close();
    assert!(append(&log, &entries(FIRST..FIRST + 1), &[], &ALL).is_err() && log.read(0, 1, 1).is_err());
    drop(EventLog::open(folder.path(), FIRST).unwrap());
    std::fs::write(folder.path().join(LOG_FILE_NAME), "no log at all").unwrap();
    assert!(matches!(EventLog::open(folder.path(), FIRST), Err(StoreError::Corrupt { .. })));
    assert_eq!(std::fs::read(folder.path().join(LOG_FILE_NAME)).unwrap(), b"no log at all");
}

/// Names the folder for the child; without it this program is the parent.
const FOLDER: &str = "HOOKSWITCH_EVENT_LOG_TEST_FOLDER";
const ROUNDS: u64 = 10;
/// How the child ends when the disk fails.
const DISK_FAILED: i32 = 3;

/// The child: appends without end and says on its output what is safe. The note is the last number.
#[test]
fn child() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let log = EventLog::open(Path::new(&folder), FIRST).unwrap();
    loop {
        let next = log.extent().next;
        let last = next + 1 + next % 40;
        let batch = entries(next..last);
        if append(&log, &batch, &[note("last", Some(&(last - 1).to_string()))], &ALL).is_err() {
            std::process::exit(DISK_FAILED);
        }
        println!("safe {}", last - 1);
        std::io::stdout().flush().unwrap();
    }
}

/// Runs the child until it ends or for so long, and then kills it. The last number that it said is safe, and its code.
fn run(shell: &str, folder: &Path, lifetime: Duration) -> (u64, Option<i32>) {
    let program = env::current_exe().unwrap();
    let script = format!("{shell} exec {} --exact child --nocapture", program.display());
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut safe, mut end) = (0, None);
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        let Some(number) = line.split("safe ").nth(1) else { continue };
        safe = number.parse().unwrap();
        if Instant::now() >= *end.get_or_insert_with(|| Instant::now() + lifetime) {
            // SIGKILL; what it had already printed is still read.
            let _ = child.kill();
        }
    }
    (safe, child.wait().unwrap().code())
}

#[test]
fn a_process_that_is_killed_loses_nothing_that_it_said_is_safe_and_its_numbers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut before = FIRST;
    for round in 0..ROUNDS {
        let (safe, _) = run("", folder.path(), Duration::from_millis(round * 7));
        assert!(safe >= before, "round {round}: numbers were given again");
        let log = EventLog::open(folder.path(), 1).unwrap();
        let extent = log.extent();
        assert!(extent.next > safe, "round {round}: {safe} is lost");
        let found = log.read(0, usize::MAX, usize::MAX).unwrap();
        assert_eq!(found, entries(extent.first..extent.next), "round {round}");
        // Both or neither: the note is that of the last entry.
        assert_eq!(notes(&log)[0].1, (extent.next - 1).to_string());
        before = extent.next;
    }
}

#[test]
fn a_full_disk_is_an_error_and_costs_nothing_that_was_safe() {
    let folder = tempfile::tempdir().unwrap();
    drop(EventLog::open(folder.path(), FIRST).unwrap());
    // A limit on the size of files stands in for a full disk; both fail in the same call.
    let (safe, code) = run("trap '' XFSZ; ulimit -f 4096;", folder.path(), Duration::from_secs(60));
    assert_eq!(code, Some(DISK_FAILED));
    let log = EventLog::open(folder.path(), 1).unwrap();
    assert!(safe > FIRST && log.extent().next > safe, "{safe} {:?}", log.extent());
    assert_eq!(log.read(0, usize::MAX, usize::MAX).unwrap(), entries(log.extent().first..log.extent().next));
}
