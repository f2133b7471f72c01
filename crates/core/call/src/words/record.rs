//! Recording what is said: what is ordered, and what became of it.

use std::time::Duration;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::PlayId;

/// Names one recording within its call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct RecordingId(pub u16);

/// What is to be done about a recording.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordOrder {
    /// Begin it. Where one of this name runs, nothing happens.
    Begin(Box<RecordPlan>),
    /// Leave out what comes from now on.
    Pause,
    /// Go on where it was paused.
    Resume,
    /// It is complete.
    Finish,
}

/// What is recorded, and where to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RecordPlan {
    /// The file, below the folder of recordings: names with `/` between them, of which none is `..`. It must not exist.
    /// Until it comes to the media engine `{call}` in it stands for the call, `{day}` for the present one (UTC), `{user}`
    /// and `{domain}` for whom was called.
    pub file: CompactString,
    /// Which sides, and how they are put together.
    pub tracks: Tracks,
    /// Samples per second, 8000 or 16000; none takes 16000 where the party's codec has that many, else 8000.
    pub rate: Option<u32>,
    /// Begins only when the party is louder than this, as the root of the mean square of 16-bit samples.
    pub start_above: Option<u16>,
    /// Ends when the party was louder than this and is not any more.
    pub finish_below: Option<u16>,
    /// The loudness is the mean of the last so many frames of 20 ms, at least one.
    pub average: u16,
    /// Is not ended by [`finish_below`](Self::finish_below) before it is this long.
    pub min: Duration,
    /// Ends when it is this long; zero sets no limit but the engine's.
    pub max: Duration,
    /// Ends when the party has said nothing for so long, from its beginning on as well.
    pub silence: Option<Silence>,
    /// Is thrown away if the party has said less than that: then there is no file. Zero keeps whatever there is.
    pub least: Duration,
    /// Begins with the end of something that is played to the party; none begins at once.
    pub after: Option<AfterPlay>,
    /// The user, `USER@DOMAIN`, for whom this is a message; `{user}` and `{domain}` as in the name of the file.
    pub mailbox: Option<CompactString>,
}

/// When a party says nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Silence {
    /// Whatever is no louder than this, as the root of the mean square of 16-bit samples in 20 ms, is nothing.
    pub below: u16,
    /// For how long.
    pub time: Duration,
}

/// A recording that follows on something that is played, without a gap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AfterPlay {
    /// What is played. If it is over, or never began, the recording begins at once.
    pub play: PlayId,
    /// How much of what was said while it was played stands at the beginning, at most [`MAX_KEPT_SAMPLES`]. No gate
    /// holds that up.
    pub keep: Duration,
    /// The party may end what is played by speaking; none lets it be played.
    pub barge_in: Option<BargeIn>,
}

/// How long before somebody interrupts a prompt by speaking the recording begins: so much is said until that is certain.
const BEFORE_BARGE_IN: Duration = Duration::from_secs(1);

impl AfterPlay {
    /// One that begins with the end of a prompt, or with the words by which the party has ended it.
    pub(crate) fn of_prompt(play: PlayId, barge_in: Option<BargeIn>) -> Self {
        let keep = if barge_in.is_some() { BEFORE_BARGE_IN } else { Duration::ZERO };
        Self { play, keep, barge_in }
    }
}

/// How loud a party has to be to end what is played to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BargeIn {
    /// Louder than this, as the root of the mean square of 16-bit samples.
    pub above: u16,
    /// In the mean of so many frames of 20 ms, at least one. What has not been heard yet counts as silence.
    pub average: u16,
}

impl BargeIn {
    /// Louder than this for a fifth of a second: a voice, and no click.
    #[must_use]
    pub const fn louder_than(above: u16) -> Self {
        Self { above, average: 10 }
    }
}

/// Most samples of each channel that are kept of what was said before a recording began: a minute at 8 kHz.
pub const MAX_KEPT_SAMPLES: usize = 480_000;

impl RecordPlan {
    /// Everything that both sides say, in stereo, until it is finished.
    #[must_use]
    pub fn both_sides(file: CompactString) -> Self {
        Self {
            file,
            tracks: Tracks::Stereo,
            rate: None,
            start_above: None,
            finish_below: None,
            average: 1,
            min: Duration::ZERO,
            max: Duration::ZERO,
            silence: None,
            least: Duration::ZERO,
            after: None,
            mailbox: None,
        }
    }
}

/// How the two sides of a party's audio stand in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tracks {
    /// Two channels: what comes from the party on the left, what it hears on the right.
    Stereo,
    /// One channel with both.
    Mixed,
    /// One channel with what comes from the party.
    Incoming,
    /// One channel with what the party hears.
    Outgoing,
}

/// What is told of a recording.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordNews {
    /// The file is open, and what comes is taken.
    Begun,
    /// The party was loud enough for it to begin.
    Loud,
    /// It is over.
    Finished(Box<Recorded>),
}

/// A recording that is over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recorded {
    /// Its file, where it lies, or as it was ordered if it could not be made.
    pub file: CompactString,
    /// How long it is.
    pub duration: Duration,
    /// How much of that is silence because the disk did not keep up.
    pub lost: Duration,
    /// Bytes in the file, its header included; none where there is no file: it was not made, or was thrown away. None as well,
    /// as its length, where it was [interrupted](RecordEnd::Interrupted) and whoever has it has not been asked.
    pub size: u64,
    /// Why it is over.
    pub reason: RecordEnd,
    /// For whom it is a message, as it was ordered.
    pub mailbox: Option<CompactString>,
    /// A codec that cannot be decoded here, as it is called in the configuration: whoever spoke it is silent in the file.
    pub undecoded: Option<CompactString>,
}

impl Recorded {
    /// One that was ordered for this file and has come to nothing.
    #[must_use]
    pub fn nothing(file: &CompactString, reason: RecordEnd) -> Self {
        Self {
            file: file.clone(),
            duration: Duration::ZERO,
            lost: Duration::ZERO,
            size: 0,
            reason,
            mailbox: None,
            undecoded: None,
        }
    }
}

/// Why a recording is over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordEnd {
    /// It was ordered.
    Requested,
    /// It was as long as it may be.
    Timeout,
    /// The party was silent again, or has said nothing for long enough.
    BelowPower,
    /// The call, or the party's place in it, is over.
    Closed,
    /// Whoever wrote it was killed, or cannot be reached: the file has what was written until then.
    Interrupted,
    /// The file could not be made, or not be written any more; the text says why.
    Failed(CompactString),
}

impl RecordEnd {
    /// A name for logs and pages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Timeout => "timeout",
            Self::BelowPower => "below_power",
            Self::Closed => "closed",
            Self::Interrupted => "interrupted",
            Self::Failed(_) => "failed",
        }
    }
}
