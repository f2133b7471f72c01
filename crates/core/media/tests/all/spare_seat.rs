//! Somebody takes another one's place: the spare seat, from opening it to giving its ports back.

use crate::stage::{
    ALICE, BOB, CALL, CALLEE_LEG, CAROL, NEW_LEG, Stage, at, config, formats_in, is_sent, parse, phone, phone_with,
    rtp, sent_to,
};
use hookswitch_call::{Kind, LegId, MediaOp, MediaReport, Party, Sdp, Seat, Source};
use hookswitch_media::{DropReason, Forward, MediaRecord};
use hookswitch_rtp::{Compound, CompoundWriter, Header, RtcpPacket};

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;

/// Alice and Bob talk; Carol has agreed to take Bob's place.
fn carol_waits() -> Stage {
    let mut stage = Stage::talking();
    stage.open_spare(CALLEE);
    stage.make_offer(Seat::Spare, NEW_LEG).expect("an offer");
    stage.accept(Seat::Spare, NEW_LEG, &phone(CAROL, "0 101")).expect("a usable answer");
    stage
}

/// The same, and she has taken it.
fn carol_talks() -> Stage {
    let mut stage = carol_waits();
    stage.swap(CALLEE);
    stage
}

/// What Alice receives of a packet that is sent to a party's port.
fn alice_gets(stage: &mut Stage, from: &str, mut packet: Vec<u8>) -> Header {
    assert_eq!(sent_to(stage.send(CALLEE, from, &mut packet)), at(ALICE));
    parse(&packet).header()
}

#[test]
fn a_newcomer_is_offered_what_the_staying_party_has_agreed_to() {
    let mut stage = Stage::talking();
    assert_eq!(stage.ports.taken.len(), 2);
    stage.open_spare(CALLEE);
    assert_eq!(stage.ports.taken.len(), 2, "a seat has no ports before somebody is asked in");
    let offer = stage.make_offer(Seat::Spare, NEW_LEG).expect("an offer");
    assert_eq!(formats_in(&offer), "0 8 101", "and behind it what can be turned into that");
    assert_eq!(stage.ports.taken.len(), 3);
    assert_eq!(stage.engine.totals().port_pairs, 3);
}

#[test]
fn the_spare_seat_is_open_once() {
    let mut stage = carol_waits();
    stage.open_spare(CALLEE).open_spare(CALLER);
    assert_eq!(stage.ports.taken.len(), 3);
    stage.swap(CALLEE);
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut rtp(0, 1, 1))), at(CAROL), "it was Bob's place, and still is");
}

#[test]
fn forked_legs_of_a_newcomer_share_its_port_and_its_description() {
    let mut stage = Stage::talking();
    stage.open_spare(CALLEE);
    let offers: Vec<_> = (2..12).map(|leg| stage.make_offer(Seat::Spare, LegId(leg)).expect("an offer")).collect();
    assert!(offers.iter().all(|offer| *offer == offers[0]));
    assert_eq!(stage.ports.taken.len(), 3);
    stage.accept(Seat::Spare, LegId(4), &phone(BOB, "0")).expect("a 183");
    stage.accept(Seat::Spare, LegId(7), &phone(CAROL, "0")).expect("a 200");
    stage.swap(CALLEE);
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut rtp(0, 1, 1))), at(CAROL));
}

#[test]
fn before_the_swap_a_newcomer_is_not_heard_and_hears_nobody() {
    let mut stage = carol_waits();
    stage.hear(Seat::Spare, Source::Peer);
    let forward = stage.send_spare(CAROL, &mut rtp(0, 1, 3));
    assert_eq!(forward, Forward::Drop(DropReason::NoListener));
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut rtp(0, 1, 1))), at(BOB));
    assert_eq!(sent_to(stage.send(CALLEE, BOB, &mut rtp(0, 1, 2))), at(ALICE));
}

