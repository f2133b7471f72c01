//! Digest arithmetic of RFC 7616 and RFC 8760: no nonce store, no policy, only the sums.

use std::borrow::Cow;
use std::fmt::{self, Write};

use md5::{Digest, Md5};
use sha2::{Sha256, Sha512_256};
use subtle::ConstantTimeEq;

use crate::auth::AuthParams;

/// A digest algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Algorithm {
    /// `MD5`, which is also what no algorithm means.
    #[serde(rename = "MD5")]
    Md5,
    /// `MD5-sess`
    #[serde(rename = "MD5-sess")]
    Md5Sess,
    /// `SHA-256`
    #[serde(rename = "SHA-256")]
    Sha256,
    /// `SHA-256-sess`
    #[serde(rename = "SHA-256-sess")]
    Sha256Sess,
    /// `SHA-512-256`
    #[serde(rename = "SHA-512-256")]
    Sha512_256,
    /// `SHA-512-256-sess`
    #[serde(rename = "SHA-512-256-sess")]
    Sha512_256Sess,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Algorithm; 6] = [
        Algorithm::Md5,
        Algorithm::Md5Sess,
        Algorithm::Sha256,
        Algorithm::Sha256Sess,
        Algorithm::Sha512_256,
        Algorithm::Sha512_256Sess,
    ];

    /// Reads the `algorithm` parameter, in any case.
    pub fn parse(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(name))
    }

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Md5Sess => "MD5-sess",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha256Sess => "SHA-256-sess",
            Algorithm::Sha512_256 => "SHA-512-256",
            Algorithm::Sha512_256Sess => "SHA-512-256-sess",
        }
    }

    /// True when HA1 depends on nonce and cnonce.
    pub fn is_session(self) -> bool {
        matches!(self, Algorithm::Md5Sess | Algorithm::Sha256Sess | Algorithm::Sha512_256Sess)
    }

    /// The algorithm a stored HA1 is kept under: the same hash without session.
    pub fn base(self) -> Algorithm {
        match self {
            Algorithm::Md5 | Algorithm::Md5Sess => Algorithm::Md5,
            Algorithm::Sha256 | Algorithm::Sha256Sess => Algorithm::Sha256,
            Algorithm::Sha512_256 | Algorithm::Sha512_256Sess => Algorithm::Sha512_256,
        }
    }

    /// Hash of the parts joined by colons, in lower-case hexadecimal.
    pub fn hash(self, parts: &[&[u8]]) -> HexDigest {
        match self.base() {
            Algorithm::Sha256 => hash_with::<Sha256>(parts),
            Algorithm::Sha512_256 => hash_with::<Sha512_256>(parts),
            _ => hash_with::<Md5>(parts),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn hash_with<D: Digest>(parts: &[&[u8]]) -> HexDigest {
    let mut hasher = D::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            hasher.update(b":");
        }
        hasher.update(part);
    }
    HexDigest::new(&hasher.finalize())
}

/// A hash in lower-case hexadecimal, on the stack.
#[derive(Clone, Copy)]
pub struct HexDigest {
    text: [u8; 64],
    length: usize,
}

impl HexDigest {
    /// Every hash here has at most 32 bytes; more would be cut.
    fn new(hash: &[u8]) -> HexDigest {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        let mut length = 0;
        for (pair, byte) in text.chunks_exact_mut(2).zip(hash) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
            length += 2;
        }
        HexDigest { text, length }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Only ASCII digits were written.
        std::str::from_utf8(&self.text[..self.length]).unwrap_or_default()
    }

    /// Compares without case and without telling by its duration where the first difference is.
    pub fn matches(&self, claimed: &str) -> bool {
        let mut lower = [0; 64];
        let Some(copy) = lower.get_mut(..claimed.len()) else {
            return false;
        };
        copy.copy_from_slice(claimed.as_bytes());
        copy.make_ascii_lowercase();
        self.text[..self.length].ct_eq(copy).into()
    }
}

impl fmt::Display for HexDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for HexDigest {
    /// A HA1 is as good as a password, so none is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HexDigest(..)")
    }
}

/// Hash of `username:realm:password`: what may be stored instead of the password. Sessions start from it as well.
pub fn ha1(algorithm: Algorithm, username: &str, realm: &str, password: &str) -> HexDigest {
    algorithm.hash(&[username.as_bytes(), realm.as_bytes(), password.as_bytes()])
}

