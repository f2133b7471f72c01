//! Runs the verbs of all calls that are in flows.
//!
//! ```text
//!   wanted ──▶ Reply ── a document ──▶ Taken ──▶ Outcome ── done ──▶ the next verb …, or another question
//!                │ no document            │ dial: answered
//!                ▼                        ▼
//!      the verbs of the configuration    Talk ── wanted again ──▶ `then`, or `after`
//! ```
//!
//! A document that names a webhook waits for the call to have it (Webhook) before its first verb. A verb that fails is noted
//! and the next one comes. A question that fails has the verbs of the configuration carried
//! out, and the second time in a row the call ends.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use ahash::AHashMap;
use compact_str::{CompactString, format_compact};
use hookswitch_call::{
    Address, CallId, CallRef, Cause, Command, Event, Fault, Kind, OrderNews, Outcome, RecordNews, RecordingId, Refused,
    StepWanted, Ticket, Time, Told,
};
use serde::{Deserialize, Serialize};

use super::body::{Why, body};
use super::document::Reply;
use super::run::{Doing, QUESTION_TIME, Run, Waits};
use super::totals::{FlowTotals, Totals};
use super::verb::Verb;

/// Names a question.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct QuestionId(pub u64);

/// What is configured of a flow, as far as the machine has to know it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowTerms {
    /// There is somebody to ask.
    pub has_url: bool,
    /// What is done when that fails, or without somebody to ask; none ends the call.
    pub fallback: Option<Vec<Verb>>,
}

/// A question for a web server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// To be given back with the answer.
    pub id: QuestionId,
    /// Of which flow.
    pub flow: CompactString,
    /// Its name in signatures: no other question has it.
    pub name: CompactString,
    /// Another URL than that of the flow, absolute or from that on.
    pub url: Option<String>,
    /// What is posted.
    pub body: Arc<str>,
    /// The call is over: it is posted once, and no answer is wanted.
    pub last: bool,
}

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum FlowOutput {
    /// Submit this; wants [`Flows::submitted`].
    Submit(CallId, Command),
    /// Submit this, and nobody wants to know what comes of it.
    Tell(Command),
    /// Give the call this webhook; wants [`Flows::given`].
    Webhook(CallId, CompactString),
    /// Ask; wants [`Flows::replied`] unless it is the last one.
    Ask(Question),
    /// For logs.
    News(FlowNews),
}

/// Something to be known about a call in a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowNews {
    /// The call.
    pub call: CallId,
    /// Its flow.
    pub flow: CompactString,
    /// What.
    pub what: Note,
}

/// What is to be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The URL of the flow has no good answer, and its fallback URL is asked.
    OtherUrl(CompactString),
    /// A question has no good answer.
    Unanswered(CompactString),
    /// The verbs of the configuration are carried out, since a question has failed.
    FellBack,
    /// A verb could not be carried out.
    Failed {
        /// Which.
        verb: CompactString,
        /// Why.
        why: CompactString,
    },
}

/// All calls that are in flows.
#[derive(Debug, Default)]
pub struct Flows {
    terms: AHashMap<CompactString, FlowTerms>,
    totals: Totals,
    runs: AHashMap<CallId, Run>,
    tickets: AHashMap<Ticket, CallId>,
    questions: AHashMap<QuestionId, CallId>,
    deadlines: BTreeSet<(Time, CallId)>,
    next: u64,
    out: VecDeque<FlowOutput>,
}

impl Flows {
    /// Nothing runs. `first_question` must grow from one start of the node to the next, as the name of the first call does.
    #[must_use]
    pub fn new(terms: AHashMap<CompactString, FlowTerms>, first_question: u64) -> Self {
        Self { totals: Totals::new(terms.keys()), terms, next: first_question, ..Self::default() }
    }

