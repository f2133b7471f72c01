//! Calls of which nobody says anything any more.
//!
//! Whoever is asked whether it is still there may say yes for ever, since phones answer for calls that their users
//! have forgotten. A call of which neither RTP nor RTCP comes from anybody is over after a time, whatever is answered. As
//! long as somebody holds, or hears something that is made here, that is a long time: who waits in music has nothing to
//! say, and many phones send nothing then.

use std::time::Duration;

use hookswitch_call::{CallId, MediaReport, Source, Time};

use crate::channel::{Call, Channel};
use crate::config::EngineConfig;
use crate::engine::Engine;

impl Engine {
    /// Calls in which somebody has agreed to a session and of which nothing has come from anybody for
    /// [`EngineConfig::idle_after`], or while somebody is not expected to speak for [`EngineConfig::idle_held_after`];
    /// and since when. Looks at every call: for asking every few seconds.
    pub fn idle(&self, now: Time) -> impl Iterator<Item = (CallId, Duration)> + '_ {
        self.calls.iter().filter_map(move |(_, call)| {
            let silence = now.saturating_sub(last_heard(call)?);
            let limit = patience(&self.config, call);
            (!limit.is_zero() && silence >= limit).then_some((call.id, silence))
        })
    }

    /// Reports every call that [`Engine::idle`] names, as [`MediaReport::Idle`].
    pub fn report_idle(&mut self, now: Time) {
        let idle: Vec<_> = self.idle(now).collect();
        self.reports.extend(idle.into_iter().map(|(call, silence)| MediaReport::Idle { call, silence }));
    }
}

fn parties(call: &Call) -> impl Iterator<Item = &Channel> {
    call.channels().filter(|channel| channel.session.is_some())
}

/// When anything last came from anybody who has a session, or a session was agreed.
fn last_heard(call: &Call) -> Option<Time> {
    let last = |party: &Channel| {
        let came = party.counters.last_rtp_at.max(party.counters.last_rtcp_at);
        came.unwrap_or_default().max(party.agreed_at)
    };
    parties(call).map(last).max()
}

fn patience(config: &EngineConfig, call: &Call) -> Duration {
    let is_to_speak = |party: &Channel| {
        let both_ways = party.session.is_some_and(|session| session.direction.sends() && session.direction.receives());
        let is_served = match party.hears {
            Source::Silence | Source::Peer | Source::Echo => false,
            Source::Ringback | Source::Reference | Source::Hold | Source::Sounds | Source::Room => true,
        };
        both_ways && !party.held && !is_served && party.player.is_none()
    };
    if parties(call).all(is_to_speak) { config.idle_after } else { config.idle_held_after }
}
