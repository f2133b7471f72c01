//! Where somebody is called: at the nodes where a user is registered, each of which calls all its phones; anybody else by the
//! least loaded node, whose own routes and trunks decide. A node that drains only calls phones that are registered there. A phone
//! that several nodes have is called at one of them.

use compact_str::format_compact;
use hookswitch_call::{Address, CallId, Cause, Fault, Found, Kind, Target};
use hookswitch_mediaswitch::{Phone, host_of, user_of};

use super::{Legs, Sought};
use crate::NodeId;

/// In [`Target::via`]: whoever is called there need not be one of ours.
const ANYWHERE: u64 = 1 << 32;

/// The node that a target names, and whether it may call anybody.
pub(super) fn node_of(via: Option<u64>) -> Option<(NodeId, bool)> {
    let via = via?;
    u16::try_from(via & !ANYWHERE).ok().map(|node| (NodeId(node), via & ANYWHERE != 0))
}

impl Legs {
    fn places_of(&self, aor: &str) -> Vec<(NodeId, Option<Vec<Phone>>)> {
        self.registered.places(aor, |node| self.places.is_there(node), |node| self.places.holds(node))
    }

    /// Which phones of a user a node is to call, if not all that it has.
    pub(super) fn phones_at(&self, node: NodeId, address: &str) -> Vec<Phone> {
        let aor = format_compact!("{}@{}", user_of(address), host_of(address).to_ascii_lowercase());
        let mut places = self.places_of(&aor).into_iter();
        places.find(|(at, _)| *at == node).and_then(|(_, phones)| phones).unwrap_or_default()
    }

    /// Where a call is to go of which our own directory says this.
    pub(super) fn place(&mut self, call: CallId, found: Found) -> Found {
        let Some(Sought { to, anywhere, user }) = self.sought.remove(&call) else { return found };
        let unreached = match &found {
            Found::Service(_) | Found::Diverted { .. } => return found,
            Found::Nowhere(cause) => match cause.kind {
                Kind::Unreachable => true,
                Kind::NotFound => false,
                // It is said of the address itself, or of a limit.
                _ => return found,
            },
            Found::Targets(_) => false,
        };
        let target = |node: NodeId| {
            let via = u64::from(node.0) | if anywhere { ANYWHERE } else { 0 };
            Target::new(Address(to.clone()), Some(via), None)
        };
        if let (true, Some(user)) = (unreached, user) {
            let places: Vec<Target> = self.places_of(&user).into_iter().map(|(node, _)| target(node)).collect();
            return if places.is_empty() { found } else { Found::Targets(places) };
        }
        match self.places.least_loaded(self.now) {
            Some(node) => Found::Targets(vec![target(node)]),
            None if self.places.there().next().is_none() => nowhere("No SIP Node"),
            None if self.places.there().any(|node| self.places.holds(node)) => nowhere("SIP Nodes Are Full"),
            None => nowhere("All SIP Nodes Drain"),
        }
    }
}

/// Nobody can be called now, and why.
fn nowhere(why: &'static str) -> Found {
    Found::Nowhere(Cause::new(Kind::Overloaded, Fault::Server).with_text(why))
}

#[cfg(test)]
mod tests {
    use hookswitch_call::port::Backend as _;
    use hookswitch_call::{LegId, Op, Time};

    use super::super::Leg;
    use super::*;
    use crate::{Half as _, Load, Told};

    const NOBODYS: Kind = Kind::NotFound;

