//! What a party says before its recording begins: while something is played to it.
//!
//! ```text
//!   what is played ──────────────────────────────┐ over, or the party speaks: barge-in
//!   what the party says ──▶ kept, the last of it ─┴──▶ at the beginning of the recording
//! ```

use std::collections::VecDeque;

use hookswitch_call::{AfterPlay, BargeIn, MAX_KEPT_SAMPLES, PlayEnd, PlayId};
use hookswitch_codec::{Codec, Decoder, MAX_FRAME_SAMPLES};
use hookswitch_rtp::Packet;

use crate::config::FRAME_MS;
use crate::power::Meter;
use crate::sounds::samples_in;

/// The rate that a party is listened to at, in Hz, where its codec can be decoded to that.
const EAR_RATE: u32 = 8_000;

/// A recording that waits for the end of something.
#[derive(Debug)]
pub(crate) struct Prelude {
    play: PlayId,
    /// Why that is over.
    end: Option<PlayEnd>,
    ear: Option<Ear>,
    /// Most samples of each channel that are kept.
    most: usize,
    channels: usize,
    kept: VecDeque<i16>,
}

/// Who listens whether the party speaks.
#[derive(Debug)]
struct Ear {
    than: BargeIn,
    voice: Option<(&'static Codec, Decoder, Meter, usize)>,
    heard: bool,
}

impl Prelude {
    pub fn new(after: AfterPlay, rate: u32, channels: u16) -> Self {
        let ear = after.barge_in.map(|than| Ear { than, voice: None, heard: false });
        let most = usize::try_from(samples_in(after.keep, rate)).unwrap_or(usize::MAX).min(MAX_KEPT_SAMPLES);
        Self { play: after.play, end: None, ear, most, channels: channels.into(), kept: VecDeque::new() }
    }

    /// Most samples of each channel that are kept.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Something that was played is over; whether this has waited for it.
    pub fn play_over(&mut self, play: PlayId, end: PlayEnd) -> bool {
        let is_it = self.play == play && self.end.is_none();
        if is_it {
            self.end = Some(end);
        }
        is_it
    }

    /// Why what was played is over.
    pub fn end(&self) -> Option<PlayEnd> {
        self.end
    }

    /// Listens to a packet of the party; what is to be interrupted, if that has just become loud enough.
    pub fn hear(&mut self, codec: &'static Codec, packet: &[u8]) -> Option<PlayId> {
        let ear = self.ear.as_mut().filter(|ear| !ear.heard)?;
        let rtp = Packet::parse(packet).ok()?;
        ear.heard = ear.is_loud(codec, rtp.payload());
        ear.heard.then_some(self.play)
    }

    /// Keeps what was said, as it stands in the file.
    pub fn keep(&mut self, samples: &[i16]) {
        self.kept.extend(samples);
        self.keep_last(self.most);
    }

    /// Forgets all but so many of the last samples of each channel.
    pub fn keep_last(&mut self, samples: usize) {
        let too_many = self.kept.len().saturating_sub(samples * self.channels);
        self.kept.drain(..too_many);
    }

    /// What was kept.
    pub fn into_samples(self) -> Vec<i16> {
        self.kept.into()
    }
}

impl Ear {
    fn is_loud(&mut self, codec: &'static Codec, payload: &[u8]) -> bool {
        if self.voice.as_ref().is_none_or(|(known, ..)| *known != codec) {
            let rate = codec.coding_rate(EAR_RATE);
            self.voice = codec.decoder_at(rate).map(|decoder| {
                let frame = (rate * FRAME_MS / 1_000) as usize;
                (codec, decoder, Meter::new(self.than.average, rate), frame)
            });
        }
        let Some((_, decoder, meter, frame)) = &mut self.voice else { return false };
        let mut block = [0; MAX_FRAME_SAMPLES];
        let count = decoder.decode(payload, &mut block);
        let samples = block.get(..count).unwrap_or_default();
        samples.chunks((*frame).max(1)).any(|frame| meter.hear(frame) > f32::from(self.than.above))
    }
}
