//! Addresses of record as plain text: the key under which bindings are kept.

use std::fmt::Write as _;

use compact_str::CompactString;
use hookswitch_sip_msg::Uri;

/// The address of record a SIP or SIPS URI stands for, as `user@domain` (RFC 3261 section 10.3, step 5): escapes that
/// are not needed resolved, host in lower case without a trailing dot; no port, parameters, headers or password.
///
/// Control characters, `%` and bytes that are not UTF-8 stay escaped (in upper-case hex), so that two users never get
/// the same key and a key is safe to log. The domain is what stands behind the *last* `@`.
///
/// `None` for other schemes and for a URI without a user part.
pub fn aor_of(uri: &Uri<'_>) -> Option<CompactString> {
    if !uri.is_sip() {
        return None;
    }
    let mut aor = CompactString::default();
    push_user(&mut aor, uri.user?);
    let start = aor.len() + 1;
    // Writing to a string cannot fail.
    let _ = write!(aor, "@{}", uri.host);
    if aor.len() > start && aor.ends_with('.') {
        aor.pop();
    }
    // The host is ASCII: everything else was refused when the URI was read.
    let lowered = aor.split_at_checked(start).map(|(user, host)| (user.len(), host.to_ascii_lowercase()))?;
    aor.truncate(lowered.0);
    aor.push_str(&lowered.1);
    Some(aor)
}

/// User and domain of an address of record; a text without `@` is a domain.
pub(super) fn split(aor: &str) -> (&str, &str) {
    aor.rsplit_once('@').unwrap_or(("", aor))
}

fn push_user(out: &mut CompactString, user: &str) {
    if !user.contains('%') {
        out.push_str(user);
        return;
    }
    let bytes: Vec<u8> = unescaped(user).collect();
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_control() || letter == '%' {
                let mut utf8 = [0; 4];
                push_escaped(out, letter.encode_utf8(&mut utf8).as_bytes());
            } else {
                out.push(letter);
            }
        }
        push_escaped(out, chunk.invalid());
    }
}

fn push_escaped(out: &mut CompactString, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(out, "%{byte:02X}");
    }
}

/// The bytes of a user part with its escapes resolved; a `%` that starts no escape stands for itself.
pub(super) fn unescaped(text: &str) -> impl Iterator<Item = u8> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (&first, tail) = rest.split_first()?;
        if let (b'%', [high, low, after @ ..]) = (first, tail)
            && let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low))
        {
            rest = after;
            return Some(high << 4 | low);
        }
        rest = tail;
        Some(first)
    })
}

fn hex_digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        b'A'..=b'F' => Some(letter - b'A' + 10),
        _ => None,
    }
}
