//! The engine: all calls of one media thread.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use hookswitch_call::{
    AudioNews, CallId, Codecs, LegId, MediaOp, MediaReport, Party, PlayEnd, Sdp, Seat, Source, Time,
};
use hookswitch_codec::{Codec, by_label};
use hookswitch_sdp::Direction;
use slab::Slab;
use smallvec::SmallVec;

use crate::channel::{Call, Channel, SocketUse};
use crate::config::{EngineConfig, PortPair, Ports};
use crate::generate::{Generator, REPORT_INTERVAL, Random, farewell};
use crate::keyer::Keyer;
use crate::keys::KeysDown;
use crate::negotiate::Refusal;
use crate::outgoing::Outgoing;
use crate::player::Player;
use crate::recordings::Recordings;
use crate::rooms::Rooms;
use crate::sounds::FileOrders;
use crate::stats::{CallStats, Counters, Rated, Totals};
use crate::tone::Tones;
use crate::transcode::{Coded, Workplace};

/// Most closed calls whose counters wait for [`Engine::poll_closed`]; the oldest are dropped.
pub const MAX_CLOSED: usize = 4_096;

/// Every seat that a call may have.
pub(crate) const SEATS: [Seat; 3] = [Seat::Of(Party::Caller), Seat::Of(Party::Callee), Seat::Spare];

/// Media for all calls of one thread. See the [crate's description](crate) for how it is driven.
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) tones: Tones,
    pub(crate) random: Dice,
    pub(crate) calls: Slab<Box<Call>>,
    by_id: HashMap<CallId, u32, ahash::RandomState>,
    /// What each socket is used for, by its number.
    pub(crate) sockets: Vec<Option<SocketUse>>,
    pub(crate) port_pairs: usize,
    pub(crate) generators: Slab<Generator>,
    pub(crate) keyers: Slab<Keyer>,
    pub(crate) players: Slab<Box<Player>>,
    pub(crate) file_orders: FileOrders,
    pub(crate) rooms: Rooms,
    /// How many of all these send something at every beat.
    pub(crate) beats: usize,
    /// All of them send at the same moments.
    pub(crate) next_frame: Time,
    pub(crate) next_report: Option<Time>,
    pub(crate) keys_down: KeysDown,
    pub(crate) coded: Coded,
    pub(crate) workplace: Workplace,
    pub(crate) reports: VecDeque<MediaReport>,
    pub(crate) recordings: Recordings,
    closed: VecDeque<CallStats>,
    pub(crate) closed_counters: Counters,
    rated: Rated,
}

