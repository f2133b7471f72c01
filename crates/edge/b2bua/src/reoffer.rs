//! Sessions that change, after the answer or before it: because we want it, and because a party does.
//!
//! ```text
//!   Op::Reoffer ──▶ INVITE ──▶ 2xx ──▶ ACK at once (the offer was ours) ──▶ Reaccepted Ok
//!                    │          └────▶ Reaccepted Ok ──▶ Op::Confirm ──▶ ACK with our answer
//!                    └──▶ refusal ──▶ Reaccepted Err       (the leg ends meanwhile ──▶ Ended only)
//!   INVITE, UPDATE or PRACK with an offer ──▶ Reoffered ──▶ Op::Reanswer ──▶ 200 or refusal
//! ```
//!
//! Before the answer it is UPDATE (RFC 3311) or PRACK (RFC 3262 section 5), and only once offer and answer of the INVITE
//! have been exchanged by reliable provisional responses. The answer to the INVITE then describes nothing any more
//! (RFC 3261 section 13.2.1).

use hookswitch_call::{CallId, Cause, Fault, Kind, LegId, Notes, Report, Sdp, Time};
use hookswitch_sip::{DialogId, FailCause, Response, SipError, TxnId};
use hookswitch_sip_msg::{Message, Method};
use serde::{Deserialize, Serialize};

use crate::B2bua;
use crate::leg::{LegRecord, sdp_of};
use crate::notes::fields;
use crate::perform::{MAX_SDP, refusal};
use crate::reason;

/// What a party has proposed, while the core has not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proposal {
    /// By a re-INVITE.
    Reinvite,
    /// By an UPDATE (RFC 3311), or a PRACK that carries an offer.
    Request {
        /// To be answered.
        txn: TxnId,
        /// In which early dialog of our INVITE; 0 otherwise.
        fork: u8,
    },
}

/// A re-INVITE of ours that is under way, or an UPDATE before the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reoffer {
    /// It carries our offer; else the party is asked to make one.
    pub offers: bool,
}

impl B2bua {
    pub(crate) fn reoffer(&mut self, now: Time, name: (CallId, LegId), sdp: Option<Sdp>, notes: &Notes) {
        if let Err(cause) = self.send_reoffer(now, name, sdp, notes) {
            let (call, leg) = name;
            self.report(Report::Reaccepted { call, leg, sdp: Err(cause) });
        }
    }

    /// Ok, too, when the leg is over or about to be: its end is all that is reported then.
    fn send_reoffer(
        &mut self,
        now: Time,
        (call, leg): (CallId, LegId),
        sdp: Option<Sdp>,
        notes: &Notes,
    ) -> Result<(), Cause> {
        let Some(dialog) = self.dialog(call, leg) else { return Ok(()) };
        let Some(record) = self.legs.get_mut(&dialog).filter(|record| !record.ending) else { return Ok(()) };
        let pending = || Cause::new(Kind::Pending, Fault::Server);
        if record.reoffer.is_some() {
            return Err(pending());
        }
        if sdp.as_ref().is_some_and(|sdp| sdp.0.len() > MAX_SDP) {
            return Err(too_large());
        }
        let headers = fields(notes)?;
        let (answered, early, offers) = (record.answered, record.early, sdp.is_some());
        let body = sdp.map(|sdp| self.description(dialog, sdp));
        let sent = if answered {
            self.endpoint.reinvite(now, dialog, body, headers)
        } else if offers && self.endpoint.allows(dialog, &Method::Update) {
            self.endpoint.update(now, dialog, early.unwrap_or_default(), body, headers)
        } else {
            return Err(unchangeable());
        };
        match sent {
            Ok(()) => {
                if let Some(record) = self.legs.get_mut(&dialog) {
                    record.reoffer = Some(Reoffer { offers });
                }
                Ok(())
            }
            Err(SipError::NotEstablished) if !answered => Err(unchangeable()),
            // The end is on its way.
            Err(SipError::UnknownDialog | SipError::NotEstablished) => Ok(()),
            // Before the answer it may be that there is nothing to change before the answer.
            Err(SipError::Pending) if !answered => Err(unchangeable()),
            Err(SipError::Pending) => Err(pending()),
            Err(SipError::TooLarge) => Err(too_large()),
            Err(SipError::TransactionLimit | SipError::DialogLimit | SipError::Unsendable | SipError::Malformed) => {
                Err(Cause::new(Kind::Overloaded, Fault::Server))
            }
        }
    }

    pub(crate) fn reanswered(&mut self, now: Time, dialog: DialogId, response: &Message) {
        let taken = self.legs.get_mut(&dialog).map(|record| (record.reoffer.take(), record.ending));
        let Some((Some(Reoffer { offers }), false)) = taken else {
            // Nobody waits for it any more, and a 2xx without ACK would be repeated for half a minute.
            self.endpoint.ack(now, dialog, None);
            return;
        };
        let sdp = sdp_of(response);
        // An answer without a description leaves the session as it was; what else could it mean?
        let result = sdp.ok_or_else(no_description);
        if offers || result.is_err() {
            self.endpoint.ack(now, dialog, None);
        } else if let Some(record) = self.legs.get_mut(&dialog) {
            record.ack_due = true;
        }
        if let Some((call, leg)) = self.name_of(dialog) {
            self.report(Report::Reaccepted { call, leg, sdp: result.map(Some) });
        }
    }

