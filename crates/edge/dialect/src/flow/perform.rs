//! What each verb does, and what comes after it.

use std::time::Duration;

use compact_str::format_compact;
use hookswitch_call::{
    Address, Audience, AudioOrder, BargeIn, By, CallId, CallRef, Cause, Collect as Collecting, Command, Dialled, Fault,
    Kind, Party, Pattern, RecordControl, RecordPlan, Recorded, Silence, Step, Time, Tracks,
};

use super::body::Why;
use super::check::full;
use super::machine::Flows;
use super::run::{Doing, Run, Waits};
use super::sounds::soup;
use super::verb::{Collect, Dial, End, Record, Reject, Sides, Verb};

/// A frame that is no louder is silence: that of a quiet line.
const QUIET: u16 = 200;

/// The call of this name.
pub(super) fn call_named(name: &str) -> Option<CallId> {
    let digits = name.strip_prefix("call_")?;
    let plain = !digits.is_empty() && digits.len() <= 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| plain).map(CallId)
}

impl Flows {
    /// Carries out verbs until one takes its time.
    pub(super) fn advance(&mut self, now: Time, run: &mut Run) {
        while let Some(verb) = run.peek() {
            if verb.needs_answer() && !run.answered {
                run.verb = Some(verb);
                let step = Step::Answer;
                return self.submit(run, Doing::Answer, Command::Step { call: CallRef::Id(run.call), step });
            }
            run.step();
            if !matches!(verb, Verb::Ask(_)) {
                run.idle = 0;
            }
            if self.perform(now, run, &verb) {
                run.verb = Some(verb);
                return;
            }
        }
        self.end(run, ending(run));
    }

    /// Carries out a verb; whether it takes its time.
    fn perform(&mut self, now: Time, run: &mut Run, verb: &Verb) -> bool {
        let call = CallRef::Id(run.call);
        match verb {
            Verb::Answer(_) | Verb::Ring(_) if run.answered => return false,
            Verb::Answer(_) => self.submit(run, Doing::Answer, Command::Step { call, step: Step::Answer }),
            Verb::Ring(_) => self.submit(run, Doing::Ring, Command::Step { call, step: Step::Ring }),
            Verb::Reject(it) => self.end(run, if run.answered { Cause::hangup() } else { refusal(it) }),
            Verb::Hangup(_) => self.end(run, ending(run)),
            Verb::Dial(it) => self.dial(run, it),
            Verb::Play(it) => {
                let soup = soup(&it.sounds, it.times, it.interrupt);
                self.audio(run, Doing::Play, AudioOrder::Play { soup, update: false, to: Audience::Party });
            }
            Verb::Collect(it) => {
                run.tries = 0;
                self.collect(run, it);
            }
            Verb::Record(it) => self.record(run, it),
            Verb::Bridge(it) => {
                let Some(other) = call_named(&it.call) else { return false };
                let other_party = match it.party {
                    End::Caller => Party::Caller,
                    End::Callee => Party::Callee,
                };
                let (other, party) = (CallRef::Id(other), run.party);
                let join = Command::Join { call, party, other, other_party, to: None, by: Some(By::Bridge) };
                self.submit(run, Doing::Leave, join);
            }
            Verb::Conference(it) => {
                let to = Address(format_compact!("sip:conference-{}@{}", it.name, run.flow.domain));
                self.submit(run, Doing::Leave, Command::Transfer { call, party: run.party, to, by: Some(By::Bridge) });
            }
            Verb::Redirect(it) => {
                let to = address(run, &it.to);
                let command = match run.answered {
                    true => Command::Transfer { call, party: run.party, to, by: Some(By::Bridge) },
                    false => Command::Step { call, step: Step::Divert(to) },
                };
                self.submit(run, Doing::Leave, command);
            }
            Verb::Pause(it) => {
                run.waits = Waits::Pause;
                run.deadline = Some(now + Duration::from_secs(it.seconds.into()));
            }
            Verb::Ask(it) => {
                run.idle = run.idle.saturating_add(1);
                self.ask(now, run, it.url.as_deref(), &Why::Next);
            }
        }
        true
    }

