//! Legs of the switchboard on SIP nodes, over `/dialog`.
//!
//! ```text
//!   Dial ──▶ POST /dialog/invite ──200──▶ Dialed       PUT …/dialog/<callid> (news) ──▶ Incoming, Progress, Answered, … Ended
//!   Ring, Answer, Reoffer, … ──▶ PUT /dialog/…         404: nobody here knows that leg, and the node ends it
//! ```
//!
//! A leg is a dialog of its node, and its name there is a Call-ID that is chosen here, so that no event can come for a leg
//! whose name is not known yet. What is asked of one leg goes in order. An order that a node does not answer, or answers
//! otherwise than it can be, ends the leg; what is left of it at the node is ended when that is asked next which dialogs it
//! has.
//!
//! | file | what |
//! |---|---|
//! | `perform.rs` | what the switchboard wants |
//! | `answered.rs` | what nodes answer |
//! | `told.rs` | what nodes tell |
//! | `home.rs` | which nodes there are, what they have to know, and who is registered where |
//! | `registered.rs` | who is registered where, with which phones |
//! | `locate.rs` | where somebody is called |

mod answered;
mod home;
mod locate;
mod perform;
mod registered;
mod told;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ahash::AHashMap;
use compact_str::{CompactString, format_compact};
use hookswitch_call::port::Backend;
use hookswitch_call::{CallId, Cause, Fault, Found, Handle, Kind, LegId, Op, Report, Time};
use hookswitch_mediaswitch::SWITCHBOARD;
use sha2::{Digest as _, Sha256};

use crate::{Answer, Ask, DIALOGS, Half, LegsHalf, NodeId, Orders, Places, PulseNews, Standing, Told};
use answered::Tag;
use home::Owed;
pub use registered::MAX_PHONES;
use registered::Registered;

/// Most legs at once; a party that calls beyond is refused with 480, one that is to be called with 503. There are two in a call.
pub const MAX_LEGS: usize = 100_000;

/// Most users of whom it is remembered where they are registered; a node that tells of others is answered 507, and they are
/// not reached.
pub const MAX_REGISTERED: usize = 1_000_000;

/// How long the end of a leg that its node does not know any more may take to be told.
const DOUBT: Duration = Duration::from_secs(5);

/// What requests are in order with.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Lane {
    /// Of one leg, by its name on its node.
    Leg(CompactString),
    /// About how a node is.
    Node(NodeId),
    /// About a domain at a node.
    Domain(NodeId, CompactString),
}

/// A leg on a node.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Leg {
    node: NodeId,
    /// Its name here, once the switchboard has given it one.
    name: Option<(CallId, LegId)>,
    /// Its name until then.
    handle: Option<Handle>,
    /// The last event.
    seq: u64,
    /// Of one that we call: the switchboard knows its name on the wire.
    dialed: bool,
}

/// An address that is being looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Sought {
    to: CompactString,
    anywhere: bool,
    /// The address of record of the user that it would be.
    user: Option<CompactString>,
}

/// The legs of a switchboard, on SIP nodes.
pub struct Legs {
    /// Our base URL as nodes reach us.
    control: CompactString,
    seed: [u8; 32],
    named: u64,
    handles: u64,
    legs: AHashMap<CompactString, Leg>,
    names: AHashMap<(CallId, LegId), CompactString>,
    arrived: AHashMap<Handle, CompactString>,
    orders: Orders<Lane, Tag>,
    places: Places,
    now: Time,
    sought: AHashMap<CallId, Sought>,
    registered: Registered,
    /// What nodes are told of our domains: the list of users as JSON.
    domains: BTreeMap<CompactString, String>,
    owed: Owed,
    /// Legs that their nodes do not know any more, and when they are over if nothing is told of them.
    doubts: BTreeSet<(Time, CompactString)>,
    /// How many legs of ours each node has.
    load: Vec<usize>,
    news: VecDeque<(NodeId, PulseNews)>,
    reports: VecDeque<Report>,
}

