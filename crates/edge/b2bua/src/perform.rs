//! What the core asks of a leg.

use hookswitch_call::{CallId, Cause, Fault, Handle, Kind, LegId, Op, Sdp, Time};
use hookswitch_sip::{Header, RequestOut, Response};
use hookswitch_sip_msg::{HeaderName, Method};

use crate::reason;
use crate::{B2bua, Reliable};

/// Longest session description that is passed on, in bytes. Those of phones have one or two thousand, and with the headers
/// around it must fit into a datagram.
pub const MAX_SDP: usize = 32 * 1_024;

/// What a refused caller is told to wait before trying again, in seconds (RFC 3261 section 20.33).
const RETRY_AFTER: &str = "5";

impl B2bua {
    pub(crate) fn carry_out(&mut self, now: Time, op: Op) {
        self.lamp_ordered(now, &op);
        match op {
            Op::Adopt { handle, call, leg } => self.adopt(handle, call, leg),
            Op::Refuse { handle, cause } => self.refuse(now, handle, &cause),
            Op::Locate { call, to, anywhere, by } => self.look_for(now, (call, &to), anywhere, &by),
            Op::Dial { call, leg, dial } => self.dial(now, call, leg, *dial),
            Op::Ring { call, leg, status, sdp } => self.ring(now, (call, leg), status, sdp),
            Op::Answer { call, leg, sdp } => {
                let mut sdp = Some(sdp);
                if let Some(record) = self.record_mut(call, leg) {
                    record.answered = true;
                    // Whoever controls a single leg may have none.
                    sdp = sdp.filter(|sdp| record.changed.is_none() && !sdp.0.is_empty());
                }
                self.respond(now, (call, leg), 200, sdp);
            }
            Op::Confirm { call, leg, sdp } => self.confirm(now, call, leg, sdp),
            Op::Reanswer { call, leg, sdp } => self.reanswer(now, call, leg, sdp),
            Op::Reoffer { call, leg, sdp, notes } => self.reoffer(now, (call, leg), sdp, &notes),
            Op::Withdraw { call, leg } => self.withdraw(now, call, leg),
            Op::Refer { call, leg, to, replaces, by } => self.refer(now, (call, leg), &to, replaces, by.as_ref()),
            Op::AnswerRefer { call, leg, result } => self.answer_refer(now, call, leg, result),
            Op::TellRefer { call, leg, status, text } => self.tell_refer(now, (call, leg), status, &text),
            Op::Deliver { call, leg, receipt, parcel } => self.deliver(now, (call, leg), receipt, &parcel),
            Op::Receipt { call, leg, receipt, status } => self.receipt(now, (call, leg), receipt, status),
            Op::Move { from, to } => self.rename(from, to),
            Op::Focus { call, leg, on } => {
                if let Some(dialog) = self.dialog(call, leg) {
                    self.endpoint.set_focus(dialog, on);
                }
            }
            Op::Probe { call, leg } => self.probe(now, call, leg),
            Op::Hangup { call, leg, cause } => self.hang_up(now, call, leg, &cause),
        }
    }

    fn adopt(&mut self, handle: Handle, call: CallId, leg: LegId) {
        let Some(dialog) = self.offered.remove(&handle) else { return };
        if let Some(record) = self.legs.get_mut(&dialog) {
            record.call = call;
            record.leg = leg;
            self.dialogs.insert((call, leg), dialog);
        }
    }

    fn refuse(&mut self, now: Time, handle: Handle, cause: &Cause) {
        if let Some(dialog) = self.offered.remove(&handle) {
            if let Some(record) = self.legs.remove(&dialog) {
                self.trunks.release(record.trunk);
                self.leaves(&record, dialog);
            }
            self.endpoint.respond(now, dialog, refusal(cause));
        }
    }

