//! Services of the switch itself: sip:echo and sip:tone, and those that are configured.

use std::sync::Arc;

use hookswitch_b2bua::Configured;
use hookswitch_call::{Address, Attendant, Collect, Menu, Plays, Sound, SoundKind, Soup, Then};
use hookswitch_lab::{Lab, millis, seconds};
use hookswitch_phone::{EndCause, Keys};
use hookswitch_sip::Transport;

/// The reference tone: 1004 Hz at -16 dBm0, which is -19.17 dB below full scale.
const REFERENCE_HZ: f32 = 1_004.0;
const REFERENCE_DBFS: f32 = -19.17;

#[test]
fn echo_sends_back_what_it_hears() {
    let mut lab = Lab::new();
    let [alice] = lab.registered(["alice"]);
    lab.dial(alice, "echo");
    lab.pass(seconds(2));
    lab.assert_hears(alice, alice);
    lab.hang_up(alice);
    lab.finish();
}

#[test]
fn echo_over_tcp_for_several_at_once() {
    let mut lab = Lab::new();
    let phones = lab.registered_with(["alice", "bob", "carol"], |phone| phone.transport = Transport::Tcp);
    phones.iter().for_each(|phone| lab.dial(*phone, "echo"));
    lab.pass(seconds(2));
    phones.iter().for_each(|phone| lab.assert_hears(*phone, *phone));
    phones.iter().for_each(|phone| lab.hang_up(*phone));
    lab.finish();
}

#[test]
fn tone_plays_the_reference_until_the_caller_hangs_up() {
    let mut lab = Lab::new();
    let [alice] = lab.registered(["alice"]);
    lab.dial(alice, "tone");
    lab.pass(seconds(2));
    let heard = lab.heard(alice, lab.now() - seconds(1), lab.now());
    assert!(heard.len() >= 4, "{heard:?}");
    let is_reference = |dbfs: f32| (dbfs - REFERENCE_DBFS).abs() < 0.5;
    assert!(
        heard.iter().all(|heard| heard.is_tone(REFERENCE_HZ, -20.0) && is_reference(heard.level_dbfs)),
        "{heard:?}"
    );
    lab.hang_up(alice);
    let silent_from = lab.now() + millis(30);
    lab.pass(seconds(1));
    assert!(lab.heard(alice, silent_from, lab.now()).is_empty());
    lab.finish();
}

#[test]
fn an_application_can_connect_a_phone_with_a_service() {
    for service in ["echo", "tone"] {
        let mut lab = Lab::new();
        let [alice] = lab.registered(["alice"]);
        let app = lab.app();
        lab.start_call(app, "c1", "alice", service);
        lab.pass(seconds(2));
        match service {
            "echo" => lab.assert_hears(alice, alice),
            _ => assert!(lab.heard(alice, lab.now() - seconds(1), lab.now())[0].is_tone(REFERENCE_HZ, -20.0)),
        }
        let events = lab.heard_by(app).events("c1");
        assert_eq!(events.last(), Some(&"Ended"), "{events:?}");
        assert!(events.contains(&"CalleeAnswered"), "{events:?}");
        lab.hang_up(alice);
        lab.finish();
    }
}

/// A lab with a service that plays a tone.
fn lab_with(name: &str, tone: &str, plays: Plays, (menu, then): (Option<Menu>, Then)) -> Lab {
    let sounds = vec![Sound { plays, ..Sound::of(SoundKind::Tone, tone) }];
    let attendant = Attendant { play: Arc::new(Soup { sounds, ..Soup::default() }), menu, record: None, then };
    Lab::with_switch(|config| {
        config.shard.b2bua.services.insert(name.into(), Configured::Attendant(Arc::new(attendant)));
    })
}

#[test]
fn an_announcement_is_heard_and_then_the_switch_hangs_up() {
    let mut lab = lab_with("welcome", "600*0.25:3000", Plays::ONCE, (None, Then::Hangup));
    let [alice] = lab.registered(["alice"]);
    lab.dial(alice, "welcome");
    lab.pass(seconds(2));
    let heard = lab.heard(alice, lab.now() - seconds(1), lab.now());
    assert!(heard.len() >= 4 && heard.iter().all(|heard| heard.is_tone(600.0, -20.0)), "{heard:?}");
    lab.pass(seconds(2));
    assert!(matches!(lab.end_of(alice), Some(EndCause::PeerHungUp { .. })), "{:?}", lab.end_of(alice));
    lab.finish();
}

#[test]
fn keys_of_either_kind_lead_to_people() {
    for by in [Keys::Rtp, Keys::Info] {
        let collect = Collect { most: 1, terminator: None, pattern: None, first: seconds(5), next: seconds(3) };
        let choices = vec![("1".into(), Address::from("alice")), ("2".into(), Address::from("bob"))];
        let menu = Menu { collect, choices, others: None, invalid: None, tries: 3 };
        let mut lab = lab_with("office", "600*0.25:1000", Plays::Forever, (Some(menu), Then::Hangup));
        let [alice, bob] = lab.registered(["alice", "bob"]);
        lab.dial(alice, "office");
        lab.pass(seconds(3));
        let heard = lab.heard(alice, lab.now() - seconds(1), lab.now());
        assert!(heard.len() >= 4 && heard.iter().all(|heard| heard.is_tone(600.0, -20.0)), "{heard:?}");
        lab.phone_acts(alice, |phone, now| phone.press(now, '2', by)).expect("a call stands");
        lab.pass(seconds(1));
        lab.until("bob is in the call", |lab| lab.talks(bob));
        lab.pass(seconds(2));
        lab.assert_talking(alice, bob);
        lab.hang_up(alice);
        lab.finish();
    }
}
