//! What may be wrong with a session description, and how large one may be.

use thiserror::Error;

/// Largest description that is parsed, in bytes. Large WebRTC offers stay below it; so does anything
/// that fits into the SIP messages we accept.
pub const MAX_SDP_BYTES: usize = 16_384;

/// Most lines in a description, blank ones included.
pub const MAX_LINES: usize = 512;

/// Most m-lines in a description, rejected ones included.
pub const MAX_MEDIA: usize = 16;

/// A description that could not be read or extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("session description, line {line}: {what}")]
pub struct SdpError {
    /// The line at fault, counted from 1; 0 when it is the description as a whole.
    pub line: usize,
    /// What is wrong there.
    pub what: Malformed,
}

/// What is wrong with a line, or with the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    /// More than [`MAX_SDP_BYTES`] bytes.
    #[error("longer than {MAX_SDP_BYTES} bytes")]
    TooLong,
    /// More than [`MAX_LINES`] lines.
    #[error("more than {MAX_LINES} lines")]
    TooManyLines,
    /// More than [`MAX_MEDIA`] m-lines.
    #[error("more than {MAX_MEDIA} media lines")]
    TooManyMedia,
    /// Nothing but blank lines.
    #[error("no content")]
    Empty,
    /// The first line is not `v=0`.
    #[error("does not begin with v=0")]
    Version,
    /// A line that is not a letter, an equals sign and a value.
    #[error("not of the form <letter>=<value>")]
    NotALine,
    /// A NUL byte, or a carriage return that does not end a line.
    #[error("control character inside a line")]
    ControlCharacter,
    /// A c= line without network type, address type and address.
    #[error("malformed connection line")]
    Connection,
    /// An m= line without media, port and protocol, or whose port is no number below 65536.
    #[error("malformed media line")]
    Media,
}

impl SdpError {
    pub(crate) fn at(line: usize, what: Malformed) -> Self {
        Self { line, what }
    }
}
