//! From what is written to what it means: defaults filled in, values checked.

use std::net::IpAddr;
use std::time::Duration;

use hookswitch_dialect::call_api::{self, Access, COMMANDS, MAX_MESSAGE, Mode, OnDisconnect, Pattern};
use hookswitch_drive::opensips::MAX_AWAKE;

use super::super::span::Span;
use super::written::{self, Written};
use super::{
    Calls, Client, DEFAULT_HOST, DEFAULT_MI, DEFAULT_PATH, DEFAULT_PORT, Limits, LogSettings, Settings, SettingsError,
    Token, Web, mi_address,
};
use crate::call_api::log::Level;

/// How long the client waits for the end of its command unless told otherwise: longer than any takes by default.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(300);

/// How long SIGTERM waits for commands unless told otherwise.
const DRAIN: Duration = Duration::from_secs(60);

const fn or(span: Option<Span>, default: Duration) -> Duration {
    match span {
        Some(Span(span)) => span,
        None => default,
    }
}

/// What a file and the environment mean together.
pub fn settings(written: Written) -> Result<Settings, SettingsError> {
    let mi = written.mi.unwrap_or_default();
    let evi = written.evi.unwrap_or_default();
    let timeouts = written.timeouts.unwrap_or_default();
    let client = written.client.unwrap_or_default();
    let defaults = hookswitch_opensips::Config::default();
    let url = mi.url.filter(|url| !url.is_empty());
    Ok(Settings {
        web: web(written.ws_server.unwrap_or_default())?,
        mi: mi_address::resolve(url.as_deref().unwrap_or(DEFAULT_MI), mi.transport.as_deref())?,
        mi_timeout: positive("mi.timeout", or(mi.timeout, defaults.mi_timeout))?,
        health_every: positive("mi.health", or(mi.health, defaults.health_every))?,
        mi_reply: mi.reply,
        mi_ca: mi.ca,
        subscription: subscription(&evi)?,
        events: evi.listen,
        advertise: evi.advertise,
        drain: or(timeouts.drain, DRAIN),
        calls: calls(written.sip.unwrap_or_default(), written.opensips.unwrap_or_default(), &timeouts)?,
        http: written.http.and_then(|http| http.listen),
        client: Client { token: client.token, ca: client.ca, timeout: or(client.timeout, CLIENT_TIMEOUT) },
        log: log(written.log.unwrap_or_default())?,
    })
}

fn positive(key: &'static str, span: Duration) -> Result<Duration, SettingsError> {
    if span.is_zero() { Err(SettingsError::value(key, "must be more than 0")) } else { Ok(span) }
}

fn subscription(evi: &written::Evi) -> Result<(Duration, Duration), SettingsError> {
    let defaults = hookswitch_opensips::Config::default();
    let expiry = or(evi.expiry, defaults.subscription_expiry);
    let refresh = positive("evi.refresh", or(evi.refresh, defaults.subscription_refresh))?;
    if refresh >= expiry {
        return Err(SettingsError::value("evi.refresh", "must be less than evi.expiry"));
    }
    Ok((expiry, refresh))
}

fn web(written: written::WsServer) -> Result<Web, SettingsError> {
    let limits = limits(&written)?;
    let mode = match written.compat.as_deref() {
        None | Some("original") => Mode::Original,
        Some("strict") => Mode::Strict,
        Some(other) => {
            return Err(SettingsError::value("ws_server.compat", format!("`{other}` is neither original nor strict")));
        }
    };
    let on_disconnect = match written.on_disconnect.as_deref() {
        None | Some("keep") => OnDisconnect::Keep,
        Some("end") => OnDisconnect::End,
        Some(other) => {
            return Err(SettingsError::value("ws_server.on_disconnect", format!("`{other}` is neither keep nor end")));
        }
    };
    let path = written.http_path.filter(|path| !path.is_empty()).unwrap_or_else(|| DEFAULT_PATH.into());
    if !path.starts_with('/') {
        return Err(SettingsError::value("ws_server.http_path", "must begin with a slash"));
    }
    let host = written.host.filter(|host| !host.is_empty()).unwrap_or_else(|| DEFAULT_HOST.into());
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host).to_owned();
    let tokens = written.auth.and_then(|auth| auth.tokens).unwrap_or_default();
    Ok(Web {
        host,
        port: written.port.unwrap_or(DEFAULT_PORT),
        path,
        tls: written.tls.map(|tls| (tls.certificate, tls.key)),
        tokens: tokens.into_iter().map(token).collect::<Result<_, _>>()?,
        origins: written.allowed_origins.unwrap_or_default(),
        mode,
        on_disconnect,
        reason: written.reason.unwrap_or(true),
        limits,
    })
}

