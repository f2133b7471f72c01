//! All channels: what is asked of them, what the engine tells of them, and who hears whom.

mod reports;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use compact_str::{CompactString, format_compact};
use hookswitch_call::{
    AudioNews, CallId, Digit, KEY_TIME, LegId, MediaOp, MediaReport, Part, Party, PlayControl, PlayId, RecordOrder,
    RecordPlan, RecordingId, Room, Seat, Soup, Time,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::channel::{Asked, Channel, State, What};
use crate::description::{Remote, place_of};
use crate::json::Failure;
use crate::news::{self, News};
use crate::soup::is_version;
use crate::table::{End, Table};
use crate::tables::CHANNELS_OF_A_CALL;

/// The channels' names in the media engine begin here; those of calls are below.
pub const FIRST_CHANNEL: u64 = 1 << 62;

/// And here they end.
const LAST_CHANNEL: u64 = (1 << 63) - 1;

/// Most recordings of one channel at once.
const MAX_RECORDINGS: usize = 8;

/// A channel has one party, one leg and one seat.
const PARTY: Party = Party::Caller;
const SEAT: Seat = Seat::Of(PARTY);
const LEG: LegId = LegId(0);

/// Settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    /// Most channels at once; the controller is told how many of them are free. Default 5,000.
    pub capacity: usize,
    /// Our address as the parties see it; none leaves it to the media engine. Default none.
    pub near: Option<IpAddr>,
    /// How long a channel stays of whose party nobody has said where it is. Default an hour.
    pub untargeted_time: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { capacity: 5_000, near: None, untargeted_time: Duration::from_secs(3_600) }
    }
}

/// Names one request; given back with its [`Answer`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RequestId(pub u64);

/// The answer to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, of type [`CONTENT_TYPE`](crate::CONTENT_TYPE).
    pub body: String,
    /// The `Allow` header of a 405.
    pub allow: Option<&'static str>,
}

/// What is to be done, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Ask the media engine.
    Media(MediaOp),
    /// Answer a request.
    Answer(RequestId, Answer),
    /// Tell a controller of a channel: `PUT control/path`.
    Tell {
        /// The channel; what is told of one is told in order.
        call: CallId,
        /// Its URL, as it gave it.
        control: Arc<str>,
        /// The path below that.
        path: String,
        /// A JSON object.
        body: String,
    },
}

/// All channels.
#[derive(Debug)]
pub struct Channels {
    config: Config,
    seed: [u8; 32],
    next: u64,
    channels: HashMap<CallId, Channel, ahash::RandomState>,
    by_uuid: HashMap<CompactString, CallId, ahash::RandomState>,
    /// Requests for new channels that wait for ports.
    opening: BTreeMap<CallId, (RequestId, Option<Remote>)>,
    /// When channels end of whose party nobody has said where it is.
    untargeted: BTreeSet<(Time, CallId)>,
    /// When control servers are told next that their calls are still here.
    pub(crate) remind: BTreeSet<(Time, CallId)>,
    /// Calls of control servers of ours.
    pub(crate) tables: HashMap<CallId, Table, ahash::RandomState>,
    /// The same by the URL of the control server and the call's name there.
    pub(crate) by_theirs: HashMap<(Arc<str>, CallId), CallId, ahash::RandomState>,
    /// Those of them of which somebody whispers.
    pub(crate) whisperers: BTreeSet<CallId>,
    /// Told to take no new ones, which may be taken back.
    draining: bool,
    /// The program is about to stop.
    stopping: bool,
    effort: Effort,
    pub(crate) out: VecDeque<Output>,
}

/// What the media threads have done in the last second.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Effort {
    /// How much of their time they were busy, in percent.
    pub cpu: f32,
    /// How many of their ticks began more than 20 ms late: somebody has heard that.
    pub late_ticks: u32,
}

