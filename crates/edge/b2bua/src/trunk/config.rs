//! What a trunk is: a carrier, or another switch, that calls are handed to and come from.

use std::time::Duration;

use compact_str::CompactString;
use hookswitch_sip::auth::Credentials;
use hookswitch_sip::registration::MAX_EXPIRES;
use hookswitch_sip::{MAX_PROVED_NAME, Network};
use hookswitch_sip_msg::Uri;

use super::headers::{HeaderRule, HeaderRuleError, check_rules};
use super::number::NumberRule;
use crate::route::MAX_ROUTE;

/// Most trunks. Their numbers fit into one byte, see [`TrunkSet`](super::TrunkSet).
pub const MAX_TRUNKS: usize = 250;

/// Most hosts of one trunk.
pub const MAX_HOSTS: usize = 10;

/// Most rules about numbers in one list, and most routes of one trunk.
pub const MAX_RULES: usize = 100;

/// A trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    /// What routes call it: letters, digits, `-`, `_` and `.`.
    pub name: CompactString,
    /// Where calls are sent. At least one, at most [`MAX_HOSTS`].
    pub hosts: Vec<TrunkHost>,
    /// Answers a 401 or 407. None by default: then it is the outcome.
    pub credentials: Option<Credentials>,
    /// User part of From, in place of the caller's number, which then goes into P-Asserted-Identity only.
    pub from_user: Option<CompactString>,
    /// Host of From and of P-Asserted-Identity, in place of the caller's own.
    pub from_domain: Option<CompactString>,
    /// The trunk is told who calls even if the caller wishes to stay unknown, and believed when it says so (RFC 3325).
    /// Default false.
    pub trusted: bool,
    /// Answers upon which the next host or trunk is called, beside 401, 407, 408 and 503: 400 to 599, but not 486 and
    /// 487. Never once a phone rings.
    pub fail_over: Vec<u16>,
    /// Most calls at a time, in both directions. 0, the default, is no limit.
    pub max_calls: usize,
    /// Most calls that are begun to it in a second. 0, the default, is no limit.
    pub max_rate: u32,
    /// What becomes of the number that is called.
    pub called: Vec<NumberRule>,
    /// What becomes of the number that calls.
    pub calling: Vec<NumberRule>,
    /// What becomes of the headers of an INVITE to the trunk.
    pub headers: Vec<HeaderRule>,
    /// Calls that come from it.
    pub inbound: Inbound,
    /// Our registration there. None by default. Without it no call is sent to a trunk that has one.
    pub register: Option<Register>,
    /// OPTIONS to its hosts. None by default.
    pub health: Option<Health>,
}

/// How we register at a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// Where. Default: the first host.
    pub registrar: Option<CompactString>,
    /// Who we are there. Default: the user part of From, else the user of the password.
    pub user: Option<CompactString>,
    /// The user part of our Contact, by which calls of several accounts on one host are told apart. Default: the user.
    pub contact_user: Option<CompactString>,
    /// For how long: one minute to one day.
    pub expires: Duration,
}

/// How the hosts of a trunk are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Between an answer and the next OPTIONS: a second to a day.
    pub interval: Duration,
    /// Failures in a row after which a host gets no calls.
    pub down_after: u16,
    /// Successes in a row after which it does again.
    pub up_after: u16,
    /// Answers below 500 that are failures too.
    pub down_on: Vec<u16>,
}

/// How calls from a trunk are known, and where they go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inbound {
    /// A call from these networks is the trunk's and needs no digest. With neither these nor certificates, which is the
    /// default, no call is.
    pub networks: Vec<Network>,
    /// A call over a connection whose other end has a certificate for one of these domains (RFC 5922) is the trunk's. With
    /// networks as well, it has to be both: such a certificate, shown from there.
    pub certificates: Vec<CompactString>,
    /// The number that is called stands in To, and the Request-URI names our registration only. Default false.
    pub number_in_to: bool,
    /// What becomes of the number that is called.
    pub called: Vec<NumberRule>,
    /// What becomes of the number that calls.
    pub calling: Vec<NumberRule>,
    /// The number that is called is a user of this domain of ours, and not of the host that the trunk names.
    pub domain: Option<CompactString>,
    /// Where numbers go: patterns, in which `*` stands for any run of characters, and SIP URIs. One without user part
    /// keeps the number. If there are any, other numbers are refused with 404.
    pub routes: Vec<(CompactString, CompactString)>,
}

