//! What rings 0-2 may reach through third-party crates: no runtime, no socket, no clock, no randomness.

use std::collections::{BTreeMap, BTreeSet};

use crate::violation::Violation;
use crate::workspace::{Crate, Node, Workspace};

const RULE: &str = "reach";

/// Packages that bring what rings 0-2 must not have.
const BANNED: &[(&str, &str)] = &[
    ("async-std", "a runtime"),
    ("axum", "HTTP"),
    ("chrono", "a clock"),
    ("fastrand", "randomness"),
    ("futures-executor", "a runtime"),
    ("getrandom", "randomness"),
    ("hyper", "HTTP"),
    ("jiff", "a clock"),
    ("libc", "system calls"),
    ("mio", "sockets"),
    ("nix", "system calls"),
    ("parking_lot", "locks"),
    ("polling", "sockets"),
    ("quanta", "a clock"),
    ("rand", "randomness"),
    ("rayon", "threads"),
    ("redb", "files"),
    ("reqwest", "HTTP"),
    ("rustix", "system calls"),
    ("smol", "a runtime"),
    ("socket2", "sockets"),
    ("time", "a clock"),
    ("tokio", "a runtime"),
    ("tracing-subscriber", "files and locks"),
    ("tungstenite", "sockets"),
    ("uuid", "randomness"),
];

/// Edges that are known and harmless: who, whom, why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("ahash", "getrandom", "keys the hash tables against flooding; the order of a table is never an output"),
    ("cpufeatures", "libc", "asks the processor what it can do, once"),
];

/// No crate of rings 0-2 may reach a banned package.
pub fn check(workspace: &Workspace) -> Vec<Violation> {
    workspace.inner_crates().flat_map(|member| reached(member, &workspace.graph)).collect()
}

fn reached(member: &Crate, graph: &BTreeMap<String, Node>) -> Vec<Violation> {
    let Some(start) = graph.iter().find(|(_, node)| node.name == member.name).map(|(id, _)| id) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut seen = BTreeSet::from([start]);
    let mut open = vec![(start, member.name.clone())];
    while let Some((id, path)) = open.pop() {
        let Some(node) = graph.get(id) else { continue };
        for next in &node.dependencies {
            let Some(target) = graph.get(next) else {
                continue;
            };
            let excepted = EXCEPTIONS.iter().any(|(who, whom, _)| *who == node.name && *whom == target.name);
            if excepted || !seen.insert(next) {
                continue;
            }
            let path = format!("{path} > {}", target.name);
            if let Some((name, what)) = BANNED.iter().find(|(name, _)| *name == target.name) {
                let advice = format!("rings 0-2 have no {what}: drop {name} ({path})", what = bare(what));
                found.push(Violation::new(&format!("{}/Cargo.toml", member.folder), 1, RULE, advice));
            } else {
                open.push((next, path));
            }
        }
    }
    found
}

fn bare(what: &str) -> &str {
    what.strip_prefix("a ").unwrap_or(what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::plant::member;

    fn workspace(folder: &str, edges: &[(&str, &[&str])]) -> Workspace {
        let graph = edges.iter().map(|(name, to)| {
            let dependencies = to.iter().map(|name| (*name).to_owned()).collect();
            ((*name).to_owned(), Node { name: (*name).to_owned(), dependencies })
        });
        let crates = vec![member("ours", folder, &[], &[])];
        Workspace { crates, graph: graph.collect(), ..Workspace::default() }
    }

    #[test]
    fn a_runtime_behind_two_crates_is_found_with_its_path() {
        let edges: &[(&str, &[&str])] = &[("ours", &["a"]), ("a", &["b"]), ("b", &["tokio"]), ("tokio", &[])];
        let found = check(&workspace("crates/core/call", edges));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].advice, "rings 0-2 have no runtime: drop tokio (ours > a > b > tokio)");
        assert_eq!(found[0].path, "crates/core/call/Cargo.toml");
    }

    #[test]
    fn ring_3_may_have_it() {
        let edges: &[(&str, &[&str])] = &[("ours", &["tokio"]), ("tokio", &[])];
        assert!(check(&workspace("crates/io/net", edges)).is_empty());
        assert_eq!(check(&workspace("crates/edge/shard", edges)).len(), 1);
    }

    #[test]
    fn an_exception_holds_for_its_own_edge_only() {
        let edges: &[(&str, &[&str])] = &[("ours", &["ahash"]), ("ahash", &["getrandom"]), ("getrandom", &[])];
        assert!(check(&workspace("crates/core/sip", edges)).is_empty());
        let edges: &[(&str, &[&str])] = &[("ours", &["ahash", "getrandom"]), ("ahash", &[]), ("getrandom", &[])];
        assert_eq!(check(&workspace("crates/core/sip", edges)).len(), 1);
    }

    #[test]
    fn a_cycle_ends() {
        let edges: &[(&str, &[&str])] = &[("ours", &["a"]), ("a", &["ours", "mio"]), ("mio", &[])];
        assert_eq!(check(&workspace("crates/wire/rtp", edges)).len(), 1);
    }
}
