//! Every limit of the message layer, by name and with its unit.

/// Largest message, in bytes: what one UDP datagram can hold. It also lets every offset fit in 16 bits.
pub const MAX_MESSAGE: usize = 65_535;

/// Most header lines in one message, folded continuations not counted.
pub const MAX_HEADERS: usize = 256;

/// Longest header line in bytes, name and folded continuations included, line end not.
pub const MAX_HEADER_LINE: usize = 8_192;

/// Longest URI, in bytes, wherever it stands. A longer Request-URI deserves 414.
pub const MAX_URI: usize = 2_048;

/// Longest method name, in bytes.
pub const MAX_METHOD: usize = 64;

/// Longest start line, in bytes: a method, a URI and a version with room to spare, so that a URI that is somewhat too
/// long is still seen as one and answered with 414.
pub const MAX_START_LINE: usize = 8_192;

/// Most bytes a [`StreamFramer`](crate::StreamFramer) holds: one message, and what one read brought after it.
pub const MAX_STREAM_BUFFER: usize = 2 * MAX_MESSAGE;

/// Largest sequence number of a CSeq header (RFC 3261 8.1.1.5: less than 2^31).
pub const MAX_CSEQ: u32 = (1 << 31) - 1;

/// Longest value of a Replaces header in bytes, its escapes resolved.
pub const MAX_DIALOG_NAME: usize = 1_024;

/// Longest status line in a `message/sipfrag` body, in bytes.
pub const MAX_FRAGMENT: usize = 512;
