//! Playing a soup to one party.
//!
//! ```text
//!   Play ──▶ waits for the first samples ──▶ plays ──▶ over: all played, a key, told to, another soup
//!                     ▲                        │ ▲
//!                     └── nothing has come ────┘ └─ the next sound, begun a second ahead
//! ```
//!
//! Meanwhile the party hears nothing else. Each beat takes the samples of one frame and encodes them; no file is waited
//! for: what has not come is not played, time passes and the place in the sound stays. A sound that cannot be played is
//! told once and left out.
//!
//! What is played to the whole room that a party is in goes to [`Rooms`](crate::rooms::Rooms) frame by frame, and from
//! there to everybody.

mod place;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hookswitch_call::{
    Audience, CallId, MAX_GAIN_DB, MAX_SOUNDS, MIN_GAIN_DB, MediaReport, Party, PlayControl, PlayEnd, PlayId, PlayNews,
    Seat, Sound, Soup, Time,
};
use hookswitch_codec::{Codec, by_label};
use hookswitch_rtp::{HEADER_LEN, Header};

use crate::channel::Channel;
use crate::config::{FRAME_MS, SocketIx};
use crate::engine::Engine;
use crate::files::{FileError, FileId};
use crate::generate::{Random, begin_to_report};
use crate::negotiate::{Content, Negotiated};
use crate::outgoing::Path;
use crate::rooms::Rooms;
use crate::saying::Saying;
use crate::sounds::{FileOrders, Standing, Track, name_of, time_of};
use crate::tone::{MAX_FRAME, frame_of};
use place::{Place, after, after_sound};

/// Longest time that a sound is waited for, in milliseconds: then it is left out.
pub const MAX_STALL_MS: u32 = 5_000;

/// Most sounds that begin within one frame.
const MAX_BEGINNINGS: usize = 8;

/// A soup on its way to a party.
#[derive(Debug)]
pub(crate) struct Player {
    pub call: u32,
    pub seat: Seat,
    pub play: PlayId,
    to: Audience,
    soup: Arc<Soup>,
    /// Its own entry, by which its files are known.
    owner: u32,
    place: Place,
    track: Option<Track>,
    /// What comes after it, begun ahead of time.
    next: Option<(Place, Track)>,
    /// The codec that all of this is for.
    codec: Option<&'static Codec>,
    saying: Option<Saying>,
    started: bool,
    paused: bool,
    gain_db: i8,
    /// What the party has heard of it.
    played: Duration,
    /// Beats for which nothing has come.
    stalled: u32,
    /// Something of the present round has been played.
    heard: bool,
    /// Sounds that have been told to be missing, one bit each.
    missing: u64,
    /// It is over.
    end: Option<PlayEnd>,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    marker: bool,
}

/// What a player tells while it works.
type News = Vec<(PlayNews, Duration)>;

impl Player {
    fn new(call: u32, seat: Seat, (play, soup): (PlayId, Arc<Soup>), to: Audience, random: &Random) -> Self {
        Self {
            call,
            seat,
            play,
            to,
            soup,
            owner: 0,
            place: Place::default(),
            track: None,
            next: None,
            codec: None,
            saying: None,
            started: false,
            paused: false,
            gain_db: 0,
            played: Duration::ZERO,
            stalled: 0,
            heard: false,
            missing: 0,
            end: None,
            ssrc: random.ssrc,
            sequence: random.sequence & 0x7fff,
            timestamp: random.timestamp,
            marker: true,
        }
    }

    /// Another version of the same soup: a sound that is being played goes on if it stands at the same place there.
    fn update(&mut self, soup: Arc<Soup>, orders: &mut FileOrders) {
        let same = |old: &Sound, new: &Sound| old.forms == new.forms && old.start == new.start && old.stop == new.stop;
        let goes_on = match (self.soup.sounds.get(self.place.sound), soup.sounds.get(self.place.sound)) {
            (Some(old), Some(new)) => same(old, new),
            _ => false,
        };
        self.soup = soup;
        self.missing = 0;
        self.drop_next(orders);
        if !goes_on {
            self.drop_track(orders);
            self.place = Place::default();
            self.track = self.begin(self.place, orders);
        }
    }

