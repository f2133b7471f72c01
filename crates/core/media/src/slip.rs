//! Making sound a little shorter or longer without a click.
//!
//! Some milliseconds are left out or said twice where the sound is most like itself that much later, which in a voice
//! or a tone is a whole number of its periods; the two ends are faded into each other.

/// Shortest and longest piece, in milliseconds: periods of voices from 200 to 66 Hz.
const SHORTEST_MS: usize = 5;
const LONGEST_MS: usize = 15;

/// The two ends are faded into each other over so many milliseconds.
const FADE_MS: usize = 5;

/// Samples per second at which likeness is looked for: finer would cost more and find nothing better.
const LOOK_RATE: usize = 8_000;

/// So many milliseconds are needed of what is to be changed.
pub(crate) const NEEDED_MS: u32 = (LONGEST_MS + FADE_MS) as u32;

/// Leaves a piece out; how many samples that were. 0 if there is too little.
pub(crate) fn shorten(sound: &mut Vec<i16>, rate: u32) -> usize {
    let Some((piece, fade)) = most_alike(sound, rate) else { return 0 };
    for place in 0..fade {
        sound[place] = between(sound[place], sound[piece + place], place, fade);
    }
    sound.drain(fade..fade + piece);
    piece
}

/// Says a piece twice; how many samples that were. 0 if there is too little.
pub(crate) fn lengthen(sound: &mut Vec<i16>, rate: u32) -> usize {
    let Some((piece, fade)) = most_alike(sound, rate) else { return 0 };
    let length = sound.len();
    sound.resize(length + piece, 0);
    sound.copy_within(..length, piece);
    // What came after the piece fades into its beginning. It is no shorter than the fade, so nothing is read that was
    // written here.
    for place in 0..fade {
        let (first, again) = (sound[2 * piece + place], sound[piece + place]);
        sound[piece + place] = between(first, again, place, fade);
    }
    piece
}

/// After how many samples the sound is most like its beginning, and how many of them are to be faded.
fn most_alike(sound: &[i16], rate: u32) -> Option<(usize, usize)> {
    let in_samples = |ms: usize| rate as usize * ms / 1_000;
    let (shortest, longest, fade) = (in_samples(SHORTEST_MS), in_samples(LONGEST_MS), in_samples(FADE_MS));
    if fade == 0 || sound.len() < longest + fade {
        return None;
    }
    let stride = (rate as usize / LOOK_RATE).max(1);
    let unlike = |piece: &usize| -> i64 {
        let later = sound[*piece..*piece + fade].iter().step_by(stride);
        sound.iter().step_by(stride).zip(later).map(|(now, later)| (i64::from(*now) - i64::from(*later)).abs()).sum()
    };
    let piece = (shortest..=longest).step_by(stride).min_by_key(unlike)?;
    Some((piece, fade))
}

/// On the way from one sample to another.
fn between(from: i16, to: i16, place: usize, of: usize) -> i16 {
    let (from, to) = (i64::from(from), i64::from(to));
    (from + (to - from) * (place as i64 + 1) / (of as i64 + 1)) as i16
}
