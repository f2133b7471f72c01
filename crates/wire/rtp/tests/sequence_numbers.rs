//! Loss, order and jitter of one source.

use core::time::Duration;

use hookswitch_rtp::{Arrival, MAX_DROPOUT, MAX_MISORDER, SequenceTracker, is_newer, sequence_delta};

const IN_ORDER: Arrival = Arrival::InOrder { missing: 0 };

#[test]
fn order_across_the_wrap() {
    assert!(is_newer(0, 65_535) && is_newer(1, 65_000) && !is_newer(65_535, 0) && !is_newer(5, 5));
    assert_eq!(sequence_delta(2, 65_534), 4);
    assert_eq!(sequence_delta(65_534, 2), -4);
}

#[test]
fn wraps_are_counted() {
    let mut tracker = SequenceTracker::new(8000);
    assert_eq!((tracker.expected(), tracker.lost(), tracker.extended_highest()), (0, 0, 0));
    assert_eq!(tracker.sequence_only(65_534), Arrival::First);
    assert_eq!(tracker.extended_highest(), 65_534);
    for sequence in [65_535, 0, 1] {
        assert_eq!(tracker.sequence_only(sequence), IN_ORDER);
    }
    assert_eq!(tracker.extended_highest(), 0x1_0001);
    assert_eq!((tracker.expected(), tracker.received(), tracker.lost()), (4, 4, 0));
}

#[test]
fn gaps_late_packets_and_duplicates() {
    let mut tracker = SequenceTracker::new(8000);
    tracker.sequence_only(10);
    assert_eq!(tracker.sequence_only(14), Arrival::InOrder { missing: 3 });
    assert_eq!(tracker.lost(), 3);
    assert_eq!(tracker.sequence_only(12), Arrival::Late);
    assert_eq!(tracker.sequence_only(12), Arrival::Duplicate);
    assert_eq!(tracker.sequence_only(14), Arrival::Duplicate);
    assert_eq!(tracker.sequence_only(10), Arrival::Duplicate);
    assert_eq!((tracker.expected(), tracker.received()), (5, 3));
    assert_eq!((tracker.lost(), tracker.duplicates()), (2, 3));
    // Earlier than the first: it moves the beginning.
    assert_eq!(tracker.sequence_only(9), Arrival::Late);
    assert_eq!((tracker.expected(), tracker.lost()), (6, 2));
}

#[test]
fn a_stray_packet_is_not_believed_and_a_restart_is() {
    let mut tracker = SequenceTracker::new(8000);
    tracker.sequence_only(100);
    assert_eq!(tracker.sequence_only(100 + MAX_DROPOUT), Arrival::Stray);
    assert_eq!(tracker.sequence_only(101), IN_ORDER);
    assert_eq!(tracker.sequence_only(40_000), Arrival::Stray);
    assert_eq!(tracker.sequence_only(40_001), Arrival::First);
    assert_eq!((tracker.expected(), tracker.received(), tracker.lost()), (1, 1, 0));
    let late = 40_001 - MAX_MISORDER;
    assert_eq!(tracker.sequence_only(late - 1), Arrival::Stray);
    // Too far back to know whether it was here before.
    assert_eq!(tracker.sequence_only(late), Arrival::Duplicate);
    assert_eq!(tracker.sequence_only(40_000 + MAX_DROPOUT), Arrival::InOrder { missing: 2998 });
}

#[test]
fn an_even_stream_has_no_jitter() {
    let mut tracker = SequenceTracker::new(8000);
    for n in 0..1000u32 {
        let now = Duration::from_secs(1_800_000_000) + Duration::from_millis(20) * n;
        tracker.packet(now, n as u16, n * 160);
    }
    assert_eq!(tracker.jitter(), 0);
    assert_eq!(tracker.jitter_time(), Duration::ZERO);
}

#[test]
fn jitter_settles_at_the_mean_deviation() {
    let mut tracker = SequenceTracker::new(8000);
    for n in 0..1000u32 {
        // Every second packet is 5 ms late: 40 units of difference each time.
        let late = Duration::from_millis(if n % 2 == 0 { 0 } else { 5 });
        let timestamp = (n * 160).wrapping_sub(80_000);
        tracker.packet(Duration::from_millis(20) * n + late, n as u16, timestamp);
    }
    assert!((38..=40).contains(&tracker.jitter()), "{}", tracker.jitter());
    assert_eq!(tracker.max_jitter(), tracker.jitter());
    assert!(tracker.jitter_time() >= Duration::from_micros(4750));
}

#[test]
fn one_late_packet_counts_a_sixteenth() {
    let mut tracker = SequenceTracker::new(8000);
    tracker.packet(Duration::ZERO, 0, 0);
    // 160 units late: A.8 adds 160/16.
    tracker.packet(Duration::from_millis(40), 1, 160);
    assert_eq!(tracker.jitter(), 10);
    // A leap of the sender's clock is no jitter.
    tracker.packet(Duration::from_millis(60), 2, 1_000_000);
    assert_eq!(tracker.jitter(), 10);
}

#[test]
fn reports_cover_the_time_since_the_last() {
    let mut tracker = SequenceTracker::new(8000);
    for sequence in [0, 1, 2, 3, 5, 7] {
        tracker.sequence_only(sequence);
    }
    assert!(tracker.has_news());
    let first = tracker.report(9);
    assert_eq!((first.ssrc, first.fraction_lost, first.cumulative_lost), (9, 64, 2));
    assert_eq!(first.extended_highest, 7);
    tracker.sequence_only(7);
    assert!(!tracker.has_news(), "a duplicate is none");
    tracker.sequence_only(8);
    tracker.sequence_only(9);
    let second = tracker.report(9);
    assert_eq!((second.fraction_lost, second.cumulative_lost), (0, 2));
    // What comes late makes an interval's loss negative, which is reported as none.
    tracker.sequence_only(4);
    assert_eq!(tracker.report(9).cumulative_lost, 1);
    assert_eq!(tracker.report(9).fraction_lost, 0);
    // All but one lost.
    tracker.sequence_only(2000);
    let bad = tracker.report(9);
    assert_eq!((bad.fraction_lost, bad.cumulative_lost), (255, 1991));
}
