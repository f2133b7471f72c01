//! Where the sound that is played lies, and recordings are made: a folder that is gone afterwards.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

use anyhow::Context as _;
use hookswitch_codec::wav::{WavFormat, encode_pcm};
use hookswitch_codec::{Tone, ToneGenerator};

/// The name of the sound.
pub(super) const SOUND: &str = "tone.wav";

/// How long it is, in seconds.
pub(super) const SOUND_SECONDS: u32 = 20;

/// Samples per second of the sound.
const RATE: u32 = 8_000;

/// A folder of this process.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes it, with a sound in it.
    pub(super) fn new() -> anyhow::Result<Self> {
        // Another run in this process has another one.
        let names = (0..u32::MAX).map(|n| env::temp_dir().join(format!("hookswitch-bench-{}-{n}", process::id())));
        let free = names.into_iter().find_map(|path| match fs::create_dir(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => None,
            made => Some(made.map(|()| path)),
        });
        let folder = Self(free.context("there is no name for a folder")?.context("make a folder")?);
        let format = WavFormat::mono_pcm(RATE);
        let mut samples = vec![0; (RATE * SOUND_SECONDS) as usize];
        ToneGenerator::new(Tone::steady(1_000.0, 0.25), RATE).fill(&mut samples);
        let header = format.header_len();
        let mut file = vec![0; header + 2 * samples.len()];
        format.write_header(u32::try_from(2 * samples.len())?, &mut file)?;
        encode_pcm(&samples, &mut file[header..]);
        fs::write(folder.0.join(SOUND), file).context("write a sound")?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be taken away stays among other temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
