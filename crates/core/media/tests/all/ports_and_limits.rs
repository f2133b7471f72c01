//! Ports come back, and every limit is reached with a word.

use std::time::Duration;

use crate::stage::{self, ALICE, BOB, CALL, CALLEE_LEG, Stage, at, config, phone, rtp};
use hookswitch_call::{CallId, Fault, Kind, LegId, MediaOp, MediaReport, Party, Sdp, Source};
use hookswitch_media::{DropReason, Forward, MAX_CLOSED, MAX_SOCKETS, PortPair, Ports, SocketIx};

const CALLER: Party = Party::Caller;
const CALLEE: Party = Party::Callee;

#[test]
fn closing_returns_all_ports_and_forgets_the_call() {
    let mut stage = Stage::talking();
    let free = stage.ports.free();
    let socket = stage.socket_of(CALLER);
    stage.stream(CALLER, ALICE, 1, 0, 3);
    stage.close();
    assert_eq!(stage.ports.free(), free + 2);
    assert!(stage.ports.taken.is_empty());
    assert_eq!(stage.engine.stats(CALL), None);
    let forward = stage.engine.handle_packet(stage.now, socket, at(ALICE), &mut rtp(0, 4, 1), 172);
    assert_eq!(forward, Forward::Drop(DropReason::UnknownSocket));
    let closed = stage.engine.poll_closed().expect("its counters");
    assert_eq!((closed.call, closed.caller.received_packets, closed.callee.sent_packets), (CALL, 3, 3));
    assert_eq!(stage.engine.poll_closed(), None);
    stage.close();
    let totals = stage.engine.totals();
    assert_eq!((totals.calls, totals.port_pairs, totals.generators), (0, 0, 0));
    assert_eq!(totals.counters.received_packets, 3, "what was counted stays counted");
}

#[test]
fn exhausted_ports_are_refused_with_503() {
    let mut stage = Stage::with(config(), 1);
    stage.open(Some(&phone(ALICE, "0")));
    let cause = stage.make_offer(CALLEE, CALLEE_LEG).expect_err("both ends need a pair");
    assert_eq!((cause.code, cause.kind, cause.fault), (503, Kind::Overloaded, Fault::Server));
    stage.close();
    assert_eq!(stage.ports.taken.len(), 0);
}

#[test]
fn a_caller_that_waits_for_an_answer_has_its_ports_before_the_callee_rings() {
    let mut stage = Stage::with(config(), 2);
    stage.open(Some(&phone(ALICE, "0")));
    stage.make_offer(CALLEE, CALLEE_LEG).expect("an offer");
    assert_eq!(stage.ports.taken.len(), 2);
    stage.accept(CALLEE, CALLEE_LEG, &phone(BOB, "0")).expect("usable");
    stage.make_answer(CALLER).expect("the ports are there");
}

#[test]
fn beyond_the_limit_calls_are_refused_with_503() {
    let mut config = config();
    config.max_calls = 2;
    let mut stage = Stage::with(config, 8);
    let open = |call| MediaOp::Open { call, offer: None, codecs: None, near: None, room: None };
    for call in [CallId(7), CallId(8)] {
        stage.perform(open(call));
    }
    stage.open(None);
    let cause = stage.make_offer(CALLEE, CALLEE_LEG).expect_err("two are there already");
    assert_eq!((cause.code, cause.kind), (503, Kind::Overloaded));
    stage.perform(MediaOp::Close { call: CallId(7) });
    stage.open(None);
    stage.make_offer(CALLEE, CALLEE_LEG).expect("there is room again");
}

#[test]
fn a_socket_number_beyond_the_table_is_given_back() {
    struct Huge(usize);
    impl Ports for Huge {
        fn take(&mut self, _v6: bool) -> Option<PortPair> {
            self.0 += 1;
            Some(PortPair { rtp: SocketIx(MAX_SOCKETS - 1), rtcp: SocketIx(MAX_SOCKETS), port: 10_000 })
        }
        fn give_back(&mut self, _pair: PortPair) {
            self.0 -= 1;
        }
    }
    let mut stage = Stage::new();
    stage.open(None);
    let mut ports = Huge(0);
    let op = MediaOp::MakeOffer { call: CALL, seat: CALLEE.into(), leg: CALLEE_LEG, near: None };
    stage.engine.perform(stage.now, op, &mut ports);
    assert_eq!(ports.0, 0);
    assert!(matches!(stage.engine.poll_report(), Some(hookswitch_call::MediaReport::Refused { .. })));
}

#[test]
fn counters_of_closed_calls_wait_up_to_a_limit() {
    let mut stage = Stage::new();
    let calls = MAX_CLOSED as u64 + 10;
    for n in 0..calls {
        stage.perform(MediaOp::Open { call: CallId(n), offer: None, codecs: None, near: None, room: None });
        stage.perform(MediaOp::Close { call: CallId(n) });
    }
    let waiting: Vec<_> = std::iter::from_fn(|| stage.engine.poll_closed()).collect();
    assert_eq!(waiting.len(), MAX_CLOSED);
    assert_eq!(waiting[0].call, CallId(10), "the oldest went first");
}

#[test]
fn a_second_opening_of_a_call_is_ignored() {
    let mut stage = Stage::talking();
    stage.open(Some(&phone("198.51.100.9:9", "8")));
    assert_eq!(stage.engine.totals().calls, 1);
    let forward = stage.send(CALLEE, BOB, &mut rtp(0, 1, 1));
    assert_eq!(stage::sent_to(forward), at(ALICE));
}

