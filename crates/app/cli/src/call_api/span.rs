//! Spans of time as people write them: seconds, or a number with its unit.

use std::time::Duration;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// Longest span that may be written: a day.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Reads `30`, `1.5`, `1500ms`, `30s`, `5m` or `1h`; at most a day.
///
/// # Errors
/// It is none of these; what would be.
pub fn parse(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is no span of time; write seconds, or a number with ms, s, m or h, up to 24h");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(bad()),
    };
    let seconds = number.parse::<f64>().map_err(|_| bad())? * unit;
    let span = Duration::try_from_secs_f64(seconds).map_err(|_| bad())?;
    if span <= LONGEST { Ok(span) } else { Err(bad()) }
}

/// A span of time in a configuration file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl Visitor<'_> for Written {
            type Value = Span;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("seconds, or a number with ms, s, m or h")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                parse(text).map(Span).map_err(E::custom)
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<Span, E> {
                self.visit_str(&seconds.to_string())
            }

            fn visit_i64<E: Error>(self, seconds: i64) -> Result<Span, E> {
                self.visit_str(&seconds.to_string())
            }

            fn visit_f64<E: Error>(self, seconds: f64) -> Result<Span, E> {
                self.visit_str(&seconds.to_string())
            }
        }
        deserializer.deserialize_any(Written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_units() {
        for (text, milliseconds) in [
            ("0", 0),
            ("3", 3_000),
            ("1.5", 1_500),
            ("250ms", 250),
            ("30s", 30_000),
            ("5m", 300_000),
            ("24h", 86_400_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for bad in ["", "s", "soon", "-1", "1d", "1 s", "25h", "9999999999999999999999h", "1.2.3", "NaN", "inf"] {
            assert!(parse(bad).unwrap_err().contains("no span of time"), "{bad}");
        }
    }

    #[test]
    fn in_a_file_numbers_and_text() {
        for (yaml, milliseconds) in [("3", 3_000), ("0.5", 500), ("250ms", 250), ("\"2m\"", 120_000)] {
            let span: Span = serde_saphyr::from_str(yaml).unwrap();
            assert_eq!(span.0, Duration::from_millis(milliseconds), "{yaml}");
        }
        assert!(serde_saphyr::from_str::<Span>("-3").is_err());
        assert!(serde_saphyr::from_str::<Span>("[3]").is_err());
    }
}
