//! Keys pressed, over a network that loses, repeats and reorders.

use core::time::Duration;

use hookswitch_rtp::{EVENT_TIMEOUT, EventReceiver, EventReport, EventSender, TelephoneEvent};

const STEP: Duration = Duration::from_millis(20);

/// Packets as (marker, timestamp, payload).
type Packets = Vec<(bool, u32, TelephoneEvent)>;

fn press(digit: char, timestamp: u32, length_ms: u64) -> Packets {
    let event = TelephoneEvent::event_of(digit).expect("a key");
    let length = Duration::from_millis(length_ms);
    let mut sender = EventSender::new(event, 10, timestamp, 8000, STEP, length);
    let next = || sender.next_packet().map(|p| (p.marker, p.timestamp, p.payload));
    std::iter::from_fn(next).collect()
}

/// Feeds packets 20 ms apart, then waits, and returns digits pressed and all reports.
fn hear(packets: &[(bool, u32, TelephoneEvent)]) -> (String, Vec<EventReport>) {
    let mut receiver = EventReceiver::new();
    let mut now = Duration::ZERO;
    let mut reports = Vec::new();
    for (marker, timestamp, payload) in packets {
        now += STEP;
        reports.extend(receiver.packet(now, *marker, *timestamp, *payload));
    }
    reports.extend(receiver.handle_timeout(now + EVENT_TIMEOUT));
    assert_eq!(receiver.deadline(), None);
    let digit = |report: &EventReport| match *report {
        EventReport::Started { event, .. } => TelephoneEvent::digit_of(event),
        EventReport::Ended { .. } => None,
    };
    (reports.iter().filter_map(digit).collect(), reports)
}

#[test]
fn payload_of_rfc_4733() {
    // Section 2.3: event, E R volume, duration.
    let event = TelephoneEvent { event: 11, end: true, volume: 10, duration: 1600 };
    assert_eq!(event.to_bytes(), [11, 0x8a, 0x06, 0x40]);
    assert_eq!(TelephoneEvent::parse(&[11, 0x8a, 0x06, 0x40]), Some(event));
    assert_eq!(event.digit(), Some('#'));
    // The reserved bit is ignored.
    assert_eq!(TelephoneEvent::parse(&[11, 0xca, 0x06, 0x40, 0]), Some(event));
    assert_eq!(TelephoneEvent::parse(&[11, 0x8a, 0x06]), None);
    let mut buffer = [0; 5];
    assert_eq!(event.write(&mut buffer), Ok(4));
    assert!(event.write(&mut buffer[..3]).is_err());
}

#[test]
fn keys_and_numbers() {
    for (number, key) in "0123456789*#ABCD".chars().enumerate() {
        assert_eq!(TelephoneEvent::digit_of(number as u8), Some(key));
        assert_eq!(TelephoneEvent::event_of(key), Some(number as u8));
        assert_eq!(TelephoneEvent::event_of(key.to_ascii_lowercase()), Some(number as u8));
    }
    assert_eq!(TelephoneEvent::digit_of(16), None);
    assert_eq!(TelephoneEvent::event_of('E'), None);
}

#[test]
fn a_key_is_sent_with_updates_and_three_ends() {
    let packets = press('5', 1000, 100);
    let durations: Vec<_> = packets.iter().map(|(_, _, p)| p.duration).collect();
    assert_eq!(durations, [160, 320, 480, 640, 800, 800, 800]);
    let ends: Vec<_> = packets.iter().map(|(_, _, p)| p.end).collect();
    assert_eq!(ends, [false, false, false, false, true, true, true]);
    let markers: Vec<_> = packets.iter().map(|(marker, _, _)| *marker).collect();
    assert_eq!(markers, [true, false, false, false, false, false, false]);
    assert!(packets.iter().all(|(_, timestamp, _)| *timestamp == 1000));
    // Shorter than a packet is one packet.
    assert_eq!(press('5', 0, 1).len(), 3);
}

#[test]
fn one_key_is_one_digit() {
    let (digits, reports) = hear(&press('5', 1000, 100));
    assert_eq!(digits, "5");
    let ended = EventReport::Ended { event: 5, duration: 800 };
    assert_eq!(reports, [EventReport::Started { event: 5, timestamp: 1000 }, ended]);
}

#[test]
fn the_same_key_twice_is_two_digits() {
    let packets = [press('1', 1000, 60), press('1', 2000, 60), press('#', 3000, 60)].concat();
    assert_eq!(hear(&packets).0, "11#");
}

#[test]
fn any_one_packet_may_be_lost_doubled_or_swapped() {
    let packets = [press('7', 4_294_967_000, 80), press('7', 1500, 80), press('8', 3000, 80)].concat();
    for at in 0..packets.len() {
        let mut lost = packets.clone();
        lost.remove(at);
        assert_eq!(hear(&lost).0, "778", "{at} lost");
        let mut doubled = packets.clone();
        doubled.insert(at, packets[at]);
        assert_eq!(hear(&doubled).0, "778", "{at} doubled");
        let mut swapped = packets.clone();
        swapped.swap(at, (at + 1).min(packets.len() - 1));
        assert_eq!(hear(&swapped).0, "778", "{at} swapped");
    }
}

#[test]
fn all_but_one_packet_may_be_lost() {
    for packet in press('9', 0, 100) {
        let (digits, reports) = hear(&[packet]);
        assert_eq!(digits, "9");
        assert_eq!(reports.len(), 2);
    }
}

#[test]
fn lost_ends_are_made_up_by_the_next_key_or_by_time() {
    let without_end = |packets: Packets| packets.into_iter().filter(|(_, _, p)| !p.end).collect::<Vec<_>>();
    let packets = [without_end(press('1', 0, 100)), without_end(press('2', 1600, 100))].concat();
    let (digits, reports) = hear(&packets);
    assert_eq!(digits, "12");
    let ended: Vec<_> = reports.iter().filter(|r| matches!(r, EventReport::Ended { .. })).collect();
    assert_eq!(ended.len(), 2);

    let mut receiver = EventReceiver::new();
    let update = TelephoneEvent { event: 1, end: false, volume: 10, duration: 160 };
    let _ = receiver.packet(STEP, true, 0, update);
    let deadline = receiver.deadline().expect("a key is down");
    assert_eq!(deadline, STEP + EVENT_TIMEOUT);
    assert!(receiver.handle_timeout(deadline - Duration::from_nanos(1)).is_empty());
    assert_eq!(receiver.handle_timeout(deadline).iter().count(), 1);
    // What comes after is a straggler.
    let end = TelephoneEvent { end: true, duration: 320, ..update };
    assert!(receiver.packet(deadline + STEP, false, 0, end).is_empty());
}

#[test]
fn a_key_held_longer_than_one_packet_can_say() {
    // 20 s are 160000 units: three segments.
    let packets = press('0', 0, 20_000);
    assert!(packets.iter().any(|(_, timestamp, _)| *timestamp > 65_000));
    let (digits, reports) = hear(&packets);
    assert_eq!(digits, "0");
    assert_eq!(reports.last(), Some(&EventReport::Ended { event: 0, duration: 160_000 }));
}

#[test]
fn a_source_that_starts_its_clock_anew_is_heard() {
    let packets = [press('1', 3_000_000_000, 60), press('2', 1_000_000_000, 60)].concat();
    assert_eq!(hear(&packets).0, "12");
}
