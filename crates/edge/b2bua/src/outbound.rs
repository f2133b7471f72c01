//! A party is called, and what comes back.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_call::{CallId, Cause, Dial, Fault, Kind, LegId, MAX_BRANCHES, Report, Time};
use hookswitch_sip::guard::Source;
use hookswitch_sip::resolve::{Hop, Hops, ResolveError};
use hookswitch_sip::{Body, DialogId, Ender, FailCause, Flow, Invite, Rel100, SipError};
use hookswitch_sip_msg::{HeaderName, Message, Uri};

use crate::identity;
use crate::leg::{LegRecord, sdp_of};
use crate::locate::TRUSTED_ROUTE;
use crate::named::{Toward, unresolved};
use crate::origin::Origin;
use crate::reason;
use crate::trunk::TrunkSet;
use crate::{B2bua, Reliable};

impl B2bua {
    pub(crate) fn dial(&mut self, now: Time, call: CallId, leg: LegId, dial: Dial) {
        let ended = |cause| Report::Ended { call, leg, cause };
        if let Err(cause) = self.count_toll((call, leg), &dial) {
            return self.report(ended(cause));
        }
        if let Some(set) = TrunkSet::of(dial.target.via) {
            return self.dial_trunks(now, (call, leg), dial, set);
        }
        let Some((way, routes)) = self.way_to(now, &dial) else {
            return self.report(ended(Cause::new(Kind::Unreachable, Fault::Peer)));
        };
        self.dial_phone(now, (call, leg), &dial);
        match self.resolve(now, &way) {
            Ok(Toward::Flow(flow)) => {
                let via = dial.target.via;
                let mut invite = self.invite_for(dial, flow, routes);
                self.mannered((call, leg), &mut invite);
                self.send_invite(now, (call, leg), invite, via);
            }
            Ok(Toward::Hops(hops)) => self.call_out(now, (call, leg), dial, hops, routes),
            Ok(Toward::Asked(query)) => self.call_when_known((call, leg), dial, query, routes),
            Err(error) => {
                self.flows.forget((call, leg));
                self.report(ended(unresolved(error)));
            }
        }
    }

    /// Calls the party at the first of these places; the others are for when that one is out of order.
    pub(crate) fn call_out(
        &mut self,
        now: Time,
        (call, leg): (CallId, LegId),
        dial: Dial,
        mut hops: Hops,
        routes: Vec<CompactString>,
    ) {
        if dial.target.near.is_some() && hops.len() > 1 {
            // Our offer names the address that was near when the party was located.
            hops.sort_by_key(|hop| self.flow_of(*hop).and_then(|flow| self.near(flow)) != dial.target.near);
        }
        let mut left = hops.into_iter();
        let Some((hop, flow)) = left.by_ref().find_map(|hop| Some((hop, self.flow_of(hop)?))) else {
            return self.no_way(now, (call, leg), unresolved(ResolveError::NoSocket));
        };
        let left: VecDeque<Hop> = left.collect();
        let via = dial.target.via;
        let mut invite = self.invite_for(dial, flow, routes);
        invite.may_connect = true;
        self.dress((call, leg), &mut invite);
        self.mannered((call, leg), &mut invite);
        let again = (!left.is_empty()).then(|| invite.clone());
        let sent = self.send_invite(now, (call, leg), invite, via);
        if let (Some(mut invite), Some(call_id)) = (again, sent) {
            invite.call_id = Some(call_id);
            self.names.spares.insert((call, leg), Box::new(Spare { invite, hop, left, sent_at: now }));
        }
    }

