//! Sounds that were fetched, on the disk: one file each, made whole before it gets its name.
//!
//! ```text
//!   HEX-OF-URL.sound:  a head of 4 KiB, JSON and blanks │ the sound as it came
//! ```
//!
//! A file whose head cannot be read or does not fit its length is none, so whatever a crash leaves behind is fetched
//! again. When a new one finds no room, those go that nobody has wanted for the longest time; whoever plays one of
//! them has it open.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Room before a sound, in bytes, for what is known of it.
pub(super) const HEAD: u64 = 4_096;

/// Most sounds that are kept.
pub(super) const MAX_KEPT: usize = 10_000;

/// Longest validator of a sound, in bytes: a longer one is as none. Two of them and the URL fit the head, escaped.
pub(super) const MAX_VALIDATOR: usize = 512;

/// How old a sound is, and how one asks whether it has changed.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Age {
    /// When its source said last that it is good, since the epoch.
    pub checked: Duration,
    /// For how long it is good from then on.
    pub good_for: Duration,
    /// Its entity tag (RFC 9110 section 8.8.3).
    pub etag: Option<String>,
    /// When it was changed, as its source writes that.
    pub modified: Option<String>,
    /// Whether it may not be used when its source cannot be asked.
    pub strict: bool,
}

impl Age {
    pub(super) fn is_good(&self, now: Duration) -> bool {
        now.saturating_sub(self.checked) < self.good_for
    }
}

/// A sound that is open, to be read from one place to another.
#[derive(Debug)]
pub(in super::super) struct Kept {
    pub file: File,
    /// Where it begins in its file, in bytes.
    pub begin: u64,
    /// How long it is, in bytes.
    pub len: u64,
}

/// What is kept.
pub(super) struct Cache {
    folder: PathBuf,
    /// Most bytes that all files may have.
    most: u64,
    kept: HashMap<String, Entry>,
    total: u64,
    /// Counts who was wanted when.
    turn: u64,
    parts: u64,
}

struct Entry {
    len: u64,
    age: Age,
    wanted: u64,
}

impl Cache {
    /// What is in this folder, which is made if it is not there.
    pub(super) fn open(folder: &Path, most: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
        let mut cache = Self { folder: folder.to_owned(), most, kept: HashMap::new(), total: 0, turn: 0, parts: 0 };
        let mut found = Vec::new();
        for file in fs::read_dir(folder)?.flatten() {
            let (name, path) = (file.file_name(), file.path());
            let name = name.to_string_lossy();
            let key = name.strip_suffix(".sound").filter(|key| key.len() == 64);
            match key.and_then(|key| Some((key.to_owned(), read_head(&path)?))) {
                Some(sound) => found.push(sound),
                // Half a sound, or one whose head is broken. What others have put here stays.
                None if key.is_some() || name.ends_with(".part") => drop(fs::remove_file(&path)),
                None => {}
            }
        }
        found.sort_by_key(|(_, (_, age))| age.checked);
        for (key, (len, age)) in found {
            cache.put(key, len, age);
        }
        Ok(cache)
    }

