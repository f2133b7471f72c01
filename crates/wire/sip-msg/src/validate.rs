//! What a server checks before it processes a message (RFC 3261 8.1.1, 8.2.2, 16.3 step 1).

use crate::error::{ErrorKind, HeaderError, HeaderProblem, ParseError, UriError};
use crate::message::Message;
use crate::name::HeaderName;
use crate::scan::{is_word, quotes_close};
use crate::uri::Uri;

/// Headers that every message has exactly once.
const MANDATORY: [HeaderName; 4] = [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq];

/// Headers that may be absent but not repeated.
const UNIQUE: [HeaderName; 4] =
    [HeaderName::MaxForwards, HeaderName::Expires, HeaderName::ContentType, HeaderName::Date];

impl Message {
    /// Checks everything a server must know before it processes the message: mandatory headers are there once and well
    /// formed, CSeq names the method of the request, numbers are in range, the Request-URI can be read.
    ///
    /// A missing Max-Forwards is fine: elements older than RFC 3261 send none. A Request-URI of an unknown scheme is
    /// fine here too, the user agent answers it with 416. Malformed headers nobody needs are left alone (RFC 3261 8.2).
    ///
    /// # Errors
    ///
    /// The first defect. A request gets its [`status`](ParseError::status), a response is dropped.
    pub fn validate(&self) -> Result<(), ParseError> {
        self.check_request_uri()?;
        self.check_counts()?;
        self.check_vias()?;
        self.check_address(HeaderName::From)?;
        self.check_address(HeaderName::To)?;
        self.call_id()?;
        let cseq = self.cseq()?;
        if self.method().is_some_and(|method| *method != cseq.method) {
            return Err(ParseError::new(ErrorKind::CSeqMethod, self.offset_of(HeaderName::CSeq)));
        }
        self.max_forwards()?;
        self.check_contacts()
    }

    /// One pass over the index instead of one per header.
    fn check_counts(&self) -> Result<(), ParseError> {
        let mut mandatory = [0u8; MANDATORY.len()];
        let mut unique = [0u8; UNIQUE.len()];
        for header in self.index() {
            if let Some(at) = MANDATORY.iter().position(|name| *name == header.name) {
                mandatory[at] = mandatory[at].saturating_add(1);
            } else if let Some(at) = UNIQUE.iter().position(|name| *name == header.name) {
                unique[at] = unique[at].saturating_add(1);
            }
        }
        let refuse = |name, problem| Err(HeaderError::new(name, problem).into());
        for (name, count) in MANDATORY.into_iter().zip(mandatory) {
            match count {
                0 => return refuse(name, HeaderProblem::Missing),
                1 => {}
                _ => return refuse(name, HeaderProblem::Repeated),
            }
        }
        match UNIQUE.into_iter().zip(unique).find(|(_, count)| *count > 1) {
            Some((name, _)) => refuse(name, HeaderProblem::Repeated),
            None => Ok(()),
        }
    }

    fn check_request_uri(&self) -> Result<(), ParseError> {
        let Some(uri) = self.request_uri_bytes() else {
            return Ok(());
        };
        // The Request-URI starts one space behind the method.
        let at = self.method().map_or(0, |method| method.as_str().len() + 1);
        match Uri::parse_bytes(uri) {
            Ok(uri) if uri.headers.is_some() => Err(ParseError::new(ErrorKind::RequestUri(UriError::Headers), at)),
            Ok(_) => Ok(()),
            Err(error) => Err(ParseError::new(ErrorKind::RequestUri(error), at)),
        }
    }

    /// Every Via counts: responses travel along all of them.
    fn check_vias(&self) -> Result<(), ParseError> {
        let mut hops = 0;
        for via in self.vias() {
            if !via?.params.is_well_formed() {
                return Err(HeaderError::malformed(HeaderName::Via, "empty or misplaced parameter").into());
            }
            hops += 1;
        }
        match hops {
            0 => Err(HeaderError::new(HeaderName::Via, HeaderProblem::Missing).into()),
            _ => Ok(()),
        }
    }

    /// From and To must be addresses; a URI of a scheme we do not know is still one (RFC 4475 3.3.3).
    fn check_address(&self, name: HeaderName) -> Result<(), ParseError> {
        let address = self.address(name)?;
        address.uri().map_err(|error| self.uri_error(name, error))?;
        // An open quote would swallow the tag that an answer adds.
        if !quotes_close(address.params.as_bytes()) {
            return Err(HeaderError::malformed(name, "quoted parameter is not closed").into());
        }
        // Tags become part of dialog identifiers, which must survive being written.
        match address.params.find("tag") {
            Some(tag) if !is_word(tag.unwrap_or_default()) => {
                Err(HeaderError::malformed(name, "tag is no token").into())
            }
            _ => Ok(()),
        }
    }

    /// Contacts become targets, so a bad one is refused while its sender can still be told.
    fn check_contacts(&self) -> Result<(), ParseError> {
        for contact in self.contacts() {
            contact?.uri().map_err(|error| self.uri_error(HeaderName::Contact, error))?;
        }
        Ok(())
    }

    fn uri_error(&self, name: HeaderName, error: UriError) -> ParseError {
        ParseError::new(ErrorKind::Header(HeaderError::new(name, HeaderProblem::Uri(error))), self.offset_of(name))
    }

    fn offset_of(&self, name: HeaderName) -> usize {
        self.index().iter().find(|h| h.name == name).map_or(0, |h| usize::from(h.at))
    }
}
