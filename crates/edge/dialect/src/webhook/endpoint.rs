//! The machine of one endpoint. Its picture is in [the module](super).

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use compact_str::{CompactString, format_compact};
use hookswitch_call::{CallId, Time};
use serde::{Deserialize, Serialize};

use super::again::{Dice, Health};
use super::calls::Calls;
use super::letter::{Dead, Letter};
use super::lines::{LineOf, Lines, Waiting};
use super::pages::History;
use super::terms::Terms;
use crate::journal::{EventId, Filter, Logged};

/// Which URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The one that is configured first.
    First,
    /// The one for when that fails.
    Fallback,
}

/// A letter to be posted now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Names the attempt in [`Endpoint::answered`].
    pub number: u64,
    /// Where to.
    pub target: Target,
    /// Which event.
    pub event: EventId,
    /// What.
    pub text: Arc<str>,
}

/// What came of an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// An answer.
    Status {
        /// Its status code.
        code: u16,
        /// When to come again (RFC 9110 section 10.2.3).
        retry_after: Option<Duration>,
    },
    /// None.
    Failed(Failure),
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failure {
    /// Not in time.
    #[error("no answer in time")]
    TimedOut,
    /// The URL leads to an address of this network, and that is not allowed.
    #[error("leads to {0}, which is no public address and not listed in allow_private")]
    Private(IpAddr),
    /// No connection, or it broke.
    #[error("{0}")]
    Unreachable(CompactString),
}

/// What has to be remembered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Up to here everything is delivered or kept on its own.
    Cursor(EventId),
    /// A letter is kept, or has changed.
    Waiting(Letter),
    /// It no longer waits.
    Left(EventId),
    /// A letter is dead.
    Dead(Dead),
    /// It is replayed, or too old.
    Buried(EventId),
    /// The endpoint is switched off since then, because its target is gone; or is on again.
    Off(Option<Time>),
    /// A call whose own webhook this is has begun; or is over.
    Call(CallId, bool),
}

/// What was remembered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stored {
    /// The last [`Change::Cursor`].
    Cursor(EventId),
    /// What of [`Change::Waiting`] has not left.
    Waiting(Letter),
    /// What of [`Change::Dead`] is not buried.
    Dead(Dead),
    /// The endpoint was switched off then.
    Off(Time),
    /// A call whose own webhook this is had begun, and was not over.
    Call(CallId),
}

/// What an endpoint wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// To post a letter.
    Attempt(Attempt),
    /// To remember something.
    Change(Change),
}

/// There is no dead letter of this event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no dead letter of this event")]
pub struct NoSuchLetter;

#[derive(Debug)]
struct UnderWay {
    line: LineOf,
    target: Target,
    again: bool,
}

/// Everything about one endpoint.
#[derive(Debug)]
pub struct Endpoint {
    terms: Terms,
    filter: Filter,
    pub(super) lines: Lines,
    /// Letters that are in memory only: the cursor stays before the first.
    loose: BTreeSet<EventId>,
    under_way: HashMap<u64, UnderWay, ahash::RandomState>,
    retrying: usize,
    attempts: u64,
    /// The last event that was looked at.
    read_to: Option<EventId>,
    told: Option<EventId>,
    /// Kept, with numbers beyond the cursor it was stored with: not to be taken again.
    known: BTreeSet<EventId>,
    pub(super) dead: BTreeMap<EventId, Dead>,
    /// The same by age.
    deaths: BTreeSet<(Time, EventId)>,
    pub(super) history: History,
    pub(super) first: Health,
    pub(super) off: Option<Time>,
    pub(super) gaps: u64,
    pub(super) dropped: u64,
    pub(super) calls: Calls,
    dice: Dice,
    outputs: VecDeque<Output>,
}

impl Endpoint {
    /// An endpoint to which nothing was delivered yet. `seed` is what its pauses depend on.
    #[must_use]
    pub fn new(terms: Terms, filter: Filter, seed: u64) -> Self {
        Self {
            terms,
            filter,
            lines: Lines::default(),
            loose: BTreeSet::new(),
            under_way: HashMap::default(),
            retrying: 0,
            attempts: 0,
            read_to: None,
            told: None,
            known: BTreeSet::new(),
            dead: BTreeMap::new(),
            deaths: BTreeSet::new(),
            history: History::default(),
            first: Health::default(),
            off: None,
            gaps: 0,
            dropped: 0,
            calls: Calls::default(),
            dice: Dice(seed),
            outputs: VecDeque::new(),
        }
    }

