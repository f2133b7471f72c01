//! All sessions of the dialect and all their running commands.
//!
//! The owner feeds it texts, events and outcomes, and drains [`Hub::poll_output`] until `None`
//! after every touch, answering each [`HubOutput::Submit`] by [`Hub::submitted`] at once.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::{CallId, CallRef, Cause, Command, Event, Failure, Outcome, Refused, Ticket, Time, Told};
use serde::{Deserialize, Serialize};

use super::access::{Access, Admission};
use super::call_end::{CallEnd, Target};
use super::command::CommandRow;
use super::event_name::EventName;
use super::follow_log::LogOrder;
use super::holder::{HolderId, Holders};
use super::ids::Ids;
use super::mode::Mode;
use super::names::Names;
use super::notice::Notice;
use super::subscribe;
use super::task::{After, Answer, Calls, Task};
use super::{CLOSE_BAD_TEXT, CLOSE_TOO_BIG, CLOSE_UNSUPPORTED, MAX_MESSAGE, call_end, reply};
use crate::journal::CommandName;
use crate::pace::Pace;

/// Names one session; chosen by whoever opens it and never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct SessionId(pub u64);

/// Names one submission: given back by [`Hub::submitted`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Tag(u64);

/// What becomes of a session's running commands when its connection is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDisconnect {
    /// They run to their end unheard. The default.
    #[default]
    Keep,
    /// Calls that are still being made are ended.
    End,
}

/// Settings of the dialect.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Most sessions at once. Default 1,000.
    pub max_sessions: usize,
    /// Most commands that run at once in one session. Default 1,024. Commands that end others may
    /// exceed it as many times again.
    pub max_in_flight: usize,
    /// Longest message, in bytes. Default [`MAX_MESSAGE`].
    pub max_message: usize,
    /// Most requests of one session in a second, twice as many in a burst. Default none: no limit.
    pub rate: Option<u32>,
    /// Most idempotency keys that are remembered for one token, or for all sessions without one.
    /// Default 100,000.
    pub max_keys: usize,
    /// Most bytes that these take. Default 32 MiB.
    pub max_key_bytes: usize,
    /// Whether errors carry the member `reason`. Default true.
    pub reason: bool,
    /// What a lost connection means for its commands. Default [`OnDisconnect::Keep`].
    pub on_disconnect: OnDisconnect,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_sessions: 1_000,
            max_in_flight: 1_024,
            max_message: MAX_MESSAGE,
            rate: None,
            max_keys: 100_000,
            max_key_bytes: 32 << 20,
            reason: true,
            on_disconnect: OnDisconnect::Keep,
        }
    }
}

/// [`Config::max_sessions`] is reached; the session was not opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the limit of {0} sessions is reached")]
pub struct TooManySessions(pub usize);

/// What the hub wants done, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum HubOutput {
    /// Submit this to the switchboard and say how it went by [`Hub::submitted`] before anything
    /// else is polled.
    Submit {
        /// For [`Hub::submitted`].
        tag: Tag,
        /// What to submit.
        command: Command,
    },
    /// Send a text message.
    Text {
        /// To which client.
        session: SessionId,
        /// One JSON text.
        text: String,
    },
    /// Tell a client of the log of events, or no longer.
    Log {
        /// Which client.
        session: SessionId,
        /// What.
        order: LogOrder,
    },
    /// Close a connection; the session is gone already.
    Close {
        /// Whose.
        session: SessionId,
        /// WebSocket close code.
        code: u16,
    },
}

/// What has been counted since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Counts {
    /// Commands that started.
    pub commands: u64,
    /// Requests that became no command.
    pub refused: u64,
    /// Outcomes and submissions of commands that had already ended, or never were.
    pub late: u64,
    /// Notifications of commands whose session was gone.
    pub unheard: u64,
}

/// All sessions.
#[derive(Debug)]
pub struct Hub {
    pub(super) config: Config,
    pub(super) ids: Ids,
    pub(super) counts: Counts,
    pub(super) sessions: HashMap<SessionId, Session, ahash::RandomState>,
    running: HashMap<Tag, Running, ahash::RandomState>,
    tickets: HashMap<Ticket, Tag, ahash::RandomState>,
    names: Names,
    pub(super) followers: BTreeSet<Tag>,
    /// Those that follow the log, by session.
    pub(super) log_followers: HashMap<SessionId, Tag, ahash::RandomState>,
    /// Commands that want to know of the end of a call.
    watchers: BTreeSet<(CallId, Tag)>,
    pub(super) holders: Holders,
    pub(super) queue: VecDeque<Queued>,
    last_tag: u64,
    /// While a batch is taken: each `cmd_id` that began or ended in it. Its replies come before all
    /// notifications, so none of these is free before the batch is done.
    pub(super) batch: Option<Vec<CompactString>>,
    /// Kept for its memory only; always empty between touches.
    saying: Vec<Notice>,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) mode: Mode,
    pub(super) access: Option<Arc<Access>>,
    pub(super) holder: HolderId,
    pub(super) pace: Pace,
    /// The running commands by `cmd_id`.
    pub(super) commands: BTreeMap<CompactString, Tag>,
}

