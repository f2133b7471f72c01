//! What the endpoint holds: transactions, calls, and the ways to find them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::net::IpAddr;

use ahash::RandomState;
use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_sip_msg::Method;
use slab::Slab;

use super::change::Change;
use super::compose::Head;
use super::fork::Early;
use super::reliable::Reliable;
use crate::Time;
use crate::auth::Credentials;
use crate::dialog::Dialog;
use crate::dialog::session_timer::{Asks, Terms};
use crate::event::{DialogId, RequestId, TxnId};
use crate::outgoing::{Header, Rel100};
use crate::timers::Timers;
use crate::transaction::{Client, ClientInvite, Fired, Repeated, Server, ServerInvite};
use crate::transport::Flow;
use crate::wheel::TimerKey;

/// Tables smaller than this many entries keep their memory when they become empty.
const IDLE: usize = 1_024;

/// End of a list of slots.
pub(super) const NO_SLOT: u32 = u32::MAX;

/// What a timer in the wheel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Client(u32),
    Server(u32),
    /// A change that met another one is to be tried again.
    Retry(DialogId),
    /// A reliable provisional response has no PRACK.
    Unpracked(DialogId),
    /// A session is to be refreshed, or has expired.
    Session(DialogId),
    /// A stream holds half a message.
    Partial(crate::transport::ConnId),
}

pub(super) enum ClientMachine {
    Invite(ClientInvite),
    Other(Client),
}

impl ClientMachine {
    pub(super) fn deadline(&self) -> Time {
        match self {
            ClientMachine::Invite(machine) => machine.deadline(),
            ClientMachine::Other(machine) => machine.deadline(),
        }
    }

    pub(super) fn on_time(&mut self, now: Time, timers: &Timers) -> Fired {
        match self {
            ClientMachine::Invite(machine) => machine.on_time(now),
            ClientMachine::Other(machine) => machine.on_time(now, timers),
        }
    }

    pub(super) fn awaits_final(&self) -> bool {
        match self {
            ClientMachine::Invite(machine) => machine.awaits_final(),
            ClientMachine::Other(machine) => machine.awaits_final(),
        }
    }
}

/// On whose behalf a request was sent.
#[derive(Debug, Clone)]
pub(super) enum Owner {
    /// The INVITE that starts a call.
    Invite(DialogId),
    /// An INVITE inside one.
    Reinvite(DialogId),
    /// An UPDATE inside one.
    Update(DialogId),
    /// The BYE that ends one.
    Bye(DialogId),
    /// A refresh of its session.
    Refresh(DialogId),
    /// A PRACK in an early dialog of one.
    Prack(DialogId),
    /// A request of the user.
    Request { id: RequestId, dialog: Option<DialogId>, credentials: Option<Box<Credentials>> },
    /// Nobody waits for the outcome: CANCEL, and what is left of calls that ended.
    Nobody,
}

/// A request that we sent.
pub(super) struct ClientTxn {
    pub(super) machine: ClientMachine,
    pub(super) nonce: u64,
    pub(super) owner: Owner,
    pub(super) method: Method,
    pub(super) cseq: u32,
    pub(super) flow: Flow,
    /// The request while it may be repeated, cancelled or tried again; after a refusal of an INVITE, its ACK.
    pub(super) bytes: Bytes,
    /// ACKs to 2xx by the tag they are for, the endpoint's own for losing forks included.
    pub(super) acks: Vec<(CompactString, Flow, Bytes)>,
    /// The CANCEL of this INVITE, which shares its branch.
    pub(super) cancel: Option<TxnRef>,
    /// Answer to a challenge, as a line, which the ACK to a 2xx must repeat (RFC 3261 22.1).
    pub(super) authorization: Bytes,
    /// How many times credentials have been tried before this request.
    pub(super) attempts: u8,
    /// Where it would have gone by UDP, had it not been too large.
    pub(super) datagrams: Option<Box<Flow>>,
    pub(super) timer: Option<TimerKey>,
    /// Neighbours in the list of transactions over the same flow.
    pub(super) next: u32,
    pub(super) prev: u32,
}

pub(super) enum ServerMachine {
    Invite(ServerInvite),
    Other(Server),
}

