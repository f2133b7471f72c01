//! What responses to our requests mean, and what it means that none came.

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_sip_msg::{AuthParams, HeaderName, Message, Method, reason_phrase};

use super::change::Failure;
use super::compose::{Draft, keep};
use super::fork::Heard;
use super::request::Inside;
use super::tables::{AckDue, Call, Cancel, Owner, TxnRef};
use super::{Endpoint, NewClient};
use crate::Time;
use crate::auth::{Credentials, Session};
use crate::config::MAX_FORKS;
use crate::dialog::peer::Said;
use crate::dialog::session_timer::Terms;
use crate::dialog::{Dialog, DialogState, Role};
use crate::event::{DialogId, Ender, Event, FailCause, RequestId};
use crate::transport::Flow;

/// How many times one request is sent again with what was asked for: credentials by proxies on the way and by its
/// target, each perhaps with a stale nonce, or a longer session.
const MAX_TRIES: u8 = 4;

/// A final response to a request of ours.
pub(super) struct Final {
    pub(super) txn: TxnRef,
    /// Where the response came from.
    pub(super) flow: Flow,
    pub(super) status: u16,
    pub(super) response: Message,
    /// The request it answers; empty for a repeated 2xx.
    pub(super) request: Bytes,
}

/// What changes in a request that is sent again.
pub(super) struct Again<'a> {
    pub(super) new: New<'a>,
    /// Answers to challenges, as lines.
    pub(super) authorization: Bytes,
    /// Which lines go.
    pub(super) replaces: &'a dyn Fn(HeaderName, &[u8]) -> bool,
}

/// What is added to it.
pub(super) enum New<'a> {
    /// Lines, without the end of the last.
    Line(&'a str),
    /// Another interval of the session.
    Terms(Terms),
}

/// A request that failed without a response.
fn conclusion(cause: FailCause) -> u16 {
    match cause {
        FailCause::Response => 500,
        FailCause::Timeout => 408,
        FailCause::Unreachable => 503,
        FailCause::Cancelled => 487,
    }
}

fn reason_of(response: &Message) -> CompactString {
    CompactString::from(String::from_utf8_lossy(response.reason()))
}

impl Endpoint {
    pub(super) fn on_provisional(&mut self, now: Time, txn: TxnRef, flow: Flow, status: u16, response: Message) {
        let Some(found) = self.tables.client(txn) else {
            return;
        };
        let (id, first, cseq) = match found.owner {
            Owner::Invite(id) => (id, true, found.cseq),
            Owner::Reinvite(id) => (id, false, found.cseq),
            _ => return,
        };
        let Some(call) = self.tables.call_mut(id) else {
            return;
        };
        let cancelled = call.cancel.is_some();
        if let Some(Cancel::Wanted(reason)) = &mut call.cancel {
            let reason = reason.take();
            call.cancel = Some(Cancel::Sent);
            self.cancel_now(now, txn, reason.as_deref());
        }
        if status == 100 || !first {
            return;
        }
        // What must be acknowledged is, even when nobody wants to know it any more: until then it is repeated.
        if let Heard::Told { fork, prack_due } = self.hear_provisional(now, id, cseq, flow, &response)
            && !cancelled
        {
            self.emit(Event::Progress { dialog: id, fork, prack_due, response });
        }
    }

    pub(super) fn on_final(&mut self, now: Time, answer: Final) {
        let Some(txn) = self.tables.client(answer.txn) else {
            return;
        };
        let accepted = answer.status < 300;
        let (owner, is_invite) = (txn.owner.clone(), txn.method == Method::Invite);
        if matches!(answer.status, 401 | 407) && self.try_again(now, &answer, &owner) {
            return;
        }
        if answer.status == 422 && self.ask_for_longer(now, &answer, &owner) {
            return;
        }
        match owner {
            Owner::Invite(id) if accepted => self.on_answer(now, id, answer),
            Owner::Invite(id) => self.on_refusal(now, id, answer),
            Owner::Reinvite(id) if accepted => self.on_reanswer(now, id, answer),
            Owner::Reinvite(id) => self.on_reinvite_refusal(now, id, answer),
            Owner::Update(id) => self.on_updated(now, id, answer),
            Owner::Refresh(id) => self.on_refreshed(now, id, answer),
            Owner::Bye(id) => self.end_call(now, id, Ender::Local),
            Owner::Request { id, dialog, .. } => self.on_reply(now, id, dialog, answer),
            Owner::Nobody if accepted && is_invite => self.on_orphan_answer(now, answer),
            // A refused PRACK changes nothing: the INVITE has an end of its own.
            Owner::Prack(_) | Owner::Nobody => {}
        }
    }

