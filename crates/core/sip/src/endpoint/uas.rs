//! The called side: new calls and other new requests, our answers, and CANCEL.

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_sip_msg::{HeaderName, Message, Method, Scheme};

use super::checks::without_rport;
use super::compose::{Draft, Head, keep};
use super::facts::Facts;
use super::receive::Told;
use super::request::{check_size, is_sips, route_uri, user_part};
use super::tables::{Adds, Asked, AskedKind, Received, ServerMachine, ServerTxn};
use super::uac::with_tag;
use super::{Endpoint, FOCUS};
use crate::Time;
use crate::dialog::peer::{Peer, Said};
use crate::dialog::route::{recorded_by, unfolded};
use crate::dialog::session_timer::{Asks, SessionTimer};
use crate::dialog::{Dialog, DialogState, Role};
use crate::event::{DialogId, TxnId};
use crate::outgoing::{Header, Rel100, Response};
use crate::transaction::{Server, ServerInvite};
use crate::transport::{Flow, Transport};

/// A checked request that starts a transaction.
pub(super) struct Fresh<'m> {
    pub(super) flow: Flow,
    pub(super) request: &'m Message,
    pub(super) facts: Facts<'m>,
    pub(super) key: u64,
}

impl Fresh<'_> {
    /// This INVITE, in a transaction.
    pub(super) fn received(&self, txn: u32, said: &Said) -> Received {
        let rel100 = match (said.requires_reliable(), said.takes_reliable()) {
            (true, _) => Rel100::Required,
            (false, true) => Rel100::Offered,
            (false, false) => Rel100::Off,
        };
        let offered = !self.request.body_bytes().is_empty();
        Received { txn, cseq: self.facts.cseq, offered, rel100, asks: Asks::from(said) }
    }
}

impl Endpoint {
    /// A checked request outside of any dialog.
    pub(super) fn on_lone_request(&mut self, now: Time, fresh: Fresh<'_>, merge_key: u64) -> Told {
        let (flow, request) = (fresh.flow, fresh.request);
        if *fresh.facts.method != Method::Invite {
            let slot = self.start_server(now, &fresh, Some(merge_key), None);
            return Told::Request(self.tables.servers[slot as usize].id, None);
        }
        if self.tables.calls.len() >= self.config.max_dialogs {
            return self.refuse_overload(flow, request);
        }
        let said = Said::by(request);
        if let Some(min_se) = SessionTimer::refuses(&said, &self.wishes) {
            return self.refuse(flow, request, 422, None, &[(HeaderName::MinSe, &min_se.to_string())]);
        }
        let local_tag = self.ids.tag();
        let Some(dialog) = self.callee(&fresh, local_tag) else {
            return self.refuse(flow, request, 400, Some("Bad Request - Contact or Record-Route cannot be used"), &[]);
        };
        let id = self.tables.add_call(dialog, None);
        let slot = self.start_server(now, &fresh, Some(merge_key), Some(id));
        if let Some(call) = self.tables.call_mut(id) {
            call.dialog.peer.hear(&said);
            call.theirs = Some(fresh.received(slot, &said));
        }
        Told::Invite(id)
    }

    /// The dialog this INVITE makes, seen from the called side (RFC 3261 12.1.1).
    pub(super) fn callee(&self, fresh: &Fresh<'_>, local_tag: CompactString) -> Option<Dialog> {
        let (facts, flow) = (&fresh.facts, fresh.flow);
        let routes = if facts.has_record_route { recorded_by(fresh.request).ok()? } else { Vec::new() };
        // RFC 3261 12.1.1: who came by `sips:` is answered with it.
        let first = routes.first().map_or(facts.contact, |route| route_uri(route));
        let sips = facts.uri.scheme == Scheme::Sips || first.is_some_and(is_sips);
        let mut dialog = Dialog {
            role: Role::Callee,
            state: DialogState::Early,
            call_id: facts.call_id.into(),
            local: with_tag(facts.to, &local_tag),
            local_tag,
            remote_tag: facts.from_tag.into(),
            remote: unfolded(facts.from),
            local_seq: 0,
            remote_seq: Some(facts.cseq),
            remote_target: facts.contact?.into(),
            routes,
            contact: self.contact(&flow, &facts.uri.user.map(user_part).unwrap_or_default(), sips),
            flow,
            pinned: false,
            peer: Peer::default(),
            session: SessionTimer::default(),
            may_connect: false,
            sent: None,
        };
        dialog.aim(flow, facts.via.host.ip());
        Some(dialog)
    }

