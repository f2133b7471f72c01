//! What the tests of the originals' behaviours share: a disk, and voices that are known sample by sample.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::sync::Arc;

use hookswitch_call::{
    Audience, CallId, MediaOp, MediaReport, Party, PlayEnd, PlayId, PlayNews, RecordNews, RecordOrder, RecordPlan,
    RecordingId, Sound, SoundKind, Soup,
};
use hookswitch_codec::g711::linear_from_ulaw;
use hookswitch_media::{FileError, FileId, FileOrder, FileReport, Written};
use hookswitch_rtp::{Header, is_rtcp};

use crate::stage::{Sent, Stage, at, parse};

/// A file that is recorded.
#[derive(Debug, Default)]
pub struct Tape {
    pub channels: u16,
    pub rate: u32,
    pub samples: Vec<i16>,
    pub is_finished: bool,
}

impl Tape {
    /// How long the file is, header included.
    pub fn bytes(&self) -> usize {
        44 + 2 * self.samples.len()
    }

    pub fn ms(&self) -> usize {
        self.samples.len() * 1_000 / (self.rate as usize * usize::from(self.channels))
    }

    /// What is on the left, and on the right.
    pub fn sides(&self) -> (Vec<i16>, Vec<i16>) {
        assert_eq!(self.channels, 2);
        self.samples.chunks(2).map(|pair| (pair[0], pair[1])).unzip()
    }
}

/// A sound that is read: its byte of µ-law, and how many samples there are still.
struct Reading {
    byte: u8,
    left: u64,
    rate: u64,
}

/// A disk that reads sounds, each of one byte of µ-law, keeps recordings, and can stand still.
#[derive(Default)]
pub struct Disk {
    sounds: BTreeMap<String, (u8, u64)>,
    reading: BTreeMap<FileId, Reading>,
    names: BTreeMap<FileId, String>,
    pub tapes: BTreeMap<String, Tape>,
    pub stands_still: bool,
    waiting: Vec<FileOrder>,
}

impl Disk {
    /// With a sound of so many milliseconds.
    pub fn with(mut self, name: &str, byte: u8, ms: u64) -> Self {
        self.sounds.insert(name.to_owned(), (byte, ms));
        self
    }

    /// Files that are open now.
    pub fn open_files(&self) -> usize {
        self.reading.len() + self.names.len()
    }

    /// Orders that a disk which stands still has not looked at.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Does what it was told, unless it stands still.
    pub fn serve(&mut self, stage: &mut Stage) {
        self.waiting.extend(std::iter::from_fn(|| stage.engine.poll_file()));
        if self.stands_still {
            return;
        }
        for order in std::mem::take(&mut self.waiting) {
            if let Some(report) = self.carry_out(order) {
                stage.engine.file_done(stage.now, report);
            }
        }
    }

    fn carry_out(&mut self, order: FileOrder) -> Option<FileReport> {
        match order {
            FileOrder::OpenSound { file, name, rate, from, .. } => {
                let Some((byte, ms)) = self.sounds.get(&*name).copied() else {
                    return Some(FileReport::SoundFailed { file, why: FileError::NotFound });
                };
                let left = ms.saturating_sub(from.as_millis() as u64) * u64::from(rate) / 1_000;
                self.reading.insert(file, Reading { byte, left, rate: rate.into() });
                Some(self.read(file))
            }
            FileOrder::ReadSound { file } => Some(self.read(file)),
            FileOrder::CloseSound { file } => {
                // It may have come to its end just then.
                self.reading.remove(&file);
                None
            }
            FileOrder::CreateRecording { file, name, channels, rate } => {
                self.names.insert(file, name.to_string());
                self.tapes.insert(name.to_string(), Tape { channels, rate, ..Tape::default() });
                Some(FileReport::RecordingOpen { file })
            }
            FileOrder::AppendRecording { file, at, samples } => {
                let tape = self.tapes.get_mut(&self.names[&file]).expect("a recording");
                assert_eq!(at * u64::from(tape.channels), tape.samples.len() as u64, "piece follows on piece");
                tape.samples.extend(samples);
                None
            }
            FileOrder::FinishRecording { file, length, .. } => {
                let name = self.names.remove(&file).expect("an open recording");
                let tape = self.tapes.get_mut(&name).expect("a recording");
                assert_eq!(length * u64::from(tape.channels), tape.samples.len() as u64);
                tape.is_finished = true;
                let path = Some(name.as_str().into());
                let written = Written { path, length, lost: 0, size: tape.bytes() as u64, failed: None };
                Some(FileReport::RecordingOver { file, written })
            }
        }
    }

