//! Between the phone's own audio, which has 8000 samples per second, and what the codec agreed makes of it.

use hookswitch_codec::{Codec, Decoder, Encoder, Resampler};

/// The phone's own rate, in Hz.
const RATE: u32 = 8_000;

/// Longest packet, in milliseconds: what is longer is cut.
const MAX_PACKET_MS: u32 = 200;

/// Makes packets of samples.
pub(crate) struct Encoding {
    codec: &'static Codec,
    resampler: Resampler,
    encoder: Encoder,
    samples: Vec<i16>,
    bytes: Vec<u8>,
}

impl Encoding {
    /// None for what is no audio, or has a rate that nothing leads to.
    pub(crate) fn new(codec: &'static Codec) -> Option<Self> {
        let rate = codec.coding_rate(RATE);
        let resampler = Resampler::new(RATE, rate).ok()?;
        let encoder = codec.encoder_at(rate, None)?;
        Some(Self { codec, resampler, encoder, samples: Vec::new(), bytes: Vec::new() })
    }

    pub(crate) fn is_of(&self, codec: &Codec) -> bool {
        self.codec == codec
    }

    pub(crate) fn encode(&mut self, samples: &[i16]) -> &[u8] {
        self.samples.clear();
        self.resampler.process(samples, &mut self.samples);
        self.bytes.resize(2 * self.samples.len(), 0);
        let length = self.encoder.encode(&self.samples, &mut self.bytes);
        &self.bytes[..length]
    }
}

/// Makes samples of packets.
pub(crate) struct Decoding {
    codec: &'static Codec,
    decoder: Decoder,
    resampler: Resampler,
    samples: Vec<i16>,
    out: Vec<i16>,
}

impl Decoding {
    /// None for what is no audio, or has a rate that nothing leads from.
    pub(crate) fn new(codec: &'static Codec) -> Option<Self> {
        let rate = codec.coding_rate(RATE);
        let resampler = Resampler::new(rate, RATE).ok()?;
        let samples = vec![0; (rate * MAX_PACKET_MS / 1_000) as usize];
        Some(Self { codec, decoder: codec.decoder_at(rate)?, resampler, samples, out: Vec::new() })
    }

    pub(crate) fn is_of(&self, codec: &Codec) -> bool {
        self.codec == codec
    }

    pub(crate) fn decode(&mut self, payload: &[u8]) -> &[i16] {
        let count = self.decoder.decode(payload, &mut self.samples);
        self.out.clear();
        self.resampler.process(&self.samples[..count], &mut self.out);
        &self.out
    }
}
