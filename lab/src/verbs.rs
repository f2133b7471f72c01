//! What a test says: phones dial, agents speak word by word, applications ask, things break.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hookswitch_phone::{AnswerPolicy, EndCause, Event, Hold, Phone, PhoneConfig, Sound};
use hookswitch_shard::{Admission, AudioReport, BindingEvent, BindingNews, HttpId, Input, Mode, SessionId, Unreached};
use hookswitch_sip::auth::Credentials;
use hookswitch_sip::{
    Body, DialogId, Endpoint, EndpointConfig, Event as SipEvent, Flow, Header, Invite, Listen, RequestOut, Response,
    Transport,
};
use hookswitch_sip_msg::{HeaderName, Message, Method};
use serde_json::{Value, json};

use crate::app::App;
use crate::lab::{Agent, AgentId, AppId, Audio, Fortune, Handset, Lab, MouthId, PhoneId};
use crate::mail::{Parcel, Place};
use crate::nat::Nat;
use crate::sound::{Ear, LEVEL_DBFS, Mouth};
use crate::switch::{DOMAIN, switch_sip, switch_sip_v6};
use crate::weather::Weather;

/// Lowest tone of a phone, in Hz, and the distance to the next phone's. None is a tone of the switch itself.
const LOWEST_HZ: f32 = 440.0;
const HZ_APART: f32 = 170.0;

/// Ports that the audio of one line may use.
const PORTS_OF_A_LINE: u16 = 20;

pub(crate) fn address_of(who: &str) -> String {
    match who {
        who if who.contains(':') => who.into(),
        who => format!("sip:{who}@{DOMAIN}"),
    }
}

/// Phones.
impl Lab {
    /// A phone of this user, over UDP; it is not registered yet.
    pub fn phone(&mut self, user: &str) -> PhoneId {
        self.phone_with(user, |_| {})
    }

    /// The same, set up otherwise.
    pub fn phone_with(&mut self, user: &str, change: impl FnOnce(&mut PhoneConfig)) -> PhoneId {
        let index = self.phones.len();
        let ip = IpAddr::from(Ipv4Addr::new(10, 0, 1, 1 + index as u8));
        self.phone_at(user, ip, change)
    }

