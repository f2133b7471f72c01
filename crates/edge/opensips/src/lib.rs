//! The backend that is somebody else's switch: whole calls carried by an OpenSIPS, driven through its Management
//! Interface (requests) and told by its Event Interface (events).
//!
//! [`OpenSips`] stands beside the [`Switchboard`](hookswitch_call::switchboard) and takes the same commands, so a
//! dialect does not know which of the two carries a call. It has no socket, no clock and no randomness: the driver
//! moves bytes, says what time it is, and hands in a seed.
//!
//! ```text
//!      Command │            ▲ Told, Outcome, Health
//!        ┌─────▼────────────┴──────────────────────┐
//!        │ submit ── command/* ── step             │   one machine of plain data per command
//!        │             ▲  book: calls and names    │
//!        │   receive ──┘  watch: health,           │
//!        │      ▲         subscriptions, audits    │
//!        └──────┼──────────────┬───────────────────┘
//!     evi bytes │  mi replies  ▼ mi requests
//! ```
//!
//! | file | what |
//! |---|---|
//! | `submit.rs` | commands: who may, and what is asked of them before OpenSIPS is |
//! | `command/` | one machine per command; `referral.rs` is the transfer that three of them share |
//! | `step.rs` | what the machines do: requests, events, outcomes, leftovers |
//! | `receive.rs` | replies and events find the command they belong to |
//! | `twice.rs` | datagrams that arrive twice, replies that come too late |
//! | `watch.rs` | is OpenSIPS there, does it know us, do the calls still exist |
//! | `who.rs` | who talks in the calls of others |
//! | `mi/`, `evi/` | the two languages |
//! | `names.rs` | which version can do what |
//! | `address.rs` | what may be written into a message |

#![forbid(unsafe_code)]

mod address;
mod book;
mod command;
mod config;
mod counts;
mod evi;
mod health;
mod mi;
mod names;
mod port;
mod receive;
mod step;
mod submit;
mod subscriptions;
mod twice;
mod watch;
mod who;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;
use std::time::Duration;

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_call::{CallId, CallRef, Ticket, Time};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use address::{MAX_NOTES, is_address};
pub use book::AUDIT_AFTER;
pub use command::hold::OTHER_LEG;
pub use command::referral::TRUTH_WITHIN;
pub use config::{Config, MiKind};
pub use counts::Counts;
pub use evi::MAX_EVENT;
pub use evi::stream::MAX_STREAMS;
pub use health::{Health, Link};
pub use mi::reply::MAX_REPLY;
pub use port::{Input, Learned, MiError, Output, RequestId};
pub use twice::DOUBLED_WITHIN;

use book::Book;
use command::Machine;
use evi::stream::Streams;
use mi::{Matter, Requests};
use subscriptions::Subscriptions;
use twice::GivenUp;
use watch::Probe;
pub use watch::STOP_WITHIN;
pub use who::MAX_UNASKED;
use who::Strangers;

/// How long a started call waits between the caller's answer and its transfer when OpenSIPS does not say that the
/// dialog is ready.
pub const READY_AFTER: Duration = Duration::from_millis(500);

/// One OpenSIPS, as a carrier of whole calls.
pub struct OpenSips {
    config: Config,
    seed: [u8; 32],
    requests: Requests,
    streams: Streams,
    subscriptions: Subscriptions,
    probe: Probe,
    health: Health,
    book: Book,
    strangers: Strangers,
    running: BTreeMap<Ticket, Running>,
    /// Commands that wait for OpenSIPS to be found, in the order in which they came.
    waiting: Vec<Ticket>,
    /// Commands that end a call being started, by the command that starts it.
    enders: BTreeMap<Ticket, Vec<Ticket>>,
    /// Which commands each dialog concerns, first come first.
    interest: AHashMap<CompactString, Vec<Ticket>>,
    timers: BTreeSet<(Time, Timer)>,
    next_ticket: u64,
    next_call_id: u64,
    /// Commands of controllers that run; leftovers do not count.
    commands: usize,
    knows_dialogs: bool,
    given_up: GivenUp,
    draining: bool,
    stopping: bool,
    /// A stop has lasted as long as it may.
    has_waited: bool,
    leftovers: usize,
    counts: Counts,
    outputs: VecDeque<Output>,
}

