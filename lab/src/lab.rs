//! The lab: everybody, the clock, and the one loop that lets time pass.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hookswitch_call::{MediaOp, MediaReport, Time};
use hookswitch_media::{FileError, PortPair, Ports};
use hookswitch_phone::{Output as PhoneOutput, Phone};
use hookswitch_shard::{Input, Output, SessionId};
use hookswitch_sip::{Endpoint, Event as SipEvent, Output as SipOutput, Transport};

use crate::app::App;
use crate::dice::Dice;
use crate::journal::{Journal, Telling};
use crate::mail::{Mail, Parcel, Place};
use crate::marks::Mark;
use crate::nat::Nat;
use crate::sound::{Ear, Mouth};
use crate::streams::Streams;
use crate::switch::{SWITCH, SWITCH_V6, Switch, SwitchConfig, switch_sip, switch_sip_v6};
use crate::weather::Weather;
use crate::wire::Letter;
use crate::zone::Zone;

/// When every run begins.
pub const START: Time = Duration::from_secs(1_700_000_000);

/// No test needs more steps than this.
const MAX_STEPS: u64 = 30_000_000;

/// How often somebody may want to be told the same time again: once for each thing that follows from another.
const MAX_TURNS: u32 = 20;

/// A phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhoneId(pub(crate) usize);

/// A hand-made user agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentId(pub(crate) usize);

/// A session of the Call API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppId(pub(crate) usize);

/// A source of audio that belongs to no phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MouthId(pub(crate) usize);

impl From<PhoneId> for Place {
    fn from(id: PhoneId) -> Self {
        Self::Phone(id.0)
    }
}

impl From<AgentId> for Place {
    fn from(id: AgentId) -> Self {
        Self::Agent(id.0)
    }
}

/// What has become of a party.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fortune {
    /// It works.
    Alive,
    /// Its process is gone; its system closes its connections and refuses what comes for it.
    Killed,
    /// Its cable is cut: nothing comes back, not even a refusal.
    Vanished,
}

/// Who listens, and whether parties that were joined must have heard each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audio {
    /// Ears of the lab listen where the phones would, and whoever was joined with another phone for
    /// a while must have got its tone. The default: it costs a twentieth of the next.
    Probed,
    /// The same, but the phones themselves listen and tell.
    Heard,
    /// The ears listen, and nobody insists: the test looks for itself.
    Unchecked,
    /// Nobody listens but for packets that name who sent them ([`Lab::mark`]): the cheapest.
    Marked,
}

/// A phone and what it told.
pub struct Handset {
    /// The phone itself.
    pub phone: Phone,
    /// Everything it told, and when.
    pub events: Vec<(Time, hookswitch_phone::Event)>,
    /// The tone it plays, in Hz.
    pub hz: Option<f32>,
    /// When it was told to hang up.
    pub(crate) hung_up: Vec<Time>,
    /// When it was last started again.
    pub(crate) revived: Option<Time>,
}

/// A user agent without any will of its own: the test says each word.
pub struct Agent {
    pub(crate) user: String,
    pub(crate) sip: SocketAddr,
    pub(crate) endpoint: Endpoint,
    /// Everything it was told, and when.
    pub events: Vec<(Time, SipEvent)>,
}

