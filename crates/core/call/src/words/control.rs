//! Controllers ask: commands, answered by a ticket or a refusal, and ended by one outcome.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{Address, AudioOrder, CallId, MAX_ADDRESS, Party, Step, Ticket};
use crate::cause::Cause;

/// What a controller may ask for.
#[derive(Clone, PartialEq, Debug)]
pub enum Command {
    /// Call the caller; when it answers, call the callee and join the two (third-party call
    /// control). The outcome comes when both have answered or one has failed.
    Start {
        /// The party that is called first.
        caller: Address,
        /// The party that the caller is connected with.
        callee: Address,
        /// The carrier's name for the caller's leg (a Call-ID), if the controller wants to choose
        /// it. Must not be in use.
        wire_id: Option<CompactString>,
    },
    /// End a call in whatever state it is. The outcome comes as soon as every leg has been told.
    End {
        /// Which call.
        call: CallRef,
        /// What the parties are told.
        cause: Cause,
    },
    /// Put parties of an answered call on hold. The outcome comes when every party that was asked
    /// has answered.
    Hold {
        /// Which call.
        call: CallRef,
        /// Which end; none means both.
        party: Option<Party>,
        /// What the parties are told besides.
        notes: Notes,
    },
    /// Take parties off hold. The outcome comes when every party that was asked has answered.
    Unhold {
        /// Which call.
        call: CallRef,
        /// Which end; none means both.
        party: Option<Party>,
        /// What the parties are told besides.
        notes: Notes,
    },
    /// Connect one party with somebody else and let the other party go (blind transfer). The
    /// outcome comes when the new party has answered.
    Transfer {
        /// Which call.
        call: CallRef,
        /// The end that stays and is connected.
        party: Party,
        /// With whom.
        to: Address,
        /// How; none leaves it to the carrier.
        by: Option<By>,
    },
    /// Connect one party of a call with one party of another and let the remaining two go
    /// (attended transfer). The outcome comes when the two are joined.
    Join {
        /// The one call.
        call: CallRef,
        /// Its end that stays.
        party: Party,
        /// The other call.
        other: CallRef,
        /// The other call's end that stays.
        other_party: Party,
        /// Where the second party is reached, if not at the address it has in its call.
        to: Option<Address>,
        /// How; none leaves it to the carrier.
        by: Option<By>,
    },
    /// Do something to the audio of one party of an answered call whose audio runs through the switch. When the
    /// outcome comes, the order says.
    Audio {
        /// Which call.
        call: CallRef,
        /// Which end.
        party: Party,
        /// What.
        order: AudioOrder,
    },
    /// Lead a call on that waits for a step, because it has come to [`Service::Flow`](super::Service::Flow). When the
    /// outcome comes, the step says.
    Step {
        /// Which call.
        call: CallRef,
        /// What comes next.
        step: Step,
    },
}

/// How a party is connected with another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The switch calls the other one and joins the two; their phones need to know nothing.
    Bridge,
    /// The party's phone is asked to call the other one (REFER, RFC 3515).
    Refer,
}

/// What parties are told beside a command: names and values, which a carrier that speaks SIP writes
/// as header fields. The core never looks inside.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Notes(pub Vec<(CompactString, CompactString)>);

/// How a controller names a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallRef {
    /// By our own name.
    Id(CallId),
    /// By the carrier's name of any of its legs: a SIP Call-ID.
    Wire(CompactString),
    /// By the command that made it.
    Ticket(Ticket),
}

/// Why a command was not accepted. Nothing has changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// No call has this name.
    #[error("no such call")]
    NoSuchCall,
    /// The call is already being ended.
    #[error("the call is ending")]
    Ending,
    /// The name asked for a leg belongs to a live call.
    #[error("the Call-ID {0} is in use")]
    WireIdInUse(CompactString),
    /// The limit of calls ([`Limits::calls`](crate::Limits::calls)) is reached.
    #[error("the limit of {0} calls is reached")]
    TooManyCalls(usize),
    /// The switch is draining: running calls go on, new ones are refused.
    #[error("the switch is shutting down and takes no new calls")]
    Draining,
    /// Another command or a party is changing the call just now; the text says what. May be tried
    /// again when that is over.
    #[error("{0}")]
    Pending(CompactString),
    /// The call is not in a state in which this can be done: a party is not on the line yet.
    #[error("the call is not answered")]
    NotAnswered,
    /// An address is longer than [`MAX_ADDRESS`] bytes.
    #[error("an address is longer than {MAX_ADDRESS} bytes")]
    AddressTooLong,
    /// The command asks for something that there is not, in this call or at all; the text says what.
    #[error("{0}")]
    Impossible(CompactString),
    /// Whoever carries the calls cannot do this; the text says what and why.
    #[error("{0}")]
    Unsupported(CompactString),
    /// Whoever carries the calls cannot be asked now; the text says why.
    #[error("{0}")]
    CarrierDown(CompactString),
    /// The limit of commands that run at once is reached.
    #[error("the limit of {0} commands at once is reached")]
    TooManyCommands(usize),
}

/// How an accepted command ended. Every ticket gets exactly one.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// The command.
    pub ticket: Ticket,
    /// Done, or where and why it failed.
    pub result: Result<(), Failure>,
}

/// Where and why a command failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The step that failed.
    pub stage: Stage,
    /// What happened, and whose fault it was.
    pub cause: Cause,
    /// What a server beyond us answered, in its own numbers and words.
    pub upstream: Option<Upstream>,
    /// The party that refused, where the step concerns both.
    pub party: Option<Party>,
    /// The parties that are on hold now, where the step was to change that.
    pub held: Vec<Party>,
}

impl Failure {
    /// A failure of our own switch.
    #[must_use]
    pub const fn new(stage: Stage, cause: Cause) -> Self {
        Self { stage, cause, upstream: None, party: None, held: Vec::new() }
    }
}

/// An error as a server beyond us writes it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Upstream {
    /// Its code: a status, or a negative JSON-RPC code.
    pub code: i32,
    /// Its words.
    pub text: CompactString,
}

/// The step of a command in which something happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The request itself.
    Request,
    /// Reaching the caller.
    Caller,
    /// Reaching the callee, or whoever a party is transferred to.
    Callee,
    /// Asking a party to call somebody else; nobody has been called yet.
    Transfer,
    /// Putting parties on hold.
    Hold,
    /// Taking parties off hold.
    Unhold,
    /// Ending the call.
    End,
    /// Playing to a party, recording it, or waiting for its keys.
    Audio,
    /// Asking whoever carries the call.
    Backend,
}
