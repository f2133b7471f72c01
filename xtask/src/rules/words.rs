//! The waist's words are exhaustive: `Command`, `Event`, `Op` and `Report` of the call crate carry no
//! `#[non_exhaustive]`, and a `match` on them has no arm that takes whatever is left. So the compiler lists everything
//! that a new word has to decide.
//!
//! A place that waits for one word only says so with `if let` or `matches!`.

use crate::tokens::{Kind, Token, close_of, find_outside, is_test_path, tokens, without_tests};
use crate::violation::Violation;
use crate::workspace::{TextFile, Workspace};

const RULE: &str = "words";

const WORDS: [&str; 4] = ["Command", "Event", "Op", "Report"];

/// The crate that defines the words, as a folder and as a path segment.
const HOME: &str = "crates/core/call/";
const CRATE: &str = "hookswitch_call";
/// Segments that may stand before a word that was not imported by itself.
const QUALIFIERS: [&str; 3] = [CRATE, "call", "words"];

/// Scans every Rust file but the tests: a test may well look for one word among all.
pub fn check(workspace: &Workspace) -> Vec<Violation> {
    workspace.rust_files().filter(|file| !is_test_path(&file.path)).flat_map(scan).collect()
}

fn scan(file: &TextFile) -> Vec<Violation> {
    let all = tokens(&file.text);
    let code = without_tests(&all);
    let at_home = file.path.starts_with(HOME);
    let names = local_names(&code, at_home);
    let mut found = Vec::new();
    for (index, _) in code.iter().enumerate().filter(|(_, token)| token.is("match")) {
        let arms = arms(&code, index);
        if !arms.iter().any(|arm| names_a_word(arm, &names)) {
            continue;
        }
        for arm in arms.iter().filter(|arm| takes_the_rest(arm)) {
            let advice = "no arm for the rest in a match on the call's words: name each one, or use `if let`";
            found.push(Violation::new(&file.path, arm[0].line, RULE, advice));
        }
    }
    if at_home {
        found.extend(open_enums(&code).into_iter().map(|(name, line)| {
            Violation::new(&file.path, line, RULE, format!("`{name}` is exhaustive: drop the attribute"))
        }));
    }
    found
}

/// The names under which the words are in scope in this file.
fn local_names<'a>(code: &[Token<'a>], at_home: bool) -> Vec<&'a str> {
    let mut names: Vec<&str> = if at_home { WORDS.to_vec() } else { Vec::new() };
    for (index, _) in code.iter().enumerate().filter(|(_, token)| token.is("use")) {
        let end = find_outside(code, index, |token| token.is(";")).unwrap_or(code.len());
        let import = &code[index..end];
        if !at_home && !import.iter().any(|token| token.is(CRATE)) {
            continue;
        }
        if import.iter().any(|token| token.is("*")) {
            names.extend(WORDS);
        }
        for (at, token) in import.iter().enumerate().filter(|(_, token)| WORDS.contains(&token.text)) {
            let alias = import.get(at + 1).filter(|next| next.is("as")).and_then(|_| import.get(at + 2));
            names.push(alias.unwrap_or(token).text);
        }
    }
    names
}

/// The patterns of the `match` at `index`, guards and attributes included.
fn arms<'t, 'a>(code: &'t [Token<'a>], index: usize) -> Vec<&'t [Token<'a>]> {
    let Some(open) = find_outside(code, index + 1, |token| token.is("{")) else {
        return Vec::new();
    };
    let end = close_of(code, open);
    let mut arms = Vec::new();
    let (mut start, mut at) = (open + 1, open + 1);
    while at < end {
        let token = &code[at];
        if token.is("=>") {
            if start < at {
                arms.push(&code[start..at]);
            }
            if code[at + 1].is("{") {
                // A block ends its arm, with or without a comma.
                at = close_of(code, at + 1);
                start = at + 1;
            }
        } else if token.is(",") {
            // No pattern has a bare comma, so whatever stood before belongs to the arm before.
            start = at + 1;
        } else if token.is("(") || token.is("[") || token.is("{") {
            at = close_of(code, at);
        }
        at += 1;
    }
    arms
}

