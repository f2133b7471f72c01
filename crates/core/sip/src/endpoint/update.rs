//! UPDATE of the other side (RFC 3311 5.2), and which offers are without answer (RFC 6337).

use hookswitch_sip_msg::{HeaderName, Method};

use super::Endpoint;
use super::fork::Exchange;
use super::receive::Told;
use super::tables::{AskedKind, Call, Received};
use super::uas::Fresh;
use crate::Time;
use crate::dialog::peer::Said;
use crate::dialog::session_timer::{Asks, SessionTimer};
use crate::dialog::{DialogState, Role};
use crate::event::DialogId;
use crate::outgoing::{Header, Response};

/// Another change may be tried again after at most so many seconds (RFC 3261 14.2, RFC 3311 5.2).
const RETRY_AFTER_MOST: u64 = 10;

impl Call {
    /// An offer of ours is without answer, or one is still to come in an INVITE of ours.
    pub(super) fn awaits_answer(&self, fork: u8) -> bool {
        let updating = self.change.as_ref().is_some_and(|change| change.is_open_update(fork));
        updating
            || match (self.dialog.state, self.dialog.role) {
                (DialogState::Early, Role::Caller) => self.ours.is_some() && self.exchange(fork) == Exchange::Open,
                (DialogState::Early, Role::Callee) => {
                    let described = self.reliable.as_ref().is_some_and(|reliable| reliable.described);
                    self.theirs.is_some_and(|theirs| !theirs.offered && described && !self.is_settled(theirs))
                }
                (DialogState::Confirmed | DialogState::Ending, _) => {
                    let unacked = self.unacked.is_some_and(|unacked| !unacked.offered && !self.is_settled(unacked));
                    unacked || self.ours.is_some()
                }
            }
    }

    /// An offer of theirs is without our answer, or an INVITE of theirs is.
    pub(super) fn owes_answer(&self, fork: u8) -> bool {
        let asked = self.asked.iter().any(|asked| match asked.kind {
            AskedKind::Prack => true,
            AskedKind::Update { offer, fork: of, .. } => offer && of == fork,
            AskedKind::Other => false,
        });
        asked
            || match (self.dialog.state, self.dialog.role) {
                (DialogState::Early, Role::Caller) => self.exchange(fork) == Exchange::Due,
                (DialogState::Early, Role::Callee) => {
                    let described = self.reliable.as_ref().is_some_and(|reliable| reliable.described);
                    self.theirs.is_some() && !described
                }
                (DialogState::Confirmed | DialogState::Ending, _) => {
                    self.theirs.is_some() || (self.ack_due.is_some() && !self.offered)
                }
            }
    }

    /// An offer of ours may be sent in an UPDATE: everything offered before is answered, and what we said in a
    /// provisional or final response has arrived.
    pub(super) fn may_offer(&self, fork: u8) -> bool {
        let heard = match (self.dialog.state, self.dialog.role) {
            (DialogState::Ending, _) => false,
            (DialogState::Early, Role::Callee) => self.theirs.is_some_and(|theirs| self.is_settled(theirs)),
            (DialogState::Early, Role::Caller) => true,
            (DialogState::Confirmed, _) => self.unacked.is_none() && self.ack_due.is_none(),
        };
        heard && !self.awaits_answer(fork) && !self.owes_answer(fork)
    }

    /// Offer and answer of that INVITE have been exchanged by reliable provisional responses and PRACK.
    pub(super) fn is_settled(&self, received: Received) -> bool {
        self.reliable.as_ref().is_some_and(|reliable| reliable.settled && reliable.cseq() == received.cseq)
    }
}

impl Endpoint {
    /// 500, to be tried again after a while.
    pub(super) fn refuse_for_now(&mut self, now: Time, fresh: &Fresh<'_>, id: DialogId) -> Told {
        let seconds = Header::new(HeaderName::RetryAfter, self.retry_after());
        self.refuse_meanwhile(now, fresh, id, Response { headers: vec![seconds], ..Response::new(500) })
    }

    /// In how many seconds another change may be tried.
    pub(super) fn retry_after(&mut self) -> String {
        self.ids.below(RETRY_AFTER_MOST + 1).to_string()
    }

    /// An UPDATE of theirs is answered with a 2xx, which refreshes the session of an established dialog.
    pub(super) fn accept_update(&mut self, now: Time, id: DialogId, slot: u32, asks: &Asks) {
        if self.tables.call(id).is_some_and(|call| call.dialog.state == DialogState::Confirmed) {
            self.accept_session(now, id, slot, asks);
        }
    }

    /// An UPDATE inside a dialog that stands.
    pub(super) fn on_update(&mut self, now: Time, fresh: Fresh<'_>, id: DialogId, fork: u8) -> Told {
        let (flow, request) = (fresh.flow, fresh.request);
        let offer = !request.body_bytes().is_empty();
        let Some(call) = self.tables.call(id) else {
            return Told::Nothing;
        };
        let is_update = |kind| matches!(kind, AskedKind::Update { fork: of, .. } if of == fork);
        if call.asked.iter().any(|asked| is_update(asked.kind)) {
            return self.refuse_for_now(now, &fresh, id);
        }
        if offer && call.awaits_answer(fork) {
            return self.refuse_meanwhile(now, &fresh, id, Response::new(491));
        }
        if offer && call.owes_answer(fork) {
            return self.refuse_for_now(now, &fresh, id);
        }
        let said = Said::by(request);
        if let Some(min_se) = SessionTimer::refuses(&said, &self.wishes) {
            return self.refuse(flow, request, 422, None, &[(HeaderName::MinSe, &min_se.to_string())]);
        }
        let asks = Asks::from(&said);
        if let Some(dialog) = self.tables.call_mut(id).and_then(|call| call.dialog_at_mut(fork)) {
            dialog.remote_seq = Some(fresh.facts.cseq);
            dialog.refresh(request, flow);
            dialog.peer.hear(&said);
            dialog.peer.uses(&Method::Update);
        }
        let slot = self.start_server(now, &fresh, None, Some(id));
        if offer {
            return Told::Update(self.ask(id, slot, AskedKind::Update { offer, fork, asks }), id, fork);
        }
        self.accept_update(now, id, slot, &asks);
        self.send_response(now, slot, &Response::new(200));
        Told::Nothing
    }
}
