//! Trunks: carriers and other switches that calls are handed to.
//!
//! | file | what |
//! |---|---|
//! | `config.rs` | what a trunk is |
//! | `number.rs`, `headers.rs` | rules that rewrite numbers and headers |
//! | `chain.rs` | a call goes to one host after the other until one takes it |
//! | `dress.rs` | what a call looks like to a trunk |
//! | `known.rs` | whose a request is |
//! | `inbound.rs` | calls that come from one |
//! | `missed.rs` | hosts that have not taken a call, and why |
//! | `watch.rs` | our registration there, and whether it works |
//! | `status.rs` | how trunks stand |
//! | `explain.rs` | where a call would go and why |

mod chain;
mod config;
mod dress;
mod explain;
mod headers;
mod inbound;
mod known;
mod missed;
mod number;
mod status;
mod watch;

use std::collections::VecDeque;
use std::time::Duration;

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_call::{CallId, Cause, Fault, Kind, LegId, Time};
use hookswitch_sip::registration::Registration;
use hookswitch_sip::resolve::{Chance, Hop};
use hookswitch_sip::{Flow, Network, RequestId};

pub(crate) use chain::Chain;
pub use config::{
    Health, Inbound, MAX_HOSTS, MAX_RULES, MAX_TRUNKS, Register, Trunk, TrunkError, TrunkHost, check_trunks,
};
pub(crate) use dress::number_of;
pub use headers::{HeaderRule, HeaderRuleError};
use known::Marks;
pub use known::Unproved;
pub use missed::{HostFailure, Missed};
pub(crate) use number::rewrite;
pub use number::{MAX_NUMBER, MAX_PATTERN, NumberRule, NumberRuleError};
pub use status::{HostStatus, RegistrationStatus, TrunkStatus};
pub(crate) use watch::Errand;
pub use watch::{TrunkEvent, TrunkNews};

use crate::route::{Choice, draw};

/// What the destination of a route begins with that leads to trunks.
pub(crate) const SCHEME: &str = "trunk:";

/// Most trunks that one call goes to one after the other.
pub const MAX_CHAIN: usize = 7;

/// The mark of trunks in [`Target::via`](hookswitch_call::Target::via): no key of a binding is that great.
const MARK: u64 = 0xfe << 56;

/// Trunks that a call goes to one after the other, as they stand in [`Target::via`](hookswitch_call::Target::via): a
/// byte for each, its number in the configuration and one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TrunkSet(u64);

impl TrunkSet {
    pub fn of(via: Option<u64>) -> Option<Self> {
        via.filter(|via| via >> 56 == MARK >> 56).map(Self)
    }

    fn new(trunks: &[u8]) -> Self {
        let place = |(n, trunk): (usize, &u8)| u64::from(trunk + 1) << (8 * n);
        Self(trunks.iter().take(MAX_CHAIN).enumerate().map(place).fold(MARK, |all, one| all | one))
    }

    pub fn via(self) -> u64 {
        self.0
    }

    pub fn trunks(self) -> impl Iterator<Item = u8> {
        (0..MAX_CHAIN).filter_map(move |n| ((self.0 >> (8 * n)) as u8).checked_sub(1))
    }
}

/// The trunks, and the calls that are on their way to one.
pub(crate) struct Trunks {
    list: Vec<State>,
    by_name: AHashMap<CompactString, u8>,
    chains: AHashMap<(CallId, LegId), Box<Chain>>,
    marks: Marks,
    /// When something is to be sent to a trunk by itself.
    pub due: Option<Time>,
    asked: AHashMap<RequestId, (Errand, Hop)>,
    news: VecDeque<TrunkNews>,
}

/// What a trunk has counted since the start.
#[derive(Clone, Copy, Default)]
struct Totals {
    sent: u64,
    received: u64,
    passed_over: u64,
}

/// A trunk as it stands.
struct State {
    config: Trunk,
    hosts: Vec<HostState>,
    /// Calls in both directions.
    calls: usize,
    /// When the next call could begin if none had come at once.
    paced: Time,
    totals: Totals,
    begun: bool,
    registration: Option<Registration>,
    /// The Call-ID of all its REGISTERs.
    call_id: Option<CompactString>,
    enrolled_over: Option<Flow>,
    /// When it may next be told that somebody at its address does not prove to be it.
    complains_at: Time,
}