    /// Three nodes, which have said this of themselves.
    fn nodes(said: [&'static str; 3]) -> Legs {
        let mut legs = Legs::new(3, "http://c", [0; 32]);
        legs.handle_timeout(Time::from_secs(9));
        for (node, said) in (0..).map(NodeId).zip(said) {
            legs.heard(node, Load::read_dialogs(&said.as_bytes().into()));
        }
        legs
    }

    /// Where an address is called that is nobody's.
    fn chosen(legs: &mut Legs) -> Result<u64, String> {
        let sought = Sought { to: "tel:1".into(), anywhere: false, user: None };
        legs.sought.insert(CallId(1), sought);
        match legs.place(CallId(1), Found::Nowhere(Cause::new(NOBODYS, Fault::Peer))) {
            Found::Targets(targets) => Ok(targets[0].via.expect("a node")),
            Found::Nowhere(cause) => Err(cause.text.to_string()),
            found => panic!("{found:?}"),
        }
    }

    #[test]
    fn the_least_loaded_node_is_asked_by_what_it_says_and_by_what_it_was_given_since() {
        let five = r#"{"count":5,"available":95}"#;
        let mut legs = nodes([r#"{"count":9,"available":91}"#, five, r#"{"count":0,"available":100,"cpu":40}"#]);
        assert_eq!(chosen(&mut legs), Ok(1), "a processor that is busy counts");
        for n in 0..5u32 {
            let leg = Leg { node: NodeId(1), name: None, handle: None, seq: 0, dialed: true };
            legs.enter(compact_str::format_compact!("{n}"), leg);
        }
        assert_eq!(chosen(&mut legs), Ok(0), "ten legs are more than nine");
        legs.heard(NodeId(1), Load::read_dialogs(&five.as_bytes().into()));
        assert_eq!(chosen(&mut legs), Ok(1), "it says how it is now");
    }

    #[test]
    fn a_user_whose_phones_are_not_told_is_called_at_a_node_that_drains_only_where_no_other_one_has_any() {
        const ROOM: &str = r#"{"count":1,"available":9}"#;
        let places = |said, registered: &[u16]| {
            let mut legs = nodes(said);
            for node in registered {
                legs.registered_at(NodeId(*node), "x.test", "bob", None);
            }
            let sought = Sought { to: "sip:bob@x.test".into(), anywhere: false, user: Some("bob@x.test".into()) };
            legs.sought.insert(CallId(1), sought);
            match legs.place(CallId(1), Found::Nowhere(Cause::new(Kind::Unreachable, Fault::Peer))) {
                Found::Targets(targets) => targets.into_iter().filter_map(|target| target.via).collect(),
                _ => vec![],
            }
        };
        let drained = r#"{"count":0,"available":0,"draining":true}"#;
        assert_eq!(places([drained, ROOM, ROOM], &[0, 1, 2]), [1, 2]);
        assert_eq!(places([drained, ROOM, drained], &[0, 2]), [0, 2]);
        assert_eq!(places([drained, ROOM, "gone"], &[2]), [0; 0], "nobody answers there");
    }

    #[test]
    fn a_node_is_told_which_phones_of_a_user_it_is_to_call_if_another_one_has_the_others_too() {
        let room = r#"{"count":1,"available":9}"#;
        for first in [r#"{"count":0,"available":0,"draining":true}"#, room] {
            dialled_by_two(nodes([first, room, "gone"]));
        }
    }

    /// One node has a desk phone and one that has moved to the other.
    fn dialled_by_two(mut legs: Legs) {
        let [desk, mobile] = ["sip:desk@10.0.0.2", "sip:mobile@10.0.0.3"].map(|contact| Phone::of(None, contact));
        let moment = Time::from_secs;
        legs.registered_at(NodeId(0), "x.test", "b ob", Some([(desk, moment(1)), (mobile, moment(2))].into()));
        legs.registered_at(NodeId(1), "x.test", "b ob", Some([(mobile, moment(3))].into()));
        let to = "sip:b%20ob@X.test;user=phone";
        let sought = Sought { to: to.into(), anywhere: false, user: Some("b ob@x.test".into()) };
        legs.sought.insert(CallId(1), sought);
        let found = legs.place(CallId(1), Found::Nowhere(Cause::new(Kind::Unreachable, Fault::Peer)));
        let Found::Targets(targets) = found else { panic!("{found:?}") };
        while legs.poll_ask().is_some() {}
        for (leg, target) in (0..).zip(targets) {
            let dial = hookswitch_call::Dial::new(target, "sip:a@x.test".into(), to.into(), None);
            let op = Op::Dial { call: CallId(1), leg: LegId(leg), dial: Box::new(dial) };
            legs.perform(Time::from_secs(9), op);
        }
        let mut asked = Vec::new();
        while let Some(ask) = legs.poll_ask() {
            let body: serde_json::Value = serde_json::from_str(&ask.body).expect("a document");
            asked.push((ask.node, body["party"].get("phones").cloned()));
        }
        asked.sort_by_key(|(node, _)| *node);
        assert_eq!(asked, [(NodeId(0), Some(serde_json::json!([desk]))), (NodeId(1), None)]);
    }

    #[test]
    fn a_node_says_when_phones_have_registered_in_its_list_and_with_each_registration() {
        let room = r#"{"count":1,"available":9}"#;
        let mut legs = nodes([room, room, "gone"]);
        let phone = Phone::of(None, "sip:desk@10.0.0.2");
        for (node, age) in [(0, 5.0), (1, 4.5)] {
            let bob = format!(r#"{{"registered":true,"phones":["{phone}"],"ages":[{age}]}}"#);
            let listed = format!(r#"{{"users":{{"bob":{bob}}}}}"#);
            legs.registrations(NodeId(node), &"x.test".into(), Some((200, listed.into())));
        }
        assert_eq!(legs.places_of("bob@x.test"), [(NodeId(1), None)]);
        let body = format!(r#"{{"host":"10.0.0.2","phones":["{phone}"],"ages":[0.25]}}"#);
        let told = Told { method: "PUT", path: "/reg/x.test/bob", body: body.as_bytes() };
        assert_eq!(legs.told(Time::from_secs(12), NodeId(0), told), 200);
        assert_eq!(legs.places_of("bob@x.test"), [(NodeId(0), None)]);
    }

    #[test]
    fn nodes_that_drain_or_are_full_are_asked_for_nothing_and_it_is_said_which() {
        let drained = r#"{"count":0,"available":0,"draining":true}"#;
        let full = r#"{"count":100,"available":0}"#;
        assert_eq!(chosen(&mut nodes([drained, full, r#"{"count":99,"available":1}"#])), Ok(2));
        assert_eq!(chosen(&mut nodes([drained, full, drained])), Err("SIP Nodes Are Full".into()));
        assert_eq!(chosen(&mut nodes([drained; 3])), Err("All SIP Nodes Drain".into()));
        assert_eq!(chosen(&mut nodes(["no", "answer", "here"])), Err("No SIP Node".into()));
        assert_eq!(chosen(&mut nodes([drained, r#"{"count":7,"counter":9}"#, drained])), Ok(1), "one that says less");
    }
}
