//! Keys that a party presses. All are told; those that the other end has no use for as they are, since it takes no
//! telephone events, hears something else, or there is nobody, go no further. Others come
//! [as sounds](crate::keys_in_sound).

use std::collections::VecDeque;
use std::time::Duration;

use hookswitch_call::{CallId, Digit, MediaReport, Party, Source, Time};
use hookswitch_rtp::{EventReceiver, EventReport, EventReports, Packet, TelephoneEvent};

use crate::channel::Channel;
use crate::engine::Engine;
use crate::keys_in_sound::SoundEar;

/// Listens for the keys of one party.
#[derive(Debug, Default)]
pub(crate) struct Ear {
    receiver: EventReceiver,
    /// There where the party has no events.
    pub sound: Option<Box<SoundEar>>,
    /// It is among [`KeysDown`].
    is_noted: bool,
}

impl Ear {
    fn deadline(&self) -> Option<Time> {
        let sound = self.sound.as_ref().and_then(|sound| sound.deadline());
        [self.receiver.deadline(), sound].into_iter().flatten().min()
    }
}

/// Parties of which a key is down: the end of it may get lost, and then time tells.
#[derive(Debug, Default)]
pub(crate) struct KeysDown {
    /// By call and end, each once.
    parties: Vec<(u32, Party)>,
    next: Option<Time>,
}

impl KeysDown {
    /// When somebody has to look at them.
    pub fn deadline(&self) -> Option<Time> {
        self.next
    }

    pub fn note(&mut self, call: u32, party: Party, ear: &mut Ear) {
        let Some(deadline) = ear.deadline() else {
            return;
        };
        if !ear.is_noted {
            ear.is_noted = true;
            self.parties.push((call, party));
        }
        self.next = Some(self.next.map_or(deadline, |next| next.min(deadline)));
    }
}

/// Whether the keys of a party are told, whatever the other end hears: not where nobody but the party itself hears them.
pub(crate) fn takes_keys(sender: &Channel, other: &Channel) -> bool {
    other.hears == Source::Peer || sender.hears != Source::Echo
}

/// Whether a party takes telephone events.
pub(crate) fn takes_events(party: &Channel) -> bool {
    party.session.is_some_and(|session| session.send.event.is_some())
}

/// Whether the events of the other end go on to a party as they are. One that is on hold hears none of them.
pub(crate) fn hears_events(party: &Channel) -> bool {
    party.hears == Source::Peer && takes_events(party)
}

/// Whoever an event comes from.
#[derive(Clone, Copy)]
pub(crate) struct Presser {
    pub index: u32,
    pub call: CallId,
    pub party: Party,
    /// The other end takes it as it is.
    pub passed: bool,
}

/// Takes a packet of an event.
#[cold]
pub(crate) fn take_event(
    now: Time,
    who: Presser,
    sender: &mut Channel,
    packet: &[u8],
    down: &mut KeysDown,
    reports: &mut VecDeque<MediaReport>,
) {
    let rtp = Packet::parse(packet).ok();
    let event = rtp.and_then(|rtp| Some((rtp, TelephoneEvent::parse(rtp.payload())?)));
    let (Some(ear), Some((rtp, event))) = (&mut sender.keys, event) else {
        return;
    };
    let heard = ear.receiver.packet(now, rtp.marker(), rtp.timestamp(), event);
    down.note(who.index, who.party, ear);
    let clock_rate = sender.session.map_or(0, |session| session.codec.clock_rate);
    tell(who, heard, clock_rate, reports);
}

/// A key is told when it is up again: only then is it known how long it was down.
fn tell(who: Presser, heard: EventReports, clock_rate: u32, reports: &mut VecDeque<MediaReport>) {
    for report in heard {
        if let EventReport::Ended { event, duration } = report
            && let Some(key) = TelephoneEvent::digit_of(event)
        {
            let micros = u64::from(duration) * 1_000_000;
            let time = Duration::from_micros(micros.checked_div(u64::from(clock_rate)).unwrap_or(0));
            let digit = Digit { key, time };
            reports.push_back(MediaReport::Digit { call: who.call, party: who.party, digit, passed: who.passed });
        }
    }
}

impl Engine {
    /// Listens for keys where an end has agreed to telephone events, and for their sounds where it has not and the other
    /// one would take events, or is not there.
    pub(crate) fn listen_for_keys(&mut self, index: u32) {
        let Some(call) = self.calls.get_mut(index as usize) else { return };
        for party in [Party::Caller, Party::Callee] {
            let sends = call.end(party).session.is_some_and(|session| session.receive.event.is_some());
            let sound = call.sound_ear(party).filter(|_| self.config.inband_keys);
            let end = call.end_mut(party);
            if !sends && sound.is_none() {
                end.keys = None;
                continue;
            }
            let ear = end.keys.get_or_insert_default();
            match sound {
                Some(codec) if ear.sound.as_ref().is_some_and(|known| known.is_for(codec)) => {}
                sound => ear.sound = sound.and_then(SoundEar::new).map(Box::new),
            }
        }
        self.lift_what_nobody_holds(index);
    }

    /// Ends events of which nothing has been heard for too long.
    pub(crate) fn lift_keys(&mut self, now: Time) {
        let (calls, reports) = (&mut self.calls, &mut self.reports);
        let mut next: Option<Time> = None;
        let mut lifted = Vec::new();
        self.keys_down.parties.retain(|(index, party)| {
            let Some(call) = calls.get_mut(*index as usize) else { return false };
            let passed = hears_events(call.end(party.other()));
            let who = Presser { index: *index, call: call.id, party: *party, passed };
            let end = call.end_mut(*party);
            let clock_rate = end.session.map_or(0, |session| session.codec.clock_rate);
            let Some(ear) = &mut end.keys else { return false };
            tell(who, ear.receiver.handle_timeout(now), clock_rate, reports);
            if let Some(sound) = ear.sound.as_mut().and_then(|sound| sound.lift(now)) {
                lifted.push((*index, *party, sound));
            }
            let deadline = ear.deadline().filter(|deadline| *deadline > now);
            next = [next, deadline].into_iter().flatten().min();
            ear.is_noted = deadline.is_some();
            ear.is_noted
        });
        self.keys_down.next = next;
        for (index, party, sound) in lifted {
            self.take_sound(now, index, party, sound);
        }
    }
}
