//! What the switch sends to trunks by itself: REGISTER where they want that, and OPTIONS to see whether their hosts work.
//!
//! ```text
//!   due ──► errand ──► its name is looked up ──► REGISTER, OPTIONS ──► outcome ──► due again
//!                      (no address, no socket: the outcome at once)
//! ```

use std::time::Duration;

use compact_str::{CompactString, ToCompactString as _, format_compact};
use hookswitch_call::Time;
use hookswitch_sip::registration::{Order, Registration, RegistrationConfig, Standing};
use hookswitch_sip::resolve::{Chance, Hop, Hops, ResolveError};
use hookswitch_sip::{FailCause, Flow, Header, RequestId, RequestOut};
use hookswitch_sip_msg::{HeaderName, Message, Method, Uri};

use super::config::Health;
use super::missed::{Failure, words};
use super::{HostState, Missed, State, Trunk, Trunks, Unproved};
use crate::B2bua;
use crate::locate::host_text;
use crate::named::{Toward, Way};
use crate::outbound::{SHUN_TIME, name_addr};

/// What is sent to a trunk by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Errand {
    /// A REGISTER of this trunk.
    Register(u8, Order),
    /// OPTIONS to this host of this trunk.
    Ping(u8, u8),
}

/// Something has become of a trunk, for logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkNews {
    /// Its name.
    pub trunk: CompactString,
    /// What.
    pub what: TrunkEvent,
}

/// What can become of a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrunkEvent {
    /// We have registered there; for how long.
    Registered(Duration),
    /// It does not take our registration: status, words, and when it is asked again.
    Refused(u16, CompactString, Option<Duration>),
    /// The registration is taken back.
    Left,
    /// This host answers again.
    Up(CompactString),
    /// This host does not answer, or says that it does not work: which, and why.
    Down(CompactString, CompactString),
    /// A host has not taken a call.
    Missed(Box<Missed>),
    /// A connection is the trunk's: its certificate is for this domain.
    Proved(CompactString),
    /// Somebody at its address who is not believed to be it calls; the first few domains that he has proved to be.
    Unproved(Unproved, Vec<CompactString>),
}

impl B2bua {
    /// What has become of trunks since.
    pub fn poll_trunk_news(&mut self) -> Option<TrunkNews> {
        self.trunks.news.pop_front()
    }

    /// Takes back all registrations of ours: the switch is about to stop.
    pub fn leave_trunks(&mut self, now: Time) {
        for state in &mut self.trunks.list {
            if let Some(registration) = &mut state.registration {
                registration.stop(now);
                self.trunks.due = Some(now);
            }
        }
        self.run_trunks(now);
    }

    /// Whether a registration of ours is still being taken back.
    #[must_use]
    pub fn leaves_trunks(&self) -> bool {
        let mut registrations = self.trunks.list.iter().filter_map(|state| state.registration.as_ref());
        registrations.any(|registration| registration.has_stopped() && !registration.is_over())
    }

    /// Sends what is due.
    pub(crate) fn run_trunks(&mut self, now: Time) {
        if self.trunks.due.is_none_or(|due| due > now) {
            return;
        }
        let seed = self.names.chance.below(usize::MAX) as u64;
        for trunk in (0..).take(self.trunks.list.len()) {
            while let Some(state) = self.trunks.get_mut(trunk) {
                state.begin(now, seed);
                let Some(errand) = state.next_errand(now, trunk) else { break };
                self.run_errand(now, errand);
            }
        }
        self.trunks.set_due();
    }

    fn run_errand(&mut self, now: Time, errand: Errand) {
        let Some(uri) = self.trunks.goal_of(errand) else { return };
        match self.resolve(now, &Way::Uri(uri)) {
            Ok(Toward::Hops(hops)) => self.send_errand(now, errand, &hops),
            Ok(Toward::Asked(query)) => self.errand_when_known(query, errand),
            // No URI leads to a flow.
            Ok(Toward::Flow(_)) => self.errand_over(now, errand, 503, None, FailCause::Unreachable),
            Err(error) => self.errand_unresolved(now, errand, error),
        }
    }