    /// A phone with an IPv6 address and no other.
    pub fn phone_v6(&mut self, user: &str, change: impl FnOnce(&mut PhoneConfig)) -> PhoneId {
        let index = self.phones.len() as u16;
        let ip = IpAddr::from(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 1, 1 + index));
        self.phone_at(user, ip, |phone| {
            phone.server = switch_sip_v6();
            change(phone);
        })
    }

    /// A phone behind a symmetric address translator of its own.
    pub fn phone_behind_nat(&mut self, user: &str, change: impl FnOnce(&mut PhoneConfig)) -> PhoneId {
        let index = self.phones.len() as u8;
        let inside = IpAddr::from(Ipv4Addr::new(192, 168, 1 + index, 2));
        let public = IpAddr::from(Ipv4Addr::new(203, 0, 113, 1 + index));
        self.private.insert(inside, self.nats.len());
        self.nats.push(Nat::new(public));
        self.journal.name(user, SocketAddr::new(public, 0));
        self.phone_at(user, inside, change)
    }

    fn phone_at(&mut self, user: &str, ip: IpAddr, change: impl FnOnce(&mut PhoneConfig)) -> PhoneId {
        let index = self.phones.len();
        let hz = LOWEST_HZ + HZ_APART * index as f32;
        let local = SocketAddr::new(ip, 5060);
        let mut config = PhoneConfig::new(user, DOMAIN, local, switch_sip(), SocketAddr::new(ip, 4000));
        config.credentials = Some(Credentials::new(user, format!("{user}-pw")));
        config.sound = Sound::Tone { hz, level_dbfs: LEVEL_DBFS };
        change(&mut config);
        self.journal.name(user, SocketAddr::new(ip, 0));
        self.addresses.insert(config.local, Place::Phone(index));
        // Each line has ports of its own, and audio may move among them.
        let lines = u16::from(config.lines) + 1;
        for port in (0..PORTS_OF_A_LINE * lines).step_by(2) {
            let rtp = SocketAddr::new(ip, config.rtp.port() + port);
            self.addresses.insert(rtp, Place::Phone(index));
        }
        let hz = matches!(config.sound, Sound::Tone { .. }).then_some(hz);
        let phone = Phone::new(config, self.dice.seed());
        self.phones.push(Handset { phone, events: Vec::new(), hz, hung_up: Vec::new(), revived: None });
        PhoneId(index)
    }

    /// Phones of these users, registered.
    pub fn registered<const N: usize>(&mut self, users: [&str; N]) -> [PhoneId; N] {
        self.registered_with(users, |_| {})
    }

    /// The same, set up otherwise.
    pub fn registered_with<const N: usize>(
        &mut self,
        users: [&str; N],
        change: impl Fn(&mut PhoneConfig),
    ) -> [PhoneId; N] {
        let phones = users.map(|user| self.phone_with(user, &change));
        phones.into_iter().for_each(|phone| self.register(phone));
        phones
    }

    /// Registers a phone and waits until that is done.
    #[track_caller]
    pub fn register(&mut self, phone: PhoneId) {
        let now = self.now;
        self.phones[phone.0].phone.register(now);
        self.until("the phone is registered", |lab| lab.phones[phone.0].phone.is_registered());
    }

    /// Takes a registration back.
    pub fn unregister(&mut self, phone: PhoneId) {
        let now = self.now;
        self.phones[phone.0].phone.unregister(now);
        self.settle();
    }

    /// A phone calls a user, or any address.
    pub fn dial(&mut self, phone: PhoneId, who: &str) {
        let now = self.now;
        let handset = &mut self.phones[phone.0];
        let user = handset.phone.config().user.clone();
        self.journal.note(now, format!("{user} dials {who}"));
        handset.phone.call(now, &address_of(who)).expect("the phone is free");
        self.settle();
    }

    /// A phone at work; what it refuses is its own affair.
    pub fn phone_acts<T>(&mut self, phone: PhoneId, act: impl FnOnce(&mut Phone, hookswitch_call::Time) -> T) -> T {
        let result = act(&mut self.phones[phone.0].phone, self.now);
        self.settle();
        result
    }

    /// What was said so far, as a ladder.
    #[must_use]
    pub fn ladder(&self) -> String {
        self.journal.draw()
    }

    /// The ladder begins here: what was said before is no part of it.
    pub fn begin_ladder(&mut self) {
        self.journal.clear();
    }

    /// Writes a line into the ladder.
    pub fn note(&mut self, text: impl Into<String>) {
        self.journal.note(self.now, text);
    }

    /// Answers now.
    pub fn answer(&mut self, phone: PhoneId) {
        let now = self.now;
        self.phones[phone.0].phone.answer(now).expect("it rings");
        self.settle();
    }

    /// Ends the call of a phone, in whatever state; nothing if there is none.
    pub fn hang_up(&mut self, phone: PhoneId) {
        let now = self.now;
        let user = self.phones[phone.0].phone.config().user.clone();
        self.journal.note(now, format!("{user} hangs up"));
        let _ = self.phones[phone.0].phone.hang_up(now);
        self.phones[phone.0].hung_up.push(now);
        self.settle();
    }

    /// Asks for another direction of media.
    pub fn hold(&mut self, phone: PhoneId, hold: Hold) {
        let now = self.now;
        self.phones[phone.0].phone.hold(now, hold).expect("a call stands");
        self.settle();
    }

    /// The same, where the phone may refuse: its call may not stand, or a change be under way.
    pub fn try_hold(&mut self, phone: PhoneId, hold: Hold) {
        let now = self.now;
        let _ = self.phones[phone.0].phone.hold(now, hold);
        self.settle();
    }

    /// What the phone does with the next call.
    pub fn set_answer(&mut self, phone: PhoneId, answer: AnswerPolicy) {
        self.phones[phone.0].phone.set_answer(answer);
    }

    /// A phone and everything it told.
    #[must_use]
    pub fn handset(&self, phone: PhoneId) -> &Handset {
        &self.phones[phone.0]
    }

    /// Whether the phone has a call, in whatever stage.
    #[must_use]
    pub fn in_call(&self, phone: PhoneId) -> bool {
        self.phones[phone.0].phone.in_call()
    }

    /// Whether the phone has been called and has not answered, or has called and heard it ring.
    #[must_use]
    pub fn rings(&self, phone: PhoneId) -> bool {
        let stage = |event: &Event| match event {
            Event::Incoming { .. } | Event::Ringing { .. } => Some(true),
            Event::Answered { .. } | Event::Ended { .. } => Some(false),
            _ => None,
        };
        self.phones[phone.0].events.iter().rev().find_map(|(_, event)| stage(event)).unwrap_or(false)
    }

    /// Whether the phone's call was answered and stands.
    #[must_use]
    pub fn talks(&self, phone: PhoneId) -> bool {
        let stage = |event: &Event| match event {
            Event::Answered { .. } => Some(true),
            Event::Incoming { .. } | Event::Ended { .. } => Some(false),
            _ => None,
        };
        self.phones[phone.0].events.iter().rev().find_map(|(_, event)| stage(event)).unwrap_or(false)
    }

    /// Why the phone's last call ended.
    #[must_use]
    pub fn end_of(&self, phone: PhoneId) -> Option<&EndCause> {
        self.phones[phone.0].events.iter().rev().find_map(|(_, event)| match event {
            Event::Ended { cause, .. } => Some(cause),
            _ => None,
        })
    }

    /// The status that the phone's last call was refused with.
    #[must_use]
    pub fn refusal_of(&self, phone: PhoneId) -> Option<u16> {
        match self.end_of(phone)? {
            EndCause::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The Call-ID of the phone's last call.
    #[must_use]
    pub fn call_id_of(&self, phone: PhoneId) -> Option<String> {
        self.phones[phone.0].events.iter().rev().find_map(|(_, event)| match event {
            Event::Incoming { call_id, .. } | Event::Answered { call_id, .. } => Some(call_id.to_string()),
            _ => None,
        })
    }
}

impl Handset {
    /// Where its audio comes from.
    #[must_use]
    pub fn phone_address(&self) -> SocketAddr {
        self.phone.config().rtp
    }
}

/// Misfortune.
impl Lab {
    /// The weather from now on.
    pub fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
        self.was_always_clear &= weather.is_in_order();
    }

    /// Who listens, and whether parties that were joined must have heard each other.
    pub fn set_audio(&mut self, audio: Audio) {
        self.audio = audio;
    }

    /// Phones go on sending into calls that have ended without their hearing of it, and so may be
    /// taken for silent parties of later calls on the same ports.
    pub fn expect_strays(&mut self) {
        self.has_strays = true;
    }

    /// Looks at the record of every call whenever something has happened.
    pub fn keep_records(&mut self) {
        self.keeps_records = true;
    }

    /// `kill -9`: the process is gone, its system remains.
    pub fn kill(&mut self, who: impl Into<Place>) {
        let place = who.into();
        self.journal.note(self.now, format!("{place:?} is killed"));
        self.fortunes.insert(place, Fortune::Killed);
        self.mail.drop_held(place);
        self.close_all_of(place);
    }

    /// The cable is cut.
    pub fn vanish(&mut self, who: impl Into<Place>) {
        let place = who.into();
        self.journal.note(self.now, format!("{place:?} vanishes"));
        self.fortunes.insert(place, Fortune::Vanished);
    }

    /// The cable is mended.
    pub fn reappear(&mut self, who: impl Into<Place>) {
        self.fortunes.remove(&who.into());
    }

    /// A phone that was killed is started again. It remembers nothing.
    pub fn revive(&mut self, phone: PhoneId) {
        let config = self.phones[phone.0].phone.config().clone();
        self.phones[phone.0].phone = Phone::new(config, self.dice.seed());
        self.phones[phone.0].revived = Some(self.now);
        self.fortunes.remove(&Place::Phone(phone.0));
    }

    /// What was killed is started again and registers; what had vanished reappears.
    pub fn bring_back(&mut self, phone: PhoneId) {
        match self.fortune(phone.into()) {
            Fortune::Alive => {}
            Fortune::Vanished => self.reappear(phone),
            Fortune::Killed => {
                self.revive(phone);
                let now = self.now;
                self.phones[phone.0].phone.register(now);
                self.settle();
            }
        }
    }

    /// `kill -9` of the switch, and a start with nothing but what was stored.
    pub fn restart_switch(&mut self) {
        self.journal.note(self.now, "the switch is killed and started again");
        self.close_all_of(Place::Switch);
        self.mail.drop_held(Place::Switch);
        self.mail.retain(|parcel| {
            let to_switch = matches!(parcel, Parcel::Report(_) | Parcel::Answer(..));
            !(to_switch || matches!(parcel, Parcel::Order(_) | Parcel::News { to: Place::Switch, .. }))
        });
        for app in self.apps.iter_mut().filter(|app| app.is_open) {
            app.is_open = false;
            app.closed_with = Some(1006);
        }
        let now = self.now;
        self.streams.count_anew();
        self.switch.restart(now, &mut self.dice);
        self.settle();
    }

    /// The router before a phone is switched off and on.
    pub fn reset_nat(&mut self, phone: PhoneId) {
        let inside = self.phones[phone.0].phone.config().local.ip();
        if let Some(nat) = self.nat_of(inside) {
            self.nats[nat].forget();
        }
    }
}

