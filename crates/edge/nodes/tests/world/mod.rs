//! A switchboard whose legs are on three SIP nodes, the phone of one user at each, and a network that carries one request, answer
//! or event at a time. Nodes die, are cut off and come back; so does the switchboard.

#![allow(dead_code, reason = "each test file uses a part of this")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use hookswitch_call::directory::Directory;
use hookswitch_call::machine::State;
use hookswitch_call::port::Backend as _;
use hookswitch_call::switchboard::{Output, Switchboard};
use hookswitch_call::{
    Address, CallId, Cause, Command, Event, Fault, Found, Handle, Incoming, Kind, LegId, Limits, MediaOp, MediaReport,
    Op, PlayNews, ReferTo, Report, Room, RoomNews, Sdp, Service, Target, Ticket, Time,
};
use hookswitch_mediaswitch::{
    Arrival, Config, Dialogs, Note, NoteId, Output as Wanted, Party as Person, Request, RequestId, Seen, user_of,
};
use hookswitch_nodes::{Answer, Ask, AskId, Half as _, Legs, NodeId, Told};

/// Whose phone is at the node of the same number.
pub const PHONES: [&str; 3] = ["alice", "bob", "carol"];

/// By then a node that is gone is known to be.
pub const NOTICED: Duration = Duration::from_secs(8);

const THEIRS: &str =
    "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";
const HELD: &str =
    "v=0\r\no=- 1 2 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\na=sendonly\r\n";
const OURS: &str = "v=0\r\no=- 7 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8\r\n";

/// What becomes of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Its program is killed, with all that it has said and not got through. It is started again.
    Dies,
    /// Nobody reaches it, and it reaches nobody. When that is over it is as it was.
    IsCutOff,
}

/// Whom it hits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Victim {
    Node(usize, Fate),
    Switchboard,
}

struct Node {
    dialogs: Dialogs,
    gone: Option<Fate>,
}

/// A phone that has a leg at its node.
#[derive(Clone, Copy, Debug)]
pub struct Phone {
    node: usize,
    call: CallId,
    leg: LegId,
    up: bool,
}

/// Something on its way.
enum Travels {
    Ask(Ask),
    Answer { node: usize, answer: Answer },
    Note { node: usize, note: Note },
    Noted { node: usize, id: NoteId, status: Option<u16> },
}

/// Everything.
pub struct World {
    pub board: Switchboard,
    pub legs: Legs,
    pub now: Time,
    nodes: Vec<Node>,
    directory: Directory,
    network: VecDeque<Travels>,
    /// The switchboard is there.
    is_led: bool,
    /// Who has a leg.
    pub phones: BTreeMap<String, Phone>,
    /// Whose call was ended from here, and for what.
    pub heard: Vec<(String, Cause)>,
    pub events: Vec<hookswitch_call::Told>,
    pub tickets: Vec<Ticket>,
    pub outcomes: Vec<Ticket>,
    /// Calls with audio.
    pub open: BTreeSet<CallId>,
    /// How many things have been carried.
    pub carried: usize,
    /// Who is hit, before so many things have been carried.
    pub doom: Option<(usize, Victim)>,
    /// What a caller's call is to end with, at the moment in which a node is hit.
    pub judge: fn(&World, usize, &str) -> u16,
    /// What that was for each caller, by the number of its node.
    pub verdicts: [u16; 3],
    mourns: bool,
    arrived: u64,
}

/// The node of a user's phone.
pub fn node_of(user: &str) -> usize {
    PHONES.iter().position(|phone| *phone == user).unwrap_or(0)
}

fn address(user: &str) -> Address {
    Address::from(format!("sip:{user}@x.test").as_str())
}

fn control_of(node: usize) -> String {
    format!("http://c:9001/sip-node/{node}")
}

fn node(number: usize, seed: u8) -> Node {
    let number = u8::try_from(number).expect("there are three");
    Node { dialogs: Dialogs::new(Config::default(), [seed + number; 32]), gone: None }
}

