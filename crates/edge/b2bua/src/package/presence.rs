//! Whether a user can be reached (package `presence`, RFC 3856), in PIDF (RFC 3863), and PUBLISH (RFC 3903).
//!
//! What a user's phone has published last is passed on as it is, unread. Who has published nothing is open while a phone
//! is registered, and on the phone while in a call.

use bytes::Bytes;
use hookswitch_call::Time;
use hookswitch_sip::publication::Unpublished;
use hookswitch_sip::{Body, Flow, Header, Response, TxnId};
use hookswitch_sip_msg::{HeaderName, Message};

use super::lamps::uri_of;
use super::subscribe::{bad_event, expires, refused};
use super::xml::Xml;
use super::{Package, topic};
use crate::B2bua;

/// When a publication beyond the limit may be tried again, in seconds.
const RETRY_AFTER: &str = "60";

impl B2bua {
    /// A PUBLISH. The refusal, if there is one.
    pub(crate) fn publish(&mut self, now: Time, txn: TxnId, request: &Message, flow: Flow) -> Option<Response> {
        match self.take_publication(now, request, flow) {
            Ok(response) => {
                self.endpoint.reply(now, txn, response);
                None
            }
            Err(refusal) => Some(*refusal),
        }
    }

    fn take_publication(&mut self, now: Time, request: &Message, flow: Flow) -> Result<Response, Box<Response>> {
        let package = request.event().and_then(|event| Package::of(event.package));
        if package != Some(Package::Presence) {
            return Err(bad_event());
        }
        let publisher = self.watcher(now, request, flow)?;
        let user = request.request_uri().and_then(|uri| self.user_at(uri)).ok_or_else(|| refused(404))?;
        if user != publisher && !self.is_trusted(flow) {
            return Err(refused(403));
        }
        let document = request.body();
        let content_type = Package::Presence.content_type();
        let fits = || request.content_type().is_some_and(|kind| kind.eq_ignore_ascii_case(content_type));
        if !document.is_empty() && !fits() {
            return Err(Box::new(Response::new(415).with_header(Header::new(HeaderName::Accept, content_type))));
        }
        let granted = self.packages.subscriptions.grant(request.expires()).map_err(super::subscribe::refusal)?;
        let matched = request.header_str(HeaderName::SipIfMatch).map(str::trim);
        // A message shares its bytes with what came along with it.
        let document = Bytes::copy_from_slice(&document);
        let published = self.packages.publications.publish(now, &user, matched, document, granted);
        let (tag, changed) = published.map_err(|why| match why {
            Unpublished::Unmatched => refused(412),
            Unpublished::Nothing => refused(400),
            Unpublished::TooLarge => refused(413),
            Unpublished::TooMany => refused(403),
            Unpublished::Full => {
                Box::new(Response::new(503).with_header(Header::new(HeaderName::RetryAfter, RETRY_AFTER)))
            }
        })?;
        if changed {
            self.packages.subscriptions.changed(now, &topic(Package::Presence, &user));
        }
        let tag = Header::new(HeaderName::SipEtag, tag.as_bytes().to_vec());
        Ok(Response::new(200).with_header(tag).with_header(expires(granted)))
    }

    /// Ends publications whose time is over.
    pub(super) fn end_publications(&mut self, now: Time) {
        while let Some(user) = self.packages.publications.poll_over(now) {
            self.packages.subscriptions.changed(now, &topic(Package::Presence, &user));
        }
    }

    /// Forgets what users of a domain have published who are not there any more.
    pub(super) fn drop_publications(&mut self, domain: &str) {
        let of_domain = |aor: &&compact_str::CompactString| aor.rsplit_once('@').is_some_and(|(_, of)| of == domain);
        let users = self.packages.publications.users().filter(of_domain);
        let gone: Vec<_> = users.filter(|aor| self.user_at(&uri_of(aor)).is_none()).cloned().collect();
        for aor in gone {
            self.packages.publications.forget(&aor);
        }
    }

    pub(super) fn pidf(&self, now: Time, aor: &str) -> Body {
        let content_type = Package::Presence.content_type().into();
        if let Some(document) = self.packages.publications.newest(now, aor) {
            return Body { content_type, bytes: document.clone() };
        }
        let uri = uri_of(aor);
        let open = self.registrar.reachable(now, aor).next().is_some();
        let mut xml = Xml::new();
        xml.open("presence")
            .attribute("xmlns", "urn:ietf:params:xml:ns:pidf")
            .attribute("xmlns:dm", "urn:ietf:params:xml:ns:pidf:data-model")
            .attribute("xmlns:rpid", "urn:ietf:params:xml:ns:pidf:rpid")
            .attribute("entity", &uri);
        xml.open("tuple").attribute("id", "phones").open("status");
        xml.leaf("basic", if open { "open" } else { "closed" }).close();
        xml.leaf("contact", &uri).close();
        if self.packages.lamps.is_busy(aor) {
            xml.open("dm:person").attribute("id", "user").open("rpid:activities").open("rpid:on-the-phone");
        }
        Body { content_type, bytes: xml.finish().into() }
    }
}
