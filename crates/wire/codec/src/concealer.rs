//! Making up for audio that is lost: the last period of the voice once more, and ever softer.
//!
//! As ITU-T G.711 Appendix I does it, for any sample rate and without its delay of 3.75 ms: what has been
//! played cannot be changed any more, so the step to the first period that is repeated is levelled out
//! in the samples after it.
//!
//! ```text
//!   heard:  …╱╲╱╲╱╲│ lost │ heard again
//!   played: …╱╲╱╲╱╲│╱╲╱╲  ╲╱ the made-up voice fades into the real one
//! ```

/// Lowest and highest rate, in Hz; others are taken for the nearer one.
const RATES: (u32, u32) = (8_000, 48_000);

/// Shortest and longest period that is looked for, in units of [`PARTS`]: 200 Hz and 66 Hz. A higher voice is
/// found by a multiple of its period.
const PERIODS: (u32, u32) = (20, 60);

/// What has to be alike in two periods for their distance to be one, in the same units: 20 ms.
const WINDOW: u32 = 80;

/// Parts of a second in which the period is looked for first, before it is found to the sample.
const PARTS: u32 = 4_000;

/// Most periods that are repeated before the first one comes again: one alone for long is a buzz.
const MOST_PERIODS: usize = 3;

/// After so many milliseconds a further period is repeated, and the voice becomes softer.
const STEP_MS: u32 = 10;

/// Nothing is left of it after so many more.
const FADE_MS: u32 = 50;

/// What is made up fades into what is heard within a quarter of a period, and so much more for each
/// step that was lost, in units of [`PARTS`]: 4 ms, up to 10 ms.
const JOIN_PER_STEP: u32 = 16;
const LONGEST_JOIN: u32 = 40;

/// Makes up for what is lost of one stream of samples.
#[derive(Debug, Clone)]
pub struct Concealer {
    rate: u32,
    /// The newest samples that were played, the oldest first.
    history: Box<[i16]>,
    /// The same at [`PARTS`] per second, while a period is looked for.
    coarse: Box<[f32]>,
    repeated: Option<Repeated>,
}

/// A voice that goes on after it was lost.
#[derive(Debug, Clone)]
struct Repeated {
    /// What is repeated: the last periods before the loss, and a quarter of one before them.
    samples: Box<[i16]>,
    period: usize,
    /// The next sample of them.
    at: usize,
    /// Where it goes on after the last one.
    next_start: usize,
    /// The step between what was played last and what would lead to the first sample.
    step: i32,
    /// Samples made up so far.
    count: u32,
}

impl Concealer {
    /// For a stream of which nothing has come. The rate is in Hz, from 8000 to 48000.
    #[must_use]
    pub fn new(sample_rate: u32) -> Self {
        let rate = sample_rate.clamp(RATES.0, RATES.1);
        let length = samples(rate, MOST_PERIODS as u32 * PERIODS.1 + PERIODS.1 / 4 + 1);
        let coarse = (WINDOW + PERIODS.1) as usize;
        Self { rate, history: vec![0; length].into(), coarse: vec![0.0; coarse].into(), repeated: None }
    }

    /// Takes note of audio that has come. The beginning of what comes after a loss is changed, so that no
    /// click is heard.
    pub fn good(&mut self, frame: &mut [i16]) {
        if let Some(mut repeated) = self.repeated.take() {
            let length = repeated.join(self.rate).min(frame.len());
            for (n, sample) in frame.iter_mut().take(length).enumerate() {
                let real = (n + 1) as f32 / (length + 1) as f32;
                *sample = mix(repeated.next(self.rate), *sample, real);
            }
        }
        self.remember(frame);
    }

    /// Makes up for audio that has not come; after 60 ms with silence.
    pub fn lost(&mut self, out: &mut [i16]) {
        let mut repeated = match self.repeated.take() {
            Some(repeated) => repeated,
            None => self.repeat(),
        };
        for place in &mut *out {
            *place = repeated.next(self.rate);
        }
        self.repeated = Some(repeated);
        self.remember(out);
    }

    fn remember(&mut self, frame: &[i16]) {
        let length = self.history.len();
        let frame = &frame[frame.len().saturating_sub(length)..];
        self.history.copy_within(frame.len().., 0);
        self.history[length - frame.len()..].copy_from_slice(frame);
    }

