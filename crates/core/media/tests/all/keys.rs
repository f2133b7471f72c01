//! Keys that are pressed: sent to a party as events or sounds, and told where the other end has no events.

use std::time::Duration;

use crate::stage::{
    self, ALICE, BOB, CALL, CALLEE_LEG, CAROL, NEW_LEG, Sent, Stage, at, is_sent, parse, phone, phone_with, rtp,
};
use hookswitch_call::{Digit, MediaOp, MediaReport, Party, Source};
use hookswitch_codec::frequency_level;
use hookswitch_media::{DropReason, Forward, MAX_KEY_TIME, MAX_KEYS_WAITING, MIN_KEY_TIME};
use hookswitch_rtp::{EventReceiver, EventReport, Header, TelephoneEvent, is_rtcp};

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;

fn media(sent: &[Sent]) -> Vec<&Sent> {
    sent.iter().filter(|packet| !is_rtcp(&packet.bytes)).collect()
}

fn event_in(packet: &Sent) -> TelephoneEvent {
    TelephoneEvent::parse(parse(&packet.bytes).payload()).expect("an event")
}

/// The keys in what was sent and how long each was down, as a phone would hear them.
fn keys_in(sent: &[Sent]) -> Vec<(char, u32)> {
    let mut receiver = EventReceiver::new();
    let mut keys = Vec::new();
    for packet in media(sent) {
        let rtp = parse(&packet.bytes);
        let event = TelephoneEvent::parse(rtp.payload()).expect("an event");
        for report in receiver.packet(packet.at, rtp.marker(), rtp.timestamp(), event) {
            if let EventReport::Ended { event, duration } = report {
                keys.push((TelephoneEvent::digit_of(event).expect("a key"), duration));
            }
        }
    }
    keys
}

/// A call in which Alice speaks every 20 ms; Bob's packets of it are returned with what the engine made.
fn alice_speaks(stage: &mut Stage, first: u16, count: u16) -> Vec<(bool, Header)> {
    let mut heard = Vec::new();
    for n in 0..count {
        let sent = stage.run(20);
        heard.extend(media(&sent).iter().map(|packet| (true, parse(&packet.bytes).header())));
        let mut packet = rtp(0, first + n, 1);
        if is_sent(&stage.send(CALLER, ALICE, &mut packet)) {
            heard.push((false, parse(&packet).header()));
        }
    }
    heard
}

#[test]
fn a_key_is_an_event_with_a_marker_a_growing_duration_and_its_end_three_times() {
    let mut stage = Stage::talking();
    stage.press(CALLEE, '5', 100);
    let sent = stage.run(1_000);
    let sent = media(&sent);
    let packets: Vec<_> = sent.iter().map(|packet| (parse(&packet.bytes).header(), event_in(packet))).collect();
    let durations: Vec<_> = packets.iter().map(|(_, event)| (event.duration, event.end)).collect();
    let expected = [(160, false), (320, false), (480, false), (640, false), (800, true), (800, true), (800, true)];
    assert_eq!(durations, expected);
    let (first, _) = packets[0];
    for (n, (header, event)) in packets.iter().enumerate() {
        assert_eq!(event.event, 5);
        assert_eq!(header.payload_type, 101);
        assert_eq!(header.marker, n == 0);
        assert_eq!(header.timestamp, first.timestamp, "when it began, in all of them");
        assert_eq!(header.sequence, first.sequence.wrapping_add(n as u16));
        assert_eq!(sent[n].to, at(BOB));
        assert_eq!(sent[n].at, sent[0].at + Duration::from_millis(20 * n as u64));
    }
    assert_eq!(stage.engine.next_tick(), None, "nothing is left to do");
}

