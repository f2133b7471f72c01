//! Symmetric RTP: learning where a party really sends from, without being fooled.
//!
//! ```text
//!                 packet from the advertised address
//!   ┌──────────┐ ──────────────────────────────────────────▶ ┌────────┐
//!   │ learning │                                             │ locked │ ◀─┐ RELATCH: silent for 2 s, or
//!   └──────────┘ ──────────────────────────────────────────▶ └────────┘ ──┘ the advertised address speaks:
//!      ▲   LATCH_PACKETS in a row from another source             │         LATCH_PACKETS in a row
//!      └──────────────────────────────────────────────────────────┘
//!                       another address is advertised
//! ```
//!
//! While learning, media goes to the advertised address; once locked, to the source. A packet from
//! anybody else is dropped, at most counted as one step towards a lock of its own. That an advertised
//! address may take a stream back while a learned source is still sending is deliberate: a stranger
//! who was quicker than the phone must not keep the call.
//!
//! Ports are used again, and now and then somebody still sends to one from a call before. So whoever has
//! advertised an address of the Internet has [`FIRST_WORD`]: meanwhile other hosts are only observed. An
//! address that the Internet does not route is that of a phone behind NAT, which has to be learned
//! from elsewhere, or of one in our own network: there nobody waits.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hookswitch_call::Time;

/// Packets in a row from a source that was not advertised, before it is believed.
pub const LATCH_PACKETS: u8 = 5;

/// They have to come within this time.
pub const LATCH_WINDOW: Duration = Duration::from_secs(1);

/// A locked source that has been silent for this long may be replaced.
pub const RELATCH_AFTER: Duration = Duration::from_secs(2);

/// So long only the host that was advertised is believed, if it could be reached as it stands.
pub const FIRST_WORD: Duration = Duration::from_secs(1);

/// Sources observed at once. More than one, so that a stranger's packets in between do not keep a
/// phone behind NAT from being learned.
pub const CANDIDATES: usize = 3;

/// When a source is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LatchConfig {
    /// Packets in a row that a source needs; default [`LATCH_PACKETS`].
    pub packets: u8,
    /// Within this time; default [`LATCH_WINDOW`].
    pub window: Duration,
    /// Silence after which a locked source may be replaced; default [`RELATCH_AFTER`].
    pub relatch_after: Duration,
    /// Time that an advertised host has before another is believed; default [`FIRST_WORD`].
    pub first_word: Duration,
}

impl Default for LatchConfig {
    fn default() -> Self {
        Self { packets: LATCH_PACKETS, window: LATCH_WINDOW, relatch_after: RELATCH_AFTER, first_word: FIRST_WORD }
    }
}

#[derive(Debug, Clone, Copy)]
struct Locked {
    source: SocketAddr,
    heard: Time,
}

/// A source that is on its way to a lock.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    source: SocketAddr,
    ssrc: u32,
    /// The sequence number that would carry on its row.
    next: u16,
    count: u8,
    first: Time,
    last: Time,
}

/// Where one party's media comes from and goes to.
#[derive(Debug, Clone, Default)]
pub struct Latch {
    advertised: Option<SocketAddr>,
    /// When it was.
    since: Time,
    locked: Option<Locked>,
    locks: u32,
    candidates: [Option<Candidate>; CANDIDATES],
}

impl Latch {
    /// A latch that counts its locks from here on: of two that feed one stream in turn, none shall
    /// have the numbers of the other.
    #[must_use]
    pub fn counting_from(locks: u32) -> Self {
        Self { locks, ..Self::default() }
    }

    /// Gives a source that was asked to be silent time to speak again.
    pub fn refresh(&mut self, now: Time) {
        if let Some(locked) = &mut self.locked {
            locked.heard = now;
        }
    }

    /// Learns anew if the address differs from the one advertised before; `None` is an address that
    /// nobody can send to, such as a host name. A party that says the same once more keeps its lock,
    /// and is given time to speak again.
    pub fn advertise(&mut self, now: Time, address: Option<SocketAddr>) {
        if self.advertised == address {
            self.refresh(now);
            return;
        }
        *self = Self { advertised: address, since: now, locks: self.locks, ..Self::default() };
    }

    /// Where media for the party goes.
    #[inline]
    #[must_use]
    pub fn destination(&self) -> Option<SocketAddr> {
        match &self.locked {
            Some(locked) => Some(locked.source),
            None => self.advertised,
        }
    }

    /// The source that is believed, if there is one yet.
    #[must_use]
    pub fn source(&self) -> Option<SocketAddr> {
        self.locked.map(|locked| locked.source)
    }

    /// How often a source was locked: packets with another number before them may be another's.
    #[inline]
    #[must_use]
    pub fn locks(&self) -> u32 {
        self.locks
    }

    /// The address in the party's description.
    #[must_use]
    pub fn advertised(&self) -> Option<SocketAddr> {
        self.advertised
    }

    /// Whether a packet that is valid in every other respect may pass.
    #[inline]
    pub fn admit(&mut self, now: Time, config: &LatchConfig, from: SocketAddr, ssrc: u32, sequence: u16) -> bool {
        if let Some(locked) = &mut self.locked
            && locked.source == from
        {
            locked.heard = now;
            return true;
        }
        self.newcomer(now, config, from, ssrc, sequence)
    }

