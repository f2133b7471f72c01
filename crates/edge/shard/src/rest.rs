//! The native REST of the switch: the desk of the dialect, and what it asks of the switch.
//!
//! ```text
//!   Input::Rest ──▶ Desk ──▶ Switchboard, registrar, directory ──▶ Output::Store ──▶ Output::Rest
//!                     │ ▲
//!                     ▼ └── outcomes, events, MediaReport::Audio
//!              Output::Command
//! ```

use std::cmp::Reverse;

use compact_str::CompactString;
use hookswitch_b2bua::{B2bua, aor};
use hookswitch_call::directory::Directory;
use hookswitch_call::switchboard::Switchboard;
use hookswitch_call::{Address, CallAudio, CallId, Command, MediaOp, Refused, Ticket, Time};
use hookswitch_dialect::journal::record::Records;
use hookswitch_dialect::rest::{
    Binding, CallView, DeskOutput, Health, LegView, Node, NodeLoad, Request, RequestId, SWITCH, Switch, Totals, Trunk,
};
use hookswitch_nodes::{NodeStatus, Nodes, Standing};

use crate::details::submit;
use crate::inquiry::host_of;
use crate::{Change, HttpId, Output, Shard};

impl Shard {
    /// What has become of the commands of the native REST, and how many run.
    #[must_use]
    pub fn rest_totals(&self) -> (&Totals, usize) {
        (self.rest.totals(), self.rest.counts().0)
    }

    pub(crate) fn rest(&mut self, now: Time, id: HttpId, request: &Request) {
        let mut inspect = Vec::new();
        let mut behind = Behind {
            now,
            b2bua: &mut self.b2bua,
            board: &mut self.board,
            records: &mut self.records,
            nodes: &self.nodes,
            inspect: &mut inspect,
        };
        self.rest.handle(now, RequestId(id.0), request, &mut behind);
        if self.board.stopping() {
            // What controllers drive comes to its end as calls do.
            self.dialogs.drain();
            self.channels.drain();
        }
        for call in inspect {
            self.perform_media(now, MediaOp::Inspect { call });
        }
        // What the request changed goes out before its answer, which waits until that is stored.
        self.store_changes(now);
        self.drain_desk();
    }

    /// What is known of a call's audio, for whoever asked for it.
    pub(crate) fn rest_inspected(&mut self, now: Time, call: CallId, audio: Option<&CallAudio>) {
        let mut inspect = Vec::new();
        let behind = Behind {
            now,
            b2bua: &mut self.b2bua,
            board: &mut self.board,
            records: &mut self.records,
            nodes: &self.nodes,
            inspect: &mut inspect,
        };
        self.rest.inspected(call, audio, &behind);
        self.drain_desk();
    }

    pub(crate) fn drain_desk(&mut self) {
        while let Some(output) = self.rest.poll_output() {
            self.out.push_back(match output {
                DeskOutput::Remember(key) => Output::Store(Change::KeyPut(key)),
                DeskOutput::Forget(name) => Output::Store(Change::KeyRemoved(name)),
                DeskOutput::Answer { id, response } => Output::Rest { id: HttpId(id.0), response },
                DeskOutput::Webhook { at, call, webhook } => Output::Webhook { at, call, webhook },
                DeskOutput::Ended(end) => Output::Command(end),
            });
        }
    }

    /// Whether new calls are refused.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.board.draining()
    }

    /// Whether new media channels of controllers are refused.
    #[must_use]
    pub const fn channels_draining(&self) -> bool {
        self.channels.draining()
    }
}

/// The switch, as the desk sees it.
struct Behind<'a> {
    now: Time,
    b2bua: &'a mut B2bua,
    board: &'a mut Switchboard,
    records: &'a mut Records,
    nodes: &'a Nodes,
    inspect: &'a mut Vec<CallId>,
}

impl Switch for Behind<'_> {
    fn carrier(&self) -> &'static str {
        SWITCH
    }

    fn submit(&mut self, command: Command) -> Result<Ticket, Refused> {
        submit(self.board, self.records, self.now, command)
    }

    fn made_by(&self, ticket: Ticket) -> Option<CallId> {
        self.board.made_by(ticket)
    }

    fn call(&self, call: CallId) -> Option<CallView<'_>> {
        self.board.call(call).map(CallView::of)
    }

    fn legs(&self, call: CallId) -> Vec<LegView<'_>> {
        self.board.call(call).into_iter().flat_map(|call| &call.legs).map(LegView::of).collect()
    }

    fn calls(&self) -> Vec<CallId> {
        let mut calls: Vec<CallId> = self.board.calls().map(|call| call.id).collect();
        calls.sort_unstable_by_key(|call| Reverse(*call));
        calls
    }

    fn domain_of(&self, address: &Address) -> Option<CompactString> {
        domain_of(self.b2bua, address)
    }

    fn inspect(&mut self, call: CallId) {
        self.inspect.push(call);
    }

    fn directory(&self) -> &Directory {
        self.b2bua.directory()
    }

    fn directory_mut(&mut self) -> &mut Directory {
        self.b2bua.directory_mut()
    }

    fn registered_domains(&self) -> Vec<CompactString> {
        self.b2bua.registrar().domains().map(Into::into).collect()
    }

    fn bindings(&self, domain: &str) -> Vec<Binding> {
        let registrar = self.b2bua.registrar();
        let users = registrar.users_of(self.now, domain);
        users.flat_map(|(user, its)| its.map(move |binding| document(user, domain, binding))).collect()
    }

    fn unregister(&mut self, domain: &str, user: &str) -> usize {
        self.b2bua.registrar_mut().remove_aor(&aor(user, domain))
    }

    fn trunks(&self) -> Vec<Trunk> {
        let all = self.b2bua.trunk_status(self.now).into_iter();
        // Numbers and text always can be written.
        all.map(|trunk| Trunk { document: serde_json::to_value(&trunk).unwrap_or_default(), name: trunk.name })
            .collect()
    }

    fn nodes(&self) -> Vec<Node> {
        self.nodes.status().into_iter().map(node).collect()
    }

    fn drain(&mut self) {
        self.board.drain();
        self.b2bua.set_draining(true);
        self.b2bua.leave_trunks(self.now);
    }

    fn health(&self) -> Health {
        Health {
            calls: self.board.live(),
            registrations: self.b2bua.registrar().count().bindings,
            draining: self.board.draining(),
        }
    }
}

/// The domain that an address is of, ours or not.
pub(crate) fn domain_of(b2bua: &B2bua, address: &Address) -> Option<CompactString> {
    match b2bua.user_of(address) {
        Some((_, domain)) => Some(domain.into()),
        None => host_of(&address.0).filter(|_| !address.0.starts_with("tel:")).map(|host| host.to_lowercase().into()),
    }
}

fn node(status: NodeStatus) -> Node {
    let NodeStatus { kind, url, standing: Standing { state, since, carries, load } } = status;
    let load = load.map(|load| NodeLoad {
        active: load.active,
        available: load.available,
        processor: load.cpu,
        late_ticks: load.late_ticks,
    });
    Node { kind: kind.name(), url, state: state.name(), since, carries, load }
}

fn document(user: &str, domain: &str, binding: &hookswitch_sip::registrar::Binding) -> Binding {
    Binding {
        id: binding.id.0,
        user: user.into(),
        domain: domain.into(),
        contact: binding.contact.to_string(),
        source: binding.source.to_string(),
        agent: binding.user_agent.as_deref().map(Into::into),
        registered: binding.registered_at,
        refreshed: binding.refreshed_at,
        expires: binding.expires_at,
        stale: binding.life.stale_since,
    }
}
