//! One thing that was looked at: what was seen, and what to do about it.

use std::fmt::{self, Write as _};

use serde::Serialize;

/// How bad it is, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// It could not be looked at, or there is nothing to look at.
    Skipped,
    /// It works, and something about it will cause trouble.
    Warning,
    /// It does not work.
    Error,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Check {
    /// What it belongs to, one word.
    pub area: &'static str,
    /// What was looked at.
    pub subject: String,
    /// How it is.
    pub state: State,
    /// What was seen, or why nothing was.
    pub seen: String,
    /// What to do; nothing where all is well.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

impl Check {
    pub fn ok(area: &'static str, subject: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { area, subject: subject.into(), state: State::Ok, seen: seen.into(), advice: String::new() }
    }

    pub fn skipped(area: &'static str, subject: impl Into<String>, why: impl Into<String>) -> Self {
        Self { state: State::Skipped, ..Self::ok(area, subject, why) }
    }

    pub fn warning(
        area: &'static str,
        subject: impl Into<String>,
        seen: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { state: State::Warning, advice: advice.into(), ..Self::ok(area, subject, seen) }
    }

    pub fn error(
        area: &'static str,
        subject: impl Into<String>,
        seen: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { state: State::Error, advice: advice.into(), ..Self::ok(area, subject, seen) }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { area, subject, state, seen, advice } = self;
        write!(f, "{state:<8} {area:<12} {subject}: {seen}")?;
        if !advice.is_empty() {
            write!(f, "\n{:22}do: {advice}", "")?;
        }
        Ok(())
    }
}

/// The worst of all.
pub fn worst(checks: &[Check]) -> State {
    let found = checks.iter().map(|check| check.state).filter(|state| *state != State::Skipped).max();
    found.unwrap_or(State::Ok)
}

/// All of them as lines for people, how many of each at the end.
pub fn page(checks: &[Check]) -> String {
    let mut page = String::new();
    for check in checks {
        // Writing to a string does not fail.
        let _ = writeln!(page, "{check}");
    }
    let count = |state| checks.iter().filter(|check| check.state == state).count();
    let [ok, skipped] = [State::Ok, State::Skipped].map(count);
    let [warnings, errors] = [State::Warning, State::Error].map(count);
    let _ = writeln!(page, "{ok} ok, {skipped} skipped, {warnings} warnings, {errors} errors");
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_was_seen_what_to_do_and_how_many() {
        let checks = [
            Check::ok("clock", "calendar", "synchronised"),
            Check::skipped("cpu", "governor", "none here"),
            Check::error("ports", "udp:0.0.0.0:5060", "held by kamailio (process 7)", "stop it"),
        ];
        let expected = "ok       clock        calendar: synchronised\n\
                        skipped  cpu          governor: none here\n\
                        error    ports        udp:0.0.0.0:5060: held by kamailio (process 7)\n                      do: stop it\n\
                        1 ok, 1 skipped, 0 warnings, 1 errors\n";
        assert_eq!(page(&checks), expected);
        assert_eq!(worst(&checks), State::Error);
        assert_eq!(worst(&checks[..2]), State::Ok, "what could not be looked at is no trouble");
        let json = serde_json::to_value(&checks[0]).unwrap();
        let expected =
            serde_json::json!({ "area": "clock", "subject": "calendar", "state": "ok", "seen": "synchronised" });
        assert_eq!(json, expected);
    }
}
