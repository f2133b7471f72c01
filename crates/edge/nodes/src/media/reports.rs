//! What nodes say of calls.

use bytes::Bytes;
use compact_str::{CompactString, format_compact};
use hookswitch_call::{
    AudioNews, CallId, Cause, Fault, Kind, MediaReport, PlayNews, RecordNews, RecordingId, RoomNews,
};
use serde::Deserialize;

use super::Media;
use super::carried::{At, Recording};
use crate::Told;

/// An answer of a node, or what it tells.
#[derive(Deserialize)]
pub(super) struct Said {
    /// Its name for the channel.
    #[serde(default)]
    pub(super) uuid: Option<CompactString>,
    /// Our name for it.
    #[serde(default)]
    call: Option<CompactString>,
    #[serde(default)]
    pub(super) reports: Vec<MediaReport>,
    /// `close`: it has ended it by itself.
    #[serde(default)]
    action: Option<CompactString>,
}

impl Said {
    pub(super) fn read(body: &Bytes) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
}

impl Media {
    /// What came of orders.
    pub(super) fn ordered(&mut self, call: CallId, number: u32, result: Option<(u16, Bytes)>) {
        let Some(carried) = self.calls.get_mut(&call).filter(|carried| carried.number == number) else { return };
        let At::Open { node, busy, .. } = &mut carried.at else { return };
        let node = *node;
        *busy = false;
        match result.as_ref().map(|(status, body)| (*status, Said::read(body))) {
            Some((200, Some(said))) => {
                for report in said.reports {
                    self.take(call, report, false);
                }
                self.wake(call);
            }
            // It does not know the call any more.
            Some((404, _)) => self.lose(call),
            None => {
                self.places.rests(self.now, node);
                self.lose(call);
            }
            Some((status, _)) => {
                let text = format_compact!("Media Node Answered {status}");
                self.refuse(call, &Cause { text, ..Cause::new(Kind::Other, Fault::Server) });
                self.wake(call);
            }
        }
    }

    /// What a node tells of itself: the status of our answer.
    pub(super) fn hear(&mut self, told: Told<'_>) -> u16 {
        if told.method != "PUT" || !told.path.starts_with("/channel/") {
            return 404;
        }
        let Ok(said) = serde_json::from_slice::<Said>(told.body) else { return 400 };
        let named = said.call.as_ref().and_then(|name| self.by_name.get(name)).copied();
        let Some((call, number)) = named else { return 404 };
        let Some(carried) = self.calls.get(&call) else { return 404 };
        if carried.is_old(number) {
            self.hear_old(call, said.reports);
            return 200;
        }
        if carried.number != number {
            return 404;
        }
        let moved = carried.was_open && matches!(carried.at, At::Opening { .. });
        for report in said.reports {
            self.take(call, report, moved);
        }
        if said.action.as_deref() == Some("close") {
            match self.calls.get(&call).map(|carried| &carried.at) {
                Some(At::Over { .. }) => self.forget(call),
                _ => self.lose(call),
            }
        }
        200
    }

    /// Of the channel that a call has left only its recordings still matter.
    fn hear_old(&mut self, call: CallId, reports: Vec<MediaReport>) {
        for report in reports.into_iter().filter(|report| report.call() == call) {
            let MediaReport::Recorded { recording, news, .. } = &report else { continue };
            let old = self.calls.get_mut(&call).and_then(|carried| carried.old.as_mut());
            if let Some(old) = old {
                let node = old.node;
                let has_file = note_recording(&mut old.recordings, *recording, news);
                self.recorded.extend(has_file.then_some((node, call, *recording)));
            }
            self.reports.push_back(report);
        }
    }

    /// A report of the present channel; `anew` of one that is told again what another one was told.
    pub(super) fn take(&mut self, call: CallId, report: MediaReport, anew: bool) {
        let Some(carried) = self.calls.get_mut(&call).filter(|_| report.call() == call) else { return };
        let report = match report {
            MediaReport::Local { seat, leg, sdp, .. } => {
                if !carried.owes((seat, leg)) && anew {
                    return;
                }
                MediaReport::Local { call, seat, leg, sdp: carried.continued(leg, sdp) }
            }
            MediaReport::Refused { seat, leg, .. } if !carried.owes((seat, leg)) && anew => return,
            MediaReport::Room { party, ref room, ref news, .. } => {
                match news {
                    RoomNews::Joined(_) if !carried.journal.joined(party, room) && anew => return,
                    RoomNews::Refused(_) => carried.journal.left(party, room),
                    RoomNews::Joined(_) | RoomNews::Left | RoomNews::Speaks(_) => {}
                }
                report
            }
            MediaReport::Played { news: PlayNews::Started, .. } if anew => return,
            MediaReport::Played { party, play, news: PlayNews::Ended(_), .. } => {
                carried.journal.played(party, play);
                report
            }
            MediaReport::Recorded { recording, ref news, .. } => {
                let has_file = note_recording(&mut carried.recordings, recording, news);
                let home = carried.home.filter(|_| has_file);
                self.recorded.extend(home.map(|node| (node, call, recording)));
                report
            }
            MediaReport::Audio { news: AudioNews::Asked, .. } => {
                if carried.inspects == 0 {
                    return;
                }
                carried.inspects -= 1;
                report
            }
            MediaReport::Audio { news: AudioNews::Closed, .. } => {
                if let At::Over { until } = &mut carried.at {
                    *until = self.now;
                }
                report
            }
            // Nodes do not say so; we do.
            MediaReport::Moved { .. } => return,
            report @ (MediaReport::Refused { .. }
            | MediaReport::Silent { .. }
            | MediaReport::Idle { .. }
            | MediaReport::Direction { .. }
            | MediaReport::Played { .. }
            | MediaReport::Digit { .. }
            | MediaReport::Audio { .. }) => report,
        };
        self.reports.push_back(report);
        self.sync_room(call);
        self.forget_silent(call);
    }

    /// The last word has been said, and all recordings are complete.
    fn forget_silent(&mut self, call: CallId) {
        let now = self.now;
        let Some(carried) = self.calls.get(&call) else { return };
        let written = carried.recordings.is_empty() && carried.old.as_ref().is_none_or(|old| old.recordings.is_empty());
        if matches!(carried.at, At::Over { until } if until <= now) && written {
            self.forget(call);
        }
    }
}

/// Notes how a recording goes: whether it is said now that its node has a file of it.
fn note_recording(running: &mut Vec<Recording>, recording: RecordingId, news: &RecordNews) -> bool {
    match news {
        RecordNews::Begun => {
            let those = running.iter_mut().filter(|running| running.recording == recording);
            those.for_each(|running| running.begun = true);
            true
        }
        RecordNews::Loud => false,
        RecordNews::Finished(recorded) => {
            running.retain(|running| running.recording != recording);
            recorded.size > 0
        }
    }
}
