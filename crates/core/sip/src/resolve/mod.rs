//! Where a SIP URI leads: RFC 3263, with a cache, sans-IO.
//!
//! ```text
//!                       ┌──────────────── Resolver ────────────────┐
//!  resolve(uri) ──────► │ number, cache ─► Resolution::Ready       │
//!                       │      │ something is missing              │
//!                       │      ▼                                   │
//!                       │   query ──awaits──► look-up in flight ───┼──► Lookup{id, name, kind}
//!  Resolved{query} ◄────┼── order of hops ◄── cache ◄── answer ◄───┼─── answer(id, Answer)
//!                       └──────────────────────────────────────────┘
//! ```
//!
//! Queries that miss the same thing share one look-up, and nobody waits for another's. A query ends when everything is
//! known, when its first choice is known and the rest did not come soon, or when its time is over. Names are asked for
//! in lower case and without the last dot. Numbers, and `localhost`, need nobody.
//!
//! [`Resolver::shun`] remembers for a while that an address is out of order; it is then tried last.

mod cache;
mod config;
mod peers;
mod plan;
mod record;
mod shunned;
mod totals;
mod weigh;

use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_sip_msg::{Host, Uri};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::Time;
use crate::ids::Ids;
use crate::transport::{PeerId, Transport};
use cache::Cache;
pub use config::{MAX_ENTRIES, MAX_HOPS, MAX_LOOKUPS, MAX_QUERIES, MAX_SERVICES, Reach, ResolverConfig};
pub use peers::MAX_PEERS;
use peers::Peers;
use plan::{Asking, Goal, Slot};
pub use record::{Answer, MAX_RECORDS, Naptr, RecordKind, Records, Srv};
use record::{Known, Question};
use shunned::Shunned;
pub use totals::ResolverTotals;
pub use weigh::Chance;

/// One place to send to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hop {
    /// How.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
    /// What the other side has to prove that it is, over TLS.
    #[serde(skip)]
    pub peer: Option<PeerId>,
}

/// Where to send to, in the order in which it is to be tried. Never empty where it is a result.
pub type Hops = SmallVec<[Hop; 1]>;

/// A URI that waits for look-ups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QueryId(u64);

/// A question that is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LookupId(u64);

/// Why a URI leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Neither `sip:` nor `sips:`.
    #[error("only sip: and sips: can be reached")]
    Scheme,
    /// The URI asks for a transport that we do not know.
    #[error("unknown transport")]
    Transport,
    /// There is no socket for the transport or the address family.
    #[error("no socket for this transport or address family")]
    NoSocket,
    /// There is no such name, or it has no address.
    #[error("no such host")]
    NotFound,
    /// The name servers did not answer in time, or not usefully.
    #[error("no answer from the name servers")]
    NoAnswer,
    /// [`ResolverConfig::max_lookups`] or [`ResolverConfig::max_queries`] is reached.
    #[error("too many look-ups")]
    Busy,
}

/// What is known of a URI at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// Everything.
    Ready(Hops),
    /// [`ResolverOutput::Resolved`] will tell, once and in any case, unless [`Resolver::forget`] comes first.
    Waits(QueryId),
}

/// What a resolver wants done, or tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolverOutput {
    /// Ask the domain name system, and give what comes to [`Resolver::answer`].
    Lookup {
        /// Names the question.
        id: LookupId,
        /// A name without the last dot.
        name: CompactString,
        /// What is wanted.
        kind: RecordKind,
    },
    /// A query has ended.
    Resolved {
        /// Which.
        query: QueryId,
        /// Where the URI leads.
        result: Result<Hops, ResolveError>,
    },
}

/// How much a resolver holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResolverCounts {
    /// Answers that are kept.
    pub entries: usize,
    /// Look-ups in flight, those included that nobody waits for any more.
    pub lookups: usize,
    /// URIs that wait.
    pub queries: usize,
}

struct Query {
    goal: Goal,
    /// Whoever answers by TLS has to be this one.
    peer: Option<PeerId>,
    seed: u64,
    known: Vec<(Question, Known)>,
    awaits: SmallVec<[LookupId; 2]>,
    /// When the rest is no longer waited for; set once the first choice is known.
    rest: Option<Time>,
    end: Time,
}