    fn control(&mut self, control: PlayControl, orders: &mut FileOrders) {
        match control {
            PlayControl::Pause => self.paused = true,
            PlayControl::Resume => self.paused = false,
            PlayControl::Gain(db) => self.gain_db = db.clamp(MIN_GAIN_DB, MAX_GAIN_DB),
            PlayControl::Stop => self.end = Some(PlayEnd::Stopped),
            PlayControl::Seek(to) => {
                self.drop_next(orders);
                self.drop_track(orders);
                self.begin_at((to, true), orders);
            }
        }
    }

    fn drop_next(&mut self, orders: &mut FileOrders) {
        if let Some((_, track)) = self.next.take() {
            track.close(orders);
        }
    }

    fn drop_track(&mut self, orders: &mut FileOrders) {
        if let Some(track) = self.track.take() {
            track.close(orders);
        }
        self.stalled = 0;
    }

    /// Begins the present sound at a place in it, or goes on there, once there is a codec.
    fn begin_at(&mut self, (from, goes_on): (Duration, bool), orders: &mut FileOrders) {
        if let (Some(codec), Some(sound)) = (self.codec, self.soup.sounds.get(self.place.sound)) {
            self.track = Some(Track::begin(sound, (0, from, goes_on), codec, self.owner, orders));
        }
    }

    /// Begins a sound of the soup.
    fn begin(&self, place: Place, orders: &mut FileOrders) -> Option<Track> {
        let sound = self.soup.sounds.get(place.sound)?;
        Some(Track::begin(sound, (0, sound.start, false), self.codec?, self.owner, orders))
    }

    /// Whatever was begun for another codec is begun anew, at the same place.
    fn adapt(&mut self, codec: &'static Codec, orders: &mut FileOrders) {
        if self.codec == Some(codec) {
            return;
        }
        let rate = self.codec.map_or(0, |codec| codec.sample_rate);
        self.saying = match self.to {
            Audience::Party => Saying::new(codec, codec.sample_rate),
            Audience::Room => None,
        };
        let from = self.track.as_ref().map(|track| (track.place(rate), track.is_under_way()));
        if rate != codec.sample_rate || self.track.is_none() {
            self.drop_next(orders);
            self.drop_track(orders);
            self.codec = Some(codec);
            let start = self.soup.sounds.get(self.place.sound).map_or(Duration::ZERO, |sound| sound.start);
            self.begin_at(from.unwrap_or((start, false)), orders);
        }
        self.codec = Some(codec);
    }

    /// Fills a frame as far as the samples have come, and says how far.
    fn fill(&mut self, out: &mut [i16], orders: &mut FileOrders, news: &mut News) -> usize {
        let mut filled = 0;
        for _ in 0..MAX_BEGINNINGS {
            let Some(track) = &mut self.track else {
                // There is nothing in the soup.
                self.go_on(None, orders);
                break;
            };
            filled += track.take(out.get_mut(filled..).unwrap_or_default(), orders);
            match track.standing() {
                Standing::Goes | Standing::Waits => break,
                Standing::Over => {
                    self.heard = true;
                    self.go_on(after(&self.soup, self.place), orders);
                }
                Standing::Failed(why) => self.left_out(&why, orders, news),
            }
            if filled == out.len() || self.end.is_some() {
                break;
            }
        }
        self.heard |= filled > 0;
        if self.next.is_none()
            && self.track.as_ref().is_some_and(Track::is_all_here)
            && let Some(place) = after(&self.soup, self.place)
        {
            self.next = self.begin(place, orders).map(|track| (place, track));
        }
        filled
    }

    /// The next sound, or the end.
    fn go_on(&mut self, place: Option<Place>, orders: &mut FileOrders) {
        self.drop_track(orders);
        let Some(place) = place else {
            self.drop_next(orders);
            let nothing = self.played.is_zero() && !self.heard;
            self.end = Some(if nothing { PlayEnd::Failed } else { PlayEnd::Completed });
            return;
        };
        // Rounds in which nothing is heard would follow each other for ever.
        if place.round != self.place.round && !std::mem::take(&mut self.heard) {
            self.drop_next(orders);
            self.end = Some(PlayEnd::Failed);
            return;
        }
        self.place = place;
        self.track = match self.next.take() {
            Some((begun, track)) if begun == place => Some(track),
            other => {
                self.next = other;
                self.drop_next(orders);
                self.begin(place, orders)
            }
        };
    }

