//! Adding up what is said: sums, the gain that keeps them from clipping, and who is speaking.

/// The loudest that a mix may be: a little below full scale, so that codecs do not clip either.
const LOUDEST: i32 = 32_000;

/// The gain changes in steps of a millisecond.
const STEPS_PER_S: u32 = 1_000;

/// Of what the gain lacks to 1, so much is made up for in each step: half of it in a third of a second. Slow enough not
/// to be heard as breathing between two words.
const RELEASE: f32 = 0.002;

/// Closer to 1 than this is 1: what fits is then passed on as it is, bit by bit.
const CLOSE_ENOUGH: f32 = 0.999;

/// Adds a party's sound to a sum.
pub(crate) fn add(sum: &mut [i32], sound: &[i16]) {
    for (sum, sample) in sum.iter_mut().zip(sound) {
        *sum += i32::from(*sample);
    }
}

/// A sum without a party's own sound.
pub(crate) fn without(sum: &[i32], own: &[i16], out: &mut [i32]) {
    for ((out, sum), own) in out.iter_mut().zip(sum).zip(own) {
        *out = sum - i32::from(*own);
    }
}

/// Lets sound come in from silence over one frame, or go out.
pub(crate) fn ramp(sound: &mut [i16], rises: bool) {
    let length = sound.len() as i32;
    for (place, sample) in (0..).zip(sound.iter_mut()) {
        let part: i32 = if rises { place } else { length - 1 - place };
        // At most the sample itself.
        *sample = (i32::from(*sample) * part / length) as i16;
    }
}

/// The mean square of sound: how loud it is.
pub(crate) fn power(sound: &[i16]) -> u32 {
    let sum: u64 = sound.iter().map(|sample| u64::from(sample.unsigned_abs()).pow(2)).sum();
    // At most 2^30.
    (sum / (sound.len() as u64).max(1)) as u32
}

/// Brings sums of any size into sixteen bits: what fits stays as it is, what is too loud is made quieter as a whole,
/// a moment before it comes, and louder again slowly.
#[derive(Debug, Clone)]
pub(crate) struct Gain {
    gain: f32,
}

impl Gain {
    pub const fn new() -> Self {
        Self { gain: 1.0 }
    }

    /// Brings one frame into range.
    pub fn fit(&mut self, sum: &[i32], rate: u32, out: &mut [i16]) {
        let loudest = sum.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or_default();
        if self.gain >= 1.0 && loudest <= LOUDEST.unsigned_abs() {
            for (out, sum) in out.iter_mut().zip(sum) {
                *out = *sum as i16;
            }
            return;
        }
        let step = (rate / STEPS_PER_S).max(1) as usize;
        let mut steps = sum.chunks(step).zip(out.chunks_mut(step)).peekable();
        let mut gain = steps.peek().map_or(self.gain, |(sum, _)| self.gain.min(room(sum)));
        while let Some((sum, out)) = steps.next() {
            let risen = gain + (1.0 - gain) * RELEASE;
            // By the end of this step it is low enough for the next one.
            let next = steps.peek().map_or(1.0, |(sum, _)| room(sum));
            let end = risen.min(room(sum)).min(next);
            let slope = (end - gain) / step as f32;
            for ((out, sum), place) in out.iter_mut().zip(sum).zip(0u16..) {
                *out = (*sum as f32 * (gain + slope * f32::from(place))) as i16;
            }
            gain = end;
        }
        self.gain = if gain > CLOSE_ENOUGH { 1.0 } else { gain };
    }
}

/// The gain at which sound just fits.
fn room(sum: &[i32]) -> f32 {
    let loudest = sum.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or_default();
    if loudest <= LOUDEST.unsigned_abs() { 1.0 } else { LOUDEST as f32 / loudest as f32 }
}

/// Somebody speaks who is louder than this: -38 dB below full scale, as a mean square.
const LOUD: u32 = 412 * 412;

/// Somebody is silent who is quieter than this: -44 dB.
const QUIET: u32 = 206 * 206;

/// So many loud frames, quiet ones subtracted, and somebody is speaking: 100 ms.
const FRAMES_TO_SPEAK: u8 = 5;

/// So many frames without a loud one, and it is over: 1 s, which bridges the pauses between words.
const FRAMES_TO_END: u8 = 50;

/// Quieter than this nobody is missed: -55 dB.
const FAINT: u32 = 58 * 58;

/// Whether somebody is speaking.
#[derive(Debug, Clone, Default)]
pub(crate) struct Speech {
    loud: u8,
    quiet: u8,
    faint: u8,
    speaking: bool,
}

