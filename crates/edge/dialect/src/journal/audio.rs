//! Events of what is heard: rooms, keys, sounds, recordings, and how good it was.

use std::time::Duration;

use hookswitch_call::diagnosis::Finding;
use hookswitch_call::{
    AudioFacts, CallAudio, OrderNews, Party, PlayEnd, PlayNews, RecordEnd, Recorded, RecordingId, Room, RoomNews,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::cause::{End, Why};
use super::setup::{CompactText, seconds};

/// Something happens to a party in a room (a conference).
#[derive(Debug, Serialize, JsonSchema)]
pub struct InRoom {
    /// Which end of the call.
    party: End,
    /// The name of the room.
    room: CompactText,
    /// What.
    what: RoomWhat,
    /// How many are in the room now, with `entered`.
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<u16>,
    /// Why the party cannot come in, with `refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Why>,
}

/// What happens to a party in a room.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum RoomWhat {
    /// It is in the room.
    Entered,
    /// It is not in the room any more.
    Left,
    /// It begins to speak.
    Speaking,
    /// It has ended speaking.
    Silent,
    /// It cannot come in.
    Refused,
}

impl InRoom {
    pub(super) fn new(party: Party, room: &Room, news: &RoomNews) -> Self {
        let (what, members, cause) = match news {
            RoomNews::Joined(members) => (RoomWhat::Entered, Some(*members), None),
            RoomNews::Left => (RoomWhat::Left, None, None),
            RoomNews::Speaks(true) => (RoomWhat::Speaking, None, None),
            RoomNews::Speaks(false) => (RoomWhat::Silent, None, None),
            RoomNews::Refused(cause) => (RoomWhat::Refused, None, Some(Why::from(cause))),
        };
        Self { party: party.into(), room: CompactText::from(room), what, members, cause }
    }
}

/// A party has pressed a key.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Key {
    /// Which end of the call.
    party: End,
    /// The key: `0` to `9`, `*`, `#` or `A` to `D`.
    key: CompactText,
    /// For how long, in seconds.
    duration_seconds: f64,
}

/// What becomes of something that a command plays to a party.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Play {
    /// Which end of the call.
    party: End,
    /// What.
    what: PlayWhat,
    /// How much of it the party had been played, in seconds, pauses not counted.
    position_seconds: f64,
    /// The sound that is left out, with `missing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    sound: Option<CompactText>,
    /// Why it is left out, with `missing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<CompactText>,
    /// Why it is over, with `ended`: `completed`, `replaced`, `telephone-event` (a key), `interrupted` (the party spoke),
    /// `stopped`, `closed` (the party has gone), `failed` (nothing of it could be played).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    reason: Option<&'static str>,
}

/// What becomes of something that is played.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum PlayWhat {
    /// The first of it is on its way to the party.
    Started,
    /// A sound is left out, and what follows is played.
    Missing,
    /// It is over.
    Ended,
}

/// The wait for keys of a party is over.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Collected {
    /// Which end of the call.
    party: End,
    /// The keys that came, without the terminator.
    keys: CompactText,
    /// Whether they are what was waited for; else the time was out.
    complete: bool,
}

/// A recording has begun, or is over.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Recording {
    /// Its number within the call. Below 256 are those that the switch makes by itself: by a rule, or for voice mail.
    recording: u16,
    /// What.
    what: RecordingWhat,
    /// Which end of the call it is made at, with `started`.
    #[serde(skip_serializing_if = "Option::is_none")]
    party: Option<End>,
    /// What it is, with `ended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<RecordedFile>,
}

/// What becomes of a recording.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum RecordingWhat {
    /// It has begun.
    Started,
    /// It is over.
    Ended,
}

/// A recording that is over.
#[derive(Debug, Serialize, JsonSchema)]
struct RecordedFile {
    /// The file, where it lies, or as it was ordered if it could not be made.
    name: CompactText,
    /// How long it is, in seconds.
    duration_seconds: f64,
    /// How much of that is silence because the disk did not keep up, in seconds.
    lost_seconds: f64,
    /// Bytes in the file, its header included; 0 where there is no file, or it is not known, with `interrupted`.
    size: u64,
    /// Why it is over: `requested`, `timeout`, `below_power`, `closed`, `interrupted` (the media node that wrote it is gone), `failed`.
    #[schemars(with = "String")]
    reason: &'static str,
    /// Why it failed, with `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<CompactText>,
    /// The user for whom it is a message, `user@domain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    mailbox: Option<CompactText>,
    /// A codec that cannot be decoded here: whoever spoke it is silent in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    undecoded: Option<CompactText>,
}

impl Recording {
    pub(super) fn ended(recording: RecordingId, recorded: &Recorded) -> Self {
        let text = match &recorded.reason {
            RecordEnd::Failed(why) => Some(CompactText::from(why)),
            RecordEnd::Requested
            | RecordEnd::Timeout
            | RecordEnd::BelowPower
            | RecordEnd::Closed
            | RecordEnd::Interrupted => None,
        };
        let file = RecordedFile {
            name: CompactText::from(&recorded.file),
            duration_seconds: seconds(recorded.duration),
            lost_seconds: seconds(recorded.lost),
            size: recorded.size,
            reason: recorded.reason.name(),
            text,
            mailbox: recorded.mailbox.as_ref().map(CompactText::from),
            undecoded: recorded.undecoded.as_ref().map(CompactText::from),
        };
        Self { recording: recording.0, what: RecordingWhat::Ended, party: None, file: Some(file) }
    }
}

