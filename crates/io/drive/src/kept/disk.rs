//! Recordings that are in the folder and that nobody has noted: a crash has cut them off, or they are older than the notes.
//!
//! Only those are found whose names say which call they are of: `2026-11-22/0192f3a4b5c6.wav`, as a rule has them recorded.

use std::collections::HashSet;
use std::fs::{File, read_dir};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hookswitch_call::CallId;
use hookswitch_codec::wav::WavHeader;
use hookswitch_dialect::rest::KeptRecording;

/// Bytes of a file in which its header is; what we write has 44.
pub(crate) const HEAD_BYTES: u64 = 4_096;

/// Those of the newest days, at most so many; `noted` are not looked for.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn found(folder: &Path, noted: &HashSet<CallId>, most: usize) -> io::Result<Vec<KeptRecording>> {
    let folder = folder.canonicalize()?;
    let mut days: Vec<PathBuf> = entries(&folder)?.into_iter().filter(|path| is_day(path)).collect();
    days.sort_unstable();
    let mut found = Vec::new();
    for day in days.into_iter().rev() {
        // Somebody may remove it meanwhile.
        let mut files = entries(&day).unwrap_or_default();
        files.sort_unstable();
        for path in files.into_iter().rev() {
            if found.len() == most {
                return Ok(found);
            }
            let call = call_of(&path).filter(|call| !noted.contains(call));
            let one = call.and_then(|call| Some((call, look(&path)?)));
            found.extend(one.map(|(call, it)| KeptRecording::found(call, &it.path, it.size, it.duration)));
        }
    }
    Ok(found)
}

/// What lies in a folder, without what only leads elsewhere.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let all = read_dir(folder)?.filter_map(Result::ok);
    Ok(all.filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink())).map(|entry| entry.path()).collect())
}

/// `2026-11-22`.
fn is_day(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().as_bytes();
    let fits = |(at, byte): (usize, &u8)| if matches!(at, 4 | 7) { *byte == b'-' } else { byte.is_ascii_digit() };
    name.len() == 10 && name.iter().enumerate().all(fits)
}

/// `0192f3a4b5c6.wav`: 12 digits, or as many as there are.
fn call_of(path: &Path) -> Option<CallId> {
    let name = path.file_name()?.to_str()?.strip_suffix(".wav")?;
    let call = CallId(u64::from_str_radix(name, 16).ok()?);
    (call.to_string() == name).then_some(call)
}

/// A file of a recording.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    pub(super) path: String,
    /// Bytes in it.
    pub(super) size: u64,
    pub(super) duration: Duration,
}

/// What became of the file that was ordered under this name; none if it is not there, or is no recording.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn found_as(folder: &Path, name: &Path) -> io::Result<Option<Found>> {
    let folder = folder.canonicalize()?;
    let path = folder.join(name).canonicalize().ok().filter(|path| path.starts_with(&folder));
    Ok(path.and_then(|path| look(&path)))
}

fn look(path: &Path) -> Option<Found> {
    let file = File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path).ok()?;
    let metadata = file.metadata().ok().filter(|metadata| metadata.is_file())?;
    let mut head = Vec::new();
    file.take(HEAD_BYTES).read_to_end(&mut head).ok()?;
    let duration = length_of(&head, metadata.len())?;
    Some(Found { path: path.to_str()?.to_owned(), size: metadata.len(), duration })
}

/// How long a recording is whose file begins so, and has so many bytes. None if it is no recording.
pub(crate) fn length_of(head: &[u8], size: u64) -> Option<Duration> {
    let header = WavHeader::parse(head).ok()?;
    let there = size.saturating_sub(header.data_offset as u64);
    let data = header.data_len.map_or(there, |length| there.min(length.into()));
    Some(Duration::from_millis(header.duration_ms(usize::try_from(data).unwrap_or(usize::MAX))))
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use hookswitch_codec::wav::WavFormat;

    use super::*;

    /// A file of half a second.
    pub(in crate::kept) fn wav() -> Vec<u8> {
        let format = WavFormat::mono_pcm(8_000);
        let mut file = vec![0; format.header_len()];
        format.write_header(8_000, &mut file).unwrap();
        file.resize(file.len() + 8_000, 0);
        file
    }

    #[test]
    fn what_a_rule_has_recorded_is_found_by_its_name_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for day in ["2026-11-21", "2026-11-22", "sales.example.test"] {
            fs::create_dir(at(day)).unwrap();
            fs::write(at(&format!("{day}/0192f3a4b5c6.wav")), wav()).unwrap();
        }
        fs::write(at("2026-11-21/19c2f0a4d3b00001.wav"), wav()).unwrap();
        fs::write(at("2026-11-21/0000000000aa.wav"), wav()).unwrap();
        for other in ["aa.wav", "0000000000AB.wav", "0000000000ac", "0000000000ad-256.wav"] {
            fs::write(at(&format!("2026-11-21/{other}")), wav()).unwrap();
        }
        fs::write(at("2026-11-21/0000000000ae.wav"), "no sound").unwrap();
        fs::create_dir(at("2026-11-21/0000000000af.wav")).unwrap();
        symlink("/etc/passwd", at("2026-11-21/0000000000b0.wav")).unwrap();
        symlink(at("2026-11-21/0000000000aa.wav"), at("2026-11-21/0000000000b1.wav")).unwrap();
        symlink(at("2026-11-21"), at("2026-11-23")).unwrap();
        let noted = HashSet::from([CallId(0xaa)]);
        let names = |most| -> Vec<String> {
            let found = found(folder.path(), &noted, most).unwrap();
            let shown = |kept: &KeptRecording| {
                let value = serde_json::to_value(kept).unwrap();
                assert_eq!(
                    (&value["recorded"]["size"], &value["recorded"]["duration"]["nanos"]),
                    (&8_044.into(), &500_000_000.into())
                );
                let file = value["recorded"]["file"].as_str().unwrap();
                let below = Path::new(file).strip_prefix(folder.path().canonicalize().unwrap()).unwrap();
                format!("{:x} {}", value["call"].as_u64().unwrap(), below.display())
            };
            found.iter().map(shown).collect()
        };
        let (new, old) = ("192f3a4b5c6 2026-11-22/0192f3a4b5c6.wav", "192f3a4b5c6 2026-11-21/0192f3a4b5c6.wav");
        let mut all = names(9);
        all.sort();
        assert_eq!(all, [old, new, "19c2f0a4d3b00001 2026-11-21/19c2f0a4d3b00001.wav"]);
        assert_eq!(names(1), [new], "those of the newest days, as far as the limit goes");
        assert!(found(&at("nothing"), &noted, 9).is_err());
    }
}
