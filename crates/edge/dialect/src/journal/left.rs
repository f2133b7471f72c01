//! Calls that a server beyond us carries go on when the program ends. What has been told of each is kept beside the log until it
//! is over, so that the next start knows them.
//!
//! ```text
//!   told ──▶ its story, stored with the events ── a restart ──▶ LeftCall ──▶ whoever asks that server whether it still stands
//! ```

use compact_str::CompactString;
use hookswitch_call::{CallId, Event, Time, Told};
use serde::{Deserialize, Serialize};

use super::machine::OpenCall;

/// Most events that are kept of one call, besides that which says that its parties talk.
pub const MAX_STORY: usize = 24;

/// Something that was told of a call, and when.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Chapter {
    /// When.
    #[serde(rename = "t")]
    pub at: Time,
    /// What.
    #[serde(rename = "e")]
    pub event: Event,
}

/// A call that had not ended when the program did.
#[derive(Clone, PartialEq, Debug)]
pub struct LeftCall {
    /// Which call.
    pub call: CallId,
    /// What was told of it, as far as its parties, its legs and its state come of that.
    pub story: Vec<Chapter>,
    /// The webhook that it has of its own, by name.
    pub webhook: Option<CompactString>,
}

impl LeftCall {
    /// What was told of it, as it was told.
    pub fn told(&self) -> impl Iterator<Item = Told> {
        let told = |(seq, chapter): (u32, &Chapter)| Told {
            at: chapter.at,
            seq,
            call: self.call,
            owner: None,
            event: chapter.event.clone(),
        };
        (0..).zip(&self.story).map(told)
    }
}

impl OpenCall {
    /// Notes what is told of a call that a server beyond us carries.
    pub(super) fn note(&mut self, told: &Told) {
        let is_new = told.event != Event::Bridged || !self.story.iter().any(|chapter| chapter.event == Event::Bridged);
        let has_room = self.story.len() < MAX_STORY || told.event == Event::Bridged;
        if told.call.is_beyond() && is_new && has_room && tells_who_and_how_far(&told.event) {
            self.story.push(Chapter { at: told.at, event: told.event.clone() });
        }
    }
}

/// Whether parties, legs or the state of a call come of an event.
const fn tells_who_and_how_far(event: &Event) -> bool {
    match event {
        Event::Started { .. }
        | Event::Noticed { .. }
        | Event::Dialing { .. }
        | Event::Answered { .. }
        | Event::Bridged
        | Event::LegEnded { .. }
        | Event::Transferring { .. }
        | Event::Transferred
        | Event::TransferFailed { .. }
        | Event::Progress { status: 180..=189, .. } => true,
        Event::Incoming { .. }
        | Event::Connecting { .. }
        | Event::Progress { .. }
        | Event::HoldAccepted { .. }
        | Event::HoldAsked { .. }
        | Event::Held { .. }
        | Event::HeldBy { .. }
        | Event::Diverted { .. }
        | Event::Replaced { .. }
        | Event::TransferStarted { .. }
        | Event::TransferProgress { .. }
        | Event::InRoom { .. }
        | Event::Audio { .. }
        | Event::Ended { .. } => false,
    }
}
