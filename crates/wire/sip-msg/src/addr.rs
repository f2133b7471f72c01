//! `name-addr` and `addr-spec`: From, To, Contact, Route and their kin (RFC 3261 20.10, 25.1).

use std::borrow::Cow;

use crate::error::{HeaderProblem, UriError};
use crate::params::Params;
use crate::scan::{decimal, quoted_end, trim, unescape_quoted};
use crate::uri::Uri;

/// An address with its display name and header parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name: the inside of the quotes with its escapes, or the bare words. Not necessarily UTF-8.
    pub display: Option<&'a [u8]>,
    /// The URI as written, without angle brackets. Not checked; see [`NameAddr::uri`].
    pub raw_uri: &'a [u8],
    /// Header parameters, those behind the closing bracket.
    pub params: Params<'a>,
    /// True when the URI stood in angle brackets.
    pub bracketed: bool,
}

impl<'a> NameAddr<'a> {
    /// Reads one header value, or one member of a list.
    ///
    /// # Errors
    ///
    /// Unclosed quotes or brackets, something between `>` and `;`, and an unbracketed URI with `?` or `,` in it, whose
    /// parameters could belong to either side (RFC 3261 20.10).
    pub fn parse(value: &'a [u8]) -> Result<NameAddr<'a>, HeaderProblem> {
        let value = trim(value);
        let (display, rest) = match value {
            [b'"', ..] => {
                let end = quoted_end(value, 0).ok_or(HeaderProblem::Malformed("quoted display name is not closed"))?;
                let rest = trim(&value[end..]);
                if !rest.starts_with(b"<") {
                    return Err(HeaderProblem::Malformed("no address behind the display name"));
                }
                (Some(&value[1..end - 1]), rest)
            }
            _ => match memchr::memchr(b'<', value) {
                // An angle bracket behind the first semicolon belongs to a parameter.
                Some(open) if memchr::memchr(b';', &value[..open]).is_none() => {
                    let words = trim(&value[..open]);
                    if memchr::memchr(b'"', words).is_some() {
                        return Err(HeaderProblem::Malformed("stray quote in display name"));
                    }
                    ((!words.is_empty()).then_some(words), &value[open..])
                }
                _ => return NameAddr::addr_spec(value),
            },
        };
        let close = memchr::memchr(b'>', rest).ok_or(HeaderProblem::Malformed("angle bracket is not closed"))?;
        let params = trim(&rest[close + 1..]);
        if !params.is_empty() && params[0] != b';' {
            return Err(HeaderProblem::Malformed("text behind the address"));
        }
        Ok(NameAddr { display, raw_uri: &rest[1..close], params: Params::new(params), bracketed: true })
    }

    /// Without brackets, everything behind the first semicolon belongs to the header, not to the URI.
    fn addr_spec(value: &'a [u8]) -> Result<NameAddr<'a>, HeaderProblem> {
        let (uri, params) = value.split_at(memchr::memchr(b';', value).unwrap_or(value.len()));
        let uri = trim(uri);
        if uri.is_empty() {
            return Err(HeaderProblem::Malformed("no address"));
        }
        if uri.iter().any(|b| matches!(b, b'?' | b',' | b'"' | b'>')) {
            return Err(HeaderProblem::Malformed("address must stand in angle brackets"));
        }
        Ok(NameAddr { display: None, raw_uri: uri, params: Params::new(params), bracketed: false })
    }

    /// The URI, taken apart.
    ///
    /// # Errors
    ///
    /// What is wrong with it; see [`UriError`].
    pub fn uri(&self) -> Result<Uri<'a>, UriError> {
        Uri::parse_bytes(self.raw_uri)
    }

    /// The URI as text; `None` when it is not UTF-8.
    pub fn uri_str(&self) -> Option<&'a str> {
        std::str::from_utf8(self.raw_uri).ok()
    }

    /// The display name for people: escapes resolved, foreign bytes replaced.
    pub fn display_text(&self) -> Option<Cow<'a, str>> {
        Some(match unescape_quoted(self.display?) {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        })
    }

    /// Value of a header parameter without quotes around it; empty for a flag.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        self.params.get(name)
    }

    /// The dialog tag of From and To; an empty one counts as none.
    pub fn tag(&self) -> Option<&'a str> {
        self.param("tag").filter(|tag| !tag.is_empty())
    }

    /// `q` of a Contact in thousandths, 0 to 1000; `None` when it is absent or no number in that range.
    pub fn q(&self) -> Option<u16> {
        let (whole, fraction) = match self.param("q")?.split_once('.') {
            Some((whole, fraction)) => (whole, fraction),
            None => (self.param("q")?, ""),
        };
        if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let thousandths = fraction.bytes().chain(*b"000").take(3).fold(0, |sum, b| sum * 10 + u16::from(b - b'0'));
        match (whole, thousandths) {
            ("0", part) => Some(part),
            ("1", 0) => Some(1000),
            _ => None,
        }
    }

    /// `expires` of a Contact in seconds; `None` when it is absent or garbage (RFC 3261 20.10 then falls back to the
    /// header). Numbers beyond 32 bits count as the largest.
    pub fn expires(&self) -> Option<u32> {
        let text = self.param("expires").filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))?;
        // Only too many digits are left as a reason to fail.
        Some(decimal(text.as_bytes()).and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(u32::MAX))
    }

    /// `+sip.instance` without quotes, angle brackets kept (RFC 5626 4.1).
    pub fn instance(&self) -> Option<&'a str> {
        self.param("+sip.instance")
    }

    /// `reg-id` (RFC 5626 4.2).
    pub fn reg_id(&self) -> Option<u32> {
        decimal(self.param("reg-id")?.as_bytes()).and_then(|id| u32::try_from(id).ok())
    }
}