    /// A description goes reliably to whoever understands that (RFC 3262), so that the audio before the answer does not
    /// hang on one datagram. To a party that has made no offer it is one, to be answered in its PRACK.
    fn ring(&mut self, now: Time, (call, leg): (CallId, LegId), status: u16, sdp: Option<Sdp>) {
        let Some(dialog) = self.dialog(call, leg) else { return };
        let too_early = self.legs.get(&dialog).is_some_and(|record| record.late_offer && !record.answers_early);
        let sdp = sdp.filter(|sdp| !too_early && sdp.0.len() <= MAX_SDP);
        let mut response = Response::new(status);
        response.reliable = sdp.is_some() && self.config.reliable != Reliable::Off;
        self.mannered_ring((call, leg), &mut response);
        response.body = sdp.map(|sdp| self.description(dialog, sdp));
        self.endpoint.respond(now, dialog, response);
    }

    fn respond(&mut self, now: Time, (call, leg): (CallId, LegId), status: u16, sdp: Option<Sdp>) {
        let Some(dialog) = self.dialog(call, leg) else { return };
        if sdp.as_ref().is_some_and(|sdp| sdp.0.len() > MAX_SDP) {
            let cause = Cause::new(Kind::NotAcceptable, Fault::Peer).with_text("Session Description Too Large");
            self.endpoint.respond(now, dialog, refusal(&cause));
            self.over(dialog, cause);
            return;
        }
        let mut response = Response::new(status);
        response.body = sdp.map(|sdp| self.description(dialog, sdp));
        self.endpoint.respond(now, dialog, response);
    }

    fn confirm(&mut self, now: Time, call: CallId, leg: LegId, sdp: Option<Sdp>) {
        let Some(dialog) = self.dialog(call, leg) else { return };
        let body = sdp.map(|sdp| self.description(dialog, sdp));
        let Some(record) = self.legs.get_mut(&dialog) else { return };
        if std::mem::take(&mut record.ack_due) {
            self.endpoint.ack(now, dialog, body);
        } else if let Some(fork) = record.prack_due.take() {
            record.changed = Some(fork);
            // One that cannot be sent any more belongs to an early dialog that is over, or to a call that is.
            let _ = self.endpoint.prack(now, dialog, fork, body);
        }
    }

    /// Any answer but "no such dialog" will do: a phone that refuses INFO is there to refuse it.
    /// Without an answer the endpoint ends the dialog (RFC 3261 section 12.2.1.2). Not OPTIONS:
    /// phones answer that whether they know the dialog or not, so one that has been restarted
    /// would seem to be still in the call.
    fn probe(&mut self, now: Time, call: CallId, leg: LegId) {
        let Some(dialog) = self.dialog(call, leg) else { return };
        // One at a time is enough; what cannot be sent now is asked again later.
        let _ = self.endpoint.request(now, RequestOut::inside(dialog, Method::Info));
    }

    fn hang_up(&mut self, now: Time, call: CallId, leg: LegId, cause: &Cause) {
        let Some(dialog) = self.dialog(call, leg) else {
            // It still waits for a look-up, or it is over already and the core has been told.
            self.give_up(call, leg, cause);
            return;
        };
        let Some(record) = self.legs.get_mut(&dialog) else { return };
        let (incoming, answered) = (record.incoming, record.answered);
        let first_end = !record.ending;
        let ack_due = std::mem::take(&mut record.ack_due);
        record.ending = true;
        if first_end {
            self.tell_before_the_end(now, dialog);
        }
        match (incoming, answered) {
            (true, false) => {
                self.endpoint.respond(now, dialog, refusal(cause));
                self.over(dialog, cause.clone());
            }
            (false, false) => self.endpoint.cancel(now, dialog, reason::value(cause).as_deref()),
            (_, true) => {
                if ack_due {
                    self.endpoint.ack(now, dialog, None);
                }
                self.endpoint.bye(now, dialog, reason::header(cause).into_iter().collect());
            }
        }
    }
}

/// The final response that refuses a party.
pub(crate) fn refusal(cause: &Cause) -> Response {
    let (status, text) = cause.refusal();
    let mut response = Response::new(status);
    response.reason = Some(text.into());
    response.headers.extend(reason::header(cause));
    if status == 503 {
        response.headers.push(Header::new(HeaderName::RetryAfter, RETRY_AFTER));
    }
    response
}
