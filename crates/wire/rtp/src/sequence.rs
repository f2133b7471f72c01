//! What a receiver keeps about one source: sequence numbers, loss and jitter (RFC 3550, appendices A.1,
//! A.3 and A.8).

use core::time::Duration;

use crate::ReportBlock;

/// A jump ahead of this many packets or more is taken for a restart of the source, once a second
/// packet confirms it (RFC 3550 A.1).
pub const MAX_DROPOUT: u16 = 3000;

/// A packet this far behind the newest, or less, is a late one.
pub const MAX_MISORDER: u16 = 100;

/// How far back duplicates are recognised, in packets.
const WINDOW: u32 = u64::BITS;

/// How far `sequence` is ahead of `than`, the short way round: positive when it is newer.
#[must_use]
pub fn sequence_delta(sequence: u16, than: u16) -> i16 {
    sequence.wrapping_sub(than) as i16
}

/// Whether a sequence number comes after another, the short way round.
#[must_use]
pub fn is_newer(sequence: u16, than: u16) -> bool {
    sequence_delta(sequence, than) > 0
}

/// How a packet stands to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The first of this source, or the first after it restarted.
    First,
    /// The one that was expected, or, after a gap, a later one.
    InOrder {
        /// Packets between the newest so far and this one that have not arrived.
        missing: u16,
    },
    /// One from within a gap.
    Late,
    /// One that was here before.
    Duplicate,
    /// Far from what was expected. It is not counted; if the next one follows on it, the source has
    /// restarted.
    Stray,
}

/// The state of one source at its receiver.
///
/// Every packet counts from the first on: which source to listen to is decided elsewhere, so there is
/// no probation as in A.1. Duplicates are not counted as received, so they cannot hide loss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceTracker {
    clock_rate: u32,
    started: bool,
    /// The newest sequence number, and 65536 times the wraps before it.
    newest: u64,
    base: u64,
    /// Which of the newest packets have arrived; bit 0 is the newest.
    seen: u64,
    received: u64,
    duplicates: u64,
    /// The sequence number that would confirm a restart.
    restart_at: Option<u16>,
    expected_before: u64,
    received_before: u64,
    transit: Option<u32>,
    /// Sixteen times the jitter, in clock units.
    jitter_16: u32,
    max_jitter: u32,
}

