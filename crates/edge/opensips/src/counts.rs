//! Numbers for operators.

use serde::Serialize;

/// What there is now, and what has happened since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Counts {
    /// Commands that run.
    pub commands: usize,
    /// Dialogs that commands have left behind and that are being ended.
    pub leftovers: usize,
    /// Requests that wait for a reply.
    pub requests: usize,
    /// Calls that are known.
    pub calls: usize,
    /// Requests sent, repeats included.
    pub requests_sent: u64,
    /// Requests sent again because no reply came.
    pub repeats: u64,
    /// Requests whose reply never came.
    pub replies_lost: u64,
    /// Replies that nobody waited for: late ones, repeated ones, somebody else's.
    pub replies_late: u64,
    /// Replies that are no JSON-RPC reply.
    pub replies_bad: u64,
    /// Events seen.
    pub events: u64,
    /// Events about calls that no command of ours deals with.
    pub events_foreign: u64,
    /// Events that came after their command had moved on.
    pub events_late: u64,
    /// Events that could not be read.
    pub events_bad: u64,
    /// Subscriptions that OpenSIPS had lost and that were made again.
    pub subscriptions_remade: u64,
    /// Dialogs that were left to OpenSIPS because too many were being ended.
    pub leftovers_dropped: u64,
    /// How often OpenSIPS stopped answering.
    pub losses: u64,
    /// Calls that went unnoticed because too many were known.
    pub calls_unnoticed: u64,
    /// Calls of which it was not asked who talks in them because too many waited for that.
    pub calls_unasked: u64,
}
