//! One channel, as a record.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use compact_str::CompactString;
use hookswitch_call::{CallId, PlayId, RecordingId, Room, Soup, Source, Time};
use serde::{Deserialize, Serialize};

use crate::channels::RequestId;
use crate::json::Failure;

/// What is known of a channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Channel {
    pub(crate) uuid: CompactString,
    pub(crate) call: CallId,
    /// Where its events go.
    pub(crate) control: Option<Arc<str>>,
    pub(crate) state: State,
    pub(crate) opened: Time,
    /// Where it hears others, and is heard.
    pub(crate) room: Option<Room>,
    pub(crate) echo: bool,
    /// What is played to it.
    pub(crate) playing: Option<PlayId>,
    /// What that is, or was.
    #[serde(default)]
    pub(crate) soup: Option<Arc<Soup>>,
    pub(crate) last_play: u32,
    /// Its recordings that run, by their files.
    pub(crate) recordings: BTreeMap<CompactString, RecordingId>,
    pub(crate) last_recording: u16,
    /// Counts its events.
    pub(crate) seq: u32,
    /// Who waits for what is known of its audio, in order.
    #[serde(skip)]
    pub(crate) asked: VecDeque<Asked>,
}

/// What a channel waits for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum State {
    /// Its ports.
    AwaitPort,
    /// Orders.
    Open {
        /// Where its party shall send.
        local: SocketAddr,
        /// Somebody has said where its party is.
        targeted: bool,
    },
    /// The last word of the media engine, and the ends of its recordings.
    AwaitEnd {
        /// Why it ends.
        reason: CompactString,
        /// The engine has said its last word.
        silent: bool,
    },
}

/// A request that is answered when the engine has said what it knows.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) request: RequestId,
    pub(crate) what: What,
}

/// What was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// What there is to know.
    Look,
    /// Whether a new target is good.
    Target(Result<(), Failure>),
    /// The same with the first target of a new channel.
    Opened(Result<(), Failure>),
}

impl Channel {
    pub(crate) fn new(uuid: CompactString, call: CallId, control: Option<Arc<str>>, opened: Time) -> Self {
        Self {
            uuid,
            call,
            control,
            state: State::AwaitPort,
            opened,
            room: None,
            echo: false,
            playing: None,
            soup: None,
            last_play: 0,
            recordings: BTreeMap::new(),
            last_recording: 0,
            seq: 0,
            asked: VecDeque::new(),
        }
    }

    pub(crate) fn local(&self) -> Option<SocketAddr> {
        match self.state {
            State::Open { local, .. } => Some(local),
            State::AwaitPort | State::AwaitEnd { .. } => None,
        }
    }

    /// Whether somebody has said where its party is, though the media engine may have to agree yet.
    pub(crate) fn is_aimed(&self) -> bool {
        let is_aim = |asked: &Asked| matches!(asked.what, What::Target(Ok(())) | What::Opened(Ok(())));
        match self.state {
            State::Open { targeted, .. } => targeted || self.asked.iter().any(is_aim),
            State::AwaitPort | State::AwaitEnd { .. } => false,
        }
    }

    /// What its party hears when nothing is played to it.
    pub(crate) fn hears(&self) -> Source {
        match (&self.room, self.echo) {
            (Some(_), _) => Source::Room,
            (None, true) => Source::Echo,
            (None, false) => Source::Silence,
        }
    }

    pub(crate) fn next_play(&mut self) -> PlayId {
        self.last_play = self.last_play.wrapping_add(1);
        PlayId(self.last_play)
    }
}
