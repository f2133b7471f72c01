//! `hookswitch tone`: a tone as a WAV file.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use hookswitch_codec::wav::{MAX_HEADER_LEN, WavFormat, WavHeader, encode_pcm};
use hookswitch_codec::{NAMED_TONES, RATES, Tone, ToneGenerator};

/// Longest file that is written, in milliseconds: an hour.
pub const MAX_TONE_MS: u32 = 3_600_000;

/// What to write, and where.
#[derive(Args, Clone, Debug)]
pub struct ToneArgs {
    /// Frequencies in Hz and for how many ms each, as in 350+440*0.5:1000 and 400+450*0.5/0:400/200; or the name of one
    ///
    /// `F+G` is both at once, `F~G` goes from one to the other, `*A` is the amplitude, from 0 to 1, and `*A~B` goes from
    /// one to the other. Frequencies, and times, are separated by `/`; the shorter list begins again until the longer
    /// one is at its end. 0 is silence.
    #[arg(required_unless_present = "names")]
    tone: Option<String>,
    /// The WAV file to write: 16-bit PCM, one channel
    #[arg(required_unless_present = "names")]
    file: Option<PathBuf>,
    /// Samples per second: 8000, 16000, 24000 or 48000
    #[arg(long, value_name = "HZ", default_value_t = 8_000)]
    rate: u32,
    /// How long, in ms, at most an hour; the tone begins again as often as it takes. Default: once through
    #[arg(long, value_name = "MS")]
    length: Option<u32>,
    /// Add it to the end of the file if there is one, which has to be of the same kind
    #[arg(long)]
    append: bool,
    /// Print the tones that have names
    #[arg(long)]
    names: bool,
}

