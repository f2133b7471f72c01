//! What can be asked about an endpoint.

use std::collections::{BTreeMap, VecDeque};

use compact_str::CompactString;
use hookswitch_call::{CallId, Time};
use serde::{Deserialize, Serialize};

use super::letter::{Dead, Letter};
use super::lines::Head;
use super::{Endpoint, Target};
use crate::journal::EventId;

/// Of how many deliveries it is remembered that they are done.
pub const MAX_REMEMBERED: usize = 1_000;

/// What becomes of an event at an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Behind another of its call, or for a free attempt.
    Waiting,
    /// It is being posted.
    UnderWay,
    /// It has failed and is tried again.
    Retrying,
    /// An answer 2xx has come.
    Delivered,
    /// Nobody tries any longer.
    Dead,
}

/// One event on its way, or at its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// The event.
    pub event: EventId,
    /// Its type.
    pub kind: CompactString,
    /// The call it is about.
    pub call: Option<CallId>,
    /// How far it is.
    pub state: State,
    /// When that began; of one that is retried, when the next attempt is due. None where it was not noted.
    pub at: Option<Time>,
    /// Attempts that have ended.
    pub attempts: u32,
    /// Where the last of them went.
    pub target: Option<Target>,
    /// What the target answered in the end.
    pub status: Option<u16>,
    /// Why the last failure was one.
    pub failure: Option<CompactString>,
}

/// An endpoint in figures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Up to which event of the log everything is delivered or kept on its own.
    pub cursor: Option<EventId>,
    /// Events that are not delivered and not dead, as far as they were taken from the log.
    pub waiting: usize,
    /// Attempts at this moment.
    pub under_way: usize,
    /// Dead letters.
    pub dead: usize,
    /// Deliveries since the start.
    pub delivered: u64,
    /// Failures of the first URL since it last answered 2xx.
    pub failures_in_row: u32,
    /// Since when it is switched off, because its target is gone.
    pub off_since: Option<Time>,
    /// How often events had left the log before they could be taken from it, since the start.
    pub gaps: u64,
    /// Dead letters that were too old or too many, since the start.
    pub dropped: u64,
    /// Calls that go on whose own webhook it is.
    pub calls: usize,
}

/// Those that are done, the latest last.
#[derive(Debug, Default)]
pub(super) struct History {
    latest: VecDeque<Delivery>,
    count: u64,
}

impl History {
    pub(super) fn delivered(&mut self, now: Time, letter: Letter, target: Target, code: u16) {
        self.count += 1;
        if self.latest.len() >= MAX_REMEMBERED {
            self.latest.pop_front();
        }
        let attempts = letter.attempts.saturating_add(1);
        let done =
            Delivery { attempts, target: Some(target), status: Some(code), ..of(&letter, State::Delivered, now) };
        self.latest.push_back(done);
    }
}

fn of(letter: &Letter, state: State, at: impl Into<Option<Time>>) -> Delivery {
    Delivery {
        event: letter.id,
        kind: letter.kind.clone(),
        call: letter.call,
        state,
        at: at.into(),
        attempts: letter.attempts,
        target: letter.last_target,
        status: None,
        failure: letter.last_failure.clone(),
    }
}

impl Endpoint {
    /// It in figures.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            cursor: self.cursor(),
            waiting: self.lines.len(),
            under_way: self.under_way(),
            dead: self.dead.len(),
            delivered: self.history.count,
            failures_in_row: self.first.failures,
            off_since: self.off,
            gaps: self.gaps,
            dropped: self.dropped,
            calls: self.calls.going_on(),
        }
    }

    /// What has become of an event, if that is known: the last [`MAX_REMEMBERED`] of those that are delivered are, and
    /// all others that were taken from the log.
    #[must_use]
    pub fn delivery(&self, event: EventId) -> Option<Delivery> {
        let waits = self.waiting().find(|one| one.event == event);
        let dead = || self.dead.get(&event).map(dead_one);
        let done = || self.history.latest.iter().rev().find(|one| one.event == event).cloned();
        waits.or_else(dead).or_else(done)
    }

    /// What is known of events after this one, in their order.
    #[must_use]
    pub fn deliveries(&self, state: Option<State>, after: Option<EventId>, limit: usize) -> Vec<Delivery> {
        let done = self.history.latest.iter().cloned();
        let all = done.chain(self.dead.values().map(dead_one)).chain(self.waiting());
        let after = |one: &Delivery| after.is_none_or(|after| one.event > after);
        let all: BTreeMap<EventId, Delivery> = all.filter(after).map(|one| (one.event, one)).collect();
        all.into_values().filter(|one| state.is_none_or(|state| one.state == state)).take(limit).collect()
    }

    /// Dead letters of events after this one, in their order.
    pub fn dead_letters(&self, after: Option<EventId>) -> impl Iterator<Item = &Dead> {
        self.dead.values().filter(move |dead| after.is_none_or(|after| dead.letter.id > after))
    }

    fn waiting(&self) -> impl Iterator<Item = Delivery> {
        self.lines.iter().map(|(waiting, head)| match head {
            Some(Head::UnderWay) => of(&waiting.letter, State::UnderWay, None),
            Some(Head::Pausing(until)) => of(&waiting.letter, State::Retrying, until),
            // It had its turn before and waits for a place to have it again.
            Some(Head::Ready) if waiting.letter.attempts > 0 => of(&waiting.letter, State::Retrying, None),
            Some(Head::Ready) | None => of(&waiting.letter, State::Waiting, None),
        })
    }
}

fn dead_one(dead: &Dead) -> Delivery {
    of(&dead.letter, State::Dead, dead.since)
}
