//! The client's side: answering the challenge in a 401 or 407.

use std::fmt::{self, Write as _};

use compact_str::CompactString;
use hookswitch_sip_msg::digest::{
    Algorithm, Challenge, HexDigest, Protection, Quoted, ha1, ha2, ha2_with_body, response, session_ha1,
};
use hookswitch_sip_msg::{AuthParams, HeaderName, Message, Method};

/// Challenges of one response that are looked at; further ones are ignored.
const MAX_CHALLENGES: usize = 16;

/// A user name and password to answer challenges with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name in the realm.
    pub user: CompactString,
    /// The password.
    pub secret: CompactString,
    /// The only realm that gets an answer; any realm when it is `None`.
    pub realm: Option<CompactString>,
}

impl Credentials {
    /// Credentials for whichever realm asks.
    pub fn new(user: impl Into<CompactString>, secret: impl Into<CompactString>) -> Self {
        Self { user: user.into(), secret: secret.into(), realm: None }
    }

    /// The same for one realm only.
    pub fn for_realm(mut self, realm: impl Into<CompactString>) -> Self {
        self.realm = Some(realm.into());
        self
    }
}

impl fmt::Debug for Credentials {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).field("realm", &self.realm).finish_non_exhaustive()
    }
}

/// Why a challenge cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The response is no 401 or 407, or has no digest challenge that can be read.
    #[error("no digest challenge that can be read")]
    NoChallenge,
    /// All challenges are for other realms than that of the credentials.
    #[error("challenged for another realm")]
    OtherRealm,
    /// No challenge offers an algorithm and a qop that are known here.
    #[error("no known algorithm and quality of protection on offer")]
    Unsupported,
}

/// The header that answers the challenge in `challenged`, a 401 or 407, for the `nc`-th use of its nonce (from 1).
///
/// `uri` is the Request-URI of the request that will carry the header, and `body` its body. `cnonce` must not be
/// predictable. Of several challenges the first that can be answered counts, since the server lists them in the order
/// of its preference (RFC 8760 section 2.4).
///
/// # Errors
///
/// [`AuthError`], when there is nothing to answer.
pub fn authorize(
    challenged: &Message,
    method: &Method,
    uri: &str,
    body: &[u8],
    credentials: &Credentials,
    cnonce: &str,
    nc: u32,
) -> Result<(HeaderName, String), AuthError> {
    let session = Session::new(challenged, credentials)?;
    Ok(session.answer(method, uri, body, credentials, cnonce, nc))
}

/// A challenge that can be answered more than once: with it, later requests carry credentials from the start and save
/// a round trip, until the server says that the nonce is stale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    header: HeaderName,
    realm: CompactString,
    nonce: CompactString,
    opaque: Option<CompactString>,
    algorithm: Algorithm,
    qop: Option<Qop>,
    stale: bool,
    used: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Qop {
    Auth,
    AuthInt,
}

impl Session {
    /// Picks the challenge to answer from a 401 or 407.
    ///
    /// # Errors
    ///
    /// [`AuthError`], when there is nothing to answer.
    pub fn new(challenged: &Message, credentials: &Credentials) -> Result<Self, AuthError> {
        let mut sessions = Self::each(challenged, credentials)?;
        Ok(sessions.swap_remove(0))
    }