    /// The name of a host leads nowhere.
    fn errand_unresolved(&mut self, now: Time, errand: Errand, error: ResolveError) {
        self.errand_over(now, errand, 503, None, FailCause::Unreachable);
        if let Errand::Ping(trunk, host) = errand
            && let Some(state) = self.trunks.get_mut(trunk)
        {
            state.hosts[usize::from(host)].failure = Some(Failure::new(now, error.to_compact_string()));
        }
    }

    /// Where the look-up of its name has led.
    pub(crate) fn errand_resolved(&mut self, now: Time, errand: Errand, result: Result<Hops, ResolveError>) {
        match result {
            Ok(hops) => self.send_errand(now, errand, &hops),
            Err(error) => self.errand_unresolved(now, errand, error),
        }
        self.run_again(now);
    }

    fn send_errand(&mut self, now: Time, errand: Errand, hops: &[Hop]) {
        let found = hops.iter().find_map(|hop| Some((*hop, self.flow_of(*hop)?)));
        let request = found.and_then(|(_, flow)| self.trunks.request_of(now, errand, flow));
        let sent = request.and_then(|request| self.endpoint.request(now, request).ok());
        match (sent, found) {
            (Some(id), Some((hop, _))) => {
                self.trunks.asked.insert(id, (errand, hop));
            }
            _ => self.errand_over(now, errand, 503, None, FailCause::Unreachable),
        }
    }

    /// The end of a request, if it was one to a trunk.
    pub(crate) fn trunk_answered(
        &mut self,
        now: Time,
        id: RequestId,
        status: u16,
        response: Option<&Message>,
        why: FailCause,
    ) -> bool {
        let Some((errand, hop)) = self.trunks.asked.remove(&id) else { return false };
        match why {
            FailCause::Timeout | FailCause::Unreachable => self.names.resolver.shun(now, hop, SHUN_TIME),
            FailCause::Response | FailCause::Cancelled => self.names.resolver.pardon(hop),
        }
        self.errand_over(now, errand, status, response, why);
        self.run_again(now);
        true
    }

    fn errand_over(&mut self, now: Time, errand: Errand, status: u16, response: Option<&Message>, why: FailCause) {
        match errand {
            Errand::Register(trunk, order) => self.trunks.registered(now, (trunk, order), status, response),
            Errand::Ping(trunk, host) => {
                let phrase = response.map(|response| String::from_utf8_lossy(response.reason()).into_owned());
                let no_way = self.endpoint.no_way();
                let outcome = words(why, no_way, (status, phrase.as_deref().unwrap_or_default()));
                self.trunks.pinged(now, (trunk, host), status, why, outcome);
            }
        }
    }

    fn run_again(&mut self, now: Time) {
        self.trunks.set_due();
        self.run_trunks(now);
    }

    /// A connection is gone: who has registered over it does so anew.
    pub(crate) fn trunk_flow_closed(&mut self, now: Time, flow: Flow) {
        if self.trunks.due.is_none() && self.trunks.asked.is_empty() {
            return;
        }
        let same = |over: Flow| {
            over.transport == flow.transport
                && (over.remote == flow.remote || over.conn.is_some() && over.conn == flow.conn)
        };
        for state in &mut self.trunks.list {
            if let (Some(over), Some(registration)) = (state.enrolled_over, &mut state.registration)
                && over.transport.reliable()
                && same(over)
            {
                registration.flow_lost(now);
            }
        }
        self.trunks.set_due();
    }
}

impl Trunks {
    pub(super) fn set_due(&mut self) {
        self.due = self.list.iter().filter_map(State::due).min();
    }

    fn goal_of(&self, errand: Errand) -> Option<CompactString> {
        match errand {
            Errand::Register(trunk, _) => Some(self.get(trunk)?.config.registrar()),
            Errand::Ping(trunk, host) => Some(self.get(trunk)?.config.hosts.get(usize::from(host))?.uri.clone()),
        }
    }