    pub(super) fn start_server(
        &mut self,
        now: Time,
        fresh: &Fresh<'_>,
        merge_key: Option<u64>,
        dialog: Option<DialogId>,
    ) -> u32 {
        let &Fresh { flow, request, ref facts, key } = fresh;
        let reply_port = facts.via.port_or_default();
        let reply = match flow.transport {
            Transport::Udp if !self.config.answer_port.is_that_of(flow.remote.ip(), &facts.via) => {
                without_rport(flow, reply_port)
            }
            Transport::Udp | Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => flow,
        };
        let machine = match facts.method {
            Method::Invite => {
                let (trying_at, until) = (now + self.config.trying_after, now + self.config.max_ringing);
                ServerMachine::Invite(ServerInvite::start(trying_at, until, flow.transport))
            }
            _ => ServerMachine::Other(Server::start(now, &self.config.timers, flow.transport)),
        };
        let head = Head::new(&mut self.desk.buffer, request, facts, flow.remote);
        let pending = (self.config.max_pending_per_source > 0).then_some(flow.remote.ip());
        if let Some(source) = pending {
            self.count(source);
        }
        let id = TxnId(self.tables.next_id(self.tables.servers.vacant_key()));
        let slot = self.tables.servers.insert(ServerTxn {
            machine,
            id,
            key,
            merge_key,
            flow: reply,
            reply_port,
            head: Some(head),
            last: Bytes::new(),
            dialog,
            adds: adds(facts.method),
            terms: None,
            pending,
            timer: None,
        }) as u32;
        self.tables.server_keys.insert(key, slot);
        if let Some(key) = merge_key {
            self.tables.merge_keys.insert(key, slot);
        }
        self.arm_server(slot);
        if self.config.trying_after.is_zero() {
            self.on_server_time(now, slot);
        }
        slot
    }

    /// Where a response goes: back where the request came from, or by RFC 3261 18.2.2 to where its sender listens when
    /// that stream is gone.
    pub(super) fn reply_flow(&self, slot: u32) -> Flow {
        let txn = &self.tables.servers[slot as usize];
        let mut flow = txn.flow;
        if flow.transport.reliable() && flow.conn.is_none_or(|conn| !self.streams.contains_key(&conn)) {
            flow.remote.set_port(txn.reply_port);
            flow = self.live(flow);
        }
        flow
    }

    /// Answers [`Event::Invite`](crate::Event::Invite) or [`Event::Reinvite`](crate::Event::Reinvite). Ignored when the INVITE has got its final answer already,
    /// which may just have happened by a CANCEL.
    ///
    /// A 2xx is repeated until its ACK comes; what follows is [`Event::Acked`](crate::Event::Acked) or
    /// [`Event::Ended`](crate::Event::Ended). After a refusal of
    /// the first INVITE the dialog is gone. A response too large to send becomes 500.
    pub fn respond(&mut self, now: Time, dialog: DialogId, response: Response) {
        let Some(call) = self.tables.call_mut(dialog) else {
            return;
        };
        let Some(received) = call.theirs else {
            return;
        };
        if let Some(user) = &response.contact_user {
            let (user, flow) = (user_part(user), call.dialog.flow);
            let sips = call.dialog.contact.starts_with("<sips:");
            let is_focus = call.dialog.contact.ends_with(FOCUS);
            let contact = self.contact(&flow, &user, sips);
            if let Some(call) = self.tables.call_mut(dialog) {
                call.dialog.contact = contact;
            }
            self.set_focus(dialog, is_focus);
        }
        let response = fitting(response);
        if self.desk.reliable && received.is_reliable(&response) {
            self.respond_reliably(now, dialog, received, response);
            return;
        }
        let response = match response.status {
            ..200 => Some(response),
            _ => self.behind_reliable(dialog, response),
        };
        let Some(response) = response else {
            return;
        };
        if (200..300).contains(&response.status) {
            self.accept_session(now, dialog, received.txn, &received.asks);
            self.remember_sent(dialog, response.body.as_ref());
        }
        if !self.send_response(now, received.txn, &response) || response.status < 200 {
            return;
        }
        let Some(call) = self.tables.call_mut(dialog) else {
            return;
        };
        call.theirs = None;
        if response.status < 300 {
            call.dialog.state = DialogState::Confirmed;
            call.unacked = Some(received);
        } else if call.dialog.state == DialogState::Early {
            self.drop_call(now, dialog);
        } else {
            self.send_waiting_change(now, dialog);
        }
    }

