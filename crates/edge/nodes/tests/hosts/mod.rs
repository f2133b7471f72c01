//! A switchboard whose audio is on media hosts: their `/channel`, with an engine that always says yes and remembers what it
//! was asked, and a network that carries one request or event at a time.

#![allow(dead_code)]

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use hookswitch_call::port::MediaLink;
use hookswitch_call::switchboard::{Output, Switchboard};
use hookswitch_call::*;
use hookswitch_channels::{Answer as Answered, Channels, Config, Output as Wanted, RequestId};
use hookswitch_nodes::{Answer, Ask, AskId, Half, Media, NodeId, Told};

/// A media host.
pub struct Host {
    pub channels: Channels,
    /// What the engine has of each call.
    pub calls: BTreeMap<CallId, Table>,
    pub alive: bool,
    starts: u8,
    number: u16,
    capacity: usize,
}

/// A call in an engine.
#[derive(Default, Debug)]
pub struct Table {
    pub ops: Vec<String>,
    pub hears: BTreeMap<String, Source>,
    pub accepted: BTreeMap<String, String>,
    pub rooms: Vec<Room>,
    pub controls: Vec<PlayControl>,
    agreed: bool,
}

impl Host {
    fn new(number: u16, capacity: usize) -> Self {
        let channels = Channels::new(Config { capacity, ..Config::default() }, [1; 32]);
        Self { channels, calls: BTreeMap::new(), alive: true, starts: 1, number, capacity }
    }

    /// Its program is started again.
    pub fn start_again(&mut self) {
        self.starts += 1;
        self.calls.clear();
        self.alive = true;
        let config = Config { capacity: self.capacity, ..Config::default() };
        self.channels = Channels::new(config, [self.starts; 32]);
    }

    /// The engine's part.
    fn perform(&mut self, op: MediaOp) -> Option<MediaReport> {
        let call = op.call();
        let table = self.calls.entry(call).or_default();
        table.ops.push(format!("{op:?}").split([' ', '{']).next().unwrap_or_default().to_owned());
        let local = |seat, leg| {
            let (host, version) = (self.number, table.ops.len());
            let sdp = format!(
                "v=0\r\no=- {host}{leg} {version} IN IP4 10.0.0.{host}\r\ns=host {host}\r\nm=audio 4000 RTP/AVP 0\r\n"
            );
            Some(MediaReport::Local { call, seat, leg, sdp: Sdp(sdp.into()) })
        };
        match op {
            MediaOp::MakeOffer { seat, leg, .. } => local(seat, leg),
            MediaOp::MakeAnswer { seat, leg, .. } => {
                let report = local(seat, leg);
                table.agreed = true;
                report
            }
            MediaOp::Accept { seat, sdp, .. } => {
                table.agreed = true;
                table.accepted.insert(format!("{seat:?}"), sdp.0.to_string());
                None
            }
            MediaOp::Hear { seat, source, .. } => {
                table.hears.insert(format!("{seat:?}"), source);
                None
            }
            MediaOp::Join { party, room, .. } => {
                table.rooms.push(room.clone());
                let members = self.calls.values().filter(|table| table.rooms.contains(&room)).count();
                let news = RoomNews::Joined(u16::try_from(members).unwrap());
                Some(MediaReport::Room { call, party, room, news })
            }
            MediaOp::Leave { room, .. } => {
                table.rooms.retain(|other| *other != room);
                None
            }
            MediaOp::Inspect { .. } => {
                let caller = AudioFacts { agreed: table.agreed.then_some(Duration::ZERO), ..AudioFacts::default() };
                let audio = Some(Box::new(CallAudio { caller, ..CallAudio::default() }));
                Some(MediaReport::Audio { call, news: AudioNews::Asked, audio })
            }
            MediaOp::Play { party, play, .. } => {
                let (news, position) = (PlayNews::Started, Duration::ZERO);
                Some(MediaReport::Played { call, party, play, news, position })
            }
            MediaOp::ControlPlay { control, .. } => {
                table.controls.push(control);
                None
            }
            MediaOp::Close { .. } => {
                let table = self.calls.remove(&call)?;
                let audio = Some(Box::default());
                table.agreed.then_some(MediaReport::Audio { call, news: AudioNews::Closed, audio })
            }
            MediaOp::Open { .. }
            | MediaOp::Offered { .. }
            | MediaOp::Hold { .. }
            | MediaOp::OpenSpare { .. }
            | MediaOp::Swap { .. }
            | MediaOp::CloseSpare { .. }
            | MediaOp::Digit { .. }
            | MediaOp::Record { .. } => None,
        }
    }
}

/// Something on its way.
#[derive(Debug)]
enum Travels {
    Ask(Ask),
    Answer(Answer),
    Event { host: u16, call: CallId, path: String, body: String },
}

