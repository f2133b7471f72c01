//! What the listener itself refuses, as problem documents (RFC 9457) of the same form as those of the resources behind it.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use hookswitch_dialect::rest::{self, Code};

use crate::web::http::respond;

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
    const fn code(&self) -> Code {
        match self {
            Self::Unauthorized { .. } => Code::Unauthorized,
            Self::Forbidden(_) => Code::Forbidden,
            Self::Origin(_) => Code::OriginNotAllowed,
            Self::Host(_) => Code::WrongHost,
            Self::TooMany { .. } => Code::RateLimited,
            Self::TooLarge(_) => Code::BodyTooLarge,
            Self::Late => Code::RequestTimeout,
            Self::Busy(_) | Self::Silent => Code::Unavailable,
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
        let mut problem = rest::Problem::new(self.code(), self.detail());
        if let Self::TooMany { retry_after_seconds, .. } = self {
            problem.retry_after = Some(retry_after_seconds);
        }
        let mut response = respond(problem.into_response().into(), false);
        let headers = response.headers_mut();
        match self {
            // RFC 6750 section 3.1: an error is named only if something was shown.
            Self::Unauthorized { shown: true } => {
                let challenge = HeaderValue::from_static(r#"Bearer realm="control", error="invalid_token""#);
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            Self::Unauthorized { shown: false } => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="control""#));
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
