//! Changes of a session that we ask for: re-INVITE (RFC 3261 14.1) and UPDATE (RFC 3311 5.1), one at a time.
//!
//! ```text
//!   reinvite, update ──▶ Sent ── 2xx ─────────────▶ told
//!          │             │ ▲ └── refusal, the end ─▶ told
//!          │         491 ▼ │ after a while, or behind the ACK
//!          └──────────▶ Waiting ── met too often ──▶ told
//!    an ACK is missing
//! ```
//!
//! Each has exactly one outcome, whatever becomes of the dialog meanwhile.

use hookswitch_sip_msg::Method;

use super::Endpoint;
use super::outcome::Final;
use super::request::{Inside, check_size};
use super::tables::{Call, Due, Owner, TxnRef};
use crate::Time;
use crate::dialog::peer::Said;
use crate::dialog::{DialogState, Role};
use crate::error::SipError;
use crate::event::{DialogId, Event, FailCause};
use crate::outgoing::{Body, Header};

/// How many times a change that meets another one is sent again.
const MOST_COLLISIONS: u8 = 3;

/// What our user asked for, until its outcome is told.
pub(super) struct Change {
    way: Way,
    body: Option<Body>,
    headers: Vec<Header>,
    /// How many times it has met another one.
    collisions: u8,
    /// Its transaction; `None` while it waits to be sent again.
    sent: Option<TxnRef>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Invite,
    /// In which early dialog.
    Update(u8),
}

impl Change {
    /// An offer in an UPDATE that is on its way, in that early dialog.
    pub(super) fn is_open_update(&self, fork: u8) -> bool {
        self.way == Way::Update(fork) && self.sent.is_some() && self.body.is_some()
    }

    /// It belongs to an early dialog other than this one.
    fn is_elsewhere(&self, fork: u8) -> bool {
        matches!(self.way, Way::Update(of) if of != fork)
    }
}

/// How a change failed.
pub(super) struct Failure {
    pub(super) status: u16,
    pub(super) response: Option<hookswitch_sip_msg::Message>,
    pub(super) cause: FailCause,
}

impl Failure {
    /// It was taken back, or its dialog ended first.
    pub(super) fn cancelled() -> Failure {
        Failure { status: 487, response: None, cause: FailCause::Cancelled }
    }
}

impl Call {
    /// An INVITE may be sent inside the dialog.
    fn may_reinvite(&self) -> bool {
        !self.is_busy() && !self.awaits_answer(0) && !self.owes_answer(0)
    }

    /// Nothing is under way but the ACK to our 2xx. That is for us to wait for (RFC 3261 14.1): it may take as long as
    /// the 2xx is repeated, and our user need not know.
    fn lacks_only_ack(&self) -> bool {
        let in_the_way = self.ours.is_some() || self.theirs.is_some() || self.ack_due.is_some();
        self.unacked.is_some() && !in_the_way && !self.awaits_answer(0) && !self.owes_answer(0)
    }

    fn may_change(&self, change: &Change) -> bool {
        match change.way {
            Way::Invite => self.dialog.state == DialogState::Confirmed && self.may_reinvite(),
            Way::Update(fork) if change.body.is_some() => self.may_offer(fork),
            Way::Update(_) => self.dialog.state != DialogState::Ending,
        }
    }
}

impl Endpoint {
    /// Sends an INVITE inside the dialog, with a new offer or (without a body) to get one. What comes of it is told by
    /// [`Event::Reanswered`](crate::Event::Reanswered) or [`Event::ReinviteFailed`](crate::Event::ReinviteFailed).
    /// When it meets one from the other side (491), it is sent again after a while (RFC 3261 14.1); it waits for the
    /// ACK to a 2xx of ours.
    ///
    /// # Errors
    ///
    /// There is no such dialog or it is not established, or another change is under way in it; nothing is sent then.
    pub fn reinvite(
        &mut self,
        now: Time,
        dialog: DialogId,
        body: Option<Body>,
        headers: Vec<Header>,
    ) -> Result<(), SipError> {
        let call = self.tables.call(dialog).ok_or(SipError::UnknownDialog)?;
        if call.dialog.state != DialogState::Confirmed {
            return Err(SipError::NotEstablished);
        }
        self.change(now, dialog, Change { way: Way::Invite, body, headers, collisions: 0, sent: None })
    }

