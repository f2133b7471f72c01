//! From telephone-event packets to keys pressed.
//!
//! ```text
//!             first packet of an event            end packet, or a packet of another
//!   ┌──────┐  ───────────────────────▶  ┌───────┐  event, or EVENT_TIMEOUT
//!   │ idle │                            │ event │  ───────────────────────────▶  idle
//!   └──────┘  ◀─ repeated end packets   └───────┘
//!              and stragglers: ignored      ↺ updates, segments
//! ```

use core::time::Duration;

use crate::TelephoneEvent;

/// An event of which nothing has been heard for this long is over: its end packets were lost.
/// Senders update every 20 to 50 ms.
pub const EVENT_TIMEOUT: Duration = Duration::from_millis(200);

/// A packet later than this behind the last event, in units of the RTP clock, is a straggler; one
/// earlier still is a source that restarted its clock.
const STRAGGLER: u32 = 80_000;

/// What became known about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventReport {
    /// A key went down.
    Started {
        /// Event number; [`TelephoneEvent::digit_of`] gives the key.
        event: u8,
        /// When it went down, on the RTP clock.
        timestamp: u32,
    },
    /// A key went up.
    Ended {
        /// Event number.
        event: u8,
        /// How long it was down, in units of the RTP clock, as far as was heard.
        duration: u32,
    },
}

/// At most two reports: the end of one event and the beginning of the next, or both ends of one of
/// which only an end packet arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventReports {
    reports: [Option<EventReport>; 3],
}

impl EventReports {
    fn push(&mut self, report: EventReport) {
        if let Some(slot) = self.reports.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(report);
        }
    }

    /// The reports, in order.
    pub fn iter(&self) -> impl Iterator<Item = EventReport> + '_ {
        self.reports.iter().flatten().copied()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reports[0].is_none()
    }
}

impl IntoIterator for EventReports {
    type Item = EventReport;
    type IntoIter = core::iter::Flatten<core::array::IntoIter<Option<EventReport>, 3>>;

    fn into_iter(self) -> Self::IntoIter {
        self.reports.into_iter().flatten()
    }
}

/// An event that is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Current {
    event: u8,
    /// Beginning of the present segment.
    timestamp: u32,
    /// Longest duration heard of the present segment, and the length of those before it.
    duration: u16,
    earlier: u32,
    heard: Duration,
}

impl Current {
    fn total(&self) -> u32 {
        self.earlier.saturating_add(u32::from(self.duration))
    }

    /// Whether a packet with a new timestamp carries on this event: it begins where the last segment
    /// ended (section 2.5.1.3), and no packet of a new event begins without a marker unless it was lost.
    fn is_continued_by(&self, marker: bool, timestamp: u32, event: u8) -> bool {
        let offset = timestamp.wrapping_sub(self.timestamp);
        !marker
            && event == self.event
            && self.duration > 0x8000
            && offset >= u32::from(self.duration)
            && offset <= 0x1_0000
    }
}

/// Listens to the telephone-event packets of one source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventReceiver {
    current: Option<Current>,
    /// Timestamp of the segment whose end was heard last.
    ended: Option<u32>,
}

impl EventReceiver {
    /// A receiver that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a packet: marker and timestamp from its RTP header, and its payload.
    pub fn packet(&mut self, now: Duration, marker: bool, timestamp: u32, payload: TelephoneEvent) -> EventReports {
        let mut reports = EventReports::default();
        if self.is_old(timestamp) {
            return reports;
        }
        match &mut self.current {
            Some(current) if current.timestamp == timestamp => {
                current.duration = current.duration.max(payload.duration);
                current.heard = now;
            }
            Some(current) if current.is_continued_by(marker, timestamp, payload.event) => {
                current.earlier = current.total();
                current.timestamp = timestamp;
                current.duration = payload.duration;
                current.heard = now;
            }
            _ => {
                self.finish(&mut reports);
                reports.push(EventReport::Started { event: payload.event, timestamp });
                self.current = Some(Current {
                    event: payload.event,
                    timestamp,
                    duration: payload.duration,
                    earlier: 0,
                    heard: now,
                });
            }
        }
        if payload.end {
            self.finish(&mut reports);
        }
        reports
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` when no key is down.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.current.as_ref().map(|current| current.heard.saturating_add(EVENT_TIMEOUT))
    }

    /// Ends an event of which nothing was heard for [`EVENT_TIMEOUT`].
    pub fn handle_timeout(&mut self, now: Duration) -> EventReports {
        let mut reports = EventReports::default();
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.finish(&mut reports);
        }
        reports
    }

    fn finish(&mut self, reports: &mut EventReports) {
        if let Some(current) = self.current.take() {
            self.ended = Some(current.timestamp);
            reports.push(EventReport::Ended { event: current.event, duration: current.total() });
        }
    }

    /// Whether a packet belongs to an event that is over, or to one before that which goes on.
    fn is_old(&self, timestamp: u32) -> bool {
        let behind = |of: u32| of.wrapping_sub(timestamp);
        let over = self.ended.is_some_and(|ended| behind(ended) < STRAGGLER);
        let before = self.current.as_ref();
        over || before.is_some_and(|current| (1..STRAGGLER).contains(&behind(current.timestamp)))
    }
}
