//! The audio of calls on media nodes: all seats of a call on one channel of one node, and calls of one room on one node.
//!
//! ```text
//!                 ┌──────── nobody has room: a new call is refused, another waits ──▶ Nowhere ── too long ──▶ it ends
//!                 │                                                                     │ a node is there
//!   Open ─▶ Unplaced ── POST /channel ──▶ Opening ── uuid ──▶ Open ◀──────────────────┘
//!                 ▲        not taken: another ◀─┘                │ PUT /channel/UUID, one at a time, all orders that wait
//!                 └──── its node is gone, or has forgotten it ───┤
//!                                                                ├── Close: DELETE ──▶ Over ── the last word ──▶ nothing
//!                                 the node is drained, or the room is elsewhere: Opening there, and Open again
//! ```
//!
//! Whatever a new node must know is in the [journal](journal); when it knows, the call is told
//! [`MediaReport::Moved`] and offers its parties their sessions anew.
//!
//! | file | what |
//! |---|---|
//! | `carried.rs` | one call, as a record |
//! | `journal.rs` | what is said to the next node |
//! | `moves.rs` | placing, losing, moving |
//! | `reports.rs` | what nodes say of calls |

mod carried;
mod journal;
mod moves;
mod reports;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use ahash::{AHashMap, AHashSet};
use compact_str::CompactString;
use hookswitch_call::port::MediaLink;
use hookswitch_call::{
    AudioNews, CallId, Cause, Fault, Kind, MediaOp, MediaReport, PlayEnd, PlayNews, RecordEnd, RecordNews, Recorded,
    RecordingId, Room, RoomNews, Time,
};
use serde_json::json;

use crate::places::{CHANNELS, Load, PlaceNews, Places};
use crate::{Answer, Ask, AskId, Half, NodeId, PulseNews, Standing, Told};
use carried::{At, Carried, Recording};
use journal::Journal;

/// How long a call whose node is gone waits for another one.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How long a node that a call has left for another one carries it on, so that its parties can be told first.
pub const LEAVE_TIME: Duration = Duration::from_secs(40);

/// How long the last word on a call that is over is waited for.
pub const LAST_WORD: Duration = Duration::from_secs(60);

/// Most orders of one call that wait for their node.
pub const MAX_QUEUE: usize = 512;

/// Most orders in one request: [`/channel`](hookswitch_call::MediaOp) takes no more.
const MAX_ORDERS: usize = 256;

/// So many calls are taken off a draining node at a time.
const MOVES: usize = 20;

/// And so long after them the next ones, or the phones' answers would all come at once.
const MOVE_EVERY: Duration = Duration::from_millis(50);

/// What a request was about.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// How a node is.
    Pulse(NodeId),
    /// The channel of this number of a call is to be opened.
    Open(CallId, u32, NodeId),
    /// Orders for it.
    Orders(CallId, u32),
    /// One that nobody needs any more.
    Close,
}

/// A room, and which calls are in it.
#[derive(Debug)]
struct Hall {
    node: NodeId,
    calls: AHashSet<CallId>,
}

/// The audio of all calls. A [`MediaLink`], and the [`Half`] of [`Nodes`](crate::Nodes) with the audio.
#[derive(Debug)]
pub struct Media {
    /// Where each node tells what becomes of channels.
    controls: Vec<String>,
    now: Time,
    places: Places,
    calls: AHashMap<CallId, Carried>,
    by_name: AHashMap<CompactString, (CallId, u32)>,
    rooms: AHashMap<Room, Hall>,
    asked: AHashMap<AskId, Asked>,
    next: u64,
    asks: VecDeque<Ask>,
    /// Calls with something to say to their nodes.
    ready: VecDeque<CallId>,
    reports: VecDeque<MediaReport>,
    /// Which node has the file of a recording whose beginning or end stands in the reports.
    recorded: VecDeque<(NodeId, CallId, RecordingId)>,
    due: BTreeSet<(Time, CallId)>,
    /// Calls to be taken off draining nodes.
    leaving: VecDeque<CallId>,
    next_leaving: Time,
    news: VecDeque<(NodeId, PulseNews)>,
}

/// Nobody carries a call, or could.
fn no_node() -> Cause {
    Cause::new(Kind::Overloaded, Fault::Server).with_text("No Media Node")
}

