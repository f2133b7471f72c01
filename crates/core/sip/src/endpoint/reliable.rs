//! Reliable provisional responses to their INVITE: RFC 3262 3.
//!
//! ```text
//!              respond                     PRACK
//!   Nothing ────────────▶ Waiting ─────────────────────────▶ Nothing, or the next of the queue
//!      respond: queue ──┘  │   └ T1, 2·T1, 4·T1 ...: again
//!                          └── 64·T1: 504, and the INVITE is over
//! ```
//!
//! A 2xx behind a description that has not been acknowledged waits, too; a refusal does not.

use std::collections::VecDeque;

use bytes::Bytes;
use hookswitch_sip_msg::HeaderName;

use super::Endpoint;
use super::receive::Told;
use super::tables::{AskedKind, Call, Due, Received};
use super::uas::Fresh;
use crate::Time;
use crate::config::MAX_QUEUED_PROVISIONALS;
use crate::dialog::DialogState;
use crate::dialog::peer::acknowledged_by;
use crate::event::{DialogId, Event, FailCause};
use crate::outgoing::{Header, Rel100, Response};
use crate::wheel::TimerKey;

/// The first number is drawn below this, so that no INVITE comes to the end of them (RFC 3262 3).
const FIRST_NUMBER_BELOW: u64 = 1 << 30;

/// Our reliable provisional responses to one INVITE.
pub(super) struct Reliable {
    /// Number of that INVITE.
    cseq: u32,
    /// RSeq of the last one sent.
    rseq: u32,
    status: u16,
    /// The last one has no PRACK yet.
    waiting: Option<Waiting>,
    queue: VecDeque<Response>,
    /// A 2xx that waits for the PRACK.
    held: Option<Response>,
    /// Their offer is answered, or ours is sent.
    pub(super) described: bool,
    /// Theirs and ours are both there and acknowledged.
    pub(super) settled: bool,
}

struct Waiting {
    bytes: Bytes,
    described: bool,
    interval: Time,
    until: Time,
    /// `None` behind a final answer, when nothing is repeated any more.
    timer: Option<TimerKey>,
}

impl Reliable {
    /// Number of the INVITE.
    pub(super) fn cseq(&self) -> u32 {
        self.cseq
    }

    /// The timer that repeats the last response.
    pub(super) fn timer(&self) -> Option<TimerKey> {
        self.waiting.as_ref().and_then(|waiting| waiting.timer)
    }

    /// A 2xx must not overtake a description that the other side may not have.
    fn holds_back(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.described)
            || self.queue.iter().any(|response| response.body.is_some())
    }
}

impl Call {
    /// Their INVITE has been given a 2xx that waits for a PRACK.
    pub(super) fn holds_answer(&self) -> bool {
        self.reliable.as_deref().is_some_and(|reliable| reliable.held.is_some())
    }
}

impl Received {
    /// Whether a response to this INVITE is to be acknowledged.
    pub(super) fn is_reliable(&self, response: &Response) -> bool {
        let wanted = match self.rel100 {
            Rel100::Off => false,
            Rel100::Offered => response.reliable,
            Rel100::Required => true,
        };
        wanted && (101..200).contains(&response.status)
    }
}

impl Endpoint {
    /// Sends a reliable provisional response, or puts it behind the one that has no PRACK.
    pub(super) fn respond_reliably(&mut self, now: Time, id: DialogId, received: Received, response: Response) {
        let first = 1 + self.ids.below(FIRST_NUMBER_BELOW) as u32;
        let Some(call) = self.tables.call_mut(id) else {
            return;
        };
        if call.reliable.as_ref().is_none_or(|reliable| reliable.cseq != received.cseq) {
            call.reliable = Some(Box::new(Reliable {
                cseq: received.cseq,
                rseq: first - 1,
                status: 0,
                waiting: None,
                queue: VecDeque::new(),
                held: None,
                described: false,
                settled: false,
            }));
        }
        let Some(reliable) = &mut call.reliable else {
            return;
        };
        if reliable.held.is_some() {
            return;
        }
        if reliable.waiting.is_some() {
            if reliable.queue.len() == MAX_QUEUED_PROVISIONALS {
                reliable.queue.pop_back();
            }
            reliable.queue.push_back(response);
            return;
        }
        self.send_reliable(now, id, received, response);
    }

    fn send_reliable(&mut self, now: Time, id: DialogId, received: Received, mut response: Response) {
        let Some(reliable) = self.tables.call_mut(id).and_then(|call| call.reliable.as_deref_mut()) else {
            return;
        };
        reliable.rseq += 1;
        reliable.status = response.status;
        response.headers.push(Header::new(HeaderName::Require, "100rel"));
        response.headers.push(Header::new(HeaderName::RSeq, reliable.rseq.to_string()));
        if !self.send_response(now, received.txn, &response) {
            return;
        }
        let (interval, until) = (self.config.timers.t1, now + self.config.timers.h());
        let timer = Some(self.wheel.insert(now + interval, Due::Unpracked(id)));
        let bytes = self.tables.servers[received.txn as usize].last.clone();
        if let Some(reliable) = self.tables.call_mut(id).and_then(|call| call.reliable.as_deref_mut()) {
            let described = response.body.is_some();
            reliable.described |= described;
            reliable.waiting = Some(Waiting { bytes, described, interval, until, timer });
        }
        if response.body.is_some() {
            self.remember_sent(id, response.body.as_ref());
        }
    }

