//! All requests and all running commands.
//!
//! ```text
//!   handle ──▶ a route ──▶ Answer, and if something was submitted: running ── outcome ──▶ Ended
//!                └─ audio is to be looked at ── inspected ──▶ Answer
//! ```
//!
//! The owner drains [`Desk::poll_output`] until `None` after every touch.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use ahash::AHashMap;
use compact_str::{CompactString, ToCompactString as _};
use hookswitch_call::{
    Address, CallAudio, CallId, Command, Event, Failure, Outcome, Party, RecordNews, RecordingId, Refused, Ticket,
    Time, Told,
};
use serde_json::{Value, json};

use super::kept::{Kept, KeptRecording};
use super::keys::{KeyName, Keys, Room, Seen, StoredKey};
use super::known::KnownCalls;
use super::problem::{Code, Problem};
use super::route::{self, MAX_URI, Method, Route};
use super::shape::{Values, call_named, hexadecimal};
use super::switch::Switch;
use super::time::{moment, moment_or_null};
use super::totals::Totals;
use super::{JSON, Request, Response, Work, body_limit, calls};
use crate::access::Grant;
use crate::journal::CommandName;

/// Names one request; chosen by whoever hands it in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RequestId(pub u64);

/// What is held at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Most commands that run at once. Default 20,000.
    pub max_running: usize,
    /// Most commands that are remembered after their end. Default 10,000.
    pub max_ended: usize,
    /// Most idempotency keys. Default 100,000.
    pub max_keys: usize,
    /// Most bytes that these take. Default 67 MB.
    pub max_key_bytes: usize,
}

/// What a key may take on average, in bytes: its text and the answer with it.
const KEY_BYTES: usize = 671;

impl Config {
    /// The same with so many idempotency keys, and 671 bytes for each of them.
    #[must_use]
    pub const fn with_keys(self, keys: usize) -> Self {
        Self { max_keys: keys, max_key_bytes: keys.saturating_mul(KEY_BYTES), ..self }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { max_running: 20_000, max_ended: 10_000, max_keys: 0, max_key_bytes: 0 }.with_keys(100_000)
    }
}

/// What the desk wants done, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum DeskOutput {
    /// Store this; an answer that follows waits until it is durable.
    Remember(Box<StoredKey>),
    /// It need not be stored any more.
    Forget(KeyName),
    /// Answer a request.
    Answer {
        /// Which.
        id: RequestId,
        /// How.
        response: Response,
    },
    /// A call has a webhook of its own from now on; one that the same request makes, before anything is told of it.
    Webhook {
        /// When.
        at: Time,
        /// Which call.
        call: CallId,
        /// The name of the webhook.
        webhook: CompactString,
    },
    /// A command has ended: said once of each.
    Ended(CommandEnd),
}

/// How a command has ended.
#[derive(Clone, PartialEq, Debug)]
pub struct CommandEnd {
    /// When.
    pub at: Time,
    /// Its name.
    pub command: CompactString,
    /// What kind of command it was.
    pub kind: &'static str,
    /// The call it was about.
    pub call: Option<CallId>,
    /// How.
    pub result: Result<(), Failure>,
}

/// Names a command. No other one has that number, after a restart neither.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct CommandId(u64);

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cmd_{:012x}", self.0)
    }
}

#[derive(Debug)]
struct Running {
    kind: &'static str,
    call: Option<CallId>,
    ticket: Ticket,
    began: Time,
    /// When, and how.
    ended: Option<(Time, Result<(), Failure>)>,
    /// The domains of the parties when it began: who may read of it.
    domains: Vec<CompactString>,
}

/// Everything about requests.
#[derive(Debug)]
pub struct Desk {
    config: Config,
    pub(super) seed: [u8; 32],
    next_command: u64,
    commands: BTreeMap<CommandId, Running>,
    running: usize,
    tickets: AHashMap<Ticket, CommandId>,
    /// The commands that end calls, until those are over: such a command is over before its call is.
    enders: AHashMap<CallId, CommandId>,
    /// The webhooks that calls have of their own, until those are over.
    pub(super) webhooks: AHashMap<CallId, CompactString>,
    ended: VecDeque<CommandId>,
    pub(super) totals: Totals,
    pub(super) keys: Keys,
    pub(super) known: KnownCalls,
    pub(super) kept: Kept,
    inspected: Vec<(RequestId, CallId)>,
    pub(super) out: VecDeque<DeskOutput>,
}

