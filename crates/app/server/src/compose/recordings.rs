//! Recordings of calls.

use std::collections::BTreeMap;

use compact_str::{CompactString, format_compact};
use hookswitch_shard::RecordRule;

use crate::config::{Config, ConfigError, Record, RecordedCalls};

pub(super) fn rule(config: &Config) -> Result<RecordRule, ConfigError> {
    let recordings = &config.recordings;
    let mut these: BTreeMap<CompactString, bool> = BTreeMap::new();
    for (domain, entry) in &config.domains {
        let domain = domain.to_lowercase();
        these.extend(entry.record.map(|record| (domain.as_str().into(), record == Record::Always)));
        let users = entry.users.iter().filter_map(|(user, entry)| Some((user, entry.record?)));
        these.extend(
            users.map(|(user, record)| (format_compact!("{}@{domain}", user.to_lowercase()), record == Record::Always)),
        );
    }
    these.extend(recordings.users.iter().map(|user| (user.to_lowercase().into(), true)));
    let listed = recordings.calls == RecordedCalls::Listed;
    if !listed && !recordings.users.is_empty() {
        return Err(ConfigError::value("recordings.users", "is for calls that are `listed`"));
    }
    if listed && these.is_empty() {
        return Err(ConfigError::value("recordings.users", "must name somebody where calls are `listed`"));
    }
    if recordings.calls == RecordedCalls::All && these.values().any(|recorded| !recorded) {
        return Err(ConfigError::value("recordings.calls", "somebody is never recorded, so not all calls are"));
    }
    let nobody = recordings.calls == RecordedCalls::None && !these.values().any(|recorded| *recorded);
    if nobody {
        return Ok(RecordRule::Nobody);
    }
    let Some(folder) = &recordings.folder else {
        return Err(ConfigError::value("recordings.folder", "must be set where calls are recorded"));
    };
    if !folder.is_dir() {
        return Err(ConfigError::value("recordings.folder", format!("{} is no folder", folder.display())));
    }
    Ok(if recordings.calls == RecordedCalls::All { RecordRule::Everybody } else { RecordRule::These(these) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule_of(text: &str) -> Result<RecordRule, String> {
        rule(&Config::parse("t", text).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_rule_is_what_the_section_says() {
        assert_eq!(rule_of(""), Ok(RecordRule::Nobody));
        assert_eq!(rule_of("recordings: { folder: /tmp }"), Ok(RecordRule::Nobody));
        assert_eq!(rule_of("recordings: { folder: /tmp, calls: all }"), Ok(RecordRule::Everybody));
        let these = RecordRule::These([("alice@example.test".into(), true), ("example.org".into(), true)].into());
        let text = "recordings: { folder: /tmp, calls: listed, users: [ Alice@Example.test, example.org ] }";
        assert_eq!(rule_of(text), Ok(these));
    }

    #[test]
    fn domains_and_users_say_so_themselves() {
        let domains = "domains: { A.test: { record: always, users: { Joe: { secret: s, record: never }, \
                       Ann: { secret: s } } }, b.test: { users: { Bob: { secret: s, record: always } } } }";
        let expected = [("a.test", true), ("joe@a.test", false), ("bob@b.test", true)];
        let expected = RecordRule::These(expected.map(|(name, recorded)| (name.into(), recorded)).into());
        assert_eq!(rule_of(&format!("recordings: {{ folder: /tmp }}\n{domains}")), Ok(expected.clone()));
        assert_eq!(rule_of(&format!("recordings: {{ folder: /tmp, calls: listed }}\n{domains}")), Ok(expected));
        let error = rule_of(&format!("recordings: {{ folder: /tmp, calls: all }}\n{domains}")).unwrap_err();
        assert!(error.contains("somebody is never recorded"), "{error}");
        assert!(rule_of(domains).unwrap_err().contains("recordings.folder"));
        let never = "domains: { a.test: { record: never } }";
        assert_eq!(rule_of(never), Ok(RecordRule::Nobody), "nobody is recorded anyway");
    }

    #[test]
    fn contradictions_are_refused_at_the_start() {
        for (text, key) in [
            ("{ calls: all }", "recordings.folder"),
            ("{ folder: /nonexistent/hookswitch, calls: all }", "recordings.folder"),
            ("{ folder: /tmp, calls: listed }", "recordings.users"),
            ("{ folder: /tmp, calls: all, users: [ a@b ] }", "recordings.users"),
        ] {
            let error = rule_of(&format!("recordings: {text}")).unwrap_err();
            assert!(error.contains(key), "{error}");
        }
    }
}
