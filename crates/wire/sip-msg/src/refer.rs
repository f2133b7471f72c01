//! What transfers are written with: Refer-To, Referred-By, Replaces, Event, Subscription-State and `message/sipfrag`
//! (RFC 3515, RFC 3892, RFC 3891, RFC 6665, RFC 3420).

use std::borrow::Cow;
use std::fmt::{self, Write};

use crate::addr::NameAddr;
use crate::error::{HeaderError, HeaderProblem};
use crate::limits::{MAX_DIALOG_NAME, MAX_FRAGMENT};
use crate::message::Message;
use crate::method::Method;
use crate::name::HeaderName;
use crate::params::Params;
use crate::scan::{decimal, is_token_text, strip_quotes, trim};
use crate::uri::{Uri, unescape};

/// Whom a REFER names, and what the sender wants to be sent there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferTo<'a> {
    /// The URI as written, headers and all.
    pub uri: Uri<'a>,
    /// Which request is to be sent: INVITE where the URI does not say.
    pub method: Method,
    /// The Replaces header inside the URI, its escapes resolved.
    pub replaces: Option<Cow<'a, str>>,
}

impl<'a> ReferTo<'a> {
    /// Reads a value of Refer-To.
    ///
    /// # Errors
    ///
    /// No address, several of them, an unusable URI, a method that is no token, or several Replaces in it.
    pub fn parse(value: &'a [u8]) -> Result<ReferTo<'a>, HeaderProblem> {
        let uri = NameAddr::parse(value)?.uri().map_err(HeaderProblem::Uri)?;
        let method = match uri.param("method") {
            Some(name) if name.eq_ignore_ascii_case("INVITE") => Method::Invite,
            Some(name) => Method::from_bytes(name.as_bytes()).ok_or(HeaderProblem::Malformed("method is no token"))?,
            None => Method::Invite,
        };
        let mut found = headers_of(&uri).filter(|(name, _)| is_replaces(name)).map(|(_, value)| value);
        let replaces = match (found.next(), found.next()) {
            (_, Some(_)) => return Err(HeaderProblem::Repeated),
            (Some(raw), None) => Some(unescape(raw).ok_or(HeaderProblem::NotUtf8)?),
            (None, None) => None,
        };
        Ok(ReferTo { uri, method, replaces })
    }

    /// The URI as it may be called: without headers and without the method (RFC 3261 19.1.1).
    pub fn target(&self) -> Cow<'a, str> {
        let text = self.uri.as_str();
        let headers = self.uri.headers.map_or(0, |headers| headers.len() + 1);
        let bare = &text[..text.len() - headers];
        let params = self.uri.params.as_str();
        if !self.uri.params.has("method") {
            return Cow::Borrowed(bare);
        }
        let mut target = bare[..bare.len() - params.len()].to_owned();
        for (name, value) in self.uri.params.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("method")) {
            target.push(';');
            target.push_str(name);
            if let Some(value) = value {
                target.push('=');
                target.push_str(value);
            }
        }
        Cow::Owned(target)
    }

    /// The dialog that the new call is to replace: an attended transfer.
    ///
    /// # Errors
    ///
    /// The Replaces header inside the URI does not follow its grammar.
    pub fn replaced(&self) -> Result<Option<Replaces<'_>>, HeaderProblem> {
        self.replaces.as_deref().map(|value| Replaces::parse(value.as_bytes())).transpose()
    }
}

/// Names and values of the headers inside a URI, as written.
fn headers_of<'a>(uri: &Uri<'a>) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    uri.headers.unwrap_or_default().split('&').filter_map(|header| header.split_once('='))
}

fn is_replaces(name: &str) -> bool {
    unescape(name).is_some_and(|name| name.eq_ignore_ascii_case("Replaces"))
}

/// The dialog that a new call takes the place of, as the one who is to answer that call knows it (RFC 3891).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Replaces<'a> {
    /// Its Call-ID.
    pub call_id: &'a str,
    /// The answering side's own tag; empty for a peer of RFC 2543, which has none and writes `0`.
    pub to_tag: &'a str,
    /// The other side's tag; empty in the same way.
    pub from_tag: &'a str,
    /// Only while the dialog is not confirmed yet.
    pub early_only: bool,
}

