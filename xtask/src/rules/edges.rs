//! Who may import whom. The table is the layout; `cargo metadata` says what is so.

use crate::violation::Violation;
use crate::workspace::{Crate, Workspace, ring_of};

const RULE: &str = "edges";

/// What a crate may import of ours.
enum May {
    /// These folders only.
    Only(&'static [&'static str]),
    /// Every crate in rings below this one, plus these folders.
    RingsBelow(u8, &'static [&'static str]),
}

/// One row per crate. A crate without a row is a breach, and so is a row without a crate.
const IMPORTS: &[(&str, May)] = &[
    ("crates/wire/sip-msg", May::Only(&[])),
    ("crates/wire/sdp", May::Only(&[])),
    ("crates/wire/rtp", May::Only(&[])),
    ("crates/wire/codec", May::Only(&[])),
    ("crates/core/call", May::Only(&[])),
    ("crates/core/sip", May::Only(&["crates/wire/sip-msg"])),
    ("crates/core/media", May::Only(&["crates/core/call", "crates/wire/sdp", "crates/wire/rtp", "crates/wire/codec"])),
    ("crates/edge/dialect", May::Only(&["crates/core/call"])),
    (
        "crates/edge/b2bua",
        May::Only(&["crates/core/call", "crates/core/sip", "crates/wire/sip-msg", "crates/wire/sdp"]),
    ),
    ("crates/edge/channels", May::Only(&["crates/core/call", "crates/wire/sdp"])),
    ("crates/edge/opensips", May::Only(&["crates/core/call"])),
    ("crates/edge/mediaswitch", May::Only(&["crates/core/call", "crates/wire/sdp"])),
    // The other side of `mediaswitch` and `channels`: it writes what those read.
    (
        "crates/edge/nodes",
        May::Only(&[
            "crates/core/call",
            "crates/core/media",
            "crates/edge/channels",
            "crates/edge/mediaswitch",
            "crates/wire/sdp",
        ]),
    ),
    // OpenSIPS's side of the wire, told by nothing but captures and rules: it may not know ours.
    ("crates/edge/opensips-sim", May::Only(&[])),
    // The composition of rings 0-2: one shard, still without I/O.
    (
        "crates/edge/shard",
        May::RingsBelow(
            2,
            &[
                "crates/edge/dialect",
                "crates/edge/b2bua",
                "crates/edge/channels",
                "crates/edge/mediaswitch",
                "crates/edge/nodes",
                "crates/edge/opensips",
            ],
        ),
    ),
    (
        "crates/edge/phone",
        May::Only(&[
            "crates/core/sip",
            "crates/core/media",
            "crates/wire/sip-msg",
            "crates/wire/sdp",
            "crates/wire/rtp",
            "crates/wire/codec",
        ]),
    ),
    ("crates/io/net", May::Only(&[])),
    ("crates/io/store", May::Only(&["crates/core/call"])),
    ("crates/io/drive", May::RingsBelow(3, &["crates/io/net", "crates/io/store"])),
    ("crates/app/cli", May::RingsBelow(4, &[])),
    ("crates/app/server", May::RingsBelow(4, &["crates/app/cli"])),
    ("lab", May::RingsBelow(3, &[])),
    ("xtask", May::Only(&[])),
];

/// The simulator may be a dev-dependency of anything.
const LAB: &str = "lab";

/// Dev-dependencies beyond a crate's own row: who, whom, why.
const DEV_EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// Every import of one of our crates must stand in the table.
pub fn check(workspace: &Workspace) -> Vec<Violation> {
    let mut found = against(&workspace.crates, IMPORTS);
    for (folder, _) in IMPORTS {
        if !workspace.crates.iter().any(|member| member.folder == *folder) {
            let advice = format!("no crate stands in {folder}: drop its row from IMPORTS");
            found.push(Violation::new("xtask/src/rules/edges.rs", 1, RULE, advice));
        }
    }
    found
}

