//! Sessions that change after the answer: because we want it, and because a party does.
//!
//! ```text
//!   Op::Reoffer ──▶ INVITE ──▶ 2xx ──▶ ACK at once (the offer was ours) ──▶ Reaccepted Ok
//!                    │          └────▶ Reaccepted Ok ──▶ Op::Confirm ──▶ ACK with our answer
//!                    └──▶ refusal ──▶ Reaccepted Err       (the leg ends meanwhile ──▶ Ended only)
//!   INVITE or UPDATE of the party ──▶ Reoffered ──▶ Op::Reanswer ──▶ 200 or refusal
//! ```

use hookswitch_call::{CallId, Cause, Fault, Kind, LegId, Notes, Report, Sdp, Time};
use hookswitch_sip::{DialogId, FailCause, Response, SipError, TxnId};
use hookswitch_sip_msg::Message;
use serde::{Deserialize, Serialize};

use crate::B2bua;
use crate::leg::sdp_of;
use crate::notes::fields;
use crate::perform::{MAX_SDP, body, refusal};
use crate::reason;

/// What a party has proposed, while the core has not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proposal {
    /// By a re-INVITE.
    Reinvite,
    /// By an UPDATE (RFC 3311).
    Update(TxnId),
}

/// A re-INVITE of ours that is under way.
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
        if !record.answered || record.reoffer.is_some() {
            return Err(pending());
        }
        if sdp.as_ref().is_some_and(|sdp| sdp.0.len() > MAX_SDP) {
            return Err(too_large());
        }
        let headers = fields(notes)?;
        let offers = sdp.is_some();
        match self.endpoint.reinvite(now, dialog, sdp.map(body), headers) {
            Ok(()) => {
                if let Some(record) = self.legs.get_mut(&dialog) {
                    record.reoffer = Some(Reoffer { offers });
                }
                Ok(())
            }
            // The end is on its way.
            Err(SipError::UnknownDialog | SipError::NotEstablished) => Ok(()),
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
        let result = sdp.ok_or_else(|| {
            Cause::new(Kind::NotAcceptable, Fault::Peer).with_text("No Session Description In The Answer")
        });
        if offers || result.is_err() {
            self.endpoint.ack(now, dialog, None);
        } else if let Some(record) = self.legs.get_mut(&dialog) {
            record.ack_due = true;
        }
        if let Some((call, leg)) = self.name_of(dialog) {
            self.report(Report::Reaccepted { call, leg, sdp: result.map(Some) });
        }
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
        }
    }

    /// An UPDATE with a body. Before the answer nothing can be changed: a session that several phones may still take
    /// part in has no description to change, and whoever wants to waits for the answer (RFC 3311 section 5.2).
    pub(crate) fn updated(&mut self, now: Time, dialog: DialogId, txn: TxnId, request: &Message) {
        let record = self.legs.get_mut(&dialog).filter(|record| record.answered && !record.ending);
        let refusal = match (record, sdp_of(request)) {
            (Some(record), Some(sdp)) => {
                record.proposal = Some(Proposal::Update(txn));
                let (call, leg) = (record.call, record.leg);
                self.report(Report::Reoffered { call, leg, sdp: Some(sdp) });
                return;
            }
            (None, Some(_)) => Response::new(488),
            // Only an INVITE can ask for an offer.
            (_, None) => Response::new(415).with_header(self.accept()),
        };
        self.endpoint.reply(now, txn, refusal);
    }

    pub(crate) fn reanswer(&mut self, now: Time, call: CallId, leg: LegId, sdp: Result<Sdp, Cause>) {
        let Some(dialog) = self.dialog(call, leg) else { return };
        let Some(record) = self.legs.get_mut(&dialog) else { return };
        let Some(proposal) = record.proposal.take() else { return };
        let sdp = sdp.and_then(|sdp| if sdp.0.len() > MAX_SDP { Err(too_large()) } else { Ok(sdp) });
        let response = match sdp {
            Ok(sdp) => Response::new(200).with_body(body(sdp)),
            Err(cause) => refusal(&cause),
        };
        match proposal {
            Proposal::Reinvite => self.endpoint.respond(now, dialog, response),
            Proposal::Update(txn) => self.endpoint.reply(now, txn, response),
        }
    }
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