/// A command and its surroundings.
#[derive(Debug)]
struct Running {
    machine: Machine,
    call: Option<CallId>,
    /// The other call that it makes.
    second: Option<CallId>,
    /// The request that calls the caller.
    invite: Option<RequestId>,
    /// Whether a controller waits for it; nobody waits for a leftover.
    is_asked_for: bool,
    begun: bool,
    names: Vec<CompactString>,
    requests: Vec<(Matter, RequestId)>,
    armed: Option<Time>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Timer {
    Command(Ticket),
    Request(RequestId),
    Health,
    Refresh,
    Stop,
}

/// All that is known of one running command: plain data, to be shown or stored.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The command.
    pub ticket: Ticket,
    /// The call it deals with.
    pub call: Option<CallId>,
    /// The other call that it makes.
    pub second: Option<CallId>,
    /// Whether OpenSIPS has been asked.
    pub begun: bool,
    machine: Machine,
}

impl OpenSips {
    /// A backend that has not spoken yet. The seed makes its names unlike those of every other process.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            requests: Requests::new(&digest(&seed, b"requests")[..8]),
            streams: Streams::default(),
            subscriptions: Subscriptions::new(config.dialog_events),
            probe: Probe::default(),
            health: Health::default(),
            book: Book::new(config.first_call),
            strangers: Strangers::default(),
            running: BTreeMap::new(),
            waiting: Vec::new(),
            enders: BTreeMap::new(),
            interest: AHashMap::new(),
            timers: BTreeSet::new(),
            next_ticket: 1,
            next_call_id: 0,
            commands: 0,
            knows_dialogs: false,
            given_up: GivenUp::default(),
            draining: false,
            stopping: false,
            has_waited: false,
            leftovers: 0,
            counts: Counts::default(),
            outputs: VecDeque::new(),
            config,
            seed,
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some((_, timer)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.pop_first();
            match timer {
                Timer::Command(ticket) => self.command_due(now, ticket),
                Timer::Request(request) => self.request_due(now, request),
                Timer::Health => self.watch(now),
                Timer::Refresh => self.refresh(now),
                Timer::Stop => self.has_waited = true,
            }
        }
    }

    /// When [`OpenSips::handle_timeout`] is to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The next thing to do for the driver; to be drained after every other call.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether OpenSIPS answers, and whether its events reach us.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Numbers for operators.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            commands: self.commands,
            leftovers: self.leftovers,
            requests: self.requests.len(),
            calls: self.book.len(),
            ..self.counts
        }
    }

    /// All that is known of a running command.
    #[must_use]
    pub fn record(&self, ticket: Ticket) -> Option<Record> {
        let running = self.running.get(&ticket)?;
        Some(Record {
            ticket,
            call: running.call,
            second: running.second,
            begun: running.begun,
            machine: running.machine.clone(),
        })
    }

    /// The call that a controller means, if it is known.
    #[must_use]
    pub fn find(&self, call: &CallRef) -> Option<CallId> {
        match call {
            CallRef::Id(id) => self.book.get(*id).map(|_| *id),
            CallRef::Wire(name) => self.book.named(name),
            CallRef::Ticket(ticket) => self.book.made_by(*ticket),
        }
    }

    /// Whether the dialog of a call has been seen answered.
    #[must_use]
    pub fn is_answered(&self, call: CallId) -> bool {
        self.book.get(call).is_some_and(|call| call.is_answered)
    }

    /// Running commands go on, new calls are refused.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// A Call-ID that nobody else makes.
    fn make_call_id(&mut self) -> CompactString {
        self.next_call_id += 1;
        let text = digest(&self.seed, &self.next_call_id.to_be_bytes());
        text[..CALL_ID_LENGTH].into()
    }
}

/// Letters of a Call-ID of our own: 128 bits.
const CALL_ID_LENGTH: usize = 32;

fn digest(seed: &[u8; 32], what: &[u8]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(seed);
    hasher.update(what);
    hasher.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