#[derive(Debug)]
struct Running {
    /// None once the connection is lost.
    session: Option<SessionId>,
    /// Whose it counts as; none if the hub itself wants it.
    holder: Option<HolderId>,
    mode: Mode,
    cmd_id: CompactString,
    row: &'static CommandRow,
    ticket: Option<Ticket>,
    /// None for a follower of all calls.
    task: Option<Box<dyn Task>>,
    /// The call whose end it wants to know of.
    watching: Option<CallId>,
    /// The switch is done with it; it lasts as long as the call.
    watches_only: bool,
}

#[derive(Debug)]
pub(super) enum Queued {
    Text(SessionId, String),
    Submit(Tag),
    Log(SessionId, LogOrder),
    Close(SessionId, u16),
}

impl Hub {
    /// A hub without sessions. The seed makes the `cmd_id` of commands that were given none: keep
    /// it secret and take another one at every start.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let ids = Ids::new(seed);
        let state = ids.hash_state();
        Self {
            config,
            ids,
            counts: Counts::default(),
            sessions: HashMap::with_hasher(state.clone()),
            running: HashMap::with_hasher(state.clone()),
            tickets: HashMap::with_hasher(state.clone()),
            names: Names::new(state.clone()),
            followers: BTreeSet::new(),
            log_followers: HashMap::with_hasher(state.clone()),
            watchers: BTreeSet::new(),
            holders: Holders::new(state),
            queue: VecDeque::new(),
            last_tag: 0,
            batch: None,
            saying: Vec::new(),
        }
    }

    /// A client has connected.
    ///
    /// # Errors
    /// [`TooManySessions`]: refuse the connection.
    pub fn open(&mut self, session: SessionId, admission: Admission) -> Result<(), TooManySessions> {
        if self.sessions.len() >= self.config.max_sessions {
            return Err(TooManySessions(self.config.max_sessions));
        }
        let Admission { mode, access } = admission;
        let holder = self.holders.of(access.as_deref());
        let session_of = Session { mode, access, holder, pace: Pace::default(), commands: BTreeMap::new() };
        self.sessions.insert(session, session_of);
        Ok(())
    }

    /// A client has sent a text message.
    pub fn text(&mut self, now: Time, session: SessionId, text: &str) {
        let Some(mode) = self.sessions.get(&session).map(|session| session.mode) else {
            return;
        };
        if text.len() > self.config.max_message {
            return self.close(session, CLOSE_TOO_BIG);
        }
        self.take(now, session, mode, text);
    }

    /// A client has sent a binary message: text to the original manner, an offence to the strict.
    pub fn binary(&mut self, now: Time, session: SessionId, bytes: &[u8]) {
        let Some(mode) = self.sessions.get(&session).map(|session| session.mode) else {
            return;
        };
        match (mode, std::str::from_utf8(bytes)) {
            (Mode::Strict, _) => self.close(session, CLOSE_UNSUPPORTED),
            (Mode::Original, Ok(text)) => self.text(now, session, text),
            (Mode::Original, Err(_)) => self.close(session, CLOSE_BAD_TEXT),
        }
    }

    /// A client's connection is gone. What happens to its commands is [`Config::on_disconnect`].
    pub fn closed(&mut self, id: SessionId) {
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        self.log_followers.remove(&id);
        for tag in session.commands.into_values() {
            let Some(running) = self.running.get_mut(&tag) else {
                continue;
            };
            running.session = None;
            let makes_call = running.task.as_ref().map(|task| task.makes_call());
            match (makes_call, running.ticket, self.config.on_disconnect) {
                // These only listen, and nobody does any more.
                (None, ..) => drop(self.forget(tag)),
                _ if running.watches_only => drop(self.forget(tag)),
                (Some(true), Some(ticket), OnDisconnect::End) => {
                    let task = Box::new(CallEnd::new(Target::Ticket(ticket)));
                    let end = self.run(None, Mode::Original, "".into(), &call_end::ROW, Some(task));
                    self.queue.push_back(Queued::Submit(end));
                }
                (Some(_), ..) => {}
            }
        }
    }

    /// Something happened in a call, whoever made it.
    pub fn told(&mut self, told: &Told) {
        for tag in self.followers.iter().copied().collect::<Vec<_>>() {
            self.say(tag, subscribe::notice(told));
        }
        if let Some(tag) = told.owner.and_then(|ticket| self.tickets.get(&ticket).copied()) {
            self.tell(tag, told);
        }
        if let Event::Ended { cause, talked } = &told.event {
            self.names.forget(told.call);
            self.call_ended(told.call, cause, *talked);
        }
    }

    /// A command has ended.
    pub fn outcome(&mut self, outcome: &Outcome) {
        match self.tickets.remove(&outcome.ticket) {
            Some(tag) => self.settle(tag, &outcome.result),
            None => self.counts.late += 1,
        }
    }

    /// What the switchboard said to a [`HubOutput::Submit`].
    pub fn submitted(&mut self, tag: Tag, answer: Result<Ticket, Refused>) {
        let Some(running) = self.running.get_mut(&tag) else {
            self.counts.late += 1;
            return;
        };
        match answer {
            Ok(ticket) => {
                running.ticket = Some(ticket);
                self.tickets.insert(ticket, tag);
            }
            Err(why) => match running.task.as_mut().map(|task| task.refused(&why)) {
                Some(Answer::Again) => self.queue.push_front(Queued::Submit(tag)),
                Some(Answer::Fail(notice)) => self.end_with(tag, Some(notice)),
                None => self.end_with(tag, None),
            },
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<HubOutput> {
        loop {
            match self.queue.pop_front()? {
                Queued::Text(session, text) if self.sessions.contains_key(&session) => {
                    return Some(HubOutput::Text { session, text });
                }
                Queued::Text(..) => self.counts.unheard += 1,
                Queued::Log(session, order) if self.sessions.contains_key(&session) => {
                    return Some(HubOutput::Log { session, order });
                }
                Queued::Log(..) => {}
                Queued::Close(session, code) => return Some(HubOutput::Close { session, code }),
                Queued::Submit(tag) => {
                    if let Some(output) = self.ask(tag) {
                        return Some(output);
                    }
                }
            }
        }
    }

    /// A running command, as its client knows it; none if that is gone.
    #[must_use]
    pub fn command(&self, tag: Tag) -> Option<CommandName> {
        let running = self.running.get(&tag)?;
        Some(CommandName::CallApi { session: running.session?.0, cmd_id: running.cmd_id.clone() })
    }

    /// The running command whose progress this is.
    #[must_use]
    pub fn sender_of(&self, told: &Told) -> Option<CommandName> {
        self.command(*self.tickets.get(&told.owner?)?)
    }

    /// What has been counted.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// How many sessions are open.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// How many commands are running, those whose session is gone included.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }
}

// What `intake` needs, and what all commands have in common.
impl Hub {
    pub(super) fn run(
        &mut self,
        session: Option<SessionId>,
        mode: Mode,
        cmd_id: CompactString,
        row: &'static CommandRow,
        task: Option<Box<dyn Task>>,
    ) -> Tag {
        self.last_tag += 1;
        let tag = Tag(self.last_tag);
        if task.is_none() {
            self.followers.insert(tag);
        }
        let mut holder = None;
        if let Some(session) = session.and_then(|session| self.sessions.get_mut(&session)) {
            session.commands.insert(cmd_id.clone(), tag);
            holder = Some(session.holder);
            self.holders.get_mut(session.holder).in_flight += 1;
        }
        let running =
            Running { session, holder, mode, cmd_id, row, ticket: None, task, watching: None, watches_only: false };
        self.running.insert(tag, running);
        tag
    }

    /// A command is no longer running.
    fn forget(&mut self, tag: Tag) -> Option<Running> {
        let running = self.running.remove(&tag)?;
        if let Some(holder) = running.holder {
            self.holders.get_mut(holder).in_flight -= 1;
        }
        if let Some(call) = running.watching {
            self.watchers.remove(&(call, tag));
        }
        self.followers.remove(&tag);
        Some(running)
    }

    fn tell(&mut self, tag: Tag, told: &Told) {
        let mut saying = std::mem::take(&mut self.saying);
        if let Some(running) = self.running.get_mut(&tag)
            && let Some(task) = running.task.as_mut()
        {
            task.told(running.mode, told, &mut saying);
            if let Some((name, call)) = task.call_name() {
                self.names.give(name, call);
            }
            if let Some(call) = task.watches().filter(|_| running.watching.is_none()) {
                running.watching = Some(call);
                self.watchers.insert((call, tag));
            }
        }
        self.say_all(tag, saying);
    }

    fn call_ended(&mut self, call: CallId, cause: &Cause, talked: Duration) {
        let all = (call, Tag(0))..=(call, Tag(u64::MAX));
        for (_, tag) in self.watchers.range(all).copied().collect::<Vec<_>>() {
            let mut saying = std::mem::take(&mut self.saying);
            let running = self.running.get_mut(&tag);
            let is_over = running.as_ref().is_some_and(|running| running.watches_only);
            if let Some(task) = running.and_then(|running| running.task.as_mut()) {
                task.call_ended(cause, talked, &mut saying);
            }
            self.say_all(tag, saying);
            if is_over {
                self.end_with(tag, None);
            }
        }
    }

    fn say_all(&mut self, tag: Tag, mut saying: Vec<Notice>) {
        for notice in saying.drain(..) {
            self.say(tag, notice);
        }
        self.saying = saying;
    }

    /// Ends the `Subscribe` of this `cmd_id`; false if there is none.
    pub(super) fn unfollow(&mut self, session: SessionId, cmd_id: &str) -> bool {
        let commands = self.sessions.get(&session).map(|session| &session.commands);
        let tag = commands.and_then(|commands| commands.get(cmd_id)).copied();
        if let Some(tag) = tag
            && self.leave_log(session, tag)
        {
            return true;
        }
        let follower = tag.filter(|tag| self.followers.contains(tag));
        if let Some(tag) = follower {
            self.end_with(tag, None);
        }
        follower.is_some()
    }

    fn close(&mut self, session: SessionId, code: u16) {
        self.closed(session);
        self.queue.push_back(Queued::Close(session, code));
    }

    fn ask(&mut self, tag: Tag) -> Option<HubOutput> {
        // Taken out while it is asked: it may want to see the others.
        let mut running = self.running.remove(&tag)?;
        let asked = running.task.as_mut().map(|task| {
            let session = running.session.and_then(|session| self.sessions.get(&session));
            task.ask(&Seen { hub: self, session })
        });
        self.running.insert(tag, running);
        match asked? {
            Ok(command) => Some(HubOutput::Submit { tag, command }),
            Err(notice) => {
                self.end_with(tag, Some(notice));
                None
            }
        }
    }

    fn settle(&mut self, tag: Tag, result: &Result<(), Failure>) {
        let mut saying = std::mem::take(&mut self.saying);
        let mut after = After::Over;
        if let Some(running) = self.running.get_mut(&tag)
            && let Some(task) = running.task.as_mut()
        {
            after = task.settle(running.mode, result, &mut saying);
            running.ticket = None;
            running.watches_only = after == After::Watch;
        }
        self.say_all(tag, saying);
        match (after, self.running.get(&tag).map(|running| running.session)) {
            // Nobody is left to hear of the end.
            (After::Watch, Some(None)) => drop(self.forget(tag)),
            (After::Watch, _) => {}
            (After::Over, _) => self.end_with(tag, None),
        }
    }

    /// Says the last words of a command and forgets it.
    pub(super) fn end_with(&mut self, tag: Tag, notice: Option<Notice>) {
        if let Some(notice) = notice {
            self.say(tag, notice);
        }
        self.say(tag, Notice::new(EventName::Ended));
        let Some(running) = self.forget(tag) else {
            return;
        };
        if let Some(session) = running.session.and_then(|id| self.sessions.get_mut(&id)) {
            session.commands.remove(&running.cmd_id);
        }
        if let Some(batch) = &mut self.batch {
            batch.push(running.cmd_id);
        }
    }

    fn say(&mut self, tag: Tag, notice: Notice) {
        let Some(running) = self.running.get(&tag) else {
            return;
        };
        let Some(session) = running.session else {
            self.counts.unheard += 1;
            return;
        };
        let text = reply::notification(running.row.name, &running.cmd_id, &notice, self.config.reason);
        self.queue.push_back(Queued::Text(session, text));
    }
}

/// The hub as a task sees it.
struct Seen<'a> {
    hub: &'a Hub,
    session: Option<&'a Session>,
}

impl Seen<'_> {
    /// The client's own command of this name.
    fn command(&self, cmd_id: &str) -> Option<&Running> {
        self.hub.running.get(self.session?.commands.get(cmd_id)?)
    }
}

impl Calls for Seen<'_> {
    fn find(&self, callid: &str) -> CallRef {
        if let Some(ticket) = self.started_by(callid) {
            return CallRef::Ticket(ticket);
        }
        let watched = self.command(callid).filter(|running| running.watches_only).and_then(|running| running.watching);
        match watched.or_else(|| self.hub.names.call(callid)) {
            Some(call) => CallRef::Id(call),
            None => CallRef::Wire(callid.into()),
        }
    }

    fn started_by(&self, cmd_id: &str) -> Option<Ticket> {
        let running = self.command(cmd_id)?;
        let makes_call = running.task.as_ref()?.makes_call();
        running.ticket.filter(|_| makes_call)
    }
}