/// Audio of nobody in particular.
impl Lab {
    /// Somebody begins to send a tone.
    pub fn speak(&mut self, from: SocketAddr, to: SocketAddr, hz: f32) -> MouthId {
        let mouth = Mouth::new(self.now, from, to, hz, self.dice.roll());
        self.mouths.push(mouth);
        MouthId(self.mouths.len() - 1)
    }

    /// And stops.
    pub fn hush(&mut self, mouth: MouthId) {
        self.mouths[mouth.0].next = None;
    }

    /// Opens an ear.
    pub fn listen(&mut self, at: SocketAddr) {
        self.ears.entry(at).or_default();
    }

    /// What an ear has heard.
    #[must_use]
    pub fn ear(&self, at: SocketAddr) -> &Ear {
        &self.ears[&at]
    }
}

/// Hand-made user agents. They live in a trusted network.
impl Lab {
    /// A user agent over UDP at 10.200.0.x.
    pub fn agent(&mut self, user: &str) -> AgentId {
        self.agent_with(user, |_| {})
    }

    /// The same, set up otherwise.
    pub fn agent_with(&mut self, user: &str, change: impl FnOnce(&mut EndpointConfig)) -> AgentId {
        let index = self.agents.len();
        let sip = SocketAddr::from(([10, 200, 0, 1 + index as u8], 5060));
        let listen = vec![Listen { transport: Transport::Udp, address: sip, advertise: None }];
        let mut config = EndpointConfig { listen, ..EndpointConfig::default() };
        change(&mut config);
        let endpoint = Endpoint::new(config, self.dice.seed());
        self.journal.name(user, SocketAddr::new(sip.ip(), 0));
        self.addresses.insert(sip, Place::Agent(index));
        self.agents.push(Agent { user: user.into(), sip, endpoint, events: Vec::new() });
        AgentId(index)
    }

