//! Users who are asked for elsewhere at the moment they are needed, and remembered for a while.
//!
//! ```text
//!  unsettled ── ask ──► asked ──┬── found ───► known ──(cache is over)──► unsettled; kept for outages
//!      ▲                  ▲     ├── nobody ──► nobody ──(negative_cache is over)──► unsettled
//!      │                  │     └── failed, or too late ──┬── found before: known, for RETRY_AFTER
//!      │     others who want the same wait with it        └── else: out, for RETRY_AFTER
//!      └───────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Questions go out, answers come in, and the time is told: who carries them is not known here. Nobody is asked for
//! twice at a time, and how many questions there are, in all and because of one source, has limits.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};

use compact_str::CompactString;

use super::{Forwarding, MAX_NAME, Secret, Standing, UserLimits};
use crate::Time;

/// After a question that was not answered the same is not asked again for so long, and whoever asks us is told to wait
/// so long.
pub const RETRY_AFTER: Time = Time::from_secs(5);

/// Most users of whom it is remembered that they do not exist, or could not be asked for. With more, the oldest is
/// forgotten.
pub const MAX_NOBODIES: usize = 10_000;

/// Most sources whose questions are counted; whoever is one more is not admitted until another has been quiet.
pub const MAX_DOUBTS: usize = 4_096;

/// Questions of one source that may come at once: so many seconds of its rate.
const SOURCE_BURST: u32 = 10;

/// Shortest time for which an answer is good, whatever its sender says: those who wait for it must have something of it.
const LEAST_CACHE: Time = Time::from_secs(1);

/// A limit that is reached is told so often, while it is.
const TELL_AGAIN: Time = Time::from_secs(60);

/// How users are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupConfig {
    /// Whose users: names of domains, `*.example.test` for all below that, `*` for all. Default empty: those that are
    /// in a layer of the directory.
    pub domains: Vec<CompactString>,
    /// How long an answer is waited for. Default 5 s.
    pub timeout: Time,
    /// How long a user who was found is not asked for again, unless the answer asks for less. Default 300 s.
    pub cache: Time,
    /// The same of a user who does not exist; and the age at which a password that turns out wrong is asked for anew.
    /// Default 30 s.
    pub negative_cache: Time,
    /// How much longer a user who was found is still known when there is no answer. Default 86,400 s.
    pub stale: Time,
    /// Most users who are remembered. With more, the one whose time is over first is forgotten. Default 100,000.
    pub max_users: usize,
    /// Most questions under way, and most requests that wait for them. Default 1,000.
    pub max_waiting: usize,
    /// Most questions in a second, as many of which may come at once. Default 200.
    pub max_rate: u32,
    /// Most questions in a second because of one address (of IPv6, one /64) that is not trusted; ten times as many may
    /// come at once. Default 10.
    pub max_rate_per_source: u32,
}

impl Default for LookupConfig {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            timeout: Time::from_secs(5),
            cache: Time::from_secs(300),
            negative_cache: Time::from_secs(30),
            stale: Time::from_secs(86_400),
            max_users: 100_000,
            max_waiting: 1_000,
            max_rate: 200,
            max_rate_per_source: 10,
        }
    }
}

/// Names a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestionId(pub u64);

/// Who is this?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Its name.
    pub id: QuestionId,
    /// The domain, in lower case.
    pub domain: CompactString,
    /// The user, unescaped.
    pub user: CompactString,
}

/// A user as the answer describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundUser {
    /// The password.
    pub secret: Secret,
    /// Whom to call instead.
    pub forward: Forwarding,
    /// Its own limits.
    pub limits: UserLimits,
    /// Whether its calls are recorded, if it says so.
    pub record: Option<bool>,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserAnswer {
    /// It exists.
    Found {
        /// What it is.
        user: Box<FoundUser>,
        /// How long that is good, if the answer says so.
        max_age: Option<Time>,
    },
    /// It does not exist.
    Nobody {
        /// How long that is good, if the answer says so.
        max_age: Option<Time>,
    },
    /// There is no answer, or none that can be understood: why, without anything secret.
    Failed(String),
}

/// Why a question is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// [`LookupConfig::max_waiting`] is reached.
    #[error("too many requests wait for users to be looked up")]
    Waiting,
    /// [`LookupConfig::max_rate`] is reached.
    #[error("too many users have to be looked up in this second")]
    Rate,
    /// [`LookupConfig::max_rate_per_source`] is reached.
    #[error("one address makes too many users be looked up in this second")]
    Source,
}

