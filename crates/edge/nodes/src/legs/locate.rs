//! Where somebody is called: at the nodes where a user is registered, each of which calls all its phones; anybody else by the
//! node with the fewest legs, whose own routes and trunks decide.

use hookswitch_call::{Address, CallId, Cause, Fault, Found, Kind, Target};

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
            let nodes = self.registered.get(&user).into_iter().flatten();
            let places: Vec<Target> =
                nodes.filter(|node| self.pulse.is_there(**node)).map(|node| target(*node)).collect();
            return if places.is_empty() { found } else { Found::Targets(places) };
        }
        match self.least_loaded() {
            Some(node) => Found::Targets(vec![target(node)]),
            None => Found::Nowhere(Cause::new(Kind::Overloaded, Fault::Server).with_text("No SIP Node")),
        }
    }

    fn least_loaded(&self) -> Option<NodeId> {
        self.pulse.there().min_by_key(|node| (self.load.get(usize::from(node.0)).copied(), *node))
    }
}
