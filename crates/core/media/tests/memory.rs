//! What a call costs in memory, and that its packets cost none.

mod stage;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use hookswitch_call::{CallId, MediaOp, Party, RecordOrder, RecordPlan, RecordingId, Sdp, Source};
use hookswitch_media::{FileOrder, FileReport};
use hookswitch_rtp::{CompoundWriter, ReportBlock, SenderInfo, is_rtcp};
use stage::{ALICE, BOB, CALL, CALLEE_LEG, CALLER_LEG, Stage, config, is_sent, phone, phone_with, rtp};

/// Bytes one anchored, answered call may take in the engine, its two descriptions included.
const BYTES_PER_CALL: isize = 3_328;

/// Counts allocations and the bytes in use of each thread, so that tests can run side by side.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static IN_USE: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system allocator as it is; counting touches thread-local numbers only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        IN_USE.with(|bytes| bytes.set(bytes.get() + layout.size().cast_signed()));
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        IN_USE.with(|bytes| bytes.set(bytes.get() - layout.size().cast_signed()));
        // SAFETY: the memory came from `alloc` above with this layout.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = COUNT.with(Cell::get);
    work();
    COUNT.with(Cell::get) - before
}

#[test]
fn a_relayed_packet_allocates_nothing() {
    let mut stage = Stage::talking();
    let mut packets: Vec<_> = (0..100).map(|n| rtp(if n % 3 == 0 { 101 } else { 0 }, n, 1)).collect();
    let mut report = [0; 64];
    let mut writer = CompoundWriter::new(&mut report);
    writer.receiver_report(1, &[]).expect("room");
    let length = writer.len();
    // Keys are told, and what they are told in grows with the first.
    for n in 0..300 {
        stage.send(Party::Caller, ALICE, &mut rtp(101, 60_000 + n, 1));
        stage.send(Party::Callee, BOB, &mut rtp(101, 60_000 + n, 1));
    }
    while stage.engine.poll_report().is_some() {}
    for n in 60_300..=u16::MAX {
        stage.send(Party::Caller, ALICE, &mut rtp(0, n, 1));
        stage.send(Party::Callee, BOB, &mut rtp(0, n, 1));
    }
    let count = allocations(|| {
        for packet in &mut packets {
            assert!(is_sent(&stage.send(Party::Caller, ALICE, packet)));
            assert!(is_sent(&stage.send(Party::Callee, BOB, packet)));
            // Strangers and garbage neither.
            assert!(!is_sent(&stage.send(Party::Caller, "203.0.113.66:666", packet)));
            assert!(!is_sent(&stage.send(Party::Caller, ALICE, &mut packet[..7])));
        }
        assert!(is_sent(&stage.send_report(Party::Caller, "198.51.100.1:4001", &mut report[..length])));
    });
    assert_eq!(count, 0);
}

#[test]
fn a_packet_that_is_given_other_numbers_allocates_nothing_and_nor_does_a_report() {
    let mut stage = Stage::talking();
    stage.hear(Party::Caller, Source::Ringback).hear(Party::Callee, Source::Reference);
    stage.run(100);
    stage.hear(Party::Caller, Source::Peer).hear(Party::Callee, Source::Peer);
    // Keys are told, and what they are told in grows with the first.
    for n in 0..300 {
        stage.send(Party::Caller, ALICE, &mut rtp(101, n, 0x105));
        stage.send(Party::Callee, BOB, &mut rtp(101, n, 0x105));
    }
    while stage.engine.poll_report().is_some() {}
    // A new source every now and then, stragglers and leaps.
    let mut packets: Vec<_> =
        (0..100u16).map(|n| rtp(if n % 3 == 0 { 101 } else { 0 }, n * n, u32::from(n / 20))).collect();
    let mut report = [0; 128];
    let mut writer = CompoundWriter::new(&mut report);
    let block = ReportBlock { ssrc: 7, ..ReportBlock::default() };
    writer.sender_report(1, SenderInfo::default(), &[block]).expect("room").cname(1, b"phone").expect("room");
    let length = writer.len();
    let count = allocations(|| {
        for packet in &mut packets {
            stage.send(Party::Caller, ALICE, packet);
            stage.send(Party::Callee, BOB, packet);
        }
        assert!(is_sent(&stage.send_report(Party::Caller, "198.51.100.1:4001", &mut report[..length])));
    });
    assert_eq!(count, 0);
}

