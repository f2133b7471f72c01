//! Where an address is: routes first, then services, then the bindings of a user.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use hookswitch_call::directory::Standing;
use hookswitch_call::{
    Address, Attendant, CallId, Cause, Codecs, Dial, Diverting, Fault, Forwards, Found, Kind, Orderer, Report, Room,
    Service, Target, Time,
};
use hookswitch_sip::registrar::{Binding, Gruu, aor_of};
use hookswitch_sip::resolve::Hop;
use hookswitch_sip::{Flow, Transport};
use hookswitch_sip_msg::{Host, NameAddr, Scheme, Uri};

use crate::B2bua;
use crate::named::Way;
use crate::registrar::{UserName, one_for_each_phone, out_of_order};
use crate::route::Choice;
use crate::trunk::{self, TrunkSet};

/// [`Target::via`] of a place that a trusted route names: the party there is told who calls even if the caller wishes
/// to stay unknown (RFC 3325). No key of a binding.
pub(crate) const TRUSTED_ROUTE: u64 = u64::MAX;

/// The service that sends back what it hears.
const ECHO: &str = "echo";

/// The service that plays a reference tone.
const TONE: &str = "tone";

/// Whoever is called by a name that begins with this, and is no user, is a conference.
const CONFERENCE: &str = "conference-";

/// Longest name of a conference, in bytes, with what it begins with.
pub const MAX_CONFERENCE: usize = 64;

/// One place and the way to it; its `near` is still to be found out.
pub(crate) struct Place {
    pub target: Target,
    pub way: Way,
}

impl Place {
    fn direct(address: &str, choice: Option<&Choice>) -> Self {
        let via = choice.filter(|choice| choice.trusted).map(|_| TRUSTED_ROUTE);
        let target = Target::new(Address::from(address), via, None);
        Self { target, way: Way::Uri(address.into()) }.placed(choice)
    }

    /// Whether whoever is called there is no phone that has registered here.
    pub fn leads_out(&self) -> bool {
        !is_phone(&self.target)
    }

    /// With group and times of a route's destination.
    fn placed(mut self, choice: Option<&Choice>) -> Self {
        if let Some(choice) = choice {
            self.target.group = choice.group;
            self.target.after = choice.after;
            self.target.ring_time = choice.ring_time;
        }
        self
    }
}

/// Whether whoever is called there is a phone that has registered here, so that nobody else can call it.
#[must_use]
pub fn is_phone(place: &Target) -> bool {
    place.via.is_some_and(|via| via != TRUSTED_ROUTE && TrunkSet::of(Some(via)).is_none())
}

/// Where an address is, as far as that is known without looking up names.
enum Whereabouts {
    Places(Vec<Place>),
    Found(Found),
    /// It depends on a user who has to be looked up first.
    Unsettled(UserName),
}

/// Why a text has nowhere to go.
pub(crate) enum NoPlace {
    Because(Cause),
    /// The same.
    Unsettled(UserName),
}

fn nowhere(kind: Kind, fault: Fault) -> Whereabouts {
    Whereabouts::Found(Found::Nowhere(Cause::new(kind, fault)))
}

/// What somebody has configured to be called.
#[derive(Clone, PartialEq, Debug)]
pub enum Configured {
    /// It plays, and may lead on.
    Attendant(Arc<Attendant>),
    /// The conference of this name, as if `conference-` and the name had been called.
    Conference(CompactString),
    /// Whoever calls it is led from outside.
    Flow,
}

/// Whether there can be a conference of this name, `conference-` not counted.
#[must_use]
pub fn is_conference_name(name: &str) -> bool {
    !name.is_empty() && CONFERENCE.len() + name.len() <= MAX_CONFERENCE
}

/// Whether the switch has a service of this name, so that no configured one is reached under it.
#[must_use]
pub fn is_built_in(name: &str) -> bool {
    matches!(name, ECHO | TONE) || name.starts_with(CONFERENCE)
}

