//! How soon a log of events is there again.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hookswitch_dialect::journal::{EventId, Filter};
use hookswitch_drive::{Clock, JournalConfig, JournalHandle, JournalThread, LOG_AHEAD_NAME, LOG_FILE_NAME};

use super::{EVENTS_OF_A_CALL, entry};

/// How long the disk may take for all of it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Events that are pushed before it is looked how far the disk is.
const PIECE: u64 = 20_000;

/// How long the database is left alone before its file is copied.
const REST: Duration = Duration::from_secs(1);

/// Fills the log up to so many events and opens it again, after a stop and after a crash. What a crash leaves is a database
/// without the last tenth of the events and the write-ahead file with them. Returns the lines to print, and whether
/// everything was there.
pub(super) fn measure(journal: JournalThread, folder: &Path, events: u64) -> anyhow::Result<(String, bool)> {
    let handle = journal.handle();
    let crashed = folder.join("crashed");
    std::fs::create_dir(&crashed)?;
    let copy = |name| std::fs::copy(folder.join(name), crashed.join(name)).context("copy the log");
    fill(&handle, events - events / 10)?;
    std::thread::sleep(REST);
    copy(LOG_FILE_NAME)?;
    fill(&handle, events)?;
    let newest = handle.newest();
    journal.stop();
    copy(LOG_AHEAD_NAME)?;
    let (mut text, mut is_whole) = (String::new(), true);
    for (name, folder) in [("stop", folder), ("crash", &crashed)] {
        let (ready, count, found) = open(folder)?;
        is_whole &= found >= newest;
        // Writing to a string does not fail.
        let _ = writeln!(text, "after a {name:<6}{count} events, ready in {:.0} ms", ready.as_secs_f64() * 1_000.0);
    }
    Ok((text, is_whole))
}

/// Opens a log and reads its newest event. How long that took, how many events there are, and which is the newest.
fn open(folder: &Path) -> anyhow::Result<(Duration, u64, EventId)> {
    let start = Instant::now();
    let journal = JournalThread::start(&JournalConfig::new(Some(folder.to_owned())))?;
    let handle = journal.handle();
    let before = handle.newest();
    // Its first event is that it has started: then it is ready.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut reader = handle.reader(Some(before), Filter::default());
    let first = runtime.block_on(async { tokio::time::timeout(PATIENCE, reader.next()).await })??;
    ensure!(!first.is_empty(), "the log does not say that it has started");
    let ready = start.elapsed();
    Ok((ready, handle.newest().0 - handle.oldest().0 + 1, before))
}

fn fill(handle: &JournalHandle, events: u64) -> anyhow::Result<()> {
    let (clock, start) = (Clock::start(), Instant::now());
    let target = handle.oldest().0 + events;
    let mut call = handle.newest().0;
    while handle.newest().0 + 1 < target {
        let before = handle.newest().0;
        let missing = target - before - 1;
        for _ in 0..missing.min(PIECE).div_ceil(EVENTS_OF_A_CALL) {
            for seq in 0..EVENTS_OF_A_CALL {
                handle.push(entry(clock.now(), (1 << 40) + call, seq, 0));
            }
            call += 1;
        }
        while handle.newest().0 < before + missing.min(PIECE) {
            ensure!(start.elapsed() < PATIENCE, "the disk does not keep up");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}
