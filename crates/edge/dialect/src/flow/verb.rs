//! The verbs of a document, as they are written.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::sounds::SoundOf;

/// One thing that is done to the call: an object with the name of the verb as its only member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Answer the call. What needs an answered call does that by itself.
    Answer(Answer),
    /// Tell the caller that it rings, if the call is not answered.
    Ring(Ring),
    /// Refuse the call; an answered one is hung up.
    Reject(Reject),
    /// Call others and connect the caller with whoever answers first.
    Dial(Dial),
    /// Play sounds.
    Play(Play),
    /// Wait for keys.
    Collect(Collect),
    /// Record what the caller says.
    Record(Record),
    /// Connect the caller with a party of another call; the flow ends.
    Bridge(Bridge),
    /// Put the caller into a conference; the flow ends.
    Conference(Conference),
    /// Let the call go to another address, as if it had been forwarded there; the flow ends.
    Redirect(Redirect),
    /// Wait.
    Pause(Pause),
    /// Go on with the document that a URL answers.
    Ask(Ask),
    /// End the call.
    Hangup(Hangup),
}

/// Answer the call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answer {}

/// Tell the caller that it rings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ring {}

/// End the call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hangup {}

/// Refuse the call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reject {
    /// The status that the caller is sent (RFC 3261 section 21), 400 to 699 without 401, 407, 405, 415, 420, 421 and 423.
    #[schemars(range(min = 400, max = 699))]
    pub status: u16,
    /// Its phrase; as usual for the status if not said.
    #[schemars(length(max = 128))]
    pub reason: Option<String>,
}

impl Default for Reject {
    fn default() -> Self {
        Self { status: 486, reason: None }
    }
}

/// Call others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dial {
    /// An address, a list of addresses that are called together, or a list of such lists that are called one after the
    /// other. A name alone is a user or service of the domain that was called.
    #[schemars(with = "WrittenGroups")]
    pub to: Groups,
    /// How long each group may ring, in seconds.
    #[serde(default = "ring_seconds")]
    #[schemars(range(min = 1, max = 300))]
    pub seconds: u32,
    /// Who is asked what comes then, when nobody has answered and when whoever has answered hangs up.
    #[serde(default)]
    pub then: Option<String>,
    /// What comes when whoever has answered hangs up, without `then`. Nothing ends the call. When nobody has answered,
    /// the verb behind this one comes.
    #[serde(default)]
    pub after: Vec<Verb>,
}

const fn ring_seconds() -> u32 {
    30
}

/// Addresses in groups.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Groups(pub Vec<Vec<String>>);

/// How groups may be written, for the schema.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum WrittenGroups {
    /// One address.
    One(String),
    /// Addresses that are called together.
    Together(Vec<String>),
    /// Groups that are called one after the other.
    InTurn(Vec<Vec<String>>),
}

/// One member of a list: an address, or a group.
struct Member(Result<String, Vec<String>>);

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsMember;
        impl<'de> Visitor<'de> for AsMember {
            type Value = Member;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address or a list of addresses")
            }

            fn visit_str<E>(self, address: &str) -> Result<Member, E> {
                Ok(Member(Ok(address.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, group: A) -> Result<Member, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(group)).map(|group| Member(Err(group)))
            }
        }
        deserializer.deserialize_any(AsMember)
    }
}

impl<'de> Deserialize<'de> for Groups {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsGroups;
        impl<'de> Visitor<'de> for AsGroups {
            type Value = Groups;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address, a list of addresses, or a list of lists of addresses")
            }

            fn visit_str<E>(self, address: &str) -> Result<Groups, E> {
                Ok(Groups(vec![vec![address.to_owned()]]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Groups, A::Error> {
                let (mut together, mut groups) = (Vec::new(), Vec::new());
                while let Some(Member(member)) = members.next_element()? {
                    match member {
                        Ok(address) => together.push(address),
                        Err(group) => groups.push(group),
                    }
                }
                if !together.is_empty() && !groups.is_empty() {
                    return Err(serde::de::Error::custom("addresses and lists of addresses stand side by side"));
                }
                if !together.is_empty() {
                    groups.push(together);
                }
                Ok(Groups(groups))
            }
        }
        deserializer.deserialize_any(AsGroups)
    }
}

/// Play sounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Play {
    /// Names of files below one of the folders of sounds, URLs that are allowed, or objects such as `{ "tone": "425:200" }`.
    #[schemars(length(min = 1, max = 64))]
    pub sounds: Vec<SoundOf>,
    /// How often all of it is played.
    #[serde(default = "once")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub times: u32,
    /// The first key ends it.
    #[serde(default)]
    pub interrupt: bool,
}

const fn once() -> u32 {
    1
}