    /// Picks a challenge for each realm in a 401 or 407: several proxies behind one that forks may each have asked (RFC
    /// 3261 section 22.3). At least one.
    ///
    /// # Errors
    ///
    /// [`AuthError`], when there is nothing to answer.
    pub fn each(challenged: &Message, credentials: &Credentials) -> Result<Vec<Self>, AuthError> {
        let (asks, header) = match challenged.status() {
            Some(401) => (HeaderName::WwwAuthenticate, HeaderName::Authorization),
            Some(407) => (HeaderName::ProxyAuthenticate, HeaderName::ProxyAuthorization),
            _ => return Err(AuthError::NoChallenge),
        };
        let mut problem = AuthError::NoChallenge;
        let mut sessions: Vec<Self> = Vec::with_capacity(1);
        for value in challenged.headers(asks).take(MAX_CHALLENGES) {
            let Some(params) = AuthParams::parse(value).ok().filter(AuthParams::is_digest) else { continue };
            let Some(challenge) = Challenge::read(&params) else {
                // Most likely an algorithm nobody knew when this was written.
                problem = AuthError::Unsupported;
                continue;
            };
            if credentials.realm.as_ref().is_some_and(|realm| *realm != *challenge.realm) {
                problem = AuthError::OtherRealm;
                continue;
            }
            if sessions.iter().any(|session| session.realm == *challenge.realm) {
                continue;
            }
            match Self::from_challenge(header, &challenge, params.get("qop").is_some()) {
                Some(session) => sessions.push(session),
                None => problem = AuthError::Unsupported,
            }
        }
        if sessions.is_empty() { Err(problem) } else { Ok(sessions) }
    }

    fn from_challenge(header: HeaderName, challenge: &Challenge<'_>, has_qop: bool) -> Option<Self> {
        let qop = match (challenge.qop_auth, challenge.qop_auth_int) {
            (true, _) => Some(Qop::Auth),
            (false, true) => Some(Qop::AuthInt),
            (false, false) if has_qop => return None,
            (false, false) => None,
        };
        Some(Self {
            header,
            realm: challenge.realm.as_ref().into(),
            nonce: challenge.nonce.as_ref().into(),
            opaque: challenge.opaque.as_deref().map(CompactString::from),
            algorithm: challenge.algorithm,
            qop,
            stale: challenge.stale,
            used: 0,
        })
    }

    /// Whether the server said that only the nonce was too old: then the same password deserves another try, else a
    /// second challenge means that it is wrong.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// The realm that is asked for.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The header for the next request; counts the use of the nonce. `cnonce` must not be predictable.
    pub fn authorize(
        &mut self,
        method: &Method,
        uri: &str,
        body: &[u8],
        credentials: &Credentials,
        cnonce: &str,
    ) -> (HeaderName, String) {
        // A wrapped count is a replay to the server, which then hands out a new nonce.
        self.used = self.used.wrapping_add(1);
        self.answer(method, uri, body, credentials, cnonce, self.used)
    }

    fn answer(
        &self,
        method: &Method,
        uri: &str,
        body: &[u8],
        credentials: &Credentials,
        cnonce: &str,
        nc: u32,
    ) -> (HeaderName, String) {
        let count = format!("{nc:08x}");
        let protection = self.qop.map(|qop| Protection { qop: qop.as_str(), cnonce, nc: &count });
        let request = match self.qop {
            Some(Qop::AuthInt) => ha2_with_body(self.algorithm, method.as_str(), uri, body),
            Some(Qop::Auth) | None => ha2(self.algorithm, method.as_str(), uri),
        };
        let secret = self.secret(credentials, cnonce);
        let sum = response(self.algorithm, secret.as_str(), &self.nonce, protection, request.as_str());
        let mut text = String::with_capacity(320);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{sum}\", algorithm={}",
            Quoted(&credentials.user),
            Quoted(&self.realm),
            Quoted(&self.nonce),
            Quoted(uri),
            self.algorithm
        );
        if let Some(qop) = self.qop {
            let _ = write!(text, ", qop={}, nc={count}", qop.as_str());
        }
        if self.qop.is_some() || self.algorithm.is_session() {
            let _ = write!(text, ", cnonce={}", Quoted(cnonce));
        }
        if let Some(opaque) = &self.opaque {
            let _ = write!(text, ", opaque={}", Quoted(opaque));
        }
        (self.header, text)
    }

    fn secret(&self, credentials: &Credentials, cnonce: &str) -> HexDigest {
        let plain = ha1(self.algorithm, &credentials.user, &self.realm, &credentials.secret);
        if self.algorithm.is_session() {
            session_ha1(self.algorithm, plain.as_str(), &self.nonce, cnonce)
        } else {
            plain
        }
    }
}

impl Qop {
    fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }
}
