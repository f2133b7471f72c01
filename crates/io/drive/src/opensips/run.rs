//! The loop of a front: one thread, the sockets towards OpenSIPS, and a queue of what everybody else has for it.
//!
//! The loop is a task of its thread's runtime; the applications' connections are other tasks of it. A turn takes one batch of replies and one of events, a bounded piece of the queue and the timers that are due. What
//! is to be sent is sent at once, from this thread: between an application's message and the datagram to OpenSIPS lies
//! one wake-up.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_dialect::call_api::{Admission, LogLost};
use hookswitch_dialect::journal::record::CallDetail;
use hookswitch_dialect::journal::{Entry, LeftCall};
use hookswitch_dialect::rest::CommandEnd;
use hookswitch_net::TaskPoll;
use hookswitch_opensips::{Health, Input, Link, RequestId};
use hookswitch_shard::{Front, FrontInput, FrontOutput, HttpId};
use mio::{Events, Poll, Token};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use super::datagrams::Datagrams;
use super::events::EventSocket;
use super::host::{Peers, Resolver};
use super::http::HttpRequests;
use super::local::Sessions;
use super::{Counts, Message, Shared, report, requests};
use crate::clock::Clock;
use crate::inbox::Inbox;
use crate::journal::JournalHandle;
use crate::records::CallRecordsHandle;
use crate::sip::told;
use crate::status::Phase;
use crate::web::{Asked, HttpAnswer, WebMessage, rest_figures};

pub(super) const MI: Token = Token(1);
/// The socket for events; streams have the tokens after it.
pub(super) const EVENTS: Token = Token(2);

/// Readiness events taken by one system call.
const READY: usize = 128;

/// Messages of the queue handled before the sockets get their turn.
const MESSAGE_BUDGET: usize = 256;

/// How long OpenSIPS may take to be told that we leave.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// How often the name of an OpenSIPS that does not answer is looked up.
const LOOK_UP_EVERY: Duration = Duration::from_secs(5);

/// The way to OpenSIPS.
pub(super) enum Mi {
    Datagrams(Box<Datagrams>),
    Http(Box<HttpRequests>),
}

impl Mi {
    fn send(
        &mut self,
        now: Duration,
        (request, bytes, patience): (RequestId, Bytes, Duration),
        into: &mut VecDeque<Input>,
    ) {
        match self {
            Self::Datagrams(socket) => socket.send(now, request, bytes, into),
            Self::Http(client) => client.send(request, bytes, patience),
        }
    }
}

/// The one timer of a loop.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    /// When it is set to, until it has rung.
    at: Option<Instant>,
}

impl Alarm {
    fn new() -> Self {
        Self { sleep: Box::pin(tokio::time::sleep(Duration::ZERO)), at: None }
    }

    /// Waits so long or less, for ever without a time. May be dropped and called again: to set it to a later time would
    /// cost a system call in every turn, so it then rings early once.
    async fn after(&mut self, wait: Option<Duration>) {
        let Some(wait) = wait else { return std::future::pending().await };
        let at = Instant::now() + wait;
        if self.at.is_none_or(|earlier| at < earlier) {
            self.sleep.as_mut().reset(at);
            self.at = Some(at);
        }
        self.sleep.as_mut().await;
        self.at = None;
    }
}

pub(super) struct FrontLoop {
    /// The sockets; the loop takes them when it begins.
    pub(super) poll: Option<Poll>,
    pub(super) clock: Clock,
    pub(super) started: Duration,
    pub(super) front: Front,
    pub(super) mi: Mi,
    pub(super) events: EventSocket,
    /// Only where a name can lead somewhere else.
    pub(super) resolver: Option<Resolver>,
    pub(super) inbox: Arc<Inbox<Message>>,
    pub(super) shared: Arc<Shared>,
    /// The log of events, if there is one.
    pub(super) journal: Option<JournalHandle>,
    pub(super) sessions: Sessions,
    pub(super) requests: Requests,
    /// Where the records of calls go.
    pub(super) records: CallRecordsHandle,
    /// Those that wait until that is known.
    pub(super) early: Option<Vec<CallDetail>>,
    /// Calls of before the start, until it has begun.
    pub(super) left: Vec<LeftCall>,
    /// Whether requests are logged, and if so whether with the people they name.
    pub(super) log_requests: Option<bool>,
    /// For how long after a message nobody sleeps.
    pub(super) stay_awake: Duration,
    pub(super) pending: Pending,
}

/// Who waits for an answer of the native REST.
#[derive(Default)]
pub(super) struct Requests {
    waiting: HashMap<HttpId, oneshot::Sender<HttpAnswer>>,
    next: u64,
}

