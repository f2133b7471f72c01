//! The journal thread: takes what has happened, numbers it, keeps it, and then lets everybody see it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use compact_str::ToCompactString as _;
use hookswitch_call::{CallId, Time};
use hookswitch_dialect::journal::{Batch, EventId, Journal, LeftCall, Logged, OpenCall};
use hookswitch_store::{LogBatch, LogEntry, LogKeeps, LogNote, PACE, StoreError};

use super::queue::Taken;
use super::ring::segment;
use super::{JournalConfig, Shared};
use crate::clock::Clock;

/// Entries that share one commit at most.
const MAX_BATCH: usize = 4_096;

/// How often it is looked whether something has grown too old while nothing happens.
const TRIM_EVERY: Duration = Duration::from_secs(60);

/// Pause before a failed commit is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    shared: Arc<Shared>,
    clock: Clock,
    journal: Journal,
    kept: Duration,
    max_events: u64,
    max_bytes: u64,
    /// That the log is full is said once.
    said_full: bool,
}

impl Writer {
    /// Reads what the last process has left open; what of that goes on without us comes with it.
    pub(super) fn new(
        shared: Arc<Shared>,
        clock: Clock,
        config: &JournalConfig,
        next: EventId,
    ) -> Result<(Self, Vec<LeftCall>), StoreError> {
        let mut open = Vec::new();
        if let Some(log) = &shared.log {
            log.notes(|key, value| match read_note(key, value) {
                Some(call) => open.push(call),
                None => tracing::error!("a call that was open cannot be read from the event log"),
            })?;
        }
        let mut journal = Journal::new(next);
        let left = if config.goes_on { journal.go_on(&mut open) } else { Vec::new() };
        journal.start(clock.now(), open);
        let (kept, max_events, max_bytes) = (config.kept, config.max_events, config.max_bytes);
        Ok((Self { shared, clock, journal, kept, max_events, max_bytes, said_full: false }, left))
    }

    /// Runs until everything was kept that came before it was told to stop.
    pub(super) fn run(mut self) {
        let first = self.journal.drain();
        if !self.keep(first) {
            return;
        }
        loop {
            let Taken { entries, gap, stopping } = self.shared.queue.take(MAX_BATCH, TRIM_EVERY);
            let count = entries.len();
            for (place, entry) in entries.into_iter().enumerate() {
                self.fill_gap(place, gap);
                self.journal.take(entry);
            }
            self.fill_gap(count, gap);
            let (batch, began) = (self.journal.drain(), Instant::now());
            if !self.keep(batch) || stopping {
                return;
            }
            if self.shared.log.is_some() {
                thread::sleep(PACE.saturating_sub(began.elapsed()));
            }
        }
    }

    fn fill_gap(&mut self, place: usize, gap: Option<(usize, u64)>) {
        if let Some((at, missed)) = gap
            && at == place
        {
            self.shared.counted.missed.fetch_add(missed, Ordering::Relaxed);
            tracing::error!(missed, "events are lost: the event log could not be written for too long");
            self.journal.missed(self.clock.now(), missed);
        }
    }

    /// Commits a batch and shows it. False if it could not be kept until it was time to stop.
    fn keep(&mut self, batch: Batch) -> bool {
        let Batch { events, open } = batch;
        if self.shared.log.is_some() && !self.commit(&events, open) {
            return false;
        }
        if events.is_empty() {
            return true;
        }
        self.shared.counted.events.fetch_add(events.len() as u64, Ordering::Relaxed);
        let segment = segment(events);
        self.shared.ring.write().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&segment));
        self.shared.waiters.tell(&segment);
        true
    }

    fn commit(&mut self, events: &[Logged], open: Vec<(CallId, Option<OpenCall>)>) -> bool {
        let shared = Arc::clone(&self.shared);
        let Some(log) = &shared.log else { return true };
        let keeps = self.keeps();
        if events.is_empty() && open.is_empty() && log.extent().entries() == 0 {
            return true;
        }
        let (entries, notes) = (events.iter().map(entry).collect(), open.into_iter().map(note).collect());
        let batch = Arc::new(LogBatch { entries, notes });
        loop {
            match log.append(&batch, &keeps) {
                Ok(()) => {
                    self.went_well(log.take_trimmed().crowded);
                    return true;
                }
                Err(error) => {
                    self.shared.counted.failures.fetch_add(1, Ordering::Relaxed);
                    if self.shared.trouble().is_none() {
                        tracing::error!(%error, "the event log cannot be written: nobody is told of events until it can");
                        self.shared.set_trouble(Some((self.clock.now(), error.to_compact_string())));
                    }
                    if self.shared.queue.pause(RETRY_AFTER) {
                        tracing::error!(%error, events = events.len(), "the last events could not be kept");
                        return false;
                    }
                }
            }
        }
    }

    fn went_well(&mut self, crowded: u64) {
        self.shared.counted.commits.fetch_add(1, Ordering::Relaxed);
        self.shared.counted.crowded.fetch_add(crowded, Ordering::Relaxed);
        if crowded > 0 && !self.said_full {
            self.said_full = true;
            tracing::warn!(
                kept = self.kept.as_secs(),
                max_events = self.max_events,
                max_bytes = self.max_bytes,
                "the event log is full: events are thrown out before their time"
            );
        }
        if self.shared.trouble().is_some() {
            self.shared.set_trouble(None);
            tracing::info!("the event log can be written again");
        }
    }

    fn keeps(&self) -> LogKeeps {
        let since = milliseconds(self.clock.now().saturating_sub(self.kept));
        LogKeeps { since, entries: self.max_events, bytes: self.max_bytes }
    }
}

fn milliseconds(time: Time) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn entry(event: &Logged) -> LogEntry {
    LogEntry { id: event.id.0, at: milliseconds(event.at), bytes: event.to_bytes().into() }
}

fn note((call, open): (CallId, Option<OpenCall>)) -> LogNote {
    let value = open.map(|open| serde_json::to_vec(&open).expect("a call's line consists of texts and numbers").into());
    LogNote { key: Box::from(call.0.to_be_bytes()), value }
}

fn read_note(key: &[u8], value: &[u8]) -> Option<(CallId, OpenCall)> {
    let key = <[u8; 8]>::try_from(key).ok()?;
    Some((CallId(u64::from_be_bytes(key)), serde_json::from_slice(value).ok()?))
}
