//! The order in which hosts of a service are tried (RFC 2782), and chance that can be repeated.

use super::record::Srv;

/// A stream of numbers that looks random and follows from its seed (SplitMix64). Not for secrets.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// Chance for one name under one seed: the same two give the same numbers.
    pub fn new(seed: u64, name: &str) -> Chance {
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Chance(name.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, mix))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, near enough to evenly.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next() % bound as u64) as usize }
    }
}

/// The records by priority, and within one priority by chance according to their weights (RFC 2782, "Usage rules").
pub(super) fn by_weight<'r>(records: &'r [Srv], chance: &mut Chance) -> Vec<&'r Srv> {
    let mut sorted: Vec<&Srv> = records.iter().collect();
    // Where all weights are zero the first would always win, so those too are shuffled.
    for at in (1..sorted.len()).rev() {
        sorted.swap(at, chance.below(at + 1));
    }
    // Weight zero comes first, so that it has a small chance and no more.
    sorted.sort_by_key(|srv| (srv.priority, srv.weight > 0));
    let mut ordered = Vec::with_capacity(sorted.len());
    for group in sorted.chunk_by(|a, b| a.priority == b.priority) {
        let mut left = group.to_vec();
        while !left.is_empty() {
            let sum: usize = left.iter().map(|srv| usize::from(srv.weight)).sum();
            let mark = chance.below(sum + 1);
            let mut running = 0;
            let chosen = left.iter().position(|srv| {
                running += usize::from(srv.weight);
                running >= mark
            });
            // The running sum of the last one is the whole sum, which the mark does not exceed.
            ordered.push(left.remove(chosen.unwrap_or(0)));
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn srv(priority: u16, weight: u16, target: &str) -> Srv {
        Srv { priority, weight, port: 5060, target: target.into() }
    }

    fn share_of_firsts(records: &[Srv], target: &str) -> f64 {
        const ROUNDS: u64 = 20_000;
        let first = |seed| by_weight(records, &mut Chance::new(seed, "x"))[0].target == target;
        (0..ROUNDS).filter(|seed| first(*seed)).count() as f64 / ROUNDS as f64
    }

    #[test]
    fn in_the_example_of_rfc_2782_the_new_box_gets_most_and_a_backup_comes_last() {
        // "foobar ... new-fast-box 3, old-slow-box 1, and two backups of priority 1".
        let records = [srv(0, 1, "old"), srv(0, 3, "new"), srv(1, 0, "sysadmins"), srv(1, 0, "server")];
        // The mark runs from 0 to 4 and includes both, so the old box has two of the five where it stands first and
        // one where it stands second: 3/10. RFC 2782 has it so.
        let old = share_of_firsts(&records, "old");
        assert!((0.28..0.32).contains(&old), "{old}");
        assert!(share_of_firsts(&records, "new") + old > 0.999);
        for seed in 0..1_000 {
            let order = by_weight(&records, &mut Chance::new(seed, "x"));
            assert!(order[..2].iter().all(|srv| srv.priority == 0) && order[2..].iter().all(|srv| srv.priority == 1));
        }
    }

    #[test]
    fn shares_follow_the_weights_and_zero_has_a_very_small_chance() {
        let records = [srv(5, 60, "a"), srv(5, 30, "b"), srv(5, 10, "c"), srv(5, 0, "never")];
        for (target, share) in [("a", 0.6), ("b", 0.3), ("c", 0.1)] {
            let got = share_of_firsts(&records, target);
            assert!((got - share).abs() < 0.03, "{target}: {got}");
        }
        let never = share_of_firsts(&records, "never");
        assert!(never > 0.0 && never < 0.02, "{never}");
    }

    #[test]
    fn equal_hosts_share_evenly_whether_they_weigh_nothing_or_the_most() {
        for weight in [0, u16::MAX] {
            let records = [srv(0, weight, "a"), srv(0, weight, "b"), srv(0, weight, "c"), srv(0, weight, "d")];
            for target in ["a", "b", "c", "d"] {
                let got = share_of_firsts(&records, target);
                assert!((got - 0.25).abs() < 0.02, "{weight} {target}: {got}");
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_order_and_every_host_once() {
        let records: Vec<Srv> = (0..20).map(|n| srv(n % 3, n * 7, &format!("h{n}"))).collect();
        let order = |seed| by_weight(&records, &mut Chance::new(seed, "x"));
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        let mut names: Vec<_> = order(3).iter().map(|srv| srv.target.clone()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 20);
    }
}