    pub(crate) fn invite_for(&self, dial: Dial, flow: Flow, routes: Vec<CompactString>) -> Invite {
        let trusted = dial.target.via == Some(TRUSTED_ROUTE) || self.is_trusted(flow);
        let (from, headers) = identity::write(&dial, trusted);
        let to = name_addr(None, &dial.to.0);
        let focus = dial.meets.as_ref().is_some_and(|address| self.is_conference(address));
        let mut invite = Invite::new(request_uri(&dial.target.address.0), from, to, flow);
        invite.focus = focus;
        invite.call_id = dial.wire_id;
        invite.routes = routes;
        invite.max_forwards = dial.hops;
        invite.headers = headers;
        invite.body = dial.offer.map(|sdp| Body::sdp(Bytes::copy_from_slice(sdp.0.as_bytes())));
        invite.rel100 = match (invite.body.is_some() || dial.answers_early, self.config.reliable) {
            // A reliable provisional response would carry the party's offer and want our answer long before there is one.
            (false, _) => Rel100::Off,
            (true, Reliable::Off | Reliable::Offered) => Rel100::Offered,
            (true, Reliable::Required) => Rel100::Required,
        };
        invite
    }

    /// Sends an INVITE for a leg and says under which Call-ID.
    fn send_invite(
        &mut self,
        now: Time,
        (call, leg): (CallId, LegId),
        invite: Invite,
        via: Option<u64>,
    ) -> Option<CompactString> {
        let (late_offer, source) = (invite.body.is_none(), Source::of(invite.flow.remote.ip()));
        let origin = invite.body.as_ref().and_then(|body| Origin::of(std::str::from_utf8(&body.bytes).ok()?));
        match self.endpoint.invite(now, invite) {
            Ok(dialog) => {
                let mut record = LegRecord::new(call, leg, false);
                record.late_offer = late_offer;
                record.origin = origin;
                record.source = Some(source);
                let wire_id: CompactString =
                    self.endpoint.dialog(dialog).map(|d| d.call_id().into()).unwrap_or_default();
                let (trunk, known) = self.sent_to_trunk(now, (call, leg), &wire_id);
                record.trunk = trunk;
                record.user = via.and_then(|key| Some(self.registrar.by_key(now, key)?.aor.as_ref().into()));
                self.flows.sent((call, leg), &wire_id);
                self.remember(dialog, record);
                if !known {
                    self.report(Report::Dialed { call, leg, wire_id: wire_id.clone() });
                }
                Some(wire_id)
            }
            Err(error) => {
                self.trunks.forget((call, leg));
                self.flows.forget((call, leg));
                self.report(Report::Ended { call, leg, cause: cannot_send(&error) });
                None
            }
        }
    }

    /// Calls the party at its next place, if this one has failed in a way that says nothing about the party
    /// (RFC 3263 4.3). The core sees one leg all the time.
    fn try_next(
        &mut self,
        now: Time,
        dialog: DialogId,
        status: u16,
        response: Option<&Message>,
        why: FailCause,
    ) -> bool {
        let Some(record) = self.legs.get(&dialog).filter(|record| !record.ending) else { return false };
        let name = (record.call, record.leg);
        let Some(spare) = self.names.spares.get_mut(&name) else { return false };
        let silent = spare.sent_at + self.config.endpoint.timers.b() + Duration::from_secs(1);
        let time = match why {
            FailCause::Unreachable => SHUN_TIME,
            // Later, a 100 had come and it is the party that did not answer.
            FailCause::Timeout if now <= silent => SHUN_TIME,
            FailCause::Response if status == 503 => rest_of(response),
            FailCause::Timeout | FailCause::Response | FailCause::Cancelled => return false,
        };
        self.names.resolver.shun(now, spare.hop, time);
        if !spare.left.is_empty() {
            self.note_missed(now, dialog, status, response, why);
        }
        while let Some(hop) = self.names.spares.get_mut(&name).and_then(|spare| spare.left.pop_front()) {
            let Some(flow) = self.flow_of(hop) else { continue };
            let Some(spare) = self.names.spares.get_mut(&name) else { break };
            spare.hop = hop;
            spare.sent_at = now;
            let invite = Invite { flow, ..spare.invite.clone() };
            let Ok(next) = self.endpoint.invite(now, invite) else { break };
            if let Some(mut record) = self.legs.remove(&dialog) {
                self.leaves(&record, dialog);
                record.source = Some(Source::of(flow.remote.ip()));
                self.remember(next, record);
            }
            return true;
        }
        false
    }