    /// Keeps a 2xx back while a description before it has no PRACK; gives it back when it may go out. Any other final
    /// answer ends the repeats.
    pub(super) fn behind_reliable(&mut self, id: DialogId, response: Response) -> Option<Response> {
        let Some(call) = self.tables.call_mut(id) else {
            return Some(response);
        };
        let unanswered = call.asked.iter().any(|asked| asked.kind == AskedKind::Prack);
        let Some(reliable) = call.reliable.as_deref_mut() else {
            return Some(response);
        };
        if response.status < 300 && (reliable.holds_back() || unanswered) {
            reliable.held.get_or_insert(response);
            return None;
        }
        reliable.held = None;
        reliable.queue.clear();
        if let Some(timer) = reliable.waiting.as_mut().and_then(|waiting| waiting.timer.take()) {
            self.wheel.remove(timer);
        }
        Some(response)
    }

    /// A PRACK inside a dialog that stands.
    pub(super) fn on_prack(&mut self, now: Time, fresh: Fresh<'_>, id: DialogId) -> Told {
        let acknowledged = acknowledged_by(fresh.request);
        let Some(call) = self.tables.call_mut(id) else {
            return Told::Nothing;
        };
        let described = !fresh.request.body_bytes().is_empty();
        let waiting = call.reliable.as_deref_mut().and_then(|reliable| {
            let meant = acknowledged == Some((reliable.rseq, reliable.cseq));
            reliable.waiting.take_if(|_| meant)
        });
        let Some(waiting) = waiting else {
            return self.refuse(fresh.flow, fresh.request, 481, None, &[]);
        };
        call.dialog.remote_seq = Some(fresh.facts.cseq);
        if let Some(reliable) = &mut call.reliable {
            reliable.settled |= reliable.described && !described;
        }
        if let Some(timer) = waiting.timer {
            self.wheel.remove(timer);
        }
        let slot = self.start_server(now, &fresh, None, Some(id));
        if described {
            return Told::Prack(self.ask(id, slot, AskedKind::Prack), id);
        }
        self.send_response(now, slot, &Response::new(200));
        self.after_prack(now, id);
        Told::Nothing
    }

    /// Our user has answered a PRACK with a body.
    pub(super) fn on_prack_answered(&mut self, now: Time, id: DialogId, accepted: bool) {
        if let Some(reliable) = self.tables.call_mut(id).and_then(|call| call.reliable.as_deref_mut()) {
            reliable.settled |= accepted;
        }
        self.after_prack(now, id);
    }

    /// Sends what has waited for a PRACK.
    fn after_prack(&mut self, now: Time, id: DialogId) {
        let Some(call) = self.tables.call_mut(id) else {
            return;
        };
        let (Some(received), Some(reliable)) = (call.theirs, call.reliable.as_deref_mut()) else {
            return;
        };
        if let Some(next) = reliable.queue.pop_front() {
            self.send_reliable(now, id, received, next);
        } else if let Some(held) = reliable.held.take() {
            self.respond(now, id, held);
        }
    }

    /// It is time to repeat a response that has no PRACK, or to give up.
    pub(super) fn on_unpracked(&mut self, now: Time, id: DialogId) {
        let Some(call) = self.tables.call_mut(id) else {
            return;
        };
        let Some(waiting) = call.reliable.as_deref_mut().and_then(|reliable| reliable.waiting.as_mut()) else {
            return;
        };
        waiting.timer = None;
        let Some(received) = call.theirs else {
            return;
        };
        if waiting.until <= now {
            self.give_up_invite(now, id, 504, 504);
            return;
        }
        waiting.interval *= 2;
        let at = (now + waiting.interval).min(waiting.until);
        waiting.timer = Some(self.wheel.insert(at, Due::Unpracked(id)));
        let bytes = waiting.bytes.clone();
        let flow = self.reply_flow(received.txn);
        self.send(flow, bytes);
    }

    /// Ends an INVITE of theirs that cannot be answered any more: with `status` on the wire, and `told` to the user.
    pub(super) fn give_up_invite(&mut self, now: Time, id: DialogId, status: u16, told: u16) {
        let first = self.tables.call(id).is_some_and(|call| call.dialog.state == DialogState::Early);
        self.respond(now, id, Response::new(status));
        if first {
            let reason = hookswitch_sip_msg::reason_phrase(told).into();
            self.emit(Event::Failed { dialog: id, status: told, reason, response: None, cause: FailCause::Timeout });
        } else {
            self.emit(Event::ReinviteCancelled { dialog: id, request: None });
        }
    }

    /// Whether the last response to their INVITE was a reliable one, which must not be repeated once it has its PRACK:
    /// then a new one keeps the proxies on the way patient (RFC 3261 13.3.1.1).
    pub(super) fn refresh_reliable(&mut self, now: Time, slot: u32) -> bool {
        let Some(id) = self.tables.servers[slot as usize].dialog else {
            return false;
        };
        let Some(call) = self.tables.call(id).filter(|call| call.theirs.is_some_and(|theirs| theirs.txn == slot))
        else {
            return false;
        };
        let Some(reliable) = &call.reliable else {
            return false;
        };
        let response = Response::new(reliable.status).reliably();
        self.respond(now, id, response);
        true
    }
}
