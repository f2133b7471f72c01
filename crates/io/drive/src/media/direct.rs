//! Direct lines: for a party that has talked for a while, a second socket on its port that is connected to it.
//!
//! ```text
//!              DIRECT_AFTER packets to the same address            the address changes, or an error
//!   addressed ─────────────────────────────────────────▶ direct ─────────────────────────────────▶ addressed
//! ```
//!
//! The system looks up no route for what is sent by a connected socket, which is a twentieth of what a relayed packet
//! costs. Nothing else changes: what the party sends arrives at its direct line, what anybody else sends still at the
//! first socket, and the engine, which decides who is heard, gets both under the number of the first.
//!
//! Only for IPv4, whose addresses fit into one word, and only where packets come through a ring.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};

use hookswitch_media::SocketIx;
use hookswitch_net::{UdpRing, connect_beside};
use slab::Slab;

/// Packets in a row to the same address before it gets a direct line: two seconds of an ordinary call. To open and to
/// close one costs as much as it saves in about the same time again.
pub(super) const DIRECT_AFTER: u16 = 100;

/// Direct lines opened between two looks at the network; each takes some tens of microseconds.
const OPEN_BUDGET: usize = 4;

/// At most one descriptor of so many that the process may have is used for direct lines: calls need theirs more.
const DESCRIPTOR_SHARE: u64 = 4;

/// How many direct lines each of so many threads may have, if the process may have so many descriptors.
pub(super) fn most(descriptors: u64, threads: usize) -> usize {
    usize::try_from(descriptors / DESCRIPTOR_SHARE).unwrap_or(usize::MAX) / threads.max(1)
}

/// How a packet leaves.
pub(super) enum Way {
    /// By the socket that the engine named, with the address.
    Addressed,
    /// By the socket in this slot of the ring, which is connected.
    Direct(u32),
}

