//! What the section `trunks` means.

use std::time::Duration;

use hookswitch_b2bua::trunk::{
    HeaderRule, Health, Inbound, NumberRule, NumberRuleError, Register, Trunk, TrunkHost, check_trunks,
};
use hookswitch_sip::Network;
use hookswitch_sip::auth::Credentials;

use crate::config::{self, Config, ConfigError};

/// The trunks, in the order of their names.
pub(super) fn trunks(config: &Config) -> Result<Vec<Trunk>, ConfigError> {
    let trunks = config.trunks.iter().map(|(name, written)| trunk(&format!("trunks.{name}"), name, written));
    let trunks: Vec<Trunk> = trunks.collect::<Result<_, _>>()?;
    check_trunks(&trunks).map_err(|(name, error)| ConfigError::value(format!("trunks.{name}"), error))?;
    Ok(trunks)
}

fn trunk(key: &str, name: &str, written: &config::Trunk) -> Result<Trunk, ConfigError> {
    let numbers = |part: &str, rules: &[config::NumberRule]| -> Result<Vec<NumberRule>, ConfigError> {
        let read = |(n, rule): (usize, &config::NumberRule)| {
            let bad = |error: NumberRuleError| ConfigError::value(format!("{key}.{part}[{n}]"), error);
            NumberRule::new(&rule.pattern, &rule.to).map_err(bad)
        };
        rules.iter().enumerate().map(read).collect()
    };
    let host =
        |host: &config::TrunkHost| TrunkHost { order: host.order, weight: host.weight, ..TrunkHost::new(&host.uri) };
    let inbound = &written.inbound;
    let headers = written.headers.iter().enumerate().map(|(n, rule)| header(&format!("{key}.headers[{n}]"), rule));
    Ok(Trunk {
        hosts: written.hosts.iter().map(host).collect(),
        credentials: credentials(key, written)?,
        from_user: written.from_user.as_deref().map(Into::into),
        from_domain: written.from_domain.as_deref().map(Into::into),
        trusted: written.trusted,
        fail_over: written.fail_over.clone(),
        max_calls: written.max_calls,
        max_rate: written.max_calls_per_second,
        called: numbers("called", &written.called)?,
        calling: numbers("calling", &written.calling)?,
        headers: headers.collect::<Result<_, _>>()?,
        register: written.register.as_ref().map(|register| Register {
            registrar: register.registrar.as_deref().map(Into::into),
            user: register.user.as_deref().map(Into::into),
            contact_user: register.contact_user.as_deref().map(Into::into),
            expires: Duration::from_secs(register.expires),
        }),
        health: written.options.as_ref().map(|options| Health {
            interval: Duration::from_secs(options.interval),
            down_after: options.down_after,
            up_after: options.up_after,
            down_on: options.down_on.clone(),
        }),
        inbound: Inbound {
            networks: inbound.from.iter().map(|net| Network { addr: net.addr(), prefix: net.prefix_len() }).collect(),
            certificates: inbound.certificate.iter().map(Into::into).collect(),
            number_in_to: inbound.number_in == config::NumberIn::To,
            called: numbers("inbound.called", &inbound.called)?,
            calling: numbers("inbound.calling", &inbound.calling)?,
            domain: inbound.domain.as_deref().map(Into::into),
            routes: inbound
                .routes
                .iter()
                .map(|route| (route.pattern.as_str().into(), route.to.as_str().into()))
                .collect(),
        },
        ..Trunk::new(name, "")
    })
}

fn credentials(key: &str, written: &config::Trunk) -> Result<Option<Credentials>, ConfigError> {
    let credentials = match (&written.user, &written.secret) {
        (Some(user), Some(secret)) => Credentials::new(user.as_str(), secret.as_str()),
        (None, None) if written.realm.is_none() => return Ok(None),
        _ => return Err(ConfigError::value(key, "`user` and `secret` go together, and `realm` with them")),
    };
    Ok(Some(match &written.realm {
        Some(realm) => credentials.for_realm(realm.as_str()),
        None => credentials,
    }))
}

