//! Webhooks: those of the configuration, and those that calls have of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use compact_str::CompactString;
use hookswitch_dialect::journal::{Filter, is_type_of_events};
use hookswitch_dialect::webhook::Terms;
use hookswitch_drive::{
    CallWebhooksConfig, EndpointConfig, MAX_CALL_WEBHOOKS, MAX_WEBHOOK_SECRETS, MAX_WEBHOOKS, StoreConfig,
    WebhookSecret, WebhookUrl, WebhooksConfig, check_authorities,
};
use hookswitch_sip::Network;

use super::secrets::named;
use crate::config::{CallWebhooks, Config, ConfigError, Webhook};

/// Longest name of a webhook or of a key, in characters.
const MAX_NAME: usize = 64;

/// Most keys that webhooks of calls may name.
const MAX_KEYS: usize = 100;

/// Longest time to wait for an answer, in seconds: whoever needs longer answers first and works then.
const MAX_TIMEOUT: u64 = 60;

/// Most requests at a time, and most events in memory.
const MAX_PARALLEL: usize = 1_000;
const MAX_WAITING: usize = 100_000;

/// In seconds.
const DAY: u64 = 86_400;

/// How long a URL that no call has any more is remembered: longer than it takes to answer a request that names it.
const LINGER: Duration = Duration::from_secs(60);

