//! Pages that the program itself can print. `docs --check` fails when a page in the repository says something else.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// What to do with a page that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Write it anew.
    Write,
    /// Report it.
    Check,
}

/// How much of a page is generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "which of the two occurs depends on the rows of PAGES")]
enum Part {
    /// The whole file is the program's output.
    Whole,
    /// The file holds the output somewhere, as it was printed.
    Within,
}

/// One row per generated page: file, arguments of `hookswitch` that print it, how much of the file that is.
const PAGES: &[(&str, &[&str], Part)] = &[("docs/configuration.md", &["config-reference"], Part::Whole)];

/// Runs the program once per page. `true` when every page agrees, or was written.
pub fn run(mode: Mode) -> Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask stands in the root folder")?;
    let mut agreed = true;
    for (file, arguments, part) in PAGES {
        let printed = output_of(root, arguments)?;
        let complaint = settle(&root.join(file), &printed, *part, mode)?;
        if let Some(complaint) = complaint {
            println!("{file}:1: docs: {complaint} (`hookswitch {}`)", arguments.join(" "));
            agreed = false;
        }
    }
    println!("docs: {} generated pages: {}", PAGES.len(), if agreed { "in step" } else { "drifted" });
    Ok(agreed)
}

/// What the program prints. `HOOKSWITCH` names a binary that is already built; otherwise cargo builds one.
fn output_of(root: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = match std::env::var_os("HOOKSWITCH") {
        Some(binary) => Command::new(PathBuf::from(binary)),
        None => {
            let mut cargo = Command::new("cargo");
            cargo.args(["run", "--quiet", "--release", "--bin", "hookswitch", "--"]);
            cargo
        }
    };
    let output = command.args(arguments).current_dir(root).output().context("run hookswitch")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "hookswitch {}: {}: {complaint}", arguments.join(" "), output.status);
    String::from_utf8(output.stdout).context("hookswitch printed something that is not text")
}

/// Compares one page with what was printed, or writes it; says what is left to do by hand.
fn settle(file: &Path, printed: &str, part: Part, mode: Mode) -> Result<Option<&'static str>> {
    let present = std::fs::read_to_string(file).unwrap_or_default();
    let agrees = match part {
        Part::Whole => present == printed,
        Part::Within => !printed.trim().is_empty() && present.contains(printed.trim()),
    };
    match (agrees, part, mode) {
        (true, _, _) => Ok(None),
        (false, Part::Whole, Mode::Write) => {
            std::fs::write(file, printed).with_context(|| format!("write {}", file.display()))?;
            Ok(None)
        }
        (false, Part::Whole, Mode::Check) => Ok(Some("has drifted: run `cargo xtask docs`")),
        (false, Part::Within, _) => Ok(Some("does not hold what the program prints: paste it anew")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_file(name: &str, present: &str, then: impl FnOnce(&Path)) {
        let file = std::env::temp_dir().join(format!("hookswitch-docs-{name}-{}", std::process::id()));
        std::fs::write(&file, present).unwrap();
        then(&file);
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn a_whole_page_that_drifted_is_reported_and_then_written() {
        in_file("whole", "old\n", |file| {
            assert!(settle(file, "new\n", Part::Whole, Mode::Check).unwrap().is_some());
            assert_eq!(std::fs::read_to_string(file).unwrap(), "old\n");
            assert!(settle(file, "new\n", Part::Whole, Mode::Write).unwrap().is_none());
            assert!(settle(file, "new\n", Part::Whole, Mode::Check).unwrap().is_none());
        });
    }

    #[test]
    fn a_page_that_should_hold_the_output_is_never_overwritten() {
        in_file("within", "before\nprinted\nafter\n", |file| {
            assert!(settle(file, "printed\n", Part::Within, Mode::Check).unwrap().is_none());
            assert!(settle(file, "other\n", Part::Within, Mode::Write).unwrap().is_some());
            assert!(settle(file, "\n", Part::Within, Mode::Check).unwrap().is_some());
            assert_eq!(std::fs::read_to_string(file).unwrap(), "before\nprinted\nafter\n");
        });
    }
}
