//! The settings as the front of OpenSIPS takes them.

use compact_str::CompactString;
use hookswitch_dialect::call_api::{self, Origins};
use hookswitch_drive::opensips::{EventsAddress, MiAddress};
use hookswitch_drive::{ApplicationConfig, HttpConfig, OpenSipsFrontConfig, TlsFiles, Token, WebListen};

use super::settings::{Settings, SettingsError};

/// A front that serves no socket of its own: OpenSIPS's side only.
///
/// # Errors
/// An address is none; names its key.
pub fn config(settings: &Settings) -> Result<OpenSipsFrontConfig, SettingsError> {
    let text = |text: &Option<String>| text.as_deref().map(CompactString::from);
    let events = settings.events.as_deref().map(str::parse::<EventsAddress>).transpose();
    let calls = &settings.calls;
    Ok(OpenSipsFrontConfig {
        mi: settings.mi.parse::<MiAddress>().map_err(|error| SettingsError::value("mi.url", error))?,
        mi_reply: settings.mi_reply.clone(),
        mi_ca: settings.mi_ca.clone(),
        events: events.map_err(|error| SettingsError::value("evi.listen", error))?.unwrap_or_default(),
        advertise: text(&settings.advertise),
        opensips: hookswitch_opensips::Config {
            next_hop: text(&calls.next_hop),
            from: text(&calls.from),
            contact: text(&calls.contact),
            dialog_events: calls.dialog_events,
            registered_domains: calls.registered_domains.iter().map(CompactString::from).collect(),
            mi_timeout: settings.mi_timeout,
            ring_timeout: calls.ring,
            refer_timeout: calls.refer,
            hold_timeout: calls.hold,
            subscription_expiry: settings.subscription.0,
            subscription_refresh: settings.subscription.1,
            health_every: settings.health_every,
            max_commands: calls.max_commands,
            ..hookswitch_opensips::Config::default()
        },
        call_api: call_api::Config {
            reason: settings.web.reason,
            on_disconnect: settings.web.on_disconnect,
            max_sessions: settings.web.limits.sessions,
            max_in_flight: settings.web.limits.in_flight,
            max_message: settings.web.limits.message,
            rate: settings.web.limits.rate,
            ..call_api::Config::default()
        },
        journal: None,
        log_pii: settings.log.pii,
        stay_awake: calls.stay_awake,
        ..OpenSipsFrontConfig::default()
    })
}

/// The same with its listeners.
///
/// # Errors
/// An address or a token is none; names its key.
pub fn serving(settings: &Settings) -> Result<OpenSipsFrontConfig, SettingsError> {
    let web = &settings.web;
    web.check_exposure()?;
    let listen = format!("{}:{}", web.bracketed_host(), web.port).parse::<WebListen>();
    let mut application =
        ApplicationConfig::new(listen.map_err(|error| SettingsError::value("ws_server.host", error))?);
    application.path.clone_from(&web.path);
    application.mode = web.mode;
    application.max_sessions = web.limits.sessions;
    application.max_per_address = web.limits.per_address;
    application.origins = Origins(web.origins.iter().map(Into::into).collect());
    application.tls = web.tls.clone().map(|(certificate, key)| TlsFiles { certificate, key });
    for token in &web.tokens {
        let name = &token.access.name;
        let made = Token::new(&token.secret, token.access.clone());
        application
            .tokens
            .push(made.map_err(|error| SettingsError::value("ws_server.auth.tokens", format!("{name}: {error}")))?);
    }
    let http = settings.http.as_deref().map(str::parse::<WebListen>).transpose();
    let http = http.map_err(|error| SettingsError::value("http.listen", error))?;
    let mut front = config(settings)?;
    front.application = Some(application);
    front.http = http.map(HttpConfig::new);
    front.log_requests = true;
    Ok(front)
}