#[test]
fn during_a_key_nobody_else_is_heard_and_afterwards_the_audio_goes_on_in_the_same_stream() {
    let mut stage = Stage::talking();
    let mut heard = alice_speaks(&mut stage, 100, 5);
    stage.press(CALLEE, '#', 100);
    heard.extend(alice_speaks(&mut stage, 105, 20));
    let kinds: Vec<_> = heard.iter().map(|(made, _)| *made).collect();
    let first = kinds.iter().position(|made| *made).expect("the key");
    assert!(kinds[first..first + 7].iter().all(|made| *made), "{kinds:?}");
    assert!(kinds[..first].iter().chain(&kinds[first + 7..]).all(|made| !*made), "{kinds:?}");
    for pair in heard.windows(2) {
        assert_eq!(pair[0].1.ssrc, pair[1].1.ssrc);
        assert_eq!(pair[1].1.sequence, pair[0].1.sequence.wrapping_add(1));
    }
    // The event begins where the audio ended, and the audio goes on by Alice's clock, which has not stopped.
    let (before, event, after) = (heard[first - 1].1, heard[first].1, heard[first + 7].1);
    assert_eq!(event.timestamp, before.timestamp + 160);
    assert!(after.marker);
    let passed = after.timestamp.wrapping_sub(before.timestamp);
    assert_eq!(passed % 160, 0);
    assert!((9 * 160..=11 * 160).contains(&passed), "{passed}");
    assert!(stage.dropped(CALLER, DropReason::NoListener) >= 7);
}

#[test]
fn several_keys_are_sent_one_after_the_other_with_pauses() {
    let mut stage = Stage::talking();
    for key in ['1', '1', '*', 'd'] {
        stage.press(CALLEE, key, 80);
    }
    let sent = stage.run(2_000);
    assert_eq!(keys_in(&sent), [('1', 640), ('1', 640), ('*', 640), ('D', 640)]);
    let sent = media(&sent);
    let markers: Vec<_> = sent.iter().filter(|packet| parse(&packet.bytes).marker()).collect();
    assert_eq!(markers.len(), 4);
    for pair in markers.windows(2) {
        let (one, next) = (parse(&pair[0].bytes), parse(&pair[1].bytes));
        let apart = (pair[1].at - pair[0].at).as_millis();
        assert!(apart >= 80 + 40, "{apart} ms");
        assert_eq!(u128::from(next.timestamp().wrapping_sub(one.timestamp())), apart * 8);
    }
}

#[test]
fn a_key_is_neither_too_short_to_be_heard_nor_longer_than_an_event_can_tell() {
    for (asked, sent_for) in [(0, MIN_KEY_TIME), (39, MIN_KEY_TIME), (3_600_000, MAX_KEY_TIME)] {
        let mut stage = Stage::talking();
        stage.press(CALLEE, '0', asked);
        let sent = stage.run(20_000);
        assert_eq!(keys_in(&sent), [('0', 8 * sent_for.as_millis() as u32)]);
    }
}

#[test]
fn keys_that_wait_are_limited() {
    let mut stage = Stage::talking();
    stage.press(CALLEE, '1', 40);
    // The first is on its way and waits no more.
    stage.run(20);
    for _ in 0..MAX_KEYS_WAITING + 10 {
        stage.press(CALLEE, '2', 40);
    }
    let sent = stage.run(60_000);
    assert_eq!(media(&sent).iter().filter(|packet| parse(&packet.bytes).marker()).count(), MAX_KEYS_WAITING);
    stage.press(CALLEE, '3', 40);
    assert_eq!(keys_in(&stage.run(1_000)), [('3', 320)], "and there is room again");
}

#[test]
fn where_no_events_were_agreed_a_key_is_a_sound_in_every_codec() {
    for (format, number) in [("0", 0), ("8", 8), ("9", 9)] {
        let mut stage = Stage::with(stage::with_g722(), 8);
        stage.connect(&phone(ALICE, format), &phone(BOB, format));
        stage.press(CALLEE, '5', 100);
        let sent = stage.run(1_000);
        let sent = media(&sent);
        assert_eq!(sent.len(), 8, "100 ms of sound and 60 ms of silence");
        let (samples, rate) = stage::heard(number, &sent);
        let (sound, silence) = samples.split_at(rate as usize / 10);
        for hz in [770.0, 1336.0] {
            assert!(frequency_level(sound, rate, hz) > -16.0, "{hz} Hz");
        }
        // The filter of G.722 rings on for 1.5 ms.
        let silence = &silence[if number == 9 { 48 } else { 0 }..];
        assert!(silence.iter().all(|sample| sample.unsigned_abs() <= 64), "{silence:?}");
        for (n, packet) in sent.iter().enumerate() {
            let (rtp, first) = (parse(&packet.bytes), parse(&sent[0].bytes));
            assert_eq!(rtp.marker(), n == 0);
            assert_eq!(rtp.timestamp().wrapping_sub(first.timestamp()), 160 * n as u32);
        }
    }
}