/// What is sent by one RTP socket.
#[derive(Clone, Copy, Default)]
struct Line {
    /// Where to, in one word: [`word`].
    to: u64,
    course: Course,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Course {
    /// Never direct: not an RTP socket, or not open.
    #[default]
    Never,
    /// So many packets in a row.
    Addressed(u16),
    /// By the direct line with this key.
    Direct(u32),
}

struct Direct {
    socket: UdpSocket,
    beside: SocketIx,
}

/// The direct lines of one thread.
pub(super) struct Directs {
    /// By the number of the RTP socket. Small, because every packet looks here.
    lines: Vec<Line>,
    open: Slab<Direct>,
    /// Their slots in the ring begin here.
    first: u32,
    most: usize,
    /// RTP sockets that are to get one.
    due: Vec<SocketIx>,
    /// Keys of those that are of no use any more.
    stale: Vec<u32>,
}

impl Directs {
    /// None yet. Their slots in the ring begin after so many, and there may be so many of them.
    pub(super) const fn new(first: u32, most: usize) -> Self {
        Self { lines: Vec::new(), open: Slab::new(), first, most, due: Vec::new(), stale: Vec::new() }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// An RTP socket was opened.
    pub(super) fn expect(&mut self, socket: SocketIx) {
        let index = socket.0 as usize;
        if self.lines.len() <= index {
            self.lines.resize(index + 1, Line::default());
        }
        self.lines[index] = Line { to: 0, course: Course::Addressed(0) };
    }

    /// The number by which the engine knows the socket in a slot.
    #[inline]
    pub(super) fn beside(&self, slot: u32) -> SocketIx {
        let direct = slot.checked_sub(self.first).and_then(|key| self.open.get(key as usize));
        direct.map_or(SocketIx(slot), |direct| direct.beside)
    }

    /// How a packet leaves.
    #[inline]
    pub(super) fn way(&mut self, socket: SocketIx, to: SocketAddr) -> Way {
        let (SocketAddr::V4(to), Some(line)) = (to, self.lines.get_mut(socket.0 as usize)) else {
            return Way::Addressed;
        };
        let same = line.to == word(to);
        match line.course {
            Course::Direct(key) if same => return Way::Direct(self.first + key),
            Course::Never => {}
            Course::Addressed(run) if same => {
                line.course = Course::Addressed(run.saturating_add(1));
                if run.saturating_add(1) == DIRECT_AFTER {
                    self.due.push(socket);
                }
            }
            Course::Addressed(_) | Course::Direct(_) => {
                if let Course::Direct(key) = line.course {
                    self.stale.push(key);
                }
                *line = Line { to: word(to), course: Course::Addressed(1) };
            }
        }
        Way::Addressed
    }

    /// A socket has failed. If it was a direct line, its party gets another only after as many packets again.
    pub(super) fn give_up(&mut self, slot: u32) {
        let Some(key) = slot.checked_sub(self.first) else { return };
        let beside = self.open.get(key as usize).map(|direct| direct.beside);
        let line = beside.and_then(|socket| self.lines.get_mut(socket.0 as usize));
        if let Some(line) = line.filter(|line| line.course == Course::Direct(key)) {
            line.course = Course::Addressed(0);
            self.stale.push(key);
        }
    }

    /// Whether there is anything to open or to close.
    #[inline]
    pub(super) fn has_work(&self) -> bool {
        !self.due.is_empty() || !self.stale.is_empty()
    }

    /// Closes what is of no use any more, and opens some of those that are due.
    pub(super) fn settle(&mut self, sockets: &Slab<UdpSocket>, ring: &mut UdpRing) {
        while let Some(key) = self.stale.pop() {
            self.remove(key, ring);
        }
        for _ in 0..OPEN_BUDGET {
            let Some(number) = self.due.pop() else { return };
            let line = self.lines.get(number.0 as usize).copied().unwrap_or_default();
            let is_due = matches!(line.course, Course::Addressed(run) if run >= DIRECT_AFTER);
            // Closed meanwhile, or used for somebody else; or there are enough.
            if !is_due || self.open.len() >= self.most {
                continue;
            }
            let socket = sockets.get(number.0 as usize);
            let course = match socket.and_then(|socket| self.connect(number, socket, address(line.to), ring)) {
                Some(key) => Course::Direct(key),
                // Whatever the reason is, it may have passed by then.
                None => Course::Addressed(0),
            };
            if let Some(line) = self.lines.get_mut(number.0 as usize) {
                line.course = course;
            }
        }
    }

    fn connect(&mut self, beside: SocketIx, socket: &UdpSocket, to: SocketAddrV4, ring: &mut UdpRing) -> Option<u32> {
        let entry = self.open.vacant_entry();
        let key = u32::try_from(entry.key()).ok()?;
        let socket = connect_beside(socket, to.into()).ok()?;
        // A ring with fewer slots refuses.
        ring.watch(self.first.checked_add(key)?, &socket).ok()?;
        entry.insert(Direct { socket, beside });
        Some(key)
    }

    /// An RTP socket is about to be closed, and its direct line with it.
    pub(super) fn close(&mut self, socket: SocketIx, ring: &mut UdpRing) {
        let Some(line) = self.lines.get_mut(socket.0 as usize) else { return };
        if let Course::Direct(key) = std::mem::take(line).course {
            self.remove(key, ring);
        }
    }

    fn remove(&mut self, key: u32, ring: &mut UdpRing) {
        if let Some(direct) = self.open.try_remove(key as usize) {
            ring.forget(self.first + key);
            drop(direct.socket);
        }
    }
}

/// An address in one word, which is never zero.
#[inline]
fn word(address: SocketAddrV4) -> u64 {
    1 << 48 | u64::from(address.ip().to_bits()) << 16 | u64::from(address.port())
}

/// The address that [`word`] made one word of.
fn address(word: u64) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from_bits((word >> 16) as u32), word as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOCKET: SocketIx = SocketIx(4);

    fn phone(port: u16) -> SocketAddr {
        SocketAddr::from(([198, 51, 100, 7], port))
    }

