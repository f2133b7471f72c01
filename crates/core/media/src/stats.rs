//! What is counted. Plain numbers: one thread owns them.

use hookswitch_call::{AudioQuality, CallId, Time};
use serde::{Deserialize, Serialize};

/// Why a packet went nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum DropReason {
    /// It came to a socket that belongs to no call.
    UnknownSocket,
    /// Not RTP, or on an RTCP socket not RTCP.
    Malformed,
    /// The session it would belong to has not been agreed yet.
    NotNegotiated,
    /// A payload type that was not agreed with the sender, or that the receiver has none for.
    PayloadType,
    /// From a source that is not believed.
    Source,
    /// The sender said that it sends nothing, or the receiver that it wants nothing.
    Held,
    /// Nobody hears the sender now.
    NoListener,
    /// Nobody knows where the receiver is, or there is no socket to get there.
    NoDestination,
    /// A report of which nothing concerns the other party: about media that we generate ourselves,
    /// we were who it was for; and audio that is transcoded and came again. Audio that is mixed in a room goes nowhere by
    /// itself either, but is not counted.
    Consumed,
    /// From before a change of what the receiver hears, or far from all that its source has sent; or too late to be mixed in
    /// a room, or transcoded.
    Late,
}

impl DropReason {
    /// How many there are.
    pub const COUNT: usize = 10;

    /// All of them, in the order of [`Counters::dropped`].
    pub const ALL: [Self; Self::COUNT] = [
        Self::UnknownSocket,
        Self::Malformed,
        Self::NotNegotiated,
        Self::PayloadType,
        Self::Source,
        Self::Held,
        Self::NoListener,
        Self::NoDestination,
        Self::Consumed,
        Self::Late,
    ];

    /// A name for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownSocket => "unknown_socket",
            Self::Malformed => "malformed",
            Self::NotNegotiated => "not_negotiated",
            Self::PayloadType => "payload_type",
            Self::Source => "source",
            Self::Held => "held",
            Self::NoListener => "no_listener",
            Self::NoDestination => "no_destination",
            Self::Consumed => "consumed",
            Self::Late => "late",
        }
    }
}

/// What one party sent and was sent. Octets are those of whole packets, RTP header included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// RTP packets from the party that were believed.
    pub received_packets: u64,
    /// Their octets.
    pub received_octets: u64,
    /// RTP packets to the party.
    pub sent_packets: u64,
    /// Their octets.
    pub sent_octets: u64,
    /// RTCP packets from the party that were believed.
    pub received_reports: u64,
    /// RTCP packets to the party.
    pub sent_reports: u64,
    /// Packets of the party that never came, by the gaps in their numbers.
    pub lost_packets: u64,
    /// Packets of the party that came after a later one.
    pub reordered_packets: u64,
    /// Packets of the party that came again, or too late to know.
    pub duplicated_packets: u64,
    /// Frames of 20 ms of what the party says in which something was made up for what was missing; of audio that is
    /// decoded here.
    pub concealed_frames: u64,
    /// Packets from the party, or in its name, that went nowhere, by [`DropReason`].
    pub dropped: [u64; DropReason::COUNT],
    /// When the first believed RTP packet came from the party.
    pub first_rtp_at: Option<Time>,
    /// When the last believed RTP packet came from the party.
    pub last_rtp_at: Option<Time>,
    /// When the last believed RTCP packet came from the party.
    pub last_rtcp_at: Option<Time>,
}

impl Counters {
    /// Packets dropped for one reason.
    #[must_use]
    pub fn dropped_for(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Packets dropped for any reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }

    #[inline]
    pub(crate) fn drop(&mut self, reason: DropReason) {
        self.drop_some(reason, 1);
    }

    #[inline]
    pub(crate) fn drop_some(&mut self, reason: DropReason, count: u64) {
        self.dropped[reason as usize] += count;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.received_packets += other.received_packets;
        self.received_octets += other.received_octets;
        self.sent_packets += other.sent_packets;
        self.sent_octets += other.sent_octets;
        self.received_reports += other.received_reports;
        self.sent_reports += other.sent_reports;
        self.lost_packets += other.lost_packets;
        self.reordered_packets += other.reordered_packets;
        self.duplicated_packets += other.duplicated_packets;
        self.concealed_frames += other.concealed_frames;
        for (sum, more) in self.dropped.iter_mut().zip(other.dropped) {
            *sum += more;
        }
        self.first_rtp_at = [self.first_rtp_at, other.first_rtp_at].into_iter().flatten().min();
        self.last_rtp_at = self.last_rtp_at.max(other.last_rtp_at);
        self.last_rtcp_at = self.last_rtcp_at.max(other.last_rtcp_at);
    }
}

/// What was counted for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallStats {
    /// Which call.
    pub call: CallId,
    /// The calling party.
    pub caller: Counters,
    /// The called party.
    pub callee: Counters,
    /// All others together: whoever is in the spare seat, and those who have left the call.
    pub others: Counters,
}

/// How the parties that are gone came through, by the E-model (ITU-T G.107).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rated {
    /// Those that were heard at all.
    pub parties: u64,
    /// Of them those that many would not have been content with: below [`POOR`].
    pub poor: u64,
    /// Of them those of which nothing but silence came, as far as anybody listened.
    pub mute: u64,
    /// Of them those that were cut off, being too loud, in more than [`CLIPPED_PERCENT`] of what was listened to.
    pub clipped: u64,
}

impl Rated {
    pub(crate) fn add(&mut self, quality: &AudioQuality) {
        let Some(opinion) = quality.opinion else { return };
        self.parties += 1;
        self.poor += u64::from(opinion < POOR);
        if let Some(sound) = quality.sound {
            self.mute += u64::from(sound.level.is_none());
            self.clipped += u64::from(u64::from(sound.clipped) * 100 > u64::from(sound.looked_at) * CLIPPED_PERCENT);
        }
    }
}

/// Below this opinion score, in hundredths, many are dissatisfied (G.107 annex B).
pub const POOR: u16 = 360;

/// A party that is cut off more often, in percent of what was listened to, is too loud.
pub const CLIPPED_PERCENT: u64 = 5;

/// What one engine holds and has counted since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Calls now.
    pub calls: usize,
    /// Port pairs in use now.
    pub port_pairs: usize,
    /// Parties that are told here about what they send and are sent, now: who hears tones, an echo or a room, is played to, or
    /// speaks to nobody.
    pub generators: usize,
    /// All parties of all calls, those that are over included, and packets on sockets of no call.
    pub counters: Counters,
    /// Parties that are gone, and what they were like to listen to.
    pub rated: Rated,
}