#[test]
fn a_transcoded_packet_allocates_nothing_once_the_first_have_passed() {
    let mut stage = Stage::with(stage::with_g722(), 8);
    stage.connect(&phone(ALICE, "0 101"), &phone_with(BOB, "9 101", "a=ptime:40\r\n"));
    let mut packets: Vec<_> = (0..110).map(|n| rtp(0, n, 1)).collect();
    let mut back: Vec<_> = (0..110).map(|n| rtp(9, n, 2)).collect();
    let mut run = |range: std::ops::Range<usize>| {
        for n in range {
            stage.send(Party::Caller, ALICE, &mut packets[n]);
            stage.send(Party::Callee, BOB, &mut back[n]);
            stage.engine.send_ready(&mut |_, _, _| {});
        }
    };
    run(0..10);
    assert_eq!(allocations(|| run(10..110)), 0);
}

#[test]
fn learning_a_source_allocates_nothing() {
    let mut stage = Stage::talking();
    let mut packets: Vec<_> = (0..10).map(|n| rtp(0, n, 1)).collect();
    let count = allocations(|| {
        for packet in &mut packets {
            stage.send(Party::Caller, "192.0.2.200:31000", packet);
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn tones_echoes_and_their_reports_allocate_nothing() {
    let mut stage = Stage::talking();
    stage.hear(Party::Caller, Source::Ringback).hear(Party::Callee, Source::Echo);
    let mut packet = rtp(0, 1, 1);
    let (mut media, mut reports) = (0, 0);
    let count = allocations(|| {
        for _ in 0..1_000 {
            stage.wait(20);
            stage.engine.tick(stage.now, &mut |_, _, bytes| {
                *(if is_rtcp(bytes) { &mut reports } else { &mut media }) += 1;
            });
            assert!(is_sent(&stage.send(Party::Callee, BOB, &mut packet)));
        }
    });
    assert_eq!(count, 0);
    assert!(media >= 1_000 && reports >= 4, "{media} packets, {reports} reports");
}

#[test]
fn what_nobody_hears_and_the_reports_on_it_allocate_nothing_once_the_first_has_come() {
    let mut stage = Stage::talking();
    stage.hear(Party::Caller, Source::Silence).hear(Party::Callee, Source::Silence);
    let mut packets: Vec<_> = (0..1_000).map(|n| rtp(0, n, 1)).collect();
    let mut reports = 0;
    let mut speak = |packets: &mut [Vec<u8>]| {
        for packet in packets {
            stage.wait(20);
            stage.engine.tick(stage.now, &mut |_, _, _| reports += 1);
            assert!(!is_sent(&stage.send(Party::Callee, BOB, packet)));
        }
    };
    speak(&mut packets[..10]);
    assert_eq!(allocations(|| speak(&mut packets[10..])), 0);
    assert!(reports >= 2, "{reports} reports");
}

#[test]
fn music_on_hold_and_keys_allocate_nothing_while_they_are_sent() {
    let mut stage = Stage::talking();
    stage.hear(Party::Caller, Source::Hold).press(Party::Callee, '5', 8_000);
    let mut plain = Stage::new();
    plain.connect(&phone(ALICE, "0"), &phone(BOB, "0"));
    plain.press(Party::Callee, '5', 8_000);
    // The sound of a key is prepared when it begins.
    for stage in [&mut stage, &mut plain] {
        stage.engine.tick(stage.now, &mut |_, _, _| {});
    }
    let mut sent = 0;
    let count = allocations(|| {
        for _ in 0..300 {
            for stage in [&mut stage, &mut plain] {
                stage.wait(20);
                stage.engine.tick(stage.now, &mut |_, _, _| sent += 1);
            }
        }
    });
    assert_eq!(count, 0);
    assert!(sent >= 900, "{sent} packets");
}

#[test]
fn a_spare_seat_weighs_something_only_while_it_is_open() {
    let mut stage = Stage::with(config(), 4);
    stage.connect(&phone(ALICE, "0 8 101"), &phone(BOB, "0 8 101"));
    let once = |stage: &mut Stage| {
        stage.open_spare(Party::Callee);
        stage.make_offer(stage::NEW_SEAT, stage::NEW_LEG).expect("an offer");
        stage.accept(stage::NEW_SEAT, stage::NEW_LEG, &phone(stage::CAROL, "0 101")).expect("usable");
        let open = in_use(stage);
        stage.swap(Party::Callee).swap(Party::Callee).close_spare();
        open
    };
    // What grows the first time and stays: tables, and the counters of those who have left.
    once(&mut stage);
    let before = in_use(&mut stage);
    let open = once(&mut stage);
    assert!(open > before);
    assert_eq!(in_use(&mut stage), before);
}

/// Both parties of a recorded call speak so many packets, each in its time or all of them at once, with a turn before they are
/// read. The most bytes in use after any of them.
fn speak_recorded(stage: &mut Stage, numbers: std::ops::Range<u16>, is_at_once: bool) -> isize {
    if is_at_once {
        stage.wait(20 * numbers.len() as u64).run(0);
    }
    let mut most = 0;
    for n in numbers {
        for (party, from) in [(Party::Caller, ALICE), (Party::Callee, BOB)] {
            stage.send(party, from, &mut rtp(0, n, 1));
        }
        if !is_at_once {
            stage.run(20);
            while stage.engine.poll_file().is_some() {}
            most = most.max(in_use(stage));
        }
    }
    most
}

#[test]
fn a_recording_for_which_the_machine_stood_still_takes_no_more_afterwards_than_before() {
    let mut stage = Stage::talking();
    let plan = Box::new(RecordPlan::both_sides("a.wav".into()));
    let order = RecordOrder::Begin(plan);
    stage.perform(MediaOp::Record { call: CALL, party: Party::Caller, recording: RecordingId(1), order });
    stage.run(0);
    let Some(FileOrder::CreateRecording { file, .. }) = stage.engine.poll_file() else { panic!("a file") };
    stage.engine.file_done(stage.now, FileReport::RecordingOpen { file });
    speak_recorded(&mut stage, 0..100, false);
    let before = speak_recorded(&mut stage, 100..200, false);
    speak_recorded(&mut stage, 200..400, true);
    // Two turns: one that takes what has piled up, and one after which a track keeps room for what comes in half a second.
    speak_recorded(&mut stage, 400..475, false);
    let after = speak_recorded(&mut stage, 475..575, false);
    // A packet more or less may wait.
    assert!(after <= before + 500, "{after} bytes after {before}");
}

/// The bytes in use, what the stage itself remembers aside.
fn in_use(stage: &mut Stage) -> isize {
    stage.told.clear();
    stage.take_news();
    IN_USE.with(Cell::get)
}

/// Sets up call `n` with its own phones.
fn set_up(stage: &mut Stage, n: u64) {
    let call = CallId(n);
    let offer = Some((Party::Caller, Sdp::from(phone(ALICE, "0 8 101").as_str())));
    stage.perform(MediaOp::Open { call, offer, codecs: None, near: None, room: None });
    stage.perform(MediaOp::MakeOffer { call, seat: Party::Callee.into(), leg: CALLEE_LEG, near: None });
    let sdp = Sdp::from(phone(BOB, "0 8 101").as_str());
    stage.perform(MediaOp::Accept { call, seat: Party::Callee.into(), leg: CALLEE_LEG, sdp });
    stage.perform(MediaOp::MakeAnswer { call, seat: Party::Caller.into(), leg: CALLER_LEG });
    for party in [Party::Caller, Party::Callee] {
        stage.perform(MediaOp::Hear { call, seat: party.into(), source: Source::Peer });
    }
}

#[test]
fn a_call_fits_into_a_few_kilobytes_and_leaves_none_behind() {
    const CALLS: u64 = 2_000;
    let mut stage = Stage::with(config(), 2 * CALLS as u32);
    // What grows with the first calls and stays: tables and queues.
    for n in 0..CALLS {
        set_up(&mut stage, n);
    }
    for n in 0..CALLS {
        stage.perform(MediaOp::Close { call: CallId(n) });
        while stage.engine.poll_closed().is_some() {}
    }
    let empty = in_use(&mut stage);
    for n in 0..CALLS {
        set_up(&mut stage, n);
    }
    let per_call = (in_use(&mut stage) - empty) / CALLS.cast_signed() as isize;
    assert!(per_call <= BYTES_PER_CALL, "{per_call} bytes per call");
    for n in 0..CALLS {
        stage.perform(MediaOp::Close { call: CallId(n) });
        while stage.engine.poll_closed().is_some() {}
    }
    for n in 0..20_000 {
        set_up(&mut stage, n);
        stage.perform(MediaOp::Close { call: CallId(n) });
        while stage.engine.poll_closed().is_some() {}
    }
    assert_eq!(in_use(&mut stage), empty, "20,000 calls later");
    // Not before: what is printed is kept by the test runner, and would be counted.
    println!("{per_call} bytes per call");
}
