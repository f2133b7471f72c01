//! Events of what is no call, or leads one: commands, call flows, registrations, trunks, the log itself.

use schemars::JsonSchema;
use serde::Serialize;

use super::cause::Failing;
use super::entry::FlowWord;
use super::setup::CompactText;

/// A command has ended.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CommandEnded {
    /// The command, as it was answered: `cmd_…`.
    pub command: CompactText,
    /// What kind of command it was: `start`, `hold`, …
    pub kind: CompactText,
    /// How it ended.
    pub result: CommandResult,
    /// Where and why, with `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failing>,
}

/// A call has a webhook of its own from now on.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Webhook {
    /// The name of the webhook, as in `/v1/webhooks/NAME`.
    pub webhook: CompactText,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommandResult {
    /// It did what it was to do.
    Done,
    /// It did not.
    Failed,
}

/// Something has happened to a registered contact.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Registration {
    /// The user, as `user@domain`.
    pub user: CompactText,
    /// The contact URI, as its phone wrote it last.
    pub contact: CompactText,
    /// Why it is stale (`silent`, `flow_lost`) or gone (`unregistered`, `replaced`, `expired`, `unreachable`, `revoked`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<CompactText>,
}

/// Something has happened to a trunk.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Trunk {
    /// Its name in the configuration.
    pub trunk: CompactText,
    /// More of it, for people: which of its hosts, what it answered, for how long.
    pub text: CompactText,
}

/// Something is wrong with a call that a web server leads.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FlowTrouble {
    /// The flow: the name of its service.
    pub flow: CompactText,
    /// What is wrong.
    pub what: FlowWord,
    /// The verb that could not be carried out, with `verb_failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verb: Option<CompactText>,
    /// Why; not with `fell_back`, which follows something that says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<CompactText>,
}

/// Media ports have run out, or are free again.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Ports {
    /// Which media thread's, from 0.
    pub thread: usize,
    /// How many pairs of ports that thread has.
    pub pairs: usize,
    /// How many parties had found none meanwhile, when they are free again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<u64>,
}

/// The log goes on after a start of the switch.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Started {
    /// How many calls the start has cost: those that had not ended. `call.ended` follows for each.
    pub lost: usize,
    /// The first thousand of them.
    pub calls: Vec<String>,
}

/// Events are missing here: they could not be kept.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Gap {
    /// How many.
    pub missed: u64,
}