/// One host of a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkHost {
    /// A SIP URI. If it has no user part, the number that is called goes there.
    pub uri: CompactString,
    /// Hosts are called in ascending order of this.
    pub order: u16,
    /// The share of calls in which this one is the first of those of the same order. Default 1.
    pub weight: u16,
}

impl TrunkHost {
    /// The only host, or one of equals.
    #[must_use]
    pub fn new(uri: &str) -> Self {
        Self { uri: uri.into(), order: 0, weight: 1 }
    }
}

/// What is wrong with a trunk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrunkError {
    /// The name is empty, too long or has other characters.
    #[error("{0:?} is no name of a trunk: letters, digits, `-`, `_` and `.`, at most 64")]
    Name(CompactString),
    /// Two trunks of one name.
    #[error("there are two trunks {0:?}")]
    Twice(CompactString),
    /// No host.
    #[error("a trunk needs a host")]
    NoHost,
    /// More than [`MAX_HOSTS`].
    #[error("a trunk has more than {MAX_HOSTS} hosts")]
    TooManyHosts,
    /// More than [`MAX_TRUNKS`].
    #[error("there are more than {MAX_TRUNKS} trunks")]
    TooManyTrunks,
    /// More than [`MAX_RULES`].
    #[error("more than {MAX_RULES} rules in one list")]
    TooManyRules,
    /// A host, or where a route leads, is not a SIP URI.
    #[error("{0:?} is not a SIP URI: {1}")]
    Host(CompactString, String),
    /// Nobody else is called upon this answer.
    #[error("{0} is no answer to call another host upon: 400 to 599, but not 486 and 487")]
    FailOver(u16),
    /// A user or a host that cannot be one.
    #[error("{0:?} is no user or host of a SIP URI")]
    Part(CompactString),
    /// What a certificate is to be for is no name that one can be for.
    #[error("{0:?} is no domain that a certificate proves: a whole name or an address, without `*`")]
    Certificate(CompactString),
    /// A route for calls that come from it has a pattern that is empty or longer than [`MAX_ROUTE`].
    #[error("{0:?} is no pattern of a route")]
    Pattern(CompactString),
    /// Nobody to register.
    #[error("a trunk that we register at needs a user")]
    Nobody,
    /// The time of a registration.
    #[error("a registration lasts 60 to 86400 seconds")]
    Expires,
    /// How hosts are watched.
    #[error("OPTIONS are sent every 1 to 86400 seconds, and 200 to 499 are answers that may be failures")]
    Health,
    /// A rule about headers.
    #[error(transparent)]
    Header(#[from] HeaderRuleError),
}

impl Trunk {
    /// A trunk with one host and nothing special.
    #[must_use]
    pub fn new(name: &str, uri: &str) -> Self {
        Self {
            name: name.into(),
            hosts: vec![TrunkHost::new(uri)],
            credentials: None,
            from_user: None,
            from_domain: None,
            trusted: false,
            fail_over: Vec::new(),
            max_calls: 0,
            max_rate: 0,
            called: Vec::new(),
            calling: Vec::new(),
            headers: Vec::new(),
            inbound: Inbound::default(),
            register: None,
            health: None,
        }
    }

    /// Looks for what cannot work.
    ///
    /// # Errors
    /// See [`TrunkError`].
    pub fn check(&self) -> Result<(), TrunkError> {
        if !is_name(&self.name) {
            return Err(TrunkError::Name(self.name.clone()));
        }
        if self.hosts.is_empty() {
            return Err(TrunkError::NoHost);
        }
        if self.hosts.len() > MAX_HOSTS {
            return Err(TrunkError::TooManyHosts);
        }
        self.hosts.iter().try_for_each(|host| check_uri(&host.uri))?;
        if let Some(code) = self.fail_over.iter().find(|code| !may_fail_over(**code)) {
            return Err(TrunkError::FailOver(*code));
        }
        self.from_user.as_ref().map_or(Ok(()), |user| check_part("sip:", user, "@h"))?;
        self.from_domain.as_ref().map_or(Ok(()), check_host)?;
        if [&self.called, &self.calling].iter().any(|rules| rules.len() > MAX_RULES) {
            return Err(TrunkError::TooManyRules);
        }
        check_rules(&self.headers)?;
        if let Some(register) = &self.register {
            register.check()?;
            if Uri::parse(&self.aor()).is_ok_and(|uri| uri.user.is_none()) {
                return Err(TrunkError::Nobody);
            }
        }
        if let Some(health) = &self.health {
            let bad = |status: &&u16| !(200..500).contains(*status);
            if health.down_on.iter().any(|status| bad(&status)) || !TIMES.contains(&health.interval) {
                return Err(TrunkError::Health);
            }
        }
        self.inbound.check()
    }
}