impl ServerMachine {
    pub(super) fn deadline(&self) -> Time {
        match self {
            ServerMachine::Invite(machine) => machine.deadline(),
            ServerMachine::Other(machine) => machine.deadline(),
        }
    }

    pub(super) fn on_send(&mut self, now: Time, timers: &Timers, status: u16) -> bool {
        match self {
            ServerMachine::Invite(machine) => machine.on_send(now, timers, status),
            ServerMachine::Other(machine) => machine.on_send(now, timers, status),
        }
    }

    pub(super) fn on_repeat(&self) -> Repeated {
        match self {
            ServerMachine::Invite(machine) => machine.on_repeat(),
            ServerMachine::Other(machine) => machine.on_repeat(),
        }
    }

    pub(super) fn on_time(&mut self, now: Time, timers: &Timers) -> Fired {
        match self {
            ServerMachine::Invite(machine) => machine.on_time(now, timers),
            ServerMachine::Other(machine) => machine.on_time(now),
        }
    }

    pub(super) fn awaits_final(&self) -> bool {
        match self {
            ServerMachine::Invite(machine) => machine.awaits_final(),
            ServerMachine::Other(machine) => machine.awaits_final(),
        }
    }
}

/// What a 2xx to a request tells beyond what it is asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Adds {
    /// Where we are, and what we can do: INVITE.
    ContactAndAbilities,
    /// Where we are: other requests that make or refresh a dialog.
    Contact,
    /// What we can do: OPTIONS.
    Abilities,
    Nothing,
}

/// A request that we received.
pub(super) struct ServerTxn {
    pub(super) machine: ServerMachine,
    pub(super) id: TxnId,
    pub(super) key: u64,
    /// Finds copies of the request that took another way (RFC 3261 8.2.2.2).
    pub(super) merge_key: Option<u64>,
    pub(super) flow: Flow,
    /// Where responses go when the stream they should go back on is gone.
    pub(super) reply_port: u16,
    pub(super) head: Option<Head>,
    /// The last response, while it may be repeated.
    pub(super) last: Bytes,
    pub(super) dialog: Option<DialogId>,
    pub(super) adds: Adds,
    /// What a 2xx says about the session.
    pub(super) terms: Option<Terms>,
    /// The source it is counted under while it awaits a final answer.
    pub(super) pending: Option<IpAddr>,
    pub(super) timer: Option<TimerKey>,
}

/// A CANCEL that has been asked for.
#[derive(Debug)]
pub(super) enum Cancel {
    /// It waits for a provisional response.
    Wanted(Option<Box<str>>),
    /// It is on its way.
    Sent,
}

/// An INVITE of theirs that waits for our answer, and then for the ACK to our 2xx.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received {
    pub(super) txn: u32,
    /// Its number, which the ACK repeats; other requests may have come since.
    pub(super) cseq: u32,
    /// It carries an offer; else our 2xx does, and the ACK carries the answer.
    pub(super) offered: bool,
    /// Whether its sender takes reliable provisional responses.
    pub(super) rel100: Rel100,
    /// What its sender asks of the session.
    pub(super) asks: Asks,
}

/// A request of theirs inside a dialog, other than INVITE, that our user has not answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) slot: u32,
    pub(super) kind: AskedKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AskedKind {
    /// A PRACK with a body.
    Prack,
    /// An UPDATE in one of the early dialogs of our INVITE, or in the only one.
    Update { offer: bool, fork: u8, asks: Asks },
    /// Anything else.
    Other,
}

/// A 2xx of theirs that our user has not acknowledged yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct AckDue {
    pub(super) txn: TxnRef,
    pub(super) cseq: u32,
}

/// A client transaction that may be gone when it is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TxnRef {
    pub(super) slot: u32,
    pub(super) nonce: u64,
}

