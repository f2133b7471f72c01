//! OpenSIPS's side of the wire: the Management Interface (requests in, replies out), the Event Interface (events out)
//! and the phones behind it, in virtual time.
//!
//! Not a double of our own code: it does what was captured from OpenSIPS 4.1 and its phones, oddities included, and
//! what the sources of 3.x say where that differs. It has no socket and no clock, and everything that happens by
//! chance follows from its seed.

#![forbid(unsafe_code)]

mod agenda;
mod chance;
mod config;
mod dialog;
mod evi;
mod hold;
mod mi;
mod phone;
mod transfer;
mod uac;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use serde_json::value::RawValue;

use agenda::Agenda;
use chance::Chance;
use dialog::{Dialogs, State};
use evi::{EventName, Subscription};
use hold::Reinvited;
use transfer::{NewCall, Transfer};
use uac::{Fate, Uac};

pub use config::{Modules, Oddities, SimConfig, Version};
pub use phone::{Answer, Behaviour, Make, Reaction};

/// A moment: time since the UNIX epoch on a clock that never goes back.
pub type Time = Duration;

/// Whoever sent a request: its replies go back there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct PeerId(pub u64);

/// What OpenSIPS sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SimOutput {
    /// The answer to a request: one datagram, or one HTTP body.
    MiReply {
        /// To whom.
        to: PeerId,
        /// JSON, or plain text where OpenSIPS says nothing better.
        bytes: Bytes,
    },
    /// An event.
    Event {
        /// To which socket, as it was written in the subscription: `udp:127.0.0.1:49136`.
        socket: CompactString,
        /// One JSON-RPC notification.
        bytes: Bytes,
    },
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimCounts {
    /// Dialogs.
    pub dialogs: usize,
    /// INVITEs of OpenSIPS's own without a final answer.
    pub transactions: usize,
    /// Subscriptions, those that have run out included.
    pub subscriptions: usize,
}

#[derive(Debug)]
enum Step {
    Say(PeerId, Bytes),
    Raise(EventName, Box<RawValue>),
    Dialog(u64, State),
    Forget(u64),
    Uac(CompactString, u64, Fate),
    Calls(Box<Transfer>),
    NewCall(u64, Fate),
    Reinvited(Reinvited),
}

/// One OpenSIPS and its phones.
#[derive(Debug)]
pub struct Sim {
    config: SimConfig,
    chance: Chance,
    phones: BTreeMap<CompactString, Behaviour>,
    dialogs: Dialogs,
    subscriptions: Vec<Subscription>,
    uacs: HashMap<CompactString, Uac, ahash::RandomState>,
    last_uac: u64,
    /// Calls of referred phones that are not answered yet, by dialog.
    new_calls: HashMap<u64, NewCall, ahash::RandomState>,
    /// INVITEs of OpenSIPS's own that have a final answer, for as long as their transactions last.
    over: Vec<(Time, CompactString)>,
    agenda: Agenda<Step>,
    out: VecDeque<SimOutput>,
    is_dead: bool,
}

impl Sim {
    /// An OpenSIPS without phones and calls.
    #[must_use]
    pub fn new(config: SimConfig, seed: [u8; 32]) -> Self {
        Self {
            config,
            chance: Chance::new(seed),
            phones: BTreeMap::new(),
            dialogs: Dialogs::default(),
            subscriptions: Vec::new(),
            uacs: HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4)),
            last_uac: 0,
            new_calls: HashMap::with_hasher(ahash::RandomState::with_seeds(5, 6, 7, 8)),
            over: Vec::new(),
            agenda: Agenda::new(),
            out: VecDeque::new(),
            is_dead: false,
        }
    }

    /// Puts a phone there, or changes how it behaves from now on.
    pub fn phone(&mut self, user: &str, behaviour: Behaviour) {
        self.phones.insert(user.into(), behaviour);
    }

    /// A request has come in: one datagram, or one HTTP body.
    pub fn handle_mi(&mut self, now: Time, from: PeerId, bytes: &[u8]) {
        self.handle_timeout(now);
        if !self.is_dead {
            self.request(now, from, bytes);
        }
        self.handle_timeout(now);
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some((at, step)) = self.agenda.due(now) {
            match step {
                Step::Say(to, bytes) => self.out.push_back(SimOutput::MiReply { to, bytes }),
                Step::Raise(event, params) => self.send_event(at, event, &params),
                Step::Forget(key) => drop(self.dialogs.remove(key)),
                Step::Dialog(key, state) => self.set_state(at, key, state),
                Step::Uac(callid, serial, fate) => self.uac_goes_on(at, &callid, serial, fate),
                Step::Calls(transfer) => self.transfer_calls(at, &transfer),
                Step::NewCall(key, fate) => self.new_call_goes_on(at, key, fate),
                Step::Reinvited(done) => self.reinvited(at, &done),
            }
        }
    }

    /// When [`Sim::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.agenda.next()
    }

    /// The next thing that OpenSIPS sends.
    pub fn poll_output(&mut self) -> Option<SimOutput> {
        self.out.pop_front()
    }

    /// Stops and starts again: subscriptions, calls and transactions are forgotten, phones stay registered.
    pub fn restart(&mut self, _now: Time) {
        self.die();
        self.is_dead = false;
    }

    /// Whether it has crashed. Only [`Sim::restart`] helps.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.is_dead
    }

    /// One phone calls another, as people do, under this Call-ID.
    pub fn call(&mut self, now: Time, callid: &str, caller: &str, callee: &str) {
        self.phones_call(now, callid, caller, callee);
    }

    /// A phone ends a call.
    pub fn hang_up(&mut self, now: Time, callid: &str) {
        if let Some(key) = self.dialogs.by_callid(callid) {
            self.set_state(now, key, State::Deleted);
        }
    }

    /// The Call-IDs of all dialogs, oldest first.
    pub fn calls(&self) -> impl Iterator<Item = &str> {
        self.dialogs.callids()
    }

    /// Which ends of a call are on hold: the caller, the callee; none if there is no such call.
    #[must_use]
    pub fn held(&self, callid: &str) -> Option<(bool, bool)> {
        let dialog = self.dialogs.get(self.dialogs.by_callid(callid)?)?;
        Some((dialog.caller.is_held, dialog.callee.is_held))
    }

    /// How much there is.
    #[must_use]
    pub fn counts(&self) -> SimCounts {
        SimCounts {
            dialogs: self.dialogs.len(),
            transactions: self.uacs.len(),
            subscriptions: self.subscriptions.len(),
        }
    }

    fn die(&mut self) {
        self.is_dead = true;
        self.dialogs.clear();
        self.subscriptions.clear();
        self.uacs.clear();
        self.over.clear();
        self.new_calls.clear();
        self.agenda.clear();
        self.out.clear();
    }
}