/// The conference of this name in a domain of ours: there whenever somebody is in it.
fn conference(name: &str, domain: &str) -> Option<Service> {
    let fits = name.len() <= MAX_CONFERENCE && name.len() > CONFERENCE.len();
    fits.then(|| Service::Conference(Room::from(format_compact!("{name}@{domain}").as_str())))
}

impl B2bua {
    /// Finds out where an address is and tells the core, at once or when its names are looked up.
    pub(crate) fn look_for(&mut self, now: Time, (call, to): (CallId, &Address), anywhere: bool, by: &Orderer) {
        let mut forwards = None;
        match self.locate(now, to, anywhere, Some(&mut forwards)) {
            Whereabouts::Places(_) if self.config.elsewhere => {
                self.located(call, to, Found::Targets(vec![Target::new(to.clone(), None, None)]), forwards);
            }
            Whereabouts::Places(mut places) => match self.charge((call, to), by, &mut places) {
                Ok(()) => self.find_places(now, (call, to), places, forwards),
                Err(cause) => self.located(call, to, Found::Nowhere(cause), forwards),
            },
            Whereabouts::Found(found) => self.located(call, to, found, forwards),
            Whereabouts::Unsettled(name) => self.call_waits(now, (call, to), anywhere, by, &name),
        }
    }

    /// Whether a phone's call to an address would leave the switch.
    pub(crate) fn leads_out(&mut self, now: Time, to: &Address) -> bool {
        match self.locate(now, to, false, Some(&mut None)) {
            Whereabouts::Places(places) => places.iter().any(Place::leads_out),
            // A user of ours, whoever that is.
            Whereabouts::Found(_) | Whereabouts::Unsettled(_) => false,
        }
    }

    pub(crate) fn located(&mut self, call: CallId, to: &Address, found: Found, forwards: Option<Box<Forwards>>) {
        let codecs = self.codecs_for(to);
        self.report(Report::Located { call, found, codecs, forwards });
    }

    /// `forwards` is set to whom to call when a user does not take the call; without it, what comes is no call.
    fn locate(
        &mut self,
        now: Time,
        to: &Address,
        anywhere: bool,
        forwards: Option<&mut Option<Box<Forwards>>>,
    ) -> Whereabouts {
        let rings = forwards.is_some();
        let Ok(uri) = Uri::parse(&to.0) else { return nowhere(Kind::BadAddress, Fault::Controller) };
        let is_tel = uri.scheme_text().eq_ignore_ascii_case("tel");
        if !uri.is_sip() && !is_tel {
            return nowhere(Kind::BadAddress, Fault::Controller);
        }
        if uri.is_sip() && uri.host == Host::Name("") {
            return nowhere(Kind::BadAddress, Fault::Controller);
        }
        if let Some(choices) = self.routed(&uri) {
            return self.chosen(now, &uri, &choices, rings);
        }
        match self.our_domain(&uri) {
            Some(domain) => {
                let user = uri.user_unescaped().unwrap_or_default();
                // Whose temporary address it is, a phone that has registered says.
                if uri.param("gr") != Some("")
                    && let Some(unknown) = self.unsettled(now, domain, &user)
                {
                    return unknown;
                }
                if let Some(gr) = uri.param("gr") {
                    return self.phone(now, &uri, domain, gr, rings);
                }
                if let Some(forwarding) = self.directory.forwards(domain, &user) {
                    if let Some(to) = forwarding.always.clone() {
                        return Whereabouts::Found(Found::Diverted { to, why: Diverting::Always });
                    }
                    if let Some(forwards) = forwards {
                        *forwards = Some(Box::new(forwarding.otherwise.clone()));
                    }
                }
                self.user(now, &uri, domain, rings)
            }
            None => {
                let user = uri.user_unescaped().unwrap_or_default();
                let domain = self.directory.may_become(&host_text(uri.host)).filter(|_| uri.is_sip());
                match domain.and_then(|domain| self.unsettled(now, &domain, &user)) {
                    Some(unknown) => unknown,
                    None if anywhere && uri.is_sip() => Whereabouts::Places(vec![Place::direct(&to.0, None)]),
                    None => nowhere(Kind::NotFound, Fault::Peer),
                }
            }
        }
    }

