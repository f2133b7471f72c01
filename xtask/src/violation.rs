//! One breach of a house rule, in the form an editor can jump to.

use std::fmt;

/// A place where a rule is broken, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Path below the workspace root, with forward slashes.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// Name of the rule, as listed in `rules::ALL`.
    pub rule: &'static str,
    /// What to do, as an instruction.
    pub advice: String,
}

impl Violation {
    /// A breach of `rule` at `path:line`.
    pub fn new(path: &str, line: usize, rule: &'static str, advice: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, advice: advice.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.advice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_path_line_rule_advice() {
        let violation = Violation::new("a/b.rs", 7, "size", "split it");
        assert_eq!(violation.to_string(), "a/b.rs:7: size: split it");
    }
}
