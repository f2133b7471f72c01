//! What the engine has read from files and written to them, by whoever may wait for a disk: a media thread never does.
//!
//! ```text
//!   Engine ── poll_file() ──▶ FileOrder ──▶ bounded queue ──▶ the file thread
//!   Engine ◀─ file_done() ─── FileReport ◀──────────────────┘
//! ```
//!
//! A sound is opened for one player, which has at most one order of it under way: the first samples come
//! with the answer to [`FileOrder::OpenSound`], the others one by one when they are asked for, about a
//! second each and ahead of time. What has not come yet is not played; nobody waits.

use std::sync::Arc;
use std::time::Duration;

use compact_str::{CompactString, format_compact};
use hookswitch_call::{SoundKind, Time};
use thiserror::Error;

use crate::engine::Engine;
use crate::recordings::Written;

/// How much of a sound is read at once, in milliseconds.
pub const CHUNK_MS: u32 = 1_000;

/// Names an open file of an engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileId {
    /// Whose file it is: an entry of the engine's.
    pub owner: u32,
    /// Counts the files of the engine, so that a late answer is known as such.
    pub serial: u32,
}

/// What is to be done with a file.
#[derive(Clone, PartialEq, Debug)]
pub enum FileOrder {
    /// Open a sound and read its first samples. Answered by [`FileReport::Sound`] or
    /// [`FileReport::SoundFailed`].
    OpenSound {
        /// Its name from now on.
        file: FileId,
        /// What it is kept as.
        kind: SoundKind,
        /// The file, below one of the folders of sounds.
        name: CompactString,
        /// The sample rate that is wanted, in Hz: one of [`RATES`](hookswitch_codec::RATES).
        rate: u32,
        /// Where to begin.
        from: Duration,
    },
    /// Read what follows. Answered as [`FileOrder::OpenSound`] is.
    ReadSound {
        /// Which.
        file: FileId,
    },
    /// It is not needed any more. No answer; it need not be open.
    CloseSound {
        /// Which.
        file: FileId,
    },
    /// Make the file of a recording. Answered by [`FileReport::RecordingOpen`], or by
    /// [`FileReport::RecordingOver`] if that cannot be.
    CreateRecording {
        /// Its name from now on.
        file: FileId,
        /// The file, below the folder of recordings; it must not exist.
        name: CompactString,
        /// One or two.
        channels: u16,
        /// Samples per second, in Hz.
        rate: u32,
    },
    /// Write a part of a recording. Answered by [`FileReport::RecordingOver`] if that cannot be. One that finds no room
    /// on its way is left out, and silence in the file.
    AppendRecording {
        /// Which.
        file: FileId,
        /// Samples of each channel before it.
        at: u64,
        /// Those of two channels in turn.
        samples: Box<[i16]>,
    },
    /// Complete a recording. Answered by [`FileReport::RecordingOver`], if it is not over already.
    FinishRecording {
        /// Which.
        file: FileId,
        /// Samples of each channel in it.
        length: u64,
        /// Whether it is worth a file; else that is removed.
        keep: bool,
    },
}

impl FileOrder {
    /// Which file it is about.
    #[must_use]
    pub const fn file(&self) -> FileId {
        match self {
            Self::OpenSound { file, .. }
            | Self::ReadSound { file }
            | Self::CloseSound { file }
            | Self::CreateRecording { file, .. }
            | Self::AppendRecording { file, .. }
            | Self::FinishRecording { file, .. } => *file,
        }
    }

    /// The same about a file under another name.
    pub const fn rename(&mut self, name: FileId) {
        match self {
            Self::OpenSound { file, .. }
            | Self::ReadSound { file }
            | Self::CloseSound { file }
            | Self::CreateRecording { file, .. }
            | Self::AppendRecording { file, .. }
            | Self::FinishRecording { file, .. } => *file = name,
        }
    }