impl World {
    /// All nodes have said how they are.
    pub fn new() -> Self {
        let mut world = Self {
            board: Switchboard::new(Limits::default(), 1),
            legs: Legs::new(PHONES.len(), "http://c:9001", [1; 32]),
            now: Time::from_secs(1_000),
            nodes: (0..PHONES.len()).map(|number| node(number, 10)).collect(),
            directory: Directory::new(),
            network: VecDeque::new(),
            is_led: true,
            phones: BTreeMap::new(),
            heard: Vec::new(),
            events: Vec::new(),
            tickets: Vec::new(),
            outcomes: Vec::new(),
            open: BTreeSet::new(),
            carried: 0,
            doom: None,
            judge: |_, _, _| 200,
            verdicts: [200; 3],
            mourns: false,
            arrived: 0,
        };
        world.pass(Duration::from_millis(1));
        world.carried = 0;
        world
    }

    // What phones do, those of nodes that are there.

    fn phone(&self, user: &str) -> Option<Phone> {
        self.phones.get(user).copied().filter(|phone| self.nodes[phone.node].gone.is_none())
    }

    fn does(&mut self, user: &str, report: impl FnOnce(CallId, LegId) -> Report) {
        let Some(Phone { node, call, leg, .. }) = self.phone(user) else { return };
        self.happens(node, report(call, leg));
    }

    fn happens(&mut self, node: usize, report: Report) {
        self.nodes[node].dialogs.report(self.now, report, Seen::default());
        self.drain(node);
    }

    pub fn calls(&mut self, user: &str, to: &str) {
        let node = node_of(user);
        if self.nodes[node].gone.is_some() {
            return;
        }
        self.arrived += 1;
        let wire_id = format!("{user}-{}", self.arrived);
        let (handle, offer) = (Handle(self.arrived), Some(Sdp::from(THEIRS)));
        let incoming = Incoming::new(handle, wire_id.as_str().into(), address(user), address(to), offer);
        let arrival = Arrival {
            handle: incoming.handle,
            wire_id: incoming.wire_id.clone(),
            control: control_of(node).as_str().into(),
            domain: "x.test".into(),
            from: user_of(&incoming.from.0),
            to: user_of(&incoming.to.0),
            maxforwards: incoming.hops,
            offer: incoming.offer.clone(),
            replaces: None,
            party: Person::of(&incoming),
        };
        let call = self.nodes[node].dialogs.arrived(self.now, arrival).expect("there is room");
        self.phones.insert(user.to_owned(), Phone { node, call, leg: LegId(0), up: false });
        self.nodes[node].dialogs.introduced(self.now, call, Seen::default());
        self.drain(node);
    }

    pub fn answers(&mut self, user: &str) {
        self.does(user, |call, leg| Report::Answered { call, leg, sdp: Some(Sdp::from(THEIRS)) });
        if let Some(phone) = self.phones.get_mut(user) {
            phone.up = true;
        }
    }

    /// The session is another one.
    pub fn reoffers(&mut self, user: &str) {
        if self.phone(user).is_some_and(|phone| phone.up) {
            self.does(user, |call, leg| Report::Reoffered { call, leg, sdp: Some(Sdp::from(HELD)) });
        }
    }

    /// Whoever it talks with is to talk with somebody else.
    pub fn refers(&mut self, user: &str, to: &str) {
        if self.phone(user).is_some_and(|phone| phone.up) {
            let to = ReferTo::Address(address(to));
            self.does(user, |call, leg| Report::ReferAsked { call, leg, to, by: None });
        }
    }

    pub fn hangs_up(&mut self, user: &str) {
        let Some(Phone { up, .. }) = self.phone(user) else { return };
        let cause = if up { Cause::hangup() } else { Cause::new(Kind::Cancelled, Fault::Peer) };
        self.does(user, |call, leg| Report::Ended { call, leg, cause });
        self.phones.remove(user);
    }

