//! A call goes to trunks: to one host after the other until one takes it. The core sees one leg all the time.
//!
//! ```text
//!   Op::Dial ──► order of hosts ──► next ──► INVITE ──┬─ 180, 200: it stays there
//!                                    ▲  │             ├─ 486, 603, …: Report::Ended
//!                                    │  │ down, full: └─ out of order, or an answer of `fail_over`
//!                                    └──┴─────────────────────┘    (nobody left: Report::Ended with the last of these)
//! ```

use std::collections::VecDeque;

use compact_str::CompactString;
use hookswitch_call::{Address, CallId, Cause, Dial, Fault, Kind, LegId, Report, Target, Time};
use hookswitch_sip::{DialogId, FailCause, Invite};
use hookswitch_sip_msg::{Message, NameAddr, Uri};

use super::TrunkSet;
use super::config::REST;
use crate::B2bua;
use crate::locate::Place;
use crate::named::{Toward, Way, unresolved};
use crate::outbound::rest_of;
use crate::route::Choice;

/// A leg that is on its way through trunks.
pub(crate) struct Chain {
    /// What the core wants, as it stands before a trunk changes it.
    dial: Dial,
    /// Trunk and host that were called last.
    at: (u8, u8),
    left: VecDeque<(u8, u8)>,
    sent_at: Time,
    /// The name of the leg on the wire, once there is one.
    call_id: Option<CompactString>,
    /// Why nobody has taken the call, and how much that says: the lower the more.
    why: Option<(u8, Cause)>,
}

impl Chain {
    /// Trunk and host that were called last.
    pub(super) const fn at(&self) -> (u8, u8) {
        self.at
    }

    fn note(&mut self, says: u8, cause: Cause) {
        if self.why.as_ref().is_none_or(|(said, _)| says <= *said) {
            self.why = Some((says, cause));
        }
    }
}

/// How much a failure says, see [`Chain::why`].
const ANSWERED: u8 = 0;
const NO_ROOM: u8 = 1;
const NO_WAY: u8 = 2;

impl B2bua {
    /// The place of destinations that lead to trunks.
    pub(crate) fn trunk_place(&self, now: Time, uri: &Uri<'_>, choices: &[Choice]) -> Option<Place> {
        let trunks: Vec<u8> = choices.iter().flat_map(|choice| self.trunks.named(&choice.to)).collect();
        let state = self.trunks.get(*trunks.first()?)?;
        // Chance says which host is first when the call is made; of the first ones of one order any will do here.
        let hosts = state.hosts.iter().zip(&state.config.hosts);
        let (_, host) = hosts.min_by_key(|(stand, host)| (stand.rests_until > now, host.order))?;
        let number = uri.user_unescaped().unwrap_or_default();
        let (address, _) = state.config.address_of(host, &number);
        let via = Some(TrunkSet::new(&trunks).via());
        let mut target = Target::new(Address(address), via, None);
        let first = choices.first()?;
        (target.group, target.after, target.ring_time) = (first.group, first.after, first.ring_time);
        Some(Place { target, way: Way::Uri(host.uri.clone()) })
    }

    /// Calls a party through the first of these trunks that takes the call.
    pub(crate) fn dial_trunks(&mut self, now: Time, name: (CallId, LegId), dial: Dial, set: TrunkSet) {
        let mut left = Vec::new();
        for trunk in set.trunks() {
            let Some(state) = self.trunks.list.get(usize::from(trunk)) else { continue };
            left.extend(state.order(&mut self.names.chance).into_iter().map(|host| (trunk, host)));
        }
        left.sort_by_key(|place| self.trunks.rests(now, *place));
        let chain = Chain { dial, at: (0, 0), left: left.into(), sent_at: now, call_id: None, why: None };
        self.trunks.chains.insert(name, Box::new(chain));
        self.call_next_host(now, name);
    }

    fn call_next_host(&mut self, now: Time, name: (CallId, LegId)) {
        loop {
            let Some(chain) = self.trunks.chains.get_mut(&name) else { return };
            let Some((trunk, host)) = chain.left.pop_front() else { break };
            let Some(state) = self.trunks.list.get(usize::from(trunk)) else { continue };
            chain.at = (trunk, host);
            let wrong = state.works(now, host);
            let wrong = wrong.map_err(|text| (NO_WAY, Cause::new(Kind::Unreachable, Fault::Upstream).with_text(text)));
            if let Err((says, cause)) = wrong.and_then(|()| state.has_room(now).map_err(|cause| (NO_ROOM, cause))) {
                self.pass_over(name, &cause);
                if let Some(chain) = self.trunks.chains.get_mut(&name) {
                    chain.note(says, cause);
                }
                continue;
            }
            chain.sent_at = now;
            let host = &state.config.hosts[usize::from(host)];
            let dial = state.config.dress(host, &chain.dial);
            let routes = state.registration.as_ref().map(|registration| registration.service_route().to_vec());
            let routes = routes.unwrap_or_default();
            let first = routes.first().and_then(|route| NameAddr::parse(route.as_bytes()).ok()?.uri_str());
            let way = Way::Uri(first.map_or_else(|| dial.target.address.0.clone(), CompactString::from));
            match self.resolve(now, &way) {
                Ok(Toward::Hops(hops)) => return self.call_out(now, name, dial, hops, routes),
                Ok(Toward::Asked(query)) => return self.call_when_known(name, dial, query, routes),
                // No URI leads to a flow.
                Ok(Toward::Flow(_)) => {}
                Err(error) => self.note_no_way(now, name, unresolved(error)),
            }
        }
        let why = self.trunks.chains.remove(&name).and_then(|chain| chain.why);
        let cause = why.map_or_else(|| Cause::new(Kind::Unreachable, Fault::Upstream), |(_, cause)| cause);
        self.report(Report::Ended { call: name.0, leg: name.1, cause });
    }