/// Everything.
pub struct Site {
    pub board: Switchboard,
    pub media: Media,
    pub hosts: Vec<Host>,
    pub now: Time,
    network: VecDeque<Travels>,
    pub ops: Vec<Op>,
    pub events: Vec<Told_>,
    pub reports: Vec<MediaReport>,
    /// What each leg was last told: our offer or answer.
    pub told: BTreeMap<(CallId, LegId), Sdp>,
    /// How many requests and events have been carried.
    pub carried: usize,
    pub closed: Vec<CallId>,
    /// The recordings that engines were told to begin, by the names there.
    pub orders_of_recordings: Vec<(CallId, RecordingId)>,
    /// Every request: to whom, and how.
    pub requests: Vec<(u16, &'static str)>,
    /// Phones answer our changes by themselves.
    pub obedient: bool,
}

type Told_ = hookswitch_call::Told;

pub const ALICE: LegId = LegId(0);
pub const BOB: LegId = LegId(1);

impl Site {
    /// Hosts with room for so many channels each, all of which have said how they are.
    pub fn new(capacities: &[usize]) -> Self {
        let hosts: Vec<Host> =
            (0u16..).zip(capacities).map(|(number, capacity)| Host::new(number, *capacity)).collect();
        let controls = hosts.iter().map(|host| format!("http://control/media-node/{}", host.number)).collect();
        let mut site = Self {
            board: Switchboard::new(Limits::default(), 1),
            media: Media::new(controls),
            hosts,
            now: Duration::from_secs(1_000),
            network: VecDeque::new(),
            ops: Vec::new(),
            events: Vec::new(),
            reports: Vec::new(),
            told: BTreeMap::new(),
            carried: 0,
            closed: Vec::new(),
            orders_of_recordings: Vec::new(),
            requests: Vec::new(),
            obedient: true,
        };
        site.pass(Duration::from_millis(1));
        site.carried = 0;
        site
    }

    /// Carries one thing; false if nothing is on its way.
    pub fn carry_one(&mut self) -> bool {
        self.settle();
        let Some(travels) = self.network.pop_front() else { return false };
        self.carried += 1;
        match travels {
            Travels::Ask(ask) => self.arrive(ask),
            Travels::Answer(answer) => self.media.answered(self.now, answer),
            Travels::Event { host, call, path, body } => {
                let told = Told { method: "PUT", path: &path, body: body.as_bytes() };
                let status = self.media.told(self.now, NodeId(host), told);
                if status == 404 {
                    let host = usize::from(host);
                    self.hosts[host].channels.unknown(call);
                    self.drain_host(host);
                }
            }
        }
        self.settle();
        true
    }

    fn arrive(&mut self, Ask { id, node, method, path, body }: Ask) {
        let host = usize::from(node.0);
        self.requests.push((node.0, method));
        if !self.hosts[host].alive {
            self.network.push_back(Travels::Answer(Answer { id, result: None }));
            return;
        }
        self.hosts[host].channels.request(self.now, RequestId(id.0), method, &path, body.as_bytes());
        self.drain_host(host);
    }

    fn drain_host(&mut self, number: usize) {
        let host = &mut self.hosts[number];
        while let Some(output) = host.channels.poll_output() {
            match output {
                Wanted::Media(op) => {
                    if let MediaOp::Record { call, recording, order: RecordOrder::Begin(_), .. } = &op {
                        self.orders_of_recordings.push((*call, *recording));
                    }
                    if let Some(report) = host.perform(op) {
                        host.channels.report(report);
                    }
                }
                Wanted::Answer(RequestId(id), Answered { status, body, .. }) => {
                    let result = Some((status, Bytes::from(body)));
                    self.network.push_back(Travels::Answer(Answer { id: AskId(id), result }));
                }
                Wanted::Tell { call, control, path, body } => {
                    assert!(control.starts_with("http://control/media-node/"));
                    let (host, path) = (u16::try_from(number).unwrap(), format!("/{path}"));
                    self.network.push_back(Travels::Event { host, call, path, body });
                }
            }
        }
    }

    /// How many requests of this kind a host was sent.
    pub fn asked(&self, host: u16, method: &str) -> usize {
        self.requests.iter().filter(|(to, how)| *to == host && *how == method).count()
    }

    /// Carries everything to its end.
    pub fn carry(&mut self) {
        while self.carry_one() {}
    }

    /// A host dies, with all that it has said and not yet got through.
    pub fn kill(&mut self, number: usize) {
        self.hosts[number].alive = false;
        let dead = u16::try_from(number).unwrap();
        self.network.retain(|travels| !matches!(travels, Travels::Event { host, .. } if *host == dead));
    }

    /// The engine of a host says something by itself.
    pub fn report_of(&mut self, number: usize, report: MediaReport) {
        self.hosts[number].channels.report(report);
        self.drain_host(number);
    }

    /// What a host orders by hand.
    pub fn http(&mut self, number: usize, method: &str, path: &str) {
        self.hosts[number].channels.request(self.now, RequestId(u64::MAX), method, path, b"");
        self.drain_host(number);
        self.network.retain(|it| !matches!(it, Travels::Answer(answer) if answer.id == AskId(u64::MAX)));
    }

