//! The files of call detail records: one a day, more when they grow large.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hookswitch_dialect::journal::record::{CSV_HEADER, CallDetail, date_time};

use super::{CallRecordsConfig, MAX_WAITING_BYTES, RETRY_AFTER, RecordCounts, RecordFormat, SYNC_AFTER};

/// Files of one day at most; the last one grows beyond its size.
const MAX_FILES_A_DAY: u32 = 100_000;

/// A file that is written.
struct Open {
    file: File,
    /// Its length up to the end of the last whole line.
    len: u64,
}

/// Lines of one day that are to be written.
struct Batch {
    day: String,
    text: String,
    lines: u64,
}

pub(super) struct Files {
    config: CallRecordsConfig,
    counts: Arc<RecordCounts>,
    open: Option<Open>,
    /// The day of the open file, and its number among the files of that day.
    place: (String, u32),
    waiting: Vec<Batch>,
    waiting_bytes: usize,
    /// What was lost since the disk began to refuse.
    lost: u64,
    /// The disk refuses: when it is tried again.
    retry: Option<Duration>,
    /// Something is written that a power failure would take: until when that may be so.
    sync: Option<Duration>,
}

impl Files {
    pub(super) fn new(config: CallRecordsConfig, counts: Arc<RecordCounts>) -> Self {
        Self {
            config,
            counts,
            open: None,
            place: (String::new(), 0),
            waiting: Vec::new(),
            waiting_bytes: 0,
            lost: 0,
            retry: None,
            sync: None,
        }
    }

