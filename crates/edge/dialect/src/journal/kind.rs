//! The types of events: one row each, of which the schemas, the AsyncAPI document and the page are made.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use super::call_record::CallRecord;
use super::entry::{ContactNews, TrunkWord};
use super::{audio, change, elsewhere, setup};

/// One type of events.
#[derive(Clone, Copy)]
pub struct KindRow {
    /// Its name, as in `type`.
    pub name: &'static str,
    /// When it is told, in one line.
    pub about: &'static str,
    /// What stands in `data`.
    pub schema: fn() -> Schema,
}

/// The type of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// A party has called in.
    Incoming,
    /// A command has made a call.
    Started,
    /// A call that a server beyond us carries was noticed.
    Noticed,
    /// The switch connects.
    Connecting,
    /// A party is being called.
    Dialing,
    /// A called party reports progress.
    Progress,
    /// A party has answered.
    Answered,
    /// Both are joined.
    Bridged,
    /// The carrier puts parties on hold.
    HoldAccepted,
    /// A party is asked to hold.
    HoldAsked,
    /// A party is on hold.
    Held,
    /// A party holds the other.
    HeldBy,
    /// Somebody else is called.
    Diverted,
    /// Somebody else is there.
    Replaced,
    /// A party is to call somebody else.
    Transferring,
    /// It calls.
    TransferStarted,
    /// How far it is.
    TransferProgress,
    /// It is answered.
    Transferred,
    /// It is not.
    TransferFailed,
    /// In a room.
    Room,
    /// A key.
    Key,
    /// Something is played.
    Play,
    /// Keys were waited for.
    Collected,
    /// A recording.
    Recording,
    /// A leg is over.
    LegEnded,
    /// The call is over.
    Ended,
    /// How good it was.
    Quality,
    /// All that is known of it.
    Record,
    /// A webhook of its own.
    Webhook,
    /// Something is wrong with who leads it.
    Flow,
    /// A command has ended.
    CommandEnded,
    /// A contact is new.
    RegistrationAdded,
    /// A contact has more time.
    RegistrationRefreshed,
    /// A contact is gone.
    RegistrationRemoved,
    /// A contact does not answer.
    RegistrationStale,
    /// A contact answers again.
    RegistrationRevived,
    /// We have registered at a trunk.
    TrunkRegistered,
    /// A trunk does not take our registration.
    TrunkRefused,
    /// Our registration is taken back.
    TrunkLeft,
    /// A host of a trunk answers.
    TrunkUp,
    /// A host of a trunk does not.
    TrunkDown,
    /// A host of a trunk has not taken a call.
    TrunkMissed,
    /// A connection is a trunk's.
    TrunkProved,
    /// A connection is not.
    TrunkUnproved,
    /// No media port is free.
    PortsExhausted,
    /// They are again.
    PortsFree,
    /// The log goes on.
    LogStarted,
    /// Events are missing.
    LogGap,
}

impl Kind {
    /// Its row.
    #[must_use]
    pub fn row(self) -> &'static KindRow {
        &KINDS[self as usize]
    }

    /// Its name, as in `type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }
}

impl From<ContactNews> for Kind {
    fn from(news: ContactNews) -> Self {
        match news {
            ContactNews::Added => Self::RegistrationAdded,
            ContactNews::Refreshed => Self::RegistrationRefreshed,
            ContactNews::Removed => Self::RegistrationRemoved,
            ContactNews::Stale => Self::RegistrationStale,
            ContactNews::Revived => Self::RegistrationRevived,
        }
    }
}

impl From<TrunkWord> for Kind {
    fn from(word: TrunkWord) -> Self {
        match word {
            TrunkWord::Registered => Self::TrunkRegistered,
            TrunkWord::Refused => Self::TrunkRefused,
            TrunkWord::Left => Self::TrunkLeft,
            TrunkWord::Up => Self::TrunkUp,
            TrunkWord::Down => Self::TrunkDown,
            TrunkWord::Missed => Self::TrunkMissed,
            TrunkWord::Proved => Self::TrunkProved,
            TrunkWord::Unproved => Self::TrunkUnproved,
        }
    }
}

const fn row<D: JsonSchema>(name: &'static str, about: &'static str) -> KindRow {
    KindRow { name, about, schema: schema_of::<D> }
}

fn schema_of<D: JsonSchema>() -> Schema {
    // Each schema stands alone: nothing in it refers to anything outside.
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.for_serialize().into_generator().into_root_schema_for::<D>()
}

