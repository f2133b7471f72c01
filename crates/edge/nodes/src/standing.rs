//! How nodes stand, for whoever looks after them.

use compact_str::CompactString;
use hookswitch_call::Time;

use crate::{Load, Nodes};

/// What a node is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeKind {
    /// Legs.
    Sip,
    /// Audio.
    Media,
}

impl NodeKind {
    /// As the configuration calls the role.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sip => "sip",
            Self::Media => "media",
        }
    }
}

/// How a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeState {
    /// It has not been heard of yet, and was not asked often enough to be given up.
    Starting,
    /// It answers.
    Up,
    /// It answers and takes nothing new; a media node wants to be rid of what it has.
    Draining,
    /// It does not answer.
    Lost,
}

impl NodeState {
    /// In one word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Draining => "draining",
            Self::Lost => "lost",
        }
    }
}

/// How a node stands with the half that knows it.
#[derive(Clone, PartialEq, Debug)]
pub struct Standing {
    /// How it is.
    pub state: NodeState,
    /// Since when; none while it is starting.
    pub since: Option<Time>,
    /// What we have there: legs, or calls with their audio.
    pub carries: usize,
    /// What it has said of itself last; none before the first answer.
    pub load: Option<Load>,
}

/// The same, with its name.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeStatus {
    /// What it is for.
    pub kind: NodeKind,
    /// Its base URL.
    pub url: CompactString,
    /// How it stands.
    pub standing: Standing,
}

impl Nodes {
    /// All nodes: those with legs, then those with audio, each in the order of the configuration.
    #[must_use]
    pub fn status(&self) -> Vec<NodeStatus> {
        let named = |kind, urls: &[CompactString], all: Vec<Standing>| {
            let named = urls.iter().cloned().zip(all);
            named.map(move |(url, standing)| NodeStatus { kind, url, standing }).collect::<Vec<_>>()
        };
        let legs = self.legs.as_ref().map(|legs| named(NodeKind::Sip, &legs.urls, legs.half.standing()));
        let media = self.media.as_ref().map(|media| named(NodeKind::Media, &media.urls, media.half.standing()));
        legs.into_iter().chain(media).flatten().collect()
    }
}
