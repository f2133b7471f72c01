//! What a phone wants done, what it tells, and how calls end.

use core::fmt;
use core::time::Duration;
use std::net::SocketAddr;

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_media::Refusal;
use hookswitch_sip::{Flow, SipError};

use crate::listener::{Heard, MediaStats};

/// What the phone wants done.
#[derive(Debug, Clone)]
pub enum Output {
    /// Send a SIP message; see [`hookswitch_sip::Output::Send`].
    Sip {
        /// Where to.
        flow: Flow,
        /// One whole message.
        bytes: Bytes,
    },
    /// Close this connection.
    Close {
        /// Which one.
        flow: Flow,
    },
    /// Send an RTP packet.
    Rtp {
        /// The address of ours that it leaves from: [`PhoneConfig::rtp`](crate::PhoneConfig::rtp) for the first line, as
        /// long as its session has not moved.
        from: SocketAddr,
        /// Where to.
        to: SocketAddr,
        /// The packet.
        bytes: Bytes,
    },
    /// Something happened.
    Event(Event),
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The registration stands, or has been refreshed.
    Registered {
        /// How long the registrar lets it stand.
        expires: Duration,
        /// Contacts the registrar listed.
        bindings: usize,
    },
    /// The registration was refused or got no answer; it is tried again.
    RegisterFailed {
        /// 300 to 699; 408 and 503 may be our own conclusion.
        status: u16,
        /// The reason phrase.
        reason: CompactString,
    },
    /// The registration is removed.
    Unregistered,
    /// A call comes in.
    Incoming {
        /// URI of the caller.
        from: CompactString,
        /// Call-ID.
        call_id: CompactString,
    },
    /// Our call made progress.
    Ringing {
        /// 101 to 199.
        status: u16,
        /// There is early media to hear.
        early_media: bool,
    },
    /// The call stands, whoever placed it.
    Answered {
        /// Name of the codec that is sent.
        codec: &'static str,
        /// Call-ID.
        call_id: CompactString,
    },
    /// The other side changed the session, or has accepted a change of ours.
    Changed {
        /// We may send audio.
        sends: bool,
        /// The other side may send audio.
        receives: bool,
    },
    /// The other side refused a change of the session; the call stands as before.
    ChangeFailed {
        /// 300 to 699.
        status: u16,
    },
    /// The call is over, or never came to be: told exactly once per call.
    Ended {
        /// Why.
        cause: EndCause,
        /// What was sent and heard.
        stats: MediaStats,
    },
    /// What the last 200 ms of audio sounded like.
    Heard(Heard),
    /// All samples have been played.
    Played,
    /// The other side has pressed a key.
    Digit {
        /// `0` to `9`, `*`, `#`, `A` to `D`.
        digit: char,
        /// How it was told.
        by: Keys,
    },
    /// The other side has sent a text.
    Text {
        /// The text.
        text: CompactString,
    },
    /// An INFO or MESSAGE of ours was answered.
    Delivered {
        /// 200 to 699; 408 and 503 may be our own conclusion.
        status: u16,
    },
    /// The other side asks us to call somebody else.
    ReferAsked {
        /// Whom: a URI.
        to: CompactString,
        /// Whether we do it.
        accepted: bool,
    },
    /// The other side answered our REFER.
    ReferAnswered {
        /// 200 to 699; 408 and 503 may be our own conclusion.
        status: u16,
    },
    /// How far the other side has come with what our REFER asked.
    ReferProgress {
        /// 100 to 699.
        status: u16,
        /// It was the last word.
        is_last: bool,
    },
}

/// How the press of a key travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// In the signalling: INFO with `application/dtmf-relay`.
    Info,
    /// In the audio stream: telephone events (RFC 4733).
    Rtp,
}

/// Why a call is over.
#[derive(Debug, Clone, PartialEq)]
pub enum EndCause {
    /// We ended it.
    HungUp,
    /// The other side ended it.
    PeerHungUp {
        /// Value of its Reason header.
        reason: Option<CompactString>,
    },
    /// The other side refused our call.
    Refused {
        /// 300 to 699.
        status: u16,
        /// The reason phrase.
        reason: CompactString,
    },
    /// We refused theirs.
    Declined {
        /// 400 to 699.
        status: u16,
    },
    /// Whoever called gave up before an answer.
    Cancelled,
    /// Nobody answered our request in time.
    NoReply,
    /// The network says that nobody is there.
    Unreachable,
    /// The other side fell silent, or forgot the call.
    Lost,
    /// Another call has taken its place (RFC 3891).
    Replaced,
    /// There was nothing both sides could speak.
    Media(Refusal),
}

impl fmt::Display for EndCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndCause::HungUp => f.write_str("hung up"),
            EndCause::PeerHungUp { reason: Some(reason) } => write!(f, "the other side hung up ({reason})"),
            EndCause::PeerHungUp { reason: None } => f.write_str("the other side hung up"),
            EndCause::Refused { status, reason } => write!(f, "refused: {status} {reason}"),
            EndCause::Declined { status } => write!(f, "declined with {status}"),
            EndCause::Cancelled => f.write_str("cancelled"),
            EndCause::NoReply => f.write_str("no reply"),
            EndCause::Unreachable => f.write_str("unreachable"),
            EndCause::Lost => f.write_str("lost: the other side fell silent"),
            EndCause::Replaced => f.write_str("replaced by another call"),
            EndCause::Media(refusal) => write!(f, "no common media: {refusal}"),
        }
    }
}

/// Why the phone refuses what it is asked; nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// A call stands already.
    #[error("a call stands already")]
    InCall,
    /// There is no call, or it is not in a stage in which this can be done.
    #[error("there is no call")]
    NoCall,
    /// A change of the session is under way.
    #[error("a change is under way")]
    Pending,
    /// The other side does not take this, or it is no key.
    #[error("this cannot be sent")]
    Unsendable,
    /// The endpoint refused.
    #[error(transparent)]
    Sip(#[from] SipError),
}
