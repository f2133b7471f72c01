//! What is asked for each call, one after the other.
//!
//! ```text
//!                        phones talk │
//!   start ─▶ get call ─▶ hold ─▶ get hold ─▶ unhold ─▶ get unhold ─▶ end
//!               ▲                                          │
//!               └──────────────── turns left ──────────────┘
//! ```
//!
//! A party can be held once the call stands, which an application would learn from `call.bridged`. Here the phones are at
//! hand: the hold waits until both have had their ACK, and as long as any other request after that. An answer that is not
//! the wanted one ends a call.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use ahash::RandomState;
use serde_json::Value;

use super::super::histogram::Histogram;
use super::connection::{Answer, Request};

/// The kinds of requests, in their order.
pub(super) const STEPS: [Step; 7] =
    [Step::Start, Step::Look, Step::Hold, Step::Held, Step::Unhold, Step::Unheld, Step::End];

/// How many requests a call with so many turns is.
pub(super) const fn requests_of_a_call(turns: u16) -> u32 {
    2 + 5 * turns as u32
}

/// The phones of a call.
const PARTIES: u8 = 2;

/// How long a hold waits for the phones to talk.
const PATIENCE: Duration = Duration::from_secs(5);

/// Different reasons that are told apart; more are one.
const MAX_REASONS: usize = 50;

/// How long an application thinks between an answer and its next request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pause {
    pub(super) mean: Duration,
    /// The part of it by which one is shorter or longer at most, 0 to 1.
    pub(super) spread: f64,
}

impl Pause {
    /// One of them. Where all are alike, calls that a late moment has brought together stay together to their end.
    fn draw(self) -> Duration {
        self.mean.mul_f64(1.0 + self.spread * (2.0 * rand::random::<f64>() - 1.0))
    }
}

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Start,
    Look,
    Hold,
    /// Whether the hold is done.
    Held,
    Unhold,
    /// Whether that is done.
    Unheld,
    End,
}

impl Step {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Look => "get call",
            Self::Hold => "hold",
            Self::Held => "get hold",
            Self::Unhold => "unhold",
            Self::Unheld => "get unhold",
            Self::End => "end",
        }
    }

    const fn wanted(self) -> u16 {
        match self {
            Self::Start => 201,
            Self::Look | Self::Held | Self::Unheld => 200,
            Self::Hold | Self::Unhold | Self::End => 202,
        }
    }
}

/// One call.
#[derive(Debug)]
struct Call {
    number: u64,
    step: Step,
    /// Requests that have been written.
    asked: u32,
    /// Turns that are still to come.
    turns: u16,
    /// Its name at the switch, once it has one.
    id: String,
    /// The command that was given last.
    command: String,
    failed: bool,
    written: Duration,
    /// Between the last answer and the next request.
    pause: Duration,
    /// Phones that have had their ACK, and since when it is both.
    talking: u8,
    stands: Option<Duration>,
    /// Its hold waits for them.
    waits: bool,
}

/// All calls that are not over.
pub(super) struct Course {
    /// Tells the keys of this run from those of others.
    run: u32,
    pause: Pause,
    turns: u16,
    calls: Vec<Option<Call>>,
    free: Vec<usize>,
    /// Whose next request is due, and since when.
    due: VecDeque<(Duration, usize)>,
    timers: BinaryHeap<Reverse<(Duration, usize)>>,
    /// Where each call is, by its number.
    places: HashMap<u64, usize, RandomState>,
    /// When patience with the phones of a call ends, by its number; the earliest first.
    patience: VecDeque<(Duration, u64)>,
    pub(super) tally: Tally,
}