    fn expecting(most: usize) -> Directs {
        let mut directs = Directs::new(10, most);
        directs.expect(SOCKET);
        directs
    }

    fn talk(directs: &mut Directs, to: SocketAddr, packets: u16) {
        for _ in 0..packets {
            assert!(matches!(directs.way(SOCKET, to), Way::Addressed));
        }
    }

    /// A ring and the socket of a party, where the system has rings.
    fn ring() -> Option<(UdpRing, Slab<UdpSocket>)> {
        let ring = UdpRing::new(12).ok()?;
        let mut sockets = Slab::new();
        for _ in 0..=SOCKET.0 {
            sockets.insert(UdpSocket::bind("127.0.0.1:0").unwrap());
        }
        Some((ring, sockets))
    }

    #[test]
    fn an_address_survives_being_one_word() {
        for text in ["0.0.0.0:0", "198.51.100.7:4000", "255.255.255.255:65535"] {
            let whole: SocketAddrV4 = text.parse().unwrap();
            assert_eq!(address(word(whole)), whole);
            assert_ne!(word(whole), 0);
        }
    }

    #[test]
    fn only_a_row_to_one_ipv4_address_is_due() {
        let mut directs = expecting(8);
        for _ in 0..3 {
            talk(&mut directs, phone(1), DIRECT_AFTER - 1);
            talk(&mut directs, phone(2), DIRECT_AFTER - 1);
        }
        talk(&mut directs, "[2001:db8::7]:4000".parse().unwrap(), 3 * DIRECT_AFTER);
        assert!(!directs.has_work());
        talk(&mut directs, phone(2), 1);
        assert_eq!(directs.due, [SOCKET]);
        // Of a socket for reports nothing was said.
        for _ in 0..3 * DIRECT_AFTER {
            assert!(matches!(directs.way(SocketIx(3), phone(1)), Way::Addressed));
        }
        assert_eq!(directs.due, [SOCKET]);
    }

    #[test]
    fn no_more_are_opened_than_the_limit_says_nor_for_a_socket_that_is_used_anew() {
        let Some((mut ring, sockets)) = ring() else { return };
        let to = "127.0.0.1:9".parse().unwrap();
        let mut none = expecting(0);
        talk(&mut none, to, DIRECT_AFTER);
        none.settle(&sockets, &mut ring);
        assert_eq!((none.len(), none.has_work()), (0, false));
        let mut anew = expecting(8);
        talk(&mut anew, to, DIRECT_AFTER);
        anew.close(SOCKET, &mut ring);
        anew.expect(SOCKET);
        anew.settle(&sockets, &mut ring);
        assert_eq!(anew.len(), 0);
        assert_eq!(
            (most(20_000, 1), most(20_000, 4), most(3, 1), most(u64::MAX, 0) > 1_000_000),
            (5_000, 1_250, 0, true)
        );
    }

    #[test]
    fn a_line_is_given_up_when_it_fails_or_its_party_moves() {
        let Some((mut ring, sockets)) = ring() else { return };
        let (here, there) = ("127.0.0.1:9".parse().unwrap(), "127.0.0.1:10".parse().unwrap());
        let mut directs = expecting(8);
        for moves in [false, true] {
            talk(&mut directs, here, DIRECT_AFTER);
            directs.settle(&sockets, &mut ring);
            assert!(matches!(directs.way(SOCKET, here), Way::Direct(10)));
            assert_eq!(directs.beside(10), SOCKET);
            if moves {
                assert!(matches!(directs.way(SOCKET, there), Way::Addressed));
            } else {
                directs.give_up(10);
            }
            assert!(matches!(directs.way(SOCKET, here), Way::Addressed));
            directs.settle(&sockets, &mut ring);
            assert_eq!(directs.len(), 0);
            // Another failure of what is gone, or of a socket that is none, changes nothing.
            directs.give_up(10);
            directs.give_up(2);
            assert!(!directs.has_work());
        }
    }
}
