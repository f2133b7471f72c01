//! What the journal is told.

use std::sync::Arc;

use compact_str::CompactString;
use hookswitch_call::diagnosis::Finding;
use hookswitch_call::{CallAudio, CallId, Failure, Party, Recorded, RecordingId, Time, Told};
use schemars::JsonSchema;
use serde::Serialize;

use super::record::CallDetail;

/// Something that has happened, before it is an event.
#[derive(Clone, PartialEq, Debug)]
pub enum Entry {
    /// In a call, and the command that it comes of.
    Call(Told, Option<CommandName>),
    /// A call has a webhook of its own from now on. One that nothing has been told of yet has it from its first event on.
    Webhook {
        /// When.
        at: Time,
        /// Which call.
        call: CallId,
        /// The name of the webhook.
        webhook: CompactString,
    },
    /// A command has ended that an application had been given a name for.
    Command {
        /// When.
        at: Time,
        /// Its name: `cmd_…`.
        command: CompactString,
        /// What kind of command it was: `start`, `hold`, ….
        kind: &'static str,
        /// The call it was about, if it ever had one.
        call: Option<CallId>,
        /// How it ended.
        result: Result<(), Failure>,
    },
    /// To a registered contact.
    Registration {
        /// When.
        at: Time,
        /// The user, as `user@domain`.
        aor: Arc<str>,
        /// The contact URI.
        contact: Arc<str>,
        /// What.
        what: ContactNews,
        /// Why, where there is more to say.
        why: Option<&'static str>,
    },
    /// To a trunk.
    Trunk {
        /// When.
        at: Time,
        /// Its name in the configuration.
        trunk: CompactString,
        /// What.
        what: TrunkWord,
        /// More of it, for people.
        text: CompactString,
    },
    /// To a call that a web server leads.
    Flow {
        /// When.
        at: Time,
        /// Which call.
        call: CallId,
        /// Its flow.
        flow: CompactString,
        /// What.
        what: FlowWord,
        /// The verb that could not be carried out.
        verb: Option<CompactString>,
        /// Why, where there is more to say.
        why: Option<CompactString>,
    },
    /// To the media ports.
    Ports {
        /// When.
        at: Time,
        /// Which media thread's, from 0.
        thread: usize,
        /// How many pairs of ports that thread has.
        pairs: usize,
        /// What.
        what: PortsWord,
    },
    /// A recording is over.
    Recorded {
        /// When.
        at: Time,
        /// Of which call.
        call: CallId,
        /// Which of its recordings.
        recording: RecordingId,
        /// What has become of it.
        recorded: Recorded,
    },
    /// The audio of a call at its end.
    Audio {
        /// When.
        at: Time,
        /// Which call.
        call: CallId,
        /// What is known.
        audio: Box<CallAudio>,
        /// What that shows.
        findings: Vec<(Party, Finding)>,
    },
    /// All that is known of a call that is over, once for each call, after everything else about it.
    Record(Box<CallDetail>),
}

/// A command, as its sender knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CommandName {
    /// Of the native REST: `cmd_…`, as it was answered.
    Rest(CompactString),
    /// Of the Call API.
    CallApi {
        /// The session that sent it, as it stands in logs.
        session: u64,
        /// Its `cmd_id` in that session.
        cmd_id: CompactString,
    },
}

/// What can happen to a registered contact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContactNews {
    /// It is new.
    Added,
    /// It was given more time.
    Refreshed,
    /// It is gone.
    Removed,
    /// Its phone is silent, or its connection is lost.
    Stale,
    /// It was stale, and its phone was heard.
    Revived,
}

/// What can go wrong with a call that a web server leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlowWord {
    /// The URL of the flow has no good answer, and its fallback URL is asked.
    FallbackUrl,
    /// A question has no good answer.
    Unanswered,
    /// The verbs of the configuration are carried out.
    FellBack,
    /// A verb could not be carried out; the next one comes.
    VerbFailed,
}

/// What can happen to media ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PortsWord {
    /// None is free.
    Exhausted,
    /// Enough are free again; so many parties had found none meanwhile.
    Free(u64),
}

/// What can happen to a trunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrunkWord {
    /// We have registered there.
    Registered,
    /// It does not take our registration.
    Refused,
    /// Our registration is taken back.
    Left,
    /// A host of it answers again.
    Up,
    /// A host of it is out of order.
    Down,
    /// A host of it has not taken a call.
    Missed,
    /// A connection is the trunk's.
    Proved,
    /// Somebody at its address is not believed to be it.
    Unproved,
}
