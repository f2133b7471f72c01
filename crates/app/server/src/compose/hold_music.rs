//! Music on hold: read once, before the first call.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use hookswitch_media::{HoldMusic, MAX_MUSIC_FILE};

use crate::config::{ConfigError, HoldMusic as Wanted};

const KEY: &str = "media.hold_music";

/// What parties on hold hear.
///
/// # Errors
/// The file cannot be read or played: the key, the file and why.
pub(super) fn read(wanted: &Wanted) -> Result<HoldMusic, ConfigError> {
    let path = match wanted {
        Wanted::Tone => return Ok(HoldMusic::default()),
        Wanted::Silence => return Ok(HoldMusic::silence()),
        Wanted::File(path) => path,
    };
    let problem = |why: &dyn std::fmt::Display| ConfigError::value(KEY, format!("{}: {why}", path.display()));
    let file = contents(path).map_err(|error| problem(&error))?;
    if file.len() as u64 > MAX_MUSIC_FILE {
        return Err(problem(&format!("longer than {MAX_MUSIC_FILE} bytes")));
    }
    HoldMusic::from_wav(&file).map_err(|error| problem(&error))
}

/// As much of a file as could be music on hold, and one byte more if it is longer.
fn contents(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_MUSIC_FILE + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use hookswitch_media::MAX_MUSIC_S;

    use super::*;
    use crate::config::Config;

    fn read_file(path: &Path) -> Result<HoldMusic, String> {
        let text = format!("media:\n  hold_music: {}\n", path.display());
        let config = Config::parse("t", &text).expect("a path");
        read(&config.media.hold_music).map_err(|error| error.to_string())
    }

    /// A WAV file of 16-bit PCM with nothing to hear.
    fn wav(rate: u32, bytes: u32) -> Vec<u8> {
        let format = hookswitch_codec::wav::WavFormat::mono_pcm(rate);
        let mut file = vec![0; format.header_len() + bytes as usize];
        format.write_header(bytes, &mut file).expect("room");
        file
    }

    #[test]
    fn a_file_is_read_and_words_are_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("good.wav");
        std::fs::write(&path, wav(8_000, 16_000)).expect("a file");
        read_file(&path).expect("music");
        for (text, wanted) in
            [("tone", Wanted::Tone), ("silence", Wanted::Silence), ("./tone", Wanted::File("./tone".into()))]
        {
            let config = Config::parse("t", &format!("media:\n  hold_music: {text}\n")).expect("a choice");
            assert_eq!(config.media.hold_music, wanted);
            assert_eq!(wanted.to_string(), text);
        }
        assert_eq!(Config::parse("t", "{}").expect("defaults").media.hold_music, Wanted::Tone);
        Config::parse("t", "media:\n  hold_music: ''\n").expect_err("no choice");
        read(&Wanted::Silence).expect("silence");
    }

    #[test]
    fn what_cannot_be_played_names_the_key_the_file_and_why() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, bytes, why) in [
            ("fast.wav", wav(44_101, 88_202), "44101 samples per second cannot be played"),
            ("song.mp3", b"ID3".to_vec(), "WAV"),
            ("long.wav", wav(8_000, 2 * 8_000 * (MAX_MUSIC_S + 1)), "longer than"),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, &bytes).expect("a file");
            let error = read_file(&path).expect_err(name);
            assert!(error.starts_with(&format!("{KEY}: {}: ", path.display())), "{error}");
            assert!(error.contains(why), "{error}");
        }
        let error = read(&Wanted::File("/nowhere/music.wav".into())).expect_err("nothing there").to_string();
        assert!(error.starts_with("media.hold_music: /nowhere/music.wav: "), "{error}");
    }
}
