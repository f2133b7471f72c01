//! Whose a request is: trunks are known by the networks they call from, by the domains that their certificate is for, or
//! by both.

use std::net::IpAddr;
use std::time::Duration;

use ahash::AHashMap;
use compact_str::CompactString;
use hookswitch_call::Time;
use hookswitch_sip::{DialogId, Flow, Network};
use hookswitch_sip_msg::{Host, Message, Uri};

use super::{Trunk, TrunkEvent, TrunkNews, Trunks};
use crate::B2bua;

/// Where a request comes from.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// From which address.
    pub address: IpAddr,
    /// The domains that the other end of the connection has proved to be, in lower case.
    pub names: &'a [CompactString],
}

/// Whose a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// This trunk's.
    Trunks(u8),
    /// It has the address of this trunk, but does not prove to be it.
    Claimed(u8, Unproved),
    /// No trunk's.
    Nobodys,
}

/// What is missing for a call from the address of a trunk to be the trunk's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproved {
    /// It shows no certificate: it has come without TLS, or was not asked for one.
    NoCertificate,
    /// Its certificate is for other domains.
    OtherName,
}

/// By what trunks are known.
#[derive(Default)]
pub(super) struct Marks {
    /// The networks of all trunks, the longest prefix first, and whether that is all that is asked for.
    networks: Vec<(Network, u8, bool)>,
    by_name: AHashMap<CompactString, Vec<u8>>,
}

impl Marks {
    pub fn new(trunks: &[Trunk]) -> Self {
        let mut marks = Self::default();
        for (n, trunk) in (0..).zip(trunks) {
            let suffices = trunk.inbound.certificates.is_empty();
            marks.networks.extend(trunk.inbound.networks.iter().map(|network| (*network, n, suffices)));
            for name in &trunk.inbound.certificates {
                let all = marks.by_name.entry(name.to_ascii_lowercase()).or_default();
                if all.last() != Some(&n) {
                    all.push(n);
                }
            }
        }
        marks.networks.sort_by_key(|(network, ..)| std::cmp::Reverse(network.prefix));
        marks
    }

    /// From where trunks call.
    pub fn networks(&self) -> impl Iterator<Item = Network> {
        self.networks.iter().map(|(network, ..)| *network)
    }

    /// The trunks whose a source may be, those that it has proved to be first.
    fn all<'a>(&'a self, source: Source<'a>) -> impl Iterator<Item = u8> + 'a {
        let named = source.names.iter().filter_map(|name| self.by_name.get(name)).flatten().copied();
        let proved = named.filter(move |trunk| self.may_call(*trunk, source.address));
        let there = self.at(source.address).filter(|(_, suffices)| *suffices).map(|(trunk, _)| trunk);
        proved.chain(there)
    }

    fn at(&self, address: IpAddr) -> impl Iterator<Item = (u8, bool)> {
        let there = self.networks.iter().filter(move |(network, ..)| network.contains(address));
        there.map(|(_, trunk, suffices)| (*trunk, *suffices))
    }

    /// Whether a trunk calls from that address, or from anywhere.
    fn may_call(&self, trunk: u8, address: IpAddr) -> bool {
        let mut own = self.networks.iter().filter(|(_, of, _)| *of == trunk).peekable();
        own.peek().is_none() || own.any(|(network, ..)| network.contains(address))
    }

    fn whose(&self, source: Source<'_>) -> Whose {
        if let Some(trunk) = self.all(source).next() {
            return Whose::Trunks(trunk);
        }
        let why = if source.names.is_empty() { Unproved::NoCertificate } else { Unproved::OtherName };
        self.at(source.address).next().map_or(Whose::Nobodys, |(trunk, _)| Whose::Claimed(trunk, why))
    }
}

impl Trunks {
    /// The trunk that a source belongs to.
    pub fn at(&self, source: Source<'_>) -> Option<u8> {
        self.marks.all(source).next()
    }

    /// The trunk that a request from there belongs to: of several, the one whose Contact of ours it names.
    pub fn of(&self, source: Source<'_>, request: &Message) -> Option<u8> {
        let first = self.at(source)?;
        let user = request.request_uri().and_then(|uri| Uri::parse(uri).ok()?.user);
        let named = self.marks.all(source).find(|trunk| {
            let config = self.get(*trunk).map(|state| &state.config).filter(|config| config.register.is_some());
            config.is_some_and(|config| user == Some(config.contact_user().as_str()))
        });
        Some(named.unwrap_or(first))
    }

    /// Somebody has shown a certificate: whose is he?
    fn proved(&mut self, from: IpAddr, names: &[CompactString]) -> bool {
        let whose = self.marks.whose(Source { address: from, names });
        let Whose::Trunks(trunk) = whose else { return false };
        let Some(state) = self.get(trunk) else { return false };
        let listed =
            |name: &&CompactString| state.config.inbound.certificates.iter().any(|own| own.eq_ignore_ascii_case(name));
        let Some(name) = names.iter().find(listed).cloned() else { return false };
        self.tell(trunk, TrunkEvent::Proved(name));
        true
    }

    /// A call or a text has come that is no trunk's. Where it comes from the address of one, that is worth a line: but not
    /// for each, since addresses of datagrams are forged.
    fn not_proved(&mut self, now: Time, source: (IpAddr, &[CompactString])) {
        let (address, names) = source;
        let Whose::Claimed(trunk, why) = self.marks.whose(Source { address, names }) else { return };
        let Some(state) = self.list.get_mut(usize::from(trunk)) else { return };
        if now < state.complains_at {
            return;
        }
        state.complains_at = now + COMPLAIN_EVERY;
        self.tell(trunk, TrunkEvent::Unproved(why, names.iter().take(NAMED).cloned().collect()));
    }

