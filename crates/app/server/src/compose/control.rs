//! What the section `control` means.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use compact_str::CompactString;
use hookswitch_dialect::access::{Grant, Pattern, Scope};
use hookswitch_dialect::rest;
use hookswitch_drive::{AUDIT_FILE, ControlConfig, MAX_BODY, TlsFiles, Token};

use super::call_api::{positive, seconds, too_small};
use super::{nodes, secrets, web_listen};
use crate::config::{Config, ConfigError, Control, ControlGrant, ControlScope};

/// Digits of a SHA-256 digest.
const DIGEST_DIGITS: usize = 64;

/// Most idempotency keys that can be asked for: some 7 GB of memory.
const MAX_KEYS: usize = 10_000_000;

/// The listener; none where it is switched off.
pub(super) fn listener(config: &Config) -> Result<Option<ControlConfig>, ConfigError> {
    let control = &config.control;
    if !control.enabled {
        return Ok(None);
    }
    let mut listener = ControlConfig::new(web_listen("control.listen", &control.listen)?);
    grants(control, &mut listener)?;
    listener.tls =
        control.tls.as_ref().map(|tls| TlsFiles { certificate: tls.certificate.clone(), key: tls.key.clone() });
    listener.client_ca.clone_from(&control.client_ca);
    if control.client_ca.is_some() && control.tls.is_none() {
        return Err(ConfigError::value("control.client_ca", "needs control.tls: certificates are shown in TLS"));
    }
    listener.origins = origins(control)?;
    if !(1..=MAX_BODY).contains(&control.max_body) {
        return Err(ConfigError::value("control.max_body", format!("must be 1 to {MAX_BODY}")));
    }
    listener.max_body = control.max_body;
    listener.max_connections = positive("control.max_connections", control.max_connections)?;
    listener.max_per_address = control
        .max_per_address
        .map(|limit| NonZeroUsize::new(limit).ok_or_else(|| too_small("control.max_per_address")))
        .transpose()?;
    listener.idle_timeout = seconds("control.idle_time", control.idle_time)?;
    listener.body_time = seconds("control.body_time", control.body_time)?;
    listener.nodes = nodes::gate(config)?;
    listener.recordings.clone_from(&config.recordings.folder);
    listener.ask_nodes = nodes::client(config)?;
    listener.audit = control.audit.then(|| config.data_dir().join(AUDIT_FILE));
    Ok(Some(listener))
}

/// What the REST holds at most.
pub(super) fn desk(config: &Config) -> Result<rest::Config, ConfigError> {
    let keys = config.control.max_keys;
    if !(1..=MAX_KEYS).contains(&keys) {
        return Err(ConfigError::value("control.max_keys", format!("must be 1 to {MAX_KEYS}")));
    }
    Ok(rest::Config::default().with_keys(keys))
}

fn origins(control: &Control) -> Result<Vec<CompactString>, ConfigError> {
    let is_origin = |text: &str| {
        text == "*" || text.split_once("://").is_some_and(|(_, host)| !host.is_empty() && !host.contains('/'))
    };
    if let Some(other) = control.allowed_origins.iter().find(|text| !is_origin(text)) {
        let why = format!("`{other}` is not an origin such as https://desk.example");
        return Err(ConfigError::value("control.allowed_origins", why));
    }
    Ok(control.allowed_origins.iter().map(Into::into).collect())
}

fn grants(control: &Control, listener: &mut ControlConfig) -> Result<(), ConfigError> {
    if control.rate == Some(0) {
        return Err(too_small("control.rate"));
    }
    listener.anybody = Arc::new(Grant { rate: control.rate, ..Grant::everything() });
    let (mut names, mut secrets, mut certificates) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (n, written) in control.grants.iter().enumerate() {
        let key = |field: &str| format!("control.grants[{n}].{field}");
        if written.name.is_empty() || !names.insert(&written.name) {
            return Err(ConfigError::value(key("name"), "each grant needs a name of its own"));
        }
        if written.tokens.is_empty() && written.certificates.is_empty() {
            return Err(ConfigError::value(key("tokens"), "a token, or a name in certificates, is needed"));
        }
        let grant = Arc::new(grant(control, written, &key)?);
        for text in &written.tokens {
            let token = token(text, &grant).map_err(|why| ConfigError::value(key("tokens"), why))?;
            if !secrets.insert(*token.digest()) {
                return Err(ConfigError::value(key("tokens"), "another token has the same secret"));
            }
            listener.tokens.push(token);
        }
        if !written.certificates.is_empty() && control.client_ca.is_none() {
            return Err(ConfigError::value(key("certificates"), "control.client_ca is needed to check them by"));
        }
        for name in written.certificates.iter().map(|name| as_compared(name)) {
            if !certificates.insert(name.clone()) {
                return Err(ConfigError::value(key("certificates"), format!("`{name}` stands there twice")));
            }
            listener.certificates.push((name, Arc::clone(&grant)));
        }
    }
    Ok(())
}

