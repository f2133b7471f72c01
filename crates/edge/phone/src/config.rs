//! What a phone is told once.

use core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;

use compact_str::CompactString;
use hookswitch_codec::{Codec, pcma, pcmu, telephone_event};
use hookswitch_sip::auth::Credentials;
use hookswitch_sip::{Timers, Transport};

/// What the phone does with a call that comes in. When all lines are taken it is busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerPolicy {
    /// Rings this long, then answers.
    Answer {
        /// How long it rings; zero answers at once and without a 180.
        after: Duration,
    },
    /// Rings this long, then refuses.
    Refuse {
        /// 400 to 699.
        status: u16,
        /// How long it rings; zero refuses at once.
        after: Duration,
    },
    /// Rings until the caller gives up.
    Ring,
    /// Says nothing at all, as somebody does who is away.
    Silent,
}

impl AnswerPolicy {
    /// Busy at once.
    pub const BUSY: AnswerPolicy = AnswerPolicy::Refuse { status: 486, after: Duration::ZERO };
    /// Declined at once.
    pub const DECLINE: AnswerPolicy = AnswerPolicy::Refuse { status: 603, after: Duration::ZERO };
}

/// What the phone does when it is asked to call somebody else (REFER).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferPolicy {
    /// Calls, and tells how far it has come.
    Accept,
    /// Refuses with 400 to 699.
    Refuse(u16),
}

/// What the phone sends as audio while a call stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Sound {
    /// No packets at all.
    Nothing,
    /// Packets of silence.
    Silence,
    /// A steady tone.
    Tone {
        /// Frequency in Hz.
        hz: f32,
        /// Level in dB below full scale; 0 is the loudest.
        level_dbfs: f32,
    },
    /// Samples at 8 kHz, once; silence behind them.
    Samples(Arc<[i16]>),
}

impl Sound {
    /// Level of [`Sound::tone`] in dBFS.
    pub const TONE_LEVEL: f32 = -12.0;

    /// A steady tone at the usual level.
    #[must_use]
    pub fn tone(hz: f32) -> Sound {
        Sound::Tone { hz, level_dbfs: Sound::TONE_LEVEL }
    }
}

/// Everything a [`Phone`](crate::Phone) is told at the start.
#[derive(Debug, Clone)]
pub struct PhoneConfig {
    /// User part of its address.
    pub user: CompactString,
    /// Host part of its address, and where it registers.
    pub domain: CompactString,
    /// Answers challenges.
    pub credentials: Option<Credentials>,
    /// How SIP travels; default UDP.
    pub transport: Transport,
    /// The address its SIP socket is bound to; never an unspecified one, since others must be able to write it.
    pub local: SocketAddr,
    /// Where all its requests outside of calls go.
    pub server: SocketAddr,
    /// The address its RTP socket is bound to.
    pub rtp: SocketAddr,
    /// Codecs in order of preference; default PCMU, PCMA, telephone-event.
    pub codecs: Vec<&'static Codec>,
    /// How long a registration is asked to last; default 1 hour.
    pub expires: Duration,
    /// What to do with incoming calls; default answer at once.
    pub answer: AnswerPolicy,
    /// Calls without an offer, and answers in the ACK; default false.
    pub late_offer: bool,
    /// Ends each call this long after it was answered; default never.
    pub hang_up_after: Option<Duration>,
    /// What to send; default nothing.
    pub sound: Sound,
    /// Keep what is heard for [`Phone::take_recording`](crate::Phone::take_recording); default false.
    pub record: bool,
    /// Calls at a time; one more may come to be because of a REFER or an INVITE with Replaces. Default 1.
    pub lines: u8,
    /// What to do when asked to call somebody else; default accept.
    pub refer: ReferPolicy,
    /// Wants to be told what comes of its own REFERs; without, it says so (`Refer-Sub: false`, RFC 4488), and leaves the
    /// call as soon as the other side has agreed. Default true.
    pub refer_sub: bool,
    /// Refuses each change of the session that the other side asks for with this, 400 to 699; default never.
    pub refuse_changes: Option<u16>,
    /// Rings with 183 and a description instead of 180; default false.
    pub early_media: bool,
    /// Rings reliably (RFC 3262) where the caller knows how; default false.
    pub reliable: bool,
    /// A faulty network card that sends every SIP message twice; for tests. Default false.
    pub doubles: bool,
    /// A broken phone that never acknowledges an answer; for tests. Default false.
    pub withhold_ack: bool,
    /// SIP timers.
    pub timers: Timers,
}

impl PhoneConfig {
    /// A phone that answers at once and says nothing.
    #[must_use]
    pub fn new(user: &str, domain: &str, local: SocketAddr, server: SocketAddr, rtp: SocketAddr) -> PhoneConfig {
        PhoneConfig {
            user: user.into(),
            domain: domain.into(),
            credentials: None,
            transport: Transport::Udp,
            local,
            server,
            rtp,
            codecs: vec![pcmu(), pcma(), telephone_event()],
            expires: Duration::from_secs(3600),
            answer: AnswerPolicy::Answer { after: Duration::ZERO },
            late_offer: false,
            hang_up_after: None,
            sound: Sound::Nothing,
            record: false,
            lines: 1,
            refer: ReferPolicy::Accept,
            refer_sub: true,
            refuse_changes: None,
            early_media: false,
            reliable: false,
            doubles: false,
            withhold_ack: false,
            timers: Timers::default(),
        }
    }

    /// The phone's address, `sip:user@domain`.
    #[must_use]
    pub fn address(&self) -> CompactString {
        compact_str::format_compact!("sip:{}@{}", self.user, self.domain)
    }
}
