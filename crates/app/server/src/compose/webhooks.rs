//! Webhooks.

use std::collections::BTreeSet;
use std::time::Duration;

use hookswitch_dialect::journal::Filter;
use hookswitch_dialect::webhook::Terms;
use hookswitch_drive::{
    EndpointConfig, MAX_WEBHOOK_SECRETS, MAX_WEBHOOKS, StoreConfig, WebhookSecret, WebhookUrl, WebhooksConfig,
};
use hookswitch_sip::Network;

use crate::config::{Config, ConfigError, Webhook};

/// Longest name of a webhook, in characters.
const MAX_NAME: usize = 64;

/// Longest time to wait for an answer, in seconds: whoever needs longer answers first and works then.
const MAX_TIMEOUT: u64 = 60;

/// Most requests at a time, and most events in memory.
const MAX_PARALLEL: usize = 1_000;
const MAX_WAITING: usize = 100_000;

/// What is wrong with one of them, and where.
type Bad = (&'static str, String);

/// To whom events are posted; none without such a section.
///
/// # Errors
/// A value that is well formed and cannot be used: its key and why.
pub fn webhooks_config(config: &Config) -> Result<Option<WebhooksConfig>, ConfigError> {
    if config.webhooks.is_empty() {
        return Ok(None);
    }
    if config.webhooks.len() > MAX_WEBHOOKS {
        return Err(ConfigError::value("webhooks", format!("more than {MAX_WEBHOOKS}")));
    }
    let mut names = BTreeSet::new();
    let mut endpoints = Vec::with_capacity(config.webhooks.len());
    for (index, webhook) in config.webhooks.iter().enumerate() {
        let bad = |(key, why): Bad| ConfigError::value(format!("webhooks[{index}].{key}"), why);
        if !names.insert(&webhook.name) {
            return Err(bad(("name", format!("`{}` is another one's name", webhook.name))));
        }
        endpoints.push(endpoint(webhook).map_err(bad)?);
    }
    let store = StoreConfig { kind: "redb".into(), folder: config.data_dir() };
    Ok(Some(WebhooksConfig { endpoints, store: Some(store) }))
}

fn endpoint(webhook: &Webhook) -> Result<EndpointConfig, Bad> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if webhook.name.is_empty() || webhook.name.len() > MAX_NAME || !webhook.name.bytes().all(is_letter) {
        return Err(("name", format!("has 1 to {MAX_NAME} letters, digits, `-` and `_`")));
    }
    let url = |key, text: &str| text.parse::<WebhookUrl>().map_err(|error| (key, error.to_string()));
    if let Some(file) = &webhook.ca {
        std::fs::metadata(file).map_err(|error| ("ca", format!("{}: {error}", file.display())))?;
    }
    if webhook.secrets.len() > MAX_WEBHOOK_SECRETS {
        return Err(("secrets", format!("more than {MAX_WEBHOOK_SECRETS}")));
    }
    let star = |kind: &&String| kind.strip_suffix('*').unwrap_or(kind).contains('*') || kind.is_empty();
    if let Some(kind) = webhook.types.iter().find(star) {
        return Err(("types", format!("`{kind}` is neither a type nor a beginning of types with `*` behind it")));
    }
    let network = |net: &ipnet::IpNet| Network { addr: net.network(), prefix: net.prefix_len() };
    Ok(EndpointConfig {
        name: webhook.name.as_str().into(),
        url: url("url", &webhook.url)?,
        fallback: webhook.fallback_url.as_deref().map(|text| url("fallback_url", text)).transpose()?,
        filter: Filter {
            calls: Vec::new(),
            kinds: webhook.types.iter().map(Into::into).collect(),
            domains: webhook.domains.iter().map(|domain| domain.to_ascii_lowercase().into()).collect(),
        },
        secrets: webhook.secrets.iter().map(|place| secret(place)).collect::<Result<_, _>>()?,
        allow_private: webhook.allow_private.iter().map(network).collect(),
        authorities: webhook.ca.clone(),
        timeout: seconds("timeout", webhook.timeout, 1..=MAX_TIMEOUT)?,
        terms: terms(webhook)?,
    })
}

fn terms(webhook: &Webhook) -> Result<Terms, Bad> {
    let count = |key, count: usize, most: usize| match (1..=most).contains(&count) {
        true => Ok(count),
        false => Err((key, format!("must be 1 to {most}"))),
    };
    let day = 86_400;
    Ok(Terms {
        parallel: count("max_parallel", webhook.max_parallel, MAX_PARALLEL)?,
        window: count("max_waiting", webhook.max_waiting, MAX_WAITING)?,
        retry_time: seconds("retry_time", webhook.retry_time, 0..=30 * day)?,
        longest_pause: seconds("longest_pause", webhook.longest_pause, 1..=day)?,
        has_fallback: webhook.fallback_url.is_some(),
        fallback_after: u32::try_from(count("fallback_after", webhook.fallback_after as usize, 1_000)?).unwrap_or(1),
        dead_kept: count("max_dead", webhook.max_dead, MAX_WAITING)?,
        dead_time: seconds("dead_time", webhook.dead_time, 1..=3_650 * day)?,
        ..Terms::default()
    })
}

fn seconds(key: &'static str, value: u64, range: std::ops::RangeInclusive<u64>) -> Result<Duration, Bad> {
    match range.contains(&value) {
        true => Ok(Duration::from_secs(value)),
        false => Err((key, format!("must be {} to {}", range.start(), range.end()))),
    }
}

