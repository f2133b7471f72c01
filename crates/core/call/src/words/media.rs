//! Media: the same pair once more, for whoever relays the audio.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Audience, AudioNews, CallAudio, CallId, Codecs, Digit, LegId, Part, Party, PlayControl, PlayId, PlayNews,
    RecordNews, RecordOrder, RecordingId, Room, RoomNews, Sdp, Soup,
};
use crate::cause::Cause;

/// One place at the table of a call, with a channel of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seat {
    /// That of one end.
    Of(Party),
    /// Beside the table: for somebody who is to take the place of one end, or who has lost it.
    Spare,
}

impl From<Party> for Seat {
    fn from(party: Party) -> Self {
        Self::Of(party)
    }
}

/// What the media engine is asked to do for a call. Each call has at most one channel per
/// [`Seat`]; ops of one call are carried out in order.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaOp {
    /// First op of a call that is anchored here. No report.
    Open {
        /// The call.
        call: CallId,
        /// The offer of a party that has already made one.
        offer: Option<(Party, Sdp)>,
        /// The codecs to offer and accept, best first; none means the engine's own list.
        codecs: Option<Codecs>,
        /// Our address as that party sees it.
        near: Option<IpAddr>,
        /// A room that a party is to be in, if that is known already: the call is carried where that room is.
        room: Option<Room>,
    },
    /// Make our offer to a party, with the codecs that the other party can use if they are known.
    /// Answered by [`MediaReport::Local`] or [`MediaReport::Refused`].
    MakeOffer {
        /// The call.
        call: CallId,
        /// Whose seat.
        seat: Seat,
        /// For which leg of that end: given back in the report. Forked legs share the channel.
        leg: LegId,
        /// Our address as that party sees it; none keeps the channel's.
        near: Option<IpAddr>,
    },
    /// Answer the offer last received from a party, agreeing with what the other party has already
    /// agreed to. Answered by [`MediaReport::Local`] or [`MediaReport::Refused`].
    MakeAnswer {
        /// The call.
        call: CallId,
        /// Whose seat.
        seat: Seat,
        /// For which leg: given back in the report.
        leg: LegId,
    },
    /// A party has made a new offer (re-INVITE); [`MediaOp::MakeAnswer`] follows. No report.
    Offered {
        /// The call.
        call: CallId,
        /// Whose seat.
        seat: Seat,
        /// Its offer.
        sdp: Sdp,
    },
    /// A party has answered our offer. Reports only [`MediaReport::Refused`] if it cannot be used.
    Accept {
        /// The call.
        call: CallId,
        /// Whose seat.
        seat: Seat,
        /// From which leg of that end.
        leg: LegId,
        /// The answer.
        sdp: Sdp,
    },
    /// What a party hears from now on. No report.
    Hear {
        /// The call.
        call: CallId,
        /// Whose seat.
        seat: Seat,
        /// What.
        source: Source,
    },
    /// Put a party on hold, or take it off: our next description for it says that we send at most,
    /// and whatever comes from it goes nowhere. No report; what it hears is said by
    /// [`MediaOp::Hear`].
    Hold {
        /// The call.
        call: CallId,
        /// Which end.
        party: Party,
        /// On hold, or off.
        on: bool,
    },
    /// Open the spare seat for somebody who is to take the place of `party`; it is described with a
    /// view to the other end, as that one would be. Nothing if it is open already. No report.
    OpenSpare {
        /// The call.
        call: CallId,
        /// Whose place.
        party: Party,
        /// Our address as the newcomer sees it; none takes it to see us as `party` does, until
        /// [`MediaOp::MakeOffer`] says otherwise.
        near: Option<IpAddr>,
    },
    /// Whoever is in the spare seat and the end whose place it was opened for change places; the one
    /// that leaves hears silence, the one that comes hears what the other one heard. May be undone
    /// by another swap. No report.
    Swap {
        /// The call.
        call: CallId,
    },
    /// Free the spare seat. No report.
    CloseSpare {
        /// The call.
        call: CallId,
    },
    /// A party comes into a room, and goes out of another one if it is in any; what it hears there is said by
    /// [`MediaOp::Hear`] with [`Source::Room`], and while it hears something else it is not heard either. If it is
    /// there already: how it takes part from now on, without a report. Answered by [`MediaReport::Room`].
    Join {
        /// The call.
        call: CallId,
        /// Which end; whoever takes its place is in the room in its stead.
        party: Party,
        /// Which room; it is there from its first member to its last.
        room: Room,
        /// How it takes part.
        part: Part,
    },
    /// A party goes out of a room. Nothing if it is not in it. Answered by [`MediaReport::Room`].
    Leave {
        /// The call.
        call: CallId,
        /// Which end.
        party: Party,
        /// Which room.
        room: Room,
    },
    /// Send a party the press of a key: as a telephone event if it takes those (RFC 4733), else as
    /// a tone. No report.
    Digit {
        /// The call.
        call: CallId,
        /// To which end.
        party: Party,
        /// Which, and how long.
        digit: Digit,
    },
    /// Play sounds to a party, in place of whatever is played to it; it hears nothing else meanwhile. If that goes by
    /// the same name, it is another version of the same soup: the sound that is being played goes on if it is at the
    /// same place there, else the soup begins anew. To its room it is played beside what is said there, and ends when the
    /// party leaves. Reported by [`MediaReport::Played`].
    Play {
        /// The call.
        call: CallId,
        /// To which end.
        party: Party,
        /// Its name, given back in the reports.
        play: PlayId,
        /// What.
        soup: Arc<Soup>,
        /// Who hears it.
        to: Audience,
    },
    /// Do something to what is played. Nothing if it is over.
    ControlPlay {
        /// The call.
        call: CallId,
        /// To which end.
        party: Party,
        /// Its name.
        play: PlayId,
        /// What.
        control: PlayControl,
    },
    /// Record what a party says and hears, as long as it or whoever takes its place is in the call.
    /// [`MediaReport::Recorded`] tells how it goes, the last time perhaps after the end of the call.
    Record {
        /// The call.
        call: CallId,
        /// Which end.
        party: Party,
        /// Which recording of the call.
        recording: RecordingId,
        /// What is to be done.
        order: RecordOrder,
    },
    /// Say what is known of the call's audio. Answered by [`MediaReport::Audio`], once.
    Inspect {
        /// The call.
        call: CallId,
    },
    /// The call is over: free its channels and ports. If anybody has agreed to a session,
    /// [`MediaReport::Audio`] is the last report; nothing follows but the ends of its recordings.
    Close {
        /// The call.
        call: CallId,
    },
}

