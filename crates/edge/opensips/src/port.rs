//! What goes in and what comes out: bytes of MI and EVI below, words of the waist above.

use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_call::{Address, CallId, Outcome, Time, Told};
use serde::{Deserialize, Serialize};

use crate::health::Health;

/// Names one request to OpenSIPS within this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// What the driver hands in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// A reply to some request: one datagram, or the body of one HTTP response.
    Reply(Bytes),
    /// This request could not be sent, or its connection failed; no reply will come.
    MiFailed {
        /// Which request.
        request: RequestId,
        /// What happened.
        error: MiError,
    },
    /// The socket itself reported an error that belongs to no single request, such as a refused datagram.
    MiDown(MiError),
    /// One datagram of events.
    Event(Bytes),
    /// Bytes of a stream of events, cut anywhere.
    EventBytes {
        /// Which connection; numbers are not used again.
        connection: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// A stream of events is closed.
    EventClosed {
        /// Which connection.
        connection: u64,
    },
}

/// Why a request could not be answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MiError {
    /// Nobody listens there.
    Refused,
    /// No answer in the time the request had.
    Timeout,
    /// The user name and password were not accepted.
    Unauthorized,
    /// An HTTP status other than 200.
    Status(u16),
    /// The certificate or the handshake was not accepted; the text says why.
    Tls(CompactString),
    /// Anything else; the text says what.
    Other(CompactString),
}

/// What the driver is handed. Drained after every touch.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send this request.
    Mi {
        /// Its name, for [`Input::MiFailed`].
        request: RequestId,
        /// One JSON object.
        bytes: Bytes,
        /// How long its answer may take: a connection that carries it has to be patient for that long.
        patience: Duration,
    },
    /// Something happened in a call.
    Event(Told),
    /// OpenSIPS has said more of a call than its events do.
    Learned {
        /// When.
        at: Time,
        /// Which call.
        call: CallId,
        /// What.
        what: Learned,
    },
    /// A command has ended.
    Outcome(Outcome),
    /// OpenSIPS was lost or came back.
    Health(Health),
}

/// What is known of a call beyond its events, each told once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Learned {
    /// Of one that no command makes, the caller and the callee, as the From and To of its first INVITE name them.
    Parties([Address; 2]),
    /// The parties of one that no command makes talk.
    Answered {
        /// Since when, by the clock of whoever said it: OpenSIPS's, where it was asked.
        since: Time,
    },
    /// It is over, and nobody has told of that when it happened; its end follows.
    Gone,
}
