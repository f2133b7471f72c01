//! What waits for the domain name system: parties to be called, and addresses to be found.
//!
//! ```text
//!  Op::Locate ──► places ──┬─ all known ───────────────────────────► Report::Located
//!                          └─ a name: query ──► Resolved ──(last)──┘
//!  Op::Dial ──► way ───────┬─ known ───────────────────────────────► INVITE
//!                          └─ a name: query ──► Resolved ──────────┘   (Op::Hangup forgets the query)
//! ```
//!
//! A name is looked up when its address is located, so that our own address towards the party is known when the offer
//! is made. When the party is then called, the answer is nearly always still kept; where it is not, only this leg waits.

use std::net::IpAddr;

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_call::{Address, CallId, Cause, Dial, Fault, Forwards, Found, Kind, LegId, Report, Target, Time};
use hookswitch_sip::resolve::{
    Answer, Chance, Hop, Hops, LookupId, QueryId, Resolution, ResolveError, Resolver, ResolverConfig, ResolverCounts,
    ResolverOutput, ResolverTotals,
};
use hookswitch_sip::{Flow, PeerId};
use hookswitch_sip_msg::Uri;

use crate::locate::Place;
use crate::outbound::Spare;
use crate::text::Branch;
use crate::trunk::{Errand, TrunkSet};
use crate::{B2bua, Step};

/// The look-ups of a switch, and everything that waits for them.
pub(crate) struct Names {
    pub resolver: Resolver,
    /// Spreads calls over the destinations of a route.
    pub chance: Chance,
    waits: AHashMap<QueryId, Waiter>,
    resolving: AHashMap<(CallId, LegId), Resolving>,
    locating: AHashMap<u64, Locating>,
    next: u64,
    /// Where else a party may be, while it has not been heard.
    pub spares: AHashMap<(CallId, LegId), Box<Spare>>,
}

enum Waiter {
    Leg(CallId, LegId),
    Place(u64, usize),
    Text(u64, Box<Branch>),
    Trunk(Errand),
}

/// A leg whose party is called as soon as it is known where that is.
struct Resolving {
    query: QueryId,
    dial: Dial,
    routes: Vec<CompactString>,
}

/// An address of which not every place is known yet.
struct Locating {
    call: CallId,
    to: Address,
    places: Vec<Known>,
    open: usize,
    forwards: Option<Box<Forwards>>,
}

struct Known {
    target: Target,
    near: Result<Option<IpAddr>, ResolveError>,
}

impl Names {
    pub fn new(config: ResolverConfig, seed: [u8; 32]) -> Self {
        let chance = u64::from_le_bytes([seed[0], seed[1], seed[2], seed[3], seed[4], seed[5], seed[6], seed[7]]);
        Self {
            resolver: Resolver::new(config, seed),
            chance: Chance::new(chance, "routes"),
            waits: AHashMap::new(),
            resolving: AHashMap::new(),
            locating: AHashMap::new(),
            next: 0,
            spares: AHashMap::new(),
        }
    }

    /// Legs that have no dialog yet.
    pub fn legs(&self) -> usize {
        self.resolving.len()
    }
}

impl B2bua {
    /// What the look-ups of names have counted, and how many answers are kept and look-ups under way.
    #[must_use]
    pub fn name_counts(&self) -> (ResolverTotals, ResolverCounts) {
        (self.names.resolver.totals(), self.names.resolver.counts())
    }

    /// The name that the other end of a TLS connection of ours has to prove.
    #[must_use]
    pub fn peer_name(&self, peer: PeerId) -> Option<&str> {
        self.names.resolver.peer_name(peer)
    }

    /// Takes the answer to [`Step::Lookup`].
    pub fn handle_answer(&mut self, now: Time, id: LookupId, answer: Answer) {
        self.names.resolver.answer(now, id, answer);
    }

    /// The next thing that the look-ups want done.
    pub(crate) fn step_names(&mut self, now: Time) -> Option<Step> {
        Some(match self.names.resolver.poll_output()? {
            ResolverOutput::Lookup { id, name, kind } => Step::Lookup { id, name, kind },
            ResolverOutput::Resolved { query, result } => {
                self.resolved(now, query, result);
                Step::Handled
            }
        })
    }

    fn resolved(&mut self, now: Time, query: QueryId, result: Result<Hops, ResolveError>) {
        match self.names.waits.remove(&query) {
            None => {}
            Some(Waiter::Leg(call, leg)) => {
                let Some(Resolving { dial, routes, .. }) = self.names.resolving.remove(&(call, leg)) else { return };
                match result {
                    Ok(hops) => self.call_out(now, (call, leg), dial, hops, routes),
                    Err(error) => self.no_way(now, (call, leg), unresolved(error)),
                }
            }
            Some(Waiter::Trunk(errand)) => self.errand_resolved(now, errand, result),
            Some(Waiter::Text(key, branch)) => self.text_resolved(now, (key, *branch), result),
            Some(Waiter::Place(key, index)) => {
                let near = result.map(|hops| self.near_hop(&hops));
                let Some(locating) = self.names.locating.get_mut(&key) else { return };
                locating.places[index].near = near;
                locating.open -= 1;
                if locating.open == 0
                    && let Some(locating) = self.names.locating.remove(&key)
                {
                    self.located(locating.call, &locating.to, found(locating.places), locating.forwards);
                }
            }
        }
    }

