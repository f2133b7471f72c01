//! What the log says of those who connect and are not believed: as much as an administrator can read, however many come.

use std::time::Duration;

use hookswitch_net::{Distrust, StreamKind};

use crate::pii::Pii;

/// Lines in one [`PERIOD`]. What is beyond is counted and told with the next one.
const LINES: u32 = 10;

const PERIOD: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Strangers {
    since: Duration,
    told: u32,
    left_out: u64,
}

impl Strangers {
    /// Somebody was turned away for his certificate.
    pub(super) fn turned_away(
        &mut self,
        now: Duration,
        remote: std::net::SocketAddr,
        kind: StreamKind,
        why: Distrust,
        words: &str,
    ) {
        if let Some(more) = self.may_tell(now) {
            let (remote, kind, more) = (Pii(remote), kind.name(), (more > 0).then_some(more));
            tracing::info!(%remote, kind, %words, more, "a connection is turned away: {why}");
        }
    }

    /// Whether there is a line for it, and how many had none since the last.
    fn may_tell(&mut self, now: Duration) -> Option<u64> {
        if now >= self.since + PERIOD {
            (self.since, self.told) = (now, 0);
        }
        if self.told == LINES {
            self.left_out += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_of_strangers_does_not_fill_the_log_and_is_counted() {
        let mut strangers = Strangers::default();
        let now = Duration::from_secs(1_700_000_000);
        let told =
            |strangers: &mut Strangers, now| (0..100).filter_map(|_| strangers.may_tell(now)).collect::<Vec<_>>();
        assert_eq!(told(&mut strangers, now), [0; LINES as usize]);
        assert!(told(&mut strangers, now + PERIOD - Duration::from_millis(1)).is_empty());
        assert_eq!(told(&mut strangers, now + PERIOD)[..2], [190, 0]);
    }
}