/// How far a request is.
pub(super) enum Done {
    /// Answered.
    Now(Response),
    /// It will be when this call's audio has been looked at.
    Inspected(CallId),
}

/// One request on its way.
pub(super) struct Turn<'a> {
    pub(super) now: Time,
    pub(super) request: &'a Request,
    /// What stands in the path where the template has names.
    pub(super) path: Vec<String>,
    pub(super) query: Values,
    pub(super) body: Values,
    pub(super) desk: &'a mut Desk,
    pub(super) switch: &'a mut dyn Switch,
}

impl Desk {
    /// A desk that nobody has asked anything. `first_command` must grow from one start of the node to the next, as
    /// the name of the first call does; `seed` is secret.
    #[must_use]
    pub fn new(config: Config, first_command: u64, seed: [u8; 32]) -> Self {
        Self {
            config,
            seed,
            next_command: first_command,
            commands: BTreeMap::new(),
            running: 0,
            tickets: AHashMap::new(),
            enders: AHashMap::new(),
            webhooks: AHashMap::new(),
            ended: VecDeque::new(),
            totals: Totals::new(),
            keys: Keys::default(),
            known: KnownCalls::default(),
            kept: Kept::default(),
            inspected: Vec::new(),
            out: VecDeque::new(),
        }
    }

    /// Takes back a key that was stored, at the start.
    pub fn restore(&mut self, stored: StoredKey) {
        self.keys.restore(stored);
    }

    /// Answers a request, or begins to.
    pub fn handle(&mut self, now: Time, id: RequestId, request: &Request, switch: &mut dyn Switch) {
        while let Some(name) = self.keys.forget_one(now) {
            self.out.push_back(DeskOutput::Forget(name));
        }
        match self.answer(now, request, switch) {
            Ok(Done::Now(response)) => self.out.push_back(DeskOutput::Answer { id, response }),
            Ok(Done::Inspected(call)) => {
                self.inspected.push((id, call));
                switch.inspect(call);
            }
            Err(problem) => self.out.push_back(DeskOutput::Answer { id, response: problem.into_response() }),
        }
    }

    fn answer(&mut self, now: Time, request: &Request, switch: &mut dyn Switch) -> Result<Done, Problem> {
        let Admitted { route, path, query, body } = admit(request)?;
        if let Work::Done(response) = &request.work {
            return Ok(self.done_elsewhere(now, request, response));
        }
        let fresh = match route.method {
            Method::Get => None,
            Method::Post | Method::Put | Method::Patch | Method::Delete => {
                let room = Room { keys: self.config.max_keys, bytes: self.config.max_key_bytes };
                match self.keys.look(now, request, room)? {
                    Seen::New(fresh) => fresh,
                    Seen::Before(response, stored) => {
                        self.out.extend(stored.map(DeskOutput::Remember));
                        return Ok(Done::Now(response));
                    }
                }
            }
        };
        if request.work == Work::Elsewhere {
            return Ok(self.go_on_elsewhere(fresh));
        }
        let done = (route.run)(&mut Turn { now, request, path, query, body, desk: self, switch })?;
        // What was refused has changed nothing, and may be tried again under its key; so may what is still to be done to a file.
        if let (Some(fresh), Done::Now(response @ Response { file: None, .. })) = (fresh, &done) {
            let stored = self.keys.remember(now, fresh, response);
            self.out.push_back(DeskOutput::Remember(stored));
        }
        Ok(done)
    }

    /// What is known of a call's audio: whoever asked for it is answered. `audio` is none where there is none.
    pub fn inspected(&mut self, call: CallId, audio: Option<&CallAudio>, switch: &dyn Switch) {
        let asked = std::mem::take(&mut self.inspected);
        let (mine, others): (Vec<_>, Vec<_>) = asked.into_iter().partition(|(_, asked)| *asked == call);
        self.inspected = others;
        for (id, _) in mine {
            let document = calls::document(self, switch, call, Some(audio));
            let response = match document {
                Some(document) => Response::json(200, &document),
                None => Problem::new(Code::NoSuchCall, "the call has ended long ago").into_response(),
            };
            self.out.push_back(DeskOutput::Answer { id, response });
        }
    }

    /// Something has happened in a call.
    pub fn told(&mut self, told: &Told) {
        if matches!(told.event, Event::Ended { .. }) {
            self.enders.remove(&told.call);
            self.webhooks.remove(&told.call);
        }
        self.known.told(told);
    }

