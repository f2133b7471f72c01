//! Whether the addresses that peers are told lead back to this host.

use std::net::{IpAddr, ToSocketAddrs as _};

use hookswitch_net::Interface;
use hookswitch_sip::is_public;

use super::check::Check;
use crate::config::{Config, MediaAddress};

const AREA: &str = "addresses";

/// What is configured, and what is so.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The addresses of this host.
    pub interfaces: Vec<Interface>,
    /// What SIP sockets are bound to.
    pub bound: Vec<IpAddr>,
    /// `network.public`.
    pub public: Vec<IpAddr>,
    /// Whether the switch asks STUN servers.
    pub asks_stun: bool,
    /// Where a STUN server has just seen this host.
    pub seen: Vec<IpAddr>,
    /// `address` of `network.views`.
    pub views: Vec<IpAddr>,
    /// `media.address`, unless it is `auto`.
    pub media: Option<IpAddr>,
    /// The host of `sip.advertise`, and to which addresses it leads.
    pub advertise: Option<(String, Vec<IpAddr>)>,
    /// A trunk that is on the Internet, if there is one.
    pub far_trunk: Option<String>,
}

impl Facts {
    fn has(&self, address: IpAddr) -> bool {
        self.interfaces.iter().any(|own| own.up && own.address == address)
    }

    /// Whether this host is reached by the address: it is ours, or a NAT's that is known to lead here.
    fn leads_here(&self, address: IpAddr) -> bool {
        self.has(address) || self.public.contains(&address) || self.seen.contains(&address)
    }

    /// What peers of a family are told that nothing else is said about.
    fn told(&self, v4: bool) -> Option<IpAddr> {
        let own = self.bound.iter().find(|ip| ip.is_ipv4() == v4 && !ip.is_unspecified() && !ip.is_loopback());
        let out = self.interfaces.iter().find(|own| own.default && own.address.is_ipv4() == v4);
        own.copied().or_else(|| out.map(|own| own.address))
    }

    fn listens(&self, v4: bool) -> bool {
        self.bound.iter().any(|ip| ip.is_ipv4() == v4 && !ip.is_loopback())
    }
}

pub fn judge(facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    if !facts.listens(true) && !facts.listens(false) {
        let advice = "name an address that phones reach in sip.listen";
        checks.push(Check::warning(AREA, "sip.listen", "only this host can reach it: the loopback", advice));
    }
    for v4 in [true, false] {
        checks.extend(family(facts, v4));
    }
    checks.extend(facts.public.iter().map(|address| public(facts, *address)));
    checks.extend(facts.views.iter().map(|address| view(facts, *address)));
    checks.extend(facts.media.map(|address| media(facts, address)));
    checks.extend(facts.advertise.as_ref().map(|(host, leads)| advertise(facts, host, leads)));
    checks
}

/// What peers on the Internet are told, over IPv4 or IPv6.
fn family(facts: &Facts, v4: bool) -> Option<Check> {
    let subject = if v4 { "IPv4" } else { "IPv6" };
    let told = facts.told(v4);
    if !facts.listens(v4) {
        let told = told.filter(|own| is_public(*own))?;
        let seen =
            format!("this host has {told}, and no SIP socket for it: hosts with {subject} alone are not reached");
        return Some(Check::ok(AREA, subject, seen));
    }
    let Some(told) = told else {
        let seen = format!("there is a SIP socket, and no way to other networks by {subject}");
        let advice = format!("see `ip route`, or take the {subject} sockets out of sip.listen");
        return Some(Check::warning(AREA, subject, seen, advice));
    };
    if is_public(told) {
        return Some(Check::ok(AREA, subject, format!("peers are told {told}")));
    }
    // Whatever `network.public` says is judged beside this.
    if facts.public.iter().any(|address| address.is_ipv4() == v4) {
        return None;
    }
    let seen = facts.seen.iter().find(|address| address.is_ipv4() == v4);
    Some(match (facts.asks_stun, seen, &facts.far_trunk) {
        (true, Some(seen), _) => {
            Check::ok(AREA, subject, format!("peers on the Internet are told {seen}, others {told}"))
        }
        (true, None, _) => Check::error(
            AREA,
            subject,
            format!(
                "no server of network.stun answers: peers on the Internet are told {told}, which they cannot reach"
            ),
            "let UDP out to it, name another server, or set network.public",
        ),
        (false, Some(seen), _) => Check::warning(
            AREA,
            subject,
            format!("peers on the Internet are told {told}, and see this host at {seen}"),
            format!("set network.public: [ {seen} ], or network.stun if it changes"),
        ),
        (false, None, Some(trunk)) => Check::warning(
            AREA,
            subject,
            format!("{trunk} is on the Internet and is told {told}, which it cannot reach"),
            "set network.public to the address of the NAT before this host, or network.stun",
        ),
        (false, None, None) => {
            let rest = "right for its own network; for peers on the Internet set network.public or network.stun";
            Check::ok(AREA, subject, format!("peers are told {told}: {rest}"))
        }
    })
}

