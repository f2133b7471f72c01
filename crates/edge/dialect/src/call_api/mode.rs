//! Which rules a session follows, and who may open one.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// The WebSocket subprotocol by which a client chooses [`Mode::Strict`].
pub const STRICT_SUBPROTOCOL: &str = "call-api.strict";

/// The manner of a session. Set per listener; a client may choose the strict one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// As the original daemon, wherever a client could depend on it. The default.
    #[default]
    Original,
    /// JSON-RPC 2.0 to the letter, parameters checked before a command starts.
    Strict,
}

impl Mode {
    /// The mode of a new session: the listener's (`self`), or what the client asks for in its
    /// `Sec-WebSocket-Protocol` header. The second value is the subprotocol to confirm.
    #[must_use]
    pub fn choose(self, offered: Option<&str>) -> (Self, Option<&'static str>) {
        let asked =
            offered.into_iter().flat_map(|header| header.split(',')).any(|name| name.trim() == STRICT_SUBPROTOCOL);
        if asked { (Self::Strict, Some(STRICT_SUBPROTOCOL)) } else { (self, None) }
    }
}

/// The web pages that may open sessions, by their `Origin`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origins(pub Vec<CompactString>);

impl Origins {
    /// Whether a session may be opened with this `Origin` header. Programs that are not browsers
    /// send none. With an empty list every page may in [`Mode::Original`] and none in
    /// [`Mode::Strict`].
    #[must_use]
    pub fn admit(&self, mode: Mode, origin: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        let listed = self.0.iter().any(|one| one.eq_ignore_ascii_case(origin));
        match mode {
            Mode::Original => self.0.is_empty() || listed,
            Mode::Strict => listed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subprotocol_chooses_strict() {
        let offered = Some("chat, call-api.strict");
        let strict = (Mode::Strict, Some(STRICT_SUBPROTOCOL));
        assert_eq!(Mode::Original.choose(offered), strict);
        assert_eq!(Mode::Original.choose(Some("chat")), (Mode::Original, None));
        assert_eq!(Mode::Strict.choose(None), (Mode::Strict, None));
    }

    #[test]
    fn strict_admits_listed_pages_only() {
        let listed = Origins(vec!["https://desk.example".into()]);
        let open = Origins::default();
        assert!(open.admit(Mode::Original, Some("https://evil.example")));
        assert!(!open.admit(Mode::Strict, Some("https://evil.example")));
        assert!(open.admit(Mode::Strict, None));
        for mode in [Mode::Original, Mode::Strict] {
            assert!(listed.admit(mode, Some("https://Desk.example")));
            assert!(!listed.admit(mode, Some("https://evil.example")));
            assert!(listed.admit(mode, None));
        }
    }
}
