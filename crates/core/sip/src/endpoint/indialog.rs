//! Inside a dialog: the other side's requests, and how dialogs end.

use hookswitch_sip_msg::{HeaderName, Message, Method};

use super::Endpoint;
use super::receive::Facts;
use super::request::{Inside, refreshes_target};
use super::tables::{Call, Owner, ServerMachine};
use super::uas::NewServer;
use crate::Time;
use crate::dialog::{DialogState, Role};
use crate::event::{DialogId, Ender, Event};
use crate::outgoing::{Header, Response};
use crate::transport::Flow;

/// A second INVITE may be tried again after at most so many seconds (RFC 3261 14.2).
const RETRY_AFTER_MOST: u64 = 10;

impl Endpoint {
    /// A checked request, neither ACK nor CANCEL, inside a dialog that stands.
    pub(super) fn on_dialog_request(&mut self, now: Time, flow: Flow, request: Message, key: u64, id: DialogId) {
        let (Some(facts), Some(call)) = (Facts::read(&request), self.tables.call_mut(id)) else {
            return;
        };
        if call.dialog.remote_seq.is_some_and(|last| facts.cseq < last) {
            self.refuse(flow, &request, 500, Some("CSeq Out Of Order"), &[]);
            return;
        }
        let too_early = call.dialog.state == DialogState::Early && call.dialog.role == Role::Caller;
        let ending = call.dialog.state == DialogState::Ending;
        match facts.method {
            Method::Bye if too_early => self.refuse(flow, &request, 481, None, &[]),
            Method::Bye => self.on_bye(now, flow, request, key, id),
            _ if ending => self.refuse(flow, &request, 481, None, &[]),
            Method::Invite if too_early => self.refuse(flow, &request, 491, None, &[]),
            Method::Invite => self.on_reinvite(now, flow, request, key, id),
            _ if self.full() => self.refuse_overload(flow, &request),
            method => {
                let refreshes = refreshes_target(method);
                let cseq = facts.cseq;
                if let Some(call) = self.tables.call_mut(id) {
                    call.dialog.remote_seq = Some(cseq);
                    if refreshes {
                        call.dialog.refresh(&request, flow);
                    }
                }
                let new = NewServer { request: &request, flow, key, merge_key: None, dialog: Some(id) };
                let slot = self.start_server(now, new);
                let txn = self.tables.servers[slot as usize].id;
                self.emit(Event::Request { txn, dialog: Some(id), request, flow });
            }
        }
    }

    fn on_bye(&mut self, now: Time, flow: Flow, request: Message, key: u64, id: DialogId) {
        let slot = self.start_server(now, NewServer { request: &request, flow, key, merge_key: None, dialog: Some(id) });
        self.send_response(now, slot, &Response::new(200));
        let early = self.tables.call(id).is_some_and(|call| call.dialog.state == DialogState::Early);
        if early {
            // The caller ends the early dialog instead of cancelling (RFC 3261 15.1.2).
            self.respond(now, id, Response::new(487));
            self.emit(Event::Cancelled { dialog: id, request });
        } else {
            self.end_call(now, id, Ender::Peer, Some(request));
        }
    }

    /// The rules about INVITEs that meet (RFC 3261 14.2, RFC 5407 3.1.4 and 3.1.5).
    fn on_reinvite(&mut self, now: Time, flow: Flow, request: Message, key: u64, id: DialogId) {
        let (Some(facts), Some(call)) = (Facts::read(&request), self.tables.call(id)) else {
            return;
        };
        if call.theirs.is_some() {
            let seconds = self.ids.below(RETRY_AFTER_MOST + 1).to_string();
            self.refuse(flow, &request, 500, None, &[(HeaderName::RetryAfter, &seconds)]);
            return;
        }
        // While the ACK that carries the answer is due, another offer would meet the first.
        let awaits_answer = call.unacked.is_some_and(|unacked| unacked.late_offer);
        if call.ours.is_some() || call.ack_due.is_some() || awaits_answer {
            self.refuse(flow, &request, 491, None, &[]);
            return;
        }
        if self.full() {
            self.refuse_overload(flow, &request);
            return;
        }
        // Whoever sends this has got our 2xx, so that its ACK may be taken as lost.
        let lost_ack = call.unacked.map(|unacked| unacked.txn);
        let cseq = facts.cseq;
        if let Some(slot) = lost_ack {
            self.stop_repeating(now, slot);
        }
        let slot = self.start_server(now, NewServer { request: &request, flow, key, merge_key: None, dialog: Some(id) });
        if let Some(call) = self.tables.call_mut(id) {
            call.unacked = None;
            call.dialog.remote_seq = Some(cseq);
            call.dialog.refresh(&request, flow);
            call.theirs = Some(slot);
            call.offered = !request.body_bytes().is_empty();
        }
        self.emit(Event::Reinvite { dialog: id, request });
    }