    #[cold]
    fn newcomer(&mut self, now: Time, config: &LatchConfig, from: SocketAddr, ssrc: u32, sequence: u16) -> bool {
        let advertised = self.advertised == Some(from);
        let vacant = self.locked.is_none_or(|locked| now.saturating_sub(locked.heard) >= config.relatch_after);
        if !vacant && !advertised {
            return false;
        }
        let is_too_early = self.has_first_word(now, config, from);
        let proven = (vacant && advertised) || (self.observe(now, config, from, ssrc, sequence) && !is_too_early);
        if proven {
            self.locked = Some(Locked { source: from, heard: now });
            self.locks = self.locks.wrapping_add(1);
            self.candidates = [None; CANDIDATES];
        }
        proven
    }

    /// Whether another host than the one this comes from has the first word now.
    fn has_first_word(&self, now: Time, config: &LatchConfig, from: SocketAddr) -> bool {
        self.locked.is_none()
            && now.saturating_sub(self.since) < config.first_word
            && self.advertised.is_some_and(|address| address.ip() != from.ip() && is_routed(address.ip()))
    }

    /// Notes a packet of a candidate, and says whether that completes its row.
    fn observe(&mut self, now: Time, config: &LatchConfig, from: SocketAddr, ssrc: u32, sequence: u16) -> bool {
        let begun = Candidate { source: from, ssrc, next: sequence.wrapping_add(1), count: 1, first: now, last: now };
        let slot = self.slot_for(now, config, from);
        let count = match slot {
            Some(known) if known.source == from => {
                let in_time = now.saturating_sub(known.first) <= config.window;
                if known.ssrc == ssrc && known.next.wrapping_sub(1) == sequence {
                    // The network has doubled a packet; that proves nothing and spoils nothing.
                    return false;
                }
                if known.ssrc == ssrc && known.next == sequence && in_time {
                    known.next = begun.next;
                    known.count = known.count.saturating_add(1);
                    known.last = now;
                } else {
                    *known = begun;
                }
                known.count
            }
            _ => {
                *slot = Some(begun);
                1
            }
        };
        count >= config.packets
    }

    /// The slot of this source, else a free one, else that of whoever is furthest from a lock.
    fn slot_for(&mut self, now: Time, config: &LatchConfig, from: SocketAddr) -> &mut Option<Candidate> {
        let known = self.candidates.iter().position(|slot| slot.is_some_and(|known| known.source == from));
        let index = known.unwrap_or_else(|| {
            let worth = |slot: &Option<Candidate>| match slot {
                None => (0, Time::ZERO),
                Some(c) if now.saturating_sub(c.last) > config.window => (0, c.last),
                Some(c) => (c.count, c.last),
            };
            let ranked = self.candidates.iter().enumerate();
            ranked.min_by_key(|(_, slot)| worth(slot)).map_or(0, |(index, _)| index)
        });
        // Both searches return an index of the array itself.
        &mut self.candidates[index]
    }
}

/// Whether the Internet routes an address.
fn is_routed(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && b & 0xc0 == 64;
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_documentation() || shared)
        }
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.segments();
            let documentation = a == 0x2001 && b == 0xdb8;
            !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || documentation)
        }
    }
}

/// Reports that come from another port than before are believed after this much silence. Phones
/// report every five seconds or so.
pub const RTCP_RELATCH_AFTER: Duration = Duration::from_secs(15);

/// Where one party's reports come from and go to. It follows the media: the host has to be the same.
#[derive(Debug, Clone, Default)]
pub struct RtcpLatch {
    locked: Option<Locked>,
}

impl RtcpLatch {
    /// Forgets what was learned.
    pub fn reset(&mut self) {
        self.locked = None;
    }

    /// Whether a report may pass. `advertised` is where the party's description wants reports sent.
    pub fn admit(&mut self, now: Time, media: &Latch, advertised: Option<SocketAddr>, from: SocketAddr) -> bool {
        let at_home = media.source().is_none() || media.source() == media.advertised();
        let same_host = media.destination().is_some_and(|address| address.ip() == from.ip());
        let where_asked = at_home && advertised == Some(from);
        if !same_host && !where_asked {
            return false;
        }
        let taken = self.locked.is_some_and(|locked| {
            locked.source != from
                && locked.source.ip() == from.ip()
                && now.saturating_sub(locked.heard) < RTCP_RELATCH_AFTER
        });
        if !taken {
            self.locked = Some(Locked { source: from, heard: now });
        }
        !taken
    }

    /// Where reports for the party go: where its own come from, as long as that is the host of its
    /// media; else where it wanted them, unless its media turned out to come from elsewhere; else
    /// the port above its media's.
    #[must_use]
    pub fn destination(&self, media: &Latch, advertised: Option<SocketAddr>) -> Option<SocketAddr> {
        let target = media.destination();
        let host = target.map(|address| address.ip());
        if let Some(locked) = self.locked
            && host.is_none_or(|host| host == locked.source.ip())
        {
            return Some(locked.source);
        }
        if media.source().is_none() || media.source() == media.advertised() {
            return advertised;
        }
        let target = target?;
        let port = target.port().checked_add(1)?;
        Some(SocketAddr::new(target.ip(), port))
    }
}
