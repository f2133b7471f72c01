//! Who is registered at which node, and with which phones.
//!
//! A user is called at every node that has phones of his. A phone that several nodes have has moved from one to the other, and
//! its registration there has not run out; or it keeps a way through each (RFC 5626). It is called once, at the node where it has
//! registered or refreshed last. Whoever does not tell which phones it has is called for all of them, or, where it drains,
//! only if no other node has any; and then neither is any other one that drains.

use std::cmp::Reverse;
use std::time::Duration;

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_call::Time;
use hookswitch_mediaswitch::Phone;
use serde::Deserialize;

use super::MAX_REGISTERED;
use crate::NodeId;

/// Most phones of a user at one node that are told apart; of more it is as if none had been named.
pub const MAX_PHONES: usize = 64;

/// The phones of a user at a node, each once, and when each has registered or refreshed there last; none if that has not said
/// which.
pub(super) type Phones = Option<Box<[(Phone, Time)]>>;

/// What is read of the body of a registration, and of a user in the list of all.
#[derive(Deserialize)]
pub(super) struct Named {
    phones: Option<Vec<Phone>>,
    /// How long ago each of them has registered, in seconds.
    ages: Option<Vec<f64>>,
}

impl Named {
    /// Whoever says it otherwise says nothing of phones, and is registered all the same.
    pub fn read(now: Time, body: &[u8]) -> Phones {
        serde_json::from_slice::<Self>(body).ok().and_then(|named| named.at(now))
    }

    /// As it is kept.
    pub fn at(self, now: Time) -> Phones {
        let (phones, ages) = (self.phones?, self.ages.unwrap_or_default());
        if phones.len() != ages.len() {
            return None;
        }
        let since = |age| Duration::try_from_secs_f64(age).ok().map(|age| now.saturating_sub(age));
        let ages = ages.into_iter().map(since).collect::<Option<Vec<Time>>>()?;
        let mut phones: Vec<(Phone, Time)> = phones.into_iter().zip(ages).collect();
        phones.sort_by_key(|(phone, at)| (*phone, Reverse(*at)));
        phones.dedup_by_key(|(phone, _)| *phone);
        (phones.len() <= MAX_PHONES).then(|| phones.into_boxed_slice())
    }
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
        let (stays, mut drains): (Vec<_>, Vec<_>) = nodes.partition(|(node, _)| holds(*node));
        if !stays.is_empty() && stays.iter().any(|(_, phones)| phones.is_none()) {
            drains.clear();
        } else if !stays.is_empty() {
            drains.retain(|(_, phones)| phones.as_ref().is_some_and(|phones| !phones.is_empty()));
        }
        // Of registrations of the same moment that counts which keeps no node from its end.
        let nodes = [stays, drains].concat();
        let mut newest: AHashMap<Phone, (Time, Reverse<usize>)> = AHashMap::new();
        for (place, (_, phones)) in nodes.iter().enumerate() {
            for (phone, at) in phones.iter().flatten() {
                let here = (*at, Reverse(place));
                let best = newest.entry(*phone).or_insert(here);
                *best = (*best).max(here);
            }
        }
        let called = nodes.iter().enumerate().filter_map(|(place, (node, phones))| {
            let Some(phones) = phones.as_deref().filter(|phones| !phones.is_empty()) else {
                return Some((*node, None));
            };
            let is_here = |phone: &Phone| newest.get(phone).is_some_and(|(_, at)| at.0 == place);
            let here: Vec<Phone> = phones.iter().map(|(phone, _)| *phone).filter(is_here).collect();
            let is_whole = here.len() == phones.len();
            (!here.is_empty()).then(|| (*node, (!is_whole).then_some(here)))
        });
        called.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(0);
    const B: NodeId = NodeId(1);
    const C: NodeId = NodeId(2);

    const NOW: Time = Time::from_secs(1_000);

    /// Phones that have registered so many seconds after the start.
    fn phones(names: &[(&str, u64)]) -> Phones {
        let phones = names.iter().map(|(name, _)| Phone::of(None, name)).collect();
        let ages = names.iter().map(|(_, at)| (NOW.as_secs() - at) as f64).collect();
        Named { phones: Some(phones), ages: Some(ages) }.at(NOW)
    }