#[test]
fn after_the_swap_the_two_hear_each_other_and_the_one_that_left_nobody() {
    let mut stage = carol_talks();
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut rtp(0, 1, 1))), at(CAROL));
    assert_eq!(sent_to(stage.send(CALLEE, CAROL, &mut rtp(0, 1, 3))), at(ALICE));
    let forward = stage.send_spare(BOB, &mut rtp(0, 2, 2));
    assert_eq!(forward, Forward::Drop(DropReason::NoListener));
}

#[test]
fn a_second_swap_makes_everything_as_it_was() {
    let mut stage = Stage::talking();
    // Bob is behind NAT: learning him took five packets.
    let natted = "192.0.2.200:31000";
    stage.stream(CALLEE, natted, 2, 0, 5);
    let before = stage.engine.record(CALL).expect("the call");
    stage.open_spare(CALLEE);
    stage.make_offer(Seat::Spare, NEW_LEG).expect("an offer");
    stage.accept(Seat::Spare, NEW_LEG, &phone(CAROL, "0 101")).expect("a usable answer");
    stage.swap(CALLEE).swap(CALLEE).close_spare();
    let after = stage.engine.record(CALL).expect("the call");
    assert_eq!((&after.caller, &after.callee), (&before.caller, &before.callee));
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut rtp(0, 1, 1))), at(natted));
    assert!(is_sent(&stage.send(CALLEE, natted, &mut rtp(0, 5, 2))));
    assert_eq!(stage.ports.taken.len(), 2);
}

#[test]
fn whoever_speaks_into_the_spare_seat_stays_known_there() {
    let mut stage = carol_waits();
    let natted = "192.0.2.201:32000";
    for n in 0..200 {
        stage.wait(20);
        stage.send_spare(natted, &mut rtp(0, n, 3));
    }
    stage.swap(CALLEE);
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut rtp(0, 1, 1))), at(natted), "from the first packet on");
}

#[test]
fn the_one_that_stays_is_sent_one_stream_over_swaps_and_back() {
    // All phones here have the same fixed source identifier: some do.
    let mut stage = carol_waits();
    let mut last: Option<Header> = None;
    let mut follows = |next: Header| {
        if let Some(last) = last {
            assert_eq!(next.ssrc, last.ssrc);
            assert_eq!(next.sequence, last.sequence.wrapping_add(1));
            assert!(next.timestamp.wrapping_sub(last.timestamp) < 8_000, "{last:?} {next:?}");
            assert_ne!(next.timestamp, last.timestamp);
        }
        last = Some(next);
    };
    let speak = |stage: &mut Stage, from: &str, first: u16| -> Vec<Header> {
        let headers = (first..first + 5).map(|n| {
            stage.wait(20);
            alice_gets(stage, from, rtp(0, n, 7))
        });
        headers.collect()
    };
    speak(&mut stage, BOB, 40_000).into_iter().for_each(&mut follows);
    stage.hear(CALLER, Source::Ringback);
    let ringing = stage.run(200);
    ringing.iter().map(|sent| parse(&sent.bytes).header()).for_each(&mut follows);
    stage.hear(CALLER, Source::Peer).swap(CALLEE);
    speak(&mut stage, CAROL, 10).into_iter().for_each(&mut follows);
    stage.swap(CALLEE);
    speak(&mut stage, BOB, 40_020).into_iter().for_each(&mut follows);
    stage.swap(CALLEE);
    speak(&mut stage, CAROL, 60_000).into_iter().for_each(&mut follows);
}

#[test]
fn a_newcomer_that_was_played_something_is_sent_one_stream_as_well() {
    let mut stage = carol_waits();
    stage.hear(Seat::Spare, Source::Hold);
    let sent = stage.run(200);
    let last = parse(&sent.last().expect("music").bytes).header();
    assert_eq!(sent.last().expect("music").to, at(CAROL));
    stage.swap(CALLEE);
    let mut packet = rtp(0, 1, 1);
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut packet)), at(CAROL));
    let next = parse(&packet).header();
    assert_eq!((next.ssrc, next.sequence), (last.ssrc, last.sequence.wrapping_add(1)));
    assert_eq!(stage.engine.totals().generators, 0, "she hears what Bob heard: Alice");
}