fn at_least_one(key: &'static str, given: Option<usize>, default: usize) -> Result<usize, SettingsError> {
    match given {
        Some(0) => Err(SettingsError::value(key, "must be more than 0")),
        given => Ok(given.unwrap_or(default)),
    }
}

fn limits(written: &written::WsServer) -> Result<Limits, SettingsError> {
    let defaults = call_api::Config::default();
    let limits = Limits {
        sessions: at_least_one("ws_server.max_sessions", written.max_sessions, defaults.max_sessions)?,
        per_address: written.max_per_address,
        in_flight: at_least_one("ws_server.max_in_flight", written.max_in_flight, defaults.max_in_flight)?,
        rate: written.rate.filter(|rate| *rate != 0),
        message: at_least_one("ws_server.max_message", written.max_message, MAX_MESSAGE)?,
    };
    if limits.message > MAX_MESSAGE {
        return Err(SettingsError::value("ws_server.max_message", format!("at most {MAX_MESSAGE}")));
    }
    Ok(limits)
}

impl Web {
    /// Whether only this host reaches it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.host.eq_ignore_ascii_case(DEFAULT_HOST) || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// The host as it stands before a colon and a port.
    #[must_use]
    pub fn bracketed_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }

    /// Refuses what would give everybody on the network all calls in the strict manner.
    ///
    /// # Errors
    /// Tokens are needed.
    pub fn check_exposure(&self) -> Result<(), SettingsError> {
        if self.mode == Mode::Strict && !self.is_local() && self.tokens.is_empty() {
            let why = format!("strict and open to others ({}): tokens are required", self.host);
            return Err(SettingsError::value("ws_server.auth", why));
        }
        Ok(())
    }
}

fn token(written: written::Token) -> Result<Token, SettingsError> {
    let key = "ws_server.auth.tokens";
    let name = &written.name;
    let secret = match (written.secret, written.secret_file) {
        (Some(secret), None) => secret,
        (None, Some(file)) => {
            let read = std::fs::read_to_string(&file);
            let read = read.map_err(|error| SettingsError::value(key, format!("{name}: {}: {error}", file.display())));
            read?.trim_end_matches(['\r', '\n']).to_owned()
        }
        _ => return Err(SettingsError::value(key, format!("{name}: give either secret or secret_file"))),
    };
    let commands = written.commands.unwrap_or_default();
    if let Some(unknown) = commands.iter().find(|command| COMMANDS.iter().all(|row| row.name != command.as_str())) {
        return Err(SettingsError::value(key, format!("{name}: there is no command `{unknown}`")));
    }
    let patterns =
        |list: Option<Vec<String>>| list.unwrap_or_default().iter().map(|one| Pattern::from(&**one)).collect();
    let access = Access {
        name: name.as_str().into(),
        commands: (!commands.is_empty()).then(|| commands.iter().map(Into::into).collect()),
        callers: patterns(written.callers),
        callees: patterns(written.callees),
        max_in_flight: written.max_in_flight,
        rate: written.rate,
    };
    Ok(Token { secret, access })
}

fn calls(sip: written::Sip, opensips: written::Opensips, timeouts: &written::Timeouts) -> Result<Calls, SettingsError> {
    let defaults = hookswitch_opensips::Config::default();
    Ok(Calls {
        next_hop: uri("sip.uri", sip.uri)?,
        from: uri("opensips.from", opensips.from)?,
        contact: uri("opensips.contact", opensips.contact)?,
        dialog_events: opensips.dialog_events.unwrap_or(defaults.dialog_events),
        registered_domains: opensips.registered_domains.unwrap_or_default(),
        max_commands: at_least_one("opensips.max_commands", opensips.max_commands, defaults.max_commands)?,
        stay_awake: awake(opensips.stay_awake)?,
        ring: positive("timeouts.ring", or(timeouts.ring, defaults.ring_timeout))?,
        refer: positive("timeouts.refer", or(timeouts.refer, defaults.refer_timeout))?,
        hold: positive("timeouts.hold", or(timeouts.hold, defaults.hold_timeout))?,
    })
}

