//! Call detail records.

use hookswitch_drive::CallRecordsConfig;

use crate::config::{Config, ConfigError, RecordFormat};

/// Megabytes that a file of records may be configured to have.
const SIZES: std::ops::RangeInclusive<u64> = 1..=1_000_000;

pub(super) fn call_records(config: &Config) -> Result<Option<CallRecordsConfig>, ConfigError> {
    let section = &config.call_records;
    if !SIZES.contains(&section.max_size) {
        let why = format!("{} is not from {} to {}", section.max_size, SIZES.start(), SIZES.end());
        return Err(ConfigError::value("call_records.max_size", why));
    }
    let Some(folder) = &section.folder else { return Ok(None) };
    if !folder.is_dir() {
        return Err(ConfigError::value("call_records.folder", format!("{} is no folder", folder.display())));
    }
    let format = match section.format {
        RecordFormat::Jsonl => hookswitch_drive::RecordFormat::JsonLines,
        RecordFormat::Csv => hookswitch_drive::RecordFormat::Csv,
    };
    Ok(Some(CallRecordsConfig { folder: folder.clone(), format, max_size: section.max_size * 1_000_000 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Result<Option<CallRecordsConfig>, String> {
        call_records(&Config::parse("t", text).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn records_are_written_where_the_section_says() {
        assert_eq!(set(""), Ok(None));
        assert_eq!(set("call_records: { format: csv }"), Ok(None));
        let found = set("call_records: { folder: /tmp, format: csv, max_size: 2 }").unwrap().unwrap();
        assert_eq!((found.format, found.max_size), (hookswitch_drive::RecordFormat::Csv, 2_000_000));
        let found = set("call_records: { folder: /tmp }").unwrap().unwrap();
        assert_eq!((found.format, found.max_size), (hookswitch_drive::RecordFormat::JsonLines, 100_000_000));
    }

    #[test]
    fn what_cannot_be_used_names_its_key() {
        for (text, expected) in [
            ("{ folder: /nonexistent/hookswitch }", "call_records.folder: /nonexistent/hookswitch is no folder"),
            ("{ max_size: 0 }", "call_records.max_size: 0 is not from 1 to 1000000"),
            ("{ max_size: 1000001 }", "call_records.max_size: 1000001 is not from"),
        ] {
            let error = set(&format!("call_records: {text}")).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