/// What is wrong with one of them, and where.
type Bad = (&'static str, String);

/// To whom events are posted; none without such a section.
///
/// # Errors
/// A value that is well formed and cannot be used: its key and why.
pub fn webhooks_config(config: &Config) -> Result<Option<WebhooksConfig>, ConfigError> {
    if config.webhooks.is_empty() && config.call_webhooks.is_none() {
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
    let calls = config.call_webhooks.as_ref().map(of_calls).transpose();
    let calls = calls.map_err(|(key, why)| ConfigError::value(format!("call_webhooks.{key}"), why))?;
    let store = StoreConfig { kind: "redb".into(), folder: config.data_dir() };
    Ok(Some(WebhooksConfig { endpoints, calls, store: Some(store) }))
}

fn endpoint(webhook: &Webhook) -> Result<EndpointConfig, Bad> {
    if !is_name(&webhook.name) {
        return Err(("name", format!("has 1 to {MAX_NAME} letters, digits, `-` and `_`")));
    }
    let allow_private = networks(&webhook.allow_private);
    let url = |key, text: &str| {
        let url = text.parse::<WebhookUrl>().map_err(|error| (key, error.to_string()))?;
        match url.private(&allow_private) {
            None => Ok(url),
            Some(address) => Err((
                key,
                format!("leads to {address}, which is no public address and in no network of `allow_private`"),
            )),
        }
    };
    check_ca(webhook.ca.as_deref())?;
    if let Some(kind) = webhook.events.iter().find(|kind| !is_type_of_events(kind)) {
        let expected =
            "a type (docs/event-log.md has them all) or the beginning of some with `*` behind it: call.ended, call.*";
        return Err(("events", format!("there are no events `{kind}`; expected is {expected}")));
    }
    Ok(EndpointConfig {
        name: webhook.name.as_str().into(),
        url: url("url", &webhook.url)?,
        fallback: webhook.fallback_url.as_deref().map(|text| url("fallback_url", text)).transpose()?,
        filter: Filter {
            calls: Vec::new(),
            kinds: webhook.events.iter().map(Into::into).collect(),
            domains: webhook.domains.iter().map(|domain| domain.to_ascii_lowercase().into()).collect(),
            webhook: None,
        },
        secrets: secrets(&webhook.secrets)?,
        allow_private,
        authorities: webhook.ca.clone(),
        timeout: seconds("timeout", webhook.timeout, 1..=MAX_TIMEOUT)?,
        terms: terms(webhook)?,
    })
}

fn is_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(is_letter)
}

/// What those have that calls name.
fn of_calls(calls: &CallWebhooks) -> Result<CallWebhooksConfig, Bad> {
    check_ca(calls.ca.as_deref())?;
    let terms = Terms {
        parallel: count("max_parallel", calls.max_parallel, MAX_PARALLEL)?,
        window: count("max_waiting", calls.max_waiting, MAX_WAITING)?,
        retry_time: seconds("retry_time", calls.retry_time, 0..=30 * DAY)?,
        longest_pause: seconds("longest_pause", calls.longest_pause, 1..=DAY)?,
        dead_kept: count("max_dead", calls.max_dead, MAX_WAITING)?,
        dead_time: seconds("dead_time", calls.dead_time, 1..=3_650 * DAY)?,
        ..Terms::default()
    };
    Ok(CallWebhooksConfig {
        max: count("max", calls.max, MAX_CALL_WEBHOOKS)?,
        secrets: secrets(&calls.secrets)?,
        keys: keys(&calls.keys)?,
        allow_private: networks(&calls.allow_private),
        authorities: calls.ca.clone(),
        timeout: seconds("timeout", calls.timeout, 1..=MAX_TIMEOUT)?,
        terms,
        linger: LINGER,
    })
}

fn check_ca(file: Option<&Path>) -> Result<(), Bad> {
    let Some(file) = file else { return Ok(()) };
    check_authorities(file).map_err(|error| ("ca", error.to_string()))
}

fn networks(nets: &[ipnet::IpNet]) -> Vec<Network> {
    nets.iter().map(|net| Network { addr: net.network(), prefix: net.prefix_len() }).collect()
}

fn secrets(places: &[String]) -> Result<Vec<WebhookSecret>, Bad> {
    if places.len() > MAX_WEBHOOK_SECRETS {
        return Err(("secrets", format!("more than {MAX_WEBHOOK_SECRETS}")));
    }
    places.iter().map(|place| secret(place)).collect()
}

/// The secrets of each key.
fn keys(named: &BTreeMap<String, Vec<String>>) -> Result<BTreeMap<CompactString, Vec<WebhookSecret>>, Bad> {
    if named.len() > MAX_KEYS {
        return Err(("keys", format!("more than {MAX_KEYS}")));
    }
    let each = named.iter().map(|(name, places)| {
        let bad = |why: String| ("keys", format!("`{name}`: {why}"));
        if !is_name(name) {
            return Err(bad(format!("a name has 1 to {MAX_NAME} letters, digits, `-` and `_`")));
        }
        // Whoever names it relies on it that something is signed.
        if places.is_empty() {
            return Err(bad("it has no secret".into()));
        }
        Ok((name.into(), secrets(places).map_err(|(_, why)| bad(why))?))
    });
    each.collect()
}

fn count(key: &'static str, count: usize, most: usize) -> Result<usize, Bad> {
    match (1..=most).contains(&count) {
        true => Ok(count),
        false => Err((key, format!("must be 1 to {most}"))),
    }
}

fn terms(webhook: &Webhook) -> Result<Terms, Bad> {
    Ok(Terms {
        parallel: count("max_parallel", webhook.max_parallel, MAX_PARALLEL)?,
        window: count("max_waiting", webhook.max_waiting, MAX_WAITING)?,
        retry_time: seconds("retry_time", webhook.retry_time, 0..=30 * DAY)?,
        longest_pause: seconds("longest_pause", webhook.longest_pause, 1..=DAY)?,
        has_fallback: webhook.fallback_url.is_some(),
        fallback_after: u32::try_from(count("fallback_after", webhook.fallback_after as usize, 1_000)?).unwrap_or(1),
        dead_kept: count("max_dead", webhook.max_dead, MAX_WAITING)?,
        dead_time: seconds("dead_time", webhook.dead_time, 1..=3_650 * DAY)?,
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
    let Some(text) = named(place).map_err(|why| ("secrets", why))? else {
        return Err(("secrets", "is neither env:NAME nor file:PATH; a secret does not belong in this file".into()));
    };
    text.parse().map_err(|error| ("secrets", format!("{place}: {error}")))
}

#[cfg(test)]
mod tests {
    use hookswitch_dialect::journal::KINDS;

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
        let authority = folder.path().join("authority.pem");
        std::fs::write(&authority, rcgen::generate_simple_self_signed(["h.test".to_owned()]).unwrap().cert.pem())
            .unwrap();
        let endpoint = one(&format!(
            "fallback_url: \"http://g.test/y\", fallback_after: 5, domains: [A.test], events: [\"call.*\"], \
             secrets: [\"file:{file}\"], allow_private: [10.0.0.0/8], ca: {authority}, timeout: 3, retry_time: 4, \
             longest_pause: 5, max_parallel: 6, max_waiting: 7, max_dead: 8, dead_time: 9",
            file = file.display(),
            authority = authority.display()
        ));
        let endpoint = endpoint.unwrap();
        let second = Duration::from_secs(1);
        assert_eq!(endpoint.fallback.unwrap().to_string(), "http://g.test/y");
        assert_eq!((endpoint.filter.domains, endpoint.filter.kinds), (vec!["a.test".into()], vec!["call.*".into()]));
        assert_eq!(format!("{:?}", endpoint.secrets), "[v1(…)]");
        assert_eq!(endpoint.allow_private, [Network { addr: [10, 0, 0, 0].into(), prefix: 8 }]);
        assert_eq!((endpoint.authorities, endpoint.timeout), (Some(authority), 3 * second));
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
            gone_ends: true,
        };
        assert_eq!(endpoint.terms, expected);
    }

    #[test]
    fn calls_may_name_webhooks_of_their_own_where_the_section_is_there() {
        let read = |keys: &str| read(&format!("data_dir: /tmp\ncall_webhooks: {{ {keys} }}"));
        let calls = read("").unwrap().unwrap().calls.unwrap();
        let linger_and_terms = (calls.linger, calls.terms.retry_time, calls.terms.dead_time);
        assert_eq!(linger_and_terms, (LINGER, Duration::from_secs(DAY), Duration::from_secs(2 * DAY)));
        assert_eq!((calls.max, calls.secrets.len(), calls.terms.parallel), (200, 0, 16));
        let calls = read("max: 3, allow_private: [127.0.0.0/8], timeout: 4").unwrap().unwrap().calls.unwrap();
        assert_eq!((calls.max, calls.timeout), (3, Duration::from_secs(4)));
        assert_eq!(calls.allow_private, [Network { addr: [127, 0, 0, 0].into(), prefix: 8 }]);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let place = format!("\"file:{}\"", file.display());
        let calls = read(&format!("keys: {{ crm: [{place}, {place}] }}")).unwrap().unwrap().calls.unwrap();
        assert_eq!(format!("{:?}", calls.keys), r#"{"crm": [v1(…), v1(…)]}"#);
        let too_many: Vec<String> = (0..=MAX_KEYS).map(|key| format!("k{key}: [{place}]")).collect();
        for (keys, expected) in [
            ("max: 1001", "call_webhooks.max: must be 1 to 1000"),
            ("timeout: 61", "call_webhooks.timeout: must be 1 to 60"),
            ("secrets: [whsec_s3cret]", "call_webhooks.secrets: is neither env:NAME nor file:PATH"),
            ("keys: { crm: [whsec_s3cret] }", "call_webhooks.keys: `crm`: is neither env:NAME nor file:PATH"),
            ("keys: { crm: [] }", "call_webhooks.keys: `crm`: it has no secret"),
            ("keys: { \"a b\": [\"env:PATH\"] }", "call_webhooks.keys: `a b`: a name has 1 to 64 letters"),
            (&format!("keys: {{ {} }}", too_many.join(", ")), "call_webhooks.keys: more than 100"),
            ("ca: /no/such/file", "call_webhooks.ca: /no/such/file: "),
            ("url: \"http://h/\"", "t:2: unknown key `url`"),
        ] {
            let why = read(keys).err().unwrap_or_else(|| panic!("{keys} is taken"));
            assert!(why.starts_with(expected), "{keys}: {why}");
        }
    }

    #[test]
    fn every_type_of_events_and_every_beginning_of_one_may_be_chosen() {
        for kind in KINDS {
            let (beginning, _) = kind.name.split_once('.').unwrap();
            let all = ["types", "events"].map(|key| (key, kind.name.to_owned()));
            let some = [format!("{beginning}.*"), format!("{beginning}*"), "*".to_owned()].map(|some| ("events", some));
            for (key, chosen) in all.into_iter().chain(some) {
                let endpoint = one(&format!("{key}: [\"{chosen}\"]")).unwrap_or_else(|why| panic!("{chosen}: {why}"));
                assert_eq!(endpoint.filter.kinds, [CompactString::from(chosen)]);
            }
        }
    }

    #[test]
    fn a_target_that_is_not_public_is_refused_unless_its_network_is_allowed() {
        let read = |url: &str, more: &str| {
            let url = format!("url: \"{url}\", {more}");
            read(&format!("data_dir: /tmp\nwebhooks: [ {{ name: crm, {url} }} ]"))
        };
        let not_public = "which is no public address and in no network of `allow_private`";
        for (url, address, network) in [
            ("http://127.0.0.1:8077/calls", "127.0.0.1", "127.0.0.0/8"),
            ("https://10.1.2.3/", "10.1.2.3", "10.1.0.0/16"),
            ("http://169.254.169.254/latest", "169.254.169.254", "169.254.0.0/16"),
            ("http://[::1]:8077/", "::1", "\"::1/128\""),
            ("http://0x7f.1/", "127.0.0.1", "127.0.0.0/8"),
        ] {
            let why = read(url, "").unwrap_err();
            assert_eq!(why, format!("webhooks[0].url: leads to {address}, {not_public}"));
            let elsewhere = read(url, "allow_private: [192.168.0.0/16]").unwrap_err();
            assert_eq!(elsewhere, why);
            let allowed = format!("allow_private: [{network}]");
            assert!(read(url, &allowed).is_ok(), "{url}");
            let fallback = format!("fallback_url: \"{url}\"");
            let why = read("https://crm.example.com/", &fallback).unwrap_err();
            assert_eq!(why, format!("webhooks[0].fallback_url: leads to {address}, {not_public}"));
        }
        // Where a name leads shows when something is posted.
        assert!(read("http://localhost:8077/", "").is_ok());
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
            ("events: [\"*.ended\"]", "webhooks[0].events: there are no events `*.ended`; expected is a type"),
            ("events: [call.ended, call.end]", "webhooks[0].events: there are no events `call.end`"),
            ("events: [\"calls.*\"]", "webhooks[0].events: there are no events `calls.*`"),
            ("events: [\"\"]", "webhooks[0].events: there are no events ``"),
            ("timeout: 0", "webhooks[0].timeout: must be 1 to 60"),
            ("max_parallel: 0", "webhooks[0].max_parallel: must be 1 to 1000"),
            ("max_waiting: 100001", "webhooks[0].max_waiting: must be 1 to 100000"),
            ("ca: /no/such/file", "webhooks[0].ca: /no/such/file: "),
            ("ca: /dev/null", "webhooks[0].ca: /dev/null: holds no certificate"),
            ("secret: x", "t:2: unknown key `secret`; did you mean `secrets`?"),
            ("event: [call.ended]", "t:2: unknown key `event`; did you mean `events`?"),
            ("types: [call.ended], events: [call.ended]", "t:2: "),
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
