//! The loop of a shard: one thread, its SIP sockets, and a queue of what everybody else has for it.
//!
//! A turn takes one batch from each socket, a bounded piece of the queue and the timers that are due, then sends
//! everything at once. So a flood on one socket delays the rest by one batch and no more.

mod busy;
mod desk;
mod sockets;
mod strangers;
mod tls;
pub(crate) mod told;
mod validity;

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hookswitch_call::directory::{DirectoryError, QuestionId};
use hookswitch_call::{Event, MediaReport};
use hookswitch_dialect::flow::{FlowNews, QuestionId as FlowQuestionId};
use hookswitch_dialect::journal::Entry;
use hookswitch_dialect::journal::record::CallDetail;
use hookswitch_dialect::rest::{CommandEnd, KeptRecording};
use hookswitch_net::StreamSetup;
use hookswitch_shard::{Counts, Effort, Input, NoteId, Output, Shard, ShardConfig, Stored, UserReply};
use hookswitch_sip::Network;
use hookswitch_sip::resolve::{Answer, LookupId};
use hookswitch_store::Committed;
use mio::{Events, Poll, Token};

use crate::clock::Clock;
use crate::controllers::Controllers;
use crate::dns::Dns;
use crate::flow::{FlowService, Heard};
use crate::inbox::Inbox;
use crate::journal::{JournalHandle, audio_entry, binding_entry, flow_entry, recorded_entry, trunk_entry};
use crate::kept::KeptRecordings;
use crate::media::MediaPlane;
use crate::nftables::{Filter, NftablesConfig};
use crate::nodes::NodeClient;
use crate::records::CallRecords;
use crate::status::{Phase, Status};
use crate::tap::{Direction, Tap};
use crate::users::UserService;
use crate::web::{Asked, Figure, HttpAnswer, StatusReport, WebMessage};
use crate::web::{
    binding_figures, dns_figures, dropped_figures, filter_figures, flow_figures, guard_figures, hub_figures,
    node_figures, record_figures, rest_figures, toll_figures, trunk_figures, user_figures,
};
pub(crate) use desk::Desk;
pub(crate) use sockets::SipSockets;
pub use sockets::{MAX_SIP_SOCKETS, SipListen};
pub(crate) use tls::Watch;
pub use tls::{ClientCertificates, SipTls};

/// Messages that may wait for a shard. Beyond, applications and HTTP requests are turned away.
pub const MAX_SHARD_QUEUE: usize = 65_536;

/// Readiness events taken by one system call.
const EVENTS: usize = 512;

/// Messages of the queue handled before the sockets get their turn.
const MESSAGE_BUDGET: usize = 256;

/// After the last call has ended, how long a draining shard still answers repeated requests.
const LINGER: Duration = Duration::from_secs(2);

/// How long a shard that stops waits for the last words on its calls' audio.
const LAST_AUDIO: Duration = Duration::from_millis(500);

/// What the shard's own carrier is called in `/health` and `/metrics`.
pub(crate) const CARRIER: &str = "sip";

pub(crate) const WAKER: Token = Token(0);
pub(crate) const FIRST_SOCKET: usize = 1;

/// What other threads have for a shard.
pub(crate) enum Message {
    /// A media thread reports.
    Media(MediaReport),
    /// The thread of names answers.
    Answer(LookupId, Answer),
    /// What came of a question for a user.
    User(QuestionId, UserReply),
    /// What is heard of a question about a call.
    Flow(FlowQuestionId, Heard),
    /// What came of what a controller was told.
    Controller(NoteId, Option<u16>),
    /// What came of a request to a node.
    Node(hookswitch_nodes::Answer),
    /// Hosts on the Internet see us there.
    PublicAddresses(Vec<IpAddr>),
    /// Applications and HTTP requests.
    Web(WebMessage),
    /// The store has something to say.
    Committed(Committed),
    /// Somebody wants to know how much there is.
    Count(std::sync::mpsc::SyncSender<Counts>),
    /// Certificates have changed.
    Streams(StreamSetup),
    /// How hard the media threads work.
    Effort(Effort),
    /// The guard's lists have changed.
    Lists { allow: Vec<Network>, drop: Vec<Network> },
    /// The configuration was read again. Whether it could be taken is the answer.
    Reload(Box<ShardConfig>, std::sync::mpsc::SyncSender<Result<(), DirectoryError>>),
    /// Take no new calls.
    Drain,
    /// Stop now.
    Stop,
}

