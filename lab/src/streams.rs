//! Connections: ordered bytes that arrive in pieces of any size, and all the ways in which they end.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_call::Time;
use hookswitch_sip::{ConnId, Flow, Input, Transport};

use crate::lab::{Fortune, Lab};
use crate::mail::{Parcel, Place};

/// How long opening may take, as the driver has it by default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a peer may take no byte of what waits for it, as the driver has it by default.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// First port at the near end of connections that somebody opens.
const FIRST_EPHEMERAL: u16 = 40_000;

#[derive(Debug)]
struct End {
    place: Place,
    /// The connection as this end knows it.
    flow: Flow,
    peer: ConnId,
    /// When everything sent to this end so far has arrived.
    settled_at: Time,
    /// Its host takes nothing any more, and the other end will notice.
    is_stalled: bool,
}

/// Names of connections at the switch are below this, all others above.
const FIRST_ELSEWHERE: u64 = 1 << 32;

/// All connections there are.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    ends: HashMap<ConnId, End>,
    by_remote: HashMap<(Place, SocketAddr), ConnId>,
    serial: u64,
    opened: u64,
    /// The switch counts for itself, and from the beginning when it is started again.
    at_switch: u64,
}

impl Streams {
    /// How many connections a party has.
    pub(crate) fn count(&self, place: Place) -> usize {
        self.ends.values().filter(|end| end.place == place).count()
    }

    /// The switch was started again: its driver names connections from the beginning.
    pub(crate) fn count_anew(&mut self) {
        self.at_switch = 0;
    }

    fn name(&mut self, place: Place) -> ConnId {
        if place == Place::Switch {
            self.at_switch += 1;
            return ConnId(self.at_switch);
        }
        self.serial += 1;
        ConnId(FIRST_ELSEWHERE + self.serial)
    }

    fn of(&self, place: Place) -> Vec<ConnId> {
        let mut conns: Vec<ConnId> =
            self.ends.iter().filter(|(_, end)| end.place == place).map(|(conn, _)| *conn).collect();
        conns.sort_unstable();
        conns
    }
}

impl Lab {
    /// Sends bytes over the connection that a flow names, or over any to its far end.
    pub(crate) fn carry_stream(&mut self, from: Place, flow: Flow, bytes: &Bytes) {
        let known = match flow.conn {
            Some(conn) => self.streams.ends.contains_key(&conn).then_some(conn),
            None => match self.streams.by_remote.get(&(from, flow.remote)) {
                Some(conn) => Some(*conn),
                None => match self.open(from, flow) {
                    Some(conn) => Some(conn),
                    None => return,
                },
            },
        };
        let Some(conn) = known else {
            self.mail.post(self.now, Parcel::News { to: from, input: Input::Unreachable { flow } });
            return;
        };
        self.pour(conn, bytes);
    }

    /// Puts bytes into one end of a connection; they come out of the other in pieces.
    fn pour(&mut self, near: ConnId, bytes: &Bytes) {
        let peer = self.streams.ends[&near].peer;
        let mut rest = bytes.clone();
        while !rest.is_empty() {
            let size = 1 + self.dice.below(self.weather.chunk.min(rest.len()) as u64) as usize;
            let size = if self.weather.chunk >= 1_400 { rest.len().min(self.weather.chunk) } else { size };
            let piece = rest.split_to(size);
            let arrives = self.now + self.way();
            let Some(far) = self.streams.ends.get_mut(&peer) else { return };
            far.settled_at = far.settled_at.max(arrives);
            let input = Input::Stream { flow: far.flow, bytes: piece };
            self.mail.post(far.settled_at, Parcel::News { to: far.place, input });
        }
    }

    /// Opens a connection; the bytes that are sent meanwhile wait in it.
    fn open(&mut self, from: Place, flow: Flow) -> Option<ConnId> {
        let listens = |lab: &Self, place: Place| match place {
            Place::Switch => true,
            Place::Phone(index) => {
                let config = lab.phones[index].phone.config();
                config.transport == Transport::Tcp && lab.nat_of(config.local.ip()).is_none()
            }
            Place::Agent(_) => false,
        };
        let to = self.addresses.get(&flow.remote).copied();
        let fortune = to.map(|place| self.fortune(place));
        let Some(to) = to.filter(|place| fortune == Some(Fortune::Alive) && listens(self, *place)) else {
            let wait = if fortune == Some(Fortune::Killed) { self.weather.delay * 2 } else { CONNECT_TIMEOUT };
            self.mail.post(self.now + wait, Parcel::News { to: from, input: Input::Unreachable { flow } });
            return None;
        };
        let (near, far) = (self.streams.name(from), self.streams.name(to));
        self.streams.opened += 1;
        let port = FIRST_EPHEMERAL + (self.streams.opened % 20_000) as u16;
        let here = SocketAddr::new(flow.local.ip(), port);
        let seen = self.nat_of(here.ip()).map_or(here, |nat| self.nats[nat].outwards(here, flow.remote));
        let stream = |local, remote, conn| Flow::connection(Transport::Tcp, local, remote, conn);
        let (near_flow, far_flow) = (stream(here, flow.remote, near), stream(flow.remote, seen, far));
        let (at_far, at_near) = (self.now + self.weather.delay, self.now + self.weather.delay * 2);
        let end = |place, flow, peer, settled_at| End { place, flow, peer, settled_at, is_stalled: false };
        let streams = &mut self.streams;
        streams.ends.insert(near, end(from, near_flow, far, at_near));
        streams.ends.insert(far, end(to, far_flow, near, at_far));
        streams.by_remote.insert((from, flow.remote), near);
        streams.by_remote.insert((to, seen), far);
        self.mail.post(at_near, Parcel::News { to: from, input: Input::Opened { flow: near_flow } });
        self.mail.post(at_far, Parcel::News { to, input: Input::Opened { flow: far_flow } });
        Some(near)
    }

