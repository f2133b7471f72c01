//! Who has ordered what, and what came of it: one JSON object a line, in a file of its own, written by a thread of its own.
//!
//! A disk that fails or is full costs lines of this file and nothing else: it is said once, and again when lines can be
//! written, with how many are missing.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_call::Time;
use serde::{Deserialize, Serialize};

use crate::pii::Pii;

/// Lines that may wait for the disk; beyond, they are missing in the file.
pub const MAX_AUDIT_QUEUE: usize = 8_192;

/// Bytes that are written in one go.
const TOGETHER: usize = 64 * 1024;

/// How long the thread lets lines gather after it has written some. A line that comes after a quiet time is written at once; while
/// commands come by the hundred, being woken for each would cost as much as the rest of the work.
const GATHER: Duration = Duration::from_millis(20);

/// The file, in the data folder.
pub const AUDIT_FILE: &str = "audit.log";

/// One thing to note.
#[derive(Clone, Debug)]
pub(in crate::web) enum Note {
    /// A request that changes something has been answered.
    Asked(Asked),
    /// A command has ended that had been accepted before.
    Ended(Ended),
}

/// A request that changes something, and its answer.
#[derive(Clone, Debug)]
pub(in crate::web) struct Asked {
    pub(in crate::web) at: Time,
    /// The name of the grant; empty where nobody has to prove who it is.
    pub(in crate::web) who: CompactString,
    pub(in crate::web) address: IpAddr,
    pub(in crate::web) method: CompactString,
    pub(in crate::web) path: String,
    pub(in crate::web) status: u16,
    /// The JSON document that was answered, if that tells which command and call it was.
    pub(in crate::web) answer: Option<Bytes>,
}

/// The end of a command.
#[derive(Clone, Debug)]
pub(in crate::web) struct Ended {
    pub(in crate::web) at: Time,
    pub(in crate::web) command: CompactString,
    pub(in crate::web) call: Option<CompactString>,
    pub(in crate::web) result: CompactString,
    pub(in crate::web) cause: Option<String>,
}

enum Order {
    Note(Note),
    Reopen,
    Stop,
}

/// The way to the file. Its thread ends when this is dropped.
pub(in crate::web) struct Audit {
    queue: SyncSender<Order>,
    lost: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

/// The way to the file for those who note something.
#[derive(Clone)]
pub(in crate::web) struct Noter {
    queue: SyncSender<Order>,
    lost: Arc<AtomicU64>,
}

impl Audit {
    /// A file at this path, made with the mode 0600 if it does not exist; lines are added to it.
    pub(in crate::web) fn start(path: PathBuf) -> io::Result<Self> {
        let (queue, queued) = sync_channel(MAX_AUDIT_QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let mut page = Page { path, file: None, missing: 0, failing: false };
        // What is wrong with it is said before the first line is missing.
        page.open();
        let unsaid = Arc::clone(&lost);
        let thread =
            std::thread::Builder::new().name("audit".to_owned()).spawn(move || write_all(&queued, page, &unsaid))?;
        Ok(Self { queue, lost, thread: Some(thread) })
    }

    pub(in crate::web) fn noter(&self) -> Noter {
        Noter { queue: self.queue.clone(), lost: Arc::clone(&self.lost) }
    }

    /// Opens the file anew: it may have been given another name by whoever keeps old ones.
    pub(in crate::web) fn reopen(&self) {
        // With a full queue the file is at its worst anyway.
        let _ = self.queue.try_send(Order::Reopen);
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        // What was noted before is written first.
        let _ = self.queue.send(Order::Stop);
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the thread of the audit log had panicked");
        }
    }
}

impl Noter {
    /// Adds a line; never waits.
    pub(in crate::web) fn note(&self, note: Note) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Order::Note(note)) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One line, as it stands in the file.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    who: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
}

/// What an answer says about command and call: a command (`id` begins with `cmd_`), a call and the command that makes it,
/// or a problem.
#[derive(Deserialize, Default)]
struct Told {
    #[serde(default)]
    id: Option<CompactString>,
    #[serde(default)]
    call: Option<CompactString>,
    #[serde(default)]
    command: Option<CompactString>,
    #[serde(default)]
    code: Option<CompactString>,
}

/// What is told of an answer that is not JSON, or says other things.
fn told(answer: Option<&Bytes>) -> (Option<CompactString>, Option<CompactString>, Option<CompactString>) {
    let told: Told = answer.and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
    let id = |beginning: &str| told.id.clone().filter(|id| id.starts_with(beginning));
    (told.command.clone().or_else(|| id("cmd_")), told.call.clone().or_else(|| id("call_")), told.code.clone())
}