/// What has happened, for logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupNews {
    /// The first question after a good one that failed.
    Failing {
        /// What was asked.
        question: Question,
        /// Why there is no answer.
        why: String,
    },
    /// Another one.
    Failed {
        /// What was asked.
        question: Question,
        /// Why there is no answer.
        why: String,
    },
    /// There are answers again.
    Answering,
    /// A limit is reached: told once in a minute at most, of whichever limit it is.
    Refused(Busy),
}

/// What has been counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LookupTotals {
    /// Answers that know the user.
    pub found: u64,
    /// Answers that know that there is none.
    pub nobody: u64,
    /// Questions without an answer.
    pub failed: u64,
    /// Requests that waited for a question asked before.
    pub shared: u64,
    /// Requests for which nobody was asked because of a limit.
    pub refused: u64,
    /// Users who were forgotten because there were too many.
    pub evicted: u64,
    /// Users who are remembered now.
    pub users: usize,
    /// Questions under way now.
    pub waiting: usize,
}

/// What is remembered of a user.
#[derive(Clone)]
struct Entry {
    found: Option<FoundUser>,
    learned_at: Time,
    /// Until when nobody is asked.
    settled_until: Time,
    /// There was no answer.
    out: bool,
    /// Where it stands in the order of forgetting.
    age: Age,
}

/// What is remembered of the users of a domain.
#[derive(Clone, Default)]
struct Users {
    entries: BTreeMap<CompactString, Entry>,
    /// How many of them were found.
    found: usize,
}

/// When something is forgotten; the number tells those of one moment apart.
type Age = (Time, u64);

/// Who is forgotten, and when.
type Ages = BTreeMap<Age, (CompactString, CompactString)>;

/// Users who are asked for.
#[derive(Clone)]
pub(super) struct Lookups {
    config: LookupConfig,
    users: BTreeMap<CompactString, Users>,
    /// Those who were found.
    known: Ages,
    /// All others.
    nobodies: Ages,
    open: BTreeMap<QuestionId, (CompactString, CompactString)>,
    asked: BTreeMap<(CompactString, CompactString), QuestionId>,
    /// When each question ends, in the order they were asked.
    ends: VecDeque<(Time, QuestionId)>,
    next: u64,
    rate: Time,
    sources: BTreeMap<IpAddr, Time>,
    swept_at: Time,
    questions: VecDeque<Question>,
    settled: VecDeque<Question>,
    news: VecDeque<LookupNews>,
    failing: bool,
    told_at: Option<Time>,
    totals: LookupTotals,
}

impl std::fmt::Debug for Lookups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookups").field("config", &self.config).field("totals", &self.totals()).finish_non_exhaustive()
    }
}

impl Lookups {
    pub fn new(mut config: LookupConfig) -> Self {
        for pattern in &mut config.domains {
            *pattern = CompactString::from_str_to_lowercase(pattern);
        }
        Self {
            config,
            users: BTreeMap::new(),
            known: Ages::new(),
            nobodies: Ages::new(),
            open: BTreeMap::new(),
            asked: BTreeMap::new(),
            ends: VecDeque::new(),
            next: 0,
            rate: Time::ZERO,
            sources: BTreeMap::new(),
            swept_at: Time::ZERO,
            questions: VecDeque::new(),
            settled: VecDeque::new(),
            news: VecDeque::new(),
            failing: false,
            told_at: None,
            totals: LookupTotals::default(),
        }
    }

    /// Whether the users of a domain are asked for.
    pub fn covers(&self, domain: &str) -> bool {
        let matches = |pattern: &CompactString| match pattern.strip_prefix('*') {
            Some(rest) => domain.ends_with(rest),
            None => pattern == domain,
        };
        self.config.domains.is_empty() || self.config.domains.iter().any(matches)
    }

    /// A domain that is known because one of its users is.
    pub fn domain(&self, host: &str) -> Option<&str> {
        let (name, users) = self.users.get_key_value(host)?;
        (users.found > 0).then_some(name.as_str())
    }

    pub fn found(&self, domain: &str, user: &str) -> Option<&FoundUser> {
        self.entry(domain, user)?.found.as_ref()
    }

    pub fn is_nobody(&self, domain: &str, user: &str) -> bool {
        self.entry(domain, user).is_some_and(|entry| entry.found.is_none() && !entry.out)
    }

