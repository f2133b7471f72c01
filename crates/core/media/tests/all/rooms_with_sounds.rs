//! Sounds played to one member of a room, and to all.

use std::sync::Arc;
use std::time::Duration;

use crate::hall::{Hall, PARTY};
use hookswitch_call::{
    Audience, MediaOp, MediaReport, Part, PlayControl, PlayEnd, PlayId, PlayNews, Plays, Sound, SoundKind, Soup,
};
use hookswitch_codec::frequency_level;

/// What is played, and by whom it is said in [`level`].
const HZ: f32 = 1_300.0;
const PLAY: PlayId = PlayId(1);

fn soup(sounds: &[&str], plays: Plays) -> Arc<Soup> {
    let sounds = sounds.iter().map(|tone| Sound::of(SoundKind::Tone, tone)).collect();
    Arc::new(Soup { sounds, plays, ..Soup::default() })
}

fn play(hall: &mut Hall, place: usize, soup: Arc<Soup>, to: Audience) {
    let call = hall.members[place].call;
    let op = MediaOp::Play { call, party: PARTY, play: PLAY, soup, to };
    hall.perform(op);
}

/// Two members, and what each hears of the other and of what is played.
fn two() -> Hall {
    let mut hall = Hall::new();
    hall.joins(0, 440.0, Part::default());
    hall.joins(9, 700.0, Part::default());
    hall.pass(400);
    hall
}

fn hears(hall: &Hall, place: usize, hz: f32) -> bool {
    let (sound, rate) = hall.sound(place);
    frequency_level(&sound[rate as usize / 10..], rate, hz) > -40.0
}

fn for_a_second(hall: &mut Hall) {
    hall.pass(60);
    hall.forget();
    hall.pass(1_000);
}

fn ended(hall: &mut Hall) -> Vec<PlayEnd> {
    let news = hall.others.drain(..).filter_map(|report| match report {
        MediaReport::Played { news: PlayNews::Ended(end), .. } => Some(end),
        _ => None,
    });
    news.collect()
}

#[test]
fn a_sound_for_one_member_is_heard_by_it_alone_and_it_is_heard_meanwhile() {
    let mut hall = two();
    play(&mut hall, 0, soup(&["1300:2000"], Plays::ONCE), Audience::Party);
    for_a_second(&mut hall);
    assert!(hears(&hall, 0, HZ) && !hears(&hall, 0, 700.0), "the sound in the place of the others");
    assert!(hears(&hall, 1, 440.0) && !hears(&hall, 1, HZ));
    assert!(hall.members[0].heard.len() <= 51, "one stream, not two");
    hall.pass(1_000);
    for_a_second(&mut hall);
    assert!(hears(&hall, 0, 700.0) && !hears(&hall, 0, HZ), "afterwards it hears the others again");
    assert_eq!(ended(&mut hall), [PlayEnd::Completed]);
    assert_eq!(hall.stage.engine.rooms(), (1, 2));
}

#[test]
fn a_sound_for_a_room_is_heard_by_all_beside_what_is_said() {
    let mut hall = two();
    play(&mut hall, 0, soup(&["1300:1200"], Plays::ONCE), Audience::Room);
    for_a_second(&mut hall);
    assert!(hears(&hall, 0, HZ) && hears(&hall, 0, 700.0), "whose call it is played by");
    assert!(hears(&hall, 1, HZ) && hears(&hall, 1, 440.0), "and the other one");
    hall.pass(400);
    for_a_second(&mut hall);
    assert!(!hears(&hall, 0, HZ) && !hears(&hall, 1, HZ) && hears(&hall, 1, 440.0));
    let news: Vec<_> = hall.others.drain(..).collect();
    let told = |wanted: PlayNews, ms: u64| {
        news.iter().any(|report| {
            matches!(report, MediaReport::Played { play: PLAY, news, position, .. }
                if *news == wanted && *position == Duration::from_millis(ms))
        })
    };
    assert!(told(PlayNews::Started, 0) && told(PlayNews::Ended(PlayEnd::Completed), 1_200), "{news:?}");
}

#[test]
fn a_sound_for_a_room_ends_when_it_is_told_to_and_when_its_member_leaves() {
    let mut hall = two();
    play(&mut hall, 0, soup(&["1300:1000"], Plays::Forever), Audience::Room);
    for_a_second(&mut hall);
    let call = hall.members[0].call;
    hall.perform(MediaOp::ControlPlay { call, party: PARTY, play: PLAY, control: PlayControl::Pause });
    for_a_second(&mut hall);
    assert!(!hears(&hall, 1, HZ), "it stands still");
    hall.perform(MediaOp::ControlPlay { call, party: PARTY, play: PLAY, control: PlayControl::Resume });
    for_a_second(&mut hall);
    assert!(hears(&hall, 1, HZ));
    hall.perform(MediaOp::ControlPlay { call, party: PARTY, play: PLAY, control: PlayControl::Stop });
    for_a_second(&mut hall);
    assert!(!hears(&hall, 1, HZ));
    play(&mut hall, 0, soup(&["1300:1000"], Plays::Forever), Audience::Room);
    hall.pass(200);
    hall.leaves(0);
    for_a_second(&mut hall);
    assert!(!hears(&hall, 1, HZ));
    assert_eq!(ended(&mut hall), [PlayEnd::Stopped, PlayEnd::Closed]);
}

#[test]
fn another_sound_for_the_room_takes_the_place_of_the_first_and_one_for_the_member_does_not() {
    let mut hall = two();
    play(&mut hall, 0, soup(&["1300:1000"], Plays::Forever), Audience::Room);
    let call = hall.members[0].call;
    let (other, own) = (soup(&["1700:1000"], Plays::Forever), soup(&["2100:1000"], Plays::Forever));
    hall.perform(MediaOp::Play { call, party: PARTY, play: PlayId(2), soup: own, to: Audience::Party });
    for_a_second(&mut hall);
    assert!(hears(&hall, 1, HZ) && !hears(&hall, 1, 2_100.0) && hears(&hall, 0, 2_100.0));
    hall.perform(MediaOp::Play { call, party: PARTY, play: PlayId(3), soup: other, to: Audience::Room });
    for_a_second(&mut hall);
    assert!(hears(&hall, 1, 1_700.0) && !hears(&hall, 1, HZ));
    assert_eq!(ended(&mut hall), [PlayEnd::Replaced]);
}

#[test]
fn nothing_is_played_to_the_room_of_somebody_who_is_in_none() {
    let mut hall = two();
    let place = hall.calls(0, 440.0);
    play(&mut hall, place, soup(&["1300:1000"], Plays::ONCE), Audience::Room);
    assert_eq!(ended(&mut hall), [PlayEnd::Failed]);
}