#[test]
fn versions_of_many_legs_do_not_pile_up() {
    let mut stage = Stage::talking();
    for leg in 0..1_000 {
        stage.make_offer(CALLEE, LegId(leg)).expect("an offer");
    }
    let record = stage.engine.record(CALL).expect("the call");
    assert!(record.callee.versions.len() <= hookswitch_call::MAX_BRANCHES + 1);
}

#[test]
fn silent_parties_are_named() {
    let mut stage = Stage::talking();
    let timeout = config().rtp_timeout;
    stage.stream(CALLER, ALICE, 1, 0, 10);
    stage.now += timeout - Duration::from_millis(100);
    assert_eq!(stage.engine.silent(stage.now).count(), 1, "the callee has never said a word");
    stage.wait(1_000);
    let silent: Vec<_> = stage.engine.silent(stage.now).collect();
    assert_eq!(silent, [(CALL, CALLER), (CALL, CALLEE)]);
    // Who says that it is silent is not counted.
    stage.reoffer(CALLER, &stage::phone_with(ALICE, "0 8 101", "a=inactive\r\n")).expect("an answer");
    stage.send(CALLEE, BOB, &mut rtp(0, 1, 1));
    stage.now += timeout / 2;
    assert_eq!(stage.engine.silent(stage.now).count(), 0);
}

/// Who is reported as silent now.
fn reported_silent(stage: &mut Stage) -> Vec<Party> {
    stage.engine.report_silence(stage.now);
    let reports = std::iter::from_fn(|| stage.engine.poll_report());
    reports
        .map(|report| match report {
            MediaReport::Silent { call: CALL, party } => party,
            other => panic!("nothing else is to be told: {other:?}"),
        })
        .collect()
}

#[test]
fn a_party_that_falls_silent_is_reported_and_one_that_sends_is_not() {
    let mut stage = Stage::talking();
    let timeout = config().rtp_timeout;
    stage.stream(CALLER, ALICE, 1, 0, 10);
    assert_eq!(reported_silent(&mut stage), [], "not yet");
    stage.now += timeout - Duration::from_secs(1);
    stage.stream(CALLER, ALICE, 1, 10, 100);
    assert_eq!(reported_silent(&mut stage), [CALLEE]);
    assert_eq!(reported_silent(&mut stage), [CALLEE], "and again, for as long as it lasts");
    stage.send(CALLEE, BOB, &mut rtp(0, 1, 2));
    assert_eq!(reported_silent(&mut stage), []);
}

#[test]
fn reports_of_a_party_that_sends_no_media_keep_it_from_being_reported_silent() {
    let mut stage = Stage::talking();
    stage.now += config().rtp_timeout;
    let mut report = [0x80, 201, 0, 1, 0, 0, 0, 7];
    assert!(stage::is_sent(&stage.send_report(CALLER, "198.51.100.1:4001", &mut report)));
    assert_eq!(reported_silent(&mut stage), [CALLEE]);
}

#[test]
fn a_party_on_hold_is_never_reported_silent_but_has_to_speak_up_afterwards() {
    let mut stage = Stage::talking();
    let timeout = config().rtp_timeout;
    let held = stage::phone_with(ALICE, "0 8 101", "a=inactive\r\n");
    stage.reoffer(CALLER, &held).expect("an answer");
    stage.reoffer(CALLEE, &stage::phone_with(BOB, "0 8 101", "a=recvonly\r\n")).expect("an answer");
    stage.now += timeout * 10;
    assert_eq!(reported_silent(&mut stage), []);
    stage.reoffer(CALLER, &phone(ALICE, "0 8 101")).expect("an answer");
    assert_eq!(reported_silent(&mut stage), [], "it is given time");
    stage.now += timeout;
    assert_eq!(reported_silent(&mut stage), [CALLER]);
}

#[test]
fn nobody_is_reported_silent_before_a_session_is_agreed_or_after_the_call() {
    let mut stage = Stage::new();
    stage.open(Some(&phone(ALICE, "0")));
    stage.now += config().rtp_timeout * 2;
    assert_eq!(reported_silent(&mut stage), []);
    stage.close();
    assert_eq!(reported_silent(&mut stage), []);
}

#[test]
fn a_timeout_of_zero_means_that_silence_is_never_reported() {
    let mut config = config();
    config.rtp_timeout = Duration::ZERO;
    let mut stage = Stage::with(config, 8);
    stage.connect(&phone(ALICE, "0 101"), &phone(BOB, "0 101"));
    stage.now += Duration::from_secs(86_400);
    assert_eq!(reported_silent(&mut stage), []);
}

#[test]
fn the_record_of_a_call_survives_writing_and_reading() {
    let mut stage = Stage::talking();
    stage.stream(CALLER, "192.0.2.200:31000", 1, 0, 6);
    stage.perform(MediaOp::Offered { call: CALL, seat: CALLEE.into(), sdp: Sdp::from("v=0\r\n") });
    let record = stage.engine.record(CALL).expect("the call");
    assert_eq!(record.caller.source, Some(at("192.0.2.200:31000")));
    assert_eq!(record.caller.agreed, Some(("PCMU".to_owned(), 0, Some(101))));
    assert_eq!(record.callee.hears, Source::Peer);
    assert_eq!(record.caller.ports, [stage.our_port[&CALLER]]);
    let text = serde_json::to_string(&record).expect("writable");
    let back: hookswitch_media::MediaRecord = serde_json::from_str(&text).expect("readable");
    assert_eq!(back, record);
    assert_eq!(stage.engine.record(CallId(99)), None);
}
