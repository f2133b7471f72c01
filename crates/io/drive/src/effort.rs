//! How hard the media threads work, for whoever places calls on several hosts: once a second.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hookswitch_shard::Effort;

use crate::clock::Clock;
use crate::inbox::Inbox;
use crate::media::{Lateness, MediaPlane, MediaTotals};
use crate::sip::Message;

const EVERY: Duration = Duration::from_secs(1);

/// A tick that begins later than this is heard: a party's buffer may have run dry.
const LATE: Duration = Duration::from_millis(20);

/// The thread that asks. Ends with this, or with the media threads.
pub(crate) struct Efforts {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Efforts {
    pub(crate) fn start(media: Weak<MediaPlane>, inbox: Arc<Inbox<Message>>, clock: Clock) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let run = move || {
            let mut before = None;
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(EVERY) {
                let Some(media) = media.upgrade() else { break };
                let seen = Seen::of(clock.now(), &media.totals());
                drop(media);
                if let Some(before) = before.replace(seen) {
                    inbox.push_always(Message::Effort(seen.since(&before)));
                }
            }
        };
        let thread = thread::Builder::new().name("effort".to_owned()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Efforts {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It has panicked, which the hook has told.
            let _ = thread.join();
        }
    }
}

/// What all threads together had done at a moment.
#[derive(Clone, Copy)]
struct Seen {
    at: Duration,
    threads: u32,
    busy: Duration,
    late: u64,
}

impl Seen {
    fn of(at: Duration, totals: &[MediaTotals]) -> Self {
        let late = |lateness: &Lateness| -> u64 {
            lateness.counts().filter(|(bound, _)| bound.is_none_or(|bound| bound > LATE)).map(|(_, count)| count).sum()
        };
        Self {
            at,
            threads: u32::try_from(totals.len()).unwrap_or(u32::MAX),
            busy: totals.iter().map(|totals| totals.user + totals.system).sum(),
            late: totals.iter().map(|totals| late(&totals.lateness)).sum(),
        }
    }

    fn since(&self, before: &Self) -> Effort {
        let time = self.at.saturating_sub(before.at).as_secs_f32() * self.threads as f32;
        let busy = self.busy.saturating_sub(before.busy).as_secs_f32();
        let cpu = if time > 0.0 { (busy / time * 100.0).clamp(0.0, 100.0) } else { 0.0 };
        // Nobody needs more digits.
        let cpu = (cpu * 10.0).round() / 10.0;
        Effort { cpu, late_ticks: u32::try_from(self.late.saturating_sub(before.late)).unwrap_or(u32::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_second_of_two_threads_is_two_seconds_of_processor() {
        let mut totals = [MediaTotals::default(); 2];
        let before = Seen::of(Duration::from_secs(10), &totals);
        totals[0].user = 300 * MS;
        totals[1].system = 200 * MS;
        for late in [5, 20, 21, 400] {
            totals[1].lateness.note(late * MS);
        }
        let effort = Seen::of(Duration::from_secs(11), &totals).since(&before);
        assert_eq!((effort.cpu, effort.late_ticks), (25.0, 2));
        assert_eq!(before.since(&before), Effort::default(), "no time has passed");
    }
}