    /// Sends an UPDATE, with a new offer or to say something by its headers; what comes of it is told by
    /// [`Event::Updated`](crate::Event::Updated) or [`Event::UpdateFailed`](crate::Event::UpdateFailed). `fork` is the
    /// early dialog of an INVITE of ours, and of no meaning once that is answered. When the offer meets one from the
    /// other side (491), it is sent again after a while.
    ///
    /// # Errors
    ///
    /// There is no such dialog or early dialog, or an offer is without answer in it in either direction, which in an
    /// early dialog includes that of the INVITE (RFC 3311 5.1); nothing is sent then.
    pub fn update(
        &mut self,
        now: Time,
        dialog: DialogId,
        fork: u8,
        body: Option<Body>,
        headers: Vec<Header>,
    ) -> Result<(), SipError> {
        let call = self.tables.call(dialog).ok_or(SipError::UnknownDialog)?;
        let fork = if call.dialog.state == DialogState::Early { fork } else { 0 };
        let inside = call.dialog_at(fork).ok_or(SipError::NotEstablished)?;
        if inside.remote_tag.is_empty() || call.dialog.state == DialogState::Ending {
            return Err(SipError::NotEstablished);
        }
        self.change(now, dialog, Change { way: Way::Update(fork), body, headers, collisions: 0, sent: None })
    }

    fn change(&mut self, now: Time, id: DialogId, change: Change) -> Result<(), SipError> {
        check_size(&change.headers, change.body.as_ref())?;
        let full = self.full();
        let call = self.tables.call_mut(id).ok_or(SipError::UnknownDialog)?;
        if call.bye_due.is_some() {
            return Err(SipError::NotEstablished);
        }
        // What our user knows nothing of is waited for: a refresh, or an ACK.
        let waits = (call.refreshing || call.lacks_only_ack()) && call.dialog.state == DialogState::Confirmed;
        if call.change.is_some() || !(waits || call.may_change(&change)) {
            return Err(SipError::Pending);
        }
        if full {
            return Err(SipError::TransactionLimit);
        }
        call.change = Some(Box::new(change));
        if !waits {
            self.send_change(now, id);
        }
        Ok(())
    }

    /// Sends the change that has waited for the end of a refresh, for an ACK, or for an INVITE of theirs that came
    /// meanwhile.
    pub(super) fn send_waiting_change(&mut self, now: Time, id: DialogId) {
        let waits = |call: &Call| {
            let unsent = call.change.as_ref().is_some_and(|change| change.sent.is_none());
            unsent && call.retry.is_none() && call.unacked.is_none() && call.theirs.is_none()
        };
        if self.tables.call(id).is_some_and(waits) {
            self.on_retry_time(now, id);
        }
    }

    fn send_change(&mut self, now: Time, id: DialogId) {
        let Some(mut change) = self.tables.call_mut(id).and_then(|call| call.change.take()) else {
            return;
        };
        let (method, owner, fork) = match change.way {
            Way::Invite => (Method::Invite, Owner::Reinvite(id), 0),
            Way::Update(fork) => (Method::Update, Owner::Update(id), fork),
        };
        let Some(dialog) = self.tables.call_mut(id).and_then(|call| call.dialog_at_mut(fork)) else {
            return;
        };
        let cseq = dialog.next_seq();
        let terms = self.session_terms(id);
        let what =
            Inside { headers: &change.headers, body: change.body.as_ref(), fork, terms, ..Inside::new(method, cseq) };
        let slot = self.send_inside(now, id, owner, &what);
        let invite = change.way == Way::Invite;
        change.sent = slot.map(|slot| TxnRef { slot, nonce: self.tables.clients[slot as usize].nonce });
        if let Some(call) = self.tables.call_mut(id) {
            if invite {
                call.ours = slot;
                call.offered = change.body.is_some();
            }
            call.change = Some(change);
        }
    }

    /// The change is sent again as another transaction, with credentials for instance.
    pub(super) fn change_moved(&mut self, id: DialogId, txn: TxnRef) {
        if let Some(change) = self.tables.call_mut(id).and_then(|call| call.change.as_deref_mut()) {
            change.sent = Some(txn);
        }
    }

