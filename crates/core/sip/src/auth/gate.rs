//! The server's side: challenge, check, refuse.
//!
//! ```text
//!  no usable credentials ────────────────────────────────▶ challenge
//!  malformed, or signed for another Request-URI ─────────▶ rejected 400
//!                           nonce alive and unused    nonce old, foreign or used
//!  right password           accepted                  challenge, stale=true
//!  wrong password, no user  rejected 403              challenge
//! ```
//!
//! A user who does not exist takes the same way as a wrong password, with the same work.

use std::fmt::Write as _;

use hookswitch_sip_msg::digest::{Algorithm, Credentials, HexDigest, Quoted, ha1};
use hookswitch_sip_msg::{AuthParams, HeaderName, Message, Uri};

use super::identity::Identity;
use super::nonce::Mint;
use super::replay::ReplayGuard;
use crate::Time;

/// Credentials of one request that are looked at to find those for our realm.
pub const MAX_CREDENTIALS: usize = 16;

/// How a [`Gate`] behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateConfig {
    /// Algorithms on offer, one challenge each, in this order. Default MD5, then SHA-256: many old phones look at the
    /// first challenge only, and newer ones may take the second.
    pub algorithms: Vec<Algorithm>,
    /// How long a nonce may be used after it was handed out. Default 300 s.
    pub nonce_lifetime: Time,
    /// Most nonces whose use is remembered, about 50 bytes each. When more are in use, the oldest become stale early.
    /// Default 100,000.
    pub max_tracked_nonces: usize,
    /// Whether phones may answer without `qop`, as before RFC 2617. Each nonce is then good for one request only, since
    /// there is no count that would tell a replay. Default false.
    pub allow_without_qop: bool,
    /// Whether the URI that was signed must name the same user and host as the Request-URI. To be switched off only
    /// behind a proxy that rewrites Request-URIs. Default true.
    pub check_uri: bool,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            algorithms: vec![Algorithm::Md5, Algorithm::Sha256],
            nonce_lifetime: Time::from_secs(300),
            max_tracked_nonces: 100_000,
            allow_without_qop: false,
            check_uri: true,
        }
    }
}

/// In which role the gate asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// As registrar or as the called side: 401, `WWW-Authenticate`, `Authorization`.
    Www,
    /// As a server on the way: 407, `Proxy-Authenticate`, `Proxy-Authorization`.
    Proxy,
}

impl Which {
    /// Status of the challenge.
    pub fn status(self) -> u16 {
        match self {
            Self::Www => 401,
            Self::Proxy => 407,
        }
    }

    fn challenge_header(self) -> HeaderName {
        match self {
            Self::Www => HeaderName::WwwAuthenticate,
            Self::Proxy => HeaderName::ProxyAuthenticate,
        }
    }

    fn credentials_header(self) -> HeaderName {
        match self {
            Self::Www => HeaderName::Authorization,
            Self::Proxy => HeaderName::ProxyAuthorization,
        }
    }
}

/// What a directory knows of a user's password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Secret<'a> {
    /// The password itself; good for every algorithm.
    Password(&'a str),
    /// `H(user:realm:password)` in lower-case hexadecimal: good for one algorithm and its `-sess` form, and only for
    /// a phone that writes user and realm exactly like this.
    Ha1 {
        /// The hash it was made with.
        algorithm: Algorithm,
        /// The hash.
        hex: &'a str,
    },
}

/// What the gate decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The sender knows the password. What they may do is another question: see [`identity_allows`](super::identity_allows).
    Accepted(Identity),
    /// Ask for credentials with this response.
    Challenge {
        /// 401 or 407.
        status: u16,
        /// Headers of the response: one challenge for each algorithm.
        headers: Vec<(HeaderName, String)>,
        /// Whether the password was right and only the nonce was not.
        stale: bool,
        /// Whether there were credentials with a wrong password, or of nobody: the nonce was not good either.
        wrong: bool,
    },
    /// Refuse with this response.
    Rejected {
        /// 400 or 403.
        status: u16,
        /// Reason phrase.
        reason: &'static str,
        /// For logs and counters.
        why: RejectedWhy,
    },
}

/// Why credentials were rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectedWhy {
    /// Wrong password or unknown user; which of them is nobody's business.
    BadCredentials,
    /// The signed URI is not that of the request (RFC 7616 section 3.4.6).
    UriMismatch,
    /// `qop` that was not offered, or without a readable `cnonce` and `nc`.
    Malformed,
}

