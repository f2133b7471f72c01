//! The names that others have to prove over TLS, as numbers that fit into a flow.

use ahash::AHashMap;
use compact_str::{CompactString, ToCompactString};
use hookswitch_sip_msg::Host;

use crate::transport::PeerId;

/// Most names that are remembered. One more makes the name be forgotten that was not used for the longest time.
pub const MAX_PEERS: usize = 4_096;

struct Known {
    name: CompactString,
    used: u64,
}

#[derive(Default)]
pub(super) struct Peers {
    by_name: AHashMap<CompactString, PeerId>,
    known: AHashMap<PeerId, Known>,
    next: u32,
    uses: u64,
}

impl Peers {
    /// The number of a host; the same one for as long as it is remembered.
    pub fn name(&mut self, host: &Host<'_>) -> PeerId {
        let name = match host {
            Host::Name(name) => name.trim_end_matches('.').to_ascii_lowercase().into(),
            // Addresses in certificates have no brackets.
            Host::V4(ip) => ip.to_compact_string(),
            Host::V6(ip) => ip.to_compact_string(),
        };
        self.uses += 1;
        let uses = self.uses;
        if let Some(id) = self.by_name.get(&name)
            && let Some(known) = self.known.get_mut(id)
        {
            known.used = uses;
            return *id;
        }
        self.make_room();
        // Flows that still hold a number come to an end long before four thousand million names are over.
        self.next = self.next.wrapping_add(1);
        let id = PeerId(self.next);
        self.by_name.insert(name.clone(), id);
        self.known.insert(id, Known { name, used: uses });
        id
    }

    pub fn text(&self, id: PeerId) -> Option<&str> {
        self.known.get(&id).map(|known| known.name.as_str())
    }

    fn make_room(&mut self) {
        if self.known.len() < MAX_PEERS {
            return;
        }
        let oldest = self.known.iter().min_by_key(|(_, known)| known.used).map(|(id, _)| *id);
        if let Some(gone) = oldest.and_then(|id| self.known.remove(&id)) {
            self.by_name.remove(&gone.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number_however_it_is_written() {
        let mut peers = Peers::default();
        let id = peers.name(&Host::Name("Sip.Example.Test."));
        assert_eq!(peers.name(&Host::Name("sip.example.test")), id);
        assert_eq!(peers.text(id), Some("sip.example.test"));
        let six = peers.name(&Host::V6("2001:db8::1".parse().unwrap()));
        assert_eq!(peers.text(six), Some("2001:db8::1"));
    }

    #[test]
    fn beyond_the_limit_the_one_not_used_for_longest_is_forgotten() {
        let mut peers = Peers::default();
        let ids: Vec<PeerId> = (0..MAX_PEERS).map(|n| peers.name(&Host::Name(&format!("h{n}.test")))).collect();
        assert_eq!(peers.name(&Host::Name("h0.test")), ids[0]);
        peers.name(&Host::Name("one.more"));
        assert_eq!(peers.known.len(), MAX_PEERS);
        assert_eq!(peers.by_name.len(), MAX_PEERS);
        assert_eq!(peers.text(ids[0]), Some("h0.test"), "it was used a moment ago");
        assert_eq!(peers.text(ids[1]), None);
        assert!(!ids.contains(&peers.name(&Host::Name("h1.test"))));
    }
}