impl Channels {
    /// No channels. The seed makes their names: keep it secret, and take another one at every start.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let word = |at: usize| seed[at..at + 8].iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        let state = ahash::RandomState::with_seeds(word(0), word(8), word(16), word(24));
        Self {
            config,
            seed,
            next: 0,
            channels: HashMap::with_hasher(state.clone()),
            by_uuid: HashMap::with_hasher(state.clone()),
            tables: HashMap::with_hasher(state.clone()),
            by_theirs: HashMap::with_hasher(state),
            whisperers: BTreeSet::new(),
            opening: BTreeMap::new(),
            untargeted: BTreeSet::new(),
            remind: BTreeSet::new(),
            draining: false,
            stopping: false,
            effort: Effort::default(),
            out: VecDeque::new(),
        }
    }

    /// Whether something of this name in the media engine is a channel of these.
    #[must_use]
    pub const fn owns(call: CallId) -> bool {
        call.0 >= FIRST_CHANNEL && call.0 <= LAST_CHANNEL
    }

    /// How many there are, those that end included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.channels.len() + self.tables.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// No new ones from now on: the program is about to stop.
    pub const fn drain(&mut self) {
        self.stopping = true;
    }

    /// No new ones, until that is taken back; whose calls are here takes them elsewhere.
    pub(crate) const fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// Whether there are no new ones.
    #[must_use]
    pub const fn draining(&self) -> bool {
        self.draining || self.stopping
    }

    /// How hard the media threads work: for whoever places calls on several hosts.
    pub const fn set_effort(&mut self, effort: Effort) {
        self.effort = effort;
    }

    /// Ends all of them, and takes no new ones.
    pub fn end_all(&mut self) {
        self.stopping = true;
        for call in self.channels.keys().copied().collect::<Vec<_>>() {
            self.close(call, "shutdown");
        }
        for call in self.tables.keys().copied().collect::<Vec<_>>() {
            self.close_table(call, "shutdown", false);
        }
    }

    /// The next thing to do. Drained until `None` after every touch.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Channels::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        [self.untargeted.first(), self.remind.first()].into_iter().flatten().map(|(at, _)| *at).min()
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some((_, call)) = self.untargeted.first().copied().filter(|(at, _)| *at <= now) {
            self.close(call, "idle-timeout");
            self.close_table(call, "idle-timeout", false);
        }
        self.remind(now);
    }

    /// Takes what the media engine tells of a channel. What comes too late is ignored.
    pub fn report(&mut self, report: MediaReport) {
        if self.tables.contains_key(&report.call()) {
            return self.table_report(report);
        }
        match report {
            MediaReport::Local { call, sdp, .. } => {
                if let (Some(State::AwaitPort), Some(local)) = (self.state(call), place_of(&sdp)) {
                    self.opened(call, local);
                }
            }
            MediaReport::Refused { call, cause, .. } => self.refused(call, &cause),
            MediaReport::Idle { call, .. } => {
                let mixed = self.channels.get(&call).is_some_and(|channel| channel.room.is_some());
                self.close(call, if mixed { "idle" } else { "idle-timeout" });
            }
            MediaReport::Audio { call, news: AudioNews::Asked, audio } => self.looked(call, audio.as_deref()),
            MediaReport::Audio { call, news: AudioNews::Closed, audio } => self.ended(call, audio.as_deref()),
            MediaReport::Room { call, news, .. } => self.in_room(call, &news),
            MediaReport::Played { call, play, news, .. } => self.played(call, play, &news),
            MediaReport::Digit { call, digit, .. } => self.pressed(call, digit),
            MediaReport::Recorded { call, recording, news } => self.recorded(call, recording, &news),
            // Who holds whom, and who is silent, is the controller's own affair.
            MediaReport::Silent { .. }
            | MediaReport::Direction { .. }
            | MediaReport::Audio { news: AudioNews::Quiet(_) | AudioNews::Back(_), .. }
            // An engine of this process does not give its calls away.
            | MediaReport::Moved { .. } => {}
        }
    }

    fn state(&self, call: CallId) -> Option<&State> {
        self.channels.get(&call).map(|channel| &channel.state)
    }
}

/// Requests; whatever fails has changed nothing.
impl Channels {
    pub(crate) fn open(
        &mut self,
        now: Time,
        request: RequestId,
        control: Option<Arc<str>>,
        remote: Option<Remote>,
    ) -> Result<(), Failure> {
        self.may_open(1)?;
        let (call, uuid) = self.name_one();
        self.channels.insert(call, Channel::new(uuid, call, control, now));
        self.opening.insert(call, (request, remote));
        self.await_target(now, call);
        self.media(MediaOp::Open { call, offer: None, codecs: None, near: self.config.near, room: None });
        self.offer(call);
        Ok(())
    }

