//! Users who are asked for by HTTP.

use std::time::Duration;

use hookswitch_call::directory::{Directory, LookupConfig};
use hookswitch_drive::{Login, UserServiceConfig};

use crate::config::{Config, ConfigError, UserLookup};

/// Longest time to wait for an answer, in seconds: a phone that registers gives up after 32.
const MAX_TIMEOUT: u64 = 20;

fn bad(key: &str, why: impl std::fmt::Display) -> ConfigError {
    ConfigError::value(format!("user_lookup.{key}"), why)
}

/// Who is asked, and how.
pub(super) fn service(config: &Config) -> Result<Option<UserServiceConfig>, ConfigError> {
    let Some(lookup) = &config.user_lookup else { return Ok(None) };
    let url = lookup.url.parse().map_err(|error| bad("url", error))?;
    if let Some(file) = &lookup.ca {
        std::fs::metadata(file).map_err(|error| bad("ca", format!("{}: {error}", file.display())))?;
    }
    let login = match (secret(lookup)?, &lookup.user) {
        (Some(secret), Some(user)) if !user.contains(':') => Some(Login::Basic(user.clone(), secret)),
        (Some(_), Some(_)) => return Err(bad("user", "must not have a colon in it")),
        (Some(secret), None) => Some(Login::Bearer(secret)),
        (None, Some(_)) => return Err(bad("user", "needs a secret")),
        (None, None) => None,
    };
    let timeout = Duration::from_secs(lookup.timeout);
    Ok(Some(UserServiceConfig { url, login, authorities: lookup.ca.clone(), timeout }))
}

/// The directory asks for those who are not in it.
pub(super) fn look_up(config: &Config, directory: &mut Directory) -> Result<(), ConfigError> {
    let Some(lookup) = &config.user_lookup else { return Ok(()) };
    if !(1..=MAX_TIMEOUT).contains(&lookup.timeout) {
        return Err(bad("timeout", format!("must be 1 to {MAX_TIMEOUT}")));
    }
    let limits = [
        ("max_users", lookup.max_users),
        ("max_waiting", lookup.max_waiting),
        ("max_rate", lookup.max_rate as usize),
        ("max_rate_per_source", lookup.max_rate_per_source as usize),
    ];
    if let Some((key, _)) = limits.iter().find(|(_, limit)| *limit == 0) {
        return Err(bad(key, "must be at least 1"));
    }
    let seconds = |key: &str, seconds: u64| match u32::try_from(seconds) {
        Ok(seconds) => Ok(Duration::from_secs(seconds.into())),
        Err(_) => Err(bad(key, "is too long")),
    };
    let stars = |domain: &&String| domain.strip_prefix('*').unwrap_or(domain).contains('*');
    if let Some(domain) = lookup.domains.iter().find(stars) {
        return Err(bad("domains", format!("`{domain}` has a star elsewhere than before the first dot")));
    }
    let lookup = LookupConfig {
        domains: lookup.domains.iter().map(Into::into).collect(),
        timeout: Duration::from_secs(lookup.timeout),
        cache: seconds("cache", lookup.cache)?,
        negative_cache: seconds("negative_cache", lookup.negative_cache)?,
        stale: seconds("stale", lookup.stale)?,
        max_users: lookup.max_users,
        max_waiting: lookup.max_waiting,
        max_rate: lookup.max_rate,
        max_rate_per_source: lookup.max_rate_per_source,
    };
    directory.look_up(lookup).map_err(|error| bad("domains", error))
}

/// Password or token, from wherever it is. Nothing that stands in there is in an error.
fn secret(lookup: &UserLookup) -> Result<Option<String>, ConfigError> {
    let (key, secret) = match (&lookup.secret, &lookup.secret_file, &lookup.secret_env) {
        (None, None, None) => return Ok(None),
        (Some(secret), None, None) => ("secret", secret.clone()),
        (None, Some(file), None) => {
            let why = |error| bad("secret_file", format!("{}: {error}", file.display()));
            ("secret_file", std::fs::read_to_string(file).map_err(why)?.trim().to_owned())
        }
        (None, None, Some(name)) => {
            let value = std::env::var(name).map_err(|_| bad("secret_env", format!("there is no variable `{name}`")))?;
            ("secret_env", value)
        }
        _ => return Err(bad("secret", "only one of secret, secret_file and secret_env can be given")),
    };
    if secret.is_empty() || secret.bytes().any(|byte| !(b' '..=b'~').contains(&byte)) {
        return Err(bad(key, "must be printable characters of ASCII, and at least one"));
    }
    Ok(Some(secret))
}

