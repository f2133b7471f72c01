//! A registration of our own at somebody else's registrar: when to send which REGISTER, and how it stands.
//!
//! ```text
//!               ┌───────────── refresh ◄─────────────┐
//!               ▼                                    │
//!   start ──► Asking ── 2xx ──► Resting (registered) ┘
//!             │  ▲  └── else ─► Resting (not, or not for long) ── back-off ──► Asking
//!         423 └──┘ (with more time)
//!
//!   stop ──► Leaving ── any answer, or 4 s ──► Gone       (at once, where nothing is registered)
//! ```
//!
//! [`Registration`] writes no message: its user sends what [`Registration::poll`] wants and tells the outcome, digest
//! included. After failures it waits as RFC 5626 section 4.5 says: twice as long each time, and half of it by chance.

use core::time::Duration;

use compact_str::CompactString;
use hookswitch_sip_msg::{HeaderName, Message};

use crate::Time;
use crate::resolve::Chance;

/// Longest time between two attempts, whatever the registrar says.
pub const MAX_WAIT: Duration = Duration::from_secs(3_600);

/// Longest time that is asked for when the registrar wants more than was asked first (423).
pub const MAX_EXPIRES: Duration = Duration::from_secs(86_400);

/// How long the answer to the last REGISTER is waited for.
pub const LEAVE_TIME: Duration = Duration::from_secs(4);

/// Most values of Service-Route that are kept.
pub const MAX_SERVICE_ROUTES: usize = 8;

/// A registration that is granted for longer is refreshed so long before its end (3GPP TS 24.229 section 5.1.1.4.1), a
/// shorter one at half its time.
const MARGIN: Duration = Duration::from_secs(600);

/// How many numbers of CSeq one REGISTER may need, with all repeats for digest.
const CSEQ_STEP: u32 = 16;

/// How a registration is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationConfig {
    /// For how long is asked; whole seconds, default one hour.
    pub expires: Duration,
    /// The wait after the first failure is between half of this and all of it; default 30 s.
    pub base_wait: Duration,
    /// What it grows to; default 30 minutes.
    pub max_wait: Duration,
    /// The first REGISTER is sent within this time after the start, by chance, so that many do not come at once; default
    /// one second.
    pub spread: Duration,
}

impl Default for RegistrationConfig {
    fn default() -> RegistrationConfig {
        RegistrationConfig {
            expires: Duration::from_secs(3_600),
            base_wait: Duration::from_secs(30),
            max_wait: Duration::from_secs(1_800),
            spread: Duration::from_secs(1),
        }
    }
}

/// A REGISTER to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Value of Expires, in seconds; 0 takes the registration back.
    pub expires: u32,
    /// Its sequence number, and its name for [`Registration::answered`].
    pub cseq: u32,
}

/// How a registration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The first answer is awaited.
    Starting,
    /// We can be called until then.
    Registered(Time),
    /// The registrar does not take us, and is asked again later.
    Failed,
    /// It is being taken back, or is.
    Left,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The next REGISTER is sent then.
    Resting(Time),
    /// The answer to this one is awaited.
    Asking(u32),
    /// The answer to the last one is, until then.
    Leaving(u32, Time),
    Gone,
}

/// One registration.
#[derive(Debug)]
pub struct Registration {
    config: RegistrationConfig,
    chance: Chance,
    state: State,
    /// What is asked for next.
    expires: Duration,
    cseq: u32,
    until: Option<Time>,
    /// Failures in a row.
    failures: u32,
    /// The last failure, and how it was said.
    last: Option<(u16, CompactString)>,
    service_route: Vec<CompactString>,
    /// The last REGISTER, not sent yet.
    farewell: bool,
}