    /// One end closes: the other hears of it behind everything that was sent before.
    pub(crate) fn close(&mut self, flow: Flow) {
        let Some(near) = flow.conn.and_then(|conn| self.forget(conn)) else { return };
        let at = near.settled_at.max(self.now);
        self.mail.post(at, Parcel::News { to: near.place, input: Input::Closed { flow: near.flow } });
        self.close_far(&near);
    }

    fn close_far(&mut self, near: &End) {
        if let Some(far) = self.forget(near.peer) {
            let at = far.settled_at.max(self.now + self.weather.delay);
            self.mail.post(at, Parcel::News { to: far.place, input: Input::Closed { flow: far.flow } });
        }
    }

    fn forget(&mut self, conn: ConnId) -> Option<End> {
        let end = self.streams.ends.remove(&conn)?;
        let key = (end.place, end.flow.remote);
        if self.streams.by_remote.get(&key) == Some(&conn) {
            self.streams.by_remote.remove(&key);
        }
        Some(end)
    }

    /// A connection breaks at both ends.
    pub(crate) fn break_stream(&mut self, conn: ConnId) {
        if let Some(end) = self.streams.ends.get(&conn) {
            let flow = end.flow;
            self.close(flow);
        }
    }

    /// The system of a party that was killed closes its connections.
    pub(crate) fn close_all_of(&mut self, place: Place) {
        for conn in self.streams.of(place) {
            if let Some(near) = self.forget(conn) {
                self.close_far(&near);
            }
        }
    }

    /// Breaks every connection of a party at both ends, as a router does that forgets.
    pub fn break_streams(&mut self, place: Place) {
        for conn in self.streams.of(place) {
            self.break_stream(conn);
        }
        self.settle();
    }

    /// A piece of a stream has reached a host that takes nothing any more.
    pub(crate) fn stall(&mut self, flow: Flow) {
        let Some(end) = flow.conn.and_then(|conn| self.streams.ends.get_mut(&conn)) else { return };
        if !end.is_stalled {
            end.is_stalled = true;
            let conn = end.peer;
            self.mail.post(self.now + STALL_TIMEOUT, Parcel::Break(conn));
        }
    }

    /// A stranger's connection to the switch: bytes that no machine wrote. Returns its name for more.
    pub fn intrude(&mut self, from: SocketAddr) -> Flow {
        let flow = Flow::tcp(from, crate::switch_sip());
        let place = Place::Agent(usize::MAX);
        let (near, far) = (self.streams.name(place), self.streams.name(Place::Switch));
        let near_flow = Flow { conn: Some(near), ..flow };
        let far_flow = Flow { conn: Some(far), ..Flow::tcp(crate::switch_sip(), from) };
        let settled_at = self.now + self.weather.delay;
        let end = |place, flow, peer| End { place, flow, peer, settled_at, is_stalled: false };
        self.streams.ends.insert(near, end(place, near_flow, far));
        self.streams.ends.insert(far, end(Place::Switch, far_flow, near));
        self.streams.by_remote.insert((Place::Switch, from), far);
        self.mail.post(settled_at, Parcel::News { to: Place::Switch, input: Input::Opened { flow: far_flow } });
        near_flow
    }

    /// The stranger sends something.
    pub fn intrude_with(&mut self, stranger: Flow, bytes: &[u8]) {
        let bytes = Bytes::copy_from_slice(bytes);
        self.journal.message(self.now, stranger.local, stranger.remote, &bytes, crate::journal::Fate::Sent);
        if let Some(conn) = stranger.conn.filter(|conn| self.streams.ends.contains_key(conn)) {
            self.pour(conn, &bytes);
        }
    }

    /// Whether the stranger's connection still stands.
    #[must_use]
    pub fn is_open(&self, stranger: Flow) -> bool {
        stranger.conn.is_some_and(|conn| self.streams.ends.contains_key(&conn))
    }

    /// The stranger leaves.
    pub fn leave(&mut self, stranger: Flow) {
        self.close(stranger);
    }
}
