//! What the section `call_api` means.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;

use hookswitch_dialect::call_api::{self as dialect, Access, COMMANDS, Mode, Origins, Pattern};
use hookswitch_drive::{ApplicationConfig, MAX_MESSAGE, TlsFiles, Token, WebListen};

use super::{secrets, web_listen};
use crate::config::{self, CallApi, Compat, Config, ConfigError, Disconnect};

/// The listener.
pub(super) fn listener(config: &Config) -> Result<ApplicationConfig, ConfigError> {
    let call_api = &config.call_api;
    let listen = web_listen("call_api.listen", &call_api.listen)?;
    exposure(call_api, &listen)?;
    let mut listener = ApplicationConfig::new(listen);
    if !call_api.path.starts_with('/') {
        return Err(ConfigError::value("call_api.path", "must begin with a slash"));
    }
    listener.path.clone_from(&call_api.path);
    listener.origins = Origins(call_api.allowed_origins.iter().map(Into::into).collect());
    listener.mode = match call_api.compat {
        Compat::Original => Mode::Original,
        Compat::Strict => Mode::Strict,
    };
    listener.tls =
        call_api.tls.as_ref().map(|tls| TlsFiles { certificate: tls.certificate.clone(), key: tls.key.clone() });
    listener.tokens = tokens(call_api)?;
    listener.max_sessions = positive("call_api.max_sessions", call_api.max_sessions)?;
    listener.max_per_address = call_api
        .max_per_address
        .map(|limit| NonZeroUsize::new(limit).ok_or_else(|| too_small("call_api.max_per_address")))
        .transpose()?;
    listener.ping_every = seconds("call_api.ping_time", call_api.ping_time)?;
    listener.handshake_time = seconds("call_api.handshake_time", call_api.handshake_time)?;
    positive("call_api.max_in_flight", call_api.max_in_flight)?;
    if !(1..=MAX_MESSAGE).contains(&call_api.max_message) {
        return Err(ConfigError::value("call_api.max_message", format!("must be 1 to {MAX_MESSAGE}")));
    }
    listener.max_message = call_api.max_message;
    if call_api.rate == Some(0) {
        return Err(too_small("call_api.rate"));
    }
    Ok(listener)
}

/// Whoever reaches it can end any call: those of other hosts prove who they are, unless it is said that they need not.
fn exposure(config: &CallApi, listen: &WebListen) -> Result<(), ConfigError> {
    let may_be_open = config.open && config.compat == Compat::Original;
    if listen.is_this_host() || !config.tokens.is_empty() || may_be_open {
        return Ok(());
    }
    let mut why = format!(
        "{listen} can be reached from other hosts, and nobody has to prove here who it is: configure call_api.tokens, \
         or listen on localhost"
    );
    if config.compat == Compat::Original {
        why.push_str("; where all who reach it may end any call, call_api.open says so");
    }
    Err(ConfigError::value("call_api.listen", why))
}

/// What the dialect is told.
pub(super) fn dialect(config: &Config) -> dialect::Config {
    let call_api = &config.call_api;
    dialect::Config {
        max_sessions: call_api.max_sessions,
        max_in_flight: call_api.max_in_flight,
        max_message: call_api.max_message,
        rate: call_api.rate,
        reason: call_api.reason,
        on_disconnect: match call_api.on_disconnect {
            Disconnect::Keep => dialect::OnDisconnect::Keep,
            Disconnect::End => dialect::OnDisconnect::End,
        },
        ..dialect::Config::default()
    }
}

fn tokens(config: &CallApi) -> Result<Vec<Token>, ConfigError> {
    let mut names = BTreeSet::new();
    let mut secrets = BTreeSet::new();
    let mut tokens = Vec::with_capacity(config.tokens.len());
    for (n, written) in config.tokens.iter().enumerate() {
        let key = |field: &str| format!("call_api.tokens[{n}].{field}");
        if written.name.is_empty() || !names.insert(&written.name) {
            return Err(ConfigError::value(key("name"), "each token needs a name of its own"));
        }
        let secret = secret(written, &key)?;
        let token = Token::new(&secret, access(written, &key)?);
        tokens.push(token.map_err(|error| ConfigError::value(key("secret"), error))?);
        if !secrets.insert(secret) {
            return Err(ConfigError::value(key("secret"), "another token has the same"));
        }
    }
    Ok(tokens)
}

fn secret(written: &config::Token, key: &impl Fn(&str) -> String) -> Result<String, ConfigError> {
    match (&written.secret, &written.secret_file) {
        // A secret itself has no colon.
        (Some(text), None) => {
            let named = secrets::named(text).map_err(|why| ConfigError::value(key("secret"), why))?;
            Ok(named.unwrap_or_else(|| text.clone()))
        }
        (None, Some(file)) => {
            let bad = |error| ConfigError::value(key("secret_file"), format!("{}: {error}", file.display()));
            Ok(std::fs::read_to_string(file).map_err(bad)?.trim().to_owned())
        }
        _ => Err(ConfigError::value(key("secret"), "either this or secret_file is needed")),
    }
}

fn access(written: &config::Token, key: &impl Fn(&str) -> String) -> Result<Access, ConfigError> {
    let unknown = |name: &&String| !COMMANDS.iter().any(|row| row.name == name.as_str());
    if let Some(name) = written.commands.iter().flatten().find(unknown) {
        let known = COMMANDS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
        return Err(ConfigError::value(key("commands"), format!("`{name}` is not a method; known are {known}")));
    }
    if written.max_in_flight == Some(0) {
        return Err(too_small(&key("max_in_flight")));
    }
    if written.rate == Some(0) {
        return Err(too_small(&key("rate")));
    }
    let patterns = |texts: &[String]| texts.iter().map(|text| Pattern::from(text.as_str())).collect();
    Ok(Access {
        name: written.name.as_str().into(),
        commands: written.commands.as_ref().map(|names| names.iter().map(Into::into).collect()),
        callers: patterns(&written.callers),
        callees: patterns(&written.callees),
        max_in_flight: written.max_in_flight,
        rate: written.rate,
    })
}