    /// A 2xx to the INVITE that starts a call: the first makes the dialog, others are forks or repeats.
    fn on_answer(&mut self, now: Time, id: DialogId, answer: Final) {
        if self.repeat_ack(&answer) {
            return;
        }
        let Some(txn) = self.tables.client(answer.txn) else {
            return;
        };
        let cseq = txn.cseq;
        let tag = answer.response.to().ok().and_then(|to| to.tag()).unwrap_or_default();
        let Some(call) = self.tables.call_mut(id) else {
            self.on_orphan_answer(now, answer);
            return;
        };
        match call.dialog.state {
            DialogState::Early if call.cancel.is_some() => {
                let dialog = call.fork(&answer.response, answer.flow);
                self.end_fork(now, answer.txn, dialog, cseq);
                if let Some(txn) = self.tables.client_mut(answer.txn) {
                    // Other forks may answer yet.
                    txn.owner = Owner::Nobody;
                }
                self.fail_call(now, id, 487, None, FailCause::Cancelled);
            }
            DialogState::Early => {
                let fork = call.choose(&answer.response, cseq, answer.flow);
                let said = Said::by(&answer.response);
                call.dialog.peer.hear(&said);
                call.dialog.state = DialogState::Confirmed;
                call.ours = None;
                call.ack_due = Some(AckDue { txn: answer.txn, cseq });
                self.session_accepted(now, id, &said);
                self.remember_request(id, &answer.request);
                self.forget_change_elsewhere(id, fork);
                self.emit(Event::Answered { dialog: id, fork, response: answer.response });
            }
            // A repeat, while our user has not acknowledged the first yet.
            DialogState::Confirmed | DialogState::Ending if call.dialog.remote_tag == tag => {}
            DialogState::Confirmed | DialogState::Ending => {
                let dialog = call.fork(&answer.response, answer.flow);
                self.end_fork(now, answer.txn, dialog, cseq);
            }
        }
    }

    /// A repeated 2xx gets the ACK again that the first one got.
    pub(super) fn repeat_ack(&mut self, answer: &Final) -> bool {
        let tag = answer.response.to().ok().and_then(|to| to.tag()).unwrap_or_default();
        let Some(txn) = self.tables.client(answer.txn) else {
            return false;
        };
        let Some((_, flow, ack)) = txn.acks.iter().find(|(known, ..)| known == tag) else {
            return false;
        };
        let (flow, ack) = (self.live(*flow), ack.clone());
        self.send(flow, ack);
        true
    }

    /// A 2xx that nobody wants any more: its call was cancelled, has rung for too long, or has ended since.
    fn on_orphan_answer(&mut self, now: Time, answer: Final) {
        if self.repeat_ack(&answer) {
            return;
        }
        let Some(txn) = self.tables.client(answer.txn) else {
            return;
        };
        let (flow, cseq) = (txn.flow, txn.cseq);
        if let Some(dialog) = Dialog::from_answer(&answer.response, flow) {
            self.end_fork(now, answer.txn, dialog, cseq);
        }
    }

    /// A 2xx to an INVITE inside a dialog that has ended meanwhile.
    pub(super) fn ack_orphan(&mut self, answer: &Final) {
        let Some(txn) = self.tables.client(answer.txn) else {
            return;
        };
        let cseq = txn.cseq;
        if let Some(dialog) = Dialog::from_answer(&answer.response, txn.flow) {
            self.ack_fork(answer.txn, &dialog, cseq);
        }
    }

    /// Acknowledges a 2xx and ends what it started at once (RFC 3261 13.2.2.4).
    fn end_fork(&mut self, now: Time, txn: TxnRef, dialog: Dialog, cseq: u32) {
        let flow = self.flow_of(&dialog);
        if !self.ack_fork(txn, &dialog, cseq) {
            return;
        }
        let branch = self.next_branch();
        let what = Inside::new(Method::Bye, cseq + 1);
        let bytes = self.desk.inside(&dialog, &flow, branch, &what);
        self.start_client(now, NewClient::new(branch, Method::Bye, cseq + 1, Owner::Nobody, flow, bytes));
    }