#[test]
fn a_newcomer_hears_what_the_one_before_heard() {
    let mut stage = carol_waits();
    stage.hear(CALLEE, Source::Reference);
    stage.run(100);
    stage.swap(CALLEE);
    let sent = stage.run(100);
    assert!(!sent.is_empty() && sent.iter().all(|packet| packet.to == at(CAROL)));
    stage.swap(CALLEE);
    let sent = stage.run(100);
    assert!(!sent.is_empty() && sent.iter().all(|packet| packet.to == at(BOB)));
}

#[test]
fn a_newcomer_without_any_codec_of_ours_is_refused_and_the_two_go_on() {
    let mut stage = Stage::talking();
    stage.open_spare(CALLEE);
    stage.make_offer(Seat::Spare, NEW_LEG).expect("an offer");
    let cause = stage.accept(Seat::Spare, NEW_LEG, &phone(CAROL, "9 101")).expect_err("not ours");
    assert_eq!(cause.kind, Kind::NotAcceptable);
    let cause = stage.reoffer(Seat::Spare, &phone(CAROL, "9 101")).expect_err("not ours either");
    assert_eq!(cause.kind, Kind::NotAcceptable);
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut rtp(0, 1, 1))), at(BOB));
    stage.close_spare();
    assert_eq!(stage.ports.taken.len(), 2);
}

#[test]
fn whoever_picks_up_a_ringing_call_agrees_with_the_caller_that_nobody_has_answered() {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "8 101")));
    stage.make_offer(CALLEE, LegId(1)).expect("an offer");
    stage.open_spare(CALLEE);
    // Carol would rather have µ-law, which comes first on our list too, but Alice has none.
    let answer = stage.reoffer(Seat::Spare, &phone(CAROL, "0 8")).expect("an answer");
    assert_eq!(formats_in(&answer), "8");
    stage.swap(CALLEE);
    assert_eq!(formats_in(&stage.make_answer(CALLER).expect("an answer")), "8 101");
    stage.hear(CALLER, Source::Peer).hear(CALLEE, Source::Peer).close_spare();
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut rtp(8, 1, 1))), at(CAROL));
    assert_eq!(sent_to(stage.send(CALLEE, CAROL, &mut rtp(8, 1, 3))), at(ALICE));
}

#[test]
fn whoever_picks_up_and_has_no_codec_of_ours_is_refused() {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "8 101")));
    stage.make_offer(CALLEE, LegId(1)).expect("an offer");
    stage.open_spare(CALLEE);
    let cause = stage.reoffer(Seat::Spare, &phone(CAROL, "9")).expect_err("not ours");
    assert_eq!(cause.kind, Kind::NotAcceptable);
}

#[test]
fn the_place_of_the_caller_can_be_taken_as_well() {
    let mut stage = Stage::talking();
    stage.open_spare(CALLER);
    stage.make_offer(Seat::Spare, NEW_LEG).expect("an offer");
    stage.accept(Seat::Spare, NEW_LEG, &phone(CAROL, "0 101")).expect("a usable answer");
    stage.swap(CALLER).close_spare();
    assert_eq!(sent_to(stage.send(CALLEE, BOB, &mut rtp(0, 1, 2))), at(CAROL));
    assert_eq!(sent_to(stage.send(CALLER, CAROL, &mut rtp(0, 1, 3))), at(BOB));
}

