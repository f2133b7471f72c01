//! What a client wrote becomes a command, or an error reply. The checks stand in the order in
//! which clients can tell them apart.

use compact_str::CompactString;
use hookswitch_call::Time;
use serde_json::value::RawValue;

use super::command::{self, CommandRow};
use super::envelope::{Envelope, text_of};
use super::event_name::EventName;
use super::hub::{Hub, Queued, SessionId};
use super::idempotency::{self, Known, Print, Room};
use super::mode::Mode;
use super::notice::{Notice, Problem};
use super::params::{BadParam, Kind, Params, RawParams};
use super::reply::{self, ReplyId};
use super::task::Begun;
use super::{MAX_BATCH, MAX_CMD_ID, MAX_KEY, unsubscribe};

impl Hub {
    /// Takes one message of at most [`Config::max_message`](super::Config::max_message) bytes.
    pub(super) fn take(&mut self, now: Time, session: SessionId, mode: Mode, text: &str) {
        // The reply comes before everything that the command itself has to say.
        let place = self.queue.len();
        let reply = match mode {
            Mode::Original => self.take_one(now, session, mode, text),
            Mode::Strict => self.take_strict(now, session, text),
        };
        if let Some(reply) = reply {
            self.queue.insert(place, Queued::Text(session, reply));
        }
    }

    fn take_strict(&mut self, now: Time, session: SessionId, text: &str) -> Option<String> {
        let mode = Mode::Strict;
        let raw = match serde_json::from_str::<&RawValue>(text) {
            Ok(raw) => raw,
            Err(error) => {
                let problem = Problem::unparsable(&error.to_string());
                return Some(self.refuse_in_turn(now, session, mode, &problem));
            }
        };
        if !raw.get().starts_with('[') {
            return self.take_one(now, session, mode, raw.get());
        }
        let batch: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
        if batch.is_empty() || batch.len() > MAX_BATCH {
            let why = format!("a batch has 1 to {MAX_BATCH} requests, this one {}", batch.len());
            let problem = Problem::not_a_request(&why);
            return Some(self.refuse_in_turn(now, session, mode, &problem));
        }
        self.batch = Some(Vec::new());
        let replies: Vec<_> =
            batch.into_iter().filter_map(|one| self.take_one(now, session, mode, one.get())).collect();
        self.batch = None;
        (!replies.is_empty()).then(|| reply::batch(&replies))
    }

    /// The reply to one request; none if it did not ask for one.
    fn take_one(&mut self, now: Time, session: SessionId, mode: Mode, text: &str) -> Option<String> {
        // What cannot be read counts too.
        let pace = self.pass(now, session);
        let envelope = match Envelope::read(mode, text) {
            Ok(envelope) => envelope,
            Err((id, problem)) => return Some(self.refuse(id, mode, &pace.err().unwrap_or(problem))),
        };
        let wants_reply = mode == Mode::Original || envelope.id.is_some();
        let id = envelope.id.map_or(ReplyId::Null, ReplyId::Raw);
        let reply = match pace.and_then(|()| self.check(now, session, mode, &envelope)) {
            Ok(Checked::Fresh(accepted)) => {
                let reply = reply::started(id, &accepted.cmd_id);
                self.begin(session, mode, accepted);
                reply
            }
            Ok(Checked::Repeated(cmd_id)) => reply::started(id, &cmd_id),
            Err(problem) => self.refuse(id, mode, &problem),
        };
        wants_reply.then_some(reply)
    }

    /// Refuses what is no request, which counts as one all the same.
    fn refuse_in_turn(&mut self, now: Time, session: SessionId, mode: Mode, problem: &Problem) -> String {
        match self.pass(now, session) {
            Ok(()) => self.refuse(ReplyId::Null, mode, problem),
            Err(too_fast) => self.refuse(ReplyId::Null, mode, &too_fast),
        }
    }

    fn refuse(&mut self, id: ReplyId<'_>, mode: Mode, problem: &Problem) -> String {
        self.counts.refused += 1;
        reply::refusal(id, mode, problem, self.config.reason)
    }

    /// Whether a session may ask once more now, by its own limit and by its token's.
    fn pass(&mut self, now: Time, id: SessionId) -> Result<(), Problem> {
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        if let Some(rate) = self.config.rate
            && !session.pace.pass(now, rate)
        {
            return Err(Problem::too_fast(rate, "connection"));
        }
        if let Some(rate) = session.access.as_ref().and_then(|access| access.rate)
            && !self.holders.get_mut(session.holder).pace.pass(now, rate)
        {
            return Err(Problem::too_fast(rate, "token"));
        }
        Ok(())
    }

