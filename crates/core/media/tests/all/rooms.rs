//! Rooms: who hears whom, and what becomes of a room.

use std::collections::HashMap;
use std::time::Duration;

use crate::hall::{Hall, PARTY, room};
use crate::stage::{self, Stage, at, parse};
use hookswitch_call::{CallId, MediaOp, Part, Role, Room, RoomNews, Source};
use hookswitch_media::{DropReason, Forward, SMALL_ROOM};

#[test]
fn everybody_hears_all_others_and_not_itself() {
    let mut hall = Hall::new();
    for (payload_type, hz) in [(0, 440.0), (8, 700.0), (9, 1_060.0)] {
        hall.joins(payload_type, hz, Part::default());
    }
    assert_eq!(hall.matrix(), [[1, 2], [0, 2], [0, 1]]);
    for hearer in 0..3 {
        for speaker in (0..3).filter(|speaker| *speaker != hearer) {
            let level = hall.level(hearer, speaker) - 20.0 * (6_000.0f32 / 32_768.0).log10();
            assert!(level.abs() < 1.5, "{hearer} hears {speaker} {level} dB too loud");
        }
        assert!(hall.level(hearer, hearer) < -50.0, "{hearer} hears itself");
    }
}

#[test]
fn two_wide_phones_hear_what_a_narrow_one_cannot() {
    let mut hall = Hall::new();
    hall.joins(9, 5_500.0, Part::default());
    hall.joins(9, 440.0, Part::default());
    hall.joins(0, 700.0, Part::default());
    assert_eq!(hall.matrix(), [vec![1, 2], vec![0, 2], vec![1]]);
}

#[test]
fn the_stream_that_a_member_is_sent_has_no_gap() {
    let mut hall = Hall::new();
    hall.joins(0, 440.0, Part::default());
    hall.joins(0, 700.0, Part::default());
    hall.pass(2_000);
    let heard = &hall.members[0].heard;
    assert!(heard.len() >= 99);
    assert!(parse(&heard[0].1).marker());
    for pair in heard.windows(2) {
        let (one, next) = (parse(&pair[0].1), parse(&pair[1].1));
        assert_eq!(next.sequence(), one.sequence().wrapping_add(1));
        assert_eq!(next.timestamp(), one.timestamp().wrapping_add(160));
        assert_eq!(next.ssrc(), one.ssrc());
        assert_eq!(pair[1].0 - pair[0].0, Duration::from_millis(20));
    }
    let stats = hall.stage.engine.stats(CallId(1)).expect("the call").caller;
    assert_eq!(stats.received_packets, 100);
    assert_eq!(stats.sent_packets, heard.len() as u64);
    assert_eq!(stats.dropped_total(), 0, "what is mixed is not dropped");
}

#[test]
fn roles_say_who_hears_whom() {
    let mut hall = Hall::new();
    let customer = hall.joins_as(440.0, Role::Talk);
    let agent = hall.joins_as(700.0, Role::Talk);
    let agent_call = hall.members[agent].call;
    let supervisor = hall.joins_as(1_060.0, Role::Listen);
    assert_eq!(hall.matrix(), [vec![agent], vec![customer], vec![customer, agent]], "listens");
    let takes_part = |hall: &mut Hall, role| {
        let call = hall.members[supervisor].call;
        let part = Part { role, ..Part::default() };
        hall.perform(MediaOp::Join { call, party: PARTY, room: room(), part });
    };
    takes_part(&mut hall, Role::Whisper(agent_call));
    assert_eq!(hall.matrix(), [vec![agent], vec![customer, supervisor], vec![customer, agent]], "whispers");
    takes_part(&mut hall, Role::Talk);
    let all = [vec![agent, supervisor], vec![customer, supervisor], vec![customer, agent]];
    assert_eq!(hall.matrix(), all, "barges in");
}

#[test]
fn who_is_muted_is_not_heard_and_who_is_deaf_hears_nothing() {
    let mut hall = Hall::new();
    hall.joins(0, 440.0, Part::default());
    hall.joins(0, 700.0, Part { muted: true, ..Part::default() });
    hall.joins(0, 1_060.0, Part { deaf: true, ..Part::default() });
    assert_eq!(hall.matrix(), [vec![2], vec![0, 2], vec![]]);
    assert!(hall.members[2].heard.len() > 45, "silence is sent all the same");
    let call = hall.members[1].call;
    hall.perform(MediaOp::Join { call, party: PARTY, room: room(), part: Part::default() });
    assert_eq!(hall.matrix(), [vec![1, 2], vec![0, 2], vec![]]);
}

