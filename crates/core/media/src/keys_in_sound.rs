//! Keys that a party tells by nothing but their sounds.
//!
//! ```text
//!   packet ─▶ decoded at 8 kHz ─▶ KeyListener ─┬─ the other end takes telephone events: one begins there, and ends
//!                                              └─ nobody is there, or a service: told, as other keys are
//! ```
//!
//! Nothing waits for the listener, so what has passed before a key is recognised is heard, 25 to 40 ms of it. From then
//! on the other end is sent an event and nothing else. Where neither end has agreed to events nobody listens: sounds
//! are what both have.

use hookswitch_call::{Digit, MediaReport, Party, Seat, Time};
use hookswitch_codec::{Codec, Decoder, KeyListener, KeySound, MAX_FRAME_SAMPLES};
use hookswitch_rtp::{Arrival, EVENT_TIMEOUT, Packet};
use smallvec::SmallVec;

use crate::channel::{Call, Channel};
use crate::engine::Engine;
use crate::keys::{Ear, hears_events, takes_keys};
use crate::negotiate::Content;
use crate::player::interrupt;
use crate::relay::Forward;
use crate::stats::DropReason;

/// The rate at which keys are listened for, in Hz, where the codec can be decoded at it.
const LISTENING_RATE: u32 = 8_000;

/// Listens to the sound of one party.
#[derive(Debug)]
pub(crate) struct SoundEar {
    codec: &'static Codec,
    decoder: Decoder,
    rate: u32,
    listener: KeyListener,
    down: Option<Down>,
    /// When the last packet came.
    heard: Time,
}

/// A key that is down.
#[derive(Debug, Clone, Copy)]
struct Down {
    key: char,
    since: Time,
    /// The other end is being sent an event.
    passed: bool,
}

/// What happens to keys in one packet.
type KeySounds = SmallVec<[KeySound; 2]>;

impl SoundEar {
    /// None where the codec cannot be decoded here.
    pub fn new(codec: &'static Codec) -> Option<Self> {
        let rate = codec.coding_rate(LISTENING_RATE);
        let decoder = codec.decoder_at(rate)?;
        Some(Self { codec, decoder, rate, listener: KeyListener::new(rate), down: None, heard: Time::ZERO })
    }

    /// Whether it is for audio in this codec.
    pub fn is_for(&self, codec: &Codec) -> bool {
        self.codec == codec
    }

    /// Whether the other end is being sent an event.
    pub fn is_passing(&self) -> bool {
        self.down.is_some_and(|down| down.passed)
    }

    /// When a key that is down is over if nothing more comes: some phones send nothing while nobody speaks.
    pub fn deadline(&self) -> Option<Time> {
        self.down.map(|_| self.heard.saturating_add(EVENT_TIMEOUT))
    }

    fn hear(&mut self, now: Time, payload: &[u8]) -> KeySounds {
        let mut samples = [0; MAX_FRAME_SAMPLES];
        let count = self.decoder.decode(payload, &mut samples);
        self.heard = now;
        let mut sounds = KeySounds::new();
        self.listener.listen(samples.get(..count).unwrap_or_default(), &mut |sound| sounds.push(sound));
        sounds
    }

    /// The end of a key of which nothing has come for too long.
    pub fn lift(&mut self, now: Time) -> Option<KeySound> {
        let down = self.down.filter(|_| self.deadline().is_some_and(|deadline| now >= deadline))?;
        self.listener = KeyListener::new(self.rate);
        let ms = self.heard.saturating_sub(down.since).as_millis();
        Some(KeySound::Ended { key: down.key, ms: u32::try_from(ms).unwrap_or(u32::MAX) })
    }
}

/// Listens to a packet of audio, if somebody wants to know of keys in it; what it tells of them.
#[inline]
pub(crate) fn keys_in(now: Time, sender: &mut Channel, other: &Channel, content: Content, packet: &[u8]) -> KeySounds {
    let listens = sender.keys.as_ref().is_some_and(|ear| ear.sound.is_some());
    if !listens || content != Content::Audio || !takes_keys(sender, other) {
        return KeySounds::new();
    }
    listen(now, sender, packet)
}

fn listen(now: Time, sender: &mut Channel, packet: &[u8]) -> KeySounds {
    // What comes late has its place elsewhere.
    let is_next = matches!(sender.quality.arrival(), Arrival::First | Arrival::InOrder { .. });
    let ear = sender.keys.as_mut().and_then(|ear| ear.sound.as_mut()).filter(|_| is_next);
    match (ear, Packet::parse(packet)) {
        (Some(ear), Ok(rtp)) => ear.hear(now, rtp.payload()),
        _ => KeySounds::new(),
    }
}

impl Call {
    /// The ear that a party needs: none where it tells its keys by events, or where nobody wants to know them.
    pub(crate) fn sound_ear(&self, party: Party) -> Option<&'static Codec> {
        let (end, other) = (self.end(party), self.end(party.other()));
        let session = end.session.filter(|session| session.receive.event.is_none() && session.codec.has_coder())?;
        let is_wanted = other.session.is_none_or(|session| session.send.event.is_some());
        is_wanted.then_some(session.codec)
    }
}

impl Engine {
    /// Takes what a packet has told of keys; the packet itself goes nowhere.
    #[cold]
    pub(crate) fn take_sounds(&mut self, now: Time, index: u32, party: Party, sounds: KeySounds) -> Forward {
        if let Some(sender) = self.calls.get_mut(index as usize).map(|call| call.end_mut(party)) {
            sender.counters.drop(DropReason::Consumed);
            if sender.player.is_some() {
                interrupt(&mut self.players, sender);
            }
        }
        for sound in sounds {
            self.take_sound(now, index, party, sound);
        }
        Forward::Drop(DropReason::Consumed)
    }

    /// A key is down, or up again.
    pub(crate) fn take_sound(&mut self, now: Time, index: u32, party: Party, sound: KeySound) {
        let Some(call) = self.calls.get_mut(index as usize) else { return };
        let id = call.id;
        let (end, other) = call.both_mut(party);
        let Some(ear) = &mut end.keys else { return };
        let Some(down) = ear.sound.as_mut().map(|sound| &mut sound.down) else { return };
        match sound {
            KeySound::Began { key } => {
                let passed = hears_events(other);
                *down = Some(Down { key, since: now, passed });
                self.keys_down.note(index, party, ear);
                if passed {
                    self.hold_key(now, id, party.other().into(), key);
                }
            }
            KeySound::Ended { key, ms } => {
                let passed = down.take().is_some_and(|down| down.passed);
                let digit = Digit { key, time: Time::from_millis(ms.into()) };
                self.reports.push_back(MediaReport::Digit { call: id, party, digit, passed });
                if passed {
                    self.lift_key(index, party.other().into());
                }
            }
        }
    }

    /// Ends what nobody presses any more: whoever did has gone, or tells keys in another way now.
    pub(crate) fn lift_what_nobody_holds(&mut self, index: u32) {
        for party in [Party::Caller, Party::Callee] {
            let end = self.calls.get(index as usize).map(|call| call.end(party));
            let ear = end.and_then(|end| end.keys.as_deref()).and_then(|ear: &Ear| ear.sound.as_ref());
            if !ear.is_some_and(|ear| ear.is_passing()) {
                self.lift_key(index, Seat::Of(party.other()));
            }
        }
    }
}
