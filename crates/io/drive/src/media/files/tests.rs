use std::f32::consts::TAU;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use hookswitch_call::SoundKind;
use hookswitch_codec::wav::{Encoding, WavFormat, encode_pcm};
use hookswitch_codec::{g711, g722, measure};
use hookswitch_media::{FileError, FileId, FileOrder, FileReport};
use tempfile::TempDir;

use super::*;

/// Longest wait for the thread.
const PATIENCE: Duration = Duration::from_secs(20);

struct Stage {
    folder: TempDir,
    thread: FileThread,
    reports: Receiver<FileReport>,
    files: u32,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sounds = vec!["/nowhere/at/all".into(), folder.path().to_owned()];
        let config = FilesConfig { sounds, ..FilesConfig::default() };
        let (sender, reports) = channel();
        let sink: FileSink = Arc::new(move |report| drop(sender.send(report)));
        Self { folder, thread: FileThread::start(0, &config, None, sink).unwrap(), reports, files: 0 }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn order(&self, order: FileOrder) {
        self.thread.queue().unwrap().order(order).unwrap();
    }

    fn report(&self) -> FileReport {
        self.reports.recv_timeout(PATIENCE).unwrap()
    }

    fn open(&mut self, kind: SoundKind, name: &str, rate: u32, from_ms: u64) -> FileId {
        self.files += 1;
        let file = FileId { owner: 0, serial: self.files };
        self.order(FileOrder::OpenSound { file, kind, name: name.into(), rate, from: Duration::from_millis(from_ms) });
        file
    }

    /// All of a sound from a place on, and the lengths of the pieces that it came in.
    fn read(&mut self, (kind, name): (SoundKind, &str), rate: u32, from_ms: u64) -> (Vec<i16>, Vec<usize>) {
        let file = self.open(kind, name, rate, from_ms);
        let (mut all, mut pieces) = (Vec::new(), Vec::new());
        loop {
            match self.report() {
                FileReport::Sound { file: named, samples, last } => {
                    assert_eq!(named, file);
                    all.extend_from_slice(&samples);
                    pieces.push(samples.len());
                    if last {
                        return (all, pieces);
                    }
                    self.order(FileOrder::ReadSound { file });
                }
                FileReport::SoundFailed { why, .. } => panic!("{name}: {why}"),
                other => panic!("{name} is played: {other:?}"),
            }
        }
    }

    fn failure(&mut self, name: &str) -> FileError {
        self.open(SoundKind::Wav, name, 8_000, 0);
        match self.report() {
            FileReport::SoundFailed { why, .. } => why,
            other => panic!("{name} cannot be played: {other:?}"),
        }
    }
}

fn tone(hz: f32, rate: u32, ms: u32) -> Vec<i16> {
    let count = rate * ms / 1_000;
    (0..count).map(|n| ((TAU * hz * n as f32 / rate as f32).sin() * 10_000.0) as i16).collect()
}

fn wav(path: &Path, format: WavFormat, data: &[u8]) {
    let mut file = vec![0; format.header_len()];
    format.write_header(u32::try_from(data.len()).unwrap(), &mut file).unwrap();
    file.extend_from_slice(data);
    fs::write(path, file).unwrap();
}

fn pcm(samples: &[i16]) -> Vec<u8> {
    let mut bytes = vec![0; 2 * samples.len()];
    encode_pcm(samples, &mut bytes);
    bytes
}

const WAV: SoundKind = SoundKind::Wav;

#[test]
fn a_wav_comes_sample_by_sample_a_second_at_a_time_and_from_any_place() {
    let mut stage = Stage::new();
    let samples = tone(440.0, 8_000, 2_300);
    wav(&stage.path("a.wav"), WavFormat::mono_pcm(8_000), &pcm(&samples));
    assert_eq!(stage.read((WAV, "a.wav"), 8_000, 0), (samples.clone(), vec![8_000, 8_000, 2_400]));
    assert_eq!(stage.read((WAV, "a.wav"), 8_000, 2_000).0, samples[16_000..]);
    assert_eq!(stage.read((WAV, "a.wav"), 8_000, 90_000).0, [0; 0], "beyond its end there is nothing");
}

