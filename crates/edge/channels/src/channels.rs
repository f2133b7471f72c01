//! All channels: what is asked of them, what the engine tells of them, and who hears whom.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use compact_str::{CompactString, format_compact};
use hookswitch_call::{
    AudioNews, CallAudio, CallId, Cause, Digit, KEY_TIME, Kind, LegId, MediaOp, MediaReport, Part, Party, PlayControl,
    PlayId, PlayNews, RecordNews, RecordOrder, RecordPlan, RecordingId, Room, RoomNews, Seat, Soup, Time,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::channel::{Asked, Channel, State, What};
use crate::description::{Remote, place_of};
use crate::json::Failure;
use crate::news::{self, News};

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
    draining: bool,
    pub(crate) out: VecDeque<Output>,
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
            by_uuid: HashMap::with_hasher(state),
            opening: BTreeMap::new(),
            untargeted: BTreeSet::new(),
            draining: false,
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
        self.channels.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// No new ones from now on.
    pub const fn drain(&mut self) {
        self.draining = true;
    }

    /// Ends all of them, and takes no new ones.
    pub fn end_all(&mut self) {
        self.draining = true;
        for call in self.channels.keys().copied().collect::<Vec<_>>() {
            self.close(call, "shutdown");
        }
    }

    /// The next thing to do. Drained until `None` after every touch.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Channels::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.untargeted.first().map(|(at, _)| *at)
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some((_, call)) = self.untargeted.first().copied().filter(|(at, _)| *at <= now) {
            self.close(call, "idle-timeout");
        }
    }

    /// Takes what the media engine tells of a channel. What comes too late is ignored.
    pub fn report(&mut self, report: MediaReport) {
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
            MediaReport::Digit { call, digit, .. } => self.tell(call, news::key(digit.key)),
            MediaReport::Recorded { call, recording, news } => self.recorded(call, recording, &news),
            // Who holds whom, and who is silent, is the controller's own affair.
            MediaReport::Silent { .. }
            | MediaReport::Direction { .. }
            | MediaReport::Audio { news: AudioNews::Quiet(_) | AudioNews::Back(_), .. } => {}
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
        if self.draining {
            return Err(Failure::new(503, "channel", "no new channels: the server is stopping"));
        }
        if self.active() >= self.config.capacity {
            return Err(Failure::new(503, "channel", "Currently out of channels"));
        }
        let call = CallId(FIRST_CHANNEL + self.next);
        let uuid = self.uuid();
        self.next += 1;
        self.by_uuid.insert(uuid.clone(), call);
        self.channels.insert(call, Channel::new(uuid, call, control, now));
        self.opening.insert(call, (request, remote));
        self.untargeted.insert((now + self.config.untargeted_time, call));
        self.media(MediaOp::Open { call, offer: None, codecs: None, near: self.config.near, room: None });
        self.offer(call);
        Ok(())
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
        match self.state(call) {
            Some(State::Open { .. }) => Ok(call),
            // Its name is not told before it has its ports.
            Some(State::AwaitPort | State::AwaitEnd { .. }) | None => Err(unknown()),
        }
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
        // Under the name of what is played already it is another version of that.
        let play = channel.playing.unwrap_or_else(|| channel.next_play());
        channel.playing = Some(play);
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

    fn hear(&mut self, call: CallId) {
        if let Some(source) = self.channels.get(&call).map(Channel::hears) {
            self.media(MediaOp::Hear { call, seat: SEAT, source });
        }
    }

    pub(crate) fn press(&mut self, call: CallId, keys: &str) {
        for key in keys.chars() {
            let digit = Digit { key: key.to_ascii_uppercase(), time: KEY_TIME };
            self.media(MediaOp::Digit { call, party: PARTY, digit });
        }
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
        let available = if self.draining { 0 } else { self.config.capacity.saturating_sub(active) };
        json!({"active": active, "available": available})
    }

    fn active(&self) -> usize {
        self.by_uuid.len()
    }
}

/// Reports.
impl Channels {
    fn opened(&mut self, call: CallId, local: std::net::SocketAddr) {
        let Some((request, remote)) = self.opening.remove(&call) else { return };
        if let Some(channel) = self.channels.get_mut(&call) {
            channel.state = State::Open { local, targeted: false };
        }
        match remote {
            Some(remote) => {
                self.aim(call, &remote);
                self.ask(request, call, What::Opened(Ok(())));
            }
            None => self.answer(request, Ok(self.document(call))),
        }
    }