impl<'a> Replaces<'a> {
    /// Reads a value of Replaces.
    ///
    /// # Errors
    ///
    /// Anything but one Call-ID, one `to-tag` and one `from-tag`, or more than [`MAX_DIALOG_NAME`] bytes.
    pub fn parse(value: &'a [u8]) -> Result<Replaces<'a>, HeaderProblem> {
        let value = trim(value);
        if value.len() > MAX_DIALOG_NAME {
            return Err(HeaderProblem::OutOfRange);
        }
        let (call_id, params) = value.split_at(memchr::memchr(b';', value).unwrap_or(value.len()));
        let call_id = trim(call_id);
        if call_id.is_empty() || !call_id.iter().all(u8::is_ascii_graphic) {
            return Err(HeaderProblem::Malformed("no Call-ID"));
        }
        let params = Params::new(params);
        Ok(Replaces {
            call_id: std::str::from_utf8(call_id).map_err(|_| HeaderProblem::NotUtf8)?,
            to_tag: tag(params, "to-tag")?,
            from_tag: tag(params, "from-tag")?,
            early_only: params.has("early-only"),
        })
    }

    /// The value as it stands inside a URI: what has a meaning there is escaped.
    pub fn escaped(&self) -> String {
        escape_header(&self.to_string())
    }
}

/// The only parameter of this name.
fn tag<'a>(params: Params<'a>, name: &str) -> Result<&'a str, HeaderProblem> {
    let mut found = params.iter().filter(|param| param.name.eq_ignore_ascii_case(name.as_bytes()));
    let (Some(param), None) = (found.next(), found.next()) else {
        return Err(HeaderProblem::Malformed("one to-tag and one from-tag are expected"));
    };
    match param.value {
        Some(b"0") => Ok(""),
        Some(value) if is_token_text(value) => std::str::from_utf8(value).map_err(|_| HeaderProblem::NotUtf8),
        _ => Err(HeaderProblem::Malformed("tag is no token")),
    }
}

impl fmt::Display for Replaces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tag = |tag: &'_ str| if tag.is_empty() { "0".to_owned() } else { tag.to_owned() };
        write!(f, "{};to-tag={};from-tag={}", self.call_id, tag(self.to_tag), tag(self.from_tag))?;
        f.write_str(if self.early_only { ";early-only" } else { "" })
    }
}

/// A header's value as it stands inside a URI (`hvalue` of RFC 3261 25.1).
fn escape_header(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 16);
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()[]/?:+$".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The package of a subscription, and which one of several in the same dialog (RFC 6665 8.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventName<'a> {
    /// `refer`, `dialog`... compared without case.
    pub package: &'a str,
    /// The `id` parameter; for `refer` the CSeq number of the REFER (RFC 3515 2.4.6).
    pub id: Option<&'a str>,
}

/// Where a subscription stands (RFC 6665 8.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionState<'a> {
    /// `active`, `pending`, `terminated` or an extension.
    pub state: &'a str,
    /// Why it is over.
    pub reason: Option<&'a str>,
    /// Seconds that it has left.
    pub expires: Option<u32>,
}

impl SubscriptionState<'_> {
    /// Nothing more will come.
    pub fn is_terminated(&self) -> bool {
        self.state.eq_ignore_ascii_case("terminated")
    }
}

/// A word and its parameters.
fn word_and_params(value: &[u8]) -> Option<(&str, Params<'_>)> {
    let (word, params) = value.split_at(memchr::memchr(b';', value).unwrap_or(value.len()));
    let word = trim(word);
    if !is_token_text(word) {
        return None;
    }
    Some((std::str::from_utf8(word).ok()?, Params::new(params)))
}

/// The status line in a `message/sipfrag` body, which is all that a REFER's NOTIFY says (RFC 3515 2.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusFragment<'a> {
    /// 100 to 699.
    pub status: u16,
    /// The phrase, not necessarily UTF-8.
    pub reason: &'a [u8],
}

