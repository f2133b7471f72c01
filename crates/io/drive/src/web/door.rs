//! Who may come in where nodes of one switch talk to each other: whoever shows their token, or comes from where they are.
//! Web pages never may, whoever's they are: none of ours asks there.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hookswitch_dialect::access::Grant;

use super::accept::Remote;
use super::control::own_host;
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

/// Why somebody may not come in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stranger {
    /// A web page.
    Page,
    /// It asks a host of a name that may lead here by the will of others.
    Host,
    /// It does not show the token.
    Token,
    /// It comes from elsewhere than the nodes.
    Address,
}

impl Door {
    /// Whether every program that can reach it may come in.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.tokens.is_empty() && self.from.is_none()
    }

    fn admits(&self, request: &Request) -> Result<(), Stranger> {
        // Browsers name one with whatever could change something, and programs do not. That a page seems to be of our
        // own origin says nothing: its name may lead here by the will of others (DNS rebinding).
        if request.headers().contains_key(header::ORIGIN) {
            return Err(Stranger::Page);
        }
        if self.is_open() {
            own_host(request.headers()).map_err(|_| Stranger::Host)?;
        }
        if !self.tokens.is_empty() {
            return authorize(&self.tokens, request.headers()).map(drop).map_err(|_| Stranger::Token);
        }
        let remote = request.extensions().get::<Remote>();
        let remote = remote.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |remote| remote.0.ip().to_canonical());
        match &self.from {
            Some(from) if !from.contains(&remote) => {
                tracing::warn!(remote = %Pii(remote), "somebody who is no node of ours speaks as one");
                Err(Stranger::Address)
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Lets a request pass, or refuses it.
pub(super) async fn pass(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    match door.admits(&request) {
        Ok(()) => next.run(request).await,
        Err(Stranger::Page) => (StatusCode::FORBIDDEN, "web pages may not ask here\n").into_response(),
        Err(Stranger::Host) => {
            let why = "without nodes.token only requests to an address or to localhost are answered\n";
            (StatusCode::MISDIRECTED_REQUEST, why).into_response()
        }
        Err(Stranger::Token) => {
            let bearer = [(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))];
            (StatusCode::UNAUTHORIZED, bearer, "the token of the nodes is needed\n").into_response()
        }
        Err(Stranger::Address) => (StatusCode::FORBIDDEN, "this address is no node's\n").into_response(),
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
            assert_eq!(with.admits(&asked(here, wrong)), Err(Stranger::Token));
        }
        let from = Door { from: Some(vec![[10, 0, 0, 1].into()]), ..Door::default() };
        assert_eq!(from.admits(&asked([10, 0, 0, 1], None)), Ok(()));
        assert_eq!(from.admits(&asked(here, Some(SECRET))), Err(Stranger::Address));
        assert_eq!(Door::default().admits(&asked(here, None)), Ok(()));
        assert!(Door::default().is_open() && !from.is_open() && !with.is_open());
    }

    #[test]
    fn web_pages_stay_outside_and_where_nobody_proves_who_it_is_so_do_names_of_others() {
        let here = [127, 0, 0, 1];
        let token = Token::of_secret(SECRET, Arc::new(Grant::everything())).unwrap();
        let open = Door::default();
        let with = Door { tokens: vec![token], from: None };
        let from = Door { from: Some(vec![here.into()]), ..Door::default() };
        let asked = |host: &'static str, origin: Option<&'static str>| {
            let mut request = asked(here, Some(SECRET));
            request.headers_mut().insert(header::HOST, HeaderValue::from_static(host));
            if let Some(origin) = origin {
                request.headers_mut().insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            request
        };
        for door in [&open, &with, &from] {
            assert_eq!(door.admits(&asked("localhost:9000", None)), Ok(()));
            assert_eq!(door.admits(&asked("10.0.0.1:9000", None)), Ok(()));
            for (host, origin) in [
                ("localhost:9000", "https://evil.test"),
                ("localhost:9000", "null"),
                ("localhost:9000", "http://localhost:9000"),
                ("evil.test:9000", "http://evil.test:9000"),
            ] {
                assert_eq!(door.admits(&asked(host, Some(origin))), Err(Stranger::Page), "{origin}");
            }
        }
        let by_name = asked("switch.example.test:9000", None);
        assert_eq!(open.admits(&by_name), Err(Stranger::Host));
        assert_eq!((with.admits(&by_name), from.admits(&by_name)), (Ok(()), Ok(())));
    }
}
