//! Rust source as tokens with line numbers: enough to see names, paths, functions and match arms, and never to
//! mistake a comment or a string for code.
//!
//! This is not a parser. It knows comments, strings of every kind, characters against lifetimes, and brackets; the
//! rules recognise the few shapes they need.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Identifier or keyword.
    Word,
    /// Punctuation; `::` and `=>` are one token each, everything else one character.
    Mark,
    /// String, character or number.
    Literal,
    /// `'a`
    Lifetime,
}

/// One token of a source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its text, quotes included.
    pub text: &'a str,
    /// Line of its first character, from 1.
    pub line: usize,
    /// Line of its last character, from 1.
    pub end_line: usize,
}

impl Token<'_> {
    /// Whether this is the word or mark `text` (never a literal that looks like it).
    pub fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Mark) && self.text == text
    }

    fn opens(&self) -> bool {
        self.kind == Kind::Mark && matches!(self.text, "(" | "[" | "{")
    }

    fn closes(&self) -> bool {
        self.kind == Kind::Mark && matches!(self.text, ")" | "]" | "}")
    }
}

/// Splits `source` into tokens; comments and blanks are dropped.
pub fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { source, at: 0, line: 1, out: Vec::new() };
    while lexer.step() {}
    lexer.out
}

/// Index of the bracket that closes the one at `open`; the last index when the source is unbalanced.
pub fn close_of(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        if token.opens() {
            depth += 1;
        } else if token.closes() {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return index;
            }
        }
    }
    tokens.len().saturating_sub(1)
}

/// Index of the first token from `from` on for which `wanted` holds outside of any `(` or `[` group.
pub fn find_outside(tokens: &[Token<'_>], from: usize, wanted: impl Fn(&Token<'_>) -> bool) -> Option<usize> {
    let mut index = from;
    while index < tokens.len() {
        let token = &tokens[index];
        if wanted(token) {
            return Some(index);
        }
        if token.is("(") || token.is("[") {
            index = close_of(tokens, index);
        }
        index += 1;
    }
    None
}

/// Whether a whole file is test code, by its place or name.
pub fn is_test_path(path: &str) -> bool {
    let mut parts: Vec<&str> = path.split('/').collect();
    let name = parts.pop().unwrap_or_default();
    let in_test_folder = parts.iter().any(|part| matches!(*part, "tests" | "benches" | "examples"));
    in_test_folder || name == "tests.rs" || name.ends_with("_tests.rs")
}

/// The tokens without the items that are compiled for tests only.
pub fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while index < tokens.len() {
        let inner = tokens[index].is("#") && tokens.get(index + 1).is_some_and(|token| token.is("!"));
        let open = index + 1 + usize::from(inner);
        let is_attribute = tokens[index].is("#") && tokens.get(open).is_some_and(|token| token.is("["));
        if !is_attribute || !is_test_attribute(&tokens[open..=close_of(tokens, open)]) {
            kept.push(tokens[index]);
            index += 1;
            continue;
        }
        if inner {
            // `#![cfg(test)]`: the rest of the file.
            return kept;
        }
        index = end_of_item(tokens, close_of(tokens, open) + 1) + 1;
    }
    kept
}

fn is_test_attribute(attribute: &[Token<'_>]) -> bool {
    let has = |word: &str| attribute.iter().any(|token| token.is(word));
    let is_cfg = attribute.get(1).is_some_and(|token| token.is("cfg"));
    let is_test = attribute.len() == 3 && has("test");
    is_test || (is_cfg && has("test") && !has("not"))
}

/// Index of the last token of the item that starts at `from`: its closing brace or its semicolon.
fn end_of_item(tokens: &[Token<'_>], from: usize) -> usize {
    match find_outside(tokens, from, |token| token.is("{") || token.is(";")) {
        Some(index) if tokens[index].is("{") => close_of(tokens, index),
        Some(index) => index,
        None => tokens.len(),
    }
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// Its name.
    pub name: &'a str,
    /// Line of the word `fn`.
    pub line: usize,
    /// Lines from the word `fn` to the closing brace, both included.
    pub lines: usize,
}

/// Every function that has a body, nested ones too.
pub fn functions<'a>(tokens: &[Token<'a>]) -> Vec<Function<'a>> {
    let mut found = Vec::new();
    for (index, pair) in tokens.windows(2).enumerate() {
        // `fn(u8)` is a type and `fn $name` a macro's business: only `fn name` is a function.
        if !pair[0].is("fn") || pair[1].kind != Kind::Word {
            continue;
        }
        let Some(open) = find_outside(tokens, index + 2, |token| token.is("{") || token.is(";")) else {
            continue;
        };
        if tokens[open].is("{") {
            let last = tokens[close_of(tokens, open)].end_line;
            let line = pair[0].line;
            found.push(Function { name: pair[1].text, line, lines: last - line + 1 });
        }
    }
    found
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    line: usize,
    out: Vec<Token<'a>>,
}