    /// Whether there is room for so many more.
    pub(crate) fn may_open(&self, more: usize) -> Result<(), Failure> {
        if self.stopping || self.draining {
            let why = if self.stopping { "the server is stopping" } else { "the server is drained" };
            return Err(Failure::new(503, "channel", format!("no new channels: {why}")));
        }
        if self.active() + more > self.config.capacity {
            return Err(Failure::new(503, "channel", "Currently out of channels"));
        }
        Ok(())
    }

    /// Names for one more: in the engine, and for whoever orders.
    pub(crate) fn name_one(&mut self) -> (CallId, CompactString) {
        let call = CallId(FIRST_CHANNEL + self.next);
        let uuid = self.uuid();
        self.next += 1;
        self.by_uuid.insert(uuid.clone(), call);
        (call, uuid)
    }

    pub(crate) fn unname(&mut self, uuid: &str) {
        self.by_uuid.remove(uuid);
    }

    /// It ends when nobody has said in time where its party is.
    pub(crate) fn await_target(&mut self, now: Time, call: CallId) {
        self.untargeted.insert((now + self.config.untargeted_time, call));
    }

    /// Somebody has, of one that was opened then.
    pub(crate) fn targeted_since(&mut self, opened: Time, call: CallId) {
        self.untargeted.remove(&(opened + self.config.untargeted_time, call));
    }

    /// Our address as the parties see it.
    pub(crate) const fn near(&self) -> Option<IpAddr> {
        self.config.near
    }

