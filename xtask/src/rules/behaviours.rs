//! The list of behaviours that others have pinned down: every line of it names tests that there are, or says why
//! there is none.

use crate::violation::Violation;
use crate::workspace::Workspace;

const RULE: &str = "behaviours";

const PAGE: &str = "docs/behaviours.md";

/// How a line begins that has no test.
const RULINGS: &[&str] = &["not here: ", "later: "];

/// Looks every test up that the page names, and for a test or a ruling in every row of its tables.
pub fn check(workspace: &Workspace) -> Vec<Violation> {
    let Some(page) = workspace.file(PAGE) else {
        return vec![Violation::new(
            PAGE,
            1,
            RULE,
            "is missing: list there what others have pinned down, with our tests",
        )];
    };
    let mut found = Vec::new();
    let lines: Vec<&str> = page.text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        for name in code_in(line) {
            if let Some((member, file, test)) = parts_of(name)
                && !exists(workspace, member, file, test)
            {
                found.push(Violation::new(PAGE, index + 1, RULE, format!("there is no test `{name}`")));
            }
        }
        let is_heading = lines.get(index + 1).is_some_and(|next| next.starts_with("|-"));
        if !line.starts_with("| ") || is_heading {
            continue;
        }
        let ours = line.trim_end_matches('|').rsplit(" | ").next().unwrap_or_default().trim();
        let is_tested = code_in(ours).any(|name| parts_of(name).is_some());
        if !is_tested && !RULINGS.iter().any(|ruling| ours.starts_with(ruling)) {
            found.push(Violation::new(PAGE, index + 1, RULE, "name a test, or say why there is none"));
        }
    }
    found
}

/// What stands between backticks.
fn code_in(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The crate, the file and the function of `media/latching::name`; files are those below `tests` or `tests/all`, unless they
/// begin with `src`.
fn parts_of(name: &str) -> Option<(&str, &str, &str)> {
    let (path, test) = name.split_once("::")?;
    let (member, file) = path.split_once('/')?;
    let is_name = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-/".contains(c));
    (is_name(member) && is_name(file) && is_name(test)).then_some((member, file, test))
}

fn exists(workspace: &Workspace, member: &str, file: &str, test: &str) -> bool {
    let package = format!("hookswitch-{member}");
    let Some(folder) = workspace.crates.iter().find(|known| known.name == package).map(|known| &known.folder) else {
        return false;
    };
    // A file that is one of many in one program is called as if it stood alone.
    let below: &[&str] = if file.starts_with("src/") { &[""] } else { &["tests/", "tests/all/"] };
    let Some(file) = below.iter().find_map(|below| workspace.file(&format!("{folder}/{below}{file}.rs"))) else {
        return false;
    };
    let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
    let head = format!("fn {test}(");
    let is_it = |line: &&str| line.strip_prefix("async ").unwrap_or(line).starts_with(&head);
    let attributes = |at: usize| lines[..at].iter().rev().take_while(|line| line.starts_with('#'));
    let is_marked = |at: usize| attributes(at).any(|line| line.contains("test]"));
    // Or it is one of a list that a macro makes tests of.
    let is_listed = || file.text.contains("#[test] fn $") && lines.contains(&format!("{test},").as_str());
    (0..lines.len()).filter(|at| is_it(&lines[*at])).any(|at| is_marked(at) || is_listed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::plant::{files, member};

    const TESTS: &str =
        "#[test]\nfn it_works() {}\n\nfn no_test() {}\n\n#[test]\n#[cfg(unix)]\nfn and_this(x: u8) {}\n";

    const LISTED: &str = "fn in_a_list(x: u8) {}\n\nfn in_no_list(x: u8) {}\n\nmacro_rules! both {\n    \
                          ($($name:ident),*) => { $(#[test] fn $name() { super::$name(1); })* };\n}\n\n\
                          both! {\n    in_a_list,\n}\n";

    fn planted(page: &str) -> Vec<String> {
        let mut workspace = files(&[
            (PAGE, page),
            ("crates/core/media/tests/all.rs", TESTS),
            ("crates/core/media/src/part/tests.rs", TESTS),
            ("crates/core/media/tests/all/listed.rs", LISTED),
        ]);
        workspace.crates = vec![member("hookswitch-media", "crates/core/media", &[], &[])];
        check(&workspace).into_iter().map(|violation| violation.to_string()).collect()
    }

    #[test]
    fn tests_that_are_there_and_rulings_are_clean() {
        let page = "| what | ours |\n|---|---|\n| a | `media/all::it_works`, some words |\n\
                    | b | `media/src/part/tests::and_this` and `media/listed::in_a_list` |\n| c | not here: we have no such thing |\n\
                    | d | later: with streams |\n\n`code` and `Type::method` are no tests.\n";
        assert_eq!(planted(page), Vec::<String>::new());
    }

    #[test]
    fn a_test_that_is_not_there_is_caught() {
        for name in [
            "media/all::it_fails",
            "media/all::no_test",
            "media/gone::it_works",
            "sip/all::it_works",
            "media/listed::in_no_list",
        ] {
            let page = format!("see\n`{name}`\n");
            assert_eq!(planted(&page), [format!("{PAGE}:2: behaviours: there is no test `{name}`")]);
        }
    }

    #[test]
    fn a_line_without_test_and_reason_is_caught_and_so_is_a_missing_page() {
        let page = "| what | ours |\n|---|---|\n| a | it works |\n| b | |\n";
        assert_eq!(planted(page).len(), 2);
        assert_eq!(check(&Workspace::default()).len(), 1);
    }
}