    /// The party has been heard: it stays where it is.
    fn heard(&mut self, dialog: DialogId) {
        if self.names.spares.is_empty() {
            return;
        }
        let name = self.legs.get(&dialog).map(|record| (record.call, record.leg));
        if let Some(spare) = name.and_then(|name| self.names.spares.remove(&name)) {
            self.names.resolver.pardon(spare.hop);
        }
    }

    pub(crate) fn progressed(&mut self, dialog: DialogId, (fork, prack_due): (u8, bool), response: &Message) {
        self.heard(dialog);
        let status = response.status().unwrap_or(183);
        self.trunk_progressed(dialog, status);
        if let Some(record) = self.legs.get_mut(&dialog) {
            let text = String::from_utf8_lossy(response.reason()).as_ref().into();
            // What a changed session was before is no news (RFC 3261 section 13.2.1).
            let news = record.changed != Some(fork);
            // Without an offer of ours only a reliable one is an offer (RFC 3261 section 13.2.1), and of several the
            // first that comes is answered: the others end with the early dialog that is not acknowledged.
            let taken = record.prack_due.or(record.changed);
            let counts = !record.late_offer || prack_due && taken.is_none();
            let sdp = sdp_of(response).filter(|_| news && counts);
            if sdp.is_some() {
                record.early = Some(fork);
                record.prack_due = prack_due.then_some(fork);
            }
            let (call, leg) = (record.call, record.leg);
            self.report(Report::Progress { call, leg, status, text, sdp });
        }
    }

    pub(crate) fn answered(&mut self, now: Time, dialog: DialogId, fork: u8, response: &Message) {
        self.heard(dialog);
        let Some(record) = self.legs.get_mut(&dialog) else { return };
        record.answered = true;
        if record.ending {
            // One read of a stream can bring the answer right behind what made the core give up.
            self.endpoint.ack(now, dialog, None);
            self.endpoint.bye(now, dialog, Vec::new());
            return;
        }
        record.ack_due = true;
        let sdp = sdp_of(response).filter(|_| record.changed != Some(fork));
        let (call, leg) = (record.call, record.leg);
        self.trunks.forget((call, leg));
        self.flows.forget((call, leg));
        self.report(Report::Answered { call, leg, sdp });
    }

    pub(crate) fn failed(
        &mut self,
        now: Time,
        dialog: DialogId,
        (status, phrase): (u16, &str),
        response: Option<&Message>,
        why: FailCause,
    ) {
        if self.try_next(now, dialog, status, response, why) || self.try_next_flow(now, dialog, status, why) {
            return;
        }
        let cause = match why {
            FailCause::Response => reason::refine(Cause::from_status(status, phrase), response),
            FailCause::Timeout => Cause::new(Kind::NoAnswer, Fault::Peer),
            FailCause::Unreachable => Cause::new(Kind::Unreachable, Fault::Peer),
            FailCause::Cancelled => Cause::new(Kind::Cancelled, Fault::Nobody),
        };
        let cause = self.judge_trunk(dialog, cause);
        if self.try_next_trunk(now, dialog, &cause, response, why) {
            return;
        }
        if why == FailCause::Response && (300..400).contains(&status) {
            self.redirected(dialog, response);
        }
        self.over(dialog, cause);
    }

