//! Settings that must be the same in every crate: the lints, and clippy's bans for rings 0-2.

use crate::violation::Violation;
use crate::workspace::Workspace;

const RULE: &str = "manifests";

/// Clippy looks upwards from a crate, so one file per ring folder serves all its crates.
const CLIPPY: [&str; 3] = ["crates/wire/clippy.toml", "crates/core/clippy.toml", "crates/edge/clippy.toml"];

/// Without these the files would ban nothing that matters.
const BANS: &[&str] = &[
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "std::net::UdpSocket",
    "std::sync::Mutex",
    "std::thread::spawn",
];

/// Every crate takes the workspace's lints; the three rings share one list of bans, and no crate has its own.
pub fn check(workspace: &Workspace) -> Vec<Violation> {
    let mut found = Vec::new();
    for member in &workspace.crates {
        let path = format!("{}/Cargo.toml", member.folder);
        if workspace.file(&path).is_some_and(|manifest| !inherits_lints(&manifest.text)) {
            found.push(Violation::new(&path, 1, RULE, "add `[lints]` with `workspace = true`"));
        }
    }
    found.extend(clippy_files(workspace));
    found
}

fn inherits_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    lines.find(|line| !line.is_empty()).is_some_and(|line| line == "workspace = true")
}

fn clippy_files(workspace: &Workspace) -> Vec<Violation> {
    let mut found = Vec::new();
    let first = workspace.file(CLIPPY[0]).map(|file| file.text.as_str()).unwrap_or_default();
    for path in CLIPPY {
        let Some(file) = workspace.file(path) else {
            found.push(Violation::new(path, 1, RULE, "is missing: copy it from another ring"));
            continue;
        };
        if file.text != first {
            found.push(Violation::new(path, 1, RULE, format!("make it the same as {}", CLIPPY[0])));
        }
        for ban in BANS.iter().filter(|ban| !file.text.contains(&format!("\"{ban}\""))) {
            found.push(Violation::new(path, 1, RULE, format!("ban {ban} again")));
        }
    }
    for file in &workspace.files {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let inner = ["crates/wire/", "crates/core/", "crates/edge/"].iter().any(|ring| file.path.starts_with(ring));
        let is_clippy = matches!(name, "clippy.toml" | ".clippy.toml");
        if inner && is_clippy && !CLIPPY.contains(&file.path.as_str()) {
            found.push(Violation::new(&file.path, 1, RULE, "remove it: it would replace the ring's bans"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::plant::{files, member};

    fn bans() -> String {
        BANS.iter().map(|ban| format!("{{ path = \"{ban}\" }}\n")).collect()
    }

    #[test]
    fn three_equal_files_are_clean_and_a_changed_one_is_caught() {
        let bans = bans();
        let all: Vec<(&str, &str)> = CLIPPY.iter().map(|path| (*path, bans.as_str())).collect();
        assert!(check(&files(&all)).is_empty());
        let weaker = bans.replace("std::sync::Mutex", "std::sync::Nothing");
        let found = check(&files(&[all[0], all[1], (CLIPPY[2], &weaker)]));
        let advice: Vec<_> = found.iter().map(|violation| violation.advice.as_str()).collect();
        assert_eq!(advice, ["make it the same as crates/wire/clippy.toml", "ban std::sync::Mutex again"]);
    }

    #[test]
    fn a_missing_file_and_a_crates_own_file_are_caught() {
        let bans = bans();
        let found = check(&files(&[(CLIPPY[0], &bans), (CLIPPY[1], &bans), ("crates/core/call/.clippy.toml", "")]));
        let paths: Vec<_> = found.iter().map(|violation| violation.path.as_str()).collect();
        assert_eq!(paths, [CLIPPY[2], "crates/core/call/.clippy.toml"]);
    }

    #[test]
    fn a_crate_without_the_workspace_lints_is_caught() {
        let bans = bans();
        let mut all: Vec<(&str, &str)> = CLIPPY.iter().map(|path| (*path, bans.as_str())).collect();
        all.push(("crates/io/net/Cargo.toml", "[package]\n[lints]\n\nworkspace = true\n"));
        all.push(("lab/Cargo.toml", "[package]\n[lints.rust]\nworkspace = true\n"));
        let mut workspace = files(&all);
        workspace.crates = vec![member("net", "crates/io/net", &[], &[]), member("lab", "lab", &[], &[])];
        let found = check(&workspace);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "lab/Cargo.toml");
    }
}
