//! When it is tried again, and where.

use std::time::Duration;

use hookswitch_call::Time;

use super::{Letter, Target, Terms};

/// Longest time that is believed of a target that says when to come again (`Retry-After`).
pub(super) const LONGEST_HOLD: Duration = Duration::from_secs(3_600);

/// How often a first URL that is down is tried although there is a second.
pub(super) const PROBE_EVERY: Duration = Duration::from_secs(30);

/// SplitMix64. Enough that those who failed together do not come back together.
#[derive(Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The pause after so many failures: the half that is certain and a part of the other.
    pub(super) fn pause(&mut self, terms: &Terms, failures: u32) -> Duration {
        let doubled =
            terms.first_pause.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        let half = doubled.min(terms.longest_pause) / 2;
        // In steps of a thousandth.
        half + half * u32::try_from(self.next() % 1_001).unwrap_or(0) / 1_000
    }
}

/// How the first URL is doing.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Failures since something was delivered there.
    pub(super) failures: u32,
    /// It has asked not to be bothered before then.
    held_until: Option<Time>,
    /// When it is tried next although it is down.
    probe_at: Time,
}

impl Health {
    pub(super) fn succeeded(&mut self) {
        *self = Self { held_until: self.held_until, ..Self::default() };
    }

    pub(super) fn failed(&mut self, now: Time, retry_after: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        self.probe_at = now + PROBE_EVERY;
        if let Some(wait) = retry_after {
            self.held_until = self.held_until.max(Some(now + wait.min(LONGEST_HOLD)));
        }
    }

    /// Until when the first URL does not want to be asked.
    pub(super) fn held_until(&self) -> Option<Time> {
        self.held_until
    }

    /// That time may have come.
    pub(super) fn release(&mut self, now: Time) {
        self.held_until = self.held_until.filter(|until| *until > now);
    }

    /// Where a letter goes next; `None` while nobody may be asked.
    pub(super) fn target(&mut self, now: Time, terms: &Terms, letter: &Letter) -> Option<Target> {
        let held = self.held_until.is_some_and(|until| until > now);
        if !terms.has_fallback {
            return Some(Target::First).filter(|_| !held);
        }
        let own = letter.failures >= terms.fallback_after;
        let down = self.failures >= terms.fallback_after;
        let probes = down && now >= self.probe_at;
        if held || (down && !probes && letter.last_target != Some(Target::Fallback)) {
            return Some(Target::Fallback);
        }
        if probes {
            // Only one finds out.
            self.probe_at = now + PROBE_EVERY;
            return Some(Target::First);
        }
        Some(if own && letter.last_target == Some(Target::First) { Target::Fallback } else { Target::First })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_half_of_each_is_chance() {
        let terms = Terms::default();
        let mut dice = Dice(1);
        for (failures, longest) in [(1, 1), (2, 2), (3, 4), (10, 512), (11, 600), (40, 600), (u32::MAX, 600)] {
            let longest = Duration::from_secs(longest);
            let pauses: Vec<_> = (0..200).map(|_| dice.pause(&terms, failures)).collect();
            assert!(pauses.iter().all(|pause| (longest / 2..=longest).contains(pause)), "{failures}: {pauses:?}");
            let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
            assert!(*most - *least > longest / 4, "{failures}: all alike");
        }
    }

    #[test]
    fn a_target_is_not_believed_that_says_next_year() {
        let mut health = Health::default();
        health.failed(Time::from_secs(100), Some(Duration::from_secs(31_536_000)));
        assert_eq!(health.held_until(), Some(Time::from_secs(100) + LONGEST_HOLD));
    }
}