/// Writes the file.
pub fn run(args: &ToneArgs) -> anyhow::Result<ExitCode> {
    if args.names {
        for row in NAMED_TONES {
            println!("{:20} {:52} {}", row.name, row.text, row.used);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (Some(text), Some(path)) = (&args.tone, &args.file) else {
        bail!("a tone and a file are needed");
    };
    let samples = render(text, args.rate, args.length)?;
    let name = path.display();
    let before = match std::fs::read(path) {
        Ok(file) if args.append => samples_of(&file, args.rate).with_context(|| format!("cannot add to {name}"))?,
        Err(error) if args.append && error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot add to {name}"));
        }
        _ => Vec::new(),
    };
    let file = wav(&before, &samples, args.rate)?;
    std::fs::write(path, file).with_context(|| format!("cannot write {name}"))?;
    Ok(ExitCode::SUCCESS)
}

fn render(text: &str, rate: u32, length: Option<u32>) -> anyhow::Result<Vec<i16>> {
    if !RATES.contains(&rate) {
        bail!("{rate} samples per second: 8000, 16000, 24000 or 48000 can be written");
    }
    let tone = match Tone::named(text) {
        Some(tone) => tone,
        None => Tone::parse(text)?,
    };
    let length = length.unwrap_or(tone.period_ms());
    if !(1..=MAX_TONE_MS).contains(&length) {
        bail!("{length} ms: from 1 to {MAX_TONE_MS} ms can be written");
    }
    // An hour at 48 kHz fits.
    let mut samples = vec![0; (u64::from(rate) * u64::from(length) / 1_000) as usize];
    ToneGenerator::new(tone, rate).fill(&mut samples);
    Ok(samples)
}

/// The bytes of the samples that are there already.
fn samples_of(file: &[u8], rate: u32) -> anyhow::Result<Vec<u8>> {
    let header = WavHeader::parse(file)?;
    let format = WavFormat::mono_pcm(rate);
    if header.format != format {
        bail!("it is of another kind: {:?} instead of {format:?}", header.format);
    }
    Ok(header.data(file).to_vec())
}

fn wav(before: &[u8], samples: &[i16], rate: u32) -> anyhow::Result<Vec<u8>> {
    let length = before.len() + 2 * samples.len();
    let mut file = vec![0; MAX_HEADER_LEN + length];
    let data_len = u32::try_from(length).context("too long for a WAV file")?;
    let head = WavFormat::mono_pcm(rate).write_header(data_len, &mut file)?;
    file[head..head + before.len()].copy_from_slice(before);
    let end = head + before.len();
    let end = end + encode_pcm(samples, &mut file[end..]);
    file.truncate(end);
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: ToneArgs,
    }

    fn run_with(folder: &std::path::Path, words: &[&str]) -> anyhow::Result<ExitCode> {
        let path = folder.join("tone.wav");
        let words = words.iter().map(|word| if *word == "FILE" { path.to_str().unwrap() } else { word });
        run(&Cli::try_parse_from(std::iter::once("tone").chain(words))?.args)
    }

    fn written(folder: &std::path::Path) -> (WavFormat, Vec<i16>) {
        let file = std::fs::read(folder.join("tone.wav")).unwrap();
        let header = WavHeader::parse(&file).unwrap();
        let data = header.data(&file);
        assert_eq!(header.data_len, Some(data.len() as u32));
        let mut samples = vec![0; data.len() / 2];
        header.format.decode_mono(data, &mut samples);
        (header.format, samples)
    }

    #[test]
    fn a_tone_is_written_once_through_at_8_khz() {
        let folder = tempfile::tempdir().unwrap();
        run_with(folder.path(), &["350+440*0.5:1000", "FILE"]).unwrap();
        let (format, samples) = written(folder.path());
        assert_eq!((format, samples.len()), (WavFormat::mono_pcm(8_000), 8_000));
        for hz in [350.0, 440.0] {
            let level = hookswitch_codec::frequency_level(&samples[..2_000], 8_000, hz);
            assert!((level + 6.0).abs() < 0.3, "{hz} Hz at {level} dB");
        }
    }

    #[test]
    fn length_and_rate_are_as_asked_for_and_a_name_is_a_tone() {
        let folder = tempfile::tempdir().unwrap();
        run_with(folder.path(), &["uk-busy", "FILE", "--rate", "16000", "--length", "1000"]).unwrap();
        let (format, samples) = written(folder.path());
        assert_eq!((format.sample_rate, samples.len()), (16_000, 16_000));
        assert!(samples[..6_000].iter().any(|sample| *sample != 0));
        assert!(samples[6_100..11_900].iter().all(|sample| *sample == 0), "375 ms on, 375 ms off");
        assert!(samples[12_000..].iter().any(|sample| *sample != 0));
    }

    #[test]
    fn a_file_is_added_to_only_where_asked_for_and_of_the_same_kind() {
        let folder = tempfile::tempdir().unwrap();
        run_with(folder.path(), &["400:100", "FILE", "--append"]).unwrap();
        run_with(folder.path(), &["0:50", "FILE", "--append"]).unwrap();
        let (_, samples) = written(folder.path());
        assert_eq!(samples.len(), 1_200);
        assert!(samples[800..].iter().all(|sample| *sample == 0) && samples[..800].iter().any(|sample| *sample != 0));
        let refused = run_with(folder.path(), &["0:50", "FILE", "--append", "--rate", "16000"]).unwrap_err();
        assert!(format!("{refused:#}").contains("of another kind"), "{refused:#}");
        std::fs::write(folder.path().join("tone.wav"), b"no sound").unwrap();
        assert!(run_with(folder.path(), &["0:50", "FILE", "--append"]).is_err());
        run_with(folder.path(), &["0:50", "FILE"]).unwrap();
        assert_eq!(written(folder.path()).1.len(), 400);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let why = |words: &[&str]| format!("{:#}", run_with(folder.path(), words).unwrap_err());
        assert!(why(&["350+x:10", "FILE"]).contains("modulation"));
        assert!(why(&["350", "FILE"]).contains("one colon"));
        assert!(why(&["350:10", "FILE", "--rate", "44100"]).contains("44100 samples per second"));
        assert!(why(&["350:10", "FILE", "--length", "0"]).contains("0 ms"));
        assert!(why(&["350:10", "FILE", "--length", "3600001"]).contains("3600001 ms"));
        assert!(why(&["350:10", "/no/such/folder/a.wav"]).contains("cannot write /no/such/folder/a.wav"));
        assert!(why(&["350:10"]).contains("FILE"));
    }
}