/// What the time between OPTIONS may be.
const TIMES: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=MAX_EXPIRES;

impl Register {
    fn check(&self) -> Result<(), TrunkError> {
        self.registrar.as_ref().map_or(Ok(()), check_uri)?;
        for user in [&self.user, &self.contact_user].into_iter().flatten() {
            check_part("sip:", user, "@h")?;
        }
        if !(Duration::from_secs(60)..=MAX_EXPIRES).contains(&self.expires) {
            return Err(TrunkError::Expires);
        }
        Ok(())
    }
}

impl Inbound {
    fn check(&self) -> Result<(), TrunkError> {
        let lists =
            [self.called.len(), self.calling.len(), self.routes.len(), self.networks.len(), self.certificates.len()];
        if lists.iter().any(|len| *len > MAX_RULES) {
            return Err(TrunkError::TooManyRules);
        }
        if let Some(domain) = &self.domain {
            check_host(domain)?;
        }
        if let Some(name) = self.certificates.iter().find(|name| !is_domain(name)) {
            return Err(TrunkError::Certificate(name.clone()));
        }
        for (pattern, to) in &self.routes {
            if pattern.is_empty() || pattern.len() > MAX_ROUTE {
                return Err(TrunkError::Pattern(pattern.clone()));
            }
            check_uri(to)?;
        }
        Ok(())
    }
}

