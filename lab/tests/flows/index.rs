//! The lists of features and ladders: what they name is there, and what is there is named.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// From here on the list of ladders is made by the test below.
const ALL: &str = "## All ladders\n";

/// A ladder as a test names it.
struct Made {
    title: String,
    /// File of the test, without its ending, and its function.
    test: (String, String),
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Stems of the files in a folder with that ending.
fn stems(folder: &str, ending: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect()
}

/// The strings of a source text, as they are written.
fn strings(source: &str) -> Vec<&str> {
    source.split('"').skip(1).step_by(2).collect()
}

/// Every ladder that a test makes, by name.
fn made() -> BTreeMap<String, Made> {
    let pages = stems("docs/flows", ".md");
    let mut made = BTreeMap::new();
    for module in stems("lab/tests/flows", ".rs").iter().filter(|module| *module != "index") {
        let source = text(&root().join(format!("lab/tests/flows/{module}.rs")));
        for test in source.split("#[test]\n").skip(1) {
            let function = test.trim_start_matches("fn ").split('(').next().unwrap_or_default();
            let strings = strings(test);
            for (index, name) in strings.iter().enumerate().filter(|(_, name)| pages.contains(**name)) {
                let title = strings.get(index + 1).map_or(String::new(), |title| (*title).to_owned());
                let test = (module.clone(), function.to_owned());
                assert!(made.insert((*name).to_owned(), Made { title, test }).is_none(), "two tests make {name}");
            }
        }
    }
    made
}

/// Where the links of a page lead, without what is elsewhere.
fn links(page: &str) -> Vec<String> {
    let ends = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    ends.filter(|link| !link.contains("://"))
        .map(|link| link.split('#').next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn every_ladder_is_made_by_a_test_and_listed() {
    let made = made();
    let mut pages = stems("docs/flows", ".md");
    pages.remove("README");
    assert_eq!(pages, made.keys().cloned().collect(), "ladders on the left, tests that make one on the right");
    let mut table = String::from("\n| ladder | test in `lab/tests/flows` |\n|---|---|\n");
    for (name, Made { title, test: (module, function) }) in &made {
        table += &format!("| [{title}]({name}.md) | `{module}::{function}` |\n");
    }
    let path = root().join("docs/flows/README.md");
    let page = text(&path);
    let (head, listed) = page.split_once(ALL).expect("a list of all ladders");
    if std::env::var(crate::page::VARIABLE).is_ok_and(|what| what == "write") {
        fs::write(&path, format!("{head}{ALL}{table}")).expect("the page can be written");
        return;
    }
    assert!(listed == table, "docs/flows/README.md lists other ladders than there are:\n{table}");
}

#[test]
fn every_feature_has_a_page_and_a_ladder() {
    let page = text(&root().join("docs/features.md"));
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| feature"));
    let mut ladders = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [feature, described, shown] = cells[..] else { panic!("three cells: {row}") };
        assert!(!links(described).is_empty() && !links(shown).is_empty(), "{feature} has no page or no ladder");
        assert!(links(shown).iter().all(|link| link.starts_with("flows/")), "{feature}: {shown}");
        for link in [links(described), links(shown)].concat() {
            assert!(root().join("docs").join(&link).is_file(), "{feature}: there is no docs/{link}");
        }
        ladders.extend(links(shown).iter().map(|link| link.replace("flows/", "").replace(".md", "")));
    }
    let made: BTreeSet<String> = made().into_keys().collect();
    assert_eq!(made.difference(&ladders).collect::<Vec<_>>(), Vec::<&String>::new(), "ladders of no feature");
}

#[test]
fn every_page_of_a_feature_leads_somewhere() {
    for name in stems("docs", ".md") {
        let page = text(&root().join(format!("docs/{name}.md")));
        for link in links(&page).iter().filter(|link| !link.is_empty()) {
            assert!(root().join("docs").join(link).exists(), "docs/{name}.md: there is no {link}");
        }
    }
}