impl Legs {
    /// Without any. `control` is our own base URL, without a slash at its end; the seed makes names unguessable: draw it
    /// from the operating system.
    #[must_use]
    pub fn new(nodes: usize, control: &str, seed: [u8; 32]) -> Self {
        Self {
            control: control.into(),
            seed,
            named: 0,
            handles: 0,
            legs: AHashMap::new(),
            names: AHashMap::new(),
            arrived: AHashMap::new(),
            orders: Orders::default(),
            places: Places::new(nodes, DIALOGS),
            now: Time::ZERO,
            sought: AHashMap::new(),
            registered: Registered::default(),
            domains: BTreeMap::new(),
            owed: Owed::default(),
            doubts: BTreeSet::new(),
            load: vec![0; nodes],
            news: VecDeque::new(),
            reports: VecDeque::new(),
        }
    }

    /// Legs that are not over.
    #[must_use]
    pub fn live(&self) -> usize {
        self.legs.len()
    }

    /// Our base URL for one node.
    fn control_of(&self, node: NodeId) -> CompactString {
        format_compact!("{}{SWITCHBOARD}{}", self.control, node.0)
    }

    /// A Call-ID that nobody can guess, and that comes only once.
    fn new_callid(&mut self) -> CompactString {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.named.to_be_bytes());
        self.named += 1;
        let mut callid = CompactString::default();
        for byte in &hash.finalize()[..16] {
            callid = format_compact!("{callid}{byte:02x}");
        }
        callid
    }

    fn enter(&mut self, callid: CompactString, leg: Leg) {
        if let Some(load) = self.load.get_mut(usize::from(leg.node.0)) {
            *load += 1;
        }
        self.places.gave(leg.node);
        self.legs.insert(callid, leg);
    }

    fn forget(&mut self, callid: &str) -> Option<Leg> {
        let leg = self.legs.remove(callid)?;
        if let Some(load) = self.load.get_mut(usize::from(leg.node.0)) {
            *load -= 1;
        }
        Some(leg)
    }

    /// A leg is over, whoever knows of it.
    fn ended(&mut self, callid: &str, cause: Cause) {
        let Some(leg) = self.forget(callid) else { return };
        self.orders.forget(&Lane::Leg(callid.into()));
        if let Some(handle) = leg.handle {
            self.arrived.remove(&handle);
        }
        if let Some((call, leg)) = leg.name {
            self.names.remove(&(call, leg));
            self.reports.push_back(Report::Ended { call, leg, cause });
        }
    }

    /// An order came to nothing: the leg is over here, and the node will be asked what it still has.
    fn broken(&mut self, callid: &str, why: &'static str) {
        let Some(node) = self.legs.get(callid).map(|leg| leg.node) else { return };
        self.ended(callid, Cause::new(Kind::Overloaded, Fault::Server).with_text(why));
        self.list(node);
    }
}

impl Backend for Legs {
    fn perform(&mut self, now: Time, op: Op) {
        self.now = now;
        self.order(op);
    }

    fn poll_report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }
}

impl Half for Legs {
    fn poll_ask(&mut self) -> Option<Ask> {
        self.orders.poll()
    }

    fn answered(&mut self, now: Time, answer: Answer) {
        self.now = now;
        if let Some((lane, tag)) = self.orders.answered(answer.id) {
            self.taken(lane, tag, answer.result);
        }
    }

    fn told(&mut self, now: Time, node: NodeId, told: Told<'_>) -> u16 {
        self.now = now;
        self.hear(node, told)
    }

    fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        self.beat();
        while let Some((at, callid)) = self.doubts.pop_first() {
            if at > now {
                self.doubts.insert((at, callid));
                break;
            }
            self.ended(&callid, Cause::new(Kind::Unreachable, Fault::Server).with_text("Leg Lost"));
        }
    }

    fn poll_news(&mut self) -> Option<(NodeId, PulseNews)> {
        self.news.pop_front()
    }

    fn standing(&self) -> Vec<Standing> {
        let nodes = (0..).map(NodeId).zip(&self.load);
        nodes.map(|(node, carries)| self.places.standing(node, *carries)).collect()
    }

    fn poll_timeout(&self) -> Option<Time> {
        let doubt = self.doubts.first().map(|(at, _)| *at);
        [self.places.poll_timeout(), doubt].into_iter().flatten().min()
    }
}

