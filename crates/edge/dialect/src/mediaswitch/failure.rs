//! What went wrong and where, as a response.

use hookswitch_call::directory::DirectoryError;
use serde::Serialize;

use super::Response;
use super::body::DocumentError;

/// A request that cannot be answered as asked. Nothing has changed.
#[derive(Debug)]
pub(super) struct Failure {
    status: u16,
    what: String,
    /// A path into the body such as `users[3].secret`, or `path`, `method`, `body`.
    place: String,
    allow: Option<&'static str>,
}

impl Failure {
    pub(super) fn new(status: u16, what: String, place: &str) -> Self {
        Self { status, what, place: place.to_owned(), allow: None }
    }

    pub(super) fn path(status: u16, what: String) -> Self {
        Self::new(status, what, "path")
    }

    /// A verb that a resource does not have.
    pub(super) fn method(allow: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::new(405, format!("allowed here: {allow}"), "method") }
    }

    /// What the directory refuses. `status` is for a domain that does not exist, `place` for what
    /// is wrong with the names or secrets.
    pub(super) fn directory(error: &DirectoryError, no_such_domain: u16, place: &str) -> Self {
        let (status, place) = match error {
            DirectoryError::NoSuchDomain(_) => (no_such_domain, "path"),
            DirectoryError::Configured(_) => (409, "path"),
            DirectoryError::BadName(_)
            | DirectoryError::SecretTooLong
            | DirectoryError::BadForward { .. }
            | DirectoryError::BadClasses(_) => (400, place),
            DirectoryError::TooManyUsers => (413, "users"),
            DirectoryError::TooManyDomains => (507, "path"),
        };
        Self::new(status, error.to_string(), place)
    }

    pub(super) fn into_error(self) -> DocumentError {
        DocumentError { what: self.what, place: self.place }
    }

    pub(super) fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a str,
            r#where: &'a str,
        }
        let body = Body { error: &self.what, r#where: &self.place };
        Response { allow: self.allow, ..Response::json(self.status, &body) }
    }
}