    fn audio(&mut self, run: &mut Run, doing: Doing, order: AudioOrder) {
        self.submit(run, doing, Command::Audio { call: CallRef::Id(run.call), party: run.party, order });
    }

    /// A command of a verb has ended.
    pub(super) fn done(&mut self, now: Time, run: &mut Run, doing: Doing, result: Result<(), Cause>) {
        match (doing, result) {
            // The party has gone, and with it the call, which says so in a moment: nothing has failed.
            (Doing::Answer | Doing::Play | Doing::Collect | Doing::Record, Err(cause))
                if cause.kind == Kind::Cancelled =>
            {
                run.waits = Waits::End;
            }
            (Doing::Answer, Ok(())) => {
                run.answered = true;
                self.advance(now, run);
            }
            // What cannot be answered is over, or is ended.
            (Doing::Answer, Err(cause)) => {
                self.failed(run, &cause);
                self.end(run, cause);
            }
            (Doing::Dial, Ok(())) => {
                run.answered = true;
                run.gone = None;
                run.waits = Waits::Talk(now);
            }
            (Doing::Dial, Err(cause)) => self.nobody_answers(now, run, &cause),
            (Doing::Collect, Ok(())) => self.collected(now, run, true),
            (Doing::Collect, Err(cause)) => {
                self.failed(run, &cause);
                run.keys = Default::default();
                self.collected(now, run, false);
            }
            (Doing::Record, Ok(())) if !is_background(run) => run.waits = Waits::Recorded,
            (Doing::Leave, Ok(())) => run.waits = Waits::Left,
            (Doing::Ring | Doing::Play | Doing::Record, Ok(())) => self.advance(now, run),
            (Doing::Ring | Doing::Play | Doing::Record | Doing::Leave, Err(cause)) => {
                self.failed(run, &cause);
                self.advance(now, run);
            }
        }
    }

    // Dial.

    fn dial(&mut self, run: &mut Run, it: &Dial) {
        let groups = it.to.0.iter().map(|group| group.iter().map(|to| address(run, to)).collect()).collect();
        let ring_time = Some(Duration::from_secs(it.seconds.into()));
        let step = Step::Dial(Box::new(Dialled { groups, ring_time }));
        self.submit(run, Doing::Dial, Command::Step { call: CallRef::Id(run.call), step });
    }

    fn nobody_answers(&mut self, now: Time, run: &mut Run, cause: &Cause) {
        let then = if let Some(Verb::Dial(it)) = &run.verb { it.then.clone() } else { None };
        match then {
            Some(url) => self.ask(now, run, Some(&url), &Why::Dialed { talked: None, cause: Some(cause) }),
            None => self.advance(now, run),
        }
    }

    /// Whoever had answered has hung up.
    pub(super) fn dial_over(&mut self, now: Time, run: &mut Run) {
        let Waits::Talk(since) = run.waits else { return };
        let Some(Verb::Dial(it)) = run.verb.clone() else { return };
        match it.then {
            Some(url) => {
                let cause = run.gone.take();
                let talked = Some(now.saturating_sub(since));
                self.ask(now, run, Some(&url), &Why::Dialed { talked, cause: cause.as_ref() });
            }
            None => {
                run.turn_to(it.after);
                self.advance(now, run);
            }
        }
    }

    // Keys.

    fn collect(&mut self, run: &mut Run, it: &Collect) {
        run.keys = Default::default();
        run.tries += 1;
        let collect = Collecting {
            most: it.most,
            terminator: it.terminator,
            // It has been checked.
            pattern: it.pattern.as_deref().and_then(|pattern| Pattern::parse(pattern).ok()),
            first: Duration::from_secs(it.first_seconds.into()),
            next: Duration::from_secs(it.next_seconds.into()),
        };
        let prompt = (!it.prompt.is_empty()).then(|| soup(&it.prompt, 1, false));
        self.audio(run, Doing::Collect, AudioOrder::Collect { collect: Box::new(collect), prompt });
    }

