//! WAV files as samples and back.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use hookswitch_codec::wav::{MAX_HEADER_LEN, WavFormat, WavHeader, encode_pcm};

/// Samples per second on the line.
const RATE: u32 = 8000;

/// Longest file that is played, in bytes.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Samples of a WAV file at 8 kHz.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<i16>> {
    let name = path.display();
    let length = fs::metadata(path).with_context(|| format!("cannot read {name}"))?.len();
    if length > MAX_FILE {
        bail!("{name} is longer than {} MiB", MAX_FILE >> 20);
    }
    let file = fs::read(path).with_context(|| format!("cannot read {name}"))?;
    let header = WavHeader::parse(&file).with_context(|| format!("cannot use {name}"))?;
    let data = header.data(&file);
    let mut samples = vec![0; data.len() / header.format.frame_len().max(1)];
    let count = header.format.decode_mono(data, &mut samples);
    samples.truncate(count);
    thin(samples, header.format.sample_rate)
        .with_context(|| format!("{name} has {} Hz; multiples of {RATE} Hz can be played", header.format.sample_rate))
}

/// One sample for several: their mean, which also takes away most of what 8 kHz cannot carry.
fn thin(samples: Vec<i16>, rate: u32) -> Option<Vec<i16>> {
    if !rate.is_multiple_of(RATE) || rate == 0 {
        return None;
    }
    let factor = (rate / RATE) as usize;
    if factor == 1 {
        return Some(samples);
    }
    let mean = |group: &[i16]| {
        let sum: i64 = group.iter().map(|sample| i64::from(*sample)).sum();
        // The mean of i16 is one.
        (sum / group.len() as i64) as i16
    };
    Some(samples.chunks_exact(factor).map(mean).collect())
}

/// Writes samples at 8 kHz as a WAV file.
pub(crate) fn write(path: &Path, samples: &[i16]) -> anyhow::Result<()> {
    let format = WavFormat::mono_pcm(RATE);
    let mut file = vec![0; MAX_HEADER_LEN + 2 * samples.len()];
    let data_len = u32::try_from(2 * samples.len()).context("the recording is too long for a WAV file")?;
    let head = format.write_header(data_len, &mut file)?;
    let end = head + encode_pcm(samples, &mut file[head..]);
    fs::write(path, &file[..end]).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let samples: Vec<i16> = (0..1000).map(|i| i * 30 - 15_000).collect();
        write(&path, &samples).unwrap();
        assert_eq!(read(&path).unwrap(), samples);
        assert!(read(&folder.path().join("none.wav")).is_err());
    }

    #[test]
    fn higher_rates_are_thinned_and_odd_ones_refused() {
        assert_eq!(thin(vec![1, 3, 5, 7], 16_000), Some(vec![2, 6]));
        assert_eq!(thin(vec![1, 3, 5, 7], 8_000), Some(vec![1, 3, 5, 7]));
        assert_eq!(thin(vec![1, 3], 44_100), None);
        assert_eq!(thin(vec![1, 3], 0), None);
    }
}