impl Requests {
    fn expect(&mut self, reply: oneshot::Sender<HttpAnswer>) -> HttpId {
        self.next += 1;
        self.waiting.insert(HttpId(self.next), reply);
        HttpId(self.next)
    }

    fn answer(&mut self, id: HttpId, answer: HttpAnswer) {
        if let Some(reply) = self.waiting.remove(&id) {
            // Whoever asked may have given up meanwhile.
            let _ = reply.send(answer);
        }
    }
}

/// What a front has taken in and not yet handled, and how far it is in its life.
#[derive(Default)]
pub(super) struct Pending {
    inputs: VecDeque<Input>,
    messages: VecDeque<Message>,
    is_draining: bool,
    /// The end, whatever OpenSIPS says until then.
    stop_at: Option<Duration>,
    look_up_at: Option<Duration>,
    /// Until then the next message is looked for without sleeping.
    awake_until: Duration,
    health: Health,
}

impl FrontLoop {
    /// Runs until it is told to stop, or has failed.
    pub(super) async fn run(mut self) {
        // Whatever ends this thread, a panic included: whoever waits for it hears of it.
        let shared = Arc::clone(&self.shared);
        let _end = shared.status.on_drop();
        let now = self.clock.now();
        // Before OpenSIPS tells of them again.
        let left = std::mem::take(&mut self.left);
        self.give(now, FrontInput::Left(left));
        self.front.start(now);
        self.carry_out(now);
        self.turns().await;
        if self.pending.stop_at.is_some() {
            shared.status.set(Phase::Stopped);
        }
    }

    /// Turn after turn, until it is time to end or nothing can be waited for.
    async fn turns(&mut self) {
        let mut ready = Events::with_capacity(READY);
        let mut alarm = Alarm::new();
        let mut sockets = match self.poll.take().map(TaskPoll::new) {
            Some(Ok(sockets)) => sockets,
            Some(Err(error)) => return tracing::error!(%error, "the front of OpenSIPS cannot wait for its sockets"),
            None => return,
        };
        loop {
            if let Err(error) = self.rest(&mut sockets, &mut ready, &mut alarm).await {
                return tracing::error!(%error, "the front of OpenSIPS cannot wait for messages and ends");
            }
            if !self.turn(&ready) {
                return;
            }
        }
    }

    /// Lets others work until there is something to do.
    async fn rest(&self, sockets: &mut TaskPoll, ready: &mut Events, alarm: &mut Alarm) -> io::Result<()> {
        ready.clear();
        let wait = self.wait();
        if wait == Some(Duration::ZERO) {
            tokio::task::yield_now().await;
            return Ok(());
        }
        let is_awake = self.clock.now() < self.pending.awake_until;
        tokio::select! {
            result = sockets.ready(ready) => result,
            () = self.inbox.filled() => Ok(()),
            () = alarm.after(wait) => Ok(()),
            // The runtime looks at every socket before it comes back here.
            () = tokio::task::yield_now(), if is_awake => Ok(()),
        }
    }

    /// One turn. False when it is time to end.
    fn turn(&mut self, ready: &Events) -> bool {
        let now = self.clock.now();
        self.inbox.take(&mut self.pending.messages);
        self.receive(now, ready);
        if !self.pending.messages.is_empty() || !self.pending.inputs.is_empty() {
            self.pending.awake_until = now + self.stay_awake;
        }
        self.handle_inputs(now);
        for _ in 0..MESSAGE_BUDGET {
            let Some(message) = self.pending.messages.pop_front() else { break };
            self.message(now, message);
        }
        if self.front.poll_timeout().is_some_and(|at| at <= now) {
            self.front.handle_timeout(now);
            self.carry_out(now);
        }
        self.events.handle_timeout(now);
        self.look_up(now);
        if self.pending.is_draining && self.front.idle() {
            self.pending.is_draining = false;
            self.shared.status.set(Phase::Drained);
        }
        self.pending.stop_at.is_none_or(|at| now < at && !self.front.stopped())
    }

    /// How long there is nothing to do unless something comes.
    fn wait(&self) -> Option<Duration> {
        let pending = &self.pending;
        let (unread, retry_at) = match &self.mi {
            Mi::Datagrams(socket) => (socket.has_more(), socket.poll_timeout()),
            Mi::Http(_) => (false, None),
        };
        if !pending.inputs.is_empty() || !pending.messages.is_empty() || unread || self.events.has_more() {
            return Some(Duration::ZERO);
        }
        let next =
            [self.front.poll_timeout(), self.events.poll_timeout(), retry_at, pending.stop_at, pending.look_up_at];
        Some(next.into_iter().flatten().min()?.saturating_sub(self.clock.now()))
    }