    fn request_of(&mut self, now: Time, errand: Errand, flow: Flow) -> Option<RequestOut> {
        let uri = self.goal_of(errand)?;
        match errand {
            Errand::Register(trunk, order) => {
                let state = self.get_mut(trunk)?;
                let aor = name_addr(None, &state.config.aor());
                let mut request = RequestOut::new(Method::Register, &uri, aor.clone(), aor, flow);
                let call_id = || format_compact!("trunk-{:x}-{}", now.as_nanos(), state.config.name);
                request.call_id = Some(state.call_id.get_or_insert_with(call_id).clone());
                request.cseq = Some(order.cseq);
                request.contact_user = Some(state.config.contact_user());
                request.credentials.clone_from(&state.config.credentials);
                request.headers = vec![
                    Header::new(HeaderName::Expires, order.expires.to_string()),
                    Header::new(HeaderName::Supported, "path"),
                ];
                state.enrolled_over = Some(flow);
                Some(request)
            }
            Errand::Ping(trunk, _) => {
                let config = &self.get(trunk)?.config;
                let from = name_addr(None, &config.aor());
                let mut request = RequestOut::new(Method::Options, &uri, from, name_addr(None, &uri), flow);
                request.credentials.clone_from(&config.credentials);
                Some(request)
            }
        }
    }

    fn registered(&mut self, now: Time, (trunk, order): (u8, Order), status: u16, response: Option<&Message>) {
        let Some(state) = self.list.get_mut(usize::from(trunk)) else { return };
        let user = state.config.contact_user();
        let Some(registration) = &mut state.registration else { return };
        let before = registration.is_registered(now);
        registration.answered(now, order.cseq, status, response, &user);
        let what = match registration.standing(now) {
            Standing::Left if registration.is_over() => TrunkEvent::Left,
            _ if status >= 300 && registration.last_failure().is_some() => {
                let again = registration.next_attempt().map(|at| at.saturating_sub(now));
                let words = registration.last_failure().map(|(_, words)| words.into()).unwrap_or_default();
                TrunkEvent::Refused(status, words, again)
            }
            Standing::Registered(until) if !before => TrunkEvent::Registered(until - now),
            Standing::Registered(_) | Standing::Starting | Standing::Failed | Standing::Left => return,
        };
        self.news.push_back(TrunkNews { trunk: state.config.name.clone(), what });
    }

    fn pinged(&mut self, now: Time, (trunk, host): (u8, u8), status: u16, why: FailCause, outcome: CompactString) {
        let Some(state) = self.list.get_mut(usize::from(trunk)) else { return };
        let Some(health) = &state.config.health else { return };
        let stand = &mut state.hosts[usize::from(host)];
        let works = why == FailCause::Response && status < 500 && !health.down_on.contains(&status);
        let has_changed = stand.pinged(now, works, health);
        if !works {
            stand.failure = Some(Failure::new(now, outcome.clone()));
        } else if !stand.is_down {
            stand.failure = None;
        }
        if has_changed {
            let uri = state.config.hosts[usize::from(host)].uri.clone();
            let what = if stand.is_down { TrunkEvent::Down(uri, outcome) } else { TrunkEvent::Up(uri) };
            self.news.push_back(TrunkNews { trunk: state.config.name.clone(), what });
        }
    }
}

/// Within how many milliseconds after the start all hosts are first asked, so that this does not happen at once.
const SPREAD: usize = 1_000;