/// Looks for what cannot work in all trunks together.
///
/// # Errors
/// The name of the trunk, and what is wrong with it.
pub fn check_trunks(trunks: &[Trunk]) -> Result<(), (CompactString, TrunkError)> {
    for (n, trunk) in trunks.iter().enumerate() {
        let bad = |error| (trunk.name.clone(), error);
        if n >= MAX_TRUNKS {
            return Err(bad(TrunkError::TooManyTrunks));
        }
        trunk.check().map_err(bad)?;
        if trunks[..n].iter().any(|other| other.name == trunk.name) {
            return Err(bad(TrunkError::Twice(trunk.name.clone())));
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

/// Whether a certificate can prove that; names are compared as wholes (RFC 5922 section 7.2).
fn is_domain(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_name = (1..=MAX_PROVED_NAME).contains(&name.len()) && name.bytes().all(fits);
    is_name || name.parse::<std::net::IpAddr>().is_ok()
}

fn check_uri(text: &CompactString) -> Result<(), TrunkError> {
    let bad = |why: String| Err(TrunkError::Host(text.clone(), why));
    match Uri::parse(text) {
        _ if text.len() > MAX_ROUTE => bad(format!("longer than {MAX_ROUTE} bytes")),
        Ok(uri) if uri.is_sip() && uri.headers.is_none() => Ok(()),
        Ok(uri) if uri.is_sip() => bad(String::from("it has headers")),
        Ok(_) => bad(String::from("another scheme")),
        Err(error) => bad(error.to_string()),
    }
}

fn check_host(host: &CompactString) -> Result<(), TrunkError> {
    check_part("sip:u@", host, "")
}

fn check_part(before: &str, part: &CompactString, after: &str) -> Result<(), TrunkError> {
    let text = [before, part, after].concat();
    let plain = Uri::parse(&text).is_ok_and(|uri| uri.params.as_str().is_empty() && uri.headers.is_none());
    if part.is_empty() || part.len() > MAX_ROUTE || !plain || part.contains('@') {
        return Err(TrunkError::Part(part.clone()));
    }
    Ok(())
}

fn may_fail_over(code: u16) -> bool {
    (400..600).contains(&code) && !matches!(code, 486 | 487)
}

/// How long a host that was out of order is called last, where it does not say.
pub(super) const REST: Duration = crate::SHUN_TIME;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trunk_that_cannot_work_is_refused_with_the_reason() {
        let with = |change: fn(&mut Trunk)| {
            let mut trunk = Trunk::new("carrier", "sip:h");
            change(&mut trunk);
            trunk.check()
        };
        assert_eq!(with(|_| {}), Ok(()));
        assert!(matches!(with(|t| t.name = "a b".into()), Err(TrunkError::Name(_))));
        assert!(matches!(with(|t| t.name = "".into()), Err(TrunkError::Name(_))));
        assert_eq!(with(|t| t.hosts.clear()), Err(TrunkError::NoHost));
        assert_eq!(with(|t| t.hosts = vec![TrunkHost::new("sip:h"); MAX_HOSTS]), Ok(()));
        assert_eq!(with(|t| t.hosts = vec![TrunkHost::new("sip:h"); MAX_HOSTS + 1]), Err(TrunkError::TooManyHosts));
        for uri in ["h", "tel:1", "sip:h?a=b", &format!("sip:{}", "h".repeat(MAX_ROUTE))] {
            let mut trunk = Trunk::new("carrier", uri);
            assert!(matches!(trunk.check(), Err(TrunkError::Host(..))), "{uri}");
            trunk.hosts[0].uri = "sip:h".into();
            assert_eq!(trunk.check(), Ok(()));
        }
        for code in [399, 486, 487, 600, 603] {
            let trunk = Trunk { fail_over: vec![404, code], ..Trunk::new("carrier", "sip:h") };
            assert_eq!(trunk.check(), Err(TrunkError::FailOver(code)));
        }
        assert!(matches!(with(|t| t.from_user = Some("a@b".into())), Err(TrunkError::Part(_))));
        assert!(matches!(with(|t| t.from_user = Some("a;b=c d".into())), Err(TrunkError::Part(_))));
        assert!(matches!(with(|t| t.from_domain = Some("h>".into())), Err(TrunkError::Part(_))));
        assert!(matches!(with(|t| t.from_domain = Some("h;x=y".into())), Err(TrunkError::Part(_))));
        assert!(matches!(with(|t| t.inbound.domain = Some("a b".into())), Err(TrunkError::Part(_))));
        for (name, fits) in
            [("a.example", true), ("2001:db8::1", true), ("*.example", false), ("", false), ("a b", false)]
        {
            let mut trunk = Trunk::new("t", "sip:h");
            trunk.inbound.certificates = vec![name.into()];
            assert_eq!(trunk.check().is_ok(), fits, "{name}");
        }
        assert!(matches!(with(|t| t.inbound.routes = vec![("".into(), "sip:h".into())]), Err(TrunkError::Pattern(_))));
        assert!(matches!(with(|t| t.inbound.routes = vec![("*".into(), "tel:1".into())]), Err(TrunkError::Host(..))));
        let register =
            Register { registrar: None, user: Some("us".into()), contact_user: None, expires: Duration::from_secs(60) };
        let with = |register: Register| Trunk { register: Some(register), ..Trunk::new("t", "sip:h") }.check();
        assert_eq!(with(register.clone()), Ok(()));
        assert_eq!(with(Register { user: None, ..register.clone() }), Err(TrunkError::Nobody));
        assert_eq!(with(Register { expires: Duration::from_secs(59), ..register.clone() }), Err(TrunkError::Expires));
        assert!(matches!(with(Register { registrar: Some("h".into()), ..register }), Err(TrunkError::Host(..))));
        for (interval, down_on, fits) in [(30, 404, true), (0, 404, false), (30, 503, false), (90_000, 404, false)] {
            let interval = Duration::from_secs(interval);
            let health = Some(Health { interval, down_after: 1, up_after: 1, down_on: vec![down_on] });
            let trunk = Trunk { health, ..Trunk::new("t", "sip:h") };
            assert_eq!(trunk.check().is_ok(), fits, "{interval:?} {down_on}");
        }
        let rule = NumberRule::new("0*", "+49*").unwrap();
        let trunk = Trunk { called: vec![rule; MAX_RULES + 1], ..Trunk::new("carrier", "sip:h") };
        assert_eq!(trunk.check(), Err(TrunkError::TooManyRules));
    }

    #[test]
    fn trunks_have_names_of_their_own_and_there_are_not_too_many() {
        let named = |n: usize| Trunk::new(&format!("t{n}"), "sip:h");
        let mut all: Vec<Trunk> = (0..MAX_TRUNKS).map(named).collect();
        assert_eq!(check_trunks(&all), Ok(()));
        all.push(named(MAX_TRUNKS));
        assert_eq!(check_trunks(&all), Err(("t250".into(), TrunkError::TooManyTrunks)));
        assert_eq!(check_trunks(&[named(1), named(1)]), Err(("t1".into(), TrunkError::Twice("t1".into()))));
    }
}
