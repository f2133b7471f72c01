//! Services whose calls are led by web servers.

use std::time::Duration;

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_codec::Tone;
use hookswitch_dialect::flow::{FlowTerms, check_verbs, tones};
use hookswitch_drive::{FlowConfig, MAX_WEBHOOK_SECRETS, WebhookUrl};
use hookswitch_sip::Network;

use super::webhooks::secret;
use crate::config::{CallFlow, Config, ConfigError};

/// Longest time to wait for an answer, in seconds: the caller waits, too.
const MAX_TIMEOUT: u64 = 30;

fn all(config: &Config) -> impl Iterator<Item = (&String, &CallFlow)> {
    config.services.iter().filter_map(|(name, service)| Some((name, service.flow.as_ref()?)))
}

fn bad(name: &str, key: &str, why: impl ToString) -> ConfigError {
    ConfigError::value(format!("services.{name}.flow.{key}"), why)
}

/// What the machine has to know of each flow.
pub(super) fn flow_terms(config: &Config) -> Result<AHashMap<CompactString, FlowTerms>, ConfigError> {
    let one = |(name, flow): (&String, &CallFlow)| {
        if flow.url.is_none() && flow.fallback.is_none() {
            return Err(bad(name, "url", "neither `url` nor `fallback`: nobody knows what to do"));
        }
        let verbs = flow.fallback.as_deref().unwrap_or_default();
        check_verbs(verbs).map_err(|error| bad(name, "fallback", error))?;
        for (place, tone) in tones(verbs) {
            Tone::parse(tone).map_err(|error| bad(name, "fallback", format_args!("{place}: {error}")))?;
        }
        let terms = FlowTerms { has_url: flow.url.is_some(), fallback: flow.fallback.clone() };
        Ok((name.as_str().into(), terms))
    };
    all(config).map(one).collect()
}

/// Who is asked, and how.
pub(super) fn flow_services(config: &Config) -> Result<Vec<FlowConfig>, ConfigError> {
    let one = |(name, flow): (&String, &CallFlow)| {
        let url = |key, text: &str| text.parse::<WebhookUrl>().map_err(|error| bad(name, key, error));
        let Some(text) = &flow.url else {
            return match flow.fallback_url {
                Some(_) => Err(bad(name, "fallback_url", "needs a `url`")),
                None => Ok(None),
            };
        };
        if let Some(file) = &flow.ca {
            std::fs::metadata(file).map_err(|error| bad(name, "ca", format_args!("{}: {error}", file.display())))?;
        }
        if flow.secrets.len() > MAX_WEBHOOK_SECRETS {
            return Err(bad(name, "secrets", format_args!("more than {MAX_WEBHOOK_SECRETS}")));
        }
        if !(1..=MAX_TIMEOUT).contains(&flow.timeout) {
            return Err(bad(name, "timeout", format_args!("must be 1 to {MAX_TIMEOUT}")));
        }
        let secrets = flow.secrets.iter().map(|place| secret(place).map_err(|(key, why)| bad(name, key, why)));
        let network = |net: &ipnet::IpNet| Network { addr: net.network(), prefix: net.prefix_len() };
        Ok(Some(FlowConfig {
            name: name.as_str().into(),
            url: url("url", text)?,
            fallback: flow.fallback_url.as_deref().map(|text| url("fallback_url", text)).transpose()?,
            secrets: secrets.collect::<Result<_, _>>()?,
            allow_private: flow.allow_private.iter().map(network).collect(),
            authorities: flow.ca.clone(),
            timeout: Duration::from_secs(flow.timeout),
        }))
    };
    all(config).map(one).filter_map(Result::transpose).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(AHashMap<CompactString, FlowTerms>, Vec<FlowConfig>), String> {
        let config = Config::parse("t", &format!("services: {{ sales: {{ flow: {text} }} }}\n"));
        let config = config.map_err(|error| error.to_string())?;
        let shown = config.effective().expect("an effective configuration");
        assert_eq!(Config::parse("effective", &shown).expect("the same").services, config.services, "{shown}");
        let terms = flow_terms(&config).map_err(|error| error.to_string())?;
        Ok((terms, flow_services(&config).map_err(|error| error.to_string())?))
    }

    #[test]
    fn every_key_arrives() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let (terms, mut services) = read(&format!(
            "{{ url: \"https://h.test/x\", fallback_url: \"http://g.test/y\", secrets: [\"file:{file}\"], timeout: 3, \
             allow_private: [10.0.0.0/8], ca: {file}, fallback: [ {{ play: {{ sounds: [ {{ tone: \"425:200\" }} ] }} }}, \
             {{ dial: {{ to: [ [ alice ], [ bob ] ] }} }} ] }}",
            file = file.display()
        ))
        .unwrap();
        let service = services.remove(0);
        assert_eq!((service.name.as_str(), service.url.to_string().as_str()), ("sales", "https://h.test/x"));
        assert_eq!(service.fallback.unwrap().to_string(), "http://g.test/y");
        assert_eq!(format!("{:?}", service.secrets), "[v1(…)]");
        assert_eq!(service.allow_private, [Network { addr: [10, 0, 0, 0].into(), prefix: 8 }]);
        assert_eq!((service.authorities, service.timeout), (Some(file), Duration::from_secs(3)));
        assert!(terms["sales"].has_url);
        let names: Vec<&str> = terms["sales"].fallback.iter().flatten().map(|verb| verb.name()).collect();
        assert_eq!(names, ["play", "dial"]);
    }

    #[test]
    fn a_flow_may_have_nobody_to_ask() {
        let (terms, services) = read("{ fallback: [ { reject: {} } ] }").unwrap();
        assert_eq!((terms["sales"].has_url, services.len()), (false, 0));
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_key() {
        for (text, expected) in [
            ("{}", "services.sales.flow.url: neither `url` nor `fallback`"),
            ("{ url: 'ftp://x' }", "services.sales.flow.url: not an http or https URL"),
            ("{ url: 'http://x', timeout: 31 }", "services.sales.flow.timeout: must be 1 to 30"),
            ("{ url: 'http://x', secrets: [ whsec_x ] }", "services.sales.flow.secrets: is neither env:NAME nor"),
            ("{ fallback: [], fallback_url: 'http://x' }", "services.sales.flow.fallback_url: needs a `url`"),
            (
                "{ fallback: [ { dial: { to: 'a b' } } ] }",
                "services.sales.flow.fallback: verbs[0].dial.to: `a b` is neither a name",
            ),
            ("{ fallback: [ { play: { sounds: [ { tone: '5' } ] } } ] }", "verbs[0].play.sounds[0].tone: a tone is"),
            ("{ fallback: [ { jump: {} } ] }", "jump"),
            ("{ url: 'http://x', ulr: y }", "unknown key `ulr`"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