fn public(facts: &Facts, address: IpAddr) -> Check {
    let subject = format!("network.public {address}");
    let other = facts.seen.iter().find(|seen| seen.is_ipv4() == address.is_ipv4());
    if facts.has(address) {
        Check::ok(AREA, subject, "an address of this host")
    } else if facts.seen.contains(&address) {
        Check::ok(AREA, subject, "a NAT's, and where the Internet sees this host")
    } else if let Some(other) = other {
        let seen = format!("the Internet sees this host at {other}");
        Check::error(AREA, subject, seen, format!("set network.public: [ {other} ], or network.stun if it changes"))
    } else if !is_public(address) {
        let seen = "neither of this host nor of the Internet";
        Check::warning(AREA, subject, seen, "set it to the address that the NAT has on the Internet")
    } else {
        Check::skipped(AREA, subject, "not of this host, so a NAT's; --stun HOST finds out whether it is that one")
    }
}

fn view(facts: &Facts, address: IpAddr) -> Check {
    let subject = format!("network.views {address}");
    match facts.has(address) {
        true => Check::ok(AREA, subject, "an address of this host"),
        false => Check::warning(
            AREA,
            subject,
            "no interface of this host has it",
            "bring the interface up, or correct it; right only if the tunnel ends at another host that forwards",
        ),
    }
}

fn media(facts: &Facts, address: IpAddr) -> Check {
    let subject = format!("media.address {address}");
    match facts.leads_here(address) {
        true => Check::ok(AREA, subject, "leads here, and is told to everybody"),
        false => Check::warning(
            AREA,
            subject,
            "not known to lead here, and told to everybody",
            "set it to `auto`, and network.public to what a NAT has",
        ),
    }
}

fn advertise(facts: &Facts, host: &str, leads: &[IpAddr]) -> Check {
    let subject = format!("sip.advertise {host}");
    let strangers: Vec<String> = leads.iter().filter(|ip| !facts.leads_here(**ip)).map(ToString::to_string).collect();
    if leads.is_empty() {
        return Check::error(AREA, subject, "leads to no address", "enter the name in DNS, or correct it");
    }
    if strangers.is_empty() {
        return Check::ok(AREA, subject, "leads here");
    }
    let seen = format!("leads to {}, which this host is not known by", strangers.join(", "));
    Check::warning(AREA, subject, seen, "correct it, or set network.public to the NAT's address")
}