/// All types, in the order of [`Kind`].
pub static KINDS: &[KindRow] = &[
    row::<setup::Parties>("call.incoming", "a party has called in; first event of such a call"),
    row::<setup::Parties>("call.started", "a command has made a call; first event of such a call"),
    row::<setup::Noticed>("call.noticed", "a call that a server beyond us carries has come to our notice"),
    row::<setup::Connecting>("call.connecting", "the switch begins to connect the caller"),
    row::<setup::Dialing>("call.dialing", "a party is being called: the request is on the wire"),
    row::<setup::Progress>("call.progress", "a called party reports progress: it rings, or may be heard"),
    row::<setup::Leg>("call.answered", "a party has answered"),
    row::<setup::Nothing>("call.bridged", "both parties are joined and may speak"),
    row::<change::Holding>(
        "call.hold_accepted",
        "the carrier has accepted to put parties on hold, or to take them off",
    ),
    row::<change::PartyHolding>("call.hold_asked", "a party is asked to stop or resume its audio"),
    row::<change::PartyHolding>("call.held", "a party has been put on hold, or taken off"),
    row::<change::PartyHolding>("call.held_by", "a party has put the other one on hold by itself, or taken it back"),
    row::<change::Diverted>("call.diverted", "the call goes to somebody else than was dialled"),
    row::<change::Replaced>("call.replaced", "somebody else has taken the place of a party: pickup, end of a transfer"),
    row::<change::Transferring>("call.transferring", "a party has been asked to call somebody else"),
    row::<change::TransferStarted>("call.transfer_started", "the transferred party calls"),
    row::<change::TransferProgress>("call.transfer_progress", "how far the new call of a transferred party has come"),
    row::<setup::Nothing>("call.transferred", "the new call of a transferred party is answered"),
    row::<change::TransferFailed>("call.transfer_failed", "a transfer has failed; the parties are where they were"),
    row::<audio::InRoom>("call.room", "something happens to a party in a conference"),
    row::<audio::Key>("call.key", "a party has pressed a key"),
    row::<audio::Play>("call.play", "what becomes of something that a command plays"),
    row::<audio::Collected>("call.collected", "the wait for keys of a party is over"),
    row::<audio::Recording>("call.recording", "a recording has begun, or is over"),
    row::<setup::LegEnded>("call.leg_ended", "a leg has failed, lost the race, or was hung up"),
    row::<setup::Ended>("call.ended", "the call is over"),
    row::<audio::Quality>("call.quality", "how the audio of a call was; told after its end"),
    row::<CallRecord>("call.record", "all that is known of a call that is over; its last event"),
    row::<elsewhere::Webhook>("call.webhook", "the events of a call are posted to a webhook of its own from now on"),
    row::<elsewhere::FlowTrouble>(
        "call.flow",
        "a web server that leads the call has no good answer, or asks for what cannot be done",
    ),
    row::<elsewhere::CommandEnded>("command.ended", "a command has ended, exactly once"),
    row::<elsewhere::Registration>("registration.added", "a phone has registered a contact"),
    row::<elsewhere::Registration>("registration.refreshed", "a phone has registered a contact again"),
    row::<elsewhere::Registration>("registration.removed", "a contact is gone"),
    row::<elsewhere::Registration>("registration.stale", "the phone of a contact is silent, or its connection is lost"),
    row::<elsewhere::Registration>("registration.revived", "the phone of a stale contact was heard"),
    row::<elsewhere::Trunk>("trunk.registered", "we have registered at a trunk"),
    row::<elsewhere::Trunk>("trunk.refused", "a trunk does not take our registration"),
    row::<elsewhere::Trunk>("trunk.left", "our registration at a trunk is taken back"),
    row::<elsewhere::Trunk>("trunk.up", "a host of a trunk answers again"),
    row::<elsewhere::Trunk>("trunk.down", "a host of a trunk is out of order"),
    row::<elsewhere::Trunk>("trunk.missed", "a host of a trunk has not taken a call"),
    row::<elsewhere::Trunk>("trunk.proved", "a connection has shown the certificate of a trunk"),
    row::<elsewhere::Trunk>("trunk.unproved", "somebody at a trunk's address is not believed to be the trunk"),
    row::<elsewhere::Ports>("media.ports_exhausted", "no media port is free: parties are refused with 503"),
    row::<elsewhere::Ports>("media.ports_free", "media ports are free again"),
    row::<elsewhere::Started>("log.started", "the switch has started; which calls that has cost"),
    row::<elsewhere::Gap>("log.gap", "events are missing here: the disk had failed for too long"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_stand_in_the_order_of_the_types() {
        assert_eq!(KINDS.len(), Kind::LogGap as usize + 1);
        for (kind, name) in [
            (Kind::Incoming, "call.incoming"),
            (Kind::Bridged, "call.bridged"),
            (Kind::TransferFailed, "call.transfer_failed"),
            (Kind::Recording, "call.recording"),
            (Kind::Flow, "call.flow"),
            (Kind::CommandEnded, "command.ended"),
            (Kind::RegistrationRevived, "registration.revived"),
            (Kind::TrunkUnproved, "trunk.unproved"),
            (Kind::PortsFree, "media.ports_free"),
            (Kind::LogGap, "log.gap"),
        ] {
            assert_eq!(kind.name(), name);
        }
        for (index, row) in KINDS.iter().enumerate() {
            assert!(KINDS[..index].iter().all(|other| other.name != row.name), "{} stands twice", row.name);
        }
    }
}
