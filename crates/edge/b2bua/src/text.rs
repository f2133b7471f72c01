//! Texts outside of a call (MESSAGE in pager mode, RFC 3428): each goes where a call would, and the best answer comes
//! back. No call is made of it, and nobody but the sender is told.
//!
//! ```text
//!   MESSAGE ──▶ may it be sent, whereto ──┬─▶ MESSAGE ──▶ a final answer ──┐
//!              (refused: an answer at     ├─▶ MESSAGE ──▶ 2xx ─────────────┼──▶ at once
//!               once, and no memory)      └─▶ a name is looked up ─▶ …     └──▶ the best, when all are there
//! ```
//!
//! Texts are not forwarded where calls are: that is a wish about ringing.

use std::collections::VecDeque;

use ahash::AHashMap;
use bytes::Bytes;
use compact_str::{CompactString, format_compact};
use hookswitch_call::{Address, Cause, Dial, Fault, Kind, MAX_ADDRESS, MAX_BRANCHES, Target, Time};
use hookswitch_sip::registrar::{Binding, Instance, StaleWhy};
use hookswitch_sip::resolve::{Hop, Hops, ResolveError};
use hookswitch_sip::{Body, FailCause, Flow, Header, RequestId, RequestOut, Response, TxnId};
use hookswitch_sip_msg::{HeaderName, Message, Method};

use crate::B2bua;
use crate::identity;
use crate::locate::{NoPlace, Place, TRUSTED_ROUTE};
use crate::named::{Toward, unresolved};
use crate::outbound::{name_addr, request_uri};
use crate::parcel::{MAX_PARCEL, on_one_line};
use crate::registrar::{UserName, failure, later};

/// Most texts that are on their way at a time; more are answered 503.
pub const MAX_TEXTS: usize = 1_000;

/// When a text beyond [`MAX_TEXTS`] may be sent again, in seconds.
const RETRY_AFTER: &str = "5";

/// What of a text is passed on besides who sends it and what it says.
const CARRIED: [HeaderName; 10] = [
    HeaderName::ContentDisposition,
    HeaderName::ContentEncoding,
    HeaderName::ContentLanguage,
    HeaderName::Date,
    HeaderName::Expires,
    HeaderName::InReplyTo,
    HeaderName::Organization,
    HeaderName::Priority,
    HeaderName::ReplyTo,
    HeaderName::Subject,
];

/// The texts that are on their way.
#[derive(Default)]
pub(crate) struct Texts {
    texts: AHashMap<u64, Text>,
    /// Which text, and where else its branch may go.
    asked: AHashMap<RequestId, (u64, Branch)>,
    /// Our own Call-IDs, to know a text that has come back.
    call_ids: AHashMap<CompactString, u64>,
    next: u64,
}

impl Texts {
    pub fn live(&self) -> usize {
        self.texts.len()
    }
}

struct Text {
    /// What is to be answered; none when it is.
    txn: Option<TxnId>,
    /// What every branch is sent; the rest is the branch's own.
    dial: Dial,
    headers: Vec<Header>,
    body: Body,
    /// Whose Call-ID it came with, if that was one of ours.
    parent: Option<u64>,
    call_id: CompactString,
    /// Branches without a final answer.
    open: usize,
    best: Option<Verdict>,
}

/// One place that a text is sent to.
pub(crate) struct Branch {
    target: Target,
    routes: Vec<CompactString>,
    left: VecDeque<Hop>,
    /// The phone, if it may have other flows.
    phone: Option<Instance>,
}

/// Why a text is not sent, or not yet.
enum Unread {
    Refused(Box<Response>),
    /// It goes to a user who has to be looked up first.
    Unsettled(UserName),
}

/// A final answer of a branch that is no success.
struct Verdict {
    rank: u16,
    response: Response,
}

impl B2bua {
    /// A MESSAGE outside of a dialog. The refusal, if there is one. `proved`: it was asked already who sends it.
    pub(crate) fn texted(
        &mut self,
        now: Time,
        txn: TxnId,
        request: &Message,
        flow: Flow,
        proved: bool,
    ) -> Option<Response> {
        if let Some(refusal) = if proved { None } else { self.refusal_of(now, request, flow) } {
            return Some(refusal);
        }
        match self.read_text(now, txn, request, flow) {
            Ok((text, places)) => {
                self.send_text(now, text, places);
                None
            }
            Err(Unread::Refused(refusal)) => Some(*refusal),
            Err(Unread::Unsettled(name)) => self.text_waits(now, &name, (txn, request, flow)),
        }
    }

