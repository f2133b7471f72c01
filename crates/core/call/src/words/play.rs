//! What is played to a party: sounds one after the other, a sound soup.

use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// Most sounds of one soup.
pub const MAX_SOUNDS: usize = 64;

/// Names one playing to one party of a call; whoever asks chooses it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PlayId(pub u32);

/// Who hears what is played.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// The party alone, and nothing else meanwhile.
    #[default]
    Party,
    /// All in the room that the party is in, itself among them, beside each other. It goes on when a key is pressed.
    Room,
}

/// Sounds that are played one after the other.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Soup {
    /// In this order; those beyond [`MAX_SOUNDS`] are not played.
    pub sounds: Vec<Sound>,
    /// How often all of them are played.
    pub plays: Plays,
    /// The first key that the party presses ends it.
    pub interrupt: bool,
}

/// One sound of a soup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sound {
    /// The same sound in several forms; the one that suits the party's codec best is played.
    pub forms: Vec<Form>,
    /// Where it begins.
    pub start: Duration,
    /// Where it ends, counted from the beginning of the sound; none plays it to its end.
    pub stop: Option<Duration>,
    /// How often it is played.
    pub plays: Plays,
}

impl Sound {
    /// All of a sound, once.
    #[must_use]
    pub fn of(kind: SoundKind, name: &str) -> Self {
        let forms = vec![Form { kind, name: name.into() }];
        Self { forms, start: Duration::ZERO, stop: None, plays: Plays::ONCE }
    }
}

/// A sound in one form.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Form {
    /// What it is.
    pub kind: SoundKind,
    /// Which: the name of a file below one of the folders of sounds, or the text of a tone.
    pub name: CompactString,
}

/// What a sound is kept as. A file that is a WAV is read as such whatever is said here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SoundKind {
    /// A WAV file, or a file without a header whose name tells what it is.
    Wav,
    /// µ-law at 8 kHz.
    Pcmu,
    /// A-law at 8 kHz.
    Pcma,
    /// 16-bit samples at 8 kHz.
    L168k,
    /// 16-bit samples at 16 kHz.
    L1616k,
    /// iLBC, which cannot be decoded here: another form is played.
    Ilbc,
    /// G.722 at 64 kbit/s.
    G722,
    /// No file: a tone, made while it is played. It lasts one period unless told where to stop.
    Tone,
}

/// How often something is played.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plays {
    /// So many times; none is once.
    Times(u32),
    /// Until somebody stops it.
    Forever,
}

impl Plays {
    /// Once.
    pub const ONCE: Self = Self::Times(1);

    /// Whether it is played again after so many times.
    #[must_use]
    pub const fn goes_on_after(self, played: u32) -> bool {
        match self {
            Self::Times(times) => played < times,
            Self::Forever => true,
        }
    }
}

impl Default for Plays {
    fn default() -> Self {
        Self::ONCE
    }
}

/// What is done to something that is being played.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlayControl {
    /// It stands still, and the party hears nothing.
    Pause,
    /// It goes on.
    Resume,
    /// It goes on at this place of the sound that is being played, counted from that sound's beginning. Beyond its end that
    /// sound is over, as if it had been played.
    Seek(Duration),
    /// It is as loud as it is kept, changed by so many decibels; at most [`MAX_GAIN_DB`] up, and
    /// silent from [`MIN_GAIN_DB`] down.
    Gain(i8),
    /// It ends.
    Stop,
}

/// Most decibels that something is played louder than it is kept.
pub const MAX_GAIN_DB: i8 = 20;

/// So many decibels below what it is kept at it is silent.
pub const MIN_GAIN_DB: i8 = -60;

/// What is told of something that is played.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlayNews {
    /// The first of it is on its way to the party.
    Started,
    /// A sound is left out, and what follows is played.
    Missing {
        /// Which.
        sound: CompactString,
        /// Why.
        why: Arc<str>,
    },
    /// It is over; nothing follows.
    Ended(PlayEnd),
}

/// Why something is not played any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlayEnd {
    /// All of it has been played.
    Completed,
    /// Something else is played in its place.
    Replaced,
    /// The party has pressed a key.
    TelephoneEvent,
    /// The party has begun to speak, which ends it where a recording follows.
    Interrupted,
    /// It was told to.
    Stopped,
    /// The party has gone, or has lost its place.
    Closed,
    /// Nothing of it could be played.
    Failed,
}

impl PlayEnd {
    /// A name for logs and applications.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Replaced => "replaced",
            Self::TelephoneEvent => "telephone-event",
            Self::Interrupted => "interrupted",
            Self::Stopped => "stopped",
            Self::Closed => "closed",
            Self::Failed => "failed",
        }
    }
}
