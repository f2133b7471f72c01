//! Requests that go one after the other where they are about the same leg or channel, and beside each other where not.
//!
//! ```text
//!   lane: ask ─ ask ─ ask       the first is under way; the next goes when that is answered, or was given up
//! ```

use std::collections::VecDeque;
use std::hash::Hash;

use ahash::AHashMap;

use crate::{Ask, AskId, NodeId};

/// Most requests of one lane, with the one that is under way.
pub const MAX_LANE: usize = 32;

/// Most requests of all lanes.
pub const MAX_WAITING: usize = 65_536;

/// A limit is reached: the request is not made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooMany;

/// Requests by lane; `T` is what their sender wants to know again when they are answered.
#[derive(Debug)]
pub struct Orders<K, T> {
    lanes: AHashMap<K, VecDeque<(Ask, T)>>,
    under_way: AHashMap<AskId, K>,
    ready: VecDeque<Ask>,
    waiting: usize,
    next: u64,
}

impl<K, T> Default for Orders<K, T> {
    fn default() -> Self {
        Self { lanes: AHashMap::new(), under_way: AHashMap::new(), ready: VecDeque::new(), waiting: 0, next: 0 }
    }
}

impl<K: Clone + Eq + Hash, T> Orders<K, T> {
    /// Adds a request behind those of its lane.
    ///
    /// # Errors
    /// [`TooMany`]: there are [`MAX_LANE`] of the lane, or [`MAX_WAITING`] in all.
    pub fn push(
        &mut self,
        lane: &K,
        (node, method): (NodeId, &'static str),
        path: String,
        body: String,
        tag: T,
    ) -> Result<(), TooMany> {
        let queue = self.lanes.entry(lane.clone()).or_default();
        if queue.len() >= MAX_LANE || self.waiting >= MAX_WAITING {
            if queue.is_empty() {
                self.lanes.remove(lane);
            }
            return Err(TooMany);
        }
        let ask = Ask { id: AskId(self.next), node, method, path, body };
        self.next += 1;
        self.waiting += 1;
        queue.push_back((ask.clone(), tag));
        if queue.len() == 1 {
            self.under_way.insert(ask.id, lane.clone());
            self.ready.push_back(ask);
        }
        Ok(())
    }

    /// The next request to make.
    pub fn poll(&mut self) -> Option<Ask> {
        self.ready.pop_front()
    }

    /// A request is answered, or was given up: its lane and tag. None for one that nobody waits for.
    pub fn answered(&mut self, id: AskId) -> Option<(K, T)> {
        let lane = self.under_way.remove(&id)?;
        let queue = self.lanes.get_mut(&lane)?;
        let (_, tag) = queue.pop_front()?;
        self.waiting -= 1;
        match queue.front() {
            Some((ask, _)) => {
                self.under_way.insert(ask.id, lane.clone());
                self.ready.push_back(ask.clone());
            }
            None => drop(self.lanes.remove(&lane)),
        }
        Some((lane, tag))
    }

    /// What waits in a lane is not made any more. What is under way is answered as ever.
    pub fn forget(&mut self, lane: &K) {
        if let Some(queue) = self.lanes.get_mut(lane) {
            self.waiting -= queue.len().saturating_sub(1);
            queue.truncate(1);
        }
    }

    /// Requests that wait or are under way.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.waiting
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.waiting == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: (NodeId, &str) = (NodeId(0), "PUT");

    fn push(orders: &mut Orders<u32, u32>, lane: u32, tag: u32) -> Result<(), TooMany> {
        orders.push(&lane, TO, format!("/{lane}/{tag}"), String::new(), tag)
    }

    fn made(orders: &mut Orders<u32, u32>) -> Vec<(AskId, String)> {
        std::iter::from_fn(|| orders.poll()).map(|ask| (ask.id, ask.path)).collect()
    }

    #[test]
    fn what_is_about_one_leg_goes_one_after_the_other_and_others_beside_it() {
        let mut orders = Orders::default();
        for (lane, tag) in [(1, 1), (1, 2), (2, 3)] {
            push(&mut orders, lane, tag).unwrap();
        }
        let first = made(&mut orders);
        assert_eq!(first.iter().map(|(_, path)| path.as_str()).collect::<Vec<_>>(), ["/1/1", "/2/3"]);
        assert_eq!(orders.answered(first[0].0), Some((1, 1)));
        assert_eq!(orders.answered(first[0].0), None, "it was answered");
        let second = made(&mut orders);
        assert_eq!(second[0].1, "/1/2");
        assert_eq!((orders.answered(second[0].0), orders.answered(first[1].0)), (Some((1, 2)), Some((2, 3))));
        assert!(orders.is_empty() && orders.lanes.is_empty() && orders.under_way.is_empty());
    }

    #[test]
    fn what_waits_is_forgotten_and_what_is_under_way_is_not() {
        let mut orders = Orders::default();
        for tag in 0..3 {
            push(&mut orders, 1, tag).unwrap();
        }
        let first = made(&mut orders);
        orders.forget(&1);
        assert_eq!(orders.len(), 1);
        assert_eq!(orders.answered(first[0].0), Some((1, 0)));
        assert!(made(&mut orders).is_empty() && orders.is_empty());
    }

    #[test]
    fn a_lane_and_all_of_them_have_a_limit() {
        let mut orders = Orders::default();
        let lanes = u32::try_from(MAX_WAITING / MAX_LANE).unwrap();
        for lane in 0..lanes {
            for tag in 0..MAX_LANE {
                push(&mut orders, lane, u32::try_from(tag).unwrap()).unwrap();
            }
            if lane + 1 < lanes {
                assert_eq!(push(&mut orders, lane, 0), Err(TooMany));
            }
        }
        assert_eq!((push(&mut orders, lanes, 0), orders.len()), (Err(TooMany), MAX_WAITING));
        assert_eq!(orders.lanes.len(), MAX_WAITING / MAX_LANE, "a lane that was refused leaves nothing");
        let (first, _) = made(&mut orders)[0];
        assert_eq!(orders.answered(first), Some((0, 0)));
        assert_eq!(push(&mut orders, lanes, 0), Ok(()));
    }
}
