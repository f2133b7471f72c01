//! What is on its way, in the order of arrival.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;
use hookswitch_call::{MediaOp, MediaReport, Time};
use hookswitch_sip::resolve::{Answer, LookupId};
use hookswitch_sip::{ConnId, Input};

/// Whoever takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The switch's signalling.
    Switch,
    /// A phone, by number.
    Phone(usize),
    /// A hand-made user agent, by number.
    Agent(usize),
}

/// One thing on its way.
#[derive(Debug)]
pub(crate) enum Parcel {
    /// A datagram; who gets it is decided when it arrives.
    Datagram { from: SocketAddr, to: SocketAddr, bytes: Bytes },
    /// News of a stream, or of a datagram that nobody took.
    News { to: Place, input: Input },
    /// A connection breaks.
    Break(ConnId),
    /// From the signalling thread to the media thread.
    Order(MediaOp),
    /// And back.
    Report(MediaReport),
    /// From the name servers to the switch.
    Answer(LookupId, Answer),
}

/// Everything on its way. What arrives at the same moment arrives in the order it was sent.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    parcels: BTreeMap<(Time, u64), Parcel>,
    serial: u64,
    /// What has arrived at parties that do something else just now, first come first.
    held: BTreeMap<Place, VecDeque<Parcel>>,
}

impl Mail {
    pub(crate) fn post(&mut self, at: Time, parcel: Parcel) {
        self.serial += 1;
        self.parcels.insert((at, self.serial), parcel);
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.parcels.keys().next().map(|(at, _)| *at)
    }

    pub(crate) fn take(&mut self, now: Time) -> Option<Parcel> {
        let entry = self.parcels.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }

    /// Keeps something that has arrived until its receiver attends to it.
    pub(crate) fn hold(&mut self, place: Place, parcel: Parcel) {
        self.held.entry(place).or_default().push_back(parcel);
    }

    /// At whom something waits.
    pub(crate) fn holders(&self) -> impl Iterator<Item = Place> {
        self.held.keys().copied()
    }

    pub(crate) fn is_held(&self, place: Place) -> bool {
        self.held.contains_key(&place)
    }

    /// What has waited longest at somebody.
    pub(crate) fn take_held(&mut self, place: Place) -> Option<Parcel> {
        let waiting = self.held.get_mut(&place)?;
        let parcel = waiting.pop_front();
        if waiting.is_empty() {
            self.held.remove(&place);
        }
        parcel
    }

    /// Loses what waits at somebody.
    pub(crate) fn drop_held(&mut self, place: Place) {
        self.held.remove(&place);
    }

    /// Loses what was on its way and is wanted no more.
    pub(crate) fn retain(&mut self, mut wanted: impl FnMut(&Parcel) -> bool) {
        self.parcels.retain(|_, parcel| wanted(parcel));
    }
}
