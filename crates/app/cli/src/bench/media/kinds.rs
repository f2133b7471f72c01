//! What can be measured.

use clap::ValueEnum;

/// What is done to the audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum KindOfMedia {
    /// PCMU to PCMU, as it comes
    Relay,
    /// PCMU to PCMA and back
    Pcma,
    /// PCMU to G.722 and back
    G722,
    /// PCMU to Opus and back
    Opus,
    /// Rooms of three, PCMU; one talks in bursts, the others murmur
    Mix,
    /// The same in rooms of --crowd
    Crowd,
    /// A sound from a file, PCMU, to phones that say nothing
    Play,
    /// PCMU to PCMU as it comes, each call recorded in stereo
    Record,
}

/// How the phones of a kind belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    /// Two and two.
    Pairs {
        /// The labels of both parties' codecs.
        codecs: [&'static str; 2],
        recorded: bool,
    },
    /// So many in each room.
    Rooms(usize),
    /// Each by itself.
    Listeners,
}

impl KindOfMedia {
    pub(super) fn company(self, crowd: u16) -> Company {
        let pairs = |callee| Company::Pairs { codecs: ["PCMU", callee], recorded: self == Self::Record };
        match self {
            Self::Relay | Self::Record => pairs("PCMU"),
            Self::Pcma => pairs("PCMA"),
            Self::G722 => pairs("G722"),
            Self::Opus => pairs("opus"),
            Self::Mix => Company::Rooms(3),
            Self::Crowd => Company::Rooms(crowd.into()),
            Self::Play => Company::Listeners,
        }
    }

    pub(super) fn name(self, crowd: u16) -> String {
        match self.company(crowd) {
            Company::Pairs { recorded: true, .. } => "record".to_owned(),
            Company::Pairs { codecs, .. } => codecs.join("-"),
            Company::Rooms(members) => format!("room of {members}"),
            Company::Listeners => "play".to_owned(),
        }
    }
}
