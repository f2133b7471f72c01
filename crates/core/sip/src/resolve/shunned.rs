//! Addresses that were found out of order, for a while: they are tried last.

use core::time::Duration;
use std::collections::VecDeque;

use super::Hop;
use crate::Time;

/// Addresses with the time until which they are tried last; never more than a bound, the oldest make room.
pub(super) struct Shunned {
    until: VecDeque<(Hop, Time)>,
    most: usize,
}

impl Shunned {
    pub fn new(most: usize) -> Shunned {
        Shunned { until: VecDeque::new(), most }
    }

    pub fn add(&mut self, now: Time, hop: Hop, time: Duration) {
        self.until.retain(|(known, until)| *known != hop && *until > now);
        while self.until.len() >= self.most {
            if self.until.pop_front().is_none() {
                return;
            }
        }
        self.until.push_back((hop, now + time));
    }

    pub fn remove(&mut self, hop: Hop) {
        if !self.until.is_empty() {
            self.until.retain(|(known, _)| *known != hop);
        }
    }

    /// Moves those that are out of order behind the others; both keep their order.
    pub fn last(&self, now: Time, hops: &mut [Hop]) {
        if !self.until.is_empty() {
            hops.sort_by_key(|hop| self.until.iter().any(|(known, until)| known == hop && now < *until));
        }
    }
}
