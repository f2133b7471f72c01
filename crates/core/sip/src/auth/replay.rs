//! Which nonce counts have been used (RFC 7616 section 3.4, `nc`), in bounded memory.
//!
//! A nonce is remembered from its first use with a right password until it expires. When the table is full the oldest
//! nonce is forgotten and whatever is older than all that is remembered counts as used, so forgetting never lets a replay
//! through: the owner of the nonce is challenged once more instead.

use std::collections::VecDeque;

use super::nonce::Issued;
use crate::Time;

/// Nonce counts below the highest one seen that may still arrive, because requests overtake each other over UDP.
const WINDOW: u32 = u64::BITS;

/// The uses of the nonces that are alive.
#[derive(Debug)]
pub(super) struct ReplayGuard {
    /// By serial number, hence also by age. Nonces are used for the first time nearly in the order they were made in, so a
    /// new one goes to the end or close to it.
    used: VecDeque<Uses>,
    /// Most nonces remembered.
    limit: usize,
}

#[derive(Debug)]
struct Uses {
    serial: u64,
    /// When the nonce was made, in whole seconds, rounded up: it is never forgotten early.
    at: u32,
    highest: u32,
    /// Bit `i` stands for the count `highest - i`.
    recent: u64,
}

impl ReplayGuard {
    pub(super) fn new(limit: usize) -> Self {
        Self { used: VecDeque::new(), limit: limit.max(1) }
    }

    /// Whether `nonce` may be used with `count` now; notes the use when it may.
    pub(super) fn admit(&mut self, now: Time, lifetime: Time, nonce: Issued, count: u32) -> bool {
        if count == 0 {
            return false;
        }
        let by_serial = |used: &VecDeque<Uses>| used.binary_search_by_key(&nonce.serial, |uses| uses.serial);
        if let Some(uses) = by_serial(&self.used).ok().and_then(|place| self.used.get_mut(place)) {
            return uses.note(count);
        }
        if !self.make_room(now, lifetime, nonce.serial) {
            return false;
        }
        let at = nonce.at.as_secs() + u64::from(nonce.at.subsec_nanos() > 0);
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        let uses = Uses { serial: nonce.serial, at, highest: count, recent: 1 };
        if let Err(place) = by_serial(&self.used) {
            self.used.insert(place, uses);
        }
        true
    }

    /// Nonces remembered at the moment.
    pub(super) fn len(&self) -> usize {
        self.used.len()
    }

    /// Drops what has expired and, if the table is still full, its oldest nonce; `false` when `serial` is older still.
    ///
    /// That refusal is also what keeps a forgotten nonce out: the table stays full until its then oldest nonce expires,
    /// and by that time the forgotten one, being older, has expired as well.
    fn make_room(&mut self, now: Time, lifetime: Time, serial: u64) -> bool {
        loop {
            let full = self.used.len() >= self.limit;
            let Some(oldest) = self.used.front() else { return true };
            let expired = now.saturating_sub(Time::from_secs(oldest.at.into())) > lifetime;
            if !expired && !full {
                return true;
            }
            if !expired && oldest.serial > serial {
                return false;
            }
            self.used.pop_front();
        }
    }
}

impl Uses {
    fn note(&mut self, count: u32) -> bool {
        if count > self.highest {
            let ahead = count - self.highest;
            self.recent = if ahead < WINDOW { self.recent << ahead | 1 } else { 1 };
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        if behind >= WINDOW || self.recent & (1 << behind) != 0 {
            return false;
        }
        self.recent |= 1 << behind;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Time = Time::from_secs(300);

    fn nonce(serial: u64) -> Issued {
        Issued { at: Time::from_secs(1_000 + serial), serial }
    }

    fn now() -> Time {
        Time::from_secs(1_000)
    }

    #[test]
    fn each_count_passes_once_in_any_order() {
        let mut guard = ReplayGuard::new(10);
        for count in [1, 3, 2, 66, 5] {
            assert!(guard.admit(now(), LIFETIME, nonce(0), count), "first use of {count}");
        }
        for count in [1, 2, 3, 5, 66] {
            assert!(!guard.admit(now(), LIFETIME, nonce(0), count), "second use of {count}");
        }
    }

    #[test]
    fn a_count_too_far_behind_is_refused() {
        let mut guard = ReplayGuard::new(10);
        assert!(guard.admit(now(), LIFETIME, nonce(0), 100));
        assert!(guard.admit(now(), LIFETIME, nonce(0), 37));
        assert!(!guard.admit(now(), LIFETIME, nonce(0), 36));
        assert!(!guard.admit(now(), LIFETIME, nonce(0), 0));
        assert!(guard.admit(now(), LIFETIME, nonce(0), u32::MAX));
    }

    #[test]
    fn a_forgotten_nonce_is_stale_not_fresh() {
        let mut guard = ReplayGuard::new(2);
        for serial in [0, 5, 9] {
            assert!(guard.admit(now(), LIFETIME, nonce(serial), 1));
        }
        assert_eq!(guard.len(), 2);
        assert!(!guard.admit(now(), LIFETIME, nonce(0), 1), "the replay");
        assert!(!guard.admit(now(), LIFETIME, nonce(0), 2), "its owner, too");
        assert!(guard.admit(now(), LIFETIME, nonce(5), 2));
    }

    #[test]
    fn the_oldest_nonce_cannot_enter_a_full_table() {
        let mut guard = ReplayGuard::new(2);
        assert!(guard.admit(now(), LIFETIME, nonce(5), 1));
        assert!(guard.admit(now(), LIFETIME, nonce(9), 1));
        assert!(!guard.admit(now(), LIFETIME, nonce(3), 1));
        assert!(guard.admit(now(), LIFETIME, nonce(5), 2), "nobody had to leave for it");
    }

    #[test]
    fn expired_nonces_make_room() {
        let mut guard = ReplayGuard::new(1_000);
        for serial in 0..500 {
            assert!(guard.admit(now(), LIFETIME, nonce(serial), 1));
        }
        let later = Time::from_secs(1_000 + 499) + LIFETIME;
        assert!(guard.admit(later, LIFETIME, nonce(2_000), 1));
        assert_eq!(guard.len(), 2, "one at the very end of its life and the new one");
    }
}