/// What is counted.
pub(super) struct Tally {
    pub(super) completed: u64,
    pub(super) answered: u64,
    /// Why requests failed, in words: `hold: 409 not_answered`.
    pub(super) failed: BTreeMap<String, u64>,
    /// From writing a request to having its answer in the socket, which is noted by the system, by step.
    pub(super) latency: [Histogram; STEPS.len()],
    /// Until it was read as well, all steps together.
    pub(super) read: Histogram,
    /// How long requests had to wait before they could be written.
    pub(super) waited: Histogram,
    /// Most calls that were open at a time.
    pub(super) peak: usize,
    /// When the last answer came.
    pub(super) last: Duration,
    /// When the first call was over, and how many requests were answered then.
    first_over: Option<(Duration, u64)>,
    /// The same of when the last call began.
    last_begun: (Duration, u64),
}

impl Course {
    /// Calls that are held and taken back so many times, with this time between an answer and the next request.
    pub(super) fn new(run: u32, pause: Pause, turns: u16) -> Self {
        let tally = Tally {
            completed: 0,
            answered: 0,
            failed: BTreeMap::new(),
            latency: std::array::from_fn(|_| Histogram::new()),
            read: Histogram::new(),
            waited: Histogram::new(),
            peak: 0,
            last: Duration::ZERO,
            first_over: None,
            last_begun: (Duration::ZERO, 0),
        };
        Self {
            run,
            pause,
            turns,
            calls: Vec::new(),
            free: Vec::new(),
            due: VecDeque::new(),
            timers: BinaryHeap::new(),
            places: HashMap::default(),
            patience: VecDeque::new(),
            tally,
        }
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
        self.calls[slot] = Some(Call {
            number,
            step: Step::Start,
            asked: 0,
            turns: self.turns,
            id: String::new(),
            command: String::new(),
            failed: false,
            written: at,
            pause: Duration::ZERO,
            talking: 0,
            stands: None,
            waits: false,
        });
        self.places.insert(number, slot);
        self.tally.last_begun = (at, self.tally.answered);
        self.due.push_back((at, slot));
        self.tally.peak = self.tally.peak.max(self.open());
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let patience = self.patience.front().map(|(at, _)| *at);
        timer.into_iter().chain(patience).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Duration) {
        while let Some(Reverse((at, slot))) = self.timers.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            self.timers.pop();
            match &mut self.calls[slot] {
                Some(call) if call.step == Step::Hold => match call.stands.map(|at| at + call.pause) {
                    Some(later) if later > now => self.timers.push(Reverse((later, slot))),
                    Some(_) => self.due.push_back((at, slot)),
                    None => {
                        call.waits = true;
                        self.patience.push_back((now + PATIENCE, call.number));
                    }
                },
                _ => self.due.push_back((at, slot)),
            }
        }
        while let Some((_, number)) = self.patience.pop_front_if(|(at, _)| *at <= now) {
            let Some((slot, call)) = self.numbered(number).filter(|(_, call)| call.waits) else { continue };
            (call.waits, call.failed, call.step) = (false, true, Step::End);
            self.tally.fail(format!("hold: the phones do not talk after {} s", PATIENCE.as_secs()));
            self.due.push_back((now, slot));
        }
    }

    /// A phone of this call has had its ACK.
    pub(super) fn talks(&mut self, now: Duration, number: u64) {
        let Some((slot, call)) = self.numbered(number) else { return };
        call.talking += 1;
        if call.talking == PARTIES {
            call.stands = Some(now);
            if std::mem::take(&mut call.waits) {
                let at = now + call.pause;
                self.timers.push(Reverse((at, slot)));
            }
        }
    }

    fn numbered(&mut self, number: u64) -> Option<(usize, &mut Call)> {
        let slot = *self.places.get(&number)?;
        Some((slot, self.calls.get_mut(slot)?.as_mut()?))
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
        let written = call.write(self.run, write).map(|()| slot);
        call.asked += 1;
        Some(written)
    }

    /// What was answered to a call's request, and when that was in the socket.
    pub(super) fn answered(&mut self, now: Duration, arrived: Duration, slot: usize, answer: &Answer) {
        let Some(call) = self.calls.get_mut(slot).and_then(Option::as_mut) else { return };
        self.tally.last = now;
        self.tally.answered += 1;
        self.tally.latency[call.step as usize].add(arrived.saturating_sub(call.written));
        self.tally.read.add(now.saturating_sub(call.written));
        let mut next = call.next();
        if let Err(why) = call.learn(answer) {
            let why = format!("{}: {why}", call.step.name());
            self.tally.fail(why);
            call.failed = true;
            // Nothing is left standing.
            next = next.filter(|_| !call.id.is_empty()).map(|_| Step::End);
        }
        match next {
            Some(next) => {
                (call.step, call.pause) = (next, self.pause.draw());
                self.timers.push(Reverse((now + call.pause, slot)));
            }
            None => {
                self.tally.completed += u64::from(!call.failed);
                self.tally.first_over.get_or_insert((now, self.tally.answered));
                self.over(slot);
            }
        }
    }

    fn over(&mut self, slot: usize) {
        if let Some(call) = self.calls[slot].take() {
            self.places.remove(&call.number);
        }
        self.free.push(slot);
    }
}

