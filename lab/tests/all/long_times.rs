//! Hours: registrations are refreshed, nonces and timers come and go, calls last.

use hookswitch_lab::{Audio, Lab, Weather, seconds};
use hookswitch_phone::Sound;
use hookswitch_sip::Transport;

const HOUR: u64 = 3_600;

#[test]
fn registrations_are_refreshed_all_day() {
    let mut lab = Lab::new();
    let alice = lab.phone_with("alice", |phone| phone.expires = seconds(60));
    let bob = lab.phone_with("bob", |phone| phone.transport = Transport::Tcp);
    let carol = lab.phone_behind_nat("carol", |phone| phone.expires = seconds(300));
    let phones = [alice, bob, carol];
    phones.iter().for_each(|phone| lab.register(*phone));
    for _ in 0..3 {
        lab.pass(seconds(4 * HOUR));
        assert_eq!(lab.counts().bindings, 3);
        for (caller, callee, name) in [(alice, bob, "bob"), (bob, carol, "carol"), (carol, alice, "alice")] {
            lab.dial(caller, name);
            lab.pass(seconds(1));
            lab.assert_talking(caller, callee);
            lab.hang_up(callee);
            lab.pass(seconds(1));
        }
    }
    phones.iter().for_each(|phone| lab.unregister(*phone));
    lab.finish();
}

#[test]
fn a_call_in_which_nobody_speaks_lasts_all_day_where_no_time_is_set() {
    let mut lab = Lab::with_switch(|switch| switch.media.idle_after = seconds(0));
    lab.set_audio(Audio::Unchecked);
    let [alice, bob] = lab.registered_with(["alice", "bob"], |phone| phone.sound = Sound::Nothing);
    lab.dial(alice, "bob");
    lab.pass(seconds(24 * HOUR));
    assert!(lab.talks(alice) && lab.talks(bob));
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn registrations_survive_days_of_rain() {
    let mut lab = Lab::new();
    let phones = lab.registered_with(["alice", "bob"], |phone| phone.expires = seconds(300));
    lab.set_weather(Weather::RAIN);
    for _ in 0..2 {
        lab.pass(seconds(12 * HOUR));
        assert_eq!(lab.counts().bindings, 2);
    }
    lab.set_weather(Weather::CLEAR);
    lab.pass(seconds(60));
    lab.dial(phones[0], "bob");
    lab.pass(seconds(2));
    lab.assert_talking(phones[0], phones[1]);
    lab.hang_up(phones[0]);
    lab.finish();
}

#[test]
fn phones_that_are_gone_are_forgotten() {
    let mut lab = Lab::new();
    let phones = lab.registered(["alice", "bob", "carol"]);
    lab.vanish(phones[1]);
    lab.kill(phones[2]);
    lab.pass(seconds(2 * HOUR));
    assert_eq!(lab.counts().bindings, 1);
    lab.finish();
}
