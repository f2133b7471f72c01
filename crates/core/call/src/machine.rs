//! One call.
//!
//! ```text
//!             incoming leg                          Command::Start
//!                  │                                       │
//!                  │                          AwaitLocation(Caller)
//!                  │                                       │ found
//!                  │                             AwaitAnswer(Caller) ──────┐
//!                  │                                       │ answered      │ nobody answers,
//!                  ▼                                       ▼               │ a party gives up,
//!           AwaitLocation(Callee) ◄────────────────────────┘               │ time is out,
//!                  │ found                                                 │ a command,
//!           AwaitAnswer(Callee) ───────────────────────────────────────────┤ no common codec
//!                  │ answered             │ a party is here already         │
//!           AwaitDescription              │ (Start: the caller)            │
//!                  │ media has an answer  │                                │
//!                  ▼                      ▼                                ▼
//!               Talking ◄─────────────────┘ ───── a party hangs up ──► AwaitEnds ──► gone
//! ```
//!
//! The machine is told what happened ([`Report`], [`MediaReport`], time) and never fails: a report
//! that does not fit its state is late and is ignored. The features live one to a file in
//! `feature/`; this file holds the data and decides which feature hears what.

use std::net::IpAddr;
use std::time::Duration;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::cause::Cause;
use crate::feature::attend::Serving;
use crate::feature::flow::Led;
use crate::feature::fork::Hunt;
use crate::feature::hold::Holds;
use crate::feature::operation::Operation;
use crate::feature::order::Orders;
use crate::feature::parcel::Parcels;
use crate::switchboard::{Limits, Outbox};
use crate::words::{
    Address, Alerting, CallId, Codecs, Diversion, Event, Failure, Identity, LegId, MediaOp, MediaReport, Outcome,
    Party, Report, Room, Sdp, Seat, Service, Source, Target, Ticket, Time,
};

/// What a call waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Where this party is to be called.
    AwaitLocation(Party),
    /// One of this party's branches to answer.
    AwaitAnswer(Party),
    /// What its leader wants done next; the caller is not answered.
    AwaitStep,
    /// The media engine's description for the caller; everything else is settled.
    AwaitDescription,
    /// One party to hang up.
    Talking,
    /// Every leg to be over.
    AwaitEnds,
}

/// What a leg waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegState {
    /// Outgoing: our offer from the media engine; nothing is on the wire yet.
    AwaitOffer,
    /// Outgoing: the party's answer.
    AwaitAnswer,
    /// Incoming: our answer.
    Offered,
    /// Incoming: the party's acknowledgement of our answer.
    AwaitConfirm,
    /// Nothing: the party is on the line.
    Up,
    /// The backend's word that it is over.
    AwaitEnd,
    /// Nothing: it is over.
    Ended,
}

/// What the next description from the media engine is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    Dial,
    EarlyMedia,
    Answer,
    Reanswer,
    /// A change of ours: the party is offered it.
    Reoffer,
    /// No description any more: the party has been offered our change and owes its answer.
    Reaccept,
    /// For a leg of another call that is to come here.
    Join,
    /// Whoever has answered has its session: it takes its place.
    Seat,
    /// For somebody who has called in to take a place.
    Replace,
    /// No description: the other party is asked to answer the change of this one.
    Relay,
    /// No description: the party is to answer the other party's change.
    Relayed,
}

/// With which call a leg's session is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum At {
    /// With its own.
    Home,
    /// The same, and it has been offered one with another call.
    Invited,
    /// With another call, which has not taken the leg yet, or does not want it any more.
    Away,
}

impl At {
    /// It has answered an offer: that of the other call, or ours.
    pub(crate) const fn answered(self) -> Self {
        match self {
            Self::Invited => Self::Away,
            Self::Home | Self::Away => Self::Home,
        }
    }

    /// It has refused one, and stays where it is.
    pub(crate) const fn refused(self) -> Self {
        match self {
            Self::Invited | Self::Home => Self::Home,
            Self::Away => Self::Away,
        }
    }
}

/// What is due when one of a call's times is up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Alarm {
    /// What the call itself waits for: [`Call::wait`].
    Stage,
    /// The look-up of a party, or the time that it may ring.
    Hunt,
    /// The next place of a group is to be called.
    Place,
    /// This branch has rung as long as it may.
    Ring(LegId),
    /// What is being done to the answered call has taken too long.
    Operation,
    /// The call has lasted as long as it may.
    Duration,
    /// A key for a service has not come.
    Key,
    /// A key that a command waits for has not come.
    Collect(Party),
}