    /// Gives a call a webhook that was taken on for it.
    ///
    /// # Errors
    /// The name of another one that the call has, and keeps.
    pub fn give_webhook(&mut self, now: Time, call: CallId, webhook: &CompactString) -> Result<(), CompactString> {
        match self.webhooks.get(&call) {
            None => {
                self.webhooks.insert(call, webhook.clone());
                self.out.push_back(DeskOutput::Webhook { at: now, call, webhook: webhook.clone() });
                Ok(())
            }
            Some(before) if before == webhook => Ok(()),
            Some(before) => Err(before.clone()),
        }
    }

    /// The command that an event comes of: the one that ends the call, or a running one whose progress it is. To be asked
    /// before [`Desk::told`] is told.
    #[must_use]
    pub fn sender_of(&self, told: &Told) -> Option<CommandName> {
        let ends = matches!(told.event, Event::Ended { .. } | Event::LegEnded { .. });
        let ender = self.enders.get(&told.call).filter(|_| ends);
        let running = || {
            let id = self.tickets.get(&told.owner?)?;
            self.commands.get(id).filter(|running| running.ended.is_none()).map(|_| id)
        };
        ender.or_else(running).map(|id| CommandName::Rest(id.to_compact_string()))
    }

    /// A recording of a call is ordered, into this file below the folder of recordings of whoever writes it; of this party, if a
    /// command has ordered it.
    pub fn record_ordered(&mut self, call: CallId, recording: RecordingId, party: Option<Party>, file: &CompactString) {
        self.known.ordered(call, recording, party, file);
    }

    /// How a recording goes.
    ///
    /// Gives what is to be stored: of one that has begun its beginning, so that it is found if nobody can tell of its end any
    /// more, and the end of one that has begun or has a file. `domain_of` says of which domain a party is.
    pub fn recorded(
        &mut self,
        now: Time,
        call: CallId,
        recording: RecordingId,
        news: &RecordNews,
        domain_of: impl Fn(&Address) -> Option<CompactString>,
    ) -> Option<Box<KeptRecording>> {
        let (parties, one) = self.known.recorded(now, call, recording, news)?;
        if one.begun.is_none() && !one.has_file() {
            return None;
        }
        let mut domains: Vec<CompactString> = parties.into_iter().filter_map(domain_of).collect();
        domains.dedup();
        let kept = KeptRecording { call, domains, one: one.clone() };
        if kept.has_file() {
            self.kept.put(kept.clone());
        }
        Some(Box::new(kept))
    }

    /// Takes back a recording that was stored, at the start.
    pub fn restore_recording(&mut self, kept: KeptRecording) {
        self.kept.put(kept);
    }

    /// The file of a recording lies on this media node, named by its base URL. To be said before [`Desk::recorded`] tells that
    /// it has begun, or is over.
    pub fn lies_at(&mut self, call: CallId, recording: RecordingId, node: &str) {
        self.known.lies_at(call, recording, node);
    }

    /// The audio of a call that is over.
    pub fn audio(&mut self, call: CallId, audio: &CallAudio) {
        self.known.audio(call, audio);
    }

    /// A command has ended, one of ours or another one.
    pub fn outcome(&mut self, now: Time, outcome: &Outcome) {
        let Some(id) = self.tickets.get(&outcome.ticket) else { return };
        let Some(running) = self.commands.get_mut(id).filter(|running| running.ended.is_none()) else { return };
        running.ended = Some((now, outcome.result.clone()));
        let kind = running.kind;
        self.running -= 1;
        self.out.push_back(DeskOutput::Ended(CommandEnd {
            at: now,
            command: id.to_compact_string(),
            kind,
            call: running.call,
            result: outcome.result.clone(),
        }));
        self.ended.push_back(*id);
        self.count_end(kind, outcome.result.is_ok());
        if self.ended.len() > self.config.max_ended
            && let Some(oldest) = self.ended.pop_front()
            && let Some(forgotten) = self.commands.remove(&oldest)
        {
            self.tickets.remove(&forgotten.ticket);
        }
    }

    /// Whether this command was submitted here and has not been forgotten.
    #[must_use]
    pub fn has_submitted(&self, ticket: Ticket) -> bool {
        self.tickets.contains_key(&ticket)
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<DeskOutput> {
        self.out.pop_front()
    }

    /// How many commands are running, and how many keys are remembered.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.running, self.keys.len())
    }

