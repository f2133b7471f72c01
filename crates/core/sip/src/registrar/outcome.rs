//! What became of a REGISTER, and the response that says so.

use std::fmt::Write as _;
use std::sync::Arc;

use hookswitch_sip_msg::HeaderName;
use smallvec::SmallVec;

use super::binding::Binding;
use super::date::sip_date;
use super::{MAX_CONTACTS_PER_REQUEST, RETRY_WHEN_FULL, gruu};
use crate::Time;
use crate::keyed::Keyed;

/// The answer to a REGISTER, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterOutcome {
    /// Status code.
    pub status: u16,
    /// Reason phrase.
    pub reason: &'static str,
    /// Headers to add, in order. One Contact for each binding that exists now.
    pub headers: Vec<(HeaderName, String)>,
    /// What happened, for logs, counters and notifications.
    pub result: Result<Registered, Refusal>,
}

/// A REGISTER that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Bindings made.
    pub added: usize,
    /// Bindings that existed and were given more time.
    pub refreshed: usize,
    /// Bindings removed at the phone's wish, or because another took their place.
    pub removed: usize,
    /// Bindings of this address of record now.
    pub total: usize,
}

/// Why a REGISTER was refused. Nothing was changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A header cannot be read: 400.
    #[error("{0} is missing or malformed")]
    Malformed(&'static str),
    /// A header is longer than its limit: 400.
    #[error("{0} is too long")]
    TooLong(&'static str),
    /// `Contact: *` beside other contacts or without `Expires: 0`: 400.
    #[error("the wildcard contact needs Expires: 0 and no other contact")]
    Wildcard,
    /// A contact that is neither `sip:` nor `sips:`: 400.
    #[error("a contact is no SIP URI")]
    ContactScheme,
    /// More than [`MAX_CONTACTS_PER_REQUEST`] contacts: 400.
    #[error("more than {MAX_CONTACTS_PER_REQUEST} contacts in one request")]
    TooManyContacts,
    /// The wanted time is below the minimum: 423 with Min-Expires.
    #[error("the wanted time is below {} s", .min.as_secs())]
    TooBrief {
        /// The shortest time that will be granted.
        min: Time,
    },
    /// An older request overtaken by a newer one with the same Call-ID: 500.
    #[error("a newer request of the same registration was here already")]
    OutOfOrder,
    /// The phone wants to keep its flow, and a proxy between us does not know of that: 439.
    #[error("the first hop of the phone does not support outbound")]
    FirstHopLacksOutbound,
    /// A proxy between us has added a Path, of which the phone does not know: 420.
    #[error("a Path was added, and the phone does not support that")]
    PathNotUnderstood,
    /// The address of record would have more bindings than allowed: 403.
    #[error("too many bindings for this address of record")]
    TooManyBindings,
    /// The registrar holds as many bindings as it may: 503 with Retry-After.
    #[error("the registrar is full")]
    Full,
}

impl Refusal {
    /// Status code of the response.
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed(_) | Self::TooLong(_) | Self::Wildcard | Self::ContactScheme | Self::TooManyContacts => 400,
            Self::TooBrief { .. } => 423,
            Self::OutOfOrder => 500,
            Self::FirstHopLacksOutbound => 439,
            Self::PathNotUnderstood => 420,
            Self::TooManyBindings => 403,
            Self::Full => 503,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::TooLong(_) => "Bad Request",
            Self::Wildcard => "Invalid Wildcard Contact",
            Self::ContactScheme => "Contact Is No SIP URI",
            Self::TooManyContacts => "Too Many Contacts",
            Self::TooBrief { .. } => "Interval Too Brief",
            Self::OutOfOrder => "Request Out Of Order",
            Self::FirstHopLacksOutbound => "First Hop Lacks Outbound Support",
            Self::PathNotUnderstood => "Bad Extension",
            Self::TooManyBindings => "Too Many Bindings",
            Self::Full => "Service Unavailable",
        }
    }
}

/// What a phone is told beside its contacts.
pub(super) struct Told<'a> {
    /// What the request asked to be remembered.
    pub path: SmallVec<[String; 2]>,
    /// How often a phone that keeps its flow shall give a sign of life over it.
    pub outbound: Option<Time>,
    /// The phone wants addresses of its own, to be made with this.
    pub gruu: Option<&'a Keyed>,
    pub service_route: &'a [Arc<str>],
}

impl RegisterOutcome {
    pub(super) fn refused(refusal: Refusal) -> Self {
        let mut headers = Vec::new();
        if let Refusal::TooBrief { min } = refusal {
            headers.push((HeaderName::MinExpires, ceil_seconds(min).to_string()));
        }
        if refusal == Refusal::PathNotUnderstood {
            headers.push((HeaderName::Unsupported, "path".to_owned()));
        }
        if refusal == Refusal::Full {
            headers.push((HeaderName::RetryAfter, RETRY_WHEN_FULL.as_secs().to_string()));
        }
        Self { status: refusal.status(), reason: refusal.reason(), headers, result: Err(refusal) }
    }

    /// `bindings` is everything that is bound now.
    pub(super) fn accepted<'a>(
        now: Time,
        registered: Registered,
        told: &Told<'_>,
        bindings: impl Iterator<Item = &'a Binding>,
    ) -> Self {
        let Told { path, outbound, gruu, service_route } = told;
        let mut headers = Vec::with_capacity(registered.total + path.len() + service_route.len() + 4);
        headers.extend(bindings.map(|binding| (HeaderName::Contact, contact(binding, now, *gruu))));
        if !path.is_empty() {
            // RFC 3327 section 5.3: the phone learns which proxies were recorded.
            headers.extend(path.iter().map(|hop| (HeaderName::Path, hop.clone())));
        }
        headers.extend(service_route.iter().map(|hop| (HeaderName::ServiceRoute, hop.to_string())));
        if let Some(flow_timer) = *outbound {
            headers.push((HeaderName::Require, "outbound".to_owned()));
            headers.push((HeaderName::Supported, "path, outbound".to_owned()));
            if !flow_timer.is_zero() {
                headers.push((HeaderName::FlowTimer, ceil_seconds(flow_timer).to_string()));
            }
        } else if !path.is_empty() {
            headers.push((HeaderName::Supported, "path".to_owned()));
        }
        headers.push((HeaderName::Date, sip_date(now)));
        Self { status: 200, reason: "OK", headers, result: Ok(registered) }
    }
}

fn contact(binding: &Binding, now: Time, gruu: Option<&Keyed>) -> String {
    let mut text = String::with_capacity(binding.contact.len() + 96);
    // Writing to a string cannot fail.
    let _ = write!(text, "<{}>;expires={}", binding.contact, binding.seconds_left(now));
    if binding.q < 1_000 {
        let _ = write!(text, ";q=0.{:03}", binding.q);
        let significant = text.trim_end_matches('0').trim_end_matches('.').len();
        text.truncate(significant);
    }
    if let Some(instance) = &binding.instance {
        let _ = write!(text, ";+sip.instance=\"{instance}\"");
    }
    if let Some(reg_id) = binding.reg_id {
        let _ = write!(text, ";reg-id={reg_id}");
    }
    if let (Some(key), Some(instance)) = (gruu, &binding.instance) {
        if let Some(uri) = gruu::public(&binding.aor, instance) {
            let _ = write!(text, ";pub-gruu=\"{uri}\"");
        }
        if let Some(uri) = gruu::temporary(key, binding) {
            let _ = write!(text, ";temp-gruu=\"{uri}\"");
        }
    }
    text
}

fn ceil_seconds(time: Time) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