    /// A call waits for a step. `parties` are who calls and who is called.
    pub fn wanted(&mut self, now: Time, wanted: StepWanted, parties: (Address, Address)) {
        let StepWanted { call, flow, party, answered } = wanted;
        let known = self.runs.get(&call);
        let comes_back = matches!(known, Some(Run { waits: Waits::Talk(_), flow: of, .. }) if *of == flow);
        if known.is_none() {
            self.runs.insert(call, Run::new(call, flow.clone(), party, parties));
        }
        self.with(call, |this, run| {
            if comes_back {
                return this.dial_over(now, run);
            }
            (run.flow, run.party, run.answered, run.fell_back) = (flow, party, answered, false);
            this.totals.count(&run.flow.name, |totals| totals.calls += 1);
            match this.terms.get(&run.flow.name).is_some_and(|terms| terms.has_url) {
                true => this.ask(now, run, None, &Why::Incoming),
                false => this.fall_back(now, run),
            }
        });
    }

    /// A command was taken, or was not.
    pub fn submitted(&mut self, now: Time, call: CallId, result: Result<Ticket, Refused>) {
        self.with(call, |this, run| {
            let Waits::Taken(doing) = run.waits else { return };
            match result {
                Ok(ticket) => {
                    run.waits = Waits::Outcome(ticket, doing);
                    this.tickets.insert(ticket, call);
                }
                // It is over, and says so in a moment. What a bridge finds ending may be the other call.
                Err(Refused::NoSuchCall | Refused::Ending) if !run.is_bridging(doing) => run.waits = Waits::End,
                Err(refused) => {
                    let cause = Cause::new(Kind::Other, Fault::Server).with_text(refused.to_string());
                    this.done(now, run, doing, Err(cause));
                }
            }
        });
    }

    /// A command has ended, one of ours or another one. `is_ending` says of a call whether it is over but for its legs.
    pub fn outcome(&mut self, now: Time, outcome: &Outcome, is_ending: impl Fn(CallId) -> bool) {
        let Some(call) = self.tickets.remove(&outcome.ticket) else { return };
        let result = outcome.result.clone().map_err(|failure| failure.cause);
        self.with(call, |this, run| {
            let Waits::Outcome(ticket, doing) = run.waits else { return };
            if ticket != outcome.ticket {
                return;
            }
            if result.is_err() && is_ending(call) {
                // Whoever was led has hung up, which the call says in a moment: nothing has failed, and there is nothing to ask.
                run.waits = Waits::End;
            } else {
                this.done(now, run, doing, result);
            }
        });
    }

    /// Something has happened in a call.
    pub fn told(&mut self, told: &Told) {
        if !self.runs.contains_key(&told.call) {
            return;
        }
        let mut over = None;
        self.with(told.call, |this, run| {
            let ours = matches!(run.waits, Waits::Outcome(ticket, _) if told.owner == Some(ticket));
            if let Event::LegEnded { party, cause, .. } = &told.event {
                if *party == run.party.other() && matches!(run.waits, Waits::Talk(_)) {
                    run.gone = Some(cause.clone());
                }
            } else if let Event::Replaced { .. } = &told.event {
                // Somebody else leads the call now. Whoever was dialled may go and be replaced by the leader again.
                if !ours && !matches!(run.waits, Waits::Talk(_) | Waits::Taken(_) | Waits::End) {
                    (run.waits, run.deadline) = (Waits::Left, None);
                }
            } else if let Event::Audio { party, news } = &told.event {
                this.heard(run, ours && *party == run.party, *party == run.party, news);
            } else if let Event::Ended { cause, .. } = &told.event {
                over = Some(cause.clone());
            }
        });
        if let Some(cause) = over {
            self.over(told.call, &cause);
        }
    }

    fn heard(&mut self, run: &mut Run, ours: bool, its: bool, news: &OrderNews) {
        match news {
            OrderNews::Key(digit) if its && run.waits == Waits::Recorded => self.may_finish(run, digit.key),
            OrderNews::Collected { keys, complete } if ours => run.keys = (keys.clone(), *complete),
            OrderNews::Recording(recording) if ours => run.recording = Some(*recording),
            OrderNews::Key(_) | OrderNews::Collected { .. } | OrderNews::Recording(_) | OrderNews::Play { .. } => {}
        }
    }

    /// How a recording goes.
    pub fn recorded(&mut self, now: Time, call: CallId, recording: RecordingId, news: &RecordNews) {
        let RecordNews::Finished(recorded) = news else { return };
        self.with(call, |this, run| {
            if run.waits == Waits::Recorded && run.recording == Some(recording) {
                this.record_over(now, run, recorded);
            }
        });
    }

