//! Who may come in: every request of the control listener passes here, and so does its answer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use compact_str::CompactString;
use hookswitch_call::Time;
use hookswitch_dialect::access::{Grant, Scope};
use hookswitch_dialect::pace::{BURST, Left, Pace};

use super::audit::{Asked, Note, Noter};
use super::desk::Answered;
use super::origins::{Pages, preflight};
use super::problem::Problem;
use super::{ControlConfig, pages};
use crate::clock::Clock;
use crate::pii::Pii;
use crate::web::accept::{Certified, Remote};
use crate::web::token::{self, Token, Unauthorized};

/// draft-ietf-httpapi-ratelimit-headers-10.
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Whether whoever asks may read everything; an extension of every request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known(pub(super) bool);

/// Who may come in, until the configuration is read again.
struct Keys {
    tokens: Vec<Token<Grant>>,
    certificates: HashMap<CompactString, Arc<Grant>>,
    /// What everybody may where nobody has to prove who it is.
    anybody: Option<Arc<Grant>>,
    pages: Pages,
}

impl Keys {
    fn of(config: &ControlConfig) -> Self {
        Self {
            tokens: config.tokens.clone(),
            certificates: config.certificates.iter().cloned().collect(),
            anybody: config.is_open().then(|| Arc::clone(&config.anybody)),
            pages: Pages::new(config.origins.clone()),
        }
    }

    /// Whose request it is. A token decides before a certificate.
    fn recognize(&self, headers: &HeaderMap, certified: &Certified) -> Result<Arc<Grant>, Problem> {
        if let Some(anybody) = &self.anybody {
            return Ok(Arc::clone(anybody));
        }
        let by_certificate = || certified.0.iter().find_map(|name| self.certificates.get(name)).map(Arc::clone);
        match token::authorize(&self.tokens, headers) {
            Ok(Some(grant)) => Ok(grant),
            // Where there are only certificates, a token says nothing.
            Ok(None) | Err(Unauthorized::Missing) => by_certificate().ok_or(Problem::Unauthorized { shown: false }),
            Err(Unauthorized::Wrong) => Err(Problem::Unauthorized { shown: true }),
        }
    }
}

/// What every request is measured by.
pub(in crate::web) struct Gate {
    keys: RwLock<Arc<Keys>>,
    paces: Paces,
    noter: Option<Noter>,
    clock: Clock,
    /// Requests refused because it is not known who asks.
    unauthorized: Arc<AtomicU64>,
}

impl Gate {
    pub(in crate::web) fn new(
        config: &ControlConfig,
        noter: Option<Noter>,
        clock: Clock,
        unauthorized: Arc<AtomicU64>,
    ) -> Self {
        Self { keys: RwLock::new(Arc::new(Keys::of(config))), paces: Paces::default(), noter, clock, unauthorized }
    }

    /// Other tokens, certificates, grants and origins from now on. Requests that are being answered go on.
    pub(in crate::web) fn reload(&self, config: &ControlConfig) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Keys::of(config));
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn count_stranger(&self, remote: IpAddr) {
        let so_far = self.unauthorized.fetch_add(1, Ordering::Relaxed) + 1;
        // Somebody who tries them all shall not fill the log as well; the metrics have the number.
        if so_far.is_power_of_two() {
            tracing::warn!(remote = %Pii(remote), so_far, "a request without a valid token or certificate");
        }
    }

    /// Notes who has ordered something, or listens to a recording, and what was answered.
    fn note(&self, who: &Grant, remote: IpAddr, method: Method, path: String, response: &Response) {
        let Some(noter) = &self.noter else { return };
        noter.note(Note::Asked(Asked {
            at: self.clock.now(),
            who: who.name.clone(),
            address: remote,
            method: CompactString::from(method.as_str()),
            path,
            status: response.status().as_u16(),
            answer: response.extensions().get::<Answered>().map(|answered| answered.0.clone()),
        }));
    }
}