/// What a caller's own request said about it, for whoever is called.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub identity: Identity,
    pub diversions: Vec<Diversion>,
    pub alerting: Alerting,
    pub referred_by: Option<Address>,
}

/// One dialogue with one party, or one attempt at it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Leg {
    /// Its name within the call.
    pub id: LegId,
    /// Which end of the call it is.
    pub party: Party,
    /// What it waits for.
    pub state: LegState,
    /// The carrier's name for it.
    pub wire_id: Option<CompactString>,
    /// Where the party is; `None` for one that called in.
    pub target: Option<Target>,
    /// The service that stands in for a party: no carrier knows such a leg.
    pub service: Option<Box<Service>>,
    /// The other end is in its room.
    pub(crate) entered: bool,
    pub(crate) purpose: Option<Purpose>,
    /// The description last sent to an incoming leg: early media and answer must not differ.
    pub(crate) local: Option<Sdp>,
    /// The party owes an answer to our offer in its acknowledgement.
    pub(crate) owes_answer: bool,
    /// The early media that an unanswered branch last announced.
    pub(crate) early: Option<Sdp>,
    /// Its session with us is not what it should be: it is offered anew once that can be.
    pub(crate) stale: bool,
    /// Our change was taken back for one of its phone's; what came of it is still to be reported.
    pub(crate) withdrawn: bool,
    /// Its session is what its phone asked for, and not what it agreed to when we asked.
    pub(crate) asked: bool,
    /// With which call its session is.
    pub(crate) at: At,
    /// Its phone has pressed the hold key while it was beside the table.
    pub(crate) deaf: bool,
    /// Where it was told to send, nobody listens any more.
    pub(crate) moved: bool,
    /// It is beside the table: on the way to the place of an end, or away from it.
    pub spare: bool,
}

impl Leg {
    pub(crate) fn blank(id: LegId, party: Party, state: LegState) -> Self {
        Self {
            id,
            party,
            state,
            wire_id: None,
            target: None,
            service: None,
            entered: false,
            purpose: None,
            local: None,
            owes_answer: false,
            early: None,
            stale: false,
            withdrawn: false,
            asked: false,
            at: At::Home,
            deaf: false,
            moved: false,
            spare: false,
        }
    }

    /// A carrier knows it.
    pub(crate) const fn is_carried(&self) -> bool {
        !matches!(self.state, LegState::AwaitOffer | LegState::Ended) && self.service.is_none()
    }

    pub(crate) fn live(&self) -> bool {
        !matches!(self.state, LegState::AwaitEnd | LegState::Ended)
    }
}

/// Everything known about one call: one record, which can be stored and moved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    /// Its name.
    pub id: CallId,
    /// What it waits for.
    pub state: State,
    /// The command that made it, until that command's outcome.
    pub owner: Option<Ticket>,
    /// The calling party's address.
    pub caller: Address,
    /// The called party's address, as dialled or commanded.
    pub callee: Address,
    /// All legs that ever were, in the order of their making.
    pub legs: SmallVec<[Leg; 2]>,
    /// Whether the audio runs through this switch.
    pub anchored: bool,
    /// When it began.
    pub created: Time,
    /// When both parties were joined.
    pub joined: Option<Time>,
    /// Why it ends or ended: the first cause.
    pub cause: Option<Cause>,
    pub(crate) third_party: bool,
    pub(crate) settled: bool,
    pub(crate) hops: u8,
    pub(crate) seq: u32,
    /// Soonest first, each kind at most once.
    pub(crate) alarms: SmallVec<[(Time, Alarm); 2]>,
    pub(crate) hunt: Option<Box<Hunt>>,
    pub(crate) origin: Option<Box<Origin>>,
    pub(crate) ring_status: u16,
    /// The caller has made no offer, and not answered ours yet.
    pub(crate) late_offer: bool,
    /// Such a caller can answer ours before its call is answered.
    pub(crate) answers_early: bool,
    pub(crate) caller_offer: Option<Sdp>,
    pub(crate) caller_near: Option<IpAddr>,
    pub(crate) codecs: Option<Codecs>,
    pub(crate) media_open: bool,
    pub(crate) wanted_wire_id: Option<Box<CompactString>>,
    pub(crate) holds: Holds,
    /// What is being done to the call since it was answered.
    pub(crate) op: Option<Box<Operation>>,
    /// What the parties send each other, once they do.
    pub(crate) parcels: Option<Box<Parcels>>,
    /// What a service does for a party.
    pub(crate) serving: Option<Box<Serving>>,
    /// What commands have done to the audio of the parties.
    pub(crate) orders: Option<Box<Orders>>,
    /// Who leads it from outside.
    pub(crate) led: Option<Box<Led>>,
}

