//! Tones with a cadence, and the text they are written in.
//!
//! ```text
//! tone     = chord *("/" chord) ":" cadence *("/" cadence)
//! chord    = ramp *("+" ramp) ["*" ramp]     frequencies in Hz, and their amplitude, 1 without one
//! ramp     = number ["~" number]             from the first to the second over the segment
//! cadence  = milliseconds
//! ```
//!
//! Chords and cadences are taken in turn, each list beginning again when it ends, until the longer one
//! has been used up; then the whole repeats. A chord of frequency 0 is silence. `350+440*0.5:1000` is
//! the British dial tone and `400+450*0.5/0/400+450*0.5/0:400/200/400/2000` the ringing tone.

use thiserror::Error;

/// Longest text of a tone, in bytes.
pub const MAX_TONE_TEXT: usize = 1024;

/// Most segments in a tone.
pub const MAX_SEGMENTS: usize = 64;

/// Most frequencies that sound at once.
pub const MAX_COMPONENTS: usize = 4;

/// Longest segment, in milliseconds: ten minutes.
pub const MAX_SEGMENT_MS: u32 = 600_000;

/// Highest frequency, in Hz.
pub const MAX_FREQUENCY_HZ: f32 = 24_000.0;

/// Text that is no tone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ToneError {
    /// Longer than [`MAX_TONE_TEXT`].
    #[error("tone longer than {MAX_TONE_TEXT} bytes")]
    TooLong,
    /// No colon between frequencies and cadences, or more than one.
    #[error("a tone is <frequencies>:<cadences>, with one colon")]
    Colon,
    /// Something that should be a frequency and is not a number from 0 to [`MAX_FREQUENCY_HZ`].
    #[error("{0:?} is no frequency from 0 to {MAX_FREQUENCY_HZ} Hz")]
    Frequency(String),
    /// Something that should be an amplitude and is not a number from 0 to 1.
    #[error("{0:?} is no amplitude from 0 to 1")]
    Amplitude(String),
    /// Something that should be a cadence and is not a whole number from 1 to [`MAX_SEGMENT_MS`].
    #[error("{0:?} is no cadence from 1 to {MAX_SEGMENT_MS} ms")]
    Cadence(String),
    /// `x`, which would modulate one frequency with another.
    #[error("{0:?}: modulation (x) is not supported")]
    Modulation(String),
    /// More than [`MAX_COMPONENTS`] frequencies at once.
    #[error("more than {MAX_COMPONENTS} frequencies at once in {0:?}")]
    TooManyComponents(String),
    /// More than [`MAX_SEGMENTS`] segments.
    #[error("more than {MAX_SEGMENTS} segments")]
    TooManySegments,
}

/// A frequency that may glide.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Component {
    /// At the beginning of the segment, in Hz.
    pub from_hz: f32,
    /// At its end, in Hz.
    pub to_hz: f32,
}

/// A part of a tone.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// What sounds; empty for silence.
    pub components: Vec<Component>,
    /// Amplitude of each component at the beginning, 1 being full scale.
    pub from_amplitude: f32,
    /// Amplitude at the end.
    pub to_amplitude: f32,
    /// How long, in milliseconds; at least 1.
    pub duration_ms: u32,
}

/// A tone: at least one segment, repeated for ever.
#[derive(Debug, Clone, PartialEq)]
pub struct Tone {
    segments: Vec<Segment>,
}

impl Tone {
    /// Reads a tone.
    ///
    /// # Errors
    /// When the text is no tone or goes beyond a limit; the error quotes the part at fault.
    pub fn parse(text: &str) -> Result<Self, ToneError> {
        if text.len() > MAX_TONE_TEXT {
            return Err(ToneError::TooLong);
        }
        let (chords, cadences) = text.split_once(':').ok_or(ToneError::Colon)?;
        if cadences.contains(':') {
            return Err(ToneError::Colon);
        }
        let chords = chords.split('/').map(Chord::parse).collect::<Result<Vec<_>, _>>()?;
        let cadences = cadences.split('/').map(parse_cadence).collect::<Result<Vec<_>, _>>()?;
        let count = chords.len().max(cadences.len());
        if count > MAX_SEGMENTS {
            return Err(ToneError::TooManySegments);
        }
        let pairs = chords.iter().cycle().zip(cadences.iter().cycle()).take(count);
        let segments = pairs.map(|(chord, cadence)| chord.for_ms(*cadence)).collect();
        Ok(Self { segments })
    }

