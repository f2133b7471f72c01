//! The telephone-event payload (RFC 4733 section 2.3), and sending it.

use core::time::Duration;

use crate::BufferTooSmall;

/// Longest duration one packet can state, in units of the RTP clock; longer events are sent in segments.
pub const MAX_EVENT_DURATION: u16 = u16::MAX;

/// The last packet of an event is sent this often, so that losing one does not matter (section 2.5.1.4).
const END_PACKETS: u8 = 3;

/// One four-byte event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// 0 to 9 are the digits, 10 `*`, 11 `#`, 12 to 15 `A` to `D`, 16 a flash; others are no DTMF.
    pub event: u8,
    /// Whether the event is over.
    pub end: bool,
    /// Power in dBm0 with its sign dropped: 0 is loudest, 63 quietest.
    pub volume: u8,
    /// How long the event has lasted, in units of the RTP clock, from the packet's timestamp on.
    pub duration: u16,
}

impl TelephoneEvent {
    /// Bytes of one event.
    pub const LEN: usize = 4;

    /// Reads the first event of a payload; `None` when it is too short. Nobody sends more than one.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [event, flags, duration @ ..] = *payload.first_chunk::<{ Self::LEN }>()?;
        let duration = u16::from_be_bytes(duration);
        Some(Self { event, end: flags & 0x80 != 0, volume: flags & 0x3f, duration })
    }

    /// The payload.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, (u8::from(self.end) << 7) | (self.volume & 0x3f), high, low]
    }

    /// Writes the payload to the beginning of a buffer and returns its length.
    ///
    /// # Errors
    /// When the buffer is shorter than [`LEN`](Self::LEN).
    pub fn write(self, buffer: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let too_small = BufferTooSmall { need: Self::LEN };
        *buffer.first_chunk_mut().ok_or(too_small)? = self.to_bytes();
        Ok(Self::LEN)
    }

    /// The key that was pressed, `None` when the event is no DTMF.
    #[must_use]
    pub fn digit(self) -> Option<char> {
        Self::digit_of(self.event)
    }

    /// The key for an event number.
    #[must_use]
    pub fn digit_of(event: u8) -> Option<char> {
        match event {
            0..=9 => Some(char::from(b'0' + event)),
            10 => Some('*'),
            11 => Some('#'),
            12..=15 => Some(char::from(b'A' + (event - 12))),
            _ => None,
        }
    }

    /// The event number for a key; letters in either case.
    #[must_use]
    pub fn event_of(digit: char) -> Option<u8> {
        match digit {
            '0'..='9' => Some(digit as u8 - b'0'),
            '*' => Some(10),
            '#' => Some(11),
            'A'..='D' => Some(digit as u8 - b'A' + 12),
            'a'..='d' => Some(digit as u8 - b'a' + 12),
            _ => None,
        }
    }
}

/// A packet that an [`EventSender`] wants sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPacket {
    /// Set on the first packet of the event.
    pub marker: bool,
    /// The time the event, or this segment of it, began. The same in all its packets.
    pub timestamp: u32,
    /// The payload.
    pub payload: TelephoneEvent,
}

/// Sends one event: give out a packet per packet time, with consecutive sequence numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSender {
    event: u8,
    volume: u8,
    /// Beginning of the segment.
    timestamp: u32,
    /// Clock units per packet.
    step: u32,
    /// Clock units of this segment so far, and of the event still to come.
    elapsed: u32,
    remaining: u32,
    first: bool,
    ends_left: u8,
}

impl EventSender {
    /// An event that begins at `timestamp` and lasts `length`, rounded up to whole packets.
    /// `volume` is dBm0 without its sign; 10 is usual.
    #[must_use]
    pub fn new(
        event: u8,
        volume: u8,
        timestamp: u32,
        clock_rate: u32,
        packet_time: Duration,
        length: Duration,
    ) -> Self {
        let ticks = |time: Duration| {
            let ticks = time.as_micros().saturating_mul(u128::from(clock_rate)) / 1_000_000;
            u32::try_from(ticks).unwrap_or(u32::MAX / 2).min(u32::MAX / 2)
        };
        let step = ticks(packet_time).clamp(1, u32::from(MAX_EVENT_DURATION));
        let remaining = ticks(length).div_ceil(step).max(1).saturating_mul(step);
        Self { event, volume, timestamp, step, elapsed: 0, remaining, first: true, ends_left: END_PACKETS }
    }

    /// The key is up: the next packet tells the end.
    pub fn release(&mut self) {
        self.remaining = self.remaining.min(self.step);
    }

    /// The packet to send now; `None` when the event has been told to the end.
    pub fn next_packet(&mut self) -> Option<EventPacket> {
        if self.ends_left == 0 {
            return None;
        }
        if self.remaining > 0 {
            if self.elapsed + self.step > u32::from(MAX_EVENT_DURATION) {
                self.timestamp = self.timestamp.wrapping_add(self.elapsed);
                self.elapsed = 0;
            }
            self.elapsed += self.step;
            self.remaining = self.remaining.saturating_sub(self.step);
        }
        let end = self.remaining == 0;
        if end {
            self.ends_left -= 1;
        }
        let payload = TelephoneEvent {
            event: self.event,
            end,
            volume: self.volume,
            // Kept below MAX_EVENT_DURATION above.
            duration: self.elapsed as u16,
        };
        let marker = core::mem::take(&mut self.first);
        Some(EventPacket { marker, timestamp: self.timestamp, payload })
    }
}