/// One of its hosts.
#[derive(Clone, Default)]
struct HostState {
    /// Called last until then, because it was out of order.
    rests_until: Time,
    /// It gets no calls: OPTIONS find it out of order.
    is_down: bool,
    is_asked: bool,
    next_ping: Time,
    /// Answers in a row that say the other thing.
    run: u16,
    /// Why it has failed last, until OPTIONS find it in order.
    failure: Option<missed::Failure>,
}

impl Trunks {
    pub fn new(mut config: Vec<Trunk>) -> Self {
        config.truncate(MAX_TRUNKS);
        let numbered = config.iter().zip(0..).map(|(trunk, n)| (trunk.name.clone(), n));
        let marks = Marks::new(&config);
        let mut trunks = Self {
            marks,
            due: None,
            asked: AHashMap::new(),
            news: VecDeque::new(),
            by_name: numbered.collect(),
            chains: AHashMap::new(),
            list: config.into_iter().map(State::new).collect(),
        };
        trunks.set_due();
        trunks
    }

    /// From where trunks call.
    pub fn networks(&self) -> impl Iterator<Item = Network> {
        self.marks.networks()
    }

    /// The trunks that a destination of a route names.
    fn named<'n>(&self, to: &'n str) -> impl Iterator<Item = u8> + use<'n, '_> {
        names(to).filter_map(|name| self.by_name.get(name).copied())
    }

    /// What a trunk is called.
    pub fn name(&self, trunk: u8) -> Option<&str> {
        self.get(trunk).map(|state| state.config.name.as_str())
    }

    fn get(&self, trunk: u8) -> Option<&State> {
        self.list.get(usize::from(trunk))
    }

    fn rests(&self, now: Time, (trunk, host): (u8, u8)) -> bool {
        self.get(trunk).is_some_and(|state| state.hosts[usize::from(host)].rests_until > now)
    }

    fn get_mut(&mut self, trunk: u8) -> Option<&mut State> {
        self.list.get_mut(usize::from(trunk))
    }

    /// A call that a trunk had has ended.
    pub fn release(&mut self, trunk: Option<u8>) {
        if let Some(state) = trunk.and_then(|trunk| self.get_mut(trunk)) {
            state.calls = state.calls.saturating_sub(1);
        }
    }

    /// Nobody looks for that leg any more.
    pub fn forget(&mut self, leg: (CallId, LegId)) {
        if !self.chains.is_empty() {
            self.chains.remove(&leg);
        }
    }
}

impl State {
    fn new(config: Trunk) -> Self {
        Self {
            hosts: vec![HostState::default(); config.hosts.len()],
            config,
            calls: 0,
            paced: Time::ZERO,
            totals: Totals::default(),
            begun: false,
            registration: None,
            call_id: None,
            enrolled_over: None,
            complains_at: Time::ZERO,
        }
    }

    /// Whether it has room for another call, and why not.
    fn has_room(&self, now: Time) -> Result<(), Cause> {
        let full = |text| Err(Cause::new(Kind::Overloaded, Fault::Server).with_text(text));
        if self.config.max_calls > 0 && self.calls >= self.config.max_calls {
            return full("Trunk Full");
        }
        if self.config.max_rate > 0 && self.paced + self.pace() > now + BURST {
            return full("Too Many Calls To Trunk");
        }
        Ok(())
    }

    /// Another call begins.
    fn take(&mut self, now: Time) {
        self.calls += 1;
        self.totals.sent += 1;
        if self.config.max_rate > 0 {
            self.paced = self.paced.max(now) + self.pace();
        }
    }

    fn pace(&self) -> Duration {
        BURST / self.config.max_rate.max(1)
    }

    /// Its hosts in the order in which one call goes to them.
    fn order(&self, chance: &mut Chance) -> Vec<u8> {
        let mut sorted: Vec<(u8, &TrunkHost)> = (0..).zip(&self.config.hosts).collect();
        sorted.sort_by_key(|(_, host)| host.order);
        let groups = sorted.chunk_by(|a, b| a.1.order == b.1.order);
        groups.flat_map(|group| draw(group.to_vec(), |(_, host)| host.weight.into(), chance)).map(|(n, _)| n).collect()
    }
}

