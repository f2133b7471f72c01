//! The house rules that a program can check. One file per rule, each with a planted breach in its tests.

mod behaviours;
mod documents;
mod edges;
mod manifests;
mod names;
mod purity;
mod reach;
mod sizes;
mod strings;
mod tools;
mod words;

use crate::violation::Violation;
use crate::workspace::Workspace;

/// What a rule found.
pub enum Found {
    /// The breaches, none when all is well.
    Breaches(Vec<Violation>),
    /// The rule could not be checked here, and why.
    Skipped(String),
}

/// A rule's check.
pub type Check = fn(&Workspace) -> Found;

/// Every rule with its name, cheap ones first.
pub const ALL: &[(&str, Check)] = &[
    ("edges", |workspace| Found::Breaches(edges::check(workspace))),
    ("reach", |workspace| Found::Breaches(reach::check(workspace))),
    ("manifests", |workspace| Found::Breaches(manifests::check(workspace))),
    ("purity", |workspace| Found::Breaches(purity::check(workspace))),
    ("words", |workspace| Found::Breaches(words::check(workspace))),
    ("sizes", |workspace| Found::Breaches(sizes::check(workspace))),
    ("names", |workspace| Found::Breaches(names::check(workspace))),
    ("strings", |workspace| Found::Breaches(strings::check(workspace))),
    ("documents", |workspace| Found::Breaches(documents::check(workspace))),
    ("behaviours", |workspace| Found::Breaches(behaviours::check(workspace))),
    ("licences", tools::licences),
    ("wasm", tools::wasm),
];

/// Workspaces for the rules' tests.
#[cfg(test)]
pub mod plant {
    use crate::workspace::{Crate, TextFile, Workspace};

    /// A workspace of these files only.
    pub fn files(files: &[(&str, &str)]) -> Workspace {
        let files = files.iter().map(|(path, text)| TextFile { path: (*path).into(), text: (*text).into() });
        Workspace { files: files.collect(), ..Workspace::default() }
    }

    /// A member with direct dependencies.
    pub fn member(name: &str, folder: &str, dependencies: &[&str], dev_dependencies: &[&str]) -> Crate {
        Crate {
            name: name.into(),
            folder: folder.into(),
            dependencies: dependencies.iter().map(|name| (*name).into()).collect(),
            dev_dependencies: dev_dependencies.iter().map(|name| (*name).into()).collect(),
            rust_version: Some("1.95".into()),
        }
    }
}