impl<'a> StatusFragment<'a> {
    /// Reads the first line that is not empty; whatever follows is not looked at. `None` when it is no status line, or
    /// does not end within [`MAX_FRAGMENT`] bytes.
    pub fn parse(body: &'a [u8]) -> Option<StatusFragment<'a>> {
        let start = body.iter().position(|byte| !byte.is_ascii_whitespace())?;
        let line = &body[start..];
        let end = line.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(line.len());
        if end > MAX_FRAGMENT {
            return None;
        }
        let (version, rest) = line[..end].split_at_checked(b"SIP/2.0".len())?;
        if !version.eq_ignore_ascii_case(b"SIP/2.0") || !rest.first()?.is_ascii_whitespace() {
            return None;
        }
        let rest = trim(rest);
        let digits = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        let (status, reason) = rest.split_at(digits);
        let status = decimal(status).filter(|status| (100..=699).contains(status))?;
        if !reason.first().is_none_or(u8::is_ascii_whitespace) {
            return None;
        }
        Some(StatusFragment { status: u16::try_from(status).ok()?, reason: trim(reason) })
    }
}

/// Typed headers of transfers.
impl Message {
    /// Refer-To; `None` when there is none.
    ///
    /// # Errors
    ///
    /// More than one, which a REFER must not have (RFC 3515 2.4.2), or a malformed one.
    pub fn refer_to(&self) -> Result<Option<ReferTo<'_>>, HeaderError> {
        let wrong = |problem| HeaderError::new(HeaderName::ReferTo, problem);
        only(self, HeaderName::ReferTo)?.map(|value| ReferTo::parse(value).map_err(wrong)).transpose()
    }

    /// Replaces; `None` when there is none.
    ///
    /// # Errors
    ///
    /// More than one (RFC 3891 3), or a malformed one.
    pub fn replaces(&self) -> Result<Option<Replaces<'_>>, HeaderError> {
        let wrong = |problem| HeaderError::new(HeaderName::Replaces, problem);
        only(self, HeaderName::Replaces)?.map(|value| Replaces::parse(value).map_err(wrong)).transpose()
    }

    /// Whether a REFER wants to be told what comes of it: not after `Refer-Sub: false` (RFC 4488).
    pub fn refer_sub(&self) -> bool {
        let says_no = |value: &[u8]| {
            let word = value.split(|byte| *byte == b';').next().unwrap_or_default();
            trim(word).eq_ignore_ascii_case(b"false")
        };
        !self.header(HeaderName::ReferSub).is_some_and(says_no)
    }

    /// Event; `None` when it is missing or malformed.
    pub fn event(&self) -> Option<EventName<'_>> {
        let (package, params) = word_and_params(self.header(HeaderName::Event)?)?;
        Some(EventName { package, id: params.get("id").filter(|id| !id.is_empty()) })
    }

    /// Subscription-State; `None` when it is missing or malformed.
    pub fn subscription_state(&self) -> Option<SubscriptionState<'_>> {
        let (state, params) = word_and_params(self.header(HeaderName::SubscriptionState)?)?;
        let seconds = |text: &str| decimal(strip_quotes(text.as_bytes())).and_then(|n| u32::try_from(n).ok());
        let expires = params.get("expires").and_then(seconds);
        Some(SubscriptionState { state, reason: params.get("reason").filter(|reason| !reason.is_empty()), expires })
    }

    /// The status line in the body, when that is a `message/sipfrag`.
    pub fn status_fragment(&self) -> Option<StatusFragment<'_>> {
        let kind = self.content_type()?;
        kind.eq_ignore_ascii_case("message/sipfrag").then(|| StatusFragment::parse(self.body_bytes()))?
    }
}

/// The value of a header that may stand only once.
fn only(message: &Message, name: HeaderName) -> Result<Option<&[u8]>, HeaderError> {
    let mut values = message.headers(name);
    let value = values.next();
    if values.next().is_some() {
        return Err(HeaderError::new(name, HeaderProblem::Repeated));
    }
    Ok(value)
}
