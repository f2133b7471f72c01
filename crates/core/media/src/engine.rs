//! The engine: all calls of one media thread.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use hookswitch_call::{CallId, Codecs, LegId, MediaOp, MediaReport, Party, Sdp, Seat, Source, Time};
use hookswitch_codec::{CODECS, Codec};
use hookswitch_sdp::{OwnOrigin, SessionDescription};
use slab::Slab;
use smallvec::SmallVec;

use crate::channel::{Call, Channel, SocketUse};
use crate::config::{EngineConfig, MAX_SOCKETS, PortPair, Ports};
use crate::describe::Draft;
use crate::generate::{Generator, REPORT_INTERVAL, Random, farewell};
use crate::negotiate::{Formats, Local, Negotiated, Peer, Refusal, accept, make_answer, make_offer};
use crate::outgoing::Outgoing;
use crate::stats::{CallStats, Counters, Totals};
use crate::tone::Tones;

/// Most closed calls whose counters wait for [`Engine::poll_closed`]; the oldest are dropped.
pub const MAX_CLOSED: usize = 4_096;

/// Media for all calls of one thread. See the [crate's description](crate) for how it is driven.
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) tones: Tones,
    pub(crate) random: Dice,
    pub(crate) calls: Slab<Box<Call>>,
    by_id: HashMap<CallId, u32, ahash::RandomState>,
    /// What each socket is used for, by its number.
    pub(crate) sockets: Vec<Option<SocketUse>>,
    port_pairs: usize,
    pub(crate) generators: Slab<Generator>,
    pub(crate) tones_running: usize,
    /// All tones send at the same moments.
    pub(crate) next_frame: Time,
    pub(crate) next_report: Option<Time>,
    reports: VecDeque<MediaReport>,
    closed: VecDeque<CallStats>,
    pub(crate) closed_counters: Counters,
}

