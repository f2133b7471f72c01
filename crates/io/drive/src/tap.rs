//! Whoever wants to watch: ladders, traces, metrics.

use hookswitch_call::{Time, Told};
use hookswitch_sip::Flow;

/// Which way a message went.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// To us.
    Received,
    /// From us.
    Sent,
}

/// Watches the switch. Called on the shard's thread, in the order in which things happen: take what you need and
/// return; everything waits meanwhile.
pub trait Tap: Send + Sync {
    /// A datagram, or a piece of a stream: what was sent is one whole message, what is received on a stream is cut
    /// wherever the network liked.
    fn message(&self, at: Time, direction: Direction, flow: &Flow, bytes: &[u8]) {
        let _ = (at, direction, flow, bytes);
    }

    /// An event of a call.
    fn told(&self, told: &Told) {
        let _ = told;
    }
}