    /// What is to be said of a user of whom nothing can be said yet.
    fn unsettled(&self, now: Time, domain: &str, user: &str) -> Option<Whereabouts> {
        match self.directory.standing(now, domain, user) {
            // A service is nobody who could be found elsewhere.
            _ if self.service(domain, user).is_some() => None,
            Standing::Known | Standing::Nobody => None,
            Standing::Unsettled => Some(Whereabouts::Unsettled((domain.into(), user.into()))),
            Standing::Out => Some(Whereabouts::Found(Found::Nowhere(out_of_order()))),
        }
    }

    /// The destinations of the route that an address matches.
    fn routed(&mut self, uri: &Uri<'_>) -> Option<Vec<Choice>> {
        let route = self.route_of(uri)?;
        Some(self.config.routes[route].choices(uri.user, &mut self.names.chance))
    }

    /// The place in the configuration of the route that an address matches.
    pub(crate) fn route_of(&self, uri: &Uri<'_>) -> Option<usize> {
        if self.config.routes.is_empty() {
            return None;
        }
        let mut plain = CompactString::from(uri.scheme_text());
        plain.push(':');
        plain.push_str(uri.user.unwrap_or_default());
        if uri.is_sip() {
            plain.push_str(if uri.user.is_some() { "@" } else { "" });
            plain.push_str(&host_text(uri.host));
        }
        self.config.routes.iter().position(|route| route.matches(&plain))
    }

    /// The places of a route's destinations: those of users of ours are where they have registered. A service can only
    /// stand alone.
    fn chosen(&self, now: Time, dialled: &Uri<'_>, choices: &[Choice], rings: bool) -> Whereabouts {
        let (mut places, mut first_failure) = (Vec::new(), None);
        let mut left = choices;
        while let [choice, rest @ ..] = left {
            if choice.to.starts_with(trunk::SCHEME) {
                let (run, rest) = left.split_at(trunk::run_of(left));
                places.extend(self.trunk_place(now, dialled, run));
                left = rest;
                continue;
            }
            left = rest;
            let Ok(uri) = Uri::parse(&choice.to) else { continue };
            // A number, or a port, is a place on the wire even where it is our own.
            let named = matches!(uri.host, Host::Name(name) if !name.eq_ignore_ascii_case("localhost"));
            let domain = self.our_domain(&uri).filter(|_| named && uri.port.is_none());
            match domain.map(|domain| self.user(now, &uri, domain, rings)) {
                None => places.push(Place::direct(&choice.to, Some(choice))),
                Some(Whereabouts::Places(some)) => {
                    places.extend(some.into_iter().map(|place| place.placed(Some(choice))));
                }
                Some(unknown @ Whereabouts::Unsettled(_)) => return unknown,
                Some(Whereabouts::Found(found)) if choices.len() == 1 => return Whereabouts::Found(found),
                Some(Whereabouts::Found(found)) => {
                    first_failure.get_or_insert(found);
                }
            }
        }
        match first_failure {
            Some(found) if places.is_empty() => Whereabouts::Found(found),
            _ => Whereabouts::Places(places),
        }
    }

    /// The codecs that the domain of an address wants.
    pub(crate) fn codecs_for(&self, address: &Address) -> Option<Codecs> {
        if self.config.codecs.is_empty() {
            return None;
        }
        let uri = Uri::parse(&address.0).ok()?;
        self.config.codecs.get(self.our_domain(&uri)?).cloned()
    }

    /// The user of ours that an address names, and the domain. Whether there is such a user is not asked.
    #[must_use]
    pub fn user_of(&self, address: &Address) -> Option<(CompactString, &str)> {
        let uri = Uri::parse(&address.0).ok()?;
        let user = uri.user_unescaped().filter(|user| !user.is_empty())?;
        Some((user.as_ref().into(), self.our_domain(&uri)?))
    }

