//! Routes of the configuration: where addresses go before the directory is asked.

use compact_str::CompactString;

/// Longest pattern or destination, in bytes.
pub const MAX_ROUTE: usize = 512;

/// One route: addresses that match go to the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pattern: CompactString,
    to: CompactString,
}

/// What is wrong with a route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The destination is not a SIP URI.
    #[error("route destination {0:?} is not a SIP URI: {1}")]
    Destination(CompactString, String),
    /// The pattern has no scheme.
    #[error("route pattern {0:?} must begin with sip:, sips: or tel:")]
    Pattern(CompactString),
    /// Longer than [`MAX_ROUTE`].
    #[error("a route is longer than {MAX_ROUTE} bytes")]
    TooLong,
}

impl Route {
    /// A route from a pattern, in which `*` stands for any run of characters, to a SIP URI. If the
    /// URI has no user part, the dialled user is kept.
    ///
    /// # Errors
    /// See [`RouteError`].
    pub fn new(pattern: &str, to: &str) -> Result<Self, RouteError> {
        if pattern.len() > MAX_ROUTE || to.len() > MAX_ROUTE {
            return Err(RouteError::TooLong);
        }
        if !["sip:", "sips:", "tel:"].iter().any(|scheme| pattern.starts_with(scheme)) {
            return Err(RouteError::Pattern(pattern.into()));
        }
        match hookswitch_sip_msg::Uri::parse(to) {
            Ok(uri) if uri.is_sip() => {}
            Ok(_) => return Err(RouteError::Destination(to.into(), String::from("another scheme"))),
            Err(error) => return Err(RouteError::Destination(to.into(), error.to_string())),
        }
        Ok(Self { pattern: pattern.into(), to: to.into() })
    }

    /// Whether an address, written `scheme:user@host`, goes this way.
    #[must_use]
    pub fn matches(&self, address: &str) -> bool {
        glob(self.pattern.as_bytes(), address.as_bytes())
    }

    /// The request URI for a dialled user.
    #[must_use]
    pub fn destination(&self, user: Option<&str>) -> CompactString {
        match (self.to.split_once(':'), user) {
            (Some((scheme, rest)), Some(user)) if !rest.contains('@') => {
                let mut uri = CompactString::with_capacity(self.to.len() + user.len() + 1);
                for part in [scheme, ":", user, "@", rest] {
                    uri.push_str(part);
                }
                uri
            }
            _ => self.to.clone(),
        }
    }
}

/// Matches with one mark to come back to: linear in practice, quadratic at worst, never deeper.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut mark: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                mark = Some((p, t));
                p += 1;
            }
            Some(c) if c.eq_ignore_ascii_case(&text[t]) => {
                p += 1;
                t += 1;
            }
            _ => match mark {
                Some((star, from)) => {
                    mark = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_run() {
        let route = Route::new("sip:bench-*@*", "sip:127.0.0.2:5070").unwrap();
        assert!(route.matches("sip:bench-17@example.test"));
        assert!(route.matches("sip:bench-@x"));
        assert!(!route.matches("sip:alice@example.test"));
        let all = Route::new("sip:*", "sip:gw@127.0.0.2").unwrap();
        assert!(all.matches("sip:anything"));
        assert!(!all.matches("tel:+1"));
    }

    #[test]
    fn the_dialled_user_is_kept_unless_the_destination_names_one() {
        let keep = Route::new("sip:*", "sip:127.0.0.2:5070;transport=tcp").unwrap();
        assert_eq!(keep.destination(Some("bob")), "sip:bob@127.0.0.2:5070;transport=tcp");
        let fixed = Route::new("sip:*", "sip:desk@127.0.0.2").unwrap();
        assert_eq!(fixed.destination(Some("bob")), "sip:desk@127.0.0.2");
    }

    #[test]
    fn a_route_that_cannot_work_is_refused_with_the_reason() {
        assert!(matches!(Route::new("bench-*", "sip:h"), Err(RouteError::Pattern(_))));
        assert!(matches!(Route::new("sip:*", "127.0.0.1"), Err(RouteError::Destination(..))));
        assert_eq!(Route::new(&"sip:*".repeat(200), "sip:h"), Err(RouteError::TooLong));
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        let route = Route::new(&format!("sip:{}b", "*a".repeat(100)), "sip:h").unwrap();
        assert!(!route.matches(&format!("sip:{}", "a".repeat(2_000))));
    }
}
