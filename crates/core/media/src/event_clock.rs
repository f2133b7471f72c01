//! Telephone events from one RTP clock to another.
//!
//! An event can state 65,535 units of its clock: eight seconds at 8 kHz, and not one and a half at 48 kHz. What lasts
//! longer is sent in segments, each with a timestamp of its own (RFC 4733 section 2.5.1.3), so one event may have more of
//! them on one side than on the other.

use hookswitch_rtp::{Header, TelephoneEvent};

/// Units that a segment lasts: the most that whole packets of 20 ms at 48 kHz fill, so that none is cut short.
const SEGMENT: u32 = 65_280;

/// A segment that another one follows is longer than this: nobody gives up half of what one can state.
const LONG: u16 = 0x8000;

/// The event that has come last.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EventClock {
    event: u8,
    /// When it began, and its present segment, by the clock it comes with.
    begun: u32,
    segment: u32,
    /// How long that segment was so far.
    duration: u16,
}

impl EventClock {
    /// Turns a packet of an event from a clock of the first rate into one of the second; `convert` does that with
    /// timestamps. The timestamp of what is to be sent.
    pub fn convert(
        &mut self,
        header: &Header,
        payload: &mut [u8],
        (from, to): (u32, u32),
        convert: impl FnOnce(u32) -> u32,
    ) -> u32 {
        let Some(event) = TelephoneEvent::parse(payload) else { return convert(header.timestamp) };
        self.follow(header, event);
        let so_far = header.timestamp.wrapping_sub(self.begun).wrapping_add(event.duration.into());
        let ticks = u64::from(so_far) * u64::from(to) / u64::from(from.max(1));
        let before = ticks.saturating_sub(1) / u64::from(SEGMENT) * u64::from(SEGMENT);
        // Not more than a segment.
        let duration = (ticks - before) as u16;
        // Large enough, or parsing would have failed.
        let _ = TelephoneEvent { duration, ..event }.write(payload);
        // Timestamps wrap.
        convert(self.begun).wrapping_add(before as u32)
    }

    /// Finds out whether a packet belongs to the event before.
    fn follow(&mut self, header: &Header, event: TelephoneEvent) {
        let offset = header.timestamp.wrapping_sub(self.segment);
        let is_same = event.event == self.event && offset == 0;
        let goes_on = event.event == self.event
            && !header.marker
            && self.duration > LONG
            && (u32::from(self.duration)..=0x1_0000).contains(&offset);
        if is_same {
            self.duration = self.duration.max(event.duration);
            return;
        }
        if !goes_on {
            (self.event, self.begun) = (event.event, header.timestamp);
        }
        (self.segment, self.duration) = (header.timestamp, event.duration);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hookswitch_rtp::{EventReceiver, EventReport, EventSender};

    use super::*;

    /// A key of so many seconds at one clock, as a listener at the other hears it: which keys, and for how long in
    /// milliseconds.
    fn heard(seconds: u64, (from, to): (u32, u32)) -> Vec<(u8, u32)> {
        let step = Duration::from_millis(20);
        let mut sender = EventSender::new(7, 10, 4_000_000_000, from, step, Duration::from_secs(seconds));
        let (mut clock, mut receiver, mut keys, mut now) =
            (EventClock::default(), EventReceiver::new(), Vec::new(), Duration::ZERO);
        while let Some(packet) = sender.next_packet() {
            let header =
                Header { marker: packet.marker, payload_type: 101, sequence: 0, timestamp: packet.timestamp, ssrc: 1 };
            let mut payload = packet.payload.to_bytes();
            let convert = |timestamp: u32| {
                let since = timestamp.wrapping_sub(4_000_000_000);
                (u64::from(since) * u64::from(to) / u64::from(from)) as u32
            };
            let timestamp = clock.convert(&header, &mut payload, (from, to), convert);
            let event = TelephoneEvent::parse(&payload).expect("an event");
            for report in receiver.packet(now, packet.marker, timestamp, event) {
                if let EventReport::Ended { event, duration } = report {
                    keys.push((event, duration / (to / 1_000)));
                }
            }
            now += step;
        }
        keys
    }

    #[test]
    fn a_key_is_as_long_on_one_clock_as_on_the_other_however_long_it_is() {
        for clocks in [(8_000, 48_000), (48_000, 8_000), (16_000, 48_000), (48_000, 16_000), (8_000, 16_000)] {
            for seconds in [1, 2, 7, 8, 20] {
                assert_eq!(heard(seconds, clocks), [(7, 1_000 * seconds as u32)], "{clocks:?}");
            }
        }
    }

    #[test]
    fn the_same_key_once_more_is_another_one() {
        let mut clock = EventClock::default();
        let mut at = |timestamp, duration, marker| {
            let header = Header { marker, payload_type: 101, sequence: 0, timestamp, ssrc: 1 };
            let mut payload = TelephoneEvent { event: 1, end: false, volume: 10, duration }.to_bytes();
            let timestamp = clock.convert(&header, &mut payload, (48_000, 8_000), |timestamp| timestamp / 6);
            (timestamp, TelephoneEvent::parse(&payload).expect("an event").duration)
        };
        assert_eq!(at(6_000, 65_280, true), (1_000, 10_880));
        assert_eq!(at(71_280, 960, false), (1_000, 11_040), "it goes on");
        assert_eq!(at(200_000, 960, true), (33_333, 160));
        assert_eq!(at(200_960, 960, false), (33_493, 160), "a short one is not gone on with");
    }

    #[test]
    fn what_is_too_short_is_left_alone() {
        let mut payload = [1, 2, 3];
        let header = Header { marker: true, payload_type: 101, sequence: 0, timestamp: 6, ssrc: 1 };
        assert_eq!(EventClock::default().convert(&header, &mut payload, (48_000, 8_000), |at| at / 6), 1);
        assert_eq!(payload, [1, 2, 3]);
    }
}