    /// Acknowledges a 2xx that makes no call of ours; false beyond the limit.
    fn ack_fork(&mut self, txn: TxnRef, dialog: &Dialog, cseq: u32) -> bool {
        let flow = self.flow_of(dialog);
        let branch = self.lone_branch();
        let ack = self.desk.inside(dialog, &flow, branch, &Inside::new(Method::Ack, cseq));
        match self.tables.client_mut(txn) {
            Some(txn) if txn.acks.len() < MAX_FORKS => {
                txn.acks.reserve_exact(1);
                txn.acks.push((dialog.remote_tag.clone(), flow, keep(&ack)));
            }
            _ => return false,
        }
        self.send(flow, ack);
        true
    }

    fn on_refusal(&mut self, now: Time, id: DialogId, answer: Final) {
        let cancelled = self.tables.call(id).is_some_and(|call| call.cancel.is_some());
        let cause = if cancelled && answer.status == 487 { FailCause::Cancelled } else { FailCause::Response };
        self.fail_call(now, id, answer.status, Some(answer.response), cause);
    }

    /// Our INVITE that starts a call has failed for good.
    pub(super) fn fail_call(
        &mut self,
        now: Time,
        id: DialogId,
        status: u16,
        response: Option<Message>,
        cause: FailCause,
    ) {
        if self.drop_call(now, id).is_some() {
            let reason = response.as_ref().map_or_else(|| CompactString::from(reason_phrase(status)), reason_of);
            self.emit(Event::Failed { dialog: id, status, reason, response, cause });
        }
    }

    fn on_reanswer(&mut self, now: Time, id: DialogId, answer: Final) {
        if self.repeat_ack(&answer) {
            return;
        }
        let Some(cseq) = self.tables.client(answer.txn).map(|txn| txn.cseq) else {
            return;
        };
        let Some(call) = self.tables.call_mut(id) else {
            self.ack_orphan(&answer);
            return;
        };
        if call.ours != Some(answer.txn.slot) {
            return;
        }
        call.ours = None;
        call.change = None;
        call.cancel = None;
        call.dialog.refresh(&answer.response, answer.flow);
        call.ack_due = Some(AckDue { txn: answer.txn, cseq });
        let said = Said::by(&answer.response);
        call.dialog.peer.hear(&said);
        self.session_accepted(now, id, &said);
        self.remember_request(id, &answer.request);
        self.emit(Event::Reanswered { dialog: id, response: answer.response });
    }

    fn on_reinvite_refusal(&mut self, now: Time, id: DialogId, answer: Final) {
        let Some(call) = self.tables.call_mut(id) else {
            return;
        };
        call.ours = None;
        let cancelled = call.cancel.take().is_some();
        if answer.status == 491 && !cancelled && self.retry_later(now, id) {
            return;
        }
        let (status, response) = (answer.status, Some(answer.response));
        let cause = if cancelled && status == 487 { FailCause::Cancelled } else { FailCause::Response };
        self.fail_change(id, Failure { status, response, cause });
        self.end_if_gone(now, id, status);
    }

    /// After 481 and 408 the dialog does not exist any more (RFC 3261 12.2.1.2). Before the ACK to our 2xx, 481 may come
    /// from somebody to whom it does not exist yet; one who has forgotten it sends no ACK either.
    pub(super) fn end_if_gone(&mut self, now: Time, id: DialogId, status: u16) {
        match status {
            481 if self.tables.call(id).is_some_and(|call| call.unacked.is_some()) => {}
            481 => self.hang_up(now, id, Ender::Gone),
            408 => self.hang_up(now, id, Ender::Unreachable),
            _ => {}
        }
    }

    fn on_reply(&mut self, now: Time, id: RequestId, dialog: Option<DialogId>, answer: Final) {
        let status = answer.status;
        let apart = self.tables.client(answer.txn).is_some_and(|txn| stands_apart(&txn.method));
        self.emit(Event::Response { id, status, response: Some(answer.response), cause: FailCause::Response });
        if let (Some(dialog), false) = (dialog, apart) {
            self.end_if_gone(now, dialog, status);
        }
    }

