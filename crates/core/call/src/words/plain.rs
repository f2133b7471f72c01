//! Words with nothing special in them, and what all reports have in common.

use compact_str::CompactString;

use super::{
    Address, Alerting, CallId, Dial, Handle, Identity, Incoming, LegId, MediaOp, MediaReport, Report, Sdp, Target,
};

impl Dial {
    /// A call with nothing special.
    #[must_use]
    pub fn new(target: Target, from: Address, to: Address, offer: Option<Sdp>) -> Self {
        Self {
            target,
            from,
            to,
            offer,
            answers_early: false,
            wire_id: None,
            hops: 70,
            identity: Identity::default(),
            diversions: Vec::new(),
            alerting: Alerting::default(),
            referred_by: None,
            meets: None,
        }
    }
}

impl Incoming {
    /// A call with nothing special.
    #[must_use]
    pub fn new(handle: Handle, wire_id: CompactString, from: Address, to: Address, offer: Option<Sdp>) -> Self {
        Self {
            handle,
            wire_id,
            from,
            to,
            offer,
            answers_early: false,
            hops: 70,
            near: None,
            identity: Identity::default(),
            diversions: Vec::new(),
            alerting: Alerting::default(),
            referred_by: None,
            replaces: None,
        }
    }
}

impl Report {
    /// The leg that it is about.
    #[must_use]
    pub const fn leg(&self) -> Option<LegId> {
        match self {
            Self::Incoming(_) | Self::Located { .. } => None,
            Self::Dialed { leg, .. }
            | Self::Progress { leg, .. }
            | Self::Redirected { leg, .. }
            | Self::Answered { leg, .. }
            | Self::Confirmed { leg, .. }
            | Self::Reoffered { leg, .. }
            | Self::Reaccepted { leg, .. }
            | Self::Withdrawn { leg, .. }
            | Self::ReferAsked { leg, .. }
            | Self::ReferAnswered { leg, .. }
            | Self::ReferProgress { leg, .. }
            | Self::Brought { leg, .. }
            | Self::Delivered { leg, .. }
            | Self::Digit { leg, .. }
            | Self::Ended { leg, .. } => Some(*leg),
        }
    }
}

impl MediaOp {
    /// The call that it is about.
    #[must_use]
    pub const fn call(&self) -> CallId {
        match self {
            Self::Open { call, .. }
            | Self::MakeOffer { call, .. }
            | Self::MakeAnswer { call, .. }
            | Self::Offered { call, .. }
            | Self::Accept { call, .. }
            | Self::Hear { call, .. }
            | Self::Hold { call, .. }
            | Self::OpenSpare { call, .. }
            | Self::Swap { call, .. }
            | Self::CloseSpare { call, .. }
            | Self::Join { call, .. }
            | Self::Leave { call, .. }
            | Self::Digit { call, .. }
            | Self::Play { call, .. }
            | Self::ControlPlay { call, .. }
            | Self::Record { call, .. }
            | Self::Inspect { call, .. }
            | Self::Close { call, .. } => *call,
        }
    }

    /// The same about a call of another name.
    #[must_use]
    pub const fn of(mut self, name: CallId) -> Self {
        match &mut self {
            Self::Open { call, .. }
            | Self::MakeOffer { call, .. }
            | Self::MakeAnswer { call, .. }
            | Self::Offered { call, .. }
            | Self::Accept { call, .. }
            | Self::Hear { call, .. }
            | Self::Hold { call, .. }
            | Self::OpenSpare { call, .. }
            | Self::Swap { call, .. }
            | Self::CloseSpare { call, .. }
            | Self::Join { call, .. }
            | Self::Leave { call, .. }
            | Self::Digit { call, .. }
            | Self::Play { call, .. }
            | Self::ControlPlay { call, .. }
            | Self::Record { call, .. }
            | Self::Inspect { call, .. }
            | Self::Close { call, .. } => *call = name,
        }
        self
    }
}

impl MediaReport {
    /// The call that it is about.
    #[must_use]
    pub const fn call(&self) -> CallId {
        match self {
            Self::Local { call, .. }
            | Self::Refused { call, .. }
            | Self::Silent { call, .. }
            | Self::Idle { call, .. }
            | Self::Direction { call, .. }
            | Self::Audio { call, .. }
            | Self::Room { call, .. }
            | Self::Played { call, .. }
            | Self::Digit { call, .. }
            | Self::Recorded { call, .. }
            | Self::Moved { call, .. } => *call,
        }
    }

    /// The same about a call of another name.
    #[must_use]
    pub const fn of(mut self, name: CallId) -> Self {
        match &mut self {
            Self::Local { call, .. }
            | Self::Refused { call, .. }
            | Self::Silent { call, .. }
            | Self::Idle { call, .. }
            | Self::Direction { call, .. }
            | Self::Audio { call, .. }
            | Self::Room { call, .. }
            | Self::Played { call, .. }
            | Self::Digit { call, .. }
            | Self::Recorded { call, .. }
            | Self::Moved { call, .. } => *call = name,
        }
        self
    }
}
