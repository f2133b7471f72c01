//! Who is registered at which node, and with which phones.
//!
//! A user is called at every node that has phones of his, and each calls all that it has. At a node that drains only those are
//! called that no other one has which does not drain: they can be reached from there alone, and a phone that has moved on is
//! known to the node that it has left for a while yet and must not ring twice. Whoever does not tell which phones it has is
//! called at a node that drains only where no other one has any.

use std::collections::BTreeSet;

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_mediaswitch::Phone;
use serde::Deserialize;

use super::MAX_REGISTERED;
use crate::NodeId;

/// Most phones of a user at one node that are told apart; of more it is as if none had been named.
pub const MAX_PHONES: usize = 64;

/// The phones of a user at a node; none if that has not said which.
pub(super) type Phones = Option<Box<[Phone]>>;

/// What is read of the body of a registration, and of a user in the list of all.
#[derive(Deserialize)]
pub(super) struct Named {
    phones: Option<Vec<Phone>>,
}

impl Named {
    /// Whoever says it otherwise says nothing of phones, and is registered all the same.
    pub fn read(body: &[u8]) -> Phones {
        serde_json::from_slice::<Self>(body).ok().and_then(|named| told(named.phones))
    }
}

/// As it is kept.
pub(super) fn told(phones: Option<Vec<Phone>>) -> Phones {
    phones.filter(|phones| phones.len() <= MAX_PHONES).map(Vec::into_boxed_slice)
}

/// Where a user is called, and which phones of his there, if not all.
type Place = (NodeId, Option<Vec<Phone>>);

/// Who is registered where.
#[derive(Clone, Debug, Default)]
pub(super) struct Registered(AHashMap<CompactString, Vec<(NodeId, Phones)>>);

impl Registered {
    /// Users.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// A user is registered at a node. Whether there was room to remember it.
    pub fn enter(&mut self, aor: CompactString, node: NodeId, phones: Phones) -> bool {
        if self.0.len() >= MAX_REGISTERED && !self.0.contains_key(&aor) {
            return false;
        }
        let nodes = self.0.entry(aor).or_default();
        match nodes.binary_search_by_key(&node, |(node, _)| *node) {
            Ok(place) => nodes[place].1 = phones,
            Err(place) => nodes.insert(place, (node, phones)),
        }
        true
    }

    /// A user is not registered at a node any more.
    pub fn remove(&mut self, aor: &str, node: NodeId) {
        let Some(nodes) = self.0.get_mut(aor) else { return };
        nodes.retain(|(at, _)| *at != node);
        if nodes.is_empty() {
            self.0.remove(aor);
        }
    }

    /// Nobody is reached at a node any more.
    pub fn lost(&mut self, node: NodeId) {
        self.0.retain(|_, nodes| {
            nodes.retain(|(at, _)| *at != node);
            !nodes.is_empty()
        });
    }

    /// Where a user is called, of nodes that answer and may take more calls as `holds` says: those come first.
    pub fn places(&self, aor: &str, is_there: impl Fn(NodeId) -> bool, holds: impl Fn(NodeId) -> bool) -> Vec<Place> {
        let nodes = self.0.get(aor).into_iter().flatten().filter(|(node, _)| is_there(*node));
        let (stays, drains): (Vec<_>, Vec<_>) = nodes.partition(|(node, _)| holds(*node));
        let whole = |nodes: &[&(NodeId, Phones)]| nodes.iter().map(|(node, _)| (*node, None)).collect::<Vec<Place>>();
        if stays.is_empty() {
            return whole(&drains);
        }
        let mut places = whole(&stays);
        let elsewhere: Option<Vec<&[Phone]>> = stays.iter().map(|(_, phones)| phones.as_deref()).collect();
        let Some(elsewhere) = elsewhere else { return places };
        let elsewhere: BTreeSet<&Phone> = elsewhere.into_iter().flatten().collect();
        for (node, phones) in drains {
            let left = phones.iter().flatten().filter(|phone| !elsewhere.contains(phone));
            let left: Vec<Phone> = left.copied().collect();
            if !left.is_empty() {
                places.push((*node, Some(left)));
            }
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(0);
    const B: NodeId = NodeId(1);
    const C: NodeId = NodeId(2);

    fn phones(names: &[&str]) -> Phones {
        told(Some(names.iter().map(|name| Phone::of(None, name)).collect()))
    }

    /// Where bob is called who has these phones, while these nodes drain, and which phones at those.
    fn called(at: &[(NodeId, Phones)], drained: &[NodeId]) -> Vec<(u16, Option<usize>)> {
        let mut registered = Registered::default();
        for (node, phones) in at {
            assert!(registered.enter("bob@x".into(), *node, phones.clone()));
        }
        let places = registered.places("bob@x", |_| true, |node| !drained.contains(&node));
        places.into_iter().map(|(node, phones)| (node.0, phones.map(|phones| phones.len()))).collect()
    }

    #[test]
    fn a_node_that_drains_calls_the_phones_that_no_other_one_has() {
        let desk_and_mobile = [(A, phones(&["desk"])), (B, phones(&["mobile"]))];
        assert_eq!(called(&desk_and_mobile, &[]), [(0, None), (1, None)]);
        assert_eq!(called(&desk_and_mobile, &[A]), [(1, None), (0, Some(1))], "both ring");
        assert_eq!(called(&desk_and_mobile, &[A, B]), [(0, None), (1, None)]);
        let moved = [(A, phones(&["desk", "mobile"])), (B, phones(&["mobile"]))];
        assert_eq!(called(&moved, &[A]), [(1, None), (0, Some(1))], "the one that has moved rings once");
        assert_eq!(called(&[(A, phones(&["desk"])), (C, phones(&["desk"]))], &[A]), [(2, None)], "it has moved");
        let silent = [(A, phones(&[])), (B, phones(&["desk"]))];
        assert_eq!(called(&silent, &[A]), [(1, None)], "none of those there can be reached");
    }

    #[test]
    fn whoever_does_not_say_which_phones_it_has_is_called_where_it_drains_only_if_nobody_else_has_any() {
        let many = (0..=MAX_PHONES).map(|n| Phone::of(None, &n.to_string())).collect();
        for unknown in [None, told(Some(many)), Named::read(b""), Named::read(br#"{"phones":["x"]}"#)] {
            assert_eq!(called(&[(A, unknown.clone()), (B, phones(&["mobile"]))], &[A]), [(1, None)]);
            assert_eq!(called(&[(A, phones(&["desk"])), (B, unknown.clone())], &[A]), [(1, None)]);
            assert_eq!(called(&[(A, unknown)], &[A]), [(0, None)]);
        }
    }

    #[test]
    fn users_have_a_limit_and_go_with_the_last_node() {
        let mut registered = Registered::default();
        registered.0.extend((1..MAX_REGISTERED).map(|n| (compact_str::format_compact!("{n}@x"), vec![(A, None)])));
        assert!(registered.enter("last@x".into(), A, None) && !registered.enter("more@x".into(), A, None));
        assert!(registered.enter("last@x".into(), B, None), "it is known");
        registered.remove("last@x", A);
        assert_eq!(registered.count(), MAX_REGISTERED);
        registered.remove("last@x", B);
        assert_eq!(registered.count(), MAX_REGISTERED - 1);
        registered.enter("more@x".into(), B, None);
        registered.lost(A);
        assert_eq!(registered.count(), 1);
    }
}
