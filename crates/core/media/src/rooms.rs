//! Rooms: everybody in one hears all others, mixed anew at every beat.
//!
//! ```text
//!   packets ─▶ Hearing ─┐ at the room's rate               ┌─ sum ─ own ─▶ Gain ─▶ codec ─▶ a talker
//!   packets ─▶ Hearing ─┼─▶ sum of all who are to be heard ┼─ sum ─ own ─▶ Gain ─▶ codec ─▶ another
//!   packets ─▶ Hearing ─┘                                  └─ sum ───────▶ Gain ─▶ codec ─▶ all who only listen
//! ```
//!
//! The rate is the best at which anybody in the room can hear another. Who says nothing hears what all others hear who say nothing,
//! so that is mixed once and, for codecs without memory, encoded once. In a room of more than [`SMALL`] members the
//! sound of those who have said nothing for a second is left out: the hum of a hundred rooms adds up. Whoever comes,
//! goes, is muted or left out does so within one frame, from silence or to it, without a click.

mod member;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use hookswitch_call::{
    CallId, Cause, Fault, Kind, MediaReport, Part, Party, PlayEnd, Role, Room as Name, RoomNews, Source, Time,
};
use hookswitch_codec::{Codec, Encoder};
use hookswitch_rtp::{HEADER_LEN, Packet};
use slab::Slab;

use crate::channel::{Call, Channel};
use crate::config::{FRAME, FRAME_MS, SocketIx};
use crate::engine::Engine;
use crate::generate::Generator;
use crate::hearing::Hearing;
use crate::mixer::{Gain, add, ramp, without};
use crate::negotiate::{Content, Negotiated};
use crate::outgoing::Path;
use crate::relay::Forward;
use crate::stats::DropReason;
use member::{Member, Shared, say_to_all};

/// In a room of so many members, or fewer, everybody's sound is mixed all the time.
pub const SMALL: usize = 8;

/// The least rate of a room, in samples per second.
const LOWEST_RATE: u32 = 8_000;

/// Most bytes of one frame of any codec.
const MAX_PAYLOAD: usize = 1_920;

/// Most samples of one frame at any rate.
const MAX_SAMPLES: usize = 960;

/// All rooms of one engine, and who is in them.
pub(crate) struct Rooms {
    rooms: Slab<Room>,
    by_name: HashMap<Name, u32, ahash::RandomState>,
    members: Slab<Member>,
    desk: Desk,
}

/// What a beat touches outside of the rooms.
pub(crate) struct Stand<'a> {
    now: Time,
    calls: &'a mut Slab<Box<Call>>,
    generators: &'a mut Slab<Generator>,
    reports: &'a mut VecDeque<MediaReport>,
    send: &'a mut dyn FnMut(SocketIx, SocketAddr, &[u8]),
}

/// Where sums are worked out.
struct Desk {
    sum: Vec<i32>,
    own: Vec<i32>,
    sound: Vec<i16>,
    packet: Box<[u8; HEADER_LEN + MAX_PAYLOAD]>,
}

struct Room {
    name: Name,
    /// Samples per second.
    rate: u32,
    members: Vec<u32>,
    /// Those who have just left, and are heard for one more frame.
    leaving: Vec<Hearing>,
    /// Of the sum that those hear who say nothing.
    gain: Gain,
    /// The same, encoded once for all of a codec.
    shared: Vec<Shared>,
    /// That sum, and as it was at the beat before.
    common: Vec<i16>,
    before: Vec<i16>,
}

impl Rooms {
    pub fn new() -> Self {
        Self {
            rooms: Slab::new(),
            // Nobody outside chooses names at will, and equal runs stay equal.
            by_name: HashMap::with_hasher(ahash::RandomState::with_seeds(5, 6, 7, 8)),
            members: Slab::new(),
            desk: Desk {
                sum: vec![0; MAX_SAMPLES],
                own: vec![0; MAX_SAMPLES],
                sound: vec![0; MAX_SAMPLES],
                packet: Box::new([0; HEADER_LEN + MAX_PAYLOAD]),
            },
        }
    }

    /// Takes a member's packet, which goes nowhere by itself.
    pub fn put(&mut self, now: Time, sender: &Channel, content: Content, packet: &[u8]) -> Forward {
        let member = sender.member.and_then(|key| self.members.get_mut(key as usize));
        if let (Some(member), Some(session), Ok(packet)) = (member, sender.session, Packet::parse(packet)) {
            match content {
                Content::Audio => member.hearing.put(now, &packet, session.codec),
                Content::Noise => member.hearing.put_noise(&packet),
                Content::Event => member.hearing.skip(&packet),
            }
        }
        Forward::Drop(DropReason::Consumed)
    }

