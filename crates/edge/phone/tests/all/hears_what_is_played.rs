//! Media of a call: what one phone plays is what the other hears.

use crate::line::{Line, config, end, millis, seconds, tones};
use hookswitch_codec::{pcma, pcmu};
use hookswitch_phone::{EndCause, Event, PhoneConfig, Sound};

fn playing(alice: Sound, bob: Sound) -> Line {
    Line::new(
        PhoneConfig { sound: alice, ..config("alice") },
        PhoneConfig { sound: bob, record: true, ..config("bob") },
    )
}

#[test]
fn tones_arrive_at_both_ends_at_their_level() {
    let mut line = playing(Sound::tone(440.0), Sound::Tone { hz: 1000.0, level_dbfs: -20.0 });
    line.dial().pass(seconds(3));
    let (alice, bob) = (tones(&line.alice_heard), tones(&line.bob_heard));
    assert!(alice.len() >= 13 && bob.len() >= 13, "{} and {}", alice.len(), bob.len());
    assert!(alice.iter().all(|heard| heard.is_tone(1000.0, -21.0) && heard.level_dbfs < -19.0), "{alice:?}");
    assert!(bob.iter().all(|heard| heard.is_tone(440.0, -13.0)), "{bob:?}");
    assert!(!bob[0].is_tone(1000.0, -60.0));
}

#[test]
fn every_codec_carries_it() {
    for codec in [pcmu(), pcma()] {
        let alice = PhoneConfig { codecs: vec![codec], sound: Sound::tone(620.0), ..config("alice") };
        let mut line = Line::new(alice, config("bob"));
        line.dial().pass(seconds(1));
        assert!(matches!(line.bob_heard[1], Event::Answered { codec: named, .. } if named == codec.name));
        assert!(tones(&line.bob_heard)[1].is_tone(620.0, -14.0));
    }
}

#[test]
fn no_common_codec_ends_the_call_with_488() {
    let alice = PhoneConfig { codecs: vec![pcmu()], ..config("alice") };
    let bob = PhoneConfig { codecs: vec![pcma()], ..config("bob") };
    let mut line = Line::new(alice, bob);
    line.dial().pass(seconds(1));
    assert!(matches!(end(&line.alice_heard), Some(EndCause::Refused { status: 488, .. })));
    assert!(matches!(end(&line.bob_heard), Some(EndCause::Media(_))));
}

#[test]
fn samples_are_recorded_as_they_were_played() {
    // A ramp that µ-law keeps exactly comparable: every sample survives as the same code.
    let played: Vec<i16> = (0..8000).map(|i| ((i % 200) * 100 - 10_000) as i16).collect();
    let mut line = playing(Sound::Samples(played.clone().into()), Sound::Nothing);
    line.dial().pass(seconds(2));
    assert!(line.alice_heard.contains(&Event::Played));
    let recorded = line.bob.take_recording().unwrap();
    let code =
        |samples: &[i16]| samples.iter().map(|s| hookswitch_codec::g711::ulaw_from_linear(*s)).collect::<Vec<_>>();
    assert_eq!(code(&recorded[..8000]), code(&played));
    assert!(recorded[8000..].iter().all(|sample| sample.unsigned_abs() < 16), "silence behind it");
}

#[test]
fn lost_packets_are_counted_and_leave_silence() {
    let mut line = playing(Sound::tone(440.0), Sound::Nothing);
    line.lose_rtp = Some(10);
    line.dial().pass(millis(4_050));
    line.alice.hang_up(line.now).unwrap();
    line.pass(seconds(1));
    let Some(Event::Ended { stats, .. }) = line.bob_heard.last() else { panic!("{:?}", line.bob_heard) };
    assert!((18..=20).contains(&stats.lost), "{stats:?}");
    let recorded = line.bob.take_recording().unwrap();
    assert!(recorded.len() as u64 >= (stats.received + stats.lost - 1) * 160);
}

#[test]
fn a_late_offer_is_answered_in_the_ack() {
    let alice = PhoneConfig { late_offer: true, sound: Sound::tone(440.0), ..config("alice") };
    let bob = PhoneConfig { sound: Sound::tone(800.0), ..config("bob") };
    let mut line = Line::new(alice, bob);
    line.dial().pass(seconds(2));
    assert!(line.drawn.contains("200 OK (INVITE) (SDP)") && line.drawn.contains("(SDP) ─"), "{}", line.drawn);
    assert!(line.drawn.lines().any(|row| row.contains("ACK sip:") && row.contains("(SDP)")), "{}", line.drawn);
    assert!(tones(&line.alice_heard)[1].is_tone(800.0, -14.0));
    assert!(tones(&line.bob_heard)[1].is_tone(440.0, -14.0));
}

#[test]
fn hold_stops_one_direction_and_unhold_brings_it_back() {
    let mut line = playing(Sound::tone(440.0), Sound::tone(800.0));
    line.dial().pass(seconds(1));
    line.alice.hold(line.now, hookswitch_phone::Hold::On).unwrap();
    line.pass(seconds(1));
    assert!(line.bob_heard.contains(&Event::Changed { sends: false, receives: true }), "{:?}", line.bob_heard);
    let before = (tones(&line.alice_heard).len(), tones(&line.bob_heard).len());
    line.pass(seconds(2));
    assert_eq!(tones(&line.alice_heard).len(), before.0, "bob is silent");
    assert!(tones(&line.bob_heard).len() >= before.1 + 9, "alice is not");
    line.alice.hold(line.now, hookswitch_phone::Hold::Off).unwrap();
    line.pass(seconds(2));
    assert!(tones(&line.alice_heard).len() >= before.0 + 8);
}
