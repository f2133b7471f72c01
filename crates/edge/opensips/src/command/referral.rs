//! One party of a call is asked to call somebody else (REFER), and OpenSIPS tells how that fares.
//!
//! ```text
//!            Accepted             start                 ok
//!  Reply ──────────────► Start ─────────► Answer ────────────────► done
//!    │ error: failed       │ refer_timeout:  │ fail: failed, after a faked 408 only when the truth has had
//!    │ lost: look up       │ not started     │       its time (Truth)
//!    └─────────────────────┴─ a later step comes first: the missing ones are told before it
//! ```
//!
//! OpenSIPS says nothing at all when the party refuses or ignores the REFER, it answers before the party does, and its
//! events overtake each other and get lost. So whatever proves a step counts as that step: the new dialog's state, the
//! party's own NOTIFY, the same event of the other call. What proves the end that way has [`CONFIRM_AFTER`] to be
//! contradicted by the event itself, which knows the status.

use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::{Cause, Failure, Fault, Kind, Party, Stage, Time};
use serde::{Deserialize, Serialize};

use super::ready::{NOT_READY, Ready};
use super::{CONFIRM_AFTER, Cx, News, Step, failure};
use crate::evi::{DialogSign, TransferSign, TransferStep, state};
use crate::mi::Matter;
use crate::mi::reply::{Answer, Truth};
use crate::mi::request::Ask;

/// How long a failure with status 408, which OpenSIPS also says of calls that its own script refused, waits for the
/// party's NOTIFY with the status as the party saw it.
pub const TRUTH_WITHIN: Duration = Duration::from_millis(500);

/// How long a progress report that has overtaken the beginning of its call waits for it.
pub(crate) const START_SOON: Duration = Duration::from_millis(200);

/// How long a call that is over may still turn out to have been transferred.
const GONE_AFTER: Duration = Duration::from_secs(2);

/// Most progress reports that wait for the beginning of their call.
const MAX_EARLY: usize = 8;

/// What OpenSIPS answers to a second transfer of a call, for ever.
const PENDING: i32 = 491;

/// A transfer under way.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Referral {
    /// The call.
    callid: CompactString,
    /// The end that stays.
    party: Party,
    to: Option<CompactString>,
    /// The other call and its end that stays, for an attended transfer.
    other: Option<(CompactString, Party)>,
    accepted: bool,
    /// The Call-ID of the new call.
    new: Option<CompactString>,
    /// Whether its beginning has been told.
    begun: bool,
    /// Progress of a call whose beginning has not been told.
    early: Vec<(u16, CompactString)>,
    /// The final status that the party itself has reported.
    reported: Option<(u16, CompactString)>,
    /// The final status that OpenSIPS has reported.
    failed: Option<(u16, CompactString)>,
    /// Why the call was looked up.
    doubt: Option<Doubt>,
    ready: Ready,
    wait: Wait,
    deadline: Option<Time>,
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wait {
    /// OpenSIPS's reply.
    Reply,
    /// The new call.
    Start,
    /// Word of the beginning of a new call that is known to have begun.
    StartSoon,
    /// The answer to the new call.
    Answer,
    /// OpenSIPS's word that the new call is answered, as everything says.
    Confirmation,
    /// OpenSIPS's word that the new call has failed, as everything says; or the party's.
    Refusal,
    /// Whether the new call exists.
    LookUp,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Doubt {
    ReplyLost,
    Restarted,
}

/// How far it has come.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Turn {
    /// OpenSIPS has asked the party.
    Accepted,
    /// The party calls.
    Started { wire_id: CompactString, to: Option<CompactString> },
    /// How that call fares, 100-299.
    Progress { status: u16, text: CompactString },
    /// It is answered.
    Done,
    /// It is not.
    Failed(Failure),
}

