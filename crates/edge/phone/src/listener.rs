//! The receiving half of a phone's media: what was heard, and how it arrived.

use core::time::Duration;
use std::net::SocketAddr;

use hookswitch_codec::{SILENCE_DBFS, measure};
use hookswitch_media::Negotiated;
use hookswitch_media::negotiate::Content;
use hookswitch_rtp::{Arrival, EventReceiver, EventReport, Packet, SequenceTracker, TelephoneEvent};
use hookswitch_sip::Time;

use crate::coding::Decoding;
use crate::talker::FRAME_SAMPLES;

/// How much audio one [`Heard`] describes.
pub const BLOCK: Duration = Duration::from_millis(200);

/// Most audio that is kept for one recording; what comes later is not.
pub const MAX_RECORDING: Duration = Duration::from_secs(3600);

/// Samples per block at 8 kHz.
const BLOCK_SAMPLES: usize = 1600;

const MAX_RECORDED_SAMPLES: usize = 8000 * MAX_RECORDING.as_secs() as usize;

/// Longest gap that is filled with silence, in packets; behind a longer one the recording is shorter than the call.
const MAX_FILL: u16 = 50;

/// What 200 ms of audio sounded like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    /// The strongest frequency from 200 to 3600 Hz, in Hz; `None` when silent.
    pub frequency: Option<f32>,
    /// Level of everything, in dBFS.
    pub level_dbfs: f32,
    /// Which part of the power is at that frequency, from 0 to 1.
    pub purity: f32,
}

impl Heard {
    /// Whether this is a tone of that frequency (within 2 %, at least 8 Hz) at no less than that level.
    #[must_use]
    pub fn is_tone(&self, hz: f32, at_least_dbfs: f32) -> bool {
        let near = self.frequency.is_some_and(|heard| (heard - hz).abs() <= (hz * 0.02).max(8.0));
        near && self.level_dbfs >= at_least_dbfs && self.purity >= 0.5
    }
}

/// Counts of one call's media.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MediaStats {
    /// RTP packets sent.
    pub sent: u64,
    /// RTP packets received, doubles not counted.
    pub received: u64,
    /// RTP packets of the other side that never arrived.
    pub lost: u64,
    /// RTP packets that arrived twice.
    pub duplicates: u64,
    /// Packets that are no RTP or of no agreed format.
    pub invalid: u64,
    /// Packets from another address than the one agreed; they are heard all the same.
    pub strangers: u64,
    /// Interarrival jitter (RFC 3550 6.4.1) at the end.
    pub jitter: Duration,
}

/// What a packet made known.
pub(crate) enum Sounded {
    /// The next 200 ms.
    Block(Heard),
    /// The other side has pressed a key.
    Key(char),
}

/// Receives the packets of one call.
pub(crate) struct Listener {
    coding: Option<Decoding>,
    tracker: SequenceTracker,
    ssrc: Option<u32>,
    block: Vec<i16>,
    recording: Option<Vec<i16>>,
    keys: EventReceiver,
    /// Of sources that were replaced by another.
    before: MediaStats,
    invalid: u64,
    strangers: u64,
}

impl Listener {
    pub(crate) fn new(record: bool) -> Listener {
        Listener {
            coding: None,
            tracker: SequenceTracker::new(8000),
            ssrc: None,
            block: Vec::with_capacity(BLOCK_SAMPLES),
            recording: record.then(Vec::new),
            keys: EventReceiver::new(),
            before: MediaStats::default(),
            invalid: 0,
            strangers: 0,
        }
    }