/// What a machine may touch while it works: the time, the limits, and where its words go.
pub(crate) struct Scene<'a> {
    pub now: Time,
    pub limits: &'a Limits,
    pub out: &'a mut Outbox,
}

impl Call {
    pub(crate) fn new(id: CallId, caller: Address, callee: Address, scene: &Scene<'_>) -> Self {
        Self {
            id,
            state: State::AwaitLocation(Party::Callee),
            owner: None,
            caller,
            callee,
            legs: SmallVec::new(),
            anchored: scene.limits.anchor,
            created: scene.now,
            joined: None,
            cause: None,
            third_party: false,
            settled: true,
            hops: scene.limits.hops,
            seq: 0,
            alarms: SmallVec::new(),
            hunt: None,
            origin: None,
            ring_status: 0,
            late_offer: false,
            answers_early: false,
            caller_offer: None,
            caller_near: None,
            codecs: None,
            media_open: false,
            wanted_wire_id: None,
            holds: Holds::default(),
            op: None,
            parcels: None,
            serving: None,
            orders: None,
            led: None,
        }
    }

    /// The leg of that name.
    #[must_use]
    pub fn leg(&self, id: LegId) -> Option<&Leg> {
        self.legs.get(usize::from(id.0))
    }

    /// Whether nothing is left to wait for.
    pub(crate) fn is_over(&self) -> bool {
        self.state == State::AwaitEnds && self.legs.iter().all(|l| l.state == LegState::Ended)
    }

    pub(crate) fn tell(&mut self, scene: &mut Scene<'_>, report: Report) {
        if report.leg().is_some_and(|leg| self.leg(leg).is_none_or(|leg| !leg.is_carried())) {
            return;
        }
        match report {
            // The switchboard makes the call out of this one.
            Report::Incoming(_) => {}
            Report::Located { found, codecs, forwards, .. } => self.located(scene, found, codecs, forwards),
            Report::Dialed { leg, wire_id, .. } => self.dialed(scene, leg, wire_id),
            Report::Progress { leg, status, text, sdp, .. } => self.progressed(scene, leg, (status, text), sdp),
            Report::Redirected { leg, to, .. } => self.redirected(scene, leg, to),
            Report::Answered { leg, sdp, .. } => self.answered(scene, leg, sdp),
            Report::Confirmed { leg, sdp, .. } => self.confirmed(scene, leg, sdp),
            Report::Reoffered { leg, sdp, .. } => self.reoffered(scene, leg, sdp),
            Report::Withdrawn { leg, .. } => self.withdrawn(scene, leg),
            Report::Reaccepted { leg, sdp, .. } => self.reaccepted(scene, leg, sdp),
            // The switchboard looks up whom it means.
            Report::ReferAsked { .. } => {}
            Report::ReferAnswered { leg, result, .. } => self.refer_answered(scene, leg, result),
            Report::ReferProgress { leg, status, text, .. } => self.refer_progress(scene, leg, status, text),
            Report::Brought { leg, receipt, parcel, .. } => self.brought(scene, leg, receipt, parcel),
            Report::Delivered { leg, receipt, status, .. } => self.delivered(scene, leg, receipt, status),
            Report::Digit { leg, digit, .. } => self.digit_told(scene, leg, digit),
            Report::Ended { leg, cause, .. } => self.leg_ended(scene, leg, cause),
        }
        self.mend(scene);
    }