    /// The same, registered.
    pub fn registered_agent(&mut self, user: &str) -> AgentId {
        let id = self.agent(user);
        self.register_agent(id);
        id
    }

    /// Registers an agent and waits until that is done.
    pub fn register_agent(&mut self, id: AgentId) {
        let agent = &mut self.agents[id.0];
        let user = agent.user.clone();
        let flow = Flow::udp(agent.sip, switch_sip());
        let own = format!("<sip:{user}@{DOMAIN}>");
        let mut register = RequestOut::new(Method::Register, &format!("sip:{DOMAIN}"), own.clone(), own, flow);
        register.contact_user = Some(user.as_str().into());
        register.credentials = Some(Credentials::new(&user, format!("{user}-pw")));
        register.headers.push(Header::new(HeaderName::Expires, "3600"));
        agent.endpoint.request(self.now, register).expect("a request that can be sent");
        let done = |event: &SipEvent| matches!(event, SipEvent::Response { status: 200, .. });
        self.until("the agent is registered", |lab| lab.agents[id.0].events.iter().any(|(_, event)| done(event)));
    }

    /// The agent at work.
    pub fn agent_acts<T>(&mut self, agent: AgentId, act: impl FnOnce(&mut Endpoint, hookswitch_call::Time) -> T) -> T {
        let result = act(&mut self.agents[agent.0].endpoint, self.now);
        self.settle();
        result
    }

