//! The backend that is our own switch: legs are SIP dialogs, each with its own Call-ID, tags and
//! session description, and the two sides of a call never see each other's.
//!
//! [`B2bua`] joins the SIP endpoint, the registrar, the digest gate and the directory, and speaks
//! the words of the waist: [`Op`](hookswitch_call::Op) in, [`Report`](hookswitch_call::Report) out.
//! It does not know whether media exists; a session description passes through as text.
//!
//! | file | what |
//! |---|---|
//! | `inbound.rs` | a party calls in: who may, and what the core is told |
//! | `outbound.rs` | a party is called, and what comes back |
//! | `perform.rs` | what the core asks of a leg |
//! | `origin.rs` | the numbers of what a party is told of its session |
//! | `reoffer.rs` | sessions that change after the answer |
//! | `referral.rs`, `refer.rs` | transfers that a phone asks for, and that a phone is asked for |
//! | `replaces.rs` | calls that take over a leg |
//! | `parcel.rs` | keys, signals and text within a call |
//! | `text.rs` | texts outside of a call |
//! | `indialog.rs`, `errand.rs` | other requests inside dialogs: theirs, and ours |
//! | `notes.rs` | what a controller adds to a request |
//! | `manner.rs` | what a controller of single legs wants of one |
//! | `locate.rs`, [`route`] | where an address is: routes, services, users' bindings |
//! | `identity.rs` | who a caller is, and who is told so |
//! | `named.rs` | what waits for the domain name system |
//! | `register.rs` | REGISTER, OPTIONS and everything else outside of a call |
//! | `package/` | subscriptions to events: busy lamps, waiting messages, presence, registrations |
//! | `registrar/` | the watch over bindings, phones with several flows, limits of users, users who are looked up |
//! | `offence.rs` | what counts against those who write to us |
//! | [`toll`] | limits of calls by what they cost |
//! | [`trunk`] | calls through carriers and other switches |
//! | `reload.rs` | the configuration is read again |
//! | `reason.rs` | causes as Reason headers and back (RFC 3326) |

#![forbid(unsafe_code)]

mod errand;
mod identity;
mod inbound;
mod indialog;
mod leg;
mod locate;
mod manner;
mod named;
mod notes;
mod offence;
mod origin;
mod outbound;
mod package;
mod parcel;
mod perform;
mod reason;
mod refer;
mod referral;
mod register;
mod registrar;
mod reload;
mod reoffer;
mod replaces;
pub mod route;
mod text;
pub mod toll;
pub mod trunk;

use std::collections::VecDeque;
use std::net::IpAddr;

use ahash::AHashMap;
use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_call::directory::{Directory, Question};
use hookswitch_call::port::Backend;
use hookswitch_call::{CallId, Codecs, Handle, LegId, Op, Report, Time};
use hookswitch_sip::auth::{Gate, GateConfig};
use hookswitch_sip::registrar::{GruuKey, Registrar, RegistrarConfig};
use hookswitch_sip::resolve::{LookupId, Reach, RecordKind, ResolverConfig};
use hookswitch_sip::subscription::SubscriptionConfig;
use hookswitch_sip::{Dialog, DialogId, Endpoint, EndpointConfig, Event, Flow, Input, Network, Output, RequestId};
use hookswitch_sip_msg::Method;

use errand::Errand;
pub use identity::{MAX_ANSWER_AFTER, MAX_DIVERSIONS, MAX_TONE};
pub use leg::LegRecord;
pub use locate::{Configured, aor, is_built_in, is_conference_name, is_phone};
pub use manner::Manner;
use named::Names;
pub use origin::Origin;
pub use outbound::{MAX_SHUN_TIME, SHUN_TIME};
use package::Packages;
pub use package::{MAX_LISTED, Mailbox, MailboxChange};
pub use parcel::{MAX_PARCEL, MAX_PARCELS};
pub use perform::MAX_SDP;
pub use refer::{Referred, Refers};
pub use referral::Referral;
pub use registrar::drained;
use registrar::{Flows, Lookups, Pings, Users};
pub use reoffer::{Proposal, Reoffer};
use route::Route;
pub use text::MAX_TEXTS;
use text::Texts;
use toll::{TollConfig, Tolls};
use trunk::{Trunk, Trunks};

/// What may be asked of the switch.
const METHODS: [Method; 14] = [
    Method::Invite,
    Method::Ack,
    Method::Cancel,
    Method::Bye,
    Method::Options,
    Method::Register,
    Method::Prack,
    Method::Update,
    Method::Info,
    Method::Message,
    Method::Refer,
    Method::Notify,
    Method::Subscribe,
    Method::Publish,
];

