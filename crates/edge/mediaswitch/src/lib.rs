//! Legs that a controller drives over HTTP, as project-mediaswitch's SIP server lets it: remote control below the waist.
//!
//! ```text
//!      controller ──PUT /dialog/…──▶ Dialogs ──Op──▶ backend
//!                 ◀──PUT snapshot──          ◀─Report──
//! ```
//!
//! A dialog is one leg, and nobody here knows which belong together: that is the controller's business. Nothing happens to a
//! leg but what the controller says, until it ends. [`Dialogs`] is a machine without sockets and clocks: reports, requests
//! and the time go in, [`Output`]s come out.
//!
//! | file | what |
//! |---|---|
//! | `record.rs` | all that is known of a dialog, and the document of an event |
//! | `inbound.rs` | a party calls |
//! | `outbound.rs` | a party is called |
//! | `session.rs` | what a party does once it talks: changes, transfers, the end |
//! | `command.rs`, `body.rs` | what the controller asks |
//! | `detail.rs` | what a switchboard of ours says and hears beyond that |
//! | `registered.rs` | controllers hear of registrations |
//! | `outbox.rs` | what is told, in order, and again |
//! | [`sdp`] | session descriptions as JSON |

#![forbid(unsafe_code)]

mod body;
mod command;
mod detail;
mod inbound;
mod outbound;
mod outbox;
mod record;
mod registered;
pub mod sdp;
mod session;

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_call::directory::Secret;
use hookswitch_call::{CallId, Cause, Fault, Kind, LegId, Op, Report, Time};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub use body::{Parties, host_of, parties, user_of};
pub use command::{MAX_ALERT_INFO, MAX_BODY, Request, Response};
pub use detail::{News, Party, SWITCHBOARD};
pub use inbound::Arrival;
use outbox::{Fate, Lane, Letter, Outbox};
pub use outbox::{MAX_LANE, MAX_NOTES, Note, NoteId, PATIENCE, RETRY_FIRST, RETRY_MOST};
pub use record::escaped;
pub use record::{Calling, Change, Cid, Epochs, Record, Refer, Stage};
pub use registered::{Phone, Registration};

/// Names from here on are those of dialogs, and no call of the switchboard has one.
pub const FIRST_DIALOG: u64 = 1 << 63;

/// How long a controller may take to say what is to become of a change of the session. The party's phone would give up after
/// 32 s (RFC 3261 section 17.1.1.2, timer B).
pub const CHANGE_TIME: Duration = Duration::from_secs(25);

/// What there may be, and how long it may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Most dialogs at once, with those whose last event is still to be told. Default 10,000.
    pub max_dialogs: usize,
    /// How long a call may take to be answered. Default 180 s.
    pub setup_time: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_dialogs: 10_000, setup_time: Duration::from_secs(180) }
    }
}

/// Names an HTTP request that waits for its answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RequestId(pub u64);

/// What a controller wants of a leg that no [`Op`] says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Manner {
    /// Who we are to whoever asks: name and password.
    pub login: Option<(CompactString, Secret)>,
    /// A value for `Remote-Party-ID`.
    pub remote_party: Option<String>,
    /// A value for `Alert-Info`, in what tells that it rings.
    pub alert_info: Option<CompactString>,
}

/// What is to be done.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Ask the backend.
    Op(Op),
    /// Tell the backend how to do what it is asked next with this leg.
    Manner(CallId, LegId, Manner),
    /// Answer an HTTP request.
    Answer(RequestId, Response),
    /// Tell a controller.
    Note(Note),
}

/// What can be seen of a leg when something is reported of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// Where its packets come from.
    pub remote: Option<SocketAddr>,
    /// Its contact.
    pub contact: Option<CompactString>,
}

/// The dialogs of all controllers.
pub struct Dialogs {
    config: Config,
    seed: [u8; 32],
    records: AHashMap<CallId, Record>,
    by_callid: AHashMap<CompactString, CallId>,
    timers: BTreeSet<(Time, CallId)>,
    outbox: Outbox,
    out: VecDeque<Output>,
    next: u64,
    live: usize,
    counter: u64,
    /// Told to take no new ones, which may be taken back.
    draining: bool,
    /// The program is about to stop.
    stopping: bool,
    /// Percent of the time of the thread that has SIP.
    cpu: f32,
}