    fn read_text(
        &mut self,
        now: Time,
        txn: TxnId,
        request: &Message,
        flow: Flow,
    ) -> Result<(Text, Vec<Place>), Unread> {
        let refuse = |status| Unread::Refused(Box::new(Response::new(status)));
        let from = request.from().ok().and_then(|from| from.uri_str()).filter(|from| from.len() <= MAX_ADDRESS);
        let to = request.request_uri().filter(|to| to.len() <= MAX_ADDRESS);
        let (Some(from), Some(to), Ok(call_id)) = (from, to, request.call_id()) else { return Err(refuse(400)) };
        let hops = request.max_forwards().ok().flatten().unwrap_or(70);
        if hops == 0 {
            return Err(refuse(483));
        }
        let bytes = request.body();
        if bytes.len() > MAX_PARCEL {
            return Err(refuse(513));
        }
        if self.texts.texts.len() >= MAX_TEXTS {
            let later = Header::new(HeaderName::RetryAfter, RETRY_AFTER);
            return Err(Unread::Refused(Box::new(Response::new(503).with_header(later))));
        }
        let (to, parent) = (Address::from(to), self.texts.call_ids.get(call_id).copied());
        if self.comes_round(parent, &to) {
            return Err(refuse(482));
        }
        let places = self.places_of_text(now, &to).map_err(|why| match why {
            NoPlace::Unsettled(name) => Unread::Unsettled(name),
            // Nobody could say whether there is such a user.
            NoPlace::Because(cause) if cause.kind == Kind::Overloaded => Unread::Refused(Box::new(later())),
            NoPlace::Because(cause) => refuse(fit(cause.refusal().0)),
        })?;
        let trunk = self.trunk_of(flow, request);
        let trusted = self.is_trusted(flow) || trunk.is_some_and(|trunk| self.trunks.believes(trunk));
        let (mut identity, ..) = identity::read(request, trusted);
        if let Some(trunk) = trunk {
            self.trunks.identify(trunk, trusted, &mut identity);
        }
        let dial = Dial { hops: hops - 1, identity, ..Dial::new(nowhere_yet(), Address::from(from), to, None) };
        let carried = CARRIED.into_iter().filter_map(|name| Some(Header::new(name, request.header(name)?.to_vec())));
        let content_type = request.header_str(HeaderName::ContentType).unwrap_or("text/plain");
        let body = Body { content_type: on_one_line(content_type), bytes: Bytes::copy_from_slice(&bytes) };
        let headers = carried.collect();
        let call_id = CompactString::default();
        if places.is_empty() {
            return Err(refuse(480));
        }
        Ok((Text { txn: Some(txn), dial, headers, body, parent, call_id, open: 0, best: None }, places))
    }

    /// Whether a text to that address is one of ours which has come back, perhaps by others of ours.
    fn comes_round(&self, mut parent: Option<u64>, to: &Address) -> bool {
        while let Some(text) = parent.and_then(|key| self.texts.texts.get(&key)) {
            if text.dial.to == *to {
                return true;
            }
            parent = text.parent;
        }
        false
    }

    fn send_text(&mut self, now: Time, mut text: Text, mut places: Vec<Place>) {
        let key = self.texts.next;
        self.texts.next += 1;
        // One for all branches, as a proxy that forks would send; time does not repeat itself after a restart.
        text.call_id = format_compact!("text-{:x}-{key:x}", now.as_nanos());
        places.truncate(MAX_BRANCHES);
        text.open = places.len();
        self.texts.call_ids.insert(text.call_id.clone(), key);
        self.texts.texts.insert(key, text);
        for Place { target, way } in places {
            let routes = self.routes_to(now, &target);
            let binding = target.via.and_then(|key| self.registrar.by_key(now, key));
            let phone = binding.and_then(Binding::instance_with_flows);
            let branch = Branch { target, routes, left: VecDeque::new(), phone };
            match self.resolve(now, &way) {
                Ok(Toward::Flow(flow)) => self.send_branch(now, key, branch, flow),
                Ok(Toward::Hops(hops)) => {
                    self.send_branch_to(now, key, Branch { left: hops.into_iter().collect(), ..branch });
                }
                Ok(Toward::Asked(query)) => self.text_when_known(query, key, branch),
                Err(error) => self.branch_failed(now, key, unresolved(error)),
            }
        }
    }

    /// Sends a branch to the first of its places that a socket leads to.
    pub(crate) fn send_branch_to(&mut self, now: Time, key: u64, mut branch: Branch) {
        while let Some(hop) = branch.left.pop_front() {
            if let Some(flow) = self.flow_of(hop) {
                return self.send_branch(now, key, branch, flow);
            }
        }
        self.branch_failed(now, key, Cause::new(Kind::Unreachable, Fault::Server));
    }

    /// Where the look-up of a branch's name has led.
    pub(crate) fn text_resolved(
        &mut self,
        now: Time,
        (key, branch): (u64, Branch),
        result: Result<Hops, ResolveError>,
    ) {
        match result {
            Ok(hops) => self.send_branch_to(now, key, Branch { left: hops.into_iter().collect(), ..branch }),
            Err(error) => self.branch_failed(now, key, unresolved(error)),
        }
    }

