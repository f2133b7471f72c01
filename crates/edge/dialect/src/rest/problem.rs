//! What went wrong, as a document that people and programs can read (RFC 9457).
//!
//! [`CODES`] is the one table: its status and title for each code. The codes are stable; titles and details are not.

use std::borrow::Cow;

use serde::Serialize;

use super::Response;

/// `Content-Type` of every problem.
pub const PROBLEM_TYPE: &str = "application/problem+json";

/// A code of [`CODES`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "CODES says of each what it means")]
pub enum Code {
    MalformedRequest,
    MalformedBody,
    Unauthorized,
    Forbidden,
    AddressNotAllowed,
    DomainNotAllowed,
    OriginNotAllowed,
    NotFound,
    NoSuchCall,
    NoSuchCommand,
    NoSuchDomain,
    NoSuchUser,
    NoSuchRegistration,
    NoSuchTrunk,
    NoSuchRecord,
    NoSuchRecording,
    NoSuchWebhook,
    NoSuchDeadLetter,
    MethodNotAllowed,
    RequestTimeout,
    CallEnding,
    NotAnswered,
    Pending,
    CallIdInUse,
    Impossible,
    Unsupported,
    Configured,
    NotEnabled,
    StillRecording,
    LimitReached,
    BadConfiguration,
    Gone,
    PreconditionFailed,
    BodyTooLarge,
    UriTooLong,
    UnsupportedMediaType,
    RangeNotSatisfiable,
    WrongHost,
    MissingField,
    UnknownField,
    InvalidField,
    UnknownParameter,
    InvalidParameter,
    InvalidCursor,
    InvalidKey,
    KeyReused,
    RateLimited,
    HeadersTooLarge,
    Draining,
    TooManyCalls,
    TooManyCommands,
    TooManyKeys,
    CarrierDown,
    NodeUnreachable,
    NotStored,
    Unavailable,
}

/// One row of [`CODES`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CodeRow {
    /// Which.
    pub code: Code,
    /// As it is written in the document.
    pub name: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// What it means, in a few words.
    pub title: &'static str,
}

const fn row(code: Code, name: &'static str, status: u16, title: &'static str) -> CodeRow {
    CodeRow { code, name, status, title }
}

