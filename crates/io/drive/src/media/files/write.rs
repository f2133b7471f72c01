//! Recordings on their way to the disk: WAV files that are whole at every moment.
//!
//! Samples are written first, and only then does the header say that they are there: whoever kills the process at any
//! byte leaves a file that plays up to then. A piece that found no room on its way here is a hole, which reads as
//! silence, so that what follows keeps its time.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use compact_str::{CompactString, format_compact};
use hookswitch_codec::wav::{Encoding, MAX_HEADER_LEN, WavFormat, encode_pcm};
use hookswitch_media::{FileId, FileReport, Written};

/// Who may read what was said: the switch's user, and its group.
const FILE_MODE: u32 = 0o640;

/// The same for folders that are made for it.
const FOLDER_MODE: u32 = 0o750;

/// Longest name of a recording with its folders, in bytes.
pub(super) const MAX_RECORDING_NAME: usize = 1_024;

/// Recordings that are being written.
pub(super) struct Recordings {
    folder: Option<PathBuf>,
    open: HashMap<FileId, Recording<File>>,
    /// A piece as it stands in its file: one for all, since pieces are as long as the machine once stood still.
    bytes: Vec<u8>,
}

impl Recordings {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, open: HashMap::new(), bytes: Vec::new() }
    }

    /// Makes the file.
    pub(super) fn create(&mut self, file: FileId, name: &str, channels: u16, rate: u32) -> FileReport {
        let format = WavFormat { encoding: Encoding::Pcm16, channels, sample_rate: rate };
        let made = self.make(name).and_then(|(store, path)| {
            // Nobody wants a file without a header.
            let begun = Recording::begin(store, &path, format).inspect_err(|_| drop(fs::remove_file(&path)));
            begun.map_err(|error| why(&error))
        });
        match made {
            Ok(recording) => {
                self.open.insert(file, recording);
                FileReport::RecordingOpen { file }
            }
            Err(why) => {
                FileReport::RecordingOver { file, written: Written { failed: Some(why), ..Written::default() } }
            }
        }
    }

    fn make(&self, name: &str) -> Result<(File, PathBuf), CompactString> {
        let folder = self.folder.as_ref().ok_or("no folder for recordings is configured")?;
        let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if !plain || name.is_empty() || name.len() > MAX_RECORDING_NAME {
            return Err("the name leads out of the folder of recordings, or is too long".into());
        }
        let failed = |error: io::Error| why(&error);
        // Asked each time: the folder may be mounted after we have begun.
        let folder = folder.canonicalize().map_err(failed)?;
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(&folder);
        if !parent.is_dir() {
            DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(parent).map_err(failed)?;
        }
        if !parent.canonicalize().map_err(failed)?.starts_with(&folder) {
            return Err("the name leads out of the folder of recordings by a link".into());
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&path).map_err(failed)?;
        Ok((file, path))
    }

    /// Writes some of it. A report says that this has failed, and that it is over.
    pub(super) fn append(&mut self, file: FileId, at: u64, samples: &[i16]) -> Option<FileReport> {
        self.bytes.resize(2 * samples.len(), 0);
        encode_pcm(samples, &mut self.bytes);
        let error = self.open.get_mut(&file)?.append(at, &self.bytes).err()?;
        let recording = self.open.remove(&file)?;
        Some(FileReport::RecordingOver { file, written: recording.give_up(&error) })
    }

    /// Completes it. One that has failed was over then.
    pub(super) fn finish(&mut self, file: FileId, length: u64, keep: bool) -> Option<FileReport> {
        let mut written = self.open.remove(&file)?.finish(length);
        if !keep && let Some(path) = written.path.take() {
            match fs::remove_file(&*path) {
                Ok(()) => written.size = 0,
                Err(error) => written.failed = Some(why(&error)),
            }
        }
        Some(FileReport::RecordingOver { file, written })
    }
}

fn why(error: &io::Error) -> CompactString {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full".into(),
        io::ErrorKind::FileTooLarge => "the file may not become larger".into(),
        io::ErrorKind::AlreadyExists => "there is a file of that name".into(),
        io::ErrorKind::NotFound => "the folder of recordings is not there".into(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "the folder cannot be written to".into(),
        _ => format_compact!("the file cannot be written: {error}"),
    }
}

/// What can be written to at any place.
trait Store {
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()>;
    fn set_len(&mut self, len: u64) -> io::Result<()>;
}

impl Store for File {
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        Self::set_len(self, len)
    }
}

/// One file.
struct Recording<S> {
    store: S,
    path: CompactString,
    format: WavFormat,
    /// Samples of each channel that its header knows of.
    length: u64,
    /// How many of them were really said.
    taken: u64,
}

