//! What one party says, as sound at an even pace: 20 ms whenever the beat asks for them.
//!
//! ```text
//!            first packet                    due (see `Jitter::target`)
//!   ┌──────┐ ───────────▶ ┌──────────────────┐ ─────────────────▶ ┌─────────┐
//!   │ mute │              │ silent: it waits │                    │ playing │
//!   └──────┘              └──────────────────┘ ◀───────────────── └─────────┘
//!                                    nothing for MAX_CONCEALED, or the speaker has paused
//! ```
//!
//! A plain relay needs none of this and adds no delay; whoever mixes has to have everybody's sound of the same moment.
//! Sound waits as long as the network's own jitter asks for and the beat after that. What is missing then is made up
//! for; if it comes after all, and nothing newer has been played meanwhile, it is played late rather than not at all.
//! Where the wait is longer or shorter than it has to be, since the jitter has changed or the party's clock runs away
//! from ours, a piece of sound is left out or said twice ([`slip`](crate::slip)).
//!
//! A codec that makes up for losses by itself does so here. One that sends everything twice has what was lost in the
//! packet that follows: as long as packets are lost, sound of it waits for one packet more.

use hookswitch_call::Time;
use hookswitch_codec::{Codec, Concealer, Decoder, Noise, NoiseGenerator, Resampler};
use hookswitch_rtp::Packet;

use crate::config::FRAME_MS;
use crate::jitter::{First, Jitter, JitterCounts};
use crate::slip::{NEEDED_MS, lengthen, shorten};

/// So much missing sound is made up for, in milliseconds; then there is silence.
const MAX_CONCEALED_MS: i64 = 120;

/// Sound that waits this much longer than it has to, in milliseconds, is made shorter. A frame is waited for anyway,
/// since packets do not come at the beat.
const TOO_OLD_MS: i64 = FRAME_MS as i64 + 10;

/// So much the last packet that a frame needs must have waited longer than it has to, in milliseconds: a little more
/// than the longest piece that is left out, or it would be missing the next time.
const SPARE_MS: i64 = 17;

/// What waits this much longer, in milliseconds, is left out packet by packet.
const FAR_TOO_OLD_MS: i64 = 200;

/// Frames between two such changes: often enough for a tenth of the time, seldom enough not to sound hurried.
const SLIP_EVERY: u8 = 5;

/// Longest packet that is decoded, in milliseconds.
const MAX_PACKET_MS: u32 = 120;

/// All noise is the same noise; nobody compares it.
const NOISE_SEED: u32 = 0x5eed;

/// Codecs that make up for losses by themselves do so in steps of 2.5 ms.
const STEPS_PER_S: u32 = 400;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// What the party has said.
    Sound,
    /// Something in the place of what was lost.
    MadeUp,
    /// The party pauses, and this is how it has said that its background sounds.
    Noise,
    /// Nothing.
    Silence,
}

/// What was done to a party's sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct HearingCounts {
    /// Frames, the last not always whole, in which something was made up for.
    pub concealed: u64,
    /// Lost packets of which the next one told enough.
    pub restored: u64,
    /// Pieces left out and pieces said twice.
    pub slips: [u64; 2],
}

/// One party's sound.
#[derive(Debug)]
pub(crate) struct Hearing {
    jitter: Jitter,
    /// The decoder of the stream as it is now.
    decoder: Option<(&'static Codec, Decoder)>,
    /// The rate of what it makes.
    decoded_at: u32,
    /// Makes up for what is lost where the codec cannot.
    concealer: Option<Concealer>,
    resampler: Option<Resampler>,
    /// The rate of what is given out.
    rate: u32,
    /// Decoded and not given out, at the decoder's rate.
    ready: Vec<i16>,
    converted: Vec<i16>,
    playing: bool,
    /// The timestamp after that of the last sample that is ready.
    stamp: i64,
    /// How long the last packet was, in units of the stream's clock.
    packet: i64,
    /// What was made up since the last packet, in units of the stream's clock.
    made_up: i64,
    /// Frames to go until a slip may follow on the last one.
    rest: u8,
    /// The background of the party since it has paused, and from which timestamp on.
    noise: Option<(u32, Noise)>,
    generator: NoiseGenerator,
    pub counts: HearingCounts,
}

impl Hearing {
    /// Somebody of whom nothing has been heard, to be heard at this rate: 8,000, 16,000 or 48,000 samples per second.
    pub fn new(rate: u32) -> Self {
        Self {
            jitter: Jitter::new(),
            decoder: None,
            decoded_at: rate,
            concealer: None,
            resampler: None,
            rate,
            ready: Vec::new(),
            converted: Vec::new(),
            playing: false,
            stamp: 0,
            packet: 0,
            made_up: 0,
            rest: 0,
            noise: None,
            generator: NoiseGenerator::new(NOISE_SEED),
            counts: HearingCounts::default(),
        }
    }

