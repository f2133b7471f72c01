//! What the section `toll` means, and what users' own limits do.

use std::collections::BTreeMap;

use compact_str::CompactString;
use hookswitch_b2bua::toll::{TollClass, TollConfig, check_toll};
use hookswitch_b2bua::trunk::NumberRule;
use hookswitch_call::directory::TollLimits;

use crate::config::{self, Config, ConfigError};

/// The classes of cost, in the order of their names.
pub(super) fn toll(config: &Config) -> Result<TollConfig, ConfigError> {
    let section = &config.toll;
    let rules = section.called.iter().enumerate().map(|(n, rule)| {
        let bad = |error| ConfigError::value(format!("toll.called[{n}]"), error);
        NumberRule::new(&rule.pattern, &rule.to).map_err(bad)
    });
    let classes = section.classes.iter().map(|(name, class)| {
        let key = format!("toll.classes.{name}");
        Ok(TollClass {
            name: name.as_str().into(),
            numbers: class.numbers.iter().map(CompactString::from).collect(),
            users: limits(&format!("{key}.users"), &class.users)?,
            trunks: limits(&format!("{key}.trunks"), &class.trunks)?,
            sources: limits(&format!("{key}.sources"), &class.sources)?,
        })
    });
    let toll = TollConfig {
        emergency: section.emergency.iter().map(CompactString::from).collect(),
        called: rules.collect::<Result<_, _>>()?,
        classes: classes.collect::<Result<_, ConfigError>>()?,
        utc_offset: offset(&section.utc_offset)?,
    };
    check_toll(&toll).map_err(|(place, error)| match toll.classes.get(place) {
        Some(class) if place < hookswitch_b2bua::toll::MAX_TOLL_CLASSES => {
            ConfigError::value(format!("toll.classes.{}", class.name), error)
        }
        Some(_) | None => ConfigError::value("toll.classes", error),
    })?;
    for (domain, user, class) in own_classes(config) {
        if !section.classes.contains_key(class) {
            let key = format!("domains.{domain}.users.{user}.limits.classes");
            return Err(ConfigError::value(key, format!("there is no class `{class}` in toll.classes")));
        }
    }
    Ok(toll)
}

fn own_classes(config: &Config) -> impl Iterator<Item = (&str, &str, &str)> {
    let users = config.domains.iter().flat_map(|(name, domain)| domain.users.iter().map(move |user| (name, user)));
    users.flat_map(|(domain, (user, entry))| {
        let classes = entry.limits.iter().flat_map(|limits| limits.classes.keys());
        classes.map(move |class| (domain.as_str(), user.as_str(), class.as_str()))
    })
}

/// The limits of a user for classes.
pub(super) fn classes(
    key: &str,
    written: &BTreeMap<String, config::TollLimits>,
) -> Result<BTreeMap<CompactString, TollLimits>, ConfigError> {
    written.iter().map(|(name, class)| Ok((name.into(), limits(&format!("{key}.{name}"), class)?))).collect()
}

fn limits(key: &str, written: &config::TollLimits) -> Result<TollLimits, ConfigError> {
    let hours = written.hours.as_deref().map(str::parse).transpose();
    Ok(TollLimits {
        blocked: written.blocked,
        hours: hours.map_err(|error| ConfigError::value(format!("{key}.hours"), error))?,
        calls: written.calls,
        calls_to_number: written.calls_to_number,
        per_minute: written.per_minute,
        per_hour: written.per_hour,
        per_day: written.per_day,
        minutes_per_day: written.minutes_per_day,
    })
}

/// `+01:00` in minutes.
fn offset(text: &str) -> Result<i16, ConfigError> {
    let bad = || ConfigError::value("toll.utc_offset", format!("`{text}` is not an offset such as +01:00"));
    let (sign, rest) = text.split_at_checked(1).ok_or_else(bad)?;
    let (hours, minutes) = rest.split_once(':').ok_or_else(bad)?;
    let number = |text: &str, most: i16| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i16>().ok().filter(|number| is_number && *number <= most).ok_or_else(bad)
    };
    let minutes = number(hours, 14)? * 60 + number(minutes, 59)?;
    match sign {
        "+" => Ok(minutes),
        "-" => Ok(-minutes),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TollConfig, String> {
        toll(&Config::parse("t", text).expect("well formed")).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_arrives() {
        let text = r#"
toll:
  emergency: [ "112" ]
  called: [ { match: "00*", to: "+*" } ]
  utc_offset: "-03:30"
  classes:
    premium: { numbers: [ "+881" ], users: { blocked: true } }
    abroad:
      numbers: [ "+" ]
      users: { hours: "22:00-06:00", calls: 1, calls_to_number: 2, per_minute: 3 }
      trunks: { per_hour: 4, per_day: 5 }
      sources: { minutes_per_day: 6 }
"#;
        let toll = read(text).unwrap();
        assert_eq!((toll.utc_offset, toll.emergency.len(), toll.called.len()), (-210, 1, 1));
        let [abroad, premium] = toll.classes.as_slice() else { panic!("two classes") };
        assert_eq!((&*premium.name, premium.users.blocked, &*premium.numbers[0]), ("premium", Some(true), "+881"));
        let users = &abroad.users;
        assert_eq!((users.calls, users.calls_to_number, users.per_minute), (Some(1), Some(2), Some(3)));
        assert_eq!(users.hours.map(|hours| hours.to_string()).as_deref(), Some("22:00-06:00"));
        assert_eq!((abroad.trunks.per_hour, abroad.trunks.per_day), (Some(4), Some(5)));
        assert_eq!(abroad.sources.minutes_per_day, Some(6));
        assert_eq!(read("{}").unwrap(), TollConfig::default());
    }

    #[test]
    fn what_cannot_be_used_names_its_key() {
        let user =
            "domains: { x.test: { users: { bob: { secret: s, limits: { classes: { gold: { calls: 1 } } } } } } }";
        for (text, key) in [
            ("toll: { utc_offset: \"1\" }", "toll.utc_offset"),
            ("toll: { utc_offset: \"+15:00\" }", "toll.utc_offset"),
            ("toll: { called: [ { match: \"*\", to: \"**\" } ] }", "toll.called[0]"),
            ("toll: { classes: { a: { numbers: [ x ] } } }", "toll.classes.a"),
            ("toll: { classes: { a: { numbers: [ \"1\" ] }, b: { numbers: [ \"1\" ] } } }", "toll.classes.b"),
            ("toll: { classes: { a: { trunks: { hours: \"9-5\" } } } }", "toll.classes.a.trunks.hours"),
            (user, "domains.x.test.users.bob.limits.classes"),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.starts_with(key), "{text}: {why}");
        }
    }
}