    /// The domain of ours that a URI is in. A numeric host is ours only if it is this host.
    pub(crate) fn our_domain(&self, uri: &Uri<'_>) -> Option<&str> {
        if let Some(ip) = uri.host.ip()
            && !self.is_this_host(ip)
        {
            return None;
        }
        self.directory.resolve(&host_text(uri.host))
    }

    fn is_this_host(&self, ip: IpAddr) -> bool {
        let endpoint = &self.config.endpoint;
        let advertised = |listen: &hookswitch_sip::Listen| {
            listen.advertise.as_ref().is_some_and(|(host, _)| Host::parse(host).and_then(|h| h.ip()) == Some(ip))
        };
        endpoint.listen.iter().any(|listen| {
            let bound = listen.address.ip();
            bound == ip || (bound.is_unspecified() && ip.is_loopback()) || advertised(listen)
        }) || self.endpoint.addresses().is_ours(ip)
    }

    /// `rings`: it is a call that comes, and not a text.
    fn user(&self, now: Time, uri: &Uri<'_>, domain: &str, rings: bool) -> Whereabouts {
        let user = uri.user_unescaped().unwrap_or_default();
        if let Some(unknown) = self.unsettled(now, domain, &user) {
            return unknown;
        }
        if !self.directory.has_user(domain, &user) {
            return match self.service(domain, &user) {
                Some(service) => Whereabouts::Found(Found::Service(service)),
                None => nowhere(Kind::NotFound, Fault::Peer),
            };
        }
        let aor = aor(&user, domain);
        if let Some(cause) = self.too_busy(&aor).filter(|_| rings) {
            return Whereabouts::Found(Found::Nowhere(cause));
        }
        let fits = fits(uri);
        let bindings = self.registrar.reachable(now, &aor).filter(fits);
        let bindings = bindings.filter_map(|binding| Some((binding.instance_with_flows(), self.place_at(binding)?)));
        let places = one_for_each_phone(bindings.collect());
        if places.is_empty() {
            return nowhere(Kind::Unreachable, Fault::Peer);
        }
        Whereabouts::Places(places)
    }

    /// What can be called in a domain without being a user.
    pub(crate) fn service(&self, domain: &str, name: &str) -> Option<Service> {
        match name {
            ECHO => Some(Service::Echo),
            TONE => Some(Service::Tone),
            name if name.starts_with(CONFERENCE) => conference(name, domain),
            _ => match self.config.services.get(name)? {
                Configured::Attendant(attendant) => Some(Service::Attendant(Arc::new(attendant.within(domain)))),
                Configured::Flow => {
                    Some(Service::Flow(hookswitch_call::Flow { name: name.into(), domain: domain.into() }))
                }
                Configured::Conference(name) => conference(&format_compact!("{CONFERENCE}{name}"), domain),
            },
        }
    }

    /// Whether whoever talks with this address is in a conference of ours.
    pub(crate) fn is_conference(&self, address: &Address) -> bool {
        let Ok(uri) = Uri::parse(&address.0) else { return false };
        let user = uri.user_unescaped().unwrap_or_default();
        let domain = self.our_domain(&uri).filter(|_| self.route_of(&uri).is_none());
        domain.filter(|domain| !self.directory.has_user(domain, &user)).is_some_and(|domain| {
            self.service(domain, &user).is_some_and(|service| matches!(service, Service::Conference(_)))
        })
    }

