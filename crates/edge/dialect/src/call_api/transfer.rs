//! What `CallBlindTransfer` and `CallAttendedTransfer` have in common. Facts may come in any order,
//! what is said comes in one:
//!
//! ```text
//! Transferring ── TransferStart ── TransferPending* ── TransferSuccessful ── Ended
//!      │                └────────────────┴── Error "transfer failed with status …" ── Ended
//!      └── Error "transfer not started" ── Ended
//! ```

use std::collections::VecDeque;

use compact_str::CompactString;
use hookswitch_call::{self as call, Command, Event, Failure, Refused, Told};

use super::event_name::EventName;
use super::mode::Mode;
use super::notice::{Data, Member, Notice, Stage, cause_status, status};
use super::task::{After, Answer, Calls, Task};

/// Most reports of progress that wait for the transfer to have begun; the oldest gives way.
const MAX_WAITING: usize = 8;

/// A party on its way to another.
#[derive(Debug)]
pub(super) struct Transfer<A> {
    asked: A,
    /// The destination as the client wrote it.
    wanted: Option<CompactString>,
    /// Whether `Transferring` repeats it.
    shows_wanted: bool,
    said: Said,
    started: bool,
    callid: Option<CompactString>,
    /// The destination as it was looked up.
    found: Option<CompactString>,
    /// Statuses that the client must still be told.
    waiting: VecDeque<CompactString>,
    last: Option<CompactString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Nothing,
    Transferring,
    Start,
    Successful,
}

/// What the two commands ask of the switch.
pub(super) trait Asked: std::fmt::Debug + Send {
    fn command(&self, calls: &dyn Calls) -> Command;
}

impl<A: Asked> Transfer<A> {
    pub(super) fn new(asked: A, wanted: Option<CompactString>, shows_wanted: bool) -> Self {
        Self {
            asked,
            wanted,
            shows_wanted,
            said: Said::Nothing,
            started: false,
            callid: None,
            found: None,
            waiting: VecDeque::new(),
            last: None,
        }
    }

    fn begin(&mut self, say: &mut Vec<Notice>) {
        if self.said == Said::Nothing {
            self.said = Said::Transferring;
            say.push(match self.wanted.as_ref().filter(|_| self.shows_wanted) {
                Some(wanted) => Notice::with(EventName::Transferring, Data::of([("destination", wanted)])),
                None => Notice::new(EventName::Transferring),
            });
        }
    }

    /// Says that the new call has begun, once it has, and everything that waited for it.
    fn start(&mut self, say: &mut Vec<Notice>) {
        self.begin(say);
        if !self.started {
            return;
        }
        if self.said < Said::Start {
            self.said = Said::Start;
            say.push(Notice::with(EventName::TransferStart, self.data(None)));
        }
        while let Some(extra) = self.waiting.pop_front() {
            let data = self.data(Some(extra.clone()));
            self.last = Some(extra);
            if self.said < Said::Successful {
                say.push(Notice::with(EventName::TransferPending, data));
            }
        }
    }

    fn succeed(&mut self, say: &mut Vec<Notice>) {
        self.started = true;
        self.start(say);
        if self.said < Said::Successful {
            self.said = Said::Successful;
            say.push(Notice::with(EventName::TransferSuccessful, self.data(None)));
        }
    }

    fn pending(&mut self, extra: CompactString) {
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(extra);
    }

    fn data(&self, extra: Option<CompactString>) -> Data {
        let destination = self.found.as_ref().or(self.wanted.as_ref()).cloned();
        let members = [("callid", self.callid.clone()), ("destination", destination), ("extra", extra)];
        let given = members.into_iter().filter_map(|(name, text)| text.map(|text| (name, Member::Text(text))));
        Data::members(given)
    }

    fn fail(&mut self, mode: Mode, failure: &Failure, say: &mut Vec<Notice>) {
        let is_callee = failure.stage == call::Stage::Callee && failure.upstream.is_none();
        if is_callee && mode == Mode::Original {
            // What has failed had begun.
            self.started = true;
            self.start(say);
            let status = cause_status(&failure.cause);
            if self.last.as_ref() != Some(&status) {
                self.pending(status);
                self.start(say);
            }
        }
        say.push(Notice::failed(failure));
    }
}

impl<A: Asked> Task for Transfer<A> {
    fn ask(&mut self, calls: &dyn Calls) -> Result<Command, Notice> {
        Ok(self.asked.command(calls))
    }

    fn refused(&mut self, why: &Refused) -> Answer {
        Answer::Fail(Notice::refused(why, Stage::Transfer, "404 Dialog not found"))
    }