    /// Answers [`Event::Request`](crate::Event::Request). Ignored when it has got its final answer, or the other side has given up.
    pub fn reply(&mut self, now: Time, txn: TxnId, response: Response) {
        let Some(slot) = self.tables.server_slot(txn) else {
            return;
        };
        let (dialog, accepted) = (self.tables.servers[slot as usize].dialog, response.status < 300);
        let asked = dialog.and_then(|id| self.tables.call(id)?.asked.iter().find(|asked| asked.slot == slot).copied());
        if let (Some(id), Some(Asked { kind: AskedKind::Update { asks, .. }, .. }), 200..300) =
            (dialog, asked, response.status)
        {
            self.accept_update(now, id, slot, &asks);
        }
        let response = self.with_retry_after(asked, response);
        let described = if accepted { response.body.clone() } else { None };
        if self.send_response(now, slot, &fitting(response))
            && let (Some(id), Some(asked)) = (dialog, asked)
            && self.answered(id, asked)
        {
            match asked.kind {
                AskedKind::Prack => {
                    self.remember_sent(id, described.as_ref());
                    self.on_prack_answered(now, id, accepted);
                }
                AskedKind::Update { .. } | AskedKind::Other => {}
            }
        }
    }

    /// A 500 to an UPDATE says when to try again (RFC 3311 5.2).
    fn with_retry_after(&mut self, asked: Option<Asked>, mut response: Response) -> Response {
        let is_update = asked.is_some_and(|asked| matches!(asked.kind, AskedKind::Update { .. }));
        let says_when = |header: &Header| header.known() == HeaderName::RetryAfter;
        if is_update && response.status == 500 && !response.headers.iter().any(says_when) {
            response.headers.push(Header::new(HeaderName::RetryAfter, self.retry_after()));
        }
        response
    }

    /// True when a request of theirs has got its final answer and is forgotten by that.
    fn answered(&self, id: DialogId, asked: Asked) -> bool {
        self.tables.call(id).is_some_and(|call| call.asked.iter().all(|other| other.slot != asked.slot))
    }

    /// Refuses the call of [`Event::Invite`](crate::Event::Invite), which the event has brought together with `request`
    /// and `flow`, and keeps nothing of it: no repeats, no transaction, no dialog (RFC 3261 8.2.7). Meant for whoever
    /// has not proved to be somebody: a repeat of the INVITE is told as another call, and its ACK counts as a stray
    /// one. Of the headers only those known by name are sent, and no body.
    pub fn turn_away(&mut self, dialog: DialogId, request: &Message, flow: Flow, response: &Response) {
        let Some(call) = self.tables.call(dialog) else {
            return;
        };
        let (Some(received), DialogState::Early) = (call.theirs, call.dialog.state) else {
            return;
        };
        self.take_call(dialog);
        self.remove_server(received.txn);
        self.refuse_bare(flow, request, response);
    }

    /// The same for [`Event::Request`](crate::Event::Request).
    pub fn turn_away_request(&mut self, txn: TxnId, request: &Message, flow: Flow, response: &Response) {
        if let Some(slot) = self.tables.server_slot(txn)
            && self.tables.servers[slot as usize].machine.awaits_final()
        {
            self.remove_server(slot);
            self.refuse_bare(flow, request, response);
        }
    }

    fn refuse_bare(&mut self, flow: Flow, request: &Message, response: &Response) {
        let known = response.headers.iter().filter(|header| header.known() != HeaderName::Other);
        let headers: Vec<(HeaderName, &str)> =
            known.filter_map(|header| Some((header.known(), std::str::from_utf8(header.value()).ok()?))).collect();
        self.refuse(flow, request, response.status, response.reason.as_deref(), &headers);
    }

    /// Sends a response in a transaction; false when a final one has been sent already.
    pub(super) fn send_response(&mut self, now: Time, slot: u32, response: &Response) -> bool {
        let txn = &mut self.tables.servers[slot as usize];
        let status = response.status;
        if !(100..=699).contains(&status) || !txn.machine.on_send(now, &self.config.timers, status) {
            return false;
        }
        let bytes = self.write_response(slot, response);
        let flow = self.reply_flow(slot);
        let txn = &mut self.tables.servers[slot as usize];
        // A stream repeats nothing, apart from 1xx and 2xx, which also repeat what got lost behind it.
        txn.last = keep(&bytes);
        if status >= 200 {
            txn.head = None;
            let dialog = txn.dialog;
            if let Some(source) = txn.pending.take() {
                self.uncount(source);
            }
            self.no_longer_asked(dialog, slot);
        }
        self.send(flow, bytes);
        self.settle_server(now, slot);
        true
    }