    /// The agent calls somebody.
    pub fn agent_invites(&mut self, agent: AgentId, who: &str, offer: Option<String>) -> DialogId {
        let (user, sip) = (self.agents[agent.0].user.clone(), self.agents[agent.0].sip);
        let to = address_of(who);
        let from = format!("<sip:{user}@{DOMAIN}>");
        let mut invite = Invite::new(&to, from, format!("<{to}>"), Flow::udp(sip, switch_sip()));
        invite.body = offer.map(Body::sdp);
        self.agent_acts(agent, |endpoint, now| endpoint.invite(now, invite)).expect("room for a call")
    }

    /// The agent answers the INVITE it got last with a status, and a description if there is one.
    pub fn agent_responds(&mut self, agent: AgentId, status: u16, body: Option<String>) {
        let (dialog, _) = self.agent_called(agent).expect("the agent has been called");
        let mut response = Response::new(status);
        response.body = body.map(Body::sdp);
        self.agent_acts(agent, |endpoint, now| endpoint.respond(now, dialog, response));
    }

    /// The last call that an agent got.
    #[must_use]
    pub fn agent_called(&self, agent: AgentId) -> Option<(DialogId, Message)> {
        self.agents[agent.0].events.iter().rev().find_map(|(_, event)| match event {
            SipEvent::Invite { dialog, request, .. } => Some((*dialog, request.clone())),
            _ => None,
        })
    }

    /// The last response to the agent's own INVITE that carried a description.
    #[must_use]
    pub fn agent_answer(&self, agent: AgentId) -> Option<Message> {
        self.agents[agent.0].events.iter().rev().find_map(|(_, event)| match event {
            SipEvent::Progress { response, .. }
            | SipEvent::Answered { response, .. }
            | SipEvent::Reanswered { response, .. }
                if !response.body_bytes().is_empty() =>
            {
                Some(response.clone())
            }
            _ => None,
        })
    }

    /// Everything an agent was told, and when.
    #[must_use]
    pub fn agent_events(&self, agent: AgentId) -> &[(hookswitch_call::Time, SipEvent)] {
        &self.agents[agent.0].events
    }

    /// An address for the agent's media; nobody listens there before [`Lab::listen`].
    #[must_use]
    pub fn agent_rtp(&self, agent: AgentId, port: u16) -> SocketAddr {
        SocketAddr::new(self.agents[agent.0].sip.ip(), port)
    }
}

/// Applications.
impl Lab {
    /// A session of the Call API.
    pub fn app(&mut self) -> AppId {
        let session = SessionId(self.apps.len() as u64 + 1);
        self.apps.push(App::new(session));
        self.tell_switch(Input::SessionOpened { session, admission: Admission::open(Mode::Original) });
        AppId(self.apps.len() - 1)
    }