/// Lets a request pass, or refuses it.
pub(super) async fn pass(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let keys = gate.keys();
    let origin = match keys.pages.admit(request.headers()) {
        Ok(origin) => origin,
        Err(problem) => return problem.into_response(),
    };
    let mut response = match preflight(request.method(), request.headers()) {
        Some(answer) => answer,
        None => known(&gate, &keys, request, next).await,
    };
    let headers = response.headers_mut();
    keys.pages.tell(origin, headers);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn known(gate: &Gate, keys: &Keys, mut request: Request, next: Next) -> Response {
    if keys.anybody.is_some()
        && let Err(problem) = own_host(request.headers())
    {
        return problem.into_response();
    }
    let remote = request.extensions().get::<Remote>().map_or(IpAddr::from([0, 0, 0, 0]), |remote| remote.0.ip());
    let certified = request.extensions().get::<Certified>().cloned().unwrap_or_default();
    let is_public = pages::is_public(request.uri().path());
    let grant = match keys.recognize(request.headers(), &certified) {
        Ok(grant) => grant,
        Err(Problem::Unauthorized { shown: false }) if is_public => {
            request.extensions_mut().insert(Known(false));
            return next.run(request).await;
        }
        Err(problem) => {
            gate.count_stranger(remote);
            return problem.into_response();
        }
    };
    let pace = match gate.paces.pass(gate.clock.now(), &grant) {
        Ok(pace) => pace,
        Err((problem, pace)) => return with_pace(problem.into_response(), Some(pace)),
    };
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let looks = matches!(method, Method::GET | Method::HEAD | Method::OPTIONS);
    let response = match scope(&grant, looks, is_public) {
        Err(problem) => problem.into_response(),
        Ok(()) => {
            request.extensions_mut().insert(Known(grant.may(Scope::Read)));
            request.extensions_mut().insert(Arc::clone(&grant));
            next.run(request).await
        }
    };
    if !looks || listens(&path) {
        gate.note(&grant, remote, method, path, &response);
    }
    with_pace(response, pace)
}

/// Whether somebody wants to hear what was said in a call: that is noted as orders are.
fn listens(path: &str) -> bool {
    path.starts_with("/v1/recordings/") && path.ends_with("/audio")
}

/// What the method alone says about what is wanted; which of the changes need which scope is the desk's to know.
fn scope(grant: &Grant, looks: bool, is_public: bool) -> Result<(), Problem> {
    let may = match (looks, is_public) {
        (true, true) => true,
        (true, false) => grant.may(Scope::Read),
        (false, _) => grant.may(Scope::Control) || grant.may(Scope::Admin),
    };
    let wanted = if looks { "read" } else { "control or admin" };
    if may { Ok(()) } else { Err(Problem::Forbidden(format!("{:?} lacks the scope {wanted}", grant.name.as_str()))) }
}

/// A name that leads here by the will of others (DNS rebinding) lets their pages ask as if they were ours. Where
/// nobody has to prove who it is, only addresses and `localhost` are names of ours.
pub(in crate::web) fn own_host(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(host) = headers.get(header::HOST) else { return Ok(()) };
    let text = String::from_utf8_lossy(host.as_bytes());
    let name = match text.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => &text,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    if bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    Err(Problem::Host(text.into_owned()))
}

/// How fast each grant asks. There are as many as are configured.
#[derive(Default)]
struct Paces(Mutex<HashMap<CompactString, Pace>>);

type Allowance = (u32, Left);

impl Paces {
    /// Counts a request; what is left after it, where there is a limit.
    fn pass(&self, now: Time, grant: &Grant) -> Result<Option<Allowance>, (Problem, Allowance)> {
        let Some(rate) = grant.rate else { return Ok(None) };
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = paces.entry(grant.name.clone()).or_default();
        let passed = pace.pass(now, rate);
        let left = pace.left(now, rate);
        if passed {
            return Ok(Some((rate, left)));
        }
        let retry_after_seconds = whole_seconds(left.next_in).max(1);
        Err((Problem::TooMany { rate, retry_after_seconds }, (rate, left)))
    }
}

/// Rounded up, so that nobody comes too early.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// Tells the client how much it may still ask.
fn with_pace(mut response: Response, pace: Option<Allowance>) -> Response {
    let Some((rate, left)) = pace else { return response };
    let window = BURST.as_secs();
    let policy = format!(r#""requests";q={};w={window}"#, u64::from(rate) * window);
    let now = format!(r#""requests";r={};t={}"#, left.requests, whole_seconds(left.full_in));
    for (name, value) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, now)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Result<(), Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, name.parse().unwrap());
        own_host(&headers)
    }

    #[test]
    fn without_grants_only_addresses_and_localhost_are_ours() {
        for name in ["localhost", "LocalHost:9001", "127.0.0.1:9001", "[::1]:9001", "[::1]", "192.0.2.1"] {
            assert_eq!(host(name), Ok(()), "{name}");
        }
        assert_eq!(own_host(&HeaderMap::new()), Ok(()));
        for name in ["evil.test:9001", "localhost.evil.test", "127.0.0.1.evil.test:9001", "", "[::1", "127.0.0.1:port"]
        {
            assert_eq!(host(name), Err(Problem::Host(name.to_owned())), "{name}");
        }
    }

    #[test]
    fn a_grant_asks_twice_its_rate_at_once_and_is_told_how_much_is_left() {
        let paces = Paces::default();
        let start = Duration::from_secs(1_700_000_000);
        let named = |name: &str| Grant { name: name.into(), rate: Some(2), ..Grant::everything() };
        let desk = named("desk");
        let left: Vec<u64> = (0..4).map(|_| paces.pass(start, &desk).unwrap().unwrap().1.requests).collect();
        assert_eq!(left, [3, 2, 1, 0]);
        let (problem, pace) = paces.pass(start, &desk).unwrap_err();
        assert_eq!(problem, Problem::TooMany { rate: 2, retry_after_seconds: 1 });
        let response = with_pace(problem.into_response(), Some(pace));
        assert_eq!(response.headers()["ratelimit-policy"], r#""requests";q=4;w=2"#);
        assert_eq!(response.headers()["ratelimit"], r#""requests";r=0;t=2"#);
        assert_eq!(response.headers()["retry-after"], "1");
        // Others have a limit of their own, or none.
        assert!(paces.pass(start, &named("kiosk")).is_ok());
        assert_eq!(paces.pass(start, &Grant::everything()).unwrap(), None);
        assert!(paces.pass(start + Duration::from_millis(500), &desk).is_ok());
    }

    #[test]
    fn looking_needs_read_and_anything_else_control_or_admin() {
        let with = |scopes: &[Scope]| Grant { scopes: scopes.to_vec(), ..Grant::everything() };
        assert!(scope(&with(&[Scope::Read]), true, false).is_ok());
        assert!(scope(&with(&[Scope::Read]), false, false).is_err());
        assert!(scope(&with(&[Scope::Control]), false, false).is_ok());
        assert!(scope(&with(&[Scope::Admin]), false, false).is_ok());
        assert!(scope(&with(&[Scope::Admin]), true, false).is_err());
        assert!(scope(&with(&[]), true, true).is_ok());
    }
}
