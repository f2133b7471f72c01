//! Which node a call is on: placing it, losing its node, and taking it elsewhere.

use std::collections::VecDeque;

use bytes::Bytes;
use compact_str::format_compact;
use hookswitch_call::{CallId, MediaOp, MediaReport, Party, Room, RoomNews};
use serde_json::json;

use super::carried::{At, Carried, Old};
use super::reports::Said;
use super::{Asked, Hall, LEAVE_TIME, Media, PATIENCE, no_node};
use crate::NodeId;

impl Media {
    /// Gives a call to a node: that of its room, else the least loaded.
    pub(super) fn place(&mut self, call: CallId) {
        let Some(carried) = self.calls.get(&call) else { return };
        let hall = carried.journal.room().and_then(|room| self.rooms.get(room)).map(|hall| hall.node);
        match self.choose_for(hall) {
            Some(node) => self.open_at(call, node),
            None => self.find_nowhere(call),
        }
    }

    /// Where a room is its members go, while that node answers and is not drained; if it is full, they go nowhere.
    fn choose_for(&mut self, hall: Option<NodeId>) -> Option<NodeId> {
        let Some(hall) = hall.filter(|hall| self.places.holds(*hall)) else {
            return self.places.choose(self.now);
        };
        let takes = self.places.may_take(self.now, hall);
        if takes {
            self.places.gave(hall);
        }
        takes.then_some(hall)
    }

    fn find_nowhere(&mut self, call: CallId) {
        let now = self.now;
        let Some(carried) = self.calls.get_mut(&call) else { return };
        let until = *carried.patience.get_or_insert(now + PATIENCE);
        if carried.journal.agreed().is_empty() {
            carried.at = At::Refused;
            self.refuse(call, &no_node());
        } else {
            carried.at = At::Nowhere { until };
            self.due.insert((until, call));
        }
    }

    /// Asks a node to take a call, with all that it has to know.
    fn open_at(&mut self, call: CallId, node: NodeId) {
        let Some(control) = self.controls.get(usize::from(node.0)) else { return };
        let Some(carried) = self.calls.get_mut(&call) else { return };
        carried.last += 1;
        carried.number = carried.last;
        carried.at = At::Opening { node };
        carried.home = Some(node);
        // The rest is in the journal.
        carried.queue.retain(is_momentary);
        let name = format_compact!("{call}-{}", carried.number);
        carried.names.push(name.clone());
        let body = json!({"control": control, "call": name, "orders": carried.journal.replay()}).to_string();
        let number = carried.number;
        self.by_name.insert(name, (call, number));
        self.settle_hall(call, node);
        self.ask(Asked::Open(call, number, node), node, "POST", "/channel".to_owned(), body);
    }

    /// What came of that.
    pub(super) fn opened(&mut self, call: CallId, number: u32, node: NodeId, result: Option<(u16, Bytes)>) {
        let said = result.and_then(|(status, body)| (status == 200).then(|| Said::read(&body)).flatten());
        let carried = self.calls.get_mut(&call);
        let awaited = carried.filter(|it| it.number == number && it.at == (At::Opening { node }));
        let uuid = said.as_ref().and_then(|said| said.uuid.clone());
        let (Some(carried), Some(uuid)) = (awaited, uuid.clone()) else {
            // Nobody waits for it any more, or it has not been opened.
            return match uuid {
                Some(uuid) => self.free(node, &uuid),
                None => self.not_opened(call, number, node),
            };
        };
        carried.at = At::Open { node, uuid, busy: false };
        carried.patience = None;
        let moved = std::mem::replace(&mut carried.was_open, true);
        if let Some(old) = &mut carried.old {
            old.waited = None;
        }
        for report in said.into_iter().flat_map(|said| said.reports) {
            self.take(call, report, moved);
        }
        if moved {
            self.reports.push_back(MediaReport::Moved { call, result: Ok(()) });
        }
        self.wake(call);
    }