    /// The application says something.
    pub fn say(&mut self, app: AppId, text: impl Into<String>) {
        let (session, text) = (self.apps[app.0].session, text.into());
        let shown: String = text.chars().take(200).collect();
        self.journal.note(self.now, format!("← session {}: {shown}", session.0));
        self.tell_switch(Input::Text { session, text });
    }

    /// The application asks for something.
    pub fn ask(&mut self, app: AppId, cmd_id: &str, method: &str, mut params: Value) {
        params["cmd_id"] = json!(cmd_id);
        self.say(app, json!({ "jsonrpc": "2.0", "id": cmd_id, "method": method, "params": params }).to_string());
    }

    /// `CallStart` between two users, or any addresses.
    pub fn start_call(&mut self, app: AppId, cmd_id: &str, caller: &str, callee: &str) {
        let params = json!({ "caller": address_of(caller), "callee": address_of(callee) });
        self.ask(app, cmd_id, "CallStart", params);
    }

    /// `CallEnd` of the call that has a leg with this Call-ID.
    pub fn end_call(&mut self, app: AppId, cmd_id: &str, callid: &str) {
        self.ask(app, cmd_id, "CallEnd", json!({ "callid": callid }));
    }

    /// The application's connection is lost.
    pub fn disconnect(&mut self, app: AppId) {
        self.journal.note(self.now, "an application is gone");
        self.apps[app.0].is_open = false;
        let session = self.apps[app.0].session;
        self.tell_switch(Input::SessionClosed(session));
    }

    /// What the application has heard.
    #[must_use]
    pub fn heard_by(&self, app: AppId) -> &App {
        &self.apps[app.0]
    }

    /// The switch takes no new calls from now on.
    pub fn drain_calls(&mut self) {
        self.tell_switch(Input::Drain);
    }

    /// The switch is told to stop: every call ends.
    pub fn end_all_calls(&mut self) {
        self.tell_switch(Input::EndAll);
    }

    /// What has happened to a user's bindings since this was last asked.
    pub fn binding_news(&mut self, user: &str) -> Vec<BindingEvent> {
        let aor = format!("{user}@{DOMAIN}");
        let mine = |news: &mut BindingNews| *news.aor == *aor;
        self.switch.bindings.extract_if(.., mine).map(|news| news.what).collect()
    }

    /// What was told of the audio of calls since this was last asked.
    pub fn audio_news(&mut self) -> Vec<AudioReport> {
        std::mem::take(&mut self.switch.audio)
    }

    /// Where nobody was reached, since this was last asked.
    pub fn unreached(&mut self) -> Vec<Unreached> {
        std::mem::take(&mut self.switch.unreached)
    }

    /// One HTTP request; its status and body.
    pub fn http(&mut self, method: &str, path: &str, body: &str) -> (u16, String) {
        let id = HttpId(self.answers.len() as u64);
        let body = bytes::Bytes::copy_from_slice(body.as_bytes());
        self.tell_switch(Input::Http { id, method: method.into(), path: path.into(), body });
        self.answers.pop().expect("every request is answered at once")
    }

    /// What the page of a call that is over says.
    pub fn call_page_now(&mut self, call: &str) -> (u16, serde_json::Value) {
        let (status, body) = self.http("GET", &format!("/calls/{call}"), "");
        (status, serde_json::from_str(&body).expect("the switch writes JSON"))
    }

    /// What the page of one call says, for which the media thread is asked.
    pub fn call_page(&mut self, call: &str) -> (u16, serde_json::Value) {
        let id = HttpId(self.answers.len() as u64);
        let path = format!("/calls/{call}");
        self.tell_switch(Input::Http { id, method: "GET".into(), path, body: bytes::Bytes::new() });
        self.pass(crate::millis(1));
        let (status, body) = self.answers.pop().expect("the media thread has answered");
        (status, serde_json::from_str(&body).expect("the switch writes JSON"))
    }
}