    pub(crate) fn tell_media(&mut self, scene: &mut Scene<'_>, report: MediaReport) {
        match report {
            MediaReport::Local { leg, sdp, .. } => self.described(scene, leg, sdp),
            MediaReport::Refused { leg, cause, .. } => self.media_refused(scene, leg, cause),
            MediaReport::Silent { party, .. } => self.probe(scene, party),
            MediaReport::Idle { .. } => self.idle(scene),
            // A leg that is to have a place tells its hold when it has that; one that has lost it, nobody any more.
            MediaReport::Direction { leg, listens, .. } if self.leg(leg).is_none_or(|leg| leg.spare) => {
                if let Some(leg) = self.leg_mut(leg) {
                    leg.deaf = !listens;
                }
            }
            MediaReport::Direction { party, sends, listens, .. } => {
                self.direction_changed(scene, party, sends, listens);
                self.watch_held(scene);
            }
            MediaReport::Room { party, room, news, .. } => self.room_told(scene, party, room, news),
            MediaReport::Digit { party, digit, passed, .. } => self.digit_heard(scene, party, (digit, passed)),
            MediaReport::Played { party, play, news, position, .. } => {
                self.played(scene, play, &news);
                self.ordered_played(scene, party, play, (news, position));
            }
            MediaReport::Recorded { recording, news, .. } => {
                self.message_told(scene, recording, &news);
                self.ordered_recorded(scene, recording, &news);
            }
            // For whoever looks after the switch; the call goes on as it is.
            MediaReport::Audio { .. } => {}
            MediaReport::Moved { result, .. } => self.audio_moved(scene, result),
        }
        self.mend(scene);
    }

    // What the features share.

    pub(crate) fn add_leg(&mut self, party: Party, state: LegState) -> LegId {
        // MAX_PLACES for each look for a party bounds the legs of a call far below u16::MAX.
        let id = LegId(u16::try_from(self.legs.len()).unwrap_or(u16::MAX));
        self.legs.push(Leg::blank(id, party, state));
        id
    }

    pub(crate) fn leg_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        self.legs.get_mut(usize::from(id.0))
    }

    /// The leg of the caller that is on the line, or that called in.
    pub(crate) fn caller_leg(&self) -> Option<LegId> {
        self.legs
            .iter()
            .find(|l| {
                l.party == Party::Caller
                    && !l.spare
                    && matches!(l.state, LegState::Offered | LegState::AwaitConfirm | LegState::Up)
            })
            .map(|l| l.id)
    }

    pub(crate) fn live_legs(&self, party: Party) -> SmallVec<[LegId; 4]> {
        let live = self.legs.iter().filter(|l| l.party == party && l.live());
        live.map(|l| l.id).collect()
    }

    pub(crate) fn event(&mut self, scene: &mut Scene<'_>, event: Event) {
        self.event_of(scene, self.owner, event);
    }

    pub(crate) fn settle(&mut self, scene: &mut Scene<'_>, result: Result<(), Failure>) {
        if let Some(ticket) = self.owner
            && !self.settled
        {
            self.settled = true;
            scene.out.outcome(Outcome { ticket, result });
        }
    }

    pub(crate) fn open_media(&mut self, scene: &mut Scene<'_>) {
        self.open_media_in(scene, None);
    }

    /// The same for a party that is to be in a room.
    pub(crate) fn open_media_in(&mut self, scene: &mut Scene<'_>, room: Option<Room>) {
        if !self.media_open {
            self.media_open = true;
            let offer = self.caller_offer.clone();
            scene.out.media(MediaOp::Open {
                call: self.id,
                offer: offer.map(|sdp| (Party::Caller, sdp)),
                codecs: self.codecs.clone(),
                near: self.caller_near,
                room,
            });
        }
    }

    pub(crate) fn hear(&self, scene: &mut Scene<'_>, party: Party, source: Source) {
        if self.media_open {
            let call = self.id;
            scene.out.media(MediaOp::Hear { call, seat: Seat::Of(party), source });
        }
    }

    /// Sets the time of what the call itself waits for.
    pub(crate) fn wait(&mut self, scene: &Scene<'_>, time: Duration) {
        self.set_alarm(scene.now + time, Alarm::Stage);
    }

    pub(crate) fn set_alarm(&mut self, at: Time, alarm: Alarm) {
        self.clear_alarm(alarm);
        let place = self.alarms.partition_point(|(other, _)| *other <= at);
        self.alarms.insert(place, (at, alarm));
    }

    pub(crate) fn clear_alarm(&mut self, alarm: Alarm) {
        self.alarms.retain(|(_, other)| *other != alarm);
    }

    /// When the call wants [`Call::timed_out`].
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.alarms.first().map(|(at, _)| *at)
    }
}