#[test]
fn a_tone_pauses_for_a_key_and_goes_on() {
    let mut stage = Stage::talking();
    stage.hear(CALLEE, Source::Reference);
    stage.run(200);
    stage.press(CALLEE, '7', 100);
    let sent = stage.run(600);
    let sent = media(&sent);
    let keys: Vec<_> = sent.iter().filter(|packet| parse(&packet.bytes).payload_type() == 101).collect();
    assert_eq!(keys.len(), 7);
    let headers: Vec<_> = sent.iter().map(|packet| parse(&packet.bytes).header()).collect();
    for pair in headers.windows(2) {
        assert_eq!((pair[1].ssrc, pair[1].sequence), (pair[0].ssrc, pair[0].sequence.wrapping_add(1)));
    }
    let tone: Vec<_> = sent.iter().filter(|packet| parse(&packet.bytes).payload_type() == 0).collect();
    let resumed = tone.iter().find(|packet| packet.at > keys[6].at).expect("it goes on");
    assert!(parse(&resumed.bytes).marker());
    let (first, then) = (parse(&tone[0].bytes).timestamp(), parse(&resumed.bytes).timestamp());
    assert_eq!(u128::from(then.wrapping_sub(first)), (resumed.at - tone[0].at).as_millis() * 8);
}

#[test]
fn the_first_that_a_party_is_ever_sent_may_be_a_key() {
    let mut stage = Stage::talking();
    stage.press(CALLEE, '1', 60);
    let last = parse(&stage.run(200).last().expect("the key").bytes).header();
    let mut packet = rtp(0, 9, 1);
    assert!(is_sent(&stage.send(CALLER, ALICE, &mut packet)));
    let next = parse(&packet).header();
    assert_eq!((next.ssrc, next.sequence), (last.ssrc, last.sequence.wrapping_add(1)));
}

#[test]
fn what_is_no_key_and_a_key_for_nobody_is_not_sent() {
    let mut stage = Stage::talking();
    stage.press(CALLEE, 'x', 100).press(CALLEE, '€', 100);
    assert_eq!(stage.engine.next_tick(), None);
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0")));
    stage.press(CALLER, '1', 100);
    assert_eq!(stage.engine.next_tick(), None, "there is no session yet");
    let digit = Digit { key: '1', time: Duration::ZERO };
    stage.perform(MediaOp::Digit { call: hookswitch_call::CallId(9), party: CALLER, digit });
}

#[test]
fn keys_for_a_party_that_does_not_listen_are_lost() {
    let mut stage = Stage::talking();
    stage.reoffer(CALLEE, &phone_with(BOB, "0 101", "a=sendonly\r\n")).expect("an answer");
    stage.press(CALLEE, '1', 100);
    assert!(stage.run(1_000).is_empty());
    stage.reoffer(CALLEE, &phone(BOB, "0 101")).expect("an answer");
    assert!(stage.run(1_000).is_empty(), "and do not come later");
}

#[test]
fn keys_go_with_whoever_is_swapped_out_no_further() {
    let mut stage = Stage::talking();
    stage.open_spare(CALLEE);
    stage.make_offer(stage::NEW_SEAT, NEW_LEG).expect("an offer");
    stage.accept(stage::NEW_SEAT, NEW_LEG, &phone(CAROL, "0 101")).expect("usable");
    stage.press(CALLEE, '1', 1_000);
    stage.run(100);
    stage.swap(CALLEE);
    assert!(stage.run(2_000).is_empty());
    stage.press(CALLEE, '2', 100);
    let sent = stage.run(1_000);
    assert!(sent.iter().all(|packet| packet.to == at(CAROL)));
    assert_eq!(keys_in(&sent), [('2', 800)]);
}

