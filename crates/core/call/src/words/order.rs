//! What is done to the audio of one party of a call by command, and what comes of it.

use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{Audience, BargeIn, Collect, Digit, Part, PlayControl, PlayNews, RecordPlan, RecordingId, Soup};

/// Most recordings that commands may have running in a call.
pub const MAX_RECORDINGS: usize = 8;

/// How long each key is that a command sends.
pub const KEY_TIME: Duration = Duration::from_millis(100);

/// The first name of a recording that a command has ordered; those below are the switch's own.
pub const FIRST_ORDERED: RecordingId = RecordingId(256);

/// What is to be done to the audio of a party.
#[derive(Clone, PartialEq, Debug)]
pub enum AudioOrder {
    /// Play sounds to it, in place of what it hears. The outcome comes when they are over, however that was; it is a
    /// failure if nothing of them could be played or the party has gone.
    Play {
        /// What.
        soup: Arc<Soup>,
        /// It is another version of what a command plays already: the sound that is being played goes on if it is at
        /// the same place there. Else, and if nothing is played, it begins.
        update: bool,
        /// Who hears it. [`Audience::Room`] is for a party that is in a conference: all of it hear the sounds beside each
        /// other, and what is played to the party alone goes on.
        to: Audience,
    },
    /// Do something to what a command plays to it, or through it to its conference: the last of it, the prompt of a
    /// recording as well. The outcome comes at once.
    ControlPlay(PlayControl),
    /// Wait for keys of it, which nobody else gets meanwhile if they come one by one. The outcome comes after
    /// [`OrderNews::Collected`].
    Collect {
        /// Which are complete, and how long is waited.
        collect: Box<Collect>,
        /// What is played before; the first key ends it.
        prompt: Option<Arc<Soup>>,
    },
    /// Send it the presses of keys, one after the other: at most [`MAX_KEYS`](super::MAX_KEYS) of `0` to `9`, `*`,
    /// `#` and `A` to `D`. The outcome comes at once.
    SendKeys(CompactString),
    /// Record it, or both parties as it hears them. The outcome comes when it has begun; [`OrderNews::Recording`] tells
    /// its name. It ends with the call at the latest.
    Record(Box<RecordPlan>),
    /// Play sounds to it, and record it from their end on without a gap. The outcome comes when the recording has begun, as
    /// that of [`AudioOrder::Record`]. Where nothing of the sounds can be played, or something else is played in their
    /// place, it begins at once.
    RecordAfter {
        /// What is played. Where [`Soup::interrupt`] lets a key end it, that does so when it is released.
        prompt: Arc<Soup>,
        /// How loud the party has to speak to end it; none lets it be played.
        barge_in: Option<BargeIn>,
        /// What is recorded. [`RecordPlan::after`] is the end of the prompt, whatever it says.
        plan: Box<RecordPlan>,
    },
    /// Do something to a recording that a command has begun. The outcome comes at once; that of
    /// [`RecordControl::Finish`] when its file is complete.
    ControlRecording(RecordingId, RecordControl),
    /// Take part in its conference in another way. The outcome comes at once.
    TakePart(Part),
}

/// What is done to a running recording.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordControl {
    /// Leave out what comes from now on.
    Pause,
    /// Go on where it was paused.
    Resume,
    /// It is complete.
    Finish,
}

/// What is told of a party's audio.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderNews {
    /// It has pressed a key.
    Key(Digit),
    /// What becomes of something that a command plays to it.
    Play {
        /// What.
        news: PlayNews,
        /// How much of it the party had been played, pauses not counted.
        position: Duration,
    },
    /// The wait for its keys is over.
    Collected {
        /// Those that came, without the terminator.
        keys: CompactString,
        /// They are what was waited for; else the time was out.
        complete: bool,
    },
    /// A recording that a command has ordered has begun.
    Recording(RecordingId),
}
