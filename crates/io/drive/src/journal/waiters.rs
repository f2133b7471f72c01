//! Whom a commit wakes: readers of one domain when something of that domain was in it, all others always.
//!
//! A thousand readers with a domain each would otherwise all wake up for every commit, to find that nothing in it is theirs.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use compact_str::CompactString;
use hookswitch_dialect::journal::Filter;
use tokio::sync::watch;

use super::ring::Segment;

/// How far the log has come, for readers who are woken together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Told {
    /// Whoever has seen everything before this number ...
    pub(super) after: u64,
    /// ... goes on at this one: in between nothing is theirs.
    pub(super) from: u64,
    /// The number after the newest event that was told.
    pub(super) next: u64,
}

impl Told {
    /// Nothing but that this number comes next.
    pub(super) const fn nothing(next: u64) -> Self {
        Self { after: next, from: next, next }
    }
}

/// Everybody who waits for events.
pub(super) struct Waiters {
    all: watch::Sender<Told>,
    /// Those of one domain each. No more than there are readers.
    domains: Mutex<HashMap<CompactString, Domain>>,
}

struct Domain {
    told: watch::Sender<Told>,
    readers: usize,
}

impl Waiters {
    pub(super) fn new(next: u64) -> Self {
        Self { all: watch::Sender::new(Told::nothing(next)), domains: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CompactString, Domain>> {
        // Nothing under this lock can panic half-way.
        self.domains.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the receiver changes with every commit in which something may be wanted. `next` says which number the
    /// next event gets; a batch is told only when that counts it already.
    pub(super) fn join(&self, filter: &Filter, next: impl FnOnce() -> u64) -> watch::Receiver<Told> {
        let [domain] = &*filter.domains else { return self.all.subscribe() };
        let mut domains = self.lock();
        // Asked under the lock: a batch that comes meanwhile is told after this, whether it is counted here or not.
        let fresh = || Domain { told: watch::Sender::new(Told::nothing(next())), readers: 0 };
        let domain = domains.entry(domain.clone()).or_insert_with(fresh);
        domain.readers += 1;
        domain.told.subscribe()
    }

    /// A reader goes that had joined with this filter.
    pub(super) fn leave(&self, filter: &Filter) {
        let [name] = &*filter.domains else { return };
        let mut domains = self.lock();
        let Some(domain) = domains.get_mut(name) else { return };
        domain.readers -= 1;
        if domain.readers == 0 {
            domains.remove(name);
        }
    }

    /// A batch can be read.
    pub(super) fn tell(&self, segment: &Segment) {
        let (first, next) = (segment.first(), segment.next());
        self.all.send_replace(Told { after: first, from: first, next });
        let domains = self.lock();
        if domains.is_empty() {
            return;
        }
        segment.each_domain(|domain| {
            let Some(domain) = domains.get(domain) else { return };
            domain.told.send_if_modified(|told| {
                // A small batch names a domain as often as it occurs.
                let is_new = told.next != next;
                if is_new {
                    *told = Told { after: told.next, from: first, next };
                }
                is_new
            });
        });
    }

    /// How many domains somebody waits for.
    #[cfg(test)]
    fn domains(&self) -> usize {
        self.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use hookswitch_dialect::journal::{EventId, Logged};

    use super::super::ring::segment;
    use super::*;

    fn batch(ids: std::ops::Range<u64>, domains: &[&str]) -> Arc<Segment> {
        let event = |id| Logged {
            id: EventId(id),
            at: Duration::ZERO,
            kind: "call.bridged".into(),
            call: None,
            seq: None,
            webhook: None,
            domains: domains.iter().map(|domain| (*domain).into()).collect(),
            text: "{}".into(),
        };
        segment(ids.map(event).collect())
    }

    fn of(domains: &[&str]) -> Filter {
        Filter { domains: domains.iter().map(|domain| (*domain).into()).collect(), ..Filter::default() }
    }

    fn told(receiver: &mut watch::Receiver<Told>) -> Option<(u64, u64, u64)> {
        receiver.has_changed().unwrap().then(|| {
            let Told { after, from, next } = *receiver.borrow_and_update();
            (after, from, next)
        })
    }

    #[test]
    fn only_those_wake_up_whose_domain_a_batch_is_about() {
        let waiters = Waiters::new(10);
        let [mut all, mut both] = [&[][..], &["a.test", "b.test"]].map(|some| waiters.join(&of(some), || 10));
        let mut one = waiters.join(&of(&["a.test"]), || 10);
        // Few events are looked through, many have a table.
        for (first, next) in [(10, 13), (13, 50)] {
            waiters.tell(&batch(first..next, &["b.test"]));
            assert_eq!(told(&mut all), Some((first, first, next)));
            assert_eq!(told(&mut both), Some((first, first, next)));
            assert_eq!(told(&mut one), None);
        }
        waiters.tell(&batch(50..52, &["b.test", "a.test"]));
        assert_eq!(told(&mut one), Some((10, 50, 52)), "nothing was there from 10 to 50");
        waiters.tell(&batch(52..60, &[]));
        waiters.tell(&batch(60..90, &["a.test"]));
        assert_eq!(told(&mut one), Some((52, 60, 90)));
    }

    #[test]
    fn a_domain_is_forgotten_with_its_last_reader() {
        let waiters = Waiters::new(1);
        let filter = of(&["a.test"]);
        let (first, second) = (waiters.join(&filter, || 1), waiters.join(&filter, || 9));
        assert_eq!((waiters.domains(), *second.borrow()), (1, Told::nothing(1)));
        assert!(!first.has_changed().unwrap());
        waiters.leave(&filter);
        assert_eq!(waiters.domains(), 1);
        waiters.leave(&filter);
        assert_eq!(waiters.domains(), 0);
        assert_eq!(*waiters.join(&filter, || 9).borrow(), Told::nothing(9));
    }
}