impl Engine {
    /// An engine without calls. The seed decides session ids and RTP sources; give every engine one
    /// that nobody can guess.
    #[must_use]
    pub fn new(config: EngineConfig, seed: u64) -> Self {
        let tones = Tones::render(&config.ringback);
        Self {
            config,
            tones,
            random: Dice(seed),
            calls: Slab::new(),
            // Call ids are our own, so nobody can aim at collisions, and equal runs stay equal.
            by_id: HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4)),
            sockets: Vec::new(),
            port_pairs: 0,
            generators: Slab::new(),
            tones_running: 0,
            next_frame: Time::ZERO,
            next_report: None,
            reports: VecDeque::new(),
            closed: VecDeque::new(),
            closed_counters: Counters::default(),
        }
    }

    /// Carries out one operation. Drain [`poll_report`](Self::poll_report) afterwards, and ask
    /// [`next_tick`](Self::next_tick).
    pub fn perform(&mut self, now: Time, op: MediaOp, ports: &mut dyn Ports) {
        match op {
            MediaOp::Open { call, offer, codecs, near } => self.open(call, offer, codecs.as_ref(), near),
            MediaOp::MakeOffer { call, seat, leg, near } => {
                let result = at_table(seat).and_then(|party| self.offer(call, party, leg, near, ports));
                self.reports.push_back(report(call, seat, leg, result));
            }
            MediaOp::MakeAnswer { call, seat, leg } => {
                let result = at_table(seat).and_then(|party| self.answer(now, call, party, leg, ports));
                self.reports.push_back(report(call, seat, leg, result));
            }
            MediaOp::Offered { call, seat, sdp } => {
                if let (Some(call), Ok(party)) = (self.call_mut(call), at_table(seat)) {
                    call.end_mut(party).offer = Some(sdp);
                }
            }
            MediaOp::Accept { call, seat, leg, sdp } => {
                if let Err(refusal) = at_table(seat).and_then(|party| self.accept(now, call, party, sdp)) {
                    self.reports.push_back(report(call, seat, leg, Err(refusal)));
                }
            }
            MediaOp::Hear { call, seat, source } => {
                if let Ok(party) = at_table(seat) {
                    self.hear(now, call, party, source);
                }
            }
            MediaOp::Hold { .. }
            | MediaOp::OpenSpare { .. }
            | MediaOp::Swap { .. }
            | MediaOp::CloseSpare { .. }
            | MediaOp::Digit { .. } => {}
            MediaOp::Close { call } => self.close(now, call, ports),
        }
    }

    /// The next answer to an operation.
    pub fn poll_report(&mut self) -> Option<MediaReport> {
        self.reports.pop_front()
    }

    /// The counters of a call that was closed. At most [`MAX_CLOSED`] wait.
    pub fn poll_closed(&mut self) -> Option<CallStats> {
        self.closed.pop_front()
    }

    /// The counters of a call.
    #[must_use]
    pub fn stats(&self, call: CallId) -> Option<CallStats> {
        self.call(call).map(call_stats)
    }

    /// The counters of all calls since the beginning. Looks at every call: for scraping.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut counters = self.closed_counters;
        for (_, call) in &self.calls {
            counters.add(&call.end(Party::Caller).counters);
            counters.add(&call.end(Party::Callee).counters);
        }
        Totals { calls: self.calls.len(), port_pairs: self.port_pairs, generators: self.generators.len(), counters }
    }

    /// Parties that said they send and of which neither RTP nor RTCP has come for
    /// [`EngineConfig::rtp_timeout`]. Looks at every call: for asking every few seconds.
    pub fn silent(&self, now: Time) -> impl Iterator<Item = (CallId, Party)> + '_ {
        let parties = |call| [(call, Party::Caller), (call, Party::Callee)];
        let ends = self.calls.iter().flat_map(move |(_, call)| parties(call));
        ends.filter(move |(call, party)| {
            let end = call.end(*party);
            let heard = end.counters.last_rtp_at.max(end.counters.last_rtcp_at);
            let since = heard.map_or(end.agreed_at, |heard| heard.max(end.agreed_at));
            end.session.is_some_and(|session| session.direction.sends())
                && now.saturating_sub(since) >= self.config.rtp_timeout
        })
        .map(|(call, party)| (call.id, party))
    }

    /// Reports every party that [`Engine::silent`] names, as [`MediaReport::Silent`]; for calling
    /// every [`EngineConfig::rtp_timeout`] or so. Zero there means never.
    pub fn report_silence(&mut self, now: Time) {
        if self.config.rtp_timeout.is_zero() {
            return;
        }
        let silent: Vec<_> = self.silent(now).collect();
        self.reports.extend(silent.into_iter().map(|(call, party)| MediaReport::Silent { call, party }));
    }

    pub(crate) fn call(&self, call: CallId) -> Option<&Call> {
        let index = *self.by_id.get(&call)?;
        self.calls.get(index as usize).map(|call| &**call)
    }

    fn call_mut(&mut self, call: CallId) -> Option<&mut Call> {
        let index = *self.by_id.get(&call)?;
        self.calls.get_mut(index as usize).map(|call| &mut **call)
    }

    fn index_of(&self, call: CallId) -> Result<u32, Refusal> {
        let full = self.calls.len() >= self.config.max_calls;
        // Opening has no report, so a call that found no room is refused at its first offer.
        self.by_id.get(&call).copied().ok_or(if full { Refusal::TooManyCalls } else { Refusal::NoSuchCall })
    }

    fn open(&mut self, id: CallId, offer: Option<(Party, Sdp)>, codecs: Option<&Codecs>, near: Option<IpAddr>) {
        if self.calls.len() >= self.config.max_calls || self.by_id.contains_key(&id) {
            return;
        }
        let ends = [self.random.channel(), self.random.channel()];
        let codecs = match codecs {
            Some(names) => codecs_named(names),
            None => SmallVec::from_slice(&self.config.codecs),
        };
        let mut call = Box::new(Call::new(id, codecs, ends));
        // Whoever calls in without an offer is the caller.
        let party = offer.as_ref().map_or(Party::Caller, |(party, _)| *party);
        let end = call.end_mut(party);
        end.near = near;
        end.offer = offer.map(|(_, sdp)| sdp);
        let index = self.calls.insert(call);
        // No more than max_calls, and no machine holds 2^32 of them.
        self.by_id.insert(id, index as u32);
    }

    fn offer(
        &mut self,
        id: CallId,
        party: Party,
        leg: LegId,
        near: Option<IpAddr>,
        ports: &mut dyn Ports,
    ) -> Result<Sdp, Refusal> {
        let index = self.index_of(id)?;
        let call = self.calls.get_mut(index as usize).ok_or(Refusal::NoSuchCall)?;
        let codecs = call.codecs.clone();
        let (end, other) = call.both_mut(party);
        end.near = near.or(end.near);
        let mirror = parse_option(other.description())?;
        let peer = match (&other.session, &mirror) {
            (Some(session), _) => Peer::Agreed(session),
            (None, Some(offer)) => Peer::Offer(offer),
            (None, None) => Peer::Unknown,
        };
        let mut formats = Formats::to_offer(&codecs, peer)?;
        let earlier = match &end.session {
            Some(session) => {
                formats.keep_numbers(session);
                parse_option(end.remote.as_ref())?.map(|sdp| (sdp, session.audio_index))
            }
            None => None,
        };
        let (near, other_near) = (end.near, other.near);
        // Whoever has called in needs an answer later; better to know now that there can be one.
        let other_waits = other.offer.is_some();
        let local = self.local(index, party, near, ports)?;
        if other_waits {
            self.local(index, party.other(), other_near, ports)?;
        }
        let earlier = earlier.as_ref().map(|(sdp, audio)| (sdp, *audio));
        let draft = make_offer(&local, &formats, mirror.as_ref(), earlier);
        let call = self.calls.get_mut(index as usize).ok_or(Refusal::NoSuchCall)?;
        call.end_mut(party).offered = Some(formats);
        Ok(finish(call, party, leg, local.address, &draft))
    }

    fn answer(
        &mut self,
        now: Time,
        id: CallId,
        party: Party,
        leg: LegId,
        ports: &mut dyn Ports,
    ) -> Result<Sdp, Refusal> {
        let index = self.index_of(id)?;
        let call = self.calls.get(index as usize).ok_or(Refusal::NoSuchCall)?;
        let codecs = call.codecs.clone();
        let (end, other) = (call.end(party), call.end(party.other()));
        let text = end.offer.clone().ok_or(Refusal::NoOffer)?;
        let offer = SessionDescription::parse(text.0.as_bytes())?;
        let mirror = parse_option(other.description())?;
        let agreed = other.session;
        let local = self.local(index, party, end.near, ports)?;
        let (draft, session) = make_answer(&offer, &codecs, agreed.as_ref(), &local, mirror.as_ref())?;
        let call = self.calls.get_mut(index as usize).ok_or(Refusal::NoSuchCall)?;
        check_family(call, party, &session)?;
        call.end_mut(party).agree(now, session, text);
        Ok(finish(call, party, leg, local.address, &draft))
    }

    fn accept(&mut self, now: Time, id: CallId, party: Party, sdp: Sdp) -> Result<(), Refusal> {
        let index = self.index_of(id)?;
        let call = self.calls.get_mut(index as usize).ok_or(Refusal::NoSuchCall)?;
        let (end, other) = (call.end(party), call.end(party.other()));
        let answer = SessionDescription::parse(sdp.0.as_bytes())?;
        let offered = end.offered.as_ref().ok_or(Refusal::NoOffer)?;
        let audio_index = end.session.map_or(0, |session| session.audio_index);
        let agreed = other.session.map(|session| session.codec);
        let session = accept(offered, audio_index, &answer, agreed)?;
        check_family(call, party, &session)?;
        let end = call.end_mut(party);
        end.offer = None;
        end.agree(now, session, sdp);
        Ok(())
    }

    /// Our end towards a party; takes ports if there are none yet.
    fn local(
        &mut self,
        index: u32,
        party: Party,
        near: Option<IpAddr>,
        ports: &mut dyn Ports,
    ) -> Result<Local, Refusal> {
        let address = self.config.address.address(near);
        let v6 = address.is_ipv6();
        let call = self.calls.get_mut(index as usize).ok_or(Refusal::NoSuchCall)?;
        let end = call.end_mut(party);
        let pair = match end.sockets.get(v6) {
            Some(pair) => pair,
            None => {
                let pair = ports.take(v6).ok_or(Refusal::NoPorts)?;
                if pair.rtp.0.max(pair.rtcp.0) >= MAX_SOCKETS {
                    ports.give_back(pair);
                    return Err(Refusal::NoPorts);
                }
                end.sockets.set(v6, pair);
                self.port_pairs += 1;
                self.assign(pair, index, party);
                pair
            }
        };
        Ok(Local { address, port: pair.port, ptime: self.config.ptime })
    }

    fn assign(&mut self, pair: PortPair, call: u32, party: Party) {
        for (socket, rtcp) in [(pair.rtp, false), (pair.rtcp, true)] {
            let at = socket.0 as usize;
            if self.sockets.len() <= at {
                self.sockets.resize(at + 1, None);
            }
            if let Some(slot) = self.sockets.get_mut(at) {
                debug_assert!(slot.is_none(), "the driver gave out a socket twice");
                *slot = Some(SocketUse { call, party, rtcp });
            }
        }
    }

    fn hear(&mut self, now: Time, id: CallId, party: Party, source: Source) {
        let Some(index) = self.by_id.get(&id).copied() else {
            return;
        };
        let Some(call) = self.calls.get_mut(index as usize) else {
            return;
        };
        let end = call.end_mut(party);
        if end.hears == source {
            return;
        }
        end.hears = source;
        self.stop_generator(index, party);
        let random = self.random.source();
        let Some(generator) = Generator::new(now, index, party, source, &random) else {
            return;
        };
        if generator.is_tone() {
            if self.tones_running == 0 {
                self.next_frame = now;
            }
            self.tones_running += 1;
        }
        let due = generator.next_report();
        self.next_report = Some(self.next_report.map_or(due, |next| next.min(due)));
        let key = self.generators.insert(generator);
        if let Some(call) = self.calls.get_mut(index as usize) {
            // One per party at most, so it fits as calls do.
            call.end_mut(party).generator = Some(key as u32);
        }
    }

    /// Whoever feeds the stream next goes on with it, so nobody says goodbye here.
    fn stop_generator(&mut self, index: u32, party: Party) {
        let call = self.calls.get_mut(index as usize);
        let Some(key) = call.and_then(|call| call.end_mut(party).generator.take()) else {
            return;
        };
        let Some(generator) = self.generators.try_remove(key as usize) else {
            return;
        };
        self.tones_running -= usize::from(generator.is_tone());
        if self.generators.is_empty() {
            self.next_report = None;
        }
    }

    fn close(&mut self, now: Time, id: CallId, ports: &mut dyn Ports) {
        let Some(index) = self.by_id.get(&id).copied() else {
            return;
        };
        self.stop_generator(index, Party::Caller);
        self.stop_generator(index, Party::Callee);
        self.by_id.remove(&id);
        let Some(mut call) = self.calls.try_remove(index as usize) else {
            return;
        };
        for party in [Party::Caller, Party::Callee] {
            farewell(now, call.end_mut(party), &mut |socket, to, bytes| {
                ports.send(socket, to, bytes);
            });
        }
        for pair in call.port_pairs() {
            for socket in [pair.rtp, pair.rtcp] {
                if let Some(slot) = self.sockets.get_mut(socket.0 as usize) {
                    *slot = None;
                }
            }
            self.port_pairs -= 1;
            ports.give_back(pair);
        }
        let stats = call_stats(&call);
        self.closed_counters.add(&stats.caller);
        self.closed_counters.add(&stats.callee);
        if self.closed.len() == MAX_CLOSED {
            self.closed.pop_front();
        }
        self.closed.push_back(stats);
    }
}