    /// A continuous tone of one frequency; frequency in Hz, amplitude from 0 to 1. Both are forced into
    /// their ranges.
    #[must_use]
    pub fn steady(hz: f32, amplitude: f32) -> Self {
        let hz = hz.clamp(0.0, MAX_FREQUENCY_HZ);
        let amplitude = amplitude.clamp(0.0, 1.0);
        let components = vec![Component { from_hz: hz, to_hz: hz }];
        let segment = Segment { components, from_amplitude: amplitude, to_amplitude: amplitude, duration_ms: 1000 };
        Self { segments: vec![segment] }
    }

    /// The two frequencies of a key, on for `on_ms` and off for `off_ms` (ITU-T Q.23). `None` when there
    /// is no such key.
    #[must_use]
    pub fn dtmf(digit: char, on_ms: u32, off_ms: u32) -> Option<Self> {
        const ROWS: [&str; 4] = ["123A", "456B", "789C", "*0#D"];
        const LOW: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
        const HIGH: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
        let digit = digit.to_ascii_uppercase();
        let find = |row: &&str| row.find(digit);
        let row = ROWS.iter().position(|row| find(row).is_some())?;
        let column = ROWS.get(row).and_then(find)?;
        let pair = [*LOW.get(row)?, *HIGH.get(column)?];
        let components = pair.map(|hz| Component { from_hz: hz, to_hz: hz }).to_vec();
        let chord = Chord { components, from_amplitude: 0.25, to_amplitude: 0.25 };
        let mut segments = vec![chord.for_ms(on_ms.clamp(1, MAX_SEGMENT_MS))];
        if off_ms > 0 {
            segments.push(Chord::SILENCE.for_ms(off_ms.min(MAX_SEGMENT_MS)));
        }
        Some(Self { segments })
    }

    /// The segments, at least one.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// How long it takes until the tone repeats, in milliseconds.
    #[must_use]
    pub fn period_ms(&self) -> u32 {
        // 64 segments of ten minutes fit.
        self.segments.iter().map(|segment| segment.duration_ms).sum()
    }
}

impl core::str::FromStr for Tone {
    type Err = ToneError;

    fn from_str(text: &str) -> Result<Self, ToneError> {
        Self::parse(text)
    }
}

/// A segment that does not know its length yet.
struct Chord {
    components: Vec<Component>,
    from_amplitude: f32,
    to_amplitude: f32,
}

impl Chord {
    const SILENCE: Self = Self { components: Vec::new(), from_amplitude: 0.0, to_amplitude: 0.0 };

    fn parse(text: &str) -> Result<Self, ToneError> {
        if text.contains(['x', 'X']) {
            return Err(ToneError::Modulation(text.to_owned()));
        }
        let (frequencies, amplitude) = match text.split_once('*') {
            Some((frequencies, amplitude)) => (frequencies, Some(amplitude)),
            None => (text, None),
        };
        let (from_amplitude, to_amplitude) = match amplitude {
            Some(text) => ramp(text, 1.0).ok_or_else(|| ToneError::Amplitude(text.to_owned()))?,
            None => (1.0, 1.0),
        };
        let mut components = Vec::new();
        for word in frequencies.split('+') {
            let (from_hz, to_hz) = ramp(word, MAX_FREQUENCY_HZ).ok_or_else(|| ToneError::Frequency(word.to_owned()))?;
            if from_hz == 0.0 && to_hz == 0.0 {
                continue;
            }
            if components.len() == MAX_COMPONENTS {
                return Err(ToneError::TooManyComponents(text.to_owned()));
            }
            components.push(Component { from_hz, to_hz });
        }
        Ok(Self { components, from_amplitude, to_amplitude })
    }

    fn for_ms(&self, duration_ms: u32) -> Segment {
        Segment {
            components: self.components.clone(),
            from_amplitude: self.from_amplitude,
            to_amplitude: self.to_amplitude,
            duration_ms,
        }
    }
}

/// `a` or `a~b`, each from 0 to `max`.
fn ramp(text: &str, max: f32) -> Option<(f32, f32)> {
    let number = |text: &str| {
        let value: f32 = text.trim().parse().ok()?;
        (0.0..=max).contains(&value).then_some(value)
    };
    match text.split_once('~') {
        Some((from, to)) => Some((number(from)?, number(to)?)),
        None => number(text).map(|value| (value, value)),
    }
}

fn parse_cadence(text: &str) -> Result<u32, ToneError> {
    let value = text.trim().parse().ok().filter(|ms| (1..=MAX_SEGMENT_MS).contains(ms));
    value.ok_or_else(|| ToneError::Cadence(text.to_owned()))
}