    /// Another rate from now on. Where a codec can be decoded at several, that is at one which is good enough.
    pub fn set_rate(&mut self, rate: u32) {
        if self.rate != rate {
            self.rate = rate;
            self.resampler = None;
        }
        if let Some((codec, decoder)) = &mut self.decoder
            && self.decoded_at < codec.coding_rate(rate)
            && let Some(better) = codec.decoder_at(codec.coding_rate(rate))
        {
            *decoder = better;
            let from = std::mem::replace(&mut self.decoded_at, codec.coding_rate(rate));
            refine(&mut self.ready, from, self.decoded_at);
        }
    }

    /// Takes a packet of audio.
    pub fn put(&mut self, now: Time, packet: &Packet<'_>, codec: &'static Codec) {
        if self.jitter.put(now, packet, codec) {
            self.fall_silent();
            self.noise = None;
        }
    }

    /// Takes a packet of comfort noise (RFC 3389): the party pauses from there on, and sounds like this.
    pub fn put_noise(&mut self, packet: &Packet<'_>) {
        self.jitter.skip(packet);
        if let Some(noise) = Noise::parse(packet.payload()) {
            self.noise = Some((packet.timestamp(), noise));
        }
    }

    /// Takes a packet of something else in the same stream.
    pub fn skip(&mut self, packet: &Packet<'_>) {
        self.jitter.skip(packet);
    }

    /// What has become of the packets.
    pub fn packets(&self) -> JitterCounts {
        self.jitter.counts
    }

    /// Gives the sound of the next frame, as much as `out` has room for: [`FRAME_MS`].
    pub fn frame(&mut self, now: Time, out: &mut [i16]) -> Heard {
        if !self.playing && !self.begins(now) {
            return self.pause(out);
        }
        self.rest = self.rest.saturating_sub(1);
        self.keep_pace(now);
        let before = self.counts.concealed;
        self.fetch(now, FRAME_MS);
        let is_made_up = self.counts.concealed > before;
        let count = self.give(out);
        match self.pause(out.get_mut(count..).unwrap_or_default()) {
            pause if count == 0 => pause,
            _ if is_made_up => Heard::MadeUp,
            _ => Heard::Sound,
        }
    }

    /// What a party is heard to be that says nothing.
    fn pause(&mut self, out: &mut [i16]) -> Heard {
        match &self.noise {
            Some((_, noise)) if !self.playing && !out.is_empty() => {
                self.generator.fill(noise, out);
                Heard::Noise
            }
            _ => {
                out.fill(0);
                Heard::Silence
            }
        }
    }

    /// Whether the party has told that it pauses where this timestamp is, or before.
    fn pauses_at(&self, stamp: i64) -> bool {
        self.noise.as_ref().is_some_and(|(from, _)| (stamp as u32).wrapping_sub(*from).cast_signed() >= 0)
    }

    fn fall_silent(&mut self) {
        self.playing = false;
        self.made_up = 0;
    }

    /// Whether the packet that comes first is due.
    fn begins(&mut self, now: Time) -> bool {
        let Some(first) = self.jitter.first() else { return false };
        if self.jitter.age(now, first.stamp) < self.target() {
            return false;
        }
        self.playing = true;
        if self.pauses_at(first.stamp) {
            self.noise = None;
        }
        self.stamp = first.stamp;
        self.made_up = 0;
        // The end of what was said before the pause is no beginning.
        self.ready.clear();
        true
    }

    /// How old audio should be when it is played, in units of the stream's clock.
    fn target(&self) -> i64 {
        let restores = self.decoder.as_ref().is_some_and(|(_, decoder)| decoder.restores());
        self.jitter.target() + if restores && self.jitter.loses() { self.packet } else { 0 }
    }

    fn clock_rate(&self) -> u32 {
        self.decoder.as_ref().map_or(self.rate, |(codec, _)| codec.clock_rate)
    }

    fn samples_in(&self, ms: u32) -> usize {
        (u64::from(self.decoded_at) * u64::from(ms) / 1_000) as usize
    }

