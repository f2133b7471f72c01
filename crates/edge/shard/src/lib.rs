//! One shard of the switch: the rings below composed into one machine without sockets or clocks.
//!
//! SIP bytes, media reports, application texts and the time go in through [`Shard::handle`] and
//! [`Shard::handle_timeout`]; everything that must be sent, stored or told comes out of
//! [`Shard::poll_output`], which is drained after every touch. The driver puts sockets around this,
//! the lab a simulated network: both run the very same machine.
//!
//! One event of the SIP side is carried through backend, switchboard and dialects before the next
//! one is looked at, so that an answer to the first cannot arrive after the second.

#![forbid(unsafe_code)]

mod bans;
mod channels;
mod control;
mod details;
mod dialogs;
mod flow;
mod front;
mod http;
mod inquiry;
mod io;
mod nodes;
mod record;
mod recordings;
mod reload;
mod rest;
mod tolls;
mod users;
mod whose;

use std::collections::VecDeque;
use std::net::SocketAddr;

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_b2bua::{B2bua, B2buaConfig, Step, aor};
use hookswitch_call::directory::{Directory, DirectoryChange, LookupTotals};
use hookswitch_call::machine::State;
use hookswitch_call::port::Backend;
use hookswitch_call::switchboard::{self, Switchboard};
use hookswitch_call::{CallId, CallRef, Cause, Command, Fault, Kind, Limits, MediaOp, RecordOrder, Time};
use hookswitch_channels::Channels;
use hookswitch_dialect::call_api::{self, Hub, HubOutput};
use hookswitch_dialect::flow::{FlowTerms, Flows};
use hookswitch_dialect::journal::record::Records;
use hookswitch_dialect::rest::{self as rest_dialect, Desk};
use hookswitch_nodes::Nodes;
use hookswitch_sip::guard::{GuardNews, GuardTotals, LiftedWhy};
use hookswitch_sip::registrar;
use hookswitch_sip::resolve::{ResolverCounts, ResolverTotals};
use hookswitch_sip::subscription;

pub use http::MAX_MAILBOX;

pub use bans::ORDER_TIME;
pub use front::{Front, FrontConfig, FrontInput, FrontOutput};
pub use hookswitch_b2bua::toll::{TollNews, TollWhy};
pub use hookswitch_b2bua::trunk::{Missed, TrunkEvent, TrunkNews, TrunkStatus, Unproved};
pub use hookswitch_b2bua::{Mailbox, MailboxChange};
pub use hookswitch_channels::{Config as ChannelsConfig, Effort};
pub use hookswitch_dialect::call_api::{Admission, Mode, SessionId};
pub use hookswitch_nodes::Config as NodesConfig;
pub use inquiry::{AudioReport, CALLS_LISTED, ENDED_KEPT, UNREACHED_KEPT, Unreached};
pub use io::{BindingEvent, BindingNews, Change, HttpId, Input, Output, Stored};
pub use record::CallRecord;
pub use recordings::{BY_RULE, RecordReport, RecordRule};
pub use users::UserReply;

pub use dialogs::DialogsConfig;
use hookswitch_mediaswitch::Dialogs;
pub use hookswitch_mediaswitch::{Config as DialogLimits, Note, NoteId, Record as DialogRecord};
use inquiry::Inquiry;
use whose::Enders;

/// WebSocket close code for a session beyond the limit (IANA registry of RFC 6455 section 11.7).
const TRY_AGAIN_LATER: u16 = 1013;

/// What a shard is told at the start.
#[derive(Clone, Debug, Default)]
pub struct ShardConfig {
    /// Our own SIP switch.
    pub b2bua: B2buaConfig,
    /// What the switchboard holds and how long it waits.
    pub limits: Limits,
    /// Domains and users of the configuration.
    pub directory: Directory,
    /// The Call API.
    pub call_api: call_api::Config,
    /// What the native REST holds at most.
    pub rest: rest_dialect::Config,
    /// Name of the first call, and of the first command. Must grow from one start of the node to the next: the time of start
    /// in milliseconds, shifted left by 20 bits, leaves room for a million calls in each.
    pub first_call: u64,
    /// Whose calls are recorded.
    pub record: RecordRule,
    /// Legs that controllers drive.
    pub dialogs: DialogsConfig,
    /// Media channels of controllers of their own.
    pub channels: ChannelsConfig,
    /// Who leads calls to services of these names.
    pub flows: AHashMap<CompactString, FlowTerms>,
    /// Where legs and audio are that are not here. Default nowhere.
    pub nodes: NodesConfig,
}

