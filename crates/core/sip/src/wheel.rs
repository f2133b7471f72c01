//! The timer wheel: seven levels of 64 slots, one millisecond at the bottom.
//!
//! ```text
//!  level 0   1 ms a slot      64 ms a turn     timers here fire
//!  level 1  64 ms a slot       4 s  a turn  ┐
//!  level 2   4 s  a slot     4.4 min a turn │  timers here move down
//!    ...                                    │  when their slot begins
//!  level 6   2 y  a slot     139 y  a turn  ┘
//! ```
//!
//! Each slot is a doubly linked list through one slab, so that setting, moving and removing a timer costs the same
//! however many there are, and a removed timer leaves nothing behind. Most timers of SIP are removed long before they
//! fire (32 s after a call that took two), which is why a heap with dead entries does not do.

use core::time::Duration;

use slab::Slab;

const LEVELS: usize = 7;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const NONE: u32 = u32::MAX;

/// A wheel that was never larger than this many timers keeps its memory.
const IDLE: usize = 1_024;

/// Names a timer until it fires or is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimerKey(u32);

struct Entry<T> {
    tick: u64,
    next: u32,
    prev: u32,
    slot: u16,
    what: T,
}

/// Timers that each stand for one `T`.
pub(crate) struct Wheel<T> {
    entries: Slab<Entry<T>>,
    /// Head of each slot's list.
    heads: Box<[u32; LEVELS * SLOTS]>,
    /// Which slots of a level are in use, one bit each.
    used: [u64; LEVELS],
    /// Everything before this tick has fired.
    now: u64,
}

/// A timer may fire late by less than a tick, never early.
fn tick_at_or_after(time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    if Duration::from_millis(millis) < time { millis.saturating_add(1) } else { millis }
}

impl<T: Copy> Wheel<T> {
    pub(crate) fn new() -> Wheel<T> {
        Wheel { entries: Slab::new(), heads: Box::new([NONE; LEVELS * SLOTS]), used: [0; LEVELS], now: 0 }
    }

    /// How many timers are set.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the memory of a storm once no timer of it is left.
    pub(crate) fn give_back(&mut self) {
        if self.entries.is_empty() && self.entries.capacity() > IDLE {
            self.entries = Slab::new();
        }
    }

    /// Sets a timer; one in the past fires at the next [`Wheel::pop`].
    pub(crate) fn insert(&mut self, at: Duration, what: T) -> TimerKey {
        let entry = Entry { tick: tick_at_or_after(at), next: NONE, prev: NONE, slot: 0, what };
        // Slab keys stay below 2^32 because the endpoint limits what can own a timer.
        let index = self.entries.insert(entry) as u32;
        self.link(index);
        TimerKey(index)
    }

    /// Takes a timer back.
    pub(crate) fn remove(&mut self, key: TimerKey) {
        if self.entries.contains(key.0 as usize) {
            self.unlink(key.0);
            self.entries.remove(key.0 as usize);
        }
    }

    /// Moves a timer to another time.
    pub(crate) fn reset(&mut self, key: TimerKey, at: Duration) {
        if self.entries.contains(key.0 as usize) {
            self.unlink(key.0);
            self.entries[key.0 as usize].tick = tick_at_or_after(at);
            self.link(key.0);
        }
    }