    /// A request of ours will get no final response.
    pub(super) fn give_up(&mut self, now: Time, slot: u32, cause: FailCause) {
        let txn = self.remove_client(slot);
        let of = TxnRef { slot, nonce: txn.nonce };
        let status = conclusion(cause);
        match txn.owner {
            Owner::Invite(id) => {
                let cancelled = self.tables.call(id).is_some_and(|call| call.cancel.is_some());
                let (status, cause) = if cancelled { (487, FailCause::Cancelled) } else { (status, cause) };
                self.fail_call(now, id, status, None, cause);
            }
            Owner::Reinvite(id) => {
                let Some(call) = self.tables.call_mut(id) else {
                    return;
                };
                call.ours = None;
                if call.cancel.take().is_some() {
                    // Without a word behind our CANCEL, it counts as cancelled (RFC 3261 9.1).
                    self.fail_change(id, Failure::cancelled());
                    return;
                }
                self.fail_change(id, Failure { status, response: None, cause });
                self.hang_up(now, id, Ender::Unreachable);
            }
            Owner::Update(id) if self.is_change(id, of) => {
                self.fail_change(id, Failure { status, response: None, cause });
                self.hang_up(now, id, Ender::Unreachable);
            }
            Owner::Update(_) => {}
            Owner::Refresh(id) => {
                if let Some(call) = self.tables.call_mut(id).filter(|call| call.refreshing) {
                    call.refreshing = false;
                    if txn.method == Method::Invite {
                        call.ours = None;
                    }
                    self.hang_up(now, id, Ender::Unreachable);
                }
            }
            Owner::Bye(id) => self.end_call(now, id, Ender::Local),
            Owner::Request { id, dialog, .. } => {
                self.emit(Event::Response { id, status, response: None, cause });
                if let (Some(dialog), false) = (dialog, stands_apart(&txn.method)) {
                    self.hang_up(now, dialog, Ender::Unreachable);
                }
            }
            Owner::Prack(_) | Owner::Nobody => {}
        }
    }

    /// Answers a challenge by sending the request again with credentials. False when that makes no sense.
    fn try_again(&mut self, now: Time, answer: &Final, owner: &Owner) -> bool {
        let Some(credentials) = self.credentials_for(owner) else {
            return false;
        };
        let Some(txn) = self.tables.client(answer.txn) else {
            return false;
        };
        let (method, attempts) = (txn.method.clone(), txn.attempts + 1);
        let (Ok(request), Ok(mut sessions)) =
            (Message::parse(answer.request.clone()), Session::each(&answer.response, &credentials))
        else {
            return false;
        };
        sessions.retain(|session| session.is_stale() || !answered(&request, answer.status, session));
        if attempts > MAX_TRIES || sessions.is_empty() {
            return false;
        }
        let uri = request.request_uri().unwrap_or_default();
        let (mut lines, mut name) = (String::new(), HeaderName::Authorization);
        for session in &mut sessions {
            let cnonce = self.ids.tag();
            let (header, value) = session.authorize(&method, uri, request.body_bytes(), &credentials, &cnonce);
            name = header;
            let end = if lines.is_empty() { "" } else { "\r\n" };
            lines = format!("{lines}{end}{}: {value}", name.as_str());
        }
        let replaces: &dyn Fn(HeaderName, &[u8]) -> bool =
            &|header, text| header == name && sessions.iter().any(|session| is_for_realm(text, session.realm()));
        let authorization = lines.clone().into();
        self.send_again(now, answer, owner, &Again { new: New::Line(&lines), authorization, replaces })
    }

