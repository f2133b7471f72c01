//! What the network brings unevenly, put back in order, and how long it should wait before it is played.
//!
//! ```text
//!   put ──▶ ┌ slots, by sequence number ┐ ──▶ first, take
//!           └──────────┬────────────────┘
//!      transit times ──▶ how late the late ones are ──▶ target: what must pass before a packet is due
//! ```
//!
//! The quickest packet of the last seconds says when a packet would come at best; how much later the others come is
//! counted in steps of [`STEP_MS`], and the target is what all but one of a hundred keep to. Because only the last
//! seconds count, a clock that runs away from ours takes the target's foot along with it.

use hookswitch_call::Time;
use hookswitch_codec::Codec;
use hookswitch_rtp::{Arrival, Packet, SequenceTracker, sequence_delta};

/// Most packets that wait: 1.28 s of 20 ms each. Of what comes beyond, the oldest are given up.
pub(crate) const MAX_WAITING: usize = 64;

/// Fineness of what is known of the jitter, in milliseconds.
const STEP_MS: i64 = 5;

/// Steps that are told apart. What comes later than all of them, 500 ms, is as good as lost.
const STEPS: usize = 100;

/// Packets after which the older half of what is known is forgotten: 5 s of 20 ms each.
const WINDOW: u16 = 250;

/// The target is worked out anew after so many packets, and at once when one is later than it.
const LOOK_EVERY: u16 = 16;

/// One of so many packets may come too late.
const TOLERATED: u16 = 100;

/// A stream is lossy of which more than one packet of so many is lost: 2 %.
const LOSSY: u16 = 50;

/// And at least so many.
const ONCE_AND_AGAIN: u16 = 2;

/// A leap of the sender's clock against ours by so many seconds: its timestamps begin anew.
const LEAP_S: i64 = 2;

/// What has become of a stream's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct JitterCounts {
    /// Came when their time was over.
    pub late: u64,
    /// Were here before.
    pub duplicates: u64,
    /// Were given up because too many waited.
    pub overflows: u64,
    /// Stand far from everything, and nothing followed on them.
    pub strays: u64,
}

impl JitterCounts {
    /// Those that came too late to be played: after their time, or in a rush in which so many newer ones came too.
    pub const fn too_late(&self) -> u64 {
        self.late + self.overflows
    }
}

/// A packet that waits.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    sequence: u64,
    /// Its timestamp, wraps above bit 31.
    pub stamp: i64,
    pub codec: &'static Codec,
    pub payload: Vec<u8>,
}

/// What is known of the packet that is to be played next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct First {
    pub stamp: i64,
    /// Nothing is missing between the one that was taken last and this one.
    pub follows: bool,
    /// There are others behind it.
    pub has_more: bool,
}

/// The packets of one stream that have come and have not been played.
#[derive(Debug, Clone)]
pub(crate) struct Jitter {
    slots: Vec<Option<Slot>>,
    tracker: SequenceTracker,
    ssrc: Option<u32>,
    clock_rate: u32,
    /// The newest packet's number and timestamp, wraps above their own bits.
    newest: u64,
    stamp: i64,
    /// The number after that of the packet that was taken last.
    next: u64,
    delays: Delays,
    pub counts: JitterCounts,
}

impl Jitter {
    pub fn new() -> Self {
        Self {
            slots: Vec::new(),
            tracker: SequenceTracker::new(1),
            ssrc: None,
            clock_rate: 1,
            newest: 0,
            stamp: 0,
            next: 0,
            delays: Delays::new(),
            counts: JitterCounts::default(),
        }
    }