/// How much a shard holds. After the last call everything but bindings and sessions is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls, ending ones included.
    pub calls: usize,
    /// Legs of the SIP backend.
    pub legs: usize,
    /// Legs that are counted against the limits of users.
    pub user_legs: usize,
    /// SIP transactions.
    pub transactions: usize,
    /// SIP dialogs.
    pub dialogs: usize,
    /// Timers of the SIP endpoint.
    pub sip_timers: usize,
    /// SIP connections.
    pub connections: usize,
    /// Bindings.
    pub bindings: usize,
    /// Media channels of controllers.
    pub channels: usize,
}

/// What parties are told whose call is ended because the program stops.
fn stopping() -> Cause {
    Cause::new(Kind::Overloaded, Fault::Server).with_text("Server Is Stopping")
}

/// One shard.
pub struct Shard {
    b2bua: B2bua,
    board: Switchboard,
    channels: Channels,
    /// Who has what is elsewhere of legs and audio.
    nodes: Nodes,
    hub: Hub,
    inquiry: Inquiry,
    rest: Desk,
    enders: Enders,
    flows: Flows,
    record_rule: RecordRule,
    records: Records,
    stopping: bool,
    dialogs: Dialogs,
    /// Calls of a domain go to its controller.
    controllers: bool,
    /// And all others are refused.
    controllers_only: bool,
    out: VecDeque<Output>,
}

impl Shard {
    /// A shard without calls. `seed` makes its names unguessable: draw it from the operating
    /// system.
    #[must_use]
    pub fn new(config: ShardConfig, seed: [u8; 32]) -> Self {
        let mut hub_seed = seed;
        hub_seed.reverse();
        let rest_seed = seed.map(|byte| byte ^ 0x5a);
        let mut dialogs_seed = seed;
        dialogs_seed.rotate_left(23);
        dialogs_seed[0] ^= 0x3c;
        let mut channel_seed = seed;
        channel_seed.rotate_left(16);
        let nodes = Nodes::new(config.nodes, seed.map(|byte| byte ^ 0xc3));
        let shard = Self {
            b2bua: B2bua::new(config.b2bua, config.directory, seed),
            board: Switchboard::new(config.limits, config.first_call),
            channels: Channels::new(config.channels, channel_seed),
            nodes: Nodes::default(),
            hub: Hub::new(config.call_api, hub_seed),
            inquiry: Inquiry::default(),
            enders: Enders::default(),
            rest: Desk::new(config.rest, config.first_call, rest_seed),
            flows: Flows::new(config.flows, config.first_call),
            record_rule: config.record,
            records: Records::default(),
            stopping: false,
            dialogs: Dialogs::new(config.dialogs.limits, dialogs_seed),
            controllers: config.dialogs.controllers,
            controllers_only: config.dialogs.only,
            out: VecDeque::new(),
        };
        shard.with_nodes(nodes)
    }

    /// Takes what has happened.
    pub fn handle(&mut self, now: Time, input: Input) {
        match input {
            Input::Sip(input) => self.b2bua.handle_input(now, input),
            Input::Media(report) => self.media_told(now, report),
            Input::Answer { id, answer } => self.b2bua.handle_answer(now, id, answer),
            Input::User { id, reply } => self.b2bua.handle_user(now, id, reply.into()),
            Input::PublicAddresses(public) => self.b2bua.set_public_addresses(&public),
            Input::SessionOpened { session, admission } => {
                if self.hub.open(session, admission).is_err() {
                    self.out.push_back(Output::CloseSession { session, code: TRY_AGAIN_LATER });
                }
            }
            Input::Text { session, text } => self.hub.text(now, session, &text),
            Input::SessionClosed(session) => self.hub.closed(session),
            Input::LogLost { tag, lost } => self.hub.log_lost(tag, lost),
            Input::Http { id, method, path, body } => self.http(now, id, &method, &path, &body),
            Input::Flow { id, reply } => self.flows.replied(now, id, reply),
            Input::FlowElsewhere { id, why } => self.flows.asked_elsewhere(id, why),
            Input::Controller { id, status } => {
                if let Some(channel) = self.dialogs.noted(now, id, status) {
                    self.channels.unknown(channel);
                }
            }
            Input::Channel { id, method, path, body } => self.channel_asked(now, id, &method, &path, &body),
            Input::Node(answer) => self.node_answered(now, answer),
            Input::NodeTells { id, method, path, body } => self.node_tells(now, id, (&method, &path), &body),
            Input::Rest { id, request } if self.control_server(now, id, &request) => {}
            Input::Rest { id, request } => self.rest(now, id, &request),
            Input::Restore(stored) => self.restore(stored),
            Input::Effort(effort) => self.channels.set_effort(effort),
            Input::Busy(cpu) => self.dialogs.set_cpu(cpu),
            Input::Lists { allow, drop } => self.b2bua.set_guard_lists(allow, &drop),
            Input::Drain => {
                self.board.drain();
                self.dialogs.drain();
                self.channels.drain();
                self.b2bua.set_draining(true);
                self.b2bua.leave_trunks(now);
            }
            Input::EndAll => self.end_all(now),
            Input::Finish => self.finish_records(now),
        }
        self.settle(now);
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Time) {
        self.b2bua.handle_timeout(now);
        self.board.handle_timeout(now);
        self.records.handle_timeout(now);
        self.dialogs.handle_timeout(now);
        self.channels.handle_timeout(now);
        self.nodes.handle_timeout(now);
        self.flows.handle_timeout(now);
        self.settle(now);
    }