    /// The leg is called as soon as it is known where its party is.
    pub(crate) fn call_when_known(
        &mut self,
        name: (CallId, LegId),
        dial: Dial,
        query: QueryId,
        routes: Vec<CompactString>,
    ) {
        self.names.waits.insert(query, Waiter::Leg(name.0, name.1));
        self.names.resolving.insert(name, Resolving { query, dial, routes });
    }

    /// A branch of a text is sent as soon as it is known where to.
    pub(crate) fn text_when_known(&mut self, query: QueryId, key: u64, branch: Branch) {
        self.names.waits.insert(query, Waiter::Text(key, Box::new(branch)));
    }

    /// An errand to a trunk is run as soon as it is known where to.
    pub(crate) fn errand_when_known(&mut self, query: QueryId, errand: Errand) {
        self.names.waits.insert(query, Waiter::Trunk(errand));
    }

    /// Ends a leg, if it is one that still waits to be called.
    pub(crate) fn give_up(&mut self, call: CallId, leg: LegId, cause: &Cause) {
        let Some(resolving) = self.names.resolving.remove(&(call, leg)) else { return };
        self.trunks.forget((call, leg));
        self.flows.forget((call, leg));
        self.names.waits.remove(&resolving.query);
        self.names.resolver.forget(resolving.query);
        self.report(Report::Ended { call, leg, cause: cause.clone() });
    }

    /// Tells the core where an address is, now or when every name is looked up.
    pub(crate) fn find_places(
        &mut self,
        now: Time,
        (call, to): (CallId, &Address),
        places: Vec<Place>,
        forwards: Option<Box<Forwards>>,
    ) {
        let key = self.names.next;
        self.names.next += 1;
        let (mut known, mut open) = (Vec::with_capacity(places.len()), 0);
        for (index, Place { target, way }) in places.into_iter().enumerate() {
            let near = match self.resolve(now, &way) {
                Ok(Toward::Flow(flow)) => Ok(self.near(flow)),
                Ok(Toward::Hops(hops)) => Ok(self.near_hop(&hops)),
                Ok(Toward::Asked(query)) => {
                    open += 1;
                    self.names.waits.insert(query, Waiter::Place(key, index));
                    Ok(None)
                }
                Err(error) => Err(error),
            };
            known.push(Known { target, near });
        }
        if open == 0 {
            self.located(call, to, found(known), forwards);
        } else {
            self.names.locating.insert(key, Locating { call, to: to.clone(), places: known, open, forwards });
        }
    }

    /// The first hop of a way, as far as it is known now.
    pub(crate) fn resolve(&mut self, now: Time, way: &Way) -> Result<Toward, ResolveError> {
        let uri = match way {
            Way::Flow(flow) => return Ok(Toward::Flow(*flow)),
            Way::Uri(uri) => Uri::parse(uri).map_err(|_| ResolveError::Scheme)?,
        };
        Ok(match self.names.resolver.resolve(now, &uri)? {
            Resolution::Ready(hops) => Toward::Hops(hops),
            Resolution::Waits(query) => Toward::Asked(query),
        })
    }

    fn near_hop(&self, hops: &[Hop]) -> Option<IpAddr> {
        self.near(self.flow_of(*hops.first()?)?)
    }
}

/// How to get to a target.
pub(crate) enum Way {
    /// Through this flow.
    Flow(Flow),
    /// To wherever this URI leads.
    Uri(CompactString),
}

/// What is known of the way to a target.
pub(crate) enum Toward {
    Flow(Flow),
    Hops(Hops),
    Asked(QueryId),
}

/// Those places that can be reached; why there is none if none can.
fn found(places: Vec<Known>) -> Found {
    let mut why = None;
    let reachable = places.into_iter().filter_map(|Known { mut target, near }| match near {
        Ok(near) => {
            target.near = near;
            Some(target)
        }
        // Another host of the trunk may be found.
        Err(_) if TrunkSet::of(target.via).is_some() => Some(target),
        Err(error) => {
            why.get_or_insert(error);
            None
        }
    });
    let targets: Vec<Target> = reachable.collect();
    match why {
        Some(error) if targets.is_empty() => Found::Nowhere(unresolved(error)),
        _ if targets.is_empty() => Found::Nowhere(Cause::new(Kind::Unreachable, Fault::Peer)),
        _ => Found::Targets(targets),
    }
}

/// Why a party is not called whose address leads nowhere.
pub(crate) fn unresolved(error: ResolveError) -> Cause {
    match error {
        ResolveError::Scheme | ResolveError::Transport | ResolveError::NoSocket => {
            Cause::new(Kind::Unreachable, Fault::Server)
        }
        ResolveError::NotFound => Cause::new(Kind::NotFound, Fault::Peer).with_text("Host Not Found"),
        ResolveError::NoAnswer => Cause::new(Kind::Unreachable, Fault::Server).with_text("Name Server Does Not Answer"),
        ResolveError::Busy => Cause::new(Kind::Overloaded, Fault::Server),
    }
}
