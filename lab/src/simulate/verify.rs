//! What must be true while calls stand: what was told is what the wire says, and audio flows accordingly.

use std::net::SocketAddr;

use hookswitch_call::{CallId, Event, Party};
use hookswitch_phone::{CallView, Hold, Line, Phase};

use super::play::Play;
use crate::lab::PhoneId;
use crate::millis;
use crate::switch::joined;

/// Marked packets of each call: enough for a new source to be believed.
const PACKETS: u16 = 8;

/// One end of a conversation.
#[derive(Debug, Clone, Copy)]
struct End {
    phone: PhoneId,
    line: Line,
    local: SocketAddr,
    remote: Option<SocketAddr>,
    codec: Option<&'static str>,
    hold: Hold,
    sends: bool,
    receives: bool,
}

/// Two phones that talk through a call, and what was told of their holds: caller first.
#[derive(Debug)]
struct Talk {
    /// For the message of a violation.
    #[allow(dead_code)]
    call: CallId,
    ends: [End; 2],
    held: [bool; 2],
    held_by: [bool; 2],
}

impl Talk {
    fn is_held(&self) -> bool {
        self.held.contains(&true) || self.held_by.contains(&true)
    }
}

impl Play {
    /// Checks everything that can be checked while calls stand.
    pub(super) fn verify(&mut self) {
        self.no_phone_talks_to_nobody();
        if !self.lab.heard_by(self.app).running().is_empty() {
            // A command may be changing any of this just now.
            return;
        }
        let talks: Vec<Talk> = self.lab.calls().into_iter().filter_map(|call| self.talk(call)).collect();
        talks.iter().for_each(|talk| self.descriptions_agree(talk));
        talks.iter().for_each(holds_are_true);
        self.audio_flows(&talks);
    }

    fn no_phone_talks_to_nobody(&self) {
        let mut known = Vec::new();
        for call in self.lab.calls() {
            if let Some(record) = self.lab.switch.shard.record(call) {
                known.extend(record.call.legs.iter().filter_map(|leg| leg.wire_id.clone()));
            }
        }
        for phone in &self.phones {
            let phone = &self.lab.handset(*phone).phone;
            for call in phone.calls().filter(|call| call.phase == Phase::Talking) {
                let (user, id) = (&phone.config().user, call.call_id);
                assert!(known.iter().any(|known| known == id), "{user} talks to nobody in {id}");
            }
        }
    }

    /// A call in which both parties talk, if nothing is under way in it.
    fn talk(&self, call: CallId) -> Option<Talk> {
        let record = self.lab.switch.shard.record(call)?;
        let [caller, callee] = joined(&record);
        let end = |wire_id: &str| {
            self.phones.iter().find_map(|phone| {
                let is_it =
                    |view: &CallView<'_>| view.call_id == wire_id && view.phase == Phase::Talking && !view.is_changing;
                let view = self.lab.handset(*phone).phone.calls().find(is_it)?;
                let CallView { line, local, remote, codec, hold, sends, receives, .. } = view;
                Some(End { phone: *phone, line, local, remote, codec, hold, sends, receives })
            })
        };
        let ends = [end(&caller?.1?)?, end(&callee?.1?)?];
        let (mut is_bridged, mut is_moving) = (false, false);
        let (mut held, mut held_by) = ([false; 2], [false; 2]);
        let place = |party: Party| usize::from(party == Party::Callee);
        for told in self.lab.told().iter().filter(|told| told.call == call) {
            match &told.event {
                Event::Bridged => is_bridged = true,
                Event::Held { party, hold } => held[place(*party)] = *hold,
                Event::HeldBy { party, hold } => held_by[place(*party)] = *hold,
                Event::Transferring { .. } | Event::TransferStarted { .. } => is_moving = true,
                Event::Transferred | Event::TransferFailed { .. } => is_moving = false,
                Event::Replaced { party, .. } => {
                    // Whoever takes a seat comes without the holds of whom it replaces.
                    held[place(*party)] = false;
                    held_by[place(*party)] = false;
                }
                Event::Ended { .. } => is_bridged = false,
                Event::Incoming { .. }
                | Event::Connecting { .. }
                | Event::Started { .. }
                | Event::Dialing { .. }
                | Event::Progress { .. }
                | Event::Answered { .. }
                | Event::Noticed { .. }
                | Event::HoldAccepted { .. }
                | Event::HoldAsked { .. }
                | Event::Diverted { .. }
                | Event::InRoom { .. }
                | Event::Audio { .. }
                | Event::TransferProgress { .. }
                | Event::LegEnded { .. } => {}
            }
        }
        (is_bridged && !is_moving).then_some(Talk { call, ends, held, held_by })
    }

    fn descriptions_agree(&self, talk: &Talk) {
        let [caller, callee] = &talk.ends;
        // Not always to the same one: what differs is transcoded.
        assert!(caller.codec.is_some() && callee.codec.is_some(), "a party has agreed to no codec: {talk:?}");
        for end in &talk.ends {
            let is_ours = end.remote.is_some_and(|remote| self.lab.switch.bank.socket(remote).is_some());
            assert!(is_ours, "a party sends its audio to a port that nobody has: {talk:?}");
        }
        if !talk.is_held() {
            for end in talk.ends.iter().filter(|end| end.hold == Hold::Off) {
                assert!(end.sends && end.receives, "nobody is on hold, and a party does not talk: {talk:?}");
            }
        }
    }

    fn audio_flows(&mut self, talks: &[Talk]) {
        self.lab.take_marks();
        for serial in 0..PACKETS {
            for phone in self.phones.clone() {
                self.lab.mark(phone, serial);
            }
            self.lab.pass(millis(20));
        }
        self.lab.pass(millis(100));
        let marks = self.lab.take_marks();
        for talk in talks {
            let [caller, callee] = &talk.ends;
            for (from, to) in [(caller, callee), (callee, caller)] {
                let is_from = |mark: &&crate::marks::Mark| {
                    mark.to == to.local && mark.voice.phone == from.phone && mark.voice.line == from.line
                };
                let heard = marks.iter().filter(is_from).count();
                let strange = marks.iter().filter(|mark| mark.to == to.local).count() - heard;
                let flows = from.sends && to.receives && !talk.is_held();
                // A phone that has forgotten a call is still in it as the switch sees it.
                assert!(strange == 0 || self.has_forgotten, "a party hears somebody of another call: {talk:?}");
                // What is turned from one codec into another has lost its marks.
                let is_marked = caller.codec == callee.codec;
                assert!(!flows || !is_marked || heard > 0, "a party does not hear the other one: {talk:?}");
                assert!(flows || heard == 0, "a party on hold hears the other one: {talk:?}");
            }
        }
    }
}

fn holds_are_true(talk: &Talk) {
    for (place, end) in talk.ends.iter().enumerate() {
        let pressed = end.hold != Hold::Off;
        assert!(!talk.held[place] || !end.sends, "a party is told to be on hold, and sends: {talk:?}");
        assert_eq!(talk.held_by[place], pressed, "what was told of a party's own hold is not so: {talk:?}");
    }
}