    fn not_opened(&mut self, call: CallId, number: u32, node: NodeId) {
        self.places.rests(self.now, node);
        let Some(carried) = self.calls.get_mut(&call) else { return };
        if carried.number != number {
            return;
        }
        self.forget_name(call, number);
        let Some(carried) = self.calls.get_mut(&call) else { return };
        match &carried.at {
            At::Over { .. } => return self.forget(call),
            At::Opening { node: asked } if *asked == node => {}
            // It has been lost, or given up, meanwhile.
            _ => return,
        }
        if carried.old.as_ref().is_some_and(|old| old.waited.is_some()) {
            return self.go_back(call);
        }
        carried.at = At::Unplaced;
        self.wake(call);
    }

    /// The other node has not taken it: it stays where it was.
    fn go_back(&mut self, call: CallId) {
        let Some(carried) = self.calls.get_mut(&call) else { return };
        let Some(old) = carried.old.take() else { return };
        let mut queue = old.waited.unwrap_or_default();
        queue.append(&mut carried.queue);
        (carried.queue, carried.recordings, carried.number) = (queue, old.recordings, old.number);
        carried.at = At::Open { node: old.node, uuid: old.uuid, busy: false };
        carried.home = Some(old.node);
        // It was to go to a room that is elsewhere.
        let own = self.hall_of(call).is_some_and(|hall| hall == old.node);
        if !own {
            self.keep_out(call);
        }
        self.wake(call);
    }

    fn keep_out(&mut self, call: CallId) {
        let Some(carried) = self.calls.get_mut(&call) else { return };
        let rooms: Vec<(Party, Room)> = carried.journal.untold_rooms();
        for (party, room) in &rooms {
            carried.journal.left(*party, room);
        }
        let joins = |op: &MediaOp| matches!(op, MediaOp::Join { .. });
        carried.queue.retain(|op| !joins(op));
        let refused = |(party, room)| MediaReport::Room { call, party, room, news: RoomNews::Refused(no_node()) };
        self.reports.extend(rooms.into_iter().map(refused));
        self.sync_room(call);
    }

    /// The channel of a call is gone. Another node is to take it.
    pub(super) fn lose(&mut self, call: CallId) {
        let Some(carried) = self.calls.get(&call) else { return };
        if carried.at.node().is_none() {
            return;
        }
        self.leave_node(call);
        if let Some(carried) = self.calls.get_mut(&call) {
            carried.at = At::Unplaced;
        }
        self.wake(call);
    }

    /// What only the present channel knew comes to its end.
    pub(super) fn leave_node(&mut self, call: CallId) {
        self.close_old(call);
        self.forget_old(call);
        let Some(carried) = self.calls.get_mut(&call) else { return };
        let (number, inspects) = (carried.number, std::mem::take(&mut carried.inspects));
        let recordings = std::mem::take(&mut carried.recordings);
        let waiting = |op: &MediaOp| matches!(op, MediaOp::Inspect { .. } | MediaOp::Record { .. });
        carried.queue.retain(|op| !waiting(op));
        let plays = carried.journal.end_plays();
        self.forget_name(call, number);
        self.end_plays(call, plays);
        self.answer_inspects(call, inspects);
        self.end_recordings(call, recordings);
    }

    /// Its node is drained: it goes elsewhere if that is in nobody's way. If not, it is asked again.
    pub(super) fn leave_draining(&mut self, call: CallId) {
        let Some(carried) = self.calls.get(&call) else { return };
        let At::Open { node, busy: false, .. } = &carried.at else { return };
        let node = *node;
        let idle = carried.queue.is_empty() && carried.owed.is_empty() && carried.inspects == 0;
        let leaves = carried.old.as_ref().is_some_and(|old| !old.freed || !old.recordings.is_empty());
        if self.places.holds(node) || !idle || leaves || !carried.journal.is_settled() {
            return;
        }
        let hall = self.hall_of(call);
        if let Some(to) = self.choose_for(hall) {
            self.relocate(call, to);
        }
    }

    /// Takes a call to another node; the one that it leaves carries it on until its parties are told.
    fn relocate(&mut self, call: CallId, to: NodeId) {
        self.close_old(call);
        self.forget_old(call);
        let until = self.now + LEAVE_TIME;
        let Some(carried) = self.calls.get_mut(&call) else { return };
        let At::Open { node, uuid, .. } = carried.at.clone() else { return };
        // The others wait on.
        let waited: VecDeque<MediaOp> = carried.queue.iter().filter(|op| !is_momentary(op)).cloned().collect();
        carried.old = Some(Old {
            node,
            uuid,
            number: carried.number,
            unsettled: carried.journal.agreed(),
            until,
            freed: false,
            recordings: std::mem::take(&mut carried.recordings),
            waited: Some(waited),
        });
        let plays = carried.journal.end_plays();
        self.end_plays(call, plays);
        self.due.insert((until, call));
        self.open_at(call, to);
    }

