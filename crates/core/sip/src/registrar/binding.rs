//! One binding: a way to reach a user.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::watch::Life;
use crate::Time;
use crate::transport::Flow;

/// Number of a binding, unique within its address of record for as long as anything remembers the binding.
///
/// The contact URI is no such name: a phone may write it differently with each refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BindingId(pub u64);

/// A way to reach the user of an address of record, as a phone registered it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Names this binding in [`Change`](super::Change) and in a store.
    pub id: BindingId,
    /// The address of record, as [`aor_of`](super::aor_of) writes it.
    pub aor: Arc<str>,
    /// The contact URI as the phone wrote it, without angle brackets and header parameters.
    pub contact: Arc<str>,
    /// `+sip.instance` without the quotes, such as `<urn:uuid:…>` (RFC 5626 section 4.1).
    pub instance: Option<Arc<str>>,
    /// `reg-id`, kept only together with an instance (RFC 5626 section 4.2).
    pub reg_id: Option<u32>,
    /// The phone has promised to keep the flow of this registration: see [`Binding::keeps_flow`].
    #[serde(default)]
    pub outbound: bool,
    /// Preference in thousandths, 0 to 1000; 1000 when the phone stated none.
    pub q: u16,
    /// When the binding ends unless it is refreshed.
    pub expires_at: Time,
    /// When the binding was made.
    pub registered_at: Time,
    /// When it was last refreshed.
    pub refreshed_at: Time,
    /// When its phone began to register under that Call-ID; temporary addresses given since then are good.
    #[serde(default)]
    pub series_began: Time,
    /// Call-ID of the last REGISTER that touched it.
    pub call_id: Arc<str>,
    /// CSeq number of that request.
    pub cseq: u32,
    /// Path header values in order, topmost first (RFC 3327): the Route set towards the phone.
    pub path: Vec<Arc<str>>,
    /// Where the last REGISTER came from; the way back through a NAT. `None` once its connection has closed, when
    /// only [`Binding::contact`] is left to try.
    pub flow: Option<Flow>,
    /// The address the last REGISTER came from; still known when the connection is gone.
    pub source: SocketAddr,
    /// User-Agent header of the last REGISTER, cut to [`MAX_USER_AGENT_BYTES`](super::MAX_USER_AGENT_BYTES).
    pub user_agent: Option<Arc<str>>,
    /// What is known from watching it; not stored.
    #[serde(skip)]
    pub life: Life,
}

impl Binding {
    /// Time left at `now`, in whole seconds rounded up; 0 only when the binding is over.
    pub fn seconds_left(&self, now: Time) -> u64 {
        let left = self.expires_at.saturating_sub(now);
        left.as_secs() + u64::from(left.subsec_nanos() > 0)
    }

    /// Whether it was made by its last REGISTER, and not refreshed since.
    pub fn is_new(&self) -> bool {
        self.registered_at == self.refreshed_at
    }

    /// Whether its phone is silent or its flow lost: see [`Registrar::reachable`](super::Registrar::reachable).
    pub fn is_stale(&self) -> bool {
        self.life.stale_since.is_some()
    }

    /// Whether its phone is to be reached over the flow it has registered on, and in no other way (RFC 5626 section
    /// 4.2): its own flow, or that to the first proxy of its Path. One that only numbers its registrations, and does not say
    /// `Supported: outbound`, is a phone as any other.
    pub fn keeps_flow(&self) -> bool {
        self.outbound
    }

    /// Whether the binding is over at `now`.
    pub fn is_expired(&self, now: Time) -> bool {
        self.expires_at <= now
    }
}

/// A copy of `text`, sharing the memory of `previous` when it says the same.
pub(super) fn share(text: &str, previous: Option<&Arc<str>>) -> Arc<str> {
    match previous {
        Some(known) if **known == *text => Arc::clone(known),
        _ => Arc::from(text),
    }
}
