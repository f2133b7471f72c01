//! The native REST of the calls that an OpenSIPS carries: a desk of its own, which has nothing but calls.
//!
//! ```text
//!   FrontInput::Rest ──▶ Desk ──▶ Carrier ──▶ FrontOutput::Rest
//!                          ▲         │
//!                          └─────────┴── outcomes, events
//! ```
//!
//! Users, registrations, trunks and recordings are those of our own switch, and OpenSIPS has its own. So nothing comes here
//! that asks for them, and what is said of them is that there are none. Idempotency keys are kept by the desk of our own
//! switch for both, before a request comes here.

use compact_str::CompactString;
use hookswitch_call::directory::Directory;
use hookswitch_call::{Address, CallId, Command, Refused, Ticket, Time};
use hookswitch_dialect::rest::{
    Binding, CallView, DeskOutput, Health, LegView, Node, OPENSIPS, Request, RequestId, Switch, Totals, Trunk,
};

use super::carrier::Carrier;
use super::{Front, FrontOutput};
use crate::HttpId;
use crate::inquiry::host_of;

impl Front {
    /// What has become of the commands of the native REST, and how many run.
    #[must_use]
    pub fn rest_totals(&self) -> (&Totals, usize) {
        (self.desk.totals(), self.desk.counts().0)
    }

    pub(super) fn rest(&mut self, now: Time, id: HttpId, request: &Request) {
        let (carrier, is_draining) = (&mut self.carrier, &mut self.is_draining);
        let mut behind = Behind { now, carrier, is_draining, inspect: Vec::new(), nobody: Directory::default() };
        self.desk.handle(now, RequestId(id.0), request, &mut behind);
        for call in std::mem::take(&mut behind.inspect) {
            // None of it runs through us.
            self.desk.inspected(call, None, &behind);
        }
    }

    pub(super) fn file(&mut self, output: DeskOutput) {
        self.out.push_back(match output {
            DeskOutput::Answer { id, response } => FrontOutput::Rest { id: HttpId(id.0), response },
            DeskOutput::Webhook { at, call, webhook } => FrontOutput::Webhook { at, call, webhook },
            DeskOutput::Ended(end) => FrontOutput::Command(end),
            // No request has a key here.
            DeskOutput::Remember(_) | DeskOutput::Forget(_) => return,
        });
    }
}

/// What carries the calls, as the desk sees it.
struct Behind<'a> {
    now: Time,
    carrier: &'a mut Carrier,
    is_draining: &'a mut bool,
    inspect: Vec<CallId>,
    nobody: Directory,
}

impl Switch for Behind<'_> {
    fn carrier(&self) -> &'static str {
        OPENSIPS
    }

    fn submit(&mut self, command: Command) -> Result<Ticket, Refused> {
        self.carrier.submit_named(self.now, command)
    }

    fn made_by(&self, ticket: Ticket) -> Option<CallId> {
        self.carrier.calls.made_by(ticket)
    }

    fn call(&self, call: CallId) -> Option<CallView<'_>> {
        self.carrier.view(call)
    }

    fn legs(&self, call: CallId) -> Vec<LegView<'_>> {
        self.carrier.calls.legs(call).collect()
    }

    fn calls(&self) -> Vec<CallId> {
        self.carrier.calls.names().collect()
    }

    fn domain_of(&self, address: &Address) -> Option<CompactString> {
        host_of(&address.0).filter(|_| !address.0.starts_with("tel:")).map(|host| host.to_lowercase().into())
    }

    fn inspect(&mut self, call: CallId) {
        self.inspect.push(call);
    }

    fn directory(&self) -> &Directory {
        &self.nobody
    }

    fn directory_mut(&mut self) -> &mut Directory {
        &mut self.nobody
    }

    fn registered_domains(&self) -> Vec<CompactString> {
        Vec::new()
    }

    fn bindings(&self, _domain: &str) -> Vec<Binding> {
        Vec::new()
    }

    fn unregister(&mut self, _domain: &str, _user: &str) -> usize {
        0
    }

    fn trunks(&self) -> Vec<Trunk> {
        Vec::new()
    }

    fn nodes(&self) -> Vec<Node> {
        Vec::new()
    }

    fn drain(&mut self) {
        *self.is_draining = true;
        self.carrier.opensips.drain();
    }

    fn health(&self) -> Health {
        Health { calls: self.carrier.calls.len(), registrations: 0, draining: *self.is_draining }
    }
}
