//! `CallStart`: calls the caller; when it answers, calls the callee and joins the two.
//!
//! The names of its events are older than this switch: they tell of a caller that is transferred
//! to the callee, and so they are said when the switch does what has the same effect. Facts may
//! come in any order, what is said comes in one:
//!
//! ```text
//! CallerAnswered ── Transferring ── TransferStart ── TransferPending* ── CalleeAnswered ── Ended
//!      │                 │                └────────────────┴── Error "transfer failed …" ── Ended
//!      └─ (before) Error "failed to establish initial call: …" ── Ended
//! ```
//!
//! With `notify_end` the command lasts as long as its call: `CalleeAnswered`, and when the call is
//! over `CallEnded` and `Ended`.

use std::time::Duration;

use compact_str::{CompactString, format_compact};
use hookswitch_call as call;
use hookswitch_call::{CallId, Cause, Command, Event, Failure, Fault, Kind as CauseKind, Party, Refused, Told};

use super::call_id::is_call_id;
use super::command::{CommandRow, Modes};
use super::event_name::EventName;
use super::mode::Mode;
use super::notice::{BAD_ADDRESS, Data, Member, NO_ROOM, Notice, Reason, Stage, cause_status, status};
use super::params::{Kind, Param, Params};
use super::task::{After, Answer, Begun, Calls, Task};

pub(super) const ROW: CommandRow = CommandRow {
    name: "CallStart",
    about: "calls the caller and connects it with the callee",
    modes: Modes::Both,
    params: &[
        Param { name: "caller", kind: Kind::Uri, about: "the party that is called first" },
        Param { name: "callee", kind: Kind::Uri, about: "the party it is connected with" },
    ],
    optional: &[Param {
        name: "notify_end",
        kind: Kind::Flag,
        about: "whether the command lasts as long as its call and says CallEnded at its end",
    }],
    open: false,
    events: &[
        EventName::CallerAnswered,
        EventName::Transferring,
        EventName::TransferStart,
        EventName::TransferPending,
        EventName::CalleeAnswered,
        EventName::CallEnded,
    ],
    frees: false,
    begin,
};

fn begin(params: Params, cmd_id: &str) -> Begun {
    Begun::Ask(Box::new(CallStart::new(&params, cmd_id)))
}

/// A call in the making.
#[derive(Debug)]
struct CallStart {
    caller: CompactString,
    callee: CompactString,
    cmd_id: CompactString,
    /// The Call-ID asked for: the `cmd_id`, where that can be one and is free.
    wire_id: Option<CompactString>,
    facts: Facts,
    /// How far the client has been told.
    said: Said,
    /// The Call-ID given in `TransferStart`; it stays the name of the call whichever leg answers.
    callid: Option<CompactString>,
    /// Whether the command lasts as long as its call.
    notify_end: bool,
    /// The call, if so.
    watched: Option<CallId>,
    /// The call is made: only its end is to be told.
    stands: bool,
}

/// What is known of the call.
#[derive(Debug, Default)]
struct Facts {
    caller_answered: bool,
    connecting: bool,
    callee_called: bool,
    callee_answered: bool,
    /// The Call-ID of each leg, and the call that it belongs to: a carrier beyond us makes two.
    caller_leg: Option<(CompactString, CallId)>,
    callee_leg: Option<(CompactString, CallId)>,
    /// A status of the callee that the client must still be told.
    pending: Option<CompactString>,
    /// The call is over, why, and for how long the parties talked.
    ended: Option<(CompactString, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Nothing,
    CallerAnswered,
    Transferring,
    TransferStart,
    CalleeAnswered,
}

impl CallStart {
    fn new(params: &Params, cmd_id: &str) -> Self {
        Self {
            caller: params.get("caller"),
            callee: params.get("callee"),
            cmd_id: cmd_id.into(),
            wire_id: is_call_id(cmd_id).then(|| cmd_id.into()),
            facts: Facts::default(),
            said: Said::Nothing,
            callid: None,
            notify_end: params.flag("notify_end"),
            watched: None,
            stands: false,
        }
    }

    /// Says all that has become true and whose predecessors have been said.
    fn catch_up(&mut self, say: &mut Vec<Notice>) {
        let facts = &self.facts;
        let transferring = facts.connecting || facts.callee_called || facts.callee_answered;
        let steps = [
            (Said::CallerAnswered, facts.caller_answered),
            (Said::Transferring, transferring),
            (Said::TransferStart, facts.callee_called || facts.callee_answered),
        ];
        for (step, is_true) in steps {
            if !is_true {
                return;
            }
            if self.said < step {
                self.said = step;
                say.push(self.step_notice(step));
            }
        }
        if let Some(extra) = self.facts.pending.take()
            && self.said < Said::CalleeAnswered
        {
            say.push(self.pending_notice(&extra));
        }
        if self.facts.callee_answered && self.said < Said::CalleeAnswered {
            self.said = Said::CalleeAnswered;
            say.push(self.step_notice(Said::CalleeAnswered));
        }
    }

