//! Whatever fails in whatever order, and whenever the process dies: every event is delivered at least once or is a dead
//! letter, and those of a call arrive for the first time in their order.

use std::collections::{BTreeMap, BTreeSet};

use hookswitch_dialect::webhook::{Answer, Failure, Terms};
use proptest::prelude::*;

use crate::rig::*;

#[derive(Clone, Debug)]
enum Step {
    /// The log gives so many more events.
    Take(usize),
    /// One of the open attempts ends so.
    Answer(prop::sample::Index, bool),
    Pass(u64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..4_usize).prop_map(Step::Take),
        8 => (any::<prop::sample::Index>(), prop::bool::weighted(0.6)).prop_map(|(at, ok)| Step::Answer(at, ok)),
        3 => (0..50_000_u64).prop_map(Step::Pass),
        1 => Just(Step::Restart),
    ]
}

/// What the target has seen.
#[derive(Default)]
struct Seen {
    /// The greatest event of each call, and all.
    latest: BTreeMap<u64, u64>,
    all: BTreeSet<u64>,
}

impl Seen {
    fn note(&mut self, id: u64, call: u64) {
        if self.all.insert(id) {
            let latest = self.latest.insert(call, id);
            assert!(latest < Some(id), "event {id} of call {call} came after {latest:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_order_per_call_holds(
        calls in prop::collection::vec(0..5_u64, 1..40),
        steps in prop::collection::vec(step(), 1..120),
        parallel in 1..5_usize,
        window in 1..12_usize,
        has_fallback in any::<bool>(),
    ) {
        let terms = Terms { parallel, window, has_fallback, ..Terms::default() };
        let mut rig = Rig::new(terms);
        let mut seen = Seen::default();
        let next = |rig: &Rig| rig.endpoint.read_to().map_or(1, |last| last.0 + 1);
        let take = |rig: &mut Rig| {
            let id = next(rig);
            match calls.get(id as usize - 1) {
                Some(call) if rig.endpoint.room() > 0 => rig.take(&event(id, *call)),
                _ => return false,
            }
            true
        };
        for step in steps {
            match step {
                Step::Take(count) => {
                    let _taken = (0..count).take_while(|_| take(&mut rig)).count();
                }
                Step::Answer(at, ok) if !rig.open.is_empty() => {
                    let id = at.get(&rig.open).event.0;
                    if ok {
                        seen.note(id, calls[id as usize - 1]);
                        rig.ok(id);
                    } else {
                        rig.answer(id, Answer::Failed(Failure::TimedOut));
                    }
                }
                Step::Answer(..) => {}
                Step::Pass(seconds) => rig.pass(SECOND * u32::try_from(seconds).unwrap()),
                Step::Restart => rig = rig.restart(),
            }
            prop_assert!(rig.open.len() <= parallel);
        }
        // Then everything works, for long enough.
        for _ in 0..10_000 {
            if let Some(attempt) = rig.open.first() {
                let id = attempt.event.0;
                seen.note(id, calls[id as usize - 1]);
                rig.ok(id);
            } else if !take(&mut rig) {
                let Some(due) = rig.endpoint.deadline().filter(|_| !rig.disk.waiting.is_empty()) else { break };
                let wait = due.saturating_sub(rig.now);
                rig.pass(wait);
            }
        }
        for id in 1..=calls.len() as u64 {
            let dead = rig.disk.dead.keys().any(|dead| dead.0 == id);
            prop_assert!(dead || seen.all.contains(&id), "event {id} is lost");
        }
        prop_assert!(rig.disk.waiting.is_empty());
        prop_assert_eq!(rig.disk.cursor.map(|at| at.0), Some(calls.len() as u64));
    }
}