/// What a party hears.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Nothing is sent.
    Silence,
    /// The other party.
    Peer,
    /// Itself.
    Echo,
    /// The ringing tone.
    Ringback,
    /// A reference tone: 1004 Hz at -16 dBm0.
    Reference,
    /// Music on hold, or what is configured in its place.
    Hold,
    /// What is played to it ([`MediaOp::Play`]), and nothing in between.
    Sounds,
    /// All others in the room that it is in, which hear it.
    Room,
}

/// What the media engine tells. Late reports are ignored.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaReport {
    /// Our offer or answer is ready.
    Local {
        /// The call.
        call: CallId,
        /// For whose seat.
        seat: Seat,
        /// For which leg, as asked.
        leg: LegId,
        /// The description to send.
        sdp: Sdp,
    },
    /// No session is possible: no common codec, a description that cannot be used, no free port.
    Refused {
        /// The call.
        call: CallId,
        /// For whose seat.
        seat: Seat,
        /// For which leg, as asked.
        leg: LegId,
        /// Why, as the party is told.
        cause: Cause,
    },
    /// Nothing has come from a party that said it sends, for as long as the engine was told to
    /// wait. Said again while it lasts.
    Silent {
        /// The call.
        call: CallId,
        /// Which end.
        party: Party,
    },
    /// Nothing has come from anybody in the call for as long as the engine was told to wait, neither audio nor
    /// reports about it. Said again while it lasts.
    Idle {
        /// The call.
        call: CallId,
        /// For how long.
        silence: Duration,
    },
    /// The direction of a party's audio has changed: by its own offer, or by its answer to ours.
    Direction {
        /// The call.
        call: CallId,
        /// Which end; of somebody in the spare seat, the end whose place that is.
        party: Party,
        /// Which leg of that end.
        leg: LegId,
        /// It sends. A party that sends and does not listen has put the other one on hold.
        sends: bool,
        /// It listens.
        listens: bool,
    },
    /// What is known of a call's audio: it was asked for, somebody has fallen silent or is back, or
    /// the call is over.
    Audio {
        /// The call.
        call: CallId,
        /// Why this is told.
        news: AudioNews,
        /// What is known; none if the engine has no such call.
        audio: Option<Box<CallAudio>>,
    },
    /// What happens to a party in a room.
    Room {
        /// The call.
        call: CallId,
        /// Which end.
        party: Party,
        /// Which room.
        room: Room,
        /// What.
        news: RoomNews,
    },
    /// What becomes of something that is played to a party. [`PlayNews::Ended`] comes exactly once for each.
    Played {
        /// The call.
        call: CallId,
        /// Which end.
        party: Party,
        /// Its name, as asked.
        play: PlayId,
        /// What.
        news: PlayNews,
        /// How much of it the party had been played, pauses not counted.
        position: Duration,
    },
    /// A party has pressed a key.
    Digit {
        /// The call.
        call: CallId,
        /// Which end.
        party: Party,
        /// Which, and how long.
        digit: Digit,
        /// It went on to the other end in the audio. Else that takes no telephone events, hears something else, or nobody
        /// is there.
        passed: bool,
    },
    /// How a recording goes.
    Recorded {
        /// The call, which may be over.
        call: CallId,
        /// Which recording of it.
        recording: RecordingId,
        /// What has happened.
        news: RecordNews,
    },
    /// The audio of a call is carried by another engine from now on: where its parties were told to send, nobody listens
    /// any more, and each is to be offered its session anew. What they hear, who is on hold and who is in a room is as it
    /// was; a key that was on its way is lost.
    Moved {
        /// The call.
        call: CallId,
        /// `Err`: nobody carries it any more, and why.
        result: Result<(), Cause>,
    },
}
