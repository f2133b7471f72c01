//! What may be written into a message of OpenSIPS's: addresses, Call-IDs, header fields.
//!
//! OpenSIPS copies what it is given into SIP, and writes a line break where it reads a backslash and an `r` or `n`. So
//! nothing passes that is not one URI, one Call-ID or one header field, and a backslash passes nowhere.

use compact_str::CompactString;
use hookswitch_call::Notes;

/// Longest name of a call that is looked at, in bytes.
pub(crate) const MAX_NAME: usize = 255;

/// Longest header fields that a command may add, together, in bytes.
pub const MAX_NOTES: usize = 2_048;

/// The parameter by which OpenSIPS recognises the new call of a transfer (`match_param` of callops).
const MATCH_PARAM: &str = ";osid=";

/// Fields that make the dialog what it is: nobody adds a second one.
const RESERVED: [&str; 17] = [
    "via",
    "v",
    "from",
    "f",
    "to",
    "t",
    "call-id",
    "i",
    "cseq",
    "contact",
    "m",
    "route",
    "record-route",
    "max-forwards",
    "content-length",
    "l",
    "content-type",
];

/// Whether a text is one URI that can be called: `sip:`, `sips:` (RFC 3261 section 25.1) or `tel:` (RFC 3966), without
/// header fields (`?name=value`), which a phone that is asked to call it would put into its INVITE.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    if scheme.eq_ignore_ascii_case("tel") {
        return is_number(rest);
    }
    (scheme.eq_ignore_ascii_case("sip") || scheme.eq_ignore_ascii_case("sips")) && is_sip(rest)
}

fn is_sip(rest: &str) -> bool {
    let (user, place) = match rest.split_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, rest),
    };
    let (host, tail) = place.split_at(place.find(';').unwrap_or(place.len()));
    user.is_none_or(|user| !user.is_empty() && is_escaped(user, b"-_.!~*'()&=+$,;?/:"))
        && is_host_and_port(host)
        && is_escaped(tail, b"-_.!~*'();:/[]&+$=")
}

fn is_host_and_port(text: &str) -> bool {
    let (is_host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host.parse::<std::net::Ipv6Addr>().is_ok(), port),
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (!host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)), port)
        }
    };
    let is_port = match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    is_host && is_port
}

fn is_number(rest: &str) -> bool {
    let (number, tail) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
    let digits = number.strip_prefix('+').unwrap_or(number);
    digits.bytes().all(|byte| byte.is_ascii_hexdigit() || b"*#-.()".contains(&byte))
        && digits.bytes().any(|byte| byte.is_ascii_hexdigit() || b"*#".contains(&byte))
        && is_escaped(tail, b"-_.!~*'();:/[]&+$=")
}

/// Only letters, digits, the marks in `allowed`, and `%xx`, which stays as it is written.
fn is_escaped(text: &str, allowed: &[u8]) -> bool {
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => after,
            (byte, after) if byte.is_ascii_alphanumeric() || allowed.contains(byte) => after,
            _ => return false,
        };
    }
    true
}

/// Whether a text can be the Call-ID of a call that OpenSIPS is told to make: `word ["@" word]` (RFC 3261 section
/// 25.1), but no backslash.
pub(crate) fn is_call_id(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~()<>:\"/[]?{}".contains(&byte);
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(is_part);
    text.len() <= MAX_NAME
        && match text.split_once('@') {
            Some((left, right)) => is_word(left) && is_word(right),
            None => is_word(text),
        }
}

/// Whether a text can name a call that exists: a Call-ID as somebody else chose it, or OpenSIPS's own name of a dialog.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME && !text.chars().any(char::is_control)
}

/// A contact after look-up without the parameter that OpenSIPS put there for itself.
pub(crate) fn without_match_param(to: &str) -> CompactString {
    let Some((before, after)) = to.split_once(MATCH_PARAM) else { return to.into() };
    let rest = after.find([';', '?', '>']).map_or("", |end| &after[end..]);
    let mut clean = CompactString::from(before);
    clean.push_str(rest);
    clean
}

/// The user and domain of a SIP address, as OpenSIPS's registrar names a user.
pub(crate) fn user_and_domain(address: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = address.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
        return None;
    }
    let (user, place) = rest.split_once('@')?;
    let host = &place[..place.find([';', '?', ':']).unwrap_or(place.len())];
    let user = &user[..user.find([':', ';']).unwrap_or(user.len())];
    Some((user, host))
}