    // What controllers do.

    pub fn orders(&mut self, command: Command) {
        if self.is_led
            && let Ok(ticket) = self.board.submit(self.now, command)
        {
            self.tickets.push(ticket);
        }
        self.settle();
    }

    // What can be seen.

    /// The call that a user has made, or that was made for it.
    pub fn call_of(&self, user: &str) -> Option<CallId> {
        let is_its = |event: &Event| match event {
            Event::Incoming { from, .. } => user_of(&from.0) == user,
            Event::Started { caller, .. } => user_of(&caller.0) == user,
            _ => false,
        };
        self.events.iter().find(|told| is_its(&told.event)).map(|told| told.call)
    }

    /// All that was told of a call.
    pub fn told(&self, call: CallId) -> Vec<&Event> {
        self.events.iter().filter(|told| told.call == call).map(|told| &told.event).collect()
    }

    /// What a call has ended with, or is about to.
    pub fn end_of(&self, call: CallId) -> Option<u16> {
        let ended = self.told(call).into_iter().find_map(|event| match event {
            Event::Ended { cause, .. } => Some(cause.code),
            _ => None,
        });
        let ends = self.board.call(call).filter(|call| call.state == State::AwaitEnds);
        ended.or_else(|| Some(ends?.cause.as_ref()?.code))
    }