impl From<WebMessage> for Message {
    fn from(message: WebMessage) -> Self {
        Self::Web(message)
    }
}

pub(crate) struct ShardLoop {
    pub(crate) poll: Poll,
    pub(crate) clock: Clock,
    pub(crate) started: Duration,
    pub(crate) shard: Shard,
    pub(crate) sockets: SipSockets,
    pub(crate) inbox: Arc<Inbox<Message>>,
    pub(crate) desk: Desk,
    pub(crate) media: Arc<MediaPlane>,
    pub(crate) dns: Dns,
    /// Where users are asked for, if anywhere.
    pub(crate) users: Option<UserService>,
    pub(crate) flows: Option<FlowService>,
    /// Who writes call detail records, if anybody.
    pub(crate) records: Option<CallRecords>,
    /// Who notes which recordings there are, if they can be asked for.
    pub(crate) kept: Option<KeptRecordings>,
    /// Where controllers are told of their legs.
    pub(crate) controllers: Controllers,
    /// Where nodes are asked, if there are any.
    pub(crate) nodes: Option<NodeClient>,
    pub(crate) tap: Option<Arc<dyn Tap>>,
    /// The log of events.
    pub(crate) journal: Option<JournalHandle>,
    pub(crate) status: Arc<Status>,
    pub(crate) restore: Vec<Stored>,
    /// The packet filter to be fed, until it is.
    pub(crate) nftables: Option<NftablesConfig>,
    pub(crate) filter: Option<Filter>,
    pub(crate) pending: Pending,
}

/// What a shard has taken in and not yet handled, and how far it is with its end.
#[derive(Default)]
pub(crate) struct Pending {
    inputs: VecDeque<hookswitch_sip::Input>,
    messages: VecDeque<Message>,
    draining: bool,
    idle_since: Option<Duration>,
    busy: busy::Busy,
    /// Calls that have ended since the start.
    ended: u64,
}

impl ShardLoop {
    /// Runs until it is told to stop, or has drained.
    pub(crate) fn run(mut self) {
        // Whatever ends this thread, a panic included: whoever waits for it hears of it.
        let status = Arc::clone(&self.status);
        let _end = status.on_drop();
        let now = self.clock.now();
        for stored in std::mem::take(&mut self.restore) {
            self.give(now, Input::Restore(stored));
        }
        self.filter = self.nftables.take().and_then(|config| self.feed(config, now));
        let mut events = Events::with_capacity(EVENTS);
        while self.turn(&mut events) {}
        // Each party is told once; nobody is left to repeat it.
        let now = self.clock.now();
        self.give(now, Input::EndAll);
        self.sockets.flush(now, &mut self.pending.inputs);
        self.hear_last_audio(&mut events);
        self.give(self.clock.now(), Input::Finish);
        // Written to the end before anybody is told that this has stopped.
        drop((self.records.take(), self.kept.take()));
        self.desk.stop();
        status.set(Phase::Stopped);
    }

    /// Lets the media threads tell how the audio of the calls was that have just been ended.
    fn hear_last_audio(&mut self, events: &mut Events) {
        let end = self.clock.now() + LAST_AUDIO;
        while self.shard.awaits_audio() {
            let left = end.saturating_sub(self.clock.now());
            if left.is_zero() || self.poll.poll(events, Some(left)).is_err() {
                return;
            }
            self.inbox.take(&mut self.pending.messages);
            while let Some(message) = self.pending.messages.pop_front() {
                if let Message::Media(report) = message {
                    self.give(self.clock.now(), Input::Media(report));
                }
            }
        }
    }