/// Alice has agreed to events; Carol, who has taken Bob's place, takes none.
fn without_events() -> Stage {
    let mut stage = Stage::talking();
    stage.open_spare(CALLEE);
    stage.make_offer(stage::NEW_SEAT, NEW_LEG).expect("an offer");
    stage.accept(stage::NEW_SEAT, NEW_LEG, &phone(CAROL, "0")).expect("usable");
    stage.swap(CALLEE).close_spare();
    stage
}

/// A packet of a key that has been down for so many ticks.
fn key(sequence: u16, event: u8, timestamp: u32, duration: u16, end: bool) -> Vec<u8> {
    let payload = TelephoneEvent { event, end, volume: 10, duration }.to_bytes();
    let header = Header { marker: duration == 160, payload_type: 101, sequence, timestamp, ssrc: 1 };
    let mut bytes = vec![0; 16];
    header.write_packet(&payload, &mut bytes).expect("room");
    bytes
}

fn pressed(key: char, ms: u64) -> MediaReport {
    let digit = Digit { key, time: Duration::from_millis(ms) };
    MediaReport::Digit { call: CALL, party: CALLER, digit, passed: false }
}

#[test]
fn a_key_is_told_once_where_the_other_end_takes_no_events() {
    let mut stage = without_events();
    for (n, (duration, end)) in
        [(160, false), (320, false), (480, false), (480, true), (480, true), (480, true)].into_iter().enumerate()
    {
        stage.wait(20);
        let forward = stage.send(CALLER, ALICE, &mut key(n as u16, 10, 5_000, duration, end));
        assert_eq!(forward, Forward::Drop(DropReason::Consumed));
        stage.reports();
    }
    assert_eq!(stage.take_news(), [pressed('*', 60)]);
    // The network repeats the end once more.
    stage.send(CALLER, ALICE, &mut key(5, 10, 5_000, 480, true));
    stage.run(5_000);
    stage.reports();
    assert_eq!(stage.take_news(), []);
    stage.send(CALLER, ALICE, &mut key(9, 10, 95_000, 800, true));
    stage.reports();
    assert_eq!(stage.take_news(), [pressed('*', 100)], "the same key once more");
}

#[test]
fn a_key_whose_end_is_lost_is_told_all_the_same() {
    let mut stage = without_events();
    stage.send(CALLER, ALICE, &mut key(1, 3, 5_000, 160, false));
    stage.send(CALLER, ALICE, &mut key(2, 3, 5_000, 320, false));
    stage.reports();
    assert_eq!(stage.take_news(), []);
    stage.run(1_000);
    stage.reports();
    assert_eq!(stage.take_news(), [pressed('3', 40)]);
    assert_eq!(stage.engine.next_tick(), None);
}

#[test]
fn a_key_that_is_down_during_a_swap_is_nobodys_and_the_next_one_is_told() {
    let mut stage = Stage::talking();
    stage.reoffer(CALLEE, &phone(BOB, "0")).expect("an answer");
    stage.open_spare(CALLER);
    stage.make_offer(stage::NEW_SEAT, NEW_LEG).expect("an offer");
    stage.accept(stage::NEW_SEAT, NEW_LEG, &phone(CAROL, "0")).expect("usable");
    stage.send(CALLER, ALICE, &mut key(1, 3, 5_000, 160, false));
    stage.swap(CALLER).run(1_000);
    stage.swap(CALLER);
    stage.send(CALLER, ALICE, &mut key(2, 4, 50_000, 160, false));
    stage.run(1_000);
    stage.reports();
    assert_eq!(stage.take_news(), [pressed('4', 20)]);
}

#[test]
fn what_is_no_key_and_what_strangers_press_is_not_told() {
    let mut stage = without_events();
    // A flash.
    stage.send(CALLER, ALICE, &mut key(1, 16, 5_000, 160, true));
    stage.send(CALLER, "203.0.113.66:666", &mut key(2, 1, 6_000, 160, true));
    let mut short = key(3, 1, 7_000, 160, true);
    short.truncate(14);
    stage.send(CALLER, ALICE, &mut short);
    stage.reports();
    assert_eq!(stage.take_news(), []);
}

