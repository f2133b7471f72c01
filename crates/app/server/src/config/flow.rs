//! The key `flow` of services.

use std::path::PathBuf;

use hookswitch_dialect::flow::Verb;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who says what is done with a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CallFlow {
    /// Who is asked what to do with a call, `http` or `https`, by POST. 200 with a document of verbs within `timeout`; the
    /// page call-flow.md tells how those are written. Default: nobody, and `fallback` is carried out.
    pub url: Option<String>,
    /// Who is asked the same where that has no good answer.
    pub fallback_url: Option<String>,
    /// Verbs that are carried out where there is no good answer at all. Default: the call is refused with 500, or hung up.
    #[schemars(with = "Option<Vec<String>>")]
    pub fallback: Option<Vec<Verb>>,
    /// Keys that each question is signed with, as those of `webhooks`: `env:NAME` or `file:PATH`. Empty: nothing is signed.
    pub secrets: Vec<String>,
    /// Networks, `ADDRESS/BITS`, that URLs may lead to although they are not public. All others that are not public are
    /// refused, whichever name leads there.
    #[schemars(with = "Vec<String>")]
    pub allow_private: Vec<IpNet>,
    /// A file of authorities (PEM) that are believed for `https` beside those of the system.
    pub ca: Option<PathBuf>,
    /// How long the answer of each URL is waited for, in seconds; 1 to 30.
    pub timeout: u64,
}

impl Default for CallFlow {
    fn default() -> Self {
        Self {
            url: None,
            fallback_url: None,
            fallback: None,
            secrets: Vec::new(),
            allow_private: Vec::new(),
            ca: None,
            timeout: 5,
        }
    }
}
