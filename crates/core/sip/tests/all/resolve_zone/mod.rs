//! A little world of names for resolvers: what is in it is answered, what is not is not there.
#![allow(dead_code, reason = "every test file uses a part of this")]

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use hookswitch_sip::Time;
use hookswitch_sip::resolve::{
    Answer, LookupId, Naptr, QueryId, Reach, RecordKind, Records, Resolution, ResolveError, Resolver, ResolverConfig,
    ResolverOutput, Srv,
};
use hookswitch_sip_msg::Uri;

pub const START: Time = Time::from_secs(1_763_700_000);

pub const ALL: Reach = Reach { udp4: true, udp6: true, tcp4: true, tcp6: true, tls4: false, tls6: false };

pub const V4: Reach = Reach { udp4: true, udp6: false, tcp4: true, tcp6: false, tls4: false, tls6: false };

pub fn config() -> ResolverConfig {
    ResolverConfig { reach: V4, ..ResolverConfig::default() }
}

/// What the servers know. Names in `silent` get no answer at all, those in `broken` get SERVFAIL.
#[derive(Default)]
pub struct Zone {
    pub records: HashMap<(String, RecordKind), Records>,
    pub silent: HashSet<(String, RecordKind)>,
    pub broken: HashSet<(String, RecordKind)>,
    pub ttl: Option<Duration>,
}

impl Zone {
    pub fn a(mut self, name: &str, ips: &[&str]) -> Self {
        let ips = ips.iter().map(|ip| ip.parse().unwrap()).collect();
        self.records.insert((name.into(), RecordKind::A), Records::A(ips));
        self
    }

    pub fn aaaa(mut self, name: &str, ips: &[&str]) -> Self {
        let ips = ips.iter().map(|ip| ip.parse().unwrap()).collect();
        self.records.insert((name.into(), RecordKind::Aaaa), Records::Aaaa(ips));
        self
    }

    /// `priority weight port target` each.
    pub fn srv(mut self, name: &str, lines: &[&str]) -> Self {
        let read = |line: &&str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let n = |at: usize| words[at].parse().unwrap();
            Srv { priority: n(0), weight: n(1), port: n(2), target: words[3].into() }
        };
        self.records.insert((name.into(), RecordKind::Srv), Records::Srv(lines.iter().map(read).collect()));
        self
    }

    /// `order preference flags service replacement` each.
    pub fn naptr(mut self, name: &str, lines: &[&str]) -> Self {
        let read = |line: &&str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let n = |at: usize| words[at].parse().unwrap();
            let (flags, service) = (words[2].into(), words[3].into());
            Naptr { order: n(0), preference: n(1), flags, service, replacement: words[4].into() }
        };
        self.records.insert((name.into(), RecordKind::Naptr), Records::Naptr(lines.iter().map(read).collect()));
        self
    }

    pub fn silent(mut self, name: &str, kind: RecordKind) -> Self {
        self.silent.insert((name.into(), kind));
        self
    }

    pub fn broken(mut self, name: &str, kind: RecordKind) -> Self {
        self.broken.insert((name.into(), kind));
        self
    }

    /// The answer, unless the server says nothing.
    pub fn answer(&self, name: &str, kind: RecordKind) -> Option<Answer> {
        let key = (name.to_owned(), kind);
        if self.silent.contains(&key) {
            return None;
        }
        if self.broken.contains(&key) {
            return Some(Answer::Failed);
        }
        let ttl = self.ttl.unwrap_or(Duration::from_secs(300));
        Some(match self.records.get(&key) {
            Some(records) => Answer::Found { records: records.clone(), ttl },
            None => Answer::Nothing { ttl: Some(Duration::from_secs(60)) },
        })
    }
}

/// A resolver, its zone and its clock.
pub struct World {
    pub resolver: Resolver,
    pub zone: Zone,
    pub now: Time,
    /// Everything asked of the servers, as `NAME KIND`.
    pub asked: Vec<String>,
    /// Questions that nobody has answered.
    pub unanswered: Vec<(LookupId, String, RecordKind)>,
    pub told: Vec<(QueryId, Result<Vec<String>, ResolveError>)>,
}

impl World {
    pub fn new(config: ResolverConfig, zone: Zone) -> Self {
        let resolver = Resolver::new(config, [7; 32]);
        let (asked, unanswered, told) = (Vec::new(), Vec::new(), Vec::new());
        Self { resolver, zone, now: START, asked, unanswered, told }
    }

    pub fn ask(&mut self, uri: &str) -> Result<Resolution, ResolveError> {
        self.resolver.resolve(self.now, &Uri::parse(uri).expect("tests write URIs correctly"))
    }

    /// Takes everything out; questions stay unanswered.
    pub fn drain(&mut self) {
        while let Some(output) = self.resolver.poll_output() {
            match output {
                ResolverOutput::Lookup { id, name, kind } => {
                    self.asked.push(format!("{name} {kind:?}"));
                    self.unanswered.push((id, name.to_string(), kind));
                }
                ResolverOutput::Resolved { query, result } => self.told.push((query, result.map(|hops| text(&hops)))),
            }
        }
    }

    /// Lets the servers answer whatever they answer, until nothing more comes of it.
    pub fn settle(&mut self) {
        loop {
            self.drain();
            let all = std::mem::take(&mut self.unanswered);
            let before = all.len();
            for (id, name, kind) in all {
                match self.zone.answer(&name, kind) {
                    Some(answer) => self.resolver.answer(self.now, id, answer),
                    None => self.unanswered.push((id, name, kind)),
                }
            }
            if self.unanswered.len() == before {
                break;
            }
        }
    }

    /// Lets time pass until then, timer by timer.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.resolver.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.resolver.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    /// Where a URI leads, however long that takes, and after how long.
    pub fn find(&mut self, uri: &str) -> (Result<Vec<String>, ResolveError>, Duration) {
        let start = self.now;
        let query = match self.ask(uri) {
            Ok(Resolution::Ready(hops)) => return (Ok(text(&hops)), Duration::ZERO),
            Err(error) => return (Err(error), Duration::ZERO),
            Ok(Resolution::Waits(query)) => query,
        };
        self.settle();
        while !self.told.iter().any(|(told, _)| *told == query) {
            let at = self.resolver.poll_timeout().expect("whoever waits has a deadline");
            self.now = self.now.max(at);
            self.resolver.handle_timeout(self.now);
            self.settle();
        }
        let index = self.told.iter().position(|(told, _)| *told == query).unwrap();
        (self.told.remove(index).1, self.now - start)
    }

    pub fn leads_to(&mut self, uri: &str) -> String {
        match self.find(uri).0 {
            Ok(hops) => hops.join(" "),
            Err(error) => error.to_string(),
        }
    }
}

pub fn text(hops: &[hookswitch_sip::resolve::Hop]) -> Vec<String> {
    hops.iter().map(|hop| format!("{}:{}", hop.transport.param(), hop.address)).collect()
}
