//! What is to be said to an engine that carries a call from now on, so that it stands where the one before stood.
//!
//! ```text
//!   Open ─ OpenSpare ─ Hold … ─ descriptions, in the order in which they came ─ Join … ─ Hear … ─ Play …
//! ```
//!
//! Of each seat that is kept which still says something: the last offer and its answer, what it hears, whether it is on hold.
//! An exchange that is over makes the one before it forgotten.

use std::sync::Arc;

use hookswitch_call::{
    Audience, CallId, MediaOp, Part, Party, PlayControl, PlayEnd, PlayId, Room, Sdp, Seat, Soup, Source,
};

/// Most offers of ours to one seat that are kept: the branches of a fork.
const MAX_OFFERS: usize = 16;

/// The two ends, in the order in which they are kept.
const ENDS: [Party; 2] = [Party::Caller, Party::Callee];

/// All that still matters of what was ordered for a call.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    open: MediaOp,
    /// The offer of a party that had made one before anything was ordered.
    offer: Option<(Party, Sdp)>,
    /// For whose place the spare seat is open.
    spare: Option<(Party, MediaOp)>,
    descriptions: Vec<MediaOp>,
    hears: Vec<(Seat, Source)>,
    held: Vec<Party>,
    rooms: Vec<Member>,
    plays: Vec<Played>,
}

#[derive(Clone, Debug)]
struct Member {
    party: Party,
    room: Room,
    part: Part,
    /// The call knows that it is in.
    told: bool,
}

#[derive(Clone, Debug)]
struct Played {
    party: Party,
    play: PlayId,
    soup: Arc<Soup>,
    to: Audience,
    stopped: bool,
    paused: bool,
    /// How much louder than it is kept, in decibels.
    gain_db: i8,
}

impl Played {
    fn is(&self, party: Party, play: PlayId) -> bool {
        (self.party, self.play) == (party, play)
    }

    /// What has it played anew, as loud as it was, and standing still if it did.
    fn replay(&self, call: CallId) -> impl Iterator<Item = MediaOp> + use<> {
        let (party, play) = (self.party, self.play);
        let begins = MediaOp::Play { call, party, play, soup: Arc::clone(&self.soup), to: self.to };
        let gain = (self.gain_db != 0).then_some(PlayControl::Gain(self.gain_db));
        let controls = [gain, self.paused.then_some(PlayControl::Pause)].into_iter().flatten();
        std::iter::once(begins).chain(controls.map(move |control| MediaOp::ControlPlay { call, party, play, control }))
    }
}

const fn seat_of(op: &MediaOp) -> Option<Seat> {
    match op {
        MediaOp::MakeOffer { seat, .. }
        | MediaOp::MakeAnswer { seat, .. }
        | MediaOp::Offered { seat, .. }
        | MediaOp::Accept { seat, .. }
        | MediaOp::Hear { seat, .. } => Some(*seat),
        MediaOp::Open { .. }
        | MediaOp::Hold { .. }
        | MediaOp::OpenSpare { .. }
        | MediaOp::Swap { .. }
        | MediaOp::CloseSpare { .. }
        | MediaOp::Join { .. }
        | MediaOp::Leave { .. }
        | MediaOp::Digit { .. }
        | MediaOp::Play { .. }
        | MediaOp::ControlPlay { .. }
        | MediaOp::Record { .. }
        | MediaOp::Inspect { .. }
        | MediaOp::Close { .. } => None,
    }
}

impl Journal {
    /// Of a call that begins with this [`MediaOp::Open`].
    pub(crate) fn new(mut open: MediaOp) -> Self {
        let offer = if let MediaOp::Open { offer, .. } = &mut open { offer.take() } else { None };
        let (descriptions, hears, held, rooms, plays) = Default::default();
        Self { open, offer, spare: None, descriptions, hears, held, rooms, plays }
    }

