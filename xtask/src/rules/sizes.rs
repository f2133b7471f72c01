//! Functions of at most 70 lines, files of at most 600. What is over already stands in `xtask/ratchet.toml` with its
//! size, and may only shrink: growing is a breach, and so is an entry that is larger than the truth.

use std::collections::BTreeMap;

use crate::tokens::{functions, tokens};
use crate::violation::Violation;
use crate::workspace::Workspace;

const RULE: &str = "sizes";

/// Longest function, in lines from `fn` to the closing brace.
const FUNCTION_LINES: usize = 70;
/// Longest file, in lines, tests included.
const FILE_LINES: usize = 600;
/// Where the offenders stand.
const RATCHET: &str = "xtask/ratchet.toml";

/// An entry of the ratchet file: its section's name, the line it starts on, its keys.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    section: String,
    line: usize,
    keys: BTreeMap<String, String>,
}

impl Entry {
    fn get(&self, key: &str) -> &str {
        self.keys.get(key).map(String::as_str).unwrap_or_default()
    }

    fn lines(&self) -> usize {
        self.get("lines").parse().unwrap_or(0)
    }

    fn is_for(&self, size: &Size) -> bool {
        self.section == size.section && self.get("path") == size.path && self.get("name") == size.name
    }

    /// A table entry with a name exempts that function, one without exempts the file and all in it.
    fn exempts(&self, size: &Size) -> bool {
        let name = self.get("name");
        self.section == "table" && self.get("path") == size.path && (name.is_empty() || name == size.name)
    }
}

/// A function or file that is over its limit.
struct Size {
    section: &'static str,
    path: String,
    name: String,
    line: usize,
    lines: usize,
    limit: usize,
}

/// Measures every Rust file and compares with the ratchet.
pub fn check(workspace: &Workspace) -> Vec<Violation> {
    let text = workspace.file(RATCHET).map(|file| file.text.as_str()).unwrap_or_default();
    let (entries, mut found) = parse(text);
    let (tables, offenders): (Vec<Size>, Vec<Size>) =
        measure(workspace).into_iter().partition(|size| entries.iter().any(|entry| entry.exempts(size)));
    for size in &offenders {
        let allowed = entries.iter().find(|entry| entry.is_for(size)).map_or(size.limit, Entry::lines);
        if size.lines > allowed {
            let what = if size.name.is_empty() { "file".to_owned() } else { format!("`{}`", size.name) };
            let advice = format!("{what} has {} lines, {allowed} are allowed: split it", size.lines);
            found.push(Violation::new(&size.path, size.line, RULE, advice));
        }
    }
    for entry in &entries {
        let covered = if entry.section == "table" { &tables } else { &offenders };
        found.extend(stale(entry, covered, workspace));
    }
    found
}

fn measure(workspace: &Workspace) -> Vec<Size> {
    let mut over = Vec::new();
    for file in workspace.rust_files() {
        let lines = file.text.lines().count();
        if lines > FILE_LINES {
            over.push(Size {
                section: "file",
                path: file.path.clone(),
                name: String::new(),
                line: 1,
                lines,
                limit: FILE_LINES,
            });
        }
        for function in functions(&tokens(&file.text)) {
            if function.lines > FUNCTION_LINES {
                over.push(Size {
                    section: "function",
                    path: file.path.clone(),
                    name: function.name.to_owned(),
                    line: function.line,
                    lines: function.lines,
                    limit: FUNCTION_LINES,
                });
            }
        }
    }
    over
}

/// An entry must be true: its file exists, a table says why, a size is exactly the largest that it covers.
fn stale(entry: &Entry, covered: &[Size], workspace: &Workspace) -> Option<Violation> {
    let breach = |advice: String| Some(Violation::new(RATCHET, entry.line, RULE, advice));
    let path = entry.get("path");
    if workspace.file(path).is_none() {
        return breach(format!("no file {path}: drop the entry"));
    }
    if entry.section == "table" {
        if entry.get("reason").is_empty() {
            return breach(format!("say why {path} is a table: reason = \"...\""));
        }
        if !covered.iter().any(|size| entry.exempts(size)) {
            return breach(format!("{path} {} is within the limits: drop the entry", entry.get("name")));
        }
        return None;
    }
    let largest = covered.iter().filter(|size| entry.is_for(size)).map(|size| size.lines).max();
    match largest {
        None => breach(format!("{path} {} is within the limit now: drop the entry", entry.get("name"))),
        Some(lines) if lines < entry.lines() => breach(format!("it has shrunk: write lines = {lines}")),
        Some(_) => None,
    }
}

