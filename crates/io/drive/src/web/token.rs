//! Bearer tokens: who may open a session, and on which terms.

use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use compact_str::CompactString;
use hookswitch_dialect::access::Grant;
use hookswitch_dialect::call_api::Access;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Shortest secret of a token, in characters: shorter ones can be guessed.
pub const MIN_SECRET: usize = 16;

/// Longest secret of a token, in characters.
pub const MAX_SECRET: usize = 512;

/// Most tokens of one listener. Each handshake is compared with all of them.
pub const MAX_TOKENS: usize = 1_000;

/// What a browser, which cannot set headers, puts before its token among the subprotocols.
pub const SUBPROTOCOL_BEARER: &str = "bearer.";

/// The secret of a token, of which only a digest is kept, and what its bearer may do: an [`Access`] to the Call API, a
/// [`Grant`] of the control listener.
#[derive(Clone)]
pub struct Token<T = Access> {
    digest: [u8; 32],
    name: CompactString,
    terms: Arc<T>,
}

/// A secret that cannot be one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadSecret {
    /// Shorter than [`MIN_SECRET`] or longer than [`MAX_SECRET`].
    #[error("a secret has {MIN_SECRET} to {MAX_SECRET} characters")]
    Length,
    /// A character that cannot stand in an `Authorization` header (RFC 6750 section 2.1).
    #[error("a secret consists of letters, digits and - . _ ~ + / =")]
    Character,
}

impl Token {
    /// A token with this secret, which consists of letters, digits and `-._~+/=`. Those with `/` or `=` cannot be sent
    /// by browsers.
    ///
    /// # Errors
    /// [`BadSecret`]: its length or its characters.
    pub fn new(secret: &str, access: Access) -> Result<Self, BadSecret> {
        Ok(Self { digest: digest(secret)?, name: access.name.clone(), terms: Arc::new(access) })
    }
}

impl Token<Grant> {
    /// A token whose secret has this SHA-256 digest, for that grant.
    #[must_use]
    pub fn of_digest(digest: [u8; 32], grant: Arc<Grant>) -> Self {
        Self { digest, name: grant.name.clone(), terms: grant }
    }

    /// A token with this secret, which is spelt as that of [`Token::new`].
    ///
    /// # Errors
    /// [`BadSecret`]: its length or its characters.
    pub fn of_secret(secret: &str, grant: Arc<Grant>) -> Result<Self, BadSecret> {
        Ok(Self::of_digest(digest(secret)?, grant))
    }

    /// The digest of its secret.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

fn digest(secret: &str) -> Result<[u8; 32], BadSecret> {
    if !(MIN_SECRET..=MAX_SECRET).contains(&secret.len()) {
        return Err(BadSecret::Length);
    }
    if !secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)) {
        return Err(BadSecret::Character);
    }
    Ok(Sha256::digest(secret).into())
}

impl<T> fmt::Debug for Token<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a handshake that needs a token is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unauthorized {
    /// It came without one.
    Missing,
    /// It came with one that nobody has, or with several different ones.
    Wrong,
}

/// What the token of a handshake allows; none where no tokens are configured.
pub(super) fn authorize<T>(tokens: &[Token<T>], headers: &HeaderMap) -> Result<Option<Arc<T>>, Unauthorized> {
    if tokens.is_empty() {
        return Ok(None);
    }
    let mut shown = None;
    for secret in secrets(headers) {
        if shown.is_some_and(|shown| shown != secret) {
            return Err(Unauthorized::Wrong);
        }
        shown = Some(secret);
    }
    let secret = shown.ok_or(Unauthorized::Missing)?;
    let digest: [u8; 32] = Sha256::digest(secret).into();
    // All of them, whichever fits: how long it takes tells nothing about the secrets.
    let mut found = None;
    for token in tokens {
        if bool::from(token.digest.ct_eq(&digest)) {
            found = Some(Arc::clone(&token.terms));
        }
    }
    found.map(Some).ok_or(Unauthorized::Wrong)
}

/// The secrets that a handshake shows: in `Authorization` headers and among its subprotocols.
fn secrets(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let text = |name| headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let bearers = text(header::AUTHORIZATION).filter_map(|value| {
        let (scheme, secret) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
    });
    let offered = text(header::SEC_WEBSOCKET_PROTOCOL).flat_map(|value| value.split(',').map(str::trim));
    bearers.chain(offered.filter_map(|name| name.strip_prefix(SUBPROTOCOL_BEARER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "alice-0123456789";
    const BOB: &str = "bob+0123456789/=";

    fn tokens() -> Vec<Token> {
        let named = |name: &str| Access { name: name.into(), ..Access::default() };
        vec![Token::new(ALICE, named("alice")).unwrap(), Token::new(BOB, named("bob")).unwrap()]
    }

    fn ask(lines: &[(header::HeaderName, &str)]) -> Result<String, Unauthorized> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value.parse().unwrap());
        }
        authorize(&tokens(), &headers).map(|access| access.unwrap().name.to_string())
    }

    #[test]
    fn a_token_comes_in_a_header_or_as_a_subprotocol() {
        let header = header::AUTHORIZATION;
        let protocol = header::SEC_WEBSOCKET_PROTOCOL;
        let bearer = |secret: &str| format!("Bearer {secret}");
        assert_eq!(ask(&[(header.clone(), &bearer(ALICE))]).as_deref(), Ok("alice"));
        assert_eq!(ask(&[(header.clone(), &format!("bearer  {BOB} "))]).as_deref(), Ok("bob"));
        let offered = format!("call-api.strict, bearer.{ALICE}");
        assert_eq!(ask(&[(protocol.clone(), &offered)]).as_deref(), Ok("alice"));
        assert_eq!(ask(&[(protocol.clone(), &offered), (header.clone(), &bearer(ALICE))]).as_deref(), Ok("alice"));
        // Two different ones: whose session would it be?
        let both = [(protocol, offered.as_str()), (header, &bearer(BOB))];
        assert_eq!(ask(&both), Err(Unauthorized::Wrong));
    }

    #[test]
    fn none_and_wrong_ones_are_told_apart_and_refused() {
        let header = header::AUTHORIZATION;
        assert_eq!(ask(&[]), Err(Unauthorized::Missing));
        assert_eq!(ask(&[(header.clone(), "Basic YWxpY2U6MDEyMzQ1Njc4OQ==")]), Err(Unauthorized::Missing));
        for wrong in ["Bearer ", "Bearer alice-012345678", "Bearer alice-01234567890", "Bearer ALICE-0123456789"] {
            assert_eq!(ask(&[(header.clone(), wrong)]), Err(Unauthorized::Wrong), "{wrong}");
        }
        assert_eq!(authorize::<Access>(&[], &HeaderMap::new()), Ok(None));
    }

    #[test]
    fn secrets_are_long_fit_into_a_header_and_are_not_shown() {
        let token = |secret: &str| Token::new(secret, Access::default()).map(|_| ());
        assert_eq!(token(&"x".repeat(MIN_SECRET - 1)), Err(BadSecret::Length));
        assert_eq!(token(&"x".repeat(MAX_SECRET + 1)), Err(BadSecret::Length));
        assert_eq!(token("with a blank in the middle"), Err(BadSecret::Character));
        assert_eq!(token("line\r\nafter line here"), Err(BadSecret::Character));
        let shown = format!("{:?}", tokens());
        assert!(shown.contains("alice") && !shown.contains("0123456789"), "{shown}");
    }
}
