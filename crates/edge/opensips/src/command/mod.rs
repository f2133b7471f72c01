//! Commands that run. Each is one machine of plain data; it hears [`News`] and takes [`Step`]s, and the one step that
//! ends it is [`Step::Finish`].

pub(crate) mod end;
pub(crate) mod failure;
pub(crate) mod hold;
pub(crate) mod ready;
pub(crate) mod referral;
pub(crate) mod start;
pub(crate) mod transfer;

use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::{Event, Failure, Time};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::evi::{DialogSign, HoldSign, TransferSign};
use crate::mi::Matter;
use crate::mi::reply::Answer;
use crate::mi::request::Ask;

pub(crate) use end::End;
pub(crate) use hold::Hold;
pub(crate) use start::Start;
pub(crate) use transfer::Transfer;

/// How long what is known by one way may take to come by the other way too, before it counts.
pub(crate) const CONFIRM_AFTER: Duration = Duration::from_secs(1);

/// What a command hears.
#[derive(Clone, Copy, Debug)]
pub(crate) enum News<'a> {
    /// OpenSIPS is there: begin.
    Begin,
    /// What became of a request.
    Answer(Matter, &'a Answer),
    /// About a transfer of the command's call.
    Transfer(&'a TransferSign),
    /// About a hold of the command's call.
    Hold(&'a HoldSign),
    /// About a dialog that concerns the command.
    Dialog(&'a DialogSign),
    /// The command's deadline has passed.
    Due,
    /// OpenSIPS has forgotten our subscriptions, and perhaps more.
    Restarted,
    /// It cannot go on: the command ends with this. Leftovers do not hear it.
    Abandon(&'a Failure),
    /// OpenSIPS does not answer: a leftover waits for it.
    Park,
    /// A controller ends what the command makes.
    GiveUp,
}

/// What a command does.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Step {
    /// Asks OpenSIPS.
    Ask(Matter, Ask),
    /// Waits no longer for this answer.
    Drop(Matter),
    /// Tells what has happened in its call.
    Tell(Event),
    /// Tells what has happened in the second call that it makes.
    TellSecond(Event),
    /// Wants to hear about this dialog too.
    Follow(CompactString),
    /// Makes this call too, and wants to hear about its dialog.
    Second(CompactString),
    /// Leaves this dialog to be ended, whatever that takes.
    Close {
        callid: CompactString,
        /// It may still be ringing.
        cancel: bool,
    },
    /// Misses events that should have come.
    Doubt,
    /// This dialog is one of ours and is known to OpenSIPS's dialog module.
    Learned,
    /// Ends.
    Finish(Result<(), Failure>),
}

/// Where a command stands.
pub(crate) struct Cx<'a> {
    pub(crate) now: Time,
    pub(crate) config: &'a Config,
    /// Whether OpenSIPS is known to make dialogs of the calls we start.
    pub(crate) knows_dialogs: bool,
    /// Nothing came of what was heard: it was too late.
    pub(crate) late: bool,
    pub(crate) steps: Vec<Step>,
}

impl Cx<'_> {
    pub(crate) fn ask(&mut self, matter: Matter, ask: Ask) {
        self.steps.push(Step::Ask(matter, ask));
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.steps.push(Step::Tell(event));
    }

    pub(crate) fn tell_second(&mut self, event: Event) {
        self.steps.push(Step::TellSecond(event));
    }

    pub(crate) fn close(&mut self, callid: &CompactString, cancel: bool) {
        self.steps.push(Step::Close { callid: callid.clone(), cancel });
    }

    pub(crate) fn finish(&mut self, result: Result<(), Failure>) {
        self.steps.push(Step::Finish(result));
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        self.finish(Err(failure));
    }
}

/// One command that runs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub(crate) enum Machine {
    Start(Start),
    End(End),
    Hold(Hold),
    Transfer(Transfer),
}

impl Machine {
    pub(crate) fn hear(&mut self, cx: &mut Cx<'_>, news: News<'_>) {
        match self {
            Self::Start(start) => start.hear(cx, news),
            Self::End(end) => end.hear(cx, news),
            Self::Hold(hold) => hold.hear(cx, news),
            Self::Transfer(transfer) => transfer.hear(cx, news),
        }
    }

    /// When it wants to hear [`News::Due`].
    pub(crate) fn deadline(&self) -> Option<Time> {
        match self {
            Self::Start(start) => start.deadline(),
            Self::End(end) => end.deadline(),
            Self::Hold(hold) => hold.deadline(),
            Self::Transfer(transfer) => transfer.deadline(),
        }
    }

    /// Whether signs of the transfer of this call are its own.
    pub(crate) fn transfers(&self, callid: &str) -> bool {
        match self {
            Self::Start(start) => start.transfers(callid),
            Self::Transfer(transfer) => transfer.transfers(callid),
            Self::End(_) | Self::Hold(_) => false,
        }
    }

    /// Whether it joins the party of another call to that call's.
    pub(crate) fn joins(&self, callid: &str) -> bool {
        matches!(self, Self::Transfer(transfer) if transfer.joins(callid))
    }

    /// Whether it makes the calls it deals with.
    pub(crate) const fn makes_calls(&self) -> bool {
        matches!(self, Self::Start(_))
    }

    /// Whether its success is the end of its call.
    pub(crate) const fn ends_its_call(&self) -> bool {
        matches!(self, Self::Start(_) | Self::End(_) | Self::Transfer(_))
    }

    /// The Call-ID of the call that a transferred party made.
    pub(crate) fn new_call(&self) -> Option<&CompactString> {
        match self {
            Self::Start(start) => start.new_call(),
            Self::Transfer(transfer) => transfer.new_call(),
            Self::End(_) | Self::Hold(_) => None,
        }
    }

    /// Whether signs of a hold of this call are its own.
    pub(crate) fn holds(&self, callid: &str, on: Option<bool>) -> bool {
        matches!(self, Self::Hold(hold) if hold.holds(callid, on))
    }
}
