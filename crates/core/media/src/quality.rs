//! How one party is received, and how it receives: counted per packet in whole numbers, summed up when asked for.

use std::time::Duration;

use hookswitch_call::{AudioQuality, Time};
use hookswitch_codec::{Codec, Transmission, opinion, rating};
use hookswitch_rtp::{Arrival, Packet, ReportBlock, SequenceTracker};

use crate::impression::Impression;
use crate::negotiate::Content;
use crate::stats::{Counters, DropReason};

/// What a receiver adds to the delay of the network, in milliseconds: a packet's worth, and a buffer of as much.
const RECEIVER_MS: f32 = 40.0;

/// A round trip of more makes no sense.
const LONGEST_ROUND_TRIP: Duration = Duration::from_secs(60);

/// How the packets of one party come, and what it says of those to it. What is lost is in its [`Counters`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Quality {
    /// The source that is counted now.
    source: Option<Counted>,
    /// What it sounds like.
    pub impression: Impression,
    /// How often packets were missing, one or several in a row.
    gaps: u32,
    /// That of the source before, while there is none.
    jitter: Duration,
    /// The compact NTP time of the sender report that was last sent to the party, and when that was.
    report_sent: Option<(u32, Time)>,
    round_trip: Option<Duration>,
    /// What the party last said of what it is sent: packets lost, and jitter by the RTP clock.
    told: Option<(i32, u32)>,
}

/// A source, its clock, and how its packets stand to each other.
#[derive(Debug, Clone)]
struct Counted {
    ssrc: u32,
    clock: u32,
    tracker: SequenceTracker,
    /// How the newest packet stands to those before it.
    arrival: Arrival,
}

impl Quality {
    /// Counts a packet of the party's that is believed.
    #[inline]
    pub fn note(&mut self, now: Time, codec: &Codec, content: Content, rtp: &Packet<'_>, counters: &mut Counters) {
        let (ssrc, clock) = (rtp.ssrc(), codec.clock_rate);
        let source = match &mut self.source {
            Some(source) if source.ssrc == ssrc && source.clock == clock => source,
            source => {
                let tracker = SequenceTracker::new(clock);
                source.insert(Counted { ssrc, clock, tracker, arrival: Arrival::First })
            }
        };
        source.arrival = match content {
            Content::Audio | Content::Noise => source.tracker.packet(now, rtp.sequence(), rtp.timestamp()),
            // Their timestamps stand still.
            Content::Event => source.tracker.sequence_only(rtp.sequence()),
        };
        match source.arrival {
            Arrival::InOrder { missing: 0 } | Arrival::First | Arrival::Stray => {}
            Arrival::InOrder { missing } => {
                counters.lost_packets += u64::from(missing);
                self.gaps = self.gaps.saturating_add(1);
            }
            Arrival::Late => {
                counters.lost_packets = counters.lost_packets.saturating_sub(1);
                counters.reordered_packets += 1;
            }
            Arrival::Duplicate => counters.duplicated_packets += 1,
        }
        match content {
            Content::Audio => self.impression.note(now, codec, rtp.payload()),
            Content::Noise => self.impression.note_silence(now),
            Content::Event => {}
        }
    }

    /// How the packet that was counted last stands to those before it.
    pub fn arrival(&self) -> Arrival {
        self.source.as_ref().map_or(Arrival::First, |source| source.arrival)
    }

    /// Whether anything came from the party since it was last told of that.
    pub fn has_news(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.tracker.has_news())
    }

    /// What the party is told of what came from it since it was told last, if anything did.
    pub fn block(&mut self) -> Option<ReportBlock> {
        let source = self.source.as_mut().filter(|source| source.tracker.has_news())?;
        Some(source.tracker.report(source.ssrc))
    }

    /// What comes now is not looked at, so its numbers are not missing later.
    pub fn pause(&mut self) {
        self.jitter = self.jitter();
        self.source = None;
        self.impression.pause();
    }

    /// Remembers a sender report that the party is sent, by its compact NTP time.
    pub fn report_sent(&mut self, now: Time, compact_ntp: u32) {
        self.report_sent = Some((compact_ntp, now));
    }

    /// Takes what the party says of the stream that it is sent.
    pub fn take_block(&mut self, now: Time, block: &ReportBlock) {
        self.told = Some((block.cumulative_lost, block.jitter));
        // Whoever has made the report it refers to: when that went by here is known.
        if let Some((last_sr, at)) = self.report_sent
            && last_sr == block.last_sr
        {
            let held = Duration::from_micros(u64::from(block.delay_since_last_sr) * 1_000_000 / 65_536);
            let trip = now.saturating_sub(at).checked_sub(held).filter(|trip| *trip <= LONGEST_ROUND_TRIP);
            self.round_trip = trip.or(self.round_trip);
        }
    }

    fn jitter(&self) -> Duration {
        self.source.as_ref().map_or(self.jitter, |source| source.tracker.jitter_time())
    }

    /// The sum of it, for a party whose codec this is.
    pub fn summary(&self, codec: Option<&Codec>, counters: &Counters) -> AudioQuality {
        let received = counters.received_packets.saturating_sub(counters.duplicated_packets);
        let clock = codec.map_or(8_000, |codec| codec.clock_rate.max(1));
        let told_jitter = |jitter: u32| Duration::from_micros(u64::from(jitter) * 1_000_000 / u64::from(clock));
        AudioQuality {
            lost: counters.lost_packets,
            reordered: counters.reordered_packets,
            duplicated: counters.duplicated_packets,
            late: counters.dropped_for(DropReason::Late),
            concealed: counters.concealed_frames,
            jitter: self.jitter(),
            round_trip: self.round_trip,
            opinion: codec.filter(|_| received > 0).map(|codec| self.opinion(codec, counters, received)),
            told_lost: self.told.map(|(lost, _)| u32::try_from(lost).unwrap_or(0)),
            told_jitter: self.told.map(|(_, jitter)| told_jitter(jitter)),
            sound: self.impression.summary(),
        }
    }

    /// In hundredths. What was not heard is lost, whether it came or not.
    fn opinion(&self, codec: &Codec, counters: &Counters, received: u64) -> u16 {
        let late = counters.dropped_for(DropReason::Late);
        let unheard = (counters.lost_packets + late) as f32;
        let part = (unheard / (counters.lost_packets + received) as f32).min(1.0);
        // Of the late ones nobody knows how they stand to each other.
        let in_a_row = unheard / (u64::from(self.gaps) + late).max(1) as f32;
        let milliseconds = |time: Duration| time.as_secs_f32() * 1_000.0;
        let transmission = Transmission {
            delay_ms: self.round_trip.map_or(0.0, milliseconds) / 2.0 + 2.0 * milliseconds(self.jitter()) + RECEIVER_MS,
            loss_percent: 100.0 * part,
            // By chance so many would be in a row: the inverse of the part that comes.
            burst_ratio: in_a_row * (1.0 - part),
        };
        (100.0 * opinion(rating(codec.impairment(), transmission))).round() as u16
    }
}