/// All codes, in the order of [`Code`].
pub const CODES: &[CodeRow] = &[
    row(Code::MalformedRequest, "malformed_request", 400, "The path or the query is not written as a URI"),
    row(Code::MalformedBody, "malformed_body", 400, "The body is not what its type says"),
    row(Code::Unauthorized, "unauthorized", 401, "The request does not prove who sends it"),
    row(Code::Forbidden, "forbidden", 403, "The token lacks the scope that this needs"),
    row(Code::AddressNotAllowed, "address_not_allowed", 403, "The token does not allow this address"),
    row(Code::DomainNotAllowed, "domain_not_allowed", 403, "The token does not reach this domain"),
    row(Code::OriginNotAllowed, "origin_not_allowed", 403, "Web pages of this origin may not ask"),
    row(Code::NotFound, "not_found", 404, "There is nothing at this path"),
    row(Code::NoSuchCall, "no_such_call", 404, "There is no such call"),
    row(Code::NoSuchCommand, "no_such_command", 404, "There is no such command, or it is forgotten"),
    row(Code::NoSuchDomain, "no_such_domain", 404, "There is no such domain"),
    row(Code::NoSuchUser, "no_such_user", 404, "There is no such user"),
    row(Code::NoSuchRegistration, "no_such_registration", 404, "There is no such registration"),
    row(Code::NoSuchTrunk, "no_such_trunk", 404, "There is no such trunk"),
    row(Code::NoSuchRecord, "no_such_record", 404, "There is no record of such a call, or it is forgotten"),
    row(Code::NoSuchRecording, "no_such_recording", 404, "There is no such recording"),
    row(Code::NoSuchWebhook, "no_such_webhook", 404, "There is no such webhook"),
    row(Code::NoSuchDeadLetter, "no_such_dead_letter", 404, "There is no such dead letter"),
    row(Code::MethodNotAllowed, "method_not_allowed", 405, "This resource does not have this method"),
    row(Code::RequestTimeout, "request_timeout", 408, "The request did not come to its end in time"),
    row(Code::CallEnding, "call_ending", 409, "The call is being ended"),
    row(Code::NotAnswered, "not_answered", 409, "The call is not answered"),
    row(Code::Pending, "pending", 409, "Something else is being done to the call; it may be tried again"),
    row(Code::CallIdInUse, "call_id_in_use", 409, "Another call has this Call-ID"),
    row(Code::Impossible, "impossible", 409, "The call is not one to which this can be done"),
    row(Code::Unsupported, "unsupported", 409, "Whoever carries the call cannot do this"),
    row(Code::Configured, "configured", 409, "The entry stands in the configuration file and is changed there"),
    row(Code::NotEnabled, "not_enabled", 409, "The configuration does not provide for this"),
    row(Code::StillRecording, "still_recording", 409, "The recording is not over; it may be asked for again"),
    row(Code::LimitReached, "limit_reached", 409, "A limit of what is kept is reached"),
    row(Code::BadConfiguration, "bad_configuration", 409, "The configuration cannot be used; nothing has changed"),
    row(Code::Gone, "gone", 410, "This was there and is not kept any more"),
    row(Code::PreconditionFailed, "precondition_failed", 412, "The resource is not the one that If-Match names"),
    row(Code::BodyTooLarge, "body_too_large", 413, "The body is longer than this resource takes"),
    row(Code::UriTooLong, "uri_too_long", 414, "The path or the query is too long"),
    row(Code::UnsupportedMediaType, "unsupported_media_type", 415, "The body is not of a type that is taken here"),
    row(Code::RangeNotSatisfiable, "range_not_satisfiable", 416, "The file has nothing of the part that Range names"),
    row(Code::WrongHost, "wrong_host", 421, "The request names a host that this is not"),
    row(Code::MissingField, "missing_field", 422, "A member is missing"),
    row(Code::UnknownField, "unknown_field", 422, "There is no such member"),
    row(Code::InvalidField, "invalid_field", 422, "A member is not what it must be"),
    row(Code::UnknownParameter, "unknown_parameter", 422, "The query has no such parameter"),
    row(Code::InvalidParameter, "invalid_parameter", 422, "A parameter of the query is not what it must be"),
    row(Code::InvalidCursor, "invalid_cursor", 422, "The cursor is none of this list"),
    row(Code::InvalidKey, "invalid_key", 422, "The Idempotency-Key is not what it must be"),
    row(Code::KeyReused, "key_reused", 422, "The Idempotency-Key came before with another request"),
    row(Code::RateLimited, "rate_limited", 429, "Too many requests in this time"),
    row(Code::HeadersTooLarge, "headers_too_large", 431, "The header fields are too long, or too many"),
    row(Code::Draining, "draining", 503, "The switch takes no new calls"),
    row(Code::TooManyCalls, "too_many_calls", 503, "The limit of calls is reached"),
    row(Code::TooManyCommands, "too_many_commands", 503, "The limit of commands at once is reached"),
    row(Code::TooManyKeys, "too_many_keys", 503, "No more Idempotency-Keys can be remembered now"),
    row(Code::CarrierDown, "carrier_down", 503, "Whoever carries the calls cannot be asked now"),
    row(Code::NodeUnreachable, "node_unreachable", 503, "The node that this lies on cannot be asked now"),
    row(Code::NotStored, "not_stored", 503, "The change is in effect but could not be stored yet"),
    row(Code::Unavailable, "unavailable", 503, "The switch has too much to do, or is stopping"),
];

impl Code {
    /// Its row.
    #[must_use]
    pub const fn row(self) -> &'static CodeRow {
        &CODES[self as usize]
    }
}

