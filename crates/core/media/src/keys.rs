//! Keys that a party presses while the other end takes no telephone events, or while there is nobody: they are told
//! instead.

use std::collections::VecDeque;
use std::time::Duration;

use hookswitch_call::{CallId, Digit, MediaReport, Party, Time};
use hookswitch_rtp::{EventReceiver, EventReport, EventReports, Packet, TelephoneEvent};

use crate::channel::Channel;
use crate::engine::Engine;

/// Listens for the keys of one party.
#[derive(Debug, Default)]
pub(crate) struct Ear {
    receiver: EventReceiver,
    /// It is among [`KeysDown`].
    is_noted: bool,
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

    fn note(&mut self, call: u32, party: Party, ear: &mut Ear) {
        let Some(deadline) = ear.receiver.deadline() else {
            return;
        };
        if !ear.is_noted {
            ear.is_noted = true;
            self.parties.push((call, party));
        }
        self.next = Some(self.next.map_or(deadline, |next| next.min(deadline)));
    }
}

/// Whoever an event comes from.
#[derive(Clone, Copy)]
pub(crate) struct Presser {
    pub index: u32,
    pub call: CallId,
    pub party: Party,
}

/// Takes a packet of an event from a party whose other end has no use for it.
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
            reports.push_back(MediaReport::Digit { call: who.call, party: who.party, digit, passed: false });
        }
    }
}

impl Engine {
    /// Listens for keys where one end has agreed to telephone events and the other has not, or is not there.
    pub(crate) fn listen_for_keys(&mut self, index: u32) {
        let Some(call) = self.calls.get_mut(index as usize) else { return };
        for party in [Party::Caller, Party::Callee] {
            let (end, other) = call.both_mut(party);
            let sends = end.session.is_some_and(|session| session.receive.event.is_some());
            let unheard = other.session.is_none_or(|session| session.send.event.is_none());
            if !(sends && unheard) {
                end.keys = None;
            } else if end.keys.is_none() {
                end.keys = Some(Box::default());
            }
        }
    }

    /// Ends events of which nothing has been heard for too long.
    pub(crate) fn lift_keys(&mut self, now: Time) {
        let (calls, reports) = (&mut self.calls, &mut self.reports);
        let mut next: Option<Time> = None;
        self.keys_down.parties.retain(|(index, party)| {
            let Some(call) = calls.get_mut(*index as usize) else { return false };
            let who = Presser { index: *index, call: call.id, party: *party };
            let end = call.end_mut(*party);
            let clock_rate = end.session.map_or(0, |session| session.codec.clock_rate);
            let Some(ear) = &mut end.keys else { return false };
            tell(who, ear.receiver.handle_timeout(now), clock_rate, reports);
            let deadline = ear.receiver.deadline();
            next = [next, deadline].into_iter().flatten().min();
            ear.is_noted = deadline.is_some();
            ear.is_noted
        });
        self.keys_down.next = next;
    }
}