    /// Takes a packet that has just come. True if it begins a stream, or its timestamps begin anew: what was to be
    /// played before is gone.
    pub fn put(&mut self, now: Time, packet: &Packet<'_>, codec: &'static Codec) -> bool {
        if self.ssrc != Some(packet.ssrc()) || self.clock_rate != codec.clock_rate {
            self.ssrc = Some(packet.ssrc());
            self.clock_rate = codec.clock_rate.max(1);
            self.tracker = SequenceTracker::new(codec.clock_rate);
        }
        let (sequence, timestamp) = (packet.sequence(), packet.timestamp());
        let arrival = self.tracker.packet(now, sequence, timestamp);
        let ahead = match arrival {
            Arrival::First => {
                self.begin(sequence, timestamp);
                0
            }
            Arrival::InOrder { .. } | Arrival::Late => i64::from(sequence_delta(sequence, self.newest as u16)),
            Arrival::Duplicate => {
                self.counts.duplicates += 1;
                return false;
            }
            Arrival::Stray => {
                self.counts.strays += 1;
                return false;
            }
        };
        let number = self.newest.saturating_add_signed(ahead);
        let stamp = self.stamp + i64::from(timestamp.wrapping_sub(self.stamp as u32).cast_signed());
        let transit = self.ticks(now) - stamp;
        let mut anew = arrival == Arrival::First;
        if ahead > 0 {
            (self.newest, self.stamp) = (number, stamp);
            self.make_room();
            if (transit - self.delays.base()).abs() > LEAP_S * i64::from(self.clock_rate) {
                self.delays = Delays::new();
                self.next = number;
                anew = true;
            }
        }
        if number < self.next {
            self.counts.late += 1;
        } else {
            self.keep(number, stamp, codec, packet.payload());
        }
        // A late one tells how late they come all the same.
        self.delays.note(transit, self.clock_rate);
        anew
    }

    /// Counts a packet that holds no audio, so that it is not missed.
    pub fn skip(&mut self, packet: &Packet<'_>) {
        if self.ssrc == Some(packet.ssrc()) {
            self.tracker.sequence_only(packet.sequence());
        }
    }

    fn begin(&mut self, sequence: u16, timestamp: u32) {
        // A wrap in advance, so that what is a little older is not below zero.
        self.newest = u64::from(sequence) + (1 << 16);
        self.stamp = i64::from(timestamp);
        self.next = self.newest;
        self.delays = Delays::new();
        for slot in self.slots.iter_mut().flatten() {
            slot.sequence = 0;
        }
    }

    /// Gives up what is further behind the newest than there is room for.
    fn make_room(&mut self) {
        let oldest = self.newest + 1 - MAX_WAITING as u64;
        while self.next < oldest {
            let waits = self.slot(self.next).is_some();
            self.counts.overflows += u64::from(waits);
            // A gap of thousands is not walked through.
            self.next = if waits { self.next + 1 } else { self.after(self.next, oldest) };
        }
    }

    /// The first number from one on, and before another, of a packet that waits; else that other.
    fn after(&self, from: u64, before: u64) -> u64 {
        let waiting = self.slots.iter().flatten().map(|slot| slot.sequence);
        waiting.filter(|number| (from..before).contains(number)).min().unwrap_or(before)
    }

    fn keep(&mut self, number: u64, stamp: i64, codec: &'static Codec, payload: &[u8]) {
        if self.slots.is_empty() {
            self.slots.resize_with(MAX_WAITING, || None);
        }
        let Some(place) = self.slots.get_mut((number % MAX_WAITING as u64) as usize) else { return };
        let slot = place.get_or_insert_with(|| Slot { sequence: 0, stamp: 0, codec, payload: Vec::new() });
        (slot.sequence, slot.stamp, slot.codec) = (number, stamp, codec);
        slot.payload.clear();
        slot.payload.extend_from_slice(payload);
    }

    fn slot(&self, number: u64) -> Option<&Slot> {
        let slot = self.slots.get((number % MAX_WAITING as u64) as usize)?.as_ref()?;
        (slot.sequence == number).then_some(slot)
    }

    fn first_number(&self) -> Option<u64> {
        (self.next..=self.newest).find(|number| self.slot(*number).is_some())
    }

    /// The packet that is to be played next.
    pub fn first(&self) -> Option<First> {
        let number = self.first_number()?;
        let stamp = self.slot(number)?.stamp;
        Some(First { stamp, follows: number == self.next, has_more: number < self.newest })
    }

    /// That packet itself.
    pub fn next(&self) -> Option<&Slot> {
        self.slot(self.first_number()?)
    }

    /// Takes that packet.
    pub fn take(&mut self) -> Option<&Slot> {
        let number = self.first_number()?;
        self.delays.miss(number - self.next);
        self.next = number + 1;
        self.slot(number)
    }