    /// A request of theirs inside a dialog has its answer, or will get none.
    pub(super) fn no_longer_asked(&mut self, dialog: Option<DialogId>, slot: u32) {
        if let Some(call) = dialog.and_then(|id| self.tables.call_mut(id))
            && !call.asked.is_empty()
        {
            call.asked.retain(|asked| asked.slot != slot);
        }
    }

    fn write_response(&mut self, slot: u32, response: &Response) -> Bytes {
        let txn = &self.tables.servers[slot as usize];
        let call = txn.dialog.and_then(|id| self.tables.call(id));
        let status = response.status;
        let mut draft = Draft::response(&mut self.desk.buffer, status, response.reason.as_deref());
        let forms_dialog = (101..=299).contains(&status);
        let fresh;
        let tag = match call {
            _ if status == 100 => None,
            Some(call) => Some(call.dialog.local_tag.as_str()),
            None => {
                fresh = self.ids.tag();
                Some(fresh.as_str())
            }
        };
        if let Some(head) = &txn.head {
            head.write(&mut draft, forms_dialog, tag);
        }
        let (contact, abilities) = match txn.adds {
            Adds::ContactAndAbilities => (forms_dialog, &*self.desk.abilities),
            Adds::Contact => (forms_dialog, ""),
            Adds::Abilities => (false, &*self.desk.full_abilities),
            Adds::Nothing => (false, ""),
        };
        // A user who names another Contact means it.
        let given = || response.headers.iter().any(|header| header.known() == HeaderName::Contact);
        if let (Some(call), true) = (call, contact && !given()) {
            draft.line("Contact", call.dialog.contact.as_bytes());
        }
        if (200..300).contains(&status) {
            draft.text(abilities);
        }
        if let (Some(terms), 200..300) = (&txn.terms, status) {
            draft.terms(terms);
        }
        if status > 100 {
            draft.text(&self.desk.server);
        }
        draft.headers(&response.headers);
        draft.finish(response.body.as_ref())
    }

    /// CANCEL is answered without a transaction: a repeat finds the INVITE still there and gets the same answer.
    pub(super) fn on_cancel(&mut self, now: Time, flow: Flow, request: &Message) -> Told {
        if let Err(error) = request.validate() {
            self.dropped.garbage += 1;
            return self.refuse(flow, request, error.status(), Some(&error.reason()), &[]);
        }
        let invite = request.via().ok().and_then(|via| {
            let key = self.server_key(request, &via, &Method::Invite);
            self.find_server(key, &via)
        });
        let Some(slot) = invite else {
            return self.refuse(flow, request, 481, None, &[]);
        };
        let txn = &self.tables.servers[slot as usize];
        let dialog = txn.dialog.and_then(|id| self.tables.call(id)).map(|call| call.dialog.local_tag.clone());
        match dialog {
            // Both answers carry the same tag (RFC 3261 9.2).
            Some(tag) => self.refuse_as(tag.as_bytes(), flow, request, 200, None, &[]),
            None => drop(self.refuse(flow, request, 200, None, &[])),
        }
        let txn = &self.tables.servers[slot as usize];
        let (Some(id), true) = (txn.dialog, txn.machine.awaits_final()) else {
            return Told::Nothing;
        };
        let first = self.tables.call(id).is_some_and(|call| call.dialog.state == DialogState::Early);
        self.respond(now, id, Response::new(487));
        if first { Told::Cancelled(id) } else { Told::ReinviteCancelled(id) }
    }
}

fn adds(method: &Method) -> Adds {
    match method {
        Method::Invite => Adds::ContactAndAbilities,
        Method::Update | Method::Subscribe | Method::Refer => Adds::Contact,
        Method::Options => Adds::Abilities,
        _ => Adds::Nothing,
    }
}

/// A response that would be too large says so instead.
fn fitting(response: Response) -> Response {
    match check_size(&response.headers, response.body.as_ref()) {
        Ok(()) => response,
        Err(_) => Response { reason: Some("Response Too Large".into()), ..Response::new(500) },
    }
}
