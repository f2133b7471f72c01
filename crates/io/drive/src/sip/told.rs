//! Events of calls and bindings as log lines.

use hookswitch_call::directory::LookupNews;
use hookswitch_call::{AudioFacts, AudioNews, Event, OrderNews, RecordEnd, RecordNews, Recorded, Told};
use hookswitch_dialect::flow::{FlowNews, Note};
use hookswitch_dialect::rest::CommandEnd;
use hookswitch_nodes::{NodeNews, PulseNews};
use hookswitch_shard::{
    AudioReport, BindingEvent, BindingNews, Missed, RecordReport, TollNews, TrunkEvent, TrunkNews, Unproved, Unreached,
};
use hookswitch_sip::guard::GuardNews;
use hookswitch_sip::registrar::RemovedWhy;

use crate::pii::{Pii, is_pii_shown};

/// Logs what has become of a call that is led. What a server has answered may be about persons.
pub(crate) fn log_flow(news: &FlowNews) {
    let FlowNews { call, flow, what } = news;
    match what {
        Note::OtherUrl(why) => tracing::warn!(%call, %flow, why = %Pii(why), "the fallback URL is asked about a call"),
        Note::Unanswered(why) => tracing::warn!(%call, %flow, why = %Pii(why), "no good answer about a call"),
        Note::FellBack => tracing::warn!(%call, %flow, "the verbs of the configuration are carried out"),
        Note::Failed { verb, why } => tracing::info!(%call, %flow, %verb, why = %Pii(why), "a verb could not be done"),
    }
}

