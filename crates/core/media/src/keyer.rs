//! Sending a party keys, one after the other.
//!
//! ```text
//!            ┌──────────────── next key ────────────────┐
//!            ▼                                          │
//!   ┌────────────────┐ told, and its end three times ┌───────┐ no key left
//!   │ event or sound │ ────────────────────────────▶ │ pause │ ────────────▶ gone
//!   └────────────────┘                               └───────┘
//! ```
//!
//! Meanwhile the party hears nothing else: an event takes the place of the audio (RFC 4733 section
//! 2.2), and the sound of a key would be spoilt by voices.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use hookswitch_call::{CallId, Digit, Seat, Time};
use hookswitch_codec::{Codec, Tone, ToneGenerator};
use hookswitch_rtp::{EventSender, HEADER_LEN, Header, TelephoneEvent};

use crate::channel::Channel;
use crate::config::{FRAME, FRAME_MS, SocketIx};
use crate::engine::Engine;
use crate::generate::Random;
use crate::negotiate::{Content, Negotiated};
use crate::outgoing::Path;
use crate::saying::Saying;
use crate::tone::{MAX_FRAME, TONE_RATE, frame_of};

/// Most keys that wait to be sent to one party; further ones are dropped.
pub const MAX_KEYS_WAITING: usize = 32;

/// Shortest time that a key is sent for: what receivers need to tell it from speech (ITU-T Q.24).
pub const MIN_KEY_TIME: Duration = Duration::from_millis(40);

/// Longest time that a key is sent for: what one event can state at 8 kHz, in whole seconds.
pub const MAX_KEY_TIME: Duration = Duration::from_secs(8);

/// Silence after the sound of a key, in milliseconds.
const PAUSE_MS: u32 = 60;

/// Beats after the last packet of an event: with the two that repeat its end that makes as much.
const PAUSE_AFTER_EVENT: u32 = PAUSE_MS / FRAME_MS - 2;

/// Power of our events, in dBm0 without its sign: that of the sounds we make.
const VOLUME: u8 = 9;

/// The event of a flash, `F`: no key, and without a sound (RFC 2833 section 3.10).
const FLASH: u8 = 16;

fn event_of(key: char) -> Option<u8> {
    match key {
        'F' | 'f' => Some(FLASH),
        _ => TelephoneEvent::event_of(key),
    }
}

/// A key that waits.
#[derive(Debug, Clone, Copy)]
struct Pressed {
    digit: Digit,
    /// It is still down: somebody will say when it is up.
    held: bool,
}

/// What is being sent.
#[derive(Debug)]
enum Sending {
    Event(EventSender),
    Sound(Box<Sound>),
    Pause(u32),
}

/// The sound of a key and the silence after it.
#[derive(Debug)]
struct Sound {
    tone: ToneGenerator,
    voice: Saying,
    /// Left to send.
    frames: u32,
}

impl Sound {
    /// Writes the next frame, and returns its bytes; none once the party has agreed to another codec.
    fn fill(&mut self, codec: &Codec, out: &mut [u8]) -> Option<usize> {
        if !self.voice.is_for(codec, self.tone.sample_rate()) {
            return None;
        }
        let mut samples = [0; MAX_FRAME];
        let samples = samples.get_mut(..(self.tone.sample_rate() * FRAME_MS / 1_000) as usize)?;
        self.tone.fill(samples);
        self.frames = self.frames.saturating_sub(1);
        Some(self.voice.say(samples, out))
    }
}

/// Keys on their way to a party.
#[derive(Debug)]
pub(crate) struct Keyer {
    pub call: u32,
    pub seat: Seat,
    waiting: VecDeque<Pressed>,
    sending: Sending,
    /// The key that is being sent is still down.
    held: bool,
    ssrc: u32,
    sequence: u16,
    /// The RTP clock at the next beat.
    clock: u32,
    /// The next frame of a sound follows on nothing.
    marker: bool,
    done: bool,
}

