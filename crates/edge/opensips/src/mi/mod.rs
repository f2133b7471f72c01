//! Requests to OpenSIPS (Management Interface, JSON-RPC 2.0) and what comes back.
//!
//! ```text
//!  ask ──► sent ──────────────────────────────► answered (result or error)
//!           │  └─ again, if that does no harm ─┘
//!           └─ patience over ──► lost
//! ```
//!
//! Every request has a name that no other process uses, so replies come in any order; never two requests in one
//! datagram, which kills some releases. Only what may be done twice is sent twice.

pub(crate) mod reply;
pub(crate) mod request;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use compact_str::{CompactString, format_compact};
use hookswitch_call::{CallId, Ticket, Time};

use crate::evi::Topic;
use crate::port::RequestId;
use reply::Answer;
use request::Ask;

/// After how long a request that may be repeated is sent again; doubles each time.
pub(crate) const REPEAT_AFTER: Duration = Duration::from_millis(500);

/// Who waits for a reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asker {
    /// Nobody in particular: is OpenSIPS there, and which version is it?
    Probe,
    /// The subscription to these events.
    Subscription(Topic),
    /// The end of the subscription to these events.
    Unsubscription(Topic),
    /// Whether our subscriptions stand.
    Check,
    /// Whether this call still exists.
    Audit(CallId),
    /// Who talks in this call.
    Parties(CallId),
    /// A command.
    Command(Ticket, Matter),
}

/// What a command asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Matter {
    /// To call the caller.
    Invite,
    /// To call no longer.
    Cancel,
    /// To transfer or to join.
    Transfer,
    /// To hold or to resume.
    Hold,
    /// To end a dialog.
    End,
    /// Whether the command's call exists.
    Dialog,
    /// Whether the new call of a transfer exists.
    NewDialog,
    /// Whether the caller is registered.
    Contact,
}

/// One request on its way.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    /// Who waits.
    pub(crate) asker: Asker,
    /// The request as sent.
    pub(crate) bytes: Bytes,
    /// Until when it may be answered.
    pub(crate) deadline: Time,
    /// When it is sent again, if it may be, and how long until the time after.
    pub(crate) repeat: Option<(Time, Duration)>,
    /// A refusal that is not believed yet.
    pub(crate) doubted: Option<Answer>,
}

impl Flight {
    /// When something is to be done about it.
    pub(crate) fn due(&self) -> Time {
        self.repeat.map_or(self.deadline, |(at, _)| at.min(self.deadline))
    }
}

/// All requests on their way.
#[derive(Debug)]
pub(crate) struct Requests {
    prefix: CompactString,
    next: u64,
    flights: BTreeMap<RequestId, Flight>,
    /// How many of them are INVITEs.
    invites: usize,
}

impl Requests {
    pub(crate) fn new(process: &str) -> Self {
        Self { prefix: format_compact!("hs-{process}-"), next: 1, flights: BTreeMap::new(), invites: 0 }
    }

    /// A new request and its bytes.
    pub(crate) fn open(&mut self, now: Time, asker: Asker, ask: &Ask, how: Sending) -> (RequestId, Bytes) {
        let id = RequestId(self.next);
        self.next += 1;
        let bytes = ask.write(&format_compact!("{}{}", self.prefix, id.0));
        let repeat = (how.repeats && ask.is_repeatable()).then(|| (now + REPEAT_AFTER, REPEAT_AFTER * 2));
        let flight = Flight { asker, bytes: bytes.clone(), deadline: now + how.patience, repeat, doubted: None };
        self.flights.insert(id, flight);
        self.invites += usize::from(is_invite(asker));
        (id, bytes)
    }

    /// The request that a reply names, if it is one of ours and on its way.
    pub(crate) fn named(&self, id: &str) -> Option<RequestId> {
        self.read_name(id).filter(|id| self.flights.contains_key(id))
    }

    /// The request that a reply names, if it ever was one of ours.
    pub(crate) fn read_name(&self, id: &str) -> Option<RequestId> {
        let number = id.strip_prefix(self.prefix.as_str())?.parse().ok()?;
        (number < self.next).then_some(RequestId(number))
    }

    pub(crate) fn get_mut(&mut self, id: RequestId) -> Option<&mut Flight> {
        self.flights.get_mut(&id)
    }

    pub(crate) fn close(&mut self, id: RequestId) -> Option<Flight> {
        let flight = self.flights.remove(&id)?;
        self.invites -= usize::from(is_invite(flight.asker));
        Some(flight)
    }

    /// Whether a party is being called, as far as OpenSIPS has answered.
    pub(crate) const fn is_calling(&self) -> bool {
        self.invites > 0
    }

    /// The names of all requests that this concerns.
    pub(crate) fn of(&self, is_it: impl Fn(Asker) -> bool) -> Vec<RequestId> {
        self.flights.iter().filter(|(_, flight)| is_it(flight.asker)).map(|(id, _)| *id).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.flights.len()
    }
}

const fn is_invite(asker: Asker) -> bool {
    matches!(asker, Asker::Command(_, Matter::Invite))
}

/// How a request is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending {
    /// How long its answer may take.
    pub(crate) patience: Duration,
    /// Whether what carries it may lose it.
    pub(crate) repeats: bool,
}