impl State {
    /// The first moment that there is.
    fn begin(&mut self, now: Time, seed: u64) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        if let Some(register) = &self.config.register {
            let config = RegistrationConfig { expires: register.expires, ..RegistrationConfig::default() };
            self.registration = Some(Registration::new(now, config, seed, &self.config.name));
        }
        let mut chance = Chance::new(seed, &self.config.name);
        for host in &mut self.hosts {
            host.next_ping = now + Duration::from_millis(chance.below(SPREAD) as u64);
        }
    }

    fn next_errand(&mut self, now: Time, trunk: u8) -> Option<Errand> {
        if let Some(order) = self.registration.as_mut().and_then(|registration| registration.poll(now)) {
            return Some(Errand::Register(trunk, order));
        }
        self.config.health.as_ref()?;
        let due = self.hosts.iter().position(|host| !host.is_asked && host.next_ping <= now)?;
        self.hosts[due].is_asked = true;
        // There are no more hosts than MAX_HOSTS.
        Some(Errand::Ping(trunk, due as u8))
    }

    fn due(&self) -> Option<Time> {
        if !self.begun {
            return (self.config.register.is_some() || self.config.health.is_some()).then_some(Time::ZERO);
        }
        let registration = self.registration.as_ref().and_then(Registration::poll_timeout);
        let hosts = self.hosts.iter().filter(|host| !host.is_asked && self.config.health.is_some());
        registration.into_iter().chain(hosts.map(|host| host.next_ping)).min()
    }

    /// Whether calls may go to this host, and what is wrong if not.
    pub(super) fn works(&self, now: Time, host: u8) -> Result<(), &'static str> {
        let is_out = self.registration.as_ref().is_some_and(|registration| match registration.standing(now) {
            Standing::Starting | Standing::Failed => true,
            Standing::Registered(_) | Standing::Left => false,
        });
        if is_out || self.config.register.is_some() && self.registration.is_none() {
            return Err("Trunk Not Registered");
        }
        if self.hosts[usize::from(host)].is_down {
            return Err("Trunk Host Down");
        }
        Ok(())
    }
}

impl HostState {
    /// Takes the outcome of a ping. True when the host has gone down or come up.
    fn pinged(&mut self, now: Time, works: bool, health: &Health) -> bool {
        self.is_asked = false;
        self.next_ping = now + health.interval;
        if self.is_down != works {
            // Nothing new.
            self.run = 0;
            return false;
        }
        self.run = self.run.saturating_add(1);
        let enough = if works { health.up_after } else { health.down_after };
        if self.run < enough.max(1) {
            return false;
        }
        self.run = 0;
        self.is_down = !works;
        true
    }
}

impl Trunk {
    /// Whose calls come to us: who we are to the trunk.
    pub(super) fn aor(&self) -> CompactString {
        let user = self.register.as_ref().and_then(|register| register.user.as_deref());
        let user = user.or(self.from_user.as_deref());
        let user = user.or_else(|| self.credentials.as_ref().map(|credentials| credentials.user.as_str()));
        let host = self.hosts.first().and_then(|host| Uri::parse(&host.uri).ok());
        let domain = self.from_domain.clone();
        let domain = domain.or_else(|| host.map(|uri| host_text(uri.host).into())).unwrap_or_default();
        match user {
            Some(user) => format_compact!("sip:{user}@{domain}"),
            None => format_compact!("sip:{domain}"),
        }
    }

    /// The user part of the Contact that we register.
    pub(super) fn contact_user(&self) -> CompactString {
        let own = self.register.as_ref().and_then(|register| register.contact_user.clone());
        let aor = self.aor();
        own.unwrap_or_else(|| Uri::parse(&aor).ok().and_then(|uri| uri.user).unwrap_or_default().into())
    }

    /// Where REGISTER goes: its Request-URI has no user (RFC 3261 section 10.2).
    fn registrar(&self) -> CompactString {
        let named = self.register.as_ref().and_then(|register| register.registrar.clone());
        let uri = named.or_else(|| Some(self.hosts.first()?.uri.clone())).unwrap_or_default();
        let Ok(parsed) = Uri::parse(&uri) else { return uri };
        let port = parsed.port.map(|port| format_compact!(":{port}")).unwrap_or_default();
        format_compact!("{}:{}{port}{}", parsed.scheme_text(), host_text(parsed.host), parsed.params.as_str())
    }
}
