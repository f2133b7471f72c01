//! Why something ended: one value that the call record, events, responses and Reason headers read.

use std::borrow::Cow;
use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// Whose doing it was. Set where it happened and never guessed later.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Nobody's: calls end.
    Nobody,
    /// The controller's request.
    Controller,
    /// A party's: its phone refused, misbehaved or vanished.
    Peer,
    /// A server beyond us.
    Upstream,
    /// Ours.
    Server,
}

/// What kind of ending it was, independent of any protocol's numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A party or the controller hung up an answered call.
    Hangup,
    /// The caller gave up before an answer, or the controller ended it then.
    Cancelled,
    /// Another branch answered first.
    AnsweredElsewhere,
    /// The party is busy.
    Busy,
    /// The party said no.
    Declined,
    /// It rang and nobody answered in time.
    NoAnswer,
    /// The party is known but cannot be reached now.
    Unreachable,
    /// Nobody by that name.
    NotFound,
    /// The address cannot be understood.
    BadAddress,
    /// No common codec, or a description that cannot be used.
    NotAcceptable,
    /// Not allowed.
    Forbidden,
    /// A limit is reached or the switch is shutting down; may work later.
    Overloaded,
    /// The answer was never acknowledged.
    NotAcknowledged,
    /// The request went round in circles or too far.
    TooManyHops,
    /// Its time is up: the longest duration of a call, or a session that nobody refreshed.
    Expired,
    /// Neither party has sent any audio for too long.
    Idle,
    /// Somebody is changing the session just now; may be tried again.
    Pending,
    /// Whoever carries the call cannot do this.
    Unsupported,
    /// Anything else; the code says what.
    Other,
}

/// Why a leg, a call or a command ended.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Cause {
    /// What kind of ending.
    pub kind: Kind,
    /// Whose doing.
    pub fault: Fault,
    /// The status code as SIP and HTTP number them; 200 for an ordinary end.
    pub code: u16,
    /// The phrase that belongs to `code`, or the peer's own words.
    pub text: CompactString,
    /// The Q.850 cause, where the other side named one or the kind implies one.
    pub q850: Option<u8>,
}

impl Cause {
    /// The one place that maps an ending to its numbers (RFC 3261 section 21, RFC 3398 section 7,
    /// ITU-T Q.850).
    #[must_use]
    pub fn new(kind: Kind, fault: Fault) -> Self {
        let (code, text, q850) = match kind {
            Kind::Hangup => (200, "OK", Some(16)),
            Kind::Cancelled => (487, "Request Terminated", Some(16)),
            Kind::AnsweredElsewhere => (200, "Call completed elsewhere", Some(26)),
            Kind::Busy => (486, "Busy Here", Some(17)),
            Kind::Declined => (603, "Decline", Some(21)),
            Kind::NoAnswer => (408, "Request Timeout", Some(19)),
            Kind::Unreachable => (480, "Temporarily Unavailable", Some(20)),
            Kind::NotFound => (404, "Not Found", Some(1)),
            Kind::BadAddress => (400, "Invalid ruri", Some(28)),
            Kind::NotAcceptable => (488, "Not Acceptable Here", Some(88)),
            Kind::Forbidden => (403, "Forbidden", Some(21)),
            Kind::Overloaded => (503, "Service Unavailable", Some(42)),
            Kind::NotAcknowledged => (408, "Request Timeout", Some(102)),
            Kind::TooManyHops => (483, "Too Many Hops", Some(25)),
            Kind::Expired => (408, "Session Expired", Some(102)),
            Kind::Idle => (408, "Media Timeout", Some(102)),
            Kind::Pending => (491, "Request Pending", None),
            Kind::Unsupported => (501, "Not Implemented", Some(79)),
            Kind::Other => (500, "Server Internal Error", Some(41)),
        };
        Self { kind, fault, code, text: CompactString::const_new(text), q850 }
    }