    /// Everybody hears the next frame, after `passed` that are left out.
    pub fn beat(&mut self, at: Time, passed: u32, stand: &mut Stand<'_>) {
        for (_, room) in &mut self.rooms {
            room.tune(&mut self.members, stand);
            let samples = (room.rate * FRAME_MS / 1_000) as usize;
            room.listen(at, samples, &mut self.members, &mut self.desk, stand);
            room.speak(passed, samples, &mut self.members, &mut self.desk, stand);
        }
    }

    /// The rate of a member's room, in samples per second.
    pub fn rate_for(&self, key: u32) -> Option<u32> {
        let member = self.members.get(key as usize)?;
        self.rooms.get(member.room as usize).map(|room| room.rate)
    }

    /// What a member has played to its whole room, if it has, and not to itself.
    pub fn player(&mut self, key: u32) -> Option<&mut Option<u32>> {
        self.members.get_mut(key as usize).map(|member| &mut member.player)
    }

    /// All hear a frame of that at the next beat for which nothing waits.
    pub fn announce(&mut self, key: u32, frame: &[i16]) {
        if let Some(member) = self.members.get_mut(key as usize) {
            member.announce(frame);
        }
    }

    /// Takes somebody out of its room; who and which one that was.
    fn remove(&mut self, key: u32) -> Option<(Name, CallId, Party)> {
        let member = self.members.try_remove(key as usize)?;
        let room = self.rooms.get_mut(member.room as usize)?;
        room.members.retain(|other| *other != key);
        if member.audible {
            room.leaving.push(member.hearing);
        }
        let name = room.name.clone();
        if room.members.is_empty() {
            self.rooms.try_remove(member.room as usize);
            self.by_name.remove(&name);
        }
        Some((name, member.call, member.party))
    }

    /// How many rooms there are, and members in all of them.
    pub fn count(&self) -> (usize, usize) {
        (self.rooms.len(), self.members.len())
    }
}

impl Room {
    /// Finds out at which rate to mix. Of what the best one says nobody else hears more than the second best can, and the
    /// other way round; a sound for all is as good as that, too.
    fn tune(&mut self, members: &mut Slab<Member>, stand: &mut Stand<'_>) {
        let rate_of = |key: &u32| {
            let member = members.get(*key as usize)?;
            let session = stand.calls.get(member.index as usize)?.end(member.party).session?;
            Some(session.codec.sample_rate)
        };
        let (mut best, mut rate) = (LOWEST_RATE, LOWEST_RATE);
        for its_own in self.members.iter().filter_map(rate_of) {
            rate = rate.max(its_own.min(best));
            best = best.max(its_own);
        }
        if rate == self.rate {
            return;
        }
        self.rate = rate;
        self.shared.clear();
        for key in &self.members {
            if let Some(member) = members.get_mut(*key as usize) {
                member.set_rate(rate);
            }
        }
    }

    /// Adds up what everybody says.
    fn listen(&mut self, at: Time, samples: usize, members: &mut Slab<Member>, desk: &mut Desk, stand: &mut Stand<'_>) {
        let sum = &mut desk.sum[..samples];
        sum.fill(0);
        let crowded = self.members.len() > SMALL;
        for key in &self.members {
            let Some(member) = members.get_mut(*key as usize) else { continue };
            let channel = stand.calls.get_mut(member.index as usize).map(|call| call.end_mut(member.party));
            if let Some(speaks) = member.listen(at, samples, crowded, channel) {
                let news = RoomNews::Speaks(speaks);
                let (call, party, room) = (member.call, member.party, self.name.clone());
                stand.reports.push_back(MediaReport::Room { call, party, room, news });
            }
            if member.is_in_sum() {
                add(sum, &member.sound);
            }
            member.add_announced(sum);
        }
        for mut hearing in self.leaving.drain(..) {
            let sound = &mut desk.sound[..samples];
            hearing.set_rate(self.rate);
            hearing.frame(at, sound);
            ramp(sound, false);
            add(sum, sound);
        }
    }

