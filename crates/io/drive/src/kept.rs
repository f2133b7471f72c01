//! Which recordings there are, in a file beside the store, so that they are found after a restart.
//!
//! ```text
//!   shard ── a recording has begun, is over ──▶ queue (bounded, never waited for) ──▶ thread ──▶ recordings.jsonl, a line each
//!   start ◀── the last RECORDINGS_FOUND that are over ───────────────────────────────────────────┤
//!         ◀── those that have begun and of whose end there is no line: cut off ──────────────────┘
//! ```
//!
//! What became of a recording that was cut off says its file, if that is here, and a line says so from then on. Lines that count
//! no more (`notes.rs`) are thrown away now and then. A line that cannot be read is passed over. What is in the folder of
//! recordings without a line is noted at the start (`disk.rs`).

mod disk;

pub(crate) use disk::{HEAD_BYTES, length_of};
mod notes;

use std::collections::HashSet;
use std::fs::{File, OpenOptions, rename};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hookswitch_call::CallId;
use hookswitch_dialect::rest::{KeptRecording, RECORDINGS_FOUND};

use notes::Notes;

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

/// The file may have so many times as many lines as recordings that are found, beside those that counted when it was shortened.
const LINES_EACH: usize = 3;

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
        let (mut book, mut known, begun) = Book::open(folder.join(RECORDINGS_FILE), RECORDINGS_FOUND)?;
        book.look_for(files, begun, &mut known);
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
    /// So many recordings are found.
    counts: usize,
    lines: usize,
    /// With so many lines it is shortened.
    most: usize,
    waiting: String,
    lines_waiting: usize,
    /// The disk has refused, and that has been told.
    refused: bool,
}

impl Book {
    /// Gives the recordings that are over, too, and those that have begun.
    fn open(path: PathBuf, counts: usize) -> io::Result<(Self, Vec<KeptRecording>, Vec<KeptRecording>)> {
        let (mut notes, mut broken) = (Notes::new(counts), 0_usize);
        read(&path, |line| match serde_json::from_slice(line) {
            Ok(kept) => notes.take(kept, |kept| kept),
            Err(_) => broken += 1,
        })?;
        if broken > 0 {
            tracing::warn!(file = %path.display(), lines = broken, "recordings that cannot be read are passed over");
        }
        let (lines, counting) = (notes.lines(), notes.len());
        let most = counting + LINES_EACH * counts;
        let mut book = Self { path, counts, lines, most, waiting: String::new(), lines_waiting: 0, refused: false };
        if lines > 2 * counting || broken > 0 {
            book.shorten()?;
        }
        let (over, begun) = notes.into_parts();
        Ok((book, over, begun))
    }

    /// Notes what became of those that had begun when the process was ended.
    fn look_for(&mut self, files: Option<&Path>, begun: Vec<KeptRecording>, known: &mut Vec<KeptRecording>) {
        let before = known.len();
        for kept in begun {
            let cut_off = match kept.file_here().map(|file| (files, PathBuf::from(file))) {
                // On a media node, which knows.
                None => kept.cut_off(None),
                Some((Some(files), file)) => match disk::found_as(files, &file) {
                    Ok(found) => {
                        let found = found.as_ref().map(|found| (found.path.as_str(), found.size, found.duration));
                        kept.cut_off(found)
                    }
                    // Not mounted yet, perhaps: it is looked for at the next start.
                    Err(_) => continue,
                },
                Some((None, _)) => continue,
            };
            self.add(&cut_off);
            known.extend(Some(cut_off).filter(KeptRecording::has_file));
        }
        self.write();
        let recordings = known.len() - before;
        if recordings > 0 {
            tracing::warn!(recordings, "cut off when the process was ended, and found");
        }
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
        if self.lines >= self.most { self.shorten() } else { Ok(()) }
    }