impl Speech {
    /// Listens to one frame, by its mean square. Tells when somebody begins to speak, or ends.
    pub fn listen(&mut self, power: u32) -> Option<bool> {
        self.faint = if power >= FAINT { 0 } else { self.faint.saturating_add(1) };
        self.loud = if power >= LOUD { (self.loud + 1).min(FRAMES_TO_SPEAK) } else { self.loud.saturating_sub(1) };
        self.quiet = if power >= QUIET { 0 } else { self.quiet.saturating_add(1) };
        let speaks = if self.speaking { self.quiet < FRAMES_TO_END } else { self.loud == FRAMES_TO_SPEAK };
        if !speaks && self.speaking {
            self.loud = 0;
        }
        (std::mem::replace(&mut self.speaking, speaks) != speaks).then_some(speaks)
    }

    /// Nothing has come for a while that anybody would miss.
    pub fn is_faint(&self) -> bool {
        self.faint >= FRAMES_TO_END
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 8_000;

    fn tone(hz: f32, amplitude: f32, from: usize, length: usize) -> Vec<i16> {
        let angle = |place: usize| core::f32::consts::TAU * hz * (from + place) as f32 / RATE as f32;
        (0..length).map(|place| (amplitude * angle(place).sin()) as i16).collect()
    }

    #[test]
    fn what_fits_is_passed_on_bit_by_bit() {
        let (a, b) = (tone(440.0, 15_000.0, 0, 160), tone(650.0, 15_000.0, 0, 160));
        let (mut sum, mut out) = (vec![0; 160], vec![0; 160]);
        add(&mut sum, &a);
        add(&mut sum, &b);
        Gain::new().fit(&sum, RATE, &mut out);
        let exact: Vec<i16> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        assert_eq!(out, exact);
        without(&sum.clone(), &a, &mut sum);
        Gain::new().fit(&sum, RATE, &mut out);
        assert_eq!(out, b, "and without one's own voice only the other is left");
    }

    #[test]
    fn ten_loud_talkers_do_not_clip_whenever_they_begin() {
        let mut gain = Gain::new();
        let mut out = vec![0; 160];
        for frame in 0..200 {
            let mut sum = vec![0; 160];
            // One after the other comes in, in the middle of a frame.
            for talker in 0..(frame / 10).min(10) {
                add(&mut sum, &tone(300.0 + 37.0 * talker as f32, 32_000.0, frame * 160 + 80, 160));
            }
            if frame % 7 == 3 {
                sum[79..].iter_mut().for_each(|sample| *sample *= 3);
            }
            gain.fit(&sum, RATE, &mut out);
            assert!(out.iter().all(|sample| i32::from(*sample).abs() <= LOUDEST), "frame {frame}");
        }
        assert!(power(&out) > 3_000_000, "and they are still loud");
    }

    #[test]
    fn the_gain_comes_back_slowly_and_all_the_way() {
        let mut gain = Gain::new();
        let mut out = vec![0; 160];
        gain.fit(&[64_000; 160], RATE, &mut out);
        let mut before = 0;
        for frame in 0..200 {
            gain.fit(&[10_000; 160], RATE, &mut out);
            let (first, last) = (out[0], out[159]);
            assert!(first >= before && last >= first, "it only rises");
            assert!(last - first < 10_000 / 30, "frame {frame}: and by less than 0.3 dB a frame");
            before = last;
        }
        assert_eq!(out, [10_000; 160]);
    }

    #[test]
    fn a_word_is_not_speech_and_a_pause_not_its_end() {
        let mut speech = Speech::default();
        let loud = power(&tone(440.0, 3_000.0, 0, 160));
        assert!((0..4).all(|_| speech.listen(loud).is_none()), "a knock");
        assert!((0..10).all(|_| speech.listen(0).is_none()));
        let begun: Vec<_> = (0..100).filter_map(|_| speech.listen(loud)).collect();
        assert_eq!(begun, [true]);
        assert!((0..40).all(|_| speech.listen(0).is_none()), "between two words");
        assert!((0..5).all(|_| speech.listen(loud).is_none()));
        let ended: Vec<_> = (0..100).filter_map(|_| speech.listen(0)).collect();
        assert_eq!(ended, [false]);
        assert!(speech.is_faint());
    }

    #[test]
    fn a_ramp_begins_and_ends_at_silence() {
        let mut sound = vec![i16::MIN; 160];
        ramp(&mut sound, true);
        assert_eq!(sound[0], 0);
        assert!(sound.windows(2).all(|pair| pair[0] >= pair[1]), "no step back");
        let mut sound = vec![i16::MAX; 160];
        ramp(&mut sound, false);
        assert_eq!(sound[159], 0);
    }
}
