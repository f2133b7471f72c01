//! What the listener itself refuses, as problem documents (RFC 9457) of the same form as those of the resources behind it.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// `Retry-After` of what may be well again at once, in seconds.
const SOON: HeaderValue = HeaderValue::from_static("1");

/// Why a request does not reach the switch, or its answer the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::web) enum Problem {
    /// Neither a token nor a certificate that is known.
    Unauthorized { shown: bool },
    /// It is known who asks, and that may not do this.
    Forbidden(String),
    /// A web page that is not allowed to ask.
    Origin(String),
    /// The request names a host that this is not.
    Host(String),
    /// More requests than the grant allows.
    TooMany { rate: u32, retry_after_seconds: u64 },
    /// Longer than this many bytes.
    TooLarge(usize),
    /// The body did not arrive in time.
    Late,
    /// Too much at once, or the switch is stopping.
    Busy(&'static str),
    /// The switch did not answer in time.
    Silent,
}

impl Problem {
    const fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthorized { .. } => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Self::Origin(_) => (StatusCode::FORBIDDEN, "origin_not_allowed"),
            Self::Host(_) => (StatusCode::MISDIRECTED_REQUEST, "wrong_host"),
            Self::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::Late => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
            Self::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Silent => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Unauthorized { shown: false } => {
                "a bearer token or a client certificate is needed (docs/access.md)".to_owned()
            }
            Self::Unauthorized { shown: true } => "nobody has this token".to_owned(),
            Self::Forbidden(why) => why.clone(),
            Self::Origin(origin) => {
                format!("pages from {origin} may not ask: control.allowed_origins does not list it")
            }
            Self::Host(host) => format!(
                "without grants only requests to an address or to localhost are answered, and this one is to {host:?}"
            ),
            Self::TooMany { rate, .. } => format!("more than {rate} requests in a second"),
            Self::TooLarge(limit) => format!("the body is longer than {limit} bytes"),
            Self::Late => "the body did not arrive in time".to_owned(),
            Self::Busy(why) => (*why).to_owned(),
            Self::Silent => "the switch did not answer in time".to_owned(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code) = self.kind();
        let body = json!({
            "type": format!("/problems/{code}"),
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "code": code,
            "detail": self.detail(),
        });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self {
            // RFC 6750 section 3.1: an error is named only if something was shown.
            Self::Unauthorized { shown } => {
                let challenge = if shown {
                    r#"Bearer realm="control", error="invalid_token""#
                } else {
                    r#"Bearer realm="control""#
                };
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
            Self::TooMany { retry_after_seconds, .. } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after_seconds));
            }
            Self::Busy(_) | Self::Silent => {
                headers.insert(header::RETRY_AFTER, SOON);
            }
            Self::Late => {
                // What is left of the body would be taken for the next request.
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}