    /// What was stored of an earlier life, before anything else is done: letters in the order of their events, those
    /// that wait before those that are dead.
    pub fn restore(&mut self, stored: Stored) {
        match stored {
            Stored::Cursor(at) => {
                self.read_to = Some(at);
                self.told = Some(at);
            }
            Stored::Waiting(letter) => {
                self.known.insert(letter.id);
                self.lines.push(Waiting { letter, stored: true });
            }
            // It was just replayed, or is kept as both because of a moment in which it died: it is tried.
            Stored::Dead(dead) if self.known.contains(&dead.letter.id) => {
                self.outputs.push_back(Output::Change(Change::Buried(dead.letter.id)));
            }
            Stored::Dead(dead) => {
                self.known.insert(dead.letter.id);
                self.keep_dead(dead);
            }
            Stored::Off(since) => self.off = Some(since),
            Stored::Call(call) => self.calls.restore(call),
        }
    }

    /// After which event it goes on; `None` for an endpoint that has no past.
    #[must_use]
    pub fn read_to(&self) -> Option<EventId> {
        self.read_to
    }

    /// Where an endpoint without a past begins: after this event.
    pub fn begin(&mut self, after: EventId) {
        if self.read_to.is_none() {
            self.read_to = Some(after);
        }
    }

    /// How many more events it takes. None while it is switched off.
    #[must_use]
    pub fn room(&self) -> usize {
        if self.off.is_some() { 0 } else { self.terms.window.saturating_sub(self.lines.len()) }
    }

    /// The next event of the log, whether it is wanted or not.
    pub fn take(&mut self, now: Time, event: &Logged) {
        if self.read_to.is_some_and(|last| event.id <= last) {
            return;
        }
        self.read_to = Some(event.id);
        let is_known = self.known.contains(&event.id);
        while self.known.first().is_some_and(|known| *known <= event.id) {
            self.known.pop_first();
        }
        if is_known {
            return;
        }
        // Which calls have it is seen by events that nobody wants to be posted, too.
        if self.filter.webhook.is_some()
            && self.filter.webhook == event.webhook
            && let Some(change) = self.calls.told(now, event)
        {
            self.outputs.push_back(Output::Change(change));
        }
        if !self.filter.wants(event) {
            return;
        }
        let letter = Letter::new(event, event.at + self.terms.retry_time);
        // Behind a letter that is kept it may stand for long.
        let stored = self.lines.get(event.call).and_then(|line| line.letters.back()).is_some_and(|last| last.stored);
        if stored {
            self.outputs.push_back(Output::Change(Change::Waiting(letter.clone())));
        } else {
            self.loose.insert(event.id);
        }
        self.lines.push(Waiting { letter, stored });
        self.attempt(now);
    }

    /// Nothing up to this event is wanted that was not taken.
    pub fn passed(&mut self, event: EventId) {
        self.read_to = self.read_to.max(Some(event));
    }

    /// Whether nothing is left to do for calls whose own webhook this is: they are over, and all is delivered that was told
    /// of them.
    #[must_use]
    pub fn is_done(&self, now: Time) -> bool {
        self.calls.are_over(now) && self.lines.len() == 0 && self.dead.is_empty()
    }

    /// The log no longer has what comes next; the oldest event that it has is this one.
    pub fn skip_to(&mut self, oldest: EventId) {
        self.gaps += 1;
        // The ends of calls may be among what is gone; what is told of those that go on is wanted all the same.
        let lost = self.calls.forget();
        self.outputs.extend(lost.map(Output::Change));
        self.read_to = Some(EventId(oldest.0.saturating_sub(1)));
    }

