//! How a call sounds, as a number: the E-model of ITU-T G.107, from what the network has done to it.

use crate::codecs::Codec;

/// What is left of 100 with everything at its default but loss and delay (G.107 table 2 and annex A).
const BASIC_RATING: f32 = 93.2;

/// Up to here nobody minds the delay, in milliseconds from mouth to ear.
const UNNOTICED_MS: f32 = 100.0;

/// More makes no difference, in milliseconds.
const LONGEST_MS: f32 = 60_000.0;

/// What a codec does to a voice (G.113 appendix I).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Impairment {
    /// Without any loss: Ie, from 0 for PCM.
    pub codec: f32,
    /// How well it bears losses: Bpl, in percent of packets.
    pub robustness: f32,
}

/// Of each encoding: Ie and Bpl. Those of 64 kbit/s with what conceals losses; of Opus there are none
/// published, and wide bands count as what they are at least.
const IMPAIRMENTS: &[(&str, f32, f32)] = &[
    ("PCMU", 0.0, 25.1),
    ("PCMA", 0.0, 25.1),
    ("G722", 0.0, 25.1),
    ("L16", 0.0, 25.1),
    ("opus", 0.0, 25.1),
    ("iLBC", 12.0, 32.0),
    ("G729", 11.0, 19.0),
    ("AMR", 5.0, 10.0),
    ("AMR-WB", 5.0, 10.0),
];

impl Codec {
    /// What this format does to a voice.
    #[must_use]
    pub fn impairment(&self) -> Impairment {
        let row = IMPAIRMENTS.iter().find(|(name, _, _)| *name == self.name);
        row.map_or(Impairment { codec: 0.0, robustness: 25.1 }, |(_, codec, robustness)| Impairment {
            codec: *codec,
            robustness: *robustness,
        })
    }
}

/// What the network has done to one direction of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transmission {
    /// From mouth to ear, in milliseconds.
    pub delay_ms: f32,
    /// Packets that were not heard, in percent.
    pub loss_percent: f32,
    /// How much longer losses are in a row than they would be by chance; 1 by chance (BurstR).
    pub burst_ratio: f32,
}

/// The rating R, from 0 to 100: above 90 all are very satisfied, below 50 nearly all are not (G.107 annex B).
#[must_use]
pub fn rating(codec: Impairment, transmission: Transmission) -> f32 {
    let loss = transmission.loss_percent.clamp(0.0, 100.0);
    let burst = transmission.burst_ratio.max(1.0);
    let spoilt = codec.codec + (95.0 - codec.codec) * loss / (loss / burst + codec.robustness);
    (BASIC_RATING - delay_impairment(transmission.delay_ms) - spoilt).clamp(0.0, 100.0)
}

/// What the delay alone costs: Idd (G.107 equation 7-27).
fn delay_impairment(delay_ms: f32) -> f32 {
    let delay_ms = delay_ms.min(LONGEST_MS);
    if delay_ms <= UNNOTICED_MS {
        return 0.0;
    }
    let x = (delay_ms / UNNOTICED_MS).log2();
    let root = |x: f32| (1.0 + x.powi(6)).powf(1.0 / 6.0);
    25.0 * (root(x) - 3.0 * root(x / 3.0) + 2.0)
}

/// What listeners would say on the average, from 1 (bad) to 4.5 (as good as it gets), for a rating (G.107 annex B).
#[must_use]
pub fn opinion(rating: f32) -> f32 {
    let r = rating.clamp(0.0, 100.0);
    // The curve dips below 1 at its lower end.
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
}
