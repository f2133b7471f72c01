//! A call that goes on in another engine: all that is known of it is handed over, with its sockets, and no party
//! notices.
//!
//! ```text
//!   hand_over ──▶ Moved ── the sockets go along, and get numbers of the other thread ──▶ take_over
//! ```
//!
//! A room is mixed by one engine. Whoever comes into one that another engine mixes moves there. What is made here for a
//! party goes on there: hold music, the recordings of it. What is played to it ends, and a key that is down is lost.

use hookswitch_call::{CallId, Party, Seat, Source, Time};

use crate::channel::Call;
use crate::config::PortPair;
use crate::engine::{Engine, SEATS};
use crate::files::FileId;
use crate::recordings::Moving;

/// A call between two engines.
#[derive(Debug)]
pub struct Moved {
    call: Box<Call>,
    /// What those hear to whom something is sent from here.
    hear: Vec<(Seat, Source)>,
    recordings: Vec<Moving>,
}

impl Moved {
    /// Which call.
    #[must_use]
    pub fn call(&self) -> CallId {
        self.call.id
    }

    /// Its sockets, by their numbers where it comes from.
    pub fn pairs(&self) -> impl Iterator<Item = PortPair> + '_ {
        self.call.channels().flat_map(|channel| channel.sockets.iter())
    }

    /// The files that are written for it, by their names where it comes from.
    pub fn files(&self) -> impl Iterator<Item = FileId> + '_ {
        self.recordings.iter().map(|moving| moving.file)
    }
}

impl Engine {
    /// Hands a call over, as it is. None if there is no such call. Its sockets are nobody's from then on.
    pub fn hand_over(&mut self, now: Time, id: CallId) -> Option<Box<Moved>> {
        for party in [Party::Caller, Party::Callee] {
            self.leave(id, party, None);
        }
        let index = self.index_of(id).ok()?;
        let mut hear = Vec::new();
        for seat in SEATS {
            let source = self.calls.get(index as usize).and_then(|call| call.seat(seat)).map(|channel| channel.hears);
            hear.extend(source.filter(|source| *source != Source::Silence).map(|source| (seat, source)));
            self.silence(index, seat);
            self.hear(now, id, seat, Source::Silence);
        }
        let recordings = self.recordings_of(index);
        let mut call = self.forget_call(id, index)?;
        for channel in call.channels_mut() {
            // Both are made anew where they are needed.
            (channel.keys, channel.transcoder) = (None, None);
        }
        let moved = Moved { call, hear, recordings };
        for pair in moved.pairs() {
            self.unseat_sockets(pair);
        }
        Some(Box::new(moved))
    }

    /// Takes a call over. `pairs` are its sockets as they are numbered here, in the order of [`Moved::pairs`]. Under
    /// which names its files are written from now on, in the order of [`Moved::files`].
    pub fn take_over(&mut self, now: Time, moved: Moved, pairs: &[PortPair]) -> Vec<FileId> {
        let Moved { mut call, hear, recordings } = moved;
        let id = call.id;
        let mut numbered = pairs.iter().copied();
        for channel in call.channels_mut() {
            channel.sockets.renumber(&mut numbered);
        }
        let index = self.remember_call(call);
        for seat in SEATS {
            let channel = self.calls.get(index as usize).and_then(|call| call.seat(seat));
            let sockets = channel.map(|channel| channel.sockets).unwrap_or_default();
            for pair in sockets.iter() {
                self.assign(pair, index, seat);
                self.port_pairs += 1;
            }
        }
        let files = self.go_on_recording(index, recordings);
        for (seat, source) in hear {
            self.hear(now, id, seat, source);
        }
        self.listen_for_keys(index);
        self.fit_codecs(now, index);
        files
    }
}