#[test]
fn closing_the_seat_gives_its_ports_back_and_says_goodbye() {
    let mut stage = carol_waits();
    stage.hear(CALLEE, Source::Ringback);
    stage.run(100);
    stage.swap(CALLEE).close_spare();
    let totals = stage.engine.totals();
    assert_eq!((stage.ports.taken.len(), totals.port_pairs), (2, 2));
    let (_, to, report) = stage.ports.farewells.pop().expect("a report");
    assert_eq!(to, at("203.0.113.2:5001"));
    let compound = Compound::parse(&report).expect("RTCP");
    assert!(compound.packets().any(|packet| matches!(packet, RtcpPacket::Goodbye(_))));
    assert!(stage.ports.farewells.is_empty(), "Carol and Alice stay");
    // Nothing that arrives there any more is anybody's.
    let socket = hookswitch_media::SocketIx(4);
    let forward = stage.engine.handle_packet(stage.now, socket, at(BOB), &mut rtp(0, 1, 2), 172);
    assert!(!is_sent(&forward));
}

#[test]
fn a_call_may_end_with_the_spare_seat_open() {
    for swapped in [false, true] {
        let mut stage = carol_waits();
        stage.hear(Seat::Spare, Source::Reference).press(CALLER, '1', 100);
        if swapped {
            stage.swap(CALLEE);
        }
        stage.run(100);
        stage.close();
        let totals = stage.engine.totals();
        assert_eq!((totals.calls, totals.port_pairs, totals.generators), (0, 0, 0));
        assert!(stage.ports.taken.is_empty());
        assert_eq!(stage.engine.next_tick(), None);
    }
}

#[test]
fn without_a_free_port_nobody_is_asked_in_and_the_two_go_on() {
    let mut stage = Stage::with(config(), 2);
    stage.connect(&phone(ALICE, "0"), &phone(BOB, "0"));
    stage.open_spare(CALLEE);
    let cause = stage.make_offer(Seat::Spare, NEW_LEG).expect_err("no port");
    assert_eq!(cause.kind, Kind::Overloaded);
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut rtp(0, 1, 1))), at(BOB));
    stage.close_spare().close();
    assert!(stage.ports.taken.is_empty());
}

#[test]
fn what_is_asked_for_a_seat_that_is_not_open_is_refused_or_does_nothing() {
    let mut stage = Stage::talking();
    stage.make_offer(Seat::Spare, NEW_LEG).expect_err("not open");
    stage.reoffer(Seat::Spare, &phone(CAROL, "0")).expect_err("not open");
    stage.accept(Seat::Spare, NEW_LEG, &phone(CAROL, "0")).expect_err("not open");
    stage.hear(Seat::Spare, Source::Reference);
    let reports = stage.perform(MediaOp::Swap { call: CALL });
    assert!(reports.is_empty());
    stage.close_spare();
    assert_eq!(stage.engine.next_tick(), None);
    assert_eq!(sent_to(stage.send(CALLER, ALICE, &mut rtp(0, 1, 1))), at(BOB));
}

#[test]
fn reports_go_to_whoever_is_at_the_table() {
    let mut stage = carol_waits();
    let mut report = [0; 64];
    let mut writer = CompoundWriter::new(&mut report);
    writer.receiver_report(1, &[]).expect("room");
    let length = writer.len();
    let mut packet = report[..length].to_vec();
    assert_eq!(sent_to(stage.send_report(CALLER, "198.51.100.1:4001", &mut packet)), at("203.0.113.2:5001"));
    stage.swap(CALLEE);
    let mut packet = report[..length].to_vec();
    assert_eq!(sent_to(stage.send_report(CALLER, "198.51.100.1:4001", &mut packet)), at("203.0.113.3:7001"));
    // Bob's own go nowhere now.
    let socket = hookswitch_media::SocketIx(stage.ports.socket(stage.spare_port).0 + 1);
    let mut packet = report[..length].to_vec();
    let forward = stage.engine.handle_packet(stage.now, socket, at("203.0.113.2:5001"), &mut packet, length);
    assert_eq!(forward, Forward::Drop(DropReason::NoListener));
}