    pub fn standing(&self, now: Time, domain: &str, user: &str) -> Standing {
        match self.entry(domain, user).filter(|entry| now < entry.settled_until) {
            None => Standing::Unsettled,
            Some(entry) if entry.found.is_some() => Standing::Known,
            Some(entry) if entry.out => Standing::Out,
            Some(_) => Standing::Nobody,
        }
    }

    pub fn ask(&mut self, now: Time, domain: &str, user: &str, source: Option<IpAddr>) -> Result<QuestionId, Busy> {
        let name = (CompactString::from(domain), CompactString::from(user));
        if let Some(id) = self.asked.get(&name) {
            self.totals.shared += 1;
            return Ok(*id);
        }
        let refusal = if self.open.len() >= self.config.max_waiting {
            Some(Busy::Waiting)
        } else if source.is_some_and(|source| !self.allow_source(now, source)) {
            Some(Busy::Source)
        } else if !allow(&mut self.rate, now, self.config.max_rate, 1) {
            Some(Busy::Rate)
        } else {
            None
        };
        if let Some(busy) = refusal {
            self.refused(now, busy);
            return Err(busy);
        }
        let id = QuestionId(self.next);
        self.next += 1;
        self.ends.push_back((now + self.config.timeout, id));
        self.questions.push_back(Question { id, domain: name.0.clone(), user: name.1.clone() });
        self.open.insert(id, name.clone());
        self.asked.insert(name, id);
        Ok(id)
    }

    pub fn has_room(&mut self, now: Time, waiting: usize) -> bool {
        let room = waiting < self.config.max_waiting;
        if !room {
            self.refused(now, Busy::Waiting);
        }
        room
    }

    /// Takes a place in the rate of a source.
    pub fn allow_source(&mut self, now: Time, source: IpAddr) -> bool {
        let source = match source {
            // Whoever has one of these addresses has all of them.
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
            v4 => v4,
        };
        if !self.sources.contains_key(&source) && self.sources.len() >= MAX_DOUBTS {
            if now < self.swept_at + Time::from_secs(1) {
                return false;
            }
            self.swept_at = now;
            self.sources.retain(|_, until| *until > now);
            if self.sources.len() >= MAX_DOUBTS {
                return false;
            }
        }
        allow(self.sources.entry(source).or_default(), now, self.config.max_rate_per_source, SOURCE_BURST)
    }

    /// Takes back what is known of a user, if it is old enough.
    pub fn doubt(&mut self, now: Time, domain: &str, user: &str) -> bool {
        let least = self.config.negative_cache.max(LEAST_CACHE);
        let Some(entry) = self.entry_mut(domain, user) else { return false };
        // While there are no answers, what is known is as good as it gets.
        let old = entry.found.is_some() && entry.learned_at + least <= now && !entry.out;
        if old {
            entry.settled_until = now;
        }
        old
    }

    pub fn answered(&mut self, now: Time, id: QuestionId, answer: UserAnswer) {
        let Some((domain, user)) = self.open.remove(&id) else { return };
        self.asked.remove(&(domain.clone(), user.clone()));
        let question = Question { id, domain, user };
        let for_long = |most: Time, said: Option<Time>| said.map_or(most, |said| said.min(most)).max(LEAST_CACHE);
        match answer {
            UserAnswer::Found { user: found, max_age } => {
                self.totals.found += 1;
                self.answering();
                let until = now + for_long(self.config.cache, max_age);
                self.keep(now, &question, Some(*found), until, until + self.config.stale);
            }
            UserAnswer::Nobody { max_age } => {
                self.totals.nobody += 1;
                self.answering();
                let until = now + for_long(self.config.negative_cache, max_age);
                self.keep(now, &question, None, until, until);
            }
            UserAnswer::Failed(why) => self.failed(now, &question, why),
        }
        self.settled.push_back(question);
    }

    pub fn poll_question(&mut self) -> Option<Question> {
        self.questions.pop_front()
    }

    pub fn poll_settled(&mut self) -> Option<Question> {
        self.settled.pop_front()
    }

    pub fn poll_news(&mut self) -> Option<LookupNews> {
        self.news.pop_front()
    }

    pub fn totals(&self) -> LookupTotals {
        LookupTotals { users: self.known.len(), waiting: self.open.len(), ..self.totals }
    }

    /// Counts a request that is not asked for.
    fn refused(&mut self, now: Time, busy: Busy) {
        self.totals.refused += 1;
        if self.told_at.is_none_or(|at| at + TELL_AGAIN <= now) {
            self.told_at = Some(now);
            self.news.push_back(LookupNews::Refused(busy));
        }
    }

