//! The lab itself: what it would not forgive.

use hookswitch_lab::{Audio, Lab, seconds};

fn talking() -> Lab {
    let mut lab = Lab::new();
    let [alice, _bob] = lab.registered(["alice", "bob"]);
    lab.dial(alice, "bob");
    lab.pass(seconds(2));
    lab
}

#[test]
#[should_panic(expected = "still has a call")]
fn a_call_that_does_not_end() {
    talking().finish();
}

#[test]
#[should_panic(expected = "should have heard")]
fn audio_that_goes_one_way_only() {
    let mut lab = Lab::new();
    let [alice, bob] = lab.registered(["alice", "bob"]);
    let from_bob = lab.handset(bob).phone_address();
    lab.lose(move |letter| letter.from == from_bob);
    lab.dial(alice, "bob");
    lab.pass(seconds(3));
    lab.hang_up(alice);
    lab.finish();
}

#[test]
#[should_panic(expected = "did not hear")]
fn the_same_where_phones_listen_for_themselves() {
    let mut lab = Lab::new();
    lab.set_audio(Audio::Heard);
    let [alice, bob] = lab.registered(["alice", "bob"]);
    let from_alice = lab.handset(alice).phone_address();
    lab.lose(move |letter| letter.from == from_alice);
    lab.dial(alice, "bob");
    lab.pass(seconds(3));
    lab.hang_up(bob);
    lab.finish();
}

#[test]
#[should_panic(expected = "never came true")]
fn something_that_never_happens() {
    let mut lab = Lab::new();
    let phone = lab.phone_with("nobody", |_| {});
    lab.register(phone);
}

#[test]
fn the_same_seed_plays_the_same_game() {
    let play = || {
        let mut lab = Lab::with(7, hookswitch_lab::Weather::STORM, hookswitch_lab::SwitchConfig::default());
        let [alice, bob] = lab.registered(["alice", "bob"]);
        lab.dial(alice, "bob");
        lab.pass(seconds(5));
        lab.hang_up(bob);
        lab.pass(seconds(5));
        lab.told().iter().map(|told| (told.at, format!("{:?}", told.event))).collect::<Vec<_>>()
    };
    let first = play();
    assert!(first.len() > 4);
    assert_eq!(first, play());
}
