//! What nodes tell of legs and registrations, as reports.

use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::{Address, CallId, Digit, Handle, Incoming, LegId, ReferTo, Replaces, Report, Sdp};
use hookswitch_mediaswitch::{News, Party, Refer, sdp};
use serde::Deserialize;
use serde_json::Value;

use super::registered::Named;
use super::{Leg, Legs, MAX_LEGS};
use crate::{NodeId, Told};

/// What is read of the document of an event.
#[derive(Deserialize)]
struct Event {
    seq: u64,
    #[serde(default)]
    maxforwards: u8,
    #[serde(default)]
    sdp: Sessions,
    refer: Option<Refer>,
    replaces: Option<CompactString>,
    party: Option<Party>,
    news: News,
}

/// A user in a body, as the examples in the readme of project-mediaswitch have it, and not in the path.
#[derive(Deserialize)]
struct Someone {
    domain: CompactString,
    user: CompactString,
}

#[derive(Deserialize, Default)]
struct Sessions {
    #[serde(default)]
    them: Value,
}

/// A segment of a path, unescaped (RFC 3986 section 2.1).
fn unescaped(segment: &str) -> Option<CompactString> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits =
            std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok().map(CompactString::from)
}

impl Legs {
    /// The status of our answer: 404 has the node end a dialog that nobody here knows.
    pub(super) fn hear(&mut self, node: NodeId, told: Told<'_>) -> u16 {
        let segments: Vec<Option<CompactString>> = told.path.split('/').skip(1).map(unescaped).collect();
        match (told.method, segments.as_slice()) {
            ("PUT", [Some(what), Some(callid)]) if what == "dialog" => self.event(node, callid, told.body),
            ("PUT", [Some(what), Some(domain), Some(user)]) if what == "reg" => {
                self.registered_at(node, domain, user, Named::read(self.now, told.body))
            }
            ("DELETE", [Some(what), Some(domain), Some(user)]) if what == "reg" => {
                self.unregistered_at(node, domain, user)
            }
            ("PUT" | "POST" | "DELETE", [Some(what)]) if what == "reg" => {
                match serde_json::from_slice::<Someone>(told.body) {
                    Ok(Someone { domain, user }) if told.method == "DELETE" => {
                        self.unregistered_at(node, &domain, &user)
                    }
                    Ok(Someone { domain, user }) => {
                        self.registered_at(node, &domain, &user, Named::read(self.now, told.body))
                    }
                    Err(_) => 400,
                }
            }
            _ => 404,
        }
    }

    fn event(&mut self, node: NodeId, callid: &CompactString, body: &[u8]) -> u16 {
        let Ok(event) = serde_json::from_slice::<Event>(body) else { return 400 };
        let Ok(them) = sdp::to_text(&event.sdp.them) else { return 400 };
        let them = them.map(|text| Sdp(Arc::from(text)));
        match self.legs.get_mut(callid) {
            Some(leg) if leg.node == node => {
                // It was told again, because our answer was lost.
                if event.seq <= leg.seq {
                    return 200;
                }
                leg.seq = event.seq;
                if matches!(event.news, News::Arrived { .. }) {
                    return 200;
                }
                if leg.name.is_some() {
                    self.on_the_wire(callid);
                }
                self.happened(callid, event, them);
                200
            }
            // Two parties with one Call-ID: the second one is told to try another.
            Some(_) => 409,
            None if matches!(event.news, News::Arrived { .. }) => self.arrive(node, callid, event, them),
            None => 404,
        }
    }

    fn arrive(&mut self, node: NodeId, callid: &CompactString, event: Event, offer: Option<Sdp>) -> u16 {
        if self.legs.len() >= MAX_LEGS {
            return 503;
        }
        let Some(party) = event.party else { return 400 };
        self.handles += 1;
        let handle = Handle(self.handles);
        let leg = Leg { node, name: None, handle: Some(handle), seq: event.seq, dialed: true };
        self.enter(callid.clone(), leg);
        self.arrived.insert(handle, callid.clone());
        let replaces = event.replaces.and_then(|other| self.names_of(&other));
        let replaces = replaces.map(|(call, leg)| Replaces { call, leg, early_only: party.early_only });
        self.reports.push_back(Report::Incoming(Box::new(Incoming {
            handle,
            wire_id: callid.clone(),
            from: Address(party.from.clone()),
            to: Address(party.to.clone()),
            offer,
            // Offers before the answer do not pass through `/dialog`.
            answers_early: false,
            // The node says what its INVITE had, and this is a hop.
            hops: event.maxforwards.saturating_sub(1),
            // Audio is elsewhere, or sees the party from elsewhere.
            near: None,
            identity: party.identity(),
            diversions: party.diversions.clone(),
            alerting: party.alerting(),
            referred_by: party.referred_by.clone(),
            replaces,
        })));
        200
    }

    fn names_of(&self, callid: &str) -> Option<(CallId, LegId)> {
        self.legs.get(callid)?.name
    }

    /// Something has happened to a leg that is known.
    fn happened(&mut self, callid: &CompactString, event: Event, them: Option<Sdp>) {
        let Some((call, leg)) = self.names_of(callid) else {
            if let News::Ended { cause } = event.news {
                self.ended(callid, cause);
            }
            return;
        };
        let with = |described: bool| them.clone().filter(|_| described);
        let report = match event.news {
            News::Arrived { .. } => return,
            News::Progress { status, text, described } => {
                Report::Progress { call, leg, status, text, sdp: with(described) }
            }
            News::Redirected { to } => Report::Redirected { call, leg, to },
            News::Answered { described } => Report::Answered { call, leg, sdp: with(described) },
            News::Confirmed { described } => Report::Confirmed { call, leg, sdp: with(described) },
            News::Reoffered { described } => Report::Reoffered { call, leg, sdp: with(described) },
            News::Withdrawn => Report::Withdrawn { call, leg },
            News::Reaccepted { described } => Report::Reaccepted { call, leg, sdp: Ok(with(described)) },
            News::Refused { cause } => Report::Reaccepted { call, leg, sdp: Err(cause) },
            News::ReferAsked { by } => match event.refer.and_then(|refer| self.refer_to(refer)) {
                Some(to) => Report::ReferAsked { call, leg, to, by },
                None => return,
            },
            News::ReferAnswered { refused } => Report::ReferAnswered { call, leg, result: refused.map_or(Ok(()), Err) },
            News::ReferProgress { status, text } => Report::ReferProgress { call, leg, status, text },
            News::Digit { key, milliseconds } => {
                Report::Digit { call, leg, digit: Digit { key, time: Duration::from_millis(milliseconds) } }
            }
            News::Ended { cause } => return self.ended(callid, cause),
        };
        self.reports.push_back(report);
    }

    /// With whom a party wants somebody connected.
    fn refer_to(&self, refer: Refer) -> Option<ReferTo> {
        match (refer.replaces, refer.uri) {
            (Some(other), _) => self.names_of(&other).map(|(call, leg)| ReferTo::Leg(call, leg)),
            (None, Some(uri)) => Some(ReferTo::Address(Address(uri))),
            (None, None) => None,
        }
    }
}