    pub fn handle_timeout(&mut self, now: Time) {
        while let Some((_, id)) =
            self.ends.front().copied().filter(|(end, id)| *end <= now || !self.open.contains_key(id))
        {
            self.ends.pop_front();
            if self.open.contains_key(&id) {
                self.answered(now, id, UserAnswer::Failed("no answer in time".to_owned()));
            }
        }
        for known in [true, false] {
            let ages = if known { &self.known } else { &self.nobodies };
            let over: Vec<_> = ages.range(..=(now, u64::MAX)).map(|(_, name)| name.clone()).collect();
            for (domain, user) in over {
                self.forget(&domain, &user);
            }
        }
    }

    pub fn poll_timeout(&self) -> Option<Time> {
        let asked = self.ends.front().map(|(end, _)| *end);
        let over = [&self.known, &self.nobodies].map(|ages| ages.first_key_value().map(|((at, _), _)| *at));
        [asked, over[0], over[1]].into_iter().flatten().min()
    }

    pub fn forget(&mut self, domain: &str, user: &str) -> bool {
        let Some(users) = self.users.get_mut(domain) else { return false };
        let Some(entry) = users.entries.remove(user) else { return false };
        users.found -= usize::from(entry.found.is_some());
        if users.entries.is_empty() {
            self.users.remove(domain);
        }
        let ages = if entry.found.is_some() { &mut self.known } else { &mut self.nobodies };
        ages.remove(&entry.age);
        true
    }

    fn entry(&self, domain: &str, user: &str) -> Option<&Entry> {
        self.users.get(domain)?.entries.get(user)
    }

    fn entry_mut(&mut self, domain: &str, user: &str) -> Option<&mut Entry> {
        self.users.get_mut(domain)?.entries.get_mut(user)
    }

    /// Remembers an answer, in place of what was known before.
    fn keep(&mut self, now: Time, about: &Question, found: Option<FoundUser>, settled_until: Time, kept_until: Time) {
        self.forget(&about.domain, &about.user);
        self.make_room(found.is_some());
        let age = (kept_until, about.id.0);
        let ages = if found.is_some() { &mut self.known } else { &mut self.nobodies };
        ages.insert(age, (about.domain.clone(), about.user.clone()));
        let entry = Entry { found, learned_at: now, settled_until, out: false, age };
        let users = self.users.entry(about.domain.clone()).or_default();
        users.found += usize::from(entry.found.is_some());
        users.entries.insert(about.user.clone(), entry);
    }

    fn make_room(&mut self, known: bool) {
        let (ages, most) = if known { (&self.known, self.config.max_users) } else { (&self.nobodies, MAX_NOBODIES) };
        if ages.len() < most.max(1) {
            return;
        }
        let Some((_, (domain, user))) = ages.first_key_value().map(|(age, name)| (*age, name.clone())) else { return };
        self.totals.evicted += u64::from(known);
        self.forget(&domain, &user);
    }

    fn failed(&mut self, now: Time, question: &Question, why: String) {
        self.totals.failed += 1;
        let (question, again) = (question.clone(), now + RETRY_AFTER);
        if self.entry(&question.domain, &question.user).is_none_or(|entry| entry.found.is_none()) {
            self.keep(now, &question, None, again, again);
        }
        if let Some(entry) = self.entry_mut(&question.domain, &question.user) {
            (entry.settled_until, entry.out) = (again, true);
        }
        let first = !std::mem::replace(&mut self.failing, true);
        self.news.push_back(match first {
            true => LookupNews::Failing { question, why },
            false => LookupNews::Failed { question, why },
        });
    }

    fn answering(&mut self) {
        if std::mem::replace(&mut self.failing, false) {
            self.news.push_back(LookupNews::Answering);
        }
    }
}

/// Whether this can be the name of a user at all: those of a pushed directory follow the same rule.
pub(super) fn names_user(user: &str) -> bool {
    !user.is_empty() && user.len() <= MAX_NAME && user.bytes().all(|b| b > b' ' && b != 0x7f && b != b'@')
}

/// Takes a place in a rate, `seconds` of which may come at once. `until` is when all that came is through.
fn allow(until: &mut Time, now: Time, rate: u32, seconds: u32) -> bool {
    let interval = Time::from_secs(1) / rate.max(1);
    let begin = (*until).max(now);
    if begin + interval > now + Time::from_secs(u64::from(seconds)) {
        return false;
    }
    *until = begin + interval;
    true
}