    /// When [`Shard::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let machines = [self.b2bua.poll_timeout(), self.board.poll_timeout(), self.dialogs.poll_timeout()];
        let others = [self.records.poll_timeout(), self.channels.poll_timeout(), self.nodes.poll_timeout()];
        let others = others.into_iter().chain([self.flows.poll_timeout()]);
        machines.into_iter().chain(others).flatten().min()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Whether no call is left, nor a registration of ours that is to be taken back: after [`Input::Drain`], the moment
    /// to stop.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.board.live() + self.dialogs.live() + self.channels.len() == 0 && !self.b2bua.leaves_trunks()
    }

    /// Whether something that has come from there is to be given to [`Shard::handle`] at all. To be asked before it is
    /// copied, or a connection accepted: a flood of a banned source then costs next to nothing.
    pub fn admits(&mut self, now: Time, remote: SocketAddr) -> bool {
        self.b2bua.guard_mut().admits(now, remote)
    }

    /// How many SIP messages were dropped, and why.
    #[must_use]
    pub fn dropped(&self) -> hookswitch_sip::Dropped {
        self.b2bua.dropped()
    }

    /// What the guard has counted, and how many bans stand.
    #[must_use]
    pub fn guard_counts(&self, now: Time) -> (GuardTotals, usize) {
        (self.b2bua.guard().totals(), self.b2bua.guard().standing(now))
    }

    /// Whether nobody waits for an answer about a call, and nothing is noted of calls that are over beside what is kept of
    /// the last [`ENDED_KEPT`].
    #[must_use]
    pub fn has_no_inquiries(&self) -> bool {
        self.inquiry.is_idle() && self.rest.is_idle()
    }

    /// How the trunks stand.
    #[must_use]
    pub fn trunk_status(&self, now: Time) -> Vec<TrunkStatus> {
        self.b2bua.trunk_status(now)
    }

    /// How much there is.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let sip = self.b2bua.endpoint().counts();
        Counts {
            calls: self.board.live() + self.dialogs.live(),
            legs: self.b2bua.live_legs(),
            user_legs: self.b2bua.user_legs(),
            transactions: sip.transactions,
            dialogs: sip.dialogs,
            sip_timers: sip.timers,
            connections: sip.connections,
            bindings: self.b2bua.registrar().count().bindings,
            channels: self.channels.len(),
        }
    }

    /// What the Call API has counted.
    #[must_use]
    pub const fn hub_counts(&self) -> call_api::Counts {
        self.hub.counts()
    }

    /// What the look-ups of names have counted, and how many answers are kept and look-ups under way.
    #[must_use]
    pub fn name_counts(&self) -> (ResolverTotals, ResolverCounts) {
        self.b2bua.name_counts()
    }

    /// The name that the other end of a TLS connection of ours has to prove.
    #[must_use]
    pub fn peer_name(&self, peer: hookswitch_sip::PeerId) -> Option<&str> {
        self.b2bua.peer_name(peer)
    }

    /// What the look-ups of users have counted, if there are any, and how many requests and calls wait for one.
    #[must_use]
    pub fn user_counts(&self) -> Option<(LookupTotals, usize)> {
        Some((self.b2bua.directory().lookup_totals()?, self.b2bua.waiting_for_users()))
    }

    /// What has happened to bindings.
    #[must_use]
    pub fn registrar_totals(&self) -> registrar::RegistrarTotals {
        self.b2bua.registrar().totals()
    }

    /// How many sessions of the Call API are open, and how many commands run for them.
    #[must_use]
    pub fn sessions(&self) -> (usize, usize) {
        (self.hub.sessions(), self.hub.running())
    }

    /// Everything known about a call, as one record that can be stored and moved. The media
    /// engine keeps its part with the sockets.
    #[must_use]
    pub fn record(&self, call: CallId) -> Option<CallRecord<'_>> {
        CallRecord::of(self.board.call(call)?, &self.b2bua)
    }

    /// The names of all calls.
    pub fn calls(&self) -> impl Iterator<Item = CallId> {
        self.board.calls().map(|call| call.id)
    }

    fn end_all(&mut self, now: Time) {
        self.board.drain();
        self.channels.end_all();
        self.b2bua.leave_trunks(now);
        let calls: Vec<CallId> = self.calls().collect();
        for call in calls {
            // A call that is ending already is refused, and ends.
            let _ = self.board.submit(now, Command::End { call: CallRef::Id(call), cause: stopping() });
        }
        self.ask_last_audio(now);
        self.dialogs.end_all();
    }

    fn restore(&mut self, stored: Stored) {
        match stored {
            // What was valid when it was stored is refused only if a limit has become smaller.
            Stored::Domain(domain, layer) => {
                drop(self.b2bua.directory_mut().restore(&domain, layer));
                self.tell_nodes(&domain);
            }
            Stored::Mailbox(aor, mailbox) => self.b2bua.restore_mailbox(aor, mailbox),
            Stored::Subscription(it) => drop(self.b2bua.restore_subscription(*it)),
            Stored::Binding(binding) => drop(self.b2bua.restore_binding(*binding)),
            Stored::Ban(ban) => self.b2bua.guard_mut().restore(*ban),
            Stored::Key(key) => self.rest.restore(*key),
            Stored::Recording(kept) => self.rest.restore_recording(*kept),
        }
    }

    /// Carries everything that has happened to its end.
    fn settle(&mut self, now: Time) {
        self.carry_on(now);
        self.store_changes(now);
        // Whoever watches what has changed is told.
        if self.b2bua.has_news() {
            self.carry_on(now);
            self.store_changes(now);
        }
        // What has become of registrations is told to controllers.
        self.control_all(now);
    }

    fn carry_on(&mut self, now: Time) {
        loop {
            if let Some(report) = self.b2bua.poll_report() {
                self.reported(now, report);
            } else if let Some(output) = self.board.poll_output() {
                self.carry_out(now, output);
            } else if let Some(output) = self.dialogs.poll_output() {
                self.control(now, output);
            } else if let Some(output) = self.hub.poll_output() {
                self.speak(now, output);
            } else {
                match self.b2bua.step(now) {
                    Some(Step::Handled) => {}
                    Some(Step::Send { flow, bytes }) => self.out.push_back(Output::Send { flow, bytes }),
                    Some(Step::Close { flow }) => self.out.push_back(Output::Close { flow }),
                    Some(Step::AskUser(question)) => self.out.push_back(Output::AskUser(question)),
                    Some(Step::Lookup { id, name, kind }) => self.out.push_back(Output::Lookup { id, name, kind }),
                    None if self.step_channels(now) || self.step_nodes(now) || self.step_flows(now) => {}
                    None => break,
                }
            }
        }
    }

    fn carry_out(&mut self, now: Time, output: switchboard::Output) {
        match output {
            switchboard::Output::Op(op) => self.perform(now, op),
            switchboard::Output::Media(mut op) => {
                if let MediaOp::Record { call, order: RecordOrder::Begin(plan), .. } = &mut op {
                    self.name_recording(now, *call, plan);
                }
                self.note_media(&op);
                self.perform_media(now, op);
            }
            switchboard::Output::Event(told) => {
                let command = self.sender_of(&told);
                self.hub.told(&told);
                self.rest.told(&told);
                self.flows.told(&told);
                self.note_end(&told);
                self.note_told(&told);
                self.record_by_rule(now, &told);
                self.out.push_back(Output::Told(told, command));
            }
            switchboard::Output::Outcome(outcome) => {
                self.hub.outcome(&outcome);
                self.rest.outcome(now, &outcome);
                self.drain_desk();
                let board = &self.board;
                let is_ending = |call| board.call(call).is_none_or(|call| call.state == State::AwaitEnds);
                self.flows.outcome(now, &outcome, is_ending);
            }
            switchboard::Output::StepWanted(wanted) => self.step_wanted(now, wanted),
        }
    }

    fn speak(&mut self, now: Time, output: HubOutput) {
        match output {
            HubOutput::Submit { tag, command } => {
                let ends = self.noted_end(tag, &command);
                let result = self.submit(now, command);
                self.note_ender(ends, &result);
                self.hub.submitted(tag, result);
            }
            HubOutput::Text { session, text } => self.out.push_back(Output::Text { session, text }),
            HubOutput::Log { session, order } => self.out.push_back(Output::Log { session, order }),
            HubOutput::Close { session, code } => self.out.push_back(Output::CloseSession { session, code }),
        }
    }

    fn store_changes(&mut self, now: Time) {
        while let Some(detail) = self.records.poll() {
            self.out.push_back(Output::Record(detail));
        }
        while let Some(change) = self.b2bua.directory_mut().poll_change() {
            self.revoke_bindings(now, &change);
            let (DirectoryChange::Put(domain, _) | DirectoryChange::Removed(domain)) = &change;
            self.tell_nodes(domain);
            self.out.push_back(Output::Store(Change::Directory(change)));
        }
        while let Some(news) = self.b2bua.poll_guard_news() {
            match &news {
                GuardNews::Banned { ban, .. } => {
                    self.out.push_back(Output::Store(Change::BanPut(Box::new(ban.clone()))));
                }
                // It is remembered, so that another one is longer.
                GuardNews::Lifted { why: LiftedWhy::Over, .. }
                | GuardNews::Spared { .. }
                | GuardNews::Flooded { .. } => {}
                GuardNews::Lifted { source, .. } | GuardNews::Forgotten { source } => {
                    self.out.push_back(Output::Store(Change::BanRemoved(*source)));
                }
            }
            self.out.push_back(Output::Guard(news));
        }
        while let Some(news) = self.b2bua.poll_toll_news() {
            self.out.push_back(Output::Toll(news));
        }
        while let Some(news) = self.b2bua.directory_mut().poll_lookup_news() {
            self.out.push_back(Output::Users(news));
        }
        while let Some(news) = self.b2bua.poll_trunk_news() {
            self.note_missed(&news);
            self.out.push_back(Output::Trunk(news));
        }
        while let Some(change) = self.b2bua.registrar_mut().poll_change() {
            self.out.push_back(Output::Binding(BindingNews::from(&change)));
            self.b2bua.binding_changed(now, &change);
            self.registration_changed(now, &change);
            let stored = match change {
                registrar::Change::Put(binding) => Change::BindingPut(Box::new(binding)),
                registrar::Change::Removed { aor, id, .. } => Change::BindingRemoved { aor, id },
                // A restart finds out anew.
                registrar::Change::Stale { .. } | registrar::Change::Revived { .. } => continue,
            };
            self.out.push_back(Output::Store(stored));
        }
        while let Some(change) = self.b2bua.poll_mailbox_change() {
            self.out.push_back(Output::Store(Change::Mailbox(change)));
        }
        while let Some(change) = self.b2bua.poll_subscription_change() {
            match change {
                subscription::Change::Put(it) => self.out.push_back(Output::Store(Change::SubscriptionPut(it))),
                subscription::Change::Removed { key, stored: true } => {
                    self.out.push_back(Output::Store(Change::SubscriptionRemoved(key)));
                }
                subscription::Change::Removed { stored: false, .. } => {}
            }
        }
    }

    /// A user that no longer exists must not be reachable either.
    fn revoke_bindings(&mut self, now: Time, change: &DirectoryChange) {
        let (DirectoryChange::Put(domain, _) | DirectoryChange::Removed(domain)) = change;
        let gone: Vec<CompactString> = {
            let directory = self.b2bua.directory();
            let registered = self.b2bua.registrar().users_of(now, domain).map(|(user, _)| user);
            registered.filter(|user| !directory.may_have(domain, user)).map(|user| aor(user, domain)).collect()
        };
        for aor in gone {
            self.b2bua.registrar_mut().remove_aor(&aor);
        }
        self.b2bua.end_watches(now, domain);
    }
}