    fn collected(&mut self, now: Time, run: &mut Run, may_try: bool) {
        let Some(Verb::Collect(it)) = run.verb.clone() else { return };
        if let Some(verbs) = it.keys.get(run.keys.0.as_str()) {
            run.descend(verbs.clone());
            return self.advance(now, run);
        }
        // Without choices any key will do.
        let wanted = !it.keys.is_empty() || run.keys.0.is_empty();
        if may_try && wanted && run.tries < it.tries {
            return self.collect(run, &it);
        }
        match it.then {
            Some(url) => self.ask(now, run, Some(&url), &Why::Collected),
            None => {
                run.descend(it.otherwise);
                self.advance(now, run);
            }
        }
    }

    // Recordings.

    fn record(&mut self, run: &mut Run, it: &Record) {
        run.recorded += 1;
        run.recording = None;
        // No two recordings of a call have one name.
        let file = it.file.clone().unwrap_or_else(|| format!("{{day}}/{{call}}-flow-{}.wav", run.recorded));
        let sides = it.tracks.unwrap_or(if it.background { Sides::Stereo } else { Sides::Incoming });
        let mut plan = RecordPlan {
            tracks: match sides {
                Sides::Stereo => Tracks::Stereo,
                Sides::Mixed => Tracks::Mixed,
                Sides::Incoming => Tracks::Incoming,
                Sides::Outgoing => Tracks::Outgoing,
            },
            max: Duration::from_secs(it.seconds.into()),
            ..RecordPlan::both_sides(file.into())
        };
        if !it.background {
            let time = Duration::from_secs(it.silence_seconds.into());
            plan.silence = (it.silence_seconds > 0).then_some(Silence { below: QUIET, time });
            plan.least = Duration::from_secs(it.least_seconds.into());
        }
        let plan = Box::new(plan);
        let order = match it.prompt.as_slice() {
            [] => AudioOrder::Record(plan),
            sounds => {
                let barge_in = it.barge_in.map(BargeIn::louder_than);
                AudioOrder::RecordAfter { prompt: soup(sounds, 1, it.interrupt), barge_in, plan }
            }
        };
        self.audio(run, Doing::Record, order);
    }

    /// A key may end the recording.
    pub(super) fn may_finish(&mut self, run: &Run, key: char) {
        let (Some(Verb::Record(it)), Some(recording)) = (&run.verb, run.recording) else { return };
        if it.terminator == Some(key) {
            let order = AudioOrder::ControlRecording(recording, RecordControl::Finish);
            self.tell(Command::Audio { call: CallRef::Id(run.call), party: run.party, order });
        }
    }

    pub(super) fn record_over(&mut self, now: Time, run: &mut Run, recorded: &Recorded) {
        let then = if let Some(Verb::Record(it)) = &run.verb { it.then.clone() } else { None };
        match then {
            Some(url) => self.ask(now, run, Some(&url), &Why::Recorded(recorded)),
            None => self.advance(now, run),
        }
    }
}

fn is_background(run: &Run) -> bool {
    matches!(&run.verb, Some(Verb::Record(it)) if it.background)
}

/// An address, or a user or service of the domain that was called.
fn address(run: &Run, text: &str) -> Address {
    match text.contains(':') {
        true => Address::from(text),
        false => Address(format_compact!("sip:{}", full(text, &run.flow.domain))),
    }
}

fn refusal(it: &Reject) -> Cause {
    let mut cause = Cause::from_status(it.status, it.reason.as_deref().unwrap_or_default());
    // It is what our own switch says, and may be said as it is.
    cause.fault = Fault::Server;
    cause
}

/// What a caller is told when nothing is left to do.
fn ending(run: &Run) -> Cause {
    match run.answered {
        true => Cause::hangup(),
        false => Cause::new(Kind::Unreachable, Fault::Server),
    }
}
