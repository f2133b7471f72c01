//! Datagrams: who gets them, which are lost, and what a session description looks like.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_call::Time;
use hookswitch_media::{Forward, SocketIx};
use hookswitch_shard::Input;
use hookswitch_sip::{Flow, Input as SipInput};

use crate::journal::Fate;
use crate::lab::{Audio, Fortune, Lab};
use crate::mail::{Parcel, Place};
use crate::switch::{SIP_PORT, SWITCH, SWITCH_V6};

/// Room for a packet of any length, in bytes, as the driver gives it.
const ROOM: usize = 2_048;

/// A datagram, for whoever decides whether it is lost.
#[derive(Debug)]
pub struct Letter<'a> {
    /// When it is sent.
    pub at: Time,
    /// Who sends it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// What it holds.
    pub bytes: &'a [u8],
}

impl Letter<'_> {
    /// Whether it is a SIP message whose first line begins so.
    #[must_use]
    pub fn begins(&self, start: &str) -> bool {
        self.bytes.starts_with(start.as_bytes())
    }
}

/// A session description of a phone that wants PCMU at this address.
#[must_use]
pub fn sdp(rtp: SocketAddr, direction: &str) -> String {
    let (ip, port) = (rtp.ip(), rtp.port());
    // The version follows the port: another port is another description.
    format!(
        "v=0\r\no=- 7 {port} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-15\r\na={direction}\r\n"
    )
}

/// Whether this is where the switch is spoken to.
fn is_signalling(address: SocketAddr) -> bool {
    address.port() == SIP_PORT && [SWITCH, SWITCH_V6].contains(&address.ip())
}

impl Lab {
    /// The translator that an address is behind.
    pub(crate) fn nat_of(&self, ip: std::net::IpAddr) -> Option<usize> {
        self.private.get(&ip).copied()
    }