#[test]
fn nothing_is_lost_of_what_was_counted() {
    let mut stage = carol_waits();
    stage.send(CALLEE, BOB, &mut rtp(0, 1, 2));
    stage.send_spare(CAROL, &mut rtp(0, 1, 3));
    assert_eq!(stage.engine.stats(CALL).expect("the call").others.received_packets, 1);
    stage.swap(CALLEE).close_spare();
    stage.send(CALLEE, CAROL, &mut rtp(0, 2, 3));
    let stats = stage.engine.stats(CALL).expect("the call");
    assert_eq!((stats.callee.received_packets, stats.others.received_packets), (2, 1));
    let total = stage.engine.totals().counters.received_packets;
    stage.close();
    assert_eq!((total, stage.engine.totals().counters.received_packets), (3, 3));
    assert_eq!(stage.engine.poll_closed().expect("its counters").others.received_packets, 1);
}

#[test]
fn the_record_of_a_call_has_its_spare_seat_and_can_be_read_back() {
    let mut stage = carol_waits();
    stage.hold(CALLER, true);
    let record = stage.engine.record(CALL).expect("the call");
    let (place, end) = record.spare.as_ref().expect("a spare seat");
    assert_eq!((*place, end.agreed.as_ref().map(|(name, ..)| name.as_str())), (CALLEE, Some("PCMU")));
    assert!(record.caller.held && !record.callee.held);
    let text = serde_json::to_string(&record).expect("plain data");
    let read: MediaRecord = serde_json::from_str(&text).expect("plain data");
    assert_eq!(read, record);
}

#[test]
fn a_silent_newcomer_is_not_reported_before_it_has_a_place() {
    let mut stage = carol_waits();
    stage.wait(70_000);
    stage.send(CALLER, ALICE, &mut rtp(0, 1, 1));
    stage.send(CALLEE, BOB, &mut rtp(0, 1, 2));
    assert_eq!(stage.engine.silent(stage.now).count(), 0);
    stage.swap(CALLEE);
    let silent: Vec<_> = stage.engine.silent(stage.now).collect();
    assert_eq!(silent, [(CALL, CALLEE)]);
}

#[test]
fn a_hold_is_of_the_one_who_was_put_on_it_and_not_of_the_place() {
    let mut stage = carol_waits();
    stage.hold(CALLEE, true).swap(CALLEE);
    assert!(is_sent(&stage.send(CALLEE, CAROL, &mut rtp(0, 1, 3))));
    stage.swap(CALLEE);
    assert_eq!(stage.send(CALLEE, BOB, &mut rtp(0, 1, 2)), Forward::Drop(DropReason::Held));
}

#[test]
fn the_direction_of_a_newcomer_is_no_change() {
    let mut stage = Stage::talking();
    stage.open_spare(CALLEE);
    stage.make_offer(Seat::Spare, NEW_LEG).expect("an offer");
    stage.accept(Seat::Spare, NEW_LEG, &phone_with(CAROL, "0", "a=sendonly\r\n")).expect("usable");
    stage.swap(CALLEE);
    assert_eq!(stage.take_news(), []);
    // A change after that is one.
    let sdp = Sdp::from(phone(CAROL, "0").as_str());
    stage.perform(MediaOp::Offered { call: CALL, seat: CALLEE.into(), sdp });
    stage.perform(MediaOp::MakeAnswer { call: CALL, seat: CALLEE.into(), leg: NEW_LEG });
    let (call, party, leg) = (CALL, CALLEE, NEW_LEG);
    assert_eq!(stage.take_news(), [MediaReport::Direction { call, party, leg, sends: true, listens: true }]);
}

#[test]
fn whoever_is_beside_the_table_for_a_while_may_change_its_direction() {
    let mut stage = carol_waits();
    stage.swap(CALLEE);
    let sdp = Sdp::from(phone_with(BOB, "0", "a=sendonly\r\n").as_str());
    stage.perform(MediaOp::Offered { call: CALL, seat: Seat::Spare, sdp });
    stage.perform(MediaOp::MakeAnswer { call: CALL, seat: Seat::Spare, leg: CALLEE_LEG });
    let (call, party, leg) = (CALL, CALLEE, CALLEE_LEG);
    assert_eq!(stage.take_news(), [MediaReport::Direction { call, party, leg, sends: true, listens: false }]);
}
