//! The key `roles` and the section `nodes`.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Phones and trunks: sockets for SIP, registrations, legs.
    Sip,
    /// Audio: media channels.
    Media,
    /// Calls: who is connected with whom, and the interfaces for applications.
    Control,
}

impl Role {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Sip, Self::Media, Self::Control];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sip => "sip",
            Self::Media => "media",
            Self::Control => "control",
        })
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let role = Self::ALL.into_iter().find(|role| role.to_string() == text);
        role.ok_or_else(|| format!("`{text}` is no role: known are sip, media and control"))
    }
}

/// What this process does of all that the switch does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Roles(pub Vec<Role>);

impl Default for Roles {
    fn default() -> Self {
        Self(Role::ALL.to_vec())
    }
}

impl Roles {
    /// Whether this is one of them.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }
}

/// Where the other roles are, if this process does not have them all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Nodes {
    /// Base URLs of nodes with the role `sip`, as `http://10.0.0.1:9000`: where the legs of our calls are, if not here.
    pub sip: Vec<String>,
    /// Base URLs of nodes with the role `media`, as `http://10.0.0.2:9002`: where the audio of our calls is, if not here.
    pub media: Vec<String>,
    /// Our own base URL, by which those nodes reach us. Default `http://` and `control.listen`, where that is one address.
    pub control: Option<String>,
    /// A secret that all nodes share: `env:NAME` for the environment variable that holds it, or `file:PATH` for the file that
    /// does; 16 to 512 letters, digits and `-._~+/=`. With it `http.listen`, `channels.listen` and what nodes tell at
    /// `control.listen` want it as `Authorization: Bearer`, and we show it. Default: none.
    pub token: Option<String>,
}
