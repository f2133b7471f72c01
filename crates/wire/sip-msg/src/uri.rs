//! SIP, SIPS and tel URIs (RFC 3261 19.1, RFC 3966), borrowed from the text they stand in.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::UriError;
use crate::limits::MAX_URI;
use crate::scan::decimal;

/// The scheme of a URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Anything else; see [`Uri::scheme_text`]. As a Request-URI it deserves 416.
    Other,
}

/// A host, as a name or as an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Host<'a> {
    /// A domain name in the case it was written in; empty in a URI that has no host (`tel:`, unknown schemes).
    Name(&'a str),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, written in brackets.
    V6(Ipv6Addr),
}

/// Letters and digits of host names, and the underscore that people put into them.
const HOST_CHARACTERS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        byte += 1;
    }
    table
};

impl<'a> Host<'a> {
    /// Reads a host name, an IPv4 address or an IPv6 address in brackets.
    pub fn parse(text: &'a str) -> Option<Host<'a>> {
        let bytes = text.as_bytes();
        // Most hosts in SIP are these, and addresses are read a dozen times a call.
        if let Some(ip) = ipv4(bytes) {
            return Some(Host::V4(ip));
        }
        if let Some(inner) = text.strip_prefix('[') {
            return ipv6(inner.strip_suffix(']')?).map(Host::V6);
        }
        if host_length(bytes) < bytes.len() {
            return None;
        }
        if bytes.last()?.is_ascii_alphabetic() {
            return Some(Host::Name(text));
        }
        // A last label of digits only is an address or nothing (RFC 3261 25.1: toplabel begins with a letter).
        let last = text.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        (!last.bytes().all(|b| b.is_ascii_digit())).then_some(Host::Name(text))
    }

    /// The address, when the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Host::Name(_) => None,
            Host::V4(ip) => Some(IpAddr::V4(*ip)),
            Host::V6(ip) => Some(IpAddr::V6(*ip)),
        }
    }

    /// Same host: names without case, addresses by value (RFC 5954 4.2).
    pub fn equivalent(&self, other: &Host<'_>) -> bool {
        match (self, other) {
            (Host::Name(a), Host::Name(b)) => a.eq_ignore_ascii_case(b),
            _ => self.ip().is_some() && self.ip() == other.ip(),
        }
    }
}

/// How many bytes from the start could stand in a host name.
fn host_length(bytes: &[u8]) -> usize {
    bytes.iter().position(|b| !HOST_CHARACTERS[usize::from(*b)]).unwrap_or(bytes.len())
}

/// Four numbers up to 255 without leading zeros.
fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let (mut octets, mut dots, mut digits, mut number) = ([0; 4], 0, 0, 0_u16);
    for byte in text {
        match byte {
            b'0'..=b'9' => {
                // A digit more behind a lone zero, or a fourth.
                if digits == 3 || digits > 0 && number == 0 {
                    return None;
                }
                number = number * 10 + u16::from(byte - b'0');
                digits += 1;
            }
            b'.' if dots < 3 && digits > 0 => {
                octets[dots] = u8::try_from(number).ok()?;
                (dots, digits, number) = (dots + 1, 0, 0);
            }
            _ => return None,
        }
    }
    octets[3] = u8::try_from(number).ok()?;
    (dots == 3 && digits > 0).then(|| Ipv4Addr::from(octets))
}

/// An IPv6 address. The grammar of RFC 3261 lets a third colon slip in before an embedded IPv4 address, so that one is
/// overlooked (RFC 5118 4.10).
fn ipv6(text: &str) -> Option<Ipv6Addr> {
    text.parse().ok().or_else(|| text.replacen(":::", "::", 1).parse().ok())
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::V4(ip) => ip.fmt(f),
            Host::V6(ip) => write!(f, "[{ip}]"),
        }
    }
}

/// A URI, taken apart but not unescaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uri<'a> {
    /// The scheme.
    pub scheme: Scheme,
    /// The user part with its escapes; the number of a `tel:` URI.
    pub user: Option<&'a str>,
    /// The password, which nobody should use.
    pub password: Option<&'a str>,
    /// The host; an empty name where there is none.
    pub host: Host<'a>,
    /// The port, when one is written.
    pub port: Option<u16>,
    /// `;name=value` parameters.
    pub params: UriParams<'a>,
    /// The text after `?`, without it.
    pub headers: Option<&'a str>,
    text: &'a str,
}

