//! How much has been called: calls that there are, by their legs, and calls that have begun not long ago.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ahash::{AHashMap, AHashSet, RandomState};
use compact_str::CompactString;
use hookswitch_call::directory::TollLimits;
use hookswitch_call::{CallId, LegId, Time, Toll};

use super::TollWhy;

/// Most pairs of account and class whose calls are counted. Accounts are users, trunks, and addresses of those who have
/// proved who they are; those who have called nobody for a day are forgotten first.
pub const MAX_COUNTED: usize = 100_000;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Calls that were begun since the first one of a minute, an hour or a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    began: Time,
    count: u32,
}

impl Window {
    pub fn count(&self, now: Time, length: Duration) -> u32 {
        if self.is_over(now, length) { 0 } else { self.count }
    }

    fn is_over(&self, now: Time, length: Duration) -> bool {
        self.began + length <= now
    }

    fn add(&mut self, now: Time, length: Duration) {
        if self.is_over(now, length) {
            *self = Self { began: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
    }
}

/// What an account has called of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    minute: Window,
    hour: Window,
    day: Window,
    /// Talk of the day, of calls that are over.
    talk: Duration,
}

impl Spent {
    /// Calls of the minute, the hour and the day.
    pub fn begun(&self, now: Time) -> [u32; 3] {
        [self.minute.count(now, MINUTE), self.hour.count(now, HOUR), self.day.count(now, DAY)]
    }

    fn talk(&self, now: Time) -> Duration {
        if self.day.is_over(now, DAY) { Duration::ZERO } else { self.talk }
    }
}

/// A leg that costs somebody something.
struct Charge {
    toll: Arc<Toll>,
    answered: Option<Time>,
}

/// Everything that is counted.
pub(crate) struct Counts {
    legs: AHashMap<(CallId, LegId), Charge>,
    /// By the hash of account and class; the charge of the leg tells those of equal ones apart.
    by_account: BTreeSet<(u64, CallId, LegId)>,
    spent: AHashMap<(CompactString, CompactString), Spent>,
    hasher: RandomState,
    /// The latest time that was told.
    pub now: Time,
}

impl Default for Counts {
    fn default() -> Self {
        // Fixed keys: whoever is counted here is known by name or address, so no stranger can choose those that collide.
        let hasher = RandomState::with_seeds(0x746f_6c6c, 0x2063_6f75, 0x6e74_7300, 0x6272_6f6b);
        Self { legs: AHashMap::new(), by_account: BTreeSet::new(), spent: AHashMap::new(), hasher, now: Time::ZERO }
    }
}

impl Counts {
    /// Why an account may not call this number of the class now. The leg of this name, if it is counted already, does
    /// not count.
    pub fn check(
        &self,
        (account, class, number): (&str, &str, &str),
        limits: &TollLimits,
        call: CallId,
    ) -> Result<(), TollWhy> {
        let now = self.now;
        let (calls, same) = self.running(account, class, (call, number));
        let reached = |most: Option<u32>, count: u32| most.is_some_and(|most| count >= most);
        let spent = self.spent.get(&(account.into(), class.into())).copied().unwrap_or_default();
        let [minute, hour, day] = spent.begun(now);
        for (is_reached, why) in [
            (reached(limits.calls, calls), TollWhy::Calls),
            (reached(limits.calls_to_number, same), TollWhy::CallsToNumber),
            (reached(limits.per_minute, minute), TollWhy::PerMinute),
            (reached(limits.per_hour, hour), TollWhy::PerHour),
            (reached(limits.per_day, day), TollWhy::PerDay),
        ] {
            if is_reached {
                return Err(why);
            }
        }
        let talk = limits.minutes_per_day.map(|most| MINUTE * most);
        if talk.is_some_and(|most| self.talk(account, class) >= most) {
            return Err(TollWhy::MinutesPerDay);
        }
        Ok(())
    }

    /// As [`Counts::check`], of a call that was counted as begun already.
    pub fn check_running(
        &self,
        (account, class, number): (&str, &str, &str),
        limits: &TollLimits,
        call: CallId,
    ) -> Result<(), TollWhy> {
        let (calls, same) = self.running(account, class, (call, number));
        match (limits.calls, limits.calls_to_number) {
            (Some(most), _) if calls >= most => Err(TollWhy::Calls),
            (_, Some(most)) if same >= most => Err(TollWhy::CallsToNumber),
            _ => Ok(()),
        }
    }

