//! The Call API in front of a simulated OpenSIPS, in virtual time.
//!
//! An [`OpenSipsLab`] holds one [`Front`] and one [`Sim`], joined by datagrams that are lost, doubled and delayed, and
//! any number of sessions. Every session is listened to: a command begins once, ends once, says nothing outside, and
//! says what it says in its order.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use hookswitch_call::{CallId, Time, Told};
use hookswitch_dialect::journal::record::CallDetail;
use hookswitch_dialect::journal::{CommandName, LeftCall};
use hookswitch_dialect::rest::{CommandEnd, Request, Response};
use hookswitch_opensips::{Config, Health, Input, Link, MiError};
use hookswitch_opensips_sim::{PeerId, Sim, SimConfig, SimOutput};
use hookswitch_shard::{Admission, Front, FrontConfig, FrontInput, FrontOutput, HttpId, Mode, SessionId};
use serde_json::Value;

use crate::dice::Dice;
use crate::lab::START;
use crate::opensips_cast;
pub use crate::opensips_client::{Client, Heard, Progress};

/// Where the front gets its events as datagrams.
pub const EVENT_SOCKET: &str = "udp:127.0.0.1:49136";

/// Where it gets them as a stream.
pub const EVENT_STREAM: &str = "tcp:127.0.0.1:5071";

/// The front, to OpenSIPS.
const US: PeerId = PeerId(1);

/// No test needs more steps than this.
const MAX_STEPS: u64 = 100_000_000;

/// What happens to datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Datagrams lost, in percent.
    pub loss: u8,
    /// Datagrams doubled, in percent.
    pub double: u8,
    /// Least time that one is under way.
    pub delay: Duration,
    /// Most time added to it at random: with more than the time between two, they overtake each other.
    pub jitter: Duration,
}

impl Network {
    /// One machine: everything arrives, in order, after 50 µs.
    pub const CLEAR: Self = Self { loss: 0, double: 0, delay: Duration::from_micros(50), jitter: Duration::ZERO };

    /// One in a hundred is lost, one in a hundred comes twice, and they overtake each other.
    pub const ROUGH: Self = Self { loss: 1, double: 1, delay: Duration::from_micros(200), jitter: crate::millis(5) };
}

/// What happens to one datagram alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// It is lost.
    Lost,
    /// It comes twice.
    Doubled,
    /// It comes so much later.
    Late(Duration),
}

#[derive(Debug)]
enum Parcel {
    Request(Bytes),
    Reply(Bytes),
    Event(Bytes),
    /// A piece of a stream of events.
    Piece(u64, Bytes),
    /// Nobody listens at the MI port.
    Refusal,
}

/// A Call API in front of an OpenSIPS.
pub struct OpenSipsLab {
    now: Time,
    dice: Dice,
    network: Network,
    /// The connection on which events come, where they come as a stream.
    stream: u64,
    /// What is going to happen to one datagram, and how many go before it.
    mishap: Option<(Mishap, u32)>,
    front: Front,
    sim: Sim,
    mail: BTreeMap<(Time, u64), Parcel>,
    sent: u64,
    clients: BTreeMap<SessionId, Client>,
    healths: Vec<Health>,
    /// OpenSIPS is not running: what is sent to it is refused, or lost if [`Self::silent`].
    is_down: bool,
    silent: bool,
    steps: u64,
    /// Every request as OpenSIPS got it, if wanted.
    requests: Option<Vec<Value>>,
    noted: Noted,
}

/// What a front has said to others than the applications on WebSockets.
#[derive(Debug, Default)]
pub struct Noted {
    /// What has happened in calls, and the command that it comes of.
    pub told: Vec<(Told, Option<CommandName>)>,
    /// Commands of the native REST that have ended.
    pub commands: Vec<CommandEnd>,
    /// Webhooks of single calls, and how much had been told by then.
    pub webhooks: Vec<(CallId, CompactString, usize)>,
    /// The records of calls.
    pub records: Vec<CallDetail>,
    responses: Vec<Response>,
}

/// How a lab is set up.
pub struct LabConfig {
    /// The front, but for its event socket.
    pub front: FrontConfig,
    /// OpenSIPS.
    pub sim: SimConfig,
    /// Between them.
    pub network: Network,
    /// Whether events come as a stream, cut anywhere, instead of as datagrams.
    pub stream: bool,
    /// For everything that happens by chance.
    pub seed: u64,
}