    /// Takes a record to be written.
    pub(super) fn add(&mut self, detail: &CallDetail) {
        let mut line = match self.config.format {
            RecordFormat::JsonLines => detail.json().to_string(),
            RecordFormat::Csv => detail.csv(),
        };
        line.push('\n');
        if self.waiting_bytes + line.len() > MAX_WAITING_BYTES {
            self.lost += 1;
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.waiting_bytes += line.len();
        // A record that has waited over midnight goes with the new day: no file is opened again for it.
        let mut day = date_time(detail.ended);
        day.truncate("2026-11-22".len());
        let last = self.waiting.last().map_or(&self.place.0, |batch| &batch.day);
        let day = day.max(last.clone());
        let batch_size = usize::try_from(self.config.max_size).unwrap_or(usize::MAX);
        match self.waiting.last_mut().filter(|batch| batch.day == day && batch.text.len() + line.len() <= batch_size) {
            Some(batch) => {
                batch.text.push_str(&line);
                batch.lines += 1;
            }
            None => self.waiting.push(Batch { day, text: line, lines: 1 }),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        [self.retry, self.sync].into_iter().flatten().min()
    }

    /// Writes what waits, unless the disk has just refused, and makes it safe when that is due.
    pub(super) fn work(&mut self, now: Duration) {
        if self.retry.is_none_or(|at| at <= now) {
            self.write(now);
        }
        if self.sync.is_some_and(|at| at <= now) {
            self.make_safe();
        }
    }

    /// The last try.
    pub(super) fn finish(mut self, now: Duration) {
        self.write(now);
        self.make_safe();
        let left: u64 = self.waiting.iter().map(|batch| batch.lines).sum();
        if left > 0 {
            self.counts.lost.fetch_add(left, Ordering::Relaxed);
            tracing::error!(lost = left + self.lost, "call records are lost: they could not be written to the end");
        }
    }

    fn write(&mut self, now: Duration) {
        while let Some(batch) = self.waiting.first() {
            let (bytes, lines) = (batch.text.len(), batch.lines);
            if let Err(error) = self.write_first() {
                if self.retry.is_none() {
                    let folder = self.config.folder.display();
                    tracing::error!(%folder, "call records cannot be written and wait: {error}");
                }
                self.retry = Some(now + RETRY_AFTER);
                return;
            }
            self.waiting.remove(0);
            self.waiting_bytes -= bytes;
            self.counts.written.fetch_add(lines, Ordering::Relaxed);
            self.sync = self.sync.or(Some(now + SYNC_AFTER));
        }
        if self.retry.take().is_some() {
            tracing::info!(lost = std::mem::take(&mut self.lost), "call records are written again");
        }
    }

    fn write_first(&mut self) -> io::Result<()> {
        let Some((day, bytes)) = self.waiting.first().map(|batch| (batch.day.clone(), batch.text.len() as u64)) else {
            return Ok(());
        };
        if self.place.0 != day {
            self.make_safe();
            self.open = None;
            self.place = (day, 0);
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open_last()?,
        };
        while open.len > self.empty_len() && open.len + bytes > self.config.max_size && self.place.1 < MAX_FILES_A_DAY {
            open.file.sync_data()?;
            self.place.1 += 1;
            open = self.open_place()?;
        }
        let text = self.waiting.first().map_or("", |batch| &batch.text);
        let written = open.file.write_all(text.as_bytes());
        if written.is_ok() {
            open.len += bytes;
        } else {
            // Half a line is none. Where even that fails, whoever opens the file next cuts it off.
            let _ = open.file.set_len(open.len);
            return written;
        }
        self.open = Some(open);
        Ok(())
    }

    /// The last file of the day that there is.
    fn open_last(&mut self) -> io::Result<Open> {
        while self.place.1 < MAX_FILES_A_DAY && self.path(self.place.1 + 1).exists() {
            self.place.1 += 1;
        }
        self.open_place()
    }

    fn path(&self, number: u32) -> PathBuf {
        let day = &self.place.0;
        let ending = match self.config.format {
            RecordFormat::JsonLines => "jsonl",
            RecordFormat::Csv => "csv",
        };
        self.config.folder.join(match number {
            0 => format!("calls-{day}.{ending}"),
            _ => format!("calls-{day}.{number}.{ending}"),
        })
    }

    /// How long a file without records is.
    fn empty_len(&self) -> u64 {
        match self.config.format {
            RecordFormat::JsonLines => 0,
            RecordFormat::Csv => CSV_HEADER.len() as u64 + 1,
        }
    }

    fn open_place(&self) -> io::Result<Open> {
        let path = self.path(self.place.1);
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let mut len = whole_lines(&mut file)?;
        if len == 0 && self.config.format == RecordFormat::Csv {
            file.write_all(format!("{CSV_HEADER}\n").as_bytes())?;
            len = self.empty_len();
        }
        Ok(Open { file, len })
    }

    fn make_safe(&mut self) {
        self.sync = None;
        if let Some(open) = &self.open
            && let Err(error) = open.file.sync_data()
        {
            tracing::error!("call records may not outlive a power failure: {error}");
        }
    }
}

/// Cuts off a last line that is not whole: a crash or a full disk has left it. Returns the length that remains.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let mut end = len;
    let mut piece = [0; 4_096];
    while end > 0 {
        let start = end.saturating_sub(piece.len() as u64);
        let piece = &mut piece[..usize::try_from(end - start).unwrap_or(0)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(piece)?;
        if let Some(last) = piece.iter().rposition(|byte| *byte == b'\n') {
            end = start + last as u64 + 1;
            break;
        }
        end = start;
    }
    if end < len {
        file.set_len(end)?;
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use hookswitch_call::{Address, CallId, Cause, Event, Told};
    use hookswitch_dialect::journal::record::Records;

    use super::*;

    /// 2026-11-22 23:59:50 UTC.
    const EVENING: Duration = Duration::from_secs(1_795_391_990);

    fn detail(call: u64, ended: Duration) -> Box<CallDetail> {
        let mut records = Records::default();
        let parties = [Address::from("sip:alice@x.test"), Address::from("sip:bob@x.test")];
        records.begin(ended, CallId(call), parties.each_ref(), None);
        let event = Event::Ended { cause: Cause::hangup(), talked: Duration::ZERO };
        records.told(&Told { at: ended, seq: 0, call: CallId(call), owner: None, event });
        records.poll().unwrap()
    }

    fn files(folder: &Path, format: RecordFormat, max_size: u64) -> Files {
        let config = CallRecordsConfig { folder: folder.to_owned(), format, max_size };
        Files::new(config, Arc::new(RecordCounts::default()))
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn calls(folder: &Path, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        let call = |line: &str| {
            let record: serde_json::Value = serde_json::from_str(line).expect("a whole line");
            record["call"].as_str().unwrap().trim_start_matches("call_").trim_start_matches('0').to_owned()
        };
        text.lines().map(call).collect()
    }

    #[test]
    fn each_day_has_its_file_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = files(folder.path(), RecordFormat::JsonLines, 1_000_000);
        files.add(&detail(1, EVENING));
        files.add(&detail(2, EVENING + Duration::from_secs(20)));
        // Its audio was waited for over midnight.
        files.add(&detail(3, EVENING));
        files.work(EVENING);
        assert_eq!(names(folder.path()), ["calls-2026-11-22.jsonl", "calls-2026-11-23.jsonl"]);
        assert_eq!(calls(folder.path(), "calls-2026-11-22.jsonl"), ["1"]);
        assert_eq!(calls(folder.path(), "calls-2026-11-23.jsonl"), ["2", "3"]);
        let mode = std::fs::metadata(folder.path().join("calls-2026-11-22.jsonl")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(files.counts.get(), (3, 0));
        assert_eq!(files.poll_timeout(), Some(EVENING + SYNC_AFTER));
        files.work(EVENING + SYNC_AFTER);
        assert_eq!(files.poll_timeout(), None);
    }

    #[test]
    fn a_file_that_is_large_enough_is_followed_by_another_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let line = detail(1, EVENING).json().to_string().len() as u64 + 1;
        for (call, names_then) in [
            (1, &["calls-2026-11-22.jsonl"] as &[&str]),
            (2, &["calls-2026-11-22.jsonl"]),
            (3, &["calls-2026-11-22.1.jsonl", "calls-2026-11-22.jsonl"]),
            (4, &["calls-2026-11-22.1.jsonl", "calls-2026-11-22.jsonl"]),
            (5, &["calls-2026-11-22.1.jsonl", "calls-2026-11-22.2.jsonl", "calls-2026-11-22.jsonl"]),
        ] {
            let mut files = files(folder.path(), RecordFormat::JsonLines, 2 * line);
            files.add(&detail(call, EVENING));
            files.finish(EVENING);
            assert_eq!(names(folder.path()), names_then, "after {call}");
        }
        assert_eq!(calls(folder.path(), "calls-2026-11-22.1.jsonl"), ["3", "4"]);
    }

    #[test]
    fn half_a_line_that_a_crash_has_left_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls-2026-11-22.jsonl");
        for (left, expected) in [
            (format!("{}\n{{\"call\":", detail(9, EVENING).json()), vec!["9", "1"]),
            ("x".repeat(10_000), vec!["1"]),
            (format!("{}\n{}", detail(9, EVENING).json(), "y".repeat(10_000)), vec!["9", "1"]),
        ] {
            std::fs::write(&path, left).unwrap();
            let mut files = files(folder.path(), RecordFormat::JsonLines, 1_000_000);
            files.add(&detail(1, EVENING));
            files.finish(EVENING);
            assert_eq!(calls(folder.path(), "calls-2026-11-22.jsonl"), expected);
        }
    }

    #[test]
    fn each_file_of_values_begins_with_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for call in 1..=2 {
            let mut files = files(folder.path(), RecordFormat::Csv, 1_000_000);
            files.add(&detail(call, EVENING));
            files.finish(EVENING);
        }
        let text = std::fs::read_to_string(folder.path().join("calls-2026-11-22.csv")).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((lines.len(), lines[0]), (3, CSV_HEADER));
        assert!(lines[2].starts_with("call_000000000002,command,sip:alice@x.test,"), "{text}");
    }

    #[test]
    fn what_cannot_be_written_waits_and_is_written_when_the_disk_takes_it() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("not yet");
        let mut files = files(&missing, RecordFormat::JsonLines, 1_000_000);
        files.add(&detail(1, EVENING));
        files.work(EVENING);
        assert_eq!((files.counts.get(), files.poll_timeout()), ((0, 0), Some(EVENING + RETRY_AFTER)));
        std::fs::create_dir(&missing).unwrap();
        files.add(&detail(2, EVENING));
        files.work(EVENING + Duration::from_secs(1));
        assert_eq!(files.counts.get(), (0, 0), "it is not tried with each call");
        files.work(EVENING + RETRY_AFTER);
        assert_eq!(calls(&missing, "calls-2026-11-22.jsonl"), ["1", "2"]);
        assert_eq!(files.counts.get(), (2, 0));
    }