    /// The answer that stands for an order which cannot be carried out; none where none is awaited.
    #[must_use]
    pub fn refused(&self, why: FileError) -> Option<FileReport> {
        match self {
            Self::OpenSound { file, .. } | Self::ReadSound { file } => {
                Some(FileReport::SoundFailed { file: *file, why })
            }
            Self::CreateRecording { file, .. } | Self::FinishRecording { file, .. } => {
                let written = Written { failed: Some(format_compact!("{why}")), ..Written::default() };
                Some(FileReport::RecordingOver { file: *file, written })
            }
            Self::CloseSound { .. } | Self::AppendRecording { .. } => None,
        }
    }
}

/// What has become of an order.
#[derive(Clone, PartialEq, Debug)]
pub enum FileReport {
    /// Some of a sound.
    Sound {
        /// Which.
        file: FileId,
        /// Its samples, one channel at the rate that was asked for.
        samples: Arc<[i16]>,
        /// Nothing follows: the file is closed.
        last: bool,
    },
    /// Nothing can be read. The file is closed.
    SoundFailed {
        /// Which.
        file: FileId,
        /// Why.
        why: FileError,
    },
    /// The file of a recording is there.
    RecordingOpen {
        /// Which.
        file: FileId,
    },
    /// The file of a recording is closed, or could not be made.
    RecordingOver {
        /// Which.
        file: FileId,
        /// What is in it.
        written: Written,
    },
}

impl FileReport {
    /// Which file it is about.
    #[must_use]
    pub const fn file(&self) -> FileId {
        match self {
            Self::Sound { file, .. }
            | Self::SoundFailed { file, .. }
            | Self::RecordingOpen { file }
            | Self::RecordingOver { file, .. } => *file,
        }
    }

    /// The same about a file under another name.
    pub const fn rename(&mut self, name: FileId) {
        match self {
            Self::Sound { file, .. }
            | Self::SoundFailed { file, .. }
            | Self::RecordingOpen { file }
            | Self::RecordingOver { file, .. } => *file = name,
        }
    }

    /// Whether nothing more is said of the file.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        match self {
            Self::Sound { last, .. } => *last,
            Self::SoundFailed { .. } | Self::RecordingOver { .. } => true,
            Self::RecordingOpen { .. } => false,
        }
    }
}

/// Why a file cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum FileError {
    /// No folder has such a file.
    #[error("there is no such file")]
    NotFound,
    /// The name leads out of the folders, or to something that is no file.
    #[error("no file below a folder of sounds has that name")]
    NotAllowed,
    /// The system does not let us.
    #[error("it cannot be read: {0}")]
    Unreadable(Arc<str>),
    /// It is there, and it is nothing that can be played.
    #[error("it cannot be played: {0}")]
    Format(Arc<str>),
    /// There is nothing in it, or nothing from the place on where it was to begin.
    #[error("there is nothing to be heard of it")]
    Empty,
    /// Too much is being read or written already.
    #[error("too much is read and written at once")]
    Busy,
    /// Nothing came for too long.
    #[error("it did not come in time")]
    Stalled,
    /// Its source cannot be asked; the text says why.
    #[error("its source cannot be reached: {0}")]
    Unreachable(Arc<str>),
    /// Its source has answered with this status.
    #[error("its source answers {0}")]
    Status(u16),
    /// Its source leads to another one, which is not asked.
    #[error("its source leads elsewhere, and that is not followed")]
    Elsewhere,
    /// It is longer than so many bytes.
    #[error("it is longer than {0} bytes")]
    TooLarge(u64),
}

impl Engine {
    /// The next thing to be done with a file, after every call of another method.
    pub fn poll_file(&mut self) -> Option<FileOrder> {
        self.file_orders.pop()
    }

    /// What has become of an order; a late answer is ignored.
    pub fn file_done(&mut self, now: Time, report: FileReport) {
        let _ = now;
        match report {
            FileReport::Sound { file, samples, last } => self.sound_came(file, Ok((samples, last))),
            FileReport::SoundFailed { file, why } => self.sound_came(file, Err(why)),
            FileReport::RecordingOpen { file } => self.recording_open(file),
            FileReport::RecordingOver { file, written } => self.recording_over(file, written),
        }
    }
}