impl Keyer {
    fn new(call: u32, seat: Seat, random: &Random) -> Self {
        Self {
            call,
            seat,
            waiting: VecDeque::new(),
            sending: Sending::Pause(0),
            held: false,
            ssrc: random.ssrc,
            sequence: random.sequence & 0x7fff,
            clock: random.timestamp,
            marker: false,
            done: false,
        }
    }

    fn push(&mut self, pressed: Pressed) {
        if self.waiting.len() < MAX_KEYS_WAITING {
            self.waiting.push_back(pressed);
        }
    }

    /// The key that was held is up. One that is only being sent now was down for a moment.
    fn lift(&mut self) {
        if let (true, Sending::Event(event)) = (std::mem::take(&mut self.held), &mut self.sending) {
            event.release();
        }
        for pressed in self.waiting.iter_mut().filter(|pressed| pressed.held) {
            *pressed = Pressed { digit: Digit { time: MIN_KEY_TIME, ..pressed.digit }, held: false };
        }
    }

    /// Takes the next key; there may be none.
    fn begin(&mut self, session: &Negotiated) {
        let Some(Pressed { digit, held }) = self.waiting.pop_front() else {
            self.done = true;
            return;
        };
        let time = digit.time.clamp(MIN_KEY_TIME, MAX_KEY_TIME);
        // At most eight seconds.
        let on_ms = time.as_millis() as u32;
        let event = event_of(digit.key).filter(|_| session.send.event.is_some());
        self.marker = true;
        let codec = session.codec;
        let rate = codec.coding_rate(TONE_RATE);
        let sound = Tone::dtmf(digit.key, on_ms, PAUSE_MS).zip(Saying::new(codec, rate));
        self.held = held && event.is_some();
        self.sending = match (event, sound) {
            (Some(event), _) => {
                Sending::Event(EventSender::new(event, VOLUME, self.clock, codec.clock_rate, FRAME, time))
            }
            (None, Some((tone, voice))) => Sending::Sound(Box::new(Sound {
                tone: ToneGenerator::new(tone, rate),
                voice,
                frames: (on_ms + PAUSE_MS).div_ceil(FRAME_MS),
            })),
            // No key of a telephone; refused when it was asked for.
            (None, None) => Sending::Pause(0),
        };
    }

    /// What is sent at this beat; `None` when it is nothing, or cannot be sent: time passes all the same.
    fn frame<'b>(
        &mut self,
        now: Time,
        channel: &mut Channel,
        buffer: &'b mut [u8; HEADER_LEN + MAX_FRAME],
    ) -> Option<(SocketIx, SocketAddr, &'b [u8])> {
        let session = channel.session?;
        if matches!(self.sending, Sending::Pause(0)) {
            self.begin(&session);
        }
        let (_, ticks) = frame_of(session.codec);
        let clock = self.clock;
        self.clock = clock.wrapping_add(ticks);
        let (content, marker, timestamp, len) = match &mut self.sending {
            Sending::Pause(beats) => {
                *beats = beats.saturating_sub(1);
                return None;
            }
            Sending::Event(event) => {
                let Some(packet) = event.next_packet() else {
                    self.sending = Sending::Pause(PAUSE_AFTER_EVENT);
                    return None;
                };
                let len = packet.payload.write(buffer.get_mut(HEADER_LEN..)?).ok()?;
                (Content::Event, packet.marker, packet.timestamp, len)
            }
            Sending::Sound(sound) => {
                let len = sound.fill(session.codec, buffer.get_mut(HEADER_LEN..)?);
                if len.is_none() || sound.frames == 0 {
                    self.sending = Sending::Pause(0);
                }
                (Content::Audio, std::mem::take(&mut self.marker), clock, len?)
            }
        };
        let to = channel.latch.destination().filter(|_| session.direction.receives())?;
        let socket = channel.sockets.rtp_towards(to)?;
        let payload_type = session.number_for(content)?;
        let header = Header { marker, payload_type, sequence: self.sequence, timestamp, ssrc: self.ssrc };
        let packet = buffer.get_mut(..HEADER_LEN + len)?;
        header.write(packet).ok()?;
        self.sequence = self.sequence.wrapping_add(1);
        if !channel.carry(now, session.codec, content, Path::Made, packet) {
            return None;
        }
        Some((socket, to, packet))
    }
}