#[test]
fn who_hears_something_else_is_not_heard_in_the_room() {
    let mut hall = Hall::new();
    hall.joins(0, 440.0, Part::default());
    hall.joins(0, 700.0, Part::default());
    let call = hall.members[1].call;
    hall.perform(MediaOp::Hear { call, seat: PARTY.into(), source: Source::Hold });
    assert!(hall.matrix()[0].is_empty());
    hall.perform(MediaOp::Hear { call, seat: PARTY.into(), source: Source::Room });
    assert_eq!(hall.matrix(), [[1], [0]]);
    assert!(!hall.news().iter().any(|(_, news)| *news == RoomNews::Left), "it was in the room all the time");
}

#[test]
fn members_come_and_go_without_a_click() {
    let mut hall = Hall::new();
    hall.joins(0, 440.0, Part::default());
    hall.joins(0, 437.0, Part::default());
    hall.members[0].amplitude = 0.0;
    hall.pass(400);
    hall.forget();
    hall.joins(8, 433.0, Part::default());
    hall.pass(200);
    let call = hall.members[2].call;
    let muted = Part { muted: true, ..Part::default() };
    hall.perform(MediaOp::Join { call, party: PARTY, room: room(), part: muted });
    hall.pass(200);
    hall.perform(MediaOp::Join { call, party: PARTY, room: room(), part: Part::default() });
    hall.pass(200);
    hall.leaves(2);
    hall.pass(200);
    let (sound, rate) = hall.sound(0);
    // Two tones of 6,000 step by so much from sample to sample at most; µ-law adds a sixteenth of what is loud.
    let own = 2.0 * 6_000.0 * std::f64::consts::TAU * 440.0 / f64::from(rate);
    let largest = sound.windows(2).map(|pair| (f64::from(pair[1]) - f64::from(pair[0])).abs()).fold(0.0, f64::max);
    assert!(largest < own * 1.25, "{largest} is more than {own}");
    assert_eq!(hall.news().last(), Some(&(3, RoomNews::Left)));
}

#[test]
fn ten_loud_talkers_do_not_clip() {
    let mut hall = Hall::new();
    let mut config = stage::with_g722();
    config.max_calls = 20;
    hall.stage = Stage::with(config, 16);
    for n in 0..10 {
        let place = hall.joins(0, 300.0 + 211.0 * f64::from(n), Part::default());
        hall.members[place].amplitude = 30_000.0;
    }
    hall.pass(2_000);
    let (sound, _) = hall.sound(0);
    let loudest = sound.iter().map(|sample| sample.unsigned_abs()).max().expect("sound");
    assert!(loudest <= 32_124, "µ-law's own largest value is not a flat top");
    let flat = sound.windows(4).filter(|four| four.iter().all(|sample| sample.unsigned_abs() > 30_000)).count();
    assert!(flat < 20, "{flat} places are flat");
}

#[test]
fn a_room_is_there_from_its_first_member_to_its_last() {
    let mut hall = Hall::new();
    assert_eq!((hall.stage.engine.rooms(), hall.stage.engine.next_tick()), ((0, 0), None));
    hall.joins(0, 440.0, Part::default());
    hall.joins(0, 700.0, Part::default());
    assert_eq!(hall.stage.engine.rooms(), (1, 2));
    hall.leaves(0);
    let call = hall.members[1].call;
    hall.perform(MediaOp::Close { call });
    assert_eq!(hall.stage.engine.rooms(), (0, 0));
    assert_eq!(
        hall.news(),
        [(1, RoomNews::Joined(1)), (2, RoomNews::Joined(2)), (1, RoomNews::Left), (2, RoomNews::Left)]
    );
    hall.perform(MediaOp::Close { call: hall.members[0].call });
    assert_eq!(hall.stage.engine.next_tick(), None, "nothing beats any more");
}

#[test]
fn who_goes_into_another_room_goes_out_of_the_first() {
    let mut hall = Hall::new();
    hall.joins(0, 440.0, Part::default());
    hall.joins(0, 700.0, Part::default());
    let call = hall.members[1].call;
    let other = Room::from("conference-b@example.com");
    hall.perform(MediaOp::Join { call, party: PARTY, room: other, part: Part::default() });
    assert_eq!(hall.stage.engine.rooms(), (2, 2));
    assert_eq!(hall.matrix(), [[0; 0], []]);
    // A late word about the first room changes nothing.
    hall.leaves(1);
    assert_eq!(hall.stage.engine.rooms(), (2, 2));
    let news = hall.news();
    assert_eq!(news[2..4], [(2, RoomNews::Left), (2, RoomNews::Joined(1))], "{news:?}");
    assert!(!news[4..].iter().any(|(_, news)| *news == RoomNews::Left));
}

