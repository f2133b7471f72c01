//! Where a soup is, and what comes next.

use hookswitch_call::{MAX_SOUNDS, Soup};

/// Where a soup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Which of its sounds.
    pub sound: usize,
    /// How often that has been played.
    pub played: u32,
    /// How often the whole has been.
    pub round: u32,
}

/// What comes after a place, if anything does.
pub fn after(soup: &Soup, place: Place) -> Option<Place> {
    let played = place.played.saturating_add(1);
    match soup.sounds.get(place.sound) {
        Some(sound) if sound.plays.goes_on_after(played) => Some(Place { played, ..place }),
        _ => after_sound(soup, place),
    }
}

/// The same, however often the sound was to be played.
pub fn after_sound(soup: &Soup, place: Place) -> Option<Place> {
    let sound = place.sound + 1;
    if sound < soup.sounds.len().min(MAX_SOUNDS) {
        return Some(Place { sound, played: 0, round: place.round });
    }
    let round = place.round.saturating_add(1);
    soup.plays.goes_on_after(round).then_some(Place { sound: 0, played: 0, round })
}
