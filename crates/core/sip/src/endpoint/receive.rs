//! Everything that arrives: who it belongs to, and what repeats of it do.

use std::hash::{Hash, Hasher};

use bytes::Bytes;
use hookswitch_sip_msg::{HeaderName, Message, Method, Params, Via, list_members};

use super::Endpoint;
use super::compose::Branch;
use super::outcome::Final;
use super::rate::Pace;
use super::tables::{ClientMachine, ServerMachine, TxnRef};
use crate::Time;
use crate::event::{DialogId, Ender, Event, TxnId};
use crate::guard::Offence;
use crate::stun::{answer, is_stun};
use crate::transaction::{Heard, Repeated};
use crate::transport::{Flow, Input, Output};

/// What became of a request: what to tell the user about it, which takes the request itself.
pub(super) enum Told {
    Nothing,
    Invite(DialogId),
    Reinvite(DialogId),
    Request(TxnId, Option<DialogId>),
    Prack(TxnId, DialogId),
    Update(TxnId, DialogId, u8),
    Cancelled(DialogId),
    ReinviteCancelled(DialogId),
    Acked(DialogId),
    Ended(DialogId),
}

impl Endpoint {
    /// Takes what the network brought.
    pub fn handle_input(&mut self, now: Time, input: Input) {
        if let Input::Datagram { flow, .. }
        | Input::Opened { flow }
        | Input::Stream { flow, .. }
        | Input::Message { flow, .. } = &input
            && !self.guard.admits(now, flow.remote)
        {
            return self.shut_out(now, *flow);
        }
        self.no_way = if let Input::Failed { why, .. } = &input { Some(*why) } else { None };
        match input {
            Input::Datagram { flow, bytes } => {
                let pace = self.rate.pace(now, flow.remote.ip());
                if pace != Pace::Within {
                    return self.on_flood(now, flow, pace);
                }
                if is_stun(&bytes) {
                    return match answer(&bytes, flow.remote) {
                        Some(answer) => self.send(flow, answer),
                        None => self.dropped.garbage += 1,
                    };
                }
                // Keep-alives of a datagram flow need no answer (RFC 5626 4.4.1 is for streams).
                if bytes.iter().take(4).any(|byte| !matches!(byte, b'\r' | b'\n' | 0)) {
                    self.receive(now, flow, bytes);
                }
            }
            Input::Opened { flow } => self.on_opened(flow),
            Input::Proved { flow, names } => self.on_proved(flow, names),
            Input::Stream { flow, bytes } => self.on_stream(now, flow, &bytes),
            Input::Message { flow, bytes } => self.on_message(now, flow, bytes),
            Input::Closed { flow } => self.on_closed(now, flow),
            Input::Unreachable { flow } | Input::Failed { flow, .. } => self.on_unreachable(now, flow),
        }
    }

    pub(super) fn receive(&mut self, now: Time, flow: Flow, bytes: Bytes) {
        match Message::parse(bytes) {
            Ok(message) if message.is_request() => self.on_request(now, flow, message),
            Ok(message) => self.on_response(now, flow, message),
            Err(error) => {
                let salvage = error.salvage();
                // A response that is not to be read is the bug of somebody whom we have asked.
                if salvage.is_none_or(Message::is_request) {
                    self.guard.offend(now, flow.remote, Offence::Malformed);
                }
                self.dropped.garbage += 1;
                if let Some(message) = salvage {
                    self.refuse(flow, message, error.status(), Some(&error.reason()), &[]);
                }
            }
        }
    }

    /// What a banned source says, or connects for.
    fn shut_out(&mut self, now: Time, flow: Flow) {
        match flow.conn {
            Some(conn) if self.streams.contains_key(&conn) => self.close(now, flow, conn),
            Some(_) => self.out.push_back(Output::Close { flow }),
            None => {}
        }
    }

