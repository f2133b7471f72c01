//! How hard the thread of a shard works: once a second, when it is awake anyway.

use std::time::Duration;

use hookswitch_net::thread_cpu_time;

const EVERY: Duration = Duration::from_secs(1);

/// What the thread had used when it was looked at last.
#[derive(Default)]
pub(super) struct Busy(Option<(Duration, Duration)>);

impl Busy {
    /// Percent of its time that the calling thread has used since it was asked last, at least a second ago.
    pub(super) fn look(&mut self, now: Duration) -> Option<f32> {
        self.since(now, || {
            let (user, system) = thread_cpu_time();
            user + system
        })
    }

    fn since(&mut self, now: Duration, used: impl FnOnce() -> Duration) -> Option<f32> {
        let Some((at, before)) = self.0 else {
            self.0 = Some((now, used()));
            return None;
        };
        let time = now.saturating_sub(at);
        if time < EVERY {
            return None;
        }
        let used = used();
        self.0 = Some((now, used));
        let percent = used.saturating_sub(before).as_secs_f32() / time.as_secs_f32() * 100.0;
        // Nobody needs more digits.
        Some((percent.clamp(0.0, 100.0) * 10.0).round() / 10.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_second_of_two_is_a_quarter_and_sooner_than_that_nobody_looks() {
        let at = Duration::from_millis;
        let mut busy = Busy::default();
        assert_eq!(busy.since(at(10_000), || at(300)), None, "the first look");
        assert_eq!(busy.since(at(10_999), || panic!("it is too soon")), None);
        assert_eq!(busy.since(at(12_000), || at(800)), Some(25.0));
        assert_eq!(busy.since(at(72_000), || at(800)), Some(0.0), "it has slept for a minute");
        assert_eq!(busy.since(at(73_000), || at(1_801)), Some(100.0), "two clocks are never quite the same");
    }
}
