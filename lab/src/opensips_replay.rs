//! A recording played again: the client says what it said, OpenSIPS answers and reports what it did, and in between
//! stands ours.
//!
//! What ours asks of OpenSIPS that the original asked as well gets the recorded answer and is followed by the recorded
//! events, each so long after the request as it was then. Everything else (versions, subscriptions, ends of calls) is
//! answered by an OpenSIPS that is simulated.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_call::Time;
use hookswitch_opensips::{Config, Input};
use hookswitch_opensips_sim::{PeerId, Sim, SimConfig, SimOutput};
use hookswitch_shard::{Admission, Front, FrontConfig, FrontInput, FrontOutput, Mode, SessionId};
use serde_json::Value;

use crate::dice::Dice;
use crate::opensips::{Client, EVENT_SOCKET};
use crate::opensips_cast::{Line, recording};

/// Requests that are followed by events, or whose answers matter.
const ANCHORS: [&str; 5] = ["t_uac_dlg", "call_transfer", "call_hold", "call_unhold", "dlg_end_dlg"];

/// How long after the last line everything has come to its end.
const AFTER: Duration = crate::seconds(60);

enum Item {
    Open(SessionId),
    Say(SessionId, String),
    Close(SessionId),
    Reply(String),
    Event(String),
}

/// A recording, and ours in the middle of it.
pub struct Replay {
    now: Time,
    front: Front,
    sim: Sim,
    agenda: BTreeMap<(Time, usize), Item>,
    count: usize,
    lines: Vec<Line>,
    used: Vec<bool>,
    /// The original's name for a thing, and ours.
    renamed: Vec<(String, String)>,
    /// First INVITEs as the original asked for them, in our names, and as ours did.
    invites: Vec<(Value, Value)>,
    /// Sessions by the client's port then.
    clients: BTreeMap<u64, Client>,
}

impl Replay {
    /// Plays a recording. `leaves` says whether clients go when they went.
    #[must_use]
    pub fn of(name: &str, leaves: bool) -> Self {
        let lines = recording(name);
        let begin = lines[0].at - crate::seconds(2);
        let mut dice = Dice::new(crate::DEFAULT_SEED);
        let sim = Sim::new(SimConfig { spread: Duration::ZERO, ..SimConfig::default() }, dice.seed());
        let opensips = Config { event_socket: EVENT_SOCKET.into(), ..Config::default() };
        let mut replay = Self {
            now: begin,
            front: Front::new(FrontConfig { opensips, ..FrontConfig::default() }, dice.seed()),
            sim,
            agenda: BTreeMap::new(),
            count: 0,
            used: vec![false; lines.len()],
            lines,
            renamed: Vec::new(),
            invites: Vec::new(),
            clients: BTreeMap::new(),
        };
        replay.front.start(begin);
        replay.deliver();
        replay.plan(leaves);
        let end = replay.lines.last().map_or(begin, |line| line.at) + AFTER;
        while let Some(next) = replay.next().filter(|next| *next <= end) {
            replay.step(next);
        }
        replay
    }

    /// What each client heard, by its port then.
    #[must_use]
    pub fn clients(&self) -> &BTreeMap<u64, Client> {
        &self.clients
    }

    /// What the original asked `t_uac_dlg` for, in our names, and what ours did.
    #[must_use]
    pub fn invites(&self) -> &[(Value, Value)] {
        &self.invites
    }

    /// The recording.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// How many dialogs and commands are left.
    #[must_use]
    pub fn commands_left(&self) -> usize {
        self.front.counts().commands
    }

    fn plan(&mut self, leaves: bool) {
        let mut seen = Vec::new();
        let lines = self.lines.clone();
        for line in lines.iter().filter(|line| line.from == "ws-client") {
            let Some(connection) = line.connection else { continue };
            let session = SessionId(connection);
            if !seen.contains(&connection) {
                seen.push(connection);
                self.put(line.at, Item::Open(session));
            }
            let is_close = line.text.starts_with("<WS CLOSE");
            if is_close && leaves {
                self.put(line.at, Item::Close(session));
            } else if line.channel == "ws" && !is_close && !line.text.starts_with("<TCP") {
                self.put(line.at, Item::Say(session, line.text.clone()));
            }
        }
    }

    fn put(&mut self, at: Time, item: Item) {
        self.count += 1;
        self.agenda.insert((at, self.count), item);
    }

    fn next(&self) -> Option<Time> {
        let item = self.agenda.first_key_value().map(|((at, _), _)| *at);
        [item, self.front.poll_timeout(), self.sim.poll_timeout()].into_iter().flatten().min()
    }

