//! The phone's registration.
//!
//! ```text
//!            register()                     200
//!   Idle ───────────────▶ Asking ────────────────────▶ Standing ─┐
//!    ▲                     ▲  │ refused, no reply        │        │ 4/5 of its time
//!    │ 200 or not          │  ▼                          │        │ is over
//!   Leaving ◀──────────── Failed: again in RETRY ────────┴────────┘
//!            unregister()
//! ```

use core::time::Duration;

use compact_str::{CompactString, format_compact};
use hookswitch_sip::{FailCause, Flow, Header, RequestId, RequestOut, Time};
use hookswitch_sip_msg::{HeaderName, Message, Method, reason_phrase};

use crate::config::PhoneConfig;
use crate::event::Event;
use crate::phone::{Phone, flow_to};

/// A registration that failed is tried again after this time.
pub(crate) const RETRY: Duration = Duration::from_secs(30);

/// Numbers left out between two REGISTERs, for those that the endpoint adds when it answers challenges.
const CSEQ_STEP: u32 = 8;

#[derive(Debug, Default)]
pub(crate) struct Registration {
    state: State,
    call_id: Option<CompactString>,
    cseq: u32,
    /// Raised when the registrar finds our wish too brief.
    min_expires: Duration,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    Asking(RequestId),
    Standing {
        refresh_at: Time,
    },
    Failed {
        retry_at: Time,
    },
    Leaving(RequestId),
}

impl Registration {
    pub(crate) fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Standing { refresh_at } => Some(refresh_at),
            State::Failed { retry_at } => Some(retry_at),
            State::Idle | State::Asking(_) | State::Leaving(_) => None,
        }
    }

    fn request(&mut self, config: &PhoneConfig, flow: Flow, expires: Duration) -> RequestOut {
        let own = format_compact!("<{}>", config.address()).to_string();
        self.cseq += CSEQ_STEP;
        RequestOut {
            call_id: self.call_id.clone(),
            cseq: Some(self.cseq),
            contact_user: Some(config.user.clone()),
            headers: vec![Header::new(HeaderName::Expires, expires.as_secs().to_string())],
            credentials: config.credentials.clone(),
            ..RequestOut::new(Method::Register, &format!("sip:{}", config.domain), own.clone(), own, flow)
        }
    }
}

impl Phone {
    /// Registers, and keeps the registration standing until [`Phone::unregister`].
    pub fn register(&mut self, now: Time) {
        self.send_register(now);
        self.drain(now);
    }

    /// Removes the registration, if there is one.
    pub fn unregister(&mut self, now: Time) {
        if matches!(self.registration.state, State::Idle | State::Leaving(_)) {
            return;
        }
        let flow = flow_to(&self.config);
        let request = self.registration.request(&self.config, flow, Duration::ZERO);
        self.registration.state = match self.endpoint.request(now, request) {
            Ok(id) => State::Leaving(id),
            Err(_) => State::Idle,
        };
        self.drain(now);
    }

    /// Whether the registrar has accepted the registration and it has not run out.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        matches!(self.registration.state, State::Standing { .. })
    }

    pub(crate) fn refresh_registration(&mut self, now: Time) {
        if self.registration.deadline().is_some_and(|at| at <= now) {
            self.send_register(now);
        }
    }

    fn send_register(&mut self, now: Time) {
        let expires = self.config.expires.max(self.registration.min_expires);
        let request = self.registration.request(&self.config, flow_to(&self.config), expires);
        self.registration.state = match self.endpoint.request(now, request) {
            Ok(id) => State::Asking(id),
            Err(error) => {
                self.tell(Event::RegisterFailed { status: 503, reason: format_compact!("{error}") });
                State::Failed { retry_at: now + RETRY }
            }
        };
    }

    /// The answer to a request of ours; registrations are the only ones there are.
    pub(crate) fn register_answered(
        &mut self,
        now: Time,
        id: RequestId,
        (status, cause): (u16, FailCause),
        response: Option<&Message>,
    ) {
        if let Some(call_id) = response.and_then(|response| response.call_id().ok()) {
            self.registration.call_id = Some(call_id.into());
        }
        match self.registration.state {
            State::Leaving(asked) if asked == id => {
                self.registration.state = State::Idle;
                self.tell(Event::Unregistered);
            }
            State::Asking(asked) if asked == id => match response {
                Some(response) if (200..300).contains(&status) => self.registered(now, response),
                Some(response) if status == 423 && self.raise_expires(response) => self.send_register(now),
                _ => self.register_failed(now, status, cause, response),
            },
            // A refresh overtook it.
            State::Idle | State::Asking(_) | State::Leaving(_) | State::Standing { .. } | State::Failed { .. } => {}
        }
    }

    fn registered(&mut self, now: Time, response: &Message) {
        let asked = self.config.expires.max(self.registration.min_expires);
        let expires = granted(response, &self.config).unwrap_or(asked);
        let bindings = response.contacts().count();
        // A fifth of the time is enough for a retry or two.
        self.registration.state = State::Standing { refresh_at: now + expires * 4 / 5 };
        self.tell(Event::Registered { expires, bindings });
    }

    /// True when the registrar's shortest time was not known yet (RFC 3261 10.2.8).
    fn raise_expires(&mut self, response: &Message) -> bool {
        let wanted = response.seconds(HeaderName::MinExpires).map(|seconds| Duration::from_secs(seconds.into()));
        let known = self.config.expires.max(self.registration.min_expires);
        let higher = wanted.filter(|wanted| *wanted > known);
        self.registration.min_expires = higher.unwrap_or(self.registration.min_expires);
        higher.is_some()
    }

    fn register_failed(&mut self, now: Time, status: u16, cause: FailCause, response: Option<&Message>) {
        self.registration.state = State::Failed { retry_at: now + RETRY };
        let reason = match (response, cause) {
            (Some(response), _) => CompactString::from_utf8_lossy(response.reason()),
            (None, FailCause::Unreachable) => CompactString::const_new("unreachable"),
            (None, FailCause::Timeout) => CompactString::const_new("no reply"),
            (None, FailCause::Response | FailCause::Cancelled) => reason_phrase(status).into(),
        };
        self.tell(Event::RegisterFailed { status, reason });
    }
}

/// How long our own binding stands: the response lists those of all phones of this user.
fn granted(response: &Message, config: &PhoneConfig) -> Option<Duration> {
    let ours = response.contacts().flatten().find(|contact| {
        let Ok(uri) = contact.uri() else {
            return false;
        };
        uri.host.ip() == Some(config.local.ip()) && uri.port.unwrap_or(5060) == config.local.port()
    });
    let seconds = ours.and_then(|contact| contact.expires()).or_else(|| response.expires())?;
    Some(Duration::from_secs(seconds.into()))
}
