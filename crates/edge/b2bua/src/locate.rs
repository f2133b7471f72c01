//! Where an address is: routes first, then services, then the bindings of a user.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use compact_str::{CompactString, format_compact};
use hookswitch_call::{Address, Cause, Codecs, Dial, Fault, Found, Kind, Service, Target, Time};
use hookswitch_sip::registrar::{Binding, BindingId, aor_of};
use hookswitch_sip::{Flow, Transport};
use hookswitch_sip_msg::{Host, NameAddr, Scheme, Uri};

use crate::B2bua;

/// How to get to a target: the first hop, and the Route set to send along.
pub(crate) struct Way {
    pub flow: Flow,
    pub routes: Vec<CompactString>,
}

impl B2bua {
    pub(crate) fn locate(&self, now: Time, to: &Address, anywhere: bool) -> Found {
        let nowhere = |kind, fault| Found::Nowhere(Cause::new(kind, fault));
        let Ok(uri) = Uri::parse(&to.0) else { return nowhere(Kind::BadAddress, Fault::Controller) };
        let is_tel = uri.scheme_text().eq_ignore_ascii_case("tel");
        if !uri.is_sip() && !is_tel {
            return nowhere(Kind::BadAddress, Fault::Controller);
        }
        if uri.is_sip() && uri.host == Host::Name("") {
            return nowhere(Kind::BadAddress, Fault::Controller);
        }
        if let Some(found) = self.routed(&uri) {
            return found;
        }
        match self.our_domain(&uri) {
            Some(domain) => self.user(now, &uri, domain),
            None if anywhere && uri.is_sip() => self.direct(&to.0),
            None => nowhere(Kind::NotFound, Fault::Peer),
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

    fn routed(&self, uri: &Uri<'_>) -> Option<Found> {
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
        let route = self.config.routes.iter().find(|route| route.matches(&plain))?;
        Some(self.direct(&route.destination(uri.user)))
    }

    /// The domain of ours that a URI is in. A numeric host is ours only if it is this host.
    fn our_domain(&self, uri: &Uri<'_>) -> Option<&str> {
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
        }) || endpoint.interfaces.iter().any(|interface| interface.addr == ip)
    }

    fn user(&self, now: Time, uri: &Uri<'_>, domain: &str) -> Found {
        let user = uri.user_unescaped().unwrap_or_default();
        if !self.directory.has_user(domain, &user) {
            return match &*user {
                "echo" => Found::Service(Service::Echo),
                "tone" => Found::Service(Service::Tone),
                _ => Found::Nowhere(Cause::new(Kind::NotFound, Fault::Peer)),
            };
        }
        let aor = aor(&user, domain);
        let targets: Vec<Target> = self
            .registrar
            .bindings(now, &aor)
            .filter_map(|binding| {
                let flow = self.flow_to(binding)?;
                let contact = Address(binding.contact.as_ref().into());
                Some(Target::new(contact, Some(binding.id.0), self.near(flow)))
            })
            .collect();
        if targets.is_empty() {
            return Found::Nowhere(Cause::new(Kind::Unreachable, Fault::Peer));
        }
        Found::Targets(targets)
    }

    fn direct(&self, address: &str) -> Found {
        match self.direct_flow(address) {
            Some(flow) => Found::Targets(vec![Target::new(Address::from(address), None, self.near(flow))]),
            None => Found::Nowhere(Cause::new(Kind::Unreachable, Fault::Server)),
        }
    }

    /// The way to a target that [`B2bua::locate`] has named.
    pub(crate) fn way_to(&self, now: Time, dial: &Dial) -> Option<Way> {
        let Some(id) = dial.target.via else {
            let flow = self.direct_flow(&dial.target.address.0)?;
            return Some(Way { flow, routes: Vec::new() });
        };
        let to = Uri::parse(&dial.to.0).ok()?;
        let domain = self.our_domain(&to)?;
        let aor = aor(&to.user_unescaped()?, domain);
        let binding = self.registrar.bindings(now, &aor).find(|binding| binding.id == BindingId(id))?;
        let routes = binding.path.iter().map(|hop| CompactString::from(hop.as_ref())).collect();
        Some(Way { flow: self.flow_to(binding)?, routes })
    }

    /// Back through the flow that the phone registered on, whatever its Contact says: that is the
    /// only way through a NAT. A connection that is gone leaves the first proxy of the Path
    /// (RFC 3327 section 5.3), or without one the Contact.
    fn flow_to(&self, binding: &Binding) -> Option<Flow> {
        binding.flow.or_else(|| match binding.path.first() {
            Some(hop) => self.direct_flow(NameAddr::parse(hop.as_bytes()).ok()?.uri_str()?),
            None => self.direct_flow(&binding.contact),
        })
    }

    /// The first hop to a URI whose host is a number or this machine. Names need DNS.
    fn direct_flow(&self, address: &str) -> Option<Flow> {
        let uri = Uri::parse(address).ok()?;
        if uri.scheme != Scheme::Sip {
            // `sips:` asks for TLS on the way, and nothing less will do (RFC 3261 section 26.2.2).
            return None;
        }
        let transport = match uri.param("transport") {
            Some(name) => Transport::from_name(name)?,
            None => Transport::Udp,
        };
        let ip = match uri.param("maddr").and_then(|maddr| maddr.parse().ok()).or_else(|| uri.host.ip()) {
            Some(ip) => ip,
            None if matches!(uri.host, Host::Name(name) if name.eq_ignore_ascii_case("localhost")) => {
                IpAddr::from([127, 0, 0, 1])
            }
            None => return None,
        };
        let remote = SocketAddr::new(ip, uri.port.unwrap_or(transport.default_port()));
        let local = self.socket_towards(transport, remote)?;
        Some(match transport {
            Transport::Udp => Flow::udp(local, remote),
            Transport::Tcp => Flow::tcp(local, remote),
        })
    }

    /// The socket to send from: the one bound to the address that the other side sees, else one
    /// bound to any, else the first.
    fn socket_towards(&self, transport: Transport, remote: SocketAddr) -> Option<SocketAddr> {
        let any = if remote.is_ipv4() { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
        let near = self.near(Flow::udp(SocketAddr::new(any, 0), remote));
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

/// A host as text; names, which most are, are borrowed.
fn host_text(host: Host<'_>) -> Cow<'_, str> {
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
fn escape(user: &str) -> CompactString {
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