impl Registration {
    /// A registration that begins now. `seed` and `name` decide on its waits.
    pub fn new(now: Time, config: RegistrationConfig, seed: u64, name: &str) -> Registration {
        let mut chance = Chance::new(seed, name);
        let first = now + part_of(config.spread, &mut chance);
        Registration {
            expires: config.expires,
            config,
            chance,
            state: State::Resting(first),
            cseq: 0,
            until: None,
            failures: 0,
            last: None,
            service_route: Vec::new(),
            farewell: false,
        }
    }

    /// The REGISTER that is to be sent now, if one is.
    pub fn poll(&mut self, now: Time) -> Option<Order> {
        if std::mem::take(&mut self.farewell) {
            let cseq = self.next_cseq();
            self.state = State::Leaving(cseq, now + LEAVE_TIME);
            return Some(Order { expires: 0, cseq });
        }
        match self.state {
            State::Resting(at) if at <= now => {
                let cseq = self.next_cseq();
                self.state = State::Asking(cseq);
                Some(Order { expires: u32::try_from(self.expires.as_secs()).unwrap_or(u32::MAX), cseq })
            }
            State::Leaving(_, until) if until <= now => {
                self.state = State::Gone;
                None
            }
            State::Resting(_) | State::Asking(_) | State::Leaving(..) | State::Gone => None,
        }
    }

    /// When [`Registration::poll`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            _ if self.farewell => Some(Time::ZERO),
            State::Resting(at) | State::Leaving(_, at) => Some(at),
            State::Asking(_) | State::Gone => None,
        }
    }

    /// How a REGISTER has ended: its final status, and the response if there was one. `contact_user` is the user part
    /// of the Contact that was registered. An answer to an older one is ignored.
    pub fn answered(&mut self, now: Time, cseq: u32, status: u16, response: Option<&Message>, contact_user: &str) {
        match self.state {
            State::Asking(asked) if asked == cseq => {}
            State::Leaving(asked, _) if asked == cseq => {
                self.state = State::Gone;
                self.until = None;
                return;
            }
            State::Resting(_) | State::Asking(_) | State::Leaving(..) | State::Gone => return,
        }
        let granted = response.filter(|_| status < 300).and_then(|response| granted(response, contact_user));
        match granted.or(Some(self.expires).filter(|_| status < 300)) {
            Some(granted) if !granted.is_zero() => self.accepted(now, granted, response),
            _ => self.refused(now, status, response),
        }
    }

    fn accepted(&mut self, now: Time, granted: Duration, response: Option<&Message>) {
        self.failures = 0;
        self.last = None;
        self.until = Some(now + granted);
        let routes = response.into_iter().flat_map(|response| response.values(HeaderName::ServiceRoute));
        let routes = routes.filter_map(|route| std::str::from_utf8(route).ok().map(CompactString::from));
        self.service_route = routes.take(MAX_SERVICE_ROUTES).collect();
        let wait = if granted >= 2 * MARGIN { granted - MARGIN } else { granted / 2 };
        // Those that began together drift apart.
        let early = part_of(wait / 10, &mut self.chance);
        self.state = State::Resting(now + wait - early);
    }

    fn refused(&mut self, now: Time, status: u16, response: Option<&Message>) {
        let words = response.map(|response| String::from_utf8_lossy(response.reason()).as_ref().into());
        self.last = Some((status, words.unwrap_or_default()));
        let seconds = |name| response.and_then(|response| leading_number(response.header(name)?));
        if let (423, Some(least)) = (status, seconds(HeaderName::MinExpires))
            && least > self.expires
            && least <= MAX_EXPIRES
        {
            self.expires = least;
            self.state = State::Resting(now);
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let wait = match seconds(HeaderName::RetryAfter) {
            Some(wait) => wait.clamp(Duration::from_secs(1), MAX_WAIT),
            None => self.back_off(),
        };
        self.state = State::Resting(now + wait);
    }

    /// Half of a time that doubles, and the other half by chance (RFC 5626 section 4.5).
    fn back_off(&mut self) -> Duration {
        let doubled = self.config.base_wait.saturating_mul(1 << (self.failures - 1).min(16));
        let bound = doubled.min(self.config.max_wait);
        bound / 2 + part_of(bound / 2, &mut self.chance)
    }

    /// The connection that the registration went over is gone: it is made anew soon.
    pub fn flow_lost(&mut self, now: Time) {
        if let State::Resting(at) = self.state {
            let soon = now + part_of(self.config.spread, &mut self.chance);
            self.state = State::Resting(at.min(soon));
        }
    }

    /// Takes the registration back. [`Registration::is_over`] says when that is done.
    pub fn stop(&mut self, now: Time) {
        match self.state {
            State::Leaving(..) | State::Gone => {}
            State::Resting(_) if !self.is_registered(now) => self.state = State::Gone,
            // Perhaps the registrar has taken the one under way.
            State::Resting(_) | State::Asking(_) => self.farewell = true,
        }
    }

    /// [`Registration::stop`] was called.
    pub fn has_stopped(&self) -> bool {
        self.farewell || matches!(self.state, State::Leaving(..) | State::Gone)
    }

    /// Nothing is registered any more, after [`Registration::stop`].
    pub fn is_over(&self) -> bool {
        self.state == State::Gone
    }

    /// Whether we can be called through it.
    pub fn is_registered(&self, now: Time) -> bool {
        self.until.is_some_and(|until| now < until) && !matches!(self.state, State::Leaving(..) | State::Gone)
    }

    /// How it stands.
    pub fn standing(&self, now: Time) -> Standing {
        match (self.state, self.until) {
            (State::Leaving(..) | State::Gone, _) => Standing::Left,
            (_, Some(until)) if now < until => Standing::Registered(until),
            _ if self.last.is_none() && self.until.is_none() => Standing::Starting,
            _ => Standing::Failed,
        }
    }

    /// When the next REGISTER is sent, unless one is under way.
    pub fn next_attempt(&self) -> Option<Time> {
        match self.state {
            State::Resting(at) => Some(at),
            State::Asking(_) | State::Leaving(..) | State::Gone => None,
        }
    }

    /// The last failure, if nothing has succeeded since: its status and words.
    pub fn last_failure(&self) -> Option<(u16, &str)> {
        self.last.as_ref().map(|(status, words)| (*status, words.as_str()))
    }

    /// Through whom requests of ours go (RFC 3608), first hop first.
    pub fn service_route(&self) -> &[CompactString] {
        &self.service_route
    }

    fn next_cseq(&mut self) -> u32 {
        self.cseq = self.cseq.wrapping_add(CSEQ_STEP) & 0x7fff_ffff;
        self.cseq
    }
}

