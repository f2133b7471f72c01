//! Inside a dialog: the other side's requests, and how dialogs end.

use hookswitch_sip_msg::{HeaderName, Message, Method};

use super::Endpoint;
use super::change::Failure;
use super::receive::Told;
use super::request::{Inside, refreshes_target};
use super::tables::{Asked, AskedKind, Call, Owner, ServerMachine};
use super::uas::Fresh;
use crate::Time;
use crate::dialog::peer::Said;
use crate::dialog::session_timer::SessionTimer;
use crate::dialog::{DialogState, Role};
use crate::event::{DialogId, Ender, Event, TxnId};
use crate::outgoing::{Header, Response};

impl Endpoint {
    /// A checked request, neither ACK nor CANCEL, inside a dialog that stands.
    pub(super) fn on_dialog_request(&mut self, now: Time, fresh: Fresh<'_>, (id, fork): (DialogId, u8)) -> Told {
        let (flow, request, cseq) = (fresh.flow, fresh.request, fresh.facts.cseq);
        let full = self.full();
        let Some(call) = self.tables.call_mut(id) else {
            return Told::Nothing;
        };
        let Some(dialog) = call.dialog_at_mut(fork) else {
            return Told::Nothing;
        };
        if dialog.remote_seq.is_some_and(|last| cseq < last) {
            return self.refuse(flow, request, 500, Some("CSeq Out Of Order"), &[]);
        }
        let too_early = call.dialog.state == DialogState::Early && call.dialog.role == Role::Caller;
        let ending = call.dialog.state == DialogState::Ending;
        match fresh.facts.method {
            Method::Bye if too_early => self.refuse(flow, request, 481, None, &[]),
            Method::Bye => self.on_bye(now, fresh, id),
            _ if ending => self.refuse(flow, request, 481, None, &[]),
            Method::Invite if too_early => self.refuse_meanwhile(now, &fresh, id, Response::new(491)),
            Method::Invite => self.on_reinvite(now, fresh, id),
            _ if full => self.refuse_overload(flow, request),
            Method::Prack => self.on_prack(now, fresh, id),
            Method::Update => self.on_update(now, fresh, id, fork),
            method => {
                if let Some(dialog) = call.dialog_at_mut(fork) {
                    dialog.remote_seq = Some(cseq);
                    if refreshes_target(method) {
                        dialog.refresh(request, flow);
                    }
                }
                let slot = self.start_server(now, &fresh, None, Some(id));
                Told::Request(self.ask(id, slot, AskedKind::Other), Some(id))
            }
        }
    }

    /// Refuses a request for what is under way in its dialog. That may be over when the same request comes once more,
    /// and whoever has been refused must not be accepted then: the answer is kept (RFC 3261 17.2).
    pub(super) fn refuse_meanwhile(&mut self, now: Time, fresh: &Fresh<'_>, id: DialogId, response: Response) -> Told {
        if self.full() {
            return self.refuse_overload(fresh.flow, fresh.request);
        }
        let slot = self.start_server(now, fresh, None, Some(id));
        self.send_response(now, slot, &response);
        Told::Nothing
    }

    /// Remembers a request that our user is to answer, as long as the dialog stands.
    pub(super) fn ask(&mut self, id: DialogId, slot: u32, kind: AskedKind) -> TxnId {
        if let Some(call) = self.tables.call_mut(id) {
            call.asked.push(Asked { slot, kind });
        }
        self.tables.servers[slot as usize].id
    }

    fn on_bye(&mut self, now: Time, fresh: Fresh<'_>, id: DialogId) -> Told {
        let slot = self.start_server(now, &fresh, None, Some(id));
        self.send_response(now, slot, &Response::new(200));
        let early = self.tables.call(id).is_some_and(|call| call.dialog.state == DialogState::Early);
        if early {
            // The caller ends the early dialog instead of cancelling (RFC 3261 15.1.2).
            self.respond(now, id, Response::new(487));
            return Told::Cancelled(id);
        }
        let unacked = self.tables.call(id).and_then(|call| call.unacked);
        let starts = |txn: u32| self.tables.servers.get(txn as usize).is_some_and(|txn| txn.merge_key.is_some());
        if unacked.is_some_and(|unacked| starts(unacked.txn))
            && let Some(call) = self.tables.call_mut(id)
        {
            // A caller that gives up while it rings may not have heard our 2xx, which is owed to it all the same: it is
            // repeated until its ACK comes (RFC 3261 13.3.1.4, RFC 5407 3.1.3).
            call.unacked = None;
        }
        self.finish_call(now, id);
        Told::Ended(id)
    }

