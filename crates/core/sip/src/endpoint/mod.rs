//! The endpoint: transactions, dialogs and the rules of a user agent core in one machine.
//!
//! ```text
//!   Input ─▶ streams ─▶ receive ─▶ checks ─▶ uas, indialog ─┐
//!                          └─ responses ─▶ uac, outcome ────┼─▶ Output (Send, Close, Event)
//!   orders (invite, respond, bye...) ─▶ uac, uas, change ...┤
//!   time ─▶ clock ──────────────────────────────────────────┘
//! ```

mod change;
mod checks;
mod clock;
mod compose;
mod facts;
mod fork;
mod indialog;
mod kept;
mod large;
mod names;
mod orders;
mod outcome;
mod rate;
mod receive;
mod reliable;
mod request;
mod session;
mod streams;
mod tables;
mod uac;
mod uas;
mod update;

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use ahash::RandomState;
use bytes::Bytes;
use hookswitch_sip_msg::{MAX_MESSAGE, Method};

use self::compose::{Branch, keep};
use self::rate::Rate;
use self::request::Desk;
use self::streams::{Stream, Towards, towards};
use self::tables::{ClientMachine, ClientTxn, Due, NO_SLOT, Owner, Tables, forget};
use crate::Time;
use crate::addresses::Addresses;
use crate::auth::Credentials;
use crate::config::EndpointConfig;
use crate::dialog::session_timer::Wishes;
use crate::dialog::{Dialog, DialogState};
use crate::error::SipError;
use crate::event::{DialogId, Event};
use crate::guard::Guard;
use crate::ids::Ids;
use crate::transaction::{Client, ClientInvite};
use crate::transport::{ConnId, Flow, NoWay, Output, PeerId, Transport};
use crate::wheel::Wheel;

/// How much is held right now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Client and server transactions.
    pub transactions: usize,
    /// Dialogs, early ones included.
    pub dialogs: usize,
    /// Timers.
    pub timers: usize,
    /// Stream connections.
    pub connections: usize,
}

/// How much arrived and was dropped without a word or refused without a trace, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Bytes that are no SIP, and responses that are malformed.
    pub garbage: u64,
    /// Responses that belong to no transaction.
    pub stray_responses: u64,
    /// ACKs that belong to no call.
    pub stray_acks: u64,
    /// Requests refused with 503 because a limit was reached.
    pub overload: u64,
    /// Datagrams beyond [`EndpointConfig::max_rate_per_source`](crate::EndpointConfig::max_rate_per_source).
    pub flood: u64,
    /// Messages of ours that came out larger than any transport carries.
    pub oversize: u64,
}

/// One SIP element. See the crate's description for how to drive it.
pub struct Endpoint {
    config: EndpointConfig,
    desk: Desk,
    ids: Ids,
    tables: Tables,
    wheel: Wheel<Due>,
    streams: HashMap<ConnId, Stream, RandomState>,
    /// The connection to send over when any to that address will do.
    stream_to: HashMap<Towards, ConnId, RandomState>,
    /// Connections to use in the place of such to where the other end listens. At most one for each connection.
    aliases: HashMap<SocketAddr, ConnId, RandomState>,
    out: VecDeque<Output>,
    dropped: Dropped,
    rate: Rate,
    guard: Guard,
    /// What we want of session timers.
    wishes: Wishes,
    last_request: u64,
    /// What the system has said of the flow of the last input.
    no_way: Option<NoWay>,
}

/// Queues that grew in a storm give their memory back behind it, down to this many entries.
const IDLE_QUEUE: usize = 1_024;

/// What a Contact of the focus of a conference says (RFC 3840 section 10.1, RFC 4579 section 5.1).
const FOCUS: &str = ";isfocus";

impl Endpoint {
    /// Why there is no way, where [`Input::Failed`](crate::Input::Failed) has just said so: what fails by it is told before
    /// the next input.
    pub const fn no_way(&self) -> Option<NoWay> {
        self.no_way
    }

    /// A new endpoint. All its random names follow from `seed`, which must therefore be secret and never used twice.
    pub fn new(mut config: EndpointConfig, seed: [u8; 32]) -> Endpoint {
        // Whoever asks for acknowledgements has to take them.
        if config.supports("100rel") && !config.allow.contains(&Method::Prack) {
            config.allow.push(Method::Prack);
        }
        let mut ids = Ids::new(seed);
        let wishes = config.wishes();
        if wishes.interval == 0 {
            config.supported.retain(|tag| !tag.eq_ignore_ascii_case("timer"));
        }
        let tables = Tables::new([ids.next(), ids.next(), ids.next(), ids.next()]);
        Endpoint {
            desk: Desk::new(&config),
            ids,
            wheel: Wheel::new(),
            streams: HashMap::with_hasher(tables.hasher.clone()),
            stream_to: HashMap::with_hasher(tables.hasher.clone()),
            aliases: HashMap::with_hasher(tables.hasher.clone()),
            tables,
            out: VecDeque::new(),
            dropped: Dropped::default(),
            rate: Rate::new(config.max_rate_per_source, config.trusted.clone()),
            no_way: None,
            guard: new_guard(&config, seed),
            wishes,
            last_request: 0,
            config,
        }
    }