struct Flight {
    question: Question,
    /// In the order of their names, so that a run can be repeated.
    waiters: BTreeSet<QueryId>,
    asked: Time,
    end: Time,
    late: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Lookup(LookupId),
    Query(QueryId),
}

/// How a query stands after another look at what is known.
enum Stand {
    Over(Result<Hops, ResolveError>),
    Open { missing: Vec<Question>, usable: bool },
}

/// Finds where URIs lead.
pub struct Resolver {
    config: ResolverConfig,
    cache: Cache,
    shunned: Shunned,
    peers: Peers,
    queries: AHashMap<QueryId, Query>,
    flights: AHashMap<LookupId, Flight>,
    by_question: AHashMap<Question, LookupId>,
    due: BTreeSet<(Time, Due)>,
    next: u64,
    ids: Ids,
    totals: ResolverTotals,
    out: VecDeque<ResolverOutput>,
}

impl Resolver {
    /// A resolver that knows nothing. The seed decides in which order hosts of equal right are tried.
    pub fn new(config: ResolverConfig, seed: [u8; 32]) -> Resolver {
        Resolver {
            cache: Cache::new(config.max_entries),
            shunned: Shunned::new(config.max_shunned),
            peers: Peers::default(),
            config,
            queries: AHashMap::new(),
            flights: AHashMap::new(),
            by_question: AHashMap::new(),
            due: BTreeSet::new(),
            next: 0,
            ids: Ids::new(seed),
            totals: ResolverTotals::default(),
            out: VecDeque::new(),
        }
    }

    /// Finds where a URI leads: at once if nothing has to be asked.
    ///
    /// # Errors
    /// [`ResolveError`], if that is known at once; nothing follows then.
    pub fn resolve(&mut self, now: Time, uri: &Uri<'_>) -> Result<Resolution, ResolveError> {
        let goal = Goal::of(uri, &self.config)?;
        // The certificate has to name the host of the URI, not what its domain says to connect to (RFC 5922 4).
        let peer = goal.may_use_tls(&self.config).then(|| self.peers.name(&uri.host));
        if let Goal::Here(hop) = goal {
            let peer = peer.filter(|_| hop.transport == Transport::Tls);
            return Ok(Resolution::Ready(Hops::from_buf([Hop { peer, ..hop }])));
        }
        let seed = self.ids.next();
        let end = now + self.config.query_time;
        let mut query = Query { goal, peer, seed, known: Vec::new(), awaits: SmallVec::new(), rest: None, end };
        let id = QueryId(self.name());
        match self.advance(now, id, &mut query) {
            Some(result) => result.map(Resolution::Ready),
            None if self.queries.len() >= self.config.max_queries => {
                self.leave(id, &query);
                Err(ResolveError::Busy)
            }
            None => {
                self.due.insert((query.rest.unwrap_or(end), Due::Query(id)));
                self.queries.insert(id, query);
                Ok(Resolution::Waits(id))
            }
        }
    }

    /// Nobody waits for this query any more. Its look-ups go on for whoever asks next.
    pub fn forget(&mut self, query: QueryId) {
        if let Some(state) = self.queries.remove(&query) {
            self.leave(query, &state);
        }
        self.out.retain(|out| !matches!(out, ResolverOutput::Resolved { query: told, .. } if *told == query));
    }

    /// Takes an answer. One that nobody asked for, or that is not of the kind asked for, is worth nothing.
    pub fn answer(&mut self, now: Time, id: LookupId, answer: Answer) {
        let Some(flight) = self.flights.remove(&id) else { return };
        self.by_question.remove(&flight.question);
        self.due.remove(&(flight.end, Due::Lookup(id)));
        let (known, ttl) = self.judge(flight.question.kind, answer);
        self.totals.answered(&known, now.saturating_sub(flight.asked));
        self.cache.put(now, flight.question.clone(), known.clone(), ttl);
        self.tell(now, id, flight.waiters, &flight.question, &known);
    }