    fn check(&mut self, now: Time, session: SessionId, mode: Mode, request: &Envelope<'_>) -> Result<Checked, Problem> {
        let row = command::find(mode, &request.method);
        let unknown = || Problem::unknown_method(&request.method);
        if mode == Mode::Strict {
            row.ok_or_else(unknown)?;
        }
        let raw = read_params(mode, request.params)?;
        let named = read_cmd_id(&raw)?;
        let row = row.ok_or_else(unknown)?;
        let key = read_key(&raw)?;
        let params = raw.into_params(mode, row).map_err(|(name, must)| not_fitting(&name, must))?;
        let bad = params.check(row);
        if mode == Mode::Strict {
            check_strictly(row, &params)?;
            bad.clone().map_err(BadParam::into_problem)?;
        }
        self.check_access(session, row, &params)?;
        let key = match key {
            Some(key) => match self.look_up(now, session, &key, row, &params)? {
                Looked::Seen(cmd_id) => return Ok(Checked::Repeated(cmd_id)),
                Looked::New(print) => Some((key, print)),
            },
            None => None,
        };
        let cmd_id = self.own_cmd_id(session, named.filter(|_| !row.names_another()))?;
        self.check_room(session, row)?;
        if let Some((key, print)) = key
            && let Some(session) = self.sessions.get(&session)
        {
            self.holders.get_mut(session.holder).keys.remember(now, key, print, cmd_id.clone());
        }
        Ok(Checked::Fresh(Accepted { row, params, cmd_id, bad: bad.err() }))
    }

    /// Whether the token allows this. Nobody is asked anything: whether a call or a phone exists
    /// plays no part.
    fn check_access(&self, session: SessionId, row: &CommandRow, params: &Params) -> Result<(), Problem> {
        let Some(access) = self.sessions.get(&session).and_then(|session| session.access.as_deref()) else {
            return Ok(());
        };
        if !access.may_use(row.name) {
            return Err(Problem::method_not_allowed(row.name));
        }
        for param in row.known_params().filter(|param| param.kind == Kind::Uri) {
            let Some(uri) = params.value(param.name) else { continue };
            let is_allowed = if param.name == "caller" { access.may_call_from(uri) } else { access.may_call_to(uri) };
            if !is_allowed {
                return Err(Problem::value_not_allowed(param.name));
            }
        }
        Ok(())
    }

    fn look_up(
        &mut self,
        now: Time,
        session: SessionId,
        key: &str,
        row: &CommandRow,
        params: &Params,
    ) -> Result<Looked, Problem> {
        let print = idempotency::print(row.name, params);
        let room = Room { keys: self.config.max_keys, bytes: self.config.max_key_bytes };
        let Some(session) = self.sessions.get(&session) else {
            return Ok(Looked::New(print));
        };
        match self.holders.get_mut(session.holder).keys.look(now, key, &print, room) {
            Known::New => Ok(Looked::New(print)),
            Known::Same(cmd_id) => Ok(Looked::Seen(cmd_id)),
            Known::Other => Err(Problem::key_reused()),
            Known::Full => Err(Problem::keys_full()),
        }
    }

    fn own_cmd_id(&mut self, session: SessionId, named: Option<CompactString>) -> Result<CompactString, Problem> {
        let commands = self.sessions.get(&session).map(|session| &session.commands);
        let in_batch = self.batch.as_deref().unwrap_or_default();
        let is_free = |cmd_id: &str| {
            commands.is_none_or(|commands| !commands.contains_key(cmd_id))
                && in_batch.iter().all(|other| other != cmd_id)
        };
        match named {
            Some(cmd_id) if is_free(&cmd_id) => Ok(cmd_id),
            Some(_) => {
                let why = "a command with this cmd_id is running on this connection";
                Err(Problem::params("cmd_id is in use", why, Some("cmd_id")))
            }
            None => loop {
                let cmd_id = self.ids.next();
                if is_free(&cmd_id) {
                    return Ok(cmd_id);
                }
            },
        }
    }