    /// Throws away what counts no more: nobody sees half a file, whenever the power fails.
    fn shorten(&mut self) -> io::Result<()> {
        let parsed = |line: &[u8]| serde_json::from_slice::<KeptRecording>(line).ok();
        let mut notes = Notes::new(self.counts);
        read(&self.path, |line| {
            if let Some(kept) = parsed(line) {
                notes.take(kept, drop);
            }
        })?;
        let beside = self.path.with_extension("new");
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        let mut out = BufWriter::new(file);
        let (mut written, mut number) = (Ok(()), 0);
        read(&self.path, |line| {
            if parsed(line).is_none() {
                return;
            }
            if notes.counts(number) && written.is_ok() {
                written = out.write_all(line).and_then(|()| out.write_all(b"\n"));
            }
            number += 1;
        })?;
        written?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_data()?;
        rename(&beside, &self.path)?;
        self.lines = notes.len();
        self.most = self.lines + LINES_EACH * self.counts;
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

    /// Its file is open since a second after the epoch.
    fn begun(call: u64, file: &str, node: Option<&str>) -> KeptRecording {
        let begun = serde_json::json!({
            "call": call, "domains": ["x.test"], "recording": 256, "party": "caller", "node": node, "recorded": null,
            "begun": { "at": { "secs": 1, "nanos": 0 }, "file": file },
        });
        serde_json::from_value(begun).unwrap()
    }

    fn lines(path: &Path) -> usize {
        fs::read_to_string(path).unwrap().lines().count()
    }

    #[test]
    fn what_a_killed_process_was_recording_is_found_by_its_beginning_once_and_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let (data, files) = (folder.path().join("data"), folder.path().join("recordings"));
        fs::create_dir_all(&data).unwrap();
        fs::create_dir_all(files.join("day")).unwrap();
        fs::write(files.join("day/by hand.wav"), disk::tests::wav()).unwrap();
        fs::write(folder.path().join("outside.wav"), disk::tests::wav()).unwrap();
        let node = Some("http://m:9002");
        let (book, _) = KeptRecordings::start(&data, Some(&files)).unwrap();
        for (call, file, node) in
            [(1, "day/by hand.wav", None), (2, "day/gone.wav", None), (3, "../outside.wav", None), (4, "b.wav", node)]
        {
            book.push(Box::new(begun(call, file, node)));
        }
        // One that was over before.
        book.push(Box::new(kept(5)));
        drop(book);
        let (_, known) = KeptRecordings::start(&data, Some(&files)).unwrap();
        let there = files.canonicalize().unwrap().join("day/by hand.wav");
        let here = begun(1, "day/by hand.wav", None);
        let here = here.cut_off(Some((there.to_str().unwrap(), 8_044, Duration::from_millis(500))));
        assert_eq!(known, [kept(5), here.clone(), begun(4, "b.wav", node).cut_off(None)]);
        fs::remove_file(there).unwrap();
        let (_, again) = KeptRecordings::start(&data, Some(&files)).unwrap();
        assert_eq!(again, known, "it is known from then on, as one of which somebody has removed the file");
    }

    #[test]
    fn what_is_cut_off_waits_for_the_folder_it_is_in() {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("mounted");
        let (book, _) = KeptRecordings::start(folder.path(), None).unwrap();
        book.push(Box::new(begun(1, "a.wav", None)));
        drop(book);
        for files in [None, Some(files.as_path())] {
            assert_eq!(KeptRecordings::start(folder.path(), files).unwrap().1, []);
        }
        fs::create_dir(&files).unwrap();
        fs::write(files.join("a.wav"), disk::tests::wav()).unwrap();
        assert_eq!(KeptRecordings::start(folder.path(), Some(&files)).unwrap().1.len(), 1);
    }

    #[test]
    fn the_last_ones_count_and_the_file_has_not_many_more_lines_than_those() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(RECORDINGS_FILE);
        let (mut book, ..) = Book::open(path.clone(), 4).unwrap();
        for call in 1..=11 {
            book.add(&kept(call));
            book.write();
        }
        assert_eq!(lines(&path), 11);
        book.add(&begun(12, "a.wav", None));
        book.write();
        assert_eq!((lines(&path), book.lines), (5, 5), "the last four, and the one that runs");
        book.add(&begun(12, "a.wav", None).cut_off(None));
        book.add(&kept(13));
        book.write();
        assert_eq!(lines(&path), 7);
        let (book, known, running) = Book::open(path.clone(), 4).unwrap();
        assert_eq!(
            (known, running, book.lines),
            (all([9, 10, 11, 13]), all([]), 7),
            "nothing is to be found of one without a file"
        );
    }

    #[test]
    fn so_many_that_have_begun_are_looked_for_at_a_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(RECORDINGS_FILE);
        let (mut book, ..) = Book::open(path.clone(), 4).unwrap();
        (1..=5).for_each(|call| book.add(&begun(call, "a.wav", None)));
        book.write();
        let (_, known, running) = Book::open(path, 4).unwrap();
        let running: Vec<u64> = running.iter().map(|one| one.key().0.0).collect();
        assert_eq!((known, running), (all([]), vec![2, 3, 4, 5]));
    }

    #[test]
    fn a_line_that_a_crash_has_left_half_costs_that_line_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(RECORDINGS_FILE);
        let line = serde_json::to_string(&kept(1)).unwrap();
        fs::write(&path, format!("{line}\nnonsense\n{}", &line[..20])).unwrap();
        let (mut book, known, _) = Book::open(path.clone(), 4).unwrap();
        assert_eq!((known, lines(&path)), (all([1]), 1));
        book.add(&kept(2));
        book.write();
        assert_eq!(Book::open(path, 4).unwrap().1, all([1, 2]));
    }

    #[test]
    fn what_the_disk_refuses_waits_and_is_written_later() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        let (mut book, ..) = Book::open(gone.join(RECORDINGS_FILE), 4).unwrap();
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