fn names_a_word(arm: &[Token<'_>], names: &[&str]) -> bool {
    arm.iter().enumerate().any(|(at, token)| {
        let followed = arm.get(at + 1).is_some_and(|next| next.is("::"));
        if token.kind != Kind::Word || !followed {
            return false;
        }
        let qualified = at >= 2 && arm[at - 1].is("::");
        if qualified {
            WORDS.contains(&token.text) && QUALIFIERS.contains(&arm[at - 2].text)
        } else {
            names.contains(&token.text)
        }
    })
}

/// Whether one alternative of the pattern is `_`, a plain binding, or a tuple of these, with no guard.
fn takes_the_rest(arm: &[Token<'_>]) -> bool {
    let pattern = without_attributes(arm);
    if pattern.iter().any(|token| token.is("if")) {
        return false;
    }
    pattern.split(|token| token.is("|")).any(is_open)
}

fn is_open(pattern: &[Token<'_>]) -> bool {
    match pattern {
        [first, rest @ ..] if (first.is("ref") || first.is("mut") || first.is("&")) && !rest.is_empty() => {
            is_open(rest)
        }
        [one] => one.kind == Kind::Word && is_binding(one.text),
        [open, inner @ .., close] if open.is("(") && close.is(")") => {
            inner.split(|token| token.is(",")).filter(|part| !part.is_empty()).all(is_open)
        }
        [name, at, rest @ ..] if name.kind == Kind::Word && at.is("@") => is_open(rest),
        _ => false,
    }
}

fn is_binding(word: &str) -> bool {
    !matches!(word, "true" | "false") && word.starts_with(|first: char| first == '_' || first.is_lowercase())
}

fn without_attributes<'t, 'a>(arm: &'t [Token<'a>]) -> &'t [Token<'a>] {
    let mut rest = arm;
    while rest.len() > 2 && rest[0].is("#") && rest[1].is("[") {
        rest = &rest[close_of(rest, 1) + 1..];
    }
    rest
}

/// The four enums that are marked `#[non_exhaustive]`, with their lines.
fn open_enums<'a>(code: &[Token<'a>]) -> Vec<(&'a str, usize)> {
    let mut found = Vec::new();
    let (mut at, mut marked) = (0, false);
    while at < code.len() {
        if code[at].is("#") && code.get(at + 1).is_some_and(|next| next.is("[")) {
            let close = close_of(code, at + 1);
            marked |= code[at..close].iter().any(|token| token.is("non_exhaustive"));
            at = close;
        } else if code[at].is("enum") {
            let name = code.get(at + 1).filter(|name| marked && WORDS.contains(&name.text));
            found.extend(name.map(|name| (name.text, name.line)));
            marked = false;
        } else if !matches!(code[at].text, "pub" | "(" | ")" | "crate") {
            marked = false;
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::plant::files;

    fn lines(path: &str, source: &str) -> Vec<usize> {
        check(&files(&[(path, source)])).iter().map(|violation| violation.line).collect()
    }

    fn in_edge(body: &str) -> Vec<usize> {
        let source = format!("use hookswitch_call::{{Op, Report as R}};\nfn f() {{\n{body}\n}}\n");
        lines("crates/edge/b2bua/src/outbound.rs", &source)
    }

    #[test]
    fn an_underscore_beside_a_word_is_caught() {
        assert_eq!(in_edge("match op {\n Op::Answer { sdp } => go(sdp),\n _ => {}\n}"), [5]);
        assert_eq!(in_edge("match op {\n R::Ringing => {}\n Op::Hangup => x(),\n other => drop(other),\n}"), [6]);
        assert_eq!(in_edge("match (a, op) {\n (A, Op::Hangup) => 1,\n (_, _) => 2,\n}"), [5]);
        assert_eq!(in_edge("match op {\n Op::Hangup | _ => 1,\n}"), [4]);
        assert_eq!(in_edge("match op {\n Op::Hangup => f::<A, B>(1, 2),\n ref rest @ _ => 2,\n}"), [5]);
    }

    #[test]
    fn a_match_that_names_each_word_passes() {
        assert!(
            in_edge("match op { Op::Answer { .. } => 1, Op::Hangup => { 2 } Op::Ring | Op::Hold => 3 }").is_empty()
        );
        assert!(in_edge("match n { 1 => Op::Answer, _ => Op::Hangup }").is_empty());
        assert!(in_edge("match op { Op::Hangup => match n { 1 => 2, _ => 3 }, Op::Ring => 4 }").is_empty());
        assert!(in_edge("match op { Op::Hangup if late => 1, x if x == y => 2, Op::Ring => 4 }").is_empty());
    }

    #[test]
    fn an_event_of_another_crate_is_not_our_word() {
        let source = "use hookswitch_sip::Event;\nfn f() { match e { Event::Invite => 1, _ => 2 } }";
        assert!(lines("crates/edge/b2bua/src/inbound.rs", source).is_empty());
        let source = "fn f() { match e { sip::Event::Invite => 1, _ => 2 } }";
        assert!(lines("crates/edge/b2bua/src/inbound.rs", source).is_empty());
    }

    #[test]
    fn a_word_by_its_path_or_through_a_glob_is_ours() {
        let source = "fn f() { match e { hookswitch_call::Event::Ended => 1, _ => 2 } }";
        assert_eq!(lines("crates/app/cli/src/ladder.rs", source), [1]);
        let source = "use hookswitch_call::*;\nfn f() { match e { Event::Ended => 1, _ => 2 } }";
        assert_eq!(lines("crates/app/cli/src/ladder.rs", source), [2]);
    }

    #[test]
    fn the_call_crate_itself_is_held_to_it_and_tests_are_not() {
        let source = "fn f() { match c { Command::Answer => 1, _ => 2 } }";
        assert_eq!(lines("crates/core/call/src/machine.rs", source), [1]);
        assert!(lines("crates/core/call/tests/ring.rs", source).is_empty());
        let source = format!("#[cfg(test)]\nmod tests {{ {source} }}");
        assert!(lines("crates/core/call/src/machine.rs", &source).is_empty());
    }

    #[test]
    fn an_open_enum_is_caught_when_it_is_one_of_the_four() {
        let source =
            "#[derive(Debug)]\n#[non_exhaustive]\npub enum Op { A }\n#[non_exhaustive]\npub enum Other { A }\n";
        assert_eq!(lines("crates/core/call/src/words.rs", source), [3]);
        let source = "#[non_exhaustive]\npub struct S;\npub enum Report { A }\n";
        assert!(lines("crates/core/call/src/words.rs", source).is_empty());
    }
}
