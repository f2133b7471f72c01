//! What is asked for each call, one after the other.
//!
//! ```text
//!   start ─201─▶ look ─200─▶ hold ─202─▶ check ─200, done─▶ end ─202─▶ completed
//!     └────────────┴──────────┴───────────┴──────────────────┴── anything else: failed, and ended if it was started
//! ```

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use serde_json::Value;

use super::super::histogram::Histogram;
use super::connection::{Answer, Request};

/// The requests of one call, in their order.
pub(super) const STEPS: [Step; REQUESTS_OF_A_CALL as usize] =
    [Step::Start, Step::Look, Step::Hold, Step::Check, Step::End];

/// How many requests a call is.
pub(super) const REQUESTS_OF_A_CALL: u16 = 5;

/// Different reasons that are told apart; more are one.
const MAX_REASONS: usize = 50;

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Start,
    Look,
    Hold,
    Check,
    End,
}

impl Step {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Look => "get call",
            Self::Hold => "hold",
            Self::Check => "get command",
            Self::End => "end",
        }
    }

    const fn wanted(self) -> u16 {
        match self {
            Self::Start => 201,
            Self::Look | Self::Check => 200,
            Self::Hold | Self::End => 202,
        }
    }

    fn next(self) -> Option<Self> {
        STEPS.get(self as usize + 1).copied()
    }
}

/// One call.
#[derive(Debug)]
struct Call {
    number: u64,
    step: Step,
    /// Its name at the switch, once it has one.
    id: String,
    /// The command that holds it.
    command: String,
    failed: bool,
    written: Duration,
}

/// All calls that are not over.
pub(super) struct Course {
    /// Tells the keys of this run from those of others.
    run: u32,
    pause: Duration,
    calls: Vec<Option<Call>>,
    free: Vec<usize>,
    /// Whose next request is due, and since when.
    due: VecDeque<(Duration, usize)>,
    timers: BinaryHeap<Reverse<(Duration, usize)>>,
    pub(super) tally: Tally,
}

/// What is counted.
pub(super) struct Tally {
    pub(super) completed: u64,
    pub(super) answered: u64,
    /// Why requests failed, in words: `hold: 409 not_answered`.
    pub(super) failed: BTreeMap<String, u64>,
    /// From writing a request to having its answer, by step.
    pub(super) latency: [Histogram; REQUESTS_OF_A_CALL as usize],
    /// How long requests had to wait before they could be written.
    pub(super) waited: Histogram,
    /// Most calls that were open at a time.
    pub(super) peak: usize,
    /// When the last answer came.
    pub(super) last: Duration,
}

impl Course {
    pub(super) fn new(run: u32, pause: Duration) -> Self {
        let tally = Tally {
            completed: 0,
            answered: 0,
            failed: BTreeMap::new(),
            latency: std::array::from_fn(|_| Histogram::new()),
            waited: Histogram::new(),
            peak: 0,
            last: Duration::ZERO,
        };
        let (due, timers) = (VecDeque::new(), BinaryHeap::new());
        Self { run, pause, calls: Vec::new(), free: Vec::new(), due, timers, tally }
    }

    /// Calls that are not over.
    pub(super) fn open(&self) -> usize {
        self.calls.len() - self.free.len()
    }

    /// A call is due.
    pub(super) fn start(&mut self, at: Duration, number: u64) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.calls.push(None);
            self.calls.len() - 1
        });
        let (id, command) = (String::new(), String::new());
        self.calls[slot] = Some(Call { number, step: Step::Start, id, command, failed: false, written: at });
        self.due.push_back((at, slot));
        self.tally.peak = self.tally.peak.max(self.open());
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn handle_timeout(&mut self, now: Duration) {
        while let Some(Reverse((at, slot))) = self.timers.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            self.timers.pop();
            self.due.push_back((at, slot));
        }
    }

    /// The next request that is due, for `write`; of which call it is.
    pub(super) fn next<E>(
        &mut self,
        now: Duration,
        write: impl FnOnce(&Request<'_>) -> Result<(), E>,
    ) -> Option<Result<usize, E>> {
        let (at, slot) = self.due.pop_front()?;
        self.tally.waited.add(now.saturating_sub(at));
        let call = self.calls.get_mut(slot)?.as_mut()?;
        call.written = now;
        Some(call.write(self.run, write).map(|()| slot))
    }

    /// What was answered to a call's request.
    pub(super) fn answered(&mut self, now: Duration, slot: usize, answer: &Answer) {
        let Some(call) = self.calls.get_mut(slot).and_then(Option::as_mut) else { return };
        self.tally.last = now;
        self.tally.answered += 1;
        self.tally.latency[call.step as usize].add(now.saturating_sub(call.written));
        let mut next = call.step.next();
        if let Err(why) = call.learn(answer) {
            let why = format!("{}: {why}", call.step.name());
            self.tally.fail(why);
            call.failed = true;
            // Nothing is left standing.
            next = next.filter(|_| !call.id.is_empty()).map(|_| Step::End);
        }
        match next {
            Some(next) => {
                call.step = next;
                self.timers.push(Reverse((now + self.pause, slot)));
            }
            None => {
                self.tally.completed += u64::from(!call.failed);
                self.over(slot);
            }
        }
    }

    fn over(&mut self, slot: usize) {
        self.calls[slot] = None;
        self.free.push(slot);
    }
}

