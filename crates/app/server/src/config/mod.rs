//! The configuration: one YAML file, every key optional, unknown keys are errors.
//!
//! What was written ([`Config`], one file per section here) and what it means to the switch
//! (`crate::compose`) are kept apart. The reference page is made from the doc comments of these
//! fields by `hookswitch config-reference`, so a key is documented by being there.

mod call_api;
mod call_records;
mod channels;
mod codec_list;
mod control;
mod dns;
mod event_log;
mod events;
mod find;
mod flow;
mod guard;
mod media;
mod mediaswitch;
mod network;
mod nodes;
mod opensips;
mod problem;
mod recordings;
mod reference;
mod reload;
mod sections;
mod services;
mod sip_tls;
mod toll;
mod trunks;
mod user_lookup;
mod users;
mod web_sounds;
mod webhooks;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use call_api::*;
pub use call_records::{CallRecords, RecordFormat};
pub use channels::Channels;
pub use control::{Control, ControlGrant, ControlScope};
pub use dns::Dns;
pub use event_log::EventLog;
pub use events::Events;
pub use find::{Found, find};
pub use flow::CallFlow;
pub use guard::Guard;
pub use media::{Media, MediaIo};
pub use mediaswitch::Mediaswitch;
pub use network::Network;
pub use nodes::{Nodes, Role, Roles};
pub use opensips::OpenSips;
pub use problem::ConfigError;
pub use recordings::{RecordedCalls, Recordings};
pub use reference::reference;
pub use reload::Changes;
pub use sections::*;
pub use services::{Forms, Loop, Menu, Message, Service, Soup};
pub use sip_tls::{ClientCertificates, SipTls};
pub use toll::{TollLimits, TollSection};
pub use trunks::{HeaderRule, NumberIn, NumberRule, Trunk, TrunkHost};
pub use user_lookup::UserLookup;
pub use users::*;
pub use web_sounds::WebSounds;
pub use webhooks::{CallWebhooks, Webhook};

/// What stands for a secret where it is shown.
const HIDDEN: &str = "…";

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The SIP side: sockets, who may call, digest, registrations.
    pub sip: Sip,
    /// Our addresses as others see them: behind a NAT, in a VPN.
    pub network: Network,
    /// Addresses that are banned for what comes from them. The page guard.md tells how.
    pub guard: Guard,
    /// The audio: addresses, ports, codecs.
    pub media: Media,
    /// Which calls are recorded, and where to. The page recording.md tells how.
    pub recordings: Recordings,
    /// Call detail records: a line for every call. The page call-records.md tells what stands in it.
    pub call_records: CallRecords,
    /// The WebSocket on which applications speak the Call API.
    pub call_api: CallApi,
    /// An OpenSIPS that the Call API drives instead of our own switch, which serves its phones beside it. Default: none.
    pub opensips: Option<OpenSips>,
    /// The HTTP server of the directory and the registrations.
    pub http: Http,
    /// Media channels for a call server of your own. The page dialects/mediaswitch-channels.md tells how.
    pub channels: Channels,
    /// The native REST for applications, with events, health and metrics. The page access.md tells who may do what.
    pub control: Control,
    /// Control servers that drive single legs. The page dialects/mediaswitch-dialogs.md tells how.
    pub mediaswitch: Mediaswitch,
    /// How long calls may ring and how many there may be.
    pub calls: Calls,
    /// Look-ups of names: of domains that are called, and of destinations of routes.
    pub dns: Dns,
    /// Subscriptions of phones to events: busy lamps and others.
    pub events: Events,
    /// The log of events in the data folder, which applications read at `/v1/events`. The page event-log.md tells how.
    pub event_log: EventLog,
    /// Where pushed domains and registrations are kept. Default `/var/lib/hookswitch` for root,
    /// else `$XDG_STATE_HOME/hookswitch` (`~/.local/state/hookswitch`).
    pub data_dir: Option<PathBuf>,
    /// Domains by name. Users may be added over HTTP as well.
    pub domains: BTreeMap<String, Domain>,
    /// A server that is asked by HTTP for users who stand neither here nor were pushed. Default: none.
    pub user_lookup: Option<UserLookup>,
    /// The domain meant by `localhost` and by this host's own numeric addresses. Default: the first
    /// one here by alphabet, else the first one pushed.
    pub default_domain: Option<String>,
    /// Carriers and other switches by name, for routes to lead to.
    pub trunks: BTreeMap<String, Trunk>,
    /// Limits against toll fraud: which numbers who may call how often. The page toll.md tells how.
    pub toll: TollSection,
    /// Where addresses go before the users' registrations are asked; the first that matches wins.
    pub routes: Vec<Route>,
    /// What can be called and plays something, by the name that is called in any domain. The page services.md tells
    /// how.
    pub services: BTreeMap<String, Service>,
    /// What this process does: `sip` (phones, trunks, registrations), `media` (audio), `control` (calls and the interfaces for
    /// applications). The page roles.md tells how they work together where they are apart.
    pub roles: Roles,
    /// Where the other roles are, if this process does not have them all.
    pub nodes: Nodes,
    /// URLs that events are posted to. The page webhooks.md tells how.
    pub webhooks: Vec<Webhook>,
    /// What those webhooks have whose URL a request or a call flow names for one call. The page webhooks.md tells how. Default:
    /// none may.
    pub call_webhooks: Option<CallWebhooks>,
    /// What is written to standard error.
    pub log: Log,
}

