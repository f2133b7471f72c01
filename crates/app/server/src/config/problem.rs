//! What is wrong with a configuration, in words that lead to the line.

use std::path::PathBuf;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    Unreadable(PathBuf, std::io::Error),
    /// The text is not a configuration; says where and why.
    #[error("{0}")]
    Text(String),
    /// A value is well formed and still cannot be used.
    #[error("{key}: {why}")]
    Value {
        /// The key, with its section.
        key: String,
        /// Why.
        why: String,
    },
}

impl ConfigError {
    pub(super) fn yaml(name: &str, error: &serde_saphyr::Error) -> Self {
        let error = error.without_snippet();
        let place = error.location().map_or_else(|| name.to_owned(), |at| format!("{name}:{}", at.line()));
        let why = match error {
            serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => match nearest(field, expected) {
                Some(known) => format!("unknown key `{field}`; did you mean `{known}`?"),
                None => format!("unknown key `{field}`; known keys here: {}", expected.join(", ")),
            },
            other => {
                // The rest of the text shows the place once more, as a drawing.
                let text = other.to_string();
                text.lines().next().unwrap_or_default().to_owned()
            }
        };
        Self::Text(format!("{place}: {why}"))
    }

    /// A value that cannot be used.
    pub fn value(key: impl Into<String>, why: impl ToString) -> Self {
        Self::Value { key: key.into(), why: why.to_string() }
    }
}

/// The known key that a typing slip could have meant: at most a third of its letters away.
fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let (best, distance) = known.iter().map(|key| (*key, distance(written, key))).min_by_key(|(_, d)| *d)?;
    (distance <= best.len().div_ceil(3)).then_some(best)
}

/// Edits between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}