/// What is understood here beyond what the endpoint keeps to by itself: calls that take over a leg (RFC 3891), and
/// transfers of which nobody wants to hear (RFC 4488).
const EXTENSIONS: [&str; 2] = ["replaces", "norefersub"];

/// What a REGISTER may ask for besides: proxies between us and the phone (RFC 3327), flows that are kept (RFC 5626), and
/// addresses of one phone (RFC 5627).
const REGISTRAR_EXTENSIONS: [&str; 3] = ["path", "outbound", "gruu"];

/// Whether a description before the answer is sent reliably (RFC 3262). Parties that we call may send theirs so in any
/// case, and callers that require it get everything reliably.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reliable {
    /// Only to callers that require it.
    #[default]
    Off,
    /// To callers that understand it.
    Offered,
    /// Whoever does not understand it cannot call (421) or be called (420).
    Required,
}

/// What a [`B2bua`] is told at the start.
#[derive(Clone, Debug, Default)]
pub struct B2buaConfig {
    /// The SIP element. Methods, schemes and extensions are set by [`B2bua::new`] to what is handled here.
    pub endpoint: EndpointConfig,
    /// Networks that may call without digest. Empty by default.
    pub trusted: Vec<Network>,
    /// The digest gate.
    pub gate: GateConfig,
    /// The registrar.
    pub registrar: RegistrarConfig,
    /// Most calls of a user at a time who has no limit of its own; 0, the default, sets none.
    pub max_calls_per_user: u32,
    /// Routes; the first that matches wins, before the users' bindings.
    pub routes: Vec<Route>,
    /// Codec preferences of domains that have their own.
    pub codecs: AHashMap<CompactString, Codecs>,
    /// Descriptions before the answer (RFC 3262). Default [`Reliable::Off`].
    pub reliable: Reliable,
    /// Trunks, for routes to lead to. None by default; to be [checked](trunk::check_trunks).
    pub trunks: Vec<Trunk>,
    /// Limits of calls that leave the switch, by what they cost. None by default; to be [checked](toll::check_toll).
    pub toll: TollConfig,
    /// Subscriptions to events.
    pub events: SubscriptionConfig,
    /// What can be called beside users and the services built in, by name. None by default.
    pub services: AHashMap<CompactString, Configured>,
    /// Legs are on other nodes, and only what is known of users and services is wanted of this one: nobody is registered at a
    /// trunk or asked how it is, and an address that would lead anywhere is answered by itself as the only place, without
    /// being looked up or charged. Default false.
    pub elsewhere: bool,
    /// Look-ups of names. What can be reached is taken from the sockets of the endpoint.
    pub resolver: ResolverConfig,
}

/// What happened in one step of the SIP side.
pub enum Step {
    /// Send these bytes.
    Send {
        /// Where to.
        flow: Flow,
        /// One message, or a keep-alive's answer.
        bytes: Bytes,
    },
    /// Close this connection.
    Close {
        /// Which.
        flow: Flow,
    },
    /// Ask the domain name system; the answer goes to [`B2bua::handle_answer`].
    Lookup {
        /// Names the question.
        id: LookupId,
        /// A name without the last dot.
        name: CompactString,
        /// What is wanted.
        kind: RecordKind,
    },
    /// Ask who this user is; the answer goes to [`B2bua::handle_user`].
    AskUser(Question),
    /// An event was handled; drain the reports before the next step, so that the core's answer to
    /// one event comes before the next event.
    Handled,
}

/// Our own SIP switch as a backend.
pub struct B2bua {
    endpoint: Endpoint,
    gate: Gate,
    registrar: Registrar,
    directory: Directory,
    config: B2buaConfig,
    legs: AHashMap<DialogId, LegRecord>,
    dialogs: AHashMap<(CallId, LegId), DialogId>,
    offered: AHashMap<Handle, DialogId>,
    next_handle: u64,
    names: Names,
    /// Requests of ours inside dialogs that wait for an answer.
    errands: AHashMap<RequestId, (DialogId, Errand)>,
    next_receipt: u64,
    texts: Texts,
    trunks: Trunks,
    tolls: Tolls,
    pings: Pings,
    flows: Flows,
    packages: Packages,
    users: Users,
    lookups: Lookups,
    /// Empty unless single legs are controlled.
    manners: AHashMap<(CallId, LegId), Manner>,
    /// No new calls are taken, until that is taken back.
    draining: bool,
    reports: VecDeque<Report>,
}