    /// A sound cannot be played, or not to its end: another form of it is, or none.
    fn left_out(&mut self, why: &FileError, orders: &mut FileOrders, news: &mut News) {
        let (Some(track), Some(sound)) = (&self.track, self.soup.sounds.get(self.place.sound)) else { return };
        let other = track.form + 1;
        if let Some(codec) = self.codec.filter(|_| !track.has_given() && other < sound.forms.len()) {
            // Where the first was to begin, which may be anywhere.
            let from = (other, track.place(codec.sample_rate), track.is_under_way());
            self.track = Some(Track::begin(sound, from, codec, self.owner, orders));
            return;
        }
        let bit = 1 << (self.place.sound % MAX_SOUNDS);
        if self.missing & bit == 0 {
            self.missing |= bit;
            news.push((PlayNews::Missing { sound: name_of(sound), why: why.to_string().into() }, self.played));
        }
        self.go_on(after_sound(&self.soup, self.place), orders);
    }

    /// Makes the next frame. `None` when there is none, or it cannot be sent: time passes all the same.
    fn frame<'b>(
        &mut self,
        now: Time,
        (channel, session): (&mut Channel, &Negotiated),
        (orders, news): (&mut FileOrders, &mut News),
        buffer: &'b mut [u8; HEADER_LEN + MAX_FRAME],
    ) -> Option<(SocketIx, SocketAddr, &'b [u8])> {
        let codec = session.codec;
        if self.end.is_some() {
            return None;
        }
        let (_, ticks) = frame_of(codec);
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(ticks);
        let mut samples = [0; MAX_FRAME];
        let samples = self.sound(codec, (orders, news), &mut samples)?;
        let len = self.saying.as_mut()?.say(samples, buffer.get_mut(HEADER_LEN..)?);
        let to = channel.latch.destination().filter(|_| session.direction.receives())?;
        let socket = channel.sockets.rtp_towards(to)?;
        let marker = std::mem::take(&mut self.marker);
        let payload_type = session.send.audio;
        let header = Header { marker, payload_type, sequence: self.sequence, timestamp, ssrc: self.ssrc };
        let packet = buffer.get_mut(..HEADER_LEN + len)?;
        header.write(packet).ok()?;
        self.sequence = self.sequence.wrapping_add(1);
        if !channel.carry(now, codec, Content::Audio, Path::Made, packet) {
            return None;
        }
        Some((socket, to, packet))
    }

    /// The next frame as samples at a codec's rate, where there is one.
    fn sound<'s>(
        &mut self,
        codec: &'static Codec,
        (orders, news): (&mut FileOrders, &mut News),
        samples: &'s mut [i16; MAX_FRAME],
    ) -> Option<&'s [i16]> {
        self.adapt(codec, orders);
        if self.paused {
            self.marker = true;
            return None;
        }
        let samples = samples.get_mut(..codec.samples_in(FRAME_MS))?;
        let filled = self.fill(samples, orders, news);
        if filled == 0 {
            self.wait(orders);
            return None;
        }
        self.stalled = 0;
        if !std::mem::replace(&mut self.started, true) {
            news.push((PlayNews::Started, Duration::ZERO));
        }
        self.played += time_of(filled as u64, codec.sample_rate);
        amplify(samples, self.gain_db);
        Some(samples)
    }

    /// Nothing has come for this beat.
    fn wait(&mut self, orders: &mut FileOrders) {
        self.marker = true;
        if self.end.is_some() {
            return;
        }
        self.stalled += 1;
        if self.stalled > MAX_STALL_MS / FRAME_MS
            && let Some(track) = &mut self.track
        {
            track.give_up(orders);
            self.stalled = 0;
        }
    }

    fn close(&mut self, orders: &mut FileOrders) {
        self.drop_next(orders);
        self.drop_track(orders);
    }
}

/// Changes samples by so many decibels.
fn amplify(samples: &mut [i16], db: i8) {
    if db == 0 {
        return;
    }
    let factor = if db <= MIN_GAIN_DB { 0.0 } else { 10f32.powf(f32::from(db) / 20.0) };
    for sample in samples {
        // Rounded, and kept within sixteen bits.
        *sample = (f32::from(*sample) * factor).round() as i16;
    }
}