type Loser = Box<dyn FnMut(&Letter<'_>) -> bool>;

/// Everybody, and the network between them.
pub struct Lab {
    pub(crate) now: Time,
    pub(crate) seed: u64,
    pub(crate) dice: Dice,
    pub(crate) weather: Weather,
    /// No packet could have been lost or overtaken.
    pub(crate) was_always_clear: bool,
    pub(crate) mail: Mail,
    pub(crate) zone: Zone,
    pub(crate) streams: Streams,
    pub(crate) journal: Journal,
    pub(crate) switch: Switch,
    pub(crate) phones: Vec<Handset>,
    pub(crate) agents: Vec<Agent>,
    pub(crate) apps: Vec<App>,
    pub(crate) mouths: Vec<Mouth>,
    pub(crate) ears: BTreeMap<SocketAddr, Ear>,
    pub(crate) nats: Vec<Nat>,
    /// Which translator a private address is behind.
    pub(crate) private: HashMap<IpAddr, usize>,
    /// Who listens where.
    pub(crate) addresses: HashMap<SocketAddr, Place>,
    pub(crate) fortunes: HashMap<Place, Fortune>,
    pub(crate) busy: HashMap<Place, Time>,
    pub(crate) losers: Vec<Loser>,
    /// Marked packets that phones were sent.
    pub(crate) marks: Vec<Mark>,
    /// What becomes of the ladder when a run fails.
    pub(crate) telling: Telling,
    /// HTTP answers: status and body.
    pub(crate) answers: Vec<(u16, String)>,
    pub(crate) audio: Audio,
    pub(crate) keeps_records: bool,
    /// Streams of calls that somebody takes to be alive may meet calls of others.
    pub(crate) has_strays: bool,
    /// Words between signalling and media overtake each other in no direction.
    pub(crate) orders_until: Time,
    pub(crate) reports_until: Time,
    /// When the media thread looks for silent parties next.
    silence_at: Time,
    /// When it looks for parties in a talk of which nothing comes.
    quiet_at: Time,
    steps: u64,
    /// How often in a row somebody was told the time and wanted to be told again at once.
    turning: HashMap<Place, u32>,
}

impl Lab {
    /// A switch alone, in clear weather, with the seed of the environment or [`DEFAULT_SEED`](crate::DEFAULT_SEED).
    #[must_use]
    pub fn new() -> Self {
        let seed = crate::seeds(crate::DEFAULT_SEED..crate::DEFAULT_SEED + 1).start;
        Self::with(seed, Weather::CLEAR, SwitchConfig::default())
    }

    /// The same with a switch of one's own.
    #[must_use]
    pub fn with_switch(change: impl FnOnce(&mut SwitchConfig)) -> Self {
        let mut lab = Self::new();
        let mut config = SwitchConfig::default();
        change(&mut config);
        lab.switch = Switch::new(config, &mut lab.dice);
        lab
    }

    /// A switch of one's own in any weather.
    #[must_use]
    pub fn with(seed: u64, weather: Weather, config: SwitchConfig) -> Self {
        let mut dice = Dice::new(seed);
        let switch = Switch::new(config, &mut dice);
        let mut journal = Journal::default();
        journal.name("switch", SocketAddr::new(SWITCH, 0));
        journal.name("switch", SocketAddr::new(SWITCH_V6, 0));
        Self {
            now: START,
            seed,
            dice,
            weather,
            was_always_clear: weather.is_in_order(),
            mail: Mail::default(),
            zone: Zone::default(),
            streams: Streams::default(),
            journal,
            switch,
            phones: Vec::new(),
            agents: Vec::new(),
            apps: Vec::new(),
            mouths: Vec::new(),
            ears: BTreeMap::new(),
            nats: Vec::new(),
            private: HashMap::new(),
            addresses: HashMap::from([switch_sip(), switch_sip_v6()].map(|at| (at, Place::Switch))),
            fortunes: HashMap::new(),
            busy: HashMap::new(),
            losers: Vec::new(),
            marks: Vec::new(),
            telling: Telling::Print,
            answers: Vec::new(),
            audio: Audio::Probed,
            keeps_records: false,
            has_strays: false,
            orders_until: START,
            reports_until: START,
            silence_at: START,
            quiet_at: START,
            steps: 0,
            turning: HashMap::new(),
        }
    }

    /// What has become of a party.
    pub(crate) fn fortune(&self, place: Place) -> Fortune {
        self.fortunes.get(&place).copied().unwrap_or(Fortune::Alive)
    }

    fn is_up(&self, place: Place) -> bool {
        self.fortune(place) == Fortune::Alive
    }

    // Time.

    /// Lets so much time pass.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        self.settle();
        while self.step(until) {}
        self.now = until;
    }

    /// Lets time pass until something is true, for at most a virtual minute and a half.
    #[track_caller]
    pub fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let limit = self.now + Duration::from_secs(90);
        self.settle();
        while !holds(self) {
            assert!(self.step(limit), "never came true: {what}");
        }
    }

    /// Carries out what follows from what was just done, without letting time pass.
    pub(crate) fn settle(&mut self) {
        self.drain_switch();
        (0..self.phones.len()).for_each(|index| self.drain_phone(index));
        (0..self.agents.len()).for_each(|index| self.drain_agent(index));
    }

    /// When something is due next, and it is not later than a party can attend to it.
    fn next(&self) -> Option<Time> {
        let when = |place: Place, at: Option<Time>| {
            let at = at.filter(|_| self.is_up(place))?;
            Some(self.busy_until(place).map_or(at, |free| at.max(free)))
        };
        let phones = self.phones.iter().enumerate();
        let phones = phones.filter_map(|(index, one)| when(Place::Phone(index), one.phone.poll_timeout()));
        let agents = self.agents.iter().enumerate();
        let agents = agents.filter_map(|(index, one)| when(Place::Agent(index), one.endpoint.poll_timeout()));
        let mouths = self.mouths.iter().filter_map(|mouth| mouth.next);
        let silence = Some(self.silence_at.min(self.quiet_at)).filter(|_| self.switch.bank.in_use() > 0);
        let switch = [when(Place::Switch, self.switch.shard.poll_timeout()), self.switch.engine.next_tick(), silence];
        let held = self.mail.holders().filter_map(|place| when(place, Some(self.now)));
        let due = phones.chain(agents).chain(mouths).chain(switch.into_iter().flatten());
        due.chain(held).chain(self.mail.next()).min()
    }

    /// Does the next thing that is due until then; false when there is none.
    pub(crate) fn step(&mut self, until: Time) -> bool {
        let Some(next) = self.next().filter(|next| *next <= until) else { return false };
        self.now = self.now.max(next);
        self.steps += 1;
        assert!(self.steps < MAX_STEPS, "the lab never rests");
        let free = self.mail.holders().find(|place| self.is_up(*place) && self.busy_until(*place).is_none());
        if let Some(place) = free {
            // What has waited goes before what comes only now.
            if let Some(parcel) = self.mail.take_held(place) {
                self.hand_over(place, parcel);
            }
            return true;
        }
        match self.mail.take(self.now) {
            Some(parcel) => self.deliver(parcel),
            None => self.ring_timers(),
        }
        true
    }

    fn deliver(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Datagram { from, to, bytes } => self.deliver_datagram(from, to, bytes),
            Parcel::News { to, input } => self.deliver_news(to, input),
            Parcel::Break(conn) => self.break_stream(conn),
            Parcel::Order(op) => self.perform(op),
            Parcel::Answer(..) | Parcel::Report(_) => self.arrive(Place::Switch, parcel),
        }
    }

    fn deliver_news(&mut self, to: Place, input: hookswitch_sip::Input) {
        match (self.fortune(to), &input) {
            (Fortune::Alive, _) => self.arrive(to, Parcel::News { to, input }),
            (Fortune::Vanished, hookswitch_sip::Input::Stream { flow, .. }) => {
                let flow = *flow;
                self.stall(flow);
            }
            (Fortune::Vanished | Fortune::Killed, _) => {}
        }
    }

    /// Something is there: whoever does something else, or has not attended yet to what came before, gets it later.
    pub(crate) fn arrive(&mut self, place: Place, parcel: Parcel) {
        if self.busy_until(place).is_some() || self.mail.is_held(place) {
            self.mail.hold(place, parcel);
        } else {
            self.hand_over(place, parcel);
        }
    }

    fn hand_over(&mut self, place: Place, parcel: Parcel) {
        match parcel {
            Parcel::Datagram { from, to, bytes } => self.take_datagram(place, from, to, bytes),
            Parcel::News { input, .. } => self.give(place, input),
            Parcel::Report(report) => self.tell_switch(Input::Media(report)),
            Parcel::Answer(id, answer) => self.tell_switch(Input::Answer { id, answer }),
            // Nobody's attention is needed for these.
            Parcel::Break(_) | Parcel::Order(_) => self.deliver(parcel),
        }
    }

    fn ring_timers(&mut self) {
        let now = self.now;
        let due = |lab: &Self, place: Place, at: Option<Time>| {
            at.is_some_and(|at| at <= now) && lab.is_up(place) && lab.busy_until(place).is_none()
        };
        if due(self, Place::Switch, self.switch.shard.poll_timeout()) {
            self.assert_drained(Place::Switch);
            self.switch.shard.handle_timeout(now);
            let next = self.switch.shard.poll_timeout();
            self.assert_ahead(Place::Switch, next);
            self.drain_switch();
        }
        if self.switch.engine.next_tick().is_some_and(|at| at <= now) {
            let (engine, bank) = (&mut self.switch.engine, &mut self.switch.bank);
            engine.tick(now, &mut |socket, to, packet| bank.send(socket, to, packet));
            assert!(self.switch.engine.next_tick().is_none_or(|next| next > now), "the media engine turns on the spot");
            self.drain_media();
        }
        if self.silence_at <= now && self.switch.bank.in_use() > 0 {
            // As the driver does it: once in the time after which a party counts as silent.
            self.switch.engine.report_silence(now);
            self.silence_at = now + self.switch.config.media.rtp_timeout;
            self.drain_media();
        }
        if self.quiet_at <= now && self.switch.bank.in_use() > 0 {
            self.switch.engine.report_quiet(now);
            self.switch.engine.report_idle(now);
            self.quiet_at = now + Duration::from_secs(1);
            self.drain_media();
        }
        for index in 0..self.phones.len() {
            if due(self, Place::Phone(index), self.phones[index].phone.poll_timeout()) {
                self.assert_drained(Place::Phone(index));
                self.phones[index].phone.handle_timeout(now);
                let next = self.phones[index].phone.poll_timeout();
                self.assert_ahead(Place::Phone(index), next);
                self.drain_phone(index);
            }
        }
        for index in 0..self.agents.len() {
            if due(self, Place::Agent(index), self.agents[index].endpoint.poll_timeout()) {
                self.agents[index].endpoint.handle_timeout(now);
                self.drain_agent(index);
            }
        }
        for index in 0..self.mouths.len() {
            let mouth = &mut self.mouths[index];
            if let Some(packet) = mouth.packet(now) {
                let (from, to) = (mouth.from, mouth.to);
                self.send_datagram(from, to, packet);
            }
        }
    }

    // The machines.

    /// Whoever is given something must have been emptied before (the driver's one duty).
    pub(crate) fn assert_drained(&mut self, place: Place) {
        let is_empty = match place {
            Place::Switch => self.switch.shard.poll_output().is_none(),
            Place::Phone(index) => self.phones[index].phone.poll_output().is_none(),
            Place::Agent(index) => self.agents[index].endpoint.poll_output().is_none(),
        };
        assert!(is_empty, "{place:?} had something left to say when it was touched again");
    }

    /// A machine that has just been told the time wants to be told again later, not at once and for ever.
    #[track_caller]
    fn assert_ahead(&mut self, who: Place, next: Option<Time>) {
        let turns = next.is_some_and(|next| next <= self.now);
        let count = self.turning.entry(who).or_insert(0);
        *count = if turns { *count + 1 } else { 0 };
        assert!(*count < MAX_TURNS, "{who:?} turns on the spot: it is {:?}, next {next:?}", self.now);
    }

    pub(crate) fn tell_switch(&mut self, input: Input) {
        if self.is_up(Place::Switch) {
            self.assert_drained(Place::Switch);
            self.switch.shard.handle(self.now, input);
            self.drain_switch();
            self.try_records();
        }
    }

    pub(crate) fn drain_switch(&mut self) {
        while let Some(output) = self.switch.shard.poll_output() {
            match output {
                Output::Send { flow, bytes } => self.carry(Place::Switch, flow, bytes),
                Output::Close { flow } => self.close(flow),
                Output::Media(op) => {
                    let wait = self.dice.within(self.weather.turn);
                    self.orders_until = self.orders_until.max(self.now + wait);
                    self.mail.post(self.orders_until, Parcel::Order(op));
                }
                Output::Lookup { id, name, kind } => self.look_up(id, &name, kind),
                Output::Text { session, text } => self.tell_app(session, &text),
                Output::Log { .. } => panic!("no application here reads the log"),
                Output::CloseSession { session, code } => {
                    self.journal.note(self.now, format!("the switch closes session {} with {code}", session.0));
                    if let Some(app) = self.apps.iter_mut().find(|app| app.session == session) {
                        app.is_open = false;
                        app.closed_with = Some(code);
                    }
                }
                Output::Http { status, body, .. } => self.answers.push((status, body)),
                Output::Rest { response, .. } => self.answers.push((response.status, response.body)),
                Output::Command(_) | Output::Webhook { .. } => {}
                Output::Store(change) => self.switch.store.keep(change),
                Output::Binding(news) => self.switch.bindings.push(news),
                // No trunk is configured here, nobody is looked up, calls cost nothing, the guard is off, no domain has a
                // controller, and nothing is on other nodes.
                Output::Trunk(_) | Output::Guard(_) | Output::Toll(_) | Output::AskUser(_) | Output::Users(_) => {}
                Output::Controller(_) | Output::Node(_) | Output::NodeNews(_) => {}
                // Nobody leads calls.
                Output::AskFlow(_) | Output::Flow(_) => {}
                // There is no disk here, so no rule says that calls are recorded.
                Output::Recorded(_) | Output::Keep(_) => {}
                Output::Record(detail) => {
                    assert!(self.switch.records.insert(detail.call.0), "a second record of {}", detail.call);
                }
                Output::Audio(report) => self.switch.audio.push(report),
                Output::Unreached(unreached) => self.switch.unreached.push(unreached),
                Output::Told(told, _) => self.switch.hear(told),
            }
        }
    }

    fn tell_app(&mut self, session: SessionId, text: &str) {
        self.journal.note(self.now, format!("→ session {}: {text}", session.0));
        let app = self.apps.iter_mut().find(|app| app.session == session);
        app.expect("the switch speaks only to sessions that there are").hear(self.now, text);
    }

    fn perform(&mut self, op: MediaOp) {
        let (engine, bank) = (&mut self.switch.engine, &mut self.switch.bank);
        engine.perform(self.now, op, bank);
        self.drain_media();
    }

    pub(crate) fn drain_media(&mut self) {
        for (socket, to, bytes) in std::mem::take(&mut self.switch.bank.farewells) {
            let from = self.switch.bank.address(socket);
            self.send_datagram(from, to, bytes);
        }
        // There is no disk here: what is played is made while it is played.
        while let Some(order) = self.switch.engine.poll_file() {
            if let Some(refused) = order.refused(FileError::NotFound) {
                self.switch.engine.file_done(self.now, refused);
            }
        }
        while let Some(report) = self.switch.engine.poll_report() {
            self.report(report);
        }
        while self.switch.engine.poll_closed().is_some() {}
    }

    fn report(&mut self, report: MediaReport) {
        // What is known of the audio changes no call, and is not to change the fortune of any.
        let wait = match report {
            MediaReport::Audio { .. } => Duration::ZERO,
            _ => self.dice.within(self.weather.turn),
        };
        self.reports_until = self.reports_until.max(self.now + wait);
        self.mail.post(self.reports_until, Parcel::Report(report));
    }

    pub(crate) fn drain_phone(&mut self, index: usize) {
        let place = Place::Phone(index);
        while let Some(output) = self.phones[index].phone.poll_output() {
            if !self.is_up(place) {
                continue;
            }
            match output {
                PhoneOutput::Sip { flow, bytes } => self.carry(place, flow, bytes),
                PhoneOutput::Close { flow } => self.close(flow),
                PhoneOutput::Rtp { from, to, bytes } => {
                    self.send_datagram(from, to, bytes);
                }
                PhoneOutput::Event(event) => self.phones[index].events.push((self.now, event)),
            }
        }
    }

    pub(crate) fn drain_agent(&mut self, index: usize) {
        let place = Place::Agent(index);
        while let Some(output) = self.agents[index].endpoint.poll_output() {
            match output {
                SipOutput::Event(event) => self.agents[index].events.push((self.now, event)),
                _ if !self.is_up(place) => {}
                SipOutput::Send { flow, bytes } => self.carry(place, flow, bytes),
                SipOutput::Close { flow } => self.close(flow),
            }
        }
    }

    fn carry(&mut self, from: Place, flow: hookswitch_sip::Flow, bytes: bytes::Bytes) {
        match flow.transport {
            Transport::Udp => self.send_datagram(flow.local, flow.remote, bytes),
            // The simulated network knows one kind of stream; what is inside is the business of ring 3.
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                let fate = crate::journal::Fate::Sent;
                self.journal.message(self.now, flow.local, flow.remote, &bytes, fate);
                self.carry_stream(from, flow, &bytes);
            }
        }
    }

    /// Takes away all media ports but so many, and gives them back when the guard is returned.
    pub fn occupy_ports(&mut self, leave: usize) -> Vec<PortPair> {
        let free = self.switch.config.port_pairs - self.switch.bank.in_use();
        (leave..free).filter_map(|_| self.switch.bank.take(false)).collect()
    }

    /// Gives back what [`Lab::occupy_ports`] took.
    pub fn vacate_ports(&mut self, pairs: Vec<PortPair>) {
        pairs.into_iter().for_each(|pair| self.switch.bank.give_back(pair));
    }
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}
