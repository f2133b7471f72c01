//! Typed reading of a message's headers, one header at a time and only when asked.

use crate::addr::NameAddr;
use crate::error::{HeaderError, HeaderProblem};
use crate::limits::MAX_CSEQ;
use crate::message::Message;
use crate::method::Method;
use crate::name::HeaderName;
use crate::scan::{decimal, is_ws, trim};
use crate::via::Via;

/// A CSeq value (RFC 3261 20.16).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CSeq {
    /// The sequence number, at most [`MAX_CSEQ`].
    pub number: u32,
    /// The method of the request, in responses too.
    pub method: Method,
}

impl CSeq {
    /// Reads `number LWS method`.
    ///
    /// # Errors
    ///
    /// A number that is none or too large, or a method that is no token.
    pub fn parse(value: &[u8]) -> Result<CSeq, HeaderProblem> {
        let value = trim(value);
        let end = value.iter().position(|b| is_ws(*b)).ok_or(HeaderProblem::Malformed("no method"))?;
        let (number, method) = value.split_at(end);
        if !number.iter().all(u8::is_ascii_digit) {
            return Err(HeaderProblem::Malformed("not a number"));
        }
        let number = decimal(number).filter(|n| *n <= u64::from(MAX_CSEQ)).ok_or(HeaderProblem::OutOfRange)?;
        let method = Method::from_bytes(trim(method)).ok_or(HeaderProblem::Malformed("method is no token"))?;
        Ok(CSeq { number: number as u32, method })
    }
}

/// Typed headers. Each accessor reads the first line of its header; [`Message::validate`] refuses further lines of
/// headers that must be unique.
impl Message {
    fn required(&self, name: HeaderName) -> Result<&[u8], HeaderError> {
        self.header(name).ok_or(HeaderError::new(name, HeaderProblem::Missing))
    }

    /// The topmost Via.
    ///
    /// # Errors
    ///
    /// Missing or malformed.
    pub fn via(&self) -> Result<Via<'_>, HeaderError> {
        self.vias().next().unwrap_or(Err(HeaderError::new(HeaderName::Via, HeaderProblem::Missing)))
    }

    /// All Vias, topmost first.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'_>, HeaderError>> {
        self.values(HeaderName::Via)
            .map(|value| Via::parse(value).map_err(|problem| HeaderError::new(HeaderName::Via, problem)))
    }

    /// From.
    ///
    /// # Errors
    ///
    /// Missing or malformed.
    pub fn from(&self) -> Result<NameAddr<'_>, HeaderError> {
        self.address(HeaderName::From)
    }

    /// To.
    ///
    /// # Errors
    ///
    /// Missing or malformed.
    pub fn to(&self) -> Result<NameAddr<'_>, HeaderError> {
        self.address(HeaderName::To)
    }

    /// A header that holds one address, such as Refer-To, Referred-By or Reply-To; the first member of a list.
    ///
    /// # Errors
    ///
    /// Missing or malformed.
    pub fn address(&self, name: HeaderName) -> Result<NameAddr<'_>, HeaderError> {
        let value = self.values(name).next().ok_or(HeaderError::new(name, HeaderProblem::Missing))?;
        NameAddr::parse(value).map_err(|problem| HeaderError::new(name, problem))
    }

    /// All addresses of a header such as Route, Record-Route, Path or P-Asserted-Identity, in order.
    pub fn addresses(&self, name: HeaderName) -> impl Iterator<Item = Result<NameAddr<'_>, HeaderError>> {
        self.values(name).map(move |value| NameAddr::parse(value).map_err(|problem| HeaderError::new(name, problem)))
    }

    /// Contacts in order, without the `*` of a removal.
    pub fn contacts(&self) -> impl Iterator<Item = Result<NameAddr<'_>, HeaderError>> {
        self.values(HeaderName::Contact)
            .filter(|value| *value != b"*")
            .map(|value| NameAddr::parse(value).map_err(|problem| HeaderError::new(HeaderName::Contact, problem)))
    }

    /// True when a Contact is `*` (RFC 3261 10.2.2). The removal is valid only when it is the only Contact and Expires
    /// is 0, which the registrar checks.
    pub fn contact_is_star(&self) -> bool {
        self.values(HeaderName::Contact).any(|value| value == b"*")
    }

    /// Call-ID.
    ///
    /// # Errors
    ///
    /// Missing, empty, with white space inside, or not UTF-8; [`Message::header`] has the bytes then.
    pub fn call_id(&self) -> Result<&str, HeaderError> {
        let value = self.required(HeaderName::CallId)?;
        if value.is_empty() || value.iter().any(|b| is_ws(*b)) {
            return Err(HeaderError::malformed(HeaderName::CallId, "not a single word"));
        }
        std::str::from_utf8(value).map_err(|_| HeaderError::new(HeaderName::CallId, HeaderProblem::NotUtf8))
    }

    /// CSeq.
    ///
    /// # Errors
    ///
    /// Missing or malformed.
    pub fn cseq(&self) -> Result<CSeq, HeaderError> {
        let value = self.required(HeaderName::CSeq)?;
        CSeq::parse(value).map_err(|problem| HeaderError::new(HeaderName::CSeq, problem))
    }

    /// Max-Forwards, when there is one.
    ///
    /// # Errors
    ///
    /// No number from 0 to 255.
    pub fn max_forwards(&self) -> Result<Option<u8>, HeaderError> {
        let Some(value) = self.header(HeaderName::MaxForwards) else {
            return Ok(None);
        };
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(HeaderError::malformed(HeaderName::MaxForwards, "not a number"));
        }
        match decimal(value).and_then(|n| u8::try_from(n).ok()) {
            Some(hops) => Ok(Some(hops)),
            None => Err(HeaderError::new(HeaderName::MaxForwards, HeaderProblem::OutOfRange)),
        }
    }

    /// A header that holds seconds, parameters and comments behind the number ignored (`Retry-After: 5 (busy)`).
    /// Garbage counts as absent; numbers beyond 32 bits count as the largest.
    pub fn seconds(&self, name: HeaderName) -> Option<u32> {
        let value = self.header(name)?;
        let end = value.iter().position(|b| !b.is_ascii_digit()).unwrap_or(value.len());
        let (number, rest) = value.split_at(end);
        if number.is_empty() || !matches!(trim(rest).first(), None | Some(b';' | b'(')) {
            return None;
        }
        // Only too many digits are left as a reason to fail.
        Some(decimal(number).and_then(|n| u32::try_from(n).ok()).unwrap_or(u32::MAX))
    }

    /// Expires in seconds; garbage counts as absent, so that the default applies (RFC 3261 20.19).
    pub fn expires(&self) -> Option<u32> {
        self.seconds(HeaderName::Expires)
    }

    /// The number in Content-Length; `None` when there is none. The parser has checked it already.
    pub fn content_length(&self) -> Option<usize> {
        decimal(self.header(HeaderName::ContentLength)?).and_then(|n| usize::try_from(n).ok())
    }

    /// Content-Type without its parameters, as `type/subtype`.
    pub fn content_type(&self) -> Option<&str> {
        let value = self.header_str(HeaderName::ContentType)?;
        value.split(';').next().map(str::trim)
    }
}