    /// Something is ordered.
    pub(crate) fn note(&mut self, op: &MediaOp) {
        match op {
            MediaOp::MakeOffer { .. }
            | MediaOp::MakeAnswer { .. }
            | MediaOp::Offered { .. }
            | MediaOp::Accept { .. } => self.describe(op),
            MediaOp::Hear { seat, source, .. } => {
                self.hears.retain(|(other, _)| other != seat);
                self.hears.push((*seat, *source));
            }
            MediaOp::Hold { party, on, .. } => {
                self.held.retain(|other| other != party);
                if *on {
                    self.held.push(*party);
                }
            }
            MediaOp::OpenSpare { party, .. } if self.spare.is_none() => self.spare = Some((*party, op.clone())),
            MediaOp::Swap { .. } => self.swap(),
            MediaOp::CloseSpare { .. } => self.close_spare(),
            MediaOp::Join { party, room, part, .. } => {
                let told =
                    self.rooms.iter().any(|member| member.party == *party && member.room == *room && member.told);
                self.rooms.retain(|member| member.party != *party);
                self.rooms.push(Member { party: *party, room: room.clone(), part: *part, told });
            }
            MediaOp::Leave { party, room, .. } => self.left(*party, room),
            MediaOp::Play { party, play, soup, to, .. } => {
                // Another version of what is played is as loud as that, and stands still if it did.
                let before = self.plays.iter().find(|other| other.is(*party, *play));
                let (paused, gain_db) = before.map_or((false, 0), |before| (before.paused, before.gain_db));
                self.plays.retain(|other| !other.is(*party, *play));
                let (party, play, to, soup) = (*party, *play, *to, Arc::clone(soup));
                self.plays.push(Played { party, play, soup, to, stopped: false, paused, gain_db });
            }
            MediaOp::ControlPlay { party, play, control, .. } => self.control((*party, *play), *control),
            // Of a moment, or watched by whoever carries the call.
            MediaOp::OpenSpare { .. }
            | MediaOp::Open { .. }
            | MediaOp::Digit { .. }
            | MediaOp::Record { .. }
            | MediaOp::Inspect { .. }
            | MediaOp::Close { .. } => {}
        }
    }

    fn control(&mut self, (party, play): (Party, PlayId), control: PlayControl) {
        let Some(played) = self.plays.iter_mut().find(|other| other.is(party, play)) else { return };
        match control {
            PlayControl::Pause => played.paused = true,
            PlayControl::Resume => played.paused = false,
            PlayControl::Gain(db) => played.gain_db = db,
            PlayControl::Stop => played.stopped = true,
            // Elsewhere it begins anew.
            PlayControl::Seek(_) => {}
        }
    }

    fn describe(&mut self, op: &MediaOp) {
        let Some(seat) = seat_of(op) else { return };
        let leg_of = |op: &MediaOp| if let MediaOp::MakeOffer { leg, .. } = op { Some(*leg) } else { None };
        let leg = leg_of(op);
        let offered =
            self.descriptions.iter().any(|op| matches!(op, MediaOp::Offered { .. }) && seat_of(op) == Some(seat));
        self.descriptions.retain(|other| {
            let over = match (op, other) {
                (MediaOp::MakeOffer { .. }, MediaOp::MakeOffer { .. }) => leg_of(other) == leg,
                (MediaOp::Accept { .. }, other) => !matches!(other, MediaOp::MakeOffer { .. }),
                (MediaOp::Offered { .. }, other) => matches!(other, MediaOp::Offered { .. }),
                (MediaOp::MakeAnswer { .. }, other) => !matches!(other, MediaOp::Offered { .. }),
                _ => false,
            };
            !over || seat_of(other) != Some(seat)
        });
        let answered = matches!(op, MediaOp::Accept { .. }) || matches!(op, MediaOp::MakeAnswer { .. }) && offered;
        if answered && self.offer.as_ref().is_some_and(|(party, _)| Seat::Of(*party) == seat) {
            // It has agreed to something else since.
            self.offer = None;
        }
        let is_offer = |other: &MediaOp| leg_of(other).is_some() && seat_of(other) == Some(seat);
        if leg.is_some()
            && self.descriptions.iter().filter(|other| is_offer(other)).count() >= MAX_OFFERS
            && let Some(oldest) = self.descriptions.iter().position(is_offer)
        {
            self.descriptions.remove(oldest);
        }
        self.descriptions.push(op.clone());
    }

    /// Whoever is in the spare seat has the place from now on, with all that was said to it.
    fn swap(&mut self) {
        let Some((party, _)) = self.spare else { return };
        let (place, call) = (Seat::Of(party), self.open.call());
        if self.offer.as_ref().is_some_and(|(of, _)| *of == party)
            && let Some((_, sdp)) = self.offer.take()
        {
            self.descriptions.insert(0, MediaOp::Offered { call, seat: place, sdp });
        }
        for op in &mut self.descriptions {
            if let MediaOp::MakeOffer { seat, .. }
            | MediaOp::MakeAnswer { seat, .. }
            | MediaOp::Offered { seat, .. }
            | MediaOp::Accept { seat, .. } = op
            {
                *seat = match *seat {
                    Seat::Spare => place,
                    other if other == place => Seat::Spare,
                    other => other,
                };
            }
        }
        // Who leaves hears silence; who comes hears what that one heard.
        self.hears.retain(|(seat, _)| *seat != Seat::Spare);
    }

    fn close_spare(&mut self) {
        self.spare = None;
        self.descriptions.retain(|op| seat_of(op) != Some(Seat::Spare));
        self.hears.retain(|(seat, _)| *seat != Seat::Spare);
    }

