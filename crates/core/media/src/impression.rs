//! What a party sounds like, where its samples are to be had: one frame of many is looked at.
//!
//! ```text
//!   packet, or frame that was decoded ──▶ one of LOOK_EVERY ──▶ silent, or how loud; too loud for its codec
//! ```
//!
//! G.711 and L16 need no view to other packets, so a packet of theirs can be looked at wherever it goes. The sound of
//! other codecs is looked at where it is decoded anyway, and nobody knows it where it is passed on as it is.

use hookswitch_call::{AudioSound, Time};
use hookswitch_codec::{Codec, MAX_FRAME_SAMPLES};

use crate::channel::Channel;
use crate::hearing::Heard;
use crate::mixer::power;

/// One packet of so many is looked at: three in two seconds where they hold 20 ms.
pub(crate) const LOOK_EVERY: u8 = 33;

/// Behind comfort noise somebody speaks again, maybe one word: so soon it is listened to.
const AFTER_NOISE: u8 = 4;

/// Mean square below which there is nothing to be heard: -65 dBov. The least step of A-law is at -72, and an open
/// microphone in a quiet room hardly ever below -60.
const SILENT: u32 = 340;

/// What the codecs' limits have in common: µ-law ends at 32,124, A-law at 32,256.
const LIMIT: i16 = 32_000;

/// So many samples in a row at one limit are no crest of a sound, but one that was cut off.
const CUT_OFF: usize = 3;

/// What was heard of a party so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Impression {
    /// Packets to go until one is looked at.
    until: u8,
    looked_at: u32,
    clipped: u32,
    /// Frames that were not silent, and the sum of their mean squares.
    loud: u32,
    power: u64,
    silent_since: Option<Time>,
}

impl Impression {
    /// Counts a packet of audio, and looks at it if that is its turn and it can be understood by itself.
    #[inline]
    pub fn note(&mut self, now: Time, codec: &Codec, payload: &[u8]) {
        if self.until > 0 {
            self.until -= 1;
        } else if codec.is_memoryless() {
            self.look(now, codec, payload);
        }
    }

    #[cold]
    fn look(&mut self, now: Time, codec: &Codec, payload: &[u8]) {
        let mut samples = [0; MAX_FRAME_SAMPLES];
        let count = codec.decoder().map_or(0, |mut decoder| decoder.decode(payload, &mut samples));
        if let Some(samples) = samples.get(..count) {
            self.hear(now, samples);
        }
    }

    /// Looks at sound that was decoded, if that is its turn.
    #[inline]
    pub fn hear(&mut self, now: Time, samples: &[i16]) {
        if self.until > 0 || samples.is_empty() {
            return;
        }
        let power = power(samples);
        self.see(now, power < SILENT);
        if power >= SILENT {
            self.loud = self.loud.saturating_add(1);
            self.power = self.power.saturating_add(power.into());
            self.clipped = self.clipped.saturating_add(u32::from(is_cut_off(samples)));
        }
    }

    fn see(&mut self, now: Time, silent: bool) {
        self.until = LOOK_EVERY - 1;
        self.looked_at = self.looked_at.saturating_add(1);
        self.silent_since = if silent { self.silent_since.or(Some(now)) } else { None };
    }

    /// The party says what its silence is like.
    #[cold]
    pub fn note_silence(&mut self, now: Time) {
        self.see(now, true);
        self.until = AFTER_NOISE;
    }

    /// What comes now is not listened to, so nobody is silent.
    pub fn pause(&mut self) {
        self.silent_since = None;
    }

    /// Since when there was nothing but silence.
    pub fn silent_since(&self) -> Option<Time> {
        self.silent_since
    }

    /// Whether anything but silence was heard.
    pub fn is_heard(&self) -> bool {
        self.loud > 0
    }

    /// The sum of it; none before anything was looked at.
    pub fn summary(&self) -> Option<AudioSound> {
        let mean = self.power.checked_div(self.loud.into());
        // From -65 to 0: no mean square is above 2^30, and what is less than SILENT is not in it.
        let level = mean.map(|mean| (10.0 * (mean as f64 / f64::from(1 << 30)).log10()).round() as i8);
        (self.looked_at > 0).then_some(AudioSound {
            looked_at: self.looked_at,
            clipped: self.clipped,
            level,
            silent_since: self.silent_since,
        })
    }
}

/// Whether sound was too loud for its codec.
fn is_cut_off(samples: &[i16]) -> bool {
    samples.windows(CUT_OFF).any(|row| row.iter().all(|s| *s >= LIMIT) || row.iter().all(|s| *s <= -LIMIT))
}

impl Channel {
    /// Notes a frame of the party's sound that was decoded at a beat.
    pub(crate) fn note_heard(&mut self, now: Time, heard: Heard, samples: &[i16]) {
        match heard {
            Heard::Sound => self.quality.impression.hear(now, samples),
            Heard::MadeUp => self.counters.concealed_frames += 1,
            // That it pauses was noted when it said so.
            Heard::Noise | Heard::Silence => {}
        }
    }
}