fn against(crates: &[Crate], table: &[(&str, May)]) -> Vec<Violation> {
    let mut found = Vec::new();
    for member in crates {
        let manifest = format!("{}/Cargo.toml", member.folder);
        let mut breach = |advice: String| found.push(Violation::new(&manifest, 1, RULE, advice));
        let Some((_, may)) = table.iter().find(|(folder, _)| *folder == member.folder) else {
            breach(format!("add a row for {} to IMPORTS in xtask/src/rules/edges.rs", member.folder));
            continue;
        };
        for target in ours(crates, &member.dependencies) {
            if !allows(may, &target.folder) {
                breach(format!("{} may not import {}: see IMPORTS", member.folder, target.folder));
            }
        }
        for target in ours(crates, &member.dev_dependencies) {
            let excepted = DEV_EXCEPTIONS.iter().any(|(who, whom, _)| *who == member.folder && *whom == target.folder);
            if target.folder != LAB && !excepted && !allows(may, &target.folder) {
                breach(format!(
                    "{} may not import {} for its tests: use {LAB}, or add a reason to DEV_EXCEPTIONS",
                    member.folder, target.folder
                ));
            }
        }
    }
    found
}

fn ours<'a>(crates: &'a [Crate], names: &'a [String]) -> impl Iterator<Item = &'a Crate> {
    names.iter().filter_map(|name| crates.iter().find(|member| member.name == *name))
}

fn allows(may: &May, folder: &str) -> bool {
    match may {
        May::Only(folders) => folders.contains(&folder),
        May::RingsBelow(ring, also) => also.contains(&folder) || ring_of(folder).is_some_and(|target| target < *ring),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::plant::member;

    const TABLE: &[(&str, May)] = &[
        ("crates/wire/sdp", May::Only(&[])),
        ("crates/core/call", May::Only(&[])),
        ("crates/edge/dialect", May::Only(&["crates/core/call"])),
        ("crates/edge/shard", May::RingsBelow(2, &["crates/edge/dialect"])),
        ("lab", May::RingsBelow(3, &[])),
    ];

    fn breaches(changed: Crate) -> Vec<String> {
        let mut crates = vec![
            member("sdp", "crates/wire/sdp", &["memchr"], &["lab"]),
            member("call", "crates/core/call", &[], &["lab"]),
            member("dialect", "crates/edge/dialect", &["call"], &["lab"]),
            member("shard", "crates/edge/shard", &["call", "sdp", "dialect"], &[]),
            member("lab", "lab", &["shard"], &[]),
        ];
        crates.retain(|member| member.folder != changed.folder);
        crates.push(changed);
        against(&crates, TABLE).into_iter().map(|violation| violation.to_string()).collect()
    }

    #[test]
    fn the_layout_as_it_should_be_is_clean() {
        assert!(breaches(member("lab", "lab", &["shard"], &[])).is_empty());
    }

    #[test]
    fn a_core_crate_that_imports_an_edge_is_caught() {
        let found = breaches(member("call", "crates/core/call", &["dialect"], &[]));
        assert_eq!(
            found,
            ["crates/core/call/Cargo.toml:1: edges: crates/core/call may not import crates/edge/dialect: see IMPORTS"]
        );
    }

    #[test]
    fn a_neighbour_in_the_same_ring_is_caught_too() {
        assert_eq!(breaches(member("dialect", "crates/edge/dialect", &["call", "shard"], &[])).len(), 1);
    }

    #[test]
    fn tests_may_use_the_simulator_and_nothing_else() {
        let found = breaches(member("sdp", "crates/wire/sdp", &[], &["lab", "call"]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("for its tests"), "{found:?}");
    }

    #[test]
    fn a_product_crate_may_not_link_the_simulator() {
        assert_eq!(breaches(member("call", "crates/core/call", &["lab"], &[])).len(), 1);
    }

    #[test]
    fn a_crate_without_a_row_and_a_row_without_a_crate_are_caught() {
        assert!(breaches(member("new", "crates/io/new", &[], &[]))[0].contains("add a row"));
        let alone = Workspace { crates: vec![member("sdp", "crates/wire/sdp", &[], &[])], ..Default::default() };
        assert_eq!(check(&alone).len(), IMPORTS.len() - 1);
    }
}