impl Media {
    /// Without calls. For each node the URL at which it tells what becomes of channels, without a slash at its end.
    #[must_use]
    pub fn new(controls: Vec<String>) -> Self {
        Self {
            places: Places::new(controls.len(), CHANNELS),
            controls,
            now: Time::ZERO,
            calls: AHashMap::new(),
            by_name: AHashMap::new(),
            rooms: AHashMap::new(),
            asked: AHashMap::new(),
            next: 0,
            asks: VecDeque::new(),
            ready: VecDeque::new(),
            reports: VecDeque::new(),
            recorded: VecDeque::new(),
            due: BTreeSet::new(),
            leaving: VecDeque::new(),
            next_leaving: Time::ZERO,
            news: VecDeque::new(),
        }
    }

    /// Calls that nodes carry or that wait for one, those included whose last word is still to come.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    fn order(&mut self, op: MediaOp) {
        let call = op.call();
        let Some(carried) = self.calls.get_mut(&call) else { return };
        if matches!(carried.at, At::Over { .. }) {
            return;
        }
        carried.journal.note(&op);
        carried.expect_answer(&op);
        let (joins, accepts) = (matches!(op, MediaOp::Join { .. }), carried.accepts(&op));
        carried.queue.push_back(op);
        if carried.queue.len() > MAX_QUEUE {
            let full = Cause::new(Kind::Overloaded, Fault::Server).with_text("Too Many Orders Wait For The Media Node");
            return self.give_up(call, full);
        }
        self.sync_room(call);
        if joins {
            self.follow_room(call);
        }
        if accepts {
            self.settled(call);
        }
        if self.calls.get(&call).is_some_and(|carried| matches!(carried.at, At::Refused)) {
            return self.refuse(call, &no_node());
        }
        self.wake(call);
    }

    fn wake(&mut self, call: CallId) {
        if let Some(carried) = self.calls.get_mut(&call).filter(|carried| !carried.awake) {
            carried.awake = true;
            self.ready.push_back(call);
        }
    }

    /// Says what a call has to say, if its node listens.
    fn speak(&mut self, call: CallId) {
        let Some(carried) = self.calls.get_mut(&call) else { return };
        carried.awake = false;
        match &mut carried.at {
            At::Unplaced => self.place(call),
            At::Open { node, uuid, busy } if !*busy && !carried.queue.is_empty() => {
                *busy = true;
                let most = carried.queue.len().min(MAX_ORDERS);
                let orders: Vec<MediaOp> = carried.queue.drain(..most).collect();
                let (node, path, number) = (*node, format!("/channel/{uuid}"), carried.number);
                let body = json!({"orders": orders}).to_string();
                self.ask(Asked::Orders(call, number), node, "PUT", path, body);
            }
            At::Open { .. } | At::Opening { .. } | At::Nowhere { .. } | At::Refused | At::Over { .. } => {}
        }
    }

    fn ask(&mut self, about: Asked, node: NodeId, method: &'static str, path: String, body: String) {
        let id = AskId(self.next);
        self.next += 1;
        self.asked.insert(id, about);
        self.asks.push_back(Ask { id, node, method, path, body });
    }

    fn free(&mut self, node: NodeId, uuid: &str) {
        self.ask(Asked::Close, node, "DELETE", format!("/channel/{uuid}"), String::new());
    }

    fn close(&mut self, call: CallId) {
        self.close_old(call);
        let Some(carried) = self.calls.get_mut(&call) else { return };
        (carried.owed, carried.queue) = Default::default();
        let inspects = std::mem::take(&mut carried.inspects);
        carried.journal.forget_rooms();
        let until = self.now + LAST_WORD;
        let before = std::mem::replace(&mut carried.at, At::Over { until });
        self.sync_room(call);
        self.answer_inspects(call, inspects);
        match before {
            At::Open { node, uuid, .. } => {
                self.free(node, &uuid);
                self.due.insert((until, call));
            }
            // Freed when it is there.
            At::Opening { .. } => drop(self.due.insert((until, call))),
            At::Unplaced | At::Nowhere { .. } | At::Refused => self.forget(call),
            At::Over { until } => {
                if let Some(carried) = self.calls.get_mut(&call) {
                    carried.at = At::Over { until };
                }
            }
        }
    }

    fn forget(&mut self, call: CallId) {
        let Some(carried) = self.calls.remove(&call) else { return };
        self.end_recordings(call, carried.recordings);
        if let Some(old) = carried.old {
            self.end_recordings(call, old.recordings);
        }
        for name in &carried.names {
            self.by_name.remove(name);
        }
    }

    fn answer_inspects(&mut self, call: CallId, inspects: u32) {
        let answer = || MediaReport::Audio { call, news: AudioNews::Asked, audio: None };
        self.reports.extend((0..inspects).map(|_| answer()));
    }

    /// Nobody writes them any more, or could say how much.
    fn end_recordings(&mut self, call: CallId, running: Vec<Recording>) {
        for Recording { recording, file, mailbox, begun } in running {
            let reason = match begun {
                true => RecordEnd::Interrupted,
                false => RecordEnd::Failed(CompactString::const_new("its media node is gone")),
            };
            let news = RecordNews::Finished(Box::new(Recorded { mailbox, ..Recorded::nothing(&file, reason) }));
            self.reports.push_back(MediaReport::Recorded { call, recording, news });
        }
    }

    /// All that a call waits for comes to nothing.
    fn refuse(&mut self, call: CallId, cause: &Cause) {
        let Some(carried) = self.calls.get_mut(&call) else { return };
        let owed = std::mem::take(&mut carried.owed);
        carried.queue.clear();
        let (inspects, recordings) = (std::mem::take(&mut carried.inspects), std::mem::take(&mut carried.recordings));
        let (rooms, plays) = (carried.journal.forget_rooms(), carried.journal.forget_plays());
        let cause = || cause.clone();
        self.reports.extend(owed.into_iter().map(|(seat, leg)| MediaReport::Refused {
            call,
            seat,
            leg,
            cause: cause(),
        }));
        let refused = |(party, room)| MediaReport::Room { call, party, room, news: RoomNews::Refused(cause()) };
        self.reports.extend(rooms.into_iter().map(refused));
        self.end_plays(call, plays.into_iter().map(|(party, play)| (party, play, PlayEnd::Failed)).collect());
        self.answer_inspects(call, inspects);
        self.end_recordings(call, recordings);
        self.sync_room(call);
    }

    fn end_plays(&mut self, call: CallId, ended: Vec<(hookswitch_call::Party, hookswitch_call::PlayId, PlayEnd)>) {
        self.reports.extend(ended.into_iter().map(|(party, play, end)| MediaReport::Played {
            call,
            party,
            play,
            news: PlayNews::Ended(end),
            position: Duration::ZERO,
        }));
    }

    /// A call cannot be carried any more, and ends.
    fn give_up(&mut self, call: CallId, cause: Cause) {
        if let Some(At::Open { node, uuid, .. }) = self.calls.get(&call).map(|carried| carried.at.clone()) {
            self.free(node, &uuid);
        }
        self.leave_node(call);
        self.refuse(call, &cause);
        if let Some(carried) = self.calls.get_mut(&call) {
            carried.at = At::Refused;
        }
        self.reports.push_back(MediaReport::Moved { call, result: Err(cause) });
    }

    fn call_is_due(&mut self, call: CallId) {
        let now = self.now;
        let Some(carried) = self.calls.get(&call) else { return };
        if carried.old.as_ref().is_some_and(|old| old.until <= now) {
            self.forget_old(call);
        }
        match self.calls.get(&call).map(|carried| &carried.at) {
            Some(At::Nowhere { until }) if *until <= now => self.give_up(call, no_node()),
            Some(At::Over { until }) if *until <= now => self.forget(call),
            _ => {}
        }
    }

    fn node_news(&mut self, news: PlaceNews) {
        match news {
            PlaceNews::There(node) => self.news.push_back((node, PulseNews::There)),
            PlaceNews::Lost(node) => self.news.push_back((node, PulseNews::Lost)),
            PlaceNews::Forgot(_) | PlaceNews::Drains(_) => {}
        }
        match news {
            // Whoever waits is tried at every answer of a node.
            PlaceNews::There(_) => {}
            PlaceNews::Lost(node) | PlaceNews::Forgot(node) => {
                for call in self.those(|carried| carried.at.node() == Some(node)) {
                    self.lose(call);
                }
                let of_node = |old: &carried::Old| old.node == node;
                for call in self.those(|carried| carried.old.as_ref().is_some_and(of_node)) {
                    self.forget_old(call);
                }
            }
            PlaceNews::Drains(node) if self.leaving.is_empty() => {
                self.leaving = self.those(|carried| carried.at.node() == Some(node)).into();
            }
            PlaceNews::Drains(_) => {}
        }
    }

    /// A node answers: perhaps it takes those that no other takes.
    fn try_again(&mut self) {
        for call in self.those(|carried| matches!(carried.at, At::Nowhere { .. })) {
            if let Some(carried) = self.calls.get_mut(&call) {
                carried.at = At::Unplaced;
            }
            self.wake(call);
        }
    }

    /// The calls of which something is true, oldest first.
    fn those(&self, is: impl Fn(&Carried) -> bool) -> Vec<CallId> {
        let mut calls: Vec<CallId> = self.calls.iter().filter(|(_, it)| is(it)).map(|(call, _)| *call).collect();
        calls.sort();
        calls
    }
}