    /// More than one address may say.
    fn on_flood(&mut self, now: Time, flow: Flow, pace: Pace) {
        self.dropped.flood += 1;
        if pace == Pace::FirstOver {
            self.guard.flooded(now, flow.remote);
        }
    }

    fn on_request(&mut self, now: Time, flow: Flow, request: Message) {
        match self.take_request(now, flow, &request) {
            Told::Nothing => {}
            Told::Invite(dialog) => self.emit(Event::Invite { dialog, request, flow }),
            Told::Reinvite(dialog) => self.emit(Event::Reinvite { dialog, request }),
            Told::Request(txn, dialog) => self.emit(Event::Request { txn, dialog, request, flow }),
            Told::Prack(txn, dialog) => self.emit(Event::Prack { dialog, txn, request }),
            Told::Update(txn, dialog, fork) => self.emit(Event::Update { dialog, fork, txn, request }),
            Told::Cancelled(dialog) => self.emit(Event::Cancelled { dialog, request }),
            Told::ReinviteCancelled(dialog) => self.emit(Event::ReinviteCancelled { dialog, request: Some(request) }),
            Told::Acked(dialog) => {
                self.emit(Event::Acked { dialog, request });
                self.on_acked(now, dialog);
            }
            Told::Ended(dialog) => self.emit(Event::Ended { dialog, by: Ender::Peer, request: Some(request) }),
        }
    }

    fn take_request(&mut self, now: Time, flow: Flow, request: &Message) -> Told {
        let (Some(method), Ok(via)) = (request.method(), request.via()) else {
            self.refuse_invalid(now, flow, request);
            return Told::Nothing;
        };
        let key = self.server_key(request, &via, method);
        if let Some(slot) = self.find_server(key, &via) {
            if *method == Method::Ack {
                return self.on_txn_ack(now, slot, request);
            }
            self.on_repeated_request(slot);
            return Told::Nothing;
        }
        self.note_alias(flow, &via);
        match method {
            Method::Ack => self.on_lone_ack(now, request),
            Method::Cancel => self.on_cancel(now, flow, request),
            _ => self.on_new_request(now, flow, request, via, key),
        }
    }

    /// The transaction a request belongs to (RFC 3261 17.2.3): by branch and sent-by, or for elements older than that
    /// by nearly everything else.
    pub(super) fn server_key(&self, request: &Message, via: &Via<'_>, method: &Method) -> u64 {
        let mut state = std::hash::BuildHasher::build_hasher(&self.tables.hasher);
        match method {
            Method::Invite | Method::Ack => state.write_u8(0),
            other => other.as_str().hash(&mut state),
        }
        via.sent_by.hash(&mut state);
        if let Some(branch) = via.unique_branch() {
            branch.hash(&mut state);
        } else {
            request.request_uri_bytes().hash(&mut state);
            request.from().ok().and_then(|from| from.tag()).hash(&mut state);
            request.call_id().ok().hash(&mut state);
            request.cseq().map(|cseq| cseq.number).ok().hash(&mut state);
            via.params.as_bytes().hash(&mut state);
        }
        state.finish()
    }

    pub(super) fn find_server(&self, key: u64, via: &Via<'_>) -> Option<u32> {
        let slot = *self.tables.server_keys.get(&key)?;
        let txn = self.tables.servers.get(slot as usize)?;
        let same = match &txn.head {
            Some(head) => head.branch() == via.branch().unwrap_or_default().as_bytes(),
            None => true,
        };
        same.then_some(slot)
    }

    fn on_repeated_request(&mut self, slot: u32) {
        let txn = &self.tables.servers[slot as usize];
        if txn.machine.on_repeat() == Repeated::Answer && !txn.last.is_empty() {
            let (flow, bytes) = (self.reply_flow(slot), txn.last.clone());
            self.send(flow, bytes);
        }
    }