#[test]
fn other_rates_are_converted_without_a_shift() {
    let mut stage = Stage::new();
    let rates = [(16_000, 8_000), (48_000, 8_000), (8_000, 16_000), (24_000, 16_000), (8_000, 48_000)];
    for (own, wanted) in rates.into_iter().chain([(44_100, 8_000), (22_050, 16_000), (11_025, 48_000), (32_000, 8_000)])
    {
        wav(&stage.path("a.wav"), WavFormat::mono_pcm(own), &pcm(&tone(440.0, own, 1_500)));
        let (heard, _) = stage.read((WAV, "a.wav"), wanted, 0);
        let expected = tone(440.0, wanted, 1_500);
        // A second and a half of 11,025 Hz has half a sample.
        let few = if own % 8_000 == 0 { 0 } else { 4 };
        assert!(heard.len().abs_diff(expected.len()) <= few, "{own} to {wanted}: {}", heard.len());
        let middle = 200..expected.len() - 200;
        let worst = heard[middle.clone()].iter().zip(&expected[middle]).map(|(a, b)| (a - b).abs()).max();
        // Rates with little in common meet between two samples: within one of them it is the same sound.
        let within = if own % 8_000 == 0 { 300 } else { (TAU * 440.0 / wanted as f32 * 10_000.0) as i16 };
        assert!(worst < Some(within), "{own} to {wanted}: {worst:?}");
    }
}

#[test]
fn g711_and_two_channels_are_read() {
    let mut stage = Stage::new();
    let samples = tone(440.0, 8_000, 500);
    let (mut ulaw, mut alaw) = (vec![0; samples.len()], vec![0; samples.len()]);
    g711::encode_ulaw(&samples, &mut ulaw);
    g711::encode_alaw(&samples, &mut alaw);
    let g711 = |encoding| WavFormat { encoding, channels: 1, sample_rate: 8_000 };
    wav(&stage.path("u.wav"), g711(Encoding::Ulaw), &ulaw);
    wav(&stage.path("a.wav"), g711(Encoding::Alaw), &alaw);
    fs::write(stage.path("raw.bin"), &ulaw).unwrap();
    fs::write(stage.path("raw.alaw"), &alaw).unwrap();
    let heard = stage.read((WAV, "u.wav"), 8_000, 0).0;
    assert!(heard.iter().zip(&samples).all(|(a, b)| (a - b).abs() < 400));
    assert_eq!(stage.read((SoundKind::Pcmu, "raw.bin"), 8_000, 0).0, heard, "a file without a header");
    assert_eq!(stage.read((SoundKind::Pcma, "u.wav"), 8_000, 0).0, heard, "the header knows better");
    assert_eq!(stage.read((WAV, "raw.alaw"), 8_000, 0).0, stage.read((WAV, "a.wav"), 8_000, 0).0, "its name tells");
    let both: Vec<i16> = samples.iter().flat_map(|sample| [*sample, 0]).collect();
    let stereo = WavFormat { channels: 2, ..WavFormat::mono_pcm(8_000) };
    wav(&stage.path("stereo.wav"), stereo, &pcm(&both));
    let halves: Vec<i16> = samples.iter().map(|sample| sample / 2).collect();
    assert_eq!(stage.read((WAV, "stereo.wav"), 8_000, 0).0, halves);
}

#[test]
fn samples_without_a_header_and_g722_are_read() {
    let mut stage = Stage::new();
    let wide = tone(440.0, 16_000, 1_200);
    let mut coded = vec![0; wide.len() / 2];
    g722::Encoder::default().encode(&wide, &mut coded);
    fs::write(stage.path("a.g722"), &coded).unwrap();
    fs::write(stage.path("a.sln16"), pcm(&wide)).unwrap();
    fs::write(stage.path("a.raw"), pcm(&tone(440.0, 8_000, 1_200))).unwrap();
    assert_eq!(stage.read((WAV, "a.sln16"), 16_000, 0).0, wide);
    assert_eq!(stage.read((SoundKind::L1616k, "a.sln16"), 16_000, 0).0, wide);
    assert_eq!(stage.read((SoundKind::L168k, "a.raw"), 8_000, 0).0, tone(440.0, 8_000, 1_200));
    for (kind, from) in [(WAV, 0), (SoundKind::G722, 0), (SoundKind::G722, 500)] {
        let (heard, _) = stage.read((kind, "a.g722"), 16_000, from);
        assert_eq!(heard.len() as u64, 16 * (1_200 - from));
        let hz = measure(&heard[1_600..], 16_000).dominant_hz.unwrap();
        assert!((hz - 440.0).abs() < 2.0, "{hz}");
    }
}