impl Default for LabConfig {
    fn default() -> Self {
        let front = FrontConfig::default();
        let seed = crate::DEFAULT_SEED;
        Self { front, sim: SimConfig::default(), network: Network::CLEAR, stream: false, seed }
    }
}

impl Default for OpenSipsLab {
    fn default() -> Self {
        Self::new(LabConfig::default())
    }
}

impl OpenSipsLab {
    /// A lab with the phones of the recordings, whose front has found its OpenSIPS.
    #[must_use]
    pub fn new(config: LabConfig) -> Self {
        let mut dice = Dice::new(config.seed);
        let mut sim = Sim::new(config.sim, dice.seed());
        opensips_cast::enter(&mut sim);
        let mut front = config.front;
        if config.stream {
            front.opensips.event_socket = EVENT_STREAM.into();
        }
        let mut lab = Self::with(front, sim, config.network, START, dice);
        for _ in 0..60 {
            lab.pass(crate::seconds(1));
            if lab.is_up() {
                break;
            }
        }
        assert!(lab.is_up(), "OpenSIPS was not found: {:?}", lab.front.health());
        lab
    }

    /// A lab with an OpenSIPS that has been set up, at a time; nothing has happened yet.
    #[must_use]
    pub fn with(mut front: FrontConfig, sim: Sim, network: Network, now: Time, mut dice: Dice) -> Self {
        if front.opensips.event_socket != EVENT_STREAM {
            front.opensips = Config { event_socket: EVENT_SOCKET.into(), ..front.opensips };
        }
        let mut lab = Self {
            now,
            front: Front::new(front, dice.seed()),
            dice,
            network,
            stream: 1,
            mishap: None,
            sim,
            mail: BTreeMap::new(),
            sent: 0,
            clients: BTreeMap::new(),
            healths: Vec::new(),
            is_down: false,
            silent: false,
            steps: 0,
            requests: None,
            noted: Noted::default(),
        };
        lab.front.start(now);
        lab.deliver();
        lab
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// The machine under test.
    #[must_use]
    pub fn front(&self) -> &Front {
        &self.front
    }

    /// OpenSIPS.
    pub fn sim(&mut self) -> &mut Sim {
        &mut self.sim
    }

    /// OpenSIPS closes the stream of events, in the middle of whatever it says, and opens another one.
    pub fn cut_stream(&mut self) {
        self.mail.retain(|_, parcel| !matches!(parcel, Parcel::Piece(..)));
        self.put(FrontInput::OpenSips(Input::EventClosed { connection: self.stream }));
        self.stream += 1;
    }

    /// Changes the network from now on.
    pub fn network(&mut self, network: Network) {
        self.network = network;
    }

    /// Something happens to the datagram that comes after so many others, in either direction.
    pub fn mishap(&mut self, mishap: Mishap, after: u32) {
        self.mishap = Some((mishap, after));
    }

    /// Whether [`Self::mishap`] has happened.
    #[must_use]
    pub fn has_happened(&self) -> bool {
        self.mishap.is_none()
    }

    /// Whether OpenSIPS answers and its events reach us.
    #[must_use]
    pub fn is_up(&self) -> bool {
        let health = self.front.health();
        health.mi == Link::Up && health.events == Link::Up
    }

    /// Every change of health so far.
    #[must_use]
    pub fn healths(&self) -> &[Health] {
        &self.healths
    }

    /// From now on the requests that reach OpenSIPS are kept.
    pub fn keep_requests(&mut self) {
        self.requests.get_or_insert_default();
    }

    /// The requests that have reached OpenSIPS, of this method.
    #[must_use]
    pub fn requests(&self, method: &str) -> Vec<&Value> {
        self.requests.iter().flatten().filter(|request| request["method"] == method).collect()
    }

    /// An application connects.
    pub fn open(&mut self, mode: Mode) -> SessionId {
        let session = SessionId(self.clients.len() as u64 + 1);
        self.clients.insert(session, Client::default());
        self.put(FrontInput::SessionOpened { session, admission: Admission::open(mode) });
        session
    }

    /// An application sends a text.
    pub fn say(&mut self, session: SessionId, text: &str) {
        self.put(FrontInput::Text { session, text: text.to_owned() });
    }

    /// An application asks for a command under a `cmd_id`, which is also its request's id.
    pub fn ask(&mut self, session: SessionId, method: &str, cmd_id: &str, params: &[(&str, &str)]) {
        let mut members: serde_json::Map<String, Value> =
            params.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        members.insert("cmd_id".into(), cmd_id.into());
        let request = serde_json::json!({"jsonrpc": "2.0", "id": cmd_id, "method": method, "params": members});
        self.say(session, &request.to_string());
    }

    /// An application is gone.
    pub fn close(&mut self, session: SessionId) {
        if let Some(client) = self.clients.get_mut(&session) {
            client.leave();
        }
        self.put(FrontInput::SessionClosed(session));
    }

    /// The program is killed and started again, in no time: nothing is left of it but what it has stored.
    pub fn restart_front(&mut self, mut front: FrontConfig, left: Vec<LeftCall>) {
        front.opensips.event_socket = EVENT_SOCKET.into();
        self.front = Front::new(front, self.dice.seed());
        self.clients.clear();
        self.front.handle(self.now, FrontInput::Left(left));
        self.front.start(self.now);
        self.deliver();
    }

    /// Anything else goes into the front.
    pub fn put(&mut self, input: FrontInput) {
        self.front.handle(self.now, input);
        self.deliver();
    }

    /// A request of the native REST, and its answer.
    ///
    /// # Panics
    /// If it is not answered at once.
    pub fn rest(&mut self, request: Request) -> Response {
        self.put(FrontInput::Rest { id: HttpId(1), request: Box::new(request) });
        self.noted.responses.pop().expect("an answer")
    }

    /// What the front has said to others than sessions.
    #[must_use]
    pub const fn noted(&self) -> &Noted {
        &self.noted
    }

    /// Forgets that.
    pub fn forget_noted(&mut self) {
        self.noted = Noted::default();
    }

    /// What a session has heard.
    ///
    /// # Panics
    /// If there is no such session.
    #[must_use]
    pub fn client(&self, session: SessionId) -> &Client {
        &self.clients[&session]
    }

    /// Forgets what a session has heard; what is running goes on being listened to.
    pub fn forget(&mut self, session: SessionId) {
        if let Some(client) = self.clients.get_mut(&session) {
            client.heard.clear();
        }
    }

    /// Stops and starts OpenSIPS at once: calls and subscriptions are gone.
    pub fn restart_opensips(&mut self) {
        self.sim.restart(self.now);
    }

    /// Stops OpenSIPS; requests are refused by its machine.
    pub fn stop_opensips(&mut self) {
        self.sim.restart(self.now);
        self.is_down = true;
        self.silent = false;
    }

    /// OpenSIPS can no longer be reached; nothing comes back.
    pub fn cut_opensips_off(&mut self) {
        self.is_down = true;
        self.silent = true;
    }

    /// OpenSIPS is there again.
    pub fn start_opensips(&mut self) {
        self.is_down = false;
    }

    /// Puts an event before the front, as if OpenSIPS had sent it.
    pub fn event(&mut self, text: &str) {
        self.put(FrontInput::OpenSips(Input::Event(Bytes::from(text.to_owned()))));
    }

    /// Puts a reply before the front, as if OpenSIPS had sent it.
    pub fn reply(&mut self, text: &str) {
        self.put(FrontInput::OpenSips(Input::Reply(Bytes::from(text.to_owned()))));
    }

    /// Lets so much time pass.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.next().filter(|next| *next <= until) {
            self.step(next);
        }
        self.now = until;
    }

    /// Lets time pass until no command is running, at most so much.
    ///
    /// # Panics
    /// If a command is still running then.
    pub fn settle(&mut self, most: Duration) {
        let until = self.now + most;
        while self.clients.values().any(|client| !client.running.is_empty() && !client.is_gone()) {
            let next = self.next().filter(|next| *next <= until);
            let Some(next) = next else {
                let running: Vec<_> = self.clients.values().flat_map(|client| client.running.keys()).collect();
                panic!("still running after {most:?}: {running:?}");
            };
            self.step(next);
        }
    }

    fn next(&self) -> Option<Time> {
        let mail = self.mail.first_key_value().map(|((at, _), _)| *at);
        [mail, self.front.poll_timeout(), self.sim.poll_timeout()].into_iter().flatten().min()
    }

    fn step(&mut self, next: Time) {
        self.steps += 1;
        assert!(self.steps < MAX_STEPS, "time does not pass");
        self.now = self.now.max(next);
        while let Some(entry) = self.mail.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let parcel = entry.remove();
            self.receive(parcel);
        }
        self.sim.handle_timeout(self.now);
        if self.front.poll_timeout().is_some_and(|at| at <= self.now) {
            self.front.handle_timeout(self.now);
        }
        self.deliver();
    }

    fn receive(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Request(bytes) => {
                if let Some(requests) = &mut self.requests {
                    requests.push(serde_json::from_slice(&bytes).expect("we write JSON"));
                }
                self.sim.handle_mi(self.now, US, &bytes);
                assert!(!self.sim.is_dead(), "this kills OpenSIPS: {bytes:?}");
            }
            Parcel::Reply(bytes) => self.put(FrontInput::OpenSips(Input::Reply(bytes))),
            Parcel::Event(bytes) => self.put(FrontInput::OpenSips(Input::Event(bytes))),
            Parcel::Piece(connection, bytes) => {
                self.put(FrontInput::OpenSips(Input::EventBytes { connection, bytes }));
            }
            Parcel::Refusal => self.put(FrontInput::OpenSips(Input::MiDown(MiError::Refused))),
        }
        self.deliver();
    }

    /// Takes what both sides have to say.
    fn deliver(&mut self) {
        while let Some(output) = self.front.poll_output() {
            match output {
                FrontOutput::Mi { bytes, .. } if self.is_down && self.silent => drop(bytes),
                FrontOutput::Mi { .. } if self.is_down => self.post(|| Parcel::Refusal),
                FrontOutput::Mi { bytes, .. } => self.post(|| Parcel::Request(bytes.clone())),
                FrontOutput::Text { session, text } => {
                    let client = self.clients.get_mut(&session).expect("a session that was opened");
                    client.hear(self.now, &text);
                }
                FrontOutput::Log { .. } => panic!("no application here reads the log"),
                FrontOutput::CloseSession { session, code } => {
                    let client = self.clients.get_mut(&session).expect("a session that was opened");
                    client.closed_with = Some(code);
                    client.leave();
                }
                FrontOutput::Told(told, command) => self.noted.told.push((told, command)),
                FrontOutput::Rest { response, .. } => self.noted.responses.push(response),
                FrontOutput::Command(end) => self.noted.commands.push(end),
                FrontOutput::Webhook { call, webhook, .. } => {
                    let told = self.noted.told.iter().filter(|(told, _)| told.call == call).count();
                    self.noted.webhooks.push((call, webhook, told));
                }
                FrontOutput::Record(detail) => self.noted.records.push(*detail),
                FrontOutput::Health(health) => self.healths.push(health),
            }
        }
        while let Some(output) = self.sim.poll_output() {
            if self.is_down {
                continue;
            }
            match output {
                SimOutput::MiReply { bytes, .. } => self.post(|| Parcel::Reply(bytes.clone())),
                SimOutput::Event { socket, bytes } if socket == EVENT_STREAM => self.stream_out(&bytes),
                SimOutput::Event { socket, bytes } => {
                    assert_eq!(socket, EVENT_SOCKET);
                    self.post(|| Parcel::Event(bytes.clone()));
                }
            }
        }
    }

    /// A piece of a stream: all of it arrives, in order, cut anywhere.
    fn stream_out(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let length = (self.dice.below(40) as usize + 1).min(bytes.len());
            let (piece, rest) = bytes.split_at(length);
            self.sent += 1;
            let parcel = Parcel::Piece(self.stream, Bytes::copy_from_slice(piece));
            self.mail.insert((self.now + self.network.delay, self.sent), parcel);
            bytes = rest;
        }
    }

    /// One datagram: none, one or two arrive.
    fn post(&mut self, parcel: impl Fn() -> Parcel) {
        let Network { loss, double, delay, jitter } = self.network;
        let mishap = self.mishap.take_if(|(_, after)| *after == 0).map(|(mishap, _)| mishap);
        if let Some((_, after)) = &mut self.mishap {
            *after -= 1;
        }
        if self.dice.percent(loss) || mishap == Some(Mishap::Lost) {
            return;
        }
        let late = if let Some(Mishap::Late(late)) = mishap { late } else { Duration::ZERO };
        for _ in 0..if self.dice.percent(double) || mishap == Some(Mishap::Doubled) { 2 } else { 1 } {
            self.sent += 1;
            let at = self.now + delay + late + self.dice.within(jitter);
            self.mail.insert((at, self.sent), parcel());
        }
    }
}
