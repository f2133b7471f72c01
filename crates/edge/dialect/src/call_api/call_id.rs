//! Which texts can be a SIP Call-ID.

/// Longest Call-ID that a client may choose, in bytes.
const MAX_CALL_ID: usize = 255;

/// Whether a text can be the Call-ID of a leg: `word [ "@" word ]` (RFC 3261 section 25.1). One with
/// a backslash is not chosen: OpenSIPS reads escapes in the header fields that it is handed.
pub(crate) fn is_call_id(text: &str) -> bool {
    if text.is_empty() || text.len() > MAX_CALL_ID {
        return false;
    }
    match text.split_once('@') {
        Some((left, right)) => is_word(left) && is_word(right),
        None => is_word(text),
    }
}

fn is_word(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~()<>:\"/[]?{}".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_at_most_one_at_sign() {
        for good in ["a", "order-4711", "85974d2b3a58@127.0.0.21", "a<b>\"[]?{}@x"] {
            assert!(is_call_id(good), "{good}");
        }
        let long = "x".repeat(MAX_CALL_ID + 1);
        for bad in ["", "@", "a@", "@b", "a@b@c", "a b", "ü", "a\r\nVia: x", "a\\r\\nVia:x", "a;b", &long] {
            assert!(!is_call_id(bad), "{bad:?}");
        }
    }
}