    fn step_notice(&mut self, step: Said) -> Notice {
        let (caller, callee) = (self.caller.clone(), self.callee.clone());
        let parties = [("callee", callee.as_str()), ("caller", caller.as_str())];
        match step {
            Said::Nothing | Said::CallerAnswered => Notice::with(EventName::CallerAnswered, Data::of(parties)),
            Said::Transferring => {
                let data = Data::of([("caller", &caller), ("destination", &callee)]);
                Notice::with(EventName::Transferring, data)
            }
            Said::TransferStart | Said::CalleeAnswered => {
                let event =
                    if step == Said::TransferStart { EventName::TransferStart } else { EventName::CalleeAnswered };
                let callid = self.callid();
                let data = Data::of([parties[0], parties[1], ("callid", callid.as_str())]);
                Notice::with(event, data)
            }
        }
    }

    fn pending_notice(&mut self, extra: &str) -> Notice {
        let callid = self.callid();
        let data = Data::of([
            ("callee", self.callee.as_str()),
            ("caller", self.caller.as_str()),
            ("callid", callid.as_str()),
            ("extra", extra),
        ]);
        Notice::with(EventName::TransferPending, data)
    }

    /// The name of the call from now on: the callee's leg; the caller's if the callee has none
    /// (a service of the switch); our own name for it as long as neither is known.
    fn callid(&mut self) -> CompactString {
        let facts = &self.facts;
        let legs = [&facts.callee_leg, &facts.caller_leg].map(|leg| leg.as_ref().map(|(wire_id, _)| wire_id));
        let known = legs.into_iter().chain([self.wire_id.as_ref()]).flatten().next().unwrap_or(&self.cmd_id);
        self.callid.get_or_insert_with(|| known.clone()).clone()
    }

    fn say_ended(&mut self, say: &mut Vec<Notice>) {
        let Some((cause, talked)) = self.facts.ended.take() else {
            return;
        };
        let data = Data::members([
            ("callee", Member::Text(self.callee.clone())),
            ("caller", Member::Text(self.caller.clone())),
            ("callid", Member::Text(self.callid())),
            ("cause", Member::Text(cause)),
            ("talked", Member::Number(talked)),
        ]);
        say.push(Notice::with(EventName::CallEnded, data));
    }

    fn failed(&mut self, mode: Mode, failure: &Failure, say: &mut Vec<Notice>) {
        let said_by_us = matches!(failure.cause.fault, Fault::Controller | Fault::Server | Fault::Nobody);
        let is_bad_address = failure.cause.kind == CauseKind::BadAddress && said_by_us && failure.upstream.is_none();
        match failure.stage {
            call::Stage::Request | call::Stage::Caller if is_bad_address => {
                say.push(Notice::error(BAD_ADDRESS, Reason::of(failure)));
                return;
            }
            call::Stage::Callee if mode == Mode::Original && failure.upstream.is_none() => {
                self.facts.callee_called = true;
                self.facts.pending = Some(cause_status(&failure.cause));
                self.catch_up(say);
            }
            call::Stage::Request => {
                let data = initial_call_failed(&cause_status(&failure.cause));
                say.push(Notice::error(data, Reason::of(failure)));
                return;
            }
            call::Stage::Caller
            | call::Stage::Callee
            | call::Stage::Transfer
            | call::Stage::Hold
            | call::Stage::Unhold
            | call::Stage::End
            | call::Stage::Audio
            | call::Stage::Backend => {}
        }
        say.push(Notice::failed(failure));
    }
}

fn initial_call_failed(status: &str) -> CompactString {
    format_compact!("failed to establish initial call: {status}")
}

impl Task for CallStart {
    fn ask(&mut self, _calls: &dyn Calls) -> Result<Command, Notice> {
        Ok(Command::Start {
            caller: call::Address(self.caller.clone()),
            callee: call::Address(self.callee.clone()),
            wire_id: self.wire_id.clone(),
        })
    }

    fn refused(&mut self, why: &Refused) -> Answer {
        match why {
            // Somebody else's call has that name, so ours gets one of the switch's making.
            Refused::WireIdInUse(_) if self.wire_id.take().is_some() => Answer::Again,
            Refused::AddressTooLong | Refused::CarrierDown(_) | Refused::Unsupported(_) | Refused::Impossible(_) => {
                Answer::Fail(Notice::refused(why, Stage::Request, BAD_ADDRESS))
            }
            Refused::WireIdInUse(_)
            | Refused::NoSuchCall
            | Refused::Ending
            | Refused::Pending(_)
            | Refused::NotAnswered
            | Refused::TooManyCalls(_)
            | Refused::TooManyCommands(_)
            | Refused::Draining => {
                let reason = Reason::new(Stage::Request, 503, Fault::Server, &why.to_string());
                Answer::Fail(Notice::error(initial_call_failed(NO_ROOM), reason))
            }
        }
    }

