//! The pushed directory over HTTP: a friendly host puts domains and users in, and asks who is
//! registered. Paths, verbs and bodies are those of project-mediaswitch.
//!
//! Pure functions: whoever owns the socket reads a request to its end, calls [`handle`], and
//! writes the response. Authentication and TLS are that owner's business.

mod body;
mod dir;
mod failure;
mod path;
mod reg;

pub use body::{DocumentError, found_user};
pub use reg::{Registration, Registrations};

use hookswitch_call::directory::Directory;
use serde::Serialize;

use failure::Failure;

/// Longest body, in bytes: room for [`MAX_USERS`](hookswitch_call::directory::MAX_USERS) users of
/// usual size. The socket layer applies the same limit while it reads.
pub const MAX_BODY: usize = 16 * 1024 * 1024;

/// Longest path, in bytes, before decoding. A domain and a user name, every byte escaped, fit.
pub const MAX_PATH: usize = 2_048;

/// What every response is said to be, as the original says it.
pub const CONTENT_TYPE: &str = "text/json";

/// One HTTP request, read to its end.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// The path as it stands in the request, still escaped, without the query.
    pub path: &'a str,
    /// What follows the `?`, if there is one. No resource here has a query: it is ignored.
    pub query: Option<&'a str>,
    /// The body; empty if there is none.
    pub body: &'a [u8],
}

/// What to answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The `Content-Type`; also of an empty body.
    pub content_type: &'static str,
    /// The body: JSON or empty. Not to be sent in answer to HEAD.
    pub body: String,
    /// The `Allow` header of a 405.
    pub allow: Option<&'static str>,
}

impl Response {
    fn empty(status: u16) -> Self {
        Self { status, content_type: CONTENT_TYPE, body: String::new(), allow: None }
    }

    fn json(status: u16, body: &impl Serialize) -> Self {
        let body = serde_json::to_string(body).expect("strings and numbers under string keys can always be written");
        Self { body, ..Self::empty(status) }
    }
}

/// Answers one request for `/dir` or `/reg`. What it changes in the directory is told by
/// [`Directory::poll_change`].
#[must_use]
pub fn handle(request: Request<'_>, directory: &mut Directory, registrations: &dyn Registrations) -> Response {
    answer(request, directory, registrations).unwrap_or_else(Failure::into_response)
}

fn answer(
    request: Request<'_>,
    directory: &mut Directory,
    registrations: &dyn Registrations,
) -> Result<Response, Failure> {
    if request.path.len() > MAX_PATH {
        return Err(Failure::path(414, format!("the path is longer than {MAX_PATH} bytes")));
    }
    if request.body.len() > MAX_BODY {
        return Err(Failure::new(413, format!("the body is longer than {MAX_BODY} bytes"), "body"));
    }
    let segments = path::segments(request.path)?;
    match segments.split_first() {
        Some((first, rest)) if first == "dir" => dir::answer(request, rest, directory),
        Some((first, rest)) if first == "reg" => reg::answer(request, rest, directory, registrations),
        _ => Err(Failure::path(404, "there is nothing here: try /dir or /reg".to_owned())),
    }
}

/// How the switch is, for [`health`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Health {
    /// Calls that are alive.
    pub calls: usize,
    /// Registrations that are valid.
    pub registrations: usize,
    /// Whether the switch takes no new calls because it is about to stop.
    #[serde(skip)]
    pub draining: bool,
}

/// Answers `GET /health`: 200 while the switch takes calls, 503 while it drains.
#[must_use]
pub fn health(health: Health) -> Response {
    #[derive(Serialize)]
    struct Body {
        status: &'static str,
        #[serde(flatten)]
        health: Health,
    }
    let (code, status) = if health.draining { (503, "draining") } else { (200, "up") };
    Response::json(code, &Body { status, health })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_up_until_it_drains() {
        let up = Health { calls: 2, registrations: 3, draining: false };
        let response = health(up);
        assert_eq!(response.status, 200);
        assert_eq!(response.body, r#"{"status":"up","calls":2,"registrations":3}"#);
        assert_eq!(health(Health { draining: true, ..up }).status, 503);
    }
}