    /// The phone that an address of its own names (RFC 5627 section 6.1): its newest contact. Whom its user wants
    /// called instead does not matter, because somebody has asked for this very phone.
    fn phone(&self, now: Time, uri: &Uri<'_>, domain: &str, gr: &str, rings: bool) -> Whereabouts {
        let aor = aor(&uri.user_unescaped().unwrap_or_default(), domain);
        let user = aor.rsplit_once('@').map_or("", |(user, _)| user);
        let Gruu::Contacts(contacts) = self.registrar.by_gruu(now, user, domain, gr) else {
            return nowhere(Kind::NotFound, Fault::Peer);
        };
        let Some(first) = contacts.first() else {
            let known = self.directory.has_user(domain, user);
            return nowhere(if known { Kind::Unreachable } else { Kind::NotFound }, Fault::Peer);
        };
        if let Some(cause) = self.too_busy(&first.aor).filter(|_| rings) {
            return Whereabouts::Found(Found::Nowhere(cause));
        }
        match contacts.iter().copied().filter(fits(uri)).find_map(|contact| self.place_at(contact)) {
            Some(place) => Whereabouts::Places(vec![place]),
            None => nowhere(Kind::Unreachable, Fault::Peer),
        }
    }

    fn place_at(&self, binding: &Binding) -> Option<Place> {
        let contact = Address(binding.contact.as_ref().into());
        let target = Target::new(contact, self.registrar.key_of(binding), None);
        Some(Place { target, way: way_to_binding(binding)? })
    }

    /// The way to a target that [`B2bua::look_for`] has named, and the Route set to send along.
    pub(crate) fn way_to(&self, now: Time, dial: &Dial) -> Option<(Way, Vec<CompactString>)> {
        match dial.target.via.filter(|via| TrunkSet::of(Some(*via)).is_none()) {
            None | Some(TRUSTED_ROUTE) => Some((Way::Uri(dial.target.address.0.clone()), Vec::new())),
            Some(key) => {
                let binding = self.registrar.by_key(now, key)?;
                Some((way_to_binding(binding)?, path_of(binding)))
            }
        }
    }

    /// The Route set to a target.
    pub(crate) fn routes_to(&self, now: Time, target: &Target) -> Vec<CompactString> {
        match target.via.filter(|via| TrunkSet::of(Some(*via)).is_none()) {
            None | Some(TRUSTED_ROUTE) => Vec::new(),
            Some(key) => self.registrar.by_key(now, key).map(path_of).unwrap_or_default(),
        }
    }

    /// Where a text goes that is sent to an address: where a call would, but for a user's wish to have calls forwarded.
    pub(crate) fn places_of_text(&mut self, now: Time, to: &Address) -> Result<Vec<Place>, NoPlace> {
        let found = match self.locate(now, to, false, None) {
            Whereabouts::Found(Found::Diverted { .. }) => {
                let bad = |_| NoPlace::Because(Cause::new(Kind::BadAddress, Fault::Peer));
                let uri = Uri::parse(&to.0).map_err(bad)?;
                self.our_domain(&uri).map(|domain| self.user(now, &uri, domain, false))
            }
            other => Some(other),
        };
        match found {
            Some(Whereabouts::Places(places)) => Ok(places),
            Some(Whereabouts::Unsettled(name)) => Err(NoPlace::Unsettled(name)),
            Some(Whereabouts::Found(Found::Nowhere(cause))) => Err(NoPlace::Because(cause)),
            // A service reads nothing.
            Some(Whereabouts::Found(Found::Service(_) | Found::Targets(_) | Found::Diverted { .. })) | None => {
                Err(NoPlace::Because(Cause::new(Kind::NotAcceptable, Fault::Peer)))
            }
        }
    }

    /// The flow to a hop, from the socket that fits best. None if there is no such socket.
    pub(crate) fn flow_of(&self, hop: Hop) -> Option<Flow> {
        let local = self.socket_towards(hop.transport, hop.address)?;
        Some(match hop.transport {
            Transport::Udp => Flow::udp(local, hop.address),
            Transport::Tcp => Flow::tcp(local, hop.address),
            Transport::Tls => {
                let name = hop.peer.and_then(|peer| self.peer_name(peer));
                let conn = name.and_then(|name| self.endpoint.alias(hop.address, name));
                Flow { transport: Transport::Tls, conn, peer: hop.peer, ..Flow::tcp(local, hop.address) }
            }
            // Whoever is reached by WebSocket has come by it and is found in the flow of its binding.
            Transport::Ws | Transport::Wss => return None,
        })
    }

