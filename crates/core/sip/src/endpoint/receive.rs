//! Everything that arrives: who it belongs to, and what repeats of it do.

use std::hash::{Hash, Hasher};

use bytes::Bytes;
use hookswitch_sip_msg::{Message, Method, NameAddr, Via};

use super::Endpoint;
use super::compose::Branch;
use super::outcome::Final;
use super::tables::{ClientMachine, ServerMachine, TxnRef};
use crate::Time;
use crate::transaction::{Heard, Repeated};
use crate::transport::{Flow, Input};

/// What a request says about itself, read once.
pub(super) struct Facts<'m> {
    pub(super) method: &'m Method,
    pub(super) via: Via<'m>,
    pub(super) call_id: &'m str,
    pub(super) from: NameAddr<'m>,
    pub(super) to: NameAddr<'m>,
    pub(super) cseq: u32,
}

impl<'m> Facts<'m> {
    /// `None` for a request that [`Message::validate`] would refuse.
    pub(super) fn read(request: &'m Message) -> Option<Facts<'m>> {
        Some(Facts {
            method: request.method()?,
            via: request.via().ok()?,
            call_id: request.call_id().ok()?,
            from: request.from().ok()?,
            to: request.to().ok()?,
            cseq: request.cseq().ok()?.number,
        })
    }

    pub(super) fn from_tag(&self) -> &'m str {
        self.from.tag().unwrap_or_default()
    }
}

impl Endpoint {
    /// Takes what the network brought.
    pub fn handle_input(&mut self, now: Time, input: Input) {
        match input {
            Input::Datagram { flow, bytes } => {
                // Keep-alives of a datagram flow need no answer (RFC 5626 4.4.1 is for streams).
                if bytes.iter().take(4).any(|byte| !matches!(byte, b'\r' | b'\n' | 0)) {
                    self.receive(now, flow, bytes);
                }
            }
            Input::Opened { flow } => self.on_opened(flow),
            Input::Stream { flow, bytes } => self.on_stream(now, flow, &bytes),
            Input::Closed { flow } => self.on_closed(now, flow),
            Input::Unreachable { flow } => self.on_unreachable(now, flow),
        }
    }

    pub(super) fn receive(&mut self, now: Time, flow: Flow, bytes: Bytes) {
        match Message::parse(bytes) {
            Ok(message) if message.is_request() => self.on_request(now, flow, message),
            Ok(message) => self.on_response(now, flow, message),
            Err(error) => {
                self.dropped.garbage += 1;
                if let Some(message) = error.salvage() {
                    self.refuse(flow, message, error.status(), Some(&error.reason()), &[]);
                }
            }
        }
    }

    fn on_request(&mut self, now: Time, flow: Flow, request: Message) {
        let (Some(method), Ok(via)) = (request.method(), request.via()) else {
            self.refuse_invalid(flow, &request);
            return;
        };
        let key = self.server_key(&request, &via, method);
        if let Some(slot) = self.find_server(key, &via) {
            match method {
                Method::Ack => self.on_txn_ack(now, slot, request),
                _ => self.on_repeated_request(slot),
            }
            return;
        }
        match method {
            Method::Ack => self.on_lone_ack(now, request),
            Method::Cancel => self.on_cancel(now, flow, request),
            _ => self.on_new_request(now, flow, request, key),
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
        if via.has_unique_branch() {
            via.branch().hash(&mut state);
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
    fn on_txn_ack(&mut self, now: Time, slot: u32, request: Message) {
        let txn = &mut self.tables.servers[slot as usize];
        let ServerMachine::Invite(machine) = &mut txn.machine else {
            return;
        };
        if machine.is_accepted() {
            self.on_lone_ack(now, request);
        } else if machine.on_ack(now, &self.config.timers) {
            // Nothing is repeated any more.
            txn.last = Bytes::new();
            self.settle_server(now, slot);
        }
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
        let (Some(status), Ok(via), Ok(cseq)) = (response.status(), response.via(), response.cseq()) else {
            self.dropped.garbage += 1;
            return None;
        };
        let named = via.branch().and_then(Branch::read).map(|branch| TxnRef { slot: branch.slot, nonce: branch.nonce });
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