impl RejectedWhy {
    fn verdict(self) -> Verdict {
        let (status, reason) = match self {
            Self::BadCredentials => (403, "Forbidden"),
            Self::UriMismatch => (400, "Digest URI Does Not Match Request-URI"),
            Self::Malformed => (400, "Malformed Credentials"),
        };
        Verdict::Rejected { status, reason, why: self }
    }
}

/// What [`Gate::peek`] sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peek {
    /// No credentials for our realm, or none of use.
    Nothing,
    /// Some for a nonce that is not good any more, or never was.
    Stale,
    /// An answer to a challenge of ours: the sender is where it says.
    Alive {
        /// Whether the password is right, as far as it is known.
        right: bool,
    },
}

/// Challenges requests and checks the answers.
pub struct Gate {
    config: GateConfig,
    mint: Mint,
    replays: ReplayGuard,
    /// Stands in for the password of users who do not exist.
    decoy: String,
}

impl Gate {
    /// `seed` must be random and fresh for each start of the process: who knows it can forge nonces, and a repeated one
    /// would accept nonces of the previous run without their history.
    pub fn new(config: GateConfig, seed: [u8; 32]) -> Self {
        let mint = Mint::new(&seed);
        let replays = ReplayGuard::new(config.max_tracked_nonces);
        let decoy = mint.decoy_secret();
        Self { config, mint, replays, decoy }
    }

    /// Decides on a request for `realm`. `secret` is asked for the password at most once, with the user name the
    /// request claims and `realm`.
    ///
    /// Two habits of phones are put up with: a user name that is written as `user@realm`, and a port behind the realm.
    pub fn check<'s>(
        &mut self,
        now: Time,
        request: &Message,
        realm: &str,
        which: Which,
        secret: impl FnOnce(&str, &str) -> Option<Secret<'s>>,
    ) -> Verdict {
        let Some(claim) = self.find(request, realm, which) else { return self.challenge(now, realm, which, false) };
        let nonce_count = match self.shape(&claim) {
            Shape::Usable(count) => count,
            Shape::Ask => return self.challenge(now, realm, which, false),
            Shape::Malformed => return RejectedWhy::Malformed.verdict(),
        };
        if self.config.check_uri && !request.request_uri().is_some_and(|uri| same_resource(&claim.uri, uri)) {
            return RejectedWhy::UriMismatch.verdict();
        }
        let user = local_part(&claim.username, realm);
        let known = self.knows_password(&claim, secret(user, realm), request);
        let opaque_is_ours = claim.opaque.as_deref().is_none_or(|opaque| opaque == self.mint.opaque(realm));
        let alive = self
            .mint
            .open(&claim.nonce, realm)
            .filter(|issued| opaque_is_ours && now.saturating_sub(issued.at) <= self.config.nonce_lifetime);
        match (known, alive) {
            (true, Some(issued)) if self.replays.admit(now, self.config.nonce_lifetime, issued, nonce_count) => {
                Verdict::Accepted(Identity { user: user.to_owned(), realm: realm.to_owned() })
            }
            (true, _) => self.challenge(now, realm, which, true),
            (false, Some(_)) => RejectedWhy::BadCredentials.verdict(),
            (false, None) => wrong(self.challenge(now, realm, which, false)),
        }
    }

    /// What can be seen of the credentials of a request before anything is decided: for who has to find out the password
    /// first, and does not want to for everybody who sends something. `secret` is the password as far as it is known.
    pub fn peek<'s>(
        &self,
        now: Time,
        request: &Message,
        realm: &str,
        which: Which,
        secret: impl FnOnce(&str, &str) -> Option<Secret<'s>>,
    ) -> Peek {
        let Some(claim) = self.find(request, realm, which) else { return Peek::Nothing };
        if !matches!(self.shape(&claim), Shape::Usable(_)) {
            return Peek::Nothing;
        }
        match self.mint.open(&claim.nonce, realm) {
            Some(issued) if now.saturating_sub(issued.at) <= self.config.nonce_lifetime => {
                let secret = secret(local_part(&claim.username, realm), realm);
                Peek::Alive { right: self.knows_password(&claim, secret, request) }
            }
            Some(_) | None => Peek::Stale,
        }
    }

    /// A challenge, for who wants one without having looked at credentials.
    pub fn challenge(&mut self, now: Time, realm: &str, which: Which, stale: bool) -> Verdict {
        let nonce = self.mint.mint(now, realm);
        let opaque = self.mint.opaque(realm);
        let headers = self.config.algorithms.iter().map(|algorithm| {
            let mut text = String::with_capacity(160);
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "Digest realm={}, nonce=\"{nonce}\", opaque=\"{opaque}\", algorithm={algorithm}, qop=\"auth\"",
                Quoted(realm)
            );
            if stale {
                text.push_str(", stale=true");
            }
            (which.challenge_header(), text)
        });
        Verdict::Challenge { status: which.status(), headers: headers.collect(), stale, wrong: false }
    }

    /// Nonces whose use is remembered.
    pub fn tracked_nonces(&self) -> usize {
        self.replays.len()
    }

    /// The credentials to look at: for our realm, with an algorithm we offered.
    fn find<'m>(&self, request: &'m Message, realm: &str, which: Which) -> Option<Credentials<'m>> {
        request
            .headers(which.credentials_header())
            .take(MAX_CREDENTIALS)
            .filter_map(|value| Credentials::read(&AuthParams::parse(value).ok()?))
            .find(|claim| same_realm(&claim.realm, realm) && self.config.algorithms.contains(&claim.algorithm))
    }

    fn shape(&self, claim: &Credentials<'_>) -> Shape {
        let has_cnonce = claim.cnonce.as_deref().is_some_and(|cnonce| !cnonce.is_empty());
        match claim.qop.as_deref() {
            None if !self.config.allow_without_qop => Shape::Ask,
            None if claim.algorithm.is_session() && !has_cnonce => Shape::Malformed,
            // Every use counts as the first, so that there is only one.
            None => Shape::Usable(1),
            Some(qop) if qop.eq_ignore_ascii_case("auth") && has_cnonce => {
                claim.nonce_count().map_or(Shape::Malformed, Shape::Usable)
            }
            Some(_) => Shape::Malformed,
        }
    }

    fn knows_password(&self, claim: &Credentials<'_>, secret: Option<Secret<'_>>, request: &Message) -> bool {
        let from_password = |password: &str| ha1(claim.algorithm, &claim.username, &claim.realm, password);
        let computed: HexDigest;
        let (hash, exists) = match secret {
            Some(Secret::Password(password)) => {
                computed = from_password(password);
                (computed.as_str(), true)
            }
            Some(Secret::Ha1 { algorithm, hex }) if algorithm.base() == claim.algorithm.base() => (hex, true),
            Some(Secret::Ha1 { .. }) | None => {
                computed = from_password(&self.decoy);
                (computed.as_str(), false)
            }
        };
        let method = request.method().map_or("", |method| method.as_str());
        // Both are evaluated whatever the other says.
        claim.verify(hash, method, request.body_bytes()) & exists
    }
}

