//! What parties send each other within a call: keys, signals of applications, text.

use compact_str::{CompactString, format_compact};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::machine::{Call, Scene, State};
use crate::words::{Digit, Event, LegId, MediaOp, Op, OrderNews, Parcel, ParcelKind, Party, Source};

/// Most parcels of one call that are under way at once; more are refused.
pub const MAX_PARCELS: usize = 16;

/// The sender is told so when nobody is there who could take it.
const UNAVAILABLE: u16 = 480;
/// The same when a service is, which takes none.
const NOT_ACCEPTABLE: u16 = 488;
/// The same when [`MAX_PARCELS`] is reached.
const OVERLOADED: u16 = 503;

/// Parcels under way.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Parcels {
    sent: u32,
    waiting: SmallVec<[Waiting; 2]>,
}

/// One that the addressee has not answered yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Waiting {
    receipt: u64,
    to: LegId,
    /// Who is told how it went, and under which number; nobody for a key.
    from: Option<(LegId, u64)>,
}

impl Call {
    /// A party sends something: it goes to the other one, on hold or not.
    pub(crate) fn brought(&mut self, scene: &mut Scene<'_>, leg: LegId, receipt: u64, parcel: Parcel) {
        let Some(sender) = self.leg(leg).filter(|leg| leg.live()) else { return };
        let (party, spare) = (sender.party.other(), sender.spare);
        // One that waits to leave, or to come, talks to nobody.
        let sent = if spare { Err(UNAVAILABLE) } else { self.deliver(scene, party, parcel, Some((leg, receipt))) };
        if let Err(status) = sent {
            scene.out.op(Op::Receipt { call: self.id, leg, receipt, status });
        }
    }

    fn deliver(
        &mut self,
        scene: &mut Scene<'_>,
        party: Party,
        parcel: Parcel,
        from: Option<(LegId, u64)>,
    ) -> Result<(), u16> {
        let call = self.id;
        let to = self.end_of(party).filter(|_| self.state == State::Talking).ok_or(UNAVAILABLE)?;
        if self.service(party).is_some() {
            return Err(NOT_ACCEPTABLE);
        }
        let parcels = self.parcels.get_or_insert_default();
        if parcels.waiting.len() >= MAX_PARCELS {
            return Err(OVERLOADED);
        }
        // A leg may pass to another call, which must not take the receipt for one of its own.
        let receipt = call.0.rotate_left(32) ^ u64::from(parcels.sent);
        parcels.sent = parcels.sent.wrapping_add(1);
        parcels.waiting.push(Waiting { receipt, to, from });
        scene.out.op(Op::Deliver { call, leg: to, receipt, parcel });
        Ok(())
    }

    /// The addressee has answered, and so is the sender.
    pub(crate) fn delivered(&mut self, scene: &mut Scene<'_>, leg: LegId, receipt: u64, status: u16) {
        let call = self.id;
        let Some(parcels) = self.parcels.as_mut() else { return };
        let ours = |waiting: &Waiting| waiting.to == leg && waiting.receipt == receipt;
        let Some(place) = parcels.waiting.iter().position(ours) else { return };
        if let Some((leg, receipt)) = parcels.waiting.remove(place).from {
            scene.out.op(Op::Receipt { call, leg, receipt, status });
        }
    }

    /// Whoever is over answers nothing any more, and need not be told.
    pub(crate) fn forget_parcels(&mut self, scene: &mut Scene<'_>, gone: LegId) {
        let call = self.id;
        let Some(parcels) = self.parcels.as_mut() else { return };
        parcels.waiting.retain(|waiting| waiting.from.is_none_or(|(leg, _)| leg != gone));
        let lost: SmallVec<[Waiting; 2]> = parcels.waiting.iter().filter(|one| one.to == gone).cloned().collect();
        parcels.waiting.retain(|waiting| waiting.to != gone);
        for (leg, receipt) in lost.into_iter().filter_map(|waiting| waiting.from) {
            scene.out.op(Op::Receipt { call, leg, receipt, status: UNAVAILABLE });
        }
    }

    /// A party has pressed a key, says its carrier.
    pub(crate) fn digit_told(&mut self, scene: &mut Scene<'_>, leg: LegId, digit: Digit) {
        // One that waits to leave, or to come, talks to nobody.
        let Some(party) = self.leg(leg).map(|leg| leg.party).filter(|party| self.end_of(*party) == Some(leg)) else {
            return;
        };
        self.interrupt_play(scene, party, false);
        if self.take_key(scene, party, digit) {
            return;
        }
        self.send_digit(scene, party.other(), digit);
    }

    /// A party has pressed a key, which the media engine heard, and may have passed on.
    pub(crate) fn digit_heard(&mut self, scene: &mut Scene<'_>, party: Party, (digit, passed): (Digit, bool)) {
        self.interrupt_play(scene, party, true);
        if !self.take_key(scene, party, digit) && !passed {
            self.send_digit(scene, party.other(), digit);
        }
    }

    /// Tells of a key. Whether it is for a service or for a command, and not for the other party.
    fn take_key(&mut self, scene: &mut Scene<'_>, party: Party, digit: Digit) -> bool {
        if self.state == State::Talking {
            self.event_of(scene, None, Event::Audio { party, news: OrderNews::Key(digit) });
        }
        if self.is_served(party) {
            self.key_pressed(scene, digit);
            return true;
        }
        self.collect_key(scene, party, digit)
    }

    /// In the audio, where that runs through here: as an event, or as its sound. Not to a party that hears something else,
    /// on hold for example.
    fn send_digit(&mut self, scene: &mut Scene<'_>, party: Party, digit: Digit) {
        if !self.anchored {
            // A key that nobody can take is lost, as in the audio.
            let _ = self.deliver(scene, party, dtmf_relay(digit), None);
        } else if self.state == State::Talking && self.audio(party) == Source::Peer {
            scene.out.media(MediaOp::Digit { call: self.id, party, digit });
        }
    }
}

/// The form in which phones tell keys by signalling.
fn dtmf_relay(digit: Digit) -> Parcel {
    let body = format_compact!("Signal={}\r\nDuration={}\r\n", digit.key, digit.time.as_millis());
    Parcel {
        kind: ParcelKind::Info,
        content_type: CompactString::const_new("application/dtmf-relay"),
        body: body.as_bytes().into(),
    }
}