    /// The socket to send from: the one bound to the address of the interface towards the other side, else one bound to
    /// any, else the first.
    fn socket_towards(&self, transport: Transport, remote: SocketAddr) -> Option<SocketAddr> {
        let near = self.endpoint.addresses().towards(remote.ip());
        let sockets = self.config.endpoint.listen.iter();
        let fitting =
            sockets.filter(|listen| listen.transport == transport && listen.address.is_ipv4() == remote.is_ipv4());
        let best = fitting.min_by_key(|listen| match listen.address.ip() {
            ip if Some(ip) == near => 0,
            ip if ip.is_unspecified() => 1,
            _ => 2,
        });
        best.map(|listen| listen.address)
    }
}

/// Back through the flow that the phone registered on, whatever its Contact says: that is the only way through a NAT. A
/// connection that is gone leaves the first proxy of the Path (RFC 3327 section 5.3), or without one the Contact, but not
/// of a phone that has promised to keep its flow (RFC 5626 section 4.2.1). Both are what the phone has written: neither
/// leads to another host than it came from, or a user could have itself called at a carrier, in our name.
fn way_to_binding(binding: &Binding) -> Option<Way> {
    if let Some(flow) = binding.flow {
        return Some(Way::Flow(flow));
    }
    let (uri, may_be_name) = match binding.path.first() {
        Some(hop) => (NameAddr::parse(hop.as_bytes()).ok()?.uri_str()?, true),
        None if binding.keeps_flow() => return None,
        None => (binding.contact.as_ref(), false),
    };
    let parsed = Uri::parse(uri).ok()?;
    let host = parsed.param("maddr").and_then(Host::parse).unwrap_or(parsed.host);
    let leads_back = match host {
        Host::V4(ip) => binding.source.ip() == ip,
        Host::V6(ip) => binding.source.ip() == ip,
        Host::Name(_) => may_be_name,
    };
    leads_back.then(|| Way::Uri(uri.into()))
}

/// What must not travel in the open only goes to phones on secure flows (RFC 5630 5.4).
fn fits(uri: &Uri<'_>) -> impl Fn(&&Binding) -> bool {
    let secret = uri.scheme == Scheme::Sips;
    move |binding| !secret || is_secure(binding)
}

/// Whether the way to a phone is a secure one.
fn is_secure(binding: &Binding) -> bool {
    match way_to_binding(binding) {
        Some(Way::Flow(flow)) => flow.transport.secure(),
        Some(Way::Uri(uri)) => {
            let transport = Uri::parse(&uri).ok().and_then(|uri| Transport::of_uri(&uri).ok().flatten());
            transport.is_some_and(Transport::secure)
        }
        None => false,
    }
}

/// The proxies between us and a phone (RFC 3327).
fn path_of(binding: &Binding) -> Vec<CompactString> {
    binding.path.iter().map(|hop| CompactString::from(hop.as_ref())).collect()
}

/// A host as text; names, which most are, are borrowed.
pub(crate) fn host_text(host: Host<'_>) -> Cow<'_, str> {
    match host {
        Host::Name(name) => Cow::Borrowed(name),
        Host::V4(_) | Host::V6(_) => Cow::Owned(host.to_string()),
    }
}

/// The address of record of a user, as the registrar keys it.
#[must_use]
pub fn aor(user: &str, domain: &str) -> CompactString {
    let escaped = escape(user);
    let text = format_compact!("sip:{escaped}@{domain}");
    let canonical = Uri::parse(&text).ok().and_then(|uri| aor_of(&uri));
    canonical.unwrap_or_else(|| format_compact!("{user}@{domain}"))
}

/// Escapes what may not stand in the user part of a URI (RFC 3261 section 25.1).
pub(crate) fn escape(user: &str) -> CompactString {
    let mut out = CompactString::default();
    for byte in user.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte);
        if plain {
            out.push(char::from(byte));
        } else {
            out.push_str(&format_compact!("%{byte:02X}"));
        }
    }
    out
}
