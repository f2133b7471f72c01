//! Recordings of calls.

use hookswitch_shard::RecordRule;

use crate::config::{Config, ConfigError, RecordedCalls};

pub(super) fn rule(config: &Config) -> Result<RecordRule, ConfigError> {
    let recordings = &config.recordings;
    let listed = recordings.calls == RecordedCalls::Listed;
    if listed == recordings.users.is_empty() {
        let why = if listed { "must name somebody where calls are `listed`" } else { "is for calls that are `listed`" };
        return Err(ConfigError::value("recordings.users", why));
    }
    if recordings.calls == RecordedCalls::None {
        return Ok(RecordRule::Nobody);
    }
    let Some(folder) = &recordings.folder else {
        return Err(ConfigError::value("recordings.folder", "must be set where calls are recorded"));
    };
    if !folder.is_dir() {
        return Err(ConfigError::value("recordings.folder", format!("{} is no folder", folder.display())));
    }
    if !listed {
        return Ok(RecordRule::Everybody);
    }
    Ok(RecordRule::These(recordings.users.iter().map(|user| user.to_lowercase().into()).collect()))
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
        let these = RecordRule::These(vec!["alice@example.test".into(), "example.org".into()]);
        let text = "recordings: { folder: /tmp, calls: listed, users: [ Alice@Example.test, example.org ] }";
        assert_eq!(rule_of(text), Ok(these));
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