    #[cold]
    fn repeat(&mut self) -> Repeated {
        let period = self.period();
        let quarter = period / 4;
        let kept = MOST_PERIODS * period + quarter;
        // The history was made for the longest period.
        let samples: Box<[i16]> = self.history[self.history.len() - kept..].into();
        let last = |back: usize| i32::from(samples[kept - back]);
        let step = last(1) - last(period + 1);
        let at = kept - period;
        Repeated { samples, period, at, next_start: at, step, count: 0 }
    }

    /// How many samples the voice takes to come round.
    fn period(&mut self) -> usize {
        let step = (self.rate / PARTS) as usize;
        let newest = &self.history[self.history.len() - self.coarse.len() * step..];
        for (place, part) in self.coarse.iter_mut().zip(newest.chunks_exact(step)) {
            *place = part.iter().map(|sample| f32::from(*sample)).sum::<f32>() / step as f32;
        }
        let coarse = &self.coarse;
        let found = best(PERIODS.0 as usize..=PERIODS.1 as usize, |lag| likeness(coarse, WINDOW as usize, lag));
        let window = samples(self.rate, WINDOW);
        let (least, most) = (samples(self.rate, PERIODS.0), samples(self.rate, PERIODS.1));
        let around = (found * step).saturating_sub(step).max(least)..=(found * step + step).min(most);
        let history = &self.history;
        best(around, |lag| likeness(history, window, lag))
    }
}

impl Repeated {
    fn next(&mut self, rate: u32) -> i16 {
        let quarter = self.period / 4;
        let end = self.samples.len();
        if self.at >= end {
            self.at = self.next_start;
        }
        let left = end - self.at;
        if left == quarter {
            // From here on what is played leads over to where it goes on.
            let steps = (self.count / (rate * STEP_MS / 1_000)) as usize;
            self.next_start = end - (steps + 1).min(MOST_PERIODS) * self.period;
        }
        let mut value = f32::from(self.samples[self.at]);
        if left <= quarter {
            let over = (quarter - left + 1) as f32 / (quarter + 1) as f32;
            value += (f32::from(self.samples[self.next_start - left]) - value) * over;
        }
        if (self.count as usize) < quarter {
            value += self.step as f32 * (1.0 - (self.count + 1) as f32 / (quarter + 1) as f32);
        }
        value *= self.gain(rate);
        self.at += 1;
        self.count = self.count.saturating_add(1);
        value as i16
    }

    fn gain(&self, rate: u32) -> f32 {
        let per_ms = rate / 1_000;
        let fading = self.count.saturating_sub(STEP_MS * per_ms);
        (1.0 - fading as f32 / (FADE_MS * per_ms) as f32).max(0.0)
    }

    /// Samples in which it fades into what is heard again.
    fn join(&self, rate: u32) -> usize {
        let steps = self.count.div_ceil(rate * STEP_MS / 1_000);
        let longer = samples(rate, JOIN_PER_STEP.saturating_mul(steps.saturating_sub(1)).min(LONGEST_JOIN));
        (self.period / 4 + longer).min(samples(rate, LONGEST_JOIN))
    }
}

fn samples(rate: u32, parts: u32) -> usize {
    (u64::from(rate) * u64::from(parts) / u64::from(PARTS)) as usize
}

fn mix(from: i16, to: i16, part: f32) -> i16 {
    (f32::from(from) + (f32::from(to) - f32::from(from)) * part) as i16
}

fn best(lags: impl Iterator<Item = usize>, likeness: impl Fn(usize) -> f32) -> usize {
    let with = lags.map(|lag| (lag, likeness(lag)));
    // Of equal ones the shortest.
    with.reduce(|a, b| if b.1 > a.1 { b } else { a }).map_or(1, |(lag, _)| lag)
}

/// How alike the last samples are to those so far before them.
fn likeness<T: Copy + Into<f32>>(samples: &[T], window: usize, lag: usize) -> f32 {
    let now = &samples[samples.len() - window..];
    let before = &samples[samples.len() - window - lag..];
    let (mut product, mut energy) = (0.0f32, 1.0f32);
    for (now, before) in now.iter().zip(before) {
        let (now, before) = ((*now).into(), (*before).into());
        product += now * before;
        energy += before * before;
    }
    product / energy.sqrt()
}