/// The time that a 2xx grants: that of our Contact, else that of the whole. Of several of our user the shortest, which
/// may be another's and then does no harm.
fn granted(response: &Message, contact_user: &str) -> Option<Duration> {
    let whole = response.header(HeaderName::Expires).and_then(leading_number);
    let contacts: Vec<_> = response.contacts().filter_map(Result::ok).collect();
    let is_ours = |contact: &&hookswitch_sip_msg::NameAddr<'_>| {
        let user = contact.uri().ok().and_then(|uri| uri.user_unescaped().map(|user| user == contact_user));
        user == Some(true) || contacts.len() == 1
    };
    let times = contacts.iter().filter(is_ours).filter_map(|contact| contact.expires());
    times.min().map(|seconds| Duration::from_secs(seconds.into())).or(whole)
}

/// A number of seconds, perhaps with a comment or parameters behind it.
fn leading_number(value: &[u8]) -> Option<Duration> {
    let digits = value.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
    std::str::from_utf8(&value[..digits]).ok()?.parse().ok().map(Duration::from_secs)
}

/// Some part of a time, in milliseconds.
fn part_of(time: Duration, chance: &mut Chance) -> Duration {
    let most = usize::try_from(time.as_millis()).unwrap_or(usize::MAX);
    Duration::from_millis(chance.below(most) as u64)
}
