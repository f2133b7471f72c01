//! When two URIs are the same (RFC 3261 19.1.4).

use crate::uri::{Uri, unescaped_bytes};

/// Parameters that make a difference even when only one side has them. The text of 19.1.4 names four; its examples add
/// transport.
const DECISIVE: &[&str] = &["user", "ttl", "method", "maddr", "transport"];

impl Uri<'_> {
    /// The comparison of RFC 3261 19.1.4 for SIP and SIPS URIs, of RFC 3966 4 for `tel:`, and byte for byte for others.
    /// A port that is written never equals one that is not.
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        if self.scheme != other.scheme {
            return false;
        }
        if self.is_sip() {
            return same_text(self.user, other.user, false)
                && same_text(self.password, other.password, false)
                && self.host.equivalent(&other.host)
                && self.port == other.port
                && same_params(self, other)
                && same_headers(self.headers, other.headers);
        }
        match (self.user, other.user) {
            (Some(a), Some(b)) => digits(a).eq(digits(b)) && same_params(self, other) && same_params(other, self),
            _ => self.as_str() == other.as_str(),
        }
    }
}

/// A `tel:` number without its visual separators.
fn digits(number: &str) -> impl Iterator<Item = u8> {
    number.bytes().filter(|b| !matches!(b, b'-' | b'.' | b'(' | b')')).map(|b| b.to_ascii_lowercase())
}

/// Equal once escapes are resolved.
fn same_text(a: Option<&str>, b: Option<&str>, ignore_case: bool) -> bool {
    let fold = |byte: u8| {
        if ignore_case { byte.to_ascii_lowercase() } else { byte }
    };
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => unescaped_bytes(a).map(fold).eq(unescaped_bytes(b).map(fold)),
        _ => false,
    }
}

/// A name that is there twice, which it must not be, counts with its first value.
fn same_params(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    let decisive = |name: &str| DECISIVE.iter().any(|d| d.eq_ignore_ascii_case(name));
    let shared = a.params.iter().all(|(name, _)| match b.params.get(name) {
        Some(theirs) => same_text(a.params.get(name), Some(theirs), true),
        None => !decisive(name),
    });
    shared && b.params.iter().all(|(name, _)| !decisive(name) || a.params.has(name))
}

/// Header components count whatever they are, in any order.
fn same_headers(a: Option<&str>, b: Option<&str>) -> bool {
    let split = |text: Option<&'_ str>| -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut headers: Vec<_> = text
            .unwrap_or_default()
            .split('&')
            .filter(|header| !header.is_empty())
            .map(|header| {
                let (name, value) = header.split_once('=').unwrap_or((header, ""));
                let name = unescaped_bytes(name).map(|b| b.to_ascii_lowercase()).collect();
                (name, unescaped_bytes(value).collect())
            })
            .collect();
        headers.sort();
        headers
    };
    a == b || split(a) == split(b)
}