    fn receive(&mut self, now: Duration, ready: &Events) {
        for event in ready {
            match (event.token(), &mut self.mi) {
                (MI, Mi::Datagrams(socket)) => socket.ready(now, event, &mut self.pending.inputs),
                (MI, Mi::Http(_)) => {}
                _ => self.events.ready(now, event),
            }
        }
        if let Mi::Datagrams(socket) = &mut self.mi {
            socket.receive(now, &mut self.pending.inputs);
            socket.handle_timeout(now, &mut self.pending.inputs);
        }
        self.events.receive(now, &mut self.pending.inputs);
    }

    /// Handles what has come from OpenSIPS. What fails meanwhile has to wait for the next turn.
    fn handle_inputs(&mut self, now: Duration) {
        for _ in 0..self.pending.inputs.len() {
            let Some(input) = self.pending.inputs.pop_front() else { return };
            self.give(now, FrontInput::OpenSips(input));
        }
    }

    fn message(&mut self, now: Duration, message: Message) {
        match message {
            Message::Web(message) => self.web(now, message),
            Message::LocalOpened { session, mode, end } => {
                self.sessions.open_local(session, end);
                self.give(now, FrontInput::SessionOpened { session, admission: Admission::open(mode) });
            }
            Message::LocalText { session, text } => {
                self.give(now, FrontInput::Text { session, text });
                self.sessions.handled_local(session);
            }
            Message::LocalClosed(session) => {
                self.sessions.closed_local(session);
                self.give(now, FrontInput::SessionClosed(session));
            }
            Message::OpenSips(input) => self.give(now, FrontInput::OpenSips(input)),
            Message::Resolved(found) => self.resolved(found),
            Message::Records(records) => {
                self.records = records;
                self.early.take().into_iter().flatten().for_each(|detail| self.records.push(Box::new(detail)));
            }
            Message::Count(answer) => {
                // Whoever asked may have given up meanwhile.
                let _ = answer.send(self.counts());
            }
            Message::Drain => {
                self.pending.is_draining = true;
                self.shared.status.set(Phase::Draining);
                self.give(now, FrontInput::Drain);
            }
            Message::Stop => {
                self.pending.stop_at = Some(now + STOP_PATIENCE);
                self.give(now, FrontInput::Stop);
            }
        }
    }

    fn web(&mut self, now: Duration, message: WebMessage) {
        match message {
            WebMessage::Opened { session, admission, outbox } => {
                self.sessions.web.open(session, outbox);
                self.give(now, FrontInput::SessionOpened { session, admission });
            }
            WebMessage::Text { session, text, place } => {
                if let Some(people_too) = self.log_requests {
                    requests::log(&text, people_too);
                }
                self.give(now, FrontInput::Text { session, text });
                drop(place);
            }
            WebMessage::Closed(session) => {
                self.sessions.web.closed(session);
                self.give(now, FrontInput::SessionClosed(session));
            }
            WebMessage::LogLost { tag, lost } => self.give(now, FrontInput::LogLost { tag, lost }),
            WebMessage::Status { reply } => {
                let draining = self.shared.status.get() >= Phase::Draining || self.front.draining();
                let uptime = now.saturating_sub(self.started);
                let mut report = report::of(&self.front.health(), &self.counts(), uptime, draining);
                let (commands, running) = self.front.rest_totals();
                report.figures.extend(rest_figures(commands, running));
                // Whoever asked may have given up meanwhile.
                let _ = reply.send(report);
            }
            WebMessage::Rest { request, reply } => {
                let id = self.requests.expect(reply);
                self.give(now, FrontInput::Rest { id, request });
            }
            // Directory and registrations are OpenSIPS's own.
            WebMessage::Http(Asked { reply, .. })
            | WebMessage::Channel(Asked { reply, .. })
            | WebMessage::Node(Asked { reply, .. }) => {
                drop(reply.send(HttpAnswer::plain(404, "there is nothing here\n")))
            }
        }
    }

    /// Gives one input to the machine and does everything it wants done.
    fn give(&mut self, now: Duration, input: FrontInput) {
        self.front.handle(now, input);
        self.carry_out(now);
    }

    fn carry_out(&mut self, now: Duration) {
        while let Some(output) = self.front.poll_output() {
            match output {
                FrontOutput::Mi { request, bytes, patience } => {
                    self.mi.send(now, (request, bytes, patience), &mut self.pending.inputs);
                }
                FrontOutput::Text { session, text } => self.sessions.say(session, text),
                FrontOutput::Log { session, order } => {
                    if let Some(tag) = self.sessions.log(session, order) {
                        self.front.handle(now, FrontInput::LogLost { tag, lost: LogLost { oldest: None } });
                    }
                }
                FrontOutput::CloseSession { session, code } => self.sessions.dismiss(session, code),
                FrontOutput::Told(told, command) => {
                    told::log(&told);
                    self.tell(Entry::Call(told, command));
                }
                FrontOutput::Rest { id, response } => self.requests.answer(id, response.into()),
                FrontOutput::Command(end) => self.command_ended(end),
                FrontOutput::Webhook { at, call, webhook } => self.tell(Entry::Webhook { at, call, webhook }),
                FrontOutput::Record(detail) => self.call_recorded(detail),
                FrontOutput::Health(health) => self.health(now, health),
            }
        }
    }