    fn tell(&mut self, trunk: u8, what: TrunkEvent) {
        if let Some(name) = self.get(trunk).map(|state| state.config.name.clone()) {
            self.news.push_back(TrunkNews { trunk: name, what });
        }
    }
}

/// How often it is told of a trunk that somebody at its address does not prove to be it.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// How many names of a certificate are told.
const NAMED: usize = 3;

impl B2bua {
    fn source(&self, flow: Flow) -> Source<'_> {
        Source { address: flow.remote.ip(), names: self.endpoint.proved(flow) }
    }

    /// The trunk that a flow belongs to.
    pub(crate) fn trunk_at(&self, flow: Flow) -> Option<u8> {
        self.trunks.at(self.source(flow))
    }

    /// The trunk that a request over a flow belongs to.
    pub(crate) fn trunk_of(&self, flow: Flow, request: &Message) -> Option<u8> {
        self.trunks.of(self.source(flow), request)
    }

    /// A call of this trunk's has come.
    pub(crate) fn trunk_calls(&mut self, now: Time, trunk: u8, dialog: DialogId, flow: Flow) {
        self.trunks.came_in(trunk);
        self.endpoint.trust(now, flow);
        self.bind_to_name(dialog, flow);
        if let Some(credentials) = self.trunks.credentials(Some(trunk)) {
            // It may ask for our password when we hang up.
            self.endpoint.set_credentials(dialog, credentials);
        }
    }

    /// A call has come over a connection whose other end has proved a name: where we have to open another one for the call,
    /// the same has to be proved there.
    fn bind_to_name(&mut self, dialog: DialogId, flow: Flow) {
        if flow.peer.is_some() {
            // We have opened this one, and meant somebody.
            return;
        }
        let Some(name) = self.endpoint.proved(flow).first() else { return };
        let host = name.parse().map_or(Host::Name(name), |ip| match ip {
            IpAddr::V4(ip) => Host::V4(ip),
            IpAddr::V6(ip) => Host::V6(ip),
        });
        let peer = self.names.resolver.peer(&host);
        self.endpoint.set_peer(dialog, peer);
    }

    /// The other end of a connection has shown a certificate.
    pub(crate) fn flow_proved(&mut self, now: Time, flow: Flow) {
        if self.trunks.proved(flow.remote.ip(), self.endpoint.proved(flow)) {
            self.endpoint.trust(now, flow);
        }
    }

    /// Who calls from there is to be treated like any stranger.
    pub(crate) fn is_no_trunk(&mut self, now: Time, flow: Flow) {
        self.trunks.not_proved(now, (flow.remote.ip(), self.endpoint.proved(flow)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trunk(name: &str, networks: &[(&str, u8)], certificates: &[&str]) -> Trunk {
        let mut trunk = Trunk::new(name, "sip:h");
        let network = |(addr, prefix): &(&str, u8)| Network { addr: addr.parse().unwrap(), prefix: *prefix };
        trunk.inbound.networks = networks.iter().map(network).collect();
        trunk.inbound.certificates = certificates.iter().map(|name| (*name).into()).collect();
        trunk
    }

    #[test]
    fn a_trunk_is_known_by_what_it_says_of_itself_and_by_no_less() {
        let marks = Marks::new(&[
            trunk("by address", &[("10.0.1.0", 24)], &[]),
            trunk("by certificate", &[], &["b.example", "B.Example"]),
            trunk("by both", &[("10.0.3.0", 24)], &["c.example"]),
            trunk("inside the first", &[("10.0.1.128", 25)], &[]),
        ]);
        let whose = |address: &str, names: &[&str]| {
            let names: Vec<CompactString> = names.iter().map(|name| (*name).into()).collect();
            marks.whose(Source { address: address.parse().unwrap(), names: &names })
        };
        use Unproved::{NoCertificate, OtherName};
        for (address, names, expected) in [
            ("10.0.1.1", &[][..], Whose::Trunks(0)),
            ("10.0.1.200", &[], Whose::Trunks(3)),
            ("10.0.1.1", &["other.example"], Whose::Trunks(0)),
            ("10.0.9.9", &[], Whose::Nobodys),
            ("10.0.9.9", &["other.example"], Whose::Nobodys),
            ("10.0.9.9", &["other.example", "b.example"], Whose::Trunks(1)),
            // What is proved counts more than from where it comes.
            ("10.0.1.1", &["b.example"], Whose::Trunks(1)),
            ("10.0.3.1", &["c.example"], Whose::Trunks(2)),
            ("10.0.3.1", &[], Whose::Claimed(2, NoCertificate)),
            ("10.0.3.1", &["other.example"], Whose::Claimed(2, OtherName)),
            ("10.0.9.9", &["c.example"], Whose::Nobodys),
            // The certificate of another trunk makes it that one's call, from wherever it comes.
            ("10.0.3.1", &["b.example"], Whose::Trunks(1)),
            ("10.0.3.1", &["sub.c.example", "c.example.evil"], Whose::Claimed(2, OtherName)),
        ] {
            assert_eq!(whose(address, names), expected, "{address} {names:?}");
        }
    }
}