    /// An ACK that belongs to no refusal: that to a 2xx of ours, or a stray one.
    pub(super) fn on_lone_ack(&mut self, now: Time, request: Message) {
        let found = Facts::read(&request).and_then(|facts| {
            let id = self.tables.find_call(facts.call_id, facts.to.tag()?, facts.from_tag())?;
            Some((id, facts.cseq, self.tables.call(id)?.unacked?))
        });
        let Some((id, cseq, unacked)) = found else {
            self.dropped.stray_acks += 1;
            return;
        };
        if unacked.cseq != cseq {
            self.dropped.stray_acks += 1;
            return;
        }
        self.stop_repeating(now, unacked.txn);
        let Some(call) = self.tables.call_mut(id) else {
            return;
        };
        call.unacked = None;
        let bye = call.bye_due.take();
        self.emit(Event::Acked { dialog: id, request });
        if let Some(headers) = bye {
            self.bye(now, id, headers);
        }
    }

    /// The ACK to a 2xx has come, or is needed no more.
    fn stop_repeating(&mut self, now: Time, slot: u32) {
        let Some(txn) = self.tables.servers.get_mut(slot as usize) else {
            return;
        };
        if let ServerMachine::Invite(machine) = &mut txn.machine
            && machine.on_ack(now, &self.config.timers)
        {
            txn.last = bytes::Bytes::new();
            self.settle_server(now, slot);
        }
    }

    /// Ends a call in whatever state it is: CANCEL while we call, 480 while they do, else BYE. `headers` are added to
    /// what is sent; a Reason among them is what they are for.
    ///
    /// The BYE of a called side waits for the ACK to its 2xx (RFC 3261 15), and that of a calling side sends the ACK
    /// first. The end is told by [`Event::Ended`], or by [`Event::Failed`] for a call that was never answered; a call
    /// refused with 480 is gone without a word.
    pub fn bye(&mut self, now: Time, dialog: DialogId, headers: Vec<Header>) {
        let Some(call) = self.tables.call_mut(dialog) else {
            return;
        };
        match (call.dialog.state, call.dialog.role) {
            (DialogState::Ending, _) => {}
            (DialogState::Early, Role::Caller) => {
                let reason = headers.iter().find(|header| header.known() == HeaderName::Reason);
                let reason = reason.and_then(|header| std::str::from_utf8(header.value()).ok());
                self.cancel(now, dialog, reason);
            }
            (DialogState::Early, Role::Callee) => {
                self.respond(now, dialog, Response { headers, ..Response::new(480) });
            }
            (DialogState::Confirmed, _) if call.ack_due.is_some() => {
                call.bye_due = Some(headers);
                self.ack(now, dialog, None);
            }
            (DialogState::Confirmed, _) if call.unacked.is_some() => call.bye_due = Some(headers),
            (DialogState::Confirmed, _) => self.send_bye(now, dialog, &headers),
        }
    }

    fn send_bye(&mut self, now: Time, id: DialogId, headers: &[Header]) {
        // Their re-INVITE, if there is one, gets its answer before the dialog is over.
        if self.tables.call(id).is_some_and(|call| call.theirs.is_some()) {
            self.respond(now, id, Response::new(487));
        }
        let Some(call) = self.tables.call_mut(id) else {
            return;
        };
        call.dialog.state = DialogState::Ending;
        let cseq = call.dialog.next_seq();
        self.send_inside(now, id, Owner::Bye(id), &Inside { headers, ..Inside::new(Method::Bye, cseq) });
    }

    /// Ends an established dialog from our side without being asked: sends BYE and does not wait for its outcome.
    pub(super) fn hang_up(&mut self, now: Time, id: DialogId, by: Ender) {
        let Some(call) = self.tables.call_mut(id) else {
            return;
        };
        match call.dialog.state {
            // An INVITE that has no answer yet has its own end.
            DialogState::Early => return,
            DialogState::Confirmed => {
                let cseq = call.dialog.next_seq();
                self.send_inside(now, id, Owner::Nobody, &Inside::new(Method::Bye, cseq));
            }
            DialogState::Ending => {}
        }
        self.end_call(now, id, by, None);
    }

    /// An established dialog is over.
    pub(super) fn end_call(&mut self, now: Time, id: DialogId, by: Ender, request: Option<Message>) {
        if self.tables.call(id).is_some_and(|call| call.theirs.is_some()) {
            self.respond(now, id, Response::new(487));
        }
        let Some(call) = self.drop_call(id) else {
            return;
        };
        if let Some(unacked) = call.unacked {
            self.stop_repeating(now, unacked.txn);
        }
        self.emit(Event::Ended { dialog: id, by, request });
    }

    /// Forgets a call; its transactions end by themselves.
    pub(super) fn drop_call(&mut self, id: DialogId) -> Option<Call> {
        let call = self.tables.take_call(id)?;
        if let Some(timer) = call.retry {
            self.wheel.remove(timer);
        }
        Some(call)
    }
}