    /// Tries this address last for some time, because it was found out of order: for a 503 as long as its Retry-After
    /// says (RFC 3261 21.5.4).
    pub fn shun(&mut self, now: Time, hop: Hop, time: Duration) {
        self.shunned.add(now, hop, time);
    }

    /// This address works again.
    pub fn pardon(&mut self, hop: Hop) {
        self.shunned.remove(hop);
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(&(at, due)) = self.due.first().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, due));
            match due {
                Due::Lookup(id) => self.lookup_is_late(now, id),
                Due::Query(id) => self.query_is_late(now, id),
            }
        }
    }

    /// When [`Resolver::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The next thing to do or to tell.
    pub fn poll_output(&mut self) -> Option<ResolverOutput> {
        self.out.pop_front()
    }

    /// How a host is called that the other end of a TLS connection has to prove.
    pub fn peer(&mut self, host: &Host<'_>) -> PeerId {
        self.peers.name(host)
    }

    /// The host name or address that the other end of a TLS connection has to prove: that of [`Hop::peer`]. `None` when
    /// more than [`MAX_PEERS`] others were used since.
    pub fn peer_name(&self, peer: PeerId) -> Option<&str> {
        self.peers.text(peer)
    }

    /// How much there is.
    pub fn counts(&self) -> ResolverCounts {
        ResolverCounts { entries: self.cache.len(), lookups: self.flights.len(), queries: self.queries.len() }
    }

    /// What was counted since the start.
    pub const fn totals(&self) -> ResolverTotals {
        self.totals
    }

    fn name(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Goes on as far as what is known allows, and asks for what is missing. `Some` when it is over.
    fn advance(&mut self, now: Time, id: QueryId, query: &mut Query) -> Option<Result<Hops, ResolveError>> {
        loop {
            let (missing, usable) = match self.stand(now, query, false) {
                Stand::Over(result) => return Some(result),
                Stand::Open { missing, usable } => (missing, usable),
            };
            if usable && query.rest.is_none() {
                query.rest = Some((now + self.config.rest_time).min(query.end));
            }
            let mut news = false;
            for question in missing {
                if query.awaits.iter().any(|flight| self.flights.get(flight).is_some_and(|f| f.question == question)) {
                    continue;
                }
                match self.ask(now, id, &question) {
                    Ok(flight) => query.awaits.push(flight),
                    Err(known) => {
                        query.known.push((question, known));
                        news = true;
                    }
                }
            }
            if !news {
                return None;
            }
        }
    }

    /// Another look at what is known. `final_look` makes do with what there is.
    fn stand(&self, now: Time, query: &Query, final_look: bool) -> Stand {
        let mut asking = Asking::new(&self.config, query.seed, &query.known);
        let slots = asking.slots(&query.goal);
        let Asking { missing, failed, refused, .. } = asking;
        let open = slots.iter().any(|slot| slot.pending);
        if open && !final_look {
            // The first host that is not known to have no address is the first choice.
            let first = slots.iter().find(|slot| slot.pending || !slot.hops.is_empty());
            return Stand::Open { missing, usable: first.is_some_and(|slot| !slot.hops.is_empty()) };
        }
        let mut hops = in_order(slots);
        for hop in hops.iter_mut().filter(|hop| hop.transport == Transport::Tls) {
            hop.peer = query.peer;
        }
        self.shunned.last(now, &mut hops);
        Stand::Over(match hops.is_empty() {
            false => Ok(hops),
            true if refused => Err(ResolveError::Busy),
            true if failed || open => Err(ResolveError::NoAnswer),
            true => Err(ResolveError::NotFound),
        })
    }

    /// What is known of a question, or the look-up that will tell.
    fn ask(&mut self, now: Time, query: QueryId, question: &Question) -> Result<LookupId, Known> {
        if let Some(known) = self.cache.get(now, question) {
            self.totals.saved += 1;
            return Err(known.clone());
        }
        if let Some(id) = self.by_question.get(question)
            && let Some(flight) = self.flights.get_mut(id)
        {
            flight.waiters.insert(query);
            self.totals.saved += 1;
            return Ok(*id);
        }
        if self.flights.len() >= self.config.max_lookups {
            self.totals.refused += 1;
            return Err(Known::Refused);
        }
        self.totals.asked += 1;
        let id = LookupId(self.name());
        let end = now + self.config.lookup_time;
        self.due.insert((end, Due::Lookup(id)));
        let waiters = BTreeSet::from([query]);
        self.flights.insert(id, Flight { question: question.clone(), waiters, asked: now, end, late: false });
        self.by_question.insert(question.clone(), id);
        self.out.push_back(ResolverOutput::Lookup { id, name: question.name.clone(), kind: question.kind });
        Ok(id)
    }

    /// What an answer is worth, and for how long.
    fn judge(&self, kind: RecordKind, answer: Answer) -> (Known, Duration) {
        let config = &self.config;
        match answer {
            Answer::Found { mut records, ttl } if records.kind() == kind && !records.is_empty() => {
                records.truncate();
                (Known::Records(Arc::new(records)), ttl.max(config.min_ttl).min(config.max_ttl))
            }
            Answer::Found { records, ttl } if records.kind() == kind => (Known::Nothing, self.negative(Some(ttl))),
            Answer::Nothing { ttl } => (Known::Nothing, self.negative(ttl)),
            Answer::Found { .. } | Answer::Failed => (Known::Failed, config.failure_ttl),
        }
    }

    fn negative(&self, ttl: Option<Duration>) -> Duration {
        let config = &self.config;
        ttl.unwrap_or(config.negative_ttl).max(config.min_ttl).min(config.max_negative_ttl)
    }

    /// Tells everybody who waits for a look-up.
    fn tell(&mut self, now: Time, id: LookupId, waiters: BTreeSet<QueryId>, question: &Question, known: &Known) {
        for waiter in waiters {
            let Some(mut query) = self.queries.remove(&waiter) else { continue };
            query.awaits.retain(|flight| *flight != id);
            query.known.push((question.clone(), known.clone()));
            let before = query.rest.unwrap_or(query.end);
            let over = self.advance(now, waiter, &mut query);
            let after = query.rest.unwrap_or(query.end);
            match over {
                Some(result) => {
                    self.due.remove(&(before, Due::Query(waiter)));
                    self.leave(waiter, &query);
                    self.out.push_back(ResolverOutput::Resolved { query: waiter, result });
                }
                None => {
                    if before != after {
                        self.due.remove(&(before, Due::Query(waiter)));
                        self.due.insert((after, Due::Query(waiter)));
                    }
                    self.queries.insert(waiter, query);
                }
            }
        }
    }

    fn leave(&mut self, id: QueryId, query: &Query) {
        self.due.remove(&(query.rest.unwrap_or(query.end), Due::Query(id)));
        for flight in &query.awaits {
            if let Some(flight) = self.flights.get_mut(flight) {
                flight.waiters.remove(&id);
            }
        }
    }

    /// Whoever waits is told that no answer came. The answer itself may still come, and is kept then.
    fn lookup_is_late(&mut self, now: Time, id: LookupId) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        let question = flight.question.clone();
        let waiters = std::mem::take(&mut flight.waiters);
        if flight.late {
            self.flights.remove(&id);
            self.by_question.remove(&question);
        } else {
            flight.late = true;
            self.totals.late += 1;
            flight.end = now + self.config.lookup_time * config::LATE_TURNS;
            self.due.insert((flight.end, Due::Lookup(id)));
        }
        self.cache.put(now, question.clone(), Known::Failed, self.config.failure_ttl);
        self.tell(now, id, waiters, &question, &Known::Failed);
    }

    /// Its time is over: what is known must do.
    fn query_is_late(&mut self, now: Time, id: QueryId) {
        let Some(query) = self.queries.remove(&id) else { return };
        self.leave(id, &query);
        if let Stand::Over(result) = self.stand(now, &query, true) {
            self.out.push_back(ResolverOutput::Resolved { query: id, result });
        }
    }
}

/// Every address once, no more than [`MAX_HOPS`].
fn in_order(slots: Vec<Slot>) -> Hops {
    let mut hops = Hops::new();
    for hop in slots.into_iter().flat_map(|slot| slot.hops) {
        if hops.len() < MAX_HOPS && !hops.contains(&hop) {
            hops.push(hop);
        }
    }
    hops
}
