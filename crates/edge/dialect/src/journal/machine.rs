//! The journal: what is told becomes events with numbers.
//!
//! ```text
//!   Entry ──▶ its call's line: seq, domains ──▶ Logged: id, seq, JSON ──▶ drain(): events, and what is open
//!                                                                            │ one durable commit
//!   start(open): log.started, and call.ended for each ◀── a restart ◀────────┤
//!   go_on(open): those that a server beyond us carries ◀─────────────────────┘
//! ```
//!
//! It holds one line for each call that lives, and for the last [`ENDED_KEPT`] that have ended: their recordings and the
//! quality of their audio are told later.

use std::collections::VecDeque;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use compact_str::{CompactString, ToCompactString as _};
use hookswitch_call::{Address, CallId, Cause, Event, Fault, Kind as CauseKind, Time, Told};
use serde::{Deserialize, Serialize};

use super::audio::{InRoom, OfAudio, Quality, Recording};
use super::cause::{Failing, Why};
use super::change::{
    Diverted, Holding, PartyHolding, Replaced, TransferFailed, TransferProgress, TransferStarted, Transferring,
};
use super::elsewhere::{CommandEnded, CommandResult, FlowTrouble, Gap, Ports, Registration, Started, Trunk, Webhook};
use super::entry::{CommandName, Entry, PortsWord};
use super::kind::Kind;
use super::left::{Chapter, LeftCall};
use super::record::date_time;
use super::setup::{
    CompactText, Connecting, Dialing, Ended, Leg, LegEnded, Nothing, Noticed, Parties, Progress, seconds,
};
use super::{EventId, Logged};

/// Ended calls whose numbers go on if something more is told of them; the oldest is forgotten first.
pub const ENDED_KEPT: usize = 8_192;

/// Domains that one call may concern; those beyond are not noted.
pub const MAX_DOMAINS: usize = 8;

/// Calls that `log.started` names.
const LOST_NAMED: usize = 1_000;

/// A call that has not ended, as it survives a restart.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct OpenCall {
    /// The number that its next event gets.
    #[serde(rename = "n")]
    pub next: u32,
    /// The domains it concerns, in lower case.
    #[serde(rename = "d", default)]
    pub domains: Vec<CompactString>,
    /// The webhook that it has of its own, by name.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<CompactString>,
    /// What was told of a call that a server beyond us carries: it may go on without us.
    #[serde(rename = "s", default, skip_serializing_if = "Vec::is_empty")]
    pub story: Vec<Chapter>,
}

/// What has become of the entries since the last batch.
#[derive(Debug, Default)]
pub struct Batch {
    /// The events, in order.
    pub events: Vec<Logged>,
    /// Calls that are open now, as they are, and those that are not any more.
    pub open: Vec<(CallId, Option<OpenCall>)>,
}

struct Line {
    call: OpenCall,
    ended: bool,
}

/// The journal.
pub struct Journal {
    next: EventId,
    calls: AHashMap<CallId, Line>,
    /// Those that have ended, the oldest first.
    ended: VecDeque<CallId>,
    /// Calls whose line is not as it was at the last batch.
    changed: AHashSet<CallId>,
    /// Whose command that comes of which is being taken.
    command: Option<CommandName>,
    out: Vec<Logged>,
}

/// What all events have around their data, in the order in which it is written.
#[derive(Serialize)]
struct Document<'a, D> {
    id: CompactString,
    #[serde(rename = "type")]
    kind: &'static str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmd_id: Option<&'a str>,
    domains: &'a [CompactString],
    data: &'a D,
}

/// What an event is about.
#[derive(Default)]
struct About<'a> {
    call: Option<CallId>,
    seq: Option<u32>,
    domains: &'a [CompactString],
    webhook: Option<CompactString>,
}

/// The name of a call, as it is written everywhere.
#[must_use]
pub fn call_name(call: CallId) -> String {
    format!("call_{call}")
}

impl Journal {
    /// A journal whose first event gets this name.
    #[must_use]
    pub fn new(next: EventId) -> Self {
        let (calls, ended, changed) = (AHashMap::new(), VecDeque::new(), AHashSet::new());
        Self { next, calls, ended, changed, command: None, out: Vec::new() }
    }

    /// Takes those of the calls that were open when the switch last ran which a server beyond us carries: they go on, until whoever
    /// knows tells that they are over. To be asked before [`Journal::start`] ends the others.
    pub fn go_on(&mut self, open: &mut Vec<(CallId, OpenCall)>) -> Vec<LeftCall> {
        let goes_on = |(call, line): &mut (CallId, OpenCall)| call.is_beyond() && !line.story.is_empty();
        let left = |(call, line): (CallId, OpenCall)| {
            let (story, webhook) = (line.story.clone(), line.webhook.clone());
            self.calls.insert(call, Line { call: line, ended: false });
            LeftCall { call, story, webhook }
        };
        open.extract_if(.., goes_on).map(left).collect()
    }