    /// How many other calls of the class there are, and how many of them to that number. Legs to one number in one call
    /// are one, because they ring for one party.
    fn running(&self, account: &str, class: &str, own: (CallId, &str)) -> (u32, u32) {
        let mut seen: AHashSet<(CallId, &str)> = AHashSet::new();
        let mut same = 0;
        for (call, charge) in self.charges(account, class) {
            let number = charge.toll.number.as_str();
            if (call, number) != own && seen.insert((call, number)) && number == own.1 {
                same += 1;
            }
        }
        (u32::try_from(seen.len()).unwrap_or(u32::MAX), same)
    }

    fn charges(&self, account: &str, class: &str) -> impl Iterator<Item = (CallId, &Charge)> {
        let hash = self.hash(account, class);
        let own = self.by_account.range((hash, CallId(0), LegId(0))..).take_while(move |(other, ..)| *other == hash);
        let charges = own.filter_map(|(_, call, leg)| Some((*call, self.legs.get(&(*call, *leg))?)));
        charges.filter(move |(_, charge)| {
            charge.toll.class == class && charge.toll.accounts.iter().any(|other| other == account)
        })
    }

    /// How many calls of the class there are.
    pub fn calls(&self, account: &str, class: &str) -> u32 {
        self.running(account, class, (CallId(u64::MAX), "")).0
    }

    /// Talk of the day, that of calls which go on included.
    pub fn talk(&self, account: &str, class: &str) -> Duration {
        let over = self.spent.get(&(account.into(), class.into())).map_or(Duration::ZERO, |spent| spent.talk(self.now));
        let going_on = self.charges(account, class).filter_map(|(_, charge)| charge.answered);
        over + going_on.map(|answered| self.now.saturating_sub(answered).min(DAY)).sum::<Duration>()
    }

    /// A call begins. `false` if there is no room to count it.
    pub fn begin(&mut self, toll: &Toll) -> bool {
        let new = toll.accounts.iter().filter(|account| !self.spent.contains_key(&key(account, toll))).count();
        if self.spent.len() + new > MAX_COUNTED {
            self.forget_old();
            if self.spent.len() + new > MAX_COUNTED {
                return false;
            }
        }
        let now = self.now;
        for account in &toll.accounts {
            let spent = self.spent.entry(key(account, toll)).or_default();
            if spent.day.is_over(now, DAY) {
                spent.talk = Duration::ZERO;
            }
            spent.minute.add(now, MINUTE);
            spent.hour.add(now, HOUR);
            spent.day.add(now, DAY);
        }
        true
    }

    fn forget_old(&mut self) {
        let now = self.now;
        self.spent.retain(|_, spent| !spent.day.is_over(now, DAY));
    }

    /// A leg is on its way out.
    pub fn add(&mut self, name: (CallId, LegId), toll: Arc<Toll>) {
        for account in &toll.accounts {
            self.by_account.insert((self.hash(account, &toll.class), name.0, name.1));
        }
        self.legs.insert(name, Charge { toll, answered: None });
    }

    /// Its party has answered.
    pub fn answered(&mut self, name: (CallId, LegId)) {
        let now = self.now;
        if let Some(charge) = self.legs.get_mut(&name) {
            charge.answered.get_or_insert(now);
        }
    }

    /// It is over.
    pub fn remove(&mut self, name: (CallId, LegId)) {
        let Some(charge) = self.take(name) else { return };
        let Some(answered) = charge.answered else { return };
        let talked = self.now.saturating_sub(answered);
        for account in &charge.toll.accounts {
            let spent = self.spent.entry(key(account, &charge.toll)).or_default();
            if spent.day.is_over(self.now, DAY) {
                // Talk of a call that has outlived its day belongs to the day on which it ends.
                *spent = Spent { day: Window { began: self.now, count: 0 }, ..Spent::default() };
            }
            spent.talk += talked.min(DAY);
        }
    }