/// One of the events of a party's audio.
pub(super) enum OfAudio {
    Key(Key),
    Play(Play),
    Collected(Collected),
    Recording(Recording),
}

impl OfAudio {
    pub(super) fn new(party: Party, news: &OrderNews) -> Self {
        let party = End::from(party);
        match news {
            OrderNews::Key(digit) => {
                Self::Key(Key { party, key: CompactText::from(&digit.key), duration_seconds: seconds(digit.time) })
            }
            OrderNews::Play { news, position } => {
                let (what, sound, text, reason) = match news {
                    PlayNews::Started => (PlayWhat::Started, None, None, None),
                    PlayNews::Missing { sound, why } => {
                        (PlayWhat::Missing, Some(CompactText::from(sound)), Some(CompactText::from(why)), None)
                    }
                    PlayNews::Ended(end) => (PlayWhat::Ended, None, None, Some(PlayEnd::name(*end))),
                };
                Self::Play(Play { party, what, position_seconds: seconds(*position), sound, text, reason })
            }
            OrderNews::Collected { keys, complete } => {
                Self::Collected(Collected { party, keys: CompactText::from(keys), complete: *complete })
            }
            OrderNews::Recording(recording) => {
                let (recording, what) = (recording.0, RecordingWhat::Started);
                Self::Recording(Recording { recording, what, party: Some(party), file: None })
            }
        }
    }
}

/// How the audio of a call was, at its end.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Quality {
    /// What came from the caller, and went to it.
    caller: PartyQuality,
    /// What came from the callee, and went to it.
    callee: PartyQuality,
}

impl Quality {
    pub(super) fn new(audio: &CallAudio, findings: &[(Party, Finding)]) -> Self {
        let of = |party| PartyQuality::new(audio.of(party), party, findings);
        Self { caller: of(Party::Caller), callee: of(Party::Callee) }
    }
}

/// How the audio of one party was. Counts are of packets.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct PartyQuality {
    /// The codec agreed last; null if none was.
    codec: Option<CompactText>,
    /// Packets from the party.
    packets_received: u64,
    /// Their octets, RTP headers included.
    octets_received: u64,
    /// Packets to the party.
    packets_sent: u64,
    /// Their octets.
    octets_sent: u64,
    /// Those from it that never came.
    lost: u64,
    /// Those that came and were not heard, being too late or from before a change of what is heard of the party.
    late: u64,
    /// Those that came after a later one.
    reordered: u64,
    /// Those that came again, or far too late.
    duplicated: u64,
    /// Frames of 20 ms in which something was made up for what was missing.
    concealed: u64,
    /// How unevenly they came, in milliseconds (RFC 3550 section 6.4.1).
    jitter_ms: f64,
    /// From us to the party and back, in milliseconds; null without reports of the party.
    round_trip_ms: Option<f64>,
    /// What listeners would say of it, from 1 to 4.5: the E-model (ITU-T G.107). Null if nothing came.
    mos: Option<f64>,
    /// How loud it was on the average, in dBov: 0 is the loudest that there is. Null where it was not listened to.
    level_dbov: Option<i8>,
    /// Frames that were looked at in which the sound was cut off, being too loud. Null where it was not listened to.
    clipped: Option<u32>,
    /// Packets to the party that it says it has lost.
    lost_as_told: Option<u32>,
    /// How unevenly they came to it, as it says, in milliseconds.
    jitter_ms_as_told: Option<f64>,
    /// What is unusual, one word each.
    #[schemars(with = "Vec<String>")]
    findings: Vec<&'static str>,
}

impl PartyQuality {
    fn new(facts: &AudioFacts, party: Party, findings: &[(Party, Finding)]) -> Self {
        let quality = &facts.quality;
        Self {
            codec: facts.codec.as_ref().map(CompactText::from),
            packets_received: facts.received,
            octets_received: facts.received_octets,
            packets_sent: facts.sent,
            octets_sent: facts.sent_octets,
            lost: quality.lost,
            late: quality.late,
            reordered: quality.reordered,
            duplicated: quality.duplicated,
            concealed: quality.concealed,
            jitter_ms: milliseconds(quality.jitter),
            round_trip_ms: quality.round_trip.map(milliseconds),
            mos: quality.opinion.map(|hundredths| f64::from(hundredths) / 100.0),
            level_dbov: quality.sound.and_then(|sound| sound.level),
            clipped: quality.sound.map(|sound| sound.clipped),
            lost_as_told: quality.told_lost,
            jitter_ms_as_told: quality.told_jitter.map(milliseconds),
            findings: findings.iter().filter(|(whose, _)| *whose == party).map(|(_, one)| one.name()).collect(),
        }
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1_000.0
}