#[test]
fn a_header_may_be_long_and_a_file_cut_off() {
    let mut stage = Stage::new();
    let samples = tone(440.0, 8_000, 300);
    let mut file = vec![0; 44];
    WavFormat::mono_pcm(8_000).write_header(u32::MAX, &mut file).unwrap();
    let title = [&b"LIST"[..], &20_000u32.to_le_bytes(), &vec![b' '; 20_000]].concat();
    file.splice(36..36, title);
    file.extend_from_slice(&pcm(&samples));
    fs::write(stage.path("long.wav"), &file).unwrap();
    assert_eq!(stage.read((WAV, "long.wav"), 8_000, 0).0, samples);
    fs::write(stage.path("cut.wav"), &file[..100]).unwrap();
    assert!(matches!(stage.failure("cut.wav"), FileError::Format(_)));
    fs::write(stage.path("text.txt"), "hello").unwrap();
    assert_eq!(stage.failure("text.txt"), FileError::Format("not a RIFF/WAVE file".into()));
    let endless = [&b"RIFF\0\0\0\0WAVE"[..], &b"LIST\xff\xff\xff\x7f"[..], &vec![0; 8_000]].concat();
    fs::write(stage.path("endless.wav"), endless).unwrap();
    assert!(matches!(stage.failure("endless.wav"), FileError::Format(_)));
    wav(&stage.path("odd.wav"), WavFormat::mono_pcm(11_027), &[0; 100]);
    assert!(matches!(stage.failure("odd.wav"), FileError::Format(why) if why.contains("11027")));
}

/// A WAV whose header is written out: chunks before the format, its format chunk, and what it says of its data.
fn odd_wav(before: &[u8], format: &[u8], (said, data): (u32, &[u8])) -> Vec<u8> {
    let format_len = (format.len() as u32).to_le_bytes();
    let riff = [&b"RIFF\xff\xff\xff\xffWAVE"[..], before, b"fmt ", &format_len, format].concat();
    [&riff[..], b"data", &said.to_le_bytes(), data].concat()
}

#[test]
fn headers_that_other_programs_write_are_read() {
    let mut stage = Stage::new();
    let samples = tone(440.0, 16_000, 200);
    let data = pcm(&samples);
    let plain = b"\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0";
    let guid = b"\x01\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71";
    let extensible = [&b"\xfe\xff"[..], &plain[2..], b"\x16\0\x10\0\x04\0\0\0", guid].concat();
    let len = data.len() as u32;
    for (name, file) in [
        ("extensible", odd_wav(b"", &extensible, (len, &data))),
        ("never finished", odd_wav(b"", plain, (0, &data))),
        ("streamed", odd_wav(b"", plain, (u32::MAX, &data))),
        ("says more than there is", odd_wav(b"", plain, (len + 1_000, &data))),
        (
            "an odd chunk, and a text behind",
            odd_wav(b"JUNK\x03\0\0\0abc\0", plain, (len, &[&data[..], b"LISTabcd"].concat())),
        ),
        ("a format chunk with room to spare", odd_wav(b"", &[&plain[..], &[0; 6]].concat(), (len, &data))),
    ] {
        fs::write(stage.path("a.wav"), &file).unwrap();
        assert_eq!(stage.read((WAV, "a.wav"), 16_000, 0).0, samples, "{name}");
        assert_eq!(stage.read((WAV, "a.wav"), 16_000, 150).0, samples[2_400..], "{name}");
    }
    // Half a sample at the end is none.
    fs::write(stage.path("a.wav"), odd_wav(b"", plain, (u32::MAX, &data[..101]))).unwrap();
    assert_eq!(stage.read((WAV, "a.wav"), 16_000, 0).0, samples[..50]);
    for (name, file) in [
        ("32 bits", odd_wav(b"", &[&plain[..14], b"\x20\0"].concat(), (len, &data))),
        ("six channels", odd_wav(b"", &[&b"\x01\0\x06\0"[..], &plain[4..]].concat(), (len, &data))),
        ("no format", [&b"RIFF\0\0\0\0WAVEdata"[..], &len.to_le_bytes(), &data].concat()),
        ("nothing behind its name", b"RIFF\0\0\0\0WAVE".to_vec()),
    ] {
        fs::write(stage.path("bad.wav"), file).unwrap();
        let failure = stage.failure("bad.wav");
        assert!(matches!(failure, FileError::Format(_)), "{name}: {failure:?}");
    }
}

#[test]
fn a_file_of_gigabytes_is_read_a_second_at_a_time_from_wherever_it_is_wanted() {
    let mut stage = Stage::new();
    wav(&stage.path("huge.wav"), WavFormat::mono_pcm(8_000), &[]);
    let file = fs::OpenOptions::new().write(true).open(stage.path("huge.wav")).unwrap();
    // Three gigabytes of nothing, none of them on the disk, of a length that its header does not know.
    file.set_len(3_000_000_000).unwrap();
    let all_but_a_bit = u64::from(3_000_000_000_u32 - 44) / 16 - 100;
    assert_eq!(stage.read((WAV, "huge.wav"), 8_000, all_but_a_bit).0.len(), 100 * 8 + 2);
    let file = stage.open(WAV, "huge.wav", 8_000, 0);
    assert!(matches!(stage.report(), FileReport::Sound { last: false, samples, .. } if samples.len() == 8_000));
    stage.order(FileOrder::CloseSound { file });
}