/// HA1 of the `-sess` algorithms (RFC 7616 3.4.2), made from the plain one.
pub fn session_ha1(algorithm: Algorithm, ha1: &str, nonce: &str, cnonce: &str) -> HexDigest {
    algorithm.hash(&[ha1.as_bytes(), nonce.as_bytes(), cnonce.as_bytes()])
}

/// Hash of `method:uri` (qop `auth` or none).
pub fn ha2(algorithm: Algorithm, method: &str, uri: &str) -> HexDigest {
    algorithm.hash(&[method.as_bytes(), uri.as_bytes()])
}

/// Hash of `method:uri:hash(body)` (qop `auth-int`).
pub fn ha2_with_body(algorithm: Algorithm, method: &str, uri: &str, body: &[u8]) -> HexDigest {
    let body = algorithm.hash(&[body]);
    algorithm.hash(&[method.as_bytes(), uri.as_bytes(), body.as_str().as_bytes()])
}

/// What a `qop` adds to the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection<'a> {
    /// `auth` or `auth-int`.
    pub qop: &'a str,
    /// The client's nonce.
    pub cnonce: &'a str,
    /// The nonce count as written: eight hexadecimal digits.
    pub nc: &'a str,
}

/// The response of RFC 7616 3.4.1; without protection, that of RFC 2069.
pub fn response(
    algorithm: Algorithm,
    ha1: &str,
    nonce: &str,
    protection: Option<Protection<'_>>,
    ha2: &str,
) -> HexDigest {
    match protection {
        Some(Protection { qop, cnonce, nc }) => algorithm.hash(&[ha1, nonce, nc, cnonce, qop, ha2].map(str::as_bytes)),
        None => algorithm.hash(&[ha1, nonce, ha2].map(str::as_bytes)),
    }
}

/// A digest challenge: one WWW-Authenticate or Proxy-Authenticate value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// Whose password is asked for.
    pub realm: Cow<'a, str>,
    /// The server's nonce.
    pub nonce: Cow<'a, str>,
    /// To be sent back as it is.
    pub opaque: Option<Cow<'a, str>>,
    /// The algorithm; MD5 when none is named.
    pub algorithm: Algorithm,
    /// True when only the nonce was too old: try again with the same password.
    pub stale: bool,
    /// True when `auth` is among the offered qop values.
    pub qop_auth: bool,
    /// True when `auth-int` is among the offered qop values.
    pub qop_auth_int: bool,
}

impl<'a> Challenge<'a> {
    /// Reads a challenge; `None` when it is no digest challenge, lacks realm or nonce, or names an unknown algorithm.
    pub fn read(params: &AuthParams<'a>) -> Option<Challenge<'a>> {
        if !params.is_digest() {
            return None;
        }
        let qop = params.get("qop").unwrap_or_default();
        let offers = |wanted: &str| qop.split(',').any(|q| q.trim().eq_ignore_ascii_case(wanted));
        Some(Challenge {
            realm: params.get("realm")?,
            nonce: params.get("nonce")?,
            opaque: params.get("opaque"),
            algorithm: algorithm(params)?,
            stale: params.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
            qop_auth: offers("auth"),
            qop_auth_int: offers("auth-int"),
        })
    }

    /// The value of the Authorization or Proxy-Authorization header that answers this challenge. With qop `auth` on
    /// offer it is used, with the `nc`-th use of the nonce; `cnonce` must be unpredictable.
    pub fn answer(&self, answer: &ChallengeAnswer<'_>) -> String {
        let ChallengeAnswer { username, password, method, uri, cnonce, nc } = *answer;
        let count = format!("{nc:08x}");
        let plain = ha1(self.algorithm, username, &self.realm, password);
        let secret = match self.algorithm.is_session() {
            true => session_ha1(self.algorithm, plain.as_str(), &self.nonce, cnonce),
            false => plain,
        };
        let protection = self.qop_auth.then_some(Protection { qop: "auth", cnonce, nc: &count });
        let request = ha2(self.algorithm, method, uri);
        let sum = response(self.algorithm, secret.as_str(), &self.nonce, protection, request.as_str());
        let mut text = String::with_capacity(256);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{sum}\", algorithm={}",
            Quoted(username),
            Quoted(&self.realm),
            Quoted(&self.nonce),
            Quoted(uri),
            self.algorithm
        );
        if protection.is_some() {
            let _ = write!(text, ", qop=auth, cnonce={}, nc={count}", Quoted(cnonce));
        } else if self.algorithm.is_session() {
            let _ = write!(text, ", cnonce={}", Quoted(cnonce));
        }
        if let Some(opaque) = &self.opaque {
            let _ = write!(text, ", opaque={}", Quoted(opaque));
        }
        text
    }
}