    fn take(&mut self, name: (CallId, LegId)) -> Option<Charge> {
        if self.legs.is_empty() {
            return None;
        }
        let charge = self.legs.remove(&name)?;
        for account in &charge.toll.accounts {
            self.by_account.remove(&(self.hash(account, &charge.toll.class), name.0, name.1));
        }
        Some(charge)
    }

    /// It has another name from now on.
    pub fn rename(&mut self, from: (CallId, LegId), to: (CallId, LegId)) {
        if let Some(charge) = self.take(from) {
            let answered = charge.answered;
            self.add(to, charge.toll);
            if let Some(charge) = self.legs.get_mut(&to) {
                charge.answered = answered;
            }
        }
    }

    /// Forgets what an account has begun and talked; calls that there are go on and count. `false` if nothing was
    /// counted.
    pub fn reset(&mut self, account: &str) -> bool {
        let before = self.spent.len();
        self.spent.retain(|(other, _), _| other != account);
        self.spent.len() != before
    }

    /// Accounts and classes with anything to their name in the last day, calls that there are included.
    pub fn accounts(&self) -> BTreeSet<(&str, &str)> {
        let now = self.now;
        let spent = self.spent.iter().filter(|(_, spent)| !spent.day.is_over(now, DAY));
        let mut all: BTreeSet<_> = spent.map(|((account, class), _)| (account.as_str(), class.as_str())).collect();
        for charge in self.legs.values() {
            let accounts = charge.toll.accounts.iter();
            all.extend(accounts.map(|account| (account.as_str(), charge.toll.class.as_str())));
        }
        all
    }

    pub(super) fn spent(&self, account: &str, class: &str) -> Spent {
        self.spent.get(&(account.into(), class.into())).copied().unwrap_or_default()
    }

    /// How many legs are counted: none when no call is left.
    pub fn legs(&self) -> usize {
        self.legs.len().max(self.by_account.len())
    }

