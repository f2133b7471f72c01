//! `hookswitch doctor`: whether this host lets the switch do what its configuration asks for, and what to do where not.
//!
//! Each part collects facts and judges them; only the first of the two looks at the system.

mod access;
mod addresses;
mod certificates;
mod check;
mod names;
mod nat;
mod opensips;
mod ports;
mod rtp;
mod store;
mod system;

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::config::{Config, Found};
use crate::{ServeArgs, compose};
use check::{Check, State};

/// What is looked at.
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// STUN servers to ask, HOST or HOST:PORT, instead of those of `network.stun`; one with RFC 5780 tells most
    #[arg(long, value_name = "HOST")]
    stun: Vec<String>,
    /// Print JSON instead of lines
    #[arg(long)]
    json: bool,
}

/// Looks at everything and prints what was seen.
pub fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let checks = match args.serve.find() {
        Ok(found) => look(&found, &args.stun),
        Err(error) => vec![broken(&error)],
    };
    if args.json {
        println!("{:#}", json!({ "worst": check::worst(&checks), "checks": checks }));
    } else {
        print!("{}", check::page(&checks));
    }
    Ok(ExitCode::from(match check::worst(&checks) {
        State::Ok | State::Skipped => 0,
        State::Warning => 1,
        State::Error => 2,
    }))
}

fn broken(error: &crate::config::ConfigError) -> Check {
    Check::error("config", "configuration", error.to_string(), "correct it: nothing else can be looked at before")
}

fn look(found: &Found, stun: &[String]) -> Vec<Check> {
    let config = &found.config;
    let switch = match compose::switch_config(config) {
        Ok(switch) => switch,
        Err(error) => return vec![broken(&error)],
    };
    let file = found.file.as_ref().map_or_else(|| "none: the defaults".to_owned(), |file| file.display().to_string());
    let mut checks = vec![Check::ok("config", "configuration", file)];

    let start = system::Start::now();
    let sockets = ports::Sockets::look();
    let ports = ports::collect(config, &sockets);
    let running = ports::switch(&ports);
    checks.extend(ports::judge(&ports));
    checks.extend(rtp::judge(&rtp::collect(config, &sockets)));
    // While a switch has the SIP port, nobody else can be heard by it.
    let nat = nat::collect(config, stun, sip_is_free(&ports));
    let names = names::collect(config, &switch, ours(config, nat.seen()));
    checks.extend(addresses::judge(&addresses::collect(config, nat.seen(), names.far_trunk())));
    checks.extend(nat::judge(&nat));
    checks.extend(names::judge(&names));
    checks.extend(certificates::judge(&certificates::collect(config), certificates::now()));
    checks.extend(access::judge(&access::collect(config)));
    checks.extend(access::call_api(config));
    let store = store::collect(config.data_dir(), found.file.as_deref(), has_secrets(config));
    checks.extend(store::judge(&store));
    checks.extend(opensips::judge(&opensips::collect(config, running.is_some())));
    checks.extend(system::judge(&system::collect(config, &start, running)));
    checks
}

fn sip_is_free(ports: &[ports::Port]) -> bool {
    ports.iter().filter(|port| port.name.starts_with("udp:")).all(|port| port.bound == ports::Bound::Free)
}

/// Addresses that lead to this host.
fn ours(config: &Config, seen: Vec<IpAddr>) -> Vec<IpAddr> {
    let own = hookswitch_net::interfaces().unwrap_or_default();
    let own = own.into_iter().map(|interface| interface.address);
    own.chain(seen).chain(config.network.public.iter().copied()).collect()
}

fn has_secrets(config: &Config) -> bool {
    // One with a colon only says where it is.
    let is_here = |secret: &String| !secret.contains(':');
    config.domains.values().any(|domain| !domain.users.is_empty())
        || config.trunks.values().any(|trunk| trunk.secret.is_some())
        || config.call_api.tokens.iter().any(|token| token.secret.as_ref().is_some_and(is_here))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_host_is_looked_at_and_every_part_says_something() {
        let folder = tempfile::tempdir().unwrap();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let text = format!(
            "sip: {{ listen: [ \"udp:{}\" ] }}\nhttp: {{ listen: \"127.0.0.1:0\" }}\n\
             call_api: {{ listen: \"127.0.0.1:0\" }}\ncontrol: {{ listen: \"127.0.0.1:0\" }}\ndata_dir: {}\ncalls: {{ max: 10 }}\n",
            socket.local_addr().unwrap(),
            folder.path().display()
        );
        let found = Found { config: Config::parse("t", &text).unwrap(), file: None };
        let checks = look(&found, &[]);
        for area in [
            "config",
            "ports",
            "rtp",
            "addresses",
            "nat",
            "dns",
            "certificates",
            "access",
            "store",
            "clock",
            "files",
            "cpu",
        ] {
            assert!(checks.iter().any(|check| check.area == area), "{area}: {checks:?}");
        }
        let port = checks.iter().find(|check| check.area == "ports").unwrap();
        assert!(port.state == State::Error && port.seen.contains(&format!("process {}", std::process::id())), "{port}");
    }

    #[test]
    fn a_configuration_that_cannot_be_used_is_all_that_is_said() {
        let found = Found { config: Config::parse("t", "sip: { listen: [] }").unwrap(), file: None };
        let checks = look(&found, &[]);
        assert_eq!((checks.len(), checks[0].state), (1, State::Error));
        assert!(checks[0].seen.starts_with("sip.listen: "), "{}", checks[0]);
    }
}