    /// Our change met one of theirs: who made the Call-ID waits longer, so that they do not meet again (RFC 3261 14.1,
    /// RFC 3311 5.3).
    pub(super) fn retry_later(&mut self, now: Time, id: DialogId) -> bool {
        let step = |ids: &mut crate::ids::Ids, least: u64, most: u64| {
            core::time::Duration::from_millis(least + 10 * ids.below((most - least) / 10 + 1))
        };
        let Some(call) = self.tables.call_mut(id) else {
            return false;
        };
        let Some(change) = call.change.as_deref_mut().filter(|change| change.collisions < MOST_COLLISIONS) else {
            return false;
        };
        change.collisions += 1;
        change.sent = None;
        let wait = match call.dialog.role {
            Role::Caller => step(&mut self.ids, 2_100, 4_000),
            Role::Callee => step(&mut self.ids, 0, 2_000),
        };
        call.retry = Some(self.wheel.insert(now + wait, Due::Retry(id)));
        true
    }

    pub(super) fn on_retry_time(&mut self, now: Time, id: DialogId) {
        let Some(call) = self.tables.call_mut(id) else {
            return;
        };
        call.retry = None;
        let ready = call.change.as_ref().map(|change| call.may_change(change));
        match ready {
            Some(true) => self.send_change(now, id),
            // Theirs is still under way; ours would only meet it again.
            Some(false) if !self.retry_later(now, id) => {
                self.fail_change(id, Failure { status: 491, response: None, cause: FailCause::Response });
            }
            Some(false) | None => {}
        }
    }

    /// A change that waits to be sent again is taken back.
    pub(super) fn forget_waiting_change(&mut self, id: DialogId) {
        let Some(call) = self.tables.call_mut(id) else {
            return;
        };
        if call.change.as_ref().is_some_and(|change| change.way == Way::Invite && change.sent.is_none()) {
            if let Some(timer) = call.retry.take() {
                self.wheel.remove(timer);
            }
            self.fail_change(id, Failure::cancelled());
        }
    }

    /// An UPDATE of ours whose early dialog did not become the call.
    pub(super) fn forget_change_elsewhere(&mut self, id: DialogId, fork: u8) {
        let Some(call) = self.tables.call_mut(id) else {
            return;
        };
        match call.change.as_deref_mut() {
            Some(change) if change.is_elsewhere(fork) => {
                if let Some(timer) = call.retry.take() {
                    self.wheel.remove(timer);
                }
                self.fail_change(id, Failure::cancelled());
            }
            Some(Change { way: Way::Update(of), .. }) => *of = 0,
            Some(_) | None => {}
        }
    }

    /// The change has failed for good.
    pub(super) fn fail_change(&mut self, id: DialogId, failure: Failure) {
        if let Some(change) = self.tables.call_mut(id).and_then(|call| call.change.take()) {
            self.tell_failure(id, &change, failure);
        }
    }

    pub(super) fn tell_failure(&mut self, dialog: DialogId, change: &Change, failure: Failure) {
        let Failure { status, response, cause } = failure;
        self.emit(match change.way {
            Way::Invite => Event::ReinviteFailed { dialog, status, response, cause },
            Way::Update(fork) => Event::UpdateFailed { dialog, fork, status, response, cause },
        });
    }

    /// True when this transaction is that of the change under way.
    pub(super) fn is_change(&self, id: DialogId, txn: TxnRef) -> bool {
        let change = self.tables.call(id).and_then(|call| call.change.as_ref());
        change.is_some_and(|change| change.sent == Some(txn))
    }

    /// A final response to an UPDATE of ours.
    pub(super) fn on_updated(&mut self, now: Time, id: DialogId, answer: Final) {
        if !self.is_change(id, answer.txn) {
            return;
        }
        let status = answer.status;
        if status == 491 && self.retry_later(now, id) {
            return;
        }
        let Some(call) = self.tables.call_mut(id) else {
            return;
        };
        let fork = match call.change.as_ref().map(|change| change.way) {
            Some(Way::Update(fork)) => fork,
            Some(Way::Invite) | None => return,
        };
        if let Some(dialog) = call.dialog_at_mut(fork) {
            match status {
                ..300 => dialog.refresh(&answer.response, answer.flow),
                // Whatever its Allow says, there is no use in asking again.
                405 | 501 => dialog.peer.refuses(&Method::Update),
                _ => {}
            }
        }
        if status < 300 {
            call.change = None;
            let said = Said::by(&answer.response);
            if let Some(dialog) = call.dialog_at_mut(fork) {
                dialog.peer.hear(&said);
            }
            if call.dialog.state == DialogState::Confirmed {
                self.session_accepted(now, id, &said);
            }
            self.emit(Event::Updated { dialog: id, fork, response: answer.response });
            return;
        }
        self.fail_change(id, Failure { status, response: Some(answer.response), cause: FailCause::Response });
        self.end_if_gone(now, id, status);
    }
}
