//! The bytes of a write-ahead file, and where the next ones go.
//!
//! ```text
//!   0        4096                      4096 + HALF               4096 + 2 HALF
//!   ┌────────┬─────────────────────────┬─────────────────────────┐
//!   │ header │ record record record …  │ record record …         │
//!   └────────┴─────────────────────────┴─────────────────────────┘
//!   record: length u32 │ CRC-32 u32 of all that follows │ number u64 │ text          (little endian)
//! ```
//!
//! The records of a half begin at its start, and their numbers grow by one. A half is written over from its start once
//! the database has all of it; what is left there of older records has older numbers, so it is no part of the run.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::StoreError;
use crate::database::open_file;

/// Bytes of records in each half. Few in tests, which fill them many times.
pub(crate) const HALF: u64 = if cfg!(test) { 128 * 1024 } else { 8 * 1024 * 1024 };

const HEADER: u64 = 4_096;
const MAGIC: &[u8; 16] = b"hookswitch ahead";
const FORMAT: u64 = 1;

/// Bytes before the text of a record.
const PREFIX: usize = 16;

/// A record as it was found.
pub(super) struct Found {
    pub(super) number: u64,
    pub(super) text: Vec<u8>,
}

/// The file, open for whoever appends.
pub(super) struct AheadFile {
    path: PathBuf,
    file: File,
    /// The half that is being filled, and how far.
    half: usize,
    at: u64,
    /// The number of the last record of each half.
    last: [u64; 2],
    buffer: Vec<u8>,
}

impl AheadFile {
    /// Opens the file or makes it, and reads what it holds, in the order of the numbers.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<Found>), StoreError> {
        let wrap = |error| StoreError::io(path, error);
        let file = open_file(path)?;
        let size = file.metadata().map_err(wrap)?.len();
        let mut found = Vec::new();
        if size == 0 {
            let mut header = MAGIC.to_vec();
            header.extend(FORMAT.to_le_bytes());
            file.write_all_at(&header, 0).map_err(wrap)?;
        } else {
            check_header(path, &file)?;
            let mut runs = [read_half(&file, 0).map_err(wrap)?, read_half(&file, 1).map_err(wrap)?];
            runs.sort_by_key(|run| run.first().map_or(0, |first| first.number));
            found = runs.into_iter().flatten().collect();
        }
        fill(&file, size.max(HEADER)).map_err(wrap)?;
        Ok((Self { path: path.into(), file, half: 0, at: 0, last: [0; 2], buffer: Vec::new() }, found))
    }

    /// Prepares a record, to be written by [`Self::write`]. Whether it fits into the half that is being filled.
    pub(super) fn prepare(&mut self, number: u64, encode: impl FnOnce(&mut Vec<u8>)) -> Fit {
        self.buffer.clear();
        self.buffer.extend_from_slice(&[0; PREFIX]);
        encode(&mut self.buffer);
        let size = self.buffer.len() as u64;
        if size > HALF {
            return Fit::Nowhere;
        }
        self.buffer[8..PREFIX].copy_from_slice(&number.to_le_bytes());
        let sum = crc32fast::hash(&self.buffer[8..]);
        self.buffer[..4].copy_from_slice(&((size as usize - PREFIX) as u32).to_le_bytes());
        self.buffer[4..8].copy_from_slice(&sum.to_le_bytes());
        if self.at + size <= HALF { Fit::Here } else { Fit::NextHalf { after: self.last[1 - self.half] } }
    }

    /// Goes on at the start of the other half, all of whose records the database has.
    pub(super) fn turn(&mut self) {
        (self.half, self.at) = (1 - self.half, 0);
    }

    /// Writes the prepared record and waits until it is on the disk. Returns its length. After an error it is not there,
    /// or is written over by the next.
    pub(super) fn write(&mut self, number: u64) -> Result<usize, StoreError> {
        let wrap = |error| StoreError::io(&self.path, error);
        self.file.write_all_at(&self.buffer, start_of(self.half) + self.at).map_err(wrap)?;
        self.file.sync_data().map_err(wrap)?;
        self.at += self.buffer.len() as u64;
        self.last[self.half] = number;
        Ok(self.buffer.len())
    }
}

/// Where a record has room.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Here,
    /// At the start of the other half, once the database has the record with this number.
    NextHalf {
        after: u64,
    },
    /// It is larger than a half.
    Nowhere,
}

const fn start_of(half: usize) -> u64 {
    HEADER + half as u64 * HALF
}

/// Gives the file its length and its blocks. No later write changes either, so that only data has to be synchronised then, and
/// nobody waits for what the file system has to write of other files before it may note that one has grown.
fn fill(file: &File, mut from: u64) -> io::Result<()> {
    const PIECE: u64 = 256 * 1024;
    if from >= HEADER + 2 * HALF {
        return Ok(());
    }
    let zeros = vec![0; PIECE as usize];
    while from < HEADER + 2 * HALF {
        let length = PIECE.min(HEADER + 2 * HALF - from);
        file.write_all_at(&zeros[..length as usize], from)?;
        from += length;
    }
    file.sync_all()
}