impl Engine {
    /// Plays a soup to a party, or to its room, in place of whatever is played there by it; under the same name it is
    /// another version of it.
    pub(crate) fn play_soup(
        &mut self,
        now: Time,
        (id, party): (CallId, Party),
        (play, to): (PlayId, Audience),
        soup: Arc<Soup>,
    ) {
        let seat = Seat::Of(party);
        let place = self.index_of(id).ok().filter(|index| match to {
            Audience::Party => true,
            Audience::Room => self.member_in(*index, seat).is_some(),
        });
        let Some(index) = place else {
            let news = PlayNews::Ended(if to == Audience::Party { PlayEnd::Closed } else { PlayEnd::Failed });
            self.reports.push_back(MediaReport::Played { call: id, party, play, news, position: Duration::ZERO });
            return;
        };
        if let Some(key) = self.playing_to(index, seat, to).copied().flatten() {
            if let Some(player) = self.players.get_mut(key as usize).filter(|player| player.play == play) {
                player.update(soup, &mut self.file_orders);
                return;
            }
            self.end_play(key, PlayEnd::Replaced);
        }
        let random = self.random.source();
        let key = self.players.insert(Box::new(Player::new(index, seat, (play, soup), to, &random)));
        // One per channel and member at most, so it fits as calls do.
        let key = key as u32;
        if let Some(place) = self.playing_to(index, seat, to) {
            *place = Some(key);
        }
        let codec = self.codec_for(index, seat, to);
        if let Some(player) = self.players.get_mut(key as usize) {
            player.owner = key;
            if let Some(codec) = codec {
                // The first beat finds something.
                player.adapt(codec, &mut self.file_orders);
            }
        }
        self.keep_time(now);
    }

    /// Does something to what is played; nothing if that is over.
    pub(crate) fn control_play(&mut self, (id, party): (CallId, Party), play: PlayId, control: PlayControl) {
        let Ok(index) = self.index_of(id) else { return };
        for to in [Audience::Party, Audience::Room] {
            let Some(key) = self.playing_to(index, party.into(), to).copied().flatten() else { continue };
            let Some(player) = self.players.get_mut(key as usize).filter(|player| player.play == play) else {
                continue;
            };
            player.control(control, &mut self.file_orders);
            if player.end.is_some() {
                self.end_play(key, PlayEnd::Stopped);
            }
        }
    }

    fn member_in(&self, index: u32, seat: Seat) -> Option<u32> {
        self.calls.get(index as usize)?.seat(seat)?.member
    }

