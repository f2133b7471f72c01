//! Byte scanning that respects quotes, angle brackets and folded lines.

/// White space inside a header value. CR and LF count because a folded line keeps its line end inside the value.
#[inline]
pub(crate) fn is_ws(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// `token` of RFC 3261 25.1.
#[inline]
pub(crate) fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric()
            || matches!(b, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        byte += 1;
    }
    table
};

/// Without white space at both ends.
#[inline]
pub(crate) fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text {
        if !is_ws(*first) {
            break;
        }
        text = rest;
    }
    while let [rest @ .., last] = text {
        if !is_ws(*last) {
            break;
        }
        text = rest;
    }
    text
}

/// True when `text` is a non-empty `token`.
pub(crate) fn is_token_text(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| is_token(*b))
}

/// True for visible ASCII without quotes: wider than a token, and still safe to write anywhere a token may stand.
pub(crate) fn is_word(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| b.is_ascii_graphic() && *b != b'"')
}

/// Decimal digits only, no sign, no white space; `None` when empty, foreign or too large.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut number = 0u64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(number)
}

/// Index just after the quote that closes the quoted string starting at `open`, or `None` when it is never closed.
pub(crate) fn quoted_end(text: &[u8], open: usize) -> Option<usize> {
    debug_assert_eq!(text.get(open), Some(&b'"'));
    let mut at = open + 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// True when every quote that opens also closes.
pub(crate) fn quotes_close(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(length) = text.get(at..).and_then(|rest| memchr::memchr(b'"', rest)) {
        match quoted_end(text, at + length) {
            Some(end) => at = end,
            None => return false,
        }
    }
    true
}

/// First `wanted` byte outside quoted strings. An unclosed quote hides the rest of the text.
pub(crate) fn find_unquoted(text: &[u8], wanted: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        let hit = at + memchr::memchr2(wanted, b'"', text.get(at..)?)?;
        if text[hit] == wanted {
            return Some(hit);
        }
        at = quoted_end(text, hit)?;
    }
}

/// The text between the quotes of a quoted string, or the text itself when it is not one. Escapes stay.
pub(crate) fn strip_quotes(text: &[u8]) -> &[u8] {
    match text {
        [b'"', inner @ .., b'"'] => inner,
        _ => text,
    }
}

/// Resolves `\x` pairs of a quoted string's inside.
pub(crate) fn unescape_quoted(inner: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if memchr::memchr(b'\\', inner).is_none() {
        return inner.into();
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => out.extend(bytes.next()),
            other => out.push(*other),
        }
    }
    out.into()
}

/// Members of a comma-separated header value: commas inside quotes or angle brackets do not separate. White space around
/// members is removed and empty members are skipped.
pub fn list_members(value: &[u8]) -> ListMembers<'_> {
    ListMembers { rest: value }
}

/// Iterator of [`list_members`].
#[derive(Debug, Clone)]
pub struct ListMembers<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for ListMembers<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = member_end(self.rest);
            let member = trim(&self.rest[..end]);
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if !member.is_empty() {
                return Some(member);
            }
        }
        None
    }
}

/// Where the first member of a list ends: the separating comma, or the end of the text.
fn member_end(text: &[u8]) -> usize {
    // Most values hold no comma at all.
    if memchr::memchr(b',', text).is_none() {
        return text.len();
    }
    let mut at = 0;
    let mut in_brackets = false;
    while let Some(byte) = text.get(at) {
        match byte {
            b',' if !in_brackets => return at,
            // Quotes have no meaning inside a URI.
            b'"' if !in_brackets => match quoted_end(text, at) {
                Some(end) => {
                    at = end;
                    continue;
                }
                None => return text.len(),
            },
            b'<' => in_brackets = true,
            b'>' => in_brackets = false,
            _ => {}
        }
        at += 1;
    }
    text.len()
}