    /// Tells that the switch has started, and of each call that was open when it last ran that it is over.
    pub fn start(&mut self, now: Time, open: Vec<(CallId, OpenCall)>) {
        let calls = open.iter().take(LOST_NAMED).map(|(call, _)| call_name(*call)).collect();
        self.tell(now, Kind::LogStarted, &[], &Started { lost: open.len(), calls });
        // Whose audio ran through us heard the end of it; whoever reads events hears of it here.
        let cause = Cause::new(CauseKind::Overloaded, Fault::Server).with_text("The Switch Was Restarted");
        for (call, line) in open {
            self.calls.insert(call, Line { call: line, ended: false });
            self.of_call(now, call, Kind::Ended, &Ended { cause: Why::from(&cause), talked_seconds: None });
            self.end(call);
        }
    }

    /// Tells that this many entries could not be kept.
    pub fn missed(&mut self, now: Time, missed: u64) {
        self.tell(now, Kind::LogGap, &[], &Gap { missed });
    }

    /// Makes an event of something that has happened.
    pub fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Call(told, command) => {
                self.command = command;
                self.call(&told);
            }
            Entry::Webhook { at, call, webhook } => self.has_webhook(at, call, webhook),
            Entry::Command { at, command, kind, call, result } => {
                self.command = Some(CommandName::Rest(command.clone()));
                let failure = result.as_ref().err().map(Failing::from);
                let how = if failure.is_some() { CommandResult::Failed } else { CommandResult::Done };
                let (command, kind) = (CompactText(command), CompactText(kind.into()));
                let data = CommandEnded { command, kind, result: how, failure };
                match call {
                    Some(call) => self.of_call(at, call, Kind::CommandEnded, &data),
                    None => self.tell(at, Kind::CommandEnded, &[], &data),
                }
            }
            Entry::Registration { at, aor, contact, what, why } => {
                let domain = aor.rsplit_once('@').map(|(_, domain)| domain.to_lowercase().into());
                let data = Registration {
                    user: CompactText::from(&aor),
                    contact: CompactText::from(&contact),
                    why: why.map(|why| CompactText(why.into())),
                };
                self.tell(at, what.into(), domain.as_slice(), &data);
            }
            Entry::Trunk { at, trunk, what, text } => {
                self.tell(at, what.into(), &[], &Trunk { trunk: CompactText(trunk), text: CompactText(text) });
            }
            Entry::Flow { at, call, flow, what, verb, why } => {
                let (verb, why) = (verb.map(CompactText), why.map(CompactText));
                let data = FlowTrouble { flow: CompactText(flow), what, verb, why };
                self.of_call(at, call, Kind::Flow, &data);
            }
            Entry::Ports { at, thread, pairs, what } => {
                let (kind, refused) = match what {
                    PortsWord::Exhausted => (Kind::PortsExhausted, None),
                    PortsWord::Free(refused) => (Kind::PortsFree, Some(refused)),
                };
                self.tell(at, kind, &[], &Ports { thread, pairs, refused });
            }
            Entry::Recorded { at, call, recording, recorded } => {
                self.of_call(at, call, Kind::Recording, &Recording::ended(recording, &recorded));
            }
            Entry::Audio { at, call, audio, findings } => {
                self.of_call(at, call, Kind::Quality, &Quality::new(&audio, &findings));
            }
            Entry::Record(detail) => self.of_call(detail.ended, detail.call, Kind::Record, &detail.json()),
        }
        self.command = None;
    }

    /// Everything since the last batch. Empty if nothing has happened.
    pub fn drain(&mut self) -> Batch {
        let mut open = Vec::with_capacity(self.changed.len());
        for call in self.changed.drain() {
            let line = self.calls.get(&call).filter(|line| !line.ended);
            open.push((call, line.map(|line| line.call.clone())));
        }
        Batch { events: std::mem::take(&mut self.out), open }
    }

    /// How many calls are open.
    #[must_use]
    pub fn open_calls(&self) -> usize {
        self.calls.len() - self.ended.len()
    }

    fn call(&mut self, told: &Told) {
        let (at, call) = (told.at, told.call);
        let line = self.calls.entry(call).or_insert_with(|| Line { call: OpenCall::default(), ended: false });
        line.call.note(told);
        match &told.event {
            Event::Incoming { from, to } => {
                self.concerns(call, &[from, to]);
                let data = Parties { caller: CompactText::from(from), callee: CompactText::from(to) };
                self.of_call(at, call, Kind::Incoming, &data);
            }
            Event::Started { caller, callee } => {
                self.concerns(call, &[caller, callee]);
                let data = Parties { caller: CompactText::from(caller), callee: CompactText::from(callee) };
                self.of_call(at, call, Kind::Started, &data);
            }
            Event::Connecting { to } => {
                self.concerns(call, &[to]);
                self.of_call(at, call, Kind::Connecting, &Connecting { to: to.into() });
            }
            Event::Dialing { leg, party, wire_id, to } => {
                let data = Dialing { leg: leg.0, party: (*party).into(), call_id: wire_id.into(), to: to.into() };
                self.of_call(at, call, Kind::Dialing, &data);
            }
            Event::Progress { leg, party, status, text } => {
                let data = Progress { leg: leg.0, party: (*party).into(), status: *status, text: text.into() };
                self.of_call(at, call, Kind::Progress, &data);
            }
            Event::Answered { leg, party } => {
                self.of_call(at, call, Kind::Answered, &Leg { leg: leg.0, party: (*party).into() });
            }
            Event::Bridged => self.of_call(at, call, Kind::Bridged, &Nothing {}),
            Event::Noticed { wire_id } => {
                self.of_call(at, call, Kind::Noticed, &Noticed { call_id: wire_id.into() });
            }
            Event::HoldAccepted { .. }
            | Event::HoldAsked { .. }
            | Event::Held { .. }
            | Event::HeldBy { .. }
            | Event::Diverted { .. }
            | Event::Replaced { .. }
            | Event::TransferFailed { .. }
            | Event::Transferring { .. }
            | Event::TransferStarted { .. }
            | Event::TransferProgress { .. }
            | Event::Transferred => self.changes(told),
            Event::InRoom { party, room, news } => {
                self.of_call(at, call, Kind::Room, &InRoom::new(*party, room, news));
            }
            Event::Audio { party, news } => match OfAudio::new(*party, news) {
                OfAudio::Key(data) => self.of_call(at, call, Kind::Key, &data),
                OfAudio::Play(data) => self.of_call(at, call, Kind::Play, &data),
                OfAudio::Collected(data) => self.of_call(at, call, Kind::Collected, &data),
                OfAudio::Recording(data) => self.of_call(at, call, Kind::Recording, &data),
            },
            Event::LegEnded { leg, party, cause } => {
                let data = LegEnded { leg: leg.0, party: (*party).into(), cause: cause.into() };
                self.of_call(at, call, Kind::LegEnded, &data);
            }
            Event::Ended { cause, talked } => {
                let data = Ended { cause: cause.into(), talked_seconds: Some(seconds(*talked)) };
                self.of_call(at, call, Kind::Ended, &data);
                self.end(call);
            }
        }
    }

    /// Events of a call that goes on otherwise than before.
    fn changes(&mut self, told: &Told) {
        let (at, call) = (told.at, told.call);
        match &told.event {
            Event::HoldAccepted { hold } => self.of_call(at, call, Kind::HoldAccepted, &Holding { hold: *hold }),
            Event::HoldAsked { party, hold } => {
                self.of_call(at, call, Kind::HoldAsked, &PartyHolding { party: (*party).into(), hold: *hold });
            }
            Event::Held { party, hold } => {
                self.of_call(at, call, Kind::Held, &PartyHolding { party: (*party).into(), hold: *hold });
            }
            Event::HeldBy { party, hold } => {
                self.of_call(at, call, Kind::HeldBy, &PartyHolding { party: (*party).into(), hold: *hold });
            }
            Event::Diverted { from, to, why } => {
                self.concerns(call, &[to]);
                let data = Diverted { from: from.into(), to: to.into(), why: (*why).into() };
                self.of_call(at, call, Kind::Diverted, &data);
            }
            Event::Replaced { leg, party, by } => {
                self.concerns(call, &[by]);
                let data = Replaced { leg: leg.0, party: (*party).into(), by: by.into() };
                self.of_call(at, call, Kind::Replaced, &data);
            }
            Event::TransferFailed { cause } => {
                self.of_call(at, call, Kind::TransferFailed, &TransferFailed { cause: cause.into() });
            }
            Event::Transferring { party, to } => {
                self.concerns(call, to.as_ref().as_slice());
                let to = to.as_ref().map(CompactText::from);
                self.of_call(at, call, Kind::Transferring, &Transferring { party: (*party).into(), to });
            }
            Event::TransferStarted { wire_id, to } => {
                let data = TransferStarted { call_id: wire_id.into(), to: to.as_ref().map(CompactText::from) };
                self.of_call(at, call, Kind::TransferStarted, &data);
            }
            Event::TransferProgress { status, text } => {
                let data = TransferProgress { status: *status, text: text.into() };
                self.of_call(at, call, Kind::TransferProgress, &data);
            }
            Event::Transferred => self.of_call(at, call, Kind::Transferred, &Nothing {}),
            // Told by `call`.
            Event::Incoming { .. }
            | Event::Started { .. }
            | Event::Connecting { .. }
            | Event::Dialing { .. }
            | Event::Progress { .. }
            | Event::Answered { .. }
            | Event::Bridged
            | Event::Noticed { .. }
            | Event::InRoom { .. }
            | Event::Audio { .. }
            | Event::LegEnded { .. }
            | Event::Ended { .. } => {}
        }
    }

    /// Notes the domains of these parties.
    fn concerns(&mut self, call: CallId, parties: &[&Address]) {
        let Some(line) = self.calls.get_mut(&call) else { return };
        for domain in parties.iter().filter_map(|party| domain_of(&party.0)) {
            let domains = &mut line.call.domains;
            if domains.len() < MAX_DOMAINS && !domains.contains(&domain) {
                domains.push(domain);
            }
        }
    }

    /// A call is given a webhook. It is told where something has been told of the call before.
    fn has_webhook(&mut self, at: Time, call: CallId, webhook: CompactString) {
        let line = self.calls.entry(call).or_insert_with(|| Line { call: OpenCall::default(), ended: false });
        if line.ended {
            return;
        }
        line.call.webhook = Some(webhook.clone());
        if line.call.next > 0 {
            self.of_call(at, call, Kind::Webhook, &Webhook { webhook: CompactText(webhook) });
        }
    }

    fn end(&mut self, call: CallId) {
        let Some(line) = self.calls.get_mut(&call).filter(|line| !line.ended) else { return };
        line.ended = true;
        // Nobody has to find it again.
        line.call.story = Vec::new();
        self.ended.push_back(call);
        if self.ended.len() > ENDED_KEPT
            && let Some(oldest) = self.ended.pop_front()
        {
            self.calls.remove(&oldest);
        }
    }

    /// An event of a call. One that nothing is known of (any more) has no number within it.
    fn of_call(&mut self, at: Time, call: CallId, kind: Kind, data: &impl Serialize) {
        let Some(line) = self.calls.get_mut(&call) else {
            return self.push(at, kind, About { call: Some(call), ..About::default() }, data);
        };
        let seq = line.call.next;
        line.call.next += 1;
        let (domains, webhook) = (line.call.domains.clone(), line.call.webhook.clone());
        if !line.ended {
            self.changed.insert(call);
        }
        self.push(at, kind, About { call: Some(call), seq: Some(seq), domains: &domains, webhook }, data);
    }

    /// An event of no call.
    fn tell(&mut self, at: Time, kind: Kind, domains: &[CompactString], data: &impl Serialize) {
        self.push(at, kind, About { domains, ..About::default() }, data);
    }

    fn push(&mut self, at: Time, kind: Kind, about: About<'_>, data: &impl Serialize) {
        // To the millisecond, as it is written and kept: nobody reads it otherwise than the next one.
        let at = Time::from_millis(u64::try_from(at.as_millis()).unwrap_or(u64::MAX));
        let id = self.next;
        self.next = EventId(id.0 + 1);
        let About { call, seq, domains, webhook } = about;
        let (command, session, cmd_id) = match &self.command {
            None => (None, None, None),
            Some(CommandName::Rest(name)) => (Some(name.as_str()), None, None),
            Some(CommandName::CallApi { session, cmd_id }) => (None, Some(*session), Some(cmd_id.as_str())),
        };
        let document = Document {
            id: id.0.to_compact_string(),
            kind: kind.name(),
            time: date_time(at),
            call: call.map(call_name),
            seq,
            command,
            session,
            cmd_id,
            domains,
            data,
        };
        let text = serde_json::to_string(&document).expect("an event consists of texts and numbers");
        let (kind, domains) = (CompactString::const_new(kind.name()), domains.to_vec());
        self.out.push(Logged { id, at, kind, call, seq, domains, webhook, text: Arc::from(text) });
    }
}

/// The domain of a SIP or SIPS URI, in lower case.
fn domain_of(address: &str) -> Option<CompactString> {
    let (scheme, rest) = address.split_once(':')?;
    if !["sip", "sips"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return None;
    }
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let end = match place.strip_prefix('[') {
        Some(v6) => v6.find(']')? + 2,
        None => place.find([':', ';', '?', '>']).unwrap_or(place.len()),
    };
    Some(place.get(..end)?.to_lowercase().into()).filter(|host: &CompactString| !host.is_empty())
}
