//! Phones with several flows (RFC 5626 section 7): a request goes over the one that was refreshed last, and when that
//! has failed over the next. The core sees one place, and one leg.

use std::time::Duration;

use ahash::{AHashMap, AHashSet};
use compact_str::CompactString;
use hookswitch_call::{Address, CallId, Dial, LegId, Time};
use hookswitch_sip::registrar::{Instance, StaleWhy};
use hookswitch_sip::{DialogId, FailCause, Flow};

use crate::B2bua;
use crate::locate::Place;

/// Legs whose party may be reached over another flow yet: those that ring phones which keep their flows, until they
/// are answered.
#[derive(Default)]
pub(crate) struct Flows {
    legs: AHashMap<(CallId, LegId), Box<Attempt>>,
}

struct Attempt {
    phone: Instance,
    /// What the party is called with.
    dial: Dial,
    sent_at: Time,
}

impl Flows {
    pub fn forget(&mut self, leg: (CallId, LegId)) {
        if !self.legs.is_empty() {
            self.legs.remove(&leg);
        }
    }

    /// A leg has another name from now on.
    pub fn rename(&mut self, from: (CallId, LegId), to: (CallId, LegId)) {
        if let Some(attempt) = self.legs.remove(&from) {
            self.legs.insert(to, attempt);
        }
    }

    /// A leg has been called under this Call-ID, and keeps it.
    pub fn sent(&mut self, leg: (CallId, LegId), wire_id: &CompactString) {
        if let Some(attempt) = self.legs.get_mut(&leg) {
            attempt.dial.wire_id = Some(wire_id.clone());
        }
    }
}

impl B2bua {
    /// A leg is called now. Remembers with what, if it can be called over another flow.
    pub(crate) fn dial_phone(&mut self, now: Time, leg: (CallId, LegId), dial: &Dial) {
        let binding = dial.target.via.and_then(|key| self.registrar.by_key(now, key));
        if let Some(phone) = binding.and_then(|binding| binding.instance_with_flows()) {
            let attempt = Attempt { phone, dial: dial.clone(), sent_at: now };
            self.flows.legs.insert(leg, Box::new(attempt));
        }
    }

    /// Calls the party over its next flow, if this one has failed.
    pub(crate) fn try_next_flow(&mut self, now: Time, dialog: DialogId, status: u16, why: FailCause) -> bool {
        let Some(record) = self.legs.get(&dialog).filter(|record| !record.ending) else { return false };
        let name = (record.call, record.leg);
        let Some(mut attempt) = self.flows.legs.remove(&name) else { return false };
        let silent = attempt.sent_at + self.config.endpoint.timers.b() + Duration::from_secs(1);
        let why = match failure(status, why) {
            // Later, a 100 had come and it is the party that did not answer.
            Some(StaleWhy::Silent) if now > silent => return false,
            Some(why) => why,
            None => return false,
        };
        if let Some(key) = attempt.dial.target.via {
            self.registrar.flow_failed(now, key, why);
        }
        let Some((key, flow)) = self.next_flow(now, &attempt.phone, attempt.dial.target.near) else { return false };
        let Some(binding) = self.registrar.by_key(now, key) else { return false };
        attempt.dial.target.address = Address(binding.contact.as_ref().into());
        attempt.dial.target.via = Some(key);
        attempt.sent_at = now;
        let routes = self.routes_to(now, &attempt.dial.target);
        let mut invite = self.invite_for(attempt.dial.clone(), flow, routes);
        self.mannered(name, &mut invite);
        let Ok(next) = self.endpoint.invite(now, invite) else { return false };
        if let Some(record) = self.legs.remove(&dialog) {
            self.leaves(&record, dialog);
            self.remember(next, record);
        }
        self.flows.legs.insert(name, attempt);
        true
    }

    /// The next flow of a phone, one that sees us at that address if there is any: our offer names it.
    pub(crate) fn next_flow(&self, now: Time, phone: &Instance, near: Option<std::net::IpAddr>) -> Option<(u64, Flow)> {
        let flows = self.registrar.flows(now, phone);
        let mut known = flows.filter_map(|binding| Some((self.registrar.key_of(binding)?, binding.flow?)));
        let first = known.next()?;
        let fits = |(_, flow): &(u64, Flow)| near.is_none() || self.near(*flow) == near;
        if fits(&first) { Some(first) } else { known.find(fits).or(Some(first)) }
    }
}

/// What the failure of a request says of the flow it went over, if anything.
pub(crate) fn failure(status: u16, why: FailCause) -> Option<StaleWhy> {
    match why {
        // The proxy that held the flow has lost it (RFC 5626 section 5.3.1).
        FailCause::Response if status == 430 => Some(StaleWhy::FlowLost),
        FailCause::Unreachable => Some(StaleWhy::FlowLost),
        FailCause::Timeout => Some(StaleWhy::Silent),
        FailCause::Response | FailCause::Cancelled => None,
    }
}

/// One place for each phone: of those with several flows, that which was refreshed last.
pub(crate) fn one_for_each_phone(places: Vec<(Option<Instance>, Place)>) -> Vec<Place> {
    let mut seen: AHashSet<Instance> = AHashSet::new();
    let first =
        |(phone, place): (Option<Instance>, Place)| phone.is_none_or(|phone| seen.insert(phone)).then_some(place);
    places.into_iter().filter_map(first).collect()
}