/// The time in which as many calls as [`Trunk::max_rate`] may begin at once.
const BURST: Duration = Duration::from_secs(1);

/// The names in a destination that leads to trunks: `trunk:a,b`.
pub(crate) fn names(to: &str) -> impl Iterator<Item = &str> {
    to.strip_prefix(SCHEME).into_iter().flat_map(|names| names.split(',')).map(str::trim)
}

/// How many of these destinations are one way through trunks that a call goes one after the other: each of them alone
/// in its group, and without times of its own.
pub(crate) fn run_of(choices: &[Choice]) -> usize {
    let joins = |n: &usize| {
        let (before, choice) = (&choices[n - 1], &choices[*n]);
        let apart = before.group != choice.group && choices.get(n + 1).is_none_or(|next| next.group != choice.group);
        let plain = choice.after.is_zero() && choice.ring_time.is_none() && before.ring_time.is_none();
        apart && plain && choice.to.starts_with(SCHEME)
    };
    1 + (1..choices.len()).take_while(joins).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_trunks_is_told_from_bindings_and_keeps_its_order() {
        let set = TrunkSet::new(&[3, 0, 249]);
        assert_eq!(TrunkSet::of(Some(set.via())), Some(set));
        assert_eq!(set.trunks().collect::<Vec<_>>(), [3, 0, 249]);
        assert_eq!(TrunkSet::new(&[1; 9]).trunks().count(), MAX_CHAIN);
        for via in [None, Some(0), Some(crate::locate::TRUSTED_ROUTE), Some(u64::from(u32::MAX) << 24)] {
            assert_eq!(TrunkSet::of(via), None);
        }
    }

    #[test]
    fn hosts_are_called_by_order_and_weight() {
        let host = |uri, order, weight| TrunkHost { order, weight, ..TrunkHost::new(uri) };
        let mut trunk = Trunk::new("t", "sip:a");
        trunk.hosts = vec![host("sip:last", 2, 1), host("sip:a", 1, 3), host("sip:b", 1, 1)];
        let (state, mut chance) = (State::new(trunk), Chance::new(4, ""));
        let mut first = [0; 3];
        for _ in 0..1_000 {
            let order = state.order(&mut chance);
            assert_eq!(order[2], 0);
            first[usize::from(order[0])] += 1;
        }
        assert!((700..800).contains(&first[1]) && first[1] + first[2] == 1_000, "{first:?}");
    }

    #[test]
    fn a_trunk_takes_so_many_calls_at_a_time_and_so_many_a_second() {
        let mut state = State::new(Trunk { max_calls: 2, ..Trunk::new("t", "sip:h") });
        let now = Time::from_secs(10);
        for _ in 0..2 {
            state.has_room(now).unwrap();
            state.take(now);
        }
        assert_eq!(state.has_room(now).unwrap_err().code, 503);
        state.calls -= 1;
        assert!(state.has_room(now).is_ok());

        let mut state = State::new(Trunk { max_rate: 5, ..Trunk::new("t", "sip:h") });
        let mut taken = 0;
        for tenth in 0..30 {
            let now = now + Duration::from_millis(100 * tenth);
            while state.has_room(now).is_ok() {
                state.take(now);
                taken += 1;
            }
        }
        // Five at once, and then five more in each of 2.9 s.
        assert_eq!(taken, 5 + 14);
    }

    #[test]
    fn trunks_one_after_the_other_are_one_way() {
        let choice =
            |to: &str, group| Choice { to: to.into(), group, after: Duration::ZERO, ring_time: None, trusted: false };
        let late = Choice { after: Duration::from_secs(3), ..choice("trunk:b", 1) };
        for (choices, expected) in [
            (vec![choice("trunk:a", 0)], 1),
            (vec![choice("trunk:a", 0), choice("trunk:b", 1), choice("trunk:c", 2)], 3),
            (vec![choice("trunk:a", 0), choice("sip:h", 1), choice("trunk:c", 2)], 1),
            (vec![choice("trunk:a", 0), choice("trunk:b", 0)], 1),
            (vec![choice("trunk:a", 0), choice("trunk:b", 1), choice("trunk:c", 1)], 1),
            (vec![choice("trunk:a", 0), late], 1),
        ] {
            assert_eq!(run_of(&choices), expected, "{choices:?}");
        }
    }
}
