//! Files and folders are named after one noun of the trade; a catch-all name collects whatever has no place.

use crate::violation::Violation;
use crate::workspace::Workspace;

const RULE: &str = "names";

const CATCH_ALL: &[&str] = &["common", "helper", "helpers", "manager", "misc", "stuff", "util", "utilities", "utils"];

/// No Rust file, and no folder that holds one, has a catch-all name.
pub fn check(workspace: &Workspace) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in workspace.rust_files() {
        let bare = file.path.trim_end_matches(".rs");
        if let Some(part) = bare.split('/').find(|part| CATCH_ALL.contains(part)) {
            let advice = format!("`{part}` says nothing: name it after what it holds");
            found.push(Violation::new(&file.path, 1, RULE, advice));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::plant::files;

    #[test]
    fn files_and_folders_with_catch_all_names_are_caught() {
        let found = check(&files(&[
            ("crates/core/sip/src/util.rs", ""),
            ("crates/core/sip/tests/common/mod.rs", ""),
            ("crates/core/sip/src/utility_bill.rs", ""),
            ("docs/common.md", ""),
        ]));
        let paths: Vec<_> = found.iter().map(|violation| violation.path.as_str()).collect();
        assert_eq!(paths, ["crates/core/sip/src/util.rs", "crates/core/sip/tests/common/mod.rs"]);
    }
}