/// Only URIs have letters whose case means something.
fn as_compared(name: &str) -> CompactString {
    if name.contains(':') { name.into() } else { name.to_ascii_lowercase().into() }
}

fn grant(control: &Control, written: &ControlGrant, key: &impl Fn(&str) -> String) -> Result<Grant, ConfigError> {
    if written.rate == Some(0) {
        return Err(too_small(&key("rate")));
    }
    let scope = |scope: &ControlScope| match scope {
        ControlScope::Read => Scope::Read,
        ControlScope::Control => Scope::Control,
        ControlScope::Admin => Scope::Admin,
    };
    let patterns = |texts: &[String]| texts.iter().map(|text| Pattern::from(text.as_str())).collect();
    Ok(Grant {
        name: written.name.as_str().into(),
        scopes: written.scopes.iter().map(scope).collect(),
        domains: written.domains.iter().map(|domain| domain.to_ascii_lowercase().into()).collect(),
        callers: patterns(&written.callers),
        callees: patterns(&written.callees),
        rate: written.rate.or(control.rate),
    })
}

/// What is wrong with it is said without quoting it: it may be the secret itself.
fn token(text: &str, grant: &Arc<Grant>) -> Result<Token<Grant>, String> {
    if let Some(digits) = text.strip_prefix("sha256:") {
        let digest = digest(digits).ok_or(format!("sha256: is followed by {DIGEST_DIGITS} hexadecimal digits"))?;
        return Ok(Token::of_digest(digest, Arc::clone(grant)));
    }
    let why = "is neither sha256:DIGEST nor env:NAME nor file:PATH; a secret does not belong in this file: put its \
               digest there (printf %s SECRET | sha256sum)";
    let secret = secrets::named(text)?.ok_or(why)?;
    Token::of_secret(&secret, Arc::clone(grant)).map_err(|error| error.to_string())
}

