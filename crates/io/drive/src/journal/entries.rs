//! What comes out of a shard as the journal is told of it.

use compact_str::{CompactString, format_compact};
use hookswitch_call::{AudioNews, RecordNews, Time};
use hookswitch_dialect::flow::{FlowNews, Note};
use hookswitch_dialect::journal::{ContactNews, Entry, FlowWord, TrunkWord};
use hookswitch_shard::{AudioReport, BindingEvent, BindingNews, Missed, RecordReport, TrunkEvent, TrunkNews, Unproved};
use hookswitch_sip::registrar::{RemovedWhy, StaleWhy};

/// Something has happened to a registered contact.
pub(crate) fn binding_entry(at: Time, news: &BindingNews) -> Entry {
    let (what, why) = match news.what {
        BindingEvent::Registered => (ContactNews::Added, None),
        BindingEvent::Refreshed => (ContactNews::Refreshed, None),
        BindingEvent::Stale(StaleWhy::Silent) => (ContactNews::Stale, Some("silent")),
        BindingEvent::Stale(StaleWhy::FlowLost) => (ContactNews::Stale, Some("flow_lost")),
        BindingEvent::Revived => (ContactNews::Revived, None),
        BindingEvent::Removed(why) => {
            let why = match why {
                RemovedWhy::Unregistered => "unregistered",
                RemovedWhy::Replaced => "replaced",
                RemovedWhy::Expired => "expired",
                RemovedWhy::Unreachable => "unreachable",
                RemovedWhy::Revoked => "revoked",
            };
            (ContactNews::Removed, Some(why))
        }
    };
    Entry::Registration { at, aor: news.aor.clone(), contact: news.contact.clone(), what, why }
}

/// Something has happened to a trunk.
pub(crate) fn trunk_entry(at: Time, news: &TrunkNews) -> Entry {
    let (what, text) = match &news.what {
        TrunkEvent::Registered(time) => (TrunkWord::Registered, format_compact!("for {} s", time.as_secs())),
        TrunkEvent::Refused(status, text, Some(again)) => {
            (TrunkWord::Refused, format_compact!("{status} {text}; asked again in {} s", again.as_secs()))
        }
        TrunkEvent::Refused(status, text, None) => (TrunkWord::Refused, format_compact!("{status} {text}")),
        TrunkEvent::Left => (TrunkWord::Left, CompactString::default()),
        TrunkEvent::Up(host) => (TrunkWord::Up, host.clone()),
        TrunkEvent::Down(host, why) => (TrunkWord::Down, format_compact!("{host}: {why}")),
        TrunkEvent::Missed(missed) => {
            let Missed { call, host, code, why, .. } = &**missed;
            (TrunkWord::Missed, format_compact!("call_{call}: {host}: {code} {why}"))
        }
        TrunkEvent::Proved(name) => (TrunkWord::Proved, name.clone()),
        TrunkEvent::Unproved(Unproved::NoCertificate, _) => (TrunkWord::Unproved, "no certificate".into()),
        TrunkEvent::Unproved(Unproved::OtherName, names) => (TrunkWord::Unproved, names.join(", ").into()),
    };
    Entry::Trunk { at, trunk: news.trunk.clone(), what, text }
}

/// Something is wrong with a call that a web server leads.
pub(crate) fn flow_entry(at: Time, news: &FlowNews) -> Entry {
    let (what, verb, why) = match &news.what {
        Note::OtherUrl(why) => (FlowWord::FallbackUrl, None, Some(why)),
        Note::Unanswered(why) => (FlowWord::Unanswered, None, Some(why)),
        Note::FellBack => (FlowWord::FellBack, None, None),
        Note::Failed { verb, why } => (FlowWord::VerbFailed, Some(verb), Some(why)),
    };
    Entry::Flow { at, call: news.call, flow: news.flow.clone(), what, verb: verb.cloned(), why: why.cloned() }
}

/// What has become known of a call's audio; none before its end.
pub(crate) fn audio_entry(at: Time, report: &AudioReport) -> Option<Entry> {
    match report.news {
        AudioNews::Closed => {
            let (audio, findings) = (report.audio.clone(), report.findings.clone());
            Some(Entry::Audio { at, call: report.call, audio, findings })
        }
        AudioNews::Quiet(_) | AudioNews::Back(_) | AudioNews::Asked => None,
    }
}

/// How a recording goes; none before it is over.
pub(crate) fn recorded_entry(at: Time, report: &RecordReport) -> Option<Entry> {
    let (call, recording) = (report.call, report.recording);
    match &report.news {
        RecordNews::Finished(recorded) => Some(Entry::Recorded { at, call, recording, recorded: (**recorded).clone() }),
        RecordNews::Begun | RecordNews::Loud => None,
    }
}