    #[test]
    fn no_more_waits_for_the_disk_than_the_limit_and_what_is_lost_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = files(&folder.path().join("never"), RecordFormat::JsonLines, 1_000_000);
        let one = detail(1, EVENING);
        let line = one.json().to_string().len() + 1;
        let room = MAX_WAITING_BYTES / line;
        for _ in 0..room + 3 {
            files.add(&one);
        }
        assert_eq!((files.lost, files.counts.get()), (3, (0, 3)));
        let counts = Arc::clone(&files.counts);
        files.finish(EVENING);
        assert_eq!(counts.get(), (0, room as u64 + 3));
    }

    #[test]
    fn a_full_disk_leaves_no_half_line() {
        // Every write to it fails with ENOSPC.
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", folder.path().join("calls-2026-11-22.jsonl")).unwrap();
        let mut files = files(folder.path(), RecordFormat::JsonLines, 1_000_000);
        files.add(&detail(1, EVENING));
        files.work(EVENING);
        assert_eq!((files.counts.get(), files.waiting.len()), ((0, 0), 1));
        std::fs::remove_file(folder.path().join("calls-2026-11-22.jsonl")).unwrap();
        files.work(EVENING + RETRY_AFTER);
        assert_eq!(calls(folder.path(), "calls-2026-11-22.jsonl"), ["1"]);
    }
}
