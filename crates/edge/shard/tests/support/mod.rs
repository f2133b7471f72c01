//! A shard and SIP user agents joined by wires without delay under a virtual clock, signalling
//! only. What needs audio, loss or scripts is tested in the lab.

#![allow(dead_code)]

pub mod controller;
pub mod raw;
pub mod watch;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use hookswitch_b2bua::B2buaConfig;
use hookswitch_b2bua::route::Route;
use hookswitch_call::directory::{Directory, Layer, LookupNews, Question, Secret};
use hookswitch_call::{AudioNews, CallId, Limits, MediaOp, MediaReport, RecordOrder, RecordPlan, Sdp, Time, Told};
use hookswitch_dialect::access::Grant;
use hookswitch_dialect::journal::record::CallDetail;
use hookswitch_dialect::rest;
use hookswitch_shard::*;
use hookswitch_sip::auth::Credentials;
use hookswitch_sip::{
    Body, DialogId, Endpoint, EndpointConfig, Event, Flow, Header, Invite, Listen, Network, RequestOut, Response,
    Transport,
};
use hookswitch_sip_msg::{HeaderName, Message, Method};

pub const SWITCH: &str = "10.0.0.1:5060";

pub fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

pub fn sec(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub fn endpoint_config(address: &str) -> EndpointConfig {
    let mut config = EndpointConfig {
        listen: vec![Listen { transport: Transport::Udp, address: at(address), advertise: None }],
        ..EndpointConfig::default()
    };
    config.allow.extend([Method::Refer, Method::Notify, Method::Message]);
    config.supported.push("replaces".into());
    config
}

/// One user agent: an endpoint, and what it was told.
pub struct Agent {
    pub user: &'static str,
    pub address: SocketAddr,
    pub endpoint: Endpoint,
    pub events: Vec<Event>,
}

pub struct World {
    pub now: Time,
    pub shard: Shard,
    pub agents: Vec<Agent>,
    pub texts: Vec<String>,
    pub told: Vec<Told>,
    pub stored: Vec<Change>,
    pub answers: Vec<(u16, String)>,
    /// What the native REST has answered, and how its commands have ended.
    pub responses: Vec<rest::Response>,
    pub commands: Vec<rest::CommandEnd>,
    /// Commands that events come of, in the order of the events.
    pub senders: Vec<Option<hookswitch_dialect::journal::CommandName>>,
    /// The webhook that the listener takes on for requests, and those that calls were given.
    pub webhook: Option<Result<compact_str::CompactString, rest::Problem>>,
    /// And how much had been told of the call before.
    pub webhooks: Vec<(CallId, compact_str::CompactString, usize)>,
    /// Users who are to be looked up, and what is told of that.
    pub asked: Vec<Question>,
    /// What the leaders of calls are asked, and what is told of that.
    pub questions: Vec<hookswitch_dialect::flow::Question>,
    pub flow_news: Vec<hookswitch_dialect::flow::Note>,
    pub user_news: Vec<LookupNews>,
    /// Recordings that the media engine was to begin, and what is told of them.
    pub ordered: Vec<(CallId, RecordPlan)>,
    pub recorded: Vec<RecordReport>,
    /// Those that are to be found after a restart.
    pub kept: Vec<rest::KeptRecording>,
    pub records: Vec<CallDetail>,
    /// Every message on the wire: from, to, bytes.
    pub wire: Vec<(SocketAddr, SocketAddr, Message)>,
    /// Messages from this address are lost.
    pub mute: Option<SocketAddr>,
    /// What controllers were told, and how they answer.
    pub noted: Vec<Note>,
    pub mood: controller::Mood,
    /// This agent asks everybody who calls it for credentials, once.
    pub challenge: Option<usize>,
    /// Somebody describes sessions in the place of a media engine, each with a number of its own.
    pub described: Option<u32>,
}

pub fn directory() -> Directory {
    let mut directory = Directory::new();
    let users = ["alice", "bob", "carol"].map(|name| (name.into(), Secret::new(&format!("{name}-pw"))));
    directory.configure("x.test", Layer { users: users.into(), ..Layer::default() }).unwrap();
    directory
}

pub fn shard_config() -> ShardConfig {
    ShardConfig {
        b2bua: B2buaConfig {
            endpoint: endpoint_config(SWITCH),
            routes: vec![Route::new("sip:bench-*@*", "sip:10.0.0.3:5060").unwrap()],
            ..B2buaConfig::default()
        },
        limits: Limits { anchor: false, ..Limits::default() },
        directory: directory(),
        first_call: 1,
        ..ShardConfig::default()
    }
}

impl World {
    pub fn new(config: ShardConfig) -> Self {
        let agent = |user, address: &str, seed| Agent {
            user,
            address: at(address),
            endpoint: Endpoint::new(endpoint_config(address), [seed; 32]),
            events: Vec::new(),
        };
        Self {
            now: sec(1_700_000_000),
            shard: Shard::new(config, [9; 32]),
            agents: vec![
                agent("alice", "10.0.0.2:5060", 1),
                agent("bob", "10.0.0.3:5060", 2),
                agent("bob", "10.0.0.4:5060", 3),
                agent("carol", "10.0.0.5:5060", 4),
            ],
            texts: Vec::new(),
            told: Vec::new(),
            stored: Vec::new(),
            answers: Vec::new(),
            responses: Vec::new(),
            commands: Vec::new(),
            senders: Vec::new(),
            webhook: None,
            webhooks: Vec::new(),
            asked: Vec::new(),
            questions: Vec::new(),
            flow_news: Vec::new(),
            user_news: Vec::new(),
            ordered: Vec::new(),
            recorded: Vec::new(),
            kept: Vec::new(),
            records: Vec::new(),
            wire: Vec::new(),
            mute: None,
            described: None,
            noted: Vec::new(),
            challenge: None,
            mood: controller::Mood::Says(200),
        }
    }

    /// The same, and the audio of calls runs through a media engine that has no audio.
    pub fn anchoring() -> Self {
        let mut config = shard_config();
        config.b2bua.trusted = vec![Network { addr: "10.0.0.0".parse().unwrap(), prefix: 8 }];
        config.limits.anchor = true;
        Self { described: Some(0), ..Self::new(config) }
    }

    /// Everybody in 10.0.0.0/8 may call without digest.
    pub fn trusting() -> Self {
        let mut config = shard_config();
        config.b2bua.trusted = vec![Network { addr: "10.0.0.0".parse().unwrap(), prefix: 8 }];
        Self::new(config)
    }

    pub fn credentials(user: &str) -> Option<Credentials> {
        Some(Credentials::new(user, format!("{user}-pw")))
    }

    pub fn register(&mut self, agent: usize) -> u16 {
        let user = self.agents[agent].user;
        let credentials = Self::credentials(user);
        self.register_as(agent, user, credentials, 600)
    }

    pub fn register_as(&mut self, agent: usize, user: &str, credentials: Option<Credentials>, expires: u32) -> u16 {
        let before = self.agents[agent].events.len();
        self.send_register(agent, user, credentials, expires);
        assert!(self.agents[agent].events.len() > before, "an answer to REGISTER");
        self.last_status(agent).expect("an answer to REGISTER")
    }

    /// The same, whether there is an answer at once or not.
    pub fn send_register(&mut self, agent: usize, user: &str, credentials: Option<Credentials>, expires: u32) {
        let who = &mut self.agents[agent];
        let flow = Flow::udp(who.address, at(SWITCH));
        let aor = format!("<sip:{user}@x.test>");
        let mut register = RequestOut::new(Method::Register, "sip:x.test", aor.clone(), aor, flow);
        register.contact_user = Some(user.into());
        register.credentials = credentials;
        register.headers.push(Header::new(HeaderName::Expires, expires.to_string()));
        who.endpoint.request(self.now, register).unwrap();
        self.run();
    }

    /// How the newest request of an agent, other than INVITE, has ended.
    pub fn last_status(&self, agent: usize) -> Option<u16> {
        self.agents[agent].events.iter().rev().find_map(|event| match event {
            Event::Response { status, .. } => Some(*status),
            _ => None,
        })
    }

    pub fn invite(&mut self, agent: usize, to: &str, offer: Option<&'static str>) -> DialogId {
        let who = &mut self.agents[agent];
        let flow = Flow::udp(who.address, at(SWITCH));
        let from = format!("\"The Caller\" <sip:{}@x.test>", who.user);
        let mut invite = Invite::new(to, from, format!("<{to}>"), flow);
        invite.body = offer.map(Body::sdp);
        invite.credentials = Self::credentials(who.user);
        let dialog = who.endpoint.invite(self.now, invite).unwrap();
        self.run();
        dialog
    }

    /// The dialog of the newest INVITE that an agent has got.
    pub fn called(&self, agent: usize) -> Option<(DialogId, Message)> {
        self.agents[agent].events.iter().rev().find_map(|event| match event {
            Event::Invite { dialog, request, .. } => Some((*dialog, request.clone())),
            _ => None,
        })
    }

    pub fn respond(&mut self, agent: usize, status: u16, sdp: Option<&'static str>) {
        let (dialog, _) = self.called(agent).expect("a call to answer");
        let mut response = Response::new(status);
        response.body = sdp.map(Body::sdp);
        self.agents[agent].endpoint.respond(self.now, dialog, response);
        self.run();
    }

    pub fn ack(&mut self, agent: usize, dialog: DialogId, sdp: Option<&'static str>) {
        self.agents[agent].endpoint.ack(self.now, dialog, sdp.map(Body::sdp));
        self.run();
    }

    pub fn bye(&mut self, agent: usize, dialog: DialogId) {
        self.agents[agent].endpoint.bye(self.now, dialog, Vec::new());
        self.run();
    }

    pub fn cancel(&mut self, agent: usize, dialog: DialogId) {
        self.agents[agent].endpoint.cancel(self.now, dialog, None);
        self.run();
    }

    pub fn say(&mut self, text: &str) {
        self.shard.handle(self.now, Input::Text { session: SessionId(1), text: text.into() });
        self.run();
    }

    pub fn http(&mut self, method: &str, path: &str, body: &'static str) -> (u16, String) {
        let input = Input::Http { id: HttpId(1), method: method.into(), path: path.into(), body: body.into() };
        self.shard.handle(self.now, input);
        self.run();
        self.answers.pop().expect("an HTTP answer")
    }

    /// A request of the native REST by whoever may do everything.
    pub fn rest(&mut self, method: &str, target: &str, body: &str) -> rest::Response {
        self.rest_with(method, target, body, rest::Headers::default(), Grant::everything())
    }

    pub fn rest_with(
        &mut self,
        method: &str,
        target: &str,
        body: &str,
        headers: rest::Headers,
        grant: Grant,
    ) -> rest::Response {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let headers =
            rest::Headers { content_type: headers.content_type.or(Some("application/json".into())), ..headers };
        let request = rest::Request {
            method: method.into(),
            path: path.into(),
            query: query.map(Into::into),
            headers,
            body: body.as_bytes().to_vec(),
            grant: grant.into(),
            webhook: self.webhook.clone(),
            work: rest::Work::Here,
        };
        self.shard.handle(self.now, Input::Rest { id: HttpId(2), request: Box::new(request) });
        self.run();
        self.responses.pop().expect("an answer")
    }

    /// Lets time pass, serving every timer at its moment.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let timers = self.agents.iter().map(|agent| agent.endpoint.poll_timeout());
            let next = timers.chain([self.shard.poll_timeout()]).flatten().min();
            match next {
                Some(at) if at <= until => self.now = self.now.max(at),
                _ => break,
            }
            self.shard.handle_timeout(self.now);
            for agent in &mut self.agents {
                agent.endpoint.handle_timeout(self.now);
            }
            self.run();
        }
        self.now = until;
    }

    /// A call has this webhook from now on.
    fn given(&mut self, call: CallId, webhook: compact_str::CompactString) {
        let told = self.told.iter().filter(|told| told.call == call).count();
        self.webhooks.push((call, webhook, told));
    }

    /// Carries messages until nobody has anything to say.
    pub fn run(&mut self) {
        loop {
            let mut mail: VecDeque<(Flow, bytes::Bytes)> = VecDeque::new();
            let mut media = Vec::new();
            let mut notes = VecDeque::new();
            while let Some(output) = self.shard.poll_output() {
                match output {
                    Output::Send { flow, bytes } => mail.push_back((flow, bytes)),
                    Output::Text { text, .. } => self.texts.push(text),
                    Output::Http { status, body, .. } => self.answers.push((status, body)),
                    Output::Rest { response, .. } => self.responses.push(response),
                    Output::Command(end) => self.commands.push(end),
                    Output::Webhook { call, webhook, .. } => self.given(call, webhook),
                    Output::Store(change) => self.stored.push(change),
                    Output::Binding(_) | Output::Trunk(_) | Output::Guard(_) | Output::Toll(_) => {}
                    Output::Recorded(report) => self.recorded.push(report),
                    Output::Keep(kept) => self.kept.push(*kept),
                    Output::Audio(_) | Output::Unreached(_) => {}
                    Output::Record(detail) => self.records.push(*detail),
                    Output::AskUser(question) => self.asked.push(question),
                    Output::AskFlow(question) => self.questions.push(question),
                    Output::Flow(news) => self.flow_news.push(news.what),
                    Output::Users(news) => self.user_news.push(news),
                    Output::Told(told, sender) => {
                        self.told.push(told);
                        self.senders.push(sender);
                    }
                    Output::Media(op) => media.push(op),
                    Output::Controller(note) => notes.push_back(note),
                    Output::Close { .. }
                    | Output::Lookup { .. }
                    | Output::CloseSession { .. }
                    | Output::Log { .. }
                    | Output::Node(_)
                    | Output::NodeNews(_) => {}
                }
            }
            for (index, agent) in self.agents.iter_mut().enumerate() {
                while let Some(output) = agent.endpoint.poll_output() {
                    match output {
                        hookswitch_sip::Output::Event(Event::Invite { dialog, .. })
                            if self.challenge == Some(index) =>
                        {
                            self.challenge = None;
                            let challenge = r#"Digest realm="gw", nonce="n", algorithm=MD5, qop="auth""#;
                            let header = Header::new(HeaderName::WwwAuthenticate, challenge);
                            agent.endpoint.respond(self.now, dialog, Response::new(401).with_header(header));
                        }
                        hookswitch_sip::Output::Send { flow, bytes } => mail.push_back((flow, bytes)),
                        hookswitch_sip::Output::Close { .. } => {}
                        hookswitch_sip::Output::Event(Event::Request { txn, .. }) => {
                            agent.endpoint.reply(self.now, txn, Response::new(200));
                        }
                        hookswitch_sip::Output::Event(event) => agent.events.push(event),
                    }
                }
            }
            let described: Vec<MediaReport> = media.into_iter().filter_map(|op| self.describe(op)).collect();
            if mail.is_empty() && described.is_empty() && notes.is_empty() {
                return;
            }
            self.take_notes(notes);
            for report in described {
                self.shard.handle(self.now, Input::Media(report));
            }
            for (flow, bytes) in mail {
                self.deliver(flow, bytes);
            }
        }
    }

    fn describe(&mut self, op: MediaOp) -> Option<MediaReport> {
        if let MediaOp::Inspect { call } = op {
            return Some(MediaReport::Audio { call, news: AudioNews::Asked, audio: None });
        }
        if let MediaOp::Record { call, order: RecordOrder::Begin(plan), .. } = op {
            self.ordered.push((call, *plan));
            return None;
        }
        let number = self.described.as_mut()?;
        let (MediaOp::MakeOffer { call, seat, leg, .. } | MediaOp::MakeAnswer { call, seat, leg }) = op else {
            return None;
        };
        *number += 1;
        Some(MediaReport::Local { call, seat, leg, sdp: Sdp::from(format!("s{number}").as_str()) })
    }

    fn deliver(&mut self, flow: Flow, bytes: bytes::Bytes) {
        if let Ok(message) = Message::parse(bytes.clone()) {
            self.wire.push((flow.local, flow.remote, message));
        }
        if self.mute == Some(flow.local) {
            return;
        }
        let back = Flow::udp(flow.remote, flow.local);
        let input = hookswitch_sip::Input::Datagram { flow: back, bytes };
        if flow.remote == at(SWITCH) {
            self.shard.handle(self.now, Input::Sip(input));
        } else if let Some(agent) = self.agents.iter_mut().find(|agent| agent.address == flow.remote) {
            agent.endpoint.handle_input(self.now, input);
        }
    }

    /// What the agent's INVITE came to: the status of its failure, if it failed.
    pub fn failure(&self, agent: usize) -> Option<u16> {
        self.agents[agent].events.iter().rev().find_map(|event| match event {
            Event::Failed { status, .. } => Some(*status),
            _ => None,
        })
    }

    pub fn has(&self, agent: usize, wanted: fn(&Event) -> bool) -> bool {
        self.agents[agent].events.iter().any(wanted)
    }

    /// Nothing of any call is left after its timers have run out.
    pub fn assert_clean(&mut self) {
        self.pass(sec(120));
        let counts = self.shard.counts();
        let expected = Counts { bindings: counts.bindings, ..Counts::default() };
        assert_eq!(counts, expected);
        for agent in &self.agents {
            let left = agent.endpoint.counts();
            assert_eq!((left.transactions, left.dialogs), (0, 0), "{}", agent.user);
        }
    }
}
