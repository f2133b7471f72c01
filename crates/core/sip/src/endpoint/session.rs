//! Session timers at work (RFC 4028): what is said about them, refreshes of our own, and the end of silent sessions.

use bytes::Bytes;
use hookswitch_sip_msg::{HeaderName, Method};

use super::Endpoint;
use super::compose::{body_of, keep};
use super::outcome::{Again, Final, New};
use super::request::Inside;
use super::tables::{AckDue, Due, Owner, TxnRef};
use crate::Time;
use crate::dialog::DialogState;
use crate::dialog::peer::Said;
use crate::dialog::session_timer::{Asks, Fired, Terms};
use crate::event::{DialogId, Ender, Event};
use crate::outgoing::Body;

impl Endpoint {
    /// What a request of ours says about the session; nothing in an early dialog.
    pub(super) fn session_terms(&self, id: DialogId) -> Option<Terms> {
        let dialog = &self.tables.call(id)?.dialog;
        if dialog.state == DialogState::Confirmed { dialog.session.ask(&self.wishes) } else { None }
    }

    /// A request of theirs that makes or refreshes a session is accepted; what our 2xx says.
    pub(super) fn accept_session(&mut self, now: Time, id: DialogId, slot: u32, asks: &Asks) {
        let wishes = self.wishes;
        let terms = self.tables.call_mut(id).and_then(|call| call.dialog.session.accept(now, asks, &wishes));
        self.tables.servers[slot as usize].terms = terms;
        self.arm_session(id);
    }

    /// A request of ours that makes or refreshes a session has got a 2xx.
    pub(super) fn session_accepted(&mut self, now: Time, id: DialogId, said: &Said) {
        let wishes = self.wishes;
        if let Some(call) = self.tables.call_mut(id) {
            call.dialog.session.accepted(now, said, &wishes);
        }
        self.arm_session(id);
    }

    /// Sets the timer of a session to its next deadline.
    pub(super) fn arm_session(&mut self, id: DialogId) {
        let Some(call) = self.tables.call_mut(id) else {
            return;
        };
        match (call.dialog.session.deadline(), call.session_timer) {
            (Some(at), Some(timer)) => self.wheel.reset(timer, at),
            (Some(at), None) => call.session_timer = Some(self.wheel.insert(at, Due::Session(id))),
            (None, Some(timer)) => {
                self.wheel.remove(timer);
                call.session_timer = None;
            }
            (None, None) => {}
        }
    }

    pub(super) fn on_session_time(&mut self, now: Time, id: DialogId) {
        let Some(call) = self.tables.call_mut(id) else {
            return;
        };
        call.session_timer = None;
        if call.dialog.state != DialogState::Confirmed {
            return;
        }
        match call.dialog.session.on_time(now) {
            Fired::Expired => self.hang_up(now, id, Ender::Expired),
            Fired::Refresh => {
                self.arm_session(id);
                self.refresh_session(now, id);
            }
            Fired::Nothing => self.arm_session(id),
        }
    }

    /// Sends a refresh unless something else is under way, which refreshes the session as well or leaves time to try
    /// again.
    fn refresh_session(&mut self, now: Time, id: DialogId) {
        let (full, terms) = (self.full(), self.session_terms(id));
        let Some(call) = self.tables.call_mut(id) else {
            return;
        };
        let at_work = call.refreshing || call.bye_due.is_some() || call.awaits_answer(0) || call.owes_answer(0);
        if full || at_work || call.is_busy() || call.change.is_some() {
            return;
        }
        let cseq = call.dialog.next_seq();
        // Without a description to repeat there is only UPDATE, whatever their Allow says.
        let sent = call.dialog.sent.clone().filter(|_| !call.dialog.peer.allows(&Method::Update));
        let method = if sent.is_some() { Method::Invite } else { Method::Update };
        let is_invite = sent.is_some();
        let what = Inside { terms, body: sent.as_deref(), ..Inside::new(method, cseq) };
        let slot = self.send_inside(now, id, Owner::Refresh(id), &what);
        if let Some(call) = self.tables.call_mut(id) {
            call.refreshing = true;
            if is_invite {
                call.ours = slot;
                call.offered = true;
            }
        }
    }