    /// Tells whom the party wants called in its place, the most wanted first (RFC 3261 section 8.1.3.4).
    fn redirected(&mut self, dialog: DialogId, response: Option<&Message>) {
        let (Some((call, leg)), Some(response)) = (self.name_of(dialog), response) else { return };
        let contacts = response.contacts().filter_map(Result::ok);
        let mut named: Vec<_> =
            contacts.filter_map(|c| Some((c.q().unwrap_or(1_000), identity::address_of(&c)?))).collect();
        named.sort_by_key(|(q, _)| std::cmp::Reverse(*q));
        named.truncate(MAX_BRANCHES);
        if !named.is_empty() {
            let to = named.into_iter().map(|(_, address)| address).collect();
            self.report(Report::Redirected { call, leg, to });
        }
    }

    pub(crate) fn ended(&mut self, dialog: DialogId, by: Ender, request: Option<&Message>) {
        let cause = match by {
            Ender::Peer | Ender::Local => Cause::hangup(),
            Ender::AckTimeout => Cause::new(Kind::NotAcknowledged, Fault::Peer),
            // Nobody refreshed the session: the other side is taken to have vanished.
            Ender::Expired => Cause::new(Kind::Expired, Fault::Peer),
            Ender::Unreachable | Ender::Gone => Cause::new(Kind::Unreachable, Fault::Peer),
        };
        self.over(dialog, reason::refine(cause, request));
    }
}

/// Where else a party may be, while the one place has not been heard from.
pub(crate) struct Spare {
    /// What was sent, for the next place.
    invite: Invite,
    /// The place that was asked last.
    hop: Hop,
    left: VecDeque<Hop>,
    sent_at: Time,
}

/// How long a place that failed is tried last, where it does not say.
pub const SHUN_TIME: Duration = Duration::from_secs(60);

/// Longest time a place is tried last, whatever it says.
pub const MAX_SHUN_TIME: Duration = Duration::from_secs(3_600);

/// How long whoever says 503 is called last.
pub(crate) fn rest_of(response: Option<&Message>) -> Duration {
    retry_after(response).unwrap_or(SHUN_TIME).min(MAX_SHUN_TIME)
}

/// What a 503 says of when to come back (RFC 3261 20.33): a number of seconds, perhaps with a comment or parameters.
fn retry_after(response: Option<&Message>) -> Option<Duration> {
    let value = response?.header(HeaderName::RetryAfter)?;
    let digits = value.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
    std::str::from_utf8(&value[..digits]).ok()?.parse().ok().map(Duration::from_secs)
}

/// Why an INVITE could not even be sent.
fn cannot_send(error: &SipError) -> Cause {
    let (kind, fault) = match error {
        SipError::Malformed => (Kind::BadAddress, Fault::Controller),
        SipError::TooLarge => (Kind::NotAcceptable, Fault::Peer),
        SipError::UnknownDialog
        | SipError::NotEstablished
        | SipError::Pending
        | SipError::TransactionLimit
        | SipError::DialogLimit
        | SipError::Unsendable => (Kind::Overloaded, Fault::Server),
    };
    Cause::new(kind, fault)
}

/// The address without headers, which a Request-URI must not have (RFC 3261 section 19.1.1).
pub(crate) fn request_uri(address: &str) -> &str {
    if !address.contains('?') {
        return address;
    }
    let headers = Uri::parse(address).ok().and_then(|uri| uri.headers).map_or(0, |headers| headers.len() + 1);
    &address[..address.len() - headers]
}

/// `"display" <uri>`; the display name goes through as it was written.
pub(crate) fn name_addr(display: Option<&[u8]>, uri: &str) -> Bytes {
    match display {
        Some(display) => [b"\"", display, b"\" <", uri.as_bytes(), b">"].concat().into(),
        None => [b"<", uri.as_bytes(), b">"].concat().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_uri_has_no_headers() {
        for (address, expected) in [
            ("sip:bob@h;x=y?Subject=hi&Evil=1", "sip:bob@h;x=y"),
            ("sip:bob?@h", "sip:bob?@h"),
            ("sip:bob?@h?a=b", "sip:bob?@h"),
            ("sip:bob@h", "sip:bob@h"),
        ] {
            assert_eq!(request_uri(address), expected);
        }
    }
}