    /// From a final status that a party sent.
    #[must_use]
    pub fn from_status(code: u16, text: &str) -> Self {
        let kind = match code {
            200..=299 => Kind::Hangup,
            404 | 410 | 604 => Kind::NotFound,
            400 | 416 | 484 => Kind::BadAddress,
            401 | 403 | 407 => Kind::Forbidden,
            408 => Kind::NoAnswer,
            415 | 488 | 606 => Kind::NotAcceptable,
            480 | 430 => Kind::Unreachable,
            482 | 483 => Kind::TooManyHops,
            486 | 600 => Kind::Busy,
            487 => Kind::Cancelled,
            491 => Kind::Pending,
            501 => Kind::Unsupported,
            503 => Kind::Overloaded,
            603 | 607 | 608 => Kind::Declined,
            _ => Kind::Other,
        };
        let fault = if code < 300 { Fault::Nobody } else { Fault::Peer };
        let mut cause = Self::new(kind, fault);
        if kind == Kind::Other {
            cause.q850 = None;
        }
        cause.code = code;
        if !text.is_empty() {
            cause.text = text.into();
        }
        cause
    }

    /// An ordinary end by a party or the controller.
    #[must_use]
    pub fn hangup() -> Self {
        Self::new(Kind::Hangup, Fault::Nobody)
    }

    /// The call has come back to where it was (RFC 3261 section 21.4.20).
    #[must_use]
    pub fn loop_detected() -> Self {
        Self { code: 482, ..Self::new(Kind::TooManyHops, Fault::Peer) }.with_text("Loop Detected")
    }

    /// The same cause with another phrase.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.text = match text.into() {
            Cow::Borrowed(text) => CompactString::const_new(text),
            Cow::Owned(text) => text.into(),
        };
        self
    }

    /// The final status for a party whose request this cause refuses: always 400-699, since an
    /// ordinary end before an answer is 487 and nobody is redirected on a party's word.
    #[must_use]
    pub fn refusal(&self) -> (u16, &str) {
        match self.code {
            // These mean nothing without headers that belong to the other side's session with us: a challenge, what
            // would have been supported or understood.
            401 | 407 => (403, "Forbidden"),
            415 => (488, "Not Acceptable Here"),
            405 | 420 | 421 | 423 => (500, "Server Internal Error"),
            // Said by us it means that we can take no call at all, and makes servers before us go elsewhere (RFC 3261
            // section 16.7, step 6): what one party or one carrier lacks is no such shortage.
            503 if self.fault != Fault::Server => (500, "Server Internal Error"),
            400..=699 => (self.code, &self.text),
            300..=399 => (480, "Temporarily Unavailable"),
            _ => (487, "Request Terminated"),
        }
    }

    /// How much a failed branch of a fork says about the whole, lower is better: the response that
    /// the caller is sent is the best of all branches (RFC 3261 section 16.7, step 6).
    #[must_use]
    pub fn fork_rank(&self) -> u16 {
        match self.code {
            600..=699 => self.code - 600,
            // These tell the caller something it can mend.
            401 | 407 | 415 | 420 | 484 => 100,
            // "Busy" and "declined" are truths about the person, 480 and 408 about one device.
            486 => 150,
            480 => 160,
            408 => 190,
            487 => 195,
            300..=399 => 180,
            400..=499 => 170,
            503 => 290,
            _ => 280,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_a_final_failure_status() {
        for code in [200, 299, 302, 404, 486, 503, 603, 0, 999] {
            let (status, _) = Cause::from_status(code, "").refusal().to_owned();
            assert!((400..700).contains(&status), "{code} gave {status}");
        }
        for (code, expected) in [(401, 403), (407, 403), (405, 500), (415, 488), (420, 500), (484, 484), (503, 500)] {
            assert_eq!(Cause::from_status(code, "").refusal().0, expected);
        }
        let ours = Cause::new(Kind::Overloaded, Fault::Server);
        assert_eq!(ours.refusal(), (503, "Service Unavailable"), "a shortage of our own is told as such");
    }

    #[test]
    fn a_status_from_the_wire_keeps_its_code_and_words() {
        let cause = Cause::from_status(486, "Busy at the moment");
        assert_eq!(cause.to_string(), "486 Busy at the moment");
        assert_eq!(cause.kind, Kind::Busy);
        assert_eq!(cause.q850, Some(17));
        assert_eq!(cause.fault, Fault::Peer);
    }

    #[test]
    fn a_decline_of_the_person_outranks_a_silent_device() {
        let declined = Cause::from_status(603, "");
        let silent = Cause::from_status(408, "");
        let busy = Cause::from_status(486, "");
        assert!(declined.fork_rank() < busy.fork_rank());
        assert!(busy.fork_rank() < silent.fork_rank());
    }
}