    /// What came of a question.
    pub fn replied(&mut self, now: Time, id: QuestionId, reply: Result<Reply, CompactString>) {
        let Some(call) = self.questions.remove(&id) else { return };
        self.with(call, |this, run| {
            if run.waits != Waits::Reply(id) {
                return;
            }
            let asked = run.deadline.take().map_or(now, |deadline| deadline.saturating_sub(QUESTION_TIME));
            this.totals.count(&run.flow.name, |totals| totals.waited.note(now.saturating_sub(asked)));
            match reply {
                Ok(Reply { verbs, webhook }) => {
                    this.totals.count(&run.flow.name, |totals| totals.answered += 1);
                    run.fell_back = false;
                    run.turn_to(verbs);
                    match webhook {
                        Some(name) => {
                            run.waits = Waits::Webhook;
                            this.out.push_back(FlowOutput::Webhook(run.call, name));
                        }
                        None => this.advance(now, run),
                    }
                }
                Err(why) => this.unanswered(now, run, why),
            }
        });
    }

    /// The call has the webhook of the document; or it has another one, by this name, which it keeps.
    pub fn given(&mut self, now: Time, call: CallId, result: Result<(), CompactString>) {
        self.with(call, |this, run| {
            if run.waits != Waits::Webhook {
                return;
            }
            if let Err(other) = result {
                this.not_done(run, "webhook".into(), format_compact!("the call has the webhook {other}"));
            }
            this.advance(now, run);
        });
    }

    /// The URL of a flow has no good answer to a question, and its fallback URL is asked. The answer is still to come.
    pub fn asked_elsewhere(&mut self, id: QuestionId, why: CompactString) {
        let Some(call) = self.questions.get(&id).copied() else { return };
        self.with(call, |this, run| {
            this.totals.count(&run.flow.name, |totals| totals.other_url += 1);
            this.note(run, Note::OtherUrl(why));
        });
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(&(at, call)) = self.deadlines.first()
            && at <= now
        {
            self.with(call, |this, run| {
                run.deadline = None;
                if run.waits == Waits::Pause {
                    this.advance(now, run);
                } else if let Waits::Reply(id) = run.waits {
                    this.questions.remove(&id);
                    this.totals.count(&run.flow.name, |totals| totals.waited.note(QUESTION_TIME));
                    this.unanswered(now, run, "no answer in time".into());
                }
            });
        }
    }