#[cfg(test)]
mod tests {
    use hookswitch_call::directory::Standing;

    use super::*;

    fn read(text: &str) -> Result<(Directory, Option<UserServiceConfig>), String> {
        let config = Config::parse("t", &format!("user_lookup: {{ {text} }}")).map_err(|error| error.to_string())?;
        let mut directory = Directory::new();
        look_up(&config, &mut directory).map_err(|error| error.to_string())?;
        Ok((directory, service(&config).map_err(|error| error.to_string())?))
    }

    const URL: &str = "url: \"https://h.test/{domain}/{user}\"";

    #[test]
    fn every_key_arrives_and_the_defaults_of_both_agree() {
        let (directory, service) = read(&format!("{URL}, domains: [a.test, \"*.b.test\"], timeout: 7")).unwrap();
        let service = service.unwrap();
        assert_eq!(service.url.to_string(), "https://h.test/{domain}/{user}");
        assert_eq!((service.login, service.timeout), (None, Duration::from_secs(7)));
        assert_eq!(directory.resolve("a.test"), Some("a.test"));
        let at = Duration::from_secs(1);
        assert_eq!(directory.standing(at, "a.test", "u"), Standing::Unsettled);
        assert_eq!(directory.standing(at, "c.test", "u"), Standing::Nobody);
        let (same, _) = read(URL).unwrap();
        let mut expected = Directory::new();
        expected.look_up(LookupConfig::default()).unwrap();
        assert_eq!(format!("{same:?}"), format!("{expected:?}"));
        let keys =
            "cache: 1, negative_cache: 2, stale: 3, max_users: 4, max_waiting: 5, max_rate: 6, max_rate_per_source: 7";
        let shown = format!("{:?}", read(&format!("{URL}, {keys}")).unwrap().0);
        for expected in [
            "cache: 1s",
            "negative_cache: 2s",
            "stale: 3s",
            "max_users: 4",
            "max_waiting: 5",
            "max_rate: 6",
            "per_source: 7",
        ] {
            assert!(shown.contains(expected), "{expected}: {shown}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_named_and_secrets_are_not() {
        for (text, expected) in [
            ("cache: 1", "user_lookup.url: not an http or https URL"),
            ("url: \"http://h.test/x\"", "user_lookup.url: `{user}` must stand where"),
            ("url: \"http://a:s3cret@h.test/{user}\"", "user_lookup.url: user and password"),
            ("URL, timeout: 0", "user_lookup.timeout: must be 1 to 20"),
            ("URL, max_rate: 0", "user_lookup.max_rate: must be at least 1"),
            ("URL, stale: 99999999999", "user_lookup.stale: is too long"),
            ("URL, domains: [\"a b\"]", "user_lookup.domains: not a valid name"),
            ("URL, domains: [\"a.*.test\"]", "user_lookup.domains: `a.*.test` has a star elsewhere"),
            ("URL, user: joe", "user_lookup.user: needs a secret"),
            ("URL, user: \"j:o\", secret: s3cret", "user_lookup.user: must not have a colon"),
            ("URL, secret: s3cret, secret_env: X", "user_lookup.secret: only one of"),
            ("URL, secret: \"s3cret\\n\"", "user_lookup.secret: must be printable"),
            ("URL, secret_env: HOOKSWITCH_NO_SUCH_VARIABLE", "user_lookup.secret_env: there is no variable"),
            ("URL, secret_file: /no/such/file", "user_lookup.secret_file: /no/such/file: "),
            ("URL, ca: /no/such/file", "user_lookup.ca: /no/such/file: "),
            ("URL, timout: 1", "t:1: unknown key `timout`; did you mean `timeout`?"),
        ] {
            let why = read(&text.replace("URL", URL)).err().unwrap_or_else(|| panic!("{text} is taken"));
            assert!(why.starts_with(expected) && !why.contains("s3cret"), "{text}: {why}");
        }
    }

    #[test]
    fn a_secret_with_a_name_is_a_password_and_without_one_a_token() {
        let login = |text: &str| read(&format!("{URL}, {text}")).unwrap().1.unwrap().login;
        assert_eq!(login("secret: s, user: joe"), Some(Login::Basic("joe".into(), "s".into())));
        assert_eq!(login("secret: s"), Some(Login::Bearer("s".into())));
        // Whatever holds a path is set where tests run.
        assert_eq!(login("secret_env: PATH"), Some(Login::Bearer(std::env::var("PATH").unwrap())));
    }
}
