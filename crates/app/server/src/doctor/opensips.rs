//! Whether the OpenSIPS that is configured can be reached and has all that is needed.

use super::check::Check;
use crate::compose;
use crate::config::Config;
use crate::probe::{self, Finding};

const AREA: &str = "opensips";
const SUBJECT: &str = "opensips.mi";

/// What was found, or why nobody could ask; none without a section `opensips`.
pub type Facts = Option<Result<Vec<Finding>, String>>;

pub fn judge(facts: &Facts) -> Vec<Check> {
    match facts {
        None => Vec::new(),
        Some(Err(why)) => vec![Check::error(AREA, SUBJECT, why, "see the section opensips")],
        Some(Ok(findings)) => findings.iter().map(one).collect(),
    }
}

fn one(finding: &Finding) -> Check {
    match finding {
        Finding::Good(what) => Check::ok(AREA, SUBJECT, what),
        Finding::Missing(what) => {
            Check::error(AREA, SUBJECT, what, "start it, and give it what is missing (docs/opensips.md)")
        }
        Finding::Unknown(what) => Check::skipped(AREA, SUBJECT, what),
    }
}

/// Asks it. `is_running` says whether a switch runs already, which has the sockets for its answers.
pub fn collect(config: &Config, is_running: bool) -> Facts {
    let opensips = config.opensips.as_ref()?;
    if is_running {
        let why = "the running switch asks it: see /health";
        return Some(Ok(vec![Finding::Unknown(why.to_owned())]));
    }
    let found = compose::front_config(config).map_err(anyhow::Error::from).and_then(|front| match front {
        Some(front) => probe::probe(front, &opensips.mi),
        None => Ok(Vec::new()),
    });
    Some(found.map_err(|error| format!("{error:#}")))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hookswitch_drive::opensips::simulator::{Simulator, SimulatorConfig};

    use super::super::check::{State, worst};
    use super::*;

    #[test]
    fn every_finding_has_its_state() {
        let all = [Finding::Good("a".into()), Finding::Missing("b".into()), Finding::Unknown("c".into())];
        let states: Vec<State> = judge(&Some(Ok(all.to_vec()))).iter().map(|check| check.state).collect();
        assert_eq!(states, [State::Ok, State::Error, State::Skipped]);
        assert_eq!(judge(&Some(Err("x".into())))[0].state, State::Error);
        assert_eq!(judge(&None), []);
    }

    #[test]
    fn one_that_is_there_is_found_so() {
        let udp = Some((Ipv4Addr::LOCALHOST, 0).into());
        let simulator = Simulator::start(SimulatorConfig { udp, ..SimulatorConfig::default() }).unwrap();
        let text = format!(
            "call_api: {{ listen: \"127.0.0.1:0\" }}\nopensips: {{ mi: \"udp:{}\" }}\n",
            simulator.addresses().udp.unwrap()
        );
        let config = Config::parse("t", &text).unwrap();
        let checks = judge(&collect(&config, false));
        assert!(checks.len() > 3 && worst(&checks) == State::Ok, "{checks:?}");
        assert_eq!(judge(&collect(&config, true))[0].state, State::Skipped);
    }
}
