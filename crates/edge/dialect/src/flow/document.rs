//! What a web server answers: a list of verbs.

use compact_str::CompactString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::check::{Place, verbs, webhook};
use super::verb::Verb;
use crate::webhook::CallWebhook;

/// Longest document, in bytes.
pub const MAX_DOCUMENT: usize = 64 * 1024;

/// Most verbs of a document, those within others included.
pub const MAX_VERBS: usize = 100;

/// How deep verbs may stand within verbs: those of the list itself are at depth 1.
pub const MAX_NESTING: usize = 8;

/// A call flow: verbs that are carried out one after the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Where the events of the call are posted from now on, if they are not yet. A call keeps its first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<CallWebhook>,
    /// The verbs. When the last one is done, the call ends.
    #[schemars(length(max = 100))]
    pub verbs: Vec<Verb>,
}

/// A document that is to be carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Its verbs.
    pub verbs: Vec<Verb>,
    /// The webhook that it names, as it is called once it is taken on.
    pub webhook: Option<CompactString>,
}

/// A text that is no [`Document`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DocumentError {
    /// Longer than [`MAX_DOCUMENT`].
    #[error("the document is longer than {MAX_DOCUMENT} bytes")]
    TooLong,
    /// It is no JSON, or a member is not what it should be.
    #[error("{place}: {why}")]
    Bad {
        /// Where: `verbs[2].dial.to`.
        place: String,
        /// What is wrong there.
        why: String,
    },
}

impl Document {
    /// Reads and checks a document.
    ///
    /// # Errors
    /// [`DocumentError`] says where and why; the first mistake that is found.
    pub fn read(text: &[u8]) -> Result<Self, DocumentError> {
        if text.len() > MAX_DOCUMENT {
            return Err(DocumentError::TooLong);
        }
        let mut json = serde_json::Deserializer::from_slice(text);
        let document: Self = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            // A dot stands for the whole, and a member without a name leaves nothing behind the dot before it.
            let place = match path.trim_end_matches('.') {
                "" => "the document".to_owned(),
                place => place.to_owned(),
            };
            DocumentError::Bad { place, why: error.inner().to_string() }
        })?;
        json.end().map_err(|error| DocumentError::Bad { place: "the document".to_owned(), why: error.to_string() })?;
        document.webhook.as_ref().map_or(Ok(()), |it| webhook(it, &Place::top("webhook")))?;
        check_verbs(&document.verbs)?;
        Ok(document)
    }
}

/// Checks verbs that have been read already, such as those of the configuration.
///
/// # Errors
/// [`DocumentError`] says where, from `verbs` on, and why.
pub fn check_verbs(all: &[Verb]) -> Result<(), DocumentError> {
    verbs(all, &Place::top("verbs"), &mut 0, 1)
}

/// The tones in verbs, which are read elsewhere, each with its place.
#[must_use]
pub fn tones(all: &[Verb]) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    super::check::tones(all, &Place::top("verbs"), &mut found);
    found
}

/// The JSON Schema of a [`Document`] (draft 2020-12).
#[must_use]
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Document).to_value();
    schema["$id"] = "urn:hookswitch:call-flow".into();
    schema["title"] = "Hookswitch call flow".into();
    schema
}