fn add(text: &mut Vec<u8>, note: &Note) {
    let line = |line: Line<'_>, text: &mut Vec<u8>| match serde_json::to_writer(&mut *text, &line) {
        Ok(()) => text.push(b'\n'),
        Err(error) => tracing::error!(%error, "a line of the audit log cannot be written down"),
    };
    match note {
        Note::Asked(asked) => {
            let (command, call, code) = told(asked.answer.as_ref());
            let outcome = match asked.status {
                200..=299 if command.is_some() => "accepted",
                200..=299 | 304 => "done",
                _ => "refused",
            };
            tracing::info!(
                target: "audit", who = %asked.who, address = %Pii(asked.address), method = %asked.method, path = %Pii(&asked.path),
                command = command.as_deref(), call = call.as_deref(), status = asked.status, outcome
            );
            let parts = Line {
                time: moment(asked.at),
                event: "request",
                who: Some(&asked.who),
                address: Some(asked.address),
                method: Some(&asked.method),
                path: Some(&asked.path),
                command: command.as_deref(),
                call: call.as_deref(),
                status: Some(asked.status),
                outcome,
                cause: code.as_deref(),
            };
            line(parts, text);
        }
        Note::Ended(ended) => {
            tracing::info!(
                target: "audit", command = %ended.command, call = ended.call.as_deref(), outcome = %ended.result,
                cause = ended.cause.as_deref()
            );
            let parts = Line {
                time: moment(ended.at),
                event: "end",
                who: None,
                address: None,
                method: None,
                path: None,
                command: Some(&ended.command),
                call: ended.call.as_deref(),
                status: None,
                outcome: &ended.result,
                cause: ended.cause.as_deref(),
            };
            line(parts, text);
        }
    }
}

/// A time as RFC 3339 writes it, in UTC, with milliseconds.
fn moment(at: Time) -> String {
    let at = i64::try_from(at.as_millis()).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map(|at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()).unwrap_or_default()
}

fn write_all(queue: &Receiver<Order>, mut page: Page, lost: &AtomicU64) {
    let (mut text, mut lines) = (Vec::new(), 0);
    while let Ok(first) = queue.recv() {
        let mut order = Some(first);
        let (mut reopen, mut stop) = (false, false);
        while let Some(next) = order {
            match next {
                Order::Note(note) => {
                    add(&mut text, &note);
                    lines += 1;
                }
                Order::Reopen => reopen = true,
                Order::Stop => stop = true,
            }
            let is_enough = text.len() >= TOGETHER || reopen || stop;
            order = if is_enough { None } else { queue.try_recv().ok() };
        }
        page.missing += lost.swap(0, Ordering::Relaxed);
        page.add(&text, lines);
        text.clear();
        lines = 0;
        if reopen {
            page.file = None;
            page.open();
        }
        if stop {
            return;
        }
        std::thread::sleep(GATHER);
    }
}

/// The file.
struct Page {
    path: PathBuf,
    file: Option<File>,
    /// Lines that are missing and of which nothing was said yet.
    missing: u64,
    /// It was said that it cannot be written.
    failing: bool,
}

impl Page {
    fn add(&mut self, text: &[u8], lines: u64) {
        if text.is_empty() {
            return;
        }
        if self.file.is_none() {
            self.open();
        }
        let Some(file) = &mut self.file else {
            self.missing += lines;
            return;
        };
        match file.write_all(text) {
            Ok(()) => self.well(),
            Err(error) => {
                // Half a line may have been written: the next one begins a new file, or after a line's end.
                self.file = None;
                self.missing += lines;
                self.complain(&error);
            }
        }
    }

    fn open(&mut self) {
        match open(&self.path) {
            Ok(file) => self.file = Some(file),
            Err(error) => self.complain(&error),
        }
    }

    fn complain(&mut self, error: &io::Error) {
        if !self.failing {
            tracing::error!(%error, file = %self.path.display(), "the audit log cannot be written; commands go on without it");
        }
        self.failing = true;
    }

    fn well(&mut self) {
        if self.failing || self.missing > 0 {
            tracing::warn!(missing = self.missing, file = %self.path.display(), "the audit log is written again");
        }
        (self.failing, self.missing) = (false, 0);
    }
}