impl<'a> Uri<'a> {
    /// Reads a URI. Unknown schemes are accepted and not looked into.
    ///
    /// # Errors
    ///
    /// What is wrong with it; see [`UriError`].
    pub fn parse(text: &'a str) -> Result<Uri<'a>, UriError> {
        if text.len() > MAX_URI {
            return Err(UriError::TooLong);
        }
        // Everything a URI must not hold unescaped and that could break out of a header. Without an early end, so that
        // the compiler can look at many bytes at once.
        let forbidden = |b: u8| b <= b' ' || matches!(b, b'<' | b'>' | b'"' | 0x7f);
        if text.bytes().fold(false, |found, b| found | forbidden(b)) {
            return Err(UriError::Character);
        }
        let blank = Uri {
            scheme: Scheme::Other,
            user: None,
            password: None,
            host: Host::Name(""),
            port: None,
            params: UriParams(""),
            headers: None,
            text,
        };
        if let Some((scheme, rest)) = text.split_at_checked(4)
            && scheme.eq_ignore_ascii_case("sip:")
        {
            return sip_uri(Uri { scheme: Scheme::Sip, ..blank }, rest);
        }
        let (scheme, rest) = split_scheme(text).ok_or(UriError::Scheme)?;
        if scheme.eq_ignore_ascii_case("sips") {
            sip_uri(Uri { scheme: Scheme::Sips, ..blank }, rest)
        } else if scheme.eq_ignore_ascii_case("tel") {
            tel_uri(Uri { scheme: Scheme::Tel, ..blank }, rest)
        } else {
            Ok(blank)
        }
    }

    /// Like [`Uri::parse`], from bytes that may not be UTF-8.
    ///
    /// # Errors
    ///
    /// What is wrong with it; see [`UriError`].
    pub fn parse_bytes(text: &'a [u8]) -> Result<Uri<'a>, UriError> {
        Uri::parse(std::str::from_utf8(text).map_err(|_| UriError::NotUtf8)?)
    }

    /// The URI as it was written.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// The scheme as it was written, without the colon.
    pub fn scheme_text(&self) -> &'a str {
        self.text.split(':').next().unwrap_or_default()
    }

    /// True for `sip:` and `sips:`.
    pub fn is_sip(&self) -> bool {
        matches!(self.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// Value of a URI parameter; empty for a flag such as `lr`.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        self.params.get(name)
    }

    /// The user part with its escapes resolved; `None` without a user part or when the result is not UTF-8.
    pub fn user_unescaped(&self) -> Option<Cow<'a, str>> {
        unescape(self.user?)
    }

    /// The address of record this URI names (RFC 3261 10.3 step 5): scheme, unescaped user and host in lower case,
    /// without port, parameters and headers.
    pub fn aor(&self) -> String {
        let scheme = self.scheme_text().to_ascii_lowercase();
        let host = self.host.to_string().to_ascii_lowercase();
        match (self.user_unescaped(), host.is_empty()) {
            (Some(user), false) => format!("{scheme}:{user}@{host}"),
            (Some(user), true) => format!("{scheme}:{user}"),
            (None, false) => format!("{scheme}:{host}"),
            (None, true) => self.text.to_owned(),
        }
    }
}

/// The scheme, which starts with a letter, and what follows its colon.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let is_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let colon = text.bytes().position(|b| !is_scheme(b))?;
    let (scheme, rest) = text.split_at(colon);
    let rest = rest.strip_prefix(':')?;
    scheme.starts_with(|c: char| c.is_ascii_alphabetic()).then_some((scheme, rest))
}