/// A dialog and what is under way in it.
pub(super) struct Call {
    pub(super) id: DialogId,
    pub(super) key: u64,
    pub(super) dialog: Dialog,
    /// Our INVITE without final response.
    pub(super) ours: Option<u32>,
    /// Their INVITE without final response.
    pub(super) theirs: Option<Received>,
    /// Theirs that got our 2xx and has not sent its ACK.
    pub(super) unacked: Option<Received>,
    pub(super) ack_due: Option<AckDue>,
    pub(super) cancel: Option<Cancel>,
    /// A BYE that waits for the ACK to our 2xx (RFC 3261 15).
    pub(super) bye_due: Option<Vec<Header>>,
    pub(super) credentials: Option<Box<Credentials>>,
    /// A change of the session that our user asked for.
    pub(super) change: Option<Box<Change>>,
    pub(super) retry: Option<TimerKey>,
    /// Our INVITE under way carries an offer.
    pub(super) offered: bool,
    /// Early dialogs of our INVITE, when there are several or they are acknowledged.
    pub(super) early: Option<Box<Early>>,
    /// Our reliable provisional responses to their INVITE.
    pub(super) reliable: Option<Box<Reliable>>,
    pub(super) session_timer: Option<TimerKey>,
    /// A refresh of our own is on its way.
    pub(super) refreshing: bool,
    /// Their requests that our user has not answered.
    pub(super) asked: Vec<Asked>,
}

impl Call {
    /// An INVITE is under way in either direction, its ACK included.
    pub(super) fn is_busy(&self) -> bool {
        self.ours.is_some() || self.theirs.is_some() || self.ack_due.is_some() || self.unacked.is_some()
    }
}

/// The keys are hashes already.
#[derive(Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// From a keyed hash to a slot. What is found is compared with what was looked for, so a collision, which takes some
/// four thousand million entries or knowledge of the key, hides an entry and does no worse.
pub(super) type Index = HashMap<u64, u32, BuildHasherDefault<Hashed>>;

pub(super) struct Tables {
    pub(super) hasher: RandomState,
    pub(super) clients: Slab<ClientTxn>,
    pub(super) servers: Slab<ServerTxn>,
    pub(super) calls: Slab<Call>,
    pub(super) server_keys: Index,
    pub(super) merge_keys: Index,
    pub(super) call_keys: Index,
    /// First client transaction over a flow.
    pub(super) flow_keys: Index,
    pub(super) pending: HashMap<IpAddr, u32, RandomState>,
    generation: u32,
}

impl Tables {
    pub(super) fn new(seeds: [u64; 4]) -> Tables {
        let hasher = RandomState::with_seeds(seeds[0], seeds[1], seeds[2], seeds[3]);
        Tables {
            pending: HashMap::with_hasher(hasher.clone()),
            hasher,
            clients: Slab::new(),
            servers: Slab::new(),
            calls: Slab::new(),
            server_keys: Index::default(),
            merge_keys: Index::default(),
            call_keys: Index::default(),
            flow_keys: Index::default(),
            generation: 0,
        }
    }

    /// Returns the memory of a storm once nothing of it is left.
    pub(super) fn give_back(&mut self) {
        if self.clients.is_empty() && self.clients.capacity() > IDLE {
            self.clients = Slab::new();
            self.flow_keys = Index::default();
        }
        if self.servers.is_empty() && self.servers.capacity() > IDLE {
            self.servers = Slab::new();
            self.server_keys = Index::default();
            self.merge_keys = Index::default();
            self.pending.shrink_to_fit();
        }
        if self.calls.is_empty() && self.calls.capacity() > IDLE {
            self.calls = Slab::new();
            self.call_keys = Index::default();
        }
    }

    pub(super) fn hash(&self, of: impl Hash) -> u64 {
        self.hasher.hash_one(of)
    }

    pub(super) fn call_key(&self, call_id: &str, local_tag: &str) -> u64 {
        self.hash((call_id, local_tag))
    }

    /// A number that tells successive users of one slot apart.
    pub(super) fn next_id(&mut self, slot: usize) -> u64 {
        self.generation = self.generation.wrapping_add(1);
        u64::from(self.generation) << 32 | slot as u64
    }

    pub(super) fn call(&self, id: DialogId) -> Option<&Call> {
        self.calls.get(id.0 as u32 as usize).filter(|call| call.id == id)
    }

    pub(super) fn call_mut(&mut self, id: DialogId) -> Option<&mut Call> {
        self.calls.get_mut(id.0 as u32 as usize).filter(|call| call.id == id)
    }

