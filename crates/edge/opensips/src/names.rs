//! What OpenSIPS is called in its versions, and what it can do since when.
//!
//! The names of 3.1 are used throughout: 4.0 renamed nearly everything and kept them as aliases. Only the version
//! itself is asked for by both names, since everything else depends on it.

use compact_str::CompactString;
use serde_json::Value;

/// First release in which one leg can be held, and in which a hold can carry header fields.
const LEGS_ON_HOLD: u32 = 4;

/// A version, as OpenSIPS writes it: `4.1.0-dev`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Version {
    /// As written.
    pub(crate) text: CompactString,
    major: u32,
}

impl Version {
    /// From the reply to `version`: `{"Server": "OpenSIPS (4.1.0-dev (x86_64/linux))"}`.
    pub(crate) fn read(result: &Value) -> Option<Self> {
        let server = result.get("Server").or_else(|| result.get("server")).unwrap_or(result).as_str()?;
        let start = server.find(|letter: char| letter.is_ascii_digit())?;
        let rest = &server[start..];
        let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && !".-_".contains(letter));
        let text = &rest[..end.unwrap_or(rest.len()).min(MAX_VERSION)];
        let major = text.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()?;
        Some(Self { text: text.into(), major })
    }

    /// Whether `call_hold` takes `leg` and `headers`.
    pub(crate) const fn holds_legs(&self) -> bool {
        self.major >= LEGS_ON_HOLD
    }
}

/// Longest version that is remembered, in bytes.
const MAX_VERSION: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn version(server: &str) -> Option<Version> {
        Version::read(&serde_json::json!({ "Server": server }))
    }

    #[test]
    fn versions_are_read_as_written() {
        let four = version("OpenSIPS (4.1.0-dev (x86_64/linux))").unwrap();
        assert_eq!(four.text, "4.1.0-dev");
        assert!(four.holds_legs());
        let three = version("OpenSIPS (3.4.9 (x86_64/linux))").unwrap();
        assert_eq!(three.text, "3.4.9");
        assert!(!three.holds_legs());
    }

    #[test]
    fn what_is_no_version_is_none() {
        assert_eq!(version("OpenSIPS"), None);
        assert_eq!(version(""), None);
        assert_eq!(version("99999999999999999999"), None);
        assert_eq!(Version::read(&Value::Null), None);
    }
}