/// Wait for keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Collect {
    /// What is played before; the first key ends it.
    #[schemars(length(max = 64))]
    pub prompt: Vec<SoundOf>,
    /// So many keys are enough.
    #[schemars(range(min = 1, max = 32))]
    pub most: u8,
    /// This key ends them, and is none of them.
    pub terminator: Option<char>,
    /// They are complete as soon as this regular expression is found among them.
    pub pattern: Option<String>,
    /// How long the first one is waited for, after the prompt, in seconds.
    #[schemars(range(min = 1, max = 600))]
    pub first_seconds: u32,
    /// How long each further one is, in seconds.
    #[schemars(range(min = 1, max = 600))]
    pub next_seconds: u32,
    /// What comes for which keys. After that, what stands behind this verb comes.
    pub keys: BTreeMap<String, Vec<Verb>>,
    /// How often keys are waited for until they are some of `keys`.
    #[schemars(range(min = 1, max = 10))]
    pub tries: u8,
    /// Who is asked what comes then, with the keys, unless they are some of `keys`.
    pub then: Option<String>,
    /// What comes if the keys are none of `keys`, without `then`.
    pub otherwise: Vec<Verb>,
}

impl Default for Collect {
    fn default() -> Self {
        Self {
            prompt: Vec::new(),
            most: 1,
            terminator: None,
            pattern: None,
            first_seconds: 10,
            next_seconds: 5,
            keys: BTreeMap::new(),
            tries: 1,
            then: None,
            otherwise: Vec::new(),
        }
    }
}

/// Record what the caller says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Record {
    /// What is played before; the recording begins where that ends, without a gap.
    #[schemars(length(max = 64))]
    pub prompt: Vec<SoundOf>,
    /// The first key ends the prompt.
    pub interrupt: bool,
    /// Speaking louder than this for a fifth of a second ends the prompt; what was said in the last second before that is
    /// recorded. Measured as the root of the mean square of 16-bit samples.
    #[schemars(range(min = 1, max = 32_767))]
    pub barge_in: Option<u16>,
    /// The file, below the folder of recordings: `{call}`, `{day}`, `{user}` and `{domain}` stand for themselves. It must not
    /// exist. If not said, `{day}/{call}-flow-N.wav`.
    #[schemars(length(min = 1, max = 512))]
    pub file: Option<String>,
    /// Ends when it is this long, in seconds.
    #[schemars(range(min = 1, max = 64_800))]
    pub seconds: u32,
    /// Ends when the caller says nothing for so long, in seconds; 0 does not wait for that.
    #[schemars(range(max = 600))]
    pub silence_seconds: u32,
    /// Is thrown away if less was said, in seconds.
    #[schemars(range(max = 600))]
    pub least_seconds: u32,
    /// This key ends it.
    pub terminator: Option<char>,
    /// Which sides; the caller's if not said, with `background` both in stereo.
    pub tracks: Option<Sides>,
    /// The next verb comes at once, and it goes on until the call ends. `silence_seconds`, `least_seconds` and `terminator`
    /// have no meaning then.
    pub background: bool,
    /// Who is asked what comes then.
    pub then: Option<String>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            prompt: Vec::new(),
            interrupt: false,
            barge_in: None,
            file: None,
            seconds: 180,
            silence_seconds: 5,
            least_seconds: 0,
            terminator: Some('#'),
            tracks: None,
            background: false,
            then: None,
        }
    }
}

/// The sides of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sides {
    /// Two channels: the caller on the left, what it hears on the right.
    Stereo,
    /// One channel with both.
    Mixed,
    /// What comes from the caller.
    Incoming,
    /// What the caller hears.
    Outgoing,
}

/// Connect the caller with a party of another call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bridge {
    /// The other call, `call_` and its number in hexadecimal, as events and the REST name it. It must be answered.
    pub call: String,
    /// Its party that the caller is connected with; the other one is let go.
    #[serde(default)]
    pub party: End,
}

/// An end of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The one that called.
    #[default]
    Caller,
    /// The one that was called.
    Callee,
}

/// Put the caller into a conference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conference {
    /// The conference, as if `conference-` and the name had been called: letters, digits, `-`, `_` and `.`.
    #[schemars(length(min = 1, max = 53))]
    pub name: String,
}

/// Let the call go to another address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// Who is called instead. A name alone is a user or service of the domain that was called.
    pub to: String,
}

/// Wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// How long, in seconds.
    #[schemars(range(min = 1, max = 600))]
    pub seconds: u32,
}

/// Go on with the document that a URL answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ask {
    /// Who is asked: a URL, absolute or from that of the flow on. If not said, that of the flow.
    pub url: Option<String>,
}

impl Verb {
    /// Its name in documents.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Answer(_) => "answer",
            Self::Ring(_) => "ring",
            Self::Reject(_) => "reject",
            Self::Dial(_) => "dial",
            Self::Play(_) => "play",
            Self::Collect(_) => "collect",
            Self::Record(_) => "record",
            Self::Bridge(_) => "bridge",
            Self::Conference(_) => "conference",
            Self::Redirect(_) => "redirect",
            Self::Pause(_) => "pause",
            Self::Ask(_) => "ask",
            Self::Hangup(_) => "hangup",
        }
    }

    /// Whether the caller has to be on the line for it.
    pub(super) const fn needs_answer(&self) -> bool {
        match self {
            Self::Play(_) | Self::Collect(_) | Self::Record(_) | Self::Bridge(_) | Self::Conference(_) => true,
            Self::Answer(_)
            | Self::Ring(_)
            | Self::Reject(_)
            | Self::Dial(_)
            | Self::Redirect(_)
            | Self::Pause(_)
            | Self::Ask(_)
            | Self::Hangup(_) => false,
        }
    }
}
