//! What the desk wants of the switch behind it.

use compact_str::CompactString;
use hookswitch_call::directory::Directory;
use hookswitch_call::machine::{Call, Leg, LegState, State};
use hookswitch_call::{Address, CallId, Command, LegId, Party, Refused, Ticket, Time};
use serde_json::Value;

/// The carrier of the calls that our own switch carries.
pub const SWITCH: &str = "switch";

/// The carrier of the calls that an OpenSIPS carries.
pub const OPENSIPS: &str = "opensips";

/// The switch, as far as requests concern it. Everything here is answered at once.
pub trait Switch {
    /// Who carries the calls: [`SWITCH`] or [`OPENSIPS`].
    fn carrier(&self) -> &'static str;
    /// Asks the switchboard for something.
    ///
    /// # Errors
    /// It says why nothing has changed.
    fn submit(&mut self, command: Command) -> Result<Ticket, Refused>;
    /// The call that a command has made.
    fn made_by(&self, ticket: Ticket) -> Option<CallId>;
    /// A call that there is.
    fn call(&self, call: CallId) -> Option<CallView<'_>>;
    /// Its legs, as far as they are known, in the order of their making.
    fn legs(&self, call: CallId) -> Vec<LegView<'_>>;
    /// All calls, the newest first.
    fn calls(&self) -> Vec<CallId>;
    /// The domain that an address is in, in lower case: one of ours, also where the address names it in another way, or
    /// the host of the address. None where it has none (`tel:`).
    fn domain_of(&self, address: &Address) -> Option<CompactString>;
    /// Asks for what is known of a call's audio: [`Desk::inspected`](super::Desk::inspected) is told.
    fn inspect(&mut self, call: CallId);
    /// Domains and users.
    fn directory(&self) -> &Directory;
    /// Domains and users, to be changed.
    fn directory_mut(&mut self) -> &mut Directory;
    /// The domains that have registrations.
    fn registered_domains(&self) -> Vec<CompactString>;
    /// The registrations of a domain's users, in any order.
    fn bindings(&self, domain: &str) -> Vec<Binding>;
    /// Forgets all registrations of a user. How many there were.
    fn unregister(&mut self, domain: &str, user: &str) -> usize;
    /// How the trunks stand.
    fn trunks(&self) -> Vec<Trunk>;
    /// How the nodes stand that have the legs and the audio of calls, where those are not in this process.
    fn nodes(&self) -> Vec<Node>;
    /// Takes no new calls from now on.
    fn drain(&mut self);
    /// How it is.
    fn health(&self) -> Health;
}

/// A call that there is, as far as requests concern it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CallView<'a> {
    /// Its name.
    pub id: CallId,
    /// How far it is: `locating`, `ringing`, `answering`, `talking` or `ending`.
    pub state: &'static str,
    /// The calling party; empty where only its carrier knows.
    pub caller: &'a Address,
    /// The called party, as dialled or commanded; empty where only its carrier knows.
    pub callee: &'a Address,
    /// Whether its audio runs through the switch.
    pub anchored: bool,
    /// When it began, or came to notice.
    pub began: Time,
    /// When both parties were joined.
    pub answered: Option<Time>,
    /// The SIP Call-ID that both parties have, where the carrier makes no legs of its own.
    pub wire_id: Option<&'a CompactString>,
}

impl<'a> CallView<'a> {
    /// Of a call that our own switch carries.
    #[must_use]
    pub const fn of(call: &'a Call) -> Self {
        let state = match call.state {
            State::AwaitLocation(_) => "locating",
            State::AwaitAnswer(_) => "ringing",
            // Nobody is looked for yet.
            State::AwaitStep => "locating",
            State::AwaitDescription => "answering",
            State::Talking => "talking",
            State::AwaitEnds => "ending",
        };
        Self {
            id: call.id,
            state,
            caller: &call.caller,
            callee: &call.callee,
            anchored: call.anchored,
            began: call.created,
            answered: call.joined,
            wire_id: None,
        }
    }

    /// Both parties.
    #[must_use]
    pub const fn parties(&self) -> [&'a Address; 2] {
        [self.caller, self.callee]
    }
}

/// A leg of a call that there is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LegView<'a> {
    /// Its number within the call.
    pub id: LegId,
    /// Which end of the call it is.
    pub party: Party,
    /// How far it is: `preparing`, `ringing`, `incoming`, `answered`, `talking`, `ending` or `ended`.
    pub state: &'static str,
    /// Its SIP Call-ID, once it has one.
    pub wire_id: Option<&'a CompactString>,
    /// Where it was sent; none for one that called in.
    pub target: Option<&'a Address>,
}

impl<'a> LegView<'a> {
    /// Of a call that our own switch carries.
    #[must_use]
    pub fn of(leg: &'a Leg) -> Self {
        let state = match leg.state {
            LegState::AwaitOffer => "preparing",
            LegState::AwaitAnswer => "ringing",
            LegState::Offered => "incoming",
            LegState::AwaitConfirm => "answered",
            LegState::Up => "talking",
            LegState::AwaitEnd => "ending",
            LegState::Ended => "ended",
        };
        let target = leg.target.as_ref().map(|target| &target.address);
        Self { id: leg.id, party: leg.party, state, wire_id: leg.wire_id.as_ref(), target }
    }
}

/// One registered contact.
#[derive(Clone, PartialEq, Debug)]
pub struct Binding {
    /// Its number; none is used twice for one user.
    pub id: u64,
    /// The user.
    pub user: CompactString,
    /// Its domain.
    pub domain: CompactString,
    /// The contact URI, as the phone wrote it.
    pub contact: String,
    /// Where its last request came from.
    pub source: String,
    /// Its `User-Agent`, if it sent one.
    pub agent: Option<String>,
    /// Since when it is registered.
    pub registered: Time,
    /// When it was last refreshed.
    pub refreshed: Time,
    /// When it ends unless it is refreshed.
    pub expires: Time,
    /// Since when its phone is silent or cannot be reached; none while all is well.
    pub stale: Option<Time>,
}

/// How a trunk stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Trunk {
    /// Its name.
    pub name: String,
    /// All that is known of it, the name included.
    pub document: Value,
}

/// How a node stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// `sip` or `media`.
    pub kind: &'static str,
    /// Its base URL.
    pub url: CompactString,
    /// `starting`, `up`, `draining` or `lost`.
    pub state: &'static str,
    /// Since when; none while nothing is known of it.
    pub since: Option<Time>,
    /// What of ours is there: legs on a SIP node, calls on a media node.
    pub carries: usize,
    /// What it has said of itself last.
    pub load: Option<NodeLoad>,
}

/// How busy a node is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NodeLoad {
    /// Channels in use, or dialogs; a call is two.
    pub active: u32,
    /// How many more it takes.
    pub available: u32,
    /// Percent of the time of its media threads, or of the thread that has SIP.
    pub processor: f32,
    /// Ticks of its last second that were too late; a SIP node has none.
    pub late_ticks: u32,
}

/// How the switch is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Health {
    /// Calls, ending ones included.
    pub calls: usize,
    /// Registered contacts.
    pub registrations: usize,
    /// It takes no new calls.
    pub draining: bool,
}
