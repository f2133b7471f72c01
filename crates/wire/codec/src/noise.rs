//! Comfort noise (RFC 3389): what a party that sends nothing in pauses says of its background instead.

/// The payload type of comfort noise beside audio whose RTP clock is 8 kHz (RFC 3551 section 6).
pub const COMFORT_NOISE: u8 = 13;

/// Most coefficients of a spectrum; further ones are left out.
pub const MAX_NOISE_ORDER: usize = 12;

/// The softest level that can be said, in dB below the loudest there is.
pub const SOFTEST_NOISE: u8 = 127;

/// Root of the mean square of uniform numbers from -1 to 1.
const UNIFORM: f32 = 0.577_350_3;

/// A background.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// How far below the loudest there is, in dB: 0 to [`SOFTEST_NOISE`].
    level: u8,
    /// How it is coloured: none for white.
    reflections: [f32; MAX_NOISE_ORDER],
    order: usize,
}

impl Noise {
    /// White noise of a level in dB below the loudest that there is, a square wave at full scale (dBov without its
    /// sign). What is softer than [`SOFTEST_NOISE`] has that level.
    #[must_use]
    pub fn white(level: u8) -> Self {
        Self { level: level.min(SOFTEST_NOISE), reflections: [0.0; MAX_NOISE_ORDER], order: 0 }
    }

    /// White noise as loud as these samples.
    #[must_use]
    pub fn as_loud_as(samples: &[i16]) -> Self {
        let square = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len().max(1) as f64;
        // Silence is less than any level, and a cast saturates.
        Self::white((-10.0 * (square / f64::from(i16::MAX).powi(2)).log10()).round() as u8)
    }

    /// Reads a payload. None where there is not even a level.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (level, coefficients) = payload.split_first()?;
        let mut noise = Self::white(level & 0x7f);
        for (place, byte) in noise.reflections.iter_mut().zip(coefficients) {
            // 255 means nothing; it is taken for the nearest that does.
            *place = (f32::from((*byte).min(254)) - 127.0) * 258.0 / 32_768.0;
            noise.order += 1;
        }
        Some(noise)
    }

    /// Writes a payload, as far as there is room, and returns its length.
    pub fn write(&self, out: &mut [u8]) -> usize {
        let coefficients = self.reflections.iter().take(self.order);
        let bytes = coefficients.map(|reflection| (reflection * 32_768.0 / 258.0).round() as i16 + 127);
        let mut count = 0;
        for (place, byte) in out.iter_mut().zip(std::iter::once(i16::from(self.level)).chain(bytes)) {
            // From 0 to 254, since a reflection is less than one.
            *place = byte as u8;
            count += 1;
        }
        count
    }

    /// How far below the loudest there is, in dB.
    #[must_use]
    pub fn level(&self) -> u8 {
        self.level
    }

    fn amplitude(&self) -> f32 {
        let all = f32::from(i16::MAX) * 10f32.powf(-f32::from(self.level) / 20.0);
        // The filter makes it louder by this much.
        let gain: f32 = self.reflections.iter().take(self.order).map(|k| 1.0 - k * k).product();
        all * gain.max(0.0).sqrt() / UNIFORM
    }
}

/// Makes noise.
#[derive(Debug, Clone)]
pub struct NoiseGenerator {
    random: u32,
    /// What each stage of the filter has sent back.
    back: [f32; MAX_NOISE_ORDER + 1],
    /// The amplitude that the last sample had.
    amplitude: Option<f32>,
}

impl NoiseGenerator {
    /// Makes other noise for every seed.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        // It never comes to 0, and must not begin there.
        Self { random: seed | 1, back: [0.0; MAX_NOISE_ORDER + 1], amplitude: None }
    }

    /// Fills a block with a background. Where that is of another level than before, it is reached within the block.
    pub fn fill(&mut self, noise: &Noise, out: &mut [i16]) {
        let to = noise.amplitude();
        let from = self.amplitude.replace(to).unwrap_or(to);
        let count = out.len() as f32;
        for (n, place) in out.iter_mut().enumerate() {
            let amplitude = from + (to - from) * (n + 1) as f32 / count;
            let mut forward = self.uniform() * amplitude;
            for stage in (0..noise.order).rev() {
                let reflection = noise.reflections[stage];
                forward -= reflection * self.back[stage];
                self.back[stage + 1] = self.back[stage] + reflection * forward;
            }
            self.back[0] = forward;
            // A float cast saturates.
            *place = forward as i16;
        }
    }

    /// From -1 to 1.
    fn uniform(&mut self) -> f32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random as i32 as f32 / 2_147_483_648.0
    }
}