    fn told(&mut self, _mode: Mode, told: &Told, say: &mut Vec<Notice>) {
        let facts = &mut self.facts;
        if let Event::Dialing { party: Party::Callee, .. } | Event::Answered { party: Party::Callee, .. } = &told.event
            && self.notify_end
        {
            self.watched.get_or_insert(told.call);
        }
        match &told.event {
            Event::Dialing { party: Party::Caller, wire_id, .. } => {
                facts.caller_leg.get_or_insert_with(|| (wire_id.clone(), told.call));
            }
            Event::Dialing { party: Party::Callee, wire_id, .. } => {
                facts.callee_leg.get_or_insert_with(|| (wire_id.clone(), told.call));
                facts.callee_called = true;
            }
            Event::Connecting { .. } => facts.connecting = true,
            Event::Progress { party: Party::Callee, status: code, text, .. } => {
                facts.callee_called = true;
                facts.pending = Some(status(*code, text));
            }
            Event::Answered { party: Party::Caller, .. } => facts.caller_answered = true,
            Event::Answered { party: Party::Callee, .. } => facts.callee_answered = true,
            Event::Progress { party: Party::Caller, .. }
            | Event::Incoming { .. }
            | Event::Bridged
            | Event::Started { .. }
            | Event::Noticed { .. }
            | Event::HoldAccepted { .. }
            | Event::HoldAsked { .. }
            | Event::Held { .. }
            | Event::HeldBy { .. }
            | Event::Diverted { .. }
            | Event::Replaced { .. }
            | Event::InRoom { .. }
            | Event::Audio { .. }
            | Event::TransferFailed { .. }
            | Event::Transferring { .. }
            | Event::TransferStarted { .. }
            | Event::TransferProgress { .. }
            | Event::Transferred
            | Event::LegEnded { .. }
            | Event::Ended { .. } => {}
        }
        self.catch_up(say);
    }

    fn settle(&mut self, mode: Mode, result: &Result<(), Failure>, say: &mut Vec<Notice>) -> After {
        if let Err(failure) = result {
            self.failed(mode, failure, say);
            return After::Over;
        }
        self.facts.caller_answered = true;
        self.facts.callee_answered = true;
        self.catch_up(say);
        if self.watched.is_some() && self.facts.ended.is_none() {
            self.stands = true;
            return After::Watch;
        }
        self.say_ended(say);
        After::Over
    }

    fn watches(&self) -> Option<CallId> {
        self.watched
    }

    fn call_ended(&mut self, cause: &Cause, talked: Duration, say: &mut Vec<Notice>) {
        let talked = u64::try_from(talked.as_millis()).unwrap_or(u64::MAX);
        self.facts.ended = Some((status(cause.code, &cause.text), talked));
        // Until then the call is in the making for the client, and the rest of that comes first.
        if self.stands {
            self.say_ended(say);
        }
    }

    fn makes_call(&self) -> bool {
        true
    }

    fn call_name(&self) -> Option<(&str, CallId)> {
        // Only what the carrier itself called a leg: a name made up by a client might be the
        // Call-ID of somebody else's call.
        let legs = [&self.facts.callee_leg, &self.facts.caller_leg];
        let name = self.callid.as_ref()?;
        let (wire_id, call) = legs.into_iter().flatten().find(|(wire_id, _)| wire_id == name)?;
        Some((wire_id, *call))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookswitch_call::LegId;

    fn tell(start: &mut CallStart, event: Event) -> Vec<&'static str> {
        let told = Told { at: Duration::ZERO, seq: 0, call: CallId(1), owner: None, event };
        let mut say = Vec::new();
        start.told(Mode::Original, &told, &mut say);
        names(&say)
    }

    fn names(say: &[Notice]) -> Vec<&'static str> {
        say.iter().map(|notice| notice.event.name()).collect()
    }

    fn answered(party: Party) -> Event {
        Event::Answered { leg: LegId(0), party }
    }

    #[test]
    fn facts_that_come_early_wait_for_their_place() {
        let mut start = CallStart::new(&Params::default(), "x");
        assert!(tell(&mut start, answered(Party::Callee)).is_empty());
        assert_eq!(
            tell(&mut start, answered(Party::Caller)),
            ["CallerAnswered", "Transferring", "TransferStart", "CalleeAnswered"]
        );
        assert!(tell(&mut start, answered(Party::Caller)).is_empty());
    }

    #[test]
    fn a_failure_before_the_caller_answered_says_nothing_of_a_transfer() {
        let mut start = CallStart::new(&Params::default(), "x");
        let failure = Failure::new(call::Stage::Callee, Cause::from_status(486, ""));
        let mut say = Vec::new();
        start.settle(Mode::Original, &Err(failure), &mut say);
        assert_eq!(names(&say), ["Error"]);
    }

    #[test]
    fn only_a_cmd_id_that_can_be_a_call_id_becomes_one() {
        let wire_id = |cmd_id: &str| CallStart::new(&Params::default(), cmd_id).wire_id;
        assert_eq!(wire_id("order-4711").as_deref(), Some("order-4711"));
        assert_eq!(wire_id("order 4711"), None);
    }
}
