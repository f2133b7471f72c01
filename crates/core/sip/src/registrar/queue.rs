//! Which binding is due next: a heap with the place of everybody in it, so that a time can be changed. It holds 20 bytes
//! for each, where a tree held twice as many.

use super::table::Slot;
use crate::Time;

/// In [`Queue::places`]: not in the queue.
const NOWHERE: u32 = u32::MAX;

/// Slots by the time at which each is due, the earliest first; of equals the lower slot.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// A binary heap. Times in nanoseconds, which end in the year 2554.
    heap: Vec<(u64, u32)>,
    /// Where in the heap each slot is.
    places: Vec<u32>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    /// The earliest.
    pub(super) fn first(&self) -> Option<(Time, Slot)> {
        self.heap.first().map(|&(at, slot)| (Time::from_nanos(at), slot as Slot))
    }

    /// Whether a slot is due at some time.
    pub(super) fn has(&self, slot: Slot) -> bool {
        self.places.get(slot).is_some_and(|place| *place != NOWHERE)
    }

    /// Says when a slot is due, or that it is not.
    pub(super) fn set(&mut self, slot: Slot, at: Option<Time>) {
        let place = self.places.get(slot).copied().filter(|place| *place != NOWHERE);
        match (place, at.map(nanoseconds)) {
            (None, None) => {}
            (Some(place), None) => self.remove(place as usize),
            (Some(place), Some(at)) => {
                self.heap[place as usize].0 = at;
                self.settle(place as usize);
            }
            (None, Some(at)) => {
                if self.places.len() <= slot {
                    self.places.resize(slot + 1, NOWHERE);
                }
                // The limit of bindings keeps slots and places below 2^32.
                self.heap.push((at, slot as u32));
                self.settle(self.heap.len() - 1);
            }
        }
    }

    fn remove(&mut self, place: usize) {
        let (_, slot) = self.heap.swap_remove(place);
        self.places[slot as usize] = NOWHERE;
        if place < self.heap.len() {
            self.settle(place);
        }
        if self.heap.is_empty() {
            *self = Self::default();
        }
    }

    /// Moves an entry to where it belongs.
    fn settle(&mut self, mut place: usize) {
        while place > 0 && self.heap[place] < self.heap[(place - 1) / 2] {
            self.exchange(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
        loop {
            let below = 2 * place + 1..(2 * place + 3).min(self.heap.len());
            let Some(least) =
                below.min_by_key(|place| self.heap[*place]).filter(|at| self.heap[*at] < self.heap[place])
            else {
                break;
            };
            self.exchange(place, least);
            place = least;
        }
        self.note(place);
    }

    /// The entry at `from` is still on its way.
    fn exchange(&mut self, from: usize, to: usize) {
        self.heap.swap(from, to);
        self.note(from);
    }

    fn note(&mut self, place: usize) {
        let (_, slot) = self.heap[place];
        self.places[slot as usize] = place as u32;
    }
}

fn nanoseconds(at: Time) -> u64 {
    u64::try_from(at.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_sorted_set_of_times(steps in prop::collection::vec((0..20_usize, prop::option::of(0..50_u64)), 0..200)) {
            let mut queue = Queue::default();
            let mut known: BTreeSet<(Time, Slot)> = BTreeSet::new();
            for (slot, at) in steps {
                let at = at.map(Time::from_millis);
                known.retain(|(_, other)| *other != slot);
                known.extend(at.map(|at| (at, slot)));
                queue.set(slot, at);
                prop_assert_eq!(queue.first(), known.first().copied());
                prop_assert_eq!(queue.len(), known.len());
                prop_assert_eq!(queue.has(slot), at.is_some());
            }
            while let Some((at, slot)) = queue.first() {
                prop_assert_eq!(known.pop_first(), Some((at, slot)));
                queue.set(slot, None);
            }
            prop_assert!(known.is_empty());
        }
    }
}
