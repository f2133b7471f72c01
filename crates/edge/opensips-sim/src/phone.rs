//! Phones as OpenSIPS sees them: what they answer, and when.

use std::time::Duration;

use compact_str::{CompactString, format_compact};

/// How a phone behaves.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Its contact, a SIP URI.
    pub contact: CompactString,
    /// Whether OpenSIPS knows that contact.
    pub registered: bool,
    /// What it does with a call.
    pub answer: Answer,
    /// What it does with REFER.
    pub refer: Reaction,
    /// What it does with a re-INVITE.
    pub reinvite: Reaction,
    /// Whose program it is.
    pub make: Make,
    /// Hangs up so long after a call to it has been answered.
    pub hangs_up_after: Option<Duration>,
}

/// What a phone does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Rings, and answers after this time.
    After(Duration),
    /// Rings, and refuses with this status after this time; does not ring if that is none.
    Refuses(u16, Duration),
    /// Rings until OpenSIPS gives up (`fr_inv_timeout`).
    Rings,
    /// Says nothing at all (`fr_timeout`).
    Silent,
}

/// What a phone does with a request within a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Does it.
    Accepts,
    /// Refuses with this status.
    Refuses(u16),
    /// Says nothing.
    Ignores,
}

/// Whose program a phone is: how it goes on after REFER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// Hangs up its first call by itself as soon as it calls elsewhere, and stops sending NOTIFY when the first one is
    /// not accepted, which is always.
    Baresip,
    /// Sends every NOTIFY, repeats one that was not accepted, and waits for the BYE.
    Scripted,
}

impl Behaviour {
    /// A registered phone that answers at once, sends every NOTIFY and waits for the BYE.
    #[must_use]
    pub fn scripted(user: &str, host: &str) -> Self {
        Self {
            contact: format_compact!("sip:{user}@{host}"),
            registered: true,
            answer: Answer::After(Duration::ZERO),
            refer: Reaction::Accepts,
            reinvite: Reaction::Accepts,
            make: Make::Scripted,
            hangs_up_after: None,
        }
    }

    /// A registered phone that answers at once and hangs up its first call when it is transferred.
    #[must_use]
    pub fn baresip(user: &str, host: &str) -> Self {
        let contact = format_compact!("sip:{user}-0x560b6157bcc0@{host}");
        Self { contact, make: Make::Baresip, ..Self::scripted(user, host) }
    }

    /// The same phone, but with this answer.
    #[must_use]
    pub fn answering(self, answer: Answer) -> Self {
        Self { answer, ..self }
    }

    /// The same phone, but with this reaction to REFER.
    #[must_use]
    pub fn referred(self, refer: Reaction) -> Self {
        Self { refer, ..self }
    }

    /// The same phone, but with this reaction to a re-INVITE.
    #[must_use]
    pub fn reinvited(self, reinvite: Reaction) -> Self {
        Self { reinvite, ..self }
    }

    /// Host and port of the contact.
    pub(crate) fn host(&self) -> &str {
        self.contact.split_once('@').map_or(self.contact.as_str(), |(_, host)| host)
    }

    /// Its session description.
    pub(crate) fn sdp(&self, version: u64) -> String {
        let host = self.host().split(':').next().unwrap_or_default();
        let user = self.contact.split([':', '@']).nth(1).unwrap_or_default();
        format!(
            "v=0\r\no={user} 1 {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n\
             m=audio 30000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
        )
    }

    /// What it says when it answers.
    pub(crate) fn ok(&self) -> &'static str {
        match self.make {
            Make::Baresip => "200 Answering",
            Make::Scripted => "200 OK",
        }
    }
}

/// A status with the phrase that goes with it.
pub(crate) fn status(code: u16) -> String {
    let phrase = match code {
        200 => "OK",
        404 => "Not Found",
        408 => "Request Timeout",
        480 => "Temporarily Unavailable",
        481 => "Call Does Not Exist",
        482 => "Loop Detected",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        603 => "Decline",
        _ => "Refused",
    };
    format!("{code} {phrase}")
}
