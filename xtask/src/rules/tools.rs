//! Rules that another program checks: licences and bans by cargo-deny, freedom from the operating system by a build
//! for wasm32.

use std::path::Path;
use std::process::{Command, Output};

use super::Found;
use crate::violation::Violation;
use crate::workspace::Workspace;

/// A target without an operating system behind it.
const WASM: &str = "wasm32-unknown-unknown";

/// The crate that keys hash tables asks for random bytes, which this target cannot give: the check only compiles, so
/// a backend that nobody links is enough.
const WASM_FLAGS: &str = "--config=target.wasm32-unknown-unknown.rustflags=['--cfg=getrandom_backend=\"custom\"']";

/// Licences, banned crates and sources, by `deny.toml`.
pub fn licences(workspace: &Workspace) -> Found {
    let installed = Command::new("cargo").args(["deny", "--version"]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        return Found::Skipped("cargo-deny is not installed (./test installs it)".to_owned());
    }
    let arguments = ["deny", "--log-level", "error", "check", "licenses", "bans", "sources"];
    let output = Command::new("cargo").args(arguments).current_dir(&workspace.root).output();
    judge(output, "Cargo.lock", "licences", "see deny.toml; run `cargo deny check licenses bans sources`")
}

/// Rings 0-2 compile for a target that has no sockets, no threads and no clock.
pub fn wasm(workspace: &Workspace) -> Found {
    if !has_target(WASM) {
        return Found::Skipped(format!("the target {WASM} is not installed"));
    }
    let packages = workspace.inner_crates().flat_map(|member| ["--package".to_owned(), member.name.clone()]);
    let output = Command::new("cargo")
        .args(["check", "--quiet", "--lib", "--target", WASM, WASM_FLAGS])
        .args(packages)
        .current_dir(&workspace.root)
        .output();
    judge(output, "crates", "wasm", "rings 0-2 must build without an operating system")
}

fn has_target(target: &str) -> bool {
    let asked = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
    asked.is_ok_and(|output| {
        output.status.success() && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
    })
}

/// A program's success is a clean rule; its failure is one breach, with what it said on standard error.
fn judge(output: std::io::Result<Output>, path: &str, rule: &'static str, advice: &str) -> Found {
    match output {
        Ok(output) if output.status.success() => Found::Breaches(Vec::new()),
        Ok(output) => {
            eprint!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            Found::Breaches(vec![Violation::new(path, 1, rule, advice)])
        }
        Err(error) => Found::Breaches(vec![Violation::new(path, 1, rule, format!("cannot run: {error}"))]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(found: Found) -> usize {
        match found {
            Found::Breaches(breaches) => breaches.len(),
            Found::Skipped(why) => panic!("skipped: {why}"),
        }
    }

    #[test]
    fn a_program_that_fails_or_cannot_run_is_a_breach() {
        let run = |program: &str| judge(Command::new(program).output(), "Cargo.lock", "licences", "look");
        assert_eq!(breaches(run("true")), 0);
        assert_eq!(breaches(run("false")), 1);
        assert_eq!(breaches(run("no-such-program-here")), 1);
    }

    #[test]
    fn an_unknown_target_is_not_installed() {
        assert!(!has_target("no-such-target"));
    }

    /// Copyleft on the list would let everything below it in.
    #[test]
    fn the_deny_file_refuses_a_licence_that_is_not_listed() {
        let text = include_str!("../../../deny.toml");
        let allowed: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("allow = [")).collect();
        let end = allowed.iter().position(|line| *line == "]").expect("the list of licences ends");
        let listed = allowed[..end].concat();
        assert!(listed.contains("\"MIT\"") && listed.contains("\"Apache-2.0\""));
        assert!(!listed.contains("GPL") && !listed.contains("MPL"), "permissive licences only");
    }
}
