//! Codecs, one file for each, in one program.

mod codecs_table;
mod concealer;
mod emodel;
mod g711;
mod g722;
mod g722_narrow;
mod keys_heard;
mod meter;
mod noise;
mod opus;
mod resampler;
mod tones;
mod wav_headers;