fn digest(digits: &str) -> Option<[u8; 32]> {
    let mut digest = [0; DIGEST_DIGITS / 2];
    if digits.len() != DIGEST_DIGITS || !digits.is_ascii() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(digits.as_bytes().chunks(2)) {
        // `from_str_radix` takes a sign as well.
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef";
    /// `printf %s 0123456789abcdef | sha256sum`
    const DIGEST: &str = "9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f";

    fn listen(text: &str) -> Result<Option<ControlConfig>, String> {
        listener(&Config::parse("t", text).unwrap()).map_err(|error| error.to_string())
    }

    fn grant(fields: &str) -> Result<ControlConfig, String> {
        listen(&format!("control: {{ grants: [ {{ name: desk, {fields} }} ] }}")).map(|listener| listener.unwrap())
    }

    #[test]
    fn a_secret_comes_as_digest_from_the_environment_or_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, format!("{SECRET}\n")).unwrap();
        let of_file = grant(&format!("tokens: [ \"file:{}\" ]", file.display())).unwrap();
        let of_digest = grant(&format!("tokens: [ \"sha256:{DIGEST}\" ]")).unwrap();
        assert_eq!(of_file.tokens[0].digest(), of_digest.tokens[0].digest());
        // A variable that every process has, whatever is in it.
        let path = grant("tokens: [ \"env:PATH\" ]");
        assert!(path.is_ok() || path.unwrap_err().contains("a secret"));
        assert!(grant("tokens: [ \"env:HOOKSWITCH_NO_SUCH_VARIABLE\" ]").unwrap_err().contains("NO_SUCH_VARIABLE"));
        assert!(grant("tokens: [ \"file:/no/such/file\" ]").unwrap_err().contains("/no/such/file"));
    }

    #[test]
    fn a_secret_in_the_file_is_refused_and_not_shown() {
        for text in [SECRET, "sha256:0123456789abcdef", "sha256:", "SHA256:x"] {
            let why = grant(&format!("tokens: [ \"{text}\" ]")).unwrap_err();
            assert!(why.starts_with("control.grants[0].tokens: ") && !why.contains(SECRET), "{why}");
        }
        let sign = format!("sha256:+{}", &DIGEST[1..]);
        assert!(grant(&format!("tokens: [ \"{sign}\" ]")).is_err());
    }

    #[test]
    fn what_a_grant_may_is_what_stands_there_and_only_reading_by_default() {
        let desk = grant(&format!(
            "tokens: [ \"sha256:{DIGEST}\" ], scopes: [control, admin], domains: [Example.test], callers: [\"sip:*\"], rate: 5"
        ));
        let shown = format!("{:?}", desk.unwrap().tokens);
        assert!(shown.contains("desk") && !shown.contains("9f9f"), "{shown}");
        let text = "control: { rate: 7, tls: { certificate: c, key: k }, client_ca: a, grants: [ { name: a, certificates: \
                    [ Desk.Test, \"spiffe://X/Y\" ], domains: [Example.test] } ] }";
        let listener = listen(text).unwrap().unwrap();
        let names: Vec<&str> = listener.certificates.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["desk.test", "spiffe://X/Y"]);
        let grant = &listener.certificates[0].1;
        assert_eq!((grant.scopes.as_slice(), grant.rate), (&[Scope::Read][..], Some(7)));
        assert!(grant.sees_domain("example.test"));
        assert_eq!(listener.anybody.rate, Some(7));
    }

    #[test]
    fn what_cannot_be_used_names_its_key() {
        let digest = format!("tokens: [ \"sha256:{DIGEST}\" ]");
        for (fields, expected) in [
            ("scopes: [read]".to_owned(), "grants[0].tokens: a token, or a name in certificates, is needed"),
            ("certificates: [a]".to_owned(), "grants[0].certificates: control.client_ca is needed"),
            (format!("{digest}, rate: 0"), "grants[0].rate: must be at least 1"),
            (format!("{digest} }}, {{ name: desk, {digest}"), "grants[1].name: each grant needs a name"),
            (format!("{digest} }}, {{ name: b, {digest}"), "grants[1].tokens: another token has the same"),
        ] {
            let why = grant(&fields).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
        for (section, expected) in [
            ("rate: 0", "control.rate: must be at least 1"),
            ("client_ca: a", "control.client_ca: needs control.tls"),
            ("allowed_origins: [desk.example]", "`desk.example` is not an origin"),
            ("allowed_origins: [\"https://desk.example/\"]", "is not an origin"),
            ("max_body: 0", "control.max_body: must be 1 to 16777216"),
            ("max_body: 16777217", "control.max_body"),
            ("max_connections: 0", "control.max_connections"),
            ("max_per_address: 0", "control.max_per_address"),
            ("idle_time: 0", "control.idle_time"),
            ("body_time: 86401", "control.body_time"),
            ("listen: nowhere", "control.listen"),
        ] {
            let why = listen(&format!("control: {{ {section} }}")).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
    }

    #[test]
    fn as_many_keys_are_remembered_as_it_says() {
        let desk = |text: &str| desk(&Config::parse("t", text).unwrap()).map_err(|error| error.to_string());
        assert_eq!(desk("data_dir: /d").unwrap(), rest::Config::default());
        let more = desk("control: { max_keys: 1000000 }").unwrap();
        assert_eq!((more.max_keys, more.max_key_bytes), (1_000_000, 671_000_000));
        for bad in ["0", "10000001"] {
            let why = desk(&format!("control: {{ max_keys: {bad} }}")).unwrap_err();
            assert!(why.contains("control.max_keys: must be 1 to 10000000"), "{why}");
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_listener_and_it_can_be_switched_off() {
        let config = Config::parse("t", "data_dir: /d").unwrap();
        let ours = listener(&config).unwrap().unwrap();
        let mut theirs = ControlConfig::new("127.0.0.1:9001".parse().unwrap());
        theirs.audit = Some("/d/audit.log".into());
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
        assert!(listen("control: { enabled: false }").unwrap().is_none());
        assert!(listen("control: { audit: false }").unwrap().unwrap().audit.is_none());
    }
}