impl<S: Store> Recording<S> {
    /// The header goes in one piece, so that there is never half of it.
    fn begin(store: S, path: &Path, format: WavFormat) -> io::Result<Self> {
        let path = path.to_string_lossy().into();
        let mut recording = Self { store, path, format, length: 0, taken: 0 };
        recording.set_length(0)?;
        Ok(recording)
    }

    fn header_len(&self) -> u64 {
        self.format.header_len() as u64
    }

    fn frame_len(&self) -> u64 {
        self.format.frame_len() as u64
    }

    /// `at` counts samples of each channel, `bytes` are whole ones.
    fn append(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let place = self.header_len() + at * self.frame_len();
        self.store.write_at(bytes, place)?;
        let count = bytes.len() as u64 / self.frame_len().max(1);
        self.taken += count;
        self.set_length(at + count)
    }

    /// Has the header say that so much is there.
    fn set_length(&mut self, length: u64) -> io::Result<()> {
        let mut header = [0; MAX_HEADER_LEN];
        // The engine ends a recording before it is longer than that.
        let bytes = u32::try_from(length * self.frame_len()).unwrap_or(u32::MAX);
        let len = self.format.write_header(bytes, &mut header).map_err(io::Error::other)?;
        self.store.write_at(header.get(..len).unwrap_or_default(), 0)?;
        self.length = length;
        Ok(())
    }

    fn finish(mut self, length: u64) -> Written {
        // The last pieces may have found no room.
        if length > self.length {
            let size = self.header_len() + length * self.frame_len();
            if let Err(error) = self.store.set_len(size).and_then(|()| self.set_length(length)) {
                return self.give_up(&error);
            }
        }
        self.written(None)
    }

    fn give_up(mut self, error: &io::Error) -> Written {
        // Half a piece may be there; the header does not know of it either way.
        let size = self.header_len() + self.length * self.frame_len();
        let _ = self.store.set_len(size);
        self.written(Some(why(error)))
    }