    fn send_branch(&mut self, now: Time, key: u64, branch: Branch, flow: Flow) {
        let trusted = branch.target.via == Some(TRUSTED_ROUTE) || self.is_trusted(flow);
        let Some(text) = self.texts.texts.get(&key) else { return };
        let (from, headers) = identity::write(&text.dial, trusted);
        let uri = request_uri(&branch.target.address.0);
        let mut request = RequestOut::new(Method::Message, uri, from, name_addr(None, &text.dial.to.0), flow);
        request.call_id = Some(text.call_id.clone());
        request.routes.clone_from(&branch.routes);
        request.credentials = self.trunk_credentials(branch.target.via);
        request.max_forwards = text.dial.hops;
        request.headers = headers;
        request.headers.extend(text.headers.iter().cloned());
        request.body = (!text.body.bytes.is_empty()).then(|| text.body.clone());
        match self.endpoint.request(now, request) {
            Ok(id) => {
                self.texts.asked.insert(id, (key, branch));
            }
            Err(_) => self.branch_failed(now, key, Cause::new(Kind::Overloaded, Fault::Server)),
        }
    }

    /// The final answer to a branch, if the request was one.
    pub(crate) fn text_answered(
        &mut self,
        now: Time,
        id: RequestId,
        status: u16,
        response: Option<&Message>,
        why: FailCause,
    ) {
        let Some((key, branch)) = self.texts.asked.remove(&id) else { return };
        let out_of_order = why == FailCause::Unreachable || why == FailCause::Response && status == 503;
        if out_of_order && !branch.left.is_empty() {
            return self.send_branch_to(now, key, branch);
        }
        if self.text_over_next_flow(now, key, branch, failure(status, why)) {
            return;
        }
        if status < 300 {
            if let Some(txn) = self.texts.texts.get_mut(&key).and_then(|text| text.txn.take()) {
                self.endpoint.reply(now, txn, Response::new(status));
            }
            return self.branch_over(now, key, None);
        }
        let phrase = response.map(|response| String::from_utf8_lossy(response.reason()).into_owned());
        let rank = Cause::from_status(status, "").fork_rank();
        let mut answer = Response::new(fit(status));
        answer.reason = phrase.filter(|_| answer.status == status).map(|phrase| on_one_line(&phrase));
        // What the one says that it takes is what the sender has to know.
        let says = match answer.status {
            405 => Some(HeaderName::Allow),
            415 => Some(HeaderName::Accept),
            _ => None,
        };
        if let Some(name) = says {
            let value = response.and_then(|response| response.header(name)).unwrap_or_default();
            answer.headers.push(Header::new(name, value.to_vec()));
        }
        self.branch_over(now, key, Some(Verdict { rank, response: answer }));
    }

    /// Sends a branch over the next flow of its phone, if its failure asks for that.
    fn text_over_next_flow(&mut self, now: Time, key: u64, mut branch: Branch, why: Option<StaleWhy>) -> bool {
        let (Some(why), Some(phone), Some(via)) = (why, &branch.phone, branch.target.via) else { return false };
        self.registrar.flow_failed(now, via, why);
        let Some((next, flow)) = self.next_flow(now, phone, None) else { return false };
        let Some(binding) = self.registrar.by_key(now, next) else { return false };
        branch.target.address = Address(binding.contact.as_ref().into());
        branch.target.via = Some(next);
        branch.routes = self.routes_to(now, &branch.target);
        self.send_branch(now, key, branch, flow);
        true
    }

    fn branch_failed(&mut self, now: Time, key: u64, cause: Cause) {
        let (rank, (status, _)) = (cause.fork_rank(), cause.refusal());
        let ours = status == 503;
        let mut response = Response::new(if ours { status } else { fit(status) });
        if ours {
            response.headers.push(Header::new(HeaderName::RetryAfter, RETRY_AFTER));
        }
        self.branch_over(now, key, Some(Verdict { rank, response }));
    }

    /// One branch less; the last one brings the answer, unless somebody has taken the text.
    fn branch_over(&mut self, now: Time, key: u64, verdict: Option<Verdict>) {
        let Some(text) = self.texts.texts.get_mut(&key) else { return };
        if let Some(verdict) = verdict
            && text.best.as_ref().is_none_or(|best| verdict.rank < best.rank)
        {
            text.best = Some(verdict);
        }
        text.open -= 1;
        if text.open > 0 {
            return;
        }
        let Some(text) = self.texts.texts.remove(&key) else { return };
        self.texts.call_ids.remove(&text.call_id);
        if let Some(txn) = text.txn {
            let response = text.best.map_or_else(|| Response::new(480), |best| best.response);
            self.endpoint.reply(now, txn, response);
        }
    }
}

/// The status that the sender is told. No 408, which comes too late to be of use (RFC 4320 section 4.2); nothing that
/// belongs to the session of the other one with us; no 503 for what is no shortage of ours (RFC 3261 section 16.7).
fn fit(status: u16) -> u16 {
    match status {
        405 | 415 => status,
        408 => 480,
        503 => 500,
        _ => Cause::from_status(status, "").refusal().0,
    }
}

/// Every branch has its own.
fn nowhere_yet() -> Target {
    Target::new(Address::from(""), None, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_is_told_what_it_can_use() {
        for (status, expected) in
            [(404, 404), (405, 405), (415, 415), (401, 403), (408, 480), (503, 500), (302, 480), (420, 500), (603, 603)]
        {
            assert_eq!(fit(status), expected);
        }
    }
}