    /// Sends a datagram; chance and the test decide whether it arrives.
    pub(crate) fn send_datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        let from = self.nat_of(from.ip()).map_or(from, |nat| self.nats[nat].outwards(from, to));
        let letter = Letter { at: self.now, from, to, bytes: &bytes };
        // Each is asked, whatever the others say: some of them count.
        let unwanted = self.losers.iter_mut().filter_map(|loses| loses(&letter).then_some(())).count();
        let is_lost = unwanted > 0 || self.dice.percent(self.weather.loss);
        if is_signalling(from) || is_signalling(to) {
            let fate = if is_lost { Fate::Lost } else { Fate::Sent };
            self.journal.message(self.now, from, to, &bytes, fate);
        }
        if is_lost {
            return;
        }
        let copies = if self.dice.percent(self.weather.double) { 2 } else { 1 };
        for _ in 0..copies {
            let at = self.now + self.way();
            self.mail.post(at, Parcel::Datagram { from, to, bytes: bytes.clone() });
        }
    }

    /// How long the next packet is on its way.
    pub(crate) fn way(&mut self) -> Duration {
        let weather = self.weather;
        let detour = if self.dice.percent(weather.late) { self.dice.within(weather.detour) } else { Duration::ZERO };
        weather.delay + self.dice.within(weather.jitter) + detour
    }

    /// A datagram has arrived.
    pub(crate) fn deliver_datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        let nat = self.nats.iter().find(|nat| nat.public() == to.ip());
        let to = match nat.map(|nat| nat.inwards(from, to.port())) {
            // Nobody outside knows the way to a private address.
            None if self.private.contains_key(&to.ip()) => return,
            None => to,
            Some(Some(inside)) => inside,
            // A translator says nothing about ports it has not opened.
            Some(None) => return,
        };
        if let Some(socket) = self.switch.bank.socket(to) {
            self.relay(socket, from, &bytes);
            return;
        }
        let Some(place) = self.addresses.get(&to).copied() else {
            if let Some(ear) = self.ears.get_mut(&to) {
                ear.hear(self.now, from, &bytes);
            }
            return;
        };
        match self.fortune(place) {
            Fortune::Alive => {}
            Fortune::Killed => {
                self.bounce(from, to);
                return;
            }
            Fortune::Vanished => return,
        }
        self.arrive(place, Parcel::Datagram { from, to, bytes });
    }

    /// Its receiver attends to a datagram.
    pub(crate) fn take_datagram(&mut self, place: Place, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        if let Place::Phone(index) = place
            && self.phones[index].phone.config().local != to
        {
            match self.audio {
                Audio::Heard => {
                    self.phones[index].phone.handle_rtp_at(self.now, to, from, &bytes);
                    self.drain_phone(index);
                }
                Audio::Marked => self.hear_mark(to, &bytes),
                Audio::Probed | Audio::Unchecked => {
                    self.ears.entry(to).or_default().hear(self.now, from, &bytes);
                }
            }
            return;
        }
        let input = SipInput::Datagram { flow: Flow::udp(to, from), bytes };
        self.give(place, input);
        self.be_distracted(place);
    }

    /// The system of a host whose program is gone says so.
    fn bounce(&mut self, from: SocketAddr, to: SocketAddr) {
        if let Some(sender) = self.addresses.get(&from).copied() {
            let input = SipInput::Unreachable { flow: Flow::udp(from, to) };
            self.mail.post(self.now + self.weather.delay, Parcel::News { to: sender, input });
        }
    }

    /// Whoever has got something may have something else to do for a moment.
    fn be_distracted(&mut self, place: Place) {
        let Some(chance) = Some(self.weather.pause_every).filter(|every| *every > 0) else { return };
        if self.dice.below(chance) == 0 {
            let pause = self.dice.within(self.weather.pause);
            self.busy.insert(place, self.now + pause);
        }
    }

    pub(crate) fn busy_until(&self, place: Place) -> Option<Time> {
        self.busy.get(&place).copied().filter(|until| *until > self.now)
    }

    /// A SIP input for one of the machines.
    pub(crate) fn give(&mut self, place: Place, input: SipInput) {
        match place {
            Place::Switch => self.tell_switch(Input::Sip(input)),
            Place::Phone(index) => {
                self.assert_drained(place);
                self.phones[index].phone.handle_sip(self.now, input);
                self.drain_phone(index);
            }
            Place::Agent(index) => {
                if let Some(agent) = self.agents.get_mut(index) {
                    agent.endpoint.handle_input(self.now, input);
                    self.drain_agent(index);
                }
            }
        }
    }

    /// One packet goes through the media engine.
    fn relay(&mut self, socket: SocketIx, from: SocketAddr, bytes: &[u8]) {
        let mut packet = bytes.to_vec();
        // Room for what a codec of more bytes makes of it.
        packet.resize(bytes.len().max(ROOM), 0);
        let forward = self.switch.engine.handle_packet(self.now, socket, from, &mut packet, bytes.len());
        let mut ready = Vec::new();
        self.switch.engine.send_ready(&mut |socket, to, bytes| ready.push((socket, to, Bytes::copy_from_slice(bytes))));
        for (socket, to, bytes) in ready {
            self.send_datagram(self.switch.bank.address(socket), to, bytes);
        }
        match forward {
            Forward::Drop(_) => {}
            Forward::Send { socket, to, len } => {
                let from = self.switch.bank.address(socket);
                packet.truncate(len);
                self.send_datagram(from, to, packet.into());
            }
        }
        self.drain_media();
    }

    /// From now on, datagrams of which this says true are lost.
    pub fn lose(&mut self, loses: impl FnMut(&Letter<'_>) -> bool + 'static) {
        self.losers.push(Box::new(loses));
    }

    /// Only chance loses datagrams from now on.
    pub fn lose_no_more(&mut self) {
        self.losers.clear();
    }

    /// A datagram from anywhere: bytes that no machine wrote.
    pub fn throw(&mut self, from: SocketAddr, to: SocketAddr, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        if is_signalling(to) {
            self.journal.message(self.now, from, to, &bytes, Fate::Sent);
        }
        self.mail.post(self.now + self.weather.delay, Parcel::Datagram { from, to, bytes });
    }

    /// A party does nothing for so long; what arrives meanwhile waits for it.
    pub fn pause(&mut self, place: impl Into<Place>, time: Duration) {
        self.busy.insert(place.into(), self.now + time);
    }
}
