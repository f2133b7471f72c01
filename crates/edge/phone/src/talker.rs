//! The sending half of a phone's media: one packet every 20 ms.

use core::time::Duration;

use bytes::Bytes;
use hookswitch_codec::{Codec, Tone, ToneGenerator};
use hookswitch_media::negotiate::PayloadTypes;
use hookswitch_rtp::{EventPacket, EventSender, HEADER_LEN, Header};
use hookswitch_sip::Time;

use crate::coding::Encoding;
use crate::config::Sound;

/// Time between packets.
pub(crate) const FRAME: Duration = Duration::from_millis(20);

/// Samples per packet at 8 kHz.
pub(crate) const FRAME_SAMPLES: usize = 160;

/// Level of the tone that a key stands for, in dBm0 without its sign (RFC 4733 2.3.3).
const KEY_VOLUME: u8 = 10;

/// A driver that was held up longer than this skips the packets it missed.
const MAX_BEHIND: Duration = Duration::from_millis(200);

enum Voice {
    Silence,
    Tone(Box<ToneGenerator>),
    Samples { samples: std::sync::Arc<[i16]>, at: usize },
}

/// Makes the packets of one call.
pub(crate) struct Talker {
    voice: Option<Voice>,
    coding: Option<Encoding>,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    marker: bool,
    /// When the next packet is due; `None` while nothing is to be sent.
    next: Option<Time>,
    /// A key that is pressed goes before the voice.
    key: Option<EventSender>,
    pub(crate) sent: u64,
}

/// What [`Talker::frame`] made.
pub(crate) struct Frame {
    pub(crate) bytes: Bytes,
    /// The last sample has been played with this packet.
    pub(crate) played: bool,
}

impl Talker {
    pub(crate) fn new(sound: &Sound, random: u64) -> Talker {
        let voice = match sound {
            Sound::Nothing => None,
            Sound::Silence => Some(Voice::Silence),
            Sound::Tone { hz, level_dbfs } => {
                let tone = Tone::steady(*hz, 10f32.powf(level_dbfs / 20.0));
                Some(Voice::Tone(Box::new(ToneGenerator::new(tone, 8000))))
            }
            Sound::Samples(samples) => Some(Voice::Samples { samples: samples.clone(), at: 0 }),
        };
        Talker {
            voice,
            coding: None,
            ssrc: random as u32,
            // The upper bit stays clear so that a short call does not wrap (RFC 3550 5.1 leaves it to us).
            sequence: (random >> 32) as u16 & 0x7fff,
            timestamp: (random >> 16) as u32,
            marker: true,
            next: None,
            key: None,
            sent: 0,
        }
    }

    /// Starts or stops sending; a start while sending changes nothing.
    pub(crate) fn set_sending(&mut self, now: Time, sending: bool) {
        if !sending {
            self.next = None;
        } else if self.next.is_none() && self.voice.is_some() {
            self.next = Some(now);
            self.marker = true;
        }
    }

    /// Presses a key for so long; the number is that of RFC 4733.
    pub(crate) fn press(&mut self, now: Time, event: u8, length: Duration) {
        self.key = Some(EventSender::new(event, KEY_VOLUME, self.timestamp, 8_000, FRAME, length));
        self.next.get_or_insert(now);
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.next
    }

    /// The packet that is due, if one is.
    pub(crate) fn frame(&mut self, now: Time, codec: &'static Codec, numbers: PayloadTypes) -> Option<Frame> {
        let due = self.next.filter(|due| *due <= now)?;
        self.catch_up(now, due);
        let key = self.key.as_mut().and_then(EventSender::next_packet);
        if let (Some(packet), Some(number)) = (key, numbers.event) {
            return Some(self.key_frame(packet, number));
        }
        if self.key.take().is_some() {
            self.marker = true;
        }
        let mut samples = [0; FRAME_SAMPLES];
        let Some(voice) = self.voice.as_mut() else {
            self.next = None;
            return None;
        };
        let played = voice.fill(&mut samples);
        let mut coding = self.coding.take().filter(|coding| coding.is_of(codec)).or_else(|| Encoding::new(codec))?;
        let (marker, timestamp) = (core::mem::take(&mut self.marker), self.timestamp);
        let bytes = self.packet(marker, numbers.audio, timestamp, coding.encode(&samples));
        self.coding = Some(coding);
        Some(Frame { bytes, played })
    }

    fn key_frame(&mut self, key: EventPacket, number: u8) -> Frame {
        let bytes = self.packet(key.marker, number, key.timestamp, &key.payload.to_bytes());
        Frame { bytes, played: false }
    }

    fn packet(&mut self, marker: bool, payload_type: u8, timestamp: u32, payload: &[u8]) -> Bytes {
        let header = Header { marker, payload_type, sequence: self.sequence, timestamp, ssrc: self.ssrc };
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(FRAME_SAMPLES as u32);
        self.sent += 1;
        let mut packet = Vec::with_capacity(HEADER_LEN + payload.len());
        packet.extend_from_slice(&header.to_bytes());
        packet.extend_from_slice(payload);
        packet.into()
    }

    /// Sets the time of the next packet; a long pause of the driver is a pause in the stream.
    fn catch_up(&mut self, now: Time, due: Time) {
        let late = now - due;
        if late > MAX_BEHIND {
            let missed = (late.as_millis() / FRAME.as_millis()) as u32;
            self.timestamp = self.timestamp.wrapping_add(missed.wrapping_mul(FRAME_SAMPLES as u32));
            self.marker = true;
            self.next = Some(due + FRAME * (missed + 1));
        } else {
            self.next = Some(due + FRAME);
        }
    }
}

impl Voice {
    /// Writes the next samples; true when they are the last.
    fn fill(&mut self, out: &mut [i16]) -> bool {
        match self {
            Voice::Silence => out.fill(0),
            Voice::Tone(generator) => generator.fill(out),
            Voice::Samples { samples, at } => {
                let rest = samples.get(*at..).unwrap_or_default();
                let count = rest.len().min(out.len());
                out[..count].copy_from_slice(&rest[..count]);
                out[count..].fill(0);
                *at += count;
                return count > 0 && *at == samples.len();
            }
        }
        false
    }
}