    /// Samples in units of the stream's clock.
    fn in_ticks(&self, samples: usize) -> i64 {
        (samples as u64 * u64::from(self.clock_rate()) / u64::from(self.decoded_at.max(1))) as i64
    }

    /// Units of the stream's clock in samples.
    fn in_samples(&self, ticks: i64) -> usize {
        let ticks = u64::try_from(ticks).unwrap_or_default();
        (ticks * u64::from(self.decoded_at) / u64::from(self.clock_rate().max(1))) as usize
    }

    /// The timestamp of the last packet that the next frame needs, if it needs any.
    fn needed(&self) -> Option<i64> {
        let lacks = self.samples_in(FRAME_MS).checked_sub(self.ready.len() + 1)?;
        let whole = self.in_ticks(lacks).checked_div(self.packet).unwrap_or(0);
        Some(self.stamp + whole * self.packet)
    }

    /// Makes sound longer or shorter that has waited too little or too long.
    fn keep_pace(&mut self, now: Time) {
        let Some(needed) = self.needed() else { return };
        let spare = self.jitter.age(now, needed) - self.target();
        if spare > self.jitter.in_ticks(FAR_TOO_OLD_MS) {
            while let Some(first) = self.jitter.first().filter(|first| first.has_more)
                && self.jitter.age(now, first.stamp) - self.target() > self.jitter.in_ticks(TOO_OLD_MS)
            {
                self.jitter.give_up();
                self.ready.clear();
                self.stamp = first.stamp;
            }
            self.stamp = self.jitter.first().map_or(self.stamp, |first| first.stamp.max(self.stamp));
            return;
        }
        if self.rest > 0 {
            return;
        }
        let rate = self.decoded_at;
        let played = self.stamp - self.in_ticks(self.ready.len());
        let old = self.jitter.age(now, played) - self.target();
        if spare > self.jitter.in_ticks(SPARE_MS) && old > self.jitter.in_ticks(TOO_OLD_MS) {
            if self.has_come(FRAME_MS + NEEDED_MS) && shorten(&mut self.ready, rate) > 0 {
                self.counts.slips[0] += 1;
                self.rest = SLIP_EVERY;
            }
        } else if spare < 0 && self.has_come(NEEDED_MS) && lengthen(&mut self.ready, rate) > 0 {
            self.counts.slips[1] += 1;
            self.rest = SLIP_EVERY;
        }
    }

    /// Whether so many milliseconds are ready, or can be made so of what has come without a gap.
    fn has_come(&mut self, ms: u32) -> bool {
        while self.ready.len() < self.samples_in(ms) {
            match self.jitter.first() {
                Some(first) if first.stamp <= self.stamp => self.decode(),
                Some(_) | None => return false,
            }
        }
        true
    }

    /// Sees to it that so many milliseconds are ready, unless it falls silent.
    fn fetch(&mut self, now: Time, ms: u32) {
        while self.playing && self.ready.len() < self.samples_in(ms) {
            match self.jitter.first() {
                Some(first) if first.stamp > self.stamp => self.bridge(first),
                Some(first) if self.is_over(now, first) => self.jitter.give_up(),
                Some(_) => self.decode(),
                None if self.pauses_at(self.stamp) => self.fall_silent(),
                None => {
                    let lacks = self.samples_in(ms).saturating_sub(self.ready.len());
                    self.make_up(lacks);
                }
            }
        }
    }

    /// Whether a packet's time has passed: something was made up in its place, and playing it now would make everything
    /// after it older than it has to be.
    fn is_over(&self, now: Time, first: First) -> bool {
        let spare = self.jitter.age(now, first.stamp) - self.target();
        first.stamp < self.stamp && first.has_more && spare > self.jitter.in_ticks(2 * i64::from(FRAME_MS))
    }

    /// Something is missing before the next packet.
    fn bridge(&mut self, first: First) {
        let gap = first.stamp - self.stamp;
        if first.follows || self.pauses_at(self.stamp) || gap + self.made_up > self.jitter.in_ticks(MAX_CONCEALED_MS) {
            // The speaker has paused, or the network has for as good as ever.
            self.fall_silent();
        } else {
            let restores = self.decoder.as_ref().is_some_and(|(_, decoder)| decoder.restores());
            let last = if restores { self.packet.min(gap) } else { 0 };
            if gap > last {
                self.make_up(self.in_samples(gap - last).max(1));
            }
            if last > 0 && !self.restore(last) {
                self.make_up(self.in_samples(last).max(1));
            }
            self.stamp = first.stamp;
        }
    }