    /// Whether nobody waits for an answer.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.inspected.is_empty() && self.known.is_idle()
    }

    /// A number that no other command or recording of this node has had.
    pub(super) const fn next_number(&self) -> u64 {
        self.next_command
    }

    /// The document of a command.
    pub(super) fn command(&self, grant: &Grant, name: &str) -> Option<Value> {
        let id = CommandId(hexadecimal(name.strip_prefix("cmd_")?)?);
        let running = self.commands.get(&id)?;
        let seen = grant.domains.is_empty() || running.domains.iter().any(|domain| grant.sees_domain(domain));
        seen.then(|| document(id, running))
    }
}

fn document(id: CommandId, running: &Running) -> Value {
    let (status, cause) = match &running.ended {
        None => ("running", None),
        Some((_, Ok(()))) => ("done", None),
        Some((_, Err(failure))) => ("failed", Some(failure_document(failure))),
    };
    let mut document = json!({
        "id": id.to_string(), "kind": running.kind, "status": status,
        "call": running.call.map(|call| format!("call_{call}")),
        "began": moment(running.began), "ended": moment_or_null(running.ended.as_ref().map(|(at, _)| *at)),
    });
    if let Some(cause) = cause {
        document["cause"] = cause;
    }
    document
}

/// Where and why a command has failed.
fn failure_document(failure: &Failure) -> Value {
    let mut document = calls::cause(&failure.cause);
    document["stage"] = serde_json::to_value(failure.stage).unwrap_or_default();
    if let Some(party) = failure.party {
        document["party"] = calls::party_name(party).into();
    }
    document
}

/// A request that its route takes, read.
pub struct Admitted {
    pub(super) route: &'static Route,
    /// What stands in the path where the template has names.
    pub path: Vec<String>,
    /// The parameters of the query.
    pub query: Values,
    /// The members of the body.
    pub body: Values,
}

impl Admitted {
    /// The name of the operation.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.route.name
    }
}

/// Finds the route of a request, and checks the request against it: method, scope, query and body.
///
/// # Errors
/// What is wrong with the request.
pub fn admit(request: &Request) -> Result<Admitted, Problem> {
    let (route, path) = route::find(&request.method, &request.path)?;
    if !request.grant.may(route.scope) {
        let scope = format!("{:?}", route.scope).to_lowercase();
        return Err(Problem::new(Code::Forbidden, "the token lacks a scope").expected(format!("the scope {scope}")));
    }
    let (query, body) = read(route, request)?;
    Ok(Admitted { route, path, query, body })
}

/// Reads query and body as the route wants them.
fn read(route: &Route, request: &Request) -> Result<(Values, Values), Problem> {
    if request.body.len() > body_limit(&request.path) {
        return Err(Problem::new(Code::BodyTooLarge, format!("a body may have {} bytes", body_limit(&request.path))));
    }
    let query = request.query.as_deref().unwrap_or("");
    if query.len() > MAX_URI {
        return Err(Problem::new(Code::UriTooLong, format!("a query may have {MAX_URI} bytes")));
    }
    let query = Values::of_query(route.query, query)?;
    let Some(fields) = route.body else { return Ok((query, Values::of_no_body(&request.body)?)) };
    let kind = request.headers.content_type.as_deref().unwrap_or("");
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !request.body.is_empty() && !kind.eq_ignore_ascii_case(JSON) {
        let problem = Problem::new(Code::UnsupportedMediaType, "the Content-Type of the body is another one");
        return Err(problem.expected(JSON));
    }
    Ok((query, Values::read(fields, &request.body)?))
}

