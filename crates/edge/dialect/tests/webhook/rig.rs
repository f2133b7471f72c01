//! An endpoint, its clock, what it wants posted and what it has stored.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hookswitch_call::{CallId, Time};
use hookswitch_dialect::journal::{EventId, Filter, Logged};
use hookswitch_dialect::webhook::{
    Answer, Attempt, Change, Dead, Endpoint, Failure, Letter, Output, Stored, Target, Terms,
};

pub const START: Time = Duration::from_secs(1_700_000_000);
pub const SECOND: Duration = Duration::from_secs(1);
pub const HOUR: Duration = Duration::from_secs(3_600);

/// What is on the disk.
#[derive(Clone, Default, Debug)]
pub struct Disk {
    pub cursor: Option<EventId>,
    pub waiting: BTreeMap<EventId, Letter>,
    pub dead: BTreeMap<EventId, Dead>,
    pub off: Option<Time>,
    pub calls: BTreeSet<CallId>,
}

impl Disk {
    pub fn write(&mut self, change: Change) {
        match change {
            Change::Cursor(at) => self.cursor = Some(at),
            Change::Waiting(letter) => drop(self.waiting.insert(letter.id, letter)),
            Change::Left(id) => drop(self.waiting.remove(&id)),
            Change::Dead(dead) => drop(self.dead.insert(dead.letter.id, dead)),
            Change::Buried(id) => drop(self.dead.remove(&id)),
            Change::Off(since) => self.off = since,
            Change::Call(call, true) => drop(self.calls.insert(call)),
            Change::Call(call, false) => drop(self.calls.remove(&call)),
        }
    }

    pub fn restore(&self, endpoint: &mut Endpoint) {
        let cursor = self.cursor.map(Stored::Cursor);
        let waiting = self.waiting.values().cloned().map(Stored::Waiting);
        let dead = self.dead.values().cloned().map(Stored::Dead);
        let calls = self.calls.iter().copied().map(Stored::Call);
        for stored in cursor.into_iter().chain(waiting).chain(dead).chain(self.off.map(Stored::Off)).chain(calls) {
            endpoint.restore(stored);
        }
    }
}

pub struct Rig {
    pub endpoint: Endpoint,
    pub now: Time,
    pub disk: Disk,
    /// Attempts that nobody has answered, in the order in which they began.
    pub open: Vec<Attempt>,
    terms: Terms,
    filter: Filter,
}

impl Rig {
    pub fn new(terms: Terms) -> Self {
        Self::restored((terms, Filter::default()), START, Disk::default())
    }

    pub fn restored((terms, filter): (Terms, Filter), now: Time, disk: Disk) -> Self {
        let mut endpoint = Endpoint::new(terms.clone(), filter.clone(), 7);
        disk.restore(&mut endpoint);
        endpoint.begin(EventId(0));
        let mut rig = Self { endpoint, now, disk, open: Vec::new(), terms, filter };
        rig.endpoint.handle_timeout(now);
        rig.drain();
        rig
    }

    /// The webhook that calls have of their own.
    pub fn of_calls(terms: Terms) -> Self {
        Self::of_calls_and_types(terms, &[])
    }

    /// The same, of which only these types of events are posted.
    pub fn of_calls_and_types(terms: Terms, types: &[&str]) -> Self {
        let kinds = types.iter().map(|kind| (*kind).into()).collect();
        let filter = Filter { webhook: Some("call.1".into()), kinds, ..Filter::default() };
        Self::restored((terms, filter), START, Disk::default())
    }

    /// The process dies and starts again.
    pub fn restart(self) -> Self {
        Self::restored((self.terms, self.filter), self.now, self.disk)
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Attempt(attempt) => self.open.push(attempt),
                Output::Change(change) => self.disk.write(change),
            }
        }
    }

    pub fn take(&mut self, event: &Logged) {
        self.endpoint.take(self.now, event);
        self.drain();
    }

    /// The only attempt that is open.
    pub fn one(&self) -> &Attempt {
        assert_eq!(self.open.len(), 1, "{:?}", self.open);
        &self.open[0]
    }

    /// The events of the attempts that are open.
    pub fn events(&self) -> Vec<u64> {
        self.open.iter().map(|attempt| attempt.event.0).collect()
    }

    /// Answers the attempt of an event.
    pub fn answer(&mut self, event: u64, answer: Answer) -> Target {
        let at = self.open.iter().position(|attempt| attempt.event == EventId(event)).expect("nobody posts that");
        let attempt = self.open.remove(at);
        self.endpoint.answered(self.now, attempt.number, answer);
        self.drain();
        attempt.target
    }

    pub fn ok(&mut self, event: u64) -> Target {
        self.answer(event, status(200))
    }

    pub fn fails(&mut self, event: u64) -> Target {
        self.answer(event, Answer::Failed(Failure::TimedOut))
    }

    /// Time passes; whatever is due happens on the way.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.endpoint.deadline().filter(|due| *due <= end) {
            assert!(due > self.now || self.now == START || !time.is_zero(), "a deadline that does not move");
            self.now = self.now.max(due);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// Answers whatever is open with this and lets the pauses pass, until time is up or nothing is left to do.
    pub fn play(&mut self, time: Duration, answer: &Answer) -> Vec<(u64, Duration)> {
        let (start, mut posted) = (self.now, Vec::new());
        while self.now < start + time {
            while let Some(attempt) = self.open.first().cloned() {
                posted.push((attempt.event.0, self.now - start));
                self.answer(attempt.event.0, answer.clone());
            }
            let Some(due) = self.endpoint.deadline().filter(|due| *due < start + time) else { break };
            self.pass(due.saturating_sub(self.now));
        }
        self.pass((start + time).saturating_sub(self.now));
        posted
    }
}

pub fn status(code: u16) -> Answer {
    Answer::Status { code, retry_after: None }
}

/// Event number `id` of call number `call`; of no call if that is 0.
pub fn event(id: u64, call: u64) -> Logged {
    Logged {
        id: EventId(id),
        at: START,
        kind: "call.held".into(),
        call: Some(CallId(call)).filter(|call| call.0 > 0),
        seq: None,
        domains: vec!["a.test".into()],
        webhook: None,
        text: format!("{{\"id\":\"{id}\"}}").into(),
    }
}
