//! Rooms: where more than two hear each other.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::CallId;
use crate::cause::Cause;

/// The name of a room (a conference). Whoever is in a room of the same name hears each other; the core compares it and
/// never looks inside.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Room(pub Arc<str>);

impl From<&str> for Room {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl std::fmt::Display for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How somebody takes part in what goes on in a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Part {
    /// Who hears it.
    pub role: Role,
    /// Nobody does, for now.
    pub muted: bool,
    /// It hears nobody, for now.
    pub deaf: bool,
}

/// Who hears a member of a room. It hears all others itself, but for those who whisper to somebody else.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// All others. Of somebody who listened or whispered before: it barges in.
    #[default]
    Talk,
    /// Nobody: it listens.
    Listen,
    /// The members from this call, and nobody else.
    Whisper(CallId),
}

/// What happens to a member of a room.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomNews {
    /// It is in the room, with so many members in all.
    Joined(u16),
    /// It is not in the room any more.
    Left,
    /// It begins to speak, or ends.
    Speaks(bool),
    /// It cannot come in: the room is full, or where it cannot be reached from this call.
    Refused(Cause),
}