    /// What came of an attempt. Of an unknown one nothing is done.
    pub fn answered(&mut self, now: Time, number: u64, answer: Answer) {
        let Some(UnderWay { line, target, again }) = self.under_way.remove(&number) else { return };
        self.retrying -= usize::from(again);
        match answer {
            Answer::Status { code, .. } if (200..300).contains(&code) => self.delivered(now, line, target, code),
            Answer::Status { code, retry_after } => {
                let gone = code == 410 && target == Target::First;
                if gone && !self.terms.gone_ends {
                    return self.refused(now, line, target, code);
                }
                if gone && self.off.is_none() {
                    self.off = Some(now);
                    self.outputs.push_back(Output::Change(Change::Off(Some(now))));
                }
                let hold = retry_after.filter(|_| matches!(code, 429 | 503));
                self.failed(now, line, target, hold, status_text(code));
            }
            Answer::Failed(failure) => self.failed(now, line, target, None, format_compact!("{failure}")),
        }
        self.attempt(now);
    }

    /// The target does not want this event, ever.
    fn refused(&mut self, now: Time, line: LineOf, target: Target, code: u16) {
        if let Some(head) = self.lines.get(line).and_then(|line| line.letters.front()) {
            let mut letter = head.letter.clone();
            letter.attempts = letter.attempts.saturating_add(1);
            letter.last_target = Some(target);
            letter.last_failure = Some(status_text(code));
            self.die(now, line, letter);
        }
        self.attempt(now);
    }

    fn delivered(&mut self, now: Time, line: LineOf, target: Target, code: u16) {
        if target == Target::First {
            if self.first.failures >= self.terms.fallback_after {
                // It is back: nobody has to wait out a pause that was meant for a target that is down.
                self.lines.wake(Time::MAX);
            }
            self.first.succeeded();
        }
        let Some(waiting) = self.lines.pop(line) else { return };
        self.forget(&waiting);
        self.history.delivered(now, waiting.letter, target, code);
    }

    fn failed(&mut self, now: Time, line: LineOf, target: Target, hold: Option<Duration>, why: CompactString) {
        if target == Target::First {
            self.first.failed(now, hold);
        }
        let Some(head) = self.lines.get(line).and_then(|line| line.letters.front()) else { return };
        let mut letter = head.letter.clone();
        letter.attempts = letter.attempts.saturating_add(1);
        letter.failures = letter.failures.saturating_add(u32::from(target == Target::First));
        letter.last_target = Some(target);
        letter.last_failure = Some(why);
        if now >= letter.until && self.off.is_none() {
            return self.die(now, line, letter);
        }
        let at_once = self.terms.has_fallback
            && target == Target::First
            && (letter.failures >= self.terms.fallback_after || self.first.failures >= self.terms.fallback_after);
        let pause = if at_once { Duration::ZERO } else { self.dice.pause(&self.terms, letter.attempts) };
        // The last attempt is not missed because of a long pause.
        let until = (now + pause).min(letter.until.max(now));
        for (at, waiting) in self.lines.pause(line, until).enumerate() {
            if at == 0 {
                waiting.letter = letter.clone();
            } else if waiting.stored {
                continue;
            }
            waiting.stored = true;
            self.loose.remove(&waiting.letter.id);
            self.outputs.push_back(Output::Change(Change::Waiting(waiting.letter.clone())));
        }
        self.lines.wake(now);
    }

    fn die(&mut self, now: Time, line: LineOf, letter: Letter) {
        self.bury(now, self.terms.dead_kept.max(1) - 1);
        let dead = Dead { letter, since: now };
        self.outputs.push_back(Output::Change(Change::Dead(dead.clone())));
        if let Some(waiting) = self.lines.pop(line) {
            self.forget(&waiting);
        }
        self.keep_dead(dead);
    }

    /// A letter has left its line.
    fn forget(&mut self, waiting: &Waiting) {
        self.loose.remove(&waiting.letter.id);
        if waiting.stored {
            self.outputs.push_back(Output::Change(Change::Left(waiting.letter.id)));
        }
    }

    fn keep_dead(&mut self, dead: Dead) {
        self.deaths.insert((dead.since, dead.letter.id));
        self.dead.insert(dead.letter.id, dead);
    }