    fn read(&mut self, file: FileId) -> FileReport {
        let reading = self.reading.get_mut(&file).expect("only what is open is read");
        let count = reading.left.min(reading.rate);
        reading.left -= count;
        let samples: Arc<[i16]> = vec![linear_from_ulaw(reading.byte); count as usize].into();
        let last = reading.left == 0;
        if last {
            self.reading.remove(&file);
        }
        FileReport::Sound { file, samples, last }
    }

    /// Lets time pass, a beat at a time; the audio that was sent meanwhile.
    pub fn run(&mut self, stage: &mut Stage, ms: u64) -> Vec<Sent> {
        let mut sent = Vec::new();
        self.serve(stage);
        for _ in 0..ms / 20 {
            sent.extend(stage.run(20).into_iter().filter(|packet| !is_rtcp(&packet.bytes)));
            self.serve(stage);
        }
        sent
    }
}

/// What was sent to one address.
pub fn sent_to<'s>(address: &str, sent: &'s [Sent]) -> Vec<&'s Sent> {
    sent.iter().filter(|packet| packet.to == at(address)).collect()
}

/// A packet of 20 ms that says one byte.
pub fn says(payload_type: u8, n: u16, ssrc: u32, byte: u8) -> Vec<u8> {
    let timestamp = u32::from(n).wrapping_mul(160);
    let header = Header { marker: false, payload_type, sequence: n, timestamp, ssrc };
    let mut packet = vec![byte; 172];
    packet[..12].copy_from_slice(&header.to_bytes());
    packet
}

/// The byte that a packet says all the time.
pub fn byte_of(packet: &[u8]) -> u8 {
    let payload = parse(packet).payload();
    assert!(payload.iter().all(|byte| *byte == payload[0]), "{payload:?}");
    payload[0]
}

pub fn file(name: &str) -> Sound {
    Sound::of(SoundKind::Wav, name)
}

pub fn soup(sounds: impl IntoIterator<Item = Sound>) -> Soup {
    Soup { sounds: sounds.into_iter().collect(), ..Soup::default() }
}

/// Has a soup played to a party of a call; what is told at once is news.
pub fn play(stage: &mut Stage, call: CallId, party: Party, play: PlayId, soup: Soup) {
    let (soup, to) = (Arc::new(soup), Audience::Party);
    let reports = stage.perform(MediaOp::Play { call, party, play, soup, to });
    assert!(reports.iter().all(|report| matches!(report, MediaReport::Played { .. })), "{reports:?}");
    stage.news.extend(reports);
}

/// How all that was played has ended: which, how, and after how many milliseconds.
pub fn plays_ended(stage: &mut Stage) -> Vec<(u32, PlayEnd, u128)> {
    let more = stage.reports();
    let all = std::mem::take(&mut stage.news).into_iter().chain(more);
    let ended = all.filter_map(|report| match report {
        MediaReport::Played { play, news: PlayNews::Ended(end), position, .. } => {
            Some((play.0, end, position.as_millis()))
        }
        other => {
            stage.news.push(other);
            None
        }
    });
    ended.collect()
}

pub fn record(stage: &mut Stage, call: CallId, party: Party, recording: u16, order: RecordOrder) {
    let recording = RecordingId(recording);
    let reports = stage.perform(MediaOp::Record { call, party, recording, order });
    assert!(reports.is_empty(), "{reports:?}");
}

pub fn begin(stage: &mut Stage, call: CallId, party: Party, recording: u16, plan: RecordPlan) {
    record(stage, call, party, recording, RecordOrder::Begin(Box::new(plan)));
}

/// What was told of recordings since the last time that somebody asked: of which, and what.
pub fn told_of_recordings(stage: &mut Stage) -> Vec<(u16, RecordNews)> {
    let others = stage.reports();
    let all = std::mem::take(&mut stage.news).into_iter().chain(others);
    let told = all.filter_map(|report| match report {
        MediaReport::Recorded { recording, news, .. } => Some((recording.0, news)),
        other => {
            stage.news.push(other);
            None
        }
    });
    told.collect()
}
