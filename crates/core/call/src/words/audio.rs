//! What is known of the way that a call's audio takes, party by party.

use std::net::SocketAddr;
use std::time::Duration;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{LegId, Party, Time};

/// What the media engine knows of one party's audio. Packets and octets are those of RTP, headers
/// included.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AudioFacts {
    /// The leg that the session in force was agreed with; none before there is one.
    pub leg: Option<LegId>,
    /// The codec agreed.
    pub codec: Option<CompactString>,
    /// Where the party's description wants audio. None where it names no address that can be sent to:
    /// hold at `0.0.0.0`, a host name.
    pub said: Option<SocketAddr>,
    /// Where our description tells the party to send.
    pub ours: Option<SocketAddr>,
    /// Where its packets come from, once that is believed.
    pub source: Option<SocketAddr>,
    /// How often another source than before was believed.
    pub moves: u32,
    /// The party has agreed to send.
    pub sends: bool,
    /// It has agreed to listen.
    pub listens: bool,
    /// We have put it on hold.
    pub held: bool,
    /// Since when it is to be heard: the session was agreed, or it was taken off hold.
    pub agreed: Option<Time>,
    /// When the first believed packet came.
    pub first: Option<Time>,
    /// When the last one did.
    pub last: Option<Time>,
    /// When the last believed RTCP packet came.
    pub last_report: Option<Time>,
    /// Packets from the party that were believed.
    pub received: u64,
    /// Their octets.
    pub received_octets: u64,
    /// Packets to the party.
    pub sent: u64,
    /// Their octets.
    pub sent_octets: u64,
    /// Packets from sources that are not believed, since the last strange one.
    pub refused: u32,
    /// When the last one came, and from where.
    pub refused_last: Option<(Time, SocketAddr)>,
    /// Packets that are not what was agreed, since the last from a source that is not believed.
    pub strange: u32,
    /// When the last one came, and what it was.
    pub strange_last: Option<(Time, Strange)>,
    /// How its packets come.
    pub quality: AudioQuality,
}

/// How the packets of a party come to us, and ours to it. Counts are of packets, since the call began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AudioQuality {
    /// Those that never came, by the gaps in their numbers.
    pub lost: u64,
    /// Those that came after a later one.
    pub reordered: u64,
    /// Those that came again, or so late that one cannot know.
    pub duplicated: u64,
    /// Those that came and were not heard: too late to be mixed in a room or transcoded, or from before a change of what is
    /// heard of the party.
    pub late: u64,
    /// Frames of 20 ms in which something was made up for what was missing. Where the audio is only passed on, that is
    /// left to whoever hears it, and 0.
    pub concealed: u64,
    /// How unevenly they come (RFC 3550 section 6.4.1).
    pub jitter: Duration,
    /// From us to the party and back, as its reports say; none without reports.
    pub round_trip: Option<Duration>,
    /// What listeners would say of it on the average, in hundredths, from 100 to 450: the E-model (ITU-T G.107) with
    /// the codec, the losses and the delay of this party's own way to us. None before anything has come.
    pub opinion: Option<u16>,
    /// Packets to the party that it says it has lost.
    pub told_lost: Option<u32>,
    /// How unevenly they come to it, as it says.
    pub told_jitter: Option<Duration>,
    /// What is heard in them. None before any of it could be listened to, which is never where audio other than G.711
    /// and L16 is passed on as it is.
    pub sound: Option<AudioSound>,
}

/// What a party sounds like: a frame is looked at every few hundred milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AudioSound {
    /// Frames that were looked at.
    pub looked_at: u32,
    /// Those in which the sound was cut off, being too loud for its codec.
    pub clipped: u32,
    /// How loud those are on the average that are not silent, in dBov: 0 is the loudest that there is (RFC 6464). None
    /// if all of them were silent: below -65.
    pub level: Option<i8>,
    /// Since when there was nothing but silence, comfort noise included.
    pub silent_since: Option<Time>,
}

/// What a packet was that is not what was agreed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strange {
    /// RTP of this payload type, which was not agreed.
    PayloadType(u8),
    /// A DTLS record: the party wants SRTP (RFC 7983).
    Dtls,
    /// A STUN message: the party checks ways of ICE (RFC 7983).
    Stun,
    /// Something else.
    Other,
}

/// What is known of the audio of both ends of a call.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct CallAudio {
    /// When this was so.
    pub at: Time,
    /// After how much silence a party that is to be heard counts as silent.
    pub patience: Duration,
    /// The calling party.
    pub caller: AudioFacts,
    /// The called party.
    pub callee: AudioFacts,
}

impl CallAudio {
    /// One end.
    #[must_use]
    pub const fn of(&self, party: Party) -> &AudioFacts {
        match party {
            Party::Caller => &self.caller,
            Party::Callee => &self.callee,
        }
    }
}

/// Why the engine tells of a call's audio.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioNews {
    /// Both parties are to be heard, and nothing comes from this one for a while now. Said again after
    /// twice that time, four times, and so on.
    Quiet(Party),
    /// It is heard again.
    Back(Party),
    /// Somebody has asked.
    Asked,
    /// The call is over.
    Closed,
}