    /// Puts something into the log of events, if there is one.
    fn tell(&self, entry: Entry) {
        if let Some(journal) = &self.journal {
            journal.push(entry);
        }
    }

    fn command_ended(&self, end: CommandEnd) {
        told::log_command(&end);
        let CommandEnd { at, command, kind, call, result } = end;
        self.tell(Entry::Command { at, command, kind, call, result });
    }

    fn call_recorded(&mut self, detail: Box<CallDetail>) {
        match &mut self.early {
            Some(early) => early.push(CallDetail::clone(&detail)),
            None => self.records.push(detail.clone()),
        }
        self.tell(Entry::Record(detail));
    }

    fn health(&mut self, now: Duration, health: Health) {
        log_change(&self.pending.health, &health);
        self.pending.look_up_at = match (&self.resolver, health.mi.is_down()) {
            (Some(_), true) => self.pending.look_up_at.or(Some(now)),
            _ => None,
        };
        self.shared.set_health(health.clone());
        self.pending.health = health;
    }

    /// Asks where OpenSIPS's name leads, for as long as it does not answer.
    fn look_up(&mut self, now: Duration) {
        if let Some(resolver) = &mut self.resolver
            && self.pending.look_up_at.is_some_and(|at| at <= now)
        {
            resolver.ask();
            self.pending.look_up_at = Some(now + LOOK_UP_EVERY);
        }
    }

    /// OpenSIPS's name was looked up.
    fn resolved(&mut self, found: io::Result<Vec<SocketAddr>>) {
        if let Some(resolver) = &mut self.resolver {
            resolver.answered();
        }
        let found = match found {
            Ok(found) => found,
            Err(error) => return tracing::debug!(%error, "OpenSIPS's name leads nowhere"),
        };
        match Peers::at(found.iter().map(SocketAddr::ip)) {
            Ok(peers) => self.events.hear(peers),
            Err(error) => tracing::warn!(%error, "cannot tell whose events to believe"),
        }
        if let Mi::Datagrams(socket) = &mut self.mi
            && let Some(current) = socket.udp_target()
            && let Some(next) = after(current, &found)
        {
            tracing::info!(from = %current, to = %next, "OpenSIPS is looked for at another address");
            socket.redirect(next);
        }
    }

    fn counts(&self) -> Counts {
        Counts {
            opensips: self.front.counts(),
            call_api: self.front.hub_counts(),
            sessions: self.front.sessions(),
            commands: self.front.commands_running(),
            foreign_events: self.events.foreign(),
            queued: self.pending.messages.len(),
        }
    }
}

/// The address to try after `current` does not answer: the next one of those the name has, if there is another.
fn after(current: SocketAddr, found: &[SocketAddr]) -> Option<SocketAddr> {
    let usable: Vec<SocketAddr> = found.iter().copied().filter(SocketAddr::is_ipv4).collect();
    let next = usable.iter().position(|at| *at == current).map_or(0, |at| at + 1);
    let chosen = usable.get(next).or(usable.first()).copied()?;
    (chosen != current).then_some(chosen)
}

/// One line for each way that was lost or found.
fn log_change(before: &Health, after: &Health) {
    for (what, before, now) in [("MI", &before.mi, &after.mi), ("EVI", &before.events, &after.events)] {
        if std::mem::discriminant(before) == std::mem::discriminant(now) {
            continue;
        }
        match now {
            Link::Unknown => {}
            // Nothing is written where the version is not known yet.
            Link::Up => tracing::info!(version = after.version.as_deref(), "OpenSIPS: {what} works"),
            Link::Down { why, .. } => tracing::warn!(%why, "OpenSIPS: {what} does not work"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_name_are_tried_in_turn() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (one, two, six) = (at("192.0.2.1:8080"), at("192.0.2.2:8080"), at("[2001:db8::1]:8080"));
        assert_eq!(after(one, &[six, one]), None);
        assert_eq!(after(one, &[one, two]), Some(two));
        assert_eq!(after(two, &[one, two]), Some(one));
        assert_eq!(after(one, &[two]), Some(two));
        assert_eq!(after(one, &[six]), None);
    }
}