impl Dialogs {
    /// Without any. The seed makes names unguessable: draw it from the operating system.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            config,
            seed,
            records: AHashMap::new(),
            by_callid: AHashMap::new(),
            timers: BTreeSet::new(),
            outbox: Outbox::default(),
            out: VecDeque::new(),
            next: FIRST_DIALOG,
            live: 0,
            counter: 0,
            draining: false,
            stopping: false,
            cpu: 0.0,
        }
    }

    /// Whether reports with this name are for here.
    #[must_use]
    pub const fn owns(call: CallId) -> bool {
        call.0 >= FIRST_DIALOG
    }

    /// Takes what has become of a leg. What comes too late is dropped.
    pub fn report(&mut self, now: Time, report: Report, seen: Seen) {
        match report {
            Report::Located { call, found, .. } => self.located(call, found),
            Report::Dialed { call, .. } => self.look(call, seen),
            Report::Progress { call, leg, status, text, sdp } => {
                self.look(call, seen);
                self.progressed(now, (call, leg), (status, text), sdp);
            }
            Report::Answered { call, leg, sdp } => {
                self.look(call, seen);
                self.answered(now, (call, leg), sdp);
            }
            Report::Confirmed { call, sdp, .. } => {
                self.look(call, seen);
                self.confirmed(now, call, sdp);
            }
            Report::Reoffered { call, sdp, .. } => {
                self.look(call, seen);
                self.reoffered(now, call, sdp);
            }
            Report::Withdrawn { call, .. } => self.withdrawn(now, call),
            Report::Reaccepted { call, sdp, .. } => self.reaccepted(now, call, sdp),
            Report::ReferAsked { call, leg, to, by } => self.refer_asked(now, (call, leg), to, by),
            // Nobody here hears what parties send each other within a call.
            Report::Brought { call, leg, receipt, .. } => {
                self.out.push_back(Output::Op(Op::Receipt { call, leg, receipt, status: 501 }));
            }
            Report::Ended { call, leg, cause } => self.ended(now, (call, leg), cause),
            // Other controllers: Ended follows, keys are in the audio, and they refer nobody.
            report @ (Report::Redirected { .. }
            | Report::Digit { .. }
            | Report::ReferAnswered { .. }
            | Report::ReferProgress { .. }) => self.detail(now, report),
            // Nobody was sent anything.
            Report::Incoming(_) | Report::Delivered { .. } => {}
        }
    }

    /// What came of [`Output::Note`]: the status of the answer, or none.
    ///
    /// Gives the media channel that it was about, where its controller knows of none such (404), or could not be reached for so long
    /// that the note is lost.
    pub fn noted(&mut self, now: Time, id: NoteId, status: Option<u16>) -> Option<CallId> {
        let (lane, fate) = self.outbox.answered(now, id, status)?;
        if let Lane::Dialog(call) = &lane {
            let stage = self.records.get(call).map(|record| record.stage);
            match (stage, fate) {
                (Some(Stage::Taking), Fate::Taken) => self.taken(*call),
                (Some(Stage::Taking), Fate::Refused) => self.not_taken(*call),
                // It knows nothing of a call that is over, or that it has answered all the same.
                (Some(Stage::Over), Fate::Refused) => self.outbox.forget(&lane),
                (Some(Stage::Over) | None, _) | (Some(_), Fate::Taken | Fate::Waits | Fate::Refused) => {}
                (Some(_), Fate::Lost) => self.abandoned(*call),
            }
            self.clear(*call);
        }
        self.send();
        match (lane, fate, status) {
            (Lane::Channel(channel), Fate::Lost, None | Some(404 | 408 | 429 | 500..)) => Some(channel),
            _ => None,
        }
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Time) {
        self.outbox.handle_timeout(now);
        while let Some((at, call)) = self.timers.pop_first() {
            if at > now {
                self.timers.insert((at, call));
                break;
            }
            if let Some(record) = self.records.get_mut(&call) {
                record.due = None;
                self.due(now, call);
            }
        }
        self.send();
    }

    /// When [`Dialogs::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let timer = self.timers.first().map(|(at, _)| *at);
        [timer, self.outbox.poll_timeout()].into_iter().flatten().min()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Dialogs that are not over.
    #[must_use]
    pub const fn live(&self) -> usize {
        self.live
    }

    /// Dialogs there have ever been.
    #[must_use]
    pub const fn counter(&self) -> u64 {
        self.counter
    }

    /// Tells a controller of one of its media channels: `PUT url`, after what it has been told of that one before.
    pub fn tell_of_channel(&mut self, now: Time, channel: CallId, url: String, body: String) {
        self.outbox.push(
            now,
            &Lane::Channel(channel),
            Letter { method: "PUT", url, body, ages: Vec::new(), once: false },
        );
        self.send();
    }

    /// Events that wait or are under way, and those that nobody has taken since the start.
    #[must_use]
    pub const fn notes(&self) -> (usize, u64) {
        self.outbox.counts()
    }

    /// All that is known of a dialog.
    #[must_use]
    pub fn record(&self, call: CallId) -> Option<&Record> {
        self.records.get(&call)
    }

    /// The dialog that its controller calls so.
    #[must_use]
    pub fn by_callid(&self, callid: &str) -> Option<&Record> {
        self.records.get(self.by_callid.get(callid)?)
    }

    /// No new dialogs from now on: the program is about to stop.
    pub fn drain(&mut self) {
        self.stopping = true;
    }

    /// No new calls from here, until that is taken back. Dialogs that there are go on, a party may still take one of them over, and
    /// controllers may still have somebody called: what [`Op::Locate`] finds then are to be phones that only this host reaches.
    ///
    /// [`Op::Locate`]: hookswitch_call::Op::Locate
    pub fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// How hard the thread works that has SIP, in percent of its time: for whoever places legs on several hosts.
    pub fn set_cpu(&mut self, cpu: f32) {
        self.cpu = cpu;
    }

    /// How many dialogs there are and have been, and what whoever places legs on several hosts wants to know: how many more
    /// there may be, whether none are taken, how busy this host is, and a name of this start of the program.
    #[must_use]
    pub fn load(&self) -> Value {
        let draining = self.draining || self.stopping;
        let room = self.config.max_dialogs.saturating_sub(self.records.len());
        let hash = Sha256::new().chain_update(b"instance").chain_update(self.seed).finalize();
        let instance = hash.iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        json!({
            "count": self.live, "counter": self.counter, "available": if draining { 0 } else { room },
            "draining": draining, "cpu": f64::from(self.cpu), "instance": instance,
        })
    }

    /// Ends every dialog: the program is about to stop.
    pub fn end_all(&mut self) {
        self.stopping = true;
        let mut calls: Vec<CallId> = self.records.keys().copied().collect();
        calls.sort();
        for call in calls {
            let cause = Cause::new(Kind::Overloaded, Fault::Server).with_text("Server Is Stopping");
            self.hang_up(call, &cause);
        }
        self.send();
    }

    /// Why there can be no other dialog. `all_the_same`: being drained is no reason.
    fn full(&self, all_the_same: bool) -> Option<Cause> {
        let draining = self.draining && !all_the_same;
        let text = match (self.stopping, draining, self.records.len() >= self.config.max_dialogs) {
            (true, ..) => "Server Is Stopping",
            (false, true, _) => "Server Is Drained",
            (false, false, true) => "Too Many Calls",
            (false, false, false) => return None,
        };
        Some(Cause::new(Kind::Overloaded, Fault::Server).with_text(text))
    }

    fn enter(&mut self, now: Time, record: Record) {
        self.counter += 1;
        self.live += 1;
        let call = record.call;
        self.by_callid.insert(record.callid.clone(), call);
        self.records.insert(call, record);
        self.wait(call, Some(now + self.config.setup_time));
    }

    /// A Call-ID for a call that is none of these: nobody can guess it, and it comes only once.
    pub fn new_callid(&mut self) -> CompactString {
        let call = self.name();
        self.callid(call)
    }

    /// The names of the dialogs that are not over, of domains that `seen` wants.
    pub fn callids(&self, seen: impl Fn(&str) -> bool) -> impl Iterator<Item = CompactString> {
        let live = self.records.values().filter(move |record| !record.hangup && seen(&record.domain));
        live.map(|record| record.callid.clone())
    }

    /// A name for the next dialog.
    fn name(&mut self) -> CallId {
        let call = CallId(self.next);
        self.next += 1;
        call
    }

    /// A Call-ID that nobody can guess, in the shape of a UUID (RFC 9562 section 5.8).
    fn callid(&self, call: CallId) -> CompactString {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(call.0.to_be_bytes());
        let mut bytes: [u8; 16] = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut out = CompactString::default();
        for (index, byte) in bytes.into_iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                out.push('-');
            }
            for digit in [byte >> 4, byte & 0x0f] {
                out.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
            }
        }
        out
    }

    /// How long it may take until something else happens.
    fn wait(&mut self, call: CallId, until: Option<Time>) {
        let Some(record) = self.records.get_mut(&call) else { return };
        if let Some(due) = std::mem::replace(&mut record.due, until) {
            self.timers.remove(&(due, call));
        }
        if let Some(due) = until {
            self.timers.insert((due, call));
        }
    }

    fn look(&mut self, call: CallId, seen: Seen) {
        let Some(record) = self.records.get_mut(&call) else { return };
        record.remote = seen.remote.or(record.remote);
        if let Some(contact) = seen.contact.filter(|contact| !contact.is_empty()) {
            record.contact = contact;
        }
    }

    /// Tells the controller how the dialog is now, and a switchboard what has happened.
    fn tell(&mut self, now: Time, call: CallId, news: News) {
        let Some(record) = self.records.get_mut(&call) else { return };
        record.seq += 1;
        let once = record.stage == Stage::Taking && record.seq == 1;
        let letter =
            record.url().map(|url| Letter { method: "PUT", url, body: record.document(&news), ages: Vec::new(), once });
        // They are told once.
        (record.refer, record.party) = (None, None);
        if let Some(letter) = letter {
            self.outbox.push(now, &Lane::Dialog(call), letter);
        }
        self.send();
    }

    fn send(&mut self) {
        while let Some(note) = self.outbox.poll() {
            self.out.push_back(Output::Note(note));
        }
    }

    /// Forgets a dialog that is over and of which everything has been told.
    fn clear(&mut self, call: CallId) {
        if self.records.get(&call).is_some_and(|record| record.stage == Stage::Over)
            && self.outbox.is_empty(&Lane::Dialog(call))
            && let Some(record) = self.records.remove(&call)
        {
            self.by_callid.remove(&record.callid);
        }
    }
}