impl LegsHalf for Legs {
    fn seek(&mut self, call: CallId, to: &str, anywhere: bool, user: Option<CompactString>) {
        self.sought.insert(call, Sought { to: to.into(), anywhere, user });
    }

    fn found(&mut self, call: CallId, found: Found) -> Found {
        self.place(call, found)
    }

    fn domain(&mut self, name: &str, users: Option<String>) {
        self.tell_of_domain(name, users);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Load;

    const EVENT: &[u8] =
        br#"{"seq":1,"news":{"what":"arrived","described":false},"party":{"from":"sip:a@x","to":"sip:b@x"}}"#;

    fn tell(legs: &mut Legs, method: &str, path: &str) -> u16 {
        legs.told(Time::ZERO, NodeId(0), Told { method, path, body: EVENT })
    }

    #[test]
    fn legs_have_a_limit() {
        let mut legs = Legs::new(1, "http://c", [0; 32]);
        let leg = Leg { node: NodeId(0), name: None, handle: None, seq: 0, dialed: true };
        legs.legs.extend((1..MAX_LEGS).map(|n| (format_compact!("{n}"), leg.clone())));
        assert_eq!((tell(&mut legs, "PUT", "/dialog/last"), tell(&mut legs, "PUT", "/dialog/more")), (200, 503));
        assert_eq!(legs.live(), MAX_LEGS);
        legs.heard(NodeId(0), Load::read_dialogs(&b"{\"count\":0}".as_slice().into()));
        let target = hookswitch_call::Target::new("sip:b@x".into(), Some(0), None);
        let dial = Box::new(hookswitch_call::Dial::new(target, "sip:a@x".into(), "sip:b@x".into(), None));
        let reports = legs.reports.len();
        legs.perform(Time::ZERO, Op::Dial { call: CallId(1), leg: LegId(0), dial });
        let Some(Report::Ended { cause, .. }) = legs.reports.get(reports) else { panic!("it is called") };
        assert_eq!((cause.code, cause.text.as_str()), (503, "Too Many Legs"));
    }

    #[test]
    fn registered_users_have_a_limit() {
        let mut legs = Legs::new(1, "http://c", [0; 32]);
        for n in 1..MAX_REGISTERED {
            legs.registered.enter(format_compact!("{n}@x"), NodeId(0), None);
        }
        assert_eq!((tell(&mut legs, "PUT", "/reg/x/l%61st"), tell(&mut legs, "PUT", "/reg/x/more")), (200, 507));
        assert_eq!(tell(&mut legs, "PUT", "/reg/x/last"), 200, "it is known");
        assert_eq!((tell(&mut legs, "DELETE", "/reg/x/last"), legs.registered.count()), (200, MAX_REGISTERED - 1));
    }

    #[test]
    fn what_cannot_be_read_is_said_to_be_so() {
        let mut legs = Legs::new(1, "http://c", [0; 32]);
        for (path, status) in
            [("/dialog/%4", 404), ("/dialog/%zz", 404), ("/dialog/a/b", 404), ("/else", 404), ("", 404)]
        {
            assert_eq!(tell(&mut legs, "PUT", path), status, "{path}");
        }
        for body in
            ["", "{}", r#"{"seq":1,"news":{"what":"arrived","described":false}}"#, r#"{"seq":1,"news":{"what":"tea"}}"#]
        {
            let told = Told { method: "PUT", path: "/dialog/a", body: body.as_bytes() };
            assert_eq!(legs.told(Time::ZERO, NodeId(0), told), 400, "{body}");
        }
        assert_eq!(legs.live(), 0);
    }
}