impl B2bua {
    /// A switch without calls or bindings. The seed makes tags, branches and nonces unguessable:
    /// draw it from the operating system.
    #[must_use]
    pub fn new(mut config: B2buaConfig, directory: Directory, seed: [u8; 32]) -> Self {
        // What is not handled here is not promised to phones either, and what is, is.
        config.endpoint.allow = METHODS.to_vec();
        for extension in EXTENSIONS {
            if !config.endpoint.supported.iter().any(|known| known == extension) {
                config.endpoint.supported.push(CompactString::const_new(extension));
            }
        }
        config.endpoint.registrar_supports = REGISTRAR_EXTENSIONS.map(CompactString::const_new).to_vec();
        // A `tel:` number may have a route.
        config.endpoint.schemes = ["sip", "sips", "tel"].map(CompactString::const_new).to_vec();
        let mut gate_seed = seed;
        // The gate's nonces must not be predictable from anything the endpoint shows.
        gate_seed.rotate_left(7);
        gate_seed[0] ^= 0x5a;
        if config.registrar.gruu_key == GruuKey::default() {
            // Good until a restart.
            let key = &mut config.registrar.gruu_key.0;
            *key = seed;
            key.rotate_left(19);
            key[0] ^= 0xa5;
        }
        config.resolver.reach = Reach::of(&config.endpoint.listen);
        let mut trunks = Trunks::new(std::mem::take(&mut config.trunks));
        if config.elsewhere {
            trunks.due = None;
        }
        // What many callers send through one address is no flood.
        config.endpoint.trusted.extend(trunks.networks());
        let mut names_seed = seed;
        names_seed.rotate_left(13);
        Self {
            names: Names::new(config.resolver.clone(), names_seed),
            endpoint: Endpoint::new(config.endpoint.clone(), seed),
            gate: Gate::new(config.gate.clone(), gate_seed),
            registrar: Registrar::new(config.registrar.clone()),
            directory,
            packages: Packages::new(config.events.clone()),
            tolls: Tolls::new(std::mem::take(&mut config.toll)),
            config,
            legs: AHashMap::new(),
            dialogs: AHashMap::new(),
            offered: AHashMap::new(),
            next_handle: 0,
            errands: AHashMap::new(),
            next_receipt: 0,
            texts: Texts::default(),
            trunks,
            pings: Pings::default(),
            flows: Flows::default(),
            users: Users::default(),
            lookups: Lookups::default(),
            manners: AHashMap::new(),
            draining: false,
            reports: VecDeque::new(),
        }
    }

    /// Takes bytes or news from a SIP socket.
    pub fn handle_input(&mut self, now: Time, input: Input) {
        self.tolls.at(now);
        if let Input::Stream { flow, .. } | Input::Message { flow, .. } = &input {
            self.registrar.flow_heard(now, *flow);
        }
        let proved = if let Input::Proved { flow, .. } = &input { Some(*flow) } else { None };
        self.endpoint.handle_input(now, input);
        if let Some(flow) = proved {
            self.flow_proved(now, flow);
        }
    }

    /// Tells at which addresses hosts on the Internet see us from now on, at most one of each family.
    pub fn set_public_addresses(&mut self, public: &[IpAddr]) {
        self.endpoint.set_public_addresses(public);
    }