/// Something that went wrong. Nothing has changed unless the code says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// What kind of thing it is.
    pub code: Code,
    /// What was wrong this time.
    pub detail: Cow<'static, str>,
    /// The member of the body, as a JSON pointer (RFC 6901), the parameter of the query with a `?` before it, or the name of
    /// a header field.
    pub field: Option<String>,
    /// What was expected there.
    pub expected: Option<Cow<'static, str>>,
    /// What belongs to the code: the methods that there are, of [`Code::MethodNotAllowed`]; the id of the oldest event that
    /// there is, of [`Code::Gone`]; how many bytes there are, of [`Code::RangeNotSatisfiable`].
    pub more: Option<String>,
    /// After how many seconds it may be tried again.
    pub retry_after: Option<u64>,
}

impl Problem {
    /// One without a place.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after = (code.row().status == 503).then_some(RETRY_AFTER);
        Self { code, detail: detail.into(), field: None, expected: None, more: None, retry_after }
    }

    /// An address at a place of the body that `list`, one of those of the grant, does not allow.
    pub(super) fn address_not_allowed(place: &str, list: &str) -> Self {
        let problem = Self::new(Code::AddressNotAllowed, "the token does not allow it").at(place);
        problem.expected(format!("an address that `{list}` of the token allows"))
    }

    /// The same, with the place.
    #[must_use]
    pub fn at(self, field: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    /// The same, with what was expected.
    #[must_use]
    pub fn expected(self, expected: impl Into<Cow<'static, str>>) -> Self {
        Self { expected: Some(expected.into()), ..self }
    }

    /// As an answer.
    #[must_use]
    pub fn into_response(self) -> Response {
        let row = self.code.row();
        let document = Document {
            r#type: format!("/problems/{}", row.name),
            title: row.title,
            status: row.status,
            code: row.name,
            detail: &self.detail,
            field: self.field.as_deref(),
            expected: self.expected.as_deref(),
            oldest: self.more.as_deref().filter(|_| self.code == Code::Gone),
        };
        let allow = self.more.clone().filter(|_| self.code == Code::MethodNotAllowed).map(|allow| ("allow", allow));
        let retry = self.retry_after.map(|seconds| ("retry-after", seconds.to_string()));
        let size = self.more.as_deref().filter(|_| self.code == Code::RangeNotSatisfiable);
        let range = size.map(|size| ("content-range", format!("bytes */{size}")));
        let headers = allow.into_iter().chain(retry).chain(range).collect();
        // Text and numbers always can be written.
        let body = serde_json::to_string(&document).unwrap_or_default();
        Response { status: row.status, content_type: PROBLEM_TYPE, headers, body, file: None }
    }
}

/// Seconds after which something that is full or busy may be tried again.
const RETRY_AFTER: u64 = 1;

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_own_row() {
        for (index, row) in CODES.iter().enumerate() {
            assert_eq!(row.code as usize, index, "{}", row.name);
            assert!((400..600).contains(&row.status));
            assert!(CODES[index + 1..].iter().all(|other| other.name != row.name), "{}", row.name);
        }
        assert_eq!(Code::Unavailable as usize + 1, CODES.len());
    }

    #[test]
    fn a_problem_is_a_document_with_code_field_and_what_was_expected() {
        let response = Problem::new(Code::InvalidField, "no").at("/to").expected("a URI").into_response();
        assert_eq!((response.status, response.content_type), (422, PROBLEM_TYPE));
        let expected = r#"{"type":"/problems/invalid_field","title":"A member is not what it must be","status":422,"code":"invalid_field","detail":"no","field":"/to","expected":"a URI"}"#;
        assert_eq!(response.body, expected);
        let busy = Problem::new(Code::Draining, "no").into_response();
        assert_eq!(busy.headers, [("retry-after", "1".to_owned())]);
    }
}
