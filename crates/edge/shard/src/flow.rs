//! Calls that are led by web servers: what happens in them reaches the machine of flows, and what that wants is submitted.
//!
//! ```text
//!   Switchboard ── StepWanted, events, outcomes ──▶ Flows ── Submit ──▶ Switchboard
//!                                                    │ ▲
//!                                 Output::AskFlow ◀──┘ └── Input::Flow
//! ```

use compact_str::CompactString;
use hookswitch_call::{Address, StepWanted, Time};
use hookswitch_dialect::flow::{FlowOutput, FlowTotals};

use crate::{Output, Shard};

impl Shard {
    /// A call waits for a step of its flow.
    pub(crate) fn step_wanted(&mut self, now: Time, wanted: StepWanted) {
        let parties = self.board.call(wanted.call).map(|call| (call.caller.clone(), call.callee.clone()));
        let nobody = || (Address::from(""), Address::from(""));
        self.flows.wanted(now, wanted, parties.unwrap_or_else(nobody));
    }

    /// Does what a flow wants; whether there was anything.
    pub(crate) fn step_flows(&mut self, now: Time) -> bool {
        let Some(output) = self.flows.poll_output() else { return false };
        match output {
            FlowOutput::Submit(call, command) => {
                let result = self.submit(now, command);
                self.flows.submitted(now, call, result);
            }
            // A call that has gone wants nothing any more.
            FlowOutput::Tell(command) => drop(self.submit(now, command)),
            FlowOutput::Webhook(call, webhook) => {
                let result = self.rest.give_webhook(now, call, &webhook);
                self.drain_desk();
                self.flows.given(now, call, result);
            }
            FlowOutput::Ask(question) => self.out.push_back(Output::AskFlow(question)),
            FlowOutput::News(news) => self.out.push_back(Output::Flow(news)),
        }
        true
    }

    /// What has been counted of each flow, and how many calls are in it now.
    #[must_use]
    pub fn flow_totals(&self) -> Vec<(CompactString, FlowTotals, usize)> {
        self.flows.totals()
    }

    /// How many calls are led by flows, and how many answers are waited for.
    #[must_use]
    pub fn flow_counts(&self) -> (usize, usize) {
        self.flows.counts()
    }
}