    /// The codec that something is made for, and of a room that which has its rate.
    fn codec_for(&self, index: u32, seat: Seat, to: Audience) -> Option<&'static Codec> {
        match to {
            Audience::Party => Some(self.calls.get(index as usize)?.seat(seat)?.session?.codec),
            Audience::Room => codec_of(self.rooms.rate_for(self.member_in(index, seat)?)?),
        }
    }

    /// Where it stands what is played to somebody, or to its room by it.
    fn playing_to(&mut self, index: u32, seat: Seat, to: Audience) -> Option<&mut Option<u32>> {
        match to {
            Audience::Party => Some(&mut self.calls.get_mut(index as usize)?.seat_mut(seat)?.player),
            Audience::Room => {
                let member = self.member_in(index, seat)?;
                self.rooms.player(member)
            }
        }
    }

    /// Ends whatever is played in a seat, and tells.
    pub(crate) fn end_player(&mut self, index: u32, seat: Seat, end: PlayEnd) {
        if let Some(key) = self.playing_to(index, seat, Audience::Party).and_then(Option::take) {
            self.end_play(key, end);
        }
    }

    /// Ends something that is played, and tells.
    pub(crate) fn end_play(&mut self, key: u32, end: PlayEnd) {
        let Some(mut player) = self.players.try_remove(key as usize) else { return };
        if let Some(place) = self.playing_to(player.call, player.seat, player.to).filter(|place| **place == Some(key)) {
            *place = None;
        }
        self.beats -= 1;
        player.close(&mut self.file_orders);
        if let (Seat::Of(party), Some(call)) = (player.seat, self.calls.get(player.call as usize)) {
            let (play, news, position) = (player.play, PlayNews::Ended(end), player.played);
            self.reports.push_back(MediaReport::Played { call: call.id, party, play, news, position });
            self.prompt_over(player.call, party, play, end);
        }
    }

    /// Some of a sound has come, or nothing will.
    pub(crate) fn sound_came(&mut self, file: FileId, result: Result<(Arc<[i16]>, bool), FileError>) {
        let Some(player) = self.players.get_mut(file.owner as usize) else { return };
        let tracks = player.track.iter_mut().chain(player.next.iter_mut().map(|(_, track)| track));
        for track in tracks {
            if track.came(file, &result) {
                break;
            }
        }
    }

    /// Sends what is due of all soups: `due` frames each.
    pub(crate) fn play_soups(
        &mut self,
        now: Time,
        (missed, due): (u32, u32),
        buffer: &mut [u8; HEADER_LEN + MAX_FRAME],
        send: &mut dyn FnMut(SocketIx, SocketAddr, &[u8]),
    ) {
        let (mut over, mut news) = (Vec::new(), News::new());
        for (key, player) in &mut self.players {
            let Some(call) = self.calls.get_mut(player.call as usize) else { continue };
            let id = call.id;
            let Some(channel) = call.seat_mut(player.seat) else { continue };
            match player.to {
                Audience::Room => {
                    player.play_to_room(channel, &mut self.rooms, due, (&mut self.file_orders, &mut news))
                }
                Audience::Party => {
                    // Nobody is there yet, or keys are sent, which would be spoilt.
                    let hears = channel.keyer.is_none() && channel.is_played_to();
                    let Some(session) = channel.session.filter(|_| hears) else { continue };
                    let (_, ticks) = frame_of(session.codec);
                    player.timestamp = player.timestamp.wrapping_add(ticks.wrapping_mul(missed));
                    for _ in 0..due {
                        let way = (&mut *channel, &session);
                        let frame = player.frame(now, way, (&mut self.file_orders, &mut news), buffer);
                        if let Some((socket, to, packet)) = frame {
                            send(socket, to, packet);
                            let among = (&mut self.generators, &mut self.random, &mut self.next_report);
                            begin_to_report(now, (player.call, player.seat), channel, among);
                            let reporter = channel.generator.and_then(|key| self.generators.get_mut(key as usize));
                            if let Some(generator) = reporter {
                                generator.has_sent = true;
                            }
                        }
                    }
                }
            }
            if let Seat::Of(party) = player.seat {
                let (call, play) = (id, player.play);
                let told = news.drain(..);
                let told = told.map(|(news, position)| MediaReport::Played { call, party, play, news, position });
                self.reports.extend(told);
            }
            // As many as calls have ends.
            over.extend(player.end.map(|end| (key as u32, end)));
        }
        for (key, end) in over {
            self.end_play(key, end);
        }
    }
}

impl Player {
    /// Gives so many frames to the room that the party is in.
    fn play_to_room(
        &mut self,
        channel: &Channel,
        rooms: &mut Rooms,
        due: u32,
        (orders, news): (&mut FileOrders, &mut News),
    ) {
        let Some(member) = channel.member else { return };
        let Some(codec) = rooms.rate_for(member).and_then(codec_of) else { return };
        let mut samples = [0; MAX_FRAME];
        for _ in 0..due {
            if self.end.is_some() {
                break;
            }
            if let Some(frame) = self.sound(codec, (&mut *orders, &mut *news), &mut samples) {
                rooms.announce(member, frame);
            }
        }
    }
}

/// A codec of this rate, to choose and read sounds for: one that takes nothing away from them.
fn codec_of(rate: u32) -> Option<&'static Codec> {
    by_label(match rate {
        8_000 => "L16/8000",
        16_000 => "L16/16000",
        _ => "opus",
    })
}

/// A party has pressed a key: what may be interrupted by that is over at the next beat.
#[cold]
pub(crate) fn interrupt(players: &mut slab::Slab<Box<Player>>, sender: &Channel) {
    let player = sender.player.and_then(|key| players.get_mut(key as usize));
    if let Some(player) = player.filter(|player| player.soup.interrupt) {
        player.end = Some(PlayEnd::TelephoneEvent);
    }
}

/// A party may have begun to speak where a recording follows: what is played is over at the next beat.
#[cold]
pub(crate) fn barge_in(players: &mut slab::Slab<Box<Player>>, sender: &mut Channel) {
    let Some(play) = sender.barged_in() else { return };
    let player = sender.player.and_then(|key| players.get_mut(key as usize));
    if let Some(player) = player.filter(|player| player.play == play) {
        player.end.get_or_insert(PlayEnd::Interrupted);
    }
}