    /// Begins to feed the packet filter with the bans that there are.
    fn feed(&self, config: NftablesConfig, now: Duration) -> Option<Filter> {
        let mut ports: Vec<u16> = self.sockets.addresses().iter().map(|at| at.address.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        let started = Filter::start(config, self.clock, ports, self.shard.kept_out(now));
        started.inspect_err(|error| tracing::error!(%error, "bans cannot be put into the packet filter")).ok()
    }

    /// One turn. False when it is time to stop.
    fn turn(&mut self, events: &mut Events) -> bool {
        if let Err(error) = self.poll.poll(events, self.wait())
            && error.kind() != io::ErrorKind::Interrupted
        {
            tracing::error!(%error, "a shard cannot wait for messages and ends");
            return false;
        }
        let now = self.clock.now();
        for event in &*events {
            if event.token() == WAKER {
                self.inbox.take(&mut self.pending.messages);
            } else {
                self.sockets.ready(now, event);
            }
        }
        if let Some(percent) = self.pending.busy.look(now) {
            self.give(now, Input::Busy(percent));
        }
        let shard = &mut self.shard;
        self.sockets.receive(now, &mut self.pending.inputs, |remote| shard.admits(now, remote));
        while let Some(input) = self.pending.inputs.pop_front() {
            self.watch(now, &input);
            self.give(now, Input::Sip(input));
        }
        for _ in 0..MESSAGE_BUDGET {
            let Some(message) = self.pending.messages.pop_front() else { break };
            if !self.message(now, message) {
                return false;
            }
        }
        if self.shard.poll_timeout().is_some_and(|at| at <= now) {
            self.desk.begin();
            self.shard.handle_timeout(now);
            self.carry_out(now);
        }
        self.sockets.handle_timeout(now, &mut self.pending.inputs);
        self.sockets.flush(now, &mut self.pending.inputs);
        self.notice_idleness(now);
        true
    }

    /// How long there is nothing to do unless something comes.
    fn wait(&self) -> Option<Duration> {
        let pending = &self.pending;
        if !pending.inputs.is_empty() || !pending.messages.is_empty() || self.sockets.has_more() {
            return Some(Duration::ZERO);
        }
        let lingering = pending.idle_since.map(|since| since + LINGER);
        let next = [self.shard.poll_timeout(), self.sockets.poll_timeout(), lingering].into_iter().flatten().min()?;
        Some(next.saturating_sub(self.clock.now()))
    }

    /// Handles one message of the queue. False when it says to stop.
    fn message(&mut self, now: Duration, message: Message) -> bool {
        match message {
            Message::Media(report) => self.give(now, Input::Media(report)),
            Message::Answer(id, answer) => self.give(now, Input::Answer { id, answer }),
            Message::User(id, reply) => self.give(now, Input::User { id, reply }),
            Message::Flow(id, Heard::Reply(reply)) => self.give(now, Input::Flow { id, reply }),
            Message::Flow(id, Heard::Elsewhere(why)) => self.give(now, Input::FlowElsewhere { id, why }),
            Message::Controller(id, status) => self.give(now, Input::Controller { id, status }),
            Message::Node(answer) => self.give(now, Input::Node(answer)),
            Message::PublicAddresses(public) => self.give(now, Input::PublicAddresses(public)),
            Message::Web(message) => self.web(now, message),
            Message::Committed(news) => self.desk.committed(&news),
            Message::Count(answer) => {
                // Whoever asked may have given up meanwhile.
                let _ = answer.send(Counts { connections: self.sockets.connections(), ..self.shard.counts() });
            }
            Message::Streams(setup) => self.sockets.set_up(setup),
            Message::Effort(effort) => self.give(now, Input::Effort(effort)),
            Message::Lists { allow, drop } => self.give(now, Input::Lists { allow, drop }),
            Message::Reload(fresh, answer) => {
                self.desk.begin();
                let done = self.shard.reload(now, *fresh);
                self.carry_out(now);
                // Whoever asked may have given up meanwhile.
                let _ = answer.send(done);
            }
            Message::Drain => {
                self.pending.draining = true;
                self.status.set(Phase::Draining);
                self.give(now, Input::Drain);
            }
            Message::Stop => return false,
        }
        true
    }

    fn web(&mut self, now: Duration, message: WebMessage) {
        match message {
            WebMessage::Opened { session, admission, outbox } => {
                self.desk.sessions.open(session, outbox);
                self.give(now, Input::SessionOpened { session, admission });
            }
            WebMessage::Text { session, text, place } => {
                self.give(now, Input::Text { session, text });
                drop(place);
            }
            WebMessage::Closed(session) => {
                self.desk.sessions.closed(session);
                self.give(now, Input::SessionClosed(session));
            }
            WebMessage::LogLost { tag, lost } => self.give(now, Input::LogLost { tag, lost }),
            WebMessage::Http(Asked { method, path, body, reply }) => {
                let id = self.desk.expect(reply);
                self.give(now, Input::Http { id, method, path, body });
            }
            WebMessage::Channel(Asked { method, path, body, reply }) => {
                let id = self.desk.expect(reply);
                self.give(now, Input::Channel { id, method, path, body });
            }
            WebMessage::Node(Asked { method, path, body, reply }) => {
                let id = self.desk.expect(reply);
                self.give(now, Input::NodeTells { id, method, path, body });
            }
            WebMessage::Rest { request, reply } => {
                let id = self.desk.expect(reply);
                self.give(now, Input::Rest { id, request });
            }
            // Whoever asked may have given up meanwhile.
            WebMessage::Status { reply } => drop(reply.send(self.report(now))),
        }
    }

    /// How we are. Everything here is counted already: this takes no longer than a message does.
    fn report(&self, now: Duration) -> StatusReport {
        let counts = self.shard.counts();
        let mut figures = hub_figures(self.shard.hub_counts(), self.shard.sessions());
        let (commands, running) = self.shard.rest_totals();
        figures.extend(rest_figures(commands, running));
        figures.extend(dns_figures(self.shard.name_counts()));
        figures.extend(binding_figures(self.shard.registrar_totals()));
        figures.extend(user_figures(self.shard.user_counts()));
        figures.extend(dropped_figures(self.shard.dropped()));
        figures.extend(guard_figures(self.shard.guard_counts(now)));
        figures.extend(self.filter.as_ref().map(|filter| filter_figures(filter.counts())).into_iter().flatten());
        figures.extend(toll_figures(self.shard.toll_refused()));
        figures.extend(trunk_figures(&self.shard.trunk_status(now)));
        figures.extend(self.journal.as_ref().map(JournalHandle::figures).into_iter().flatten());
        figures.extend(self.records.as_ref().map(|records| record_figures(records.counts())).into_iter().flatten());
        figures.extend(flow_figures(&self.shard.flow_totals()));
        let nodes = self.shard.node_status();
        figures.extend(node_figures(&nodes));
        let (notes, lost) = self.shard.controller_notes();
        let stopping = self.status.get() >= Phase::Draining;
        let draining = stopping || self.shard.draining();
        let channels_draining = stopping || self.shard.channels_draining();
        figures.extend([
            Figure::now("draining", "Whether no new calls are taken.", usize::from(draining)),
            Figure::now(
                "channels_draining",
                "Whether no new media channels of controllers are taken.",
                usize::from(channels_draining),
            ),
            Figure::now("controller_notes_waiting", "Notes to controllers that wait or are under way.", notes),
            Figure::total("controller_notes_lost", "Notes to controllers that nobody has taken.", lost),
            Figure::total("calls_ended", "Calls that have ended.", self.pending.ended),
            Figure::now("legs", "Legs of calls.", counts.legs),
            Figure::now("sip_transactions", "SIP transactions.", counts.transactions),
            Figure::now("sip_dialogs", "SIP dialogs.", counts.dialogs),
            Figure::now("sip_connections", "SIP connections over TCP.", self.sockets.connections()),
        ]);
        StatusReport {
            version: None,
            links: self
                .journal
                .as_ref()
                .and_then(JournalHandle::link)
                .map(|link| ("event_log", link))
                .into_iter()
                .collect(),
            uptime: now.saturating_sub(self.started),
            draining,
            channels_draining,
            calls: counts.calls,
            registrations: Some(counts.bindings),
            nodes,
            figures,
        }
    }

    /// Gives one input to the machine and does everything it wants done.
    fn give(&mut self, now: Duration, input: Input) {
        self.desk.begin();
        self.shard.handle(now, input);
        self.carry_out(now);
    }

    fn ask_node(&self, request: hookswitch_nodes::Request) {
        match &self.nodes {
            Some(nodes) => nodes.ask(request),
            None => tracing::error!("there is nobody to ask nodes"),
        }
    }

    fn ask_user(&self, question: hookswitch_call::directory::Question) {
        match &self.users {
            Some(users) => users.ask(question),
            None => tracing::error!("there is nobody to be asked for users"),
        }
    }

    fn ask_flow(&self, question: hookswitch_dialect::flow::Question) {
        match &self.flows {
            Some(flows) => flows.ask(question),
            None => tracing::error!("there is nobody to be asked about calls"),
        }
    }

    fn carry_out(&mut self, now: Duration) {
        while let Some(output) = self.shard.poll_output() {
            match output {
                Output::Send { flow, bytes } => {
                    if let Some(tap) = &self.tap {
                        tap.message(now, Direction::Sent, &flow, &bytes);
                    }
                    let name = flow.peer.and_then(|peer| self.shard.peer_name(peer));
                    self.sockets.send(now, flow, name, bytes);
                }
                Output::Close { flow } => self.sockets.close(now, flow),
                Output::Media(op) => self.media.perform(op),
                Output::Lookup { id, name, kind } => self.dns.ask(id, name, kind),
                Output::AskUser(question) => self.ask_user(question),
                Output::AskFlow(question) => self.ask_flow(question),
                Output::Flow(news) => self.flow_news(now, &news),
                Output::Text { session, text } => self.desk.sessions.say(session, text),
                Output::Log { session, order } => self.desk.sessions.log(session, order),
                Output::CloseSession { session, code } => self.desk.sessions.dismiss(session, code),
                Output::Http { id, status, content_type, allow, body } => {
                    let headers = allow.map(|allow| ("allow", allow.to_owned())).into_iter().collect();
                    self.desk.answer(id, HttpAnswer { status, content_type, headers, body: body.into(), file: None });
                }
                Output::Rest { id, response } => self.desk.answer(id, response.into()),
                Output::Command(end) => self.command_ended(end),
                Output::Webhook { at, call, webhook } => self.tell(|| Some(Entry::Webhook { at, call, webhook })),
                Output::Controller(note) => self.controllers.tell(note),
                Output::Node(request) => self.ask_node(request),
                Output::Store(change) => self.desk.remember(&change),
                Output::Binding(news) => {
                    told::log_binding(&news);
                    self.tell(|| Some(binding_entry(now, &news)));
                }
                Output::Guard(news) => {
                    if let Some(filter) = &mut self.filter {
                        filter.news(&news);
                    }
                    told::log_guard(&news);
                }
                Output::Toll(news) => told::log_toll(&news),
                Output::Trunk(news) => {
                    told::log_trunk(&news);
                    self.tell(|| Some(trunk_entry(now, &news)));
                }
                Output::Users(news) => told::log_users(&news),
                Output::NodeNews(news) => told::log_node(&news),
                Output::Audio(report) => {
                    told::log_audio(&report);
                    self.tell(|| audio_entry(now, &report));
                }
                Output::Recorded(report) => {
                    told::log_recorded(&report);
                    self.tell(|| recorded_entry(now, &report));
                }
                Output::Keep(kept) => self.keep(kept),
                Output::Unreached(unreached) => told::log_unreached(&unreached),
                Output::Record(detail) => self.call_recorded(detail),
                Output::Told(told, command) => {
                    self.pending.ended += u64::from(matches!(told.event, Event::Ended { .. }));
                    told::log(&told);
                    if let Some(tap) = &self.tap {
                        tap.told(&told);
                    }
                    self.tell(|| Some(Entry::Call(told, command)));
                }
            }
        }
    }

    fn keep(&self, kept: Box<KeptRecording>) {
        if let Some(recordings) = &self.kept {
            recordings.push(kept);
        }
    }

    fn call_recorded(&self, detail: Box<CallDetail>) {
        if let Some(records) = &self.records {
            records.push(detail.clone());
        }
        self.tell(|| Some(Entry::Record(detail)));
    }

    fn flow_news(&self, now: Duration, news: &FlowNews) {
        told::log_flow(news);
        self.tell(|| Some(flow_entry(now, news)));
    }

    fn command_ended(&self, end: CommandEnd) {
        told::log_command(&end);
        let CommandEnd { at, command, kind, call, result } = end;
        self.tell(|| Some(Entry::Command { at, command, kind, call, result }));
    }

    /// Puts something into the log of events, if there is one.
    fn tell(&self, entry: impl FnOnce() -> Option<Entry>) {
        if let Some(journal) = &self.journal
            && let Some(entry) = entry()
        {
            journal.push(entry);
        }
    }

    fn watch(&self, now: Duration, input: &hookswitch_sip::Input) {
        let Some(tap) = &self.tap else { return };
        use hookswitch_sip::Input::{Datagram, Message, Stream};
        if let Datagram { flow, bytes } | Stream { flow, bytes } | Message { flow, bytes } = input {
            tap.message(now, Direction::Received, flow, bytes);
        }
    }

    /// A draining shard without calls has drained, once repeated requests have had their chance of an answer.
    fn notice_idleness(&mut self, now: Duration) {
        if !self.pending.draining {
            return;
        }
        if !self.shard.idle() {
            self.pending.idle_since = None;
            return;
        }
        let since = *self.pending.idle_since.get_or_insert(now);
        let is_quiet = self.shard.counts().transactions == 0;
        if is_quiet || now >= since + LINGER {
            self.pending.draining = false;
            self.pending.idle_since = None;
            self.status.set(Phase::Drained);
        }
    }
}
