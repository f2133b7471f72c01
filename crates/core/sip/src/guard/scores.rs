//! What each source has done, as one number that decays. The table has a fixed size and keeps the worst:
//!
//! ```text
//!   source ─▶ hash ─▶ one of the rows ─▶ 8 places: the source's own, else an empty one,
//!                                                  else that of the least score, if it is less
//! ```
//!
//! So a flood from forged addresses, each with little to its name, pushes out others like them, and nobody who has
//! done more.

use crate::Time;

/// Places that a source may take.
const WAYS: usize = 8;

/// What is known of one source; a score of zero is an empty place.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Hash of the source.
    key: u64,
    /// As of `at`.
    score: f32,
    /// In seconds.
    at: u32,
}

impl Place {
    fn score(&self, at: u32, half_life: f32) -> f32 {
        let passed = at.saturating_sub(self.at);
        if passed == 0 { self.score } else { self.score * (-(passed as f32) / half_life).exp2() }
    }
}

/// The scores.
pub(super) struct Scores {
    places: Box<[Place]>,
    /// In seconds.
    half_life: f32,
    /// Rows, a power of two, less one.
    mask: usize,
}

impl Scores {
    /// Room for at least so many sources. `half_life`: after so long a score counts half.
    pub(super) fn new(sources: usize, half_life: Time) -> Scores {
        let rows = sources.div_ceil(WAYS).next_power_of_two();
        Scores {
            places: vec![Place::default(); rows * WAYS].into_boxed_slice(),
            half_life: half_life.as_secs_f32().max(1.0),
            mask: rows - 1,
        }
    }

    /// Adds to the score of a source, and says what it is then. `None` when all places it may take belong to sources
    /// that have done more.
    pub(super) fn add(&mut self, now: Time, key: u64, weight: f32) -> Option<f32> {
        let at = seconds(now);
        let half_life = self.half_life;
        let row = self.row(key);
        if let Some(own) = row.iter_mut().find(|place| place.key == key && place.score > 0.0) {
            *own = Place { key, score: own.score(at, half_life) + weight, at };
            return Some(own.score);
        }
        let least = row.iter_mut().min_by(|a, b| a.score(at, half_life).total_cmp(&b.score(at, half_life)))?;
        if least.score(at, half_life) > weight {
            return None;
        }
        *least = Place { key, score: weight, at };
        Some(weight)
    }

    /// Forgets what a source has done.
    pub(super) fn clear(&mut self, key: u64) {
        for place in self.row(key) {
            if place.key == key {
                *place = Place::default();
            }
        }
    }

    fn row(&mut self, key: u64) -> &mut [Place] {
        let first = (key as usize & self.mask) * WAYS;
        &mut self.places[first..first + WAYS]
    }
}

fn seconds(now: Time) -> u32 {
    u32::try_from(now.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(1_000_000);

    #[test]
    fn a_score_halves_with_time() {
        let mut scores = Scores::new(8, Time::from_secs(60));
        assert_eq!(scores.add(NOW, 1, 40.0), Some(40.0));
        assert_eq!(scores.add(NOW + Time::from_secs(60), 1, 1.0), Some(21.0));
        scores.clear(1);
        assert_eq!(scores.add(NOW + Time::from_secs(60), 1, 1.0), Some(1.0));
    }

    #[test]
    fn a_flood_of_sources_pushes_out_those_like_it_and_nobody_worse() {
        let mut scores = Scores::new(1_024, Time::from_secs(300));
        let guessers: Vec<u64> = (1..=100).map(|n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        for key in &guessers {
            scores.add(NOW, *key, 50.0);
        }
        // A thousand times as many as there are places.
        for n in 1..=1_000_000_u64 {
            scores.add(NOW, n.wrapping_mul(0xd134_2543_de82_ef95), 2.0);
        }
        for key in &guessers {
            assert_eq!(scores.add(NOW, *key, 1.0), Some(51.0));
        }
    }

    #[test]
    fn there_is_no_room_among_worse_ones_until_they_have_calmed_down() {
        let mut scores = Scores::new(8, Time::from_secs(60));
        for key in 0..8 {
            assert_eq!(scores.add(NOW, key * 8, 50.0), Some(50.0));
        }
        assert_eq!(scores.add(NOW, 800, 10.0), None);
        assert_eq!(scores.add(NOW + Time::from_secs(180), 800, 10.0), Some(10.0));
    }
}
