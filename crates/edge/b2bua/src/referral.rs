//! A party's phone asks for a transfer (REFER, RFC 3515), and is told what comes of it (NOTIFY).
//!
//! ```text
//!   REFER ──▶ ReferAsked ──▶ AnswerRefer Err ──▶ refusal
//!                 └────────▶ AnswerRefer Ok ──▶ 202, NOTIFY 100 ──▶ TellRefer… ──▶ NOTIFY… ──▶ the last word
//! ```
//!
//! One transfer at a time for each leg: another REFER meanwhile is answered 491. A refusal must not take the call with
//! it: 404, 481 and their kin to a request inside a dialog mean that the dialog is gone (RFC 5057 section 5.1), so what
//! cannot be done is declined with 603. NOTIFYs go out one after the other, so that the last word is the last one;
//! words that come while one is under way are told by the next, the latest only.
//!
//! When the dialog ends first, nobody is notified any more.

use std::time::Duration;

use compact_str::{CompactString, format_compact};
use hookswitch_call::{Address, CallId, Cause, LegId, ReferTo, Report, Time};
use hookswitch_sip::{Body, DialogId, Header, RequestOut, Response, TxnId};
use hookswitch_sip_msg::{HeaderName, Message, Method, Scheme};
use serde::{Deserialize, Serialize};

use crate::B2bua;
use crate::errand::Errand;
use crate::inbound::address_of;
use crate::package::allow_events;
use crate::perform::refusal;

/// How long a subscription that a REFER makes lives, and no longer than that after a refresh: longer than any transfer
/// takes.
pub(crate) const SUBSCRIPTION_TIME: Duration = Duration::from_secs(600);

/// Longest phrase that is told in a NOTIFY, in bytes.
const MAX_PHRASE: usize = 128;

/// A transfer that the party of a leg has asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referral {
    /// The REFER, while the core has not decided about it.
    pub undecided: Option<TxnId>,
    /// The CSeq number of the REFER, which names the subscription if it is not the first of its dialog.
    pub id: Option<u32>,
    /// Until when the party wants to be told; none means not at all (RFC 4488), or not any more.
    pub until: Option<Time>,
    /// A NOTIFY is under way.
    pub notifying: bool,
    /// The last word was not told yet.
    pub untold: bool,
    /// The last word.
    pub word: (u16, CompactString),
}

impl Referral {
    fn is_over(&self) -> bool {
        self.undecided.is_none() && self.word.0 >= 200 && !self.untold
    }
}

impl B2bua {
    pub(crate) fn refer_asked(&mut self, now: Time, txn: TxnId, dialog: DialogId, request: &Message) {
        match self.read_refer(now, txn, dialog, request) {
            Ok(report) => self.report(report),
            Err((status, phrase)) => {
                let response = Response { reason: Some(phrase), ..Response::new(status) };
                self.endpoint.reply(now, txn, response);
            }
        }
    }

    fn read_refer(&mut self, now: Time, txn: TxnId, dialog: DialogId, request: &Message) -> Result<Report, Refusal> {
        let to = self.refer_target(request)?;
        if let ReferTo::Address(address) = &to
            && let Some(cause) = self.refusal_of_transfer(now, dialog, address)
        {
            // Whoever transfers pays, also where another phone makes the call.
            return Err((403, cause.text));
        }
        let by = address_of(request, HeaderName::ReferredBy);
        let cseq = request.cseq().map_err(|_| with_phrase(400, "Bad Request"))?.number;
        let until = request.refer_sub().then_some(now + SUBSCRIPTION_TIME);
        let record = self.legs.get_mut(&dialog).ok_or_else(|| with_phrase(481, "Call/Transaction Does Not Exist"))?;
        if !record.answered || record.ending {
            return Err(with_phrase(403, "Only Within An Answered Call"));
        }
        if record.referral.is_some() {
            return Err(with_phrase(491, "Another Transfer Is Pending"));
        }
        let first = !std::mem::replace(&mut record.has_referred, true);
        record.referral = Some(Box::new(Referral {
            undecided: Some(txn),
            id: (!first).then_some(cseq),
            until,
            notifying: false,
            untold: false,
            word: (100, CompactString::const_new("Trying")),
        }));
        Ok(Report::ReferAsked { call: record.call, leg: record.leg, to, by })
    }