    fn refused(&mut self, call: CallId, cause: &Cause) {
        if let Some((request, _)) = self.opening.remove(&call) {
            let out = cause.kind == Kind::Overloaded;
            let text = if out { "Currently out of channels" } else { cause.text.as_str() };
            self.answer(request, Err(Failure::new(if out { 503 } else { 500 }, "channel", text)));
            return self.forget(call);
        }
        let asked = self.channels.get_mut(&call).map(|channel| channel.asked.iter_mut());
        let waiting = asked.into_iter().flatten().find_map(|asked| match &mut asked.what {
            What::Target(result) | What::Opened(result) if result.is_ok() => Some(result),
            What::Target(_) | What::Opened(_) | What::Look => None,
        });
        if let Some(result) = waiting {
            *result = Err(Failure::value("audio", format!("none of it can be used: {}", cause.text)));
        }
    }

    fn looked(&mut self, call: CallId, audio: Option<&CallAudio>) {
        let Some(channel) = self.channels.get_mut(&call) else { return };
        let Some(Asked { request, what }) = channel.asked.pop_front() else { return };
        let result = match what {
            What::Look => {
                let stats = audio.map(|audio| news::stats(&audio.caller));
                let mut document = self.document(call);
                document["stats"] = stats.into();
                Ok(document)
            }
            What::Target(Ok(())) | What::Opened(Ok(())) => {
                self.targeted(call);
                Ok(self.document(call))
            }
            What::Target(Err(failure)) => Err(failure),
            What::Opened(Err(failure)) => {
                self.close(call, "requested");
                Err(failure)
            }
        };
        self.answer(request, result);
    }

    fn targeted(&mut self, call: CallId) {
        let Some(channel) = self.channels.get_mut(&call) else { return };
        if let State::Open { targeted, .. } = &mut channel.state {
            *targeted = true;
            let deadline = channel.opened + self.config.untargeted_time;
            self.untargeted.remove(&(deadline, call));
        }
    }

    fn in_room(&mut self, call: CallId, told: &RoomNews) {
        if let (RoomNews::Refused(_), Some(channel)) = (told, self.channels.get_mut(&call)) {
            channel.room = None;
            self.hear(call);
        }
        if let Some(news) = news::mix(told) {
            self.tell(call, news);
        }
    }

    fn played(&mut self, call: CallId, play: PlayId, told: &PlayNews) {
        if let (PlayNews::Ended(_), Some(channel)) = (told, self.channels.get_mut(&call))
            && channel.playing == Some(play)
        {
            channel.playing = None;
        }
        self.tell(call, news::play(told));
    }

    fn recorded(&mut self, call: CallId, recording: RecordingId, told: &RecordNews) {
        let Some(channel) = self.channels.get_mut(&call) else { return };
        let Some(file) = channel.recordings.iter().find(|(_, id)| **id == recording).map(|(file, _)| file.clone())
        else {
            return;
        };
        if matches!(told, RecordNews::Finished(_)) {
            channel.recordings.remove(&file);
        }
        self.tell(call, news::record(&file, told));
        self.forget_ended(call);
    }

    fn ended(&mut self, call: CallId, audio: Option<&CallAudio>) {
        let Some(State::AwaitEnd { reason, silent }) = self.channels.get_mut(&call).map(|channel| &mut channel.state)
        else {
            return;
        };
        let reason = reason.clone();
        if !std::mem::replace(silent, true) {
            self.tell(call, news::close(&reason, audio));
        }
        self.forget_ended(call);
    }

    /// A channel is there until its last recording is complete.
    fn forget_ended(&mut self, call: CallId) {
        let channel = self.channels.get(&call);
        let over = channel.is_some_and(|channel| {
            channel.recordings.is_empty() && matches!(channel.state, State::AwaitEnd { silent: true, .. })
        });
        if over {
            self.forget(call);
        }
    }

    fn forget(&mut self, call: CallId) {
        let Some(mut channel) = self.channels.remove(&call) else { return };
        self.by_uuid.remove(&channel.uuid);
        self.untargeted.remove(&(channel.opened + self.config.untargeted_time, call));
        if channel.state == State::AwaitPort {
            self.media(MediaOp::Close { call });
        }
        for Asked { request, .. } in std::mem::take(&mut channel.asked) {
            self.answer(request, Err(Failure::new(404, "path", "Not found")));
        }
    }
}

/// What goes out.
impl Channels {
    fn media(&mut self, op: MediaOp) {
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

    fn tell(&mut self, call: CallId, mut news: News) {
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