impl SequenceTracker {
    /// For a source with this RTP clock, in Hz.
    #[must_use]
    pub fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate: clock_rate.max(1),
            started: false,
            newest: 0,
            base: 0,
            seen: 0,
            received: 0,
            duplicates: 0,
            restart_at: None,
            expected_before: 0,
            received_before: 0,
            transit: None,
            jitter_16: 0,
            max_jitter: 0,
        }
    }

    /// Counts a packet that arrived at `now`. Give telephone-event packets to
    /// [`sequence_only`](Self::sequence_only): their timestamps stand still.
    pub fn packet(&mut self, now: Duration, sequence: u16, timestamp: u32) -> Arrival {
        let arrival = self.sequence_only(sequence);
        match arrival {
            Arrival::First => {
                self.transit = None;
                self.measure_jitter(now, timestamp);
            }
            Arrival::InOrder { .. } | Arrival::Late => self.measure_jitter(now, timestamp),
            Arrival::Duplicate | Arrival::Stray => {}
        }
        arrival
    }

    /// Counts a packet without looking at its time.
    pub fn sequence_only(&mut self, sequence: u16) -> Arrival {
        if !self.started {
            self.start(sequence);
            return Arrival::First;
        }
        let ahead = sequence.wrapping_sub(self.newest as u16);
        let behind = ahead.wrapping_neg();
        if ahead == 0 {
            self.duplicates += 1;
            return Arrival::Duplicate;
        }
        if ahead < MAX_DROPOUT {
            self.restart_at = None;
            self.newest += u64::from(ahead);
            self.seen = self.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            self.received += 1;
            return Arrival::InOrder { missing: ahead - 1 };
        }
        if behind <= MAX_MISORDER {
            return self.late(behind);
        }
        if self.restart_at == Some(sequence) {
            self.start(sequence);
            return Arrival::First;
        }
        self.restart_at = Some(sequence.wrapping_add(1));
        Arrival::Stray
    }

    fn start(&mut self, sequence: u16) {
        self.started = true;
        // One wrap in advance, so that a late packet from before the first is not below zero.
        self.newest = u64::from(sequence) + (1 << 16);
        self.base = self.newest;
        self.seen = 1;
        self.received = 1;
        self.duplicates = 0;
        self.restart_at = None;
        self.expected_before = 0;
        self.received_before = 0;
    }

    fn late(&mut self, behind: u16) -> Arrival {
        let Some(bit) = (u32::from(behind) < WINDOW).then(|| 1u64 << behind) else {
            // Too old to know; as a duplicate it cannot hide loss.
            self.duplicates += 1;
            return Arrival::Duplicate;
        };
        if self.seen & bit != 0 {
            self.duplicates += 1;
            return Arrival::Duplicate;
        }
        self.seen |= bit;
        self.received += 1;
        self.base = self.base.min(self.newest - u64::from(behind));
        Arrival::Late
    }

    fn measure_jitter(&mut self, now: Duration, timestamp: u32) {
        let rate = u64::from(self.clock_rate);
        let ticks = now.as_secs().wrapping_mul(rate) + u64::from(now.subsec_nanos()) * rate / 1_000_000_000;
        let transit = (ticks as u32).wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let difference = (transit.wrapping_sub(before) as i32).unsigned_abs();
            // A leap of the sender's timestamps says nothing about the network.
            if difference < self.clock_rate.saturating_mul(2) {
                self.jitter_16 += difference;
                self.jitter_16 -= (self.jitter_16 - difference + 8) >> 4;
                self.max_jitter = self.max_jitter.max(self.jitter());
            }
        }
    }

    /// Packets that arrived, duplicates not among them.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Packets that arrived more than once.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Packets there should have been.
    #[must_use]
    pub fn expected(&self) -> u64 {
        if self.started { self.newest - self.base + 1 } else { 0 }
    }

    /// Packets that did not arrive, as far as one can know.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }

    /// The newest sequence number, wraps above bit 15, as RTCP reports it.
    #[must_use]
    pub fn extended_highest(&self) -> u32 {
        // The wrap given in advance is taken back.
        if self.started { (self.newest - (1 << 16)) as u32 } else { 0 }
    }

    /// Interarrival jitter in units of the RTP clock (A.8).
    #[must_use]
    pub fn jitter(&self) -> u32 {
        self.jitter_16 >> 4
    }

    /// The largest jitter so far, in units of the RTP clock.
    #[must_use]
    pub fn max_jitter(&self) -> u32 {
        self.max_jitter
    }

    /// Jitter as a time.
    #[must_use]
    pub fn jitter_time(&self) -> Duration {
        let nanos = u64::from(self.jitter()) * 1_000_000_000 / u64::from(self.clock_rate);
        Duration::from_nanos(nanos)
    }

    /// Whether anything has arrived in the present interval: only then does the next report have a block about the source
    /// (RFC 3550 section 6.4).
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.received != self.received_before
    }

    /// The block for the next sender or receiver report, and the beginning of a new interval (A.3).
    /// `last_sr` and `delay_since_last_sr` are left 0.
    pub fn report(&mut self, ssrc: u32) -> ReportBlock {
        let (expected, received) = (self.expected(), self.received);
        let expected_now = expected.saturating_sub(self.expected_before);
        let received_now = received.saturating_sub(self.received_before);
        (self.expected_before, self.received_before) = (expected, received);
        let lost_now = expected_now.saturating_sub(received_now);
        let fraction = (lost_now << 8).checked_div(expected_now).unwrap_or(0);
        ReportBlock {
            ssrc,
            fraction_lost: fraction.min(255) as u8,
            cumulative_lost: self.lost().min(0x7f_ffff) as i32,
            extended_highest: self.extended_highest(),
            jitter: self.jitter(),
            last_sr: 0,
            delay_since_last_sr: 0,
        }
    }
}