/// Logs one event: the steps of a call at info, the rest at debug.
pub(crate) fn log(told: &Told) {
    let call = told.call;
    match &told.event {
        Event::Incoming { from, to } => {
            tracing::info!(%call, from = %Pii(from), to = %Pii(to), "incoming call");
        }
        Event::Started { caller, callee } => {
            tracing::info!(%call, caller = %Pii(caller), callee = %Pii(callee), "call started");
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
        Event::Noticed { wire_id } => tracing::debug!(%call, %wire_id, "call noticed"),
        Event::HoldAccepted { hold } => tracing::debug!(%call, hold, "hold accepted"),
        Event::HoldAsked { party, hold } => tracing::debug!(%call, ?party, hold, "hold asked"),
        Event::Held { party, hold } => tracing::info!(%call, ?party, hold, "held"),
        Event::HeldBy { party, hold } => tracing::info!(%call, ?party, hold, "held by a party"),
        Event::Diverted { from, to, why } => {
            tracing::info!(%call, from = %Pii(from), to = %Pii(to), ?why, "diverted");
        }
        Event::Replaced { leg, party, by } => tracing::info!(%call, %leg, ?party, by = %Pii(by), "replaced"),
        Event::InRoom { party, room, news } => tracing::info!(%call, ?party, %room, ?news, "in a room"),
        // Which key it was may be part of a secret.
        Event::Audio { party, news: OrderNews::Key(_) } => tracing::debug!(%call, ?party, "a key"),
        Event::Audio { party, news: OrderNews::Collected { keys, complete } } => {
            tracing::info!(%call, ?party, keys = keys.len(), complete, "keys collected");
        }
        Event::Audio { party, news: OrderNews::Play { news, position } } => {
            tracing::info!(%call, ?party, ?news, ?position, "played by command");
        }
        Event::Audio { party, news: OrderNews::Recording(recording) } => {
            tracing::info!(%call, ?party, recording = recording.0, "recorded by command");
        }
        Event::TransferFailed { cause } => {
            let (code, text, fault) = (cause.code, &cause.text, cause.fault);
            tracing::info!(%call, code, %text, ?fault, "transfer failed");
        }
        Event::Transferring { party, to } => {
            let to = to.as_ref().map(|to| tracing::field::display(Pii(to)));
            tracing::info!(%call, ?party, to, "transferring");
        }
        Event::TransferStarted { wire_id, to } => {
            let to = to.as_ref().map(|to| tracing::field::display(Pii(to)));
            tracing::info!(%call, %wire_id, to, "transfer started");
        }
        Event::TransferProgress { status, text } => tracing::debug!(%call, status, %text, "transfer progress"),
        Event::Transferred => tracing::info!(%call, "transferred"),
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

/// Logs how a command of the native REST has ended.
pub(crate) fn log_command(end: &CommandEnd) {
    let (command, kind, call) = (&end.command, end.kind, end.call.map(tracing::field::display));
    match &end.result {
        Ok(()) => tracing::info!(%command, kind, call, "command done"),
        Err(failure) => {
            let (stage, code, text) = (failure.stage, failure.cause.code, &failure.cause.text);
            tracing::info!(%command, kind, call, ?stage, code, %text, "command failed");
        }
    }
}

/// Logs what has become of a trunk.
pub(crate) fn log_trunk(news: &TrunkNews) {
    let trunk = &news.trunk;
    match &news.what {
        TrunkEvent::Registered(time) => tracing::info!(%trunk, seconds = time.as_secs(), "registered at trunk"),
        TrunkEvent::Refused(status, text, again) => {
            let again = again.map(|again| again.as_secs());
            tracing::warn!(%trunk, status, %text, again, "trunk does not take our registration");
        }
        TrunkEvent::Left => tracing::info!(%trunk, "registration at trunk taken back"),
        TrunkEvent::Up(host) => tracing::info!(%trunk, %host, "trunk host answers again"),
        TrunkEvent::Down(host, why) => tracing::warn!(%trunk, %host, "trunk host is out of order: {why}"),
        TrunkEvent::Missed(missed) => {
            let Missed { call, leg, host, code, why, .. } = &**missed;
            tracing::info!(%call, %leg, %trunk, %host, code, "trunk host does not take the call: {why}");
        }
        TrunkEvent::Proved(name) => tracing::info!(%trunk, certificate = %name, "a connection is the trunk's"),
        TrunkEvent::Unproved(Unproved::NoCertificate, _) => {
            tracing::warn!(%trunk, "a call from the trunk's address shows no certificate: it is a stranger's");
        }
        TrunkEvent::Unproved(Unproved::OtherName, names) => {
            let names = names.join(", ");
            tracing::warn!(%trunk, certificate = %names, "a call from the trunk's address shows another's certificate");
        }
    }
}

/// Logs that a call was not made because of what it costs.
pub(crate) fn log_toll(news: &TollNews) {
    let (call, class, why) = (news.call, &news.class, news.why.name());
    let (account, number) = (Pii(&news.account), Pii(&news.number));
    tracing::warn!(%call, %account, %class, %number, why, "call refused: {}", news.why.phrase());
}

/// Logs that users cannot be looked up, and that they can again. Passwords are in nothing of this.
pub(crate) fn log_users(news: &LookupNews) {
    match news {
        LookupNews::Failing { question, why } => {
            let (user, domain) = (&question.user, &question.domain);
            tracing::warn!(user = %Pii(user), %domain, %why, "users cannot be looked up");
        }
        LookupNews::Failed { question, why } => {
            let (user, domain) = (&question.user, &question.domain);
            tracing::debug!(user = %Pii(user), %domain, %why, "a user cannot be looked up");
        }
        LookupNews::Answering => tracing::info!("users can be looked up again"),
        LookupNews::Refused(busy) => tracing::warn!("{busy}: more are answered 503"),
    }
}

/// Logs that a node is there, or is not any more.
pub(crate) fn log_node(news: &NodeNews) {
    let url = &news.url;
    match news.news {
        PulseNews::There => tracing::info!(%url, "a node is there"),
        PulseNews::Lost => tracing::warn!(%url, "a node does not answer"),
    }
}

/// Logs whom the guard has banned, once for each ban.
pub(crate) fn log_guard(news: &GuardNews) {
    match news {
        GuardNews::Banned { ban, spares } => {
            let (source, seconds, count) = (ban.source.to_string(), (ban.until - ban.since).as_secs(), ban.count);
            let (source, why) = (Pii(&source), &ban.why);
            tracing::info!(%source, ?why, seconds, count, spares, "banned");
        }
        GuardNews::Spared { source } => {
            let source = source.to_string();
            tracing::debug!(source = %Pii(&source), "somebody is known behind a banned address");
        }
        GuardNews::Lifted { source, why } => {
            let source = source.to_string();
            tracing::info!(source = %Pii(&source), ?why, "no longer banned");
        }
        GuardNews::Forgotten { source } => {
            let source = source.to_string();
            tracing::debug!(source = %Pii(&source), "ban forgotten");
        }
        GuardNews::Flooded { source } => {
            let source = source.to_string();
            tracing::warn!(source = %Pii(&source), "more comes from there than sip.max_rate_per_source lets through: dropped unread");
        }
    }
}

/// Logs what has happened to a binding: refreshes at debug, the rest at info.
pub(crate) fn log_binding(news: &BindingNews) {
    let (aor, contact) = (Pii(&news.aor), Pii(&news.contact));
    match news.what {
        BindingEvent::Registered => tracing::info!(%aor, %contact, "registered"),
        BindingEvent::Refreshed => tracing::debug!(%aor, %contact, "refreshed"),
        BindingEvent::Stale(why) => tracing::info!(%aor, %contact, ?why, "stale"),
        BindingEvent::Revived => tracing::info!(%aor, %contact, "heard again"),
        BindingEvent::Removed(why) => match why {
            RemovedWhy::Unregistered | RemovedWhy::Replaced | RemovedWhy::Revoked => {
                tracing::info!(%aor, %contact, ?why, "unregistered");
            }
            RemovedWhy::Expired => tracing::info!(%aor, %contact, "expired"),
            RemovedWhy::Unreachable => tracing::info!(%aor, %contact, "unreachable"),
        },
    }
}

/// Logs what has become known of a call's audio: trouble as a warning, and a line at the end of each call.
pub(crate) fn log_audio(report: &AudioReport) {
    let call = report.call;
    match report.news {
        AudioNews::Quiet(party) => {
            for (_, finding) in &report.findings {
                let text = finding.text(&report.audio, party, is_pii_shown());
                let advice = finding.advice();
                tracing::warn!(%call, ?party, advice, "no audio: {text}");
            }
        }
        AudioNews::Back(party) => tracing::info!(%call, ?party, "audio is back"),
        AudioNews::Closed => {
            let (caller, callee) = (&report.audio.caller, &report.audio.callee);
            let findings: Vec<_> =
                report.findings.iter().map(|(party, one)| one.text(&report.audio, *party, is_pii_shown())).collect();
            tracing::info!(
                %call,
                from_caller = caller.received,
                to_caller = caller.sent,
                from_callee = callee.received,
                to_callee = callee.sent,
                lost_of_caller = caller.quality.lost,
                lost_of_callee = callee.quality.lost,
                mos_of_caller = mos(caller),
                mos_of_callee = mos(callee),
                jitter_of_caller = milliseconds(caller),
                jitter_of_callee = milliseconds(callee),
                level_of_caller = level(caller),
                level_of_callee = level(callee),
                findings = (!findings.is_empty()).then(|| findings.join("; ")),
                "audio of the call"
            );
        }
        // The answer goes to whoever asked.
        AudioNews::Asked => {}
    }
}

fn mos(facts: &AudioFacts) -> Option<f64> {
    facts.quality.opinion.map(|hundredths| f64::from(hundredths) / 100.0)
}

fn milliseconds(facts: &AudioFacts) -> f64 {
    facts.quality.jitter.as_micros() as f64 / 1_000.0
}

fn level(facts: &AudioFacts) -> Option<i8> {
    facts.quality.sound.and_then(|sound| sound.level)
}

/// Logs how the recording of a call goes.
pub(crate) fn log_recorded(report: &RecordReport) {
    let call = report.call;
    match &report.news {
        RecordNews::Begun => tracing::info!(%call, "recording"),
        RecordNews::Loud => tracing::debug!(%call, "recording: the party speaks"),
        RecordNews::Finished(recorded) => {
            let Recorded { file, size, .. } = &**recorded;
            if let Some(codec) = &recorded.undecoded {
                tracing::warn!(%call, %file, %codec, "a party is silent in a recording: its codec cannot be decoded");
            }
            let (seconds, lost) = (recorded.duration.as_secs_f32(), recorded.lost.as_secs_f32());
            match &recorded.reason {
                RecordEnd::Failed(why) => tracing::warn!(%call, %file, seconds, size, "recording failed: {why}"),
                RecordEnd::Interrupted => tracing::warn!(%call, %file, "recording interrupted: its media node is gone"),
                reason if recorded.lost.is_zero() => {
                    tracing::info!(%call, %file, seconds, size, reason = reason.name(), "recorded");
                }
                reason => {
                    let reason = reason.name();
                    tracing::warn!(%call, %file, seconds, lost, size, reason, "recorded with gaps: the disk was slow");
                }
            }
        }
    }
}

/// Logs that somebody was called where nobody answers.
pub(crate) fn log_unreached(unreached: &Unreached) {
    let Unreached { call, leg, party, .. } = unreached;
    let to = unreached.to.as_ref().map(|to| tracing::field::display(Pii(to)));
    let (code, advice) = (unreached.cause.code, unreached.advice());
    tracing::info!(%call, %leg, ?party, to, code, advice, "not reached: {}", unreached.text());
}