    /// The rules about INVITEs that meet (RFC 3261 14.2, RFC 5407 3.1.4 and 3.1.5).
    fn on_reinvite(&mut self, now: Time, fresh: Fresh<'_>, id: DialogId) -> Told {
        let (flow, request) = (fresh.flow, fresh.request);
        let Some(call) = self.tables.call(id) else {
            return Told::Nothing;
        };
        // While the ACK that carries the answer is due, another offer would meet the first.
        if call.theirs.is_none() && (call.ack_due.is_some() || call.awaits_answer(0)) {
            return self.refuse_meanwhile(now, &fresh, id, Response::new(491));
        }
        if call.theirs.is_some() || call.owes_answer(0) {
            return self.refuse_for_now(now, &fresh, id);
        }
        let (unacked, ends) = (call.unacked, call.bye_due.is_some());
        if self.full() && !ends {
            return self.refuse_overload(flow, request);
        }
        let said = Said::by(request);
        if let (Some(min_se), false) = (SessionTimer::refuses(&said, &self.wishes), ends) {
            return self.refuse(flow, request, 422, None, &[(HeaderName::MinSe, &min_se.to_string())]);
        }
        // Whoever sends this has got our 2xx, so that its ACK may be taken as lost.
        if let Some(unacked) = unacked {
            self.stop_repeating(now, unacked.txn);
        }
        if ends {
            // Our BYE has waited for that only; this request is as good as behind it (RFC 5407 3.1.4).
            if let Some(call) = self.tables.call_mut(id) {
                call.unacked = None;
            }
            self.refuse(flow, request, 481, None, &[]);
            self.on_acked(now, id);
            return Told::Nothing;
        }
        let slot = self.start_server(now, &fresh, None, Some(id));
        if let Some(call) = self.tables.call_mut(id) {
            call.unacked = None;
            call.dialog.remote_seq = Some(fresh.facts.cseq);
            call.dialog.refresh(request, flow);
            call.dialog.peer.hear(&said);
            call.theirs = Some(fresh.received(slot, &said));
        }
        Told::Reinvite(id)
    }

    /// An ACK that belongs to no refusal: that to a 2xx of ours, or a stray one.
    pub(super) fn on_lone_ack(&mut self, now: Time, request: &Message) -> Told {
        let Some((id, txn)) = self.acked_by(request) else {
            match self.acked_behind_bye(request) {
                Some(txn) => self.stop_repeating(now, txn),
                None => self.dropped.stray_acks += 1,
            }
            return Told::Nothing;
        };
        self.stop_repeating(now, txn);
        if let Some(call) = self.tables.call_mut(id) {
            call.unacked = None;
        }
        Told::Acked(id)
    }

    /// The dialog whose 2xx a request acknowledges, and the transaction of that.
    fn acked_by(&self, request: &Message) -> Option<(DialogId, u32)> {
        let (from, to) = (request.from().ok()?, request.to().ok()?);
        let id = self.tables.find_call(request.call_id().ok()?, to.tag()?, from.tag().unwrap_or_default())?.0;
        let unacked = self.tables.call(id)?.unacked?;
        (unacked.cseq == request.cseq().ok()?.number).then_some((id, unacked.txn))
    }

    /// The transaction of a 2xx that a request acknowledges, where the caller has hung up before that.
    fn acked_behind_bye(&self, request: &Message) -> Option<u32> {
        let (call_id, cseq, from) = (request.call_id().ok()?, request.cseq().ok()?.number, request.from().ok()?);
        let invite = (call_id, from.tag().unwrap_or_default(), cseq, Method::Invite.as_str());
        let slot = *self.tables.merge_keys.get(&self.tables.hash(invite))?;
        match &self.tables.servers.get(slot as usize)?.machine {
            ServerMachine::Invite(machine) => machine.awaits_ack().then_some(slot),
            ServerMachine::Other(_) => None,
        }
    }

    /// What waited for that ACK.
    pub(super) fn on_acked(&mut self, now: Time, id: DialogId) {
        match self.tables.call_mut(id).and_then(|call| call.bye_due.take()) {
            Some(headers) => self.bye(now, id, headers),
            None => self.send_waiting_change(now, id),
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
    /// refused with 480 is gone without a word, unless it had been given a 2xx that still waits for a PRACK.
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
                let answered = call.holds_answer();
                self.respond(now, dialog, Response { headers, ..Response::new(480) });
                if answered {
                    self.emit(Event::Ended { dialog, by: Ender::Local, request: None });
                }
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
        self.end_call(now, id, by);
    }

    /// An established dialog is over, other than by the other side's BYE.
    pub(super) fn end_call(&mut self, now: Time, id: DialogId, by: Ender) {
        if self.finish_call(now, id) {
            self.emit(Event::Ended { dialog: id, by, request: None });
        }
    }

    /// Answers and stops what is under way in a dialog that is over; false when it is gone already.
    fn finish_call(&mut self, now: Time, id: DialogId) -> bool {
        if self.tables.call(id).is_some_and(|call| call.theirs.is_some()) {
            self.respond(now, id, Response::new(487));
        }
        let Some(call) = self.drop_call(now, id) else {
            return false;
        };
        if let Some(unacked) = call.unacked {
            self.stop_repeating(now, unacked.txn);
        }
        true
    }

    /// Takes a call out with its timers.
    pub(super) fn take_call(&mut self, id: DialogId) -> Option<Call> {
        let call = self.tables.take_call(id)?;
        let unpracked = call.reliable.as_ref().and_then(|reliable| reliable.timer());
        for timer in [call.retry, call.session_timer, unpracked].into_iter().flatten() {
            self.wheel.remove(timer);
        }
        Some(call)
    }

    /// Forgets a call; its transactions end by themselves.
    pub(super) fn drop_call(&mut self, now: Time, id: DialogId) -> Option<Call> {
        let mut call = self.take_call(id)?;
        if let Some(change) = call.change.take() {
            self.tell_failure(id, &change, Failure::cancelled());
        }
        // Whoever asked something is still owed an answer (RFC 3261 15.1.2).
        for asked in std::mem::take(&mut call.asked) {
            self.send_response(now, asked.slot, &Response::new(487));
        }
        Some(call)
    }
}
