//! Which recordings there are, in a file beside the store, so that they are found after a restart.
//!
//! ```text
//!   shard ── a recording that is over ──▶ queue (bounded, never waited for) ──▶ thread ──▶ recordings.jsonl, a line each
//!   start ◀── the last RECORDINGS_FOUND lines ────────────────────────────────────────────┘
//! ```
//!
//! When there are twice as many lines as are read, the older half is thrown away. A line that cannot be read is passed over.
//! What is in the folder of recordings without a line is noted at the start (`disk.rs`).

mod disk;

use std::collections::{HashSet, VecDeque};
use std::fs::{File, OpenOptions, rename};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hookswitch_call::CallId;
use hookswitch_dialect::rest::{KeptRecording, RECORDINGS_FOUND};

/// What the file is called.
pub const RECORDINGS_FILE: &str = "recordings.jsonl";

/// Files in the folder of recordings that are looked at, at one start, because nobody has noted them.
pub const MAX_UNNOTED: usize = 10_000;

/// Recordings that may wait for the thread; those beyond are not found after a restart.
const MAX_QUEUED: usize = 16_384;

/// Bytes of lines that may wait for a disk that refuses.
const MAX_WAITING_BYTES: usize = 16 * 1024 * 1024;

/// Pause before it is tried again to write what could not be written.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Lines that are written at once.
const BATCH: usize = 1_024;

/// The thread that writes the file. Dropping it writes what there is.
pub(crate) struct KeptRecordings {
    queue: Option<SyncSender<Box<KeptRecording>>>,
    thread: Option<JoinHandle<()>>,
}

impl KeptRecordings {
    /// Reads the file of a folder, and begins to write it. `files` is the folder of recordings, if they are made here.
    ///
    /// # Errors
    /// It is there and cannot be read, or the system does not give us a thread.
    pub(crate) fn start(folder: &Path, files: Option<&Path>) -> io::Result<(Self, Vec<KeptRecording>)> {
        let (mut book, mut known) = Book::open(folder.join(RECORDINGS_FILE), RECORDINGS_FOUND)?;
        if let Some(files) = files {
            book.look_around(files, &mut known);
        }
        let (queue, recordings) = sync_channel(MAX_QUEUED);
        let thread = thread::Builder::new().name("recordings".to_owned()).spawn(move || run(book, &recordings))?;
        Ok((Self { queue: Some(queue), thread: Some(thread) }, known))
    }

    /// Takes a recording, without waiting for anybody.
    pub(crate) fn push(&self, kept: Box<KeptRecording>) {
        if self.queue.as_ref().is_none_or(|queue| queue.try_send(kept).is_err()) {
            tracing::warn!("a recording will not be found after a restart: too many wait to be noted");
        }
    }
}

impl Drop for KeptRecordings {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the thread that notes recordings had panicked");
        }
    }
}

fn run(mut book: Book, recordings: &Receiver<Box<KeptRecording>>) {
    loop {
        let wait = if book.waiting.is_empty() { Duration::MAX } else { RETRY_AFTER };
        match recordings.recv_timeout(wait) {
            Ok(first) => {
                book.add(&first);
                recordings.try_iter().take(BATCH).for_each(|kept| book.add(&kept));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                book.write();
                if book.lines_waiting > 0 {
                    tracing::error!(lost = book.lines_waiting, "recordings will not be found after this");
                }
                return;
            }
        }
        book.write();
    }
}

/// The file, and what is to be written to it.
struct Book {
    path: PathBuf,
    /// So many of the last lines count.
    counts: usize,
    lines: usize,
    waiting: String,
    lines_waiting: usize,
    /// The disk has refused, and that has been told.
    refused: bool,
}

impl Book {
    fn open(path: PathBuf, counts: usize) -> io::Result<(Self, Vec<KeptRecording>)> {
        let mut last = VecDeque::new();
        let (mut lines, mut broken) = (0, 0_usize);
        read(&path, |line| {
            lines += 1;
            match serde_json::from_slice(line) {
                Ok(kept) => last.push_back(kept),
                Err(_) => broken += 1,
            }
            if last.len() > counts {
                last.pop_front();
            }
        })?;
        if broken > 0 {
            tracing::warn!(file = %path.display(), lines = broken, "recordings that cannot be read are passed over");
        }
        let mut book = Self { path, counts, lines, waiting: String::new(), lines_waiting: 0, refused: false };
        if lines > counts || broken > 0 {
            book.shorten()?;
        }
        Ok((book, last.into()))
    }

    /// Notes what nobody has noted.
    fn look_around(&mut self, files: &Path, known: &mut Vec<KeptRecording>) {
        let noted: HashSet<CallId> = known.iter().filter_map(KeptRecording::by_rule).collect();
        match disk::found(files, &noted, MAX_UNNOTED) {
            Ok(found) if found.is_empty() => {}
            Ok(found) => {
                tracing::info!(
                    recordings = found.len(),
                    "found in the folder of recordings, where nobody had noted them"
                );
                found.iter().for_each(|kept| self.add(kept));
                self.write();
                known.extend(found);
            }
            // Its files cannot be fetched then either, and whoever makes some is told.
            Err(error) => tracing::warn!(folder = %files.display(), "the folder of recordings cannot be read: {error}"),
        }
    }