    /// Sends everybody what the others say.
    fn speak(
        &mut self,
        passed: u32,
        samples: usize,
        members: &mut Slab<Member>,
        desk: &mut Desk,
        stand: &mut Stand<'_>,
    ) {
        for shared in &mut self.shared {
            shared.is_made = false;
        }
        std::mem::swap(&mut self.before, &mut self.common);
        self.common.resize(samples, 0);
        self.gain.fit(&desk.sum[..samples], self.rate, &mut self.common);
        let whisperers = self.whisperers(members);
        for place in 0..self.members.len() {
            let key = self.members.get(place).copied().unwrap_or_default();
            let whispers = self.mix_for(key, &whisperers, members, desk, samples);
            let Some(member) = members.get_mut(key as usize) else { continue };
            let Some(call) = stand.calls.get_mut(member.index as usize) else { continue };
            let channel = call.end_mut(member.party);
            let Some((session, socket, to)) = destination(channel) else {
                member.pass(passed + 1, channel);
                continue;
            };
            member.pass(passed, channel);
            let length = self.say_to(member, channel, session.codec, whispers, desk);
            let packet = &mut desk.packet[..HEADER_LEN + length];
            // Nothing is sent where a codec has nothing to say.
            if length == 0 {
                member.pass(1, channel);
                continue;
            }
            let header = member.next_header(session.send.audio, session.codec);
            if header.write(packet).is_ok()
                && channel.carry(stand.now, session.codec, Content::Audio, Path::Made, packet)
            {
                if let Some(generator) = channel.generator.and_then(|key| stand.generators.get_mut(key as usize)) {
                    generator.has_sent = true;
                }
                (stand.send)(socket, to, packet);
            }
        }
    }

    /// Makes the payload of what a member hears; its length.
    fn say_to(
        &mut self,
        member: &mut Member,
        channel: &Channel,
        codec: &'static Codec,
        whispers: bool,
        desk: &mut Desk,
    ) -> usize {
        let Some(payload) = desk.packet.get_mut(HEADER_LEN..) else { return 0 };
        let sound = &mut desk.sound[..self.common.len()];
        let is_own = whispers || member.part.deaf || member.is_in_sum();
        if member.part.deaf {
            sound.fill(0);
        } else if is_own {
            member.gain.fit(&desk.own[..self.common.len()], self.rate, sound);
        } else {
            member.gain = self.gain.clone();
            if is_stateless(codec) {
                member.shares = true;
                return say_to_all(&mut self.shared, codec, (self.rate, &self.common), payload);
            }
            sound.copy_from_slice(&self.common);
        }
        member.say((codec, channel), self.rate, (&self.before, sound), payload)
    }

    /// Those who whisper, and to whom.
    fn whisperers(&self, members: &Slab<Member>) -> smallvec::SmallVec<[(u32, CallId); 2]> {
        let whisperer = |key: &u32| match members.get(*key as usize)?.part.role {
            Role::Whisper(to) => Some((*key, to)),
            Role::Talk | Role::Listen => None,
        };
        self.members.iter().filter_map(whisperer).collect()
    }

    /// Works out what a member hears that others do not: without itself, and with what is whispered to it. Whether there
    /// is anything of the latter.
    fn mix_for(
        &self,
        key: u32,
        whisperers: &[(u32, CallId)],
        members: &Slab<Member>,
        desk: &mut Desk,
        samples: usize,
    ) -> bool {
        let Some(member) = members.get(key as usize) else { return false };
        let (sum, own) = (&desk.sum[..samples], &mut desk.own[..samples]);
        let to_it = whisperers.iter().filter(|(from, to)| *to == member.call && *from != key);
        let mut heard = to_it.filter_map(|(from, _)| members.get(*from as usize).filter(|from| from.sounds)).peekable();
        let whispers = heard.peek().is_some();
        if member.is_in_sum() {
            without(sum, &member.sound, own);
        } else if whispers {
            // Whoever hears what all others do has nothing of its own.
            own.copy_from_slice(sum);
        }
        for from in heard {
            add(own, &from.sound);
        }
        whispers
    }
}

/// Somebody in a room who is not on hold, in either way.
fn is_here(channel: &Channel) -> bool {
    channel.hears == Source::Room && !channel.held && channel.session.is_some_and(|session| session.direction.sends())
}

/// How, from where and whither a member is sent what it hears.
fn destination(channel: &Channel) -> Option<(Negotiated, SocketIx, SocketAddr)> {
    let listens = channel.hears == Source::Room && channel.keyer.is_none() && channel.player.is_none();
    let session = channel.session.filter(|session| listens && session.direction.receives())?;
    let to = channel.latch.destination()?;
    Some((session, channel.sockets.rtp_towards(to)?, to))
}