    fn step(&mut self, next: Time) {
        self.now = self.now.max(next);
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let input = match entry.remove() {
                Item::Open(session) => {
                    self.clients.insert(session.0, Client::default());
                    FrontInput::SessionOpened { session, admission: Admission::open(Mode::Original) }
                }
                Item::Say(session, text) => FrontInput::Text { session, text },
                Item::Close(session) => {
                    self.clients.get_mut(&session.0).expect("a session").leave();
                    FrontInput::SessionClosed(session)
                }
                Item::Reply(text) => FrontInput::OpenSips(Input::Reply(text.into())),
                Item::Event(text) => FrontInput::OpenSips(Input::Event(text.into())),
            };
            self.front.handle(self.now, input);
            self.deliver();
        }
        self.sim.handle_timeout(self.now);
        self.front.handle_timeout(self.now);
        self.deliver();
    }

    fn deliver(&mut self) {
        loop {
            if let Some(output) = self.front.poll_output() {
                match output {
                    FrontOutput::Mi { bytes, .. } => self.request(&bytes),
                    FrontOutput::Text { session, text } => {
                        self.clients.get_mut(&session.0).expect("a session").hear(self.now, &text);
                    }
                    FrontOutput::CloseSession { session, code } => panic!("{session:?} closed with {code}"),
                    FrontOutput::Log { .. }
                    | FrontOutput::Told(..)
                    | FrontOutput::Rest { .. }
                    | FrontOutput::Command(_)
                    | FrontOutput::Webhook { .. }
                    | FrontOutput::Record(_)
                    | FrontOutput::Health(_) => {}
                }
            } else if let Some(output) = self.sim.poll_output() {
                let bytes = match output {
                    SimOutput::MiReply { bytes, .. } => Input::Reply(bytes),
                    SimOutput::Event { bytes, .. } => Input::Event(bytes),
                };
                self.front.handle(self.now, FrontInput::OpenSips(bytes));
            } else {
                return;
            }
        }
    }

    fn request(&mut self, bytes: &Bytes) {
        let request: Value = serde_json::from_slice(bytes).expect("we write JSON");
        let method = request["method"].as_str().unwrap_or_default();
        let recorded = ANCHORS.contains(&method).then(|| self.find(&request)).flatten();
        match recorded {
            Some(index) => self.answer(index, &request["params"], &request["id"]),
            None => self.sim.handle_mi(self.now, PeerId(1), bytes),
        }
    }

    /// The first recorded request that asks for the same.
    fn find(&self, request: &Value) -> Option<usize> {
        let params = &request["params"];
        (0..self.lines.len()).find(|index| {
            let line = &self.lines[*index];
            let is_request = line.channel == "mi" && line.from == "call-api" && !self.used[*index];
            let theirs = &line.payload["params"];
            is_request
                && line.payload["method"] == request["method"]
                && match request["method"].as_str() {
                    Some("t_uac_dlg") => theirs["ruri"] == params["ruri"] && theirs["method"] == params["method"],
                    _ => self.is_same(theirs, params),
                }
        })
    }

    fn is_same(&self, theirs: &Value, ours: &Value) -> bool {
        let theirs: Value = serde_json::from_str(&self.in_our_names(theirs.to_string())).expect("JSON");
        theirs == *ours
    }

    fn in_our_names(&self, mut text: String) -> String {
        for (theirs, ours) in &self.renamed {
            text = text.replace(theirs.as_str(), ours);
        }
        text
    }

    /// Plans what followed a recorded request.
    fn answer(&mut self, index: usize, params: &Value, id: &Value) {
        self.used[index] = true;
        let request = self.lines[index].clone();
        let headers = |params: &Value| params["headers"].as_str().and_then(call_id).map(str::to_owned);
        if let (Some(theirs), Some(ours)) = (headers(&request.payload["params"]), headers(params)) {
            self.renamed.push((theirs, ours));
            let theirs = self.in_our_names(request.payload["params"].to_string());
            self.invites.push((serde_json::from_str(&theirs).expect("JSON"), params.clone()));
        }
        let later = self.lines[index + 1..].to_vec();
        let is_mine = |line: &Line| line.channel == "mi" && line.socket == request.socket;
        let reply = later
            .iter()
            .find(|line| is_mine(line) && line.from == "opensips" && line.payload["id"] == request.payload["id"]);
        if let Some(reply) = reply {
            let mut payload = reply.payload.clone();
            payload["id"] = id.clone();
            let text = self.in_our_names(payload.to_string());
            self.put(self.now + (reply.at - request.at), Item::Reply(text));
        }
        let mut subscribed = self.lines[..=index].iter().filter(|line| {
            let params = &line.payload["params"];
            is_mine(line) && line.payload["method"] == "event_subscribe" && params["expire"] != 0
        });
        let Some(socket) = subscribed.next_back().map(|line| line.payload["params"]["socket"].to_string()) else {
            return;
        };
        let until = later.iter().position(|line| {
            is_mine(line)
                && line.from == "call-api"
                && ANCHORS[..4].iter().any(|anchor| line.payload["method"] == *anchor)
        });
        for line in &later[..until.unwrap_or(later.len())] {
            if line.channel == "evi" && socket.contains(&line.socket) {
                let text = self.in_our_names(line.text.clone());
                self.put(self.now + (line.at - request.at), Item::Event(text));
            }
        }
    }
}

/// The Call-ID in a block of header fields.
fn call_id(headers: &str) -> Option<&str> {
    headers.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("call-id").then(|| value.trim())
    })
}
