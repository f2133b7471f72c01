//! Which texts a client may give as caller, callee or destination: one SIP, SIPS or tel URI.
//!
//! A shape check, so that nothing but a URI reaches whoever writes messages; the carrier has the
//! full grammar and the last word. Header fields inside a URI (`?name=value`) are not accepted: a
//! phone that is sent to such a URI would write them into its request.

use hookswitch_call::MAX_ADDRESS;

/// Whether a text is one URI that can be called (RFC 3261 section 19.1, RFC 3966 section 3).
pub(crate) fn is_callable(text: &str) -> bool {
    if text.len() > MAX_ADDRESS {
        return false;
    }
    match text.split_once(':') {
        Some((scheme, rest)) if is(scheme, "sip") || is(scheme, "sips") => is_sip(rest),
        Some((scheme, rest)) if is(scheme, "tel") => is_number(rest),
        _ => false,
    }
}

fn is(scheme: &str, name: &str) -> bool {
    scheme.eq_ignore_ascii_case(name)
}

fn is_sip(rest: &str) -> bool {
    let (user, place) = match rest.split_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, rest),
    };
    let end = place.find(';').unwrap_or(place.len());
    let (host, tail) = place.split_at(end);
    user.is_none_or(|user| !user.is_empty() && is_escaped(user, b"-_.!~*'()&=+$,;?/:"))
        && is_host_and_port(host)
        && is_escaped(tail, b"-_.!~*'();:/[]&+$=")
}

fn is_host_and_port(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) => (host, port),
            None => return false,
        },
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_good_host = if text.starts_with('[') {
        host.parse::<std::net::Ipv6Addr>().is_ok()
    } else {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    let is_good_port = match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    is_good_host && is_good_port
}

fn is_number(rest: &str) -> bool {
    let (number, tail) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
    let digits = number.strip_prefix('+').unwrap_or(number);
    digits.bytes().all(|byte| byte.is_ascii_hexdigit() || b"*#-.()".contains(&byte))
        && digits.bytes().any(|byte| byte.is_ascii_hexdigit() || b"*#".contains(&byte))
        && is_escaped(tail, b"-_.!~*'();:/[]&+$=")
}

/// Only letters, digits, the marks in `allowed` and `%xx`.
fn is_escaped(text: &str, allowed: &[u8]) -> bool {
    let bytes = text.as_bytes();
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => after,
            (byte, after) if byte.is_ascii_alphanumeric() || allowed.contains(byte) => after,
            _ => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_of_the_three_schemes() {
        for good in [
            "sip:alice@10.0.0.10",
            "SIP:alice@localhost:5080;transport=tcp",
            "sip:who?ever@localhost",
            "sips:bob@[2001:db8::1]:5061",
            "sip:127.0.0.2",
            "sip:+49%20(30);x=y:secret@example.test",
            "tel:+49-30-123456;phone-context=example.test",
            "tel:*61#",
        ] {
            assert!(is_callable(good), "{good}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!("sip:{}@a.test", "x".repeat(MAX_ADDRESS));
        for bad in [
            "",
            "not a uri",
            "alice",
            "http://example.test",
            "sip:",
            "sip:@host",
            "sip:a@",
            "sip:a@b@c",
            "sip:a b@c",
            "sip:ü@host",
            "Alice <sip:alice@host>",
            "<sip:alice@host>",
            "sip:a@host,sip:b@host",
            "sip:a@host:99999",
            "sip:a@host:+5",
            "sip:a@[::1",
            "sip:a@[zz]",
            "sip:a%0@host",
            "sip:a%g0@host",
            "sip:a@host?Subject=hi",
            "sip:a@host;x=y?Replaces=z",
            "sip:a@host\r\nX-Evil: 1",
            "sip:a@host\\r\\nX-Evil:1",
            "sip:a\u{0}@host",
            "tel:",
            "tel:+",
            "tel:call me",
            long.as_str(),
        ] {
            assert!(!is_callable(bad), "{bad:?}");
        }
    }
}