/// `far_trunk` and `seen` come from other checks.
pub fn collect(config: &Config, seen: Vec<IpAddr>, far_trunk: Option<String>) -> Facts {
    let advertise = config.sip.advertise.as_deref().map(|text| {
        let host = match text.rsplit_once(':') {
            Some((host, _)) if !host.contains(':') || host.ends_with(']') => host,
            _ => text,
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let leads = (bare, 0).to_socket_addrs().map(|all| all.map(|address| address.ip()).collect());
        (host.to_owned(), leads.unwrap_or_default())
    });
    Facts {
        interfaces: hookswitch_net::interfaces().unwrap_or_default(),
        bound: config.sip.listen.iter().map(|listen| listen.address.ip()).collect(),
        public: config.network.public.clone(),
        asks_stun: !config.network.stun.is_empty(),
        seen,
        views: config.network.views.iter().map(|view| view.address).collect(),
        media: match config.media.address {
            MediaAddress::Auto => None,
            MediaAddress::Fixed(address) => Some(address),
        },
        advertise,
        far_trunk,
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn host(address: &str) -> Facts {
        let own = |address: &str, default: bool| Interface {
            name: "eth0".into(),
            address: ip(address),
            prefix: 24,
            up: true,
            loopback: !default,
            default,
        };
        Facts {
            interfaces: vec![own("127.0.0.1", false), own(address, true)],
            bound: vec![ip("0.0.0.0")],
            ..Facts::default()
        }
    }

    fn one(facts: &Facts) -> Check {
        let mut checks = judge(facts);
        assert_eq!(checks.len(), 1, "{checks:?}");
        checks.remove(0)
    }

    #[test]
    fn what_peers_on_the_internet_are_told_is_judged() {
        assert_eq!(one(&host("203.0.113.5")), Check::ok(AREA, "IPv4", "peers are told 203.0.113.5"));
        let inside = host("10.0.0.5");
        assert_eq!(one(&inside).state, State::Ok, "a network of its own");
        let seen = one(&Facts { seen: vec![ip("203.0.113.5")], ..inside.clone() });
        assert_eq!(seen.state, State::Warning);
        assert_eq!(seen.advice, "set network.public: [ 203.0.113.5 ], or network.stun if it changes");
        let trunk = one(&Facts { far_trunk: Some("trunks.carrier".into()), ..inside.clone() });
        let expected = "trunks.carrier is on the Internet and is told 10.0.0.5, which it cannot reach";
        assert_eq!((trunk.state, trunk.seen.as_str()), (State::Warning, expected));
        let asks = Facts { asks_stun: true, ..inside };
        assert_eq!(one(&asks).state, State::Error, "nobody answers");
        let told = one(&Facts { seen: vec![ip("203.0.113.5")], ..asks });
        assert_eq!(told.seen, "peers on the Internet are told 203.0.113.5, others 10.0.0.5");
    }

    #[test]
    fn a_public_address_is_this_hosts_or_that_of_the_nat_before_it() {
        let inside = |seen: &[&str], public: &str| Facts {
            seen: seen.iter().copied().map(ip).collect(),
            public: vec![ip(public)],
            ..host("10.0.0.5")
        };
        assert_eq!(one(&inside(&["203.0.113.5"], "203.0.113.5")).state, State::Ok);
        let wrong = one(&inside(&["203.0.113.5"], "203.0.113.6"));
        assert_eq!((wrong.state, wrong.seen.as_str()), (State::Error, "the Internet sees this host at 203.0.113.5"));
        assert_eq!(one(&inside(&[], "203.0.113.6")).state, State::Skipped);
        assert_eq!(one(&inside(&[], "10.0.0.6")).state, State::Warning);
        let own = judge(&Facts { public: vec![ip("203.0.113.5")], ..host("203.0.113.5") });
        assert!(own.iter().all(|check| check.state == State::Ok), "{own:?}");
    }

    #[test]
    fn sockets_without_a_way_out_and_ways_without_a_socket_are_told() {
        let v6 = judge(&Facts { bound: vec![ip("0.0.0.0"), ip("::")], ..host("203.0.113.5") });
        assert_eq!((v6[1].state, v6[1].subject.as_str()), (State::Warning, "IPv6"));
        let mut both = host("203.0.113.5");
        both.interfaces.push(Interface { address: ip("2001:db9::5"), ..both.interfaces[1].clone() });
        assert!(judge(&both)[1].seen.starts_with("this host has 2001:db9::5, and no SIP socket"));
        let loopback = judge(&Facts { bound: vec![ip("127.0.0.1")], ..host("10.0.0.5") });
        assert_eq!(loopback[0].state, State::Warning, "{loopback:?}");
    }

    #[test]
    fn views_the_media_address_and_the_advertised_name_have_to_lead_here() {
        let with = |change: &dyn Fn(&mut Facts)| {
            let mut facts = host("203.0.113.5");
            change(&mut facts);
            judge(&facts).remove(1)
        };
        assert_eq!(with(&|facts| facts.views = vec![ip("203.0.113.5")]).state, State::Ok);
        assert_eq!(with(&|facts| facts.views = vec![ip("10.8.0.1")]).state, State::Warning);
        assert_eq!(with(&|facts| facts.media = Some(ip("203.0.113.5"))).state, State::Ok);
        assert_eq!(with(&|facts| facts.media = Some(ip("10.8.0.1"))).state, State::Warning);
        let advertise = |leads: &[&str]| {
            let leads: Vec<IpAddr> = leads.iter().copied().map(ip).collect();
            with(&|facts| facts.advertise = Some(("pbx.test".into(), leads.clone()))).state
        };
        assert_eq!(advertise(&[]), State::Error);
        assert_eq!(advertise(&["203.0.113.5"]), State::Ok);
        assert_eq!(advertise(&["203.0.113.9"]), State::Warning);
    }
}