/// The file to add to, of nobody else's concern. One that does not end with a line's end gets one.
fn open(path: &Path) -> io::Result<File> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(path)?;
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn asked(n: usize, status: u16, answer: &'static str) -> Note {
        Note::Asked(Asked {
            at: Duration::from_millis(1_700_000_000_123),
            who: "desk".into(),
            address: [192, 0, 2, 1].into(),
            method: "POST".into(),
            path: format!("/v1/calls/{n}/hold"),
            status,
            answer: Some(Bytes::from_static(answer.as_bytes())),
        })
    }

    fn lines(path: &Path) -> Vec<serde_json::Value> {
        fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_tells_who_what_which_call_and_what_came_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(AUDIT_FILE);
        let audit = Audit::start(path.clone()).unwrap();
        let noter = audit.noter();
        noter.note(asked(1, 202, r#"{"id":"cmd_1","call":"call_7","kind":"hold","status":"running"}"#));
        noter.note(asked(2, 404, r#"{"code":"call_not_found"}"#));
        noter.note(asked(3, 201, r#"{"id":"call_9","command":"cmd_2"}"#));
        noter.note(asked(4, 204, ""));
        let (command, result) = ("cmd_1".into(), "failed".into());
        let cause = Some("busy".to_owned());
        noter.note(Note::Ended(Ended { at: Duration::ZERO, command, call: Some("call_7".into()), result, cause }));
        drop(audit);
        let lines = lines(&path);
        let expected = serde_json::json!({
            "time": "2023-11-14T22:13:20.123Z", "event": "request", "who": "desk", "address": "192.0.2.1", "method": "POST",
            "path": "/v1/calls/1/hold", "command": "cmd_1", "call": "call_7", "status": 202, "outcome": "accepted",
        });
        assert_eq!(lines[0], expected);
        assert_eq!((&lines[1]["outcome"], &lines[1]["cause"]), (&"refused".into(), &"call_not_found".into()));
        let call = (&lines[2]["outcome"], &lines[2]["call"], &lines[2]["command"]);
        assert_eq!(call, (&"accepted".into(), &"call_9".into(), &"cmd_2".into()));
        assert_eq!((&lines[3]["outcome"], lines[3].get("call")), (&"done".into(), None));
        let expected = serde_json::json!({
            "time": "1970-01-01T00:00:00.000Z", "event": "end", "command": "cmd_1", "call": "call_7", "outcome": "failed",
            "cause": "busy",
        });
        assert_eq!(lines[4], expected);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_was_moved_away_is_begun_anew_and_half_a_line_gets_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join(AUDIT_FILE), folder.path().join("old"));
        fs::write(&path, "{\"half\":").unwrap();
        let audit = Audit::start(path.clone()).unwrap();
        audit.noter().note(asked(1, 204, ""));
        fs::rename(&path, &old).unwrap();
        audit.reopen();
        audit.noter().note(asked(2, 204, ""));
        drop(audit);
        let first = fs::read_to_string(&old).unwrap();
        let first: Vec<&str> = first.lines().collect();
        assert_eq!((first.len(), first[0]), (2, "{\"half\":"));
        assert_eq!(lines(&path)[0]["path"], "/v1/calls/2/hold");
    }

    #[test]
    fn a_disk_that_takes_nothing_costs_lines_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        // Not a file, for anybody.
        let path = folder.path().join("folder");
        fs::create_dir(&path).unwrap();
        let mut page = Page { path: path.clone(), file: None, missing: 0, failing: false };
        page.open();
        page.add(b"{}\n", 1);
        page.add(b"{}\n{}\n", 2);
        assert!(page.failing && page.missing == 3);
        fs::remove_dir(&path).unwrap();
        page.add(b"{}\n", 1);
        assert!(!page.failing && page.missing == 0);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}\n");
        // A device that is full.
        let mut full = Page { path: "/dev/full".into(), file: None, missing: 0, failing: false };
        full.file = OpenOptions::new().append(true).open("/dev/full").ok();
        full.add(b"{}\n", 1);
        assert!(full.failing && full.missing == 1 && full.file.is_none());
    }

    #[test]
    fn lines_beyond_the_queue_are_counted() {
        let (queue, _queued) = sync_channel(1);
        let noter = Noter { queue, lost: Arc::default() };
        for n in 0..5 {
            noter.note(asked(n, 204, ""));
        }
        assert_eq!(noter.lost.load(Ordering::Relaxed), 4);
    }
}