impl<'a> Lexer<'a> {
    /// Consumes one token, comment or blank; false at the end.
    fn step(&mut self) -> bool {
        let rest = &self.source[self.at..];
        let Some(first) = rest.chars().next() else {
            return false;
        };
        if first.is_whitespace() {
            self.skip(first.len_utf8());
        } else if rest.starts_with("//") {
            self.skip(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.skip(block_comment(rest));
        } else if let Some(length) = string_length(rest) {
            self.push(Kind::Literal, length);
        } else if first == '\'' {
            let (kind, length) = quote(rest);
            self.push(kind, length);
        } else if first.is_ascii_digit() {
            self.push(Kind::Literal, word_length(rest));
        } else if first == '_' || first.is_alphabetic() {
            let raw = if rest.starts_with("r#") { 2 } else { 0 };
            self.push(Kind::Word, raw + word_length(&rest[raw..]));
        } else if rest.starts_with("::") || rest.starts_with("=>") {
            self.push(Kind::Mark, 2);
        } else {
            self.push(Kind::Mark, first.len_utf8());
        }
        true
    }

    fn skip(&mut self, length: usize) {
        let end = self.at + length;
        self.line += self.source[self.at..end].bytes().filter(|byte| *byte == b'\n').count();
        self.at = end;
    }

    fn push(&mut self, kind: Kind, length: usize) {
        let (start, line) = (self.at, self.line);
        self.skip(length);
        let text = &self.source[start..self.at];
        self.out.push(Token { kind, text, line, end_line: self.line });
    }
}

fn word_length(rest: &str) -> usize {
    rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len())
}

fn block_comment(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let (mut depth, mut at) = (0usize, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// Length of the string literal (or byte character) that `rest` starts with, prefix included.
fn string_length(rest: &str) -> Option<usize> {
    if let Some(after) = rest.strip_prefix("b'") {
        return Some(2 + escaped_length(after, b'\''));
    }
    for prefix in ["br", "cr", "r"] {
        let Some(after) = rest.strip_prefix(prefix) else {
            continue;
        };
        let hashes = after.bytes().take_while(|byte| *byte == b'#').count();
        if after[hashes..].starts_with('"') {
            let body = prefix.len() + hashes + 1;
            let end = format!("\"{}", "#".repeat(hashes));
            return Some(rest[body..].find(&end).map_or(rest.len(), |found| body + found + end.len()));
        }
    }
    for prefix in ["b\"", "c\"", "\""] {
        if let Some(after) = rest.strip_prefix(prefix) {
            return Some(prefix.len() + escaped_length(after, b'"'));
        }
    }
    None
}

/// Length up to and including the first `quote` that no backslash escapes.
fn escaped_length(after: &str, quote: u8) -> usize {
    let mut bytes = after.bytes().enumerate();
    while let Some((index, byte)) = bytes.next() {
        if byte == b'\\' {
            bytes.next();
        } else if byte == quote {
            return index + 1;
        }
    }
    after.len()
}

/// `'x'` is a character, `'x` a lifetime.
fn quote(rest: &str) -> (Kind, usize) {
    let after = &rest[1..];
    let mut chars = after.chars();
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => (Kind::Literal, 1 + escaped_length(after, b'\'')),
        (Some(one), Some('\'')) => (Kind::Literal, 1 + one.len_utf8() + 1),
        _ => (Kind::Lifetime, 1 + word_length(after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        tokens(source).iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_vanish_and_nested_ones_too() {
        assert_eq!(texts("a // Mutex\n/* x /* Mutex */ y */ b /// Mutex"), ["a", "b"]);
    }

    #[test]
    fn strings_are_one_literal_of_any_kind() {
        let source = r####"f("a\"{", r#"x"}"#, b"}", br"\", c"z", b'\'', '"', '\u{7d}')"####;
        let literals: Vec<_> = tokens(source).into_iter().filter(|t| t.kind == Kind::Literal).map(|t| t.text).collect();
        let expected =
            [r#""a\"{""#, r###"r#"x"}"#"###, r#"b"}""#, r#"br"\""#, r#"c"z""#, r"b'\''", "'\"'", r"'\u{7d}'"];
        assert_eq!(literals, expected);
    }

    #[test]
    fn lifetimes_are_not_characters() {
        let found = tokens("fn f<'a>(x: &'a str) -> char { 'a' }");
        let lifetimes = found.iter().filter(|token| token.kind == Kind::Lifetime).count();
        let characters = found.iter().filter(|token| token.kind == Kind::Literal).count();
        assert_eq!((lifetimes, characters), (2, 1));
    }

    #[test]
    fn raw_identifiers_are_words_and_lines_count_through_strings() {
        let found = tokens("r#match\n\"a\nb\"\nlast");
        assert_eq!(found[0].text, "r#match");
        assert_eq!((found[1].line, found[1].end_line), (2, 3));
        assert_eq!(found[2].line, 4);
    }

    #[test]
    fn test_items_are_left_out_and_the_rest_stays() {
        let source = "fn a() {} #[cfg(test)] mod tests { fn b() {} } #[cfg(not(test))] fn c() {} \
                      #[test] fn d() {} #[cfg(test)] use x; fn e() {}";
        let found = tokens(source);
        let kept = without_tests(&found);
        let names: Vec<_> = functions(&kept).iter().map(|function| function.name).collect();
        assert_eq!(names, ["a", "c", "e"]);
    }

    #[test]
    fn a_file_marked_as_test_is_left_out() {
        assert!(without_tests(&tokens("#![cfg(test)] fn a() {}")).is_empty());
        assert!(is_test_path("crates/wire/sdp/tests/offer.rs"));
        assert!(is_test_path("crates/wire/sdp/src/tests.rs"));
        assert!(!is_test_path("crates/wire/sdp/src/offer.rs"));
    }

    #[test]
    fn functions_are_measured_from_fn_to_brace() {
        let source = "trait T { fn no_body(&self); }\nfn long<const N: usize>(x: [u8; 3]) -> fn(u8) -> u8\nwhere\n\
                      {\n    one();\n}\n";
        let found = tokens(source);
        assert_eq!(functions(&found), [Function { name: "long", line: 2, lines: 5 }]);
    }
}
