//! What the engine is told once, and what it needs from whoever owns the sockets.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hookswitch_codec::{Codec, Tone, pcma, pcmu, telephone_event};

use crate::hold_music::HoldMusic;
use crate::latch::LatchConfig;

/// Most sockets that one engine knows: every port of both families, once for RTP and once for RTCP.
pub const MAX_SOCKETS: u32 = 131_072;

/// Most calls of one engine, unless configured otherwise.
pub const DEFAULT_MAX_CALLS: usize = 20_000;

/// A party that was to speak and of which nothing has been heard for this long is silent, unless
/// configured otherwise.
pub const DEFAULT_RTP_TIMEOUT: Duration = Duration::from_secs(60);

/// Two parties talk and nothing has come from one of them for this long: that is told, unless configured
/// otherwise.
pub const DEFAULT_QUIET_AFTER: Duration = Duration::from_secs(5);

/// A call of which nothing has come from anybody for this long is over, unless configured otherwise.
pub const DEFAULT_IDLE_AFTER: Duration = Duration::from_secs(300);

/// The same while somebody is not expected to speak.
pub const DEFAULT_IDLE_HELD_AFTER: Duration = Duration::from_secs(7_200);

/// Most members of one room, unless configured otherwise.
pub const DEFAULT_ROOM_MEMBERS: usize = 100;

/// What is generated comes in packets of so many milliseconds.
pub const FRAME_MS: u32 = 20;

/// Time between two packets that are generated.
pub const FRAME: Duration = Duration::from_millis(FRAME_MS as u64);

/// Which address our descriptions name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressPolicy {
    /// Always this one: there is a one-to-one NAT before us, or only one interface.
    Fixed(IpAddr),
    /// Our address as the party sees it, as each operation says, and this one where it says nothing.
    Auto {
        /// Where nobody knows better.
        fallback: IpAddr,
    },
}

impl AddressPolicy {
    /// The address for a party that sees us at `near`.
    #[must_use]
    pub fn address(self, near: Option<IpAddr>) -> IpAddr {
        match self {
            Self::Fixed(address) => address,
            Self::Auto { fallback } => near.unwrap_or(fallback),
        }
    }
}

/// The configuration of an [`Engine`](crate::Engine).
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// What we offer and accept in calls that bring no list of their own, in order of preference;
    /// rows of the codec table. Without telephone-event among them, events are not negotiated.
    pub codecs: Vec<&'static Codec>,
    /// Which address our descriptions name.
    pub address: AddressPolicy,
    /// Milliseconds per packet that our descriptions ask for, where no other party has said
    /// something. Tones come every [`FRAME_MS`] whatever it says.
    pub ptime: u32,
    /// When a source is believed.
    pub latch: LatchConfig,
    /// After how much silence [`Engine::silent`](crate::Engine::silent) names a party.
    pub rtp_timeout: Duration,
    /// After how much silence [`Engine::report_quiet`](crate::Engine::report_quiet) tells of a party
    /// that is to be heard; default [`DEFAULT_QUIET_AFTER`]. Zero means never.
    pub quiet_after: Duration,
    /// Whether keys are looked for in the sound of parties that have no telephone events; default true.
    pub inband_keys: bool,
    /// After how much silence of everybody in it, RTCP included, [`Engine::report_idle`](crate::Engine::report_idle)
    /// names a call in which all hear each other; default [`DEFAULT_IDLE_AFTER`]. Zero means never.
    pub idle_after: Duration,
    /// The same of a call in which somebody holds, is on hold, or hears something that is made here; default
    /// [`DEFAULT_IDLE_HELD_AFTER`]. Zero means never.
    pub idle_held_after: Duration,
    /// Most calls at once; beyond, every offer and answer is refused with 503.
    pub max_calls: usize,
    /// Most members of one room; beyond, whoever wants to come in is refused. Default [`DEFAULT_ROOM_MEMBERS`].
    pub room_members: usize,
    /// The ringing tone. Of a tone whose cadence repeats after more than
    /// [`MAX_LOOP_MS`](crate::MAX_LOOP_MS), only so much is played.
    pub ringback: Tone,
    /// What a party on hold hears. Default: two soft notes every five seconds.
    pub hold_music: HoldMusic,
}

impl EngineConfig {
    /// PCMU, PCMA and telephone-event at this address; everything else at its default.
    #[must_use]
    pub fn new(address: AddressPolicy) -> Self {
        Self {
            codecs: vec![pcmu(), pcma(), telephone_event()],
            address,
            ptime: FRAME_MS,
            latch: LatchConfig::default(),
            rtp_timeout: DEFAULT_RTP_TIMEOUT,
            quiet_after: DEFAULT_QUIET_AFTER,
            inband_keys: true,
            idle_after: DEFAULT_IDLE_AFTER,
            idle_held_after: DEFAULT_IDLE_HELD_AFTER,
            max_calls: DEFAULT_MAX_CALLS,
            room_members: DEFAULT_ROOM_MEMBERS,
            ringback: Tone::named("eu-ringback").unwrap_or_else(|| Tone::steady(425.0, 0.25)),
            hold_music: HoldMusic::default(),
        }
    }
}

/// A socket, by the number that the driver gave it. Numbers are small: they index a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketIx(pub u32);

/// Two sockets on neighbouring ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PortPair {
    /// For media.
    pub rtp: SocketIx,
    /// For reports, one port above.
    pub rtcp: SocketIx,
    /// The port of `rtp`, even.
    pub port: u16,
}

/// Whoever owns the sockets.
pub trait Ports {
    /// Two free sockets of a family; `None` when there are none left.
    fn take(&mut self, v6: bool) -> Option<PortPair>;

    /// They are free again. The engine has forgotten them.
    fn give_back(&mut self, pair: PortPair);

    /// Sends a packet at once: the farewell of a source that stops, which has to leave before the
    /// socket is given back. May be lost.
    fn send(&mut self, socket: SocketIx, to: SocketAddr, packet: &[u8]) {
        let _ = (socket, to, packet);
    }
}