    /// An UPDATE of ours is answered.
    pub(crate) fn update_answered(&mut self, dialog: DialogId, fork: u8, response: &Message) {
        let Some(record) = self.legs.get_mut(&dialog) else { return };
        if record.reoffer.take().is_none() || record.ending {
            return;
        }
        let sdp = sdp_of(response).ok_or_else(no_description);
        if sdp.is_ok() && !record.answered {
            record.changed = Some(fork);
        }
        let (call, leg) = (record.call, record.leg);
        self.report(Report::Reaccepted { call, leg, sdp: sdp.map(Some) });
    }

    pub(crate) fn reinvite_failed(
        &mut self,
        dialog: DialogId,
        status: u16,
        response: Option<&Message>,
        why: FailCause,
    ) {
        // A dialog that is gone by now ends the leg with the next event: that is all the core is told then.
        let gone = self.endpoint.dialog(dialog).is_none();
        let Some(record) = self.legs.get_mut(&dialog) else { return };
        if record.reoffer.take().is_none() || record.ending || gone {
            return;
        }
        let (call, leg) = (record.call, record.leg);
        let cause = failure(status, response, why);
        self.report(Report::Reaccepted { call, leg, sdp: Err(cause) });
    }

    pub(crate) fn reinvited(&mut self, now: Time, dialog: DialogId, request: &Message) {
        let Some(record) = self.legs.get_mut(&dialog) else {
            self.endpoint.respond(now, dialog, Response::new(481));
            return;
        };
        record.proposal = Some(Proposal::Reinvite);
        let (call, leg) = (record.call, record.leg);
        self.report(Report::Reoffered { call, leg, sdp: sdp_of(request) });
    }

    pub(crate) fn reinvite_cancelled(&mut self, dialog: DialogId) {
        if let Some(record) = self.legs.get_mut(&dialog)
            && record.proposal == Some(Proposal::Reinvite)
        {
            record.proposal = None;
            let (call, leg) = (record.call, record.leg);
            self.report(Report::Withdrawn { call, leg });
        }
    }

    /// Takes back our re-INVITE. An UPDATE cannot be: its answer is here at once.
    pub(crate) fn withdraw(&mut self, now: Time, call: CallId, leg: LegId) {
        let Some(dialog) = self.dialog(call, leg) else { return };
        let under_way = |record: &&mut LegRecord| record.answered && record.reoffer.is_some();
        if self.legs.get_mut(&dialog).filter(under_way).is_some() {
            self.endpoint.cancel(now, dialog, None);
        }
    }

    /// An UPDATE or a PRACK with a body that is no answer. The endpoint has looked whether there is a session that could
    /// be changed.
    pub(crate) fn updated(&mut self, now: Time, dialog: DialogId, (txn, fork): (TxnId, u8), request: &Message) {
        let Some(sdp) = sdp_of(request) else {
            // Only an INVITE can ask for an offer.
            let refusal = Response::new(415).with_header(self.accept());
            return self.endpoint.reply(now, txn, refusal);
        };
        match self.legs.get_mut(&dialog).filter(|record| !record.ending) {
            // That of another early dialog: one after the other (RFC 3311 section 5.2).
            Some(record) if record.proposal.is_some() => self.endpoint.reply(now, txn, Response::new(500)),
            Some(record) => {
                record.proposal = Some(Proposal::Request { txn, fork });
                let (call, leg) = (record.call, record.leg);
                self.report(Report::Reoffered { call, leg, sdp: Some(sdp) });
            }
            None => self.endpoint.reply(now, txn, Response::new(481)),
        }
    }

    pub(crate) fn reanswer(&mut self, now: Time, call: CallId, leg: LegId, sdp: Result<Sdp, Cause>) {
        let Some(dialog) = self.dialog(call, leg) else { return };
        let Some(record) = self.legs.get_mut(&dialog) else { return };
        let Some(proposal) = record.proposal.take() else { return };
        let sdp = sdp.and_then(|sdp| if sdp.0.len() > MAX_SDP { Err(too_large()) } else { Ok(sdp) });
        if let (Proposal::Request { fork, .. }, Ok(_), false) = (proposal, &sdp, record.answered) {
            record.changed = Some(fork);
        }
        let response = match sdp {
            Ok(sdp) => Response::new(200).with_body(self.description(dialog, sdp)),
            Err(cause) => refusal(&cause),
        };
        match proposal {
            Proposal::Reinvite => self.endpoint.respond(now, dialog, response),
            Proposal::Request { txn, .. } => self.endpoint.reply(now, txn, response),
        }
    }
}

/// The session of a leg that is not answered cannot be changed: it has none yet, or its phone knows no UPDATE.
fn unchangeable() -> Cause {
    Cause::new(Kind::Other, Fault::Server).with_text("Not Answered Yet")
}

fn no_description() -> Cause {
    Cause::new(Kind::NotAcceptable, Fault::Peer).with_text("No Session Description In The Answer")
}

pub(crate) fn too_large() -> Cause {
    Cause::new(Kind::NotAcceptable, Fault::Peer).with_text("Session Description Too Large")
}

/// Why a request of ours inside a dialog failed.
pub(crate) fn failure(status: u16, response: Option<&Message>, why: FailCause) -> Cause {
    match why {
        FailCause::Response => {
            let phrase = response.map(|response| String::from_utf8_lossy(response.reason())).unwrap_or_default();
            reason::refine(Cause::from_status(status, &phrase), response)
        }
        FailCause::Timeout => Cause::new(Kind::NoAnswer, Fault::Peer),
        FailCause::Unreachable => Cause::new(Kind::Unreachable, Fault::Peer),
        FailCause::Cancelled => Cause::new(Kind::Cancelled, Fault::Nobody),
    }
}