    /// A name that nobody can guess: SHA-256 of the seed and a counter, in the form of a UUID (RFC 9562 section 5.4).
    fn uuid(&self) -> CompactString {
        let hash = Sha256::new().chain_update(self.seed).chain_update(self.next.to_be_bytes()).finalize();
        let word = |at: usize| hash[at..at + 8].iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        let (high, low) = (word(0), word(8));
        let (high, low) = (high & !0xf000 | 0x4000, low & !(0b11 << 62) | 0b10 << 62);
        let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0xffff);
        format_compact!("{a:08x}-{b:04x}-{c:04x}-{:04x}-{:012x}", low >> 48, low & 0xffff_ffff_ffff)
    }

    /// The channel of this name, if orders may be given to it.
    pub(crate) fn find(&self, uuid: &str) -> Result<CallId, Failure> {
        let unknown = || Failure::new(404, "path", "Not found");
        let call = self.by_uuid.get(uuid).copied().ok_or_else(unknown)?;
        if self.tables.get(&call).is_some_and(|table| table.end == End::No) {
            return Err(Failure::new(409, "path", "a call of a control server: it takes `orders`"));
        }
        match self.state(call) {
            Some(State::Open { .. }) => Ok(call),
            // Its name is not told before it has its ports.
            Some(State::AwaitPort | State::AwaitEnd { .. }) | None => Err(unknown()),
        }
    }

    /// The call of a control server of ours that goes by this name, if orders may be given to it.
    pub(crate) fn find_table(&self, uuid: &str) -> Option<CallId> {
        let call = self.by_uuid.get(uuid)?;
        self.tables.get(call).filter(|table| table.end == End::No).map(|_| *call)
    }

    pub(crate) fn target(&mut self, request: RequestId, call: CallId, remote: &Remote) {
        self.offer(call);
        self.aim(call, remote);
        self.ask(request, call, What::Target(Ok(())));
    }

    fn offer(&mut self, call: CallId) {
        self.media(MediaOp::MakeOffer { call, seat: SEAT, leg: LEG, near: None });
    }

    /// The answer to the last offer.
    fn aim(&mut self, call: CallId, remote: &Remote) {
        self.media(MediaOp::Accept { call, seat: SEAT, leg: LEG, sdp: remote.description() });
    }

    /// Answered when the engine has done all that was asked before.
    pub(crate) fn look(&mut self, request: RequestId, call: CallId) {
        self.ask(request, call, What::Look);
    }

    fn ask(&mut self, request: RequestId, call: CallId, what: What) {
        if let Some(channel) = self.channels.get_mut(&call) {
            channel.asked.push_back(Asked { request, what });
            self.media(MediaOp::Inspect { call });
        }
    }

    pub(crate) fn play(&mut self, call: CallId, soup: Arc<Soup>) -> Option<PlayId> {
        let channel = self.channels.get_mut(&call)?;
        // Under the name of what is played already it is another version of that; under another one it replaces it.
        let before = channel.playing.filter(|_| channel.soup.as_ref().is_some_and(|before| is_version(before, &soup)));
        let play = before.unwrap_or_else(|| channel.next_play());
        (channel.playing, channel.soup) = (Some(play), Some(Arc::clone(&soup)));
        self.media(MediaOp::Play { call, party: PARTY, play, soup, to: hookswitch_call::Audience::Party });
        Some(play)
    }

    pub(crate) fn stop_playing(&mut self, call: CallId) {
        if let Some(play) = self.channels.get(&call).and_then(|channel| channel.playing) {
            self.media(MediaOp::ControlPlay { call, party: PARTY, play, control: PlayControl::Stop });
        }
    }

    /// The two hear each other from now on, and all others whom either of them heard.
    pub(crate) fn mix(&mut self, call: CallId, other: CallId) -> Result<(), Failure> {
        if call == other {
            return Err(Failure::value("path", "a channel cannot be mixed with itself"));
        }
        let room_of = |channels: &Self, call| channels.channels.get(&call).and_then(|channel| channel.room.clone());
        let (own, others) = (room_of(self, call), room_of(self, other));
        let room = others.clone().or_else(|| own.clone()).unwrap_or_else(|| Room(format!("channel:{other}").into()));
        let mut come: Vec<CallId> = vec![call, other];
        if let Some(own) = own.filter(|own| *own != room) {
            let together = self.channels.values().filter(|channel| channel.room.as_ref() == Some(&own));
            come.extend(together.map(|channel| channel.call).filter(|member| *member != call));
        }
        for member in come {
            self.come_in(member, &room);
        }
        Ok(())
    }

    fn come_in(&mut self, call: CallId, room: &Room) {
        self.stop_playing(call);
        let Some(channel) = self.channels.get_mut(&call).filter(|channel| channel.room.as_ref() != Some(room)) else {
            return;
        };
        channel.room = Some(room.clone());
        self.media(MediaOp::Join { call, party: PARTY, room: room.clone(), part: Part::default() });
        self.hear(call);
    }

    /// It hears nobody any more, and nobody hears it.
    pub(crate) fn unmix(&mut self, call: CallId) {
        if let Some(room) = self.channels.get_mut(&call).and_then(|channel| channel.room.take()) {
            self.media(MediaOp::Leave { call, party: PARTY, room });
            self.hear(call);
        }
    }

    pub(crate) fn echo(&mut self, call: CallId, on: bool) {
        if let Some(channel) = self.channels.get_mut(&call) {
            channel.echo = on;
            self.hear(call);
        }
    }

    pub(crate) fn hear(&mut self, call: CallId) {
        if let Some(source) = self.channels.get(&call).map(Channel::hears) {
            self.media(MediaOp::Hear { call, seat: SEAT, source });
        }
    }

    /// Has keys sent to a party, if it is known where that is.
    pub(crate) fn press(&mut self, call: CallId, keys: &str) -> Result<(), Failure> {
        if !self.channels.get(&call).is_some_and(Channel::is_aimed) {
            return Err(Failure::new(409, "target", "nobody has said where the channel's party is"));
        }
        for key in keys.chars() {
            let digit = Digit { key: key.to_ascii_uppercase(), time: KEY_TIME };
            self.media(MediaOp::Digit { call, party: PARTY, digit });
        }
        Ok(())
    }

    /// Begins a recording to a file; one that is paused goes on.
    pub(crate) fn record(&mut self, call: CallId, plan: Box<RecordPlan>) -> Result<(), Failure> {
        let room = self.may_record(call);
        let channel = self.channels.get_mut(&call).ok_or_else(|| Failure::new(404, "path", "Not found"))?;
        let (recording, order) = match channel.recordings.get(&plan.file) {
            Some(running) => (*running, RecordOrder::Resume),
            None => {
                room?;
                channel.last_recording = channel.last_recording.wrapping_add(1);
                let recording = RecordingId(channel.last_recording);
                channel.recordings.insert(plan.file.clone(), recording);
                (recording, RecordOrder::Begin(plan))
            }
        };
        self.media(MediaOp::Record { call, party: PARTY, recording, order });
        Ok(())
    }

    /// Whether there is room for one more recording.
    pub(crate) fn may_record(&self, call: CallId) -> Result<(), Failure> {
        let full = self.channels.get(&call).is_some_and(|channel| channel.recordings.len() >= MAX_RECORDINGS);
        let text = || format!("{MAX_RECORDINGS} recordings of the channel are running");
        if full { Err(Failure::new(409, "file", text())) } else { Ok(()) }
    }

    pub(crate) fn control_recording(&mut self, call: CallId, file: &str, order: RecordOrder) -> Result<(), Failure> {
        let running = self.channels.get(&call).and_then(|channel| channel.recordings.get(file));
        let recording = *running.ok_or_else(|| Failure::new(404, "file", "no recording of the channel goes there"))?;
        self.media(MediaOp::Record { call, party: PARTY, recording, order });
        Ok(())
    }

    pub(crate) fn close(&mut self, call: CallId, reason: &str) {
        let Some(channel) = self.channels.get_mut(&call) else { return };
        let targeted = match channel.state {
            State::AwaitEnd { .. } => return,
            State::AwaitPort => false,
            State::Open { targeted, .. } => targeted,
        };
        // The engine has a last word only on channels whose party is known.
        channel.state = State::AwaitEnd { reason: reason.into(), silent: !targeted };
        channel.room = None;
        let deadline = channel.opened + self.config.untargeted_time;
        self.untargeted.remove(&(deadline, call));
        self.media(MediaOp::Close { call });
        if let Some((request, _)) = self.opening.remove(&call) {
            let gone = Failure::new(503, "channel", "no new channels: the server is stopping");
            self.answer(request, Err(gone));
        }
        if !targeted {
            self.tell(call, news::close(reason, None));
            self.forget_ended(call);
        }
    }

    /// How many more there may be.
    pub(crate) fn load(&self) -> Value {
        let active = self.active();
        let available = if self.draining() { 0 } else { self.config.capacity.saturating_sub(active) };
        json!({"active": active, "available": available})
    }

    /// The same with all that whoever places calls wants to know.
    pub(crate) fn whole_load(&self) -> Value {
        let mut load = self.load();
        load["draining"] = self.draining().into();
        load["cpu"] = f64::from(self.effort.cpu).into();
        load["late_ticks"] = self.effort.late_ticks.into();
        load["instance"] = self.instance().as_str().into();
        load
    }

    /// Names this start of the program: what was here before is gone where it is another one.
    fn instance(&self) -> CompactString {
        let hash = Sha256::new().chain_update(b"instance").chain_update(self.seed).finalize();
        hash.iter().take(8).fold(CompactString::default(), |text, byte| format_compact!("{text}{byte:02x}"))
    }

    fn active(&self) -> usize {
        self.by_uuid.len() + self.tables.len() * (CHANNELS_OF_A_CALL - 1)
    }
}

