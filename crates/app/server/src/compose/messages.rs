//! Messages that services take.

use std::path::{Component, Path};
use std::time::Duration;

use hookswitch_call::{BargeIn, Message, Silence};

use super::services::{check, is_key};
use crate::config::{self, Config, ConfigError};

/// Longest message, in seconds: as long as any recording may be.
const MAX_MESSAGE_S: u64 = 18 * 3_600;

/// Longest silence that a message waits for, in seconds.
const MAX_SILENCE_S: u64 = 600;

/// What the names of files may have in braces.
const PLACES: [&str; 4] = ["{call}", "{day}", "{user}", "{domain}"];

/// How a service records what a caller says.
pub(super) fn message(config: &Config, key: &str, written: &config::Message) -> Result<Message, ConfigError> {
    let bad = |name: &str, why: &str| ConfigError::value(format!("{key}.{name}"), why);
    match &config.recordings.folder {
        Some(folder) if folder.is_dir() => {}
        Some(folder) => {
            return Err(ConfigError::value("recordings.folder", format!("{} is no folder", folder.display())));
        }
        None => return Err(ConfigError::value("recordings.folder", "must be set where messages are recorded")),
    }
    check(written.most, 1..=MAX_MESSAGE_S, &format!("{key}.most"))?;
    check(written.least, 0..=written.most, &format!("{key}.least"))?;
    check(written.silence, 0..=MAX_SILENCE_S, &format!("{key}.silence"))?;
    let loudness = 1..=i16::MAX.unsigned_abs();
    check(written.quiet, loudness.clone(), &format!("{key}.quiet"))?;
    check(written.barge_in.unwrap_or(1), loudness, &format!("{key}.barge_in"))?;
    if written.terminator.is_some_and(|key| !is_key(key)) {
        return Err(bad("terminator", "no key of a telephone"));
    }
    let named = PLACES.iter().fold(written.file.clone(), |name, place| name.replace(place, "x"));
    let plain = Path::new(&named).components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || !named.ends_with(".wav") || named.contains(['{', '}']) || !written.file.contains("{call}") {
        return Err(bad("file", "must be a name below a folder that has `{call}` in it and ends in `.wav`"));
    }
    let mailbox = written.lamp.then(|| match &written.user {
        Some(user) => format!("{user}@{{domain}}").into(),
        None => "{user}@{domain}".into(),
    });
    if written
        .user
        .as_ref()
        .is_some_and(|user| user.is_empty() || user.starts_with('.') || user.contains(['@', '{', '}', '/']))
    {
        return Err(bad("user", "must be the name of a user"));
    }
    let time = Duration::from_secs(written.silence);
    Ok(Message {
        file: match &written.user {
            Some(user) => written.file.replace("{user}", user).into(),
            None => written.file.as_str().into(),
        },
        mailbox,
        most: Duration::from_secs(written.most),
        least: Duration::from_secs(written.least),
        silence: (written.silence > 0).then_some(Silence { below: written.quiet, time }),
        terminator: written.terminator,
        barge_in: written.barge_in.map(BargeIn::louder_than),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Message, String> {
        let text = format!(
            "recordings: {{ folder: /tmp }}\nservices:\n  s: {{ play: [ {{ tone: '425:1' }} ], record: {{ {text} }} }}\n"
        );
        let config = Config::parse("t", &text).map_err(|error| error.to_string())?;
        let shown = config.effective().expect("an effective configuration");
        assert_eq!(Config::parse("effective", &shown).expect("the same").services, config.services);
        let written = config.services["s"].record.as_ref().expect("a message");
        message(&config, "services.s.record", written).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_arrives() {
        let message = read("").unwrap();
        assert_eq!(message.file, "messages/{domain}/{user}/{call}.wav");
        assert_eq!(message.mailbox.as_deref(), Some("{user}@{domain}"));
        assert_eq!((message.most.as_secs(), message.least.as_secs(), message.terminator), (180, 2, Some('#')));
        assert_eq!(message.silence, Some(Silence { below: 200, time: Duration::from_secs(5) }));
        assert_eq!(message.barge_in, None);
        let message = read(
            "file: \"{day}/{user}-{call}.wav\", user: bob, most: 9, least: 0, silence: 4, quiet: 7, terminator: null, \
             barge_in: 900",
        )
        .unwrap();
        assert_eq!((&*message.file, message.mailbox.as_deref()), ("{day}/bob-{call}.wav", Some("bob@{domain}")));
        assert_eq!((message.most.as_secs(), message.least.as_secs(), message.terminator), (9, 0, None));
        assert_eq!(message.silence, Some(Silence { below: 7, time: Duration::from_secs(4) }));
        assert_eq!(message.barge_in, Some(BargeIn { above: 900, average: 10 }));
        let message = read("lamp: false, silence: 0").unwrap();
        assert_eq!((message.mailbox, message.silence), (None, None));
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_key() {
        for (text, expected) in [
            ("most: 0", "services.s.record.most: 0 is not from 1 to 64800"),
            ("most: 5, least: 6", "services.s.record.least: 6 is not from 0 to 5"),
            ("silence: 601", "services.s.record.silence: 601 is not from 0 to 600"),
            ("quiet: 0", "services.s.record.quiet: 0 is not from 1 to 32767"),
            ("barge_in: 40000", "services.s.record.barge_in: 40000 is not from 1 to 32767"),
            ("terminator: x", "services.s.record.terminator: no key of a telephone"),
            ("file: a.wav", "services.s.record.file: must be a name"),
            ("file: \"../{call}.wav\"", "services.s.record.file: must be a name"),
            ("file: \"/{call}.wav\"", "services.s.record.file: must be a name"),
            ("file: \"{call}.mp3\"", "services.s.record.file: must be a name"),
            ("file: \"{caller}/{call}.wav\"", "services.s.record.file: must be a name"),
            ("user: a@b", "services.s.record.user: must be the name of a user"),
            ("user: ../x", "services.s.record.user: must be the name of a user"),
            ("moost: 1", "unknown key `moost`; did you mean `most`?"),
        ] {
            let why = read(text).expect_err(text);
            assert!(why.contains(expected), "{text}: {why}");
        }
        let text = "services: { s: { play: [ { tone: '425:1' } ], record: {} } }\n";
        for (folder, expected) in
            [("", "recordings.folder: must be set"), ("recordings: { folder: /none }\n", "is no folder")]
        {
            let config = Config::parse("t", &format!("{folder}{text}")).expect("a configuration");
            let why = super::super::services::services(&config).expect_err("no folder").to_string();
            assert!(why.contains(expected), "{why}");
        }
    }
}
