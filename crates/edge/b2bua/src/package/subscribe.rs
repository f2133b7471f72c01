//! SUBSCRIBE outside of calls: who may watch whom, and for how long.
//!
//! Whoever subscribes has proved to be somebody, as for a call; a refresh has to be of the same user. `dialog` and
//! `presence` are told to users of the same domain, `reg` and `message-summary` to the user alone. A trusted network
//! may watch everybody, a trunk nobody.

use hookswitch_call::Time;
use hookswitch_sip::subscription::{Key, MAX_EVENT_ID, Refused, Subscription, Topic};
use hookswitch_sip::{Flow, Header, Response, TxnId};
use hookswitch_sip_msg::{HeaderName, Message, Uri};

use super::{Package, allow_events};
use crate::B2bua;

/// When a subscription beyond the limit may be tried again, in seconds.
const RETRY_AFTER: &str = "60";

impl B2bua {
    /// A SUBSCRIBE outside of a call. The refusal, if there is one.
    pub(crate) fn subscribe(&mut self, now: Time, txn: TxnId, request: &Message, flow: Flow) -> Option<Response> {
        let result = match request.to().ok().and_then(|to| to.tag()) {
            Some(tag) => self.resubscribe(now, txn, tag, request, flow),
            None => self.subscribe_anew(now, txn, request, flow),
        };
        result.err().map(|refusal| *refusal)
    }

    fn subscribe_anew(&mut self, now: Time, txn: TxnId, request: &Message, flow: Flow) -> Result<(), Box<Response>> {
        let event = request.event().filter(|event| event.id.is_none_or(|id| id.len() <= MAX_EVENT_ID));
        let Some(event) = event else { return Err(bad_event()) };
        let Some(package) = Package::of(event.package) else { return Err(bad_event()) };
        let watcher = self.watcher(now, request, flow)?;
        let resource = request.request_uri().and_then(|uri| self.user_at(uri)).ok_or_else(|| refused(404))?;
        if !self.is_trusted(flow) && !package.shown_to(&resource, &watcher) {
            return Err(refused(403));
        }
        if !takes(request, package.content_type()) {
            let accept = Header::new(HeaderName::Accept, package.content_type());
            return Err(Box::new(Response::new(406).with_header(accept)));
        }
        let granted = self.packages.subscriptions.grant(request.expires()).map_err(refusal)?;
        self.packages.subscriptions.room(&watcher).map_err(refusal)?;
        let dialog = self.endpoint.dialog_of(request, flow).ok_or_else(|| refused(400))?;
        let response = Response::new(200).with_header(expires(granted));
        self.endpoint.reply_in(now, txn, &dialog, response);
        let topic = Topic { package: package.name().into(), resource };
        self.packages.subscriptions.open(now, Subscription::new(topic, event.id, &watcher, dialog), granted);
        Ok(())
    }

    fn resubscribe(
        &mut self,
        now: Time,
        txn: TxnId,
        tag: &str,
        request: &Message,
        flow: Flow,
    ) -> Result<(), Box<Response>> {
        let key = self.subscription_of(tag, request).ok_or_else(|| refused(481))?;
        let watcher = self.watcher(now, request, flow)?;
        let subscriptions = &mut self.packages.subscriptions;
        let Some(it) = subscriptions.get(key).filter(|it| it.watcher == watcher) else { return Err(refused(403)) };
        let mut dialog = it.dialog.clone();
        let granted = subscriptions.grant(request.expires()).map_err(refusal)?;
        if !dialog.accept(request, flow) {
            return Err(refused(500));
        }
        self.endpoint.reply_in(now, txn, &dialog, Response::new(200).with_header(expires(granted)));
        if let Some(kept) = subscriptions.dialog_mut(key) {
            *kept = dialog;
        }
        subscriptions.refresh(now, key, granted);
        Ok(())
    }

    fn subscription_of(&self, tag: &str, request: &Message) -> Option<Key> {
        let (call_id, from, event) = (request.call_id().ok()?, request.from().ok()?, request.event()?);
        self.packages.subscriptions.find(call_id, tag, from.tag().unwrap_or_default(), (event.package, event.id))
    }

    /// Who subscribes or publishes, as an address of record; somebody in a trusted network may be nobody of ours.
    pub(super) fn watcher(
        &mut self,
        now: Time,
        request: &Message,
        flow: Flow,
    ) -> Result<compact_str::CompactString, Box<Response>> {
        if self.trunk_at(flow).is_some() && !self.is_trusted(flow) {
            return Err(refused(403));
        }
        if let Some(refusal) = self.refusal_of(now, request, flow) {
            return Err(Box::new(refusal));
        }
        let from = request.from().ok().and_then(|from| from.uri_str()).ok_or_else(|| refused(400))?;
        let known = self.user_at(from);
        let foreign = || Uri::parse(from).ok().and_then(|uri| hookswitch_sip::registrar::aor_of(&uri));
        Ok(known.or_else(foreign).unwrap_or_else(|| flow.remote.ip().to_string().into()))
    }
}

pub(super) fn refused(status: u16) -> Box<Response> {
    Box::new(Response::new(status))
}

/// The package is not known here (RFC 6665 section 8.3.2).
pub(super) fn bad_event() -> Box<Response> {
    Box::new(Response::new(489).with_header(allow_events()))
}

pub(super) fn refusal(why: Refused) -> Box<Response> {
    match why {
        Refused::TooBrief(least) => {
            let least = Header::new(HeaderName::MinExpires, least.as_secs().to_string());
            Box::new(Response::new(423).with_header(least))
        }
        Refused::Full => Box::new(Response::new(503).with_header(Header::new(HeaderName::RetryAfter, RETRY_AFTER))),
        Refused::TooMany => refused(403),
    }
}

pub(super) fn expires(granted: Time) -> Header {
    Header::new(HeaderName::Expires, granted.as_secs().to_string())
}

/// Whether a document of this type is wanted; without Accept it is (RFC 6665 section 3.1.3).
fn takes(request: &Message, content_type: &str) -> bool {
    let mut types = request.values(HeaderName::Accept).peekable();
    types.peek().is_none()
        || types.any(|value| {
            let kind = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            kind.eq_ignore_ascii_case(content_type.as_bytes()) || kind == b"*/*" || kind == b"application/*"
        })
}
