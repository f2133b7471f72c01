//! What is asked of the domain name system, and what it answers.

use core::time::Duration;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use compact_str::CompactString;

/// Most records of one answer that are looked at; what is beyond is left out.
pub const MAX_RECORDS: usize = 32;

/// A kind of resource record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordKind {
    /// Which services a domain has (RFC 3403).
    Naptr,
    /// Which hosts have a service (RFC 2782).
    Srv,
    /// IPv4 addresses of a host.
    A,
    /// IPv6 addresses of a host.
    Aaaa,
}

/// A service of a domain (RFC 3403, RFC 3263 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naptr {
    /// Lower ones are used first.
    pub order: u16,
    /// Among those of the same order, lower ones first.
    pub preference: u16,
    /// What kind of name the replacement is: `s` for one with SRV records.
    pub flags: CompactString,
    /// Which service: `SIP+D2U`, `SIP+D2T`, …
    pub service: CompactString,
    /// The name to go on with.
    pub replacement: CompactString,
}

/// A host that has a service (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srv {
    /// Lower ones are used first.
    pub priority: u16,
    /// Share among those of the same priority.
    pub weight: u16,
    /// Port of the service.
    pub port: u16,
    /// Name of the host; `.` or nothing says that there is no such service.
    pub target: CompactString,
}

/// The records of one answer, all of the kind that was asked for. What the server said on the way to them (CNAME) is
/// the asker's matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Records {
    /// Of [`RecordKind::Naptr`].
    Naptr(Vec<Naptr>),
    /// Of [`RecordKind::Srv`].
    Srv(Vec<Srv>),
    /// Of [`RecordKind::A`].
    A(Vec<Ipv4Addr>),
    /// Of [`RecordKind::Aaaa`].
    Aaaa(Vec<Ipv6Addr>),
}

impl Records {
    pub(super) fn kind(&self) -> RecordKind {
        match self {
            Records::Naptr(_) => RecordKind::Naptr,
            Records::Srv(_) => RecordKind::Srv,
            Records::A(_) => RecordKind::A,
            Records::Aaaa(_) => RecordKind::Aaaa,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Records::Naptr(all) => all.is_empty(),
            Records::Srv(all) => all.is_empty(),
            Records::A(all) => all.is_empty(),
            Records::Aaaa(all) => all.is_empty(),
        }
    }

    pub(super) fn truncate(&mut self) {
        match self {
            Records::Naptr(all) => all.truncate(MAX_RECORDS),
            Records::Srv(all) => all.truncate(MAX_RECORDS),
            Records::A(all) => all.truncate(MAX_RECORDS),
            Records::Aaaa(all) => all.truncate(MAX_RECORDS),
        }
    }
}

/// How a look-up ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// There are records.
    Found {
        /// The records.
        records: Records,
        /// How long they are good.
        ttl: Duration,
    },
    /// There is no such name, or it has no record of this kind (NXDOMAIN, NODATA).
    Nothing {
        /// How long that is good: the minimum of the zone's SOA record (RFC 2308 5), if there was one.
        ttl: Option<Duration>,
    },
    /// No usable answer came: a server that is silent or broken.
    Failed,
}

/// One question: a name in lower case without the last dot, and what is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub name: CompactString,
    pub kind: RecordKind,
}

/// What is known of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    Records(Arc<Records>),
    Nothing,
    /// No usable answer came.
    Failed,
    /// It could not be asked: too many look-ups are in flight. Never kept.
    Refused,
}

/// A host name as it is asked for, or `None` if no server could know it: longer than RFC 1035 2.3.4 allows, or with
/// other characters than letters, digits, hyphens and underscores.
pub(super) fn canonical(name: &str) -> Option<CompactString> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    (name.len() <= 253 && name.split('.').all(is_label)).then(|| name.chars().map(|c| c.to_ascii_lowercase()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_server_could_know_are_not_asked_for() {
        assert_eq!(canonical("Example.TEST.").as_deref(), Some("example.test"));
        assert_eq!(canonical("_sip._udp.example.test").as_deref(), Some("_sip._udp.example.test"));
        for bad in ["", ".", "a..b", "a b", "a\nb", "ex%ample", "ü.test", &"a".repeat(64), &"a.".repeat(150)] {
            assert_eq!(canonical(bad), None, "{bad:?}");
        }
    }
}
