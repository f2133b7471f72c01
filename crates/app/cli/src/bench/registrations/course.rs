//! What is counted while phones register.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::histogram::Histogram;
use super::super::process::Cpu;

/// Different reasons that are told apart; more are one.
const MAX_REASONS: usize = 50;

/// Pings are counted by pieces of this length.
pub(super) const PIECE: Duration = Duration::from_millis(100);

/// One part of a run: the registrations, or the refreshes.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) started: u64,
    pub(super) done: u64,
    /// Why registrations failed, in words: `403 Forbidden`.
    pub(super) failed: BTreeMap<String, u64>,
    /// Challenges that were answered.
    pub(super) challenges: u64,
    /// Answers of 503 with a time to wait.
    pub(super) sent_away: u64,
    /// Requests sent again.
    pub(super) repeats: u64,
    /// Answers that came again, or too late.
    pub(super) repeats_seen: u64,
    /// Messages that belong to no phone.
    pub(super) strays: u64,
    /// Turns that a phone could not take because it was at its last one still.
    pub(super) busy: u64,
    /// How late a registration was begun at worst.
    pub(super) late: Duration,
    /// From the REGISTER to its 200, with the challenge where there was one.
    pub(super) took: Histogram,
    /// The first and the last moment.
    pub(super) span: (Duration, Duration),
    /// Processor time of the server at both.
    pub(super) cpu: (Cpu, Cpu),
}

impl Course {
    pub(super) fn new(now: Duration) -> Course {
        Course {
            started: 0,
            done: 0,
            failed: BTreeMap::new(),
            challenges: 0,
            sent_away: 0,
            repeats: 0,
            repeats_seen: 0,
            strays: 0,
            busy: 0,
            late: Duration::ZERO,
            took: Histogram::new(),
            span: (now, now),
            cpu: Default::default(),
        }
    }

    pub(super) fn succeed(&mut self, now: Duration, took: Duration) {
        self.done += 1;
        self.took.add(took);
        self.span.1 = now;
    }

    pub(super) fn fail(&mut self, now: Duration, why: String) {
        let known = self.failed.len() < MAX_REASONS || self.failed.contains_key(&why);
        *self.failed.entry(if known { why } else { "other".into() }).or_default() += 1;
        self.span.1 = now;
    }

    pub(super) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }
}

/// OPTIONS that phones have answered.
#[derive(Debug, Default)]
pub(super) struct Pings {
    pub(super) answered: u64,
    first: Option<Duration>,
    last: Duration,
    piece: u64,
    in_piece: u64,
    pub(super) most: u64,
}

impl Pings {
    pub(super) fn add(&mut self, arrived: Duration) {
        let first = *self.first.get_or_insert(arrived);
        self.answered += 1;
        self.last = self.last.max(arrived);
        let piece = (arrived.saturating_sub(first).as_nanos() / PIECE.as_nanos()) as u64;
        if piece != self.piece {
            (self.piece, self.in_piece) = (piece, 0);
        }
        self.in_piece += 1;
        self.most = self.most.max(self.in_piece);
    }

    /// How many there are in a [`PIECE`] on average.
    pub(super) fn average(&self) -> f64 {
        let pieces = self.last.saturating_sub(self.first.unwrap_or_default()).as_secs_f64() / PIECE.as_secs_f64();
        self.answered as f64 / pieces.max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_pings_is_seen_beside_the_average() {
        let mut pings = Pings::default();
        for millis in (0..1_000).step_by(10) {
            pings.add(Duration::from_millis(millis));
        }
        for _ in 0..50 {
            pings.add(Duration::from_millis(1_000));
        }
        assert_eq!((pings.answered, pings.most), (150, 50));
        assert!((pings.average() - 15.0).abs() < 0.01, "{}", pings.average());
    }
}