impl Engine {
    /// Has a key sent after those that wait already. Nobody is there to hear it before a session is agreed.
    pub(crate) fn press(&mut self, now: Time, id: CallId, seat: Seat, digit: Digit) {
        self.push_key(now, id, seat, Pressed { digit, held: false });
    }

    /// The same for a key that is down until [`lift_key`](Self::lift_key), or as long as a key is sent at most.
    pub(crate) fn hold_key(&mut self, now: Time, id: CallId, seat: Seat, key: char) {
        self.push_key(now, id, seat, Pressed { digit: Digit { key, time: MAX_KEY_TIME }, held: true });
    }

    /// The key that a party is sent, and that was held, is up.
    pub(crate) fn lift_key(&mut self, index: u32, seat: Seat) {
        let channel = self.calls.get(index as usize).and_then(|call| call.seat(seat));
        if let Some(keyer) = channel.and_then(|channel| self.keyers.get_mut(channel.keyer? as usize)) {
            keyer.lift();
        }
    }

    fn push_key(&mut self, now: Time, id: CallId, seat: Seat, pressed: Pressed) {
        let Ok(index) = self.index_of(id) else { return };
        let Some(channel) = self.calls.get_mut(index as usize).and_then(|call| call.seat_mut(seat)) else {
            return;
        };
        let Some(session) = channel.session else { return };
        let has_sound = TelephoneEvent::event_of(pressed.digit.key).is_some();
        if !has_sound && (session.send.event.is_none() || event_of(pressed.digit.key).is_none()) {
            return;
        }
        let running = channel.keyer.and_then(|key| self.keyers.get_mut(key as usize));
        if let Some(keyer) = running {
            return keyer.push(pressed);
        }
        let mut keyer = Keyer::new(index, seat, &self.random.source());
        keyer.push(pressed);
        // One per channel at most, so it fits as calls do.
        channel.keyer = Some(self.keyers.insert(keyer) as u32);
        self.keep_time(now);
    }

    /// Sends what is due of keys: `missed` beats are past, and `due` ones are made up for.
    pub(crate) fn press_keys(
        &mut self,
        now: Time,
        (missed, due): (u32, u32),
        buffer: &mut [u8; HEADER_LEN + MAX_FRAME],
        send: &mut dyn FnMut(SocketIx, SocketAddr, &[u8]),
    ) {
        let (calls, beats) = (&mut self.calls, &mut self.beats);
        self.keyers.retain(|_, keyer| {
            let call = calls.get_mut(keyer.call as usize);
            let Some(channel) = call.and_then(|call| call.seat_mut(keyer.seat)) else {
                return true;
            };
            if let Some(session) = channel.session {
                let (_, ticks) = frame_of(session.codec);
                keyer.clock = keyer.clock.wrapping_add(ticks.wrapping_mul(missed));
            }
            for _ in 0..due {
                if let Some((socket, to, packet)) = keyer.frame(now, channel, buffer) {
                    send(socket, to, packet);
                }
            }
            if keyer.done {
                channel.keyer = None;
                *beats -= 1;
            }
            !keyer.done
        });
    }

    /// Forgets the keys for a seat.
    pub(crate) fn stop_keyer(&mut self, index: u32, seat: Seat) {
        let channel = self.calls.get_mut(index as usize).and_then(|call| call.seat_mut(seat));
        if let Some(key) = channel.and_then(|channel| channel.keyer.take())
            && self.keyers.try_remove(key as usize).is_some()
        {
            self.beats -= 1;
        }
    }
}
