//! Answers that are good for a while.

use core::time::Duration;
use std::collections::BTreeMap;

use ahash::AHashMap;

use super::record::{Known, Question};
use crate::Time;

/// Answers by question, never more than a bound: what would expire first makes room.
pub(super) struct Cache {
    entries: AHashMap<Question, Entry>,
    by_end: BTreeMap<(Time, u64), Question>,
    next: u64,
    most: usize,
}

struct Entry {
    known: Known,
    end: (Time, u64),
}

impl Cache {
    pub fn new(most: usize) -> Cache {
        Cache { entries: AHashMap::new(), by_end: BTreeMap::new(), next: 0, most }
    }

    pub fn get(&self, now: Time, question: &Question) -> Option<&Known> {
        self.entries.get(question).filter(|entry| now < entry.end.0).map(|entry| &entry.known)
    }

    pub fn put(&mut self, now: Time, question: Question, known: Known, ttl: Duration) {
        self.remove(&question);
        while self.by_end.first_key_value().is_some_and(|((end, _), _)| *end <= now) || self.entries.len() >= self.most
        {
            let Some((_, first)) = self.by_end.pop_first() else { break };
            self.entries.remove(&first);
        }
        if self.most == 0 || ttl.is_zero() {
            return;
        }
        let end = (now + ttl, self.next);
        self.next += 1;
        self.by_end.insert(end, question.clone());
        self.entries.insert(question, Entry { known, end });
    }

    fn remove(&mut self, question: &Question) {
        if let Some(entry) = self.entries.remove(question) {
            self.by_end.remove(&entry.end);
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::RecordKind;
    use super::*;

    const NOW: Time = Time::from_secs(1_700_000_000);

    fn question(n: u32) -> Question {
        Question { name: format!("h{n}.test").into(), kind: RecordKind::A }
    }

    #[test]
    fn an_answer_is_good_until_its_time_is_over() {
        let mut cache = Cache::new(10);
        cache.put(NOW, question(1), Known::Nothing, Duration::from_secs(30));
        assert_eq!(cache.get(NOW + Duration::from_millis(29_999), &question(1)), Some(&Known::Nothing));
        assert_eq!(cache.get(NOW + Duration::from_secs(30), &question(1)), None);
        assert_eq!(cache.get(NOW, &Question { kind: RecordKind::Aaaa, ..question(1) }), None);
    }

    #[test]
    fn a_full_cache_lets_go_of_what_would_expire_first() {
        let mut cache = Cache::new(3);
        for (n, ttl) in [(1, 50), (2, 10), (3, 90), (4, 40)] {
            cache.put(NOW, question(n), Known::Failed, Duration::from_secs(ttl));
        }
        let left: Vec<u32> = (1..=4).filter(|n| cache.get(NOW, &question(*n)).is_some()).collect();
        assert_eq!((left, cache.len()), (vec![1, 3, 4], 3));
    }

    #[test]
    fn a_new_answer_takes_the_place_of_the_old_and_expired_ones_leave() {
        let mut cache = Cache::new(3);
        cache.put(NOW, question(1), Known::Failed, Duration::from_secs(5));
        cache.put(NOW, question(1), Known::Nothing, Duration::from_secs(60));
        cache.put(NOW, question(2), Known::Nothing, Duration::from_secs(5));
        assert_eq!((cache.get(NOW, &question(1)), cache.len(), cache.by_end.len()), (Some(&Known::Nothing), 2, 2));
        cache.put(NOW + Duration::from_secs(6), question(3), Known::Nothing, Duration::from_secs(5));
        assert_eq!((cache.len(), cache.by_end.len()), (2, 2));
    }
}
