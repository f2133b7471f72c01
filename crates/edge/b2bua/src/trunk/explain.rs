//! Where a call would go and why, told by the code that sends it there. Nothing is looked up or sent, and what only a
//! running switch knows is left open: who has registered, what is out of order.

use std::fmt::Write as _;

use hookswitch_call::{Address, Dial, Target};
use hookswitch_sip_msg::Uri;

use super::number::rewrite;
use super::{NumberRule, SCHEME, State, names, run_of};
use crate::B2bua;
use crate::route::Choice;

impl B2bua {
    /// Where a call from one address to another would go, line by line. With the name of a trunk it comes from there.
    ///
    /// # Errors
    /// An address that is none, or a trunk that there is not.
    pub fn explain(&mut self, from: &str, to: &str, trunk: Option<&str>) -> Result<String, String> {
        let mut text = String::new();
        let (mut from, mut to) = (Address::from(from), Address::from(to));
        if let Some(name) = trunk {
            let trunk = self.trunks.named(&[SCHEME, name].concat()).next();
            let state = trunk.and_then(|trunk| self.trunks.get(trunk));
            let state = state.ok_or_else(|| format!("there is no trunk `{name}`"))?;
            match explain_inbound(&mut text, state, &from, &to) {
                Some(addresses) => (from, to) = addresses,
                None => return Ok(text),
            }
        }
        let uri = Uri::parse(&to.0).map_err(|error| format!("`{to}`: {error}"))?;
        Uri::parse(&from.0).map_err(|error| format!("`{from}`: {error}"))?;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "from {from}\nto   {to}");
        match self.route_of(&uri) {
            Some(number) => self.explain_route(&mut text, number, (&from, &to)),
            None => self.explain_unrouted(&mut text, &uri),
        }
        self.explain_toll(&mut text, (&from, &to), trunk);
        Ok(text)
    }

    fn explain_route(&mut self, text: &mut String, number: usize, (from, to): (&Address, &Address)) {
        let Ok(uri) = Uri::parse(&to.0) else { return };
        let route = &self.config.routes[number];
        let choices = route.choices(uri.user, &mut self.names.chance);
        let pattern = route.pattern();
        let _ = writeln!(text, "routes[{number}] is the first that matches: {pattern}");
        let mut left = choices.as_slice();
        while let [choice, rest @ ..] = left {
            let _ = write!(text, "group {}", choice.group);
            if !choice.after.is_zero() {
                let _ = write!(text, ", after {} s", choice.after.as_secs());
            }
            if let Some(time) = choice.ring_time {
                let _ = write!(text, ", for {} s", time.as_secs());
            }
            let _ = writeln!(text, ":");
            if choice.to.starts_with(SCHEME) {
                let (run, rest) = left.split_at(run_of(left));
                self.explain_trunks(text, run, from, to);
                left = rest;
                continue;
            }
            left = rest;
            let _ = writeln!(text, "  {}", choice.to);
            if let Ok(uri) = Uri::parse(&choice.to)
                && uri.port.is_none()
                && uri.host.ip().is_none()
                && self.our_domain(&uri).is_some()
            {
                self.explain_unrouted(text, &uri);
            }
        }
    }

    /// The hosts of these trunks, in the order in which one call would go to them.
    fn explain_trunks(&mut self, text: &mut String, run: &[Choice], from: &Address, to: &Address) {
        let mut number = 0;
        for name in run.iter().flat_map(|choice| names(&choice.to)) {
            let Some(state) = self.trunks.by_name.get(name).and_then(|trunk| self.trunks.get(*trunk)) else { continue };
            for host in state.order(&mut self.names.chance) {
                number += 1;
                explain_host(text, number, state, usize::from(host), (from, to));
            }
            explain_rules(text, state, from, to);
        }
    }

    fn explain_unrouted(&self, text: &mut String, uri: &Uri<'_>) {
        let user = uri.user_unescaped().unwrap_or_default();
        let _ = match self.our_domain(uri) {
            None => writeln!(
                text,
                "  no route matches and the domain is not ours: 404, or where its name leads if an application calls"
            ),
            Some(domain) if self.directory.has_user(domain, &user) => {
                match self.directory.forwards(domain, &user).and_then(|forwarding| forwarding.always.as_ref()) {
                    Some(to) => writeln!(text, "  user {user} of {domain}, who is forwarded to {to}"),
                    None => writeln!(text, "  user {user} of {domain}: where it has registered, else 480"),
                }
            }
            Some(domain) if self.service(domain, &user).is_some() => writeln!(text, "  the service {user}"),
            Some(domain) if self.directory.may_have(domain, &user) => {
                writeln!(text, "  user {user} of {domain}, if the look-up finds one: where it has registered, else 480")
            }
            Some(domain) => writeln!(text, "  {domain} has no user {user}: 404"),
        };
    }
}

fn explain_host(text: &mut String, number: usize, state: &State, host: usize, (from, to): (&Address, &Address)) {
    let trunk = &state.config;
    let host = &trunk.hosts[host];
    let dial = Dial::new(Target::new(to.clone(), None, None), from.clone(), to.clone(), None);
    let dressed = trunk.dress(host, &dial);
    let _ = writeln!(
        text,
        "  {number}. trunk {}, host {} (order {}, weight {})",
        trunk.name, host.uri, host.order, host.weight
    );
    let _ = writeln!(
        text,
        "     INVITE {}\n     To: <{}>\n     From: <{}>",
        dressed.target.address, dressed.to, dressed.from
    );
    if let Some(asserted) = dressed.identity.asserted.filter(|_| trunk.trusted) {
        let _ = writeln!(text, "     P-Asserted-Identity: <{asserted}>");
    }
}

fn explain_rules(text: &mut String, state: &State, from: &Address, to: &Address) {
    let trunk = &state.config;
    explain_rule(text, "called", &trunk.called, to);
    explain_rule(text, "calling", &trunk.calling, from);
    for rule in &trunk.headers {
        let _ = writeln!(text, "     header: {rule}");
    }
    if trunk.register.is_some() {
        let _ = writeln!(text, "     only while we are registered there as {}", trunk.aor());
    }
    let mut codes = trunk.fail_over.clone();
    codes.extend([401, 407, 408, 503]);
    codes.sort_unstable();
    codes.dedup();
    let codes: Vec<String> = codes.iter().map(u16::to_string).collect();
    let _ = writeln!(text, "     the next one if it does not answer, or with {}", codes.join(", "));
}

fn explain_rule(text: &mut String, what: &str, rules: &[NumberRule], address: &Address) {
    let number = super::dress::number_of(address);
    if let (_, Some(rule)) = rewrite(rules, &number) {
        let _ = writeln!(text, "     {what}: {rule}");
    }
}

/// What a trunk's call becomes here, if it is taken.
fn explain_inbound(text: &mut String, state: &State, from: &Address, to: &Address) -> Option<(Address, Address)> {
    let inbound = &state.config.inbound;
    let _ = writeln!(text, "trunk {} calls {to} as {from}", state.config.name);
    explain_rule(text, "called", &inbound.called, to);
    explain_rule(text, "calling", &inbound.calling, from);
    let Some(destination) = inbound.destination(to) else {
        let _ = writeln!(text, "  none of its routes matches: 404");
        return None;
    };
    Some((inbound.caller(from), destination))
}