    /// All who sent to the old node send to the new one.
    pub(super) fn settled(&mut self, call: CallId) {
        self.close_old(call);
    }

    pub(super) fn close_old(&mut self, call: CallId) {
        let Some(old) = self.calls.get_mut(&call).and_then(|carried| carried.old.as_mut()) else { return };
        if !std::mem::replace(&mut old.freed, true) {
            let (node, uuid) = (old.node, old.uuid.clone());
            self.free(node, &uuid);
        }
    }

    /// Nothing is told of the old channel any more.
    pub(super) fn forget_old(&mut self, call: CallId) {
        self.close_old(call);
        let Some(old) = self.calls.get_mut(&call).and_then(|carried| carried.old.take()) else { return };
        self.forget_name(call, old.number);
        self.end_recordings(call, old.recordings);
    }

    pub(super) fn forget_name(&mut self, call: CallId, number: u32) {
        let name = format_compact!("{call}-{number}");
        self.by_name.remove(&name);
        if let Some(carried) = self.calls.get_mut(&call) {
            carried.names.retain(|other| *other != name);
        }
    }
}

/// Rooms.
impl Media {
    /// Where the room of a call is.
    fn hall_of(&self, call: CallId) -> Option<NodeId> {
        let room = self.calls.get(&call)?.journal.room()?;
        self.rooms.get(room).map(|hall| hall.node)
    }

    /// The room of a call is where the call is, if it is nowhere else.
    fn settle_hall(&mut self, call: CallId, node: NodeId) {
        self.sync_room(call);
        let Some(room) = self.calls.get(&call).and_then(|carried| carried.in_room.clone()) else { return };
        if let Some(hall) = self.rooms.get_mut(&room).filter(|hall| !self.places.holds(hall.node)) {
            hall.node = node;
        }
    }

    /// Notes in which room a call is; whoever is the first says where the room is.
    pub(super) fn sync_room(&mut self, call: CallId) {
        let Some(carried) = self.calls.get_mut(&call) else { return };
        let room = carried.journal.room().cloned();
        let before = std::mem::replace(&mut carried.in_room, room.clone());
        let node = carried.at.node();
        if let Some(before) = before.filter(|before| room.as_ref() != Some(before))
            && let Some(hall) = self.rooms.get_mut(&before)
        {
            hall.calls.remove(&call);
            if hall.calls.is_empty() {
                self.rooms.remove(&before);
            }
        }
        if let Some(room) = room {
            match (self.rooms.get_mut(&room), node) {
                (Some(hall), _) => drop(hall.calls.insert(call)),
                (None, Some(node)) => {
                    self.rooms.insert(room, Hall { node, calls: [call].into_iter().collect() });
                }
                // As soon as it is placed.
                (None, None) => {}
            }
        }
    }

    /// A party has been told to come into a room, which may be on another node.
    pub(super) fn follow_room(&mut self, call: CallId) {
        let (Some(hall), Some(carried)) = (self.hall_of(call), self.calls.get(&call)) else { return };
        let node = carried.at.node();
        if node.is_none() || node == Some(hall) {
            return;
        }
        if !self.places.holds(hall) {
            // Its members come here.
            return self.settle_hall(call, node.unwrap_or(hall));
        }
        self.places.gave(hall);
        if matches!(carried.at, At::Open { .. }) {
            self.relocate(call, hall);
        } else {
            // What is being opened is not needed any more.
            self.lose(call);
        }
    }
}

impl Carried {
    /// Whether what is told is of the old channel.
    pub(super) fn is_old(&self, number: u32) -> bool {
        self.old.as_ref().is_some_and(|old| old.number == number)
    }
}

/// It is of a moment: no journal has it, or it may be said again behind what the journal says.
const fn is_momentary(op: &MediaOp) -> bool {
    matches!(op, MediaOp::Digit { .. } | MediaOp::ControlPlay { .. } | MediaOp::Record { .. } | MediaOp::Inspect { .. })
}
