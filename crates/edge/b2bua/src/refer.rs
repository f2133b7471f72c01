//! A party's phone is asked to call somebody else (REFER), and tells what comes of it (NOTIFY).
//!
//! ```text
//!   Op::Refer ──▶ REFER ──▶ 2xx ──▶ ReferAnswered Ok ──▶ NOTIFY… ──▶ ReferProgress… (from 200: the last word)
//!                   └─────▶ refusal ──▶ ReferAnswered Err
//! ```
//!
//! A NOTIFY may overtake the 2xx, and then says the same. A subscription that ends without a final status counts as a
//! failure. How long to wait for a NOTIFY is the core's decision.

use compact_str::CompactString;
use hookswitch_call::{Address, CallId, Cause, Fault, Kind, LegId, Report, Time};
use hookswitch_sip::{DialogId, FailCause, Header, RequestOut, Response, SipError, TxnId};
use hookswitch_sip_msg::{HeaderName, Message, Method, Replaces, Uri};
use serde::{Deserialize, Serialize};

use crate::B2bua;
use crate::errand::Errand;
use crate::reoffer::failure;

/// How far the party is with what [`Op::Refer`](hookswitch_call::Op::Refer) asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Referred {
    /// Its answer to the REFER is awaited.
    Asked,
    /// It has agreed: NOTIFYs are awaited.
    Agreed,
    /// The last word was told; a NOTIFY that comes all the same is answered and means nothing.
    Over,
}

impl B2bua {
    pub(crate) fn refer(
        &mut self,
        now: Time,
        (call, leg): (CallId, LegId),
        to: &Address,
        replaces: Option<(CallId, LegId)>,
        by: Option<&Address>,
    ) {
        let Some(dialog) = self.dialog(call, leg) else { return };
        if let Err(cause) = self.send_refer(now, dialog, to, replaces, by) {
            self.report(Report::ReferAnswered { call, leg, result: Err(cause) });
        }
    }

    fn send_refer(
        &mut self,
        now: Time,
        dialog: DialogId,
        to: &Address,
        replaces: Option<(CallId, LegId)>,
        by: Option<&Address>,
    ) -> Result<(), Cause> {
        let record = self.legs.get(&dialog).filter(|record| record.answered);
        if record.is_none_or(|record| matches!(record.referred, Some(Referred::Asked | Referred::Agreed))) {
            return Err(Cause::new(Kind::Pending, Fault::Server));
        }
        let bad_address = || Cause::new(Kind::BadAddress, Fault::Controller);
        let to_uri = Uri::parse(&to.0).map_err(|_| bad_address())?;
        let replaces = match replaces {
            Some((call, leg)) => Some(self.replaces_header(call, leg).ok_or_else(gone)?),
            None => None,
        };
        let separator = if to_uri.headers.is_some() { '&' } else { '?' };
        let target = match replaces {
            Some(value) => format!("<{}{separator}Replaces={value}>", to.0),
            None => format!("<{}>", to.0),
        };
        let mut request = RequestOut::inside(dialog, Method::Refer);
        request.headers.push(Header::new(HeaderName::ReferTo, target));
        if let Some(by) = by {
            Uri::parse(&by.0).map_err(|_| bad_address())?;
            request.headers.push(Header::new(HeaderName::ReferredBy, format!("<{}>", by.0)));
        }
        match self.endpoint.request(now, request) {
            Ok(id) => {
                self.send_on(id, dialog, Errand::Refer);
                if let Some(record) = self.legs.get_mut(&dialog) {
                    record.referred = Some(Referred::Asked);
                }
                Ok(())
            }
            Err(SipError::UnknownDialog | SipError::NotEstablished) => Err(gone()),
            Err(SipError::TooLarge | SipError::Malformed) => Err(bad_address()),
            Err(SipError::Pending | SipError::TransactionLimit | SipError::DialogLimit | SipError::Unsendable) => {
                Err(Cause::new(Kind::Overloaded, Fault::Server))
            }
        }
    }

    /// The value of Replaces with which the phone's INVITE will find that leg here: `to-tag` is the tag of whoever the
    /// INVITE arrives at (RFC 3891 section 3), which is us.
    fn replaces_header(&self, call: CallId, leg: LegId) -> Option<String> {
        let dialog = self.endpoint.dialog(self.dialog(call, leg)?)?;
        let (call_id, to_tag, from_tag) = (dialog.call_id(), dialog.local_tag(), dialog.remote_tag());
        Some(Replaces { call_id, to_tag, from_tag, early_only: false }.escaped())
    }

    pub(crate) fn refer_answered(&mut self, dialog: DialogId, status: u16, response: Option<&Message>, why: FailCause) {
        let Some(record) = self.legs.get_mut(&dialog) else { return };
        // A NOTIFY has said so already.
        if record.referred != Some(Referred::Asked) {
            return;
        }
        let (call, leg) = (record.call, record.leg);
        let result = if status < 300 { Ok(()) } else { Err(failure(status, response, why)) };
        record.referred = result.is_ok().then_some(Referred::Agreed);
        self.report(Report::ReferAnswered { call, leg, result });
    }

    pub(crate) fn notified(&mut self, now: Time, txn: TxnId, dialog: DialogId, request: &Message) {
        let is_refer = request.event().is_some_and(|event| event.package.eq_ignore_ascii_case("refer"));
        let referred = self.legs.get(&dialog).and_then(|record| record.referred);
        let status = match referred {
            Some(_) if is_refer => 200,
            // Of what nobody has subscribed to (RFC 6665 section 4.1.3).
            _ if is_refer => 481,
            _ => 489,
        };
        self.endpoint.reply(now, txn, Response::new(status));
        if status == 200 {
            self.refer_told(dialog, request);
        }
    }

    fn refer_told(&mut self, dialog: DialogId, request: &Message) {
        let Some(record) = self.legs.get_mut(&dialog) else { return };
        let (call, leg) = (record.call, record.leg);
        let asked = match record.referred {
            Some(Referred::Asked) => true,
            Some(Referred::Agreed) => false,
            Some(Referred::Over) | None => return,
        };
        let over = request.subscription_state().is_some_and(|state| state.is_terminated());
        let told = request.status_fragment().map(|line| {
            let text = String::from_utf8_lossy(line.reason);
            (line.status, CompactString::from(text.as_ref()))
        });
        let word = match told {
            Some((status, text)) if status >= 200 || !over => Some((status, text)),
            _ if over => Some((500, CompactString::const_new("No Final Status"))),
            _ => None,
        };
        let last = word.as_ref().is_some_and(|(status, _)| *status >= 200);
        record.referred = Some(if last { Referred::Over } else { Referred::Agreed });
        if asked {
            self.report(Report::ReferAnswered { call, leg, result: Ok(()) });
        }
        if let Some((status, text)) = word {
            self.report(Report::ReferProgress { call, leg, status, text });
        }
    }
}

/// The leg to be replaced, or that of the party itself, is over.
fn gone() -> Cause {
    Cause::new(Kind::NotFound, Fault::Nobody).with_text("The Leg Is Gone")
}