    /// Makes the packet before the next one out of that one, of so many units of the stream's clock.
    fn restore(&mut self, ticks: i64) -> bool {
        let samples = self.in_samples(ticks);
        let (Some((codec, decoder)), Some(next)) = (self.decoder.as_mut(), self.jitter.next()) else { return false };
        if next.codec != *codec || ticks < self.packet {
            return false;
        }
        let before = self.ready.len();
        self.ready.resize(before + samples, 0);
        let count = decoder.recover(&next.payload, self.ready.get_mut(before..).unwrap_or_default());
        self.ready.truncate(before + count);
        self.counts.restored += u64::from(count > 0);
        count > 0
    }

    /// Puts something in the place of samples that are missing.
    fn make_up(&mut self, samples: usize) {
        let ticks = self.in_ticks(samples);
        if self.made_up + ticks > self.jitter.in_ticks(MAX_CONCEALED_MS) {
            self.fall_silent();
            return;
        }
        self.made_up += ticks;
        self.stamp += ticks;
        self.counts.concealed += 1;
        let before = self.ready.len();
        let step = (self.decoded_at / STEPS_PER_S).max(1) as usize;
        let whole = samples.div_ceil(step) * step;
        self.ready.resize(before + whole, 0);
        let Some(sound) = self.ready.get_mut(before..) else { return };
        match (self.concealer.as_mut(), self.decoder.as_mut()) {
            (Some(concealer), _) => concealer.lost(sound.get_mut(..samples).unwrap_or_default()),
            (None, Some((_, decoder))) => {
                decoder.conceal(sound);
            }
            (None, None) => {}
        }
        self.ready.truncate(before + samples);
    }

    fn decode(&mut self) {
        let Some(slot) = self.jitter.take() else { return };
        let (codec, stamp) = (slot.codec, slot.stamp);
        if self.decoder.as_ref().is_none_or(|(known, _)| *known != codec) {
            // What is ready is at the rate of another codec.
            self.ready.clear();
            self.resampler = None;
            self.decoded_at = codec.coding_rate(self.rate);
            let decoder = codec.decoder_at(self.decoded_at);
            let alone = decoder.as_ref().is_none_or(|decoder| !decoder.restores());
            self.concealer = alone.then(|| Concealer::new(self.decoded_at));
            self.decoder = decoder.map(|decoder| (codec, decoder));
        }
        let Some((_, decoder)) = self.decoder.as_mut() else { return };
        let before = self.ready.len();
        let most = (u64::from(self.decoded_at) * u64::from(MAX_PACKET_MS) / 1_000) as usize;
        self.ready.resize(before + most, 0);
        let count = decoder.decode(&slot.payload, self.ready.get_mut(before..).unwrap_or_default());
        self.ready.truncate(before + count);
        if let (Some(concealer), Some(sound)) = (self.concealer.as_mut(), self.ready.get_mut(before..)) {
            concealer.good(sound);
        }
        self.packet = self.in_ticks(count);
        self.stamp = stamp + self.packet;
        self.made_up = 0;
    }

    /// Hands out a frame, or as much of it as there is; how much that was.
    fn give(&mut self, out: &mut [i16]) -> usize {
        let rate = self.decoded_at;
        let samples = self.samples_in(FRAME_MS).min(self.ready.len());
        if self.resampler.is_none() {
            self.resampler = Resampler::new(rate, self.rate).ok();
        }
        self.converted.clear();
        if let (Some(resampler), Some(frame)) = (self.resampler.as_mut(), self.ready.get(..samples)) {
            resampler.process(frame, &mut self.converted);
        }
        self.ready.drain(..samples);
        let count = self.converted.len().min(out.len());
        out[..count].copy_from_slice(&self.converted[..count]);
        count
    }
}

/// Brings samples to a multiple of their rate, as well as it goes without knowing what follows: a frame, once.
fn refine(samples: &mut Vec<i16>, from: u32, to: u32) {
    let times = (to / from.max(1)).max(1) as i32;
    let mut before = samples.first().copied().map_or(0, i32::from);
    let mut finer = Vec::with_capacity(samples.len() * times as usize);
    for sample in samples.iter().copied().map(i32::from) {
        // Between two samples.
        finer.extend((1..=times).map(|part| (before + (sample - before) * part / times) as i16));
        before = sample;
    }
    *samples = finer;
}

#[cfg(test)]
mod tests;