/// What a client puts into the answer to a challenge.
#[derive(Clone, Copy)]
pub struct ChallengeAnswer<'a> {
    /// The user's name in the realm.
    pub username: &'a str,
    /// The password.
    pub password: &'a str,
    /// Method of the request that is authenticated.
    pub method: &'a str,
    /// Request-URI of that request.
    pub uri: &'a str,
    /// A client nonce that cannot be predicted.
    pub cnonce: &'a str,
    /// How often this nonce has been used, this time included; starts at 1.
    pub nc: u32,
}

/// Credentials: one Authorization or Proxy-Authorization value.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// The user's name.
    pub username: Cow<'a, str>,
    /// The realm.
    pub realm: Cow<'a, str>,
    /// The server's nonce.
    pub nonce: Cow<'a, str>,
    /// The URI the client signed.
    pub uri: Cow<'a, str>,
    /// The claimed response.
    pub response: Cow<'a, str>,
    /// The algorithm; MD5 when none is named.
    pub algorithm: Algorithm,
    /// The server's opaque value, sent back.
    pub opaque: Option<Cow<'a, str>>,
    /// `auth`, `auth-int` or nothing.
    pub qop: Option<Cow<'a, str>>,
    /// The client's nonce.
    pub cnonce: Option<Cow<'a, str>>,
    /// The nonce count as written.
    pub nc: Option<Cow<'a, str>>,
}

impl<'a> Credentials<'a> {
    /// Reads credentials; `None` when they are no digest credentials, lack a mandatory part, or name an unknown
    /// algorithm.
    pub fn read(params: &AuthParams<'a>) -> Option<Credentials<'a>> {
        if !params.is_digest() {
            return None;
        }
        Some(Credentials {
            username: params.get("username")?,
            realm: params.get("realm")?,
            nonce: params.get("nonce")?,
            uri: params.get("uri")?,
            response: params.get("response")?,
            algorithm: algorithm(params)?,
            opaque: params.get("opaque"),
            qop: params.get("qop"),
            cnonce: params.get("cnonce"),
            nc: params.get("nc"),
        })
    }

    /// The nonce count as a number; `None` when it is absent or not eight hexadecimal digits.
    pub fn nonce_count(&self) -> Option<u32> {
        let text = self.nc.as_deref().filter(|nc| nc.len() == 8 && nc.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u32::from_str_radix(text, 16).ok()
    }

    /// True when the response proves knowledge of the password behind `ha1` (the plain one, of the
    /// [base](Algorithm::base) algorithm) for a request with this method and body. Says nothing about the age of the
    /// nonce, its count, the realm, or whether the URI is the one of the request.
    pub fn verify(&self, ha1: &str, method: &str, body: &[u8]) -> bool {
        let session = match (self.algorithm.is_session(), self.cnonce.as_deref()) {
            (false, _) => None,
            (true, Some(cnonce)) => Some(session_ha1(self.algorithm, ha1, &self.nonce, cnonce)),
            (true, None) => return false,
        };
        let secret = session.as_ref().map_or(ha1, HexDigest::as_str);
        let protection = match (self.qop.as_deref(), self.cnonce.as_deref(), self.nc.as_deref()) {
            (None, ..) => None,
            (Some(qop), Some(cnonce), Some(nc)) => Some(Protection { qop, cnonce, nc }),
            _ => return false,
        };
        let request = match self.qop.as_deref() {
            None => ha2(self.algorithm, method, &self.uri),
            Some(qop) if qop.eq_ignore_ascii_case("auth") => ha2(self.algorithm, method, &self.uri),
            Some(qop) if qop.eq_ignore_ascii_case("auth-int") => ha2_with_body(self.algorithm, method, &self.uri, body),
            Some(_) => return false,
        };
        response(self.algorithm, secret, &self.nonce, protection, request.as_str()).matches(&self.response)
    }
}

impl fmt::Debug for Credentials<'_> {
    /// Without response and cnonce, which invite guessing off line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("realm", &self.realm)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

fn algorithm(params: &AuthParams<'_>) -> Option<Algorithm> {
    match params.get("algorithm") {
        Some(name) => Algorithm::parse(&name),
        None => Some(Algorithm::Md5),
    }
}

/// Text as a quoted string, quotes and backslashes escaped.
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for part in self.0.split_inclusive(['"', '\\']) {
            match part.strip_suffix(['"', '\\']) {
                Some(plain) => write!(f, "{plain}\\{}", &part[plain.len()..])?,
                None => f.write_str(part)?,
            }
        }
        f.write_char('"')
    }
}
