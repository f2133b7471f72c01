//! Calls of a control server of ours. It speaks of them with the words of the waist, and all seats of a call are on one
//! channel, so that the engine relays and agrees as it does for calls of its own process.
//!
//! ```text
//!   control ── POST /channel {"control","call","orders"} ──▶ ── Open, …, Inspect ──▶ media
//!           ◀─ {"uuid","reports"} ──                         ◀── Local, …, Audio ──
//!           ── PUT /channel/UUID {"orders"} ──▶              ── …, Inspect ──▶
//!           ◀─ {"reports"} ──                                ◀── …, Audio ──
//!           ◀─ PUT CONTROL/channel/UUID {"call","reports"}   ◀── Digit, Played … ──
//!           ── DELETE /channel/UUID ──▶                      ── Inspect, Close ──▶
//! ```
//!
//! An order is answered when the engine has done it, which the answer to an [`MediaOp::Inspect`] behind it tells. Names of
//! calls and rooms are the control server's own in what it says and reads; here they get ours, so that two of them share an
//! engine.

use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::{
    AudioNews, CallAudio, CallId, MAX_ADDRESS, MediaOp, MediaReport, Part, Party, RecordNews, RecordOrder, Role, Room,
    RoomNews, Time,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::channels::{Channels, FIRST_CHANNEL, Output, RequestId};
use crate::json::{Failure, Members};
use crate::news;
use crate::table::{End, Table, Waits, Whisper};

/// Most orders in one request.
pub const MAX_ORDERS: usize = 256;

/// How often a control server is told of a call although there is nothing to tell: one that has been started anew does not know
/// it, and says so. Where both speak, or are on hold, or have not yet answered, there may be nothing for hours.
pub const REMIND_EVERY: Duration = Duration::from_secs(30);

/// Most reports that wait for the answer of a request; beyond, they are told at once.
const MAX_TOLD: usize = 256;

/// A call has two parties, each of which would be a channel.
pub(crate) const CHANNELS_OF_A_CALL: usize = 2;

/// What a control server wants of a call.
pub(crate) struct Wanted {
    name: CompactString,
    control: Arc<str>,
}

impl Wanted {
    /// `{"control","call","orders"}`; none if nothing is ordered: that is a channel as the seeds have it.
    pub(crate) fn read(body: &Value, control: Option<&Arc<str>>) -> Result<Option<Self>, Failure> {
        let members = Members::of(body)?;
        if members.get(&["orders"]).is_none() {
            return Ok(None);
        }
        let name = members.text(&["call"])?.filter(|name| !name.is_empty() && name.len() <= MAX_ADDRESS);
        let name =
            name.ok_or_else(|| Failure::value("call", format!("missing: a name of at most {MAX_ADDRESS} bytes")))?;
        let control = control.ok_or_else(|| Failure::value("control", "missing: an URL, where its reports go"))?;
        Ok(Some(Self { name: name.into(), control: Arc::clone(control) }))
    }
}

/// `{"orders"}`: words of the waist, in order, all about one call.
pub(crate) fn orders(body: &Value) -> Result<Vec<MediaOp>, Failure> {
    let members = Members::of(body)?;
    let list = members.get(&["orders"]).and_then(|(_, orders)| orders.as_array());
    let list = list.filter(|list| (1..=MAX_ORDERS).contains(&list.len()));
    let list = list.ok_or_else(|| Failure::value("orders", format!("expected a list of 1 to {MAX_ORDERS} orders")))?;
    let read = list.iter().enumerate().map(|(index, order)| {
        let place = format!("orders[{index}]");
        let op = MediaOp::deserialize(order).map_err(|error| Failure::value(place.as_str(), error.to_string()))?;
        match op {
            MediaOp::Close { .. } => Err(Failure::value(place, "a call is ended by DELETE")),
            op => Ok(op),
        }
    });
    let read = read.collect::<Result<Vec<_>, _>>()?;
    let strange = read.iter().position(|op| Some(op.call()) != read.first().map(MediaOp::call));
    match strange {
        Some(index) => Err(Failure::value(format!("orders[{index}]"), "it is about another call than the first")),
        None => Ok(read),
    }
}

/// Requests; whatever fails has changed nothing.
impl Channels {
    pub(crate) fn open_table(
        &mut self,
        now: Time,
        request: RequestId,
        wanted: Wanted,
        orders: Vec<MediaOp>,
    ) -> Result<(), Failure> {
        let Some(MediaOp::Open { call: theirs, .. }) = orders.first() else {
            return Err(Failure::value("orders[0]", "expected open"));
        };
        self.may_open(CHANNELS_OF_A_CALL)?;
        let Wanted { name, control } = wanted;
        let (call, uuid) = self.name_one();
        let theirs = *theirs;
        let table = Table {
            uuid,
            name,
            theirs,
            control: Arc::clone(&control),
            opened: now,
            end: End::No,
            recordings: Default::default(),
            whispers: Vec::new(),
            seq: 0,
            asked: Default::default(),
            told: Vec::new(),
        };
        self.by_theirs.insert((Arc::clone(&control), theirs), call);
        self.tables.insert(call, table);
        self.whisper_anew(&control, theirs);
        self.await_target(now, call);
        self.remind.insert((now + REMIND_EVERY, call));
        self.carry_out_orders(request, call, orders)
    }

    pub(crate) fn carry_out_orders(
        &mut self,
        request: RequestId,
        call: CallId,
        orders: Vec<MediaOp>,
    ) -> Result<(), Failure> {
        for op in orders {
            let wanted = if let MediaOp::Join { part, .. } = &op { Some(*part) } else { None };
            let op = self.translated(call, op);
            self.note_whisper(call, &op, wanted);
            let Some(table) = self.tables.get_mut(&call) else { break };
            if let MediaOp::Inspect { .. } = op {
                table.asked.push_back(Waits::Call);
            } else if let MediaOp::Record { recording, order: RecordOrder::Begin(_), .. } = &op {
                table.recordings.insert(*recording);
            } else if matches!(op, MediaOp::Accept { .. } | MediaOp::MakeAnswer { .. }) {
                let opened = table.opened;
                self.targeted_since(opened, call);
            }
            self.media(op);
        }
        self.ask_table(call, Waits::Orders(request));
        Ok(())
    }

    pub(crate) fn look_at_table(&mut self, request: RequestId, call: CallId) {
        self.ask_table(call, Waits::Look(request));
    }

    fn ask_table(&mut self, call: CallId, waits: Waits) {
        if let Some(table) = self.tables.get_mut(&call) {
            table.asked.push_back(waits);
            self.media(MediaOp::Inspect { call });
        }
    }

    /// Ends a call's channel. Its control server is told where it has not asked for that.
    pub(crate) fn close_table(&mut self, call: CallId, reason: &str, asked: bool) {
        let Some(table) = self.tables.get_mut(&call).filter(|table| table.end == End::No) else { return };
        table.end = End::Asked;
        let (theirs, control, opened) = (table.theirs, Arc::clone(&table.control), table.opened);
        self.targeted_since(opened, call);
        if self.by_theirs.get(&(Arc::clone(&control), theirs)) == Some(&call) {
            self.by_theirs.remove(&(control, theirs));
        }
        self.ask_table(call, Waits::Last);
        self.media(MediaOp::Close { call });
        if !asked {
            let closed = json!({"action": "close", "reason": reason});
            self.tell_table(call, closed);
        }
    }

    /// An order with our names, and our address.
    fn translated(&self, call: CallId, op: MediaOp) -> MediaOp {
        let Some(table) = self.tables.get(&call) else { return op };
        let room = |name: Room| Room(format!("{}{SEPARATOR}{name}", table.control).into());
        match op.of(call) {
            // Which address of theirs the parties see says nothing of us.
            MediaOp::Open { call, offer, codecs, near: _, room: wanted } => {
                MediaOp::Open { call, offer, codecs, near: self.near(), room: wanted.map(room) }
            }
            MediaOp::MakeOffer { call, seat, leg, near: _ } => {
                MediaOp::MakeOffer { call, seat, leg, near: self.near() }
            }
            MediaOp::OpenSpare { call, party, near: _ } => MediaOp::OpenSpare { call, party, near: self.near() },
            MediaOp::Join { call, party, room: wanted, part } => {
                MediaOp::Join { call, party, room: room(wanted), part: self.part(&table.control, part) }
            }
            MediaOp::Leave { call, party, room: wanted } => MediaOp::Leave { call, party, room: room(wanted) },
            op @ (MediaOp::MakeAnswer { .. }
            | MediaOp::Offered { .. }
            | MediaOp::Accept { .. }
            | MediaOp::Hear { .. }
            | MediaOp::Hold { .. }
            | MediaOp::Swap { .. }
            | MediaOp::CloseSpare { .. }
            | MediaOp::Digit { .. }
            | MediaOp::Play { .. }
            | MediaOp::ControlPlay { .. }
            | MediaOp::Record { .. }
            | MediaOp::Inspect { .. }
            | MediaOp::Close { .. }) => op,
        }
    }
}

/// Whispers: to a call that may come only later, or go by another name of ours when it has come anew. When the calls of a
/// control server move here they do so in any order.
impl Channels {
    /// How somebody takes part, with our name of whom it whispers to. Nobody hears it as long as those are not here.
    fn part(&self, control: &Arc<str>, part: Part) -> Part {
        let Role::Whisper(theirs) = part.role else { return part };
        let other = self.by_theirs.get(&(Arc::clone(control), theirs));
        Part { role: other.map_or(Role::Listen, |other| Role::Whisper(*other)), ..part }
    }

    /// Remembers who whispers to whom. `wanted` is what somebody who joins was told.
    fn note_whisper(&mut self, call: CallId, op: &MediaOp, wanted: Option<Part>) {
        if let (MediaOp::Join { party, room, .. }, Some(part)) = (op, wanted) {
            let Some(table) = self.tables.get_mut(&call) else { return };
            table.whispers.retain(|whisper| whisper.party != *party);
            if matches!(part.role, Role::Whisper(_)) {
                table.whispers.push(Whisper { party: *party, room: room.clone(), part });
            }
            self.count_whisperer(call);
        } else if let MediaOp::Leave { party, room, .. } = op {
            self.whispers_no_more(call, *party, room);
        }
    }

    fn whispers_no_more(&mut self, call: CallId, party: Party, room: &Room) {
        let Some(table) = self.tables.get_mut(&call) else { return };
        table.whispers.retain(|whisper| whisper.party != party || whisper.room != *room);
        self.count_whisperer(call);
    }

    /// A call is among those of which somebody whispers, or is not.
    fn count_whisperer(&mut self, call: CallId) {
        if self.tables.get(&call).is_some_and(|table| !table.whispers.is_empty()) {
            self.whisperers.insert(call);
        } else {
            self.whisperers.remove(&call);
        }
    }

    /// A call is here: who was told to whisper to it does from now on.
    fn whisper_anew(&mut self, control: &Arc<str>, theirs: CallId) {
        let mut joins = Vec::new();
        for call in &self.whisperers {
            let table = self.tables.get(call).filter(|table| table.end == End::No && table.control == *control);
            for Whisper { party, room, part } in table.into_iter().flat_map(|table| &table.whispers) {
                if part.role == Role::Whisper(theirs) {
                    let part = self.part(control, *part);
                    joins.push(MediaOp::Join { call: *call, party: *party, room: room.clone(), part });
                }
            }
        }
        for join in joins {
            self.media(join);
        }
    }
}

/// Between the URL of a control server and a room of its.
const SEPARATOR: char = ' ';

/// Reports.
impl Channels {
    pub(crate) fn table_report(&mut self, report: MediaReport) {
        let call = report.call();
        match report {
            MediaReport::Audio { news: AudioNews::Asked, audio, .. } => self.table_looked(call, audio),
            MediaReport::Audio { news: AudioNews::Closed, audio, .. } => {
                self.table_told(call, MediaReport::Audio { call, news: AudioNews::Closed, audio });
                if let Some(table) = self.tables.get_mut(&call) {
                    table.end = End::Silent;
                }
            }
            MediaReport::Recorded { recording, news, .. } => {
                if let (RecordNews::Finished(_), Some(table)) = (&news, self.tables.get_mut(&call)) {
                    table.recordings.remove(&recording);
                }
                self.table_told(call, MediaReport::Recorded { call, recording, news });
            }
            MediaReport::Room { party, room, news, .. } => {
                if let RoomNews::Refused(_) = news {
                    self.whispers_no_more(call, party, &room);
                }
                self.table_told(call, MediaReport::Room { call, party, room, news });
            }
            report => self.table_told(call, report),
        }
        if self.tables.get(&call).is_some_and(Table::is_over) {
            self.forget_table(call);
        }
    }

    fn table_looked(&mut self, call: CallId, audio: Option<Box<CallAudio>>) {
        let Some(table) = self.tables.get_mut(&call) else { return };
        let Some(waits) = table.asked.pop_front() else { return };
        match waits {
            Waits::Orders(request) => {
                let told = std::mem::take(&mut table.told);
                let mut document = self.document(call);
                document["reports"] = json!(told);
                self.answer(request, Ok(document));
            }
            Waits::Look(request) => {
                let mut document = self.document(call);
                let stats = |audio: &CallAudio| json!({"caller": news::stats(&audio.caller), "callee": news::stats(&audio.callee)});
                document["stats"] = audio.as_deref().map(stats).into();
                self.answer(request, Ok(document));
            }
            Waits::Call => self.table_told(call, MediaReport::Audio { call, news: AudioNews::Asked, audio }),
            Waits::Last => {
                let agreed = audio.is_some_and(|audio| audio.caller.agreed.or(audio.callee.agreed).is_some());
                table.end = if agreed { End::AwaitWord } else { End::Silent };
            }
        }
    }

    /// A report, with their names again.
    fn table_told(&mut self, call: CallId, report: MediaReport) {
        let Some(table) = self.tables.get_mut(&call) else { return };
        let report = match report.of(table.theirs) {
            MediaReport::Room { call, party, room, news } => {
                let prefix = table.control.len() + SEPARATOR.len_utf8();
                MediaReport::Room { call, party, room: Room(room.0.get(prefix..).unwrap_or_default().into()), news }
            }
            report => report,
        };
        if table.gathers() && table.told.len() < MAX_TOLD {
            table.told.push(report);
        } else {
            self.tell_table(call, json!({"reports": [report]}));
        }
    }

    fn tell_table(&mut self, call: CallId, mut news: Value) {
        let Some(table) = self.tables.get_mut(&call) else { return };
        news["uuid"] = table.uuid.as_str().into();
        news["call"] = table.name.as_str().into();
        news["seq"] = table.seq.into();
        table.seq += 1;
        let (control, path) = (Arc::clone(&table.control), format!("channel/{}", table.uuid));
        news["channels"] = self.load();
        self.out.push_back(Output::Tell { call, control, path, body: news.to_string() });
    }

    fn forget_table(&mut self, call: CallId) {
        let Some(table) = self.tables.remove(&call) else { return };
        self.whisperers.remove(&call);
        self.unname(&table.uuid);
        for waits in table.asked {
            match waits {
                Waits::Orders(request) | Waits::Look(request) => {
                    self.answer(request, Err(Failure::new(404, "path", "Not found")));
                }
                Waits::Call | Waits::Last => {}
            }
        }
    }

    /// Tells control servers of calls of which they have to say whether they know them.
    pub(crate) fn remind(&mut self, now: Time) {
        while let Some((_, call)) = self.remind.first().copied().filter(|(at, _)| *at <= now) {
            self.remind.pop_first();
            if self.tables.get(&call).is_some_and(|table| table.end == End::No) {
                self.remind.insert((now + REMIND_EVERY, call));
                self.tell_table(call, json!({"reports": []}));
            }
        }
    }

    /// Nobody knows of it at the URL that its events go to: of a call, that its control server has forgotten it. A
    /// controller of the seeds may take no events at all.
    pub fn unknown(&mut self, call: CallId) {
        debug_assert!(call.0 >= FIRST_CHANNEL, "calls are no channels");
        self.close_table(call, "unknown", true);
    }
}