    /// Drops dead letters that are too old, and the oldest of those that are more than this.
    fn bury(&mut self, now: Time, most: usize) {
        let too_old = |since: Time, time| since + time <= now;
        while let Some((since, id)) = self.deaths.first().copied() {
            if !too_old(since, self.terms.dead_time) && self.deaths.len() <= most {
                return;
            }
            self.dropped += 1;
            self.exhume(id);
        }
    }

    fn exhume(&mut self, id: EventId) {
        if let Some(dead) = self.dead.remove(&id) {
            self.deaths.remove(&(dead.since, id));
            self.outputs.push_back(Output::Change(Change::Buried(id)));
        }
    }

    /// A dead letter is tried anew, for as long as a new one, behind what waits of its call.
    ///
    /// # Errors
    /// [`NoSuchLetter`].
    pub fn replay(&mut self, now: Time, id: EventId) -> Result<(), NoSuchLetter> {
        let dead = self.dead.get(&id).ok_or(NoSuchLetter)?;
        let until = now + self.terms.retry_time;
        let letter = Letter { until, attempts: 0, failures: 0, last_target: None, ..dead.letter.clone() };
        self.outputs.push_back(Output::Change(Change::Waiting(letter.clone())));
        self.exhume(id);
        self.lines.push(Waiting { letter, stored: true });
        self.attempt(now);
        Ok(())
    }

    /// The same with all dead letters, in the order of their events; how many there were.
    pub fn replay_all(&mut self, now: Time) -> usize {
        let all: Vec<EventId> = self.dead.keys().copied().collect();
        all.iter().filter(|id| self.replay(now, **id).is_ok()).count()
    }

    /// Switches it on again; it goes on where it was.
    pub fn switch_on(&mut self, now: Time) {
        if self.off.take().is_some() {
            self.outputs.push_back(Output::Change(Change::Off(None)));
            self.lines.wake(Time::MAX);
        }
        self.attempt(now);
    }

    /// Since when it is switched off, because its target is gone.
    #[must_use]
    pub fn off_since(&self) -> Option<Time> {
        self.off
    }

    /// When [`Endpoint::handle_timeout`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let pause = self.lines.next_pause().filter(|_| self.off.is_none());
        let held = self.first.held_until().filter(|_| self.off.is_none() && self.lines.any_ready());
        let burial = self.deaths.first().map(|(since, _)| *since + self.terms.dead_time);
        [pause, held, burial].into_iter().flatten().min()
    }

    /// It is as late as [`Endpoint::deadline`] said.
    pub fn handle_timeout(&mut self, now: Time) {
        self.bury(now, usize::MAX);
        self.first.release(now);
        self.lines.wake(now);
        self.attempt(now);
    }

    /// Starts what may start.
    fn attempt(&mut self, now: Time) {
        let most = self.terms.parallel.max(1);
        while self.off.is_none() && self.under_way.len() < most {
            // Targets that hang for some calls leave places for the others.
            let may_retry = self.retrying < most.div_ceil(2);
            let Some((letter, again)) = self.lines.start(may_retry) else { return };
            let line = letter.call;
            let Some(target) = self.first.target(now, &self.terms, letter) else {
                return self.lines.put_back(line, again);
            };
            self.attempts += 1;
            let (number, event, text) = (self.attempts, letter.id, letter.text.clone());
            self.retrying += usize::from(again);
            self.under_way.insert(number, UnderWay { line, target, again });
            self.outputs.push_back(Output::Attempt(Attempt { number, target, event, text }));
        }
    }

    /// The next thing it wants.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        let cursor = self.cursor();
        if cursor == self.told {
            return None;
        }
        self.told = cursor;
        cursor.map(|cursor| Output::Change(Change::Cursor(cursor)))
    }

    /// Up to where everything is delivered or kept on its own.
    pub(super) fn cursor(&self) -> Option<EventId> {
        let before_loose = self.loose.first().map(|first| EventId(first.0.saturating_sub(1)));
        before_loose.or(self.read_to).max(self.told)
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }
}

fn status_text(code: u16) -> CompactString {
    match code {
        300..400 => format_compact!("status {code}; redirects are not followed"),
        _ => format_compact!("status {code}"),
    }
}