#[test]
fn a_full_room_refuses_and_has_place_again() {
    let mut config = stage::config();
    config.room_members = 2;
    let mut hall = Hall::with(config, 8);
    hall.joins(0, 440.0, Part::default());
    hall.joins(0, 700.0, Part::default());
    hall.joins(0, 1_060.0, Part::default());
    let Some((3, RoomNews::Refused(cause))) = hall.news().pop() else { panic!("no refusal") };
    assert_eq!((cause.code, &*cause.text), (486, "Conference Full"));
    hall.members.pop();
    assert_eq!(hall.matrix(), [[1], [0]]);
    hall.leaves(0);
    hall.perform(MediaOp::Join { call: CallId(3), party: PARTY, room: room(), part: Part::default() });
    assert_eq!(hall.stage.engine.rooms(), (1, 2));
    assert_eq!(hall.news().last(), Some(&(3, RoomNews::Joined(2))));
}

#[test]
fn a_hundred_members_hear_who_speaks() {
    let mut config = stage::config();
    config.max_calls = 200;
    let mut hall = Hall::with(config, 128);
    for n in 0..101 {
        let place = hall.joins(if n % 2 == 0 { 0 } else { 8 }, 300.0 + 20.0 * f64::from(n), Part::default());
        // Two speak, the others hum.
        hall.members[place].amplitude = if place < 2 { 6_000.0 } else { 40.0 };
    }
    let refused = hall.news().into_iter().filter(|(_, news)| matches!(news, RoomNews::Refused(_)));
    assert_eq!(refused.map(|(call, _)| call).collect::<Vec<_>>(), [101], "a hundred by default");
    hall.pass(2_000);
    hall.forget();
    hall.pass(400);
    for hearer in [2, 3, 50, 99] {
        for speaker in [0, 1] {
            let level = hall.level(hearer, speaker) - 20.0 * (6_000.0f32 / 32_768.0).log10();
            assert!(level.abs() < 1.5, "{hearer} hears {speaker} {level} dB too loud");
        }
        assert!(hall.level(hearer, 40) < -65.0, "and not the hum of {} others", 100 - SMALL_ROOM);
    }
    assert!(hall.level(0, 1) > -20.0 && hall.level(0, 0) < -50.0);
    // All who listen by the same codec are sent the same.
    let payload = |place: usize| parse(&hall.members[place].heard[10].1).payload().to_vec();
    assert_eq!(payload(2), payload(50));
    assert_eq!(payload(3), payload(51));
    assert_ne!(payload(0), payload(2));
}

#[test]
fn it_is_told_who_speaks() {
    let mut hall = Hall::new();
    hall.joins(0, 440.0, Part::default());
    hall.joins(0, 700.0, Part::default());
    hall.members[0].amplitude = 0.0;
    hall.members[1].amplitude = 0.0;
    hall.pass(1_000);
    hall.news();
    hall.members[1].amplitude = 6_000.0;
    hall.pass(1_000);
    assert_eq!(hall.news(), [(2, RoomNews::Speaks(true))]);
    hall.members[1].amplitude = 0.0;
    hall.pass(400);
    assert_eq!(hall.news(), [], "a pause between two words");
    hall.pass(1_000);
    assert_eq!(hall.news(), [(2, RoomNews::Speaks(false))]);
}

#[test]
fn strangers_and_holders_are_not_heard() {
    let mut hall = Hall::new();
    hall.joins(0, 440.0, Part::default());
    hall.joins(0, 700.0, Part::default());
    hall.pass(400);
    let mut packet = stage::rtp(0, 9_000, 5);
    let socket = hall.stage.ports.socket(10_000);
    let len = packet.len();
    let forward = hall.stage.engine.handle_packet(hall.stage.now, socket, at("203.0.113.66:666"), &mut packet, len);
    assert_eq!(forward, Forward::Drop(DropReason::Source));
    let drops: HashMap<u64, u64> = (1..3)
        .map(|call| (call, hall.stage.engine.stats(CallId(call)).expect("a call").caller.dropped_total()))
        .collect();
    assert_eq!((drops[&1], drops[&2]), (1, 0));
}
