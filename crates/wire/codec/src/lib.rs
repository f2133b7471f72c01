//! Audio codecs as one table, tones, a meter that says what is heard, and WAV headers.
//!
//! * [`CODECS`] has one row per format we can name in a session description; adding a codec is adding
//!   a row. Negotiation and transcoding derive from it.
//! * [`g711`] is A-law and µ-law, [`g722`] 7 kHz of audio in as many bits, Opus everything else, by libopus where
//!   the feature `opus` is on; [`Encoder`] and [`Decoder`] are a stream of any of them.
//! * [`Resampler`] leads from one sample rate to another.
//! * [`Tone`] is a tone with its cadence, read from text such as `400+450*0.5/0:400/200`, and
//!   [`ToneGenerator`] plays it. [`NAMED_TONES`] has those that telephone networks use.
//! * [`Concealer`] makes up for what is lost, [`NoiseGenerator`] for what a party leaves out in pauses, and
//!   [`KeyListener`] hears keys in the sound.
//! * [`rating`] and [`opinion`] say how a call sounds, by the E-model.
//! * [`measure`] tells level and dominant frequency of a block of samples.
//! * [`wav`] reads and writes headers of WAV data, without files.

#![forbid(unsafe_code)]

mod codecs;
mod coder;
mod concealer;
mod emodel;
pub mod g711;
pub mod g722;
mod generator;
mod keys_heard;
mod meter;
mod named_tones;
mod noise;
#[cfg(feature = "opus")]
mod opus;
mod resampler;
mod sine;
mod table;
mod tone;
pub mod wav;

pub use codecs::{
    Codec, Coder, Framing, Kind, MAX_FRAME_SAMPLES, by_label, by_name, by_static_payload_type, comfort_noise,
    parameter, pcma, pcmu, telephone_event, telephone_event_at,
};
pub use coder::{Decoder, Encoder};
pub use concealer::Concealer;
pub use emodel::{Impairment, Transmission, opinion, rating};
pub use generator::ToneGenerator;
pub use keys_heard::{KeyListener, KeySound};
pub use meter::{DBM0_AT_FULL_SCALE, MAX_ANALYSED_SAMPLES, Measurement, SILENCE_DBFS, frequency_level, level, measure};
pub use named_tones::{NAMED_TONES, NamedTone};
pub use noise::{COMFORT_NOISE, MAX_NOISE_ORDER, Noise, NoiseGenerator, SOFTEST_NOISE};
pub use resampler::{FILE_RATES, RATES, RateError, Resampler};
pub use table::CODECS;
pub use tone::{
    Component, MAX_COMPONENTS, MAX_FREQUENCY_HZ, MAX_SEGMENT_MS, MAX_SEGMENTS, MAX_TONE_TEXT, Segment, Tone, ToneError,
};