/// The rows of the codec table that have these names, whatever their case; the others mean nothing
/// to us. A name twice counts once.
fn codecs_named(names: &Codecs) -> SmallVec<[&'static Codec; 4]> {
    let mut rows = SmallVec::<[&'static Codec; 4]>::new();
    for name in names.0.iter() {
        let row = CODECS.iter().find(|row| row.name.eq_ignore_ascii_case(name));
        rows.extend(row.filter(|row| !rows.contains(row)));
    }
    rows
}

fn at_table(seat: Seat) -> Result<Party, Refusal> {
    match seat {
        Seat::Of(party) => Ok(party),
        Seat::Spare => Err(Refusal::NoOffer),
    }
}

fn report(call: CallId, seat: Seat, leg: LegId, result: Result<Sdp, Refusal>) -> MediaReport {
    match result {
        Ok(sdp) => MediaReport::Local { call, seat, leg, sdp },
        Err(refusal) => MediaReport::Refused { call, seat, leg, cause: refusal.cause() },
    }
}

fn parse_option(sdp: Option<&Sdp>) -> Result<Option<SessionDescription>, Refusal> {
    let parsed = sdp.map(|sdp| SessionDescription::parse(sdp.0.as_bytes()));
    Ok(parsed.transpose()?)
}

/// A party that answers with an address of the other family cannot be reached from the socket that
/// its media comes to, and media from elsewhere would not pass its NAT.
fn check_family(call: &Call, party: Party, session: &Negotiated) -> Result<(), Refusal> {
    match session.rtp {
        Some(rtp) if call.end(party).sockets.rtp_towards(rtp).is_none() => Err(Refusal::WrongFamily),
        _ => Ok(()),
    }
}

fn finish(call: &mut Call, party: Party, leg: LegId, address: IpAddr, draft: &Draft) -> Sdp {
    let end = call.end_mut(party);
    let origin = OwnOrigin {
        username: "-",
        session_id: end.session_id,
        session_version: end.version(leg, draft.fingerprint()),
        address,
    };
    Sdp(draft.finish(&origin).into())
}

fn call_stats(call: &Call) -> CallStats {
    CallStats { call: call.id, caller: call.end(Party::Caller).counters, callee: call.end(Party::Callee).counters }
}

/// SplitMix64. Enough for numbers that shall differ; nothing here is a secret.
pub(crate) struct Dice(u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Positive and at most 31 bits: some phones read it as such.
    fn session_id(&mut self) -> u64 {
        (self.next() >> 33).max(1)
    }

    /// An end with the numbers that shall differ from call to call.
    fn channel(&mut self) -> Channel {
        let (ssrc, name) = (self.next() as u32, self.next());
        Channel::new(self.session_id(), Outgoing::new(ssrc, name))
    }

    /// Between half and one and a half of the interval.
    pub fn report_delay(&mut self) -> Duration {
        let interval = REPORT_INTERVAL.as_millis() as u64;
        Duration::from_millis(interval / 2 + self.next() % interval)
    }

    fn source(&mut self) -> Random {
        let (a, b) = (self.next(), self.next());
        Random { ssrc: a as u32, timestamp: (a >> 32) as u32, sequence: b as u16, delay: self.report_delay() }
    }
}