/// `[user[:password]@]host[:port][;params][?headers]`
///
/// These are short and read often, so they are gone through byte by byte: searching that is made for long texts takes
/// several times as long.
fn sip_uri<'a>(mut uri: Uri<'a>, rest: &'a str) -> Result<Uri<'a>, UriError> {
    // A user part may hold `;` and `?`; behind it, an `@` must be escaped. So the last `@` is the one that counts.
    let host_part = match rest.bytes().rposition(|b| b == b'@') {
        Some(at) => {
            let userinfo = &rest[..at];
            let user_end = userinfo.bytes().position(|b| matches!(b, b':' | b'@')).unwrap_or(at);
            let (user, password) = userinfo.split_at(user_end);
            let password = password.strip_prefix(':');
            if user.is_empty() || user_end < at && password.is_none_or(|password| password.contains('@')) {
                return Err(UriError::Character);
            }
            uri.user = Some(user);
            uri.password = password;
            &rest[at + 1..]
        }
        None => rest,
    };
    let host_end = host_part.bytes().position(|b| matches!(b, b';' | b'?')).unwrap_or(host_part.len());
    let (host_port, tail) = host_part.split_at(host_end);
    (uri.host, uri.port) = host_and_port(host_port)?;
    if !tail.is_empty() {
        let (params, headers) = tail.split_at(tail.bytes().position(|b| b == b'?').unwrap_or(tail.len()));
        uri.params = UriParams(params);
        uri.headers = headers.strip_prefix('?');
    }
    Ok(uri)
}

fn tel_uri<'a>(mut uri: Uri<'a>, rest: &'a str) -> Result<Uri<'a>, UriError> {
    let (number, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
    let is_dialable = |b: u8| b.is_ascii_hexdigit() || matches!(b, b'+' | b'*' | b'#' | b'-' | b'.' | b'(' | b')');
    if number.is_empty() || !number.bytes().all(is_dialable) {
        return Err(UriError::Number);
    }
    uri.user = Some(number);
    uri.params = UriParams(params);
    Ok(uri)
}

/// `host[:port]`, as in URIs and Via.
pub(crate) fn host_and_port(text: &str) -> Result<(Host<'_>, Option<u16>), UriError> {
    let port_at = if text.starts_with('[') {
        text.bytes().rposition(|b| b == b']').map_or(text.len(), |bracket| bracket + 1)
    } else {
        text.bytes().position(|b| b == b':').unwrap_or(text.len())
    };
    let (host, port) = text.split_at(port_at);
    let host = Host::parse(host).ok_or(UriError::Host)?;
    let port = match port.strip_prefix(':') {
        Some(digits) => {
            let number = decimal(digits.as_bytes()).ok_or(UriError::Port)?;
            Some(u16::try_from(number).map_err(|_| UriError::Port)?)
        }
        None if port.is_empty() => None,
        None => return Err(UriError::Host),
    };
    Ok((host, port))
}

/// Resolves `%41` escapes. An escape that is none stays as it is; `None` when the result is not UTF-8.
pub(crate) fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    String::from_utf8(unescaped_bytes(text).collect()).ok().map(Cow::Owned)
}

/// The bytes behind `%41` escapes.
pub(crate) fn unescaped_bytes(text: &str) -> impl Iterator<Item = u8> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (byte, tail) = rest.split_first()?;
        if let (b'%', [high, low, after @ ..]) = (byte, tail)
            && let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low))
        {
            rest = after;
            return Some(high << 4 | low);
        }
        rest = tail;
        Some(*byte)
    })
}

fn hex_digit(byte: u8) -> Option<u8> {
    // to_digit(16) is below 16.
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

impl fmt::Display for Uri<'_> {
    /// Writes the parts back; what was parsed comes out as it went in, apart from the case of nothing and the form of
    /// IPv6 addresses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scheme == Scheme::Other {
            return f.write_str(self.text);
        }
        write!(f, "{}:", self.scheme_text())?;
        if let Some(user) = self.user {
            f.write_str(user)?;
        }
        if let Some(password) = self.password {
            write!(f, ":{password}")?;
        }
        if self.is_sip() {
            let at = if self.user.is_some() { "@" } else { "" };
            write!(f, "{at}{}", self.host)?;
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(self.params.as_str())?;
        match self.headers {
            Some(headers) => write!(f, "?{headers}"),
            None => Ok(()),
        }
    }
}

/// The parameters of a URI. The text is empty or starts with `;`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UriParams<'a>(&'a str);

impl<'a> UriParams<'a> {
    /// The text as written, leading semicolon included.
    pub fn as_str(&self) -> &'a str {
        self.0
    }

    /// Name and value of each parameter, as written; a flag has no value. Empty ones are skipped.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
        self.0.split(';').filter(|param| !param.is_empty()).map(|param| match param.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (param, None),
        })
    }

    /// Value of the first parameter of that name, escapes left in; empty for a flag.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        if self.0.is_empty() {
            return None;
        }
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.unwrap_or_default())
    }

    /// True when the parameter is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}
