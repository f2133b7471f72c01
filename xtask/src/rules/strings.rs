//! Text that no tracked file may hold: unfinished work, disabled tests, paths of the machine something was built on,
//! hosts of package registries, names of writing tools.
//!
//! The texts are written in pieces here, so that this file does not hold them either.

use crate::violation::Violation;
use crate::workspace::{TextFile, Workspace};

const RULE: &str = "strings";

/// How a text counts as found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Match {
    /// Exactly, wherever it stands.
    Anywhere,
    /// Exactly, with no letter or digit beside it.
    Word,
    /// In any case of letters, with no letter or digit beside it.
    AnyCaseWord,
}

use Match::{AnyCaseWord, Anywhere, Word};

const UNFINISHED: &str = "finish it, or write an issue and leave no mark here";
const DISABLED: &str = "fix the test, or list what fails and assert that it still does";
const MACHINE: &str = "name no path of the machine it was written on";
const REGISTRY: &str = "name packages, not the hosts they come from";
const TOOL: &str = "write in the project's own voice, about the project";

/// The texts in pieces, how they match, and what to do instead.
const FORBIDDEN: &[(&[&str], Match, &str)] = &[
    (&["to", "do!("], Anywhere, UNFINISHED),
    (&["unimple", "mented!("], Anywhere, UNFINISHED),
    (&["FIX", "ME"], Word, UNFINISHED),
    (&["TO", "DO"], Word, UNFINISHED),
    (&["X", "XX"], Word, UNFINISHED),
    (&["#[ign", "ore"], Anywhere, DISABLED),
    (&["/wo", "rk/"], Anywhere, MACHINE),
    (&["/ro", "ot/"], Anywhere, MACHINE),
    (&["/tmp/de", "sign"], Anywhere, MACHINE),
    (&["/tmp/", "t-"], Anywhere, MACHINE),
    (&["../sha", "red"], Anywhere, MACHINE),
    (&["crates", ".io"], Anywhere, REGISTRY),
    (&["pypi", ".org"], Anywhere, REGISTRY),
    (&["python", "hosted.org"], Anywhere, REGISTRY),
    (&["npm", "js.org"], Anywhere, REGISTRY),
    (&["npm", "js.com"], Anywhere, REGISTRY),
    (&["deb.deb", "ian.org"], Anywhere, REGISTRY),
    (&["ftp.deb", "ian.org"], Anywhere, REGISTRY),
    (&["security.deb", "ian.org"], Anywhere, REGISTRY),
    (&["proxy.go", "lang.org"], Anywhere, REGISTRY),
    (&["clau", "de"], AnyCaseWord, TOOL),
    (&["anthro", "pic"], AnyCaseWord, TOOL),
    (&["open", "ai"], AnyCaseWord, TOOL),
    (&["chat", "gpt"], AnyCaseWord, TOOL),
    (&["co", "pilot"], AnyCaseWord, TOOL),
    (&["co-auth", "ored-by"], AnyCaseWord, TOOL),
    (&["sub", "agent"], AnyCaseWord, TOOL),
    (&["sub", "agents"], AnyCaseWord, TOOL),
    (&["language ", "model"], AnyCaseWord, TOOL),
    (&["ai-gen", "erated"], AnyCaseWord, TOOL),
    (&["iss", "ues show"], Anywhere, TOOL),
];

/// Cargo writes the registry's name into its lock files itself.
fn is_exempt(path: &str, advice: &str) -> bool {
    advice == REGISTRY && (path == "Cargo.lock" || path.ends_with("/Cargo.lock"))
}

/// Scans every tracked text file.
pub fn check(workspace: &Workspace) -> Vec<Violation> {
    workspace.files.iter().flat_map(scan).collect()
}

fn scan(file: &TextFile) -> Vec<Violation> {
    let mut found = Vec::new();
    // ASCII folding keeps every byte where it is, so places in `folded` are places in the text.
    let folded = file.text.to_ascii_lowercase();
    for (pieces, how, advice) in FORBIDDEN {
        if is_exempt(&file.path, advice) {
            continue;
        }
        let needle = pieces.concat();
        let text = if *how == AnyCaseWord { &folded } else { &file.text };
        for (at, _) in text.match_indices(&needle) {
            if *how == Anywhere || stands_alone(text, at, needle.len()) {
                let line = text[..at].bytes().filter(|byte| *byte == b'\n').count() + 1;
                found.push(Violation::new(&file.path, line, RULE, format!("`{needle}`: {advice}")));
            }
        }
    }
    found
}

fn stands_alone(text: &str, at: usize, length: usize) -> bool {
    let joins = |c: Option<char>| c.is_some_and(|c| c == '_' || c.is_alphanumeric());
    !joins(text[..at].chars().next_back()) && !joins(text[at + length..].chars().next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::plant::files;

    fn breaches(path: &str, text: &str) -> Vec<String> {
        check(&files(&[(path, text)])).into_iter().map(|violation| violation.to_string()).collect()
    }

    #[test]
    fn every_text_is_caught_on_its_line() {
        for (pieces, _, _) in FORBIDDEN {
            let text = format!("one\ntwo {} three\n", pieces.concat());
            let found = breaches("docs/a.md", &text);
            assert!(found.iter().any(|line| line.starts_with("docs/a.md:2: strings: ")), "{pieces:?}");
        }
    }

    #[test]
    fn part_of_a_longer_word_is_something_else() {
        let text = ["PRE", "FIX", "MED sip:0", "X", "XX0 x", "X", "XXx"].concat();
        assert!(breaches("docs/a.md", &text).is_empty());
    }

    #[test]
    fn a_tool_is_found_in_any_case() {
        let text = ["Written by CL", "AUDE."].concat();
        assert_eq!(breaches("docs/a.md", &text).len(), 1);
    }

    #[test]
    fn the_lock_file_may_name_its_registry_and_nothing_else_may() {
        let text = ["source = registry+", "crates", ".io-index"].concat();
        assert!(breaches("Cargo.lock", &text).is_empty());
        assert!(breaches("fuzz/Cargo.lock", &text).is_empty());
        assert_eq!(breaches("docs/guide/Cargo.lock.md", &text).len(), 1);
    }

    #[test]
    fn this_file_does_not_hold_what_it_looks_for() {
        assert!(breaches("xtask/src/rules/strings.rs", include_str!("strings.rs")).is_empty());
    }
}