impl Engine {
    /// An engine without calls. The seed decides session ids and RTP sources; give every engine one
    /// that nobody can guess.
    #[must_use]
    pub fn new(config: EngineConfig, seed: u64) -> Self {
        let tones = Tones::render(&config.ringback, config.hold_music.clone());
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
            keyers: Slab::new(),
            players: Slab::new(),
            file_orders: FileOrders::default(),
            rooms: Rooms::new(),
            beats: 0,
            next_frame: Time::ZERO,
            next_report: None,
            keys_down: KeysDown::default(),
            coded: Coded::default(),
            workplace: Workplace::new(),
            reports: VecDeque::new(),
            recordings: Recordings::default(),
            closed: VecDeque::new(),
            closed_counters: Counters::default(),
            rated: Rated::default(),
        }
    }

    /// Carries out one operation. Drain [`poll_report`](Self::poll_report) afterwards, and ask
    /// [`next_tick`](Self::next_tick).
    pub fn perform(&mut self, now: Time, op: MediaOp, ports: &mut dyn Ports) {
        match op {
            MediaOp::Open { call, offer, codecs, near, room: _ } => self.open(call, offer, codecs.as_ref(), near),
            MediaOp::MakeOffer { call, seat, leg, near } => {
                let result = self.offer(call, seat, leg, near, ports);
                self.reports.push_back(report(call, seat, leg, result));
            }
            MediaOp::MakeAnswer { call, seat, leg } => {
                let before = self.direction(call, seat);
                let result = self.answer(now, call, seat, leg, ports);
                self.reports.push_back(report(call, seat, leg, result));
                self.report_direction(call, seat, before);
            }
            MediaOp::Offered { call, seat, sdp } => {
                if let Some(end) = self.channel_mut(call, seat) {
                    end.offer = Some(sdp);
                }
            }
            MediaOp::Accept { call, seat, leg, sdp } => {
                let before = self.direction(call, seat);
                if let Err(refusal) = self.accept(now, call, seat, leg, sdp) {
                    self.reports.push_back(report(call, seat, leg, Err(refusal)));
                }
                self.report_direction(call, seat, before);
            }
            MediaOp::Hear { call, seat, source } => self.hear(now, call, seat, source),
            MediaOp::Hold { call, party, on } => {
                if let Some(end) = self.channel_mut(call, party.into()) {
                    end.hold(now, on);
                }
            }
            MediaOp::OpenSpare { call, party, near } => self.open_spare(call, party, near),
            MediaOp::Swap { call } => self.swap(now, call),
            MediaOp::CloseSpare { call } => self.close_spare(now, call, ports),
            MediaOp::Join { call, party, room, part } => self.join(now, call, party, room, part),
            MediaOp::Leave { call, party, room } => self.leave(call, party, Some(&room)),
            MediaOp::Inspect { call } => self.inspect(now, call),
            MediaOp::Digit { call, party, digit } => self.press(now, call, party.into(), digit),
            MediaOp::Play { call, party, play, soup, to } => self.play_soup(now, (call, party), (play, to), soup),
            MediaOp::ControlPlay { call, party, play, control } => self.control_play((call, party), play, control),
            MediaOp::Record { call, party, recording, order } => {
                self.order_recording(now, call, party, recording, order)
            }
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
            for channel in call.channels() {
                counters.add(&channel.counters);
            }
            if let Some(left) = &call.left {
                counters.add(left);
            }
        }
        Totals {
            calls: self.calls.len(),
            port_pairs: self.port_pairs,
            generators: self.generators.len(),
            counters,
            rated: self.rated,
        }
    }

    /// Parties that said they send, are not on hold, and of which neither RTP nor RTCP has come for
    /// [`EngineConfig::rtp_timeout`]. Looks at every call: for asking every few seconds.
    pub fn silent(&self, now: Time) -> impl Iterator<Item = (CallId, Party)> + '_ {
        let parties = |call| [(call, Party::Caller), (call, Party::Callee)];
        let ends = self.calls.iter().flat_map(move |(_, call)| parties(call));
        ends.filter(move |(call, party)| {
            let end = call.end(*party);
            let heard = end.counters.last_rtp_at.max(end.counters.last_rtcp_at);
            let since = heard.map_or(end.agreed_at, |heard| heard.max(end.agreed_at));
            end.session.is_some_and(|session| session.direction.sends() && !end.held)
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

    pub(crate) fn call_mut(&mut self, call: CallId) -> Option<&mut Call> {
        let index = *self.by_id.get(&call)?;
        self.calls.get_mut(index as usize).map(|call| &mut **call)
    }

    fn channel_mut(&mut self, call: CallId, seat: Seat) -> Option<&mut Channel> {
        self.call_mut(call)?.seat_mut(seat)
    }

    /// What somebody has agreed to about who sends, and with which leg.
    fn direction(&self, call: CallId, seat: Seat) -> Option<(LegId, Direction)> {
        self.call(call)?.seat(seat)?.direction()
    }

    /// Tells if that has changed, also beside the table: whoever sits there may come back to its place. What another
    /// leg says is its first word and no change.
    fn report_direction(&mut self, call: CallId, seat: Seat, before: Option<(LegId, Direction)>) {
        let place = match seat {
            Seat::Of(party) => Some(party),
            Seat::Spare => self.call(call).and_then(|call| call.spare.as_ref()).map(|spare| spare.place),
        };
        let (Some(party), Some((leg, was))) = (place, before) else {
            return;
        };
        let now = self.direction(call, seat);
        if let Some((_, is)) = now.filter(|(with, is)| *with == leg && *is != was) {
            let (sends, listens) = (is.sends(), is.receives());
            self.reports.push_back(MediaReport::Direction { call, party, leg, sends, listens });
        }
    }

    pub(crate) fn index_of(&self, call: CallId) -> Result<u32, Refusal> {
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
        self.remember_call(call);
    }

    /// Gives a call its place.
    pub(crate) fn remember_call(&mut self, call: Box<Call>) -> u32 {
        let id = call.id;
        // About max_calls, and no machine holds 2^32 of them.
        let index = self.calls.insert(call) as u32;
        self.by_id.insert(id, index);
        index
    }

    /// The call is not here any more.
    pub(crate) fn forget_call(&mut self, id: CallId, index: u32) -> Option<Box<Call>> {
        self.by_id.remove(&id);
        self.coded.forget(index);
        self.calls.try_remove(index as usize)
    }

    /// Packets for these sockets concern nobody from now on.
    pub(crate) fn unseat_sockets(&mut self, pair: PortPair) {
        for socket in [pair.rtp, pair.rtcp] {
            if let Some(slot) = self.sockets.get_mut(socket.0 as usize) {
                *slot = None;
            }
        }
        self.port_pairs -= 1;
    }

    pub(crate) fn hear(&mut self, now: Time, id: CallId, seat: Seat, source: Source) {
        let Some(index) = self.by_id.get(&id).copied() else {
            return;
        };
        let Some(end) = self.calls.get_mut(index as usize).and_then(|call| call.seat_mut(seat)) else {
            return;
        };
        if end.hears == source {
            return;
        }
        end.hears = source;
        self.stop_generator(index, seat);
        let random = self.random.source();
        let first_beat = if self.beats == 0 { now } else { self.next_frame };
        let Some(mut generator) = Generator::new(now, index, seat, source, &random) else {
            return;
        };
        generator.come_in(first_beat, &self.tones);
        if generator.is_tone() {
            self.keep_time(now);
        }
        let due = generator.next_report();
        self.next_report = Some(self.next_report.map_or(due, |next| next.min(due)));
        let key = self.generators.insert(generator);
        if let Some(end) = self.calls.get_mut(index as usize).and_then(|call| call.seat_mut(seat)) {
            // One per channel at most, so it fits as calls do.
            end.generator = Some(key as u32);
        }
    }

    /// One more that sends at every beat.
    pub(crate) fn keep_time(&mut self, now: Time) {
        if self.beats == 0 {
            self.next_frame = now;
        }
        self.beats += 1;
    }

    /// Whoever feeds the stream next goes on with it, so nobody says goodbye here.
    fn stop_generator(&mut self, index: u32, seat: Seat) {
        let channel = self.calls.get_mut(index as usize).and_then(|call| call.seat_mut(seat));
        let Some(key) = channel.and_then(|channel| channel.generator.take()) else {
            return;
        };
        let Some(generator) = self.generators.try_remove(key as usize) else {
            return;
        };
        self.beats -= usize::from(generator.is_tone());
        if self.generators.is_empty() {
            self.next_report = None;
        }
    }

    fn close(&mut self, now: Time, id: CallId, ports: &mut dyn Ports) {
        for party in [Party::Caller, Party::Callee] {
            self.leave(id, party, None);
        }
        let Some(index) = self.by_id.remove(&id) else {
            return;
        };
        for seat in SEATS {
            self.silence(index, seat);
        }
        self.end_recordings(now, index);
        let last_word = self.last_word(now, index);
        self.coded.forget(index);
        let Some(mut call) = self.calls.try_remove(index as usize) else {
            return;
        };
        for channel in call.channels_mut() {
            self.vacate(now, channel, ports);
        }
        if let Some(audio) = last_word {
            self.reports.push_back(MediaReport::Audio { call: id, news: AudioNews::Closed, audio: Some(audio) });
        }
        let stats = call_stats(&call);
        for counters in [&stats.caller, &stats.callee, &stats.others] {
            self.closed_counters.add(counters);
        }
        if self.closed.len() == MAX_CLOSED {
            self.closed.pop_front();
        }
        self.closed.push_back(stats);
    }

    /// Stops whatever is made for a seat.
    pub(crate) fn silence(&mut self, index: u32, seat: Seat) {
        self.stop_generator(index, seat);
        self.stop_keyer(index, seat);
        self.end_player(index, seat, PlayEnd::Closed);
    }

    /// Says goodbye to a party and gives its ports back.
    pub(crate) fn vacate(&mut self, now: Time, channel: &mut Channel, ports: &mut dyn Ports) {
        self.rated.add(&channel.summary());
        farewell(now, channel, &mut |socket, to, bytes| {
            ports.send(socket, to, bytes);
        });
        for pair in channel.sockets.iter() {
            self.unseat_sockets(pair);
            ports.give_back(pair);
        }
    }
}

/// The rows of the codec table that these names mean; the others mean nothing to us. One named twice
/// counts once.
fn codecs_named(names: &Codecs) -> SmallVec<[&'static Codec; 4]> {
    let mut rows = SmallVec::<[&'static Codec; 4]>::new();
    for name in names.0.iter() {
        rows.extend(by_label(name).filter(|row| !rows.contains(row)));
    }
    rows
}

fn report(call: CallId, seat: Seat, leg: LegId, result: Result<Sdp, Refusal>) -> MediaReport {
    match result {
        Ok(sdp) => MediaReport::Local { call, seat, leg, sdp },
        Err(refusal) => MediaReport::Refused { call, seat, leg, cause: refusal.cause() },
    }
}

fn call_stats(call: &Call) -> CallStats {
    let mut others = call.left.as_deref().copied().unwrap_or_default();
    if let Some(spare) = &call.spare {
        others.add(&spare.channel.counters);
    }
    let (caller, callee) = (call.end(Party::Caller).counters, call.end(Party::Callee).counters);
    CallStats { call: call.id, caller, callee, others }
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
    pub fn channel(&mut self) -> Channel {
        let (ssrc, name) = (self.next() as u32, self.next());
        Channel::new(self.session_id(), Outgoing::new(ssrc, name))
    }

    /// Between half and one and a half of the interval.
    pub fn report_delay(&mut self) -> Duration {
        let interval = REPORT_INTERVAL.as_millis() as u64;
        Duration::from_millis(interval / 2 + self.next() % interval)
    }

    pub fn source(&mut self) -> Random {
        let (a, b) = (self.next(), self.next());
        Random { ssrc: a as u32, timestamp: (a >> 32) as u32, sequence: b as u16, delay: self.report_delay() }
    }
}
