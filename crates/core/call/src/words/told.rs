//! Subscribers are told: what happens in a call, and where and when.

use std::time::Duration;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{Address, CallId, Diverting, LegId, OrderNews, Party, Room, RoomNews, Ticket, Time};
use crate::cause::Cause;

/// What subscribers are told about a call, in causal order; [`Told`] says which call and when.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// A party has called in. First event of such a call.
    Incoming {
        /// Who calls.
        from: Address,
        /// Who is called.
        to: Address,
    },
    /// A command has made the call: its caller is called first. First event of such a call.
    Started {
        /// Who is called first, and then connected.
        caller: Address,
        /// With whom.
        callee: Address,
    },
    /// The switch begins to connect the caller with this address.
    Connecting {
        /// The address as dialled or commanded.
        to: Address,
    },
    /// A party is being called: the request is on the wire.
    Dialing {
        /// The new leg.
        leg: LegId,
        /// Which end it would be.
        party: Party,
        /// The carrier's name for the leg: usable as [`CallRef::Wire`].
        wire_id: CompactString,
        /// Where it was sent: the contact, after look-up.
        to: Address,
    },
    /// A called party reports progress (ringing, early media).
    Progress {
        /// The leg.
        leg: LegId,
        /// Which end it would be.
        party: Party,
        /// The status code, 100-199.
        status: u16,
        /// The status phrase.
        text: CompactString,
    },
    /// A party has answered.
    Answered {
        /// The leg.
        leg: LegId,
        /// Which end it is.
        party: Party,
    },
    /// Both parties are joined and may speak.
    Bridged,
    /// A call that a server beyond us carries has come to our notice. First event of such a call
    /// unless a command of ours made it.
    Noticed {
        /// The carrier's name for it: usable as [`CallRef::Wire`].
        wire_id: CompactString,
    },
    /// The carrier has accepted to put parties on hold, or to take them off.
    HoldAccepted {
        /// On hold, or off.
        hold: bool,
    },
    /// A party is asked to stop or resume its audio.
    HoldAsked {
        /// Which end.
        party: Party,
        /// On hold, or off.
        hold: bool,
    },
    /// A party has been put on hold, or taken off.
    Held {
        /// Which end.
        party: Party,
        /// On hold, or off.
        hold: bool,
    },
    /// A party has put the other one on hold by itself, or taken it back.
    HeldBy {
        /// Which end pressed the key.
        party: Party,
        /// On hold, or off.
        hold: bool,
    },
    /// The call goes to somebody else than was dialled.
    Diverted {
        /// Who was to be called.
        from: Address,
        /// Who is called instead.
        to: Address,
        /// Why.
        why: Diverting,
    },
    /// Somebody else has taken the place of a party: a pickup, or the end of a transfer. The leg
    /// that was there before ends.
    Replaced {
        /// The leg that is there now.
        leg: LegId,
        /// Which end.
        party: Party,
        /// Who it is.
        by: Address,
    },
    /// A transfer that a party asked for has failed; the parties are where they were.
    TransferFailed {
        /// Why.
        cause: Cause,
    },
    /// A party has been asked to call somebody else.
    Transferring {
        /// The end that stays.
        party: Party,
        /// Whom it is to call, as commanded.
        to: Option<Address>,
    },
    /// The transferred party calls.
    TransferStarted {
        /// The carrier's name for the new call.
        wire_id: CompactString,
        /// Whom it calls: the contact, after look-up.
        to: Option<Address>,
    },
    /// How far the new call of a transferred party has come.
    TransferProgress {
        /// The status code, 100-699.
        status: u16,
        /// The status phrase.
        text: CompactString,
    },
    /// The new call of a transferred party is answered.
    Transferred,
    /// Something happens to a party in a room.
    InRoom {
        /// Which end.
        party: Party,
        /// Which room.
        room: Room,
        /// What.
        news: RoomNews,
    },
    /// Something happens in the audio of a party: a key, or what comes of a command.
    Audio {
        /// Which end.
        party: Party,
        /// What.
        news: OrderNews,
    },
    /// A leg is over (it failed, lost the race, or was hung up).
    LegEnded {
        /// The leg.
        leg: LegId,
        /// Which end it was.
        party: Party,
        /// Why.
        cause: Cause,
    },
    /// The call is over; nothing follows.
    Ended {
        /// The first cause, which ended all the rest.
        cause: Cause,
        /// How long both parties were joined.
        talked: Duration,
    },
}

/// An [`Event`] with its place and time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Told {
    /// When.
    pub at: Time,
    /// Counts the events of this call from 0 without a gap.
    pub seq: u32,
    /// Which call.
    pub call: CallId,
    /// The running command whose progress this is: the one that made the call, or the one that
    /// holds or transfers it.
    pub owner: Option<Ticket>,
    /// What happened.
    pub event: Event,
}