impl Call {
    /// What comes after this step has gone well. Of the last turn it is the end.
    fn next(&mut self) -> Option<Step> {
        match self.step {
            Step::Start => Some(Step::Look),
            Step::Look => Some(Step::Hold),
            Step::Hold => Some(Step::Held),
            Step::Held => Some(Step::Unhold),
            Step::Unhold => Some(Step::Unheld),
            Step::Unheld => {
                self.turns = self.turns.saturating_sub(1);
                Some(if self.turns > 0 { Step::Look } else { Step::End })
            }
            Step::End => None,
        }
    }

    fn write<E>(&self, run: u32, write: impl FnOnce(&Request<'_>) -> Result<(), E>) -> Result<(), E> {
        let Self { number, step, asked, id, command, .. } = self;
        let key = format!("bench-{run:08x}-{number}-{asked}");
        let key = Some(&*key);
        match step {
            Step::Start => {
                let body = format!(
                    r#"{{"from":"sip:bench-from-{number}@bench.test","to":"sip:bench-to-{number}@bench.test"}}"#
                );
                write(&Request { method: "POST", path: "/v1/calls", key, body: Some(&body) })
            }
            Step::Look => write(&Request { method: "GET", path: &format!("/v1/calls/{id}"), key: None, body: None }),
            Step::Hold | Step::Unhold => {
                let (path, body) = (format!("/v1/calls/{id}/{}", step.name()), Some(r#"{"party":"callee"}"#));
                write(&Request { method: "POST", path: &path, key, body })
            }
            Step::Held | Step::Unheld => {
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
            Step::Hold | Step::Unhold => self.command = wanted("id")?,
            Step::Held | Step::Unheld => {
                let status = wanted("status")?;
                if status != "done" {
                    return Err(format!("the command is {status}"));
                }
            }
            Step::Look | Step::End => {}
        }
        Ok(())
    }
}

impl Tally {
    /// Answers a second while calls both began and ended; of a run that is too short for that none.
    pub(super) fn steady_rate(&self) -> Option<f64> {
        let ((from, before), (to, after)) = (self.first_over?, self.last_begun);
        let time = to.checked_sub(from).filter(|time| !time.is_zero())?;
        Some((after - before) as f64 / time.as_secs_f64())
    }

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

    /// At this time in milliseconds, read at once.
    fn answered(course: &mut Course, now: u64, slot: usize, answer: &Answer) {
        let now = Duration::from_millis(now);
        course.answered(now, now, slot, answer);
    }

    fn always(mean: Duration) -> Pause {
        Pause { mean, spread: 0.0 }
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn a_call_is_held_and_taken_back_by_requests_a_pause_apart() {
        let mut course = Course::new(10, always(Duration::from_millis(100)), 2);
        course.start(Duration::ZERO, 7);
        let answers = [
            (answer(201, r#"{"id":"call_1","command":"cmd_1"}"#), "POST /v1/calls bench-0000000a-7-0"),
            (answer(200, r#"{"id":"call_1"}"#), "GET /v1/calls/call_1 -"),
            (answer(202, r#"{"id":"cmd_2"}"#), "POST /v1/calls/call_1/hold bench-0000000a-7-2"),
            (answer(200, r#"{"status":"done"}"#), "GET /v1/commands/cmd_2 -"),
            (answer(202, r#"{"id":"cmd_3"}"#), "POST /v1/calls/call_1/unhold bench-0000000a-7-4"),
            (answer(200, r#"{"status":"done"}"#), "GET /v1/commands/cmd_3 -"),
            (answer(200, r#"{"id":"call_1"}"#), "GET /v1/calls/call_1 -"),
            (answer(202, r#"{"id":"cmd_4"}"#), "POST /v1/calls/call_1/hold bench-0000000a-7-7"),
            (answer(200, r#"{"status":"done"}"#), "GET /v1/commands/cmd_4 -"),
            (answer(202, r#"{"id":"cmd_5"}"#), "POST /v1/calls/call_1/unhold bench-0000000a-7-9"),
            (answer(200, r#"{"status":"done"}"#), "GET /v1/commands/cmd_5 -"),
            (answer(202, r#"{"id":"cmd_6"}"#), "DELETE /v1/calls/call_1 bench-0000000a-7-11"),
        ];
        assert_eq!(answers.len(), requests_of_a_call(2) as usize);
        let mut now = 5;
        for (answer, expected) in answers {
            assert_eq!(written(&mut course, now), Some((0, expected.to_owned())));
            assert_eq!(written(&mut course, now), None, "one at a time");
            answered(&mut course, now + 1, 0, &answer);
            course.handle_timeout(Duration::from_millis(now + 100));
            assert_eq!(written(&mut course, now + 100), None, "not before the pause is over");
            // Both phones, and a stranger's, have their ACK while the first answer is under way.
            [7, 7, 8].iter().filter(|_| now == 5).for_each(|number| course.talks(Duration::from_millis(6), *number));
            now += 101;
            course.handle_timeout(Duration::from_millis(now));
        }
        assert_eq!((course.tally.completed, course.tally.answered, course.open()), (1, 12, 0));
        assert_eq!(course.tally.steady_rate(), None, "no call began after the first one was over");
        assert!(course.tally.failed.is_empty());
        assert_eq!(course.tally.waited.longest(), Duration::from_millis(5));
    }

    /// A call, number 3, whose hold is next.
    fn about_to_hold(pause: Duration) -> Course {
        let mut course = Course::new(0, always(pause), 1);
        course.start(Duration::ZERO, 3);
        for good in [answer(201, r#"{"id":"call_1"}"#), answer(200, r#"{"id":"call_1"}"#)] {
            course.handle_timeout(pause);
            written(&mut course, 0).unwrap();
            answered(&mut course, 0, 0, &good);
        }
        course
    }

    #[test]
    fn the_hold_waits_for_both_phones_and_then_as_long_as_any_other_request() {
        let ms = Duration::from_millis;
        for (first, second) in [(50, 60), (50, 150), (5_000, 5_099)] {
            let mut course = about_to_hold(ms(100));
            course.handle_timeout(ms(second.min(100)));
            course.talks(ms(first), 3);
            course.handle_timeout(ms(second));
            assert_eq!(written(&mut course, second), None, "one of two");
            course.talks(ms(second), 3);
            course.handle_timeout(ms(second + 99));
            assert_eq!(written(&mut course, second + 99), None, "{second} and no pause");
            course.handle_timeout(ms(second + 100));
            assert_eq!(course.deadline().filter(|at| *at < PATIENCE), None, "{second}");
            let hold = "POST /v1/calls/call_1/hold bench-00000000-3-2";
            assert_eq!(written(&mut course, second + 100), Some((0, hold.to_owned())));
            course.handle_timeout(PATIENCE * 3);
            assert!(course.tally.failed.is_empty(), "{second}");
        }
    }

    #[test]
    fn a_pause_is_never_further_from_the_mean_than_the_spread_allows() {
        let mean = Duration::from_millis(200);
        let drawn: Vec<Duration> = (0..1_000).map(|_| Pause { mean, spread: 0.25 }.draw()).collect();
        let (shortest, longest) = (drawn.iter().min().unwrap(), drawn.iter().max().unwrap());
        assert!(*shortest >= mean * 3 / 4 && *shortest < mean, "{shortest:?}");
        assert!(*longest > mean && *longest <= mean * 5 / 4, "{longest:?}");
        assert_eq!(always(mean).draw(), mean);
    }

    #[test]
    fn what_this_program_takes_to_read_an_answer_is_not_the_switchs() {
        let mut course = Course::new(0, always(Duration::ZERO), 1);
        course.start(Duration::ZERO, 0);
        written(&mut course, 1).unwrap();
        let ms = Duration::from_millis;
        course.answered(ms(9), ms(4), 0, &answer(201, r#"{"id":"call_1"}"#));
        assert_eq!(course.tally.latency[Step::Start as usize].longest(), ms(3));
        assert_eq!(course.tally.read.longest(), ms(8));
    }

    #[test]
    fn the_rate_is_that_between_the_first_end_and_the_last_beginning() {
        let mut course = Course::new(0, always(Duration::ZERO), 1);
        let bad = answer(503, "{}");
        for second in [1, 2, 6] {
            course.start(Duration::from_secs(second), second);
            let (slot, _) = written(&mut course, second * 1_000).unwrap();
            answered(&mut course, second * 1_000 + 1_000, slot, &bad);
        }
        // From the second 2 to 6; the third was not yet answered then.
        assert_eq!(course.tally.steady_rate(), Some(0.25));
    }

    #[test]
    fn phones_that_do_not_talk_fail_the_hold() {
        let mut course = about_to_hold(Duration::ZERO);
        course.handle_timeout(Duration::ZERO);
        course.talks(Duration::ZERO, 3);
        course.handle_timeout(PATIENCE - Duration::from_millis(1));
        assert_eq!((written(&mut course, 0), course.deadline()), (None, Some(PATIENCE)));
        course.handle_timeout(PATIENCE);
        assert_eq!(written(&mut course, 5_000), Some((0, "DELETE /v1/calls/call_1 bench-00000000-3-2".to_owned())));
        answered(&mut course, 5_000, 0, &answer(202, "{}"));
        assert_eq!((course.tally.completed, course.open()), (0, 0));
        assert_eq!(course.tally.failed.keys().collect::<Vec<_>>(), ["hold: the phones do not talk after 5 s"]);
    }

    #[test]
    fn what_is_not_answered_as_it_should_be_is_told_and_ends_the_call() {
        let mut course = Course::new(0, always(Duration::ZERO), 1);
        for (number, bad) in [answer(503, r#"{"code":"unavailable"}"#), answer(201, "{}")].iter().enumerate() {
            course.start(Duration::ZERO, number as u64);
            let (slot, _) = written(&mut course, 0).unwrap();
            answered(&mut course, 0, slot, bad);
            assert_eq!(course.open(), 0, "there is nothing to end");
        }
        course.start(Duration::ZERO, 2);
        for (good, expected) in [
            (answer(201, r#"{"id":"call_1"}"#), "POST /v1/calls bench-00000000-2-0"),
            (answer(404, r#"{"code":"no_such_call"}"#), "GET /v1/calls/call_1 -"),
            (answer(202, r#"{"id":"cmd_3"}"#), "DELETE /v1/calls/call_1 bench-00000000-2-2"),
        ] {
            assert_eq!(written(&mut course, 0), Some((0, expected.to_owned())));
            answered(&mut course, 0, 0, &good);
            course.handle_timeout(Duration::ZERO);
        }
        assert_eq!((course.tally.completed, course.open()), (0, 0));
        let reasons: Vec<&str> = course.tally.failed.keys().map(String::as_str).collect();
        assert_eq!(reasons, ["get call: 404 no_such_call", "start: 201 without id", "start: 503 unavailable"]);
    }
}