/// What goes out.
impl Channels {
    pub(crate) fn media(&mut self, op: MediaOp) {
        self.out.push_back(Output::Media(op));
    }

    pub(crate) fn document(&self, call: CallId) -> Value {
        let mut document = json!({"channels": self.load()});
        if let Some(channel) = self.channels.get(&call) {
            document["uuid"] = channel.uuid.as_str().into();
            if let Some(local) = channel.local() {
                document["ip"] = local.ip().to_string().into();
                document["port"] = local.port().into();
            }
        } else if let Some(table) = self.tables.get(&call) {
            document["uuid"] = table.uuid.as_str().into();
            document["call"] = table.name.as_str().into();
        }
        document
    }

    pub(crate) fn answer(&mut self, request: RequestId, result: Result<Value, Failure>) {
        let (status, body) = match result {
            Ok(document) => (200, document),
            Err(Failure { status, what, place }) => (status, json!({"error": what, "where": place})),
        };
        self.out.push_back(Output::Answer(request, Answer { status, body: body.to_string(), allow: None }));
    }

    pub(crate) fn tell(&mut self, call: CallId, mut news: News) {
        let Some(channel) = self.channels.get_mut(&call) else { return };
        let Some(control) = channel.control.clone() else { return };
        news.insert("uuid".into(), channel.uuid.as_str().into());
        news.insert("seq".into(), channel.seq.into());
        channel.seq += 1;
        let path = format!("channel/{}", channel.uuid);
        news.insert("channels".into(), self.load());
        self.out.push_back(Output::Tell { call, control, path, body: Value::Object(news).to_string() });
    }
}