    fn check_room(&self, session: SessionId, row: &CommandRow) -> Result<(), Problem> {
        let Some(session) = self.sessions.get(&session) else {
            return Ok(());
        };
        let of = |limit: usize| if row.frees { limit.saturating_mul(2) } else { limit };
        let limit = of(self.config.max_in_flight);
        if session.commands.len() >= limit {
            return Err(Problem::too_many(limit, "connection"));
        }
        if let Some(limit) = session.access.as_ref().and_then(|access| access.max_in_flight).map(of)
            && self.holders.get(session.holder).in_flight >= limit
        {
            return Err(Problem::too_many(limit, "token"));
        }
        Ok(())
    }

    fn begin(&mut self, session: SessionId, mode: Mode, accepted: Accepted) {
        let Accepted { row, params, cmd_id, bad } = accepted;
        self.counts.commands += 1;
        if let Some(batch) = &mut self.batch {
            batch.push(cmd_id.clone());
        }
        let begun = match bad {
            Some(bad) => Begun::Say(bad.into_notice()),
            None => (row.begin)(params, &cmd_id),
        };
        let last = match begun {
            Begun::Ask(task) => {
                let tag = self.run(Some(session), mode, cmd_id, row, Some(task));
                self.queue.push_back(Queued::Submit(tag));
                return;
            }
            Begun::Follow => {
                self.run(Some(session), mode, cmd_id, row, None);
                return;
            }
            Begun::FollowLog { after, filter } => match self.follow_log(session, mode, &cmd_id, row, (after, filter)) {
                Ok(()) => return,
                Err(already) => Some(already),
            },
            Begun::Say(notice) => Some(notice),
            Begun::Unfollow(other) => (!self.unfollow(session, &other)).then(unsubscribe::not_found),
        };
        for notice in last.into_iter().chain([Notice::new(EventName::Ended)]) {
            let text = reply::notification(row.name, &cmd_id, &notice, self.config.reason);
            self.queue.push_back(Queued::Text(session, text));
        }
    }
}

/// A request that is accepted.
enum Checked {
    /// It becomes a command.
    Fresh(Accepted),
    /// It came before, and its command had this `cmd_id`.
    Repeated(CompactString),
}

/// What became of a key.
enum Looked {
    Seen(CompactString),
    New(Print),
}

/// A request that becomes a command.
struct Accepted {
    row: &'static CommandRow,
    params: Params,
    cmd_id: CompactString,
    /// Original manner only: the command starts and fails.
    bad: Option<BadParam>,
}

fn read_params(mode: Mode, raw: Option<&RawValue>) -> Result<RawParams<'_>, Problem> {
    match raw {
        Some(raw) => RawParams::read(raw),
        None if mode == Mode::Strict => Some(RawParams::default()),
        None => None,
    }
    .ok_or_else(|| {
        let message = "non-object parameters are not accepted";
        Problem::params(message, "params must be an object", None)
    })
}

fn read_cmd_id(params: &RawParams<'_>) -> Result<Option<CompactString>, Problem> {
    let Some(raw) = params.get("cmd_id") else {
        return Ok(None);
    };
    let refuse = |why: &str| Problem::params("bad cmd_id (must be a string)", why, Some("cmd_id"));
    let text = text_of(raw).ok_or_else(|| refuse("cmd_id must be a string"))?;
    if text.len() > MAX_CMD_ID {
        return Err(refuse(&format!("cmd_id is longer than {MAX_CMD_ID} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(refuse("cmd_id has control characters"));
    }
    Ok((!text.is_empty()).then(|| text.into()))
}

fn read_key(params: &RawParams<'_>) -> Result<Option<CompactString>, Problem> {
    let Some(raw) = params.get("idempotency_key") else {
        return Ok(None);
    };
    match text_of(raw) {
        Some(text) if (1..=MAX_KEY).contains(&text.len()) && !text.chars().any(char::is_control) => {
            Ok(Some(text.into()))
        }
        _ => {
            let why = format!("idempotency_key must be a string of 1 to {MAX_KEY} bytes without control characters");
            Err(Problem::params("bad idempotency_key", &why, Some("idempotency_key")))
        }
    }
}

fn check_strictly(row: &CommandRow, params: &Params) -> Result<(), Problem> {
    match params.unknown(row) {
        Some(name) if !row.open => {
            let text = format!("{} has no parameter {name:?}", row.name);
            Err(Problem::params(&text, &text, Some(name)))
        }
        _ => Ok(()),
    }
}

fn not_fitting(name: &str, must: &str) -> Problem {
    let why = format!("{name:?} must be {must}");
    Problem::params("bad JSON-RPC parameters", &why, Some(name))
}