    pub(super) fn client(&self, of: TxnRef) -> Option<&ClientTxn> {
        self.clients.get(of.slot as usize).filter(|txn| txn.nonce == of.nonce)
    }

    pub(super) fn client_mut(&mut self, of: TxnRef) -> Option<&mut ClientTxn> {
        self.clients.get_mut(of.slot as usize).filter(|txn| txn.nonce == of.nonce)
    }

    pub(super) fn server_slot(&self, id: TxnId) -> Option<u32> {
        let slot = id.0 as u32;
        self.servers.get(slot as usize).filter(|txn| txn.id == id).map(|_| slot)
    }

    /// The dialog a message inside it belongs to, and which of its early dialogs.
    pub(super) fn find_call(&self, call_id: &str, local_tag: &str, remote_tag: &str) -> Option<(DialogId, u8)> {
        let slot = *self.call_keys.get(&self.call_key(call_id, local_tag))?;
        let call = self.calls.get(slot as usize)?;
        let same = call.dialog.call_id == call_id && call.dialog.local_tag == local_tag;
        Some((call.id, call.fork_of(remote_tag).filter(|_| same)?))
    }

    pub(super) fn add_call(&mut self, dialog: Dialog, credentials: Option<Box<Credentials>>) -> DialogId {
        let key = self.call_key(&dialog.call_id, &dialog.local_tag);
        let slot = self.calls.vacant_key();
        let id = DialogId(self.next_id(slot));
        self.call_keys.insert(key, slot as u32);
        self.calls.insert(Call {
            id,
            key,
            dialog,
            ours: None,
            theirs: None,
            unacked: None,
            ack_due: None,
            cancel: None,
            bye_due: None,
            credentials,
            change: None,
            retry: None,
            offered: false,
            early: None,
            reliable: None,
            session_timer: None,
            refreshing: false,
            asked: Vec::new(),
        });
        id
    }

    pub(super) fn take_call(&mut self, id: DialogId) -> Option<Call> {
        self.call(id)?;
        let call = self.calls.remove(id.0 as u32 as usize);
        forget(&mut self.call_keys, call.key, id.0 as u32);
        Some(call)
    }

    pub(super) fn flow_key(&self, flow: &Flow) -> u64 {
        match flow.conn {
            Some(conn) => self.hash((1_u8, conn.0)),
            None => self.hash((2_u8, flow.transport, flow.remote, flow.peer)),
        }
    }

    /// Puts a client transaction into the list of its flow.
    pub(super) fn link(&mut self, slot: u32) {
        let flow = self.clients[slot as usize].flow;
        let key = self.flow_key(&flow);
        let head = self.flow_keys.insert(key, slot).unwrap_or(NO_SLOT);
        self.clients[slot as usize].next = head;
        self.clients[slot as usize].prev = NO_SLOT;
        if let Some(second) = self.clients.get_mut(head as usize) {
            second.prev = slot;
        }
    }

    /// Takes it out again.
    pub(super) fn unlink(&mut self, slot: u32) {
        let ClientTxn { flow, next, prev, .. } = self.clients[slot as usize];
        if let Some(after) = self.clients.get_mut(next as usize) {
            after.prev = prev;
        }
        if let Some(before) = self.clients.get_mut(prev as usize) {
            before.next = next;
            return;
        }
        let key = self.flow_key(&flow);
        if next == NO_SLOT {
            self.flow_keys.remove(&key);
        } else {
            self.flow_keys.insert(key, next);
        }
    }

    /// All client transactions over a flow.
    pub(super) fn over(&self, flow: &Flow) -> Vec<TxnRef> {
        let mut slot = self.flow_keys.get(&self.flow_key(flow)).copied().unwrap_or(NO_SLOT);
        std::iter::from_fn(|| {
            let txn = self.clients.get(slot as usize)?;
            let found = TxnRef { slot, nonce: txn.nonce };
            slot = txn.next;
            Some(found)
        })
        .collect()
    }
}

/// Removes an index entry unless another slot has taken its place.
pub(super) fn forget(index: &mut Index, key: u64, slot: u32) {
    if index.get(&key) == Some(&slot) {
        index.remove(&key);
    }
}