/// The challenge for who has guessed.
fn wrong(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Challenge { status, headers, stale, .. } => Verdict::Challenge { status, headers, stale, wrong: true },
        other => other,
    }
}

/// What the parts of credentials allow.
enum Shape {
    /// To be checked, with this nonce count.
    Usable(u32),
    /// Not what was offered, but the phone may know better: ask again.
    Ask,
    /// Broken.
    Malformed,
}

/// Some phones append the port of the server to the realm.
fn same_realm(claimed: &str, realm: &str) -> bool {
    let Some(rest) = claimed.strip_prefix(realm) else { return false };
    rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The user name without a realm behind it.
fn local_part<'a>(username: &'a str, realm: &str) -> &'a str {
    username.strip_suffix(realm).and_then(|user| user.strip_suffix('@')).unwrap_or(username)
}

/// Whether two URIs name the same user at the same host. Parameters and a missing port do not matter: phones sign the URI
/// in forms of their own, and what counts is that credentials for one resource do not open another.
fn same_resource(claimed: &str, request_uri: &str) -> bool {
    if claimed == request_uri {
        return true;
    }
    let (Ok(a), Ok(b)) = (Uri::parse(claimed), Uri::parse(request_uri)) else { return false };
    if !(a.is_sip() && b.is_sip()) {
        return a.equivalent(&b);
    }
    let same_port = a.port.is_none() || b.port.is_none() || a.port == b.port;
    a.scheme == b.scheme && a.user_unescaped() == b.user_unescaped() && a.host.equivalent(&b.host) && same_port
}
