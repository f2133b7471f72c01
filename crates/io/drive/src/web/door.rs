//! Who may come in where nodes of one switch talk to each other: whoever shows their token, or comes from where they are.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hookswitch_dialect::access::Grant;

use super::accept::Remote;
use super::token::{Token, authorize};
use crate::pii::Pii;

/// Who may come in.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// Whoever shows one of these, if there are any. Default none.
    pub tokens: Vec<Token<Grant>>,
    /// Where there are none: whoever comes from one of these addresses. Default: from anywhere.
    pub from: Option<Vec<IpAddr>>,
}

impl Door {
    /// Whether everybody who can reach it may come in.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.tokens.is_empty() && self.from.is_none()
    }

    fn admits(&self, request: &Request) -> Result<(), StatusCode> {
        if !self.tokens.is_empty() {
            return authorize(&self.tokens, request.headers()).map(drop).map_err(|_| StatusCode::UNAUTHORIZED);
        }
        let remote = request.extensions().get::<Remote>();
        let remote = remote.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |remote| remote.0.ip().to_canonical());
        match &self.from {
            Some(from) if !from.contains(&remote) => {
                tracing::warn!(remote = %Pii(remote), "somebody who is no node of ours speaks as one");
                Err(StatusCode::FORBIDDEN)
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Lets a request pass, or refuses it.
pub(super) async fn pass(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    match door.admits(&request) {
        Ok(()) => next.run(request).await,
        Err(status @ StatusCode::UNAUTHORIZED) => {
            let bearer = [(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))];
            (status, bearer, "the token of the nodes is needed\n").into_response()
        }
        Err(status) => (status, "this address is no node's\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn asked(from: [u8; 4], token: Option<&str>) -> Request {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(Remote((from, 4_000).into()));
        if let Some(token) = token {
            request.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        }
        request
    }

    #[test]
    fn with_a_token_only_that_counts_and_without_one_where_somebody_is() {
        let token = Token::of_secret(SECRET, Arc::new(Grant::everything())).unwrap();
        let here = [127, 0, 0, 1];
        let with = Door { tokens: vec![token], from: Some(Vec::new()) };
        assert_eq!(with.admits(&asked(here, Some(SECRET))), Ok(()));
        for wrong in [None, Some("0123456789abcdeX")] {
            assert_eq!(with.admits(&asked(here, wrong)), Err(StatusCode::UNAUTHORIZED));
        }
        let from = Door { from: Some(vec![[10, 0, 0, 1].into()]), ..Door::default() };
        assert_eq!(from.admits(&asked([10, 0, 0, 1], None)), Ok(()));
        assert_eq!(from.admits(&asked(here, Some(SECRET))), Err(StatusCode::FORBIDDEN));
        assert_eq!(Door::default().admits(&asked(here, None)), Ok(()));
        assert!(Door::default().is_open() && !from.is_open() && !with.is_open());
    }
}