impl Call {
    fn write<E>(&self, run: u32, write: impl FnOnce(&Request<'_>) -> Result<(), E>) -> Result<(), E> {
        let Self { number, step, id, command, .. } = self;
        let key = format!("bench-{run:08x}-{number}-{}", *step as usize);
        let key = Some(&*key);
        match step {
            Step::Start => {
                let body = format!(
                    r#"{{"from":"sip:bench-from-{number}@bench.test","to":"sip:bench-to-{number}@bench.test"}}"#
                );
                write(&Request { method: "POST", path: "/v1/calls", key, body: Some(&body) })
            }
            Step::Look => write(&Request { method: "GET", path: &format!("/v1/calls/{id}"), key: None, body: None }),
            Step::Hold => {
                let (path, body) = (format!("/v1/calls/{id}/hold"), Some(r#"{"party":"callee"}"#));
                write(&Request { method: "POST", path: &path, key, body })
            }
            Step::Check => {
                write(&Request { method: "GET", path: &format!("/v1/commands/{command}"), key: None, body: None })
            }
            Step::End => write(&Request { method: "DELETE", path: &format!("/v1/calls/{id}"), key, body: None }),
        }
    }

    /// Takes from an answer what later requests need.
    fn learn(&mut self, answer: &Answer) -> Result<(), String> {
        let document: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = |name: &str| document[name].as_str();
        if answer.status != self.step.wanted() {
            return Err(format!("{} {}", answer.status, text("code").unwrap_or_default()));
        }
        let wanted = |name| text(name).ok_or_else(|| format!("{} without {name}", answer.status)).map(str::to_owned);
        match self.step {
            Step::Start => self.id = wanted("id")?,
            Step::Hold => self.command = wanted("id")?,
            Step::Check => {
                let status = wanted("status")?;
                if status != "done" {
                    return Err(format!("the hold is {status}"));
                }
            }
            Step::Look | Step::End => {}
        }
        Ok(())
    }
}

impl Tally {
    /// Counts something that went wrong.
    pub(super) fn fail(&mut self, why: String) {
        let known = self.failed.len() < MAX_REASONS || self.failed.contains_key(&why);
        *self.failed.entry(if known { why } else { "other".into() }).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn written(course: &mut Course, now: u64) -> Option<(usize, String)> {
        let mut text = String::new();
        let slot = course.next(Duration::from_millis(now), |request| {
            text = format!("{} {} {}", request.method, request.path, request.key.unwrap_or("-"));
            Ok::<_, Infallible>(())
        })?;
        Some((slot.unwrap(), text))
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn a_call_is_five_requests_each_a_pause_after_the_answer_before() {
        let mut course = Course::new(10, Duration::from_millis(100));
        course.start(Duration::ZERO, 7);
        let answers = [
            (answer(201, r#"{"id":"call_1","command":"cmd_1"}"#), "POST /v1/calls bench-0000000a-7-0"),
            (answer(200, r#"{"id":"call_1"}"#), "GET /v1/calls/call_1 -"),
            (answer(202, r#"{"id":"cmd_2"}"#), "POST /v1/calls/call_1/hold bench-0000000a-7-2"),
            (answer(200, r#"{"status":"done"}"#), "GET /v1/commands/cmd_2 -"),
            (answer(202, r#"{"id":"cmd_3"}"#), "DELETE /v1/calls/call_1 bench-0000000a-7-4"),
        ];
        let mut now = 5;
        for (answer, expected) in answers {
            assert_eq!(written(&mut course, now), Some((0, expected.to_owned())));
            assert_eq!(written(&mut course, now), None, "one at a time");
            course.answered(Duration::from_millis(now + 1), 0, &answer);
            course.handle_timeout(Duration::from_millis(now + 100));
            assert_eq!(written(&mut course, now + 100), None, "not before the pause is over");
            now += 101;
            course.handle_timeout(Duration::from_millis(now));
        }
        assert_eq!((course.tally.completed, course.tally.answered, course.open()), (1, 5, 0));
        assert!(course.tally.failed.is_empty());
        assert_eq!(course.tally.waited.longest(), Duration::from_millis(5));
    }

    #[test]
    fn what_is_not_answered_as_it_should_be_is_told_and_ends_the_call() {
        let mut course = Course::new(0, Duration::ZERO);
        for (number, bad) in [answer(503, r#"{"code":"unavailable"}"#), answer(201, "{}")].iter().enumerate() {
            course.start(Duration::ZERO, number as u64);
            let (slot, _) = written(&mut course, 0).unwrap();
            course.answered(Duration::ZERO, slot, bad);
            assert_eq!(course.open(), 0, "there is nothing to end");
        }
        course.start(Duration::ZERO, 2);
        for (good, expected) in [
            (answer(201, r#"{"id":"call_1"}"#), "POST /v1/calls bench-00000000-2-0"),
            (answer(404, r#"{"code":"no_such_call"}"#), "GET /v1/calls/call_1 -"),
            (answer(202, r#"{"id":"cmd_3"}"#), "DELETE /v1/calls/call_1 bench-00000000-2-4"),
        ] {
            assert_eq!(written(&mut course, 0), Some((0, expected.to_owned())));
            course.answered(Duration::ZERO, 0, &good);
            course.handle_timeout(Duration::ZERO);
        }
        assert_eq!((course.tally.completed, course.open()), (0, 0));
        let reasons: Vec<&str> = course.tally.failed.keys().map(String::as_str).collect();
        assert_eq!(reasons, ["get call: 404 no_such_call", "start: 201 without id", "start: 503 unavailable"]);
    }
}
