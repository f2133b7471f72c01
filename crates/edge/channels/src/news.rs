//! What a controller is told of a channel: the events of projectrtp, each put to `CONTROL/channel/UUID`.

use hookswitch_call::{AudioFacts, CallAudio, PlayEnd, PlayNews, RecordEnd, RecordNews, RoomNews};
use serde_json::{Map, Value, json};

/// The members of an event beside the channel's name and number.
pub(crate) type News = Map<String, Value>;

fn news(action: &str, event: &str) -> News {
    let mut news = Map::new();
    news.insert("action".into(), action.into());
    news.insert("event".into(), event.into());
    news
}

fn with(mut news: News, name: &str, value: impl Into<Value>) -> News {
    news.insert(name.into(), value.into());
    news
}

pub(crate) fn key(key: char) -> News {
    news("telephone-event", key.encode_utf8(&mut [0; 4]))
}

pub(crate) fn play(told: &PlayNews) -> News {
    match told {
        PlayNews::Started => with(news("play", "start"), "reason", "new"),
        PlayNews::Missing { sound, why } => {
            with(with(news("play", "missing"), "file", sound.as_str()), "reason", &**why)
        }
        PlayNews::Ended(end) => with(news("play", "end"), "reason", play_end(*end)),
    }
}

fn play_end(end: PlayEnd) -> &'static str {
    match end {
        // As projectrtp has it.
        PlayEnd::Closed => "channelclosed",
        other => other.name(),
    }
}

pub(crate) fn mix(told: &RoomNews) -> Option<News> {
    match told {
        RoomNews::Joined(members) => Some(with(news("mix", "start"), "members", *members)),
        RoomNews::Left => Some(news("mix", "finished")),
        RoomNews::Refused(cause) => Some(with(news("mix", "refused"), "reason", cause.text.as_str())),
        RoomNews::Speaks(_) => None,
    }
}

pub(crate) fn record(file: &str, told: &RecordNews) -> News {
    match told {
        RecordNews::Begun => with(news("record", "recording"), "file", file),
        RecordNews::Loud => with(news("record", "recording.abovepower"), "file", file),
        RecordNews::Finished(recorded) => {
            let finished = news("record", &format!("finished.{}", record_end(&recorded.reason)));
            let finished = with(with(finished, "file", file), "filesize", recorded.size);
            with(
                with(finished, "path", recorded.file.as_str()),
                "durationms",
                recorded.duration.as_secs_f64() * 1_000.0,
            )
        }
    }
}

fn record_end(end: &RecordEnd) -> String {
    // As projectrtp has them.
    match end {
        RecordEnd::Requested => "requested".to_owned(),
        RecordEnd::Timeout => "timeout".to_owned(),
        RecordEnd::BelowPower => "belowpower".to_owned(),
        RecordEnd::Closed => "channelclosed".to_owned(),
        RecordEnd::Interrupted => "interrupted".to_owned(),
        RecordEnd::Failed(why) => format!("open-failed: {why}"),
    }
}

pub(crate) fn close(reason: &str, audio: Option<&CallAudio>) -> News {
    let mut told = Map::new();
    told.insert("action".into(), "close".into());
    told.insert("reason".into(), reason.into());
    if let Some(audio) = audio {
        told.insert("stats".into(), stats(&audio.caller));
    }
    told
}

/// What is known of the audio of a channel's party: projectrtp's members, with what they are meant to hold, and ours.
pub(crate) fn stats(facts: &AudioFacts) -> Value {
    let quality = &facts.quality;
    let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1_000.0;
    json!({
        "codec": facts.codec.as_deref(),
        "remote": facts.source.or(facts.said).map(|at| at.to_string()),
        "in": {
            "count": facts.received, "bytes": facts.received_octets, "skip": quality.lost,
            "dropped": quality.late + quality.duplicated, "reordered": quality.reordered,
            "jitterms": milliseconds(quality.jitter), "mos": quality.opinion.map(|opinion| f64::from(opinion) / 100.0),
        },
        "out": {
            "count": facts.sent, "bytes": facts.sent_octets, "toldlost": quality.told_lost,
            "roundtripms": quality.round_trip.map(milliseconds),
        },
    })
}