    fn written(self, failed: Option<CompactString>) -> Written {
        Written {
            length: self.length,
            lost: self.length.saturating_sub(self.taken),
            size: self.header_len() + self.length * self.frame_len(),
            path: Some(self.path),
            failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_codec::wav::WavHeader;

    use super::*;

    const STEREO: WavFormat = WavFormat { encoding: Encoding::Pcm16, channels: 2, sample_rate: 8_000 };
    const FILE: FileId = FileId { owner: 3, serial: 9 };

    /// A disk that takes so many bytes and then no more, or whose writer is killed there.
    struct Disk {
        bytes: Vec<u8>,
        room: usize,
    }

    impl Store for &mut Disk {
        fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
            let at = usize::try_from(at).expect("a small file");
            let count = bytes.len().min(self.room);
            self.room -= count;
            if self.bytes.len() < at + count {
                self.bytes.resize(at + count, 0);
            }
            self.bytes[at..at + count].copy_from_slice(&bytes[..count]);
            if count < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn set_len(&mut self, len: u64) -> io::Result<()> {
            self.bytes.resize(usize::try_from(len).expect("a small file"), 0);
            Ok(())
        }
    }

    fn piece(n: i16) -> [i16; 16] {
        [n; 16]
    }

    fn bytes(n: i16) -> Vec<u8> {
        piece(n).into_iter().flat_map(i16::to_le_bytes).collect()
    }

    /// Writes ten pieces, and returns what the last word was.
    fn write(disk: &mut Disk) -> io::Result<Written> {
        let mut recording = Recording::begin(disk, Path::new("/nowhere/a.wav"), STEREO)?;
        for n in 1..=10 {
            if let Err(error) = recording.append(8 * (n as u64 - 1), &bytes(n)) {
                return Ok(recording.give_up(&error));
            }
        }
        Ok(recording.finish(80))
    }

    /// What a file holds, whatever killed its writer.
    fn played(bytes: &[u8]) -> Vec<i16> {
        let header = WavHeader::parse(bytes).expect("a header");
        assert_eq!(header.format, STEREO);
        // One that says nothing of its length has none yet.
        let data = if header.data_len.is_some() { header.data(bytes) } else { &[] };
        if let Some(len) = header.data_len {
            assert_eq!(data.len(), len as usize, "as much as the header says");
        }
        data.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
    }

    #[test]
    fn killed_at_any_byte_it_leaves_a_file_that_plays_what_was_there_before() {
        let said: Vec<i16> = (1..=10).flat_map(piece).collect();
        // From the first header on, which the system writes in one piece.
        for room in 44..=44 + 10 * (32 + 44) {
            let mut disk = Disk { bytes: Vec::new(), room };
            let mut recording = Recording::begin(&mut disk, Path::new("a"), STEREO).expect("room for a header");
            for n in 1..=10 {
                if recording.append(8 * (n as u64 - 1), &bytes(n)).is_err() {
                    break;
                }
            }
            let samples = played(&disk.bytes);
            assert_eq!(samples, said[..samples.len()], "killed after {room} bytes");
            let (pieces, more) = ((room - 44) / (32 + 44), (room - 44) % (32 + 44));
            if more <= 32 {
                assert_eq!(samples.len(), 16 * pieces, "killed after {room} bytes");
            }
        }
    }

    #[test]
    fn a_full_disk_ends_it_with_what_is_there_and_says_so() {
        let mut disk = Disk { bytes: Vec::new(), room: 44 + 3 * (32 + 44) + 10 };
        let written = write(&mut disk).expect("a header");
        assert_eq!((written.length, written.lost, written.size), (24, 0, 44 + 24 * 4));
        assert_eq!(written.failed.as_deref(), Some("the disk is full"));
        assert_eq!(disk.bytes.len() as u64, written.size);
        assert_eq!(played(&disk.bytes).len(), 48);
    }

    #[test]
    fn a_piece_that_found_no_room_is_silence_and_what_follows_keeps_its_time() {
        let mut disk = Disk { bytes: Vec::new(), room: usize::MAX };
        let mut recording = Recording::begin(&mut disk, Path::new("a"), STEREO).expect("a header");
        recording.append(0, &bytes(1)).expect("room");
        recording.append(16, &bytes(3)).expect("room");
        let written = recording.finish(32);
        assert_eq!((written.length, written.lost), (32, 16));
        let expected: Vec<i16> = [1, 0, 3, 0].into_iter().flat_map(piece).collect();
        assert_eq!(played(&disk.bytes), expected);
    }

    fn failure(report: &FileReport) -> Option<&str> {
        match report {
            FileReport::RecordingOver { written, .. } => written.failed.as_deref(),
            _ => None,
        }
    }

    #[test]
    fn a_recording_is_a_file_below_its_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut recordings = Recordings::new(Some(folder.path().to_owned()));
        assert_eq!(recordings.create(FILE, "2026/11/a.wav", 2, 8_000), FileReport::RecordingOpen { file: FILE });
        assert_eq!(recordings.append(FILE, 0, &piece(5)), None);
        let Some(FileReport::RecordingOver { written, .. }) = recordings.finish(FILE, 8, true) else {
            panic!("a report")
        };
        let path = folder.path().canonicalize().expect("a folder").join("2026/11/a.wav");
        assert_eq!(written.path.as_deref(), path.to_str());
        let bytes = fs::read(&path).expect("the file");
        assert_eq!((bytes.len() as u64, played(&bytes)), (written.size, piece(5).to_vec()));
        assert_eq!(recordings.finish(FILE, 8, true), None, "it is over");
    }

    #[test]
    fn names_that_lead_out_of_the_folder_are_refused_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).expect("a folder");
        std::os::unix::fs::symlink(folder.path(), inner.join("out")).expect("a link");
        let mut recordings = Recordings::new(Some(inner.clone()));
        let long = "a".repeat(MAX_RECORDING_NAME + 1);
        for name in ["../a.wav", "/etc/a.wav", "", "a/../../a.wav", "out/a.wav", &long] {
            let report = recordings.create(FILE, name, 1, 8_000);
            assert!(failure(&report).is_some_and(|why| why.contains("leads out")), "{name}: {report:?}");
        }
        assert!(!folder.path().join("a.wav").exists());
        fs::write(inner.join("b.wav"), "mine").expect("a file");
        assert_eq!(failure(&recordings.create(FILE, "b.wav", 1, 8_000)), Some("there is a file of that name"));
        assert_eq!(fs::read(inner.join("b.wav")).expect("the file"), b"mine");
    }

    #[test]
    fn what_is_not_worth_a_file_has_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut recordings = Recordings::new(Some(folder.path().to_owned()));
        recordings.create(FILE, "a.wav", 1, 8_000);
        recordings.append(FILE, 0, &piece(5));
        let Some(FileReport::RecordingOver { written, .. }) = recordings.finish(FILE, 16, false) else { panic!("one") };
        assert_eq!((written.length, written.size, written.path, written.failed), (16, 0, None, None));
        assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0);
    }

    #[test]
    fn without_a_folder_nothing_is_recorded() {
        let report = Recordings::new(None).create(FILE, "a.wav", 1, 8_000);
        assert_eq!(failure(&report), Some("no folder for recordings is configured"));
        let gone = Recordings::new(Some("/nonexistent/hookswitch".into())).create(FILE, "a.wav", 1, 8_000);
        assert_eq!(failure(&gone), Some("the folder of recordings is not there"));
    }
}