    /// When to call [`Wheel::pop`] next: never later than the next timer, and earlier only to move timers down.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.next_slot().map(|(_, _, tick)| Duration::from_millis(tick))
    }

    /// Takes one timer that is due at `now`; `None` when there is none left.
    pub(crate) fn pop(&mut self, now: Duration) -> Option<T> {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        while let Some((level, slot, tick)) = self.next_slot() {
            if tick > now {
                break;
            }
            self.now = self.now.max(tick);
            let index = self.heads[level * SLOTS + slot];
            if level == 0 {
                self.unlink(index);
                return Some(self.entries.remove(index as usize).what);
            }
            self.move_down(level * SLOTS + slot);
        }
        self.now = self.now.max(now);
        None
    }

    fn move_down(&mut self, slot: usize) {
        while self.heads[slot] != NONE {
            let index = self.heads[slot];
            self.unlink(index);
            self.link(index);
        }
    }

    /// The slot that begins next, with the tick at which it does.
    fn next_slot(&self) -> Option<(usize, usize, u64)> {
        for level in 0..LEVELS {
            if self.used[level] == 0 {
                continue;
            }
            let shift = level as u32 * SLOT_BITS;
            let here = ((self.now >> shift) as u32) % SLOTS as u32;
            let ahead = self.used[level].rotate_right(here).trailing_zeros();
            let slot = (here + ahead) as usize % SLOTS;
            let turn = self.now >> shift >> SLOT_BITS << SLOT_BITS;
            let start = (turn + slot as u64) << shift;
            // Slots behind `here` belong to the next turn of this level; only the topmost level can wrap.
            let start = if (slot as u32) < here { start + (1 << shift << SLOT_BITS) } else { start };
            // Lower levels always begin before higher ones: a timer sits on the lowest level whose turn holds it.
            return Some((level, slot, start.max(self.now)));
        }
        None
    }

    fn link(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        let tick = entry.tick.max(self.now);
        // The highest bit in which the time differs from now says on which level the two part.
        let differ = (tick ^ self.now) | (SLOTS as u64 - 1);
        let level = (((63 - differ.leading_zeros()) / SLOT_BITS) as usize).min(LEVELS - 1);
        let slot = level * SLOTS + ((tick >> (level as u32 * SLOT_BITS)) as usize % SLOTS);
        let head = self.heads[slot];
        entry.slot = slot as u16;
        entry.next = head;
        entry.prev = NONE;
        if head != NONE {
            self.entries[head as usize].prev = index;
        }
        self.heads[slot] = index;
        self.used[level] |= 1 << (slot % SLOTS);
    }

    fn unlink(&mut self, index: u32) {
        let Entry { next, prev, slot, .. } = self.entries[index as usize];
        let slot = usize::from(slot);
        if next != NONE {
            self.entries[next as usize].prev = prev;
        }
        if prev != NONE {
            self.entries[prev as usize].next = next;
        } else {
            self.heads[slot] = next;
            if next == NONE {
                self.used[slot / SLOTS] &= !(1 << (slot % SLOTS));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn drain(wheel: &mut Wheel<u64>, now: Duration) -> Vec<u64> {
        std::iter::from_fn(|| wheel.pop(now)).collect()
    }

    #[test]
    fn fires_at_its_millisecond_and_not_before() {
        let start = 1_763_700_000_123;
        for delay in [0, 1, 63, 64, 65, 500, 4_095, 4_096, 32_000, 300_000, 86_400_000] {
            let mut wheel = Wheel::new();
            assert_eq!(wheel.pop(ms(start)), None);
            wheel.insert(ms(start + delay), delay);
            let mut steps = 0;
            while let Some(next) = wheel.next() {
                assert!(next <= ms(start + delay), "{delay}: {next:?} is late");
                if next < ms(start + delay) {
                    assert_eq!(wheel.pop(next), None, "{delay} fired early");
                } else {
                    assert_eq!(wheel.pop(next), Some(delay));
                }
                steps += 1;
                assert!(steps <= LEVELS + 1, "{delay} took {steps} steps");
            }
            assert_eq!(wheel.len(), 0);
        }
    }

    #[test]
    fn fractions_of_a_millisecond_round_up() {
        let mut wheel = Wheel::new();
        wheel.insert(Duration::from_micros(1_500), 1);
        assert_eq!(wheel.pop(Duration::from_micros(1_600)), None);
        assert_eq!(wheel.pop(ms(2)), Some(1));
    }

    #[test]
    fn behaves_as_a_sorted_list_would() {
        let mut seed = 7_u64;
        let mut random = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        let mut wheel = Wheel::new();
        let mut model: Vec<(u64, u64, TimerKey)> = Vec::new();
        let mut now = 1_763_700_000_000;
        for id in 0..20_000 {
            let at = now + random() % 40_000;
            model.push((at, id, wheel.insert(ms(at), id)));
            if random() % 3 == 0 {
                let victim = random() as usize % model.len();
                wheel.remove(model.swap_remove(victim).2);
            }
            if random() % 4 == 0 {
                let moved = random() as usize % model.len();
                model[moved].0 = now + random() % 40_000;
                wheel.reset(model[moved].2, ms(model[moved].0));
            }
            if random() % 10 == 0 {
                now += random() % 700;
                let mut fired = drain(&mut wheel, ms(now));
                let mut due: Vec<u64> = model.iter().filter(|t| t.0 <= now).map(|t| t.1).collect();
                model.retain(|t| t.0 > now);
                fired.sort_unstable();
                due.sort_unstable();
                assert_eq!(fired, due);
            }
            assert_eq!(wheel.len(), model.len());
        }
        drain(&mut wheel, ms(now + 40_000));
        assert_eq!(wheel.len(), 0);
        assert_eq!(wheel.next(), None);
    }
}
