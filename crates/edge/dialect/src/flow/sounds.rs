//! Sounds, as documents write them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hookswitch_call::{Form, Plays, Sound, SoundKind, Soup};
use schemars::{JsonSchema, Schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// One sound: the name of a file, or an object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(transform = or_a_name)]
pub struct SoundOf {
    /// A file below one of the folders of sounds, or the URL of one that is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// A tone in place of a file, as the configuration writes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tone: Option<String>,
    /// In place of `file`: a WAV, beside other forms of the same sound. Of all the one is played that suits the codec best.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wav: Option<String>,
    /// The same sound in µ-law at 8 kHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pcmu: Option<String>,
    /// The same in A-law at 8 kHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pcma: Option<String>,
    /// The same in 16-bit samples at 8 kHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l168k: Option<String>,
    /// The same in 16-bit samples at 16 kHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l1616k: Option<String>,
    /// The same in iLBC, which is not decoded here: another form is played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ilbc: Option<String>,
    /// The same in G.722 at 64 kbit/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub g722: Option<String>,
    /// Where it begins, in seconds.
    #[schemars(range(min = 0, max = 86_400))]
    pub start_seconds: f64,
    /// Where it ends, in seconds from the beginning of the file; a tone without it lasts one period.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    pub stop_seconds: Option<f64>,
    /// How often it is played.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub times: u32,
}

/// A name alone is a file.
fn or_a_name(schema: &mut Schema) {
    let object = std::mem::take(schema);
    *schema = schemars::json_schema!({ "anyOf": [ { "type": "string", "description": "A file." }, object ] });
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    tone: Option<String>,
    #[serde(default)]
    wav: Option<String>,
    #[serde(default)]
    pcmu: Option<String>,
    #[serde(default)]
    pcma: Option<String>,
    #[serde(default)]
    l168k: Option<String>,
    #[serde(default)]
    l1616k: Option<String>,
    #[serde(default)]
    ilbc: Option<String>,
    #[serde(default)]
    g722: Option<String>,
    #[serde(default)]
    start_seconds: f64,
    #[serde(default)]
    stop_seconds: Option<f64>,
    #[serde(default = "once")]
    times: u32,
}

const fn once() -> u32 {
    1
}

struct AsSound;

impl<'de> Visitor<'de> for AsSound {
    type Value = SoundOf;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a file, or an object such as { \"tone\": \"425:200\" }")
    }

    fn visit_str<E>(self, name: &str) -> Result<SoundOf, E> {
        Ok(SoundOf { file: Some(name.to_owned()), times: 1, ..SoundOf::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SoundOf, A::Error> {
        let it = Whole::deserialize(MapAccessDeserializer::new(map))?;
        let Whole { file, tone, wav, pcmu, pcma, l168k, l1616k, ilbc, g722, start_seconds, stop_seconds, times } = it;
        Ok(SoundOf { file, tone, wav, pcmu, pcma, l168k, l1616k, ilbc, g722, start_seconds, stop_seconds, times })
    }
}

impl<'de> Deserialize<'de> for SoundOf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AsSound)
    }
}

impl SoundOf {
    /// What it is written as: a file, a tone, or one sound in several forms.
    pub(super) fn forms(&self) -> Vec<Form> {
        let written = [
            (SoundKind::Wav, &self.file),
            (SoundKind::Tone, &self.tone),
            (SoundKind::Wav, &self.wav),
            (SoundKind::Pcmu, &self.pcmu),
            (SoundKind::Pcma, &self.pcma),
            (SoundKind::L168k, &self.l168k),
            (SoundKind::L1616k, &self.l1616k),
            (SoundKind::Ilbc, &self.ilbc),
            (SoundKind::G722, &self.g722),
        ];
        written.into_iter().filter_map(|(kind, name)| Some(Form { kind, name: name.as_deref()?.into() })).collect()
    }

    /// As the call core has it; it has been checked.
    fn meant(&self) -> Sound {
        Sound {
            forms: self.forms(),
            start: Duration::try_from_secs_f64(self.start_seconds).unwrap_or_default(),
            stop: self.stop_seconds.and_then(|stop| Duration::try_from_secs_f64(stop).ok()),
            plays: Plays::Times(self.times),
        }
    }
}

/// What is played, so often.
pub(super) fn soup(sounds: &[SoundOf], times: u32, interrupt: bool) -> Arc<Soup> {
    Arc::new(Soup { sounds: sounds.iter().map(SoundOf::meant).collect(), plays: Plays::Times(times), interrupt })
}
