//! Header parameters: `;name=value;flag`.

use crate::scan::{is_token_text, is_word, quoted_end, strip_quotes, trim};

/// One parameter, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param<'a> {
    /// The name in its own case; compare it without case.
    pub name: &'a [u8],
    /// The value after `=`, quotes included; `None` for a flag such as `lr`.
    pub value: Option<&'a [u8]>,
}

/// The parameters behind a header value, read when asked for. The text is empty or starts with `;`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Params<'a> {
    raw: &'a [u8],
}

impl<'a> Params<'a> {
    /// `raw` is empty or starts with a semicolon.
    pub fn new(raw: &'a [u8]) -> Params<'a> {
        Params { raw: trim(raw) }
    }

    /// The text as written, leading semicolon included.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.raw
    }

    /// All parameters in order; empty ones (`;;`) are skipped.
    pub fn iter(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        ParamIter { rest: self.raw }.filter(|param| !param.name.is_empty() || param.value.is_some())
    }

    /// True when every parameter follows the grammar: `;;`, a trailing `;`, `;=value` and white space inside an unquoted
    /// value do not.
    pub fn is_well_formed(&self) -> bool {
        ParamIter { rest: self.raw }.all(|param| is_token_text(param.name) && param.value.is_none_or(is_value))
    }

    /// First parameter of that name, as written: `Some(None)` is a flag.
    pub fn find(&self, name: &str) -> Option<Option<&'a [u8]>> {
        ParamIter { rest: self.raw }.find(|p| p.name.eq_ignore_ascii_case(name.as_bytes())).map(|p| p.value)
    }

    /// Value of the first parameter of that name, without quotes around it; empty for a flag. `None` when it is absent
    /// or not UTF-8.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let value = strip_quotes(self.find(name)?.unwrap_or_default());
        std::str::from_utf8(value).ok()
    }

    /// True when the parameter is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

/// A quoted string, or a word: a token, a host, or what phones take for one.
fn is_value(value: &[u8]) -> bool {
    match value {
        [b'"', ..] => quoted_end(value, 0) == Some(value.len()),
        _ => is_word(value),
    }
}

struct ParamIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for ParamIter<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        // Skip the semicolon in front of this parameter.
        let text = match self.rest {
            [] => return None,
            [_, text @ ..] => text,
        };
        let (end, equals) = extent(text);
        let (param, rest) = text.split_at(end);
        self.rest = rest;
        Some(match equals {
            Some(at) => Param { name: trim(&param[..at]), value: Some(trim(&param[at + 1..])) },
            None => Param { name: trim(param), value: None },
        })
    }
}

/// Where a parameter ends, and where its first equals sign is. Parameters are short and read for every message: no
/// search that is made for long texts is as quick.
fn extent(text: &[u8]) -> (usize, Option<usize>) {
    let (mut at, mut equals) = (0, None);
    loop {
        let rest = text[at..].iter();
        let hit = match equals {
            None => rest.copied().position(|byte| matches!(byte, b';' | b'"' | b'=')),
            Some(_) => rest.copied().position(|byte| matches!(byte, b';' | b'"')),
        };
        let Some(length) = hit else { return (text.len(), equals) };
        at += length;
        match text[at] {
            b';' => return (at, equals),
            b'=' => {
                equals = Some(at);
                at += 1;
            }
            // An unclosed quote hides the rest of the text.
            _ => at = quoted_end(text, at).unwrap_or(text.len()),
        }
    }
}