    /// A file for a sound that is coming.
    pub(super) fn part(&mut self) -> io::Result<(File, PathBuf)> {
        self.parts += 1;
        let path = self.folder.join(format!("{}.part", self.parts));
        // One of that name is from a process that was killed: we removed ours, and there is only one of us.
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o640).open(&path)?;
        Ok((file, path))
    }

    /// Takes a sound that has come as a whole: `part` is its file, with room for the head.
    pub(super) fn keep(&mut self, url: &str, (file, part): (&File, &Path), len: u64, age: Age) -> io::Result<()> {
        file.write_all_at(&head(url, len, &age), 0)?;
        let key = key_of(url);
        fs::rename(part, self.path(&key))?;
        self.put(key, len, age);
        Ok(())
    }

    /// Its source has said that it is as it was.
    pub(super) fn confirm(&mut self, url: &str, age: Age) {
        let key = key_of(url);
        let path = self.path(&key);
        let Some(entry) = self.kept.get_mut(&key) else { return };
        entry.age = age;
        // If this fails, it is asked for once more after the next start.
        let written = OpenOptions::new().write(true).open(path);
        let _ = written.and_then(|file| file.write_all_at(&head(url, entry.len, &entry.age), 0));
    }

    /// How old a sound is, if it is here.
    pub(super) fn age(&self, url: &str) -> Option<&Age> {
        self.kept.get(&key_of(url)).map(|entry| &entry.age)
    }

    /// Opens a sound.
    pub(super) fn get(&mut self, url: &str) -> Option<Kept> {
        let key = key_of(url);
        self.turn += 1;
        let entry = self.kept.get_mut(&key)?;
        entry.wanted = self.turn;
        let len = entry.len;
        match File::open(self.path(&key)) {
            Ok(file) => Some(Kept { file, begin: HEAD, len }),
            Err(_) => {
                // Somebody has taken it away.
                self.drop_one(&key);
                None
            }
        }
    }

    /// A sound is not to be had any more.
    pub(super) fn forget(&mut self, url: &str) {
        self.drop_one(&key_of(url));
    }

    fn put(&mut self, key: String, len: u64, age: Age) {
        self.turn += 1;
        let entry = Entry { len, age, wanted: self.turn };
        if let Some(old) = self.kept.insert(key, entry) {
            self.total -= HEAD + old.len;
        }
        self.total += HEAD + len;
        while self.total > self.most || self.kept.len() > MAX_KEPT {
            let oldest = self.kept.iter().min_by_key(|(_, entry)| entry.wanted).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { return };
            self.drop_one(&oldest);
        }
    }

    fn drop_one(&mut self, key: &str) {
        if let Some(entry) = self.kept.remove(key) {
            self.total -= HEAD + entry.len;
            let _ = fs::remove_file(self.path(key));
        }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.sound"))
    }

    #[cfg(test)]
    pub(super) fn holds(&self) -> (usize, u64) {
        (self.kept.len(), self.total)
    }
}

fn key_of(url: &str) -> String {
    Sha256::digest(url.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn head(url: &str, len: u64, age: &Age) -> Vec<u8> {
    let known = json!({
        "url": url, "len": len, "checked": age.checked.as_secs(), "good_for": age.good_for.as_secs(),
        "etag": age.etag, "modified": age.modified, "strict": age.strict,
    });
    let mut bytes = known.to_string().into_bytes();
    bytes.resize(HEAD as usize, b' ');
    bytes
}

fn read_head(path: &Path) -> Option<(u64, Age)> {
    let mut file = File::open(path).ok()?;
    let mut bytes = vec![0; HEAD as usize];
    file.read_exact(&mut bytes).ok()?;
    let known: Value = serde_json::from_slice(&bytes).ok()?;
    let text = |key: &str| known[key].as_str().map(str::to_owned);
    let len = known["len"].as_u64()?;
    if file.metadata().ok()?.len() != HEAD.checked_add(len)? {
        return None;
    }
    let age = Age {
        checked: Duration::from_secs(known["checked"].as_u64()?),
        good_for: Duration::from_secs(known["good_for"].as_u64()?),
        etag: text("etag"),
        modified: text("modified"),
        strict: known["strict"].as_bool()?,
    };
    Some((len, age))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_only_so_many_sounds_and_the_one_that_nobody_has_wanted_for_longest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let mut cache = Cache::open(folder.path(), u64::MAX).unwrap();
        let keep = |cache: &mut Cache, url: &str| {
            let (file, path) = cache.part().unwrap();
            file.set_len(HEAD + 1).unwrap();
            cache.keep(url, (&file, &path), 1, Age::default()).unwrap();
        };
        keep(&mut cache, "http://a.test/first");
        keep(&mut cache, "http://a.test/second");
        // Of the others there are no files: nobody opens them here.
        for n in 2..MAX_KEPT {
            cache.put(key_of(&n.to_string()), 1, Age::default());
        }
        assert_eq!(cache.holds().0, MAX_KEPT);
        assert!(cache.get("http://a.test/first").is_some());
        keep(&mut cache, "http://a.test/last");
        assert_eq!(cache.holds().0, MAX_KEPT);
        assert!(cache.get("http://a.test/first").is_some() && cache.get("http://a.test/last").is_some());
        assert!(cache.age("http://a.test/second").is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "and its file with it");
    }
}