impl MediaLink for Media {
    fn perform(&mut self, now: Time, op: MediaOp) {
        self.now = now;
        match op {
            MediaOp::Open { call, .. } => {
                let is_new = !self.calls.contains_key(&call);
                if is_new {
                    self.calls.insert(call, Carried::new(Journal::new(op)));
                    self.wake(call);
                }
            }
            MediaOp::Close { call } => self.close(call),
            op => self.order(op),
        }
    }

    fn poll_report(&mut self) -> Option<MediaReport> {
        self.reports.pop_front()
    }
}

impl Half for Media {
    fn poll_ask(&mut self) -> Option<Ask> {
        loop {
            if let Some(ask) = self.asks.pop_front() {
                return Some(ask);
            }
            let call = self.ready.pop_front()?;
            self.speak(call);
        }
    }

    fn answered(&mut self, now: Time, answer: Answer) {
        self.now = now;
        let Some(asked) = self.asked.remove(&answer.id) else { return };
        match asked {
            Asked::Pulse(node) => {
                let load = answer.result.as_ref().filter(|(status, _)| *status == 200);
                let load = load.and_then(|(_, body)| Load::read(body));
                let answers = load.is_some();
                for news in self.places.answered(now, node, load) {
                    self.node_news(news);
                }
                if answers {
                    self.try_again();
                }
            }
            Asked::Open(call, number, node) => self.opened(call, number, node, answer.result),
            Asked::Orders(call, number) => self.ordered(call, number, answer.result),
            Asked::Close => {}
        }
    }