/// Notes as the header fields of a message, each with its line end; `None` if one of them cannot be written.
pub(crate) fn header_fields(notes: &Notes) -> Option<String> {
    let mut fields = String::new();
    for (name, value) in &notes.0 {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
        let is_name = !name.is_empty() && name.bytes().all(is_token);
        let is_reserved = RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved));
        let is_value = !value.chars().any(|letter| letter.is_control() || letter == '\\');
        if !is_name || is_reserved || !is_value {
            return None;
        }
        fields.push_str(name);
        fields.push_str(": ");
        fields.push_str(value.trim());
        fields.push_str("\r\n");
    }
    (fields.len() <= MAX_NOTES).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_of_three_schemes_are_addresses() {
        for good in [
            "sip:alice@10.0.0.10",
            "SIP:alice@localhost:5080;transport=tcp",
            "sips:bob@[2001:db8::1]:5061",
            "sip:127.0.0.2",
            "sip:alice-0x560b6157bcc0@127.0.0.11:5060",
            "tel:+49-30-123456;phone-context=example.test",
        ] {
            assert!(is_address(good), "{good}");
        }
    }

    #[test]
    fn nothing_else_is_an_address() {
        for bad in [
            "",
            "alice",
            "sip:",
            "sip:@host",
            "sip:a@",
            "sip:a@b@c",
            "sip:a b@c",
            "<sip:alice@host>",
            "sip:a@host,sip:b@host",
            "sip:a@host:99999",
            "sip:a@[::1",
            "sip:a@host\r\nX-Evil: 1",
            "sip:a@host\\r\\nX-Evil: 1",
            "sip:a\\r\\n@host",
            "sip:a@host;x=\\n",
            "sip:a@host>;tag=1",
            "sip:a@host\0",
            "sip:a@host?Replaces=x%3Bto-tag%3Dy",
            "sip:a@host;x=1?Subject=hi",
            "sip:ü@host",
            "http://example.test",
            "tel:",
            "tel:abc\\n",
        ] {
            assert!(!is_address(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_call_id_that_opensips_would_expand_is_none() {
        assert!(is_call_id("85974d2b3a58@127.0.0.21"));
        for bad in ["", "a b", "a@b@c", "a\\r\\nX: 1", "a\r\n", "a;b"] {
            assert!(!is_call_id(bad), "{bad:?}");
        }
        assert!(is_call_id(&"x".repeat(MAX_NAME)));
        assert!(!is_call_id(&"x".repeat(MAX_NAME + 1)));
    }

    #[test]
    fn the_match_parameter_is_removed_wherever_it_stands() {
        assert_eq!(without_match_param("sip:nobody@127.0.0.1:5080;osid=4c1.079ae703"), "sip:nobody@127.0.0.1:5080");
        assert_eq!(without_match_param("sip:a@h;osid=1.2;transport=tcp"), "sip:a@h;transport=tcp");
        assert_eq!(without_match_param("<sip:a@h;osid=1.2>"), "<sip:a@h>");
        assert_eq!(without_match_param("sip:a@h"), "sip:a@h");
    }

    #[test]
    fn notes_become_header_fields_or_nothing() {
        let notes = |name: &str, value: &str| Notes(vec![(name.into(), value.into())]);
        assert_eq!(header_fields(&notes("X-Reason", "lunch")).as_deref(), Some("X-Reason: lunch\r\n"));
        for (name, value) in [
            ("X-Reason", "a\r\nRoute: <sip:evil>"),
            ("X-Reason", "a\\r\\nRoute: <sip:evil>"),
            ("X Reason", "a"),
            ("X:", "a"),
            ("", "a"),
            ("Route", "<sip:evil>"),
            ("f", "<sip:evil>"),
            ("X-Long", &"x".repeat(MAX_NOTES)),
        ] {
            assert_eq!(header_fields(&notes(name, value)), None, "{name}: {value}");
        }
    }

    #[test]
    fn the_registrar_knows_users_without_parameters_and_ports() {
        assert_eq!(user_and_domain("sip:alice;x=1:pw@example.test:5060;lr"), Some(("alice", "example.test")));
        assert_eq!(user_and_domain("tel:+491"), None);
        assert_eq!(user_and_domain("sip:example.test"), None);
    }
}