#[test]
fn a_flash_is_sent_as_an_event_and_left_out_where_there_are_none() {
    let mut stage = Stage::talking();
    stage.press(CALLEE, 'F', 240).press(CALLEE, '1', 100);
    let sent = stage.run(2_000);
    let events: Vec<_> = media(&sent).iter().map(|packet| event_in(packet)).collect();
    let (flash, key) = events.split_at(14);
    assert!(flash.iter().all(|event| event.event == 16) && key.iter().all(|event| event.event == 1), "{events:?}");
    let ends: Vec<_> = flash.iter().map(|event| event.end).collect();
    assert_eq!(ends, [[false; 11].as_slice(), &[true; 3]].concat());
    // It is the only one that has no sound.
    let mut stage = Stage::new();
    stage.connect(&phone(ALICE, "0"), &phone(BOB, "0"));
    stage.press(CALLEE, 'F', 100);
    assert_eq!(stage.engine.next_tick(), None);
    stage.press(CALLEE, '1', 100);
    assert_eq!(media(&stage.run(1_000)).len(), 8);
}

#[test]
fn a_flash_passes_as_it_is_to_whoever_takes_events() {
    let mut stage = Stage::talking();
    let packet = key(1, 16, 5_000, 160, true);
    let mut buffer = packet.clone();
    assert!(is_sent(&stage.send(CALLER, ALICE, &mut buffer)));
    assert_eq!(buffer, packet);
    stage.reports();
    assert_eq!(stage.take_news(), [], "it is no key");
}

#[test]
fn a_key_of_somebody_who_is_held_is_not_told() {
    let mut stage = without_events();
    stage.hold(CALLER, true);
    stage.send(CALLER, ALICE, &mut key(1, 1, 5_000, 160, true));
    stage.reports();
    assert_eq!(stage.take_news(), []);
}

#[test]
fn a_key_while_the_other_end_hears_something_else_is_told_and_goes_no_further() {
    for source in [Source::Hold, Source::Silence, Source::Sounds] {
        for mut stage in [Stage::talking(), without_events()] {
            stage.hear(CALLEE, source);
            let forward = stage.send(CALLER, ALICE, &mut key(1, 2, 5_000, 160, true));
            assert!(!is_sent(&forward), "{source:?}");
            stage.send(CALLER, ALICE, &mut key(2, 3, 15_000, 160, false));
            stage.run(1_000);
            stage.reports();
            assert_eq!(stage.take_news(), [pressed('2', 20), pressed('3', 20)], "{source:?}");
        }
    }
    // What hears itself has nobody who wants to know.
    let mut stage = Stage::talking();
    stage.hear(CALLER, Source::Echo).hear(CALLEE, Source::Silence);
    stage.send(CALLER, ALICE, &mut key(1, 2, 5_000, 160, true));
    stage.reports();
    assert_eq!(stage.take_news(), []);
}

#[test]
fn where_the_other_end_takes_events_they_pass_and_are_told_as_well() {
    let mut stage = Stage::talking();
    assert!(is_sent(&stage.send(CALLER, ALICE, &mut key(1, 1, 5_000, 160, true))));
    // It no longer does after this offer of its own, and does again after the next.
    stage.reoffer(CALLEE, &phone(BOB, "0")).expect("an answer");
    stage.send(CALLER, ALICE, &mut key(2, 2, 15_000, 160, true));
    stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    stage.accept(CALLEE, CALLEE_LEG, &phone(BOB, "0 101")).expect("usable");
    assert!(is_sent(&stage.send(CALLER, ALICE, &mut key(3, 3, 25_000, 160, true))));
    stage.reports();
    let passed = |key| match pressed(key, 20) {
        MediaReport::Digit { call, party, digit, .. } => MediaReport::Digit { call, party, digit, passed: true },
        other => other,
    };
    assert_eq!(stage.take_news(), [passed('1'), pressed('2', 20), passed('3')]);
}
