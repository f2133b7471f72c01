//! Takes out of a text whatever tells who somebody is: SIP and telephone URIs, numbers in international form.

/// Stands where something was.
const HIDDEN: &str = "[hidden]";

/// Fewest digits behind a plus sign that count as a telephone number.
const NUMBER_DIGITS: usize = 5;

/// The text without URIs and numbers of people.
#[must_use]
pub fn redacted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(next) = rest.chars().next() {
        let inside_a_word = before.is_some_and(char::is_alphanumeric);
        let length = if inside_a_word { 0 } else { uri(rest).max(number(rest)) };
        if length > 0 {
            out.push_str(HIDDEN);
            before = Some('.');
            rest = &rest[length..];
        } else {
            out.push(next);
            before = Some(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    out
}

/// Bytes of the URI with which a text begins, or 0.
fn uri(text: &str) -> usize {
    let begins = |scheme: &str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    let Some(scheme) = ["sip:", "sips:", "tel:"].into_iter().find(|scheme| begins(scheme)) else { return 0 };
    let mut in_brackets = false;
    let end = text[scheme.len()..].find(|c: char| {
        match c {
            '[' => in_brackets = true,
            ']' if in_brackets => in_brackets = false,
            ']' | '"' | '\'' | '<' | '>' | '\\' | '`' | '{' | '}' => return true,
            other => return other.is_whitespace() || other.is_control(),
        }
        false
    });
    match end {
        // The word alone, as in a sentence about URIs.
        Some(0) => 0,
        Some(end) => scheme.len() + end,
        None if text.len() == scheme.len() => 0,
        None => text.len(),
    }
}

/// Bytes of the telephone number with which a text begins, or 0.
fn number(text: &str) -> usize {
    let Some(digits) = text.strip_prefix('+') else { return 0 };
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    if length >= NUMBER_DIGITS { 1 + length } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_and_numbers_are_hidden_wherever_they_stand() {
        for (text, expected) in [
            ("caller sip:alice@10.0.0.1:5060;transport=tcp rings", "caller [hidden] rings"),
            (r#"{"caller":"sip:a@b","callee":"SIPS:c@d"}"#, r#"{"caller":"[hidden]","callee":"[hidden]"}"#),
            ("map[callee:sip:bob@x caller:sip:alice@[::1]:5060]", "map[callee:[hidden] caller:[hidden]]"),
            ("\"Bob\" <tel:+4930123456>, +4930123456", "\"Bob\" <[hidden]>, [hidden]"),
            (r#"send: {\"x\":\"sip:a@b\"}"#, r#"send: {\"x\":\"[hidden]\"}"#),
        ] {
            assert_eq!(redacted(text), expected);
        }
    }

    #[test]
    fn everything_else_stays() {
        for text in
            ["gossip: nothing", "a sip: of tea", "1+12345 = 12346", "+49", "404 Dialog not found", "ünï ☎", "sip:"]
        {
            assert_eq!(redacted(text), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_a_crash(text in "(?s).{0,40}") {
            let _ = redacted(&text);
        }
    }
}
