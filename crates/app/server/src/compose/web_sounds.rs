//! Sounds from web servers.

use hookswitch_drive::WebSoundsConfig;

use crate::config::{Config, ConfigError};

/// Most megabytes that may be kept: a terabyte.
const MAX_KEEP: u64 = 1_000_000;

/// Bytes of a megabyte.
const MEGABYTE: u64 = 1_000_000;

fn bad(key: &str, why: impl std::fmt::Display) -> ConfigError {
    ConfigError::value(format!("media.web_sounds.{key}"), why)
}

/// Where they come from, and how many are kept.
pub(super) fn web_sounds(config: &Config) -> Result<Option<WebSoundsConfig>, ConfigError> {
    let written = &config.media.web_sounds;
    let from = written.from.iter().map(|url| url.parse().map_err(|error| bad("from", format!("`{url}`: {error}"))));
    let from = from.collect::<Result<Vec<_>, _>>()?;
    if !(1..=MAX_KEEP).contains(&written.keep) {
        return Err(bad("keep", format!("must be 1 to {MAX_KEEP}")));
    }
    if !(1..=written.keep).contains(&written.largest) {
        return Err(bad("largest", "must be at least 1, and no more than `keep`"));
    }
    if from.is_empty() {
        return Ok(None);
    }
    if let Some(file) = &written.ca {
        std::fs::metadata(file).map_err(|error| bad("ca", format!("{}: {error}", file.display())))?;
    }
    let mut web = WebSoundsConfig::new(from, config.data_dir().join("sounds"));
    web.authorities.clone_from(&written.ca);
    web.most = written.keep * MEGABYTE;
    web.largest = written.largest * MEGABYTE;
    Ok(Some(web))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<WebSoundsConfig>, String> {
        let text = format!("data_dir: /data\nmedia:\n  web_sounds: {{ {text} }}\n");
        let config = Config::parse("t", &text).map_err(|error| error.to_string())?;
        web_sounds(&config).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_arrives() {
        assert!(read("keep: 5, largest: 5").unwrap().is_none(), "without a source there is nothing");
        let web = read("from: [ https://s.test/a/ ], keep: 7, largest: 2").unwrap().unwrap();
        assert_eq!((web.most, web.largest, web.folder), (7_000_000, 2_000_000, "/data/sounds".into()));
        let default = read("from: [ https://s.test/a/ ]").unwrap().unwrap();
        assert_eq!((default.most, default.largest), (1_000_000_000, 50_000_000));
        assert!(default.allows("https://s.test/a/b.wav") && !default.allows("https://s.test/b.wav"));
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_key() {
        for (text, expected) in [
            ("from: [ s.test ]", "media.web_sounds.from: `s.test`: not an http or https URL"),
            ("from: [ \"https://a:b@s.test/\" ]", "media.web_sounds.from: "),
            ("from: [ \"https://s.test/?a=b\" ]", "media.web_sounds.from: "),
            ("from: [ \"ftp://s.test/\" ]", "media.web_sounds.from: "),
            ("keep: 0", "media.web_sounds.keep: must be 1 to 1000000"),
            ("keep: 2, largest: 3", "media.web_sounds.largest: must be at least 1"),
            ("from: [ \"https://s.test/\" ], ca: /no/such/file", "media.web_sounds.ca: /no/such/file: "),
            ("form: []", "t:3: unknown key `form`; did you mean `from`?"),
        ] {
            let why = read(text).err().unwrap_or_else(|| panic!("{text} is taken"));
            assert!(why.starts_with(expected), "{text}: {why}");
        }
    }
}
