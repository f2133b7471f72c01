//! Who may command the switch over the control listener and the Call API.

use std::net::{SocketAddr, ToSocketAddrs as _};

use hookswitch_drive::check_authorities;

use super::check::Check;
use crate::config::{Config, Role};

const AREA: &str = "access";
const SUBJECT: &str = "control";

/// What decides who gets in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Addresses that other hosts can reach.
    pub reachable: Vec<SocketAddr>,
    pub tokens: usize,
    pub certificates: usize,
    pub has_tls: bool,
    /// What is wrong with the authorities of clients.
    pub authorities: Option<String>,
    pub any_page: bool,
}

/// None where the listener is switched off.
pub fn judge(facts: &Option<Facts>) -> Vec<Check> {
    let Some(facts) = facts else { return vec![Check::skipped(AREA, SUBJECT, "is switched off")] };
    let mut checks = vec![who(facts)];
    if let Some(why) = &facts.authorities {
        let advice = "correct control.client_ca: certificates of authorities in PEM form";
        checks.push(Check::error(AREA, "control.client_ca", why, advice));
    }
    if facts.any_page {
        let advice = "list the pages in control.allowed_origins instead of *";
        checks.push(Check::warning(AREA, "control.allowed_origins", "any web page may ask", advice));
    }
    checks
}

fn who(facts: &Facts) -> Check {
    let grants = facts.tokens + facts.certificates;
    let Some(address) = facts.reachable.first() else {
        let seen = match grants {
            0 => "every user of this host may do everything, and nobody else anything".to_owned(),
            _ => {
                format!("{} tokens and {} names of certificates, for this host only", facts.tokens, facts.certificates)
            }
        };
        return Check::ok(AREA, SUBJECT, seen);
    };
    if grants == 0 {
        let seen =
            format!("{address} can be reached from other hosts, and there are no grants: the switch will not start");
        let advice = "configure control.grants (docs/access.md), or listen on 127.0.0.1";
        return Check::error(AREA, SUBJECT, seen, advice);
    }
    if !facts.has_tls {
        let seen = format!("{address} can be reached from other hosts, and tokens go there in the clear");
        let advice = "configure control.tls, or let a proxy on this host speak TLS and listen on 127.0.0.1";
        return Check::warning(AREA, SUBJECT, seen, advice);
    }
    let seen = format!("{} tokens and {} names of certificates, over TLS", facts.tokens, facts.certificates);
    Check::ok(AREA, SUBJECT, seen)
}

/// Looks at the section, and into the file of authorities.
pub fn collect(config: &Config) -> Option<Facts> {
    let control = &config.control;
    let addresses = control.listen.to_socket_addrs().into_iter().flatten();
    control.enabled.then(|| Facts {
        reachable: addresses.filter(|address| !address.ip().to_canonical().is_loopback()).collect(),
        tokens: control.grants.iter().map(|grant| grant.tokens.len()).sum(),
        certificates: control.grants.iter().map(|grant| grant.certificates.len()).sum(),
        has_tls: control.tls.is_some(),
        authorities: control.client_ca.as_ref().and_then(|file| check_authorities(file).err()).map(|e| e.to_string()),
        any_page: control.allowed_origins.iter().any(|origin| origin == "*"),
    })
}

/// The Call API, where other hosts reach it.
pub fn call_api(config: &Config) -> Option<Check> {
    const SUBJECT: &str = "call_api";
    let call_api = &config.call_api;
    let mut addresses = call_api.listen.to_socket_addrs().into_iter().flatten();
    let address = addresses.find(|address| !address.ip().to_canonical().is_loopback())?;
    if !config.roles.has(Role::Control) {
        return None;
    }
    if call_api.tokens.is_empty() {
        let seen = format!("{address} can be reached from other hosts, and whoever does may end any call");
        let advice = "configure call_api.tokens in place of call_api.open, or listen on localhost";
        return Some(Check::warning(AREA, SUBJECT, seen, advice));
    }
    if call_api.tls.is_none() {
        let seen = format!("{address} can be reached from other hosts, and tokens go there in the clear");
        let advice = "configure call_api.tls, or let a proxy on this host speak TLS and listen on localhost";
        return Some(Check::warning(AREA, SUBJECT, seen, advice));
    }
    Some(Check::ok(AREA, SUBJECT, format!("{} tokens, over TLS", call_api.tokens.len())))
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    fn states(text: &str) -> Vec<State> {
        judge(&collect(&Config::parse("t", text).unwrap())).iter().map(|check| check.state).collect()
    }

    #[test]
    fn the_call_api_is_looked_at_where_other_hosts_reach_it() {
        let state = |text: &str| call_api(&Config::parse("t", text).unwrap()).map(|check| check.state);
        assert_eq!(state("call_api: { listen: \"127.0.0.1:5059\" }"), None);
        let listen = "listen: \"0.0.0.0:5059\"";
        assert_eq!(state(&format!("call_api: {{ {listen}, open: true }}")), Some(State::Warning));
        assert_eq!(state(&format!("call_api: {{ {listen}, open: true }}\nroles: [sip]")), None);
        let tokens = "tokens: [ { name: a, secret: 0123456789abcdef } ]";
        assert_eq!(state(&format!("call_api: {{ {listen}, {tokens} }}")), Some(State::Warning));
        let tls = "tls: { certificate: c, key: k }";
        assert_eq!(state(&format!("call_api: {{ {listen}, {tokens}, {tls} }}")), Some(State::Ok));
    }

    #[test]
    fn who_may_come_from_elsewhere_has_to_prove_who_it_is_and_not_in_the_clear() {
        assert_eq!(states("{}"), [State::Ok]);
        assert_eq!(states("control: { enabled: false, listen: \"0.0.0.0:9001\" }"), [State::Skipped]);
        assert_eq!(states("control: { listen: \"0.0.0.0:9001\" }"), [State::Error]);
        let grants = "grants: [ { name: a, tokens: [\"env:A\"] } ]";
        assert_eq!(states(&format!("control: {{ listen: \"0.0.0.0:9001\", {grants} }}")), [State::Warning]);
        assert_eq!(states(&format!("control: {{ {grants} }}")), [State::Ok]);
        let tls = "tls: { certificate: c, key: k }";
        assert_eq!(states(&format!("control: {{ listen: \"[::]:9001\", {grants}, {tls} }}")), [State::Ok]);
        let all = format!("control: {{ {grants}, {tls}, client_ca: /no/such/file, allowed_origins: [\"*\"] }}");
        assert_eq!(states(&all), [State::Ok, State::Error, State::Warning]);
    }
}
