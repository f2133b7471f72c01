//! One call of a control server of ours, as a record: all its seats on one channel.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use compact_str::CompactString;
use hookswitch_call::{CallId, MediaReport, Part, Party, RecordingId, Room, Time};
use serde::{Deserialize, Serialize};

use crate::channels::RequestId;

/// What is known of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) uuid: CompactString,
    /// What the control server calls it, in every event.
    pub(crate) name: CompactString,
    /// The call's name there, which stands in its orders and in what it is reported.
    pub(crate) theirs: CallId,
    /// Where its events go.
    pub(crate) control: Arc<str>,
    pub(crate) opened: Time,
    pub(crate) end: End,
    /// Its recordings that run.
    pub(crate) recordings: BTreeSet<RecordingId>,
    /// Who of it whispers, each party once.
    #[serde(default)]
    pub(crate) whispers: Vec<Whisper>,
    /// Counts its events.
    pub(crate) seq: u32,
    /// Who waits for what is known of its audio, in order.
    #[serde(skip)]
    pub(crate) asked: VecDeque<Waits>,
    /// What the first request of those is answered with.
    #[serde(skip)]
    pub(crate) told: Vec<MediaReport>,
}

/// A party that whispers, as it was told to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Whisper {
    pub(crate) party: Party,
    /// By our name.
    pub(crate) room: Room,
    /// To whom, by the control server's name of that call.
    pub(crate) part: Part,
}

/// How far its end is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum End {
    /// It goes on.
    No,
    /// The engine has been told, and says whether it has a last word.
    Asked,
    /// It has one.
    AwaitWord,
    /// It has said it, or has none.
    Silent,
}

/// Who waits for what is known of the audio.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waits {
    /// A request: all that it ordered is done.
    Orders(RequestId),
    /// A request that asks for it.
    Look(RequestId),
    /// The call itself: it is reported.
    Call,
    /// We: whether there is going to be a last word.
    Last,
}

impl Table {
    /// A request is to be answered with what is reported.
    pub(crate) fn gathers(&self) -> bool {
        self.asked.iter().any(|waits| matches!(waits, Waits::Orders(_)))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.end == End::Silent && self.recordings.is_empty()
    }
}
