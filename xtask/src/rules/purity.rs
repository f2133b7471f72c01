//! Rings 0-2 hold no clock, no socket, no file, no lock, no thread and no async code. Clippy bans the same things by
//! type; this scan also sees what clippy has no name for, and code that a feature leaves out of the build.

use crate::tokens::{Token, is_test_path, tokens, without_tests};
use crate::violation::Violation;
use crate::workspace::{TextFile, Workspace, ring_of};

const RULE: &str = "purity";

/// Names that do not occur below ring 3, as they stand in the source, with what to do instead.
const FORBIDDEN: &[(&[&str], &str)] = &[
    (&["Instant"], "take `now: Duration` as an argument"),
    (&["SystemTime"], "take `now: Duration` as an argument"),
    (&["UdpSocket"], "sockets belong to ring 3"),
    (&["TcpStream"], "sockets belong to ring 3"),
    (&["TcpListener"], "sockets belong to ring 3"),
    (&["UnixStream"], "sockets belong to ring 3"),
    (&["UnixDatagram"], "sockets belong to ring 3"),
    (&["ToSocketAddrs"], "names are resolved in ring 3"),
    (&["std", "::", "thread"], "threads belong to ring 3"),
    (&["thread", "::", "spawn"], "threads belong to ring 3"),
    (&["thread_local"], "pass the state as an argument"),
    (&["mpsc"], "return outputs for ring 3 to carry"),
    (&["Mutex"], "`&mut self` is the lock"),
    (&["RwLock"], "`&mut self` is the lock"),
    (&["Condvar"], "`&mut self` is the lock"),
    (&["async"], "return what to do next and let ring 3 wait"),
    (&["await"], "return what to do next and let ring 3 wait"),
    (&["std", "::", "fs"], "files belong to ring 3"),
    (&["std", "::", "process"], "processes belong to ring 3"),
    (&["std", "::", "env"], "configuration is read in ring 4 and passed down"),
    (&["println"], "return it, or log it in ring 3"),
    (&["eprintln"], "return it, or log it in ring 3"),
];

/// The attribute that every `lib.rs` of rings 0-2 starts with.
const FORBID_UNSAFE: &[&str] = &["#", "!", "[", "forbid", "(", "unsafe_code", ")", "]"];

/// Scans the sources of rings 0-2, test code left out.
pub fn check(workspace: &Workspace) -> Vec<Violation> {
    workspace
        .rust_files()
        .filter(|file| ring_of(&file.path).is_some_and(|ring| ring <= 2) && !is_test_path(&file.path))
        .flat_map(scan)
        .collect()
}

fn scan(file: &TextFile) -> Vec<Violation> {
    let all = tokens(&file.text);
    let code = without_tests(&all);
    let mut found = Vec::new();
    if file.path.ends_with("/src/lib.rs") && find(&code, FORBID_UNSAFE).next().is_none() {
        found.push(Violation::new(&file.path, 1, RULE, "add `#![forbid(unsafe_code)]`"));
    }
    for (names, advice) in FORBIDDEN {
        for token in find(&code, names) {
            let advice = format!("no `{}` below ring 3: {advice}", names.concat());
            found.push(Violation::new(&file.path, token.line, RULE, advice));
        }
    }
    found
}

fn find<'a>(code: &'a [Token<'a>], names: &'a [&str]) -> impl Iterator<Item = &'a Token<'a>> {
    code.windows(names.len())
        .filter(move |window| window.iter().zip(names).all(|(token, name)| token.is(name)))
        .map(|window| &window[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::plant::files;

    fn lines(path: &str, source: &str) -> Vec<usize> {
        check(&files(&[(path, source)])).iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn each_forbidden_name_is_caught_in_code() {
        for (names, _) in FORBIDDEN {
            let source = format!("fn f() {{\n    {} x;\n}}\n", names.concat());
            let found = lines("crates/core/call/src/machine.rs", &source);
            assert!(found.contains(&2), "{names:?} was not caught");
        }
    }

    #[test]
    fn comments_strings_and_tests_are_not_code() {
        let source = "// Instant::now\n/// Mutex\nfn f() -> &'static str { \"SystemTime\" }\n\
                      #[cfg(test)]\nmod tests { use std::time::Instant; }\n";
        assert!(lines("crates/core/call/src/machine.rs", source).is_empty());
        assert!(lines("crates/core/call/tests/ring.rs", "use std::time::Instant;").is_empty());
    }

    #[test]
    fn ring_3_may_do_all_of_it() {
        let source = "async fn f() { Instant::now(); Mutex::new(()); }";
        assert!(lines("crates/io/net/src/udp.rs", source).is_empty());
        assert_eq!(lines("crates/edge/shard/src/timers.rs", source).len(), 3);
    }

    #[test]
    fn a_library_that_allows_unsafe_code_is_caught() {
        assert_eq!(lines("crates/wire/rtp/src/lib.rs", "//! Packets.\n#![deny(unsafe_code)]\n"), [1]);
        assert!(lines("crates/wire/rtp/src/lib.rs", "//! Packets.\n#![forbid(unsafe_code)]\n").is_empty());
        assert_eq!(lines("crates/wire/rtp/src/lib.rs", "// #![forbid(unsafe_code)]\n"), [1]);
    }
}
