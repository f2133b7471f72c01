//! What both sides of a call remember about it (RFC 3261 section 12), as plain data.

pub(crate) mod peer;
pub(crate) mod route;
pub(crate) mod session_timer;

use bytes::Bytes;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use self::peer::Peer;
use self::session_timer::SessionTimer;
use crate::outgoing::Body;
use crate::transport::Flow;

/// Who started the dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// We sent the INVITE.
    Caller,
    /// We received it.
    Callee,
}

/// How far the dialog is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DialogState {
    /// No final answer yet.
    Early,
    /// A 2xx was sent or received.
    Confirmed,
    /// A BYE is under way.
    Ending,
}

/// A dialog. It can be stored and carries everything needed to send requests inside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialog {
    pub(crate) role: Role,
    pub(crate) state: DialogState,
    pub(crate) call_id: CompactString,
    pub(crate) local_tag: CompactString,
    /// Empty until the other side has one.
    pub(crate) remote_tag: CompactString,
    /// Our From or To value, tag included.
    pub(crate) local: Bytes,
    /// The other side's To or From value, tag included once there is one.
    pub(crate) remote: Bytes,
    pub(crate) local_seq: u32,
    /// `None` until the other side has sent a request.
    pub(crate) remote_seq: Option<u32>,
    /// Where requests go in the end.
    pub(crate) remote_target: CompactString,
    /// Route values, first hop first.
    pub(crate) routes: Vec<CompactString>,
    /// Our Contact value.
    pub(crate) contact: CompactString,
    /// Where the next request is sent.
    pub(crate) flow: Flow,
    /// The flow stands although the target names another address: a NAT is in between, or a name nobody resolved.
    pub(crate) pinned: bool,
    /// The other side may be connected to, where a request is too large for a datagram.
    #[serde(default)]
    pub(crate) may_connect: bool,
    /// What the other side can do.
    #[serde(default)]
    pub(crate) peer: Peer,
    /// How long the session may go on in silence.
    #[serde(default)]
    pub(crate) session: SessionTimer,
    /// What we said last about media, where a refresh has to say it again.
    #[serde(default)]
    pub(crate) sent: Option<Box<Body>>,
}

impl Dialog {
    /// Who started it.
    pub fn role(&self) -> Role {
        self.role
    }

    /// How far it is.
    pub fn state(&self) -> DialogState {
        self.state
    }

    /// Call-ID.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// The CSeq number of the last request that we have sent in it.
    pub fn local_seq(&self) -> u32 {
        self.local_seq
    }

    /// Our tag.
    pub fn local_tag(&self) -> &str {
        &self.local_tag
    }

    /// The other side's tag; empty before its first response with one.
    pub fn remote_tag(&self) -> &str {
        &self.remote_tag
    }

    /// Our address as the value of From or To, with tag.
    pub fn local(&self) -> &Bytes {
        &self.local
    }

    /// The other side's address as the value of To or From, with its tag.
    pub fn remote(&self) -> &Bytes {
        &self.remote
    }

    /// URI that requests inside the dialog are meant for: the other side's Contact.
    pub fn remote_target(&self) -> &str {
        &self.remote_target
    }

    /// Route values, first hop first.
    pub fn route_set(&self) -> &[CompactString] {
        &self.routes
    }

    /// Where the next request is sent.
    pub fn flow(&self) -> Flow {
        self.flow
    }
}