impl Turn<'_> {
    /// The call in the path, if its sender may see it.
    pub(super) fn call(&self) -> Result<CallId, Problem> {
        self.seen_call(call_named(&self.path[0])).ok_or_else(no_such_call)
    }

    /// The same for any call that there is.
    pub(super) fn seen_call(&self, call: Option<CallId>) -> Option<CallId> {
        let call = self.switch.call(call?)?;
        self.sees(call.parties()).then_some(call.id)
    }

    /// Whether the sender may see what concerns these.
    pub(super) fn sees(&self, parties: [&Address; 2]) -> bool {
        let grant = &self.request.grant;
        let of = |address: &Address| self.switch.domain_of(address).is_some_and(|domain| grant.sees_domain(&domain));
        grant.domains.is_empty() || parties.into_iter().any(of)
    }

    /// The address in a member of the body, if its sender may have it called.
    pub(super) fn callee(&self, name: &'static str) -> Result<Address, Problem> {
        let address = self.body.text(name).unwrap_or_default();
        if !self.request.grant.may_call_to(address) {
            return Err(Problem::address_not_allowed(&format!("/{name}"), "callees"));
        }
        Ok(Address::from(address))
    }

    /// Submits a command about a call, and says that it runs.
    pub(super) fn submit(&mut self, kind: &'static str, call: CallId, command: Command) -> Result<Done, Problem> {
        let (id, _) = self.begin(kind, Some(call), command)?;
        let Some(running) = self.desk.commands.get(&id) else { return Err(no_such_call()) };
        let response = Response::json(202, &document(id, running));
        Ok(Done::Now(response.with("location", format!("/v1/commands/{id}"))))
    }

    /// Submits a command that makes a call.
    pub(super) fn start(&mut self, command: Command) -> Result<(String, CallId), Problem> {
        let (id, call) = self.begin("start", None, command)?;
        // It is there until its events have been looked at.
        Ok((id.to_string(), call.ok_or_else(no_such_call)?))
    }

    pub(super) fn try_begin(
        &mut self,
        kind: &'static str,
        call: Option<CallId>,
        command: Command,
    ) -> Result<(CommandId, Option<CallId>), Problem> {
        let desk = &mut *self.desk;
        if desk.running >= desk.config.max_running {
            return Err(refused(&Refused::TooManyCommands(desk.config.max_running)));
        }
        let ends = matches!(command, Command::End { .. });
        let ticket = self.switch.submit(command).map_err(|why| refused(&why))?;
        let call = call.or_else(|| self.switch.made_by(ticket));
        let parties = call.and_then(|call| self.switch.call(call)).map(|call| call.parties());
        let domains = parties.into_iter().flatten().filter_map(|party| self.switch.domain_of(party)).collect();
        let id = CommandId(desk.next_command);
        desk.next_command += 1;
        desk.running += 1;
        desk.tickets.insert(ticket, id);
        if let Some(call) = call.filter(|_| ends) {
            desk.enders.insert(call, id);
        }
        desk.commands.insert(id, Running { kind, call, ticket, began: self.now, ended: None, domains });
        Ok((id, call))
    }

    /// Gives a call the webhook that the listener has taken on for it; its name. A call keeps its first one.
    pub(super) fn give_webhook(&mut self, call: CallId) -> Result<CompactString, Problem> {
        let webhook = match &self.request.webhook {
            Some(taken_on) => taken_on.clone()?,
            None => return Err(Problem::new(Code::NotEnabled, "nobody posts events of single calls here")),
        };
        let given = self.desk.give_webhook(self.now, call, &webhook);
        given.map_err(|other| Problem::new(Code::Impossible, format!("the call has the webhook {other}")))?;
        Ok(webhook)
    }

    /// The party that a member of the body names.
    pub(super) fn party(&self) -> Party {
        self.body.party("party").unwrap_or(Party::Caller)
    }
}

pub(super) fn no_such_call() -> Problem {
    Problem::new(Code::NoSuchCall, "no call that is not over has this id")
}

/// Why the switchboard did not take a command.
pub(super) fn refused(why: &Refused) -> Problem {
    let code = match why {
        Refused::NoSuchCall => return no_such_call(),
        Refused::Ending => Code::CallEnding,
        Refused::WireIdInUse(_) => return Problem::new(Code::CallIdInUse, why.to_string()).at("/call_id"),
        Refused::TooManyCalls(_) => Code::TooManyCalls,
        Refused::Draining => Code::Draining,
        Refused::Pending(_) => Code::Pending,
        Refused::NotAnswered => Code::NotAnswered,
        // The pointer to the whole body: which of its addresses it is, is not said.
        Refused::AddressTooLong => {
            return Problem::new(Code::InvalidField, why.to_string()).at("").expected("addresses that are shorter");
        }
        Refused::Impossible(_) => Code::Impossible,
        Refused::Unsupported(_) => Code::Unsupported,
        Refused::CarrierDown(_) => Code::CarrierDown,
        Refused::TooManyCommands(_) => Code::TooManyCommands,
    };
    Problem::new(code, why.to_string())
}
