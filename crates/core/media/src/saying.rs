//! Samples on their way to one party: to the rate of its codec, and into its payload.

use hookswitch_codec::{Codec, Encoder, Resampler};

/// What one listener's codec remembers of what it was sent, and the way from the rate of the samples to its own.
#[derive(Debug)]
pub(crate) struct Saying {
    codec: &'static Codec,
    rate: u32,
    encoder: Encoder,
    /// None where the samples have the codec's rate already.
    resampler: Option<Resampler>,
    resampled: Vec<i16>,
}

impl Saying {
    /// For samples of this rate, in Hz. None where nothing leads from there to the codec, or nothing makes its packets.
    pub fn new(codec: &'static Codec, rate: u32) -> Option<Self> {
        Self::with(codec, rate, None)
    }

    /// The same for a listener that has given these format parameters.
    pub fn with(codec: &'static Codec, rate: u32, parameters: Option<&str>) -> Option<Self> {
        let coded_at = codec.coding_rate(rate);
        let encoder = codec.encoder_at(coded_at, parameters)?;
        let resampler = match rate == coded_at {
            true => None,
            false => Some(Resampler::new(rate, coded_at).ok()?),
        };
        Some(Self { codec, rate, encoder, resampler, resampled: Vec::new() })
    }

    /// Whether it is for samples of this rate in this codec.
    pub fn is_for(&self, codec: &Codec, rate: u32) -> bool {
        self.rate == rate && self.codec == codec
    }

    /// Encodes the next samples and returns how many bytes that made: of a whole frame, so many milliseconds that
    /// both rates have whole samples in them, all. What the payload has no room for is lost. 0 means that nothing has to
    /// be sent: there is silence, and the receiver makes its own.
    pub fn say(&mut self, samples: &[i16], payload: &mut [u8]) -> usize {
        let Some(resampler) = &mut self.resampler else {
            return self.encoder.encode(samples, payload);
        };
        self.resampled.clear();
        resampler.process(samples, &mut self.resampled);
        self.encoder.encode(&self.resampled, payload)
    }

    /// The receiver loses so many of a hundred packets.
    pub fn expect_loss(&mut self, percent: u8) {
        self.encoder.expect_loss(percent);
    }

    /// Whether a packet is made without a view to those before it.
    pub fn is_without_memory(&self) -> bool {
        self.resampler.is_none() && matches!(self.encoder, Encoder::PerSample(_) | Encoder::L16)
    }
}