fn awake(written: Option<Span>) -> Result<Duration, SettingsError> {
    let awake = or(written, Duration::ZERO);
    if awake > MAX_AWAKE {
        return Err(SettingsError::value("opensips.stay_awake", format!("at most {} s", MAX_AWAKE.as_secs())));
    }
    Ok(awake)
}

/// It becomes part of a SIP message, so it is one URI and nothing else.
fn uri(key: &'static str, text: Option<String>) -> Result<Option<String>, SettingsError> {
    match text.filter(|text| !text.is_empty()) {
        Some(bad) if !hookswitch_opensips::is_address(&bad) => {
            Err(SettingsError::value(key, format!("{bad:?} is not one SIP URI")))
        }
        text => Ok(text),
    }
}

fn log(written: written::LogSection) -> Result<LogSettings, SettingsError> {
    let level = match written.level.filter(|level| !level.is_empty()) {
        Some(level) => level.parse().map_err(|error| SettingsError::value("log.level", error))?,
        None => Level::Info,
    };
    let file = written.file_path.filter(|path| !path.as_os_str().is_empty());
    Ok(LogSettings { file, level, pii: written.pii.unwrap_or(false) })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    fn meant(text: &str) -> Result<Settings, String> {
        settings(serde_saphyr::from_str(text).unwrap()).map_err(|error| error.to_string())
    }

    /// The keys of the files that the original ships, with their values.
    const API_YML: &str = "ws_server:\n  # address\n  host: localhost\n\n  port: 5059\n  http_path: /call-api\n\n\
                           mi:\n  url: 127.0.0.1:8080\n\nlog:\n  #file_path: /var/log/call-api.log\n  level: INFO\n";
    const CMD_YML: &str = "mi:\n  url: 127.0.0.1:8080\n\nsip:\n  #uri: sip:127.0.0.1\n\n\
                           log:\n  #file_path: /var/log/call-cmd.log\n  level: DEBUG\n";

    #[test]
    fn the_files_of_the_original_are_taken_as_they_are() {
        let api = meant(API_YML).unwrap();
        assert_eq!((api.web.host.as_str(), api.web.port, api.web.path.as_str()), ("localhost", 5059, "/call-api"));
        assert_eq!((api.mi.as_str(), api.log.level), ("udp:127.0.0.1:8080", Level::Info));
        let cmd = meant(CMD_YML).unwrap();
        assert_eq!((cmd.calls.next_hop, cmd.log.level, cmd.log.file), (None, Level::Debug, None));
    }

    #[test]
    fn every_new_key_has_its_meaning() {
        let set = meant(
            "ws_server:\n  host: '[::1]'\n  tls: { certificate: a.pem, key: b.pem }\n  compat: strict\n  on_disconnect: end\n  \
             reason: false\n  max_sessions: 5\n  max_per_address: 2\n  max_in_flight: 6\n  rate: 8\n  max_message: 4096\n  allowed_origins: [ 'https://desk.example' ]\n  auth:\n    tokens:\n      - name: desk\n        \
             secret: abc\n        commands: [ CallStart ]\n        callers: [ 'sip:*@a' ]\n        max_in_flight: 3\n        rate: 7\n\
             mi: { transport: unix, url: /run/mi, timeout: 1.5, health: 2, reply: /run/r, ca: c }\nevi: { listen: 'udp:127.0.0.1:0', advertise: 'udp:192.0.2.1:9', expiry: 60, refresh: 20 }\n\
             sip: { uri: 'sip:127.0.0.1' }\nopensips: { from: 'sip:desk@a', contact: 'sip:c@a', dialog_events: false, \
             registered_domains: [ a ], max_commands: 9, stay_awake: 5ms }\ntimeouts: { ring: 20, refer: 4s, hold: 5, drain: 0 }\nhttp: { listen: '127.0.0.1:9001' }\n\
             client: { token: t, ca: ca.pem, timeout: 0 }\nlog: { file_path: x.log, level: warn, pii: true }\n",
        )
        .unwrap();
        assert_eq!((set.web.host.as_str(), set.web.mode, set.web.reason), ("::1", Mode::Strict, false));
        assert_eq!((set.web.on_disconnect, set.web.origins.len()), (OnDisconnect::End, 1));
        let limits =
            Limits { sessions: 5, per_address: NonZeroUsize::new(2), in_flight: 6, rate: Some(8), message: 4_096 };
        assert_eq!(set.web.limits, limits);
        assert!(set.web.tls.is_some() && set.web.check_exposure().is_ok());
        let token = &set.web.tokens[0];
        assert_eq!((token.secret.as_str(), token.access.rate, token.access.max_in_flight), ("abc", Some(7), Some(3)));
        assert!(token.access.may_use("CallStart") && !token.access.may_use("CallEnd"));
        assert!(token.access.may_call_from("sip:x@a") && !token.access.may_call_from("sip:x@b"));
        assert_eq!((set.mi.as_str(), set.mi_timeout), ("unix:/run/mi", Duration::from_millis(1_500)));
        assert_eq!((set.calls.ring.as_secs(), set.calls.refer.as_secs(), set.calls.hold.as_secs()), (20, 4, 5));
        assert_eq!((set.drain, set.client.timeout, set.log.pii), (Duration::ZERO, Duration::ZERO, true));
        assert_eq!(
            (set.health_every.as_secs(), set.subscription.0.as_secs(), set.subscription.1.as_secs()),
            (2, 60, 20)
        );
        assert_eq!((set.mi_reply, set.mi_ca, set.calls.max_commands), (Some("/run/r".into()), Some("c".into()), 9));
        assert_eq!(set.calls.stay_awake, Duration::from_millis(5));
        assert!(!set.calls.dialog_events && set.calls.registered_domains == ["a"]);
    }

    #[test]
    fn values_that_cannot_be_used_name_their_key() {
        for (text, expected) in [
            ("ws_server: { compat: lax }", "ws_server.compat: `lax` is neither original nor strict"),
            ("ws_server: { on_disconnect: maybe }", "ws_server.on_disconnect: `maybe` is neither keep nor end"),
            ("ws_server: { http_path: call-api }", "ws_server.http_path: must begin with a slash"),
            ("ws_server: { auth: { tokens: [ { name: a } ] } }", "ws_server.auth.tokens: a: give either"),
            (
                "ws_server: { auth: { tokens: [ { name: a, secret: x, commands: [ Dance ] } ] } }",
                "ws_server.auth.tokens: a: there is no command `Dance`",
            ),
            ("mi: { timeout: 0 }", "mi.timeout: must be more than 0"),
            ("evi: { expiry: 30 }", "evi.refresh: must be less than evi.expiry"),
            ("opensips: { max_commands: 0 }", "opensips.max_commands: must be more than 0"),
            ("opensips: { stay_awake: 1001ms }", "opensips.stay_awake: at most 1 s"),
            ("timeouts: { ring: 0 }", "timeouts.ring: must be more than 0"),
            ("opensips: { from: \"sip:a@b\\r\\nX: y\" }", "opensips.from: \"sip:a@b\\r\\nX: y\" is not one SIP URI"),
            ("sip: { uri: '127.0.0.1:5060' }", "sip.uri: \"127.0.0.1:5060\" is not one SIP URI"),
            ("ws_server: { max_message: 65537 }", "ws_server.max_message: at most 65536"),
            ("ws_server: { max_in_flight: 0 }", "ws_server.max_in_flight: must be more than 0"),
            ("log: { level: LOUD }", "log.level: not a valid logrus Level: \"LOUD\""),
        ] {
            let error = meant(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn strict_for_everybody_needs_tokens() {
        let check = |text: &str| meant(text).unwrap().web.check_exposure().map_err(|error| error.to_string());
        assert_eq!(
            check("ws_server: { host: 0.0.0.0, compat: strict }").unwrap_err(),
            "ws_server.auth: strict and open to others (0.0.0.0): tokens are required"
        );
        for host in ["localhost", "127.0.0.3", "'::1'"] {
            assert!(check(&format!("ws_server: {{ host: {host}, compat: strict }}")).is_ok(), "{host}");
        }
        assert!(check("ws_server: { host: 0.0.0.0 }").is_ok());
    }
}
