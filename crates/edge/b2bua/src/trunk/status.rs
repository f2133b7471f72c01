//! How the trunks stand, for whoever asks.

use hookswitch_call::Time;
use hookswitch_sip::registration::Standing;
use serde::Serialize;

use super::HostFailure;

use crate::B2bua;

/// How one trunk stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrunkStatus {
    /// Its name.
    pub name: String,
    /// Calls there are, in both directions.
    pub calls: usize,
    /// How many there may be; 0 is no limit.
    pub max_calls: usize,
    /// Calls that were sent to it since the start.
    pub sent: u64,
    /// Calls that have come from it.
    pub received: u64,
    /// Calls that went on to another host, or were given up, after it had failed or had no room.
    pub passed_over: u64,
    /// Our registration there, if there is to be one.
    pub registration: Option<RegistrationStatus>,
    /// Its hosts.
    pub hosts: Vec<HostStatus>,
}

/// How our registration at a trunk stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegistrationStatus {
    /// `starting`, `registered`, `failed` or `left`.
    pub state: &'static str,
    /// For how many seconds it is still good.
    pub expires_in: Option<u64>,
    /// In how many seconds the next REGISTER is sent, unless one is under way.
    pub next_in: Option<u64>,
    /// The last failure, if nothing has succeeded since: its status.
    pub status: Option<u16>,
    /// And its words.
    pub reason: Option<String>,
}

/// How one host of a trunk stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostStatus {
    /// Where it is.
    pub uri: String,
    /// False when OPTIONS find it out of order; calls do not go there then.
    pub up: bool,
    /// For how many seconds it is called last, because a call has found it out of order.
    pub rests_for: Option<u64>,
    /// Why it has failed last, until OPTIONS find it in order.
    pub failure: Option<HostFailure>,
}

impl B2bua {
    /// How every trunk stands.
    #[must_use]
    pub fn trunk_status(&self, now: Time) -> Vec<TrunkStatus> {
        let trunks = self.trunks.list.iter().map(|state| TrunkStatus {
            name: state.config.name.to_string(),
            calls: state.calls,
            max_calls: state.config.max_calls,
            sent: state.totals.sent,
            received: state.totals.received,
            passed_over: state.totals.passed_over,
            registration: state.registration.as_ref().map(|registration| {
                let failure = registration.last_failure();
                let (name, until) = match registration.standing(now) {
                    Standing::Starting => ("starting", None),
                    Standing::Registered(until) => ("registered", Some(until)),
                    Standing::Failed => ("failed", None),
                    Standing::Left => ("left", None),
                };
                RegistrationStatus {
                    state: name,
                    expires_in: until.map(|until| until.saturating_sub(now).as_secs()),
                    next_in: registration.next_attempt().map(|at| at.saturating_sub(now).as_secs()),
                    status: failure.map(|(status, _)| status),
                    reason: failure.map(|(_, words)| words.to_owned()),
                }
            }),
            hosts: (state.hosts.iter().zip(&state.config.hosts))
                .map(|(stand, host)| HostStatus {
                    uri: host.uri.to_string(),
                    up: !stand.is_down,
                    rests_for: Some(stand.rests_until.saturating_sub(now).as_secs()).filter(|rest| *rest > 0),
                    failure: stand.failure.as_ref().map(|failure| failure.told(now)),
                })
                .collect(),
        });
        trunks.collect()
    }
}
