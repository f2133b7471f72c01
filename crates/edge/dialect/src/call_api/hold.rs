//! What `CallHold` and `CallUnhold` have in common. Facts may come in any order, what is said
//! comes in one, for each party that takes part:
//!
//! ```text
//! CallHolding ── CallHoldStart{leg} ── CallHoldSuccessful{leg} ── (the other party) ── Ended
//!      │                 └── Error "hold failed on leg …", once both have answered ── Ended
//!      └── Error "480 Both dialog legs are on hold" ── Ended
//! ```

use compact_str::CompactString;
use hookswitch_call::{Command, Event, Failure, Notes, Party, Refused, Told};

use super::event_name::EventName;
use super::mode::Mode;
use super::notice::{Data, Notice, Stage, party_name};
use super::params::Params;
use super::task::{After, Answer, Calls, Task};

/// Parties on their way to hold, or off it.
#[derive(Debug)]
pub(super) struct Hold {
    callid: CompactString,
    /// To hold, or off.
    hold: bool,
    /// Who is asked; none means both.
    party: Option<Party>,
    notes: Notes,
    accepted: bool,
    caller: Step,
    callee: Step,
}

/// How far the client has been told of a party.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Step {
    Nothing,
    Asked,
    Done,
}

impl Hold {
    pub(super) fn new(hold: bool, params: &Params) -> Self {
        Self {
            callid: params.get("callid"),
            hold,
            party: params.party("leg"),
            notes: params.notes("headers"),
            accepted: false,
            caller: Step::Nothing,
            callee: Step::Nothing,
        }
    }

    fn accept(&mut self, say: &mut Vec<Notice>) {
        if !self.accepted {
            self.accepted = true;
            say.push(Notice::new(self.name(EventName::CallHolding, EventName::CallUnholding)));
        }
    }

    /// Says what must be said before and up to this step of a party.
    fn advance(&mut self, party: Party, to: Step, say: &mut Vec<Notice>) {
        self.accept(say);
        let asked = self.name(EventName::CallHoldStart, EventName::CallUnholdStart);
        let done = self.name(EventName::CallHoldSuccessful, EventName::CallUnholdSuccessful);
        let at = match party {
            Party::Caller => &mut self.caller,
            Party::Callee => &mut self.callee,
        };
        for (step, event) in [(Step::Asked, asked), (Step::Done, done)] {
            if *at < step && step <= to {
                *at = step;
                say.push(Notice::with(event, Data::of([("leg", party_name(party))])));
            }
        }
    }

    const fn name(&self, on: EventName, off: EventName) -> EventName {
        if self.hold { on } else { off }
    }
}

impl Task for Hold {
    fn ask(&mut self, calls: &dyn Calls) -> Result<Command, Notice> {
        let call = calls.find(&self.callid);
        let (party, notes) = (self.party, std::mem::take(&mut self.notes));
        Ok(if self.hold { Command::Hold { call, party, notes } } else { Command::Unhold { call, party, notes } })
    }

    fn refused(&mut self, why: &Refused) -> Answer {
        let stage = if self.hold { Stage::Hold } else { Stage::Unhold };
        Answer::Fail(Notice::refused(why, stage, "404 Dialog not found"))
    }

    fn told(&mut self, _mode: Mode, told: &Told, say: &mut Vec<Notice>) {
        match told.event {
            Event::HoldAccepted { hold } if hold == self.hold => self.accept(say),
            Event::HoldAsked { party, hold } if hold == self.hold => self.advance(party, Step::Asked, say),
            Event::Held { party, hold } if hold == self.hold => self.advance(party, Step::Done, say),
            // Of the opposite command, or of something that a hold does not cause.
            Event::HoldAccepted { .. }
            | Event::HoldAsked { .. }
            | Event::Held { .. }
            | Event::HeldBy { .. }
            | Event::Diverted { .. }
            | Event::Replaced { .. }
            | Event::InRoom { .. }
            | Event::Audio { .. }
            | Event::TransferFailed { .. }
            | Event::Incoming { .. }
            | Event::Connecting { .. }
            | Event::Dialing { .. }
            | Event::Progress { .. }
            | Event::Answered { .. }
            | Event::Bridged
            | Event::Started { .. }
            | Event::Noticed { .. }
            | Event::Transferring { .. }
            | Event::TransferStarted { .. }
            | Event::TransferProgress { .. }
            | Event::Transferred
            | Event::LegEnded { .. }
            | Event::Ended { .. } => {}
        }
    }

    fn settle(&mut self, _mode: Mode, result: &Result<(), Failure>, say: &mut Vec<Notice>) -> After {
        match result {
            Ok(()) => {
                self.accept(say);
                for (party, step) in [(Party::Caller, self.caller), (Party::Callee, self.callee)] {
                    if step == Step::Asked {
                        self.advance(party, Step::Done, say);
                    }
                }
            }
            Err(failure) => say.push(Notice::failed(failure)),
        }
        After::Over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookswitch_call::CallId;
    use std::time::Duration;

    fn tell(hold: &mut Hold, event: Event) -> Vec<&'static str> {
        let told = Told { at: Duration::ZERO, seq: 0, call: CallId(1), owner: None, event };
        let mut say = Vec::new();
        hold.told(Mode::Original, &told, &mut say);
        say.iter().map(|notice| notice.event.name()).collect()
    }

    #[test]
    fn the_missing_steps_come_first_and_none_comes_twice() {
        let mut hold = Hold::new(true, &Params::default());
        let held = || Event::Held { party: Party::Callee, hold: true };
        assert_eq!(tell(&mut hold, held()), ["CallHolding", "CallHoldStart", "CallHoldSuccessful"]);
        assert!(tell(&mut hold, held()).is_empty());
        assert!(tell(&mut hold, Event::HoldAccepted { hold: true }).is_empty());
        assert_eq!(tell(&mut hold, Event::HoldAsked { party: Party::Caller, hold: true }), ["CallHoldStart"]);
        let mut say = Vec::new();
        assert_eq!(hold.settle(Mode::Original, &Ok(()), &mut say), After::Over);
        assert_eq!(say[0].event, EventName::CallHoldSuccessful);
        assert_eq!(say.len(), 1);
    }

    #[test]
    fn the_opposite_command_is_somebody_elses() {
        let mut unhold = Hold::new(false, &Params::default());
        assert!(tell(&mut unhold, Event::Held { party: Party::Callee, hold: true }).is_empty());
        assert_eq!(tell(&mut unhold, Event::HoldAccepted { hold: false }), ["CallUnholding"]);
    }
}