    /// An ACK with the branch of an INVITE: that to a refusal, or from a sloppy client also that to a 2xx.
    fn on_txn_ack(&mut self, now: Time, slot: u32, request: &Message) -> Told {
        let txn = &mut self.tables.servers[slot as usize];
        let ServerMachine::Invite(machine) = &mut txn.machine else {
            return Told::Nothing;
        };
        if machine.is_accepted() {
            return self.on_lone_ack(now, request);
        }
        if machine.on_ack(now, &self.config.timers) {
            // Nothing is repeated any more.
            txn.last = Bytes::new();
            self.settle_server(now, slot);
        }
        Told::Nothing
    }

    /// Rearms a server transaction, or removes it when it has nothing left to wait for.
    pub(super) fn settle_server(&mut self, now: Time, slot: u32) {
        let over = {
            let machine = &self.tables.servers[slot as usize].machine;
            !machine.awaits_final() && machine.deadline() <= now
        };
        if over {
            self.remove_server(slot);
        } else {
            self.arm_server(slot);
        }
    }

    pub(super) fn settle_client(&mut self, now: Time, slot: u32) {
        let over = {
            let machine = &self.tables.clients[slot as usize].machine;
            !machine.awaits_final() && machine.deadline() <= now
        };
        if over {
            self.remove_client(slot);
        } else {
            self.arm_client(slot);
        }
    }

    fn on_response(&mut self, now: Time, flow: Flow, response: Message) {
        let Some((txn, status)) = self.client_of(&response) else {
            return;
        };
        let ring_until = now + self.config.max_ringing;
        let Some(found) = self.tables.client_mut(txn) else {
            return;
        };
        let is_first = found.machine.awaits_final();
        let heard = match &mut found.machine {
            ClientMachine::Invite(machine) => machine.on_response(now, &self.config.timers, status, ring_until),
            ClientMachine::Other(machine) => machine.on_response(now, &self.config.timers, status),
        };
        match heard {
            Heard::Nothing => {}
            Heard::Again => {
                let (flow, ack) = (found.flow, found.bytes.clone());
                let flow = self.live(flow);
                self.send(flow, ack);
            }
            Heard::Refusal => {
                let request = self.ack_refusal(txn.slot, &response);
                self.on_final(now, Final { txn, flow, status, response, request });
            }
            Heard::News if status < 200 => self.on_provisional(now, txn, flow, status, response),
            Heard::News => {
                // Behind a first 2xx, the request is kept only for an INVITE that nobody owns.
                let request = if is_first { std::mem::take(&mut found.bytes) } else { Bytes::new() };
                self.on_final(now, Final { txn, flow, status, response, request });
            }
        }
        if self.tables.client(txn).is_some() {
            self.settle_client(now, txn.slot);
        }
    }

    /// The client transaction a response answers (RFC 3261 17.1.3).
    fn client_of(&mut self, response: &Message) -> Option<(TxnRef, u16)> {
        let (Some(status), Some(via), Ok(cseq)) =
            (response.status(), response.header(HeaderName::Via), response.cseq())
        else {
            self.dropped.garbage += 1;
            return None;
        };
        let named = own_branch(via).map(|branch| TxnRef { slot: branch.slot, nonce: branch.nonce });
        // A CANCEL has the branch of its INVITE.
        let named = match cseq.method {
            Method::Cancel => named.and_then(|invite| self.tables.client(invite)?.cancel),
            _ => named,
        };
        let found = named.filter(|txn| {
            self.tables.client(*txn).is_some_and(|txn| txn.method == cseq.method && txn.cseq == cseq.number)
        });
        if found.is_none() {
            self.dropped.stray_responses += 1;
        }
        Some((found?, status))
    }
}

/// The branch in the topmost Via, if we made it. The rest of that Via is ours too and needs no look.
fn own_branch(via: &[u8]) -> Option<Branch> {
    let top = list_members(via).next()?;
    let params = top.iter().position(|byte| *byte == b';')?;
    Params::new(&top[params..]).get("branch").and_then(Branch::read)
}
