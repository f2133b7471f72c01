//! Web pages of other origins (CORS, as in the Fetch standard): those of a list may ask, all others are refused.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use compact_str::CompactString;

use super::problem::Problem;

/// What a page of another origin may use.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");

/// What it may send.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, If-Range, Last-Event-ID, Range",
);

/// What it may read.
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "Accept-Ranges, Content-Range, ETag, Idempotency-Replayed, Link, Location, RateLimit, RateLimit-Policy, \
     Retry-After",
);

/// How long a browser may remember what a page may do, in seconds.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");

/// Every page, in the list of those that may ask.
const ANY: &str = "*";

/// The web pages that may ask, by their `Origin`.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages(Vec<CompactString>);

impl Pages {
    pub(super) fn new(listed: Vec<CompactString>) -> Self {
        Self(listed)
    }

    /// Which page of another origin asks, to be told that it may; none for pages of our own and for programs.
    ///
    /// # Errors
    /// A page that may not.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, Problem> {
        let Some(origin) = headers.get(header::ORIGIN) else { return Ok(None) };
        let text = String::from_utf8_lossy(origin.as_bytes());
        let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
        // A proxy may have taken the TLS away, so the scheme says nothing.
        if text.split_once("://").is_some_and(|(_, own)| host == Some(own.as_bytes())) {
            return Ok(None);
        }
        if self.0.iter().any(|listed| listed == ANY || listed.eq_ignore_ascii_case(&text)) {
            return Ok(Some(origin.clone()));
        }
        Err(Problem::Origin(text.into_owned()))
    }

    /// Tells a page of another origin what it may read.
    pub(super) fn tell(&self, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
        }
    }
}

/// The answer to a browser that asks, for a page of another origin, whether that may do something.
pub(super) fn preflight(method: &Method, headers: &HeaderMap) -> Option<Response> {
    if method != Method::OPTIONS || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    let allowed: [(HeaderName, HeaderValue); 3] = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, REMEMBERED),
    ];
    Some((StatusCode::NO_CONTENT, allowed).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(listed: &[&str], origin: Option<&str>, host: &str) -> Result<Option<HeaderValue>, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        Pages::new(listed.iter().map(|one| (*one).into()).collect()).admit(&headers)
    }

    #[test]
    fn programs_and_pages_of_our_own_need_no_list() {
        assert_eq!(asks(&[], None, "switch:9001"), Ok(None));
        assert_eq!(asks(&[], Some("http://switch:9001"), "switch:9001"), Ok(None));
        assert_eq!(asks(&[], Some("https://switch:9001"), "switch:9001"), Ok(None));
    }

    #[test]
    fn pages_of_others_need_to_be_listed() {
        let desk = "https://desk.example";
        assert_eq!(
            asks(&[desk], Some("https://Desk.example"), "switch:9001"),
            Ok(Some("https://Desk.example".parse().unwrap()))
        );
        assert_eq!(asks(&["*"], Some(desk), "switch:9001"), Ok(Some(desk.parse().unwrap())));
        for other in [
            "https://desk.example.evil.test",
            "https://desk.example:8443",
            "http://desk.example",
            "null",
            "switch:9001",
        ] {
            assert_eq!(asks(&[desk], Some(other), "switch:9001"), Err(Problem::Origin(other.to_owned())));
        }
    }
}
