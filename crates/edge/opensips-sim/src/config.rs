//! Which OpenSIPS is played, and how it is set up.

use std::time::Duration;

use compact_str::CompactString;

/// The release that is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The oldest with `callops`.
    V3_1,
    /// A long-term release: the names of 3.1.
    V3_4,
    /// Names with modules, the old ones as aliases; hold of one leg; the development version that was observed.
    V4_1,
}

impl Version {
    /// As in the answer to `version`.
    #[must_use]
    pub const fn server(self) -> &'static str {
        match self {
            Self::V3_1 => "OpenSIPS (3.1.18 (x86_64/linux))",
            Self::V3_4 => "OpenSIPS (3.4.11 (x86_64/linux))",
            Self::V4_1 => "OpenSIPS (4.1.0-dev (x86_64/linux))",
        }
    }

    /// Whether commands are named with their modules.
    #[must_use]
    pub const fn has_modules(self) -> bool {
        matches!(self, Self::V4_1)
    }
}

/// How the simulated OpenSIPS is set up.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// The release. Default [`Version::V4_1`].
    pub version: Version,
    /// Host and port that it answers for. Default `127.0.0.1:5080`.
    pub domain: CompactString,
    /// `fr_timeout` of `tm`: a party that does not react at all. Default 5 s.
    pub fr_timeout: Duration,
    /// `fr_inv_timeout` of `tm`: a party that rings. Default 20 s.
    pub fr_inv_timeout: Duration,
    /// `default_timeout` of `dialog`. Default 12 h.
    pub dialog_timeout: Duration,
    /// How long one SIP message is under way. Default 300 µs.
    pub hop: Duration,
    /// Processes of OpenSIPS answer and report independently of each other: each does it up to this much later.
    /// Zero keeps everything in order. Default 2 ms.
    pub spread: Duration,
    /// The modules that are loaded.
    pub modules: Modules,
    /// What is known to go wrong now and then.
    pub oddities: Oddities,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            version: Version::V4_1,
            domain: "127.0.0.1:5080".into(),
            fr_timeout: Duration::from_secs(5),
            fr_inv_timeout: Duration::from_secs(20),
            dialog_timeout: Duration::from_secs(43_200),
            hop: Duration::from_micros(300),
            spread: Duration::from_millis(2),
            modules: Modules::default(),
            oddities: Oddities::default(),
        }
    }
}

/// Modules whose commands can be missing.
#[derive(Clone, Copy, Debug)]
pub struct Modules {
    /// Holds and transfers.
    pub callops: bool,
    /// Dialogs.
    pub dialog: bool,
    /// Registered phones.
    pub usrloc: bool,
}

impl Default for Modules {
    fn default() -> Self {
        Self { callops: true, dialog: true, usrloc: true }
    }
}

/// Things that OpenSIPS does now and then; in percent of the cases where they can happen.
#[derive(Clone, Copy, Debug)]
pub struct Oddities {
    /// The first NOTIFY is answered 480 because it overtakes the new INVITE; the phone's first word about its new
    /// call is not reported. Default 50.
    pub early_notify: u8,
    /// `leg` of a NOTIFY after the end of a transfer is null. Default 70.
    pub null_leg: u8,
    /// The re-INVITE of a hold's second leg cannot be sent. Default 0.
    pub unsendable_hold: u8,
    /// A BYE cannot be sent to one end: the dialog ends, and the command says that it failed. Default 0.
    pub unsendable_bye: u8,
    /// Requests are answered in plain text: `500 Internal error`. Default 0.
    pub internal_error: u8,
    /// An accepted REFER of which nothing is ever reported, although the phones do all of it. Default 0.
    pub mute_transfer: u8,
    /// Both legs' names in an event are `unknown`. Default 0.
    pub unknown_names: u8,
}

impl Default for Oddities {
    fn default() -> Self {
        Self {
            early_notify: 50,
            null_leg: 70,
            unsendable_hold: 0,
            unsendable_bye: 0,
            internal_error: 0,
            mute_transfer: 0,
            unknown_names: 0,
        }
    }
}
