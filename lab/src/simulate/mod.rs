//! Whole calls at random: phones, an application and the weather do what a seed says, and whatever they do, what must
//! be true is true.
//!
//! ```text
//!   seed ──▶ Case: phones, weather, steps ──▶ play ──▶ nothing, or a Finding: what was violated, and the ladder
//!                       ▲                                   │
//!                       └──── shrink: a step less, and again ┘
//! ```
//!
//! A [`Case`] is numbers and nothing else, so that a finding can be written down as a test: its steps name phones and
//! calls by number, and a step that cannot be done (nobody rings, no call stands) does nothing. So each step may be
//! taken away without making the others meaningless.

mod act;
mod play;
mod setting;
mod verify;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

pub use act::{AIMED, Act, Set, Step};
pub use setting::{Forward, Member, Setting};

use crate::dice::Dice;
use crate::journal::{Telling, take_ladder};
use crate::weather::Weather;

/// One run, as numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Case {
    /// For the chances of the network and the names that machines make up.
    pub seed: u64,
    /// Which of [`Weather::ALL`].
    pub weather: u8,
    /// The switch.
    pub setting: Setting,
    /// The phones.
    pub phones: Vec<Set>,
    /// What happens.
    pub steps: Vec<Step>,
}

/// What a run violated.
#[derive(Debug, Clone)]
pub struct Finding {
    /// In words.
    pub what: String,
    /// What was said; empty unless it was asked for.
    pub ladder: String,
}

impl Case {
    /// The run that a seed stands for.
    #[must_use]
    pub fn of(seed: u64) -> Case {
        let mut dice = Dice::new(seed ^ 0x51e5_0000);
        let count = 3 + dice.below(3);
        let phones: Vec<Set> = (0..count).map(|index| Set::any(&mut dice, index as u8)).collect();
        let setting = Setting::any(&mut dice);
        // Most cases begin with a call or two: without one there is little to hold or to transfer.
        let calls = [0, 1, 1, 2, 2, 2][dice.below(6) as usize];
        let mut steps: Vec<Step> = (0..calls).map(|_| Step::call(&mut dice, count as u8)).collect();
        let wanted = steps.len() + 3 + dice.below(9) as usize;
        while steps.len() < wanted {
            match dice.below(12) {
                0 => steps.extend(Step::consultation(&mut dice, count as u8)),
                1 => steps.extend(Step::waiting(&mut dice)),
                _ => steps.push(Step::any(&mut dice, count as u8)),
            }
        }
        // Mostly good weather: in a storm little comes to be that could go wrong later.
        let weather = [0, 0, 0, 1, 1, 2, 2, 3, 3, 4][dice.below(10) as usize];
        Case { seed, weather, setting, phones, steps }
    }

    /// Plays it and says what was violated, or what was told: the name of each event, as often as it came.
    ///
    /// # Errors
    /// The first violation.
    pub fn play(&self) -> Result<Vec<String>, Finding> {
        self.play_and(Telling::Forget)
    }

    /// The same with a ladder.
    ///
    /// # Errors
    /// The first violation.
    pub fn play_with_ladder(&self) -> Result<Vec<String>, Finding> {
        self.play_and(Telling::Keep)
    }

    fn play_and(&self, telling: Telling) -> Result<Vec<String>, Finding> {
        be_quiet();
        QUIET.with(|quiet| quiet.set(true));
        let outcome = catch_unwind(AssertUnwindSafe(|| play::play(self, telling)));
        QUIET.with(|quiet| quiet.set(false));
        outcome.map_err(|why| {
            let what = why.downcast_ref::<String>().cloned();
            let what = what.or_else(|| why.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Finding { what: what.unwrap_or_else(|| "a panic without words".to_owned()), ladder: take_ladder() }
        })
    }

    /// The smallest case to be found that violates the same: with fewer steps, in better weather, without pauses.
    #[must_use]
    pub fn shrink(&self, finding: &Finding) -> Case {
        let kind = kind_of(&finding.what);
        let fails = |case: &Case| case.play().is_err_and(|other| kind_of(&other.what) == kind);
        let mut best = self.clone();
        loop {
            let smaller = best.smaller().into_iter().find(fails);
            match smaller {
                Some(case) => best = case,
                None => return best,
            }
        }
    }

    /// All cases that are a little less than this one.
    fn smaller(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for weather in (0..self.weather).take(1) {
            cases.push(Case { weather, ..self.clone() });
        }
        for setting in self.setting.smaller() {
            cases.push(Case { setting, ..self.clone() });
        }
        for index in 0..self.steps.len() {
            let mut case = self.clone();
            case.steps.remove(index);
            cases.push(case);
        }
        for (index, set) in self.phones.iter().enumerate().filter(|(_, set)| !set.is_plain()) {
            let mut case = self.clone();
            case.phones[index] = Set::plain(set.user);
            cases.push(case);
        }
        for (index, step) in self.steps.iter().enumerate().filter(|(_, step)| step.after != 1_000) {
            let mut case = self.clone();
            case.steps[index] = Step { after: 1_000, act: step.act };
            cases.push(case);
        }
        cases
    }

    /// As the Rust that makes it.
    #[must_use]
    pub fn to_rust(&self) -> String {
        let list = |items: Vec<String>| items.iter().map(|item| format!("        {item},\n")).collect::<String>();
        let phones = list(self.phones.iter().map(|set| format!("{set:?}")).collect());
        let steps = list(self.steps.iter().map(|step| format!("{step:?}")).collect());
        let (seed, weather, setting) = (self.seed, self.weather, self.setting.to_rust());
        format!(
            "Case {{\n    seed: {seed},\n    weather: {weather}, // {}\n    setting: {setting},\n    phones: vec![\n{phones}    ],\n    \
             steps: vec![\n{steps}    ],\n}}",
            Weather::ALL[usize::from(weather)].name
        )
    }
}

/// Which violation it is, without names and numbers.
#[must_use]
pub fn kind_of(what: &str) -> String {
    let what = what.trim_start_matches("assertion `left == right` failed: ");
    let words = what.split(|c: char| c.is_ascii_digit() || "\"{[".contains(c)).next().unwrap_or_default();
    // Most begin with a user's name.
    let named = |word: &&str| !crate::switch::USERS.contains(word);
    words.lines().next().unwrap_or_default().split(' ').filter(named).collect::<Vec<_>>().join(" ")
}

thread_local! {
    static QUIET: core::cell::Cell<bool> = const { core::cell::Cell::new(false) };
}

/// A run that fails says so by its result, and not on the standard error.
fn be_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.with(core::cell::Cell::get) {
                usual(info);
            }
        }));
    });
}