    /// Where bob is called who has these phones, while these nodes drain, and which phones at those.
    fn called(at: &[(NodeId, Phones)], drained: &[NodeId]) -> Vec<(u16, Option<Vec<Phone>>)> {
        let mut registered = Registered::default();
        for (node, phones) in at {
            assert!(registered.enter("bob@x".into(), *node, phones.clone()));
        }
        let places = registered.places("bob@x", |_| true, |node| !drained.contains(&node));
        places.into_iter().map(|(node, phones)| (node.0, phones)).collect()
    }

    fn only(name: &str) -> Option<Vec<Phone>> {
        Some(vec![Phone::of(None, name)])
    }

    #[test]
    fn all_phones_of_a_user_are_called_also_those_that_only_a_node_has_that_drains() {
        let desk_and_mobile = [(A, phones(&[("desk", 1)])), (B, phones(&[("mobile", 2)]))];
        assert_eq!(called(&desk_and_mobile, &[]), [(0, None), (1, None)]);
        assert_eq!(called(&desk_and_mobile, &[A]), [(1, None), (0, None)], "both ring");
        assert_eq!(called(&desk_and_mobile, &[A, B]), [(0, None), (1, None)]);
        let silent = [(A, phones(&[])), (B, phones(&[("desk", 1)]))];
        assert_eq!(called(&silent, &[A]), [(1, None)], "none of those there can be reached");
        assert_eq!(called(&silent, &[]), [(0, None), (1, None)]);
    }

    #[test]
    fn a_phone_that_several_nodes_have_is_called_where_it_has_registered_last_whichever_of_them_drain() {
        let moved = [(A, phones(&[("desk", 1), ("mobile", 2)])), (B, phones(&[("mobile", 3)]))];
        for drained in [&[][..], &[A, B]] {
            assert_eq!(called(&moved, drained), [(0, only("desk")), (1, None)]);
        }
        assert_eq!(called(&moved, &[A]), [(1, None), (0, only("desk"))]);
        assert_eq!(called(&moved, &[B]), [(0, only("desk")), (1, None)], "it is not to be found where it was");
        let gone = [(A, phones(&[("desk", 1)])), (B, phones(&[("desk", 2)])), (C, phones(&[("desk", 3)]))];
        for drained in [&[][..], &[A], &[C], &[A, B, C]] {
            assert_eq!(called(&gone, drained), [(2, None)]);
        }
        // Its ways through both are as old.
        let both = [(A, phones(&[("desk", 7)])), (B, phones(&[("desk", 7)]))];
        assert_eq!((called(&both, &[]), called(&both, &[A])), (vec![(0, None)], vec![(1, None)]));
    }

    #[test]
    fn of_two_registrations_of_a_phone_at_one_node_the_newer_counts() {
        let twice = [(A, phones(&[("desk", 1), ("desk", 9)])), (B, phones(&[("desk", 5)]))];
        assert_eq!(called(&twice, &[]), [(0, None)]);
        let many: Vec<(&str, u64)> = vec![("desk", 1); MAX_PHONES + 1];
        assert_eq!(phones(&many).map(|phones| phones.len()), Some(1), "that is one phone");
    }

    #[test]
    fn whoever_does_not_say_which_phones_it_has_is_called_where_it_drains_only_if_nobody_else_has_any() {
        let names: Vec<String> = (0..=MAX_PHONES).map(|n| n.to_string()).collect();
        let many = phones(&names.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>());
        let phone = Phone::of(None, "desk");
        let without_age = format!(r#"{{"phones":["{phone}"],"ages":[]}}"#);
        let of_the_future = format!(r#"{{"phones":["{phone}"],"ages":[-1]}}"#);
        let named = format!(r#"{{"phones":["{phone}"]}}"#);
        let bodies = ["", r#"{"phones":["x"],"ages":[1]}"#, &named, &without_age, &of_the_future];
        let unknown = bodies.map(|body| Named::read(NOW, body.as_bytes())).into_iter();
        for unknown in unknown.chain([None, many]) {
            assert_eq!(unknown, None);
            let (desk, mobile) = (phones(&[("desk", 1)]), phones(&[("mobile", 1)]));
            assert_eq!(called(&[(A, unknown.clone()), (B, mobile)], &[A]), [(1, None)]);
            assert_eq!(called(&[(A, desk.clone()), (B, unknown.clone())], &[A]), [(1, None)]);
            assert_eq!(called(&[(A, desk), (B, unknown.clone())], &[]), [(0, None), (1, None)]);
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
