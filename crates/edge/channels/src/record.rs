//! What is recorded of a channel, as projectrtp writes it.

use std::time::Duration;

use compact_str::CompactString;
use hookswitch_call::{AfterPlay, BargeIn, MAX_ADDRESS, PlayId, RecordPlan, Tracks};
use serde_json::Value;

use crate::json::{Failure, Members};

/// Most frames in the mean of a loudness.
const MOST_FRAMES: u64 = 1_000;

/// Longest recording that may be asked for, in milliseconds: a week.
const LONGEST: u64 = 7 * 86_400_000;

/// How much of what is said during a prompt is kept.
const KEPT: Duration = Duration::from_secs(30);

/// What is to be done about the recording to one file.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Order {
    Begin(Box<RecordPlan>),
    Pause,
    Finish,
}

/// `{"file","numchannels","startabovepower","finishbelowpower","minduration","maxduration","poweraveragepackets"}`, or
/// `{"file","pause":true}`, `{"file","finish":true}`.
pub(crate) fn read(value: &Value) -> Result<(CompactString, Order), Failure> {
    let members = Members::of(value)?;
    let file =
        members.text(&["file"])?.ok_or_else(|| Failure::value("file", "missing: below the folder of recordings"))?;
    if file.is_empty() || file.len() > MAX_ADDRESS {
        return Err(Failure::value("file", format!("expected 1 to {MAX_ADDRESS} bytes")));
    }
    let file = CompactString::from(file);
    if members.flag(&["finish"], false)? {
        return Ok((file, Order::Finish));
    }
    if members.flag(&["pause"], false)? {
        return Ok((file, Order::Pause));
    }
    let tracks = match members.number(&["numchannels"], 2)? {
        Some(1) => Tracks::Mixed,
        None | Some(2) => Tracks::Stereo,
        Some(_) => return Err(Failure::value("numchannels", "expected 1 or 2")),
    };
    let power =
        |name| members.number(&[name], u16::MAX.into()).map(|power| power.and_then(|power| u16::try_from(power).ok()));
    let time = |name| members.number(&[name], LONGEST).map(|time| time.map_or(Duration::ZERO, Duration::from_millis));
    let plan = RecordPlan {
        tracks,
        start_above: power("startabovepower")?,
        finish_below: power("finishbelowpower")?,
        average: frames(&members, "poweraveragepackets")?,
        min: time("minduration")?,
        max: time("maxduration")?,
        ..RecordPlan::both_sides(file.clone())
    };
    Ok((file, Order::Begin(Box::new(plan))))
}

/// `{"soup":{…},"record":{…},"interrupt","bargeinpower","bargeinpoweraveragepackets"}`: what the record begins after.
pub(crate) fn after(value: &Value, play: PlayId) -> Result<AfterPlay, Failure> {
    let members = Members::of(value)?;
    let above = members.number(&["bargeinpower"], u16::MAX.into())?.and_then(|power| u16::try_from(power).ok());
    let above = above.filter(|_| members.flag(&["interrupt", "interupt"], false).unwrap_or_default());
    members.flag(&["interrupt", "interupt"], false)?;
    let average = frames(&members, "bargeinpoweraveragepackets")?;
    Ok(AfterPlay { play, keep: KEPT, barge_in: above.map(|above| BargeIn { above, average }) })
}

fn frames(members: &Members<'_>, name: &'static str) -> Result<u16, Failure> {
    let frames = members.number(&[name], MOST_FRAMES)?.unwrap_or(1).max(1);
    Ok(u16::try_from(frames).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_recording_is_read_with_every_member() {
        let value = json!({
            "file": "a.wav", "numchannels": 1, "startabovepower": 250, "finishbelowpower": 200, "minduration": 2000,
            "maxduration": 15000, "poweraveragepackets": 20,
        });
        let (file, Order::Begin(plan)) = read(&value).unwrap() else { panic!("it begins") };
        assert_eq!((file.as_str(), plan.tracks), ("a.wav", Tracks::Mixed));
        assert_eq!((plan.start_above, plan.finish_below, plan.average), (Some(250), Some(200), 20));
        assert_eq!((plan.min, plan.max), (Duration::from_secs(2), Duration::from_secs(15)));
        assert_eq!(read(&json!({"file": "a", "pause": true})).unwrap().1, Order::Pause);
        assert_eq!(read(&json!({"file": "a", "finish": true})).unwrap().1, Order::Finish);
        for (value, place) in [
            (json!({}), "file"),
            (json!({"file": ""}), "file"),
            (json!({"file": "a", "numchannels": 0}), "numchannels"),
            (json!({"file": "a", "numchannels": 3}), "numchannels"),
            (json!({"file": "a", "maxduration": "long"}), "maxduration"),
            (json!({"file": "a", "pause": 1}), "pause"),
        ] {
            assert_eq!(read(&value).unwrap_err().place, place, "{value}");
        }
    }

    #[test]
    fn a_prompt_is_interrupted_by_a_voice_only_where_that_is_allowed() {
        let play = PlayId(3);
        let spoken =
            after(&json!({"interrupt": true, "bargeinpower": 300, "bargeinpoweraveragepackets": 5}), play).unwrap();
        assert_eq!(spoken.barge_in, Some(BargeIn { above: 300, average: 5 }));
        assert_eq!(after(&json!({"bargeinpower": 300}), play).unwrap().barge_in, None);
        assert_eq!(after(&json!({"interrupt": "x"}), play).unwrap_err().place, "interrupt");
    }
}