    fn note_no_way(&mut self, now: Time, name: (CallId, LegId), cause: Cause) {
        self.note_no_way_to_host(now, name, &cause);
        if let Some(chain) = self.trunks.chains.get_mut(&name) {
            chain.note(NO_WAY, cause);
        }
    }

    /// There is no way to where a leg was to be called: the next host is, or the core is told.
    pub(crate) fn no_way(&mut self, now: Time, name: (CallId, LegId), cause: Cause) {
        if self.trunks.chains.contains_key(&name) {
            self.note_no_way(now, name, cause);
            return self.call_next_host(now, name);
        }
        self.flows.forget(name);
        self.report(Report::Ended { call: name.0, leg: name.1, cause });
    }

    /// Makes the INVITE of a leg what its trunk wants.
    pub(crate) fn dress(&self, name: (CallId, LegId), invite: &mut Invite) {
        let Some(chain) = self.trunks.chains.get(&name) else { return };
        if let Some(state) = self.trunks.get(chain.at.0) {
            state.config.finish(invite);
            if state.config.register.is_some() {
                invite.contact_user = Some(state.config.contact_user());
            }
        }
        if let Some(call_id) = &chain.call_id {
            invite.call_id = Some(call_id.clone());
        }
    }

    /// The trunk that a leg has been sent to, which has one call more, and whether the core knows the leg's name.
    pub(crate) fn sent_to_trunk(&mut self, now: Time, name: (CallId, LegId), call_id: &str) -> (Option<u8>, bool) {
        let Some(chain) = self.trunks.chains.get_mut(&name) else { return (None, false) };
        let known = chain.call_id.replace(call_id.into()).is_some();
        let trunk = chain.at.0;
        if let Some(state) = self.trunks.get_mut(trunk) {
            state.take(now);
        }
        (Some(trunk), known)
    }

    /// A trunk says something before its answer. Once a phone rings, what fails is that phone and not the trunk.
    pub(crate) fn trunk_progressed(&mut self, dialog: DialogId, status: u16) {
        if self.trunks.chains.is_empty() {
            return;
        }
        let name = self.name_of(dialog);
        if let Some(chain) = name.and_then(|name| self.trunks.chains.get_mut(&name)).filter(|_| status != 183) {
            chain.left.clear();
        }
    }

    /// Calls the party through the next host, if what happened to this one says nothing about the party.
    pub(crate) fn try_next_trunk(
        &mut self,
        now: Time,
        dialog: DialogId,
        cause: &Cause,
        response: Option<&Message>,
        why: FailCause,
    ) -> bool {
        if self.trunks.chains.is_empty() {
            return false;
        }
        let Some(record) = self.legs.get(&dialog).filter(|record| !record.ending && record.changed.is_none()) else {
            return false;
        };
        let name = (record.call, record.leg);
        let Some(chain) = self.trunks.chains.get_mut(&name) else { return false };
        let Some(state) = self.trunks.list.get_mut(usize::from(chain.at.0)) else { return false };
        let silent = now <= chain.sent_at + self.config.endpoint.timers.b() + REST_MARGIN;
        let status = cause.code;
        let rest = match why {
            FailCause::Unreachable => Some(REST),
            FailCause::Timeout if silent => Some(REST),
            FailCause::Response if status == 503 => Some(rest_of(response)),
            FailCause::Response if matches!(status, 401 | 407 | 408) || state.config.fail_over.contains(&status) => {
                None
            }
            FailCause::Timeout | FailCause::Response | FailCause::Cancelled => return false,
        };
        state.totals.passed_over += 1;
        let is_last = chain.left.is_empty();
        if let Some(rest) = rest {
            state.hosts[usize::from(chain.at.1)].rests_until = now + rest;
        }
        self.note_missed(now, dialog, status, response, why);
        if is_last {
            return false;
        }
        if let Some(chain) = self.trunks.chains.get_mut(&name) {
            chain.note(ANSWERED, cause.clone());
        }
        if let Some(record) = self.legs.remove(&dialog) {
            self.leaves(&record, dialog);
            self.trunks.release(record.trunk);
        }
        self.dialogs.remove(&name);
        self.names.spares.remove(&name);
        self.call_next_host(now, name);
        true
    }

    /// What a failure of a trunk's is to us: a password that it does not take is our own fault.
    pub(crate) fn judge_trunk(&self, dialog: DialogId, cause: Cause) -> Cause {
        let through_trunk = self.legs.get(&dialog).is_some_and(|record| record.trunk.is_some());
        if !through_trunk || !matches!(cause.code, 401 | 407) {
            return cause;
        }
        Cause { fault: Fault::Server, ..cause }.with_text("Trunk Refuses Our Password")
    }

    /// The password for requests to a target beside INVITE.
    pub(crate) fn trunk_credentials(&self, via: Option<u64>) -> Option<hookswitch_sip::auth::Credentials> {
        self.trunks.credentials(TrunkSet::of(via)?.trunks().next())
    }
}

/// How much later than Timer B nothing can be heard any more of who has not said a word.
const REST_MARGIN: std::time::Duration = std::time::Duration::from_secs(1);
