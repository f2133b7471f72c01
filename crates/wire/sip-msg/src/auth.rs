//! The parameter syntax of Authorization, WWW-Authenticate and their kin (RFC 3261 25.1, RFC 7616 3).

use std::borrow::Cow;

use crate::error::HeaderProblem;
use crate::scan::{is_token, strip_quotes, trim, unescape_quoted};

/// A scheme and its comma-separated parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthParams<'a> {
    /// `Digest`, as written.
    pub scheme: &'a str,
    params: &'a [u8],
}

impl<'a> AuthParams<'a> {
    /// Reads one header value. Several challenges come as several lines, because a comma cannot tell them apart.
    ///
    /// # Errors
    ///
    /// No scheme, or a scheme that is no token.
    pub fn parse(value: &'a [u8]) -> Result<AuthParams<'a>, HeaderProblem> {
        let value = trim(value);
        let end = value.iter().position(|b| !is_token(*b)).unwrap_or(value.len());
        let (scheme, params) = value.split_at(end);
        match std::str::from_utf8(scheme) {
            Ok(scheme) if !scheme.is_empty() => Ok(AuthParams { scheme, params: trim(params) }),
            _ => Err(HeaderProblem::Malformed("no authentication scheme")),
        }
    }

    /// True for the Digest scheme.
    pub fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("Digest")
    }

    /// Names and values as written, quotes included.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut rest = self.params;
        std::iter::from_fn(move || {
            while !rest.is_empty() {
                let end = crate::scan::find_unquoted(rest, b',').unwrap_or(rest.len());
                let param = &rest[..end];
                rest = rest.get(end + 1..).unwrap_or_default();
                if let Some(eq) = memchr::memchr(b'=', param) {
                    return Some((trim(&param[..eq]), trim(&param[eq + 1..])));
                }
            }
            None
        })
    }

    /// Value of a parameter without quotes and escapes; `None` when it is absent or not UTF-8.
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        let (_, value) = self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))?;
        if !value.starts_with(b"\"") {
            return std::str::from_utf8(value).ok().map(Cow::Borrowed);
        }
        match unescape_quoted(strip_quotes(value)) {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
        }
    }
}