    /// That a leg has ended at this node is on its way.
    pub fn says_goodbye(&self, node: usize) -> bool {
        let ended = |note: &Note| note.body.contains(r#""what":"ended""#);
        self.network.iter().any(|it| matches!(it, Travels::Note { node: of, note } if *of == node && ended(note)))
    }

    pub fn talks(&self, user: &str) -> bool {
        let call = self.call_of(user).and_then(|call| self.board.call(call));
        call.is_some_and(|call| call.state == State::Talking)
    }

    /// Dialogs of all nodes, and what these have still to tell.
    pub fn left(&self) -> (usize, usize) {
        let live = self.nodes.iter().map(|node| node.dialogs.live()).sum();
        (live, self.nodes.iter().map(|node| node.dialogs.notes().0).sum())
    }

    // Who is hit, and comes back.

    fn hits(&mut self, victim: Victim) {
        self.mourns = true;
        match victim {
            Victim::Node(node, fate) => {
                let judge = self.judge;
                let verdicts = PHONES.map(|caller| judge(self, node, caller));
                self.verdicts = verdicts;
                self.loses(node, fate);
            }
            Victim::Switchboard => {
                self.is_led = false;
                self.network.retain(|it| !matches!(it, Travels::Ask(_) | Travels::Answer { .. }));
            }
        }
    }

    fn loses(&mut self, number: usize, fate: Fate) {
        self.nodes[number].gone = Some(fate);
        if fate == Fate::Dies {
            let says = |it: &Travels| match it {
                Travels::Note { node, .. } | Travels::Noted { node, .. } => *node == number,
                Travels::Ask(_) | Travels::Answer { .. } => false,
            };
            self.network.retain(|it| !says(it));
            self.phones.retain(|_, phone| phone.node != number);
            return;
        }
        for travels in &mut self.network {
            match travels {
                Travels::Answer { node, answer } if *node == number => answer.result = None,
                Travels::Noted { node, status, .. } if *node == number => *status = None,
                _ => {}
            }
        }
    }

    /// Whoever was hit is back: the switchboard, and nodes that have died, with nothing that they had.
    pub fn heals(&mut self) {
        for number in 0..self.nodes.len() {
            if self.nodes[number].gone.take() == Some(Fate::Dies) {
                self.nodes[number] = node(number, 100);
            }
        }
        if !self.is_led {
            self.is_led = true;
            self.board = Switchboard::new(Limits::default(), 1_000);
            self.legs = Legs::new(PHONES.len(), "http://c:9001", [2; 32]);
            self.events.clear();
            self.tickets.clear();
            self.outcomes.clear();
            self.open.clear();
        }
    }

    // Time.

    /// Time passes, with all questions and answers in it.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            while self.carry_one() {}
            let Some(at) = self.due().filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
            if self.is_led {
                self.board.handle_timeout(self.now);
                self.legs.handle_timeout(self.now);
            }
            for number in 0..self.nodes.len() {
                if self.nodes[number].gone != Some(Fate::Dies) {
                    self.nodes[number].dialogs.handle_timeout(self.now);
                    self.drain(number);
                }
            }
        }
        self.now = until;
    }

    /// The same, and if somebody was hit in it so much more that all know.
    pub fn go(&mut self, time: Duration) {
        self.pass(time);
        if std::mem::take(&mut self.mourns) {
            self.pass(NOTICED);
        }
    }

    fn due(&self) -> Option<Time> {
        let led = self.is_led.then(|| [self.board.poll_timeout(), self.legs.poll_timeout()]);
        let nodes = self.nodes.iter().filter(|node| node.gone != Some(Fate::Dies));
        let nodes = nodes.filter_map(|node| node.dialogs.poll_timeout());
        led.into_iter().flatten().flatten().chain(nodes).min()
    }

    // The network.

    /// Carries one thing; false if nothing is on its way.
    fn carry_one(&mut self) -> bool {
        self.settle();
        if self.doom.is_some_and(|(step, _)| step == self.carried)
            && let Some((_, victim)) = self.doom.take()
        {
            self.hits(victim);
        }
        let Some(travels) = self.network.pop_front() else { return false };
        self.carried += 1;
        match travels {
            Travels::Ask(ask) => self.arrive(ask),
            Travels::Answer { answer, .. } => self.legs.answered(self.now, answer),
            Travels::Note { node, note } => self.note(node, note),
            Travels::Noted { node, id, status } => {
                self.nodes[node].dialogs.noted(self.now, id, status);
                self.drain(node);
            }
        }
        self.settle();
        true
    }

    fn arrive(&mut self, Ask { id, node, method, path, body }: Ask) {
        let number = usize::from(node.0);
        let action = path.strip_prefix("/dialog").filter(|_| self.nodes[number].gone.is_none());
        let Some(action) = action else {
            let answer = Answer { id, result: None };
            return self.network.push_back(Travels::Answer { node: number, answer });
        };
        let request = Request { method, action: action.trim_start_matches('/'), body: body.as_bytes() };
        self.nodes[number].dialogs.request(self.now, RequestId(id.0), request, &self.directory);
        self.drain(number);
    }

    fn note(&mut self, node: usize, Note { id, method, url, body }: Note) {
        let mut status = None;
        if self.is_led && self.nodes[node].gone.is_none() {
            let path = url.strip_prefix(control_of(node).as_str()).expect("to us").to_owned();
            let told = Told { method, path: &path, body: body.as_bytes() };
            let number = NodeId(u16::try_from(node).expect("there are three"));
            status = Some(self.legs.told(self.now, number, told));
        }
        self.network.push_back(Travels::Noted { node, id, status });
    }

    fn drain(&mut self, node: usize) {
        while let Some(output) = self.nodes[node].dialogs.poll_output() {
            match output {
                Wanted::Op(op) => self.stack(node, op),
                Wanted::Answer(RequestId(id), response) => {
                    let answer = Answer { id: AskId(id), result: Some((response.status, response.body.into())) };
                    self.network.push_back(Travels::Answer { node, answer });
                }
                Wanted::Note(note) => self.network.push_back(Travels::Note { node, note }),
                Wanted::Manner(..) => {}
            }
        }
    }

    /// The SIP stack of a node, and the phone behind it.
    fn stack(&mut self, node: usize, op: Op) {
        let reports = match op {
            Op::Locate { call, to, .. } => {
                let found = Found::Targets(vec![Target::new(to, Some(3), None)]);
                vec![Report::Located { call, found, codecs: None, forwards: None }]
            }
            Op::Dial { call, leg, dial } => {
                let user = user_of(&dial.to.0).to_string();
                self.phones.insert(user, Phone { node, call, leg, up: false });
                let rings = Report::Progress { call, leg, status: 180, text: "Ringing".into(), sdp: None };
                vec![Report::Dialed { call, leg, wire_id: "on-the-wire".into() }, rings]
            }
            Op::Answer { call, leg, .. } => {
                if let Some(user) = self.phone_of(node, (call, leg))
                    && let Some(phone) = self.phones.get_mut(&user)
                {
                    phone.up = true;
                }
                vec![Report::Confirmed { call, leg, sdp: None }]
            }
            Op::Reoffer { call, leg, .. } => vec![Report::Reaccepted { call, leg, sdp: Ok(Some(Sdp::from(THEIRS))) }],
            Op::Hangup { call, leg, cause } => {
                if let Some(user) = self.phone_of(node, (call, leg)) {
                    self.phones.remove(&user);
                    self.heard.push((user, cause.clone()));
                }
                vec![Report::Ended { call, leg, cause }]
            }
            _ => Vec::new(),
        };
        for report in reports {
            self.nodes[node].dialogs.report(self.now, report, Seen::default());
        }
    }

    fn phone_of(&self, node: usize, name: (CallId, LegId)) -> Option<String> {
        let mut phones = self.phones.iter();
        let is_it = |phone: &Phone| (phone.node, (phone.call, phone.leg)) == (node, name);
        phones.find(|(_, phone)| is_it(phone)).map(|(user, _)| user.clone())
    }

    // The switchboard, and an engine that always says yes.

    fn settle(&mut self) {
        if !self.is_led {
            return;
        }
        loop {
            while let Some(output) = self.board.poll_output() {
                match output {
                    Output::Op(op) => self.op(op),
                    Output::Media(op) => self.media(op),
                    Output::Event(told) => self.events.push(told),
                    Output::Outcome(outcome) => self.outcomes.push(outcome.ticket),
                    Output::StepWanted(_) => {}
                }
            }
            while let Some(ask) = self.legs.poll_ask() {
                self.network.push_back(Travels::Ask(ask));
            }
            let Some(report) = self.legs.poll_report() else { break };
            self.board.tell(self.now, report);
        }
    }

    fn op(&mut self, op: Op) {
        match op {
            Op::Locate { call, to, .. } => {
                let user = user_of(&to.0);
                let found = if user == "conference" {
                    Found::Service(Service::Conference(Room::from("conference:7")))
                } else {
                    Found::Targets(vec![Target::new(to, Some(node_of(&user) as u64), None)])
                };
                self.board.tell(self.now, Report::Located { call, found, codecs: None, forwards: None });
            }
            op => self.legs.perform(self.now, op),
        }
    }

    fn media(&mut self, op: MediaOp) {
        let call = op.call();
        let report = match op {
            MediaOp::Open { .. } => {
                self.open.insert(call);
                None
            }
            MediaOp::Close { .. } => {
                self.open.remove(&call);
                None
            }
            MediaOp::MakeOffer { seat, leg, .. } | MediaOp::MakeAnswer { seat, leg, .. } => {
                Some(MediaReport::Local { call, seat, leg, sdp: Sdp::from(OURS) })
            }
            MediaOp::Join { party, room, .. } => {
                Some(MediaReport::Room { call, party, room, news: RoomNews::Joined(1) })
            }
            MediaOp::Play { party, play, .. } => {
                let (news, position) = (PlayNews::Started, Duration::ZERO);
                Some(MediaReport::Played { call, party, play, news, position })
            }
            _ => None,
        };
        if let Some(report) = report {
            self.board.tell_media(self.now, report);
        }
    }
}