    /// A final response to a refresh of ours.
    pub(super) fn on_refreshed(&mut self, now: Time, id: DialogId, answer: Final) {
        let Some(txn) = self.tables.client(answer.txn) else {
            return;
        };
        let (cseq, is_invite) = (txn.cseq, txn.method == Method::Invite);
        let Some(call) = self.tables.call_mut(id) else {
            if is_invite && answer.status < 300 {
                self.ack_orphan(&answer);
            }
            return;
        };
        if !call.refreshing {
            self.repeat_ack(&answer);
            return;
        }
        call.refreshing = false;
        if is_invite {
            call.ours = None;
        }
        match answer.status {
            ..300 => {
                call.dialog.refresh(&answer.response, answer.flow);
                let said = Said::by(&answer.response);
                call.dialog.peer.hear(&said);
                if is_invite {
                    call.ack_due = Some(AckDue { txn: answer.txn, cseq });
                }
                self.session_accepted(now, id, &said);
                if is_invite {
                    self.ack(now, id, None);
                    self.emit(Event::Refreshed { dialog: id, response: answer.response });
                }
            }
            405 | 501 if !is_invite => call.dialog.peer.refuses(&Method::Update),
            status => self.end_if_gone(now, id, status),
        }
        self.send_waiting_change(now, id);
    }

    /// Keeps what we said last about media, to say it again in a refresh by re-INVITE. Whoever takes UPDATE needs none.
    pub(super) fn remember_sent(&mut self, id: DialogId, body: Option<&Body>) {
        let off = self.wishes.interval == 0;
        let Some(call) = self.tables.call_mut(id) else {
            return;
        };
        if off || call.dialog.peer.allows(&Method::Update) {
            call.dialog.sent = None;
        } else if let Some(body) = body {
            call.dialog.sent = Some(Box::new(Body { bytes: keep(&body.bytes), ..body.clone() }));
        }
    }

    /// The same from a request of ours that has been accepted.
    pub(super) fn remember_request(&mut self, id: DialogId, request: &Bytes) {
        let wanted = self.tables.call(id).is_some_and(|call| !call.dialog.peer.allows(&Method::Update));
        let body = if wanted && self.wishes.interval > 0 { body_of(request) } else { None };
        self.remember_sent(id, body.as_ref());
    }

    /// A 422: the request is sent again with the interval that it asks for (RFC 4028 7.3). False when that makes no
    /// sense.
    pub(super) fn ask_for_longer(&mut self, now: Time, answer: &Final, owner: &Owner) -> bool {
        let (Owner::Invite(id) | Owner::Reinvite(id) | Owner::Update(id) | Owner::Refresh(id)) = *owner else {
            return false;
        };
        let wishes = self.wishes;
        let said = Said::by(&answer.response);
        let Some(call) = self.tables.call_mut(id).filter(|call| call.cancel.is_none()) else {
            return false;
        };
        if !call.dialog.session.too_small(&said, &wishes) {
            return false;
        }
        let Some(terms) = call.dialog.session.ask(&wishes) else {
            return false;
        };
        let Some(authorization) = self.tables.client(answer.txn).map(|txn| txn.authorization.clone()) else {
            return false;
        };
        let replaces: &dyn Fn(HeaderName, &[u8]) -> bool =
            &|name, _| matches!(name, HeaderName::SessionExpires | HeaderName::MinSe);
        self.send_again(now, answer, owner, &Again { new: New::Terms(terms), authorization, replaces })
    }

    /// Where a client transaction is sent again, whoever waits for it waits for the new one.
    pub(super) fn moved(&mut self, owner: &Owner, is_invite: bool, txn: TxnRef) {
        if let (Owner::Invite(id) | Owner::Reinvite(id) | Owner::Refresh(id), true) = (owner, is_invite)
            && let Some(call) = self.tables.call_mut(*id)
        {
            call.ours = Some(txn.slot);
        }
        if let Owner::Reinvite(id) | Owner::Update(id) = owner {
            self.change_moved(*id, txn);
        }
    }
}
