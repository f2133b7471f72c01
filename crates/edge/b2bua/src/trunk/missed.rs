//! Hosts of trunks that have not taken a call, and why: for the log, for `/trunks` and for the page of the call.

use compact_str::{CompactString, format_compact};
use hookswitch_call::{CallId, Cause, LegId, Time};
use hookswitch_sip::{DialogId, FailCause, NoWay};
use hookswitch_sip_msg::Message;
use serde::Serialize;

use super::{TrunkEvent, TrunkNews};
use crate::B2bua;

/// A host that was to take a call and has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The call.
    pub call: CallId,
    /// Its leg.
    pub leg: LegId,
    /// The trunk.
    pub trunk: CompactString,
    /// The host, as it is configured.
    pub host: CompactString,
    /// What that comes to as a status; 480 or 408 where nobody has answered.
    pub code: u16,
    /// Why, in words.
    pub why: CompactString,
}

/// The last failure of a host, until it is known to work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostFailure {
    /// Why, in words.
    pub why: String,
    /// So many seconds ago.
    pub ago: u64,
}

/// When a host has failed last, and why.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    at: Time,
    why: CompactString,
}

impl Failure {
    pub fn new(at: Time, why: CompactString) -> Self {
        Self { at, why }
    }

    pub fn told(&self, now: Time) -> HostFailure {
        HostFailure { why: self.why.to_string(), ago: now.saturating_sub(self.at).as_secs() }
    }
}

/// What became of a request, in words.
pub(super) fn words(why: FailCause, no_way: Option<NoWay>, (status, phrase): (u16, &str)) -> CompactString {
    match (why, no_way) {
        (FailCause::Response, _) => format_compact!("{status} {phrase}"),
        (FailCause::Timeout, _) => "no answer in time".into(),
        (FailCause::Unreachable, Some(NoWay::Refused)) => "refused: nobody listens there".into(),
        (FailCause::Unreachable, Some(NoWay::Silent)) => "no connection in time".into(),
        (FailCause::Unreachable, Some(NoWay::Unproved)) => {
            "its certificate does not prove its name, or it speaks no TLS".into()
        }
        (FailCause::Unreachable, Some(NoWay::NoRoute)) => "no way there: the network says so".into(),
        (FailCause::Unreachable, None) => "not reached: its connection is gone, or the network refuses".into(),
        (FailCause::Cancelled, _) => "cancelled".into(),
    }
}

impl B2bua {
    /// A host that a call was sent to has failed in a way that says nothing about the party.
    pub(crate) fn note_missed(
        &mut self,
        now: Time,
        dialog: DialogId,
        status: u16,
        response: Option<&Message>,
        why: FailCause,
    ) {
        if self.trunks.chains.is_empty() {
            return;
        }
        let Some(name) = self.name_of(dialog) else { return };
        let phrase = response.map(|response| String::from_utf8_lossy(response.reason()).into_owned());
        let what = words(why, self.endpoint.no_way(), (status, phrase.as_deref().unwrap_or_default()));
        self.fail_host(now, name, what.clone());
        self.tell_missed(name, status, what);
    }

    /// There was no way to the host that is to be called now.
    pub(super) fn note_no_way_to_host(&mut self, now: Time, name: (CallId, LegId), cause: &Cause) {
        self.fail_host(now, name, cause.text.clone());
        self.tell_missed(name, cause.code, cause.text.clone());
    }

    /// The host that would be called now gets no calls, or no more of them.
    pub(super) fn pass_over(&mut self, name: (CallId, LegId), cause: &Cause) {
        let Some((trunk, host)) = self.trunks.chains.get(&name).map(|chain| chain.at()) else { return };
        let failure = self.trunks.get(trunk).and_then(|state| state.hosts[usize::from(host)].failure.as_ref());
        let why = match failure {
            Some(failure) => format_compact!("{}: {}", cause.text, failure.why),
            None => cause.text.clone(),
        };
        self.tell_missed(name, cause.code, why);
    }

    fn fail_host(&mut self, now: Time, name: (CallId, LegId), why: CompactString) {
        let Some((trunk, host)) = self.trunks.chains.get(&name).map(|chain| chain.at()) else { return };
        if let Some(state) = self.trunks.get_mut(trunk) {
            state.hosts[usize::from(host)].failure = Some(Failure::new(now, why));
        }
    }

    fn tell_missed(&mut self, (call, leg): (CallId, LegId), code: u16, why: CompactString) {
        let Some((trunk, host)) = self.trunks.chains.get(&(call, leg)).map(|chain| chain.at()) else { return };
        let Some(state) = self.trunks.get(trunk) else { return };
        let (trunk, host) = (state.config.name.clone(), state.config.hosts[usize::from(host)].uri.clone());
        let missed = Missed { call, leg, trunk: trunk.clone(), host, code, why };
        self.trunks.news.push_back(TrunkNews { trunk, what: TrunkEvent::Missed(Box::new(missed)) });
    }
}