    /// What must be sent or told; to be called until `None` after every other call.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.out.pop_front();
        if output.is_none() && self.out.capacity() > IDLE_QUEUE {
            self.out.shrink_to(IDLE_QUEUE);
        }
        output
    }

    /// A dialog, while it stands.
    pub fn dialog(&self, dialog: DialogId) -> Option<&Dialog> {
        self.tables.call(dialog).map(|call| &call.dialog)
    }

    /// The dialog with that Call-ID and those tags, `local_tag` being ours: that of a Replaces, for instance (RFC 3891
    /// 3). [`Dialog::state`] says how far it is, [`Dialog::role`] who called. Early dialogs are found by each of their
    /// tags.
    pub fn find_dialog(&self, call_id: &str, local_tag: &str, remote_tag: &str) -> Option<DialogId> {
        self.tables.find_call(call_id, local_tag, remote_tag).map(|(dialog, _)| dialog)
    }

    /// True when the other side has said that it takes this method, and has not refused it since.
    pub fn allows(&self, dialog: DialogId, method: &Method) -> bool {
        self.tables.call(dialog).is_some_and(|call| call.dialog.peer.allows(method))
    }

    /// True when the other side has said that it supports this extension: one of `100rel`, `timer`, `replaces`,
    /// `norefersub` and `join`; others are not remembered.
    pub fn supports(&self, dialog: DialogId, tag: &str) -> bool {
        self.tables.call(dialog).is_some_and(|call| call.dialog.peer.supports(tag))
    }

    /// Sends further requests of this dialog there: for who resolves names, or knows better.
    pub fn set_flow(&mut self, dialog: DialogId, flow: Flow) {
        if let Some(call) = self.tables.call_mut(dialog) {
            call.dialog.flow = flow;
            call.dialog.pinned = true;
        }
    }

    /// Our Contact in this dialog says from now on that we are the focus of a conference (RFC 4579 section 5.1), or does
    /// not any more. The other side learns it with what it is sent next.
    pub fn set_focus(&mut self, dialog: DialogId, on: bool) {
        if let Some(call) = self.tables.call_mut(dialog) {
            let contact = &mut call.dialog.contact;
            let plain = contact.strip_suffix(FOCUS).map_or(contact.len(), str::len);
            contact.truncate(plain);
            contact.push_str(if on { FOCUS } else { "" });
        }
    }

    /// Whoever is called back in this dialog over a new connection, once that of the dialog is gone, has to prove this.
    pub fn set_peer(&mut self, dialog: DialogId, peer: PeerId) {
        if let Some(call) = self.tables.call_mut(dialog)
            && call.dialog.flow.transport == Transport::Tls
        {
            call.dialog.flow.peer = Some(peer);
        }
    }

    /// Our addresses, and who sees which.
    pub fn addresses(&self) -> &Addresses {
        self.desk.names.addresses()
    }

    /// From now on hosts on the Internet see us there; at most one address of each family. Dialogs that stand keep what
    /// they have said until their next request.
    pub fn set_public_addresses(&mut self, public: &[IpAddr]) {
        self.desk.names.set_public(public);
    }

    /// At most so many dialogs from now on; those that there are stay.
    pub fn set_max_dialogs(&mut self, most: usize) {
        self.config.max_dialogs = most;
    }

    /// Answers challenges to further requests of this dialog with these: for calls that have come to us, and whose other
    /// end asks for a password all the same.
    pub fn set_credentials(&mut self, dialog: DialogId, credentials: Credentials) {
        if let Some(call) = self.tables.call_mut(dialog) {
            call.credentials = Some(Box::new(credentials));
        }
    }

    /// Takes over a dialog that another endpoint held, or this one before a restart. It is established, with nothing
    /// under way in it.
    ///
    /// # Errors
    ///
    /// [`SipError::DialogLimit`]; [`SipError::NotEstablished`] when it was not established or has ended.
    pub fn adopt(&mut self, dialog: Dialog) -> Result<DialogId, SipError> {
        if dialog.state != DialogState::Confirmed {
            return Err(SipError::NotEstablished);
        }
        if self.tables.calls.len() >= self.config.max_dialogs {
            return Err(SipError::DialogLimit);
        }
        let id = self.tables.add_call(dialog, None);
        self.arm_session(id);
        Ok(id)
    }

    /// How much is held right now.
    pub fn counts(&self) -> Counts {
        Counts {
            transactions: self.tables.clients.len() + self.tables.servers.len(),
            dialogs: self.tables.calls.len(),
            timers: self.wheel.len(),
            connections: self.streams.len(),
        }
    }

    /// Who is not listened to.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Who is not listened to: for whoever sees offences that the endpoint does not, or knows a party.
    pub fn guard_mut(&mut self) -> &mut Guard {
        &mut self.guard
    }

    /// How much was dropped.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    fn emit(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn send(&mut self, flow: Flow, bytes: Bytes) {
        // Nothing of that size can be received either; its transaction ends as if it was lost.
        if bytes.len() > MAX_MESSAGE {
            self.dropped.oversize += 1;
            return;
        }
        self.out.push_back(Output::Send { flow, bytes });
    }

    /// The flow with the connection that exists, or without one.
    fn live(&self, flow: Flow) -> Flow {
        if !flow.transport.reliable() || flow.conn.is_some_and(|conn| self.streams.contains_key(&conn)) {
            return flow;
        }
        Flow { conn: self.stream_to.get(&towards(&flow)).copied(), ..flow }
    }

    /// Where the next request of a dialog is sent.
    fn flow_of(&self, dialog: &Dialog) -> Flow {
        match dialog.flow.conn {
            Some(conn) if !self.streams.contains_key(&conn) => self.live(dialog.call_back()),
            Some(_) | None => self.live(dialog.flow),
        }
    }

    fn full(&self) -> bool {
        self.tables.clients.len() + self.tables.servers.len() >= self.config.max_transactions
    }

    /// Names the client transaction that [`Endpoint::start_client`] will start next.
    fn next_branch(&mut self) -> Branch {
        // The endpoint's limits keep slots far below 2^32.
        Branch { slot: self.tables.clients.vacant_key() as u32, nonce: self.ids.next() }
    }

    /// A branch that belongs to no transaction: that of an ACK to a 2xx.
    fn lone_branch(&mut self) -> Branch {
        Branch { slot: NO_SLOT, nonce: self.ids.next() }
    }

    /// Sends a request and keeps it until its transaction is over.
    fn start_client(&mut self, now: Time, mut new: NewClient) -> u32 {
        let datagrams = self.turn_to_stream(&mut new);
        let NewClient { branch, method, cseq, owner, flow, bytes, authorization, attempts } = new;
        // Whom we send requests to is heard, whoever else is behind that address.
        self.guard.know(now, flow.remote);
        let machine = match method {
            Method::Invite => ClientMachine::Invite(ClientInvite::start(now, &self.config.timers, flow.transport)),
            _ => ClientMachine::Other(Client::start(now, &self.config.timers, flow.transport)),
        };
        let timer = self.wheel.insert(machine.deadline(), Due::Client(branch.slot));
        let slot = self.tables.clients.insert(ClientTxn {
            machine,
            nonce: branch.nonce,
            owner,
            method,
            cseq,
            flow,
            bytes: keep(&bytes),
            acks: Vec::new(),
            cancel: None,
            authorization,
            attempts,
            datagrams,
            timer: Some(timer),
            next: NO_SLOT,
            prev: NO_SLOT,
        });
        debug_assert_eq!(slot, branch.slot as usize, "the branch names its slot");
        self.tables.link(slot as u32);
        self.send(flow, bytes);
        slot as u32
    }

    /// Sets a client transaction's timer to its next deadline.
    fn arm_client(&mut self, slot: u32) {
        let txn = &mut self.tables.clients[slot as usize];
        let deadline = txn.machine.deadline();
        match txn.timer {
            Some(timer) => self.wheel.reset(timer, deadline),
            None => txn.timer = Some(self.wheel.insert(deadline, Due::Client(slot))),
        }
    }

    fn arm_server(&mut self, slot: u32) {
        let txn = &mut self.tables.servers[slot as usize];
        let deadline = txn.machine.deadline();
        match txn.timer {
            Some(timer) => self.wheel.reset(timer, deadline),
            None => txn.timer = Some(self.wheel.insert(deadline, Due::Server(slot))),
        }
    }

    fn remove_client(&mut self, slot: u32) -> ClientTxn {
        self.tables.unlink(slot);
        let txn = self.tables.clients.remove(slot as usize);
        if let Some(timer) = txn.timer {
            self.wheel.remove(timer);
        }
        if let Some(cancel) = txn.cancel
            && self.tables.client(cancel).is_some()
        {
            // Its answer could not be told from a stray one any more, and it has served its purpose.
            self.remove_client(cancel.slot);
        }
        txn
    }

    fn remove_server(&mut self, slot: u32) {
        let txn = self.tables.servers.remove(slot as usize);
        if let Some(timer) = txn.timer {
            self.wheel.remove(timer);
        }
        forget(&mut self.tables.server_keys, txn.key, slot);
        if let Some(key) = txn.merge_key {
            forget(&mut self.tables.merge_keys, key, slot);
        }
        if let Some(source) = txn.pending {
            self.uncount(source);
        }
        self.no_longer_asked(txn.dialog, slot);
    }
}

/// The guard of an endpoint, which never bans whom that trusts.
fn new_guard(config: &EndpointConfig, mut seed: [u8; 32]) -> Guard {
    let mut guard = config.guard.clone();
    guard.allow.extend(&config.trusted);
    // Its names must not tell anything of those that are sent.
    seed.rotate_left(19);
    let mut ids = Ids::new(seed);
    Guard::new(guard, [ids.next(), ids.next(), ids.next(), ids.next()])
}

/// A request about to be sent.
struct NewClient {
    branch: Branch,
    method: Method,
    cseq: u32,
    owner: Owner,
    flow: Flow,
    bytes: Bytes,
    authorization: Bytes,
    attempts: u8,
}
