//! The table of everything that is answered at `/v1`.

use serde_json::Value;

use super::Request;
use super::desk::{Done, Turn};
use super::problem::{Code, Problem};
use super::shape::{Field, unescaped};
use super::{
    call_records, calls, conference, directory, events, health, holds, keypad, nodes, play, record, recordings,
    registrations, reload, transfers, trunks, webhook_of_call, webhooks,
};
use crate::access::Scope;

/// Longest body of a request, in bytes: that of a whole domain.
pub const MAX_BODY: usize = 16 * 1024 * 1024;

/// Longest body of a request that is no entry of the directory.
pub const MAX_SMALL_BODY: usize = 64 * 1024;

/// Longest path and longest query, in bytes.
pub(super) const MAX_URI: usize = 8 * 1024;

/// What a request wants done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "RFC 9110 section 9.3 and RFC 5789 say what they are")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// As it stands in a request.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Something that can be asked for.
pub struct Route {
    /// How.
    pub method: Method,
    /// Where; names in braces stand for one part of the path.
    pub path: &'static str,
    /// Its name in the OpenAPI document.
    pub name: &'static str,
    /// What it is about, for lists of operations.
    pub tag: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// What its sender must be allowed.
    pub scope: Scope,
    /// The parameters that its query may have.
    pub query: &'static [Field],
    /// The members of its body; none takes no body.
    pub body: Option<&'static [Field]>,
    /// What it answers when all is well.
    pub answers: &'static [Answer],
    /// What else it may answer, beside what every request may be answered.
    pub problems: &'static [Code],
    pub(super) run: fn(&mut Turn<'_>) -> Result<Done, Problem>,
}

/// `Content-Type` of the files of recordings.
pub const AUDIO: &str = "audio/wav";

/// `Content-Type` of Server-Sent Events.
pub const EVENT_STREAM: &str = "text/event-stream";

/// One answer of a route. Two with one status are bodies of different types.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// What it means.
    pub about: &'static str,
    /// The name of the schema of its body, in the OpenAPI document, or [`AUDIO`] or [`EVENT_STREAM`]; none has no body.
    pub schema: Option<&'static str>,
}

/// One resource: its routes, and the schemas of its documents.
pub(super) struct Resource {
    pub(super) routes: &'static [Route],
    pub(super) schemas: fn() -> Vec<(&'static str, Value)>,
}

pub(super) const RESOURCES: &[Resource] = &[
    calls::RESOURCE,
    holds::RESOURCE,
    transfers::RESOURCE,
    webhook_of_call::RESOURCE,
    play::RESOURCE,
    record::RESOURCE,
    keypad::RESOURCE,
    conference::RESOURCE,
    call_records::RESOURCE,
    recordings::RESOURCE,
    registrations::RESOURCE,
    directory::RESOURCE,
    trunks::RESOURCE,
    nodes::RESOURCE,
    health::RESOURCE,
];

/// Those that the listener answers by itself: they are no business of the switch.
pub(super) const OF_LISTENER: &[Resource] = &[events::RESOURCE, webhooks::RESOURCE, reload::RESOURCE];

/// A route of [`OF_LISTENER`] that has come here: the listener has nothing behind it that could answer.
pub(super) fn by_listener(_turn: &mut Turn<'_>) -> Result<Done, Problem> {
    Err(Problem::new(Code::Unavailable, "this is not served here"))
}

/// Whether the listener answers this request by itself, whatever else is wrong with it.
#[must_use]
pub fn is_of_listener(request: &Request) -> bool {
    let found = find(&request.method, &request.path).ok();
    found.is_some_and(|(route, _)| OF_LISTENER.iter().flat_map(|one| one.routes).any(|one| one.name == route.name))
}

/// Everything that is answered.
pub struct Routes;

/// Everything that is answered.
pub const ROUTES: Routes = Routes;

impl Routes {
    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &'static Route> {
        RESOURCES.iter().chain(OF_LISTENER).flat_map(|resource| resource.routes)
    }
}

/// The longest body that is taken at a path.
#[must_use]
pub fn body_limit(path: &str) -> usize {
    if path.starts_with("/v1/directory/") { MAX_BODY } else { MAX_SMALL_BODY }
}

/// The route that a request means, and the parts of its path that have a name.
///
/// # Errors
/// There is nothing at the path, or not with this method.
pub(super) fn find(method: &str, path: &str) -> Result<(&'static Route, Vec<String>), Problem> {
    if path.len() > MAX_URI {
        return Err(Problem::new(Code::UriTooLong, format!("a path may have {MAX_URI} bytes")));
    }
    let asked = if method == "HEAD" { "GET" } else { method };
    let mut allowed = Vec::new();
    for route in ROUTES.iter() {
        let Some(named) = fits(route.path, path) else { continue };
        if route.method.name() == asked {
            let named: Option<Vec<String>> = named.into_iter().map(|part| unescaped(part, false)).collect();
            let bad = || Problem::new(Code::MalformedRequest, "the path is not UTF-8, escaped as in a URI");
            return Ok((route, named.ok_or_else(bad)?));
        }
        allowed.push(route.method.name());
        if route.method == Method::Get {
            allowed.push("HEAD");
        }
    }
    if allowed.is_empty() {
        return Err(Problem::new(Code::NotFound, "no resource has this path"));
    }
    let problem = Problem::new(Code::MethodNotAllowed, "the resource has other methods");
    Err(Problem { more: Some(allowed.join(", ")), ..problem })
}

/// The parts of a path that stand where a template has names in braces.
fn fits<'p>(template: &str, path: &'p str) -> Option<Vec<&'p str>> {
    let mut named = Vec::new();
    let mut parts = path.split('/');
    for wanted in template.split('/') {
        let part = parts.next()?;
        match wanted.starts_with('{') {
            true if part.is_empty() => return None,
            true => named.push(part),
            false if part != wanted => return None,
            false => {}
        }
    }
    parts.next().is_none().then_some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_fits_one_part_for_each_name() {
        assert_eq!(fits("/v1/calls/{call}", "/v1/calls/a%2Fb"), Some(vec!["a%2Fb"]));
        for other in ["/v1/calls", "/v1/calls/", "/v1/calls/a/b", "v1/calls/a", "/v2/calls/a"] {
            assert_eq!(fits("/v1/calls/{call}", other), None, "{other}");
        }
    }

    #[test]
    fn another_method_is_told_which_there_are() {
        let problem = find("PUT", "/v1/calls").err().expect("no PUT");
        assert_eq!((problem.code, problem.more.as_deref()), (Code::MethodNotAllowed, Some("POST, GET, HEAD")));
        assert!(find("HEAD", "/v1/calls").is_ok());
        assert_eq!(find("GET", "/v1/nothing").err().map(|problem| problem.code), Some(Code::NotFound));
        assert_eq!(find("GET", "/v1/calls/%ff").err().map(|problem| problem.code), Some(Code::MalformedRequest));
    }

    #[test]
    fn names_of_routes_are_unique_and_paths_distinct() {
        let all: Vec<&Route> = ROUTES.iter().collect();
        for (index, route) in all.iter().enumerate() {
            for other in &all[index + 1..] {
                assert_ne!(route.name, other.name);
                assert!((route.method, route.path) != (other.method, other.path), "{}", route.path);
            }
        }
    }
}
