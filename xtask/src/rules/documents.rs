//! Documents that can drift: the Rust version in the README, the table of crates in ARCHITECTURE.md, relative links,
//! the changelog's place for what is not released yet.

use std::path::Path;

use crate::violation::Violation;
use crate::workspace::Workspace;

const RULE: &str = "documents";

/// Compares the documents with the workspace.
pub fn check(workspace: &Workspace) -> Vec<Violation> {
    let mut found = Vec::new();
    found.extend(rust_version(workspace));
    found.extend(crate_table(workspace));
    found.extend(changelog(workspace));
    found.extend(links(workspace));
    found
}

fn missing(path: &str) -> Vec<Violation> {
    vec![Violation::new(path, 1, RULE, "is missing: write it")]
}

/// Every `Rust 1.xx` in the README is the workspace's `rust-version`, and there is at least one.
fn rust_version(workspace: &Workspace) -> Vec<Violation> {
    const README: &str = "README.md";
    let Some(readme) = workspace.file(README) else {
        return missing(README);
    };
    let Some(expected) = workspace.crates.iter().find_map(|member| member.rust_version.clone()) else {
        return vec![Violation::new("Cargo.toml", 1, RULE, "say rust-version in [workspace.package]")];
    };
    let mut found = Vec::new();
    let mut mentions = 0;
    for (index, line) in readme.text.lines().enumerate() {
        for version in versions_in(line) {
            mentions += 1;
            if version != expected {
                let advice = format!("says Rust {version}, Cargo.toml says {expected}");
                found.push(Violation::new(README, index + 1, RULE, advice));
            }
        }
    }
    if mentions == 0 {
        found.push(Violation::new(README, 1, RULE, format!("say that it needs Rust {expected}")));
    }
    found
}

/// The `1.95` of each `Rust 1.95` in a line; a third number is left out.
fn versions_in(line: &str) -> Vec<String> {
    let version = |rest: &str| {
        let end = rest.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len());
        let mut numbers = rest[..end].split('.').filter(|number| !number.is_empty());
        Some(format!("{}.{}", numbers.next()?, numbers.next()?))
    };
    line.split("Rust ").skip(1).filter_map(version).collect()
}

/// A table row of ARCHITECTURE.md names every crate's folder.
fn crate_table(workspace: &Workspace) -> Vec<Violation> {
    const ARCHITECTURE: &str = "ARCHITECTURE.md";
    let Some(document) = workspace.file(ARCHITECTURE) else {
        return missing(ARCHITECTURE);
    };
    let rows: Vec<&str> = document.text.lines().filter(|line| line.trim_start().starts_with('|')).collect();
    let mut found = Vec::new();
    for member in &workspace.crates {
        let folder = member.folder.strip_prefix("crates/").unwrap_or(&member.folder);
        if !rows.iter().any(|row| has_path(row, folder)) {
            let advice = format!("add a row for {} to the table of crates", member.folder);
            found.push(Violation::new(ARCHITECTURE, 1, RULE, advice));
        }
    }
    found
}

/// Whether `row` names `folder`, as a whole path.
fn has_path(row: &str, folder: &str) -> bool {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
    row.match_indices(folder)
        .any(|(at, _)| !joins(row[..at].chars().next_back()) && !joins(row[at + folder.len()..].chars().next()))
}

fn changelog(workspace: &Workspace) -> Vec<Violation> {
    const CHANGELOG: &str = "CHANGELOG.md";
    let Some(document) = workspace.file(CHANGELOG) else {
        return missing(CHANGELOG);
    };
    if document.text.lines().any(|line| line.starts_with("## ") && line.contains("Unreleased")) {
        return Vec::new();
    }
    vec![Violation::new(CHANGELOG, 1, RULE, "add a section `## Unreleased`")]
}

/// Every relative link of every Markdown file leads to something that exists.
fn links(workspace: &Workspace) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in workspace.files.iter().filter(|file| file.path.ends_with(".md")) {
        let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
        for (line, target) in relative_links(&file.text) {
            let exists = match target.strip_prefix('/') {
                Some(from_root) => workspace.root.join(from_root).exists(),
                None => workspace.root.join(folder).join(target).exists(),
            };
            if !exists {
                found.push(Violation::new(&file.path, line, RULE, format!("`{target}` does not exist")));
            }
        }
    }
    found
}

/// The targets of `](...)` outside of code, without their `#fragment`, when they are paths.
fn relative_links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            // An odd number of backticks before it: the brackets are code.
            if line[..at].matches('`').count() % 2 == 1 {
                continue;
            }
            let target = line[at + 2..].split([')', ' ', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains(':') {
                found.push((index + 1, target));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::plant::{files, member};

    fn planted(readme: &str, architecture: &str, changelog: &str) -> Vec<String> {
        let mut workspace =
            files(&[("README.md", readme), ("ARCHITECTURE.md", architecture), ("CHANGELOG.md", changelog)]);
        workspace.crates = vec![member("sdp", "crates/wire/sdp", &[], &[]), member("lab", "lab", &[], &[])];
        workspace.root = Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf();
        check(&workspace).into_iter().map(|violation| violation.to_string()).collect()
    }

    const README: &str = "Needs Rust 1.95.";
    const ARCHITECTURE: &str = "| `wire/sdp` | 0 |\n| `lab` | dev |\n";
    const CHANGELOG: &str = "# Changelog\n\n## Unreleased\n";

    #[test]
    fn documents_that_tell_the_truth_are_clean() {
        assert!(planted(README, ARCHITECTURE, CHANGELOG).is_empty());
        assert!(planted("Rust 1.95.0 or later", ARCHITECTURE, CHANGELOG).is_empty());
    }

    #[test]
    fn another_rust_version_is_caught_and_none_as_well() {
        let found = planted("x\nRust 1.80, in words: Rust 1.95", ARCHITECTURE, CHANGELOG);
        assert_eq!(found, ["README.md:2: documents: says Rust 1.80, Cargo.toml says 1.95"]);
        assert_eq!(planted("Rust is needed.", ARCHITECTURE, CHANGELOG).len(), 1);
    }

    #[test]
    fn a_crate_outside_the_table_is_caught() {
        let found = planted(README, "| `wire/sdp-old` | and lab in words |\nlab\n", CHANGELOG);
        assert_eq!(found, ["ARCHITECTURE.md:1: documents: add a row for crates/wire/sdp to the table of crates"]);
        assert_eq!(planted(README, "wire/sdp, lab", CHANGELOG).len(), 2);
    }

    #[test]
    fn a_changelog_without_a_place_for_new_lines_is_caught() {
        assert_eq!(planted(README, ARCHITECTURE, "# Changelog\n## 0.1.0\nUnreleased\n").len(), 1);
    }

    #[test]
    fn a_missing_document_is_caught() {
        let found = check(&Workspace::default());
        let paths: Vec<_> = found.iter().map(|violation| violation.path.as_str()).collect();
        assert_eq!(paths, ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"]);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_caught() {
        let readme = "Rust 1.95\n[a](src/main.rs#x) [`b`](/Cargo.toml) [c](https://x.test/y) [d](#top)\n\
                      `[e](no.md)`\n```\n[f](no.md)\n```\n[g](gone.md) [h](src)\n";
        let found = planted(readme, ARCHITECTURE, CHANGELOG);
        assert_eq!(found, ["README.md:7: documents: `gone.md` does not exist"]);
    }
}