    fn hash(&self, account: &str, class: &str) -> u64 {
        self.hasher.hash_one((account, class))
    }
}

fn key(account: &CompactString, toll: &Toll) -> (CompactString, CompactString) {
    (account.clone(), toll.class.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "user:alice@x.test";

    fn toll(account: &str, number: &str) -> Arc<Toll> {
        Arc::new(Toll { class: "premium".into(), number: number.into(), accounts: vec![account.into()] })
    }

    fn counts(seconds: u64) -> Counts {
        Counts { now: Time::from_secs(seconds), ..Counts::default() }
    }

    fn check(counts: &Counts, limits: &TollLimits, call: u64, number: &str) -> Result<(), TollWhy> {
        counts.check((ALICE, "premium", number), limits, CallId(call))
    }

    #[test]
    fn calls_at_a_time_and_to_one_number_are_those_whose_legs_there_are() {
        let mut counts = counts(1_000_000);
        let most = |calls, to_number| TollLimits { calls, calls_to_number: to_number, ..TollLimits::default() };
        counts.add((CallId(1), LegId(1)), toll(ALICE, "+881"));
        counts.add((CallId(1), LegId(2)), toll(ALICE, "+881"));
        counts.add((CallId(2), LegId(1)), toll(ALICE, "+882"));
        counts.add((CallId(3), LegId(1)), toll("user:bob@x.test", "+881"));
        assert_eq!(counts.calls(ALICE, "premium"), 2, "two legs of one call to one number are one");
        assert_eq!(check(&counts, &most(Some(2), None), 9, "+883"), Err(TollWhy::Calls));
        assert_eq!(check(&counts, &most(Some(3), Some(1)), 9, "+883"), Ok(()));
        assert_eq!(check(&counts, &most(Some(3), Some(1)), 9, "+881"), Err(TollWhy::CallsToNumber));
        assert_eq!(check(&counts, &most(Some(2), Some(1)), 1, "+881"), Ok(()), "another place of the same party");
        counts.rename((CallId(2), LegId(1)), (CallId(7), LegId(4)));
        assert_eq!(counts.calls(ALICE, "premium"), 2);
        counts.remove((CallId(7), LegId(4)));
        assert_eq!(check(&counts, &most(Some(2), None), 9, "+883"), Ok(()));
        for leg in [(1, 1), (1, 2), (3, 1)] {
            counts.remove((CallId(leg.0), LegId(leg.1)));
        }
        assert_eq!(counts.legs(), 0);
    }

    #[test]
    fn calls_of_a_minute_an_hour_and_a_day_are_those_since_the_first_of_it() {
        let start = 1_000_000;
        for (length, why) in [(60, TollWhy::PerMinute), (3_600, TollWhy::PerHour), (86_400, TollWhy::PerDay)] {
            let limits = TollLimits {
                per_minute: (why == TollWhy::PerMinute).then_some(2),
                per_hour: (why == TollWhy::PerHour).then_some(2),
                per_day: (why == TollWhy::PerDay).then_some(2),
                ..TollLimits::default()
            };
            let mut counts = counts(start);
            for offset in [0, length / 2] {
                counts.now = Time::from_secs(start + offset);
                assert_eq!(check(&counts, &limits, 1, "+881"), Ok(()));
                assert!(counts.begin(&toll(ALICE, "+881")));
            }
            counts.now = Time::from_secs(start + length - 1);
            assert_eq!(check(&counts, &limits, 1, "+881"), Err(why));
            counts.now = Time::from_secs(start + length);
            assert_eq!(check(&counts, &limits, 1, "+881"), Ok(()), "{why:?} begins anew");
        }
    }

    #[test]
    fn minutes_of_a_day_are_those_of_calls_that_go_on_too() {
        let limits = TollLimits { minutes_per_day: Some(10), ..TollLimits::default() };
        let mut counts = counts(1_000_000);
        let leg = (CallId(1), LegId(1));
        counts.begin(&toll(ALICE, "+881"));
        counts.add(leg, toll(ALICE, "+881"));
        counts.now += 60 * MINUTE;
        assert_eq!(check(&counts, &limits, 2, "+881"), Ok(()), "it rings");
        counts.answered(leg);
        counts.now += 9 * MINUTE;
        assert_eq!(check(&counts, &limits, 2, "+881"), Ok(()));
        counts.now += MINUTE;
        assert_eq!(check(&counts, &limits, 2, "+881"), Err(TollWhy::MinutesPerDay));
        counts.remove(leg);
        assert_eq!(check(&counts, &limits, 2, "+881"), Err(TollWhy::MinutesPerDay));
        assert!(counts.reset(ALICE) && !counts.reset(ALICE));
        assert_eq!(check(&counts, &limits, 2, "+881"), Ok(()), "by order");
    }

    #[test]
    fn talk_is_forgotten_with_its_day() {
        let limits = TollLimits { minutes_per_day: Some(1), ..TollLimits::default() };
        let mut counts = counts(1_000_000);
        let leg = (CallId(1), LegId(1));
        counts.begin(&toll(ALICE, "+881"));
        counts.add(leg, toll(ALICE, "+881"));
        counts.answered(leg);
        counts.now += 2 * MINUTE;
        counts.remove(leg);
        assert_eq!(check(&counts, &limits, 2, "+881"), Err(TollWhy::MinutesPerDay));
        counts.now += DAY;
        assert_eq!(check(&counts, &limits, 2, "+881"), Ok(()));
        assert!(counts.accounts().is_empty());
        // A call that outlives its day.
        counts.begin(&toll(ALICE, "+881"));
        counts.add(leg, toll(ALICE, "+881"));
        counts.answered(leg);
        counts.now += DAY;
        counts.remove(leg);
        counts.begin(&toll(ALICE, "+882"));
        assert_eq!(check(&counts, &limits, 2, "+881"), Err(TollWhy::MinutesPerDay), "it belongs to the day of its end");
    }

    #[test]
    fn only_so_many_accounts_are_counted_and_old_ones_make_room() {
        let mut counts = counts(1_000_000);
        for n in 0..MAX_COUNTED {
            assert!(counts.begin(&toll(&format!("source:{n}"), "+881")));
        }
        assert!(!counts.begin(&toll(ALICE, "+881")));
        counts.now += DAY;
        assert!(counts.begin(&toll(ALICE, "+881")));
        assert_eq!(counts.spent.len(), 1);
    }
}