    /// All that brings an engine that knows nothing of the call to where it should be.
    pub(crate) fn replay(&self) -> Vec<MediaOp> {
        let mut open = self.open.clone();
        let call = open.call();
        let first = self.rooms.first().map(|member| member.room.clone());
        if let MediaOp::Open { offer, room, .. } = &mut open {
            offer.clone_from(&self.offer);
            *room = first.or_else(|| room.take());
        }
        let mut ops = vec![open];
        ops.extend(self.spare.as_ref().map(|(_, op)| op.clone()));
        ops.extend(self.held.iter().map(|party| MediaOp::Hold { call, party: *party, on: true }));
        ops.extend(self.descriptions.iter().cloned());
        ops.extend(self.rooms.iter().map(|Member { party, room, part, .. }| MediaOp::Join {
            call,
            party: *party,
            room: room.clone(),
            part: *part,
        }));
        ops.extend(self.hears.iter().map(|(seat, source)| MediaOp::Hear { call, seat: *seat, source: *source }));
        ops.extend(self.plays.iter().filter(|played| !played.stopped).flat_map(|played| played.replay(call)));
        ops
    }

    /// The room that it is in, or is to be in.
    pub(crate) fn room(&self) -> Option<&Room> {
        let wanted = if let MediaOp::Open { room, .. } = &self.open { room.as_ref() } else { None };
        self.rooms.first().map(|member| &member.room).or(wanted)
    }

    /// A party is in a room: whether the call did not know.
    pub(crate) fn joined(&mut self, party: Party, room: &Room) -> bool {
        let member = self.rooms.iter_mut().find(|member| member.party == party && member.room == *room);
        member.is_some_and(|member| !std::mem::replace(&mut member.told, true))
    }

    /// It could not come in, or is out of it.
    pub(crate) fn left(&mut self, party: Party, room: &Room) {
        self.rooms.retain(|member| member.party != party || member.room != *room);
        if let MediaOp::Open { room: wanted, .. } = &mut self.open {
            wanted.take_if(|wanted| wanted == room);
        }
    }

    /// Nobody is in a room any more. Gives those who waited to come in.
    pub(crate) fn forget_rooms(&mut self) -> Vec<(Party, Room)> {
        if let MediaOp::Open { room, .. } = &mut self.open {
            *room = None;
        }
        let untold = self.untold_rooms();
        self.rooms.clear();
        untold
    }

    /// Who waits to come in, and where.
    pub(crate) fn untold_rooms(&self) -> Vec<(Party, Room)> {
        let untold = self.rooms.iter().filter(|member| !member.told);
        untold.map(|member| (member.party, member.room.clone())).collect()
    }

    /// Nothing is played any more. Gives what was.
    pub(crate) fn forget_plays(&mut self) -> Vec<(Party, PlayId)> {
        self.plays.drain(..).map(|played| (played.party, played.play)).collect()
    }

    /// Something is not played any more.
    pub(crate) fn played(&mut self, party: Party, play: PlayId) {
        self.plays.retain(|other| !other.is(party, play));
    }

    /// The engine that played is gone: what is not played anew ends, and why.
    pub(crate) fn end_plays(&mut self) -> Vec<(Party, PlayId, PlayEnd)> {
        let mut ended = Vec::new();
        for (index, played) in self.plays.iter().enumerate() {
            let newer = |other: &Played| other.party == played.party && other.to == played.to;
            let replaced = self.plays.iter().skip(index + 1).any(newer);
            if played.stopped || replaced {
                let end = if played.stopped { PlayEnd::Stopped } else { PlayEnd::Replaced };
                ended.push((played.party, played.play, end));
            }
        }
        self.plays.retain(|played| !ended.iter().any(|(party, play, _)| played.is(*party, *play)));
        ended
    }

    /// Who has agreed to a session.
    pub(crate) fn agreed(&self) -> Vec<Seat> {
        let ends = ENDS.into_iter().map(Seat::Of);
        ends.filter(|seat| self.descriptions.iter().any(|op| agrees(op) && seat_of(op) == Some(*seat))).collect()
    }

    /// Somebody has agreed, and nobody owes an answer: it can be carried elsewhere without being in anybody's way.
    pub(crate) fn is_settled(&self) -> bool {
        let answered = |seat| {
            let mut of_seat = self.descriptions.iter().rev().filter(move |op| seat_of(op) == Some(seat));
            of_seat.next().is_none_or(agrees)
        };
        self.spare.is_none() && !self.agreed().is_empty() && ENDS.into_iter().map(Seat::Of).all(answered)
    }
}

const fn agrees(op: &MediaOp) -> bool {
    matches!(op, MediaOp::Accept { .. } | MediaOp::MakeAnswer { .. })
}

#[cfg(test)]
mod tests;