    fn add(&mut self, kept: &KeptRecording) {
        // Numbers and text always can be written.
        let line = serde_json::to_string(kept).unwrap_or_default();
        if self.waiting.len() + line.len() > MAX_WAITING_BYTES {
            tracing::warn!("a recording will not be found after a restart: the disk refuses to note more");
            return;
        }
        self.waiting.push_str(&line);
        self.waiting.push('\n');
        self.lines_waiting += 1;
    }

    /// Writes what waits; what could not be written waits on.
    fn write(&mut self) {
        match self.append() {
            Ok(()) if std::mem::take(&mut self.refused) => tracing::info!("recordings are noted again"),
            Ok(()) => {}
            Err(error) if !std::mem::replace(&mut self.refused, true) => {
                tracing::error!(file = %self.path.display(), "recordings cannot be noted and wait: {error}");
            }
            Err(_) => {}
        }
    }

    fn append(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        let before = file.metadata()?.len();
        let written = file.write_all(self.waiting.as_bytes()).and_then(|()| file.sync_data());
        if written.is_err() {
            // Half a line is none.
            let _ = file.set_len(before);
            return written;
        }
        self.lines += std::mem::take(&mut self.lines_waiting);
        self.waiting.clear();
        if self.lines >= 2 * self.counts { self.shorten() } else { Ok(()) }
    }

    /// Throws away what counts no more: nobody sees half a file, whenever the power fails.
    fn shorten(&mut self) -> io::Result<()> {
        let is_good = |line: &[u8]| serde_json::from_slice::<KeptRecording>(line).is_ok();
        let mut good = 0;
        read(&self.path, |line| good += usize::from(is_good(line)))?;
        let mut skip = good.saturating_sub(self.counts);
        let beside = self.path.with_extension("new");
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        let mut out = BufWriter::new(file);
        let mut written = Ok(());
        read(&self.path, |line| {
            if !is_good(line) {
                return;
            }
            if skip > 0 {
                skip -= 1;
            } else if written.is_ok() {
                written = out.write_all(line).and_then(|()| out.write_all(b"\n"));
            }
        })?;
        written?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_data()?;
        rename(&beside, &self.path)?;
        self.lines = good.min(self.counts);
        Ok(())
    }
}

/// Every line of a file, the last one whether it is whole or not. One that is not there has none.
fn read(path: &Path, mut line_is: impl FnMut(&[u8])) -> io::Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        line_is(line.strip_suffix(b"\n").unwrap_or(&line));
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn kept(call: u64) -> KeptRecording {
        let recorded = serde_json::json!({
            "call": call, "domains": ["x.test"], "recording": 0, "party": null, "node": null,
            "recorded": { "file": "2026-11-22/a.wav", "duration": { "secs": 1, "nanos": 0 }, "lost": { "secs": 0, "nanos": 0 },
                "size": 44, "reason": "closed", "mailbox": null, "undecoded": null },
        });
        serde_json::from_value(recorded).unwrap()
    }

    fn all(calls: impl IntoIterator<Item = u64>) -> Vec<KeptRecording> {
        calls.into_iter().map(kept).collect()
    }

    #[test]
    fn what_was_recorded_is_known_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let (book, known) = KeptRecordings::start(folder.path(), None).unwrap();
        assert!(known.is_empty());
        (1..=3).for_each(|call| book.push(Box::new(kept(call))));
        drop(book);
        let (_book, known) = KeptRecordings::start(folder.path(), Some(folder.path())).unwrap();
        assert_eq!(known, all(1..=3), "there is nothing else");
    }

    #[test]
    fn the_last_ones_count_and_the_file_is_never_longer_than_twice_that() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(RECORDINGS_FILE);
        let (mut book, _) = Book::open(path.clone(), 4).unwrap();
        for call in 1..=7 {
            book.add(&kept(call));
            book.write();
        }
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 7);
        book.add(&kept(8));
        book.write();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 4);
        book.add(&kept(9));
        book.write();
        let (book, known) = Book::open(path.clone(), 4).unwrap();
        assert_eq!((known, book.lines), (all(6..=9), 4));
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 4);
    }

    #[test]
    fn a_line_that_a_crash_has_left_half_costs_that_line_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(RECORDINGS_FILE);
        let line = serde_json::to_string(&kept(1)).unwrap();
        fs::write(&path, format!("{line}\nnonsense\n{}", &line[..20])).unwrap();
        let (mut book, known) = Book::open(path.clone(), 4).unwrap();
        assert_eq!(known, all([1]));
        book.add(&kept(2));
        book.write();
        assert_eq!(Book::open(path, 4).unwrap().1, all([1, 2]));
    }

    #[test]
    fn what_the_disk_refuses_waits_and_is_written_later() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        let (mut book, _) = Book::open(gone.join(RECORDINGS_FILE), 4).unwrap();
        book.add(&kept(1));
        book.write();
        assert!(book.refused && book.lines_waiting == 1);
        // As if many more had come.
        book.waiting.push_str(&" ".repeat(MAX_WAITING_BYTES - 1_000));
        book.waiting.push('\n');
        (2..10).for_each(|call| book.add(&kept(call)));
        assert!(book.lines_waiting < 9 && book.waiting.len() <= MAX_WAITING_BYTES + 1, "there is a limit");
        fs::create_dir(&gone).unwrap();
        book.write();
        assert!(!book.refused && book.waiting.is_empty());
        assert_eq!(Book::open(gone.join(RECORDINGS_FILE), 4).unwrap().1.first(), Some(&kept(1)));
    }
}