    /// Sends a request of ours again as another transaction, with some of its lines replaced. False when it has been
    /// tried often enough, or cannot be read.
    pub(super) fn send_again(&mut self, now: Time, answer: &Final, owner: &Owner, again: &Again<'_>) -> bool {
        let Some(txn) = self.tables.client(answer.txn) else {
            return false;
        };
        let (method, attempts, flow, last) = (txn.method.clone(), txn.attempts + 1, self.live(txn.flow), txn.cseq);
        let Some(request) = Message::parse(answer.request.clone()).ok().filter(|_| attempts <= MAX_TRIES) else {
            return false;
        };
        let cseq = self.advance_cseq(owner, &request, last);
        let branch = self.next_branch();
        let mut draft = Draft::request(&mut self.desk.buffer, &method, request.request_uri().unwrap_or_default());
        draft.via(&flow, &self.desk.names.sent_by(&flow), branch);
        match &again.new {
            New::Line(line) => draft.lines(std::iter::once(line.as_bytes())),
            New::Terms(terms) => draft.terms(terms),
        }
        draft.cseq(cseq, &method);
        let replaced = |header: HeaderName, text: &[u8]| match header {
            HeaderName::Via | HeaderName::CSeq | HeaderName::ContentLength => true,
            other => (again.replaces)(other, text),
        };
        draft.lines(request.lines().filter(|(header, text)| !replaced(*header, text)).map(|(_, text)| text));
        let bytes = draft.finish_raw(request.body_bytes());
        if let Some(txn) = self.tables.client_mut(answer.txn) {
            txn.owner = Owner::Nobody;
        }
        let (authorization, is_invite) = (again.authorization.clone(), method == Method::Invite);
        let new = NewClient { branch, method, cseq, owner: owner.clone(), flow, bytes, authorization, attempts };
        let slot = self.start_client(now, new);
        self.moved(owner, is_invite, TxnRef { slot, nonce: branch.nonce });
        true
    }

    fn credentials_for(&self, owner: &Owner) -> Option<Box<Credentials>> {
        match owner {
            Owner::Invite(id)
            | Owner::Reinvite(id)
            | Owner::Update(id)
            | Owner::Refresh(id)
            | Owner::Bye(id)
            | Owner::Prack(id) => {
                let call = self.tables.call(*id)?;
                call.credentials.clone().filter(|_| call.cancel.is_none())
            }
            Owner::Request { dialog, credentials, .. } => {
                credentials.clone().or_else(|| self.tables.call((*dialog)?)?.credentials.clone())
            }
            Owner::Nobody => None,
        }
    }

    /// The number for a request that is sent again, in the early dialog that it belongs to.
    fn advance_cseq(&mut self, owner: &Owner, request: &Message, last: u32) -> u32 {
        let dialog = match owner {
            Owner::Invite(id)
            | Owner::Reinvite(id)
            | Owner::Update(id)
            | Owner::Refresh(id)
            | Owner::Bye(id)
            | Owner::Prack(id) => Some(*id),
            Owner::Request { dialog, .. } => *dialog,
            Owner::Nobody => None,
        };
        let tag = request.to().ok().and_then(|to| to.tag()).unwrap_or_default();
        let call = dialog.and_then(|id| self.tables.call_mut(id));
        let inside = call.and_then(|call| call.dialog_at_mut(call.fork_of(tag).unwrap_or_default()));
        inside.map_or(last + 1, Dialog::next_seq)
    }
}

/// A subscription shares the dialog of a call and has an end of its own (RFC 5057 5): that it is over says nothing
/// about the call.
fn stands_apart(method: &Method) -> bool {
    matches!(method, Method::Notify | Method::Subscribe)
}

/// The request already carries an answer for that realm.
fn answered(request: &Message, status: u16, session: &Session) -> bool {
    let name = if status == 401 { HeaderName::Authorization } else { HeaderName::ProxyAuthorization };
    request.headers(name).any(|value| realm_is(value, session.realm()))
}

/// A whole header line, compared by realm.
fn is_for_realm(line: &[u8], realm: &str) -> bool {
    let value = line.iter().position(|byte| *byte == b':').map_or(&[][..], |colon| &line[colon + 1..]);
    realm_is(value, realm)
}

fn realm_is(value: &[u8], realm: &str) -> bool {
    AuthParams::parse(value).ok().and_then(|params| params.get("realm").map(|found| found == realm)).unwrap_or(false)
}

impl NewClient {
    /// A request without credentials.
    pub(super) fn new(
        branch: super::compose::Branch,
        method: Method,
        cseq: u32,
        owner: Owner,
        flow: Flow,
        bytes: Bytes,
    ) -> NewClient {
        NewClient { branch, method, cseq, owner, flow, bytes, authorization: Bytes::new(), attempts: 0 }
    }
}

impl Call {
    /// Takes tag, target and routes from a response to the INVITE that starts this call.
    pub(super) fn learn(&mut self, response: &Message, flow: Flow) {
        self.dialog.learn(response, flow);
    }

    /// The dialog another fork has made of the same INVITE.
    pub(super) fn fork(&self, response: &Message, flow: Flow) -> Dialog {
        let mut dialog = self.dialog.clone();
        dialog.role = Role::Caller;
        dialog.learn(response, flow);
        dialog
    }
}
