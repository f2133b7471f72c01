//! What is answered without asking the loop for a resource: how the switch is, and the documents that describe the rest.

use axum::Router;
use axum::extract::Extension;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hookswitch_dialect::rest::{self, Code, Problem};
use sha2::{Digest as _, Sha256};

use super::gate::Known;
use crate::web::http::respond;
use crate::web::status::Witnesses;

/// The page that shows the OpenAPI document and tries what is in it.
const DOCS: &str = include_str!("docs.html");

/// Paths that say the same everywhere and so need no grant, and the health, which says less without one.
const PUBLIC: &[&str] = &["/health", "/health/live", "/v1/docs", "/v1/openapi.json", "/v1/asyncapi.json"];

/// Below this stand the schemas of events.
const SCHEMAS: &str = "/v1/schemas/";

/// Whether a path may be looked at by everybody.
pub(super) fn is_public(path: &str) -> bool {
    PUBLIC.contains(&path) || path.starts_with(SCHEMAS)
}

pub(super) fn router(witnesses: Witnesses) -> Router {
    let health = witnesses.clone();
    let health = get(move |Extension(known): Extension<Known>| {
        let witnesses = health.clone();
        async move { if known.0 { witnesses.health().await } else { witnesses.health_alone().await } }
    });
    let alive = witnesses.clone();
    let alive = get(move || {
        let witnesses = alive.clone();
        async move { witnesses.liveness().await }
    });
    let metrics = get(move || {
        let witnesses = witnesses.clone();
        async move { witnesses.metrics().await }
    });
    let policy = policy(DOCS);
    let docs = get(move || {
        let policy = policy.clone();
        async move { docs(policy) }
    });
    let document = Bytes::from(rest::openapi());
    let openapi = get(move || {
        let document = document.clone();
        async move { ([(header::CONTENT_TYPE, HeaderValue::from_static(rest::JSON))], document) }
    });
    let pages = [
        ("/health", health),
        ("/health/live", alive),
        ("/metrics", metrics),
        ("/v1/docs", docs),
        ("/v1/openapi.json", openapi),
    ];
    pages.into_iter().fold(Router::new(), |router, (path, page)| router.route(path, page.fallback(other)))
}

/// The answer to every method that a page does not have.
async fn other() -> Response {
    let problem = Problem::new(Code::MethodNotAllowed, "the page has other methods");
    let problem = Problem { more: Some("GET, HEAD".to_owned()), ..problem };
    respond(problem.into_response().into(), false)
}

fn docs(policy: HeaderValue) -> Response {
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let fields = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (fields, DOCS).into_response()
}

/// What a page may load: its own script and style, which are in it, and answers of this listener.
fn policy(page: &str) -> HeaderValue {
    let hash = |tag: &str| {
        let inside = page.split_once(&format!("<{tag}>")).and_then(|(_, rest)| rest.split_once(&format!("</{tag}>")));
        let digest = Sha256::digest(inside.expect("the page is part of this program and has both").0);
        format!("'sha256-{}'", BASE64_STANDARD.encode(digest))
    };
    let (script, style) = (hash("script"), hash("style"));
    let text = format!(
        "default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(text).expect("digests in base64 are ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_loads_nothing_from_elsewhere_and_may_not() {
        let policy = policy(DOCS);
        let policy = policy.to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'sha256-") && !policy.contains("unsafe"),
            "{policy}"
        );
        for word in ["src=", "href=\"http", "@import", "url(", "//cdn", "style=\"", " onclick=", " onload="] {
            assert!(!DOCS.contains(word), "{word}");
        }
    }
}
