//! A party's phone is asked to call somebody else (REFER), and tells what comes of it (NOTIFY).
//!
//! ```text
//!   Op::Refer ──▶ REFER ──▶ 2xx ──▶ ReferAnswered Ok ──▶ NOTIFY… ──▶ ReferProgress… (from 200: the last word)
//!                   └─────▶ refusal ──▶ ReferAnswered Err
//! ```
//!
//! A NOTIFY may overtake the 2xx, and then says the same. A subscription that ends without a final status counts as a
//! failure, if it says why it ends. How long to wait for a NOTIFY is the core's decision.
//!
//! Of several REFERs in one dialog each has a subscription, named by the CSeq number of the REFER (RFC 3515 section
//! 2.4.6). A NOTIFY that names none is about the first; phones that never name one are believed to mean the latest once
//! the one before has ended.

use compact_str::CompactString;
use hookswitch_call::{Address, CallId, Cause, Fault, Kind, LegId, Report, Time};
use hookswitch_sip::{Dialog, DialogId, FailCause, Header, RequestOut, Response, SipError, TxnId};
use hookswitch_sip_msg::{HeaderName, Message, Method, Replaces, SubscriptionState, Uri};
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

/// Our REFERs in one dialog, by their CSeq numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refers {
    /// The first one.
    pub first: u32,
    /// The latest.
    pub last: u32,
    /// Another one before the latest may still be told of without its number.
    pub open: bool,
}

/// Of what a NOTIFY speaks.
#[derive(Debug, PartialEq, Eq)]
enum About {
    /// The latest REFER.
    Latest,
    /// An earlier one, about which everything has been said.
    Earlier,
    /// Nothing that was asked for here.
    Nothing,
}

impl Refers {
    fn and(refers: Option<Refers>, number: u32) -> Refers {
        match refers {
            None => Refers { first: number, last: number, open: false },
            Some(refers) => Refers { last: number, ..refers },
        }
    }

    /// `seq` is the last CSeq number that we have used: a REFER that was asked for digest has another one than it had at
    /// first.
    fn about(self, id: Option<&str>, seq: u32) -> About {
        match id.map(str::parse::<u32>) {
            Some(Ok(id)) if (self.last..=seq.max(self.last)).contains(&id) => About::Latest,
            Some(Ok(id)) if (self.first..self.last).contains(&id) => About::Earlier,
            Some(Ok(_) | Err(_)) => About::Nothing,
            None if self.open && self.first != self.last => About::Earlier,
            None => About::Latest,
        }
    }
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
                let number = self.endpoint.dialog(dialog).map(Dialog::local_seq).unwrap_or_default();
                if let Some(record) = self.legs.get_mut(&dialog) {
                    record.referred = Some(Referred::Asked);
                    record.refers = Some(Refers::and(record.refers, number));
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
        let event = request.event().filter(|event| event.package.eq_ignore_ascii_case("refer"));
        let refers = self.legs.get(&dialog).and_then(|record| record.refers);
        let seq = self.endpoint.dialog(dialog).map(Dialog::local_seq).unwrap_or_default();
        let status = match (event.as_ref(), refers) {
            (Some(event), Some(refers)) => match refers.about(event.id, seq) {
                About::Latest => {
                    self.endpoint.reply(now, txn, Response::new(200));
                    return self.refer_told(dialog, request);
                }
                About::Earlier => {
                    self.earlier_told(dialog, request);
                    200
                }
                About::Nothing => 481,
            },
            // Of what nobody has subscribed to (RFC 6665 section 4.1.3).
            (Some(_), None) => 481,
            (None, _) => 489,
        };
        self.endpoint.reply(now, txn, Response::new(status));
    }

    /// What comes of an earlier REFER is known; its end makes room for those who name none.
    fn earlier_told(&mut self, dialog: DialogId, request: &Message) {
        let over = request.subscription_state().is_some_and(|state| state.is_terminated());
        if let Some(refers) = self.legs.get_mut(&dialog).and_then(|record| record.refers.as_mut()) {
            refers.open &= !over;
        }
    }

    fn refer_told(&mut self, dialog: DialogId, request: &Message) {
        let Some(record) = self.legs.get_mut(&dialog) else { return };
        let (call, leg) = (record.call, record.leg);
        let told = request.status_fragment().map(|line| {
            let text = String::from_utf8_lossy(line.reason);
            (line.status, CompactString::from(text.as_ref()))
        });
        let state = request.subscription_state().filter(|state| state.is_terminated());
        // SIP.js writes a bare `terminated` into every NOTIFY, that of its 100 included, and goes on telling.
        let goes_on = |state: SubscriptionState<'_>| {
            state.reason.is_none() && told.as_ref().is_some_and(|(status, _)| *status < 200)
        };
        let over = state.is_some_and(|state| !goes_on(state));
        if let Some(refers) = &mut record.refers {
            refers.open = !over;
        }
        let asked = match record.referred {
            Some(Referred::Asked) => true,
            Some(Referred::Agreed) => false,
            Some(Referred::Over) | None => return,
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notify_is_about_the_refer_that_it_names() {
        let first = Refers::and(None, 7);
        assert_eq!((first.about(None, 9), first.about(Some("7"), 9)), (About::Latest, About::Latest));
        assert_eq!((first.about(Some("10"), 9), first.about(Some("x"), 9)), (About::Nothing, About::Nothing));
        assert_eq!(first.about(Some("8"), 9), About::Latest, "it was sent once more, with digest");
        let mut second = Refers { open: true, ..Refers::and(Some(first), 9) };
        assert_eq!((second.about(Some("9"), 9), second.about(Some("7"), 9)), (About::Latest, About::Earlier));
        assert_eq!(second.about(None, 9), About::Earlier, "the first one has not ended");
        second.open = false;
        assert_eq!(second.about(None, 9), About::Latest, "who never names one can only mean this");
        assert_eq!(second.about(Some("6"), 9), About::Nothing);
    }
}
