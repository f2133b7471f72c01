//! How far a call is in its flow.

use std::collections::VecDeque;
use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::{Address, CallId, Cause, Flow, Party, RecordingId, Ticket, Time};
use serde::{Deserialize, Serialize};

use super::machine::QuestionId;
use super::verb::Verb;

/// Most questions about one call in a minute.
pub const MAX_PER_MINUTE: usize = 20;

/// Most questions about one call.
pub const MAX_QUESTIONS: u32 = 100;

/// Most documents in a row that only have somebody asked again.
pub const MAX_IDLE: u8 = 3;

/// How long an answer is waited for by the machine: longer than a driver takes for the URL and its fallback.
pub const QUESTION_TIME: Duration = Duration::from_secs(75);

/// Everything known about a call in a flow: one record, which can be stored and moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The call.
    pub call: CallId,
    /// Which flow.
    pub flow: Flow,
    /// The end that is led.
    pub party: Party,
    /// Who called.
    pub from: Address,
    /// Who was called.
    pub to: Address,
    /// The party is on the line.
    pub answered: bool,
    /// How many questions have been asked.
    pub questions: u32,
    /// The lists of verbs that are being carried out, the innermost last.
    pub(super) lists: Vec<List>,
    pub(super) waits: Waits,
    /// Until when.
    pub(super) deadline: Option<Time>,
    /// The verb that is being carried out.
    pub(super) verb: Option<Verb>,
    /// When questions were asked in the last minute.
    pub(super) asked: VecDeque<Time>,
    /// Documents in a row in which nothing was done.
    pub(super) idle: u8,
    /// The verbs of the configuration are being carried out, since a question has failed.
    pub(super) fell_back: bool,
    pub(super) recorded: u32,
    pub(super) recording: Option<RecordingId>,
    /// What was collected last, and whether it was complete.
    pub(super) keys: (CompactString, bool),
    pub(super) tries: u8,
    /// Why whoever was dialled has gone.
    pub(super) gone: Option<Cause>,
    /// The verb that has failed last, and why.
    pub(super) failure: Option<(CompactString, CompactString)>,
}

/// A list of verbs, and the next of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct List {
    verbs: Vec<Verb>,
    next: usize,
}

/// What a run waits for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Waits {
    /// The answer to a question.
    Reply(QuestionId),
    /// The webhook that the document names.
    Webhook,
    /// Whether a command is taken.
    Taken(Doing),
    /// The outcome of a command.
    Outcome(Ticket, Doing),
    /// Whoever has answered to hang up.
    Talk(Time),
    /// The end of a recording.
    Recorded,
    /// Time to pass.
    Pause,
    /// The end of a call that others lead now.
    Left,
    /// The end of the call, which was ordered.
    End,
}

/// What a command of a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Doing {
    Answer,
    Ring,
    Dial,
    Play,
    Collect,
    Record,
    /// The party goes elsewhere: to a conference, another call, another address.
    Leave,
}

impl Run {
    pub(super) fn new(call: CallId, flow: Flow, party: Party, (from, to): (Address, Address)) -> Self {
        Self {
            call,
            flow,
            party,
            from,
            to,
            answered: false,
            questions: 0,
            lists: Vec::new(),
            waits: Waits::Left,
            deadline: None,
            verb: None,
            asked: VecDeque::new(),
            idle: 0,
            fell_back: false,
            recorded: 0,
            recording: None,
            keys: (CompactString::default(), false),
            tries: 0,
            gone: None,
            failure: None,
        }
    }

    /// From now on these verbs are carried out, and nothing behind them.
    pub(super) fn turn_to(&mut self, verbs: Vec<Verb>) {
        self.lists.clear();
        self.descend(verbs);
    }

    /// These verbs come now, and then those that were to come.
    pub(super) fn descend(&mut self, verbs: Vec<Verb>) {
        self.lists.push(List { verbs, next: 0 });
    }

    /// The verb that is to be carried out now, if any is left.
    pub(super) fn peek(&mut self) -> Option<Verb> {
        while let Some(list) = self.lists.last() {
            if let Some(verb) = list.verbs.get(list.next) {
                return Some(verb.clone());
            }
            self.lists.pop();
        }
        None
    }

    /// It is being carried out.
    pub(super) fn step(&mut self) {
        if let Some(list) = self.lists.last_mut() {
            list.next += 1;
        }
    }

    /// Whether this command is that of a bridge.
    pub(super) const fn is_bridging(&self, doing: Doing) -> bool {
        matches!((doing, &self.verb), (Doing::Leave, Some(Verb::Bridge(_))))
    }

    /// Whether another question may be asked; else why not. Notes it if so.
    pub(super) fn may_ask(&mut self, now: Time) -> Result<(), &'static str> {
        while self.asked.front().is_some_and(|at| *at + Duration::from_secs(60) <= now) {
            self.asked.pop_front();
        }
        if self.idle > MAX_IDLE {
            return Err("documents in a row do nothing but ask again");
        }
        if self.asked.len() >= MAX_PER_MINUTE {
            return Err("too many questions in a minute");
        }
        if self.questions >= MAX_QUESTIONS {
            return Err("too many questions about one call");
        }
        self.asked.push_back(now);
        self.questions += 1;
        Ok(())
    }
}