    /// Whoever calls from now on is told to call elsewhere (503 with `Retry-After`), until that is taken back, and whoever asks with
    /// OPTIONS whether calls are taken is told the same. Calls that there are go on, those that take one of them over (RFC 3891)
    /// included, and so does everything that is no call.
    pub fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Time) {
        self.tolls.at(now);
        self.endpoint.handle_timeout(now);
        self.registrar.handle_timeout(now);
        self.directory.handle_timeout(now);
        self.send_pings(now);
        self.run_trunks(now);
        self.age_packages(now);
        self.names.resolver.handle_timeout(now);
    }

    /// When [`B2bua::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let names = self.names.resolver.poll_timeout();
        let (events, users) = (self.packages_due(), self.directory.poll_timeout());
        [self.endpoint.poll_timeout(), self.registrar.poll_timeout(), names, self.trunks.due, events, users]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next step of the SIP side; `None` when everything is done.
    pub fn step(&mut self, now: Time) -> Option<Step> {
        let Some(output) = self.endpoint.poll_output() else {
            let due = self.step_names(now).or_else(|| self.step_lookups(now));
            return due.or_else(|| self.tell_watchers(now).then_some(Step::Handled));
        };
        Some(match output {
            Output::Event(event) => {
                self.event(now, event);
                Step::Handled
            }
            Output::Send { flow, bytes } => Step::Send { flow, bytes },
            Output::Close { flow } => Step::Close { flow },
        })
    }

    /// The SIP element.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The bindings.
    #[must_use]
    pub fn registrar(&self) -> &Registrar {
        &self.registrar
    }

    /// The bindings, to restore stored ones and to take changes for the store.
    pub fn registrar_mut(&mut self) -> &mut Registrar {
        &mut self.registrar
    }

    /// The domains and users.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The domains and users, to be changed.
    pub fn directory_mut(&mut self) -> &mut Directory {
        &mut self.directory
    }

    /// What there is of a leg and its dialog, to be stored with its call.
    #[must_use]
    pub fn leg(&self, call: CallId, leg: LegId) -> Option<(&LegRecord, Option<&Dialog>)> {
        let dialog = self.dialogs.get(&(call, leg))?;
        Some((self.legs.get(dialog)?, self.endpoint.dialog(*dialog)))
    }

    /// How many legs there are: none when no call is left.
    #[must_use]
    pub fn live_legs(&self) -> usize {
        // A lamp that stays on behind its leg, or a limit that counts it, would be one that is left.
        let beside = self.packages.lamps.len().max(self.toll_legs());
        (self.legs.len() + self.offered.len() + self.names.legs()).max(beside)
    }

    /// How many texts outside of calls wait for an answer. At most [`MAX_TEXTS`].
    #[must_use]
    pub fn live_texts(&self) -> usize {
        self.texts.live()
    }

    /// The domains and users, to be changed, beside the bindings.
    pub fn directory_and_registrar(&mut self) -> (&mut Directory, &Registrar) {
        (&mut self.directory, &self.registrar)
    }

    fn event(&mut self, now: Time, event: Event) {
        match event {
            Event::Invite { dialog, request, flow } => self.invite_came(now, dialog, request, flow, false),
            Event::Cancelled { dialog, request } => self.cancelled(dialog, &request),
            Event::Acked { dialog, request } => self.acked(dialog, &request),
            Event::Reinvite { dialog, request } => self.reinvited(now, dialog, &request),
            Event::ReinviteCancelled { dialog, .. } => self.reinvite_cancelled(dialog),
            Event::Progress { dialog, fork, prack_due, response } => {
                self.progressed(dialog, (fork, prack_due), &response);
            }
            Event::Answered { dialog, fork, response } => self.answered(now, dialog, fork, &response),
            Event::Failed { dialog, status, reason, response, cause } => {
                self.failed(now, dialog, (status, &reason), response.as_ref(), cause);
            }
            Event::Ended { dialog, by, request } => self.ended(dialog, by, request.as_ref()),
            Event::Request { txn, dialog, request, flow } => self.request_came(now, txn, dialog, request, flow),
            Event::Prack { dialog, txn, request } => self.pracked(now, dialog, txn, &request),
            Event::Update { dialog, fork, txn, request } => self.updated(now, dialog, (txn, fork), &request),
            Event::Updated { dialog, fork, response } => self.update_answered(dialog, fork, &response),
            // Whoever answers a refresh with another description will say so itself.
            Event::Refreshed { .. } => {}
            Event::Reanswered { dialog, response } => self.reanswered(now, dialog, &response),
            Event::ReinviteFailed { dialog, status, response, cause }
            | Event::UpdateFailed { dialog, status, response, cause, .. } => {
                self.reinvite_failed(dialog, status, response.as_ref(), cause);
            }
            Event::Response { id, status, response, cause } => {
                self.responded(now, id, status, response.as_ref(), cause);
            }
            Event::FlowClosed { flow } => {
                self.registrar.remove_flow(now, flow);
                self.trunk_flow_closed(now, flow);
            }
        }
    }

    fn report(&mut self, report: Report) {
        self.lamp_reported(&report);
        self.tolls.reported(&report);
        if let Report::Ended { call, leg, .. } = &report {
            self.manners.remove(&(*call, *leg));
        }
        self.reports.push_back(report);
    }

    fn is_trusted(&self, flow: Flow) -> bool {
        self.config.trusted.iter().any(|net| net.contains(flow.remote.ip()))
    }

    /// Our address as seen by a party at the other end of this flow.
    fn near(&self, flow: Flow) -> Option<IpAddr> {
        self.endpoint.addresses().seen_by(&flow)
    }
}

impl Backend for B2bua {
    fn perform(&mut self, now: Time, op: Op) {
        self.tolls.at(now);
        self.carry_out(now, op);
    }

    fn poll_report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }
}