/// Reads `[[section]]` blocks of `key = value` lines, which is all of TOML that this file needs.
fn parse(text: &str) -> (Vec<Entry>, Vec<Violation>) {
    let mut entries: Vec<Entry> = Vec::new();
    let mut found = Vec::new();
    for (index, raw) in text.lines().enumerate() {
        let (line, content) = (index + 1, raw.trim());
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let section = content.strip_prefix("[[").and_then(|rest| rest.strip_suffix("]]"));
        if let Some(section @ ("table" | "file" | "function")) = section {
            entries.push(Entry { section: section.to_owned(), line, keys: BTreeMap::new() });
        } else if let (Some((key, value)), Some(entry)) = (content.split_once('='), entries.last_mut()) {
            entry.keys.insert(key.trim().to_owned(), value.trim().trim_matches('"').to_owned());
        } else {
            let advice = "write [[table]], [[file]] or [[function]], then `key = value` lines";
            found.push(Violation::new(RATCHET, line, RULE, advice));
        }
    }
    (entries, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::plant::files;

    fn function(name: &str, lines: usize) -> String {
        format!("fn {name}() {{\n{}}}\n", "    x();\n".repeat(lines - 2))
    }

    fn breaches(source: &str, ratchet: &str) -> Vec<String> {
        let found = check(&files(&[("a.rs", source), (RATCHET, ratchet)]));
        found.into_iter().map(|violation| violation.to_string()).collect()
    }

    #[test]
    fn a_function_at_the_limit_passes_and_one_line_more_does_not() {
        assert!(breaches(&function("f", 70), "").is_empty());
        let source = format!("\n{}", function("f", 71));
        assert_eq!(breaches(&source, ""), ["a.rs:2: sizes: `f` has 71 lines, 70 are allowed: split it"]);
    }

    #[test]
    fn a_file_at_the_limit_passes_and_one_line_more_does_not() {
        assert!(breaches(&"//\n".repeat(600), "").is_empty());
        assert_eq!(breaches(&"//\n".repeat(601), ""), ["a.rs:1: sizes: file has 601 lines, 600 are allowed: split it"]);
    }

    #[test]
    fn a_recorded_offender_may_stay_but_not_grow() {
        let ratchet = "[[function]]\npath = \"a.rs\"\nname = \"f\"\nlines = 80\n";
        assert!(breaches(&function("f", 80), ratchet).is_empty());
        assert_eq!(
            breaches(&function("f", 81), ratchet),
            ["a.rs:1: sizes: `f` has 81 lines, 80 are allowed: split it"]
        );
    }

    #[test]
    fn an_entry_that_is_too_generous_must_be_lowered_or_dropped() {
        let ratchet = "# why\n[[function]]\npath = \"a.rs\"\nname = \"f\"\nlines = 80\n";
        assert_eq!(
            breaches(&function("f", 75), ratchet),
            ["xtask/ratchet.toml:2: sizes: it has shrunk: write lines = 75"]
        );
        assert!(breaches(&function("f", 20), ratchet)[0].contains("drop the entry"));
        assert!(breaches("", "[[file]]\npath = \"gone.rs\"\nlines = 700\n")[0].contains("no file gone.rs"));
    }

    #[test]
    fn a_table_is_exempt_when_it_says_why() {
        let source = "//\n".repeat(900);
        let ratchet = "[[table]]\npath = \"a.rs\"\nreason = \"the status codes\"\n";
        assert!(breaches(&source, ratchet).is_empty());
        let found = breaches(&source, "[[table]]\npath = \"a.rs\"\n");
        assert_eq!(found, ["xtask/ratchet.toml:1: sizes: say why a.rs is a table: reason = \"...\""]);
    }

    #[test]
    fn a_table_with_a_name_exempts_that_function_only() {
        let source = format!("{}{}", function("f", 90), function("g", 90));
        let ratchet = "[[table]]\npath = \"a.rs\"\nname = \"f\"\nreason = \"the status codes\"\n";
        let found = breaches(&source, ratchet);
        assert_eq!(found, ["a.rs:91: sizes: `g` has 90 lines, 70 are allowed: split it"]);
        assert!(breaches("", ratchet)[0].contains("within the limits"));
    }

    #[test]
    fn a_line_that_is_not_understood_is_caught() {
        assert_eq!(breaches("", "[[tables]]\n").len(), 1);
        assert_eq!(breaches("", "lines = 3\n").len(), 1);
    }
}