fn is_stateless(codec: &Codec) -> bool {
    matches!(codec.encoder(), Some(Encoder::PerSample(_)))
}

impl Engine {
    /// Somebody comes into a room, or takes part in another way from now on.
    pub(crate) fn join(&mut self, now: Time, id: CallId, party: Party, room: Name, part: Part) {
        let index = match self.index_of(id) {
            Ok(index) => index,
            Err(refusal) => {
                let news = RoomNews::Refused(refusal.cause());
                self.reports.push_back(MediaReport::Room { call: id, party, room, news });
                return;
            }
        };
        let place = self.rooms.by_name.get(&room).copied();
        let known = self.calls.get(index as usize).and_then(|call| call.end(party).member);
        if let Some(member) = known.and_then(|key| self.rooms.members.get_mut(key as usize))
            && Some(member.room) == place
        {
            // From one way of being heard to another it comes in anew.
            member.audible &= member.part.role == part.role;
            member.part = part;
            return;
        }
        let count = place.and_then(|place| self.rooms.rooms.get(place as usize)).map_or(0, |room| room.members.len());
        if count >= self.config.room_members {
            let cause = Cause::new(Kind::Busy, Fault::Server).with_text("Conference Full");
            self.reports.push_back(MediaReport::Room { call: id, party, room, news: RoomNews::Refused(cause) });
            return;
        }
        self.leave(id, party, None);
        let place = place.unwrap_or_else(|| self.rooms.open(room.clone()));
        let Some(target) = self.rooms.rooms.get_mut(place as usize) else { return };
        let member = Member::new(index, (id, party), (place, target.rate), part, &self.random.source());
        // No more than calls have ends, and of those there are fewer than 2^32.
        let key = self.rooms.members.insert(member) as u32;
        target.members.push(key);
        if let Some(call) = self.calls.get_mut(index as usize) {
            call.end_mut(party).member = Some(key);
        }
        self.keep_time(now);
        // As many as fit into a room, which is a small number.
        let news = RoomNews::Joined((count + 1) as u16);
        self.reports.push_back(MediaReport::Room { call: id, party, room, news });
    }

    /// Somebody goes out of a room; without one, out of whichever it is in.
    pub(crate) fn leave(&mut self, id: CallId, party: Party, room: Option<&Name>) {
        let Some(key) = self.call(id).and_then(|call| call.end(party).member) else { return };
        let place = room.map(|room| self.rooms.by_name.get(room).copied());
        let is_in = self.rooms.members.get(key as usize).map(|member| member.room);
        if place.is_some_and(|place| place != is_in) {
            return;
        }
        let player = self.rooms.player(key).and_then(Option::take);
        if let Some(player) = player {
            self.end_play(player, PlayEnd::Closed);
        }
        let late = self.rooms.members.get_mut(key as usize).map_or(0, Member::newly_late);
        if let Some(call) = self.call_mut(id) {
            let channel = call.end_mut(party);
            channel.member = None;
            channel.counters.drop_some(DropReason::Late, late);
        }
        if let Some((room, call, party)) = self.rooms.remove(key) {
            self.beats -= 1;
            let news = RoomNews::Left;
            self.reports.push_back(MediaReport::Room { call, party, room, news });
        }
    }

    /// Mixes as many frames as are to be sent, the first of those that are due being left out.
    pub(crate) fn mix(
        &mut self,
        now: Time,
        (due, sent): (u32, u32),
        send: &mut dyn FnMut(SocketIx, SocketAddr, &[u8]),
    ) {
        for frame in (0..sent).rev() {
            let at = self.next_frame.saturating_sub(FRAME.saturating_mul(frame + 1));
            let passed = if frame + 1 == sent { due - sent } else { 0 };
            let (calls, generators, reports) = (&mut self.calls, &mut self.generators, &mut self.reports);
            self.rooms.beat(at, passed, &mut Stand { now, calls, generators, reports, send });
        }
    }

    /// How many rooms there are, and how many members they have in all.
    #[must_use]
    pub fn rooms(&self) -> (usize, usize) {
        self.rooms.count()
    }
}

impl Rooms {
    fn open(&mut self, name: Name) -> u32 {
        let room = Room {
            name: name.clone(),
            rate: LOWEST_RATE,
            members: Vec::new(),
            leaving: Vec::new(),
            gain: Gain::new(),
            shared: Vec::new(),
            common: Vec::new(),
            before: Vec::new(),
        };
        // No more than members.
        let place = self.rooms.insert(room) as u32;
        self.by_name.insert(name, place);
        place
    }
}