    /// When [`Flows::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<FlowOutput> {
        self.out.pop_front()
    }

    /// How many calls are in flows, and how many answers are waited for.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.runs.len(), self.questions.len())
    }

    /// What has been counted of each flow, in the order of their names, and how many calls are in it now.
    #[must_use]
    pub fn totals(&self) -> Vec<(CompactString, FlowTotals, usize)> {
        let mut live: AHashMap<&str, usize> = AHashMap::new();
        for run in self.runs.values() {
            *live.entry(&run.flow.name).or_default() += 1;
        }
        let of = |(name, totals): (&CompactString, &FlowTotals)| {
            (name.clone(), *totals, live.get(name.as_str()).copied().unwrap_or_default())
        };
        self.totals.iter().map(of).collect()
    }

    /// How far a call is.
    #[must_use]
    pub fn run(&self, call: CallId) -> Option<&Run> {
        self.runs.get(&call)
    }

    /// Changes what is known of a call, and keeps the times true to it.
    fn with(&mut self, call: CallId, act: impl FnOnce(&mut Self, &mut Run)) {
        let Some(mut run) = self.runs.remove(&call) else { return };
        if let Some(at) = run.deadline {
            self.deadlines.remove(&(at, call));
        }
        act(self, &mut run);
        if let Some(at) = run.deadline {
            self.deadlines.insert((at, call));
        }
        self.runs.insert(call, run);
    }

    /// The call has ended: whoever leads it is told once, if that is somebody who has been asked.
    fn over(&mut self, call: CallId, cause: &Cause) {
        let Some(mut run) = self.runs.remove(&call) else { return };
        if let Some(at) = run.deadline {
            self.deadlines.remove(&(at, call));
        }
        match run.waits {
            Waits::Outcome(ticket, _) => drop(self.tickets.remove(&ticket)),
            Waits::Reply(id) => drop(self.questions.remove(&id)),
            Waits::Taken(_)
            | Waits::Webhook
            | Waits::Talk(_)
            | Waits::Recorded
            | Waits::Pause
            | Waits::Left
            | Waits::End => {}
        }
        if run.questions > 0 {
            run.questions += 1;
            let question = self.question(&run, None, &Why::Ended(cause));
            self.out.push_back(FlowOutput::Ask(Question { last: true, ..question }));
        }
        if self.runs.is_empty() {
            self.runs.shrink_to_fit();
        }
    }

    fn question(&mut self, run: &Run, url: Option<&str>, why: &Why<'_>) -> Question {
        let id = QuestionId(self.next);
        self.next += 1;
        Question {
            id,
            flow: run.flow.name.clone(),
            name: format_compact!("flow_{:x}", id.0),
            url: url.map(ToOwned::to_owned),
            body: body(run, why).into(),
            last: false,
        }
    }

    /// Asks what comes next, if that may be.
    pub(super) fn ask(&mut self, now: Time, run: &mut Run, url: Option<&str>, why: &Why<'_>) {
        if let Err(why) = run.may_ask(now) {
            return self.unanswered(now, run, why.into());
        }
        let question = self.question(run, url, why);
        run.failure = None;
        run.waits = Waits::Reply(question.id);
        run.deadline = Some(now + QUESTION_TIME);
        self.questions.insert(question.id, run.call);
        self.out.push_back(FlowOutput::Ask(question));
    }

    fn unanswered(&mut self, now: Time, run: &mut Run, why: CompactString) {
        self.totals.count(&run.flow.name, |totals| totals.failed += 1);
        self.note(run, Note::Unanswered(why));
        self.fall_back(now, run);
    }

    /// The verbs of the configuration are carried out, unless they have led here.
    fn fall_back(&mut self, now: Time, run: &mut Run) {
        let fallback = self.terms.get(&run.flow.name).and_then(|terms| terms.fallback.clone());
        match fallback.filter(|_| !run.fell_back) {
            Some(verbs) => {
                run.fell_back = true;
                // A flow that has nobody to ask is only its verbs.
                if self.terms.get(&run.flow.name).is_some_and(|terms| terms.has_url) {
                    self.totals.count(&run.flow.name, |totals| totals.fell_back += 1);
                    self.note(run, Note::FellBack);
                }
                run.turn_to(verbs);
                self.advance(now, run);
            }
            None => {
                let cause = Cause::new(Kind::Other, Fault::Server).with_text("Call Flow Failed");
                self.end(run, if run.answered { Cause::hangup() } else { cause });
            }
        }
    }

    pub(super) fn note(&mut self, run: &Run, what: Note) {
        self.out.push_back(FlowOutput::News(FlowNews { call: run.call, flow: run.flow.name.clone(), what }));
    }

    /// A verb could not be carried out.
    pub(super) fn failed(&mut self, run: &mut Run, why: &Cause) {
        let verb: CompactString = run.verb.as_ref().map_or("answer", Verb::name).into();
        self.not_done(run, verb, why.text.clone());
    }

    /// Something in a document could not be done.
    fn not_done(&mut self, run: &mut Run, verb: CompactString, why: CompactString) {
        run.failure = Some((verb.clone(), why.clone()));
        self.totals.count(&run.flow.name, |totals| totals.verbs_failed += 1);
        self.note(run, Note::Failed { verb, why });
    }

    pub(super) fn submit(&mut self, run: &mut Run, doing: Doing, command: Command) {
        run.waits = Waits::Taken(doing);
        self.out.push_back(FlowOutput::Submit(run.call, command));
    }

    pub(super) fn tell(&mut self, command: Command) {
        self.out.push_back(FlowOutput::Tell(command));
    }

    /// Ends the call.
    pub(super) fn end(&mut self, run: &mut Run, cause: Cause) {
        run.waits = Waits::End;
        run.deadline = None;
        self.tell(Command::End { call: CallRef::Id(run.call), cause });
    }
}
