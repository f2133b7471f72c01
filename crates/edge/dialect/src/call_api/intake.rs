//! What a client wrote becomes a command, or an error reply. The checks stand in the order in
//! which clients can tell them apart.

use compact_str::CompactString;
use hookswitch_call::Time;
use serde_json::value::RawValue;

use super::command::{self, CommandRow};
use super::envelope::{Envelope, text_of};
use super::event_name::EventName;
use super::hub::{Hub, Queued, SessionId};
use super::mode::Mode;
use super::notice::{Notice, Problem};
use super::params::{BadParam, Params, RawParams};
use super::reply::{self, ReplyId};
use super::task::Begun;
use super::{MAX_BATCH, MAX_CMD_ID, unsubscribe};

impl Hub {
    /// Takes one message of at most [`MAX_MESSAGE`](super::MAX_MESSAGE) bytes.
    pub(super) fn take(&mut self, _now: Time, session: SessionId, mode: Mode, text: &str) {
        // The reply comes before everything that the command itself has to say.
        let place = self.queue.len();
        let reply = match mode {
            Mode::Original => self.take_one(session, mode, text),
            Mode::Strict => self.take_strict(session, text),
        };
        if let Some(reply) = reply {
            self.queue.insert(place, Queued::Text(session, reply));
        }
    }

    fn take_strict(&mut self, session: SessionId, text: &str) -> Option<String> {
        let mode = Mode::Strict;
        let raw = match serde_json::from_str::<&RawValue>(text) {
            Ok(raw) => raw,
            Err(error) => {
                let problem = Problem::unparsable(&error.to_string());
                return Some(self.refuse(ReplyId::Null, mode, &problem));
            }
        };
        if !raw.get().starts_with('[') {
            return self.take_one(session, mode, raw.get());
        }
        let batch: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
        if batch.is_empty() || batch.len() > MAX_BATCH {
            let why = format!("a batch has 1 to {MAX_BATCH} requests, this one {}", batch.len());
            let problem = Problem::not_a_request(&why);
            return Some(self.refuse(ReplyId::Null, mode, &problem));
        }
        self.batch = Some(Vec::new());
        let replies: Vec<_> = batch.into_iter().filter_map(|one| self.take_one(session, mode, one.get())).collect();
        self.batch = None;
        (!replies.is_empty()).then(|| reply::batch(&replies))
    }

    /// The reply to one request; none if it did not ask for one.
    fn take_one(&mut self, session: SessionId, mode: Mode, text: &str) -> Option<String> {
        let envelope = match Envelope::read(mode, text) {
            Ok(envelope) => envelope,
            Err((id, problem)) => return Some(self.refuse(id, mode, &problem)),
        };
        let wants_reply = mode == Mode::Original || envelope.id.is_some();
        let id = envelope.id.map_or(ReplyId::Null, ReplyId::Raw);
        let reply = match self.check(session, mode, &envelope) {
            Ok(accepted) => {
                let reply = reply::started(id, &accepted.cmd_id);
                self.begin(session, mode, accepted);
                reply
            }
            Err(problem) => self.refuse(id, mode, &problem),
        };
        wants_reply.then_some(reply)
    }

    fn refuse(&mut self, id: ReplyId<'_>, mode: Mode, problem: &Problem) -> String {
        self.counts.refused += 1;
        reply::refusal(id, mode, problem, self.config.reason)
    }

    fn check(&mut self, session: SessionId, mode: Mode, request: &Envelope<'_>) -> Result<Accepted, Problem> {
        let row = command::find(mode, &request.method);
        let unknown = || Problem::unknown_method(&request.method);
        if mode == Mode::Strict {
            row.ok_or_else(unknown)?;
        }
        let raw = read_params(mode, request.params)?;
        let named = read_cmd_id(&raw)?;
        let row = row.ok_or_else(unknown)?;
        let params = raw.into_texts().map_err(|name| not_a_string(&name))?;
        let bad = params.check(row.params);
        if mode == Mode::Strict {
            check_strictly(row, &params)?;
            bad.clone().map_err(BadParam::into_problem)?;
        }
        let cmd_id = self.own_cmd_id(session, named.filter(|_| !row.names_another()))?;
        self.check_room(session, row)?;
        Ok(Accepted { row, params, cmd_id, bad: bad.err() })
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
        let limit = if row.frees { self.config.max_in_flight.saturating_mul(2) } else { self.config.max_in_flight };
        match self.sessions.get(&session) {
            Some(session) if session.commands.len() >= limit => Err(Problem::too_many(limit)),
            _ => Ok(()),
        }
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
            Begun::Say(notice) => Some(notice),
            Begun::Unfollow(other) => (!self.unfollow(session, &other)).then(unsubscribe::not_found),
        };
        for notice in last.into_iter().chain([Notice::new(EventName::Ended)]) {
            let text = reply::notification(row.name, &cmd_id, &notice, self.config.reason);
            self.queue.push_back(Queued::Text(session, text));
        }
    }
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

fn check_strictly(row: &CommandRow, params: &Params) -> Result<(), Problem> {
    match params.unknown(row.params) {
        Some(name) if !row.open => {
            let text = format!("{} has no parameter {name:?}", row.name);
            Err(Problem::params(&text, &text, Some(name)))
        }
        _ => Ok(()),
    }
}

fn not_a_string(name: &str) -> Problem {
    let why = format!("{name:?} must be a string");
    Problem::params("bad JSON-RPC parameters", &why, Some(name))
}