    /// With whom the party wants somebody to be connected.
    fn refer_target(&self, request: &Message) -> Result<ReferTo, Refusal> {
        let bad = |error: &dyn std::fmt::Display| (400, phrase(&format_compact!("Bad Request - {error}")));
        let to = request.refer_to().map_err(|error| bad(&error))?;
        let to = to.ok_or_else(|| with_phrase(400, "Bad Request - Refer-To: missing"))?;
        match to.uri.scheme {
            Scheme::Sip | Scheme::Tel => {}
            // There is no TLS, and what is no telephone cannot be called.
            Scheme::Sips | Scheme::Other => return Err(with_phrase(603, "Unsupported URI Scheme")),
        }
        if to.method != Method::Invite {
            return Err(with_phrase(603, "Only INVITE Can Be Sent"));
        }
        let replaced = to.replaced().map_err(|problem| bad(&format_compact!("Refer-To: Replaces: {problem}")))?;
        let Some(replaced) = replaced else {
            return Ok(ReferTo::Address(Address(to.target().as_ref().into())));
        };
        // Only whoever is in a dialog with us knows its tags.
        let leg = self.find_leg(&replaced).and_then(|dialog| self.name_of(dialog));
        let (call, leg) = leg.ok_or_else(|| with_phrase(603, "Replaced Dialog Does Not Exist Here"))?;
        Ok(ReferTo::Leg(call, leg))
    }

    pub(crate) fn answer_refer(&mut self, now: Time, call: CallId, leg: LegId, result: Result<(), Cause>) {
        let Some(dialog) = self.dialog(call, leg) else { return };
        let Some(record) = self.legs.get_mut(&dialog) else { return };
        let Some(referral) = record.referral.as_deref_mut() else { return };
        let Some(txn) = referral.undecided.take() else { return };
        let response = match &result {
            Ok(()) if referral.until.is_some() => Response::new(202),
            Ok(()) => Response::new(200).with_header(Header::new(HeaderName::ReferSub, "false")),
            Err(cause) => declined(cause),
        };
        if result.is_err() {
            record.referral = None;
        }
        self.endpoint.reply(now, txn, response);
        if result.is_ok() {
            self.notify(now, dialog);
        }
    }

    pub(crate) fn tell_refer(&mut self, now: Time, name: (CallId, LegId), status: u16, text: &str) {
        let Some(dialog) = self.dialog(name.0, name.1) else { return };
        let Some(record) = self.legs.get_mut(&dialog) else { return };
        let Some(referral) = record.referral.as_deref_mut() else { return };
        // The last word was said, or nobody has agreed to tell any.
        if referral.undecided.is_some() || referral.word.0 >= 200 {
            return;
        }
        let word = (status.clamp(100, 699), phrase(text));
        // The subscription has begun with 100 Trying.
        if referral.word == word {
            return;
        }
        referral.word = word;
        self.notify(now, dialog);
    }

    /// Tells the party how far its transfer is, now or as soon as the NOTIFY under way is answered.
    fn notify(&mut self, now: Time, dialog: DialogId) {
        let Some(record) = self.legs.get_mut(&dialog) else { return };
        let Some(referral) = record.referral.as_deref_mut() else { return };
        referral.untold = referral.until.is_some_and(|until| until > now);
        if referral.untold && !referral.notifying {
            self.send_notify(now, dialog, None);
        }
        self.clear_referral(dialog);
    }

    fn clear_referral(&mut self, dialog: DialogId) {
        if let Some(record) = self.legs.get_mut(&dialog)
            && record.referral.as_deref().is_some_and(Referral::is_over)
        {
            record.referral = None;
        }
    }

    /// `ended` says why nothing more will come although the transfer goes on.
    fn send_notify(&mut self, now: Time, dialog: DialogId, ended: Option<&str>) {
        let Some(record) = self.legs.get_mut(&dialog) else { return };
        let Some(referral) = record.referral.as_deref_mut() else { return };
        let (status, text) = &referral.word;
        let event = match referral.id {
            Some(id) => format_compact!("refer;id={id}"),
            None => CompactString::const_new("refer"),
        };
        let left = referral.until.unwrap_or_default().saturating_sub(now).as_secs();
        let state = match ended {
            Some(reason) => format_compact!("terminated;reason={reason}"),
            None if *status >= 200 => CompactString::const_new("terminated;reason=noresource"),
            None => format_compact!("active;expires={left}"),
        };
        let mut notify = RequestOut::inside(dialog, Method::Notify);
        notify.headers = vec![
            Header::new(HeaderName::Event, event.to_string()),
            Header::new(HeaderName::SubscriptionState, state.to_string()),
        ];
        let line = format!("SIP/2.0 {status} {text}\r\n");
        notify.body =
            Some(Body { content_type: CompactString::const_new("message/sipfrag;version=2.0"), bytes: line.into() });
        referral.untold = false;
        referral.notifying = true;
        match self.endpoint.request(now, notify) {
            Ok(id) => self.send_on(id, dialog, Errand::Notify),
            // There is no way left to tell, or no room to: the transfer goes on without.
            Err(_) => self.unsubscribed(dialog),
        }
    }