fn check_header(path: &Path, file: &File) -> Result<(), StoreError> {
    let mut header = [0; MAGIC.len() + 8];
    match file.read_exact_at(&mut header, 0) {
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(StoreError::io(path, error)),
        _ => {}
    }
    if !header.starts_with(MAGIC) {
        return Err(StoreError::corrupt(path, "it does not begin as it should"));
    }
    match number_at(&header, MAGIC.len()) {
        FORMAT => Ok(()),
        found => Err(StoreError::Version { path: path.into(), found, supported: FORMAT }),
    }
}

fn number_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// The records of a half up to the first that is not whole or does not follow the one before it.
fn read_half(mut file: &File, half: usize) -> io::Result<Vec<Found>> {
    file.seek(SeekFrom::Start(start_of(half)))?;
    let mut bytes = BufReader::new(file).take(HALF);
    let mut run = Vec::<Found>::new();
    while let Some(found) = read_record(&mut bytes)? {
        if run.last().is_some_and(|last| found.number != last.number + 1) {
            break;
        }
        run.push(found);
    }
    Ok(run)
}

/// None if no whole record stands there.
fn read_record(bytes: &mut impl Read) -> io::Result<Option<Found>> {
    let mut prefix = Vec::with_capacity(PREFIX);
    bytes.by_ref().take(PREFIX as u64).read_to_end(&mut prefix)?;
    let word = |at: usize| prefix.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_le_bytes);
    let (Some(length), Some(sum), Some(number)) = (word(0), word(4), prefix.get(8..)) else { return Ok(None) };
    let mut text = Vec::new();
    bytes.by_ref().take(length.into()).read_to_end(&mut text)?;
    let mut hash = crc32fast::Hasher::new();
    hash.update(number);
    hash.update(&text);
    let found = Found { number: number_at(&prefix, 8), text };
    let is_whole = found.text.len() == length as usize && found.number > 0 && hash.finalize() == sum;
    Ok(is_whole.then_some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path) -> (AheadFile, Vec<(u64, usize)>) {
        let (file, found) = AheadFile::open(&folder.join("ahead")).unwrap();
        (file, found.into_iter().map(|found| (found.number, found.text.len())).collect())
    }

    fn add(file: &mut AheadFile, number: u64, size: usize) -> Fit {
        let fit = file.prepare(number, |into| into.resize(into.len() + size, b'x'));
        if fit == Fit::Here {
            file.write(number).unwrap();
        }
        fit
    }

    #[test]
    fn what_was_written_is_found_in_order_across_the_halves() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, found) = open(folder.path());
        assert!(found.is_empty());
        let size = HALF as usize / 2 - PREFIX;
        assert_eq!([add(&mut file, 7, size), add(&mut file, 8, size)], [Fit::Here, Fit::Here]);
        assert_eq!(add(&mut file, 9, 0), Fit::NextHalf { after: 0 });
        file.turn();
        assert_eq!([add(&mut file, 9, 0), add(&mut file, 10, size)], [Fit::Here, Fit::Here]);
        assert_eq!(add(&mut file, 11, size), Fit::NextHalf { after: 8 });
        assert_eq!(open(folder.path()).1, [(7, size), (8, size), (9, 0), (10, size)]);
        file.turn();
        assert_eq!(add(&mut file, 11, 5), Fit::Here);
        // The rest of 7 and all of 8 are written over by a shorter record, and are no part of anything.
        assert_eq!(open(folder.path()).1, [(9, 0), (10, size), (11, 5)]);
        assert_eq!(add(&mut file, 12, HALF as usize), Fit::Nowhere);
    }

    #[test]
    fn a_run_ends_where_a_byte_is_wrong_and_nothing_panics() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, _) = open(folder.path());
        for number in 1..=20 {
            add(&mut file, number, 10);
        }
        let path = folder.path().join("ahead");
        let record = PREFIX + 10;
        let change = |at: u64| {
            let mut byte = [0];
            file.file.read_exact_at(&mut byte, HEADER + at).unwrap();
            file.file.write_all_at(&[byte[0] ^ 0x40], HEADER + at).unwrap();
        };
        for at in 0..20 * record {
            change(at as u64);
            assert_eq!(open(folder.path()).1.len(), at / record, "byte {at}");
            change(at as u64);
        }
        let sound = std::fs::read(&path).unwrap();
        for length in [HEADER as usize, HEADER as usize + 5 * record, HEADER as usize + 5 * record + 3] {
            std::fs::write(&path, &sound[..length]).unwrap();
            assert_eq!(open(folder.path()).1.len(), (length - HEADER as usize) / record);
        }
    }

    #[test]
    fn a_file_of_something_else_or_of_another_format_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ahead");
        std::fs::write(&path, "short").unwrap();
        assert!(matches!(AheadFile::open(&path), Err(StoreError::Corrupt { .. })));
        let mut later = MAGIC.to_vec();
        later.extend(2_u64.to_le_bytes());
        std::fs::write(&path, &later).unwrap();
        assert!(matches!(AheadFile::open(&path), Err(StoreError::Version { found: 2, supported: 1, .. })));
        assert_eq!(std::fs::read(&path).unwrap(), later);
    }
}