    fn told(&mut self, mode: Mode, told: &Told, say: &mut Vec<Notice>) {
        match &told.event {
            Event::Transferring { .. } => self.begin(say),
            Event::TransferStarted { wire_id, to } => {
                self.started = true;
                self.callid.get_or_insert_with(|| wire_id.clone());
                if self.found.is_none() {
                    self.found = to.as_ref().map(|to| to.0.clone());
                }
                self.start(say);
            }
            // To a strict client a final status is a result and no progress.
            Event::TransferProgress { status, .. } if mode == Mode::Strict && *status >= 200 => {}
            Event::TransferProgress { status: code, text } => {
                self.pending(status(*code, text));
                self.start(say);
            }
            // Whom it has reached is known once it is known to have begun: the outcome says the rest.
            Event::Transferred if self.started => self.succeed(say),
            Event::Transferred
            | Event::Incoming { .. }
            | Event::Connecting { .. }
            | Event::Dialing { .. }
            | Event::Progress { .. }
            | Event::Answered { .. }
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
            | Event::LegEnded { .. }
            | Event::Ended { .. } => {}
        }
    }

    fn settle(&mut self, mode: Mode, result: &Result<(), Failure>, say: &mut Vec<Notice>) -> After {
        match result {
            Ok(()) => self.succeed(say),
            Err(failure) => self.fail(mode, failure, say),
        }
        After::Over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookswitch_call::{Address, CallId, CallRef, Cause, Stage as Step};
    use std::time::Duration;

    #[derive(Debug)]
    struct Anything;

    impl Asked for Anything {
        fn command(&self, _calls: &dyn Calls) -> Command {
            Command::End { call: CallRef::Id(CallId(1)), cause: Cause::hangup() }
        }
    }

    fn transfer() -> Transfer<Anything> {
        Transfer::new(Anything, Some("sip:carol@x".into()), true)
    }

    fn names(say: &[Notice]) -> Vec<&'static str> {
        say.iter().map(|notice| notice.event.name()).collect()
    }

    fn tell(transfer: &mut Transfer<Anything>, mode: Mode, event: Event) -> Vec<&'static str> {
        let told = Told { at: Duration::ZERO, seq: 0, call: CallId(1), owner: None, event };
        let mut say = Vec::new();
        transfer.told(mode, &told, &mut say);
        names(&say)
    }

    fn started() -> Event {
        Event::TransferStarted { wire_id: "new".into(), to: Some(Address::from("sip:carol@10.0.0.3")) }
    }

    fn progress(status: u16) -> Event {
        Event::TransferProgress { status, text: "Words".into() }
    }

    fn failed(transfer: &mut Transfer<Anything>, mode: Mode, stage: Step, code: u16) -> Vec<&'static str> {
        let failure = Failure::new(stage, Cause::from_status(code, "Words"));
        let mut say = Vec::new();
        transfer.settle(mode, &Err(failure), &mut say);
        names(&say)
    }

    #[test]
    fn facts_that_come_early_wait_for_their_place() {
        let mut one = transfer();
        assert_eq!(tell(&mut one, Mode::Original, progress(100)), ["Transferring"]);
        assert!(tell(&mut one, Mode::Original, Event::Transferred).is_empty());
        assert!(tell(&mut one, Mode::Original, progress(180)).is_empty());
        let pending = ["TransferStart", "TransferPending", "TransferPending"];
        assert_eq!(tell(&mut one, Mode::Original, started()), pending);
        assert_eq!(tell(&mut one, Mode::Original, Event::Transferred), ["TransferSuccessful"]);
        assert!(tell(&mut one, Mode::Original, progress(200)).is_empty());
    }

    #[test]
    fn what_waits_is_limited() {
        let mut one = transfer();
        for status in 100..200 {
            tell(&mut one, Mode::Original, progress(status));
        }
        let heard = tell(&mut one, Mode::Original, started());
        assert_eq!(heard.len(), 1 + MAX_WAITING);
    }

    #[test]
    fn a_failing_status_is_progress_to_the_original_once() {
        let mut one = transfer();
        tell(&mut one, Mode::Original, started());
        assert_eq!(tell(&mut one, Mode::Original, progress(486)), ["TransferPending"]);
        assert_eq!(failed(&mut one, Mode::Original, Step::Callee, 486), ["Error"]);
        let mut one = transfer();
        let all = ["Transferring", "TransferStart", "TransferPending", "Error"];
        assert_eq!(failed(&mut one, Mode::Original, Step::Callee, 486), all);
        let mut one = transfer();
        tell(&mut one, Mode::Strict, started());
        assert!(tell(&mut one, Mode::Strict, progress(486)).is_empty());
        assert_eq!(failed(&mut one, Mode::Strict, Step::Callee, 486), ["Error"]);
        let mut one = transfer();
        assert_eq!(failed(&mut one, Mode::Original, Step::Transfer, 408), ["Error"]);
    }
}
