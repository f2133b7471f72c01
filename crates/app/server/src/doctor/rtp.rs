//! The ports of the audio: enough for the calls that are configured, and nobody else's.

use std::collections::BTreeMap;
use std::fs;

use super::check::Check;
use super::ports::{Holder, Sockets};
use crate::config::{Calls, Config, PortRange, SipTransport};

const AREA: &str = "rtp";
const SUBJECT: &str = "media.ports";

/// Ports that a call needs: two of each party.
const PORTS_OF_A_CALL: usize = 4;

/// Strangers that are named, the others are counted.
const MAX_NAMED: usize = 3;

/// What is known of the range.
#[derive(Clone, Debug)]
pub struct Facts {
    pub range: PortRange,
    pub max_calls: usize,
    /// Whether that is what stands there without being written.
    pub max_calls_is_default: bool,
    /// From where the system gives ports to programs that ask for any (`ip_local_port_range`).
    pub system: Option<(u16, u16)>,
    /// Of these, what it never gives (`ip_local_reserved_ports`).
    pub reserved: Vec<(u16, u16)>,
    /// Ports of the range that others have.
    pub strangers: BTreeMap<u16, Option<Holder>>,
    /// Ports of `sip.listen` over UDP.
    pub sip: Vec<u16>,
}

/// How many calls there is room for.
pub fn room(range: PortRange) -> usize {
    hookswitch_net::PortRange { first: range.first, last: range.last }.pairs() * 2 / PORTS_OF_A_CALL
}

pub fn judge(facts: &Facts) -> Vec<Check> {
    vec![size(facts), overlap(facts), strangers(facts)]
}

fn size(facts: &Facts) -> Check {
    let (room, wanted) = (room(facts.range), facts.max_calls);
    let seen = format!("{}: room for {room} calls", facts.range);
    match room >= wanted || facts.max_calls_is_default {
        true => Check::ok(AREA, SUBJECT, seen),
        false => Check::warning(
            AREA,
            SUBJECT,
            format!("{seen}, and calls.max is {wanted}"),
            format!("widen it to {} ports, or set calls.max to {room}", wanted.saturating_mul(PORTS_OF_A_CALL)),
        ),
    }
}

fn overlap(facts: &Facts) -> Check {
    let subject = "ports of other programs";
    let Some((first, last)) = facts.system else {
        return Check::skipped(AREA, subject, "/proc/sys/net/ipv4/ip_local_port_range cannot be read");
    };
    let is_reserved = |port: u16| facts.reserved.iter().any(|(from, to)| (*from..=*to).contains(&port));
    let shared = (facts.range.first.max(first)..=facts.range.last.min(last)).filter(|port| !is_reserved(*port)).count();
    match shared {
        0 => Check::ok(AREA, subject, format!("the system gives them others than {}", facts.range)),
        _ => Check::warning(
            AREA,
            subject,
            format!("the system gives any program {shared} ports of {} ({first}-{last})", facts.range),
            format!("sysctl -w net.ipv4.ip_local_reserved_ports={}, and in /etc/sysctl.d", facts.range),
        ),
    }
}

fn strangers(facts: &Facts) -> Check {
    let subject = "taken ports";
    if let Some(port) = facts.sip.iter().find(|port| (facts.range.first..=facts.range.last).contains(*port)) {
        let seen = format!("port {port} of sip.listen lies in {}", facts.range);
        return Check::warning(AREA, subject, seen, "move one of the two");
    }
    if facts.strangers.is_empty() {
        return Check::ok(AREA, subject, "no other program has a port of the range");
    }
    let name = |(port, holder): (&u16, &Option<Holder>)| match holder {
        Some(holder) => format!("{port} {holder}"),
        None => format!("{port}, only root can see whose"),
    };
    let named: Vec<String> = facts.strangers.iter().take(MAX_NAMED).map(name).collect();
    let seen = format!("{} in use by others: {}", facts.strangers.len(), named.join("; "));
    // A few are passed over when a call needs ports; not so if nobody is left.
    Check::warning(AREA, subject, seen, "have these programs take other ports, or move media.ports")
}

pub fn collect(config: &Config, sockets: &Sockets) -> Facts {
    let range = config.media.ports;
    let datagrams = config.sip.listen.iter().filter(|listen| listen.transport == SipTransport::Udp);
    let read = |name: &str| fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default();
    Facts {
        range,
        max_calls: config.calls.max,
        max_calls_is_default: config.calls.max == Calls::default().max,
        system: system_range(&read("ip_local_port_range")),
        reserved: ranges(&read("ip_local_reserved_ports")),
        strangers: sockets.strangers(range.first, range.last),
        sip: datagrams.map(|listen| listen.address.port()).collect(),
    }
}

fn system_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.trim().split_once(char::is_whitespace)?;
    Some((first.parse().ok()?, last.trim().parse().ok()?))
}

/// `8080,9000-9100` as ranges.
fn ranges(text: &str) -> Vec<(u16, u16)> {
    let range = |word: &str| {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
    };
    text.trim().split(',').filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    fn facts() -> Facts {
        Facts {
            range: PortRange { first: 10_000, last: 20_000 },
            max_calls: 2_500,
            max_calls_is_default: false,
            system: Some((32_768, 60_999)),
            reserved: Vec::new(),
            strangers: BTreeMap::new(),
            sip: vec![5_060],
        }
    }

    #[test]
    fn a_range_that_is_the_switchs_own_and_large_enough_is_right() {
        assert!(judge(&facts()).iter().all(|check| check.state == State::Ok), "{:?}", judge(&facts()));
        assert_eq!(room(facts().range), 2_500);
    }

    #[test]
    fn a_range_for_fewer_calls_than_are_allowed_is_told_unless_nobody_asked_for_so_many() {
        let small = Facts { max_calls: 2_501, ..facts() };
        let found = size(&small);
        assert_eq!(found.seen, "10000-20000: room for 2500 calls, and calls.max is 2501");
        assert_eq!(found.advice, "widen it to 10004 ports, or set calls.max to 2500");
        assert_eq!(size(&Facts { max_calls_is_default: true, ..small }).state, State::Ok);
    }

    #[test]
    fn ports_that_the_system_gives_to_anybody_are_told_unless_reserved() {
        let shared = Facts { system: Some((20_000, 60_999)), ..facts() };
        let found = overlap(&shared);
        assert!(found.state == State::Warning && found.seen.contains(" 1 ports of "), "{found}");
        assert!(found.advice.contains("ip_local_reserved_ports=10000-20000"), "{found}");
        assert_eq!(overlap(&Facts { reserved: ranges("8080,15000-20000\n"), ..shared }).state, State::Ok);
        assert_eq!(overlap(&Facts { system: None, ..facts() }).state, State::Skipped);
        assert_eq!(system_range("32768\t60999\n"), Some((32_768, 60_999)));
    }

    #[test]
    fn strangers_in_the_range_are_named() {
        let holder = Holder { process: 9, program: "dnsmasq".into() };
        let found = strangers(&Facts { strangers: [(10_002, Some(holder)), (10_004, None)].into(), ..facts() });
        let expected = "2 in use by others: 10002 dnsmasq (process 9); 10004, only root can see whose";
        assert_eq!((found.state, found.seen.as_str()), (State::Warning, expected));
        let own = strangers(&Facts { sip: vec![15_060], ..facts() });
        assert_eq!(own.seen, "port 15060 of sip.listen lies in 10000-20000");
    }
}