fn header(key: &str, rule: &config::HeaderRule) -> Result<HeaderRule, ConfigError> {
    let of = |name: &String, value: &String| (name.as_str().into(), value.as_str().into());
    match (&rule.set, &rule.add, &rule.remove, &rule.value) {
        (Some(name), None, None, Some(value)) => {
            let (name, value) = of(name, value);
            Ok(HeaderRule::Set(name, value))
        }
        (None, Some(name), None, Some(value)) => {
            let (name, value) = of(name, value);
            Ok(HeaderRule::Add(name, value))
        }
        (None, None, Some(name), None) => Ok(HeaderRule::Remove(name.as_str().into())),
        _ => Err(ConfigError::value(key, "needs one of `set` and `add` with a `value`, or `remove` without")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        trunks(&Config::parse("t", text).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn a_trunk_is_read() {
        let text = r#"
trunks:
  carrier:
    hosts: [ { uri: "sip:a.test" }, { uri: "sip:b.test", order: 1, weight: 3 } ]
    user: us
    secret: s3cret
    realm: carrier.test
    from_domain: carrier.test
    trusted: true
    fail_over: [ 403, 500 ]
    max_calls: 30
    max_calls_per_second: 5
    called: [ { match: "0*", to: "+49*" } ]
    headers: [ { set: X-A, value: b }, { add: X-B, value: c }, { remove: Diversion } ]
    register: { user: line1 }
    options: { interval: 20, down_on: [ 404 ] }
    inbound:
      from: [ 192.0.2.0/24 ]
      certificate: [ carrier.test ]
      number_in: to
      calling: [ { match: "0*", to: "+49*" } ]
      routes: [ { match: "100", to: "sip:alice@x.test" } ]
"#;
        let read = trunks(&Config::parse("t", text).unwrap()).unwrap();
        let expected = Trunk {
            hosts: vec![
                TrunkHost::new("sip:a.test"),
                TrunkHost { order: 1, weight: 3, ..TrunkHost::new("sip:b.test") },
            ],
            credentials: Some(Credentials::new("us", "s3cret").for_realm("carrier.test")),
            from_domain: Some("carrier.test".into()),
            trusted: true,
            fail_over: vec![403, 500],
            max_calls: 30,
            max_rate: 5,
            called: vec![NumberRule::new("0*", "+49*").unwrap()],
            headers: vec![
                HeaderRule::Set("X-A".into(), "b".into()),
                HeaderRule::Add("X-B".into(), "c".into()),
                HeaderRule::Remove("Diversion".into()),
            ],
            register: Some(Register {
                registrar: None,
                user: Some("line1".into()),
                contact_user: None,
                expires: Duration::from_secs(3_600),
            }),
            health: Some(Health { interval: Duration::from_secs(20), down_after: 2, up_after: 2, down_on: vec![404] }),
            inbound: Inbound {
                networks: vec![Network { addr: "192.0.2.0".parse().unwrap(), prefix: 24 }],
                certificates: vec!["carrier.test".into()],
                number_in_to: true,
                calling: vec![NumberRule::new("0*", "+49*").unwrap()],
                routes: vec![("100".into(), "sip:alice@x.test".into())],
                ..Inbound::default()
            },
            ..Trunk::new("carrier", "")
        };
        assert_eq!(read, [expected]);
    }

    #[test]
    fn what_cannot_work_names_its_key() {
        let trunk = |rest: &str| format!("trunks: {{ c: {{ hosts: [ {{ uri: \"sip:h\" }} ], {rest} }} }}");
        assert!(trunks(&Config::parse("t", &trunk("")).unwrap()).is_ok());
        assert_eq!(why("trunks: { c: {} }"), "trunks.c: a trunk needs a host");
        assert!(why(&trunk("user: a")).starts_with("trunks.c: `user` and `secret`"));
        assert!(why(&trunk("realm: a")).starts_with("trunks.c: `user` and `secret`"));
        assert!(why(&trunk("fail_over: [ 486 ]")).starts_with("trunks.c: 486 is no answer"));
        assert!(why(&trunk("called: [ { match: \"1**\", to: \"\" } ]")).starts_with("trunks.c.called[0]: "));
        assert!(why(&trunk("headers: [ { set: X-A } ]")).starts_with("trunks.c.headers[0]: needs one of"));
        assert!(why(&trunk("headers: [ { set: Via, value: x } ]")).starts_with("trunks.c: header \"Via\""));
        assert!(why(&trunk("inbound: { certificate: [ \"*.x\" ] }")).starts_with("trunks.c: \"*.x\" is no domain"));
        assert_eq!(why(&trunk("register: {}")), "trunks.c: a trunk that we register at needs a user");
        assert!(why(&trunk("options: { interval: 0 }")).starts_with("trunks.c: OPTIONS are sent every"));
        assert!(why("trunks: { \"a b\": { hosts: [ { uri: \"sip:h\" } ] } }").starts_with("trunks.a b: "));
    }
}