/// A key, from wherever it is. Nothing that stands in there is in an error.
pub(super) fn secret(place: &str) -> Result<WebhookSecret, Bad> {
    let text = match place.split_once(':') {
        Some(("env", name)) => {
            std::env::var(name).map_err(|_| ("secrets", format!("there is no variable `{name}`, or no text in it")))?
        }
        Some(("file", path)) => {
            std::fs::read_to_string(path).map_err(|error| ("secrets", format!("{path}: {error}")))?
        }
        _ => {
            return Err(("secrets", "is neither env:NAME nor file:PATH; a secret does not belong in this file".into()));
        }
    };
    text.trim().parse().map_err(|error| ("secrets", format!("{place}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<WebhooksConfig>, String> {
        let config = Config::parse("t", text).map_err(|error| error.to_string())?;
        webhooks_config(&config).map_err(|error| error.to_string())
    }

    fn one(keys: &str) -> Result<EndpointConfig, String> {
        let text = format!("data_dir: /tmp\nwebhooks: [ {{ name: crm, url: \"https://h.test/x\", {keys} }} ]\n");
        read(&text).map(|config| config.unwrap().endpoints.remove(0))
    }

    #[test]
    fn without_a_section_there_are_none_and_the_defaults_of_both_agree() {
        assert!(read("{}").unwrap().is_none());
        let endpoint = one("").unwrap();
        assert_eq!(endpoint.terms, Terms::default());
        assert_eq!((endpoint.filter, endpoint.timeout), (Filter::default(), Duration::from_secs(10)));
    }

    #[test]
    fn every_key_arrives() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let endpoint = one(&format!(
            "fallback_url: \"http://g.test/y\", fallback_after: 5, domains: [A.test], types: [\"call.*\"], \
             secrets: [\"file:{file}\"], allow_private: [10.0.0.0/8], ca: {file}, timeout: 3, retry_time: 4, \
             longest_pause: 5, max_parallel: 6, max_waiting: 7, max_dead: 8, dead_time: 9",
            file = file.display()
        ));
        let endpoint = endpoint.unwrap();
        let second = Duration::from_secs(1);
        assert_eq!(endpoint.fallback.unwrap().to_string(), "http://g.test/y");
        assert_eq!((endpoint.filter.domains, endpoint.filter.kinds), (vec!["a.test".into()], vec!["call.*".into()]));
        assert_eq!(format!("{:?}", endpoint.secrets), "[v1(…)]");
        assert_eq!(endpoint.allow_private, [Network { addr: [10, 0, 0, 0].into(), prefix: 8 }]);
        assert_eq!((endpoint.authorities, endpoint.timeout), (Some(file), 3 * second));
        let expected = Terms {
            parallel: 6,
            window: 7,
            retry_time: 4 * second,
            first_pause: second,
            longest_pause: 5 * second,
            has_fallback: true,
            fallback_after: 5,
            dead_kept: 8,
            dead_time: 9 * second,
        };
        assert_eq!(endpoint.terms, expected);
    }

    #[test]
    fn what_cannot_be_used_is_named_and_secrets_are_not() {
        for (keys, expected) in [
            ("url: ftp://h", "t:2: "),
            ("fallback_url: \"http://a:s3cret@h/\"", "webhooks[0].fallback_url: not an http or https URL"),
            ("secrets: [whsec_s3cret]", "webhooks[0].secrets: is neither env:NAME nor file:PATH"),
            ("secrets: [\"env:HOOKSWITCH_NO_SUCH_VARIABLE\"]", "webhooks[0].secrets: there is no variable"),
            ("secrets: [\"file:/no/such/file\"]", "webhooks[0].secrets: /no/such/file: "),
            ("secrets: [\"env:PATH\"]", "webhooks[0].secrets: env:PATH: a secret begins with `whsec_`"),
            ("types: [\"*.ended\"]", "webhooks[0].types: `*.ended` is neither"),
            ("timeout: 0", "webhooks[0].timeout: must be 1 to 60"),
            ("max_parallel: 0", "webhooks[0].max_parallel: must be 1 to 1000"),
            ("max_waiting: 100001", "webhooks[0].max_waiting: must be 1 to 100000"),
            ("ca: /no/such/file", "webhooks[0].ca: /no/such/file: "),
            ("secret: x", "t:2: unknown key `secret`; did you mean `secrets`?"),
        ] {
            let why = one(keys).err().unwrap_or_else(|| panic!("{keys} is taken"));
            assert!(why.starts_with(expected) && !why.contains("s3cret"), "{keys}: {why}");
        }
        for (text, expected) in [
            ("[ { url: \"http://h/\" } ]", "webhooks[0].name: has 1 to 64 letters"),
            ("[ { name: \"a b\", url: \"http://h/\" } ]", "webhooks[0].name: has 1 to 64 letters"),
            ("[ { name: a } ]", "webhooks[0].url: not an http or https URL"),
            (
                "[ { name: a, url: \"http://h/\" }, { name: a, url: \"http://g/\" } ]",
                "webhooks[1].name: `a` is another",
            ),
        ] {
            let why = read(&format!("webhooks: {text}")).err().unwrap_or_else(|| panic!("{text} is taken"));
            assert!(why.starts_with(expected), "{text}: {why}");
        }
    }
}
