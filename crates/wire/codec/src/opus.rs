//! Opus (RFC 6716, in RTP RFC 7587), by libopus: one channel, at any of four rates.
//!
//! The RTP clock is 48 kHz whatever the coder's rate. Coding at the rate of the audio at hand costs a third
//! of coding at 48 kHz, and saves the change of the rate.

use ::opus::{Application, Bitrate, Channels};

use crate::codecs::parameter;

/// How much work the encoder does, from 0 to 10: what is beyond 5 costs much and is hardly heard.
const COMPLEXITY: i32 = 5;

/// Least that a receiver may ask for, in bits per second (RFC 7587 section 6.1).
const MIN_BITRATE: i32 = 6_000;

/// The parts of a second in which samples are counted.
const STEPS_PER_SECOND: u32 = 400;

/// Longest packet, in milliseconds.
const MAX_PACKET_MS: u32 = 120;

/// Packets of so few bytes say that there is nothing to say.
const DTX_LEN: usize = 2;

/// Makes Opus packets.
#[derive(Debug)]
pub struct Encoder {
    coder: ::opus::Encoder,
    /// The receiver knows that silence is not sent.
    dtx: bool,
    /// It makes use of what is sent twice.
    fec: bool,
}

impl Encoder {
    /// An encoder for samples at a rate in Hz. Of the receiver's format parameters it heeds `useinbandfec`,
    /// `usedtx` and `maxaveragebitrate`. Without parameters nothing is sent twice or left out.
    pub(crate) fn new(rate: u32, theirs: Option<&str>) -> Option<Self> {
        let flag = |name| parameter(theirs, name) == Some("1");
        let (fec, dtx) = (flag("useinbandfec"), flag("usedtx"));
        // What speech takes to sound well (RFC 7587 section 3.1.1).
        let usual = match rate {
            0..=8_000 => 16_000,
            8_001..=16_000 => 24_000,
            16_001..=24_000 => 28_000,
            _ => 32_000,
        };
        let most = parameter(theirs, "maxaveragebitrate").and_then(|text| text.parse().ok()).unwrap_or(usual);
        let mut coder = ::opus::Encoder::new(rate, Channels::Mono, Application::Voip).ok()?;
        coder.set_complexity(COMPLEXITY).ok()?;
        coder.set_bitrate(Bitrate::Bits(usual.min(most).max(MIN_BITRATE))).ok()?;
        coder.set_inband_fec(fec).ok()?;
        coder.set_dtx(dtx).ok()?;
        Some(Self { coder, dtx, fec })
    }

    pub(crate) fn expect_loss(&mut self, percent: u8) {
        let percent = if self.fec { percent.min(100) } else { 0 };
        // Any number up to a hundred is taken.
        let _ = self.coder.set_packet_loss_perc(percent.into());
    }

    pub(crate) fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        match self.coder.encode(samples, out) {
            Ok(length) if self.dtx && length <= DTX_LEN => 0,
            Ok(length) => length,
            // A number of samples that is no packet, or no room.
            Err(_) => 0,
        }
    }
}

/// Reads Opus packets.
#[derive(Debug)]
pub struct Decoder {
    coder: ::opus::Decoder,
    rate: u32,
}

impl Decoder {
    pub(crate) fn new(rate: u32) -> Option<Self> {
        let coder = ::opus::Decoder::new(rate, Channels::Mono).ok()?;
        Some(Self { coder, rate })
    }

    pub(crate) fn decode(&mut self, bytes: &[u8], out: &mut [i16]) -> usize {
        // To libopus a packet without bytes is a lost one.
        if bytes.is_empty() {
            return 0;
        }
        self.coder.decode(bytes, out, false).unwrap_or(0)
    }

    pub(crate) fn conceal(&mut self, out: &mut [i16]) -> usize {
        let count = self.whole_steps(out.len());
        match out.get_mut(..count) {
            Some(out) if count > 0 => self.coder.decode(&[], out, false).unwrap_or(0),
            _ => 0,
        }
    }

    pub(crate) fn recover(&mut self, next: &[u8], out: &mut [i16]) -> usize {
        let count = self.whole_steps(out.len());
        match out.get_mut(..count) {
            Some(out) if count > 0 && !next.is_empty() => match self.coder.decode(next, out, true) {
                Ok(count) => count,
                Err(_) => self.conceal(out),
            },
            _ => self.conceal(out),
        }
    }

    fn whole_steps(&self, samples: usize) -> usize {
        let step = (self.rate / STEPS_PER_SECOND) as usize;
        let most = (self.rate * MAX_PACKET_MS / 1_000) as usize;
        samples.min(most) / step.max(1) * step.max(1)
    }
}
