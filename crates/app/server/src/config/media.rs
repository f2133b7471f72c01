//! The section `media`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HoldMusic, MediaAddress, PortRange};

/// The audio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Media {
    /// Address put into session descriptions: `auto`, or one that everybody can reach. `auto` is
    /// the address of the interface towards each party.
    #[schemars(with = "String")]
    pub address: MediaAddress,
    /// Ports for RTP and RTCP, `FIRST-LAST`; a call needs four.
    #[schemars(with = "String")]
    pub ports: PortRange,
    /// Whether the audio of calls between parties runs through this host. `false` means signalling
    /// only: phones send RTP directly to each other. Calls that an application starts and calls to
    /// services are always anchored.
    pub anchor: bool,
    /// Codecs to offer and accept, best first: `PCMU`, `PCMA`, `G722`, `opus`, `L16/16000`, `L16/8000`,
    /// `telephone-event`; and `iLBC`, `G729`, `AMR`, `AMR-WB`, which are passed on between two parties, and in which
    /// no tone, music or key can be sent. A list, or one text: `pcmu pcma 2833`. Both parties of a call use one
    /// codec if they can; else the switch turns one into the other.
    #[serde(deserialize_with = "super::codec_list::read")]
    pub codecs: Vec<String>,
    /// Threads that relay audio, each bound to a processor; 0 means one less than there are
    /// processors, at least one.
    pub threads: usize,
    /// How packets come in and go out: `auto` is `io_uring` where the system has it and lets us
    /// (Linux 6.1; most containers do not), else `epoll`, which costs a third more.
    pub io: MediaIo,
    /// What a party on hold hears: `tone` (two soft notes every five seconds), `silence`, or the path of
    /// a WAV file, PCM of 8 or 16 bits or G.711 of at most ten minutes, which is read once at start.
    #[schemars(with = "String")]
    pub hold_music: HoldMusic,
    /// Folders below which the sounds are that `services` play; a file is looked for in each in turn.
    pub sounds: Vec<PathBuf>,
    /// Sounds of `services` that are URLs.
    pub web_sounds: super::WebSounds,
    /// Whether keys are heard in the sound of phones that have no telephone events. Off, the other phone is offered none
    /// either, and keys are sounds for both.
    pub inband_keys: bool,
    /// Most members of one conference, 2 to 1,000; who calls it then is told that it is busy.
    pub room_members: usize,
    /// After how much silence of a party that is to be heard the log says so, and why that may be, in
    /// seconds; 0 never says so.
    pub quiet_after: u64,
    /// After how long a call ends from which neither party sends anything, neither audio nor RTCP, in seconds. Whether
    /// phones answer for it does not matter. 0 never ends it.
    pub idle_time: u64,
    /// `idle_time` of calls in which a party holds, is on hold, or hears a service, a conference or something that is
    /// played to it: who listens may send nothing. In seconds; 0 never ends them.
    pub idle_hold_time: u64,
}

/// How packets come in and go out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MediaIo {
    /// The better one that works.
    #[default]
    Auto,
    /// A system call for each packet.
    Epoll,
    /// Many packets in one system call.
    IoUring,
}

impl Default for Media {
    fn default() -> Self {
        Self {
            address: MediaAddress::Auto,
            ports: PortRange { first: 10_000, last: 20_000 },
            anchor: true,
            codecs: ["PCMU", "PCMA", "G722", "telephone-event"].map(String::from).to_vec(),
            threads: 0,
            io: MediaIo::Auto,
            hold_music: HoldMusic::Tone,
            sounds: Vec::new(),
            web_sounds: super::WebSounds::default(),
            inband_keys: true,
            room_members: 100,
            quiet_after: 5,
            idle_time: 300,
            idle_hold_time: 7_200,
        }
    }
}