    pub(crate) fn notify_answered(&mut self, now: Time, dialog: DialogId, status: u16) {
        let Some(record) = self.legs.get_mut(&dialog) else { return };
        let Some(referral) = record.referral.as_deref_mut() else { return };
        referral.notifying = false;
        // It knows of no such subscription, or of no NOTIFY at all (RFC 6665 section 4.2.2).
        if matches!(status, 405 | 408 | 481 | 489 | 501) {
            self.unsubscribed(dialog);
        } else if referral.untold {
            self.send_notify(now, dialog, None);
        }
        self.clear_referral(dialog);
    }

    fn unsubscribed(&mut self, dialog: DialogId) {
        if let Some(referral) = self.legs.get_mut(&dialog).and_then(|record| record.referral.as_deref_mut()) {
            referral.until = None;
            referral.untold = false;
            referral.notifying = false;
        }
    }

    /// The leg is about to be hung up: what is still to be told goes first, whatever is under way.
    pub(crate) fn tell_before_the_end(&mut self, now: Time, dialog: DialogId) {
        let referral = self.legs.get(&dialog).and_then(|record| record.referral.as_deref());
        if referral.is_some_and(|referral| referral.untold) {
            self.send_notify(now, dialog, None);
        }
    }

    /// A SUBSCRIBE inside a dialog: it prolongs or ends what a REFER has begun (RFC 6665 section 4.1.2), and nothing else
    /// can be subscribed to.
    pub(crate) fn subscribed(&mut self, now: Time, txn: TxnId, dialog: DialogId, request: &Message) {
        let event = request.event();
        if !event.is_some_and(|event| event.package.eq_ignore_ascii_case("refer")) {
            self.endpoint.reply(now, txn, Response::new(489).with_header(allow_events()));
            return;
        }
        let id = event.and_then(|event| event.id);
        let wanted = request.expires().map_or(SUBSCRIPTION_TIME, |seconds| Duration::from_secs(seconds.into()));
        let granted = wanted.min(SUBSCRIPTION_TIME);
        let referral = self.legs.get_mut(&dialog).and_then(|record| record.referral.as_deref_mut());
        // The first of a dialog may be named, too (RFC 3515 section 2.4.6); only one is under way.
        let named = |referral: &&mut Referral| {
            referral.undecided.is_none()
                && referral.until.is_some_and(|until| until > now)
                && id.is_none_or(|id| referral.id.is_none_or(|own| id.parse() == Ok(own)))
        };
        let Some(referral) = referral.filter(named) else {
            self.endpoint.reply(now, txn, Response::new(481));
            return;
        };
        referral.until = Some(now + granted);
        let expires = Header::new(HeaderName::Expires, granted.as_secs().to_string());
        self.endpoint.reply(now, txn, Response::new(200).with_header(expires));
        if granted.is_zero() {
            self.send_notify(now, dialog, Some("timeout"));
            self.unsubscribed(dialog);
        } else {
            self.notify(now, dialog);
        }
    }
}

/// The refusal of a REFER, which must leave the dialog alone.
fn declined(cause: &Cause) -> Response {
    let mut response = refusal(cause);
    if !matches!(response.status, 400 | 403 | 486 | 488 | 491 | 500 | 503 | 600 | 603 | 606) {
        response.status = 603;
    }
    response
}

/// Status and phrase of a refusal.
type Refusal = (u16, CompactString);

fn with_phrase(status: u16, phrase: &'static str) -> Refusal {
    (status, CompactString::const_new(phrase))
}

/// A phrase fit for a status line, cut where it is too long.
fn phrase(text: &str) -> CompactString {
    let mut out = CompactString::default();
    for char in text.chars() {
        if out.len() + char.len_utf8() > MAX_PHRASE {
            break;
        }
        out.push(if char.is_control() { ' ' } else { char });
    }
    out
}