pub(super) fn too_small(key: &str) -> ConfigError {
    ConfigError::value(key, "must be at least 1")
}

pub(super) fn positive(key: &str, value: usize) -> Result<usize, ConfigError> {
    if value == 0 { Err(too_small(key)) } else { Ok(value) }
}

/// Longest time of a key, in seconds: a day.
const MAX_SECONDS: u64 = 86_400;

/// A time in seconds that is more than none.
pub(super) fn seconds(key: &str, value: u64) -> Result<Duration, ConfigError> {
    if !(1..=MAX_SECONDS).contains(&value) {
        return Err(ConfigError::value(key, format!("must be 1 to {MAX_SECONDS}")));
    }
    Ok(Duration::from_secs(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn listen(text: &str) -> Result<ApplicationConfig, String> {
        let config = Config::parse("t", text).unwrap();
        listener(&config).map_err(|error| error.to_string())
    }

    #[test]
    fn tokens_come_from_the_file_from_files_of_their_own_or_from_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, format!("{SECRET}-file\n")).unwrap();
        let text = format!(
            "call_api: {{ tokens: [ {{ name: desk, secret: {SECRET}, commands: [Echo], rate: 5 }}, \
             {{ name: kiosk, secret_file: \"{}\" }} ] }}",
            file.display()
        );
        assert_eq!(listen(&text).unwrap().tokens.len(), 2);
        let named = format!("call_api: {{ tokens: [ {{ name: kiosk, secret: \"file:{}\" }} ] }}", file.display());
        assert_eq!(listen(&named).unwrap().tokens.len(), 1);
        std::fs::remove_file(file).unwrap();
        assert!(listen(&text).unwrap_err().contains("call_api.tokens[1].secret_file: "));
        assert!(listen(&named).unwrap_err().starts_with("call_api.tokens[0].secret: "));
        let variable = "call_api: { tokens: [ { name: a, secret: \"env:HOOKSWITCH_NO_SUCH_VARIABLE\" } ] }";
        let why = listen(variable).unwrap_err();
        assert!(why.contains("[0].secret: there is no variable `HOOKSWITCH_NO_SUCH_VARIABLE`"), "{why}");
    }

    #[test]
    fn what_cannot_be_used_names_its_key_and_no_secret() {
        let token = |fields: &str| listen(&format!("call_api: {{ tokens: [ {{ {fields} }} ] }}")).unwrap_err();
        assert!(token("name: a, secret: short").starts_with("call_api.tokens[0].secret: a secret has 16 to 512"));
        assert!(token("name: a").contains("either this or secret_file"));
        assert!(token(&format!("secret: {SECRET}")).contains("call_api.tokens[0].name: "));
        assert!(token(&format!("name: a, secret: {SECRET}, commands: [Ekho]")).contains("`Ekho` is not a method"));
        assert!(token(&format!("name: a, secret: {SECRET}, rate: 0")).contains("[0].rate: must be at least 1"));
        let twice = format!("name: a, secret: {SECRET} }}, {{ name: b, secret: {SECRET}");
        let why = token(&twice);
        assert!(why.contains("another token has the same") && !why.contains(SECRET), "{why}");
        for (key, value) in [("max_sessions", 0), ("max_per_address", 0), ("max_in_flight", 0), ("rate", 0)] {
            assert!(listen(&format!("call_api: {{ {key}: {value} }}")).unwrap_err().contains(key));
        }
        for (key, value) in [("max_message", 70_000), ("ping_time", 0), ("ping_time", 86_401), ("handshake_time", 0)] {
            assert!(listen(&format!("call_api: {{ {key}: {value} }}")).unwrap_err().contains(key));
        }
    }

    #[test]
    fn other_hosts_need_a_token_unless_it_is_said_that_they_need_none() {
        for exposed in ["0.0.0.0:5059", "[::]:5059", "10.0.0.1:5059", "switch.example.test:5059"] {
            let why = listen(&format!("call_api: {{ listen: \"{exposed}\" }}")).unwrap_err();
            assert!(why.starts_with(&format!("call_api.listen: {exposed} can be reached from other hosts")), "{why}");
            assert!(why.contains("call_api.tokens") && why.contains("call_api.open"), "{why}");
            for way_out in [format!("tokens: [ {{ name: a, secret: {SECRET} }} ]"), "open: true".to_owned()] {
                let text = format!("call_api: {{ listen: \"{exposed}\", {way_out} }}");
                assert_eq!(listen(&text).unwrap().listen.to_string(), exposed);
            }
            // The strict dialect has no such clients.
            let strict = format!("call_api: {{ listen: \"{exposed}\", compat: strict, open: true }}");
            let why = listen(&strict).unwrap_err();
            assert!(why.contains("call_api.tokens") && !why.contains("call_api.open"), "{why}");
        }
        for own in ["localhost:5059", "127.0.0.9:5059", "[::1]:5059"] {
            assert!(listen(&format!("call_api: {{ listen: \"{own}\" }}")).is_ok(), "{own}");
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_listener_and_of_the_dialect() {
        let config = Config::default();
        let (ours, theirs) = (listener(&config).unwrap(), ApplicationConfig::new("localhost:5059".parse().unwrap()));
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
        assert_eq!(dialect(&config), dialect::Config::default());
    }
}