    /// Gives that packet up: its time is over.
    pub fn give_up(&mut self) {
        if self.take().is_some() {
            self.counts.late += 1;
        }
    }

    /// A moment on the stream's clock, before its timestamps are compared with it.
    pub fn ticks(&self, now: Time) -> i64 {
        let rate = u128::from(self.clock_rate);
        // Nanoseconds of centuries times a rate fit easily; in ticks they fit 63 bits.
        (now.as_nanos() * rate / 1_000_000_000) as i64
    }

    /// How long ago audio of this timestamp would have come at best, in units of the stream's clock.
    pub fn age(&self, now: Time, stamp: i64) -> i64 {
        self.ticks(now) - stamp - self.delays.base()
    }

    /// How old audio should be when it is played, in units of the stream's clock.
    pub fn target(&self) -> i64 {
        self.in_ticks(self.delays.target as i64 * STEP_MS)
    }

    /// Whether more than one packet of [`LOSSY`] has been lost of late.
    pub fn loses(&self) -> bool {
        let [present, before] = self.delays.missed;
        let seen: u16 = self.delays.seen.iter().sum();
        present + before >= ONCE_AND_AGAIN && present + before > seen / LOSSY
    }

    /// Milliseconds in units of the stream's clock.
    pub fn in_ticks(&self, ms: i64) -> i64 {
        ms * i64::from(self.clock_rate) / 1_000
    }
}

/// How late packets come, of the last seconds.
#[derive(Debug, Clone)]
struct Delays {
    /// The shortest time on the way, on clocks that are not ours: of the present window and of the one before.
    quickest: [i64; 2],
    /// How many came so many steps later.
    counts: [[u16; STEPS]; 2],
    seen: [u16; 2],
    /// How many did not come before the next one was played.
    missed: [u16; 2],
    /// In steps.
    target: usize,
}

impl Delays {
    fn new() -> Self {
        Self { quickest: [i64::MAX; 2], counts: [[0; STEPS]; 2], seen: [0; 2], missed: [0; 2], target: 1 }
    }

    fn base(&self) -> i64 {
        let [present, before] = self.quickest;
        let base = present.min(before);
        if base == i64::MAX { 0 } else { base }
    }

    fn note(&mut self, transit: i64, clock_rate: u32) {
        let step = (STEP_MS * i64::from(clock_rate) / 1_000).max(1);
        if self.seen[0] == WINDOW {
            self.turn(step);
        }
        self.quickest[0] = self.quickest[0].min(transit);
        let late = usize::try_from((transit - self.base()) / step).unwrap_or_default().min(STEPS - 1);
        if let Some(count) = self.counts[0].get_mut(late) {
            *count += 1;
        }
        self.seen[0] += 1;
        if late >= self.target || self.seen[0].is_multiple_of(LOOK_EVERY) {
            self.aim();
        }
    }

    /// So many have not come in time.
    fn miss(&mut self, count: u64) {
        self.missed[0] = self.missed[0].saturating_add(u16::try_from(count).unwrap_or(u16::MAX)).min(WINDOW);
    }

    /// The present window is that before from now on.
    fn turn(&mut self, step: i64) {
        let base = self.base();
        self.quickest = [i64::MAX, self.quickest[0]];
        self.seen = [0, self.seen[0]];
        self.missed = [0, self.missed[0]];
        let [present, before] = &mut self.counts;
        // What was measured from a base that is left behind is measured from the new one.
        let rise = usize::try_from((self.quickest[1] - base) / step).unwrap_or_default();
        before.fill(0);
        for (late, count) in present.iter().enumerate() {
            if let Some(place) = before.get_mut(late.saturating_sub(rise)) {
                *place += count;
            }
        }
        present.fill(0);
    }

    fn aim(&mut self) {
        let mut left = (self.seen[0] + self.seen[1]) / TOLERATED;
        let [present, before] = &self.counts;
        let counts = present.iter().zip(before).map(|(present, before)| present + before);
        for (late, count) in counts.enumerate().rev() {
            if count > left {
                self.target = late + 1;
                return;
            }
            left -= count;
        }
        self.target = 1;
    }
}