    fn settle(&mut self) {
        loop {
            while let Some(output) = self.board.poll_output() {
                match output {
                    Output::Media(op) => self.media.perform(self.now, op),
                    Output::Op(op) => self.op(op),
                    Output::Event(told) => self.events.push(told),
                    Output::Outcome(_) | Output::StepWanted(_) => {}
                }
            }
            while let Some(ask) = self.media.poll_ask() {
                self.network.push_back(Travels::Ask(ask));
            }
            let Some(report) = self.media.poll_report() else { break };
            self.reports.push(report.clone());
            if let MediaReport::Audio { call, news: AudioNews::Closed, .. } = &report {
                self.closed.push(*call);
            }
            self.board.tell_media(self.now, report);
        }
    }

    /// Both phones do as they are told.
    fn op(&mut self, op: Op) {
        self.ops.push(op.clone());
        match op {
            Op::Dial { call, leg, dial } => {
                let wire_id = format!("{call}-{leg}").as_str().into();
                self.told.insert((call, leg), dial.offer.unwrap());
                self.board.tell(self.now, Report::Dialed { call, leg, wire_id });
            }
            Op::Answer { call, leg, sdp } => {
                self.told.insert((call, leg), sdp);
                self.board.tell(self.now, Report::Confirmed { call, leg, sdp: None });
            }
            Op::Reoffer { call, leg, sdp, .. } => {
                self.told.insert((call, leg), sdp.unwrap());
                if self.obedient {
                    let sdp = Ok(Some(Sdp(format!("{leg} agrees").into())));
                    self.board.tell(self.now, Report::Reaccepted { call, leg, sdp });
                }
            }
            Op::Hangup { call, leg, cause } => self.board.tell(self.now, Report::Ended { call, leg, cause }),
            _ => {}
        }
    }

    /// Time passes, with all questions and answers in it.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.carry();
            let due = [self.board.poll_timeout(), self.media.poll_timeout()].into_iter().flatten().min();
            let Some(at) = due.filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
            self.board.handle_timeout(self.now);
            self.media.handle_timeout(self.now);
        }
        self.now = until;
    }

    /// Alice calls; bob is found.
    pub fn calls(&mut self) -> CallId {
        let before: Vec<CallId> = self.board.calls().map(|call| call.id).collect();
        let (from, to) = (Address::from("sip:alice@x"), Address::from("sip:bob@x"));
        let handle = Handle(before.len() as u64);
        let incoming = Incoming::new(handle, "a".into(), from, to, Some(Sdp::from("alice offers")));
        self.board.tell(self.now, Report::Incoming(Box::new(incoming)));
        let call = self.board.calls().map(|call| call.id).find(|call| !before.contains(call)).unwrap();
        self.settle();
        call
    }

    pub fn located(&mut self, call: CallId) {
        let found = Found::Targets(vec![Target::new(Address::from("sip:bob@x"), None, None)]);
        self.board.tell(self.now, Report::Located { call, found, codecs: None, forwards: None });
        self.settle();
    }

    pub fn in_conference(&mut self, call: CallId, room: &str) {
        let found = Found::Service(Service::Conference(Room::from(room)));
        self.board.tell(self.now, Report::Located { call, found, codecs: None, forwards: None });
        self.carry();
    }

    pub fn answers(&mut self, call: CallId) {
        self.board.tell(self.now, Report::Answered { call, leg: BOB, sdp: Some(Sdp::from("bob answers")) });
        self.settle();
    }

    /// A call that is answered.
    pub fn talking(&mut self) -> CallId {
        let call = self.calls();
        self.located(call);
        self.carry();
        self.answers(call);
        self.carry();
        assert!(self.talks(call));
        call
    }

    pub fn talks(&self, call: CallId) -> bool {
        self.board.call(call).is_some_and(|call| call.state == machine::State::Talking)
    }

    pub fn hangs_up(&mut self, call: CallId) {
        let ended = Report::Ended { call, leg: BOB, cause: Cause::hangup() };
        self.board.tell(self.now, ended);
        self.carry();
    }

    /// Which host a leg has been told to send to.
    pub fn sends_to(&self, call: CallId, leg: LegId) -> usize {
        let sdp = &self.told[&(call, leg)].0;
        let at = sdp.find("m=audio").expect("a description");
        assert!(at > 0);
        sdp.split("host ").nth(1).map_or_else(|| self.origin_host(sdp), |number| number[..1].parse().unwrap())
    }

    fn origin_host(&self, sdp: &str) -> usize {
        sdp.split("10.0.0.").nth(1).and_then(|rest| rest.get(..1)).and_then(|number| number.parse().ok()).unwrap()
    }

    /// What the engines of all hosts that are alive have, in all.
    pub fn tables(&self) -> Vec<usize> {
        self.hosts.iter().map(|host| host.calls.len()).collect()
    }
}