impl Config {
    /// Reads a configuration from its text; `name` is the file's name for error messages.
    ///
    /// # Errors
    /// What is wrong, with file, line and, for an unknown key, the nearest known one.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        // A file of comments is an empty configuration.
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        serde_saphyr::from_str(text).map_err(|error| ConfigError::yaml(name, &error))
    }

    /// This configuration as YAML, with every key and without secrets.
    ///
    /// # Errors
    /// None that a configuration can cause; the writer's own.
    pub fn effective(&self) -> anyhow::Result<String> {
        let mut shown = self.clone();
        for user in shown.domains.values_mut().flat_map(|domain| domain.users.values_mut()) {
            user.secret = HIDDEN.to_owned();
        }
        for trunk in shown.trunks.values_mut() {
            trunk.secret = trunk.secret.as_ref().map(|_| HIDDEN.to_owned());
        }
        for token in &mut shown.call_api.tokens {
            token.secret = token.secret.as_ref().map(|_| HIDDEN.to_owned());
        }
        if let Some(lookup) = &mut shown.user_lookup {
            lookup.secret = lookup.secret.as_ref().map(|_| HIDDEN.to_owned());
        }
        if let Some(opensips) = &mut shown.opensips {
            opensips.mi = opensips.shown_mi();
        }
        shown.data_dir = Some(self.data_dir());
        Ok(serde_saphyr::to_string(&shown)?)
    }

    /// Where data is kept: the key, or the default for this user.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(find::default_data_dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the documentation; every key there must work.
    const EXAMPLE: &str = include_str!("../../../../../config/hookswitch.example.yml");

    #[test]
    fn the_example_is_read() {
        let config = Config::parse("example", EXAMPLE).unwrap();
        assert_eq!(config.domains["example.test"].users["alice"].secret, "s3cret");
        assert_eq!(config.routes[0].to, "sip:127.0.0.2:5070");
        assert_eq!(config.sip.listen.len(), 2);
    }

    #[test]
    fn an_unknown_key_names_line_key_and_neighbour() {
        let error = Config::parse("test.yml", "sip:\n  lisen: []\n").unwrap_err().to_string();
        assert_eq!(error, "test.yml:2: unknown key `lisen`; did you mean `listen`?");
        let error = Config::parse("test.yml", "media: {}\nqwertzuiop: 1\n").unwrap_err().to_string();
        assert!(error.starts_with("test.yml:2: unknown key `qwertzuiop`; known keys here: sip, network"), "{error}");
    }

    #[test]
    fn a_wrong_value_names_its_line() {
        let error = Config::parse("test.yml", "calls:\n  ring_time: soon\n").unwrap_err().to_string();
        assert!(error.starts_with("test.yml:2:"), "{error}");
        let error = Config::parse("test.yml", "media:\n  ports: 20000-10000\n").unwrap_err().to_string();
        assert!(error.contains("test.yml:2:") && error.contains("first port"), "{error}");
        let error = Config::parse("test.yml", "sip:\n  listen: [ \"sctp:1.2.3.4:5060\" ]\n").unwrap_err().to_string();
        assert!(error.contains("test.yml:2:") && error.contains("udp:"), "{error}");
    }

    #[test]
    fn the_sections_of_the_call_api_and_of_opensips_know_their_keys() {
        let text = "call_api:\n  tls: { certificate: c.pem, key: k.pem }\n  tokens:\n    - name: desk\n      \
                    secret_file: desk.secret\n      commands: [ CallStart, Echo ]\n      callees: [ \"tel:*\" ]\n\
                    opensips:\n  mi: /run/mi\n  from: sip:desk@h\n";
        let config = Config::parse("t", text).unwrap();
        assert_eq!(config.call_api.tokens[0].callees, ["tel:*"]);
        assert_eq!(config.opensips.unwrap().ring_timeout, 120);
        for (text, expected) in [
            ("opensips:\n  advertize: h\n", "t:2: unknown key `advertize`; did you mean `advertise`?"),
            ("call_api:\n  token: []\n", "t:2: unknown key `token`; did you mean `tokens`?"),
            ("call_api:\n  tls: { certifcate: c }\n", "t:2: unknown key `certifcate`; did you mean `certificate`?"),
            ("call_api:\n  tokens:\n    - nme: d\n", "t:3: unknown key `nme`; did you mean `name`?"),
        ] {
            assert_eq!(Config::parse("t", text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn nothing_and_comments_are_the_defaults() {
        for text in ["", "# nothing\n", "{}\n"] {
            assert_eq!(Config::parse("t", text).unwrap(), Config::default());
        }
    }

    #[test]
    fn the_effective_configuration_is_one_and_tells_no_secret() {
        let mut config = Config::parse("example", EXAMPLE).unwrap();
        config.call_api.tokens = vec![Token { secret: Some("s3cret".into()), ..Token::default() }];
        config.trunks.insert("c".into(), Trunk { secret: Some("s3cret".into()), ..Trunk::default() });
        config.user_lookup = Some(UserLookup { secret: Some("s3cret".into()), ..UserLookup::default() });
        config.opensips = Some(OpenSips { mi: "https://joe:p4ss@h:1/mi".into(), ..OpenSips::default() });
        let shown = config.effective().unwrap();
        assert!(!shown.contains("s3cret") && !shown.contains("p4ss"), "{shown}");
        let again = Config::parse("effective", &shown).unwrap();
        assert_eq!(again.effective().unwrap(), shown);
    }
}
