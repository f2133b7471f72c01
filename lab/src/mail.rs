//! What is on its way, in the order of arrival.

use std::collections::BTreeMap;
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

    /// Loses what was on its way and is wanted no more.
    pub(crate) fn retain(&mut self, mut wanted: impl FnMut(&Parcel) -> bool) {
        self.parcels.retain(|_, parcel| wanted(parcel));
    }
}