    fn poll_news(&mut self) -> Option<(NodeId, PulseNews)> {
        self.news.pop_front()
    }

    fn standing(&self) -> Vec<Standing> {
        let mut carries = vec![0_usize; self.controls.len()];
        for node in self.calls.values().filter_map(|carried| carried.at.node()) {
            if let Some(count) = carries.get_mut(usize::from(node.0)) {
                *count += 1;
            }
        }
        let nodes = (0..).map(NodeId).zip(carries);
        nodes.map(|(node, carries)| self.places.standing(node, carries)).collect()
    }

    fn poll_recorded(&mut self) -> Option<(NodeId, CallId, RecordingId)> {
        self.recorded.pop_front()
    }

    fn told(&mut self, now: Time, _node: NodeId, told: Told<'_>) -> u16 {
        self.now = now;
        self.hear(told)
    }

    fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        while let Some(node) = self.places.poll(now) {
            self.ask(Asked::Pulse(node), node, "GET", "/channel".to_owned(), String::new());
        }
        while let Some((_, call)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.pop_first();
            self.call_is_due(call);
        }
        if self.next_leaving <= now {
            self.next_leaving = now + MOVE_EVERY;
            for _ in 0..MOVES.min(self.leaving.len()) {
                if let Some(call) = self.leaving.pop_front() {
                    self.leave_draining(call);
                }
            }
        }
    }

    fn poll_timeout(&self) -> Option<Time> {
        let leaving = (!self.leaving.is_empty()).then_some(self.next_leaving);
        [self.places.poll_timeout(), self.due.first().map(|(at, _)| *at), leaving].into_iter().flatten().min()
    }
}
