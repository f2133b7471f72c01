//! The section `services`.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::CallFlow;

/// Something that can be called and plays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// What it plays to whoever calls: the name of a file below one of `media.sounds`, a list of such names, or a sound
    /// soup. The page services.md tells how soups are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub play: Option<Soup>,
    /// Instead of `play`, and alone: whoever calls is in the conference of this name, as if it had called
    /// `conference-` and the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conference: Option<String>,
    /// Instead of `play`, and alone: a web server says what is done with each call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<CallFlow>,
    /// Keys that lead on. Default: none.
    #[serde(default)]
    pub menu: Option<Menu>,
    /// A message that the caller leaves after that. Default: none. Needs `recordings.folder`, and goes without `menu`.
    #[serde(default)]
    pub record: Option<Message>,
    /// What comes when all has been played and no key has led on: `hangup`, or whom the caller is connected with, a user
    /// or service of the same domain or an address.
    #[serde(default = "hangup")]
    pub then: String,
}

fn hangup() -> String {
    "hangup".to_owned()
}

/// Where keys lead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Menu {
    /// Whom which keys lead to: a user or service of the same domain, or an address. At most 64.
    pub keys: BTreeMap<String, String>,
    /// A regular expression: keys that match it are complete at once and lead to `to`.
    pub pattern: Option<String>,
    /// Whom such keys lead to; `{keys}` in it stands for them.
    pub to: Option<String>,
    /// A key that ends the others and is none of them. Default: none.
    pub terminator: Option<char>,
    /// So many keys are enough, at most 32. Default: as many as the longest of `keys` has; with a `pattern` 32.
    pub most: Option<u8>,
    /// How long the first key is waited for after the prompt, in seconds.
    pub first_key: u64,
    /// How long each further key is, in seconds.
    pub next_key: u64,
    /// What is played when keys lead nowhere, before the prompt comes again. Default: nothing.
    #[schemars(with = "Option<String>")]
    pub invalid: Option<Soup>,
    /// How often the prompt is played before `then` comes; 1 to 100.
    pub tries: u8,
}

impl Default for Menu {
    fn default() -> Self {
        Self {
            keys: BTreeMap::new(),
            pattern: None,
            to: None,
            terminator: None,
            most: None,
            first_key: 5,
            next_key: 3,
            invalid: None,
            tries: 3,
        }
    }
}

/// A message that a caller leaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Message {
    /// Its WAV file, below `recordings.folder`. `{call}` stands for the call and has to be there, `{day}` for the date
    /// (UTC), `{user}` and `{domain}` for who was called first.
    pub file: String,
    /// Whose message it is, a user of the domain that was called. Default: who was called first.
    pub user: Option<String>,
    /// Whether one more message waits for that user, whose phones show it (RFC 3842).
    pub lamp: bool,
    /// Longest message, in seconds; 1 to 64,800.
    pub most: u64,
    /// A message in which less was said is thrown away, in seconds.
    pub least: u64,
    /// After so much silence it is over, in seconds, at most 600; 0 waits for the caller to hang up.
    pub silence: u64,
    /// What is no louder than this is silence: the root of the mean square of 16-bit samples, 1 to 32,767.
    pub quiet: u16,
    /// A key that ends the message, and before that the prompt. `null`: none.
    pub terminator: Option<char>,
    /// Speaking louder than this for a fifth of a second ends the prompt, measured as `quiet`. Default: it is played to its
    /// end.
    pub barge_in: Option<u16>,
}

impl Default for Message {
    fn default() -> Self {
        Self {
            file: "messages/{domain}/{user}/{call}.wav".to_owned(),
            user: None,
            lamp: true,
            most: 180,
            least: 2,
            silence: 5,
            quiet: 200,
            terminator: Some('#'),
            barge_in: None,
        }
    }
}

/// Sounds that are played one after the other, as projectrtp and mediaswitch write them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Soup {
    /// The sounds.
    pub files: Vec<Sound>,
    /// How often all of them are played.
    #[serde(rename = "loop")]
    pub plays: Loop,
    /// Whether the first key ends it.
    pub interrupt: bool,
}

/// One sound, in one form or several.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Forms {
    /// A WAV file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wav: Option<String>,
    /// µ-law at 8 kHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pcmu: Option<String>,
    /// A-law at 8 kHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pcma: Option<String>,
    /// 16-bit samples at 8 kHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l168k: Option<String>,
    /// 16-bit samples at 16 kHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l1616k: Option<String>,
    /// iLBC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ilbc: Option<String>,
    /// G.722.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub g722: Option<String>,
    /// No file: the text of a tone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tone: Option<String>,
    /// Where it begins, in milliseconds.
    pub start: u64,
    /// Where it ends, in milliseconds from the beginning of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<u64>,
    /// How often it is played.
    #[serde(rename = "loop")]
    pub plays: Loop,
}

/// One sound: its name, or its forms.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sound(pub Forms);

/// How often something is played: `true` for ever, `false` once, or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loop {
    /// So many times.
    Times(u32),
    /// Until somebody ends it.
    Forever,
}

impl Default for Loop {
    fn default() -> Self {
        Self::Times(1)
    }
}

impl Serialize for Loop {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Times(times) => serializer.serialize_u32(*times),
            Self::Forever => serializer.serialize_bool(true),
        }
    }
}

impl<'de> Deserialize<'de> for Loop {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AsLoop)
    }
}

struct AsLoop;

impl Visitor<'_> for AsLoop {
    type Value = Loop;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false or how often it is played")
    }

    fn visit_bool<E>(self, forever: bool) -> Result<Loop, E> {
        Ok(if forever { Loop::Forever } else { Loop::Times(1) })
    }

    fn visit_u64<E: serde::de::Error>(self, times: u64) -> Result<Loop, E> {
        u32::try_from(times).map(Loop::Times).map_err(|_| E::custom("too many"))
    }

    fn visit_i64<E: serde::de::Error>(self, times: i64) -> Result<Loop, E> {
        u32::try_from(times).map(Loop::Times).map_err(|_| E::custom("negative, or too many"))
    }
}

/// A soup as a map.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    files: Vec<Sound>,
    #[serde(default, rename = "loop")]
    plays: Loop,
    // As projectrtp spells it, too.
    #[serde(default, alias = "interupt")]
    interrupt: bool,
}

impl<'de> Deserialize<'de> for Soup {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AsSoup)
    }
}

struct AsSoup;

impl<'de> Visitor<'de> for AsSoup {
    type Value = Soup;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a file, a list of sounds, or a sound soup")
    }

    fn visit_str<E>(self, name: &str) -> Result<Soup, E> {
        Ok(Soup { files: vec![named(name)], ..Soup::default() })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sounds: A) -> Result<Soup, A::Error> {
        let files = Vec::deserialize(SeqAccessDeserializer::new(sounds))?;
        Ok(Soup { files, ..Soup::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Soup, A::Error> {
        let Whole { files, plays, interrupt } = Whole::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Soup { files, plays, interrupt })
    }
}

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AsSound)
    }
}

struct AsSound;

impl<'de> Visitor<'de> for AsSound {
    type Value = Sound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a file, or a map such as { wav: FILE }")
    }

    fn visit_str<E>(self, name: &str) -> Result<Sound, E> {
        Ok(named(name))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Sound, A::Error> {
        Forms::deserialize(MapAccessDeserializer::new(map)).map(Sound)
    }
}

fn named(name: &str) -> Sound {
    Sound(Forms { wav: Some(name.to_owned()), ..Forms::default() })
}
