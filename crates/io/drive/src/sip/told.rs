//! Events of calls as log lines.

use hookswitch_call::{Event, Told};

use crate::pii::Pii;

/// Logs one event: the steps of a call at info, the rest at debug.
pub(super) fn log(told: &Told) {
    let call = told.call;
    match &told.event {
        Event::Incoming { from, to } => {
            tracing::info!(%call, from = %Pii(from), to = %Pii(to), "incoming call");
        }
        Event::Connecting { to } => tracing::info!(%call, to = %Pii(to), "connecting"),
        Event::Dialing { leg, party, wire_id, to } => {
            tracing::info!(%call, %leg, ?party, %wire_id, to = %Pii(to), "dialing");
        }
        Event::Progress { leg, party, status, text } => {
            tracing::debug!(%call, %leg, ?party, status, %text, "progress");
        }
        Event::Answered { leg, party } => tracing::info!(%call, %leg, ?party, "answered"),
        Event::Bridged => tracing::info!(%call, "bridged"),
        Event::LegEnded { leg, party, cause } => {
            let (code, text, fault) = (cause.code, &cause.text, cause.fault);
            tracing::debug!(%call, %leg, ?party, code, %text, ?fault, "leg ended");
        }
        Event::Ended { cause, talked } => {
            let (code, text, fault) = (cause.code, &cause.text, cause.fault);
            let seconds = talked.as_secs_f32();
            tracing::info!(%call, code, %text, ?fault, talked = seconds, "call ended");
        }
    }
}
