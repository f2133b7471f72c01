//! The spare seat: a third channel, for as long as somebody is about to take another one's place.
//!
//! ```text
//!                OpenSpare            Swap
//!   ┌─────────┐ ───────────▶ ┌──────────────────┐ ───▶ ┌─────────────────────┐
//!   │ no seat │              │ a newcomer waits │      │ the one that leaves │
//!   └─────────┘ ◀─────────── └──────────────────┘ ◀─── └─────────────────────┘
//!        ▲        CloseSpare                     Swap             │ CloseSpare
//!        └────────────────────────────────────────────────────────┘
//! ```
//!
//! A swap moves whole channels, with sessions, ports, sources and streams: whoever comes back finds
//! everything as it was. What comes to the ports of the spare seat is looked at, so that its source
//! stays known, and goes nowhere. The end that stays hears another source from then on, and what it is
//! sent remains one stream.

use std::net::IpAddr;

use hookswitch_call::{CallId, Party, PlayEnd, Seat, Source, Time};

use crate::channel::Spare;
use crate::config::Ports;
use crate::engine::Engine;
use crate::latch::Latch;

/// The locks of each further channel of a call are counted from a multiple of this on.
pub(crate) const LOCKS_PER_CHANNEL: u32 = 1 << 20;

impl Engine {
    pub(crate) fn open_spare(&mut self, id: CallId, place: Party, near: Option<IpAddr>) {
        let mut channel = self.random.channel();
        let Some(call) = self.call_mut(id).filter(|call| call.spare.is_none()) else {
            return;
        };
        call.spares = call.spares.wrapping_add(1);
        channel.latch = Latch::counting_from(call.spares.wrapping_mul(LOCKS_PER_CHANNEL));
        // Until somebody says how the newcomer sees us.
        channel.near = near.or(call.end(place).near);
        call.spare = Some(Box::new(Spare { place, channel }));
    }

    pub(crate) fn swap(&mut self, now: Time, id: CallId) {
        let Ok(index) = self.index_of(id) else { return };
        // What is played to somebody is for whoever sits there.
        if let Some(place) = self.call(id).and_then(|call| call.spare.as_ref()).map(|spare| spare.place) {
            self.end_player(index, place.into(), PlayEnd::Closed);
        }
        let Some(place) = self.calls.get_mut(index as usize).and_then(|call| call.swap()) else {
            return;
        };
        for seat in [Seat::Of(place), Seat::Spare] {
            let Some(channel) = self.calls.get(index as usize).and_then(|call| call.seat(seat)) else {
                continue;
            };
            let (sockets, generator, keyer) = (channel.sockets, channel.generator, channel.keyer);
            for pair in sockets.iter() {
                self.seat_sockets(pair, index, seat);
            }
            if let Some(generator) = generator.and_then(|key| self.generators.get_mut(key as usize)) {
                generator.seat = seat;
            }
            if let Some(keyer) = keyer.and_then(|key| self.keyers.get_mut(key as usize)) {
                keyer.seat = seat;
            }
        }
        let left = self.calls.get(index as usize).and_then(|call| call.seat(Seat::Spare));
        let heard = left.map_or(Source::Silence, |channel| channel.hears);
        self.stop_keyer(index, Seat::Spare);
        self.hear(now, id, Seat::Spare, Source::Silence);
        self.hear(now, id, place.into(), heard);
        self.listen_for_keys(index);
        self.fit_codecs(now, index);
    }

    pub(crate) fn close_spare(&mut self, now: Time, id: CallId, ports: &mut dyn Ports) {
        let Ok(index) = self.index_of(id) else { return };
        self.silence(index, Seat::Spare);
        let Some(call) = self.calls.get_mut(index as usize) else { return };
        let Some(mut spare) = call.spare.take() else { return };
        self.vacate(now, &mut spare.channel, ports);
        if let Some(call) = self.calls.get_mut(index as usize) {
            call.left.get_or_insert_default().add(&spare.channel.counters);
        }
    }
}