#[test]
fn nothing_is_read_but_files_below_the_folders() {
    let mut stage = Stage::new();
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret.wav");
    wav(&secret, WavFormat::mono_pcm(8_000), &[0; 100]);
    fs::create_dir(stage.path("de")).unwrap();
    wav(&stage.path("de/hello.wav"), WavFormat::mono_pcm(8_000), &pcm(&[5; 80]));
    symlink(stage.path("de"), stage.path("fr")).unwrap();
    symlink(&secret, stage.path("link.wav")).unwrap();
    symlink(outside.path(), stage.path("away")).unwrap();
    assert_eq!(stage.read((WAV, "de/hello.wav"), 8_000, 0).0, [5; 80]);
    assert_eq!(stage.read((WAV, "fr/hello.wav"), 8_000, 0).0, [5; 80]);
    let up = format!("../{}/secret.wav", outside.path().file_name().unwrap().to_str().unwrap());
    for name in ["link.wav", "away/secret.wav", &up, secret.to_str().unwrap(), "de/../de/hello.wav", "", ".", "de"] {
        assert_eq!(stage.failure(name), FileError::NotAllowed, "{name}");
    }
    for name in ["none.wav", "de/hello.wav/x", "bad\0name"] {
        assert!(matches!(stage.failure(name), FileError::NotFound | FileError::Unreadable(_)), "{name}");
    }
    // A pipe that nobody writes to.
    let made = std::process::Command::new("mkfifo").arg(stage.path("pipe")).status();
    assert!(made.is_ok_and(|status| status.success()));
    assert_eq!(stage.failure("pipe"), FileError::NotAllowed);
}

#[test]
fn what_is_closed_is_not_read_any_more_and_what_is_full_says_so() {
    let mut stage = Stage::new();
    wav(&stage.path("a.wav"), WavFormat::mono_pcm(8_000), &pcm(&[1; 40_000]));
    let file = stage.open(WAV, "a.wav", 8_000, 0);
    assert!(matches!(stage.report(), FileReport::Sound { last: false, .. }));
    stage.order(FileOrder::CloseSound { file });
    stage.order(FileOrder::ReadSound { file });
    let other = stage.open(WAV, "none", 8_000, 0);
    assert_eq!(stage.report(), FileReport::SoundFailed { file: other, why: FileError::NotFound });

    let (orders, _taken) = channel();
    let queue = FileQueue { orders: Arc::new(orders), waiting: Arc::default() };
    for _ in 0..MAX_FILE_ORDERS {
        queue.order(FileOrder::ReadSound { file }).unwrap();
    }
    let refused = FileReport::SoundFailed { file, why: FileError::Busy };
    assert_eq!(queue.order(FileOrder::ReadSound { file }), Err(refused));
    queue.order(FileOrder::CloseSound { file }).unwrap();
}

#[test]
fn a_recording_is_written_and_one_that_waits_too_long_for_the_disk_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let config = FilesConfig { recordings: Some(folder.path().to_owned()), ..FilesConfig::default() };
    let (sender, reports) = channel();
    let sink: FileSink = Arc::new(move |report| drop(sender.send(report)));
    let thread = FileThread::start(0, &config, None, sink).unwrap();
    let (queue, file) = (thread.queue().unwrap(), FileId { owner: 7, serial: 1 });
    queue.order(FileOrder::CreateRecording { file, name: "a.wav".into(), channels: 1, rate: 8_000 }).unwrap();
    assert_eq!(reports.recv_timeout(PATIENCE).unwrap(), FileReport::RecordingOpen { file });
    let piece = |at| FileOrder::AppendRecording { file, at, samples: vec![9; 4_000].into() };
    queue.order(piece(0)).unwrap();
    // What waits already leaves no room for the next one.
    queue.waiting.recorded.fetch_add(MAX_RECORDED_WAITING, Ordering::Relaxed);
    assert_eq!(queue.order(piece(4_000)), Ok(()), "nobody is told in between");
    queue.waiting.recorded.fetch_sub(MAX_RECORDED_WAITING, Ordering::Relaxed);
    queue.order(piece(8_000)).unwrap();
    queue.order(FileOrder::FinishRecording { file, length: 12_000, keep: true }).unwrap();
    let FileReport::RecordingOver { written, .. } = reports.recv_timeout(PATIENCE).unwrap() else { panic!("its end") };
    assert_eq!((written.length, written.lost, written.failed), (12_000, 4_000, None));
    let bytes = fs::read(folder.path().join("a.wav")).unwrap();
    assert_eq!(bytes.len(), 44 + 24_000);
    assert!(bytes[44 + 8_000..44 + 16_000].iter().all(|byte| *byte == 0));
}