    /// Takes a packet; `heard` is told of each block that it completes and of each key.
    pub(crate) fn packet(
        &mut self,
        now: Time,
        from: SocketAddr,
        bytes: &[u8],
        session: &Negotiated,
        mut heard: impl FnMut(Sounded),
    ) {
        let Ok(packet) = Packet::parse(bytes) else {
            self.invalid += 1;
            return;
        };
        match session.content(packet.payload_type()) {
            Some(Content::Audio) => {}
            // Silence, near enough.
            Some(Content::Noise) => {
                self.tracker.sequence_only(packet.sequence());
                return;
            }
            Some(Content::Event) => {
                self.tracker.sequence_only(packet.sequence());
                self.key(now, &packet, &mut heard);
                return;
            }
            None => {
                self.invalid += 1;
                return;
            }
        }
        self.strangers += u64::from(session.rtp.is_some_and(|expected| expected != from));
        self.follow(packet.ssrc());
        let missing = match self.tracker.packet(now, packet.sequence(), packet.timestamp()) {
            Arrival::First => 0,
            Arrival::InOrder { missing } => missing,
            // Too late to be put where it belongs.
            Arrival::Late | Arrival::Duplicate | Arrival::Stray => return,
        };
        for _ in 0..missing.min(MAX_FILL) {
            self.hear(&[0; FRAME_SAMPLES], &mut heard);
        }
        let kept = self.coding.take().filter(|coding| coding.is_of(session.codec));
        let Some(mut coding) = kept.or_else(|| Decoding::new(session.codec)) else {
            return;
        };
        self.hear(coding.decode(packet.payload()), &mut heard);
        self.coding = Some(coding);
    }

    /// A key counts when it is pressed; how long it is held is no news.
    fn key(&mut self, now: Time, packet: &Packet<'_>, heard: &mut impl FnMut(Sounded)) {
        let Some(payload) = TelephoneEvent::parse(packet.payload()) else {
            self.invalid += 1;
            return;
        };
        for report in self.keys.packet(now, packet.marker(), packet.timestamp(), payload).iter() {
            if let EventReport::Started { event, .. } = report
                && let Some(digit) = TelephoneEvent::digit_of(event)
            {
                heard(Sounded::Key(digit));
            }
        }
    }

    /// Another SSRC is another source, whose numbers have nothing to do with those before (RFC 3550 5.1).
    fn follow(&mut self, ssrc: u32) {
        if self.ssrc == Some(ssrc) {
            return;
        }
        if self.ssrc.replace(ssrc).is_some() {
            self.before = self.counts();
            self.tracker = SequenceTracker::new(8000);
            self.coding = None;
        }
    }

    fn hear(&mut self, mut samples: &[i16], heard: &mut impl FnMut(Sounded)) {
        if let Some(recording) = &mut self.recording {
            let room = MAX_RECORDED_SAMPLES.saturating_sub(recording.len());
            recording.extend_from_slice(&samples[..samples.len().min(room)]);
        }
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(BLOCK_SAMPLES - self.block.len()));
            self.block.extend_from_slice(now);
            samples = later;
            if self.block.len() == BLOCK_SAMPLES {
                heard(Sounded::Block(describe(&self.block)));
                self.block.clear();
            }
        }
    }

    fn counts(&self) -> MediaStats {
        MediaStats {
            sent: 0,
            received: self.before.received + self.tracker.received(),
            lost: self.before.lost + self.tracker.lost(),
            duplicates: self.before.duplicates + self.tracker.duplicates(),
            invalid: self.invalid,
            strangers: self.strangers,
            jitter: self.tracker.jitter_time(),
        }
    }

    pub(crate) fn stats(&self, sent: u64) -> MediaStats {
        MediaStats { sent, ..self.counts() }
    }

    pub(crate) fn take_recording(&mut self) -> Option<Vec<i16>> {
        self.recording.as_mut().map(core::mem::take)
    }
}

fn describe(block: &[i16]) -> Heard {
    let measured = measure(block, 8000);
    Heard {
        frequency: measured.dominant_hz.filter(|_| measured.level_dbfs > SILENCE_DBFS),
        level_dbfs: measured.level_dbfs,
        purity: measured.purity,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_has_an_end_and_hearing_has_none() {
        let mut listener = Listener::new(true);
        listener.recording = Some(vec![0; MAX_RECORDED_SAMPLES - 100]);
        let mut blocks = 0;
        for _ in 0..20 {
            listener.hear(&[1000; FRAME_SAMPLES], &mut |_| blocks += 1);
        }
        assert_eq!(listener.take_recording().unwrap().len(), MAX_RECORDED_SAMPLES);
        assert_eq!(blocks, 2);
    }
}