impl Referral {
    pub(crate) const fn new(
        callid: CompactString,
        party: Party,
        to: Option<CompactString>,
        other: Option<(CompactString, Party)>,
    ) -> Self {
        Self {
            callid,
            party,
            to,
            other,
            accepted: false,
            new: None,
            begun: false,
            early: Vec::new(),
            reported: None,
            failed: None,
            doubt: None,
            ready: Ready::new(),
            wait: Wait::Reply,
            deadline: None,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        [self.deadline, self.ready.again_at].into_iter().flatten().min()
    }

    pub(crate) const fn new_call(&self) -> Option<&CompactString> {
        self.new.as_ref()
    }

    pub(crate) const fn call(&self) -> &CompactString {
        &self.callid
    }

    pub(crate) fn other_call(&self) -> Option<&CompactString> {
        self.other.as_ref().map(|(callid, _)| callid)
    }

    /// Asks OpenSIPS to begin.
    pub(crate) fn begin(&self, cx: &mut Cx<'_>) {
        let (callid, leg, to) = (self.callid.clone(), self.party, self.to.clone());
        let ask = match (self.other.clone(), to) {
            (Some((other, other_leg)), to) => Ask::Join { callid, leg, other, other_leg, to },
            (None, to) => Ask::Transfer { callid, leg, to: to.unwrap_or_default() },
        };
        cx.ask(Matter::Transfer, ask);
    }

    /// What follows from the news, in causal order; after `Done` or `Failed` it hears nothing more.
    pub(crate) fn hear(&mut self, cx: &mut Cx<'_>, news: News<'_>) -> Vec<Turn> {
        let mut turns = Vec::new();
        match news {
            News::Answer(Matter::Transfer, answer) => self.replied(cx, answer, &mut turns),
            News::Answer(Matter::Dialog, answer) => self.looked_up(answer.truth(), &mut turns),
            News::Answer(Matter::NewDialog, answer) => self.new_looked_up(cx, answer.truth(), &mut turns),
            News::Transfer(sign) if sign.callid == self.callid => self.sign(cx, sign, &mut turns),
            News::Transfer(sign) => self.other_sign(cx, sign),
            News::Dialog(sign) => self.dialog(cx, sign),
            News::Due => self.due(cx, &mut turns),
            News::Restarted => self.restarted(cx),
            News::Answer(..) | News::Hold(_) => cx.late = true,
            News::Begin | News::Abandon(_) | News::Park | News::GiveUp => {}
        }
        turns
    }

    fn replied(&mut self, cx: &mut Cx<'_>, answer: &Answer, turns: &mut Vec<Turn>) {
        match answer {
            Answer::Result(_) => {
                self.accept(turns);
                self.await_start(cx);
            }
            Answer::Error { code: NOT_READY, .. } if !self.accepted && self.ready.was_not(cx.now) => {}
            Answer::Error { code, text } => {
                let mut failure = failure::refused(Stage::Transfer, *code, text);
                if *code == PENDING {
                    failure.cause.text = PENDING_TEXT.into();
                }
                turns.push(Turn::Failed(failure));
            }
            Answer::Lost if self.wait == Wait::Reply => {
                self.doubt = Some(Doubt::ReplyLost);
                self.await_start(cx);
                cx.ask(Matter::Dialog, Ask::Dialog { callid: self.callid.clone() });
            }
            Answer::Lost => {}
        }
    }

    fn await_start(&mut self, cx: &Cx<'_>) {
        if self.wait == Wait::Reply {
            self.wait = Wait::Start;
            self.deadline = Some(cx.now + cx.config.refer_timeout);
        }
    }

    fn looked_up(&mut self, truth: Truth, turns: &mut Vec<Turn>) {
        let waits = matches!(self.wait, Wait::Reply | Wait::Start);
        match (truth, self.doubt.take()) {
            (Truth::Gone, Some(Doubt::ReplyLost)) if waits => {
                turns.push(Turn::Failed(failure::refused(Stage::Transfer, 404, &DIALOG_NOT_FOUND.into())));
            }
            (Truth::Gone, Some(Doubt::Restarted)) if waits => turns.push(Turn::Failed(failure::backend(RESTARTED))),
            (Truth::Gone | Truth::There(_) | Truth::Unknown, _) => {}
        }
    }

    fn new_looked_up(&mut self, cx: &mut Cx<'_>, truth: Truth, turns: &mut Vec<Turn>) {
        let is_last_word = self.wait == Wait::LookUp;
        match (truth, self.doubt.take()) {
            (Truth::There(state::ANSWERED | state::CONFIRMED), _) => turns.push(Turn::Done),
            (_, _) if is_last_word => {
                turns.push(Turn::Failed(failure::status(Stage::Callee, 408, &NO_ANSWER.into())));
                if let Some(new) = &self.new {
                    cx.close(new, false);
                }
            }
            (Truth::Gone, Some(Doubt::Restarted)) => turns.push(Turn::Failed(failure::backend(RESTARTED))),
            (Truth::Gone | Truth::There(_) | Truth::Unknown, _) => {}
        }
    }

    fn sign(&mut self, cx: &mut Cx<'_>, sign: &TransferSign, turns: &mut Vec<Turn>) {
        if self.new.is_some() && sign.new.is_some() && self.new != sign.new {
            // Word of an earlier transfer of the same call.
            cx.late = true;
            return;
        }
        self.accept(turns);
        self.learn(cx, sign);
        match sign.step {
            TransferStep::Start if self.begun => cx.late = true,
            TransferStep::Start => {
                self.begin_call(sign.to.clone(), turns);
                self.await_answer(cx);
            }
            TransferStep::Notify => self.notified(cx, sign.status.as_ref(), turns),
            TransferStep::Ok if self.failed.is_some() => cx.late = true,
            TransferStep::Ok => {
                self.begin_call(sign.to.clone(), turns);
                turns.push(Turn::Done);
            }
            TransferStep::Fail if self.failed.is_some() && self.wait == Wait::Refusal => cx.late = true,
            TransferStep::Fail => {
                self.begin_call(sign.to.clone(), turns);
                let status = sign.status.clone().unwrap_or((408, NO_ANSWER.into()));
                self.failed = Some(status);
                self.weigh(cx, turns);
            }
        }
    }

    /// Signs of the other call of an attended transfer are not told, but they prove.
    fn other_sign(&mut self, cx: &mut Cx<'_>, sign: &TransferSign) {
        if self.new.is_some() && sign.new.is_some() && self.new != sign.new {
            cx.late = true;
            return;
        }
        match sign.step {
            TransferStep::Start | TransferStep::Notify => {}
            TransferStep::Ok => {
                self.learn(cx, sign);
                self.proven(cx, Wait::Confirmation);
            }
            TransferStep::Fail => {
                self.learn(cx, sign);
                self.failed = self.failed.take().or_else(|| sign.status.clone());
                self.proven(cx, Wait::Refusal);
            }
        }
    }

    fn dialog(&mut self, cx: &mut Cx<'_>, sign: &DialogSign) {
        if self.new.as_ref() == Some(&sign.callid) {
            match sign.state {
                state::ANSWERED | state::CONFIRMED => self.proven(cx, Wait::Confirmation),
                state::DELETED if sign.was_answered() => self.proven(cx, Wait::Confirmation),
                state::DELETED => self.proven(cx, Wait::Refusal),
                _ => {}
            }
        } else if sign.callid == self.callid && sign.state == state::CONFIRMED {
            if self.ready.confirmed() {
                self.begin(cx);
            }
        } else if sign.callid == self.callid && sign.is_the_end() && self.wait == Wait::Start {
            // Some phones hang up as soon as they have been asked; what they do then comes at once or never.
            let until = cx.now + GONE_AFTER;
            self.deadline = Some(self.deadline.map_or(until, |deadline| deadline.min(until)));
        }
    }

    fn notified(&mut self, cx: &mut Cx<'_>, status: Option<&(u16, CompactString)>, turns: &mut Vec<Turn>) {
        let Some((code, text)) = status else { return };
        if *code >= 300 {
            self.reported = Some((*code, text.clone()));
            self.proven(cx, Wait::Refusal);
            if self.failed.is_some() {
                self.weigh(cx, turns);
            }
            return;
        }
        if self.failed.is_some() || self.reported.is_some() {
            cx.late = true;
            return;
        }
        if self.begun {
            turns.push(Turn::Progress { status: *code, text: text.clone() });
        } else if self.early.len() < MAX_EARLY {
            self.early.push((*code, text.clone()));
            if matches!(self.wait, Wait::Reply | Wait::Start) {
                self.wait = Wait::StartSoon;
                self.deadline = Some(cx.now + START_SOON);
            }
        }
        if *code >= 200 {
            self.proven(cx, Wait::Confirmation);
        }
    }

    /// Everything says so but the event itself, which has its time to come.
    fn proven(&mut self, cx: &Cx<'_>, wait: Wait) {
        if !matches!(self.wait, Wait::Confirmation | Wait::Refusal) {
            self.wait = wait;
            let grace = if wait == Wait::Refusal { TRUTH_WITHIN } else { CONFIRM_AFTER };
            self.deadline = Some(cx.now + grace);
        }
    }

    /// The new call has failed, says OpenSIPS: with which status?
    fn weigh(&mut self, cx: &Cx<'_>, turns: &mut Vec<Turn>) {
        match (&self.failed, &self.reported) {
            (Some((408, _)), None) => {
                self.wait = Wait::Refusal;
                self.deadline = Some(cx.now + TRUTH_WITHIN);
            }
            (Some((408, _)), Some((code, text))) | (Some((code, text)), _) | (None, Some((code, text))) => {
                turns.push(Turn::Failed(failure::status(Stage::Callee, *code, text)));
            }
            (None, None) => {
                let cause = Cause::new(Kind::Unreachable, Fault::Peer).with_text(ENDED_EARLY);
                turns.push(Turn::Failed(Failure::new(Stage::Callee, cause)));
            }
        }
    }

    fn due(&mut self, cx: &mut Cx<'_>, turns: &mut Vec<Turn>) {
        if self.ready.is_due(cx.now) {
            self.begin(cx);
        }
        if self.deadline.take_if(|at| *at <= cx.now).is_none() {
            return;
        }
        match self.wait {
            Wait::Reply | Wait::LookUp => {}
            Wait::Start => {
                let cause = Cause::new(Kind::NoAnswer, Fault::Peer).with_text(NOT_STARTED);
                turns.push(Turn::Failed(Failure::new(Stage::Transfer, cause)));
            }
            Wait::StartSoon => {
                self.begin_call(None, turns);
                self.await_answer(cx);
            }
            Wait::Answer => match &self.new {
                Some(new) => {
                    cx.ask(Matter::NewDialog, Ask::Dialog { callid: new.clone() });
                    self.wait = Wait::LookUp;
                }
                None => turns.push(Turn::Failed(failure::status(Stage::Callee, 408, &NO_ANSWER.into()))),
            },
            Wait::Confirmation => {
                self.accept(turns);
                self.begin_call(None, turns);
                turns.push(Turn::Done);
            }
            Wait::Refusal => {
                self.accept(turns);
                self.begin_call(None, turns);
                if let Some((408, text)) = &self.failed {
                    // The truth has had its time.
                    self.reported.get_or_insert((408, text.clone()));
                }
                self.weigh(cx, turns);
            }
        }
    }

    fn restarted(&mut self, cx: &mut Cx<'_>) {
        match (self.wait, &self.new) {
            (Wait::Answer, Some(new)) => {
                self.doubt = Some(Doubt::Restarted);
                cx.ask(Matter::NewDialog, Ask::Dialog { callid: new.clone() });
            }
            (Wait::Reply | Wait::Start, _) => {
                self.doubt = Some(Doubt::Restarted);
                cx.ask(Matter::Dialog, Ask::Dialog { callid: self.callid.clone() });
            }
            (Wait::Answer | Wait::StartSoon | Wait::Confirmation | Wait::Refusal | Wait::LookUp, _) => {}
        }
    }

    fn await_answer(&mut self, cx: &Cx<'_>) {
        if matches!(self.wait, Wait::Reply | Wait::Start | Wait::StartSoon) {
            self.wait = Wait::Answer;
            self.deadline = Some(cx.now + cx.config.ring_timeout);
        }
    }

    fn accept(&mut self, turns: &mut Vec<Turn>) {
        if !std::mem::replace(&mut self.accepted, true) {
            turns.push(Turn::Accepted);
        }
    }

    fn learn(&mut self, cx: &mut Cx<'_>, sign: &TransferSign) {
        if self.new.is_none()
            && let Some(new) = &sign.new
        {
            self.new = Some(new.clone());
            cx.steps.push(Step::Follow(new.clone()));
        }
    }

    fn begin_call(&mut self, to: Option<CompactString>, turns: &mut Vec<Turn>) {
        let Some(new) = &self.new else { return };
        if !std::mem::replace(&mut self.begun, true) {
            turns.push(Turn::Started { wire_id: new.clone(), to });
            let early = std::mem::take(&mut self.early);
            turns.extend(early.into_iter().map(|(status, text)| Turn::Progress { status, text }));
        }
    }
}

const DIALOG_NOT_FOUND: &str = "Dialog not found";
const NOT_STARTED: &str = "transfer not started";
const NO_ANSWER: &str = "Request Timeout";
const ENDED_EARLY: &str = "the new call ended before it was answered";
pub(crate) const RESTARTED: &str = "OpenSIPS has restarted and knows nothing of the call";
const PENDING_TEXT: &str = "Request Pending: OpenSIPS transfers a call only once, and this one is being or has been transferred; it can still be ended";
